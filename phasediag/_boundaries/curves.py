"""Curves along which stationary points are solved for: two minima coexist, or a symmetric one loses its stability."""

from copy import copy

import numpy as np

from .continuation import correct, crossing, inward_difference
from .stability import TINY, Mode, excess, family, rival, turning_direction
from .states import MOVED, far

MERGED = 1e-8
"""Two solutions whose invariants differ by less are one."""

SAME_WAY = 1e-6
"""A minimum followed to a point and back differs by less from what it was."""

HARDLY = 1e-5
"""Norms and cosines below this are zero in a state at the limit of its stability."""


class Curve:
    """A curve in the plane, followed with the states that make it: what `continuation.follow` asks of it.

    states: those at the last point, from which the next are solved. trail: the points accepted so far with the states there, a
    list of (u, states). A kind of curve has value(u), solve(u) (the states at u, or None) and exists(u) (whether a point that
    solves the equation is on the curve).
    """

    def __init__(self, states):
        self.solver, self.states, self.trail = states[0].solver, states, []

    def anew(self):
        """The same curve with a trail of its own, to be followed in another direction."""
        other = copy(self)
        other.trail = []
        return other

    def slope(self, u):
        """Gradient of the value in u, shape (2,)."""
        return inward_difference(self.value, u, 1e-5)

    def move_to(self, u):
        """Take the states at u for those that are near."""
        self.states = self.solve(u) or self.states

    def accept(self, u):
        """Take u for the last point: it is on the curve and the next one is near."""
        self.move_to(u)
        self.trail.append((u, self.states))

    def tells_apart(self, u):
        """Whether its states are far enough apart at u to be compared; a single one always is."""
        return True

    def rival(self, u):
        """What is lower at u than the states, or says that the curve becomes another one; None."""
        return None

    def corner(self, against):
        """A function of u that vanishes where a rival has the loss of the states."""

        def difference(u):
            states, other = self.solve(u), self.solver.descend(against, u)
            if states is None or not other.converged or any(far(other, state) < 1e-6 for state in states):
                return np.nan
            return (states[0].loss - other.loss) / (states[0].loss + other.loss)

        return difference


class Coexistence(Curve):
    """The curve on which two minima have the same loss.

    Where they are near each other the difference of their losses is taken within their family, from the symmetric state
    that either has departed from: as a difference of two losses it would drown in rounding.
    """

    order = "first"

    def __init__(self, one, other):
        *states, self.base = family(one, other)
        super().__init__(states)
        self._at, self._solved = None, None

    @property
    def members(self):
        """The states that are followed: both, and the base where there is one."""
        return self.states if self.base is None else [*self.states, self.base]

    def solve(self, u):
        """Both minima at u, or None where they are no longer two."""
        solved = self._solve(u)
        return None if solved is None else solved[:2]

    def _solve(self, u):
        """The members at u, or None; remembered for the last u."""
        if self._at is None or not np.array_equal(self._at, u):
            new = self.solver.stationary_points(self.members, u)
            if self.base is None:
                new = [self.solver.settled(old, found, u) for old, found in zip(self.states, new, strict=True)]
            pairs = list(zip(new, self.members, strict=True))
            followed = all(one.converged and one.clusters == old.clusters and not far(one, old) > MOVED for one, old in pairs)
            apart = followed and not far(*new[:2]) < max(MERGED, 0.1 * far(*self.states))
            self._at, self._solved = np.array(u), new if apart else None
        return self._solved

    def exists(self, u):
        """Whether both are minima at u, and the same ones as before: the way back leads to where they came from."""
        pair = self.solve(u)
        return pair is not None and all(state.stable for state in pair) and (self.base is not None or self._reversible(pair))

    def _reversible(self, pair):
        """Whether both minima become again what they were; a minimum that one of them becomes instead contends from now on."""
        for new, old in zip(pair, self.states, strict=True):
            back = self.solver.stationary(new, old.u)
            if not back.converged or far(back, old) > SAME_WAY:
                if back.converged and back.stable and far(back, old) < MOVED:
                    self.solver.contenders.note(back)
                return False
        return True

    def value(self, u):
        """The difference of the losses, relative to them and to the square of the distance within a family."""
        solved = self._solve(u)
        return np.nan if solved is None else self._difference(solved, u) / self._scale(solved)

    def slope(self, u):
        """By the envelope theorem the parameters stay as they are."""
        solved = self._solve(u)
        if solved is None:
            return np.full(2, np.nan)
        if self.base is None:
            one, other = (state.slope_at(u) for state in solved)
            return (one - other) / self._scale(solved)
        return inward_difference(lambda v: self._difference(solved, v), u, 1e-5) / self._scale(solved)

    def _difference(self, solved, u):
        """Loss of the first minus that of the second at u, with the parameters solved for."""
        if self.base is not None:
            return excess(solved[2], solved[0], u) - excess(solved[2], solved[1], u)
        one, other = (self.solver.losses(state.x, u)[0] for state in solved)
        return one - other

    def _scale(self, solved):
        """What the difference is divided by."""
        return 2 * solved[0].loss * (1.0 if self.base is None else max(far(*solved[:2]), 1e-300) ** 2)

    def move_to(self, u):
        """Take the states at u for those that are near; begin or cease to compare them within a family."""
        solved = self._solve(u)
        if solved is None:
            return
        apart = far(*solved[:2])
        if (self.base is None and apart < 0.05) or (self.base is not None and apart > 0.1):
            *pair, base = family(*solved[:2])
            if (base is None) != (self.base is None):
                solved, self._at = pair if base is None else [*pair, base], None
        self.base = solved[2] if len(solved) == 3 else None
        self.states = solved[:2]

    def tells_apart(self, u):
        """Whether its minima are farther from each other than rounding allows to tell which one is lower."""
        pair = self.solve(u)
        return pair is not None and far(*pair) >= TINY

    def rival(self, u):
        """The lowest minimum at u when it is lower than both, or None."""
        solved = self._solve(u)
        return None if solved is None else rival(u, solved[:2], solved[2] if len(solved) == 3 else None)


class StabilityLimit(Curve):
    """The curve on which a symmetric state loses its stability: the curvature of its soft mode is 0.

    The phase that it turns into is the same point there: the states are that one twice.
    """

    order = "continuous"

    def __init__(self, symmetric):
        solver = symmetric.solver
        exact = solver.recognized(symmetric.x, symmetric.frame, symmetric.u, tolerance=HARDLY)
        if not np.array_equal(exact.free, symmetric.free):  # where it is flat its zeros are not determined well
            symmetric = solver.stationary(exact, symmetric.u)
        symmetric = symmetric.within(symmetric.softest_frame)
        super().__init__([symmetric, symmetric])
        self.mode = Mode(symmetric)

    def anew(self):
        """The same curve with a trail and a mode of its own."""
        other = super().anew()
        other.mode = copy(self.mode)
        return other

    def solve(self, u):
        """The symmetric state at u, twice, or None."""
        state = self.solver.stationary(self.states[0], u)
        return [state, state] if state.converged and far(state, self.states[0]) < MOVED else None

    def exists(self, u):
        """Whether nothing else is softer."""
        pair = self.solve(u)
        return pair is not None and pair[0].curvature > -1e-8

    def value(self, u):
        """The curvature of the mode."""
        pair = self.solve(u)
        return np.nan if pair is None else self.mode.curvature(pair[0])

    def move_to(self, u):
        """Take the state and its mode at u for those that are near."""
        super().move_to(u)
        self.mode.move_to(self.states[0])

    def turning(self, u):
        """The lowest derivative along soft directions that decides the order, which changes where it becomes negative."""
        return turning_direction(self.solver.stationary(self.states[0], u))[0]

    def rival(self, u):
        """Either "order changes", or the lowest minimum at u when it is lower, or None."""
        return "order changes" if self.turning(u) < -1e-9 else rival(u, self.solve(u)[:1], branching=False)

    def corner(self, against):
        """A function of u that vanishes where the order changes, or where a rival has the loss of the state."""
        return self.turning if isinstance(against, str) else super().corner(against)


class Turning:
    """The curve on which the third (or fourth) derivative of a symmetric state along its soft mode vanishes."""

    def __init__(self, limit):
        self.state, self.mode = limit.states[0], limit.mode

    def value(self, u):
        """That derivative."""
        state = self.state.solver.stationary(self.state, u)
        return self.mode.turning(state) if state.converged else np.nan

    def slope(self, u):
        """Gradient of the value in u, shape (2,)."""
        return inward_difference(self.value, u, 1e-4)

    def move_to(self, u):
        """Take the state at u for the one that is near."""
        self.state = self.state.solver.stationary(self.state, u)


def located(a, b):
    """Points at which the minimum a, lowest where it was solved, may give way to b on the way there: a list of (u, curve)."""
    solver, start, end = a.solver, a.u, b.u
    found = []
    for state in (a, b):
        if state.held:
            curve = StabilityLimit(state)
            u = crossing(curve.value, start, end)
            if u is not None:
                found.append((u, StabilityLimit(solver.stationary(state, u))))
    low, high, first, last = 0.0, 1.0, a, b
    for _ in range(30):
        here = [start + t * (end - start) for t in (low, 0.5 * (low + high), high)]
        one, other = solver.solve(first, here[1]), solver.solve(last, here[1])
        if one.stable and other.stable and far(one, other) > 1e-6:
            curve = Coexistence(one, other)
            u = crossing(curve.value, here[0], here[2])
            u = correct(curve, here[1], solver.box.wide) if u is None else u
            if u is not None and np.linalg.norm(u - here[1]) < 2 * np.linalg.norm(end - start):
                curve.move_to(u)
                return [*found, (u, curve)]
            before = one.loss < other.loss
        elif one.stable != other.stable:
            before = one.stable
        elif one.stable:
            before = far(one, first) < far(one, last)
        else:
            break
        if before:
            low, first = 0.5 * (low + high), one
        else:
            high, last = 0.5 * (low + high), other
    return found
