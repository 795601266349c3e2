"""Moments of a clipped linear form of many features, by a contour integral (numba kernels).

One output of the model is z⁺ with z = b + Σ_j a_j x_j. Its loss is ``E x_i² + E[z⁺ (z⁺ − 2 x_i)]``. The states with at most
one active feature besides i are integrated in closed form; on the rest, the measure μ, the contour integral

    E_μ[(z⁺)^r] = (r!/2πi) ∫ M(s) s^{−r−1} ds,    M(s) = e^{sb} (q_i + p_i φ(s a_i)) [Π_j (q_j + p_j φ(s a_j))]_{≥ 2 active}

is summed by the trapezoidal rule at s = iω, ω = 2πk/T. Where |z| ≤ T the rule has no aliasing error at all: it is the
Fourier series of a periodic Bernoulli polynomial, and (z⁺)² = z³/3T + z²/2 + Tz/6 + (1/T) Σ_{k≠0} 2e^{sz}/s³ there; z⁺ and
1_{z>0} follow by differentiation. What is left is the truncation of the sum, bounded through |φ(iy)| ≤ |sinc(y/2)|, and
the mass beyond ±T, bounded after Chernoff. The error is therefore known before the sum is begun.
"""

import math

import numpy as np

from ._few_active import add_few_active
from ._jit import jit

NODES = 32  # nodes per block: the inner loops run over the nodes of one block and vectorize
EPSILON = 2.0**-52
FUSED = {"contract"}  # a·b + c may be one rounding
TURNED = 9.3  # |φ(iy)| ≤ 2/y is the envelope from here on
MOST_SURE = 600.0  # beyond, the bound asks for many more nodes than the sum needs to settle
# Workspace: one row per feature (cosine and sine of the phase steps, term p φ, its derivative, products so far, slope) ...
COS, SIN, T_RE, T_IM, G_RE, G_IM, P_RE, P_IM, SLOPE = (NODES * slot for slot in range(9))
PHASE, STEP = 9 * NODES, 9 * NODES + 2
# ... and one row for what the features of a block share.
NODE, INVERSE, ONE_RE, ONE_IM, TWO_RE, TWO_IM, V_RE, V_IM, LOSS, SLOPE_B, SLOPE_I = (NODES * slot for slot in range(11))
COLUMNS = 11 * NODES


@jit
def _envelope(y):
    """The supremum over y' ≥ y of |φ(iy')| = |sinc(y'/2)|, from above."""
    x = 0.5 * y
    if x > 4.602:
        return 1.0 / x
    x *= x
    if x > 7.0:
        return 0.2173
    return max(0.2173, 1.0 + x * (-1.0 / 6.0 + x * (1.0 / 120.0 + x * (-1.0 / 5040.0 + x / 362880.0))))


@jit
def _term_bound(omega, a_i, p_i, a, p, scale, slack):
    """Bound of the terms of all sums at one frequency, relative to their tolerances, valid for all higher ones.

    The loss counts relative to ``scale``, the slope in b to slack √scale, the one in a_j to slack √(scale E x_j²).
    """
    one = two = ratio = 0.0
    none = 1.0
    for j in range(a.size):
        y = omega * abs(a[j])
        beta = _envelope(y)
        q = 1.0 - p[j]
        t = p[j] * beta
        # |E x_j e^{sz}| without j is at most one/(q + t)
        ratio = max(ratio, math.sqrt(3.0 * p[j]) * min(0.5, (1.0 + beta) / y) / (q + t))
        two = q * two + t * one
        one = (q + t) * one + t * none
        none *= q
    y = omega * abs(a_i)
    f = 1.0 - p_i + p_i * _envelope(y)
    g = h = 1.0
    if y > 0.0:
        g = (1.0 + _envelope(y)) / y
        h = (1.0 + 2.0 * min(0.5, g)) / y
    g = p_i * min(0.5, g)
    h = p_i * min(1.0 / 3.0, h)
    root = math.sqrt(scale)
    slope = (f / omega + g) / omega
    own = (g / omega + h) / (omega * math.sqrt(p_i / 3.0))
    return 4.0 * (slope / (omega * scale) * two + ((slope + own) * two + slope * ratio * one) / (root * slack))


@jit
def _count_nodes(period, a_i, p_i, a, p, scale, slack, tolerance, bounds):
    """Number of nodes for which the truncated terms stay below the tolerance, and their bound (infinite when unknown)."""
    smallest = np.abs(a).min()
    step = 2.0 * math.pi / period
    # Terms on (k, growth k] are at most the one at k; from where every |φ| is 2/y on, they fall at least as k^−3.
    start, growth, last = 8.0, 1.3, 0
    k = start
    for last in range(bounds.size):
        bound = _term_bound(step * k, a_i, p_i, a, p, scale, slack) / period
        bounds[last, 0] = k
        bounds[last, 1] = bound
        if step * k * smallest > TURNED and bound * k < 0.1 * tolerance:
            break
        if k > MOST_SURE and growth < 2.0:
            return math.inf, math.inf
        if bound * k < 0.02 * tolerance:
            growth = 8.0
        k *= growth
    rest = math.inf
    if step * bounds[last, 0] * smallest > TURNED:
        rest = 0.5 * bounds[last, 0] * bounds[last, 1]
    while last > 0:
        piece = (bounds[last, 0] - bounds[last - 1, 0] + 1.0) * bounds[last - 1, 1]
        if rest + piece > tolerance:
            break
        rest += piece
        last -= 1
    return bounds[last, 0], rest


@jit
def _period(a_i, p_i, a, p, b, reach, variance, scale, slack, tolerance):
    """A period T ≤ reach such that the mass with |z| > T adds at most ``tolerance`` to every relative error.

    There the Bernoulli polynomials differ from the powers of z by at most T^r (|z|/T)^{r+1} ≤ T^r e^{λ(|z| − T)} for λT ≥ 3.
    """
    least = p_i
    for j in range(a.size):
        least = min(least, p[j])
    root = math.sqrt(scale)
    factor = reach * (reach + 2.0) / scale + 2.0 * (reach + 1.0) * (1.0 + 1.0 / math.sqrt(least / 3.0)) / (root * slack)
    goal = math.log(factor / tolerance)
    best = reach
    rate = math.sqrt(2.0 * max(goal, 1.0) / variance)
    for _ in range(8):
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
        period = (math.log(up + down) + goal) / rate
        if period * rate >= 3.0 and period < best:
            best = period
        elif best < reach:
            break
        rate *= 0.65
    return best


@jit
def _phase_table(row, delta):
    """Fill the cosines and sines of m·delta, m = 0 … NODES − 1, by doubling, and those of NODES·delta."""
    row[COS] = 1.0
    row[SIN] = 0.0
    c, s = math.cos(delta), math.sin(delta)
    size = 1
    while size < NODES:
        for m in range(size):
            row[COS + size + m] = c * row[COS + m] - s * row[SIN + m]
            row[SIN + size + m] = c * row[SIN + m] + s * row[COS + m]
        c, s = (c - s) * (c + s), 2.0 * c * s
        size *= 2
    row[STEP], row[STEP + 1] = c, s


@jit
def _start_phase(row, first, delta):
    """Set the phase of the block that begins at node ``first``; the blocks that follow are reached by rotation."""
    row[PHASE] = math.cos(first * delta)
    row[PHASE + 1] = math.sin(first * delta)


@jit(fastmath=FUSED)
def _transform(row, shared, first, delta, density):
    """Fill t = p φ(2ix) and g = p φ'(2ix) at x = k·delta on one block: φ = e^{ix} sinc x, φ' = e^{ix} (sinc x + i j₁(x))/2."""
    c0, s0 = row[PHASE], row[PHASE + 1]
    row[PHASE] = c0 * row[STEP] - s0 * row[STEP + 1]
    row[PHASE + 1] = c0 * row[STEP + 1] + s0 * row[STEP]
    half = 0.5 * density
    if abs((first + NODES) * delta) < 0.5:
        for m in range(NODES):
            x = shared[NODE + m] * delta
            c = density * (c0 * row[COS + m] - s0 * row[SIN + m])
            s = density * (c0 * row[SIN + m] + s0 * row[COS + m])
            v = x * x
            sinc = 1.0 + v * (-1 / 6 + v * (1 / 120 + v * (-1 / 5040 + v * (1 / 362880 + v * (-1 / 39916800)))))
            j1 = 1 / 3 + v * (-1 / 30 + v * (1 / 840 + v * (-1 / 45360 + v * (1 / 3991680 - v / 518918400))))
            j1 *= 0.5 * x
            row[T_RE + m] = c * sinc
            row[T_IM + m] = s * sinc
            row[G_RE + m] = 0.5 * c * sinc - s * j1
            row[G_IM + m] = 0.5 * s * sinc + c * j1
    else:
        inverse = 1.0 / delta
        for m in range(NODES):
            r = shared[INVERSE + m] * inverse
            c = c0 * row[COS + m] - s0 * row[SIN + m]
            s = c0 * row[SIN + m] + s0 * row[COS + m]
            sinc = s * r
            j1 = (sinc - c) * r
            row[T_RE + m] = density * (c * sinc)
            row[T_IM + m] = density * (s * sinc)
            row[G_RE + m] = half * (c * sinc - s * j1)
            row[G_IM + m] = half * (s * sinc + c * j1)


@jit
def _own_transform(x):
    """φ, φ' and φ'' at 2ix: the moments 0, 1, 2 of e^{2ixu} over a uniform u."""
    rotation = complex(math.cos(x), math.sin(x))
    v = x * x
    if abs(x) < 0.7:
        sinc = 1.0 + v * (-1 / 6 + v * (1 / 120 + v * (-1 / 5040 + v * (1 / 362880 - v / 39916800))))
        j1 = x * (1 / 3 + v * (-1 / 30 + v * (1 / 840 + v * (-1 / 45360 + v * (1 / 3991680 - v / 518918400)))))
        even = 1 / 3 + v * (-1 / 10 + v * (1 / 168 + v * (-1 / 6480 + v * (1 / 443520 - v / 47174400))))
    else:
        sinc = math.sin(x) / x
        j1 = (sinc - math.cos(x)) / x
        even = sinc - 2.0 * j1 / x
    return rotation * sinc, 0.5 * rotation * complex(sinc, j1), 0.25 * rotation * complex(sinc + even, 2.0 * j1)


@jit(fastmath=FUSED)
def _forward(row, shared, q, none):
    """Multiply the products over the features before j by feature j: at least one active (kept in the row), at least two."""
    for m in range(NODES):
        x, y = shared[ONE_RE + m], shared[ONE_IM + m]
        u, v = row[T_RE + m], row[T_IM + m]
        row[P_RE + m] = x
        row[P_IM + m] = y
        ux = u * x - v * y
        uy = u * y + v * x
        shared[TWO_RE + m] = q * shared[TWO_RE + m] + ux
        shared[TWO_IM + m] = q * shared[TWO_IM + m] + uy
        shared[ONE_RE + m] = q * x + ux + none * u
        shared[ONE_IM + m] = q * y + uy + none * v


@jit(fastmath=FUSED)
def _backward(row, shared, q, before, after):
    """Add the slope in a_j, where [Π_{l≠j} f_l]_{≥ 1 active} = P (S + Π_{l>j} q) + Π_{l<j} q S, and multiply S by feature j."""
    for m in range(NODES):
        x, y = shared[ONE_RE + m], shared[ONE_IM + m]
        u, v = row[P_RE + m], row[P_IM + m]
        w_re = u * (x + after) - v * y + before * x
        w_im = u * y + v * (x + after) + before * y
        c, s = row[G_RE + m], row[G_IM + m]
        row[SLOPE + m] += shared[V_RE + m] * (w_re * c - w_im * s) - shared[V_IM + m] * (w_re * s + w_im * c)
        u, v = row[T_RE + m], row[T_IM + m]
        shared[ONE_RE + m] = q * x + (u * x - v * y) + after * u
        shared[ONE_IM + m] = q * y + (u * y + v * x) + after * v


@jit
def _turn(shared, period, a_i, p_i, b):
    """Add the terms of loss, slope in b and slope in a_i; leave the factor of the slopes in a_j in V."""
    for m in range(NODES):
        omega = 2.0 * math.pi * shared[NODE + m] / period
        inverse = shared[INVERSE + m] * period / (2.0 * math.pi)
        c, s = math.cos(omega * b) * 2.0 / period, math.sin(omega * b) * 2.0 / period
        x, y = shared[TWO_RE + m], shared[TWO_IM + m]
        two_re, two_im = c * x - s * y, c * y + s * x
        t, g, h = _own_transform(0.5 * omega * a_i)
        # 2 f/s² − 2 g/s and 2 g/s² − 2 h/s at s = iω
        scaled = 2.0 * inverse
        v_re = -scaled * (p_i * g.imag + (1.0 - p_i + p_i * t.real) * inverse)
        v_im = scaled * p_i * (g.real - t.imag * inverse)
        own_re = -scaled * p_i * (h.imag + g.real * inverse)
        own_im = scaled * p_i * (h.real - g.imag * inverse)
        shared[LOSS + m] += (two_re * v_im + two_im * v_re) * inverse
        shared[SLOPE_B + m] += two_re * v_re - two_im * v_im
        shared[SLOPE_I + m] += two_re * own_re - two_im * own_im
        shared[V_RE + m] = c * v_re - s * v_im
        shared[V_IM + m] = c * v_im + s * v_re


@jit
def _add_block(first, period, a_i, p_i, a, p, b, none_before, slopes, work, shared):
    """Add the terms of nodes first … first + NODES − 1 to the sums, lane by lane."""
    for m in range(NODES):
        shared[NODE + m] = first + m
        shared[INVERSE + m] = 1.0 / (first + m)
    shared[ONE_RE : TWO_IM + NODES] = 0.0
    for j in range(a.size):
        _transform(work[j], shared, first, math.pi * a[j] / period, p[j])
        _forward(work[j], shared, 1.0 - p[j], none_before[j])
    _turn(shared, period, a_i, p_i, b)
    if not slopes:
        return
    shared[ONE_RE : ONE_IM + NODES] = 0.0  # from here on S, the products over the features after j
    after = 1.0
    for j in range(a.size - 1, -1, -1):
        _backward(work[j], shared, 1.0 - p[j], none_before[j], after)
        after *= 1.0 - p[j]


@jit
def _collect(lanes):
    """Sum of the lanes, which start again from zero."""
    total = 0.0
    for m in range(NODES):
        total += lanes[m]
        lanes[m] = 0.0
    return total


@jit
def _sum_series(most, sure, tolerance, scale, slack, period, a_i, p_i, a, p, b, none_before, work, shared, recent, slope):
    """Loss, slope in b, slope in a_i from the nodes, the relative error and the number of nodes; slopes in a_j are added.

    The sums end after ``sure`` nodes, where the bound holds, or at most ``most`` (infinite error), or where they have
    settled: stages grow by 2^(1/3), and the sums have hardly moved over the last one, two and three stages, an octave. A
    tail like k^−3, or even k^−1, is no larger than that; before k passes T/a_j for the smallest weight the terms may
    fall as slowly as 1/k, and every octave up to there counts.
    """
    n = a.size
    turned = TURNED * period / (2.0 * math.pi * np.abs(a).min())
    for j in range(n):
        _phase_table(work[j], math.pi * a[j] / period)
        work[j, SLOPE : SLOPE + NODES] = 0.0
    shared[LOSS : SLOPE_I + NODES] = 0.0
    recent[:] = 0.0
    loss = slope_b = slope_i = 0.0
    root = math.sqrt(scale) * slack
    stage = 0
    first, end = 1.0, 64.0  # floats: a literal whole number would be compiled a second time
    while True:
        for j in range(n):
            _start_phase(work[j], first, math.pi * a[j] / period)
        while first <= end and first <= sure and first + NODES - 1 <= most:
            _add_block(first, period, a_i, p_i, a, p, b, none_before, slack < math.inf, work, shared)
            first += NODES
        new = recent[stage % 3]
        new[n], new[n + 1], new[n + 2] = (
            _collect(shared[LOSS : LOSS + NODES]),
            _collect(shared[SLOPE_B : SLOPE_B + NODES]),
            _collect(shared[SLOPE_I : SLOPE_I + NODES]),
        )
        loss += new[n]
        slope_b += new[n + 1]
        slope_i += new[n + 2]
        for j in range(n):
            new[j] = _collect(work[j, SLOPE : SLOPE + NODES])
            slope[j] += new[j]
        if first > sure:
            return loss, slope_b, slope_i, 0.0, first - 1
        if stage >= 2:
            moved = 0.0
            for j in range(n + 3):
                unit = root
                if j < n:
                    unit *= math.sqrt(p[j] / 3.0)
                elif j == n:
                    unit = scale
                elif j == n + 2:
                    unit *= math.sqrt(p_i / 3.0)
                one = new[j]
                two = one + recent[(stage - 1) % 3, j]
                three = two + recent[(stage - 2) % 3, j]
                moved = max(moved, max(abs(one), abs(two), abs(three)) / unit)
            error = moved * (1.0 + max(math.log2(turned / first), 0.0))
            if error <= tolerance:
                return loss, slope_b, slope_i, error, first - 1
        if first + NODES - 1 > most:
            return loss, slope_b, slope_i, math.inf, first - 1
        stage += 1
        end = max(end * 1.26, end + NODES)


@jit
def _shifted_moments(x0, x1, x2, x3, b):
    """Moments 0 … 3 of b + x from those of x."""
    return x0, b * x0 + x1, b * b * x0 + 2.0 * b * x1 + x2, b**3 * x0 + 3.0 * b * (b * x1 + x2) + x3


@jit
def _sum_moments(x, y):
    """Moments 0 … 3 of the sum of two independent variables (of possibly defective laws)."""
    return (
        x[0] * y[0],
        x[1] * y[0] + x[0] * y[1],
        x[2] * y[0] + 2.0 * x[1] * y[1] + x[0] * y[2],
        x[3] * y[0] + 3.0 * (x[2] * y[1] + x[1] * y[2]) + x[0] * y[3],
    )


@jit
def _add_polynomial(c3, c2, c1, a_i, p_i, a, p, b, some_but, slope):
    """Loss, slope in b and slope in a_i over μ where (z⁺)² is P = c₃z³ + c₂z² + c₁z, z⁺ is P'/2 and 1_{z>0} is P''/2."""
    # moments of y = Σ_j a_j x_j where at least one, and where at least two of these features are active
    y0 = y1 = y2 = y3 = two0 = two1 = two2 = two3 = 0.0
    none = 1.0
    for j in range(a.size):
        q, v0 = 1.0 - p[j], p[j]
        v1, v2, v3 = v0 * a[j] / 2.0, v0 * a[j] ** 2 / 3.0, v0 * a[j] ** 3 / 4.0
        two3 = q * two3 + v0 * y3 + 3.0 * (v1 * y2 + v2 * y1) + v3 * y0
        two2 = q * two2 + v0 * y2 + 2.0 * v1 * y1 + v2 * y0
        two1 = q * two1 + v0 * y1 + v1 * y0
        two0 = q * two0 + v0 * y0
        y3 += 3.0 * (v1 * y2 + v2 * y1) + v3 * (y0 + none)
        y2 += 2.0 * v1 * y1 + v2 * (y0 + none)
        y1 += v1 * (y0 + none)
        y0 += v0 * none
        none *= q
    # moments of b + a_i x_i, times x_i and times x_i²
    a1, a2, a3 = p_i * a_i, p_i * a_i**2, p_i * a_i**3
    own0 = _shifted_moments(1.0, a1 / 2.0, a2 / 3.0, a3 / 4.0, b)
    own1 = _shifted_moments(p_i / 2.0, a1 / 3.0, a2 / 4.0, a3 / 5.0, b)
    own2 = _shifted_moments(p_i / 3.0, a1 / 4.0, a2 / 5.0, a3 / 6.0, b)
    two = (two0, two1, two2, two3)
    m, mx, mxx = _sum_moments(own0, two), _sum_moments(own1, two), _sum_moments(own2, two)
    loss = c3 * (m[3] - 3.0 * mx[2]) + c2 * (m[2] - 2.0 * mx[1]) + c1 * (m[1] - mx[0])
    slope_b = 3.0 * c3 * (m[2] - 2.0 * mx[1]) + 2.0 * c2 * (m[1] - mx[0]) + c1 * m[0]
    slope_i = 3.0 * c3 * (mx[2] - 2.0 * mxx[1]) + 2.0 * c2 * (mx[1] - mxx[0]) + c1 * mx[0]
    for j in range(a.size):
        half = p[j] * a[j] / 2.0
        mean = y1 - half
        rest = (some_but[j], mean, y2 - 2.0 * half * mean - p[j] * a[j] ** 2 / 3.0, 0.0)
        alone = (p[j] / 2.0, p[j] * a[j] / 3.0, p[j] * a[j] ** 2 / 4.0, 0.0)
        joint = _sum_moments(alone, rest)
        m, mx = _sum_moments(own0, joint), _sum_moments(own1, joint)
        slope[j] += 3.0 * c3 * (m[2] - 2.0 * mx[1]) + 2.0 * c2 * (m[1] - mx[0]) + c1 * m[0]
    return loss, slope_b, slope_i


@jit
def _feature_loss(i, gram, b, p, tolerance, slack, max_nodes, compact, work, shared, recent, bounds, slope):
    """Loss E(x_i − z⁺)² of output i, its slope in b and a bound of the error; its slopes in a_j go to ``slope``.

    The loss is NaN and the bound infinite when more than ``max_nodes`` nodes would be needed.
    """
    a_i, p_i = gram[i], p[i]
    # A feature of weight zero never moves z: it leaves the products, and its slope is p_j/2 times the slope in b.
    count = 0
    for j in range(p.size):
        if j != i and gram[j] != 0.0:
            compact[0, count] = gram[j]
            compact[1, count] = p[j]
            count += 1
    a, p_a, none_before, none_but = compact[0, :count], compact[1, :count], compact[2, :count], compact[3, :count]
    some_but, slope_a = compact[4, :count], compact[5, :count]
    none, some = 1.0, 0.0
    for j in range(count):
        none_before[j], some_but[j], slope_a[j] = none, some, 0.0
        some += none * p_a[j]
        none *= 1.0 - p_a[j]
    after, some_after = 1.0, 0.0
    low, high, mean, variance = b + min(a_i, 0.0), b + max(a_i, 0.0), 0.5 * a_i * p_i, a_i * a_i * p_i * (4.0 - 3.0 * p_i)
    for j in range(count - 1, -1, -1):
        none_but[j] = none_before[j] * after
        some_but[j] += none_before[j] * some_after
        some_after += after * p_a[j]
        after *= 1.0 - p_a[j]
        low += min(a[j], 0.0)
        high += max(a[j], 0.0)
        mean += 0.5 * a[j] * p_a[j]
        variance += a[j] * a[j] * p_a[j] * (4.0 - 3.0 * p_a[j])
    variance /= 12.0
    second = p_i / 3.0
    scale = second + variance + (b + mean) ** 2
    reach = max(high, -low)

    loss, slope_b, slope_i = add_few_active(a_i, p_i, a, p_a, b, none, none_but, slope_a)
    error = 0.0
    period = reach
    nodes = 0
    if count >= 2 and low >= 0.0:
        more, more_b, more_i = _add_polynomial(0.0, 1.0, 0.0, a_i, p_i, a, p_a, b, some_but, slope_a)
        loss, slope_b, slope_i = loss + more, slope_b + more_b, slope_i + more_i
    elif count >= 2 and high > 0.0:
        period = _period(a_i, p_i, a, p_a, b, reach, variance, scale, slack, 0.1 * tolerance)
        if period < reach:
            error = 0.1 * tolerance
        sure, rest = _count_nodes(period, a_i, p_i, a, p_a, scale, slack, 0.8 * tolerance, bounds)
        more, more_b, more_i = _add_polynomial(
            1.0 / (3.0 * period), 0.5, period / 6.0, a_i, p_i, a, p_a, b, some_but, slope_a
        )
        loss, slope_b, slope_i = loss + more, slope_b + more_b, slope_i + more_i
        more, more_b, more_i, tail, nodes = _sum_series(
            max_nodes, sure, 0.8 * tolerance, scale, slack, period, a_i, p_i, a, p_a, b, none_before, work, shared, recent, slope_a
        )
        loss, slope_b, slope_i = loss + more, slope_b + more_b, slope_i + more_i
        error += rest if tail == 0.0 else tail
        if tail == math.inf:
            loss = math.nan

    loss += second
    k = 0
    for j in range(p.size):
        if j == i:
            slope[j] = slope_i
        elif gram[j] != 0.0:
            slope[j] = slope_a[k]
            k += 1
        else:
            slope[j] = 0.5 * p[j] * slope_b
    return loss, slope_b, error * scale + 8.0 * EPSILON * (scale + period * math.sqrt(scale)), nodes


@jit
def feature_losses(weights, bias, density, start, stop, tolerance, slope_tolerance, max_nodes, loss, slope, slope_b, error, nodes):
    """Losses of the outputs ``start`` … ``stop`` − 1 of one model, with their slopes and bounds of their errors.

    Parameters
    ----------
    weights : ndarray, shape (n_hidden, n_features)
    bias, density : ndarray, shape (n_features,)
    start, stop : int
        Rows to fill; the rows are independent, so that threads may share a model and get the same bits.
    tolerance : float
        Error allowed in the loss of an output, relative to scale = E x_i² + E z_i².
    slope_tolerance : float
        Error allowed in its slopes, relative to √(scale E x_j²) in G_ij and to √scale in b_i. The series of the slopes
        is the one that converges slowly. When infinite, only the losses are computed; the slopes are left undefined.
    max_nodes : int
        Outputs that would need more nodes get a NaN loss and an infinite error.
    loss, slope_b, error : ndarray, shape (n_features,)
        Filled with E(x_i − x'_i)², without importance, its slope in b_i and the bound of its error.
    slope : ndarray, shape (n_features, n_features)
        Row i is filled with the slopes of loss i in G_ij, G = WᵀW.
    """
    m, n = weights.shape
    gram = np.empty(n)
    compact = np.empty((6, n))
    work = np.empty((n, COLUMNS))
    shared = np.empty(COLUMNS)
    recent = np.empty((3, n + 3))
    bounds = np.empty((96, 2))
    for i in range(start, stop):
        gram[:] = 0.0
        for k in range(m):
            for j in range(n):
                gram[j] += weights[k, i] * weights[k, j]
        loss[i], slope_b[i], error[i], nodes[i] = _feature_loss(
            i, gram, bias[i], density, tolerance, slope_tolerance / tolerance, max_nodes, compact, work, shared, recent, bounds, slope[i]
        )


@jit
def weights_slope(weights, importance, slope, out):
    """Gradient of Σ_i importance_i loss_i in the weights, W (D + Dᵀ) with D the slopes in G weighted by importance."""
    m, n = weights.shape
    out[:] = 0.0
    for i in range(n):
        for k in range(m):
            w = importance[i] * weights[k, i]
            dot = 0.0
            for j in range(n):
                out[k, j] += w * slope[i, j]
                dot += slope[i, j] * weights[k, j]
            out[k, i] += importance[i] * dot


def contour_loss_gradient(
    weights, bias, importance, density, tolerance, slope_tolerance, max_nodes, loss, weights_gradient, bias_gradient, error
):
    """Losses of every output and the gradient of the whole loss, for a batch of models.

    Parameters
    ----------
    weights : ndarray, shape (n_models, n_hidden, n_features)
    bias, importance, density : ndarray, shape (n_models, n_features)
    tolerance, slope_tolerance, max_nodes
        See `feature_losses`.
    loss : ndarray, shape (n_models, n_features)
        Filled with the losses of the outputs, without importance; NaN where the tolerance cannot be met.
    weights_gradient, bias_gradient : ndarray, shapes of ``weights`` and ``bias``
        Filled with the gradient of Σ_i importance_i loss_i.
    error : ndarray, shape (n_models,)
        Filled with a bound of the error of Σ_i importance_i loss_i; infinite where a loss is NaN.
    """
    n = bias.shape[1]
    slope = np.empty((n, n))
    errors = np.empty(n)
    nodes = np.empty(n, dtype=np.int64)
    for one in range(weights.shape[0]):
        feature_losses(
            weights[one],
            bias[one],
            density[one],
            0,
            n,
            tolerance,
            slope_tolerance,
            max_nodes,
            loss[one],
            slope,
            bias_gradient[one],
            errors,
            nodes,
        )
        weights_slope(weights[one], importance[one], slope, weights_gradient[one])
        bias_gradient[one] *= importance[one]
        error[one] = importance[one] @ errors
