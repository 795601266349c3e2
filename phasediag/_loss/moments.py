"""Moments of a clipped linear form: the loss of one output as a function of its own numbers, exact and stable.

One output's loss is E (x_i − (a·x + b)⁺)². Averaged over x_i alone it is a nonnegative function of t = b + Σ_{j≠i} a_j x_j,
polynomial between knots (`pieces`). Averaging over one more feature is the positive operator

    f ↦ q_j f(t) + p_j ∫₀¹ f(t + a_j u) du,

which turns a polynomial on every piece into a polynomial, one degree higher, on the pieces between the old knots and their
copies shifted by −a_j. In Bernstein form nothing is ever subtracted, so the loss keeps its relative accuracy for every
scale of the weights, every density, and knots anywhere. The largest |a_j| goes first; the function is then only needed on
the short interval around b that the remaining features can reach.
Derivatives are further functions under the same operator: ∂/∂a_j is p_j ∫₀¹ u f'(t + a_j u) du.
"""

from functools import cache

import numpy as np
from numba import types

from .._compiling.jit import DOUBLES, INTEGERS, address, call, doubles, integers, jit, offset
from .leading import IS_GENERAL, REACH, START, leading_pieces, leading_quadratic
from .pieces import constant_piece, first_component, first_pieces, fraction, moments, quadratic_piece, split
from .window import HIGH, PART, REST, RESULT, ROW, ROWS, average, average_inside, legendre, stretch

# Two knots closer than this times |a_j| are one knot: f is smooth on the scale |a_j| once feature j is averaged over.
SAME_KNOT = 2.0**-50

# Where a workspace keeps the number of pieces, and the addresses of functions: each is compiled once, not again inside its
# callers.
COUNT, FIRST_PIECES, LEADING_PIECES, LINEAR, AVERAGE_OVER, AVERAGE, AVERAGE_INSIDE, N_KERNELS = range(8)

# Types of the arguments of what computes one output: by `few.few_moments`, and here, in what `working_space` returns.
FEW = (0.0, 0.0, 0.0, 0.0, DOUBLES, DOUBLES, 0, True, 0, DOUBLES, DOUBLES)
SPACE = types.Tuple([DOUBLES] * 8 + [INTEGERS, DOUBLES, INTEGERS])
OUTPUT = (*FEW, 0, SPACE)


def workspace(n_features, order, relu):
    """Arrays that `clipped_moments` works in, for derivatives up to ``order``, and the number of components."""
    components, pieces = first_component.py_func(n_features, order), 2 ** (n_features - 1) + 1 if relu else 1
    # by order and component: derivatives in t; offspring of the u-weighted average, from the first
    kinds = np.full((order + 1, components, 2), -1)
    kinds[:, :, 0] = 0
    kinds[1:, 1:2] = 1, 0
    for k in range(n_features):
        kinds[2:, 2:3] = 2, 1
        kinds[2:, first_component.py_func(k, 2) + 1 : first_component.py_func(k, 2) + 2] = 1, 2 + k
    return (
        *np.empty((2, pieces, components, n_features + 4)),  # Bernstein coefficients of two levels
        *np.empty((2, pieces + 1)),  # their knots
        np.empty((pieces, components, 3)),  # moments of the pieces
        np.empty((2, components, n_features + 4)),  # what is left of the pieces at both window ends
        np.empty((components, 3)),  # moments of the used part of the piece at the upper window end
        np.empty(ROWS * ROW),  # rows of coefficients
        kinds,
        legendre(n_features + 1),
        _kernels().copy() if n_features > 3 else np.zeros(N_KERNELS, np.int64),  # up to three features need none
        components,
    )


@jit(inner=True)
def working_space(table, order):
    """What `workspace` made, whose addresses ``table`` holds, as kernels take it: of the kinds those of one order."""
    return (
        doubles(table[0]),
        doubles(table[1]),
        doubles(table[2]),
        doubles(table[3]),
        doubles(table[4]),
        doubles(table[5]),
        doubles(table[6]),
        doubles(table[7]),
        offset(integers(table[8]), 2 * table[11] * order),
        doubles(table[9]),
        integers(table[10]),
    )


@cache
def _kernels():
    """Addresses of the functions above, behind the place of the number of pieces."""
    kernels, n, x = np.zeros(N_KERNELS, np.int64), 0, 0.0
    kernels[FIRST_PIECES] = address(first_pieces, DOUBLES, n, n, DOUBLES, x, x, n, x, x, x, DOUBLES, INTEGERS)
    kernels[LEADING_PIECES] = address(leading_pieces, DOUBLES, n, n, DOUBLES, x, x, n, DOUBLES, INTEGERS)
    kernels[LINEAR] = address(linear_moments, *OUTPUT)
    kernels[AVERAGE] = address(average, DOUBLES, n, x, x, x, x, x, True, n)
    kernels[AVERAGE_INSIDE] = address(average_inside, DOUBLES, DOUBLES, x, x, x, x, x, n, x, True, n, DOUBLES, n)
    kernels[AVERAGE_OVER] = address(_average_over, *[DOUBLES] * 4, n, x, x, x, x, n, n, SPACE)
    return kernels


@jit(inner=True)
def _average_over(source, x, out, x_out, order, weight, density, lo, hi, k, n_features, space):
    """Average over feature k: from the pieces counted to those on the reach of the remaining features, counted again.

    The low and the high end of the window walk through the source, each holding what is left of its piece.
    """
    _, _, _, _, table, rest, used, rows, kind, nodes, kernels = space
    n, n_components, degree, width = kernels[COUNT], first_component(k, order), k + 2, n_features + 4
    stride = first_component(n_features, order)  # components of a piece
    size, down, up, falling = abs(weight), min(weight, 0.0), max(weight, 0.0), weight < 0.0
    upper = offset(rest, stride * width)  # what is left at the high end
    row_low, row_high, row_rest, row_part = rows, offset(rows, HIGH), offset(rows, REST), offset(rows, PART)
    for piece in range(1, n - 1):
        for c in range(n_components):
            at = piece * stride + c
            m0, m1, m2 = moments(offset(source, at * width), degree - kind[2 * c])
            table[3 * at], table[3 * at + 1], table[3 * at + 2] = m0, m1, m2
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
                d, line = degree - kind[2 * c], c * width
                if fresh_a:
                    at = at_a * stride * width + line
                    for i in range(d + 1):
                        rest[line + i] = source[at + i]
                if fresh_b:
                    at = at_b * stride * width + line
                    for i in range(d + 1):
                        upper[line + i] = source[at + i]
                    split(offset(upper, line), row_high, xb, yb, d)
                    m0, m1, m2 = moments(row_high, d)
                    m0, m1, m2 = stretch(0.0, max(passed - start_b, 0.0) / size, m0, m1, m2)
                    used[3 * c], used[3 * c + 1], used[3 * c + 2] = m0, m1, m2
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
                d, offspring = degree - kind[2 * c], kind[2 * c + 1]
                births = 0 if offspring < 0 else 2 if kind[2 * c] == 2 else 1
                low, high = offset(rest, c * width), offset(upper, c * width)
                if inside:
                    end = x[at_a + 1]
                    most = n_features + 1
                    inside_arguments = start_a, end, s + down, lo1, size, d, density, falling, births, nodes, most
                    call(kernels[AVERAGE_INSIDE], (rows, low, *inside_arguments))
                split(low, row_low, xa, ya, d)
                split(high, row_high, xb, yb, d)
                if not inside:
                    if at_a == at_b:
                        for i in range(d + 1):
                            row_rest[i] = low[i]
                        split(row_rest, row_part, xm, ym, d)
                        m0, m1, m2 = moments(row_part, d)
                    else:
                        whole = max(x[at_a + 1] - lo1, 0.0) / size
                        n0, n1, n2 = moments(low, d)
                        m0, m1, m2 = stretch(0.0, whole, n0, n1, n2)
                        for piece in range(at_a + 1, at_b + 1):
                            gap = (x[piece] - lo1) / size
                            if piece < at_b:
                                length = (x[piece + 1] - x[piece]) / size
                                at = 3 * (piece * stride + c)
                                n0, n1, n2 = stretch(gap, length, table[at], table[at + 1], table[at + 2])
                            else:
                                length = max(hi0 - x[piece], 0.0) / size
                                n0, n1, n2 = used[3 * c], used[3 * c + 1], used[3 * c + 2]
                                n1, n2 = gap * n0 + n1, gap * gap * n0 + 2.0 * gap * n1 + n2
                            whole, m0, m1, m2 = whole + length, m0 + n0, m1 + n1, m2 + n2
                        m0, m1, m2 = _mean(whole, m0, m1, m2, low[0])
                    n0, n1, n2 = moments(row_high, d)
                    n0, n1, n2 = stretch((hi0 - x[at_b]) / size, (hi1 - hi0) / size, n0, n1, n2)
                    used[3 * c] += n0
                    used[3 * c + 1] += n1
                    used[3 * c + 2] += n2
                    call(kernels[AVERAGE], (rows, d, density, share, m0, m1, m2, falling, births))
                for birth in range(births + 1):
                    child, at = c, RESULT + birth * ROW
                    if birth > 0:
                        child = n_components + (offspring if birth == 1 else 2 + k)
                    target = offset(out, (n_out * stride + child) * width)
                    for i in range(d + 2 + birth):
                        target[i] = rows[at + i]
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


LEAST_WINDOW = 1e-100
"""A window that is a smaller part of a feature's reach is a point: the cube of its length would be 0."""


@jit(inner=True)
def _mean(whole, m0, m1, m2, value):
    """Moments as fractions of a window of length ``whole``; those of a constant ``value`` where it is a point."""
    if whole > LEAST_WINDOW:
        return m0 / whole, m1 / (whole * whole), m2 / (whole * whole * whole)
    return value, value / 2.0, value / 3.0


@jit(inner=True)
def _average_at(source, x, n, order, weight, density, k, n_features, kind, out):
    """Average over the last feature k, at the one point b whose window is the whole of [x_0, x_n]."""
    degree, size, falling, first = k + 2, abs(weight), weight < 0.0, first_component(k, order)
    stride, width = first_component(n_features, order), n_features + 4
    for c in range(first):
        d, offspring = degree - kind[2 * c], kind[2 * c + 1]
        births = 0 if offspring < 0 else 2 if kind[2 * c] == 2 else 1
        whole = m0 = m1 = m2 = 0.0
        for piece in range(n):
            length, gap = (x[piece + 1] - x[piece]) / size, (x[piece] - x[0]) / size
            n0, n1, n2 = moments(offset(source, (piece * stride + c) * width), d)
            n0, n1, n2 = stretch(gap, length, n0, n1, n2)
            whole, m0, m1, m2 = whole + length, m0 + n0, m1 + n1, m2 + n2
        m0, m1, m2 = _mean(whole, m0, m1, m2, source[c * width])
        if falling:
            m1, m2 = m0 - m1, m0 - 2.0 * m1 + m2
        point = source[((n - 1) * stride + c) * width + d] if falling else source[c * width]
        out[c] = (1.0 - density) * point + density * m0
        if births > 0:
            out[first + offspring] = density * m1
        if births > 1:
            out[first + 2 + k] = density * m2


@jit(inner=True)
def linear_moments(b, own, residual, own_p, a, p, k, relu, order, out, first, n_features, space):
    """As `clipped_moments` without the clipping: where z has one sign throughout, ``relu`` then being False, or True where a
    general z is negative."""
    pieces, _, _, _, _, _, _, _, _, _, _ = space
    width = n_features + 4
    if first[IS_GENERAL] != 0.0:
        leading_quadratic(pieces, width, b, b, k + 2, order, first, relu, a, p, k)
    else:
        quadratic_piece(pieces, width, b, b, k + 2, order, residual, own_p, a, p, k)
    for component in range(first_component(k + 1, order)):
        out[component] = pieces[component * width]


@jit(inner=True)
def clipped_moments(b, own, residual, own_p, a, p, k, relu, order, out, first, n_features, space):
    """Loss of one output and its derivatives up to ``order`` (0, 1 or 2), by component, to ``out``.

    Parameters: b_i; a_i, 1 − a_i computed without cancellation, and p_i; ``a``, ``p``: weights and densities of the k other
    features with nonzero weight, by falling size, n_features + 1 places each, and room for as much twice more; ``first``: see
    `leading`.
    """
    general, left, right = first[IS_GENERAL] != 0.0, -own, 0.0
    if general:
        left, right = -first[START] - first[REACH], -first[START]
    here, there, x, x_there, _, _, _, rows, kind, _, kernels = space
    low, high = offset(a, 2 * (n_features + 1)), offset(a, 3 * (n_features + 1))
    width = n_features + 4
    below = above = 0.0
    low[k] = high[k] = b
    for l in range(k - 1, -1, -1):
        below += min(a[l], 0.0)
        above += max(a[l], 0.0)
        low[l], high[l] = b + below, b + above
    lo, hi = low[0], high[0]
    if not relu or lo >= right or (general and hi < left):
        call(kernels[LINEAR], (b, own, residual, own_p, a, p, k, relu and lo < right, order, out, first, n_features, space))
        return
    if hi < left:
        constant_piece(here, width, k + 2, order, own_p, k)
    else:
        size = first_component(n_features, order) * width
        if general:
            call(kernels[LEADING_PIECES], (here, size, width, x, lo, hi, order, first, kernels))
        else:
            call(kernels[FIRST_PIECES], (here, size, width, x, lo, hi, order, own, residual, own_p, rows, kernels))
        for l in range(1, k):
            one = order, a[l - 1], p[l - 1], low[l], high[l], l, n_features, space
            call(kernels[AVERAGE_OVER], (here, x, there, x_there, *one))
            here, there, x, x_there = there, here, x_there, x
        if k > 0:
            _average_at(here, x, kernels[COUNT], order, a[k - 1], p[k - 1], k, n_features, kind, out)
            return
    for c in range(first_component(k + 1, order)):
        out[c] = here[c * width]
