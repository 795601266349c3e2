"""Points at rest on the kinks where they lie: a reading weight is 0 just where the loss rises on both sides of that."""

import numpy as np

from ..neuron_phases import NOUGHT
from .branches import SOFT
from .cones import ON, STEP

MOST_STEPS, LEAST_SHARE = 20, 1 / 8
"""Of Newton, and the least part of a step that is tried."""
AT_REST = 1e-15
"""Newton ends where no entry of the gradient is larger."""
NEAREST = 1e-9
"""So near second derivatives are told next to where a bias is 0: nearer rounding tells them."""
FALLS, CLEAR = 1e-12, 1e-6
"""A weight leaves 0 where the slope of the loss there is below minus the first, and what is at rest has no larger one; above the
second it does not for certain."""
ROUNDING = 1e-12
"""A bias that is as small is 0."""
FIRST = 1e-5
"""Of its neuron's largest: so large is at first what leaves 0."""


def newton(landscape, x):
    """A function of a gradient (size,) at x (size,), Newton's step (size,) of what is free; along what is soft nothing moves.

    Next to where a bias is 0 second derivatives depend on how large other weights are beside it: they are told on its side.
    """
    beside = np.abs(x[landscape.biases & (x != 0)])
    step = max(min([STEP, *beside / 2]), NEAREST)
    values, vectors = np.linalg.eigh(landscape.hessian(x, step))
    use = values > SOFT
    inverse = ~landscape.held(x)[:, None] * (vectors[:, use] / values[use]) @ vectors[:, use].T
    return lambda slope: -inverse @ slope


def polished(landscape, x):
    """x (size,) after steps of Newton, or parts of them, while the next, with the same second derivatives, is that much shorter.

    Where one curvature is small and others are not, a step that leads nearer may well raise the gradient. A step ends where a
    reading weight or a bias comes to 0, beyond which second derivatives are others; the weight stays there.
    """
    last, kinked = np.inf, landscape.reading | landscape.biases
    x = np.where(~landscape.reading & (np.abs(x) < NOUGHT), 0.0, x)  # a kink of second derivatives, where a bias is 0
    for _ in range(MOST_STEPS):
        slope = landscape.gradient(x)[1]
        if np.abs(slope).max() < AT_REST:
            break
        steps = newton(landscape, x)
        step = steps(slope)
        passes = kinked & ~landscape.held(x) & (x != 0) & ((x + step) * x <= 0)
        if passes.any():
            shares = np.where(passes, -x / np.where(passes, step, 1.0), np.inf)
            k = int(np.argmin(shares))
            x, last = x + shares[k] * step, np.inf
            x[k] = 0.0
            continue
        longest, share, after = np.abs(step).max(), 2.0, None
        while after is None and share > LEAST_SHARE:
            share /= 2
            after = landscape.gradient(x + share * step)[1]
            if np.abs(after).max() > AT_REST and not np.abs(steps(after)).max() < (1 - share / 2) * longest:
                after = None
        if after is None or (share == 1 and not longest < last):
            break
        x, last = x + share * step, longest if share == 1 else np.inf
    return np.where(landscape.biases & (np.abs(x) < ROUNDING), 0.0, x)


def falls(landscape, x, which, aside=ON):
    """How the loss changes as one of the weights ``which`` (size,) leaves 0 from x (size,): the least slope, its k and side.

    aside: where the slope is told.
    """
    found, beside = (np.inf, 0, 0), x.copy()
    for k in np.flatnonzero(which):
        for side in (1, -1):
            beside[k] = side * aside
            found = min(found, (landscape.slope(beside)[k] * side, int(k), side))
        beside[k] = x[k]
    return found


def settled(landscape, x):
    """The point at rest next to the end x (size,) of a descent that has weights of 0 just where the loss rises beside that.

    Where small weights do not come to rest they are 0 at first; those on the wrong side of that leave it one after the other,
    that along which the loss falls most first. x itself where there is no doubt, and where there is none next to it.
    """
    begun, largest = x, landscape.of_neurons(np.abs(x))
    on = landscape.of_neurons(np.maximum(x, 0) if landscape.form.is_tied else np.abs(x)) > 0
    asked = landscape.kinks(x) & ~landscape.forbidding(x) & on
    x = np.where(asked & (np.abs(x) < NOUGHT * largest), 0.0, x)
    biases_clear = np.abs(landscape.form.parts(x)[2]).min() >= NOUGHT
    if biases_clear and not np.any(x[asked]) and falls(landscape, x, asked)[0] > CLEAR:
        return begun
    for start in (x, np.where(asked, 0.0, x)):
        for _ in range(2 * len(x)):
            x = polished(landscape, start)
            if np.abs(landscape.gradient(x)[1]).max() > FALLS:
                break
            slope, k, side = falls(landscape, x, asked & (x == 0))
            if slope >= -FALLS:
                return _level(landscape, x, asked)
            size = max(FIRST * largest[k], np.abs(x[asked]).max())  # as large as what has left 0 before it
            start = np.where(np.arange(len(x)) == k, side * size, x)
    return begun


def _level(landscape, x, asked):
    """The point with zeros, of all weights asked for (size,), of a valley of equal loss in which x (size,) lies.

    Or next to it where the loss rises with a third power alone. x itself where that is another one.
    """
    level = np.where(asked, 0.0, x)
    if np.array_equal(level, x):
        return x
    if np.abs(landscape.gradient(level)[1]).max() > FALLS and landscape.in_valley(x):
        level = polished(landscape, level)
    (loss, slope), (higher, _) = landscape.gradient(level), landscape.gradient(x)
    rests = np.abs(slope).max() <= FALLS and falls(landscape, level, asked)[0] >= -FALLS
    return level if rests and not landscape.is_lower(higher, loss) else x
