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

from .._compiling.emission import DOUBLES
from .._compiling.jit import address, call, jit
from .._compiling.vectors import aligned
from .envelopes import ROOM
from .few_active import add_few_active
from .nodes import add_nodes
from .pairs import PAIRS_ROW, TOTALS, add_pairs
from .polynomial import add_polynomial
from .rows import NARROW_ROW, ROW
from .series import NARROW_SUMS, STAGES, SUMS, start, sum_series
from .truncation import count_nodes, short_period

EPSILON = 2.0**-52
# Where the addresses of functions are kept: each is compiled once, not again inside its callers.
FEW_ACTIVE, PAIRS, POLYNOMIAL, PERIOD, NODES, SERIES, LOSS, START, TERMS, NARROW_TERMS = range(10)
# Weights this small move z by nothing that a double could tell.
NEGLIGIBLE = 1e-150
# Columns of W are orthogonal when the cosine between them is what rounding leaves of 0.
ORTHOGONAL = 4.0 * EPSILON
CLASSES = 48  # of weights


@jit(inner=True, once=True)
def _order(i, gram, p, compact, starts):
    """Collect weights, probabilities and names of the features besides ``i`` that move z; return how many there are.

    The one most likely active comes last, as the series wants it, the others roughly by falling weight, in classes by √|a_j|.
    """
    largest, last = 0.0, -1
    for j in range(p.size):
        if j != i and abs(gram[j]) > NEGLIGIBLE:
            largest = max(largest, abs(gram[j]))
            if last < 0 or p[j] > p[last]:
                last = j
    for k in range(CLASSES + 1):
        starts[k, 0] = 0.0
    step = 1.0 / largest
    for j in range(p.size):
        if j != i and j != last and abs(gram[j]) > NEGLIGIBLE:
            k = int((CLASSES - 0.5) * (1.0 - math.sqrt(abs(gram[j]) * step)))
            compact[5, j] = k
            starts[k + 1, 0] += 1.0
    for k in range(CLASSES):
        starts[k + 1, 0] += starts[k, 0]
    count = int(starts[CLASSES, 0])
    for j in range(p.size):
        if j != i and j != last and abs(gram[j]) > NEGLIGIBLE:
            k = int(compact[5, j])
            at = int(starts[k, 0])
            starts[k, 0] += 1.0
            compact[0, at], compact[1, at], compact[6, at] = gram[j], p[j], j
    if last >= 0:
        compact[0, count], compact[1, count], compact[6, count] = gram[last], p[last], last
        count += 1
    return count


@jit(inner=True)
def _feature_loss(i, gram, b, p, tolerance, slack, max_nodes, space, slope):
    """Loss E(x_i − z⁺)² of output i, its slope in b, its error and the nodes used; its slopes in a_j go to ``slope``.

    The four numbers go to entries 0, 1, 3 and 4 of ``found`` in ``space``, the scale of the loss to entry 5.

    The loss is NaN and the error infinite when more than ``max_nodes`` nodes would be needed.
    """
    compact, pairs, work, narrow, sums, narrow_sums, recent, bounds, singles, found, kernels = space
    a_i, p_i = gram[i], p[i]
    # A feature of weight zero never moves z: it leaves the products, and its slope is p_j/2 times the slope in b.
    count = _order(i, gram, p, compact, bounds)
    a, p_a, none_before, none_but = compact[0, :count], compact[1, :count], compact[2, :count], compact[3, :count]
    some_but, slope_a = compact[4, :count], compact[5, :count]
    none, some, two = 1.0, 0.0, 0.0  # probabilities of none, at least one, at least two active
    for j in range(count):
        none_before[j], some_but[j], slope_a[j] = none, some, 0.0
        two += p_a[j] * (some - two)
        some += none * p_a[j]
        none *= 1.0 - p_a[j]
    after, some_after = 1.0, 0.0
    low, high = b + min(a_i, 0.0), b + max(a_i, 0.0)
    mean, variance = 0.5 * a_i * p_i, a_i * a_i * p_i * (4.0 - 3.0 * p_i)
    for j in range(count - 1, -1, -1):
        none_but[j] = none_before[j] * after
        some_but[j] += none_before[j] * some_after
        some_after += after * p_a[j]
        after *= 1.0 - p_a[j]
        low += min(a[j], 0.0)
        high += max(a[j], 0.0)
        mean += 0.5 * a[j] * p_a[j]
        variance += a[j] * a[j] * p_a[j] * (4.0 - 3.0 * p_a[j])
    variance /= 12.0
    second = p_i / 3.0
    scale = second + variance + max(b + mean, 0.0) ** 2  # E x_i² and at least E (z⁺)²
    # a margin: a corner of z at ±T would meet the kink at 0 in phase, and the sum would settle slowly
    reach = 1.1 * max(high, -low)

    call(kernels[FEW_ACTIVE], (a_i, p_i, a, p_a, b, none, none_but, slope_a, found))
    if count >= 2 and high > 0.0:
        call(kernels[PAIRS], (1.0 - p_i, a, p_a, b, pairs, slope_a, found))
    if count == 0 and abs(a_i) <= NEGLIGIBLE and b == 0.0:  # about to be switched on by a rising bias
        found[1], found[2] = -p_i, -2.0 / 3.0 * p_i
    error = 0.0
    period = 0.0
    nodes = 0
    own = a_i, p_i, a, p_a
    rest = none_before, some_but, singles, slope_a, found
    if count >= 2 and low >= 0.0:
        period = reach
        call(kernels[POLYNOMIAL], (0.0, 1.0, 0.0, *own, b, *rest))
    elif count >= 2 and high > 0.0:
        call(kernels[PERIOD], (*own, b, reach, variance, scale, slack, 0.1 * tolerance, found))
        period = found[5]
        if period < reach:
            error = 0.1 * tolerance
        call(kernels[POLYNOMIAL], (1.0 / (3.0 * period), 0.5, period / 6.0, *own, b, *rest))
        call(kernels[NODES], (period, *own, scale, slack, 0.75 * tolerance, bounds, sums, found))
        goal = max_nodes, found[3], found[4], found[5], 0.75 * tolerance, scale, slack, period, a_i, p_i, b
        fine = found[5]
        space = work, narrow, sums, narrow_sums, recent
        call(kernels[SERIES], (goal, a, p_a, *space, slope_a, found, kernels[START:]))
        if found[4] > fine:
            error += 0.1 * tolerance
        error += found[3]
        nodes = int(found[4])
        if found[3] == math.inf:
            found[0] = found[1] = found[2] = math.nan

    # rounding: the terms of the polynomial and of the series are at most of these sizes
    rounding = 8.0 * EPSILON * (scale + period * math.sqrt(scale * two) + 0.1 * period**2 * two)
    for j in range(p.size):
        slope[j] = 0.5 * p[j] * found[1]
    for k in range(count):
        slope[int(compact[6, k])] = slope_a[k]
    slope[i] = found[2]
    found[0] += second
    found[3], found[4], found[5] = error * scale + rounding, nodes, scale


def feature_losses(
    weights, bias, density, start, stop, tolerance, slope_tolerance, max_nodes, loss, slope, slope_b, error, nodes
):
    """Losses of the outputs ``start`` … ``stop`` − 1 of one model, with their slopes and errors.

    Parameters
    ----------
    weights : ndarray, shape (n_hidden, n_features)
        All arrays are float64, C-contiguous and writable.
    bias, density : ndarray, shape (n_features,)
    start, stop : int
        Rows to fill; the rows are independent, so that threads may share a model and get the same bits.
    tolerance : float
        Error allowed in the loss of an output, relative to scale = E x_i² + Var z_i + max(E z_i, 0)².
    slope_tolerance : float
        Error allowed in its slopes, relative to √(scale E x_j²) in G_ij and to √scale in b_i. The series of the slopes
        is the one that converges slowly. When infinite, only the losses are computed; the slopes are left undefined.
    max_nodes : int
        Outputs that would need more nodes get a NaN loss and an infinite error.
    loss, slope_b, error : ndarray, shape (n_features,)
        Filled with E(x_i − x'_i)², without importance, its slope in b_i and a bound or a cautious estimate
        of its error.
    nodes : ndarray of int, shape (n_features,)
        Filled with the number of nodes used.
    slope : ndarray, shape (n_features, n_features)
        Row i is filled with the slopes of loss i in G_ij, G = WᵀW.
    """
    n = weights.shape[1]
    space = (
        np.empty((7, n)),
        aligned(TOTALS + (n // DOUBLES + 1) * PAIRS_ROW, np.float64),
        aligned((n + 1) * ROW, np.float64),
        aligned((n + 1) * NARROW_ROW),
        aligned(max(SUMS, ROOM), np.float64),
        aligned(NARROW_SUMS),
        np.empty(STAGES * (2 * n + 8)),
        np.empty((96, 2)),
        np.empty((n, 3)),
        np.empty(6),
        _kernels(),
    )
    slack = float(slope_tolerance) / float(tolerance)
    filled = loss, slope, slope_b, error, nodes, np.empty(n), np.empty(n), space
    _rows(weights, bias, density, int(start), int(stop), float(tolerance), slack, int(max_nodes), *filled)


@jit(allocates=False)
def _rows(
    weights, bias, density, start, stop, tolerance, slack, max_nodes, loss, slope, slope_b, error, nodes, length, gram, space
):
    m, n = weights.shape
    for j in range(n):
        length[j] = 0.0
        for k in range(m):
            length[j] += weights[k, j] * weights[k, j]
        length[j] = math.sqrt(length[j])
    for i in range(start, stop):
        orthogonal = 0.0
        gram[:] = 0.0
        for k in range(m):
            for j in range(n):
                gram[j] += weights[k, i] * weights[k, j]
        for j in range(n):
            if abs(gram[j]) <= ORTHOGONAL * length[i] * length[j]:  # rounding of 0: as weights, series of many nodes
                orthogonal += abs(gram[j]) * math.sqrt(density[j] / 3.0)
                gram[j] = 0.0
        call(space[10][LOSS], (i, gram, bias[i], density, tolerance, slack, max_nodes, space, slope[i]))
        found = space[9]
        loss[i], slope_b[i], nodes[i] = found[0], found[1], int(found[4])
        error[i] = found[3] + 2.0 * math.sqrt(found[5]) * orthogonal


@cache
def _kernels():
    row, narrow, table = np.empty(1), np.empty(1, np.float32), np.empty((1, 1))
    own = 0.0, 0.0, row, row
    kernels = np.zeros(10, np.int64)
    kernels[FEW_ACTIVE] = address(add_few_active, *own, 0.0, 0.0, row, row, row)
    kernels[PAIRS] = address(add_pairs, 0.0, row, row, 0.0, row, row, row)
    kernels[POLYNOMIAL] = address(add_polynomial, 0.0, 0.0, 0.0, *own, 0.0, row, row, table, row, row)
    kernels[PERIOD] = address(short_period, *own, *[0.0] * 6, row)
    kernels[NODES] = address(count_nodes, 0.0, *own, 0.0, 0.0, 0.0, table, row, row)
    goal = 1, *[0.0] * 10
    series = row, narrow, row, narrow, row
    kernels[SERIES] = address(sum_series, goal, row, row, *series, row, row, kernels)
    kernels[START] = address(start, 1.0, 1, True, 0.0, True, 0.0, 0.0, 0.0, 0.0, row, row, row, narrow)
    kernels[TERMS] = address(add_nodes, 0.0, 0.0, True, True, 0.0, 1, row, row)
    kernels[NARROW_TERMS] = address(add_nodes, 0.0, 0.0, True, True, 0.0, 1, narrow, narrow)
    space = table, row, *series, table, table, row, kernels
    kernels[LOSS] = address(_feature_loss, 0, row, 0.0, row, 0.0, 0.0, 1, space, row)
    return kernels


def contour_loss_gradient(
    weights, bias, importance, density, tolerance, slope_tolerance, max_nodes, loss, weights_slope, bias_slope, error
):
    """Losses of every output and the gradient of the whole loss, for a batch of models.

    Parameters
    ----------
    weights : ndarray, shape (n_models, n_hidden, n_features)
    bias, importance, density : ndarray, shape (n_models, n_features)
    tolerance, slope_tolerance, max_nodes
        See `feature_losses`.
    loss : ndarray, shape (n_models, n_features)
        Filled with the losses of the outputs, without importance; NaN where the tolerance cannot be met.
    weights_slope, bias_slope : ndarray, shapes of ``weights`` and ``bias``
        Filled with the gradient of Σ_i importance_i loss_i.
    error : ndarray, shape (n_models,)
        Filled with a bound or cautious estimate of the error of Σ_i importance_i loss_i; infinite where a loss is NaN.
    """
    n = bias.shape[1]
    slope = np.empty((n, n))
    errors = np.empty(n)
    nodes = np.empty(n, dtype=np.int64)
    for one in range(weights.shape[0]):
        # own copies: read-only or strided arrays would each be compiled anew
        arrays = [np.array(x[one], dtype=np.float64) for x in (weights, bias, density)]
        feature_losses(
            *arrays,
            0,
            n,
            float(tolerance),
            float(slope_tolerance),
            int(max_nodes),
            loss[one],
            slope,
            bias_slope[one],
            errors,
            nodes,
        )
        in_gram = importance[one][:, None] * slope
        weights_slope[one] = arrays[0] @ (in_gram + in_gram.T)
        bias_slope[one] *= importance[one]
        error[one] = importance[one] @ errors
