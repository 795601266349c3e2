"""Losses and gradients of many models of two or three features at once: one model in each lane of vector instructions.

The sum of `few` without a branch, so that the loops over the lanes become vector instructions: every segment of the law
of a_1 u_1 + a_2 u_2 is cut where z = −a_i and z = 0 by clamping, and a part that is empty has no weight.
"""

import math

import numpy as np

from .._compiling.jit import DOUBLES, address, call, jit, offset, pointer
from .enumeration import NEGLIGIBLE
from .few import SEGMENTS

LANES = 32  # a constant, so that the compiler knows the rows apart
THIRD = 1.0 / 3.0
FUSED = {"contract"}
ROOT_2, ROOT_3 = 1.0 / math.sqrt(3.0), math.sqrt(0.15)
# One row of lanes for each number of an output: what it is given …
B, OWN, RESIDUAL, OWN_P, A1, P1, A2, P2 = (LANES * row for row in range(8))
# … what it gets: loss and slopes in b, a_i, a_1 and a_2 …
LOSS, SLOPE_B, SLOPE_OWN, SLOPE_1, SLOPE_2 = (LANES * row for row in range(8, 13))
# … and of one segment: weights of the parts, their starts in z and in t, and the densities of `few` by powers of z.
WEIGHT_1, WEIGHT_2, FIRST_1, FIRST_2, WIDTH_1, WIDTH_2 = (LANES * row for row in range(13, 19))
START_1, END_1, END_2, B_0, B_1, B_2, C_0, C_1, C_2, PER_OWN = (LANES * row for row in range(19, 29))
SWAPPED = LANES * 29
ROWS = 30


@jit(fastmath=FUSED, inner=True)
def _cut(s, constants):
    """Cut one segment of every lane's law; what lies left of −a_i is added to the loss at once."""
    c = constants
    for l in range(LANES):
        a1, a2, own, own_p = s[A1 + l], s[A2 + l], s[OWN + l], s[OWN_P + l]
        size = abs(a1)
        ratio = abs(a2) / (size if size > 0.0 else 1.0)
        low1, high1, low2, high2 = min(a1, 0.0), max(a1, 0.0), min(a2, 0.0), max(a2, 0.0)
        low = (s[B + l] + (c[0] * low1 + c[1] * high1)) + (c[2] * low2 + c[3] * high2)
        high = (s[B + l] + (c[4] * low1 + c[5] * high1)) + (c[6] * low2 + c[7] * high2)
        share = (c[8] + c[9] * s[P1 + l]) * (c[10] + c[11] * s[P2 + l]) * (c[12] + c[13] * ratio)
        falls1, falls2 = (c[24] if a1 < 0.0 else 0.0), (c[25] if a2 < 0.0 else 0.0)
        turn1, turn2 = 1.0 - 2.0 * falls1, 1.0 - 2.0 * falls2
        s[B_0 + l] = falls1 * c[14] + turn1 * (c[16] + c[17] * ratio)
        s[B_1 + l] = falls1 * c[15] + turn1 * (c[18] + c[19] * ratio)
        s[B_2 + l] = turn1 * (c[20] * ratio)
        s[C_0 + l] = falls2 * c[14] + turn2 * c[21]
        s[C_1 + l] = falls2 * c[15] + turn2 * c[22]
        s[C_2 + l] = turn2 * c[23]
        length = high - low
        is_point = 0.0 if length > 0.0 else 1.0
        per_length = (1.0 - is_point) / (length + is_point)
        edge = min(max(-own, low), high)
        zero = min(max(0.0, edge), high)
        below = is_point if low < -own else 0.0
        above = is_point if low >= 0.0 else 0.0
        width0 = (edge - low) * per_length + below
        s[WIDTH_1 + l] = (zero - edge) * per_length + (is_point - below - above)
        s[WIDTH_2 + l] = (high - zero) * per_length + above
        s[WEIGHT_1 + l], s[WEIGHT_2 + l] = share * s[WIDTH_1 + l], share * s[WIDTH_2 + l]
        s[FIRST_1 + l], s[FIRST_2 + l] = (edge - low) * per_length, (zero - low) * per_length
        s[START_1 + l], s[END_1 + l], s[END_2 + l] = edge, zero, high
        s[LOSS + l] += share * width0 * (own_p * THIRD) * (c[14] + c[15] * (0.5 * width0))


@jit(fastmath=FUSED, inner=True)
def _add_middle(s, x, weight, a_0, a_1):
    """Add the node x of the part in [−a_i, 0], as in `cubic_piece`."""
    for l in range(LANES):
        own, own_p, r, per_own = s[OWN + l], s[OWN_P + l], s[RESIDUAL + l], s[PER_OWN + l]
        start, end = s[START_1 + l], s[END_1 + l]
        t = min(max(start + (end - start) * x, -own), 0.0)
        z = s[FIRST_1 + l] + s[WIDTH_1 + l] * x
        v, w = -t * per_own, (t + own) * per_own
        share = weight * own_p * s[WEIGHT_1 + l]
        m = share * (a_0 + a_1 * z)
        dg = -w * (w * r + 2.0 * v)
        s[LOSS + l] += m * (w * w * (w * r * r * THIRD + v * r) + v * v * (w + v * THIRD))
        s[SLOPE_B + l] += m * dg
        s[SLOPE_OWN + l] -= 2.0 * m * w * (w * w * r * THIRD + 0.5 * w * v * (1.0 + r) + v * v)
        s[SLOPE_1 + l] += share * dg * (s[B_0 + l] + (s[B_1 + l] + s[B_2 + l] * z) * z)
        s[SLOPE_2 + l] += share * dg * (s[C_0 + l] + (s[C_1 + l] + s[C_2 + l] * z) * z)


@jit(fastmath=FUSED, inner=True)
def _add_right(s, x, weight, a_0, a_1):
    """Add the node x of the part right of 0, as in `quadratic_piece`."""
    for l in range(LANES):
        own_p, r, start, end = s[OWN_P + l], s[RESIDUAL + l], s[END_1 + l], s[END_2 + l]
        t = start + (end - start) * x
        z = s[FIRST_2 + l] + s[WIDTH_2 + l] * x
        share = weight * s[WEIGHT_2 + l]
        m = share * (a_0 + a_1 * z)
        off = t - 0.5 * own_p * r
        dg = 2.0 * t - own_p * r
        s[LOSS + l] += m * (off * off + own_p * (THIRD - 0.25 * own_p) * r * r)
        s[SLOPE_B + l] += m * dg
        s[SLOPE_OWN + l] += m * own_p * (t - 2.0 * THIRD * r)
        s[SLOPE_1 + l] += share * dg * (s[B_0 + l] + (s[B_1 + l] + s[B_2 + l] * z) * z)
        s[SLOPE_2 + l] += share * dg * (s[C_0 + l] + (s[C_1 + l] + s[C_2 + l] * z) * z)


@jit(fastmath=FUSED, inner=True)
def lane_moments(s, n_segments):
    """Fill the losses and slopes of all lanes; ``n_segments``: 2 for one other feature, 6 for two."""
    for l in range(LANES):
        own = s[OWN + l]
        s[PER_OWN + l] = 1.0 / own if own > NEGLIGIBLE else 0.0
        s[OWN + l] = own if own > NEGLIGIBLE else 0.0
    for k in range(LOSS, SLOPE_2 + LANES):
        s[k] = 0.0
    for segment in range(n_segments):
        c = offset(pointer(SEGMENTS), SEGMENTS.shape[1] * segment)
        _cut(s, c)
        if segment == 0:
            _add_middle(s, 0.5, 1.0, 1.0, 0.0)
            _add_right(s, 0.5, 1.0, 1.0, 0.0)
            continue
        # Gauss–Legendre: two nodes are exact to degree 3, three nodes to degree 5
        for node in range(2 if segment < 3 else 3):
            if segment < 3:
                x, weight = 0.5 + (node - 0.5) * ROOT_2, 0.5
            else:
                x, weight = 0.5 + (node - 1) * ROOT_3, (8.0 if node == 1 else 5.0) / 18.0
            _add_middle(s, x, weight, c[14], c[15])
            _add_right(s, x, weight, c[14], c[15])


@jit(inner=True)
def _add_product(x, y, total, rest):
    """Add x·y as if in twice the precision (Dekker's product, Knuth's sum): 1 − ‖W_i‖² cancels near unit norm."""
    for l in range(LANES):
        product = x[l] * y[l]
        c = 134217729.0 * x[l]
        x1 = c - (c - x[l])
        c = 134217729.0 * y[l]
        y1 = c - (c - y[l])
        x2, y2 = x[l] - x1, y[l] - y1
        low = x2 * y2 - (((product - x1 * y1) - x2 * y1) - x1 * y2)
        after = total[l] + product
        back = after - total[l]
        rest[l] += low + ((total[l] - (after - back)) + (product - back))
        total[l] = after


@jit(inner=True)
def _dot(block, m, n, i, j, start, out):
    """Row ``out`` gets start + W_i·W_j; the last row is working space."""
    total, rest = block[out], block[block.shape[0] - 1]
    if m == 1 and start == 0.0:  # one product: nothing can cancel
        x, y = block[i], block[j]
        for l in range(LANES):
            total[l] = x[l] * y[l]
        return
    for l in range(LANES):
        total[l], rest[l] = start, 0.0
    for k in range(m):
        _add_product(block[k * n + i], block[k * n + j], total, rest)
    for l in range(LANES):
        total[l] += rest[l]


@jit(inner=True)
def _load(s, given, own, residual, a_1, density_1, a_2, density_2):
    """Numbers of one output: its own, and weights and densities of the other features by falling size."""
    for l in range(LANES):
        s[OWN + l], s[RESIDUAL + l], s[B + l], s[OWN_P + l] = own[l], -residual[l], given[0, l], given[1, l]
        some1, some2 = (1.0 if abs(a_1[l]) > NEGLIGIBLE else 0.0), (1.0 if abs(a_2[l]) > NEGLIGIBLE else 0.0)
        a1, p1, a2, p2 = a_1[l] * some1, density_1[l] * some1, a_2[l] * some2, density_2[l] * some2
        swap = abs(a2) > abs(a1)
        s[SWAPPED + l] = 1.0 if swap else 0.0
        s[A1 + l], s[P1 + l] = a2 if swap else a1, p2 if swap else p1
        s[A2 + l], s[P2 + l] = a1 if swap else a2, p1 if swap else p2


@jit(inner=True)
def _slopes(s, importance, density_1, density_2, own, slope_1, slope_2):
    """Slopes of one output in G, times its importance."""
    for l in range(LANES):
        swap, weight, mean = s[SWAPPED + l] > 0.0, importance[l], 0.5 * s[SLOPE_B + l]
        # a feature of zero weight leaves the mean as it is: ∂/∂a_j = E x_j ∂/∂b
        first, p_1 = s[SLOPE_2 + l] if swap else s[SLOPE_1 + l], s[P2 + l] if swap else s[P1 + l]
        second, p_2 = s[SLOPE_1 + l] if swap else s[SLOPE_2 + l], s[P1 + l] if swap else s[P2 + l]
        own[l] = weight * s[SLOPE_OWN + l]
        slope_2[l] = weight * (second if p_2 > 0.0 else mean * density_2[l])
        slope_1[l] = weight * (first if p_1 > 0.0 else mean * density_1[l])


@jit(inner=True)
def _pull_back(w, one, two, out):
    """Add W_j (S_ij + S_ji)."""
    for l in range(LANES):
        out[l] += w[l] * (one[l] + two[l])


@jit(allocates=False)
def few_features(weights, bias, importance, density, order, losses, weights_gradient, bias_gradient, rows, block, kernel):
    """As `enumeration` for two or three features, ReLU and order ≤ 1; ``rows``, ``block``, ``kernel`` from `lane_space`."""
    (n_models, m, n), s = weights.shape, pointer(rows)
    # rows of the block: weights, then for every feature bias, density, importance and 1 − G_ii; G; slopes; gradient
    given = m * n
    gram = given + 4 * n
    slope, gradient = gram + n * n, gram + 2 * n * n
    nothing = gradient + m * n
    for first in range(0, n_models, LANES):
        count = min(LANES, n_models - first)
        for i in range(n):
            row = given + 4 * i
            for l in range(count):
                block[row, l] = bias[first + l, i]
                block[row + 1, l] = density[first + l, i]
                block[row + 2, l] = importance[first + l, i]
            for k in range(m):
                for l in range(count):
                    block[k * n + i, l] = weights[first + l, k, i]
        for i in range(n):
            _dot(block, m, n, i, i, -1.0, given + 4 * i + 3)
            for j in range(i + 1):
                _dot(block, m, n, i, j, 0.0, gram + i * n + j)
                for l in range(LANES):
                    block[gram + j * n + i, l] = block[gram + i * n + j, l]
        for i in range(n):
            j, k, own = 1 if i == 0 else 0, 1 if i == 2 else 2, given + 4 * i
            density_1, density_2 = block[given + 4 * j + 1], block[given + 4 * k + 1 if n == 3 else nothing]
            a_1, a_2 = block[gram + i * n + j], block[gram + i * n + k if n == 3 else nothing]
            _load(s, block[own : own + 2], block[gram + i * n + i], block[own + 3], a_1, density_1, a_2, density_2)
            call(kernel, (s, 2 if n == 2 else 6))
            for l in range(count):
                losses[first + l, i] = s[LOSS + l]
            if order > 0:
                slope_1, slope_2 = block[slope + i * n + j], block[slope + i * n + k if n == 3 else nothing + 1]
                _slopes(s, block[own + 2], density_1, density_2, block[slope + i * n + i], slope_1, slope_2)
                for l in range(count):
                    bias_gradient[first + l, i] = block[own + 2, l] * s[SLOPE_B + l]
        if order > 0:
            for k in range(m):
                for i in range(n):
                    out = block[gradient + k * n + i]
                    for l in range(LANES):
                        out[l] = 0.0
                    for j in range(n):
                        _pull_back(block[k * n + j], block[slope + i * n + j], block[slope + j * n + i], out)
                    for l in range(count):
                        weights_gradient[first + l, k, i] = out[l]


def lane_space(n_hidden, n_features):
    """The last arguments of `few_features`; each thread needs its own."""
    rows, n = np.zeros(ROWS * LANES), n_features
    return rows, np.zeros((2 * n_hidden * n + 2 * n * n + 4 * n + 3, LANES)), address(lane_moments, DOUBLES, 6)
