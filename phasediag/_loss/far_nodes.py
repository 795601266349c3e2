"""The terms of the contour far out, where most features are nearly never felt twice (emitted code).

There t_j is so small for most features, the bulk, that their elementary symmetric sums e₁, e₂, e₃ tell all the others, and that
the sums without feature j are Π (1 + t) (1 − t_j + t_j²) less the states with too few: no ladder down again as in `add_nodes`,
and rows half as long. The others go on by the ladder.
"""

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .._compiling.emission import Lanes
from .._compiling.jit import jit
from .._compiling.vectors import LONG
from .nodes import INVERSE, PHASE, WEIGHT, Block, G, T, add_slope, next_phase, spread

FAR_ORDERS = 8  # the most active features in states of the bulk


def _far_sums(block, bulk):
    """Emit the sums over the states with at least one, two, three active features of the bulk, their t^4 and more neglected.

    With e_m the elementary symmetric sums and p_m those of the powers, m e_m = e_{m−1} p₁ − e_{m−2} p₂ + … (Newton).
    """
    lanes, builder = block.lanes, block.builder
    half = builder.lshr(bulk, LONG(1))
    ladders = [[lanes.variable((lanes.zero, lanes.zero)) for _ in range(3)] for _ in range(2)]
    with cgutils.for_range(builder, half) as loop:  # two ladders, of half the features each: their steps need not wait
        for e, j in zip(ladders, (loop.index, builder.add(loop.index, half)), strict=True):
            row = block.row(j)
            t = _far_t(lanes, row, lanes.load(row, PHASE))
            one, two, three = (lanes.get(x) for x in e)
            for x, value in zip(e, (lanes.add(t, one), lanes.product(t, one, two), lanes.product(t, two, three)), strict=True):
                lanes.set(x, value)
    (a1, a2, a3), (b1, b2, b3) = ([lanes.get(x) for x in e] for e in ladders)
    e1, e2 = lanes.add(a1, b1), lanes.product(a1, b1, lanes.add(a2, b2))
    e3 = lanes.product(a1, b2, lanes.product(a2, b1, lanes.add(a3, b3)))
    e = [(lanes.constant(1.0), lanes.zero), e1, e2, e3]
    for m in (1, 2, 3):
        for _ in range(m):
            e[m] = block.over(e[m])
    _, e1, e2, e3 = e
    minus = lanes.constant(-2.0)
    p2 = lanes.product(e1, e1, lanes.scale(e2, minus))
    p3 = lanes.product(e1, lanes.add(p2, lanes.neg(e2)), lanes.scale(e3, lanes.constant(3.0)))
    p2 = lanes.neg(p2)
    for m in range(4, FAR_ORDERS + 1):
        total = lanes.product(e[m - 1], e1, lanes.product(e[m - 2], p2, lanes.product(e[m - 3], p3)))
        e.append(lanes.scale(total, lanes.constant(1.0 / m)))
    sums = [e[-1]]
    for x in e[-2:0:-1]:
        sums.append(lanes.add(sums[-1], x))
    return sums[-1], sums[-2], sums[-3]


def _far_t(lanes, row, phase):
    """Emit iω t from the phase."""
    return lanes.builder.fsub(phase[0], spread(lanes, row, WEIGHT)), phase[1]


def _emit_far(lanes, first, unit, slopes, p_i, bulk, n, work, sums):
    """Emit the terms; see `add_far_nodes`."""
    builder = lanes.builder
    one = lanes.constant(1.0)
    block = Block(lanes, first, unit, n, work)
    once, twice, thrice = (lanes.variable(x) for x in _far_sums(block, bulk))
    slow = builder.sub(n, bulk)
    with cgutils.for_range(builder, slow) as loop:
        row = block.row(builder.add(bulk, loop.index))
        t = block.transform(row)
        lanes.store(row, T, t)
        block.climb(t, once, twice, thrice)
    s1, s2 = lanes.get(once), lanes.get(twice)
    active, idle = block.add_sums(p_i, s2, lanes.get(thrice), sums)
    # Without j: every Π/(1 + t) = Π (1 − t + t²/(1 + t)), less the states with none and, i inactive, with one active.
    every = builder.fadd(s1[0], one), s1[1]
    c0 = lanes.product(idle, s2, lanes.product(active, s1))
    c1 = lanes.neg(lanes.product(idle, s1, lanes.product(active, every)))
    c2 = lanes.product(lanes.add(active, idle), every)
    far1, far2 = block.over(c1), block.over(block.over(c2))
    with cgutils.for_range(builder, bulk) as loop:
        row = block.row(loop.index)
        phase = next_phase(lanes, row)
        with builder.if_then(slopes):
            t = _far_t(lanes, row, phase)
            rest = lanes.product(t, lanes.product(t, far2, far1), c0)
            h = lanes.mul(spread(lanes, row, INVERSE), block.inverse)
            add_slope(lanes, row, rest, (lanes.fma(builder.fneg(t[1]), h, phase[0]), lanes.fma(t[0], h, phase[1])))
    with builder.if_then(slopes), cgutils.for_range(builder, slow) as loop:
        row = block.row(builder.add(bulk, loop.index))
        t = lanes.load(row, T)
        x = builder.fadd(t[0], one)
        over = builder.fdiv(one, lanes.fma(x, x, lanes.mul(t[1], t[1])))
        t2 = lanes.product(t, lanes.scale((x, builder.fneg(t[1])), over))
        rest = lanes.product(t, lanes.product(t2, c2, c1), c0)
        add_slope(lanes, row, rest, lanes.load(row, G))


@intrinsic
def _far_terms(typing, first, unit, slopes, p_i, bulk, n, work, sums):
    """As `add_far_nodes`, in the precision of ``work``."""

    def emit(context, builder, sig, args):
        *numbers, work, sums = args
        lanes = Lanes(builder, sig.args[6].dtype == types.float64)
        work, sums = (context.make_array(sig.args[k])(context, builder, args[k]).data for k in (6, 7))
        _emit_far(lanes, *numbers, work, sums)
        return context.get_dummy_value()

    return types.void(first, unit, slopes, p_i, bulk, n, work, sums), emit


@jit(inner=True)
def add_far_nodes(first, unit, slopes, p_i, bulk, n, work, sums):
    """As `add_nodes` with ``few``, t³ in slopes and Σt⁴ counting as 0 for the first ``bulk``, an even number.

    States with any number of them active stay. They need |y| > 1; no ρ of the others may be near 1 or larger. `far_bulk` tells
    how many there are. Each takes 31 operations, where `add_nodes` takes 42.
    """
    _far_terms(first, unit, slopes, p_i, bulk, n, work, sums)
