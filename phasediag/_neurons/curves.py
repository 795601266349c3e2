"""Boundaries of neurons as curves in a plane: places on them, of each kind but where weights vanish, and where two meet."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from .._arguments import Floats
from .search import SMALL
from .transitions import Segment, Small

ASIDE = 1e-3
"""Of a cell of the grid: two places of a curve so far apart tell its direction."""
STEP, SHORTEST = 0.5, 1e-3
"""Of a cell: curves are followed by such steps, at last by the shortest."""
EXACT, MEETS, MOST_STEPS = 1e-12, 1e-7, 12
"""Of a cell: curves are brought together until steps are below the first, or the second and do not shrink; by so many at most."""
CLOSE = 0.1
"""Minima of first order that are nearer than this may become one where their curve is lost."""
LOWER = 1e-12
"""Another minimum is lower by that part of the loss at least."""


class Place(NamedTuple):
    """A place u (2,) of a curve: the minima of both sides (2, size), and their losses (2,).

    line (2, 2): the ends of the segment on which it was sought. Of a continuous curve turn, small, points are those of an Onset,
    near (2,) is where the second rests, and came (size,) how the minimum has changed per cell on the way.
    """

    u: Floats
    pair: Floats
    losses: Floats
    turn: float
    line: Floats
    small: Small | None = None
    near: Floats | None = None
    points: tuple = ()
    came: Floats | None = None

    @property
    def sides(self):
        """The minima (2, size), the second with what has just left 0, as large as it is shown."""
        return self.pair if self.small is None else np.array([self.pair[0], self.small.shown])


class Curve:
    """A curve that is sought on lines near by."""

    def heading(self, place, direction):
        """The direction (2,), in cells, in which the curve passes a Place on a line in a direction (2,); or None."""
        beside = self.moved(place).on(place.u + ASIDE * across(direction) * self.cell, direction)
        return None if beside is None else (beside.u - place.u) / self.cell

    def tangent(self, place, way):
        """The direction of the curve at a Place, next to one (2,) in cells, with what else of it is known; or None."""
        return self.heading(place, across(way))

    def onward(self, place, way, step):
        """The Place a step on from one in a direction (2,), in cells; None where it lies aside by more than half of that."""
        ahead = place.u + step * way * self.cell
        return self._near(self.on(ahead, across(way)), ahead, step)

    def _near(self, place, ahead, step):
        """A Place, or None where it lies farther than half a step from where it was to lie, ahead (2,)."""
        return place if place is not None and np.linalg.norm((place.u - ahead) / self.cell) < step / 2 else None

    def begun(self, place):
        """The Place of it on the line of one; or None."""
        return place

    def line(self, u, across):
        """The Segment on both sides of u (2,), a cell long each, in a direction (2,) in cells."""
        return Segment(self.plane, u - across * self.cell, u + across * self.cell)


@dataclass(frozen=True, eq=False)
class _OfPair(Curve):
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
        found = segment.coexistence(self.pair, 0.5) or self._risen(segment)
        if found is None:
            return None
        t, pair, losses = found
        return Place(segment.place(t), pair, losses, np.nan, segment.ends)

    def _risen(self, segment):
        """As of `Segment.coexistence`, of two that may become one: from where one turns into the other."""
        if segment.landscape(0.5).distance(*self.pair, exchange=False) > CLOSE:
            return None
        own = [segment.name(x) for x in self.pair]
        for onset in segment.onsets(self.pair, 0.5):
            found = segment.tied(onset) if onset.turn < 0 else None
            names = [] if found is None else [segment.name(x) for x in found[1]]
            if sorted(names) == sorted(own):
                t, pair, losses = found
                return t, pair[:: 1 if names == own else -1], losses
        return None

    def onward(self, place, way, step):
        """The same, in the direction in which the curve passes the Place: after a bend it is not that of the step before."""
        heading = self.heading(place, across(way))
        if heading is not None and heading @ way != 0:
            way = heading * np.sign(heading @ way) / np.linalg.norm(heading)
        return super().onward(place, way, step)

    def heading(self, place, _):
        """The direction (2,), in cells, in which the curve passes a Place: both losses change alike, whatever the minima do."""

        def difference(u):
            """Of the losses at u (2,) of what rests at the place, where they are equal."""
            return np.subtract(*Segment(self.plane, u, u).landscape(0.0).losses(place.pair))

        steps = ASIDE * np.diag(self.cell)
        rise = np.array([difference(place.u + step) - difference(place.u - step) for step in steps])
        return across(rise) if np.any(rise) else None


class Renamed(_OfPair):
    """Where the name of one minimum changes with a share of its weights; pair: on both sides."""

    order = "continuous"

    def on(self, u, across):
        """The Place on a line through u (2,) in a direction (2,), in cells, at most a cell away; or None."""
        segment = self.line(u, across)
        found = segment.renamed(self.pair, 0.5)
        if found is None:
            return None
        t, pair, losses = found
        return Place(segment.place(t), pair, losses, np.nan, segment.ends)


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


def names(plane, place):
    """The names of the two phases at a Place of a curve."""
    segment = Segment(plane, place.u, place.u)
    return [segment.name(x) for x in place.sides]


def tangent(curve, u, direction):
    """The Place of a curve on a line through u (2,) in a direction (2,), and the curve's direction there, in cells; or None."""
    here = curve.on(u, direction)
    way = None if here is None else curve.heading(here, direction)
    return None if way is None else (here, way / np.linalg.norm(way))


def meeting(one, other, u, directions):
    """The Places of two curves where these cross near u (2,) with the same loss, by tangents and then secants, or None.

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
            return places if np.ptp(losses) <= LOWER * losses.min() + 1e-16 else None  # one has led elsewhere
        u, last = moved, step
    return None
