"""Trust-region Newton descent on the exact loss, and the lowest one-sided curvature of a stationary point.

Parameters are flat: weights row by row, then biases. The loss is divided by its scale Σ_i I_i E x_i². It is continuously
differentiable, but its second derivatives jump where an output is zero on an event of positive probability (a dedicated
feature with bias 0), so a Hessian is one of several and curvature is a property of a direction.
"""

import threading

import numpy as np

from ._enumeration import enumeration, workspaces
from ._jit import address, call, jit

PROBE = 1e-9
"""Distance at which one-sided second derivatives are taken."""


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
    hessian, gradient = np.empty((1, size, size)), np.empty(size)
    outputs = (losses, weights_gradient, bias_gradient, hessian)
    kernel = address(enumeration, weights, bias, importance, density, True, 2, *outputs, work, scratch)
    return weights, bias, importance, density, *outputs, gradient, work, scratch, kernel


def gradient_of(store):
    """The scaled gradient that `evaluate` left in the store."""
    return store[8]


@jit
def evaluate(x, m, importance, density, relu, order, store):
    """Scaled loss at x; its gradient and Hessian go to the store, rotations of the hidden space made convex."""
    weights, bias, importances, densities, losses, weights_gradient, bias_gradient, hessian, gradient = store[:9]
    work, scratch, kernel = store[9:]
    n = importance.size
    scale = 0.0
    for i in range(n):
        importances[0, i], densities[0, i] = importance[i], density[i]
        scale += importance[i] * density[i] / 3.0
        bias[0, i] = x[m * n + i]
        for k in range(m):
            weights[0, k, i] = x[k * n + i]
    call(
        kernel,
        (weights, bias, importances, densities, relu, order, losses, weights_gradient, bias_gradient, hessian, work, scratch),
    )
    loss = 0.0
    for i in range(n):
        loss += importance[i] * losses[0, i]
        if order > 0:
            gradient[m * n + i] = bias_gradient[0, i] / scale
            for k in range(m):
                gradient[k * n + i] = weights_gradient[0, k, i] / scale
    if order > 1:
        size = x.size
        for i in range(size):
            for j in range(size):
                hessian[0, i, j] /= scale
    return loss / scale


@jit
def _pin_rotations(x, m, n, hessian):
    """Add r rᵀ/‖r‖² for every generator r of a rotation: the loss does not change along it, so no step should go there."""
    for k in range(m):
        for l in range(k):
            length = 0.0
            for i in range(n):
                length += x[k * n + i] ** 2 + x[l * n + i] ** 2
            if length < 1e-20:
                continue
            for i in range(n):
                for j in range(n):
                    hessian[k * n + i, k * n + j] += x[l * n + i] * x[l * n + j] / length
                    hessian[l * n + i, l * n + j] += x[k * n + i] * x[k * n + j] / length
                    hessian[k * n + i, l * n + j] -= x[l * n + i] * x[k * n + j] / length
                    hessian[l * n + i, k * n + j] -= x[k * n + i] * x[l * n + j] / length


@jit
def _restrict(free, gradient, hessian):
    """Fix the parameters that are not free: no gradient, unit curvature."""
    size = gradient.size
    for i in range(size):
        if not free[i]:
            gradient[i] = 0.0
            for j in range(size):
                hessian[i, j] = hessian[j, i] = 0.0
            hessian[i, i] = 1.0


@jit
def descend(x, m, importance, density, relu, free, max_steps, radius, tolerance, store):
    """Minimize from x in place; returns (scaled loss, largest scaled gradient entry, steps taken).

    A step minimizes the quadratic model with |eigenvalues| within the trust region; it is kept when it lowers the loss, or,
    where the loss no longer resolves the difference, when it lowers the gradient.
    """
    n, size = importance.size, x.size
    gradient, hessian = store[8], store[7][0]
    loss = evaluate(x, m, importance, density, relu, 2, store)
    trial, step = np.empty(size), np.empty(size)
    steps = 0
    while True:
        _pin_rotations(x, m, n, hessian)
        _restrict(free, gradient, hessian)
        norm = np.max(np.abs(gradient))
        if norm <= tolerance or steps >= max_steps or radius < 1e-13:
            return loss, norm, steps
        values, vectors = np.linalg.eigh(hessian)
        slope = vectors.T @ gradient
        accepted = False
        while not accepted and steps < max_steps and radius >= 1e-13:
            shift = _shift(values, slope, radius)
            decrease = 0.0
            for i in range(size):
                step[i] = -slope[i] / (max(abs(values[i]), 1e-12) + shift)
                decrease -= step[i] * (slope[i] + 0.5 * values[i] * step[i])
            length = np.sqrt(np.sum(step * step))
            trial[:] = x + vectors @ step
            for i in range(size):  # the eigenvectors of the restricted Hessian carry rounding
                if not free[i]:
                    trial[i] = x[i]
            after = evaluate(trial, m, importance, density, relu, 2, store)
            steps += 1
            if loss - after > 1e-4 * decrease or (
                decrease < 1e-11 * loss and after <= loss * (1.0 + 1e-14) and _free_norm(free, gradient) < norm
            ):
                accepted = True
                if loss - after > 0.75 * decrease and length > 0.9 * radius:
                    radius = min(2.0 * radius, 4.0)
                elif loss - after < 0.25 * decrease and decrease > 1e-11 * loss:
                    radius = 0.5 * length
            else:
                radius = 0.25 * length
        if not accepted:  # the store holds a rejected point's derivatives: restore those of x
            loss = evaluate(x, m, importance, density, relu, 2, store)
            continue
        x[:] = trial
        loss = after


@jit
def approach(x, m, importance, density, relu, free, store):
    """Newton's method in place to the stationary point next to x, whatever its kind."""
    n, size = importance.size, x.size
    gradient, hessian = store[8], store[7][0]
    for _ in range(12):
        evaluate(x, m, importance, density, relu, 2, store)
        _pin_rotations(x, m, n, hessian)
        _restrict(free, gradient, hessian)
        if np.max(np.abs(gradient)) <= 1e-16:
            break
        values, vectors = np.linalg.eigh(hessian)
        step = -(vectors.T @ gradient)
        for i in range(size):
            step[i] = step[i] / values[i] if abs(values[i]) > 1e-9 else 0.0
        move = vectors @ step
        for i in range(size):
            if free[i]:
                x[i] += move[i]


@jit
def _free_norm(free, gradient):
    norm = 0.0
    for i in range(gradient.size):
        if free[i]:
            norm = max(norm, abs(gradient[i]))
    return norm


@jit
def _shift(values, slope, radius):
    """The multiplier that brings the step to the trust radius (0 where it is within)."""
    low, high = 0.0, 0.0
    for _attempt in range(60):
        length = 0.0
        for i in range(values.size):
            length += (slope[i] / (max(abs(values[i]), 1e-12) + high)) ** 2
        if length <= radius * radius:
            break
        low, high = high, max(2.0 * high, 1e-6)
    if high == 0.0:
        return 0.0
    for _attempt in range(12):
        middle = 0.5 * (low + high)
        length = 0.0
        for i in range(values.size):
            length += (slope[i] / (max(abs(values[i]), 1e-12) + middle)) ** 2
        if length <= radius * radius:
            high = middle
        else:
            low = middle
    return high


@jit
def lowest_curvature(x, m, importance, density, relu, free, store, direction):
    """The lowest one-sided curvature found at a stationary point x; its direction goes to ``direction``.

    The curvature along a unit vector d is d·H(x + εd)d. Where the second derivatives jump, H depends on d: from several
    starts, d is replaced by the lowest eigenvector of H(x + εd) until that repeats, and the smallest value seen is kept.
    """
    n, size = importance.size, x.size
    hessian = store[7][0]
    gradient = store[8]
    evaluate(x, m, importance, density, relu, 2, store)
    _pin_rotations(x, m, n, hessian)
    _restrict(free, gradient, hessian)
    vectors = np.linalg.eigh(hessian)[1]
    starts = np.zeros((4 + 2 * n * n, size))
    count = 0
    for k in range(min(2, size)):
        starts[count], starts[count + 1] = vectors[:, k], -vectors[:, k]
        count += 2
    lengths = np.zeros(n)
    for i in range(n):
        for k in range(m):
            lengths[i] += x[k * n + i] ** 2
        lengths[i] = np.sqrt(lengths[i])
    for i in range(n):
        for j in range(n):
            entering = lengths[i] < 1e-6 < lengths[j]  # a feature that is not represented, along or against another
            turning = i < j and min(lengths[i], lengths[j]) > 1e-6 and min(abs(x[m * n + i]), abs(x[m * n + j])) < 1e-9
            if not (entering or turning):
                continue
            for k in range(m):  # two represented features turn towards or against each other
                starts[count, k * n + i] = x[k * n + j] / lengths[j]
                if turning:
                    starts[count, k * n + j] = x[k * n + i] / lengths[i]
            length = 0.0
            for k in range(size):
                if not free[k]:
                    starts[count, k] = 0.0
                length += starts[count, k] ** 2
            if length > 0.0:
                for k in range(size):
                    starts[count, k] /= np.sqrt(length)
                    starts[count + 1, k] = -starts[count, k]
                count += 2
    lowest = np.inf
    for start in range(count):
        d = starts[start].copy()
        for _iteration in range(6):
            evaluate(x + PROBE * d, m, importance, density, relu, 2, store)
            _pin_rotations(x, m, n, hessian)
            _restrict(free, gradient, hessian)
            curvature = d @ (hessian @ d)
            if curvature < lowest:
                lowest = curvature
                direction[:] = d
            vectors = np.linalg.eigh(hessian)[1]
            v = vectors[:, 0].copy()
            if v @ d < 0.0:
                v = -v
            if np.max(np.abs(v - d)) < 1e-8:
                break
            d = v
    return lowest


@jit
def curvature_along(x, direction, m, importance, density, relu, store):
    """Second derivative of the scaled loss at x along ``direction``, rotations not pinned."""
    evaluate(x, m, importance, density, relu, 2, store)
    return direction @ (store[7][0] @ direction)


@jit
def has_kink(x, m, n):
    """Whether second derivatives jump at a stationary point: some bias is 0, so that an output is 0 when no feature is active."""
    for i in range(n):
        if abs(x[m * n + i]) < 1e-9:
            return True
    return False


@jit
def settle(points, m, importance, density, relu, free, max_steps, radius, tolerance, store, result):
    """Descend from each row of ``points`` in place; a saddle is left downhill along its lowest curvature.

    importance, density: (B, n). result (B, 4 + n): scaled loss, largest scaled gradient entry, lowest curvature, steps,
    then each feature's own loss.
    """
    n = importance.shape[1]
    hessian, gradient = store[7][0], store[8]
    direction = np.empty(points.shape[1])
    for row in range(points.shape[0]):
        x, steps, left = points[row], 0, max_steps
        for _attempt in range(6):
            loss, norm, taken = descend(x, m, importance[row], density[row], relu, free, left, radius, tolerance, store)
            steps += taken
            left -= taken
            if has_kink(x, m, n):
                curvature = lowest_curvature(x, m, importance[row], density[row], relu, free, store, direction)
            else:
                evaluate(x, m, importance[row], density[row], relu, 2, store)
                _pin_rotations(x, m, n, hessian)
                _restrict(free, gradient, hessian)
                values, vectors = np.linalg.eigh(hessian)
                curvature = values[0]
                direction[:] = vectors[:, 0]
            if curvature > 1e-6 or left <= 0:
                break
            if curvature < -1e-7:
                x += 1e-3 * direction
                continue
            lower = False  # flat to second order: the loss may fall at third
            for sign in (-1e-2, 1e-2):
                trial = x + sign * direction
                after, _, taken = descend(trial, m, importance[row], density[row], relu, free, left, radius, tolerance, store)
                steps += taken
                left -= taken
                if after < loss * (1.0 - 1e-12):
                    x[:] = trial
                    lower = True
                    break
            if not lower:
                break
        loss = evaluate(x, m, importance[row], density[row], relu, 0, store)
        result[row, 0], result[row, 1], result[row, 2], result[row, 3] = loss, norm, curvature, steps
        for i in range(n):
            result[row, 4 + i] = store[4][0, i]
