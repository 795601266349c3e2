"""Columns of weights that minima without biases hold at 0 (numba kernels).

Without a bias output i is 0 for every input where W_i = 0, and z_i = W_i·h beside it to first order, with h = W x: whatever the
law of values is, the loss has a kink there, and along W_i = δ the slope D(δ) = g·δ − 2 (1 − slope) I_i E x_i (δ·h)⁺. Where D is
above 0 in all directions a minimum may sit there and W_i does not move; where it is below 0 in one the column comes out that way.
With E x_i < 0 D is convex, the largest of c·δ over the gradients c beside 0, and above 0 everywhere if 0 lies inside of these: of
what lies between those that are known the nearest to 0 says where to ask for the next (Gilbert 1966).
"""

import numpy as np

from .._compiling.jit import call, doubles, integers, jit, offset
from .._loss.enumeration import POINTS
from .._loss.points import RATE, STATE
from .trust_region import (
    COLUMNS,
    ENUMERATION,
    EVALUATE,
    FEATURES,
    FREE,
    GRADIENT,
    HELD,
    HIDDEN,
    KNOWN,
    LINES,
    LOSS,
    MOVED,
    NORM,
    NUMBERS,
    STEPS,
    WITHIN,
)

SHORT = 1e-6
"""A column this short may be 0 but for the kink."""
PROBE, LEVEL = 1e-9, 1e-7
"""How far beside a point one-sided derivatives are taken; slopes and curvatures of this size count as 0."""
LIT = 1e-3
"""Length of a column that comes out of 0, and of the weights with which a dead output is left."""
MOST_CUTS = 20
"""Gradients beside a column that are asked for in turn, and times that columns are held or come out."""


@jit(inner=True)
def descend_beside_columns(x, max_steps, radius, tolerance, table):
    """As `trust_region.descend`, of a loss without biases: columns that are held at 0 stay so, also when it has ended."""
    numbers, steps = doubles(table[NUMBERS]), 0
    let_go(table)
    hold_columns(x, 0.0, table)
    for _round in range(MOST_CUTS):
        call(table[WITHIN], (x, max_steps - steps, radius, tolerance, table))
        steps += int(numbers[STEPS])
        if steps >= max_steps or not hold_columns(x, SHORT, table):
            break
    numbers[STEPS] = steps


@jit(inner=True)
def let_go(table):
    """Let the columns move that are held."""
    size, free, held, numbers = (
        (table[HIDDEN] + 1) * table[FEATURES],
        integers(table[FREE]),
        _rows(table),
        doubles(table[NUMBERS]),
    )
    for k in range(size):
        free[k], held[k] = 1 if numbers[HELD] > 0.0 and held[k] > 0.0 else free[k], 0.0
    numbers[HELD] = 0.0


@jit(inner=True)
def hold_columns(x, short, table):
    """Hold at 0 the columns of x (size,), no longer than ``short``, where that is least; others come out. Whether any changes."""
    m, n, numbers, free = table[HIDDEN], table[FEATURES], doubles(table[NUMBERS]), integers(table[FREE])
    size, held, changes = (m + 1) * n, _rows(table), False
    lowest, loss, norm = offset(held, 3 * size), numbers[LOSS], numbers[NORM]
    for i in range(n):
        longest, moves = 0.0, True
        for k in range(m):
            longest, moves = max(longest, abs(x[k * n + i])), moves and (free[k * n + i] != 0 or held[k * n + i] > 0.0)
        if longest > short or not moves:
            continue
        slope, was_held = _least_slope(x, i, table), held[i] > 0.0
        changes = changes or slope < -LEVEL or (slope > LEVEL and not was_held)
        for k in range(m):
            at = k * n + i
            if slope > LEVEL:
                x[at], free[at], held[at], numbers[HELD] = 0.0, 0, 1.0, 1.0
            else:
                x[at], free[at], held[at] = LIT * lowest[k] if slope < -LEVEL and short > 0.0 else x[at], 1, 0.0
    numbers[LOSS], numbers[NORM], numbers[KNOWN] = loss, norm, 0.0
    return changes


@jit(inner=True)
def _rows(table):
    """Four rows (size,): 1 for weights of columns that are held, then working space."""
    return offset(doubles(table[LINES]), COLUMNS * (table[HIDDEN] + 1) * table[FEATURES])


@jit(inner=True)
def _is_whole(x, basis, table):
    """Whether the columns of x (size,) span all dimensions: along one that they leave out no slope is above 0."""
    m, n, rank = table[HIDDEN], table[FEATURES], 0
    for j in range(n):
        if rank == m or m > n:
            break
        rest, length = offset(basis, rank * m), 0.0
        for k in range(m):
            rest[k] = x[k * n + j]
        for other in range(rank):
            product = 0.0
            for k in range(m):
                product += basis[other * m + k] * rest[k]
            for k in range(m):
                rest[k] -= product * basis[other * m + k]
        for k in range(m):
            length += rest[k] ** 2
        if length > SHORT**2:
            for k in range(m):
                rest[k] /= length**0.5
            rank += 1
    return rank == m


@jit(inner=True)
def _least_slope(x, i, table):
    """The least slope found along a unit column i from W_i = 0, others as in x (size,): its direction to the last of the rows."""
    m, n, size = table[HIDDEN], table[FEATURES], (table[HIDDEN] + 1) * table[FEATURES]
    nearest, direction, lowest = offset(_rows(table), size), offset(_rows(table), 2 * size), offset(_rows(table), 3 * size)
    moved, gradient = offset(doubles(table[LINES]), MOVED * size), doubles(table[GRADIENT])
    state, least, asked = doubles(offset(integers(table[ENUMERATION]), POINTS)[STATE]), np.inf, 0
    if not _is_whole(x, moved, table):
        return 0.0
    rate, state[RATE] = state[RATE], 0.0  # no kink is held
    for k in range(size):
        moved[k] = x[k]
    for cut in range(2 * n + MOST_CUTS):  # first along and against other columns
        length = 0.0
        for k in range(m):
            along = -nearest[k]
            if cut < 2 * n:
                along = 0.0 if cut // 2 == i else x[k * n + cut // 2] if cut % 2 == 0 else -x[k * n + cut // 2]
            direction[k] = along
            length += along * along
        length = length**0.5
        if length <= (SHORT if cut < 2 * n else LEVEL):
            if cut < 2 * n:
                continue
            break
        for k in range(m):
            direction[k] /= length
            moved[k * n + i] = PROBE * direction[k]
        call(table[EVALUATE], (moved, 1, table))
        slope = part = square = 0.0
        for k in range(m):
            slope += gradient[k * n + i] * direction[k]
        if slope < least:
            least = slope
            for k in range(m):
                lowest[k] = direction[k]
        if least < -LEVEL and cut >= 2 * n:
            break
        asked += 1
        for k in range(m):  # of what lies between the nearest and this gradient
            change = gradient[k * n + i] - nearest[k]
            part -= nearest[k] * change
            square += change * change
        part = 1.0 if asked == 1 else min(max(part / square, 0.0), 1.0) if square > 0.0 else 0.0
        for k in range(m):
            nearest[k] += part * (gradient[k * n + i] - nearest[k])
    state[RATE] = rate
    return least
