"""Tests of exact losses by sampling: they pass right values and catch wrong ones."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from phasediag import (
    ExactlyActive,
    NeuronModel,
    Penalty,
    Pieces,
    SamplingTest,
    ToyModel,
    configurations,
    expected_loss,
    phase_diagram,
)
from phasediag.sampled_losses import LEAST_P_VALUE, closed_form_test, lowest_test, overall_p_value, sampled_losses

AXES = {"importance": np.geomspace(0.1, 10, 7), "density": np.geomspace(0.001, 1, 7)}


def sampled_loss(model, weights, bias, n_samples, generator):
    """Mean and standard error of one model's loss."""
    given = (np.asarray(x)[None] for x in (model.control, weights, bias))
    mean, error = sampled_losses(model.form, *given, n_samples, generator)
    return mean[0], error[0]


@settings(deadline=None)
@given(n=st.integers(2, 5), density=st.floats(1e-4, 1), seed=st.integers(0, 2**32), linear=st.booleans())
def test_sampled_loss_is_unbiased(n, density, seed, linear):
    """Within six standard errors of the exact loss for any weights, however rare the features."""
    generator = np.random.default_rng(seed)
    model = ToyModel(n - 1, generator.uniform(0.1, 3, n), density, "linear" if linear else "relu")
    weights, bias = generator.normal(size=(n - 1, n)), generator.normal(size=n) / 3
    mean, error = sampled_loss(model, weights, bias, 5000, generator)
    assert 0 < error < mean and abs(mean - expected_loss(model, weights, bias)) < 6 * error


def test_every_set_of_active_features_counts():
    """At density 1e-3 the standard error of an antipodal pair, whose loss comes from both features active, is that of 1/√n."""
    model = ToyModel(1, [1, 1], 1e-3)
    configuration = configurations(2, 1)[2]
    mean, error = sampled_loss(model, configuration.weights, configuration.bias(1e-3), 30_000, np.random.default_rng(0))
    both = np.random.default_rng(1).random((10**6, 2))
    loss = np.minimum(both[:, 0], both[:, 1]) ** 2 * 2
    assert error == pytest.approx(1e-6 * loss.std() / 100, rel=0.03)
    assert abs(mean - 2 * 1e-6 / 6) < 4 * error


@pytest.mark.quick
def test_right_losses_pass():
    """z-scores of closed forms and of exact minima are normal: variance 1, and all p-values together large."""
    diagram = phase_diagram(3, 2, theory="global", **AXES)
    generator = np.random.default_rng(5)
    tests = closed_form_test(diagram, 5000, generator), lowest_test(diagram, "minima", 5000, generator)
    assert [test.z_scores.size for test in tests] == [49 * len(configurations(3, 2)), 49]
    z = np.concatenate([test.z_scores for test in tests])
    assert stats.kstest(z, "norm").pvalue > 0.01 and overall_p_value(tests) > 0.01


def test_right_losses_pass_as_often_as_they_should():
    """From few samples of skew losses too, each p-value is uniform over many seeds: none adds up over the comparisons."""
    diagram = phase_diagram(3, 2, theory="frozen", importance=[0.3, 1.0, 3.0], density=np.geomspace(0.05, 1, 40))
    tests = [closed_form_test(diagram, 350, np.random.default_rng(seed)) for seed in range(12)]
    for name in ("scatter", "bias", "largest"):
        p_values = np.array([test.p_values[name] for test in tests])
        assert stats.kstest(p_values, "uniform").pvalue > 0.01 and p_values.min() > 1e-3


@pytest.mark.parametrize("part", [1.01, 0.99])
def test_wrong_losses_fail(part):
    """Exact losses off by one per cent are a contradiction."""
    diagram = phase_diagram(3, 2, theory="frozen", **AXES)
    test = closed_form_test(diagram, 20_000, np.random.default_rng(6))
    assert overall_p_value([test]) > 0.01
    assert overall_p_value([replace(test, exact=test.exact * part)]) < LEAST_P_VALUE


def test_one_wrong_loss_among_many_fails():
    """A single loss eight standard errors off is found among a thousand right ones, by the largest score."""
    z = np.random.default_rng(7).normal(size=1000)
    z[137] = 8.0
    ones = np.ones(1000)
    values = SamplingTest("one", ones, ones, ones, ones + 0.01 * z, 0.01 * ones).p_values
    assert values["largest"] < 1e-9 < 0.01 < values["bias"]


def test_p_values_are_those_of_normal_scores():
    """Over many sets of normal scores each p-value is uniform, and the overall one rarely small."""
    generator, ones = np.random.default_rng(8), np.ones(200)
    tests = [SamplingTest("normal", ones, ones, 0 * ones, generator.normal(size=200), ones) for _ in range(400)]
    for name in ("scatter", "bias", "largest"):
        assert stats.kstest([test.p_values[name] for test in tests], "uniform").pvalue > 0.01
    assert np.mean([overall_p_value([test]) < 0.05 for test in tests]) < 0.08


def test_large_diagrams_are_thinned():
    """At most 24 × 24 cells are sampled, the corners among them."""
    grid = {"importance": np.geomspace(0.1, 10, 90), "density": np.geomspace(0.01, 1, 2)}
    test = lowest_test(phase_diagram(2, 1, theory="frozen", **grid), "", 100, np.random.default_rng(9))
    assert test.z_scores.size == 48 and {0.1, 10.0} <= set(np.round(test.x, 12))


@pytest.mark.parametrize(
    "model",
    [
        ToyModel(2, [1, 0.7, 0.4], 0.3, activation="leaky", slope=0.2, values="signed", penalty=Penalty(weights=0.1)),
        ToyModel(2, [1, 0.7, 0.4], 0.6, values=Pieces(atoms=((1.0, 0.3),), intervals=((-2.0, 0.5, 0.7),))),
        ToyModel(2, [1, 0.7, 0.4], 0.3, activity=ExactlyActive(2)),
        NeuronModel(2, [1, 0.7, 0.4], 0.5, task="absolute"),
    ],
)
def test_every_model_is_sampled_as_it_is(model):
    """Forty models of each kind: z-scores are normal, and the same bits on any number of threads."""
    generator, form = np.random.default_rng(11), model.form
    rows = (form.size - 3) // 3
    weights, bias = generator.normal(size=(40, rows, 3)), generator.normal(size=(40, 3)) / 3
    controls = np.tile(model.control, (40, 1))
    one, several = (sampled_losses(form, controls, weights, bias, 2000, np.random.default_rng(3), k) for k in (1, 3))
    assert all(np.array_equal(a, b) for a, b in zip(one, several, strict=True))
    taken = [w if rows == form.n_hidden else (w[-form.n_hidden :].T, w[: form.n_hidden]) for w in weights]
    exact = [expected_loss(model, w, b) for w, b in zip(taken, bias, strict=True)]
    z = (one[0] - exact) / one[1]
    assert stats.kstest(z, "norm").pvalue > 1e-3 and np.abs(z).max() < 6
