"""Eigenvalues and eigenvectors of small symmetric matrices (numba kernel): LAPACK takes most of its time to begin.

Householder's reflections make the matrix tridiagonal, QL steps with implicit shifts diagonal (Bowdler, Martin, Reinsch and
Wilkinson 1968, Numer. Math. 11, 293).
"""

import numpy as np

from .._compiling.jit import jit, offset

SMALL = float(np.finfo(np.float64).eps)
"""An entry off the diagonal counts as 0 below this part of those beside it, and below its square of the largest."""
MOST_SHIFTS = 64
"""For each eigenvalue; two are usual."""


def room(size):
    """How many numbers the kernels below work in, of matrices (size, size)."""
    return size * size + 2 * size + 3 * MOST_SHIFTS * (size * (size - 1) // 2)


@jit(inner=True)
def eigenvectors(matrix, size, values, vectors, work):
    """Eigenvalues, lowest first, to values (size,), eigenvectors to the rows of vectors (size, size), which work on copies.

    matrix (size, size): symmetric, finite. work (`room`,).
    """
    n_rotations, rotations = eigenvalues(matrix, size, values, work), offset(work, size * size + 2 * size)
    _accumulate(work, size, offset(work, size * size + size), vectors)
    for k in range(n_rotations):
        i, sine, cosine = int(rotations[3 * k]), rotations[3 * k + 1], rotations[3 * k + 2]
        one, other = offset(vectors, i * size), offset(vectors, (i + 1) * size)
        for j in range(size):
            f = other[j]
            other[j] = sine * one[j] + cosine * f
            one[j] = cosine * one[j] - sine * f
    for k in range(size - 1):
        lowest = k
        for i in range(k + 1, size):
            if values[i] < values[lowest]:
                lowest = i
        if lowest != k:
            values[k], values[lowest] = values[lowest], values[k]
            for i in range(size):
                other = vectors[lowest * size + i]
                vectors[lowest * size + i], vectors[k * size + i] = vectors[k * size + i], other


@jit(inner=True)
def eigenvalues(matrix, size, values, work):
    """Eigenvalues of a symmetric matrix (size, size), in no order, to values (size,); returns the number of rotations in work.

    work (`room`,): reflections, then rotations that together lead to the eigenvectors: see `to_eigenvectors`.
    """
    beside, halves = offset(work, size * size), offset(work, size * size + size)
    for i in range(size * size):
        work[i] = matrix[i]
    _make_tridiagonal(work, size, values, beside, halves)
    return _make_diagonal(size, values, beside, offset(halves, size))


@jit(inner=True)
def to_eigenvectors(x, size, work, n_rotations):
    """The parts of x (size,) along the eigenvectors that `eigenvalues` left, in place: without these, which cost far more."""
    rotations = offset(work, size * size + 2 * size)
    for back in range(size - 1):
        _reflect(x, size - 1 - back, size, work)
    for k in range(n_rotations):
        i, sine, cosine = int(rotations[3 * k]), rotations[3 * k + 1], rotations[3 * k + 2]
        x[i], x[i + 1] = cosine * x[i] - sine * x[i + 1], sine * x[i] + cosine * x[i + 1]


@jit(inner=True)
def from_eigenvectors(x, size, work, n_rotations):
    """What has the parts x (size,) along the eigenvectors, in place: see `to_eigenvectors`."""
    rotations = offset(work, size * size + 2 * size)
    for back in range(n_rotations):
        k = n_rotations - 1 - back
        i, sine, cosine = int(rotations[3 * k]), rotations[3 * k + 1], rotations[3 * k + 2]
        x[i], x[i + 1] = cosine * x[i] + sine * x[i + 1], cosine * x[i + 1] - sine * x[i]
    for k in range(1, size):
        _reflect(x, k, size, work)


@jit(inner=True)
def _reflect(x, k, size, work):
    """The reflection that cleared row k, of x (size,) in place."""
    v, half, along = offset(work, k * size), work[size * size + size + k], 0.0
    if half != 0.0:
        for i in range(k):
            along += v[i] * x[i]
        along /= half
        for i in range(k):
            x[i] -= along * v[i]


@jit(inner=True)
def _make_tridiagonal(a, size, diagonal, beside, halves):
    """Reflections from both sides make a (size, size) tridiagonal: its diagonal, and what is beside it, after entry k at k.

    Row k of a gets the vector of the reflection that clears it, halves (size,) half of its square, 0 where there is none.
    """
    for k in range(size - 1, 0, -1):
        v, largest, square, halves[k] = offset(a, k * size), 0.0, 0.0, 0.0
        for i in range(k - 1):
            largest = max(largest, abs(v[i]))
        beside[k - 1] = v[k - 1]
        if largest == 0.0:
            continue
        for i in range(k):
            square += v[i] * v[i]
        length = -(square**0.5) if v[k - 1] >= 0.0 else square**0.5
        half = square - length * v[k - 1]
        if half == 0.0:  # what is beside the diagonal is too small to have a square
            beside[k - 1] = 0.0
            continue
        beside[k - 1], halves[k] = length, half
        v[k - 1] -= length
        along = 0.0
        for i in range(k):  # a v / half to the row behind, which is not needed any more
            value = 0.0
            for j in range(i + 1):
                value += a[i * size + j] * v[j]
            for j in range(i + 1, k):
                value += a[j * size + i] * v[j]
            diagonal[i] = value / half
            along += diagonal[i] * v[i]
        along /= 2.0 * half
        for i in range(k):
            diagonal[i] -= along * v[i]
        for i in range(k):
            row, one, other = offset(a, i * size), v[i], diagonal[i]
            for j in range(i + 1):
                row[j] -= one * diagonal[j] + other * v[j]
    for k in range(size):
        diagonal[k] = a[k * size + k]


@jit(inner=True)
def _accumulate(a, size, halves, vectors):
    """The product of the reflections in the rows of a, to the rows of vectors (size, size)."""
    for i in range(size * size):
        vectors[i] = 0.0
    for k in range(size):
        vectors[k * size + k] = 1.0
        if halves[k] == 0.0:
            continue
        v = offset(a, k * size)
        for i in range(k):
            row, along = offset(vectors, i * size), 0.0
            for j in range(k):
                along += row[j] * v[j]
            along /= halves[k]
            for j in range(k):
                row[j] -= along * v[j]


@jit(inner=True)
def _make_diagonal(size, values, beside, rotations):
    """QL steps: values (size,) are the diagonal at first, and what is beside it; returns the number of rotations.

    Of each these get the first of the two rows that it turns, the sine and the cosine.
    """
    beside[size - 1] = least = 0.0
    count = 0
    for k in range(size):
        least = max(least, SMALL * SMALL * (abs(values[k]) + abs(beside[k])))
    for first in range(size):
        for _shift in range(MOST_SHIFTS):
            last = first
            while last < size - 1 and abs(beside[last]) > max(SMALL * (abs(values[last]) + abs(values[last + 1])), least):
                last += 1
            if last == first:
                break
            g = (values[first + 1] - values[first]) / (2.0 * beside[first])
            r = (g * g + 1.0) ** 0.5 if abs(g) < 1e150 else abs(g)
            g = values[last] - values[first] + beside[first] / (g + r if g >= 0.0 else g - r)
            sine = cosine = 1.0
            shift = 0.0
            i = last - 1
            while i >= first:
                f, b = sine * beside[i], cosine * beside[i]
                r = (f * f + g * g) ** 0.5
                beside[i + 1] = r
                if r == 0.0:
                    values[i + 1] -= shift
                    break
                sine, cosine = f / r, g / r
                g = values[i + 1] - shift
                r = (values[i] - g) * sine + 2.0 * cosine * b
                shift = sine * r
                values[i + 1] = g + shift
                g = cosine * r - b
                rotations[3 * count], rotations[3 * count + 1], rotations[3 * count + 2] = float(i), sine, cosine
                count += 1
                i -= 1
            if i < first:
                values[first] -= shift
                beside[first] = g
            beside[last] = 0.0
    return count
