"""Newton steps within a trust region on the exact loss of one model (numba kernels).

Parameters are flat: weights row by row, then biases; ``x`` points to their ``size``. ``table`` is that of a `newton.Store`.
"""

import numpy as np

from .._compiling.jit import call, doubles, integers, jit, offset
from .._compiling.vectors import invoke
from .._loss.enumeration import EVEN, PENALTY, SCALE
from ..model import LARGEST_WEIGHT
from .eigenvectors import eigenvalues, eigenvectors, from_eigenvectors, to_eigenvectors

# What a table holds: addresses of functions, each compiled once, not again inside its callers; the sizes of the model and
# whether its form is plain; addresses of the arrays of a store. Of a form with kinks descents begin in `kinks`, and ROUNDED is
# the one over smooth losses; of others it is 0. Where columns are held at 0 descents begin in `columns`, and WITHIN is what they
# would begin with. DECOMPOSE is one of the two functions that do.
EVALUATE, SPECTRUM, DESCEND, CURVATURE, LEAVE, ROUNDED, WITHIN, ENUMERATE, DECOMPOSE, LAPACK, HIDDEN, FEATURES, PLAIN, ARRAYS = (
    range(14)
)
(
    CONTROL,
    FREE,
    FEATURE_LOSSES,
    GRADIENT,
    HESSIAN,
    NUMBERS,
    VALUES,
    VECTORS,
    LINES,
    ENUMERATION,
    OPTIONS,
    LENGTHS,
    WORK,
    INTEGER_WORK,
) = range(ARRAYS, ARRAYS + 14)

# The numbers of a store: of the last evaluation, spectrum, curvature and descent; evaluations are counted; whether a minimum is
# one of a valley of equal loss; whether the end of a descent was left because it is none, and the loss of the last end that was;
# what the arrays hold of an end: AT_END its derivatives, AHEAD Newton's step from there as well, DECOMPOSED the eigenvectors as
# well; whether columns are held at 0.
LOSS, NORM, LOWEST, STEPS, EVALUATIONS, FLAT, LEFT, LEFT_AT, RETURNS, KNOWN, HELD, N_NUMBERS = range(12)

AT_END, AHEAD, DECOMPOSED = 1.0, 2.0, 3.0

LEAST_PIVOT = 1e-8
"""A Hessian with a smaller pivot is not taken for positive."""

# The rows of working space that are not the starting directions of a curvature: (n_lines, size); END: where the last descent over
# a loss with kinks has ended; MOVING: which parameters move after zeros that are held; LEFT_ASIDE: where
# products became 0; from GROUPS and COLUMNS on: those of `zeros` and of `columns`.
TRIAL, SLOPE, STEP, MOVED, DIRECTION, ASIDE, END, MOVING, LEFT_ASIDE, GROUPS, COLUMNS, STARTS = (*range(10), 11, 15)


@jit(inner=True)
def evaluate_scaled(x, order, table):
    """The scaled loss at x to the numbers; for order ≥ 1 its gradient, for order 2 its Hessian to their arrays.

    Where a parameter is larger than weights may be, the loss is infinite and no derivative a number.
    """
    m, n, importance = table[HIDDEN], table[FEATURES], doubles(table[CONTROL])
    losses, gradient, hessian = doubles(table[FEATURE_LOSSES]), doubles(table[GRADIENT]), doubles(table[HESSIAN])
    numbers, size, density = doubles(table[NUMBERS]), m * n + n, offset(importance, n)
    numbers[LOSS], largest = np.inf, 0.0
    numbers[EVALUATIONS] += 1.0
    numbers[KNOWN] = 0.0
    for i in range(size):
        largest = max(largest, abs(x[i])) if x[i] == x[i] else np.inf
    if not largest < LARGEST_WEIGHT:
        for i in range(size):
            gradient[i] = hessian[i * size + i] = np.nan
        return
    inputs = x, offset(x, m * n), importance, order
    outputs = losses, gradient, offset(gradient, m * n), hessian, integers(table[ENUMERATION])
    call(table[ENUMERATE], (1, m, n, *inputs, *outputs))
    loss = scale = 0.0
    for i in range(n):
        scale += importance[i] * density[i] / 3.0
        loss += importance[i] * losses[i]
    if not table[PLAIN]:
        scale = density[n + SCALE]
        loss += doubles(integers(table[ENUMERATION])[PENALTY])[0]
    if order > 0:
        for i in range(size):
            gradient[i] /= scale
    if order > 1:
        for i in range(size * size):
            hessian[i] /= scale
    numbers[LOSS] = loss / scale


@jit(inner=True)
def is_even(table):
    """Whether values v and −v are equally likely, so that the signs of columns do not matter."""
    return not table[PLAIN] and offset(doubles(table[CONTROL]), 2 * table[FEATURES])[EVEN] != 0.0


@jit(inner=True)
def fix(order, table):
    """Parameters that are not free get no gradient and, for order 2, unit curvature."""
    size, free = (table[HIDDEN] + 1) * table[FEATURES], integers(table[FREE])
    gradient, hessian = doubles(table[GRADIENT]), doubles(table[HESSIAN])
    for i in range(size if order > 0 else 0):
        if not free[i]:
            gradient[i] = 0.0
            for j in range(size if order > 1 else 0):
                hessian[i * size + j] = hessian[j * size + i] = 0.0
            if order > 1:
                hessian[i * size + i] = 1.0


@jit(inner=True)
def spectrum(x, least, table):
    """Leave out rotations and fixed parameters; spectrum of the Hessian where the largest gradient entry exceeds ``least``.

    For every generator r of a rotation r rᵀ/‖r‖² is added: the loss does not change along it, so no step should go there.
    The norm is infinite where derivatives are not finite.
    """
    m, n = table[HIDDEN], table[FEATURES]
    gradient, hessian, numbers = doubles(table[GRADIENT]), doubles(table[HESSIAN]), doubles(table[NUMBERS])
    size = m * n + n
    for k in range(m):
        for l in range(k):
            x_k, x_l, length = offset(x, k * n), offset(x, l * n), 0.0
            for i in range(n):
                length += x_k[i] ** 2 + x_l[i] ** 2
            if length < 1e-20:
                continue
            for i in range(n):
                row_k, row_l = offset(hessian, (k * n + i) * size), offset(hessian, (l * n + i) * size)
                for j in range(n):
                    row_k[k * n + j] += x_l[i] * x_l[j] / length
                    row_l[l * n + j] += x_k[i] * x_k[j] / length
                    row_k[l * n + j] -= x_l[i] * x_k[j] / length
                    row_l[k * n + j] -= x_k[i] * x_l[j] / length
    fix(2, table)
    norm = total = 0.0
    for i in range(size):
        norm = max(norm, abs(gradient[i]))
        total += abs(gradient[i])
    for i in range(size * size):
        total += abs(hessian[i])
    numbers[NORM] = norm if total < np.inf else np.inf
    if least < numbers[NORM] < np.inf:
        call(table[DECOMPOSE], (table,))


@jit(inner=True)
def newton_step(x, table):
    """Newton's step in place, of the last spectrum, to a stationary point of any kind; not along what is flat."""
    gradient, values, vectors = doubles(table[GRADIENT]), doubles(table[VALUES]), doubles(table[VECTORS])
    moves, size = integers(table[FREE]), (table[HIDDEN] + 1) * table[FEATURES]
    for k in range(size):
        if abs(values[k]) > 1e-9:
            along, vector = 0.0, offset(vectors, k * size)
            for i in range(size):
                along += vector[i] * gradient[i]
            for i in range(size):
                if moves[i]:
                    x[i] -= vector[i] * along / values[k]


@jit(inner=True)
def decompose(table):
    """The eigenvalues of the Hessian and its eigenvectors, one in each row of the vectors."""
    size = table[HIDDEN] * table[FEATURES] + table[FEATURES]
    eigenvectors(doubles(table[HESSIAN]), size, doubles(table[VALUES]), doubles(table[VECTORS]), doubles(table[WORK]))


@jit(inner=True)
def decompose_by_lapack(table):
    """As `decompose`, by LAPACK's dsyevd: two or three times as long, but plain forms keep the bits that it gave them."""
    hessian, vectors, lengths = doubles(table[HESSIAN]), doubles(table[VECTORS]), table[LENGTHS]
    size = table[HIDDEN] * table[FEATURES] + table[FEATURES]
    for i in range(size):
        for j in range(size):
            vectors[j * size + i] = hessian[i * size + j]
    options, arrays = table[OPTIONS], (table[VALUES], table[WORK], lengths + 4, table[INTEGER_WORK], lengths + 8, lengths + 12)
    invoke(table[LAPACK], options, options + 1, lengths, table[VECTORS], lengths, *arrays)


@jit(inner=True)
def descend(x, max_steps, radius, tolerance, table):
    """Minimize from x in place; the numbers get the scaled loss, the largest scaled gradient entry, the steps taken, and whether
    the Hessian there is singular, as in a valley.

    A step is Newton's where the Hessian is positive and the step lies within the trust region; elsewhere it minimizes the
    quadratic model with |eigenvalues| in there. It is kept when it lowers the loss, or, where the loss no longer resolves the
    difference, when it lowers the gradient.
    """
    gradient, numbers, free = doubles(table[GRADIENT]), doubles(table[NUMBERS]), integers(table[FREE])
    values, vectors, lines = doubles(table[VALUES]), doubles(table[VECTORS]), doubles(table[LINES])
    size, plain, work = table[HIDDEN] * table[FEATURES] + table[FEATURES], table[PLAIN] != 0, doubles(table[WORK])
    trial, slope, step = offset(lines, TRIAL * size), offset(lines, SLOPE * size), offset(lines, STEP * size)
    call(table[EVALUATE], (x, 2, table))
    loss, steps, n_rotations = numbers[LOSS], 0, 0
    while True:
        call(table[SPECTRUM], (x, np.inf, table))
        norm = numbers[NORM]
        if not tolerance < norm < np.inf or steps >= max_steps or radius < 1e-13:
            numbers[LOSS], numbers[STEPS], numbers[FLAT], numbers[KNOWN] = loss, steps, 0.0, AT_END
            if not is_newton(doubles(table[HESSIAN]), gradient, size, np.inf, LEAST_PIVOT, vectors, step):
                numbers[FLAT] = 1.0
            return
        within = is_newton(doubles(table[HESSIAN]), gradient, size, radius, LEAST_PIVOT, vectors, step)
        if not within and plain:  # plain forms keep the bits that LAPACK gave them
            call(table[DECOMPOSE], (table,))
            for i in range(size):
                slope[i] = 0.0
                for j in range(size):
                    slope[i] += vectors[i * size + j] * gradient[j]
        elif not within:
            for i in range(size):
                slope[i] = gradient[i]
            n_rotations = eigenvalues(doubles(table[HESSIAN]), size, values, work)
            to_eigenvectors(slope, size, work, n_rotations)
        accepted = rejected = False
        while not accepted and not rejected and steps < max_steps and radius >= 1e-13:
            decrease = length = 0.0
            if within:
                for i in range(size):
                    decrease -= 0.5 * step[i] * gradient[i]
                    length += step[i] * step[i]
                    trial[i] = step[i] + x[i]
            else:
                shift = _shift(values, slope, size, radius)
                for i in range(size):
                    step[i] = -slope[i] / (max(abs(values[i]), 1e-12) + shift)
                    decrease -= step[i] * (slope[i] + 0.5 * values[i] * step[i])
                    length += step[i] * step[i]
                for i in range(size):
                    trial[i] = 0.0 if plain else step[i]
                    for j in range(size if plain else 0):
                        trial[i] += vectors[j * size + i] * step[j]
                if not plain:
                    from_eigenvectors(trial, size, work, n_rotations)
                for i in range(size):
                    trial[i] = trial[i] + x[i] if free[i] else x[i]  # the eigenvectors of what is fixed carry rounding
            length = length**0.5
            call(table[EVALUATE], (trial, 2, table))
            after = numbers[LOSS]
            steps += 1
            free_norm = 0.0
            for i in range(size):
                if free[i]:
                    free_norm = max(free_norm, abs(gradient[i]))
            if loss - after > 1e-4 * decrease or (decrease < 1e-11 * loss and after <= loss * (1.0 + 1e-14) and free_norm < norm):
                accepted = True
                if loss - after > 0.75 * decrease and length > 0.9 * radius:
                    radius = min(2.0 * radius, 4.0)
                elif loss - after < 0.25 * decrease and decrease > 1e-11 * loss:
                    radius = 0.5 * length
            else:
                radius, rejected = 0.25 * length, within
        if accepted:
            loss = after
            for i in range(size):
                x[i] = trial[i]
        else:  # the store holds a rejected point's derivatives: restore those of x
            call(table[EVALUATE], (x, 2, table))
            loss = numbers[LOSS]


@jit(inner=True)
def is_newton(hessian, gradient, size, radius, least, factor, step):
    """Whether the Hessian (size, size) is positive and Newton's step, which goes to ``step``, is no longer than the radius.

    factor (size, size) gets its Cholesky factor. Pivots from ``least`` to LEAST_PIVOT count as 0, with no step there.
    """
    for i in range(size):
        for j in range(i + 1):
            value = hessian[i * size + j]
            for k in range(j):
                value -= factor[i * size + k] * factor[j * size + k]
            if i == j:
                if not value > least:
                    return False
                factor[i * size + i] = value**0.5 if value > LEAST_PIVOT else np.inf
            else:
                factor[i * size + j] = value / factor[j * size + j]
    for i in range(size):
        value = -gradient[i]
        for k in range(i):
            value -= factor[i * size + k] * step[k]
        step[i] = value / factor[i * size + i]
    length = 0.0
    for back in range(size):
        i = size - 1 - back
        value = step[i]
        for k in range(i + 1, size):
            value -= factor[k * size + i] * step[k]
        step[i] = value / factor[i * size + i]
        length += step[i] ** 2
    return length <= radius * radius


@jit(inner=True)
def _shift(values, slope, size, radius):
    """The multiplier that brings the step to the trust radius (0 where it is within)."""
    low = high = 0.0
    for _attempt in range(60):
        if _is_within(values, slope, size, radius, high):
            break
        low, high = high, max(2.0 * high, 1e-6)
    if high == 0.0:
        return 0.0
    for _attempt in range(12):
        middle = 0.5 * (low + high)
        if _is_within(values, slope, size, radius, middle):
            high = middle
        else:
            low = middle
    return high


@jit(inner=True, once=True)
def _is_within(values, slope, size, radius, shift):
    """Whether the step with this multiplier is no longer than the trust radius."""
    length = 0.0
    for i in range(size):
        length += (slope[i] / (max(abs(values[i]), 1e-12) + shift)) ** 2
    return length <= radius * radius
