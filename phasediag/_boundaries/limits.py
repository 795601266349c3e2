"""Limits of stability, singular curves on which a minimum ceases, followed whatever lies lower until a test changes its sign."""

from copy import copy
from types import MappingProxyType

import numpy as np
from scipy.optimize import brentq

from .equilibria import Equilibrium
from .exchanges import free_modes, isotropy, lowest_within, softest
from .normal_forms import entering_modes, softest_breaking
from .singular import BranchPoints, Singular
from .tolerances import (
    ALIKE,
    CONTROL_STEP,
    CONVERGED,
    CUBIC_STEP,
    FALLING,
    KINK,
    LONGEST_MOVE,
    NEGATIVE,
    SHORT_ROOM,
    STABLE,
    STALLED,
    THIRD_STEP,
    WITHIN,
)


class _Lost(Exception):
    """No point of a curve is found."""


class LimitCurve(Singular):
    """A singular curve that is followed whatever lies lower: a minimum ceases on it.

    tests: what changes its sign from + to − where it ends, functions of the curve and u by the word for the end.
    """

    def place(self, u):
        """See Curve: in the space of (x, u), where it goes on as its point in the plane turns back; there are valleys of values
        that are certain."""
        return u if len(self.family.inputs) else self.place_of(self.solve(u)[0])

    def tangent(self, place):
        """See Curve: the null vector of its equations, in the sense that it has in the plane."""
        in_plane = super().tangent(place[-2:])
        if len(place) == 2:
            return in_plane
        self.begin()
        rows, size = self.system(self.states[0].x, place[-2:], True)[0], self.free.size
        rows[:, :size] *= size**0.5
        along = np.linalg.svd(rows)[2][-1]
        return along * np.copysign(1.0, along[-2:] @ in_plane)

    def changes(self, here, there, word):
        """The point of the curve between two of its places at which a test changes its sign, followed to there; or None."""
        way, trial, values = there - here, copy(self), {}

        def place(part):
            """The point of the curve at a part of the way."""
            place = trial.at(here + part * way, way / np.linalg.norm(way))
            if place is None:
                raise _Lost
            return place[-2:]

        def value(part):
            """The test there."""
            if part not in values:
                values[part] = trial.tests[word](trial, place(part))
            return values[part]

        try:
            u = place(brentq(value, 0.0, 1.0, xtol=STALLED)) if value(0.0) > 0 > value(1.0) else None
        except _Lost:
            return None
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

    def other(self, state):
        """The limit of an equilibrium on the curve in another direction, the softest."""
        raise NotImplementedError

    def breaks(self, u):
        """See Curve."""
        if self.solve(u) is None:
            return "ceases"
        return next((word for word, test in self.tests.items() if not test(self, u) > 0), None)


class StabilityLimit(LimitCurve, BranchPoints):
    """Branch points as long as the mode turns the same way: where a minimum ceases across its symmetry."""

    def __init__(self, symmetric, direction=None):
        super().__init__(symmetric, direction)
        self._sense = np.sign(self.mode.coefficient(self.states[0]))

    @property
    def is_continuous(self):
        """Whether what branches off along its mode does not turn back."""
        return self._sense > 0

    def _softest_of(self, state):
        """The lowest curvatures, across its symmetry, with the direction, and along what moves.

        Its own is 0, so that a search for the lowest may stop at that: what enters is looked at by itself. Where what moves is
        soft itself a lowest one says nothing of what is across.
        """
        across = entering_modes(state)
        along = np.min(np.linalg.eigvalsh(self.derivatives(state.x, state.u)[1]), initial=1.0)
        if along > -NEGATIVE and not state.is_steeper(NEGATIVE) and np.linalg.norm(state.softest[0][state.free]) < WITHIN:
            across = [*across, (state.curvature, state.softest[0])]
        return min(across, key=lambda mode: mode[0], default=(1.0, None)), along

    def _others(self, u):
        """The lowest curvature of another mode."""
        (across, _), along = self._softest_of(self.solve(u)[0])
        return min(across, along) - NEGATIVE

    def _turning(self, u):
        """The coefficient of its own mode, in the sense that it has had; that has none where losses cannot tell."""
        return 1.0 if self.family.box.ties(u) else self._sense * self.mode.coefficient(self.solve(u)[0])

    tests = MappingProxyType({"ceases": _others, "order changes": _turning})

    def other(self, state):
        """See LimitCurve."""
        (across, direction), along = self._softest_of(state)
        return StabilityLimit(state, direction) if across < along else FreeLimit(state)

    def jumps(self, u):
        """See LimitCurve: within the points from which the coefficient is taken."""
        state = self.solve(u)[0]
        return self.family.room_beside(state.x, self.mode.at(state).direction) < SHORT_ROOM

    def lower(self, u):
        """Nothing counts."""
        return None


def _within(own, hessian):
    """Second derivatives within what a projection leaves, unit curvature across it."""
    return own @ hessian @ own + np.eye(len(own)) - own


class FreeLimit(LimitCurve):
    """The curve on which the lowest curvature of a minimum vanishes along a direction in which it may move.

    It meets a saddle there, a fold, which leaves features alike that are so; or it begins to tell them apart: the direction
    changes its sign then as some are exchanged. Its curvature is s of

    [ h   d ] [ v ]   [ 0 ]
    [ dᵀ  0 ] [ s ] = [ 1 ],

    h the second derivatives of the parameters that move in directions of this kind, projected by ``own``, direction d; where
    they are flat in another one too, ``beside``, with unit curvature along that. ``alike`` projects on what keeps alike.
    """

    def __init__(self, state, direction=None):
        state, maps = isotropy(state)
        super().__init__(state)
        found = free_modes(maps, self.derivatives(state.x, state.u)[1])
        if direction is None:
            fold, others = found[0], found[1:]
            self.own, _, _, self.direction = fold if not others or fold[1] <= softest(others)[1] else softest(others)
        else:
            lengths = [np.linalg.norm(own @ direction) for own, _, _, _ in found]
            nearest = [k for k in range(len(found)) if lengths[k] > max(lengths) - ALIKE]
            k = max(nearest, key=lambda k: found[k][2])
            self.own, self.direction = found[k][0], found[k][0] @ direction / lengths[k]
        self.maps, self.alike, self.beside = maps, found[0][0], np.zeros(self.free.size)
        self.kind, self._latest = "fold" if self.own is self.alike else "exchange breaking", state
        self._sense = np.sign(self._cubic_along(self.direction)) if self.is_fold else 0.0

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
        bordered[:size, :size] = _within(self.own, hessian) + np.outer(self.beside, self.beside)
        bordered[:size, size] = bordered[size, :size] = self.direction
        null = np.linalg.solve(bordered, np.append(np.zeros(size), 1.0))
        v, rows = null[:size], np.empty((size + 1, size + 2))
        if slopes:
            by_u, cubic = self.family.by_control(lambda points: self._forms(x, points, v), u), self._cubic(x, u, v)
            self._slopes = by_u, cubic
        by_u, cubic = self._slopes
        rows[:size, :size] = _within(self.alike, hessian)
        rows[size, :size], rows[:, size:] = -self.alike @ cubic, by_u.T
        self._last = v / np.linalg.norm(v), hessian
        return rows, np.append(self.alike @ gradient, null[size])

    def _forms(self, x, points, null):
        """At points (…, 2) the gradient in the parameters that move and less the curvature along ``null``: (…, n_free + 1)."""
        gradients, hessians = self.derivatives(x, points)
        return np.concatenate([gradients, -(hessians @ null @ null)[..., None]], axis=-1)

    def _cubic(self, x, u, null):
        """Derivative of the second derivatives along a direction, times it, shape (n_free,): not across the next kink."""
        aside = np.zeros_like(x)
        aside[self.free] = null
        step = min(THIRD_STEP, *(self.family.room_beside(x, side) / 2 for side in (aside, -aside)))
        ahead, behind = self.derivatives(np.array([x + step * aside, x - step * aside]), u)[1]
        return (ahead - behind) @ null / (2 * step)

    def turning(self, u):
        """What it is at its point u if both ways aside of it are alike, as in a cusp or where an output's support changes.

        Uphill two minima become one; downhill two saddles close in on one minimum, for which one limit goes over into another.
        None where one way leads up and one down.
        """
        x, null, aside = self.solve(u)[0].x, self.null_at(u), np.zeros(self.family.size)
        aside[self.free] = KINK**0.5 * null
        one, other = (sense * self.derivatives(x + sense * aside, u)[0] @ null for sense in (1.0, -1.0))
        return ("critical point" if one > 0 else "another limit") if one * other > 0 else None

    def null_at(self, u):
        """The unit vector along which the minimum at its point u is flat, shape (n_free,)."""
        self.system(self.solve(u)[0].x, u, True)
        return self._last[0]

    def jumps(self, u):
        """See LimitCurve: within the points from which the cubic is taken."""
        aside = np.zeros(self.family.size)
        aside[self.free] = self.null_at(u)
        return min(self.family.room_beside(self.solve(u)[0].x, sense * aside) for sense in (1.0, -1.0)) < SHORT_ROOM

    def keep(self, u, states):
        """See Curve: with the direction and the second derivatives there."""
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

    def ahead(self, place, degree=2):
        """See Curve: what is alike stays so to the last bit, or rounding would grow from point to point."""
        state = super().ahead(place, degree)[0]
        x = state.x.copy()
        x[self.free] = self.alike @ x[self.free]
        return [Equilibrium(state.family, x, state.frames, state.free, state.u)] * len(self.states)

    def begin(self):
        """Newton's method begins with the direction that it has where the curve is."""

    def move_to(self, u):
        """See Curve: the equilibrium and its direction."""
        super().move_to(u)
        self.direction, _ = self._found
        return False

    def _turning(self, u):
        """The cubic, at the point itself, in the sense that it has had, where it has one."""
        return self._sense * self._cubic_along(self._found[0]) if self.is_fold else 1.0

    def _others(self, u):
        """The lowest curvature besides its own."""
        state, (_, hessian) = self.solve(u)[0], self._found
        return min(self._softest_besides(hessian)[0], softest_breaking(state)[0] if state.held else 1.0) - STABLE

    tests = MappingProxyType({"turns": _turning, "ceases": _others})

    def _softest_besides(self, hessian):
        """The lowest of curvatures across its own direction, which does not mix with another as soft, and its direction."""
        across = np.linalg.svd(self.direction[None])[2][1:].T  # orthonormal
        values, vectors = np.linalg.eigh(across.T @ hessian @ across)
        return values[0], across @ vectors[:, 0]

    def other(self, state):
        """See LimitCurve."""
        curvature, direction = self._softest_besides(self.derivatives(state.x, state.u)[1])
        across = state.held and softest_breaking(state)[0] < curvature
        return StabilityLimit(state) if across else FreeLimit(state, direction)

    def cusp(self, guess):
        """The point of the curve near a guess at which the cubic vanishes or jumps, where it turns back, or None."""
        state = self.states[0]
        alike = None if self.is_fold else lowest_within(self.alike, self.derivatives(state.x, state.u)[1])[2]
        trial = copy(self) if alike is None else FreeLimit(state, alike)
        u = self._vanishing(trial, guess, lambda: trial._cubic_along(trial._last[0]))
        return self._corner(guess) if u is None else u

    def _corner(self, guess):
        """The same where second or third derivatives jump: the curve turns back where an output's support changes."""
        u = self.at_support(guess)
        return u if u is not None and self.turning(u) == "critical point" else None

    def tricritical(self, guess):
        """The point of a limit of exchange near a guess where other limits end on it, or None: the quartic vanishes, or the cubic
        where symmetry leaves one to a direction as soft."""
        trial, turn = copy(self), self.cubic_turn
        return self._vanishing(
            trial, guess, lambda: trial._quartic() if turn is None else trial._cubic_along(turn @ trial._last[0])
        )

    @property
    def cubic_turn(self):
        """The map (n_free, n_free) of its direction to one as soft whose cubics under the exchanges do not cancel, or None."""
        turns = [self.maps[0], *(self.maps[0] + one for one in self.maps[1:])]
        cubics = [np.sum((self.maps @ (turn @ self.direction) @ turn @ self.direction) ** 3) for turn in turns]
        return turns[int(np.argmax(cubics))] if max(cubics) > ALIKE else None

    def _vanishing(self, trial, guess, value):
        """The point near a guess at which a value on the curve, followed by a trial, vanishes; by the secant method, or None.

        Derivatives aside from the curve are of no use: where it is flat in two directions they belong to the next kink.
        """
        x, u, size = self.states[0].x, guess, self.free.size
        tangent, way, values, moved = np.linalg.svd(trial.system(x, u, True)[0])[2][-1], [0.0], [], np.inf
        start = x[self.free]

        def border(x, u):
            """How far it is along the tangent beyond the place, and the gradients in free x, (n_free,), and in u."""
            along = tangent @ np.append(x[self.free] - start, u - guess)
            return along - way[-1], tangent[:size], tangent[size:]

        for _ in range(20):
            before, u = u, trial.where(guess + way[-1] * tangent[size:], border)
            if u is None:
                return None
            values.append(value())
            last, moved = moved, abs(way[-1] - way[-2]) if len(way) > 1 else np.inf
            if moved < CONVERGED or (moved < STALLED and moved > FALLING * last):
                self.keep(u, trial.solve(u))
                self.precision = float(np.max(np.abs(u - before)))
                return u
            slope = (values[-1] - values[-2]) / (way[-1] - way[-2]) if len(way) > 1 else np.nan
            way.append(way[-1] - values[-1] / slope if len(way) > 1 else CONTROL_STEP)
            if not abs(way[-1]) < LONGEST_MOVE:
                return None
        return None

    def _along(self, way):
        """At the point found last, third derivatives twice along a way, (n_free,), and the fourth derivative along it."""
        aside = np.zeros(self.family.size)
        aside[self.free] = way
        room = min(self.family.room_beside(self._latest.x, side) for side in (aside, -aside))
        step = min(CUBIC_STEP, max(room, SHORT_ROOM) / 3)  # not across the next kink
        along = self.derivatives(self._latest.x + step * (np.arange(5) - 2)[:, None] * aside, self._latest.u)[1] @ way
        third, fourth = np.array([[1, -8, 0, 8, -1], [-1, 16, -30, 16, -1]]) @ along / 12
        return third / step, fourth @ way / step**2

    def _cubic_along(self, way):
        """Third derivative along a way at the point found last."""
        return self._along(way)[0] @ way

    def _quartic(self):
        """Fourth derivative along the null vector there, the other parameters at their best."""
        null, hessian = self._last
        third, fourth = self._along(null)
        bordered = np.block([[hessian, null[:, None]], [null, 0.0]])
        return fourth - 3 * third @ np.linalg.solve(bordered, np.append(third, 0.0))[: self.free.size]

    def meets(self, limit, guess):
        """The point near a guess in which another limit of the same equilibrium meets the curve, or None."""
        limit.begin()
        if isinstance(limit, FreeLimit):
            self.beside, limit.beside = limit.direction, self.direction

        def border(x, u):
            """The other curvature, and its gradients in free x, (n_free,), and in u."""
            rows, right = limit.system(x, u, True)
            return right[-1], rows[-1, : self.free.size], rows[-1, self.free.size :]

        return self.where(guess, border)
