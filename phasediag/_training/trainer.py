"""What the engines that train a chunk of models have in common."""

from functools import lru_cache

import numpy as np

from .._compiling.vectors import LANES, aligned
from .optimizers import step_scalars


def blocks(batch_size, most):
    """Return the sizes of the fewest blocks of at most ``most`` samples, the larger ones first."""
    count = -(-batch_size // most)
    return np.array([batch_size // count + (i < batch_size % count) for i in range(count)])


@lru_cache(maxsize=8)
def _scalars(*arguments):
    """Return `step_scalars` as kernels take them; chunks of one run share them."""
    with np.errstate(over="ignore"):  # infinite in single precision: models diverge, and are said to
        return step_scalars(*arguments).astype(np.float32).ravel()


class Trainer:
    """What the engines have in common: parameters and moments in the engine's layout, and the scalars of every step.

    An engine's ``set_up`` chooses ``keys`` and, by `lay_out`, ``parameters``, its ``structure`` returns what its ``kernel`` takes
    the address of, ``minibatch`` gives the samples of a step. ``lanes`` models lie side by side, at most ``most_models`` in all.
    """

    lanes = LANES

    def __init__(self, chunk, before=None):
        """Lay the models of a `Chunk` out, at rest before their first step.

        ``before``: a trainer that is done when this one begins, whose working arrays may be taken over.
        """
        self.chunk, self.before = chunk, before
        self.n_models, self.m, self.n = chunk.weights.shape
        self.adam, self.moving = chunk.optimizer != "sgd", self.m + chunk.biased  # rows of parameters that move
        self.scalars = _scalars(chunk.optimizer, chunk.schedule, chunk.learning_rate, chunk.weight_decay, chunk.n_steps)
        self.independent = chunk.independent
        self.average = np.float32(2 / (chunk.batch_size * self.n))
        self.set_up()
        moments = aligned(2 * self.parameters.size)
        self.first, self.second = moments[: self.parameters.size], moments[self.parameters.size :]
        self.models, self.before = self.structure(), None
        # a call of the kernel should last some tenths of a second, so that it can be stopped between two
        work = self.n_models * chunk.batch_size * (1 + self.m * self.n / 8)
        self.stride = max(1, int(2e9 / work))

    def in_lanes(self, rows):
        """Return one row per model as vectors of ``lanes`` models, padded by models of zeros."""
        padded = np.zeros((len(rows) + -len(rows) % self.lanes, rows.shape[1]), np.float32)
        padded[: len(rows)] = rows
        array = aligned(padded.size)
        array.reshape(-1, rows.shape[1], self.lanes)[:] = padded.reshape(-1, self.lanes, rows.shape[1]).transpose(0, 2, 1)
        return array

    def lay_out(self, columns):
        """Lay weights and biases out in rows of ``columns``, padded by zeros."""
        rows = np.zeros((self.n_models, self.m + 1, columns), np.float32)
        rows[:, :-1, : self.n], rows[:, -1, : self.n] = self.chunk.weights, self.chunk.bias
        self.columns, self.parameters = columns, self.in_lanes(rows.reshape(self.n_models, -1))

    def current(self):
        """Return the models' weights (n_models, n_hidden, n_features) and biases (n_models, n_features)."""
        rows = self.parameters.reshape(-1, (self.m + 1) * self.columns, self.lanes).transpose(0, 2, 1)
        rows = rows.reshape(-1, self.m + 1, self.columns)[: self.n_models, :, : self.n]
        return rows[:, :-1], rows[:, -1]

    def penalties(self):
        """Return what penalties add to the sums over a minibatch, B γ and 2 B λ of each model, in lanes; zeros for none."""
        penalty = self.chunk.penalty
        return self._rest(2) if penalty is None else self.in_lanes(penalty * self.chunk.batch_size * [1, 2])

    def slopes(self):
        """Return the slopes of leaky outputs, in lanes; zeros where there are none."""
        return self._rest(1) if self.chunk.slope is None else self.in_lanes(self.chunk.slope[:, None])

    def _rest(self, count):
        """Return ``count`` zeros of each model, in lanes."""
        return aligned(-(-self.n_models // self.lanes) * self.lanes * count)

    def common(self):
        """Return the entries that the structures of all engines share, by name."""
        chunk = self.chunk
        return dict(
            n=self.n, m=self.m, activation=chunk.activation, average=self.average, parameters=self.parameters,
            first=self.first, second=self.second, importance=self.importance, scalars=self.scalars, keys=self.keys,
        )  # fmt: skip

    def advance(self, start, stop):
        """Train from step ``start`` to ``stop``."""
        self.kernel(self.models.address, start, stop)
