"""The law of a minibatch's activity patterns: how many samples of a block have each set of active features.

A pattern is a set of active features, written as the integer Σ 2^i. The most likely one takes what the others leave: their total
is binomial, and each of them is then drawn from the patterns' conditional law, to 2⁻³².

References
----------
Walker 1977, "An efficient method for generating discrete random variables with general distributions"; Vose 1991.
"""

from functools import lru_cache

import numpy as np
from numba import types, uint64

from .._compiling.jit import doubles, integers, jit
from .._compiling.structures import Structure, layout
from .._compiling.vectors import LANES, LONG, WORD, WORDS, constant, emitted, floats, invoke, routine, words
from .streams import VALUES, fill_negated, fill_pieces, fill_words, seed_state

# `PatternLaw` as kernels read it.
LAW, law_at = layout("n_patterns n_active order usual n_others others below count_start count_cut count_alias")
# What a block of a minibatch is drawn by and into. ``few`` are the n_few patterns whose samples lie one after another at the
# beginning of ``values``, by `draw_block` from ``begin`` on, each feature's samples padded to whole vectors. The others by
# `draw_cells`, which says what they are.
BLOCK, block_at = layout(
    "law draw_counts sizes n_blocks state words counts values few begin n_few"
    f" levels starts lattice patterns moments cells per_cell n_sorted {VALUES}"
)


def alias_table(probability):
    """Return (cut, alias) of Walker's method for a finite law: keep outcome i when the fraction is below cut[i]."""
    left = np.asarray(probability, dtype=np.float64) * (len(probability) / np.sum(probability))
    cut, alias = np.ones(left.size), np.arange(left.size)
    _fill(left, np.empty(left.size, np.int64), cut, alias)
    return cut, alias


@jit
def _fill(left, waiting, cut, alias):
    """Fill in a table (size,) from the law times its size, ``left``; in ``waiting`` (size,) are stacks of the small and large."""
    n_small = n_large = 0
    for i in range(left.size):
        if left[i] < 1:
            waiting[n_small] = i
            n_small += 1
        else:
            n_large += 1
            waiting[left.size - n_large] = i
    while n_small and n_large:
        high = waiting[left.size - n_large]
        while n_small and left[high] >= 1:
            n_small -= 1
            low = waiting[n_small]
            cut[low], alias[low] = left[low], high
            left[high] -= 1 - left[low]
        if left[high] < 1:
            n_large -= 1
            waiting[n_small] = high
            n_small += 1


def binomial_law(size, probability):
    """Return the probabilities of 0, …, ``size`` successes, from their ratios to the likeliest number's."""
    mode = min(int((size + 1) * probability), size)
    k, law = np.arange(size), np.ones(size + 1)
    success, failure = (size - k) * probability, (k + 1) * (1 - probability)
    law[mode + 1 :] = np.cumprod(success[mode:] / failure[mode:])
    law[:mode] = np.cumprod((failure[:mode] / success[:mode])[::-1])[::-1]
    return law / law.sum()


def independent_patterns(feature_density):
    """Return the probability of every pattern, shape (2^n,), of independent features of these densities, shape (n,)."""
    active = (np.arange(2 ** len(feature_density))[:, None] >> np.arange(len(feature_density))) & 1
    return np.prod(np.where(active, feature_density, 1 - np.asarray(feature_density)), axis=1)


@lru_cache(maxsize=8)
def pattern_law(probabilities, block_sizes):
    """Return the law for tuples of the patterns' probabilities and of one or two sizes of blocks; chunks of one law share it.

    Bit i of a pattern's number says whether feature i is active.

    Returns
    -------
    Structure
        ``n_active``, shape (n_patterns,), is a pattern's number of active features; ``order``, (n_patterns n,), has the features
        of each pattern, the active ones first; ``others``, (n_others,), lists all patterns but the usual one, the likeliest
        first, and ``below`` up to which word each is drawn; ``count_start``, one more than sizes, tells where in ``count_cut``
        and ``count_alias`` the alias table of each size begins, of how many samples have one of the others.
    """
    probability = np.array(probabilities)
    n = probability.size.bit_length() - 1
    active = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
    usual = int(np.argmax(probability))
    likely = np.argsort(-probability, kind="stable")
    others = likely[(likely != usual) & (probability[likely] > 0)]
    below = np.cumsum(probability[others])
    rest = below[-1] if below.size else 0.0
    tables = [alias_table(binomial_law(size, min(rest, 1.0))) for size in block_sizes]
    return Structure(
        LAW,
        n_patterns=2**n,
        n_active=active.sum(axis=1),
        order=np.argsort(1 - active, axis=1, kind="stable").ravel(),
        usual=usual,
        n_others=others.size,
        others=others,
        below=np.minimum(np.round(below / max(rest, 1e-300) * 2.0**32), 2.0**32 - 1).astype(np.uint32),
        count_start=np.cumsum([0] + [len(cut) for cut, _ in tables]),
        count_cut=np.concatenate([cut for cut, _ in tables]),
        count_alias=np.concatenate([alias for _, alias in tables]),
    )


@jit(once=True)
def draw_outcome(drawn, i, start, stop, cut, alias):
    """Draw from the alias table in entries start … stop − 1, using the i-th pair of random words; all arrays are C pointers."""
    bits = (uint64(drawn[2 * i]) << uint64(32)) | uint64(drawn[2 * i + 1])
    scaled = np.float64(bits >> uint64(11)) * 2.0**-53 * (stop - start)
    outcome = int(scaled)
    if scaled - outcome >= cut[start + outcome]:
        outcome = alias[start + outcome]
    return outcome


@emitted(types.int64)
def _count_below(b, drawn, n_vectors, limit):
    """Return how many of 16 ``n_vectors`` words at a C pointer lie below a limit."""
    limit, (found,) = b.splat(limit), b.variables([constant(0, WORDS)])
    with b.range(n_vectors) as v:
        below = b.icmp_unsigned("<", b.row(drawn, b.mul(v, LONG(LANES))), limit)
        b.store(b.add(b.load(found), b.zext(below, WORDS)), found)
    return b.zext(b.apply("vector.reduce.add", b.load(found), to=WORD), LONG)


@routine("nnnn")
def draw_counts(block, key, step, part):
    """Seed the generators of one part of a minibatch and draw how many samples have each pattern, into a `BLOCK`."""
    block = block_at(block)
    law, sizes = law_at(block.law), integers(block.sizes)
    drawn, state = words(block.words), words(block.state)
    counts, others, below, start = integers(block.counts), integers(law.others), words(law.below), integers(law.count_start)
    seed_state(integers(key), step, part, state)
    fill_words(state, drawn, 1)
    which = 0 if sizes[part] == sizes[0] else 1
    rest = draw_outcome(drawn, 0, start[which], start[which + 1], doubles(law.count_cut), integers(law.count_alias))
    n_vectors = (rest + LANES - 1) // LANES
    fill_words(state, drawn, n_vectors)
    for i in range(rest, n_vectors * LANES):
        drawn[i] = 2**32 - 1  # below no limit
    for pattern in range(law.n_patterns):
        counts[pattern] = 0
    seen = 0
    for i in range(law.n_others):  # the likeliest first
        if seen == rest:
            break
        found = _count_below(drawn, n_vectors, below[i]) if i < law.n_others - 1 else rest
        counts[others[i]] = found - seen
        seen = found
    counts[law.usual] = sizes[part] - rest


@jit(once=True)
def fill_values(space, n_vectors):
    """Write 16 ``n_vectors`` negated values to the beginning of the values of a `BLOCK`."""
    state, values = words(space.state), floats(space.values)
    if space.n_pieces:
        limits, lows, widths = words(space.piece_limits), floats(space.piece_lows), floats(space.piece_widths)
        fill_pieces(state, values, n_vectors, space.n_pieces, limits, lows, widths)
    else:
        fill_negated(state, values, n_vectors)


@routine("nnnn")
def draw_block(block, key, step, part):
    """Draw one part of a minibatch pattern by pattern, into the `BLOCK` at an address, the values negated.

    The empty pattern apart, all that are present are listed in ``few``.
    """
    space = block_at(block)
    law = law_at(space.law)
    invoke(space.draw_counts, block, key, step, part)
    n_active, counts, few, begin = integers(law.n_active), integers(space.counts), integers(space.few), integers(space.begin)
    filled = n_few = 0
    for pattern in range(1, law.n_patterns):
        count = counts[pattern]
        if count:
            few[n_few] = pattern
            begin[n_few] = filled
            n_few += 1
            filled += n_active[pattern] * ((count + LANES - 1) // LANES * LANES)
    space.n_few = n_few
    fill_values(space, filled // LANES)
