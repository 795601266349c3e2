"""Counter-based random streams.

The minibatch of one step is a pure function of (key, step, block): sixteen xoshiro128+ generators are seeded from a
hash of these and run until the block is drawn. Nothing else is remembered between steps, so that threads, chunks and
interrupted runs cannot change a bit of it.

References
----------
Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators" (the hash).
Blackman & Vigna 2021, "Scrambled linear pseudorandom number generators" (xoshiro128+).
"""

from contextlib import contextmanager

import numpy as np
from llvmlite import ir
from numba import types

from .._compiling.vectors import FLOATS, LANES, LONG, WORDS, constant, emitted

STARTS, MINIBATCHES = 0, 1  # what a seed is used for
STATE = 4 * LANES  # words of 32 bits: sixteen generators, word by word
# The law of values that is not uniform on [0, 1], as structures name it: of each piece up to which random word it is chosen, its
# low end and its width.
VALUES = "n_pieces piece_limits piece_lows piece_widths"


def stream_key(seed, *cell):
    """Return the 128-bit key, shape (2,) uint64, of the stream of ``cell`` under a sequence of seed words."""
    return np.random.SeedSequence(seed, spawn_key=cell).generate_state(2, np.uint64)


def spread_of_starts(n_hidden, n_features):
    """Return the standard deviation of starting weights: Xavier's normal law."""
    return np.sqrt(2 / (n_hidden + n_features))


def _mix(b, word):
    """Emit the finalizer of SplitMix64 on a word of 64 bits, or a vector of them."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        word = b.mul(b.xor(word, b.lshr(word, constant(shift, word.type))), constant(factor, word.type))
    return b.xor(word, b.lshr(word, constant(31, word.type)))


@emitted(types.uint64)
def mixed(b, word):
    """Return the finalizer of SplitMix64 of a word of 64 bits."""
    return _mix(b, word)


@emitted()
def seed_state(b, key, step, block, state):
    """Seed the sixteen generators of one block of one step with a hash of (key, step, block); key and state are C pointers."""
    low, high = (b.entry(key, i) for i in range(2))
    origin = _mix(b, b.add(b.shl(step, LONG(20)), block))
    origin = _mix(b, b.add(origin, high))
    n_words = STATE // 2
    steps = ir.Constant(ir.VectorType(LONG, n_words), [i * 0x9E3779B97F4A7C15 % 2**64 for i in range(1, n_words + 1)])
    words = _mix(b, b.add(_mix(b, b.add(b.splat(origin, n_words), steps)), b.splat(low, n_words)))
    b.put(words, state)


def word_limits(share):
    """Return up to which random word of 32 bits something is that has these shares of all words, one of them at least."""
    return (np.clip(np.rint(share * 2.0**32), 1, 2.0**32) - 1).astype(np.uint32)


def value_law(values, sign):
    """Return the entries `VALUES` of a structure for pieces (3, n_pieces), lows, widths and probabilities, times ``sign``.

    None stands for uniform on [0, 1], which takes none.
    """
    if values is None:
        return {}
    lows, widths, probabilities = values
    limits = word_limits(np.cumsum(probabilities))
    limits[-1] = 2**32 - 1
    pieces = {"piece_lows": lows, "piece_widths": widths}
    return {"n_pieces": lows.size, "piece_limits": limits} | {k: (sign * v).astype(np.float32) for k, v in pieces.items()}


def advance(b, state):
    """Emit the next output of xoshiro128+, whose four words of state are in variables."""
    s0, s1, s2, s3 = (b.load(variable) for variable in state)
    output, shifted = b.add(s0, s3), b.shl(s1, constant(9, WORDS))
    s2, s3 = b.xor(s2, s0), b.xor(s3, s1)
    s1, s0 = b.xor(s1, s2), b.xor(s0, s3)
    s3 = b.or_(b.shl(s3, constant(11, WORDS)), b.lshr(s3, constant(21, WORDS)))
    for value, variable in zip((s0, s1, b.xor(s2, shifted), s3), state, strict=True):
        b.store(value, variable)
    return output


@contextmanager
def generators(b, state):
    """Give, for a while, the sixteen generators at a C pointer to STATE words as `advance` takes them."""
    with b.held([b.at(state, w * LANES) for w in range(4)]) as (words,):
        yield words


def _fill(b, state, out, n_vectors, convert):
    """Emit the loop that writes ``n_vectors`` vectors of ``convert``\\ ed xoshiro128+ output."""
    with generators(b, state) as words, b.range(n_vectors) as i:
        b.put(convert(advance(b, words)), out, b.mul(i, LONG(LANES)))


@emitted()
def fill_features(b, state, out, n_vectors, most, scale):
    """Write 16 ``n_vectors`` values: ``scale`` times the random word up to ``most``, then 0."""
    limit, factor = b.splat(most), b.splat(scale)

    def value(words):
        """Emit x where words lie up to the limit."""
        uniform = b.fmul(b.uitofp(words, FLOATS), factor)
        return b.select(b.icmp_unsigned("<=", words, limit), uniform, constant(0.0))

    _fill(b, state, out, n_vectors, value)


@emitted()
def fill_words(b, state, out, n_vectors):
    """Write 16 ``n_vectors`` random words."""
    _fill(b, state, out, n_vectors, lambda words: words)


@emitted()
def fill_negated(b, state, out, n_vectors):
    """Write 16 ``n_vectors`` numbers −x, x uniform on {0, …, 2²⁴ − 1}/2²⁴."""

    def negated(words):
        """Emit −x for the upper 24 bits of words."""
        return b.fmul(b.sitofp(b.lshr(words, constant(8, WORDS)), FLOATS), constant(-(2.0**-24)))

    _fill(b, state, out, n_vectors, negated)


def _piece_value(b, words, n_pieces, limits, lows, widths):
    """Emit a vector of values: low + width u of the piece that one output of xoshiro128+ chooses, u from the next."""
    chosen, low, width = advance(b, words), *b.variables([constant(0.0)] * 2)
    with b.range(n_pieces) as i:
        piece = b.sub(b.sub(n_pieces, LONG(1)), i)  # the last first, so that the first that holds has its way
        holds = b.icmp_unsigned("<=", chosen, b.spread(limits, piece))
        for variable, array in ((low, lows), (width, widths)):
            b.store(b.select(holds, b.spread(array, piece), b.load(variable)), variable)
    uniform = b.fmul(b.uitofp(b.lshr(advance(b, words), constant(8, WORDS)), FLOATS), constant(2.0**-24))
    return b.fma(b.load(width), uniform, b.load(low))


@emitted()
def fill_pieces(b, state, out, n_vectors, n_pieces, limits, lows, widths):
    """Write 16 ``n_vectors`` values of the law that arrays of `VALUES` hold."""
    with generators(b, state) as words, b.range(n_vectors) as i:
        b.put(_piece_value(b, words, n_pieces, limits, lows, widths), out, b.mul(i, LONG(LANES)))


@emitted()
def fill_gated(b, state, gate, least, most, out, n_vectors, n_pieces, limits, lows, widths):
    """Write such values where the words at ``gate`` lie from ``least`` to ``most``, 0 elsewhere."""
    least, most = b.splat(least), b.splat(most)
    with generators(b, state) as words, b.range(n_vectors) as i:
        place = b.mul(i, LONG(LANES))
        value, word = _piece_value(b, words, n_pieces, limits, lows, widths), b.row(gate, place)
        inside = b.and_(b.icmp_unsigned(">=", word, least), b.icmp_unsigned("<=", word, most))
        b.put(b.select(inside, value, constant(0.0)), out, place)
