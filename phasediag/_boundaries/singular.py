"""Singular curves: a curvature of an equilibrium vanishes, along parameters that move or across its symmetry.

Minimally augmented (Griewank & Reddien 1984; Govaerts 2000): the gradient in the parameters that move and the curvature vanish
together in (x, u), where the system is regular although the equilibrium may fold.
"""

import numpy as np

from .._minimizing.newton import PROBE
from .blocks import clusters_of
from .curves import Curve
from .equilibria import Equilibrium, far
from .family import across_flat
from .normal_forms import Mode, order_coefficient
from .tolerances import (
    CONVERGED,
    FALLING,
    HARDLY,
    LONGEST_MOVE,
    LOWER,
    MOVED,
    NEGATIVE,
    ONE_POINT,
    PATIENCE,
    ROUNDING,
    SAME,
    STALLED,
)


class Singular(Curve):
    """A singular curve of an equilibrium; free: positions of the parameters that move.

    system(x, u, slopes): of its equations, gradient and curvature, the derivatives in the parameters that move and in u,
    (n_free + 1, n_free + 2), and what is left of them, (n_free + 1,); those that are differences are taken anew for ``slopes``.
    """

    def __init__(self, state, times=1):
        super().__init__([state] * times)
        self.free, self._found = np.flatnonzero(state.free), None
        self.part = max(self.free.size, 1) ** -0.5  # of the length of what moves, whose mean square counts

    def place_of(self, state):
        """See Curve: parameters that move, in parts that make their square a mean one, and u."""
        return np.append(state.x[self.free] * self.part, state.u)

    def at(self, guess, normal):
        """The place of the curve on the plane through a guess across ``normal``, points u or places; kept for `solve`."""
        size, part = self.free.size, self.part
        if len(guess) == 2:
            return self.where(guess, lambda x, u: (normal @ (u - guess), np.zeros(size), normal))
        x = self.states[0].x.copy()
        x[self.free] = guess[:-2] / part
        across, by_u = part * normal[:-2], normal[-2:]

        def border(at, u):
            """How far it is across the plane, and the gradients of that."""
            return across @ (at - x)[self.free] + by_u @ (u - guess[-2:]), across, by_u

        u = self.where(guess[-2:], border, self.ahead(guess)[0].x if self.has_passed else x)
        return None if u is None else self.place_of(self.solve(u)[0])

    def where(self, guess, border, x=None):
        """The point of the curve next to a guess at which border(x, u), (value, gradients in free x and in u), vanishes.

        ``x``: parameters from which it is sought, default where those of the last points lead.
        """
        old, size, moves = self.states[0], self.free.size, [np.inf] * PATIENCE
        x, u = (self.ahead(guess)[0].x if x is None else x).copy(), np.array(guess, dtype=float)
        matrix, right = np.zeros((size + 2, size + 2)), np.zeros(size + 2)
        rate = np.inf
        for _ in range(20):
            is_anew = moves[-1] > HARDLY or rate > FALLING
            try:
                matrix[:-1], right[:-1] = self.system(x, u, is_anew)
                right[-1], matrix[-1, :size], matrix[-1, size:] = border(x, u)
                move = -np.linalg.solve(matrix, right)
            except np.linalg.LinAlgError:
                return None
            moved, by = np.max(np.abs(move)), np.max(np.abs(move[size:]))
            if not moved < min(LONGEST_MOVE, moves[-PATIENCE]):  # it does not converge
                return None
            rate = moved / min(moves[-1], LONGEST_MOVE)
            moves.append(moved)
            x[self.free] += move[:size]
            u = u + move[size:]
            if by < STALLED and (rate * moved < CONVERGED or (is_anew and rate > FALLING and moved < HARDLY)):
                break
        else:
            return None
        found = Equilibrium(self.family, x, old.frames, old.free, u)
        known = self.states[0]  # it may be a more symmetric one, or beyond such, where a feature's weights are reversed
        reversed_ = np.any(np.sum(found.weights * known.weights, axis=0) < 0)
        if reversed_ or far(found, known) > MOVED or clusters_of(found.weights, HARDLY) != known.clusters:
            return None
        self.precision = float(by)
        self.keep(u, [found] * len(self.states))
        return u

    def at_support(self, guess):
        """The point of the curve near a guess at which the support of an output changes, so that third derivatives jump; or None.

        It is the support that is nearest to a change at the equilibrium that the curve has come to; on its side of it.
        """
        values, _ = self.family.supports(self.states[0].x)
        away = np.where(np.abs(values) > ROUNDING, np.abs(values), np.inf)  # what symmetry makes 0 does not change
        k = int(np.argmin(away))
        side = np.copysign(ROUNDING, values[k])

        def border(x, _):
            """The support function, and its gradients in free x, (n_free,), and in u."""
            values, slopes = self.family.supports(x)
            return values[k] - side, slopes[k, self.free], np.zeros(2)

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


class Continuous(Curve):
    """What boundaries have in common on which an equilibrium, there twice, turns into what branches off from it.

    Nothing is lower or softer; the order changes where what decides it, ``coefficient(u)``, becomes negative.
    """

    order = "continuous"

    def exists(self, u):
        """Whether nothing else is softer."""
        pair = self.solve(u)
        return pair is not None and pair[0].is_steeper(NEGATIVE)

    def lower(self, u):
        """The lowest minimum at u when it is lower than the equilibrium, or None."""
        return self.family.competitors.lowest(u, self.solve(u)[0].loss * (1 - LOWER), self.solve(u))

    def breaks(self, u):
        """See Curve."""
        return Curve.breaks(self, u) or ("order changes" if self.coefficient(u) < -SAME else None)


class BranchPoints(Continuous, Singular):
    """The curve on which an equilibrium loses its stability across its symmetry: the curvature of its soft mode is 0.

    That the phase it turns into is the same point there is said by the equilibrium twice. direction: that of the mode, default
    the one that decides the order.
    """

    kind = "symmetry breaking"

    def __init__(self, symmetric, direction=None):
        family = symmetric.family
        exact = family.recognized(symmetric.x, symmetric.frame, symmetric.u, tolerance=HARDLY)
        if not np.array_equal(exact.free, symmetric.free):
            symmetric = family.stationary(exact, symmetric.u)
        symmetric = symmetric.within(symmetric.softest[1])
        super().__init__(symmetric, 2)
        self.mode = Mode(symmetric, direction)

    def begin(self):
        """Let Newton's method begin with the direction that the mode has where the curve is."""
        self._direction = self.mode.direction

    def at(self, guess, normal):
        """See Singular and `_by_value`."""
        if self.mode.direction is None:
            return None
        self.begin()
        return Curve.at(self, guess, normal) if self._by_value else super().at(guess, normal)

    @property
    def _by_value(self):
        """Whether its derivatives jump, so that it is found by the curvature alone."""
        return len(self.family.inputs) or self.mode.direction is None or self.mode.on_stair

    def slope(self, u):
        """See Singular and `at`."""
        self.begin()
        return Curve.slope(self, u) if self._by_value else super().slope(u)

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

    def others(self, u):
        """See Curve: those of other modes that are about as soft."""
        state = self.solve(u)[0]
        return [BranchPoints(state, direction) for direction in self.mode.others(state)]

    def coefficient(self, u):
        """The lowest coefficient of soft modes that decides the order, which changes where it becomes negative."""
        return order_coefficient(self.solve(u)[0])

    def breaks(self, u):
        """See Curve: it ends where another mode that is as soft leads lower."""
        return super().breaks(u) or ("ceases" if self.mode.is_led(self.solve(u)[0]) else None)


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


class Rivals(Coefficient):
    """The curve on which two modes that are as soft, those of a curve of BranchPoints and of another, lead as low."""

    stalled = ONE_POINT / 10  # from losses at amplitudes

    def __init__(self, limit, other):
        super().__init__(limit)
        self._other = other.mode

    def value(self, u):
        """The difference of their coefficients."""
        solved = self.limit.solve(u)
        return np.nan if solved is None else super().value(u) - self._other.coefficient(solved[0])


class Beside(Coefficient):
    """The curve on which, on the side of the soft mode of a curve of BranchPoints, another direction (size,) is soft as well.

    What branches off there has that curvature along it, however near: second derivatives jump at the equilibrium.
    """

    def __init__(self, limit, direction):
        super().__init__(limit)
        self._direction = direction

    def value(self, u):
        """The curvature along it, with the response of what moves."""
        solved = self.limit.solve(u)
        return np.nan if solved is None else self.limit.mode.beside(solved[0], self._direction)
