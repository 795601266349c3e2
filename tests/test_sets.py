"""The contour integral of many features in sets: loss and gradient by enumeration, exact arithmetic, another contour, samples."""

from fractions import Fraction

import mpmath as mp
import numpy as np
import pytest
from rational_losses import rational_loss

from phasediag import (
    AnticorrelatedSets,
    CorrelatedSets,
    Penalty,
    ToyModel,
    expected_loss,
    expected_loss_and_gradient,
    monte_carlo_loss,
    train,
)

KINDS = [CorrelatedSets, AnticorrelatedSets]


def parameters(seed, n, m, scale=0.5):
    """Random weights (m, n) and biases (n,) of three digits."""
    generator = np.random.default_rng(seed)
    return (scale * generator.normal(size=(m, n))).round(3), (0.2 * generator.normal(size=n)).round(3)


def gradient(model, weights, bias, **options):
    """The gradient, flat over parameters."""
    parts = expected_loss_and_gradient(model, weights, bias, "contour", **options)[1:]
    return np.concatenate([part.ravel() for part in parts])


def both_engines(model, weights, bias):
    """Losses and gradients by enumeration and by the contour integral, each flat: (n_models, 1 + size)."""
    for method in ("enumeration", "contour"):
        loss, by_weights, by_bias = expected_loss_and_gradient(model, weights, bias, method, tolerance=1e-13)
        yield np.concatenate([loss[:, None], by_weights.reshape(len(loss), -1), by_bias], axis=1)


@pytest.mark.parametrize("kind", KINDS)
def test_both_engines_agree(kind):
    """Loss and gradient to 1e-13 at all densities; also where weights vanish: of a feature of a set, a set, between features."""
    generator = np.random.default_rng(0)
    for n, sets in ((4, [[0, 1]]), (6, [[0, 1, 2]]), (8, [[0, 1], [2, 3], [4, 5, 6]])):
        for p in (0.02, 0.3, 1.0):
            model = ToyModel(2, generator.uniform(0.5, 2, n), p, activity=kind(sets), penalty=Penalty(0.1, 0.2))
            weights, bias = 0.5 * generator.normal(size=(6, 2, n)), 0.2 * generator.normal(size=(6, n))
            weights[1, :, 1], weights[2][:, sets[-1]] = 0.0, 0.0
            weights[3, 0, ::2], weights[3, 1, 1::2] = 0.0, 0.0
            weights[4, :, 1], bias[4, 1] = 0.0, 0.0  # about to be switched on
            weights[5], bias[5] = np.abs(weights[5]), np.abs(bias[5])  # never clipped
            expected, found = both_engines(model, weights, bias)
            assert np.abs(found - expected).max() < 1e-13 * max(1.0, np.abs(expected).max()), (n, p)


@pytest.mark.parametrize("kind", KINDS)
def test_slopes_in_exact_arithmetic(kind):
    """Along a direction they are those of differences in rational arithmetic, to 1e-9."""
    model = ToyModel(2, [1.0, 0.5, 0.75, 1.0], 0.375, activity=kind([[0, 3]]))
    direction, step = np.random.default_rng(1).integers(-3, 4, size=12), Fraction(1, 10**8)
    weights, bias = parameters(6, 4, 2)
    point = [Fraction(x) for x in [*weights.ravel(), *bias]]
    ends = []
    for side in (-1, 1):
        x = [value + side * step * int(d) for value, d in zip(point, direction, strict=True)]
        ends.append(rational_loss(model, [x[:4], x[4:8]], x[8:]))
    slope = float((ends[1] - ends[0]) / (2 * step))
    assert direction @ gradient(model, weights, bias) == pytest.approx(slope, abs=1e-9)


def precise_loss(model, weights, bias, nodes=240):
    """The loss on the line Re s = c > 0, no state taken out, in mpmath; sets are to hold all features.

    weights (m, n) and bias (n,) of mpf. z ranges within half a period 2π/h; an alias of order k ≥ 1 keeps e^{−40k} of a quadratic
    in z.
    """
    n, form, sets, total = len(bias), model.form, model.activity.sets, mp.mpf(0)
    together, p = isinstance(model.activity, CorrelatedSets), mp.mpf(float(model.feature_density[0]))
    mean, joint = form.mean(model.control), form.covariance(model.control)
    joint = joint + np.outer(mean, mean)
    for i in range(n):
        a = [mp.fsum(row[i] * row[j] for row in weights) for j in range(n)]
        period = 2 * (abs(bias[i]) + mp.fsum(map(abs, a)))
        c, y = 40 / period, mp.fdot(a, mean)
        square = mp.fsum(a[j] * a[k] * joint[j, k] for j in range(n) for k in range(n)) + 2 * bias[i] * y + bias[i] ** 2
        own = mp.fdot(a, joint[i]) + bias[i] * mean[i]
        for k in range(1, 7):
            level = k * period
            total -= (
                mp.exp(-40 * k)
                * (square + 2 * (bias[i] + y) * level + level**2 - 2 * (own + mean[i] * level))
                * (model.importance[i])
            )
        for node in range(nodes):
            s = mp.mpc(c, 2 * mp.pi * node / period)
            e = [mp.exp(s * x) for x in a]
            phi = [(one - 1) / (s * x) for one, x in zip(e, a, strict=True)]
            slope = (e[i] - phi[i]) / (s * a[i])
            whole = inside = mp.exp(s * bias[i])
            for members in sets:
                here = mp.fprod(phi[j] for j in members) if together else mp.fsum(phi[j] for j in members) / len(members)
                whole *= 1 - p + p * here
                if i in members:
                    inside *= p * (mp.fprod([slope, *(phi[j] for j in members if j != i)]) if together else slope / len(members))
                else:
                    inside *= 1 - p + p * here
            term = 2 * whole / s**3 - 2 * inside / s**2
            total += term.real * (1 if node == 0 else 2) / period * model.importance[i]
        total += model.importance[i] * joint[i, i]
    return total


@pytest.mark.parametrize("kind", KINDS)
def test_slopes_on_another_contour(kind):
    """Loss to 1e-12 and slopes to 1e-9 of twelve features in pairs, by differences of sums in 30 digits."""
    generator = np.random.default_rng(0)
    model = ToyModel(1, np.linspace(1, 0.3, 12), 1.0, activity=kind(np.arange(12).reshape(6, 2).tolist()))
    point = np.append(generator.uniform(0.5, 1, 12) * generator.choice([-1, 1], 12), 0.2 * generator.normal(size=12))
    direction, step = generator.normal(size=24), 1e-6
    with mp.workdps(30):
        ends = [[mp.mpf(x) + side * step * mp.mpf(d) for x, d in zip(point, direction, strict=True)] for side in (-1, 1)]
        low, high = (precise_loss(model, [end[:12]], end[12:]) for end in ends)
        slope, middle = float((high - low) / (2 * step)), float((high + low) / 2)
    arguments = point[:12].reshape(1, 12), point[12:]
    assert direction @ gradient(model, *arguments) == pytest.approx(slope, abs=1e-9)
    assert expected_loss(model, *arguments) == pytest.approx(middle, rel=1e-11)  # of the second order in the step


@pytest.mark.parametrize("kind", KINDS)
def test_forty_features(kind):
    """Samples have the loss within four standard errors; slopes are differences of the loss; a descent trains by them."""
    model = ToyModel(8, np.linspace(1, 0.5, 40), 0.15, activity=kind(np.arange(36).reshape(12, 3).tolist()))
    weights, bias = parameters(1, 40, 8, 0.4)
    mean, error = monte_carlo_loss(model, weights, bias, 60_000, seed=1)
    assert abs(mean - expected_loss(model, weights, bias)) < 4 * error
    direction, step = np.random.default_rng(3).normal(size=(9, 40)), 1e-5
    low, high = (expected_loss(model, weights + x * direction[:8], bias + x * direction[8]) for x in (-step, step))
    along = direction.ravel() @ gradient(model, weights, bias)
    assert along == pytest.approx((high - low) / (2 * step), abs=1e-6)
    assert np.isfinite(train(model, n_models=1, n_steps=1, gradient="population", seed=0).loss).all()


@pytest.mark.parametrize("kind", KINDS)
def test_features_that_are_not_represented_change_nothing(kind):
    """Forty features of which eight have weights: their loss and slopes are those of eight, whatever the sets."""
    sets = [[0, 1], [2, 3, 4]]
    small = ToyModel(2, np.linspace(1, 0.5, 8), 0.3, activity=kind(sets))
    large = ToyModel(2, [*small.importance, *np.ones(32)], 0.3, activity=kind([*sets, *np.arange(8, 40).reshape(8, 4).tolist()]))
    weights, bias = parameters(4, 8, 2)
    padded, level = np.concatenate([weights, np.zeros((2, 32))], axis=1), large.feature_mean.copy()
    level[:8] = bias
    loss, *slopes = expected_loss_and_gradient(small, weights, bias)
    found, by_weights, by_bias = expected_loss_and_gradient(large, padded, level)
    assert found - large.feature_variance[8:].sum() == pytest.approx(loss, rel=1e-12)
    assert np.allclose(by_weights[:, :8], slopes[0], rtol=0, atol=1e-12) and np.allclose(
        by_bias[:8], slopes[1], rtol=0, atol=1e-12
    )
    assert np.abs(by_bias[8:]).max() < 1e-12


def test_penalties_are_part_of_the_contour_integral():
    """Independent features with a penalty, loss and gradient, by both engines."""
    model = ToyModel(2, np.ones(8), 0.2, penalty=Penalty(0.1, 0.2))
    weights, bias = parameters(5, 8, 2)
    expected, found = both_engines(model, weights[None], bias[None])
    assert found == pytest.approx(expected, rel=1e-11)


def test_what_no_engine_treats_is_refused():
    """Sets of which two have more than thirteen features active; and values, outputs and laws without a series."""
    large = CorrelatedSets([range(7), range(7, 14)])
    many = CorrelatedSets(np.arange(40).reshape(20, 2).tolist())
    for options in ({"activity": large}, {"values": "binary", "activity": many}, {"activation": "leaky", "slope": 0.5}):
        model = ToyModel(3, np.ones(40), 0.1, **options)
        with pytest.raises(ValueError, match="method must be one that treats the model's law: the contour integral treats"):
            expected_loss_and_gradient(model, np.zeros((3, 40)), np.zeros(40), "contour")
        with pytest.raises(ValueError, match="enumeration treats up to 14 features, got 40 features; the contour integral, "):
            expected_loss_and_gradient(model, np.zeros((3, 40)), np.zeros(40))
