"""Curves on which equilibria are solved for: two minima coexist, or the Hessian of one has a block that is singular."""

from copy import copy
from itertools import tee

import numpy as np
from scipy.optimize import brentq

from .equilibria import Equilibrium, far
from .family import across_flat
from .neighbours import COARSE, FINE, excess, lower_minimum, siblings
from .tolerances import (
    BLIND,
    BY_BASE,
    BY_LOSS,
    CONTROL_STEP,
    CONVERGED,
    ELSEWHERE,
    FALLING,
    FEWEST,
    HARDLY,
    HARDLY_MOVED,
    LONGEST_MOVE,
    MOVED,
    NEARER,
    NONZERO,
    SAME,
    SOFT,
    SPREAD,
    STALLED,
    TINY,
    ZERO,
)

_PIECES = 3
"""Pieces of a loss in which a point is sought, from where descents lead."""


class Curve:
    """A curve value(u) = 0 in the plane with the equilibria that make it.

    states: those at the last point, from which the next are solved; precision: the last step in u of the point found last;
    solve(u): those at u, or None, as ``_solve`` finds them, kept while the states are; breaks(u): what has happened to them up
    to u, "ceases", "merges" or "order changes", or None; lower(u): the minimum that is lower at u, or None. stalled: steps in u
    below which rounding is left of the value.
    """

    stalled = STALLED

    def __init__(self, states):
        self.family, self.states, self.precision = states[0].family, list(states), 0.0
        self._kept, self._kept_of = {}, self.states
        self._passed = []  # the equilibria at the last points to which it has been followed, up to three
        self._asked = {}  # what has been found about the point that it has come to, by who asks

    def solve(self, u):
        """See above."""
        key = float(u[0]), float(u[1])
        if self._kept_of is not self.states or key not in self._kept:
            self.keep(u, self._solve(u))
        return self._kept[key]

    def once_here(self, find, *arguments):
        """An iterator over find(self, *arguments), each found once at the point to which it has been followed, when asked for."""
        states, found = self._asked.get(find, (None, None))
        if states is not self.states:
            (found,) = tee(find(self, *arguments), 1)
            self._asked = {**self._asked, find: (self.states, found)}
        return copy(found)

    def anew(self):
        """The same curve, to be followed in another direction: where it leads is not known before it has been followed."""
        other = copy(self)
        other._passed = []
        return other

    def set_out(self, u, tangent):
        """Begin to be followed from u."""

    @property
    def has_passed(self):
        """Whether it has been followed to a point, so that it is known where its equilibria are heading."""
        return len(self._passed) > 1 and self._passed[-1] is self.states

    def place_of(self, state):
        """The place at which it has an equilibrium, the first of those that make it; see `place`."""
        return state.u

    def ahead(self, place, degree=2):
        """The equilibria about a place or a point, on the parabola through the last three, the line through two, or as they are.

        Newton's method finds a minimum that is about to merge from a part of its distance to the other alone, not from where it
        was.
        """
        if not self.has_passed:
            return list(self.states)
        last, at = self._passed[-1], [self.place_of(states[0])[-len(place) :] for states in self._passed]
        way = at[-1] - at[-2]
        nodes = [(one - at[-1]) @ way / (way @ way) for one in (*at, place)]
        part, nodes = nodes[-1], nodes[:-1] if degree == 2 and nodes[0] < -1 - SPREAD else nodes[-3:-1]
        weights = [np.prod([(part - b) / (a - b) for b in nodes if b != a]) for a in nodes]
        points = [weights @ np.array([states[k].x for states in self._passed[-len(nodes) :]]) for k in range(len(self.states))]
        return [Equilibrium(one.family, x, one.frames, one.free, place[-2:]) for x, one in zip(points, last, strict=True)]

    def pass_to(self, states):
        """Take equilibria at a point for those that are near."""
        before = self._passed if self.has_passed else [self.states]
        self._passed = [] if np.array_equal(before[-1][0].u, states[0].u) else [*before, states][-3:]
        self.states = states

    def place(self, u):
        """Where it is followed through at its point u, a vector that ends with u: see `continuation`."""
        return u

    def tangent(self, place):
        """The unit vector along it at a place on it."""
        return tangent_of(self.slope(place))

    def slope(self, u):
        """Gradient of the value in u, shape (2,)."""
        return self.family.by_control(lambda points: [self.value(v) for v in points], u)

    def steepness(self, u, along):
        """Derivative of the value along a unit vector at u."""
        ahead, behind = (self.value(u + step * along) for step in (CONTROL_STEP, -CONTROL_STEP))
        return (ahead - behind) / (2 * CONTROL_STEP)

    def at(self, guess, normal):
        """The place of the curve on the line through a guess across ``normal``, by Newton's method; None where it fails."""
        along = np.array([-normal[1], normal[0]])
        u, value, size = np.array(guess, dtype=float), self.value(guess), np.inf
        steepness = self.steepness(u, along) if np.isfinite(value) else np.nan
        for _ in range(40):
            if not np.isfinite(value) or not np.isfinite(steepness) or steepness == 0:
                return None
            move = -value / steepness
            if size < STALLED and abs(move) > FALLING * size:  # rounding is all that is left
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
        return start + brentq(lambda t: self.value(start + t * (end - start)), 0.0, 1.0, xtol=CONVERGED) * (end - start)

    def onto(self, guess):
        """The point of the curve nearest to a guess, within the window's axes; None where it fails."""
        slope = self.slope(guess) * self.family.box.wide
        return self.at(guess, tangent_of(slope)) if np.all(np.isfinite(slope)) and np.any(slope) else None

    def keep(self, u, states):
        """Remember the equilibria at u, for `solve`."""
        if self._kept_of is not self.states:
            self._kept, self._kept_of = {}, self.states
        self._kept[float(u[0]), float(u[1])] = states

    def exists(self, u):
        """Whether its equilibria are at u what they are to be."""
        return self.solve(u) is not None

    def breaks(self, u):
        """See above."""
        return None if self.exists(u) else "ceases"

    def lower(self, u):
        """Nothing, for a curve that is followed whatever lies lower."""
        return None

    def others(self, u):
        """The curves on which its equilibrium at u loses its stability otherwise."""
        return []

    def event(self, u):
        """What has happened up to u, a minimum that is lower or a word of `breaks`; None where u is on the curve."""
        broken = self.breaks(u)
        lower = self.lower(u) if broken in (None, "merges") else None
        return broken if lower is None else lower

    def kinks(self, states):
        """The kinks that hold each of some equilibria, where a loss has such."""
        return [state.kinks for state in states] if self.family.form.is_kinked else []

    @property
    def merges(self):
        """Whether its two minima are about to become one, which no other point precedes that losses could tell."""
        return False

    def bends(self, u):
        """Whether the equilibria at u are not those that lie ahead: the curve turns in the space of (x, u)."""
        return False

    def move_to(self, u):
        """Take the equilibria at u for those that are near; whether the value is another function now."""
        self.pass_to(self.solve(u) or self.states)
        self._kept, self._kept_of = {(float(u[0]), float(u[1])): self.states}, self.states
        return False


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
        self._at, self._solved, self._outset = None, None, None

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
        return self.family.by_control(lambda points: self._difference(solved, points, COARSE), u) / self._scale(solved)

    def at(self, guess, normal):
        """The point of the curve on the line through a guess across ``normal``, by Newton's method in both minima and u.

        Where minima merge they exist in a wedge of vanishing width about the curve: they are not solved for at given u. Where
        the loss is pieced together a minimum may lie in another piece there, or on a kink: then from where descents lead.
        """
        states = self.ahead(guess)
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
        states, base, frees = list(states), self.base, [np.flatnonzero(state.free) for state in self.states]
        for _ in range(25):
            points = np.array([state.x for state in states])
            losses, gradients, hessians = family.derivatives(points, u, pinned=True)
            if base is not None:
                base = family.stationary(base, u)
                members = [*states, base]
            if size > HARDLY:  # afterwards they hardly change
                sides, length = family.sides(u, along)
                beside, slopes, _ = family.derivatives(points[:, None], sides, 1)
                gaps = beside[0] - beside[1] if base is None else self._difference(members, sides, COARSE) / family.scales(u)
                by_u, steepness = (slopes[:, 0] - slopes[:, 1]) / length, (gaps[0] - gaps[1]) / length
            if not np.all(np.isfinite(hessians)) or not np.all(np.isfinite(by_u)):
                return None
            moves = []
            for gradient, hessian, slope, free in zip(gradients, hessians, by_u, frees, strict=True):
                move = -across_flat(hessian[free[:, None], free], np.column_stack([gradient[free], slope[free]]))
                moves.append(np.column_stack([move, gradient[free]]))
            difference = losses[0] - losses[1] if base is None else self._difference(members, u) / family.scales(u)
            (first, by_first, one), (second, by_second, other) = (move.T for move in moves)
            steepness_here = steepness + one @ by_first - other @ by_second
            if steepness_here == 0:
                return None
            step = -(difference + one @ first - other @ second) / steepness_here
            moved = [first + step * by_first, second + step * by_second]
            before, size = size, max(abs(step), *(np.max(np.abs(part), initial=0.0) for part in moved))
            if not size < LONGEST_MOVE:
                return None
            u = u + step * along
            for k in (0, 1):
                x = states[k].x.copy()
                x[frees[k]] += moved[k]
                states[k] = Equilibrium(family, x, states[k].frames, states[k].free, u)
            is_known = size**2 < CONVERGED * before or size > FALLING * before  # the next step is nothing, or rounding
            if size < CONVERGED or (size < ZERO and abs(step) < STALLED and is_known):
                break
        if not size < ZERO or not self._followed(states, self.states):
            return None
        self._at, self._solved = u, [*states, family.stationary(base, u)] if base else states
        self.precision = float(abs(step))
        return u

    def set_out(self, u, tangent):
        """See Curve: from a point next to it, for which way its minima are heading is not known before."""
        self._outset = far(*self.states)
        step = FEWEST * self.family.box.step
        near = self.at(u + step * tangent, tangent) if self.family.box.room(u, tangent)[0] > step else None
        if near is not None:
            self.move_to(near)

    @property
    def merges(self):
        """See Curve."""
        return far(*self.states) < BLIND

    def bends(self, u):
        """See Curve: by more than a part of the way, where the minima have been followed to a point."""
        pair = self.solve(u)
        if pair is None or not self.has_passed:
            return False
        both = zip(pair, self.ahead(u, 1), self.states, strict=True)
        return any(
            np.linalg.norm(new.x - ahead.x) > ELSEWHERE * np.linalg.norm(ahead.x - old.x) + HARDLY_MOVED
            for new, ahead, old in both
        )

    @staticmethod
    def _followed(new, old):
        """Whether new equilibria are what the old ones have become, and as far as can be told two."""
        if not all(
            one.converged and one.keeps_symmetry_of(before) and not far(one, before) > MOVED
            for one, before in zip(new, old, strict=True)
        ):
            return False
        return not far(*new[:2]) < max(10 * SAME, NEARER * far(*old[:2]))

    def _difference(self, solved, u, rule=FINE):
        """Loss of the first minus that of the second at u, with the parameters solved for; ``rule``: see `excess`."""
        if self.base is not None:
            return excess(solved[2], solved[0], u, rule) - excess(solved[2], solved[1], u, rule)
        one, other = (self.family.losses(state.x, u) for state in solved[:2])
        return one - other

    def _scale(self, solved):
        """What the difference is divided by."""
        return 2 * solved[0].loss * (1.0 if self.base is None else max(far(*solved[:2]), NONZERO) ** 2)

    def move_to(self, u):
        """See Curve: the minima; begin or cease to compare them by a base."""
        solved = self._solve(u)
        if solved is None:
            return False
        apart, turned = far(*solved[:2]), False
        if (self.base is None and apart < BY_BASE) or (self.base is not None and apart > BY_LOSS):
            *pair, base = siblings(*solved[:2])
            turned = (base is None) != (self.base is None)
            if turned:
                solved, self._at = pair if base is None else [*pair, base], None
        self.base = solved[2] if len(solved) == 3 else None
        self.pass_to(solved[:2])
        self._passed = [] if turned else self._passed
        return turned

    def exists(self, u):
        """Whether both are minima at u."""
        pair = self.solve(u)
        return pair is not None and all(state.stable for state in pair)

    def tells_apart(self, u):
        """Whether its minima are farther from each other than rounding allows to tell which one is lower, or part.

        Away from the point in which they merge a curve goes on, to an edge near by: they are farther than where it set out.
        """
        pair = self.solve(u)
        return pair is not None and far(*pair) > min(TINY, far(*self.states) if self._outset is None else self._outset)

    def lower(self, u):
        """The lowest minimum at u when it is lower than both, or None."""
        solved = self._solve(u)
        return None if solved is None else lower_minimum(u, solved[:2], solved[2] if len(solved) == 3 else None)

    def breaks(self, u):
        """See Curve."""
        return super().breaks(u) or (None if self.tells_apart(u) else "merges")
