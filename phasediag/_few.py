"""The loss of one output that depends on at most two other features, with derivatives: scalar arithmetic only.

The same average as in `_moments`, with the law of a_1 u_1 + a_2 u_2 written down: a point, a uniform or a trapezoid,
depending on which of the two features are active. It costs a tenth, and n = 2 and 3 are what whole diagrams are made of.
"""

import numpy as np

from ._jit import jit

_x, _w = np.polynomial.legendre.leggauss(3)
NODES, NODE_WEIGHTS = (1 + _x) / 2, _w / 2


@jit(inner=True)
def few_moments(b, own, residual, own_p, a, p, k, relu, order, out):
    """As `clipped_moments` for k ≤ 2 other features, |a_1| ≥ |a_2| > 0."""
    a1 = a[0] if k > 0 else 0.0
    p1 = p[0] if k > 0 else 0.0
    a2 = a[1] if k > 1 else 0.0
    p2 = p[1] if k > 1 else 0.0
    size1, size2, r, own_mean_square = abs(a1), abs(a2), residual, own_p / 3.0
    ratio = size2 / size1 if k > 0 else 0.0
    per_own = 1.0 / own if own > 0.0 else 0.0
    f = df = h = d1 = d2 = ddf = dh = hh = dd1 = d1h = d11 = dd2 = d2h = d21 = d22 = 0.0
    ddg = dhg = hhg = 0.0
    for segment in range(6):
        # point; feature 1 alone; feature 2 alone; both: rising, flat and falling part of the trapezoid
        share1, share2 = (1.0 - p1 if segment == 0 or segment == 2 else p1), (1.0 - p2 if segment < 2 else p2)
        share = share1 * share2
        if share == 0.0:
            continue
        # b + a_1 first: it is exact where it cancels
        low1, high1 = min(a1, 0.0), max(a1, 0.0)
        low2, high2 = min(a2, 0.0), max(a2, 0.0)
        if segment == 0 or segment == 2:
            low1 = high1 = 0.0
        if segment < 2:
            low2 = high2 = 0.0
        # density at z in [0, 1], and its moments of u_1 and u_2 counted from the low ends: powers of z
        a0, a_z, b0, b_z, b_zz, c0, c_z, c_zz = 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        if segment == 1:
            b_z = 1.0
        elif segment == 2:
            c_z = 1.0
        elif segment == 3:
            share *= ratio
            high1 = low1
            a0, a_z, b_zz, c_zz = 0.0, 1.0, 0.5 * ratio, 0.5
        elif segment == 4:
            share *= 1.0 - ratio
            low2, high2 = high2, low2
            b0, b_z, c0 = 0.5 * ratio, 1.0 - ratio, 0.5
        elif segment == 5:
            share *= ratio
            low1 = high1
            a_z, b0, b_z, b_zz, c0, c_zz = -1.0, 1.0 - 0.5 * ratio, ratio - 1.0, -0.5 * ratio, 0.5, -0.5
        low, high = (b + low1) + low2, (b + high1) + high2
        length = high - low
        falls1, falls2 = a1 < 0.0 and (segment == 1 or segment > 2), a2 < 0.0 and segment > 1
        if falls1:
            b0, b_z, b_zz = a0 - b0, a_z - b_z, -b_zz
        if falls2:
            c0, c_z, c_zz = a0 - c0, a_z - c_z, -c_zz
        start, per_length = low, 1.0 / length if length > 0.0 else 0.0
        for region in range(0 if relu else 2, 3):  # left of −a_i, up to 0, and right of 0
            end = min(high, -own if region == 0 else 0.0) if region < 2 else high
            is_point = low >= high
            if (end <= start and not is_point) or (is_point and region < 2 and start >= (region - 1) * own):
                continue
            # what is constant or a point needs one node
            n_nodes = 1 if segment == 0 or region == 0 else 3
            before, width = (0.0, 1.0) if is_point else ((start - low) * per_length, (end - start) * per_length)
            for node in range(n_nodes):
                x = NODES[node] if n_nodes == 3 else 0.5
                weight = share * width * (NODE_WEIGHTS[node] if n_nodes == 3 else 1.0)
                z = before + width * x  # not from t, whose last bits may be all of the segment
                if region == 0:
                    f += weight * own_mean_square * (a0 + a_z * z)
                    continue
                t = start + (end - start) * x
                if region == 1:  # as in `cubic_piece`
                    v, w = -t * per_own, (t + own) * per_own
                    g = own_p * (w * w * (w * r * r / 3.0 + v * r) + v * v * (w + v / 3.0))
                    dg = -own_p * w * (w * r + 2.0 * v)
                    hg = -2.0 * own_p * w * (w * w * r / 3.0 + w * v * (1.0 + r) / 2.0 + v * v)
                    if order > 1:
                        ddg = 2.0 * own_p * (w - v * per_own)
                        dhg = own_p * (w * (w + 2.0 * v) - 2.0 * v * v * per_own)
                        hhg = 2.0 * own_p * (w * (1.0 + v + v * v) / 3.0 - v * v * v * per_own)
                else:  # as in `quadratic_piece`
                    g = (t - 0.5 * own_p * r) ** 2 + own_p * (4.0 - 3.0 * own_p) / 12.0 * r * r
                    dg, hg = 2.0 * t - own_p * r, own_p * (t - 2.0 * r / 3.0)
                    ddg, dhg, hhg = 2.0, own_p, 2.0 * own_p / 3.0
                m, m1, m2 = a0 + a_z * z, b0 + (b_z + b_zz * z) * z, c0 + (c_z + c_zz * z) * z
                f += weight * m * g
                df += weight * m * dg
                h += weight * m * hg
                d1 += weight * m1 * dg
                d2 += weight * m2 * dg
                if order > 1:
                    y, c = 1.0 - z, ratio + (1.0 - ratio) * z
                    m11 = m12 = m22 = 0.0
                    if segment == 1:
                        m11 = z * z
                    elif segment == 2:
                        m22 = z * z
                    elif segment == 3:
                        m11, m12, m22 = ratio * ratio * z**3 / 3.0, ratio * z**3 / 6.0, z**3 / 3.0
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
                    ddf += weight * m * ddg
                    dh += weight * m * dhg
                    hh += weight * m * hhg
                    dd1 += weight * m1 * ddg
                    d1h += weight * m1 * dhg
                    d11 += weight * m11 * ddg
                    dd2 += weight * m2 * ddg
                    d2h += weight * m2 * dhg
                    d21 += weight * m12 * ddg
                    d22 += weight * m22 * ddg
            if is_point:
                break
            start = end
    if order < 2:
        out[0], out[1], out[2], out[3], out[4] = f, df, h, d1, d2
    else:
        out[0], out[1], out[2], out[3], out[4], out[5] = f, df, ddf, h, dh, hh
        out[6], out[7], out[8], out[9] = d1, dd1, d1h, d11
        out[10], out[11], out[12], out[13], out[14] = d2, dd2, d2h, d21, d22
