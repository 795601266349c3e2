"""Kernels that train sixteen larger models side by side on one stream of sparse minibatches, lanes being models.

As in the kernels for few features, all that a minibatch contributes are the sums R_ij = Σ e_i x_j and s_i = Σ e_i, and with
C = I − WᵀW and y = −x a sample's errors are e = b + Σ_j C_j y_j over its few active features j, passing where they exceed
y. Models share the samples, so that lists of active features are read once for sixteen models and no lane is idle, whatever
the number of features. Outputs are taken block by block, so that the rows of C and R of a block stay in the cache.
"""

import numpy as np

from .._compiling.jit import integers
from .._compiling.structures import layout
from .._compiling.vectors import LANES, NUMBER, VECTOR, floats, invoke, routine
from .lists import lists_at
from .optimizers import STEP

# A chunk of models, its routines and its arrays, as the kernel below reads them. average is 2/(B n); parameters, first and
# second have shape (n_vectors, m + 1, padded, 16), rows of weights and one of biases, padded by zeros to whole blocks of
# ``width`` outputs; importance (n_vectors, padded, 16); keys (1, 2); scalars (n_steps, 7); forms (n + 1, width, 16);
# sums (padded / width, n + 1, width, 16); gradient (m + 1, padded, 16).
MODELS, models_at = layout(
    "n m activation width padded n_vectors n_parts lists draw product prepare add weigh move parameters first second importance"
    " keys scalars forms sums gradient",
    "average",
)

WIDTHS, ROOM = (4, 10), 26_000  # outputs of a block: what registers hold; bytes of its rows of C, or R, in half of the cache


def block_width(n):
    """Return how many of n outputs are taken together: blocks as equal as can be that fit registers and cache."""
    most = np.clip(ROOM // (4 * LANES * (n + 1)), *WIDTHS)
    return int(-(-n // -(-n // most)))


@routine("nnn")
def train_batched(models, start, stop):
    """Train the `MODELS` at an address from step ``start`` to ``stop``."""
    models = models_at(models)
    lists = lists_at(models.lists)
    n, m, width, padded, n_parts = models.n, models.m, models.width, models.padded, models.n_parts
    rows, block_size = (m + 1) * padded * VECTOR, (n + 1) * width * VECTOR
    sums, sizes = floats(models.sums), integers(lists.sizes)
    for step in range(start, stop):
        for v in range(models.n_vectors):
            weights = models.parameters + v * rows
            for entry in range(padded * (n + 1) * LANES):
                sums[entry] = 0
            for part in range(n_parts):
                if v == 0 or n_parts > 1:
                    invoke(models.draw, models.lists, models.keys, step, part)
                n_empty = sizes[part] - lists.n_samples
                for first in range(0, padded, width):
                    own, own_sums = weights + first * VECTOR, models.sums + first // width * block_size
                    invoke(models.product, models.forms, width, weights, 1, padded, own, padded, m, n)
                    invoke(models.prepare, n, first, n_empty, own + m * padded * VECTOR, models.forms, own_sums)
                    invoke(
                        models.add, models.forms, own_sums, n * width * LANES, lists.dense + first * sizes[0] * NUMBER,
                        lists.entry_row, lists.values, lists.starts, lists.n_samples,
                    )  # fmt: skip
            slopes = models.gradient
            invoke(
                models.weigh, n, models.average, models.importance + v * padded * VECTOR, models.sums,
                slopes + m * padded * VECTOR,
            )  # fmt: skip
            for first in range(0, padded, width):
                own_sums = models.sums + first // width * block_size
                invoke(models.product, slopes + first * VECTOR, padded, weights, padded, 1, own_sums, width, n, m)
            invoke(
                models.move, models.scalars + step * STEP, slopes, weights, models.first + v * rows,
                models.second + v * rows, rows // VECTOR,
            )  # fmt: skip
