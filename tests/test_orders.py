"""The best order of features of unequal importance in the places of one code, against all orders."""

from itertools import permutations

import numpy as np
import pytest

from phasediag import Penalty, ToyModel, minimize
from phasediag._minimizing.flat import flatten, parts
from phasediag._minimizing.orders import Expansion, reordered, with_equal_importances
from phasediag._minimizing.search import settle_model


def code_of(model):
    """The lowest minimum of equal importances, flat parameters (size,)."""
    lowest = minimize(with_equal_importances(model), seed=0)[0]
    return flatten(lowest.weights, lowest.bias)


@pytest.mark.parametrize(("n", "m", "density"), [(5, 2, 0.02), (4, 2, 0.3)])
def test_the_first_is_the_lowest_of_all_orders(n, m, density):
    """Every order is settled to the bottom; none ends lower than what the first, predicted, settles to."""
    model = ToyModel(m, 0.9 ** np.arange(n), density)
    code = code_of(model)
    weights, bias = parts(code, m)
    orders = [list(order) for order in permutations(range(n))]
    starts = np.array([flatten(weights[:, order], bias[order]) for order in orders])
    lowest = min(one.scaled_loss for one in settle_model(model, starts, radius=0.1) if one.is_minimum)
    (found,) = settle_model(model, reordered(model, code, 8, np.random.default_rng(0))[:1], radius=0.1)
    assert found.is_minimum and abs(found.scaled_loss - lowest) <= 1e-12 * lowest


@pytest.mark.parametrize("penalty", [None, Penalty(0.01, 0.02)])
def test_a_newton_step_predicts_the_least_loss_to_second_order(penalty):
    """Ten times less difference of the importances, a thousand times less error: the prediction lacks third order alone."""
    errors = []
    for spread in (1e-2, 1e-3):
        model = ToyModel(2, 1 + spread * np.array([1.0, -0.3, 0.4, -1.1]), 0.1, penalty=penalty)
        code = code_of(model)
        predicted, _ = Expansion(model, code).relaxed(model.importance[None])
        (exact,) = settle_model(model, code[None], radius=0.1)
        errors.append(abs(predicted[0] + model.penalty_of(parts(code, 2)[0]) / model.loss_scale - exact.scaled_loss))
    assert errors[0] < 1e-6 * predicted[0] and errors[1] < 2e-3 * errors[0] + 1e-15


def test_what_differs_in_more_than_importance_keeps_its_place():
    """Features of densities of their own are exchanged with none of another density."""
    model = ToyModel(2, [1.0, 0.9, 0.8, 0.7], [0.1, 0.1, 0.3, 0.3])
    assert np.allclose(with_equal_importances(model).importance, [0.95, 0.95, 0.75, 0.75])
    code = code_of(model)
    weights, _ = parts(code, 2)
    norms = np.linalg.norm(parts(reordered(model, code, 8, np.random.default_rng(0)), 2)[0], axis=1)
    assert np.abs(np.sort(norms[:, :2]) - np.sort(np.linalg.norm(weights[:, :2], axis=0))).max() < 0.1
