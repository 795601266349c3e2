"""The biases that minimize the expected loss for given weights: one-dimensional problems, solved globally."""

import numpy as np

from ._arguments import real_array
from .loss import evaluate

# Kinks of an output's loss as a function of its bias are minus the sums over sets of its weights; of more weights than
# this only the largest make the grid on which minima are bracketed.
MOST_KINKED = 8
POINTS_BETWEEN_KINKS = 4
BISECTIONS = 64
TIE = 1e-14


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
        When weights lie outside their domain, or enumeration cannot treat so many features.

    Notes
    -----
    Given the weights, output i's loss depends on b_i alone. For the linear activation the minimum is the mean residual
    b_i = p_i/2 − Σ_j (WᵀW)_ij p_j/2. For ReLU the loss is continuously differentiable and polynomial between its kinks;
    every sign change of the slope on a grid through the kinks is bisected to rounding, and the lowest minimum wins.
    Among equally low ones (1e-14 relative) the bias of smallest size is returned. The half-line b ≤ −Σ_j (G_ij)⁺, where
    the output is off and the loss constant, is never optimal.
    """
    weights = real_array("weights", weights, shape=(model.n_hidden, model.n_features))
    gram = np.swapaxes(weights, -1, -2) @ weights
    p = model.feature_density
    linear = p / 2 - gram @ (p / 2)
    if model.activation == "linear":
        return linear
    grid = _grid(gram, linear)

    def loss_and_slope(bias):  # bias (points, …, n_features)
        shape = (*bias.shape[:-1], *weights.shape[-2:])
        losses, _, slope, _, _ = evaluate(model, np.broadcast_to(weights, shape), bias, "auto", 1)
        return losses, slope / model.importance

    losses, slope = loss_and_slope(grid)
    # slope 0 counts as falling: an output that is off gains by being switched on where its own feature is large
    rising = (slope[:-1] <= 0) & (slope[1:] > 0)
    candidates = [(grid[0], losses[0])]
    for rank in range(1, int(rising.sum(axis=0).max()) + 1):
        nth = rising & (np.cumsum(rising, axis=0) == rank)
        found = nth.any(axis=0)
        at = np.argmax(nth, axis=0)[None]
        low, high = np.take_along_axis(grid, at, 0)[0], np.take_along_axis(grid, at + 1, 0)[0]
        for _ in range(BISECTIONS):
            middle = low + (high - low) / 2
            falls = loss_and_slope(middle)[1] <= 0
            low, high = np.where(falls, middle, low), np.where(falls, high, middle)
        candidates.append((low, np.where(found, loss_and_slope(low)[0], np.inf)))
    bias, loss = (np.stack(x) for x in zip(*candidates, strict=True))
    tied = loss <= loss.min(axis=0) * (1 + TIE)
    best = np.argmin(np.where(tied, np.abs(bias), np.inf), axis=0)[None]
    return np.take_along_axis(bias, best, 0)[0]


def _grid(gram, linear):
    """Biases, rising along the first axis, from the end of the half-line where the output is off to past every minimum."""
    n = gram.shape[-1]
    largest = -np.sort(-np.abs(gram), axis=-1)[..., : min(n, MOST_KINKED)]
    order = np.argsort(-np.abs(gram), axis=-1)[..., : largest.shape[-1]]
    row = np.take_along_axis(gram, order, -1)
    sets = (np.arange(2 ** row.shape[-1])[:, None] >> np.arange(row.shape[-1])) & 1
    kinks = np.moveaxis(-(row @ sets.T), -1, 0)
    off, on = -np.maximum(gram, 0).sum(axis=-1), -np.minimum(gram, 0).sum(axis=-1)
    last = np.maximum(on, linear) + np.abs(linear) + 1.0  # right of ``on`` the loss is quadratic about ``linear``
    kinks = np.sort(np.concatenate([off[None], np.clip(kinks, off, on), on[None], last[None]]), axis=0)
    share = np.arange(POINTS_BETWEEN_KINKS).reshape(-1, *[1] * (kinks.ndim - 1)) / POINTS_BETWEEN_KINKS
    between = kinks[:-1, None] + share * np.diff(kinks, axis=0)[:, None]
    return np.concatenate([between.reshape(-1, *kinks.shape[1:]), kinks[-1:]])
