"""Loss and slopes of one output with exactly two active features, neither its own, in closed form (numba kernels)."""

import math

from ._jit import jit

PAIR_LANES = 16  # features k in one block: the loops over them vectorize
FUSED = {"contract"}  # a·b + c may be one rounding
GAUSS = 0.5 / math.sqrt(3.0)  # two-point Gauss–Legendre: exact to degree 3, the highest degree below
# Workspace: one row per block of features k (a_k first). The slopes in a_j are for the feature j at hand
WEIGHT, LOSS, SLOPE_B, SLOPE_J, SLOPE_K = (PAIR_LANES * slot for slot in range(1, 6))


@jit(fastmath=FUSED, inner=True)
def _limit(x):
    """The nearest number in [0, 1]."""
    x = x if x > 0.0 else 0.0
    return x if x < 1.0 else 1.0


@jit(fastmath=FUSED, inner=True)
def _lines(a, c, b, v):
    """Integrals over u in [0, 1] of (z⁺)², 2z⁺ and 2z⁺u, z = a u + c v + b: z⁺ is a line between 0, its zero and 1."""
    w = c * v + b
    zero = _limit(-w / a)
    width = 1.0 - zero if a > 0.0 else zero
    middle = 0.5 * (zero + 1.0) if a > 0.0 else 0.5 * zero
    z = a * middle + w
    twelfth = a * width * width * (1.0 / 12.0)
    return width * (z * z + a * twelfth), 2.0 * width * z, 2.0 * width * (z * middle + twelfth)


@jit(inner=True, once=True)
def _pairs_block(row, a_j, b, factor):
    """Add the states in which j and one feature of the block are active.

    The inner integral runs over the variable with the larger coefficient, whose zero then moves with a slope of at most
    one; the outer one is split where that zero passes a corner, so that every piece is a cubic (no cancellation).
    """
    for m in range(PAIR_LANES):
        a_k = row[m]
        swap = abs(a_j) > abs(a_k)
        a = a_j if swap else a_k
        c = a_k if swap else a_j
        first, second = _limit(-b / c), _limit(-(b + a) / c)
        low = first if first < second else second
        high = second if first < second else first
        loss = slope = inner = outer = 0.0
        for left, right in ((0.0, low), (low, high), (high, 1.0)):
            half, middle = 0.5 * (right - left), 0.5 * (right + left)
            v = middle - 2.0 * GAUSS * half
            one, one_b, one_u = _lines(a, c, b, v)
            loss += half * one
            slope += half * one_b
            inner += half * one_u
            outer += half * one_b * v
            v = middle + 2.0 * GAUSS * half
            one, one_b, one_u = _lines(a, c, b, v)
            loss += half * one
            slope += half * one_b
            inner += half * one_u
            outer += half * one_b * v
        weight = factor * row[WEIGHT + m]
        row[LOSS + m] += weight * loss
        row[SLOPE_B + m] += weight * slope
        row[SLOPE_J + m] = weight * (inner if swap else outer)
        row[SLOPE_K + m] += weight * (outer if swap else inner)


@jit(inner=True)
def _lane_sum(row, at):
    """The sum of the lanes, which are lost."""
    size = PAIR_LANES // 2
    while size > 0:
        for m in range(size):
            row[at + m] += row[at + size + m]
        size //= 2
    return row[at]


@jit(fastmath=FUSED, inner=True)
def add_pairs(q_i, a, p, b, none_before, work, slope, found):
    """Add loss, slope in b to ``found`` and the slopes in a_j to ``slope``: feature i inactive, exactly two others active.

    ``q_i`` is the probability that i is inactive, ``none_before[j]`` that all before j are; ``work`` has a row for every
    sixteen features.
    """
    n = a.size
    n_blocks = (n + PAIR_LANES - 1) // PAIR_LANES
    for block in range(n_blocks):
        for m in range(6 * PAIR_LANES):
            work[block, m] = 0.0
        for m in range(PAIR_LANES):
            k = block * PAIR_LANES + m
            work[block, m] = a[k] if k < n else 1.0
    after = 1.0
    for j in range(n - 2, -1, -1):
        # the weight of k: p_k, and none active between j and k nor after k
        q = 1.0 - p[j + 1]
        for block in range((j + 1) // PAIR_LANES, n_blocks):
            for m in range(PAIR_LANES):
                work[block, WEIGHT + m] *= q
        work[(j + 1) // PAIR_LANES, WEIGHT + (j + 1) % PAIR_LANES] = p[j + 1] * after
        after *= q
        factor = q_i * p[j] * none_before[j]
        if factor > 0.0:
            for block in range((j + 1) // PAIR_LANES, n_blocks):
                _pairs_block(work[block], a[j], b, factor)
                slope[j] += _lane_sum(work[block], SLOPE_J)
    for k in range(1, n):
        slope[k] += work[k // PAIR_LANES, SLOPE_K + k % PAIR_LANES]
    for block in range(n_blocks):
        found[0] += _lane_sum(work[block], LOSS)
        found[1] += _lane_sum(work[block], SLOPE_B)
