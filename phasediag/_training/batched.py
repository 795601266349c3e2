"""Routines for models of many features on sparse minibatches: products of their matrices, sums over samples.

Of ``lanes`` models at once matrices hold so many numbers for each entry: sixteen, lanes being models, or one, lanes being
outputs of that one. Outputs are taken in blocks of a fixed ``width``, of whole vectors, and a block's entries of one row lie
together. Each routine is compiled once for a width, by itself, and called by address.
"""

from functools import cache

from numba import float32

from .._compiling.vectors import LANES, LONG, constant, emitted, fma, load, routine, splat, store, where_positive

ROWS = 2  # of a product, taken together


@emitted(known=2)
def _multiply(b, n_vectors, lanes, rows, first, out, out_row, left, left_row, left_step, right, right_row, depth):
    """Write one or two rows of what `product` returns, from row ``first`` on."""

    def entry(matrix, *steps):
        """Emit the address of an entry: numbers of steps, each times a distance."""
        return b.at(matrix, *(b.mul(number, distance) for number, distance in steps))

    def block(n_rows):
        """Emit the loop over the depth, in which the sums stay in registers."""
        rows = [b.add(first, LONG(r)) for r in range(n_rows)]
        sums = [b.variables([constant(0.0)] * n_vectors) for _ in rows]
        with b.range(depth) as d:
            values = [b.row(entry(right, (d, right_row)), u * LANES) for u in range(n_vectors)]
            for row, own in zip(rows, sums, strict=True):
                place = entry(left, (row, left_row), (d, left_step))
                factor = b.fneg(b.row(place) if lanes > 1 else b.spread(place))
                for sum_, value in zip(own, values, strict=True):
                    b.store(b.fma(factor, value, b.load(sum_)), sum_)
        for row, own in zip(rows, sums, strict=True):
            for u, sum_ in enumerate(own):
                b.put(b.load(sum_), entry(out, (row, out_row)), u * LANES)

    b.choose(rows, range(1, ROWS + 1), block)


@cache
def product(width, lanes):
    """Return the routine out[r, u] = −Σ_d a[r, d] b[d, u] for n_rows rows r and ``width`` columns u.

    ``_row`` is the distance of a matrix's rows, ``a_step`` that of a's columns.
    """
    n_vectors = width * lanes // LANES

    def multiply(out, out_row, a, a_row, a_step, b, b_row, depth, n_rows):
        """Multiply two rows at a time."""
        for first in range(0, n_rows, ROWS):
            _multiply(n_vectors, lanes, min(ROWS, n_rows - first), first, out, out_row, a, a_row, a_step, b, b_row, depth)

    return routine("fnfnnfnnn")(multiply)


@emitted(known=3)
def _add(b, n_vectors, lanes, relu, forms, sums, bias, thresholds, entry_row, entry_value, starts, n_samples):
    """Add what `adder` says, in a loop over samples in which errors and their sums stay in registers."""

    def vectors(array, place):
        """Emit the addresses of a block's vectors from a place on."""
        return [b.at(array, place, u * LANES) for u in range(n_vectors)]

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
                width = n_vectors * LANES // lanes
                place = b.at(thresholds, b.mul(sample, LONG(width)), u * LANES // lanes)
                threshold = b.spread(place) if lanes > 1 else b.row(place)
                value = b.where(value, ">", threshold, otherwise=constant(0.0))
            b.store(value, error)
            b.store(b.fadd(value, b.load(total)), total)
        entries(sample, backward)


@cache
def adder(width, lanes, relu):
    """Return the routine that adds samples to the sums of a block of outputs.

    A sample's errors are b + Σ_j C_j y_j over its entries, j being a row of ``forms`` and ``bias`` the row that holds b;
    they pass where they exceed the sample's ``width`` thresholds. Row j of ``sums`` gets Σ e y_j, row ``bias`` Σ e.
    """

    n_vectors = width * lanes // LANES

    def add(forms, sums, bias, thresholds, entry_row, entry_value, starts, n_samples):
        """Add the samples."""
        _add(n_vectors, lanes, relu, forms, sums, bias, thresholds, entry_row, entry_value, starts, n_samples)

    return routine("ffnfifin")(add)


@cache
def preparer(width, lanes, relu):
    """Return the routine that turns rows of −WᵀW into those of C = I − WᵀW and b, for a block of outputs from ``first`` on.

    It also adds to the block's sums of errors those of the ``n_empty`` samples without an active feature: b, or its positive
    part.
    """

    def prepare(n, first, n_empty, bias, forms, sums):
        """Complete the rows of C, then write b and start the sums of errors."""
        for i in range(first, min(first + width, n)):
            own = (i * width + i - first) * lanes
            for entry in range(own, own + lanes):
                forms[entry] += float32(1.0)
        for column in range(0, width * lanes, LANES):
            level, place = load(bias, column), n * width * lanes + column
            store(forms, place, level)
            if relu:
                level = where_positive(level, level)
            store(sums, place, fma(splat(float32(n_empty)), level, load(sums, place)))

    return routine("nnnfff")(prepare)


@cache
def weigher(width, lanes):
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

    def weigh_single(n, average, importance, sums, gradient):
        """Weigh every pair of entries across the diagonal, of one model."""
        for i in range(n):
            weight = average * importance[i]
            own = i // width * (n + 1) * width + i % width
            for j in range(i + 1):
                lower, upper = own + j * width, j // width * (n + 1) * width + j % width + i * width
                both = weight * sums[lower] + average * importance[j] * sums[upper]
                sums[lower] = both
                sums[upper] = both
            gradient[i] = weight * sums[own + n * width]

    return routine("nsfff")(weigh if lanes > 1 else weigh_single)
