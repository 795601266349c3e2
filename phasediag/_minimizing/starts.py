"""Where descents to minima begin: flat parameters."""

from functools import cache, lru_cache

import numpy as np

from .._loss.evaluation import evaluate_rows
from ..candidates import MOST_FEATURES, configurations
from ..forms import Form
from .codes import code, spread, unions
from .flat import flatten, parts

LENGTHS, BIASES = np.linspace(0.7, 1.7, 11), np.linspace(-1.0, 0.1, 12)
"""Of the columns of a code, among which the best are its own: 1 and 0 are among them."""
MOST_PERTURBED = 5
"""Up to so many features all frozen configurations are starts; beyond, their unions at other lengths are."""
MOST_UNIONS = 16
"""Starts that are unions of codes."""
SPREADS = np.array([0, 20])
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


def union_starts(form, importance, mean, variance, density, count):
    """The most promising unions of codes on orthogonal subspaces, flat, at most ``count``: each at its best lengths and biases.

    Of models with importances, E x_i and variances (n_models, n_features) and mean densities (n_models,): shape (n_models,
    n_starts, size). The most important features get the least crowded subspaces, the least important are left out.
    """
    m, n, worth = form.n_hidden, form.n_features, importance * variance
    order, starts, losses = np.argsort(-worth, axis=1, kind="stable"), [], []
    worth, importance, mean = (np.take_along_axis(one, order, axis=1) for one in (worth, importance, mean))
    for union in unions(n, m):
        weights, bias, row, at = np.zeros((len(order), m, n)), mean.copy(), 0, 0
        loss = np.zeros(len(order))
        for k, d in union:
            members = slice(at, at + k)
            length, common, each = np.array([scaled_code(k, d, one) for one in density]).T
            weights[:, row : row + d, members], bias[:, members] = length[:, None, None] * code(k, d), common[:, None]
            loss, row, at = loss + each * importance[:, members].sum(axis=1), row + d, at + k
        losses.append(loss + worth[:, at:].sum(axis=1))
        starts.append(np.concatenate([weights, bias[:, None]], axis=1))
    best = np.argsort(losses, axis=0, kind="stable")[:count].T
    starts, found = np.array(starts)[best, np.arange(len(order))[:, None]], np.empty((*best.shape, m + 1, n))
    np.put_along_axis(found, order[:, None, None], starts, axis=3)
    return found.reshape(*best.shape, -1)


def spread_starts(mean, worth, density, draws):
    """Random directions, half of them moved apart, of random numbers of features, flat, shape (n_models, n_starts, size).

    ``mean`` and ``worth``, importance times variance, have shape (n_models, n_features), mean densities (n_models,); ``draws``:
    what `directions_drawn` returns, of each of the models.
    """
    counts, steps, chances, directions, scales = map(np.array, zip(*draws, strict=True))
    n_starts, m, _ = directions.shape[1:]
    worth = np.maximum(worth, np.finfo(float).tiny)  # 0 of what is always 1
    rank = np.argsort(-np.log(worth)[:, None] - chances, axis=2)
    weights, bias = np.zeros(directions.shape), np.repeat(mean[:, None], n_starts, axis=1)
    for count, n_steps in set(zip(counts.ravel().tolist(), steps.ravel().tolist(), strict=True)):
        rows = np.nonzero((counts == count) & (steps == n_steps))
        length, common, _ = np.array([scaled_code(count, m, one) for one in density]).T
        columns = spread(directions[rows][:, :, :count], n_steps) * (length[rows[0]] * scales[rows])[:, None, None]
        which, of_rows, own = rank[rows][:, :count], weights[rows], bias[rows]
        np.put_along_axis(of_rows, which[:, None], columns, axis=2)
        np.put_along_axis(own, which, np.repeat(common[rows[0], None], count, axis=1), axis=1)
        weights[rows], bias[rows] = of_rows, own
    return flatten(weights, bias)


def directions_drawn(form, n_starts, generator):
    """Numbers of features, steps, chances (n_starts, n_features), directions (n_starts, n_hidden, n_features) and scales."""
    m, n = form.n_hidden, form.n_features
    counts, steps = generator.integers(m + 1, n + 1, size=n_starts), SPREADS[generator.integers(SPREADS.size, size=n_starts)]
    chances, directions = generator.gumbel(size=(n_starts, n)), generator.normal(size=(n_starts, m, n))
    return counts, steps, chances, directions, generator.uniform(0.85, 1.15, size=n_starts)


def starting_points(model, n_starts, generator):
    """Return flat starts, shape (n, size), and which of them are random, shape (n,).

    The frozen configurations and perturbations of them; random weights, and half as many random directions at their best
    lengths; the most promising unions of codes.
    """
    return starting_points_of(model.form, model.control[None], n_starts, [generator])[0]


def starting_points_of(form, controls, n_starts, generators):
    """As `starting_points`, of the models of a form with ``controls`` (n_models, n_controls), each with a generator: a list."""
    m, n, drawn = form.n_hidden, form.n_features, []
    importance, density, mean, variance = (
        np.ascontiguousarray(of(controls)) for of in (form.importance, form.density, form.mean, form.variance)
    )
    alike = np.all((importance[:, :-1] == importance[:, :1]) & (density[:, :-1] == density[:, :1]), axis=1)
    for row, generator in enumerate(generators):
        frozen = np.empty((0, m, n)), np.empty((0, 2, form.size))
        if n <= MOST_PERTURBED or form.is_linear:
            frozen = _frozen_drawn(form, importance[row], alike[row], generator)
        weights, uniform = np.empty((n_starts, m, n)), np.empty((n_starts, 1 + n))
        for own, numbers in zip(weights, uniform, strict=True):
            generator.standard_normal(out=own)
            generator.random(out=numbers)
        directions = None if form.is_linear else directions_drawn(form, -(-n_starts // 2), generator)
        drawn.append((*frozen, weights, uniform, directions))
    *frozen, weights, uniform, directions = zip(*drawn, strict=True)
    perturbed = _perturbed(*frozen, mean)
    weights, uniform = np.concatenate(weights), np.concatenate(uniform)
    random = _formed(weights, 0.3 + uniform[:, :1, None], uniform[:, 1:], np.repeat(mean, n_starts, axis=0))
    random, first = random.reshape(len(controls), n_starts, -1), perturbed
    if not form.is_linear:
        worth, overall = importance * variance, form.marginal_density(controls).mean(axis=1).tolist()
        random = np.concatenate([random, spread_starts(mean, worth, overall, directions)], axis=1)
        promising = union_starts(form, importance, mean, variance, overall, MOST_UNIONS)
        first = [np.concatenate(both) for both in zip(promising, perturbed, strict=True)]
    return [
        (np.concatenate([own, more]), np.repeat([False, True], [len(own), len(more)]))
        for own, more in zip(first, random, strict=True)
    ]


def _frozen_drawn(form, importance, alike, generator):
    """The weights (n, n_hidden, n_features) of a model's frozen configurations and two perturbations of each, (n, 2, size)."""
    if alike:  # no chance but in the perturbations
        weights = frozen_weights(form.n_hidden, form.n_features)
        return weights, generator.normal(size=(len(weights), 2, form.size))
    pairs = [
        (weights, generator.normal(size=(2, form.size))) for weights in _configuration_weights(form, importance, alike, generator)
    ]
    return tuple(map(np.array, zip(*pairs, strict=True)))


def _perturbed(weights, draws, mean):
    """Frozen configurations, each before two perturbations of it, the second of the first: of each model, shape (n, size).

    Of each model what `_frozen_drawn` returns, and E x_i (n_features,).
    """
    ends, spreads = np.cumsum([len(own) for own in weights]), np.ones(draws[0].shape[-1])
    spreads[-mean.shape[1] :] = 0.3
    means = np.repeat(mean, [len(own) for own in weights], axis=0)
    weights, draws = np.concatenate(weights), np.concatenate(draws)
    start = flatten(weights, np.where(np.any(weights, axis=1), 0.0, means))
    nearby = start + 0.03 * draws[:, 0] * spreads
    both = np.stack([start, nearby, nearby + 0.3 * draws[:, 1] * spreads], axis=1)
    return [own.reshape(-1, both.shape[-1]) for own in np.split(both, ends[:-1])]


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


def configuration_starts(model):
    """The frozen configurations, flat; with features permuted by importance as well, unless all but the last are alike."""
    alike = len(set(zip(model.importance[:-1], model.feature_density[:-1], strict=True))) == 1
    for weights in _configuration_weights(model.form, model.importance, alike, None):
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
        weights = np.array(list(_configuration_weights(form, importance[rows[0]], alike[rows[0]], None)))
        bias = np.where(np.any(weights != 0, axis=1), 0.0, form.mean(own)[:, None])
        weights = np.broadcast_to(weights, (len(rows), *weights.shape))
        losses = evaluate_rows(weights, bias, form, own[:, None], "enumeration", 0)[0]
        total = np.sum(losses * form.importance(own)[:, None], axis=-1) + form.penalty(own[:, None], weights)
        yield rows, flatten(weights, bias), total / form.loss_scale(own)[:, None]


def scaled_gradient(x, form, controls):
    """Gradients of the scaled loss at flat parameters (n_points, size), controls (n_points, n_controls); 0 of held biases."""
    _, by_weights, by_bias, _, _ = evaluate_rows(*parts(x, form.n_hidden), form, controls, "enumeration", 1)
    return np.where(form.free, flatten(by_weights, by_bias), 0.0) / form.loss_scale(controls)[:, None]


@cache
def frozen_weights(n_hidden, n_features):
    """The weights of the frozen configurations, shape (n, n_hidden, n_features); none of too many features."""
    if n_features > MOST_FEATURES:
        return np.empty((0, n_hidden, n_features))
    return np.array([configuration.weights for configuration in configurations(n_features, n_hidden)])


def _configuration_weights(form, importance, alike, generator):
    """The weights (n_hidden, n_features) of frozen configurations; unless all features but the last are ``alike`` permuted, too.

    By importance, and with a generator by chance.
    """
    by_importance = np.argsort(-importance, kind="stable")
    for weights in frozen_weights(form.n_hidden, form.n_features):
        yield weights
        if alike:
            continue
        permuted = np.empty_like(weights)
        permuted[:, by_importance] = weights[:, ::-1]
        yield permuted
        if generator is not None:
            yield weights[:, generator.permutation(form.n_features)]
