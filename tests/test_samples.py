"""Monte Carlo under every law, values and activation, by every engine that treats them."""

from itertools import product

import numpy as np

from phasediag import (
    ActivityTable,
    AnticorrelatedSets,
    CorrelatedSets,
    ExactlyActive,
    Penalty,
    Pieces,
    ToyModel,
    expected_loss,
    monte_carlo_loss,
)

PAIRS, SETS = [[0, 1], [2, 3]], np.arange(36).reshape(12, 3).tolist()
LAWS = {
    "independent": None,
    "correlated": CorrelatedSets([[0, 2]]),
    "pairs": CorrelatedSets(PAIRS),
    "anticorrelated": AnticorrelatedSets([[0, 1, 2]]),
    "exactly": ExactlyActive(2),
    "table": ActivityTable(np.random.default_rng(0).dirichlet(np.ones(16)).reshape(2, 2, 2, 2)),
}
VALUES = {
    "uniform": "uniform",
    "binary": "binary",
    "signed": "signed",
    "mixed": Pieces(atoms=[(-0.5, 0.25), (1.0, 0.25)], intervals=[(-1.0, 0.5, 0.25), (0.25, 1.5, 0.25)]),
}
ACTIVATIONS = {"relu": {}, "linear": {"activation": "linear"}, "leaky": {"activation": "leaky", "slope": 0.3}}
LARGE = {
    "independent": None,
    "correlated": CorrelatedSets(SETS),
    "anticorrelated": AnticorrelatedSets(SETS),
    "penalised": Penalty(0.01, 0.02),
}


def table():
    """Yield the name, model and method of every combination of which samples can tell."""
    for (law, activity), (values, pieces), (activation, options) in product(LAWS.items(), VALUES.items(), ACTIVATIONS.items()):
        model = ToyModel(2, [1.0, 0.7, 1.0, 0.4], 0.4, activity=activity, values=pieces, **options)
        yield (law, values, activation, "enumeration"), model, "enumeration"
        yield (law, values, activation, "untied"), model, "untied"
        if values == "uniform" and activation == "relu" and law not in ("exactly", "table"):
            yield (law, values, activation, "contour"), model, "contour"
    for n, (law, one) in product((12, 40), LARGE.items()):
        n = 36 + 4 * (n == 40) if law.endswith("correlated") else n
        options = {"penalty": one} if law == "penalised" else {"activity": one}
        yield (law, n, "contour"), ToyModel(6, np.linspace(1, 0.5, n), 0.15, **options), "contour"


def test_samples_have_the_loss():
    """Every mean of samples lies within four standard errors of the exact loss, and together they scatter as they should."""
    scores = {}
    for number, (name, model, method) in enumerate(table()):
        generator = np.random.default_rng(number)
        weights = 0.5 * generator.normal(size=(model.n_hidden, model.n_features))
        bias = 0.2 * generator.normal(size=model.n_features)
        if method == "untied":
            decoder = 0.7 * generator.normal(size=weights.T.shape)
            x = model.sample(30_000, seed=number)
            z = x @ (decoder @ weights).T + bias
            slope = {"relu": 0.0, "linear": 1.0, "leaky": model.slope}[model.activation]
            losses = (x - np.where(z > 0, z, slope * z)) ** 2 @ model.importance
            mean, error = losses.mean(), losses.std() / len(x) ** 0.5
            exact = expected_loss(model, (decoder, weights), bias)
        else:
            mean, error = monte_carlo_loss(model, weights, bias, 30_000, seed=number)
            exact = expected_loss(model, weights, bias, method)
        scores[name] = (mean - exact) / error
    far = {name: score for name, score in scores.items() if abs(score) > 4}
    assert not far
    scatter = np.sqrt(np.mean(np.square(list(scores.values()))))
    assert len(scores) == 6 * 4 * 3 * 2 + 4 + 8 and 0.8 < scatter < 1.2
