"""The minibatches of a chunk of models that a GPU trains, drawn again without one."""

from .._training.pattern_law import independent_patterns
from .kinds import FEW, LISTED, kind_of
from .many_streams import minibatch_of_lists, minibatch_of_many
from .streams import laws_of, minibatch_of_few, stream_words


def patterns(chunk):
    """Return the probability of every set of active features of a chunk, shape (2^n,)."""
    return independent_patterns(chunk.density) if chunk.patterns is None else chunk.patterns


def minibatch(chunk, step):
    """Return the samples of the chunk's first model in a step, shape (batch_size, n_features); in no particular order."""
    key, n, kind = stream_words(chunk.keys[0]), chunk.weights.shape[2], kind_of(chunk)
    if kind != FEW:
        drawn = minibatch_of_lists if kind in LISTED else minibatch_of_many
        return drawn(chunk.density, chunk.values, chunk.batch_size, key, step)
    return minibatch_of_few(laws_of([patterns(chunk)], [chunk.values], chunk.batch_size), key, step, n, chunk.independent)
