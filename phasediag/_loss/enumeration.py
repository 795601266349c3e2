"""The loss of whole batches of models by enumeration, with derivatives in weights and biases."""

from functools import cache

import numpy as np

from .._compiling.jit import DOUBLES, INTEGERS, address, addresses, call, doubles, integers, jit, offset, pointer
from .few import few_moments
from .moments import FEW, OUTPUT, clipped_moments, linear_moments, working_space, workspace
from .pieces import first_component

# Weights below this are zero: they change the loss by less than its smallest representable part.
NEGLIGIBLE = 1e-290

# What a table from `workspaces` holds: addresses of functions, of arrays, and of the arrays of `moments.workspace`.
ENUMERATE, FEW_MOMENTS, MANY_MOMENTS, ADD_CURVATURE, GRAM, SLOPE, OTHERS, PLACE, OUT, CURVATURE, CHAIN, SPACE = range(12)


@jit(inner=True)
def _dot(weights, m, n, i, j, start):
    """start + W_i·W_j as if in twice the precision (Dekker's product, Knuth's sum): 1 − ‖W_i‖² cancels near unit norm.

    weights: (m, n).
    """
    total, low = start, 0.0
    for k in range(m):
        x, y = weights[k * n + i], weights[k * n + j]
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
def _order(weights, i, density, n, others, place):
    """List the other features of nonzero weight and density by falling size; returns their number.

    ``weights``: feature i's row of WᵀW. The weights in order go to the first row of ``others``, of n + 1 places, the densities
    to the second, and which features they are to ``place``, behind i.
    """
    densities, count = offset(others, n + 1), np.int64(0)
    place[0] = i
    for j in range(n):
        weight = weights[j]
        if j == i or abs(weight) < NEGLIGIBLE or density[j] == 0.0:
            continue
        at = count
        while at > 0 and abs(others[at - 1]) < abs(weight):
            others[at], densities[at], place[at + 1] = others[at - 1], densities[at - 1], place[at]
            at -= 1
        others[at], densities[at], place[at + 1] = weight, density[j], j
        count += 1
    return count


@jit
def enumeration(weights, bias, importance, density, relu, order, losses, weights_gradient, bias_gradient, hessian, table):
    """Losses of a batch of models.

    weights (B, m, n), bias, importance, density (B, n); losses (B, n) gets E (x_i − x'_i)², without the importance. For
    order ≥ 1 the gradient of the importance-weighted sum goes to weights_gradient and bias_gradient, for order 2 its
    Hessian in (weights row by row, biases) to hessian (B, m n + n, m n + n). ``table`` comes from `workspaces`; arrays of
    a higher order than asked for may be of any size.
    """
    n_models, m, n = weights.shape
    inputs = pointer(weights), pointer(bias), pointer(importance), pointer(density)
    outputs = pointer(losses), pointer(weights_gradient), pointer(bias_gradient), pointer(hessian)
    call(table[ENUMERATE], (n_models, m, n, *inputs, relu, order, *outputs, pointer(table)))


@jit(inner=True)
def _enumerate(
    n_models, m, n, weights, bias, importance, density, relu, order, losses, weights_gradient, bias_gradient, hessian, table
):
    """As `enumeration`, of pointers."""
    gram, slope, a, found = doubles(table[GRAM]), doubles(table[SLOPE]), doubles(table[OTHERS]), doubles(table[OUT])
    place, work, size = integers(table[PLACE]), working_space(offset(table, SPACE), order), m * n + n
    p = offset(a, n + 1)
    for _model in range(n_models):
        for i in range(n):
            for j in range(i + 1):
                gram[i * n + j] = gram[j * n + i] = _dot(weights, m, n, i, j, 0.0)
        if order == 2:
            for at in range(size * size):
                hessian[at] = 0.0
        for i in range(n):
            residual = -_dot(weights, m, n, i, i, -1.0)
            k = _order(offset(gram, i * n), i, density, n, a, place)
            b, own, own_p, weight = bias[i], gram[i * n + i], density[i], importance[i]
            if k <= 2:
                call(table[FEW_MOMENTS], (b, own, residual, own_p, a, p, k, relu, order, found))
            else:
                call(table[MANY_MOMENTS], (b, own, residual, own_p, a, p, k, relu, order, found, n, work))
            losses[i] = found[0]
            if order > 0:
                # a feature of zero weight leaves the mean as it is: ∂/∂a_j = E x_j ∂/∂b
                bias_gradient[i] = weight * found[1]
                for j in range(n):
                    slope[i * n + j] = weight * (0.5 * density[j] * found[1])
                for l in range(k + 1):
                    slope[i * n + place[l]] = weight * found[first_component(l, order)]
            if order == 2:
                call(table[ADD_CURVATURE], (hessian, weights, m, n, i, weight, density, k, table))
        if order > 0:
            for row in range(m):
                for i in range(n):
                    total = 0.0
                    for j in range(n):
                        total += weights[row * n + j] * (slope[i * n + j] + slope[j * n + i])
                    weights_gradient[row * n + i] = total
            bias_gradient, weights_gradient = offset(bias_gradient, n), offset(weights_gradient, m * n)
        if order == 2:
            for row in range(m):
                for i in range(n):
                    for j in range(n):
                        hessian[(row * n + i) * size + row * n + j] += slope[i * n + j] + slope[j * n + i]
            hessian = offset(hessian, size * size)
        weights, bias, importance = offset(weights, m * n), offset(bias, n), offset(importance, n)
        density, losses = offset(density, n), offset(losses, n)


@jit(inner=True)
def _add_curvature(hessian, weights, m, n, i, importance, density, k, table):
    """hessian (size, size) += importance × Jᵀ C J: C the second derivatives of L_i in (a_i1 … a_in, b_i), J = ∂(…)/∂(W, b)."""
    place, out, curvature, chain = (
        integers(table[PLACE]),
        doubles(table[OUT]),
        doubles(table[CURVATURE]),
        doubles(table[CHAIN]),
    )
    size, side = m * n + n, n + 1
    # features of zero weight: ∂/∂a_j = E x_j ∂/∂b, ∂²/∂a_j² = E x_j² ∂²/∂b²
    for j in range(side):
        mean = 1.0 if j == n else 0.5 * density[j]
        for l in range(side):
            curvature[j * side + l] = out[2] * mean * (1.0 if l == n else 0.5 * density[l])
        if j < n:
            curvature[j * side + j] = out[2] * density[j] / 3.0
    for l in range(k + 1):
        j = place[l]
        for other in range(side):
            mean = 1.0 if other == n else 0.5 * density[other]
            curvature[j * side + other] = curvature[other * side + j] = mean * out[first_component(l, 2) + 1]
    for l in range(k + 1):
        for other in range(l + 1):
            value = out[first_component(l, 2) + 2 + other]
            curvature[place[l] * side + place[other]] = curvature[place[other] * side + place[l]] = value
    for row in range(side):  # chain = C J
        line, own = offset(chain, row * size), offset(curvature, row * side)
        for column in range(size):
            line[column] = 0.0
        for h in range(m):
            for j in range(n):
                line[h * n + i] += own[j] * weights[h * n + j]
                line[h * n + j] += own[j] * weights[h * n + i]
        line[m * n + i] = own[n]
    for column in range(size):
        for h in range(m):
            for j in range(n):
                value = chain[j * size + column]
                hessian[(h * n + i) * size + column] += importance * weights[h * n + j] * value
                hessian[(h * n + j) * size + column] += importance * weights[h * n + i] * value
        hessian[(m * n + i) * size + column] += importance * chain[n * size + column]


def workspaces(n_hidden, n_features, order, relu=True):
    """The ``table`` of `enumeration`, and the arrays to which it points: each thread needs its own, and must keep both."""
    n, work = n_features, workspace(n_features, order, relu)
    scratch = (
        np.empty((n, n)),  # WᵀW
        np.empty((n, n)),  # ∂L/∂(WᵀW)
        np.empty((4, n + 1)),  # weights and densities of the other features of one output; working space
        np.empty(n + 1, np.int64),  # which features these are, the output's own first
        np.empty(max(first_component.py_func(n, order), 15)),  # loss and derivatives by component
        np.empty((n + 1, n + 1)),  # second derivatives of one output
        np.empty((n + 1, n_hidden * n + n)),
    )
    # what three features, or first derivatives, do not need is not compiled for them
    many = _address(clipped_moments if relu else linear_moments) if n > 3 else 0
    curvature = _address(_add_curvature) if order > 1 else 0
    return addresses(_address(_enumerate), _address(few_moments), many, curvature, *scratch, *work), (scratch, work)


@cache
def _address(function):
    """These functions are compiled apart from the loop over models."""
    if function is _enumerate:
        return address(function, 0, 0, 0, *[DOUBLES] * 4, True, 0, *[DOUBLES] * 4, INTEGERS)
    if function is _add_curvature:
        return address(function, DOUBLES, DOUBLES, 0, 0, 0, 0.0, DOUBLES, 0, INTEGERS)
    return address(function, *(FEW if function is few_moments else OUTPUT))
