"""Portions of a diagram that are trained: models of one row, one replicate and one law of inputs, over a stretch of columns.

A portion says in a few numbers what to train, so that it is cheap to send anywhere, and its models depend on nothing else:
neither on how the diagram was divided nor on the rest of the grid.
"""

from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..forms import Form
from .chunks import CHUNK_OPTIONS, Chunk, completed, law_of, together
from .starting_weights import normal_numbers
from .streams import MINIBATCHES, STARTS, spread_of_starts, stream_key

MOST_WORK = 4e10
"""Work of a portion, in samples times operations per sample, rounded up to whole vectors of models: some seconds."""
PORTIONS_PER_THREAD = 4
GOLDEN = (5**0.5 - 1) / 2  # its multiples modulo 1 are spread evenly


@dataclass(frozen=True, eq=False)
class Portion:
    """Models ``start`` … ``start + x.size − 1`` of a row of a plane, of one law of inputs and one replicate.

    Attributes
    ----------
    row, replicate, start : int
        Place in the diagram.
    y : float
    x : ndarray, shape (n_models,)
        Where in the plane.
    form : Form
    controls : ndarray, shape (n_models, n_controls)
        Models differ by importance, penalty and slope alone.
    options : dict
        batch_size, optimizer, schedule, learning_rate, weight_decay, n_steps, seed and independent, as of `train`.
    """

    row: int
    replicate: int
    start: int
    y: float
    x: np.ndarray
    form: Form
    controls: np.ndarray
    options: dict

    @property
    def work(self):
        """Samples times operations per sample."""
        return self.x.size * self.options["n_steps"] * self.options["batch_size"] * operations(self.form)

    @property
    def place(self):
        """Where the portion's models lie in arrays of shape (n_y, n_seeds, n_x, …)."""
        return self.row, self.replicate, slice(self.start, self.start + self.x.size)

    def chunk(self, law=None):
        """Return the portion's models with their starting points and streams; ``law``: what `law_of` says of them, if known.

        A starting point is drawn for each (seed, y, x, replicate), a stream of minibatches for each (seed, y, replicate) or, if
        independent, for each model.
        """
        seed, n, m = self.options["seed"], self.form.n_features, self.form.n_hidden
        at, cells = _word(self.y), np.ascontiguousarray(self.x, np.float64).view(np.uint64)
        drawn = normal_numbers(seed, (STARTS, at, self.replicate), cells, m * n)
        weights = drawn.reshape(-1, m, n) * spread_of_starts(m, n)
        streams = [(cell,) for cell in cells.tolist()] if self.options["independent"] else [()]
        return Chunk(
            **(law_of(self.form, self.controls) if law is None else law),
            weights=weights.astype(np.float32),
            bias=np.zeros((len(cells), n), np.float32),
            independent=self.options["independent"],
            keys=np.array([stream_key(seed, MINIBATCHES, at, self.replicate, *cell) for cell in streams]),
            recorded=(self.options["n_steps"],),
            **{name: self.options[name] for name in CHUNK_OPTIONS},
        )


def train_portions(portions, stopped=lambda: False):
    """Return the final (weights, bias) of the models of each portion, float32; None when ``stopped`` answered true.

    All are laid out before the first is trained: right after one another that takes a third of the time.
    """
    chunks, trainers, results, laws = [], [], [], {}
    for portion in portions:  # replicates have one law
        own = portion.row, portion.start, portion.x.size
        law = laws.get(own)
        if law is None:
            law = laws[own] = law_of(portion.form, portion.controls)
        chunks.append(portion.chunk(law))
    for chunk in chunks:
        trainers.append(chunk.trainer(trainers[-1] if trainers else None))
    for chunk, trainer in zip(chunks, trainers, strict=True):
        trained = chunk.train(stopped, trainer=trainer)
        if trained is None:
            return None
        results.append(tuple(x[-1] for x in trained))
    return results


def trained_portions(portions, n_threads, executor=None):
    """Yield (i, (weights, bias)) of the final models of all portions as they are trained, on threads or an executor.

    A thread takes several at a time where together they are no more than `MOST_WORK`, but not so many that others wait for it.
    """
    most = max((portion.work for portion in portions), default=1.0)
    size = 1 if executor else max(1, min(len(portions) // (PORTIONS_PER_THREAD * n_threads), int(MOST_WORK / most)))
    runs = [portions[start : start + size] for start in range(0, len(portions), size)]
    with closing(completed(train_portions, runs, n_threads=n_threads, executor=executor)) as work:
        for run, results in work:
            yield from enumerate(results, start=run * size)


def divide(plane, n_seeds, options, n_threads):
    """Return all portions of a diagram; rows come in an order that mixes densities, so that time left can be foretold."""
    rows, columns = plane.shape
    form, grid, x = plane.form, plane.grid, plane.x.values

    def portion(row, replicate, start, stop):
        """Models start … stop − 1 of a row."""
        stretch = slice(start, stop)
        return Portion(row, replicate, start, float(plane.y.values[row]), x[stretch], form, grid[row, stretch], options)

    work = options["n_steps"] * options["batch_size"] * operations(form)
    wanted = -(-PORTIONS_PER_THREAD * n_threads // (rows * n_seeds))  # of each row and replicate
    size = together(portion(0, 0, 0, 1).chunk(), min(max(1, int(MOST_WORK / work)), -(-columns // wanted)))
    common = np.concatenate([np.arange(form.n_controls)[form.places[name]] for name in ("density", "activity", "values")])
    changes = np.any(np.diff(grid[..., common], axis=1), axis=-1)

    def stretches(row):
        """Where portions of a row begin and end: of one law each."""
        edges = [0, *(np.flatnonzero(changes[row]) + 1).tolist(), columns]
        return [(start, min(start + size, end)) for begin, end in pairwise(edges) for start in range(begin, end, size)]

    return [
        portion(row, replicate, *ends)
        for row in sorted(range(rows), key=lambda row: row * GOLDEN % 1)
        for own in [stretches(row)]
        for replicate in range(n_seeds)
        for ends in own
    ]


def operations(form):
    """Return about how many operations a sample takes, in units of a few."""
    return 1 + form.n_features * form.n_hidden / 8


def _word(value):
    """Return the 64 bits of a float64 as an int."""
    return int(np.float64(value).view(np.uint64))
