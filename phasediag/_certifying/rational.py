"""Moments and bounds of a box in rational arithmetic: another way to all that `moments`, `bounds` and `regions` compute.

Numbers are fractions: python-flint's where it is installed, otherwise Python's. Moments come from the volumes of slices of the
cube, E over the active features of x^α 1{z > 0} = ∂^α V_|α|(a, c), V_r = Σ_v (−1)^(k − |v|) (a·v + c)₊^(r + k) / ((r + k)! Π
a_j) over the vertices v of the cube of k features with a_j ≠ 0, which whole numbers evaluate without cancellation.
"""

from fractions import Fraction
from functools import lru_cache
from itertools import combinations
from math import factorial, frexp, isqrt, prod

import numpy as np

try:
    from flint import fmpq as _fmpq
except ImportError:
    _fmpq = None

BITS = 160
"""Binary places of a moment where losses are of the size of importances; as many more as they are smaller."""
SLACK = Fraction(1, 1 << 150)
"""More than the error of a moment of so many places, and, times s², than what it does to a bound."""


def number(value):
    """A float, or a whole number, as a fraction, exactly."""
    top, bottom = value.as_integer_ratio() if isinstance(value, float | np.floating) else (int(value), 1)
    return _fmpq(top, bottom) if _fmpq else Fraction(top, bottom)


def ratio(top, bottom):
    """The fraction of two whole numbers."""
    return _fmpq(top, bottom) if _fmpq else Fraction(top, bottom)


def parts(value):
    """Numerator and denominator of a fraction as whole numbers."""
    return (int(value.p), int(value.q)) if _fmpq else (value.numerator, value.denominator)


def arithmetic():
    """What fractions are computed with, in words."""
    return "rational (python-flint)" if _fmpq else "rational (fractions)"


def _slices(a, c, unit):
    """E of 1, x_j and x_j x_l times 1{z > 0} over k active features, z = a·x + c, times ``unit``, rounded down.

    a (k,), none of them 0, and c: whole numbers. Returns {(j, l): …}, j ≥ l, where −1 stands for no feature. Each sum over the
    vertices v ⊇ some features is that of (−1)^(k − |v|) (a·v + c)₊^(k + r), r = 0, 1, 2.
    """
    k, heights = len(a), [(0, c)]
    for j, one in enumerate(a):
        heights += [(v | 1 << j, height + one) for v, height in heights]
    above = [(v, height) for v, height in heights if height > 0]
    if not above or len(above) == len(heights):
        whole = unit if above else 0
        shares = {(j, l): 3 if j == l else 4 if l >= 0 else 2 for j in range(k) for l in range(-1, j + 1)} | {(-1, -1): 1}
        return {place: whole // share for place, share in shares.items()}
    zeroth = [height**k if (k - v.bit_count()) % 2 == 0 else -(height**k) for v, height in above]
    first = [x * height for x, (_, height) in zip(zeroth, above, strict=True)]
    third = sum(x * height for x, (_, height) in zip(first, above, strict=True))
    whole = factorial(k) * prod(a)
    found = {(-1, -1): sum(zeroth) * unit // whole}
    with_one = []
    for j, one in enumerate(a):
        with_one.append(sum(x for x, (v, _) in zip(first, above, strict=True) if v >> j & 1))
        own = (k + 1) * one * sum(x for x, (v, _) in zip(zeroth, above, strict=True) if v >> j & 1)
        bottom = whole * (k + 1) * one
        found[j, -1] = (own - sum(first)) * unit // bottom
        bottom *= k + 2
        found[j, j] = ((k + 2) * one * (own - 2 * with_one[j]) + 2 * third) * unit // (bottom * one)
        for l, other in enumerate(a[:j]):
            both = (k + 1) * one * other * sum(x for x, (v, _) in zip(zeroth, above, strict=True) if v >> j & v >> l & 1)
            top = (k + 2) * (both - one * with_one[j] - other * with_one[l]) + third
            found[j, l] = top * unit // (bottom * other)
    return found


class Row:
    """Moments and bounds of the rows of a model, exact but for `SLACK` as losses of a size are told apart."""

    def __init__(self, n_hidden, importance, density, loss=1.0):
        self.n_hidden, self.n = n_hidden, len(density)
        self.importance = [number(float(x)) for x in importance]
        self.density = [number(float(x)) for x in density]
        self.variance = [p / 3 - p * p / 4 for p in self.density]
        self.bits = BITS + max(0, frexp(max(importance))[1] - frexp(loss)[1])
        self.unit = 1 << self.bits
        self.slack = ratio(SLACK.numerator, SLACK.denominator) * ratio(1 << BITS, self.unit)
        shares = [top * self.unit // bottom for top, bottom in map(parts, self.density)]
        self.weights = []  # the sets of active features and their probabilities, times self.unit
        for count in range(self.n + 1):
            for active in combinations(range(self.n), count):
                weight = self.unit
                for j, share in enumerate(shares):
                    weight = weight * (share if j in active else self.unit - share) >> self.bits
                self.weights += [(active, weight)] if weight else []
        self._found = lru_cache(4096)(self._find)

    def at(self, g):
        """M at g, a tuple of n + 1 fractions with the bias last, and M g: a tuple of rows of fractions, a list of n + 1."""
        return self._found(tuple(map(parts, g)))  # whole numbers are hashed in a fraction of the time

    def _find(self, split):
        """What `at` returns, of numerators and denominators."""
        n = self.n
        scale = max(bottom for _, bottom in split)
        whole = [top * scale // bottom for top, bottom in split]  # denominators are powers of 2
        found = [[0] * (n + 1) for _ in range(n + 1)]
        for active, weight in self.weights:
            kept = [j for j in active if whole[j]]  # the others do not move z and are averaged by themselves
            sliced = _slices([whole[j] for j in kept], whole[n], self.unit)
            place = {j: k for k, j in enumerate(kept)}
            for x in (*active, n):
                for y in (*active, n):
                    if y >= x:
                        alone = [j for j in (x, y) if j < n and j not in place]
                        share = 1 if not alone else 3 if x == y else 2 ** len(alone)
                        l, j = sorted((place.get(x, -1), place.get(y, -1)))
                        found[x][y] += sliced[j, l] // share * weight >> self.bits
        rows = [[found[min(x, y)][max(x, y)] for y in range(n + 1)] for x in range(n + 1)]
        applied = [ratio(sum(m * x for m, x in zip(row, whole, strict=True)), self.unit * scale) for row in rows]
        return tuple(tuple(ratio(m, self.unit) for m in row) for row in rows), applied

    def loss(self, i, g):
        """L_i at g, to 4 `SLACK` s²."""
        _, v = self.at(g)
        return self.density[i] / 3 - 2 * v[i] + sum(x * y for x, y in zip(v, g, strict=True))

    def power(self, i, g):
        """E ((z − x_i)⁺)² at g."""
        shifted = tuple(x - (1 if j == i else 0) for j, x in enumerate(g))
        return sum(x * y for x, y in zip(self.at(shifted)[1], shifted, strict=True))

    def given_away(self, low, high):
        """What a bound gives away for the error of moments over a box of g~."""
        size = 1 + sum(max(abs(x), abs(y)) for x, y in zip(low, high, strict=True))
        return 16 * self.slack * size * size

    def slope_sign(self, i, low, high):
        """The sign of ∂L_i/∂b_i over a box of g~, 0 where it may have either."""
        (below, v_low), (above, v_high), margin = self.at(low), self.at(high), self.given_away(low, high)
        if v_low[-1] - above[i][-1] > margin:
            return 1
        return -1 if v_high[-1] - below[i][-1] < -margin else 0

    def lower(self, i, low, high):
        """A lower bound of L_i over a box of g~: the better of that of the ends and that of the centre."""
        return self.lower_and_middle(i, low, high)[0]

    def lower_and_middle(self, i, low, high):
        """A lower bound of L_i over a box of g~, as `lower`, and L_i in its middle."""
        ends = self.loss(i, high) - self.power(i, high) + self.power(i, low)
        centre = tuple((x + y) / 2 for x, y in zip(low, high, strict=True))
        rows, v = self.at(centre)
        gap = self.at(low)[1][i] + self.at(high)[1][i] - 2 * v[i]
        here = self.loss(i, centre)
        middle = here - 2 * max(gap, gap * 0)
        for j, (x, y) in enumerate(zip(low, high, strict=True)):
            middle -= abs(v[j] - rows[i][j]) * (y - x)
        return max(ends, middle, gap * 0) - self.given_away(low, high), here


def root_above(value):
    """A fraction that is not below the square root of a fraction, and above it by 2⁻⁸⁰ at most."""
    top, bottom = parts(value)
    return ratio(isqrt((top << 160) // bottom) + 1, 1 << 80)


def least_on_box(matrix, linear, radius):
    """A lower bound of linear·d + dᵀ matrix d over |d_j| ≤ radius_j, all of fractions.

    Floating point chooses a shift, a factor and a point; the bound holds for any.
    """
    n = len(linear)
    scaled = [[matrix[j][k] * radius[j] * radius[k] for k in range(n)] for j in range(n)]
    linear = [x * r for x, r in zip(linear, radius, strict=True)]
    rough, rough_linear = np.array(scaled, dtype=object).astype(float), np.array([float(x) for x in linear])
    size = np.abs(rough).sum()
    shift = max(0.0, -float(np.linalg.eigvalsh(rough)[0])) + 1e-13 * size + 1e-200
    factor = np.linalg.cholesky(rough + shift * np.eye(n))
    convex = factor @ factor.T
    u = np.zeros(n)
    for _ in range(200):
        before = u.copy()
        for j in range(n):
            slope = rough_linear[j] + 2 * (convex[j] @ u - convex[j, j] * u[j])
            u[j] = min(1.0, max(-1.0, -0.5 * slope / convex[j, j]))
        if np.abs(u - before).max() < 1e-8:
            break
    exact = [[number(x) for x in row] for row in factor]
    point, moved = [number(x) for x in u], number(shift)
    square = [[sum((exact[j][h] * exact[k][h] for h in range(n)), start=moved * 0) for k in range(n)] for j in range(n)]
    error = sum(abs(scaled[j][k] + (moved if j == k else 0) - square[j][k]) for j in range(n) for k in range(n))
    image = [sum(square[j][k] * point[k] for k in range(n)) for j in range(n)]
    value = sum(x * (y + z) for x, y, z in zip(point, linear, image, strict=True)) - moved * n - error
    for j in range(n):
        slope = linear[j] + 2 * image[j]
        value -= max(slope * (point[j] - 1), slope * (point[j] + 1))
    return value
