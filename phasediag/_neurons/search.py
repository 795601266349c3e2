"""All minima of a model of neurons at one point: descents from many starts, the gauge taken out, stability from every side."""

from dataclasses import dataclass
from functools import cache, cached_property
from itertools import permutations, product
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from .._arguments import Floats
from .._compiling.jit import address
from ..neuron_phases import BEYOND, NOUGHT, named_first
from .cones import STEP, Cone
from .descent import descend, evaluate_flat
from .faces import ON, falls, polished, settled
from .losses import active_in, evaluate, orders_of, probabilities, sets_of
from .samples import add_samples
from .simplices import add_sets, room

GRADIENT_TOLERANCE = 1e-8
"""Largest entry of the gradient of the scaled loss at a minimum."""
CURVATURE_TOLERANCE, TOLD = 1e-5, 2e-8
"""No curvature of the scaled loss is below minus the first. Where it is below minus the second, what is lower is looked for,
by less than rounding it may be; where it is no higher a minimum is a point of a valley of equal loss, and one stands for all."""
SAME_LOSS, SMALL = 1e-8, 1e-3
"""Minima of relative losses and canonical parameters no farther apart are one. Reading weights below that part of a neuron's
largest are tried on their kinks, and that far aside of a kink differences are those of one side."""
ACCURACY = 1e-10
"""To which descents lower the gradient."""
ASIDE, KINK = 1e-9, 1e-6
"""How far aside of a kink its sides are told, and the slope by which the loss falls there: no rounding, and no curvature."""
VETO = 1e28
"""Weights that fall below −BEYOND of tied neurons are held at −VETO, where the loss is its limit to rounding: a feature that
shuts a neuron off whenever it is active. Where the loss rises towards it the weight is free again: infinity is not low. Weights
of such a neuron that fall to 0 from above are held at ON: as little is enough to forbid the other feature."""
FARTHER = 6
"""So many times 500 steps are followed of weights that grow without end."""
GUESSES, SAMPLED = 8, 3
"""For each start so many descents on a rough loss, for which inputs with so many active features are taken from a lattice."""
KICK = 0.03
"""How far a descent that tests a dead neuron begins from where it wakes."""

GROWS, DEAD_OUTPUT, DEAD_NEURON, NO_MINIMUM = "growing weights", "dead output", "dead neuron", "no minimum"


@cache
def entry(kernel):
    """The address of `add_sets`, or of `add_samples`, compiled once."""
    floats, whole = np.empty((1, 1)), np.empty((1, 1), np.int64)
    row, numbers = np.empty(1), np.empty(1, np.int64)
    orders = np.empty((1, 1, 1), np.int64)
    return address(kernel, floats, floats, row, whole, numbers, row, True, orders, numbers, row, 1, row, floats, room(1, 1, 1))


@dataclass(frozen=True, eq=False)
class Point:
    """A stationary point: canonical flat parameters (size,), scaled loss, largest scaled gradient entry, lowest curvature."""

    x: Floats
    scaled_loss: float
    gradient_norm: float
    curvature: float

    @property
    def is_minimum(self) -> bool:
        """Whether gradient and curvature are those of a minimum."""
        return self.gradient_norm <= GRADIENT_TOLERANCE and self.curvature >= -CURVATURE_TOLERANCE


class End(NamedTuple):
    """Where a descent leads: parameters (size,), scaled loss, and why it is no minimum, "" where it is one."""

    x: Floats
    scaled_loss: float
    failure: str


class Landscape:
    """The scaled loss of a form of neurons at one control vector (n_controls,)."""

    def __init__(self, form, control):
        self.form, self.control = form, np.array(control)
        m, n = form.n_hidden, form.n_features
        members, sizes, _ = sets_of(n, n)
        setting = m, n, form.is_tied, members, sizes, *orders_of(n)
        law = probabilities(form, self.control, n)[None], np.array(form.importance(self.control))
        self.scale = float(form.loss_scale(self.control))
        self.occurring = active_in(n, n)[law[0][0] > 0]  # features that are active together, (n_sets, n_features)
        # the lowest of descents whose weights grow without end
        self.unbounded = Point(np.zeros(form.size), np.inf, np.inf, -np.inf)
        self.saddles = []  # Points from which descents have gone on
        self.ends, self.n_grown = [], 0  # of the latest descents: (x (size,), scaled loss), and how many grew without end
        work = np.empty((m, n)), np.empty((m, n)), np.empty(n), np.empty(n), np.empty((2 * m + 1, n)), room(m, n, n)
        self.problem = setting, law, self.scale, np.array([entry(add_sets)]), work  # as `evaluate_flat` has it

    @cached_property
    def reading(self):
        """Which parameters are reading weights, (size,)."""
        return np.arange(self.form.size) < self.form.n_hidden * self.form.n_features

    @cached_property
    def biases(self):
        """Which are biases, (size,)."""
        return np.arange(self.form.size) >= self.form.size - self.form.n_features

    @cached_property
    def classes(self):
        """The features that can be exchanged, not whole sets of them."""
        return tuple(one for one in self.form.classes(self.control[None]) if isinstance(one[0], int))

    def gradient(self, x):
        """The scaled loss at x (size,), and its gradient; 0 for reading weights that are 0."""
        slope = np.empty(self.form.size)
        loss = evaluate_flat(np.ascontiguousarray(x), *self.problem, slope)
        slope[self.held(x)] = 0.0
        return loss, slope

    def held(self, x):
        """Which parameters (…, size) do not move: reading weights on their kinks, 0, and vetoes."""
        return self.vetoes(x) | (self.reading & (np.abs(x) <= ON))

    def feature_loss(self, x):
        """E (y_i − y'_i)² at x (size,), shape (n_features,)."""
        return evaluate(self.form, self.control, *self.form.parts(x), 0)[0]

    def losses(self, points):
        """The expected losses (n,) of points (n, size), not scaled."""
        return np.array([self.gradient(x)[0] for x in points]) * self.scale

    def descend(self, points, loose=False):
        """Where descents from points (n_points, size) end, balanced, and for each scaled loss, gradient and evaluations.

        Those that stop short of a small gradient while reading weights are small are on kinks: these weights are held at 0; and
        weights that fall without end at −VETO. From where the loss falls as one leaves that again the descent goes on.
        loose: weights (n_points, size) that are not held, unless they are 0 to rounding.
        """
        points, numbers = np.array(points), np.empty((len(points), 3))
        loose, tried = np.broadcast_to(loose, points.shape).copy(), np.zeros(points.shape, dtype=bool)
        again = np.arange(len(points))
        while again.size:
            points[again], numbers[again] = self._descend(points[again], loose[again])
            left, back = points[again], self.vetoes(points[again]) & ~tried[again]
            for at in range(len(left)):
                if back[at].any():
                    back[at] &= self.rising(left[at])
                left[at] = np.where(back[at], -BEYOND / 2, left[at])
                left[at] += self.leaving(left[at], ~tried[again[at]])
            moved = left != points[again]
            tried[again] |= moved
            loose[again] |= moved & ~back
            points[again] = left
            again = again[moved.any(axis=1)]
        return points, numbers

    def infimum(self, lowest):
        """The lowest scaled loss met by descents whose weights grow without end; followed on where it is below ``lowest``."""
        if self.unbounded.scaled_loss < lowest:
            points, numbers = self.unbounded.x[None].copy(), np.empty((1, 3))
            for _ in range(FARTHER):  # steps of a new metric, neurons balanced
                descend(points, ~self.vetoes(points), *self.problem, 500, ACCURACY, 1e-6, 1 / ACCURACY, numbers)
                points = self.balanced(points)
            self.unbounded = Point(points[0], numbers[0, 0], np.inf, -np.inf)
        return self.unbounded.scaled_loss

    def rising(self, x):
        """Which weights of x (size,) are vetoes towards which the loss rises at last, (size,).

        A veto that is large, and not infinite, needs less than ON beside it: what forbids goes to where the loss is lowest.
        """
        found, far, numbers = self.vetoes(x), ACCURACY**-0.5, np.empty((1, 3))
        if found.any():
            loss, beside = self.gradient(x)[0], self.held(x) & (x > 0)
            neuron = np.arange(len(x)) // self.form.n_features
            for k in np.flatnonzero(found):
                moves, point = beside & (neuron == neuron[k]), x.copy()
                point[k], point[moves] = -far, 1 / far
                descend(point[None], moves[None], *self.problem, 150, ACCURACY, 1e-14, BEYOND, numbers)
                found[k] = (numbers[0, 0] - loss) * far < -(SMALL**2)
        return found

    def _descend(self, points, loose):
        """The ends (n_points, size) and numbers of `descend`, weights held as they come to be small, if not loose, or large."""
        points, numbers = self.balanced(points), np.empty((len(points), 3))
        free, again = ~self.vetoes(points), np.arange(len(points))
        points[~free] = -VETO
        steps, least = 150, 1e-7  # at first as far as is quick
        while again.size:  # each time more weights are held
            rest, later = points[again], np.empty((len(again), 3))
            descend(rest, free, *self.problem, steps, ACCURACY, least, BEYOND, later)
            rest = self.balanced(rest)
            points[again], numbers[again] = rest, later
            vetoes = self.vetoes(rest)
            held = (self.kinks(rest) & ~loose[again]) | self.kinks(rest, NOUGHT) | vetoes
            placed = np.where(vetoes, -VETO, np.where(held, np.where(self.forbidding(rest), ON, 0.0), rest))
            grows = np.abs(placed * ~vetoes).max(axis=1) > BEYOND
            more = (later[:, 1] > ACCURACY) & (np.any(placed != rest, axis=1) | (steps < 500)) & ~grows
            again, free, steps, least = again[more], ~held[more], 500, 1e-13
            points[again] = placed[more]
        return points, numbers

    def vetoes(self, points):
        """Which parameters of points (…, size) are tied weights that fall without end, same shape."""
        return self.reading & (points < -BEYOND) & self.form.is_tied

    def forbidding(self, points):
        """Which parameters of points (…, size) are positive tied weights of neurons with a veto, same shape."""
        vetoes = self.vetoes(points)
        return vetoes if not vetoes.any() else (points > 0) & (self.of_neurons(vetoes * 1.0) > 0)

    def kinks(self, points, small=SMALL):
        """Which parameters of points (…, size) are reading weights so small that they may be 0, same shape."""
        finite = self.reading & ~self.vetoes(points)
        sizes = np.abs(points * finite)
        return finite & (sizes < small * np.maximum(self.of_neurons(sizes), 1e-9))

    def of_neurons(self, sizes):
        """The largest of each neuron's reading ``sizes`` (…, size) for each of its weights; 0 for all else, same shape."""
        m, n = self.form.n_hidden, self.form.n_features
        largest = np.zeros(sizes.shape)
        largest[..., : m * n] = np.repeat(sizes[..., : m * n].reshape(*sizes.shape[:-1], m, n).max(axis=-1), n, axis=-1)
        return largest

    def on_kinks(self, x, small=SMALL):
        """x (…, size) with reading weights that are so small on their kinks, 0, or ON beside a veto."""
        return np.where(self.kinks(x, small), np.where(self.forbidding(x), ON, 0.0), x)

    def leaving(self, x, which):
        """By how much one of the weights ``which`` (size,) held on kinks is to leave its own from x (size,), (size,).

        A little, to where the loss falls most; one at a time, since beside it another may stay, though alone it would leave too.
        """
        slope, k, side = falls(self, x, (x == 0.0) & self.kinks(x) & which, ASIDE)
        moved = np.zeros(len(x))
        if slope < -KINK:
            moved[k] = SMALL * side
        return moved

    def balanced(self, points):
        """Points (…, size) with reading and writing weights of every neuron of one length."""
        if self.form.is_tied:
            return np.array(points, dtype=np.float64)
        encoder, decoder, bias = self.form.parts(np.asarray(points))
        read, write = (np.linalg.norm(one, axis=-1, keepdims=True) for one in (encoder, decoder))
        ratio = np.sqrt(np.where((read > 0) & (write > 0), write / np.where(read > 0, read, 1), 1.0))
        return self.form.flat(encoder * ratio, decoder / np.where(ratio > 0, ratio, 1), bias)

    def gauge(self, x):
        """Unit directions (n, size) in which neurons are scaled; of tied weights the vetoes, which only a limit moves."""
        if self.form.is_tied:
            return np.eye(self.form.size)[self.vetoes(x)]
        encoder, decoder, bias = self.form.parts(x)
        keep = np.eye(self.form.n_hidden)[:, :, None]
        rows = self.form.flat(keep * encoder, -keep * decoder, np.zeros((len(keep), len(bias))))
        length = np.linalg.norm(rows, axis=1, keepdims=True)
        return np.ascontiguousarray((rows / np.where(length > 0, length, 1))[length[:, 0] > 1e-9])

    def hessian(self, x, step=STEP):
        """Second derivatives at x (size,) by central differences of the gradient; 1 for the gauge and on kinks."""
        gauge, free = self.gauge(x), ~self.held(x)
        rows, steps = np.eye(self.form.size), self.one_sided(x, step)
        for i in np.flatnonzero(free):
            rows[i] = free * self.difference(x, steps[i] * np.eye(self.form.size)[i])
        return (rows + rows.T) / 2 + gauge.T @ gauge

    def difference(self, x, step):
        """The derivative (size,) of the gradient at x (size,) along a step (size,), per length."""
        return (self.slope(x + step) - self.slope(x - step)) / (2 * np.linalg.norm(step))

    def one_sided(self, x, step):
        """Steps (size,) of parameters x (size,), as long as one or shorter: on one side of the kinks of reading weights."""
        return np.where(self.reading, np.minimum(np.abs(x) / 2, step), step)

    def slope(self, x):
        """The gradient at x (size,) of all parameters, those that are held included."""
        slope = np.empty(self.form.size)
        evaluate_flat(np.ascontiguousarray(x), *self.problem, slope)
        return slope

    def curvature(self, x):
        """The lowest one-sided second derivative at x (size,), and its unit direction (size,)."""
        return Cone(self, x, TOLD).lowest()

    def in_valley(self, x):
        """Whether the loss neither rises nor falls at second order along some way from a point at rest x (size,)."""
        return abs(self.curvature(x)[0]) <= TOLD

    def dead(self, x):
        """Neurons that are never on, (n_hidden,), and outputs that never are, (n_features,)."""
        encoder, decoder, bias = self.form.parts(x)
        read = np.maximum(encoder, 0) if self.form.is_tied else np.abs(encoder)
        on = self.occurring @ (read > 0).T
        if self.form.is_tied:
            on &= ~(self.occurring @ (encoder < -BEYOND).T)
        reach = np.maximum(decoder, 0).T @ read.sum(axis=1)
        slope = self.gradient(x)[1][-len(bias) :]
        return ~on.any(axis=0), (reach + bias <= 0) | ((slope == 0.0) & (bias < 0))

    def canonical(self, x):
        """x (size,) with dead neurons 0, and of its gauge copies one: ordered neurons, equal features as named."""
        encoder, decoder, bias = (part.copy() for part in self.form.parts(self.balanced(x)))
        never, _ = self.dead(x)
        if self.form.is_tied:
            encoder[never] = 0.0
            decoder = encoder
        else:  # x_j → −x_j changes nothing
            encoder *= np.where((encoder * np.abs(encoder)).sum(axis=0) < -1e-9, -1.0, 1.0)
        order = np.lexsort(np.round(np.concatenate([decoder, encoder], axis=1), 5).T)[::-1]
        return named_first(self.form, self.control, self.form.flat(encoder[order], decoder[order], bias))

    def key(self, x, exchange=True):
        """What tells minima apart: ordered neurons and biases (n_copies, size), by exchange and reflection of features."""
        encoder, decoder, bias = self.form.parts(self.balanced(x))
        orders, signs = _copies(self.classes if exchange else (), self.form.n_features, self.form.is_tied)
        neurons = np.swapaxes(np.concatenate([encoder[:, orders] * signs, decoder[:, orders]], axis=2), 0, 1)
        ranks = np.argsort(neurons @ _GENERIC[: neurons.shape[2]], axis=1, kind="stable")
        neurons = np.take_along_axis(neurons, ranks[..., None], axis=1)
        return np.concatenate([neurons.reshape(len(orders), -1), bias[orders]], axis=1)

    def starts(self, generator, n_starts):
        """Starting points (≤ n_starts, size): the lowest ends, of different losses, of many descents on a rough loss.

        A third are guesses: of what that does not know.
        """
        points, rough = self.guesses(generator, GUESSES * n_starts), n_starts - n_starts // 3
        alone = np.arange(len(points)) % (3 * GUESSES) == 0
        ends, free, numbers = points[~alone], ~self.vetoes(points[~alone]), np.empty((sum(~alone), 3))
        setting, (law, importance), scale, _, work = self.problem
        law = np.where(np.array([[False], [True]]) == (setting[4] >= SAMPLED), law, 0.0)
        kernels = np.array([entry(add_sets), entry(add_samples)])
        used = np.any(law > 0, axis=1)
        descend(ends, free, setting, (law[used], importance), scale, kernels[used], work, 150, ACCURACY, 1e-5, BEYOND, numbers)
        order = np.argsort(numbers[:, 0])
        losses = numbers[order, 0]
        ends = ends[order[np.diff(losses, prepend=-np.inf) > 1e-4 * losses]][:rough]
        return np.concatenate([ends, points[alone][: n_starts // 3]])

    def guesses(self, generator, n_starts):
        """Points (n_starts, size): random weights, many of them 0, small biases; up to two thirds of codes, some with vetoes."""
        m, n = self.form.n_hidden, self.form.n_features
        vetoing = self.vetoing(generator, n_starts // 3 if self.form.is_tied else 0)
        coded = self.codes(generator, 2 * n_starts // 3 - len(vetoing))
        n_random = n_starts - len(coded) - len(vetoing)
        shape = n_random, m, n
        mask = generator.random(shape) < generator.choice([0.35, 0.7, 1.0], size=(n_random, 1, 1))
        encoder = generator.normal(size=shape) * np.where(mask, 1.0, 0.05)
        positive = generator.random((n_random, 1, 1)) < 0.5
        decoder = np.abs(encoder) + 0.2 * generator.normal(size=shape)
        if self.form.is_tied:
            encoder = np.where(positive, np.abs(encoder), encoder)
        bias = np.abs(generator.normal(size=(n_random, n))) * generator.choice([-0.15, 0.05, 0.3], size=(n_random, 1))
        return np.concatenate([coded, vetoing, self.form.flat(encoder, decoder, bias)])

    def vetoing(self, generator, number):
        """Points (number, size) at which one tied weight is a veto, and three of five others serve, unequally."""
        shape = number, self.form.n_hidden, self.form.n_features
        encoder = np.exp(0.3 * generator.normal(size=shape)) * generator.choice([1.0, 1.0, 1.0, 0.05, -1.5], size=shape)
        encoder[np.arange(number), generator.integers(shape[1], size=number), generator.integers(shape[2], size=number)] = -VETO
        return self.form.flat(encoder, encoder, np.full((number, shape[2]), 0.05))

    def codes(self, generator, most):
        """Points (≤ most, size) at which every neuron serves some features alike and inhibits all others or none.

        No two of them are one but for the order of neurons and of equal features; which neurons read which sign is random.
        """
        m, n = self.form.n_hidden, self.form.n_features
        shape = 20 * most, m, n
        served = (generator.integers(1, 2**n, size=shape[:2])[:, :, None] >> np.arange(n)) & 1
        inhibits = generator.integers(0, 2, size=(shape[0], 1, 1))
        orders = _copies(self.classes, n, True)[0]
        copies = [np.sort(served[:, :, order] @ 2 ** np.arange(n), axis=1) @ 2.0 ** (n * np.arange(m)) for order in orders]
        _, first = np.unique(2 * np.min(copies, axis=0) + inhibits[:, 0, 0], return_index=True)
        first = np.sort(first)[:most]
        served, inhibits, shape = served[first] == 1, inhibits[first], (len(first), m, n)
        size = 1 + 0.1 * generator.normal(size=shape)
        encoder = np.where(served, size, -np.where(inhibits, size, 0.05 * np.abs(generator.normal(size=shape))))
        decoder = np.where(served, size, 0.0) + 0.05 * generator.normal(size=shape)
        if not self.form.is_tied:
            encoder *= generator.choice([-1.0, 1.0], size=shape)
        return self.form.flat(encoder, decoder, 0.05 * np.abs(generator.normal(size=(len(first), n))))

    def settle(self, points, known=(), polish=True):
        """The distinct minima (list of Point) that descents from points (n_points, size) lead to, beside those that are known."""
        found = list(known)
        for x, loss in self._ends_of(points):
            point = self._below(x, loss, found, polish)
            if point is not None and point.is_minimum and not self.known(found, point.x, point.scaled_loss):
                found.append(point)
        return found

    def lowest(self, points, bound=np.inf, loose=False):
        """The lowest minimum (Point) to which descents from points (n_points, size) lead, below a scaled loss; or None.

        Ends that are higher are not tried. loose: as of `descend`; of minima next to this place what is not 0.
        """
        best = None
        for x, loss in sorted(self._ends_of(points, loose), key=lambda end: end[1]):
            if not self.is_lower(loss, bound):
                break
            point = self._below(x, loss, (), polish=False)
            if point is not None and point.is_minimum and self.is_lower(point.scaled_loss, bound):
                best, bound = point, point.scaled_loss
        return best

    def _ends_of(self, points, loose=False):
        """Where descents from points (n_points, size) end, and the scaled losses: a list; what grows without end is noted.

        Where a neuron is never on it is set to 0, and a descent that wakes it must not lead lower; ends at which an output is 0
        for every input are left out.
        """
        ends, numbers = self.descend(points, loose)
        far = np.abs(ends * ~self.vetoes(ends)).max(axis=1) > BEYOND
        for x, loss in zip(ends[far], numbers[far, 0], strict=True):
            if loss < self.unbounded.scaled_loss:
                self.unbounded = Point(x, loss, np.inf, -np.inf)
        self.ends, self.n_grown = list(zip(ends[~far], numbers[~far, 0], strict=True)), int(far.sum())
        found, kicks = [], []
        for x, loss in self.ends:
            never, silent = self.dead(x)
            if not np.isfinite(loss) or silent.any():
                continue
            if never.any():
                kicks += self._woken(x, never)
            else:
                found.append((x, loss))
        if kicks:
            ends, numbers = self.descend(np.array(kicks))
            woken = list(zip(ends, numbers[:, 0], strict=True))
            self.ends += woken
            found += [(x, loss) for x, loss in woken if np.isfinite(loss) and not any(one.any() for one in self.dead(x))]
        return found

    def _woken(self, x, never):
        """Points (list) near x (size,) at which each neuron that is never on serves one feature a little."""
        encoder, decoder, bias = (part.copy() for part in self.form.parts(x))
        encoder[never] = 0.0
        woken = []
        for i in range(self.form.n_features):
            one = encoder.copy()
            one[never, i] = KICK
            woken.append(self.form.flat(one, one if self.form.is_tied else np.where(never[:, None], one, decoder), bias))
        return woken

    def _below(self, x, loss, known, polish):
        """The Point to which the end x (size,) of a descent leads: from saddles the descent goes on.

        None where that is one of those known (list of Point), a saddle from which one has gone on, or an output or neuron dies.
        """
        for attempt in range(4):
            if self.known(known, x, loss) or self.rising(x).any():
                return None
            x = settled(self, x)
            left = [one for one in self._alike(self.saddles, loss) if not self.is_lower(loss, one.scaled_loss)]
            if any(self.same(one.x, x) and np.sum(one.x != 0) == np.sum(x != 0) for one in left):
                return None
            if polish or attempt or np.abs(self.gradient(x)[1]).max() > GRADIENT_TOLERANCE:  # beside a saddle descents are slow
                x = polished(self, x)
            curvature, direction = self.curvature(x)
            if curvature > TOLD:
                break
            free = (x != 0) | (self.held(x) & (np.abs(direction) > SMALL))  # what lies below may be as near as that
            in_valley = curvature >= -TOLD  # along it the loss may fall with a third power, on either side
            steps = (KICK, -KICK) if in_valley else (KICK, self._bottom(x, direction))
            loose = (False, not in_valley)
            ends, numbers = self.descend(x + np.outer(steps, direction), np.outer(loose, free))
            at = int(np.nanargmin(numbers[:, 0]))
            if self.is_lower(numbers[at, 0], loss):  # otherwise what lies below is beside it
                self.saddles.append(Point(x, loss, 0.0, curvature))
            elif in_valley:
                break
            x, loss = ends[at], numbers[at, 0]
            if self.dead(x)[1].any() or self.dead(x)[0].any():
                return None
        loss, slope = self.gradient(x)
        return Point(self.canonical(x), loss, float(np.abs(slope).max()), curvature)

    def _bottom(self, x, direction):
        """How far from a saddle x (size,) in a direction (size,) the loss falls: to where its slope is 0, or SMALL."""
        low, high = 0.0, SMALL
        step = SMALL / 4.0**8
        while step < high:
            if self.slope(x + step * direction) @ direction > 0:
                high = step
            else:
                low, step = step, 4 * step
        for _ in range(16):
            step = (low + high) / 2
            low, high = (low, step) if self.slope(x + step * direction) @ direction > 0 else (step, high)
        return high

    def end(self, x):
        """The End of a descent from x (size,)."""
        ends, numbers = self.descend(x[None])
        x, loss = ends[0], numbers[0, 0]
        if not np.abs(x * ~self.vetoes(x)).max() <= BEYOND:
            return End(x, loss, GROWS)
        never, silent = self.dead(x)
        if silent.any() or never.any():
            return End(self.canonical(x), loss, DEAD_OUTPUT if silent.any() else DEAD_NEURON)
        point = self._below(x, loss, (), polish=True)
        if point is None or not point.is_minimum:
            return End(x, loss, NO_MINIMUM)
        return End(point.x, point.scaled_loss, "")

    def known(self, found, x, loss):
        """Whether x (size,) of a scaled loss is one of the minima found (list of Point), or in the valley of one."""
        return any(one.curvature <= TOLD or self.same(one.x, x) for one in self._alike(found, loss))

    @staticmethod
    def is_lower(loss, other):
        """Whether scaled losses are lower than another by more than rounding."""
        return loss < other * (1 - 1e-13) - 1e-16

    @staticmethod
    def _alike(found, loss):
        """Those of Points whose scaled loss is this one."""
        return [one for one in found if abs(one.scaled_loss - loss) <= SAME_LOSS * loss + 1e-15]

    def distance(self, x, other, exchange=True):
        """The largest difference between two points (size,) but for the gauge and, if so, the exchange of equal features."""
        return float(np.abs(self.key(x, exchange) - self.key(other)[0]).max(axis=1).min())

    def like(self, x, other):
        """The copy of another point (size,), by the gauge and the exchange of equal features, that is nearest to x (size,)."""
        encoder, decoder, bias = self.form.parts(self.balanced(x))
        own = np.concatenate([encoder, decoder], axis=1)
        encoder, decoder, biases = self.form.parts(self.balanced(other))
        best = np.inf, other
        for order, signs in zip(*_copies(self.classes, self.form.n_features, self.form.is_tied), strict=True):
            neurons = np.concatenate([encoder[:, order] * signs, decoder[:, order]], axis=1)
            ranks = linear_sum_assignment(cdist(own, neurons))[1]
            apart = max(np.abs(own - neurons[ranks]).max(), np.abs(bias - biases[order]).max())
            if apart < best[0]:
                best = apart, self.form.flat(neurons[ranks, : len(order)], neurons[ranks, len(order) :], biases[order])
        return best[1]

    def same(self, x, other):
        """Whether two points (size,) are one but for the gauge and the exchange of equal features."""
        return self.distance(x, other) <= SMALL


_GENERIC = np.random.default_rng(0).normal(size=1024)


@cache
def _copies(classes, n_features, is_tied):
    """Orders of features (n_copies, n_features) that exchange them within classes; signs, same shape, all ones where tied.

    classes: tuple of tuples of features.
    """
    orders = []
    for choice in product(*(permutations(members) for members in classes)):
        orders.append(np.arange(n_features))
        for members, moved in zip(classes, choice, strict=True):
            orders[-1][list(members)] = moved
    signs = np.array([*product((1.0,) if is_tied else (1.0, -1.0), repeat=n_features)])
    return np.repeat(orders, len(signs), axis=0), np.tile(signs, (len(orders), 1))
