"""Laws that the least loss obeys on every plane, whatever its axes."""

import numpy as np
import pytest

from phasediag import Axis, ControlPlane, ToyModel, minimize, phase_diagram
from phasediag.model import variance

BASE = ToyModel(2, [1.0, 1.0, 0.8], [0.5, 0.3, 0.2])
RISING = {
    "importance": np.linspace(0.05, 3, 12),
    "importance_of_1": np.linspace(0.05, 3, 12),
    "importance_of_1_2": np.linspace(0.05, 3, 12),
}
"""Axes along which the loss of given weights and biases is affine and does not fall."""


def least(model, **axes):
    """The least losses over a plane, shape (n_y, n_x)."""
    names = [Axis(name, values, log=False) for name, values in axes.items()]
    return phase_diagram(plane=ControlPlane(model, *names), n_starts=8).loss


@pytest.mark.parametrize("name", RISING)
@pytest.mark.parametrize("activation", ["relu", "linear"])
def test_the_least_loss_is_concave_and_does_not_fall(name, activation):
    """A minimum over functions that are affine along the axis, and do not fall, is concave and does not fall."""
    base = ToyModel(2, BASE.importance, BASE.density, activation)
    loss = least(base, **{name: RISING[name], "density": [0.1, 0.4, 0.9]})
    scale = np.abs(loss).max(axis=1, keepdims=True)
    assert np.all(np.diff(loss, axis=1) > -1e-12 * scale)
    assert np.all(np.diff(loss, 2, axis=1) < 1e-12 * scale)
    assert np.any(np.diff(loss, 2, axis=1) < -1e-6 * scale)  # and somewhere truly


@pytest.mark.parametrize("density", [0.05, 0.3, 0.8])
def test_a_feature_more_costs_at_most_its_variance_and_a_dimension_more_nothing(density):
    """L*(n + 1, m) ≤ L*(n, m) + v and L*(n, m + 1) ≤ L*(n, m), along the ratio r of a profile."""
    ratios = np.array([0.5, 0.8, 1.0])
    sizes = [(2, 1), (3, 1), (3, 2), (4, 2), (4, 3)]
    found = {}
    for n, m in sizes:
        found[n, m] = least(ToyModel(m, np.ones(n), density), profile=ratios)[0]
    for n, m in sizes:
        if (n + 1, m) in found:
            assert np.all(found[n + 1, m] <= found[n, m] + ratios**n * variance(density) + 1e-12)
        if (n, m + 1) in found:
            assert np.all(found[n, m + 1] <= found[n, m] + 1e-12)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (Axis("profile", [0.4, 0.9, 1.3], log=False), Axis("density", [0.1, 0.7])),
        (Axis("density", [0.1, 0.5, 1.0]), Axis("density_of_3", [0.05, 0.6])),
        (Axis("importance_of_1", [0.2, 1.0, 4.0]), Axis("density_of_2_3", [0.2, 1.0])),
    ],
)
def test_no_multistart_finds_less(x, y):
    """Fresh multistarts of single models find the losses of the plane's cells, and none below."""
    diagram = phase_diagram(plane=ControlPlane(BASE, x, y))
    assert diagram.converged.all()
    for i, j in np.ndindex(diagram.loss.shape):
        fresh = minimize(diagram.plane.model(diagram.x[j], diagram.y[i]), n_starts=32, seed=1)[0]
        assert diagram.loss[i, j] == pytest.approx(fresh.loss, rel=1e-11)
