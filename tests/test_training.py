"""Training runs: what they return, what they repeat, what they refuse."""

from inspect import signature

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phasediag import ToyModel, TrainingRun, expected_loss, expected_loss_and_gradient, train
from phasediag._training.starting_weights import normal_numbers
from phasediag.cli import commands

SMALL = dict(n_models=5, n_steps=30, batch_size=64, seed=7)


def model(n=3, m=2, density=0.4, activation="relu"):
    return ToyModel(m, 0.8 ** np.arange(n), density, activation)


def same(one, two):
    return np.array_equal(one.weights, two.weights) and np.array_equal(one.bias, two.bias)


@pytest.mark.parametrize("n", [2, 5, 12])
def test_a_run_has_the_documented_shapes_and_losses(n):
    """Losses are the exact ones of the final and recorded parameters, the gradient's norm that of the exact gradient."""
    run = train(model(n, 1), **SMALL)
    assert isinstance(run, TrainingRun)
    assert run.weights.shape == (5, 1, n) and run.bias.shape == (5, n)
    assert run.recorded_steps[0] == 0 and run.recorded_steps[-1] == 30 and np.all(np.diff(run.recorded_steps) > 0)
    assert run.recorded_weights.shape == (len(run.recorded_steps), 5, 1, n)
    assert np.array_equal(run.recorded_weights[-1], run.weights) and np.array_equal(run.recorded_bias[-1], run.bias)
    losses = [expected_loss(run.model, w, b) for w, b in zip(run.weights, run.bias, strict=True)]
    assert np.allclose(run.loss, losses, rtol=1e-12, atol=0)
    assert run.loss_curve.shape == (len(run.recorded_steps), 5)
    assert np.allclose(run.loss_curve[-1], run.loss, rtol=1e-12, atol=0)
    assert run.gap.min() == 0 and np.array_equal(run.gap, run.loss - run.loss.min())
    for i in range(5):
        _, *gradient = expected_loss_and_gradient(run.model, run.weights[i], run.bias[i])
        norm = np.sqrt(sum((part**2).sum() for part in gradient))
        assert run.gradient_norm[i] == pytest.approx(norm, rel=1e-12)


@pytest.mark.parametrize("options", [{}, dict(independent=True), dict(gradient="population"), dict(optimizer="sgd")])
def test_a_run_repeats_from_its_options(options):
    """The options, the seed drawn for None included, give the same bits with any number of threads."""
    run = train(model(), **{**SMALL, **options, "seed": None, "n_models": 40})
    assert same(run, train(run.model, **run.options, n_threads=1))
    assert same(run, train(run.model, **run.options, n_threads=3))
    assert not same(run, train(run.model, **{**run.options, "seed": run.options["seed"] + 1}))


@pytest.mark.quick("_training")
def test_seeds_may_be_generators():
    """A generator gives a seed of its own at each use; equal generators give equal runs."""
    one, two = np.random.default_rng(3), np.random.default_rng(3)
    first = train(model(), **{**SMALL, "seed": one})
    assert same(first, train(model(), **{**SMALL, "seed": two}))
    assert not same(first, train(model(), **{**SMALL, "seed": one}))


@pytest.mark.parametrize("density", [0.9, 0.02])
@pytest.mark.parametrize("n", [3, 12])
def test_models_share_minibatches_unless_independent(n, density):
    """From one starting point, models end alike when they share minibatches and apart when they do not."""
    start = dict(initial_weights=np.full((2, n), 0.3), initial_bias=np.full(n, 0.1))
    shared = train(model(n, density=density), **SMALL, **start)
    assert np.all(shared.weights == shared.weights[0]) and np.array_equal(shared.minibatch(3, 0), shared.minibatch(3, 1))
    apart = train(model(n, density=density), **SMALL, **start, independent=True)
    assert len(np.unique(apart.weights[:, 0, 0])) == 5
    assert not np.array_equal(apart.minibatch(3, 0), apart.minibatch(3, 1))


@pytest.mark.quick("_training")
def test_minibatches_can_be_seen_again():
    """The first step of SGD is the mean gradient over the minibatch that the run shows, in every convention."""
    n, m, rate = 4, 2, 0.1
    toy = model(n, m)
    run = train(toy, **SMALL, optimizer="sgd", learning_rate=rate, independent=True)
    for i in range(5):
        x, w, b = run.minibatch(0, i), run.recorded_weights[0, i].astype(float), run.recorded_bias[0, i].astype(float)
        assert x.shape == (64, n)

        def loss(parameters, x=x):
            w, b = parameters[:-n].reshape(m, n), parameters[-n:]
            return (toy.importance * (x - toy.reconstruct(x, w, b)) ** 2).mean()  # over batch and features

        at, h = np.concatenate([w.ravel(), b]), 1e-6
        slope = [(loss(at + step) - loss(at - step)) / (2 * h) for step in h * np.eye(at.size)]
        moved = run.recorded_steps.tolist().index(1)
        after = np.concatenate([run.recorded_weights[moved, i].ravel(), run.recorded_bias[moved, i]])
        assert np.allclose((at - after) / rate, slope, rtol=0, atol=2e-5)


@pytest.mark.parametrize("gradient", ["minibatch", "population"])
def test_the_linear_model_finds_its_known_minimum(gradient):
    """The linear model's loss goes to σ² times the least importances, whatever the start."""
    toy = model(4, 2, 0.5, activation="linear")
    run = train(
        toy, n_models=16, n_steps=3000, batch_size=512, learning_rate=0.01, schedule="cosine", weight_decay=0, seed=1,
        gradient=gradient,
    )  # fmt: skip
    variance = 0.5 / 3 - 0.25 / 4
    exact = variance * (0.8**2 + 0.8**3)
    assert np.all(run.loss > exact * (1 - 1e-12))
    assert run.loss.min() == pytest.approx(exact, rel=1e-3 if gradient == "minibatch" else 1e-6)


def test_training_goes_below_the_frozen_antipodal_pair():
    """At low density two features share one dimension, and trained scales and biases beat the frozen pair's loss."""
    density, importance = 0.1, 0.9
    run = train(ToyModel(1, [1, importance], density), n_models=32, n_steps=4000, batch_size=1024, learning_rate=0.01,
                schedule="linear", seed=0)  # fmt: skip
    best = np.argmin(run.loss)
    assert run.loss[best] < (1 + importance) * density**2 / 6
    assert run.weights[best].prod() < -0.5
    assert run.loss_curve[0, best] > 5 * run.loss[best]


def test_the_population_s_gradient_vanishes_in_the_end():
    """Without noise the exact gradient falls by orders of magnitude; minibatches stop at their noise."""
    options = dict(n_models=8, n_steps=4000, learning_rate=0.01, schedule="cosine", weight_decay=0, seed=2)
    exact = train(model(), gradient="population", **options)
    noisy = train(model(), batch_size=64, **{**options, "schedule": "constant"})
    assert np.median(exact.gradient_norm) < 1e-6
    assert np.median(noisy.gradient_norm) > 1e-4


def test_large_models_train():
    """Eighty features in twenty dimensions move towards lower loss, dense or sparse."""
    for density in (1.0, 0.02):
        toy = ToyModel(20, np.ones(80), density)
        run = train(toy, n_models=3, n_steps=60, batch_size=256, learning_rate=3e-3, seed=0)
        x = toy.sample(4000, seed=1)
        losses = [
            ((x - toy.reconstruct(x, w[0], b[0])) ** 2).sum(axis=-1).mean()
            for w, b in zip(run.recorded_weights[[0, -1]], run.recorded_bias[[0, -1]], strict=True)
        ]
        assert losses[1] < 0.8 * losses[0]


def test_divergence_is_an_error_that_names_the_learning_rate():
    """When parameters overflow, the error says how many models did."""
    with pytest.raises(ValueError, match=r"learning_rate must be small enough .* 5 of 5 models diverged"):
        train(model(), **{**SMALL, "n_steps": 300}, optimizer="sgd", learning_rate=1e4)
    with pytest.raises(ValueError, match=r"learning_rate must be small enough"):
        train(model(), **{**SMALL, "n_steps": 300}, optimizer="sgd", learning_rate=1e4, gradient="population")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(n_steps=0), "n_steps must be a whole number from 1"),
        (dict(n_models=0), "n_models must be a whole number ≥ 1, got 0"),
        (dict(batch_size=0), "batch_size must be a whole number from 1"),
        (dict(batch_size=None), "batch_size must be a whole number from 1"),
        (dict(batch_size=2.5), "batch_size must be a whole number"),
        (dict(batch_size=2**40), "batch_size must be a whole number"),
        (dict(learning_rate=np.nan), "learning_rate must be positive and finite, got nan"),
        (dict(learning_rate=0), "learning_rate must be positive and finite, got 0"),
        (dict(learning_rate=[0.1, 0.2]), "learning_rate must be one number"),
        (dict(weight_decay=-1), "weight_decay must be finite and ≥ 0, got -1"),
        (dict(optimizer="lbfgs"), "optimizer must be one of"),
        (dict(optimizer=["adam"]), "optimizer must be one of"),
        (dict(schedule="step"), "schedule must be one of"),
        (dict(gradient="exact"), "gradient must be one of"),
        (dict(independent=1), "independent must be True or False, got 1"),
        (dict(seed=-1), "seed must be None, a whole number ≥ 0 or a numpy Generator, got -1"),
        (dict(seed="a"), "seed must be None, a whole number ≥ 0 or a numpy Generator, got 'a'"),
        (dict(n_threads=0), "n_threads must be a whole number ≥ 1, got 0"),
        (dict(initial_weights=np.ones((3, 2))), r"initial_weights must have shape \(…, 2, 3\)"),
        (dict(initial_weights=np.ones((4, 2, 3))), r"initial_weights must have shape \(2, 3\) or \(5, 2, 3\)"),
        (dict(initial_weights=np.full((2, 3), np.inf)), "initial_weights must be finite and .*, got inf"),
        (dict(initial_bias=np.ones((2, 5, 3))), r"initial_bias must have shape \(3,\) or \(5, 3\)"),
        (dict(n_models=10**12), "n_features, n_models and n_steps must fit in memory"),
        (dict(n_steps=10**12), "n_features, n_models and n_steps must fit in memory"),
    ],
)
def test_bad_arguments_are_named_before_the_work_starts(change, message):
    """Every bad argument gives one error that names it."""
    with pytest.raises(ValueError, match=message):
        train(model(), **{**SMALL, **change})


@pytest.mark.quick
def test_minibatches_of_other_runs_are_refused():
    """Steps and models outside the run, and runs without minibatches, are named."""
    run = train(model(), **SMALL)
    with pytest.raises(ValueError, match="step must be a whole number from 0 to 29, got 30"):
        run.minibatch(30)
    with pytest.raises(ValueError, match="index must be a whole number from 0 to 4, got 5"):
        run.minibatch(0, 5)
    with pytest.raises(ValueError, match="minibatch needs a run with gradient"):
        train(model(), **SMALL, gradient="population").minibatch(0)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**64), st.permutations(range(3)))
def test_features_of_equal_kind_may_be_exchanged(seed, order):
    """Training on the exact gradient commutes with a permutation of features of equal importance and density."""
    toy = ToyModel(2, np.ones(3), 0.5)
    weights = np.random.default_rng(seed).normal(size=(2, 3)) / 2
    options = dict(n_models=1, n_steps=10, gradient="population", learning_rate=0.01, n_threads=1)
    one = train(toy, initial_weights=weights, **options)
    two = train(toy, initial_weights=weights[:, order], **options)
    assert np.allclose(one.weights[..., order], two.weights, rtol=0, atol=1e-9)


def test_the_population_s_gradient_trains_many_features():
    """Beyond 10 features, where a fading feature makes the contour integral decline, the descent goes on and goes down."""
    model = ToyModel(4, 0.5 ** np.arange(12), 0.4)
    run = train(model, n_models=1, n_steps=150, learning_rate=0.03, gradient="population", seed=0)
    assert np.all(np.diff(run.loss_curve[::4, 0]) < 0) and run.gradient_norm < 0.05
    assert run.loss[0] == pytest.approx(expected_loss(model, run.weights[0], run.bias[0], "enumeration"), rel=1e-3)


@pytest.mark.parametrize("gradient", ["minibatch", "population"])
@pytest.mark.parametrize("n", [8, 9])
def test_a_run_needs_no_batch_size(gradient, n):
    """Whatever the number of features and the gradient; the defaults are those of the command line."""
    run = train(ToyModel(2, np.ones(n), 0.5), n_models=2, n_steps=2, gradient=gradient, seed=0)
    assert run.options["batch_size"] == 1024 and np.all(np.isfinite(run.loss))
    options = {option.name: option.default for option in commands.commands["train"].params}
    for name in ("n_models", "n_steps", "batch_size", "learning_rate", "optimizer", "schedule", "gradient"):
        assert signature(train).parameters[name].default == options[name]


def test_a_diverging_population_run_names_the_learning_rate():
    """Many features, too: their parameters leave the domain of the contour integral on the way to infinity."""
    model = ToyModel(4, np.ones(16), 0.5)
    with pytest.raises(ValueError, match=r"learning_rate must be small enough .* with 100, 1 of 1 models diverged"):
        train(model, n_models=1, n_steps=50, learning_rate=100, optimizer="sgd", gradient="population", seed=0)


def test_what_single_precision_does_not_hold_is_refused():
    """Importances and starting points whose gradients overflow are named, and a weight decay that drives models apart."""
    fine = dict(n_models=1, n_steps=3, batch_size=4, seed=0)
    with pytest.raises(ValueError, match=r"importance must be at most 1e\+15 for training, got 1e\+39"):
        train(ToyModel(1, [1, 1e39], 0.5), **fine)
    with pytest.raises(ValueError, match=r"initial_weights must be finite and at most 1e\+06 in size, got 1e\+30"):
        train(ToyModel(1, [1, 1], 0.5), initial_weights=[[1e30, 1]], **fine)
    with pytest.raises(ValueError, match=r"with 0.001 and weight_decay 1e\+300, 1 of 1 models diverged"):
        train(ToyModel(1, [1, 1], 0.5), weight_decay=1e300, **fine)


def test_a_run_keeps_its_own_starting_points():
    """What the caller does to his array afterwards does not change what the run says it began with."""
    weights = np.ones((1, 2))
    run = train(ToyModel(1, [1, 1], 0.5), n_models=1, n_steps=3, batch_size=4, seed=0, initial_weights=weights)
    weights[:] = 0.5
    assert np.array_equal(train(run.model, **run.options).weights, run.weights)


@pytest.mark.parametrize("seed", [0, 5, 2**40 + 3, 2**70 + 11, 2**130 + 5])
def test_starting_weights_are_what_numpys_generators_draw(seed):
    """Side by side or one by one, to the bit; some cells have one word, some numbers are not accepted at once."""
    place = int(np.float64(0.37).view(np.uint64))
    cells = [0, 5, 2**32 - 1, *np.geomspace(0.1, 10, 200).view(np.uint64).tolist()]
    for replicate in (0, 3):
        found = normal_numbers(seed, (0, place, replicate), np.array(cells, np.uint64), 6)
        sequences = [np.random.SeedSequence(seed, spawn_key=(0, place, replicate, cell)) for cell in cells]
        assert np.array_equal(found, [np.random.default_rng(one).normal(size=6) for one in sequences])
