"""The expected loss at its doors: agreement with other routes, symmetries, bad input."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phasediag import (
    CorrelatedSets,
    ToyModel,
    expected_loss,
    expected_loss_and_gradient,
    expected_loss_hessian,
    expected_loss_with_error,
    monte_carlo_loss,
    optimal_bias,
)

SIZES = st.sampled_from([(2, 1), (3, 1), (3, 2), (4, 2), (5, 2)])


def random_model(seed, n, m, activation="relu"):
    """A model with random importances and densities, and random parameters for it."""
    rng = np.random.default_rng(seed)
    model = ToyModel(m, rng.uniform(0.2, 3, size=n), rng.uniform(0.02, 1, size=n), activation)
    return model, rng.normal(size=(m, n)) / np.sqrt(m), 0.3 * rng.normal(size=n), rng


@pytest.mark.parametrize("activation", ["relu", "linear"])
@pytest.mark.parametrize(("n", "m"), [(2, 1), (3, 2), (5, 2), (8, 3)])
def test_loss_agrees_with_sampling(n, m, activation):
    """Monte Carlo lies within five of its standard errors."""
    model, weights, bias, _ = random_model(n, n, m, activation)
    mean, error = monte_carlo_loss(model, weights, bias, 100_000, seed=1)
    assert abs(mean - expected_loss(model, weights, bias)) < 5 * error
    assert error < 0.02 * mean


def test_monte_carlo_is_mean_and_standard_error_of_the_samples():
    """Chunks do not show: the estimate equals that of all samples at once."""
    model, weights, bias, _ = random_model(1, 3, 2)
    n_samples = 100_000
    mean, error = monte_carlo_loss(model, np.stack([weights, -2 * weights]), bias, n_samples, seed=5)
    generator = np.random.default_rng(5)
    x = np.concatenate([model.sample(65536, seed=generator), model.sample(n_samples - 65536, seed=generator)])
    for k, w in enumerate((weights, -2 * weights)):
        loss = (x - model.reconstruct(x, w, bias)) ** 2 @ model.importance
        assert mean[k] == pytest.approx(loss.mean(), rel=1e-12)
        assert error[k] == pytest.approx(loss.std(ddof=1) / np.sqrt(n_samples), rel=1e-12)


@pytest.mark.quick("_loss")
@pytest.mark.parametrize(
    ("weights", "importance", "density", "expected"),
    [
        ([[1, 0]], [1, 0.3], 0.4, 0.3 * 0.4 / 3),
        ([[1, -1]], [1, 0.3], 0.4, 1.3 * 0.4**2 / 6),
        ([[1, -1]], [1, 5.0], 1e-6, 6 * 1e-12 / 6),
    ],
)
def test_frozen_configurations(weights, importance, density, expected):
    """Closed forms of THEORY §3: antipodal pair (1 + I) p²/6; a feature left off without bias costs I p/3."""
    model = ToyModel(1, importance, density)
    assert expected_loss(model, weights, [0, 0]) == pytest.approx(expected, rel=1e-15)


def test_linear_minimum_is_the_variance_of_what_is_left_out():
    """W = [1, 0] with the optimal bias loses I σ²."""
    model = ToyModel(1, [1, 0.3], 0.4, "linear")
    assert expected_loss(model, [[1, 0]], [0, 0.2]) == pytest.approx(0.3 * (0.4 / 3 - 0.4**2 / 4), rel=1e-15)


@pytest.mark.parametrize("activation", ["relu", "linear"])
def test_derivatives_are_consistent(activation):
    """Central differences of loss and gradient give gradient and Hessian (six features, beyond the exact oracle)."""
    model, weights, bias, _ = random_model(3, 6, 3, activation)
    point, h = np.concatenate([weights.ravel(), bias]), 1e-6

    def at(x):
        return x[:18].reshape(3, 6), x[18:]

    def gradient(x):
        loss, in_weights, in_bias = expected_loss_and_gradient(model, *at(x))
        return loss, np.concatenate([in_weights.ravel(), in_bias])

    steps = h * np.eye(point.size)
    pairs = [(gradient(point + s), gradient(point - s)) for s in steps]
    found = gradient(point)[1]
    np.testing.assert_allclose([(u[0] - d[0]) / (2 * h) for u, d in pairs], found, rtol=0, atol=3e-9)
    hessian = expected_loss_hessian(model, *at(point))
    np.testing.assert_allclose([(u[1] - d[1]) / (2 * h) for u, d in pairs], hessian, rtol=0, atol=1e-8)
    np.testing.assert_allclose(hessian, hessian.T, rtol=0, atol=1e-14)


@settings(max_examples=40, deadline=None)
@given(SIZES, st.integers(0, 2**32 - 1))
def test_rotations_of_the_hidden_space_change_nothing(size, seed):
    """L(RW, b) = L(W, b) for orthogonal R, and the gradient turns with W."""
    n, m = size
    model, weights, bias, rng = random_model(seed, n, m)
    rotation = np.linalg.qr(rng.normal(size=(m, m)))[0]
    loss, gradient, in_bias = expected_loss_and_gradient(model, weights, bias)
    turned = expected_loss_and_gradient(model, rotation @ weights, bias)
    assert turned[0] == pytest.approx(loss, rel=1e-13)
    np.testing.assert_allclose(turned[1], rotation @ gradient, rtol=0, atol=1e-13)
    np.testing.assert_allclose(turned[2], in_bias, rtol=0, atol=1e-13)


@settings(max_examples=40, deadline=None)
@given(SIZES, st.integers(0, 2**32 - 1), st.floats(1e-3, 1e3))
def test_relabelling_and_importance_scale(size, seed, factor):
    """Features may be permuted with their importance and density; the loss is proportional to the importances."""
    n, m = size
    model, weights, bias, rng = random_model(seed, n, m)
    order = rng.permutation(n)
    other = ToyModel(m, factor * model.importance[order], model.density[order])
    loss, in_weights, in_bias = expected_loss_and_gradient(model, weights, bias)
    found = expected_loss_and_gradient(other, weights[:, order], bias[order])
    assert found[0] == pytest.approx(factor * loss, rel=1e-13)
    np.testing.assert_allclose(found[1], factor * in_weights[:, order], rtol=0, atol=1e-13 * factor)
    np.testing.assert_allclose(found[2], factor * in_bias[order], rtol=0, atol=1e-13 * factor)


@settings(max_examples=40, deadline=None)
@given(
    st.floats(-3, 3), st.floats(-3, 3), st.floats(-1, 1), st.floats(-1, 1), st.floats(0.01, 100), st.floats(1e-6, 1),
    st.sampled_from(["enumeration", "contour"]),
)  # fmt: skip
def test_swapping_the_features_of_two_to_one(first, second, one, other, importance, density, method):
    """For 2→1, L at importance 1/I with the features swapped is L/I, and the best biases are swapped."""
    model, mirror = ToyModel(1, [1, importance], density), ToyModel(1, [1, 1 / importance], density)
    loss = expected_loss(model, [[first, second]], [one, other], method=method)
    swapped = expected_loss(mirror, [[second, first]], [other, one], method=method)
    assert swapped == pytest.approx(loss / importance, rel=1e-13)
    best = [expected_loss(m, w, optimal_bias(m, w)) for m, w in ((model, [[first, second]]), (mirror, [[second, first]]))]
    assert best[1] == pytest.approx(best[0] / importance, rel=1e-12)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(11, 30), st.floats(1e-3, 1e3))
def test_symmetries_of_many_features(seed, n, factor):
    """By the contour integral: rotation, relabelling and scaled importances together change nothing but the unit."""
    rng = np.random.default_rng(seed)
    m = int(rng.integers(3, 8))
    model, weights, bias, rng = random_model(seed, n, m)
    order, rotation = rng.permutation(n), np.linalg.qr(rng.normal(size=(m, m)))[0]
    other = ToyModel(m, factor * model.importance[order], model.density[order])
    loss, error = expected_loss_with_error(model, weights, bias)
    found, other_error = expected_loss_with_error(other, rotation @ weights[:, order], bias[order])
    assert abs(found / factor - loss) <= error + other_error / factor


@settings(max_examples=25, deadline=None)
@given(SIZES, st.integers(0, 2**32 - 1))
def test_an_unused_feature_only_adds_its_own_loss(size, seed):
    """A feature with zero weights changes nothing else, and its presence as a column is exact."""
    n, m = size
    model, weights, bias, _ = random_model(seed, n, m)
    wider = ToyModel(m, [*model.importance, 2.0], [*model.density, 0.3])
    loss = expected_loss(wider, np.pad(weights, ((0, 0), (0, 1))), [*bias, 0.15])
    assert loss == pytest.approx(expected_loss(model, weights, bias) + 2 * (0.1 - 0.3**2 / 4), rel=1e-13)


@pytest.mark.quick("_loss")
def test_batches_equal_single_models_whatever_the_threads():
    """Leading axes broadcast, and every entry has the same bits as by itself."""
    model, _, bias, rng = random_model(4, 3, 2)
    many = rng.normal(size=(500, 7, 2, 3))
    losses, in_weights, in_bias = expected_loss_and_gradient(model, many, bias)
    assert losses.shape == (500, 7) and in_weights.shape == many.shape and in_bias.shape == (500, 7, 3)
    for at in [(0, 0), (250, 3), (499, 6)]:
        loss, one_weights, one_bias = expected_loss_and_gradient(model, many[at], bias)
        assert isinstance(loss, float) and loss == losses[at]
        assert np.array_equal(one_weights, in_weights[at]) and np.array_equal(one_bias, in_bias[at])
    assert expected_loss(model, np.empty((0, 2, 3)), bias).shape == (0,)


def test_working_arrays_that_a_thread_keeps_change_no_bit():
    """After calls for other models, of the same structure or another, losses and derivatives are those of a new thread."""
    rng, law = np.random.default_rng(8), CorrelatedSets([[0, 1], [2]])
    kinds = {}, {"values": "signed"}, {"values": "binary", "activity": law}, {"activation": "leaky", "slope": 0.2}
    models = [ToyModel(2, [1.0, 0.7, 0.4], p, **kind) for p in (0.2, 0.9) for kind in kinds for _ in range(2)]
    asked = [(model, rng.normal(size=(2, 3)), 0.3 * rng.normal(size=3)) for model in models]
    for door in (expected_loss_and_gradient, expected_loss_hessian):
        with ThreadPoolExecutor(1) as threads:
            (*_, kept) = [[threads.submit(door, *one).result() for one in asked] for _ in range(2)]
        for one, mine in zip(asked, kept, strict=True):
            with ThreadPoolExecutor(1) as threads:
                assert all(np.array_equal(a, b) for a, b in zip(mine, threads.submit(door, *one).result(), strict=True))


def test_zero_model_has_the_derivative_for_a_rising_bias():
    """At W = 0, b = 0 the one-sided derivative in b is −p I (z = b⁺ switches on with all features)."""
    model = ToyModel(1, [1, 2], 0.3)
    loss, in_weights, in_bias = expected_loss_and_gradient(model, np.zeros((1, 2)), np.zeros(2))
    assert loss == pytest.approx(0.3, rel=1e-15) and not in_weights.any()
    np.testing.assert_allclose(in_bias, [-0.3, -0.6], rtol=1e-15)


@pytest.mark.parametrize("method", ["enumeration", "contour"])
@pytest.mark.parametrize("n", [2, 3, 4, 6])
def test_weights_whose_squares_vanish_count_as_none(n, method):
    """Down to the smallest doubles the loss, its gradient and its Hessian are finite and those of zero weights."""
    rng = np.random.default_rng(n)
    model, bias = ToyModel(1, np.ones(n), 0.3), np.full(n, 0.1)
    none = expected_loss_and_gradient(model, np.zeros((1, n)), bias)
    for size in 10.0 ** np.arange(-320, -99, 5):
        weights = size * rng.normal(size=(1, n))
        found = expected_loss_and_gradient(model, weights, bias, method=method)
        for a, b in zip(found, none, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-90)
        assert np.isfinite(expected_loss_hessian(model, weights, bias)).all()


def test_twelve_features_are_within_reach():
    """Twelve features, no two weights alike: within five standard errors of sampling."""
    rng = np.random.default_rng(0)
    model = ToyModel(1, np.ones(12), 0.2)
    weights, bias = rng.normal(size=(1, 12)) * 0.5, np.zeros(12)
    mean, error = monte_carlo_loss(model, weights, bias, 100_000, seed=3)
    assert abs(expected_loss(model, weights, bias) - mean) < 5 * error


@pytest.mark.parametrize(("n", "m"), [(3, 2), (6, 2), (10, 4)])
def test_contour_agrees_with_enumeration(n, m):
    """Two engines that share no formula: losses to 1e-11 of their scale, gradients to 1e-9."""
    model, _, bias, rng = random_model(n, n, m)
    weights = rng.normal(size=(4, m, n)) / np.sqrt(m)
    loss, in_weights, in_bias = (x for x in expected_loss_and_gradient(model, weights, bias, method="enumeration"))
    found = expected_loss_and_gradient(model, weights, bias, method="contour")
    np.testing.assert_allclose(found[0], loss, rtol=1e-11)
    np.testing.assert_allclose(found[1], in_weights, rtol=0, atol=1e-9 * np.abs(in_weights).max())
    np.testing.assert_allclose(found[2], in_bias, rtol=0, atol=1e-9 * np.abs(in_bias).max())
    np.testing.assert_allclose(expected_loss(model, weights, bias, method="contour"), loss, rtol=1e-11)


def test_eighty_features_agree_with_sampling():
    """ "auto" answers for eighty features in twenty dimensions, within five standard errors of sampling."""
    model, weights, bias, _ = random_model(0, 80, 20)
    mean, error = monte_carlo_loss(model, weights, bias, 20_000, seed=0)
    assert abs(expected_loss(model, weights, bias) - mean) < 5 * error
    with pytest.raises(ValueError, match="enumeration treats up to 14 features"):
        expected_loss_hessian(ToyModel(1, np.ones(15), 0.5), np.ones((1, 15)), np.zeros(15))


@pytest.mark.quick
def test_bad_input_is_named():
    """Unknown methods, too many features and bad sample counts are refused in a sentence."""
    model, weights, bias, _ = random_model(0, 3, 2)
    with pytest.raises(ValueError, match="method must be one of"):
        expected_loss(model, weights, bias, method="guess")
    with pytest.raises(ValueError, match=r"weights must have shape \(…, 2, 3\)"):
        expected_loss_hessian(model, weights.T, bias)
    with pytest.raises(ValueError, match=r"bias must be finite and .*, got inf"):
        expected_loss_and_gradient(model, weights, [0, np.inf, 0])
    with pytest.raises(ValueError, match="n_samples must be a whole number from 2 to 1000000000, got 1"):
        monte_carlo_loss(model, weights, bias, 1)
    wide = ToyModel(1, np.ones(15), 0.5)
    with pytest.raises(ValueError, match="enumeration treats up to 14 features, got 15"):
        expected_loss(wide, np.ones((1, 15)), np.zeros(15), method="enumeration")
    with pytest.raises(ValueError, match=r"tolerance must be one number \(in \[1e-13, 1\)\), got \[0.1, 0.1\]"):
        expected_loss(model, weights, bias, tolerance=[0.1, 0.1])
    with pytest.raises(ValueError, match="seed must be None, a whole number ≥ 0 or a numpy Generator, got -1"):
        monte_carlo_loss(model, weights, bias, 10, seed=-1)


@pytest.mark.parametrize("size", [0.0, 1e-300, 1e-200, 4.6e-128, 1e-60, -1e-128])
def test_biases_next_to_zero_are_as_good_as_zero(size):
    """Windows whose cubed length is below the least number do not make derivatives infinite: they are those at bias 0."""
    model = ToyModel(2, [1.0, 1.0, 1.0, 1.0, 0.99], 0.93)
    weights = np.array([[0.0, 0.0, 7e-10, 0.0, -1.0], [-0.25, -0.25, 0.28, -0.91, -7e-10]])
    bias = np.array([0.34, 0.34, 0.61, -0.016, size])
    hessian = expected_loss_hessian(model, weights, bias)
    at_zero = expected_loss_hessian(model, weights, np.array([*bias[:4], 0.0]))
    assert np.all(np.isfinite(hessian)) and np.allclose(hessian, at_zero, rtol=0, atol=1e-12)
