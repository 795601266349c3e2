"""Routines for matrices of float32 in blocks that stay in registers, lanes along rows.

Each is compiled once, by itself, and called by address, so that the kernels around them compile quickly.
"""

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .._compiling.vectors import LANES, at, call_ir, constant, held, load_ir, routine, splat_ir, store_ir, switch, variables

ROWS, COLUMNS = 6, 4  # a block of `product`: rows × vectors
SIDE = 5  # a block of `outer`: rows × columns


@intrinsic
def _multiply(typing, rows, columns, out, out_at, out_row, a, a_at, a_row, a_step, b, b_at, b_row, depth):
    """Write one block of a product: its sums stay in registers over the whole depth."""

    def emit(context, builder, sig, args):
        rows, columns, out, out_at, out_row, a, a_at, a_row, a_step, b, b_at, b_row, depth = args
        out, a, b = at(builder, out, out_at), at(builder, a, a_at), at(builder, b, b_at)
        number = rows.type

        def block(case):
            n_rows, n_columns = divmod(case, COLUMNS + 1)
            sums = [variables(builder, [constant(0.0)] * n_columns) for _ in range(n_rows)]
            with cgutils.for_range(builder, depth) as loop:
                right = at(builder, b, builder.mul(loop.index, b_row))
                left = at(builder, a, builder.mul(loop.index, a_step))
                vectors = [load_ir(builder, at(builder, right, number(q * LANES))) for q in range(n_columns)]
                for r, row in enumerate(sums):
                    value = splat_ir(builder, builder.load(at(builder, left, builder.mul(a_row, number(r)))))
                    for entry, vector in zip(row, vectors, strict=True):
                        builder.store(call_ir(builder, "fma", value, vector, builder.load(entry)), entry)
            for r, row in enumerate(sums):
                for q, entry in enumerate(row):
                    target = at(builder, out, builder.mul(out_row, number(r)), number(q * LANES))
                    store_ir(builder, builder.load(entry), target)

        cases = [r * (COLUMNS + 1) + c for r in range(1, ROWS + 1) for c in range(1, COLUMNS + 1)]
        switch(builder, builder.add(builder.mul(rows, number(COLUMNS + 1)), columns), cases, block)
        return context.get_dummy_value()

    return types.void(rows, columns, out, out_at, out_row, a, a_at, a_row, a_step, b, b_at, b_row, depth), emit


@routine("fnfnnfnnnn")
def multiply(out, out_row, a, a_row, a_step, b, b_row, depth, n_rows, n_vectors):
    """Write out[r, q] = Σ_d a[r, d] b[d, q] for n_rows rows r and n_vectors vectors q.

    ``_row`` is the distance of a matrix's rows, ``a_step`` that of a's columns.
    """
    down, across = (n_rows + ROWS - 1) // ROWS, (n_vectors + COLUMNS - 1) // COLUMNS
    for part in range(across):
        q, q_stop = part * n_vectors // across, (part + 1) * n_vectors // across
        for block in range(down):
            r, r_stop = block * n_rows // down, (block + 1) * n_rows // down
            _multiply(
                r_stop - r, q_stop - q, out, r * out_row + q * LANES, out_row, a, r * a_row, a_row, a_step, b,
                q * LANES, b_row, depth,
            )  # fmt: skip


@intrinsic
def _add_outer(typing, rows, columns, sums, place, row, h, d, left_at, e, x, right_at, stride, n_vectors):
    """Add one block of two outer products summed over samples, lanes being samples."""

    def emit(context, builder, sig, args):
        rows, columns, sums, place, row, h, d, left_at, e, x, right_at, stride, n_vectors = args
        number = rows.type
        sums = at(builder, sums, place)
        pairs = [(at(builder, a, left_at), at(builder, b, right_at)) for a, b in ((h, e), (d, x))]

        def block(case):
            n_rows, n_columns = divmod(case, SIDE + 1)
            places = [
                [at(builder, sums, builder.mul(row, number(r)), number(c * LANES)) for c in range(n_columns)]
                for r in range(n_rows)
            ]
            with held(builder, *places) as entries, cgutils.for_range(builder, n_vectors) as loop:
                sample = builder.mul(loop.index, number(LANES))
                for left, right in pairs:
                    starts = [at(builder, left, builder.mul(stride, number(r)), sample) for r in range(n_rows)]
                    lefts = [load_ir(builder, start) for start in starts]
                    for c in range(n_columns):
                        value = load_ir(builder, at(builder, right, builder.mul(stride, number(c)), sample))
                        for factor, line in zip(lefts, entries, strict=True):
                            builder.store(call_ir(builder, "fma", factor, value, builder.load(line[c])), line[c])

        cases = [r * (SIDE + 1) + c for r in range(1, SIDE + 1) for c in range(1, SIDE + 1)]
        switch(builder, builder.add(builder.mul(rows, number(SIDE + 1)), columns), cases, block)
        return context.get_dummy_value()

    return types.void(rows, columns, sums, place, row, h, d, left_at, e, x, right_at, stride, n_vectors), emit


@routine("fffffnnnn")
def add_outer(sums, h, d, e, x, m, n, stride, n_vectors):
    """Add Σ_v h[k, v] e[i, v] + d[k, v] x[i, v] to the vectors sums[k, i], k < m and i < n.

    The matrices have rows of ``stride`` entries, ``n_vectors`` vectors of them filled.
    """
    down, across = (m + SIDE - 1) // SIDE, (n + SIDE - 1) // SIDE
    for block in range(down):
        k, k_stop = block * m // down, (block + 1) * m // down
        for part in range(across):
            i, i_stop = part * n // across, (part + 1) * n // across
            _add_outer(
                k_stop - k, i_stop - i, sums, (k * n + i) * LANES, n * LANES, h, d, k * stride, e, x, i * stride,
                stride, n_vectors,
            )  # fmt: skip
