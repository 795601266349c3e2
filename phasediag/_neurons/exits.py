"""Curves that leave the points in which curves of neurons meet, by the slopes of the losses that are lowest there."""

from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from .._arguments import Floats
from .curves import ASIDE, MEETS, Coexistence, across, beside
from .search import SAME_LOSS, SMALL, Point
from .transitions import Segment
from .vanishing import Vanishing


@dataclass(frozen=True, eq=False)
class Exit:
    """A curve that leaves a point in a direction (2,), in cells.

    pair: the numbers of the minima that meet there; sides: of first order what may be these, two (n, size); small: the curve on
    which a weight vanishes, the curve itself where the order is continuous, and otherwise one to which it is a tangent.
    """

    order: str
    way: Floats
    pair: tuple[int, ...] = ()
    sides: tuple = field(default=(), repr=False)
    small: Vanishing | None = field(default=None, repr=False)

    @property
    def minima(self):
        """The minima (size,) of both sides where it begins."""
        return [points[0] for points in self.sides] if self.sides else [self.small.small.x] * 2

    def begun(self, plane, cell, u, step):
        """The curve and its Place so many cells from u (2,); None where it does not lie ahead."""
        there, curve = u + step * self.way * cell, self.small
        if self.order == "first":
            pair = self._rising(plane, there) if curve else self._settled(plane, there)
            if pair is None:
                return None
            curve = Coexistence(plane, cell, pair)
        place = curve.on(there, across(self.way))
        if place is None or place.turn < 0 or np.linalg.norm((place.u - there) / cell) > step / 2:
            return None
        if self.order == "continuous":
            curve = curve.moved(place).grown(place, across(self.way))
            place = curve.on(place.u, across(self.way))
            if place is None or not curve.grows_stable(place, across(self.way)):
                return None
        return curve.moved(place), place

    def _settled(self, plane, u):
        """The minima (2, size) to which the sides lead at u (2,), or None."""
        landscape, pair = Segment(plane, u, u).landscape(0.0), []
        for points in self.sides:
            ends, numbers = landscape.descend(points)
            pair.append(ends[np.argmin(numbers[:, 0])])
        return None if landscape.distance(*pair, exchange=False) <= SMALL else np.array(pair)

    def _rising(self, plane, u):
        """The minima (2, size) near u (2,) without and with the weight, grown until the loss is the lower one; or None."""
        segment = self.small.line(u, across(self.way))
        found = segment.vanished(self.small.small, 0.5)
        risen = None if found is None else segment.risen(found)
        return None if risen is None else risen[0]


def lowest_at(plane, cell, u, points):
    """The different minima (n, size) of the lowest loss at u (2,) to which descents from points (n, size) lead."""
    landscape, near = Segment(plane, u, u).landscape(0.0), beside(plane, cell, u)
    ends, numbers = landscape.descend(np.asarray(points))
    lowest, found = numbers[:, 0] <= np.nanmin(numbers[:, 0]) * (1 + SAME_LOSS), []
    for x, (loss, gradient, _) in zip(ends[lowest], numbers[lowest], strict=True):
        if not any(near.same(x, other) for other in found) and Point(x, loss, gradient, landscape.curvature(x)[0]).is_minimum:
            found.append(x)
    return np.array(found)


def numbers_of(plane, cell, u, minima, points):
    """Of which of the minima (n, size) of u (2,) each of points (n_points, size) is one, or is nearest to one: a tuple."""
    near = beside(plane, cell, u)
    return tuple(sorted({int(np.argmin([near.distance(x, other) for other in minima])) for x in points}))


def slopes(plane, cell, u, minima):
    """How the losses of minima (n, size) change at u (2,) by both axes, (n, 2), per cell: as those of fixed weights do."""

    def losses(place):
        """Of the minima as they are, at a place (2,)."""
        return Segment(plane, place, place).landscape(0.0).losses(minima)

    return np.array([losses(u + step) - losses(u - step) for step in ASIDE * np.diag(cell)]).T / (2 * ASIDE)


def exits(plane, cell, u, minima, others, known):
    """The Exits of a point u (2,) in which minima (n, size) have the lowest loss; others: a list of minima (size,) next to it.

    known: a dict of what `_vanishing` has told of minima before.

    In a direction that with the steepest fall is the lowest one: the phases around u are the corners of the convex hull of the
    slopes, and its edges are the curves between them. Where a weight of one vanishes a curve goes on through its part.
    """
    slope = slopes(plane, cell, u, minima)
    small = [None] * len(minima)
    for x in [*minima, *others]:
        one = known[x.tobytes()] = known[x.tobytes()] if x.tobytes() in known else _vanishing(plane, cell, u, x)
        if one is not None:
            (a,) = numbers_of(plane, cell, u, minima, one[1].pair[:1])
            small[a] = small[a] or one
    sides = [np.array([x] if one is None else [x, one[1].small.x]) for x, one in zip(minima, small, strict=True)]
    found = []
    for a, b, way in _borders(slope):
        found.append(Exit("first", way, (a, b), (sides[a], sides[b])))
    for a, one in enumerate(small):
        if one is not None:
            curve, _, way = one
            others = np.delete(slope, a, axis=0)
            found += [
                Exit("continuous", s * way, (a,), small=curve) for s in (1, -1) if np.all((slope[a] - others) @ (s * way) < 0)
            ]
    return found


def _vanishing(plane, cell, u, x):
    """The Vanishing curve through u (2,) of a minimum x (size,), its Place and direction there; None where there is none."""
    curve = Vanishing.of(plane, cell, u, x[None])
    for direction in np.eye(2):
        here = None if curve is None else curve.on(u, direction)
        if here is not None:
            way = curve.heading(here, direction) if np.abs((here.u - u) / cell).max() < MEETS else None
            return None if way is None else (curve.moved(here), here, way / np.linalg.norm(way))
    return None


def _borders(slope):
    """The numbers of the two between which a border of the lowest plane of slopes (n, 2) runs, and its direction (2,): a list."""
    found = []
    for a, b in combinations(range(len(slope)), 2):
        apart = slope[b] - slope[a]
        if np.linalg.norm(apart) > MEETS * np.abs(slope).max():
            above = (slope - slope[a]) @ across(apart)
            found += [(a, b, s * across(apart)) for s in (1, -1) if np.all(s * above >= -MEETS * np.linalg.norm(apart))]
    return found


def beyond_order_change(plane, cell, u, pair, order, way):
    """The Exit where a curve of the other order, of a pair (2, size), ends in u (2,) along a direction (2,); None without."""
    found = next((one for one in (_vanishing(plane, cell, u, x) for x in pair) if one is not None), None)
    if found is None:
        return None
    small, _, heading = found
    heading = heading if heading @ way >= 0 else -heading
    return Exit("continuous" if order == "first" else "first", heading, small=small)
