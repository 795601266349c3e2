"""Spinodals: where either minimum of a first-order boundary ceases to exist.

Sought across the boundary, followed by continuation from where they are met, and shared by the boundaries of one minimum.
"""

import numpy as np

from .._minimizing import newton
from ..boundaries import Spinodal
from .continuation import correct, crossing, distance, follow, inward_difference, passes
from .curves import Crossing, Softening
from .equilibria import Solver
from .junctions import cusp
from .stability import breaking_curvature
from .states import MOVED, State, far

NEARLY_ONE = 1e-3
"""Where the two minima differ by less, next to the end of a boundary, its spinodals cannot be told from it."""

POINTS = 25
"""Points of a boundary across which its spinodals are sought, where none that is known lies across."""

BRACKET = 0.02
"""The end of a minimum is located to this part of a full step before it is solved for as an equation,"""
RESOLUTION = 1e-12
"""and to this length where it cannot be."""

MERGING = ("order changes", "critical point")
"""Ends of a boundary at which its two minima become one, so that both spinodals end there."""

REACHED = 0.2
"""A spinodal that cannot be followed farther ends in the point where minima become one that lies within this part of a step."""

PATIENCE = 10
"""A spinodal is not followed through more very short steps than so many in succession,"""
MOST_LIMITS = 4
"""nor are more than so many sought for one side of a boundary."""

SAME_LIMIT = 0.05
"""Limits of minima whose invariants differ by less, where they pass through one point, are one."""

THIRD_STEP = 1e-6
"""Third derivatives, which jump where the support of an output changes, are differences of second derivatives this far aside."""


def spinodals(curves):
    """The limits of the minima on both sides of the first-order boundaries of ``curves``, each once: a list of Spinodal."""
    solver = Solver(curves)
    limits = _Limits(np.log([b.importance[k], b.density[k]]) for b in curves.boundaries for k in (0, -1) if b.ends[k] in MERGING)
    found = []  # of each limit: itself, the phase, its trail, the boundaries
    for index, boundary in enumerate(curves.boundaries):
        if boundary.order == "first":
            trail = _trail(solver, boundary)
            heading = trail[-1][0] - trail[0][0]
            for side in (0, 1):
                met, single = limits.of_side(trail, side)
                for limit in met:
                    known = next((one for one in found if one[0] is limit), None)
                    if known is None:
                        found.append((limit, boundary.phases[side], limit.along(heading), [index]))
                    elif index not in known[-1]:
                        known[-1].append(index)
                if single:
                    points = sorted((limit.trail[0] for limit in single), key=lambda point: point[0] @ heading)
                    found.append((None, boundary.phases[side], points, [index]))
    return [_spinodal(*one) for _, *one in found]


def _spinodal(phase, trail, boundaries):
    """A Spinodal of these points u with the states there."""
    u, minima = np.array([u for u, _ in trail]), np.array([state.x for _, state in trail])
    return Spinodal(phase, np.exp(u[:, 0]), np.minimum(np.exp(u[:, 1]), 1.0), minima, tuple(boundaries))


def _trail(solver, boundary):
    """The points u of a boundary with the two minima there: a list of (u, pair)."""
    u = np.log([boundary.importance, boundary.density]).T
    sides = zip(boundary.minima, boundary.free, strict=True)
    one, other = ([solver.known(*state) for state in zip(x, free, u, strict=True)] for x, free in sides)
    return list(zip(u, zip(one, other, strict=True), strict=True))


class _Limits:
    """The limits of minima that have been followed; ``merging``: the points in which minima become one on the boundaries."""

    def __init__(self, merging):
        self.merging, self.known = list(merging), []

    def of_side(self, trail, side):
        """Where the minimum on one side of a first-order boundary ends: the limits met across some of its points.

        Those followed, and those that cannot be, of which one point is known.
        """
        found, last = [], len(trail) - 1
        places = np.unique(np.linspace(0, last, min(len(trail), POINTS)).round().astype(int))
        for k in sorted(places, key=lambda k: abs(k - last / 2)):  # from the middle
            u, pair = trail[k]
            across = None if k in (0, last) and far(*pair) < SAME_LIMIT else _across(u, pair, side)
            if across is None or any(limit.lies(u, across) for limit in found):
                continue
            limit = self._met(u, across, far(*pair))
            if limit is not None and limit not in found:
                found.append(limit)
            if sum(limit.is_curve for limit in found) == MOST_LIMITS:
                break
        return [limit for limit in found if limit.is_curve], [limit for limit in found if not limit.is_curve]

    def _met(self, u, across, apart):
        """The limit met on the way from a point of a boundary, None where the minimum lasts to the edge of the diagram."""
        own, direction = across
        met = _ceases(u, direction, own, apart)
        if met is None:
            return None
        point, curve = met
        states = [own] if curve is None else curve.states
        for limit in self.known:
            if limit.passes(point, states[0]):
                return limit
        self.known.append(_Limit(point, curve, states[0], self.merging))
        return self.known[-1]


class _Limit:
    """The limit of one minimum, followed to both ends from a point on it; that point alone where it cannot be followed."""

    def __init__(self, start, curve, state, merging):
        self.trail, self.is_curve = [(start, state)], False
        if curve is None:
            return
        curve.move_to(start)
        for sense in (1.0, -1.0):
            way = curve.anew()
            points, reason, _ = follow(way, start, way.solver.box, sense, patience=PATIENCE)
            states = [*(state for _, state in way.trail), *[way.states[0]] * (len(points) - len(way.trail))]
            more = list(zip(points, states, strict=True))
            if reason == "end":
                more += self._merged(way, [start, *points], merging)
            self.trail = [*self.trail, *more] if sense > 0 else [*more[::-1], *self.trail]
            if reason == "closed":
                break
        self.is_curve = len(self.trail) > 1 or not np.all(state.solver.box.wide)

    @staticmethod
    def _merged(way, points, merging):
        """The point ahead in which the limit ends, where minima become one, with the state there; none where it is not known."""
        near, last = REACHED * way.solver.box.step, points[-1]
        ahead = last - points[-2] if len(points) > 1 else np.zeros(2)
        places = list(merging)
        if isinstance(way, Fold):
            place = cusp(way.states[0], last)
            places += [] if place is None else [place]
        places = [place for place in places if np.linalg.norm(place - last) < near and (place - last) @ ahead >= 0]
        places = [place for place in places if not way.solver.box.outside(place)]
        return [(min(places, key=lambda place: np.linalg.norm(place - last)), way.states[0])] if places else []

    @property
    def points(self):
        return np.array([u for u, _ in self.trail])

    def passes(self, u, state):
        """Whether it passes through u, as the limit of the same minimum."""
        points = self.points
        if distance(points, u) > 0.1 * state.solver.box.step:
            return False
        own = self.trail[int(np.argmin(np.linalg.norm(points - u, axis=1)))][1]
        return own.shape == state.shape and far(own, state) < SAME_LIMIT

    def lies(self, u, across):
        """Whether it crosses the way from u."""
        own, direction = across
        return passes(self.points, u, u + _room(own.solver.box, u, direction) * direction)

    def along(self, heading):
        """Its trail in the order of this direction."""
        return self.trail if (self.trail[-1][0] - self.trail[0][0]) @ heading >= 0 else self.trail[::-1]


class _Softened(Softening):
    """The curve on which a symmetric state loses its stability, whatever lies lower, as long as it turns the same way."""

    def __init__(self, symmetric):
        super().__init__(symmetric)
        self._sense = np.sign(self.turning(symmetric.u))

    def anew(self):
        """The same curve, with a trail of its own."""
        return _Softened(self.states[0])

    def turning(self, u):
        """As that of any softening curve, along its own mode alone."""
        state = self.solver.stationary(self.states[0], u)
        return self.mode.turning(state) if state.converged else np.nan

    def takes_in(self, own):
        """Whether the minimum next to it that is less symmetric ends in it, and not, where it turns the other way, before."""
        return self._sense > 0

    def accept(self, u):
        self.move_to(u)
        self.trail.append((u, self.states[0]))

    def rival(self, u):
        return "order changes" if np.sign(self.turning(u)) == -self._sense else None


class Fold:
    """The curve on which a minimum meets a saddle: its lowest curvature vanishes along a direction in which it may move.

    Its equation is the slope of the loss along that direction where the curvature along it vanishes, the other parameters at
    their best: the extreme slope, which exists on both sides of the curve.
    """

    def __init__(self, state):
        self.solver, self.states, self.trail = state.solver, [state], []
        self.moving = np.flatnonzero(state.free)
        self.direction = state.softest[1][self.moving]
        self._at, self._solved, self._bend = None, None, 0.0

    def takes_in(self, own):
        """Whether its state is softest along parameters that move, none that symmetry keeps at zero."""
        return np.linalg.norm(self.direction) > 0.99

    def anew(self):
        """The same curve, with a trail of its own."""
        curve = Fold(self.states[0])
        curve.direction, curve._bend = self.direction, self._bend
        return curve

    def value(self, u):
        """The extreme slope."""
        solved = self._solve(u)
        return np.nan if solved is None else solved[1]

    def slope(self, u):
        """Of the extreme slope: along the null vector of the second derivatives, what does not depend on u."""
        solved = self._solve(u)
        if solved is None:
            return np.full(2, np.nan)
        state, _, null = solved[:3]
        return inward_difference(lambda v: float(null @ self._derivatives(state.x, v)[0]), u, 1e-5)

    def exists(self, u):
        """Whether it is a minimum that ends here: the curvature changes sign the same way as before, no other is negative."""
        solved = self._solve(u)
        if solved is None or solved[3] * self._bend < 0:
            return False
        state, hessian = solved[0], solved[4]
        if self.moving.size > 1 and np.linalg.eigvalsh(hessian)[1] < -1e-9:
            return False
        return not state.held or not breaking_curvature(state)[0] < -1e-8

    def move_to(self, u):
        """Take the state at u for one that is near."""
        solved = self._solve(u)
        if solved is not None:
            self.states, self.direction, self._bend = [solved[0]], solved[2] / np.linalg.norm(solved[2]), solved[3]
            self._at = None

    def accept(self, u):
        self.move_to(u)
        self.trail.append((u, self.states[0]))

    def rival(self, u):
        """Whatever lies lower, the minimum ends here."""
        return None

    def tells_apart(self, u):
        """There is but one state."""
        return True

    def _derivatives(self, x, u):
        """Gradient and second derivatives in the parameters that move."""
        solver = self.solver
        hessian = newton.pinned_hessian(x, solver.m, *solver.control(u), solver.relu, solver.store)
        return newton.gradient_of(solver.store)[self.moving].copy(), hessian[np.ix_(self.moving, self.moving)]

    def _solve(self, u):
        """State, slope, null vector, third derivative along it and second derivatives at the point of extreme slope, or None."""
        if self._at is None or not np.array_equal(self._at, u):
            self._at, self._solved = np.array(u), self._newton(u)
        return self._solved

    def _newton(self, u):
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
            forward, backward = x.copy(), x.copy()
            forward[self.moving] += THIRD_STEP * null
            backward[self.moving] -= THIRD_STEP * null
            bend = (self._derivatives(forward, u)[1] - self._derivatives(backward, u)[1]) @ null / (2 * THIRD_STEP)
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
        return (state, -float(both[size, 0]), null, third, hessian) if far(state, old) < MOVED else None


def _across(u, pair, side):
    """The minimum on one side at a point of the boundary, and the direction in which the other one is lower; or None."""
    if far(*pair) < NEARLY_ONE:
        return None
    curve = Crossing(*(pair[0].solver.stationary(state, u) for state in pair))
    slope = curve.slope(u)
    if not np.all(np.isfinite(slope)) or not np.any(slope * pair[0].solver.box.wide):
        return None
    # where one minimum is lower value(u) is negative; a diagram of one row or column is not left
    slope = slope * pair[0].solver.box.wide
    return curve.states[side], slope / np.linalg.norm(slope) * (1.0 if side == 0 else -1.0)


def _ceases(u, across, own, apart):
    """The point at which the minimum ``own`` ceases on the way from u, with the curve of such points.

    The curve is None where no equation for it is solved; None alone when the minimum lasts to the edge of the diagram.
    """
    solver = own.solver

    def carried(state, v):
        """What the minimum becomes at v, None where it has ceased."""
        new = solver.stationary(state, v)
        alive = new.converged and new.stable and new.clusters == state.clusters
        return new if alive and far(new, state) < min(0.25, 0.5 * apart) else None

    # where the two are near each other, so are their spinodals
    here, step, longest = u, solver.box.step * min(1.0, 5 * apart**2), 2 * solver.box.step
    bracket = BRACKET * step
    failed = False
    while step > RESOLUTION:
        room = _room(solver.box, here, across)
        if room < RESOLUTION:
            return None
        if failed and step < bracket:
            exact, bracket = _solved(own, here, step), bracket / 10
            if exact is not None:
                return exact
        step = min(step, room)
        there = here + step * across
        new = carried(own, there)
        if new is not None:
            before, here, own = own, there, new
            step = min(1.5 * step, longest, _remaining(before, own, step) if failed else np.inf)
            continue
        exact = _softens(own, here, there) if own.held else None
        if exact is not None:
            return exact
        # it may only have been too far away: come nearer and try again
        failed, step, longest = True, step / 2, step / 2
    return here, None


def _solved(own, here, reach):
    """The point within a few times ``reach`` where a minimum meets a saddle, or becomes symmetric, with its curve; or None."""
    symmetric = own.solver.symmetrized(own, here)
    curves = [Fold(own)] + ([] if symmetric is None or not symmetric.held else [_Softened(symmetric)])
    for curve in curves:
        exact = correct(curve, here, own.solver.box.wide) if curve.takes_in(own) else None
        if exact is not None and np.linalg.norm(exact - here) < 4 * reach and curve.exists(exact):
            return exact, curve
    return None


def _remaining(before, own, step):
    """Most of the way left to a fold, where the square of the curvature falls linearly to 0; infinite where it does not fall."""
    fall = before.curvature**2 - own.curvature**2
    return 0.8 * step * own.curvature**2 / fall if fall > 0 else np.inf


def _room(box, here, across):
    """How far it is to the edge of the diagram."""
    room = np.where(across > 0, box.high - here, here - box.low)
    return float(np.min(room[across != 0] / np.abs(across[across != 0])))


def _softens(own, here, there):
    """Where a symmetric state loses its stability between here and there, or a little beyond, with the curve of such points."""
    soft = _Softened(own)
    for reach in (1.0, 4.0):
        exact = crossing(soft.value, here, here + reach * (there - here))
        if exact is not None:
            return exact, _Softened(own.solver.stationary(own, exact))
    return None
