"""Trust-region Newton descent on the exact loss, and the lowest one-sided curvature of a stationary point.

Parameters are flat: weights row by row, then biases. The loss is divided by its scale Σ_i I_i E x_i². It is continuously
differentiable, but its second derivatives jump where an output is zero on an event of positive probability (a dedicated
feature with bias 0), so a Hessian is one of several and curvature is a property of a direction.
"""

import threading

import numpy as np

from .._compiling.jit import address, call, jit
from .._loss.enumeration import enumeration, workspaces
from .trust_region import CURVATURE, DESCEND, ENUMERATE, EVALUATE, SPECTRUM, descend, evaluate_scaled, spectrum

PROBE = 1e-9
"""Distance at which one-sided second derivatives are taken."""
LINES = 6
"""Rows of working space before those of the starting directions."""

_STORES = threading.local()


def store(n_hidden, n_features):
    """The arrays that the functions below work in, one set for each thread and size."""
    stores = _STORES.__dict__
    if (n_hidden, n_features) not in stores:
        stores[n_hidden, n_features] = _new_store(n_hidden, n_features)
    return stores[n_hidden, n_features]


def _new_store(m, n):
    size = m * n + n
    work, scratch = workspaces(m, n, 2)
    bias, importance, density, losses, bias_gradient = (np.empty((1, n)) for _ in range(5))
    weights, weights_gradient = np.empty((1, m, n)), np.empty((1, m, n))
    hessian, gradient, numbers = np.empty((1, size, size)), np.empty(size), np.zeros(4)
    outputs = (losses, weights_gradient, bias_gradient, hessian)
    working = np.empty(size), np.empty((size, size)), np.zeros((LINES + 4 + 2 * n * n, size))
    kernels = np.zeros(5, np.int64)
    arrays = (weights, bias, importance, density, *outputs, gradient, work, scratch, numbers, *working, kernels)
    control, free = (np.empty(n), np.empty(n), True), np.empty(size, np.bool_)
    kernels[ENUMERATE] = address(enumeration, weights, bias, importance, density, True, 2, *outputs, work, scratch)
    kernels[EVALUATE] = address(evaluate_scaled, gradient, m, *control, 2, arrays)
    kernels[SPECTRUM] = address(spectrum, gradient, m, free, 0.0, arrays)
    kernels[DESCEND] = address(descend, gradient, m, *control, free, 1, 0.5, 0.0, arrays)
    kernels[CURVATURE] = address(_lowest_curvature, gradient, m, *control, free, arrays, gradient)
    return arrays


def gradient_of(store):
    """The scaled gradient that `evaluate` left in the store, shape (size,)."""
    return store[8]


def hessian_of(store):
    """The scaled second derivatives that `evaluate` of order 2 left in the store, shape (size, size)."""
    return store[7][0]


def feature_losses_of(store):
    """Each feature's own loss, of the last `evaluate`, shape (n_features,)."""
    return store[4][0]


def evaluate(x, m, importance, density, relu, order, store):
    """Return the scaled loss at x; its gradient and Hessian go to the store."""
    evaluate_scaled(x, m, *_control(importance, density), relu, order, store)
    return store[11][0]


def approach(points, m, importance, density, relu, free, store):
    """Newton's method in place from each row of ``points`` to the stationary point next to it, whatever its kind.

    importance, density: (n,). free: which parameters may move, a row for each point. Returns, for each, the largest scaled
    gradient entry left, the scaled loss and the last feature's own loss: an array of shape (n_points, 3).
    """
    result = np.empty((len(points), 3))
    _approach(points, m, *_control(importance, density), relu, np.array(free), store, result)
    return result


def derivatives_beside(x, direction, step, m, importance, density, relu, store):
    """Second derivatives at x on the side of ``direction``, and their derivative along it: from four points on that side."""
    second, third = np.empty((2, x.size, x.size))
    _derivatives_beside(x, direction, step, m, *_control(importance, density), relu, store, second, third)
    return second, third


def smooth_curvature(x, m, importance, density, relu, free, store):
    """Return the lowest curvature at a stationary point x without kinks, and its direction."""
    evaluate(x, m, importance, density, relu, 2, store)
    spectrum(x, m, np.array(free), -1.0, store)
    return float(store[12][0]), store[13][:, 0].copy()


def lowest_curvature(x, m, importance, density, relu, free, store, direction):
    """Return the lowest one-sided curvature found at a stationary point x; its direction goes to ``direction``.

    The curvature along a unit vector d is d·H(x + εd)d. Where the second derivatives jump, H depends on d: from several
    starts, d is replaced by the lowest eigenvector of H(x + εd) until that repeats, and the smallest value seen is kept.
    """
    _lowest_curvature(x, m, *_control(importance, density), relu, np.array(free), store, direction)
    return store[11][2]


def pinned_hessian(x, m, importance, density, relu, store):
    """Return the second derivatives of the scaled loss at x, with unit curvature along rotations."""
    evaluate(x, m, importance, density, relu, 2, store)
    spectrum(x, m, np.ones(x.size, dtype=bool), np.inf, store)
    return store[7][0].copy()


def settle(points, m, importance, density, relu, free, max_steps, radius, tolerance, store, result):
    """Descend from each row of ``points`` in place; a saddle is left downhill along its lowest curvature.

    importance, density: (B, n). result (B, 4 + n): scaled loss, largest scaled gradient entry, lowest curvature,
    evaluations, then each feature's own loss.
    """
    limits = int(max_steps), float(radius), float(tolerance)
    _settle(points, m, *_control(importance, density), relu, np.array(free), *limits, store, result)


def _control(importance, density):
    """Contiguous copies: only for those the kernels are compiled, and only those may be passed on by address."""
    return np.array(importance, dtype=np.float64, order="C"), np.array(density, dtype=np.float64, order="C")


@jit(allocates=False)
def _lowest_curvature(x, m, importance, density, relu, free, store, direction):
    hessian, numbers, vectors, lines, kernels = store[7][0], store[11], store[13], store[14], store[15]
    n, size, moved = importance.size, x.size, lines[3]
    call(kernels[EVALUATE], (x, m, importance, density, relu, 2, store))
    call(kernels[SPECTRUM], (x, m, free, -1.0, store))
    for row in range(LINES, lines.shape[0]):
        for i in range(size):
            lines[row, i] = 0.0
    count = LINES
    for k in range(min(2, size)):
        for i in range(size):
            lines[count, i], lines[count + 1, i] = vectors[i, k], -vectors[i, k]
        count += 2
    for i in range(n):
        lines[0, i] = 0.0  # lengths of the weights
        for k in range(m):
            lines[0, i] += x[k * n + i] ** 2
        lines[0, i] = lines[0, i] ** 0.5
    for i in range(n):
        for j in range(n):
            long_i, long_j = lines[0, i], lines[0, j]
            entering = long_i < 1e-6 < long_j  # a feature that is not represented, along or against another
            turning = i < j and min(long_i, long_j) > 1e-6 and min(abs(x[m * n + i]), abs(x[m * n + j])) < 1e-9
            if not (entering or turning):
                continue
            for k in range(m):  # two represented features turn towards or against each other
                lines[count, k * n + i] = x[k * n + j] / long_j
                if turning:
                    lines[count, k * n + j] = x[k * n + i] / long_i
            length = 0.0
            for k in range(size):
                if not free[k]:
                    lines[count, k] = 0.0
                length += lines[count, k] ** 2
            if length > 0.0:
                for k in range(size):
                    lines[count, k] /= length**0.5
                    lines[count + 1, k] = -lines[count, k]
                count += 2
    lowest = np.inf
    for start in range(LINES, count):
        d = lines[start]
        for _iteration in range(6):
            for i in range(size):
                moved[i] = x[i] + PROBE * d[i]
            call(kernels[EVALUATE], (moved, m, importance, density, relu, 2, store))
            call(kernels[SPECTRUM], (moved, m, free, -1.0, store))
            curvature = overlap = 0.0
            for i in range(size):
                overlap += vectors[i, 0] * d[i]
                for j in range(size):
                    curvature += d[i] * hessian[i, j] * d[j]
            if curvature < lowest:
                lowest = curvature
                for i in range(size):
                    direction[i] = d[i]
            change, sign = 0.0, -1.0 if overlap < 0.0 else 1.0
            for i in range(size):
                change = max(change, abs(sign * vectors[i, 0] - d[i]))
                d[i] = sign * vectors[i, 0]
            if change < 1e-8:
                break
    numbers[2] = lowest


@jit(allocates=False)
def _approach(points, m, importance, density, relu, free, store, result):
    losses, gradient, numbers, values, vectors, kernels = store[4], store[8], store[11], store[12], store[13], store[15]
    size = points.shape[1]
    for row in range(points.shape[0]):
        x, moves, left = points[row], free[row], np.inf
        for _iteration in range(12):
            call(kernels[EVALUATE], (x, m, importance, density, relu, 2, store))
            call(kernels[SPECTRUM], (x, m, moves, 1e-16, store))
            before, left = left, numbers[1] if numbers[0] < np.inf else np.inf
            result[row, 0], result[row, 1], result[row, 2] = left, numbers[0], losses[0, losses.shape[1] - 1]
            if left <= 1e-16 or (left < 1e-14 and left > 0.3 * before) or not left < np.inf:
                break
            for k in range(size):
                if abs(values[k]) > 1e-9:
                    along = 0.0
                    for i in range(size):
                        along += vectors[i, k] * gradient[i]
                    for i in range(size):
                        if moves[i]:
                            x[i] -= vectors[i, k] * along / values[k]


@jit(allocates=False)
def _derivatives_beside(x, direction, step, m, importance, density, relu, store, second, third):
    hessian, moved, kernels = store[7][0], store[14][3], store[15]
    size = x.size
    for i in range(size):
        for j in range(size):
            second[i, j] = third[i, j] = 0.0
    for k in range(1, 5):
        for i in range(size):
            moved[i] = x[i] + k * step * direction[i]
        call(kernels[EVALUATE], (moved, m, importance, density, relu, 2, store))
        # extrapolated to x: exact for polynomials of third degree
        value = 4.0 if k == 1 else -6.0 if k == 2 else 4.0 if k == 3 else -1.0
        slope = -13.0 / 3.0 if k == 1 else 9.5 if k == 2 else -7.0 if k == 3 else 11.0 / 6.0
        for i in range(size):
            for j in range(size):
                second[i, j] += value * hessian[i, j]
                third[i, j] += slope / step * hessian[i, j]


@jit(allocates=False)
def _settle(points, m, importance, density, relu, free, max_steps, radius, tolerance, store, result):
    losses, numbers, values, vectors, kernels = store[4], store[11], store[12], store[13], store[15]
    direction, trial = store[14][4], store[14][5]
    n = importance.shape[1]
    for row in range(points.shape[0]):
        x, controls, densities, steps, loss, norm, curvature = points[row], importance[row], density[row], 0, 0.0, 0.0, 0.0
        numbers[3] = 0.0
        for _attempt in range(6):
            call(
                kernels[DESCEND],
                (x, m, controls, densities, relu, free, max_steps - steps, radius, tolerance, store),
            )
            loss, norm = numbers[0], numbers[1]
            steps += int(numbers[2])
            # second derivatives jump where some bias is 0, so that an output is 0 when no feature is active
            has_kink = False
            for i in range(n):
                has_kink = has_kink or abs(x[m * n + i]) < 1e-9
            if has_kink:
                call(kernels[CURVATURE], (x, m, controls, densities, relu, free, store, direction))
                curvature = numbers[2]
            else:
                call(kernels[EVALUATE], (x, m, controls, densities, relu, 2, store))
                call(kernels[SPECTRUM], (x, m, free, -1.0, store))
                curvature = values[0]
                for i in range(x.size):
                    direction[i] = vectors[i, 0]
            if curvature > 1e-6 or steps >= max_steps:
                break
            if curvature < -1e-7:
                for i in range(x.size):
                    x[i] += 1e-3 * direction[i]
                continue
            lower = False  # flat to second order: the loss may fall at third
            for side in range(2):
                for i in range(x.size):
                    trial[i] = x[i] + (1e-2 if side else -1e-2) * direction[i]
                limits = max_steps - steps, radius, tolerance
                call(kernels[DESCEND], (trial, m, controls, densities, relu, free, *limits, store))
                steps += int(numbers[2])
                if numbers[0] < loss * (1.0 - 1e-12):
                    for i in range(x.size):
                        x[i] = trial[i]
                    lower = True
                    break
            if not lower:
                break
        call(kernels[EVALUATE], (x, m, controls, densities, relu, 0, store))
        result[row, 0], result[row, 1], result[row, 2], result[row, 3] = numbers[0], norm, curvature, numbers[3]
        for i in range(n):
            result[row, 4 + i] = losses[0, i]
