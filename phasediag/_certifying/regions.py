"""Neighbourhoods of minima of two features in one dimension that are proved by themselves (numba kernels).

Around a smooth minimum (`convex_region`) the loss is strictly convex: half its second derivative is
Σ_i I_i J_iᵀ (M_i − Q_i) J_i + Σ_ij I_i S_ij D_iᵀ D_j, with g~ = row i of WᵀW and b_i, J its derivative, S = ∂L_i/∂g~_j and
Q = E[x_i δ(z) x~ x~ᵀ]. Over a box M ⪰ M(low) as quadratic forms; Q is integrated over x_i = w = −(b + g_ij x_j)/g_ii,

    Q = p_i/g_ii E_{x_j}[w 1{0 < w ≤ 1} (w, x_j, 1)(w, x_j, 1)ᵀ],

whose entries lie between those with least and most w; S and J are ranges. A range of matrices is positive definite when its
middle is, less the row sums of its half-widths; the box may be halved until each part is shown so. Where it is more than c
the box has at most one stationary point, and L ≥ L(x) − |L'(x)|²/(4c).

Around a feature k that is not represented, with the other, i, dedicated (`kink_region`), the curvature depends on the side,
however small the box. Let η bound |e|, e = (W_i² − 1) x_i + W_i W_k x_k + b_i, so that z_i = x_i + e > 0 where x_i > η, and let
z_k ≥ 0 for all inputs. Then, with ψ_s(α, β) = p_i ∫_η^1 E (α x + s x_k + β)² dx + (1 − p_i) E ((β + s x_k)⁺)² and κ = min_{s =
±1, α, β} ψ_s,

    L_i ≥ κ (W_i W_k)²,   L_k ≥ σ_k² (1 − W_k²)² + σ_i² (W_i W_k)²,
    L ≥ I_k σ_k² + W_k² (W_i² (I_i κ + I_k σ_i²) − 2 I_k σ_k²),

the first as E (x_i − z_i⁺)² is e² where z_i > 0 and scales with the square of (W_i² − 1, W_i W_k, b_i). Where the bracket is
positive the only minimum is W_i = ±1, W_k = 0, b_i = 0, b_k = p_k/2. ψ is convex with a second derivative of at least 2 p_i
∫_η^1 (x, 1)(x, 1)ᵀ dx, which bounds κ from any (α, β).
"""

import numpy as np

from .._compiling.jit import jit
from .bounds import MARGIN, product, size_of
from .moments import UNIT, moments
from .search import gram_ranges

_LOW3 = 0.5 - 0.5 * np.sqrt(0.6)
PARTS = 256
"""In how many parts a region's second derivative is looked at, at most."""
_SAFETY = 1e-12
"""Relative; the sums here have less than 200 terms of one size, so that rounding is below 200 × 2⁻⁵² of them."""


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
def line_moments(i, low, high, p_i, p_j, found, work):
    """Bound p_i/g_ii E_{x_j}[w^s x_j^l 1{0 < w ≤ 1}], s = 1 to 3, l = 0 to 2, over a box of g~ (3,): found (2, 3, 3)."""
    j = 1 - i
    most_a, most_b = -low[2], -low[j]
    least_a, least_b = -high[2], -high[j]
    # least and most w as lines over x_j; where negative, the divisor does not matter
    most_a, most_b = most_a / low[i], most_b / low[i]
    least_a, least_b = least_a / high[i], least_b / high[i]
    for s in range(3):
        for l in range(3):
            found[0, s, l] = found[1, s, l] = 0.0
    positive, fits, other = work[0], work[1], work[2]
    # most: min(w_most, 1) where w_most > 0 and w_least ≤ 1
    _below(-most_a, -most_b, 0.0, positive)
    _below(least_a, least_b, 1.0, fits)
    start, end = max(positive[0], fits[0]), min(positive[1], fits[1])
    _below(most_a, most_b, 1.0, other)
    _piece(most_a, most_b, max(start, other[0]), min(end, other[1]), False, p_j, found[1])
    if other[0] > other[1]:
        _piece(0.0, 0.0, start, end, True, p_j, found[1])
    else:
        _piece(0.0, 0.0, start, min(end, other[0]), True, p_j, found[1])
        _piece(0.0, 0.0, max(start, other[1]), end, True, p_j, found[1])
    # least: w_least where it is positive and w_most ≤ 1
    _below(-least_a, -least_b, 0.0, positive)
    _piece(least_a, least_b, max(positive[0], other[0]), min(positive[1], other[1]), False, p_j, found[0])
    off = 1.0 - p_j
    if most_a > 0.0 and least_a <= 1.0:
        v = min(most_a, 1.0)
        for s in range(3):
            off *= v
            found[1, s, 0] += off
    off = 1.0 - p_j
    if least_a > 0.0 and most_a <= 1.0:
        for s in range(3):
            off *= least_a
            found[0, s, 0] += off
    for s in range(3):
        for l in range(3):
            found[0, s, l] *= p_i / high[i] * (1.0 - _SAFETY)
            found[1, s, l] *= p_i / low[i] * (1.0 + _SAFETY)
            found[0, s, l] -= _SAFETY
            found[1, s, l] += _SAFETY


@jit(inner=True)
def _curvature(centre, radius, free, importance, density, middle, width, store, spans, lines, work):
    """Fill half the second derivative over a box (4,) ± : middle and half-width (4, 4); return whether it has one."""
    n, nw, nd = 2, 2, 4
    low, high, below, above = store[4, 0], store[4, 1], store[0], store[1]
    for k in range(nd):
        store[5, k // 3, k % 3] = 0.0
    low4, high4, v_low, v_high = work[3], work[4], store[6, 0], store[6, 1]
    for k in range(nd):
        low4[k], high4[k] = centre[k] - radius[k], centre[k] + radius[k]
        for l in range(nd):
            middle[k, l] = width[k, l] = 0.0
    gram_ranges(low4, high4, free, n, spans)
    inner, outer = store[7], store[8]
    s_mid, s_width = store[9], store[10]
    for i in range(n):
        if spans[0, i, i] <= 0.0:
            return False
        for j in range(n + 1):
            low[j], high[j] = spans[0, i, j], spans[1, i, j]
        size = size_of(low, high)
        margin = MARGIN[n] * size * size
        moments(low, density, below, work[7:])
        moments(high, density, above, work[7:])
        product(below, low, v_low)
        product(above, high, v_high)
        for j in range(n):
            a, b = 2.0 * (v_low[j] - above[i, j]), 2.0 * (v_high[j] - below[i, j])
            s_mid[i, j], s_width[i, j] = 0.5 * importance[i] * (a + b), importance[i] * (0.5 * (b - a) + 2.0 * margin)
        line_moments(i, low, high, density[i], density[1 - i], lines, work)
        # K = M(low) − Q, its middle and half-width; x~ = (x_i, x_j, 1) in powers of w and x_j
        for j in range(n + 1):
            for k in range(n + 1):
                s = (1 if j == i else 0) + (1 if k == i else 0)
                l = (1 if j == 1 - i else 0) + (1 if k == 1 - i else 0)
                inner[j, k] = below[j, k] - 0.5 * (lines[0, s, l] + lines[1, s, l])
                outer[j, k] = 0.5 * (lines[1, s, l] - lines[0, s, l]) + 2.0 * margin
        # J = at ± move of the two weights; the bias moves the last coordinate alone
        for k in range(nd):
            for l in range(nd):
                total = spread = 0.0
                for x in range(n + 1):
                    ax, mx = _jacobian(i, x, k, centre), (_jacobian(i, x, k, radius) if k < nw else 0.0)
                    if ax == 0.0 and mx == 0.0:
                        continue
                    for y in range(n + 1):
                        ay, my = _jacobian(i, y, l, centre), (_jacobian(i, y, l, radius) if l < nw else 0.0)
                        total += ax * inner[x, y] * ay
                        spread += (abs(ax) + mx) * (abs(ay) + my) * (abs(inner[x, y]) + outer[x, y]) - abs(ax * ay * inner[x, y])
                middle[k, l] += importance[i] * total
                width[k, l] += importance[i] * spread * (1.0 + _SAFETY) + _SAFETY * importance[i] * (1.0 + abs(total))
    for k in range(nw):
        for l in range(nw):
            middle[k, l] += 0.5 * (s_mid[k, l] + s_mid[l, k])
            width[k, l] += 0.5 * (s_width[k, l] + s_width[l, k])
    return True


@jit(inner=True)
def _jacobian(i, coordinate, parameter, weights):
    """Return ∂g~/∂parameter of row i at weights (4,), two features in one dimension."""
    if parameter >= 2:
        return 1.0 if coordinate == 2 and parameter == 2 + i else 0.0
    if coordinate == 2:
        return 0.0
    return (weights[i] if coordinate == parameter else 0.0) + (weights[coordinate] if i == parameter else 0.0)


@jit(inner=True)
def _definite(middle, width, least, factor):
    """Return whether middle − the row sums of width, (4, 4) each, is greater than ``least`` times 1."""
    trace = 0.0
    for j in range(4):
        trace += abs(middle[j, j])
    for j in range(4):
        for k in range(j + 1):
            total = middle[j, k]
            if j == k:
                total -= least + 1024.0 * UNIT * trace
                for l in range(4):
                    total -= width[j, l]
            for h in range(k):
                total -= factor[j, h] * factor[k, h]
            if j == k:
                if total <= 0.0:
                    return False
                factor[j, j] = np.sqrt(total)
            else:
                factor[j, k] = total / factor[k, k]
    return True


@jit
def convex_region(centre, least, free, importance, density, radius):
    """Find half-widths (4,) of a box about ``centre`` (4,) on which half the second derivative is > ``least``.

    Return whether there is one; radius holds the shape of the box and the first try.
    """
    spans, lines, work, store = np.zeros((3, 2, 3)), np.zeros((2, 3, 3)), np.zeros((20, 12)), np.zeros((12, 3, 3))
    parts, matrices, shape = np.zeros((PARTS, 2, 4)), np.zeros((3, 4, 4)), radius.copy()
    times, most, step = 0, 1, 1  # in one part it is small enough, then in more parts large
    while 0 <= times < 40:
        for k in range(4):
            parts[0, 0, k], parts[0, 1, k] = centre[k], shape[k] * 0.7**times
        holds = _convex(parts, most, least, free, importance, density, matrices, store, spans, lines, work)
        if holds:
            for k in range(4):
                radius[k] = shape[k] * 0.7**times
            most, step = PARTS, -1
        elif most > 1:
            return True
        times += step
    return times < 0


@jit(inner=True)
def _convex(parts, most, least, free, importance, density, matrices, store, spans, lines, work):
    """Return whether half the second derivative is > ``least`` on the box parts[0], centre and half-widths (4,), in parts.

    At most ``most`` parts are looked at; parts (PARTS, 2, 4): those that wait.
    """
    middle, width, factor = matrices[0], matrices[1], matrices[2]
    centre, radius, none = work[17], work[18], work[19]
    waiting, seen = 1, 0
    while waiting > 0:
        waiting -= 1
        seen += 1
        for k in range(4):
            centre[k], radius[k], none[k] = parts[waiting, 0, k], parts[waiting, 1, k], 0.0
        if _curvature(centre, radius, free, importance, density, middle, width, store, spans, lines, work) and _definite(
            middle, width, least, factor
        ):
            continue
        if seen >= most or waiting + 2 > parts.shape[0]:
            return False
        if not _curvature(centre, none, free, importance, density, middle, width, store, spans, lines, work) or not _definite(
            middle, width, least, factor
        ):
            return False
        axis = _widest(centre, radius, free, importance, density, middle, width, store, spans, lines, work)
        for half in range(2):
            for k in range(4):
                parts[waiting, 0, k], parts[waiting, 1, k] = centre[k], radius[k]
            parts[waiting, 1, axis] *= 0.5
            parts[waiting, 0, axis] += (2 * half - 1) * parts[waiting, 1, axis]
            parts[waiting, 1, axis] *= 1.0 + 4.0 * UNIT
            waiting += 1
    return True


@jit
def widest_axis(centre, radius, free, importance, density):
    """Return the axis along which to halve a box, centre and half-widths (4,)."""
    spans, lines, work, store = np.zeros((3, 2, 3)), np.zeros((2, 3, 3)), np.zeros((17, 12)), np.zeros((12, 3, 3))
    middle, width = np.zeros((4, 4)), np.zeros((4, 4))
    return _widest(centre, radius, free, importance, density, middle, width, store, spans, lines, work)


@jit(inner=True)
def _widest(centre, radius, free, importance, density, middle, width, store, spans, lines, work):
    """Return the axis of a box, centre and half-widths (4,), to halve for the least range of the second derivative."""
    best, axis = np.inf, 0
    for k in range(4):
        radius[k] *= 0.5
        _curvature(centre, radius, free, importance, density, middle, width, store, spans, lines, work)
        total = 0.0
        for j in range(4):
            for l in range(4):
                total += width[j, l]
        if total < best:
            best, axis = total, k
        radius[k] *= 2.0
    return axis


@jit
def kink_bracket(own, other, eta, p_own, p_other, i_own, i_other):
    """Return a lower bound of W_i² (I_i κ + I_k σ_i²)/(I_k σ_k²) − 2, i = own, k = other, over W_i² ≥ ``own``."""
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
    unit = i_other * variance_other
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
