"""Chunks of models that are trained together.

A chunk says everything about its training in plain arrays and numbers, so that it can be sent to another process; what
comes back does not depend on how models were divided into chunks.
"""

from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from threading import Event

import numpy as np

from ..activity import INDEPENDENT
from ..forms import UNIFORM
from .many_features import Batched, Dense, Moments, Sparse
from .outputs import LEAKY, LINEAR, RELU
from .patterns import Patterns

CHUNK_OPTIONS = ("batch_size", "optimizer", "schedule", "learning_rate", "weight_decay", "n_steps")
MOST_PATTERN_FEATURES = 8  # 2^n activity patterns are counted up to here
FEWEST_BATCHED = 4  # models of a run, below which most lanes of `Batched` would be idle
MOST_BATCHED = 1000  # features, of which sixteen models' sums take 64 MB


@dataclass(frozen=True, eq=False)
class Chunk:
    """Models of one size, input law and optimizer, their starting points and their streams.

    Attributes
    ----------
    importance : ndarray, shape (n_models, n_features)
    density : ndarray, shape (n_features,)
    activation : int
        `LINEAR`, `RELU` or `LEAKY`.
    weights : ndarray, shape (n_models, n_hidden, n_features)
    bias : ndarray, shape (n_models, n_features)
    independent : bool
        Whether each model has its own minibatches; otherwise all models see the same.
    keys : ndarray of uint64, shape (n_models, 2) if independent, else (1, 2)
        Keys of the streams of minibatches.
    batch_size : int
    optimizer, schedule, learning_rate, weight_decay, n_steps
        Arguments of `step_scalars`.
    recorded : tuple of int
        Numbers of steps after which the parameters are recorded.
    few : bool
        Whether the whole run has too few models to fill the lanes of `Batched`.
    patterns : ndarray of shape (2^n_features,), or None
        Where features are not independent the probability of every set of active ones, of up to 8 features; bit i: whether i is.
    gates : ndarray of shape (3, n_features), or None
        Of more features, unless they are independent and uniform on [0, 1]: which are active, as `Independent.gates` says.
    values : ndarray of shape (3, n_pieces), or None
        Where active features are not uniform on [0, 1]: low ends, widths and probabilities of the pieces of their law.
    penalty : ndarray of shape (n_models, 2), or None
        γ and λ of each model.
    slope : ndarray of shape (n_models,), or None
        Of leaky outputs.
    biased : bool
        Whether biases move; they stay at 0 otherwise.
    """

    importance: np.ndarray
    density: np.ndarray
    activation: int
    weights: np.ndarray
    bias: np.ndarray
    independent: bool
    keys: np.ndarray
    batch_size: int
    optimizer: str
    schedule: str
    learning_rate: float
    weight_decay: float
    n_steps: int
    recorded: tuple
    few: bool = False
    patterns: np.ndarray | None = None
    gates: np.ndarray | None = None
    values: np.ndarray | None = None
    penalty: np.ndarray | None = None
    slope: np.ndarray | None = None
    biased: bool = True

    def part(self, start, stop):
        """Return the chunk of models start … stop − 1."""
        names = ["importance", "weights", "bias", *(["keys"] if self.independent else [])]
        names += [name for name in ("penalty", "slope") if getattr(self, name) is not None]
        return replace(self, **{name: getattr(self, name)[start:stop] for name in names})

    def trainer(self, before=None):
        """Return the engine of the chunk with its models laid out, at rest before their first step; see `Trainer`."""
        return engine(self)(self, before)

    def train(self, stopped=lambda: False, advanced=lambda count: None, trainer=None):
        """Train and return (weights, bias) with a leading axis of ``recorded``, float32, by a ``trainer`` at rest if given.

        ``stopped`` is asked now and then; when it answers true, None is returned. ``advanced`` is told how many steps of how
        many models, multiplied, were taken since it was told last.
        """
        trainer = self.trainer() if trainer is None else trainer
        weights = np.empty((len(self.recorded), *self.weights.shape), np.float32)
        bias = np.empty((len(self.recorded), *self.bias.shape), np.float32)
        done = 0
        for i, stop in enumerate(self.recorded):
            while done < stop:
                if stopped():
                    return None
                ahead = min(stop, done + trainer.stride)
                trainer.advance(done, ahead)
                advanced(len(self.weights) * (ahead - done))
                done = ahead
            weights[i], bias[i] = trainer.current()
        return weights, bias


def check_trainable(form):
    """Raise ValueError unless models of a form can be trained on minibatches."""
    most = MOST_PATTERN_FEATURES
    if form.n_features > most and form.activity.gates(np.ones(form.n_features)) is None:
        domain = f"independent features or sets of them, or at most {most} features, to be trained"
        raise ValueError(f"model must have {domain}, got {type(form.activity).__name__} of {form.n_features}")


def law_of(form, controls):
    """Return by name the fields of a `Chunk` that say what is trained: models of a form, controls (n_models, n_controls).

    They differ by importance, penalty and slope alone; the rest is the first one's.
    """
    n, first, places = form.n_features, controls[0], form.places
    density = np.ascontiguousarray(form.density(first))
    few, plain = n <= MOST_PATTERN_FEATURES, form.activity == INDEPENDENT
    pieces = None
    if form.values != UNIFORM:
        pieces = np.stack([*np.transpose(form.values), first[places["values"]] if len(form.values) > 1 else np.ones(1)])
    return {
        "importance": np.ascontiguousarray(form.importance(controls)),
        "density": density,
        "activation": LINEAR if form.is_linear else RELU if form.is_relu else LEAKY,
        "patterns": form.patterns(first) if few and not plain else None,
        "gates": None if few or (plain and pieces is None) else form.activity.gates(density),
        "values": pieces,
        "penalty": controls[:, places["penalty"]] if form.penalised else None,
        "slope": controls[:, places["slope"]][:, 0] if form.activation == "leaky" else None,
        "biased": form.biased,
    }


def engine(chunk):
    """Return the engine that suits a chunk, from rough times per sample and feature in ns; divisions into chunks don't matter."""
    m, n = chunk.weights.shape[1:]
    if n <= MOST_PATTERN_FEATURES:
        return Patterns
    own, through, rare = 0.035 * n * m / chunk.batch_size, chunk.activation == LINEAR, 1 - chunk.density.mean()
    times = {Dense: 0.065 * m + 0.18}
    if chunk.independent or chunk.few:
        times[Sparse] = 1.7 * own + 0.17 + chunk.density.mean() * (4 + 0.06 * n)
    else:
        times[Moments] = own if through else own + 0.0225 * m + 0.15 + rare * (0.5 + 0.008 * n)
        times[Batched] = own + 0.057 * chunk.density.sum() + 0.04
    if n > MOST_BATCHED or any(part is not None for part in (chunk.gates, chunk.penalty, chunk.slope)):
        times = {kind: time for kind, time in times.items() if not issubclass(kind, Batched)}  # which knows none of these
    return min(times, key=times.get)


def together(chunk, wanted):
    """Return how many models of a chunk train together where ``wanted`` should: whole vectors, not too many."""
    kind = engine(chunk)
    return min(-(-wanted // kind.lanes) * kind.lanes, kind.most_models)


def split(chunk, n_workers):
    """Return the parts in which ``n_workers`` train a chunk."""
    n_models = len(chunk.weights)
    size = together(chunk, -(-n_models // n_workers))
    return [chunk.part(start, min(start + size, n_models)) for start in range(0, n_models, size)]


def run_chunks(task, chunks, n_threads):
    """Return ``task(chunk, stopped)`` of all chunks, in order, on a pool of threads; an interrupt stops them soon."""
    results = dict(completed(task, chunks, n_threads=n_threads))
    return [results[i] for i in range(len(chunks))]


def completed(task, items, *, n_threads=1, executor=None):
    """Yield (i, task(items[i])) of all items as they are done.

    On the executor given, or on a pool of threads of its own, where ``task`` gets as second argument a function that answers
    whether the work was interrupted. What has not begun when the consumer stops or is interrupted is not begun.
    """
    interrupted = Event()
    pool, further = (ThreadPoolExecutor(n_threads), (interrupted.is_set,)) if executor is None else (executor, ())
    futures = {}
    try:
        for i, item in enumerate(items):
            futures[pool.submit(task, item, *further)] = i
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:
        interrupted.set()
        for future in futures:
            future.cancel()
        if executor is None:
            pool.shutdown()
