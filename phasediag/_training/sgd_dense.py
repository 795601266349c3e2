"""Kernels that train one larger model at a time on dense minibatches, lanes being samples.

For many features the n² products of the Gram matrix cost more than the model's own two layers. With hidden values
H = W X, errors E = I (WᵀH + b − X)[active] and their projection D = W E, all with one column per sample,

    ∂L/∂W = 2 (H Eᵀ + D Xᵀ) / (B n),    ∂L/∂b = 2 E 1 / (B n),

five products of m n multiplications per sample. Samples are taken tile by tile, each matrix row by row, and the products
in blocks that stay in registers.
"""

from numba import float32

from .._compiling.jit import integers, offset
from .._compiling.structures import layout
from .._compiling.vectors import (
    LANES,
    LONG,
    NUMBER,
    VECTOR,
    clear,
    constant,
    emitted,
    floats,
    invoke,
    load,
    routine,
    scale,
    total,
    words,
)
from .optimizers import STEP
from .outputs import ACTIVATIONS, LEAKY, LINEAR, RELU
from .streams import VALUES, fill_features, fill_gated, fill_words, seed_state

TILE = 512  # samples of a tile
OUTPUTS = 4  # whose errors are summed together
STRIDE = TILE + LANES  # of its rows: not a power of two, so that a column's entries do not compete for one cache set
MOMENTS = (
    "gather mirror face add_exceptions sum_up find add_rows transpose symmetrise rows moments means part linear excess passing"
    " passes sides by_output by_value level facing counts index every ones"
)
# A chunk of models, its routines and its arrays, as the kernels below read them. average is 2/(B n); parameters, first and
# second have shape (n_models, m + 1, width), rows of weights and one of biases, padded by zeros to whole vectors, of which the
# first ``moving`` rows move; importance
# (n_models, n); keys (1, 2) with key_step 0, or (n_models, 2) with the bytes of one; scalars (n_steps, 7); most and scale (n,):
# up to which random word a feature is active, and its value for one. For other laws gates (n,): whose words decide of a feature,
# which is active from ``least`` to ``most``, and what `VALUES` names; words (n, STRIDE). penalties (n_models, 2), square (m, m);
# slopes (n_models,). x holds ``room`` tiles (n, STRIDE), of which ``at_once`` samples are taken together; h and d (m, STRIDE)
# hidden values and projected errors, e (n, STRIDE) errors; sums ((m + 1) n, 16); gradient (m + 1, width). What `sgd_moments` adds
# is said there.
MODELS, models_at = layout(
    "n m moving activation width n_models batch_size room at_once key_step draw product errors outer penalise move parameters"
    f" first second importance penalties slopes keys scalars gates least most scale state words {VALUES} x h e d sums gradient"
    f" square {MOMENTS}",
    "average",
)


@routine("nnnnn")
def draw_tile(models, key, step, tile, x):
    """Draw a tile of a minibatch at the address ``x``, float32 (n, STRIDE): features by samples."""
    models = models_at(models)
    most, scale, state = words(models.most), floats(models.scale), words(models.state)
    seed_state(integers(key), step, tile, state)
    if models.gates == 0:
        for j in range(models.n):
            fill_features(state, floats(x + j * STRIDE * NUMBER), TILE // LANES, most[j], scale[j])
        return
    gates, least, row = integers(models.gates), words(models.least), STRIDE * NUMBER
    limits, lows, widths = words(models.piece_limits), floats(models.piece_lows), floats(models.piece_widths)
    for j in range(models.n):
        if gates[j] == j:
            fill_words(state, words(models.words + j * row), TILE // LANES)
    for j in range(models.n):
        gate = words(models.words + gates[j] * row)
        fill_gated(
            state, gate, least[j], most[j], floats(x + j * row), TILE // LANES, models.n_pieces, limits, lows, widths
        )  # fmt: skip


@emitted()
def _subtract(b, n_rows, activation, slope, bias, importance, n_vectors, x, e, sums):
    """Emit what `subtract` does to whole vectors of samples of a few outputs, whose sums do not wait for each other."""

    def block(case):
        """Emit the loop over samples for a number of outputs and an activation."""
        size, kind = divmod(case, len(ACTIVATIONS))
        levels, weights = ([b.spread(array, r) for r in range(size)] for array in (bias, importance))
        leaks = [b.fmul(weight, b.splat(slope)) for weight in weights] if kind == LEAKY else []
        with b.held([b.at(sums, r * LANES) for r in range(size)]) as (totals,), b.range(n_vectors) as v:
            for r, total_ in enumerate(totals):
                place = b.add(b.mul(v, LONG(LANES)), LONG(r * STRIDE))
                value, output = b.row(x, place), b.fadd(b.row(e, place), levels[r])
                error = b.fmul(weights[r], b.fsub(output, value))
                if kind != LINEAR:
                    error = b.where(output, ">", constant(0.0), error, constant(0.0))
                if kind == LEAKY:
                    leak = b.fmul(leaks[r], b.fsub(b.fmul(b.splat(slope), output), value))
                    error = b.fadd(error, b.fsub(leak, b.where(output, ">", constant(0.0), leak, constant(0.0))))
                b.put(error, e, place)
                b.store(b.fadd(b.load(total_), error), total_)

    cases = [size * len(ACTIVATIONS) + kind for size in range(1, OUTPUTS + 1) for kind in ACTIVATIONS]
    b.choose(b.add(b.mul(n_rows, LONG(len(ACTIVATIONS))), activation), cases, block)


@routine("nnsffnnfff")
def subtract(n, activation, slope, bias, importance, n_samples, n_padded, x, e, sums):
    """Turn the outputs in ``e`` (n, STRIDE), bias not yet added, into weighted errors, and add them to ``sums`` (n, 16).

    Errors are what the activation passes back; ``slope`` is that of leaky outputs.
    """
    whole, blocks = n_samples // LANES * LANES, (n + OUTPUTS - 1) // OUTPUTS
    for block in range(blocks):
        i, stop = block * n // blocks, (block + 1) * n // blocks
        _subtract(
            stop - i, activation, slope, offset(bias, i), offset(importance, i), whole // LANES, offset(x, i * STRIDE),
            offset(e, i * STRIDE), offset(sums, i * LANES),
        )  # fmt: skip
    for i in range(n if whole < n_padded else 0):
        b, weight, own = bias[i], importance[i], i * LANES
        for at in range(i * STRIDE + whole, i * STRIDE + n_padded):
            single = e[at] + b
            passes = at < i * STRIDE + n_samples and (single > 0 or activation != RELU)
            factor = slope if activation == LEAKY and single <= 0 else float32(1.0)
            e[at] = weight * factor * (factor * single - x[at]) if passes else float32(0.0)
            sums[own] += e[at]


@routine("nnnffff")
def add_penalty(n, m, width, penalty, weights, square, gradient):
    """Add to ``gradient`` (m, width) that of a penalty: its two numbers times W and Σ_{j≠i} (W_i·W_j) W_j.

    ``weights`` (m, width); ``square`` (m, m) gets W Wᵀ.
    """
    for k in range(m):
        for j in range(m):
            entry = float32(0.0)
            for i in range(n):
                entry += weights[k * width + i] * weights[j * width + i]
            square[k * m + j] = entry
    for i in range(n):
        norm = float32(0.0)
        for k in range(m):
            norm += weights[k * width + i] ** 2
        for k in range(m):
            product = float32(0.0)
            for j in range(m):
                product += square[k * m + j] * weights[j * width + i]
            own = weights[k * width + i]
            gradient[k * width + i] += penalty[0] * own + penalty[1] * (product - norm * own)


@routine("nnn")
def train_dense(place, start, stop):
    """Train the `MODELS` at an address from step ``start`` to ``stop``."""
    models = models_at(place)
    n, m, width, batch_size = models.n, models.m, models.width, models.batch_size
    sums, gradient, slopes = floats(models.sums), floats(models.gradient), floats(models.slopes)
    rows = (m + 1) * width * NUMBER
    h, e, d = models.h, models.e, models.d
    n_tiles = (batch_size + TILE - 1) // TILE
    for step in range(start, stop):
        for model in range(models.n_models):
            weights = models.parameters + model * rows
            clear(sums, (m + 1) * n * LANES)
            for tile in range(n_tiles):
                n_samples = min(TILE, batch_size - tile * TILE)
                x = models.x + tile % models.room * n * STRIDE * NUMBER
                if model == 0 or models.key_step or n_tiles > models.room:
                    invoke(models.draw, place, models.keys + model * models.key_step, step, tile, x)
                for first in range(0, n_samples, models.at_once):
                    some, own_x = min(models.at_once, n_samples - first), x + first * NUMBER
                    vectors = (some + LANES - 1) // LANES
                    invoke(models.product, h, STRIDE, weights, width, 1, own_x, STRIDE, n, m, vectors)
                    invoke(models.product, e, STRIDE, weights, 1, width, h, STRIDE, m, n, vectors)
                    invoke(
                        models.errors, n, models.activation, slopes[model], weights + m * width * NUMBER,
                        models.importance + model * n * NUMBER, some, vectors * LANES, own_x, e, models.sums + m * n * VECTOR,
                    )  # fmt: skip
                    invoke(models.product, d, STRIDE, weights, width, 1, e, STRIDE, n, m, vectors)
                    invoke(models.outer, models.sums, h, d, e, own_x, m, n, STRIDE, vectors)
            for k in range(m + 1):
                for i in range(n):
                    gradient[k * width + i] = total(load(sums, (k * n + i) * LANES))
            if models.penalise:
                own = models.penalties + model * 2 * NUMBER
                invoke(models.penalise, n, m, width, own, weights, models.square, models.gradient)
            scale(gradient, (m + 1) * width, models.average)
            invoke(
                models.move, models.scalars + step * STEP, models.gradient, weights, models.first + model * rows,
                models.second + model * rows, models.moving * width // LANES,
            )  # fmt: skip
