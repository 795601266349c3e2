"""The search for the minima of one model: descents from many starts."""

import numpy as np

from . import newton
from .starts import starting_points
from .stationary_points import settle


def settled_minima(model, n_starts, generator):
    """Where the descents from all starts of a model end: a list of Settled, not all of them minima or distinct."""
    starts = starting_points(model, n_starts, generator)
    store = newton.store(model.n_hidden, model.n_features)
    points = np.array([_descend_with_scipy(model, start, store) for start in starts])
    return settle_model(model, points)


def settle_model(model, points, **limits):
    """As `settle`, of points (n_points, size) that share one model."""
    control = (np.broadcast_to(part, (len(points), model.n_features)) for part in (model.importance, model.feature_density))
    return settle(points, model.n_hidden, *control, relu=model.is_relu, **limits)


def equal_classes(model):
    """The features that can be exchanged: those of equal importance and density, a tuple of tuples of int."""
    keys = list(zip(model.importance, model.feature_density, strict=True))
    return tuple(tuple(i for i, key in enumerate(keys) if key == one) for one in dict.fromkeys(keys))


def _descend_with_scipy(model, start, store):
    """The end of a BFGS descent from flat parameters, shape (size,)."""
    from scipy.optimize import minimize as scipy_minimize

    def scaled(x):
        loss = newton.evaluate(x, model.n_hidden, model.importance, model.feature_density, model.is_relu, 1, store)
        return loss, newton.gradient_of(store).copy()

    return scipy_minimize(scaled, start, jac=True, method="BFGS", options={"gtol": 1e-6, "maxiter": 500}).x
