"""What samples, looked at one by one, add to the sums of sixteen lanes."""

from functools import cache

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .._compiling.vectors import (
    LANES,
    LONG,
    WORD,
    WORDS,
    at,
    call_ir,
    constant,
    held,
    load_ir,
    routine,
    splat_ir,
    switch,
)

MAX_SUMS = 26  # accumulators that fit the registers beside the loop's temporaries


def _emit_samples(builder, n, k, relu, by_sample, forms, sums, order, values, count, lane):
    """Emit the loops over the samples of a pattern with k active features, for all n outputs."""
    rows = [builder.mul(builder.load(at(builder, order, LONG(a))), LONG(n + 1)) for a in range(n)]
    columns = [builder.load(at(builder, order, LONG(a))) for a in range(k)] + [LONG(n)]

    def entry(array, a, c):
        """Emit the address of the a-th output's entry for the c-th active feature, or its last one."""
        return at(builder, array, builder.mul(builder.add(rows[a], columns[c]), LONG(LANES)))

    def coefficient(a, c):
        """Emit a coefficient in every lane: each model's own, or one model's for all samples."""
        if by_sample:
            return splat_ir(builder, builder.load(at(builder, entry(forms, a, c), lane)))
        return load_ir(builder, entry(forms, a, c))

    n_rounds = builder.ashr(builder.add(count, LONG(LANES - 1)), LONG(4)) if by_sample else count
    width = max(1, MAX_SUMS // (k + 1))
    for first in range(0, n, width):
        outputs = range(first, min(first + width, n))
        lines = [[coefficient(a, c) for c in range(k + 1)] for a in outputs]
        places = [[entry(sums, a, c) for c in range(k + 1)] for a in outputs]
        with held(builder, *places) as totals, cgutils.for_range(builder, n_rounds) as loop:
            if by_sample:  # values[feature][sample], each feature padded to whole vectors
                start = [builder.add(loop.index, builder.mul(n_rounds, LONG(a))) for a in range(k)]
                y = [load_ir(builder, at(builder, values, builder.mul(s, LONG(LANES)))) for s in start]
                left = builder.trunc(builder.sub(count, builder.mul(loop.index, LONG(LANES))), WORD)
                lanes = ir.Constant(WORDS, list(range(LANES)))
                inside = builder.icmp_signed("<", lanes, splat_ir(builder, left, WORDS))
            else:  # values[sample][feature]
                start = at(builder, values, builder.mul(loop.index, LONG(k)))
                y = [splat_ir(builder, builder.load(at(builder, start, LONG(a)))) for a in range(k)]
                inside = None
            for a, line, total in zip(outputs, lines, totals, strict=True):
                error = line[k]
                for c in range(k):
                    error = call_ir(builder, "fma", line[c], y[c], error)
                passes = inside
                if relu:
                    passes = builder.fcmp_ordered(">", error, y[a] if a < k else constant(0.0))
                    passes = passes if inside is None else builder.and_(passes, inside)
                for c in range(k + 1):
                    old = builder.load(total[c])
                    new = builder.fadd(error, old) if c == k else call_ir(builder, "fma", error, y[c], old)
                    builder.store(new if passes is None else builder.select(passes, new, old), total[c])


@intrinsic(prefer_literal=True)
def _accumulate(typing, n, relu, by_sample, forms, sums, order, k, values, count, lane):
    """Add the samples of one pattern, with the code for its number of active features."""

    def emit(context, builder, sig, args):
        """Emit the loops for each number of active features and the choice between them."""
        n, relu, by_sample = (kind.literal_value for kind in sig.args[:3])
        forms, sums, order, k, values, count, lane = args[3:]
        switch(
            builder, k, range(1, n + 1),
            lambda case: _emit_samples(builder, n, case, relu, by_sample, forms, sums, order, values, count, lane),
        )  # fmt: skip
        return context.get_dummy_value()

    return types.void(n, relu, by_sample, forms, sums, order, k, values, count, lane), emit


@cache
def accumulator(n, relu, by_sample):
    """Return the compiled routine that adds the samples of one pattern to the sums of sixteen lanes, for n features.

    Its arguments are pointers to ``forms``, ``sums``, the features in ``order`` (the k active ones first) and values, the
    number of samples and a lane. Lanes are models that share the samples; or, ``by_sample``, lanes are samples, the forms
    are those of the one model ``lane`` and the sums still to be added over lanes.
    """

    def accumulate(forms, sums, order, k, values, count, lane):
        """Add one pattern."""
        _accumulate(n, relu, by_sample, forms, sums, order, k, values, count, lane)

    return routine("ffinfnn")(accumulate)
