"""Kernels that train one larger model at a time on dense minibatches, lanes being samples.

For many features the n² products of the Gram matrix cost more than the model's own two layers. With hidden values
H = W X, errors E = I (WᵀH + b − X)[active] and their projection D = W E, all with one column per sample,

    ∂L/∂W = 2 (H Eᵀ + D Xᵀ) / (B n),    ∂L/∂b = 2 E 1 / (B n),

five products of m n multiplications per sample. Samples are taken tile by tile, each matrix row by row, and the products
in blocks that stay in registers.
"""

from numba import float32

from .._compiling.jit import integers
from .._compiling.structures import layout
from .._compiling.vectors import (
    LANES,
    NUMBER,
    VECTOR,
    floats,
    invoke,
    load,
    routine,
    splat,
    store,
    total,
    where_positive,
    words,
)
from .optimizers import STEP
from .streams import fill_features, seed_state

TILE = 512  # samples of a tile
STRIDE = TILE + LANES  # of its rows: not a power of two, so that a column's entries do not compete for one cache set
# A chunk of models, its routines and its arrays, as the kernels below read them. average is 2/(B n); parameters, first and
# second have shape (n_models, m + 1, width), rows of weights and one of biases, padded by zeros to whole vectors; importance
# (n_models, n); keys (1, 2) with key_step 0, or (n_models, 2) with the bytes of one; scalars (n_steps, 7); most and scale (n,):
# up to which random word a feature is active, and its value for one. x holds ``room`` tiles (n, STRIDE); h and d (m, STRIDE)
# hidden values and projected errors, e (n, STRIDE) errors; sums ((m + 1) n, 16); gradient (m + 1, width).
MODELS, models_at = layout(
    "n m relu width n_models batch_size room key_step draw product errors outer move parameters first second importance keys"
    " scalars most scale state x h e d sums gradient",
    "average",
)


@routine("nnnnn")
def draw_tile(models, key, step, tile, x):
    """Draw a tile of a minibatch at the address ``x``, float32 (n, STRIDE): features by samples."""
    models = models_at(models)
    most, scale, state = words(models.most), floats(models.scale), words(models.state)
    seed_state(integers(key), step, tile, state)
    for j in range(models.n):
        fill_features(state, floats(x + j * STRIDE * NUMBER), TILE // LANES, most[j], scale[j])


@routine("nnffnnfff")
def subtract(n, relu, bias, importance, n_samples, n_padded, x, e, sums):
    """Turn the outputs in ``e`` (n, STRIDE), bias not yet added, into weighted errors, and add them to ``sums`` (n, 16)."""
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
            single = e[at] + b
            passes = at < i * STRIDE + n_samples and (single > 0 or not relu)
            e[at] = weight * (single - x[at]) if passes else float32(0.0)
            sums[own] += e[at]


@routine("nnn")
def train_dense(place, start, stop):
    """Train the `MODELS` at an address from step ``start`` to ``stop``."""
    models = models_at(place)
    n, m, width, batch_size = models.n, models.m, models.width, models.batch_size
    sums, gradient = floats(models.sums), floats(models.gradient)
    rows = (m + 1) * width * NUMBER
    h, e, d = models.h, models.e, models.d
    n_tiles = (batch_size + TILE - 1) // TILE
    for step in range(start, stop):
        for model in range(models.n_models):
            weights = models.parameters + model * rows
            for entry in range((m + 1) * n * LANES):
                sums[entry] = 0
            for tile in range(n_tiles):
                n_samples = min(TILE, batch_size - tile * TILE)
                vectors = (n_samples + LANES - 1) // LANES
                x = models.x + tile % models.room * n * STRIDE * NUMBER
                if model == 0 or models.key_step or n_tiles > models.room:
                    invoke(models.draw, place, models.keys + model * models.key_step, step, tile, x)
                invoke(models.product, h, STRIDE, weights, width, 1, x, STRIDE, n, m, vectors)
                invoke(models.product, e, STRIDE, weights, 1, width, h, STRIDE, m, n, vectors)
                invoke(
                    models.errors, n, models.relu, weights + m * width * NUMBER, models.importance + model * n * NUMBER,
                    n_samples, vectors * LANES, x, e, models.sums + m * n * VECTOR,
                )  # fmt: skip
                invoke(models.product, d, STRIDE, weights, width, 1, e, STRIDE, n, m, vectors)
                invoke(models.outer, models.sums, h, d, e, x, m, n, STRIDE, vectors)
            for k in range(m + 1):
                for i in range(n):
                    gradient[k * width + i] = models.average * total(load(sums, (k * n + i) * LANES))
            invoke(
                models.move, models.scalars + step * STEP, models.gradient, weights, models.first + model * rows,
                models.second + model * rows, rows // VECTOR,
            )  # fmt: skip
