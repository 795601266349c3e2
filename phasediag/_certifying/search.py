"""Branch and bound: a tree of boxes of weights and biases, each leaf with the reason why it holds no lower loss (a numba kernel).

Parameters of a box: the free weights (gauge: W upper triangular with a diagonal ≥ 0, features in some order), then the biases.

Boxes wait in bins, by how far the loss known is above their own bound: bin k holds gaps from 2^(−k/4) down, relative to that
loss. The next box is of the lowest bin that has any, the last that came into it. So the lowest bounds rise first, and whenever
the search stops, the least bound of the boxes that wait is within a bin of the best that could have been proved by then.

The tree is written as it grows: a byte for each node, one more for the bin in which the parts of a halved box wait, and a float
for each split, so that whoever reads it with the same bins knows every box exactly.
"""

import numpy as np

from .._compiling.jit import jit
from .bounds import joint_bound, row_bound
from .moments import UNIT
from .rows import look_up

# A split is 2 × parameter, + 1 where the part above it comes first. A box that is halved has two bytes: WAIT + the bin of both
# parts, and a split; a split alone cuts an end off, its first part being a leaf. Leaves, + an index:
WAIT, BINS = 16, 48
SLOPE, ROW, GRADIENT, REGION = 64, 72, 80, 128
"""The slope of the loss in a bias; a row above its own limit; an entry of the gradient; a region proved by itself."""
SUM, JOINT, LOW_SUM, LOW_JOINT, OPEN, TABLE, ORDER = 100, 101, 102, 103, 104, 105, 106
"""The bounds of the rows, or of all rows together, are above the loss known, or (low) at least the target; nothing is proved;
no biases of a global minimum, or too high a loss, by the row table; a feature is longer than an equal one before it, where
exchanging the two leads to other boxes (three features alone)."""
TOP, OPS, VALUES, BOXES, SPENT, UNPROVED, UNUSED, BIN = range(8)
"""Places of the state: slots of boxes in use so far, lengths of ops and values, boxes seen, boxes split for their phase alone,
leaves open, the first slot that is free again (−1: none), the bin that boxes come from."""
DONE, PAUSED, FULL = range(3)
_BEND = 0.01
"""What a row gives away beyond its gap is taken for this share of importance × density × width²."""
SMALLEST = 2.0**-40
"""No box is split to widths below this."""
_WIDE = 0.18
"""Boxes of products W_i·W_j wider than this are halved by what the row table says alone."""
_ROOM = 128
"""The ops that one box may write."""


@jit(inner=True)
def gram_ranges(low, high, free, n, spans):
    """Write the ranges of WᵀW over a box, rounded outwards, and the biases' to spans (3, n, n + 1): least, most, sizes."""
    nw = free.shape[0]
    for i in range(n):
        for j in range(n + 1):
            spans[0, i, j] = spans[1, i, j] = spans[2, i, j] = 0.0
    for k in range(nw):
        for l in range(nw):
            if free[k, 0] == free[l, 0]:
                i, j = free[k, 1], free[l, 1]
                a, b, c, d = low[k] * low[l], low[k] * high[l], high[k] * low[l], high[k] * high[l]
                least, most = min(min(a, b), min(c, d)), max(max(a, b), max(c, d))
                spans[0, i, j] += 0.0 if k == l and b < 0.0 else least
                spans[1, i, j] += most
                spans[2, i, j] += max(abs(least), abs(most))
    for i in range(n):
        for j in range(n):
            rounding = 8.0 * UNIT * n * spans[2, i, j] + 1e-300
            spans[0, i, j] -= rounding
            spans[1, i, j] += rounding
        spans[0, i, n], spans[1, i, n] = low[nw + i], high[nw + i]


@jit(inner=True)
def _signs(spans, n):
    """Return the signs of the products W_i·W_j, i < j, as bits (1: positive); −1 where one may vanish or have either sign."""
    bits, place = 0, 1
    for i in range(n):
        for j in range(i + 1, n):
            if spans[0, i, j] > 0.0:
                bits += place
            elif spans[1, i, j] >= 0.0:
                return -1
            place *= 2
    return bits


@jit(inner=True)
def _cut_off(op, leaf, where, ops, values, state):
    """Write to the tree, ops and values, a split ``op`` at ``where`` whose first part is a leaf; state: see TOP."""
    ops[state[OPS]], ops[state[OPS] + 1] = op, leaf
    values[state[VALUES]] = where
    state[OPS] += 2
    state[VALUES] += 1


@jit(inner=True)
def _bin_of(bound, upper):
    """Return the bin of boxes of that bound where a loss ``upper`` is known."""
    gap = 1.0 - bound / upper
    return min(int(-4.0 * np.log2(gap)), BINS - 1) if gap > 2.0 ** (-0.25 * BINS) else BINS - 1


@jit(inner=True)
def _least(totals, upper):
    """Return the least of bounds (g,), relative to losses (g,) times the first of these, and whether all are above them."""
    least, above = totals[0], totals[0] > upper[0]
    for e in range(1, totals.shape[0]):
        least = min(least, totals[e] * (upper[0] / upper[e]))
        above = above and totals[e] > upper[e]
    return least, above


@jit(inner=True)
def _mean_row(i, low, high, density, group, share, limits, mean, store, work):
    """Write bounds of row i over a box of g~ (n + 1,) to ``mean`` (g,); return its slope's sign, whether all are above limits.

    share (g,): 1 over the number of densities of each group. The sign is 0 where it is not the same at all densities.
    """
    sign, dear = 0.0, True
    for g in range(mean.shape[0]):
        mean[g] = 0.0
    for e in range(density.shape[0]):
        value, one = row_bound(i, low, high, density[e], store, work)
        sign = one if e == 0 or one == sign else 0.0
        mean[group[e]] += share[group[e]] * value
    for g in range(mean.shape[0]):
        dear = dear and mean[g] > limits[g, i]
    return sign, dear


@jit(inner=True)
def _leave_out(l, low, high, importance, density, group, share, upper):
    """Write to ``upper`` (g,) what is reached with W_l = 0 and, as bias, the mean of z_l over a box of g~ (n + 1,).

    Within those that are best at some density: then what the bias of z_l costs is reached too, and only what W_l does differs.
    """
    n, last = density.shape[1], density.shape[0] - 1
    bias = 0.5 * (low[n] + high[n])
    for j in range(n):
        bias += 0.125 * (low[j] + high[j]) * (density[0, j] + density[last, j])
    bias = min(max(bias, 0.5 * density[0, l]), 0.5 * density[last, l])
    for g in range(upper.shape[0]):
        upper[g] = importance[l] * bias * bias
    for e in range(density.shape[0]):
        upper[group[e]] += share[group[e]] * importance[l] * density[e, l] * (1.0 / 3.0 - bias)
    for g in range(upper.shape[0]):
        upper[g] *= 1.0 + 128.0 * UNIT


@jit
def search(n_hidden, free, importance, density, group, limits, upper, left_out, target, wanted, patience, max_boxes, regions,
           own, other, cells, pairs, boxes, bounds, after, heads, ops, values, hulls, least, state):  # fmt: skip
    """Grow the tree until no box waits (DONE), max_boxes have been seen (PAUSED) or an array is full (FULL).

    free (nw, 2): row and column of each free weight; importance (n,); density (k, n): one, or the corners of an interval of
    densities, of which those of one group (k,) of g are averaged; limits (g, n): a row above its limit is in no global minimum;
    upper (g,): a loss that is reached, that of W_l = 0 with the best bias where l = left_out ≥ 0; target: the bound to prove. A
    low box is split on while state[SPENT] is less than its patience (2,): of boxes of the wanted phase (signs of W_i·W_j as bits,
    −1 for none), which need not be resolved, and of others. regions (k, 2, nd): boxes proved by themselves.
    own, other, cells, pairs: the row table, of no cells where there is none.
    boxes (…, 2, nd) and bounds (…,): slots of boxes, with the best bound of each, infinite where a slot is free; after (…,): the
    next slot of the same bin, or the next free one, heads (BINS,): the first slot of each bin, −1 for none. ops, values: the
    tree. hulls (2^pairs + 1, 2, nd): of low leaves by signs, the last of those without. least (1,): the lowest bound of low and
    open leaves. state: see TOP.
    """
    n_ends, n, nw, n_regions, n_groups = density.shape[0], density.shape[1], free.shape[0], regions.shape[0], upper.shape[0]
    nd = nw + n
    store, work = np.zeros((12, n + 1, n + 1)), np.zeros((10, 12))
    big, slopes = np.zeros((7, nd, nd)), np.zeros((2, n, n + 1))
    spans, gaps, row, looked = np.zeros((3, n, n + 1)), np.zeros(n), np.zeros((n_groups, n)), np.zeros((n, 3))
    low, high, ends, score, totals = np.zeros(nd), np.zeros(nd), np.zeros((2, n + 1)), np.zeros(nd), np.zeros(n_groups)
    parts, mean, reached = np.zeros(n_groups), np.zeros(n_groups), upper.copy()
    for e in range(n_ends):
        parts[group[e]] += 1.0
    for g in range(n_groups):
        parts[g] = 1.0 / parts[g]
    while True:
        while state[BIN] < BINS and heads[state[BIN]] < 0:
            state[BIN] += 1
        if state[BIN] == BINS:
            return DONE
        if state[BOXES] >= max_boxes:
            return PAUSED
        if state[OPS] + _ROOM > ops.shape[0] or state[VALUES] + _ROOM > values.shape[0] or state[TOP] + 2 > boxes.shape[0]:
            return FULL
        state[BOXES] += 1
        slot = heads[state[BIN]]
        inherited, bounds[slot] = bounds[slot], np.inf
        for k in range(nd):
            low[k], high[k] = boxes[slot, 0, k], boxes[slot, 1, k]
        heads[state[BIN]], after[slot], state[UNUSED] = after[slot], state[UNUSED], slot
        leaf, best, cut = -1, -1, 0.0
        # regions: a leaf within one, a split along a face of one that is cut
        for q in range(n_regions):
            inside, meets, face, where = True, True, -1, 0.0
            for k in range(nd):
                x, y = regions[q, 0, k], regions[q, 1, k]
                if not (high[k] > x and low[k] < y):
                    meets = False
                if not (low[k] >= x and high[k] <= y):
                    inside = False
                    if face < 0:
                        face, where = k, x if low[k] < x else y
            if inside:
                leaf = REGION + q
                break
            if meets:
                best, cut = face, where
                break
        bound = inherited
        if leaf < 0 and best < 0:
            gram_ranges(low, high, free, n, spans)
            total = 0.0
            if own.shape[0] > 0:
                widest = 0.0
                for i in range(n):
                    look_up(own, other, cells, pairs, spans[0, i], spans[1, i], i, looked[i])
                    total += importance[i] * looked[i, 0]
                    for j in range(n):
                        widest = max(widest, spans[1, i, j] - spans[0, i, j])
                    for j in range(i):
                        equal = importance[i] == importance[j] and density[0, i] == density[0, j]
                        if equal and spans[0, i, i] > spans[1, j, j]:
                            leaf = ORDER
                if leaf < 0 and total * (1.0 - 16.0 * UNIT) > upper[0]:
                    leaf = TABLE
                if leaf < 0:
                    bound = max(bound, total * (1.0 - 16.0 * UNIT))
                    if widest > _WIDE:
                        best = 0
                        for k in range(nw):
                            if high[k] - low[k] > high[best] - low[best]:
                                best = k
                        cut = 0.5 * (low[best] + high[best])
                    for i in range(n if best < 0 else 0):
                        for side in range(2):
                            x, y = low[nw + i], high[nw + i]
                            middle = looked[i, 1 + side]
                            gain = middle - x if side == 0 else y - middle
                            if gain > 0.1 * (y - x) and x < middle < y:
                                _cut_off(2 * (nw + i) + side, TABLE, middle, ops, values, state)
                                if side == 0:
                                    low[nw + i] = middle
                                else:
                                    high[nw + i] = middle
                            elif gain > y - x:
                                leaf = TABLE
                        spans[0, i, n], spans[1, i, n] = low[nw + i], high[nw + i]
        if leaf < 0 and best < 0:
            if left_out >= 0:
                _leave_out(left_out, spans[0, left_out], spans[1, left_out], importance, density, group, parts, reached)
            for g in range(n_groups):
                totals[g] = 0.0
            for i in range(n):
                sign, dear = _mean_row(i, spans[0, i], spans[1, i], density, group, parts, limits, mean, store, work)
                for g in range(n_groups):
                    row[g, i] = mean[g]
                    totals[g] += importance[i] * mean[g]
                if sign != 0.0 or dear:
                    leaf = SLOPE + i if sign != 0.0 else ROW + i
                    break
            for g in range(n_groups):
                totals[g] -= 16.0 * UNIT * totals[g]
            total, dear = _least(totals, reached)
            if leaf < 0:
                bound = max(bound, total)
                if dear:
                    leaf = SUM
        if leaf < 0 and best < 0:
            # biases: ends of their ranges fall away
            for i in range(n):
                least_sum = most_sum = 0.0
                for j in range(n):
                    most_sum += max(spans[1, i, j], 0.0)
                    least_sum += min(spans[0, i, j], 0.0)
                linear = 0.5 * density[0, i] + 0.05 * density[0, i]
                for j in range(n):
                    linear -= 0.5 * density[0, j] * spans[0, i, j]
                for j in range(n):
                    ends[0, j], ends[1, j] = spans[0, i, j], spans[1, i, j]
                for side in range(2):
                    share, tries = 0.5, 0
                    x, y = low[nw + i], high[nw + i]
                    first = -most_sum if side == 0 else max(-least_sum, linear)
                    while share > 0.1 and tries < 6 and y - x > SMALLEST:
                        tries += 1
                        middle = (
                            first if tries == 1 and x < first < y else (x + share * (y - x) if side == 0 else y - share * (y - x))
                        )
                        ends[0, n], ends[1, n] = (x, middle) if side == 0 else (middle, y)
                        sign, dear = _mean_row(i, ends[0], ends[1], density, group, parts, limits, mean, store, work)
                        beyond = True
                        for g in range(n_groups):
                            others = totals[g] - importance[i] * row[g, i]
                            beyond = beyond and (others + importance[i] * mean[g]) * (1.0 - 16.0 * UNIT) > reached[g]
                        reason = -1
                        if sign != 0.0:
                            reason = SLOPE + i
                        elif dear:
                            reason = ROW + i
                        elif beyond:
                            reason = SUM
                        if reason >= 0:
                            _cut_off(2 * (nw + i) + side, reason, middle, ops, values, state)
                            if side == 0:
                                x = middle
                            else:
                                y = middle
                        else:
                            share *= 0.4
                    low[nw + i], high[nw + i] = x, y
            if left_out >= 0:
                spans[0, left_out, n], spans[1, left_out, n] = low[nw + left_out], high[nw + left_out]
                _leave_out(left_out, spans[0, left_out], spans[1, left_out], importance, density, group, parts, reached)
            entry, whole = -1, True
            for g in range(n_groups):
                totals[g] = 0.0
            for e in range(n_ends):
                value, one = joint_bound(low, high, n_hidden, free, importance, density[e], store, big, slopes, gaps, work)
                entry = one if e == 0 or one == entry else -1
                whole = whole and one < 0
                totals[group[e]] += parts[group[e]] * value
            value, dear = _least(totals, reached) if whole else (0.0, False)
            signs = _signs(spans, n)
            if entry >= 0:
                leaf = GRADIENT + entry % nd
            elif dear:
                leaf = JOINT
            if leaf < 0:
                bound = max(bound, value)
                # the parameter that contributes most to what the rows give away
                for k in range(nd):
                    score[k] = 0.0
                for i in range(n):
                    reach = high[nw + i] - low[nw + i]
                    for j in range(n):
                        reach += (1.0 if i == j else density[0, j]) * 0.5 * (spans[1, i, j] - spans[0, i, j])
                    factor = gaps[i] / (reach + 1e-300) + _BEND * importance[i] * density[0, i] * reach
                    score[nw + i] += factor * (high[nw + i] - low[nw + i])
                    for k in range(nw):
                        h, c = free[k, 0], free[k, 1]
                        width = high[k] - low[k]
                        for l in range(nw):
                            if free[l, 0] == h and (c == i or free[l, 1] == i):
                                j = free[l, 1] if c == i else c
                                if c == i or l != k:
                                    size = max(abs(low[l]), abs(high[l]))
                                    score[k] += factor * (1.0 if i == j else density[0, j]) * 0.5 * size * width
                best = 0
                for k in range(nd):
                    if score[k] > score[best]:
                        best = k
                cut = 0.5 * (low[best] + high[best])
                is_low, smallest = value >= target or total >= target, high[best] - low[best] < SMALLEST
                if smallest or (is_low and state[SPENT] >= patience[0 if signs >= 0 and signs == wanted else 1]):
                    leaf = OPEN if not is_low else LOW_JOINT if value >= target else LOW_SUM
                    state[UNPROVED] += not is_low
                    signs = signs if is_low and signs >= 0 else hulls.shape[0] - 1
                    for k in range(nd):
                        hulls[signs, 0, k], hulls[signs, 1, k] = min(hulls[signs, 0, k], low[k]), max(hulls[signs, 1, k], high[k])
                    least[0] = min(least[0], bound)
                state[SPENT] += is_low
        if leaf >= 0:
            ops[state[OPS]] = leaf
            state[OPS] += 1
            continue
        place = max(state[BIN], _bin_of(bound, upper[0]))
        ops[state[OPS]], ops[state[OPS] + 1] = WAIT + place, 2 * best
        state[OPS] += 2
        values[state[VALUES]] = cut
        state[VALUES] += 1
        for half in range(2):  # the part above waits behind the part below
            slot = state[UNUSED]
            if slot < 0:
                slot = state[TOP]
                state[TOP] += 1
            else:
                state[UNUSED] = after[slot]
            for k in range(nd):
                boxes[slot, 0, k], boxes[slot, 1, k] = low[k], high[k]
            boxes[slot, half, best], bounds[slot] = cut, bound
            after[slot], heads[place] = heads[place], slot
