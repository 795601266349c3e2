"""What the samples of a minibatch, sorted into cells, add to the sums of sixteen models.

An output is o = b + Σ G_a x_a over the active features a, and a linear function takes its extremes on a cell in corners.
Where the whole cell is active, the cell's moments give Σ e y_a and Σ e; where nothing of it is, there is nothing to add; only
the other cells' samples are looked at, one by one. Every lane decides for itself, so that a model's bits do not depend on
the models beside it.
"""

from functools import cache
from itertools import combinations_with_replacement

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .._compiling.vectors import (
    FLAGS,
    FLOAT,
    LANES,
    LONG,
    at,
    call_ir,
    constant,
    held,
    load_ir,
    routine,
    splat_ir,
    switch,
    variables,
)
from .cells import MOST_ACTIVE, MOST_LEVELS, PATTERN, ROUND, n_moments
from .line_sums import emit_line

BITS = ir.IntType(LANES)


class _Pattern:
    """Emits the code for one pattern: its arrays, and one method for each stage."""

    def __init__(self, builder, k, n, relu, fields, order, forms, sums, values, moments, corners, cells):
        """Take the `PATTERN`'s numbers by name, and the addresses of arrays as of `cell_adder` for all patterns."""
        self.builder, self.k, self.n, self.relu = builder, k, LONG(n), relu
        self.n_cells, self.values, self.order, self.forms, self.sums = fields["n_cells"], values, order, forms, sums
        self.moments, self.corners, self.cells = (
            at(builder, array, fields[name]) for name, array in (("moments", moments), ("corners", corners), ("cells", cells))
        )
        self.features = [builder.load(at(builder, order, LONG(f))) for f in range(k)]
        self.found = cgutils.alloca_once(builder, LONG)
        self.listed, self.masks = (cgutils.alloca_once(builder, LONG, size=2**MOST_LEVELS) for _ in range(2))

    def line(self, array, row):
        """Emit the addresses of a row's entries for the active features and the last."""
        b = self.builder
        start = at(b, array, b.mul(row, b.mul(b.add(self.n, LONG(1)), LONG(LANES))))
        return [at(b, start, b.mul(column, LONG(LANES))) for column in (*self.features, self.n)]

    def emit(self):
        """Emit the loop over outputs; the active features come first in the order."""
        b = self.builder
        with cgutils.for_range(b, self.n) as loop:
            row = b.load(at(b, self.order, loop.index))
            line = [load_ir(b, place) for place in self.line(self.forms, row)]
            with held(b, self.line(self.sums, row)) as (totals,):
                self.sort_out(loop.index, line, totals)
                self.look(loop.index, line, totals)

    def sort_out(self, output, line, totals):
        """Emit the loop over cells: add the moments of those that are active, list those that are neither."""
        b, k = self.builder, self.k
        low, span, slopes = line[k], constant(0.0), []
        for f in range(k):
            one = b.select(b.icmp_signed("==", output, LONG(f)), FLOAT(1.0), FLOAT(0.0))
            slopes.append(slope := b.fsub(splat_ir(b, one), line[f]))
            width = splat_ir(b, b.load(at(b, self.corners, LONG(f))))
            low = call_ir(b, "fma", b.select(b.fcmp_ordered("<", slope, constant(0.0)), slope, constant(0.0)), width, low)
            span = call_ir(b, "fma", call_ir(b, "fabs", slope), width, span)
        if not self.relu:  # active everywhere
            low, span, slopes = constant(1.0), constant(0.0), [constant(0.0)] * k
        count = n_moments(k)
        sums = variables(b, [constant(0.0)] * count)
        b.store(LONG(0), self.found)
        with cgutils.for_range(b, self.n_cells) as loop:
            corner = at(b, self.corners, b.mul(b.add(loop.index, LONG(1)), LONG(k)))
            least = low
            for f, slope in enumerate(slopes):
                least = call_ir(b, "fma", slope, splat_ir(b, b.load(at(b, corner, LONG(f)))), least)
            active = b.fcmp_ordered(">", least, constant(0.0))
            reached = b.fcmp_ordered(">", b.fadd(least, span), constant(0.0))
            group, lane = b.ashr(loop.index, LONG(4)), b.and_(loop.index, LONG(LANES - 1))
            moment = at(b, self.moments, b.add(b.mul(group, LONG(count * LANES)), lane))
            for q, variable in enumerate(sums):
                old = b.load(variable)
                value = splat_ir(b, b.load(at(b, moment, LONG(q * LANES))))
                b.store(b.select(active, b.fadd(old, value), old), variable)
            bits = b.xor(b.bitcast(reached, BITS), b.bitcast(active, BITS))
            found = b.load(self.found)
            b.store(loop.index, at(b, self.listed, found))
            b.store(b.zext(bits, LONG), at(b, self.masks, found))
            b.store(b.add(found, b.zext(b.icmp_unsigned("!=", bits, BITS(0)), LONG)), self.found)
        first = [b.load(variable) for variable in sums[: k + 1]]
        second = {}
        for variable, (f, g) in zip(sums[k + 1 :], combinations_with_replacement(range(k), 2), strict=True):
            second[f, g] = second[g, f] = b.load(variable)
        for f, total in enumerate(totals):
            value = b.load(total)
            for g in range(k):
                value = call_ir(b, "fma", line[g], second[f, g] if f < k else first[1 + g], value)
            b.store(call_ir(b, "fma", line[k], first[1 + f] if f < k else first[0], value), total)

    def look(self, output, line, totals):
        """Emit the loop over the samples of the listed cells."""
        b, k = self.builder, self.k
        zero = cgutils.alloca_once_value(b, FLOAT(0.0))  # what e must exceed, where that is not y of the output's own feature
        own = b.icmp_signed("<", output, LONG(k))
        stride = b.select(own, LONG(k * LANES), LONG(0))
        with cgutils.for_range(b, b.load(self.found)) as loop:
            cell = b.load(at(b, self.listed, loop.index))
            undecided = b.bitcast(b.trunc(b.load(at(b, self.masks, loop.index)), BITS), FLAGS)
            place = at(b, self.cells, b.mul(cell, LONG(2)))
            rounds, begin = b.load(place), b.load(at(b, place, LONG(1)))
            samples = at(b, self.values, begin)
            own_value = at(b, samples, b.mul(output, LONG(LANES)))
            with cgutils.for_range(b, rounds) as inner:
                first = b.mul(inner.index, LONG(ROUND))
                sample = at(b, samples, b.mul(first, LONG(k * LANES)))
                start = b.select(own, at(b, own_value, b.mul(first, stride)), zero)
                for u in range(ROUND):
                    y = [splat_ir(b, b.load(at(b, sample, LONG((u * k + f) * LANES)))) for f in range(k)]
                    error = line[k]
                    for f in range(k):
                        error = call_ir(b, "fma", line[f], y[f], error)
                    threshold = splat_ir(b, b.load(at(b, start, b.mul(stride, LONG(u)))))
                    passes = b.and_(b.fcmp_ordered(">", error, threshold), undecided)
                    for f, total in enumerate(totals):
                        old = b.load(total)
                        new = call_ir(b, "fma", error, y[f], old) if f < k else b.fadd(error, old)
                        b.store(b.select(passes, new, old), total)


@intrinsic(prefer_literal=True)
def _add_pattern(typing, n, relu, patterns, place, orders, forms, sums, values, moments, corners, cells):
    """Add the samples of one pattern."""

    def emit(context, builder, sig, args):
        """Emit the code for each number of active features and the choice between them."""
        n, relu = (kind.literal_value for kind in sig.args[:2])
        patterns, place, orders, *arrays = args[2:]
        row = at(builder, patterns, builder.mul(place, LONG(len(PATTERN.names))))
        fields = {name: builder.load(at(builder, row, LONG(i))) for i, name in enumerate(PATTERN.names)}
        order = at(builder, orders, builder.mul(fields["pattern"], LONG(n)))

        def block(k):
            """Emit the code for k active features."""
            if k == 1:
                forms, sums, values, moments = arrays[:4]
                values, moments = at(builder, values, fields["values"]), at(builder, moments, fields["moments"])
                emit_line(context, builder, n, relu, order, forms, sums, values, moments, fields["n_rows"])
            else:
                pattern = _Pattern(builder, k, n, relu, fields, order, *arrays)
                pattern.emit()

        switch(builder, fields["n_active"], range(1, min(n, MOST_ACTIVE) + 1), block)
        return context.get_dummy_value()

    return types.void(n, relu, patterns, place, orders, forms, sums, values, moments, corners, cells), emit


@cache
def cell_adder(n, relu):
    """Return the routine that adds the ``n_sorted`` patterns of `draw_cells` to the sums of sixteen models of n features.

    ``forms`` holds the rows C_i0 … C_i,n−1, b_i with C = I − G; ``sums`` gets Σ e y_0 … Σ e y_n−1, Σ e.
    """

    def add(n_sorted, patterns, orders, forms, sums, values, moments, corners, cells):
        """Add pattern after pattern."""
        for place in range(n_sorted):
            _add_pattern(n, relu, patterns, place, orders, forms, sums, values, moments, corners, cells)

    return routine("niifffffi")(add)
