"""What the engines that train a chunk of models have in common."""

from functools import lru_cache

import numpy as np

from .._compiling.vectors import LANES, aligned
from .optimizers import step_scalars


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


class Trainer:
    """What the engines have in common: parameters and moments in the engine's layout, and the scalars of every step.

    An engine's ``set_up`` lays out ``parameters``, its ``structure`` returns what its ``kernel`` takes the address of,
    ``current`` gives weights (n_models, n_hidden, n_features) and biases (n_models, n_features) back, ``minibatch`` the samples
    of a step.
    """

    def __init__(self, chunk):
        """Lay the models of a `Chunk` out, at rest before their first step."""
        self.chunk = chunk
        self.n_models, self.m, self.n = chunk.weights.shape
        self.adam = chunk.optimizer != "sgd"
        self.scalars = _scalars(chunk.optimizer, chunk.schedule, chunk.learning_rate, chunk.weight_decay, chunk.n_steps)
        self.independent = chunk.independent
        self.average = np.float32(2 / (chunk.batch_size * self.n))
        self.set_up()
        self.first, self.second = aligned(self.parameters.size), aligned(self.parameters.size)
        self.models = self.structure()
        # a call of the kernel should last some tenths of a second, so that it can be stopped between two
        work = self.n_models * chunk.batch_size * (1 + self.m * self.n / 8)
        self.stride = max(1, int(2e9 / work))

    def common(self):
        """Return the entries that the structures of all engines share, by name."""
        chunk = self.chunk
        return dict(
            n=self.n, m=self.m, relu=chunk.relu, average=self.average, parameters=self.parameters, first=self.first,
            second=self.second, importance=self.importance, scalars=self.scalars, keys=self.keys,
        )  # fmt: skip

    def advance(self, start, stop):
        """Train from step ``start`` to ``stop``."""
        self.kernel(self.models.address, start, stop)
