"""Following a curve value(u) = 0 in the plane u = (log importance, log density) by predictor and corrector."""

import numpy as np
from scipy.optimize import brentq

STEPS_ACROSS = 128
"""A curve that crosses the whole diagram is followed in about this many steps."""

LEAST_STEP = 4e-3
"""A full step is no shorter: curves are smooth at this scale, and nearer points would be told apart by rounding alone."""

SHORTEST_STEP = 1e-4
"""Where a curve cannot be continued, its end is located to this part of a step."""

CREEPING, MOST_CREEPING = 0.02, 60
"""A curve that needs more than so many steps in succession that are shorter than this part is not followed farther."""

MOST_BLIND = 20
"""Nor is one along which its two states are not told apart for so many steps."""

NEAR_END = 0.1
"""Where a curve cannot be continued by this part of a step, the junction in which it may end is sought."""


class Box:
    """The rectangle of the diagram in u, and the length of a full step in it.

    ``wide``: along which axes it extends, one of them only in a diagram of one row or column, which curves cross in a point.
    """

    def __init__(self, importance, density):
        self.low = np.log([importance[0], density[0]])
        self.high = np.log([importance[-1], density[-1]])
        self.wide = self.high > self.low
        self.step = max(float(np.max(self.high - self.low)) / STEPS_ACROSS, LEAST_STEP)

    def outside(self, u):
        """Whether u lies outside, by more than rounding."""
        return bool(np.any(u < self.low - 1e-13) or np.any(u > self.high + 1e-13))


def point(u):
    """Importance and density at u; density stops at 1."""
    return float(np.exp(u[0])), float(min(np.exp(u[1]), 1.0))


def follow(curve, start, box, sense, between=None, ahead=None, patience=MOST_CREEPING):
    """Follow a curve from a point on it.

    Parameters
    ----------
    curve : Curve
    start : ndarray, shape (2,)
    box : Box
    sense : +1.0 or -1.0
        The direction.
    between : callable, optional
        between(curve, rival, points) solves for the junction, an object with a point u, that lies between the last points of
        the curve, of which the rival is lower at the very last; None where it fails. Default, and what is left then: bisection.
    ahead : callable, optional
        ahead(curve, here, reach, tangent) solves for the junction in which the curve ends no farther away than ``reach``, an
        object with a point u and points on the ``way`` there; None where it fails. Default, and what is left where it
        fails: shorter and shorter steps.
    patience : int
        Steps in succession that may be very short; in all five times as many.

    Returns
    -------
    (list of ndarray, str, object)
        The points after ``start``; why it ended: "edge", "corner", "closed" or "end"; the junction where that was solved,
        otherwise the rival of a corner.
    """
    points, here, step, creeping, short, blind = [], start, box.step, 0, 0, 0
    tangent = sense * _tangent(curve.slope(here))
    while len(points) < 100 * STEPS_ACROSS:
        there = correct(curve, here + step * tangent)
        lost = there is None or not 0.2 * step < np.linalg.norm(there - here) < 2 * step
        if lost or not (box.outside(there) or curve.exists(there)):
            near = NEAR_END / 2 < step / box.step <= NEAR_END  # once
            node = ahead(curve, here, 2 * step, tangent) if near and ahead is not None else None
            if node is not None:
                return points + _last_way(curve, node), "end", node
            step /= 2
            if step < SHORTEST_STEP * box.step:
                return points, "end", None
            continue
        turned = _tangent(curve.slope(there))
        turned *= np.sign(turned @ tangent) or 1.0
        if turned @ tangent < 0.98 and step > 1e-3 * box.step:
            step /= 2
            continue
        if box.outside(there):
            edge = _edge(curve, here, there, box)
            if edge is not None and step > 1e-3 * box.step and not _lasts(curve, edge):
                step /= 2  # it ends before
                continue
            return (points if edge is None else [*points, edge]), "edge", None
        rival = curve.rival(there)
        if rival is not None:
            node = None if between is None else between(curve, rival, [start, *points, there])
            if node is not None:
                while points and (points[-1] - node.u) @ tangent > 0:  # noticed late
                    points.pop()
                    curve.trail.pop()
                return [*points, node.u], "corner", node
            corner = _corner(curve, curve.corner(rival), here, there)
            if corner is not None:
                return [*points, corner], "corner", rival
            step /= 2  # the rival cannot be compared all the way: come closer
            if step < SHORTEST_STEP * box.step:
                return points, "corner", rival
            continue
        if len(points) > 2 and np.linalg.norm(there - start) < step and tangent @ (start - there) > 0:
            return [*points, start], "closed", None
        apart = curve.tells_apart(there)
        if not apart and blind == 0 and points and ahead is not None:  # its states may merge between here and there
            node = ahead(curve, here, 2 * step, tangent)
            if node is not None:
                return points + _last_way(curve, node), "end", node
        curve.accept(there)
        points.append(there)
        is_short = step < CREEPING * box.step
        short, creeping = short + is_short, creeping + 1 if is_short else 0
        blind = 0 if apart else blind + 1
        if creeping > patience or short > 5 * patience or blind > MOST_BLIND:
            return points, "end", None
        here, tangent, step = there, turned, min(1.5 * step, box.step)
    return points, "end", None


def _lasts(curve, u):
    """Whether a curve goes on as far as u, with nothing lower there."""
    return curve.exists(u) and curve.tells_apart(u) and curve.rival(u) is None


def _last_way(curve, node):
    """The points of a curve on its way to the junction ahead, which it accepts, and that one."""
    for there in node.way:
        curve.accept(there)
    return [*node.way, node.u]


def first_step(curve, start, box, sense):
    """A point of the curve a little away from ``start``, which lies on it or at its end; None where there is none."""
    tangent = _tangent(curve.slope(start))
    if not np.all(np.isfinite(tangent)):
        return None
    step = 0.3 * sense * box.step
    there = correct(curve, start + step * tangent)
    return None if there is None or not 0.3 < np.linalg.norm(there - start) / abs(step) < 3 else there


def intersection(one, other, u):
    """The point near u at which two curves meet, by Newton's method; None where it fails.

    Both have value(u), slope(u) and move_to(u), which takes their states at u for those that are near.
    """
    size = np.inf
    for _ in range(30):
        values, slopes = (np.array([f(u) for f in fs]) for fs in ((one.value, other.value), (one.slope, other.slope)))
        if not np.all(np.isfinite(slopes)) or abs(np.linalg.det(slopes)) < 1e-300:
            return None
        move = -np.linalg.solve(slopes, values)
        move *= min(1.0, 0.2 / np.linalg.norm(move)) if np.any(move) else 1.0
        for _ in range(20):  # shorter where one of them does not exist
            if np.isfinite(one.value(u + move)) and np.isfinite(other.value(u + move)):
                break
            move = move / 2
        else:
            return None
        before, size = size, np.linalg.norm(move)
        u = u + move
        one.move_to(u)
        other.move_to(u)
        if size < 1e-15 or (size < 1e-10 and size > 0.3 * before):
            break
    return u if size < 1e-9 else None


def correct(curve, u, wide=True):
    """Newton's method onto the curve along the slope; None where the curve does not exist or it fails.

    ``wide``: the axes along which it may move, of a box that does not extend along both.
    """
    size = np.inf
    for _ in range(25):
        value = curve.value(u)
        if not np.isfinite(value):
            return None
        if size > 1e-5:  # nearer to the curve it hardly changes
            slope = curve.slope(u) * wide
            square = slope @ slope
            if not np.isfinite(square) or square == 0:
                return None
        move = -value * slope / square
        length = np.linalg.norm(move)
        if size < 1e-11 and length > 0.3 * size:  # rounding is all that is left
            break
        if length > 1.0 or length > 4 * size:
            return None
        u, size = u + move, length
        if length < 3e-15:
            break
    return u if size < 1e-11 else None


def crossing(value, start, end):
    """The point between start and end where value changes sign, or None; an end at which it vanishes is the point.

    None, too, where the value ceases to exist in between.
    """

    def along(t):
        return value(start + t * (end - start))

    first, last = along(0.0), along(1.0)
    if not np.isfinite(first + last):
        return None
    if min(abs(first), abs(last)) < 1e-15:
        return start if abs(first) <= abs(last) else end
    if np.sign(first) == np.sign(last):
        return None
    try:
        return start + brentq(along, 0.0, 1.0, xtol=1e-15, rtol=4 * np.finfo(float).eps) * (end - start)
    except ValueError:  # the value is NaN
        return None


def _edge(curve, inside, outside, box):
    """Where the curve leaves the box between two of its points."""
    for axis in (0, 1):
        for limit, sign in ((box.low[axis], -1), (box.high[axis], 1)):
            if (outside[axis] - limit) * sign <= 1e-13:
                continue
            if abs(inside[axis] - limit) < 1e-13:
                return None
            guess = inside + (limit - inside[axis]) / (outside[axis] - inside[axis]) * (outside - inside)
            guess[axis] = limit
            spread = np.zeros(2)
            spread[1 - axis] = 0.6 * abs(outside[1 - axis] - inside[1 - axis]) + 1e-7
            exact = crossing(curve.value, guess - spread, guess + spread)
            if exact is None:  # the curve touches or exists on one side only: Newton's method along the edge
                exact = guess
                for _ in range(25):
                    slope = curve.slope(exact)[1 - axis]
                    move = -curve.value(exact) / slope if slope else np.nan
                    if not np.isfinite(move):
                        return None
                    exact = exact + move * (spread > 0)
                    if abs(move) < 1e-14:
                        break
            if not box.outside(exact):
                return exact
    return None


def _corner(curve, against, here, there):
    """The point of the curve between two of its points at which ``against`` changes sign; it may not exist near ``here``."""

    def along(t):
        on_curve = correct(curve, here + t * (there - here))
        return np.nan if on_curve is None else against(on_curve)

    last = along(1.0)
    if not np.isfinite(last):
        return None

    def signed(t):
        value = along(t)
        return value if np.isfinite(value) else -last

    if np.sign(signed(0.0)) == np.sign(last):
        return None
    t = brentq(signed, 0.0, 1.0, xtol=1e-15, rtol=4 * np.finfo(float).eps)
    corner = correct(curve, here + t * (there - here))
    return corner if corner is not None and abs(against(corner)) < 1e-9 else None


def _tangent(slope):
    """The unit vector along the curve, from the slope across it."""
    length = np.linalg.norm(slope)
    return np.array([-slope[1], slope[0]]) / length if length > 0 else np.array([1.0, 0.0])


def distance(points, target):
    """Distance from a point to a polyline."""
    points = np.asarray(points)
    if len(points) == 1:
        return np.linalg.norm(points[0] - target)
    starts, along = points[:-1], np.diff(points, axis=0)
    t = np.sum((target - starts) * along, axis=1) / np.maximum(np.sum(along**2, axis=1), 1e-300)
    nearest = starts + np.clip(t, 0, 1)[:, None] * along
    return np.min(np.linalg.norm(nearest - target, axis=1))


def passes(points, start, end):
    """Whether a polyline crosses the segment from start to end."""
    points = np.asarray(points)
    if len(points) < 2:
        return False
    along, step = end - start, np.diff(points, axis=0)
    offset = points[:-1] - start
    turn = along[0] * step[:, 1] - along[1] * step[:, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        on_segment = (offset[:, 0] * step[:, 1] - offset[:, 1] * step[:, 0]) / turn
        on_polyline = (offset[:, 0] * along[1] - offset[:, 1] * along[0]) / turn
    slack = 1e-6
    inside = [(t > -slack) & (t < 1 + slack) for t in (on_segment, on_polyline)]
    return bool(np.any(inside[0] & inside[1]))


def inward_difference(value, u, step, axes=(0, 1)):
    """Gradient of value by central differences, one-sided at density 1, beyond which nothing depends on density."""
    slope = np.zeros(2)
    for axis in axes:
        forward, backward = np.array(u, dtype=float), np.array(u, dtype=float)
        forward[axis] += step
        backward[axis] -= step
        if axis == 1:
            forward[1], backward[1] = min(forward[1], 0.0), min(backward[1], 0.0)
        if forward[axis] > backward[axis]:
            slope[axis] = (value(forward) - value(backward)) / (forward[axis] - backward[axis])
    return slope
