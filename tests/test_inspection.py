"""Inspection of given weights: every number by a second route, minima recognised, bad input refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import ortho_group

from phasediag import (
    Inspection,
    ToyModel,
    UntiedInspection,
    configurations,
    expected_loss,
    feature_dimensionality,
    feature_norm,
    inspect,
    interference,
    loss_terms,
    minimize,
    monte_carlo_loss,
    read_weights,
    train,
)
from phasediag.figures import inspection_figure
from phasediag.inspection import dead_outputs, turned

PAIR = ToyModel(2, [1, 1, 0.5], 0.1)  # 3 → 2 with a stable and a metastable antipodal pair


@pytest.fixture(scope="module")
def trained():
    """Six models of PAIR after the paper's training."""
    return train(PAIR, n_models=6, n_steps=10_000, batch_size=1024, seed=0)


def test_losses_and_gradient_by_other_routes(trained):
    """Loss by contour integral and by sampling, gradient by differences, parts and order parameters by their own functions."""
    weights, bias = trained.weights[0], trained.bias[0]
    found = inspect(PAIR, weights, bias, n_starts=8)
    assert found.loss == pytest.approx(expected_loss(PAIR, weights, bias, method="contour"), rel=1e-10)
    assert 0 < found.loss_error <= 1e-12 * found.loss
    mean, error = monte_carlo_loss(PAIR, weights, bias, 200_000, seed=1)
    assert abs(mean - found.loss) < 4 * error
    assert found.loss == pytest.approx(PAIR.importance @ found.feature_loss, rel=1e-14)
    x, step = np.concatenate([weights.ravel(), bias]), 1e-5
    moved = x + step * np.concatenate([np.eye(x.size), -np.eye(x.size)])
    loss = expected_loss(PAIR, moved[:, :6].reshape(-1, 2, 3), moved[:, 6:]) / (2.5 * 0.1 / 3)
    assert found.gradient_norm == pytest.approx(np.max(np.abs(loss[:9] - loss[9:])) / (2 * step), rel=1e-4)
    terms = loss_terms(PAIR, weights, bias)
    for name in ("by_active", "benefit", "interference", "bias_part"):
        assert np.array_equal(getattr(found.terms, name), getattr(terms, name))
    for function in (feature_norm, interference, feature_dimensionality):
        assert np.array_equal(getattr(found, function.__name__), function(weights))


def test_trained_models_are_told_apart(trained):
    """Where each seed ended: the nearest minimum has the phase of the weights, and the gap is that to the lowest minimum."""
    minima = minimize(PAIR)
    metastable = set()
    for weights, bias, loss in zip(trained.weights, trained.bias, trained.loss, strict=True):
        found = inspect(PAIR, weights, bias, n_starts=8)
        assert found.converged and 0 < found.excess < 0.01 and found.nearest.converged and found.distance < 0.05
        assert found.phase.name == found.nearest.phase.name and found.nearest.curvature > 0.01
        own = next(m for m in minima if m.phase.name == found.phase.name)
        assert found.nearest.loss == pytest.approx(own.loss, rel=1e-12) and found.metastable == (not own.is_global)
        assert found.gap == pytest.approx(loss - minima[0].loss, rel=1e-9) and found.excess == pytest.approx(
            loss / own.loss - 1, rel=1e-9
        )
        assert [m.loss for m in found.minima] == pytest.approx([m.loss for m in minima], rel=1e-12)
        assert any(m is found.nearest for m in found.minima) and found.nearest.is_global != found.metastable
        metastable.add(found.metastable)
    assert metastable == {True, False}


@pytest.mark.parametrize("configuration", configurations(3, 2), ids=lambda c: c.pattern)
def test_frozen_weights_have_their_closed_form(configuration):
    """Loss and phase of a frozen configuration are those it declares, and no descent goes up."""
    model = ToyModel(2, [1, 1, 0.7], 0.4)
    found = inspect(model, configuration.weights, configuration.bias(0.4))
    assert found.loss == pytest.approx(configuration.expected_loss(0.7, 0.4), rel=1e-13)
    assert found.phase.name == configuration.name and found.nearest.loss <= found.loss * (1 + 1e-14)
    assert found.excess == pytest.approx(found.loss / found.nearest.loss - 1, abs=1e-14)


@given(st.integers(0, 1000), st.floats(-5, -3), st.sampled_from([(2, 1), (3, 2), (4, 2)]))
@settings(max_examples=8, deadline=None)
def test_minima_are_recognised(seed, size, shape):
    """A little off any minimum, turned and with equal features exchanged, the descent comes back to it."""
    (n, m), rng = shape, np.random.default_rng(seed)
    model = ToyModel(m, [*[1.0] * (n - 1), rng.uniform(0.3, 3)], rng.uniform(0.1, 0.9))
    minima = minimize(model, n_starts=8, seed=seed)
    rank = rng.integers(len(minima))
    one = minima[rank]
    if one.curvature < 0.01:
        return
    order = [*rng.permutation(n - 1), n - 1]
    rotation = ortho_group.rvs(m, random_state=rng) if m > 1 else np.array([[-1.0]])
    weights, bias = (rotation @ one.weights)[:, order], one.bias[order]
    exact = inspect(model, weights, bias, n_starts=8, seed=seed)
    assert exact.loss == pytest.approx(one.loss, rel=1e-13) and exact.excess < 1e-12 and exact.distance < 1e-7
    noise = 10**size * rng.normal(size=(m + 1, n))
    off = inspect(model, weights + noise[:m], bias + noise[m], n_starts=8, seed=seed)
    assert off.nearest.loss == pytest.approx(one.loss, rel=1e-11) and 0 <= off.excess < 1 and off.converged
    assert off.distance <= np.linalg.norm(noise) * (1 + 1e-6) + 1e-7
    assert len(off.minima) == len(minima) and off.minima[rank].loss == pytest.approx(one.loss, rel=1e-9)
    assert off.metastable == (not one.is_global)


@pytest.mark.quick("_minimizing")
def test_turning_is_the_best_rotation():
    """In two dimensions no angle, with or without a reflection, brings weights nearer than the one found."""
    rng = np.random.default_rng(3)
    for _ in range(5):
        one, other = rng.normal(size=(2, 2, 4))
        best = np.linalg.norm(turned(one, other) - other)

        def far(angle, one=one, other=other):
            rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            return min(np.linalg.norm(rotation @ turn @ one - other) for turn in (np.eye(2), np.diag([1, -1])))

        start = min(np.linspace(0, 2 * np.pi, 200), key=far)
        least = minimize_scalar(far, bounds=(start - 0.1, start + 0.1), method="bounded", options={"xatol": 1e-10}).fun
        assert best == pytest.approx(least, rel=1e-9)
        gram = turned(one, other).T @ turned(one, other)
        np.testing.assert_allclose(gram, one.T @ one, atol=1e-13)


def test_memory_of_transposes_is_noticed(tmp_path):
    """Of minima that safetensors has scrambled none is read without a word, whole ones are never refused."""
    from safetensors.numpy import save_file

    path, asked, noted = tmp_path / "w.safetensors", 0, 0
    cases = [(n, m, p) for n, m in ((3, 2), (4, 2), (5, 2), (6, 3)) for p in (0.05, 0.2, 0.5)]
    minima = [
        one for n, m, p in cases for one in minimize(ToyModel(m, 0.9 ** np.arange(n), p), n_starts=8, effort="quick", seed=0)[:4]
    ]
    for one in minima:
        rotation = ortho_group.rvs(len(one.weights), random_state=1)
        weights, bias = np.float32(rotation @ one.weights), np.float32(one.bias)
        save_file({"W": np.ascontiguousarray(weights.T), "b": bias}, path)
        assert np.array_equal(read_weights(path).weights, weights)
        save_file({"W": weights.T, "b": bias}, path)
        try:
            assert '"untransposed hidden features" may fit as well' in read_weights(path).source
            noted += 1
        except ValueError as error:
            assert 'fits a trained model better as "untransposed hidden features" than as "features hidden"' in str(error)
            asked += 1
        assert np.array_equal(read_weights(path, layout="untransposed hidden features").weights, weights)
    assert asked >= 0.9 * len(minima) and asked + noted == len(minima) > 30


def test_half_trained_models_have_not_converged():
    """After 300 steps the loss lies far above the bottom of the basin."""
    run = train(PAIR, n_models=1, n_steps=300, batch_size=256, seed=0)
    found = inspect(PAIR, run.weights[0], run.bias[0])
    assert not found.converged and found.excess > 0.01


def test_a_descent_without_an_end_is_no_minimum():
    """From absurdly large weights the descent stops on its way, and the result says so."""
    found = inspect(PAIR, 1e4 * np.ones((2, 3)) + np.eye(2, 3), np.zeros(3), n_starts=4)
    assert not found.converged and not found.nearest.converged and found.nearest.gradient_norm > 1
    assert not any(m is found.nearest for m in found.minima) and found.metastable and found.gap > 1


def test_the_tolerance_decides_what_counts_as_zero():
    """A cosine of 0.05 is noise at 0.1 and a link at 0.01."""
    weights, bias = np.array([[1.0, 0.0, 0.05], [0.0, 0.0, 1.0]]), [0.0, 0.05, 0.0]
    assert inspect(PAIR, weights, bias).phase.name == "extra dedicated + dedicated + not represented"
    assert inspect(PAIR, weights, bias, tolerance=0.01).phase.extra == "superposition"


def test_dead_outputs_are_reported():
    """An output that is 0 for every input is named; the point is a plateau, in no list of minima, and above the global one."""
    model = ToyModel(1, [1, 0.5], 0.3)
    found = inspect(model, [[1.0, 0.0]], [0.0, -1.0])
    assert found.dead_outputs == (1,) and found.loss == pytest.approx(0.5 * 0.3 / 3, rel=1e-14)
    assert found.gradient_norm < 1e-14 and found.metastable and not any(m is found.nearest for m in found.minima)
    assert found.plateau == (1,)
    assert inspect(model, [[1.0, 0.0]], [0.0, -1e-9]).dead_outputs == (1,)
    nothing = inspect(model, [[0.0, 0.0]], [0.0, 0.0])  # a rising bias leads away
    assert nothing.dead_outputs == nothing.plateau == () and nothing.nearest.converged and nothing.excess > 0.5
    assert inspect(model, [[1.0, 0.0]], [0.0, 1e-9]).dead_outputs == ()
    linear = ToyModel(1, [1, 0.5], 0.3, "linear")
    assert inspect(linear, [[1.0, 0.0]], [0.0, -1.0]).dead_outputs == ()


def test_the_linear_model_lies_in_a_valley():
    """From any weights the descent ends at Σ I_i σ² of the features of least importance, whose valley is one minimum."""
    model = ToyModel(2, [3.0, 0.5, 2.0, 1.0], 0.3, "linear")
    rng = np.random.default_rng(0)
    found = inspect(model, rng.normal(size=(2, 4)), rng.normal(size=4))
    lowest = 1.5 * (0.3 / 3 - 0.3**2 / 4)
    assert found.nearest.loss == pytest.approx(lowest, rel=1e-12) and not found.metastable and len(found.minima) == 1
    assert found.gap == pytest.approx(found.loss - lowest, rel=1e-9)


def test_many_features_descend_to_a_known_minimum():
    """Blocks of 2→1 at their minima, with features that are not represented, are a minimum of the whole: 6·L(2→1) + Σ I σ²."""
    density, rng = 0.3, np.random.default_rng(0)
    pair = next(m for m in minimize(ToyModel(1, [1, 1], density)) if m.phase.extra == "superposition")
    model = ToyModel(6, [*[1.0] * 12, 0.02, 0.02], density)
    weights, bias = np.zeros((6, 14)), np.full(14, density / 2)
    for k in range(6):
        weights[k, 2 * k : 2 * k + 2], bias[2 * k : 2 * k + 2] = pair.weights[0], pair.bias
    loss = 6 * pair.loss + 0.04 * (density / 3 - density**2 / 4)
    found = inspect(model, weights + 0.01 * rng.normal(size=(6, 14)), bias + 0.01 * rng.normal(size=14))
    assert found.nearest.loss == pytest.approx(loss, rel=1e-5) and found.excess == pytest.approx(found.loss / loss - 1, rel=0.01)
    assert found.nearest.loss == pytest.approx(
        expected_loss(model, found.nearest.weights, found.nearest.bias, method="enumeration"), rel=1e-6
    )
    assert found.phase.name == found.nearest.phase.name == "extra not represented + 6 antipodal pairs + not represented"
    assert found.distance < 0.2 and found.nearest.gradient_norm < 1e-3
    assert found.minima is None and found.gap is None and found.metastable is None
    assert np.isnan(found.nearest.curvature) and not found.nearest.converged and found.terms.by_active is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(model="model"), "model must be a ToyModel, got 'model'"),
        (dict(weights=np.ones((4, 2, 3))), r"weights and bias must be those of one model, got leading axes \(4,\)"),
        (dict(weights=np.ones((3, 2))), r"weights must have shape \(…, 2, 3\), got \(3, 2\)"),
        (dict(weights=[[1, np.nan, 1], [1, 1, 1]]), "weights must be finite and .*, got nan"),
        (dict(bias=[0, np.inf, 0]), "bias must be finite and .*, got inf"),
        (dict(bias=[0, 0]), r"bias must have shape \(…, 3\), got \(2,\)"),
        (dict(bias=np.zeros((2, 3))), "must be those of one model"),
        (dict(tolerance=0), r"tolerance must be in \(0, 1\), got 0"),
        (dict(tolerance=[0.1, 0.2]), "tolerance must be"),
        (dict(n_starts=0), "n_starts must be a whole number ≥ 1, got 0"),
        (dict(seed=-1), "seed must be"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    """One error that names the argument, its domain and the value."""
    with pytest.raises(ValueError, match=message):
        inspect(**{"model": PAIR, "weights": np.ones((2, 3)), "bias": np.zeros(3), **arguments})


def test_equal_seeds_give_equal_results(trained):
    """Bit by bit."""
    one, other = (inspect(PAIR, trained.weights[1], trained.bias[1], n_starts=8, seed=3) for _ in range(2))
    assert np.array_equal(one.nearest.weights, other.nearest.weights) and one.loss == other.loss
    assert [m.loss for m in one.minima] == [m.loss for m in other.minima]


def test_the_figure_shows_what_was_found(trained):
    """A panel for the given weights and the nearest minimum, and one for the global minimum where that is another."""
    for weights, bias in zip(trained.weights[:2], trained.bias[:2], strict=True):
        found = inspect(PAIR, weights, bias, n_starts=8)
        titles = [ax.get_title() for ax in inspection_figure(found).axes]
        assert [title.split("\n")[0] for title in titles] == ["given weights", "nearest minimum", "global minimum"][: len(titles)]
        assert len(titles) == 2 + found.metastable and f"loss {found.loss:.8g}" in titles[0]
        assert ("% above the global" in titles[0]) == found.metastable
        rotated = turned(found.nearest.weights, found.weights)
        assert np.linalg.norm(rotated - found.weights) <= found.distance < 0.05


def test_untied_weights_by_other_routes():
    """Loss by feature by samples, gradient by differences, outputs that are dead by the corners of the cube."""
    rng = np.random.default_rng(5)
    decoder, encoder, bias = rng.normal(size=(3, 2)), rng.normal(size=(2, 3)), np.array([0.1, -0.05, -9.0])
    found = inspect(PAIR, (decoder, encoder), bias, n_starts=4)
    assert isinstance(found, UntiedInspection) and found.asymmetry > 0.1 and found.dead_outputs == (2,)
    x = PAIR.sample(200_000, seed=1)
    lost = (x - np.maximum(x @ encoder.T @ decoder.T + bias, 0.0)) ** 2
    assert np.all(np.abs(lost.mean(axis=0) - found.feature_loss) < 4 * lost.std(axis=0) / np.sqrt(len(x)))
    assert found.loss == pytest.approx(PAIR.importance @ found.feature_loss, rel=1e-14)
    corners = np.array(np.meshgrid(*[[0, 1]] * 3)).reshape(3, -1)
    assert tuple(np.flatnonzero((decoder @ encoder @ corners + bias[:, None]).max(axis=1) <= 0)) == found.dead_outputs
    point, step, slopes = np.concatenate([decoder.ravel(), encoder.ravel(), bias]), 1e-5, []
    for move in step * np.eye(point.size):
        ends = [(p[:6].reshape(3, 2), p[6:12].reshape(2, 3), p[12:]) for p in (point + move, point - move)]
        above, below = (expected_loss(PAIR, (d, e), b) for d, e, b in ends)
        slopes.append((above - below) / (2 * step))
    assert found.gradient_norm == pytest.approx(np.max(np.abs(slopes)) / (2.5 * 0.1 / 3), rel=1e-6)
    assert found.gap == found.loss - minimize(PAIR, n_starts=4, seed=0)[0].loss
    for wrong in (([decoder] * 2, [encoder] * 2), (decoder, encoder.T)):
        with pytest.raises(ValueError, match="must"):
            inspect(PAIR, wrong, bias)


def test_untied_weights_in_another_basis_are_tied(trained):
    """decoder = WᵀA⁻¹, encoder = A W: the Inspection of W; a negative eigenvalue, or a 1000th of asymmetry, is no tied model."""
    weights, bias = trained.weights[0], trained.bias[0]
    basis = np.array([[2.0, 0.3], [-0.4, 0.5]])
    tied = inspect(PAIR, weights, bias, n_starts=4)
    found = inspect(PAIR, (weights.T @ np.linalg.inv(basis), basis @ weights), bias, n_starts=4)
    assert isinstance(found, Inspection) and found.loss == pytest.approx(tied.loss, rel=1e-10)
    assert np.allclose(found.weights.T @ found.weights, weights.T @ weights, atol=1e-12) and found.phase == tied.phase
    for decoder in (-weights.T, weights.T + 1e-3 * np.eye(3, 2)[::-1]):
        assert isinstance(inspect(PAIR, (decoder, weights), bias, n_starts=4), UntiedInspection)


def test_outputs_are_dead_by_what_inputs_reach():
    """Negative values reach where positive ones do not; a leaky output is never dead."""
    weights, bias = np.array([[1.0, -1.0]]), np.array([0.0, -1.5])
    for options, dead in (({}, (1,)), (dict(values="signed"), ()), (dict(activation="leaky", slope=0.1), ())):
        model = ToyModel(1, [1, 1], 0.3, **options)
        x = model.sample(1000, seed=0)
        assert dead_outputs(model, weights, bias) == dead and np.all(model.reconstruct(x, weights, bias)[:, list(dead)] == 0)
        assert dead or np.all(np.any(model.reconstruct(x, weights, bias) != 0, axis=0))
