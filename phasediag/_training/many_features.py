"""The engines that train a chunk of models of many features: their arrays, and the minibatches they draw."""

from functools import lru_cache

import numpy as np

from .._compiling.structures import Structure
from .._compiling.vectors import LANES, aligned
from . import batched, exceptions, sgd_batched, sgd_dense, sgd_moments
from .lists import BITS, LIST_BLOCK, LISTS, RARE, WAYS, draw_lists
from .optimizers import mover
from .outputs import LINEAR
from .pattern_law import alias_table, binomial_law
from .products import add_outer, multiply
from .sgd_dense import STRIDE, TILE
from .streams import STATE, value_law, word_limits
from .trainer import Trainer, blocks

FITTING, PIECE, FEWEST = 4096, 64, 128
"""Values of samples that stay in the cache beside their errors; samples are taken in so many pieces, not fewer than the last."""
ROOM = 2**18  # float32 numbers of samples that the dense engine keeps to share among models


def at_once(n):
    """Return how many samples of a tile n features are taken together: those whose values and errors stay in the cache."""
    few = FITTING // n // PIECE * PIECE
    return min(few, TILE) if few >= FEWEST else TILE


class Dense(Trainer):
    """Many features, dense minibatches: one model after another, lanes are samples."""

    lanes, most_models = 1, 64

    def set_up(self):
        """Lay models out one after another, rows of weights and biases padded to whole vectors."""
        self.keys, self.importance = self.chunk.keys, self.in_lanes(self.chunk.importance)
        self.lay_out(-(-self.n // LANES) * LANES)

    def structure(self):
        """Return the `sgd_dense.MODELS`."""
        n, m, tiles = self.n, self.m, -(-self.chunk.batch_size // TILE)
        room = tiles if tiles * n * STRIDE <= ROOM else 1
        self.drawer = sgd_dense.draw_tile
        return Structure(
            sgd_dense.MODELS,
            **self.common(),
            moving=self.moving,
            width=self.columns,
            n_models=self.n_models,
            batch_size=self.chunk.batch_size,
            room=room,
            at_once=at_once(n),
            key_step=self.keys.strides[0] if self.independent else 0,
            draw=self.drawer,
            product=multiply,
            penalise=sgd_dense.add_penalty if self.chunk.penalty is not None else 0,
            penalties=self.penalties(),
            slopes=self.slopes(),
            square=aligned(m * m),
            move=mover(self.adam),
            **self._law(),
            state=aligned(STATE, np.uint32),
            x=aligned(self.columns * STRIDE * room),
            h=aligned(m * STRIDE),
            e=aligned(n * STRIDE),
            gradient=aligned((m + 1) * self.columns),
            **self._sums(room),
        )

    def _sums(self, room):
        """Return the entries of the structure that say how gradients are summed, by name; ``room`` tiles are kept."""
        self.kernel = sgd_dense.train_dense
        return {
            "errors": sgd_dense.subtract,
            "outer": add_outer,
            "d": aligned(self.m * STRIDE),
            "sums": aligned((self.m + 1) * self.n * LANES),
        }

    def _law(self):
        """Return the entries of the structure that say how samples are drawn, by name."""
        if self.chunk.gates is None:
            most = word_limits(self.chunk.density)
            return {"most": most, "scale": ((1 - 2.0**-23) / (most + 1.0)).astype(np.float32)}
        gates, low, high = self.chunk.gates
        least, most = (np.rint(edge * 2.0**32) for edge in (low, high))
        most = np.where(low == 0, np.maximum(most, 1), most) - 1
        never = most < least
        uniform = np.array([[0.0], [1.0], [1.0]])
        return {
            "gates": gates.astype(np.int64),
            "least": np.where(never, 1, least).astype(np.uint32),
            "most": np.where(never, 0, most).astype(np.uint32),
            "words": aligned(self.n * STRIDE, np.uint32),
            **value_law(uniform if self.chunk.values is None else self.chunk.values, 1),
        }

    def minibatch(self, step, model):
        """Return the samples of one step of one model, shape (batch_size, n_features)."""
        batch_size, tiles, x = self.chunk.batch_size, [], self.models.x
        key = self.keys[model if self.independent else 0]
        for tile in range(-(-batch_size // TILE)):
            self.drawer(self.models.address, key.ctypes.data, step, tile, x.ctypes.data)
            tiles.append(x[: self.n * STRIDE].reshape(self.n, STRIDE)[:, :TILE].T.astype(np.float64))
        return np.concatenate(tiles)[:batch_size]


class Moments(Dense):
    """The same, where the minibatch's second moments are worth their while."""

    def _sums(self, room):
        """Return the entries of the structure that say how gradients are summed, by name; ``room`` tiles are kept."""
        self.kernel = sgd_moments.train_by_moments
        n, m, width = self.n, self.m, self.columns
        sizes = {"rows": room * TILE * width, "moments": width * width, "part": width * width, "excess": n * width}
        sizes |= {"linear": m * width, "facing": (m + 1) * width, "sums": n * LANES}
        sizes |= dict.fromkeys(("means", "passes", "sides", "by_output", "by_value", "level"), width)
        lists = {"passing": (n, np.int64), "counts": (n, np.int64), "index": (n * STRIDE, np.uint32)}
        return {
            **{name: getattr(exceptions, name) for name in ("find", "add_rows", "transpose", "symmetrise")},
            **{name: getattr(sgd_moments, name) for name in ("gather", "mirror", "face", "add_exceptions", "sum_up")},
            **{name: aligned(size) for name, size in sizes.items()},
            **{name: np.zeros(*one) for name, one in lists.items()},
            "every": np.arange(TILE, dtype=np.uint32),
            "ones": np.ones(TILE, np.float32),
        }


@lru_cache(maxsize=8)
def rarity_tables(density, sizes):
    """Return the alias tables of how often each feature is active in a block, by their names in `LISTS`; cached for chunks.

    ``table``, shape (n,), is each feature's, ``table_start`` (2, n_tables + 1) where each begins by size of block, ``cut`` and
    ``alias`` are their entries. Where features are not rare there are none.
    """
    densities, table = np.unique(density if np.mean(density) <= RARE else (), return_inverse=True)
    tables = [[alias_table(binomial_law(size, p)) for p in densities] for size in sizes]
    flat = [one for row in tables for one in row]
    begin = np.arange(len(densities) + 1)
    start = np.stack([begin * (sizes[0] + 1), begin * (sizes[1] + 1) + len(densities) * (sizes[0] + 1)])
    cut, alias = (np.concatenate([np.zeros(0, kind), *(one[i] for one in flat)]) for i, kind in enumerate((float, int)))
    table = table.astype(np.int64)
    return {"n_tables": len(densities), "table": table, "table_start": start, "cut": cut, "alias": alias}


class Batched(Trainer):
    """Many features, sparse minibatches that models share: lanes are models."""

    most_models = 64

    def set_up(self):
        """Lay models out in lanes, outputs padded to whole blocks; unused lanes hold models at rest."""
        chunk, n = self.chunk, self.n
        self.width, self.keys = sgd_batched.block_width(n, self.lanes), chunk.keys
        self.lay_out(-(-n // self.width) * self.width)
        self.importance = self.in_lanes(np.pad(chunk.importance, ((0, 0), (0, self.columns - n))))
        self.sizes = blocks(chunk.batch_size, LIST_BLOCK)
        self.lists = self._lists(n, self.width, int(self.sizes[0]), int(self.sizes[-1]))

    def _lists(self, n, width, most, least):
        """Allocate the lists of blocks of ``most`` or ``least`` samples; return the `LISTS`."""
        density, feature, block = self.chunk.density, np.arange(n), -(-most // LANES) * LANES
        n_words = max(2 * n, block) + LANES
        arrays = {"tally": WAYS * (n + 2), "order": block, "starts": block + 1, "entry_row": n * block, "entry_place": n * block}
        return Structure(
            LISTS,
            n=n,
            sizes=self.sizes,
            most=word_limits(density),
            row=width * self.lanes,
            stride=width,
            column=feature // width * width * most + feature % width,
            state=aligned(STATE, np.uint32),
            n_drawn=n_words // LANES * LANES,
            words=aligned(n_words, np.uint32),
            masks=aligned(block * -(-n // BITS), np.uint32),
            found=aligned(block, np.uint32),
            dense=aligned(most * self.columns),
            values=aligned(n * block),
            **rarity_tables(tuple(density), (most, least)),
            **{name: np.zeros(size, np.int64) for name, size in arrays.items()},
        )

    def structure(self):
        """Return the `sgd_batched.MODELS`."""
        shape, relu = (self.width, self.lanes), self.chunk.activation != LINEAR
        forms = (self.n + 1) * self.width * self.lanes
        self.kernel, self.drawer = sgd_batched.train_batched, draw_lists
        return Structure(
            sgd_batched.MODELS,
            **self.common(),
            moving=self.moving,
            lanes=self.lanes,
            width=self.width,
            padded=self.columns,
            n_groups=-(-self.n_models // self.lanes),
            n_parts=self.sizes.size,
            key_step=self.keys.strides[0] if self.independent else 0,
            lists=self.lists,
            draw=self.drawer,
            product=batched.product(*shape),
            prepare=batched.preparer(*shape, relu),
            add=batched.adder(*shape, relu),
            weigh=batched.weigher(*shape),
            move=mover(self.adam),
            forms=aligned(forms),
            sums=aligned(forms * self.columns // self.width),
            gradient=aligned((self.m + 1) * self.columns * self.lanes),
        )

    def minibatch(self, step, model):
        """Return the samples of one step of one model, shape (batch_size, n_features), those with fewest features first."""
        x, lists, key = np.zeros((self.chunk.batch_size, self.n)), self.lists, self.keys[model if self.independent else 0]
        for part in range(self.sizes.size):
            self.drawer(lists.address, key.ctypes.data, step, part)
            samples = np.repeat(np.arange(lists.n_samples), np.diff(lists.starts[: lists.n_samples + 1]))
            rows = lists.entry_row[: lists.n_entries]
            x[self.sizes[:part].sum() + samples, rows // (self.width * self.lanes)] = -lists.values[: lists.n_entries]
        return x


class Sparse(Batched):
    """The same for models of their own minibatches, or few: one model after another, lanes are outputs."""

    lanes = 1
