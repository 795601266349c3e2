"""Newton steps within a trust region on the exact loss of one model (numba kernels).

Parameters are flat: weights row by row, then biases. ``store`` is the tuple of arrays made by `newton.store`.
"""

import numpy as np

from .._compiling.jit import call, jit

EVALUATE, SPECTRUM, DESCEND, CURVATURE, ENUMERATE = range(5)
"""Where a store keeps the addresses of functions: each is compiled once, not again inside its callers."""


@jit(allocates=False)
def evaluate_scaled(x, m, importance, density, relu, order, store):
    weights, bias, importances, densities, losses, weights_gradient, bias_gradient, hessian, gradient = store[:9]
    work, scratch, numbers, kernels = store[9], store[10], store[11], store[15]
    n = importance.size
    scale = 0.0
    for i in range(n):
        importances[0, i], densities[0, i] = importance[i], density[i]
        scale += importance[i] * density[i] / 3.0
        bias[0, i] = x[m * n + i]
        for k in range(m):
            weights[0, k, i] = x[k * n + i]
    call(
        kernels[ENUMERATE],
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
        for i in range(x.size):
            for j in range(x.size):
                hessian[0, i, j] /= scale
    numbers[0] = loss / scale
    numbers[3] += 1.0  # evaluations


@jit
def spectrum(x, m, free, least, store):
    """Leave out rotations and fixed parameters; spectrum of the Hessian where the largest gradient entry exceeds ``least``.

    For every generator r of a rotation r rᵀ/‖r‖² is added: the loss does not change along it, so no step should go there.
    A parameter that is not free gets no gradient and unit curvature.
    """
    hessian, gradient, numbers, values, vectors = store[7][0], store[8], store[11], store[12], store[13]
    n, size = x.size // (m + 1), x.size
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
    norm = 0.0
    for i in range(size):
        if not free[i]:
            gradient[i] = 0.0
            for j in range(size):
                hessian[i, j] = hessian[j, i] = 0.0
            hessian[i, i] = 1.0
        norm = max(norm, abs(gradient[i]))
    numbers[1] = norm
    if norm > least:
        w, v = np.linalg.eigh(hessian)
        for i in range(size):
            values[i] = w[i]
            for j in range(size):
                vectors[i, j] = v[i, j]


@jit(inner=True)
def descend(x, m, importance, density, relu, free, max_steps, radius, tolerance, store):
    """Minimize from x in place; numbers gets the scaled loss, the largest scaled gradient entry and the steps taken.

    A step minimizes the quadratic model with |eigenvalues| within the trust region; it is kept when it lowers the loss, or,
    where the loss no longer resolves the difference, when it lowers the gradient.
    """
    gradient, numbers, values, vectors, lines, kernels = store[8], store[11], store[12], store[13], store[14], store[15]
    trial, slope, step = lines[0], lines[1], lines[2]
    size = x.size
    call(kernels[EVALUATE], (x, m, importance, density, relu, 2, store))
    loss = numbers[0]
    steps = 0
    while True:
        call(kernels[SPECTRUM], (x, m, free, tolerance, store))
        norm = numbers[1]
        if norm <= tolerance or steps >= max_steps or radius < 1e-13:
            numbers[0], numbers[2] = loss, steps
            return
        for i in range(size):
            slope[i] = 0.0
            for j in range(size):
                slope[i] += vectors[j, i] * gradient[j]
        accepted = False
        while not accepted and steps < max_steps and radius >= 1e-13:
            shift = _shift(values, slope, radius)
            decrease = length = 0.0
            for i in range(size):
                step[i] = -slope[i] / (max(abs(values[i]), 1e-12) + shift)
                decrease -= step[i] * (slope[i] + 0.5 * values[i] * step[i])
                length += step[i] * step[i]
            length = length**0.5
            for i in range(size):
                trial[i] = 0.0
                for j in range(size):
                    trial[i] += vectors[i, j] * step[j]
                trial[i] = trial[i] + x[i] if free[i] else x[i]  # the eigenvectors of what is fixed carry rounding
            call(kernels[EVALUATE], (trial, m, importance, density, relu, 2, store))
            after = numbers[0]
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
                radius = 0.25 * length
        if accepted:
            loss = after
            for i in range(size):
                x[i] = trial[i]
        else:  # the store holds a rejected point's derivatives: restore those of x
            call(kernels[EVALUATE], (x, m, importance, density, relu, 2, store))
            loss = numbers[0]


@jit(inner=True)
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
