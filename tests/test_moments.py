"""The enumeration engine against exact integer arithmetic."""

from fractions import Fraction
from itertools import combinations
from math import factorial

import mpmath
import numpy as np
import pytest

from phasediag import ToyModel, expected_loss_and_gradient, expected_loss_hessian
from phasediag._loss.evaluation import evaluate

# ---------------------------------------------------------------------------------------------------------------------
# The oracle: E (x_i − z⁺)² from signed sums over the vertices of cubes. Weights and biases are dyadic rationals, so with a
# common denominator the sums, where everything cancels, are sums of integers; only the final divisions round.


def exact_losses(weights, bias, density, digits=150):
    """Losses of all outputs for the doubles (or Fractions) given, to ``digits`` digits before the last subtraction."""
    w, b = [[Fraction(x) for x in row] for row in weights], [Fraction(x) for x in bias]
    n = len(b)
    gram = [[sum(row[i] * row[j] for row in w) for j in range(n)] for i in range(n)]
    scale = max(x.denominator for x in [*b, *(x for row in gram for x in row)])
    with mpmath.workdps(digits):
        p = [mpmath.mpf(float(x)) for x in density]
        return [_exact_loss(i, [int(x * scale) for x in gram[i]], int(b[i] * scale), p, scale) for i in range(n)]


def _exact_loss(i, a, b, p, scale):
    others = [j for j in range(len(a)) if j != i and a[j] != 0]

    def moment(r, shift):
        """E (z⁺)^r over the other features for z = shift + Σ_{j≠i} a_j x_j."""
        total = mpmath.mpf(0)
        for k in range(len(others) + 1):
            for active in combinations(others, k):
                vertices, volume, weight = [(shift, 1)], 1, mpmath.mpf(1)
                for j in others:
                    weight *= p[j] if j in active else 1 - p[j]
                for j in active:
                    vertices = [(z, -s) for z, s in vertices] + [(z + a[j], s) for z, s in vertices]
                    volume *= a[j]
                corners = sum(s * z ** (r + k) for z, s in vertices if z > 0)
                total += weight * mpmath.mpf(factorial(r) * corners) / (factorial(r + k) * volume)
        return total / mpmath.mpf(scale) ** r

    inactive, third = moment(2, b), mpmath.mpf(1) / 3
    if a[i] == 0:
        active = third - moment(1, b) + inactive
    else:
        own = mpmath.mpf(a[i]) / scale
        square = (moment(3, b + a[i]) - moment(3, b)) / (3 * own)  # E (z⁺)² over u as well
        active = third - (moment(2, b + a[i]) - square) / own + square  # E u z⁺ by parts
    return (1 - p[i]) * inactive + p[i] * active


def random_case(rng, n, m):
    """Weights, biases and densities of every kind that could hurt."""
    sign, unit = rng.choice([-1, 1], size=(m, n)), rng.normal(size=(m, n))
    kind = rng.integers(7)
    if kind == 0:
        weights = unit
    elif kind == 1:  # twelve decades, entry by entry
        weights = sign * 10 ** rng.uniform(-12, 0, size=(m, n))
    elif kind == 2:  # equal, opposite, zero
        weights = rng.choice([-1, -0.5, 0, 0.5, 1, 1 / 3], size=(m, n))
    elif kind == 3:  # nearly unit columns
        weights = unit / np.linalg.norm(unit, axis=0) * (1 + sign[0] * 10 ** rng.uniform(-15, -1, size=n))
    elif kind == 4:  # twelve decades, column by column
        weights = unit * 10 ** rng.uniform(-12, 0, size=n)
    elif kind == 5:  # large
        weights = unit * 10 ** rng.uniform(-2, 1.5, size=n)
    else:  # nearly parallel columns
        weights = unit[:, :1] * sign[:1] * (1 + rng.choice([0, 1e-15, 1e-10, 1e-5], size=n) * rng.normal(size=n))
    corner = -(weights.T @ weights * (rng.random((n, n)) < 0.5)).sum(axis=1)
    bias = (
        np.zeros(n),
        0.3 * rng.normal(size=n),
        10 ** rng.uniform(-16, 0, size=n) * rng.choice([-1, 1], size=n),
        corner,  # the kinks of some set of active features
        corner * (1 + 10 ** rng.uniform(-16, -3, size=n)),
    )[rng.integers(5)]
    density = (
        np.full(n, 10 ** rng.uniform(-6, 0)),
        10 ** rng.uniform(-6, 0, size=n),
        np.ones(n),
        np.full(n, 1e-6),
    )[rng.integers(4)]
    return weights, bias, density


def check_losses(seed, n_cases, most_features):
    """The loss of every random case has a relative error of at most 1e-13."""
    rng = np.random.default_rng(seed)
    worst = 0.0
    for case in range(n_cases):
        n = int(rng.integers(2, most_features + 1))
        m = int(rng.integers(1, n))
        weights, bias, density = random_case(rng, n, m)
        model = ToyModel(m, np.ones(n), density)
        exact = exact_losses(weights.tolist(), bias.tolist(), density)
        total = sum(exact)
        for order in (0, 1, 2):  # different roads for few features
            losses = evaluate(model, weights, bias, "enumeration", order)[0]
            error = float(abs(sum(map(mpmath.mpf, losses.tolist())) / total - 1))
            worst = max(worst, error)
            assert error < 1e-13, (seed, case, order)
    return worst


def test_losses_equal_exact_arithmetic():
    """Random and adversarial weights, knots at corners, densities from 1e-6 to 1: relative error at most 1e-13."""
    check_losses(seed=1, n_cases=200, most_features=4)
    check_losses(seed=2, n_cases=25, most_features=6)


@pytest.mark.campaign
def test_losses_equal_exact_arithmetic_campaign():
    """The same on ten thousand cases with up to six features."""
    print("worst relative error", check_losses(seed=3, n_cases=10_000, most_features=6))


def exact_derivatives(weights, bias, density, importance, step=Fraction(1, 2**90)):
    """Gradient and Hessian of the loss in (weights row by row, biases) by central differences of the oracle."""
    m, n = np.shape(weights)
    point = [Fraction(x) for x in [*np.ravel(weights), *bias]]

    def loss(x):
        rows = [x[k * n : (k + 1) * n] for k in range(m)]
        losses = exact_losses(rows, x[m * n :], density, digits=200)
        return sum(mpmath.mpf(float(c)) * l for c, l in zip(importance, losses, strict=True))

    def moved(*shifts):
        x = list(point)
        for at, by in shifts:
            x[at] += by
        return loss(x)

    size, h = len(point), step
    with mpmath.workdps(200):
        width = mpmath.mpf(h.numerator) / h.denominator
        gradient = [float((moved((i, h)) - moved((i, -h))) / (2 * width)) for i in range(size)]
        hessian = np.empty((size, size))
        for i in range(size):
            for j in range(i + 1):
                corners = [(s, t, moved((i, s * h), (j, t * h))) for s in (1, -1) for t in (1, -1)]
                value = sum(s * t * l for s, t, l in corners) / (4 * width**2)
                hessian[i, j] = hessian[j, i] = float(value)
    return np.array(gradient), hessian


@pytest.mark.parametrize(("n", "m", "seed"), [(2, 1, 0), (2, 1, 1), (3, 1, 2), (3, 2, 3), (3, 2, 4), (4, 2, 5)])
def test_derivatives_equal_differences_of_exact_losses(n, m, seed):
    """Gradient and Hessian agree with differences in exact arithmetic to 1e-10 of their scale."""
    rng = np.random.default_rng(seed)
    for scale in (1.0, 1e-5):
        weights, bias = rng.normal(size=(m, n)) / np.sqrt(m), rng.normal(size=n) * 0.2 * scale
        weights[:, -1] *= scale
        density, importance = rng.uniform(0.01, 1, size=n), rng.uniform(0.5, 2, size=n)
        model = ToyModel(m, importance, density)
        gradient, hessian = exact_derivatives(weights, bias, density, importance)
        _, in_weights, in_bias = expected_loss_and_gradient(model, weights, bias)
        found = np.concatenate([in_weights.ravel(), in_bias])
        assert np.abs(found - gradient).max() < 1e-13 * np.abs(gradient).max()
        found = expected_loss_hessian(model, weights, bias)
        assert np.abs(found - hessian).max() < 1e-10 * np.abs(hessian).max()


@pytest.mark.quick("_loss")
@pytest.mark.parametrize("n", [2, 3, 4, 6])
def test_orders_agree(n):
    """Loss and gradient do not depend on how many derivatives are asked for."""
    rng = np.random.default_rng(n)
    m = n // 2
    model = ToyModel(m, np.ones(n), rng.uniform(0.05, 1, size=n))
    weights, bias = rng.normal(size=(20, m, n)) / np.sqrt(m), rng.normal(size=(20, n)) * 0.3
    weights[::5, :, 0] = 0
    weights[1::5, :, 0] = -weights[1::5, :, 1]
    zero, one, two = (evaluate(model, weights, bias, "enumeration", order) for order in (0, 1, 2))
    np.testing.assert_allclose(zero[0], two[0], rtol=1e-13)
    np.testing.assert_allclose(one[0], two[0], rtol=1e-13)
    np.testing.assert_allclose(one[1], two[1], rtol=0, atol=1e-13 * np.abs(two[1]).max())
    np.testing.assert_allclose(one[2], two[2], rtol=0, atol=1e-13 * np.abs(two[2]).max())
