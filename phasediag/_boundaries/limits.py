"""Limits of stability, singular curves on which a minimum ceases, followed whatever lies lower until a test changes its sign."""

from copy import copy

import numpy as np
from scipy.optimize import brentq

from .normal_forms import softest_breaking
from .singular import BranchPoints, Singular
from .tolerances import CONTROL_STEP, CUBIC_STEP, KINK, NEGATIVE, SHORT_ROOM, STABLE, STALLED, THIRD_STEP, ZERO


class LimitCurve(Singular):
    """A singular curve that is followed whatever lies lower: a minimum ceases on it.

    tests(u): what changes its sign from + to − where it ends, by the word for the end.
    """

    def changes(self, here, there, word):
        """The point of the curve between two of its points at which a test changes its sign, followed to there; or None."""
        way, trial, lost, values = there - here, copy(self), [], {}

        def value(part):
            """The test at a part of the way; where no point of the curve is found it is noted, as beyond the end."""
            if part not in values:
                u = trial.at(here + part * way, way / np.linalg.norm(way))
                if u is None:
                    lost.append(part)
                values[part] = -1.0 if u is None else trial.tests(u)[word]
            return values[part]

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
        third = np.tensordot((1, -8, 8, -1), along, 1) / (12 * CUBIC_STEP)
        return np.einsum("...i,...ij,...j", null, third, null)

    def meets(self, limit, guess):
        """The point near a guess in which a StabilityLimit of the same equilibrium meets the curve, or None."""
        limit.begin()

        def border(x, u):
            """The curvature across the symmetry, and its gradients in free x, (n_free,), and in u."""
            rows, right = limit.system(x, u, True)
            return right[-1], rows[-1, : self.free.size], rows[-1, self.free.size :]

        return self.where(guess, border)
