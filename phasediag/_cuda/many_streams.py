"""Minibatches of many independent features on the GPU.

Of each part of a minibatch the number of samples with any active feature is drawn, and of each of those the first active feature.
Then either, for kernels that take every feature of a sample, a word for each feature: the later ones are active where it lies up
to a limit, and its fraction of that is their value. Or, for kernels that take lists of active features, from each of them the
next one until there is none, with a value each: two words an active feature.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .._training.pattern_law import binomial_law
from .._training.trainer import blocks
from .streams import (
    CATEGORY,
    PART,
    SEVERAL,
    SINGLE,
    TO_UNIT,
    outcome,
    pieces_of,
    rest_of,
    table,
    values_at,
    words_of,
)  # fmt: skip

NEXT = 2  # column of `ManyLaws.places`


@dataclass(frozen=True, eq=False)
class ManyLaws:
    """Tables of the laws of minibatches of one size of batch.

    Attributes
    ----------
    sizes : ndarray of int32, shape (n_parts,)
    places : ndarray of int32, shape (n_laws, 3)
        Where each law's tables begin: of the number of samples with active features in a larger part, in a smaller one, of the
        first active feature, and after it, for lists, those of the next one after each feature, see `after`.
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


def many_laws(densities, values, batch_size, listed):
    """Return the `ManyLaws` of features' densities, shape (n_laws, n_features), and of `Chunk.values`, for lists or not."""
    sizes = blocks(batch_size, PART)
    tables, places, filled = [], [], 0
    for row in densities:
        place = []
        for arrays in _tables(tuple(row.tolist()), tuple(sorted(set(sizes.tolist()), reverse=True)), listed):
            place.append(filled)
            filled += arrays[0].size
            tables.append(arrays)
        n_sizes = len(set(sizes.tolist()))
        places.append([place[0], place[n_sizes - 1], place[n_sizes]])
    limits = np.maximum(np.round(np.asarray(densities) * 2.0**32), 1) - 1
    cut, own, other = (np.concatenate(arrays) for arrays in zip(*tables, strict=True))
    return ManyLaws(
        sizes.astype(np.int32), np.array(places, np.int32), cut, own, other, limits.astype(np.uint32),
        (1 / (limits + 1)).astype(np.float32), pieces_of(values),
    )  # fmt: skip


def after(n, row):
    """Return where the table of the next active feature begins after feature ``row`` − 1, and how many outcomes it has.

    Those are the later features and n, which says that there is none. Tables lie one after another.
    """
    return row * (n + 1) - (row * (row - 1) >> 1), n + 1 - row


@lru_cache(maxsize=256)
def _tables(density, sizes, listed):
    """Return (cut, own, other) of the numbers of samples with active features, of the first one, and, for lists, of the next."""
    density = np.array(density)
    rest = min(np.sum(density * np.cumprod([1.0, *(1 - density[:-1])])), 1.0)
    tables = [table(np.arange(size + 1), binomial_law(size, rest)) for size in sizes]
    for row in range(density.size + 1 if listed else 1):
        later = density[row:]
        none = np.cumprod([1.0, *(1 - later)])
        law = np.append(later * none[:-1], none[-1] if row else 0.0)
        tables.append(table(np.arange(row, density.size + 1), law))
    return tables


def minibatch_of_many(density, values, batch_size, key, step):
    """Return the samples of a step, shape (batch_size, n_features), of features of these densities."""
    laws, n, found = many_laws([density], [values], batch_size, False), density.size, []
    for part, size in enumerate(laws.sizes.tolist()):
        rest = rest_of(laws, key, step, part)
        words = words_of(key, -(-rest // 4), part, step, CATEGORY).ravel()[:rest, None]
        first = outcome(words, laws.places[0, NEXT], n + 1, laws.cut, laws.own, laws.other)
        words = words_of(key, rest * -(-n // 4), part, step, SINGLE).reshape(rest, -1)[:, :n]
        at_first, later = np.arange(n) == first, (np.arange(n) > first) & (words <= laws.limits[0])
        u = np.minimum(np.where(at_first, words * TO_UNIT, words * laws.scales[0]), 1)
        x = values_at(u, laws.pieces) * (at_first | later)
        found.append(np.concatenate([x, np.zeros((size - rest, n))]))
    return np.concatenate(found)


def minibatch_of_lists(density, values, batch_size, key, step):
    """Return the same as `minibatch_of_many`, drawn as lists."""
    laws, n, found = many_laws([density], [values], batch_size, True), density.size, []
    for part, size in enumerate(laws.sizes.tolist()):
        x, rest = np.zeros((size, n)), rest_of(laws, key, step, part)
        words = words_of(key, rest * (n // 2 + 1), part, step, SEVERAL).reshape(rest, -1, 2)
        begun, row = np.arange(rest), np.zeros(rest, int)
        for k in range(n + 1):
            start, count = after(n, row)
            following = outcome(words[begun, k, 0], laws.places[0, NEXT] + start, count, laws.cut, laws.own, laws.other)
            begun, row = begun[following < n], following[following < n]
            x[begun, row] = values_at(words[begun, k, 1] * TO_UNIT, laws.pieces)
            row = row + 1
        found.append(x)
    return np.concatenate(found)
