"""The two kinds of boundary curve: two minima cross, or the more symmetric of two phases loses its stability."""

from itertools import combinations

import numpy as np

from . import _newton
from ._continuation import crossing, inward_difference
from .equilibria import State, far, links
from .stationary_points import invariants

MERGED = 1e-4
"""Two solutions whose invariants differ by less are one."""


class Crossing:
    """The curve on which two minima have the same loss."""

    order = "first"

    def __init__(self, solver, one, other):
        self.solver, self.states, self.trail, self._at, self._pair = solver, [one, other], [], None, None
        self.phases = (one.phase, other.phase)

    def solve(self, u):
        """Both minima at u, or None where they are no longer two."""
        if self._at is None or not np.array_equal(self._at, u):
            self._at, self._pair = np.array(u), self._solve(u)
        return self._pair

    def _solve(self, u):
        pair = [self.solver.solve(state, u) for state in self.states]
        if not all(state.stable for state in pair) or far(*pair) < MERGED:
            return None
        if any(far(new, old) > 0.5 for new, old in zip(pair, self.states, strict=True)):
            return None
        return pair

    def value(self, u):
        pair = self.solve(u)
        return np.nan if pair is None else (pair[0].loss - pair[1].loss) / (pair[0].loss + pair[1].loss)

    def slope(self, u):
        pair = self.solve(u)
        if pair is None:
            return np.full(2, np.nan)
        one, other = (self.solver.loss_slope(state, u) for state in pair)
        total = pair[0].loss + pair[1].loss
        return ((one - other) - (pair[0].loss - pair[1].loss) / total * (one + other)) / total

    def accept(self, u):
        self.states = self.solve(u) or self.states
        self.trail.append((u, self.states))

    def rival(self, u):
        """A lower minimum; or, where one of the two has changed its phase, that side as a softening curve."""
        pair = self.solve(u) or self.states
        for new, old in zip(pair, self.states, strict=True):
            symmetric, broken = sorted((new, old), key=lambda state: links(self.solver, state))
            if new.phase != old.phase and links(self.solver, symmetric) < links(self.solver, broken):
                return softening(self.solver, symmetric, broken, u)
        return self.solver.rival(u, pair)

    def corner(self, rival):
        if isinstance(rival, Softening):
            return rival.value

        def difference(u):
            pair, other = self.solve(u), self.solver.solve(rival, u)
            if pair is None or not other.stable or any(far(other, state) < MERGED for state in pair):
                return np.nan
            return (pair[0].loss - other.loss) / (pair[0].loss + other.loss)

        return difference


class Softening:
    """The curve on which the more symmetric of two phases loses its stability: its lowest curvature is 0."""

    order = "continuous"

    def __init__(self, solver, symmetric, other, free):
        self.solver, self.states, self.trail, self.free = solver, [symmetric, symmetric], [], free
        self.phases = (symmetric.phase, other.phase)

    def value(self, u):
        return self.solver.stationary(self.states[0], u, self.free)[1]

    def slope(self, u):
        return inward_difference(self.value, u, 1e-5)

    def solve(self, u):
        """The symmetric phase at u, twice: the other is the same point there."""
        x, _ = self.solver.stationary(self.states[0], u, self.free)
        key = invariants(x, self.solver.m, self.solver.classes)
        state = State(x, self.free, self.phases[0], self.solver.loss_at(x, u), np.nan, key)
        return [state, state]

    def accept(self, u):
        self.states = self.solve(u)
        self.trail.append((u, self.states))

    def turning(self, u):
        """One-sided third derivative of the loss along the softest direction; the order changes where it becomes negative."""
        return third_derivative(self.solver, self.states[0], u, self.free)

    def rival(self, u):
        if self.turning(u) < -1e-6:
            return "order changes"
        return self.solver.rival(u, self.solve(u)[:1])

    def corner(self, rival):
        if isinstance(rival, str):
            return self.turning

        def difference(u):
            other = self.solver.solve(rival, u)
            own = self.solve(u)[0].loss
            return (own - other.loss) / (own + other.loss) if other.stable else np.nan

        return difference


def softening(solver, symmetric, broken, u):
    """The curve on which the phase of ``symmetric`` loses its stability to that of ``broken``.

    Near it the two hardly differ; the exactly symmetric point is taken from the minima nearby.
    """
    exact = [s for s in map(lambda start: solver.solve(start, u), solver.contenders(u)) if s.phase == symmetric.phase]
    start = min(exact, key=lambda state: (links(solver, state), far(state, symmetric)), default=symmetric)
    return Softening(solver, start, broken, symmetric.free | broken.free)


def locate(solver, start, a, end, b):
    """Find where the minimum a, lowest at ``start``, gives way to b, lowest at ``end``: (u, curve), or None if it does not."""
    low, high = 0.0, 1.0
    first, last = a, b
    for _ in range(50):
        middle = start + 0.5 * (low + high) * (end - start)
        one, other = solver.solve(first, middle), solver.solve(last, middle)
        if one.stable and other.stable and far(one, other) > MERGED:
            curve = Crossing(solver, one, other)
            found = crossing(curve.value, start + low * (end - start), start + high * (end - start))
            if found is not None:
                pair = curve.solve(found)
                if pair is not None:
                    curve.states = pair
                    return found, curve
            before = one.loss < other.loss
        else:
            one = one if one.stable else other
            if first.phase != last.phase and one.phase in (first.phase, last.phase):
                before = one.phase == first.phase
            else:
                before = far(one, first) < far(one, last)
        if before:
            low, first = 0.5 * (low + high), one
        else:
            high, last = 0.5 * (low + high), other if other.stable else one
    if first.phase == last.phase or links(solver, a) == links(solver, b):
        return None  # one minimum that moved; its name may change with its shape
    # near the boundary the broken phase is hardly broken, so take the symmetric one from where it is exact
    symmetric, broken = sorted((a, b), key=lambda state: links(solver, state))
    curve = Softening(solver, symmetric, broken, symmetric.free | broken.free)
    width = np.linalg.norm(end - start)
    for reach in (1e-6, 1e-4, 1e-2, 0.1, 0.5):
        ends = (start + t * (end - start) for t in (max(low - reach / width, 0.0), min(high + reach / width, 1.0)))
        found = crossing(curve.value, *ends)
        if found is not None:
            return found, curve
    return None


def third_derivative(solver, state, u, free):
    """The lowest one-sided third derivative of the scaled loss among the directions in which the curvature vanishes.

    A feature that is not represented may come in against any one of the others, or against several together: at the
    limit of stability they are equally soft.
    """
    importance, density = solver.control(u)
    x, softest = state.x.copy(), np.empty_like(state.x)
    _newton.approach(x, solver.m, importance, density, solver.relu, free, solver.store)
    lowest = _newton.lowest_curvature(x, solver.m, importance, density, solver.relu, free, solver.store, softest)

    def curvature(distance, direction):
        moved = x + distance * direction
        return _newton.curvature_along(moved, direction, solver.m, importance, density, solver.relu, solver.store)

    step, thirds = 1e-4, []
    for direction in (softest, *_entrances(solver, x, u, free)):
        if curvature(_newton.PROBE, direction) < lowest + 1e-5:
            values = [curvature(distance, direction) for distance in (_newton.PROBE, step, 2 * step, 3 * step)]
            thirds.append(np.array([-11.0, 18.0, -9.0, 2.0]) @ values / (6 * step))
    return min(thirds)


def _entrances(solver, x, u, free):
    """Unit directions in which a feature without weights comes in against one or more others, the rest responding."""
    weights = x[: solver.m * solver.n].reshape(solver.m, solver.n)
    norms = np.linalg.norm(weights, axis=0)
    for i in np.flatnonzero(norms < 1e-9):
        column = np.zeros((solver.m, solver.n), dtype=bool)
        column[:, i] = True
        moving = np.append(column.ravel(), np.zeros(solver.n, dtype=bool)) & free
        others = np.flatnonzero(norms > 1e-9)
        for size in range(2, len(others) + 1):
            for chosen in combinations(others, size):
                enter = -np.sum(weights[:, chosen] / norms[list(chosen)], axis=1)
                if np.linalg.norm(enter) > 1e-9 and np.any(moving):
                    yield _with_response(solver, x, u, free, moving, enter / np.linalg.norm(enter))


def _with_response(solver, x, u, free, moving, enter):
    """The direction ``enter`` of the moving parameters, with the others where they make its curvature lowest."""
    importance, density = solver.control(u)
    direction = np.zeros_like(x)
    direction[moving] = enter[np.flatnonzero(moving) // solver.n]
    resting = free & ~moving
    for _ in range(4):
        _newton.evaluate(x + _newton.PROBE * direction, solver.m, importance, density, solver.relu, 2, solver.store)
        hessian = solver.store[7][0]
        force = hessian[np.ix_(resting, moving)] @ direction[moving]
        direction[resting] = -np.linalg.lstsq(hessian[np.ix_(resting, resting)], force, rcond=1e-9)[0]
    return direction / np.linalg.norm(direction)


def downhill(solver, state, u, free):
    """Parameters a little off a stationary point along its direction of lowest curvature."""
    x, direction = state.x.copy(), np.empty_like(state.x)
    _newton.lowest_curvature(x, solver.m, *solver.control(u), solver.relu, free, solver.store, direction)
    return x + 1e-3 * direction
