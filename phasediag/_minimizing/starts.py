"""Where descents to minima begin: flat parameters."""

import numpy as np

from ..candidates import MOST_FEATURES, configurations
from .flat import flatten


def starting_points(model, n_starts, generator):
    """Return flat starts, shape (n, size): frozen configurations, perturbations of them, and random weights."""
    m, n, starts = model.n_hidden, model.n_features, []
    for start in configuration_starts(model, generator):
        starts.append(start)
        for size in (0.03, 0.3):
            starts.append(starts[-1] + size * generator.normal(size=m * n + n) * np.repeat([1.0, 0.3], [m * n, n]))
    starts += [random_starts(m, model.feature_density[None], generator)[0] for _ in range(n_starts)]
    return np.array(starts)


def random_starts(n_hidden, density, generator):
    """Return random flat starts at models with these densities, shape (n_starts, n_features), a row for each."""
    n_starts, n_features = density.shape
    weights = generator.normal(size=(n_starts, n_hidden, n_features))
    weights = weights * generator.uniform(0.3, 1.3, size=(n_starts, 1, 1)) / np.sqrt(n_hidden)
    mean = density[:, :, None] / 2
    residual = (mean - (np.swapaxes(weights, 1, 2) @ weights) @ mean)[:, :, 0]
    bias = residual * generator.uniform(size=density.shape)
    return flatten(weights, bias)


def configuration_starts(model, generator=None):
    """The frozen configurations, flat; with features permuted by importance, and by chance, unless all but the last are alike."""
    for weights in _configuration_weights(model, generator):
        yield flatten(weights, np.where(np.any(weights != 0, axis=0), 0.0, model.feature_density / 2))


def _configuration_weights(model, generator):
    """The weights of `configuration_starts`, each (n_hidden, n_features)."""
    if model.n_features > MOST_FEATURES:
        return
    alike = len(set(zip(model.importance[:-1], model.feature_density[:-1], strict=True))) == 1
    by_importance = np.argsort(-model.importance, kind="stable")
    for configuration in configurations(model.n_features, model.n_hidden):
        yield configuration.weights
        if alike:
            continue
        permuted = np.empty_like(configuration.weights)
        permuted[:, by_importance] = configuration.weights[:, ::-1]
        yield permuted
        if generator is not None:
            yield configuration.weights[:, generator.permutation(model.n_features)]
