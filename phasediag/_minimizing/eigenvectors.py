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


@jit(inner=True)
def eigenvectors(matrix, size, values, vectors, work):
    """Eigenvalues, lowest first, to values (size,), eigenvectors to the rows of vectors (size, size), which work on copies.

    matrix (size, size): symmetric, finite. work (size² + 2 size,).
    """
    a, beside, halves = work, offset(work, size * size), offset(work, size * size + size)
    for i in range(size * size):
        a[i] = matrix[i]
    _make_tridiagonal(a, size, values, beside, halves)
    _accumulate(a, size, halves, vectors)
    _make_diagonal(size, values, beside, vectors)
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
def _make_diagonal(size, values, beside, vectors):
    """QL steps: values (size,) are the diagonal at first, and what is beside it; rows of vectors turn with them."""
    beside[size - 1] = least = 0.0
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
                one, other = offset(vectors, i * size), offset(vectors, (i + 1) * size)
                for k in range(size):
                    f = other[k]
                    other[k] = sine * one[k] + cosine * f
                    one[k] = cosine * one[k] - sine * f
                i -= 1
            if i < first:
                values[first] -= shift
                beside[first] = g
            beside[last] = 0.0
