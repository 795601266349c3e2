"""The loss of whole batches of models by enumeration, with derivatives in weights and biases."""

import numpy as np

from ._jit import jit
from ._moments import clipped_moments, workspace


@jit
def _dot(weights, i, j, start):
    """start + W_i·W_j as if in twice the precision (Dekker's product, Knuth's sum): 1 − ‖W_i‖² cancels near unit norm."""
    total, low = start, 0.0
    for k in range(weights.shape[0]):
        x, y = weights[k, i], weights[k, j]
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


@jit
def enumeration(weights, bias, importance, density, relu, order, losses, weights_gradient, bias_gradient, hessian, work, scratch):
    """Losses of a batch of models.

    weights (B, m, n), bias, importance, density (B, n); losses (B, n) gets E (x_i − x'_i)², without the importance.
    For order ≥ 1 the gradient of the importance-weighted sum goes to weights_gradient and bias_gradient, for order 2 its
    Hessian in (weights row by row, biases) to hessian (B, m n + n, m n + n). ``work`` and ``scratch`` come from
    `workspaces`; arrays of a higher order than asked for may be of any size.
    """
    gram, slope, gradient, curvature, chain = scratch
    n_models, m, n = weights.shape
    for model in range(n_models):
        w = weights[model]
        for i in range(n):
            for j in range(i + 1):
                gram[i, j] = gram[j, i] = _dot(w, i, j, 0.0)
        if order == 2:
            hessian[model] = 0.0
        for i in range(n):
            residual = -_dot(w, i, i, -1.0)
            losses[model, i] = clipped_moments(
                i, gram, residual, bias[model], density[model], relu, order, work, gradient, curvature
            )
            if order > 0:
                weight = importance[model, i]
                bias_gradient[model, i] = weight * gradient[n]
                for j in range(n):
                    slope[i, j] = weight * gradient[j]
            if order == 2:
                _add_curvature(hessian[model], w, i, importance[model, i], curvature, chain)
        if order > 0:
            for k in range(m):
                for i in range(n):
                    total = 0.0
                    for j in range(n):
                        total += w[k, j] * (slope[i, j] + slope[j, i])
                    weights_gradient[model, k, i] = total
        if order == 2:
            for k in range(m):
                for i in range(n):
                    for j in range(n):
                        hessian[model, k * n + i, k * n + j] += slope[i, j] + slope[j, i]


@jit
def _add_curvature(hessian, w, i, importance, curvature, chain):
    """hessian += importance × Jᵀ curvature J with J = ∂(a_i1 … a_in, b_i)/∂(W, b), a_ij = W_i·W_j."""
    m, n = w.shape
    size = m * n + n
    for row in range(n + 1):  # chain = curvature J
        for column in range(size):
            chain[row, column] = 0.0
        for k in range(m):
            for j in range(n):
                chain[row, k * n + i] += curvature[row, j] * w[k, j]
                chain[row, k * n + j] += curvature[row, j] * w[k, i]
        chain[row, m * n + i] = curvature[row, n]
    for column in range(size):
        for k in range(m):
            for j in range(n):
                hessian[k * n + i, column] += importance * w[k, j] * chain[j, column]
                hessian[k * n + j, column] += importance * w[k, i] * chain[j, column]
        hessian[m * n + i, column] += importance * chain[n, column]


def workspaces(n_hidden, n_features, order, relu=True):
    """The arrays ``work`` and ``scratch`` for `enumeration`; each thread needs its own."""
    n = n_features
    scratch = (
        np.empty((n, n)),
        np.empty((n, n)),
        np.empty(n + 1),
        np.empty((n + 1, n + 1)),
        np.empty((n + 1, n_hidden * n + n)),
    )
    return workspace(n, order, relu), scratch
