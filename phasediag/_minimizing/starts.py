"""Where descents to minima begin: flat parameters."""

from functools import lru_cache

import numpy as np

from .._loss.evaluation import evaluate_rows
from ..candidates import MOST_FEATURES, configurations
from ..forms import Form
from ..model import model_of
from .codes import code, spread, unions
from .flat import flatten, parts

LENGTHS, BIASES = np.linspace(0.7, 1.7, 11), np.linspace(-1.0, 0.1, 12)
"""Of the columns of a code, among which the best are its own: 1 and 0 are among them."""
MOST_PERTURBED = 5
"""Up to so many features all frozen configurations are starts; beyond, their unions at other lengths are."""
MOST_UNIONS = 16
"""Starts that are unions of codes."""
SPREADS = 0, 20
"""Steps by which random directions are moved apart."""


@lru_cache(maxsize=4096)
def scaled_code(n_points, n_dimensions, density):
    """The best common length and bias of the columns of a code, and the loss of each of its features, of importance 1."""
    if n_points == 1:
        return 1.0, 0.0, 0.0
    weights = LENGTHS[:, None, None, None] * code(n_points, n_dimensions)
    weights = np.broadcast_to(weights, (LENGTHS.size, BIASES.size, n_dimensions, n_points))
    bias = np.broadcast_to(BIASES[:, None], (*weights.shape[:2], n_points))
    form, control = Form(n_dimensions, n_points), np.repeat([1.0, density], n_points)
    losses = evaluate_rows(weights, bias, form, control, "auto", 0)[0].mean(axis=-1)
    i, j = np.unravel_index(np.argmin(losses), losses.shape)
    return float(LENGTHS[i]), float(BIASES[j]), float(losses[i, j])


def union_starts(model, count):
    """The most promising unions of codes on orthogonal subspaces, flat, at most ``count``: each at its best lengths and biases.

    The most important features get the least crowded subspaces, the least important are left out.
    """
    m, n, density = model.n_hidden, model.n_features, float(model.marginal_density.mean())
    worth = model.importance * model.feature_variance
    order, found = np.argsort(-worth, kind="stable"), []
    for union in unions(n, m):
        weights, bias, row, at = np.zeros((m, n)), model.feature_mean, 0, 0
        loss = 0.0
        for k, d in union:
            members = order[at : at + k]
            length, common, each = scaled_code(k, d, density)
            weights[row : row + d, members], bias[members] = length * code(k, d), common
            loss, row, at = loss + each * model.importance[members].sum(), row + d, at + k
        found.append((loss + worth[order[at:]].sum(), flatten(weights, bias)))
    return [start for _, start in sorted(found, key=lambda one: one[0])[:count]]


def spread_starts(models, draws):
    """Random directions, half of them moved apart, of random numbers of features, flat, shape (n_models, n_starts, size).

    ``draws``: what `directions_drawn` returns, of each of the models, which have one form.
    """
    counts, steps, rank, directions, scales = map(np.array, zip(*draws, strict=True))
    n_starts, m, n = directions.shape[1:]
    weights, bias = np.zeros(directions.shape), np.repeat([model.feature_mean for model in models], n_starts, axis=0)
    bias = bias.reshape(-1, n_starts, n)
    densities = [float(model.marginal_density.mean()) for model in models]
    for count, n_steps in set(zip(counts.ravel().tolist(), steps.ravel().tolist(), strict=True)):
        rows = np.nonzero((counts == count) & (steps == n_steps))
        length, common, _ = np.array([scaled_code(count, m, density) for density in densities]).T
        columns = spread(directions[rows][:, :, :count], n_steps) * (length[rows[0]] * scales[rows])[:, None, None]
        which, of_rows, own = rank[rows][:, :count], weights[rows], bias[rows]
        np.put_along_axis(of_rows, which[:, None], columns, axis=2)
        np.put_along_axis(own, which, np.repeat(common[rows[0], None], count, axis=1), axis=1)
        weights[rows], bias[rows] = of_rows, own
    return flatten(weights, bias)


def directions_drawn(model, n_starts, generator):
    """Numbers of features, steps, their order, directions (n_starts, n_hidden, n_features) and scales, of random directions."""
    m, n = model.n_hidden, model.n_features
    counts, steps = generator.integers(m + 1, n + 1, size=n_starts), generator.choice(SPREADS, size=n_starts)
    worth = np.maximum(model.importance * model.feature_variance, np.finfo(float).tiny)  # 0 of what is always 1
    rank = np.argsort(-np.log(worth) - generator.gumbel(size=(n_starts, n)), axis=1)
    directions = generator.normal(size=(n_starts, m, n))
    return counts, steps, rank, directions, generator.uniform(0.85, 1.15, size=n_starts)


def starting_points(model, n_starts, generator):
    """Return flat starts, shape (n, size), and which of them are random, shape (n,).

    The frozen configurations and perturbations of them; random weights, and half as many random directions at their best
    lengths; the most promising unions of codes.
    """
    return starting_points_of([model], n_starts, [generator])[0]


def starting_points_of(models, n_starts, generators):
    """As `starting_points`, of models of one form, each with a generator: a list."""
    m, n, drawn = models[0].n_hidden, models[0].n_features, []
    spreads = np.repeat([1.0, 0.3], [m * n, n])
    for model, generator in zip(models, generators, strict=True):
        starts = []
        for start in configuration_starts(model, generator) if n <= MOST_PERTURBED or model.is_linear else ():
            starts.append(start)
            for size in (0.03, 0.3):
                starts.append(starts[-1] + size * generator.normal(size=m * n + n) * spreads)
        weights, scales, shares = np.empty((n_starts, m, n)), np.empty((n_starts, 1, 1)), np.empty((n_starts, n))
        for k in range(n_starts):
            weights[k] = generator.normal(size=(m, n))
            scales[k], shares[k] = generator.uniform(0.3, 1.3), generator.uniform(size=n)
        directions = None if model.is_linear else directions_drawn(model, -(-n_starts // 2), generator)
        drawn.append((starts, weights, scales, shares, directions))
    _, weights, scales, shares, directions = zip(*drawn, strict=True)
    mean = np.repeat([model.feature_mean for model in models], n_starts, axis=0)
    random = _formed(*map(np.concatenate, (weights, scales, shares)), mean).reshape(len(models), n_starts, -1)
    if not models[0].is_linear:
        random = np.concatenate([random, spread_starts(models, directions)], axis=1)
    found = []
    for model, (starts, *_), own in zip(models, drawn, random, strict=True):
        first = [*([] if model.is_linear else union_starts(model, MOST_UNIONS)), *starts]
        found.append((np.array([*first, *own]), np.repeat([False, True], [len(first), len(own)])))
    return found


def random_starts(n_hidden, feature_mean, generator):
    """Return random flat starts at models with these E x_i, shape (n_starts, n_features), a row for each."""
    n_starts, n_features = feature_mean.shape
    weights = generator.normal(size=(n_starts, n_hidden, n_features))
    scales = generator.uniform(0.3, 1.3, size=(n_starts, 1, 1))
    return _formed(weights, scales, generator.uniform(size=feature_mean.shape), feature_mean)


def _formed(weights, scales, shares, feature_mean):
    """Flat starts of random weights (n_starts, n_hidden, n_features) times scales, with a share of the biases that fit them."""
    weights = weights * scales / np.sqrt(weights.shape[1])
    mean = feature_mean[:, :, None]
    residual = (mean - (np.swapaxes(weights, 1, 2) @ weights) @ mean)[:, :, 0]
    return flatten(weights, residual * shares)


def configuration_starts(model, generator=None):
    """The frozen configurations, flat; with features permuted by importance, and by chance, unless all but the last are alike."""
    for weights in _configuration_weights(model, generator):
        yield flatten(weights, np.where(np.any(weights != 0, axis=0), 0.0, model.feature_mean))


def frozen_starts(form, controls):
    """The frozen configurations of many models of a form, controls (n_models, n_controls), group by group of equal weights.

    Yields which models are in the group, (n_group,), their starts (n_group, n_starts, size) and the scaled losses of these.
    """
    if form.n_features > MOST_FEATURES or not len(controls):
        return
    importance, density = form.importance(controls), form.density(controls)
    alike = np.all((importance[:, :-1] == importance[:, :1]) & (density[:, :-1] == density[:, :1]), axis=1)
    _, group = np.unique(np.column_stack([alike, np.argsort(-importance, axis=1)]), axis=0, return_inverse=True)
    for rows in (np.flatnonzero(group.ravel() == k) for k in range(group.max() + 1)):
        own = controls[rows]
        weights = np.array(list(_configuration_weights(model_of(form, own[0]), None)))
        bias = np.where(np.any(weights != 0, axis=1), 0.0, form.mean(own)[:, None])
        weights = np.broadcast_to(weights, (len(rows), *weights.shape))
        losses = evaluate_rows(weights, bias, form, own[:, None], "enumeration", 0)[0]
        total = np.sum(losses * form.importance(own)[:, None], axis=-1) + form.penalty(own[:, None], weights)
        yield rows, flatten(weights, bias), total / form.loss_scale(own)[:, None]


def scaled_gradient(x, form, controls):
    """The gradient of the scaled loss at flat parameters (n_points, size), controls (n_points, n_controls): as x."""
    _, by_weights, by_bias, _, _ = evaluate_rows(*parts(x, form.n_hidden), form, controls, "enumeration", 1)
    return flatten(by_weights, by_bias) / form.loss_scale(controls)[:, None]


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
