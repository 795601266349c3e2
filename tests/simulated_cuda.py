"""The kernels of `_cuda` on numba's simulator; `test_cuda.py` runs this file where NUMBA_ENABLE_CUDASIM is set.

Quick are a step of few features and one of many.
"""

from functools import partial

import numpy as np
import pytest

from phasediag import CorrelatedSets, Penalty, Pieces, ToyModel, expected_loss, train, trained_phase_diagram
from phasediag._cuda import engines, many_features, streams, trainer
from phasediag._training.descent import take_step
from phasediag._training.optimizers import step_scalars
from phasediag._training.portions import divide
from phasediag.diagram import plane_of
from phasediag.training import common_options

PIECES = Pieces(atoms=((-0.5, 0.25), (1.0, 0.25)), intervals=((0.2, 0.8, 0.5),))
ON_GPU = partial(train, n_models=3, n_steps=4, batch_size=40, learning_rate=0.01, seed=5, device="cuda")


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Every thread costs time here, the idle ones too."""
    monkeypatch.setattr(engines.Few, "most_threads", 8)


def followed(run):
    """Return weights and biases of a run of train, by the formulas of the loss and the optimizer, from the samples it saw."""
    model, options = run.model, run.options
    rates = (options[name] for name in ("optimizer", "schedule", "learning_rate", "weight_decay", "n_steps"))
    places = np.concatenate([run.recorded_weights[0], run.recorded_bias[0][:, None]], axis=1).astype(float)
    first, second = np.zeros_like(places), np.zeros_like(places)
    for step, scalars in enumerate(step_scalars(*rates)):
        gradient = np.zeros_like(places)
        for k, (*weights, bias) in enumerate(places):
            x, weights = run.minibatch(step, k), np.array(weights)
            hidden = x @ weights.T
            output = hidden @ weights + bias
            derivative = np.where(output > 0, 1, {"relu": 0, "linear": 1, "leaky": model.slope}[model.activation])
            error = (output * derivative - x if model.activation == "leaky" else output - x) * derivative
            error *= model.importance * 2 / x.size
            gradient[k, :-1] = hidden.T @ error + weights @ error.T @ x
            gradient[k, -1] = error.sum(axis=0) * model.biased
            if model.penalty is not None:
                products = weights.T @ weights * (1 - np.eye(len(bias)))
                by_products = 4 * model.penalty.interference * weights @ products
                gradient[k, :-1] += (2 * model.penalty.weights * weights + by_products) / len(bias)
        places, first, second = take_step(options["optimizer"] != "sgd", scalars, gradient, places, first, second)
    return places[:, :-1], places[:, -1]


@pytest.mark.parametrize(
    ("n", "m", "density", "options"),
    [
        pytest.param(2, 1, 0.3, {}, marks=pytest.mark.quick),
        (3, 2, 1.0, {"activation": "linear", "optimizer": "adam", "weight_decay": 0.1}),
        (3, 1, 0.5, {"independent": True, "schedule": "linear"}),
        (5, 2, [0.1, 0.9, 0.5, 0.2, 1.0], {"optimizer": "sgd", "schedule": "cosine"}),
        (5, 4, 0.4, {"independent": True}),
        (4, 2, 0.3, {"activity": CorrelatedSets([[0, 1], [2, 3]])}),
        pytest.param(9, 2, 0.05, {}, marks=pytest.mark.quick),
        (9, 3, 0.5, {"independent": True, "activation": "linear", "optimizer": "sgd", "biased": False}),
        (12, 3, 1.0, {"schedule": "cosine"}),
        (12, 3, 0.1, {"optimizer": "sgd", "schedule": "linear", "weight_decay": 0.1}),
        (24, 4, 0.04, {"optimizer": "adam", "weight_decay": 0.1, "biased": False}),
        (3, 2, 0.4, {"values": "signed", "activation": "leaky", "slope": 0.2, "penalty": Penalty(weights=0.1, interference=0.5)}),
        (9, 2, 0.2, {"values": PIECES, "activation": "leaky", "slope": 0.3, "penalty": Penalty(weights=0.2, interference=0.7)}),
        (4, 1, 0.3, {"values": PIECES, "independent": True}),
        (3, 1, 0.4, {"biased": False}),
        (9, 2, 0.1, {"biased": False}),
        (
            12,
            3,
            0.03,
            {
                "values": PIECES,
                "activation": "leaky",
                "slope": 0.3,
                "penalty": Penalty(weights=0.2, interference=0.7),
                "independent": True,
                "optimizer": "sgd",
            },
        ),
    ],
)
def test_a_step_is_that_of_the_formulas(n, m, density, options, monkeypatch):
    """Kernels move models as numpy does in double precision on the same samples, parts of a minibatch included."""
    monkeypatch.setattr(streams, "PART", 1024 if n < 5 else 16)
    model_options = {
        name: options.pop(name) for name in ("activation", "activity", "values", "slope", "penalty", "biased") if name in options
    }
    model = ToyModel(m, 0.8 ** np.arange(n), density, **model_options)
    short = {"n_steps": 2, "batch_size": 24} if n > 8 else {}
    run = ON_GPU(model, n_models=2, **short, **options)
    weights, bias = followed(run)
    assert np.abs(run.weights - weights).max() < 1e-6 and np.abs(run.bias - bias).max() < 1e-6
    assert np.abs(run.weights - run.recorded_weights[0]).max() > 1e-3


def test_a_step_of_a_large_model(monkeypatch):
    """Several warps train a model whose arrays do not fit shared memory."""
    monkeypatch.setattr(many_features, "FEATURES", 3)
    monkeypatch.setattr(many_features, "SHARED", 3000)
    places, _ = many_features.layout(11, 3, many_features.n_warps_of(11, 3))
    assert {name for name, (_, begin) in places.items() if begin is not None} == {"x_place", "e_place"}
    run = ON_GPU(ToyModel(3, 0.8 ** np.arange(11), 0.3), n_models=1, n_steps=2, batch_size=12, independent=True)
    weights, bias = followed(run)
    assert np.abs(run.weights - weights).max() < 1e-6 and np.abs(run.bias - bias).max() < 1e-6


def test_400_features_are_trained():
    """A step of 400 features in 30 dimensions, whose weights, samples and errors do not fit shared memory."""
    places, _ = many_features.layout(400, 30, many_features.n_warps_of(400, 30))
    assert {name for name, (_, begin) in places.items() if begin is not None} == {"w_place", "x_place", "e_place"}
    run = ON_GPU(ToyModel(30, 0.99 ** np.arange(400), 0.01), n_models=1, n_steps=1, batch_size=3)
    weights, bias = followed(run)
    assert np.abs(run.weights - weights).max() < 1e-6 and np.abs(run.bias - bias).max() < 1e-6


def test_models_that_do_not_fit_the_memory_are_trained_one_after_another(monkeypatch):
    """A run in parts of two models is what it is at once."""
    model, options = ToyModel(1, np.ones(2), 0.5), {"n_models": 5, "n_steps": 3, "batch_size": 8}
    whole = ON_GPU(model, **options)
    monkeypatch.setattr(trainer, "free_memory", lambda: 2.5 * 32 * 2 * 2 / trainer.MOST_MEMORY)
    launches, advance = [], engines.Few.advance
    monkeypatch.setattr(engines.Few, "advance", lambda self, *ends: (launches.append(self.n_models), advance(self, *ends)))
    parts = ON_GPU(model, **options)
    assert launches == [[2]] * 6 + [[1]] * 3
    assert np.array_equal(parts.recorded_weights, whole.recorded_weights) and np.array_equal(parts.bias, whole.bias)


@pytest.mark.parametrize(
    ("n", "density", "independent", "kind"),
    [
        (3, 0.3, False, "few"),
        (3, 0.3, True, "few"),
        (9, 0.3, False, "some"),
        (9, 0.1, False, "some_sparse"),
        (9, 0.3, True, "many"),
        (9, 0.02, True, "sparse"),
    ],
)
def test_bits_do_not_depend_on_how_models_are_divided(n, density, independent, kind, monkeypatch):
    """Other numbers of models a block and of steps a launch give the same bits, and so does a second run."""
    n_models, n_steps, batch_size = (2, 2, 4) if n > 8 else (5, 3, 12)
    options = {"n_models": n_models, "n_steps": n_steps, "batch_size": batch_size, "independent": independent}
    kinds, choose = set(), engines.kind_of
    monkeypatch.setattr(engines, "kind_of", lambda chunk: (kinds.add(choose(chunk)), choose(chunk))[1])
    run, again = (ON_GPU(ToyModel(2, np.ones(n), density), **options) for _ in range(2))
    assert kinds == {kind}
    monkeypatch.setattr(engines.Few, "most_threads", 4)
    monkeypatch.setattr(engines, "MOST_DRAWN", 1)
    monkeypatch.setattr(trainer, "SHORTEST", 0.0)
    monkeypatch.setattr(trainer, "STRIDE", 1)
    divided = ON_GPU(run.model, **options)
    for other in (again, divided):
        assert np.array_equal(run.recorded_weights, other.recorded_weights)
        assert np.array_equal(run.recorded_bias, other.recorded_bias)


def test_a_cell_does_not_depend_on_the_rest_of_the_grid(monkeypatch):
    """Portions of a diagram, trained together or one by one, are what their cells alone become; the exact losses are theirs."""
    axes = {"importance": [1.0, 2.0], "density": [0.1, 0.4]}
    options = {"n_seeds": 2, "n_steps": 2, "batch_size": 12, "seed": 3, "device": "cuda"}
    whole = trained_phase_diagram(2, 1, **axes, **options)
    monkeypatch.setattr(trainer, "MOST_WORK", 0.0)
    assert np.array_equal(trained_phase_diagram(2, 1, **axes, **options).trained.weights, whole.trained.weights)
    alone = trained_phase_diagram(2, 1, importance=[1.0], density=[0.4], **options).trained
    assert np.array_equal(alone.weights[0, 0], whole.trained.weights[1, 0])
    assert whole.trained.options["device"] == "cuda"
    model = ToyModel(1, [1.0, 2.0], 0.1)
    assert whole.trained.loss[0, 1] == pytest.approx(
        expected_loss(model, whole.trained.weights[0, 1], whole.trained.bias[0, 1]), rel=1e-12
    )


def test_rows_of_a_diagram_have_kernels_of_their_own():
    """Models of one row, trained by lists of active features, do not depend on those of another, which take all features."""
    options = common_options(1, 3, 0.01, "adam", "constant", None, False, 0)
    chunks = [portion.chunk() for portion in divide(plane_of(9, 1, [1.0], [0.1, 0.5], "relu", None), 1, options, 1)]
    assert [engines.kind_of(chunk) for chunk in chunks] == ["some_sparse", "some"]
    together, alone = dict(trainer.train_chunks(chunks)), [dict(trainer.train_chunks([chunk]))[0] for chunk in chunks]
    for i, (weights, bias) in enumerate(alone):
        assert np.array_equal(together[i][0], weights) and np.array_equal(together[i][1], bias)


def test_a_stopped_run_goes_on(tmp_path, monkeypatch):
    """What was interrupted between two launches keeps what the store has, and ends with the same bits; the CPU's is refused."""
    options = {"importance": [0.5, 2.0], "density": [0.1, 0.4], "n_seeds": 2, "n_steps": 3, "batch_size": 8, "device": "cuda"}
    whole = trained_phase_diagram(**options)
    monkeypatch.setattr(trainer, "MOST_WORK", 0.0)
    launches, advance = [], engines.Few.advance

    def interrupted(self, start, stop):
        """Be stopped by Ctrl-C in the third launch."""
        launches.append(start)
        if len(launches) == 3:
            raise KeyboardInterrupt
        advance(self, start, stop)

    monkeypatch.setattr(engines.Few, "advance", interrupted)
    with pytest.raises(KeyboardInterrupt):
        trained_phase_diagram(**options, store=tmp_path / "store")
    resumed = trained_phase_diagram(**options, store=tmp_path / "store")
    assert np.array_equal(resumed.trained.weights, whole.trained.weights) and len(launches) == 3 + 2
    with pytest.raises(ValueError, match="phasediag"):
        trained_phase_diagram(**options | {"device": "cpu"}, store=tmp_path / "store")


def test_progress_counts_every_model_once(monkeypatch):
    """What is told launch by launch adds up to the number of models."""
    monkeypatch.setattr(trainer, "STRIDE", 1)
    options = common_options(3, 20, 0.01, "adam", "constant", None, False, 0)
    portions = divide(plane_of(2, 1, [0.5, 1.0], [0.2, 0.3], "relu", None), 2, options, 1)
    counts = []
    assert sorted(i for i, _ in trainer.train_portions(portions, counts.append)) == list(range(len(portions)))
    assert sum(counts) == 8 and len(counts) > 1


def test_sizes_and_laws_that_do_not_fit_are_refused():
    """One sentence names what the GPU does not train."""
    with pytest.raises(ValueError, match="at most 64 hidden dimensions"):
        ON_GPU(ToyModel(65, np.ones(66), 0.1))
    with pytest.raises(ValueError, match="independent features, or at most 8"):
        ON_GPU(ToyModel(1, np.ones(9), 0.1, activity=CorrelatedSets([[0, 1]])))
    with pytest.raises(ValueError, match="executor must be None"):
        trained_phase_diagram(2, 1, importance=[1.0], density=[0.5], device="cuda", executor=Anything())


class Anything:
    """Has the method of an executor."""

    def submit(self, *arguments):
        """Never called."""
        raise AssertionError
