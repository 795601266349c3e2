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
    low, point, high = ([number(x) for x in end] for end in (region.box[0], region.point, region.box[1]))
    least = _convexity(replay, region)
    if least is None:
        return "the loss is not convex in a region"
    loss, gradient = _support(replay, point)
    slope = sum(g * g for g in gradient)
    if max(loss - slope / (4 * least), 0) < number(region.bound):
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
    at_point = _curvature(replay, region.point, region.point)[0]
    if at_point is None:
        return None
    at_point = np.linalg.eigvalsh(_rough(at_point))[0]
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
            axis = widest_axis(0.5 * (low + high), 0.5 * (high - low), free, importance, density, np.zeros((len(low), len(low))))
            above, below = low.copy(), high.copy()
            above[axis] = below[axis] = 0.5 * (low[axis] + high[axis])
            waiting += [(low, below), (above, high)]
    return min(confirmed)


def _rough(matrix):
    """A matrix of fractions as floats."""
    return np.array(matrix, dtype=object).astype(float)


def _definite(middle, width, wanted):
    """A number, about what is ``wanted`` or more, that middle − the row sums of width, (nd, nd), is greater than; or None."""
    if middle is None:
        return None
    nd = range(len(middle))
    matrix = [[middle[j][k] - (sum(width[j]) if j == k else 0) for k in nd] for j in nd]
    lowest = float(np.linalg.eigvalsh(_rough(matrix))[0])
    if not lowest > max(wanted, 0.0):
        return None
    curvature = number(0.9 * lowest)
    factor = np.linalg.cholesky(_rough(matrix) - 0.95 * lowest * np.eye(len(nd)))
    exact = [[number(x) for x in row] for row in factor]
    for j in nd:
        # matrix − curvature = factor factorᵀ + what is dominated by its diagonal
        rest = [matrix[j][k] - sum(exact[j][h] * exact[k][h] for h in nd) - (curvature if j == k else 0) for k in nd]
        if 2 * rest[j] < sum(abs(x) for x in rest):
            return None
    return curvature


def _support(replay, point):
    """A lower bound of the loss at a point (nd,) and the sizes of its gradient, fractions."""
    rows, n, free = replay.rows, replay.n, replay.free
    loss, zero, slopes = -rows.slack, point[0] * 0, []
    for i in range(n):
        g = [zero] * n + [point[replay.nw + i]]
        for k, (h, c) in enumerate(free):
            for l, (other, d) in enumerate(free):
                if h == other and d == i:
                    g[c] += point[k] * point[l]
        g = tuple(g)
        m, v = rows.at(g)
        loss += rows.importance[i] * (rows.loss(i, g) - rows.given_away(g, g))
        slopes.append([2 * rows.importance[i] * (v[j] - m[i][j]) for j in range(n + 1)])
    gradient = [
        sum((point[l] * (slopes[c][d] + slopes[d][c]) for l, (other, d) in enumerate(free) if h == other), start=zero)
        for h, c in free
    ]
    gradient += [slopes[i][n] for i in range(n)]
    scale = 1 + sum(abs(x) for x in point)
    return loss, [abs(x) + 64 * rows.slack * scale**3 * sum(rows.importance) for x in gradient]


def _line(most, least, p):
    """Range of E_x[w^(s + 1) x^l 1{0 < w ≤ 1}] of a feature x of density p and w between two lines (α, β), α + βx.

    As {(s, l): (least, most)}, s + l ≤ 2.
    """
    zero = p * 0
    cuts = {zero, zero + 1}
    for a, b in (most, least):
        for level in (0, 1):
            if b != 0 and 0 < (level - a) / b < 1:
                cuts.add((level - a) / b)
    pieces = []
    for x, y in pairwise(sorted(cuts)):
        centre = (x + y) / 2
        here = most[0] + most[1] * centre, least[0] + least[1] * centre
        powers = [(y**k - x**k) / k for k in range(1, 5)]
        pieces.append(([_shape(*here, most, least, upper) for upper in (False, True)], powers))
    found = {}
    for s in range(3):
        for l in range(3 - s):
            bounds = []
            for upper in (False, True):
                total = p * sum((_integral(shapes[upper], s + 1, l, powers) for shapes, powers in pieces), start=zero)
                line = _shape(most[0], least[0], most, least, upper)
                bounds.append(total + ((1 - p) * line[0] ** (s + 1) if l == 0 and line else 0))
            found[s, l] = tuple(bounds)
    return found


def _shape(most_here, least_here, most, least, upper):
    """The line that bounds w where its least and most are these; None for 0."""
    if upper:
        if most_here <= 0 or least_here > 1:
            return None
        return most if most_here <= 1 else (1, 0)
    return least if least_here > 0 and most_here <= 1 else None


def _integral(line, s, l, powers):
    """∫ (α + βt)^s t^l dt of a line (α, β), 0 for None; powers: ∫ t^k dt, k = 0 to 3."""
    if line is None:
        return 0
    a, b = line
    binomials = {1: (1, 1), 2: (1, 2, 1), 3: (1, 3, 3, 1)}[s]
    return sum(c * a ** (s - k) * b**k * powers[k + l] for k, c in enumerate(binomials))


NODES = (1, 11), (2, -14), (3, 26), (4, -14), (5, 11)
"""Places in a piece, in sixths of it, and their weights, in twentieths: exact for polynomials of degree 5."""


def _wall(low, high, i, density):
    """Range of each entry of Q = p_i/g_ii E[w 1{0 < w ≤ 1} x~ x~ᵀ], x_i = w, over a box of g~: {(x, y): (least, most)}.

    low, high: its ends, n + 1 fractions each, with a positive own weight; density: n fractions.
    """
    n = len(density)
    most, least = [-x / low[i] for x in low], [-x / high[i] for x in high]
    j, *outer = sorted((j for j in range(n) if j != i), key=lambda j: -max(abs(most[j]), abs(least[j])))
    zero, share = low[0] * 0, density[i]
    nodes = [(zero, zero + 1)]  # of the outer feature, and their weights
    if outer:
        p = density[outer[0]]
        a, b = ((x[n], x[j], x[outer[0]]) for x in (most, least))
        cuts = {zero, zero + 1}
        for level in (0, 1):
            ends = [(level - x[0] - at * x[1], x[2]) for x in (a, b) for at in (0, 1)]
            ends += [((level - b[0]) * a[1] - b[1] * (other - a[0]), b[2] * a[1] - b[1] * a[2]) for other in (0, 1)]
            cuts |= {top / bottom for top, bottom in ends if bottom != 0 and 0 < top / bottom < 1}
        parts = pairwise(sorted(cuts))
        nodes = [(zero, 1 - p)]
        nodes += [(x + (y - x) * k / 6, p * (y - x) * w / 20) for x, y in parts for k, w in NODES]
    found = {(x, y): [zero, zero] for x in range(n + 1) for y in range(x + 1)}
    for at, weight in nodes:
        shift = [x[n] + (x[outer[0]] * at if outer else 0) for x in (most, least)]
        lines = _line((shift[0], most[j]), (shift[1], least[j]), density[j])
        for (x, y), total in found.items():
            ends = lines[(x == i) + (y == i), (x == j) + (y == j)]
            factor = weight * at ** sum(z in outer for z in (x, y))
            total[0] += factor * ends[0]
            total[1] += factor * ends[1]
    whole = {key: (share * a / high[i], share * b / low[i]) for key, (a, b) in found.items()}
    return {(x, y): whole[max(x, y), min(x, y)] for x in range(n + 1) for y in range(n + 1)}


def _curvature(replay, low, high):
    """Middle and half-widths of half the second derivative over a box, ends low, high (nd,): (nd, nd) lists, or None twice."""
    rows, n, nw, free = replay.rows, replay.n, replay.nw, replay.free
    least, most, low, high = replay._ranges(low, high)
    zero, nd = low[0] * 0, nw + n
    middle, width = [[zero] * nd for _ in range(nd)], [[zero] * nd for _ in range(nd)]
    slopes = []
    for i in range(n):
        never_off = least[i][n] + sum(min(x, zero) for x in least[i][:n]) > 0
        if not never_off and least[i][i] <= 0:
            return None, None
        (below, v_low), (above, v_high) = rows.at(least[i]), rows.at(most[i])
        margin = rows.given_away(least[i], most[i])
        share = rows.importance[i]
        slopes.append(
            [(2 * share * (v_low[j] - above[i][j] - margin), 2 * share * (v_high[j] - below[i][j] + margin)) for j in range(n)]
        )
        wall = None if never_off else _wall(least[i], most[i], i, rows.density)
        # entries of M(low) − Q as (middle, half-width)
        inner = {}
        for x in range(n + 1):
            for y in range(n + 1):
                a, b = wall[x, y] if wall else (zero, zero)
                inner[x, y] = (below[x][y] - (a + b) / 2, (b - a) / 2 + margin)
        jacobian = []
        for k, (h, c) in enumerate(free):
            ends = {}
            for l, (other, d) in enumerate(free):
                if h == other:
                    for x in ([c] if d == i else []) + ([d] if c == i else []):
                        a, b = ends.get(x, (zero, zero))
                        ends[x] = (a + low[l], b + high[l])
            jacobian.append((k, [(x, (a + b) / 2, (b - a) / 2) for x, (a, b) in ends.items()]))
        jacobian.append((nw + i, [(n, zero + 1, zero)]))
        for k, left in jacobian:
            for l, right in jacobian:
                for x, a, da in left if l <= k else []:
                    for y, b, db in right:
                        m, dm = inner[x, y]
                        middle[k][l] += share * a * m * b
                        width[k][l] += share * ((abs(a) + da) * (abs(m) + dm) * (abs(b) + db) - abs(a * m * b))
    for k, (h, c) in enumerate(free):
        for l, (other, d) in enumerate(free[: k + 1]):
            if h == other:
                a, b = slopes[c][d][0] + slopes[d][c][0], slopes[c][d][1] + slopes[d][c][1]
                middle[k][l] += (a + b) / 4
                width[k][l] += (b - a) / 4
    for k in range(nd):
        for l in range(k):
            middle[l][k], width[l][k] = middle[k][l], width[k][l]
    return middle, width


def confirm_kink(replay, region):
    """Return what fails of a region around a feature that is not represented, in words; None where all holds."""
    rows = replay.rows
    low, point, high = ([number(x) for x in end] for end in (region.box[0], region.point, region.box[1]))
    if replay.n != 2 or 0 not in point[:2]:
        return "no feature is left out in a region that says so"
    other = point.index(0)
    own = 1 - other
    if abs(point[own]) != 1 or point[2 + own] != 0 or 2 * point[2 + other] != rows.density[other]:
        return "the minimum in a region of a dedicated feature is another"
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
