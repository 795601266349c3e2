"""Matrix products of float32 arrays in blocks that stay in registers."""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ._jit import jit
from ._vectors import FLOAT, FLOATS, LANES, call_ir, constant, pointer, splat_ir

ROWS, COLUMNS = 6, 4  # a block: rows × vectors


def switch(builder, value, cases, emit):
    """Emit ``emit(case)`` for whichever case ``value`` equals."""
    done = builder.append_basic_block("done")
    choice = builder.switch(value, done)
    for case in cases:
        block = builder.append_basic_block("case")
        choice.add_case(value.type(case), block)
        builder.position_at_end(block)
        emit(case)
        builder.branch(done)
    builder.position_at_end(done)


def at(builder, array, *offsets):
    for offset in offsets:
        array = builder.gep(array, [offset])
    return array


def load_ir(builder, address):
    return builder.load(builder.bitcast(address, FLOATS.as_pointer()), align=4)


@intrinsic
def _multiply(typing, rows, columns, out, out_at, out_row, a, a_at, a_row, a_step, b, b_at, b_row, depth):
    """Write out[r, q] = Σ_d a[r, d] b[d, q] for ``rows`` ≤ ROWS rows r and ``columns`` ≤ COLUMNS vectors q."""
    index = types.intp
    sig = types.void(index, index, out, index, index, a, index, index, index, b, index, index, index)

    def emit(context, builder, sig, args):
        rows, columns, out, out_at, out_row, a, a_at, a_row, a_step, b, b_at, b_row, depth = args
        out = pointer(context, builder, sig.args[2], out, out_at, to=FLOAT)
        a = pointer(context, builder, sig.args[5], a, a_at, to=FLOAT)
        b = pointer(context, builder, sig.args[9], b, b_at, to=FLOAT)
        number = rows.type

        def block(case):
            n_rows, n_columns = divmod(case, COLUMNS + 1)
            sums = [[cgutils.alloca_once(builder, FLOATS) for _ in range(n_columns)] for _ in range(n_rows)]
            for row in sums:
                for entry in row:
                    builder.store(constant(0.0), entry)
            with cgutils.for_range(builder, depth) as loop:
                right = at(builder, b, builder.mul(loop.index, b_row))
                left = at(builder, a, builder.mul(loop.index, a_step))
                vectors = [load_ir(builder, at(builder, right, number(q * LANES))) for q in range(n_columns)]
                for r, row in enumerate(sums):
                    value = builder.load(at(builder, left, builder.mul(a_row, number(r))))
                    value = splat_ir(builder, value)
                    for entry, vector_ in zip(row, vectors, strict=True):
                        builder.store(call_ir(builder, "fma", value, vector_, builder.load(entry)), entry)
            for r, row in enumerate(sums):
                for q, entry in enumerate(row):
                    target = at(builder, out, builder.mul(out_row, number(r)), number(q * LANES))
                    builder.store(builder.load(entry), builder.bitcast(target, FLOATS.as_pointer()), align=4)

        cases = [r * (COLUMNS + 1) + c for r in range(1, ROWS + 1) for c in range(1, COLUMNS + 1)]
        switch(builder, builder.add(builder.mul(rows, number(COLUMNS + 1)), columns), cases, block)
        return context.get_dummy_value()

    return sig, emit


@jit
def product(out, out_at, out_row, a, a_at, a_row, a_step, b, b_at, b_row, depth, n_rows, n_vectors):
    """Write out[r, q] = Σ_d a[r, d] b[d, q] for n_rows rows r and n_vectors vectors q, block by block.

    Arrays are flat; ``_at`` is where a matrix starts, ``_row`` the distance of its rows, ``a_step`` that of a's columns.
    """
    down, across = (n_rows + ROWS - 1) // ROWS, (n_vectors + COLUMNS - 1) // COLUMNS
    for part in range(across):
        q, q_stop = part * n_vectors // across, (part + 1) * n_vectors // across
        for block in range(down):
            r, r_stop = block * n_rows // down, (block + 1) * n_rows // down
            _multiply(
                r_stop - r, q_stop - q, out, out_at + r * out_row + q * LANES, out_row,
                a, a_at + r * a_row, a_row, a_step, b, b_at + q * LANES, b_row, depth,
            )  # fmt: skip
