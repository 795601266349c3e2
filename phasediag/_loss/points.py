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
from .point_sums import LANES, pieces, sums, total

# What `workspaces` adds to its table for a form with points: which components each output sums as points, and the mean values of
# features in all; for kinks: the state; of every component and output λ₀, the last λ, both as parts of the jump, the last rate,
# the jump that is held and the first component of a jump up, of those that differ in this feature alone, −1 where there is none;
# how wide the values of features in all components are, and the probability of the components whose kink of an output falls
# together with each: their multipliers, alike at first, stay so, as parts of a jump then grow alike; of every feature, and of a 1
# that stands for the bias, the mean values in all components; working space; 1 + the number of the first of the outputs whose
# kink in a component is one with that of each, less than 0 for one that is on where the first is off, 0 where there is no other;
# for every output how many of its kinks are held, or are one with another that may be, and in which components these are.
(
    IS_POINT,
    VALUES,
    STATE,
    MULTIPLIERS,
    LATEST,
    RATES,
    JUMPS,
    KEPT,
    LEADERS,
    BREADTHS,
    TOGETHER,
    COLUMNS,
    SUMMED,
    GATHERED,
    KINKS,
    N_POINT_ARRAYS,
) = range(16)
RATE, STIFFEST, SPAN, STAYS, N_STATE = range(5)
"""The state: how fast parts of jumps grow in z, 0 where kinks are as they are; the most that a scaled second derivative gets; how
far apart values can be; whether kinks of 0 < λ₀ < s stay held however far z is from 0, and no others are."""


NO_PRODUCT = 1e-13
"""Products W_i·W_j that are no larger are 0 but for rounding."""
ON_KINK = 1e-10
"""Outputs this near to 0 at a minimum are on a kink."""


@jit(inner=True)
def is_certain(i, n, breadths, row):
    """Whether output i is a point in a component with these breadths (n,) of values; row (n,): that of WᵀW."""
    for j in range(n):
        if breadths[j] > 0.0 and (j == i or abs(row[j]) > NO_PRODUCT):
            return False
    return True


@jit(inner=True)
def is_kept(at, arrays):
    """Whether the kink of a component and output, number ``at``, stays held, though products of a step on the way are not 0."""
    state, multipliers, jumps = doubles(arrays[STATE]), doubles(arrays[MULTIPLIERS]), doubles(arrays[JUMPS])
    return state[STAYS] != 0.0 and jumps[at] > 0.0 and 0.0 < multipliers[at] < 1.0


@jit(inner=True)
def sum_points(i, n, n_components, b, row, residual, alpha, order, weights, scale, out, curvature, arrays):
    """Adds up output i over the points: out gets the loss, its slopes in b and in row i of WᵀW, curvature the second derivatives.

    row (n,): that row; residual: 1 − row[i]; weights (n_components,): their probabilities; scale: what a loss is divided by where
    it is scaled; curvature (n + 1, n + 1): in (row, b), of order 2.
    """
    is_point, columns = offset(integers(arrays[IS_POINT]), i * n_components), doubles(arrays[COLUMNS])
    state, length, keep = doubles(arrays[STATE]), rows_of(n_components), 1.0 - alpha + alpha * residual  # 1 − alpha row[i]
    slopes, curvatures = doubles(arrays[SUMMED]), offset(doubles(arrays[SUMMED]), length)
    losses, side = offset(curvatures, length), n + 1
    for component in range(n_components):
        losses[component] = weights[component] * is_point[component]
    for component in range(n_components, length):
        losses[component] = 0.0
    pieces(i, n, length, b, row[i], residual, keep, alpha, row, columns, slopes)
    if order > 0 and state[RATE] > 0.0:
        _hold(i, n, n_components, row, residual, alpha, weights, scale, arrays)
    out[0] = total(losses, length)
    found, ones = offset(losses, 2 * length), offset(columns, n * length)
    if order > 0:
        sums(slopes, ones, columns, side, length, found)
        for j in range(side):
            out[1 + (j + 1) % side] = found[j]
    for j in range(side if order == 2 else 0):
        sums(curvatures, offset(columns, j * length), columns, j + 1, length, found)
        for k in range(j + 1):
            curvature[j * side + k] = curvature[k * side + j] = found[k]


@jit(inner=True, once=True)
def rows_of(n_components):
    """The length of a row of so many components, filled up."""
    return (n_components + LANES - 1) // LANES * LANES


@jit(inner=True)
def _hold(i, n, n_components, row, residual, alpha, weights, scale, arrays):
    """What multipliers make of the kinks of output i that are held, in its losses, slopes and curvatures, from what they are."""
    is_point, values = offset(integers(arrays[IS_POINT]), i * n_components), doubles(arrays[COLUMNS])
    state, multipliers, latest = doubles(arrays[STATE]), doubles(arrays[MULTIPLIERS]), doubles(arrays[LATEST])
    rates, jumps, together = doubles(arrays[RATES]), doubles(arrays[JUMPS]), doubles(arrays[TOGETHER])
    gathered = doubles(arrays[GATHERED])
    length = rows_of(n_components)
    slopes, curvatures = doubles(arrays[SUMMED]), offset(doubles(arrays[SUMMED]), length)
    losses, rests, own, targets = offset(curvatures, length), offset(curvatures, 2 * length), row[i], offset(values, i * length)
    keep, stays, fastest, stiffest = 1.0 - alpha + alpha * residual, state[STAYS] != 0.0, state[RATE], state[STIFFEST] * scale
    held = offset(integers(arrays[KINKS]), i * (n_components + 1))
    for place in range(1, held[0] + 1):
        component = held[place]
        at = component * n + i
        jump, share = jumps[at], weights[component]
        x, rest, first, one = targets[component], rests[component], multipliers[at], int(gathered[at])
        if share == 0.0 or not is_point[component]:
            continue
        if (
            one != 0 and abs(one) != i + 1
        ):  # with the kink of an output before, of which it is on the side: rounding does not tell
            leader = component * n + abs(one) - 1
            part = multipliers[leader]
            if stays or abs(latest[leader] - part) < ON_KINK * rates[leader]:
                side = 1.0 if (part == 1.0) == (one > 0) else 0.0
                _take_side(component, side, residual, keep, alpha, share, x, rest, losses, slopes, curvatures)
            continue
        z = rest + own * x
        rate = min(fastest, stiffest / (together[at] * jump))
        part = first + rate * z
        latest[at], rates[at] = part, rate
        if stays and (first == 0.0 or first == 1.0):
            if (z >= 0.0) != (first == 1.0):
                _take_side(component, first, residual, keep, alpha, share, x, rest, losses, slopes, curvatures)
        elif stays or 0.0 < part < 1.0:
            is_on = 1.0 if z >= 0.0 else 0.0
            if one != 0 and (stays or abs(z) < ON_KINK):
                is_on = 0.0
                _take_side(component, 0.0, residual, keep, alpha, share, x, rest, losses, slopes, curvatures)
            losses[component] += share * jump * ((first - is_on) * z + (0.0 if stays else 0.5 * rate * z * z))
            slopes[component] += share * jump * ((first if stays else part) - is_on)
            curvatures[component] += share * jump * rate
        else:
            losses[component] -= share * jump * ((1.0 - first) ** 2 if part >= 1.0 else first * first) / (2.0 * rate)


@jit(inner=True)
def _take_side(component, side, residual, keep, alpha, share, x, rest, losses, slopes, curvatures):
    """Loss, slope and curvature of a component where the output is on, ``side`` 1, or off, 0, whatever the sign of z."""
    gain = 1.0 if side == 1.0 else alpha
    error = x * (residual if side == 1.0 else keep) - gain * rest
    losses[component], slopes[component] = share * error * error, -2.0 * share * gain * error
    curvatures[component] = 2.0 * share * gain * gain


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
