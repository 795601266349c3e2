"""Trained phase diagrams: the paper's protocol, what decides their bits, what they refuse."""

from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import fields
from io import BytesIO
from multiprocessing import get_context

import numpy as np
import pytest
from matplotlib.figure import Figure

from phasediag import (
    Axis,
    ControlPlane,
    PhaseDiagram,
    ToyModel,
    TrainedModels,
    classify,
    expected_loss,
    expected_loss_and_gradient,
    feature_norm,
    interference,
    minimize,
    trained_phase_diagram,
)
from phasediag._training import portions
from phasediag.figures import diagram_figure, draw_phase_diagram

IMPORTANCE, DENSITY = np.geomspace(0.1, 10, 5), np.array([0.05, 0.3, 1.0])
SMALL = dict(importance=IMPORTANCE, density=DENSITY, n_seeds=4, n_steps=60, batch_size=64, learning_rate=0.03)


@pytest.fixture(scope="module")
def small():
    return trained_phase_diagram(3, 2, **SMALL)


def same(one, two):
    return np.array_equal(one.trained.weights, two.trained.weights) and np.array_equal(one.trained.bias, two.trained.bias)


@pytest.mark.parametrize("reduction", ["paper", "best"])
def test_every_cell_follows_the_protocol(reduction):
    """By hand: exact losses, the worst discarded or the best kept, invariants averaged, the best model shown."""
    diagram = trained_phase_diagram(3, 2, **SMALL, reduction=reduction)
    models = diagram.trained
    assert isinstance(models, TrainedModels) and models.weights.shape == (3, 5, 4, 2, 3) and diagram.theory == "trained"
    for p, x in np.ndindex(3, 5):
        toy = ToyModel(2, [1, 1, IMPORTANCE[x]], DENSITY[p])
        weights, bias = models.weights[p, x].astype(float), models.bias[p, x].astype(float)
        losses = np.array([expected_loss(toy, w, b) for w, b in zip(weights, bias, strict=True)])
        assert np.allclose(models.loss[p, x], losses, rtol=1e-13, atol=0)
        order = np.argsort(losses)
        kept = order[:-1] if reduction == "paper" else order[:1]
        assert sorted(np.flatnonzero(models.kept[p, x])) == sorted(kept)
        assert diagram.feature_norm[p, x] == pytest.approx(np.mean([feature_norm(weights[k])[-1] for k in kept]), rel=1e-13)
        assert diagram.interference[p, x] == pytest.approx(np.mean([interference(weights[k])[-1] for k in kept]), rel=1e-12)
        phases = [classify(w, tolerance=0.1) for w in weights]
        best = phases[order[0]]
        assert (diagram.phase[p, x], diagram.extra[p, x]) == (best.name, best.extra)
        assert diagram.coexisting[p, x] == tuple(dict.fromkeys(phases[k].name for k in kept))
        assert np.array_equal(diagram.weights[p, x], weights[order[0]]) and np.array_equal(diagram.bias[p, x], bias[order[0]])
        assert diagram.loss[p, x] == models.loss[p, x].min()
        assert models.metastable_fraction[p, x] == np.mean([phase.name != best.name for phase in phases])
        for name, lowest in zip(diagram.candidates, diagram.candidate_loss[:, p, x], strict=True):
            own = [loss for loss, phase in zip(models.loss[p, x], phases, strict=True) if phase.name == name]
            assert lowest == min(own) if own else np.isnan(lowest)
        gradients = [expected_loss_and_gradient(toy, w, b)[1:] for w, b in zip(weights, bias, strict=True)]
        norms = [np.sqrt(sum((part**2).sum() for part in gradient)) for gradient in gradients]
        assert np.allclose(models.gradient_norm[p, x], norms, rtol=1e-12, atol=0)
    assert np.array_equal(diagram.converged, models.excess <= 0.01)


@pytest.mark.parametrize("independent", [False, True])
def test_a_cell_does_not_depend_on_the_rest(independent):
    """Fewer importances, densities and seeds give the same models where they are."""
    options = {**SMALL, "independent": independent}
    whole = trained_phase_diagram(3, 2, **options)
    part = trained_phase_diagram(3, 2, **{**options, "importance": IMPORTANCE[2:4], "density": DENSITY[1:2], "n_seeds": 2})
    assert np.array_equal(part.trained.weights, whole.trained.weights[1:2, 2:4, :2])
    assert np.array_equal(part.trained.bias, whole.trained.bias[1:2, 2:4, :2])
    assert not same(whole, trained_phase_diagram(3, 2, **options, seed=1))


@pytest.mark.parametrize(("n", "m"), [(3, 2), (12, 3)])
def test_bits_depend_on_neither_threads_nor_executor_nor_division(n, m, monkeypatch):
    """One thread, three, a pool of threads, portions of few models: the same bits."""
    options = {**SMALL, "importance": np.geomspace(0.1, 10, 20), "density": DENSITY[:2], "n_seeds": 2}
    one = trained_phase_diagram(n, m, **options, n_threads=1)
    assert same(one, trained_phase_diagram(n, m, **options, n_threads=3))
    with ThreadPoolExecutor(2) as pool:
        assert same(one, trained_phase_diagram(n, m, **options, executor=pool))
        assert pool.submit(int, 1).result() == 1  # the caller's pool stays open
    monkeypatch.setattr(portions, "MOST_WORK", 1)
    assert same(one, trained_phase_diagram(n, m, **options))


def test_processes_give_the_same_bits(small):
    """A pool of fresh processes can train the portions."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert same(small, trained_phase_diagram(3, 2, **SMALL, executor=pool))


def test_minibatches_are_shared_across_importances_only():
    """Models of one cell have streams and starting points of their own; those of one density and replicate share a stream."""
    options = dict(seed=0, independent=False, n_steps=1, batch_size=8, optimizer="adamw", schedule="constant", learning_rate=1.0,
                   weight_decay=0.0)  # fmt: skip

    plane = ControlPlane.importance_density(2, 1, importance=IMPORTANCE, density=DENSITY)

    def chunks(**change):
        cut = portions.divide(plane, 3, options | change, 1)
        return {(p.row, p.replicate): p.chunk() for p in cut}

    shared, apart = chunks(), chunks(independent=True)
    assert len(shared) == 9 and len({chunk.keys.tobytes() for chunk in shared.values()}) == 9
    assert all(chunk.keys.shape == (1, 2) for chunk in shared.values())
    assert len(np.unique(np.concatenate([chunk.keys for chunk in apart.values()]), axis=0)) == 9 * 5
    assert len(np.unique(np.concatenate([chunk.weights.ravel() for chunk in shared.values()]))) == 9 * 5 * 2
    assert all(np.array_equal(apart[place].weights, shared[place].weights) for place in shared)
    starts = np.concatenate([chunk.weights for chunk in shared.values()])
    assert abs(starts.std() / np.sqrt(2 / 3) - 1) < 4 / np.sqrt(2 * starts.size)


def test_trained_models_reach_the_global_minimum_where_it_is_easy():
    """After some thousand steps the best seed has the phase of the global minimum and, nearly, its loss; never a lower one."""
    importance, density = np.array([0.1, 1.0, 10.0]), np.array([0.1, 1.0])
    diagram = trained_phase_diagram(2, 1, importance=importance, density=density, n_seeds=6, n_steps=3000, learning_rate=0.01,
                                    schedule="linear", weight_decay=0)  # fmt: skip
    assert diagram.extra[1, 0] == "not_represented" and diagram.extra[1, 2] == "dedicated"
    assert set(diagram.extra[0]) == {"superposition"} and diagram.converged.all()
    for p, x in np.ndindex(2, 3):
        (lowest, *_) = minimize(ToyModel(1, [1, importance[x]], density[p]), n_starts=4)
        assert lowest.loss * (1 - 1e-12) <= diagram.loss[p, x] < lowest.loss * 1.01
        if x != 1 or p == 0:
            assert diagram.phase[p, x] == lowest.phase.name
        above = diagram.loss[p, x] / lowest.loss - 1
        assert diagram.trained.excess[p, x] == pytest.approx(above, rel=1e-4, abs=1e-9)


def test_few_steps_are_not_convergence(small):
    """Sixty steps leave cells that say so; the excess is nowhere negative."""
    assert not small.converged.all() and np.all(small.trained.excess >= 0)


def test_linear_and_larger_models_train():
    """The linear model never ends in superposition at low loss; twelve features are judged by their gradient."""
    options = {**SMALL, "n_steps": 1500, "schedule": "linear", "importance": [0.5, 2.0], "density": [0.5], "weight_decay": 0.0}
    linear = trained_phase_diagram(3, 2, **options, activation="linear")
    variance = 0.5 / 3 - 0.25 / 4
    assert np.allclose(linear.loss, variance * np.array([[0.5, 1.0]]), rtol=2e-2, atol=0)
    assert linear.extra.tolist() == [["not_represented", "dedicated"]]
    large = trained_phase_diagram(12, 3, **{**SMALL, "density": DENSITY[1:2], "n_seeds": 2})
    models = large.trained
    best = np.argmin(models.loss, axis=-1)[..., None]
    expected = np.take_along_axis(models.gradient_norm, best, axis=-1)[..., 0] ** 2 / (2 * 0.3 * large.loss)
    assert np.allclose(models.excess, expected, rtol=1e-12, atol=0)


def test_saved_diagrams_come_back_whole(small, tmp_path):
    """Every field of the diagram and of its models survives a round trip."""
    small.save(tmp_path / "trained.npz")
    loaded = PhaseDiagram.load(tmp_path / "trained.npz")
    for one, two in ((small, loaded), (small.trained, loaded.trained)):
        for name in (field.name for field in fields(one)):
            saved, back = getattr(one, name), getattr(two, name)
            assert type(saved) is type(back), name
            if isinstance(saved, np.ndarray):
                numbers = saved.dtype.kind == "f"
                assert saved.dtype == back.dtype and np.array_equal(saved, back, equal_nan=numbers), name
            elif not isinstance(saved, TrainedModels):
                assert saved == back, name
    options = {name: value for name, value in loaded.trained.options.items() if name != "n_threads"}
    again = trained_phase_diagram(3, 2, importance=loaded.importance, density=loaded.density, **options)
    assert same(small, again)


def test_xarray_labels_every_model(small):
    """The dataset has an axis of seeds."""
    data = small.to_xarray()
    cell = data.sel(importance=IMPORTANCE[1], density=DENSITY[2])
    assert np.array_equal(cell["seed_weights"].transpose("seed", "hidden", "feature"), small.trained.weights[2, 1])
    for name in ("loss", "phase", "extra", "kept", "gradient_norm", "feature_norm", "interference"):
        assert np.array_equal(cell[f"seed_{name}"], getattr(small.trained, name)[2, 1]), name
    assert np.array_equal(data["metastable_fraction"], small.trained.metastable_fraction)
    assert np.array_equal(data["excess"], small.trained.excess) and data.attrs["theory"] == "trained"


def test_trained_diagrams_have_no_boundaries(small):
    """Curves and triple points are refused in words."""
    for ask in (small.boundaries, small.triple_points):
        with pytest.raises(ValueError, match=r'boundaries need a theory, one of .*got a "trained" diagram'):
            ask()


@pytest.mark.parametrize("look", ["phase", "norm-interference"])
def test_cells_are_drawn(small, look):
    """Each cell shows its own colour, without curves; one cell alone works too."""
    from phasediag.colours import norm_interference_colour, phase_colours

    artists = draw_phase_diagram(small, Figure().subplots(), look=look)
    shown = np.reshape(artists["regions"].get_array(), (3, 5, 3))
    of_phase = phase_colours(small.phase.ravel())
    assert len(set(of_phase.values())) == len(of_phase)
    for cell in np.ndindex(3, 5):
        own = norm_interference_colour(small.feature_norm[cell], small.interference[cell])
        assert np.allclose(shown[cell], of_phase[small.phase[cell]] if look == "phase" else own)
    assert artists["boundaries"] == [] and artists["spinodals"] == []
    one = trained_phase_diagram(**{**SMALL, "importance": [1.0], "density": [0.5], "n_seeds": 1})
    diagram_figure(one, look=look).savefig(BytesIO(), format="png")
    assert one.trained.kept.all()


def test_divergence_is_an_error_that_names_the_learning_rate():
    """A diagram with diverged models is not shown."""
    with pytest.raises(ValueError, match=r"learning_rate must be small enough .* models diverged"):
        trained_phase_diagram(**{**SMALL, "learning_rate": 1e5, "n_steps": 300}, optimizer="sgd")


@pytest.mark.quick("_training")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(n_features=1), "n_features must be a whole number ≥ 2, got 1"),
        (dict(n_hidden=2), r"n_hidden must be less than n_features \(2\), got 2"),
        (dict(density=[0.5, 1.5]), r"density must be in \(0, 1\], got 1.5"),
        (dict(importance=[2.0, 1.0]), "importance must be strictly increasing"),
        (dict(activation="tanh"), "activation must be one of"),
        (dict(n_seeds=0), "n_seeds must be a whole number ≥ 1, got 0"),
        (dict(n_steps=0), "n_steps must be a whole number from 1"),
        (dict(batch_size=0), "batch_size must be a whole number from 1"),
        (dict(learning_rate=-1), "learning_rate must be positive and finite, got -1"),
        (dict(optimizer="lion"), "optimizer must be one of"),
        (dict(schedule="warm"), "schedule must be one of"),
        (dict(weight_decay=np.nan), "weight_decay must be finite and ≥ 0, got nan"),
        (dict(independent="no"), "independent must be True or False, got 'no'"),
        (dict(reduction="median"), 'reduction must be one of "paper", "best", got'),
        (dict(seed=-1), "seed must be None, a whole number ≥ 0 or a numpy Generator, got -1"),
        (dict(n_threads=0), "n_threads must be a whole number ≥ 1, got 0"),
        (dict(executor="x"), "executor must be a concurrent.futures.Executor, got 'x'"),
        (dict(importance=[1, 1e39]), r"importance must be at most 1e\+15 for training, got 1e\+39"),
        (dict(n_seeds=10**12), "n_features, n_seeds and n_steps must fit in memory"),
    ],
)
def test_bad_arguments_are_named_before_the_work_starts(change, message):
    """Every bad argument gives one error that names it."""
    with pytest.raises(ValueError, match=message):
        trained_phase_diagram(**{**SMALL, **change})


def test_models_over_any_plane_are_those_of_its_cells():
    """Rows are cut where densities differ; exact losses are the cells'; the paper's plane written out has the paper's bits."""
    options = {name: SMALL[name] for name in ("n_seeds", "n_steps", "batch_size", "learning_rate")}
    base = ToyModel(2, [1.0, 1.0, 1.0], 0.5)
    plane = ControlPlane(base, Axis("density_of_3", [0.1, 0.9]), Axis("profile", [0.5, 1.0], log=False))
    diagram = trained_phase_diagram(plane=plane, **options)
    assert diagram.trained.weights.shape == (2, 2, 4, 2, 3)
    for i, j in np.ndindex(2, 2):
        toy = ToyModel(2, diagram.y[i] ** np.arange(3), [0.5, 0.5, diagram.x[j]])
        losses = expected_loss(toy, diagram.trained.weights[i, j].astype(float), diagram.trained.bias[i, j].astype(float))
        assert np.allclose(diagram.trained.loss[i, j], losses, rtol=1e-13, atol=0)
    chunks = [portion.chunk() for portion in portions.divide(plane, 1, diagram.trained.options, 1)]
    assert sorted(chunk.density.tolist() for chunk in chunks) == 2 * [[0.5, 0.5, 0.1]] + 2 * [[0.5, 0.5, 0.9]]
    written = ControlPlane(base, Axis("importance", IMPORTANCE), Axis("density", DENSITY))
    assert same(trained_phase_diagram(plane=written, **options), trained_phase_diagram(3, 2, **SMALL))
