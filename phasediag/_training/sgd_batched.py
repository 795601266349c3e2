"""Kernels that train sixteen larger models side by side on one stream of sparse minibatches, lanes being models.

As in the kernels for few features, all that a minibatch contributes are the sums R_ij = Σ e_i x_j and s_i = Σ e_i, and with
C = I − WᵀW and y = −x a sample's errors are e = b + Σ_j C_j y_j over its few active features j, passing where they exceed
y. Models share the samples, so that lists of active features are read once for sixteen models and no lane is idle, whatever
the number of features. Outputs are taken block by block, so that the rows of C and R of a block stay in the cache.
"""

import numpy as np
from numba import int64

from .._compiling.jit import jit
from .._compiling.vectors import LANES, address, invoke
from .lists import draw_lists
from .optimizers import N_SCALARS

WIDTHS, ROOM = (4, 10), 26_000  # outputs of a block: what registers hold; bytes of its rows of C, or R, in half of the cache


def block_width(n):
    """Return how many of n outputs are taken together: blocks as equal as can be that fit registers and cache."""
    most = np.clip(ROOM // (4 * LANES * (n + 1)), *WIDTHS)
    return int(-(-n // -(-n // most)))


@jit(allocates=False)
def train_batched(
    n, m, width, average, routines, parameters, first, second, importance, keys, start, stop, sizes, law, layout, scalars,
    space, work,
):  # fmt: skip
    """Train vectors of sixteen models from step ``start`` to ``stop``.

    parameters, first, second: (n_vectors · (m + 1) · padded · 16,), rows of weights and one of biases, padded by zeros to
    whole blocks of ``width`` outputs; importance: (n_vectors · padded · 16,); keys: (1, 2); average: 2/(B n); routines: the
    addresses of `product`, `preparer`, `adder`, `weigher` and `mover`.
    """
    product, prepare, add, weigh, move = routines
    forms, sums, gradient = work
    _, _, _, _, dense, values, _, _, starts, entry_row, entry_place = space
    n_blocks = (n + width - 1) // width
    padded, block_size = n_blocks * width, (n + 1) * width * LANES
    size = (m + 1) * padded * LANES
    at_forms, at_gradient = address(forms, 0), address(gradient, 0)
    n_samples = n_entries = int64(0)
    for step in range(start, stop):
        for v in range(parameters.size // size):
            weights, at_importance = address(parameters, v * size), address(importance, v * padded * LANES)
            for at in range(sums.size):
                sums[at] = 0
            for part in range(sizes.size):
                if v == 0 or sizes.size > 1:
                    n_samples, n_entries = draw_lists(keys[0], step, part, sizes[part], law, layout, n_entries, space)
                n_empty = sizes[part] - n_samples
                for q in range(n_blocks):
                    own, at_sums = v * size + q * width * LANES, address(sums, q * block_size)
                    invoke(product, at_forms, width, weights, 1, padded, address(parameters, own), padded, m, n)
                    invoke(
                        prepare, n, q * width, n_empty, address(parameters, own + m * padded * LANES), at_forms, at_sums,
                    )  # fmt: skip
                    invoke(
                        add, at_forms, at_sums, n * width * LANES, address(dense, q * width * sizes[0]),
                        address(entry_row, 0), address(values, 0), address(starts, 0), n_samples,
                    )  # fmt: skip
            invoke(weigh, n, average, at_importance, address(sums, 0), address(gradient, m * padded * LANES))
            for q in range(n_blocks):
                at_slopes = address(gradient, q * width * LANES)
                invoke(product, at_slopes, padded, weights, padded, 1, address(sums, q * block_size), width, n, m)
            invoke(
                move, address(scalars, step * N_SCALARS), at_gradient, weights, address(first, v * size),
                address(second, v * size), size // LANES,
            )  # fmt: skip
    for entry in range(n_entries):  # leave no thresholds behind for the next call
        dense[entry_place[entry]] = 0
