"""The sum over the nodes of the contour, for the loss of one output and its slopes (numba kernels)."""

import math

from ._jit import call, jit
from ._truncation import TURNED

NODES = 32  # nodes per block: the inner loops run over the nodes of one block and vectorize
CAUTION = 2.0  # on the estimated tail: without it 3 of some thousand adversarial outputs strayed, by up to 1.9
FUSED = {"contract"}  # a·b + c may be one rounding
# Workspace: one row per feature (phase steps, term p φ, its derivative, the product over the features before, slope)
COS, SIN, T_RE, T_IM, G_RE, G_IM, P_RE, P_IM, SLOPE = (NODES * slot for slot in range(9))
PHASE, STEP = 9 * NODES, 9 * NODES + 2
# ... and one row for what the features of a block share.
NODE, INVERSE, ONE_RE, ONE_IM, TWO_RE, TWO_IM, V_RE, V_IM, LOSS, SLOPE_B, SLOPE_I = (NODES * slot for slot in range(11))
COLUMNS = 11 * NODES


@jit(inner=True)
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


@jit(inner=True)
def _start_phase(row, first, delta):
    """Set the phase of the block that begins at node ``first``; the blocks that follow are reached by rotation."""
    row[PHASE] = math.cos(first * delta)
    row[PHASE + 1] = math.sin(first * delta)


@jit(fastmath=FUSED, inner=True)
def _small(v):
    """E cos xV = sinc x, E (V/x) sin xV = j₁(x)/x and E V² cos xV over V uniform on [−1, 1], v = x² < 1/4."""
    sinc = v * (-1 / 5040 + v * (1 / 362880 + v * (-1 / 39916800 + v / 6227020800)))
    sinc = 1.0 + v * (-1 / 6 + v * (1 / 120 + sinc))
    j1 = v * (-1 / 45360 + v * (1 / 3991680 + v * (-1 / 518918400 + v / 93405312000)))
    j1 = 1 / 3 + v * (-1 / 30 + v * (1 / 840 + j1))
    even = v * (-1 / 6480 + v * (1 / 443520 + v * (-1 / 47174400 + v / 7185024000)))
    even = 1 / 3 + v * (-1 / 10 + v * (1 / 168 + even))
    return sinc, j1, even


@jit(fastmath=FUSED, inner=True)
def _transform(row, shared, first, delta, density):
    """Fill t = p φ(2ix) = p e^{ix} sinc x and g = p φ'(2ix) = p e^{ix} (sinc x + i j₁(x))/2 at x = k·delta."""
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
            sinc, j1, _ = _small(v)
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


@jit(inner=True)
def _own_transform(x):
    """Real and imaginary parts of φ, φ' and φ'' at 2ix: the moments 0, 1, 2 of e^{2ixu} over a uniform u."""
    c, s = math.cos(x), math.sin(x)
    if abs(x) < 0.5:
        sinc, j1, even = _small(x * x)
        j1 *= x
    else:
        sinc = s / x
        j1 = (sinc - c) / x
        even = sinc - 2.0 * j1 / x
    even = 0.25 * (sinc + even)
    sinc_half, j1_half = 0.5 * sinc, 0.5 * j1
    return (
        c * sinc,
        s * sinc,
        c * sinc_half - s * j1_half,
        s * sinc_half + c * j1_half,
        c * even - s * j1_half,
        s * even + c * j1_half,
    )


@jit(fastmath=FUSED, inner=True)
def _forward(row, shared, q, none):
    """Multiply the products over the features before j, P (≥ 1 active, kept) and that with ≥ 2 active, by feature j."""
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


@jit(fastmath=FUSED, inner=True)
def _backward(row, shared, q, before, after):
    """Add the slope in a_j and multiply S, the product over the features after j, by feature j.

    The product over all but j with at least one active is P (S + after) + before S; before and after have none active.
    """
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


@jit(inner=True)
def _turn(shared, period, a_i, p_i, b):
    """Add the terms of loss, slope in b and slope in a_i; leave the factor of the slopes in a_j in V."""
    for m in range(NODES):
        omega = 2.0 * math.pi * shared[NODE + m] / period
        inverse = shared[INVERSE + m] * period / (2.0 * math.pi)
        c, s = math.cos(omega * b) * 2.0 / period, math.sin(omega * b) * 2.0 / period
        x, y = shared[TWO_RE + m], shared[TWO_IM + m]
        two_re, two_im = c * x - s * y, c * y + s * x
        t_re, t_im, g_re, g_im, h_re, h_im = _own_transform(0.5 * omega * a_i)
        # 2 f/s² − 2 g/s and 2 g/s² − 2 h/s at s = iω
        scaled = 2.0 * inverse
        v_re = -scaled * (p_i * g_im + (1.0 - p_i + p_i * t_re) * inverse)
        v_im = scaled * p_i * (g_re - t_im * inverse)
        own_re = -scaled * p_i * (h_im + g_re * inverse)
        own_im = scaled * p_i * (h_re - g_im * inverse)
        shared[LOSS + m] += (two_re * v_im + two_im * v_re) * inverse
        shared[SLOPE_B + m] += two_re * v_re - two_im * v_im
        shared[SLOPE_I + m] += two_re * own_re - two_im * own_im
        shared[V_RE + m] = c * v_re - s * v_im
        shared[V_IM + m] = c * v_im + s * v_re


@jit(inner=True)
def add_block(first, period, a_i, p_i, a, p, b, none_before, slopes, work, shared):
    """Add the terms of nodes first … first + NODES − 1 to the sums, lane by lane."""
    for m in range(NODES):
        shared[NODE + m] = first + m
        shared[INVERSE + m] = 1.0 / (first + m)
    for m in range(ONE_RE, TWO_IM + NODES):
        shared[m] = 0.0
    for j in range(a.size):
        _transform(work[j], shared, first, math.pi * a[j] / period, p[j])
        _forward(work[j], shared, 1.0 - p[j], none_before[j])
    _turn(shared, period, a_i, p_i, b)
    if not slopes:
        return
    for m in range(ONE_RE, ONE_IM + NODES):  # from here on S, the products over the features after j
        shared[m] = 0.0
    after = 1.0
    for j in range(a.size - 1, -1, -1):
        _backward(work[j], shared, 1.0 - p[j], none_before[j], after)
        after *= 1.0 - p[j]


@jit(inner=True)
def sum_series(goal, a, p, none_before, work, shared, recent, slope, found, kernel):
    """Add loss, slope in b and slope in a_i to ``found``; then relative error and number of nodes; add the slopes in a_j.

    ``goal`` is (most nodes, sure nodes, error after them, tolerance, scale, slack, period, a_i, p_i, b). The sums end after the
    sure nodes, or with an infinite error at the most nodes, or where they have settled: stages grow by 2^(1/3), and the
    sums have hardly moved over the last one, two and three stages, an octave. A tail like k^−3, or even k^−1, is no
    larger than that; before k passes T/a_j for the smallest weight the terms may fall as slowly as 1/k, and every
    octave up to there counts. ``kernel`` is the address of `add_block`.
    """
    most, sure, rest, tolerance, scale, slack, period, a_i, p_i, b = goal
    n = a.size
    smallest = math.inf
    for j in range(n):
        smallest = min(smallest, abs(a[j]))
    turned = TURNED * period / (2.0 * math.pi * smallest)
    for j in range(n):
        _phase_table(work[j], math.pi * a[j] / period)
        for m in range(NODES):
            work[j, SLOPE + m] = 0.0
    for m in range(LOSS, SLOPE_I + NODES):
        shared[m] = 0.0
    for j in range(n + 3):
        recent[0, j] = recent[1, j] = recent[2, j] = 0.0
    root = math.sqrt(scale) * slack
    stage = 0
    first, end = 1.0, 64.0  # floats: a literal whole number would be compiled a second time
    while True:
        for j in range(n):
            _start_phase(work[j], first, math.pi * a[j] / period)
        while first <= end and first <= sure and first + NODES - 1 <= most:
            call(kernel, (first, period, a_i, p_i, a, p, b, none_before, slack < math.inf, work, shared))
            first += NODES
        # the sums of the lanes, which start again from zero
        new = recent[stage % 3]
        for j in range(n + 3):
            row, at = (work[j], SLOPE) if j < n else (shared, LOSS + (j - n) * NODES)
            total = 0.0
            for m in range(NODES):
                total += row[at + m]
                row[at + m] = 0.0
            new[j] = total
            if j < n:
                slope[j] += total
            else:
                found[j - n] += total
        found[4] = first - 1
        if first > sure:
            found[3] = rest
            return
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
            error = CAUTION * moved * (1.0 + max(math.log2(turned / first), 0.0))
            if error <= tolerance:
                found[3] = error
                return
        if first + NODES - 1 > most:
            found[3] = math.inf
            return
        stage += 1
        end = max(end * 1.26, end + NODES)
