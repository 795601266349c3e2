"""The loss of one output over inputs that are points: components of a law in which every value is certain.

There the output's argument z is a number, and the loss (x_i − f(z))². Where x_i < 0 its slope in z jumps up at z = 0, by
s = −2 (1 − slope) x_i: a kink on which a minimum may sit. The jump is the largest of λ z, 0 ≤ λ ≤ s. Where kinks are held, the
largest of λ z − (λ − λ₀)²/(2 rate) takes its place, with its slope λ = λ₀ + rate z cut to that interval: once each λ₀ is what
its λ comes out as, it has the minima of the loss itself (Rockafellar 1976, the proximal method of multipliers).

Inputs that differ in feature i alone have kinks of output i that are ‖W_i‖² times its differences apart, some up, some down:
those of a feature that is not represented fall together, and what is held is the jump that is left, if it is one up.

Where kinks are held, an output is a point as well where values are uncertain of features alone to which it has no product: there
the kinks of all their values fall together. On either side the loss is higher than that of their means (Jensen's inequality: the
jump is convex), so that minima of the one are minima of the other.
"""

import numpy as np

from .._compiling.jit import doubles, integers, jit, offset

# What `workspaces` adds to its table for a form with points: which components each output sums as points, and the mean values of
# features in all; for kinks: the state; of every component and output λ₀, the last λ, both as parts of the jump, the last rate,
# the jump that is held and the first component of a jump up, of those that differ in this feature alone, −1 where there is none;
# how wide the values of features in all components are, and the probability of the components whose kink of an output falls
# together with each: their multipliers, alike at first, stay so, as parts of a jump then grow alike; of every feature, and of a 1
# that stands for the bias, the mean values in all components; working space.
IS_POINT, VALUES, STATE, MULTIPLIERS, LATEST, RATES, JUMPS, KEPT, LEADERS, BREADTHS, TOGETHER, COLUMNS, SUMMED, N_POINT_ARRAYS = (
    range(14)
)
LANES = 4
"""Sums over components are of so many at a time: rows of them are filled up with zeros."""

RATE, STIFFEST, SPAN, STAYS, N_STATE = range(5)
"""The state: how fast parts of jumps grow in z, 0 where kinks are as they are; the most that a scaled second derivative gets; how
far apart values can be; whether kinks of 0 < λ₀ < s stay held however far z is from 0, and no others are."""


NO_PRODUCT = 1e-13
"""Products W_i·W_j that are no larger are 0 but for rounding."""


@jit(inner=True)
def is_certain(i, n, breadths, row):
    """Whether output i is a point in a component with these breadths (n,) of values; row (n,): that of WᵀW."""
    for j in range(n):
        if breadths[j] > 0.0 and (j == i or abs(row[j]) > NO_PRODUCT):
            return False
    return True


@jit(inner=True)
def sum_points(i, n, n_components, b, row, residual, alpha, order, weights, scale, out, total, arrays):
    """Adds up output i over the points: out gets the loss, its slopes in b and in row i of WᵀW, total the second derivatives.

    row (n,): that row; residual: 1 − row[i]; weights (n_components,): their probabilities; scale: what a loss is divided by where
    it is scaled; total (n + 1, n + 1): in (row, b), of order 2.
    """
    is_point, values = offset(integers(arrays[IS_POINT]), i * n_components), doubles(arrays[COLUMNS])
    state, multipliers, latest = doubles(arrays[STATE]), doubles(arrays[MULTIPLIERS]), doubles(arrays[LATEST])
    rates, jumps, together = doubles(arrays[RATES]), doubles(arrays[JUMPS]), doubles(arrays[TOGETHER])
    length = (n_components + LANES - 1) // LANES * LANES
    slopes, curvatures = doubles(arrays[SUMMED]), offset(doubles(arrays[SUMMED]), length)
    rests, products, own, targets = offset(curvatures, length), offset(curvatures, 2 * length), row[i], offset(values, i * length)
    side, keep = n + 1, 1.0 - alpha + alpha * residual  # 1 − alpha row[i]
    held, stays = order > 0 and state[RATE] > 0.0, state[STAYS] != 0.0
    fastest, stiffest, total_loss = state[RATE], state[STIFFEST] * scale, 0.0
    for component in range(length):
        rests[component] = b
    for j in range(n):
        if j != i:
            column, weight = offset(values, j * length), row[j]
            for component in range(length):
                rests[component] += weight * column[component]
    for component in range(n_components):
        share = weights[component] if is_point[component] else 0.0
        slopes[component] = curvatures[component] = 0.0
        if share == 0.0:
            continue
        x, rest, at = targets[component], rests[component], component * n + i
        z = rest + own * x
        jump = jumps[at] if held else 0.0
        first, is_right = multipliers[at] if jump > 0.0 else 0.0, z >= 0.0
        if jump > 0.0 and stays and (first == 0.0 or first == 1.0):
            is_right = first == 1.0
        gain, own_part = 1.0 if is_right else alpha, residual if is_right else keep
        error = x * own_part - gain * rest
        loss, slope, curvature = error * error, -2.0 * gain * error, 2.0 * gain * gain
        if jump > 0.0:
            rate = min(fastest, stiffest / (together[at] * jump))
            part = first + rate * z
            latest[at], rates[at] = part, rate
            if stays:
                if 0.0 < first < 1.0:
                    loss += jump * (first * z - max(z, 0.0))
                    slope += jump * (first if z < 0.0 else first - 1.0)
                    curvature += jump * rate
            elif part <= 0.0:
                loss -= jump * first * first / (2.0 * rate)
            elif part >= 1.0:
                loss -= jump * (1.0 - first) ** 2 / (2.0 * rate)
            else:
                loss += jump * (first * z + 0.5 * rate * z * z - max(z, 0.0))
                slope += jump * (part if z < 0.0 else part - 1.0)
                curvature += jump * rate
        total_loss += share * loss
        slopes[component], curvatures[component] = share * slope, share * curvature
    out[0] = total_loss
    if order > 0:
        for j in range(n + 1):
            out[1 + (j + 1) % (n + 1)] = _dot(slopes, offset(values, j * length), length)
    if order == 2:
        for j in range(side):
            column = offset(values, j * length)
            for component in range(length):
                products[component] = curvatures[component] * column[component]
            for k in range(j + 1):
                total[j * side + k] = total[k * side + j] = _dot(products, offset(values, k * length), length)


@jit(inner=True)
def _dot(one, other, length):
    """The sum of products of two rows (length,), a multiple of LANES, in as many lanes."""
    first = second = third = fourth = 0.0
    for k in range(0, length, LANES):
        first += one[k] * other[k]
        second += one[k + 1] * other[k + 1]
        third += one[k + 2] * other[k + 2]
        fourth += one[k + 3] * other[k + 3]
    return (first + second) + (third + fourth)


def leaders(states, lows, widths):
    """Of every component and feature the first component whose kink of this output is held, (n_components, n); −1 for none.

    Among the components that differ in this feature alone the first where it is an atom below 0. states (n_components, n); where
    values begin and how wide they are, by state.
    """
    found = np.full(states.shape, -1)
    for i in range(states.shape[1]):
        first, others = {}, [tuple(row) for row in np.delete(states, i, axis=1).tolist()]
        for component in np.flatnonzero((widths[states[:, i]] == 0.0) & (lows[states[:, i]] < 0.0)):
            first.setdefault(others[component], component)
        found[:, i] = [first.get(key, -1) for key in others]
    return found
