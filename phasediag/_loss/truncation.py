"""How far the contour series must be summed, and over which period: bounds known before the sum (numba kernels)."""

import math

from .._compiling.emission import DOUBLE_LANES
from .._compiling.jit import doubles, jit, offset
from . import contour_table as entry
from .contour_table import others
from .envelopes import LARGEST, LEAST, LOWEST, NONE, OMEGA, ONE, THREE, TWO, add_envelopes

SUM_SHARE, CUT_SHARE = 0.75, 0.1  # of the tolerance: for the terms left out, for the mass outside of the period
TURNED = 9.3  # |φ(iy)| ≤ 2/y is the envelope from here on
MOST_SURE = 600.0  # beyond, the bound asks for many more nodes than the sum needs to settle
MOST_GROWTH, RARE_GROWTH = 0.45, 1.8  # the largest exponent of a feature's e^{λx}: of the digits asked for, and of log 1/p_j
SINGLE = 2.0**-21  # relative rounding of terms in single precision, several deviations; that of many terms adds as squares


@jit(inner=True, once=True)
def _own_bounds(omega, a_i, p_i):
    """Bounds of the factor of an output's own feature, active with probability p_i, and of its first two moments."""
    y = omega * abs(a_i)
    v = min(0.25 * y * y, 7.0)
    series = 1.0 + v * (-1.0 / 6.0 + v * (1.0 / 120.0 + v * (-1.0 / 5040.0 + v * (1.0 / 362880.0))))
    beta = min(2.0 / y, max(LEAST, series))  # from above, sup over x ≥ y/2 of |sinc x|
    f = p_i * beta
    g = h = 1.0
    if y > 0.0:
        g = (1.0 + beta) / y
        h = (1.0 + 2.0 * min(0.5, g)) / y
    g = p_i * min(0.5, g)
    h = p_i * min(1.0 / 3.0, h)
    return f, g, h


@jit(inner=True, once=True)
def _term_bound(room, a_i, p_i, scale, slack):
    """Bounds of the terms of all sums, and of what they are differences of, at one frequency, valid for all higher ones.

    The loss counts relative to ``scale``, the slope in b to slack √scale, the one in a_j to slack √(scale E x_j²). ``room``
    is one lane of what `add_envelopes` has filled.
    """
    omega, one, two = room[DOUBLE_LANES * OMEGA], room[DOUBLE_LANES * ONE], room[DOUBLE_LANES * TWO]
    ratio = math.sqrt(0.75 * room[DOUBLE_LANES * LARGEST] / room[DOUBLE_LANES * LOWEST])
    f, g, h = _own_bounds(omega, a_i, p_i)
    root = math.sqrt(scale)
    idle = (1.0 - p_i) / (omega * omega)
    slope = (f / omega + g) / omega
    own = (g / omega + h) / (omega * math.sqrt(p_i / 3.0))
    slope_b = idle * room[DOUBLE_LANES * THREE] + slope * two
    common = slope_b / (omega * scale) + (slope_b + own * two) / (root * slack)
    ratio /= root * slack
    every = room[DOUBLE_LANES * NONE] + one
    return 4.0 * (common + ratio * (idle * two + slope * one)), 4.0 * (common + ratio * (idle + slope) * every)


@jit(inner=True)
def count_nodes(n, table):
    """Find the node after which the terms add up to less than their share of the tolerance, and to what; infinite if unknown.

    Then the node from which on single precision errs by less than an eighth of that. See `contour_table`.
    """
    a, p, _slope, numbers = others(table)
    room, bounds, period = doubles(table[entry.ENVELOPES]), doubles(table[entry.BOUNDS]), numbers[entry.PERIOD]
    a_i, p_i, scale, slack = numbers[entry.A_I], numbers[entry.P_I], numbers[entry.SCALE], numbers[entry.SLACK]
    tolerance = SUM_SHARE * numbers[entry.TOLERANCE]
    smallest = math.inf
    for j in range(n):
        smallest = min(smallest, abs(a[j]))
    step = 2.0 * math.pi / period
    fine = math.inf
    numbers[entry.SURE] = numbers[entry.REST] = numbers[entry.FINE] = math.inf
    # Terms on (k, growth k] are at most the one at k; from where every |φ| is 2/y on, they fall at least as k^−3.
    start, growth, last, goes_on = 8.0, 1.25, -1, True
    while goes_on:
        k = start
        for lane in range(DOUBLE_LANES):
            room[DOUBLE_LANES * OMEGA + lane] = step * k
            k *= growth
        add_envelopes(a, p, n, room)
        k = start
        for lane in range(DOUBLE_LANES):
            last += 1
            bound, whole = _term_bound(offset(room, lane), a_i, p_i, scale, slack)
            bound /= period
            bounds[2 * last], bounds[2 * last + 1] = k, bound
            if fine == math.inf and SINGLE / period * math.sqrt(k) * whole < 0.125 * tolerance:
                fine = numbers[entry.FINE] = k
            goes_on = last < entry.MOST_BOUNDS - 1 and (step * k * smallest <= TURNED or bound * k >= 0.1 * tolerance)
            if not goes_on:
                break
            # also where it would have to fall faster than it does where few features are active
            much = MOST_SURE / k
            if (
                k > MOST_SURE or (fine < k and bound * k > tolerance * (much * much * much * much * much * much))
            ) and growth < 2.0:
                return
            k *= growth
            if bound * k < 0.02 * tolerance and growth < 2.0:
                k *= 8.0 / growth
                growth = 8.0
                break
        start = k
    rest, end = math.inf, 2 * last
    if step * bounds[end] * smallest > TURNED:
        rest = 0.5 * bounds[end] * bounds[end + 1]
    while end > 0:
        piece = (bounds[end] - bounds[end - 2] + 1.0) * bounds[end - 1]
        if rest + piece > tolerance:
            break
        rest += piece
        end -= 2
    numbers[entry.SURE], numbers[entry.REST] = bounds[end], rest
    if bounds[end] < 4.0 * fine:
        numbers[entry.FINE] = math.inf


@jit(inner=True)
def short_period(n, table):
    """Find a period T ≤ reach such that the mass with |z| > T adds at most its share of the tolerance to every relative error.

    At |z| = T + x the series of z⁺^r, r = 0, 1, 2, are off by at most x^r (1 + x/T): by r = 2, and so by differentiation below
    it, P(z + T) − P(z) = (z + T)². With λT ≥ 3 that is at most c_r (eλ)^−r e^{λx}, c = 1.13, 1.5, 7.4.
    See `contour_table`.
    """
    a, p, _slope, numbers = others(table)
    a_i, p_i, b = numbers[entry.A_I], numbers[entry.P_I], numbers[entry.BIAS]
    reach, scale = numbers[entry.REACH], numbers[entry.SCALE]
    tolerance = CUT_SHARE * numbers[entry.TOLERANCE]
    least = p_i
    for j in range(n):
        least = min(least, p[j])
    root = math.sqrt(scale)
    slopes = 2.0 * (1.0 + 1.0 / math.sqrt(least / 3.0)) / (root * numbers[entry.SLACK])
    best = reach
    digits = max(-math.log(tolerance), 1.0)
    rate = math.sqrt(2.0 * digits / numbers[entry.VARIANCE])
    # The best rate is at most that of a normal law, and lower where features are rare: not much above this.
    for j in range(-1, n):
        weight, density = (a_i, p_i) if j < 0 else (a[j], p[j])
        if rate * abs(weight) > MOST_GROWTH * digits:
            rate = min(rate, (MOST_GROWTH * digits - RARE_GROWTH * math.log(density)) / abs(weight))
    for _ in range(16):
        up = math.exp(rate * b)
        down = 1.0 / up
        for j in range(-1, n):
            weight, density = (a_i, p_i) if j < 0 else (a[j], p[j])
            x = rate * weight
            if abs(x) > 1e-3:
                grown = math.exp(x)
                up *= 1.0 - density + density * (grown - 1.0) / x
                down *= 1.0 - density + density * (1.0 - 1.0 / grown) / x
            else:
                up *= 1.0 + density * x * (0.5 + x / 5.9)
                down *= 1.0 + density * x * (-0.5 + x / 5.9)
        unit = 1.0 / (math.e * rate)
        off = (7.4 * unit + 3.0) * unit / scale + (1.5 * unit + 1.13) * slopes  # the loss is of z⁺(z⁺ − 2x_i)
        period = (math.log(up + down) + math.log(off / tolerance)) / rate
        if period * rate >= 3.0 and period < best:
            best = period
        elif best < reach:
            break
        rate *= 0.8
    numbers[entry.PERIOD] = best
