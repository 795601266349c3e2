"""Points at which boundary curves end or meet, solved as equations of their own, and the curves that leave them."""

from itertools import combinations

import numpy as np

from .continuation import correct, distance, first_step, intersection
from .curves import Coexistence, StabilityLimit, Turning
from .stability import TINY, branches, rival
from .states import far

REACH = 4.0
"""A junction is farther from the last point of a curve than this many full steps only when it is another one."""

NOTICED = 5
"""What becomes lower along a curve is noticed within so many of its points."""


class Junction:
    """A point u with the states that meet there.

    kind: "triple point" (three minima have one loss, or one of two is about to break its symmetry), "order changes" (a
    softening curve becomes first-order) or "critical point" (two minima of one phase become one).
    """

    def __init__(self, kind, u, states):
        self.kind, self.u, self.states, self.way = kind, u, states, []

    def departures(self):
        """Yield (u, curve) for the curves that may leave here, u on the curve near by."""
        if self.kind == "triple point" and len(self.states) == 3:
            yield from _from_triple_point(self)
        elif self.kind == "triple point":
            yield from _from_end_point(self)
        elif self.kind == "order changes":
            yield from _from_tricritical_point(self)


def junction(curve, u, against):
    """The junction at which a curve, followed to u, ends: ``against`` is what stopped it there, None where it ceases to exist."""
    solver = curve.solver
    if curve.order == "continuous":
        symmetric = solver.stationary(curve.states[0], u)
        found = _tricritical(symmetric, u) if isinstance(against, str) else against and _meeting(symmetric, against, u)
    elif against is not None:
        found = _triple(*(curve.solve(u) or curve.states), against, u)
    else:
        found = _ceasing(curve, u)
    if not found or np.linalg.norm(found.u - u) > REACH * solver.box.step:
        return None
    return found


def junction_between(curve, against, points):
    """The junction at which a curve meets ``against``, which is lower at the last of its points; None when there is none.

    It lies before that point; not always after the one before, for a rival may be noticed late.
    """
    node = junction(curve, points[-1], against)
    if node is None:
        return None
    length = np.linalg.norm(points[-1] - points[-2])
    if distance(points[-2:], node.u) < 0.2 * length:
        return node
    is_behind = distance(points[-NOTICED:], node.u) < 0.2 * length < np.linalg.norm(points[0] - node.u)
    return node if is_behind else None


def junction_ahead(curve, here, reach, tangent):
    """The junction no farther away than ``reach`` in which a curve ends that has been followed to ``here``, or None.

    On the way to it, at points that it remembers, the curve has to exist and nothing may lie lower.
    """
    node = junction(curve, here, None)
    if node is None:
        return None
    away = node.u - here
    if not 0 < np.linalg.norm(away) < reach or away @ tangent < 0.9 * np.linalg.norm(away):
        return None
    for part in (0.5, 0.9, 0.99, 0.999):
        there = correct(curve, here + part * away)
        if there is None or not curve.exists(there) or curve.rival(there) is not None:
            return None
        node.way.append(there)
    return node


def _triple(one, other, third, u):
    """Three minima of one loss; the third is replaced while there is a lower one."""
    for _ in range(4):
        curves = Coexistence(one, other), Coexistence(one, third)
        u = intersection(*curves, u)
        if u is None:
            return None
        states = [*curves[0].states, curves[1].states[1]]
        lower = rival(u, states[:2], curves[0].base)
        if lower is None or far(lower, states[2]) < 1e-6:
            return Junction("triple point", u, states)
        one, other, third = *states[:2], lower
    return None


def _meeting(symmetric, other, u):
    """A symmetric state loses its stability where another minimum has its loss; a triple point if not continuously."""
    curves = StabilityLimit(symmetric), Coexistence(symmetric, other)
    u = intersection(*curves, u)
    if u is None:
        return None
    symmetric, other = curves[1].states
    lower = rival(u, [symmetric, other])
    if lower is not None:
        return _triple(symmetric, other, lower, u)
    return Junction("triple point", u, [symmetric, other])


def _tricritical(symmetric, u):
    """A symmetric state's limit of stability becomes first-order; None where no such point is solved near u."""
    softening = StabilityLimit(symmetric)
    u = intersection(softening, Turning(softening), u)
    return None if u is None else Junction("order changes", u, softening.solve(u)[:1])


def _ceasing(curve, u):
    """The end of a first-order curve: its minima merge, or one of them turns into a more symmetric state."""
    solver = curve.solver
    pair = curve.solve(u) or curve.states
    if far(*pair) < 0.2:
        for base in _bases(curve, pair, u):
            found = _tricritical(base, u)
            if found and np.linalg.norm(found.u - u) < solver.box.step:
                return found
        u = cusp(pair[0], u)
        return None if u is None else Junction("critical point", u, [])
    for state, other in (pair, pair[::-1]):
        for symmetric in (state if state.held else None, solver.symmetrized(state, u)):
            if symmetric is not None and far(symmetric, state) < 0.05 and abs(symmetric.curvature) < 0.05:
                found = _meeting(symmetric, other, u)
                if found and np.linalg.norm(found.u - u) < solver.box.step:
                    return found
    return None


def _bases(curve, pair, u):
    """Symmetric states that both minima may turn into: hardly farther away than they are apart, the most symmetric first.

    Near the end of a curve a minimum can itself be about to turn into a more symmetric state.
    """
    solver, apart = curve.solver, far(*pair)
    bases = [curve.base, *(state for state in pair if state.held), *(solver.symmetrized(state, u) for state in pair)]
    bases = [base for base in bases if base is not None and min(far(base, state) for state in pair) < 5 * apart]
    return sorted(bases, key=lambda base: np.sum(base.free))


def cusp(state, u):
    """Where two minima and the saddle between them become one: curvature and third derivative vanish along one direction."""
    solver, size = state.solver, state.x.size
    moving = np.flatnonzero(state.free)

    def equations(z):
        x, direction, v = state.x.copy(), np.zeros(size), z[-2:]
        x[moving], direction[moving] = z[: moving.size], z[moving.size : -2]
        h = 1e-3
        here, *along = (solver.hessian(x + k * h * direction, v) for k in (0, -2, -1, 1, 2))
        third = direction @ (along[0] - 8 * along[1] + 8 * along[2] - along[3]) @ direction / (12 * h)
        slopes = solver.gradient(x, v)[moving], (here @ direction)[moving]
        return np.concatenate([*slopes, [direction @ direction - 1, third]])

    z = np.concatenate([state.x[moving], state.softest[1][moving], u])
    for _ in range(20):
        value = equations(z)
        jacobian = np.empty((value.size, z.size))
        for k in range(z.size):
            step = np.zeros(z.size)
            step[k] = 1e-5
            jacobian[:, k] = (equations(z + step) - equations(z - step)) / 2e-5
        move = -np.linalg.lstsq(jacobian, value, rcond=1e-11)[0]
        if not np.all(np.isfinite(move)) or np.max(np.abs(move)) > 0.5:
            return None
        z = z + move
        if np.max(np.abs(move[-2:])) < 1e-13:
            break
    return z[-2:] if np.max(np.abs(equations(z))) < 1e-9 else None


def _near(curve, u, against=()):
    """Points on a curve on both sides of its end u at which nothing lies lower: one on each side at most."""
    box = curve.solver.box
    start = curve.states
    for sense in (1.0, -1.0):
        for part in (1.0, 0.1, 0.01, 1e-3, 1e-4, 1e-5):
            curve.states = start
            there = first_step(curve, u, box, part * sense)
            if there is None or box.outside(there) or not curve.exists(there):
                continue
            lower = curve.rival(there)
            if lower is None:
                yield there
                break
            if isinstance(lower, str) or any(lower.shape == state.shape and far(lower, state) < 0.05 for state in against):
                break
            node = junction(curve, there, lower)  # another junction on the way
            ahead = None if node is None else (node.u - u) @ (there - u)
            if ahead is not None and 0 < ahead < (there - u) @ (there - u):
                middle = correct(curve, (node.u + u) / 2)
                if middle is not None and curve.exists(middle) and curve.rival(middle) is None:
                    yield middle
                break


def _from_triple_point(node):
    """Each two of the three minima coexist on one side at least."""
    for one, other in combinations(node.states, 2):
        third = [state for state in node.states if state is not one and state is not other]
        for u in _near(Coexistence(one, other), node.u, third):
            curve = Coexistence(one, other)
            curve.move_to(u)
            yield u, curve


def _from_end_point(node):
    """The symmetric state's limit, its coexistence with the other minimum, and that of what branches off from it."""
    symmetric, other = node.states
    for u in _near(StabilityLimit(symmetric), node.u):
        curve = StabilityLimit(symmetric)
        curve.move_to(u)
        yield u, curve
    for u in _near(Coexistence(symmetric, other), node.u):
        curve = Coexistence(symmetric, other)
        curve.move_to(u)
        yield u, curve
    box = symmetric.solver.box
    for part, sense in ((0.2, 1.0), (0.2, -1.0), (0.02, 1.0), (0.02, -1.0)):
        ahead = first_step(Coexistence(symmetric, other), node.u, box, part * sense)
        if ahead is not None and not box.outside(ahead):
            unstable, beyond = (state.solver.stationary(state, ahead) for state in (symmetric, other))
            yield from _pairs([*branches(unstable), beyond], ahead, needed=beyond)


def _from_tricritical_point(node):
    """On either side the limit of stability, or the coexistence of the symmetric state or what branches off from it."""
    symmetric = node.states[0]
    box, found = symmetric.solver.box, {}
    for part in (0.5, 0.05, 0.005):
        for sense in (1.0, -1.0):
            curve = StabilityLimit(symmetric)
            ahead = first_step(curve, node.u, box, part * sense)
            if found.get(sense) or ahead is None or box.outside(ahead):
                continue
            curve.move_to(ahead)
            if curve.turning(ahead) > 0:
                if curve.rival(ahead) is None:
                    found[sense] = True
                    yield ahead, curve
                continue
            unstable = curve.states[0]
            for departure in _pairs([unstable, *branches(unstable)], ahead):
                found[sense] = True
                yield departure


def _pairs(states, u, needed=None):
    """Yield (u, curve) for the pairs of states that cross near u with nothing lower, as far as that can be told."""
    for one, other in combinations(states, 2):
        if (needed is not None and other is not needed) or (len(states) > 2 and far(one, other) < TINY):
            continue
        curve = Coexistence(one, other)
        v = correct(curve, u)
        if v is None or np.linalg.norm(v - u) > 0.5 * curve.solver.box.step or not curve.exists(v):
            continue
        curve.move_to(v)
        if curve.rival(v) is None:
            yield v, curve
