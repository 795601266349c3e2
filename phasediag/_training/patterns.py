"""The engine for few features: patterns of activity are counted."""

import numpy as np

from .._compiling.structures import Structure
from .._compiling.vectors import LANES, aligned
from .cell_sums import cell_adder
from .cells import LINE_LEAST, MOST_ACTIVE, MOST_LEVELS, PATTERN, ROUND, draw_cells, geometry, n_levels, n_moments
from .outputs import LEAKY, LINEAR
from .pattern_law import BLOCK, draw_block, draw_counts, independent_patterns, pattern_law
from .sample_sums import accumulator
from .sgd import MODELS, beginner, finisher, train_independent, train_shared
from .streams import STATE, value_law
from .trainer import Trainer, blocks

PATTERN_BLOCK = 4096  # samples drawn together, so that they stay in the cache


class Patterns(Trainer):
    """Few features: lanes are models that share samples, or samples of one model."""

    most_models = 256

    def set_up(self):
        """Lay models out in vectors of sixteen; unused lanes hold models at rest."""
        chunk, n = self.chunk, self.n
        self.lay_out(n)
        known = isinstance(self.before, Patterns) and self.before.chunk.importance is chunk.importance
        self.importance = self.before.importance if known else self.in_lanes(chunk.importance)
        self.n_vectors = self.importance.size // (n * LANES)
        self.keys = np.resize(chunk.keys, (self.n_vectors * LANES, 2)) if self.independent else chunk.keys
        laws = (None if part is None else part.tobytes() for part in (chunk.density, chunk.patterns, chunk.values))
        self.drawn = chunk.batch_size, chunk.activation, self.independent, *laws  # on what the block depends
        self.follows = isinstance(self.before, Patterns) and self.before.drawn == self.drawn
        if self.follows:
            self.sizes, self.block = self.before.sizes, self.before.block
            return
        self.sizes = blocks(chunk.batch_size, PATTERN_BLOCK)
        most, few = int(self.sizes[0]), np.zeros(2**n, np.int64)
        probabilities = independent_patterns(chunk.density) if chunk.patterns is None else chunk.patterns
        law = pattern_law(tuple(probabilities.tolist()), tuple(sorted(set(self.sizes), reverse=True)))
        self.block = (self._block_of_one if self.independent else self._block_of_all)(
            n, most, law=law, draw_counts=draw_counts, sizes=self.sizes, n_blocks=self.sizes.size, few=few, counts=few.copy(),
            state=aligned(STATE, np.uint32), words=aligned(2 * most + LANES, np.uint32), **value_law(chunk.values, -1),
        )  # fmt: skip

    @staticmethod
    def _block_of_one(n, most, **entries):
        """Allocate the samples of one model, up to ``most`` of n features; return a `BLOCK`."""
        return Structure(BLOCK, begin=np.zeros(2**n, np.int64), values=aligned(n * most + LANES * n * 2**n), **entries)

    def _block_of_all(self, n, most, **entries):
        """Allocate the samples that models share, sorted into cells; return a `BLOCK`."""
        n_patterns = min(2**n - 1, most // LINE_LEAST)  # that are sorted
        groups = 2 * (n_patterns + most // LINE_LEAST)  # of sixteen cells
        uniform = self.chunk.values is None and self.chunk.activation != LEAKY  # what cells know of
        starts, _, lattice = geometry()
        return Structure(
            BLOCK,
            values=aligned(n * LANES * (most + 1 + ROUND * groups)),
            moments=aligned(n_moments(min(n, MOST_ACTIVE)) * LANES * groups),
            patterns=np.zeros(n_patterns, PATTERN),
            cells=np.zeros(2 * LANES * groups, np.int64),
            per_cell=aligned(2**MOST_LEVELS, np.int32),
            levels=n_levels(n, most, uniform),
            starts=starts,
            lattice=lattice,
            **entries,
        )

    def structure(self):
        """Return the `MODELS`."""
        n, m, activation, sums = self.n, self.m, self.chunk.activation, self.n * (self.n + 1) * LANES
        own = dict(penalties=self.penalties(), slopes=self.slopes(), **self.common())
        self.kernel = train_independent if self.independent else train_shared
        self.drawer = draw_block if self.independent else draw_cells
        self.alike = (
            self.moving,
            self.n_vectors,
            self.adam,
            self.chunk.penalty is not None,
            m,
        )  # on what the others depend besides
        if self.follows and self.before.alike == self.alike:
            return self.before.models.like(**own)
        return Structure(
            MODELS,
            **own,
            n_vectors=self.n_vectors,
            block=self.block,
            draw=self.drawer,
            begin=beginner(n, m, activation),
            accumulate=accumulator(n, activation, self.independent),
            add=cell_adder(n, activation != LINEAR),
            finish=finisher(n, m, self.moving, self.adam, self.chunk.penalty is not None),
            corners=geometry()[1],
            forms=aligned(sums + LANES),
            sums=aligned(sums if self.independent else self.n_vectors * sums),
            partial=aligned(sums),
        )

    def draw(self, step, part, model=0):
        """Draw one part of a minibatch into the block."""
        key = self.keys[model if self.independent else 0]
        self.drawer(self.block.address, key.ctypes.data, step, part)

    def minibatch(self, step, model):
        """Return the samples of one step of one model, shape (batch_size, n_features), pattern by pattern."""
        x = np.zeros((self.chunk.batch_size, self.n))
        shown = self._show_independent if self.independent else self._show_shared
        for part, end in enumerate(np.cumsum(self.sizes)):
            self.draw(step, part, model)
            for pattern, samples in shown():
                x[end - len(samples) : end, np.flatnonzero(pattern >> np.arange(self.n) & 1)] = -samples
                end -= len(samples)
        return x

    def _show_independent(self):
        """Yield each pattern of the block drawn and its negated samples, shape (count, k)."""
        block = self.block
        for pattern, start in zip(block.few[: block.n_few], block.begin, strict=False):
            k, count = block.law.n_active[pattern], block.counts[pattern]
            padded = -(-count // LANES) * LANES
            yield pattern, block.values[start : start + k * padded].reshape(k, padded)[:, :count].T

    def _show_shared(self):
        """Yield each pattern of the block drawn, cell by cell, and its negated samples, shape (count, k)."""
        block, filled = self.block, 0
        for pattern in block.few[: block.n_few]:
            size = block.law.n_active[pattern] * block.counts[pattern]
            yield pattern, block.values[filled : filled + size].reshape(block.counts[pattern], -1)
            filled += size
        for row in block.patterns[: block.n_sorted]:
            for samples in self.cells_of(row):
                yield row["pattern"], samples

    def cells_of(self, row):
        """Yield the negated samples, shape (count, k), of each cell of a pattern that is sorted, from its row of ``patterns``."""
        k, n_cells, values = row["n_active"], row["n_cells"], self.block.values
        if k == 1:
            drawn = values[row["values"] :][: row["n_rows"] * LANES].reshape(-1, LANES)
            yield from (lane[~np.isnan(lane)][:, None] for lane in drawn.T)
            return
        for rounds, start in self.block.cells[row["cells"] :][: 2 * n_cells].reshape(-1, 2):
            drawn = values[start:][: rounds * ROUND * k * LANES : LANES].reshape(-1, k)
            yield drawn[~np.isnan(drawn[:, 0])]
