"""The biases that minimize the expected loss for given weights: one-dimensional problems, solved globally."""

import numpy as np

from ._arguments import real_array
from .loss import evaluate

# Kinks of an output's loss as a function of its bias are minus the sums over sets of its weights. Up to this many features
# all of them make the grid on which minima are bracketed; of more, the sets of one weight, of one with the feature's own,
# and of the few largest.
MOST_KINKED, LARGEST = 8, 6
POINTS_BETWEEN_KINKS = 4
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
    b_i = p_i/2 − Σ_j (WᵀW)_ij p_j/2. For ReLU the loss is continuously differentiable and polynomial between its kinks;
    every sign change of the slope on a grid through the kinks is refined to rounding (beyond 10 features to the accuracy
    of the contour integral's slopes), and the lowest minimum wins. Among equally low ones (1e-14 relative) the bias of
    smallest size is returned. The half-line b ≤ −Σ_j (WᵀW)⁺_ij, where the output is off and the loss constant, is never
    optimal.

    Up to 8 features the grid contains every kink, four points to a piece; with more it contains the kinks −(WᵀW)_ij and
    −(WᵀW)_ii − (WᵀW)_ij, where the loss bends at low density, and those of the six largest weights, two points to a piece;
    a minimum narrower than that might be missed.
    """
    weights = real_array("weights", weights, shape=(model.n_hidden, model.n_features))
    gram = np.swapaxes(weights, -1, -2) @ weights
    p = model.feature_density
    linear = p / 2 - gram @ (p / 2)
    if model.activation == "linear":
        return linear
    grid = _grid(gram, linear)
    losses, slope = _loss_and_slope(model, weights, grid, GRID_TOLERANCES)
    # slope 0 counts as falling: an output that is off gains by being switched on where its own feature is large
    rising = (slope[:-1] <= 0) & (slope[1:] > 0)
    candidates = [(grid[0], losses[0])]
    for rank in range(1, int(rising.sum(axis=0).max(initial=0)) + 1):
        nth = rising & (np.cumsum(rising, axis=0) == rank)
        at = np.argmax(nth, axis=0)[None]
        ends = [np.take_along_axis(x, at + k, 0)[0] for k in (0, 1) for x in (grid, slope)]
        bias, loss = _refine(model, weights, *ends)
        candidates.append((bias, np.where(nth.any(axis=0), loss, np.inf)))
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


def _grid(gram, linear):
    """Biases, rising along the first axis, from the end of the half-line where the output is off to past every minimum."""
    n = gram.shape[-1]
    largest, points = (n, POINTS_BETWEEN_KINKS) if n <= MOST_KINKED else (LARGEST, 2)
    row = np.take_along_axis(gram, np.argsort(-np.abs(gram), axis=-1)[..., :largest], axis=-1)
    sets = (np.arange(2**largest)[:, None] >> np.arange(largest)) & 1
    kinks = -(row @ sets.T)
    if n > MOST_KINKED:
        own = np.diagonal(gram, axis1=-2, axis2=-1)[..., None]
        kinks = np.concatenate([kinks, -gram, -gram - own], axis=-1)
    kinks = np.moveaxis(kinks, -1, 0)
    off, on = -np.maximum(gram, 0).sum(axis=-1), -np.minimum(gram, 0).sum(axis=-1)
    last = np.maximum(on, linear) + np.abs(linear) + 1.0  # right of ``on`` the loss is quadratic about ``linear``
    kinks = np.sort(np.concatenate([off[None], np.clip(kinks, off, on), on[None], last[None]]), axis=0)
    share = np.arange(points).reshape(-1, *[1] * (kinks.ndim - 1)) / points
    between = kinks[:-1, None] + share * np.diff(kinks, axis=0)[:, None]
    return np.concatenate([between.reshape(between.shape[0] * points, *kinks.shape[1:]), kinks[-1:]])
