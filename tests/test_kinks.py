"""Minima on kinks: values that are atoms, some below 0."""

import numpy as np
import pytest
from scipy.optimize import minimize as optimize

from phasediag import (
    Axis,
    ControlPlane,
    Penalty,
    Pieces,
    ToyModel,
    expected_loss,
    expected_loss_and_gradient,
    minimize,
    phase_diagram,
)
from phasediag._minimizing.flat import flatten
from phasediag._minimizing.kinks import Inputs

SIGNS, SKEW = Pieces(atoms=[(-1, 0.5), (1, 0.5)]), Pieces(atoms=[(-0.7, 0.4), (1, 0.6)])
MODELS = {
    "signs": ToyModel(1, [1.0, 0.8], 0.5, values=SIGNS),
    "skew": ToyModel(2, [1.0, 0.8, 0.6], 0.4, values=SKEW),
    "leaky": ToyModel(1, [1.0, 0.7], 0.6, "leaky", slope=0.3, values=SKEW, penalty=Penalty(0.01, 0.02)),
}


def loss_at(model, points):
    """The exact losses of flat points (n_points, size)."""
    points = np.atleast_2d(points)
    count = model.n_hidden * model.n_features
    return expected_loss(model, points[:, :count].reshape(-1, model.n_hidden, model.n_features), points[:, count:])


@pytest.mark.parametrize("name", MODELS)
def test_the_loss_by_inputs_is_the_exact_one(name):
    """Loss, gradient and second derivatives off the kinks against the kernels and differences."""
    model, generator = MODELS[name], np.random.default_rng(0)
    inputs, point = Inputs.of(model), generator.normal(size=model.form.size)
    count = model.n_hidden * model.n_features
    loss, *gradient = expected_loss_and_gradient(model, point[:count].reshape(model.n_hidden, -1), point[count:])
    own, slopes = inputs.rounded(point, 1e-300)
    assert own * model.loss_scale == pytest.approx(loss, rel=1e-14)
    assert np.allclose(slopes * model.loss_scale, flatten(*gradient), rtol=0, atol=1e-14)
    nothing = np.zeros(inputs.x.shape, dtype=bool)
    again, hessian = inputs.smooth(point, nothing)
    assert np.allclose(again, slopes, rtol=0, atol=1e-14)
    for k, step in enumerate(1e-6 * np.eye(point.size)):
        along = (inputs.smooth(point + step, nothing)[0] - inputs.smooth(point - step, nothing)[0]) / 2e-6
        assert np.allclose(hessian[k], along, rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", MODELS)
def test_no_direction_leads_down(name):
    """One-sided differences in 2 000 directions do not fall, and across a kink rise at first order on both sides."""
    model, generator, seen = MODELS[name], np.random.default_rng(1), 0
    for one in minimize(model, n_starts=8, effort="quick", seed=0):
        point = flatten(one.weights, one.bias)
        directions = generator.normal(size=(2000, point.size))
        directions /= np.linalg.norm(directions, axis=1)[:, None]
        for step in (1e-4, 1e-3):
            assert np.all(loss_at(model, point + step * directions) >= one.loss - 1e-12), one.phase.name
        assert one.converged and one.loss == pytest.approx(loss_at(model, point)[0], rel=1e-13)
        for output, x in one.kinks:
            assert x[output] < 0 and abs((one.weights.T @ one.weights @ x + one.bias)[output]) < 1e-9
            for side in (1, -1):
                rise = (loss_at(model, point + side * 1e-6 * np.eye(point.size)[output - model.n_features])[0] - one.loss) / 1e-6
                assert rise > 1e-4
            seen += 1
    assert seen > 0 or name == "leaky"


@pytest.mark.parametrize("name", MODELS)
def test_a_search_without_slopes_finds_nothing_lower(name):
    """Nelder and Mead's simplex from random starts ends above the lowest minimum, and near it."""
    model, generator = MODELS[name], np.random.default_rng(2)
    lowest = minimize(model, n_starts=12, effort="quick", seed=0)[0].loss
    inputs, options = Inputs.of(model), {"xatol": 1e-9, "fatol": 1e-13, "maxiter": 3000}
    starts = 0.8 * generator.normal(size=(12, model.form.size))
    ends = [optimize(lambda x: inputs.rounded(x, 1e-300)[0], start, method="Nelder-Mead", options=options) for start in starts]
    assert lowest * (1 - 1e-9) < model.loss_scale * min(end.fun for end in ends) < 1.1 * lowest


def test_cells_of_diagrams_have_minima_on_kinks():
    """Over a plane no multistart finds less, minima on kinks included; the diagram is saved and loaded."""
    plane = ControlPlane(MODELS["signs"], Axis("importance", [0.5, 1.5]), Axis("density", [0.2, 0.8]))
    diagram = phase_diagram(plane=plane, n_starts=6)
    for i, j in np.ndindex(2, 2):
        lowest = minimize(plane.model(diagram.x[j], diagram.y[i]), n_starts=8, effort="quick", seed=1)[0]
        assert diagram.loss[i, j] == pytest.approx(lowest.loss, rel=1e-10)
    assert diagram.converged.all()


def test_what_has_no_engine_is_one_sentence():
    """Mixtures with intervals, and curves between cells: errors say what has those of atoms."""
    mixed = Pieces(atoms=[(-1, 0.5)], intervals=[(0, 1, 0.5)])
    model = ToyModel(1, [1.0, 0.8], 0.5, values=mixed)
    for search in (minimize, lambda model: phase_diagram(plane=ControlPlane(model, Axis("density", [0.1, 0.5])))):
        with pytest.raises(ValueError, match="values must be atoms alone, or none below 0, where minima are searched"):
            search(model)
    diagram = phase_diagram(plane=ControlPlane(MODELS["signs"], Axis("density", [0.1, 0.9])), n_starts=1)
    with pytest.raises(ValueError, match="cells of diagrams have those of atoms alone"):
        diagram.boundaries()
