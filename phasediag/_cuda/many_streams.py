"""Minibatches of many independent features on the GPU.

Of each part of a minibatch the number of samples with any active feature is drawn, of each of those the first active feature,
and a word for each feature: the later ones are active where it lies up to a limit, and its fraction of that is their value.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .._training.pattern_law import binomial_law
from .._training.trainer import blocks
from .streams import CATEGORY, COUNT, OTHER_REST, PART, REST, SINGLE, TO_UNIT, outcome, pieces_of, table, values_at, words_of

FIRST = 2  # column of `ManyLaws.places`


@dataclass(frozen=True, eq=False)
class ManyLaws:
    """Tables of the laws of minibatches of one size of batch.

    Attributes
    ----------
    sizes : ndarray of int32, shape (n_parts,)
    places : ndarray of int32, shape (n_laws, 3)
        Where each law's tables begin: of the number of samples with active features in a larger part, in a smaller one, of the
        first active feature.
    cut, own, other : ndarray
        As of `Laws`.
    pieces : ndarray
        As of `Laws`.
    limits : ndarray of uint32, shape (n_laws, n_features)
    scales : ndarray of float32, shape (n_laws, n_features)
    """

    sizes: np.ndarray
    places: np.ndarray
    cut: np.ndarray
    own: np.ndarray
    other: np.ndarray
    limits: np.ndarray
    scales: np.ndarray
    pieces: np.ndarray


def many_laws(densities, values, batch_size):
    """Return the `ManyLaws` of rows of features' densities, shape (n_laws, n_features), and of `Chunk.values`."""
    sizes = blocks(batch_size, PART)
    tables, places, filled = [], [], 0
    for row in densities:
        place = []
        for arrays in _tables(tuple(row.tolist()), tuple(sorted(set(sizes.tolist()), reverse=True))):
            place.append(filled)
            filled += arrays[0].size
            tables.append(arrays)
        places.append([place[0], place[-2], place[-1]])
    limits = np.maximum(np.round(np.asarray(densities) * 2.0**32), 1) - 1
    cut, own, other = (np.concatenate(arrays) for arrays in zip(*tables, strict=True))
    return ManyLaws(
        sizes.astype(np.int32), np.array(places, np.int32), cut, own, other, limits.astype(np.uint32),
        (1 / (limits + 1)).astype(np.float32), pieces_of(values),
    )  # fmt: skip


@lru_cache(maxsize=256)
def _tables(density, sizes):
    """Return (cut, own, other) of the numbers of samples with active features, and of the first active feature."""
    first = np.array(density) * np.cumprod([1.0, *(1 - np.array(density[:-1]))])
    tables = [table(np.arange(size + 1), binomial_law(size, min(first.sum(), 1.0))) for size in sizes]
    return [*tables, table(np.arange(first.size), first)]


def minibatch_of_many(density, values, batch_size, key, step):
    """Return the samples of a step, shape (batch_size, n_features), of features of these densities."""
    laws, n, found = many_laws([density], [values], batch_size), density.size, []
    for part, size in enumerate(laws.sizes.tolist()):
        place = laws.places[0, REST if size == laws.sizes[0] else OTHER_REST]
        rest = int(outcome(words_of(key, 1, part, step, COUNT)[0, 0], place, size + 1, laws.cut, laws.own, laws.other))
        words = words_of(key, -(-rest // 4), part, step, CATEGORY).ravel()[:rest, None]
        first = outcome(words, laws.places[0, FIRST], n, laws.cut, laws.own, laws.other)
        words = words_of(key, rest * -(-n // 4), part, step, SINGLE).reshape(rest, -1)[:, :n]
        at_first, later = np.arange(n) == first, (np.arange(n) > first) & (words <= laws.limits[0])
        u = np.minimum(np.where(at_first, words * TO_UNIT, words * laws.scales[0]), 1)
        x = values_at(u, laws.pieces) * (at_first | later)
        found.append(np.concatenate([x, np.zeros((size - rest, n))]))
    return np.concatenate(found)
