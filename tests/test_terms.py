"""The loss taken apart: parts sum to the whole and have their closed forms."""

import numpy as np
import pytest
from scipy.integrate import quad

from phasediag import ToyModel, expected_loss, loss_terms


def random_model(seed, n, m, activation, density=None):
    """A model and two sets of parameters."""
    rng = np.random.default_rng(seed)
    density = rng.uniform(0.05, 1, size=n) if density is None else density
    model = ToyModel(m, rng.uniform(0.2, 3, size=n), density, activation)
    return model, rng.normal(size=(2, m, n)), 0.3 * rng.normal(size=(2, n))


@pytest.mark.parametrize("activation", ["relu", "linear"])
@pytest.mark.parametrize(("n", "m"), [(2, 1), (3, 2), (6, 2)])
def test_parts_by_number_active_sum_to_the_loss(n, m, activation):
    """Σ_k by_active_k = L, every part nonnegative, for densities that differ."""
    model, weights, bias = random_model(n, n, m, activation)
    terms = loss_terms(model, weights, bias)
    np.testing.assert_allclose(terms.loss, expected_loss(model, weights, bias), rtol=1e-13)
    assert terms.by_active.shape == (2, n + 1) and np.all(terms.by_active >= 0)


@pytest.mark.parametrize("activation", ["relu", "linear"])
def test_one_density_gives_a_binomial_split(activation):
    """Part k is p^k q^(n−k) L_k with the same L_k at every density."""
    parts = []
    for p in (0.1, 0.6):
        model, weights, bias = random_model(7, 4, 2, activation, density=p)
        k = np.arange(5)
        parts.append(loss_terms(model, weights, bias).by_active / (p**k * (1 - p) ** (4 - k)))
    np.testing.assert_allclose(*parts, rtol=1e-13)


@pytest.mark.quick
def test_no_density_left_for_inactive_features():
    """At density 1 the whole loss comes from inputs with all features active."""
    model, weights, bias = random_model(8, 3, 2, "relu", density=1.0)
    assert not loss_terms(model, weights, bias).by_active[:, :-1].any()


def test_linear_parts_by_feature_sum_to_the_loss():
    """benefit + interference + bias = loss, and with the optimal bias the last vanishes (THEORY §2)."""
    model, weights, bias = random_model(9, 4, 2, "linear")
    terms = loss_terms(model, weights, bias)
    total = (terms.benefit + terms.interference + terms.bias_part).sum(axis=-1)
    np.testing.assert_allclose(total, expected_loss(model, weights, bias), rtol=1e-13)
    gram = np.swapaxes(weights, -1, -2) @ weights
    best = (np.eye(4) - gram) @ (model.density / 2)
    terms = loss_terms(model, weights, best)
    assert np.abs(terms.bias_part).max() < 1e-30
    variance = model.density / 3 - model.density**2 / 4
    for k in range(2):
        expected = [model.importance[i] * sum(gram[k, i, j] ** 2 * variance[j] for j in range(4) if j != i) for i in range(4)]
        np.testing.assert_allclose(terms.interference[k], expected, rtol=1e-13)
        own = model.importance * (1 - np.diagonal(gram[k])) ** 2 * variance
        np.testing.assert_allclose(terms.benefit[k], own, rtol=1e-13)


def test_linear_minimum_keeps_the_most_important_features():
    """No weights do better than σ² × (sum of the n − m smallest importances), reached by the top m features."""
    model = ToyModel(2, [1, 3, 0.5, 2], 0.3, "linear")
    variance = 0.3 / 3 - 0.3**2 / 4
    weights = np.zeros((2, 4))
    weights[0, 1] = weights[1, 3] = 1
    best = (np.eye(4) - weights.T @ weights) @ np.full(4, 0.15)
    assert expected_loss(model, weights, best) == pytest.approx(variance * 1.5, rel=1e-14)
    rng = np.random.default_rng(0)
    others = rng.normal(size=(200, 2, 4))
    bias = (np.eye(4) - np.swapaxes(others, -1, -2) @ others) @ np.full(4, 0.15)
    assert np.all(expected_loss(model, others, bias) > variance * 1.5)


def test_relu_parts_by_feature_are_the_parts_with_at_most_one_active():
    """benefit + interference = by_active[1], bias = by_active[0], each with its integral; negative interference is free."""
    model, weights, bias = random_model(11, 3, 2, "relu")
    terms = loss_terms(model, weights, bias)
    np.testing.assert_allclose((terms.benefit + terms.interference).sum(axis=-1), terms.by_active[:, 1], rtol=1e-14)
    np.testing.assert_allclose(terms.bias_part.sum(axis=-1), terms.by_active[:, 0], rtol=1e-14)
    p, gram = model.density, weights[0].T @ weights[0]
    alone = [p[j] * np.prod(np.delete(1 - p, j)) for j in range(3)]
    for i in range(3):

        def output(u, j, i=i):
            return max(gram[i, j] * u + bias[0, i], 0.0)

        def integral(integrand, j, i=i):
            kink = -bias[0, i] / gram[i, j]
            return quad(integrand, 0, 1, points=[kink] if 0 < kink < 1 else None, epsabs=1e-14)[0]

        own = integral(lambda u, i=i: (u - output(u, i)) ** 2, i)
        assert terms.benefit[0, i] == pytest.approx(model.importance[i] * alone[i] * own, rel=1e-11)
        cross = sum(alone[j] * integral(lambda u, j=j: output(u, j) ** 2, j) for j in range(3) if j != i)
        assert terms.interference[0, i] == pytest.approx(model.importance[i] * cross, rel=1e-11)
    pair = loss_terms(ToyModel(1, [1, 1], 0.2), [[1, -1]], [0, 0])
    assert not pair.interference.any() and not pair.bias_part.any() and not pair.benefit.any()


def test_parts_by_feature_of_many_features():
    """Beyond 12 features only the split by number of active features is left out; an orthogonal block has its own parts."""
    model, weights, bias = random_model(12, 4, 2, "relu")
    few = loss_terms(model, weights, bias)
    p = 0.3
    larger = ToyModel(4, [*model.importance, *[1.0] * 12], [*model.density, *[p] * 12])
    wide, long = np.zeros((2, 4, 16)), np.full((2, 16), 0.1)
    wide[:, :2, :4], wide[:, 2, 4], long[:, :4] = weights, 1.0, bias
    many = loss_terms(larger, wide, long)
    assert few.by_active is not None and many.by_active is None
    assert many.loss == pytest.approx(expected_loss(larger, wide, long), rel=1e-14)
    rest = (1 - p) ** 12
    for name in ("benefit", "bias_part"):
        np.testing.assert_allclose(getattr(many, name)[:, :4], rest * getattr(few, name), rtol=1e-13)
    # an added feature alone leaves each of the first outputs at its bias
    alone = np.prod(1 - model.density) * 12 * p * (1 - p) ** 11 * model.importance * np.maximum(bias, 0) ** 2
    np.testing.assert_allclose(many.interference[:, :4], rest * few.interference + alone, rtol=1e-13)
    empty = np.prod(1 - model.density) * rest
    np.testing.assert_allclose(many.bias_part[:, 4:], empty * 0.1**2, rtol=1e-13)


def test_kinks_at_the_ends_of_the_interval():
    """Weights and biases of 0, and outputs that switch on just where a feature begins or ends, have their limits as parts."""
    for value, own, other in ((0.0, 1 / 3, 0.0), (1.0, 0.0, 1 / 3)):
        terms = loss_terms(ToyModel(1, [1, 1], 0.5), [[value, value]], [0.0, 0.0])
        np.testing.assert_allclose(terms.benefit, [0.25 * own] * 2, rtol=1e-15)
        np.testing.assert_allclose(terms.interference, [0.25 * other] * 2, rtol=1e-15)
    terms = loss_terms(ToyModel(1, [1, 1], 0.5), [[1.0, -1.0]], [-1.0, 1.0])
    np.testing.assert_allclose(terms.benefit, [0.25 / 3, 0.25], rtol=1e-15)
    np.testing.assert_allclose(terms.interference, [0.0, 0.25 / 3], rtol=1e-15)
    tiny = loss_terms(ToyModel(1, [1, 1], 0.5), [[1e-200, 1.0]], [1e-3, -1e-3])
    np.testing.assert_allclose(tiny.interference, [0.25e-6, 0.0], rtol=1e-14, atol=0)
