"""Boundaries of the relaxed and global theories: curves on which solved minima cross, or one turns into another.

Minima are carried along as warm starts, never looked up: at every point the two that compete are solved again.
"""

from functools import partial
from itertools import combinations, product

import numpy as np
from scipy.optimize import root

from . import _continuation, _newton
from ._continuation import Box, crossing, follow, inward_difference, point
from .boundaries import Corners, PhaseBoundary, Spinodal, beside, nodes
from .candidates import configurations
from .minima import invariants, settle
from .order_parameters import phase_name
from .theories import TIE_MARK, TIE_TOLERANCE

JUMP = 0.15
"""Lowest minima of neighbouring cells whose invariants differ by less are taken for one that moved, if their phase agrees."""

MERGED = 1e-4
"""Two solutions whose invariants differ by less are one."""

LOWER = 1e-10
"""A rival must have a loss lower by this relative amount."""

WINDOW = 2
"""Minima stored in this many rows and columns of cells on each side may be lowest at a point."""

MOST_CURVES = 60
"""No more curves than this are followed from triple points."""

FAR_OUT = 30.0
"""Nothing is solved where the logarithm of importance or density is larger than this in size."""

SPINODAL_POINTS = 25
"""Points of a boundary from which its spinodals are sought."""


class _State:
    """A minimum at some u: flat parameters, which of them are free, and what was solved."""

    def __init__(self, x, free, phase, loss=np.nan, extra_loss=np.nan, key=None, stable=True):
        self.x, self.free, self.phase = x, free, phase
        self.loss, self.extra_loss, self.key, self.stable = loss, extra_loss, key, stable


class _Solver:
    """Solves for minima of one diagram's model anywhere in the plane."""

    def __init__(self, diagram):
        self.diagram = diagram
        self.n, self.m = diagram.n_features, diagram.n_hidden
        self.relu = diagram.activation == "relu"
        self.classes = (tuple(range(self.n - 1)), (self.n - 1,))
        self.store = _newton.store(self.m, self.n)
        self.box = Box(diagram.importance, diagram.density)
        self.all_free = np.ones((self.m + 1) * self.n, dtype=bool)
        self.u = nodes(diagram.importance, diagram.density)
        self.keys = invariants(diagram.minima, self.m, self.classes)
        self.patterns = None  # the relaxed theory stores one minimum for each configuration in every cell
        if diagram.theory == "relaxed":
            table = configurations(self.n, self.m, activation=diagram.activation)
            self.patterns = [self._pattern(c) for c in table]

    def control(self, u):
        importance, density = point(u)
        return np.array([*[1.0] * (self.n - 1), importance]), np.full(self.n, density)

    def solve(self, state, u):
        """The minimum that ``state`` becomes at u; unstable when u is far out."""
        if not np.all(np.abs(u) < FAR_OUT):
            return _State(state.x, state.free, state.phase, key=state.key, stable=False)
        importance, density = self.control(u)
        settled = settle(state.x[None], self.m, importance[None], density[None], relu=self.relu, free=state.free, radius=0.25)[0]
        return _State(
            settled.x,
            state.free,
            phase_name(settled.x[: self.m * self.n].reshape(self.m, self.n)),
            float(importance @ settled.feature_loss),
            settled.feature_loss[-1],
            invariants(settled.x, self.m, self.classes),
            settled.is_minimum,
        )

    def stationary(self, state, u, free):
        """The stationary point that ``state`` becomes at u even where it is a saddle, and its lowest curvature there."""
        x, direction = state.x.copy(), np.empty_like(state.x)
        if not np.all(np.abs(u) < FAR_OUT):
            return x, np.nan
        importance, density = self.control(u)
        _newton.approach(x, self.m, importance, density, self.relu, free, self.store)
        curvature = _newton.lowest_curvature(x, self.m, importance, density, self.relu, free, self.store, direction)
        return x, curvature

    def third_derivative(self, state, u, free):
        """The lowest one-sided third derivative of the scaled loss among the directions in which the curvature vanishes.

        A feature that is not represented may come in against any one of the others, or against several together: at the
        limit of stability they are equally soft.
        """
        importance, density = self.control(u)
        x, softest = state.x.copy(), np.empty_like(state.x)
        _newton.approach(x, self.m, importance, density, self.relu, free, self.store)
        lowest = _newton.lowest_curvature(x, self.m, importance, density, self.relu, free, self.store, softest)

        def curvature(distance, direction):
            moved = x + distance * direction
            return _newton.curvature_along(moved, direction, self.m, importance, density, self.relu, self.store)

        step, thirds = 1e-4, []
        for direction in (softest, *self._entrances(x, u, free)):
            if curvature(_newton.PROBE, direction) < lowest + 1e-5:
                values = [curvature(distance, direction) for distance in (_newton.PROBE, step, 2 * step, 3 * step)]
                thirds.append(np.array([-11.0, 18.0, -9.0, 2.0]) @ values / (6 * step))
        return min(thirds)

    def _entrances(self, x, u, free):
        """Unit directions in which a feature without weights comes in against one or more others, the rest responding."""
        weights = x[: self.m * self.n].reshape(self.m, self.n)
        norms = np.linalg.norm(weights, axis=0)
        for i in np.flatnonzero(norms < 1e-9):
            column = np.zeros((self.m, self.n), dtype=bool)
            column[:, i] = True
            moving = np.append(column.ravel(), np.zeros(self.n, dtype=bool)) & free
            others = np.flatnonzero(norms > 1e-9)
            for size in range(2, len(others) + 1):
                for chosen in combinations(others, size):
                    enter = -np.sum(weights[:, chosen] / norms[list(chosen)], axis=1)
                    if np.linalg.norm(enter) > 1e-9 and np.any(moving):
                        yield self._with_response(x, u, free, moving, enter / np.linalg.norm(enter))

    def _with_response(self, x, u, free, moving, enter):
        """The direction ``enter`` of the moving parameters, with the others where they make its curvature lowest."""
        importance, density = self.control(u)
        direction = np.zeros_like(x)
        direction[moving] = enter[np.flatnonzero(moving) // self.n]
        resting = free & ~moving
        for _ in range(4):
            _newton.evaluate(x + _newton.PROBE * direction, self.m, importance, density, self.relu, 2, self.store)
            hessian = self.store[7][0]
            force = hessian[np.ix_(resting, moving)] @ direction[moving]
            direction[resting] = -np.linalg.lstsq(hessian[np.ix_(resting, resting)], force, rcond=1e-9)[0]
        return direction / np.linalg.norm(direction)

    def downhill(self, state, u, free):
        """Parameters a little off a stationary point along its direction of lowest curvature."""
        x, direction = state.x.copy(), np.empty_like(state.x)
        _newton.lowest_curvature(x, self.m, *self.control(u), self.relu, free, self.store, direction)
        return x + 1e-3 * direction

    def loss_at(self, x, u):
        """The loss of fixed parameters."""
        importance, density = self.control(u)
        scaled = _newton.evaluate(x, self.m, importance, density, self.relu, 0, self.store)
        return scaled * float(importance @ density) / 3

    def loss_slope(self, state, u):
        """Gradient of the minimum's loss in u: by the envelope theorem the parameters stay as they are."""
        return inward_difference(lambda v: self.loss_at(state.x, v), u, 1e-5)

    def lowest(self, cell):
        """A point in a cell and the minimum with the lowest loss there: at the node, or beside it where several tie."""
        diagram = self.diagram
        if self._ties(cell):
            u = beside(self.u[cell], self.box, diagram)
            found = [state for state in (self.solve(start, u) for start in self.contenders(u)) if state.stable]
            return u, min(found, key=lambda state: state.loss)
        x = np.concatenate([diagram.weights[cell].ravel(), diagram.bias[cell]])
        free = self.all_free
        if diagram.theory == "relaxed":
            free = self.patterns[int(np.argmin(diagram.candidate_loss[(slice(None), *cell)]))]
        return self.u[cell], self.solve(_State(x, free, ""), self.u[cell])

    def _ties(self, cell):
        """Whether several minima have the lowest loss in a cell: by name, or within one phase."""
        if TIE_MARK in self.diagram.phase[cell]:
            return True
        flat = np.ravel_multi_index(cell, self.u.shape[:2])
        first, last = np.searchsorted(self.diagram.minima_cell, [flat, flat + 1])
        losses = [self.loss_at(x, self.u[cell]) for x in self.diagram.minima[first:last]]
        return np.sum(np.array(losses) <= self.diagram.loss[cell] * (1 + TIE_TOLERANCE)) > 1

    def contenders(self, u):
        """Starts for all minima that may be lowest near u."""
        windows = []
        for axis, x in ((self.diagram.density, u[1]), (self.diagram.importance, u[0])):
            above = int(np.searchsorted(np.log(axis), x))
            windows.append(range(max(above - WINDOW, 0), min(above + WINDOW, axis.size)))
        starts, keys = [], np.empty((0, self.keys.shape[1]))
        for i, j in sorted(product(*windows), key=lambda cell: np.sum((self.u[cell] - u) ** 2)):
            flat = i * self.u.shape[1] + j
            for k in range(*np.searchsorted(self.diagram.minima_cell, [flat, flat + 1])):
                if not len(keys) or np.min(np.max(np.abs(keys - self.keys[k]), axis=1)) > 0.1:
                    keys = np.vstack([keys, self.keys[k]])
                    starts.append(_State(self.diagram.minima[k], self._free(k), "", key=self.keys[k]))
        return starts

    def _free(self, k):
        """Which parameters of the k-th stored minimum may move: all, or those of its pattern."""
        return self.all_free if self.patterns is None else self.patterns[k % len(self.patterns)]

    def rival(self, u, states):
        """The lowest minimum at u when it is lower than all ``states`` and none of them."""
        best, bound = None, min(state.loss for state in states) * (1 - LOWER)
        for start in self.contenders(u):
            if start.key is not None and any(_far(start, state) < 0.05 for state in states):
                continue
            found = self.solve(start, u)
            if found.stable and found.loss < bound and all(_far(found, s) > 0.02 for s in states):
                best, bound = found, found.loss
        return best

    def softening(self, symmetric, broken, u):
        """The curve on which the phase of ``symmetric`` loses its stability to that of ``broken``.

        Near it the two hardly differ; the exactly symmetric point is taken from the minima nearby.
        """
        exact = [s for s in map(lambda start: self.solve(start, u), self.contenders(u)) if s.phase == symmetric.phase]
        start = min(exact, key=lambda state: (_links(self, state), _far(state, symmetric)), default=symmetric)
        return _Softening(self, start, broken, symmetric.free | broken.free)

    def _pattern(self, configuration):
        """The parameters that the relaxed theory frees: the block of each cluster, and the biases."""
        free, row = np.zeros((self.m, self.n), dtype=bool), 0
        for group in sorted(configuration.groups):
            rows = max(len(group) - 1, 1)
            free[row : row + rows, list(group)] = True
            row += rows
        return np.concatenate([free.ravel(), np.ones(self.n, dtype=bool)])


def _far(one, other):
    return float(np.max(np.abs(one.key - other.key)))


class _Crossing:
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
        if not all(state.stable for state in pair) or _far(*pair) < MERGED:
            return None
        if any(_far(new, old) > 0.5 for new, old in zip(pair, self.states, strict=True)):
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
            symmetric, broken = sorted((new, old), key=lambda state: _links(self.solver, state))
            if new.phase != old.phase and _links(self.solver, symmetric) < _links(self.solver, broken):
                return self.solver.softening(symmetric, broken, u)
        return self.solver.rival(u, pair)

    def corner(self, rival):
        if isinstance(rival, _Softening):
            return rival.value

        def difference(u):
            pair, other = self.solve(u), self.solver.solve(rival, u)
            if pair is None or not other.stable or any(_far(other, state) < MERGED for state in pair):
                return np.nan
            return (pair[0].loss - other.loss) / (pair[0].loss + other.loss)

        return difference


class _Softening:
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
        state = _State(x, self.free, self.phases[0], self.solver.loss_at(x, u), np.nan, key)
        return [state, state]

    def accept(self, u):
        self.states = self.solve(u)
        self.trail.append((u, self.states))

    def turning(self, u):
        """One-sided third derivative of the loss along the softest direction; the order changes where it becomes negative."""
        return self.solver.third_derivative(self.states[0], u, self.free)

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


def solved_boundaries(diagram):
    """Find the boundaries and triple points of a relaxed or global diagram: (list of PhaseBoundary, list of TriplePoint)."""
    solver, corners, traced, branching = _Solver(diagram), Corners(), [], []

    def cross(start, a, end, b, depth=0):
        """Follow the boundary that separates the minimum a, lowest at ``start``, from b, lowest at ``end``."""
        same = [points for curve, points, *_ in traced if set(curve.phases) == {a.phase, b.phase}]
        if any(_continuation.passes(points, start, end) for points in same):
            return
        found = _locate(solver, start, a, end, b)
        if found is None or any(_continuation.distance(points, found[0]) < 0.2 * solver.box.step for points in same):
            return
        u, curve = found
        between = curve.rival(u)
        if between is not None:
            if depth < 6 and isinstance(between, _State):
                cross(start, a, u, between, depth + 1)
                cross(u, between, end, b, depth + 1)
            return
        trace(u, curve)

    def trace(u, curve):
        """Follow a curve from its point u to both ends and keep it."""
        origin = curve.solve(u)
        trail, ends, met = [(u, origin)], [], []
        for sense in (1.0, -1.0):
            curve.states, curve.trail = origin, []
            more, reason, rival = follow(curve, u, solver.box, sense)
            if reason == "corner" and more:
                sharp = _sharpened(solver, curve, rival, more[-1])
                more = [*(more[:-1] if len(more) > len(curve.trail) else more), sharp]
            if len(more) > len(curve.trail):  # the last point lies on an edge or a corner
                curve.trail.append((more[-1], curve.solve(more[-1]) or curve.states))
            trail = [*trail, *curve.trail] if sense > 0 else [*curve.trail[::-1], *trail]
            last = more[-1] if more else u
            if reason == "end":
                reason = "critical point" if curve.phases[0] == curve.phases[1] else "order changes"
                rival = _merging(solver, curve, last)
            tip = _turning_point(solver, curve, rival, last)
            if tip is not None:
                reason = "order changes"
                end = (tip, curve.solve(last) or curve.states)
                trail = [*trail, end] if sense > 0 else [end, *trail]
            elif reason == "corner" and isinstance(rival, str):
                reason = rival
            elif reason == "corner":
                reason = "triple point"
                met.append((last, (*curve.phases, *_phases_of(rival))))
                branching.extend((last, branch) for branch in _branches(solver, curve, rival, last))
            ends = [*ends, reason] if sense > 0 else [reason, *ends]
            if reason == "closed":
                ends = ["closed", "closed"]
                break
        points = [u for u, _ in trail]
        if all(abs(u[1]) < 1e-6 for u in points):
            return  # at density 1, x and 1 − x have one law: aligned and antipodal directions tie all along this edge
        if np.sum(np.linalg.norm(np.diff(points, axis=0), axis=1)) > 1e-3 * solver.box.step:
            traced.append((curve, points, trail, tuple(ends)))
            for v, phases in met:
                corners.add(v, phases)

    for start, one, end, other in _differing(solver):
        cross(start, one, end, other)
    for curve, points, _, ends in list(traced):
        if curve.order == "continuous":
            for tip, inner, reason in ((points[0], points[1], ends[0]), (points[-1], points[-2], ends[1])):
                firsts = [end for other, on, *_ in traced if other.order == "first" for end in (on[0], on[-1])]
                if reason == "order changes" and all(np.linalg.norm(end - tip) > 1e-5 for end in firsts):
                    beyond = _beyond(solver, curve, tip, inner)
                    if beyond is not None:
                        trace(*beyond)
    while branching and len(traced) < MOST_CURVES:
        corner, curve = branching.pop(0)
        origin = curve.states
        for sense in (1.0, -1.0):
            curve.states = origin
            u = _continuation.first_step(curve, corner, solver.box, sense)
            if u is None or solver.box.outside(u) or curve.rival(u) is not None:
                continue
            if not any(_on_trail(solver, curve, u, trail) for _, _, trail, _ in traced):
                curve.accept(u)
                trace(u, curve)
    return [_result(solver, curve, trail, ends) for curve, _, trail, ends in traced], corners.triple_points()


def _on_trail(solver, curve, u, trail):
    """Whether a followed curve passes through u with the same two minima."""
    points = np.array([v for v, _ in trail])
    if _continuation.distance(points, u) > 0.1 * solver.box.step:
        return False
    nearest = trail[int(np.argmin(np.linalg.norm(points - u, axis=1)))][1]
    known, pair = [solver.solve(state, u) for state in nearest], curve.solve(u) or curve.states
    return any(all(_far(a, b) < 1e-3 for a, b in zip(pair, order, strict=True)) for order in (known, known[::-1]))


def _branches(solver, curve, rival, u):
    """The curves that can leave a triple point beside the one that led to it."""
    if curve.order != "first":
        return []
    one, other = curve.solve(u) or curve.states
    if isinstance(rival, _State):
        return [_Crossing(solver, side, rival) for side in (one, other)]
    symmetric = rival.solve(u)[0]
    soft, hard = sorted((one, other), key=lambda state: _far(state, symmetric))
    return [_Crossing(solver, symmetric, hard), _Crossing(solver, soft, hard), rival]


def _beyond(solver, curve, tip, inner):
    """Start of the first-order curve that goes on where a continuous one ends, or None: (u, curve).

    Its jump is too small there to be seen between cells.
    """
    ahead = _continuation.correct(curve, tip + 0.25 * solver.box.step * (tip - inner) / np.linalg.norm(tip - inner))
    if ahead is None:
        return None
    symmetric = curve.solve(ahead)[0]
    broken = solver.solve(_State(solver.downhill(symmetric, ahead, curve.free), curve.free, ""), ahead)
    if not broken.stable or _far(symmetric, broken) < MERGED:
        return None
    crossing_curve = _Crossing(solver, symmetric, broken)
    u = _continuation.correct(crossing_curve, ahead)
    return None if u is None or solver.box.outside(u) or crossing_curve.rival(u) is not None else (u, crossing_curve)


def _sharpened(solver, curve, rival, u):
    """The triple point near u, at which ``rival`` stopped a first-order curve, solved for all three losses at once.

    Where a side of the curve softens by a (small) jump, the losses are equal a little before the symmetric phase loses its
    stability, which is where the curve was stopped.
    """
    if curve.order != "first" or isinstance(rival, str):
        return u
    jump = None
    if isinstance(rival, _State):
        jump = curve.corner(rival)
    elif _far(*curve.states) > 0.1 and rival.turning(u) < -1e-9:
        symmetric = rival.solve(u)[0]
        broken = solver.solve(_State(solver.downhill(symmetric, u, rival.free), rival.free, ""), u)
        if broken.stable and _far(symmetric, broken) > MERGED:
            jump = _Crossing(solver, symmetric, broken).value
    if jump is None:
        return u
    solved = root(lambda v: np.array([curve.value(v), jump(v)]), u, tol=1e-15)
    close = np.linalg.norm(solved.x - u) < 2 * solver.box.step
    return solved.x if close and np.max(np.abs(solved.fun)) < 1e-12 else u


def _merging(solver, curve, u):
    """The softening curve that a first-order curve runs into where its two minima, of different phases, become one."""
    if curve.order != "first" or curve.phases[0] == curve.phases[1]:
        return None
    symmetric, broken = sorted(curve.states, key=lambda state: _links(solver, state))
    return solver.softening(symmetric, broken, u)


def _turning_point(solver, curve, rival, near):
    """Where a first-order curve whose two minima merge becomes continuous; None when its end is something else."""
    merges = isinstance(rival, _Softening) and set(rival.phases) <= set(curve.phases) and _far(*curve.states) < 0.1
    if not merges or curve.order != "first":
        return None
    solved = root(lambda u: np.array([rival.value(u), rival.turning(u)]), near, tol=1e-14)
    close = np.linalg.norm(solved.x - near) < 3 * solver.box.step
    return solved.x if close and np.max(np.abs(solved.fun)) < 1e-8 else None


def _phases_of(rival):
    return rival.phases if isinstance(rival, _Softening) else (rival.phase,)


def _differing(solver):
    """Yield (u, lowest minimum, u, lowest minimum) for neighbouring cells between which the lowest minimum may change."""
    diagram, shape = solver.diagram, solver.u.shape[:2]
    x = np.concatenate([diagram.weights.reshape(*shape, -1), diagram.bias], axis=-1)
    keys = invariants(x, solver.m, solver.classes)
    for down, right in ((0, 1), (1, 0)):
        for i, j in np.ndindex(shape[0] - down, shape[1] - right):
            other = (i + down, j + right)
            if diagram.phase[i, j] == diagram.phase[other] and np.max(np.abs(keys[i, j] - keys[other])) < JUMP:
                continue
            yield (*solver.lowest((i, j)), *solver.lowest(other))


def _locate(solver, start, a, end, b):
    """Find where the minimum a, lowest at ``start``, gives way to b, lowest at ``end``: (u, curve), or None if it does not."""
    low, high = 0.0, 1.0
    first, last = a, b
    for _ in range(50):
        middle = start + 0.5 * (low + high) * (end - start)
        one, other = solver.solve(first, middle), solver.solve(last, middle)
        if one.stable and other.stable and _far(one, other) > MERGED:
            curve = _Crossing(solver, one, other)
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
                before = _far(one, first) < _far(one, last)
        if before:
            low, first = 0.5 * (low + high), one
        else:
            high, last = 0.5 * (low + high), other if other.stable else one
    if first.phase == last.phase or _links(solver, a) == _links(solver, b):
        return None  # one minimum that moved; its name may change with its shape
    # near the boundary the broken phase is hardly broken, so take the symmetric one from where it is exact
    symmetric, broken = sorted((a, b), key=lambda state: _links(solver, state))
    curve = _Softening(solver, symmetric, broken, symmetric.free | broken.free)
    width = np.linalg.norm(end - start)
    for reach in (1e-6, 1e-4, 1e-2, 0.1, 0.5):
        ends = (start + t * (end - start) for t in (max(low - reach / width, 0.0), min(high + reach / width, 1.0)))
        found = crossing(curve.value, *ends)
        if found is not None:
            return found, curve
    return None


def _links(solver, state):
    """How many norms and products are not 0: the fewer, the more symmetric."""
    weights = state.x[: solver.m * solver.n].reshape(solver.m, solver.n)
    return int(np.sum(np.abs(weights.T @ weights) > 1e-12))


def _result(solver, curve, trail, ends):
    """Turn the points of a curve, each with the two minima solved there, into a PhaseBoundary."""
    points = np.array([u for u, _ in trail])
    norms = np.array([[_extra_norm(solver, state) for state in pair] for _, pair in trail]).T
    latent, spinodals = np.zeros(len(trail)), tuple
    if curve.order == "first":
        latent = np.array([abs(one.extra_loss - other.extra_loss) for _, (one, other) in trail])
        spinodals = partial(_spinodals, solver, curve, trail)
    importance, density = np.exp(points[:, 0]), np.minimum(np.exp(points[:, 1]), 1.0)
    return PhaseBoundary(curve.phases, importance, density, curve.order, latent, norms, ends, spinodals)


def _extra_norm(solver, state):
    return np.linalg.norm(state.x[: solver.m * solver.n].reshape(solver.m, solver.n)[:, -1])


def _spinodals(solver, curve, trail):
    return tuple(_spinodal(solver, curve, trail, side) for side in (0, 1))


def _spinodal(solver, curve, trail, side):
    """Where the minimum on one side of a first-order boundary ends, sought across the boundary from some of its points."""
    found = []
    for k in np.unique(np.linspace(0, len(trail) - 1, min(len(trail), SPINODAL_POINTS)).round().astype(int)):
        u, pair = trail[k]
        curve.states = list(pair)
        slope = curve.slope(u)
        if not np.all(np.isfinite(slope)) or not np.any(slope):
            continue
        across = slope / np.linalg.norm(slope) * (1.0 if side == 0 else -1.0)  # where the other one is lower
        end = _limit(solver, u, across, pair[side], pair[1 - side])
        if end is not None:
            found.append(end)
    found = np.array(found).reshape(-1, 2)
    return Spinodal(curve.phases[side], np.exp(found[:, 0]), np.minimum(np.exp(found[:, 1]), 1.0))


def _limit(solver, u, across, own, other):
    """The point at which the minimum ``own`` ceases on the way from u, or None when it lasts to the edge of the diagram."""

    def carried(state, rest, v):
        """What own and the other minimum become at v; None for own where it has ceased."""
        new = solver.solve(state, v)
        moved = _far(new, state)
        alive = new.stable and moved < 0.25 and new.phase == state.phase
        if alive and moved > 0.01:  # it may have fallen into the other one
            beside = solver.solve(rest, v)
            alive = not beside.stable or _far(new, beside) > MERGED
            rest = beside if beside.stable else rest
        return (new if alive else None), rest

    here, step = u, 2 * solver.box.step
    while True:
        there = here + step * across
        if solver.box.outside(there):
            return None
        new, beside = carried(own, other, there)
        if new is None:
            break
        here, own, other = there, new, beside
    # a phase that symmetry keeps stationary ends where its curvature vanishes
    exact = crossing(lambda v: solver.stationary(own, v, own.free)[1], here, there)
    if exact is not None:
        x, _ = solver.stationary(own, exact, own.free)
        if np.max(np.abs(invariants(x, solver.m, solver.classes) - own.key)) < 0.1:
            return exact
    for _ in range(36):  # otherwise it meets a saddle
        middle = (here + there) / 2
        new, beside = carried(own, other, middle)
        if new is None:
            there = middle
        else:
            here, own, other = middle, new, beside
    return here
