"""Tests that a search goes on where a necessary condition of a global minimum fails."""

import numpy as np
import pytest

from phasediag import ToyModel, expected_loss, minimize, phase_diagram
from phasediag._minimizing import search
from phasediag._minimizing.flat import flatten, parts
from phasediag._minimizing.one_hot import OneHotLoss, least_one_hot


def break_search(monkeypatch, start):
    """Let the search of the largest models see one start, flat parameters, no moves and no minimum of a smaller model."""
    descend, starting_points = search.descend, search.starting_points

    def one_start(model, *rest):
        return (start[None], np.array([True])) if model.form.size == start.size else starting_points(model, *rest)

    monkeypatch.setattr(search, "starting_points", one_start)
    monkeypatch.setattr(search, "descend", lambda model, x, *rest: [] if len(rest) == 1 else descend(model, x, *rest))
    monkeypatch.setattr(search, "descend_apart", lambda *_: [])


def dedicated(model, features):
    """Flat parameters at which these features have dimensions of their own."""
    weights, bias = np.zeros((model.n_hidden, model.n_features)), model.feature_mean.copy()
    weights[np.arange(len(features)), features], bias[features] = 1.0, 0.0
    return flatten(weights, bias)


@pytest.mark.quick("_minimizing")
@pytest.mark.parametrize(("n", "density"), [(4, 0.05), (5, 0.3)])
def test_a_broken_search_ends_no_higher_than_smaller_models_allow(monkeypatch, n, density):
    """From its highest minimum alone the loss exceeds none of what a dimension or a feature less can do."""
    model = ToyModel(2, 0.7 ** np.arange(n), density)
    highest = minimize(model)[-1]
    bounds = [
        minimize(ToyModel(1, model.importance, density))[0].loss,
        minimize(ToyModel(2, model.importance[:-1], density))[0].loss + model.importance[-1] * model.feature_variance[-1],
    ]
    break_search(monkeypatch, flatten(highest.weights, highest.bias))
    assert minimize(model)[0].loss <= min(bounds) * (1 + 1e-12)
    monkeypatch.setattr(search, "lower_points", lambda model, minima, others: np.empty((0, model.form.size)))
    assert minimize(model)[0].loss > min(bounds) * (1 + 1e-3)  # without the conditions nothing mends it


@pytest.mark.parametrize("effort", ["quick", "normal"])
def test_the_more_important_a_feature_the_lower_its_own_loss(monkeypatch, effort):
    """From a start that keeps the least important features, the search ends with the most important ones."""
    model = ToyModel(2, 0.8 ** np.arange(5), 0.9)
    break_search(monkeypatch, dedicated(model, [4, 3]))
    lowest = minimize(model, effort=effort)[0]
    assert np.all(np.diff(lowest.feature_loss) >= -1e-12) and np.all(lowest.feature_loss <= model.feature_variance * (1 + 1e-12))


def test_features_change_places_only_with_others_of_their_density(monkeypatch):
    """The order of losses says nothing of features of unequal densities: a start in another order is kept."""
    model = ToyModel(1, [1.0, 0.9], [0.1, 0.3])
    break_search(monkeypatch, dedicated(model, [1]))
    assert minimize(model, effort="quick")[0].feature_norm[1] > 0.9


@pytest.mark.parametrize("alike", [True, False])
def test_the_one_hot_loss_is_that_of_rare_features(alike):
    """It is the scaled expected_loss as density falls, its gradients are its differences and its second derivatives theirs."""
    generator, rare, step = np.random.default_rng(3), 1e-8, 1e-6
    importance, density = np.ones((2, 4)) if alike else generator.uniform(0.2, 1, (2, 4))
    objective, x = OneHotLoss(2, importance, density), generator.normal(size=(6, 12))
    loss, gradient = objective.loss_and_gradient(x)
    weights, root = parts(x, 2)
    model = ToyModel(2, importance, rare * density)
    assert np.allclose(expected_loss(model, weights, -(root**2)) / (importance @ model.feature_density / 3), loss, rtol=1e-6)
    for k, e in enumerate(step * np.eye(12)):
        high, low = objective.loss_and_gradient(x + e), objective.loss_and_gradient(x - e)
        assert np.allclose((high[0] - low[0]) / (2 * step), gradient[:, k], atol=1e-8)
        assert np.allclose((high[1] - low[1]) / (2 * step), objective.hessians(x)[:, k], atol=1e-4)


@pytest.mark.parametrize(("n", "m", "decay"), [(3, 1, 1.0), (5, 2, 0.9)])
def test_a_broken_search_ends_no_higher_than_the_limit_of_rare_features(monkeypatch, n, m, decay):
    """From its highest minimum alone the loss exceeds not what the least one-hot loss leads to."""
    model = ToyModel(m, decay ** np.arange(n), 0.01)
    highest, (weights, bias) = minimize(model)[-1], parts(least_one_hot(model), m)
    bound = expected_loss(model, weights, bias)
    monkeypatch.setattr(search, "_bounds", lambda model: [least_one_hot(model)])
    break_search(monkeypatch, flatten(highest.weights, highest.bias))
    assert minimize(model)[0].loss <= bound * (1 + 1e-12)
    monkeypatch.setattr(search, "lower_points", lambda model, minima, others: np.empty((0, model.form.size)))
    assert minimize(model)[0].loss > bound * (1 + 1e-3)  # without the condition nothing mends it


def test_the_cells_of_diagrams_meet_the_necessary_conditions():
    """No dimension harms, no feature is worth more than its variance, and the loss is concave and rising in an importance."""
    axes = {"importance": np.geomspace(0.1, 10, 9), "density": np.geomspace(0.01, 1, 8)}
    losses = {shape: phase_diagram(*shape, **axes).loss for shape in ((2, 1), (3, 1), (3, 2), (4, 2))}
    variance, importance = (axes["density"] / 3 - axes["density"] ** 2 / 4)[:, None], axes["importance"]
    most = 1 + 1e-12
    assert np.all(losses[3, 1] <= (losses[2, 1] + variance) * most) and np.all(losses[4, 2] <= (losses[3, 2] + variance) * most)
    assert np.all(losses[3, 2] <= losses[3, 1] * most)
    for loss in losses.values():
        share = (importance[1:-1] - importance[:-2]) / (importance[2:] - importance[:-2])
        assert np.all(loss[:, :-1] <= loss[:, 1:] * most)
        assert np.all((1 - share) * loss[:, :-2] + share * loss[:, 2:] <= loss[:, 1:-1] * most)
