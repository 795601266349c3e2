"""Ways down from kinks: the slope of the loss along every direction from points whose outputs are on kinks.

Where outputs k of some inputs that are points are on kinks, z_k = 0, the loss changes by D(d) = g·d + Σ_k s_k max(a_k·d, 0) along
d, with a_k the gradient of z_k and s_k the jump of its slope: up where x_i < 0, down where x_i > 0. A jump down takes the lesser
of two slopes, so that D is the least, over the sides T of these kinks, of convex D_T; and D_T is nowhere negative if and only if
the kinks that jump up have multipliers, 0 ≤ λ ≤ s, that balance its gradient. Where they have none, what is left of it leads
down. (Kinks whose a_k lie on one line are one, and where jumps up and down meet, as those of a feature that is not represented,
they cancel. Descents hold the jumps up, and take one side of those down.)
"""

from functools import lru_cache
from itertools import product

import numpy as np
from scipy.optimize import lsq_linear

from .._loss.evaluation import evaluate_rows
from .._loss.points import NO_PRODUCT, ON_KINK
from .flat import flatten, losses_at, parts
from .starts import scaled_gradient

MOST_SIDES = 2**8
"""Cells of kinks that jump down that are asked for: all of up to eight kinks, of more those that random directions lie in."""
SMALL = 1e-7
"""Slopes of this size count as 0, and gradients beside a point are taken at this distance."""
REACHES = 0.1 ** np.arange(1, 7)
"""How far a way down is followed."""


def ways_down(x, form, controls):
    """Of flat parameters (n_points, size) where descents have ended those that the loss falls from at first order.

    Returns their numbers (n_lower,) and a lower point beside each, (n_lower, size). controls: (n_points, n_controls).
    """
    lows, widths = form.ranges
    if form.is_linear or not np.any((widths == 0.0) & (lows > 0.0)):
        return np.empty(0, int), np.empty((0, form.size))
    weights, bias = parts(x, form.n_hidden)
    states = form.components
    inputs, wide = lows[states] + widths[states] / 2, (widths[states] > 0.0).astype(float)
    gram = np.swapaxes(weights, 1, 2) @ weights
    tied = (np.abs(gram) > NO_PRODUCT) | np.eye(form.n_features, dtype=bool)
    on = (np.abs(inputs @ gram + bias[:, None]) < ON_KINK) & (wide @ tied == 0.0) & (inputs != 0.0)
    asked = _jump_down(x, on, inputs, form, controls)  # jumps up alone are held by descents
    lower = {row: _way_down(x[row], on[row], inputs, form, controls[row]) for row in np.flatnonzero(asked)}
    rows = [row for row in sorted(lower) if lower[row] is not None]
    return np.array(rows, int), np.array([lower[row] for row in rows]).reshape(-1, form.size)


def _way_down(x, on, inputs, form, control):
    """The lower point beside x (size,), or None: ``on`` (n_components, n), the outputs for inputs (n_components, n) on kinks.

    Uncertain values have no product with these and count by their means.
    """
    component, output = np.nonzero(on)
    jumps, units = _as_one(*_kinks(x, component, output, inputs, form, control))
    if not np.any(jumps < -SMALL):
        return None
    by_direction, other = 0.5 * jumps @ units, _leading(units) < 0.0
    by_direction -= jumps[other] @ units[other]  # s max(−a·d, 0) = s max(a·d, 0) − s a·d
    jumps, units = _as_one(jumps, np.where(other[:, None], -units, units))
    direction = np.random.default_rng(0).normal(size=form.size) * form.free
    beside = x + SMALL * np.array([[1.0], [-1.0]]) * direction / np.linalg.norm(direction)
    # halfway between the two sides of every kink, then where all are off
    rest = scaled_gradient(beside, form, np.repeat(control[None], 2, axis=0)).mean(axis=0) * form.free - by_direction
    up, down = jumps > SMALL, jumps < -SMALL
    columns = (units[up] * jumps[up, None]).T
    for sides in _cells(units[down]):
        left = rest + jumps[down][sides] @ units[down][sides]
        if columns.size:
            left = left + columns @ lsq_linear(columns, -left, (0.0, 1.0), method="bvls").x
        length = np.linalg.norm(left)
        if length > SMALL and (lower := _lowest(x, left, form, control)) is not None:
            return lower
    return None


def _jump_down(x, on, inputs, form, controls):
    """Which of flat parameters (n_points, size) have kinks that may jump down once those that fall together are one: (n_points,).

    Kinks of a feature that is not represented fall together for all its values beside the same of the others.
    """
    down, lengths = on & (inputs > 0.0), np.abs(parts(x, form.n_hidden)[0]).max(axis=1)
    for i in range(form.n_features):
        dark = np.flatnonzero((lengths[:, i] < SMALL) & np.any(down[:, :, i], axis=1))
        if dark.size:
            jumps = -(on[dark, :, i] * inputs[:, i] * form.weights(controls[dark])) @ _beside(form, i)
            down[dark, :, i] &= np.any(jumps < -NO_PRODUCT, axis=1)[:, None]
    return np.any(down, axis=(1, 2))


@lru_cache(maxsize=256)
def _beside(form, i):
    """Which components are alike but in feature i: a 1 in the column of those, shape (n_components, n_columns)."""
    which = np.unique(np.delete(form.components, i, axis=1), axis=0, return_inverse=True)[1].ravel()
    return np.eye(which.max() + 1)[which]


def _kinks(x, component, output, inputs, form, control):
    """The kinks of these outputs for these inputs (n_on,) at x (size,): jumps of the scaled slope (n,) along units (n, size)."""
    weights, _ = parts(x, form.n_hidden)
    share = form.weights(control)[component] * form.importance(control)[output] / form.loss_scale(control)
    jumps = -2.0 * (1.0 - form.slope(control)) * inputs[component, output] * share
    own, hidden = np.eye(form.n_features)[output], inputs[component] @ weights.T
    by_weights = weights[:, output].T[:, :, None] * inputs[component][:, None] + hidden[:, :, None] * own[:, None]
    gradients = flatten(by_weights, own) * form.free
    lengths = np.linalg.norm(gradients, axis=1)
    moving = lengths > SMALL
    return jumps[moving] * lengths[moving], gradients[moving] / lengths[moving, None]


def _as_one(jumps, units):
    """Kinks of one unit as one."""
    _, first, which = np.unique(np.round(units, 7) + 0.0, axis=0, return_index=True, return_inverse=True)
    return np.bincount(which.ravel(), jumps, len(first)), units[first]


def _leading(units):
    """The first entries that are not 0 of units (n, size), shape (n,)."""
    return np.take_along_axis(units, np.argmax(np.abs(units) > SMALL, axis=1)[:, None], axis=1)[:, 0]


def _cells(units):
    """On which sides of kinks (n_kinks, size) the cells beside a point are: masks (n_kinks,)."""
    if 2 ** len(units) <= MOST_SIDES:
        return [np.array(one, bool) for one in product((False, True), repeat=len(units))]
    directions = np.random.default_rng(1).normal(size=(MOST_SIDES, units.shape[1]))
    return list(np.unique(directions @ units.T > 0.0, axis=0))


def _lowest(x, slope, form, control):
    """The lowest of points against a slope (size,) from x (size,), or None where none is lower than x."""
    rows = x - np.append(0.0, REACHES)[:, None] * slope / np.linalg.norm(slope)
    controls = np.repeat(control[None], len(rows), axis=0)
    own = evaluate_rows(*parts(rows, form.n_hidden), form, controls, "enumeration", 0)[0]
    losses = losses_at(rows, own, form, controls)
    lowest = np.argmin(losses)
    return rows[lowest] if losses[lowest] < losses[0] * (1.0 - 1e-13) else None
