"""The loss of whole batches of models by enumeration, with derivatives in weights and biases."""

from functools import cache

import numpy as np

from .._compiling.jit import address, call, jit, offset, pointer
from .few import few_moments
from .moments import FEW, OUTPUT, clipped_moments, linear_moments, pointers, workspace
from .pieces import first_component

# Weights below this are zero: they change the loss by less than its smallest representable part.
NEGLIGIBLE = 1e-290


@jit(inner=True)
def _dot(weights, model, i, j, start):
    """start + W_i·W_j as if in twice the precision (Dekker's product, Knuth's sum): 1 − ‖W_i‖² cancels near unit norm."""
    total, low = start, 0.0
    for k in range(weights.shape[1]):
        x, y = weights[model, k, i], weights[model, k, j]
        product = x * y
        c = 134217729.0 * x
        x1 = c - (c - x)
        c = 134217729.0 * y
        y1 = c - (c - y)
        x2, y2 = x - x1, y - y1
        low += x2 * y2 - (((product - x1 * y1) - x2 * y1) - x1 * y2)
        after = total + product
        back = after - total
        low += (total - (after - back)) + (product - back)
        total = after
    return total + low


@jit(inner=True)
def _order(gram, i, density, model, others, place):
    """List the other features of nonzero weight and density by falling size; returns their number."""
    count = np.int64(0)
    place[0] = i
    for j in range(gram.shape[0]):
        weight = gram[i, j]
        if j == i or abs(weight) < NEGLIGIBLE or density[model, j] == 0.0:
            continue
        at = count
        while at > 0 and abs(others[0, at - 1]) < abs(weight):
            others[0, at], others[1, at], place[at + 1] = others[0, at - 1], others[1, at - 1], place[at]
            at -= 1
        others[0, at], others[1, at], place[at + 1] = weight, density[model, j], j
        count += 1
    return count


@jit(allocates=False)
def enumeration(weights, bias, importance, density, relu, order, losses, weights_gradient, bias_gradient, hessian, work, scratch):
    """Losses of a batch of models.

    weights (B, m, n), bias, importance, density (B, n); losses (B, n) gets E (x_i − x'_i)², without the importance. For
    order ≥ 1 the gradient of the importance-weighted sum goes to weights_gradient and bias_gradient, for order 2 its
    Hessian in (weights row by row, biases) to hessian (B, m n + n, m n + n). ``work`` and ``scratch`` come from
    `workspaces`; arrays of a higher order than asked for may be of any size.
    """
    gram, slope, others, place, out, curvature, chain, kernels = scratch
    n_models, m, n = weights.shape
    space, a, found = pointers(work, order), pointer(others), pointer(out)
    p = offset(a, n + 1)
    for model in range(n_models):
        for i in range(n):
            for j in range(i + 1):
                gram[i, j] = gram[j, i] = _dot(weights, model, i, j, 0.0)
        if order == 2:
            for row in range(hessian.shape[1]):
                for column in range(hessian.shape[1]):
                    hessian[model, row, column] = 0.0
        for i in range(n):
            residual = -_dot(weights, model, i, i, -1.0)
            k = _order(gram, i, density, model, others, place)
            b, own, own_p, weight = bias[model, i], gram[i, i], density[model, i], importance[model, i]
            if k <= 2:
                call(kernels[0], (b, own, residual, own_p, a, p, k, relu, order, found))
            else:
                call(kernels[1], (b, own, residual, own_p, a, p, k, relu, order, found, n, space))
            losses[model, i] = out[0]
            if order > 0:
                # a feature of zero weight leaves the mean as it is: ∂/∂a_j = E x_j ∂/∂b
                bias_gradient[model, i] = weight * out[1]
                for j in range(n):
                    slope[i, j] = weight * (0.5 * density[model, j] * out[1])
                for l in range(k + 1):
                    slope[i, place[l]] = weight * out[first_component(l, order)]
            if order == 2:
                second = hessian, weights, model, i, weight, density, k, place, out, curvature, chain
                call(kernels[2], second)
        if order > 0:
            for row in range(m):
                for i in range(n):
                    total = 0.0
                    for j in range(n):
                        total += weights[model, row, j] * (slope[i, j] + slope[j, i])
                    weights_gradient[model, row, i] = total
        if order == 2:
            for row in range(m):
                for i in range(n):
                    for j in range(n):
                        hessian[model, row * n + i, row * n + j] += slope[i, j] + slope[j, i]


@jit(inner=True)
def _add_curvature(hessian, weights, model, i, importance, density, k, place, out, curvature, chain):
    """hessian += importance × Jᵀ C J: C the second derivatives of L_i in (a_i1 … a_in, b_i), J = ∂(…)/∂(W, b)."""
    m, n = weights.shape[1], weights.shape[2]
    size = m * n + n
    # features of zero weight: ∂/∂a_j = E x_j ∂/∂b, ∂²/∂a_j² = E x_j² ∂²/∂b²
    for j in range(n + 1):
        mean = 1.0 if j == n else 0.5 * density[model, j]
        for l in range(n + 1):
            curvature[j, l] = out[2] * mean * (1.0 if l == n else 0.5 * density[model, l])
        if j < n:
            curvature[j, j] = out[2] * density[model, j] / 3.0
    for l in range(k + 1):
        j = place[l]
        for other in range(n + 1):
            mean = 1.0 if other == n else 0.5 * density[model, other]
            curvature[j, other] = curvature[other, j] = mean * out[first_component(l, 2) + 1]
    for l in range(k + 1):
        for other in range(l + 1):
            value = out[first_component(l, 2) + 2 + other]
            curvature[place[l], place[other]] = curvature[place[other], place[l]] = value
    for row in range(n + 1):  # chain = C J
        for column in range(size):
            chain[row, column] = 0.0
        for h in range(m):
            for j in range(n):
                chain[row, h * n + i] += curvature[row, j] * weights[model, h, j]
                chain[row, h * n + j] += curvature[row, j] * weights[model, h, i]
        chain[row, m * n + i] = curvature[row, n]
    for column in range(size):
        for h in range(m):
            for j in range(n):
                hessian[model, h * n + i, column] += importance * weights[model, h, j] * chain[j, column]
                hessian[model, h * n + j, column] += importance * weights[model, h, i] * chain[j, column]
        hessian[model, m * n + i, column] += importance * chain[n, column]


def workspaces(n_hidden, n_features, order, relu=True):
    """The arrays ``work`` and ``scratch`` for `enumeration`; each thread needs its own."""
    n, work = n_features, workspace(n_features, order, relu)
    scratch = (
        np.empty((n, n)),  # WᵀW
        np.empty((n, n)),  # ∂L/∂(WᵀW)
        np.empty((4, n + 1)),  # weights and densities of the other features of one output; working space
        np.empty(n + 1, np.int64),  # which features these are, the output's own first
        np.empty(max(first_component(n, order), 15)),  # loss and derivatives by component
        np.empty((n + 1, n + 1)),  # second derivatives of one output
        np.empty((n + 1, n_hidden * n + n)),
    )
    # what three features, or first derivatives, do not need is not compiled for them
    kernels = np.array([_address(few_moments), 0, 0])
    if n > 3:
        kernels[1] = _address(clipped_moments if relu else linear_moments)
    if order > 1:
        kernels[2] = _address(_add_curvature)
    return work, (*scratch, kernels)


@cache
def _address(function):
    """These functions are compiled apart from the loop over models."""
    if function is _add_curvature:
        others, cube = np.empty((4, 3)), np.empty((1, 1, 1))
        return address(function, cube, cube, 0, 0, 0.0, others, 0, np.empty(1, np.int64), np.empty(15), others, others)
    return address(function, *(FEW if function is few_moments else OUTPUT))
