"""The regions of a proof confirmed in rational arithmetic; the statements are those of `regions`."""

from itertools import pairwise

import numpy as np

from .rational import number
from .regions import PARTS, widest_axis

MOST_PARTS = 4 * PARTS
"""In how many parts a region is confirmed, at most."""
SHARE = 0.005
"""What each part must have of the curvature at the minimum; half of what the region was found with."""


def confirm_convex(replay, region):
    """Return what fails of a convex region of a `Replay`, in words; None where all holds."""
    box = region.box
    low, high = ([number(x) for x in end] for end in box)
    point = [number(x) for x in region.point]
    if any(not a < x < b for a, x, b in zip(low, point, high, strict=True)):
        return "the minimum is not inside its region"
    if any(a <= 0 <= b for a, b in zip(low[:2], high[:2], strict=True)):
        return "a region of a smooth minimum has a weight that may vanish"
    least = _convexity(replay, region)
    if least is None:
        return "the loss is not convex in a region"
    loss, gradient = _support(replay, point)
    slope = sum(g * g for g in gradient)
    if loss - slope / (4 * least) < number(region.bound):
        return "the loss in a region may be below its bound"
    if region.unique and slope >= (least * min(min(x - a, b - x) for a, x, b in zip(low, point, high, strict=True))) ** 2:
        return "a region is not shown to hold a stationary point"
    return None


def _convexity(replay, region):
    """A number that half the second derivative is greater than in a region, a fraction; None where none is confirmed.

    The box is halved where floats say that the second derivative then varies least, until each part is confirmed.
    """
    rows = replay.rows
    free, importance, density = np.array(replay.free), *(np.array([float(x) for x in y]) for y in (rows.importance, rows.density))
    at_point = np.linalg.eigvalsh(_rough(_curvature(replay, region.point, region.point)[0]))[0]
    waiting, confirmed, seen = [(region.box[0], region.box[1])], [], 0
    while waiting:
        low, high = waiting.pop()
        seen += 1
        least = _definite(*_curvature(replay, low, high), SHARE * at_point)
        if least is not None:
            confirmed.append(least)
        elif seen + len(waiting) > MOST_PARTS or _definite(*_curvature(replay, (low + high) / 2, (low + high) / 2), 0.0) is None:
            return None
        else:
            axis = widest_axis(0.5 * (low + high), 0.5 * (high - low), free, importance, density)
            above, below = low.copy(), high.copy()
            above[axis] = below[axis] = 0.5 * (low[axis] + high[axis])
            waiting += [(low, below), (above, high)]
    return min(confirmed)


def _rough(matrix):
    """A matrix of fractions as floats."""
    return np.array(matrix, dtype=object).astype(float)


def _definite(middle, width, wanted):
    """A number, about what is ``wanted`` or more, that middle − the row sums of width, (4, 4), is greater than; or None."""
    if middle is None:
        return None
    matrix = [[middle[j][k] - (sum(width[j]) if j == k else 0) for k in range(4)] for j in range(4)]
    lowest = float(np.linalg.eigvalsh(_rough(matrix))[0])
    if lowest < wanted:
        return None
    curvature = number(0.9 * lowest)
    factor = np.linalg.cholesky(_rough(matrix) - 0.95 * lowest * np.eye(4))
    exact = [[number(x) for x in row] for row in factor]
    for j in range(4):
        # matrix − curvature = factor factorᵀ + what is dominated by its diagonal
        rest = [matrix[j][k] - sum(exact[j][h] * exact[k][h] for h in range(4)) - (curvature if j == k else 0) for k in range(4)]
        if 2 * rest[j] < sum(abs(x) for x in rest):
            return None
    return curvature


def _support(replay, point):
    """A lower bound of the loss at a point (4,) and the sizes of its gradient, fractions."""
    rows = replay.rows
    loss, slopes = -rows.slack, []
    for i in range(2):
        g = (point[i] * point[0], point[i] * point[1], point[2 + i])
        v, m = rows.applied(g), rows.moments(g)
        loss += rows.importance[i] * (rows.loss(i, g) - rows.given_away(g, g))
        slopes.append([2 * rows.importance[i] * (v[j] - m[i][j]) for j in range(3)])
    gradient = [sum(point[j] * (slopes[k][j] + slopes[j][k]) for j in range(2)) for k in range(2)] + [slopes[0][2], slopes[1][2]]
    scale = 1 + sum(abs(x) for x in point)
    return loss, [abs(x) + 64 * rows.slack * scale**3 * (rows.importance[0] + rows.importance[1]) for x in gradient]


def _line(low, high, i, p_i, p_j):
    """Range of p_i/g_ii E_{x_j}[w^(s + 1) x_j^l 1{0 < w ≤ 1}] over a box of g~ (3,) of fractions: {(s, l): (least, most)}."""
    j = 1 - i
    most = (-low[2] / low[i], -low[j] / low[i])
    least = (-high[2] / high[i], -high[j] / high[i])

    def at(line, x):
        """The value of a line at x."""
        return line[0] + line[1] * x

    cuts = {low[0] * 0, low[0] * 0 + 1}
    for line in (most, least):
        for level in (0, 1):
            if line[1] != 0 and 0 < (level - line[0]) / line[1] < 1:
                cuts.add((level - line[0]) / line[1])
    cuts = sorted(cuts)
    found = {}
    for s in range(3):
        for l in range(3 - s):
            bounds = []
            for upper in (False, True):
                total = low[0] * 0
                for x, y in pairwise(cuts):
                    centre = (x + y) / 2
                    total += p_j * _integral(_shape(at(most, centre), at(least, centre), most, least, upper), s + 1, l, x, y)
                if l == 0:
                    line = _shape(most[0], least[0], most, least, upper)
                    total += (1 - p_j) * (at(line, 0) ** (s + 1) if line else 0)
                bounds.append(p_i * total / (low[i] if upper else high[i]))
            found[s, l] = tuple(bounds)
    return found


def _shape(most_here, least_here, most, least, upper):
    """The line that bounds w where its least and most are these; None for 0."""
    if upper:
        if most_here <= 0 or least_here > 1:
            return None
        return most if most_here <= 1 else (1, 0)
    return least if least_here > 0 and most_here <= 1 else None


def _integral(line, s, l, x, y):
    """∫ (α + βt)^s t^l dt from x to y, for a line (α, β); 0 for None."""
    if line is None:
        return 0
    a, b = line
    binomials = {1: (1, 1), 2: (1, 2, 1), 3: (1, 3, 3, 1)}[s]
    total = 0
    for k, c in enumerate(binomials):
        power = k + l + 1
        total += c * a ** (s - k) * b**k * (y**power - x**power) / power
    return total


def _curvature(replay, low, high):
    """Middle and half-widths of half the second derivative over a box of corners low, high (4,): 4 × 4 lists, or None twice."""
    rows = replay.rows
    least, most, low, high = replay._ranges(low, high)
    zero = low[0] * 0
    middle, width = [[zero] * 4 for _ in range(4)], [[zero] * 4 for _ in range(4)]
    slopes = []
    for i in range(2):
        if least[i][i] <= 0:
            return None, None
        below, above, margin = rows.moments(least[i]), rows.moments(most[i]), rows.given_away(least[i], most[i])
        v_low, v_high = rows.applied(least[i]), rows.applied(most[i])
        share = rows.importance[i]
        slopes.append(
            [(2 * share * (v_low[j] - above[i][j] - margin), 2 * share * (v_high[j] - below[i][j] + margin)) for j in range(2)]
        )
        lines = _line(least[i], most[i], i, rows.density[i], rows.density[1 - i])
        # entries of M(low) − Q as (middle, half-width)
        inner = {}
        for x in range(3):
            for y in range(3):
                a, b = lines[(x == i) + (y == i), (x == 1 - i) + (y == 1 - i)]
                inner[x, y] = (below[x][y] - (a + b) / 2, (b - a) / 2 + margin)
        jacobian = []
        for k in range(2):
            step = [(zero, zero)] * 3
            for x in range(2):
                ends = [zero, zero]
                for parameter, met in ((i, x == k), (x, i == k)):
                    if met:
                        ends = [ends[0] + low[parameter], ends[1] + high[parameter]]
                step[x] = ((ends[0] + ends[1]) / 2, (ends[1] - ends[0]) / 2)
            jacobian.append((k, step))
        jacobian.append((2 + i, [(zero, zero), (zero, zero), (zero + 1, zero)]))
        for k, x in jacobian:
            for l, y in jacobian:
                for s in range(3):
                    for t in range(3):
                        (a, da), (m, dm), (b, db) = x[s], inner[s, t], y[t]
                        middle[k][l] += share * a * m * b
                        width[k][l] += share * ((abs(a) + da) * (abs(m) + dm) * (abs(b) + db) - abs(a * m * b))
    for k in range(2):
        for l in range(2):
            a, b = slopes[k][l][0] + slopes[l][k][0], slopes[k][l][1] + slopes[l][k][1]
            middle[k][l] += (a + b) / 4
            width[k][l] += (b - a) / 4
    return middle, width


def confirm_kink(replay, region):
    """Return what fails of a region around a feature that is not represented, in words; None where all holds."""
    rows, box = replay.rows, region.box
    low, high = ([number(x) for x in end] for end in box)
    other = int(np.argmin(np.abs(region.point[:2])))
    own = 1 - other
    if low[own] <= 0 <= high[own]:
        return "a region of a dedicated feature holds the weight 0"
    squares = sorted((low[own] ** 2, high[own] ** 2))
    stretch = max(abs(1 - squares[0]), abs(squares[1] - 1))
    cross = max(abs(low[own]), abs(high[own])) * max(abs(low[other]), abs(high[other]))
    eta = stretch + cross + max(abs(low[2 + own]), abs(high[2 + own]))
    if not 0 < eta < 1 or low[2 + other] < cross:
        return "a region of a dedicated feature is too wide"
    p, p_other = rows.density[own], rows.density[other]
    m0, m1, m2 = 1 - eta, (1 - eta**2) / 2, (1 - eta**3) / 3
    kappas = []
    for sign in (-1, 1):
        beta = number(_best_beta(float(eta), float(p), float(p_other), sign))
        shifted = beta + sign * p_other / 2
        alpha = -shifted * m1 / m2
        variance = p_other / 3 - p_other**2 / 4
        ends = (beta, beta + 1) if sign > 0 else (beta - 1, beta)
        positive = [max(x, x * 0) for x in ends]
        clipped = (1 - p_other) * max(beta, beta * 0) ** 2 + p_other * (positive[1] ** 3 - positive[0] ** 3) / 3
        slope = 2 * (1 - p_other) * max(beta, beta * 0) + p_other * (positive[1] ** 2 - positive[0] ** 2)
        value = p * (alpha**2 * m2 + 2 * alpha * m1 * shifted + m0 * (shifted**2 + variance)) + (1 - p) * clipped
        in_alpha = 2 * p * (alpha * m2 + m1 * shifted)
        in_beta = 2 * p * (alpha * m1 + m0 * shifted) + (1 - p) * slope
        loss = (in_alpha**2 * m0 - 2 * in_alpha * in_beta * m1 + in_beta**2 * m2) / (4 * p * (m0 * m2 - m1**2))
        kappas.append(value - loss)
    i_own, i_other = rows.importance[own], rows.importance[other]
    if squares[0] * (i_own * min(kappas) + i_other * rows.variance[own]) <= 2 * i_other * rows.variance[other]:
        return "a feature that is not represented may gain from being so in a region"
    if number(region.bound) > i_other * rows.variance[other]:
        return "the loss in a region may be below its bound"
    inside = abs(low[own]) < 1 < abs(high[own]) or abs(high[own]) < 1 < abs(low[own])
    if region.unique and not (
        inside
        and low[other] <= 0 <= high[other]
        and low[2 + own] < 0 < high[2 + own]
        and low[2 + other] < p_other / 2 < high[2 + other]
    ):
        return "a region does not hold its minimum"
    return None


def _best_beta(eta, p, p_other, sign):
    """The bias at which ψ is least, to rounding."""
    reduced = 1 - eta - ((1 - eta**2) / 2) ** 2 / ((1 - eta**3) / 3)

    def slope(x):
        """The derivative of ψ in the bias, at x."""
        ends = (x, x + 1) if sign > 0 else (x - 1, x)
        clipped = 2 * (1 - p_other) * max(x, 0) + p_other * (max(ends[1], 0) ** 2 - max(ends[0], 0) ** 2)
        return 2 * p * reduced * (x + sign * p_other / 2) + (1 - p) * clipped

    low, high = -1.0, 1.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if slope(middle) > 0 else (middle, high)
    return 0.5 * (low + high)
