"""The lowest curvature of the loss of neurons at a point, on every side of the kinks that it lies on.

Where the gradient vanishes the loss changes by s²/2 Q(d) along a step s d, Q of degree 2. It is one quadratic form where all is
smooth. Where an output is 0 on an event of positive probability, its bias being 0, it is another on each side; and so it is where
reading weights are 0 that no output which is on can tell: a neuron that comes to read two features more sums them where the sum
is positive, and writes what it has come to read. Whether Q is negative anywhere, in however narrow a cone, is asked of its minima
on the unit sphere: Newton's method on it, from the softest directions of each side of these outputs, and from every corner of
these weights of each neuron, once all else has followed them to where Q is lowest.

Towards a side of a kink on which the loss rises at first order nothing moves.
"""

from itertools import product

import numpy as np

from .._compiling.jit import jit
from .descent import evaluate_flat

STEP, DIFFERENCE = 1e-7, 1e-3
"""So far from the point the gradient is asked for, and of that so far aside for its derivatives."""
MOST_STEPS, SHORTEST = 60, 1e-4
"""Of Newton's method, and the part of a step that is still tried; it ends where one lowers the curvature by less than that."""

ON = 1e-14
"""Reading weights up to this are on their kinks: the slope there is that of a side."""
ROUNDING = 1e-15
"""Of a matrix: what is left beside its diagonal."""


@jit(inner=True)
def diagonalize(matrix, vectors):
    """Leave of a symmetric matrix (n, n) its eigenvalues on the diagonal; columns of vectors (n, n): eigenvectors. By Jacobi."""
    n, turned, whole = len(matrix), True, 0.0
    for i in range(n):
        for j in range(n):
            vectors[i, j] = 1.0 if i == j else 0.0
            whole += matrix[i, j] ** 2
    while turned:
        turned = False
        for p in range(n):
            for q in range(p + 1, n):
                both, first, last = matrix[p, q], matrix[p, p], matrix[q, q]
                if not both * both > ROUNDING**2 * whole:
                    continue
                turned = True
                ratio = (last - first) / (2.0 * both)
                tangent = (1.0 if ratio >= 0.0 else -1.0) / (abs(ratio) + (1.0 + ratio * ratio) ** 0.5)
                cosine = 1.0 / (1.0 + tangent * tangent) ** 0.5
                sine = tangent * cosine
                for i in range(n):
                    one, other = matrix[i, p], matrix[i, q]
                    matrix[i, p] = matrix[p, i] = cosine * one - sine * other
                    matrix[i, q] = matrix[q, i] = sine * one + cosine * other
                    one, other = vectors[i, p], vectors[i, q]
                    vectors[i, p], vectors[i, q] = cosine * one - sine * other, sine * one + cosine * other
                matrix[p, p], matrix[q, q] = first - tangent * both, last + tangent * both
                matrix[p, q] = matrix[q, p] = 0.0


@jit(inner=True)
def along(c, x, basis, slope, form, law, scale, entries, work, place, after, change):
    """The curvature along coordinates c (n,) from x (size,), and half its derivatives by these to change (n,).

    basis: (n, size); slope: the gradient (size,) at x; place and after: work (size,). The rest is as in `evaluate_flat`.
    """
    n, size = basis.shape
    for j in range(size):
        total = 0.0
        for i in range(n):
            total += c[i] * basis[i, j]
        place[j] = x[j] + STEP * total
    evaluate_flat(place, form, law, scale, entries, work, after)
    curvature = 0.0
    for i in range(n):
        total = 0.0
        for j in range(size):
            total += basis[i, j] * (after[j] - slope[j])
        change[i] = total / STEP
        curvature += c[i] * change[i]
    return curvature


@jit
def beside(c, moves, change, second, x, basis, slope, form, law, scale, entries, work, place, after, other):
    """Second derivatives to second (≥ n_moves, ≥ n_moves) beside coordinates c (n,), between those of moves (n_moves,).

    change: what `along` says there; other: work (n,).
    """
    for a in range(len(moves)):
        here = c[moves[a]]
        step = DIFFERENCE if here >= 0.0 else -DIFFERENCE
        c[moves[a]] = here + step
        along(c, x, basis, slope, form, law, scale, entries, work, place, after, other)
        c[moves[a]] = here
        for b in range(len(moves)):
            second[a, b] = (other[moves[b]] - change[moves[b]]) / step
    for a in range(len(moves)):
        for b in range(a):
            second[a, b] = second[b, a] = (second[a, b] + second[b, a]) / 2.0


@jit(inner=True)
def enclosed(c, low, high, on_sphere):
    """Coordinates c (n,) moved into the cone, and to unit length if so."""
    length = 0.0
    for i in range(len(c)):
        c[i] = min(max(c[i], low[i]), high[i])
        length += c[i] * c[i]
    for i in range(len(c)):
        c[i] /= max(length**0.5, 1e-300) if on_sphere else 1.0


@jit
def sink(c, n_smooth, low, high, level, x, basis, slope, form, law, scale, entries, work):
    """The curvature to which Newton's method on the unit sphere leads from coordinates c (n,), which are moved there.

    Where it curves down on the sphere it is followed down, as far as its size tells. Where others than the first ``n_smooth`` are
    not 0 these follow them before: to what lowers the loss most, whatever the length.
    """
    n, size = basis.shape
    place, after, change, other = np.empty(size), np.empty(size), np.empty(n), np.empty(n)
    second, vectors, across = np.empty((n, n)), np.empty((n, n)), np.empty(n)
    moves, step, trial = np.empty(n, np.int64), np.empty(n), np.empty(n)
    on_sphere, value = True, 0.0
    for i in range(n_smooth, n):
        on_sphere = on_sphere and c[i] == 0.0
    while True:
        enclosed(c, low, high, on_sphere)
        value = along(c, x, basis, slope, form, law, scale, entries, work, place, after, change)
        for _step in range(MOST_STEPS):
            count, pull = 0, value if on_sphere else 0.0
            for i in range(n if on_sphere else n_smooth):
                rise = change[i] - pull * c[i]
                if not ((c[i] <= low[i] and rise > 0.0) or (c[i] >= high[i] and rise < 0.0)):
                    moves[count] = i
                    count += 1
            beside(c, moves[:count], change, second, x, basis, slope, form, law, scale, entries, work, place, after, other)
            own, turns = second[:count, :count].copy(), vectors[:count, :count].copy()
            if on_sphere:
                whole = 0.0
                for a in range(count):
                    across[a] = 0.0
                    for b in range(count):
                        across[a] += own[a, b] * c[moves[b]]
                    whole += across[a] * c[moves[a]]
                for a in range(count):
                    for b in range(count):
                        one, two = c[moves[a]], c[moves[b]]
                        own[a, b] += (whole + value) * one * two - across[a] * two - across[b] * one
                    own[a, a] -= value
            diagonalize(own, turns)
            length = 0.0
            for i in range(n):
                step[i] = 0.0
            for k in range(count):
                rise = 0.0
                for a in range(count):
                    rise += turns[a, k] * (change[moves[a]] - pull * c[moves[a]])
                for a in range(count):
                    step[moves[a]] -= turns[a, k] * rise / max(abs(own[k, k]), level)
            for i in range(n):
                length += step[i] * step[i]
            share, lower = 1.0 / max(length**0.5, 1.0), value
            shortest = SHORTEST * share
            while share > shortest:
                for i in range(n):
                    trial[i] = c[i] + share * step[i]
                enclosed(trial, low, high, on_sphere)
                lower = along(trial, x, basis, slope, form, law, scale, entries, work, place, after, other)
                if lower < value:
                    break
                share /= 2.0
            gain = value - lower
            if not gain > 0.0:
                break
            value = lower
            for i in range(n):
                c[i], change[i] = trial[i], other[i]
            if gain < max(SHORTEST * abs(value), level / 10.0):
                break
        if on_sphere:
            return value
        on_sphere = True


class Cone:
    """The directions from a point x (size,) of a Landscape along which its loss changes at second order alone.

    Their coordinates (n,) by ``basis`` (n, size) are those of what is smooth, without the gauge, then the weights that leave 0,
    which stay between ``low`` and ``high`` (n,). level: curvatures down to minus this are none.
    """

    def __init__(self, landscape, x, level):
        self.landscape, self.x, self.level = landscape, x, level
        self.second = hessian = landscape.hessian(x)
        gauge, free, unit = landscape.gauge(x), ~landscape.held(x), np.eye(x.size)
        values, vectors = np.linalg.eigh(np.diag(free * 1.0) - free * (gauge.T @ gauge) * free[:, None])
        smooth = vectors[:, values > 0.5].T
        steep = 2 * STEP * np.linalg.eigvalsh(hessian)[-1]
        kinks = np.flatnonzero(~free & ~landscape.vetoes(x))
        level_sides = [
            [s for s in (-1, 1) if s * x[k] >= 0 and s * landscape.slope(x + s * STEP * unit[k])[k] <= steep] for k in kinks
        ]  # weights that forbid another feature, just above 0, do not fall
        self.sides = [sides for sides in level_sides if sides]
        self.leaving = [k for k, sides in zip(kinks, level_sides, strict=True) if sides]
        self.basis = np.concatenate([smooth, unit[self.leaving]])
        smooth = np.full(len(smooth), np.inf)
        ahead = np.zeros(x.size)  # where a weight may leave 0 to one side its slope at 0 is that of this side
        ahead[self.leaving] = [sides[0] * ON if len(sides) == 1 else 0.0 for sides in self.sides]
        self.problem = x + ahead, self.basis, landscape.gradient(x)[1], *landscape.problem
        self.low = np.append(-smooth, [-np.inf if -1 in sides else 0.0 for sides in self.sides])
        self.high = np.append(smooth, [np.inf if 1 in sides else 0.0 for sides in self.sides])

    def lowest(self):
        """The lowest curvature that is found, and its unit direction (size,); the first that is below none."""
        biases = self.x[-self.landscape.form.n_features :]
        if not self.leaving and np.abs(biases).min() >= STEP and len(self.basis):  # no kink is level: one quadratic form
            values, vectors = np.linalg.eigh(self.basis @ self.second @ self.basis.T)
            return float(values[0]), vectors[:, 0] @ self.basis
        best = np.inf, np.zeros(len(self.basis))
        for c in self.starts():
            best = min(
                best,
                (sink(c, len(c) - len(self.sides), self.low, self.high, self.level, *self.problem), c),
                key=lambda one: one[0],
            )
        return best[0], best[1] @ self.basis

    def starts(self):
        """Coordinates (n,) at which to begin, one after the other."""
        n_smooth = len(self.basis) - len(self.sides)
        moves = np.arange(len(self.basis)) < n_smooth
        level = self.basis[:n_smooth, -self.landscape.form.n_features :].T[
            np.abs(self.x[-self.landscape.form.n_features :]) < STEP
        ]
        for corner in product((1.0, -1.0), repeat=len(level)):  # of outputs that are 0 on some events, which are on or off there
            aside = np.append(np.array(corner) @ level, np.zeros(len(self.sides)))
            if len(level):
                yield aside
            values, vectors = np.linalg.eigh(self.hessian(aside, moves))
            for k in range(max(2, int(np.sum(values < -self.level)))):
                softest = np.append(vectors[:, k], np.zeros(len(self.sides)))
                yield from (softest, -softest)
        neurons = np.array([k // self.landscape.form.n_features for k in self.leaving])
        for neuron in np.unique(neurons):  # where weights of several neurons leave 0 they only add up
            choices = [[0, *sides] if r == neuron else [0] for r, sides in zip(neurons, self.sides, strict=True)]
            for corner in product(*choices):
                if any(corner):
                    yield np.append(-level.sum(axis=0) / 2, corner)

    def hessian(self, c, moves):
        """Second derivatives beside coordinates c (n,), between those that move (n,)."""
        slope = self.landscape.slope(self.problem[0] + STEP * c @ self.basis) - self.problem[2]
        moves, work = np.flatnonzero(moves), (np.empty_like(self.x), np.empty_like(self.x), np.empty_like(c))
        second = np.empty((moves.size, moves.size))
        beside(c.copy(), moves, self.basis @ slope / STEP, second, *self.problem, *work)
        return second
