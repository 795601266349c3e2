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

from llvmlite import ir
from numba import float32, int64, types
from numba.core import cgutils
from numba.extending import intrinsic

from ._cell_sums import adder
from ._cells import draw_cells
from ._jit import jit
from ._optimizers import N_SCALARS, mover
from ._streams import draw_block
from ._vectors import (
    LANES,
    WORD,
    WORDS,
    address,
    at,
    call_ir,
    constant,
    fma,
    invoke,
    load,
    load_ir,
    routine,
    splat,
    splat_ir,
    store,
    store_ir,
    switch,
    total,
    variables,
    where_positive,
)

MAX_SUMS = 26  # accumulators that fit the registers beside the loop's temporaries


def _emit_samples(builder, n, k, relu, forms, sums, order, values, count, lane):
    """Emit the loops over the samples of a pattern with k active features, for all n outputs; lanes are samples."""
    number = count.type
    rows = [builder.mul(builder.load(at(builder, order, number(a))), number(n + 1)) for a in range(n)]
    columns = [builder.load(at(builder, order, number(a))) for a in range(k)] + [number(n)]

    def entry(array, a, c):
        return at(builder, array, builder.mul(builder.add(rows[a], columns[c]), number(LANES)))

    n_rounds = builder.ashr(builder.add(count, number(LANES - 1)), number(4))
    width = max(1, MAX_SUMS // (k + 1))
    for first in range(0, n, width):
        outputs = range(first, min(first + width, n))
        lines = [
            [splat_ir(builder, builder.load(at(builder, entry(forms, a, c), lane))) for c in range(k + 1)] for a in outputs
        ]
        places = [[entry(sums, a, c) for c in range(k + 1)] for a in outputs]
        totals = [variables(builder, [load_ir(builder, place) for place in row]) for row in places]
        with cgutils.for_range(builder, n_rounds) as loop:
            start = [builder.add(loop.index, builder.mul(n_rounds, number(a))) for a in range(k)]
            y = [load_ir(builder, at(builder, values, builder.mul(s, number(LANES)))) for s in start]
            left = builder.trunc(builder.sub(count, builder.mul(loop.index, number(LANES))), WORD)
            lanes = ir.Constant(WORDS, list(range(LANES)))
            inside = builder.icmp_signed("<", lanes, splat_ir(builder, left, WORDS))
            for a, line, total in zip(outputs, lines, totals, strict=True):
                error = line[k]
                for c in range(k):
                    error = call_ir(builder, "fma", line[c], y[c], error)
                passes = inside
                if relu:
                    active = builder.fcmp_ordered(">", error, y[a] if a < k else constant(0.0))
                    passes = builder.and_(active, inside)
                for c in range(k + 1):
                    old = builder.load(total[c])
                    new = builder.fadd(error, old) if c == k else call_ir(builder, "fma", error, y[c], old)
                    builder.store(builder.select(passes, new, old), total[c])
        for total, row in zip(totals, places, strict=True):
            for variable, place in zip(total, row, strict=True):
                store_ir(builder, builder.load(variable), place)


@intrinsic(prefer_literal=True)
def _accumulate(typing, n, relu, forms, sums, order, k, values, count, lane):
    def emit(context, builder, sig, args):
        n, relu = (kind.literal_value for kind in sig.args[:2])
        forms, sums, order, k, values, count, lane = args[2:]
        switch(
            builder, k, range(1, n + 1),
            lambda case: _emit_samples(builder, n, case, relu, forms, sums, order, values, count, lane),
        )  # fmt: skip
        return context.get_dummy_value()

    return types.void(n, relu, forms, sums, order, k, values, count, lane), emit


@cache
def accumulator(n, relu):
    """Return the routine that adds the samples of one pattern and one model to sums over samples, for n features.

    Its arguments are pointers to ``forms``, ``sums``, the features in ``order`` (the k active ones first) and values, each
    feature's padded to whole vectors, the number of samples and the lane of the model's forms. Lanes of the sums are samples.
    """

    def accumulate(forms, sums, order, k, values, count, lane):
        _accumulate(n, relu, forms, sums, order, k, values, count, lane)

    return routine(accumulate, *"ffinfnn")


@cache
def preparer(n, m):
    """Return the routine that writes the forms of sixteen models of n features and m dimensions.

    Row i of ``forms`` holds C_i0 … C_i,n−1, b_i, where C = I − G; the rows of G = WᵀW follow.
    """

    def prepare(parameters, forms):
        for i in range(n):
            for j in range(i, n):
                entry = load(parameters, i * LANES) * load(parameters, j * LANES)
                for k in range(1, m):
                    entry = fma(load(parameters, (k * n + i) * LANES), load(parameters, (k * n + j) * LANES), entry)
                store(forms, (n * (n + 1) + i * n + j) * LANES, entry)
                store(forms, (n * (n + 1) + j * n + i) * LANES, entry)
                entry = splat(float32(1.0 if i == j else 0.0)) - entry
                store(forms, (i * (n + 1) + j) * LANES, entry)
                store(forms, (j * (n + 1) + i) * LANES, entry)
            store(forms, (i * (n + 1) + n) * LANES, load(parameters, (m * n + i) * LANES))

    return routine(prepare, *"ff")


@cache
def starter(n):
    """Return the routine that starts the sums of sixteen models, or goes on with them if ``again``.

    Of the samples without an active feature, ``count`` in number, the errors are b, or its positive part.
    """

    def start(relu, again, forms, sums, count):
        if not again:
            for entry in range(0, n * (n + 1) * LANES, LANES):
                store(sums, entry, splat(float32(0.0)))
        weight = splat(float32(count))
        for i in range(n):
            row = (i * (n + 1) + n) * LANES
            bias = load(forms, row)
            store(sums, row, fma(weight, where_positive(bias, bias) if relu else bias, load(sums, row)))

    return routine(start, *"nnffn")


@cache
def differentiator(n, m):
    """Return the routine that turns the sums of sixteen models into gradients, in the layout of their parameters."""

    def differentiate(average, sums, importance, parameters, gradient):
        for i in range(n):  # T = I S + (I S)ᵀ, in place; S here is −Σ e y
            own = load(importance, i * LANES)
            for j in range(i, n):
                upper, lower = (i * (n + 1) + j) * LANES, (j * (n + 1) + i) * LANES
                both = fma(own, load(sums, upper), load(importance, j * LANES) * load(sums, lower))
                store(sums, upper, both)
                store(sums, lower, both)
            level = load(sums, (i * (n + 1) + n) * LANES)
            store(gradient, (m * n + i) * LANES, splat(average) * own * level)
        for k in range(m):
            for i in range(n):
                slope = splat(float32(0.0))
                for j in range(n):
                    weight = load(parameters, (k * n + j) * LANES)
                    slope = fma(weight, load(sums, (i * (n + 1) + j) * LANES), slope)
                store(gradient, (k * n + i) * LANES, splat(-average) * slope)

    return routine(differentiate, types.float32, *"ffff")


def routines(n, m, relu, independent):
    """Return the addresses that the kernels below take."""
    made = (mover(), preparer(n, m), starter(n), differentiator(n, m), accumulator(n, relu) if independent else adder())
    return tuple(one.address for one in made)


@jit
def train_shared(
    n, m, relu, adam, average, routines, parameters, first, second, importance, keys, start, stop, sizes, law, scalars,
    space, work,
):  # fmt: skip
    """Train vectors of sixteen models on one stream of minibatches, from step ``start`` to ``stop``.

    parameters, first, second: (n_vectors · rows · 16,) with rows = m n + n; importance: (n_vectors · n · 16,); keys: (1, 2);
    average: 2/(B n).
    """
    move, prepare, begin, differentiate, add = routines
    rows, row_sums = (m * n + n) * LANES, n * (n + 1) * LANES
    law, levels, geometry = law
    _, _, counts, values, moments, patterns, cells, _ = space
    forms, sums, _, gradient = work
    at_forms, at_gradient = address(forms, 0), address(gradient, 0)
    for step in range(start, stop):
        for block in range(sizes.size):
            n_present = draw_cells(keys[0], step, block, sizes, law, levels, geometry, space)
            for v in range(parameters.size // rows):
                at_parameters, at_sums = address(parameters, v * rows), address(sums, v * row_sums)
                invoke(prepare, at_parameters, at_forms)
                invoke(begin, int64(relu), block, at_forms, at_sums, counts[0])
                invoke(
                    add, n, int64(relu), n_present, address(patterns, 0), address(law[1], 0), at_forms, at_sums,
                    address(values, 0), address(moments, 0), address(geometry[1], 0), address(cells, 0),
                )  # fmt: skip
                if block == sizes.size - 1:
                    invoke(differentiate, average, at_sums, address(importance, v * n * LANES), at_parameters, at_gradient)
                    invoke(
                        move, int64(adam), address(scalars, step * N_SCALARS), at_gradient, at_parameters,
                        address(first, v * rows), address(second, v * rows), rows // LANES,
                    )  # fmt: skip


@jit
def train_independent(
    n, m, relu, adam, average, routines, parameters, first, second, importance, keys, start, stop, sizes, law, scalars,
    space, work,
):  # fmt: skip
    """Train vectors of sixteen models, each on its own stream: ``keys`` has shape (n_vectors · 16, 2)."""
    move, prepare, _, differentiate, accumulate = routines
    rows, row_sums = (m * n + n) * LANES, n * (n + 1) * LANES
    active, orders = law[0], law[1]
    values, counts, begin, present = space[2], space[3], space[4], space[5]
    forms, sums, partial, gradient = work
    at_forms, at_partial, at_gradient = address(forms, 0), address(partial, 0), address(gradient, 0)
    for step in range(start, stop):
        for v in range(parameters.size // rows):
            at_parameters = address(parameters, v * rows)
            invoke(prepare, at_parameters, at_forms)
            for lane in range(LANES):
                for entry in range(row_sums):
                    partial[entry] = 0
                n_empty = 0
                for block in range(sizes.size):
                    n_present = draw_block(keys[v * LANES + lane], step, block, sizes, law, space)
                    n_empty += counts[0]
                    for i in range(n_present):
                        pattern = present[i]
                        invoke(
                            accumulate, at_forms, at_partial, address(orders, pattern * n), active[pattern],
                            address(values, begin[i]), counts[pattern], lane,
                        )  # fmt: skip
                for row in range(0, row_sums, LANES):
                    sums[row + lane] = total(load(partial, row))
                for row in range(n * LANES + lane, row_sums, (n + 1) * LANES):
                    sums[row] += n_empty * (max(forms[row], float32(0.0)) if relu else forms[row])
            invoke(differentiate, average, address(sums, 0), address(importance, v * n * LANES), at_parameters, at_gradient)
            invoke(
                move, int64(adam), address(scalars, step * N_SCALARS), at_gradient, at_parameters,
                address(first, v * rows), address(second, v * rows), rows // LANES,
            )  # fmt: skip
