"""Where a continuous boundary becomes first-order and where minima cease: against an independent loss in forty digits."""

from functools import cache

import numpy as np
import pytest
from mpmath import diff, findroot, mp, mpf

from phasediag import phase_diagram

REST = mpf(10) ** -5  # weights of the extra feature at which the lowest losses are compared


def positive_part(z):
    """z⁺."""
    return z if z > 0 else mpf(0)


def moments(density, u, v, b):
    """E[(z⁺)²], E[z⁺ x₁] and E[z⁺ x₂] of z = u x₁ + v x₂ + b by the values at the corners of each active set."""

    def at(x1, x2, power):
        return positive_part(b + x1 * u + x2 * v) ** power

    p, q = density, 1 - density
    line = [(at(1, 0, 3) - at(0, 0, 3), at(1, 0, 2), u), (at(0, 1, 3) - at(0, 0, 3), at(0, 1, 2), v)]
    square = at(1, 1, 4) - at(1, 0, 4) - at(0, 1, 4) + at(0, 0, 4)
    total = q * q * at(0, 0, 2) + p * q * sum(rise / (3 * w) for rise, _, w in line) + p * p * square / (12 * u * v)
    slopes = []  # E[z⁺ x] is half the derivative of E[(z⁺)²] with respect to the weight
    for (rise, end, w), other in zip(line, (at(1, 0, 3), at(0, 1, 3)), strict=True):
        edge = 4 * (at(1, 1, 3) - other) - square / w
        slopes.append(p * q * (end / w - rise / (3 * w * w)) / 2 + p * p * edge / (24 * u * v))
    return total, *slopes


def loss(importance, density, weight, extra, bias, extra_bias):
    """The loss of W = [weight, −extra] with two biases."""
    own, first, _ = moments(density, weight**2, -weight * extra, bias)
    other, _, second = moments(density, -weight * extra, extra**2, extra_bias)
    return density / 3 - 2 * first + own + importance * (density / 3 - 2 * second + other)


def limit(density):
    """The importance at which the state without the extra feature is about to take it in; see test_solved_boundaries."""
    p, q = density, 1 - density
    variance, half = p / 3 - p * p / 4, p / 2 + 2 * q * q
    bias = p * p / 2 / (half + mp.sqrt(half * half + p**3 * q))
    soft = p * variance + p * (bias - p / 2) ** 2 / 4 + q * (q * bias**2 + p * bias**3 / 3)
    return soft / variance, bias, variance


def third_order(density):
    """The third-order coefficient in ``extra`` of the loss that is minimal over the other parameters, at the limit."""
    importance, bias, variance = limit(density)
    values = []
    for extra in (REST, 2 * REST, 4 * REST):

        def others(*rest, extra=extra):
            return loss(importance, density, rest[0], extra, *rest[1:])

        def slopes(*rest, others=others):
            return [diff(others, rest, order, h=mpf(10) ** -22) for order in ((1, 0, 0), (0, 1, 0), (0, 0, 1))]

        lowest = findroot(slopes, (1 + extra / 100, bias * extra, density / 2), tol=1e-35, maxsteps=30)
        values.append((others(*lowest) - importance * variance) / extra**3)
    first, second = 2 * values[0] - values[1], 2 * values[1] - values[2]
    return (4 * first - second) / 3


@cache
def tricritical_points():
    """Where the order of a boundary of 2→1 changes, with importance below 1: (importance, density), by density."""
    found = phase_diagram(importance=np.geomspace(0.4, 0.98, 9), density=np.geomspace(0.4, 0.95, 9)).boundaries()
    ends = {(b.importance[k], b.density[k]) for b in found for k in (0, -1) if b.ends[k] == "order changes"}
    lowest, highest = min(ends, key=lambda end: end[1]), max(ends, key=lambda end: end[1])
    assert all(min(np.abs(np.subtract(end, one)).max() for one in (lowest, highest)) < 1e-9 for end in ends)
    return lowest, highest


@pytest.mark.parametrize("which", [0, 1])
def test_the_order_changes_where_the_third_order_vanishes(which):
    """The tricritical points of 2→1 lie at the closed form's importance and the root of an independent coefficient."""
    importance, density = tricritical_points()[which]
    with mp.workdps(60):
        p, shift = mpf(density), mpf(10) ** -4
        assert abs(limit(p)[0] - importance) < 1e-9
        slope = (third_order(p + shift) - third_order(p - shift)) / (2 * shift)
        assert abs(third_order(p) / slope) < 1e-9


@pytest.fixture(scope="module")
def boundaries():
    """The boundaries of 2→1 with importance below 1."""
    return phase_diagram(importance=np.geomspace(0.1, 0.98, 9), density=np.geomspace(0.1, 0.95, 9)).boundaries()


def test_a_feature_comes_in_where_the_closed_form_says(boundaries):
    """The spinodals of the phase without the extra feature lie where its curvature vanishes, which is known in closed form."""
    found = [s for b in boundaries for s in b.spinodals if s.phase == "extra not represented + dedicated"]
    assert found
    for spinodal in found:
        for importance, density in zip(spinodal.importance[::7], spinodal.density[::7], strict=True):
            assert importance == pytest.approx(float(limit(mpf(density))[0]), rel=1e-9)


def test_pairs_cease_where_an_independent_loss_has_a_fold(boundaries):
    """At the states on the spinodals of the pair the slopes and the lowest curvature of an independent loss vanish."""
    steps = np.eye(4, dtype=int)
    limits = {id(limit): limit for b in boundaries for limit in b.spinodals if len(limit.minima) > 20}.values()
    folds = [
        (limit.importance[k], limit.density[k], limit.minima[k])
        for limit in limits
        for k in range(4, len(limit.minima) - 4, 20)
        if np.all(limit.minima[k, :2])
    ]
    assert len(folds) > 8
    for importance, density, minimum in folds:
        assert minimum[0] * minimum[1] < 0
        importance, density = mpf(importance), mpf(density)
        x = [*map(mpf, np.abs(minimum[:2])), *map(mpf, minimum[2:])]

        def own(*y, controls=(importance, density)):
            return loss(*controls, *y)

        with mp.workdps(40):
            slopes = np.array([float(diff(own, x, tuple(step.tolist()))) for step in steps])
            second = [[float(diff(own, x, tuple((one + other).tolist()))) for other in steps] for one in steps]
        assert np.max(np.abs(slopes)) < 1e-14
        assert np.linalg.eigvalsh(second)[0] == pytest.approx(0, abs=1e-11)
