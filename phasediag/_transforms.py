"""Transforms of one feature at eight nodes of the contour at a time: φ(iy) = (e^{iy} − 1)/iy, φ', φ'' (numba kernels)."""

import math

import numpy as np

from ._doubles import LANES, complex_product, load, polynomial, splat, store
from ._jit import jit

LANE_NUMBERS = np.arange(float(LANES))
# Workspace: one row per feature. Vectors: w e^{iy} at the next nodes, w = ρ/a; t = ρ φ, less an offset; g = ρ φ'; the product
# of the factors 1 + t over the features before; sum of the slope (and its imaginary part). Scalars: w, ρ, 1/a, the offset, the angle from node to node
# and the phase from block to block.
PHASE_RE, PHASE_IM, T_RE, T_IM, G_RE, G_IM, ALL_RE, ALL_IM, SLOPE_RE, SLOPE_IM = (LANES * slot for slot in range(10))
WEIGHT, RATIO, INVERSE, OFFSET, ANGLE, STEP_RE, STEP_IM = range(10 * LANES, 10 * LANES + 7)
ROW = 11 * LANES
H_RE, H_IM = ALL_RE, ALL_IM  # ρ φ'' of the output's own feature


@jit(inner=True)
def start_row(work, at, ratio, a, offset, angle):
    """Prepare a row for nodes 1 … 8; ``angle`` is that between two nodes."""
    work[at + WEIGHT], work[at + RATIO], work[at + INVERSE] = ratio / a, ratio, 1.0 / a
    work[at + OFFSET], work[at + ANGLE] = offset, angle
    c, s = math.cos(angle), math.sin(angle)
    work[at + PHASE_RE], work[at + PHASE_IM] = ratio / a * c, ratio / a * s
    size = 1
    while size < LANES:
        for m in range(at, at + size):
            x, y = work[m + PHASE_RE], work[m + PHASE_IM]
            work[m + size + PHASE_RE], work[m + size + PHASE_IM] = c * x - s * y, s * x + c * y
        c, s = (c - s) * (c + s), 2.0 * c * s
        size *= 2
    work[at + STEP_RE], work[at + STEP_IM] = c, s
    for m in range(at + SLOPE_RE, at + SLOPE_IM + LANES):
        work[m] = 0.0


@jit(inner=True, once=True)
def next_phase(work, at):
    """The phase of a block, times the weight, and on to the next."""
    c, s = load(work, at + PHASE_RE), load(work, at + PHASE_IM)
    next_re, next_im = complex_product(c, s, splat(work[at + STEP_RE]), splat(work[at + STEP_IM]))
    store(work, at + PHASE_RE, next_re)
    store(work, at + PHASE_IM, next_im)
    return c, s


@jit(inner=True)
def _fill_small(work, at, first, second):
    """Fill t, g and, for a ``second`` derivative, h where |y| < 1: moments 0, 1, 2 of e^{iyu} over a uniform u."""
    x = splat(0.5 * work[at + ANGLE]) * (splat(first) + load(LANE_NUMBERS, 0))
    v = x * x
    # E cos xV = sinc x, E (V/x) sin xV = j₁(x)/x and E V² cos xV over V = 2u − 1; then e^{iyu} = e^{ix} e^{ixV}
    sinc = polynomial(v, 1.0, -1 / 6, 1 / 120, -1 / 5040, 1 / 362880, -1 / 39916800, 1 / 6227020800)
    j1 = polynomial(v, 1 / 3, -1 / 30, 1 / 840, -1 / 45360, 1 / 3991680, -1 / 518918400, 1 / 93405312000)
    c, s = sinc - v * j1, x * sinc
    half = splat(0.5) * (x * j1)
    ratio = splat(work[at + RATIO])
    store(work, at + T_RE, ratio * (c * sinc))
    store(work, at + T_IM, ratio * (s * sinc))
    middle = splat(0.5) * sinc
    store(work, at + G_RE, ratio * (c * middle - s * half))
    store(work, at + G_IM, ratio * (s * middle + c * half))
    if second:
        even = polynomial(v, 1 / 3, -1 / 10, 1 / 168, -1 / 6480, 1 / 443520, -1 / 47174400, 1 / 7185024000)
        even = splat(0.25) * (sinc + even)
        store(work, at + H_RE, ratio * (c * even - s * half))
        store(work, at + H_IM, ratio * (s * even + c * half))


@jit(inner=True, once=True)
def transform(work, at, first, inverse):
    """t = ρ φ(iy); g = ρ φ'(iy) = (ρ e^{iy} − t)/iy goes to the row; y = aω, 1/ω = ``inverse``."""
    c, s = next_phase(work, at)
    if abs((first + LANES) * work[at + ANGLE]) < 1.0:
        _fill_small(work, at, first, False)
        return load(work, at + T_RE), load(work, at + T_IM)
    weight, h = splat(work[at + WEIGHT]) * inverse, splat(work[at + INVERSE]) * inverse
    c = c * inverse
    t_re, t_im = s * inverse, weight - c
    store(work, at + G_RE, t_re - t_im * h)
    store(work, at + G_IM, t_re * h - c)
    return t_re, t_im


@jit(inner=True, once=True)
def own_transform(work, at, first, inverse):
    """t, g = ρ φ'(iy) and h = ρ φ''(iy) = (ρ e^{iy} − 2g)/iy."""
    t_re, t_im = transform(work, at, first, inverse)
    if abs((first + LANES) * work[at + ANGLE]) < 1.0:
        _fill_small(work, at, first, True)
        return t_re, t_im, load(work, at + G_RE), load(work, at + G_IM), load(work, at + H_RE), load(work, at + H_IM)
    g_re, g_im = load(work, at + G_RE), load(work, at + G_IM)
    h = splat(work[at + INVERSE]) * inverse
    # ρ e^{iy} = ρ + iy t
    h_re = t_re - splat(2.0) * (g_im * h)
    h_im = t_im - (splat(work[at + RATIO]) - splat(2.0) * g_re) * h
    return t_re, t_im, g_re, g_im, h_re, h_im
