"""What decides the name of a phase, of many weights at once, as small whole numbers (a numba kernel)."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ._arguments import usable_processors
from ._compiling.jit import jit, pointer

MOST_MEMBERS = 8
"""Clusters of more features have no signature."""
DOUBT = 1e-6
"""Nor has one whose dimension, or whose origin's place, hangs on so little: its products have no more digits."""
FINEST = 1e-4
"""Tolerances of names from which on signatures tell what names do."""
PLAIN = 2
"""Signatures of clusters that are no shape begin behind this."""
AT_ONCE = 4096
"""Weights that a thread takes at a time."""


def signatures(weights, tolerance):
    """Whole numbers of which equal ones belong to equal phases.

    weights (n_models, n_hidden, n_features), finite. Returns int8 numbers (n_models, 2 n_features): of each feature the first of
    its cluster, −1 where it is not represented, then of each cluster, at its first feature, 1 for a simplex, −1 for an aligned
    pair, and `PLAIN` and its dimension for one too small for another shape; and whether they tell the phase, a bool array
    (n_models,): not of clusters with other shapes.
    """
    n_models, _, n = weights.shape
    found, tell = np.zeros((n_models, 2 * n), np.int8), np.zeros(n_models, np.bool_)
    if not FINEST <= tolerance:
        return found, tell

    def part(start):
        """Those of the models from ``start`` on."""
        own = np.ascontiguousarray(weights[start : start + AT_ONCE])
        directions, space = np.empty(own.shape[1:]), np.empty((2 * MOST_MEMBERS + n, max(MOST_MEMBERS, n)))
        _signatures(own, tolerance, directions, space, found[start : start + AT_ONCE], tell[start : start + AT_ONCE])

    starts = range(0, n_models, AT_ONCE)
    if len(starts) < 2:
        part(0)
    else:
        with ThreadPoolExecutor(usable_processors()) as pool:
            list(pool.map(part, starts))
    return found, tell


@jit(allocates=False)
def _signatures(weights, tolerance, unit, space, found, tell):
    """`signatures`: unit (n_hidden, n), space (2 MOST_MEMBERS + n, MOST_MEMBERS or n)."""
    n_models, m, n = weights.shape
    for model in range(n_models):
        w, label = weights[model], found[model]
        tell[model] = True
        for i in range(n):
            largest = norm = 0.0
            for k in range(m):
                largest = max(largest, abs(w[k, i]))
            for k in range(m):
                unit[k, i] = w[k, i] / largest if largest > 0.0 else 0.0
                norm += unit[k, i] ** 2
            norm = norm**0.5
            for k in range(m):
                unit[k, i] = unit[k, i] / norm if largest > 0.0 else 0.0
            label[i] = i if largest * norm > tolerance else -1
            label[n + i] = 0
        products = space[2 * MOST_MEMBERS :]
        for i in range(n):
            for j in range(i + 1):
                value = 0.0
                for k in range(m):
                    value += unit[k, i] * unit[k, j]
                products[i, j] = products[j, i] = value
        changed = True
        while changed:  # every feature gets the first of its cluster
            changed = False
            for i in range(n):
                for j in range(i):
                    if label[i] >= 0 and label[j] >= 0 and label[i] != label[j] and abs(products[i, j]) > tolerance:
                        label[i] = label[j] = min(label[i], label[j])
                        changed = True
        for i in range(n):
            if label[i] == i:
                shape = _shape(pointer(label), products, n, i, tolerance, space)
                label[n + i] = shape
                tell[model] = tell[model] and shape != PLAIN


@jit(inner=True)
def _shape(label, products, n, first, tolerance, space):
    """Of the cluster of a feature: 0 if it is dedicated, 1 a simplex, −1 an aligned pair; else PLAIN + its dimension.

    PLAIN alone if in doubt, or if it has features enough for another shape.
    """
    size, matrix, vectors = 0, space, space[MOST_MEMBERS:]
    for i in range(n):
        if label[i] == first:
            if size == MOST_MEMBERS:
                return PLAIN
            column = 0
            for j in range(n):
                if label[j] == first and column < MOST_MEMBERS:
                    matrix[size, column] = products[i, j]
                    column += 1
            size += 1
    if size == 1:
        return 0
    for i in range(size):
        matrix[i, i] = 1.0
        for j in range(size):
            vectors[i, j] = 1.0 if i == j else 0.0
    for _sweep in range(30):  # Jacobi's rotations
        beside = 0.0
        for i in range(size):
            for j in range(i):
                beside += matrix[i, j] ** 2
        if beside < 1e-34:
            break
        for i in range(size):
            for j in range(i):
                if matrix[i, j] == 0.0:
                    continue
                theta = (matrix[j, j] - matrix[i, i]) / (2.0 * matrix[i, j])
                t = (1.0 if theta >= 0.0 else -1.0) / (abs(theta) + (theta * theta + 1.0) ** 0.5)
                c = 1.0 / (t * t + 1.0) ** 0.5
                s = t * c
                for k in range(size):
                    a, b = matrix[k, i], matrix[k, j]
                    matrix[k, i], matrix[k, j] = c * a - s * b, s * a + c * b
                for k in range(size):
                    a, b = matrix[i, k], matrix[j, k]
                    matrix[i, k], matrix[j, k] = c * a - s * b, s * a + c * b
                    a, b = vectors[k, i], vectors[k, j]
                    vectors[k, i], vectors[k, j] = c * a - s * b, s * a + c * b
    largest = 0.0
    for i in range(size):
        largest = max(largest, matrix[i, i])
    dimension, lowest = 0, 0
    for i in range(size):
        singular = (max(matrix[i, i], 0.0) / largest) ** 0.5
        if abs(singular - tolerance) <= DOUBT:
            return PLAIN
        dimension += singular > tolerance
        if matrix[i, i] < matrix[lowest, lowest]:
            lowest = i
    if size > dimension + 1:
        return PLAIN
    if size < dimension + 1:
        return PLAIN + dimension
    least, most = np.inf, -np.inf
    for i in range(size):
        least, most = min(least, vectors[i, lowest]), max(most, vectors[i, lowest])
    if most < -least:
        least, most = -most, -least
    if abs(least - tolerance * most) <= DOUBT:
        return PLAIN
    if least > tolerance * most:
        return 1
    return -1 if size == 2 else PLAIN + dimension
