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
from numba.core import cgutils
from numba.extending import intrinsic

from .._compiling.vectors import FLOATS, LANES, LONG, WORD, WORDS, at, constant, held, pointer, splat_ir

STARTS, MINIBATCHES = 0, 1  # what a seed is used for
STATE = 4 * LANES  # words of 32 bits: sixteen generators, word by word


def stream_key(seed, *cell):
    """Return the 128-bit key, shape (2,) uint64, of the stream of ``cell`` under a sequence of seed words."""
    return np.random.SeedSequence(seed, spawn_key=cell).generate_state(2, np.uint64)


def spread_of_starts(n_hidden, n_features):
    """Return the standard deviation of starting weights: Xavier's normal law."""
    return np.sqrt(2 / (n_hidden + n_features))


def _mix(builder, word):
    """Emit the finalizer of SplitMix64 on 64-bit words."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        word = builder.xor(word, builder.lshr(word, _like(word, shift)))
        word = builder.mul(word, _like(word, factor))
    return builder.xor(word, builder.lshr(word, _like(word, 31)))


def _like(word, value):
    """Return the constant, scalar or vector, of a word's type."""
    return ir.Constant(word.type, [value] * word.type.count if isinstance(word.type, ir.VectorType) else value)


@intrinsic
def seed_state(typing, key, step, block, state):
    """Seed the sixteen generators of one block of one step with a hash of (key, step, block); key and state are C pointers."""

    def emit(context, builder, sig, args):
        key, step, block, state = args
        low, high = (builder.load(at(builder, key, LONG(i))) for i in range(2))
        origin = _mix(builder, builder.add(builder.shl(step, LONG(20)), block))
        origin = _mix(builder, builder.add(origin, high))
        many = ir.VectorType(LONG, STATE // 2)
        spread = [
            builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(WORD, many.count), [0] * many.count))
            for one in (builder.insert_element(ir.Constant(many, ir.Undefined), word, WORD(0)) for word in (origin, low))
        ]
        steps = ir.Constant(many, [i * 0x9E3779B97F4A7C15 % 2**64 for i in range(1, many.count + 1)])
        words = _mix(builder, builder.add(_mix(builder, builder.add(spread[0], steps)), spread[1]))
        builder.store(words, builder.bitcast(state, many.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(key, types.int64, types.int64, state), emit


def advance_ir(builder, state):
    """Emit the next output of xoshiro128+, whose four words of state are in variables."""
    s0, s1, s2, s3 = (builder.load(variable) for variable in state)
    output, shifted = builder.add(s0, s3), builder.shl(s1, constant(9, WORDS))
    s2, s3 = builder.xor(s2, s0), builder.xor(s3, s1)
    s1, s0 = builder.xor(s1, s2), builder.xor(s0, s3)
    s3 = builder.or_(builder.shl(s3, constant(11, WORDS)), builder.lshr(s3, constant(21, WORDS)))
    for value, variable in zip((s0, s1, builder.xor(s2, shifted), s3), state, strict=True):
        builder.store(value, variable)
    return output


@contextmanager
def generators(context, builder, kind, state):
    """Give, for a while, the sixteen generators of an array of STATE words as `advance_ir` takes them."""
    first = pointer(context, builder, kind, state, to=WORDS)
    with held(builder, [at(builder, first, LONG(w)) for w in range(4)], to=WORDS) as (words,):
        yield words


def _emit_fill(convert):
    """Return an emitter that writes ``n_vectors`` vectors of ``convert``\\ ed xoshiro128+ output from entry 0 on."""

    def emit(context, builder, sig, args):
        state, out, n_vectors, *place = args
        kind = FLOATS if sig.args[1].dtype == types.float32 else WORDS
        target = pointer(context, builder, sig.args[1], out, *place, to=kind)
        with generators(context, builder, sig.args[0], state) as words, cgutils.for_range(builder, n_vectors) as loop:
            builder.store(convert(builder, advance_ir(builder, words)), builder.gep(target, [loop.index]), align=4)
        return context.get_dummy_value()

    return emit


@intrinsic
def fill_features(typing, state, out, place, n_vectors, most, scale):
    """Write 16 ``n_vectors`` values from entry ``place`` on: ``scale`` times the random word up to ``most``, then 0."""
    sig = types.void(state, out, types.intp, types.intp, types.uint32, types.float32)

    def emit(context, builder, sig, args):
        state, out, place, n_vectors, most, scale = args
        limit, factor = splat_ir(builder, most, WORDS), splat_ir(builder, scale)

        def value(builder, words):
            """Emit x where words lie up to the limit."""
            uniform = builder.fmul(builder.uitofp(words, FLOATS), factor)
            return builder.select(builder.icmp_unsigned("<=", words, limit), uniform, constant(0.0))

        return _emit_fill(value)(context, builder, sig, (state, out, n_vectors, place))

    return sig, emit


@intrinsic
def fill_words(typing, state, out, n_vectors):
    """Write 16 ``n_vectors`` random words to a uint32 array."""
    return types.void(state, out, types.intp), _emit_fill(lambda builder, words: words)


@intrinsic
def fill_negated(typing, state, out, n_vectors):
    """Write 16 ``n_vectors`` numbers −x to a float32 array, x uniform on {0, …, 2²⁴ − 1}/2²⁴."""

    def negated(builder, words):
        """Emit −x for the upper 24 bits of words."""
        whole = builder.sitofp(builder.lshr(words, constant(8, WORDS)), FLOATS)
        return builder.fmul(whole, constant(-(2.0**-24)))

    return types.void(state, out, types.intp), _emit_fill(negated)
