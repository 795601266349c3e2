"""The workspace of the contour series: one row per feature, prepared for the first nodes (numba kernels).

The sums of the slopes are zero to begin with, and again whenever `take` has taken them.
"""

import math

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .._compiling.emission import DOUBLES, SINGLES, Lanes
from .._compiling.jit import jit
from .._compiling.vectors import LONG, WORD
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


def _emit_narrow(lanes, row, narrow):
    """Emit the row of singles; see `narrow_row`."""
    builder = lanes.builder
    single = Lanes(builder, False)

    def narrowed(parts):  # a vector of singles from as many doubles
        while len(parts) > 1:
            every = ir.Constant(ir.VectorType(WORD, 2 * parts[0].type.count), list(range(2 * parts[0].type.count)))
            parts = [builder.shuffle_vector(x, y, every) for x, y in zip(parts[::2], parts[1::2], strict=True)]
        return builder.fptrunc(parts[0], single.kind)

    phases = [lanes.load(row, PHASE)]
    step = [lanes.splat(builder.load(builder.gep(row, [LONG(NUMBERS + number)]))) for number in (STEP_RE, STEP_IM)]
    while len(phases) * DOUBLES < SINGLES:
        phases += [lanes.product(phase, step) for phase in phases]
        step = lanes.product(step, step)
    single.store(narrow, PHASE, [narrowed([phase[part] for phase in phases]) for part in (0, 1)])
    numbers = builder.load(lanes.address(row, VECTORS - 1), align=8)
    builder.store(narrowed([numbers] * (SINGLES // DOUBLES)), single.address(narrow, VECTORS - 1), align=4)
    for number, value in zip((STEP_RE, STEP_IM), step, strict=True):
        value = builder.extract_element(value, WORD(0))
        builder.store(builder.fptrunc(value, single.number), builder.gep(narrow, [LONG(NARROW_NUMBERS + number)]))


@intrinsic
def narrow_row(typing, work, at, narrow, to):
    """Prepare a row of singles for the same nodes as a row of doubles."""

    def emit(context, builder, sig, args):
        arrays = [context.make_array(sig.args[k])(context, builder, args[k]).data for k in (0, 2)]
        _emit_narrow(Lanes(builder, True), *(builder.gep(x, [args[k]]) for x, k in zip(arrays, (1, 3), strict=True)))
        return context.get_dummy_value()

    return types.void(work, types.intp, narrow, types.intp), emit
