"""The part of a loss and its slopes that is a polynomial in z, by moments (numba kernels)."""

from .._compiling.jit import doubles, jit
from . import contour_table as entry
from .contour_table import others


@jit(inner=True)
def _shifted_moments(x0, x1, x2, x3, b):
    """Moments 0 … 3 of b + x from those of x."""
    return x0, b * x0 + x1, b * b * x0 + 2.0 * b * x1 + x2, b * b * b * x0 + 3.0 * b * (b * x1 + x2) + x3


@jit(inner=True)
def _sum_moments(x, y):
    """Moments 0 … 3 of the sum of two independent variables (of possibly defective laws)."""
    return (
        x[0] * y[0],
        x[1] * y[0] + x[0] * y[1],
        x[2] * y[0] + 2.0 * x[1] * y[1] + x[0] * y[2],
        x[3] * y[0] + 3.0 * (x[2] * y[1] + x[1] * y[2]) + x[0] * y[3],
    )


@jit(inner=True)
def add_polynomial(c3, c2, c1, n, table):
    """Add loss and slopes over μ with (z⁺)² → P = c₃z³ + c₂z² + c₁z, z⁺ → P'/2, 1_{z>0} → P''/2.

    n other features move the output; see `contour_table`.
    """
    a, p, slope, numbers = others(table)
    none_before, some_but = doubles(table[entry.NONE_BEFORE]), doubles(table[entry.SOME_BUT])
    singles = doubles(table[entry.SINGLES])
    a_i, p_i, b = numbers[entry.A_I], numbers[entry.P_I], numbers[entry.BIAS]
    # moments of y = Σ_j a_j x_j where at least one, two, three of these features are active
    y0 = y1 = y2 = y3 = two0 = two1 = two2 = two3 = three0 = three1 = three2 = three3 = 0.0
    s0 = s1 = s2 = 0.0  # where exactly one is
    none = 1.0
    for j in range(n):
        q, v0, x = 1.0 - p[j], p[j], a[j]
        v1, v2, v3 = v0 * x / 2.0, v0 * (x * x) / 3.0, v0 * (x * x * x) / 4.0
        three3 = q * three3 + v0 * two3 + 3.0 * (v1 * two2 + v2 * two1) + v3 * two0
        three2 = q * three2 + v0 * two2 + 2.0 * v1 * two1 + v2 * two0
        three1 = q * three1 + v0 * two1 + v1 * two0
        three0 = q * three0 + v0 * two0
        two3 = q * two3 + v0 * y3 + 3.0 * (v1 * y2 + v2 * y1) + v3 * y0
        two2 = q * two2 + v0 * y2 + 2.0 * v1 * y1 + v2 * y0
        two1 = q * two1 + v0 * y1 + v1 * y0
        two0 = q * two0 + v0 * y0
        y3 += 3.0 * (v1 * y2 + v2 * y1) + v3 * (y0 + none)
        y2 += 2.0 * v1 * y1 + v2 * (y0 + none)
        y1 += v1 * (y0 + none)
        y0 += v0 * none
        singles[3 * j], singles[3 * j + 1], singles[3 * j + 2] = s0, s1, s2
        s0, s1, s2 = q * s0 + none * v0, q * s1 + none * v1, q * s2 + none * v2
        none *= q
    # moments of b where i is inactive; of b + a_i x_i where it is active, times x_i and times x_i²
    idle = _shifted_moments(1.0 - p_i, 0.0, 0.0, 0.0, b)
    a1, a2, a3 = p_i * a_i, p_i * (a_i * a_i), p_i * (a_i * a_i * a_i)
    own0 = _shifted_moments(p_i, a1 / 2.0, a2 / 3.0, a3 / 4.0, b)
    own1 = _shifted_moments(p_i / 2.0, a1 / 3.0, a2 / 4.0, a3 / 5.0, b)
    own2 = _shifted_moments(p_i / 3.0, a1 / 4.0, a2 / 5.0, a3 / 6.0, b)
    two, three = (two0, two1, two2, two3), (three0, three1, three2, three3)
    r, m, mx, mxx = _sum_moments(idle, three), _sum_moments(own0, two), _sum_moments(own1, two), _sum_moments(own2, two)
    loss = c3 * (r[3] + m[3] - 3.0 * mx[2]) + c2 * (r[2] + m[2] - 2.0 * mx[1]) + c1 * (r[1] + m[1] - mx[0])
    slope_b = 3.0 * c3 * (r[2] + m[2] - 2.0 * mx[1]) + 2.0 * c2 * (r[1] + m[1] - mx[0]) + c1 * (r[0] + m[0])
    slope_i = 3.0 * c3 * (mx[2] - 2.0 * mxx[1]) + 2.0 * c2 * (mx[1] - mxx[0]) + c1 * mx[0]
    s0, s1, s2, after = 0.0, 0.0, 0.0, 1.0
    for j in range(n - 1, -1, -1):
        q, v0, x = 1.0 - p[j], p[j], a[j]
        v1, v2 = v0 * x / 2.0, v0 * (x * x) / 3.0
        mean = y1 - v1
        rest0, rest1, rest2 = some_but[j], mean, y2 - 2.0 * v1 * mean - v2
        alone = (v0 / 2.0, v0 * x / 3.0, v0 * (x * x) / 4.0, 0.0)
        joint = _sum_moments(alone, (rest0, rest1, rest2, 0.0))
        m, mx = _sum_moments(own0, joint), _sum_moments(own1, joint)
        # without the states in which exactly one feature besides i and j is active
        before = none_before[j]
        rest0 -= singles[3 * j] * after + before * s0
        rest1 -= singles[3 * j + 1] * after + before * s1
        rest2 -= singles[3 * j + 2] * after + before * s2
        r = _sum_moments(idle, _sum_moments(alone, (rest0, rest1, rest2, 0.0)))
        slope[j] += 3.0 * c3 * (r[2] + m[2] - 2.0 * mx[1]) + 2.0 * c2 * (r[1] + m[1] - mx[0]) + c1 * (r[0] + m[0])
        s0, s1, s2 = q * s0 + after * v0, q * s1 + after * v1, q * s2 + after * v2
        after *= q
    numbers[entry.LOSS] += loss
    numbers[entry.SLOPE_B] += slope_b
    numbers[entry.SLOPE_I] += slope_i
