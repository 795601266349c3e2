"""Curves of neurons followed over a plane, and how they end: at an edge, another curve, where their order changes, or nowhere."""

import numpy as np

from .curves import ASIDE, CLOSE, LOWER, MEETS, SHORTEST, STEP, Coexistence, Renamed, across, apart, meeting, names
from .search import SMALL
from .transitions import Segment
from .vanishing import Vanishing, order_change, parting

MOST_PLACES, SELDOM = 128, 8
"""Of a curve that is followed from one end; where its end is not found it is sought again with steps so many times shorter."""


class Follower:
    """Follows curves over a plane with corners (2, 2).

    lower: a function of u (2,), of points (n, size) and of a loss that is what `Network.lower` is.
    """

    def __init__(self, plane, corners, lower):
        self.plane, self.corners, self.lower = plane, corners, lower
        self.met = []  # parameters (size,) of what was lower than a curve
        self.parted = ()  # the curves of a Parting in which the one that is followed ends

    def outside(self, u):
        """Whether u (2,) lies outside the plane's window."""
        return bool(np.any(u < self.corners[0]) or np.any(u > self.corners[1]))

    def below(self, place, *more):
        """What is lower at a Place than the minima of its curve, as ``lower`` returns it; None where nothing is. more: points."""
        found = self.lower(place.u, [*place.pair, *self.met, *more], place.losses.min() * (1 - LOWER) - 1e-16)
        if found is not None:
            self.met.append(found[0])
        return found

    def _fallen(self, place, k, side):
        """As `below`, at a Place at which weight k of a sign leaves 0 beside the one that vanishes: where that leads to."""
        x = place.pair[0]
        return self.below(place, np.where(np.arange(len(x)) == k, side * SMALL * np.abs(x).max(), x))

    def follow(self, curve, place, way, goals):
        """Follow a curve from a Place in a direction (2,), in cells: (places, end, the Place there).

        goals (n, 2): at one of them the curve is known from there on; the end is its number.
        """
        places, step, trial, phases = [], STEP, STEP, names(self.plane, place)
        while step >= SHORTEST and len(places) < MOST_PLACES:
            goal, share = self._goal(curve, place, way, goals, step)
            beyond = curve.onward(place, way, step) if goal is None else curve.on(place.u + share * way * curve.cell, across(way))
            if goal is not None and beyond is not None and np.abs((beyond.u - goals[goal]) / curve.cell).max() < ASIDE:
                return places, goal, None
            event, lower = self._event(curve, place, way, step, beyond, phases)
            if event:
                if step <= trial and (event != "no minimum" or step < 2 * SHORTEST):
                    end, found = self._ended(curve, place, way, step, event, beyond, lower)
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

    def _event(self, curve, place, way, step, beyond, phases):
        """Why a curve between two phases does not go on from a Place to the next, "" where it does; and what is lower there."""
        if beyond is None:  # beyond density 1 nothing is found
            return "edge" if self.outside(place.u + step * way * curve.cell) else "lost", None
        turned = beyond.turn < 0
        if not turned and self.outside(beyond.u):
            return "edge", None
        if turned or (curve.order == "first" and self._merges(curve, place, beyond)):
            return "order changes", None
        n_told = 2 if curve.order == "first" else 1  # what has just left 0 may do so in many ways
        if names(self.plane, beyond)[:n_told] != phases[:n_told]:
            return "lost", None
        if isinstance(curve, Vanishing):
            if curve.released(beyond):
                return "parts", None
            middle = curve.onward(place, way, step / 2)
            if middle is None or middle.turn < 0:  # the order may change twice
                return "lost" if middle is None else "order changes", None
        lower = self.below(beyond)
        return "" if lower is None else "lower" if lower[2] else "no minimum", lower

    def _merges(self, curve, place, beyond):
        """Whether the minima of a curve are near each other beyond a Place, and come nearer."""
        jump = apart(self.plane, curve.cell, beyond)
        return jump <= SMALL and jump < apart(self.plane, curve.cell, place)

    def _ended(self, curve, place, way, step, event, beyond, lower):
        """How a curve ends within a step beyond a Place in a direction (2,), and the Place of it."""
        if event == "edge":
            crossed = step * way * curve.cell if beyond is None else beyond.u - place.u
            found = self._at_edge(curve, place, crossed, step)
            known = found is not None and not found.turn < 0 and self.below(found) is None
            return ("edge", found) if known else ("unresolved", place)
        if event == "no minimum":
            return event, place
        if isinstance(curve, Vanishing):
            for one, there, k, side in self._partings(curve, place, way, event, beyond):
                found = parting(one, there, way, k, side)
                if found is not None and self._ahead(curve, place, way, found.place):
                    self.parted = found.curves
                    return "triple point", found.place
                if event == "parts":
                    lower = lower or self._fallen(beyond, k, side)
        if lower is None and apart(self.plane, curve.cell, place) < CLOSE:  # they become one
            for small in self._small(curve, place, way):
                found = order_change(small, place.u, way)
                if found is not None and self._leads(curve, place, way, found):
                    return "order changes", found
        near = place if lower is None else beyond  # where all of them exist
        renamed = () if beyond is None or isinstance(curve, Vanishing) else zip(place.pair, beyond.pair, strict=True)
        for one, other, directions in [
            *((curve, Renamed(self.plane, curve.cell, np.array(pair)), (across(way), way)) for pair in renamed),
            *self._crossing(curve, near, way, lower),
        ]:
            both = meeting(one, other, near.u, directions)
            if both is not None and self._holds(curve, place, way, found := both[0]):
                own = next((there for there, it in zip(both, (one, other), strict=True) if it is curve), None)
                own = own or curve.on(found.u, across(way))  # None where its minima end there
                if own is not None and np.abs((own.u - found.u) / curve.cell).max() < MEETS:
                    return "triple point", own
                if own is None:
                    pair, _, _ = Segment(self.plane, found.u, found.u).follow(place.pair, 0.0)  # what they end in
                    return "triple point", place._replace(u=found.u, pair=pair, losses=found.losses)
        return "unresolved", place

    def _partings(self, curve, place, way, event, beyond):
        """Where a Vanishing curve ends, just beyond a Place in a direction (2,): another weight may come to vanish with its own.

        Or one does that its minimum has, and its own with that. A list of curves, each with a Place, such a weight and its sign.
        """
        if event == "parts":
            return [(curve, place, k, side) for k, side in curve.released(beyond)]
        small, k = Vanishing.of(self.plane, curve.cell, place.u, place.pair[:1]), curve.small.k
        there = None if small is None else small.on(place.u, way)
        other = [] if there is None else [(small.moved(there), there, k, np.sign(place.small.x[k]))]
        return [*((curve, place, k, side) for k, side in curve.together(place)), *other]

    def _small(self, curve, place, way):
        """Vanishing curves on which the order may change where one ends, just beyond a Place in a direction (2,).

        Weights of neurons that do not know of each other vanish on one curve, each alone as together: alone they are told apart.
        """
        if isinstance(curve, Vanishing):
            yield curve
            for k, _ in curve.together(place):
                alone = curve.without(place, k)
                there = alone.on(place.u, across(way))
                if there is not None and np.abs((there.u - place.u) / curve.cell).max() < MEETS:
                    yield alone
        small = Vanishing.of(self.plane, curve.cell, place.u, place.pair[:1] if curve.order == "continuous" else place.pair)
        if small is not None:
            yield small

    def _crossing(self, curve, place, way, lower):
        """Pairs of curves that may meet where one ends, just beyond a Place in a direction (2,), with directions across both.

        What is lower there has the loss of what the curve consists of; or a weight of one of these vanishes, and what is
        left of it has.
        """
        sides = place.pair[:1] if curve.order == "continuous" else place.pair
        known = [*sides, *(() if lower is None else (lower[0],))]
        plane, cell, both = self.plane, curve.cell, [across(way), way]
        if lower is not None:
            yield from ((Coexistence(plane, cell, np.array([one, lower[0]])), curve, both[::-1]) for one in sides)
        left, segment = [], Segment(plane, place.u, place.u)
        for k, x in enumerate(known):
            small = Vanishing.of(plane, cell, place.u, x[None])
            there = None if small is None else small.on(place.u, way)
            others = sides if k < len(sides) else ()  # where one of both turns into the other nothing else meets them
            if there is not None and segment.name(there.pair[0]) not in [segment.name(other) for other in others]:
                left.append((small, there.pair[0], known[:k] + known[k + 1 :]))
                if k < len(sides) and isinstance(curve, Vanishing):  # where neither weight has left 0 both are alone
                    yield curve.without(place, small.small.k), small, both
        yield from ((curve, small, both) for small, _, _ in left)
        yield from (
            (small, Coexistence(plane, cell, np.array([x, other])), both[::-1]) for small, x, others in left for other in others
        )
        yield from ((curve, Coexistence(plane, cell, np.array([x, one])), both) for _, x, _ in left for one in sides)

    def _at_edge(self, curve, place, crossed, step):
        """The Place at which a curve leaves the window on the way (2,) crossed from one of its places, near it; or None."""
        shares = [
            ((self.corners[side, axis] - place.u[axis]) / crossed[axis], axis)
            for axis in range(2)
            for side in range(2)
            if crossed[axis] != 0
        ]
        share, axis = min(one for one in shares if one[0] >= 0)
        along = np.zeros(2)
        along[1 - axis] = 1.0
        found = curve.on(place.u + share * crossed, along)
        near = found is not None and np.linalg.norm((found.u - place.u) / curve.cell) < 2 * step
        return found if near else None

    def _ahead(self, curve, place, way, found):
        """Whether an end of a curve lies next to a Place in a direction (2,), within the window, and nothing is lower there.

        Where the order has changed before the Place, its end lies behind.
        """
        ahead = (found.u - place.u) / curve.cell
        near = np.abs(ahead).max() <= 1 and (ahead @ way > -MEETS or place.turn < 0)
        return near and not self.outside(found.u) and self.below(found) is None

    def _leads(self, curve, place, way, found):
        """Whether a curve leads from a Place to an end of it, by its direction: minima that merge share a narrow strip.

        That of a continuous curve is one in the space of minima and plane.
        """
        if not self._ahead(curve, place, way, found):
            return False
        way = (found.u - place.u) / curve.cell
        heading = curve.tangent(place, way)
        if heading is None:
            return False
        if isinstance(curve, Vanishing):
            way = np.append(way, found.pair[0] - place.pair[0])
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
