"""What samples, looked at one by one, add to the sums of sixteen lanes."""

from functools import cache

from llvmlite import ir

from .._compiling.vectors import LANES, LONG, WORD, WORDS, constant, emitted, routine
from .outputs import LEAKY, RELU, emit_leaky

MAX_SUMS = 26  # accumulators that fit the registers beside the loop's temporaries


def _emit_samples(b, n, k, activation, by_sample, forms, sums, order, values, count, lane):
    """Emit the loops over the samples of a pattern with k active features, for all n outputs."""
    rows = [b.mul(b.entry(order, a), LONG(n + 1)) for a in range(n)]
    columns = [b.entry(order, a) for a in range(k)] + [LONG(n)]

    def entry(array, a, c):
        """Emit the address of the a-th output's entry for the c-th active feature, or its last one."""
        return b.at(array, b.mul(b.add(rows[a], columns[c]), LONG(LANES)))

    def coefficient(a, c):
        """Emit a coefficient in every lane: each model's own, or one model's for all samples."""
        if by_sample:
            return b.spread(entry(forms, a, c), lane)
        return b.row(entry(forms, a, c))

    slope = None
    if activation == LEAKY:
        place = b.at(forms, n * (n + 1) * LANES)
        slope = b.spread(place, lane) if by_sample else b.row(place)
    n_rounds = b.ashr(b.add(count, LONG(LANES - 1)), LONG(4)) if by_sample else count
    width = max(1, MAX_SUMS // (k + 1))
    for first in range(0, n, width):
        outputs = range(first, min(first + width, n))
        lines = [[coefficient(a, c) for c in range(k + 1)] for a in outputs]
        places = [[entry(sums, a, c) for c in range(k + 1)] for a in outputs]
        with b.held(*places) as totals, b.range(n_rounds) as i:
            if by_sample:  # values[feature][sample], each feature padded to whole vectors
                y = [b.row(values, b.mul(b.add(i, b.mul(n_rounds, LONG(a))), LONG(LANES))) for a in range(k)]
                left = b.trunc(b.sub(count, b.mul(i, LONG(LANES))), WORD)
                inside = b.icmp_signed("<", ir.Constant(WORDS, list(range(LANES))), b.splat(left))
            else:  # values[sample][feature]
                y, inside = [b.spread(values, b.mul(i, LONG(k)), a) for a in range(k)], None
            for a, line, total in zip(outputs, lines, totals, strict=True):
                error = line[k]
                for c in range(k):
                    error = b.fma(line[c], y[c], error)
                passes = inside
                if activation == LEAKY:
                    error = emit_leaky(b, slope, error, y[a] if a < k else None)
                if activation == RELU:
                    passes = b.fcmp_ordered(">", error, y[a] if a < k else constant(0.0))
                    passes = passes if inside is None else b.and_(passes, inside)
                for c in range(k + 1):
                    old = b.load(total[c])
                    new = b.fadd(error, old) if c == k else b.fma(error, y[c], old)
                    b.store(new if passes is None else b.select(passes, new, old), total[c])


@emitted(known=3)
def _accumulate(b, n, activation, by_sample, forms, sums, order, k, values, count, lane):
    """Add the samples of one pattern, with the code for its number of active features."""
    arrays = forms, sums, order, values, count, lane
    b.choose(k, range(1, n + 1), lambda case: _emit_samples(b, n, case, activation, by_sample, *arrays))


@cache
def accumulator(n, activation, by_sample):
    """Return the compiled routine that adds the samples of one pattern to the sums of sixteen lanes, for n features.

    Its arguments are pointers to ``forms``, ``sums``, the features in ``order`` (the k active ones first) and values, the
    number of samples and a lane. Lanes are models that share the samples; or, ``by_sample``, lanes are samples, the forms
    are those of the one model ``lane`` and the sums still to be added over lanes.
    """

    def accumulate(forms, sums, order, k, values, count, lane):
        """Add one pattern."""
        _accumulate(n, activation, by_sample, forms, sums, order, k, values, count, lane)

    return routine("ffinfnn")(accumulate)
