"""Where minima of neurons change along a segment of a plane: losses are equal, weights grow from 0, metastable minima end."""

from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq

from .._arguments import Floats
from ..neuron_phases import NOUGHT, phase_of
from .branches import AT_REST, FAR, FIRST, LONGEST, ONSET, ONSETS, PARTS, POWERS, SHORTEST, SOFT, Branch
from .faces import ON, settled
from .search import ACCURACY, SMALL, Landscape

WIDTH = 1e-3
"""Crossings are bisected to this part of a segment before they are located exactly."""
WIDEST = 0.25
"""So near, in segments, two minima cross whose names change there."""
TOGETHER = 0.1
"""Reading weights leave 0 together that are no smaller than this part of the one that grows most."""
LITTLE = 0.2
"""Of its neuron's largest: a reading weight that is less may vanish nearby."""
MOST_STEPS, ASIDE, EXACT, ROUNDING = 12, 1e-5, 1e-13, 4e-16
"""Of Newton for equal losses; of a segment: of differences of losses of fixed weights, and to which it is found; of the loss."""
TIE, LEVEL = 2e-15, 1e-9
"""Of the loss: a difference that is none, and along a segment a change of it that leaves two losses equal."""
NAMED = 1e-7
"""Where no weight vanishes names are bisected to this part of a segment."""
SHOWN = 4 * NOUGHT
"""Of the largest weight: what has just left 0 is shown as large at least, since less is told to be 0."""
NARROW = 1e-6
"""Ends of minima are bisected to this part of a segment."""


class Small(NamedTuple):
    """A minimum x (size,) that has a small weight k, which parameters are free (size,), the least weight beside it, and which
    weights vanish together (size,); None where that is not known.
    """

    x: Floats
    k: int
    free: Floats
    size: float
    gone: Floats | None = None

    @property
    def shown(self):
        """The minimum (size,) with what has just left 0 as large as it is shown."""
        least = SHOWN * np.abs(self.x).max()
        return np.where(self.gone, np.sign(self.x) * np.maximum(np.abs(self.x), least), self.x)


class Onset(NamedTuple):
    """The place t of a Segment at which a weight vanishes, and the minimum x (size,) there.

    turn: how far t moves with the weight, as a part of the least beside it, towards where it grows; 0 where the order changes,
    negative where what grows is no minimum; small: what has grown a little, and near the place at which that rests; points: the
    Helds by which all is told.
    """

    t: float
    x: Floats
    turn: float
    small: Small
    near: float
    points: list


class Lean(NamedTuple):
    """By how much along (2,), in coordinates, a place lies aside for parameters that differ from x (size,): by (size,) of it."""

    x: Floats
    by: Floats
    along: Floats


class Segment:
    """The straight way between two places of a plane, u (2,) each; t is the share of it that lies behind.

    With a Lean its places lie aside of it, for parameters x (size,) that are then to be given.
    """

    def __init__(self, plane, start, end, lean=None):
        self.plane, self.form, self.start, self.end = plane, plane.form, np.asarray(start), np.asarray(end)
        self.lean = lean

    @property
    def ends(self):
        """The coordinates (2, 2) of both."""
        return np.array([self.start, self.end])

    def place(self, t, x=None):
        """Coordinates u (2,)."""
        u = (1 - t) * self.start + t * self.end
        return u if self.lean is None else u + (x - self.lean.x) @ self.lean.by * self.lean.along

    def share(self, u):
        """The t of coordinates u (2,) on it."""
        way = self.end - self.start
        return float((u - self.start) @ way / (way @ way))

    def landscape(self, t, x=None):
        """The Landscape at t."""
        return Landscape(self.form, self.plane.controls(*self.plane.values(self.place(t, x))))

    def leaning(self, t, x, rows):
        """How the gradient at t changes (n, size) as parameters ``rows`` (n,) of x (size,) move the place; 0 without a Lean."""
        if self.lean is None:
            return np.zeros((1, len(x)))
        u, step = self.place(t, x), ASIDE * self.lean.along
        one, other = (Segment(self.plane, at, at).landscape(0.0).slope(x) for at in (u + step, u - step))
        return np.outer(self.lean.by[rows], (one - other) / (2 * ASIDE))

    def name(self, x):
        """The name of the phase of parameters x (size,)."""
        encoder, decoder, _ = self.form.parts(x)
        return phase_of(encoder, decoder, self.form.is_tied).name

    def follow(self, pair, t):
        """The minima (2, size) to which a pair of points leads at t, their losses (2,), and how far apart they are."""
        landscape, pair = self.landscape(t), np.asarray(pair)
        points = np.array([settled(landscape, x) for x in landscape.descend(pair, pair != 0)[0]])
        return points, landscape.losses(points), landscape.distance(*points, exchange=False)

    def gains(self, pair, before, after):
        """Whether from t = before to after the loss of the first of two points at rest (2, size) grows more than the other's."""
        first, second = self.landscape(after).losses(pair) - self.landscape(before).losses(pair)
        return bool(first > second)

    def equal(self, pair, low, high):
        """Where the losses of two minima cross that both exist there, the first of which is lower before; None where none do.

        Between low and high or a little aside: where one of both was not found, the name changed too early or too late.
        """

        def state(t):
            """−1 where the first is lower, 1 where the second is, 0 where both lead to one, or two of one loss."""
            _, losses, apart = self.follow(pair, t)
            equal = apart <= SMALL or abs(losses[0] - losses[1]) <= TIE * losses[0]
            return 0 if equal else -1 if losses[0] < losses[1] else 1

        span = high - low
        before, after = state(low), state(high)
        while (before > 0 or after < 0) and span < WIDEST:
            span *= 4
            low, high = (max(low - span, 0.0) if before > 0 else low), (min(high + span, 1.0) if after < 0 else high)
            before, after = state(low), state(high)
        for at, side in ((low, before), (high, after)):
            found = self.coexistence(pair, at) if side == 0 else None  # two of one loss just there
            if found is not None and low - NARROW < found[0] < high + NARROW:
                return min(max(found[0], 0.0), 1.0)
        while not before < 0 < after:  # as long as one side knows one minimum only
            middle = (low + high) / 2
            if before == after or before > 0 or after < 0 or high - low < NARROW:
                return None
            now = state(middle)
            if now < 0 or (now == 0 and before == 0):
                low, before = middle, now
            else:
                high, after = middle, now
        t = brentq(lambda t: np.subtract(*self.follow(pair, t)[1]), low, high, xtol=1e-15)
        return t if self.follow(pair, t)[2] > SMALL else None

    def rest(self, x, t):
        """The stationary point at t next to parameters x (size,), whose zeros stay, by Newton; None where there is none.

        Second derivatives serve for as long as steps by them halve the gradient. Those of a bias are others on each side of 0:
        it begins there where it is 0 but for rounding.
        """
        landscape = self.landscape(t)
        x = landscape.on_kinks(x, NOUGHT)
        bias = self.form.parts(x)[2]
        bias[np.abs(bias) < NOUGHT] = 0.0
        free, slope = ~landscape.held(x), landscape.gradient(x)[1]
        for _ in range(MOST_STEPS):
            if np.abs(slope).max() < AT_REST:
                break
            values, vectors = np.linalg.eigh(landscape.hessian(x))
            use = np.abs(values) > SOFT
            inverse = free[:, None] * (vectors[:, use] / values[use]) @ vectors[:, use].T
            step = -inverse @ slope
            share = min(1.0, LONGEST / max(np.abs(step).max(), LONGEST))
            while True:
                after = landscape.gradient(x + share * step)[1]
                if np.abs(after).max() < np.abs(slope).max():
                    break
                share /= 2
                if share < SHORTEST:
                    return x if np.abs(slope).max() < ACCURACY else None
            while np.abs(after).max() < np.abs(slope).max():
                halved = np.abs(after).max() < np.abs(slope).max() / 2
                x, slope = x + share * step, after
                if not halved:
                    break
                step, share = -inverse @ slope, 1.0
                if np.abs(step).max() > LONGEST:
                    break
                after = landscape.gradient(x + step)[1]
        return x if np.abs(slope).max() < ACCURACY else None

    def renamed(self, pair, t):
        """Where near t the name of the minimum that both of a pair (2, size) are changes from the first's to the second's.

        (t, (2, size), losses (2,)) as of `coexistence`; None where it does not.
        """
        names, step = [self.name(x) for x in pair], FIRST
        x = self.rest(pair[0], t)
        own = None if x is None else self.name(x)
        reached = {1: (t, x, own), -1: (t, x, own)}
        while own in names and reached and step < FAR:
            for side, known in list(reached.items()):
                there, after = t + side * step, self.rest(known[1], t + side * step)
                if after is None or np.abs(after - known[1]).max() > LONGEST:
                    del reached[side]
                    continue
                name = self.name(after)
                if name != own:
                    return self._between(names, known, (there, after, name)) if name in names else None
                reached[side] = there, after, name
            step *= 2
        return None

    def _between(self, names, one, other):
        """What `renamed` tells, from two points (t, x, name) with one of two names each."""
        while abs(other[0] - one[0]) > EXACT:
            t = (one[0] + other[0]) / 2
            x = self.rest(one[1], t)
            name = None if x is None else self.name(x)
            if name not in names or t in (one[0], other[0]):
                return None
            one, other = ((t, x, name), other) if name == one[2] else (one, (t, x, name))
        pair = np.array([point[1] for point in sorted((one, other), key=lambda point: names.index(point[2]))])
        return other[0], pair, self.landscape(other[0]).losses(pair)

    def coexistence(self, pair, t):
        """Where near t two minima (2, size) have one loss, and which: (t, (2, size), losses (2,)); None where they have not.

        They may be minima on one side of it alone: a weight that is 0 stays. Names may change on the way, signs of what is read
        may not.
        """
        landscape, step = self.landscape(t), 0.0

        def signs(pair):
            """Those of the reading weights of both that are told from 0, (2, size)."""
            return np.sign(landscape.on_kinks(np.asarray(pair), NOUGHT) * landscape.reading)

        own = signs(pair)
        for _ in range(MOST_STEPS):
            found = [self.rest(x, t) for x in pair]
            if any(x is None for x in found) or np.any(signs(found) != own) or self.is_near(found, t):
                if step == 0.0:
                    return self._within_strip(pair, t)
                step /= 2  # beyond where one of both ends
                t -= step
                continue
            pair = found
            losses, rate = self._difference(pair, t)
            if abs(rate) < LEVEL * losses[0]:  # they are equal along the segment, or nowhere
                return None
            step = -np.subtract(*losses) / rate
            if abs(step) < EXACT or abs(np.subtract(*losses)) <= ROUNDING * losses[0]:
                return t, np.array(pair), losses
            if not -NARROW < t + step < 1 + NARROW:
                return None
            t += step
        return None

    def is_near(self, pair, t):
        """Whether two points (2, size) are so near at t that their losses do not tell which is the lower one."""
        return self.landscape(t).distance(*pair, exchange=False) <= SMALL

    def _difference(self, pair, t):
        """The losses (2,) at t of two points at rest (2, size), and how fast the first grows beside the second."""
        here, *sides = (self.landscape(at).losses(pair) for at in (t, t - ASIDE, t + ASIDE))
        return here, (np.subtract(*sides[1]) - np.subtract(*sides[0])) / (2 * ASIDE)

    def _within_strip(self, pair, t):
        """The same as `coexistence` of two minima (2, size), one of which has a small weight and ends in a strip beside t.

        On its branch each weight has its place, so that the weight is what is looked for.
        """
        for k in range(2):
            small = self.least(pair[k], t)
            if small is None:
                continue
            branch = Branch(self, small.k, small.free)
            point = branch.at(small.x[small.k], t, small.x)
            for _ in range(MOST_STEPS):
                other = None if point is None or not 0 <= point.t <= 1 else self.rest(pair[1 - k], point.t)
                if other is None:
                    break
                both = [point.x, other][:: 1 - 2 * k]
                losses, rate = self._difference(both, point.t)
                step = -np.subtract(*losses) / (rate * point.turn) if rate * point.turn else np.inf
                if abs(step * point.turn) < EXACT or abs(np.subtract(*losses)) <= ROUNDING * losses[0]:
                    same = [self.name(x) for x in both] == [self.name(x) for x in pair] and not self.is_near(both, point.t)
                    return (point.t, np.array(both), losses) if same else None
                largest = abs(point.value) / 2
                point = branch.next(point, point.value + min(max(step, -largest), largest))
        return None

    def onsets(self, pair, t):
        """The Onsets near t of weights that two minima (2, size) have, a list."""
        found = (one for one in (self.least(x, t) for x in pair) if one is not None)
        return [one for one in (self.vanished(one, t) for one in found) if one is not None]

    def vanishing(self, pair, t, within):
        """The Onset near t of a weight of one of two minima (2, size), the nearest to (low, high); None where none vanishes."""
        return min(self.onsets(pair, t), key=lambda one: max(within[0] - one.t, one.t - within[1], 0.0), default=None)

    def vanished(self, small, t):
        """The Onset near t at which the weight of a Small vanishes, with those that are known to, or None.

        Of weights that vanish together that is held which grows most: the others may be small beside it.
        """
        x = small.x.copy()
        if small.gone is None and abs(x[small.k]) <= SHOWN * np.abs(x).max():  # its size is not known
            x[small.k] = np.sign(x[small.k]) * ONSETS[-1] * PARTS[-1] * small.size
        found = Branch(self, small.k, small.free).vanishing(x, t, small.size)
        if found is None:
            beside = None if small.gone is not None else self.beside(small)
            return None if beside is None else self.vanished(beside, t)
        end, points = found
        grown = points[0]
        gone = small.free & self.landscape(end.t, end.x).kinks(end.x, NOUGHT)
        stays = gone & (np.abs(grown.x) < SMALL * np.abs(grown.value))  # none that has left 0 with it
        if stays.any():
            return self.vanished(small._replace(x=np.where(stays, 0.0, small.x), free=small.free & ~stays), t)
        most = int(np.argmax(np.abs(end.tangent) * gone))
        if abs(end.tangent[most]) > (1 + SMALL) * abs(end.tangent[small.k]):
            return self.vanished(self.small(grown.x, most, small.free, gone)._replace(gone=small.gone), grown.t)
        if small.gone is not None and not np.array_equal(gone, small.gone):  # it has led to another curve
            return None
        small, turn = small._replace(x=grown.x, gone=gone), -end.turn * small.size * np.sign(end.rise)
        return Onset(end.t, np.where(gone, 0.0, end.x), turn, small, grown.t, points)

    def grown(self, onset):
        """The Onset of what is a minimum just beyond one: weights that leave 0 as soon as its weight has leave it there, too."""
        for point in onset.points:
            x = self.landscape(point.t).lowest(point.x[None], loose=point.x != 0)
            if x is not None and np.sum(x.x != 0) > np.sum(point.x != 0):
                small = self.least(x.x, point.t)
                found = None if small is None else self.vanished(small, point.t)
                if found is not None and abs(found.t - onset.t) < NARROW:
                    return found
        return onset

    def told(self, onset):
        """The place t beyond an Onset from where on what has left 0 is shown as large as it is."""
        small, least = onset.small, onset.points[-1]
        value = np.sign(least.value) * max(abs(least.value), SHOWN * np.abs(small.x).max())
        point = Branch(self, small.k, small.free).led(least, value)
        return least.t if point is None else point.t

    def risen(self, onset):
        """The minima (2, size) without and with the weight of an Onset, grown until the loss is the lower one, and where, t.

        None where that is nowhere near.
        """
        branch, small = Branch(self, onset.small.k, onset.small.free), onset.small
        point = branch.at(small.x[small.k], onset.near, small.x)
        while point is not None and abs(point.value) < small.size:
            landscape, rest = self.landscape(point.t), self.rest(onset.x, point.t)
            if rest is None:
                return None
            if landscape.gradient(point.x)[0] < landscape.gradient(rest)[0]:
                return np.array([rest, point.x]), point.t
            point = branch.next(point, 2 * point.value)
        return None

    def tied(self, onset):
        """Where beside an Onset at which the order is the first the losses without and with its weight are equal.

        As of `coexistence`.
        """
        risen = self.risen(onset)
        return (None if risen is None else self.coexistence(*risen)) or self.jump(onset)

    def jump(self, onset):
        """Where beside an Onset the losses without and with its weight are equal, as of `coexistence`; of small jumps.

        The slope of the loss by the weight w is w (t(w) − t), but for a factor, with t(w) = t₀ + a w + b w² where it is 0: the
        losses are equal at w = −2a / 3b. None where what grows is a minimum, or the jump is large.
        """
        branch, small = Branch(self, onset.small.k, onset.small.free), onset.small
        _, first, second, *_ = np.linalg.solve(POWERS, [point.t for point in onset.points])  # by parts of the first value
        part = -2 * first / (3 * second)
        if not 0 < part * abs(onset.points[0].value) < SMALL * small.size:
            return None
        point = branch.led(onset.points[-1], part * onset.points[0].value)
        rest = None if point is None else self.rest(onset.x, point.t)
        if rest is None:
            return None
        pair = np.array([rest, point.x])
        return point.t, pair, self.landscape(point.t).losses(pair)

    def _neuron(self, k):
        """Which parameters are the reading weights of the neuron of parameter k, (size,)."""
        return np.arange(self.form.size) // self.form.n_features == k // self.form.n_features

    def small(self, x, k, free, gone):
        """The Small of parameters x (size,) and weight k, beside which others vanish, gone (size,); others as small may, too."""
        left = np.abs(x[self._neuron(k) & ~gone & (np.abs(x) * TOGETHER > np.abs(x[k]))])
        return Small(x, k, free, left.min() if left.size else abs(x[k]))

    def beside(self, small):
        """The Small of the least weight beside that of one, which may vanish with it; None where it is not small."""
        sizes = np.abs(small.x) * self._neuron(small.k)
        k = int(np.argmin(np.where((sizes >= small.size) & (sizes > sizes[small.k]), sizes, np.inf)))
        if not sizes[small.k] < sizes[k] < LITTLE * sizes.max():
            return None
        return self.small(small.x, k, small.free, self.landscape(0.0).vetoes(small.x))

    def least(self, x, t):
        """The Small of the minimum x (size,) of t with its zeros, by its least other reading weight; None where none is small."""
        form, landscape = self.form, self.landscape(t)
        x = landscape.on_kinks(x, NOUGHT)
        encoder = np.where(form.parts(landscape.vetoes(x))[0], 0.0, form.parts(x)[0])
        largest = np.abs(encoder).max(axis=1, keepdims=True)
        shares = np.where(np.abs(encoder) > ON, np.abs(encoder) / np.where(largest > 0, largest, 1.0), np.inf)
        row, column = np.unravel_index(np.argmin(shares), shares.shape)
        if not shares[row, column] < LITTLE:
            return None
        return self.small(x, int(row * form.n_features + column), self.unscaled(x, ~landscape.held(x)), landscape.vetoes(x))

    def onset(self, x, t):
        """The place at which the least reading weight of the minimum x (size,) of t vanishes; None where none does."""
        small = self.least(x, t)
        found = None if small is None else self.vanished(small, t)
        return None if found is None else found.t

    def unscaled(self, x, free):
        """What is free (size,) of parameters x (size,) where of separate matrices each neuron keeps its largest weight."""
        free, encoder = free.copy(), self.form.parts(x)[0]
        if not self.form.is_tied:
            free[np.arange(len(encoder)) * self.form.n_features + np.abs(encoder).argmax(axis=1)] = False
        return free

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
                for width in (WIDTH, NARROW):  # near enough for an exact equation, mostly
                    while abs(after - t) > width:
                        middle = (t + after) / 2
                        moved = carried(x, t, middle)
                        t, x, after = (t, x, middle) if moved is None else (middle, moved, after)
                    found = self._ending(x, t, after)
                    if found is not None:
                        return found
                return (t + after) / 2
            t, x = after, moved
        return np.nan

    def _ending(self, x, t, after):
        """Where the minimum x (size,) of t, which has ceased at ``after`` just beside it, ceases: the place of an exact equation.

        A reading weight of it vanishes; or one leaves 0, so that it is a saddle at ``after``; or its branch turns back. None
        where it is none of these.
        """
        landscape = self.landscape(after)
        rest = landscape.descend(x[None])[0][0]
        if landscape.distance(rest, x, exchange=False) <= SMALL:
            found = self._leaving(rest, after)
        else:
            found = self._turning(x, t, after)
        return self.onset(x, t) if found is None else found

    def _leaving(self, x, t):
        """Where near t the point at rest x (size,), a saddle at t, became one as a reading weight left 0; None where none did."""
        landscape = self.landscape(t)
        x = landscape.on_kinks(x)
        curvature, direction = landscape.curvature(x)
        leaving = np.where(landscape.held(x), np.abs(direction), 0.0)
        k = int(np.argmax(leaving))
        if curvature >= 0 or leaving[k] < TOGETHER:
            return None
        small = self.small(x, k, self.unscaled(x, ~landscape.held(x) | (leaving > TOGETHER * leaving[k])), leaving > 0)
        found = self.vanished(small._replace(x=x + ONSET * small.size / abs(direction[k]) * direction), t)
        return None if found is None else found.t

    def _turning(self, x, t, after):
        """Where between t and ``after`` the branch of the minimum x (size,) of t turns back; None where it does not."""
        landscape = self.landscape(t)
        free = self.unscaled(x, ~landscape.held(x))
        softest = np.linalg.eigh(landscape.hessian(x)[np.ix_(free, free)])[1][:, 0]
        branch = Branch(self, np.flatnonzero(free)[np.argmax(np.abs(softest))], free)
        found = branch.fold(branch.at(x[branch.k], t, x), after - t)
        return found if found is not None and abs(found - t) < 2 * abs(after - t) else None


def lowest_along(segment, starts):
    """Return a function of a share t of a Segment: the name of what is lowest there, its parameters (size,), and the landscape.

    starts: a list of parameters (size,) from which minima are sought, with any more that are given to it; it may grow.
    """

    def lowest(t, *more):
        """What is lowest at t."""
        landscape = segment.landscape(t)
        points = np.array([*starts, *more])
        x = (landscape.lowest(points, loose=points != 0) or landscape.unbounded).x
        return segment.name(x), x, landscape

    return lowest


def narrowed(segment, lowest, low, high, width):
    """The two ends (t, name, parameters, landscape) of what is left of a step from low to high where the lowest name changes.

    It is halved, but first tried on both sides of where the minima of low and high have one loss.
    """
    equal = segment.coexistence(np.array([low[2], high[2]]), (low[0] + high[0]) / 2)
    sides = [] if equal is None else [equal[0] + width / 3, equal[0] - width / 3]
    while high[0] - low[0] > width:
        t = sides.pop() if sides else (low[0] + high[0]) / 2
        if low[0] < t < high[0]:
            middle = (t, *lowest(t, low[2], high[2]))
            low, high = (middle, high) if middle[1] == low[1] else (low, middle)
    return low, high
