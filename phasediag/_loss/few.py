"""The loss of one output that depends on at most two other features, with derivatives: scalar arithmetic only.

The same average as in `moments`, with the law of a_1 u_1 + a_2 u_2 written down: a point, a uniform or a trapezoid,
depending on which of the two features are active. It costs a tenth, and n = 2 and 3 are what whole diagrams are made of.
"""

import numpy as np

from .._compiling.jit import jit, offset, pointer, zeros
from .leading import ACTIVE, FROM, IS_GENERAL, ORIGINS, REACH, SLOPE, START, TO_GO, leading_values

_x, _w = np.polynomial.legendre.leggauss(3)
NODES, NODE_WEIGHTS = (1 + _x) / 2, _w / 2
DEVIATION = 12**-0.5  # of what is uniform on [0, 1]
# The segments of the law: point; feature 1 alone; feature 2 alone; both: rising, flat and falling part of the trapezoid.
# Constants: where z begins, as multiples of min(a_1, 0), max(a_1, 0), min(a_2, 0) and max(a_2, 0), and where it ends; share
# as e_1 + s_1 p_1, e_2 + s_2 p_2 and a linear function of ratio = |a_2/a_1|; the density at z in [0, 1]; the densities weighted
# with u_1 (each power of z a linear function of ratio but for z²) and u_2, counted from the low ends; what can fall.
SEGMENTS = np.array(
    [
        [0, 0, 0, 0, 0, 0, 0, 0, 1, -1, 1, -1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [1, 0, 0, 0, 0, 1, 0, 0, 0, 1, 1, -1, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0],
        [0, 0, 1, 0, 0, 0, 0, 1, 1, -1, 0, 1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1],
        [1, 0, 1, 0, 1, 0, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 0, 0, 0, 0.5, 0, 0, 0.5, 1, 1],
        [1, 0, 0, 1, 0, 1, 1, 0, 0, 1, 0, 1, 1, -1, 1, 0, 0, 0.5, 1, -1, 0, 0.5, 0, 0, 1, 1],
        [0, 1, 1, 0, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 1, -1, 1, -0.5, -1, 1, -0.5, 0.5, 0, -0.5, 1, 1],
    ],
    dtype=np.float64,
)
# Where u_1 is at z there, p + q z + (r + s z) v with v uniform on [0, 1]: p, q, r, s as multiples of 1, then of ratio; the same
# of u_2. The last segment mirrors the fourth.
SPREADS = np.array(
    [
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, -1, 0, 0, 0, 0],
        [0, 1, 0, 0, 1, -1, -1, 0, 0, 0, 1, 0, 0, 0, 0, 0],
    ],
    dtype=np.float64,
)


@jit(inner=True)
def _second_moments(segment, ratio, z, falls1, falls2, m, m1, m2):
    """Densities at z weighted with u_1², u_1 u_2 and u_2²; m, m1 and m2: with 1, u_1 and u_2."""
    m11 = m12 = m22 = 0.0
    y, c = 1.0 - z, ratio + (1.0 - ratio) * z
    if segment == 1:
        m11 = z * z
    elif segment == 2:
        m22 = z * z
    elif segment == 3:
        cubed = z * z * z
        m11, m12, m22 = ratio * ratio * cubed / 3.0, ratio * cubed / 6.0, cubed / 3.0
    elif segment == 4:
        m11, m12, m22 = c * (c - ratio) + ratio * ratio / 3.0, c / 2.0 - ratio / 3.0, 1.0 / 3.0
    elif segment == 5:
        m11 = y * (1.0 - ratio * y * (1.0 - ratio * y / 3.0))
        m12 = 0.5 * y * (1.0 + z) - ratio * y * y * (z / 2.0 + y / 3.0)
        m22 = y * (z * z + z * y + y * y / 3.0)
    # u → 1 − u where a weight is negative; m1 and m2 are already so
    if falls1:
        m11, m12 = 2.0 * m1 - m + m11, (m - m2 if falls2 else m2) - m12
    if falls2:
        m22, m12 = 2.0 * m2 - m + m22, m1 - m12
    return m11, m12, m22


@jit(inner=True)
def _at(spread, ratio, anchor, beyond, h, falls, origin):
    """A feature's u − origin at anchor + beyond + ξ h of a segment, as f + ξ g: mean and deviation of f, those of g."""
    p, q = spread[0] + spread[4] * ratio, spread[1] + spread[5] * ratio
    r, s = spread[2] + spread[6] * ratio, spread[3] + spread[7] * ratio
    mean = ((p + anchor * q) + 0.5 * (r + anchor * s) - (1.0 - origin if falls else origin)) + beyond * (q + 0.5 * s)
    deviation, g_mean, g_deviation = DEVIATION * (r + (anchor + beyond) * s), h * (q + 0.5 * s), DEVIATION * h * s
    return (-mean, -deviation, -g_mean, -g_deviation) if falls else (mean, deviation, g_mean, g_deviation)


@jit(inner=True)
def _add_kink(segment, ratio, share, low, high, start, end, falls1, falls2, first, found):
    """Add to ``found`` (2, 15) what the slope's jump where z = 0 adds to second derivatives for t in [start, end] of a segment.

    It is as large as one over the weights, and nearly all of it cancels where values are on both sides of 0. So products of it
    with values, polynomials in the distance from the middle, are integrated in closed form, every u is counted from where the
    value is 0, and what the middle adds, to the second row, is summed apart from the rest.
    """
    left, right = start, end
    if segment == 5:  # the mirror image of what rises
        segment, low, high, left, right, falls1, falls2 = 3, -high, -low, -end, -start, not falls1, not falls2
    density, spread = offset(pointer(SEGMENTS), 26 * segment), offset(pointer(SPREADS), 16 * segment)
    anchor = beyond = h = 0.0
    weight = -2.0 * first[ACTIVE] * (1.0 - first[SLOPE]) / first[REACH] * share
    if high > low:
        per = 0.5 / (high - low)
        h, before, behind = (end - start) * per, ((left - low) + (right - low)) * per, ((high - left) + (high - right)) * per
        weight *= 2.0 * h
        anchor, beyond = (0.0, before) if before < behind else (1.0, -behind)
        h = h if left == start else -h
    at_start, at_end = -(start + first[START]) / first[REACH], -(end + first[START]) / first[REACH]
    x, x_h = 0.5 * (at_start + at_end), 0.5 * (at_end - at_start)
    y, y_h = first[FROM] + first[TO_GO] * x, first[TO_GO] * x_h
    m, m_h = density[14] + density[15] * (anchor + beyond), density[15] * h
    x -= first[ORIGINS]
    e0, e1, e2 = weight * (y * m), weight * (y * m_h + y_h * m), weight * (y_h * m_h)  # coefficients in ξ: with y; with y and x
    d0, d1, d2, d3 = e0 * x, e1 * x + e0 * x_h, e2 * x + e1 * x_h, e2 * x_h
    f1, v1, g1, w1 = _at(spread, ratio, anchor, beyond, h, falls1, first[ORIGINS + 1])
    f2, v2, g2, w2 = _at(offset(spread, 8), ratio, anchor, beyond, h, falls2, first[ORIGINS + 2])
    f11, f12, f22 = f1 * f1 + v1 * v1, f1 * f2 + v1 * v2, f2 * f2 + v2 * v2
    g11, g12, g22 = g1 * g1 + w1 * w1, g1 * g2 + w1 * w2, g2 * g2 + w2 * w2
    fg11, fg12, fg22 = 2.0 * (f1 * g1 + v1 * w1), f1 * g2 + v1 * w2 + f2 * g1 + v2 * w1, 2.0 * (f2 * g2 + v2 * w2)
    found[5] += e2 / 3.0
    found[6] += d0 + d2 / 3.0
    found[7] += d0 * x + (d2 * x + d1 * x_h) / 3.0 + d3 * x_h / 5.0
    found[8] += density[24] * (e1 * g1 + e2 * f1) / 3.0
    found[9] += density[24] * (d0 * f1 + (d1 * g1 + d2 * f1) / 3.0 + d3 * g1 / 5.0)
    found[10] += density[24] * ((e0 * g11 + e1 * fg11 + e2 * f11) / 3.0 + e2 * g11 / 5.0)
    found[11] += density[25] * (e1 * g2 + e2 * f2) / 3.0
    found[12] += density[25] * (d0 * f2 + (d1 * g2 + d2 * f2) / 3.0 + d3 * g2 / 5.0)
    found[13] += density[24] * density[25] * ((e0 * g12 + e1 * fg12 + e2 * f12) / 3.0 + e2 * g12 / 5.0)
    found[14] += density[25] * ((e0 * g22 + e1 * fg22 + e2 * f22) / 3.0 + e2 * g22 / 5.0)
    whole, one, other = offset(found, 15), density[24] * e0, density[25] * e0
    whole[5] += e0
    whole[8] += one * f1
    whole[10] += one * f11
    whole[11] += other * f2
    whole[13] += density[25] * one * f12
    whole[14] += other * f22


@jit(inner=True)
def _count_from_origins(found, first):
    """Turn averages weighted with u, of `few_moments`, into those weighted with u − its origin."""
    c, c1, c2 = first[ORIGINS], first[ORIGINS + 1], first[ORIGINS + 2]
    found[14] += c2 * (c2 * found[5] - 2.0 * found[11])
    found[13] += c1 * (c2 * found[5] - found[11]) - c2 * found[8]
    found[12] += c2 * (c * found[5] - found[6]) - c * found[11]
    found[11] -= c2 * found[5]
    found[10] += c1 * (c1 * found[5] - 2.0 * found[8])
    found[9] += c1 * (c * found[5] - found[6]) - c * found[8]
    found[8] -= c1 * found[5]
    found[7] += c * (c * found[5] - 2.0 * found[6])
    found[6] -= c * found[5]
    found[4] -= c2 * found[1]
    found[3] -= c1 * found[1]
    found[2] -= c * found[1]


@jit(inner=True)
def few_moments(b, own, residual, own_p, a, p, k, relu, order, out, first):
    """As `clipped_moments` for k ≤ 2 other features, |a_1| ≥ |a_2| > 0; of general laws every u is counted from its origin."""
    general, left, right, values = first[IS_GENERAL] != 0.0, -own, 0.0, zeros(6)
    if general:
        left, right = -first[START] - first[REACH], -first[START]
    a1, p1, a2, p2 = 0.0, 0.0, 0.0, 0.0
    if k > 0:
        a1, p1 = a[0], p[0]
    if k > 1:
        a2, p2 = a[1], p[1]
    size1, r, own_mean_square = abs(a1), residual, own_p / 3.0
    ratio = abs(a2) / size1 if k > 0 else 0.0
    per_own = 1.0 / own if own > 0.0 else 0.0
    found, kinks = zeros(15), zeros(30)
    low1, high1, low2, high2 = min(a1, 0.0), max(a1, 0.0), min(a2, 0.0), max(a2, 0.0)
    for segment in range(6):
        c = offset(pointer(SEGMENTS), 26 * segment)
        share = (c[8] + c[9] * p1) * (c[10] + c[11] * p2) * (c[12] + c[13] * ratio)
        if share == 0.0:
            continue
        # b + a_1 first: it is exact where it cancels
        low = (b + (c[0] * low1 + c[1] * high1)) + (c[2] * low2 + c[3] * high2)
        high = (b + (c[4] * low1 + c[5] * high1)) + (c[6] * low2 + c[7] * high2)
        # density at z in [0, 1], and its moments of u_1 and u_2: powers of z
        a0, a_z, b0, b_z, b_zz = c[14], c[15], c[16] + c[17] * ratio, c[18] + c[19] * ratio, c[20] * ratio
        c0, c_z, c_zz = c[21], c[22], c[23]
        length = high - low
        falls1, falls2 = a1 < 0.0 and c[24] > 0.0, a2 < 0.0 and c[25] > 0.0
        if falls1:
            b0, b_z, b_zz = a0 - b0, a_z - b_z, -b_zz
        if falls2:
            c0, c_z, c_zz = a0 - c0, a_z - c_z, -c_zz
        start, per_length = low, 1.0 / length if length > 0.0 else 0.0
        for region in range(0 if relu else 2, 3):  # left of −a_i, up to 0, and right of 0
            end = min(high, left if region == 0 else right) if region < 2 else high
            is_point = low >= high
            if (end <= start and not is_point) or (is_point and region < 2 and start >= (left if region == 0 else right)):
                continue
            # what is constant or a point needs one node
            n_nodes = 1 if segment == 0 or (region == 0 and not general) else 3
            if general and region == 1 and order == 2:
                _add_kink(segment, ratio, share, low, high, start, end, falls1, falls2, first, kinks)
            before, width = (0.0, 1.0) if is_point else ((start - low) * per_length, (end - start) * per_length)
            for node in range(n_nodes):
                x = NODES[node] if n_nodes == 3 else 0.5
                weight = share * width * (NODE_WEIGHTS[node] if n_nodes == 3 else 1.0)
                z = before + width * x  # not from t, whose last bits may be all of the segment
                if region == 0 and not general:
                    found[0] += weight * own_mean_square * (a0 + a_z * z)
                    continue
                t = start + (end - start) * x
                m, m1, m2 = a0 + a_z * z, b0 + (b_z + b_zz * z) * z, c0 + (c_z + c_zz * z) * z
                if general:
                    leading_values(t, region, first, values)
                    g, dg, hg = values[0], values[1], values[2]
                elif region == 1:  # as in `cubic_piece`
                    v, w = -t * per_own, (t + own) * per_own
                    g = own_p * (w * w * (w * r * r / 3.0 + v * r) + v * v * (w + v / 3.0))
                    dg = -own_p * w * (w * r + 2.0 * v)
                    hg = -2.0 * own_p * w * (w * w * r / 3.0 + w * v * (1.0 + r) / 2.0 + v * v)
                else:  # as in `quadratic_piece`
                    v, w = t - 0.5 * own_p * r, 0.0
                    g = v * v + own_p * (4.0 - 3.0 * own_p) / 12.0 * r * r
                    dg, hg = 2.0 * t - own_p * r, own_p * (t - 2.0 * r / 3.0)
                found[0] += weight * m * g
                found[1] += weight * m * dg
                found[2] += weight * m * hg
                found[3] += weight * m1 * dg
                found[4] += weight * m2 * dg
                if order < 2:
                    continue
                if general:
                    ddg, dhg, hhg = values[3], values[4], values[5]
                elif region == 1:
                    ddg = 2.0 * own_p * (w - v * per_own)
                    dhg = own_p * (w * (w + 2.0 * v) - 2.0 * v * v * per_own)
                    hhg = 2.0 * own_p * (w * (1.0 + v + v * v) / 3.0 - v * v * v * per_own)
                else:
                    ddg, dhg, hhg = 2.0, own_p, 2.0 * own_p / 3.0
                m11, m12, m22 = _second_moments(segment, ratio, z, falls1, falls2, m, m1, m2)
                found[5] += weight * m * ddg
                found[6] += weight * m * dhg
                found[7] += weight * m * hhg
                found[8] += weight * m1 * ddg
                found[9] += weight * m1 * dhg
                found[10] += weight * m11 * ddg
                found[11] += weight * m2 * ddg
                found[12] += weight * m2 * dhg
                found[13] += weight * m12 * ddg
                found[14] += weight * m22 * ddg
            if is_point:
                break
            start = end
    if general:
        _count_from_origins(found, first)
    for number in range(5, 15 if general and order == 2 else 5):
        found[number] += kinks[number] + kinks[15 + number]
    out[0], out[1] = found[0], found[1]
    if order < 2:
        out[2], out[3], out[4] = found[2], found[3], found[4]
        return
    out[2], out[3], out[4], out[5] = found[5], found[2], found[6], found[7]
    out[6], out[7], out[8], out[9] = found[3], found[8], found[9], found[10]
    out[10], out[11], out[12], out[13], out[14] = found[4], found[11], found[12], found[13], found[14]
