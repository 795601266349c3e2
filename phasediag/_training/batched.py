"""Routines for sixteen models of many features at once, lanes being models: products of their matrices, sums over samples.

Matrices hold one vector for each entry. Outputs are taken in blocks of a fixed ``width``, and a block's entries of one row
lie together. Each routine is compiled once for a width, by itself, and called by address.
"""

from functools import cache

from numba import float32, types
from numba.core import cgutils
from numba.extending import intrinsic

from .._compiling.vectors import (
    LANES,
    LONG,
    at,
    call_ir,
    constant,
    fma,
    held,
    load,
    load_ir,
    routine,
    splat,
    splat_ir,
    store,
    store_ir,
    switch,
    variables,
    where_positive,
)

ROWS = 2  # of a product, taken together


@intrinsic(prefer_literal=True)
def _multiply(typing, width, rows, first, out, out_row, a, a_row, a_step, b, b_row, depth):
    """Write one or two rows of what `product` returns, from row ``first`` on."""

    def emit(context, builder, sig, args):
        """Emit the sums for one and for two rows, and the choice."""
        width = sig.args[0].literal_value
        rows, first, out, out_row, a, a_row, a_step, b, b_row, depth = args[1:]

        def entry(matrix, *steps):
            """Emit the address of an entry: numbers of steps, each times a distance in vectors."""
            for number, distance in steps:
                matrix = at(builder, matrix, builder.mul(builder.mul(number, distance), LONG(LANES)))
            return matrix

        def block(n_rows):
            """Emit the loop over the depth, in which the sums stay in registers."""
            rows = [builder.add(first, LONG(r)) for r in range(n_rows)]
            sums = [variables(builder, [constant(0.0)] * width) for _ in rows]
            with cgutils.for_range(builder, depth) as loop:
                right = entry(b, (loop.index, b_row))
                values = [load_ir(builder, at(builder, right, LONG(u * LANES))) for u in range(width)]
                for row, own in zip(rows, sums, strict=True):
                    left = builder.fneg(load_ir(builder, entry(a, (row, a_row), (loop.index, a_step))))
                    for sum_, value in zip(own, values, strict=True):
                        builder.store(call_ir(builder, "fma", left, value, builder.load(sum_)), sum_)
            for row, own in zip(rows, sums, strict=True):
                target = entry(out, (row, out_row))
                for u, sum_ in enumerate(own):
                    store_ir(builder, builder.load(sum_), at(builder, target, LONG(u * LANES)))

        switch(builder, rows, range(1, ROWS + 1), block)
        return context.get_dummy_value()

    return types.void(width, rows, first, out, out_row, a, a_row, a_step, b, b_row, depth), emit


@cache
def product(width):
    """Return the routine out[r, u] = −Σ_d a[r, d] b[d, u] for n_rows rows r and ``width`` columns u.

    ``_row`` is the distance of a matrix's rows, ``a_step`` that of a's columns, in vectors.
    """

    def multiply(out, out_row, a, a_row, a_step, b, b_row, depth, n_rows):
        """Multiply two rows at a time."""
        for first in range(0, n_rows, ROWS):
            _multiply(width, min(ROWS, n_rows - first), first, out, out_row, a, a_row, a_step, b, b_row, depth)

    return routine("fnfnnfnnn")(multiply)


@intrinsic(prefer_literal=True)
def _add(typing, width, relu, forms, sums, bias, thresholds, entry_row, entry_value, starts, n_samples):
    """Add what `adder` says."""

    def emit(context, builder, sig, args):
        """Emit the loop over samples, in which errors and their sums stay in registers."""
        width, relu = (kind.literal_value for kind in sig.args[:2])
        forms, sums, bias, thresholds, entry_row, entry_value, starts, n_samples = args[2:]

        def vectors(array, place):
            """Emit the addresses of a block's vectors from a place on."""
            return [at(builder, array, place, LONG(u * LANES)) for u in range(width)]

        levels = vectors(forms, bias)

        def entries(sample, step):
            """Emit the loop over a sample's entries: ``step`` of each row and value."""
            begin, end = (builder.load(at(builder, starts, sample, LONG(i))) for i in range(2))
            with cgutils.for_range_slice(builder, begin, end, LONG(1)) as (entry, _):
                y = splat_ir(builder, builder.load(at(builder, entry_value, entry)))
                step(builder.load(at(builder, entry_row, entry)), y)

        with held(builder, vectors(sums, bias)) as (totals,), cgutils.for_range(builder, n_samples) as loop:
            errors = variables(builder, [load_ir(builder, place) for place in levels])

            def forward(row, y):
                """Emit the outputs before the activation, less the sample's own values."""
                for error, slope in zip(errors, vectors(forms, row), strict=True):
                    builder.store(call_ir(builder, "fma", load_ir(builder, slope), y, builder.load(error)), error)

            def backward(row, y):
                """Emit the sums of errors times values."""
                for error, place in zip(errors, vectors(sums, row), strict=True):
                    store_ir(builder, call_ir(builder, "fma", builder.load(error), y, load_ir(builder, place)), place)

            entries(loop.index, forward)
            own = at(builder, thresholds, builder.mul(loop.index, LONG(width)))
            for u, (error, total) in enumerate(zip(errors, totals, strict=True)):
                value = builder.load(error)
                if relu:
                    threshold = splat_ir(builder, builder.load(at(builder, own, LONG(u))))
                    value = builder.select(builder.fcmp_ordered(">", value, threshold), value, constant(0.0))
                builder.store(value, error)
                builder.store(builder.fadd(value, builder.load(total)), total)
            entries(loop.index, backward)
        return context.get_dummy_value()

    return types.void(width, relu, forms, sums, bias, thresholds, entry_row, entry_value, starts, n_samples), emit


@cache
def adder(width, relu):
    """Return the routine that adds samples to the sums of a block of outputs.

    A sample's errors are b + Σ_j C_j y_j over its entries, j being a row of ``forms`` and ``bias`` the row that holds b;
    they pass where they exceed the sample's ``width`` thresholds. Row j of ``sums`` gets Σ e y_j, row ``bias`` Σ e.
    """

    def add(forms, sums, bias, thresholds, entry_row, entry_value, starts, n_samples):
        """Add the samples."""
        _add(width, relu, forms, sums, bias, thresholds, entry_row, entry_value, starts, n_samples)

    return routine("ffnfifin")(add)


@cache
def preparer(width, relu):
    """Return the routine that turns rows of −WᵀW into those of C = I − WᵀW and b, for a block of outputs from ``first`` on.

    It also adds to the block's sums of errors those of the ``n_empty`` samples without an active feature: b, or its positive
    part.
    """

    def prepare(n, first, n_empty, bias, forms, sums):
        """Complete the rows of C, then write b and start the sums of errors."""
        for i in range(first, min(first + width, n)):
            own = (i * width + i - first) * LANES
            store(forms, own, load(forms, own) + splat(float32(1.0)))
        for column in range(0, width * LANES, LANES):
            level, place = load(bias, column), n * width * LANES + column
            store(forms, place, level)
            if relu:
                level = where_positive(level, level)
            store(sums, place, fma(splat(float32(n_empty)), level, load(sums, place)))

    return routine("nnnfff")(prepare)


@cache
def weigher(width):
    """Return the routine that turns sums R_ij = Σ e_i y_j in place into a (I R + (I R)ᵀ), and those of e into gradients a I e.

    Sums are those of all blocks, one after another, each with n rows j and one of Σ e.
    """

    def weigh(n, average, importance, sums, gradient):
        """Weigh every pair of entries across the diagonal."""
        scale = splat(average)
        for i in range(n):
            weight = scale * load(importance, i * LANES)
            own = (i // width * (n + 1) * width + i % width) * LANES
            for j in range(i + 1):
                other = (j // width * (n + 1) * width + j % width) * LANES
                lower, upper = own + j * width * LANES, other + i * width * LANES
                both = weight * load(sums, lower) + scale * load(importance, j * LANES) * load(sums, upper)
                store(sums, lower, both)
                store(sums, upper, both)
            store(gradient, i * LANES, weight * load(sums, own + n * width * LANES))

    return routine("nsfff")(weigh)
