"""Branches of points at rest along a segment of a plane: one parameter is held, the place is free; they turn back or end at 0."""

from typing import NamedTuple

import numpy as np

from .._arguments import Floats

DIFFERENCE = 1e-7
"""Of second derivatives; or half of a reading weight that is as small."""
SOFT = 1e-8
"""Curvatures of the scaled loss up to this are the gauge, or a valley of equal loss: nothing moves along them."""
AT_REST = 1e-12
"""Newton's steps are taken for as long as they lower the largest entry of the gradient, at last below this."""
MOST_STEPS, SHORTEST, LONGEST = 20, 1 / 512, 0.25
"""Of Newton, the part of one that is still tried, and the largest, of a segment and of weights."""
ONSETS, PARTS = 0.002 / 8.0 ** np.arange(4), np.array([1, 1 / 2, 1 / 4, 1 / 8, 1 / 16])
"""A weight that vanishes is followed to parts of one of these shares of its neuron's largest, and from there to 0."""
POWERS = np.vander(PARTS, increasing=True)
"""Of the parts: what is known at these is their polynomial."""
ONSET = ONSETS[1]
"""Of its neuron's largest a weight is as large where it has just left 0."""
ENOUGH, ACCURATE = 1e-11, 1e-6
"""Of a segment: two orders of that limit may differ by the first; the next share is tried until they do not, or more than before,
and none may by the second."""
EXACT = 1e-14
"""Of a segment: to which the place is found where a branch turns back."""
FAR = 1.0
"""A segment is as far as branches are followed along it."""
FIRST, FARTHEST = 1e-4, 1.0
"""Steps of the parameter that is held grow from the first by factors of 2 until the branch turns back, up to the farthest."""


class Held(NamedTuple):
    """A point of a branch: the value that is held, the place t, parameters (size,), and how t and these change with the value.

    rise: how the slope of the loss by the value changes with t, all others being at rest.
    """

    value: float
    t: float
    x: Floats
    turn: float
    tangent: Floats
    rise: float


class Steps(NamedTuple):
    """Newton's steps of parameters (size,) and of a place, and the largest of them."""

    x: Floats
    t: float
    length: float


class Branch:
    """Points at rest of a Segment at which parameter k has a value; ``free`` (size,) tells which of the others move.

    For each value there is a place on the segment at which the loss does not change with the parameter, all others being at rest.
    """

    def __init__(self, segment, k, free):
        self.segment, self.k = segment, int(k)
        self.others = np.flatnonzero(free & (np.arange(len(free)) != k))
        self.rows = np.append(self.others, self.k)

    def slope(self, t, x):
        """The gradient (size,) at t of parameters x (size,)."""
        return self.segment.landscape(t, x).slope(x)

    def error(self, slope):
        """The largest entry of a gradient (size,) that is to vanish."""
        return np.abs(slope[self.rows]).max()

    def at(self, value, t, x):
        """The Held at a value near a place t and parameters x (size,), by Newton in all others and t at once; or None.

        Steps are taken whole: in a narrow valley the gradient rises on the way, and beside a kink derivatives are of one side.
        These serve for as long as steps by them halve.
        """
        x, begun = x.copy(), t
        x[self.k] = value
        slope = self.slope(t, x)
        for _ in range(MOST_STEPS):
            found, settled = self.newton(t, x), self.error(slope) < AT_REST
            if found is None:
                return None
            steps, *changes = found
            step, by_t, length = steps(slope)
            share, served, halved = min(1.0, LONGEST / max(length, LONGEST)), False, True
            while halved:
                after = self.slope(t + share * by_t, x + share * step)
                left = steps(after).length
                if settled and not left < length:  # rounding
                    return self._held(value, t, x, slope, steps, *changes)
                halved = left < length / 2
                if served and not left < length:
                    break
                t, x, slope = t + share * by_t, x + share * step, after
                (step, by_t, length), share = steps(slope), 1.0
                settled |= served and self.error(slope) < AT_REST
                served = True
            if not abs(t - begun) < FAR:
                return None
        return None

    def _held(self, value, t, x, slope, steps, turn, tangent, rise):
        """The Held at a place t and parameters x (size,) with a gradient (size,); a step of `newton` corrects how they change."""
        aside = (1 if t < 0.5 else -1) * (np.sign(turn) or 1.0) * min(DIFFERENCE / max(1.0, abs(turn)), abs(value) / 2)
        step, by_t, _ = steps((self.slope(t + aside * turn, x + aside * tangent) - slope) / aside)
        return Held(value, t, x, turn + by_t, tangent + step, rise)

    def newton(self, t, x):
        """A function of a gradient (size,), Newton's steps of x (size,) and of t; and the last three of Held. Or None.

        The others follow by their own second derivatives, which are those of a minimum; what is left is one equation for t.
        """
        landscape, unit = self.segment.landscape(t, x), np.eye(len(x))
        steps = landscape.one_sided(x, DIFFERENCE)
        by_x = np.array([landscape.difference(x, steps[i] * unit[i]) for i in self.rows])
        by_x += self.segment.leaning(t, x, self.rows)
        aside = DIFFERENCE if t < 0.5 else -DIFFERENCE  # within the segment
        by_place = (self.slope(t + aside, x) - landscape.slope(x)) / aside
        left, values, right = np.linalg.svd(by_x[:-1, self.others])
        use = values > SOFT
        inverse = (left[:, use] / values[use]) @ right[use]

        def along(row):
            """How the others follow a change of the gradient (size,), and what is left of it by the value."""
            way = -inverse @ row[self.others]
            return way, row[self.k] + by_x[:-1, self.k] @ way

        (by_t, place), (by_value, value) = along(by_place), along(by_x[-1])
        if not (np.isfinite(place) and place):  # nothing changes along the segment
            return None
        turn, tangent = -value / place, unit[self.k].copy()
        tangent[self.others] = by_value + turn * by_t

        def steps(slope):
            """Newton's Steps at a gradient (size,)."""
            way, rest = along(slope)
            step = np.zeros_like(x)
            step[self.others] = way - rest / place * by_t
            return Steps(step, -rest / place, max(abs(rest / place), np.abs(step).max()))

        return steps, turn, tangent, place

    def next(self, point, value):
        """The Held at a value next to that of another, or None."""
        step = value - point.value
        if abs(step * point.turn) > FAR:
            return None
        return self.at(value, point.t + step * point.turn, point.x + step * point.tangent)

    def led(self, point, value):
        """The Held at a value of the sign of that of another, by steps of factors of 2 at most; or None."""
        while point is not None and not 0.5 <= value / point.value <= 2:
            point = self.next(point, point.value * (2 if abs(value) > abs(point.value) else 0.5))
        return None if point is None else self.next(point, value)

    def turning(self, point, other):
        """The place t at which the branch turns back between two Held, or None: by secants of its slope, which is 0 there."""
        for _ in range(MOST_STEPS):
            bend = (other.turn - point.turn) / (other.value - point.value)
            if point.turn**2 < EXACT * abs(bend):  # t is that far from the top of its parabola
                return point.t
            found = self.next(point, point.value - point.turn / bend)
            if found is None:
                return None
            point, other = found, point if found.turn * point.turn < 0 else other
        return None

    def fold(self, point, step):
        """The place t at which the branch turns back that leads from a Held to larger t, smaller for step < 0; or None."""
        before, way = point, FIRST
        while before is not None and way < FARTHEST:
            after = self.next(before, before.value + way * np.sign(step * point.turn))
            if after is not None and after.turn * point.turn <= 0:
                return self.turning(before, after)
            before, way = after, 2 * way
        return None

    def vanishing(self, x, t, size):
        """The Held to which the branch near t and parameters x (size,) leads as its value falls to 0, and those of small values.

        By the polynomial through values at parts of ``size``: the loss is smooth to one side of the kink, how far is unknown.
        Where these are larger than the value they are to lead back to it: the branch may meet another. None where it does not.
        """
        side, best = np.sign(x[self.k]), (ACCURATE, None)
        begun = self.at(x[self.k], t, x)
        for largest in ONSETS:
            points = [begun]
            for part in PARTS:
                points.append(self.led(points[-1], side * largest * part * size))
            if points[-1] is None:
                continue
            if largest * size > abs(begun.value):
                near = min(points[1:], key=lambda point: abs(np.log(point.value / begun.value)))
                back = self.led(near, begun.value)
                if back is None or abs(back.t - begun.t) > ACCURATE:
                    continue
            rows = np.array([[point.t, *point.x] for point in points[1:]])
            (t, *x_end), (turn, *tangent), *_ = np.linalg.solve(POWERS, rows)
            apart = abs(t - np.linalg.solve(POWERS[1:, :-1], rows[1:])[0, 0])
            if best[1] is not None and apart > best[0]:
                break
            if apart < best[0]:
                per = side * largest * size
                end = Held(0.0, t, np.array(x_end), turn / per, np.array(tangent) / per, points[-1].rise)
                best = apart, (end, points[1:])
            if apart < ENOUGH:
                break
        return best[1]
