"""The rows of the contour series, one per feature, prepared for the first nodes (numba kernels).

The sums of the slopes are zero to begin with, and again whenever `take` has taken them.
"""

import math

from llvmlite import ir

from .._compiling.emission import DOUBLE_LANES, SINGLE_LANES, Lanes
from .._compiling.jit import doubles, jit
from .._compiling.vectors import LONG, WORD, emitted
from . import contour_table as entry
from .nodes import ANGLE, INVERSE, OFFSET, PHASE, RATIO, ROW, STEP_IM, STEP_RE, VECTORS, WEIGHT

SURELY = 1e-17  # probability of being inactive below which none is told from it
N_NUMBERS, N_NARROW_NUMBERS = (VECTORS - 1) * DOUBLE_LANES, (VECTORS - 1) * SINGLE_LANES  # entries of a row before its numbers
RE, IM = PHASE * DOUBLE_LANES, (PHASE + 1) * DOUBLE_LANES


@jit(inner=True, once=True)
def _start_row(row, weight, ratio, a, offset, angle, first):
    """Prepare a row of doubles for the nodes from ``first`` on; ``angle`` is that between two nodes."""
    row[N_NUMBERS + WEIGHT], row[N_NUMBERS + RATIO], row[N_NUMBERS + INVERSE] = weight, ratio, 1.0 / a
    row[N_NUMBERS + OFFSET], row[N_NUMBERS + ANGLE] = offset, angle
    c, s = math.cos(angle), math.sin(angle)
    row[RE], row[IM] = weight * c, weight * s
    if first > 1.0:
        row[RE], row[IM] = weight * math.cos(first * angle), weight * math.sin(first * angle)
    size = 1
    while size < DOUBLE_LANES:
        for m in range(size):
            x, y = row[m + RE], row[m + IM]
            row[m + size + RE], row[m + size + IM] = c * x - s * y, s * x + c * y
        c, s = (c - s) * (c + s), 2.0 * c * s
        size *= 2
    row[N_NUMBERS + STEP_RE], row[N_NUMBERS + STEP_IM] = c, s


@jit(inner=True)
def start_rows(first, narrow, fresh, unit, few, weight, n, table):
    """Prepare the rows of n features, of the output's own and of its bias for the nodes from ``first`` on.

    ``weight`` is that of the terms. Rows of single precision (``narrow``) are made from those of double precision, which need not
    be ``fresh`` when they have got that far. See `contour_table`.
    """
    a, p, numbers = doubles(table[entry.WEIGHTS]), doubles(table[entry.DENSITIES]), doubles(table[entry.NUMBERS])
    for j in range(n + 2):
        own, ratio, offset = numbers[entry.BIAS], 0.0, 0.0
        if j < n:
            own, ratio = a[j], p[j]
            if few:
                ratio /= max(1.0 - p[j], SURELY)
            else:
                offset = ratio
        elif j == n:
            own, ratio = numbers[entry.A_I], numbers[entry.P_I]
        if fresh:
            row = doubles(table[entry.ROWS] + j * ROW)
            _start_row(row, weight if j > n else ratio / own, ratio, own, offset, unit * own, first)
        if narrow:
            _narrow_row(table[entry.ROWS] + j * ROW, table[entry.NARROW_ROWS] + j * ROW)


def _emit_narrow(lanes, row, narrow):
    """Emit the row of singles at ``narrow`` from that of doubles; see `_narrow_row`."""
    builder = lanes.builder
    single = Lanes(builder, False)
    row, narrow = lanes.pointer(row), single.pointer(narrow)

    def narrowed(parts):
        """A vector of singles from as many doubles."""
        while len(parts) > 1:
            every = ir.Constant(ir.VectorType(WORD, 2 * parts[0].type.count), list(range(2 * parts[0].type.count)))
            parts = [builder.shuffle_vector(x, y, every) for x, y in zip(parts[::2], parts[1::2], strict=True)]
        return builder.fptrunc(parts[0], single.kind)

    phases = [lanes.load(row, PHASE)]
    step = [lanes.splat(builder.load(builder.gep(row, [LONG(N_NUMBERS + number)]))) for number in (STEP_RE, STEP_IM)]
    while len(phases) * DOUBLE_LANES < SINGLE_LANES:
        phases += [lanes.product(phase, step) for phase in phases]
        step = lanes.product(step, step)
    single.store(narrow, PHASE, [narrowed([phase[part] for phase in phases]) for part in (0, 1)])
    numbers = builder.load(lanes.address(row, VECTORS - 1), align=8)
    builder.store(narrowed([numbers] * (SINGLE_LANES // DOUBLE_LANES)), single.address(narrow, VECTORS - 1), align=4)
    for number, value in zip((STEP_RE, STEP_IM), step, strict=True):
        value = builder.extract_element(value, WORD(0))
        builder.store(builder.fptrunc(value, single.number), builder.gep(narrow, [LONG(N_NARROW_NUMBERS + number)]))


@emitted()
def _narrow_row(builder, row, narrow):
    """Prepare the row of singles at the address ``narrow`` for the same nodes as the row of doubles at ``row``.

    Its slow twin is `expected` in `test_contour_terms`, which takes terms of single precision for those of double precision.
    """
    _emit_narrow(Lanes(builder, True), row, narrow)
