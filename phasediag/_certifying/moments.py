"""Clipped second moments M(g~) = E[1{z > 0} x~ x~ᵀ] of one output z = g~·x~, g~ = (g, b), x~ = (x, 1) (numba kernels).

Every bound of a certificate is linear in M at a few points: E[z⁺ x~] = M g~, E[(z⁺)²] = g~ᵀ M g~. As x ≥ 0, every entry of
M, and M as a quadratic form, grows with every entry of g~.

Features are averaged over one after another, the one with the largest |g| innermost. An inner average is piecewise
polynomial in the next feature, between the crossings of z = 0 with the cube's vertices, and Gauss-Legendre nodes of
sufficient degree integrate each piece exactly. All steps are averages with positive weights.

Rounding. Let u = 2⁻⁵³. The innermost cut is t = c/(c − (a + c)) where c and a + c differ in sign: no cancellation, its
error is at most 3u, and what c has by rounding is at most 3u |a|, as |c| ≤ |a| where there is a cut and the other weights
are no larger. So `_one` is exact to 16u. A further average has weights that add up to 1 and moves no error beyond its size;
it adds: nodes and weights (4u each, on a function of slope at most 1 in the node), and cuts. A cut at which the inner average
jumps, the crossing of a vertex without larger weights, is one quotient, exact to 2u. At every other the inner average is
continuous of slope at most 1, so a cut off by δ costs less than 4u. With at most 2ⁿ + 1 pieces this is less than 24u at two
features and 96u at three. `ROUNDING` has at least twice that. All of this has the factor p_j in an entry with x_j, as the
weights with which it is averaged have, so that M_jk is off by at most `ROUNDING` × √(p_j p_k), with p = 1 for the bias.
"""

import numpy as np

from .._compiling.jit import jit

MOST_FEATURES = 3
UNIT = 2.0**-53
ROUNDING = np.array([np.nan, np.nan, 64.0, 256.0]) * UNIT
"""The largest error of an entry of M by the number of features."""
_LOW2, _LOW3 = 0.5 - 0.5 / np.sqrt(3.0), 0.5 - 0.5 * np.sqrt(0.6)


@jit(inner=True)
def _one(a, c, p, out):
    """Find E 1{ax + c > 0} (1, x, x²) of a feature of density p: out[:3]."""
    top = a + c
    if c > 0.0 and top > 0.0:
        out[0], out[1], out[2] = 1.0, 0.5 * p, p / 3.0
    elif c <= 0.0 and top <= 0.0:
        out[0] = out[1] = out[2] = 0.0
    else:
        t = c / (c - top)
        if top > 0.0:
            u = 1.0 - t
            out[0], out[1], out[2] = p * u, 0.5 * p * u * (1.0 + t), p * u * (1.0 + t + t * t) / 3.0
        else:
            out[0], out[1], out[2] = (1.0 - p) + p * t, 0.5 * p * t * t, p * t * t * t / 3.0


@jit(inner=True)
def put(cuts, n, t):
    """Put a place within (0, 1) among the n cuts in order; return how many there are then."""
    if not 0.0 < t < 1.0:
        return n
    i = n
    while i > 1 and cuts[i - 1] > t:
        cuts[i] = cuts[i - 1]
        i -= 1
    cuts[i] = t
    return n + 1


@jit(inner=True)
def _cuts(a, vertices, count, cuts):
    """Write 0, the zeros of vertices[k] + a y within (0, 1) in order, and 1 to ``cuts``; return how many."""
    n = 1
    cuts[0] = 0.0
    if a != 0.0:
        for k in range(count):
            n = put(cuts, n, -vertices[k] / a)
    cuts[n] = 1.0
    return n + 1


@jit(inner=True)
def _two(a1, a2, c, p1, p2, out, work):
    """Find E 1{z > 0} (1, x, y, xx, xy, yy), z = a1 x + a2 y + c, |a1| ≥ |a2|: out[:6]; work: at least 3 rows of 8."""
    one, vertices, cuts = work[0], work[1], work[2]
    if min(a1, 0.0) + min(a2, 0.0) + c > 0.0:
        out[0], out[1], out[2] = 1.0, 0.5 * p1, 0.5 * p2
        out[3], out[4], out[5] = p1 / 3.0, 0.25 * p1 * p2, p2 / 3.0
        return
    for k in range(6):
        out[k] = 0.0
    if max(a1, 0.0) + max(a2, 0.0) + c <= 0.0:
        return
    _one(a1, c, p1, one)
    out[0], out[1], out[3] = (1.0 - p2) * one[0], (1.0 - p2) * one[1], (1.0 - p2) * one[2]
    vertices[0], vertices[1] = c, c + a1
    n = _cuts(a2, vertices, 2, cuts)
    for s in range(n - 1):
        width = cuts[s + 1] - cuts[s]
        weight = 0.5 * p2 * width
        for r in range(2):
            y = cuts[s] + width * (_LOW2 if r == 0 else 1.0 - _LOW2)
            _one(a1, c + a2 * y, p1, one)
            out[0] += weight * one[0]
            out[1] += weight * one[1]
            out[3] += weight * one[2]
            out[2] += weight * y * one[0]
            out[4] += weight * y * one[1]
            out[5] += weight * y * y * one[0]


@jit(inner=True)
def _three(a, c, p, out, work):
    """Find E 1{z > 0} (1, x, y, w, xx, xy, xw, yy, yw, ww), |a[0]| ≥ |a[1]| ≥ |a[2]|: out[:10]; work: at least 6 rows of 12."""
    two, vertices, cuts = work[3], work[4], work[5]
    low = high = c
    for k in range(3):
        low += min(a[k], 0.0)
        high += max(a[k], 0.0)
    for k in range(10):
        out[k] = 0.0
    if high <= 0.0:
        return
    vertices[0], vertices[1], vertices[2], vertices[3] = c, c + a[0], c + a[1], c + a[0] + a[1]
    n = 2 if low > 0.0 else _cuts(a[2], vertices, 4, cuts)
    cuts[0], cuts[n - 1] = 0.0, 1.0
    for s in range(-1, n - 1):
        for r in range(3):
            if s < 0:
                if r > 0:
                    break
                y, weight = 0.0, 1.0 - p[2]
            else:
                width = cuts[s + 1] - cuts[s]
                if r == 1:
                    y, weight = cuts[s] + 0.5 * width, p[2] * width * (4.0 / 9.0)
                else:
                    y, weight = cuts[s] + width * (_LOW3 if r == 0 else 1.0 - _LOW3), p[2] * width * (5.0 / 18.0)
            _two(a[0], a[1], c + a[2] * y, p[0], p[1], two, work)
            out[0] += weight * two[0]
            out[1] += weight * two[1]
            out[2] += weight * two[2]
            out[4] += weight * two[3]
            out[5] += weight * two[4]
            out[7] += weight * two[5]
            out[3] += weight * y * two[0]
            out[6] += weight * y * two[1]
            out[8] += weight * y * two[2]
            out[9] += weight * y * y * two[0]


@jit(inner=True)
def moments(g, density, found, work):
    """Find M at g (n + 1,), the bias last, for n = 2 or 3 features of densities (n,): found (n + 1, n + 1).

    work: (10, 12).
    """
    n = density.shape[0]
    a, p, out, place = work[6], work[7], work[8], work[9]
    for i in range(n):
        k = i
        while k > 0 and abs(a[k - 1]) < abs(g[i]):
            a[k], p[k], place[k] = a[k - 1], p[k - 1], place[k - 1]
            k -= 1
        a[k], p[k], place[k] = g[i], density[i], i
    if n == 2:
        _two(a[0], a[1], g[n], p[0], p[1], out, work)
    else:
        _three(a, g[n], p, out, work)
    found[n, n] = out[0]
    k = 1 + n
    for i in range(n):
        u = int(place[i])
        found[u, n] = found[n, u] = out[1 + i]
        for j in range(i, n):
            v = int(place[j])
            found[u, v] = found[v, u] = out[k]
            k += 1
