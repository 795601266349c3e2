"""Spinodals: where either minimum of a first-order boundary ceases to exist.

Sought across the boundary, followed by continuation from where they are met, and shared by the boundaries of one minimum.
"""

import numpy as np

from .._progress import each
from ..boundaries import Spinodal
from .continuation import correct, crossing, distance, passes
from .curves import Coexistence
from .equilibria import Solver
from .folds import ExchangeLimit, Fold, SymmetryLimit
from .followed import Followed
from .junctions import cusp
from .states import far

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


def spinodals(curves):
    """The limits of the minima on both sides of the first-order boundaries of ``curves``, each once: a list of Spinodal."""
    solver = Solver(curves)
    limits = _Limits(np.log([b.importance[k], b.density[k]]) for b in curves.boundaries for k in (0, -1) if b.ends[k] in MERGING)
    found = []  # of each limit: itself, the phase, its trail, the boundaries
    for index, boundary in each(list(enumerate(curves.boundaries)), False, "boundary curve", "spinodals"):
        if boundary.order == "first":
            trail = _trail(solver, boundary)
            heading = trail[-1][0] - trail[0][0]
            for side in (0, 1):
                met, single = limits.of_side(trail, side)
                for limit in met:
                    known = next((one for one in found if one[:2] == (limit, boundary.phases[side])), None)
                    if known is None:
                        found.append((limit, boundary.phases[side], limit.along(heading), [index]))
                    elif index not in known[-1]:
                        known[-1].append(index)
                if len(single) > 1 or (single and not np.all(solver.box.wide)):  # one point is no curve
                    points = sorted((limit.trail[0] for limit in single), key=lambda point: point[0] @ heading)
                    found.append((None, boundary.phases[side], points, [index]))
    return [_spinodal(*one) for _, *one in found]


def _spinodal(phase, trail, boundaries):
    """A Spinodal of these points u with the states there."""
    u, minima = np.array([u for u, _ in trail]), np.array([states[0].x for _, states in trail])
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


class _Limit(Followed):
    """The limit of one minimum, followed to both ends from a point on it; that point alone where it cannot be followed."""

    def __init__(self, start, curve, state, merging):
        self.trail, self.merging = [(start, [state])], merging
        if curve is not None:
            super().__init__(start, curve, curve.solver.box, patience=PATIENCE)
        self.is_curve = curve is not None and (len(self.trail) > 1 or not np.all(state.solver.box.wide))

    def _ended(self, way, points, reason, against):
        """As any curve, or in the point ahead in which minima become one."""
        trail, reason = super()._ended(way, points, reason, against)
        if reason == "end":
            last, box = points[-1], way.solver.box
            ahead = last - points[-2] if len(points) > 1 else np.zeros(2)
            places = [*self.merging, *([cusp(way.states[0], last)] if isinstance(way, Fold) else [])]
            places = [place for place in places if place is not None and np.linalg.norm(place - last) < REACHED * box.step]
            places = [place for place in places if (place - last) @ ahead >= 0 and not box.outside(place)]
            nearest = sorted(places, key=lambda place: np.linalg.norm(place - last))[:1]
            trail = [*trail, *((place, way.states) for place in nearest)]
        return trail, reason

    def passes(self, u, state):
        """Whether it passes through u, as the limit of the same minimum."""
        (own, *_) = self.nearest(u)
        near = distance(self.points, u) <= 0.1 * state.solver.box.step
        return near and own.shape == state.shape and far(own, state) < SAME_LIMIT

    def lies(self, u, across):
        """Whether it crosses the way from u."""
        own, direction = across
        return passes(self.points, u, u + _room(own.solver.box, u, direction) * direction)

    def along(self, heading):
        """Its trail in the order of this direction."""
        return self.trail if (self.trail[-1][0] - self.trail[0][0]) @ heading >= 0 else self.trail[::-1]


def _across(u, pair, side):
    """The minimum on one side at a point of the boundary, and the direction in which the other one is lower; or None."""
    if far(*pair) < NEARLY_ONE:
        return None
    curve = Coexistence(*(pair[0].solver.stationary(state, u) for state in pair))
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
    curves = [Fold(own), ExchangeLimit(own)] + ([] if symmetric is None or not symmetric.held else [SymmetryLimit(symmetric)])
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
    soft = SymmetryLimit(own)
    for reach in (1.0, 4.0):
        exact = crossing(soft.value, here, here + reach * (there - here))
        if exact is not None:
            return exact, SymmetryLimit(own.solver.stationary(own, exact))
    return None
