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

import numpy as np
from llvmlite import ir
from numba import float32, types
from numba.extending import intrinsic

from ._jit import jit
from ._optimizers import move
from ._streams import draw_block
from ._vectors import FLOAT, FLOATS, LANES, call_ir, constant, fma, load, pointer, splat, splat_ir, store, total, where_positive

MAX_SUMS = 26  # accumulators that fit the registers beside the loop's temporaries


def _emit_loop(builder, n, k, relu, lane, forms, sums, order, values, count):
    """Emit the loops over the samples of one pattern with k active features, for all n outputs.

    ``lane`` is None when lanes are models that share the samples (values[sample][feature]); otherwise lanes are samples
    (values[feature][sample], padded) and the forms of the one model ``lane`` are broadcast.
    """
    index = order.type.pointee
    number = lambda value: ir.Constant(index, value)  # noqa: E731
    rows = [builder.mul(builder.load(builder.gep(order, [number(a)])), number(n + 1)) for a in range(n)]
    columns = [builder.load(builder.gep(order, [number(a)])) for a in range(k)] + [number(n)]

    def entry(array, a, c):
        return builder.gep(array, [builder.mul(builder.add(rows[a], columns[c]), number(LANES))])

    def vector_at(address):
        return builder.bitcast(address, FLOATS.as_pointer())

    def coefficient(a, c):
        address = entry(forms, a, c)
        if lane is None:
            return builder.load(vector_at(address), align=4)
        return splat_ir(builder, builder.load(builder.gep(address, [lane])))

    if lane is None:
        n_rounds = count
    else:
        n_rounds = builder.ashr(builder.add(count, number(LANES - 1)), number(4))
    width = max(1, MAX_SUMS // (k + 1))
    for first in range(0, n, width):
        outputs = range(first, min(first + width, n))
        forms_in = [[coefficient(a, c) for c in range(k + 1)] for a in outputs]
        addresses = [vector_at(entry(sums, a, c)) for a in outputs for c in range(k + 1)]
        starts = [builder.load(address, align=4) for address in addresses]
        before, loop, after = builder.block, builder.append_basic_block("sample"), builder.append_basic_block("summed")
        builder.branch(loop)
        builder.position_at_end(loop)
        s = builder.phi(index)
        phis = [builder.phi(FLOATS) for _ in starts]
        if lane is None:
            at = builder.mul(s, number(k))
            y = [splat_ir(builder, builder.load(builder.gep(values, [builder.add(at, number(a))]))) for a in range(k)]
            inside = None
        else:
            at = [builder.mul(builder.add(s, builder.mul(n_rounds, number(a))), number(LANES)) for a in range(k)]
            y = [builder.load(vector_at(builder.gep(values, [offset])), align=4) for offset in at]
            left = builder.trunc(builder.sub(count, builder.mul(s, number(LANES))), ir.IntType(32))
            lanes = ir.Constant(ir.VectorType(ir.IntType(32), LANES), list(range(LANES)))
            inside = builder.icmp_signed("<", lanes, splat_ir(builder, left, lanes.type))
        results = []
        for a, form in zip(outputs, forms_in, strict=True):
            error = form[k]
            for c in range(k):
                error = call_ir(builder, "fma", form[c], y[c], error)
            passes = inside
            if relu:
                passes = builder.fcmp_ordered(">", error, y[a] if a < k else constant(0.0))
                passes = passes if inside is None else builder.and_(passes, inside)
            old = phis[(a - first) * (k + 1) : (a - first + 1) * (k + 1)]
            new = [call_ir(builder, "fma", error, y[c], old[c]) for c in range(k)] + [builder.fadd(error, old[k])]
            results += new if passes is None else [builder.select(passes, *pair) for pair in zip(new, old, strict=True)]
        following = builder.add(s, number(1))
        builder.cbranch(builder.icmp_signed("<", following, n_rounds), loop, after)
        for phi, start, result in zip([s, *phis], [number(0), *starts], [following, *results], strict=True):
            phi.add_incoming(start, before)
            phi.add_incoming(result, loop)
        builder.position_at_end(after)
        for address, result in zip(addresses, results, strict=True):
            builder.store(result, address, align=4)


def _emit_patterns(context, builder, sig, args, by_sample):
    n = sig.args[0].count
    _, relu, forms, sums, order, at, k, values, start, count, lane = args
    forms = pointer(context, builder, sig.args[2], forms, to=FLOAT)
    sums = pointer(context, builder, sig.args[3], sums, to=FLOAT)
    order = pointer(context, builder, sig.args[4], order, at, to=ir.IntType(64))
    values = pointer(context, builder, sig.args[7], values, start, to=FLOAT)
    done = builder.append_basic_block("done")
    switch = builder.switch(builder.add(builder.add(k, k), builder.zext(relu, k.type)), done)
    for k_active in range(1, n + 1):
        for has_relu in (0, 1):
            block = builder.append_basic_block("pattern")
            switch.add_case(2 * k_active + has_relu, block)
            builder.position_at_end(block)
            _emit_loop(
                builder, n, k_active, has_relu, lane if by_sample else None, forms, sums, order, values, count
            )
            builder.branch(done)
    builder.position_at_end(done)
    return context.get_dummy_value()


def _accumulator(by_sample):
    def accumulate(typing, tag, relu, forms, sums, order, at, k, values, start, count, lane):
        sig = types.void(
            tag, types.boolean, forms, sums, order, types.intp, types.intp, values, types.intp, types.intp, types.intp
        )
        return sig, lambda *emission: _emit_patterns(*emission, by_sample)

    return intrinsic(accumulate)


accumulate_models = _accumulator(False)
accumulate_samples = _accumulator(True)


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
def _empty_samples(n, relu, forms, sums, count):
    """Add the samples without an active feature: their errors are b, or its positive part."""
    weight = splat(float32(count))
    for i in range(n):
        row = (i * (n + 1) + n) * LANES
        bias = load(forms, row)
        store(sums, row, fma(weight, where_positive(bias, bias) if relu else bias, load(sums, row)))


@jit
def _step(n, m, adam, sums, importance, where, work, average, scalars, parameters, first, second, row):
    """Turn the sums of sixteen models into gradients and move their parameters."""
    for i in range(n):  # T = I S + (I S)ᵀ, in place; S here is −Σ e y
        own = load(importance, where + i * LANES)
        for j in range(i, n):
            upper, lower = (i * (n + 1) + j) * LANES, (j * (n + 1) + i) * LANES
            both = fma(own, load(sums, upper), load(importance, where + j * LANES) * load(sums, lower))
            store(sums, upper, both)
            store(sums, lower, both)
    for k in range(m):
        for i in range(n):
            gradient = splat(float32(0.0))
            for j in range(n):
                weight = load(parameters, row + (k * n + j) * LANES)
                gradient = fma(weight, load(sums, (i * (n + 1) + j) * LANES), gradient)
            store(work, i * LANES, splat(-average) * gradient)
        for i in range(n):
            move(adam, scalars, load(work, i * LANES), row + (k * n + i) * LANES, parameters, first, second)
    for i in range(n):
        gradient = splat(average) * load(importance, where + i * LANES) * load(sums, (i * (n + 1) + n) * LANES)
        move(adam, scalars, gradient, row + (m * n + i) * LANES, parameters, first, second)


@jit
def train_shared(
    tag, m, relu, adam, parameters, first, second, importance, keys, start, stop, sizes, law, orders, active, scalars,
    plan, space, work,
):
    """Train vectors of sixteen models on one stream of minibatches, from step ``start`` to ``stop``.

    ``tag`` is a tuple of n_features entries, so that kernels are compiled for each n. parameters, first, second:
    (n_vectors · rows · 16,) with rows = m n + n; importance: (n_vectors · n · 16,); keys: (1, 2).
    """
    n = len(tag)
    rows, row_sums = (m * n + n) * LANES, n * (n + 1) * LANES
    n_vectors = parameters.size // rows
    forms, sums, _, gradient = work
    counts, begin, present = plan
    average = float32(2.0 / (sizes.sum() * n))
    for step in range(start, stop):
        sums[:] = 0
        for block in range(sizes.size):
            n_present = draw_block(keys[0], step, block, sizes, law, active, False, plan, space)
            for v in range(n_vectors):
                make_forms(n, m, parameters, v * rows, forms)
                target = sums[v * row_sums : (v + 1) * row_sums]
                if counts[0]:
                    _empty_samples(n, relu, forms, target, counts[0])
                for i in range(n_present):
                    at, k = present[i] * n, active[present[i]]
                    accumulate_models(
                        tag, relu, forms, target, orders, at, k, space[2], begin[i], counts[present[i]], 0
                    )
        for v in range(n_vectors):
            target = sums[v * row_sums : (v + 1) * row_sums]
            _step(n, m, adam, target, importance, v * n * LANES, gradient, average, scalars[step], parameters, first, second, v * rows)


@jit
def train_independent(
    tag, m, relu, adam, parameters, first, second, importance, keys, start, stop, sizes, law, orders, active, scalars,
    plan, space, work,
):
    """Train vectors of sixteen models, each on its own stream: ``keys`` has shape (n_vectors · 16, 2)."""
    n = len(tag)
    rows, row_sums = (m * n + n) * LANES, n * (n + 1) * LANES
    forms, sums, partial, gradient = work
    counts, begin, present = plan
    average = float32(2.0 / (sizes.sum() * n))
    for step in range(start, stop):
        for v in range(parameters.size // rows):
            make_forms(n, m, parameters, v * rows, forms)
            sums[:row_sums] = 0
            for lane in range(LANES):
                for block in range(sizes.size):
                    n_present = draw_block(
                        keys[v * LANES + lane], step, block, sizes, law, active, True, plan, space
                    )
                    partial[:] = 0
                    for i in range(n_present):
                        at, k = present[i] * n, active[present[i]]
                        accumulate_samples(
                            tag, relu, forms, partial, orders, at, k, space[2], begin[i], counts[present[i]], lane
                        )
                    for i in range(n):
                        bias = forms[(i * (n + 1) + n) * LANES + lane]
                        sums[(i * (n + 1) + n) * LANES + lane] += counts[0] * (max(bias, float32(0.0)) if relu else bias)
                    for row in range(n * (n + 1)):
                        sums[row * LANES + lane] += total(load(partial, row * LANES))
            _step(n, m, adam, sums, importance, v * n * LANES, gradient, average, scalars[step], parameters, first, second, v * rows)
