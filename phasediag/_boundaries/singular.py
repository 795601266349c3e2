"""Singular curves: a curvature of an equilibrium vanishes, along parameters that move or across its symmetry.

Minimally augmented (Griewank & Reddien 1984; Govaerts 2000): the gradient in the parameters that move and the curvature vanish
together in (x, u), where the system is regular although the equilibrium may fold.
"""

from copy import copy

import numpy as np
from scipy.optimize import brentq

from .._minimizing.newton import PROBE
from .curves import HARDLY, Curve
from .equilibria import Equilibrium, far
from .family import across_flat
from .normal_forms import Mode, order_coefficient, softest_breaking
from .tolerances import (
    CONTROL_STEP,
    CONVERGED,
    CUBIC_STEP,
    KINK,
    LOWER,
    MOVED,
    NEGATIVE,
    SAME,
    SHORT_ROOM,
    STABLE,
    STALLED,
    THIRD_STEP,
    ZERO,
)


class Singular(Curve):
    """A singular curve of an equilibrium; free: positions of the parameters that move.

    system(x, u, slopes): of its equations, gradient and curvature, the derivatives in the parameters that move and in u,
    (n_free + 1, n_free + 2), and what is left of them, (n_free + 1,); those that are differences are taken anew for ``slopes``.
    """

    def __init__(self, state, times=1):
        super().__init__([state] * times)
        self.free, self._found = np.flatnonzero(state.free), None

    def at(self, guess, normal):
        """The point of the curve on the line through a guess across ``normal``; its equilibrium is kept for `solve`."""
        return self.where(guess, lambda x, u: (normal @ (u - guess), np.zeros(self.free.size), normal))

    def where(self, guess, border):
        """The point of the curve next to a guess at which border(x, u), (value, gradients in free x and in u), vanishes."""
        old, size, left, moved = self.ahead(guess)[0], self.free.size, np.inf, np.inf
        x, u, matrix, right = old.x.copy(), np.array(guess, dtype=float), np.zeros((size + 2, size + 2)), np.zeros(size + 2)
        for _ in range(20):
            try:
                matrix[:-1], right[:-1] = self.system(x, u, moved > HARDLY)
                right[-1], matrix[-1, :size], matrix[-1, size:] = border(x, u)
                move = -np.linalg.solve(matrix, right)
            except np.linalg.LinAlgError:
                return None
            before, moved, by = left, np.max(np.abs(move)), np.max(np.abs(move[size:]))
            if not moved < 0.5:
                return None
            left = max(by, moved**2)  # along what is nearly flat rounding moves the parameters
            x[self.free] += move[:size]
            u = u + move[size:]
            if left < CONVERGED or (left < STALLED and not CONVERGED * before < left**2 < 0.1 * before**2):  # or rounding is left
                break
        else:
            return None
        found = Equilibrium(self.family, x, old.frames, old.free, u)
        if far(found, self.states[0]) > MOVED:
            return None
        self.precision = float(by)
        self.keep(u, [found] * len(self.states))
        return u

    def at_support(self, guess):
        """The point of the curve near a guess at which the support of an output changes, so that third derivatives jump; or None.

        It is the support that is nearest to a change at the equilibrium that the curve has come to.
        """
        values, _ = self.family.supports(self.states[0].x)
        away = np.where(np.abs(values) > KINK**2, np.abs(values), np.inf)  # what symmetry makes 0 does not change
        k = int(np.argmin(away))

        def border(x, _):
            """The support function, and its gradients in free x, (n_free,), and in u."""
            values, slopes = self.family.supports(x)
            return values[k], slopes[k, self.free], np.zeros(2)

        return self.where(guess, border)

    def slope(self, u):
        """Gradient in u of the curvature of the equilibrium, which changes with u, shape (2,)."""
        solved, size = self.solve(u), self.free.size
        if solved is None:
            return np.full(2, np.nan)
        rows = self.system(solved[0].x, u, True)[0]
        return rows[size, size:] - rows[size, :size] @ across_flat(rows[:size, :size], rows[:size, size:])

    def derivatives(self, x, u):
        """Gradients (…, n_free) and second derivatives (…, n_free, n_free) in the parameters that move, at x and u."""
        _, gradients, hessians = self.family.derivatives(x, u, pinned=True)
        return gradients[..., self.free], hessians[..., self.free[:, None], self.free]


class BranchPoints(Singular):
    """The curve on which an equilibrium loses its stability across its symmetry: the curvature of its soft mode is 0.

    That the phase it turns into is the same point there is said by the equilibrium twice.
    """

    order, kind = "continuous", "symmetry breaking"

    def __init__(self, symmetric):
        family = symmetric.family
        exact = family.recognized(symmetric.x, symmetric.frame, symmetric.u, tolerance=HARDLY)
        if not np.array_equal(exact.free, symmetric.free):
            symmetric = family.stationary(exact, symmetric.u)
        symmetric = symmetric.within(symmetric.softest[1])
        super().__init__(symmetric, 2)
        self.mode = Mode(symmetric)

    def begin(self):
        """Let Newton's method begin with the direction that the mode has where the curve is."""
        self._direction = self.mode.direction

    def at(self, guess, normal):
        """See Singular; of values that are certain by the curvature alone, for its derivatives jump."""
        if self.mode.direction is None:
            return None
        self.begin()
        return Curve.at(self, guess, normal) if len(self.family.inputs) else super().at(guess, normal)

    def slope(self, u):
        """See Singular and `at`."""
        self.begin()
        return Curve.slope(self, u) if len(self.family.inputs) or self.mode.direction is None else super().slope(u)

    def system(self, x, u, slopes):
        """See Singular: the curvature is that of the mode in its direction, with the response of the parameters that move."""
        family, free, direction = self.family, self.free, self._direction
        aside = x + PROBE * direction
        _, gradients, hessians = family.derivatives(np.array([x, aside]), u, pinned=True)
        if not np.all(np.isfinite(hessians)):
            raise np.linalg.LinAlgError
        self._direction = direction = self.mode.turned(self.states[0], direction, hessians[1])
        second, third = family.beside(x, direction, u)
        if slopes:
            self._slopes = family.by_control(lambda points: self._forms(aside, points, direction), u)
        rows = np.empty((free.size + 1, free.size + 2))
        rows[:-1, : free.size], rows[-1, : free.size] = hessians[0][free[:, None], free], (third @ direction)[free]
        rows[:, free.size :] = self._slopes.T
        return rows, np.append(gradients[0][free], direction @ second @ direction)

    def _forms(self, x, points, direction):
        """At points (…, 2) the gradient in the parameters that move and the curvature along a direction: (…, n_free + 1)."""
        _, gradients, hessians = self.family.derivatives(x, points, pinned=True)
        return np.concatenate([gradients[..., self.free], (hessians @ direction @ direction)[..., None]], axis=-1)

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


class LimitCurve(Singular):
    """A singular curve that is followed whatever lies lower: a minimum ceases on it.

    tests(u): what changes its sign from + to − where it ends, by the word for the end.
    """

    def changes(self, here, there, word):
        """The point of the curve between two of its points at which a test changes its sign, followed to there; or None."""
        way, trial, lost = there - here, copy(self), []

        def value(part):
            """The test at a part of the way; where no point of the curve is found it is noted, as beyond the end."""
            u = trial.at(here + part * way, way / np.linalg.norm(way))
            if u is None:
                lost.append(part)
            return -1.0 if u is None else trial.tests(u)[word]

        if not value(0.0) > 0 > value(1.0):
            return None
        part = brentq(value, 0.0, 1.0, xtol=STALLED)
        u = None if lost else trial.at(here + part * way, way / np.linalg.norm(way))
        if u is not None and trial.jumps(u):
            trial.states = trial.solve(u)
            u = trial.at_support(u)
        if u is not None:
            self.keep(u, trial.solve(u))
            self.precision = trial.precision
        return u

    def jumps(self, u):
        """Whether third derivatives jump so near to its equilibrium at u that they are not what they are taken for."""
        return False

    def breaks(self, u):
        """See Curve."""
        if self.solve(u) is None:
            return "ceases"
        return next((word for word, value in self.tests(u).items() if not value > 0), None)


class StabilityLimit(LimitCurve, BranchPoints):
    """Branch points as long as the mode turns the same way: where a minimum ceases across its symmetry."""

    def __init__(self, symmetric):
        super().__init__(symmetric)
        self._sense = np.sign(self.mode.coefficient(self.states[0]))

    def ends(self, own):
        """Whether it is where the minimum ``own`` ceases: its equilibrium, or a branch of it that does not turn back before."""
        return own.held or self._sense > 0

    def tests(self, u):
        """See LimitCurve: the lowest curvature of another mode, and the coefficient of its own."""
        state = self.solve(u)[0]
        others = state.curvature
        if others > NEGATIVE:
            others = np.min(np.linalg.eigvalsh(self.derivatives(state.x, u)[1]), initial=1.0)
        return {"ceases": others - NEGATIVE, "order changes": self._sense * self.mode.coefficient(state)}

    def jumps(self, u):
        """See LimitCurve: within the points from which the coefficient is taken."""
        state = self.solve(u)[0]
        return self.family.room_beside(state.x, self.mode.at(state).direction) < SHORT_ROOM

    def lower(self, u):
        """Nothing counts."""
        return None


class FreeLimit(LimitCurve):
    """The curve on which the lowest curvature of a minimum vanishes along a direction in which it may move.

    It meets a saddle there, a fold, or, where exchanging features leaves it as it is, begins to tell them apart: the direction
    has no cubic then, and no equation holds the parameters along it but their symmetry. Its curvature is s of

    [ h   d ] [ v ]   [ 0 ]
    [ dᵀ  0 ] [ s ] = [ 1 ],

    h the second derivatives of the parameters that move, direction d.
    """

    def __init__(self, state):
        super().__init__(state)
        self.direction = np.linalg.eigh(self.derivatives(state.x, state.u)[1])[1][:, 0]
        self.cubic = self._cubic(state.x, state.u, self.direction) @ self.direction
        self.kind = "fold" if abs(self.cubic) > ZERO else "exchange breaking"

    @property
    def is_fold(self):
        """Whether a minimum meets a saddle."""
        return self.kind == "fold"

    def system(self, x, u, slopes):
        """See Singular."""
        gradient, hessian = self.derivatives(x, u)
        size = self.free.size
        if not np.all(np.isfinite(hessian)):
            raise np.linalg.LinAlgError
        bordered = np.zeros((size + 1, size + 1))
        bordered[:size, :size] = hessian
        bordered[:size, size] = bordered[size, :size] = self.direction
        null = np.linalg.solve(bordered, np.append(np.zeros(size), 1.0))
        v, rows = null[:size], np.empty((size + 1, size + 2))
        if slopes:
            by_u, cubic = self.family.by_control(lambda points: self._forms(x, points, v), u), self._cubic(x, u, v)
            self._slopes = by_u, cubic
        by_u, cubic = self._slopes
        rows[:size, :size] = hessian if self.is_fold else hessian + np.outer(v, v)
        rows[size, :size], rows[:, size:] = -cubic, by_u.T
        self._last = v / np.linalg.norm(v), cubic @ v, hessian
        return rows, np.append(gradient, null[size])

    def _forms(self, x, points, null):
        """At points (…, 2) the gradient in the parameters that move and less the curvature along ``null``: (…, n_free + 1)."""
        gradients, hessians = self.derivatives(x, points)
        return np.concatenate([gradients, -(hessians @ null @ null)[..., None]], axis=-1)

    def _cubic(self, x, u, null):
        """Derivative of the second derivatives along a direction, times it, shape (n_free,)."""
        aside = np.zeros_like(x)
        aside[self.free] = THIRD_STEP * null
        ahead, behind = self.derivatives(np.array([x + aside, x - aside]), u)[1]
        return (ahead - behind) @ null / (2 * THIRD_STEP)

    def kink(self, guess):
        """The point of the curve near a guess at which third derivatives jump so that two folds meet, and what it is; or None.

        The cubic has two signs there: as in a cusp two minima become one, or, downhill both ways, two saddles close in on one
        minimum, for which one limit goes over into another.
        """
        u = self.at_support(guess)
        if u is None:
            return None
        x, null = self.solve(u)[0].x, self._last[0]
        aside = np.zeros_like(x)
        aside[self.free] = KINK**0.5 * null
        one, other = (self._cubic(x + sense * aside, u, null) @ null for sense in (1.0, -1.0))
        return (u, "critical point" if one > 0 else "another limit") if one * other < 0 else None

    def keep(self, u, states):
        """See Curve: with the direction, the cubic and the second derivatives there."""
        super().keep(u, states)
        self._latest, self._found = states[0], getattr(self, "_last", None)

    def _solve(self, u):
        """The equilibrium at the point found last."""
        return [self._latest]

    def slope(self, u):
        """See Singular; of a fold that of the loss along the null vector, which vanishes along the curve."""
        if not self.is_fold:
            return super().slope(u)
        state, null = (self.states[0], self.direction) if np.array_equal(u, self.states[0].u) else (self._latest, self._found[0])
        return self.family.by_control(lambda points: self.derivatives(state.x, points)[0] @ null, u)

    def move_to(self, u):
        """See Curve: the equilibrium, its direction and its cubic."""
        super().move_to(u)
        self.direction, self.cubic, _ = self._found
        return False

    def tests(self, u):
        """See LimitCurve: the lowest curvature besides its own, and the cubic in the sense that it has had."""
        state, (direction, cubic, hessian) = self.solve(u)[0], self._found
        values, vectors = np.linalg.eigh(hessian)
        others = np.min(np.delete(values, np.argmax(np.abs(direction @ vectors))), initial=1.0)
        if state.held:
            others = min(others, softest_breaking(state)[0])
        same = state.clusters == self.states[0].clusters
        return {"lost": (cubic * self.cubic if self.is_fold else 1.0) if same else -1.0, "ceases": others - STABLE}

    def cusp(self, guess):
        """The point of the curve near a guess at which the cubic vanishes, where it turns back, or None."""
        trial, steps = copy(self), CONTROL_STEP * np.eye(self.free.size)
        trial.kind = "fold"  # no symmetry holds the parameters along the direction

        def border(x, u):
            """The cubic, and its gradients in free x, (n_free,), and in u."""
            aside = np.zeros((2, self.free.size, x.size))
            aside[:, :, self.free] = steps, -steps
            ahead, behind = self._cubics(x + aside, u)
            by_u = self.family.by_control(lambda points: self._cubics(x, points), u)
            return self._cubics(x[None], u)[0], (ahead - behind) / (2 * CONTROL_STEP), by_u

        u = trial.where(guess, border)
        if u is not None:
            self.keep(u, trial.solve(u))
            self.precision = trial.precision
        return u

    def _cubics(self, x, u):
        """Third derivatives (…) along null vectors at parameters x (…, size) and points u (…, 2) that broadcast."""
        hessians, size = self.derivatives(x, u)[1], self.free.size
        bordered = np.zeros((*hessians.shape[:-2], size + 1, size + 1))
        bordered[..., :size, :size] = hessians
        bordered[..., :size, size] = bordered[..., size, :size] = self.direction
        null = np.linalg.solve(bordered, np.eye(size + 1)[:, -1:])[..., :size, 0]
        null /= np.linalg.norm(null, axis=-1, keepdims=True)
        aside = np.zeros((*null.shape[:-1], self.family.size))
        aside[..., self.free] = null
        steps = CUBIC_STEP * np.array([-2.0, -1.0, 1.0, 2.0]).reshape(4, *(1,) * aside.ndim)
        along = self.derivatives(x + steps * aside, u)[1]
        third = np.tensordot([1.0, -8.0, 8.0, -1.0], along, 1) / (12 * CUBIC_STEP)
        return np.einsum("...i,...ij,...j", null, third, null)

    def meets(self, limit, guess):
        """The point near a guess in which a StabilityLimit of the same equilibrium meets the curve, or None."""
        limit.begin()

        def border(x, u):
            """The curvature across the symmetry, and its gradients in free x, (n_free,), and in u."""
            rows, right = limit.system(x, u, True)
            return right[-1], rows[-1, : self.free.size], rows[-1, self.free.size :]

        return self.where(guess, border)
