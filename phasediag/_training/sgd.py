"""Kernels that train many small models side by side, sixteen lanes at a time.

With G = WᵀW an output before the activation is o_i = Σ_j G_ij x_j + b_i, and a sample's error is
e_i = (o_i − x_i)[o_i > 0]. The gradient of the loss, averaged over batch and features, needs only the sums
S_ij = Σ e_i x_j and s_i = Σ e_i over the minibatch:

    ∂L/∂W = 2 W (I S + (I S)ᵀ) / (B n),    ∂L/∂b = 2 I s / (B n),

so that importances stay out of the inner loop and an inactive feature costs nothing there: samples are drawn pattern by
pattern, and all the samples with the same active features run through one unrolled loop. (Where o_i ≤ 0 the error is
−x_i, but the activation passes no gradient.) The loop works on y = −x and C = I − G, because then e_i = Σ_j C_ij y_j + b_i
is active where e_i > y_i, without a subtraction.
"""

from functools import cache

from numba import float32

from .._compiling.jit import integers
from .._compiling.structures import layout
from .._compiling.vectors import (
    FLOAT,
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
    total,
)
from .optimizers import STEP, emit_move, emit_scalars
from .outputs import LEAKY, LINEAR, RELU, emit_leaky
from .pattern_law import block_at, law_at

# A chunk of models, its routines and its arrays, as the kernels below read them: average is 2/(B n); parameters, first and second
# have shape (n_vectors, (m + 1) n, 16), importance (n_vectors, n, 16), penalties (n_vectors, 2, 16), slopes (n_vectors, 16), keys
# (1, 2) or (16 n_vectors, 2), scalars (n_steps, 7), sums (for each vector if models share samples) and partial (n, n + 1, 16),
# and forms as well, with one row more for the slopes of leaky outputs.
MODELS, models_at = layout(
    "n m activation n_vectors block draw begin accumulate add finish parameters first second importance penalties slopes keys"
    " scalars corners forms sums partial",
    "average",
)


def _rows(b, array, count):
    """Emit the loads of ``count`` vectors."""
    return [b.row(array, i * LANES) for i in range(count)]


@emitted(known=3)
def _begin(b, n, m, activation, n_empty, again, parameters, slopes, forms, sums):
    """Emit what `beginner` returns, unrolled."""
    parameters = _rows(b, parameters, (m + 1) * n)
    places = [b.at(sums, entry * LANES) for entry in range(n * (n + 1))]
    with b.if_then(b.icmp_signed("==", again, LONG(0))):
        for place in places:
            b.put(constant(0.0), place)
    if activation == LEAKY:
        slope = b.row(slopes)
        b.put(slope, forms, n * (n + 1) * LANES)
    weight = b.splat(b.sitofp(n_empty, FLOAT))
    for i in range(n):
        for j in range(i, n):
            entry = constant(1.0 if i == j else 0.0)
            for k in range(m):
                entry = b.fma(b.fneg(parameters[k * n + i]), parameters[k * n + j], entry)
            for row, column in {(i, j), (j, i)}:
                b.put(entry, forms, (row * (n + 1) + column) * LANES)
        level = parameters[m * n + i]
        b.put(level, forms, (i * (n + 1) + n) * LANES)
        if activation == RELU:
            level = b.where(level, ">", constant(0.0))
        elif activation == LEAKY:
            level = emit_leaky(b, slope, level)
        place = places[i * (n + 1) + n]
        b.put(b.fma(weight, level, b.row(place)), place)


@cache
def beginner(n, m, activation):
    """Return the routine that begins the step of sixteen models of n features and m dimensions.

    It writes their ``forms``, row by row C_i0 … C_i,n−1, b_i with C = I − WᵀW, and starts their sums, or goes on with them if
    ``again``: the errors of the ``n_empty`` samples without an active feature are b, or what the activation passes of it.
    """

    def begin(n_empty, again, parameters, slopes, forms, sums):
        """As `_begin`, of one shape and activation."""
        _begin(n, m, activation, n_empty, again, parameters, slopes, forms, sums)

    return routine("nnffff")(begin)


@emitted(known=5)
def _finish(b, n, m, moving, adam, penalised, average, sums, importance, penalties, forms, scalars, parameters, first, second):
    """Emit what `finisher` returns, unrolled."""
    arrays = parameters, first, second
    sums, importance, parameters = (_rows(b, *x) for x in ((sums, n * (n + 1)), (importance, n), (parameters, (m + 1) * n)))
    scalars, average = emit_scalars(b, scalars), b.splat(average)
    weighted = [[b.fmul(importance[i], sums[i * (n + 1) + j]) for j in range(n + 1)] for i in range(n)]
    both = [[b.fadd(weighted[i][j], weighted[j][i]) for j in range(n)] for i in range(n)]
    if penalised:  # C_ij = −W_i·W_j beside the diagonal
        by_weights, by_interference = _rows(b, penalties, 2)
        for i in range(n):
            both[i][i] = b.fsub(both[i][i], by_weights)
            for j in set(range(n)) - {i}:
                both[i][j] = b.fma(by_interference, b.row(forms, (i * (n + 1) + j) * LANES), both[i][j])
    for k in range(moving):
        for i in range(n):
            slope = weighted[i][n]
            if k < m:  # the sums are those of e y, so that their sign is that of a descent
                slope = b.fneg(b.fmul(parameters[k * n], both[i][0]))
                for j in range(1, n):
                    slope = b.fma(b.fneg(parameters[k * n + j]), both[i][j], slope)
            places = [b.at(array, (k * n + i) * LANES) for array in arrays]
            emit_move(b, adam, scalars, b.fmul(average, slope), *places)


@cache
def finisher(n, m, moving, adam, penalised):
    """Return the routine that turns the sums of sixteen models into gradients and moves their parameters along them.

    Of the m rows of weights and that of biases the first ``moving`` ones move. Of a penalty γ Σ‖W_i‖² + λ Σ_{i≠j}(W_i·W_j)² it
    takes B γ and 2 B λ, and the ``forms``.
    """

    def finish(average, sums, importance, penalties, forms, scalars, parameters, first, second):
        """As `_finish`, of one shape, optimizer and penalty."""
        _finish(n, m, moving, adam, penalised, average, sums, importance, penalties, forms, scalars, parameters, first, second)

    return routine("sffffffff")(finish)


@routine("nnn")
def train_shared(models, start, stop):
    """Train the `MODELS` at an address on one stream of minibatches, from step ``start`` to ``stop``."""
    models = models_at(models)
    block = block_at(models.block)
    law = law_at(block.law)
    n_active, counts, few = integers(law.n_active), integers(block.counts), integers(block.few)
    n, rows = models.n, (models.m + 1) * models.n * VECTOR
    for step in range(start, stop):
        for part in range(block.n_blocks):
            invoke(models.draw, models.block, models.keys, step, part)
            for v in range(models.n_vectors):
                parameters, sums = models.parameters + v * rows, models.sums + v * n * (n + 1) * VECTOR
                invoke(models.begin, counts[0], part, parameters, models.slopes + v * VECTOR, models.forms, sums)
                values = block.values
                for i in range(block.n_few):
                    pattern = few[i]
                    k, count = n_active[pattern], counts[pattern]
                    invoke(models.accumulate, models.forms, sums, law.order + pattern * n * 8, k, values, count, 0)
                    values += k * count * NUMBER
                if block.n_sorted:
                    invoke(
                        models.add, block.n_sorted, block.patterns, law.order, models.forms, sums, block.values,
                        block.moments, models.corners, block.cells,
                    )  # fmt: skip
                if part == block.n_blocks - 1:
                    invoke(
                        models.finish, models.average, sums, models.importance + v * n * VECTOR,
                        models.penalties + v * 2 * VECTOR, models.forms, models.scalars + step * STEP, parameters,
                        models.first + v * rows, models.second + v * rows,
                    )  # fmt: skip


@routine("nnn")
def train_independent(models, start, stop):
    """Train the `MODELS` at an address, each on its own stream, from step ``start`` to ``stop``.

    The samples of one model after another are added up, lanes being samples; then sixteen models move at once.
    """
    models = models_at(models)
    block = block_at(models.block)
    law = law_at(block.law)
    n_active, counts = integers(law.n_active), integers(block.counts)
    few, begin = integers(block.few), integers(block.begin)
    forms, sums, partial = floats(models.forms), floats(models.sums), floats(models.partial)
    n, rows = models.n, (models.m + 1) * models.n * VECTOR
    entries = n * (n + 1) * LANES
    for step in range(start, stop):
        for v in range(models.n_vectors):
            parameters = models.parameters + v * rows
            invoke(models.begin, 0, 0, parameters, models.slopes + v * VECTOR, models.forms, models.sums)
            for lane in range(LANES):
                clear(partial, entries)
                n_empty = 0
                for part in range(block.n_blocks):
                    invoke(models.draw, models.block, models.keys + (v * LANES + lane) * 16, step, part)
                    n_empty += counts[0]
                    for i in range(block.n_few):
                        pattern = few[i]
                        invoke(
                            models.accumulate, models.forms, models.partial, law.order + pattern * n * 8,
                            n_active[pattern], block.values + begin[i] * NUMBER, counts[pattern], lane,
                        )  # fmt: skip
                for row in range(0, entries, LANES):
                    sums[row + lane] = total(load(partial, row))
                for row in range(n * LANES + lane, entries, (n + 1) * LANES):
                    level = forms[row]
                    if models.activation != LINEAR and level <= 0:
                        level *= forms[entries + lane] ** 2 if models.activation == LEAKY else float32(0.0)
                    sums[row] += n_empty * level
            invoke(
                models.finish, models.average, models.sums, models.importance + v * n * VECTOR,
                models.penalties + v * 2 * VECTOR, models.forms, models.scalars + step * STEP, parameters,
                models.first + v * rows, models.second + v * rows,
            )  # fmt: skip
