"""Training of neurons: the same bits, the known minima, and a cause for every difference."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from phasediag import (
    AnticorrelatedSets,
    Axis,
    ControlPlane,
    NeuronModel,
    PhaseDiagram,
    expected_loss,
    minimize,
    train,
    trained_phase_diagram,
    validate,
    validate_neurons,
    validate_trained,
)
from phasediag.figures import draw_causes
from phasediag.trained_models import TRAINED, diagram_fields, evaluate_cells

FAST = dict(n_steps=3000, batch_size=256, learning_rate=0.01, schedule="linear")


@pytest.mark.quick
def test_one_seed_one_result():
    """The same seed gives the same bits on one thread and on two, for either gradient; another seed does not."""
    model = NeuronModel(2, [1.0, 0.8], 0.3, task="absolute")
    for gradient in ("minibatch", "population"):
        options = dict(n_models=3, n_steps=20, batch_size=32, gradient=gradient)
        one, two, other = (train(model, seed=s, n_threads=k, **options) for s, k in ((1, 1), (1, 2), (2, 1)))
        assert np.array_equal(one.encoder, two.encoder) and np.array_equal(one.bias, two.bias)
        assert not np.array_equal(one.encoder, other.encoder)
        again = train(one.model, **one.options)
        assert np.array_equal(one.decoder, again.decoder)


def test_first_step_follows_the_exact_gradient():
    """Averaged over many samples the minibatch's first step of AdamW has the exact gradient's signs, under joint activity too."""
    for activity in (None, AnticorrelatedSets([[0, 1]])):
        model = NeuronModel(2, [1.0, 0.5], 0.6, task="identity", activity=activity)
        runs = [
            train(model, n_models=4, n_steps=1, batch_size=200_000, learning_rate=1e-3, weight_decay=0.0, gradient=g, seed=3)
            for g in ("minibatch", "population")
        ]
        assert np.abs(runs[0].encoder - runs[1].encoder).max() < 1e-4
        assert np.abs(runs[0].bias - runs[1].bias).max() < 1e-4


def test_trained_models_reach_the_minima():
    """2→1 identity, dense: the best model is the exact minimum; its loss is exact."""
    model = NeuronModel(1, [1.0, 0.7], 0.9)
    run, lowest = train(model, n_models=6, seed=0, weight_decay=0.0, **FAST), minimize(model, n_starts=20)[0]
    assert run.loss[run.best] == pytest.approx(lowest.loss, rel=3e-3) and run.loss.min() >= lowest.loss
    assert run.phases[run.best].neurons == ("monosemantic",)
    assert run.loss[2] == expected_loss(model, run.encoder[2], run.bias[2])


@pytest.mark.parametrize(("n", "m", "task"), [(2, 1, "identity"), (2, 2, "absolute")])
def test_every_difference_has_a_cause(n, m, task):
    """No trained model is lower than the theory, and each that is not in the lowest minimum has a cause."""
    report = validate_neurons(NeuronModel(m, [1.0, 0.9], 0.1, task=task), n_models=12, weight_decay=0.0, **FAST)
    assert report.consistent and np.all(report.excess > -1e-9)
    assert "agrees" in report.cause and "metastable" in report.cause


@pytest.mark.parametrize("task", ["identity", "absolute"])
def test_validate_names_every_difference_over_a_plane(task, tmp_path):
    """Exact losses agree with samples, no model is lower than the theory, each difference has a cause; files keep all of it."""
    plane = ControlPlane(
        NeuronModel(2 if task == "absolute" else 1, [1.0, 1.0], 0.5, task=task),
        x=Axis("importance", [0.3, 0.7]),
        y=Axis("density", [0.05, 0.9]),
    )
    report = validate(plane=plane, n_seeds=4, n_samples=4000, weight_decay=0.0, **FAST)
    trained, exact = report.trained, report.agreements["global"].theory
    assert report.consistent and np.nanmin(report.attribution.barred) > -1e-8 and trained.converged.all()
    assert {"agrees", "metastable", "not converged"} >= set(report.attribution.of_cells("cause").ravel()) - {
        "statistical",
        "tolerance",
    }
    assert "growing weights" in report.facts()["causes"] and f"neurons, {task}" in report.text()
    assert np.all(trained.loss >= exact.loss * (1 - 1e-9)) and trained.loss == pytest.approx(exact.loss, rel=1e-2, abs=0.3)
    model = plane.model(0.7, 0.9)
    stacked, m = trained.trained.weights[1, 1], model.n_hidden
    tied = stacked.shape[-2] == m
    weights = stacked if tied else (np.swapaxes(stacked[..., -m:, :], -1, -2), stacked[..., :m, :])
    assert trained.trained.loss[1, 1] == pytest.approx(expected_loss(model, weights, trained.trained.bias[1, 1]), rel=1e-13)
    trained.save(tmp_path / "trained.npz")
    again = validate_trained(PhaseDiagram.load(tmp_path / "trained.npz"), n_samples=4000)
    assert again.text() == report.text()


def test_small_weights_are_a_cause_of_their_own():
    """The exact minimum itself, whose second weight is 0.23 or 0.07 of the first: of one name, of two by their tolerance. And a
    neuron that is never on."""
    plane = ControlPlane(NeuronModel(1, [1.0, 1.0], 0.2), x=Axis("importance", [1.5, 2.0, 2.5]), y=Axis("density", [0.2]))
    found = [minimize(plane.model(x, 0.2), n_starts=8)[0] for x in plane.x.values]
    weights, bias = np.array([one.encoder for one in found]), np.array([one.bias for one in found])
    weights[2], bias[2] = -1.0, 0.1
    models = evaluate_cells(plane, weights[None, :, None], bias[None, :, None], "best", {"seed": 0})
    report = validate_trained(PhaseDiagram(plane, TRAINED, **diagram_fields(models)), n_samples=200)
    assert report.attribution.of_cells("cause").tolist() == [["agrees", "tolerance", "dead neuron"]]
    artists = draw_causes(report, Figure().subplots())
    assert [text.get_text() for text in artists["legend"].get_texts()] == ["agrees (1)", "tolerance (1)", "dead neuron (1)"]


@pytest.mark.quick
def test_cells_do_not_depend_on_the_grid():
    """A cell's models are the same in another grid, for fewer seeds and on one thread."""
    model, options = NeuronModel(1, [1.0, 1.0], 0.5), dict(n_steps=30, batch_size=16, seed=3)
    whole = trained_phase_diagram(
        plane=ControlPlane(model, x=Axis("importance", [0.5, 1.0]), y=Axis("density", [0.1, 0.2])), n_seeds=3, **options
    )
    part = trained_phase_diagram(
        plane=ControlPlane(model, x=Axis("importance", [1.0]), y=Axis("density", [0.2])), n_seeds=2, n_threads=1, **options
    )
    assert np.array_equal(whole.trained.weights[1:, 1:, :2], part.trained.weights)


def test_bad_input_is_named():
    """What training of neurons does not have is refused."""
    model = NeuronModel(1, np.ones(7), 0.5)
    with pytest.raises(ValueError, match="at most 6 features for an exact gradient"):
        train(model, gradient="population")
    with pytest.raises(ValueError, match="optimizer must be the default, 'adamw', for neurons, got 'sgd'"):
        train(model, optimizer="sgd")
    with pytest.raises(ValueError, match=r"device must be the default, 'cpu', for neurons"):
        train(model, device="cuda")
    plane = ControlPlane(model, x=Axis("importance", [1.0]))
    with pytest.raises(ValueError, match="n_features must be a whole number from 1 to 4, got 7"):
        trained_phase_diagram(plane=plane)
    with pytest.raises(ValueError, match="store must be the default, None, for neurons"):
        trained_phase_diagram(plane=plane, store="models.zarr")
    with pytest.raises(ValueError, match="learning_rate must be small enough"):
        train(NeuronModel(1, [1.0, 1.0], 0.5), learning_rate=1e200, n_steps=50, n_models=1)
