"""The sum over the nodes of the contour, for the loss of one output and its slopes (numba kernels)."""

import math

from .._compiling.emission import DOUBLE_LANES, SINGLE_LANES
from .._compiling.jit import call, doubles, jit, offset
from . import contour_table as entry
from .contour_table import others
from .nodes import ROW, SLOPE, SUMS, VECTOR, take
from .rows import SURELY
from .truncation import SUM_SHARE

STAGES = 4  # how many stages back the sums are watched for having settled
# On the estimated tail. Of 950 random and adversarial outputs of 3 to 80 features, summed much further by a copy of this rule in
# complex double precision, none erred by more than 0.85 of its tolerance in a slope, or by more than 0.58 of it in the loss.
CAUTION = 1.25
MANY, APART = 12, 1.02  # features, and the ratio of weights, from which on terms of the smallest weights are of many phases
# The slopes are watched up to so many nodes, and again once loss and common slopes have come so near, in tolerances.
EARLY, NEAR = 96.0, 40.0
SCARCE = 1e-200  # probability that no feature is active below which states with few active ones have none to speak of
NARROW_SCARCE = 1e-25  # … below which products relative to it have no room in single precision
REFRESH = 2048.0  # nodes after which phases in single precision are computed afresh
# What each of the last stages added: real and imaginary parts for the slopes in a_j, then loss, slope in b and slope in a_i;
# behind these 2 (n + 3) numbers the node after which the stage began, and by which factor the tail exceeds it, squared.
BEGUN, FACTOR, BEHIND = 6, 7, 8


@jit(inner=True, once=True)
def _four_smallest(a, n):
    """Of n weights, the four smallest |a_j| in order; infinite where there are no four."""
    first = second = third = fourth = math.inf
    for j in range(n):
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
    """The square of what sum j counts relative to: the slopes in the n weights, then loss, slope in b and slope in a_i."""
    if j == n:
        return scale * scale
    if j == n + 1:
        return root * root
    return root * root * (p[j] if j < n else p_i) / 3.0


@jit(inner=True, once=True)
def _tail(recent, stage, power, end, p, n, p_i, scale, root, common, enough):
    """Estimate of what follows the last stage, relative to each sum's scale; cut short where it is more than ``enough``.

    ``recent``: see BEGUN. Of the sums that all features have in ``common``, which must be asked for first, or of the slopes in
    the n weights, of densities p. What the longest window has added counts as if all that follows had one sign; what shorter ones
    have, which tell of signs that change, as if they went on doing so.
    """
    size = 2 * n + BEHIND
    if common:
        for back in range(STAGES):
            behind = offset(recent, (stage - back) % STAGES * size + 2 * n)
            growth = (end / behind[BEGUN]) ** power
            behind[FACTOR] = 1.0 / ((growth - 1.0) * (growth + (1.0 if back < STAGES - 1 else -1.0)))
    square, limit = 0.0, (enough / CAUTION) * (enough / CAUTION)
    for j in range(n if common else 0, n + 3 if common else n):
        re = im = most = 0.0
        for back in range(STAGES):
            added = offset(recent, (stage - back) % STAGES * size)
            re += added[2 * j]
            im += added[2 * j + 1]
            most = max(most, (re * re + im * im) * added[2 * n + FACTOR])
        square = max(square, most / _square_unit(j, n, p, p_i, scale, root))
        if square > limit:
            break
    return CAUTION * math.sqrt(square)


@jit(inner=True)
def sum_series(n, table):
    """Add the sum over the nodes to loss and slopes; set its error, relative to the scale, and how many nodes it took.

    The sum ends after the sure nodes, or with an infinite error at the most nodes, or where it has settled: what follows is
    estimated from what the last one to four stages (of a sixth) together have each added, as if that fell by the slowest power.
    The terms are real parts; the moduli of the complex sums are what is watched, as a tail may pass through zero.
    The last of the n features must be the one most likely active. See `contour_table`. Its slow twin is `plain_contour` in
    `test_contour`.
    """
    a, p, slope, numbers = others(table)
    recent, a_i, p_i = doubles(table[entry.RECENT]), numbers[entry.A_I], numbers[entry.P_I]
    scale, slack, period = numbers[entry.SCALE], numbers[entry.SLACK], numbers[entry.PERIOD]
    most, sure, fine = numbers[entry.MOST_NODES], numbers[entry.SURE], numbers[entry.FINE]
    tolerance = SUM_SHARE * numbers[entry.TOLERANCE]
    none = 1.0
    for j in range(n):
        none *= max(1.0 - p[j], SURELY)
    few = none > SCARCE
    if none < NARROW_SCARCE:
        fine = math.inf
    sums = doubles(table[entry.ROWS] + (n + 2) * ROW), doubles(table[entry.NARROW_ROWS] + (n + 2) * ROW)
    for m in range(SUMS * DOUBLE_LANES):  # of bytes 0, whatever the precision
        sums[0][m] = sums[1][m] = 0.0
    unit, weight, root = 2.0 * math.pi / period, 2.0 / period * (none if few else 1.0), math.sqrt(scale) * slack
    smallest = _four_smallest(a, n)
    faster = 1.0 if _many_phases(smallest, n) else 0.0
    stage, narrow, size, watched = 0, False, 2 * n + BEHIND, 0
    lanes, rows, terms = DOUBLE_LANES * 1.0, table[entry.ROWS], table[entry.NODES]
    first, end, turned = 1.0, DOUBLE_LANES * 1.0, 0.0
    last_watched = EARLY if fine == math.inf else 0.0
    while True:
        added = offset(recent, stage % STAGES * size)
        added[2 * n + BEGUN] = first - 1.0
        fresh = narrow or not first > fine
        if not fresh:
            narrow, lanes, rows, terms = True, SINGLE_LANES * 1.0, table[entry.NARROW_ROWS], table[entry.NARROW_NODES]
        if not fresh or turned == 0.0 or (narrow and first > turned + REFRESH):
            call(table[entry.START], (first, narrow, fresh, unit, few, weight, n, table))
            turned = first
        while first <= end and first <= sure and first + lanes - 1.0 <= most:
            call(terms, (first, 1.0 / unit, few, slack < math.inf, p_i, n, rows))
            first += lanes
        watches = first - 1.0 <= last_watched
        ends = first > sure or first + lanes - 1.0 > most
        watched = watched + 1 if watches else 0
        for j in range(0 if watches or ends or (first > fine and not narrow) else n, n + 3):
            at = rows + (j * ROW + SLOPE * VECTOR if j < n else (n + 2) * ROW + 2 * (j - n) * VECTOR)
            re, im = take(False, at) if narrow else take(True, at)
            added[2 * j], added[2 * j + 1] = re, im
            if j < n:
                slope[j] += re
            else:
                numbers[entry.LOSS + j - n] += re
        numbers[entry.USED] = first - 1.0
        if first > sure:
            numbers[entry.ERROR] = numbers[entry.REST]
            return
        if stage >= STAGES:
            power = faster + _slowest_power(unit * recent[(stage + 1) % STAGES * size + 2 * n + BEGUN], a_i, smallest)
            error = 0.0
            for common in (True, False):
                if error <= tolerance:
                    error = max(error, _tail(recent, stage, power, end, p, n, p_i, scale, root, common, NEAR * tolerance))
                if common and error <= NEAR * tolerance:
                    last_watched = math.inf
            if error <= tolerance and watched > STAGES:
                numbers[entry.ERROR] = error
                return
        if ends:
            numbers[entry.ERROR] = math.inf
            return
        stage += 1
        end += lanes * max(1.0, float(int(end / (6.0 * lanes) + 0.5)))
