"""Least losses of single rows over cells of their weights, whatever the bias: the row table (numba kernels).

Φ(g) = min_b E (x_i − (g·x + b)⁺)² is one function of (g_ii; g_ij, g_ik) for all rows and importances at one density. For each
cell the table has a lower bound of it, and a range of biases outside of which the slope in b has one sign or the row costs more
than a level: no global minimum in which no row costs more is there. Cells are halved from the coarsest level to the finest, and
those above the level die with all of their parts; then each coarser cell takes the least of its parts. A pair of weights
(g_ii, g_ij) has the least of its cells over all g_ik, so that two columns are bounded before the third is looked at.

Below −Σ_j g_ij⁺ all outputs are 0, which costs p/3 > σ²; above −Σ_j min(g_ij, 0) none is clipped and the slope is positive
beyond p/2 (1 − Σ_j g_ij): biases lie between. Weights beyond the table are those beyond the norms that a global minimum may have.
"""

from functools import lru_cache

import numpy as np

from .._compiling.jit import jit
from .bounds import row_bound

LEVELS = 4
_STEP, _EVEN, _GROWTH = 1 / 16, 1.5, 1.06
_PIECES = 6
"""Into how many pieces the biases of a cell are cut."""


def edges(most):
    """Ends of the finest cells of weights from 0 to ``most`` and beyond, a multiple of 2^(LEVELS − 1) of them."""
    found = list(np.arange(0, _EVEN + _STEP / 2, _STEP))
    while found[-1] < most or (len(found) - 1) % 2 ** (LEVELS - 1):
        found.append(found[-1] * _GROWTH)
    return np.array(found)


@lru_cache(4)
def row_table(density, level, most):
    """The table of rows of three features of a density whose loss is at most ``level``, of weights up to ``most`` in size.

    Returns (edges of the row's own weight (k + 1,), of the others (2k + 1,), cells (LEVELS, 3, k, 2k, 2k), pairs (LEVELS, 3, k,
    2k)): bound and range of biases, at level l in the first k/2^l places; dead cells have an infinite bound.
    """
    own = edges(most)
    other = np.concatenate([-own[:0:-1], own])
    k = len(own) - 1
    cells, pairs = np.full((LEVELS, 3, k, 2 * k, 2 * k), np.inf), np.full((LEVELS, 3, k, 2 * k), np.inf)
    fill(density, level, own, other, cells, pairs)
    return own, other, cells, pairs


@jit
def fill(p, level, own, other, cells, pairs):
    """Fill the arrays of `row_table`; return how many cells were looked at."""
    store, work, density = np.zeros((12, 4, 4)), np.zeros((10, 12)), np.full(3, p)
    low, high = np.zeros(4), np.zeros(4)
    seen = 0
    for down in range(LEVELS):
        l = LEVELS - 1 - down
        step = 2**l
        n_own, n_other = (own.shape[0] - 1) // step, (other.shape[0] - 1) // step
        for a in range(n_own):
            for b in range(n_other):
                for c in range(b + 1):
                    value, x, y = 0.0, 0.0, 0.0
                    low[0], high[0] = own[a * step], own[(a + 1) * step]
                    low[1], high[1] = other[b * step], other[(b + 1) * step]
                    low[2], high[2] = other[c * step], other[(c + 1) * step]
                    linear = 0.5 * p
                    for j in range(3):
                        x -= max(high[j], 0.0)
                        y -= min(low[j], 0.0)
                        linear -= 0.5 * p * low[j]
                    y = max(y, linear)
                    width = 1e-9 + 1e-9 * (y - x)
                    x, y = x - width, y + width
                    if down > 0:
                        value = cells[l + 1, 0, a // 2, b // 2, c // 2]
                        x, y = max(x, cells[l + 1, 1, a // 2, b // 2, c // 2]), min(y, cells[l + 1, 2, a // 2, b // 2, c // 2])
                    if value < np.inf:
                        seen += 1
                        first, last, least = np.inf, -np.inf, np.inf
                        for piece in range(_PIECES):
                            low[3] = x + (y - x) * piece / _PIECES
                            high[3] = y if piece == _PIECES - 1 else x + (y - x) * (piece + 1) / _PIECES
                            if low[3] > high[3]:
                                continue
                            bound, sign = row_bound(0, low, high, density, store, work)
                            if sign == 0.0 and bound <= level:
                                first, last, least = min(first, low[3]), max(last, high[3]), min(least, bound)
                        x, y, value = first, last, max(value, least)
                    else:
                        x, y = np.inf, -np.inf
                    for one, two in ((b, c), (c, b)):
                        cells[l, 0, a, one, two], cells[l, 1, a, one, two], cells[l, 2, a, one, two] = value, x, y
    for l in range(LEVELS):
        n_own, n_other = (own.shape[0] - 1) // 2**l, (other.shape[0] - 1) // 2**l
        for a in range(n_own):
            for b in range(n_other):
                pairs[l, 1, a, b], pairs[l, 2, a, b] = np.inf, -np.inf
                for c in range(n_other):
                    if l > 0:
                        value, x, y = np.inf, np.inf, -np.inf
                        for part in range(8):
                            i, j, k = 2 * a + part // 4, 2 * b + part // 2 % 2, 2 * c + part % 2
                            value = min(value, cells[l - 1, 0, i, j, k])
                            x, y = min(x, cells[l - 1, 1, i, j, k]), max(y, cells[l - 1, 2, i, j, k])
                        cells[l, 0, a, b, c], cells[l, 1, a, b, c], cells[l, 2, a, b, c] = value, x, y
                    pairs[l, 0, a, b] = min(pairs[l, 0, a, b], cells[l, 0, a, b, c])
                    pairs[l, 1, a, b] = min(pairs[l, 1, a, b], cells[l, 1, a, b, c])
                    pairs[l, 2, a, b] = max(pairs[l, 2, a, b], cells[l, 2, a, b, c])
    return seen


@jit(inner=True)
def _place(edges, x):
    """Return the cell of edges (k + 1,), increasing, in which x is; the first or last where it is in none."""
    a, b = 0, edges.shape[0] - 1
    while b - a > 1:
        middle = (a + b) // 2
        if edges[middle] <= x:
            a = middle
        else:
            b = middle
    return a


@jit(inner=True)
def look_up(own, other, cells, pairs, low, high, i, found):
    """Write (lower bound of row i's least loss, least and most bias) over a box of its weights (3,) to ``found`` (3,)."""
    j, k = (i + 1) % 3, (i + 2) % 3
    a0, a1 = _place(own, low[i]), _place(own, high[i])
    b0, b1 = _place(other, low[j]), _place(other, high[j])
    c0, c1 = _place(other, low[k]), _place(other, high[k])
    l = 0
    while l < LEVELS - 1 and max(max((a1 >> l) - (a0 >> l), (b1 >> l) - (b0 >> l)), (c1 >> l) - (c0 >> l)) > 2:
        l += 1
    value, x, y = np.inf, np.inf, -np.inf
    for a in range(a0 >> l, (a1 >> l) + 1):
        for b in range(b0 >> l, (b1 >> l) + 1):
            for c in range(c0 >> l, (c1 >> l) + 1):
                value = min(value, cells[l, 0, a, b, c])
                x, y = min(x, cells[l, 1, a, b, c]), max(y, cells[l, 2, a, b, c])
    for d0, d1 in ((b0, b1), (c0, c1)):
        l = 0
        while l < LEVELS - 1 and max((a1 >> l) - (a0 >> l), (d1 >> l) - (d0 >> l)) > 2:
            l += 1
        least, first, last = np.inf, np.inf, -np.inf
        for a in range(a0 >> l, (a1 >> l) + 1):
            for d in range(d0 >> l, (d1 >> l) + 1):
                least = min(least, pairs[l, 0, a, d])
                first, last = min(first, pairs[l, 1, a, d]), max(last, pairs[l, 2, a, d])
        value, x, y = max(value, least), max(x, first), min(y, last)
    found[0], found[1], found[2] = value, x, y
