"""Standard normal numbers of many NumPy generators at once, each seeded by a sequence of its own (a numba kernel).

``default_rng(SeedSequence(seed, spawn_key=(*prefix, cell))).normal(size=count)`` takes 25 µs, most of which is making objects: a
tenth of what training a small model for ten thousand steps takes. Here the same words are made without objects. Where a number
lies in the tails beyond NumPy's ziggurat, as one in four thousand does, the cell's generator is made after all.

References
----------
O'Neill 2014, "PCG: a family of simple fast space-efficient statistically good algorithms for random number generation".
Marsaglia & Tsang 2000, "The ziggurat method for generating random variables".
"""

from functools import cache
from itertools import pairwise

import numpy as np
from numba import uint64
from numba.np.random._constants import fi_double, ki_double, wi_double

from .._compiling.jit import jit

POOL, STATE = 4, 8
LOW = 0xFFFFFFFF
START_A, FACTOR_A, START_B, FACTOR_B = 0x43B0D7E5, 0x931E8875, 0x8B51F9DD, 0x58F38DED
LEFT, RIGHT = 0xCA01F9DD, 0x4973F715
HIGH_FACTOR, LOW_FACTOR = 0x2360ED051FC65DA4, 0x4385DF649FCCF645
"""The multiplier of PCG64."""


def normal_numbers(seed, prefix, cells, count):
    """Return what the generators of ``cells`` (n_cells,), uint64, draw first, shape (n_cells, count)."""
    found, certain = np.empty((len(cells), count)), np.empty(len(cells), np.bool_)
    _draw(cells, *_prefixed(seed, prefix), ki_double, wi_double, fi_double, found, certain)
    for k in np.flatnonzero(~certain):
        sequence = np.random.SeedSequence(seed, spawn_key=(*prefix, int(cells[k])))
        found[k] = np.random.default_rng(sequence).normal(size=count)
    return found


def _prefixed(seed, prefix):
    """SeedSequence's pool (4,) before the last two words, and the constants (16, 2) of the hashes that follow, as uint64."""
    pool = np.random.SeedSequence(seed, spawn_key=prefix).pool
    n_words = max(_n_words(seed), POOL) + sum(_n_words(number) for number in prefix)
    used = POOL * n_words  # each word was hashed into every number of the pool
    return pool.astype(np.uint64), _both_constants(used)


def _n_words(number):
    """Of how many words of 32 bits a whole number consists."""
    return max(-(-int(number).bit_length() // 32), 1)


@cache
def _both_constants(used):
    """Those of the hash that has been used so often and of the one that makes the state, shape (16, 2)."""
    return np.array(_constants(START_A, FACTOR_A, used) + _constants(START_B, FACTOR_B, 0), np.uint64)


def _constants(constant, factor, used):
    """What each of the next hashes, after ``used`` ones, adds to a word and what it multiplies the sum by: STATE pairs."""
    found = [constant * pow(factor, used, LOW + 1) & LOW]
    for _ in range(STATE):
        found.append(found[-1] * factor & LOW)
    return list(pairwise(found))


@jit(inner=True)
def _hashed(word, before, after):
    """A word of 32 bits hashed."""
    word = ((word ^ before) * after) & uint64(LOW)
    return word ^ (word >> uint64(16))


@jit(inner=True)
def _high(one, other):
    """The upper 64 bits of a product of two numbers of 64."""
    a, b, c, d = one >> uint64(32), one & uint64(LOW), other >> uint64(32), other & uint64(LOW)
    middle = a * d + ((b * d) >> uint64(32))
    return a * c + (middle >> uint64(32)) + ((b * c + (middle & uint64(LOW))) >> uint64(32))


@jit(inner=True)
def _stepped(high, low, more_high, more_low):
    """The next state of PCG64, high and low half, with an increment."""
    new_low = low * uint64(LOW_FACTOR) + more_low
    carry = uint64(1) if new_low < more_low else uint64(0)
    new_high = _high(low, uint64(LOW_FACTOR)) + high * uint64(LOW_FACTOR) + low * uint64(HIGH_FACTOR)
    return new_high + more_high + carry, new_low


@jit(inner=True)
def _turned(high, low):
    """The output of PCG64 in a state."""
    word, turn = high ^ low, high >> uint64(58)
    return word >> turn | word << ((uint64(64) - turn) & uint64(63))


@jit
def _draw(cells, pool, constants, accepted, widths, heights, found, certain):
    """Numbers of all cells to found (n_cells, count); certain (n_cells,): whether they are right."""
    state, own = np.empty(STATE, np.uint64), np.empty(POOL, np.uint64)
    for k in range(cells.size):
        for i in range(POOL):
            own[i] = pool[i]
        for i in range(STATE):  # the two words of the cell
            word = cells[k] & uint64(LOW) if i < POOL else cells[k] >> uint64(32)
            hashed = _hashed(word, constants[i, 0], constants[i, 1])
            word = (uint64(LEFT) * own[i % POOL] - uint64(RIGHT) * hashed) & uint64(LOW)
            own[i % POOL] = word ^ (word >> uint64(16))
        for i in range(STATE):
            state[i] = _hashed(own[i % POOL], constants[STATE + i, 0], constants[STATE + i, 1])
        high, low = state[0] | state[1] << uint64(32), state[2] | state[3] << uint64(32)
        more_high, more_low = state[4] | state[5] << uint64(32), state[6] | state[7] << uint64(32)
        more_high = more_high << uint64(1) | more_low >> uint64(63)
        more_low = more_low << uint64(1) | uint64(1)
        total = low + more_low  # the first of the two steps is from 0
        high = high + more_high + (uint64(1) if total < more_low else uint64(0))
        high, low = _stepped(high, total, more_high, more_low)
        certain[k] = cells[k] > uint64(LOW)  # a shorter number has one word
        for i in range(found.shape[1]):
            waiting = True
            while waiting:
                high, low = _stepped(high, low, more_high, more_low)
                drawn = _turned(high, low)
                strip, rest = drawn & uint64(255), drawn >> uint64(8)
                size = (rest >> uint64(1)) & uint64(0x000FFFFFFFFFFFFF)
                value = float(size) * widths[strip]
                found[k, i] = -value if rest & uint64(1) else value
                waiting = size >= accepted[strip]
                if waiting and strip == 0:
                    certain[k] = waiting = False
                elif waiting:  # at the strip's edge: as often as the law is higher there
                    high, low = _stepped(high, low, more_high, more_low)
                    height = (heights[strip - 1] - heights[strip]) * (float(_turned(high, low) >> uint64(11)) * 2.0**-53)
                    waiting = height + heights[strip] >= np.exp(-0.5 * value * value)
