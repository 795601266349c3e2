"""Moments of a clipped linear form: the loss of one output as a function of its own numbers, exact and stable.

One output's loss is E (x_i − (a·x + b)⁺)². Averaged over x_i alone it is a nonnegative function g(t) of t = b + Σ_{j≠i}
a_j x_j, cubic between its knots −a_i and 0. Averaging over one more feature is the positive operator

    f ↦ q_j f(t) + p_j ∫₀¹ f(t + a_j u) du,

which turns a polynomial on every piece between knots into a polynomial, one degree higher, on the pieces between the old
knots and their copies shifted by −a_j. Polynomials are kept in Bernstein form on their own piece, where restriction to a
part is a chain of convex combinations and integration a running sum: nothing is ever subtracted, so the loss keeps its
relative accuracy for every scale of the weights, every density, and knots anywhere. The largest |a_j| goes first; the
function is then only needed on the short interval around b that the remaining features can reach.
Derivatives are further functions under the same operator: ∂/∂a_j is p_j ∫₀¹ u f'(t + a_j u) du.

The functions ("components") are numbered in the order in which they come into being. Without derivatives: f. First order:
f, f', then ∂f/∂a_k for k = 0 (the own weight a_i), 1, 2, …. Second order: f, f', f'', then for every k: ∂f/∂a_k, ∂f'/∂a_k,
∂²f/∂a_k∂a_0 … ∂²f/∂a_k².
"""

import numpy as np

from ._jit import jit

NODES, NODE_WEIGHTS = np.zeros((16, 16)), np.zeros((16, 16))
for _count in range(1, 16):
    _x, _w = np.polynomial.legendre.leggauss(_count)
    NODES[_count, :_count], NODE_WEIGHTS[_count, :_count] = (1 + _x) / 2, _w / 2

# Two knots closer than this times |a_j| are one knot: f is smooth on the scale |a_j| once feature j is averaged over.
SAME_KNOT = 2.0**-50


@jit
def first_component(k, order):
    """Number of the first component born with weight k; those before it exist when it is averaged over."""
    return 1 if order == 0 else 2 + k if order == 1 else 3 + 3 * k + k * (k - 1) // 2


def workspace(n_features, order, relu):
    """Arrays that `clipped_moments` works in."""
    components, pieces = first_component(n_features, order), 2 ** (n_features - 1) + 1 if relu else 1
    kind = np.full((components, 2), -1)  # derivatives in t; offspring under the u-weighted average, counted from the first
    kind[:, 0] = 0
    if order == 1:
        kind[1] = 1, 0
    if order == 2:
        kind[1], kind[2] = (1, 0), (2, 1)
        for k in range(n_features):
            kind[first_component(k, 2) + 1] = 1, 2 + k
    return (
        np.empty((2, pieces, components, n_features + 4)),  # Bernstein coefficients of two levels
        np.empty((2, pieces + 1)),  # their knots
        np.empty((pieces, components, 3)),  # moments of the pieces
        np.empty((2, components, n_features + 4)),  # what is left of the pieces at both window ends
        np.empty((components, 3)),  # moments of the used part of the piece at the upper window end
        np.empty((11, n_features + 12)),  # rows of coefficients
        np.empty((2, n_features + 1)),  # reach of the remaining features
        kind,
    )


@jit
def _split(rest, left, x, y, degree):
    """de Casteljau: ``left`` gets the part before x of 1 = x + y, ``rest`` keeps the part after it."""
    left[0] = rest[0]
    for r in range(1, degree + 1):
        for i in range(degree + 1 - r):
            rest[i] = y * rest[i] + x * rest[i + 1]
        left[r] = rest[0]


@jit
def _moment(c, degree, power):
    """∫₀¹ x^power of the polynomial with Bernstein coefficients c."""
    total = 0.0
    if power == 0:
        for i in range(degree + 1):
            total += c[i]
        return total / (degree + 1)
    if power == 1:
        for i in range(degree + 1):
            total += c[i] * (i + 1)
        return total / ((degree + 1) * (degree + 2))
    for i in range(degree + 1):
        total += c[i] * ((i + 1) * (i + 2))
    return total / ((degree + 1) * (degree + 2) * (degree + 3))


@jit
def _elevate(c, degree, to):
    """Raise the degree of c in place."""
    for d in range(degree + 1, to + 1):
        c[d] = c[d - 1]
        for i in range(d - 1, 0, -1):
            c[i] = ((d - i) * c[i] + i * c[i - 1]) / d


@jit
def _fraction(start, x, end):
    """(x − start)/(end − start) and its complement, each to full relative accuracy."""
    before, after = max(x - start, 0.0), max(end - x, 0.0)
    whole = before + after
    return (before / whole, after / whole) if whole > 0.0 else (0.0, 1.0)


@jit
def _quadratic_piece(c, s, e, degree, order, own, residual, own_p, a, p, processed):
    """Coefficients on [s, e] where z > 0 throughout: E (x_i − z)² = (mean − t)² + variance.

    ``a`` and ``p`` are the processed weights and densities; with them all and s = e = b this is the linear model's loss.
    """
    own_variance = own_p * (4.0 - 3.0 * own_p) / 12.0
    mean, variance = 0.5 * own_p * residual, residual * residual * own_variance
    for j in range(processed):
        mean -= 0.5 * p[j] * a[j]
        variance += a[j] * a[j] * (p[j] * (4.0 - 3.0 * p[j]) / 12.0)
    ss, se, ee = (mean - s) ** 2 + variance, (mean - s) * (mean - e) + variance, (mean - e) ** 2 + variance
    for i in range(degree + 1):
        k = degree - i
        c[0, i] = (k * (k - 1) * ss + 2 * k * i * se + i * (i - 1) * ee) / (degree * (degree - 1))
    if order == 0:
        return
    for i in range(degree):
        k = degree - 1 - i
        c[1, i] = 2.0 * (k * (s - mean) + i * (e - mean)) / (degree - 1)
    for k in range(processed + 1):
        mean_k = -0.5 * own_p if k == 0 else -0.5 * p[k - 1]
        variance_k = (
            -2.0 * residual * own_variance if k == 0 else 2.0 * a[k - 1] * (p[k - 1] * (4.0 - 3.0 * p[k - 1]) / 12.0)
        )
        first = first_component(k, order)
        for i in range(degree + 1):
            t_minus_mean = ((degree - i) * (s - mean) + i * (e - mean)) / degree
            c[first, i] = variance_k - 2.0 * t_minus_mean * mean_k
        if order == 2:
            for i in range(degree):
                c[first + 1, i] = -2.0 * mean_k
            for l in range(k + 1):
                mean_l = -0.5 * own_p if l == 0 else -0.5 * p[l - 1]
                value = 2.0 * mean_k * mean_l
                if l == k:
                    value += 2.0 * (own_variance if k == 0 else p[k - 1] * (4.0 - 3.0 * p[k - 1]) / 12.0)
                for i in range(degree + 1):
                    c[first + 2 + l, i] = value
    if order == 2:
        for i in range(degree - 1):
            c[2, i] = 2.0


@jit
def _constant_piece(c, degree, order, own_p, processed):
    """Coefficients where z ≤ 0 throughout: E x_i²."""
    for component in range(first_component(processed + 1, order)):
        for i in range(degree + 1):
            c[component, i] = own_p / 3.0 if component == 0 else 0.0


@jit
def _cubic_piece(c, s, e, order, own, residual, own_p, row):
    """Coefficients on [s, e] within [−a_i, 0]: with v = −t/a_i and r = 1 − a_i,

    g/p_i = (1−v)³ r²/3 + (1−v)² v r + (1−v) v² + v³/3, which is its Bernstein form in v; derivatives in the same form.
    """
    x0, y0, x1, y1 = -s / own, (s + own) / own, -e / own, (e + own) / own
    r = residual
    for component in range(first_component(1, order)):
        degree = 3
        if component == 0:
            row[0], row[1], row[2], row[3] = r * r / 3.0, r / 3.0, 1.0 / 3.0, 1.0 / 3.0
        elif component == 1:
            degree = 2
            row[0], row[1], row[2] = -r, -1.0, 0.0
        elif component == first_component(0, order):
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
            c[component, i] = own_p * row[8]


@jit
def _average(rows, degree, q, p, share, m0, m1, m2, falling, births):
    """q f(t) + p × average over the window [lo, hi] that moves along a piece; share = piece length/window length.

    rows[0]: coefficients at the low end, rows[1]: at the high end, on that piece; m0, m1, m2: moments, in the fraction of
    the stretch between, of the part that stays inside the window. Results: rows[2] as said, one degree up; rows[3] p ×
    average weighted with u, rows[4] with u², two and three degrees up; u runs from 0 at t (lo, or hi when falling) to 1.
    """
    if falling:  # mirror: then t is the low end
        for i in range((degree + 2) // 2):
            k = degree - i
            rows[0, i], rows[1, k], rows[0, k], rows[1, i] = rows[1, k], rows[0, i], rows[1, i], rows[0, k]
        m0, m1, m2 = m0, m0 - m1, m0 - 2.0 * m1 + m2
    keep, d = 1.0 - share, degree + 1
    # repeated integrals: from t to the end of the piece (low end), from its start to t (high end)
    for order in range(1, births + 2):
        low, high = 3 + 2 * order, 4 + 2 * order
        source_low, source_high = (0, 1) if order == 1 else (low - 2, high - 2)
        n = degree + order
        total = 0.0
        rows[low, n] = 0.0
        for i in range(n - 1, -1, -1):
            total += rows[source_low, i]
            rows[low, i] = total / n
        total = 0.0
        rows[high, 0] = 0.0
        for i in range(1, n + 1):
            total += rows[source_high, i - 1]
            rows[high, i] = total / n
    for i in range(d + 1):
        point = ((d - i) * rows[0, min(i, degree)] + i * rows[0, max(i - 1, 0)]) / d
        rows[2, i] = q * point + p * (share * (rows[5, i] + rows[6, i]) + keep * m0)
    if births > 0:
        n = degree + 2
        _elevate(rows[6], degree + 1, n)
        for i in range(n + 1):
            inside = keep * m1 + share * m0 * (n - i) / n
            rows[3, i] = p * (keep * inside + share * rows[6, i] + share * share * (rows[7, i] - rows[8, i]))
    if births > 1:
        n = degree + 3
        _elevate(rows[6], degree + 2, n)
        _elevate(rows[8], degree + 2, n)
        for i in range(n + 1):
            f1, f2 = (n - i) / n, (n - i) * (n - i - 1) / (n * (n - 1))
            inside = keep * keep * m2 + 2.0 * keep * share * f1 * m1 + share * share * f2 * m0
            high = rows[6, i] - 2.0 * share * rows[8, i] + 2.0 * share * share * rows[10, i]
            rows[4, i] = p * (keep * inside + share * high + 2.0 * share**3 * rows[9, i])
    if falling:
        for result in range(births + 1):
            n = degree + 1 + result
            for i in range((n + 1) // 2):
                rows[2 + result, i], rows[2 + result, n - i] = rows[2 + result, n - i], rows[2 + result, i]


@jit
def _average_inside(rows, piece, start, end, lo0, lo1, size, degree, q, p, falling, births):
    """As `_average`, for a window that is shorter than the piece it moves along and stays in one polynomial."""
    n_nodes = (degree + births + 2) // 2
    for birth in range(births + 1):
        for i in range(degree + 1):
            rows[2 + birth, i] = 0.0
    for node in range(-1, n_nodes):  # node −1 is the point t itself
        w = (1.0 if falling else 0.0) if node < 0 else NODES[n_nodes, node]
        weight = q if node < 0 else p * NODE_WEIGHTS[n_nodes, node]
        u = 0.0 if node < 0 else 1.0 - w if falling else w
        for i in range(degree + 1):
            rows[5, i] = piece[i]
        at = lo0 + size * w
        x, y = _fraction(start, at, end)
        _split(rows[5], rows[6], x, y, degree)
        x, y = _fraction(at, lo1 + size * w, end)
        _split(rows[5], rows[6], x, y, degree)
        for i in range(degree + 1):
            rows[2, i] += weight * rows[6, i]
            if births > 0:
                rows[3, i] += weight * u * rows[6, i]
            if births > 1:
                rows[4, i] += weight * u * u * rows[6, i]
    for birth in range(births + 1):
        _elevate(rows[2 + birth], degree, degree + 1 + birth)


@jit
def _first_pieces(out, x, lo, hi, order, own, residual, own_p, a, p, row):
    """Pieces of g on [lo, hi]; returns their number, and whether the first is constant and the last quadratic."""
    n, s, constant, quadratic = 0, lo, False, False
    if s < -own:
        constant = True
        x[0], s = s, min(hi, -own)
        _constant_piece(out[0], 3, order, own_p, 0)
        n = 1
    if s < 0.0 and (s < hi or n == 0):
        x[n], e = s, min(hi, 0.0)
        _cubic_piece(out[n], s, e, order, own, residual, own_p, row)
        s = e
        n += 1
    if s < hi or n == 0:
        quadratic = True
        x[n] = s
        _quadratic_piece(out[n], s, hi, 3, order, own, residual, own_p, a, p, 0)
        n += 1
    x[n] = hi
    return n, constant, quadratic


@jit
def _average_over(source, x, shape, out, x_out, lo, hi, order, own, residual, own_p, a, p, k, work):
    """Average over feature k: from the pieces ``source`` between knots ``x`` to pieces ``out`` on [lo, hi].

    The low and the high end of the window walk through the source, each holding what is left of its piece.
    """
    _, _, moments, rest, used, rows, _, kind = work
    n, constant, quadratic = shape
    first, n_components, degree = first_component(k, order), first_component(k, order), k + 2
    weight, density = a[k - 1], p[k - 1]
    size, down, up, falling = abs(weight), min(weight, 0.0), max(weight, 0.0), weight < 0.0
    for piece in range(1, n - 1):
        for c in range(n_components):
            for power in range(3 if kind[c, 1] >= 0 else 1):
                moments[piece, c, power] = _moment(source[piece, c], degree - kind[c, 0], power)
    at_a, at_b, start_a, start_b, s, n_out = 0, 0, x[0], lo + up, lo, 0
    first_constant = is_quadratic = False
    while at_b < n - 1 and x[at_b + 1] <= start_b:
        at_b += 1
    xb, yb = _fraction(x[at_b], start_b, x[at_b + 1])
    for c in range(n_components):
        d, length = degree - kind[c, 0], max(start_b - x[at_b], 0.0) / size
        for i in range(d + 1):
            rest[0, c, i], rest[1, c, i] = source[0, c, i], source[at_b, c, i]
        _split(rest[1, c], rows[1], xb, yb, d)
        for power in range(3):
            used[c, power] = length ** (power + 1) * _moment(rows[1], d, power)
    while True:
        end_a = x[at_a + 1] - down if at_a < n - 1 else np.inf
        end_b = x[at_b + 1] - up if at_b < n - 1 else np.inf
        e = min(end_a, end_b, hi)
        if e > s + SAME_KNOT * size or (e == hi and n_out == 0):
            x_out[n_out] = s
            lo1, hi0, hi1 = e + down, s + up, e + up
            share = min((e - s) / size, 1.0)
            inside = at_a == at_b and e - s > size
            xa, ya = _fraction(start_a, lo1, x[at_a + 1])
            xb, yb = _fraction(start_b, hi1, x[at_b + 1])
            xm, ym = _fraction(lo1, hi0, x[at_a + 1])
            is_constant, is_quadratic = constant and at_b == 0, quadratic and at_a == n - 1
            if n_out == 0:
                first_constant = is_constant
            if is_constant:
                _constant_piece(out[n_out], degree + 1, order, own_p, k)
            elif is_quadratic:
                _quadratic_piece(out[n_out], s, e, degree + 1, order, own, residual, own_p, a, p, k)
            else:
                for c in range(n_components):
                    d = degree - kind[c, 0]
                    births = 0 if kind[c, 1] < 0 else 2 if kind[c, 0] == 2 else 1
                    if inside:
                        _average_inside(
                            rows, rest[0, c], start_a, x[at_a + 1], s + down, lo1, size, d, 1.0 - density, density,
                            falling, births,
                        )  # fmt: skip
                        for i in range(d + 1):
                            out[n_out, c, i] = rows[2, i]
                    _split(rest[0, c], rows[0], xa, ya, d)
                    _split(rest[1, c], rows[1], xb, yb, d)
                    if not inside:
                        m0, m1, m2 = 0.0, 0.0, 0.0
                        if at_a == at_b:
                            for i in range(d + 1):
                                rows[5, i] = rest[0, c, i]
                            _split(rows[5], rows[6], xm, ym, d)
                            m0 = _moment(rows[6], d, 0)
                            if births:
                                m1, m2 = _moment(rows[6], d, 1), _moment(rows[6], d, 2)
                        else:
                            whole = max(x[at_a + 1] - lo1, 0.0) / size
                            m0 = whole * _moment(rest[0, c], d, 0)
                            if births:
                                m1 = whole * whole * _moment(rest[0, c], d, 1)
                                m2 = whole**3 * _moment(rest[0, c], d, 2)
                            for piece in range(at_a + 1, at_b):
                                length = (x[piece + 1] - x[piece]) / size
                                whole += length
                                m0 += length * moments[piece, c, 0]
                                if births:
                                    offset = (x[piece] - lo1) / size
                                    m1 += length * (offset * moments[piece, c, 0] + length * moments[piece, c, 1])
                                    m2 += length * (
                                        offset * offset * moments[piece, c, 0]
                                        + 2.0 * offset * length * moments[piece, c, 1]
                                        + length * length * moments[piece, c, 2]
                                    )
                            offset = (x[at_b] - lo1) / size
                            whole += max(hi0 - x[at_b], 0.0) / size
                            m0 += used[c, 0]
                            m1 += offset * used[c, 0] + used[c, 1]
                            m2 += offset * offset * used[c, 0] + 2.0 * offset * used[c, 1] + used[c, 2]
                            if whole > 0.0:
                                m0, m1, m2 = m0 / whole, m1 / whole**2, m2 / whole**3
                            else:
                                m0 = rest[0, c, 0]
                                m1, m2 = m0 / 2.0, m0 / 3.0
                        offset, length = (hi0 - x[at_b]) / size, (hi1 - hi0) / size
                        n0 = _moment(rows[1], d, 0)
                        used[c, 0] += length * n0
                        if births:
                            n1, n2 = _moment(rows[1], d, 1), _moment(rows[1], d, 2)
                            used[c, 1] += length * (offset * n0 + length * n1)
                            used[c, 2] += length * (
                                offset * offset * n0 + 2.0 * offset * length * n1 + length * length * n2
                            )
                        _average(rows, d, 1.0 - density, density, share, m0, m1, m2, falling, births)
                    for i in range(d + 2):
                        out[n_out, c, i] = rows[2, i]
                    if births > 0:
                        for i in range(d + 3):
                            out[n_out, first + kind[c, 1], i] = rows[3, i]
                    if births > 1:
                        for i in range(d + 4):
                            out[n_out, first + 2 + k, i] = rows[4, i]
            start_a, start_b, s = lo1, hi1, e
            n_out += 1
        if e == hi:
            break
        if end_a == e:
            at_a += 1
            start_a = x[at_a]
            for c in range(n_components):
                for i in range(degree + 1):
                    rest[0, c, i] = source[at_a, c, i]
        if end_b == e:
            at_b += 1
            start_b = x[at_b]
            for c in range(n_components):
                used[c, 0] = used[c, 1] = used[c, 2] = 0.0
                for i in range(degree + 1):
                    rest[1, c, i] = source[at_b, c, i]
    x_out[n_out] = hi
    return n_out, first_constant, is_quadratic


@jit
def clipped_moments(own, residual, own_p, a, p, n_others, bias, relu, order, work, out):
    """Loss of one output and its derivatives.

    Parameters: a_i, 1 − a_i, p_i; the other weights, not zero, by falling size, and their densities; b_i. ``out`` gets
    the components; derivatives in t are derivatives in b. ``order`` is 0, 1 or 2: how many derivatives.
    """
    pieces, knots, _, _, _, rows, reach, kind = work
    below = above = 0.0
    reach[0, n_others] = reach[1, n_others] = bias
    for k in range(n_others - 1, -1, -1):
        below += min(a[k], 0.0)
        above += max(a[k], 0.0)
        reach[0, k], reach[1, k] = bias + below, bias + above
    n_components = first_component(n_others + 1, order)
    if not relu or reach[0, 0] >= 0.0 or reach[1, 0] < -own:
        if relu and reach[1, 0] < -own:
            _constant_piece(pieces[0, 0], 2, order, own_p, n_others)
        else:
            _quadratic_piece(pieces[0, 0], bias, bias, 2, order, own, residual, own_p, a, p, n_others)
        for c in range(n_components):
            out[c] = pieces[0, 0, c, 0]
        return
    shape = _first_pieces(pieces[0], knots[0], reach[0, 0], reach[1, 0], order, own, residual, own_p, a, p, rows[0])
    if n_others == 0:
        for c in range(n_components):
            out[c] = pieces[0, 0, c, 0]
        return
    here = 0
    for k in range(1, n_others):
        shape = _average_over(
            pieces[here], knots[here], shape, pieces[1 - here], knots[1 - here], reach[0, k], reach[1, k], order, own,
            residual, own_p, a, p, k, work,
        )  # fmt: skip
        here = 1 - here
    # the last average is needed at the one point b
    n, _, _ = shape
    k, degree, x, source, q = n_others, n_others + 2, knots[here], pieces[here], 1.0 - p[n_others - 1]
    first, falling, size = first_component(k, order), a[k - 1] < 0.0, abs(a[k - 1])
    for c in range(first):
        d = degree - kind[c, 0]
        births = 0 if kind[c, 1] < 0 else 2 if kind[c, 0] == 2 else 1
        whole = m0 = m1 = m2 = 0.0
        for piece in range(n):
            length, offset = (x[piece + 1] - x[piece]) / size, (x[piece] - x[0]) / size
            whole += length
            n0 = _moment(source[piece, c], d, 0)
            m0 += length * n0
            if births:
                n1, n2 = _moment(source[piece, c], d, 1), _moment(source[piece, c], d, 2)
                m1 += length * (offset * n0 + length * n1)
                m2 += length * (offset * offset * n0 + 2.0 * offset * length * n1 + length * length * n2)
        if whole > 0.0:
            m0, m1, m2 = m0 / whole, m1 / whole**2, m2 / whole**3
        else:
            m0 = source[0, c, 0]
            m1, m2 = m0 / 2.0, m0 / 3.0
        if falling:
            m1, m2 = m0 - m1, m0 - 2.0 * m1 + m2
        out[c] = q * (source[n - 1, c, d] if falling else source[0, c, 0]) + p[k - 1] * m0
        if births > 0:
            out[first + kind[c, 1]] = p[k - 1] * m1
        if births > 1:
            out[first + 2 + k] = p[k - 1] * m2
