"""Portions of a diagram that are trained: models of one density and one replicate over a stretch of importances.

A portion says in a few numbers what to train, so that it is cheap to send anywhere, and its models depend on nothing else:
neither on how the diagram was divided nor on the rest of the grid.
"""

from dataclasses import dataclass

import numpy as np

from ..model import cell_controls
from .chunks import CHUNK_OPTIONS, Chunk, together
from .streams import MINIBATCHES, STARTS, spread_of_starts, stream_key

MOST_WORK = 4e10
"""Work of a portion, in samples times operations per sample, rounded up to whole vectors of models: some seconds."""
PORTIONS_PER_THREAD = 4
GOLDEN = (5**0.5 - 1) / 2  # its multiples modulo 1 are spread evenly


@dataclass(frozen=True, eq=False)
class Portion:
    """Models ``start`` … ``start + importance.size − 1`` along the importance axis, at one density, of one replicate.

    Attributes
    ----------
    row, replicate, start : int
        Place in the diagram.
    density : float
    importance : ndarray, shape (n_models,)
    n_features, n_hidden : int
    activation : str
    options : dict
        batch_size, optimizer, schedule, learning_rate, weight_decay, n_steps, seed and independent, as of `train`.
    """

    row: int
    replicate: int
    start: int
    density: float
    importance: np.ndarray
    n_features: int
    n_hidden: int
    activation: str
    options: dict

    @property
    def place(self):
        """Where the portion's models lie in arrays of shape (n_density, n_seeds, n_importance, …)."""
        return self.row, self.replicate, slice(self.start, self.start + self.importance.size)

    def chunk(self):
        """Return the portion's models with their starting points and streams.

        A starting point is drawn for each (seed, density, importance, replicate), a stream of minibatches for each (seed,
        density, replicate) or, if independent, for each model.
        """
        seed, n, m = self.options["seed"], self.n_features, self.n_hidden
        at, cells = _word(self.density), [_word(x) for x in self.importance]
        weights = np.empty((len(cells), m, n))
        for i, cell in enumerate(cells):
            sequence = np.random.SeedSequence(seed, spawn_key=(STARTS, at, self.replicate, cell))
            weights[i] = np.random.default_rng(sequence).normal(size=(m, n)) * spread_of_starts(m, n)
        streams = [(cell,) for cell in cells] if self.options["independent"] else [()]
        controls = cell_controls(n, self.importance, self.density)
        return Chunk(
            importance=np.ascontiguousarray(controls[:, :n]),
            density=controls[0, n:],
            relu=self.activation == "relu",
            weights=weights.astype(np.float32),
            bias=np.zeros((len(cells), n), np.float32),
            independent=self.options["independent"],
            keys=np.array([stream_key(seed, MINIBATCHES, at, self.replicate, *cell) for cell in streams]),
            recorded=(self.options["n_steps"],),
            **{name: self.options[name] for name in CHUNK_OPTIONS},
        )


def train_portion(portion, stopped=lambda: False):
    """Return the final (weights, bias) of a portion's models, float32; None when ``stopped`` answered true."""
    trained = portion.chunk().train(stopped)
    return None if trained is None else tuple(x[-1] for x in trained)


def divide(n_features, n_hidden, activation, importance, density, n_seeds, options, n_threads):
    """Return all portions of a diagram; rows come in an order that mixes densities, so that time left can be foretold."""
    first = Portion(0, 0, 0, float(density[0]), importance[:1], n_features, n_hidden, activation, options)
    work = options["n_steps"] * options["batch_size"] * (1 + n_features * n_hidden / 8)
    wanted = -(-PORTIONS_PER_THREAD * n_threads // (density.size * n_seeds))  # of each row and replicate
    size = together(first.chunk(), min(max(1, int(MOST_WORK / work)), -(-importance.size // wanted)))
    return [
        Portion(
            row, replicate, start, float(density[row]), importance[start : start + size], n_features, n_hidden, activation,
            options,
        )
        for row in sorted(range(density.size), key=lambda row: row * GOLDEN % 1)
        for replicate in range(n_seeds)
        for start in range(0, importance.size, size)
    ]  # fmt: skip


def _word(value):
    """Return the 64 bits of a float64 as an int."""
    return int(np.float64(value).view(np.uint64))
