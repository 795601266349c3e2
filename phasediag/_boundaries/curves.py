"""Curves on which equilibria are solved for: two minima coexist, or the Hessian of one has a block that is singular."""

from copy import copy
from itertools import product

import numpy as np
from scipy.optimize import brentq

from .equilibria import Equilibrium, far
from .normal_forms import COARSE, FINE, Mode, excess, lower_minimum, order_coefficient, siblings, softest_breaking
from .tolerances import (
    CONTROL_STEP,
    CONVERGED,
    KINK,
    LOWER,
    MOVED,
    NEGATIVE,
    SAME,
    SOFT,
    STALLED,
    THIRD_STEP,
    TINY,
    ZERO,
)

_HARDLY = 1e-5
"""Norms and cosines below this are zero where an equilibrium is flat, so that its zeros are not determined well."""
_HARDLY_MOVED = 5e-3
"""Minima that differ by less, in parameters, have not gone elsewhere."""
_FLAT = 1e-9
"""Curvatures below this are those of valleys of equal loss: minima that are about to merge have larger ones."""
_PIECES = 3
"""Pieces of a loss in which a point is sought, from where descents lead."""
_BENT = 0.5
"""Part of the way to where a minimum lies ahead by which it may lie elsewhere: that is 1/4 on the whole way to a merger."""
_BY_BASE, _BY_LOSS = 0.05, 0.1
"""Two minima nearer than the first are compared by their excess above a common base, farther than the second by their losses."""


class Curve:
    """A curve value(u) = 0 in the plane with the equilibria that make it.

    states: those at the last point, from which the next are solved; precision: the last step in u of the point found last;
    solve(u): those at u, or None, as ``_solve`` finds them, kept while the states are; breaks(u): what has happened to them up
    to u, "ceases", "merges" or "order changes", or None; lower(u): the minimum that is lower at u, or None.
    """

    def __init__(self, states):
        self.family, self.states, self.precision = states[0].family, list(states), 0.0
        self._kept, self._kept_of = {}, self.states

    def solve(self, u):
        """See above."""
        if self._kept_of is not self.states:
            self._kept, self._kept_of = {}, self.states
        key = float(u[0]), float(u[1])
        if key not in self._kept:
            self._kept[key] = self._solve(u)
        return self._kept[key]

    def anew(self):
        """The same curve, to be followed in another direction."""
        return copy(self)

    def slope(self, u):
        """Gradient of the value in u, shape (2,)."""
        return self.family.by_control(self.value, u)

    def steepness(self, u, along):
        """Derivative of the value along a unit vector at u."""
        ahead, behind = (self.value(u + step * along) for step in (CONTROL_STEP, -CONTROL_STEP))
        return (ahead - behind) / (2 * CONTROL_STEP)

    def at(self, guess, normal):
        """The point of the curve on the line through a guess across ``normal``, by Newton's method; None where it fails."""
        along = np.array([-normal[1], normal[0]])
        u, value, size = np.array(guess, dtype=float), self.value(guess), np.inf
        steepness = self.steepness(u, along) if np.isfinite(value) else np.nan
        for _ in range(40):
            if not np.isfinite(value) or not np.isfinite(steepness) or steepness == 0:
                return None
            move = -value / steepness
            if size < STALLED and abs(move) > 0.3 * size:  # rounding is all that is left
                break
            if abs(move) > min(1.0, 4 * size):
                return None
            u, size, before = u + move * along, abs(move), value
            if size < CONVERGED:
                break
            value = self.value(u)
            if size > CONTROL_STEP / 10:  # nearer to the curve it hardly changes
                steepness = (value - before) / move
        self.precision = size
        return u if size < STALLED else None

    def between(self, start, end):
        """The point on the way from start to end at which the value changes its sign, or None; an end where it vanishes is it."""
        first, last = self.value(start), self.value(end)
        if min(abs(first), abs(last)) < CONVERGED:
            return start if abs(first) <= abs(last) else end
        if not np.sign(first) == -np.sign(last):
            return None
        return start + brentq(lambda t: self.value(start + t * (end - start)), 0.0, 1.0, xtol=1e-15) * (end - start)

    def onto(self, guess):
        """The point of the curve nearest to a guess, within the window's axes; None where it fails."""
        slope = self.slope(guess) * self.family.box.wide
        return self.at(guess, tangent_of(slope)) if np.all(np.isfinite(slope)) and np.any(slope) else None

    def exists(self, u):
        """Whether its equilibria are at u what they are to be."""
        return self.solve(u) is not None

    def breaks(self, u):
        """See above."""
        return None if self.exists(u) else "ceases"

    def lower(self, u):
        """Nothing, for a curve that is followed whatever lies lower."""
        return None

    def event(self, u):
        """What has happened up to u, a minimum that is lower or a word of `breaks`; None where u is on the curve."""
        broken = self.breaks(u)
        lower = self.lower(u) if broken in (None, "merges") else None
        return broken if lower is None else lower

    def kinks(self, states):
        """The kinks that hold each of some equilibria, where a loss has such."""
        return [state.kinks for state in states] if self.family.form.is_kinked else []

    def bends(self, u):
        """Whether the equilibria at u are not those that lie ahead: the curve turns in the space of (x, u)."""
        return False

    def move_to(self, u):
        """Take the equilibria at u for those that are near; whether the value is another function now."""
        self.states = self.solve(u) or self.states
        self._kept, self._kept_of = {(float(u[0]), float(u[1])): self.states}, self.states
        return False


def _across_flat(hessian, right):
    """The solution of a symmetric system for several right sides, (n, k), nothing of it along what is flat, as in a valley."""
    values, vectors = np.linalg.eigh(hessian)
    steep = np.abs(values) > _FLAT
    return vectors[:, steep] @ ((vectors[:, steep].T @ right) / values[steep, None])


def tangent_of(slope):
    """The unit vector along a curve, from the slope across it, shape (2,)."""
    length = np.linalg.norm(slope)
    return np.array([-slope[1], slope[0]]) / length if length > 0 else np.array([1.0, 0.0])


class Coexistence(Curve):
    """The Maxwell line on which two minima have the same loss.

    Where they are near each other the difference of their losses is taken by way of the more symmetric equilibrium from which
    either has departed, the base: as a difference of two losses it would drown in rounding.
    """

    order, kind = "first", "coexistence"

    def __init__(self, one, other):
        *states, self.base = siblings(one, other)
        super().__init__(states)
        self._at, self._solved = None, None
        self._passed = None, None  # the minima at the last two points to which it has been followed

    def anew(self):
        """The same curve: where it leads is not known before it has been followed to a point."""
        other = super().anew()
        other._passed = None, None
        return other

    @property
    def members(self):
        """The equilibria that are followed: both minima, and the base where there is one."""
        return self.states if self.base is None else [*self.states, self.base]

    def solve(self, u):
        """Both minima at u, or None where they are no longer two."""
        solved = self._solve(u)
        return None if solved is None else solved[:2]

    def _solve(self, u):
        """The members at u, or None; remembered for the last u."""
        if self._at is None or not np.array_equal(self._at, u):
            new = self.family.stationary_points(self.members, u)
            if self.base is None:
                new = [self.family.settled(old, found, u) for old, found in zip(self.states, new, strict=True)]
            self._at, self._solved = np.array(u), new if self._followed(new, self.members) else None
        return self._solved

    def value(self, u):
        """The difference of the losses, relative to them and to the square of the distance of branches of one base."""
        solved = self._solve(u)
        return np.nan if solved is None else self._difference(solved, u) / self._scale(solved)

    def slope(self, u):
        """By the envelope theorem the parameters stay as they are."""
        solved = self._solve(u)
        if solved is None:
            return np.full(2, np.nan)
        if self.base is None:
            return (solved[0].slope - solved[1].slope) / self._scale(solved)
        return self.family.by_control(lambda v: self._difference(solved, v, COARSE), u) / self._scale(solved)

    def at(self, guess, normal):
        """The point of the curve on the line through a guess across ``normal``, by Newton's method in both minima and u.

        Where minima merge they exist in a wedge of vanishing width about the curve: they are not solved for at given u. Where
        the loss is pieced together a minimum may lie in another piece there, or on a kink: then from where descents lead.
        """
        states = self._ahead(guess)
        for _ in range(_PIECES):
            u = self._solved_from(states, guess, normal)
            if not len(self.family.inputs):
                break
            found, place = (self.states, guess) if u is None else (self._solved[:2], u)
            states = [self.family.descend(state, place, SOFT) for state in found]
            same = u is not None and all(far(new, old) < ZERO for new, old in zip(states, found, strict=True))
            if same or not all(new.converged and new.stable for new in states):
                break
        return u

    def _solved_from(self, states, guess, normal):
        """As `at`, from two minima."""
        along, u, size, family = np.array([-normal[1], normal[0]]), np.array(guess, dtype=float), np.inf, self.family
        states, base, frees, by_u = list(states), self.base, [np.flatnonzero(state.free) for state in self.states], [None, None]
        for _ in range(25):
            moves = []
            for k, (state, free) in enumerate(zip(states, frees, strict=True)):
                gradient, hessian = family.pinned(state.x, u)
                if size > _HARDLY:  # afterwards it hardly changes
                    by_u[k] = family.along(lambda v, x=state.x: family.gradient(x, v), u, along)[free]
                right = -np.column_stack([gradient[free], by_u[k]])
                if not np.all(np.isfinite(hessian)) or not np.all(np.isfinite(right)):
                    return None
                moves.append(np.column_stack([_across_flat(hessian[np.ix_(free, free)], right), gradient[free]]))
            base = base and family.stationary(base, u)
            members = [*states, base] if base else states
            difference = self._difference(members, u) / family.unscaled(1.0, u)
            if size > _HARDLY:
                steepness = family.along(lambda v, some=members: self._difference(some, v, COARSE), u, along)
                steepness /= family.unscaled(1.0, u)
            (first, by_first, one), (second, by_second, other) = (move.T for move in moves)
            steepness_here = steepness + one @ by_first - other @ by_second
            if steepness_here == 0:
                return None
            step = -(difference + one @ first - other @ second) / steepness_here
            moved = [first + step * by_first, second + step * by_second]
            before, size = size, max(abs(step), *(np.max(np.abs(part)) for part in moved))
            if not size < 0.5:
                return None
            u = u + step * along
            for k in (0, 1):
                x = states[k].x.copy()
                x[frees[k]] += moved[k]
                states[k] = Equilibrium(family, x, states[k].frames, states[k].free, u)
            if size < CONVERGED or (size < ZERO and size > 0.3 * before):
                break
        if not size < ZERO or not self._followed(states, self.states):
            return None
        self._at, self._solved = u, [*states, family.stationary(base, u)] if base else states
        self.precision = float(abs(step))
        return u

    def _ahead(self, u):
        """Both minima about u, on the straight line through those of the last two points.

        Newton's method finds a minimum that is about to merge from a part of its distance to the other alone, not from where it
        was. Where the curve has not been followed to a point they are left where they are.
        """
        before, last = self._passed
        if last is not self.states:
            return list(self.states)
        way = last[0].u - before[0].u
        part = (u - last[0].u) @ way / (way @ way)
        pairs = zip(last, before, strict=True)
        return [Equilibrium(one.family, one.x + part * (one.x - old.x), one.frames, one.free, u) for one, old in pairs]

    def bends(self, u):
        """See Curve: by more than a part of the way, where the minima have been followed to a point."""
        pair = self.solve(u)
        if pair is None or self._passed[1] is not self.states:
            return False
        both = zip(pair, self._ahead(u), self.states, strict=True)
        return any(
            np.linalg.norm(new.x - ahead.x) > _BENT * np.linalg.norm(ahead.x - old.x) + _HARDLY_MOVED for new, ahead, old in both
        )

    @staticmethod
    def _followed(new, old):
        """Whether new equilibria are what the old ones have become, and as far as can be told two."""
        if not all(
            one.converged and one.clusters == before.clusters and not far(one, before) > MOVED
            for one, before in zip(new, old, strict=True)
        ):
            return False
        return not far(*new[:2]) < max(10 * SAME, 0.1 * far(*old[:2]))

    def _difference(self, solved, u, rule=FINE):
        """Loss of the first minus that of the second at u, with the parameters solved for; ``rule``: see `excess`."""
        if self.base is not None:
            return excess(solved[2], solved[0], u, rule) - excess(solved[2], solved[1], u, rule)
        one, other = (self.family.loss(state.x, u) for state in solved)
        return one - other

    def _scale(self, solved):
        """What the difference is divided by."""
        return 2 * solved[0].loss * (1.0 if self.base is None else max(far(*solved[:2]), 1e-300) ** 2)

    def move_to(self, u):
        """See Curve: the minima; begin or cease to compare them by a base."""
        solved = self._solve(u)
        if solved is None:
            return False
        apart, turned = far(*solved[:2]), False
        if (self.base is None and apart < _BY_BASE) or (self.base is not None and apart > _BY_LOSS):
            *pair, base = siblings(*solved[:2])
            turned = (base is None) != (self.base is None)
            if turned:
                solved, self._at = pair if base is None else [*pair, base], None
        self.base = solved[2] if len(solved) == 3 else None
        before, self.states = self.states, solved[:2]
        self._passed = (None, None) if turned or np.array_equal(before[0].u, u) else (before, self.states)
        return turned

    def exists(self, u):
        """Whether both are minima at u."""
        pair = self.solve(u)
        return pair is not None and all(state.stable for state in pair)

    def tells_apart(self, u):
        """Whether its minima are farther from each other than rounding allows to tell which one is lower, or part.

        Away from the point in which they merge a curve goes on, to an edge near by.
        """
        pair = self.solve(u)
        return pair is not None and far(*pair) > min(TINY, far(*self.states))

    def lower(self, u):
        """The lowest minimum at u when it is lower than both, or None."""
        solved = self._solve(u)
        return None if solved is None else lower_minimum(u, solved[:2], solved[2] if len(solved) == 3 else None)

    def breaks(self, u):
        """See Curve."""
        return super().breaks(u) or (None if self.tells_apart(u) else "merges")


class BranchPoints(Curve):
    """The curve on which an equilibrium loses its stability across its symmetry: the curvature of its soft mode is 0.

    That the phase it turns into is the same point there is said by the equilibrium twice.
    """

    order, kind = "continuous", "symmetry breaking"

    def __init__(self, symmetric):
        family = symmetric.family
        exact = family.recognized(symmetric.x, symmetric.frame, symmetric.u, tolerance=_HARDLY)
        if not np.array_equal(exact.free, symmetric.free):
            symmetric = family.stationary(exact, symmetric.u)
        symmetric = symmetric.within(symmetric.softest[1])
        super().__init__([symmetric, symmetric])
        self.mode = Mode(symmetric)

    def _solve(self, u):
        """The equilibrium at u, twice, or None."""
        state = self.family.stationary(self.states[0], u)
        return [state, state] if state.converged and far(state, self.states[0]) < MOVED else None

    def value(self, u):
        """The curvature of the mode."""
        pair = self.solve(u)
        return np.nan if pair is None else self.mode.curvature(pair[0])

    def move_to(self, u):
        """See Curve: the equilibrium and its mode."""
        super().move_to(u)
        self.mode = self.mode.at(self.states[0])
        return False

    def exists(self, u):
        """Whether nothing else is softer."""
        pair = self.solve(u)
        return pair is not None and pair[0].curvature > NEGATIVE

    def coefficient(self, u):
        """The lowest coefficient of soft modes that decides the order, which changes where it becomes negative."""
        return order_coefficient(self.solve(u)[0])[0]

    def lower(self, u):
        """The lowest minimum at u when it is lower than the equilibrium, or None."""
        return self.family.competitors.lowest(u, self.solve(u)[0].loss * (1 - LOWER), self.solve(u))

    def breaks(self, u):
        """See Curve."""
        return super().breaks(u) or ("order changes" if self.coefficient(u) < -SAME else None)


class Coefficient(Curve):
    """The curve on which the cubic (or quartic) of an equilibrium along its soft mode vanishes, as in tricritical points.

    Of a curve of BranchPoints, which solves for the equilibrium and moves with it.
    """

    def __init__(self, limit):
        super().__init__(limit.states)
        self.limit = limit

    def value(self, u):
        """That coefficient."""
        solved = self.limit.solve(u)
        return np.nan if solved is None else self.limit.mode.coefficient(solved[0])

    def move_to(self, u):
        """See Curve."""
        return False


class StabilityLimit(BranchPoints):
    """Branch points whatever lies lower, as long as the mode turns the same way: where a minimum ceases across its symmetry."""

    def __init__(self, symmetric):
        super().__init__(symmetric)
        self._sense = np.sign(self.coefficient(symmetric.u))

    def coefficient(self, u):
        """The coefficient of its own mode alone."""
        return self.mode.coefficient(self.solve(u)[0])

    def ends(self, own):
        """Whether it is where the minimum ``own`` ceases: its equilibrium, or a branch of it that does not turn back before."""
        return own.held or self._sense > 0

    def breaks(self, u):
        """See Curve."""
        if not self.exists(u):
            return "ceases"
        return "order changes" if np.sign(self.coefficient(u)) == -self._sense else None

    def lower(self, u):
        """Nothing counts."""
        return None


class ExchangeLimit(Curve):
    """The curve on which a minimum that exchanging features leaves as it is loses its stability against telling them apart.

    direction: that in which it does, along parameters that move, shape (size,).
    """

    kind = "exchange breaking"

    def __init__(self, state, direction=None):
        super().__init__([state])
        self.direction = state.softest[0] if direction is None else direction

    def ends(self, own):
        """Whether its minimum is softest along parameters that move, both ways alike."""
        return np.linalg.norm(own.softest[0][own.free]) > 0.99

    def _solve(self, u):
        """The minimum at u, or None; it is stationary on both sides of the curve."""
        state = self.family.stationary(self.states[0], u)
        same = state.converged and far(state, self.states[0]) < MOVED and state.clusters == self.states[0].clusters
        return [state] if same else None

    def mode(self, x, u):
        """Curvature along the direction's like at flat parameters x, and that direction."""
        moving, direction = np.flatnonzero(self.states[0].free), np.zeros_like(x)
        values, vectors = np.linalg.eigh(self.family.pinned(x, u)[1][np.ix_(moving, moving)])
        k = int(np.argmax(np.abs(self.direction[moving] @ vectors)))
        direction[moving] = vectors[:, k]
        return float(values[k]), direction

    def value(self, u):
        """The curvature in its direction."""
        solved = self.solve(u)
        return np.nan if solved is None else self.mode(solved[0].x, u)[0]

    def move_to(self, u):
        """See Curve: the minimum and its direction."""
        super().move_to(u)
        self.direction = self.mode(self.states[0].x, u)[1]
        return False

    def exists(self, u):
        """Whether it is a minimum otherwise."""
        solved = self.solve(u)
        return solved is not None and solved[0].curvature > NEGATIVE


class Folds(Curve):
    """The curve on which a minimum meets a saddle: its lowest curvature vanishes along a direction in which it may move.

    Minimally augmented (Griewank & Reddien 1984; Govaerts 2000): the gradient, and s of

    [ h   d ] [ v ]   [ 0 ]
    [ dᵀ  0 ] [ s ] = [ 1 ],

    h the second derivatives of the parameters that move, vanish together in (x, u), where the system is regular.
    """

    kind = "fold"

    def __init__(self, state, direction=None):
        super().__init__([state])
        self.moving = np.flatnonzero(state.free)
        self.direction = (state.softest[0] if direction is None else direction)[self.moving]
        self.cubic = self._cubic(state.x, state.u, self.direction) @ self.direction

    def ends(self, own):
        """Whether its minimum is softest along parameters that move, and not both ways alike."""
        return np.linalg.norm(self.direction) > 0.99 and abs(self.cubic) > ZERO

    def _derivatives(self, x, u):
        """Gradient and second derivatives in the parameters that move, one array (size, 1 + size)."""
        gradient, hessian = self.family.pinned(x, u)
        return np.column_stack([gradient[self.moving], hessian[np.ix_(self.moving, self.moving)]])

    def _cubic(self, x, u, null):
        """Derivative of the second derivatives along a direction, times it, shape (n_moving,)."""
        aside = np.zeros_like(x)
        aside[self.moving] = THIRD_STEP * null
        along = (self._derivatives(x + aside, u) - self._derivatives(x - aside, u))[:, 1:]
        return along @ null / (2 * THIRD_STEP)

    def at(self, guess, normal):
        """The point of the curve on the line through a guess across ``normal``; its equilibrium is kept for `solve`."""
        return self._where(guess, lambda x, u: (normal @ (u - guess), np.zeros(self.moving.size), normal))

    def kink(self, guess):
        """The point of the curve near a guess at which third derivatives jump so that two folds meet, and what it is; or None.

        The cubic has two signs there: as in a cusp two minima become one, or, downhill both ways, two saddles close in on one
        minimum, for which one limit goes over into another. They jump where the support of an output i changes, b_i + W_i ·
        Σ_{j in V} W_j = 0 for some features V, each 1; of these functions that nearest to 0 is made 0.
        """
        family, state = self.family, self.states[0]
        chosen = np.array([*product((0.0, 1.0), repeat=family.n)])[1:]

        def support(x, i, some):
            """The function of output i and the features ``some``, and its gradient, (size,)."""
            weights, slope = x[: -family.n].reshape(family.m, family.n), np.zeros((family.m + 1, family.n))
            slope[:-1] = np.outer(weights[:, i], some)
            slope[:-1, i] += weights @ some
            slope[-1, i] = 1.0
            return x[i - family.n] + weights[:, i] @ weights @ some, slope.ravel()

        values = {(i, k): abs(support(state.x, i, some)[0]) for i in range(family.n) for k, some in enumerate(chosen)}
        i, k = min((one for one, value in values.items() if value > KINK**2), key=values.get)

        def border(x, _):
            """That function, and its gradients in moving x, (n_moving,), and in u."""
            value, slope = support(x, i, chosen[k])
            return value, slope[self.moving], np.zeros(2)

        u = self._where(guess, border)
        if u is None:
            return None
        x, null = self._found[0].x, self._found[1]
        aside = np.zeros_like(x)
        aside[self.moving] = KINK**0.5 * null
        one, other = (self._cubic(x + sense * aside, u, null) @ null for sense in (1.0, -1.0))
        return (u, "critical point" if one > 0 else "another limit") if one * other < 0 else None

    def meets(self, guess, curvature):
        """The point of the curve near a guess at which another curvature(x, u) of its equilibrium vanishes too, or None."""
        steps = CONTROL_STEP * np.eye(self.moving.size)

        def border(x, u):
            """That curvature, and its gradients in moving x, (n_moving,), and in u."""
            by_x = [curvature(self._moved(x, step), u) - curvature(self._moved(x, -step), u) for step in steps]
            by_u = self.family.by_control(lambda v: curvature(x, v), u)
            return curvature(x, u), np.array(by_x) / (2 * CONTROL_STEP), by_u

        return self._where(guess, border)

    def _moved(self, x, step):
        """Parameters x with a step (n_moving,) of those that move."""
        moved = x.copy()
        moved[self.moving] += step
        return moved

    def _where(self, guess, border):
        """The point of the curve next to a guess at which border(x, u), (value, gradients in moving x and in u), vanishes."""
        old, size = self.states[0], self.moving.size
        x, u, matrix = old.x.copy(), np.array(guess, dtype=float), np.zeros((size + 2, size + 2))
        bordered, right, left = np.zeros((size + 1, size + 1)), np.zeros(size + 2), np.inf
        bordered[:size, size] = bordered[size, :size] = self.direction
        for _ in range(20):
            here = self._derivatives(x, u)
            bordered[:size, :size] = here[:, 1:]
            if not np.all(np.isfinite(here)):
                return None
            try:
                null = np.linalg.solve(bordered, np.append(np.zeros(size), 1.0))
                v = null[:size]
                if left > _HARDLY:  # afterwards they hardly change
                    by_u = self.family.by_control(lambda v, x=x: self._derivatives(x, v), u)  # (2, size, 1 + size)
                    cubic = self._cubic(x, u, v)
                matrix[:size, :size], matrix[:size, size:] = here[:, 1:], by_u[:, :, 0].T
                matrix[size, :size], matrix[size, size:] = -cubic, [-(v @ part[:, 1:] @ v) for part in by_u]
                right[size + 1], matrix[size + 1, :size], matrix[size + 1, size:] = border(x, u)
                right[:size], right[size] = here[:, 0], null[size]
                move = -np.linalg.solve(matrix, right)
            except np.linalg.LinAlgError:
                return None
            before, left = left, np.max(np.abs(move))
            if not left < 0.5:
                return None
            x[self.moving] += move[:size]
            u = u + move[size:]
            if left < CONVERGED or (left < STALLED and left > 0.3 * before):
                break
        else:
            return None
        found = Equilibrium(self.family, x, old.frames, old.free, u)
        if far(found, old) > MOVED:
            return None
        self._found, self.precision = (found, v / np.linalg.norm(v), cubic @ v, here[:, 1:]), float(np.max(np.abs(move[size:])))
        return u

    def solve(self, u):
        """The equilibrium at the point found last."""
        return [self._found[0]]

    def slope(self, u):
        """Gradient of the slope of the loss along the null vector, which vanishes along the curve, shape (2,)."""
        state, null = (self.states[0], self.direction) if np.array_equal(u, self.states[0].u) else self._found[:2]
        return self.family.by_control(lambda v: float(null @ self._derivatives(state.x, v)[:, 0]), u)

    def move_to(self, u):
        """Take the equilibrium at the point found last for the one that is near."""
        found, self.direction, self.cubic, _ = self._found
        self.states = [found]
        return False

    def exists(self, u):
        """Whether a minimum ends at the point found last: the cubic keeps its sign, no other curvature is negative."""
        state, _, cubic, hessian = self._found
        if cubic * self.cubic < 0 or np.linalg.eigvalsh(hessian)[0] < NEGATIVE:
            return False
        return not (state.held and softest_breaking(state)[0] < NEGATIVE)
