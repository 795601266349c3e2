"""Counter-based random streams and the law of a minibatch's activity patterns.

The minibatch of one step is a pure function of (key, step, block): sixteen xoshiro128+ generators are seeded from a
hash of these and run until the block is drawn. Nothing else is remembered between steps, so that threads, chunks and
interrupted runs cannot change a bit of it.

References
----------
Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators" (the hash).
Blackman & Vigna 2021, "Scrambled linear pseudorandom number generators" (xoshiro128+).
Walker 1977, "An efficient method for generating discrete random variables with general distributions"; Vose 1991.
"""

from contextlib import contextmanager

import numpy as np
from llvmlite import ir
from numba import types, uint64
from numba.core import cgutils
from numba.extending import intrinsic

from .._compiling.jit import jit
from .._compiling.vectors import FLOATS, LANES, LONG, WORD, WORDS, at, call_words_ir, constant, held, pointer, splat_ir, variables

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
    """Seed the sixteen generators of one block of one step with a hash of (key, step, block)."""

    def emit(context, builder, sig, args):
        key, step, block, state = args
        key = context.make_array(sig.args[0])(context, builder, key).data
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
        target = context.make_array(sig.args[3])(context, builder, state).data
        builder.store(words, builder.bitcast(target, many.as_pointer()), align=4)
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


def alias_table(probability):
    """Return (cut, alias) of Walker's method for a finite law: keep outcome i when the fraction is below cut[i]."""
    scaled = np.asarray(probability, dtype=np.float64) * (len(probability) / np.sum(probability))
    cut, alias = np.ones(len(scaled)), np.arange(len(scaled))
    small, large = list(np.flatnonzero(scaled < 1)), list(np.flatnonzero(scaled >= 1))
    while small and large:
        low, high = small.pop(), large[-1]
        cut[low], alias[low] = scaled[low], high
        scaled[high] -= 1 - scaled[low]
        if scaled[high] < 1:
            small.append(large.pop())
    return cut, alias


def binomial_law(size, probability):
    """Return the probabilities of 0, …, ``size`` successes, from their ratios to the likeliest number's."""
    mode = min(int((size + 1) * probability), size)
    k, law = np.arange(size), np.ones(size + 1)
    success, failure = (size - k) * probability, (k + 1) * (1 - probability)
    law[mode + 1 :] = np.cumprod(success[mode:] / failure[mode:])
    law[:mode] = np.cumprod((failure[:mode] / success[:mode])[::-1])[::-1]
    return law / law.sum()


class PatternLaw:
    """The law of the number of samples with each activity pattern in a block of samples.

    A pattern is a set of active features, written as the integer Σ 2^i. The most likely pattern takes what the others
    leave: their total is binomial, and each of them is then drawn from the patterns' conditional law, to 2⁻³².
    """

    def __init__(self, feature_density, block_sizes):
        n = len(feature_density)
        active = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
        probability = np.prod(np.where(active, feature_density, 1 - np.asarray(feature_density)), axis=1)
        self.active = active.sum(axis=1)
        self.order = np.argsort(1 - active, axis=1, kind="stable").ravel()
        self.usual = int(np.argmax(probability))
        likely = np.argsort(-probability, kind="stable")
        self.others = likely[(likely != self.usual) & (probability[likely] > 0)]
        below = np.cumsum(probability[self.others])
        rest = below[-1] if below.size else 0.0
        self.below = np.minimum(np.round(below / max(rest, 1e-300) * 2.0**32), 2.0**32 - 1).astype(np.uint32)
        counts = [alias_table(binomial_law(size, min(rest, 1.0))) for size in block_sizes]
        self.count_start = np.cumsum([0] + [len(cut) for cut, _ in counts])
        self.count_cut = np.concatenate([cut for cut, _ in counts])
        self.count_alias = np.concatenate([alias for _, alias in counts])

    def arrays(self):
        """Return what kernels take as ``law``."""
        return (
            self.active, self.order, self.usual, self.others, self.below, self.count_start, self.count_cut, self.count_alias,
        )  # fmt: skip


@jit(allocates=False)
def draw_outcome(words, i, start, stop, cut, alias):
    """Draw from the alias table in entries start … stop − 1, using the i-th pair of words."""
    bits = (uint64(words[2 * i]) << uint64(32)) | uint64(words[2 * i + 1])
    scaled = np.float64(bits >> uint64(11)) * 2.0**-53 * (stop - start)
    outcome = int(scaled)
    if scaled - outcome >= cut[start + outcome]:
        outcome = alias[start + outcome]
    return outcome


@intrinsic
def _count_below(typing, words, n_vectors, limit):
    """Return how many of 16 ``n_vectors`` words lie below a limit."""

    def emit(context, builder, sig, args):
        start = pointer(context, builder, sig.args[0], args[0], to=WORDS)
        limit = splat_ir(builder, args[2], WORDS)
        (found,) = variables(builder, [constant(0, WORDS)])
        with cgutils.for_range(builder, args[1]) as loop:
            word = builder.load(builder.gep(start, [loop.index]), align=4)
            below = builder.zext(builder.icmp_unsigned("<", word, limit), WORDS)
            builder.store(builder.add(builder.load(found), below), found)
        return builder.zext(call_words_ir(builder, "vector.reduce.add", builder.load(found), to=WORD), LONG)

    return types.int64(words, types.intp, types.uint32), emit


@jit(allocates=False)
def draw_counts(key, step, block, sizes, law, state, words, counts):
    """Seed the generators of one block of a minibatch and draw how many of its samples have each pattern."""
    _, _, usual, others, below, count_start, count_cut, count_alias = law
    seed_state(key, step, block, state)
    fill_words(state, words, 1)
    which = 0 if sizes[block] == sizes[0] else 1
    rest = draw_outcome(words, 0, count_start[which], count_start[which + 1], count_cut, count_alias)
    n_vectors = (rest + LANES - 1) // LANES
    fill_words(state, words, n_vectors)
    for i in range(rest, n_vectors * LANES):
        words[i] = 2**32 - 1  # below no limit
    for pattern in range(counts.size):
        counts[pattern] = 0
    seen = 0
    for i in range(others.size):  # the likeliest first
        if seen == rest:
            break
        found = _count_below(words, n_vectors, below[i]) if i < others.size - 1 else rest
        counts[others[i]] = found - seen
        seen = found
    counts[usual] = sizes[block] - rest


@jit(allocates=False)
def draw_block(key, step, block, sizes, law, space):
    """Draw one block of a minibatch: pattern by pattern, the active features' values negated.

    Fills the values, counts, begin and present of ``space`` and returns the number of patterns present, the empty one
    apart. Values lie feature by feature, each padded to whole vectors.
    """
    state, words, values, counts, begin, present = space
    draw_counts(key, step, block, sizes, law, state, words, counts)
    active = law[0]
    filled = 0
    n_present = 0
    for pattern in range(1, active.size):
        count = counts[pattern]
        if count:
            present[n_present] = pattern
            begin[n_present] = filled
            n_present += 1
            filled += active[pattern] * ((count + LANES - 1) // LANES * LANES)
    fill_negated(state, values, filled // LANES)
    return n_present
