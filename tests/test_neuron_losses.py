"""Exact losses of neurons against nested quadrature in 40 digits, closed forms, samples and the ordinary model."""

from contextlib import nullcontext

import numpy as np
import pytest
from neuron_quadrature import Quadrature, precise

from phasediag import (
    CorrelatedSets,
    NeuronModel,
    ToyModel,
    expected_loss,
    expected_loss_and_gradient,
    expected_loss_bounds,
    expected_loss_with_error,
    monte_carlo_loss,
    one_active_loss,
)
from phasediag._neurons.losses import evaluate, probabilities, sets_of

TASKS = ("identity", "absolute")


def _weights(task, m, n, rng, kind):
    """Random weights and biases of a kind; encoder, transposed decoder, bias."""
    encoder, decoder, bias = rng.normal(size=(m, n)), rng.normal(size=(m, n)), rng.normal(size=n) * rng.choice([0.1, 1.0])
    if kind == "equal rows":
        encoder[-1] = encoder[0] * rng.choice([1.0, -1.0, 2.0])
        decoder[:, -1] = decoder[:, 0]
    if kind == "through corners":
        encoder, decoder = (rng.integers(-2, 3, size=x.shape).astype(float) for x in (encoder, decoder))
        bias = rng.choice([-2.0, -1.0, 1.0, 2.0], size=n)  # with 0 an output may vanish on a region: there is no gradient
    if kind == "tiny scales":
        encoder, decoder = (x * 10.0 ** rng.uniform(-12, 1, size=x.shape) for x in (encoder, decoder))
        bias = bias * 10.0 ** rng.uniform(-12, 1, size=bias.shape)
    if kind == "nearly parallel":
        encoder[-1] = encoder[0] * (1 + 1e-9 * rng.normal(size=n))
    if kind == "zeros":
        encoder, decoder = (x * (rng.random(x.shape) < 0.5) for x in (encoder, decoder))
    return encoder, encoder if task == "identity" else decoder, bias


KINDS = ("generic", "equal rows", "through corners", "tiny scales", "nearly parallel", "zeros")


def _worst(task, n, m, seed, kind, most_active, number=None):
    """The largest error of loss and gradient, relative to the largest entries, for one set of weights."""
    rng = np.random.default_rng(seed)
    model = NeuronModel(m, rng.uniform(0.3, 1.0, n), rng.uniform(0.05, 1.0, n), task=task)
    encoder, decoder, bias = _weights(task, m, n, rng, kind)
    losses, gradient = evaluate(model.form, model.control, encoder, decoder, bias, 1, most_active)
    members, sizes, _ = sets_of(n, most_active)
    law = probabilities(model.form, model.control, most_active)
    sets = {tuple(map(int, one[:k])): float(p) for one, k, p in zip(members, sizes, law, strict=True)}
    with precise() if number is None else nullcontext(number) as number:
        exact, slopes = Quadrature(number).losses(encoder, decoder, bias, model.importance, sets, task == "absolute")
        ours = [number(float(x)) for x in losses]
        errors = [abs(a - b) / max(b, 1e-300) for a, b in zip(ours, exact, strict=True) if b > 1e-20 or a > 1e-20]
        scale = max(1.0, max(abs(float(g)) for row in slopes for g in row))
        pairs = zip(gradient.ravel(), (b for row in slopes for b in row), strict=True)
        return float(max([*errors, *(abs(number(float(a)) - b) / scale for a, b in pairs)]))


@pytest.mark.quick("_neurons")
def test_contract():
    """Two neurons compute |x| exactly."""
    model = NeuronModel(2, [1.0], 0.3, task="absolute")
    assert expected_loss(model, (np.ones((1, 2)), np.array([[1.0], [-1.0]])), np.zeros(1)) < 1e-15


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("task", TASKS)
def test_nested_quadrature(task, kind):
    """Loss and gradient agree with nested quadrature in 40 digits to 1e-12, for up to two active features."""
    for seed, (n, m) in enumerate([(1, 1), (1, 3), (2, 1), (2, 2), (2, 6), (3, 2), (4, 2)]):
        assert _worst(task, n, m, [seed, 7], kind, min(n, 2)) <= 1e-12


@pytest.mark.parametrize("kind", KINDS)
def test_three_active_features(kind):
    """The same with three active features: in 40 digits for two neurons, in double precision for more."""
    assert _worst("identity", 3, 2, [1, 3], kind, 3) <= 1e-12
    if kind in ("generic", "through corners", "zeros"):  # where double precision is enough for the quadrature
        assert _worst("absolute", 3, 3, [2, 3], kind, 3, float) <= 1e-11


@pytest.mark.campaign
@pytest.mark.parametrize("task", TASKS)
def test_two_thousand_weights(task):
    """A thousand random and adversarial weights of each task, of up to 4 features and 6 neurons."""
    worst = {}
    for seed in range(1000):
        kind, rng = KINDS[seed % len(KINDS)], np.random.default_rng(seed)
        n, m = int(rng.integers(1, 5)), int(rng.integers(1, 7))
        three = n >= 3 and seed % 10 == 0
        m = min(m, 2 if three and task == "absolute" else 3) if three else m
        error = _worst(task, n, m, [seed, 11], kind, 3 if three else min(n, 2))
        worst[kind] = max(worst.get(kind, 0.0), error)
        assert error <= 1e-12, (seed, kind, n, m)
    print(task, worst)


@pytest.mark.parametrize(("n", "m"), [(2, 1), (3, 2), (4, 2), (4, 3), (5, 2)])
def test_weights_that_are_not_negative_clip_nothing(n, m):
    """With W ≥ 0 the privileged model has the loss of the ordinary one, and its gradient where W > 0."""
    rng = np.random.default_rng(n)
    importance, density = rng.uniform(0.3, 1, n), rng.uniform(0.05, 1, n)
    weights, bias = rng.uniform(0, 1, (20, m, n)), rng.normal(size=(20, n)) / 3
    model, toy = NeuronModel(m, importance, density), ToyModel(m, importance, density)
    ours, theirs = (expected_loss_and_gradient(one, weights, bias) for one in (model, toy))
    assert np.abs(ours[0] / theirs[0] - 1).max() <= 1e-14
    for a, b in zip(ours[1:], theirs[1:], strict=True):
        assert np.abs(a - b).max() <= 1e-13


def test_one_active_feature_has_closed_forms():
    """The derived formula is what the kernel adds up for sets of one feature, in every chamber of slope and bias."""
    formula, rng = one_active_loss(), np.random.default_rng(0)
    model = NeuronModel(2, [1.0, 1.0], 0.3, task="absolute")
    for _ in range(12):
        encoder, decoder, bias = rng.normal(size=(2, 2)), rng.normal(size=(2, 2)), rng.normal(size=2)
        losses, _ = evaluate(model.form, model.control, encoder, decoder, bias, 0, 1)
        for j in range(2):
            expected = 0.7**2 * max(bias[j], 0) ** 2
            for i in range(2):
                for sign in (1, -1):
                    slope = float(decoder[:, j] @ np.maximum(sign * encoder[:, i], 0))
                    values = {"target": int(i == j), "slope": slope, "bias": bias[j]}
                    expected += 0.3 * 0.7 / 2 * float(formula.subs(values))
            assert losses[j] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("task", "n", "m"), [("identity", 6, 3), ("absolute", 5, 4)])
def test_samples_agree(task, n, m):
    """Four to six active features agree with a million samples within 4 standard errors, under a law of sets too."""
    rng = np.random.default_rng(5)
    weights, bias = rng.normal(size=(m, n)) / 2, rng.normal(size=n) / 4
    weights = weights if task == "identity" else (rng.normal(size=(n, m)) / 2, weights)
    for activity in (None, CorrelatedSets([[0, 1], [2, 3, 4]])):
        model = NeuronModel(m, np.linspace(1, 0.4, n), 0.5, task=task, activity=activity)
        loss, error = expected_loss_with_error(model, weights, bias)
        mean, deviation = monte_carlo_loss(model, weights, bias, 2**18, seed=1)
        assert abs(mean - loss) < 4 * deviation and error < 1e-12


@pytest.mark.parametrize("task", TASKS)
def test_bounds_hold_and_close(task):
    """The loss lies between the bounds, which close as more features may be active; samples of a large model lie there too."""
    rng = np.random.default_rng(2)
    model = NeuronModel(3, [1.0, 0.9, 0.8, 0.7, 0.6], rng.uniform(0.1, 0.9, 5), task=task)
    weights, bias = rng.normal(size=(3, 5)), rng.normal(size=5)
    weights = weights if task == "identity" else (rng.normal(size=(5, 3)), weights)
    loss, width = expected_loss(model, weights, bias), np.inf
    for most_active in range(6):
        lower, upper = expected_loss_bounds(model, weights, bias, most_active=most_active)
        assert lower <= loss * (1 + 1e-13) and loss <= upper and upper - lower < width
        width = upper - lower
    assert width < 1e-12
    model = NeuronModel(8, 0.8 ** np.arange(20), 0.02, task=task)
    weights, bias = rng.normal(size=(8, 20)) / 4, np.zeros(20)
    weights = weights if task == "identity" else (rng.normal(size=(20, 8)) / 4, weights)
    lower, upper = expected_loss_bounds(model, weights, bias)
    mean, deviation = monte_carlo_loss(model, weights, bias, 2**17, seed=0)
    assert lower - 4 * deviation < mean < upper + 4 * deviation and upper < 1.3 * lower


def test_gauge_and_reflections():
    """Scales of neurons, their order, and reflections of a signed feature leave the loss as it is."""
    rng = np.random.default_rng(3)
    model = NeuronModel(3, [1.0, 0.5, 0.7], [0.2, 0.9, 0.5], task="absolute")
    decoder, encoder, bias = rng.normal(size=(3, 3)), rng.normal(size=(3, 3)), rng.normal(size=3)
    loss, scale = expected_loss(model, (decoder, encoder), bias), rng.uniform(0.1, 9, 3)
    order, signs = [2, 0, 1], np.array([1.0, -1.0, -1.0])
    assert expected_loss(model, (decoder * scale, encoder / scale[:, None]), bias) == pytest.approx(loss, rel=1e-13)
    assert expected_loss(model, (decoder[:, order], encoder[order]), bias) == pytest.approx(loss, rel=1e-13)
    assert expected_loss(model, (decoder, encoder * signs), bias) == pytest.approx(loss, rel=1e-13)


def test_bad_input_is_named():
    """Errors name argument, domain and value."""
    with pytest.raises(ValueError, match=r'task must be one of "identity", "absolute", got .*"?relu'):
        NeuronModel(1, [1.0], 0.5, task="relu")
    with pytest.raises(ValueError, match=r"density must be in \(0, 1\], got 1.5"):
        NeuronModel(1, [1.0], 1.5)
    with pytest.raises(ValueError, match=r"at most 6 features .* got 7; see expected_loss_bounds"):
        expected_loss(NeuronModel(1, np.ones(7), 0.5), np.ones((1, 7)), np.zeros(7))
    with pytest.raises(ValueError, match=r"weights must be a tuple \(decoder, encoder\)"):
        expected_loss(NeuronModel(1, [1.0], 0.5, task="absolute"), np.ones((1, 1)), np.zeros(1))
    with pytest.raises(ValueError, match=r"decoder must have shape \(…, 1, 2\)"):
        expected_loss(NeuronModel(2, [1.0], 0.5, task="absolute"), (np.ones((2, 1)), np.ones((2, 1))), np.zeros(1))
    with pytest.raises(ValueError, match="model must be a NeuronModel of independent features"):
        expected_loss_bounds(ToyModel(1, [1.0, 1.0], 0.5), np.ones((1, 2)), np.zeros(2))
