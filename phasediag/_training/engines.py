"""What engines that train a chunk of models have in common, and the engine for few features."""

from functools import lru_cache

import numpy as np

from .._compiling.jit import address
from .._compiling.vectors import LANES, aligned
from .cells import FIELDS, LINE_LEAST, MOST_ACTIVE, MOST_LEVELS, ROUND, draw_cells, geometry, n_levels, n_moments
from .optimizers import step_scalars
from .sgd import routines, train_independent, train_shared
from .streams import STATE, PatternLaw, draw_block

PATTERN_BLOCK = 4096  # samples drawn together, so that they stay in the cache


def blocks(batch_size, most):
    """Return the sizes of the fewest blocks of at most ``most`` samples, the larger ones first."""
    count = -(-batch_size // most)
    return np.array([batch_size // count + (i < batch_size % count) for i in range(count)])


def in_lanes(rows):
    """Return one row per model as vectors of sixteen models, padded by models of zeros."""
    n_models, size = rows.shape
    padded = np.zeros((-(-n_models // LANES) * LANES, size))
    padded[:n_models] = rows
    array = aligned(padded.size)
    array[:] = padded.reshape(-1, LANES, size).transpose(0, 2, 1).ravel()
    return array


def out_of_lanes(array, n_models, size):
    """Return one row of ``size`` numbers per model from vectors of sixteen models."""
    return array.reshape(-1, size, LANES).transpose(0, 2, 1).reshape(-1, size)[:n_models]


@lru_cache(maxsize=8)
def _scalars(*arguments):
    """Return `step_scalars` as kernels take them; chunks of one run share them."""
    with np.errstate(over="ignore"):  # infinite in single precision: models diverge, and are said to
        return step_scalars(*arguments).astype(np.float32).ravel()


@lru_cache(maxsize=8)
def _pattern_law(feature_density, block_sizes):
    """Return the arrays of a `PatternLaw`; chunks of one density share them."""
    return PatternLaw(feature_density, block_sizes).arrays()


class Trainer:
    """What the engines have in common: parameters and moments in the engine's layout, and the scalars of every step."""

    def __init__(self, chunk):
        self.chunk = chunk
        self.n_models, self.m, self.n = chunk.weights.shape
        self.adam = chunk.optimizer != "sgd"
        self.scalars = _scalars(chunk.optimizer, chunk.schedule, chunk.learning_rate, chunk.weight_decay, chunk.n_steps)
        self.independent = chunk.independent
        self.average = np.float32(2 / (chunk.batch_size * self.n))
        self.set_up()
        self.first, self.second = aligned(self.parameters.size), aligned(self.parameters.size)
        # a call of the kernel should last some tenths of a second, so that it can be stopped between two
        work = self.n_models * chunk.batch_size * (1 + self.m * self.n / 8)
        self.stride = max(1, int(2e9 / work))


class Patterns(Trainer):
    """Few features: patterns of activity are counted, lanes are models that share samples or samples of one model."""

    drawer = None  # the address of `draw_cells`, for types of arguments that are always the same and take a millisecond to find

    def set_up(self):
        """Lay models out in vectors of sixteen; unused lanes hold models at rest."""
        chunk, n, m = self.chunk, self.n, self.m
        self.parameters = in_lanes(np.concatenate([chunk.weights.reshape(-1, m * n), chunk.bias], axis=1))
        self.importance = in_lanes(chunk.importance)
        n_vectors = self.importance.size // (n * LANES)
        self.keys = np.resize(chunk.keys, (n_vectors * LANES, 2)) if self.independent else chunk.keys
        self.sizes = blocks(chunk.batch_size, PATTERN_BLOCK)
        self.patterns = _pattern_law(tuple(chunk.density), tuple(sorted(set(self.sizes), reverse=True)))
        self.routines = routines(n, m, chunk.relu, self.adam, self.independent)
        set_up = self._set_up_independent if self.independent else self._set_up_shared
        set_up(n, int(self.sizes[0]), aligned(STATE, np.uint32), aligned(2 * self.sizes[0] + LANES, np.uint32))
        sums = n * (n + 1) * LANES
        self.work = (aligned(sums), aligned(n_vectors * sums), aligned(sums))

    def _set_up_independent(self, n, block, state, words):
        """Allocate the samples of one model."""
        counts, begin, present = (np.zeros(2**n, np.int64) for _ in range(3))
        self.law, self.kernel = self.patterns, train_independent
        self.space = (state, words, aligned(n * block + LANES * n * 2**n), counts, begin, present)

    def _set_up_shared(self, n, block, state, words):
        """Allocate the samples that models share, sorted into cells."""
        self.law, self.kernel = (self.patterns, n_levels(n, block), geometry()), train_shared
        most = min(2**n - 1, block // LINE_LEAST)  # patterns that are sorted
        groups = 2 * (most + block // LINE_LEAST)  # of sixteen cells
        values = aligned(n * LANES * (block + 1 + ROUND * groups))
        moments = aligned(n_moments(min(n, MOST_ACTIVE)) * LANES * groups)
        tables = np.zeros(2**n, np.int64), np.zeros(FIELDS * most, np.int64), np.zeros(2 * LANES * groups, np.int64)
        held, found = aligned(2**MOST_LEVELS, np.int32), np.zeros(2, np.int64)
        self.space = (state, words, np.zeros(2**n, np.int64), values, moments, *tables, held, found)
        if Patterns.drawer is None:
            Patterns.drawer = address(draw_cells, self.keys[0], 0, 0, self.sizes, *self.law, self.space)
        self.routines += (Patterns.drawer,)

    def minibatch(self, step, model):
        """Return the samples of one step of one model, shape (batch_size, n_features), pattern by pattern."""
        x = np.zeros((self.chunk.batch_size, self.n))
        shown = self._show_independent if self.independent else self._show_shared
        for block, end in enumerate(np.cumsum(self.sizes)):
            for features, samples in shown(step, block, model):
                x[end - len(samples) : end, features] = -samples
                end -= len(samples)
        return x

    def _show_independent(self, step, block, model):
        """Yield (features, negated samples) of each pattern of one model's block."""
        n_present = draw_block(self.keys[model], step, block, self.sizes, self.law, self.space)
        _, _, values, counts, begin, present = self.space
        for pattern, start in zip(present[:n_present], begin[:n_present], strict=True):
            k, count = self.law[0][pattern], counts[pattern]
            padded = -(-count // LANES) * LANES
            yield self._features(pattern), values[start : start + k * padded].reshape(k, padded)[:, :count].T

    def _show_shared(self, step, block, model):
        """Yield (features, negated samples) of each pattern of a block, cell by cell."""
        draw_cells(self.keys[0], step, block, self.sizes, *self.law, self.space)
        _, _, counts, values, _, few, patterns, cells, _, (n_few, n_sorted) = self.space
        filled = 0
        for pattern in few[:n_few]:
            size = self.patterns[0][pattern] * counts[pattern]
            yield self._features(pattern), values[filled : filled + size].reshape(counts[pattern], -1)
            filled += size
        for pattern, k, n_cells, _, _, first in patterns[: n_sorted * FIELDS].reshape(-1, FIELDS):
            listed = cells[first : first + 2 * n_cells].reshape(-1, 2)
            if k == 1:
                drawn = values[first : first + n_cells * LANES]
                yield self._features(pattern), drawn[~np.isnan(drawn)][:, None]
                continue
            for rounds, start in listed:
                drawn = values[start:][: rounds * ROUND * k * LANES : LANES].reshape(-1, k)
                yield self._features(pattern), drawn[~np.isnan(drawn[:, 0])]

    def _features(self, pattern):
        """Return the active features of a pattern."""
        return np.flatnonzero(pattern >> np.arange(self.n) & 1)

    def advance(self, start, stop):
        """Train from step ``start`` to ``stop``."""
        self.kernel(
            self.n, self.m, self.chunk.relu, self.average, self.routines, self.parameters, self.first, self.second,
            self.importance, self.keys, start, stop, self.sizes, self.law, self.scalars, self.space, self.work,
        )  # fmt: skip

    def current(self):
        """Return the models' weights and biases."""
        size = (self.m + 1) * self.n
        rows = out_of_lanes(self.parameters, self.n_models, size)
        return rows[:, : -self.n].reshape(self.n_models, self.m, self.n), rows[:, -self.n :]
