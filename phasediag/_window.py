"""Averages of one function over a window that moves along a piece on which it is a polynomial at both window ends."""

from functools import cache

import numpy as np

from ._jit import jit
from ._pieces import elevate, fraction, split


@cache
def legendre(most):
    """Nodes and weights of Gauss–Legendre rules on [0, 1] with up to ``most`` nodes, shape (2, most + 1, most)."""
    rules = np.zeros((2, most + 1, most))
    for count in range(1, most + 1):
        x, w = np.polynomial.legendre.leggauss(count)
        rules[:, count, :count] = (1 + x) / 2, w / 2
    return rules


@jit(inner=True)
def average(rows, degree, p, share, m0, m1, m2, falling, births):
    """(1 − p) f(t) + p × average over the window [lo, hi] that moves along a piece; share = piece length/window length.

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
        rows[2, i] = (1.0 - p) * point + p * (share * (rows[5, i] + rows[6, i]) + keep * m0)
    if births > 0:
        n = degree + 2
        elevate(rows[6], degree + 1, n)
        for i in range(n + 1):
            inside = keep * m1 + share * m0 * (n - i) / n
            rows[3, i] = p * (keep * inside + share * rows[6, i] + share * share * (rows[7, i] - rows[8, i]))
    if births > 1:
        n = degree + 3
        elevate(rows[6], degree + 2, n)
        elevate(rows[8], degree + 2, n)
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


@jit(inner=True)
def average_inside(rows, piece, start, end, lo0, lo1, size, degree, p, falling, births, nodes):
    """As `average`, for a window that is shorter than the piece it moves along and stays in one polynomial."""
    n_nodes = (degree + births + 2) // 2
    for birth in range(births + 1):
        for i in range(degree + 1):
            rows[2 + birth, i] = 0.0
    for node in range(-1, n_nodes):  # node −1 is the point t itself
        w = (1.0 if falling else 0.0) if node < 0 else nodes[0, n_nodes, node]
        weight = 1.0 - p if node < 0 else p * nodes[1, n_nodes, node]
        u = 0.0 if node < 0 else 1.0 - w if falling else w
        for i in range(degree + 1):
            rows[5, i] = piece[i]
        at = lo0 + size * w
        for cut in range(2):
            x, y = fraction(start, at, end) if cut == 0 else fraction(at, lo1 + size * w, end)
            split(rows[5], rows[6], x, y, degree)
        for i in range(degree + 1):
            rows[2, i] += weight * rows[6, i]
            if births > 0:
                rows[3, i] += weight * u * rows[6, i]
            if births > 1:
                rows[4, i] += weight * u * u * rows[6, i]
    for birth in range(births + 1):
        elevate(rows[2 + birth], degree, degree + 1 + birth)


@jit(inner=True)
def stretch(offset, length, m0, m1, m2):
    """Moments about a point of a polynomial on a stretch that begins ``offset`` after it."""
    return (
        length * m0,
        length * (offset * m0 + length * m1),
        length * (offset * offset * m0 + 2.0 * offset * length * m1 + length * length * m2),
    )
