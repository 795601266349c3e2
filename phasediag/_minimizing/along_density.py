"""The lowest minimum of equal features at every density: searches at some densities, minima carried to all, transitions solved.

A point is a `Settled`; a cell is a list of them, the distinct lowest minima at one density, lowest first.
"""

from dataclasses import dataclass
from itertools import count

import numpy as np
from scipy.optimize import brentq

from .._arguments import stream
from ..model import ToyModel, cell_controls
from .search import EFFORTS, search
from .stationary_points import distinct, invariants, same_minimum, settle

DENSITIES = np.concatenate([np.geomspace(1e-4, 0.1, 16)[:-1], np.linspace(0.1, 0.9995, 37)])
"""Where minima are compared; between two of these densities transitions are solved."""

KEPT = 8
"""So many of the lowest minima are carried from a density to the next."""

_NEAR = 0.1  # radius of descents from a minimum at a density nearby
_NARROW = 1e-6  # a bracket, relative, in which one minimum turns into another
_STEPS = np.arange(1, 8) * 2e-4  # relative distances from a zero of the curvature at which it is taken to extrapolate that zero
_LOWER = 1e-12  # relative difference of losses from which one minimum is lower than another
_BESIDE = 5e-3  # relative distance of such a zero from the bracket in which the phase has another name


@dataclass(frozen=True, eq=False)
class Crossing:
    """Where the lowest minimum changes: the density, "first" or "continuous", the points (Settled) on its sides, their names."""

    density: float
    order: str
    below: object
    above: object
    names: tuple


class AlongDensity:
    """The minima of n_features equal features in n_hidden dimensions along the density.

    densities: ndarray (n,), growing; cells: a list of them, a list of Settled for each density.
    """

    def __init__(self, n_features, n_hidden, seed, densities=DENSITIES):
        self.sizes, self.seed, self.densities = (n_features, n_hidden), seed, list(densities)
        self.cells = [[] for _ in self.densities]
        self.form = self.model(0.5).form
        self.classes = (tuple(range(n_features)),)

    def model(self, density):
        """The ToyModel at a density."""
        return ToyModel(self.sizes[1], np.ones(self.sizes[0]), density)

    def explore(self, every, effort, watch=lambda: None):
        """Search at the first, the last and every so many densities; then carry the lowest minima until nothing is new."""
        for k in sorted({*range(0, len(self.densities), every), len(self.densities) - 1}):
            model = self.model(self.densities[k])
            found = search(model, *EFFORTS[effort], stream(self.seed, k, 0))
            self.cells[k] = found.minima(model)[:KEPT]
            watch()
        self._carry()

    def _carry(self):
        """Descend from every cell's minima at the neighbouring densities, up and down, until no lowest loss falls."""
        last = None
        while last != (last := self._lowest_losses()):
            for order in (range(1, len(self.cells)), range(len(self.cells) - 2, -1, -1)):
                for k in order:
                    came_from = k - 1 if order.step > 0 else k + 1
                    self.cells[k] = self.lowest_of(self.cells[k] + self.at(self.cells[came_from], self.densities[k]))

    def _lowest_losses(self):
        """The lowest scaled loss of each cell in a few digits fewer than two descents to one minimum agree in."""
        return tuple(float(f"{cell[0].scaled_loss:.8e}") if cell else np.inf for cell in self.cells)

    def lowest_of(self, points):
        """The lowest distinct minima among points."""
        return distinct(points, self.sizes[1], self.classes)[:KEPT]

    def at(self, points, density):
        """Where descents from points lead at a density, a list of Settled."""
        if not points:
            return []
        controls = np.repeat(cell_controls(self.sizes[0], 1.0, density)[None], len(points), axis=0)
        return settle(np.array([point.x for point in points]), self.form, controls, radius=_NEAR)

    def settled(self, x, density):
        """Where the descent from a flat point leads at a density, a Settled."""
        return settle(x[None], self.form, cell_controls(self.sizes[0], 1.0, density)[None], radius=_NEAR)[0]

    def same(self, one, other):
        """Whether two points at one density are one minimum."""
        keys = invariants(np.array([one.x, other.x]), self.sizes[1], self.classes)
        return same_minimum(one, keys[0], other, keys[1])

    def crossings(self, name):
        """Solve all transitions, a list of Crossing by density, until a search at each of them finds nothing lower.

        name: callable that names a point's phase; a change of name along one minimum counts where a curvature vanishes there.
        """
        for number in count(1):
            found = self._crossings(name)
            lower = [self._search_at(one, stream(self.seed, k, number)) for k, one in enumerate(found)]
            if not any(lower):
                return found
            self._carry()

    def _search_at(self, crossing, generator):
        """Whether a search at a transition finds a minimum lower than both of its own: it is then in a cell there."""
        model = self.model(crossing.density)
        minima = search(model, *EFFORTS["normal"], generator).minima(model)[:KEPT]
        lowest = min(crossing.below.scaled_loss, crossing.above.scaled_loss)
        k = int(np.searchsorted(self.densities, crossing.density))
        apart = np.abs(np.array(self.densities[k - 1 : k + 1]) - crossing.density).min()
        if minima[0].scaled_loss >= lowest * (1 - _LOWER) or apart <= _NARROW * crossing.density:
            return False
        self._insert(k, crossing.density, minima)
        return True

    def _crossings(self, name):
        """The transitions between cells, a list of Crossing by density; a cell is added where a third minimum is lower."""
        found, k = [], 0
        while k < len(self.densities) - 1:
            self._continue(k)
            solved = self._between(k, name)
            if isinstance(solved, float):  # another minimum is lower between the two
                self._insert(k + 1, solved)
            else:
                found += [one for one in solved if not found or one.density - found[-1].density > _NARROW]
                k += 1
        return found

    def _continue(self, k):
        """Of the minima that tie as the lowest of cell k + 1 the one to which the lowest of cell k leads comes first."""
        cell, (end,) = self.cells[k + 1], self.at(self.cells[k][:1], self.densities[k + 1])
        tied = [point for point in cell if point.scaled_loss <= cell[0].scaled_loss * (1 + _LOWER)]
        cell.sort(key=lambda point: not any(point is one and self.same(one, end) for one in tied))

    def _insert(self, k, density, others=()):
        """Add a cell at a density, with the minima that those beside it lead to, and others, Settled."""
        beside = self.cells[k - 1] + self.cells[k]
        self.densities.insert(k, density)
        self.cells.insert(k, self.lowest_of([*self.at(beside, density), *others]))

    def _between(self, k, name):
        """The transitions between cells k and k + 1, a list; the density where a third minimum is lower, if there is any."""
        low, high = self.densities[k], self.densities[k + 1]
        left, right = self.cells[k][0], self.cells[k + 1][0]
        start, end = (low, left), (high, right)
        while high - low > _NARROW * high:
            one, other = self.at([left], high)[0], self.at([right], low)[0]
            if self.same(one, right) and self.same(other, left):
                break
            middle = 0.5 * (low + high)
            one, other = self.at([left, right], middle)
            if not self.same(one, other) and self._leads(one, low, left) and self._leads(other, high, right):
                crossing = self._first((low, left), (middle, one, other), (high, right), name)
                if crossing is not None:
                    return self._checked(k, start, crossing, end, name)
            if self.same(self.at([one], low)[0], left) and one.scaled_loss <= other.scaled_loss:
                low, left = middle, one
            else:
                high, right = middle, other
        return self._turn(*start, *end, name)

    def _leads(self, point, density, other):
        """Whether a descent from a minimum ends, at another density, in that one."""
        return point.is_minimum and self.same(self.at([point], density)[0], other)

    def _first(self, low, middle, high, name):
        """The Crossing of two minima, known as (density, point), (density, one, other), (density, point); None if one ceases."""
        ones, others = [low, middle[:2]], [high, (middle[0], middle[2])]

        def pair(density):
            """Both minima at a density, followed from the nearest known."""
            return self.at([min(known, key=lambda place: abs(place[0] - density))[1] for known in (ones, others)], density)

        def difference(density):
            """How far the one lies above the other."""
            for known, point in zip((ones, others), both := pair(density), strict=True):
                known.append((density, point))
            return both[0].scaled_loss - both[1].scaled_loss

        lower, upper = (low[0], middle[0]) if middle[1].scaled_loss > middle[2].scaled_loss else (middle[0], high[0])
        if difference(lower) * difference(upper) > 0:
            return None
        density = float(brentq(difference, lower, upper, xtol=1e-15, rtol=1e-14))
        below, above = pair(density)
        return None if self.same(below, above) else Crossing(density, "first", below, above, (name(below.x), name(above.x)))

    def _checked(self, k, start, crossing, end, name):
        """A crossing with what changes continuously on its sides, a list; its density where a third minimum is lower there."""
        density = crossing.density
        lowest = min(crossing.below.scaled_loss, crossing.above.scaled_loss)
        third = self.lowest_of(self.at(self.cells[k] + self.cells[k + 1], density))
        apart = min(density - self.densities[k], self.densities[k + 1] - density)
        if third and third[0].scaled_loss < lowest * (1 - _LOWER) and apart > _NARROW * density:
            return density
        before = self._turn(*start, density, crossing.below, name)
        after = self._turn(density, crossing.above, *end, name)
        return next((part for part in (before, after) if isinstance(part, float)), None) or [*before, crossing, *after]

    def _turn(self, low, left, high, right, name):
        """Where one minimum turns into another: its curvature vanishes where its name changes. A list of at most one Crossing.

        The density to look at where they are two, or a third is met.
        """
        first, last = name(left.x), name(right.x)
        if first == last:
            middle = 0.5 * (low + high)
            apart = high - low > _NARROW * high and not self.same(*self.at([left, right], middle))
            return middle if apart else []  # two minima of one name
        while high - low > _NARROW * high:
            middle = 0.5 * (low + high)
            one, other = self.at([left, right], middle)
            if (name(one.x), name(other.x)) == (first, last) and one.is_minimum and other.is_minimum:
                crossing = self._first((low, left), (middle, one, other), (high, right), name)
                if crossing is not None and crossing.names == (first, last):
                    return [crossing]
            point = min(one, other, key=lambda end: end.scaled_loss)
            if name(point.x) == first:
                low, left = middle, point
            elif name(point.x) == last:
                high, right = middle, point
            else:
                return float(middle)  # a third phase between the two
        below, above = self._zero(low, left, -1.0, name), self._zero(high, right, 1.0, name)
        error, density, _ = min(below, above, key=lambda side: side[0])
        return [Crossing(float(density), "continuous", below[2], above[2], (first, last))] if np.isfinite(error) else []

    def _zero(self, density, point, side, name):
        """Misfit, the density at which the curvature of a minimum on a side, extrapolated, vanishes, the minimum nearest."""
        guess, nearest = density, point
        for _ in range(4):
            places, curvatures, now = np.minimum(guess * (1 + side * _STEPS), 1.0), [], point
            for place in places[::-1]:
                now = self.at([now], place)[0]
                curvatures.append(now.curvature)
            nearest = now
            line = np.polynomial.Polynomial.fit(places[::-1], curvatures, 4)
            roots = [root.real for root in line.roots() if abs(root.imag) < 1e-9 and abs(root.real / density - 1) < _BESIDE]
            if not roots or name(nearest.x) != name(point.x):
                return np.inf, np.nan, nearest
            guess = min(roots, key=lambda root: abs(root - guess))
        misfit = np.abs(line(places[::-1]) - curvatures).max() / abs(line.deriv()(guess))
        return misfit, guess, nearest
