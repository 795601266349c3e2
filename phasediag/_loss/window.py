"""Averages of one function over a window that moves along a piece on which it is a polynomial at both window ends."""

from functools import cache

import numpy as np

from .._compiling.jit import jit, offset
from .pieces import elevate, fraction, split

ROW = 32  # length of a row of coefficients: degrees up to 17, and room to work
LOW, HIGH, RESULT, LOW_1, HIGH_1, LOW_2, HIGH_2, LOW_3, HIGH_3 = (ROW * row for row in (0, 1, 2, 5, 6, 7, 8, 9, 10))
REST, PART = LOW_1, HIGH_1
ROWS = 11


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

    Rows LOW and HIGH: coefficients at the low and the high end, on that piece; m0, m1, m2: moments, in the fraction of
    the stretch between, of the part that stays inside the window. Results: row RESULT as said, one degree up; the next ones p ×
    average weighted with u, and with u², two and three degrees up; u runs from 0 at t (lo, or hi when falling) to 1.
    """
    if falling:  # mirror: then t is the low end
        for i in range((degree + 2) // 2):
            k = degree - i
            low_i, low_k = rows[i], rows[k]
            rows[i], rows[k], rows[HIGH + i], rows[HIGH + k] = rows[HIGH + k], rows[HIGH + i], low_k, low_i
        m1, m2 = m0 - m1, m0 - 2.0 * m1 + m2
    keep, d = 1.0 - share, degree + 1
    # repeated integrals: from t to the end of the piece (low end), from its start to t (high end)
    low, high, source_low, source_high = LOW_1, HIGH_1, LOW, HIGH
    for n in range(degree + 1, degree + births + 2):
        total = 0.0
        rows[low + n] = 0.0
        for i in range(n - 1, -1, -1):
            total += rows[source_low + i]
            rows[low + i] = total / n
        total = 0.0
        rows[high] = 0.0
        for i in range(1, n + 1):
            total += rows[source_high + i - 1]
            rows[high + i] = total / n
        low, high, source_low, source_high = low + 2 * ROW, high + 2 * ROW, low, high
    for i in range(d + 1):
        point = ((d - i) * rows[min(i, degree)] + i * rows[max(i - 1, 0)]) / d
        rows[RESULT + i] = (1.0 - p) * point + p * (share * (rows[LOW_1 + i] + rows[HIGH_1 + i]) + keep * m0)
    if births > 0:
        n = degree + 2
        elevate(offset(rows, HIGH_1), degree + 1, n)
        for i in range(n + 1):
            inside = keep * m1 + share * m0 * (n - i) / n
            ends = keep * inside + share * rows[HIGH_1 + i] + share * share * (rows[LOW_2 + i] - rows[HIGH_2 + i])
            rows[RESULT + ROW + i] = p * ends
    if births > 1:
        n = degree + 3
        elevate(offset(rows, HIGH_1), degree + 2, n)
        elevate(offset(rows, HIGH_2), degree + 2, n)
        for i in range(n + 1):
            f1, f2 = (n - i) / n, (n - i) * (n - i - 1) / (n * (n - 1))
            inside = keep * keep * m2 + 2.0 * keep * share * f1 * m1 + share * share * f2 * m0
            high_end = rows[HIGH_1 + i] - 2.0 * share * rows[HIGH_2 + i] + 2.0 * share * share * rows[HIGH_3 + i]
            cubed = share * share * share
            rows[RESULT + 2 * ROW + i] = p * (keep * inside + share * high_end + 2.0 * cubed * rows[LOW_3 + i])
    if falling:
        for result in range(births + 1):
            n, at = degree + 1 + result, RESULT + result * ROW
            for i in range((n + 1) // 2):
                rows[at + i], rows[at + n - i] = rows[at + n - i], rows[at + i]


@jit(inner=True)
def average_inside(rows, piece, start, end, lo0, lo1, size, degree, p, falling, births, nodes, most):
    """As `average`, for a window that is shorter than the piece it moves along and stays in one polynomial.

    ``nodes``: the rules of `legendre` with up to ``most`` nodes.
    """
    n_nodes = (degree + births + 2) // 2
    for at in range(RESULT, RESULT + (births + 1) * ROW, ROW):
        for i in range(degree + 1):
            rows[at + i] = 0.0
    for node in range(-1, n_nodes):  # node −1 is the point t itself
        w, weight, u = (1.0 if falling else 0.0), 1.0 - p, 0.0
        if node >= 0:
            w, weight = nodes[n_nodes * most + node], p * nodes[(most + 1 + n_nodes) * most + node]
            u = 1.0 - w if falling else w
        for i in range(degree + 1):
            rows[REST + i] = piece[i]
        left = lo0 + size * w
        x, y = fraction(start, left, end)
        for _cut in range(2):
            split(offset(rows, REST), offset(rows, PART), x, y, degree)
            x, y = fraction(left, lo1 + size * w, end)
        for i in range(degree + 1):
            value = weight * rows[PART + i]
            rows[RESULT + i] += value
            if births > 0:
                rows[RESULT + ROW + i] += weight * u * rows[PART + i]
            if births > 1:
                rows[RESULT + 2 * ROW + i] += weight * u * u * rows[PART + i]
    for birth in range(births + 1):
        elevate(offset(rows, RESULT + birth * ROW), degree, degree + 1 + birth)


@jit(inner=True)
def stretch(offset, length, m0, m1, m2):
    """Moments about a point of a polynomial on a stretch that begins ``offset`` after it."""
    return (
        length * m0,
        length * (offset * m0 + length * m1),
        length * (offset * offset * m0 + 2.0 * offset * length * m1 + length * length * m2),
    )
