"""Conditions that every global minimum meets: points above which it may not lie.

With a feature, or a dimension, less the least loss is no lower (these points come from outside). The least loss is concave in
the importances and features of one density may change places: so the more important a feature, the lower its own loss. And no
feature's own loss exceeds its variance, which it would have if it were left out.
"""

import numpy as np

from .._loss.evaluation import evaluate_rows
from .flat import flatten, parts
from .orders import exchangeable
from .stationary_points import SAME_LOSS


def lower_points(model, minima, others):
    """Flat points (n_points, size) that lie lower than the first of the minima, Settled: among others and its own rearrangements.

    None where it meets the conditions; all of the others where there is no minimum.
    """
    points = [*others, *(_rearranged(model, minima[0]) if minima else [])]
    if not points:
        return np.empty((0, model.form.size))
    points = np.where(model.form.free, np.array(points), 0.0)
    lowest = minima[0].scaled_loss if minima else np.inf
    return points[_losses(model, points) < lowest * (1 - SAME_LOSS)]


def _rearranged(model, point):
    """A minimum with each feature left out, and with features in the order of their own losses: a list of n + 1 flat points."""
    weights, bias = parts(point.x, model.n_hidden)
    order = np.arange(model.n_features)
    for members in map(np.array, exchangeable(model)):
        by_importance = members[np.argsort(-model.importance[members], kind="stable")]
        order[by_importance] = members[np.argsort(point.feature_loss[members], kind="stable")]
    found = [flatten(weights[:, order], bias[order])]
    for i in range(model.n_features):
        found.append(point.x.copy())
        less, its_bias = parts(found[-1], model.n_hidden)
        less[:, i], its_bias[i] = 0.0, model.feature_mean[i]
    return found


def _losses(model, points):
    """Scaled losses (n_points,) of flat points (n_points, size), by enumeration."""
    weights, bias = parts(points, model.n_hidden)
    losses = evaluate_rows(weights, bias, model.form, model.control, "enumeration", 0)[0]
    return (losses @ model.importance + model.penalty_of(weights)) / model.loss_scale
