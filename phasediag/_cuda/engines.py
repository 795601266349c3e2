"""What trains chunks of models on a GPU: their arrays there, and the kernels of each kind."""

import warnings

import numpy as np
from numba import cuda

from .._training.optimizers import step_scalars
from .._training.trainer import blocks
from . import streams
from .few_features import few_features
from .kinds import FEW, LANES, MANY, SOME, SOME_SPARSE, SPARSE, kind_of
from .many_features import layout, many_features, n_warps_of, samples_of
from .many_streams import many_laws
from .minibatches import patterns
from .some_features import some_features
from .sparse_features import lists_of, sparse_features
from .sparse_features import n_warps_of as n_warps_of_sparse
from .streams import PART

DRAWN, MOST_DRAWN = 0.2, 16  # of what is free then for samples; steps that they are drawn for at most


def free_memory():
    """Return how many bytes of the GPU's memory are free."""
    return cuda.current_context().get_memory_info()[0]


def _factors(chunk):
    """Return what is each model's own beside its parameters, shape (n_models, n + 3): importances, B γ, 2 B λ and the slope."""
    n_models = len(chunk.weights)
    penalty = np.zeros((n_models, 2)) if chunk.penalty is None else chunk.penalty * chunk.batch_size * [1, 2]
    slope = np.zeros(n_models) if chunk.slope is None else chunk.slope
    return np.concatenate([chunk.importance, penalty, slope[:, None]], axis=1)


def _launch(kernel, n_blocks, n_threads, *arguments):
    """Start a kernel on blocks of so many threads."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Grid size")  # few models leave most of a GPU idle
        kernel[n_blocks, n_threads](*arguments)


class Models:
    """Models of several chunks on the GPU, each in a slot; a block trains ``width`` slots of one chunk, the last ones idle.

    An engine's ``set_up`` chooses the kernel and the ``tables`` of its laws, ``columns`` says whether slots are the columns or
    the rows of arrays, ``scratch`` is what kernels work in.
    """

    scratch = ()

    def __init__(self, chunks):
        """Lay the models out, at rest before their first step."""
        self.first_chunk = chunk = chunks[0]
        self.n_models = [len(one.weights) for one in chunks]
        _, self.m, self.n = chunk.weights.shape
        self.independent, self.adam = chunk.independent, chunk.optimizer != "sgd"
        self.moving = self.m + chunk.biased
        self.width = self.together()
        n_blocks = [-(-count // self.width) for count in self.n_models]
        self.starts = (np.cumsum(n_blocks) - n_blocks) * self.width
        self.n_blocks, self.block_chunk = sum(n_blocks), np.repeat(np.arange(len(chunks)), n_blocks)
        rates = (chunk.optimizer, chunk.schedule, chunk.learning_rate, chunk.weight_decay, chunk.n_steps)
        with np.errstate(over="ignore"):  # infinite in single precision: models diverge, and are said to
            self.scalars = cuda.to_device(step_scalars(*rates).astype(np.float32))
        parameters = [np.concatenate([one.weights, one.bias[:, None]], axis=1).reshape(len(one.weights), -1) for one in chunks]
        self.parameters = self.on_device(parameters)
        self.first, self.second = (self.on_device([np.zeros_like(x) for x in parameters]) for _ in range(2))
        self.factors = self.on_device([_factors(one) for one in chunks])
        keys = [np.stack([streams.stream_words(key) for key in one.keys]) for one in chunks]
        keys = [np.broadcast_to(x, (count, 2)) for x, count in zip(keys, self.n_models, strict=True)]
        self.keys = self.on_device(keys, np.uint32)
        self.average = np.float32(2 / (chunk.batch_size * self.n))
        self.set_up(chunks)

    def on_device(self, rows, dtype=np.float32):
        """Return arrays of one row a model on the GPU, in slots."""
        array = np.zeros((self.n_blocks * self.width, rows[0].shape[1]), dtype)
        for start, own in zip(self.starts, rows, strict=True):
            array[start : start + len(own)] = own
        return cuda.to_device(np.ascontiguousarray(array.T) if self.columns else array)

    def different(self, chunks, activity):
        """Return the different laws of chunks, rows of what ``activity`` says and a list of their values; note which is whose."""
        rows = [np.append(activity(one), () if one.values is None else one.values) for one in chunks]
        _, first, which = np.unique(np.array(rows), axis=0, return_index=True, return_inverse=True)
        self.law_of_chunk = which.ravel()
        self.law_of = cuda.to_device(self.law_of_chunk[self.block_chunk].astype(np.int32))
        return np.array([activity(chunks[i]) for i in first]), [chunks[i].values for i in first]

    def advance(self, start, stop):
        """Train from step ``start`` to ``stop``."""
        _launch(
            self.kernel, self.n_blocks, self.width * self.threads_per_model, start, stop, self.average, self.scalars, self.keys,
            self.law_of, *self.tables, self.factors, self.parameters, self.first, self.second, *self.scratch,
        )  # fmt: skip

    def current(self):
        """Yield the weights (n_models, n_hidden, n_features) and biases (n_models, n_features) of each chunk."""
        rows = self.parameters.copy_to_host()
        rows = (rows.T if self.columns else rows).reshape(-1, self.m + 1, self.n)
        for start, count in zip(self.starts, self.n_models, strict=True):
            own = rows[start : start + count]
            yield own[:, :-1], own[:, -1]


class Few(Models):
    """Few features: a thread trains a model."""

    columns, threads_per_model = True, 1
    most_threads = 128

    @staticmethod
    def bytes_each(chunk):
        """Return how much of the GPU's memory a model takes: parameters, two moments, importances, keys, idle slots."""
        _, m, n = chunk.weights.shape
        return 32 * (m + 1) * n

    def together(self):
        """Return how many models a block trains: whole warps."""
        return min(self.most_threads, -(-max(self.n_models) // LANES) * LANES)

    def set_up(self, chunks):
        """Make the tables of the laws, and the kernel."""
        chunk = self.first_chunk
        rows, values = self.different(chunks, patterns)
        laws = streams.laws_of(rows, values, chunk.batch_size)
        self.tables = [cuda.to_device(x) for x in (laws.sizes, laws.places, laws.cut, laws.own, laws.other, laws.pieces)]
        self.kernel = few_features(
            self.n, self.m, self.moving, chunk.activation, chunk.penalty is not None, self.adam, self.independent
        )


class Some(Few):
    """Some features: a thread trains a model too, of those of a block, which share their minibatch."""

    most_threads, sparse = LANES, False

    @staticmethod
    def bytes_each(chunk):
        """Return how much of the GPU's memory a model takes: parameters, two moments, importances, keys, scratch, idle slots."""
        _, m, n = chunk.weights.shape
        return 56 * (m + 1) * n

    def set_up(self, chunks):
        """Make the tables of the laws, and the kernel."""
        chunk = self.first_chunk
        laws = many_laws(*self.different(chunks, lambda one: one.density), chunk.batch_size, True)
        self.tables = [cuda.to_device(x) for x in (laws.sizes, laws.places, laws.cut, laws.own, laws.other, laws.pieces)]
        length = 1 if self.sparse else 2 * self.n * self.m * LANES
        self.scratch = [cuda.device_array((self.n_blocks, length), np.float32)]
        self.kernel = some_features(
            self.n, self.m, self.moving, chunk.activation, chunk.penalty is not None, self.adam, self.sparse
        )


class SomeSparse(Some):
    """The same for sparse features."""

    sparse = True


class Many(Models):
    """Many features: a block trains a model, on samples that another kernel draws for several steps."""

    columns, listed = False, False

    @classmethod
    def bytes_each(cls, chunk):
        """Return how much of the GPU's memory a model takes: parameters, two moments, importances, keys, scratch, samples."""
        n_models, m, n = chunk.weights.shape
        return 24 * (m + 1) * n + 4 * cls.scratch_of(n, m) + cls.bytes_of_samples(chunk) * len(chunk.keys) / n_models

    @classmethod
    def bytes_of_samples(cls, chunk):
        """Return how much memory a minibatch takes."""
        return _n_tiles(chunk.batch_size) * sum(kind().itemsize * size for kind, size in cls.arrays_of(chunk.weights.shape[2]))

    @staticmethod
    def scratch_of(n, m):
        """Return how many numbers a block works in beside its shared memory."""
        return layout(n, m, n_warps_of(n, m))[1]

    @staticmethod
    def arrays_of(n):
        """Return the type and size of the arrays of thirty-two samples."""
        return [(np.float32, LANES * -(-n // 4) * 4)]

    def kernels(self, laws, plain):
        """Return the warps of a block, the kernels that draw samples and that train, and the tables that the first one takes."""
        chunk, n_warps = self.first_chunk, n_warps_of(self.n, self.m)
        kernel = many_features(self.n, self.m, self.moving, chunk.activation, chunk.penalty is not None, self.adam, n_warps)
        return n_warps, samples_of(self.n, plain), kernel, (laws.limits, laws.scales, laws.pieces)

    def together(self):
        """Return how many models a block trains."""
        return 1

    def set_up(self, chunks):
        """Make the tables of the laws, room for samples, and the kernels."""
        chunk, n = self.first_chunk, self.n
        laws = many_laws(*self.different(chunks, lambda one: one.density), chunk.batch_size, self.listed)
        n_warps, self.draw, self.kernel, own = self.kernels(laws, all(one.values is None for one in chunks))
        self.threads_per_model = LANES * n_warps
        self.threads_of_drawing = LANES if self.listed else LANES * min(n_warps, 4)
        tables = [cuda.to_device(x) for x in (laws.sizes, laws.places, laws.cut, laws.own, laws.other)]
        n_streams, n_models = [len(one.keys) for one in chunks], self.n_models
        starts = np.repeat(np.cumsum(n_streams) - n_streams, n_models)
        stream_of = starts + (np.concatenate([np.arange(count) for count in n_models]) if self.independent else 0)
        keys = np.stack([streams.stream_words(key) for one in chunks for key in one.keys])
        self.n_streams, self.n_tiles = sum(n_streams), _n_tiles(chunk.batch_size)
        fitting = DRAWN * free_memory() / (self.n_streams * self.bytes_of_samples(chunk))
        self.window = int(max(1, min(MOST_DRAWN, chunk.n_steps, fitting)))
        n_drawn = self.n_streams * self.window * self.n_tiles
        drawn = [cuda.device_array(n_drawn * size, kind) for kind, size in self.arrays_of(n)]
        law_of = np.repeat(self.law_of_chunk, n_streams).astype(np.int32)
        self.drawn = [*(cuda.to_device(x) for x in (keys, law_of)), *tables, *(cuda.to_device(x) for x in own), *drawn]
        self.tables = [*tables, cuda.to_device(stream_of.astype(np.int32)), self.n_tiles, *drawn]
        self.scratch = [cuda.device_array((self.n_blocks, max(1, self.scratch_of(n, self.m))), np.float32)]

    def advance(self, start, stop):
        """Train from step ``start`` to ``stop``."""
        for begin in range(start, stop, self.window):
            end = min(begin + self.window, stop)
            n_drawn = self.n_streams * (end - begin) * self.n_tiles
            _launch(self.draw, n_drawn, self.threads_of_drawing, begin, end - begin, self.n_tiles, *self.drawn)
            super().advance(begin, end)


class Sparse(Many):
    """Many sparse features: a block trains a model, on lists of active features."""

    listed = True

    @staticmethod
    def scratch_of(n, m):
        """Return how many numbers a block works in beside its shared memory: the gradient."""
        return m * n

    @staticmethod
    def arrays_of(n):
        """Return the type and size of the lists of thirty-two samples."""
        kinds = np.uint16, np.uint16, np.float32, np.uint16, np.float32
        return [(np.int32, LANES + 2 + n), *((kind, LANES * n) for kind in kinds)]

    def kernels(self, laws, plain):
        """Return the warps of a block, the kernels that draw samples and that train, and the tables that the first one takes."""
        chunk, n_warps = self.first_chunk, n_warps_of_sparse(self.n)
        kernel = sparse_features(self.n, self.m, self.moving, chunk.activation, chunk.penalty is not None, self.adam)
        return n_warps, lists_of(self.n), kernel, (laws.pieces,)


def _n_tiles(batch_size):
    """Return how many lists there are of a minibatch."""
    return sum(-(-size // LANES) for size in blocks(batch_size, PART).tolist())


ENGINES = {FEW: Few, SOME: Some, SOME_SPARSE: SomeSparse, SPARSE: Sparse, MANY: Many}


def engine(chunk):
    """Return the engine that suits a chunk."""
    return ENGINES[kind_of(chunk)]
