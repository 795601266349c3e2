"""Directions that curve down within a cone, where second derivatives jump (numba kernels).

Where an output is 0 on an event of positive probability its loss has a half square there: 0 on one side, convex on the other.
With all of them off the second derivatives are H₀, and along d the curvature dᵀH(x + εd)d is dᵀH₀d plus something convex. No
direction without a part in the eigenvectors of H₀ that curve down curves down. For a given part s in those, the rest is a convex
problem, which Newton's method with H(x + εd) solves: where one eigenvector of H₀ curves down, s = ± it is all there is.
"""

import numpy as np

from .._compiling.jit import call, doubles, integers, jit, offset
from .._loss.enumeration import POINTS
from .._loss.points import SPAN, STATE
from .trust_region import (
    DECOMPOSE,
    ENUMERATION,
    EVALUATE,
    FEATURES,
    FREE,
    GRADIENT,
    HESSIAN,
    HIDDEN,
    LEAST_PIVOT,
    LOWEST,
    NUMBERS,
    SPECTRUM,
    VALUES,
    VECTORS,
    is_even,
    is_newton,
)

MOST_CELLS = 12
"""Steps of Newton's method to the least curvature of a cone, each over the second derivatives of one cell."""


@jit(inner=True)
def along(hessian, d, size):
    """The second derivative dᵀH d of a Hessian (size, size) along d (size,)."""
    curvature = 0.0
    for i in range(size):
        for j in range(size):
            curvature += d[i] * hessian[i * size + j] * d[j]
    return curvature


@jit(inner=True)
def look_into_cones(x, distance, level, least, space, direction, table):
    """Where it is above −level, the lowest curvature in the numbers becomes a lower one, with its ``direction``, if there is one.

    least (size, size): H₀. space (size + 4, size): working space.
    """
    size = (table[HIDDEN] + 1) * table[FEATURES]
    hessian, values, vectors = doubles(table[HESSIAN]), doubles(table[VALUES]), doubles(table[VECTORS])
    numbers, down, n_down = doubles(table[NUMBERS]), offset(space, 0), 0
    for i in range(size * size):
        hessian[i] = least[i]
    call(table[DECOMPOSE], (table,))
    while n_down < size and values[n_down] < -level:
        n_down += 1
    for i in range(n_down * size):
        down[i] = vectors[i]
    for first in range(n_down):
        for second in range(first, n_down):
            for sides in range(2 if first == second else 4):
                if numbers[LOWEST] < -level:
                    return
                d = offset(space, size * size)
                for i in range(size):
                    d[i] = down[first * size + i] if sides % 2 == 0 else -down[first * size + i]
                    if first != second:
                        d[i] += down[second * size + i] if sides < 2 else -down[second * size + i]
                _sink(x, distance, n_down, down, d, direction, table)


@jit(inner=True)
def _least_on(distance, table):
    """The bias, in parts of a distance, that brings an output on at this distance along weights of length 1 that were 0."""
    return 2.0 * distance * doubles(offset(integers(table[ENUMERATION]), POINTS)[STATE])[SPAN]


@jit(inner=True)
def keep_on(i, distance, direction, table):
    """Let the bias of output i, whose weights are 0, rise along a direction (size,) as far as keeps it on at a distance, where it
    may move and does not fall: with less the loss is higher, as on a stair."""
    m, n, square = table[HIDDEN], table[FEATURES], 0.0
    for k in range(m):
        square += direction[k * n + i] ** 2
    if integers(table[FREE])[m * n + i] and direction[m * n + i] >= 0.0:
        direction[m * n + i] = max(direction[m * n + i], square * _least_on(distance, table))


@jit(inner=True)
def light(x, distance, i, j, space, direction, table):
    """As `look_into_cones`, among the directions in which the weights of feature i, all 0, come to lie along those of j.

    Where the output is 0 whatever its feature is, it has to be on for its weights to tell: its bias, if it may move, goes
    as far as brings it on where no other feature is active, twice as far as their square, or where j is at 1 or −1.
    Where signs do not matter against j is as along it.
    space (size + 5, size): working space.
    """
    m, n, size, free = table[HIDDEN], table[FEATURES], (table[HIDDEN] + 1) * table[FEATURES], integers(table[FREE])
    down, d, at = offset(space, 0), offset(space, size * size), offset(space, (size + 4) * size)
    on = _least_on(distance, table)
    for k in range(size):
        at[k] = 0.0 if k % n == i else x[k]  # rounding would tell on which side of its kinks the output is
    for start in range(0, 8 if free[m * n + i] else 2, 2 if is_even(table) else 1):
        length = 0.0
        for k in range(2 * size):
            down[k] = 0.0
        down[size + m * n + i] = 1.0
        for k in range(m):
            down[k * n + i] = x[k * n + j] if free[k * n + i] else 0.0
            length += down[k * n + i] ** 2
        if length == 0.0:
            return
        for k in range(size):
            down[k] /= length**0.5
            d[k] = down[k] if start % 2 == 0 else -down[k]
        if free[m * n + i]:
            d[m * n + i] = on + (start // 2 - 2 if start > 1 else 0) * length**0.5
        _sink(at, distance, 1 if start < 2 else 2, down, d, direction, table)  # the bias moves, or it stays just there


@jit(inner=True)
def _sink(x, distance, n_down, down, d, direction, table):
    """Newton's method from d (size,), whose part in ``down`` (n_down, size) stays: see `look_into_cones`.

    After d come three more rows (size,) of working space, after ``down`` a matrix.
    """
    size = (table[HIDDEN] + 1) * table[FEATURES]
    hessian, gradient, factor = doubles(table[HESSIAN]), doubles(table[GRADIENT]), doubles(table[VECTORS])
    numbers, moved, step, part = doubles(table[NUMBERS]), offset(d, size), offset(d, 2 * size), offset(d, 3 * size)
    before, scale = np.inf, 1.0
    for _cell in range(MOST_CELLS):
        square = 0.0
        for i in range(size):
            square += d[i] ** 2
        for i in range(size):
            moved[i] = x[i] + distance * d[i] / square**0.5
        call(table[EVALUATE], (moved, 2, table))
        call(table[SPECTRUM], (moved, np.inf, table))
        value = along(hessian, d, size)
        if value / square < numbers[LOWEST]:
            numbers[LOWEST] = value / square
            for i in range(size):
                direction[i] = d[i] / square**0.5
        if not value < before:
            if before == np.inf or scale < 0.1:
                return
            scale *= 0.5  # a step too long for the cells that it crossed: half of it
            for i in range(size):
                d[i] -= scale * step[i]
            continue
        gain, before, scale = before - value, value, 1.0
        if gain <= 1e-12 * square:
            return
        for i in range(size):
            gradient[i] = 0.0
            for j in range(size):
                gradient[i] += hessian[i * size + j] * d[j]
        for k in range(n_down):  # what is left of both without the directions that curve down, which do not move
            v, own, slope = offset(down, k * size), 0.0, 0.0
            for i in range(size):
                part[i] = 0.0
                slope += v[i] * gradient[i]
                for j in range(size):
                    part[i] += hessian[i * size + j] * v[j]
                own += v[i] * part[i]
            for i in range(size):
                gradient[i] -= slope * v[i]
                for j in range(size):
                    hessian[i * size + j] += (own + 1.0) * v[i] * v[j] - part[i] * v[j] - v[i] * part[j]
        shift = 0.0
        while not is_newton(hessian, gradient, size, np.inf, -LEAST_PIVOT, factor, step):  # a cell that curves down in itself
            shift = max(2.0 * shift, -value / square, LEAST_PIVOT)
            for i in range(size):
                hessian[i * size + i] += shift
        for i in range(size):
            d[i] += step[i]
