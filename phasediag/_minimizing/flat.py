"""Flat parameters, as the solvers hold them: weights row by row, then biases."""

import numpy as np


def flatten(weights, bias):
    """Pack weights (…, n_hidden, n_features) and biases (…, n_features): shape (…, (n_hidden + 1) n_features)."""
    return np.concatenate([weights.reshape(*weights.shape[:-2], weights.shape[-2] * weights.shape[-1]), bias], axis=-1)


def parts(x, n_hidden):
    """Views of the weights (…, n_hidden, n_features) and the biases (…, n_features) of flat parameters."""
    n_features = x.shape[-1] // (n_hidden + 1)
    cut = n_hidden * n_features
    return x[..., :cut].reshape(*x.shape[:-1], n_hidden, n_features), x[..., cut:]


def losses_at(x, feature_loss, form, controls):
    """The losses, not scaled and with any penalty, of flat parameters x (n_points, size) and the features' own losses."""
    return np.sum(form.importance(controls) * feature_loss, axis=1) + form.penalty(controls, parts(x, form.n_hidden)[0])
