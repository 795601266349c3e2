"""Moments and bounds of a box in rational arithmetic: another way to all that `moments`, `bounds` and `regions` compute.

Numbers are fractions: python-flint's where it is installed, otherwise Python's. Moments come from the volumes of slices of the
cube, E over the active features of x^α 1{z > 0} = ∂^α V_|α|(a, c), V_r = Σ_v (−1)^(k − |v|) (a·v + c)₊^(r + k) / ((r + k)! Π
a_j) over the vertices v of the cube of k features with a_j ≠ 0, which whole numbers evaluate without cancellation.
"""

from fractions import Fraction
from functools import lru_cache
from itertools import combinations, product
from math import comb, factorial, isqrt

import numpy as np

try:
    from flint import fmpq as _fmpq
except ImportError:
    _fmpq = None

BITS = 160
ONE = 1 << BITS
SLACK = Fraction(1, 1 << 150)
"""More than the error of a moment, and, times s², than what it does to a bound."""


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


def _slice(a, c, powers, scale):
    """E of Π x_j^powers_j 1{z > 0} over active features, z = (a·x + c) / scale, as a multiple of 1/ONE, to 1 part of each term.

    a, c: whole numbers; powers: of each feature, at most 2 in sum.
    """
    share = 1
    kept = []
    for one, power in zip(a, powers, strict=True):
        if one:
            kept.append((one, power))
        else:
            share *= power + 1  # a feature that does not move z is averaged by itself
    if not kept:
        return (ONE // share) if c > 0 else 0
    total_power = sum(power for _, power in kept)
    order = total_power + len(kept)
    vertices = [
        (v, sign)
        for v in product((0, 1), repeat=len(kept))
        if (sign := sum(x * one for x, (one, _) in zip(v, kept, strict=True)) + c) > 0
    ]
    result = 0
    for taken in product(*(range(power + 1) for _, power in kept)):
        exponent = order - sum(taken)
        top = 0
        for v, height in vertices:
            if all(x or not t for x, t in zip(v, taken, strict=True)):
                top += height**exponent if (len(kept) - sum(v)) % 2 == 0 else -(height**exponent)
        bottom = factorial(exponent)
        for (one, power), t in zip(kept, taken, strict=True):
            left = power - t
            top *= comb(power, t) * (-1) ** left * factorial(left)
            bottom *= one ** (1 + left)
        result += (top * ONE) // bottom
    return result // share


class Row:
    """Moments and bounds of the rows of a model, exact but for `SLACK`."""

    def __init__(self, n_hidden, importance, density):
        self.n_hidden, self.n = n_hidden, len(density)
        self.importance = [number(float(x)) for x in importance]
        self.density = [number(float(x)) for x in density]
        self.variance = [p / 3 - p * p / 4 for p in self.density]
        self.slack = ratio(SLACK.numerator, SLACK.denominator)
        self.moments = lru_cache(4096)(self._moments)

    def _moments(self, g):
        """M at g, a tuple of n + 1 fractions with the bias last: a tuple of rows of fractions."""
        n = self.n
        split = [parts(x) for x in g]
        scale = max(bottom for _, bottom in split)
        whole = [top * scale // bottom for top, bottom in split]  # denominators are powers of 2
        found = [[0] * (n + 1) for _ in range(n + 1)]
        densities = [int(parts(p)[0] * ONE // parts(p)[1]) for p in self.density]
        for count in range(n + 1):
            for active in combinations(range(n), count):
                weight = ONE
                for j in range(n):
                    weight = weight * (densities[j] if j in active else ONE - densities[j]) >> BITS
                if not weight:
                    continue
                a = [whole[j] for j in active]
                for x in (*active, n):
                    for y in (*active, n):
                        if y < x:
                            continue
                        powers = [(x == j) + (y == j) for j in active]
                        found[x][y] += _slice(a, whole[n], powers, scale) * weight >> BITS
        return tuple(tuple(ratio(found[min(x, y)][max(x, y)], ONE) for y in range(n + 1)) for x in range(n + 1))

    def applied(self, g):
        """M at g times g, a list of n + 1."""
        rows = self.moments(g)
        return [sum((m * x for m, x in zip(row, g, strict=True)), start=g[0] * 0) for row in rows]

    def loss(self, i, g):
        """L_i at g, to 4 `SLACK` s²."""
        v = self.applied(g)
        return self.density[i] / 3 - 2 * v[i] + sum(x * y for x, y in zip(v, g, strict=True))

    def power(self, i, g):
        """E ((z − x_i)⁺)² at g."""
        shifted = tuple(x - (1 if j == i else 0) for j, x in enumerate(g))
        return sum(x * y for x, y in zip(self.applied(shifted), shifted, strict=True))

    def given_away(self, low, high):
        """What a bound gives away for the error of moments over a box of g~."""
        size = 1 + sum(max(abs(x), abs(y)) for x, y in zip(low, high, strict=True))
        return 16 * self.slack * size * size

    def slope_sign(self, i, low, high):
        """The sign of ∂L_i/∂b_i over a box of g~, 0 where it may have either."""
        below, above, margin = self.moments(low), self.moments(high), self.given_away(low, high)
        if self.applied(low)[-1] - above[i][-1] > margin:
            return 1
        return -1 if self.applied(high)[-1] - below[i][-1] < -margin else 0

    def lower(self, i, low, high):
        """A lower bound of L_i over a box of g~: the better of that of the ends and that of the centre."""
        return self.lower_and_middle(i, low, high)[0]

    def lower_and_middle(self, i, low, high):
        """A lower bound of L_i over a box of g~, as `lower`, and L_i in its middle."""
        ends = self.loss(i, high) - self.power(i, high) + self.power(i, low)
        centre = tuple((x + y) / 2 for x, y in zip(low, high, strict=True))
        v, rows = self.applied(centre), self.moments(centre)
        gap = self.applied(low)[i] + self.applied(high)[i] - 2 * v[i]
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
