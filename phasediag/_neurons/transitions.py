"""Where minima of neurons change along a segment of a plane: losses are equal, weights grow from 0, metastable minima end."""

import numpy as np
from scipy.optimize import brentq

from ..neuron_phases import phase_of
from .descent import descend
from .search import ACCURACY, BEYOND, SMALL, Landscape, entry

WIDTH = 1e-3
"""Crossings are bisected to this part of a segment before they are located exactly."""
WIDEST = 0.25
"""So near, in segments, two minima cross whose names change there."""
ONSETS = 0.001, 0.0005, 0.00025, 0.000125
"""A weight that vanishes is followed to these parts of its neuron's largest, and from there to 0."""
ACCURATE = 1e-6
"""Of a segment: two orders of that limit may differ by so much."""
NARROW = 1e-6
"""Ends of minima are bisected to this part of a segment."""


class Segment:
    """The straight way between two places of a plane, u (2,) each; t is the share of it that lies behind."""

    def __init__(self, plane, start, end):
        self.plane, self.form, self.start, self.end = plane, plane.form, np.asarray(start), np.asarray(end)

    def place(self, t):
        """Coordinates u (2,)."""
        return (1 - t) * self.start + t * self.end

    def landscape(self, t):
        """The Landscape at t."""
        return Landscape(self.form, self.plane.at(self.place(t)).control)

    def name(self, x):
        """The name of the phase of parameters x (size,)."""
        encoder, decoder, _ = self.form.parts(x)
        return phase_of(encoder, decoder, self.form.is_tied).name

    def follow(self, pair, t):
        """The minima (2, size) to which a pair of points leads at t, their losses (2,), and how far apart they are."""
        landscape = self.landscape(t)
        points, numbers = landscape.descend(pair)
        return points, numbers[:, 0] * landscape.scale, landscape.distance(*points, exchange=False)

    def gains(self, pair, before, after):
        """Whether from t = before to after the loss of the first of two points at rest (2, size) grows more than the other's."""
        sides = [self.landscape(t) for t in (before, after)]
        first, second = ([side.gradient(x)[0] * side.scale for side in sides] for x in pair)
        return first[1] - first[0] > second[1] - second[0]

    def equal(self, pair, low, high):
        """Where the losses of two minima cross that both exist there, the first of which is lower before; None where none do.

        Between low and high or a little aside: where one of both was not found, the name changed too early or too late.
        """

        def state(t):
            """−1 where the first is lower, 1 where the second is, 0 where both lead to one."""
            _, losses, apart = self.follow(pair, t)
            return 0 if apart <= SMALL else -1 if losses[0] <= losses[1] else 1

        span = high - low
        before, after = state(low), state(high)
        while (before > 0 or after < 0) and span < WIDEST:
            span *= 4
            low, high = (max(low - span, 0.0) if before > 0 else low), (min(high + span, 1.0) if after < 0 else high)
            before, after = state(low), state(high)
        while not before < 0 < after:  # as long as one side knows one minimum only
            middle = (low + high) / 2
            if before == after or before > 0 or after < 0 or high - low < NARROW:
                return None
            now = state(middle)
            if now < 0 or (now == 0 and before == 0):
                low, before = middle, now
            else:
                high, after = middle, now
        return brentq(lambda t: np.subtract(*self.follow(pair, t)[1]), low, high, xtol=1e-15)

    def onset(self, x, t):
        """Where the least reading weight of the minimum x (size,) vanishes near t; None where none does.

        Where it is held at a share of its neuron's largest, there is one t at which the loss does not change with it, all others
        being at rest; that t has a limit as the share goes to 0: where the one-sided derivative (or the second, where the first
        is 0) of the loss vanishes.
        """
        form = self.form
        encoder = np.where(form.parts(self.landscape(t).vetoes(x))[0], 0.0, form.parts(x)[0])
        largest = np.abs(encoder).max(axis=1, keepdims=True)
        shares = np.where(encoder != 0, np.abs(encoder) / np.where(largest > 0, largest, 1.0), np.inf)
        row, column = np.unravel_index(np.argmin(shares), shares.shape)
        if not shares[row, column] < 0.2:
            return None
        k, top = row * form.n_features + column, row * form.n_features + int(np.argmax(np.abs(encoder[row])))
        free = ~self.landscape(t).held(x)
        free[[k] if form.is_tied else [k, top]] = False  # of other neurons the scale is free
        point = x.copy()

        def slope(at, share):
            """The derivative of the loss by the weight that is held at a share of the largest, outwards."""
            landscape, numbers = self.landscape(at), np.empty((1, 3))
            point[k] = np.sign(x[k]) * share * abs(x[top])
            problem = landscape.setting, landscape.law, landscape.scale, entry(), landscape.work
            rest = point[None].copy()
            descend(rest, free[None], *problem, 400, 1e-3 * ACCURACY, 0.0, BEYOND, numbers)
            point[:] = rest[0]
            return np.sign(x[k]) * landscape._slope(point)[k]

        roots, near = [], t
        for share in ONSETS:
            root = _root(lambda at, share=share: slope(at, share), near)
            if root is None:
                return None
            roots.append(root)
            near = root
        table = [np.array(roots)]
        for power in range(1, len(roots)):  # Neville's scheme in powers of the share
            table.append((2.0**power * table[-1][1:] - table[-1][:-1]) / (2.0**power - 1))
        return float(table[-1][0]) if abs(table[-1][0] - table[-2][-1]) < ACCURATE else None

    def end_of(self, x, t, step, farthest):
        """Where the minimum x (size,) of t ceases to be one of its name, along steps from t up to ``farthest``; NaN beyond.

        It has ceased where a descent leads to another name, or the way back does not lead to it; where it only becomes a saddle,
        at the zero of its lowest curvature.
        """
        name = self.name(x)

        def carried(x, before, after):
            """The minimum to which x (size,) at t = before leads at t = after, None where it has ceased."""
            found = self.landscape(after).settle(x[None], polish=False)
            if not found or self.name(found[0].x) != name:
                return None
            landscape = self.landscape(before)
            back = landscape.settle(found[0].x[None], polish=False)
            return found[0].x if back and landscape.same(back[0].x, x) else None

        while t != farthest:
            after = t + step
            after = min(after, farthest) if step > 0 else max(after, farthest)
            moved = carried(x, t, after)
            if moved is None:
                while abs(after - t) > NARROW:
                    middle = (t + after) / 2
                    moved = carried(x, t, middle)
                    t, x, after = (t, x, middle) if moved is None else (middle, moved, after)
                return self._unstable(x, t, after, step)
            t, x = after, moved
        return np.nan

    def _unstable(self, x, t, after, step):
        """Where the lowest curvature of the minimum x (size,) of t is 0, if it still rests at ``after``; else between both."""

        def curvature(at):
            """The lowest of the point at rest that x leads to."""
            landscape = self.landscape(at)
            return landscape.curvature(landscape.descend(x[None])[0][0])[0]

        landscape = self.landscape(after)
        rests = landscape.distance(landscape.descend(x[None])[0][0], x, exchange=False) <= SMALL
        if rests and curvature(t - step / 4) > 0 > curvature(after):
            return brentq(curvature, t - step / 4, after, xtol=NARROW / 10)
        return (t + after) / 2


def _root(function, near):
    """A zero of a function next to ``near``, within half a segment, or None."""
    step, low, high = 1e-4, near, near
    at_low = at_high = function(near)
    while step < 0.5:
        if at_low == 0.0:
            return low
        before, after = near - step, near + step
        at_before, at_after = function(before), function(after)
        if at_before * at_low < 0:
            return brentq(function, before, low, xtol=1e-14, rtol=1e-14)
        if at_after * at_high < 0:
            return brentq(function, high, after, xtol=1e-14, rtol=1e-14)
        low, high, at_low, at_high = before, after, at_before, at_after
        step *= 4
    return None
