"""Kernels that train one larger model at a time on sparse minibatches, lanes being output features.

As in the kernels for small models, all that a minibatch contributes are the sums R_ji = Σ x_j e_i and s_i = Σ e_i over its
samples, and with C = I − WᵀW and y = −x a sample's errors are e = b + Σ_j C_j y_j over its few active features j,
passing where they exceed y. A row C_j is a handful of vectors; samples with one active feature, the most frequent ones,
are taken feature by feature, so that the rows of C and R stay in registers. Then

    ∂L/∂W = 2 W (R I + (R I)ᵀ) / (B n),    ∂L/∂b = 2 I s / (B n).
"""

from functools import cache

from numba import float32, int64, types

from .._compiling.jit import jit
from .._compiling.vectors import LANES, address, fma, invoke, load, routine, splat, store, where_positive
from .optimizers import N_SCALARS
from .streams import draw_outcome, fill_negated, fill_words, seed_state

BLOCK = 1024  # samples drawn together


@jit(allocates=False)
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
    for sample in range(n_samples):
        found[sample] = 0
        mark[sample] = -1
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
    n, m, relu, average, routines, parameters, first, second, importance, keys, start, stop, sizes, law, scalars,
    space, work,
):  # fmt: skip
    """Train models from step ``start`` to ``stop``; arguments as in `train_dense`.

    routines: the addresses of `mover`, `product`, `preparer`, `singles`, `mixed` and `weigher`.
    """
    move, product, prepare, singles, mixed, weigh = routines
    forms, sums, gradient = work
    _, _, _, dense, single_value, entry_value, indices = space
    _, single_start, _, _, _, _, starts, entry_row, _ = indices
    width = (n + LANES - 1) // LANES * LANES
    size, bias = (m + 1) * width, n * width
    n_mixed = n_empty = n_entries = int64(0)
    for step in range(start, stop):
        for model in range(parameters.size // size):
            weights = address(parameters, model * size)
            for at in range(sums.size):
                sums[at] = 0
            at_forms, at_sums, at_gradient = address(forms, 0), address(sums, 0), address(gradient, 0)
            invoke(product, at_forms, width, weights, 1, width, weights, width, m, n, width // LANES)
            invoke(prepare, n, width, address(parameters, model * size + m * width), at_forms)
            for block in range(sizes.size):
                if model == 0 or len(keys) > 1 or sizes.size > 1:
                    key = keys[model if len(keys) > 1 else 0]
                    which = 0 if sizes[block] == sizes[0] else 1
                    n_mixed, n_empty, n_entries = draw_sparse(key, step, block, sizes[block], law[which], n_entries, space)
                invoke(singles, n, width, int64(relu), at_forms, at_sums, address(single_value, 0), address(single_start, 0))
                invoke(
                    mixed, n, width, int64(relu), at_forms, at_sums, address(dense, 0), address(entry_row, 0),
                    address(entry_value, 0), address(starts, 0), n_mixed,
                )  # fmt: skip
                for at in range(bias, bias + width, LANES):
                    level = load(forms, at)
                    level = where_positive(level, level) if relu else level
                    store(sums, at, fma(splat(float32(n_empty)), level, load(sums, at)))
            at_importance = address(importance, model * n)
            invoke(weigh, n, width, average, at_importance, at_sums, address(gradient, m * width))
            invoke(product, at_gradient, width, weights, width, 1, at_sums, width, n, m, width // LANES)
            invoke(
                move, address(scalars, step * N_SCALARS), at_gradient, weights,
                address(first, model * size), address(second, model * size), size // LANES,
            )  # fmt: skip
    for entry in range(n_entries):  # leave no thresholds behind for the next call
        dense[indices[8][entry]] = 0
