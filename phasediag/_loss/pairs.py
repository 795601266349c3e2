"""Loss and slopes of one output with exactly two active features, neither its own, in closed form (emitted code).

z = au + cv + b over the unit square; mirroring u and v makes a and c positive, and a is to be the larger. The integral over
u is that of z² where z > 0 at u = 0 (``full``), and from the kink on where that lies inside (``part``); both are cubic at most
in v, and positive: nothing cancels, however small the weights.
"""

import math

from llvmlite import ir
from numba import types
from numba.core import cgutils

from .._compiling.emission import DOUBLE_LANES, Lanes
from .._compiling.jit import doubles, jit
from .._compiling.vectors import LONG, emitted
from . import contour_table as entry
from .contour_table import others

GAUSS = 0.5 / math.sqrt(3.0)  # two-point Gauss–Legendre: exact to degree 3
SURELY = 1e-17  # probability of being inactive below which none is told from it
# Workspace: vectors of loss and slope in b, then one row for every eight features k: a_k, 1/|a_k|, p_k/q_k, slope
TOTALS = 2 * DOUBLE_LANES
WEIGHT, INVERSE, RATIO, SLOPE = range(4)
PAIRS_ROW = 4 * DOUBLE_LANES


def _segment(lanes, left, right):
    """Emit the weight and the two Gauss nodes of a segment."""
    builder = lanes.builder
    width, middle = builder.fsub(right, left), builder.fmul(builder.fadd(left, right), lanes.constant(0.5))
    shift = lanes.constant(GAUSS)
    nodes = lanes.fma(builder.fneg(width), shift, middle), lanes.fma(width, shift, middle)
    return builder.fmul(width, lanes.constant(0.5)), nodes


def _pair(lanes, a, c, inverse_a, inverse_c, b):
    """Emit the integrals of (z⁺)², 2z⁺, 2z⁺u and 2z⁺v over the unit square, a ≥ c > 0."""
    mul, add, fma = lanes.builder.fmul, lanes.builder.fadd, lanes.fma

    def crossing(z):
        """Emit the v in [0, 1] next to where z + cv = 0."""
        return lanes.clip(mul(lanes.builder.fneg(z), inverse_c))

    top, kink = add(a, b), crossing(b)
    third = lanes.constant(1 / 3)
    sums = [[lanes.zero] * 4]

    def add_node(weight, v, loss, slope, inner):
        """Emit the addition of one Gauss node: the integrals over u at v, ``inner`` that of 2z⁺u."""
        values = loss, slope, inner, mul(slope, v)
        sums[0] = [fma(weight, value, entry) for value, entry in zip(values, sums[0], strict=True)]

    weight, nodes = _segment(lanes, crossing(top), kink)  # part
    for v in nodes:
        z = fma(c, v, top)
        length = mul(z, inverse_a)  # of the u where z > 0
        slope = mul(z, length)
        inner = fma(mul(slope, length), lanes.builder.fneg(third), slope)
        add_node(weight, v, mul(mul(slope, z), third), slope, inner)
    weight, nodes = _segment(lanes, kink, lanes.constant(1.0))  # full
    half, sixth = fma(a, lanes.constant(0.5), b), mul(a, lanes.constant(1 / 6))
    twelfth = mul(mul(a, sixth), lanes.constant(0.5))
    for v in nodes:
        z = fma(c, v, half)
        add_node(weight, v, fma(z, z, twelfth), add(z, z), add(z, sixth))
    return sums[0]


def _emit_row(lanes, a_j, b, factor, row, end, totals):
    """Emit the pairs of feature j with the features of all blocks; return the slope in a_j."""
    builder = lanes.builder
    zero = ir.Constant(lanes.number, 0.0)
    negative_j = builder.fcmp_ordered("<", a_j, zero)
    size_j = builder.select(negative_j, builder.fneg(a_j), a_j)
    low = lanes.splat(builder.fadd(b, builder.select(negative_j, a_j, zero)))
    inverse_j = lanes.splat(builder.fdiv(ir.Constant(lanes.number, 1.0), size_j))
    size_j = lanes.splat(size_j)
    sums = lanes.variable(lanes.load(totals, 0))
    own = lanes.variable((lanes.zero,))
    with cgutils.for_range(builder, end) as loop:
        block = builder.gep(row, [builder.mul(loop.index, LONG(PAIRS_ROW))])
        (a_k, inverse_k), (ratio, slope_k) = lanes.load(block, WEIGHT), lanes.load(block, RATIO)
        negative_k = builder.fcmp_ordered("<", a_k, lanes.zero)
        size_k = builder.select(negative_k, builder.fneg(a_k), a_k)
        least = builder.fadd(low, builder.select(negative_k, a_k, lanes.zero))
        larger = builder.fcmp_ordered(">", size_j, size_k)
        first, second = (size_j, inverse_j), (size_k, inverse_k)
        (a, inverse_a), (c, inverse_c) = (
            [builder.select(larger, x, y) for x, y in zip(one, other, strict=True)]
            for one, other in ((first, second), (second, first))
        )
        loss, slope_b, inner, outer = _pair(lanes, a, c, inverse_a, inverse_c, least)
        by_j, by_k = builder.select(larger, inner, outer), builder.select(larger, outer, inner)
        # back from the mirror
        by_j = builder.select(negative_j, builder.fsub(slope_b, by_j), by_j)
        by_k = builder.select(negative_k, builder.fsub(slope_b, by_k), by_k)
        weight = builder.fmul(lanes.splat(factor), ratio)
        lanes.set(sums, [lanes.fma(weight, x, y) for x, y in zip((loss, slope_b), lanes.get(sums), strict=True)])
        lanes.set(own, [lanes.fma(weight, by_j, lanes.get(own)[0])])
        lanes.store(block, RATIO, (ratio, lanes.fma(weight, by_k, slope_k)))
    lanes.store(totals, 0, lanes.get(sums))
    return lanes.total(lanes.get(own)[0])


@emitted(types.float64)
def _add_row(builder, a_j, b, factor, work, start, end):
    """Add the pairs of feature j and the features of the blocks start … end − 1 to ``work``; return the slope in a_j."""
    row = builder.at(work, builder.mul(start, LONG(PAIRS_ROW)), TOTALS)
    return _emit_row(Lanes(builder, True), a_j, b, factor, row, builder.sub(end, start), work)


@jit(inner=True)
def add_pairs(n, table):
    """Add loss, slope in b and the slopes in the n weights a_j: feature i inactive, exactly two others active.

    See `contour_table`. Its slow twin is `exact_loss` in `test_contour`.
    """
    a, p, slope, numbers = others(table)
    work, b = doubles(table[entry.PAIR_ROWS]), numbers[entry.BIAS]
    n_blocks = (n + DOUBLE_LANES - 1) // DOUBLE_LANES
    for at in range(TOTALS + n_blocks * PAIRS_ROW):
        work[at] = 0.0
    none = 1.0 - numbers[entry.P_I]
    for k in range(n_blocks * DOUBLE_LANES):
        at = TOTALS + k // DOUBLE_LANES * PAIRS_ROW + k % DOUBLE_LANES
        weight = a[k] if k < n else 1.0
        work[at + WEIGHT * DOUBLE_LANES], work[at + INVERSE * DOUBLE_LANES] = weight, 1.0 / abs(weight)
        if k < n:
            none *= max(1.0 - p[k], SURELY)
    if none == 0.0:
        return
    for j in range(n - 1, -1, -1):
        ratio = p[j] / max(1.0 - p[j], SURELY)
        slope[j] += _add_row(a[j], b, none * ratio, work, (j + 1) // DOUBLE_LANES, n_blocks)
        # from now on a partner of those before
        work[TOTALS + j // DOUBLE_LANES * PAIRS_ROW + RATIO * DOUBLE_LANES + j % DOUBLE_LANES] = ratio
    for k in range(n):
        slope[k] += work[TOTALS + k // DOUBLE_LANES * PAIRS_ROW + SLOPE * DOUBLE_LANES + k % DOUBLE_LANES]
    for m in range(DOUBLE_LANES):
        numbers[entry.LOSS] += work[m]
        numbers[entry.SLOPE_B] += work[DOUBLE_LANES + m]
