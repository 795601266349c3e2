"""Kernels that train one larger model at a time on dense minibatches, lanes being samples.

For many features the n² products of the Gram matrix cost more than the model's own two layers. With hidden values
H = W X, errors E = I (WᵀH + b − X)[active] and their projection D = W E, all with one column per sample,

    ∂L/∂W = 2 (H Eᵀ + D Xᵀ) / (B n),    ∂L/∂b = 2 E 1 / (B n),

five products of m n multiplications per sample. Samples are taken tile by tile, each matrix row by row, and the products
in blocks that stay in registers.
"""

from llvmlite import ir
from numba import float32, types
from numba.core import cgutils
from numba.extending import intrinsic

from ._jit import jit
from ._optimizers import move
from ._streams import fill_features, seed_state
from ._vectors import FLOAT, FLOATS, LANES, call_ir, constant, load, pointer, splat, splat_ir, store, total, where_positive

TILE = 512  # samples whose rows stay in the second-level cache
ROWS, COLUMNS = 6, 4  # a block of the forward products: rows of the result × vectors of samples
SIDE = 5  # a block of the gradient: at most so many hidden dimensions × features


def _switch(builder, value, cases, emit):
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


def _at(builder, array, *offsets):
    for offset in offsets:
        array = builder.gep(array, [offset])
    return array


def _load(builder, address):
    return builder.load(builder.bitcast(address, FLOATS.as_pointer()), align=4)


@intrinsic
def multiply(typing, rows, out, out_at, out_row, a, a_at, a_row, a_step, b, b_at, b_row, depth):
    """Write out[r, q] = Σ_d a[r, d] b[d, q] for ``rows`` ≤ ROWS rows r and COLUMNS vectors q."""
    index = types.intp
    sig = types.void(index, out, index, index, a, index, index, index, b, index, index, index)

    def emit(context, builder, sig, args):
        rows, out, out_at, out_row, a, a_at, a_row, a_step, b, b_at, b_row, depth = args
        out = pointer(context, builder, sig.args[1], out, out_at, to=FLOAT)
        a = pointer(context, builder, sig.args[4], a, a_at, to=FLOAT)
        b = pointer(context, builder, sig.args[8], b, b_at, to=FLOAT)
        number = rows.type

        def block(n_rows):
            sums = [[cgutils.alloca_once(builder, FLOATS) for _ in range(COLUMNS)] for _ in range(n_rows)]
            for row in sums:
                for entry in row:
                    builder.store(constant(0.0), entry)
            with cgutils.for_range(builder, depth) as loop:
                right = _at(builder, b, builder.mul(loop.index, b_row))
                left = _at(builder, a, builder.mul(loop.index, a_step))
                columns = [_load(builder, _at(builder, right, number(q * LANES))) for q in range(COLUMNS)]
                for r, row in enumerate(sums):
                    value = builder.load(_at(builder, left, builder.mul(a_row, number(r))))
                    value = splat_ir(builder, value)
                    for entry, column in zip(row, columns, strict=True):
                        builder.store(call_ir(builder, "fma", value, column, builder.load(entry)), entry)
            for r, row in enumerate(sums):
                for q, entry in enumerate(row):
                    target = _at(builder, out, builder.mul(out_row, number(r)), number(q * LANES))
                    builder.store(builder.load(entry), builder.bitcast(target, FLOATS.as_pointer()), align=4)

        _switch(builder, rows, range(1, ROWS + 1), block)
        return context.get_dummy_value()

    return sig, emit


@intrinsic
def add_outer(typing, rows, columns, sums, at, row, h, d, left_at, e, x, right_at, stride, n_vectors):
    """Add Σ (h[r] e[c] + d[r] x[c]) over ``n_vectors`` vectors of samples to the vector sums[r, c], r, c < SIDE."""
    index = types.intp
    sig = types.void(index, index, sums, index, index, h, d, index, e, x, index, index, index)

    def emit(context, builder, sig, args):
        rows, columns, sums, at, row, h, d, left_at, e, x, right_at, stride, n_vectors = args
        sums = pointer(context, builder, sig.args[2], sums, at, to=FLOAT)
        h, d = (pointer(context, builder, sig.args[5], array, left_at, to=FLOAT) for array in (h, d))
        e, x = (pointer(context, builder, sig.args[8], array, right_at, to=FLOAT) for array in (e, x))
        number = rows.type

        def block(case):
            n_rows, n_columns = divmod(case, SIDE + 1)
            places = [
                [_at(builder, sums, builder.mul(row, number(r)), number(c * LANES)) for c in range(n_columns)]
                for r in range(n_rows)
            ]
            entries = [[cgutils.alloca_once(builder, FLOATS) for _ in range(n_columns)] for _ in range(n_rows)]
            for r in range(n_rows):
                for c in range(n_columns):
                    builder.store(_load(builder, places[r][c]), entries[r][c])
            with cgutils.for_range(builder, n_vectors) as loop:
                at = builder.mul(loop.index, number(LANES))
                for left, right in ((h, e), (d, x)):
                    lefts = [
                        _load(builder, _at(builder, left, builder.mul(stride, number(r)), at)) for r in range(n_rows)
                    ]
                    for c in range(n_columns):
                        value = _load(builder, _at(builder, right, builder.mul(stride, number(c)), at))
                        for r in range(n_rows):
                            old = builder.load(entries[r][c])
                            builder.store(call_ir(builder, "fma", lefts[r], value, old), entries[r][c])
            for r in range(n_rows):
                for c in range(n_columns):
                    target = builder.bitcast(places[r][c], FLOATS.as_pointer())
                    builder.store(builder.load(entries[r][c]), target, align=4)

        cases = [r * (SIDE + 1) + c for r in range(1, SIDE + 1) for c in range(1, SIDE + 1)]
        _switch(builder, builder.add(builder.mul(rows, number(SIDE + 1)), columns), cases, block)
        return context.get_dummy_value()

    return sig, emit


@jit
def _product(out, a, a_at, a_row, a_step, b, depth, n_rows, n_samples):
    """Write out = a b, row by row of TILE samples, in blocks of nearly equal numbers of rows."""
    n_blocks = (n_rows + ROWS - 1) // ROWS
    for column in range(0, n_samples, COLUMNS * LANES):
        for block in range(n_blocks):
            r, stop = block * n_rows // n_blocks, (block + 1) * n_rows // n_blocks
            multiply(stop - r, out, r * TILE + column, TILE, a, a_at + r * a_row, a_row, a_step, b, column, TILE, depth)


@jit
def draw_tile(key, step, tile, law, state, x):
    """Draw a tile of a minibatch: ``x[feature, sample]``, rows of TILE samples."""
    most, scale = law
    seed_state(key, step, tile, state)
    for j in range(most.size):
        fill_features(state, x[j * TILE : (j + 1) * TILE], TILE // LANES, most[j], scale[j])


@jit
def _errors(n, relu, parameters, bias, importance, imp, n_samples, n_padded, x, e, sums):
    """Turn the outputs in ``e``, bias not yet added, into weighted errors, and add them up."""
    whole = n_samples // LANES * LANES
    for i in range(n):
        b, weight = parameters[bias + i], importance[imp + i]
        added = load(sums, i * LANES)
        for at in range(i * TILE, i * TILE + whole, LANES):
            output = load(e, at) + splat(b)
            error = splat(weight) * (output - load(x, at))
            if relu:
                error = where_positive(output, error)
            store(e, at, error)
            added = added + error
        store(sums, i * LANES, added)
        for at in range(i * TILE + whole, i * TILE + n_samples):
            output = e[at] + b
            e[at] = weight * (output - x[at]) if output > 0 or not relu else float32(0.0)
            sums[i * LANES] += e[at]
        e[i * TILE + n_samples : i * TILE + n_padded] = 0


@jit
def add_tile(n, m, width, relu, parameters, at, importance, imp, n_samples, x, h, e, d, sums):
    """Add the gradients of one tile: lanes of ``sums`` (m + 1, n), the last row for the bias.

    A model's ``parameters`` from ``at`` on are m rows of weights and one of biases, each ``width`` long.
    """
    n_padded = (n_samples + COLUMNS * LANES - 1) // (COLUMNS * LANES) * (COLUMNS * LANES)
    _product(h, parameters, at, width, 1, x, n, m, n_padded)
    _product(e, parameters, at, 1, width, h, m, n, n_padded)
    _errors(n, relu, parameters, at + m * width, importance, imp, n_samples, n_padded, x, e, sums[m * n * LANES :])
    _product(d, parameters, at, width, 1, e, n, m, n_padded)
    vectors = n_padded // LANES
    down, across = (m + SIDE - 1) // SIDE, (n + SIDE - 1) // SIDE
    for block in range(down):
        k, k_stop = block * m // down, (block + 1) * m // down
        for part in range(across):
            i, i_stop = part * n // across, (part + 1) * n // across
            where = (k * n + i) * LANES
            add_outer(
                k_stop - k, i_stop - i, sums, where, n * LANES, h, d, k * TILE, e, x, i * TILE, TILE, vectors
            )


@jit
def train_dense(
    n, m, relu, adam, parameters, first, second, importance, keys, start, stop, batch_size, law, scalars, state, x, buffers
):
    """Train models from step ``start`` to ``stop``, on one stream (keys of shape (1, 2)) or each on its own.

    parameters, first, second: (n_models · (m + 1) · width,) with rows padded by zeros to whole vectors; importance:
    (n_models · n,).
    """
    h, e, d, sums, gradient = buffers
    width = (n + LANES - 1) // LANES * LANES
    size = (m + 1) * width
    n_tiles, room = (batch_size + TILE - 1) // TILE, x.size // (n * TILE)
    average = float32(2.0 / (float32(batch_size) * n))
    for step in range(start, stop):
        for model in range(parameters.size // size):
            sums[:] = 0
            for tile in range(n_tiles):
                n_samples = min(TILE, batch_size - tile * TILE)
                where = x[tile % room * n * TILE :]
                if model == 0 or len(keys) > 1 or n_tiles > room:
                    draw_tile(keys[model if len(keys) > 1 else 0], step, tile, law, state, where)
                add_tile(n, m, width, relu, parameters, model * size, importance, model * n, n_samples, where, h, e, d, sums)
            for k in range(m + 1):
                for i in range(n):
                    gradient[k * width + i] = average * total(load(sums, (k * n + i) * LANES))
            for at in range(0, size, LANES):
                move(adam, scalars[step], load(gradient, at), model * size + at, parameters, first, second)
