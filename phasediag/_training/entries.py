"""Routines that add the samples of a sparse minibatch from lists of active features, lanes being output features.

Each is compiled once, by itself, and called by address.
"""

from functools import cache

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .._compiling.vectors import (
    FLAGS,
    LANES,
    at,
    call_ir,
    constant,
    held,
    load_ir,
    routine,
    splat_ir,
    store_ir,
    switch,
    variables,
)
from .products import sig_args

WIDTH = 5  # vectors of outputs handled together


def _passing(builder, linear, error, threshold):
    """Emit the error where it passes the activation, else 0."""
    passes = builder.or_(builder.fcmp_ordered(">", error, threshold), linear)
    return builder.select(passes, error, constant(0.0))


def _linear(builder, relu):
    """Emit the mask of lanes that pass whatever their sign: all of them without a ReLU, else none."""
    return splat_ir(builder, builder.icmp_signed("==", relu, relu.type(0)), FLAGS)


@intrinsic
def _add(typing, width, relu, forms, sums, stride, bias, offset, dense, entry_row, entry_value, starts, n_samples):
    """Add samples for one range of outputs."""

    def emit(context, builder, sig, args):
        """Emit the loops over samples for each number of vectors of outputs."""
        width, relu, forms, sums, stride, bias, offset, dense, entry_row, entry_value, starts, n_samples = args
        linear, one = _linear(builder, relu), stride.type(1)
        forms, sums, dense = (at(builder, array, offset) for array in (forms, sums, dense))

        def block(n_vectors):
            """Emit the loop over samples, in which levels and sums of errors stay in registers."""
            places = [stride.type(v * LANES) for v in range(n_vectors)]
            level = [load_ir(builder, at(builder, forms, bias, place)) for place in places]

            def entries(sample, step):
                """Emit the loop over a sample's entries: ``step`` of each row and value."""
                begin = builder.load(at(builder, starts, sample))
                end = builder.load(at(builder, starts, builder.add(sample, one)))
                with cgutils.for_range_slice(builder, begin, end, one) as (entry, _):
                    y = splat_ir(builder, builder.load(at(builder, entry_value, entry)))
                    step(builder.load(at(builder, entry_row, entry)), y)

            totals_at = [at(builder, sums, bias, place) for place in places]
            with held(builder, totals_at) as (totals,), cgutils.for_range(builder, n_samples) as loop:
                errors = variables(builder, level)

                def forward(row, y):
                    """Emit the outputs before the activation, less the sample's own values."""
                    for error, place in zip(errors, places, strict=True):
                        slope = load_ir(builder, at(builder, forms, row, place))
                        builder.store(call_ir(builder, "fma", slope, y, builder.load(error)), error)

                def backward(row, y):
                    """Emit the sums of errors times values."""
                    for error, place in zip(errors, places, strict=True):
                        target = at(builder, sums, row, place)
                        old = load_ir(builder, target)
                        store_ir(builder, call_ir(builder, "fma", builder.load(error), y, old), target)

                entries(loop.index, forward)
                thresholds = at(builder, dense, builder.mul(loop.index, stride))
                for error, total, place in zip(errors, totals, places, strict=True):
                    threshold = load_ir(builder, at(builder, thresholds, place))
                    builder.store(_passing(builder, linear, builder.load(error), threshold), error)
                    builder.store(builder.fadd(builder.load(error), builder.load(total)), total)
                entries(loop.index, backward)

        switch(builder, width, range(1, WIDTH + 1), block)
        return context.get_dummy_value()

    others = {2: forms, 3: sums, 7: dense, 8: entry_row, 9: entry_value, 10: starts}
    return types.void(*sig_args(12, width, others)), emit


@cache
def adder():
    """Return the routine that adds samples, of which s has the entries starts[s] … starts[s + 1] − 1.

    An entry is the row of its feature and its value; ``dense`` holds the same, sample by sample in rows. Row j of ``forms``
    holds C_j, row n holds b; row j of ``sums`` gets Σ e y_j, row n gets Σ e.
    """

    def add(n, width, relu, forms, sums, dense, entry_row, entry_value, starts, n_samples):
        """Add samples to ranges of outputs that fit the registers, one range after another."""
        n_vectors = width // LANES
        n_parts = (n_vectors + WIDTH - 1) // WIDTH
        for part in range(n_parts):
            v, v_stop = part * n_vectors // n_parts, (part + 1) * n_vectors // n_parts
            _add(
                v_stop - v, relu, forms, sums, width, n * width, v * LANES, dense, entry_row, entry_value, starts,
                n_samples,
            )  # fmt: skip

    return routine(add, *"nnnfffifin")
