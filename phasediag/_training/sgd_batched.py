"""Kernels that train larger models on sparse minibatches: sixteen side by side on one stream, or one after another.

As in the kernels for few features, all that a minibatch contributes are the sums R_ij = Σ e_i x_j and s_i = Σ e_i, and with
C = I − WᵀW and y = −x a sample's errors are e = b + Σ_j C_j y_j over its few active features j, passing where they exceed
y. Where models share the samples, lanes are models: lists of active features are read once for sixteen of them and no lane is
idle, whatever the number of features. Else lanes are outputs of one model. Outputs are taken block by block, so that the rows of
C and R of a block stay in the cache.
"""

import numpy as np

from .._compiling.jit import integers
from .._compiling.structures import layout
from .._compiling.vectors import LANES, NUMBER, VECTOR, clear, floats, invoke, routine
from .lists import lists_at
from .optimizers import STEP

# A chunk of models, its routines and its arrays, as the kernel below reads them. average is 2/(B n); parameters, first and
# second have shape (n_groups, m + 1, padded, lanes), rows of weights and one of biases, padded by zeros to whole blocks of
# ``width`` outputs; importance (n_groups, padded, lanes); keys (1, 2) with key_step 0, or (n_groups, 2) with the bytes of one;
# scalars (n_steps, 7); forms (n + 1, width, lanes); sums (padded / width, n + 1, width, lanes); gradient (m + 1, padded, lanes).
MODELS, models_at = layout(
    "n m moving activation lanes width padded n_groups n_parts key_step lists draw product prepare add weigh move parameters"
    " first second importance keys scalars forms sums gradient",
    "average",
)

WIDTHS, ROOM = (4, 10), 26_000
"""Vectors of a block's row: what registers hold; bytes of all its rows of C, or R: half of the cache."""


def block_width(n, lanes):
    """Return how many of n outputs are taken together: blocks as equal as can be that fit registers and cache."""
    most, vectors = np.clip(ROOM // (VECTOR * (n + 1)), *WIDTHS), -(-n * lanes // LANES)
    return int(-(-vectors // -(-vectors // most))) * LANES // lanes


@routine("nnn")
def train_batched(models, start, stop):
    """Train the `MODELS` at an address from step ``start`` to ``stop``."""
    models = models_at(models)
    lists = lists_at(models.lists)
    n, m, width, padded, n_parts = models.n, models.m, models.width, models.padded, models.n_parts
    lanes, line, row = models.lanes, models.width * models.lanes, models.padded * models.lanes  # numbers of a row
    rows, block_size = (m + 1) * row * NUMBER, (n + 1) * line * NUMBER
    sums, sizes = floats(models.sums), integers(lists.sizes)
    for step in range(start, stop):
        for group in range(models.n_groups):
            weights = models.parameters + group * rows
            clear(sums, row * (n + 1))
            for part in range(n_parts):
                if group == 0 or n_parts > 1 or models.key_step:
                    invoke(models.draw, models.lists, models.keys + group * models.key_step, step, part)
                n_empty = sizes[part] - lists.n_samples
                for first in range(0, padded, width):
                    own, own_sums = weights + first * lanes * NUMBER, models.sums + first // width * block_size
                    invoke(models.product, models.forms, line, weights, lanes, row, own, row, m, n)
                    invoke(models.prepare, n, first, n_empty, own + m * row * NUMBER, models.forms, own_sums)
                    invoke(
                        models.add, models.forms, own_sums, n * line, lists.dense + first * sizes[0] * NUMBER,
                        lists.entry_row, lists.values, lists.starts, lists.n_samples,
                    )  # fmt: skip
            slopes = models.gradient
            invoke(
                models.weigh, n, models.average, models.importance + group * row * NUMBER, models.sums,
                slopes + m * row * NUMBER,
            )  # fmt: skip
            for first in range(0, padded, width):
                own_sums = models.sums + first // width * block_size
                invoke(models.product, slopes + first * lanes * NUMBER, row, weights, row, lanes, own_sums, line, n, m)
            invoke(
                models.move, models.scalars + step * STEP, slopes, weights, models.first + group * rows,
                models.second + group * rows, models.moving * row // LANES,
            )  # fmt: skip
