"""The sum over the nodes of the contour, for the loss of one output and its slopes (numba kernels)."""

import math

from ._doubles import LANES, complex_fma, complex_product, load, splat, store, total
from ._jit import call, jit
from ._transforms import ALL_IM, ALL_RE, G_IM, G_RE, LANE_NUMBERS, OFFSET, ROW, SLOPE_IM, SLOPE_RE, T_IM, T_RE, next_phase, own_transform, start_row, transform

STAGES = 5  # how many stages back the sums are watched for having settled
CAUTION = 1.25  # on the estimated tail
SURELY = 1e-17  # probability of being inactive below which none is told from it
SCARCE = 1e-200  # probability that no feature is active below which states with few active ones have none to speak of
LOSS_RE, LOSS_IM, SLOPE_B_RE, SLOPE_B_IM, SLOPE_I_RE, SLOPE_I_IM = (LANES * slot for slot in range(6))
SUMS = 6 * LANES


@jit(inner=True)
def add_block(first, unit, few, slopes, p_i, n, work, sums):
    """Add the terms of the nodes ``first`` … ``first`` + 7 to the sums, lane by lane; 1/ω = ``unit``/k at node k.

    Where states with few active features are taken out (``few``), all products are relative to the probability that none is.
    """
    zero, one = splat(0.0), splat(1.0)
    inverse = splat(unit) / (splat(first) + load(LANE_NUMBERS, 0))
    # over the features so far: exactly one active, and at least one, two, three
    only_re = only_im = one_re = one_im = two_re = two_im = three_re = three_im = zero
    for j in range(n):
        at = j * ROW
        t_re, t_im = transform(work, at, first, inverse)
        if j < n - 1:
            only_re, only_im = only_re + t_re, only_im + t_im
        t_re = t_re - splat(work[at + OFFSET])
        all_re = one + one_re
        store(work, at + T_RE, t_re)
        store(work, at + T_IM, t_im)
        store(work, at + ALL_RE, all_re)
        store(work, at + ALL_IM, one_im)
        three_re, three_im = complex_fma(t_re, t_im, two_re, two_im, three_re, three_im)
        two_re, two_im = complex_fma(t_re, t_im, one_re, one_im, two_re, two_im)
        one_re, one_im = complex_fma(t_re, t_im, all_re, one_im, one_re, one_im)
    if not few:
        two_re = three_re = one + one_re
        two_im = three_im = one_im
    at = n * ROW
    f_re, f_im, g_re, g_im, h_re, h_im = own_transform(work, at, first, inverse)
    turn_re, turn_im = next_phase(work, at + ROW)
    double = splat(2.0) * inverse
    turn_re, turn_im = double * turn_re, double * turn_im
    # at s = iω, with i inactive 2q/s², active 2f/s² − 2g/s and for a_i 2g/s² − 2h/s, each times e^{sb}
    idle = splat(p_i - 1.0) * inverse
    idle_re, idle_im = idle * turn_re, idle * turn_im
    v_re, v_im = complex_product(turn_re, turn_im, -(f_re * inverse + g_im), g_re - f_im * inverse)
    own_re, own_im = complex_product(turn_re, turn_im, -(g_re * inverse + h_im), h_re - g_im * inverse)
    re, im = complex_product(v_re, v_im, two_re, two_im)
    re, im = complex_fma(idle_re, idle_im, three_re, three_im, re, im)
    store(sums, LOSS_RE, load(sums, LOSS_RE) + im * inverse)
    store(sums, LOSS_IM, load(sums, LOSS_IM) - re * inverse)
    store(sums, SLOPE_B_RE, load(sums, SLOPE_B_RE) + re)
    store(sums, SLOPE_B_IM, load(sums, SLOPE_B_IM) + im)
    re, im = complex_fma(own_re, own_im, two_re, two_im, load(sums, SLOPE_I_RE), load(sums, SLOPE_I_IM))
    store(sums, SLOPE_I_RE, re)
    store(sums, SLOPE_I_IM, im)
    if not slopes:
        return
    # the slope in a_j: over all states but j's of the other features, without those with none and, i inactive, one active
    v_re, v_im = v_re + idle_re, v_im + idle_im
    none_re = none_im = only_re_j = only_im_j = zero
    if few:
        none_re, none_im = complex_fma(idle_re, idle_im, only_re, only_im, v_re, v_im)
        none_re, none_im = -none_re, -none_im
    for j in range(n - 1, -1, -1):
        at = j * ROW
        t_re, t_im = load(work, at + T_RE), load(work, at + T_IM)
        re, im = complex_fma(load(work, at + ALL_RE), load(work, at + ALL_IM), v_re, v_im, none_re, none_im)
        re, im = complex_fma(t_re, t_im, only_re_j, only_im_j, re, im)
        slope_re, slope_im = load(work, at + SLOPE_RE), load(work, at + SLOPE_IM)
        re, im = complex_fma(re, im, load(work, at + G_RE), load(work, at + G_IM), slope_re, slope_im)
        store(work, at + SLOPE_RE, re)
        store(work, at + SLOPE_IM, im)
        v_re, v_im = complex_fma(t_re, t_im, v_re, v_im, v_re, v_im)
        if few and j == n - 1:
            only_re_j, only_im_j = idle_re, idle_im
            re, im = complex_product(idle_re, idle_im, t_re, t_im)
            none_re, none_im = none_re - re, none_im - im


@jit(inner=True, once=True)
def _three_smallest(a):
    """The three smallest |a_j|; infinite where there are no three."""
    low = middle = high = math.inf
    for j in range(a.size):
        size = abs(a[j])
        if size < low:
            low, middle, high = size, low, middle
        elif size < middle:
            middle, high = size, middle
        elif size < high:
            high = size
    return low, middle, high


@jit(inner=True, once=True)
def _slowest_power(omega, a_i, smallest):
    """The power of 1/k by which sums of terms fall that fall slowest, those of the smallest weights: 0 … 3."""
    one = omega * smallest[0] / (2.0 + omega * smallest[0])
    two = omega * smallest[1] / (2.0 + omega * smallest[1])
    own = omega * abs(a_i) / (2.0 + omega * abs(a_i))
    three = 1.0
    if smallest[2] < math.inf:
        three = omega * smallest[2] / (2.0 + omega * smallest[2])
    return one + two + min(own, 1.0 + three)


@jit(inner=True, once=True)
def _unit(j, n, p, p_i, scale, root):
    """What a sum counts relative to: the slopes in a_j, then loss, slope in b and slope in a_i."""
    if j == n:
        return scale
    if j == n + 1:
        return root
    return root * math.sqrt((p[j] if j < n else p_i) / 3.0)


@jit(inner=True)
def _take_sum(sums, at, new, j):
    """Move a complex sum, lanes added up, to entries 2j and 2j + 1 of ``new``; return its real part."""
    re = total(load(sums, at))
    new[2 * j], new[2 * j + 1] = re, total(load(sums, at + LANES))
    store(sums, at, splat(0.0))
    store(sums, at + LANES, splat(0.0))
    return re


@jit(inner=True, once=True)
def _tail(recent, stage, power, end, p, p_i, scale, root, enough):
    """Estimate of what follows the last stage, relative to each sum's scale; cut short where it is more than ``enough``."""
    n = p.size
    for back in range(STAGES):
        row = recent[(stage - back) % STAGES]
        row[2 * n + 7] = 1.0 / ((end / row[2 * n + 6]) ** power - 1.0) ** 2
    error = 0.0
    for turn in range(n, 2 * n + 3):
        j = turn if turn < n + 3 else turn - (n + 3)
        re = im = most = 0.0
        for back in range(STAGES):
            row = recent[(stage - back) % STAGES]
            re += row[2 * j]
            im += row[2 * j + 1]
            most = max(most, (re * re + im * im) * row[2 * n + 7])
        error = max(error, CAUTION * math.sqrt(most) / _unit(j, n, p, p_i, scale, root))
        if error > enough:
            break
    return error


@jit(inner=True)
def sum_series(goal, a, p, work, sums, recent, slope, found, kernel):
    """Add loss, slope in b and slope in a_i to ``found``; then relative error and number of nodes; add the slopes in a_j.

    ``goal`` is (most nodes, sure nodes, error after them, tolerance, scale, slack, period, a_i, p_i, b). The sums end
    after the sure nodes, or with an infinite error at the most nodes, or where they have settled: what follows is estimated
    from what each of the last one to five stages (of an eighth) together have added, as if that fell by the slowest power.
    The terms are real parts; the moduli of the complex sums are what is watched, as a tail may pass through zero.
    The last feature must be the one most likely active. ``kernel`` is the address of `add_block`.
    """
    most, sure, rest, tolerance, scale, slack, period, a_i, p_i, b = goal
    n = a.size
    none = 1.0
    for j in range(n):
        none *= max(1.0 - p[j], SURELY)
    few = none > SCARCE
    unit = 2.0 * math.pi / period
    for j in range(n):
        start_row(work, j * ROW, p[j] / max(1.0 - p[j], SURELY) if few else p[j], a[j], 0.0 if few else p[j], unit * a[j])
    start_row(work, n * ROW, p_i, a_i, 0.0, unit * a_i)
    start_row(work, (n + 1) * ROW, 2.0 / period * (none if few else 1.0), 1.0, 0.0, unit * b)
    sums[:] = 0.0
    root = math.sqrt(scale) * slack
    smallest = _three_smallest(a)
    stage = 0
    first, end = 1.0, LANES * 1.0  # floats: a literal whole number would be compiled a second time
    while True:
        new = recent[stage % STAGES]
        new[2 * n + 6] = first - 1.0
        while first <= end and first <= sure and first + LANES - 1 <= most:
            call(kernel, (first, 1.0 / unit, few, slack < math.inf, p_i, n, work, sums))
            first += LANES
        for j in range(n):
            slope[j] += _take_sum(work, j * ROW + SLOPE_RE, new, j)
        for j in range(3):
            found[j] += _take_sum(sums, 2 * LANES * j, new, n + j)
        found[4] = first - 1
        if first > sure:
            found[3] = rest
            return
        if stage >= STAGES:
            power = _slowest_power(unit * recent[(stage + 1) % STAGES, 2 * n + 6], a_i, smallest)
            error = _tail(recent, stage, power, end, p, p_i, scale, root, tolerance)
            if error <= tolerance:
                found[3] = error
                return
        if first + LANES - 1 > most:
            found[3] = math.inf
            return
        stage += 1
        end += LANES * max(1.0, math.floor(end / (8 * LANES) + 0.5))
