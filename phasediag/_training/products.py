"""Routines for matrices of float32 in blocks that stay in registers, lanes along rows.

Each is compiled once, by itself, and called by address, so that the kernels around them compile quickly.
"""

from .._compiling.jit import offset
from .._compiling.vectors import LANES, LONG, constant, emitted, routine

ROWS, COLUMNS = 6, 4  # a block of `product`: rows × vectors
SIDE = 5  # a block of `outer`: rows × columns


@emitted()
def _multiply(b, rows, columns, out, out_row, left, left_row, left_step, right, right_row, depth):
    """Write one block of a product: its sums stay in registers over the whole depth."""

    def block(case):
        """Emit the loop for a number of rows and columns."""
        n_rows, n_columns = divmod(case, COLUMNS + 1)
        sums = [b.variables([constant(0.0)] * n_columns) for _ in range(n_rows)]
        with b.range(depth) as d:
            vectors = [b.row(right, b.mul(d, right_row), q * LANES) for q in range(n_columns)]
            for r, row in enumerate(sums):
                value = b.spread(left, b.mul(d, left_step), b.mul(left_row, LONG(r)))
                for entry, vector in zip(row, vectors, strict=True):
                    b.store(b.fma(value, vector, b.load(entry)), entry)
        for r, row in enumerate(sums):
            for q, entry in enumerate(row):
                b.put(b.load(entry), out, b.mul(out_row, LONG(r)), q * LANES)

    cases = [r * (COLUMNS + 1) + c for r in range(1, ROWS + 1) for c in range(1, COLUMNS + 1)]
    b.choose(b.add(b.mul(rows, LONG(COLUMNS + 1)), columns), cases, block)


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
            target, left, right = offset(out, r * out_row + q * LANES), offset(a, r * a_row), offset(b, q * LANES)
            _multiply(r_stop - r, q_stop - q, target, out_row, left, a_row, a_step, right, b_row, depth)


@emitted()
def _add_outer(b, rows, columns, sums, row, h, d, e, x, stride, n_vectors):
    """Add one block of two outer products summed over samples, lanes being samples."""

    def block(case):
        """Emit the loop for a number of rows and columns."""
        n_rows, n_columns = divmod(case, SIDE + 1)
        places = [[b.at(sums, b.mul(row, LONG(r)), c * LANES) for c in range(n_columns)] for r in range(n_rows)]
        with b.held(*places) as entries, b.range(n_vectors) as v:
            sample = b.mul(v, LONG(LANES))
            for left, right in ((h, e), (d, x)):
                factors = [b.row(left, b.mul(stride, LONG(r)), sample) for r in range(n_rows)]
                for c in range(n_columns):
                    value = b.row(right, b.mul(stride, LONG(c)), sample)
                    for factor, line in zip(factors, entries, strict=True):
                        b.store(b.fma(factor, value, b.load(line[c])), line[c])

    cases = [r * (SIDE + 1) + c for r in range(1, SIDE + 1) for c in range(1, SIDE + 1)]
    b.choose(b.add(b.mul(rows, LONG(SIDE + 1)), columns), cases, block)


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
            own_h, own_d, own_e, own_x = (
                offset(h, k * stride),
                offset(d, k * stride),
                offset(e, i * stride),
                offset(x, i * stride),
            )
            own_sums = offset(sums, (k * n + i) * LANES)
            _add_outer(k_stop - k, i_stop - i, own_sums, n * LANES, own_h, own_d, own_e, own_x, stride, n_vectors)
