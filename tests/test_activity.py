"""Laws of activity: what they say of themselves, their samples, and their exact losses by second routes."""

import json
import pickle
from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rational_losses import rational_loss

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
    expected_loss_hessian,
    expected_loss_without_penalty,
    inspect,
    loss_terms,
    minimize,
    monte_carlo_loss,
    optimal_bias,
    phase_diagram,
    train,
)
from phasediag._minimizing.search import orders_of_extra
from phasediag.model import model_of
from phasediag.training import GRADIENTS

OFF = ActivityTable([[1.0, 0.0], [0.0, 0.0]])
LAWS = {
    "correlated": (CorrelatedSets([[0, 2]]), [0.3, 0.6, 0.3, 0.9]),
    "anticorrelated": (AnticorrelatedSets([[0, 1, 2]]), [0.7, 0.7, 0.7, 0.2]),
    "two sets": (AnticorrelatedSets([[0, 3], [1, 2]]), [0.5, 0.2, 0.2, 0.5]),
    "exactly": (ExactlyActive(2), 1.0),
    "table": (ActivityTable(np.random.default_rng(0).dirichlet(np.ones(16)).reshape(2, 2, 2, 2)), 1.0),
}


def a_model(law, **options):
    """A model of four features in two dimensions under one of LAWS."""
    activity, density = LAWS[law]
    return ToyModel(2, [1.0, 0.7, 1.0, 0.4], density, activity=activity, **options)


def parameters(seed, n=4, m=2):
    """Random weights and biases."""
    generator = np.random.default_rng(seed)
    return 0.7 * generator.normal(size=(m, n)), 0.3 * generator.normal(size=n)


@pytest.mark.quick
def test_oracles_of_pairs():
    """An anticorrelated pair is stored without loss; a correlated one costs p/12 as a sum, p/3 as an antipodal pair."""
    for p in (0.01, 0.3, 1.0):
        apart = ToyModel(1, [1.0, 1.0], p, activity=AnticorrelatedSets([[0, 1]]))
        together = ToyModel(1, [1.0, 1.0], p, activity=CorrelatedSets([[0, 1]]))
        assert expected_loss(apart, [[1.0, -1.0]], [0.0, 0.0]) == 0.0
        assert expected_loss(together, np.array([[1.0, 1.0]]) / 2**0.5, [0.0, 0.0]) == pytest.approx(p / 12, rel=1e-13)
        assert expected_loss(together, [[1.0, -1.0]], [0.0, 0.0]) == pytest.approx(p / 3, rel=1e-13)
        assert expected_loss(together, [[1.0, 0.0]], [0.0, p / 2]) == pytest.approx(p / 3 - p**2 / 4, rel=1e-13)


@pytest.mark.parametrize("law", LAWS)
def test_losses_and_derivatives_in_exact_arithmetic(law):
    """Loss to 1e-13; its slope and curvature along a direction are those of rational differences, to 1e-9."""
    has_exact_derivatives(a_model(law, penalty=Penalty(0.25, 0.5)))


@pytest.mark.campaign
@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("values", ["uniform", "binary", "signed", Pieces(atoms=[(-1, 0.5), (1, 0.5)])])
@pytest.mark.parametrize("output", [{"activation": "linear"}, {}, {"activation": "leaky", "slope": 0.25}])
def test_every_combination_in_exact_arithmetic(law, values, output):
    """As above, each law with each kind of values and outputs."""
    has_exact_derivatives(a_model(law, values=values, penalty=Penalty(0.25, 0.5), **output))


def has_exact_derivatives(model):
    """Assert that loss, slope and curvature of a model of four features are those of rational arithmetic."""
    from fractions import Fraction

    weights, bias = (np.round(part, 3) for part in parameters(3))
    loss, *gradient = expected_loss_and_gradient(model, weights, bias)
    exact, step = rational_loss(model, weights, bias), Fraction(1, 10**8)
    assert loss == pytest.approx(float(exact), rel=1e-13)
    direction = np.random.default_rng(1).integers(-3, 4, size=12)
    moved = [
        rational_loss(
            model,
            [
                [Fraction(x) + side * step * int(d) for x, d in zip(*row, strict=True)]
                for row in zip(weights, direction[:8].reshape(2, 4), strict=True)
            ],
            [Fraction(x) + side * step * int(d) for x, d in zip(bias, direction[8:], strict=True)],
        )
        for side in (-1, 1)
    ]
    slope, curvature = (moved[1] - moved[0]) / (2 * step), (moved[1] + moved[0] - 2 * exact) / step**2
    assert direction @ np.concatenate([part.ravel() for part in gradient]) == pytest.approx(float(slope), abs=1e-9)
    hessian = expected_loss_hessian(model, weights, bias)
    assert direction @ hessian @ direction == pytest.approx(float(curvature), abs=1e-9)
    assert loss - expected_loss_without_penalty(model, weights, bias) == pytest.approx(
        float(model.penalty_of(weights)), abs=1e-14
    )


def test_a_law_that_is_a_mixture_has_the_mixture_of_losses():
    """Sets, exactly k and tables are mixtures of laws in which given features are active: 2 000 random ones, to 1e-13."""
    generator = np.random.default_rng(0)
    for n in (2, 3, 4, 5):
        m, shape = n - 1, (2,) * n
        weights, bias = 0.7 * generator.normal(size=(500, m, n)), 0.3 * generator.normal(size=(500, n))
        importance = generator.uniform(0.5, 2, n)
        by_set = {}
        for active in product((0, 1), repeat=n):
            alone = np.zeros(shape)
            alone[active] = 1.0
            by_set[active] = expected_loss(ToyModel(m, importance, 1.0, activity=ActivityTable(alone)), weights, bias)
        for k in range(500):
            p = generator.uniform(0.05, 1)
            members = list(map(int, generator.permutation(n)[: generator.integers(2, n + 1)]))
            density = generator.uniform(0.05, 1, n)
            density[members] = p
            kind = (None, CorrelatedSets([members]), AnticorrelatedSets([members]), ExactlyActive(len(members)))[k % 4]
            table = generator.dirichlet(np.ones(2**n)).reshape(shape)
            for activity in (kind, ActivityTable(table)):
                model = ToyModel(m, importance, density, activity=activity)
                probability = model.form.patterns(model.control)
                mixture = sum(probability[sum(on << i for i, on in enumerate(a))] * by_set[a][k] for a in by_set)
                assert expected_loss(model, weights[k], bias[k]) == pytest.approx(mixture, rel=1e-13, abs=1e-16)
            assert sum(table[a] * by_set[a][k] for a in by_set) == pytest.approx(mixture, rel=1e-13)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("options", [{}, {"values": "binary"}, {"values": "signed"}, {"activation": "leaky", "slope": 0.3}])
def test_samples_have_the_loss(law, options):
    """Monte Carlo within four standard errors; so have the features their densities, correlations, means and variances."""
    model, (weights, bias) = a_model(law, **options), parameters(5)
    mean, error = monte_carlo_loss(model, weights, bias, 100_000, seed=1)
    assert abs(mean - expected_loss(model, weights, bias)) < 4 * error
    x = model.sample(100_000, seed=2)
    active = x != 0
    assert np.allclose(active.mean(axis=0), model.marginal_density, atol=4 * 0.5 / 100_000**0.5)
    assert np.allclose(np.corrcoef(active.T), model.activity_correlation, atol=0.02)
    assert np.allclose(x.mean(axis=0), model.feature_mean, atol=0.01)
    assert np.allclose(np.cov(x.T), model.form.covariance(model.control), atol=0.01)
    assert np.allclose(np.diagonal(model.form.covariance(model.control)), model.feature_variance)
    assert np.all(np.isfinite(x)) and x.shape == (100_000, 4)


@pytest.mark.parametrize("law", LAWS)
def test_parts_sum_to_the_loss(law):
    """By number of active features, and, of the linear model, by feature; the penalty is part of the loss alone."""
    for options in ({}, {"values": "binary"}, {"activation": "linear"}, {"activation": "leaky", "slope": 0.5}):
        model, (weights, bias) = a_model(law, penalty=Penalty(0.1), **options), parameters(2)
        terms = loss_terms(model, weights, bias)
        assert terms.loss == pytest.approx(expected_loss(model, weights, bias), rel=1e-13)
        parts = terms.benefit.sum() + terms.interference.sum()
        if model.is_linear:
            whole = expected_loss_without_penalty(model, weights, bias)
            assert parts + terms.bias_part.sum() == pytest.approx(whole, rel=1e-12)
        else:
            assert parts == pytest.approx(terms.by_active[1], rel=1e-12, abs=1e-15)
            assert terms.bias_part.sum() == pytest.approx(terms.by_active[0], rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("law", LAWS)
def test_no_other_bias_is_better(law):
    """On a fine grid no output has a lower loss than at the bias that is called optimal."""
    for options in ({}, {"values": "binary"}, {"activation": "leaky", "slope": 0.5}):
        model, (weights, _) = a_model(law, **options), parameters(4)
        bias = optimal_bias(model, weights)
        best = expected_loss(model, weights, bias)
        for i in range(4):
            trial = np.tile(bias, (801, 1))
            trial[:, i] = np.linspace(-4, 4, 801)
            assert best <= expected_loss(model, np.broadcast_to(weights, (801, 2, 4)), trial).min() * (1 + 1e-12)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10**6))
def test_features_of_a_set_can_be_exchanged(seed):
    """The loss stays when features of a set, of equal importance, change places, and scales with importances and penalties."""
    generator = np.random.default_rng(seed)
    weights, bias = 0.7 * generator.normal(size=(2, 4)), 0.3 * generator.normal(size=4)
    for law in (CorrelatedSets([[0, 1, 2]]), AnticorrelatedSets([[0, 1, 2]])):
        model = ToyModel(2, [1.0, 1.0, 1.0, 0.5], 0.4, activity=law, penalty=Penalty(0.1, 0.2))
        assert model.classes == ((0, 1, 2), (3,))
        loss = expected_loss(model, weights, bias)
        for order in permutations(range(3)):
            order = [*order, 3]
            assert expected_loss(model, weights[:, order], bias[order]) == pytest.approx(loss, rel=1e-12)
        scaled = ToyModel(2, 3 * model.importance, 0.4, activity=law, penalty=Penalty(0.3, 0.6))
        assert expected_loss(scaled, weights, bias) == pytest.approx(3 * loss, rel=1e-12)


def test_minima_under_laws():
    """The anticorrelated pair has a minimum of loss 0; no minimum of the correlated one is above p/12, nor of three pairs above
    the sum of theirs; gradients vanish by the public door."""
    apart = ToyModel(1, [1.0, 1.0], 0.5, activity=AnticorrelatedSets([[0, 1]]))
    assert minimize(apart)[0].loss < 1e-25
    together = ToyModel(1, [1.0, 1.0], 0.5, activity=CorrelatedSets([[0, 1]]))
    assert minimize(together)[0].loss == pytest.approx(0.5 / 12, rel=1e-12)
    for law in LAWS:
        model = a_model(law, penalty=Penalty(0.01, 0.02))
        lowest, *others = minimize(model, n_starts=8)
        assert all(other.loss >= lowest.loss for other in others)
        loss, *gradient = expected_loss_and_gradient(model, lowest.weights, lowest.bias)
        assert loss == pytest.approx(lowest.loss, rel=1e-12)
        assert max(np.abs(part).max() for part in gradient) < 1e-10
        assert lowest.expected_loss_without_penalty == pytest.approx(
            expected_loss_without_penalty(model, lowest.weights, lowest.bias), rel=1e-12
        )


def test_linear_minima_are_those_of_the_covariance():
    """With equal importances the least loss of the linear model is the sum of the least eigenvalues of Cov."""
    for law in LAWS:
        activity, density = LAWS[law]
        model = ToyModel(2, np.ones(4), density, "linear", activity=activity)
        least = np.linalg.eigvalsh(model.form.covariance(model.control))[:2].sum()
        assert minimize(model, n_starts=8)[0].loss == pytest.approx(least, rel=1e-9)


def test_penalties_only_add():
    """The least loss rises with γ and with λ, and is concave in them."""
    for name in ("weights", "interference"):
        lowest = [minimize(ToyModel(1, [1.0, 0.8], 0.2, penalty=Penalty(**{name: x})))[0].loss for x in (0.0, 0.005, 0.01)]
        assert lowest[0] < lowest[1] <= lowest[2] and lowest[1] >= (lowest[0] + lowest[2]) / 2 - 1e-15


@pytest.mark.parametrize("law", LAWS)
def test_models_are_values(law):
    """A model equals, hashes and pickles as its form and control vector say, and comes back from them."""
    model = a_model(law, values="signed", activation="leaky", slope=0.25, penalty=Penalty(0.1, 0.2))
    again = pickle.loads(pickle.dumps(model))
    assert again == model == model_of(model.form, model.control) and hash(again) == hash(model)
    assert again.form == model.form and hash(again.form) == hash(model.form)
    stored = type(model.form).from_facts(json.loads(json.dumps(model.form.facts())))
    assert stored == model.form and model_of(stored, model.control) == model
    assert model != a_model(law) and a_model(law) != a_model(law, penalty=Penalty())
    assert model.control.size == model.form.n_controls


@pytest.mark.quick
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CorrelatedSets([[0, 1], [1, 2]]), "sets must not overlap, got feature 1 twice"),
        (lambda: CorrelatedSets([]), "sets must be at least one set"),
        (lambda: AnticorrelatedSets([3]), "sets must be a list of lists of features"),
        (lambda: CorrelatedSets([["a", 1]]), "a member of sets must be a whole number ≥ 0, got 'a'"),
        (lambda: minimize(ToyModel(1, [1, 1], 0.1, activity=OFF)), "activity must let a feature be active where minima are"),
        (lambda: inspect(ToyModel(1, [1, 1], 0.1, activity=OFF), [[1, 0]], [0, 0]), "activity must let a feature be active"),
        (lambda: Penalty(weights=True), r"weights must be real numbers \(at least 0\), got True"),
        (lambda: ExactlyActive(0), "k must be a whole number ≥ 1, got 0"),
        (lambda: ActivityTable([[0.5, 0.5], [0.5, 0.5]]), "probabilities must sum to 1, got 2"),
        (lambda: ActivityTable([[1.5, 0.0], [-0.5, 0.0]]), "probabilities must be at least 0, got -0.5"),
        (lambda: ActivityTable([0.5, 0.25, 0.25]), "probabilities must have shape"),
        (lambda: Penalty(weights=-1.0), "weights must be at least 0, got -1.0"),
        (lambda: ToyModel(1, [1, 1], [0.1, 0.2], activity=CorrelatedSets([[0, 1]])), "density must be equal within a set"),
        (lambda: ToyModel(1, [1, 1], 0.1, activity=CorrelatedSets([[0, 2]])), "sets must name features from 0 to 1, got 2"),
        (lambda: ToyModel(1, [1, 1], 0.1, activity=ExactlyActive(3)), "k must be a whole number from 1 to 2, got 3"),
        (lambda: ToyModel(1, [1, 1, 1], 1.0, activity=ActivityTable([[1, 0], [0, 0]])), "probabilities must have shape"),
        (lambda: ToyModel(1, [1, 1], 0.1, activity="sets"), "activity must be None or one of"),
        (lambda: ToyModel(1, [1, 1], 0.1, penalty=0.1), "penalty must be None or a Penalty, got 0.1"),
        (lambda: ToyModel(1, [1, 1], 0.1, "leaky", slope=1.5), r"slope must be in \[0, 1\], got 1.5"),
        (lambda: ToyModel(1, [1, 1], 0.1, "leaky"), 'slope must be given with activation "leaky"'),
        (lambda: ToyModel(1, [1, 1], 0.1, slope=0.5), 'slope must be given with activation "leaky"'),
    ],
)
def test_bad_laws(make, message):
    """Each error names argument, domain and value."""
    with pytest.raises(ValueError, match=message):
        make()


def test_a_law_without_an_engine_says_which_has_one():
    """Twenty sets of many features are beyond enumeration: one sentence."""
    model = ToyModel(3, np.ones(40), 0.1, activity=CorrelatedSets(np.arange(40).reshape(20, 2).tolist()))
    with pytest.raises(ValueError, match="enumeration treats up to 14 features, got 40"):
        expected_loss(model, np.zeros((3, 40)), np.zeros(40), "enumeration")
    with pytest.raises(ValueError, match="enumeration treats up to 14 features, got 40"):
        loss_terms(model, np.zeros((3, 40)), np.zeros(40))


def test_training_under_laws():
    """A table of independent features trains to the bits of the default; under sets, models come to the exact minima.

    The anticorrelated pair is learnt without loss, and population descent agrees with minibatches.
    """
    options = dict(n_models=8, n_steps=400, batch_size=64, learning_rate=0.01, seed=1)
    density = np.array([0.25, 0.5])
    table = np.prod(np.where(np.stack(np.indices((2, 2)), axis=-1), density, 1 - density), axis=-1)
    one = train(ToyModel(1, [1.0, 0.8], density), **options)
    other = train(ToyModel(1, [1.0, 0.8], 1.0, activity=ActivityTable(table)), **options)
    assert np.array_equal(one.weights, other.weights) and np.array_equal(one.bias, other.bias)
    options |= dict(n_steps=4000, batch_size=256, weight_decay=0.0)
    apart = ToyModel(1, [1.0, 1.0], 0.8, activity=AnticorrelatedSets([[0, 1]]))
    run = train(apart, **options)
    assert expected_loss(apart, run.weights, run.bias).min() < 1e-4
    model = a_model("correlated")
    losses = [
        expected_loss(model, run.weights, run.bias).min() for run in (train(model, **options, gradient=g) for g in GRADIENTS)
    ]
    lowest = minimize(model, n_starts=8)[0].loss
    assert np.all(np.array(losses) > lowest * (1 - 1e-9)) and np.all(np.array(losses) < 1.03 * lowest)


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_training_reaches_the_minima_of_other_models(gradient):
    """Values, penalties and slopes: minibatches and the population's gradient lead to within 1 % of the exact minimum."""
    for options in ({"values": "binary"}, {"penalty": Penalty(0.1)}, {"activation": "leaky", "slope": 0.5}):
        model = ToyModel(1, [1.0, 0.8], 0.5, **options)
        options = dict(n_steps=1500, learning_rate=0.01, weight_decay=0.0, schedule="linear", seed=0)
        run = train(model, n_models=4, gradient=gradient, **options)
        assert expected_loss(model, run.weights, run.bias).min() < 1.01 * minimize(model)[0].loss + 1e-6


def _exchanges(sets):
    """All orders of features that exchange equal sets as wholes and features within them."""
    for chosen in permutations(sets):
        for inner in product(*(permutations(members) for members in chosen)):
            yield [i for members in inner for i in members]


@pytest.mark.parametrize(("n", "m", "density"), [(4, 2, 0.3), (6, 2, 0.2)])
def test_equal_sets_are_exchanged_as_wholes(n, m, density):
    """No two minima of equal correlated pairs are one up to rotations and exchanges of pairs, nor of partners."""
    pairs = np.arange(n).reshape(-1, 2).tolist()
    model = ToyModel(m, np.ones(n), density, activity=CorrelatedSets(pairs))
    assert model.classes == (*map(tuple, pairs), tuple(map(tuple, pairs)))
    orders, minima = list(_exchanges(pairs)), minimize(model, n_starts=12, seed=0)
    grams = [np.block([[one.weights.T @ one.weights], [one.bias]]) for one in minima]
    for k, one in enumerate(grams):
        copies = np.array([one[[*order, n]][:, order] for order in orders])
        for other in grams[:k]:
            assert np.abs(copies - other).max(axis=(1, 2)).min() > 1e-4
    copy = [one[:, orders[-1]] for one in (minima[0].weights, minima[0].bias[None])]
    assert expected_loss(model, copy[0], copy[1][0]) == pytest.approx(minima[0].loss, rel=1e-13)


def test_sets_of_unequal_importance_are_not_exchanged():
    """Only sets whose features have the same importances and densities; nested classes lead the extra feature to its equals."""
    law = CorrelatedSets([[0, 1], [2, 3]])
    assert ToyModel(2, [1, 0.5, 0.5, 1], 0.3, activity=law).classes[-1] == ((1, 0), (2, 3))
    assert ToyModel(2, [1, 0.5, 0.5, 0.7], 0.3, activity=law).classes == ((0,), (1,), (2,), (3,))
    assert ToyModel(2, np.ones(4), [0.3, 0.3, 0.2, 0.2], activity=law).classes == ((0, 1), (2, 3))
    orders = orders_of_extra(ToyModel(2, [1, 0.5, 0.5, 1], 0.3, activity=law).classes, 4)
    assert orders.tolist() == [[0, 1, 2, 3], [3, 2, 1, 0]]
    assert orders_of_extra(((0, 1), (2, 3), ((0, 1), (2, 3))), 4)[:, -1].tolist() == [3, 2, 1, 0]


def test_tables_know_their_sets():
    """The share of a law of sets is a table: its phases tell of the sets, and equal sets are exchanged."""
    base = ToyModel(2, np.ones(4), 0.3, activity=CorrelatedSets([[0, 1], [2, 3]]))
    plane = ControlPlane(base, x=Axis("activity_share", [0.0, 0.5, 1.0], log=False))
    assert plane.classes[-1] == ((0, 1), (2, 3)) and plane.form.activity.together == ((0, 1), (2, 3))
    diagram = phase_diagram(plane=plane, n_starts=4)
    assert all("partner" in name or "collapsed" in name for name in diagram.phase.ravel())
    assert "collapsed to its sum" in diagram.phase[0, -1]
    model = plane.model(0.5, 0.0)
    assert model.activity.sets == ((0, 1), (2, 3)) and model == ToyModel(2, np.ones(4), 0.3, activity=model.activity)
    for sets, words in ([[0, 1], [1, 2]], "overlap"), ([[0, 4]], "from 0 to 3"):
        with pytest.raises(ValueError, match=f"sets must .*{words}"):
            ToyModel(2, np.ones(4), 0.3, activity=ActivityTable(model.activity.probabilities, sets))
