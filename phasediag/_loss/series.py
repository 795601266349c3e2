"""The sum over the nodes of the contour, for the loss of one output and its slopes (numba kernels)."""

import math

from .._compiling.emission import DOUBLES, SINGLES
from .._compiling.jit import call, jit
from .nodes import SLOPE, take
from .rows import NARROW_ROW, ROW, narrow_row, start_row

STAGES = 4  # how many stages back the sums are watched for having settled
# On the estimated tail. Of 950 random and adversarial outputs of 3 to 80 features, summed much further by a copy of this rule in
# complex double precision, none erred by more than 0.85 of its tolerance in a slope, or by more than 0.58 of it in the loss.
CAUTION = 1.25
MANY, APART = 12, 1.02  # features, and the ratio of weights, from which on terms of the smallest weights are of many phases
# The slopes are watched up to so many nodes, and again once loss and common slopes have come so near, in tolerances.
EARLY, NEAR = 96.0, 40.0
SURELY = 1e-17  # probability of being inactive below which none is told from it
SCARCE = 1e-200  # probability that no feature is active below which states with few active ones have none to speak of
NARROW_SCARCE = 1e-25  # … below which products relative to it have no room in single precision
REFRESH = 2048.0  # nodes after which phases in single precision are computed afresh
SUMS, NARROW_SUMS = 6 * DOUBLES, 6 * SINGLES


@jit(inner=True, once=True)
def _four_smallest(a):
    """The four smallest |a_j| in order; infinite where there are no four."""
    first = second = third = fourth = math.inf
    for j in range(a.size):
        size = abs(a[j])
        if size < first:
            first, second, third, fourth = size, first, second, third
        elif size < second:
            second, third, fourth = size, second, third
        elif size < third:
            third, fourth = size, third
        elif size < fourth:
            fourth = size
    return first, second, third, fourth


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
def _many_phases(smallest, n):
    """Whether the slowest terms have so many phases that their sums fall by a power faster than those of one phase (measured)."""
    return (
        n >= MANY
        and smallest[1] > APART * smallest[0]
        and smallest[2] > APART * smallest[1]
        and smallest[3] > APART * smallest[2]
    )


@jit(inner=True, once=True)
def _square_unit(j, n, p, p_i, scale, root):
    """The square of what a sum counts relative to: the slopes in a_j, then loss, slope in b and slope in a_i."""
    if j == n:
        return scale * scale
    if j == n + 1:
        return root * root
    return root * root * (p[j] if j < n else p_i) / 3.0


@jit(inner=True, once=True)
def _tail(recent, size, stage, power, end, p, p_i, scale, root, common, enough):
    """Estimate of what follows the last stage, relative to each sum's scale; cut short where it is more than ``enough``.

    Of the sums that all features have in ``common``, which must be asked for first, or of the slopes in a_j. What the longest
    window has added counts as if all that follows had one sign; what shorter ones have, which tell of signs that change, as if
    they went on doing so.
    """
    n = p.size
    if common:
        for back in range(STAGES):
            at = (stage - back) % STAGES * size
            growth = (end / recent[at + 2 * n + 6]) ** power
            recent[at + 2 * n + 7] = 1.0 / ((growth - 1.0) * (growth + (1.0 if back < STAGES - 1 else -1.0)))
    square, limit = 0.0, (enough / CAUTION) ** 2
    for j in range(n if common else 0, n + 3 if common else n):
        re = im = most = 0.0
        for back in range(STAGES):
            at = (stage - back) % STAGES * size
            re += recent[at + 2 * j]
            im += recent[at + 2 * j + 1]
            most = max(most, (re * re + im * im) * recent[at + 2 * n + 7])
        square = max(square, most / _square_unit(j, n, p, p_i, scale, root))
        if square > limit:
            break
    return CAUTION * math.sqrt(square)


@jit(inner=True)
def start(first, lanes, fresh, unit, few, weight, a_i, p_i, b, a, p, work, narrow):
    """Prepare the rows for the nodes from ``first`` on; ``weight`` is that of the terms.

    Those of single precision from those of double precision, which need not be ``fresh`` when they have got that far.
    """
    n = a.size
    for j in range(n + 2):
        own, ratio, offset = b, 0.0, 0.0
        if j < n:
            own, ratio = a[j], p[j]
            if few:
                ratio /= max(1.0 - p[j], SURELY)
            else:
                offset = ratio
        elif j == n:
            own, ratio = a_i, p_i
        if fresh:
            start_row(work, j * ROW, weight if j > n else ratio / own, ratio, own, offset, unit * own, first)
        if lanes == SINGLES:
            narrow_row(work, j * ROW, narrow, j * NARROW_ROW)


@jit(inner=True)
def sum_series(goal, a, p, work, narrow, sums, narrow_sums, recent, slope, found, kernels):
    """Add loss, slope in b and slope in a_i to ``found``; then relative error and number of nodes; add the slopes in a_j.

    ``goal`` is (most nodes, sure nodes, error after them, nodes in double precision, tolerance,
    scale, slack, period, a_i, p_i, b). The sums end after the sure nodes, or with an infinite error at the most nodes, or where
    they have settled: what follows is estimated from what each of the last one to four stages (of a sixth) together have added,
    as if that fell by the slowest power. The terms are real parts; the moduli of the complex sums are what is watched, as a tail
    may pass through zero.
    The last feature must be the one most likely active. The kernels are the addresses of `start` and, for double and single
    precision, `add_nodes`.
    """
    most, sure, rest, fine, tolerance, scale, slack, period, a_i, p_i, b = goal
    n = a.size
    none = 1.0
    for j in range(n):
        none *= max(1.0 - p[j], SURELY)
    few = none > SCARCE
    if none < NARROW_SCARCE:
        fine = math.inf
    for m in range(SUMS):
        sums[m] = 0.0
    for m in range(NARROW_SUMS):
        narrow_sums[m] = 0.0
    unit, weight, root = 2.0 * math.pi / period, 2.0 / period * (none if few else 1.0), math.sqrt(scale) * slack
    smallest = _four_smallest(a)
    faster = 1.0 if _many_phases(smallest, n) else 0.0
    stage, lanes, size, watched = 0, DOUBLES, 2 * n + 8, 0
    first, end, turned = 1.0, DOUBLES * 1.0, 0.0  # floats: a literal whole number would be compiled a second time
    last_watched = EARLY if fine == math.inf else 0.0
    while True:
        new = stage % STAGES * size
        recent[new + 2 * n + 6] = first - 1.0
        narrowed = first > fine and lanes == DOUBLES
        if narrowed:
            lanes = SINGLES
        if narrowed or turned == 0.0 or (lanes == SINGLES and first > turned + REFRESH):
            call(kernels[0], (first, lanes, not narrowed, unit, few, weight, a_i, p_i, b, a, p, work, narrow))
            turned = first
        while first <= end and first <= sure and first + lanes - 1 <= most:
            if lanes == DOUBLES:
                call(kernels[1], (first, 1.0 / unit, few, slack < math.inf, p_i, n, work, sums))
            else:
                call(kernels[2], (first, 1.0 / unit, few, slack < math.inf, p_i, n, narrow, narrow_sums))
            first += lanes
        watches = first - 1.0 <= last_watched
        ends = first > sure or first + lanes - 1 > most
        watched = watched + 1 if watches else 0
        for j in range(0 if watches or ends or (lanes == DOUBLES and first > fine) else n, n + 3):
            if lanes == DOUBLES:
                re, im = take(work, j * ROW + SLOPE * DOUBLES) if j < n else take(sums, 2 * DOUBLES * (j - n))
            else:
                re, im = take(narrow, j * NARROW_ROW + SLOPE * SINGLES) if j < n else take(narrow_sums, 2 * SINGLES * (j - n))
            recent[new + 2 * j], recent[new + 2 * j + 1] = re, im
            if j < n:
                slope[j] += re
            else:
                found[j - n] += re
        found[4] = first - 1
        if first > sure:
            found[3] = rest
            return
        if stage >= STAGES:
            power = faster + _slowest_power(unit * recent[(stage + 1) % STAGES * size + 2 * n + 6], a_i, smallest)
            error = 0.0
            for common in (True, False):
                if error <= tolerance:
                    error = max(error, _tail(recent, size, stage, power, end, p, p_i, scale, root, common, NEAR * tolerance))
                if common and error <= NEAR * tolerance:
                    last_watched = math.inf
            if error <= tolerance and watched > STAGES:
                found[3] = error
                return
        if ends:
            found[3] = math.inf
            return
        stage += 1
        end += lanes * max(1.0, math.floor(end / (6 * lanes) + 0.5))
