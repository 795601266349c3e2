"""The sum over the nodes of the contour, for the loss of one output and its slopes (numba kernels)."""

import math

from ._jit import call, jit

NODES = 32  # nodes per block: the inner loops run over the nodes of one block and vectorize
CAUTION = 3.0  # on the estimated tail
GUARD = 1e-60  # keeps q_j + p_j φ off zero at density 1, where it is divided by
FUSED = {"contract"}  # a·b + c may be one rounding
# Workspace: one row per feature (phase steps, term p φ, its derivative, the product over the features before with exactly
# one active, slope); then one for a_i, with second derivative, and one for b
COS, SIN, T_RE, T_IM, G_RE, G_IM, E_RE, E_IM, SLOPE = (NODES * slot for slot in range(9))
H_RE, H_IM = E_RE, E_IM
PHASE, STEP = 9 * NODES, 9 * NODES + 2
FEATURE_COLUMNS = 10 * NODES
# ... and one row for what the features of a block share: products over the features so far with exactly one and with at
# least one, two, three active, and over all states; the factors of the slopes; the sums.
NODE, INVERSE, ONLY_RE, ONLY_IM, ONE_RE, ONE_IM, TWO_RE, TWO_IM = (NODES * slot for slot in range(8))
THREE_RE, THREE_IM, ALL_RE, ALL_IM, V_RE, V_IM, IDLE_RE, IDLE_IM = (NODES * slot for slot in range(8, 16))
LOSS, SLOPE_B, SLOPE_I = (NODES * slot for slot in range(16, 19))
SHARED_COLUMNS = 19 * NODES


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


@jit(inner=True)
def _next_phase(row):
    """The phase of a block, and on to the next."""
    c, s = row[PHASE], row[PHASE + 1]
    row[PHASE] = c * row[STEP] - s * row[STEP + 1]
    row[PHASE + 1] = c * row[STEP + 1] + s * row[STEP]
    return c, s


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
    c0, s0 = _next_phase(row)
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


@jit(fastmath=FUSED, inner=True)
def _own_transform(row, shared, first, delta, density):
    """Fill p φ, p φ' and p φ'' at 2ix, x = k·delta: p times the moments 0, 1, 2 of e^{2ixu} over a uniform u."""
    c0, s0 = _next_phase(row)
    small = abs((first + NODES) * delta) < 0.5
    inverse = 0.0 if small else 1.0 / delta
    for m in range(NODES):
        c = density * (c0 * row[COS + m] - s0 * row[SIN + m])
        s = density * (c0 * row[SIN + m] + s0 * row[COS + m])
        if small:
            x = shared[NODE + m] * delta
            sinc, j1, even = _small(x * x)
            j1 *= x
        else:
            r = shared[INVERSE + m] * inverse
            sinc = (c0 * row[SIN + m] + s0 * row[COS + m]) * r
            j1 = (sinc - (c0 * row[COS + m] - s0 * row[SIN + m])) * r
            even = sinc - 2.0 * j1 * r
        even = 0.25 * (sinc + even)
        j1 *= 0.5
        row[T_RE + m] = c * sinc
        row[T_IM + m] = s * sinc
        row[G_RE + m] = 0.5 * c * sinc - s * j1
        row[G_IM + m] = 0.5 * s * sinc + c * j1
        row[H_RE + m] = c * even - s * j1
        row[H_IM + m] = s * even + c * j1


@jit(fastmath=FUSED, inner=True)
def _forward(row, shared, q, none):
    """Multiply the products over the features before j by feature j; keep the one with exactly one active before."""
    for m in range(NODES):
        u, v = row[T_RE + m], row[T_IM + m]
        x, y = shared[TWO_RE + m], shared[TWO_IM + m]
        shared[THREE_RE + m] = q * shared[THREE_RE + m] + (u * x - v * y)
        shared[THREE_IM + m] = q * shared[THREE_IM + m] + (u * y + v * x)
        c, s = shared[ONE_RE + m], shared[ONE_IM + m]
        re, im = u * c - v * s, u * s + v * c
        shared[TWO_RE + m] = q * x + re
        shared[TWO_IM + m] = q * y + im
        shared[ONE_RE + m] = q * c + (re + none * u)
        shared[ONE_IM + m] = q * s + (im + none * v)
        x, y = shared[ONLY_RE + m], shared[ONLY_IM + m]
        row[E_RE + m] = x
        row[E_IM + m] = y
        shared[ONLY_RE + m] = q * x + none * u
        shared[ONLY_IM + m] = q * y + none * v
        u += q + GUARD
        x, y = shared[ALL_RE + m], shared[ALL_IM + m]
        shared[ALL_RE + m] = u * x - v * y
        shared[ALL_IM + m] = u * y + v * x


@jit(fastmath=FUSED, inner=True)
def _slopes(row, shared, q, before, after):
    """Add the slope in a_j and multiply the product over the features after j with exactly one active by feature j.

    That over all but j is the one over all states divided by j's factor; what has none (``before``, ``after``) or where i
    is inactive exactly one active is subtracted.
    """
    none = before * after
    for m in range(NODES):
        u, v = row[T_RE + m], row[T_IM + m]
        only_re = row[E_RE + m] * after + before * shared[ONLY_RE + m]
        only_im = row[E_IM + m] * after + before * shared[ONLY_IM + m]
        shared[ONLY_RE + m] = q * shared[ONLY_RE + m] + after * u
        shared[ONLY_IM + m] = q * shared[ONLY_IM + m] + after * v
        u += q + GUARD
        inverse = 1.0 / (u * u + v * v)
        x, y = shared[ALL_RE + m], shared[ALL_IM + m]
        c, s = shared[IDLE_RE + m], shared[IDLE_IM + m]
        re = (x * u + y * v) * inverse - none * shared[V_RE + m] - (c * only_re - s * only_im)
        im = (y * u - x * v) * inverse - none * shared[V_IM + m] - (c * only_im + s * only_re)
        row[SLOPE + m] += re * row[G_RE + m] - im * row[G_IM + m]


@jit(fastmath=FUSED, inner=True)
def _turn(shared, own, shift, period, p_i):
    """Add the terms of loss, slope in b and slope in a_i; leave the factors of the slopes in a_j."""
    c0, s0 = _next_phase(shift)
    scale, unit = 2.0 / period, period / (2.0 * math.pi)
    idle = -2.0 * (1.0 - p_i)
    for m in range(NODES):
        inverse = shared[INVERSE + m] * unit  # 1/ω
        c = scale * (c0 * shift[COS + m] - s0 * shift[SIN + m])
        s = scale * (c0 * shift[SIN + m] + s0 * shift[COS + m])
        # at s = iω, with i inactive 2q/s², active 2f/s² − 2g/s and for a_i 2g/s² − 2h/s
        idle_re, idle_im = idle * inverse * inverse * c, idle * inverse * inverse * s
        v_re = -2.0 * inverse * (own[G_IM + m] + own[T_RE + m] * inverse)
        v_im = 2.0 * inverse * (own[G_RE + m] - own[T_IM + m] * inverse)
        own_re = -2.0 * inverse * (own[H_IM + m] + own[G_RE + m] * inverse)
        own_im = 2.0 * inverse * (own[H_RE + m] - own[G_IM + m] * inverse)
        x, y = shared[TWO_RE + m], shared[TWO_IM + m]
        two_re, two_im = c * x - s * y, c * y + s * x
        x, y = shared[THREE_RE + m], shared[THREE_IM + m]
        re = two_re * v_re - two_im * v_im + (idle_re * x - idle_im * y)
        im = two_re * v_im + two_im * v_re + (idle_re * y + idle_im * x)
        shared[LOSS + m] += im * inverse
        shared[SLOPE_B + m] += re
        shared[SLOPE_I + m] += two_re * own_re - two_im * own_im
        v_re, v_im = c * v_re - s * v_im + idle_re, c * v_im + s * v_re + idle_im
        x, y = shared[ALL_RE + m], shared[ALL_IM + m]
        shared[ALL_RE + m] = x * v_re - y * v_im
        shared[ALL_IM + m] = x * v_im + y * v_re
        shared[V_RE + m] = v_re
        shared[V_IM + m] = v_im
        shared[IDLE_RE + m] = idle_re
        shared[IDLE_IM + m] = idle_im


@jit(inner=True)
def add_block(first, period, a_i, p_i, a, p, none_before, slopes, work, shared):
    """Add the terms of nodes first … first + NODES − 1 to the sums, lane by lane."""
    n = a.size
    for m in range(NODES):
        shared[NODE + m] = first + m
        shared[INVERSE + m] = 1.0 / (first + m)
        shared[ALL_RE + m] = 1.0
        shared[ALL_IM + m] = 0.0
    for m in range(ONLY_RE, THREE_IM + NODES):
        shared[m] = 0.0
    for j in range(n):
        _transform(work[j], shared, first, math.pi * a[j] / period, p[j])
        _forward(work[j], shared, 1.0 - p[j], none_before[j])
    _own_transform(work[n], shared, first, math.pi * a_i / period, p_i)
    _turn(shared, work[n], work[n + 1], period, p_i)
    if not slopes:
        return
    for m in range(ONLY_RE, ONLY_IM + NODES):  # from here on over the features after j
        shared[m] = 0.0
    after = 1.0
    for j in range(n - 1, -1, -1):
        _slopes(work[j], shared, 1.0 - p[j], none_before[j], after)
        after *= 1.0 - p[j]


@jit(inner=True)
def sum_series(goal, a, p, none_before, bounds, work, shared, recent, slope, found, kernel):
    """Add loss, slope in b and slope in a_i to ``found``; then relative error and number of nodes; add the slopes in a_j.

    ``goal`` is (most nodes, tolerance, scale, slack, period, a_i, p_i, b); ``bounds`` and the number of stages in ``found``
    come from `bound_tails`. The sums end after the stage whose bound of what follows meets the tolerance or, mostly,
    where they have settled: what follows is estimated from what the last one, two and three stages, an octave, have
    moved, scaled down as the bounds are, at most like those of terms k^−4. The error is infinite when that takes more
    than the most nodes. ``kernel`` is the address of `add_block`.
    """
    most, tolerance, scale, slack, period, a_i, p_i, b = goal
    n = a.size
    for j in range(n + 2):
        delta = math.pi / period * (a[j] if j < n else (a_i if j == n else 2.0 * b))
        _phase_table(work[j], delta)
        for m in range(NODES):
            work[j, SLOPE + m] = 0.0
    for m in range(LOSS, SLOPE_I + NODES):
        shared[m] = 0.0
    root = math.sqrt(scale) * slack
    n_stages = int(found[4])
    first = 1.0  # a float: a whole number would be compiled a second time
    for stage in range(n_stages):
        end = bounds[stage, 0]
        for j in range(n + 2):
            delta = math.pi / period * (a[j] if j < n else (a_i if j == n else 2.0 * b))
            _start_phase(work[j], first, delta)
        while first <= end and first + NODES - 1 <= most:
            call(kernel, (first, period, a_i, p_i, a, p, none_before, slack < math.inf, work, shared))
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
        if first <= end:
            break
        error = bounds[stage, 1]
        if stage >= 3 and error > tolerance:
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
            ratio = error / (bounds[stage, 2] + bounds[stage - 1, 2] + bounds[stage - 2, 2])
            ratio = max(ratio, 1.0 / ((end / bounds[stage - 3, 0]) ** 3 - 1.0))
            error = min(error, CAUTION * moved * ratio)
        if error <= tolerance:
            found[3] = error
            return
    found[3] = math.inf
