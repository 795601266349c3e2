"""Neighbourhoods of minima that are proved by themselves (numba kernels).

Around a minimum (`convex_region`) the loss is strictly convex: half its second derivative is
Σ_i I_i J_iᵀ (M_i − Q_i) J_i + Σ_ij I_i S_ij D_iᵀ D_j, with g~ = row i of WᵀW and b_i, J its derivative, S = ∂L_i/∂g~_j and
Q = E[x_i δ(z) x~ x~ᵀ], wherever it exists, which is almost everywhere; the gradient is Lipschitz where every row has g_ii > 0 or
is never clipped, so nothing is lost at kinks. Over a box M ⪰ M(low) as quadratic forms, with or without inputs that sit at a
kink, as those of a dedicated feature do that is not active; Q is integrated over x_i = w = −(b + Σ_{j ≠ i} g_ij x_j)/g_ii,

    Q = p_i/g_ii E_{x_j, j ≠ i}[w 1{0 < w ≤ 1} (w, x_j, …, 1)(w, x_j, …, 1)ᵀ],

whose entries lie between those with least and most w, piecewise polynomials; a row that is never clipped has none. S and J are
ranges. A range of matrices is positive definite when its middle is, less the row sums of its half-widths; the box may be halved
until each part is shown so. Where it is more than c the box has at most one stationary point, and L ≥ L(x) − |L'(x)|²/(4c).
Weights are upper triangular, which takes rotations out.

Of two features in one dimension one that is not represented (k), with the other, i, dedicated, has a larger neighbourhood
(`kink_bracket`), though the curvature depends on the side, however small the box. Let η bound |e|, e = (W_i² − 1) x_i + W_i W_k
x_k + b_i, so that z_i = x_i + e > 0 where x_i > η, and let z_k ≥ 0 for all inputs. Then, with ψ_s(α, β) = p_i ∫_η^1 E (α x + s
x_k + β)² dx + (1 − p_i) E ((β + s x_k)⁺)² and κ = min_{s = ±1, α, β} ψ_s,

    L_i ≥ κ (W_i W_k)²,   L_k ≥ σ_k² (1 − W_k²)² + σ_i² (W_i W_k)²,
    L ≥ I_k σ_k² + W_k² (W_i² (I_i κ + I_k σ_i²) − 2 I_k σ_k²),

the first as E (x_i − z_i⁺)² is e² where z_i > 0 and scales with the square of (W_i² − 1, W_i W_k, b_i). Where the bracket is
positive the only minimum is W_i = ±1, W_k = 0, b_i = 0, b_k = p_k/2. ψ is convex with a second derivative of at least 2 p_i
∫_η^1 (x, 1)(x, 1)ᵀ dx, which bounds κ from any (α, β).
"""

import numpy as np

from .._compiling.jit import jit
from .bounds import MARGIN, product, size_of
from .moments import UNIT, moments, put
from .search import gram_ranges

_LOW3 = 0.5 - 0.5 * np.sqrt(0.6)
PARTS = 256
"""In how many parts a region's second derivative is looked at, at most."""
_SAFETY = 1e-11
"""Relative, and absolute before the factor p_i/g_ii: what rounding may do to an entry of Q. With u = 2⁻⁵³, `_line` has less than
200 nonnegative terms of one size: 200 u. Borders along y are quotients: with the steeper feature averaged first, one that is off
by δ costs less than δ, 8 u; otherwise less than δ² times a slope of at most 1/δ, 8 u. With 14 borders and 42 nodes all is below
42 × 200 u + 14 × 16 u < 1e-12."""


@jit(inner=True)
def _piece(alpha, beta, start, end, constant, p, found):
    """Add p ∫ v^s x^l dx over [start, end] to found[s − 1, l], s = 1, 2, 3, l = 0, 1, 2; v = α + βx, or 1 where ``constant``."""
    if end <= start:
        return
    width = end - start
    for r in range(3):
        x = start + width * (0.5 if r == 1 else (_LOW3 if r == 0 else 1.0 - _LOW3))
        v = 1.0 if constant else max(alpha + beta * x, 0.0)
        weight = p * width * (4.0 / 9.0 if r == 1 else 5.0 / 18.0)
        for s in range(3):
            weight *= v
            found[s, 0] += weight
            found[s, 1] += weight * x
            found[s, 2] += weight * x * x


@jit(inner=True)
def _below(alpha, beta, level, bounds):
    """Write to bounds[0], bounds[1] where in [0, 1] α + βx ≤ level (one interval, as it is linear; empty: 1, 0)."""
    at0, at1 = alpha <= level, alpha + beta <= level
    cross = (level - alpha) / beta if beta != 0.0 else 0.0
    bounds[0], bounds[1] = (0.0 if at0 else cross), (1.0 if at1 else cross)
    if not at0 and not at1:
        bounds[0], bounds[1] = 1.0, 0.0


@jit(inner=True)
def _line(most_a, most_b, least_a, least_b, p, found, work):
    """Bound E_x[w^s x^l 1{0 < w ≤ 1}], s = 1 to 3, l = 0 to 2, of least_a + least_b x ≤ w ≤ most_a + most_b x: found (2, 3, 3).

    x: a feature of density p.
    """
    for s in range(3):
        for l in range(3):
            found[0, s, l] = found[1, s, l] = 0.0
    positive, fits, other = work[0], work[1], work[2]
    # most: min(w_most, 1) where w_most > 0 and w_least ≤ 1
    _below(-most_a, -most_b, 0.0, positive)
    _below(least_a, least_b, 1.0, fits)
    start, end = max(positive[0], fits[0]), min(positive[1], fits[1])
    _below(most_a, most_b, 1.0, other)
    _piece(most_a, most_b, max(start, other[0]), min(end, other[1]), False, p, found[1])
    if other[0] > other[1]:
        _piece(0.0, 0.0, start, end, True, p, found[1])
    else:
        _piece(0.0, 0.0, start, min(end, other[0]), True, p, found[1])
        _piece(0.0, 0.0, max(start, other[1]), end, True, p, found[1])
    # least: w_least where it is positive and w_most ≤ 1
    _below(-least_a, -least_b, 0.0, positive)
    _piece(least_a, least_b, max(positive[0], other[0]), min(positive[1], other[1]), False, p, found[0])
    off = 1.0 - p
    if most_a > 0.0 and least_a <= 1.0:
        v = min(most_a, 1.0)
        for s in range(3):
            off *= v
            found[1, s, 0] += off
    off = 1.0 - p
    if least_a > 0.0 and most_a <= 1.0:
        for s in range(3):
            off *= least_a
            found[0, s, 0] += off


@jit(inner=True)
def _ends(most, least, cuts):
    """Write to ``cuts`` 0, 1 and in order between them where the lines of y change places on 0 ≤ x ≤ 1; return how many.

    Lines: most and least are 0 or 1, each (3,), the coefficients of 1, x and y.
    """
    n = 1
    cuts[0] = 0.0
    for k in range(12):
        level = float(k % 2)
        if k < 4:
            y = (level - most[0] - (most[1] if k > 1 else 0.0)) / most[2]
        elif k < 8:
            y = (level - least[0] - (least[1] if k > 5 else 0.0)) / least[2]
        else:
            across = least[1] / most[1]
            y = (level - least[0] - across * ((1.0 if k > 9 else 0.0) - most[0])) / (least[2] - across * most[2])
        n = put(cuts, n, y)
    cuts[n] = 1.0
    return n + 1


@jit(inner=True)
def _wall(i, low, high, density, found, lines, work):
    """Bound Q = p_i/g_ii E[w 1{0 < w ≤ 1} x~ x~ᵀ], x_i = w, entry by entry over a box of g~ (n + 1,): found (2, n + 1, n + 1).

    The feature that moves w most is averaged over first, between the places where w is 0 or 1, which change along the other
    one, where there are three, at the ends of a few pieces.
    """
    n = density.shape[0]
    j, k = (i + 1) % n, (i + 2) % n
    if n > 2 and max(abs(low[k]), abs(high[k])) > max(abs(low[j]), abs(high[j])):
        j, k = k, j
    most, least, cuts = work[3], work[4], work[5]
    most[0], most[1], most[2] = -low[n] / low[i], -low[j] / low[i], -low[k] / low[i]
    # where negative, the divisor does not matter
    least[0], least[1], least[2] = -high[n] / high[i], -high[j] / high[i], -high[k] / high[i]
    for side in range(2):
        for x in range(n + 1):
            for y in range(n + 1):
                found[side, x, y] = 0.0
    pieces = _ends(most, least, cuts) - 1 if n > 2 else 0
    for piece in range(-1, pieces):
        for r in range(1 if piece < 0 else 3):
            if piece < 0:
                at, weight = 0.0, (1.0 - density[k] if n > 2 else 1.0)
            else:
                width = cuts[piece + 1] - cuts[piece]
                at = cuts[piece] + width * (0.5 if r == 1 else (_LOW3 if r == 0 else 1.0 - _LOW3))
                weight = density[k] * width * (4.0 / 9.0 if r == 1 else 5.0 / 18.0)
            _line(
                most[0] + (most[2] * at if n > 2 else 0.0), most[1], least[0] + (least[2] * at if n > 2 else 0.0), least[1],
                density[j], lines, work,
            )  # fmt: skip
            for x in range(n + 1):
                for y in range(x + 1):
                    s, l = (x == i) + (y == i), (x == j) + (y == j)
                    share = weight
                    if n > 2 and x == k:
                        share *= at
                    if n > 2 and y == k:
                        share *= at
                    found[0, x, y] += share * lines[0, s, l]
                    found[1, x, y] += share * lines[1, s, l]
    for x in range(n + 1):
        for y in range(x + 1):
            found[0, x, y] = (found[0, x, y] - _SAFETY) * (density[i] / high[i] * (1.0 - _SAFETY))
            found[1, x, y] = (found[1, x, y] + _SAFETY) * (density[i] / low[i] * (1.0 + _SAFETY))
            found[0, y, x], found[1, y, x] = found[0, x, y], found[1, x, y]


@jit(inner=True)
def _curvature(centre, radius, free, importance, density, middle, width, big, store, spans, lines, work):
    """Fill half the second derivative over a box (nd,) ± : middle and half-width (nd, nd); return whether it has one."""
    n, nw, nd = density.shape[0], free.shape[0], centre.shape[0]
    low, high, below, above = store[4, 0], store[4, 1], store[0], store[1]
    corners, v_low, v_high = big[2], store[6, 0], store[6, 1]
    at, move = big[0], big[1]
    for k in range(nd):
        corners[0, k], corners[1, k] = centre[k] - radius[k], centre[k] + radius[k]
        for l in range(nd):
            middle[k, l] = width[k, l] = 0.0
    gram_ranges(corners[0], corners[1], free, n, spans)
    inner, outer = store[7], store[8]
    s_mid, s_width = store[9], store[10]
    for i in range(n):
        never_off = spans[0, i, n]
        for j in range(n + 1):
            low[j], high[j] = spans[0, i, j], spans[1, i, j]
            if j < n:
                never_off += min(low[j], 0.0)
        size = size_of(low, high)
        margin = MARGIN[n] * size * size
        if not (never_off > margin or low[i] > 0.0):
            return False
        moments(low, density, below, work[7:])
        moments(high, density, above, work[7:])
        product(below, low, v_low)
        product(above, high, v_high)
        for j in range(n):
            a, b = 2.0 * (v_low[j] - above[i, j]), 2.0 * (v_high[j] - below[i, j])
            s_mid[i, j], s_width[i, j] = 0.5 * importance[i] * (a + b), importance[i] * (0.5 * (b - a) + 2.0 * margin)
        # M(low) − Q, its middle and half-width
        if never_off > margin:
            for j in range(n + 1):
                for k in range(n + 1):
                    inner[j, k], outer[j, k] = below[j, k], 2.0 * margin
        else:
            _wall(i, low, high, density, lines[:2], lines[2:], work)
            for j in range(n + 1):
                for k in range(n + 1):
                    inner[j, k] = below[j, k] - 0.5 * (lines[0, j, k] + lines[1, j, k])
                    outer[j, k] = 0.5 * (lines[1, j, k] - lines[0, j, k]) + 2.0 * margin
        # J = at ± move of the weights; the bias moves the last coordinate alone
        for k in range(nd):
            for x in range(n + 1):
                at[k, x] = 1.0 if x == n and k == nw + i else 0.0
                move[k, x] = 0.0
        for k in range(nw):
            for l in range(nw):
                if free[k, 0] == free[l, 0]:
                    if free[l, 1] == i:
                        at[k, free[k, 1]] += centre[l]
                        move[k, free[k, 1]] += radius[l]
                    if free[k, 1] == i:
                        at[k, free[l, 1]] += centre[l]
                        move[k, free[l, 1]] += radius[l]
        for k in range(nd):
            for l in range(k + 1):
                total = spread = 0.0
                for x in range(n + 1):
                    ax, mx = at[k, x], move[k, x]
                    if ax == 0.0 and mx == 0.0:
                        continue
                    for y in range(n + 1):
                        ay, my = at[l, y], move[l, y]
                        total += ax * inner[x, y] * ay
                        spread += (abs(ax) + mx) * (abs(ay) + my) * (abs(inner[x, y]) + outer[x, y]) - abs(ax * ay * inner[x, y])
                middle[k, l] += importance[i] * total
                width[k, l] += importance[i] * spread * (1.0 + _SAFETY) + _SAFETY * importance[i] * (1.0 + abs(total))
    for k in range(nw):
        for l in range(k + 1):
            if free[k, 0] == free[l, 0]:
                c, d = free[k, 1], free[l, 1]
                middle[k, l] += 0.5 * (s_mid[c, d] + s_mid[d, c])
                width[k, l] += 0.5 * (s_width[c, d] + s_width[d, c])
    for k in range(nd):
        for l in range(k):
            middle[l, k], width[l, k] = middle[k, l], width[k, l]
    return True


@jit(inner=True)
def _definite(middle, width, least, factor):
    """Return whether middle − the row sums of width, (nd, nd) each, is greater than ``least`` times 1."""
    nd = middle.shape[0]
    trace = 0.0
    for j in range(nd):
        trace += abs(middle[j, j])
    for j in range(nd):
        for k in range(j + 1):
            total = middle[j, k]
            if j == k:
                total -= least + 1024.0 * UNIT * trace
                for l in range(nd):
                    total -= width[j, l]
            for h in range(k):
                total -= factor[j, h] * factor[k, h]
            if j == k:
                if not total > 0.0:  # NaN neither
                    return False
                factor[j, j] = np.sqrt(total)
            else:
                factor[j, k] = total / factor[k, k]
    return True


@jit
def convex_region(centre, least, free, importance, density, radius):
    """Find half-widths (nd,) of a box about ``centre`` (nd,) on which half the second derivative is > ``least``.

    Return whether there is one; radius holds the shape of the box and the first try.
    """
    n, nd = density.shape[0], centre.shape[0]
    spans, lines, work = np.zeros((3, n, n + 1)), np.zeros((4, n + 1, n + 1)), np.zeros((20, 16))
    store, big, matrices = np.zeros((12, n + 1, n + 1)), np.zeros((3, nd, nd)), np.zeros((4, nd, nd))
    parts, shape = np.zeros((PARTS, 2, nd)), radius.copy()
    times, most, step = 0, 1, 1  # in one part it is small enough, then in more parts large
    while 0 <= times < 40:
        for k in range(nd):
            parts[0, 0, k], parts[0, 1, k] = centre[k], shape[k] * 0.7**times
        holds = _convex(parts, most, least, free, importance, density, matrices, big, store, spans, lines, work)
        if holds:
            for k in range(nd):
                radius[k] = shape[k] * 0.7**times
            most, step = PARTS, -1
        elif most > 1:
            return True
        times += step
    return times < 0


@jit(inner=True)
def _convex(parts, most, least, free, importance, density, matrices, big, store, spans, lines, work):
    """Return whether half the second derivative is > ``least`` on the box parts[0], centre and half-widths (nd,), in parts.

    At most ``most`` parts are looked at; parts (PARTS, 2, nd): those that wait.
    """
    nd = parts.shape[2]
    middle, width, factor = matrices[0], matrices[1], matrices[2]
    centre, radius, none = matrices[3, 0], matrices[3, 1], matrices[3, 2]
    waiting, seen = 1, 0
    while waiting > 0:
        waiting -= 1
        seen += 1
        for k in range(nd):
            centre[k], radius[k], none[k] = parts[waiting, 0, k], parts[waiting, 1, k], 0.0
        if _curvature(centre, radius, free, importance, density, middle, width, big, store, spans, lines, work) and _definite(
            middle, width, least, factor
        ):
            continue
        if seen >= most or waiting + 2 > parts.shape[0]:
            return False
        if not _curvature(
            centre, none, free, importance, density, middle, width, big, store, spans, lines, work
        ) or not _definite(middle, width, least, factor):
            return False
        axis = _widest(centre, radius, free, importance, density, middle, width, big, store, spans, lines, work)
        for half in range(2):
            for k in range(nd):
                parts[waiting, 0, k], parts[waiting, 1, k] = centre[k], radius[k]
            parts[waiting, 1, axis] *= 0.5
            parts[waiting, 0, axis] += (2 * half - 1) * parts[waiting, 1, axis]
            parts[waiting, 1, axis] *= 1.0 + 4.0 * UNIT
            waiting += 1
    return True


@jit
def widest_axis(centre, radius, free, importance, density, middle):
    """Return the axis along which to halve a box, centre and half-widths (nd,); its curvature goes to middle (nd, nd)."""
    n, nd = density.shape[0], centre.shape[0]
    spans, lines, work = np.zeros((3, n, n + 1)), np.zeros((4, n + 1, n + 1)), np.zeros((20, 16))
    store, big, width = np.zeros((12, n + 1, n + 1)), np.zeros((3, nd, nd)), np.zeros((nd, nd))
    axis = _widest(centre, radius, free, importance, density, middle, width, big, store, spans, lines, work)
    _curvature(centre, radius, free, importance, density, middle, width, big, store, spans, lines, work)
    return axis


@jit(inner=True)
def _widest(centre, radius, free, importance, density, middle, width, big, store, spans, lines, work):
    """Return the axis of a box, centre and half-widths (nd,), to halve for the least range of the second derivative."""
    best, axis = np.inf, 0
    for k in range(centre.shape[0]):
        radius[k] *= 0.5
        _curvature(centre, radius, free, importance, density, middle, width, big, store, spans, lines, work)
        total = 0.0
        for j in range(centre.shape[0]):
            for l in range(centre.shape[0]):
                total += width[j, l]
        if total < best:
            best, axis = total, k
        radius[k] *= 2.0
    return axis


@jit
def kink_bracket(own, eta, p_own, p_other, bulge, i_own, i_other):
    """Return a lower bound of W_i² (I_i κ + I_k σ_i²)/(I_k σ_k²) − 2, i = own, k = other, over W_i² ≥ ``own``.

    σ_k² is taken ``bulge`` higher: where its chord over an interval of densities is then above it, what is positive at all
    corners of the interval is so within, as ψ is linear in either density and σ_i² concave.
    """
    m0, m1, m2 = 1.0 - eta, 0.5 * (1.0 - eta * eta), (1.0 - eta * eta * eta) / 3.0
    mean, second = 0.5 * p_other, p_other / 3.0
    reduced = m0 - m1 * m1 / m2
    kappa = np.inf
    for sign in (-1.0, 1.0):
        a, b = -1.0, 1.0
        for _ in range(60):
            x = 0.5 * (a + b)
            slope = 2.0 * p_own * reduced * (x + sign * mean) + (1.0 - p_own) * _clipped(x, sign, p_other, 1)
            if slope > 0.0:
                b = x
            else:
                a = x
        beta = 0.5 * (a + b)
        alpha = -(beta + sign * mean) * m1 / m2
        value = p_own * (
            alpha * alpha * m2 + 2.0 * alpha * m1 * (beta + sign * mean) + m0 * (second + 2.0 * sign * mean * beta + beta * beta)
        )
        value += (1.0 - p_own) * _clipped(beta, sign, p_other, 0)
        slope_a = 2.0 * p_own * (alpha * m2 + m1 * (beta + sign * mean))
        slope_b = 2.0 * p_own * (alpha * m1 + m0 * (beta + sign * mean)) + (1.0 - p_own) * _clipped(beta, sign, p_other, 1)
        # ¼ slopesᵀ (p M)⁻¹ slopes
        loss = (
            0.25
            * (slope_a * slope_a * m0 - 2.0 * slope_a * slope_b * m1 + slope_b * slope_b * m2)
            / (p_own * (m0 * m2 - m1 * m1))
        )
        kappa = min(kappa, value - loss)
    variance_own, variance_other = p_own / 3.0 - p_own * p_own / 4.0, p_other / 3.0 - p_other * p_other / 4.0
    unit = i_other * (variance_other + bulge)
    return (own * (i_own * kappa + i_other * variance_own) - 2.0 * unit) / unit - 1e-11


@jit(inner=True)
def _clipped(beta, sign, p, order):
    """Return E ((β + sx)⁺)² over a feature x of density p, or its slope in β (order 1)."""
    off = max(beta, 0.0)
    if sign > 0.0:
        a, b = max(beta + 1.0, 0.0), off
    else:
        a, b = off, max(beta - 1.0, 0.0)
    if order == 0:
        return (1.0 - p) * off * off + p * (a * a * a - b * b * b) / 3.0
    return 2.0 * (1.0 - p) * off + p * (a * a - b * b)
