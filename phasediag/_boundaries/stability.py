"""How a symmetric stationary point loses its stability: its soft directions, the minima that branch off, lower minima."""

from itertools import combinations

import numpy as np

from .._minimizing.newton import PROBE
from .states import MOVED, NO_LINK, State, far

STEP = 2e-4
"""Distance of the points from which one-sided second and third derivatives are extrapolated."""

EQUALLY = 1e-7
"""Directions whose curvatures differ by less are equally soft."""

ALONG, ALIKE = 1e-2, 1e-6
"""Directions are compared by the invariants of points this far along them; if these differ by less, they are alike."""

NO_THIRD = 1e-7
"""Third derivatives below this are 0 by symmetry."""

FOURTH_STEP = 3e-3
"""Amplitudes of a mode from which its fourth derivative is taken are this and its multiples."""

SOFT = 1e-2
"""A direction with a lower curvature may lead to a minimum nearby."""

CLOSE = 0.2
"""A minimum farther from a symmetric state (in invariants) has not just branched off from it."""

LOWER = 1e-13
"""A rival must have a loss lower by this relative amount."""

TINY = 3e-4
"""Minima of one family nearer to each other than this (in invariants) are not told apart by their losses."""

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(10)
_NODES, _WEIGHTS = (_NODES + 1) / 2, _WEIGHTS / 2


def breaking_curvature(state, direction=None):
    """Lowest one-sided curvature of the directions that break a held state's symmetry, and its direction.

    The held zeros that move have unit length, the rest of the direction is their response: so that equally soft directions
    have one curvature. ``direction``: where to begin; default the softest of all. NaN where the symmetry does not break.
    """
    solver = state.solver
    moving, resting = np.flatnonzero(state.frame & ~state.free), np.flatnonzero(state.free)
    direction = solver.softest(state.x, state.u, state.frame)[1] if direction is None else direction
    length = np.linalg.norm(direction[moving])
    if length < 1e-6:
        return np.nan, direction
    direction, best = direction / length, (np.inf, direction)
    for _ in range(12):
        hessian = solver.pinned(state.x + PROBE * direction, state.u)[1]
        best = min(best, (float(direction @ hessian @ direction), direction), key=lambda found: found[0])
        response = -np.linalg.lstsq(hessian[np.ix_(resting, resting)], hessian[np.ix_(resting, moving)], rcond=1e-9)[0]
        reduced = hessian[np.ix_(moving, moving)] + hessian[np.ix_(moving, resting)] @ response
        values, vectors = np.linalg.eigh((reduced + reduced.T) / 2)
        lowest = vectors[:, values < values[0] + 1e-6]
        unit = lowest @ (lowest.T @ direction[moving])
        if np.linalg.norm(unit) < 0.1:
            unit = lowest[:, 0]
        new = np.zeros_like(state.x)
        new[moving] = unit / np.linalg.norm(unit)
        new[resting] = response @ new[moving]
        if np.max(np.abs(new - direction)) < 1e-9:
            break
        direction = new
    return best


def soft_directions(state):
    """Directions in which a held state may break its symmetry: a list of (curvature, third derivative, direction), at u.

    A feature that is not represented may come in against any one of the others, or against several together: at the
    limit of stability they are equally soft. So may clusters turn against each other. The parameters that may move respond.
    """
    entering = [derivatives_of(state, enter) for enter in entrances(state)]
    curvature, softest = breaking_curvature(state)
    if np.isfinite(curvature) and curvature < min((found[0] for found in entering), default=np.inf) - 1e-6:
        directions = [softest, *_linking(state, curvature, softest)] if curvature < SOFT else [softest]
        return [*entering, *(derivatives_of(state, _moving(state, direction)) for direction in directions)]
    return entering


def _linking(state, lowest, softest):
    """Other directions as soft as the softest, in which some features of different clusters turn against each other."""
    seen, single = [_look_along(state, softest)], []

    def unlike(direction):
        look = _look_along(state, direction)
        if any(np.max(np.abs(look - other)) < ALIKE for other in seen):
            return False
        seen.append(look)
        return True

    for start in _links(state):
        curvature, direction = breaking_curvature(state, start)
        if curvature < lowest + EQUALLY:
            single.append(direction)
            if unlike(direction):
                yield direction
    for size in range(2, len(single) + 1):
        for chosen in combinations(single, size):
            curvature, direction = breaking_curvature(state, np.sum(chosen, axis=0))
            if curvature < lowest + EQUALLY and unlike(direction):
                yield direction


def _links(state):
    """Directions in which two features of different clusters turn against each other."""
    solver, norms = state.solver, np.linalg.norm(state.weights, axis=0)
    for i, j in combinations([i for members in state.clusters for i in members], 2):
        together = any(i in members and j in members for members in state.clusters)
        turn = np.zeros((solver.m + 1, solver.n))
        turn[: solver.m, i] = -state.weights[:, j] / norms[j]
        turn[: solver.m, j] = -state.weights[:, i] / norms[i]
        turn = _moving(state, turn.ravel())
        if not together and np.linalg.norm(turn) > 1e-6:
            yield turn


def _look_along(state, direction):
    """The invariants of a point in a direction: the same for directions that exchanging features turns into each other."""
    return State(state.solver, state.x + ALONG * direction, state.frames, state.free, state.u).key


def derivatives_of(state, enter):
    """Curvature, third derivative and direction of ``enter``, a direction of held zeros, with the response of the others."""
    solver, direction = state.solver, enter.copy()
    moving, resting = np.flatnonzero(state.frame & ~state.free), np.flatnonzero(state.free)
    for _ in range(20):
        second, third = solver.beside(state.x, direction, STEP, state.u)
        rest = second[resting]
        response = -np.linalg.lstsq(rest[:, resting], rest[:, moving] @ enter[moving], rcond=1e-9)[0]
        change = np.max(np.abs(response - direction[resting]), initial=0.0)
        direction[resting] = response
        if change < 1e-12:
            break
    return float(direction @ second @ direction), float(direction @ third @ direction), direction


def entrances(state):
    """Unit directions in which a feature without weights comes in against one or more others."""
    solver, moving = state.solver, state.frame & ~state.free
    norms, seen = np.linalg.norm(state.weights, axis=0), set()
    others = np.flatnonzero(norms > 1e-9)
    for i in np.flatnonzero(norms <= 1e-9):
        for size in range(1, len(others) + 1):
            for chosen in combinations(others, size):
                look = _look(state, i, chosen)
                if look in seen:
                    continue
                seen.add(look)
                enter = np.zeros((solver.m + 1, solver.n))
                enter[: solver.m, i] = -np.sum(state.weights[:, chosen] / norms[list(chosen)], axis=1)
                enter = np.where(moving, enter.ravel(), 0.0)
                if np.linalg.norm(enter) > 1e-6:
                    yield enter / np.linalg.norm(enter)


def _look(state, i, chosen):
    """What features that can be exchanged have in common: entering against one of them is as entering against the other."""
    weights, bias = state.weights[:, chosen], state.x[state.solver.m * state.solver.n :]
    ordinary = [tuple(np.round([bias[k], state.weights[:, k] @ state.weights[:, k]], 6)) for k in chosen]
    last = state.solver.n - 1
    products = np.sort(np.round((weights.T @ weights).ravel(), 6))
    return i == last, last in chosen, tuple(sorted(ordinary)), tuple(products.tolist())


class Mode:
    """The direction in which a held state breaks its symmetry first, followed from point to point.

    A feature that enters against others keeps its direction; any other is found again where the state is.
    """

    def __init__(self, state):
        self.direction = turning_direction(state)[1]
        self.two_sided = self.direction is not None and is_two_sided(state, self.direction)
        self.enters = self.direction is not None and any(
            np.allclose(enter, _moving(state, self.direction)) for enter in entrances(state)
        )

    def curvature(self, state):
        """Second derivative along the mode at a state."""
        return self._derivatives(state)[0]

    def turning(self, state):
        """What becomes negative where the order changes: the third derivative or, where symmetry makes it 0, the fourth."""
        if self.two_sided:
            direction = breaking_curvature(state, self.direction)[1]
            return fourth_derivative(state, derivatives_of(state, _moving(state, direction))[2])
        return self._derivatives(state)[1]

    def move_to(self, state):
        """Find the mode again at a state."""
        if self.direction is not None and not self.enters:
            self.direction = breaking_curvature(state, self.direction)[1]

    def _derivatives(self, state):
        """Second and third derivative along the mode at a state; NaN where there is none."""
        if self.direction is None:
            return np.nan, np.nan
        direction = self.direction if self.enters else breaking_curvature(state, self.direction)[1]
        return derivatives_of(state, _moving(state, direction))[:2]


def _moving(state, direction):
    """The part of a direction that breaks the symmetry: along held zeros that move."""
    return np.where(state.frame & ~state.free, direction, 0.0)


def turning_direction(state):
    """The lowest third derivative among the directions that are equally soft, and its direction; NaN where there is none.

    The order changes where it becomes negative. Of a direction that is as soft as its opposite, third derivatives are opposite;
    where they are 0 by symmetry, the fourth derivative counts.
    """
    directions = soft_directions(state)
    if not directions:
        return np.nan, None  # its symmetry does not break
    lowest = min(curvature for curvature, _, _ in directions)
    third, direction = min((found[1:] for found in directions if found[0] < lowest + EQUALLY), key=lambda found: found[0])
    return (fourth_derivative(state, direction) if is_two_sided(state, direction) else third), direction


def is_two_sided(state, direction):
    """Whether a direction and its opposite are alike: equally soft, both without a third derivative."""
    (curvature, third, _), (opposite, _, _) = (derivatives_of(state, _moving(state, way)) for way in (direction, -direction))
    return abs(third) < NO_THIRD and abs(curvature - opposite) < NO_THIRD


def fourth_derivative(state, direction):
    """Fourth derivative of the loss along a two-sided soft direction, the other parameters at their best.

    From its slopes at three amplitudes, odd functions of them: a κ + a³ q/6 + a⁵ s/120.
    """
    amplitudes = FOURTH_STEP * np.arange(1, 4)
    slopes = [_reduced_slope(state, direction, amplitude) for amplitude in amplitudes]
    return float(np.linalg.solve(amplitudes[:, None] ** [1, 3, 5] / [1, 6, 120], slopes)[1])


def _reduced_slope(state, direction, amplitude):
    """Derivative of the loss in the amplitude of a mode to which the other parameters respond."""
    solver, x = state.solver, state.x + amplitude * direction
    frame = np.flatnonzero(state.frame)
    mode = _moving(state, direction)[frame]
    across = np.linalg.svd(mode[None])[2][1:].T  # orthonormal
    for _ in range(20):
        gradient, hessian = solver.pinned(x, state.u)
        gradient = gradient[frame]
        response = (
            across @ np.linalg.lstsq(across.T @ hessian[np.ix_(frame, frame)] @ across, -across.T @ gradient, rcond=1e-9)[0]
        )
        x[frame] += response
        if np.max(np.abs(response)) < 1e-13:
            break
    return float(mode @ gradient / (mode @ mode))


def branches(state):
    """The minima next to a held state in which its symmetry is broken."""
    solver, found = state.solver, []
    soft = [(view.frame, *found) for view in state.views for found in soft_directions(view)]
    for frame, curvature, _, direction in soft:
        if curvature > SOFT:
            continue
        starts = [
            State(solver, state.x + distance * direction, (frame,), frame, state.u) for distance in np.geomspace(1e-5, 0.2, 20)
        ]
        for near in solver.stationary_points(starts, state.u):
            if not near.converged or not 10 * NO_LINK**1.5 < far(near, state) < MOVED:
                continue
            if any(far(near, other) < 1e-3 * far(other, state) for other in found):
                continue
            near = solver.stationary(solver.recognized(near.x, near.frame, state.u), state.u)
            known = any(far(near, other) < 1e-3 * far(other, state) for other in found)
            if not known and near.converged and np.sum(near.free) > np.sum(state.free) and near.stable:
                found.append(near)
    return found


def excess(base, state, u):
    """Loss of ``state`` above that of ``base``, parameters nearby, at u: accurate relative to their distance squared.

    The gradient at the base and the second derivatives on the way from it, integrated.
    """
    solver, step = base.solver, state.x - base.x
    if np.max(np.abs(step)) < 1e-13:
        return 0.0
    total = 0.0
    for node, weight in zip(_NODES, _WEIGHTS, strict=True):
        total += weight * (1 - node) * (step @ solver.hessian(base.x + node * step, u) @ step)
    return solver.unscaled(total + solver.gradient(base.x, u) @ step, u)


def family(one, other):
    """Two minima near each other as members of one family: (one, other, base), the last None when they are not.

    The base is the symmetric state from which either has departed (it may be one of them), parameters of both near its own.
    """
    solver, u, apart = one.solver, one.u, far(one, other)
    if apart > 0.1:
        return one, other, None
    bases = [state for state in (one, other) if state.held]
    bases += [state for state in (solver.symmetrized(one, u), solver.symmetrized(other, u)) if state is not None]
    for base in bases:
        members = [base, *branches(base)]
        nearest = [min(members, key=lambda member: far(member, state)) for state in (one, other)]
        if nearest[0] is not nearest[1] and all(
            far(member, state) < 1e-2 * apart + 1e-9 for member, state in zip(nearest, (one, other), strict=True)
        ):
            return *nearest, base
    return one, other, None


def _parents(states, u):
    """The soft symmetric states next to some minima at u: themselves, and those from which they have hardly departed."""
    for state in states:
        symmetric = state if state.held else state.solver.symmetrized(state, u)
        if symmetric is not None and symmetric.curvature < 1e-3 and far(symmetric, state) < CLOSE:
            yield symmetric


def rival(u, states, base=None, *, branching=True):
    """The lowest minimum at u when it is lower than all ``states``, or None.

    ``base``: the state of whose family the others are, solved at u; minima of one family are compared accurately.
    ``branching``: whether minima that branch off from the states are sought.
    """
    solver = states[0].solver
    lowest = min(state.loss for state in states)
    best = solver.contenders.lowest(u, lowest * (1 - LOWER), states)
    if best is not None or not branching:
        return best
    for parent in [base] if base is not None else _parents(states, u):
        reach = max(far(state, parent) for state in states)
        if reach > 0 and reach < TINY:
            continue
        close = reach < CLOSE
        own = min(excess(parent, state, u) for state in states) if close else lowest - parent.loss
        for member in [parent, *branches(parent)]:
            apart = far(member, parent)
            if any(far(member, state) <= 1e-3 * apart for state in states) or not member.stable:
                continue
            lower = excess(parent, member, u) if close else member.loss - parent.loss
            if lower < own - (1e-14 * parent.loss * max(apart, reach) if close else LOWER * lowest):
                best, own = member, lower
    return best
