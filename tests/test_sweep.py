"""Trained models along a line of densities: reproducible, the best by exact loss, and what the theory demands of them."""

import numpy as np
import pytest

from phasediag import ToyModel, classify, expected_loss, linear_minimum, sweep_density, train

SHORT = {"n_models": 3, "n_steps": 300, "batch_size": 64, "seed": 5}


@pytest.fixture(scope="module")
def short():
    """A short sweep of five features in two dimensions."""
    return sweep_density(2, 0.8 ** np.arange(5), [1.0, 0.05, 0.3], **SHORT)


def test_best_model_of_each_density_is_kept(short):
    """Losses are those of the models that ``train`` makes with these options; the lowest one's parameters are kept."""
    for k, density in enumerate(short.density):
        model = ToyModel(2, short.importance, density)
        run = train(model, learning_rate=3e-3, optimizer="adam", schedule="cosine", initial_bias=np.full(5, density / 2), **SHORT)
        np.testing.assert_allclose(short.losses[k], run.loss, rtol=1e-12)
        best = np.argmin(run.loss)
        assert np.array_equal(short.weights[k], run.weights[best]) and np.array_equal(short.bias[k], run.bias[best])
        assert short.loss[k] == pytest.approx(expected_loss(model, short.weights[k], short.bias[k]), rel=1e-12)


def test_options_repeat_the_sweep(short):
    """The options that are kept give the same bits, with other numbers of threads and densities one by one."""
    again = sweep_density(2, short.importance, short.density, n_threads=1, **short.options)
    assert np.array_equal(again.weights, short.weights) and np.array_equal(again.losses, short.losses)
    for k, density in enumerate(short.density):
        one = sweep_density(2, short.importance, [density], n_threads=2, **short.options)
        assert np.array_equal(one.weights[0], short.weights[k]) and np.array_equal(one.bias[0], short.bias[k])
    drawn = sweep_density(1, [1, 1], [0.5], n_models=1, n_steps=5)
    again = sweep_density(1, [1, 1], [0.5], **drawn.options)
    assert np.array_equal(drawn.weights, again.weights)


def test_order_parameters_are_those_of_the_best_models(short):
    """Plain loops over their columns give the same numbers."""
    for k, weights in enumerate(short.weights):
        for i in range(5):
            norm = np.sqrt(np.sum(weights[:, i] ** 2))
            others = sum((weights[:, i] @ weights[:, j] / norm) ** 2 for j in range(5) if j != i)
            assert short.feature_norm[k, i] == pytest.approx(norm) and short.represented[k, i] == (norm > 0.1)
            assert short.interference[k, i] == pytest.approx(others)
            assert short.feature_dimensionality[k, i] == pytest.approx(norm**2 / (norm**2 + others))
        assert short.dimensions_per_feature[k] == pytest.approx(2 / np.sum(weights**2))


def test_linear_models_reach_their_minimum():
    """At each density the best of a few is the closed form's top features, its loss within 1e-4 and never below."""
    sweep = sweep_density(2, [1, 0.5, 2, 0.7], [1.0, 0.1], activation="linear", n_models=3, n_steps=6000, seed=0)
    for k, density in enumerate(sweep.density):
        minimum = linear_minimum(ToyModel(2, sweep.importance, density, "linear"))
        assert 0 <= sweep.loss[k] / minimum.loss - 1 < 1e-4
        np.testing.assert_allclose(sweep.weights[k].T @ sweep.weights[k], minimum.weights.T @ minimum.weights, atol=0.02)
        np.testing.assert_allclose(sweep.bias[k], minimum.bias, atol=0.02)


def test_sparse_features_form_a_pentagon():
    """Five equal features in two dimensions: dedicated when dense, in pairs in between, a pentagon with D = 2/5 when sparse."""
    sweep = sweep_density(2, np.ones(5), [0.4, 0.05], n_models=8, n_steps=6000, seed=0)
    pairs, pentagon = (classify(weights, tolerance=0.1) for weights in sweep.weights)
    assert sorted(c.name for c in pairs.clusters) == ["antipodal pair", "antipodal pair"]
    assert [c.name for c in pentagon.clusters] == ["pentagon"]
    np.testing.assert_allclose(sweep.feature_dimensionality[0, sweep.represented[0]], 0.5, atol=0.01)
    np.testing.assert_allclose(sweep.feature_dimensionality[1], 0.4, atol=0.01)


def test_no_output_is_dead_from_the_start():
    """A large dense model comes within 0.1 % of the linear minimum, and every output moves with its input."""
    sweep = sweep_density(5, np.ones(150), [1.0], n_models=1, n_steps=4000, batch_size=256, seed=0)
    model = ToyModel(5, sweep.importance, 1.0, "linear")
    assert sweep.loss[0] / linear_minimum(model).loss - 1 < 1e-3
    relu = ToyModel(5, sweep.importance, 1.0)
    assert relu.reconstruct(relu.sample(200, seed=0), sweep.weights[0], sweep.bias[0]).max(axis=0).min() > 0.3


@pytest.mark.quick
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"density": 0.5}, r"density must have shape \(n_density,\) with n_density ≥ 1, got \(\)"),
        ({"density": []}, r"density must have shape \(n_density,\) with n_density ≥ 1, got \(0,\)"),
        ({"density": [0.5, 0.0]}, r"density must be in \(0, 1\], got 0.0"),
        ({"importance": [1.0, -1.0]}, "importance must be positive and finite, got -1.0"),
        ({"n_hidden": 2}, r"n_hidden must be less than n_features \(2\), got 2"),
        ({"activation": "gelu"}, "activation must be one of"),
        ({"n_models": 0}, "n_models must be a whole number ≥ 1, got 0"),
        ({"learning_rate": 0.0}, "learning_rate must be positive and finite, got 0.0"),
        ({"seed": -1}, "seed must be"),
    ],
)
def test_bad_arguments_are_named(change, message):
    """Errors name argument, domain and value."""
    with pytest.raises(ValueError, match=message):
        sweep_density(**{"n_hidden": 1, "importance": [1.0, 1.0], "density": [0.5], "n_models": 1, "n_steps": 1, **change})
