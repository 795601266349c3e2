"""Minibatches sorted into cells.

The samples with the same k active features are points of the unit cube [0, 1]^k. The cube is halved along one feature
after the other until a cell holds some ten of them: the number in either half of a cell is binomial with probability ½, the
number of ones among as many random bits, and within its cell a sample is uniform. That is the law of samples drawn one by
one, which nobody has to sort. Cells know the moments of their samples, so that an output that is active on all of a cell,
or on nothing of it, need not look at the samples.
"""

from functools import cache
from itertools import combinations_with_replacement

import numpy as np
from llvmlite import ir
from numba import types

from .._compiling.jit import integers, offset
from .._compiling.structures import layout
from .._compiling.vectors import FLOATS, LANES, LONG, WORD, WORDS, constant, emitted, floats, invoke, routine, words
from .pattern_law import block_at, fill_values, law_at
from .streams import advance, generators

ROUND = 4  # samples of a cell come in rounds of so many, the last one filled up with NaN
MOST_ACTIVE, MOST_LEVELS = 5, 7  # active features up to which there are cells; most halvings of their cube
LEAST, PER_CELL = 192, 24  # samples of a pattern from which on it is sorted; least samples of a cell, about
LINE_LEAST, LINE_LEVELS = 16, 4  # the same for one active feature; as many cells as lanes
# What is known of a pattern that is sorted; see `draw_cells`.
PATTERN, pattern_at = layout("pattern n_active n_cells n_rows moments corners cells values")
PATTERN_BYTES = PATTERN.itemsize


def n_moments(k):
    """Return the number of moments of order 0 to 2 of k features."""
    return (k + 1) * (k + 2) // 2


@cache
def n_levels(n, most, sorted_=True):
    """Return how often the cube of k active features is halved for a number of samples, −1 where cells do not pay.

    The shape is (n + 1, most + 1), for k up to n and up to ``most`` samples; −1 everywhere unless ``sorted_``.
    """
    levels = np.full((n + 1, most + 1), -1)
    if not sorted_:
        return levels
    levels[1, LINE_LEAST:] = LINE_LEVELS
    count = np.arange(LEAST, most + 1)
    levels[2 : MOST_ACTIVE + 1, LEAST:] = np.minimum(MOST_LEVELS, np.log2(count / PER_CELL).astype(int))
    return levels


@cache
def geometry():
    """Return (start, corners, lattice): where the cells of k features and so many halvings begin in tables of their corners.

    ``start`` has shape (MOST_ACTIVE + 1, MOST_LEVELS + 1, 2). In ``corners`` lie the k widths of a cell, then the k
    coordinates of each cell's lower corner; in ``lattice`` the same corners in units of 2⁻²⁴, feature by feature.
    """
    start = np.zeros((MOST_ACTIVE + 1, MOST_LEVELS + 1, 2), np.int64)
    corners, lattice = [np.zeros(0)], [np.zeros(0, np.int32)]
    for k in range(1, MOST_ACTIVE + 1):
        for levels in range(MOST_LEVELS + 1):
            start[k, levels] = sum(map(len, corners)), sum(map(len, lattice))
            place, width = np.zeros((2**levels, k)), np.ones(k)
            for level in range(levels):
                width[level % k] /= 2
                place[:, level % k] += (np.arange(2**levels) >> (levels - 1 - level) & 1) * width[level % k]
            corners += [width, place.ravel()]
            padded = np.zeros((k, max(LANES, 2**levels)), np.int32)
            padded[:, : 2**levels] = place.T * 2.0**24
            lattice.append(padded.ravel())
    return start, np.concatenate(corners).astype(np.float32), np.concatenate(lattice)


def _most(b, words):
    """Emit the largest lane of a vector of words, as a long."""
    return b.zext(b.apply("vector.reduce.umax", words, to=WORD), LONG)


@emitted()
def _halve(b, state, per_cell, count, levels):
    """Write the numbers of samples in each cell, one lane each, and zeros to the next whole vector."""
    one, full = constant(1, WORDS), constant(32, WORDS)
    b.put(b.insert_element(constant(0, WORDS), b.trunc(count, WORD), WORD(0)), per_cell)
    with generators(b, state) as drawn, b.range(levels) as level:
        n_vectors = b.lshr(b.add(b.shl(LONG(1), level), LONG(LANES - 1)), LONG(4))
        with b.range(n_vectors) as v:
            place = b.mul(b.sub(b.sub(n_vectors, LONG(1)), v), LONG(LANES))  # the last first: halves take twice the room
            counts = b.row(per_cell, place)
            ones, left = b.variables([constant(0, WORDS), counts])
            with b.range(b.lshr(b.add(_most(b, counts), LONG(31)), LONG(5))):  # as many random bits as samples, in words of 32
                bits, rest = advance(b, drawn), b.load(left)
                short = b.icmp_unsigned("<", rest, full)
                low = b.sub(b.shl(one, b.and_(rest, constant(31, WORDS))), one)
                kept = b.select(short, b.and_(bits, low), bits)
                b.store(b.add(b.load(ones), b.apply("ctpop", kept)), ones)
                b.store(b.select(short, constant(0, WORDS), b.sub(rest, full)), left)
            lower = b.load(ones)
            upper = b.sub(counts, lower)
            for half in range(2):
                lanes = [lane // 2 + half * LANES // 2 + lane % 2 * LANES for lane in range(LANES)]
                b.put(b.shuffle_vector(lower, upper, ir.Constant(WORDS, lanes)), per_cell, place, place, half * LANES)


@emitted(types.int64)
def _fill_cells(b, state, k, levels, per_cell, corners, row, multiple, values, moments):
    """Draw the samples of sixteen cells, one per lane, and return how many: rows of k vectors, NaN beyond a cell's number.

    Also writes the moments Σ 1, Σ y_a, Σ y_a y_b with a ≤ b of the values y. The number of rows is a ``multiple``; arrays are C
    pointers to where those of the cells begin, ``row`` is the distance of features in the ``corners``, a `geometry` 's lattice.
    """
    inside = b.row(per_cell)
    rounds = b.udiv(b.sub(b.add(_most(b, inside), multiple), LONG(1)), multiple)
    n_samples = b.mul(rounds, multiple)

    def block(k):
        """Emit the loop for k active features: corners and totals stay in registers."""
        corner, shift = [b.row(corners, b.mul(row, LONG(f))) for f in range(k)], []
        for f in range(k):
            halved = b.sdiv(b.add(levels, LONG(k - 1 - f)), LONG(k))  # how often along this feature
            shift.append(b.splat(b.trunc(b.add(halved, LONG(8)), WORD)))
        totals = b.variables([constant(0.0)] * (n_moments(k) - 1))
        with generators(b, state) as drawn, b.range(n_samples) as sample:
            there = b.icmp_signed("<", b.splat(b.trunc(sample, WORD)), inside)
            y = []
            for f in range(k):
                whole = b.sitofp(b.add(corner[f], b.lshr(advance(b, drawn), shift[f])), FLOATS)
                value = b.fmul(whole, constant(-(2.0**-24)))
                b.put(b.select(there, value, constant(float("nan"))), values, b.mul(sample, LONG(k * LANES)), f * LANES)
                y.append(b.select(there, value, constant(0.0)))
            for f in range(k):
                b.store(b.fadd(b.load(totals[f]), y[f]), totals[f])
            for variable, (f, g) in zip(totals[k:], combinations_with_replacement(range(k), 2), strict=True):
                b.store(b.fma(y[f], y[g], b.load(variable)), variable)
        b.put(b.sitofp(inside, FLOATS), moments)
        for q, variable in enumerate(totals, start=1):
            b.put(b.load(variable), moments, q * LANES)

    b.choose(k, range(1, MOST_ACTIVE + 1), block)
    return n_samples


@emitted()
def _sum_line(b, moments):
    """Replace the three moments of sixteen cells by their sums over the cells below, and those over the cells above."""
    cells = [b.row(moments, q * LANES) for q in range(3)]
    for way, start in ((1, 0), (-1, 3)):
        for q, value in enumerate(cells):
            for distance in (1, 1, 2, 4, 8):  # the first one leaves out the cell itself
                lanes = [lane - way * distance for lane in range(LANES)]
                lanes = [lane if 0 <= lane < LANES else LANES for lane in lanes]  # 0 from beyond the ends
                moved = b.shuffle_vector(value, constant(0.0), ir.Constant(WORDS, lanes))
                value = moved if value is cells[q] else b.fadd(value, moved)
            b.put(value, moments, (start + q) * LANES)


@routine("nnnn")
def draw_cells(block, key, step, part):
    """Draw one part of a minibatch, into the `BLOCK` at an address, the values negated and many of them in cells.

    The empty pattern apart, ``few`` lists the ``n_few`` patterns that are not sorted: their values stand at the beginning of
    ``values``, sample by sample. ``patterns`` describes the ``n_sorted`` others::

        patterns   | PATTERN: pattern, n_active = k, n_cells, and in which entry of the arrays below its own begin | PATTERN | …

        moments    of k > 1: Σ 1, Σ y_a, Σ y_a y_b (a ≤ b) of cells 0 … 15, a vector each | of cells 16 … 31 | …
                   of k = 1: the three sums over all cells below each of the sixteen, then those over all cells above
        corners    k widths of a cell | k coordinates of the lower corner of cell 0 | of cell 1 | …     (the table of `geometry`)
        cells      of k > 1: rounds, values of cell 0 | of cell 1 | …: of ROUND samples each, and where they begin
        values     of k > 1: cells side by side in sixteen lanes, a row for each y_a of each sample, so that a cell's next number
                   lies LANES further on:   y_0 of sample 0 │ y_1 of sample 0 │ … │ y_0 of sample 1 │ …
                   of k = 1: n_rows such rows, a cell's samples below one another in its lane
                   NaN beyond a cell's last sample
    """
    space = block_at(block)
    law = law_at(space.law)
    invoke(space.draw_counts, block, key, step, part)
    n_active, counts, few = integers(law.n_active), integers(space.counts), integers(space.few)
    levels_of, starts, most = integers(space.levels), integers(space.starts), integers(space.sizes)[0] + 1
    state, values, moments = words(space.state), floats(space.values), floats(space.moments)
    cells, per_cell, lattice = integers(space.cells), words(space.per_cell), words(space.lattice)
    n_few = n_sorted = filled = known = listed = 0
    for pattern in range(1, law.n_patterns):
        count, k = counts[pattern], n_active[pattern]
        if count:
            if levels_of[k * most + count] < 0:
                few[n_few] = pattern
                n_few += 1
                filled += k * count
            else:
                pattern_at(space.patterns + n_sorted * PATTERN_BYTES).pattern = pattern
                n_sorted += 1
    space.n_few, space.n_sorted = n_few, n_sorted
    n_vectors = (filled + LANES - 1) // LANES
    fill_values(space, n_vectors)
    filled = n_vectors * LANES
    for i in range(n_sorted):
        row = pattern_at(space.patterns + i * PATTERN_BYTES)
        k, count = n_active[row.pattern], counts[row.pattern]
        levels = levels_of[k * most + count]
        n_cells = 1 << levels
        at_corners = 2 * (k * (MOST_LEVELS + 1) + levels)
        row.n_active, row.n_cells, row.moments, row.corners, row.cells = k, n_cells, known, starts[at_corners], listed
        row.values = filled
        _halve(state, per_cell, count, levels)
        multiple, group = (ROUND, (k + 1) * (k + 2) // 2) if k > 1 else (1, 6)
        for first in range(0, n_cells, LANES):
            if k > 1:
                for cell in range(first, min(first + LANES, n_cells)):
                    cells[listed] = (per_cell[cell] + ROUND - 1) // ROUND
                    cells[listed + 1] = filled + cell - first
                    listed += 2
            corners = offset(lattice, starts[at_corners + 1] + first)
            drawn, summed = offset(values, filled), offset(moments, known)
            inside, across = offset(per_cell, first), max(n_cells, LANES)
            row.n_rows = _fill_cells(state, k, levels, inside, corners, across, multiple, drawn, summed)
            if k == 1:
                _sum_line(summed)
            filled += row.n_rows * k * LANES
            known += group * LANES
