"""Minibatches as the GPU draws them: counter-based, so that each is a function of (key, step) alone.

A word is a function of its stream's key, the step, the part of the minibatch, what it is for and its place. Of each part first
the number of samples with any active feature is drawn, then how many of them have each feature alone and how many have several,
then the several ones' patterns and all values. A pattern is a set of active features, written as the integer Σ 2^i.

References
----------
Salmon, Moraes, Dror & Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3" (Philox4x32-10).
Walker 1977, "An efficient method for generating discrete random variables with general distributions".
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .._training.pattern_law import alias_table, binomial_law
from .._training.trainer import blocks

VERSION = 4  # of the bits that runs on a GPU end with: older stores cannot be gone on with
PART = 1024  # samples that are drawn together at most
MASK, HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
COUNT, CATEGORY, SINGLE, SEVERAL = range(4)  # what words are for
REST, OTHER_REST, KINDS, PATTERNS, N_PATTERNS, PRESENT, N_PRESENT = range(7)  # columns of `Law.places`
FIRST_MULTIPLIER, SECOND_MULTIPLIER = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
FIRST_WEYL, SECOND_WEYL = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
TO_UNIT = np.float32(2.0**-32)


def philox(key, other_key, place, part, step, purpose):
    """Return the four 32-bit words of Philox4x32-10 for a counter of four words; on the GPU, or for arrays of counters."""
    a, b, c, d = np.uint32(place), np.uint32(part), np.uint32(step), np.uint32(purpose)
    k, l = np.uint64(key), np.uint64(other_key)
    for _ in range(10):
        first, second = np.uint64(a) * FIRST_MULTIPLIER, np.uint64(c) * SECOND_MULTIPLIER
        a, c = np.uint32((second >> HALF) ^ b ^ k), np.uint32((first >> HALF) ^ d ^ l)
        b, d = np.uint32(second & MASK), np.uint32(first & MASK)
        k, l = (k + FIRST_WEYL) & MASK, (l + SECOND_WEYL) & MASK
    return a, b, c, d


def outcome(word, start, count, cut, own, other):
    """Return what a word draws from the alias table in entries start … start + count − 1; on the GPU, or for arrays of words."""
    scaled = np.uint64(word) * np.uint64(count)
    place = np.uint64(start) + (scaled >> HALF)
    kept = (scaled & MASK) < cut[place]
    return own[place] * kept + other[place] * (1 - kept)


def pieces_of(values):
    """Return what `piecewise` reads of rows of `Chunk.values`, None for uniform on [0, 1]: shape (n_laws, n_pieces, 3)."""
    found = []
    for row in values:
        low, width, probability = np.array([[0.0], [1.0], [1.0]]) if row is None else row
        at = np.maximum(probability, 1e-300)
        found.append(np.stack([np.cumsum(probability) - probability, low, width / at], axis=1)[probability > 0])
    most = max(len(row) for row in found)
    never = np.array([[2.0, 0.0, 0.0]])
    return np.array([np.concatenate([row, *[never] * (most - len(row))]) for row in found]).astype(np.float32)


def piecewise(u, law, pieces):
    """Return the value at a fraction u of a law made of pieces, each with its start, low end and slope; on the GPU."""
    x = pieces[law, 0, 1] + (u - pieces[law, 0, 0]) * pieces[law, 0, 2]
    for k in range(1, pieces.shape[1]):
        if u >= pieces[law, k, 0]:
            x = pieces[law, k, 1] + (u - pieces[law, k, 0]) * pieces[law, k, 2]
    return x


def values_at(u, pieces):
    """Return `piecewise` values of an array, by the first law of ``pieces``."""
    start, low, slope = pieces[0, np.searchsorted(pieces[0, :, 0], u, side="right") - 1].astype(float).T
    return low.T.reshape(u.shape) + (u - start.T.reshape(u.shape)) * slope.T.reshape(u.shape)


@dataclass(frozen=True, eq=False)
class Laws:
    """Alias tables of the laws of minibatches of one size of batch.

    Attributes
    ----------
    sizes : ndarray of int32, shape (n_parts,)
    places : ndarray of int32, shape (n_laws, 7)
        Where each law's tables begin: of the number of samples with active features in a larger part, in a smaller one, of the
        kinds (feature i alone, or n: several), of the patterns of several, how many, of all patterns but the empty one, how many.
    cut : ndarray of uint32
    own, other : ndarray of int32
        Outcomes of each entry, below the cut and above.
    pieces : ndarray of float32, shape (n_laws, n_pieces, 3)
        Of the values of active features, see `piecewise`.
    """

    sizes: np.ndarray
    places: np.ndarray
    cut: np.ndarray
    own: np.ndarray
    other: np.ndarray
    pieces: np.ndarray


def laws_of(probabilities, values, batch_size):
    """Return the `Laws` of rows of the patterns' probabilities, shape (n_laws, 2^n), and of `Chunk.values`."""
    sizes = blocks(batch_size, PART)
    tables, places, filled = [], [], 0
    for row in probabilities:
        place = []
        for kind in _tables(tuple(row.tolist()), tuple(sorted(set(sizes.tolist()), reverse=True))):
            place.append((filled, kind[0].size))
            filled += kind[0].size
            tables.append(kind)
        (large, _), *smaller, (kinds, _), several, present = place
        places.append([large, smaller[0][0] if smaller else large, kinds, *several, *present])
    cut, own, other = (np.concatenate(arrays) for arrays in zip(*tables, strict=True))
    return Laws(sizes.astype(np.int32), np.array(places, np.int32), cut, own, other, pieces_of(values))


@lru_cache(maxsize=256)
def _tables(probabilities, sizes):
    """Return (cut, own, other) of each table of a law in the order of `Laws.places`."""
    probability = np.array(probabilities)
    n = probability.size.bit_length() - 1
    rest = min(probability[1:].sum(), 1.0)
    patterns = np.arange(1, probability.size)
    n_active = (patterns[:, None] >> np.arange(n) & 1).sum(axis=1)
    several = patterns[(n_active > 1) & (probability[1:] > 0)]
    singles = 2 ** np.arange(n)
    kinds = np.append(probability[singles], probability[several].sum())
    present = patterns[probability[1:] > 0]
    laws = [(np.arange(size + 1), binomial_law(size, rest)) for size in sizes]
    laws += [(np.arange(n + 1), kinds), (several, probability[several]), (present, probability[present])]
    return [table(*law) for law in laws]


def table(outcomes, law):
    """Return (cut, own, other) of Walker's table of a law, not normalised; of nothing, a table that is never read."""
    if not law.sum() > 0:
        return np.zeros(1, np.uint32), np.zeros(1, np.int32), np.zeros(1, np.int32)
    cut, alias = alias_table(law)
    return (
        np.minimum(np.round(cut * 2.0**32), 2.0**32 - 1).astype(np.uint32),
        outcomes.astype(np.int32),
        outcomes[alias].astype(np.int32),
    )


def stream_words(key):
    """Return the key of a stream, shape (2,) uint32, from that of `stream_key`, shape (2,) uint64."""
    return np.array([key[0] & MASK, key[0] >> HALF], np.uint64).astype(np.uint32)


def minibatch_of_few(laws, key, step, n, independent):
    """Return the samples of a step, shape (batch_size, n), drawn by the first of ``laws``."""
    found = []
    for part, size in enumerate(laws.sizes.tolist()):
        x = np.zeros((size, n))
        rows = _part_of_one(laws, key, step, part, n) if independent else _part_of_all(laws, key, step, part, n)
        x[: len(rows)] = rows
        found.append(x)
    return np.concatenate(found)


def words_of(key, count, part, step, purpose):
    """Return the words of places 0 … count − 1, shape (count, 4)."""
    words = philox(key[0], key[1], np.arange(count), part, step & 0xFFFFFFFF, purpose + (step >> 32 << 8))
    return np.stack(words, axis=1)


def rest_of(laws, key, step, part):
    """Return how many samples of a part have active features."""
    place = laws.places[0, REST if laws.sizes[part] == laws.sizes[0] else OTHER_REST]
    word = words_of(key, 1, part, step, COUNT)[0, 0]
    return int(outcome(word, place, laws.sizes[part] + 1, laws.cut, laws.own, laws.other))


def _samples(laws, key, step, part, n, count, start, n_patterns):
    """Return ``count`` samples whose patterns come from one table, shape (count, n)."""
    width = -(-(n + 1) // 4)
    words = words_of(key, count * width, part, step, SEVERAL).reshape(count, -1)
    patterns = outcome(words[:, 0], start, n_patterns, laws.cut, laws.own, laws.other)
    active = patterns[:, None] >> np.arange(n) & 1
    return values_at(words[:, 1 : n + 1] * TO_UNIT, laws.pieces) * active


def _part_of_one(laws, key, step, part, n):
    """Return the samples with active features of one part of the minibatch of one model."""
    count = rest_of(laws, key, step, part)
    return _samples(laws, key, step, part, n, count, laws.places[0, PRESENT], laws.places[0, N_PRESENT])


def _part_of_all(laws, key, step, part, n):
    """Return the samples with active features of one part of a minibatch that models share."""
    rest, place = rest_of(laws, key, step, part), laws.places[0]
    words = words_of(key, -(-rest // 4), part, step, CATEGORY).ravel()[:rest]
    counts = np.bincount(outcome(words, place[KINDS], n + 1, laws.cut, laws.own, laws.other), minlength=n + 1)
    padded = -(-counts[:n] // 4) * 4
    values = values_at(words_of(key, int(padded.sum()) // 4, part, step, SINGLE).ravel() * TO_UNIT, laws.pieces)
    rows = []
    for i, start in enumerate(np.cumsum(padded) - padded):
        own = np.zeros((counts[i], n))
        own[:, i] = values[start : start + counts[i]]
        rows.append(own)
    rows.append(_samples(laws, key, step, part, n, counts[n], place[PATTERNS], place[N_PATTERNS]))
    return np.concatenate(rows)
