"""Boundary curves between phases: found on the grid, followed by continuation, solved to rounding.

Everything here sees the competing phases only as *sheets*: functions of the control parameters that give a phase's loss.
Curves are followed in u = (log importance, log density).
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq, root

STEPS_ACROSS = 128
"""A curve that crosses the whole diagram is followed in about this many steps."""

_TIE = 1e-12
_DIFFERENCE_STEP = 1e-5
_SAME_POINT = 1e-9
_NUDGE = np.array([0.618e-3, 1e-3])


@dataclass(frozen=True, eq=False)
class PhaseBoundary:
    """A curve in the plane of control parameters on which two phases have the same loss.

    Attributes
    ----------
    phases : tuple of two str
    importance, density : ndarray, shape (n_points,)
        Points along the curve in order; each solves the equality of the two losses to rounding.
    order : {"first", "continuous"}
        "first": two minima cross. "continuous": one minimum turns into the other.
    latent_loss : ndarray, shape (n_points,)
        Jump of ∂L*/∂importance, the extra feature's own loss, across the boundary; positive for first order.
    spinodals : tuple
        Curves on which one of the two ceases to be a minimum; empty where both always exist, as for frozen weights.
    """

    phases: tuple
    importance: np.ndarray
    density: np.ndarray
    order: str
    latent_loss: np.ndarray
    spinodals: tuple = ()


@dataclass(frozen=True)
class TriplePoint:
    """A point at which three (or more) phases have the same lowest loss.

    Attributes
    ----------
    importance, density : float
    phases : tuple of str
    """

    importance: float
    density: float
    phases: tuple


@dataclass(frozen=True)
class Sheet:
    """The loss of one phase over the plane of control parameters.

    Attributes
    ----------
    phase : str
    loss : callable
        (importance, density) → expected loss.
    extra_loss : callable
        (importance, density) → the extra feature's own loss, ∂loss/∂importance.
    """

    phase: str
    loss: callable
    extra_loss: callable


def find_boundaries(sheets, importance, density, lowest, tied):
    """Find every boundary between the lowest sheets that a grid shows, and the points where three meet.

    Parameters
    ----------
    sheets : sequence of Sheet
    importance, density : ndarray
        The grid's axes, increasing.
    lowest : ndarray of int, shape (n_density, n_importance)
        Which sheet is lowest in each cell (any of them where several are).
    tied : ndarray of bool, shape (n_density, n_importance)
        Where several are.

    Returns
    -------
    (list of PhaseBoundary, list of TriplePoint)
    """
    tracer = _Tracer(sheets, importance, density)
    u = np.stack(np.meshgrid(np.log(importance), np.log(density)), axis=-1)
    lowest = lowest.copy()
    for cell in zip(*np.nonzero(tied), strict=True):  # a node on a boundary belongs to no side: ask a little beside it
        inward = np.where(u[cell] < (tracer.low + tracer.high) / 2, 1.0, -1.0)
        u[cell] += inward * _NUDGE * (tracer.high - tracer.low) / (max(importance.size, 2) - 1, max(density.size, 2) - 1)
        lowest[cell] = np.argmin(tracer.losses(u[cell]))
    for one, other in (
        ((slice(None), slice(None, -1)), (slice(None), slice(1, None))),
        ((slice(None, -1), slice(None)), (slice(1, None), slice(None))),
    ):
        differ = lowest[one] != lowest[other]
        for start, a, end, b in zip(u[one][differ], lowest[one][differ], u[other][differ], lowest[other][differ], strict=True):
            tracer.cross(start, int(a), end, int(b))
    return tracer.boundaries(), tracer.triple_points()


class _Tracer:
    """Collects curves and triple points; a grid edge that a known curve already passes is not followed again."""

    def __init__(self, sheets, importance, density):
        self.sheets = sheets
        self.low = np.log([importance[0], density[0]])
        self.high = np.log([importance[-1], density[-1]])
        self.step = float(np.max(self.high - self.low)) / STEPS_ACROSS
        self.curves = []  # (a, b, points)
        self.corners = []  # (point, set of sheets)

    def losses(self, u):
        importance, density = np.exp(u[0]), min(np.exp(u[1]), 1.0)
        return np.array([sheet.loss(importance, density) for sheet in self.sheets])

    def difference(self, u, a, b):
        """Relative difference of two sheets' losses; its zero is the boundary."""
        importance, density = np.exp(u[0]), min(np.exp(u[1]), 1.0)
        one, other = self.sheets[a].loss(importance, density), self.sheets[b].loss(importance, density)
        return (one - other) / (abs(one) + abs(other))

    def gradient(self, u, a, b):
        """Central differences, one-sided at density 1, beyond which nothing depends on density."""
        slope = np.zeros(2)
        for axis in (0, 1):
            forward, backward = np.array(u, dtype=float), np.array(u, dtype=float)
            forward[axis] += _DIFFERENCE_STEP
            backward[axis] -= _DIFFERENCE_STEP
            if axis == 1:
                forward[1], backward[1] = min(forward[1], 0.0), min(backward[1], 0.0)
            if forward[axis] > backward[axis]:
                rise = self.difference(forward, a, b) - self.difference(backward, a, b)
                slope[axis] = rise / (forward[axis] - backward[axis])
        return slope

    def cross(self, start, a, end, b):
        """Follow the boundary that separates sheet a at ``start`` from sheet b at ``end``."""
        if self._known(start, end, a, b):
            return
        crossing = self._root(start, end, a, b)
        if crossing is None:
            return
        losses = self.losses(crossing)
        between = int(np.argmin(losses))
        if losses[between] < min(losses[a], losses[b]) * (1 - _TIE) and np.linalg.norm(end - start) > 1e-9:
            self.cross(start, a, crossing, between)
            self.cross(crossing, between, end, b)
            return
        forward, closed = self._follow(crossing, a, b, +1.0)
        backward = [] if closed else self._follow(crossing, a, b, -1.0)[0]
        points = _distinct([*backward[::-1], crossing, *forward])
        if len(points) > 2 or np.linalg.norm(points[-1] - points[0]) > _SAME_POINT:
            self.curves.append((a, b, points))

    def _known(self, start, end, a, b):
        middle, reach = (start + end) / 2, np.linalg.norm(end - start) / 2 + 1e-9
        return any({a, b} == {one, other} and _distance(points, middle) <= reach for one, other, points in self.curves)

    def _root(self, start, end, a, b):
        """The point between start and end where the sheets have the same loss, or None without a change of sign."""

        def along(t):
            return self.difference(start + t * (end - start), a, b)

        first, last = along(0.0), along(1.0)
        if abs(first) < 1e-15 or abs(last) < 1e-15:
            return start if abs(first) <= abs(last) else end
        if np.sign(first) == np.sign(last) or not np.isfinite(first + last):
            return None
        return start + brentq(along, 0.0, 1.0, xtol=1e-15, rtol=4 * np.finfo(float).eps) * (end - start)

    def _follow(self, start, a, b, sense):
        """Points of the curve from ``start`` (left out) to its end, and whether it came back to where it started."""
        points, here, step = [], start, self.step
        tangent = sense * _tangent(self.gradient(here, a, b))
        while len(points) < 100 * STEPS_ACROSS:
            there = self._correct(here + step * tangent, a, b)
            if there is None or np.linalg.norm(there - here) > 2 * step:
                step /= 2
                if step < 1e-6 * self.step:
                    break
                continue
            turned = _tangent(self.gradient(there, a, b))
            turned *= np.sign(turned @ tangent) or 1.0
            if turned @ tangent < 0.98 and step > 1e-3 * self.step:
                step /= 2
                continue
            if np.any(there < self.low - 1e-14) or np.any(there > self.high + 1e-14):
                edge = self._edge(here, there, a, b)
                if edge is not None and np.linalg.norm(edge - here) > 1e-12:
                    points.append(edge)
                break
            losses = self.losses(there)
            third = int(np.argmin(losses))
            if third not in (a, b) and losses[third] < min(losses[a], losses[b]) * (1 - _TIE):
                corner = self._corner(here, there, a, b, third)
                if corner is not None:
                    points.append(corner)
                break
            if len(points) > 2 and np.linalg.norm(there - start) < step and tangent @ (start - there) > 0:
                points.append(start)
                return points, True
            points.append(there)
            here, tangent, step = there, turned, min(1.5 * step, self.step)
        return points, False

    def _correct(self, u, a, b):
        """Newton's method back onto the curve, along the gradient of the difference."""
        for _ in range(30):
            value, slope = self.difference(u, a, b), self.gradient(u, a, b)
            if not np.isfinite(value) or not np.any(slope):
                return None
            move = -value * slope / (slope @ slope)
            u = u + move
            if np.linalg.norm(move) < 1e-14 or value == 0:
                return u
        return u if np.linalg.norm(move) < 1e-11 else None

    def _edge(self, inside, outside, a, b):
        """Where the curve leaves the diagram between two of its points."""
        for axis in (0, 1):
            for limit in (self.low[axis], self.high[axis]):
                if (inside[axis] - limit) * (outside[axis] - limit) >= 0 and inside[axis] != limit:
                    continue
                if inside[axis] == outside[axis]:
                    continue
                t = (limit - inside[axis]) / (outside[axis] - inside[axis])
                guess = inside + t * (outside - inside)
                spread = np.zeros(2)
                spread[1 - axis] = abs(outside[1 - axis] - inside[1 - axis]) + 1e-6
                guess[axis] = limit
                exact = self._root(guess - spread, guess + spread, a, b)
                if exact is not None and np.all(exact >= self.low - 1e-12) and np.all(exact <= self.high + 1e-12):
                    return exact
        return None

    def _corner(self, here, there, a, b, c):
        """Solve for the point where three sheets meet, near the segment on which the third overtook."""
        solved = root(lambda u: [self.difference(u, a, b), self.difference(u, a, c)], (here + there) / 2, tol=1e-15)
        if np.max(np.abs(solved.fun)) > 1e-13 or np.linalg.norm(solved.x - here) > 10 * self.step:
            return None
        for point, members in self.corners:
            if np.linalg.norm(point - solved.x) < 1e-7:
                members |= {a, b, c}
                return point
        losses = self.losses(solved.x)
        members = set(np.flatnonzero(losses <= np.min(losses) * (1 + 1e-10)).tolist()) | {a, b, c}
        self.corners.append((solved.x, members))
        return solved.x

    def boundaries(self):
        found = []
        for a, b, points in self.curves:
            importance, density = np.exp(points[:, 0]), np.minimum(np.exp(points[:, 1]), 1.0)
            one, other = (
                np.array([self.sheets[k].extra_loss(i, p) for i, p in zip(importance, density, strict=True)]) for k in (a, b)
            )
            phases = (self.sheets[a].phase, self.sheets[b].phase)
            found.append(PhaseBoundary(phases, importance, density, "first", np.abs(one - other)))
        return found

    def triple_points(self):
        return [
            TriplePoint(float(np.exp(u[0])), float(np.exp(u[1])), tuple(self.sheets[k].phase for k in sorted(members)))
            for u, members in self.corners
        ]


def _tangent(gradient):
    """The unit vector along the curve, from the gradient across it."""
    length = np.linalg.norm(gradient)
    return np.array([-gradient[1], gradient[0]]) / length if length > 0 else np.array([1.0, 0.0])


def _distinct(points):
    """The points without those that repeat a neighbour; the two ends, which are solved for, stay."""
    kept = points[:1]
    for point in points[1:-1]:
        if min(np.linalg.norm(point - kept[-1]), np.linalg.norm(point - points[-1])) > _SAME_POINT:
            kept.append(point)
    return np.array([*kept, points[-1]])


def _distance(points, target):
    """Distance from a point to a polyline."""
    if len(points) == 1:
        return np.linalg.norm(points[0] - target)
    starts, ends = points[:-1], points[1:]
    along = ends - starts
    t = np.sum((target - starts) * along, axis=1) / np.maximum(np.sum(along**2, axis=1), 1e-300)
    nearest = starts + np.clip(t, 0, 1)[:, None] * along
    return np.min(np.linalg.norm(nearest - target, axis=1))
