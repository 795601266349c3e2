"""The engines that train a chunk of models of many features: their arrays, and the minibatches they draw."""

from functools import lru_cache

import numpy as np

from .._compiling.vectors import LANES
from . import batched
from .engines import Trainer, aligned, blocks, in_lanes, out_of_lanes
from .lists import BITS, BLOCK, RARE, WAYS, draw_lists
from .optimizers import mover
from .products import outer, product
from .sgd_batched import block_width, train_batched
from .sgd_dense import STRIDE, TILE, draw_tile, errors, train_dense
from .streams import STATE, alias_table, binomial_law

ROOM = 2**18  # float32 numbers of samples that the dense engine keeps to share among models


def word_limits(density):
    """Return up to which random word of 32 bits a feature of each density is active."""
    return (np.clip(np.rint(density * 2.0**32), 1, 2.0**32) - 1).astype(np.uint32)


class Dense(Trainer):
    """Many features, dense minibatches: one model after another, lanes are samples."""

    def set_up(self):
        """Lay models out one after another, rows of weights and biases padded by zeros to whole vectors; allocate tiles."""
        chunk, n, m = self.chunk, self.n, self.m
        self.width = -(-n // LANES) * LANES
        self.parameters = aligned(self.n_models * (m + 1) * self.width)
        weights, bias = self.current()
        weights[:], bias[:] = chunk.weights, chunk.bias
        self.importance = aligned(self.n_models * n)
        self.importance[:] = chunk.importance.ravel()
        tiles = -(-self.chunk.batch_size // TILE)
        self.x = aligned(n * STRIDE * (tiles if tiles * n * STRIDE <= ROOM else 1))
        most = word_limits(self.chunk.density)
        self.law = (most, ((1 - 2.0**-23) / (most + 1.0)).astype(np.float32))
        sizes = (m * STRIDE, n * STRIDE, m * STRIDE, (m + 1) * n * LANES, (m + 1) * self.width)
        self.work = tuple(aligned(size) for size in sizes)
        self.state = aligned(STATE, np.uint32)
        made = (mover(self.adam), product(), errors(), outer())
        self.routines = tuple(one.address for one in made)

    def minibatch(self, step, model):
        """Return the samples of one step of one model, shape (batch_size, n_features)."""
        batch_size, tiles = self.chunk.batch_size, []
        key = self.chunk.keys[model if self.independent else 0]
        for t in range(-(-batch_size // TILE)):
            draw_tile(key, step, t, self.law, self.state, self.x, 0)
            tiles.append(self.x[: self.n * STRIDE].reshape(self.n, STRIDE)[:, :TILE].T.astype(np.float64))
        return np.concatenate(tiles)[:batch_size]

    def advance(self, start, stop):
        """Train from step ``start`` to ``stop``."""
        chunk = self.chunk
        train_dense(
            self.n, self.m, chunk.relu, self.average, self.routines, self.parameters, self.first, self.second,
            self.importance, chunk.keys, start, stop, chunk.batch_size, self.law, self.scalars, self.state, self.x,
            self.work,
        )  # fmt: skip

    def current(self):
        """Return the models' weights and biases."""
        rows = self.parameters.reshape(self.n_models, self.m + 1, self.width)[:, :, : self.n]
        return rows[:, :-1], rows[:, -1]


@lru_cache(maxsize=8)
def rarity_tables(density, sizes):
    """Return the alias tables of how often each feature is active in a block, as `draw_lists` takes them; cached for chunks.

    Returns
    -------
    tuple
        The first block's size, each feature's table (none where features are not rare), where tables begin by size of block,
        shape (2, n_tables + 1), and their entries.
    """
    rare = np.mean(density) <= RARE
    densities, table = np.unique(density if rare else (), return_inverse=True)
    tables = [[alias_table(binomial_law(size, p)) for p in densities] for size in sizes]
    flat = [one for row in tables for one in row]
    begin = np.arange(len(densities) + 1)
    start = np.stack([begin * (sizes[0] + 1), begin * (sizes[1] + 1) + len(densities) * (sizes[0] + 1)])
    cut, alias = (np.concatenate([np.zeros(0, kind), *(one[i] for one in flat)]) for i, kind in enumerate((float, int)))
    return sizes[0], table.astype(np.int64), start, cut, alias


class Batched(Trainer):
    """Many features, sparse minibatches that models share: lanes are models."""

    def set_up(self):
        """Lay models out in vectors of sixteen, outputs padded to whole blocks; unused lanes hold models at rest."""
        chunk, n, m = self.chunk, self.n, self.m
        self.width = block_width(n)
        self.padded = -(-n // self.width) * self.width
        rows = np.zeros((self.n_models, m + 1, self.padded))
        rows[:, :m, :n], rows[:, m, :n] = chunk.weights, chunk.bias
        self.parameters = in_lanes(rows.reshape(self.n_models, -1))
        self.importance = in_lanes(np.pad(chunk.importance, ((0, 0), (0, self.padded - n))))
        feature = np.arange(n)
        place = feature // self.width * self.width * blocks(chunk.batch_size, BLOCK)[0]
        self._set_up_lists(self.width * LANES, self.width, place + feature % self.width)
        forms = (n + 1) * self.width * LANES
        self.work = tuple(aligned(size) for size in (forms, forms * self.padded // self.width, (m + 1) * self.padded * LANES))
        made = (
            batched.product(self.width), batched.preparer(self.width, chunk.relu), batched.adder(self.width, chunk.relu),
            batched.weigher(self.width), mover(self.adam),
        )  # fmt: skip
        self.routines = tuple(one.address for one in made)

    def _set_up_lists(self, row, stride, column):
        """Allocate the lists; arguments as of the layout in `draw_lists`."""
        n, self.sizes = self.n, blocks(self.chunk.batch_size, BLOCK)
        block = -(-int(self.sizes[0]) // LANES) * LANES
        density, sizes = tuple(self.chunk.density), (int(self.sizes[0]), int(self.sizes[-1]))
        self.law, self.layout = (word_limits(self.chunk.density), rarity_tables(density, sizes)), (row, stride, column)
        integers = (WAYS * (n + 2), block, block + 1, n * block, n * block)
        self.space = (
            aligned(STATE, np.uint32), aligned(max(2 * n, block) + LANES, np.uint32),
            aligned(block * -(-n // BITS), np.uint32), aligned(block, np.uint32),
            aligned(int(self.sizes[0]) * -(-n // stride) * stride), aligned(n * block),
            *(np.zeros(length, np.int64) for length in integers),
        )  # fmt: skip

    def minibatch(self, step, model):
        """Return the samples of one step of one model, shape (batch_size, n_features), those with fewest features first."""
        x = np.zeros((self.chunk.batch_size, self.n))
        for block, end in enumerate(np.cumsum(self.sizes)):
            size = self.sizes[block]
            n_samples, n_entries = draw_lists(self.chunk.keys[0], step, block, size, self.law, self.layout, 0, self.space)
            *_, dense, values, _, _, starts, rows, places = self.space
            samples = np.repeat(np.arange(n_samples), np.diff(starts[: n_samples + 1]))
            x[end - size + samples, rows[:n_entries] // self.layout[0]] = -values[:n_entries]
            dense[places[:n_entries]] = 0
        return x

    def advance(self, start, stop):
        """Train from step ``start`` to ``stop``."""
        train_batched(
            self.n, self.m, self.width, self.average, self.routines, self.parameters, self.first, self.second,
            self.importance, self.chunk.keys, start, stop, self.sizes, self.law, self.layout, self.scalars, self.space, self.work,
        )  # fmt: skip

    def current(self):
        """Return the models' weights and biases."""
        rows = out_of_lanes(self.parameters, self.n_models, (self.m + 1) * self.padded)
        rows = rows.reshape(self.n_models, self.m + 1, self.padded)[:, :, : self.n]
        return rows[:, :-1], rows[:, -1]
