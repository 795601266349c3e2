"""Sparse minibatches as lists: of each sample that is not empty, the active features and their values."""

from llvmlite import ir
from numba import int64, types, uint32

from .._compiling.jit import doubles, integers, jit
from .._compiling.structures import layout
from .._compiling.vectors import LANES, LONG, WORDS, clear, constant, emitted, floats, routine, words
from .pattern_law import draw_outcome
from .streams import advance, fill_negated, fill_words, generators, seed_state

LIST_BLOCK = 1024  # samples drawn together
WAYS = 4  # counters of samples with equally many active features: one alone would wait for its own last change
RARE = 0.02  # mean density up to which samples are chosen feature by feature
BITS = 32  # features whose activity one word of a sample tells
# What blocks are drawn by and into. ``most`` has the limits of random words, which tell a feature's density to 2⁻³³, less than
# one sample in a run; where features are rare, there are alias tables of how often each is active in each size of block, else
# none. The last block has ``n_samples`` with active features and ``n_entries``.
LISTS, lists_at = layout(
    "n sizes most n_tables table table_start cut alias row stride column"
    " state n_drawn words masks found dense values tally order starts entry_row entry_place n_samples n_entries"
)


@emitted()
def _draw_activity(b, state, most, n, masks, found, n_vectors):
    """Draw which features are active in 16 ``n_vectors`` samples, and how many.

    Feature j of n is where a random word is at most ``most[j]``; all arrays are C pointers. A sample's bits stand in words of
    ``masks``: those of the first 32 features of sixteen samples, those of the next 32, …, then those of the next samples.
    """
    n_words = b.lshr(b.add(n, LONG(BITS - 1)), LONG(5))
    active, bit, ones = b.variables([constant(0, WORDS)] * 3)
    with generators(b, state) as drawn, b.range(n_vectors) as sample:
        b.store(constant(0, WORDS), ones)
        with b.range(n_words) as word:
            first = b.shl(word, LONG(5))
            stop = b.add(first, LONG(BITS))
            stop = b.select(b.icmp_signed("<", stop, n), stop, n)
            b.store(constant(0, WORDS), active)
            b.store(constant(1, WORDS), bit)
            with b.range(stop, first) as j:
                limit, own = b.spread(most, j), b.load(bit)
                on = b.select(b.icmp_unsigned("<=", advance(b, drawn), limit), own, constant(0, WORDS))
                b.store(b.or_(b.load(active), on), active)
                b.store(b.shl(own, constant(1, WORDS)), bit)
            b.put(b.load(active), masks, b.mul(b.add(b.mul(sample, n_words), word), LONG(LANES)))
            b.store(b.add(b.load(ones), b.apply("ctpop", b.load(active))), ones)
        b.put(b.load(ones), found, b.mul(sample, LONG(LANES)))


@emitted(types.int64)
def _lowest(b, bits):
    """Return the place of the lowest bit that is set."""
    return b.zext(b.cttz(bits, ir.Constant(ir.IntType(1), 1)), LONG)


@jit(once=True)
def _choose_activity(n_samples, space, masks, found):
    """Draw the same from tables of how often each feature is active, then which samples: faster where features are rare."""
    n, state, drawn, counts = space.n, words(space.state), words(space.words), integers(space.tally)
    table, start, cut, alias = integers(space.table), integers(space.table_start), doubles(space.cut), integers(space.alias)
    n_words = (n + BITS - 1) // BITS
    padded = (n_samples + LANES - 1) // LANES * LANES
    clear(masks, padded * n_words)
    clear(found, padded)
    fill_words(state, drawn, (2 * n + LANES - 1) // LANES)
    which = 0 if n_samples == integers(space.sizes)[0] else space.n_tables + 1
    left = 0
    for j in range(n):
        own = which + table[j]
        counts[j] = draw_outcome(drawn, j, start[own], start[own + 1], cut, alias)
        left += counts[j]
    ready = used = 0
    for j in range(n):
        bit = uint32(uint32(1) << uint32(j % BITS))
        column = j // BITS * LANES
        for _ in range(counts[j]):
            while True:  # again where the feature is already active
                if used == ready:
                    ready = min((left + LANES - 1) // LANES * LANES, space.n_drawn)
                    fill_words(state, drawn, ready // LANES)
                    used = 0
                sample = (int64(drawn[used]) * n_samples) >> 32
                used += 1
                word = sample // LANES * n_words * LANES + column + sample % LANES
                if masks[word] & bit == 0:
                    break
            masks[word] |= bit
            found[sample] += 1
            left -= 1


@routine("nnnn")
def draw_lists(lists, key, step, part):
    """Draw one part of a minibatch into the arrays of the `LISTS` at an address.

    An entry is an active feature of a sample: j ``row`` with the feature j, and the negated value. Entries lie sample by
    sample, ``starts`` telling where; samples with one active feature come first, then those with two, and so on, so that loops
    over a sample's entries seldom change their length. The values stand also in ``dense``, sample s and feature j at
    s ``stride`` + column[j], from where the entries drawn before are removed.
    """
    space = lists_at(lists)
    n, state, masks, found = space.n, words(space.state), words(space.masks), words(space.found)
    dense, values, column = floats(space.dense), floats(space.values), integers(space.column)
    tally, order, starts = integers(space.tally), integers(space.order), integers(space.starts)
    entry_row, entry_place = integers(space.entry_row), integers(space.entry_place)
    n_samples, n_words = integers(space.sizes)[part], (n + BITS - 1) // BITS
    for entry in range(space.n_entries):
        dense[entry_place[entry]] = 0
    seed_state(integers(key), step, part, state)
    if space.n_tables:
        _choose_activity(n_samples, space, masks, found)
    else:
        _draw_activity(state, words(space.most), n, masks, found, (n_samples + LANES - 1) // LANES)
    for slot in range(WAYS * (n + 1)):
        tally[slot] = 0
    for sample in range(n_samples):
        tally[WAYS * found[sample] + sample % WAYS] += 1
    n_filled = n_entries = 0
    for slot in range(WAYS, WAYS * (n + 1)):  # now where the samples of each slot begin
        count = tally[slot]
        tally[slot] = n_filled
        n_filled += count
        n_entries += slot // WAYS * count
    filled = n_filled
    for slot in range(WAYS):  # samples without an active feature go to the end
        count = tally[slot]
        tally[slot] = filled
        filled += count
    space.n_samples, space.n_entries = n_filled, n_entries
    fill_negated(state, values, (n_entries + LANES - 1) // LANES)
    for sample in range(n_samples):
        slot = WAYS * found[sample] + sample % WAYS
        order[tally[slot]] = sample
        tally[slot] += 1
    filled = 0
    starts[0] = 0
    for s in range(n_filled):
        sample = order[s]
        word = sample // LANES * n_words * LANES + sample % LANES
        bits, j = masks[word], 0
        for _ in range(found[sample]):
            while bits == 0:
                word += LANES
                j += BITS
                bits = masks[word]
            feature = j + _lowest(bits)
            bits &= uint32(bits - uint32(1))
            place = s * space.stride + column[feature]
            entry_row[filled], entry_place[filled] = feature * space.row, place
            dense[place] = values[filled]
            filled += 1
        starts[s + 1] = filled
