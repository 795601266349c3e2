"""Kernels that train one larger model at a time on dense minibatches whose second moments they know.

An output of many features is positive on nearly all samples or on few. Where it is positive throughout, errors are linear in the
samples, e_i = I_i (W_i·W x + b_i − x_i), and with M = Σ x xᵀ and μ = Σ x the sums over the minibatch are

    S_ij = Σ e_i x_j = I_i ((WᵀW M)_ij + b_i μ_j − M_ij),    s_i = Σ e_i = I_i ((WᵀW μ)_i + B b_i − μ_i),

without a look at any sample; where it is negative throughout they vanish, or are a leaky output's. An output counts as passing or
not by the sign of its mean. The samples that lie on the other side are found from all outputs, which takes two products of m n
multiplications a sample, and add f x, with f the error that they have less the one that was counted. Then

    ∂L/∂W = 2 W (S + Sᵀ) / (B n),    ∂L/∂b = 2 s / (B n).

M belongs to the minibatch: models that share one share M.
"""

from numba import float32

from .._compiling.jit import integers
from .._compiling.vectors import LANES, NUMBER, clear, floats, fma, invoke, load, routine, scale, splat, store, total
from .optimizers import STEP
from .outputs import LEAKY, LINEAR
from .sgd_dense import STRIDE, TILE, models_at

# Of the `sgd_dense.MODELS` these have a use of their own here: rows (room, TILE, width) holds samples as rows; moments
# (width, width) M and means (width,) μ; part (width, width) the M of one tile, then S; linear (m, width) W M; excess (n, width)
# and sums (n, 16) what exceptions add to S and s; passes (width,) the factor of an output in its errors; sides (width,) 1 where
# an output is ``passing`` (n,), else −1, by_output and by_value (width,) factors of output, times side, and value in f; level
# (width,) B times the means of outputs; facing (m + 1, width) W and b times sides; index and e (n, STRIDE) and counts (n,) list
# exceptions and their f; every and ones (TILE,) all samples with factors 1.


@routine("nnnn")
def gather(place, key, step, tile):
    """Draw a tile of a minibatch for the `MODELS` at an address, in columns and in rows; add its moments, the first one anew."""
    models = models_at(place)
    n, width, own = models.n, models.width, tile % models.room
    n_samples = min(TILE, models.batch_size - tile * TILE)
    x, rows = models.x + own * width * STRIDE * NUMBER, models.rows + own * width * TILE * NUMBER
    invoke(models.draw, place, key, step, tile, x)
    invoke(models.transpose, x, STRIDE, rows, width, width, TILE)
    moments, means, part = floats(models.moments), floats(models.means), floats(models.part)
    if tile == 0:
        clear(means, width)
        clear(moments, width * width)
    invoke(models.add_rows, models.means, rows, width, models.every, models.ones, n_samples)
    for i in range(0, n, LANES):  # M is symmetric: whole vectors from the diagonal on
        invoke(
            models.product, models.part + i * (width + 1) * NUMBER, width, rows + i * NUMBER, 1, width, rows + i * NUMBER, width,
            n_samples, min(LANES, n - i), (width - i) // LANES,
        )  # fmt: skip
        for row in range(i, min(i + LANES, n)):
            for entry in range(row * width + i, (row + 1) * width, LANES):
                store(moments, entry, load(moments, entry) + load(part, entry))


@routine("n")
def mirror(place):
    """Complete the moments of a minibatch: those below the diagonal are those above it."""
    models = models_at(place)
    width, moments = models.width, floats(models.moments)
    for i in range(width):
        for j in range(i):
            moments[i * width + j] = moments[j * width + i]


@routine("nnfs")
def face(place, weights, importance, slope):
    """Tell which outputs of the model with ``weights`` (m + 1, width) pass, and what follows from that."""
    models = models_at(place)
    m, width, weights = models.m, models.width, floats(weights)
    means, level, facing, passing = floats(models.means), floats(models.level), floats(models.facing), integers(models.passing)
    passes, by_output, by_value = floats(models.passes), floats(models.by_output), floats(models.by_value)
    sides = floats(models.sides)
    size = splat(float32(models.batch_size))
    for q in range(0, width, LANES):
        store(level, q, size * load(weights, m * width + q))
    for k in range(m):
        hidden = splat(float32(0.0))
        for q in range(k * width, (k + 1) * width, LANES):
            hidden = fma(load(weights, q), load(means, q - k * width), hidden)
        value = splat(total(hidden))
        for q in range(0, width, LANES):
            store(level, q, fma(value, load(weights, k * width + q), load(level, q)))
    low = slope if models.activation == LEAKY else float32(0.0)
    for i in range(models.n):
        passing[i] = level[i] > 0 or models.activation == LINEAR
        own, other = (float32(1.0), low) if passing[i] else (low, float32(1.0))
        side = float32(1.0) if passing[i] else float32(-1.0)
        passes[i] = own
        by_output[i] = side * importance[i] * (other * other - own * own)
        by_value[i] = importance[i] * (own - other)
        sides[i] = side
    for k in range(m + 1):
        for q in range(0, width, LANES):
            store(facing, k * width + q, load(sides, q) * load(weights, k * width + q))


@routine("nnnnn")
def add_exceptions(place, weights, x, rows, n_samples):
    """Find the exceptions of samples, in columns at ``x`` and in rows; add them to ``excess`` and to ``sums``."""
    models = models_at(place)
    n, width, counts = models.n, models.width, integers(models.counts)
    vectors = (n_samples + LANES - 1) // LANES
    invoke(models.product, models.h, STRIDE, weights, width, 1, x, STRIDE, n, models.m, vectors)
    invoke(
        models.find, models.facing, width, models.m, n, models.h, STRIDE, models.passing, models.by_output, models.by_value, x,
        models.e, models.index, models.sums, models.counts, n_samples,
    )  # fmt: skip
    for i in range(n):
        if counts[i]:
            own, line = models.excess + i * width * NUMBER, i * STRIDE * NUMBER
            invoke(models.add_rows, own, rows, width, models.index + line, models.e + line, counts[i])


@routine("nnf")
def sum_up(place, weights, importance):
    """Write the gradient, but for penalty and average, of the model with ``weights`` (m + 1, width)."""
    models = models_at(place)
    n, m, width = models.n, models.m, models.width
    moments, means, part, excess = floats(models.moments), floats(models.means), floats(models.part), floats(models.excess)
    passes, level, sums = floats(models.passes), floats(models.level), floats(models.sums)
    bias = floats(weights + m * width * NUMBER)
    gradient = floats(models.gradient)
    invoke(models.product, models.linear, width, weights, width, 1, models.moments, width, n, m, width // LANES)
    invoke(models.product, models.part, width, weights, 1, width, models.linear, width, m, n, width // LANES)
    for i in range(n):
        own, both = splat(passes[i]), splat(importance[i] * passes[i])
        shift, row = splat(bias[i]), i * width
        for q in range(0, width, LANES):
            error = own * fma(shift, load(means, q), load(part, row + q)) - load(moments, row + q)
            store(part, row + q, fma(both, error, load(excess, row + q)))
        gradient[m * width + i] = importance[i] * passes[i] * (passes[i] * level[i] - means[i]) + total(load(sums, i * LANES))
    invoke(models.symmetrise, models.part, width)
    invoke(models.product, models.gradient, width, weights, width, 1, models.part, width, n, m, width // LANES)


@routine("nnn")
def train_by_moments(place, start, stop):
    """Train the `MODELS` at an address from step ``start`` to ``stop``."""
    models = models_at(place)
    n, m, width, batch_size = models.n, models.m, models.width, models.batch_size
    sums, excess, gradient, slopes = floats(models.sums), floats(models.excess), floats(models.gradient), floats(models.slopes)
    parameters = (m + 1) * width * NUMBER
    n_tiles = (batch_size + TILE - 1) // TILE
    for step in range(start, stop):
        for model in range(models.n_models):
            weights, importance = models.parameters + model * parameters, models.importance + model * n * NUMBER
            key = models.keys + model * models.key_step
            if model == 0 or models.key_step:
                for tile in range(n_tiles):
                    invoke(models.gather, place, key, step, tile)
                invoke(models.mirror, place)
            invoke(models.face, place, weights, importance, slopes[model])
            clear(sums, n * LANES)
            clear(excess, n * width)
            for tile in range(n_tiles if models.activation != LINEAR else 0):
                n_samples = min(TILE, batch_size - tile * TILE)
                x = models.x + tile % models.room * width * STRIDE * NUMBER
                rows = models.rows + tile % models.room * width * TILE * NUMBER
                if n_tiles > models.room:
                    invoke(models.draw, place, key, step, tile, x)
                    invoke(models.transpose, x, STRIDE, rows, width, width, TILE)
                invoke(models.add_exceptions, place, weights, x, rows, n_samples)
            invoke(models.sum_up, place, weights, importance)
            if models.penalise:
                own = models.penalties + model * 2 * NUMBER
                invoke(models.penalise, n, m, width, own, weights, models.square, models.gradient)
            scale(gradient, (m + 1) * width, models.average)
            invoke(
                models.move, models.scalars + step * STEP, models.gradient, weights, models.first + model * parameters,
                models.second + model * parameters, models.moving * width // LANES,
            )  # fmt: skip
