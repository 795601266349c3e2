"""The toy model: forward pass, input law, validation at the door."""

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from phasediag import (
    ToyModel,
    expected_loss,
    expected_loss_and_gradient,
    inspect,
    loss_terms,
    optimal_bias,
)
from phasediag.forms import variance
from phasediag.model import cell_controls, cell_model, model_of

pytestmark = pytest.mark.quick


def test_reconstruct_is_the_definition_written_out():
    """x' = ReLU(WᵀW x + b), entry by entry."""
    rng = np.random.default_rng(0)
    model = ToyModel(n_hidden=2, importance=[1, 1, 0.5], density=0.3)
    weights, bias, x = rng.normal(size=(2, 3)), rng.normal(size=3), model.sample(5, seed=1)
    for sample, output in zip(x, model.reconstruct(x, weights, bias), strict=True):
        for i in range(3):
            z = sum(weights[k, i] * weights[k, j] * sample[j] for k in range(2) for j in range(3)) + bias[i]
            assert output[i] == pytest.approx(max(z, 0.0), abs=1e-15)


def test_reconstruct_shapes_follow_the_leading_axes():
    """A batch of models gives one reconstruction per model and sample."""
    model = ToyModel(n_hidden=1, importance=[1, 1], density=1, activation="linear")
    weights, bias = np.ones((4, 3, 1, 2)), np.zeros((3, 2))
    assert model.reconstruct(np.ones((5, 2)), weights, bias).shape == (4, 3, 5, 2)
    assert model.reconstruct(np.ones(2), weights, bias).shape == (4, 3, 2)
    assert np.all(model.reconstruct(-np.ones(2), weights, bias) == -2.0)


def test_sample_has_the_moments_of_the_law():
    """Mean p/2 and variance p/3 − p²/4 of each feature within five standard errors."""
    density = np.array([0.1, 0.5, 1.0])
    x = ToyModel(n_hidden=1, importance=np.ones(3), density=density).sample(200_000, seed=2)
    standard_error = x.std(axis=0) / np.sqrt(len(x))
    assert np.all(np.abs(x.mean(axis=0) - density / 2) < 5 * standard_error)
    assert np.allclose(x.var(axis=0), density / 3 - density**2 / 4, rtol=0.02)
    assert np.all((x >= 0) & (x < 1))


def test_same_seed_same_sample():
    """An int and a generator made from it draw the same inputs."""
    model = ToyModel(n_hidden=1, importance=[1, 1], density=0.5)
    assert np.array_equal(model.sample(9, seed=3), model.sample(9, seed=np.random.default_rng(3)))


def test_models_compare_and_hash_by_value():
    """Equal control parameters make equal models; the arrays cannot be changed."""
    one, two = (ToyModel(n_hidden=1, importance=[1, 2], density=d) for d in (0.5, [0.5, 0.5]))
    assert one == two and hash(one) == hash(two) and one != ToyModel(n_hidden=1, importance=[1, 2], density=0.4)
    with pytest.raises(ValueError):
        one.importance[0] = 3


@given(st.floats(allow_nan=True, allow_infinity=True).filter(lambda p: not 0 < p <= 1))
def test_density_outside_its_domain_is_named(density):
    """Any density outside (0, 1] is refused with its name, domain and value."""
    with pytest.raises(ValueError, match=r"density must be in \(0, 1\], got"):
        ToyModel(n_hidden=1, importance=[1, 1], density=density)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(importance=[1, 0]), "importance must be positive"),
        (dict(importance=[1, np.nan]), "importance must be positive and finite, got nan"),
        (dict(importance=[1]), "importance must have shape"),
        (dict(importance="ab"), "importance must be real numbers"),
        (dict(n_hidden=2), r"n_hidden must be less than n_features \(2\), got 2"),
        (dict(n_hidden=0), "n_hidden must be a whole number ≥ 1, got 0"),
        (dict(n_hidden=1.0), "n_hidden must be a whole number ≥ 1, got 1.0"),
        (dict(n_hidden=True), "n_hidden must be a whole number"),
        (dict(density=[0.1, 0.2, 0.3]), r"density must be a scalar or have shape \(2,\)"),
        (dict(activation="gelu"), 'activation must be one of "relu", "linear", "leaky", got \'gelu\''),
    ],
)
def test_bad_arguments_are_named(change, message):
    """Every bad argument gives one error that names it."""
    with pytest.raises(ValueError, match=message):
        ToyModel(**{**dict(n_hidden=1, importance=[1, 1], density=0.5), **change})


@pytest.mark.parametrize("n", [2, 5, 12])
def test_weights_too_large_for_any_moment_are_refused(n):
    """Where moments would overflow every door says so, instead of returning NaN."""
    model, weights = ToyModel(1, np.ones(n), 0.5), np.full((1, n), 1e155)
    for door in (expected_loss, expected_loss_and_gradient, loss_terms, inspect):
        with pytest.raises(ValueError, match=r"weights must be finite and smaller than 1e\+30 in size, got 1e\+155"):
            door(model, weights, np.zeros(n))
    with pytest.raises(ValueError, match="weights must be finite and smaller"):
        optimal_bias(model, weights)
    with pytest.raises(ValueError, match=r"bias must be finite and smaller than 1e\+70 in size, got -1e\+200"):
        expected_loss(model, np.ones((1, n)), np.full(n, -1e200))
    assert np.isfinite(expected_loss(model, 0.9e30 * np.eye(1, n), np.zeros(n)))


def test_complex_numbers_are_refused():
    """Numbers with an imaginary part are named, not cut."""
    with pytest.raises(ValueError, match="weights must be real numbers"):
        expected_loss(ToyModel(1, [1, 1], 0.5), np.ones((1, 2)) * 1j, np.zeros(2))


def test_bad_parameters_are_named():
    """Weights and biases of wrong shape or with NaN are refused."""
    model = ToyModel(n_hidden=1, importance=[1, 1], density=0.5)
    for weights, bias, message in [
        (np.ones((2, 2)), np.zeros(2), "weights must have shape"),
        (np.ones((1, 2)), np.zeros(3), "bias must have shape"),
        (np.full((1, 2), np.nan), np.zeros(2), "weights must be finite and .*, got nan"),
        (np.ones((3, 1, 2)), np.zeros((4, 2)), "leading axes"),
    ]:
        with pytest.raises(ValueError, match=message):
            model.reconstruct(np.ones(2), weights, bias)


def test_controls_of_cells_are_those_of_their_models():
    """The last feature has a cell's importance, the others 1, and all its density; axes broadcast."""
    importance, density = np.array([0.2, 0.7, 3.0]), np.array([0.1, 1.0])
    both = cell_controls(4, importance, density[:, None])
    assert both.shape == (2, 3, 8)
    for i, j in np.ndindex(2, 3):
        model = cell_model(4, 2, importance[j], density[i], "relu")
        assert model == ToyModel(2, [1.0, 1.0, 1.0, importance[j]], density[i])
        assert np.array_equal(both[i, j], model.control) and model_of(model.form, model.control) == model


def test_variance_is_that_of_samples():
    """p/3 − p²/4, to four standard errors; an expression gives the same."""
    model = ToyModel(1, np.ones(4), [0.05, 0.3, 0.8, 1.0])
    deviations = (model.sample(200_000, seed=0) - model.feature_density / 2) ** 2
    error = deviations.std(axis=0) / np.sqrt(len(deviations))
    assert np.all(np.abs(deviations.mean(axis=0) - model.feature_variance) < 4 * error)
    exact = variance(sympy.Rational(3, 10))
    assert float(exact) == pytest.approx(model.feature_variance[1], rel=1e-15)
