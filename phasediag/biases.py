"""The biases that minimize the expected loss for given weights: one-dimensional problems, solved globally."""

import numpy as np

from ._arguments import real_array
from .loss import evaluate

# No bias has a loss lower than what the search finds by more than this share of it and a thousandth of E x_i² …
GAP = 1e-6
# … unless it hides in an interval of this share of the range, and so many intervals are halved at once.
NARROWEST, HALVED = 2.0**-40, 8
# For more features than enumeration treats: accuracy on the grid, at the minima, and worse ones where that cannot be had.
GRID_TOLERANCES, TOLERANCES = (1e-8, 1e-5, 1e-2), (1e-12, 1e-9, 1e-6, 1e-3)
MOST_STEPS = 80
TIE = 1e-14
ROUNDING = 2.0**-51


def optimal_bias(model, weights):
    """Return the biases that minimize the expected loss for given weights.

    Parameters
    ----------
    model : ToyModel
    weights : array_like, shape (…, n_hidden, n_features)

    Returns
    -------
    ndarray, shape (…, n_features)

    Raises
    ------
    ValueError
        When weights lie outside their domain, or the contour integral declines.

    Notes
    -----
    Given the weights, output i's loss depends on b_i alone. For the linear activation the minimum is the mean residual
    b_i = p_i/2 − Σ_j (WᵀW)_ij p_j/2. For ReLU, with z = (WᵀW x)_i + b, the loss has slope 2 E[(z − x_i) 1_{z>0}], which
    grows no faster than 2 P(z > 0). So loss(b) − P b², P the probability at the upper end, is concave on an interval, and
    the losses at its ends bound those within from below. Intervals are halved until none can hold a loss lower than the
    lowest found by more than 1e-6 of it and a thousandth of E x_i². Then every sign change of the slope where the bounds
    leave room for a lower loss is refined to rounding (beyond 10 features to the accuracy of the contour integral's
    slopes), and the lowest minimum wins. Among equally low ones (1e-14 relative) the bias of smallest size is returned. The
    half-line b ≤ −Σ_j (WᵀW)⁺_ij, where the output is off and the loss constant, is never optimal.
    """
    weights = real_array("weights", weights, shape=(model.n_hidden, model.n_features))
    gram = np.swapaxes(weights, -1, -2) @ weights
    p = model.feature_density
    linear = p / 2 - gram @ (p / 2)
    if model.activation == "linear":
        return linear
    grid, losses, slope, bound = _search(model, weights, gram, linear)
    # slope 0 counts as falling: an output that is off gains by being switched on where its own feature is large
    lowest = losses.min(axis=0)
    rising = (slope[:-1] <= 0) & (slope[1:] > 0) & (bound <= lowest)
    candidates = [(grid[0], losses[0])]
    for rank in range(1, int(rising.sum(axis=0).max(initial=0)) + 1):
        nth = rising & (np.cumsum(rising, axis=0) == rank)
        at = np.argmax(nth, axis=0)[None]
        ends = [np.take_along_axis(x, at + k, 0)[0] for k in (0, 1) for x in (grid, slope)]
        bias, loss = _refine(model, weights, *ends)
        candidates.append((bias, np.where(nth.any(axis=0), loss, np.inf)))
    # a point of the search that is lower than every refined minimum, should the slopes have shown none there
    at = np.argmin(losses, axis=0)[None]
    refined = np.min([loss for _, loss in candidates], axis=0)
    candidates.append((np.take_along_axis(grid, at, 0)[0], np.where(lowest < (1 - GAP) * refined, lowest, np.inf)))
    bias, loss = (np.stack(x) for x in zip(*candidates, strict=True))
    tied = loss <= loss.min(axis=0) * (1 + TIE)
    best = np.argmin(np.where(tied, np.abs(bias), np.inf), axis=0)[None]
    return np.take_along_axis(bias, best, 0)[0]


def _loss_and_slope(model, weights, bias, tolerances):
    """Losses of the outputs and their slopes for biases (…, *leading axes of weights, n_features)."""
    shape = (*bias.shape[:-1], *weights.shape[-2:])
    all_weights = np.broadcast_to(weights, shape)
    losses, _, slope, _, _ = evaluate(model, all_weights, bias, "auto", 1, tolerance=tolerances[0], strict=False)
    for tolerance in tolerances[1:]:
        short = np.isnan(losses).any(axis=-1)
        if short.any():
            again = evaluate(model, all_weights[short], bias[short], "auto", 1, tolerance=tolerance, strict=False)
            losses[short], slope[short] = again[0], again[2]
    if np.isnan(losses).any():
        raise ValueError(f"weights must let the contour integral meet a tolerance of {TOLERANCES[-1]:g}, got some that do not")
    return losses, slope / model.importance


def _refine(model, weights, low, slope_low, high, slope_high):
    """Zeros of the slopes between ``low`` (slope ≤ 0) and ``high`` (> 0): regula falsi after Illinois, and bisection."""
    slope_low = np.minimum(slope_low, -np.finfo(float).tiny)
    for step in range(MOST_STEPS):
        rise = slope_high - slope_low
        share = np.divide(-slope_low, rise, out=np.full(rise.shape, 0.5), where=rise > 0)
        middle = np.clip(low + (0.5 if step % 3 == 2 else share) * (high - low), low, high)
        losses, slope = _loss_and_slope(model, weights, middle, TOLERANCES)
        falls = slope <= 0
        # the end that stays is halved, so that it is the next to move
        slope_low, slope_high = (
            np.where(falls, np.minimum(slope, -np.finfo(float).tiny), slope_low / 2),
            np.where(falls, slope_high / 2, slope),
        )
        low, high = np.where(falls, middle, low), np.where(falls, high, middle)
        if np.all((np.abs(slope) <= ROUNDING * (1 + np.abs(middle))) | (high - low <= ROUNDING * (1 + np.abs(middle)))):
            break
    return middle, losses


def _search(model, weights, gram, linear):
    """Biases, rising along the first axis, with losses and slopes: so many that no lower loss can hide between them.

    The last result bounds the losses between every two of them from below. The biases go from the end of the half-line where
    the output is off to past every minimum.
    """
    density = model.feature_density
    off, on = -np.maximum(gram, 0).sum(axis=-1), -np.minimum(gram, 0).sum(axis=-1)
    last = np.maximum(on, linear) + np.abs(linear) + 1.0  # right of ``on`` the loss is quadratic about ``linear``
    some = 1 - np.prod(np.where(gram > 0, 1 - density, 1.0), axis=-1)  # without any such feature z ≤ b
    bias = np.stack([off, np.zeros(off.shape), last])
    losses, slope = _loss_and_slope(model, weights, bias, GRID_TOLERANCES)
    while True:
        low, rise, width = losses[:-1], np.diff(losses, axis=0), np.diff(bias, axis=0)
        # between two points the loss is at least low + t rise − bend t (1 − t), 0 ≤ t ≤ 1
        bend = np.where(bias[1:] <= 0, some, 1.0) * width**2
        t = np.clip(0.5 - np.divide(rise, 2 * bend, out=np.zeros(rise.shape), where=bend > 0), 0, 1)
        bound, best = low + t * rise - bend * t * (1 - t), losses.min(axis=0)
        below = (bound < best - GAP * (best + 1e-3 * density / 3)) & (width > NARROWEST * (last - off))
        count = min(int(below.sum(axis=0).max(initial=0)), HALVED)
        if count == 0:
            return bias, losses, slope, bound
        worst = np.argsort(np.where(below, bound, np.inf), axis=0)[:count]
        middle = np.take_along_axis(bias[:-1] + width / 2, worst, axis=0)
        found = middle, *_loss_and_slope(model, weights, middle, GRID_TOLERANCES)
        bias, losses, slope = (np.concatenate(pair) for pair in zip((bias, losses, slope), found, strict=True))
        order = np.argsort(bias, axis=0, kind="stable")
        bias, losses, slope = (np.take_along_axis(x, order, axis=0) for x in (bias, losses, slope))
