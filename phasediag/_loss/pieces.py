"""Polynomials in Bernstein form on pieces between knots: one output's loss as a function of t = b + Σ_{j≠i} a_j x_j.

Averaged over x_i alone the loss E (x_i − (a_i x_i + t)⁺)² is constant left of −a_i, quadratic right of 0 and cubic between.
The coefficients of one function on [s, e] are its polar form at (s, …, s, e, …, e), so restriction to a part is a chain
of convex combinations (de Casteljau) and integration a running sum.

The functions ("components") are numbered in the order in which they come into being. Without derivatives: f. First
order: f, f', then ∂f/∂a_k for k = 0 (the own weight a_i), 1, 2, …. Second order: f, f', f'', then for every k: ∂f/∂a_k,
∂f'/∂a_k, ∂²f/∂a_k∂a_0, …, ∂²f/∂a_k².
"""

import numpy as np

from .._compiling.jit import jit, offset


@jit(inner=True)
def first_component(k, order):
    """Number of the first component born with weight k; those before it exist when it is averaged over."""
    return 1 if order == 0 else 2 + k if order == 1 else 3 + 3 * k + k * (k - 1) // 2


@jit(inner=True)
def split(rest, left, x, y, degree):
    """de Casteljau: ``left`` gets the part before x of 1 = x + y, ``rest`` keeps the part after it."""
    left[0] = rest[0]
    for r in range(1, degree + 1):
        for i in range(degree + 1 - r):
            rest[i] = y * rest[i] + x * rest[i + 1]
        left[r] = rest[0]


@jit(inner=True)
def moments(c, degree):
    """∫₀¹ x^k of the polynomial with Bernstein coefficients c, for k = 0, 1, 2."""
    m0 = m1 = m2 = 0.0
    for i in range(degree + 1):
        m0 += c[i]
        m1 += c[i] * (i + 1)
        m2 += c[i] * ((i + 1) * (i + 2))
    d1, d2, d3 = degree + 1, degree + 2, degree + 3
    return m0 / d1, m1 / (d1 * d2), m2 / (d1 * d2 * d3)


@jit(inner=True)
def elevate(c, degree, to):
    """Raise the degree of c in place."""
    for d in range(degree + 1, to + 1):
        c[d] = c[d - 1]
        for i in range(d - 1, 0, -1):
            c[i] = ((d - i) * c[i] + i * c[i - 1]) / d


@jit(inner=True)
def fraction(start, x, end):
    """(x − start)/(end − start) and its complement, each to full relative accuracy."""
    before, after = max(x - start, 0.0), max(end - x, 0.0)
    whole = before + after
    return (before / whole, after / whole) if whole > 0.0 else (0.0, 1.0)


@jit(inner=True)
def quadratic_piece(c, width, s, e, degree, order, residual, own_p, a, p, processed):
    """Coefficients on [s, e] where z > 0 throughout: E (x_i − z)² = (mean − t)² + variance.

    ``a``, ``p``: weights and densities already averaged over; with all of them and s = e = b: the linear model's loss.
    """
    own_variance = own_p * (4.0 - 3.0 * own_p) / 12.0
    mean, variance = 0.5 * own_p * residual, residual * residual * own_variance
    for j in range(processed):
        mean -= 0.5 * p[j] * a[j]
        variance += a[j] * a[j] * (p[j] * (4.0 - 3.0 * p[j]) / 12.0)
    left, right = mean - s, mean - e
    ss, se, ee = left * left + variance, left * right + variance, right * right + variance
    for i in range(degree + 1):
        k = degree - i
        c[i] = (k * (k - 1) * ss + 2 * k * i * se + i * (i - 1) * ee) / (degree * (degree - 1))
    if order == 0:
        return
    for i in range(degree):
        k = degree - 1 - i
        c[width + i] = 2.0 * (k * (s - mean) + i * (e - mean)) / (degree - 1)
    for k in range(processed + 1):
        if k == 0:
            mean_k, variance_k, curvature = -0.5 * own_p, -2.0 * residual * own_variance, own_variance
        else:
            curvature = p[k - 1] * (4.0 - 3.0 * p[k - 1]) / 12.0
            mean_k, variance_k = -0.5 * p[k - 1], 2.0 * a[k - 1] * curvature
        at = first_component(k, order) * width
        for i in range(degree + 1):
            t_minus_mean = ((degree - i) * (s - mean) + i * (e - mean)) / degree
            c[at + i] = variance_k - 2.0 * t_minus_mean * mean_k
        if order == 2:
            at += width
            for i in range(degree):
                c[at + i] = -2.0 * mean_k
            for l in range(k + 1):
                at += width
                value = 2.0 * mean_k * (-0.5 * (own_p if l == 0 else p[l - 1]))
                if l == k:
                    value += 2.0 * curvature
                for i in range(degree + 1):
                    c[at + i] = value
    if order == 2:
        for i in range(degree - 1):
            c[2 * width + i] = 2.0


@jit(inner=True)
def constant_piece(c, width, degree, order, own_p, processed):
    """Coefficients where z ≤ 0 throughout: E x_i²."""
    for component in range(first_component(processed + 1, order)):
        value = own_p / 3.0 if component == 0 else 0.0
        for i in range(degree + 1):
            c[component * width + i] = value


@jit(inner=True)
def cubic_piece(c, width, s, e, order, own, residual, own_p, row):
    """Coefficients on [s, e] within [−a_i, 0]: with v = −t/a_i and r = 1 − a_i,

    g/p_i = (1−v)³ r²/3 + (1−v)² v r + (1−v) v² + v³/3, which is its Bernstein form in v; derivatives in the same form.
    """
    x0, y0, x1, y1 = -s / own, (s + own) / own, -e / own, (e + own) / own
    r = residual
    for component in range(1 if order == 0 else 3 if order == 1 else 6):
        degree = 3
        if component == 0:
            row[0], row[1], row[2], row[3] = r * r / 3.0, r / 3.0, 1.0 / 3.0, 1.0 / 3.0
        elif component == 1:
            degree = 2
            row[0], row[1], row[2] = -r, -1.0, 0.0
        elif component == order + 1:
            row[0], row[1], row[2], row[3] = -2.0 * r / 3.0, -(1.0 + r) / 3.0, -2.0 / 3.0, 0.0
        elif component == 2:
            degree = 1
            row[0], row[1] = 2.0, -2.0 / own
        elif component == 4:
            degree = 2
            row[0], row[1], row[2] = 1.0, 1.0, -2.0 / own
        else:
            row[0], row[1], row[2], row[3] = 2.0 / 3.0, 2.0 / 3.0, 2.0 / 3.0, -2.0 / own
        # the polar form at (v(s), …, v(s), v(e), …, v(e)) is the coefficient on [s, e]
        for i in range(degree + 1):
            for m in range(degree + 1):
                row[8 + m] = row[m]
            for level in range(degree):
                x, y = (x1, y1) if level < i else (x0, y0)
                for m in range(degree - level):
                    row[8 + m] = y * row[8 + m] + x * row[8 + m + 1]
            c[component * width + i] = own_p * row[8]


@jit(inner=True)
def first_pieces(out, size, width, x, lo, hi, order, own, residual, own_p, row, count):
    """Pieces of g on [lo, hi], left of −a_i, up to 0, and right of 0, ``size`` entries each; their number goes to ``count``."""
    s, degree, none = lo, np.int64(3), np.int64(0)
    n = np.int64(0)
    if s < -own:
        x[0], s = s, min(hi, -own)
        constant_piece(out, width, degree, order, own_p, none)
        n += 1
    if s < 0.0 and (s < hi or n == 0):
        x[n], e = s, min(hi, 0.0)
        cubic_piece(offset(out, n * size), width, s, e, order, own, residual, own_p, row)
        s = e
        n += 1
    if s < hi or n == 0:
        x[n] = s
        quadratic_piece(offset(out, n * size), width, s, hi, degree, order, residual, own_p, row, row, none)
        n += 1
    x[n] = hi
    count[0] = n
