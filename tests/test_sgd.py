"""The training kernels against a plain reference, and the law of the minibatches they draw."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from scipy import stats

from phasediag import ToyModel, expected_loss_and_gradient, train
from phasediag._training.chunks import engine, split
from phasediag._training.many_features import Batched, Dense, Moments, Sparse
from phasediag._training.outputs import LEAKY, LINEAR, RELU
from phasediag._training.pattern_law import alias_table, binomial_law, independent_patterns, pattern_law
from phasediag._training.patterns import Patterns

# (engine, n_features, n_hidden, density, batch_size): every engine, ragged sizes, and batches of more than one block
CASES = [
    (Patterns, 2, 1, 1.0, 100),
    (Patterns, 3, 2, [0.1, 0.5, 1.0], 333),
    (Patterns, 5, 2, 0.4, 257),
    (Patterns, 8, 3, 0.2, 64),
    (Patterns, 2, 1, 0.3, 9001),
    (Moments, 9, 4, 0.9, 700),
    (Moments, 20, 5, np.linspace(0.5, 1, 20), 1030),
    (Moments, 40, 13, 0.7, 20_000),
    (Dense, 20, 5, 0.4, 130),
    (Batched, 20, 5, 0.02, 1025),  # and Sparse, of independent models
    (Batched, 33, 7, np.linspace(0.001, 0.05, 33), 500),
    (Batched, 100, 20, 0.03, 600),
    (Dense, 1001, 3, 0.01, 40),
]


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("independent", [False, True])
@pytest.mark.parametrize(("kind", "n", "m", "density", "batch_size"), CASES)
def test_one_step_follows_the_gradient_of_the_minibatch(
    kind, n, m, density, batch_size, independent, relu, make_chunk, reference_gradient
):
    """An SGD step of length 1 is the double-precision gradient of the same samples to single-precision rounding."""
    chunk = make_chunk(n, m, density, batch_size, relu=relu, independent=independent)
    if kind is not Patterns and n < 1000:
        alone = Sparse if kind is Batched else Dense
        kind = alone if independent else kind if relu else Moments
    assert engine(chunk) is kind
    weights, bias = chunk.train()
    for model in range(3):
        x = engine(chunk)(chunk).minibatch(0, model)
        w, b = chunk.weights[model].astype(float), chunk.bias[model].astype(float)
        expected = reference_gradient(x, chunk.importance[model], w, b, relu)
        for gradient, moved in zip(expected, (w - weights[0, model], b - bias[0, model]), strict=True):
            # the subtraction itself rounds to 2⁻²⁴ of the parameters; the sums to a few ulp of their largest terms
            assert np.abs(gradient - moved).max() < 3e-7 + 2e-5 * np.abs(gradient).max()


@pytest.mark.parametrize("activation", [LINEAR, RELU, LEAKY])
@pytest.mark.parametrize("batch_size", [40, 6001])
def test_moments_and_exceptions_are_the_sums_over_samples(batch_size, activation, make_chunk):
    """Two kernels that share nothing but minibatches end alike: outputs that pass always, never, and on half of the samples."""
    rng = np.random.default_rng(1)
    more = {"slope": rng.uniform(0.1, 0.9, 3)} if activation == LEAKY else {}
    chunk = make_chunk(
        37, 6, 0.9, batch_size, activation=activation, bias=rng.choice([-3, 0, 3], (3, 37)).astype(np.float32), n_steps=5,
        learning_rate=0.1, recorded=(5,), penalty=rng.uniform(0, 0.02, (3, 2)), **more,
    )  # fmt: skip
    ends = []
    for kind in (Moments, Dense):
        trainer = kind(chunk)
        trainer.advance(0, 5)
        ends.append(np.concatenate(trainer.current(), axis=None))
    assert np.abs(ends[0] - ends[1]).max() < 1e-6
    assert np.abs(ends[0] - np.concatenate([chunk.weights, chunk.bias], axis=None)).max() > 0.01


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
@pytest.mark.parametrize(
    ("n", "m", "density", "independent"), [(3, 2, 0.8, False), (20, 5, 0.8, False), (20, 5, 0.1, False), (20, 5, 0.03, True)]
)
def test_many_steps_follow_the_published_formulas(
    n, m, density, independent, optimizer, schedule, make_chunk, reference_gradient
):
    """Twenty steps equal PyTorch's documented algorithms written out in double precision on the same samples."""
    rate, decay, n_steps = 0.01, 0.1, 20
    chunk = make_chunk(
        n, m, density, 60, optimizer=optimizer, schedule=schedule, learning_rate=rate, weight_decay=decay, n_steps=n_steps,
        recorded=(7, n_steps), independent=independent,
    )  # fmt: skip
    weights, bias = chunk.train()
    trainer = engine(chunk)(chunk)
    for model in range(3):
        theta = np.concatenate([chunk.weights[model], chunk.bias[model, None]]).astype(float)
        first, second = np.zeros_like(theta), np.zeros_like(theta)
        for t in range(1, n_steps + 1):
            x = trainer.minibatch(t - 1, model)
            slopes, levels = reference_gradient(x, chunk.importance[model], theta[:m], theta[m], True)
            g = np.concatenate([slopes, levels[None]])
            done = (t - 1) / n_steps
            lr = rate * {"constant": 1, "linear": 1 - done, "cosine": np.cos(np.pi / 2 * done) ** 2}[schedule]
            if optimizer == "adamw":
                theta = theta - lr * decay * theta
            else:
                g = g + decay * theta
            if optimizer == "sgd":
                theta = theta - lr * g
            else:
                first = 0.9 * first + 0.1 * g
                second = 0.999 * second + 0.001 * g * g
                theta = theta - lr * (first / (1 - 0.9**t)) / (np.sqrt(second / (1 - 0.999**t)) + 1e-8)
            if t == 7:
                assert np.allclose(weights[0, model], theta[:m], rtol=0, atol=2e-5)
        assert np.allclose(weights[1, model], theta[:m], rtol=0, atol=3e-5)
        assert np.allclose(bias[1, model], theta[m], rtol=0, atol=3e-5)


@pytest.mark.parametrize("independent", [False, True])
@pytest.mark.parametrize(("kind", "n", "m", "density", "batch_size"), [(Patterns, 3, 2, 1.0, 1024), *CASES[4:6], *CASES[7:10]])
def test_models_do_not_notice_their_chunk(kind, n, m, density, batch_size, independent, make_chunk):
    """A model ends with the same bits alone, in any company, and whether or not its run was recorded on the way."""
    changes = dict(n_models=19, independent=independent, n_steps=5, learning_rate=0.1, optimizer="adamw")
    whole = make_chunk(n, m, density, batch_size, recorded=(5,), **changes)
    weights, bias = whole.train()
    for parts in (split(whole, 2), [whole.part(0, 1), whole.part(1, 18), whole.part(18, 19)]):
        results = [part.train() for part in parts]
        assert np.array_equal(weights, np.concatenate([r[0] for r in results], axis=1))
        assert np.array_equal(bias, np.concatenate([r[1] for r in results], axis=1))
    recorded, _ = make_chunk(n, m, density, batch_size, recorded=(2, 3, 5), **changes).train()
    assert np.array_equal(recorded[-1], weights[-1]) and not np.array_equal(recorded[0], recorded[1])


@pytest.mark.parametrize(
    ("kind", "n", "m", "density"),
    [(Patterns, 3, 2, [0.2, 0.6, 0.9]), (Patterns, 5, 2, 0.1), (Dense, 9, 3, 0.8), (Sparse, 12, 8, 0.03)],
)
def test_the_mean_gradient_of_minibatches_is_the_exact_one(kind, n, m, density, make_chunk):
    """Over many independent minibatches the mean gradient lies within five standard errors of the population's."""
    n_models = 2000
    rng = np.random.default_rng(5)
    w, b = rng.normal(size=(m, n)).astype(np.float32) / 2, rng.normal(size=n).astype(np.float32) / 5
    importance = rng.uniform(0.5, 1.5, n)
    chunk = make_chunk(
        n, m, density, 50, n_models=n_models, independent=True, weights=np.tile(w, (n_models, 1, 1)),
        bias=np.tile(b, (n_models, 1)), importance=np.tile(importance, (n_models, 1)),
    )  # fmt: skip
    assert engine(chunk) is kind
    weights, bias = chunk.train()
    _, *exact = expected_loss_and_gradient(ToyModel(m, importance, density), w, b)
    for sample, gradient in ((w - weights[0].astype(float), exact[0] / n), (b - bias[0].astype(float), exact[1] / n)):
        error = (sample.mean(axis=0) - gradient) / (sample.std(axis=0) / np.sqrt(n_models) + 1e-9)
        assert np.abs(error).max() < 5
        assert np.abs(error).max() > 0.1  # noise is there, and of the size it should have


def test_the_mean_gradient_of_shared_lists_is_the_exact_one(make_chunk):
    """Over many steps the mean gradient of sixteen unlike models lies within five standard errors of the population's."""
    n, m, n_models, n_steps = 12, 8, 16, 1500
    chunk = make_chunk(n, m, np.linspace(0.02, 0.2, n), 50, n_models=n_models, n_steps=n_steps)
    trainer = engine(chunk)(chunk)
    assert type(trainer) is Batched
    start, moved = trainer.parameters.copy(), []
    for step in range(n_steps):
        trainer.parameters[:] = start
        trainer.advance(step, step + 1)
        weights, bias = trainer.current()
        moved.append(np.concatenate([weights, bias[:, None]], axis=1).astype(float))
    gradient = np.concatenate([chunk.weights, chunk.bias[:, None]], axis=1) - np.array(moved)
    for i in range(n_models):
        _, *exact = expected_loss_and_gradient(ToyModel(m, chunk.importance[i], chunk.density), chunk.weights[i], chunk.bias[i])
        exact = np.concatenate([exact[0], exact[1][None]]) / n
        error = (gradient[:, i].mean(axis=0) - exact) / (gradient[:, i].std(axis=0) / np.sqrt(n_steps) + 1e-8)
        assert 0.1 < np.abs(error).max() < 5


@pytest.mark.parametrize("activation", [LINEAR, RELU])
@pytest.mark.parametrize("density", [0.01, 0.1])
@pytest.mark.parametrize(("n", "m"), [(12, 3), (20, 5), (180, 6)])
def test_lists_of_models_of_their_own_give_the_gradient(n, m, density, activation, make_chunk, reference_gradient):
    """Wherever the choice of an engine lies, outputs of one block and of several follow the samples that the engine shows."""
    chunk = make_chunk(n, m, density, 1100, activation=activation, independent=True)
    trainer = Sparse(chunk)
    trainer.advance(0, 1)
    for model, (weights, bias) in enumerate(zip(*trainer.current(), strict=True)):
        w, b = chunk.weights[model].astype(float), chunk.bias[model].astype(float)
        expected = reference_gradient(trainer.minibatch(0, model), chunk.importance[model], w, b, activation == RELU)
        for gradient, moved in zip(expected, (w - weights, b - bias), strict=True):
            assert np.abs(gradient - moved).max() < 3e-7 + 2e-5 * np.abs(gradient).max()


@pytest.mark.parametrize("n_models", [1, 3])
def test_few_models_see_what_many_would(n_models):
    """A run of too few models to fill the lanes, of rare features, follows the gradients of a larger one."""
    n, m = 20, 5
    model = ToyModel(m, np.ones(n), 0.05)
    weights = np.random.default_rng(0).normal(size=(m, n)) / 2
    few, many = (
        train(model, n_models=k, n_steps=30, batch_size=1100, learning_rate=0.01, seed=4, initial_weights=weights)
        for k in (n_models, 5)
    )
    assert np.array_equal(few.minibatch(7, n_models - 1), many.minibatch(7, 4))
    assert np.allclose(few.weights, many.weights[:n_models], rtol=0, atol=1e-5)
    assert np.all(few.weights == few.weights[0]) and np.all(many.weights == many.weights[0])


@pytest.mark.parametrize(("m", "usual"), [(4, 0.9), (8, 0.01)])
def test_a_feature_that_is_next_to_never_active_is_not(m, usual):
    """Densities far below the resolution of a random word do not turn into certainty, whatever those of the other features."""
    model = ToyModel(m, np.ones(9), [1e-12] + [usual] * 8)
    for independent in (False, True):
        run = train(model, n_models=4, n_steps=1, batch_size=2000, seed=0, independent=independent)
        assert np.array_equal((run.minibatch(0) > 0).any(axis=0), np.arange(9) > 0)


@pytest.mark.parametrize("density", [0.03, 0.5, 0.95, [0.1, 0.5, 1.0]])
def test_patterns_of_activity_are_multinomial(density, make_chunk):
    """Over many steps patterns occur as often, and vary as much, as independent features make them."""
    n, batch_size, n_steps = 3, 500, 400
    trainer = Patterns(make_chunk(n, 2, density, batch_size))
    occupied = [trainer.minibatch(step, 0) > 0 for step in range(n_steps)]
    p = np.broadcast_to(density, n)
    patterns = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
    probability = np.prod(np.where(patterns, p, 1 - p), axis=1)
    counts = np.array([np.bincount(active @ (1 << np.arange(n)), minlength=2**n) for active in occupied])
    possible = probability > 0
    assert np.all(counts[:, ~possible] == 0)
    expected = batch_size * n_steps * probability[possible]
    chi_square = ((counts.sum(axis=0)[possible] - expected) ** 2 / expected).sum()
    assert 1e-4 < stats.chi2.sf(chi_square, possible.sum() - 1) < 1 - 1e-4
    variance = batch_size * probability * (1 - probability)
    likely = variance > 1
    assert np.allclose(counts.var(axis=0)[likely] / variance[likely], 1, atol=6 * np.sqrt(2 / n_steps))


@pytest.mark.parametrize("independent", [False, True])
@pytest.mark.parametrize(("kind", "n", "m", "density", "batch_size"), [CASES[2], CASES[6], CASES[8], CASES[9]])
def test_samples_have_the_model_s_law(kind, n, m, density, batch_size, independent, make_chunk):
    """Features are active as often as they should, independently of each other, and uniform when active."""
    chunk = make_chunk(n, m, density, batch_size, independent=independent)
    trainer = engine(chunk)(chunk)
    x = np.concatenate([trainer.minibatch(step, 1) for step in range(60)])
    p = np.broadcast_to(density, n)
    active = x > 0
    assert np.all((x >= 0) & (x < 1))
    scatter = np.sqrt(p * (1 - p) * len(x)) + 1e-9
    assert np.abs((active.sum(axis=0) - p * len(x)) / scatter).max() < 4.5
    assert stats.kstest(x[active], "uniform").pvalue > 1e-4
    both = active.T.astype(float) @ active - np.outer(p, p) * len(x)
    scale = np.sqrt(np.outer(p, p) * len(x)) + 1
    assert np.abs(both / scale)[~np.eye(n, dtype=bool)].max() < 6
    centred = np.where(active, x - 0.5, 0)
    products = centred.T @ centred / (np.sqrt(np.outer(p, p) * len(x)) / 12 + 0.1)
    assert np.abs(products[~np.eye(n, dtype=bool)]).max() < 6


@pytest.mark.parametrize(("kind", "n", "m", "density", "batch_size"), [CASES[0], CASES[5], *CASES[8:10]])
def test_streams_are_unrelated(kind, n, m, density, batch_size, make_chunk):
    """Steps, keys and independent models see different samples; models that share a stream see the same."""
    chunk = make_chunk(n, m, density, batch_size, independent=True)
    trainer = engine(chunk)(chunk)
    first, other = trainer.minibatch(0, 0), [trainer.minibatch(1, 0), trainer.minibatch(0, 1)]
    other += [engine(chunk)(make_chunk(n, m, density, batch_size, seed=1, independent=True)).minibatch(0, 0)]
    for x in other:
        assert not set(first[first > 0]) & set(x[x > 0]) or np.isin(first[first > 0], x[x > 0]).mean() < 0.01
    assert np.array_equal(first, engine(chunk)(chunk).minibatch(0, 0))
    shared = engine(chunk)(make_chunk(n, m, density, batch_size))
    assert np.array_equal(shared.minibatch(0, 0), shared.minibatch(0, 2))


@pytest.mark.parametrize("size", [1, 7, 40])
def test_binomial_law_is_exact(size):
    """The probabilities are comb(n, k) p^k q^(n−k) in exact rationals."""
    p = Fraction(1, 8)
    exact = [float(comb(size, k) * p**k * (1 - p) ** (size - k)) for k in range(size + 1)]
    assert np.allclose(binomial_law(size, 0.125), exact, rtol=1e-12, atol=0)
    assert np.array_equal(binomial_law(size, 1.0), np.eye(size + 1)[size])


def test_alias_tables_hold_the_law_they_were_made_of():
    """Kept fractions and aliases add up to the probabilities, zeros included."""
    law = np.random.default_rng(0).dirichlet(np.full(50, 0.3))
    law[:5] = 0
    law /= law.sum()
    cut, alias = alias_table(law)
    again = cut / 50
    np.add.at(again, alias, (1 - cut) / 50)
    assert np.allclose(again, law, rtol=0, atol=1e-15)


def test_the_usual_pattern_is_the_likeliest():
    """At density 1 every sample has the full pattern and nothing else is drawn; at low density the empty one is usual."""
    assert pattern_law((0.0, 0.0, 0.0, 1.0), (10,)).usual == 3
    assert pattern_law(tuple(independent_patterns((0.1, 0.2))), (10,)).usual == 0
