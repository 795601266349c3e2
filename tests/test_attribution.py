"""Causes: models planted in known places are given the right ones."""

import numpy as np
import pytest

from phasediag import ControlPlane, PhaseDiagram, ToyModel, minimize, optimal_bias, phase_diagram
from phasediag.attribution import CAUSES, attribute
from phasediag.trained_models import TRAINED, diagram_fields, evaluate_cells

IMPORTANCE, DENSITY = np.array([0.3, 1.0, 1.6]), np.array([0.2, 0.6])


def planted(n_features, n_hidden, models, importance=IMPORTANCE, density=DENSITY):
    """A trained diagram whose every cell has the models (weights, bias) that ``models(toy)`` lists."""
    cells = [[models(ToyModel(n_hidden, [*[1.0] * (n_features - 1), x], float(p))) for x in importance] for p in density]
    weights = np.array([[[w for w, _ in cell] for cell in row] for row in cells], dtype=np.float32)
    bias = np.array([[[b for _, b in cell] for cell in row] for row in cells], dtype=np.float32)
    plane = ControlPlane.importance_density(n_features, n_hidden, importance=importance, density=density)
    found = evaluate_cells(plane, weights, bias, "best", {"seed": 0})
    return PhaseDiagram(plane, TRAINED, **diagram_fields(found))


def attributed(n_features, n_hidden, models, **axes):
    grid = {"importance": IMPORTANCE, "density": DENSITY} | axes
    exact = phase_diagram(n_features, n_hidden, theory="global", **grid)
    return attribute(planted(n_features, n_hidden, models, **grid), exact), exact


@pytest.mark.parametrize(("n", "m"), [(2, 1), (3, 2)])
def test_minima_are_recognized(n, m):
    """A model at each local minimum: the global one agrees, every other is metastable in its own phase, as far above."""
    minima = {}

    def at_minima(toy):
        own = minima[toy] = minimize(toy, n_starts=8, seed=0)
        return [(own[k % len(own)].weights, own[k % len(own)].bias) for k in range(6)]

    found, exact = attributed(n, m, at_minima)
    seen = set()
    for i, k in np.ndindex(exact.loss.shape):
        own = minima[ToyModel(m, [*[1.0] * (n - 1), IMPORTANCE[k]], float(DENSITY[i]))]
        for s in range(6):
            minimum = own[s % len(own)]
            above = minimum.loss / own[0].loss - 1
            assert found.excess[i, k, s] == pytest.approx(above, abs=1e-6)
            if found.cause[i, k, s] != "agrees" or s == found.best[i, k]:
                assert found.barred[i, k, s] == pytest.approx(above, abs=1e-9) and abs(found.left[i, k, s]) < 1e-6
                assert found.basin[i, k, s] == minimum.phase.name
            if minimum.phase.name not in exact.phase[i, k].split(" = "):
                assert found.cause[i, k, s] == ("metastable" if above > 1e-9 else "statistical")
            else:
                assert found.cause[i, k, s] == "agrees"
            seen.add(found.cause[i, k, s])
    assert {"agrees", "metastable"} <= seen


def test_models_on_their_way_are_not_converged():
    """Weights of another name, far up the slope of the global minimum's basin: not converged, and the basin is found."""
    found, exact = attributed(2, 1, lambda toy: [([[1.0, -0.05]], [0.0, 0.0])], density=np.array([0.05]))
    assert np.all(found.phase == "extra not represented + dedicated")
    assert np.all(exact.phase == "extra in antipodal pair")
    assert np.all(found.cause == "not converged") and np.all(found.basin == exact.phase[..., None])
    assert np.all(np.abs(found.barred) < 1e-9) and np.all(found.left > 0.1) and np.all(found.excess == found.left)


@pytest.mark.quick
def test_a_dead_output_is_recognized():
    """An output that no input can raise above 0 has no gradient: its own cause."""
    found, _ = attributed(2, 1, lambda toy: [([[1.0, 0.0]], [0.0, -0.4])], density=np.array([0.02]))
    assert np.all(found.cause == "dead output") and np.all(found.basin == "")


def test_small_differences_within_the_basin_are_statistical():
    """Weights moved a little from the global minimum across the tolerance of names."""

    def moved(model):
        weights = minimize(model, n_starts=8, seed=0)[0].weights + np.array([[0.0, 0.11]])
        return [(weights, optimal_bias(model, weights))]

    found, exact = attributed(2, 1, moved, importance=np.array([0.85]), density=np.array([0.9]))
    assert exact.phase[0, 0] == "extra not represented + dedicated" and found.phase[0, 0, 0] == "extra in aligned pair"
    assert found.cause[0, 0, 0] == "statistical" and 0 < found.left[0, 0, 0] < 0.01


def test_a_loss_below_the_theory_is_unexplained():
    """A theory whose minimum is missed is not excused: even models with the theory's name are unexplained."""
    lowest = {"importance": np.array([0.3]), "density": np.array([0.2])}
    exact = phase_diagram(2, 1, theory="global", **lowest)
    wrong = PhaseDiagram(**{**{f: getattr(exact, f) for f in exact.__dataclass_fields__}, "loss": exact.loss * 1.01})
    trained = planted(2, 1, lambda toy: [(exact.weights[0, 0], exact.bias[0, 0])], **lowest)
    assert attribute(trained, exact).cause[0, 0, 0] == "agrees"
    assert attribute(trained, wrong).cause[0, 0, 0] == "unexplained"


def test_cells_show_their_best_model():
    """Grids of cells are those of the lowest loss, and every cause has a name."""
    found, _ = attributed(2, 1, lambda toy: [([[0.5, 0.5]], [0.0, 0.0]), ([[1.0, -1.0]], [0.0, 0.0])])
    assert np.all(found.of_cells("phase") == "extra in antipodal pair") and set(found.cause.ravel()) <= set(CAUSES)
    assert np.all(found.of_cells("excess") == found.excess.min(axis=-1))
