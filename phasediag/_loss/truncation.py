"""How far the contour series must be summed, and over which period: bounds known before the sum (numba kernels)."""

import math

from .._compiling.emission import DOUBLES
from .._compiling.jit import jit
from .envelopes import add_envelopes

TURNED = 9.3  # |φ(iy)| ≤ 2/y is the envelope from here on
MOST_SURE = 600.0  # beyond, the bound asks for many more nodes than the sum needs to settle
MOST_GROWTH, RARE_GROWTH = 0.45, 1.8  # the largest exponent of a feature's e^{λx}: of the digits asked for, and of log 1/p_j
SINGLE = 2.0**-21  # relative rounding of terms in single precision, several deviations; that of many terms adds as squares


@jit(inner=True)
def _envelope(x, inverse):
    """The supremum over x' ≥ x of |φ(2ix')| = |sinc x'|, from above; without branches, which no processor would foresee."""
    v = min(x * x, 7.0)
    series = 1.0 + v * (-1.0 / 6.0 + v * (1.0 / 120.0 + v * (-1.0 / 5040.0 + v * (1.0 / 362880.0))))
    return min(inverse, max(0.2173, series))


@jit(inner=True)
def _own_bounds(omega, a_i, p_i):
    """Bounds of the factor of an output's own feature, active with probability p_i, and of its first two moments."""
    y = omega * abs(a_i)
    beta = _envelope(0.5 * y, 2.0 / y)
    f = p_i * beta
    g = h = 1.0
    if y > 0.0:
        g = (1.0 + beta) / y
        h = (1.0 + 2.0 * min(0.5, g)) / y
    g = p_i * min(0.5, g)
    h = p_i * min(1.0 / 3.0, h)
    return f, g, h


@jit(inner=True, once=True)
def _term_bound(lane, room, a_i, p_i, scale, slack):
    """Bounds of the terms of all sums, and of what they are differences of, at one frequency, valid for all higher ones.

    The loss counts relative to ``scale``, the slope in b to slack √scale, the
    one in a_j to slack √(scale E x_j²). ``room`` has been filled by `add_envelopes`.
    """
    omega, none, one, two, three = room[lane], room[8 + lane], room[16 + lane], room[24 + lane], room[32 + lane]
    ratio = math.sqrt(0.75 * room[40 + lane] / room[48 + lane])
    f, g, h = _own_bounds(omega, a_i, p_i)
    root = math.sqrt(scale)
    idle = (1.0 - p_i) / (omega * omega)
    slope = (f / omega + g) / omega
    own = (g / omega + h) / (omega * math.sqrt(p_i / 3.0))
    slope_b = idle * three + slope * two
    common = slope_b / (omega * scale) + (slope_b + own * two) / (root * slack)
    ratio /= root * slack
    every = none + one
    return 4.0 * (common + ratio * (idle * two + slope * one)), 4.0 * (common + ratio * (idle + slope) * every)


@jit(inner=True)
def count_nodes(period, a_i, p_i, a, p, scale, slack, tolerance, bounds, room, found):
    """Number of nodes after which the terms add up to less than the tolerance, and their bound; infinite if unknown.

    Then from which node on single precision errs by less than an eighth of the tolerance.
    They go to ``found``.
    """
    smallest = math.inf
    for j in range(a.size):
        smallest = min(smallest, abs(a[j]))
    step = 2.0 * math.pi / period
    found[3] = found[4] = found[5] = math.inf
    # Terms on (k, growth k] are at most the one at k; from where every |φ| is 2/y on, they fall at least as k^−3.
    start, growth, last, goes_on = 8.0, 1.25, -1, True
    while goes_on:
        k = start
        for lane in range(DOUBLES):
            room[lane] = step * k
            k *= growth
        add_envelopes(a, p, room)
        k = start
        for lane in range(DOUBLES):
            last += 1
            bound, whole = _term_bound(lane, room, a_i, p_i, scale, slack)
            bound /= period
            bounds[last, 0] = k
            bounds[last, 1] = bound
            if found[5] == math.inf and SINGLE / period * math.sqrt(k) * whole < 0.125 * tolerance:
                found[5] = k
            goes_on = last < bounds.shape[0] - 1 and (step * k * smallest <= TURNED or bound * k >= 0.1 * tolerance)
            if not goes_on:
                break
            # also where it would have to fall faster than it does where few features are active
            if (k > MOST_SURE or (found[5] < k and bound * k > tolerance * (MOST_SURE / k) ** 6)) and growth < 2.0:
                return
            k *= growth
            if bound * k < 0.02 * tolerance and growth < 2.0:
                k *= 8.0 / growth
                growth = 8.0
                break
        start = k
    rest = math.inf
    if step * bounds[last, 0] * smallest > TURNED:
        rest = 0.5 * bounds[last, 0] * bounds[last, 1]
    while last > 0:
        piece = (bounds[last, 0] - bounds[last - 1, 0] + 1.0) * bounds[last - 1, 1]
        if rest + piece > tolerance:
            break
        rest += piece
        last -= 1
    found[3], found[4] = bounds[last, 0], rest
    if bounds[last, 0] < 4.0 * found[5]:
        found[5] = math.inf


@jit(inner=True)
def short_period(a_i, p_i, a, p, b, reach, variance, scale, slack, tolerance, found):
    """A period T ≤ reach such that the mass with |z| > T adds at most ``tolerance`` to every relative error, to ``found``.

    At |z| = T + x the series of z⁺^r, r = 0, 1, 2, are off by at most x^r (1 + x/T): by r = 2, and so by differentiation below
    it, P(z + T) − P(z) = (z + T)². With λT ≥ 3 that is at most c_r (eλ)^−r e^{λx}, c = 1.13, 1.5, 7.4.
    """
    least = p_i
    for j in range(a.size):
        least = min(least, p[j])
    root = math.sqrt(scale)
    slopes = 2.0 * (1.0 + 1.0 / math.sqrt(least / 3.0)) / (root * slack)
    best = reach
    digits = max(-math.log(tolerance), 1.0)
    rate = math.sqrt(2.0 * digits / variance)
    # The best rate is at most that of a normal law, and lower where features are rare: not much above this.
    for j in range(-1, a.size):
        weight, density = (a_i, p_i) if j < 0 else (a[j], p[j])
        if rate * abs(weight) > MOST_GROWTH * digits:
            rate = min(rate, (MOST_GROWTH * digits - RARE_GROWTH * math.log(density)) / abs(weight))
    for _ in range(16):
        up = math.exp(rate * b)
        down = 1.0 / up
        for j in range(-1, a.size):
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
    found[5] = best
