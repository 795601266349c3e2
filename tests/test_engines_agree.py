"""Enumeration, contour, closed forms and Chen et al.'s one-hot formula give the same numbers where they overlap."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phasediag import (
    ToyModel,
    configurations,
    expected_loss,
    expected_loss_and_gradient,
    expected_loss_with_error,
    loss_terms,
    monte_carlo_loss,
)

DENSITIES = st.sampled_from([1.0, 0.5, 0.1, 1e-3, 1e-6])


def allowed_error(model, loss, tolerance):
    """The error that a tolerance allows: relative to the loss or to Σ I_i E x_i², whichever is larger."""
    return tolerance * np.maximum(model.importance @ model.feature_density / 3, loss)


def one_hot_loss(gram, bias, importance):
    """L_1 by Chen et al. 2023, Lemma 3.1: exactly one feature, uniform on [0, 1], is active; summed over which one."""
    total = 0.0
    for i, b in enumerate(bias):
        own, others = gram[i, i], np.delete(gram[i], i)
        full = (1 - own) ** 2 - 3 * (1 - own) * b + 3 * b * b
        if b <= 0:
            seen = others[(others > 0) & (others >= -b)]
            part = np.sum((seen + b) ** 3 / seen) + (b**3 / own**2 + b**3 / own + full if own > 0 and b >= -own else 1)
        else:
            part = full + sum(-(b**3) / a if -a > b else a * a + 3 * a * b + 3 * b * b for a in others)
        total += importance[i] * part
    return total / 3


@pytest.mark.parametrize(
    "configuration",
    [pytest.param(c, id=f"{n}-{m} {c.pattern}") for n, m in ((2, 1), (3, 2), (4, 2)) for c in configurations(n, m)],
)
def test_four_routes_to_one_number(configuration):
    """Closed form, enumeration and contour agree to 1e-12; sampling within five standard errors."""
    form, rng = configuration.relaxed_loss(), np.random.default_rng(0)
    values = {
        s.name: float(v) + (0.01 * rng.normal() if s.is_positive else 0.01 * rng.uniform(-1, 1))
        for s, v in form.reference.items()
    }
    assert form.holds(values)
    loss = form.compile()
    weights, bias = form.weights_and_bias(values)
    n, m = configuration.n_features, configuration.n_hidden
    for importance, density in ((0.5, 1.0), (1.0, 0.3), (4.0, 0.01)):
        model = ToyModel(m, [1.0] * (n - 1) + [importance], density)
        exact = expected_loss(model, weights, bias, method="enumeration")
        assert loss(importance, density, *values.values()) == pytest.approx(exact, abs=allowed_error(model, exact, 1e-12))
        found, error = expected_loss_with_error(model, weights, bias, method="contour")
        assert abs(found - exact) <= error + 1e-13 * exact and error <= allowed_error(model, exact, 1e-12)
    mean, deviation = monte_carlo_loss(model, weights, bias, 100_000, seed=0)
    assert abs(mean - exact) < 5 * deviation


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(3, 9), st.floats(-4, 0))
def test_one_active_part_of_both_engines_is_chens_lemma(seed, n, decade):
    """What an engine finds beyond the parts with no, two or more active features is p q^(n−1) L_1."""
    rng = np.random.default_rng(seed)
    m, density = int(rng.integers(1, n)), 0.9 * 10**decade
    weights, bias = rng.normal(size=(m, n)), rng.normal(size=n) * rng.choice([0, 0.3])
    model = ToyModel(m, rng.uniform(0.5, 2, size=n), density)
    one_hot = density * (1 - density) ** (n - 1) * one_hot_loss(weights.T @ weights, bias, model.importance)
    by_active = loss_terms(model, weights, bias).by_active
    assert by_active[1] == pytest.approx(one_hot, rel=1e-11)
    loss, error = expected_loss_with_error(model, weights, bias, method="contour")
    rest = by_active[0] + by_active[2:].sum()
    assert abs(loss - rest - one_hot) <= error + 1e-13 * loss + 1e-11 * one_hot


@settings(max_examples=120, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.integers(2, 8), DENSITIES, st.sampled_from(["generic", "decades", "small", "large", "zeros"])
)
def test_the_contour_meets_its_tolerance_or_declines(seed, n, density, kind):
    """Weights from 1e-12 to 1e3, zero columns, densities from 1e-6 to 1: the declared error is kept, and allowed."""
    rng = np.random.default_rng(seed)
    m = int(rng.integers(1, n))
    weights, bias = rng.normal(size=(m, n)), rng.normal(size=n) * rng.choice([0, 0.1, 1])
    if kind == "decades":
        weights *= 10 ** rng.uniform(-12, 3, size=n)
    elif kind == "small":
        weights *= 1e-12
    elif kind == "large":
        weights *= 1e3
    elif kind == "zeros":
        weights *= rng.random(n) < 0.5
    model = ToyModel(m, rng.uniform(0.5, 2, size=n), density)
    exact = expected_loss(model, weights, bias, method="enumeration")
    try:
        loss, error = expected_loss_with_error(model, weights, bias, method="contour")
    except ValueError as refusal:
        assert kind != "generic" and "tolerance must be one that the contour integral can meet" in str(refusal)
        return
    assert abs(loss - exact) <= error + 1e-13 * exact
    assert error <= allowed_error(model, loss, 1e-12)


@pytest.mark.parametrize("density", [1.0, 0.2, 1e-6])
@pytest.mark.parametrize(("n", "m"), [(3, 1), (6, 3), (9, 4)])
def test_generic_weights_are_answered(n, m, density):
    """Losses and gradients of both engines agree for generic weights at every density."""
    rng = np.random.default_rng(n)
    model = ToyModel(m, rng.uniform(0.5, 2, size=n), density)
    weights, bias = rng.normal(size=(5, m, n)) / np.sqrt(m), 0.3 * rng.normal(size=n)
    exact = expected_loss_and_gradient(model, weights, bias, method="enumeration")
    found = expected_loss_and_gradient(model, weights, bias, method="contour")
    assert np.all(np.abs(found[0] - exact[0]) <= allowed_error(model, exact[0], 1e-12))
    for a, b in zip(found[1:], exact[1:], strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-9 * np.abs(b).max())


@pytest.mark.parametrize("tiny", [1e-3, 1e-6, 1e-9, 1e-12])
def test_one_or_two_tiny_weights_are_answered(tiny):
    """States with at most two active features are closed forms: what only they resolve is no reason to decline."""
    model, weights = ToyModel(1, np.ones(12), 0.5), np.zeros((1, 12))
    for signs in ((1, -tiny, 0), (1, -tiny, -tiny / 10), (1, tiny, -tiny)):
        weights[0, :3] = signs
        loss, error = expected_loss_with_error(model, weights, np.zeros(12), method="contour")
        exact = expected_loss(model, weights, np.zeros(12), method="enumeration")
        assert abs(loss - exact) <= error + 1e-13 * exact and error <= allowed_error(model, loss, 1e-12)


@pytest.mark.parametrize("density", [0.5, 0.1, 0.02, 1e-3])
@pytest.mark.parametrize("kind", ["generic", "lattice", "kinks", "equal"])
def test_gradients_keep_their_tolerance(kind, density):
    """Slopes in b_i within 1e-10 √scale_i of enumeration, also where corners sit on the kink or terms do not interfere."""
    rng = np.random.default_rng([int(1e3 * density), len(kind)])
    for n, m in ((5, 2), (7, 3), (12, 4)):
        model = ToyModel(m, np.ones(n), density)
        weights, bias = rng.normal(size=(m, n)) / np.sqrt(m), 0.3 * rng.normal(size=n)
        if kind == "lattice":
            # a quarter of the finest step off it: an output at the kink with positive probability has no one slope
            weights, bias = np.round(2 * weights) / 2, np.full(n, -1 / 16)
        elif kind == "kinks":
            gram = weights.T @ weights
            bias = -np.array([row[rng.choice(n, 3, replace=False)].sum() for row in gram])
        elif kind == "equal":
            weights = np.repeat(weights[:, :1], n, axis=1) * np.sign(rng.normal(size=n))
        _, exact, exact_b = expected_loss_and_gradient(model, weights, bias, method="enumeration")
        _, found, found_b = expected_loss_and_gradient(model, weights, bias, method="contour")
        gram = weights.T @ weights
        mean, variance = bias + gram @ np.full(n, density / 2), np.sum(gram**2, axis=1) * (density / 3 - density**2 / 4)
        unit = 1e-10 * np.sqrt(density / 3 + variance + np.maximum(mean, 0) ** 2)
        assert np.all(np.abs(found_b - exact_b) <= unit)
        # in G_ij the slope of output i errs by at most unit_i √(density/3); W gets those of row and column
        allowed = np.sqrt(density / 3) * (np.abs(weights) @ (unit[:, None] + unit[None, :]))
        assert np.all(np.abs(found - exact) <= allowed)


@pytest.mark.parametrize("tolerance", [1e-3, 1e-6, 1e-9, 1e-13])
def test_the_error_follows_the_tolerance(tolerance):
    """The declared error is below what was asked for and above the true one."""
    rng = np.random.default_rng(1)
    model = ToyModel(3, np.ones(9), 0.1)
    weights, bias = rng.normal(size=(20, 3, 9)), 0.2 * rng.normal(size=(20, 9))
    exact, least = expected_loss_with_error(model, weights, bias, method="enumeration")
    loss, error = expected_loss_with_error(model, weights, bias, method="contour", tolerance=tolerance)
    assert loss.shape == error.shape == (20,)
    assert np.all(error <= allowed_error(model, loss, tolerance)) and np.all(np.abs(loss - exact) <= error + least)
    assert np.all(least == 1e-13 * exact)


@pytest.mark.parametrize("method", ["enumeration", "contour"])
@pytest.mark.parametrize("weights", [[[1, 0.5, 0]], [[0, 0, 0]], [[0, 0, 1]]])
def test_outputs_about_to_switch_on_have_the_slopes_of_a_rising_bias(weights, method):
    """Where an output's weights and bias are all 0, both engines give the derivative for a rising bias."""
    model, weights = ToyModel(1, [1, 2, 3], [0.5, 0.1, 1.0]), np.array(weights, dtype=float)
    _, _, by_bias = expected_loss_and_gradient(model, weights, np.zeros(3), method=method)
    at_zero = expected_loss(model, weights, np.zeros(3), method=method)
    for i in np.flatnonzero(weights[0] == 0):
        risen = expected_loss(model, weights, 1e-7 * np.eye(3)[i], method=method)
        assert by_bias[i] == pytest.approx((risen - at_zero) / 1e-7, abs=1e-6)
        assert by_bias[i] == pytest.approx(-model.importance[i] * model.feature_density[i], rel=1e-12)


@pytest.mark.parametrize("density", [0.5, 0.1, 0.01])
@pytest.mark.parametrize("n", [12, 40])
def test_orthogonal_columns_may_be_turned(n, density):
    """Antipodal pairs along the axes or rotated, where products that vanish leave rounding: one loss, one gradient."""
    weights = np.kron(np.eye(n // 2), [[1.0, -1.0]])
    turn = np.linalg.qr(np.random.default_rng(n).normal(size=(n // 2, n // 2)))[0]
    model, bias = ToyModel(n // 2, np.ones(n), density), np.full(n, -0.05)
    loss, gradient, by_bias = expected_loss_and_gradient(model, weights, bias, method="contour")
    turned, turned_gradient, turned_by_bias = expected_loss_and_gradient(model, turn @ weights, bias, method="contour")
    assert turned == pytest.approx(loss, rel=1e-12)
    assert np.allclose(turn.T @ turned_gradient, gradient, rtol=0, atol=1e-14)
    assert np.allclose(turned_by_bias, by_bias, rtol=0, atol=1e-14)


@pytest.mark.parametrize("tolerance", [1e-2, 1e-3])
def test_a_rough_loss_allows_no_more_than_the_loss_itself(tolerance):
    """The error allowed is taken from the loss that is returned, not from a rougher one before it."""
    model = ToyModel(1, [46.977, 0.205, 0.733, 0.015, 1.669, 6.047, 0.065], 0.2862)
    weights = [[242.124, 0.1522, 0.0006, 0.1219, -0.0418, 0.0001, 0.0697]]
    bias = [-58661.06, -36.863, -0.156, -29.534, 0.003, 0, -16.894]
    exact = expected_loss(model, weights, bias, method="enumeration")
    try:
        found = expected_loss(model, weights, bias, method="contour", tolerance=tolerance)
    except ValueError:
        return
    assert abs(found - exact) <= allowed_error(model, exact, tolerance)


@pytest.mark.campaign
@pytest.mark.parametrize("block", range(10))
def test_campaign_the_contour_keeps_every_declared_error(block):
    """Ten thousand random and adversarial models of 3 to 8 features: losses within the declared error, gradients within 1e-10."""
    rng, answered = np.random.default_rng([7, block]), 0
    for _ in range(1000):
        n = int(rng.integers(3, 9))
        m = int(rng.integers(1, n))
        weights, bias = rng.normal(size=(m, n)), rng.normal(size=n) * rng.choice([0, 0.1, 1])
        weights *= rng.choice([1e-6, 1, 1, 1, 30]) * 10 ** (rng.uniform(-3, 1, size=n) * rng.choice([0, 0, 1]))
        if rng.random() < 0.2:
            weights = np.round(2 * weights) / 2
        density = rng.choice([1, 0.5, 0.1, 0.01, 1e-4, 1e-6]) if rng.random() < 0.7 else 10 ** rng.uniform(-6, 0, size=n)
        model = ToyModel(m, 10 ** rng.uniform(-1, 1, size=n), density)
        tolerance = float(rng.choice([1e-12, 1e-12, 1e-9, 1e-6, 1e-3]))
        exact = expected_loss(model, weights, bias, method="enumeration")
        try:
            loss, error = expected_loss_with_error(model, weights, bias, method="contour", tolerance=tolerance)
        except ValueError:
            continue
        answered += 1
        assert abs(loss - exact) <= error + 1e-13 * exact and error <= allowed_error(model, loss, tolerance)
    assert answered > 800


def test_auto_turns_to_enumeration_where_the_contour_declines():
    """Twelve features, three of tiny weights: "contour" refuses, "auto" answers for that model and its neighbours."""
    rng = np.random.default_rng(2)
    model = ToyModel(4, np.ones(12), 0.5)
    weights, bias = rng.normal(size=(3, 4, 12)) / 2, np.zeros(12)
    weights[1] = 0
    weights[1, 0, :4] = 1, -1e-7, -1e-8, -1e-9
    with pytest.raises(ValueError, match=r'with 65536 nodes for these weights, got 1e-12 \(method "enumeration" needs none'):
        expected_loss(model, weights, bias, method="contour")
    loss, error = expected_loss_with_error(model, weights, bias)
    exact = expected_loss(model, weights, bias, method="enumeration")
    assert np.all(np.abs(loss - exact) <= error + 1e-13 * exact) and error[1] == 1e-13 * loss[1] != error[0]


def test_many_features_decline_in_a_sentence():
    """Beyond the reach of enumeration a tolerance that cannot be met is an error, and a looser one an answer."""
    model = ToyModel(1, np.ones(20), 0.5)
    weights = np.zeros((1, 20))
    weights[0, :4] = 1, -1e-7, -1e-8, -1e-9
    with pytest.raises(ValueError, match=r"tolerance must be one that the contour integral can meet .* got 1e-12$"):
        expected_loss(model, weights, np.zeros(20))
    exact = expected_loss(ToyModel(1, np.ones(4), 0.5), weights[:, :4], np.zeros(4)) + 16 / 6
    assert expected_loss(model, weights, np.zeros(20), tolerance=1e-3) == pytest.approx(exact, rel=1e-3)
    with pytest.raises(ValueError, match=r"tolerance must be in \[1e-13, 1\), got 0"):
        expected_loss(model, weights, np.zeros(20), tolerance=0)
    with pytest.raises(ValueError, match=r"tolerance must be in \[1e-13, 1\), got 1"):
        expected_loss_and_gradient(model, weights, np.zeros(20), tolerance=1)


def test_linear_model_is_exact_arithmetic():
    """Unit-like columns of the linear model, where residuals cancel, against rational arithmetic to 1e-13."""
    from fractions import Fraction

    rng = np.random.default_rng(3)
    for size in (1e-14, 1e-8, 1e-2, 1.0):
        n, m = 4, 2
        weights, bias = rng.normal(size=(m, n)), size * rng.normal(size=n)
        weights /= np.linalg.norm(weights, axis=0) * (1 + size * rng.normal(size=n))
        density, importance = rng.uniform(0.01, 1, size=n), rng.uniform(0.5, 2, size=n)
        w = [[Fraction(x) for x in row] for row in weights]
        gram = [[sum(row[i] * row[j] for row in w) for j in range(n)] for i in range(n)]
        p, total = [Fraction(x) for x in density], Fraction(0)
        for i in range(n):
            residual = [(i == j) - gram[i][j] for j in range(n)]
            mean = sum(r * q for r, q in zip(residual, p, strict=True)) / 2 - Fraction(bias[i])
            spread = sum(r * r * (q / 3 - q * q / 4) for r, q in zip(residual, p, strict=True))
            total += Fraction(importance[i]) * (mean**2 + spread)
        found = expected_loss(ToyModel(m, importance, density, "linear"), weights, bias)
        assert abs(Fraction(found) / total - 1) < 1e-13
