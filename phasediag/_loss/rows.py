"""The workspace of the contour series: one row per feature, prepared for the first nodes (numba kernels).

The sums of the slopes are zero to begin with, and again whenever `take` has taken them.
"""

import math

from .._compiling.emission import DOUBLES, SINGLES
from .._compiling.jit import jit
from .nodes import ANGLE, INVERSE, OFFSET, PHASE, RATIO, STEP_IM, STEP_RE, VECTORS, WEIGHT

ROW, NARROW_ROW = VECTORS * DOUBLES, VECTORS * SINGLES
NUMBERS, NARROW_NUMBERS = ROW - DOUBLES, NARROW_ROW - SINGLES
RE, IM = PHASE * DOUBLES, (PHASE + 1) * DOUBLES


@jit(inner=True)
def start_row(work, at, weight, ratio, a, offset, angle, first):
    """Prepare a row of doubles for the nodes from ``first`` on; ``angle`` is that between two nodes."""
    numbers = at + NUMBERS
    work[numbers + WEIGHT], work[numbers + RATIO], work[numbers + INVERSE] = weight, ratio, 1.0 / a
    work[numbers + OFFSET], work[numbers + ANGLE] = offset, angle
    c, s = math.cos(angle), math.sin(angle)
    work[at + RE], work[at + IM] = weight * c, weight * s
    if first > 1.0:
        work[at + RE], work[at + IM] = weight * math.cos(first * angle), weight * math.sin(first * angle)
    size = 1
    while size < DOUBLES:
        for m in range(at, at + size):
            x, y = work[m + RE], work[m + IM]
            work[m + size + RE], work[m + size + IM] = c * x - s * y, s * x + c * y
        c, s = (c - s) * (c + s), 2.0 * c * s
        size *= 2
    work[numbers + STEP_RE], work[numbers + STEP_IM] = c, s


@jit(inner=True)
def narrow_row(work, at, narrow, to):
    """Prepare a row of singles for the same nodes as a row of doubles."""
    numbers, here = at + NUMBERS, to + NARROW_NUMBERS
    for m in range(DOUBLES):
        narrow[here + m] = work[numbers + m]
    c, s = work[numbers + STEP_RE], work[numbers + STEP_IM]
    for m in range(DOUBLES):
        x, y = work[at + RE + m], work[at + IM + m]
        narrow[to + PHASE * SINGLES + m], narrow[to + (PHASE + 1) * SINGLES + m] = x, y
        narrow[to + PHASE * SINGLES + DOUBLES + m] = c * x - s * y
        narrow[to + (PHASE + 1) * SINGLES + DOUBLES + m] = s * x + c * y
    narrow[here + STEP_RE], narrow[here + STEP_IM] = (c - s) * (c + s), 2.0 * c * s
