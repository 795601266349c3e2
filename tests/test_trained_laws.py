"""Training under every law, with penalties and leaky outputs: against a plain numpy twin and exact losses."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from phasediag import (
    ActivityTable,
    AnticorrelatedSets,
    Axis,
    ControlPlane,
    CorrelatedSets,
    ExactlyActive,
    Penalty,
    Pieces,
    ToyModel,
    expected_loss,
    expected_loss_and_gradient,
    minimize,
    train,
    trained_phase_diagram,
    validate,
)

TABLE = np.random.default_rng(0).dirichlet(np.ones(8)).reshape(2, 2, 2)
MIXED = Pieces(atoms=[(0.5, 0.3), (-1, 0.2)], intervals=[(-2, 1, 0.25), (0, 1, 0.25)])
VALUES = {"uniform": "uniform", "binary": "binary", "signed": "signed", "mixed": MIXED}
ACTIVATIONS = {"relu": {}, "linear": {"activation": "linear"}, "leaky": {"activation": "leaky", "slope": 0.3}}
# (n_features, n_hidden, law): counted patterns, and sets of many features
LAWS = {
    "independent": (3, 2, None),
    "sets": (5, 2, CorrelatedSets([[0, 1], [2, 4]])),
    "anticorrelated": (5, 2, AnticorrelatedSets([[0, 2], [1, 3, 4]])),
    "exactly": (4, 2, ExactlyActive(2)),
    "table": (3, 1, ActivityTable(TABLE)),
    "many": (12, 4, None),
    "many sets": (12, 4, CorrelatedSets([[0, 1], [2, 4, 11]])),
    "many anticorrelated": (18, 3, AnticorrelatedSets([[0, 17], [1, 3, 4]])),
}


def model_of(law, values, activation, penalty=None, biased=True):
    n, m, activity = LAWS[law]
    law = dict(activity=activity, values=VALUES[values], penalty=penalty, biased=biased)
    return ToyModel(m, np.linspace(1, 0.5, n), 0.4, **law, **ACTIVATIONS[activation])


def twin(model, x, weights, bias):
    """The gradient of the loss averaged over batch and features, and of the penalty over features, from their definitions.

    In models without biases that by the bias is 0.
    """
    hidden = x @ weights.T
    output = hidden @ weights + bias
    slope = {"relu": 0.0, "linear": 1.0, "leaky": model.slope}[model.activation]
    error = 2 * model.importance * (np.where(output > 0, output, slope * output) - x) / x.size
    error = error * np.where(output > 0, 1.0, slope)
    by_weights = hidden.T @ error + (weights @ error.T) @ x
    if model.penalty is not None:
        apart = weights.T @ weights * (1 - np.eye(x.shape[1]))
        penalty = 2 * model.penalty.weights * weights + 4 * model.penalty.interference * weights @ apart
        by_weights = by_weights + penalty / x.shape[1]
    return by_weights, error.sum(axis=0) * model.biased


def starts(model, n_models):
    rng, n, m = np.random.default_rng(1), model.n_features, model.n_hidden
    weights = rng.normal(size=(n_models, m, n)) / np.sqrt(m)
    return weights.astype(np.float32), (model.biased * rng.normal(size=(n_models, n)) / 10).astype(np.float32)


@pytest.mark.parametrize("independent", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("law", LAWS)
def test_one_step_follows_the_twin(law, activation, independent):
    """An SGD step of length 1 is the twin's gradient on the same samples, for all values, with and without a penalty."""
    for values in VALUES:
        for penalty in (None, Penalty(0.1, 0.2)):
            model = model_of(law, values, activation, penalty)
            weights, bias = starts(model, 4)
            options = dict(batch_size=700, learning_rate=1.0, optimizer="sgd", seed=0, independent=independent)
            run = train(model, n_models=4, n_steps=1, **options, initial_weights=weights, initial_bias=bias)
            for k in (0, 3):
                w, b = weights[k].astype(float), bias[k].astype(float)
                expected = twin(model, run.minibatch(0, k).astype(float), w, b)
                for gradient, moved in zip(expected, (w - run.weights[k], b - run.bias[k]), strict=True):
                    assert np.abs(gradient - moved).max() < 3e-7 + 2e-5 * np.abs(gradient).max(), (values, penalty)


@pytest.mark.quick("_training")
@pytest.mark.parametrize("independent", [False, True])
@pytest.mark.parametrize(("law", "density"), [("independent", 0.4), ("many", 0.4), ("many", 0.02), ("many", 0.9)])
def test_every_engine_trains_without_biases(law, density, independent):
    """Weights follow the twin, and biases stay at 0 to the bit: patterns, lists, dense minibatches and their moments."""
    model = replace(model_of(law, "uniform", "relu", biased=False), density=density)
    weights, bias = starts(model, 8)
    options = dict(n_models=8, n_steps=3, batch_size=64, learning_rate=0.1, optimizer="sgd", weight_decay=0.1, seed=0)
    run = train(model, **options, independent=independent, initial_weights=weights)
    assert not np.any(run.recorded_bias) and not np.any(np.signbit(run.recorded_bias))
    for k in (0, 7):
        w = weights[k].astype(float)
        for step in range(3):
            w = w - 0.1 * (twin(model, run.minibatch(step, k).astype(float), w, bias[k].astype(float))[0] + 0.1 * w)
        assert np.allclose(run.weights[k], w, rtol=0, atol=1e-6)
    biased = train(replace(model, biased=True), **options, independent=independent, initial_weights=weights)
    assert np.any(biased.bias)


def test_the_exact_gradient_without_biases():
    """Descents along the population's gradient end in minima that `minimize` finds without biases; with AdamW, and the norm."""
    model = ToyModel(1, [1.0, 0.9], 0.3, biased=False)
    options = dict(n_models=6, n_steps=3000, learning_rate=0.01, schedule="cosine", weight_decay=0, gradient="population")
    run = train(model, **options, seed=0)
    found = np.array([minimum.loss for minimum in minimize(model)])
    assert not np.any(run.recorded_bias) and run.gradient_norm.max() < 1e-5
    assert np.abs(run.loss[:, None] / found - 1).min(axis=1).max() < 1e-6
    with pytest.raises(ValueError, match=r"initial_bias must be 0 in a model without biases, got 0\.5"):
        train(model, n_models=1, n_steps=1, initial_bias=[0.0, 0.5])


@pytest.mark.parametrize(("law", "biased"), [("sets", True), ("many sets", True), ("sets", False), ("many sets", False)])
def test_many_steps_follow_the_twin(law, biased):
    """Twenty steps of AdamW under a penalty, with leaky outputs, equal its formulas in double precision."""
    model = model_of(law, "mixed", "leaky", Penalty(0.05, 0.1), biased)
    weights, bias = starts(model, 4)
    run = train(model, n_models=4, n_steps=20, batch_size=60, learning_rate=0.01, weight_decay=0.1, seed=0,
                initial_weights=weights, initial_bias=bias)  # fmt: skip
    theta, m = np.concatenate([weights[2], bias[2, None]]).astype(float), model.n_hidden
    first = second = np.zeros_like(theta)
    for t in range(1, 21):
        slopes, levels = twin(model, run.minibatch(t - 1, 2).astype(float), theta[:m], theta[m])
        g = np.concatenate([slopes, levels[None]])
        first, second = 0.9 * first + 0.1 * g, 0.999 * second + 0.001 * g * g
        theta = (1 - 0.001) * theta - 0.01 * (first / (1 - 0.9**t)) / (np.sqrt(second / (1 - 0.999**t)) + 1e-8)
    assert np.allclose(run.weights[2], theta[:m], rtol=0, atol=3e-5) and np.allclose(run.bias[2], theta[m], rtol=0, atol=3e-5)


@pytest.mark.parametrize("independent", [False, True])
@pytest.mark.parametrize("law", LAWS)
def test_minibatches_have_the_law(law, independent):
    """Sets of active features occur as often as they should, or pairs of many features; values have the law of their pieces."""
    model = model_of(law, "mixed", "relu")
    n = model.n_features
    run = train(model, n_models=4, n_steps=60, batch_size=500, learning_rate=1e-3, seed=2, independent=independent)
    x = np.concatenate([run.minibatch(step, 1) for step in range(60)])
    active = x != 0
    if n <= 8:
        probability = model.form.patterns(model.control)
        counts = np.bincount(active @ (1 << np.arange(n)), minlength=2**n)
        assert np.all(counts[probability == 0] == 0)
        possible = probability > 0
        assert stats.chisquare(counts[possible], len(x) * probability[possible]).pvalue > 1e-4
    both, joint = active.T.astype(float) @ active / len(x), model.form.pairs(model.control)
    assert np.all(np.abs(both - joint) <= 5 * np.sqrt(joint * (1 - joint) / len(x)))
    drawn = x[active]
    for value, probability in MIXED.atoms:
        share = np.mean(drawn == value)
        assert abs(share - probability) < 5 * np.sqrt(probability / drawn.size)
    rest = drawn[~np.isin(drawn, (0.5, -1))]
    assert stats.kstest(rest, lambda v: np.clip((v + 2) / 6, 0, 0.5) + np.clip(v / 2, 0, 0.5)).pvalue > 1e-4


@pytest.mark.parametrize("values", ["uniform", "binary", "signed"])
@pytest.mark.parametrize("law", ["independent", "sets", "anticorrelated", "exactly", "table"])
def test_the_mean_gradient_of_minibatches_is_the_exact_one(law, values):
    """Over many independent minibatches the mean step lies within five standard errors of the exact gradient."""
    model = model_of(law, values, "leaky", Penalty(0.1, 0.2))
    weights, bias = (one[0] for one in starts(model, 1))
    n, n_models = model.n_features, 1000
    options = dict(n_steps=1, batch_size=50, learning_rate=1.0, optimizer="sgd", seed=5, independent=True)
    run = train(model, n_models=n_models, **options, initial_weights=weights, initial_bias=bias)
    _, *exact = expected_loss_and_gradient(model, weights, bias)
    for moved, gradient in zip((weights - run.weights, bias - run.bias), exact, strict=True):
        error = (moved.mean(axis=0) - gradient / n) / (moved.std(axis=0) / np.sqrt(n_models) + 1e-7)
        assert 0.1 < np.abs(error).max() < 5


def test_models_of_a_row_have_their_own_penalty_and_slope():
    """λ × slope: a cell's models have the same bits in any company, and are those of their own model."""
    base = ToyModel(1, [1.0, 0.8], 0.2)
    options = dict(n_seeds=3, n_steps=50, batch_size=64, learning_rate=0.03)
    x, y = np.array([0.01, 0.1, 0.3]), np.array([0.0, 0.4])

    def trained(x, y, **more):
        plane = ControlPlane(base, x=Axis("interference_penalty", x), y=Axis("slope", y, log=False))
        return trained_phase_diagram(plane=plane, **options, **more)

    whole, part = trained(x, y), trained(x[1:2], y[1:], n_threads=1)
    assert np.array_equal(part.trained.weights, whole.trained.weights[1:, 1:2])
    turned = ControlPlane(base, x=Axis("slope", y, log=False), y=Axis("interference_penalty", x))
    other = trained_phase_diagram(plane=turned, **options)
    assert len(np.unique(other.trained.weights)) == other.trained.weights.size
    model = ToyModel(1, [1.0, 0.8], 0.2, "leaky", slope=0.4, penalty=Penalty(interference=0.1))
    weights, bias = whole.trained.weights[1, 1], whole.trained.bias[1, 1]
    assert np.allclose(whole.trained.loss[1, 1], expected_loss(model, weights, bias), rtol=1e-13, atol=0)


@pytest.mark.parametrize("store", [False, True])
def test_the_share_of_a_law_is_an_axis_of_training(store, tmp_path):
    """Share × importance and importance × share are one diagram turned round; a store goes on where it was."""
    base = ToyModel(1, [1.0, 1.0], 0.3, activity=AnticorrelatedSets([[0, 1]]), values="signed")
    axes = Axis("importance", [0.5, 1.0]), Axis("activity_share", [0.0, 0.5, 1.0], log=False)
    options = dict(n_seeds=2, n_steps=40, batch_size=64, learning_rate=0.03)
    if store:
        options["store"] = tmp_path / "models"
    first = trained_phase_diagram(plane=ControlPlane(base, *axes), **options)
    again = trained_phase_diagram(plane=ControlPlane(base, *axes), **options)
    assert np.array_equal(first.trained.weights, again.trained.weights)
    if store:
        other = ToyModel(1, [1.0, 1.0], 0.3, activity=CorrelatedSets([[0, 1]]), values="signed")
        with pytest.raises(ValueError, match="store must belong to a run with"):
            trained_phase_diagram(plane=ControlPlane(other, *axes), **options)
        binary = ToyModel(1, [1.0, 1.0], 0.3, activity=AnticorrelatedSets([[0, 1]]), values="binary")
        with pytest.raises(ValueError, match="store must belong to a run with form"):
            trained_phase_diagram(plane=ControlPlane(binary, *axes), **options)


def test_trained_diagrams_without_biases():
    """Their models have none, end in the minima without them, and are attributed beside these; files keep it."""
    base = ToyModel(1, [1.0, 1.0], 0.2, biased=False)
    plane = ControlPlane(base, x=Axis("importance", [0.4, 1.0]), y=Axis("density", [0.1, 0.6]))
    report = validate(plane=plane, n_seeds=3, n_steps=2000, learning_rate=0.01, batch_size=256, n_samples=4000, curves=False)
    trained = report.trained
    assert not np.any(trained.trained.bias) and trained.trained.bias.shape == (2, 2, 3, 2)
    for row, column in np.ndindex(2, 2):
        lowest = minimize(plane.model(plane.x.values[column], plane.y.values[row]))[0]
        assert not np.any(lowest.bias)
        assert lowest.loss <= trained.loss[row, column] < lowest.loss * 1.02
    assert np.all(trained.converged) and set(report.attribution.cause.flat) <= {"agrees", "metastable"}


def test_training_finds_the_least_loss_of_an_anticorrelated_pair():
    """Descent by minibatches stores a pair that is never active together without loss."""
    model = ToyModel(1, [1.0, 1.0], 0.5, activity=AnticorrelatedSets([[0, 1]]))
    run = train(model, n_models=8, n_steps=2000, learning_rate=0.01, weight_decay=0, seed=0)
    assert run.loss.min() < 1e-6


def test_laws_without_an_engine_are_refused():
    """Many features of a law that is no set have no engine; the sentence says which have."""
    model = ToyModel(3, np.ones(9), 0.5, activity=ExactlyActive(2))
    with pytest.raises(ValueError, match=r"independent features or sets of them, or at most 8 features.*got ExactlyActive of 9"):
        train(model, n_models=1, n_steps=1)
