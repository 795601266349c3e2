"""The loss of one output that depends on at most two other features, and its first derivatives: scalar arithmetic only.

The same average as in `_moments`, with the law of a_1 u_1 + a_2 u_2 written down: a point, a uniform or a trapezoid,
depending on which of the two features are active. It costs a tenth, and n = 2 and 3 are what whole diagrams are made of.
"""

import numpy as np

from ._jit import jit

_x, _w = np.polynomial.legendre.leggauss(3)
NODES, NODE_WEIGHTS = (1 + _x) / 2, _w / 2


@jit
def few_moments(b, own, residual, own_p, others, k, out):
    """Fill ``out`` with f, ∂f/∂b, ∂f/∂a_i, ∂f/∂a_1, ∂f/∂a_2 for k ≤ 2 other features, |a_1| ≥ |a_2| > 0."""
    a1 = others[0, 0] if k > 0 else 0.0
    p1 = others[1, 0] if k > 0 else 0.0
    a2 = others[0, 1] if k > 1 else 0.0
    p2 = others[1, 1] if k > 1 else 0.0
    size1, size2, r, own_mean_square = abs(a1), abs(a2), residual, own_p / 3.0
    ratio = size2 / size1 if k > 0 else 0.0
    f = df = h = d1 = d2 = 0.0
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
        if segment == 3:
            share *= ratio
            high1 = low1
        elif segment == 4:
            share *= 1.0 - ratio
            low2, high2 = high2, low2
        elif segment == 5:
            share *= ratio
            low1 = high1
        low, high = (b + low1) + low2, (b + high1) + high2
        length = high - low
        falls1, falls2 = a1 < 0.0 and (segment == 1 or segment > 2), a2 < 0.0 and segment > 1
        start = low
        for region in range(3):  # left of −a_i, up to 0, and right of 0
            end = min(high, -own if region == 0 else 0.0) if region < 2 else high
            is_point = low >= high
            if (end <= start and not is_point) or (is_point and region < 2 and start >= (region - 1) * own):
                continue
            n_nodes = 1 if is_point else 3
            before, width = (0.0, 1.0) if is_point else ((start - low) / length, (end - start) / length)
            for node in range(n_nodes):
                x = NODES[node]
                t = start + (end - start) * x
                if region == 0:
                    g, dg, hg = own_mean_square, 0.0, 0.0
                elif region == 1:  # as in `cubic_piece`
                    v, w = -t / own, (t + own) / own
                    g = own_p * (w * w * (w * r * r / 3.0 + v * r) + v * v * (w + v / 3.0))
                    dg = -own_p * w * (w * r + 2.0 * v)
                    hg = -2.0 * own_p * w * (w * w * r / 3.0 + w * v * (1.0 + r) / 2.0 + v * v)
                else:
                    g = (t - 0.5 * own_p * r) ** 2 + own_p * (4.0 - 3.0 * own_p) / 12.0 * r * r
                    dg = 2.0 * t - own_p * r
                    hg = own_p * (t - 2.0 * r / 3.0)
                z = 0.5 if is_point else before + width * x  # not from t, whose last bits may be all of the segment
                # density at z, and its moments of u_1 and u_2, counted from the low ends
                if segment == 0:
                    m, m1, m2 = 1.0, 0.0, 0.0
                elif segment == 1:
                    m, m1, m2 = 1.0, z, 0.0
                elif segment == 2:
                    m, m1, m2 = 1.0, 0.0, z
                elif segment == 3:
                    m, m1, m2 = z, ratio * z * z / 2.0, z * z / 2.0
                elif segment == 4:
                    m, m1, m2 = 1.0, ratio / 2.0 + (1.0 - ratio) * z, 0.5
                else:
                    m, m1, m2 = 1.0 - z, (1.0 - z) * (1.0 - ratio * (1.0 - z) / 2.0), (1.0 - z * z) / 2.0
                weight = share * width * (1.0 if is_point else NODE_WEIGHTS[node])
                f += weight * m * g
                df += weight * m * dg
                h += weight * m * hg
                d1 += weight * dg * (m - m1 if falls1 else m1)
                d2 += weight * dg * (m - m2 if falls2 else m2)
            if is_point:
                break
            start = end
    out[0], out[1], out[2], out[3], out[4] = f, df, h, d1, d2
