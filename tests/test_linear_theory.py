"""The linear model's minimum: a closed form that nothing undercuts."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phasediag import ToyModel, expected_loss, linear_minimum, loss_terms, minimize, optimal_bias, superposition

positive = st.floats(0.01, 100.0)


@st.composite
def linear_models(draw):
    """Linear models of up to six features that differ in importance and density."""
    n = draw(st.integers(2, 6))
    importance = draw(st.lists(positive, min_size=n, max_size=n))
    density = draw(st.lists(st.floats(0.01, 1.0), min_size=n, max_size=n))
    return ToyModel(draw(st.integers(1, n - 1)), importance, density, "linear")


@pytest.mark.quick
def test_loss_is_the_sum_of_the_smallest_importances():
    """σ² × Σ of the n − m smallest importances, in exact rationals; the others are represented, the top one first."""
    importance, density = [Fraction(k) for k in ("0.5", "2", "0.25", "1", "4")], Fraction(1, 8)
    variance = density / 3 - density**2 / 4
    minimum = linear_minimum(ToyModel(2, [float(i) for i in importance], float(density), "linear"))
    assert minimum.loss == pytest.approx(float(variance * sum(sorted(importance)[:3])), rel=1e-15)
    assert minimum.features.tolist() == [4, 1] and not superposition(minimum.weights)
    assert minimum.bias.tolist() == [0.0625, 0, 0.0625, 0.0625, 0]


@settings(deadline=None)
@given(linear_models())
def test_loss_is_that_of_its_weights(model):
    """The loss, the expected loss of weights and bias, and the benefit terms agree; no feature interferes."""
    minimum = linear_minimum(model)
    assert minimum.loss == pytest.approx(expected_loss(model, minimum.weights, minimum.bias), rel=1e-13)
    np.testing.assert_allclose(minimum.bias, optimal_bias(model, minimum.weights), atol=1e-15)
    terms = loss_terms(model, minimum.weights, minimum.bias)
    assert terms.benefit.sum() == pytest.approx(minimum.loss, rel=1e-13)
    assert not terms.interference.any() and np.abs(terms.bias_part).max() < 1e-28


@settings(deadline=None)
@given(linear_models(), st.integers(0, 2**32), st.floats(0.0, 1.5))
def test_no_weights_undercut_it(model, seed, size):
    """Random weights, and perturbations of the minimum, with their best biases, have no lower loss."""
    minimum = linear_minimum(model)
    weights = size * np.random.default_rng(seed).normal(size=(2, *minimum.weights.shape))
    weights[1] += minimum.weights
    losses = expected_loss(model, weights, optimal_bias(model, weights))
    assert losses.min() >= minimum.loss * (1 - 1e-12)


@pytest.mark.parametrize(("n", "m"), [(2, 1), (4, 1), (4, 3), (6, 2)])
def test_descent_ends_there(n, m):
    """The lowest of the minima that descent finds, for features that differ in importance and density, has this loss."""
    rng = np.random.default_rng(n)
    model = ToyModel(m, rng.uniform(0.1, 2, size=n), rng.uniform(0.05, 1, size=n), "linear")
    assert minimize(model, n_starts=4)[0].loss == pytest.approx(linear_minimum(model).loss, rel=1e-12)


@settings(deadline=None)
@given(linear_models(), st.randoms(use_true_random=False))
def test_order_of_features_does_not_matter(model, random):
    """Permuted features have a permuted minimum of the same loss."""
    order = list(range(model.n_features))
    random.shuffle(order)
    permuted = ToyModel(model.n_hidden, model.importance[order], model.density[order], "linear")
    assert linear_minimum(permuted).loss == pytest.approx(linear_minimum(model).loss, rel=1e-13)


def test_other_models_are_refused():
    """The closed form is the linear model's; the error says so."""
    with pytest.raises(ValueError, match="activation must be one of \"linear\", got 'relu'"):
        linear_minimum(ToyModel(1, [1, 1], 0.5))
    with pytest.raises(ValueError, match="model must be a ToyModel, got 3"):
        linear_minimum(3)
