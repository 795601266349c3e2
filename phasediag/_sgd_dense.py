"""Kernels that train one larger model at a time on dense minibatches, lanes being samples.

For many features the n² products of the Gram matrix cost more than the model's own two layers. With hidden values
H = W X, errors E = I (WᵀH + b − X)[active] and their projection D = W E, all with one column per sample,

    ∂L/∂W = 2 (H Eᵀ + D Xᵀ) / (B n),    ∂L/∂b = 2 E 1 / (B n),

five products of m n multiplications per sample. Samples are taken tile by tile, each matrix row by row, and the products
in blocks that stay in registers.
"""

from numba import float32, types
from numba.core import cgutils
from numba.extending import intrinsic

from ._jit import jit
from ._optimizers import move
from ._products import COLUMNS, at, load_ir, product, switch
from ._streams import fill_features, seed_state
from ._vectors import FLOAT, FLOATS, LANES, call_ir, load, pointer, splat, store, total, where_positive

TILE = 512  # samples whose rows stay in the second-level cache
SIDE = 5  # a block of the gradient: at most so many hidden dimensions × features


@intrinsic
def add_outer(typing, rows, columns, sums, start, row, h, d, left_at, e, x, right_at, stride, n_vectors):
    """Add Σ (h[r] e[c] + d[r] x[c]) over ``n_vectors`` vectors of samples to the vector sums[r, c], r, c < SIDE."""
    index = types.intp
    sig = types.void(index, index, sums, index, index, h, d, index, e, x, index, index, index)

    def emit(context, builder, sig, args):
        rows, columns, sums, start, row, h, d, left_at, e, x, right_at, stride, n_vectors = args
        sums = pointer(context, builder, sig.args[2], sums, start, to=FLOAT)
        h, d = (pointer(context, builder, sig.args[5], array, left_at, to=FLOAT) for array in (h, d))
        e, x = (pointer(context, builder, sig.args[8], array, right_at, to=FLOAT) for array in (e, x))
        number = rows.type

        def block(case):
            n_rows, n_columns = divmod(case, SIDE + 1)
            places = [
                [at(builder, sums, builder.mul(row, number(r)), number(c * LANES)) for c in range(n_columns)]
                for r in range(n_rows)
            ]
            entries = [[cgutils.alloca_once(builder, FLOATS) for _ in range(n_columns)] for _ in range(n_rows)]
            for r in range(n_rows):
                for c in range(n_columns):
                    builder.store(load_ir(builder, places[r][c]), entries[r][c])
            with cgutils.for_range(builder, n_vectors) as loop:
                sample = builder.mul(loop.index, number(LANES))
                for left, right in ((h, e), (d, x)):
                    lefts = [
                        load_ir(builder, at(builder, left, builder.mul(stride, number(r)), sample)) for r in range(n_rows)
                    ]
                    for c in range(n_columns):
                        value = load_ir(builder, at(builder, right, builder.mul(stride, number(c)), sample))
                        for r in range(n_rows):
                            old = builder.load(entries[r][c])
                            builder.store(call_ir(builder, "fma", lefts[r], value, old), entries[r][c])
            for r in range(n_rows):
                for c in range(n_columns):
                    target = builder.bitcast(places[r][c], FLOATS.as_pointer())
                    builder.store(builder.load(entries[r][c]), target, align=4)

        cases = [r * (SIDE + 1) + c for r in range(1, SIDE + 1) for c in range(1, SIDE + 1)]
        switch(builder, builder.add(builder.mul(rows, number(SIDE + 1)), columns), cases, block)
        return context.get_dummy_value()

    return sig, emit


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
    vectors = (n_samples + LANES - 1) // LANES
    product(h, 0, TILE, parameters, at, width, 1, x, 0, TILE, n, m, vectors)
    product(e, 0, TILE, parameters, at, 1, width, h, 0, TILE, m, n, vectors)
    _errors(n, relu, parameters, at + m * width, importance, imp, n_samples, vectors * LANES, x, e, sums[m * n * LANES :])
    product(d, 0, TILE, parameters, at, width, 1, e, 0, TILE, n, m, vectors)
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
