"""Kernels that train one larger model at a time on dense minibatches, lanes being samples.

For many features the n² products of the Gram matrix cost more than the model's own two layers. With hidden values
H = W X, errors E = I (WᵀH + b − X)[active] and their projection D = W E, all with one column per sample,

    ∂L/∂W = 2 (H Eᵀ + D Xᵀ) / (B n),    ∂L/∂b = 2 E 1 / (B n),

five products of m n multiplications per sample. Samples are taken tile by tile, each matrix row by row, and the products
in blocks that stay in registers.
"""

from functools import cache

from numba import float32, int64

from .._compiling.jit import jit
from .._compiling.vectors import LANES, address, invoke, load, routine, splat, store, total, where_positive
from .optimizers import N_SCALARS
from .streams import fill_features, seed_state

TILE = 512  # samples of a tile
STRIDE = TILE + LANES  # of its rows: not a power of two, so that a column's entries do not compete for one cache set


@jit(allocates=False)
def draw_tile(key, step, tile, law, state, x, at):
    """Draw a tile of a minibatch from entry ``at`` of ``x`` on: features by samples, rows of STRIDE."""
    most, scale = law
    seed_state(key, step, tile, state)
    for j in range(most.size):
        fill_features(state, x, at + j * STRIDE, TILE // LANES, most[j], scale[j])


@cache
def errors():
    """Return the routine that turns outputs in ``e``, bias not yet added, into weighted errors, and adds them up."""

    def subtract(n, relu, bias, importance, n_samples, n_padded, x, e, sums):
        whole = n_samples // LANES * LANES
        for i in range(n):
            b, weight, own = bias[i], importance[i], i * LANES
            added = load(sums, own)
            for at in range(i * STRIDE, i * STRIDE + whole, LANES):
                output = load(e, at) + splat(b)
                error = splat(weight) * (output - load(x, at))
                if relu:
                    error = where_positive(output, error)
                store(e, at, error)
                added = added + error
            store(sums, own, added)
            for at in range(i * STRIDE + whole, i * STRIDE + n_padded):
                output = e[at] + b
                passes = at < i * STRIDE + n_samples and (output > 0 or not relu)
                e[at] = weight * (output - x[at]) if passes else float32(0.0)
                sums[own] += e[at]

    return routine(subtract, *"nnffnnfff")


@jit(allocates=False)
def train_dense(
    n, m, relu, average, routines, parameters, first, second, importance, keys, start, stop, batch_size, law, scalars,
    state, x, buffers,
):  # fmt: skip
    """Train models from step ``start`` to ``stop``, on one stream (keys of shape (1, 2)) or each on its own.

    parameters, first, second: (n_models · (m + 1) · width,), a model being m rows of weights and one of biases, padded by
    zeros to whole vectors; importance: (n_models · n,); routines: the addresses of `mover`, `product`, `errors` and `outer`.
    """
    move, product, errors, outer = routines
    h, e, d, sums, gradient = buffers
    width = (n + LANES - 1) // LANES * LANES
    size = (m + 1) * width
    n_tiles, room = (batch_size + TILE - 1) // TILE, x.size // (n * STRIDE)
    for step in range(start, stop):
        for model in range(parameters.size // size):
            weights = address(parameters, model * size)
            for at in range(sums.size):
                sums[at] = 0
            for tile in range(n_tiles):
                n_samples = min(TILE, batch_size - tile * TILE)
                vectors = (n_samples + LANES - 1) // LANES
                x_at = tile % room * n * STRIDE
                if model == 0 or len(keys) > 1 or n_tiles > room:
                    draw_tile(keys[model if len(keys) > 1 else 0], step, tile, law, state, x, x_at)
                at_h, at_e, at_d, at_x = address(h, 0), address(e, 0), address(d, 0), address(x, x_at)
                invoke(product, at_h, STRIDE, weights, width, 1, at_x, STRIDE, n, m, vectors)
                invoke(product, at_e, STRIDE, weights, 1, width, at_h, STRIDE, m, n, vectors)
                invoke(
                    errors, n, int64(relu), address(parameters, model * size + m * width), address(importance, model * n),
                    n_samples, vectors * LANES, at_x, at_e, address(sums, m * n * LANES),
                )  # fmt: skip
                invoke(product, at_d, STRIDE, weights, width, 1, at_e, STRIDE, n, m, vectors)
                invoke(outer, address(sums, 0), at_h, at_d, at_e, at_x, m, n, STRIDE, vectors)
            for k in range(m + 1):
                for i in range(n):
                    gradient[k * width + i] = average * total(load(sums, (k * n + i) * LANES))
            invoke(
                move, address(scalars, step * N_SCALARS), address(gradient, 0), weights,
                address(first, model * size), address(second, model * size), size // LANES,
            )  # fmt: skip
