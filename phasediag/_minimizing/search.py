"""The search for the minima of one model: descents from many starts."""

import numpy as np

from ..candidates import MOST_FEATURES
from . import newton
from .starts import configuration_starts, starting_points
from .stationary_points import CURVATURE_TOLERANCE, SAME_LOSS, SAME_POINT, invariants, settle

ALIKE = 1e-3
"""Ends of descents are one up to this difference of their invariants, and its square of their losses."""


def settled_minima(model, n_starts, generator, watch=lambda: None):
    """Where the descents from all starts of a model end: a list of Settled, not all of them minima or distinct.

    ``watch`` is called before every descent.
    """
    starts = starting_points(model, n_starts, generator)
    store = newton.store(model.n_hidden, model.n_features)
    points = np.array([_descend_with_scipy(model, start, store, watch) for start in starts])
    if model.n_features > MOST_FEATURES:  # without frozen starts most descents end alike, and the curvature of each is dear
        points = _unlike(model, points, store)
    return settle_model(model, points)


def _unlike(model, points, store):
    """Those of the ends of descents (n_points, size) that are not, to the precision of these, the same as one before."""
    control = model.n_hidden, model.importance, model.feature_density, model.is_relu
    losses = [newton.evaluate(x, *control, 0, store) for x in points]
    keys, kept = invariants(points, model.n_hidden, equal_classes(model)), []
    for k in np.argsort(losses, kind="stable"):
        near = (j for j in reversed(kept) if losses[k] - losses[j] <= ALIKE**2 * losses[k])
        if not any(np.max(np.abs(keys[k] - keys[j])) <= ALIKE for j in near):
            kept.append(k)
    return points[sorted(kept)]


def settle_model(model, points, **limits):
    """As `settle`, of points (n_points, size) that share one model."""
    control = (np.broadcast_to(part, (len(points), model.n_features)) for part in (model.importance, model.feature_density))
    return settle(points, model.n_hidden, *control, relu=model.is_relu, **limits)


def tied_minima(model, point):
    """The frozen configurations in the valley of a minimum, Settled, in the order of their table; or the point where none is.

    Which point of a valley of equal loss a descent reaches says nothing; the configurations in it have names and exact zeros.
    """
    starts = list(configuration_starts(model)) if point.is_flat else []
    settled = settle_model(model, np.array(starts)) if starts else []
    valley = [
        one
        for start, one in zip(starts, settled, strict=True)
        if one.is_minimum and one.is_flat and np.max(np.abs(one.x - start)) < SAME_POINT
        if abs(one.scaled_loss - point.scaled_loss) <= SAME_LOSS * point.scaled_loss
    ]
    return valley or [point]


def valley_dimension(model, point):
    """The number of directions, rotations apart, along which the second derivatives at a minimum vanish."""
    control = model.importance, model.feature_density, model.activation == "relu"
    hessian = newton.pinned_hessian(point.x, model.n_hidden, *control, newton.store(model.n_hidden, model.n_features))
    return int(np.sum(np.linalg.eigvalsh(hessian) < CURVATURE_TOLERANCE))


def equal_classes(model):
    """The features that can be exchanged: those of equal importance and density, a tuple of tuples of int."""
    keys = list(zip(model.importance, model.feature_density, strict=True))
    return tuple(tuple(i for i, key in enumerate(keys) if key == one) for one in dict.fromkeys(keys))


def _descend_with_scipy(model, start, store, watch):
    """The end of a BFGS descent from flat parameters, shape (size,)."""
    from scipy.optimize import minimize as scipy_minimize

    watch()

    def scaled(x):
        loss = newton.evaluate(x, model.n_hidden, model.importance, model.feature_density, model.is_relu, 1, store)
        return loss, newton.gradient_of(store).copy()

    return scipy_minimize(scaled, start, jac=True, method="BFGS", options={"gtol": 1e-6, "maxiter": 500}).x
