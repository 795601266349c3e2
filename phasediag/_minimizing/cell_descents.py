"""Descents in many cells at once, each cell's in turn, and which of their ends are new there (numba kernels).

The kernels hold no lock of the interpreter. A descent that has come to the bottom of a minimum known in its cell ends there, and
costs no curvature. What is found in a cell depends on nothing but its own starts and what was known in it before: neither on
threads nor on how cells are divided among them.
"""

from functools import cache

import numpy as np

from .._compiling.jit import call, doubles, jit, offset, pointer
from ..forms import SAME_PRODUCTS
from . import newton
from .newton import MOST_ATTEMPTS
from .stationary_points import (
    CURVATURE_TOLERANCE,
    GRADIENT_TOLERANCE,
    MAX_STEPS,
    MOST_REACH,
    NEGLIGIBLE,
    SAME_LOSS,
    SAME_POINT,
    orbits,
)
from .trust_region import (
    CONTROL,
    DESCEND,
    EVALUATE,
    EVALUATIONS,
    FEATURE_LOSSES,
    FEATURES,
    FLAT,
    HIDDEN,
    LEAVE,
    LEFT,
    LEFT_AT,
    LOSS,
    LOWEST,
    NORM,
    NUMBERS,
    STEPS,
    is_even,
)

ROUGHLY, BOTTOM = 1e-6, 1e-15
"""Where no gradient entry is larger than the first, an end is compared with the minima known in the cell; the bottom is reached
where none exceeds the second, which rounding seldom allows."""
NEAR = 0.025
"""A warm start this near (in invariants) to a minimum known in the cell is not tried: two minima can be near each other."""
NEIGHBOURS = np.array([(0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1)])
"""To these cells, rows and columns away, minima are carried: narrow pockets lie aslant."""


def descend_cells(known, form, classes, controls, heads, first, starts, *, radius):
    """Descend from starts, in place, cell by cell, and tell which ends are minima that were not known in their cell.

    Parameters
    ----------
    known : tuple of ndarray
        Of all minima known: for each the next one of its cell, or −1, shape (n_known,); `Settled.numbers` (n_known, 6);
        invariants (n_known, n_invariants).
    form : Form
    classes : tuple of tuple of int
    controls : ndarray, shape (n_cells, n_controls)
    heads : ndarray of int, shape (n_cells,)
        The first of the minima known in each cell, or −1.
    first : ndarray of int, shape (n_cells + 1,)
        The first start of each cell, and the end of the last cell's.
    starts : ndarray, shape (n_starts, size)
    radius : float
        Of the first step.

    Returns
    -------
    numbers : ndarray, shape (n_starts, 6)
        `Settled.numbers`; where the end is not new, only the evaluations hold.
    feature_loss : ndarray, shape (n_starts, n_features)
    keys : ndarray, shape (n_starts, n_invariants)
    new : ndarray of bool, shape (n_starts,)
    """
    if not form.biased:
        starts[:, form.size - form.n_features :] = 0.0
    n, count = form.n_features, len(starts)
    numbers, feature_loss, new = np.zeros((count, 6)), np.empty((count, n)), np.zeros(count, np.int64)
    keys, rows = np.empty((count, known[2].shape[1])), np.ascontiguousarray(form.rows(controls))
    cells = rows, heads, first, starts, _members(n, classes), np.empty(n * (n + 1))
    _descend_cells(*known, *cells, radius, numbers, feature_loss, keys, new, newton.store(form).at(rows[0], form.free))
    return numbers, feature_loss, keys, new.astype(bool)


@cache
def _members(n, classes):
    """Members of the orbits that `invariants` sorts: their number, then of each its length and its members, an array of int."""
    rows, kept = orbits(n, classes)
    lists = [row[own].tolist() for row, own in zip(rows, kept, strict=True)]
    return np.array([len(lists), *(number for members in lists for number in (len(members), *members))])


def carry(frontier, shape, where, keys, losses, heads, links):
    """The tasks of a wave: minima from number ``frontier`` on go to the neighbouring cells in which none is known near them.

    Parameters
    ----------
    frontier : int
    shape : (int, int)
        Of the grid.
    where : ndarray of int, shape (n_minima,)
        The cells of minima.
    keys : ndarray, shape (n_minima, n_keys)
        What is the same of minima that are one, and near of those near each other.
    losses : ndarray, shape (n_minima,)
        Scaled alike within a cell.
    heads, links : ndarray of int
        See `extend_lists`.

    Returns
    -------
    cells, sources : ndarray of int, shape (n_tasks,)
        Of each task the cell, and the minimum that it starts from.
    """
    most = len(NEIGHBOURS) * (len(where) - frontier)
    cells, sources, before, last = *(np.empty(most, np.int64) for _ in range(3)), np.full(len(heads), -1)
    count = np.zeros(1, np.int64)
    _carry(frontier, *shape, where, keys, losses, heads, links, NEIGHBOURS, cells, sources, before, last, count)
    return cells[: count[0]], sources[: count[0]]


@jit(allocates=False)
def extend_lists(where, start, heads, links):
    """List what is in each cell, from entry ``start`` of where (n,) on.

    heads (n_cells,): the last entry of each cell; links (n,): the one before each entry; −1 ends a list. What is listed already
    is left as it is.
    """
    for k in range(start, where.size):
        if heads[where[k]] < k:
            links[k] = heads[where[k]]
            heads[where[k]] = k


@jit(allocates=False)
def _carry(frontier, n_rows, n_columns, where, keys, losses, heads, links, neighbours, cells, sources, before, last, n_tasks):
    """`carry`: before (n_tasks at most,) and last (n_cells,) list the tasks of each cell, n_tasks (1,) gets their number."""
    count = 0
    for k in range(frontier, where.size):
        for side in range(neighbours.shape[0]):
            row, column = where[k] // n_columns + neighbours[side, 0], where[k] % n_columns + neighbours[side, 1]
            if not (0 <= row < n_rows and 0 <= column < n_columns):
                continue
            cell = row * n_columns + column
            near, other = False, heads[cell]
            while other >= 0 and not near:
                near, other = _becomes(k, other, heads[where[k]], keys, losses, links), links[other]
            other = last[cell]  # what is on its way there
            while other >= 0 and not near:
                near, other = _becomes(k, sources[other], heads[where[k]], keys, losses, links), before[other]
            if not near:
                cells[count], sources[count], before[count], last[cell] = cell, k, last[cell], count
                count += 1
    n_tasks[0] = count


@jit(inner=True)
def _becomes(k, other, head, keys, losses, links):
    """Whether minimum k is near the ``other`` one, and no higher one of its cell, a list from its ``head`` on, is nearer."""
    n_keys = keys.shape[1]
    there = offset(pointer(keys), other * n_keys)
    apart = _apart(offset(pointer(keys), k * n_keys), there, n_keys)
    near = apart < NEAR
    while head >= 0 and near:
        if losses[head] > losses[k]:
            near = not _apart(offset(pointer(keys), head * n_keys), there, n_keys) < apart
        head = links[head]
    return near


@jit(inner=True)
def _apart(key, other, count):
    """The largest difference of two rows of invariants (count,)."""
    largest = 0.0
    for i in range(count):
        largest = max(largest, abs(key[i] - other[i]))
    return largest


@jit(allocates=False)
def _descend_cells(
    links, known, known_keys, controls, heads, first, starts, members, space, radius, found, losses, keys, new, table
):
    """`descend_cells`: members of orbits; space (n (n + 1),); found: numbers, new: 1 or 0."""
    at, numbers, n_keys, size, n_controls = (
        pointer(table),
        doubles(table[NUMBERS]),
        keys.shape[1],
        starts.shape[1],
        controls.shape[1],
    )
    control, own, n = doubles(table[CONTROL]), doubles(table[FEATURE_LOSSES]), table[FEATURES]
    for cell in range(heads.size):
        for i in range(n_controls):
            control[i] = controls[cell, i]
        for start in range(first[cell], first[cell + 1]):
            x, key = offset(pointer(starts), start * size), offset(pointer(keys), start * n_keys)
            end = offset(pointer(found), 6 * start)
            compared = heads[cell] >= 0
            for k in range(first[cell], start):
                compared = compared or new[k]
            numbers[EVALUATIONS], numbers[LEFT_AT], steps, goes_on, attempt = 0.0, np.inf, 0, True, 0 if compared else 1
            while goes_on:  # roughly down; if what is there is not known, to the bottom; if that is no minimum, on from there
                tolerance = BOTTOM if attempt % 2 else ROUGHLY
                call(table[DESCEND], (x, MAX_STEPS - steps, radius, tolerance, at))
                steps, end[0], end[1], end[2], end[5] = steps + int(numbers[STEPS]), numbers[LOSS], 0.0, 0.0, numbers[FLAT]
                if attempt % 2:
                    if newton.is_surely_minimum(x, at):
                        numbers[STEPS] = numbers[FLAT] = 0.0
                    else:
                        call(table[LEAVE], (x, MAX_STEPS - steps, radius, tolerance, at))
                    steps, end[1], end[2], end[5] = steps + int(numbers[STEPS]), numbers[NORM], numbers[LOWEST], numbers[FLAT]
                    if numbers[LEFT] != 0.0:
                        attempt, goes_on = attempt + 1, attempt + 1 < 2 * MOST_ATTEMPTS
                        continue
                    call(table[EVALUATE], (x, 0, at))
                    end[0] = numbers[LOSS]
                    if not (end[1] <= GRADIENT_TOLERANCE and end[2] >= -CURVATURE_TOLERANCE):
                        break
                if is_even(at):
                    _turn_upright(x, table[HIDDEN], n)
                _write_key(x, table[HIDDEN], n, pointer(members), pointer(space), key)
                same, k = False, heads[cell]
                while k >= 0 and not same:
                    same = _is_same(end, key, offset(pointer(known), 6 * k), offset(pointer(known_keys), n_keys * k), n_keys)
                    k = links[k]
                for k in range(first[cell], start):
                    if new[k] and not same:
                        same = _is_same(end, key, offset(pointer(found), 6 * k), offset(pointer(keys), n_keys * k), n_keys)
                new[start] = attempt % 2 == 1 and not same
                attempt, goes_on = attempt + 1, attempt % 2 == 0 and not same
            end[3] = numbers[EVALUATIONS]
            for i in range(n):
                losses[start, i] = own[i]


@jit(inner=True)
def _is_same(end, key, other, other_key, n_keys):
    """`same_minimum` of the numbers (6,) and invariants of an end, which may not have settled, and of a minimum."""
    steep, soft, reach = end[1] + other[1], max(min(end[2], other[2]), 0.0), 0.0
    if soft > 0.0:
        reach = min(n_keys * steep / soft, MOST_REACH)
    if not abs(end[0] - other[0]) <= SAME_LOSS * max(end[0], NEGLIGIBLE) + steep * reach:
        return False
    return (end[5] != 0.0 and other[5] != 0.0) or _apart(key, other_key, n_keys) <= SAME_POINT + reach


@jit(inner=True)
def _turn_upright(x, m, n):
    """`Form.upright` of x in place, where the signs of columns do not matter."""
    total, least = 0.0, np.inf
    for i in range(m * n):
        total += x[i] ** 2
    for turn in range(2):  # the least sum, then the first signs whose sum is no larger
        for signs in range(2 ** (n - 1)):
            square = 0.0
            for k in range(m):
                hidden = x[k * n]
                for i in range(1, n):
                    hidden += -x[k * n + i] if (signs >> (n - 1 - i)) & 1 else x[k * n + i]
                square += hidden**2
            if turn == 0:
                least = min(least, square)
            elif square <= least + SAME_PRODUCTS * total:
                for i in range(1, n):
                    if (signs >> (n - 1 - i)) & 1:
                        for k in range(m):
                            x[k * n + i] = -x[k * n + i]
                return


@jit(inner=True)
def _write_key(x, m, n, members, space, key):
    """The `invariants` of x to ``key``."""
    for i in range(n):
        for j in range(n):
            space[i * n + j] = 0.0
            for k in range(m):
                space[i * n + j] += x[k * n + i] * x[k * n + j]
        space[n * n + i] = x[m * n + i]
    at, place = 0, 1
    for _orbit in range(members[0]):
        for k in range(at, at + members[place]):
            value, l = space[members[place + 1 + k - at]], k
            while l > at and key[l - 1] > value:
                key[l] = key[l - 1]
                l -= 1
            key[l] = value
        at, place = at + members[place], place + 1 + members[place]
