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
from numba import cfunc, float32, types
from numba.core import cgutils
from numba.extending import intrinsic

from ._jit import jit
from ._optimizers import move
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


def _emit_samples(builder, n, k, relu, by_sample, forms, sums, order, values, count, lane):
    """Emit the loops over the samples of a pattern with k active features, for all n outputs."""
    number = count.type
    rows = [builder.mul(builder.load(at(builder, order, number(a))), number(n + 1)) for a in range(n)]
    columns = [builder.load(at(builder, order, number(a))) for a in range(k)] + [number(n)]

    def entry(array, a, c):
        return at(builder, array, builder.mul(builder.add(rows[a], columns[c]), number(LANES)))

    def coefficient(a, c):
        if by_sample:
            return splat_ir(builder, builder.load(at(builder, entry(forms, a, c), lane)))
        return load_ir(builder, entry(forms, a, c))

    n_rounds = builder.ashr(builder.add(count, number(LANES - 1)), number(4)) if by_sample else count
    width = max(1, MAX_SUMS // (k + 1))
    for first in range(0, n, width):
        outputs = range(first, min(first + width, n))
        lines = [[coefficient(a, c) for c in range(k + 1)] for a in outputs]
        places = [[entry(sums, a, c) for c in range(k + 1)] for a in outputs]
        totals = [variables(builder, [load_ir(builder, place) for place in row]) for row in places]
        with cgutils.for_range(builder, n_rounds) as loop:
            if by_sample:  # values[feature][sample], each feature padded to whole vectors
                start = [builder.add(loop.index, builder.mul(n_rounds, number(a))) for a in range(k)]
                y = [load_ir(builder, at(builder, values, builder.mul(s, number(LANES)))) for s in start]
                left = builder.trunc(builder.sub(count, builder.mul(loop.index, number(LANES))), WORD)
                lanes = ir.Constant(WORDS, list(range(LANES)))
                inside = builder.icmp_signed("<", lanes, splat_ir(builder, left, WORDS))
            else:  # values[sample][feature]
                start = builder.mul(loop.index, number(k))
                y = [splat_ir(builder, builder.load(at(builder, values, start, number(a)))) for a in range(k)]
                inside = None
            for a, line, total in zip(outputs, lines, totals, strict=True):
                error = line[k]
                for c in range(k):
                    error = call_ir(builder, "fma", line[c], y[c], error)
                passes = inside
                if relu:
                    passes = builder.fcmp_ordered(">", error, y[a] if a < k else constant(0.0))
                    passes = passes if inside is None else builder.and_(passes, inside)
                for c in range(k + 1):
                    old = builder.load(total[c])
                    new = builder.fadd(error, old) if c == k else call_ir(builder, "fma", error, y[c], old)
                    builder.store(new if passes is None else builder.select(passes, new, old), total[c])
        for total, row in zip(totals, places, strict=True):
            for variable, place in zip(total, row, strict=True):
                store_ir(builder, builder.load(variable), place)


@intrinsic(prefer_literal=True)
def _accumulate(typing, n, relu, by_sample, forms, sums, order, k, values, count, lane):
    def emit(context, builder, sig, args):
        constants = [kind.literal_value for kind in sig.args[:3]]
        forms, sums, order, k, values, count, lane = args[3:]
        switch(
            builder, k, range(1, constants[0] + 1),
            lambda case: _emit_samples(
                builder, constants[0], case, *constants[1:], forms, sums, order, values, count, lane
            ),
        )  # fmt: skip
        return context.get_dummy_value()

    return types.void(n, relu, by_sample, forms, sums, order, k, values, count, lane), emit


@cache
def accumulator(n, relu, by_sample):
    """Return the compiled routine that adds the samples of one pattern to the sums of sixteen lanes, for n features.

    Its arguments are pointers to ``forms``, ``sums``, the features in ``order`` (the k active ones first) and values, the
    number of samples and a lane. Lanes are models that share the samples; or, ``by_sample``, lanes are samples, the forms
    are those of the one model ``lane`` and the sums still to be added over lanes.
    """

    def accumulate(forms, sums, order, k, values, count, lane):
        _accumulate(n, relu, by_sample, forms, sums, order, k, values, count, lane)

    floats, index = types.CPointer(types.float32), types.int64
    return cfunc(types.void(floats, floats, types.CPointer(index), index, floats, index, index), cache=True)(accumulate)


@jit
def make_forms(n, m, parameters, at, forms):
    """Write C = I − WᵀW and b of sixteen models: row i of ``forms`` holds C_i0 … C_i,n−1, b_i."""
    for i in range(n):
        for j in range(i, n):
            entry = splat(float32(0.0))
            for k in range(m):
                left = load(parameters, at + (k * n + i) * LANES)
                entry = fma(left, load(parameters, at + (k * n + j) * LANES), entry)
            entry = splat(float32(1.0 if i == j else 0.0)) - entry
            store(forms, (i * (n + 1) + j) * LANES, entry)
            store(forms, (j * (n + 1) + i) * LANES, entry)
        store(forms, (i * (n + 1) + n) * LANES, load(parameters, at + (m * n + i) * LANES))


@jit
def _empty_samples(n, relu, forms, sums, at, count):
    """Add the samples without an active feature: their errors are b, or its positive part."""
    weight = splat(float32(count))
    for i in range(n):
        row = (i * (n + 1) + n) * LANES
        bias = load(forms, row)
        store(sums, at + row, fma(weight, where_positive(bias, bias) if relu else bias, load(sums, at + row)))


@jit
def _step(n, m, adam, average, scalars, sums, at, importance, imp, parameters, first, second, row, work):
    """Turn the sums of sixteen models into gradients and move their parameters."""
    for i in range(n):  # T = I S + (I S)ᵀ, in place; S here is −Σ e y
        own = load(importance, imp + i * LANES)
        for j in range(i, n):
            upper, lower = at + (i * (n + 1) + j) * LANES, at + (j * (n + 1) + i) * LANES
            both = fma(own, load(sums, upper), load(importance, imp + j * LANES) * load(sums, lower))
            store(sums, upper, both)
            store(sums, lower, both)
    for k in range(m):
        for i in range(n):
            gradient = splat(float32(0.0))
            for j in range(n):
                weight = load(parameters, row + (k * n + j) * LANES)
                gradient = fma(weight, load(sums, at + (i * (n + 1) + j) * LANES), gradient)
            store(work, i * LANES, splat(-average) * gradient)
        for i in range(n):
            move(adam, scalars, load(work, i * LANES), row + (k * n + i) * LANES, parameters, first, second)
    for i in range(n):
        gradient = splat(average) * load(importance, imp + i * LANES) * load(sums, at + (i * (n + 1) + n) * LANES)
        move(adam, scalars, gradient, row + (m * n + i) * LANES, parameters, first, second)


@jit
def train_shared(
    n, m, relu, adam, accumulate, parameters, first, second, importance, keys, start, stop, sizes, law, scalars, space, work
):
    """Train vectors of sixteen models on one stream of minibatches, from step ``start`` to ``stop``.

    parameters, first, second: (n_vectors · rows · 16,) with rows = m n + n; importance: (n_vectors · n · 16,); keys:
    (1, 2); ``accumulate`` is the address of the `accumulator`.
    """
    rows, row_sums = (m * n + n) * LANES, n * (n + 1) * LANES
    n_vectors = parameters.size // rows
    active, orders = law[0], law[1]
    values, counts, begin, present = space[2], space[3], space[4], space[5]
    forms, sums, _, gradient = work
    batch_size = 0
    for block in range(sizes.size):
        batch_size += sizes[block]
    average = float32(2.0 / (batch_size * n))
    for step in range(start, stop):
        for at in range(n_vectors * row_sums):
            sums[at] = 0
        for block in range(sizes.size):
            n_present = draw_block(keys[0], step, block, sizes, law, len(keys) > 1, space)
            for v in range(n_vectors):
                make_forms(n, m, parameters, v * rows, forms)
                if counts[0]:
                    _empty_samples(n, relu, forms, sums, v * row_sums, counts[0])
                for i in range(n_present):
                    pattern = present[i]
                    invoke(
                        accumulate, address(forms, 0), address(sums, v * row_sums), address(orders, pattern * n),
                        active[pattern], address(values, begin[i]), counts[pattern], 0,
                    )  # fmt: skip
        for v in range(n_vectors):
            _step(
                n, m, adam, average, scalars[step], sums, v * row_sums, importance, v * n * LANES, parameters, first,
                second, v * rows, gradient,
            )  # fmt: skip


@jit
def train_independent(
    n, m, relu, adam, accumulate, parameters, first, second, importance, keys, start, stop, sizes, law, scalars, space, work
):
    """Train vectors of sixteen models, each on its own stream: ``keys`` has shape (n_vectors · 16, 2)."""
    rows, row_sums = (m * n + n) * LANES, n * (n + 1) * LANES
    active, orders = law[0], law[1]
    values, counts, begin, present = space[2], space[3], space[4], space[5]
    forms, sums, partial, gradient = work
    batch_size = 0
    for block in range(sizes.size):
        batch_size += sizes[block]
    average = float32(2.0 / (batch_size * n))
    for step in range(start, stop):
        for v in range(parameters.size // rows):
            make_forms(n, m, parameters, v * rows, forms)
            own = v * row_sums
            for at in range(own, own + row_sums):
                sums[at] = 0
            for lane in range(LANES):
                for block in range(sizes.size):
                    n_present = draw_block(keys[v * LANES + lane], step, block, sizes, law, len(keys) > 1, space)
                    for at in range(row_sums):
                        partial[at] = 0
                    for i in range(n_present):
                        pattern = present[i]
                        invoke(
                            accumulate, address(forms, 0), address(partial, 0), address(orders, pattern * n),
                            active[pattern], address(values, begin[i]), counts[pattern], lane,
                        )  # fmt: skip
                    for i in range(n):
                        at = (i * (n + 1) + n) * LANES + lane
                        sums[own + at] += counts[0] * (max(forms[at], float32(0.0)) if relu else forms[at])
                    for row in range(0, row_sums, LANES):
                        sums[own + row + lane] += total(load(partial, row))
            _step(
                n, m, adam, average, scalars[step], sums, own, importance, v * n * LANES, parameters, first, second,
                v * rows, gradient,
            )  # fmt: skip
