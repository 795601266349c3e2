"""Routines for sixteen models of many features at once, lanes being models: products of their matrices, sums over samples.

Matrices hold one vector for each entry. Outputs are taken in blocks of a fixed ``width``, and a block's entries of one row
lie together. Each routine is compiled once for a width, by itself, and called by address.
"""

from functools import cache

from numba import float32

from .._compiling.jit import offset
from .._compiling.vectors import LANES, LONG, constant, emitted, fma, load, routine, splat, store, where_positive

REGISTERS = 32  # of a processor, each for one vector


def _rows(width):
    """Return how many rows of a product are taken together: their sums, factors and a value fit the registers."""
    return (REGISTERS - 2) // (width + 1)


@emitted(known=3)
def _multiply(
    b, width, most, mirrored, rows, out, out_row, left, left_row, left_step, right, right_row, depth, mirror, mirror_row
):
    """Write what `product` returns of at most ``most`` rows; if ``mirrored`` also to ``mirror``, rows as columns."""

    def entry(matrix, *steps):
        """Emit the address of an entry: numbers of steps, each times a distance in vectors."""
        return b.at(matrix, *(b.mul(b.mul(number, distance), LONG(LANES)) for number, distance in steps))

    def block(n_rows):
        """Emit the loop over the depth, in which the sums stay in registers."""
        sums = [b.variables([constant(0.0)] * width) for _ in range(n_rows)]
        with b.range(depth) as d:
            factors = [b.fneg(b.row(entry(left, (LONG(r), left_row), (d, left_step)))) for r in range(n_rows)]
            for u in range(width):
                value = b.row(entry(right, (d, right_row)), u * LANES)
                for factor, own in zip(factors, sums, strict=True):
                    b.store(b.fma(factor, value, b.load(own[u])), own[u])
        for r, own in enumerate(sums):
            for u, sum_ in enumerate(own):
                b.put(b.load(sum_), entry(out, (LONG(r), out_row)), u * LANES)
                if mirrored:
                    b.put(b.load(sum_), entry(mirror, (LONG(u), mirror_row)), r * LANES)

    b.choose(rows, range(1, most + 1), block)


@cache
def product(width):
    """Return the routine out[r, u] = −Σ_d a[r, d] b[d, u] for n_rows rows r and ``width`` columns u.

    ``_row`` is the distance of a matrix's rows, ``a_step`` that of a's columns, in vectors.
    """
    most = _rows(width)

    def multiply(out, out_row, a, a_row, a_step, b, b_row, depth, n_rows):
        """Multiply some rows at a time."""
        for first in range(0, n_rows, most):
            own, left, rows = offset(out, first * out_row * LANES), offset(a, first * a_row * LANES), min(most, n_rows - first)
            _multiply(width, most, 0, rows, own, out_row, left, a_row, a_step, b, b_row, depth, own, 0)

    return routine("fnfnnfnnn")(multiply)


@cache
def former(width):
    """Return the routine that writes the ``forms`` C = I − WᵀW and b of models with ``weights`` (m + 1, padded), b the last row.

    They stand block by block, each with ``padded`` rows of C and one of b; those beyond the n features are zeros.
    """
    most = min(_rows(width), width)

    def form(n, m, padded, weights, forms):
        """Multiply tile by tile, on one side of the diagonal, then complete the diagonal and write b."""
        for first in range(0, padded, width):
            own, right = first * (padded + 1), offset(weights, first * LANES)
            for other in range(0, first + 1, width):
                for row in range(other, other + width, most):
                    rows, left = min(most, other + width - row), offset(weights, row * LANES)
                    tile, mirror = own + row * width, other * (padded + 1) + first * width + row - other
                    _multiply(
                        width, most, 1, rows, offset(forms, tile * LANES), width, left, 1, padded, right, padded, m,
                        offset(forms, mirror * LANES), width,
                    )  # fmt: skip
            for i in range(first, min(first + width, n)):
                place = (own + i * width + i - first) * LANES
                store(forms, place, load(forms, place) + splat(float32(1.0)))
            for u in range(width):
                store(forms, (own + padded * width + u) * LANES, load(weights, (m * padded + first + u) * LANES))

    return routine("nnnff")(form)


@emitted(known=2)
def _add(b, width, relu, forms, sums, bias, thresholds, entry_row, entry_value, starts, n_samples):
    """Add what `adder` says, in a loop over samples in which errors and their sums stay in registers."""

    def vectors(array, place):
        """Emit the addresses of a block's vectors from a place on."""
        return [b.at(array, place, u * LANES) for u in range(width)]

    def entries(sample, step):
        """Emit the loop over a sample's entries: ``step`` of each row and value."""
        with b.range(b.entry(starts, sample, 1), b.entry(starts, sample)) as i:
            step(b.entry(entry_row, i), b.spread(entry_value, i))

    levels = vectors(forms, bias)
    with b.held(vectors(sums, bias)) as (totals,), b.range(n_samples) as sample:
        errors = b.variables([b.row(place) for place in levels])

        def forward(row, y):
            """Emit the outputs before the activation, less the sample's own values."""
            for error, slope in zip(errors, vectors(forms, row), strict=True):
                b.store(b.fma(b.row(slope), y, b.load(error)), error)

        def backward(row, y):
            """Emit the sums of errors times values."""
            for error, place in zip(errors, vectors(sums, row), strict=True):
                b.put(b.fma(b.load(error), y, b.row(place)), place)

        entries(sample, forward)
        for u, (error, total) in enumerate(zip(errors, totals, strict=True)):
            value = b.load(error)
            if relu:
                threshold = b.spread(thresholds, b.mul(sample, LONG(width)), u)
                value = b.where(value, ">", threshold, otherwise=constant(0.0))
            b.store(value, error)
            b.store(b.fadd(value, b.load(total)), total)
        entries(sample, backward)


@cache
def adder(width, relu):
    """Return the routine that adds samples to the sums of a block of outputs.

    A sample's errors are b + Σ_j C_j y_j over its entries, j being a row of ``forms`` and ``bias`` the row that holds b;
    they pass where they exceed the sample's ``width`` thresholds. Row j of ``sums`` gets Σ e y_j, row ``bias`` Σ e, also of
    the ``n_empty`` samples without entries, whose errors are b.
    """

    def add(forms, sums, bias, thresholds, entry_row, entry_value, starts, n_samples, n_empty):
        """Add the samples."""
        for place in range(bias, bias + width * LANES, LANES):
            level = load(forms, place)
            if relu:
                level = where_positive(level, level)
            store(sums, place, fma(splat(float32(n_empty)), level, load(sums, place)))
        _add(width, relu, forms, sums, bias, thresholds, entry_row, entry_value, starts, n_samples)

    return routine("ffnfifinn")(add)


@cache
def weigher(width):
    """Return the routine that turns sums R_ij = Σ e_i y_j in place into a (I R + (I R)ᵀ), and those of e into gradients a I e.

    Sums are those of all blocks, one after another, each with ``padded`` rows j and one of Σ e.
    """

    def weigh(n, padded, average, importance, sums, gradient):
        """Weigh every pair of entries across the diagonal."""
        scale = splat(average)
        for i in range(n):
            weight = scale * load(importance, i * LANES)
            own = (i // width * (padded + 1) * width + i % width) * LANES
            for j in range(i + 1):
                other = (j // width * (padded + 1) * width + j % width) * LANES
                lower, upper = own + j * width * LANES, other + i * width * LANES
                both = weight * load(sums, lower) + scale * load(importance, j * LANES) * load(sums, upper)
                store(sums, lower, both)
                store(sums, upper, both)
            store(gradient, i * LANES, weight * load(sums, own + padded * width * LANES))

    return routine("nnsfff")(weigh)
