"""The limit of rare features: the loss when one is active, in closed form, and where it is least."""

from functools import lru_cache

import numpy as np

from ..model import ToyModel
from .flat import flatten, parts
from .rough import descend_roughly
from .starts import MOST_UNIONS, directions_drawn, spread_starts, union_starts

RARE = 1e-6
"""Densities at which the starts are those of the limit."""
STEP = 1e-5
"""Of the differences of gradients that are its second derivatives."""


class OneHotLoss:
    """Loss of independent features uniform on [0, 1] per density as this falls, all biases ≤ 0, as an objective of descents.

    Flat points hold the weights and square roots of minus the biases. share (n_features, n_features): importance of an output
    times the density, relative, of the feature that is active.

    References
    ----------
    Chen et al. 2023, "Dynamical versus Bayesian phase transitions in a toy model of superposition", Lemma 3.1.
    """

    def __init__(self, n_hidden, importance, density):
        self.n_hidden, self.share = n_hidden, np.multiply.outer(importance, density)
        self.scale = np.trace(self.share) / 3
        self.free = np.ones((n_hidden + 1) * len(importance), bool)

    def loss_and_gradient(self, x):
        """Losses (B,) as shares of Σ_i I_i E x_i², and gradients (B, size), at points (B, size)."""
        weights, root = parts(x, self.n_hidden)
        gram, b, share = np.swapaxes(weights, 1, 2) @ weights, -(root**2)[:, :, None], self.share
        diagonal = np.eye(root.shape[1], dtype=bool)
        # an output beside the active feature: ∫ (g x + b)² from where it begins
        seen = ~diagonal & (gram > 0) & (gram > -b)
        g = np.where(seen, gram, 1.0)
        above = np.where(seen, g + b, 0.0)
        loss, by_bias = above**3 / (3 * g), above**2 / g
        by_gram = by_bias - loss / g
        # the active feature's own: ∫ x² up to there, then ∫ (x − g x − b)²
        own, bias = gram[:, diagonal], -(root**2)
        stored = (own > 0) & (own > -bias)
        a, t = np.where(stored, own, 1.0), np.where(stored, bias, 0.0)
        loss[:, diagonal] = np.where(stored, t**3 / a**2 + t**3 / a + (1 - a) ** 2 - 3 * (1 - a) * t + 3 * t**2, 1.0) / 3
        by_gram[:, diagonal] = np.where(stored, -2 * t**3 / a**3 - t**3 / a**2 - 2 * (1 - a) + 3 * t, 0.0) / 3
        by_bias[:, diagonal] = np.where(stored, t**2 / a**2 + t**2 / a - (1 - a) + 2 * t, 0.0)
        by_gram = share * by_gram
        by_weights = weights @ (by_gram + np.swapaxes(by_gram, 1, 2))
        by_root = -2 * root * np.sum(share * by_bias, axis=2)
        return np.sum(share * loss, axis=(1, 2)) / self.scale, flatten(by_weights, by_root) / self.scale

    def hessians(self, x):
        """Second derivatives (B, size, size) at points (B, size), by differences."""
        size = x.shape[1]
        sides = [self.loss_and_gradient((x[:, None] + step * np.eye(size)).reshape(-1, size))[1] for step in (STEP, -STEP)]
        hessian = (sides[0] - sides[1]).reshape(-1, size, size) / (2 * STEP)
        return (hessian + np.swapaxes(hessian, 1, 2)) / 2


def least_one_hot(model):
    """Flat parameters (size,) at which the one-hot loss of a model with independent uniform features is least, as found."""
    importance, density = (tuple((values / values.max()).tolist()) for values in (model.importance, model.feature_density))
    weights, bias = _least(model.n_hidden, importance, density)
    return flatten(weights, np.where(np.any(weights != 0, axis=0), bias, model.feature_mean))


@lru_cache(maxsize=256)
def _least(n_hidden, importance, density):
    """Weights (n_hidden, n_features), biases (n_features,) of least one-hot loss: from unions of codes and random directions."""
    model = ToyModel(n_hidden, importance, RARE * np.array(density))
    drawn = directions_drawn(model.form, model.n_features, np.random.default_rng(model.n_features))
    mean, variance, overall = model.feature_mean, model.feature_variance, float(model.marginal_density.mean())
    laws = (one[None] for one in (model.importance, mean, variance))
    (unions,) = union_starts(model.form, *laws, [overall], MOST_UNIONS)
    spread = spread_starts(mean[None], (model.importance * variance)[None], [overall], [drawn])[0]
    starts = np.concatenate([unions, spread])
    weights, bias = parts(starts, n_hidden)
    objective = OneHotLoss(n_hidden, np.array(importance), np.array(density))
    ends, losses, _ = descend_roughly(objective, flatten(weights, np.sqrt(np.maximum(-bias, 0.0))))
    weights, root = parts(ends[np.argmin(losses)], n_hidden)
    return weights, -(root**2)
