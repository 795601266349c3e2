"""Models trained elsewhere beside a diagram: agreement, ties and misses told apart, and a diagram made of them."""

import numpy as np
import pytest

from phasediag import (
    Axis,
    ControlPlane,
    ToyModel,
    compare,
    diagram_of_models,
    expected_loss,
    minimize,
    phase_diagram,
    trained_phase_diagram,
    validate_trained,
)

IMPORTANCE, DENSITY = np.array([0.5, 1.0, 2.0]), np.array([0.1, 0.3, 0.9])


@pytest.fixture(scope="module")
def exact():
    """3→2 over nine cells."""
    return phase_diagram(3, 2, importance=IMPORTANCE, density=DENSITY)


def minima_at(importance, density):
    """Weights, biases and phases of the minima of one cell, lowest first."""
    minima = minimize(ToyModel(2, [1, 1, importance], density))
    return np.array([m.weights for m in minima]), np.array([m.bias for m in minima]), [m.phase.name for m in minima]


def test_minima_agree_or_are_metastable(exact):
    """On and between cells the lowest minimum agrees, the others are metastable; the losses are those of expected_loss."""
    for importance, density in ((0.5, 0.1), (0.7, 0.2), (2.0, 0.1)):
        weights, bias, names = minima_at(importance, density)
        found = compare(exact, weights, bias, importance=importance, density=density)
        assert len(names) > 1 and found.phase.tolist() == names and found.theory.tolist() == [names[0]] * len(names)
        assert found.cause.tolist() == ["agrees"] + ["metastable"] * (len(names) - 1)
        assert np.allclose(found.loss, expected_loss(ToyModel(2, [1, 1, importance], density), weights, bias), rtol=1e-12)
        assert np.allclose(found.lowest, found.loss[0], rtol=1e-12) and found.share == pytest.approx(1 / len(names))


def test_ties_are_no_misses(exact):
    """At importance 1 the pair may hold the extra feature or not: both are the theory's, and neither is one without the other."""
    pair, other = np.array([[1.0, 0, 0], [0, 1, -1]]), np.array([[1.0, -1, 0], [0, 0, 1]])
    found = compare(exact, [pair, other], np.zeros(3), importance=1.0, density=0.1)
    assert found.cause.tolist() == ["tie", "tie"] and found.share == 1.0 and " = " in found.theory[0]
    found = compare(exact, [pair, other], np.zeros(3), importance=[0.5, 0.5], density=0.1)
    assert found.cause[0] == "agrees" and found.cause[1] in ("metastable", "not converged") and " = " not in found.theory[0]


def test_other_causes(exact):
    """Weights far from a minimum have not converged; an output that is always 0 is dead; the text counts them."""
    far, dead = np.array([[0.4, 0.1, 0.1], [0.2, 0.5, 0.2]]), np.array([[1.0, 0, 0], [0, 1, 0]])
    found = compare(exact, [far, dead], [[0.0, 0, 0], [0, 0, -1]], importance=0.5, density=0.1)
    assert found.cause[0] == "not converged" and found.cause[1] == "dead output"
    assert found.counts()["dead output"] == 1 and "2 models beside 3→2: 0.00 % in the theory's phase" in found.text()
    assert "not converged      1" in found.text() and repr(found).startswith(
        "Comparison(diagram=<PhaseDiagram>, importance=[0.5, 0.5],"
    )


def test_a_diagram_of_models_is_that_of_their_training(exact):
    """Models given one by one, in any order, make the diagram that their own training made."""
    own = trained_phase_diagram(
        3, 2, importance=IMPORTANCE, density=DENSITY, n_seeds=2, n_steps=300, reduction="best", n_threads=1
    )
    order = np.random.default_rng(0).permutation(18)
    density, importance, _ = np.meshgrid(DENSITY, IMPORTANCE, [0, 1], indexing="ij")
    flat = {"importance": importance.ravel()[order], "density": density.ravel()[order]}
    weights, bias = own.trained.weights.reshape(18, 2, 3)[order], own.trained.bias.reshape(18, 3)[order]
    made = diagram_of_models(weights, bias, **flat)
    assert made.theory == "trained" and np.allclose(made.loss, own.loss, rtol=1e-12) and np.array_equal(made.phase, own.phase)
    assert np.array_equal(made.importance, IMPORTANCE) and np.array_equal(made.density, DENSITY)
    report = validate_trained(made, n_samples=200, n_threads=1, curves=False)
    assert "2 models a cell, trained elsewhere" in report.text() and report.plot()._repr_png_().startswith(b"\x89PNG")
    found = compare(exact, weights, bias, **flat)
    assert np.allclose(np.sort(found.loss), np.sort(own.trained.loss.ravel()), rtol=1e-12)
    assert len(found.cause) == 18 and sum(found.counts().values()) == 18


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(diagram=3), 'diagram must be a PhaseDiagram of theory "global", got 3'),
        (dict(importance=3.0), "importance must be within the diagram's axis, 0.5 to 2, got 3"),
        (dict(density=0.01), "density must be within the diagram's axis, 0.1 to 0.9, got 0.01"),
        (dict(density=[0.1, 0.2]), r"density must be one number or one for each of the 1 models, got shape \(2,\)"),
        (dict(importance=-1.0), "importance must be positive"),
        (dict(weights=np.ones((2, 3))), r"weights must have shape \(n_models, 2, 3\), got \(2, 3\)"),
        (dict(weights=np.ones((1, 2, 4))), r"weights must have shape"),
        (dict(tolerance=2), r"tolerance must be in \(0, 1\)"),
    ],
)
def test_misuse_is_refused(exact, change, message):
    """The argument, its domain and its value."""
    arguments = dict(diagram=exact, weights=np.ones((1, 2, 3)), bias=np.zeros(3), importance=1.0, density=0.1) | change
    with pytest.raises(ValueError, match=message):
        compare(arguments.pop("diagram"), arguments.pop("weights"), arguments.pop("bias"), **arguments)


def test_models_that_form_no_grid_are_refused():
    """A point with fewer models than others, and weights of one model alone."""
    with pytest.raises(ValueError, match="must form a full grid with equally many models at every point, got 0 to 1 models"):
        diagram_of_models(np.ones((3, 1, 2)), np.zeros(2), importance=[1, 2, 2], density=[0.1, 0.1, 0.5])
    with pytest.raises(ValueError, match=r"weights must have shape \(n_models, n_hidden, n_features\), got \(1, 2\)"):
        diagram_of_models(np.ones((1, 2)), np.zeros(2), importance=1, density=0.1)


def test_biases_of_models_without_them_are_refused():
    """A diagram without biases says nothing of models that have some: they were compared, as ones that do better or worse."""
    plane = ControlPlane(ToyModel(1, [1, 1], 0.1).without_biases(), Axis("importance", [0.5, 2]), Axis("density", [0.1, 0.9]))
    diagram = phase_diagram(plane=plane, n_starts=2)
    with pytest.raises(ValueError, match=r"bias must be 0 in a model without biases, got 0\.1"):
        compare(diagram, [[[1.0, -0.9]]], [0.0, 0.1], importance=0.5, density=0.1)
    assert compare(diagram, [[[1.0, -1.0]]], [0.0, 0.0], importance=0.5, density=0.1).cause.size == 1
