"""The two kinds of boundary curve: two minima cross, or the more symmetric of two phases loses its stability."""

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


class Crossing:
    """The curve on which two minima have the same loss.

    Where they are near each other the difference of their losses is taken within their family, from the symmetric state
    that either has departed from: as a difference of two losses it would drown in rounding.
    """

    order = "first"

    def __init__(self, one, other):
        *self.states, self.base = family(one, other)
        self.solver, self.trail, self._at, self._solved = one.solver, [], None, None

    @property
    def members(self):
        """The states that are followed: both, and the base where there is one."""
        return self.states if self.base is None else [*self.states, self.base]

    def solve(self, u):
        """Both minima at u, or None where they are no longer two."""
        solved = self._solve(u)
        return None if solved is None else solved[:2]

    def _solve(self, u):
        if self._at is None or not np.array_equal(self._at, u):
            new = self.solver.stationary_points(self.members, u)
            if self.base is None:
                new = [self.solver.settled(old, found, u) for old, found in zip(self.states, new, strict=True)]
            self._at, self._solved = np.array(u), new
            moved = max(far(new, old) for new, old in zip(self._solved, self.members, strict=True))
            done = all(
                new.converged and new.clusters == old.clusters for new, old in zip(self._solved, self.members, strict=True)
            )
            if not done or moved > MOVED or far(*self._solved[:2]) < max(MERGED, 0.1 * far(*self.states)):
                self._solved = None
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
        solved = self._solve(u)
        return np.nan if solved is None else self._difference(solved, u) / self._scale(solved)

    def slope(self, u):
        """By the envelope theorem the parameters stay as they are."""
        solved = self._solve(u)
        if solved is None:
            return np.full(2, np.nan)
        if self.base is None:
            one, other = (self.solver.loss_slope(state, u) for state in solved)
            return (one - other) / self._scale(solved)
        return inward_difference(lambda v: self._difference(solved, v), u, 1e-5) / self._scale(solved)

    def _difference(self, solved, u):
        if self.base is not None:
            return excess(solved[2], solved[0], u) - excess(solved[2], solved[1], u)
        return self.solver.loss_at(solved[0].x, u) - self.solver.loss_at(solved[1].x, u)

    def _scale(self, solved):
        return 2 * solved[0].loss * (1.0 if self.base is None else max(far(*solved[:2]), 1e-300) ** 2)

    def move_to(self, u):
        """Take the states at u for those that are near."""
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

    def accept(self, u):
        self.move_to(u)
        self.trail.append((u, self.states))

    def tells_apart(self, u):
        """Whether its minima are farther from each other than rounding allows to tell which one is lower."""
        pair = self.solve(u)
        return pair is not None and far(*pair) >= TINY

    def rival(self, u):
        solved = self._solve(u)
        return None if solved is None else rival(u, solved[:2], solved[2] if len(solved) == 3 else None)

    def corner(self, against):
        def difference(u):
            pair, other = self.solve(u), self.solver.descend(against, u)
            if pair is None or not other.converged or any(far(other, state) < 1e-6 for state in pair):
                return np.nan
            return (pair[0].loss - other.loss) / (pair[0].loss + other.loss)

        return difference


class Softening:
    """The curve on which a symmetric state loses its stability: the curvature of its soft mode is 0."""

    order = "continuous"

    def __init__(self, symmetric):
        self.solver, self.trail = symmetric.solver, []
        exact = self.solver.recognized(symmetric.x, symmetric.frame, symmetric.u, tolerance=HARDLY)
        if not np.array_equal(exact.free, symmetric.free):  # where it is flat its zeros are not determined well
            symmetric = self.solver.stationary(exact, symmetric.u)
        symmetric = symmetric.within(symmetric.softest_frame)
        self.states, self.mode = [symmetric, symmetric], Mode(symmetric)

    def solve(self, u):
        """The symmetric state at u, twice: the other phase is the same point there."""
        state = self.solver.stationary(self.states[0], u)
        return [state, state] if state.converged and far(state, self.states[0]) < MOVED else None

    def exists(self, u):
        """Whether nothing else is softer."""
        pair = self.solve(u)
        return pair is not None and pair[0].curvature > -1e-8

    def value(self, u):
        pair = self.solve(u)
        return np.nan if pair is None else self.mode.curvature(pair[0])

    def slope(self, u):
        return inward_difference(self.value, u, 1e-5)

    def move_to(self, u):
        self.states = self.solve(u) or self.states
        self.mode.move_to(self.states[0])

    def accept(self, u):
        self.move_to(u)
        self.trail.append((u, self.states))

    def tells_apart(self, u):
        """There is but one state."""
        return True

    def turning(self, u):
        """The lowest derivative along soft directions that decides the order, which changes where it becomes negative."""
        return turning_direction(self.solver.stationary(self.states[0], u))[0]

    def rival(self, u):
        if self.turning(u) < -1e-9:
            return "order changes"
        return rival(u, self.solve(u)[:1], branching=False)

    def corner(self, against):
        if isinstance(against, str):
            return self.turning

        def difference(u):
            other = self.solver.descend(against, u)
            own = self.solve(u)
            if own is None or not other.converged or far(own[0], other) < 1e-6:
                return np.nan
            return (own[0].loss - other.loss) / (own[0].loss + other.loss)

        return difference


class Turning:
    """The curve on which the third (or fourth) derivative of a symmetric state along its soft mode vanishes."""

    def __init__(self, softening):
        self.state, self.mode = softening.states[0], softening.mode

    def value(self, u):
        state = self.state.solver.stationary(self.state, u)
        return self.mode.turning(state) if state.converged else np.nan

    def slope(self, u):
        return inward_difference(self.value, u, 1e-4)

    def move_to(self, u):
        self.state = self.state.solver.stationary(self.state, u)


def located(a, b):
    """Points at which the minimum a, lowest where it was solved, may give way to b on the way there: a list of (u, curve)."""
    solver, start, end = a.solver, a.u, b.u
    found = []
    for state in (a, b):
        if state.held:
            curve = Softening(state)
            u = crossing(curve.value, start, end)
            if u is not None:
                found.append((u, Softening(solver.stationary(state, u))))
    low, high, first, last = 0.0, 1.0, a, b
    for _ in range(30):
        here = [start + t * (end - start) for t in (low, 0.5 * (low + high), high)]
        one, other = solver.solve(first, here[1]), solver.solve(last, here[1])
        if one.stable and other.stable and far(one, other) > 1e-6:
            curve = Crossing(one, other)
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
