"""Untied weights, x' = activation(decoder encoder x + b): exact losses, their derivatives and parts, and the best biases."""

from fractions import Fraction

import numpy as np
import pytest
from rational_losses import rational_loss

from phasediag import (
    CorrelatedSets,
    ExactlyActive,
    Penalty,
    Pieces,
    ToyModel,
    expected_loss,
    expected_loss_and_gradient,
    expected_loss_hessian,
    inspect,
    loss_terms,
    monte_carlo_loss,
    optimal_bias,
)

MIXED = Pieces(atoms=[(0.5, 0.25), (-1.0, 0.25)], intervals=[(-0.5, 1.0, 0.5)])
LAWS = {
    "uniform": {},
    "binary": {"values": "binary"},
    "signed leaky": {"values": "signed", "activation": "leaky", "slope": 0.25},
    "mixed": {"values": MIXED},
    "linear": {"activation": "linear"},
    "sets": {"activity": CorrelatedSets([[0, 1]])},
    "exactly": {"activity": ExactlyActive(2), "values": "signed"},
}


def a_model(n, law, seed=0):
    """A model of n features in n − 1 dimensions, and rational decoder, encoder and bias."""
    generator = np.random.default_rng(seed)
    model = ToyModel(n - 1, generator.uniform(0.5, 1.5, n).round(3), 0.375, **LAWS[law])
    parts = 0.7 * generator.normal(size=(n, n - 1)), 0.7 * generator.normal(size=(n - 1, n)), 0.3 * generator.normal(size=n)
    return model, *(part.round(3) for part in parts)


@pytest.mark.parametrize("law", LAWS)
def test_untied_weights(law):
    """Equal to tied ones where decoder = encoderᵀ; by samples within four standard errors; slopes are differences of the loss."""
    model, _, weights, bias = a_model(3, law, seed=5)
    generator, slope = np.random.default_rng(1), model.form.slope(model.control)
    loss, (by_decoder, by_encoder), by_bias = expected_loss_and_gradient(model, (weights.T, weights), bias)
    tied, by_weights, by_tied_bias = expected_loss_and_gradient(model, weights, bias)
    assert loss == pytest.approx(tied, rel=1e-13) and np.allclose(by_decoder.T + by_encoder, by_weights, atol=1e-13)
    assert np.allclose(by_bias, by_tied_bias, atol=1e-13)
    decoder, encoder = generator.normal(size=(3, 2)), generator.normal(size=(2, 3))
    decoder[1] = -encoder[:, 1]  # a feature that is read with the opposite sign
    loss, (by_decoder, by_encoder), by_bias = expected_loss_and_gradient(model, (decoder, encoder), bias)
    assert loss == expected_loss(model, (decoder, encoder), bias)
    mean, error = monte_carlo_loss(model, (decoder, encoder), bias, 100_000, seed=3)
    assert abs(mean - loss) < 4 * error
    x = model.sample(200_000, seed=2)
    z = x @ (decoder @ encoder).T + bias
    assert np.allclose(model.reconstruct(x[:9], (decoder, encoder), bias), np.where(z > 0, z, slope * z)[:9], atol=1e-14)
    losses = (x - np.where(z > 0, z, slope * z)) ** 2 @ model.importance
    assert abs(losses.mean() - loss) < 4 * losses.std() / len(x) ** 0.5
    moves, step = (generator.normal(size=(3, 2)), generator.normal(size=(2, 3)), generator.normal(size=3)), 1e-6
    ends = [
        expected_loss(model, (decoder + side * step * moves[0], encoder + side * step * moves[1]), bias + side * step * moves[2])
        for side in (-1, 1)
    ]
    along = np.sum(by_decoder * moves[0]) + np.sum(by_encoder * moves[1]) + by_bias @ moves[2]
    assert along == pytest.approx((ends[1] - ends[0]) / (2 * step), rel=1e-7, abs=1e-9)


@pytest.mark.quick
@pytest.mark.parametrize(("n", "law"), [(2, law) for law in LAWS] + [(3, law) for law in LAWS if law != "mixed"])
def test_derivatives_are_differences_in_exact_arithmetic(n, law):
    """Loss to 1e-13; slope and curvature along a direction of decoder, encoder and biases to 1e-9; the Hessian is symmetric."""
    model, decoder, encoder, bias = a_model(n, law)
    step, size = Fraction(1, 10**8), decoder.size
    x = [Fraction(v) for v in (*decoder.ravel(), *encoder.ravel(), *bias)]
    direction = np.random.default_rng(1).integers(-3, 4, size=len(x))

    def at(side):
        moved = [v + side * step * int(d) for v, d in zip(x, direction, strict=True)]
        rows = [moved[k * (n - 1) : (k + 1) * (n - 1)] for k in range(n)]
        columns = [moved[size + k * n : size + (k + 1) * n] for k in range(n - 1)]
        return rational_loss(model, (rows, columns), moved[2 * size :])

    low, here, high = at(-1), at(0), at(1)
    loss, by_weights, by_bias = expected_loss_and_gradient(model, (decoder, encoder), bias)
    gradient = np.concatenate([part.ravel() for part in (*by_weights, by_bias)])
    hessian = expected_loss_hessian(model, (decoder, encoder), bias)
    assert loss == pytest.approx(float(here), rel=1e-13)
    assert direction @ gradient == pytest.approx(float((high - low) / (2 * step)), abs=1e-9)
    assert direction @ hessian @ direction == pytest.approx(float((high + low - 2 * here) / step**2), abs=1e-9)
    assert hessian.shape == (len(x), len(x)) and np.allclose(hessian, hessian.T, rtol=0, atol=1e-14)


@pytest.mark.parametrize("law", LAWS)
def test_tied_weights_are_untied_ones(law):
    """With decoder = encoderᵀ all is what tied weights have, the Hessian by the chain rule; over leading axes too."""
    model, _, weights, bias = a_model(3, law, seed=2)
    pair, m, n = (weights.T, weights), *weights.shape
    both = np.zeros((2 * m * n + n, m * n + n))  # ∂(decoder, encoder, bias)/∂(W, bias)
    both[np.arange(m * n), np.arange(m * n).reshape(m, n).T.ravel()] = 1.0
    both[m * n :] = np.eye(m * n + n)
    assert np.allclose(
        both.T @ expected_loss_hessian(model, pair, bias) @ both, expected_loss_hessian(model, weights, bias), atol=1e-12
    )
    found, tied = loss_terms(model, pair, bias), loss_terms(model, weights, bias)
    for name in ("by_active", "benefit", "interference", "bias_part"):
        assert np.allclose(getattr(found, name), getattr(tied, name), rtol=0, atol=1e-13)
    assert np.allclose(optimal_bias(model, pair), optimal_bias(model, weights), rtol=0, atol=1e-9)
    several = np.stack([weights.T, 2 * weights.T]), weights
    assert np.array_equal(
        expected_loss_hessian(model, several, bias)[1], expected_loss_hessian(model, (2 * weights.T, weights), bias)
    )
    assert np.allclose(optimal_bias(model, several)[1], optimal_bias(model, (2 * weights.T, weights)), rtol=0, atol=1e-9)
    assert np.array_equal(
        loss_terms(model, several, bias).by_active[1], loss_terms(model, (2 * weights.T, weights), bias).by_active
    )


@pytest.mark.parametrize("law", ["uniform", "mixed", "sets", "signed leaky"])
def test_parts_of_the_loss_are_those_of_samples(law):
    """What inputs with so many active features lose, and outputs where none or one is active: within five standard errors."""
    model, decoder, encoder, bias = a_model(3, law, seed=4)
    terms, x = loss_terms(model, (decoder, encoder), bias), model.sample(200_000, seed=0)
    assert terms.loss == pytest.approx(expected_loss(model, (decoder, encoder), bias), rel=1e-13)
    lost = model.importance * (x - model.reconstruct(x, (decoder, encoder), bias)) ** 2
    active = x != 0
    count, own = active.sum(axis=1), (active.sum(axis=1) == 1)[:, None] & active

    def agree(samples, exact):
        error = samples.std(axis=0) / len(x) ** 0.5
        assert np.all(np.abs(samples.mean(axis=0) - exact) <= 5 * error + 1e-15)

    for k in range(4):
        agree(np.where(count == k, lost.sum(axis=1), 0.0), terms.by_active[k])
    agree(np.where(own, lost, 0.0), terms.benefit)
    agree(np.where((count == 1)[:, None] & ~own, lost, 0.0), terms.interference)
    agree(np.where((count == 0)[:, None], lost, 0.0), terms.bias_part)


@pytest.mark.parametrize("law", LAWS)
def test_no_other_bias_is_better(law):
    """On a grid of each output's bias none has a lower loss, nor one near by."""
    model, decoder, encoder, _ = a_model(3, law, seed=6)
    best = optimal_bias(model, (decoder, encoder))
    least = expected_loss(model, (decoder, encoder), best)
    for i in range(3):
        others = np.repeat(best[None], 801, axis=0)
        others[:, i] = np.append(np.linspace(-3, 3, 601), best[i] + np.linspace(-1e-3, 1e-3, 200))
        assert expected_loss(model, (decoder, encoder), others).min() >= least * (1 - 1e-12)


def test_what_takes_no_untied_weights_says_what_does():
    """One sentence for penalties and for sizes; what is found for a model is of tied weights."""
    model, pair = ToyModel(2, [1.0, 1.0, 0.5], 0.2), (np.ones((3, 2)), np.ones((2, 3)))
    with pytest.raises(ValueError, match="weights must be tied here, got a tuple"):
        model.check_parameters(pair, np.zeros(3))
    penalised = ToyModel(2, [1.0, 1.0, 0.5], 0.2, penalty=Penalty(0.1))
    for function in (
        expected_loss,
        expected_loss_hessian,
        loss_terms,
        lambda model, weights, _: optimal_bias(model, weights),
        inspect,
    ):
        with pytest.raises(ValueError, match="penalty must be None for untied weights, whose layers decay"):
            function(penalised, pair, np.zeros(3))
    wide, generator = ToyModel(2, np.ones(15), 0.1), np.random.default_rng(0)
    wide_pair = generator.normal(size=(15, 2)), generator.normal(size=(2, 15))
    for function in (expected_loss, expected_loss_hessian, lambda model, weights, _: optimal_bias(model, weights)):
        with pytest.raises(ValueError, match="monte_carlo_loss samples any"):
            function(wide, wide_pair, np.zeros(15))
    assert loss_terms(wide, wide_pair, np.zeros(15)).by_active is None
    with pytest.raises(ValueError, match="enumeration treats up to 14 features, got 15"):
        _ = loss_terms(wide, wide_pair, np.zeros(15)).loss
    with pytest.raises(ValueError, match="enumeration treats up to 14 features, got 15"):  # it has no argument `method`
        optimal_bias(wide, wide_pair)


def test_methods_and_leading_axes_of_untied_weights():
    """One engine treats them, and says so of the other; axes that do not broadcast are named."""
    model, pair, bias = ToyModel(1, [1.0, 0.5], 0.3), (np.array([[1.0], [-1.0]]), np.array([[1.0, -1.0]])), np.zeros(2)
    for function in (expected_loss, expected_loss_and_gradient):
        with pytest.raises(ValueError, match=r'method must be one of "auto", "enumeration", "contour", got \'x\''):
            function(model, pair, bias, "x")
        with pytest.raises(ValueError, match=r"method must be one that treats the model's law.* enumeration treats any law"):
            function(model, pair, bias, method="contour")
        with pytest.raises(ValueError, match="tolerance must be"):
            function(model, pair, bias, tolerance=2.0)
    assert expected_loss(model, pair, bias, "enumeration") == expected_loss(model, pair, bias) == pytest.approx(0.0225)
    for function in (expected_loss, expected_loss_hessian, loss_terms):
        with pytest.raises(
            ValueError, match=r"leading axes of weights \(3, 1, 2\) and \(2, 1, 2\) and bias \(2,\) must broadcast"
        ):
            function(model, (np.ones((3, 2, 1)), np.ones((2, 1, 2))), bias)
