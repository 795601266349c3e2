"""Training of chunks of models on a GPU: as many together as its memory holds, by launches that last a fraction of a second."""

from time import monotonic

import numpy as np
from numba import cuda

from .engines import engine, free_memory

MOST_WORK = 1e13
"""Work of chunks that are trained together, in samples times operations per sample: some seconds up to half a minute."""
MOST_MEMORY = 0.7  # of what is free on the GPU
STRIDE = 16  # steps of the first launch
SHORTEST = 0.1  # seconds of a launch, so that the work can be watched and stopped


def train_chunks(chunks, advanced=lambda count: None):
    """Yield (i, (weights, bias)) of all chunks, with a leading axis of ``recorded``, float32, as `Chunk.train` returns them.

    The chunks, of which only those that train together are asked for at once, are of one size, activation and optimizer.
    ``advanced`` is told how many steps of how many models, multiplied, were taken since it was told last.
    """
    begun = {}
    for places, parts in _waves(chunks):
        for (i, left), trained in zip(places, _train_together(parts, advanced), strict=True):
            begun.setdefault(i, []).append(trained)
            if not left:
                yield i, tuple(np.concatenate(x, axis=1) for x in zip(*begun.pop(i), strict=True))


def _train_together(chunks, advanced):
    """Return (weights, bias) of chunks that the GPU's memory holds together."""
    models = engine(chunks[0])(chunks)
    weights, bias = ([np.empty((len(c.recorded), *x(c).shape), np.float32) for c in chunks] for x in (_weights, _bias))
    n_models, stride, done = sum(len(c.weights) for c in chunks), STRIDE, 0
    for record, stop in enumerate(chunks[0].recorded):
        while done < stop:
            ahead = min(stop, done + stride)
            begin = monotonic()
            models.advance(done, ahead)
            cuda.synchronize()
            if monotonic() - begin < SHORTEST:
                stride *= 2
            advanced(n_models * (ahead - done))
            done = ahead
        for k, (w, b) in enumerate(models.current()):
            weights[k][record], bias[k][record] = w, b
    return zip(weights, bias, strict=True)


def _weights(chunk):
    """The starting weights of a chunk."""
    return chunk.weights


def _bias(chunk):
    """The starting biases of a chunk."""
    return chunk.bias


def _waves(chunks):
    """Yield lists of (i, models left) and of chunks i that one engine trains together, or parts of those too large for that."""
    free = MOST_MEMORY * free_memory()
    waves = {}  # by engine the places, chunks, bytes and work that wait
    for i, chunk in enumerate(chunks):
        kind, n_models = engine(chunk), len(chunk.weights)
        bytes_each = kind.bytes_each(chunk)
        size = max(1, int(min(n_models, free / bytes_each)))
        for start in range(0, n_models, size):
            part = chunk if size == n_models else chunk.part(start, min(start + size, n_models))
            count = len(part.weights)
            memory, work = bytes_each * count, chunk.n_steps * chunk.batch_size * _operations(chunk) * count
            wave = waves.get(kind)
            if wave and (wave[2] + memory > free or wave[3] + work > MOST_WORK):
                yield wave[:2]
                wave = None
            places, own, *used = wave or ([], [], 0, 0)
            waves[kind] = [*places, (i, n_models - start - count)], [*own, part], used[0] + memory, used[1] + work
    for wave in waves.values():
        yield wave[:2]


def _operations(chunk):
    """Return about how many operations a sample takes, in units of a few."""
    _, m, n = chunk.weights.shape
    return 1 + m * n / 8


def train_portions(portions, advanced):
    """Yield (i, (weights, bias)) of the final models of all portions; ``advanced`` is told how many models' worth is done."""
    taken = 0

    def stepped(count):
        """Be told of steps."""
        nonlocal taken
        n_steps = portions[0].options["n_steps"]
        taken, before = taken + count, taken // n_steps
        advanced(taken // n_steps - before)

    for i, (weights, bias) in train_chunks((portion.chunk() for portion in portions), stepped):
        yield i, (weights[-1], bias[-1])
