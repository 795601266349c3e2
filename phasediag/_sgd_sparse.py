"""Kernels that train one larger model at a time on sparse minibatches, lanes being output features.

As in the kernels for small models, all that a minibatch contributes are the sums R_ji = Σ x_j e_i and s_i = Σ e_i over its
samples, and with C = I − WᵀW and y = −x a sample's errors are e = b + Σ_j C_j y_j over its few active features j,
passing where they exceed y. A row C_j is a handful of vectors; samples with one active feature, the most frequent ones,
are taken feature by feature, so that the rows of C and R stay in registers. Then

    ∂L/∂W = 2 W (R I + (R I)ᵀ) / (B n),    ∂L/∂b = 2 I s / (B n).
"""

from llvmlite import ir
from numba import float32, int64, types
from numba.core import cgutils
from numba.extending import intrinsic

from ._jit import jit
from ._optimizers import move
from ._products import at, load_ir, product, switch
from ._streams import draw_outcome, fill_negated, fill_words, seed_state
from ._vectors import FLOAT, FLOATS, LANES, WORD, WORDS, call_ir, constant, fma, load, pointer, splat, splat_ir, store, where_positive

BLOCK = 1024  # samples drawn together
WIDTH = 5  # vectors of outputs handled together


def _passing(builder, relu, error, threshold):
    """Return the error where it passes the activation, else 0; ``relu`` is an emitted flag."""
    passes = builder.or_(builder.fcmp_ordered(">", error, threshold), relu)
    return builder.select(passes, error, constant(0.0))


def _variables(builder, values):
    """Return stack variables that hold emitted vectors; the compiler keeps them in registers."""
    variables = [cgutils.alloca_once(builder, FLOATS) for _ in values]
    for variable, value in zip(variables, values, strict=True):
        builder.store(value, variable)
    return variables


def _write(builder, variables, addresses):
    for variable, address in zip(variables, addresses, strict=True):
        builder.store(builder.load(variable), builder.bitcast(address, FLOATS.as_pointer()), align=4)


def _not(builder, flag):
    """Emit a mask of sixteen lanes, all the opposite of a flag."""
    mask = ir.VectorType(ir.IntType(1), LANES)
    return splat_ir(builder, builder.not_(flag), mask)


@intrinsic
def add_singles(typing, width, relu, lane, forms, row, sums, bias, offset, values, start, stop):
    """Add the samples whose only active feature has the rows ``row`` of ``forms`` and ``sums``.

    ``width`` vectors of outputs are handled, from ``offset`` on in the rows; ``lane`` is the feature's place among them.
    Row ``bias`` holds b in ``forms`` and the summed errors in ``sums``.
    """
    index = types.intp
    sig = types.void(index, types.boolean, index, forms, index, sums, index, index, values, index, index)

    def emit(context, builder, sig, args):
        width, relu, lane, forms, row, sums, bias, offset, values, start, stop = args
        forms = pointer(context, builder, sig.args[3], forms, offset, to=FLOAT)
        sums = pointer(context, builder, sig.args[5], sums, offset, to=FLOAT)
        values = pointer(context, builder, sig.args[8], values, to=FLOAT)
        linear, own = _not(builder, relu), splat_ir(builder, builder.trunc(lane, WORD), WORDS)

        def block(n_vectors):
            rows = [[at(builder, a, r, lane.type(v * LANES)) for v in range(n_vectors)] for a in (forms, sums) for r in (row, bias)]
            slope, level = [load_ir(builder, a) for a in rows[0]], [load_ir(builder, a) for a in rows[1]]
            products, errors = (_variables(builder, [load_ir(builder, a) for a in addresses]) for addresses in rows[2:])
            lanes = [ir.Constant(WORDS, list(range(v * LANES, (v + 1) * LANES))) for v in range(n_vectors)]
            mine = [builder.icmp_signed("==", vector, own) for vector in lanes]
            with cgutils.for_range_slice(builder, start, stop, lane.type(1)) as (sample, _):
                y = splat_ir(builder, builder.load(at(builder, values, sample)))
                for v in range(n_vectors):
                    threshold = builder.select(mine[v], y, constant(0.0))
                    error = _passing(builder, linear, call_ir(builder, "fma", slope[v], y, level[v]), threshold)
                    builder.store(call_ir(builder, "fma", error, y, builder.load(products[v])), products[v])
                    builder.store(builder.fadd(error, builder.load(errors[v])), errors[v])
            _write(builder, products, rows[2])
            _write(builder, errors, rows[3])

        switch(builder, width, range(1, WIDTH + 1), block)
        return context.get_dummy_value()

    return sig, emit


@intrinsic
def add_mixed(typing, width, relu, forms, sums, stride, bias, offset, dense, entry_row, entry_value, starts, n_samples):
    """Add samples with several active features: entries starts[s] … starts[s + 1] − 1 belong to sample s.

    An entry is the row of its feature and its value; ``dense`` holds the thresholds, sample by sample in rows of
    ``stride``. Otherwise as `add_singles`.
    """
    index = types.intp
    sig = types.void(
        index, types.boolean, forms, sums, index, index, index, dense, entry_row, entry_value, starts, index
    )

    def emit(context, builder, sig, args):
        width, relu, forms, sums, stride, bias, offset, dense, entry_row, entry_value, starts, n_samples = args
        forms = pointer(context, builder, sig.args[2], forms, offset, to=FLOAT)
        sums = pointer(context, builder, sig.args[3], sums, offset, to=FLOAT)
        dense = pointer(context, builder, sig.args[7], dense, offset, to=FLOAT)
        whole = ir.IntType(64)
        entry_row = pointer(context, builder, sig.args[8], entry_row, to=whole)
        entry_value = pointer(context, builder, sig.args[9], entry_value, to=FLOAT)
        starts = pointer(context, builder, sig.args[10], starts, to=whole)
        linear, one = _not(builder, relu), stride.type(1)

        def block(n_vectors):
            places = [stride.type(v * LANES) for v in range(n_vectors)]
            level = [load_ir(builder, at(builder, forms, bias, place)) for place in places]
            totals = [at(builder, sums, bias, place) for place in places]
            errors = _variables(builder, [load_ir(builder, address) for address in totals])
            sample_errors = [cgutils.alloca_once(builder, FLOATS) for _ in places]
            with cgutils.for_range(builder, n_samples) as loop:
                begin = builder.load(at(builder, starts, loop.index))
                end = builder.load(at(builder, starts, builder.add(loop.index, one)))
                for variable, value in zip(sample_errors, level, strict=True):
                    builder.store(value, variable)
                with cgutils.for_range_slice(builder, begin, end, one) as (entry, _):
                    row = builder.load(at(builder, entry_row, entry))
                    y = splat_ir(builder, builder.load(at(builder, entry_value, entry)))
                    for variable, place in zip(sample_errors, places, strict=True):
                        slope = load_ir(builder, at(builder, forms, row, place))
                        builder.store(call_ir(builder, "fma", slope, y, builder.load(variable)), variable)
                thresholds = at(builder, dense, builder.mul(loop.index, stride))
                for variable, total, place in zip(sample_errors, errors, places, strict=True):
                    threshold = load_ir(builder, at(builder, thresholds, place))
                    builder.store(_passing(builder, linear, builder.load(variable), threshold), variable)
                    builder.store(builder.fadd(builder.load(variable), builder.load(total)), total)
                with cgutils.for_range_slice(builder, begin, end, one) as (entry, _):
                    row = builder.load(at(builder, entry_row, entry))
                    y = splat_ir(builder, builder.load(at(builder, entry_value, entry)))
                    for variable, place in zip(sample_errors, places, strict=True):
                        address = builder.bitcast(at(builder, sums, row, place), FLOATS.as_pointer())
                        product = call_ir(builder, "fma", builder.load(variable), y, builder.load(address, align=4))
                        builder.store(product, address, align=4)
            _write(builder, errors, totals)

        switch(builder, width, range(1, WIDTH + 1), block)
        return context.get_dummy_value()

    return sig, emit


@jit
def draw_sparse(key, step, block, n_samples, law, previous, space):
    """Draw a block of a minibatch as lists of active features; return (samples with several, with none, entries).

    Singles lie feature by feature, ``single_start`` telling where. The entries of the other samples lie sample by sample
    with the feature's row and the negated value; the values stand also in ``dense``, sample by sample in rows, from
    where the ``previous`` entries are removed.
    """
    table, count_start, count_cut, count_alias = law
    state, words, values, dense, single_value, entry_value, indices = space
    feature_start, single_start, samples, found, mark, place, starts, entry_row, entry_place = indices
    n = table.size
    width = (n + LANES - 1) // LANES * LANES
    for entry in range(previous):
        dense[entry_place[entry]] = 0
    seed_state(key, step, block, state)
    fill_words(state, words, (2 * n + LANES - 1) // LANES)
    feature_start[0] = 0
    for j in range(n):  # the number of samples in which each feature is active
        first, stop = count_start[table[j]], count_start[table[j] + 1]
        feature_start[j + 1] = feature_start[j] + draw_outcome(words, j, first, stop, count_cut, count_alias)
    n_entries = feature_start[n]
    found[:] = 0
    mark[:] = -1
    ready = used = 0
    for j in range(n):  # which samples: distinct ones, so draw again where the feature is already active
        for entry in range(feature_start[j], feature_start[j + 1]):
            while True:
                if used == ready:
                    ready = min((n_entries - entry + LANES - 1) // LANES * LANES, words.size // LANES * LANES)
                    fill_words(state, words, ready // LANES)
                    used = 0
                sample = (int64(words[used]) * n_samples) >> 32
                used += 1
                if mark[sample] != j:
                    break
            mark[sample] = j
            found[sample] += 1
            samples[entry] = sample
    fill_negated(state, values, (n_entries + LANES - 1) // LANES)
    n_mixed = n_empty = filled = 0
    for sample in range(n_samples):
        if found[sample] > 1:
            place[sample] = n_mixed
            n_mixed += 1
            starts[n_mixed] = filled  # moves on to the sample's end while its entries are placed
            filled += found[sample]
        elif found[sample] == 0:
            n_empty += 1
    starts[0] = 0
    n_singles = 0
    for j in range(n):
        single_start[j] = n_singles
        for entry in range(feature_start[j], feature_start[j + 1]):
            sample = samples[entry]
            if found[sample] == 1:
                single_value[n_singles] = values[entry]
                n_singles += 1
            else:
                at = starts[place[sample] + 1]
                starts[place[sample] + 1] += 1
                entry_row[at], entry_value[at] = j * width, values[entry]
                entry_place[at] = place[sample] * width + j
                dense[entry_place[at]] = values[entry]
    single_start[n] = n_singles
    return n_mixed, n_empty, filled


@jit
def add_block(n, width, relu, forms, sums, drawn, space):
    """Add the sums of one block: row j of ``sums`` is Σ e y_j, row n is Σ e."""
    n_mixed, n_empty, _ = drawn
    _, _, _, dense, single_value, entry_value, indices = space
    _, single_start, _, _, _, _, starts, entry_row, _ = indices
    n_vectors = width // LANES
    n_parts = (n_vectors + WIDTH - 1) // WIDTH
    bias = n * width
    for part in range(n_parts):
        v, v_stop = part * n_vectors // n_parts, (part + 1) * n_vectors // n_parts
        offset = v * LANES
        for j in range(n):
            if single_start[j] < single_start[j + 1]:
                add_singles(
                    v_stop - v, relu, j - offset, forms, j * width, sums, bias, offset, single_value, single_start[j],
                    single_start[j + 1],
                )  # fmt: skip
        add_mixed(v_stop - v, relu, forms, sums, width, bias, offset, dense, entry_row, entry_value, starts, n_mixed)
    for at in range(bias, bias + width, LANES):
        level = load(forms, at)
        store(sums, at, fma(splat(float32(n_empty)), where_positive(level, level) if relu else level, load(sums, at)))


@jit
def sparse_forms(n, m, width, parameters, at, forms):
    """Write the rows of C = I − WᵀW and the row b."""
    product(forms, 0, width, parameters, at, 1, width, parameters, at, width, m, n, width // LANES)
    for j in range(n):
        for i in range(j * width, (j + 1) * width, LANES):
            store(forms, i, splat(float32(0.0)) - load(forms, i))
        forms[j * width + j] += float32(1.0)
    forms[n * width :] = parameters[at + m * width : at + (m + 1) * width]


@jit
def sparse_gradient(n, m, width, parameters, at, importance, imp, average, sums, gradient):
    """Turn the sums into gradients, in the layout of a model's parameters."""
    for j in range(n):
        for i in range(j + 1):
            upper, lower = j * width + i, i * width + j
            both = -average * (importance[imp + i] * sums[upper] + importance[imp + j] * sums[lower])
            sums[upper] = both
            sums[lower] = both
    product(gradient, 0, width, parameters, at, width, 1, sums, 0, width, n, m, width // LANES)
    for i in range(n):
        gradient[m * width + i] = average * importance[imp + i] * sums[n * width + i]


@jit
def train_sparse(
    n, m, relu, adam, parameters, first, second, importance, keys, start, stop, sizes, law, scalars, space, work
):
    """Train models from step ``start`` to ``stop``; arguments as in `train_dense`."""
    forms, sums, gradient = work
    width = (n + LANES - 1) // LANES * LANES
    size = (m + 1) * width
    average = float32(2.0 / (sizes.sum() * n))
    drawn = (0, 0, 0)
    for step in range(start, stop):
        for model in range(parameters.size // size):
            sparse_forms(n, m, width, parameters, model * size, forms)
            sums[:] = 0
            for block in range(sizes.size):
                if model == 0 or len(keys) > 1 or sizes.size > 1:
                    key = keys[model if len(keys) > 1 else 0]
                    which = 0 if sizes[block] == sizes[0] else 1
                    drawn = draw_sparse(key, step, block, sizes[block], law[which], drawn[2], space)
                add_block(n, width, relu, forms, sums, drawn, space)
            sparse_gradient(n, m, width, parameters, model * size, importance, model * n, average, sums, gradient)
            for at in range(0, size, LANES):
                move(adam, scalars[step], load(gradient, at), model * size + at, parameters, first, second)
