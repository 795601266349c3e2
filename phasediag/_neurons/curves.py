"""Boundaries of neurons as curves in a plane: places on them, followed to where they end, and the points in which they meet."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from .._arguments import Floats
from ..neuron_phases import EXACT as WHOLE
from ..neuron_phases import NOUGHT
from .branches import Branch
from .search import SMALL
from .transitions import NAMED, Segment, lowest_along, narrowed

ASIDE = 1e-3
"""Of a cell of the grid: two places of a curve so far apart tell its direction."""
STEP, SHORTEST = 0.5, 1e-3
"""Of a cell: curves are followed by such steps, at last by the shortest."""
MOST_PLACES, SELDOM = 128, 8
"""Of a curve that is followed from one end; where its end is not found it is sought again with steps so many times shorter."""
EXACT, MEETS, MOST_STEPS = 1e-12, 1e-7, 12
"""Of a cell: curves are brought together until steps are below the first, or the second and do not shrink; by so many at most."""
CLOSE = 0.1
"""Minima of first order that are nearer than this may become one where their curve is lost."""
LOWER = 1e-12
"""Another minimum is lower by that part of the loss at least."""


class Place(NamedTuple):
    """A place u (2,) of a curve: the minima of both sides (2, size), and their losses (2,).

    turn: of a continuous curve how far its place moves with the weight that vanishes, towards where this grows; 0 where the order
    changes, negative where what grows is no minimum; line (2, 2): the ends of the segment on which it was sought; grown (size,):
    the minimum when that weight has grown a little.
    """

    u: Floats
    pair: Floats
    losses: Floats
    turn: float
    line: Floats
    grown: Floats | None = None


class _Curve:
    """A curve that is sought on lines near by."""

    def heading(self, place, direction):
        """The direction (2,), in cells, in which the curve passes a Place on a line in a direction (2,); or None."""
        beside = self.moved(place).on(place.u + ASIDE * across(direction) * self.cell, direction)
        return None if beside is None else (beside.u - place.u) / self.cell

    def begun(self, place):
        """A Place of it with both minima, as it is found on a line."""
        return place

    def line(self, u, across):
        """The Segment on both sides of u (2,), a cell long each, in a direction (2,) in cells."""
        return Segment(self.plane, u - across * self.cell, u + across * self.cell)


@dataclass(frozen=True, eq=False)
class _OfPair(_Curve):
    """A curve of two minima (2, size); cell (2,): the size of the grid's cells, in coordinates."""

    plane: Any
    cell: Floats
    pair: Floats

    def moved(self, place):
        """The same curve, to be sought from a Place of it."""
        return replace(self, pair=place.pair)


class Coexistence(_OfPair):
    """Where two minima have one loss."""

    order = "first"

    def on(self, u, across):
        """The Place on a line through u (2,) in a direction (2,), in cells, at most a cell away; or None."""
        segment = self.line(u, across)
        found = segment.coexistence(self.pair, 0.5)
        if found is None:
            return None
        t, pair, losses = found
        return Place(segment.place(t), pair, losses, np.nan, segment.ends)

    def heading(self, place, _):
        """The direction (2,), in cells, in which the curve passes a Place: both losses change alike, whatever the minima do."""

        def difference(u):
            """Of the losses at u (2,) of what rests at the place, where they are equal."""
            return np.subtract(*Segment(self.plane, u, u).landscape(0.0).losses(place.pair))

        steps = ASIDE * np.diag(self.cell)
        rise = np.array([difference(place.u + step) - difference(place.u - step) for step in steps])
        return across(rise) if np.any(rise) else None


@dataclass(frozen=True, eq=False)
class Vanishing(_Curve):
    """Where weight k of a minimum x (size,) vanishes, beside parameters that are free (size,); size: of its neuron's largest."""

    plane: Any
    cell: Floats
    x: Floats
    k: int
    free: Floats
    size: float
    order = "continuous"

    @classmethod
    def of(cls, plane, cell, u, pair):
        """The curve next to u (2,) on which a weight of one of two minima (2, size) vanishes; None where none does."""
        segment = Segment(plane, u - cell, u + cell)
        kinks = segment.landscape(0.5).kinks(np.asarray(pair), NOUGHT).sum(axis=1)
        found = (segment.least(pair[k], 0.5) for k in np.argsort(kinks, kind="stable"))
        return next((cls(plane, cell, *least) for least in found if least is not None), None)

    def on(self, u, across):
        """The Place on a line through u (2,) in a direction (2,), in cells, at most a cell away; or None."""
        segment = self.line(u, across)
        end = Branch(segment, self.k, self.free).vanishing(self.x, 0.5, self.size)
        if end is None or not 0 <= end.t <= 1:
            return None
        landscape, (x, grown) = segment.landscape(end.t), segment.sides(end, self.x, self.k, self.size)
        losses = np.repeat(landscape.losses([x]), 2)
        return Place(segment.place(end.t), np.array([x, x]), losses, -end.turn * np.sign(end.rise), segment.ends, grown)

    def begun(self, place):
        """A Place of it with both minima, as it is found on a line."""
        kinks = Segment(self.plane, place.u, place.u).landscape(0.0).kinks(place.pair, NOUGHT).sum(axis=1)
        zero, grown = place.pair[np.argsort(-kinks, kind="stable")]
        return place._replace(pair=np.array([zero, zero]), grown=grown)

    def heading(self, place, direction):
        """The direction (2,), in cells, in which the curve passes a Place: the slope of the loss by the weight stays 0."""
        segment = self.line(place.u, direction)
        branch = Branch(segment, self.k, self.free)
        point = branch.at(place.grown[self.k], 0.5, place.grown)
        found = None if point is None else branch.newton(point.t, point.x)
        if found is None:
            return None

        def slope(step):
            """The gradient of the minimum with the weight, a step (2,) aside of where it rests."""
            u = segment.place(point.t) + step
            return Segment(self.plane, u, u).landscape(0.0).slope(point.x)

        steps = ASIDE * np.diag(self.cell)
        rise = np.array([found[0](slope(step) - slope(-step))[1] for step in steps])
        return across(rise) if np.any(rise) else None

    def grows_stable(self, place, direction):
        """Whether what grows at a Place on a line in a direction (2,) is a minimum: its curvatures are as small as the weight."""
        segment = self.line(place.u, direction)
        point = Branch(segment, self.k, self.free).at(place.grown[self.k], 0.5, place.grown)
        if point is None:
            return False
        return bool(segment.landscape(point.t).curvature(point.x)[0] > -SMALL * abs(point.turn * point.rise))

    def moved(self, place):
        """The same curve, to be sought from a Place of it."""
        return replace(self, x=place.grown)


class Renamed(_OfPair):
    """Where the name of the lowest of two minima changes with a share of its weights."""

    order = "continuous"

    def on(self, u, across):
        """The Place on a line through u (2,) in a direction (2,), in cells, at most a cell away; or None."""
        segment = self.line(u, across)
        lowest = lowest_along(segment, [*self.pair])
        low, high = (0.0, *lowest(0.0)), (1.0, *lowest(1.0))
        if low[1] == high[1]:
            return None
        low, high = narrowed(segment, lowest, low, high, NAMED)
        t, pair = (low[0] + high[0]) / 2, np.array([one[2] for one in sorted((low, high), key=lambda one: one[1])])
        _, losses, _ = segment.follow(pair, t)
        return Place(segment.place(t), pair, losses, np.nan, segment.ends)


def curve_of(plane, cell, u, pair, order):
    """The curve of an order that passes u (2,), by the minima of both sides (2, size) there."""
    if order == "first":
        return Coexistence(plane, cell, pair)
    found = Vanishing.of(plane, cell, u, pair)
    return Renamed(plane, cell, pair) if found is None else found


def across(way):
    """The direction (2,) at a right angle to one (2,)."""
    return np.array([-way[1], way[0]]) / np.linalg.norm(way)


def beside(plane, cell, u):
    """The Landscape next to u (2,): features are told to be equal where they are so around it, not in it alone."""
    there = u + ASIDE * cell * [1.0, 0.618]
    return Segment(plane, there, there).landscape(0.0)


def apart(plane, cell, place):
    """How far apart the minima of a Place are, in the best order of neurons and of equal features."""
    return beside(plane, cell, place.u).distance(*place.pair)


def names(plane, place, order):
    """The names of the two phases at a Place of a curve of an order."""
    segment, pair = Segment(plane, place.u, place.u), (place.pair[0], place.pair[1] if place.grown is None else place.grown)
    return [segment.name(x, WHOLE) for x in pair]


def tangent(curve, u, direction):
    """The Place of a curve on a line through u (2,) in a direction (2,), and the curve's direction there, in cells; or None."""
    here = curve.on(u, direction)
    way = None if here is None else curve.heading(here, direction)
    return None if way is None else (here, way / np.linalg.norm(way))


def meeting(one, other, u, directions):
    """The Place of a curve at which another crosses it near u (2,) with the same loss, by tangents and then secants, or None;
    directions (2, 2): across each.
    """
    curves, last, places = [one, other], np.inf, None
    for _ in range(MOST_STEPS):
        if places is None:
            found = [tangent(curve, u, direction) for curve, direction in zip(curves, directions, strict=True)]
            if None in found:
                return None
            places, ways = zip(*found, strict=True)
        else:
            before, places = places, [curve.on(u, across(way)) for curve, way in zip(curves, ways, strict=True)]
            if None in places:
                return None
            chords = [(place.u - old.u) / one.cell for place, old in zip(places, before, strict=True)]
            ways = [
                chord / np.linalg.norm(chord) if np.linalg.norm(chord) > MEETS else way
                for chord, way in zip(chords, ways, strict=True)
            ]
        curves = [curve.moved(place) for curve, place in zip(curves, places, strict=True)]
        (first, second), (a, b) = places, ways
        turned = a[0] * b[1] - a[1] * b[0]
        if abs(turned) < SMALL:
            return None
        apart = (second.u - first.u) / one.cell
        moved = first.u + (apart[0] * b[1] - apart[1] * b[0]) / turned * a * one.cell
        step = np.abs((moved - u) / one.cell).max()
        if step < EXACT or last / 2 < step < MEETS:  # of curves that are nearly parallel rounding is larger
            landscape = Segment(one.plane, moved, moved).landscape(0.0)  # of both at one place
            losses = landscape.losses([*first.pair, *second.pair])
            return first if np.ptp(losses) <= LOWER * losses.min() + 1e-16 else None  # one has led elsewhere
        u, last = moved, step
    return None


def order_change(curve, u, way):
    """The Place of a Vanishing curve, near u (2,) along a direction (2,) in cells, where its order changes; or None."""
    places, known = np.array([0.0, SHORTEST]), []
    for at in places:
        known.append(curve.on(u + at * way * curve.cell, across(way)))
    for _ in range(MOST_STEPS):
        if None in known[-2:] or known[-1].turn == known[-2].turn:
            return None
        step = -known[-1].turn * (places[-1] - places[-2]) / (known[-1].turn - known[-2].turn)
        if abs(step) < EXACT or abs(places[-1] - places[-2]) / 2 < abs(step) < SMALL * SHORTEST:
            return known[-1]
        places = np.append(places, places[-1] + step)
        if abs(places[-1]) > 2:
            return None
        known.append(curve.on(u + places[-1] * way * curve.cell, across(way)))
    return None


class Follower:
    """Follows curves over a plane with corners (2, 2).

    lower: a function of u (2,), of points (n, size) and of a loss that is what `Network.lower` is.
    """

    def __init__(self, plane, corners, lower):
        self.plane, self.corners, self.lower = plane, corners, lower
        self.met = []  # parameters (size,) of what was lower than a curve

    def outside(self, u):
        """Whether u (2,) lies outside the plane's window."""
        return bool(np.any(u < self.corners[0]) or np.any(u > self.corners[1]))

    def below(self, place):
        """What is lower at a Place than the minima of its curve, as ``lower`` returns it, or None."""
        found = self.lower(place.u, [*place.pair, *self.met], place.losses.min() * (1 - LOWER) - 1e-16)
        if found is not None:
            self.met.append(found[0])
        return found

    def follow(self, curve, place, way, goals):
        """Follow a curve from a Place in a direction (2,), in cells: (places, end, the Place there).

        goals (n, 2): at one of them the curve is known from there on; the end is its number.
        """
        places, step, trial, phases = [], STEP, STEP, names(self.plane, place, curve.order)
        while step >= SHORTEST and len(places) < MOST_PLACES:
            goal, share = self._goal(curve, place, way, goals, step)
            beyond = curve.on(place.u + share * way * curve.cell, across(way))
            if goal is not None and beyond is not None and np.abs((beyond.u - goals[goal]) / curve.cell).max() < ASIDE:
                return places, goal, None
            event, lower = self._event(curve, place, beyond, phases)
            if event:
                if step <= trial and (event != "no minimum" or step < 2 * SHORTEST):
                    end, found = self._ended(curve, place, way, event, beyond, lower)
                    if end != "unresolved":
                        reach = np.linalg.norm((found.u - place.u) / curve.cell)
                        known, _ = self._goal(curve, place, way, goals, reach)
                        return (places, end, found) if known is None else (places, known, None)
                    trial = step / SELDOM
                step /= 2
                continue
            chord = (beyond.u - place.u) / curve.cell
            way, place, curve = chord / np.linalg.norm(chord), beyond, curve.moved(beyond)
            trial, step = step, min(2 * step, STEP)
            places.append(place)
        return places, "unresolved", None

    def _goal(self, curve, place, way, goals, reach):
        """The number of the first goal (n, 2) ahead of a Place in a direction (2,) and how far it is, in cells.

        None and ``reach`` where it is farther, or does not lie that way.
        """
        ahead = (goals - place.u) / curve.cell
        shares, aside = ahead @ way, np.abs(ahead @ across(way))
        near = (shares > 0) & (shares < reach * (1 + ASIDE)) & (aside < shares)  # a step that ends on a goal ends there
        if not near.any():
            return None, reach
        goal = int(np.argmin(np.where(near, shares, np.inf)))
        return goal, shares[goal]

    def _event(self, curve, place, beyond, phases):
        """Why a curve between two phases does not go on from a Place to the next, "" where it does; and what is lower there."""
        if beyond is None:
            return "lost", None
        turned = beyond.turn < 0
        if not turned and self.outside(beyond.u):
            return "edge", None
        if turned or (curve.order == "first" and apart(self.plane, curve.cell, beyond) <= SMALL):
            return "order changes", None
        n_told = 2 if curve.order == "first" else 1  # what has just left 0 may do so in many ways
        if names(self.plane, beyond, curve.order)[:n_told] != phases[:n_told]:
            return "lost", None
        lower = self.below(beyond)
        return "" if lower is None else "lower" if lower[2] else "no minimum", lower

    def _ended(self, curve, place, way, event, beyond, lower):
        """How a curve ends just beyond a Place in a direction (2,), and the Place of it."""
        if event == "edge":
            found = self._at_edge(curve, place, beyond)
            known = found is not None and not found.turn < 0 and self.below(found) is None
            return ("edge", found) if known else ("unresolved", place)
        if event == "no minimum":
            return event, place
        if lower is None and apart(self.plane, curve.cell, place) < CLOSE:  # they become one
            small = curve if isinstance(curve, Vanishing) else Vanishing.of(self.plane, curve.cell, place.u, place.pair)
            found = None if small is None else order_change(small, place.u, way)
            if found is not None and self._leads(curve, place, way, found):
                return "order changes", found
        near = place if lower is None else beyond  # where all of them exist
        for one, other, directions in self._crossing(curve, near, way, lower):
            found = meeting(one, other, near.u, directions)
            if found is not None and self._holds(curve, place, way, found):
                own = curve.on(found.u, across(way))  # None where its minima end there
                if own is not None and np.abs((own.u - found.u) / curve.cell).max() < MEETS:
                    return "triple point", own
                if own is None:
                    return "triple point", place._replace(u=found.u, losses=found.losses)
        return "unresolved", place

    def _crossing(self, curve, place, way, lower):
        """Pairs of curves that may meet where one ends, just beyond a Place in a direction (2,), with directions across both.

        What is lower there has the loss of what the curve consists of; or a weight of one of these vanishes, and what is
        left of it has.
        """
        sides = place.pair[:1] if curve.order == "continuous" else place.pair
        known = [*sides, *(() if lower is None else (lower[0],))]
        plane, cell, both = self.plane, curve.cell, [across(way), way]
        if lower is not None:
            yield from ((curve, Coexistence(plane, cell, np.array([one, lower[0]])), both) for one in sides)
        left, segment = [], Segment(plane, place.u, place.u)
        for k, x in enumerate(known):
            small = Vanishing.of(plane, cell, place.u, x[None])
            there = None if small is None else small.on(place.u, way)
            others = sides if k < len(sides) else ()  # where one of both turns into the other nothing else meets them
            if there is not None and segment.name(there.pair[0], WHOLE) not in [segment.name(other, WHOLE) for other in others]:
                left.append((small, there.pair[0], known[:k] + known[k + 1 :]))
        yield from ((curve, small, both) for small, _, _ in left)
        yield from (
            (small, Coexistence(plane, cell, np.array([x, other])), both[::-1]) for small, x, others in left for other in others
        )
        yield from ((curve, Coexistence(plane, cell, np.array([x, one])), both) for _, x, _ in left for one in sides)

    def _at_edge(self, curve, place, beyond):
        """The Place at which a curve leaves the window between two of its places; or None."""
        crossed = beyond.u - place.u
        shares = [
            ((self.corners[side, axis] - place.u[axis]) / crossed[axis], axis)
            for axis in range(2)
            for side in range(2)
            if crossed[axis] != 0
        ]
        share, axis = min(one for one in shares if one[0] >= 0)
        along = np.zeros(2)
        along[1 - axis] = 1.0
        return curve.on(place.u + share * crossed, along)

    def _ahead(self, curve, place, way, found):
        """Whether an end of a curve lies next to a Place in a direction (2,), within the window, and nothing is lower there.

        Where the order has changed before the Place, its end lies behind.
        """
        ahead = (found.u - place.u) / curve.cell
        near = np.abs(ahead).max() <= 1 and (ahead @ way > -MEETS or place.turn < 0)
        return near and not self.outside(found.u) and self.below(found) is None

    def _leads(self, curve, place, way, found):
        """Whether a curve leads from a Place to an end of it, by its direction: minima that merge share a narrow strip."""
        if not self._ahead(curve, place, way, found):
            return False
        way = (found.u - place.u) / curve.cell
        heading = curve.heading(place, across(way))
        if heading is None:
            return False
        aside = way - heading * (way @ heading) / (heading @ heading)
        return bool(np.linalg.norm(aside) < np.linalg.norm(way) / 4)

    def _holds(self, curve, place, way, found):
        """Whether an end of a curve is one next to a Place in a direction (2,), and nothing is lower on the way to it."""
        if not self._ahead(curve, place, way, found):
            return False
        way = (found.u - place.u) / curve.cell
        if np.abs(way).max() < 2 * SHORTEST:
            return True
        middle = curve.on((place.u + found.u) / 2, across(way))
        if middle is None or self.below(middle) is not None:
            return False
        aside = np.abs((middle.u - (place.u + found.u) / 2) / curve.cell).max()
        return bool(aside < np.abs(way).max() / 4)
