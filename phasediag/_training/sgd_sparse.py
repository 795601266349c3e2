"""Kernels that train larger models one by one on sparse minibatches, lanes being output features.

As in the kernels for small models, all that a minibatch contributes are the sums R_ji = Σ x_j e_i and s_i = Σ e_i over its
samples, and with C = I − WᵀW and y = −x a sample's errors are e = b + Σ_j C_j y_j over its few active features j,
passing where they exceed y. A row C_j is a handful of vectors. Then

    ∂L/∂W = 2 W (R I + (R I)ᵀ) / (B n),    ∂L/∂b = 2 I s / (B n).
"""

from functools import cache

from numba import float32, int64, types

from .._compiling.jit import jit
from .._compiling.vectors import LANES, address, fma, invoke, load, routine, splat, store, where_positive
from .lists import draw_lists
from .optimizers import N_SCALARS


@cache
def preparer():
    """Return the routine that turns rows of WᵀW into rows of C = I − WᵀW, and adds a row b."""

    def prepare(n, width, bias, forms):
        for j in range(n):
            for at in range(j * width, (j + 1) * width, LANES):
                store(forms, at, splat(float32(0.0)) - load(forms, at))
            forms[j * width + j] += float32(1.0)
        for at in range(0, width, LANES):
            store(forms, n * width + at, load(bias, at))

    return routine(prepare, *"nnff")


@cache
def weigher():
    """Return the routine that turns the sums R in place into −2 (R I + (R I)ᵀ)/(B n), and those of e into gradients."""

    def weigh(n, width, average, importance, sums, gradient):
        for j in range(n):
            for i in range(j + 1):
                upper, lower = j * width + i, i * width + j
                both = -average * (importance[i] * sums[upper] + importance[j] * sums[lower])
                sums[upper] = both
                sums[lower] = both
        for i in range(n):
            gradient[i] = average * importance[i] * sums[n * width + i]

    return routine(weigh, "n", "n", types.float32, *"fff")


@jit(allocates=False)
def train_sparse(
    n, m, relu, average, routines, parameters, first, second, importance, keys, start, stop, sizes, law, layout,
    scalars, space, work,
):  # fmt: skip
    """Train models from step ``start`` to ``stop``; arguments as in `train_dense`.

    routines: the addresses of `mover`, `product`, `preparer`, `adder` and `weigher`.
    """
    move, product, prepare, add, weigh = routines
    forms, sums, gradient = work
    _, _, _, _, dense, values, _, _, starts, entry_row, entry_place = space
    width = (n + LANES - 1) // LANES * LANES
    size, bias = (m + 1) * width, n * width
    n_entries = int64(0)
    for step in range(start, stop):
        for model in range(parameters.size // size):
            weights = address(parameters, model * size)
            for at in range(sums.size):
                sums[at] = 0
            at_forms, at_sums, at_gradient = address(forms, 0), address(sums, 0), address(gradient, 0)
            invoke(product, at_forms, width, weights, 1, width, weights, width, m, n, width // LANES)
            invoke(prepare, n, width, address(parameters, model * size + m * width), at_forms)
            for block in range(sizes.size):
                n_samples, n_entries = draw_lists(
                    keys[model if len(keys) > 1 else 0], step, block, sizes[block], law, layout, n_entries, space
                )
                invoke(
                    add, n, width, int64(relu), at_forms, at_sums, address(dense, 0), address(entry_row, 0),
                    address(values, 0), address(starts, 0), n_samples,
                )  # fmt: skip
                for at in range(bias, bias + width, LANES):
                    level = load(forms, at)
                    level = where_positive(level, level) if relu else level
                    store(sums, at, fma(splat(float32(sizes[block] - n_samples)), level, load(sums, at)))
            at_importance = address(importance, model * n)
            invoke(weigh, n, width, average, at_importance, at_sums, address(gradient, m * width))
            invoke(product, at_gradient, width, weights, width, 1, at_sums, width, n, m, width // LANES)
            invoke(
                move, address(scalars, step * N_SCALARS), at_gradient, weights,
                address(first, model * size), address(second, model * size), size // LANES,
            )  # fmt: skip
    for entry in range(n_entries):  # leave no thresholds behind for the next call
        dense[entry_place[entry]] = 0
