"""What the samples of a minibatch, sorted into cells, add to the sums of sixteen models.

An output is o = b + Σ G_a x_a over the active features a, and a linear function takes its extremes on a cell in corners.
Where the whole cell is active, the cell's moments give Σ e y_a and Σ e; where nothing of it is, there is nothing to add; only
the other cells' samples are looked at, one by one. Every lane decides for itself, so that a model's bits do not depend on
the models beside it.
"""

from functools import cache
from itertools import combinations_with_replacement

from llvmlite import ir
from numba.core import cgutils

from .._compiling.vectors import FLAGS, FLOAT, LANES, LONG, constant, emitted, routine
from .cells import MOST_ACTIVE, MOST_LEVELS, PATTERN, ROUND, n_moments
from .line_sums import emit_line

BITS = ir.IntType(LANES)


def _emit_cells(b, k, n, relu, fields, order, forms, sums, values, moments, corners, cells):
    """Emit the code for one pattern of k active features: `PATTERN`'s numbers by name, arrays as of `cell_adder`."""
    moments, corners, cells = (b.at(x, fields[y]) for x, y in ((moments, "moments"), (corners, "corners"), (cells, "cells")))
    features = [b.mul(b.entry(order, f), LONG(LANES)) for f in range(k)]
    listed, masks = (cgutils.alloca_once(b, LONG, size=2**MOST_LEVELS) for _ in range(2))
    found = cgutils.alloca_once(b, LONG)
    zero = cgutils.alloca_once_value(b, FLOAT(0.0))  # what e must exceed, where that is not y of the output's own feature

    def sort_out(output, line, totals):
        """Emit the loop over cells: add the moments of those that are active, list those that are neither."""
        low, span, slopes = line[k], constant(0.0), []
        for f in range(k):
            one = b.select(b.icmp_signed("==", output, LONG(f)), FLOAT(1.0), FLOAT(0.0))
            slopes.append(slope := b.fsub(b.splat(one), line[f]))
            width = b.spread(corners, f)
            low = b.fma(b.where(slope, "<", constant(0.0)), width, low)
            span = b.fma(b.apply("fabs", slope), width, span)
        if not relu:  # active everywhere
            low, span, slopes = constant(1.0), constant(0.0), [constant(0.0)] * k
        count = n_moments(k)
        variables = b.variables([constant(0.0)] * count)
        b.store(LONG(0), found)
        with b.range(fields["n_cells"]) as cell:
            corner, least = b.at(corners, b.mul(b.add(cell, LONG(1)), LONG(k))), low
            for f, slope in enumerate(slopes):
                least = b.fma(slope, b.spread(corner, f), least)
            active = b.fcmp_ordered(">", least, constant(0.0))
            reached = b.fcmp_ordered(">", b.fadd(least, span), constant(0.0))
            group, lane = b.ashr(cell, LONG(4)), b.and_(cell, LONG(LANES - 1))
            moment = b.at(moments, b.add(b.mul(group, LONG(count * LANES)), lane))
            for q, variable in enumerate(variables):
                old = b.load(variable)
                value = b.spread(moment, q * LANES)
                b.store(b.select(active, b.fadd(old, value), old), variable)
            bits = b.xor(b.bitcast(reached, BITS), b.bitcast(active, BITS))
            place = b.load(found)
            b.store(cell, b.at(listed, place))
            b.store(b.zext(bits, LONG), b.at(masks, place))
            b.store(b.add(place, b.zext(b.icmp_unsigned("!=", bits, BITS(0)), LONG)), found)
        first, second = [b.load(variable) for variable in variables[: k + 1]], {}
        for variable, (f, g) in zip(variables[k + 1 :], combinations_with_replacement(range(k), 2), strict=True):
            second[f, g] = second[g, f] = b.load(variable)
        for f, total in enumerate(totals):
            value = b.load(total)
            for g in range(k):
                value = b.fma(line[g], second[f, g] if f < k else first[1 + g], value)
            b.store(b.fma(line[k], first[1 + f] if f < k else first[0], value), total)

    def look(output, line, totals):
        """Emit the loop over the samples of the listed cells."""
        own = b.icmp_signed("<", output, LONG(k))
        stride = b.select(own, LONG(k * LANES), LONG(0))
        with b.range(b.load(found)) as i:
            undecided = b.bitcast(b.trunc(b.entry(masks, i), BITS), FLAGS)
            place = b.at(cells, b.mul(b.entry(listed, i), LONG(2)))
            samples = b.at(values, b.entry(place, 1))
            own_value = b.at(samples, b.mul(output, LONG(LANES)))
            with b.range(b.load(place)) as round_:
                first = b.mul(round_, LONG(ROUND))
                sample = b.at(samples, b.mul(first, LONG(k * LANES)))
                start = b.select(own, b.at(own_value, b.mul(first, stride)), zero)
                for u in range(ROUND):
                    y, error = [b.spread(sample, (u * k + f) * LANES) for f in range(k)], line[k]
                    for f in range(k):
                        error = b.fma(line[f], y[f], error)
                    threshold = b.spread(start, b.mul(stride, LONG(u)))
                    passes = b.and_(b.fcmp_ordered(">", error, threshold), undecided)
                    for f, total in enumerate(totals):
                        old = b.load(total)
                        new = b.fma(error, y[f], old) if f < k else b.fadd(error, old)
                        b.store(b.select(passes, new, old), total)

    with b.range(LONG(n)) as output:  # the active features come first in the order
        row = b.mul(b.entry(order, output), LONG((n + 1) * LANES))
        form, sum_ = ([b.at(array, row, column) for column in (*features, n * LANES)] for array in (forms, sums))
        line = [b.row(place) for place in form]
        with b.held(sum_) as (totals,):
            sort_out(output, line, totals)
            look(output, line, totals)


@emitted(known=2)
def _add_pattern(b, n, relu, patterns, place, orders, forms, sums, values, moments, corners, cells):
    """Add the samples of one pattern, by the code for its number of active features."""
    row = b.at(patterns, b.mul(place, LONG(len(PATTERN.names))))
    fields = {name: b.entry(row, i) for i, name in enumerate(PATTERN.names)}
    order = b.at(orders, b.mul(fields["pattern"], LONG(n)))

    def block(k):
        """Emit the code for k active features."""
        if k == 1:
            own_values, own_moments = b.at(values, fields["values"]), b.at(moments, fields["moments"])
            emit_line(b, n, relu, order, forms, sums, own_values, own_moments, fields["n_rows"])
        else:
            _emit_cells(b, k, n, relu, fields, order, forms, sums, values, moments, corners, cells)

    b.choose(fields["n_active"], range(1, min(n, MOST_ACTIVE) + 1), block)


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
