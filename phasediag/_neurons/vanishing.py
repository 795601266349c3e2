"""Continuous boundaries of neurons: where weights vanish, where the order changes, and where another weight joins."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from .._arguments import Floats
from ..neuron_phases import NOUGHT
from .branches import POWERS, Branch
from .curves import ASIDE, EXACT, MOST_STEPS, SHORTEST, Coexistence, Curve, Place, Renamed, across
from .faces import ON
from .search import SMALL
from .transitions import Lean, Segment, Small

SHORT = 1 / 16
"""Of a step: the chord that is tried where a tangent has led aside."""


@dataclass(frozen=True, eq=False)
class Vanishing(Curve):
    """Where the weight of a Small vanishes."""

    plane: Any
    cell: Floats
    small: Small
    order = "continuous"

    @classmethod
    def of(cls, plane, cell, u, pair):
        """The curve next to u (2,) on which a weight of one of two minima (2, size) vanishes; None where none does."""
        segment = Segment(plane, u - cell, u + cell)
        kinks = segment.landscape(0.5).kinks(np.asarray(pair), NOUGHT).sum(axis=1)
        found = (segment.least(pair[k], 0.5) for k in np.argsort(kinks, kind="stable"))
        return next((cls(plane, cell, small) for small in found if small is not None), None)

    def on(self, u, across, lean=None):
        """The Place on a line through u (2,) in a direction (2,), in cells, at most a cell away, and a Lean of it; or None."""
        segment = Segment(self.plane, u - across * self.cell, u + across * self.cell, lean)
        found = segment.vanished(self.small, 0.5)
        if found is None or not 0 <= found.t <= 1:
            return None
        u, near = segment.place(found.t, found.x), segment.place(found.near, found.small.x)
        losses = np.repeat(segment.landscape(found.t, found.x).losses([found.x]), 2)
        points = tuple((segment.place(point.t, point.x), point.x, point.value) for point in found.points)
        pair = np.array([found.x, found.x])
        return Place(u, pair, losses, found.turn, segment.ends, found.small, near, points, np.zeros(len(found.x)))

    def onward(self, place, way, step):
        """The same, a step in the space of minima and plane, and sought at a right angle there.

        Where the minimum changes fast a curve may turn back in the plane.
        """
        way, by = self._tangent(place, way)
        found = self._stepped(place, way, by, step)
        if found is None:  # where it turns a short chord tells its direction better than what is told a little aside
            short = self._stepped(place, way, by, step * SHORT)
            if short is None:
                return None
            chord, by = (short.u - place.u) / self.cell, short.pair[0] - place.pair[0]
            length = np.linalg.norm(chord) * np.sign(step)
            found = self._stepped(place, chord / length, by / length, step)
        if found is None:
            return None
        return found._replace(came=(found.pair[0] - place.pair[0]) / np.linalg.norm((found.u - place.u) / self.cell))

    def _stepped(self, place, way, by, step):
        """The Place a step on, or None, in a direction (2,), in cells, in which the minimum changes by so much (size,)."""
        longer = np.sqrt(1 + by @ by)
        start, lean = place.u + step * longer * way * self.cell, Lean(place.pair[0], -by, way * self.cell)
        ahead = place.u + step / longer * way * self.cell
        return self._near(self._changed(place, step / longer * by).on(start, across(way), lean), ahead, abs(step))

    def beside(self, place, way, step):
        """The Place a step on from one in a direction (2,), in cells, on a line across the curve; or None."""
        way, by = self._tangent(place, way)
        ahead = place.u + step * way * self.cell
        return self._near(self._changed(place, step * by).on(ahead, across(way)), ahead, abs(step))

    def _changed(self, place, change):
        """The curve, to be sought from a Place of it with a change of its minimum (size,)."""
        return replace(self, small=place.small._replace(x=place.small.x + change))

    def begun(self, place):
        """The Place of it on the line of one; or None."""
        along = (place.line[1] - place.line[0]) / self.cell
        return self.on(place.u, along / np.linalg.norm(along))

    def heading(self, place, direction):
        """The direction (2,), in cells, in which the curve passes a Place: the slope of the loss by the weight stays 0."""
        found = self._changes(place, direction)
        return None if found is None or not np.any(found[1]) else across(found[1])

    def tangent(self, place, way):
        """The same: how the minimum changes."""
        return np.concatenate(self._tangent(place, way))

    def _tangent(self, place, way):
        """The unit direction (2,), in cells, of the curve at a Place, next to one, and how its minimum changes (size,)."""
        found = self._changes(place, across(way))
        if found is None or not np.any(found[1]):
            return way, np.zeros(place.pair.shape[1])
        ahead = across(found[1])
        by = ahead @ found[0]
        turn = np.sign(ahead @ way + by @ place.came)
        return turn * ahead, turn * by

    def _changes(self, place, direction):
        """How the minimum with the weight changes by both axes (2, size), and its place on a line in a direction (2,), (2,)."""
        small = place.small
        found = Branch(self.line(place.near, direction), small.k, small.free).newton(0.5, small.x)
        if found is None:
            return None

        def slope(step):
            """The gradient of the minimum with the weight, a step (2,) aside of where it rests."""
            u = place.near + step
            return Segment(self.plane, u, u).landscape(0.0).slope(small.x)

        steps = ASIDE * np.diag(self.cell)
        changes = [found[0]((slope(step) - slope(-step)) / (2 * ASIDE)) for step in steps]
        return tuple(np.array(one) for one in zip(*changes, strict=True))

    def zero(self, place, way, measure):
        """The Place next to one of it, along a direction (2,) in cells, at which a measure of Places is 0; or None."""
        curve = self.moved(place)
        return _zero(lambda step: curve.onward(place, way, step) if step else place, measure)

    def grown(self, place, direction):
        """The curve of all weights that leave 0 at a Place as soon as its weight has, on a line in a direction (2,)."""
        segment = self.line(place.u, direction)
        onset = segment.vanished(self.small, 0.5)
        return self if onset is None else replace(self, small=segment.grown(onset).small)

    def grows_stable(self, place, direction):
        """Whether what grows at a Place is a minimum: its curvatures are as small as the weight, and told where this is 0."""
        curvatures, bends, small = [], [], place.small
        for u, x, value in place.points[:2]:
            found = Branch(self.line(u, direction), small.k, small.free).newton(0.5, x)
            if found is None:
                return False
            _, turn, _, rise = found
            curvatures.append(Segment(self.plane, u, u).landscape(0.0).curvature(x)[0] / abs(value))
            bends.append(turn * rise / abs(value))
        curvature, bend = (2 * half - whole for whole, half in (curvatures, bends))
        return bool(curvature > -SMALL * abs(bend))

    def together(self, place):
        """The weights that vanish at a Place with the one that is held, and their signs: a list, the least first."""
        x, least = place.small.x, np.argsort(np.abs(place.small.x))
        return [(int(k), np.sign(x[k])) for k in least if place.small.gone[k] and k != place.small.k]

    def without(self, place, k):
        """The curve near a Place of it on which weight k stays 0."""
        small, kept = place.small, np.arange(len(place.small.x)) != k
        return replace(self, small=small._replace(x=small.x * kept, free=small.free & kept, gone=small.gone & kept))

    def released(self, place):
        """The weights that stay 0 at a Place, while the loss falls with them where the one that is held has grown; with signs."""
        held = self.line(place.u, np.ones(2)).landscape(0.5).held(place.small.x) & (place.small.x == 0)
        signs = [(k, side) for k in np.flatnonzero(held) for side in (-1, 1)]
        return [(k, side) for k, side in signs if _at_zero(pulls(self.plane, place, k, side, 1)) < -(SMALL**2)]

    def moved(self, place):
        """The same curve, to be sought from a Place of it."""
        return replace(self, small=place.small)


def curve_of(plane, cell, u, pair, order):
    """The curve of an order that passes u (2,), by the minima of both sides (2, size) there."""
    if order == "first":
        return Coexistence(plane, cell, pair)
    found = Vanishing.of(plane, cell, u, pair)
    return Renamed(plane, cell, pair) if found is None else found


def order_change(curve, u, way):
    """The Place of a Vanishing curve, near u (2,) along a direction (2,) in cells, where its order changes; or None."""
    start = curve.on(u, across(way))
    if start is None:
        return None
    return _zero(lambda step: curve.beside(start, way, step) if step else start, lambda place: place.turn)


def _zero(place, measure):
    """The Place at which a measure of Places is 0, a function of a share; or None. By secants from 0."""
    shares, known = np.array([0.0, SHORTEST]), []
    for at in shares:
        known.append(place(at))
    for _ in range(MOST_STEPS):
        if None in known[-2:] or (change := measure(known[-1]) - measure(known[-2])) == 0:
            return None
        step = -measure(known[-1]) * (shares[-1] - shares[-2]) / change
        if abs(step) < EXACT or abs(shares[-1] - shares[-2]) / 2 < abs(step) < SMALL * SHORTEST:
            return known[-1]
        shares = np.append(shares, shares[-1] + step)
        if abs(shares[-1]) > 2:
            return None
        known.append(place(shares[-1]))
    return None


class Parting(NamedTuple):
    """Where another weight comes to vanish with that of a curve: the Place, and two Vanishing curves, each with a Place.

    On the first, that goes on with the curve, the other weight stays 0; on the second it vanishes beside one that has grown.
    """

    place: Place
    curves: tuple


def parting(curve, place, way, k, side):
    """The Parting of a Vanishing curve near a Place of it in a direction (2,), in cells, where weight k leaves 0 too; or None.

    side: the sign of that weight. What tells is the slope of the loss by it where the other vanishes, or, where that is 0 all
    along the curve, how it grows with this one.
    """
    without = curve.without(place, k)
    start = without.on(place.u, across(way))
    if start is None:
        return None
    slopes = pulls(curve.plane, start, k, side, 0)
    order = int(abs(_at_zero(slopes)) < SMALL * np.abs(slopes).max())
    found = without.zero(start, way, lambda place: _at_zero(pulls(curve.plane, place, k, side, order)))
    other = None if found is None else without.zero(found, way, lambda place: pulls(curve.plane, place, k, side, order)[-1])
    if other is None:
        return None
    u, x, _ = other.points[-1]
    only = np.arange(len(x)) == k
    small = Segment(curve.plane, u, u).small(np.where(only, side * ON, x), k, place.small.free | only, only)
    both = Vanishing(curve.plane, curve.cell, small)
    line = across((u - found.u) / curve.cell)
    beside = both.on(u, line)
    if beside is None or not np.array_equal(beside.small.gone, only) or np.abs((beside.u - u) / curve.cell).max() > ASIDE:
        return None
    return Parting(found, ((without.moved(found), found), (both.moved(beside), beside)))


def pulls(plane, place, k, side, order):
    """The slopes (n_points,) of the loss by weight k of a sign, that is 0, at the points of a Place.

    Each per power of that order of the weight that vanishes there.
    """
    found = []
    for u, x, value in place.points:
        beside = np.where(np.arange(len(x)) == k, side * ON, x)
        found.append(Segment(plane, u, u).landscape(0.0).slope(beside)[k] * side / abs(value) ** order)
    return np.array(found)


def _at_zero(values):
    """What values (n_points,) at the points of a Place become where its weight vanishes."""
    return np.linalg.solve(POWERS, values)[0]
