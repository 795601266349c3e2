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

from numba import float32, types
from numba.extending import intrinsic

from .._compiling.jit import call, jit
from .._compiling.vectors import (
    FLOAT,
    LANES,
    LONG,
    address,
    at,
    call_ir,
    constant,
    invoke,
    load,
    load_ir,
    routine,
    splat_ir,
    store_ir,
    total,
)
from .cell_sums import adder
from .optimizers import N_SCALARS, move_at_ir, scalars_ir
from .sample_sums import accumulator
from .streams import draw_block


def _vectors(builder, array, count):
    """Emit the loads of ``count`` vectors and their addresses."""
    places = [at(builder, array, LONG(i * LANES)) for i in range(count)]
    return [load_ir(builder, place) for place in places], places


@intrinsic(prefer_literal=True)
def _begin(typing, n, m, relu, n_empty, again, parameters, forms, sums):
    """Emit what `beginner` returns, unrolled."""

    def emit(context, builder, sig, args):
        n, m, relu = (kind.literal_value for kind in sig.args[:3])
        n_empty, again, parameters, forms, sums = args[3:]
        parameters, _ = _vectors(builder, parameters, (m + 1) * n)
        places = [at(builder, sums, LONG(entry * LANES)) for entry in range(n * (n + 1))]
        with builder.if_then(builder.icmp_signed("==", again, LONG(0))):
            for place in places:
                store_ir(builder, constant(0.0), place)
        weight = splat_ir(builder, builder.sitofp(n_empty, FLOAT))
        for i in range(n):
            for j in range(i, n):
                entry = constant(1.0 if i == j else 0.0)
                for k in range(m):
                    entry = call_ir(builder, "fma", builder.fneg(parameters[k * n + i]), parameters[k * n + j], entry)
                for row, column in {(i, j), (j, i)}:
                    store_ir(builder, entry, at(builder, forms, LONG((row * (n + 1) + column) * LANES)))
            level = parameters[m * n + i]
            store_ir(builder, level, at(builder, forms, LONG((i * (n + 1) + n) * LANES)))
            if relu:
                level = builder.select(builder.fcmp_ordered(">", level, constant(0.0)), level, constant(0.0))
            place = places[i * (n + 1) + n]
            store_ir(builder, call_ir(builder, "fma", weight, level, load_ir(builder, place)), place)
        return context.get_dummy_value()

    return types.void(n, m, relu, n_empty, again, parameters, forms, sums), emit


@cache
def beginner(n, m, relu):
    """Return the routine that begins the step of sixteen models of n features and m dimensions.

    It writes their ``forms``, row by row C_i0 … C_i,n−1, b_i with C = I − WᵀW, and starts their sums, or goes on with them if
    ``again``: the errors of the ``n_empty`` samples without an active feature are b, or its positive part.
    """

    def begin(n_empty, again, parameters, forms, sums):
        _begin(n, m, relu, n_empty, again, parameters, forms, sums)

    return routine(begin, *"nnfff")


@intrinsic(prefer_literal=True)
def _finish(typing, n, m, adam, average, sums, importance, scalars, parameters, first, second):
    """Emit what `finisher` returns, unrolled."""

    def emit(context, builder, sig, args):
        n, m, adam = (kind.literal_value for kind in sig.args[:3])
        average, sums, importance, scalars, *arrays = args[3:]
        sums, _ = _vectors(builder, sums, n * (n + 1))
        importance, _ = _vectors(builder, importance, n)
        parameters, _ = _vectors(builder, arrays[0], (m + 1) * n)
        scalars, average = scalars_ir(builder, scalars), splat_ir(builder, average)
        weighted = [[builder.fmul(importance[i], sums[i * (n + 1) + j]) for j in range(n + 1)] for i in range(n)]
        both = [[builder.fadd(weighted[i][j], weighted[j][i]) for j in range(n)] for i in range(n)]
        for k in range(m + 1):
            for i in range(n):
                slope = weighted[i][n]
                if k < m:  # the sums are those of e y, so that their sign is that of a descent
                    slope = builder.fneg(builder.fmul(parameters[k * n], both[i][0]))
                    for j in range(1, n):
                        slope = call_ir(builder, "fma", builder.fneg(parameters[k * n + j]), both[i][j], slope)
                places = [at(builder, array, LONG((k * n + i) * LANES)) for array in arrays]
                move_at_ir(builder, adam, scalars, builder.fmul(average, slope), *places)
        return context.get_dummy_value()

    return types.void(n, m, adam, average, sums, importance, scalars, parameters, first, second), emit


@cache
def finisher(n, m, adam):
    """Return the routine that turns the sums of sixteen models into gradients and moves their parameters along them."""

    def finish(average, sums, importance, scalars, parameters, first, second):
        _finish(n, m, adam, average, sums, importance, scalars, parameters, first, second)

    return routine(finish, types.float32, *"ffffff")


def routines(n, m, relu, adam, independent):
    """Return the addresses of routines that the kernels below take."""
    made = (beginner(n, m, relu), accumulator(n, relu, independent), adder(n, relu), finisher(n, m, adam))
    return tuple(one.address for one in made)


@jit(allocates=False)
def train_shared(
    n, m, relu, average, routines, parameters, first, second, importance, keys, start, stop, sizes, law, scalars, space, work
):
    """Train vectors of sixteen models on one stream of minibatches, from step ``start`` to ``stop``.

    parameters, first, second: (n_vectors · rows · 16,) with rows = m n + n; importance: (n_vectors · n · 16,); keys: (1, 2);
    average: 2/(B n); routines: those of `routines` and the address of `draw_cells`.
    """
    begin, accumulate, add, finish, draw = routines
    rows, row_sums = (m * n + n) * LANES, n * (n + 1) * LANES
    law, levels, geometry = law
    active, orders = law[0], law[1]
    _, _, counts, values, moments, few, patterns, cells, _, found = space
    forms, sums, _ = work
    at_forms = address(forms, 0)
    for step in range(start, stop):
        for block in range(sizes.size):
            call(draw, (keys[0], step, block, sizes, law, levels, geometry, space))
            n_few, n_sorted = found[0], found[1]
            for v in range(parameters.size // rows):
                at_parameters, at_sums = address(parameters, v * rows), address(sums, v * row_sums)
                invoke(begin, counts[0], block, at_parameters, at_forms, at_sums)
                filled = 0
                for i in range(n_few):
                    pattern = few[i]
                    k, count = active[pattern], counts[pattern]
                    at_order, at_values = address(orders, pattern * n), address(values, filled)
                    invoke(accumulate, at_forms, at_sums, at_order, k, at_values, count, 0)
                    filled += k * count
                if n_sorted:
                    invoke(
                        add, n_sorted, address(patterns, 0), address(orders, 0), at_forms, at_sums, address(values, 0),
                        address(moments, 0), address(geometry[1], 0), address(cells, 0),
                    )  # fmt: skip
                if block == sizes.size - 1:
                    invoke(
                        finish, average, at_sums, address(importance, v * n * LANES), address(scalars, step * N_SCALARS),
                        at_parameters, address(first, v * rows), address(second, v * rows),
                    )  # fmt: skip


@jit(allocates=False)
def train_independent(
    n, m, relu, average, routines, parameters, first, second, importance, keys, start, stop, sizes, law, scalars, space, work
):
    """Train vectors of sixteen models, each on its own stream: ``keys`` has shape (n_vectors · 16, 2)."""
    begin, accumulate, _, finish = routines
    rows, row_sums = (m * n + n) * LANES, n * (n + 1) * LANES
    active, orders = law[0], law[1]
    values, counts, first_value, present = space[2], space[3], space[4], space[5]
    forms, sums, partial = work
    at_forms, at_partial = address(forms, 0), address(partial, 0)
    for step in range(start, stop):
        for v in range(parameters.size // rows):
            at_parameters, at_sums = address(parameters, v * rows), address(sums, 0)
            invoke(begin, 0, 0, at_parameters, at_forms, at_sums)
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
                            address(values, first_value[i]), counts[pattern], lane,
                        )  # fmt: skip
                for row in range(0, row_sums, LANES):
                    sums[row + lane] = total(load(partial, row))
                for row in range(n * LANES + lane, row_sums, (n + 1) * LANES):
                    sums[row] += n_empty * (max(forms[row], float32(0.0)) if relu else forms[row])
            invoke(
                finish, average, at_sums, address(importance, v * n * LANES), address(scalars, step * N_SCALARS),
                at_parameters, address(first, v * rows), address(second, v * rows),
            )  # fmt: skip
