"""Boundaries of the relaxed and global theories: curves on which solved minima cross, or one turns into another.

Minima are carried along as warm starts, never looked up: at every point the two that compete are solved again.
"""

from functools import partial

import numpy as np
from scipy.optimize import brentq, root

from . import _continuation
from ._continuation import follow
from .boundaries import Corners, PhaseBoundary
from .boundary_curves import MERGED, Crossing, Softening, downhill, locate, softening
from .equilibria import Solver, State, far, links
from .spinodals import find_spinodals
from .stationary_points import invariants

JUMP = 0.15
"""Lowest minima of neighbouring cells whose invariants differ by less are taken for one that moved, if their phase agrees."""

MOST_CURVES = 60
"""No more curves than this are followed from triple points."""


def solved_boundaries(diagram):
    """Find the boundaries and triple points of a relaxed or global diagram: (list of PhaseBoundary, list of TriplePoint)."""
    solver, corners, traced, branching = Solver(diagram), Corners(), [], []

    def cross(start, a, end, b, depth=0):
        """Follow the boundary that separates the minimum a, lowest at ``start``, from b, lowest at ``end``."""
        same = [points for curve, points, *_ in traced if set(curve.phases) == {a.phase, b.phase}]
        if any(_continuation.passes(points, start, end) for points in same):
            return
        found = locate(solver, start, a, end, b)
        if found is None or any(_continuation.distance(points, found[0]) < 0.2 * solver.box.step for points in same):
            return
        u, curve = found
        if any(_on_trail(solver, curve, u, trail) for _, _, trail, _ in traced):
            return
        between = curve.rival(u)
        if between is not None:
            if depth < 6 and isinstance(between, State):
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
    return any(all(far(a, b) < 1e-3 for a, b in zip(pair, order, strict=True)) for order in (known, known[::-1]))


def _branches(solver, curve, rival, u):
    """The curves that can leave a triple point beside the one that led to it."""
    if curve.order != "first":
        return []
    one, other = curve.solve(u) or curve.states
    if isinstance(rival, State):
        return [Crossing(solver, side, rival) for side in (one, other)]
    symmetric = rival.solve(u)[0]
    soft, hard = sorted((one, other), key=lambda state: far(state, symmetric))
    branches = [Crossing(solver, symmetric, hard), Crossing(solver, soft, hard), rival]
    if soft.phase != symmetric.phase and far(soft, symmetric) > MERGED:
        branches.append(Crossing(solver, symmetric, soft))
    return branches


def _beyond(solver, curve, tip, inner):
    """Start of the first-order curve that goes on where a continuous one ends, or None: (u, curve).

    Its jump is too small there to be seen between cells.
    """
    length = np.linalg.norm(tip - inner)
    ahead = None if length == 0 else _continuation.correct(curve, tip + 0.25 * solver.box.step * (tip - inner) / length)
    if ahead is None:
        return None
    symmetric = curve.solve(ahead)[0]
    broken = solver.solve(State(downhill(solver, symmetric, ahead, curve.free), curve.free, ""), ahead)
    if not broken.stable or far(symmetric, broken) < MERGED:
        return None
    crossing_curve = Crossing(solver, symmetric, broken)
    u = _continuation.correct(crossing_curve, ahead)
    return None if u is None or solver.box.outside(u) or crossing_curve.rival(u) is not None else (u, crossing_curve)


def _sharpened(solver, curve, rival, u):
    """The triple point near u, at which ``rival`` stopped a first-order curve, solved for all three losses at once.

    Where a side of the curve softens by a (small) jump, the losses are equal a little before the symmetric phase loses its
    stability, which is where the curve was stopped.
    """
    if curve.order != "first" or isinstance(rival, str):
        return u
    if isinstance(rival, State):
        against = curve.corner(rival)

        def equations(v):
            return np.array([curve.value(v), against(v)])
    else:
        symmetric = rival.solve(u)[0]
        hard = max(curve.states, key=lambda state: far(state, symmetric))
        soft = solver.solve(State(downhill(solver, symmetric, u, rival.free), rival.free, ""), u)
        if far(hard, symmetric) < 0.1 or not soft.stable or far(symmetric, soft) < MERGED:
            return u

        def equations(v):  # the symmetric phase is followed as a stationary point, stable or not
            own = rival.solve(v)[0].loss
            return np.array([own / solver.solve(state, v).loss - 1 for state in (hard, soft)]) * [1.0, 1e4]

    solved = root(equations, u, tol=1e-14)
    close = np.linalg.norm(solved.x - u) < 2 * solver.box.step
    return solved.x if close and np.max(np.abs(solved.fun)) < 1e-10 else u


def _merging(solver, curve, u):
    """The softening curve that a first-order curve runs into where its two minima, of different phases, become one."""
    if curve.order != "first" or curve.phases[0] == curve.phases[1]:
        return None
    symmetric, broken = sorted(curve.states, key=lambda state: links(solver, state))
    return softening(solver, symmetric, broken, u)


def _turning_point(solver, curve, rival, near):
    """Where a first-order curve whose two minima merge becomes continuous; None when its end is something else."""
    merges = isinstance(rival, Softening) and set(rival.phases) <= set(curve.phases) and far(*curve.states) < 0.1
    if not merges or curve.order != "first":
        return None
    base = _continuation.correct(rival, near)
    if base is None:
        return None
    slope = rival.slope(base)
    along = np.array([-slope[1], slope[0]]) / np.linalg.norm(slope) * solver.box.step

    def turning(t):
        u = _continuation.correct(rival, base + t * along)
        return rival.turning(base + t * along if u is None else u)

    for reach in (0.1, 0.5, 2.0):
        ends = turning(-reach), turning(reach)
        if np.isfinite(sum(ends)) and np.sign(ends[0]) != np.sign(ends[1]):
            return _continuation.correct(rival, base + brentq(turning, -reach, reach, xtol=1e-12) * along)
    return None


def _phases_of(rival):
    return rival.phases if isinstance(rival, Softening) else (rival.phase,)


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


def _result(solver, curve, trail, ends):
    """Turn the points of a curve, each with the two minima solved there, into a PhaseBoundary."""
    points = np.array([u for u, _ in trail])
    norms = np.array([[_extra_norm(solver, state) for state in pair] for _, pair in trail]).T
    latent, spinodals = np.zeros(len(trail)), tuple
    if curve.order == "first":
        latent = np.array([abs(one.extra_loss - other.extra_loss) for _, (one, other) in trail])
        spinodals = partial(find_spinodals, solver, curve, trail)
    importance, density = np.exp(points[:, 0]), np.minimum(np.exp(points[:, 1]), 1.0)
    return PhaseBoundary(curve.phases, importance, density, curve.order, latent, norms, ends, spinodals)


def _extra_norm(solver, state):
    return np.linalg.norm(state.x[: solver.m * solver.n].reshape(solver.m, solver.n)[:, -1])
