"""Moments of a clipped linear form of many features, by a contour integral (numba kernels).

One output of the model is z⁺ with z = b + Σ_j a_j x_j. Its loss is E x_i² + E[z⁺ (z⁺ − 2 x_i)]. The states with at
most two active features are integrated in closed form; on the rest, the measure μ, the contour integral

    E_μ[(z⁺)^r] = (r!/2πi) ∫ M(s) s^{−r−1} ds,
    M(s) = e^{sb} [Π_j (q_j + p_j φ(s a_j))]_{≥ 3 active},    φ(w) = (e^w − 1)/w,

is summed by the trapezoidal rule at s = iω, ω = 2πk/T. Where |z| ≤ T the rule has no aliasing error at all: it is the
Fourier series of a periodic Bernoulli polynomial, and (z⁺)² = z³/3T + z²/2 + Tz/6 + (1/T) Σ_{k≠0} 2e^{sz}/s³ there;
z⁺ and 1_{z>0} follow by differentiation. What is left is the mass beyond ±T, bounded after Chernoff, and the truncation
of the sum: bounded by |φ(iy)| = |sinc(y/2)| where that is sharp, estimated from the settling of the sums elsewhere. With
r features active the terms fall as k^{−r−1} or faster once every k|a_j| has passed T: few active ones are what takes nodes.
The far ones are so small that single precision does, and the terms of the features with the larger weights take short cuts.
"""

import math
from functools import cache

import numpy as np
from numba import types

from .._compiling.emission import DOUBLE_LANES
from .._compiling.jit import INTEGERS, address, call, doubles, jit, offset, pointer
from .._compiling.vectors import aligned
from . import contour_table as entry
from .contour_table import others
from .envelopes import ROOM
from .few_active import add_few_active
from .nodes import ROW, SUMS, VECTOR, add_narrow_nodes, add_nodes
from .pairs import PAIRS_ROW, TOTALS, add_pairs
from .polynomial import add_polynomial
from .rows import start_rows
from .series import BEHIND, STAGES, sum_series
from .truncation import CUT_SHARE, count_nodes, short_period

EPSILON = 2.0**-52
# Weights this small move z by nothing that a double could tell.
NEGLIGIBLE = 1e-150
# Columns of W are orthogonal when the cosine between them is what rounding leaves of 0.
ORTHOGONAL = 4.0 * EPSILON
N_CLASSES = 48  # of weights


@jit(inner=True, once=True)
def _order(i, n_features, gram, density, table):
    """Collect weights, densities and names of the features besides ``i`` that move z; return how many there are.

    The one most likely active comes last, as the series wants it, the others roughly by falling weight, in classes by √|a_j|.
    gram, density: shape (n_features,), row i of WᵀW and the model's densities.
    """
    a, p, features = doubles(table[entry.WEIGHTS]), doubles(table[entry.DENSITIES]), doubles(table[entry.FEATURES])
    classes, starts = doubles(table[entry.CLASSES]), doubles(table[entry.STARTS])
    largest, last = 0.0, -1
    for j in range(n_features):
        if j != i and abs(gram[j]) > NEGLIGIBLE:
            largest = max(largest, abs(gram[j]))
            if last < 0 or density[j] > density[last]:
                last = j
    for k in range(N_CLASSES + 1):
        starts[k] = 0.0
    step = 1.0 / largest
    for j in range(n_features):
        if j != i and j != last and abs(gram[j]) > NEGLIGIBLE:
            k = int((N_CLASSES - 0.5) * (1.0 - math.sqrt(abs(gram[j]) * step)))
            classes[j] = k
            starts[k + 1] += 1.0
    for k in range(N_CLASSES):
        starts[k + 1] += starts[k]
    count = int(starts[N_CLASSES])
    for j in range(n_features):
        if j != i and j != last and abs(gram[j]) > NEGLIGIBLE:
            k = int(classes[j])
            at = int(starts[k])
            starts[k] += 1.0
            a[at], p[at], features[at] = gram[j], density[j], j
    if last >= 0:
        a[count], p[count], features[count] = gram[last], density[last], last
        count += 1
    return count


@jit(inner=True)
def _feature_loss(i, n_features, table):
    """Find the loss E(x_i − z⁺)² of output i, its slopes, its error and the nodes used; the slopes in row i of WᵀW go to theirs.

    The loss is NaN and the error infinite when more than the most nodes would be needed. The numbers b, tolerances and most nodes
    are given. See `contour_table`.
    """
    numbers, gram, density = doubles(table[entry.NUMBERS]), doubles(table[entry.GRAM]), doubles(table[entry.MODEL_DENSITY])
    (a, p, slope_a, _numbers), features = others(table), doubles(table[entry.FEATURES])
    none_before, none_but = doubles(table[entry.NONE_BEFORE]), doubles(table[entry.NONE_BUT])
    some_but = doubles(table[entry.SOME_BUT])
    a_i, p_i, b = gram[i], density[i], numbers[entry.BIAS]
    # A feature of weight zero never moves z: it leaves the products, and its slope is p_j/2 times the slope in b.
    n = _order(i, n_features, gram, density, table)
    none, some, two = 1.0, 0.0, 0.0  # probabilities of none, at least one, at least two active
    for j in range(n):
        none_before[j], some_but[j], slope_a[j] = none, some, 0.0
        two += p[j] * (some - two)
        some += none * p[j]
        none *= 1.0 - p[j]
    after, some_after = 1.0, 0.0
    low, high = b + min(a_i, 0.0), b + max(a_i, 0.0)
    mean, variance = 0.5 * a_i * p_i, a_i * a_i * p_i * (4.0 - 3.0 * p_i)
    for j in range(n - 1, -1, -1):
        none_but[j] = none_before[j] * after
        some_but[j] += none_before[j] * some_after
        some_after += after * p[j]
        after *= 1.0 - p[j]
        low += min(a[j], 0.0)
        high += max(a[j], 0.0)
        mean += 0.5 * a[j] * p[j]
        variance += a[j] * a[j] * p[j] * (4.0 - 3.0 * p[j])
    variance /= 12.0
    second, mean = p_i / 3.0, max(b + mean, 0.0)
    scale = second + variance + mean * mean  # E x_i² and at least E (z⁺)²
    # a margin: a corner of z at ±T would meet the kink at 0 in phase, and the sum would settle slowly
    reach = 1.1 * max(high, -low)
    numbers[entry.A_I], numbers[entry.P_I], numbers[entry.NONE], numbers[entry.VARIANCE] = a_i, p_i, none, variance
    numbers[entry.SCALE], numbers[entry.REACH], numbers[entry.PERIOD] = scale, reach, 0.0
    numbers[entry.ERROR] = numbers[entry.USED] = 0.0

    call(table[entry.FEW_ACTIVE], (n, table))
    if n >= 2 and high > 0.0:
        call(table[entry.PAIRS], (n, table))
    if n == 0 and abs(a_i) <= NEGLIGIBLE and b == 0.0:  # about to be switched on by a rising bias
        numbers[entry.SLOPE_B], numbers[entry.SLOPE_I] = -p_i, -2.0 / 3.0 * p_i
    error = 0.0
    if n >= 2 and low >= 0.0:
        numbers[entry.PERIOD] = reach
        call(table[entry.POLYNOMIAL], (0.0, 1.0, 0.0, n, table))
    elif n >= 2 and high > 0.0:
        cut = CUT_SHARE * numbers[entry.TOLERANCE]
        call(table[entry.SHORT_PERIOD], (n, table))
        period = numbers[entry.PERIOD]
        if period < reach:
            error = cut
        call(table[entry.POLYNOMIAL], (1.0 / (3.0 * period), 0.5, period / 6.0, n, table))
        call(table[entry.COUNT_NODES], (n, table))
        call(table[entry.SERIES], (n, table))
        if numbers[entry.USED] > numbers[entry.FINE]:
            error += cut
        if numbers[entry.ERROR] == math.inf:
            numbers[entry.LOSS] = numbers[entry.SLOPE_B] = numbers[entry.SLOPE_I] = math.nan

    # rounding: the terms of the polynomial and of the series are at most of these sizes
    period = numbers[entry.PERIOD]
    rounding = 8.0 * EPSILON * (scale + period * math.sqrt(scale * two) + 0.1 * (period * period) * two)
    numbers[entry.ERROR] = (error + numbers[entry.ERROR]) * scale + rounding
    slope = offset(doubles(table[entry.MODEL_SLOPE]), i * n_features)
    for j in range(n_features):
        slope[j] = 0.5 * density[j] * numbers[entry.SLOPE_B]
    for k in range(n):
        slope[int(features[k])] = slope_a[k]
    slope[i] = numbers[entry.SLOPE_I]
    numbers[entry.LOSS] += second


@jit(allocates=False)
def _feature_losses(m, n, models, slope_tolerance, found, whole_table):
    """Losses, slopes and errors of all outputs of models of n features in m dimensions, one after another.

    models (B, (m + 2) n + 1): weights, biases, densities and tolerance of each; found (B, (n + 3) n): losses, slopes in biases,
    errors and slopes in G. See `contour_table`.
    """
    table = pointer(whole_table)
    weights, length, gram = doubles(table[entry.MODEL_WEIGHTS]), doubles(table[entry.LENGTH]), doubles(table[entry.GRAM])
    bias, density, numbers = doubles(table[entry.MODEL_BIAS]), doubles(table[entry.MODEL_DENSITY]), doubles(table[entry.NUMBERS])
    loss, slope = doubles(table[entry.MODEL_LOSS]), doubles(table[entry.MODEL_SLOPE])
    slope_b, error = doubles(table[entry.MODEL_SLOPE_B]), doubles(table[entry.MODEL_ERROR])
    nodes = doubles(table[entry.MODEL_NODES])
    for model in range(models.shape[0]):
        for j in range(m * n):
            weights[j] = models[model, j]
        for j in range(n):
            bias[j], density[j] = models[model, m * n + j], models[model, (m + 1) * n + j]
        numbers[entry.TOLERANCE] = models[model, (m + 2) * n]
        numbers[entry.SLACK] = slope_tolerance / numbers[entry.TOLERANCE]
        for j in range(n):
            length[j] = 0.0
            for k in range(m):
                length[j] += weights[k * n + j] * weights[k * n + j]
            length[j] = math.sqrt(length[j])
        for i in range(n):
            orthogonal = 0.0
            for j in range(n):
                gram[j] = 0.0
            for k in range(m):
                for j in range(n):
                    gram[j] += weights[k * n + i] * weights[k * n + j]
            for j in range(n):
                if abs(gram[j]) <= ORTHOGONAL * length[i] * length[j]:  # rounding of 0: as weights, series of many nodes
                    orthogonal += abs(gram[j]) * math.sqrt(density[j] / 3.0)
                    gram[j] = 0.0
            numbers[entry.BIAS] = bias[i]
            call(table[entry.FEATURE_LOSS], (i, n, table))
            loss[i], slope_b[i], nodes[i] = numbers[entry.LOSS], numbers[entry.SLOPE_B], numbers[entry.USED]
            error[i] = numbers[entry.ERROR] + 2.0 * math.sqrt(numbers[entry.SCALE]) * orthogonal
        for j in range(n):
            found[model, j], found[model, n + j], found[model, 2 * n + j] = loss[j], slope_b[j], error[j]
        for j in range(n * n):
            found[model, 3 * n + j] = slope[j]


@cache
def _functions():
    """Addresses of the kernels, in the order of `contour_table`."""
    output = types.int64, INTEGERS
    nodes = 0.0, 0.0, True, True, 0.0, 0, 0
    return [
        address(_feature_loss, 0, *output),
        address(add_few_active, *output),
        address(add_pairs, *output),
        address(add_polynomial, 0.0, 0.0, 0.0, *output),
        address(short_period, *output),
        address(count_nodes, *output),
        address(sum_series, *output),
        address(start_rows, 0.0, True, True, 0.0, True, 0.0, *output),
        address(add_nodes, *nodes),
        address(add_narrow_nodes, *nodes),
    ]


@cache
def _places(m, n):
    """Where in one array of doubles those of `contour_table` begin for n features in m dimensions; where it ends."""
    rows = ((n + 2) * ROW + SUMS * VECTOR) // 8
    others_than_n = {
        entry.MODEL_WEIGHTS: m * n,
        entry.MODEL_SLOPE: n * n,
        entry.STARTS: N_CLASSES + 1,
        entry.SINGLES: 3 * n,
        entry.PAIR_ROWS: TOTALS + (n // DOUBLE_LANES + 1) * PAIRS_ROW,
        entry.ROWS: rows,
        entry.NARROW_ROWS: rows,
        entry.RECENT: STAGES * (2 * n + BEHIND),
        entry.ENVELOPES: ROOM,
        entry.BOUNDS: 2 * entry.MOST_BOUNDS,
        entry.NUMBERS: entry.N_NUMBERS,
    }
    sizes = np.array([others_than_n.get(k, n) for k in range(entry.MODEL_WEIGHTS, entry.ENTRIES)])
    ends = np.cumsum(-(-sizes // 8) * 8)
    return np.concatenate([np.zeros(entry.MODEL_WEIGHTS + 1, np.int64), ends[:-1]]), int(ends[-1])


class OutputLosses:
    """The losses of the outputs of one model after another, each of n features in m dimensions; each thread needs its own.

    Attributes
    ----------
    numbers, table : ndarray
        See `contour_table`.
    """

    def __init__(self, m, n):
        starts, end = _places(m, n)
        self.sizes, self._starts, self._memory = (m, n), starts, aligned(end, np.float64)
        self.table = self._memory.ctypes.data + 8 * starts
        self.table[: entry.MODEL_WEIGHTS] = _functions()
        self.numbers = self.array(entry.NUMBERS, entry.N_NUMBERS)

    def array(self, k, *shape):
        """The array whose address is entry k of the table."""
        start = self._starts[k]
        return self._memory[start : start + math.prod(shape)].reshape(shape)

    def evaluate(self, weights, bias, density, tolerance, slope_tolerance, max_nodes):
        """Return losses, slopes in biases, errors and slopes in G of models: shapes (B, n), (B, n), (B, n) and (B, n, n).

        Losses are E (x_i − x'_i)², without importance, and their errors a bound or a cautious estimate; row i of the slopes in
        G = WᵀW is that of loss i.

        Parameters
        ----------
        weights, bias, density : ndarray, shapes (B, m, n), (B, n), (B, n)
        tolerance : ndarray, shape (B,)
            Error allowed in the loss of an output, relative to scale = E x_i² + Var z_i + max(E z_i, 0)².
        slope_tolerance : float
            Error allowed in its slopes, relative to √(scale E x_j²) in G_ij and to √scale in b_i. The series of the slopes
            is the one that converges slowly. When infinite, only the losses are computed; the slopes are left undefined.
        max_nodes : int
            Outputs that would need more nodes get a NaN loss and an infinite error.
        """
        (m, n), count = self.sizes, len(bias)
        models, found = np.column_stack([weights.reshape(count, m * n), bias, density, tolerance]), np.empty((count, n * (n + 3)))
        self.numbers[entry.MOST_NODES] = max_nodes
        _feature_losses(m, n, models, float(slope_tolerance), found, self.table)
        return found[:, :n], found[:, n : 2 * n], found[:, 2 * n : 3 * n], found[:, 3 * n :].reshape(count, n, n)


def gradients(weights, importance, slope, slope_b):
    """Gradients of Σ_i importance_i loss_i in weights (B, m, n) and biases of models: slope (B, n, n), the others (B, n)."""
    in_gram = importance[:, :, None] * slope
    return weights @ (in_gram + np.swapaxes(in_gram, 1, 2)), slope_b * importance
