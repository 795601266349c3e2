"""Laws that the least loss obeys on every plane, whatever its axes."""

import numpy as np
import pytest

from phasediag import (
    AnticorrelatedSets,
    Axis,
    ControlPlane,
    CorrelatedSets,
    ExactlyActive,
    Penalty,
    PhaseDiagram,
    ToyModel,
    expected_loss,
    minimize,
    phase_diagram,
)
from phasediag.forms import variance

BASE = ToyModel(2, [1.0, 1.0, 0.8], [0.5, 0.3, 0.2])
RISING = {
    "importance": np.linspace(0.05, 3, 12),
    "importance_of_1": np.linspace(0.05, 3, 12),
    "importance_of_1_2": np.linspace(0.05, 3, 12),
    "weight_penalty": np.linspace(0, 0.05, 12),
    "interference_penalty": np.linspace(0, 0.02, 12),
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
    flat = (activation, name) == ("linear", "interference_penalty")  # it stores features apart, which costs nothing
    assert np.any(np.diff(loss, 2, axis=1) < -1e-6 * scale) != flat  # and somewhere truly


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


OTHERS = {
    "binary": {"values": "binary"},
    "signed": {"values": "signed"},
    "leaky": {"activation": "leaky", "slope": 0.3},
    "correlated": {"activity": CorrelatedSets([[0, 1]])},
    "anticorrelated": {"activity": AnticorrelatedSets([[0, 1]])},
    "exactly": {"activity": ExactlyActive(2)},
    "penalised": {"penalty": Penalty(0.01, 0.01)},
}


@pytest.mark.parametrize("law", OTHERS)
def test_the_least_loss_is_concave_in_importance_and_penalties_under_every_law(law):
    """As above, for other laws, values and outputs, along the importance, γ and λ."""
    base = ToyModel(2, [1.0, 1.0, 0.8], 0.4, **OTHERS[law])
    for name in ("importance", "weight_penalty", "interference_penalty"):
        loss = least(base, **{name: RISING[name][::2]})[0]
        scale = base.loss_scale  # of an anticorrelated pair nothing is lost
        assert np.all(np.diff(loss) > -1e-12 * scale) and np.all(np.diff(loss, 2) < 1e-12 * scale), name


@pytest.mark.parametrize("law", [name for name in OTHERS if name != "exactly"])
def test_sizes_obey_their_inequalities_under_every_law(law):
    """L*(n + 1, m) ≤ L*(n, m) + v and L*(n, m + 1) ≤ L*(n, m): the new feature is as the others, or in no set."""
    models = {(n, m): ToyModel(m, 0.9 ** np.arange(n), 0.3, **OTHERS[law]) for n, m in ((2, 1), (3, 1), (3, 2), (4, 2))}
    found = {size: minimize(model, n_starts=12, seed=0)[0].loss for size, model in models.items()}
    for (n, m), loss in found.items():
        if (n + 1, m) in found:
            assert found[n + 1, m] <= loss + 0.9**n * models[n + 1, m].feature_variance[n] + 1e-12
        if (n, m + 1) in found:
            assert found[n, m + 1] <= loss + 1e-12


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (Axis("profile", [0.4, 0.9, 1.3], log=False), Axis("density", [0.1, 0.7])),
        (Axis("density", [0.1, 0.5, 1.0]), Axis("density_of_3", [0.05, 0.6])),
        (Axis("importance_of_1", [0.2, 1.0, 4.0]), Axis("density_of_2_3", [0.2, 1.0])),
        (Axis("slope", [0.0, 0.4, 1.0], log=False), Axis("density", [0.1, 0.7])),
        (Axis("interference_penalty", [0.0, 0.003, 0.05], log=False), Axis("weight_penalty", [0.0, 0.01], log=False)),
    ],
)
def test_no_multistart_finds_less(x, y):
    """Fresh multistarts of single models find the losses of the plane's cells, and none below."""
    diagram = phase_diagram(plane=ControlPlane(BASE, x, y))
    assert diagram.converged.all()
    for i, j in np.ndindex(diagram.loss.shape):
        fresh = minimize(diagram.plane.model(diagram.x[j], diagram.y[i]), n_starts=32, seed=1)[0]
        assert diagram.loss[i, j] == pytest.approx(fresh.loss, rel=1e-11)


LAWS = [CorrelatedSets([[0, 1]]), AnticorrelatedSets([[0, 1], [2]]), ExactlyActive(2)]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: type(law).__name__)
@pytest.mark.parametrize("values", ["uniform", "binary", "signed"])
def test_a_share_of_joint_activity_mixes_the_losses(law, values):
    """The loss at share s is (1 − s) that of independent features + s that of the law, whatever the weights and densities."""
    base = ToyModel(2, [1.0, 0.9, 0.8], 0.5, activity=law, values=values)
    plane = ControlPlane(base, Axis("activity_share", [0.0, 0.3, 1.0], log=False), Axis("density", [0.1, 0.6, 1.0]))
    generator = np.random.default_rng(0)
    weights, bias = generator.normal(size=(5, 2, 3)), 0.3 * generator.normal(size=(5, 3))
    for share, density in np.ndindex(3, 3):
        share, density = plane.x.values[share], plane.y.values[density]
        alone, jointly = (ToyModel(2, base.importance, density, activity=one, values=values) for one in (None, law))
        mixed = (1 - share) * expected_loss(alone, weights, bias) + share * expected_loss(jointly, weights, bias)
        assert np.allclose(expected_loss(plane.model(share, density), weights, bias), mixed, rtol=1e-12, atol=0)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: type(law).__name__)
def test_planes_of_laws_come_back_from_files(law, tmp_path):
    """A saved diagram has the same plane: law, values, penalty and slope, and the model at any point."""
    base = ToyModel(2, [1.0, 0.9, 0.8], 0.5, "leaky", activity=law, values="binary", slope=0.2)
    for name in ("activity_share", "slope", "interference_penalty"):
        plane = ControlPlane(base, Axis(name, [0.0, 0.1], log=False), Axis("density", [0.5]))
        phase_diagram(plane=plane, n_starts=2).save(tmp_path / "diagram.npz")
        loaded = PhaseDiagram.load(tmp_path / "diagram.npz")
        assert loaded.plane == plane and loaded.plane.model(0.05, 0.4) == plane.model(0.05, 0.4)


def test_equal_features_have_one_name_on_a_plane():
    """Where the extra feature is equal to others its phase has the same name in every cell of one phase."""
    diagram = phase_diagram(plane=ControlPlane(ToyModel(2, np.ones(3), 0.5), Axis("density", np.geomspace(0.05, 0.5, 12))))
    assert len(set(diagram.phase[0])) == 1 and diagram.plane.classes == ((0, 1, 2),)
    losses = [
        expected_loss(diagram.plane.model(x, 0.0), w, b)
        for x, w, b in zip(diagram.x, diagram.weights[0], diagram.bias[0], strict=True)
    ]
    assert np.allclose(losses, diagram.loss[0], rtol=1e-12, atol=0)


def test_a_share_needs_a_law():
    """Without a law of joint activity there is nothing to take a share of."""
    with pytest.raises(ValueError, match="activity must be a law of joint activity for an axis activity_share, got None"):
        ControlPlane(BASE, Axis("activity_share", [0.5]))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("slope", 1.5, r"slope must be in \[0, 1\], got 1.5"),
        ("activity_share", -0.1, r"activity_share must be in \[0, 1\], got -0.1"),
        ("weight_penalty", -1.0, "weight_penalty must be at least 0, got -1"),
    ],
)
def test_axes_have_the_domain_of_their_parameter(name, value, words):
    """One sentence names axis, domain and value."""
    with pytest.raises(ValueError, match=words):
        Axis(name, [value], log=False)


def test_planes_are_drawn_over_their_own_axes():
    """Linear and logarithmic axes are drawn as such."""
    pair = ToyModel(1, [1.0, 0.8], 0.5)
    diagram = phase_diagram(plane=ControlPlane(pair, Axis("slope", [0.0, 0.5, 1.0], log=False), Axis("density", [0.1, 0.5])))
    axes = diagram.plot().axes[0]
    assert axes.get_xscale() == "linear" and axes.get_yscale() == "log"
