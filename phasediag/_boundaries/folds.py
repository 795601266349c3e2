"""Curves on which a minimum ceases, whatever lies lower: at a fold, or at the limit of a symmetry."""

from typing import NamedTuple

import numpy as np

from .continuation import inward_difference
from .curves import Curve, StabilityLimit
from .stability import NO_THIRD, breaking_curvature
from .states import MOVED, State, far

THIRD_STEP = 1e-6
"""Third derivatives, which jump where the support of an output changes, are differences of second derivatives this far aside."""


class SymmetryLimit(StabilityLimit):
    """The curve on which a symmetric state loses its stability, whatever lies lower, as long as it turns the same way."""

    def __init__(self, symmetric):
        super().__init__(symmetric)
        self._sense = np.sign(self.turning(symmetric.u))

    def turning(self, u):
        """As that of any softening curve, along its own mode alone."""
        state = self.solver.stationary(self.states[0], u)
        return self.mode.turning(state) if state.converged else np.nan

    def takes_in(self, own):
        """Whether the minimum next to it that is less symmetric ends in it, and not, where it turns the other way, before."""
        return self._sense > 0

    def rival(self, u):
        """Either "order changes" where it turns the other way, or None."""
        return "order changes" if np.sign(self.turning(u)) == -self._sense else None


class ExchangeLimit(Curve):
    """The curve on which a minimum that exchanging features leaves as it is loses its stability against telling them apart."""

    def __init__(self, state):
        super().__init__([state])

    def takes_in(self, own):
        """Whether its state is softest along parameters that move."""
        return np.linalg.norm(own.softest[1][own.free]) > 0.99

    def solve(self, u):
        """The state at u, or None; it is stationary on both sides of the curve."""
        state = self.solver.stationary(self.states[0], u)
        return [state] if state.converged and far(state, self.states[0]) < MOVED else None

    def value(self, u):
        """Its lowest curvature."""
        solved = self.solve(u)
        return np.nan if solved is None else solved[0].curvature

    def exists(self, u):
        """Whether nothing else is softer."""
        return self.value(u) > -1e-8


class _Extreme(NamedTuple):
    """Where the slope along a direction is extreme, the other parameters at their best.

    slope and third: first and third derivative of the loss along ``null``, which the second derivatives ``hessian``, of the
    parameters that move, map to a multiple of the direction.
    """

    state: State
    slope: float
    null: np.ndarray
    third: float
    hessian: np.ndarray


class Fold(Curve):
    """The curve on which a minimum meets a saddle: its lowest curvature vanishes along a direction in which it may move.

    Its equation is the slope of the loss along that direction where the curvature along it vanishes, the other parameters at
    their best: the extreme slope, which exists on both sides of the curve.
    """

    def __init__(self, state):
        super().__init__([state])
        self.moving = np.flatnonzero(state.free)
        self.direction = state.softest[1][self.moving]
        self._at, self._solved, self._bend = None, None, 0.0

    def takes_in(self, own):
        """Whether its state is softest along parameters that move, and not both ways alike."""
        moves = np.linalg.norm(self.direction) > 0.99
        return moves and abs(self.direction @ self._bend_along(own.x, self.direction, own.u)) > NO_THIRD

    def value(self, u):
        """The extreme slope."""
        solved = self._solve(u)
        return np.nan if solved is None else solved.slope

    def slope(self, u):
        """Of the extreme slope: along the null vector of the second derivatives, what does not depend on u."""
        solved = self._solve(u)
        if solved is None:
            return np.full(2, np.nan)
        return inward_difference(lambda v: float(solved.null @ self._derivatives(solved.state.x, v)[0]), u, 1e-5)

    def exists(self, u):
        """Whether it is a minimum that ends here: the curvature changes sign the same way as before, no other is negative."""
        solved = self._solve(u)
        if solved is None or solved.third * self._bend < 0:
            return False
        if self.moving.size > 1 and np.linalg.eigvalsh(solved.hessian)[1] < -1e-9:
            return False
        return not solved.state.held or not breaking_curvature(solved.state)[0] < -1e-8

    def move_to(self, u):
        """Take the state at u for one that is near."""
        solved = self._solve(u)
        if solved is not None:
            self.states, self._bend, self._at = [solved.state], solved.third, None
            self.direction = solved.null / np.linalg.norm(solved.null)

    def _derivatives(self, x, u):
        """Gradient and second derivatives in the parameters that move."""
        gradient, hessian = self.solver.pinned(x, u)
        return gradient[self.moving], hessian[np.ix_(self.moving, self.moving)]

    def _bend_along(self, x, null, u):
        """Derivative of the second derivatives along a direction, times it, shape (n_moving,)."""
        aside = np.zeros_like(x)
        aside[self.moving] = THIRD_STEP * null
        return (self._derivatives(x + aside, u)[1] - self._derivatives(x - aside, u)[1]) @ null / (2 * THIRD_STEP)

    def _solve(self, u):
        """The _Extreme at u, or None; remembered for the last u."""
        if self._at is None or not np.array_equal(self._at, u):
            self._at, self._solved = np.array(u), self._newton(u)
        return self._solved

    def solve(self, u):
        """The state at u, or None."""
        solved = self._solve(u)
        return None if solved is None else [solved.state]

    def _newton(self, u):
        """The _Extreme at u by Newton's method on the bordered system, h the second derivatives, d the direction; or None.

        [ h   d ] [ aside  null ]   [ −gradient  0 ]
        [ dᵀ  0 ] [ slope  −curvature ] = [ 0    1 ]
        """
        old, size = self.states[0], self.moving.size
        x, border = old.x.copy(), np.zeros((size + 1, size + 1))
        border[:size, size] = border[size, :size] = self.direction
        for _ in range(25):
            gradient, hessian = self._derivatives(x, u)
            border[:size, :size] = hessian
            if not np.all(np.isfinite(border)) or not np.all(np.isfinite(gradient)):
                return None
            try:
                both = np.linalg.solve(border, np.column_stack([np.append(-gradient, 0.0), np.append(np.zeros(size), 1.0)]))
            except np.linalg.LinAlgError:
                return None
            aside, null, curvature = both[:size, 0], both[:size, 1], -both[size, 1]
            bend = self._bend_along(x, null, u)
            third = float(null @ bend)
            along = -(curvature + aside @ bend) / third if third else np.inf
            if not abs(along) < 0.5:
                return None
            move = aside + along * null
            x[self.moving] += move
            if np.max(np.abs(move)) < 1e-12:
                break
        else:
            return None
        state = State(self.solver, x, old.frames, old.free, u)
        return _Extreme(state, -float(both[size, 0]), null, third, hessian) if far(state, old) < MOVED else None
