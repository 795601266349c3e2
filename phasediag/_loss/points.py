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
# together with each: their multipliers, alike at first, stay so, as parts of a jump then grow alike.
IS_POINT, VALUES, STATE, MULTIPLIERS, LATEST, RATES, JUMPS, KEPT, LEADERS, BREADTHS, TOGETHER, N_POINT_ARRAYS = range(12)
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
    is_point, values, state = integers(arrays[IS_POINT]), doubles(arrays[VALUES]), doubles(arrays[STATE])
    is_point = offset(is_point, i * n_components)
    side, keep = n + 1, 1.0 - alpha + alpha * residual  # 1 − alpha row[i]
    for k in range(n + 2 if order > 0 else 1):
        out[k] = 0.0
    if order == 2:
        for k in range(side * side):
            total[k] = 0.0
    for component in range(n_components):
        share = weights[component]
        if not is_point[component] or share == 0.0:
            continue
        x, rest = offset(values, component * n), b
        for j in range(n):
            if j != i:
                rest += row[j] * x[j]
        z = rest + row[i] * x[i]
        at = component * n + i
        jump = doubles(arrays[JUMPS])[at] if order > 0 and state[RATE] > 0.0 else 0.0
        first, is_right = doubles(arrays[MULTIPLIERS])[at] if jump > 0.0 else 0.0, z >= 0.0
        if jump > 0.0 and state[STAYS] != 0.0 and (first == 0.0 or first == 1.0):
            is_right = first == 1.0
        gain, error = (1.0, x[i] * residual - rest) if is_right else (alpha, x[i] * keep - alpha * rest)
        loss, slope, curvature = error * error, -2.0 * gain * error, 2.0 * gain * gain
        if jump > 0.0:
            rate = min(state[RATE], state[STIFFEST] * scale / (doubles(arrays[TOGETHER])[at] * jump))
            part = first + rate * z
            doubles(arrays[LATEST])[at], doubles(arrays[RATES])[at] = part, rate
            if state[STAYS] != 0.0:
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
        out[0] += share * loss
        if gain == 0.0 and slope == 0.0 and curvature == 0.0:
            continue
        if order > 0:
            slope *= share
            out[1] += slope
            for j in range(n):
                out[2 + j] += slope * x[j]
        if order == 2:
            curvature *= share
            for j in range(n):
                by = curvature * x[j]
                for k in range(j + 1):
                    total[j * side + k] += by * x[k]
                total[n * side + j] += by
            total[n * side + n] += curvature
    if order == 2:
        for j in range(side):
            for k in range(j):
                total[k * side + j] = total[j * side + k]


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
