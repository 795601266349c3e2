"""Moments of a clipped linear form: the loss of one output as a function of its own numbers, exact and stable.

One output's loss is E (x_i − (a·x + b)⁺)². Averaged over x_i alone it is a nonnegative function of t = b + Σ_{j≠i} a_j x_j,
polynomial between knots (`_pieces`). Averaging over one more feature is the positive operator

    f ↦ q_j f(t) + p_j ∫₀¹ f(t + a_j u) du,

which turns a polynomial on every piece into a polynomial, one degree higher, on the pieces between the old knots and their
copies shifted by −a_j. In Bernstein form nothing is ever subtracted, so the loss keeps its relative accuracy for every
scale of the weights, every density, and knots anywhere. The largest |a_j| goes first; the function is then only needed on
the short interval around b that the remaining features can reach.
Derivatives are further functions under the same operator: ∂/∂a_j is p_j ∫₀¹ u f'(t + a_j u) du.
"""

from functools import cache

import numpy as np

from ._jit import address, call, jit
from ._pieces import constant_piece, first_component, first_pieces, fraction, moments, quadratic_piece, split
from ._window import average, average_inside, legendre, stretch

# Two knots closer than this times |a_j| are one knot: f is smooth on the scale |a_j| once feature j is averaged over.
SAME_KNOT = 2.0**-50

# Where a workspace keeps the number of pieces, and the addresses of functions: each is compiled once, not again inside its
# callers.
COUNT, FIRST_PIECES, LINEAR, AVERAGE_OVER, AVERAGE, AVERAGE_INSIDE = range(6)


def workspace(n_features, order, relu):
    """Arrays that `clipped_moments` works in."""
    components, pieces = first_component(n_features, order), 2 ** (n_features - 1) + 1 if relu else 1
    # by order and component: derivatives in t; offspring of the u-weighted average, from the first
    kinds = np.full((order + 1, components, 2), -1)
    kinds[:, :, 0] = 0
    kinds[1:, 1:2] = 1, 0
    for k in range(n_features):
        kinds[2:, 2:3] = 2, 1
        kinds[2:, first_component(k, 2) + 1 : first_component(k, 2) + 2] = 1, 2 + k
    return (
        np.empty((2, pieces, components, n_features + 4)),  # Bernstein coefficients of two levels
        np.empty((2, pieces + 1)),  # their knots
        np.empty((pieces, components, 3)),  # moments of the pieces
        np.empty((2, components, n_features + 4)),  # what is left of the pieces at both window ends
        np.empty((components, 3)),  # moments of the used part of the piece at the upper window end
        np.empty((11, n_features + 12)),  # rows of coefficients
        kinds,
        legendre(n_features + 1),
        _kernels().copy() if n_features > 3 else np.zeros(6, np.int64),  # up to three features need none
    )


@cache
def _kernels():
    kernels, rows, others, pieces = np.zeros(6, np.int64), np.empty((1, 1)), np.empty((4, 1)), np.empty((1, 1, 1, 1))
    work = pieces, rows, pieces[0], pieces[0], rows, rows, np.empty((1, 1, 1), np.int64), pieces[0], kernels
    own = 0.0, 0.0, 0.0
    kernels[FIRST_PIECES] = address(first_pieces, pieces[0], rows[0], 0.0, 0.0, 0, *own, others, rows[0], kernels)
    kernels[LINEAR] = address(linear_moments, 0.0, *own, others, 0, True, 0, rows[0], work)
    kernels[AVERAGE] = address(average, rows, 0, 0.0, 0.0, 0.0, 0.0, 0.0, True, 0)
    kernels[AVERAGE_INSIDE] = address(average_inside, rows, rows[0], 0.0, 0.0, 0.0, 0.0, 0.0, 0, 0.0, True, 0, pieces[0])
    kernels[AVERAGE_OVER] = address(_average_over, pieces, rows, 0, 0, others, 0, work)
    return kernels


@jit(inner=True)
def _average_over(pieces, knots, here, order, others, k, work):
    """Average over feature k: from the pieces counted to those on the reach of the remaining features, counted again.

    The low and the high end of the window walk through the source, each holding what is left of its piece.
    """
    _, _, table, rest, used, rows, kinds, nodes, kernels = work
    n, kind = kernels[COUNT], kinds[order]
    source, x, out, x_out, lo, hi = pieces[here], knots[here], pieces[1 - here], knots[1 - here], others[2, k], others[3, k]
    n_components, degree = first_component(k, order), k + 2
    weight, density = others[0, k - 1], others[1, k - 1]
    size, down, up, falling = abs(weight), min(weight, 0.0), max(weight, 0.0), weight < 0.0
    for piece in range(1, n - 1):
        for c in range(n_components):
            table[piece, c, 0], table[piece, c, 1], table[piece, c, 2] = moments(source[piece, c], degree - kind[c, 0])
    at_a, at_b, start_a, start_b, s, n_out = 0, 0, x[0], lo + up, lo, 0
    while at_b < n - 1 and x[at_b + 1] <= start_b:
        at_b += 1
    fresh_a, fresh_b, passed = True, True, start_b
    start_b = x[at_b]
    while True:
        end_a = x[at_a + 1] - down if at_a < n - 1 else np.inf
        end_b = x[at_b + 1] - up if at_b < n - 1 else np.inf
        e = min(end_a, end_b, hi)
        if fresh_a or fresh_b:
            xb, yb = fraction(start_b, passed, x[at_b + 1])
            for c in range(n_components):
                d = degree - kind[c, 0]
                if fresh_a:
                    for i in range(d + 1):
                        rest[0, c, i] = source[at_a, c, i]
                if fresh_b:
                    for i in range(d + 1):
                        rest[1, c, i] = source[at_b, c, i]
                    split(rest[1, c], rows[1], xb, yb, d)
                    m0, m1, m2 = moments(rows[1], d)
                    used[c, 0], used[c, 1], used[c, 2] = stretch(0.0, max(passed - start_b, 0.0) / size, m0, m1, m2)
            start_b = max(start_b, passed)
            fresh_a = fresh_b = False
        if e > s + SAME_KNOT * size or (e == hi and n_out == 0):
            x_out[n_out] = s
            lo1, hi0, hi1 = e + down, s + up, e + up
            share = min((e - s) / size, 1.0)
            inside = at_a == at_b and e - s > size
            xa, ya = fraction(start_a, lo1, x[at_a + 1])
            xb, yb = fraction(start_b, hi1, x[at_b + 1])
            xm, ym = fraction(lo1, hi0, x[at_a + 1])
            for c in range(n_components):
                d = degree - kind[c, 0]
                births = 0 if kind[c, 1] < 0 else 2 if kind[c, 0] == 2 else 1
                if inside:
                    inside_arguments = start_a, x[at_a + 1], s + down, lo1, size, d, density, falling, births, nodes
                    call(kernels[AVERAGE_INSIDE], (rows, rest[0, c], *inside_arguments))
                split(rest[0, c], rows[0], xa, ya, d)
                split(rest[1, c], rows[1], xb, yb, d)
                if not inside:
                    if at_a == at_b:
                        for i in range(d + 1):
                            rows[5, i] = rest[0, c, i]
                        split(rows[5], rows[6], xm, ym, d)
                        m0, m1, m2 = moments(rows[6], d)
                    else:
                        whole = max(x[at_a + 1] - lo1, 0.0) / size
                        n0, n1, n2 = moments(rest[0, c], d)
                        m0, m1, m2 = stretch(0.0, whole, n0, n1, n2)
                        for piece in range(at_a + 1, at_b + 1):
                            offset = (x[piece] - lo1) / size
                            if piece < at_b:
                                length = (x[piece + 1] - x[piece]) / size
                                n0, n1, n2 = table[piece, c, 0], table[piece, c, 1], table[piece, c, 2]
                                n0, n1, n2 = stretch(offset, length, n0, n1, n2)
                            else:
                                length = max(hi0 - x[piece], 0.0) / size
                                n0, n1, n2 = used[c, 0], used[c, 1], used[c, 2]
                                n1, n2 = offset * n0 + n1, offset * offset * n0 + 2.0 * offset * n1 + n2
                            whole, m0, m1, m2 = whole + length, m0 + n0, m1 + n1, m2 + n2
                        if whole > 0.0:
                            m0, m1, m2 = m0 / whole, m1 / whole**2, m2 / whole**3
                        else:
                            m0, m1, m2 = rest[0, c, 0], rest[0, c, 0] / 2.0, rest[0, c, 0] / 3.0
                    n0, n1, n2 = moments(rows[1], d)
                    n0, n1, n2 = stretch((hi0 - x[at_b]) / size, (hi1 - hi0) / size, n0, n1, n2)
                    used[c, 0], used[c, 1], used[c, 2] = used[c, 0] + n0, used[c, 1] + n1, used[c, 2] + n2
                    call(kernels[AVERAGE], (rows, d, density, share, m0, m1, m2, falling, births))
                for birth in range(births + 1):
                    child = c
                    if birth > 0:
                        child = first_component(k, order) + (kind[c, 1] if birth == 1 else 2 + k)
                    for i in range(d + 2 + birth):
                        out[n_out, child, i] = rows[2 + birth, i]
            start_a, start_b, s = lo1, hi1, e
            n_out += 1
        if e == hi:
            break
        if end_a == e:
            at_a += 1
            start_a, fresh_a = x[at_a], True
        if end_b == e:
            at_b += 1
            start_b, passed, fresh_b = x[at_b], x[at_b], True
    x_out[n_out] = hi
    kernels[COUNT] = n_out


@jit(inner=True)
def _average_at(source, x, n, order, others, k, kind, out):
    """Average over the last feature k, at the one point b whose window is the whole of [x_0, x_n]."""
    degree, size = k + 2, abs(others[0, k - 1])
    density, falling, first = others[1, k - 1], others[0, k - 1] < 0.0, first_component(k, order)
    for c in range(first):
        d = degree - kind[c, 0]
        births = 0 if kind[c, 1] < 0 else 2 if kind[c, 0] == 2 else 1
        whole = m0 = m1 = m2 = 0.0
        for piece in range(n):
            length, offset = (x[piece + 1] - x[piece]) / size, (x[piece] - x[0]) / size
            n0, n1, n2 = moments(source[piece, c], d)
            n0, n1, n2 = stretch(offset, length, n0, n1, n2)
            whole, m0, m1, m2 = whole + length, m0 + n0, m1 + n1, m2 + n2
        if whole > 0.0:
            m0, m1, m2 = m0 / whole, m1 / whole**2, m2 / whole**3
        else:
            m0, m1, m2 = source[0, c, 0], source[0, c, 0] / 2.0, source[0, c, 0] / 3.0
        if falling:
            m1, m2 = m0 - m1, m0 - 2.0 * m1 + m2
        out[c] = (1.0 - density) * (source[n - 1, c, d] if falling else source[0, c, 0]) + density * m0
        if births > 0:
            out[first + kind[c, 1]] = density * m1
        if births > 1:
            out[first + 2 + k] = density * m2


@jit(inner=True)
def linear_moments(b, own, residual, own_p, others, k, relu, order, out, work):
    """As `clipped_moments` without the clipping, ``relu`` being False."""
    c = work[0][0, 0]
    quadratic_piece(c, b, b, k + 2, order, residual, own_p, others, k)
    for component in range(first_component(k + 1, order)):
        out[component] = c[component, 0]


@jit(inner=True)
def clipped_moments(b, own, residual, own_p, others, k, relu, order, out, work):
    """Loss of one output and its derivatives up to ``order`` (0, 1 or 2), by component, to ``out``.

    Parameters: b_i; a_i, 1 − a_i computed without cancellation, and p_i; ``others``: in its first two rows the weights and
    densities of the k other features with nonzero weight, by falling size (rows three and four are working space).
    """
    pieces, knots, _, _, _, rows, kinds, _, kernels = work
    below = above = 0.0
    others[2, k] = others[3, k] = b
    for l in range(k - 1, -1, -1):
        below += min(others[0, l], 0.0)
        above += max(others[0, l], 0.0)
        others[2, l], others[3, l] = b + below, b + above
    here, lo, hi = np.int64(0), others[2, 0], others[3, 0]
    if not relu or lo >= 0.0:
        call(kernels[LINEAR], (b, own, residual, own_p, others, k, relu, order, out, work))
        return
    if hi < -own:
        constant_piece(pieces[0, 0], k + 2, order, own_p, k)
    else:
        first = pieces[0], knots[0], lo, hi, order, own, residual, own_p, others, rows[0], kernels
        call(kernels[FIRST_PIECES], first)
        for l in range(1, k):
            call(kernels[AVERAGE_OVER], (pieces, knots, here, order, others, l, work))
            here = 1 - here
        if k > 0:
            _average_at(pieces[here], knots[here], kernels[COUNT], order, others, k, kinds[order], out)
            return
    for c in range(first_component(k + 1, order)):
        out[c] = pieces[0, 0, c, 0]
