"""Optimal biases against brute force and closed forms."""

import numpy as np
import pytest

from phasediag import ToyModel, expected_loss, expected_loss_and_gradient, optimal_bias
from phasediag._loss.evaluation import evaluate
from phasediag.biases import GAP, _exceeding, _search


@pytest.mark.parametrize(("n", "m"), [(2, 1), (3, 2), (4, 2), (6, 2)])
def test_no_bias_on_a_fine_grid_is_better(n, m):
    """Each bias is a global minimum of its own one-dimensional loss, with zero slope to rounding."""
    rng = np.random.default_rng(n)
    model = ToyModel(m, rng.uniform(0.5, 2, size=n), rng.uniform(0.01, 1, size=n))
    weights = rng.normal(size=(6, m, n)) * rng.choice([0.3, 1, 3], size=(6, 1, 1))
    bias = optimal_bias(model, weights)
    assert bias.shape == (6, n)
    best, _, slope = expected_loss_and_gradient(model, weights, bias)
    assert np.abs(slope).max() < 1e-13 * (1 + np.abs(weights).max() ** 2)
    gram = np.swapaxes(weights, -1, -2) @ weights
    reach = np.abs(gram).sum(axis=-1) + 1
    grid = np.linspace(-reach, reach, 801)
    for i in range(n):
        trial = np.repeat(bias[None], 801, axis=0)
        trial[:, :, i] = grid[:, :, i]
        assert np.all(expected_loss(model, weights, trial) >= best * (1 - 1e-13))


@pytest.mark.parametrize(("n", "m", "density"), [(9, 3, 0.02), (10, 4, 0.3), (12, 3, 1.0), (20, 5, 0.05)])
def test_no_bias_is_better_with_many_features(n, m, density):
    """The contour integral's slopes lead to minima that no bias of a fine grid goes below."""
    rng = np.random.default_rng(n)
    model = ToyModel(m, rng.uniform(0.5, 2, size=n), density)
    weights = rng.normal(size=(m, n)) / np.sqrt(m)
    bias = optimal_bias(model, weights)
    best, _, slope = expected_loss_and_gradient(model, weights, bias)
    assert np.abs(slope).max() < 1e-9
    reach = np.abs(weights.T @ weights).sum(axis=-1) / 2 + 1
    trial = np.linspace(-reach, reach, 81)  # every output's loss is its own: all biases may move at once
    losses = evaluate(model, *model.check_parameters(weights, trial), "auto", 0, tolerance=1e-9)[0]
    at_best = evaluate(model, *model.check_parameters(weights, bias), "auto", 0)[0]
    assert np.all(losses >= at_best * (1 - 1e-8)) and best == pytest.approx(at_best @ model.importance, rel=1e-10)


@pytest.mark.parametrize("density", [1.0, 0.2, 0.01])
@pytest.mark.parametrize("n", [3, 7, 9, 12])
def test_losses_stay_above_their_bounds(n, density):
    """Between the points of the search no loss is below the bound there, nor the lowest found by more than the gap."""
    rng = np.random.default_rng([n, int(100 * density)])
    m = max(1, n // 3)
    model = ToyModel(m, np.ones(n), density)
    for scale in (0.5, 1.0, 2.0):
        weights = scale * rng.normal(size=(m, n)) / np.sqrt(m)
        gram = weights.T @ weights
        bias, losses, _, bound = _search(model, model.form, weights, gram, density / 2 - gram @ np.full(n, density / 2))
        assert np.all(np.diff(bias, axis=0) >= 0)
        inside = bias[:-1] + rng.uniform(size=bound.shape) * np.diff(bias, axis=0)
        found = evaluate(model, *model.check_parameters(np.broadcast_to(weights, (len(inside), m, n)), inside), "auto", 0)[0]
        scatter = 1e-7 * (found + density / 3)  # the losses of the search have 1e-8 of the whole loss
        assert np.all(found >= bound - scatter)
        assert np.all(found >= losses.min(axis=0) * (1 - GAP) - GAP * density / 3 - scatter)


def test_the_lower_of_two_minima_wins():
    """Interference of growing density moves the lower of two minima from one side of a barrier to the other."""
    weights, grid = np.array([[1.3, 1.9]]), np.column_stack([np.linspace(-4.5, 1, 4001)] * 2)
    sides = []
    for density in (0.01, 0.03, 0.059, 0.084):
        model = ToyModel(1, [1, 1], [0.2, density])
        losses = evaluate(model, *model.check_parameters(np.broadcast_to(weights, (4001, 1, 2)), grid), "auto", 0)[0][:, 0]
        falls = np.diff(losses) < -1e-13
        minima = grid[1:-1][falls[:-1] & ~falls[1:], 0]
        assert minima.size == 2
        bias = optimal_bias(model, weights)
        best = evaluate(model, *model.check_parameters(weights, bias), "auto", 0)[0][0]
        assert np.all(losses >= best * (1 - 1e-13))
        sides.append(int(np.argmin(np.abs(minima - bias[0]))))
    assert sides == [1, 1, 1, 0]


def test_linear_bias_is_the_mean_residual():
    """The closed form for the linear activation: zero slope."""
    rng = np.random.default_rng(0)
    model = ToyModel(2, rng.uniform(0.5, 2, size=4), rng.uniform(0.01, 1, size=4), "linear")
    weights = rng.normal(size=(3, 2, 4))
    slope = expected_loss_and_gradient(model, weights, optimal_bias(model, weights))[2]
    assert np.abs(slope).max() < 1e-14


@pytest.mark.quick
def test_known_minima():
    """A feature without weights gets its mean; a perfect dedicated feature gets 0."""
    model = ToyModel(1, [1, 2], 0.3)
    np.testing.assert_allclose(optimal_bias(model, [[1, 0]]), [0, 0.15], atol=1e-15)


def test_an_output_that_is_better_off_is_almost_off():
    """Interference from a frequent feature at tiny own density: b just above −Σ_j (G_ij)⁺, lower than being off."""
    model = ToyModel(1, [1, 1], [1e-6, 1.0])
    weights = np.array([[0.1, 30.0]])
    bias = optimal_bias(model, weights)
    off = -(weights.T @ weights)[0].sum()
    assert off < bias[0] < off + 0.02
    best = expected_loss(model, weights, bias)
    trial = np.column_stack([np.linspace(off - 1, 2, 3001), np.full(3001, bias[1])])
    assert np.all(expected_loss(model, weights, trial) >= best * (1 - 1e-14))


def test_bad_weights_are_named():
    """Shape and finiteness are checked at the door."""
    model = ToyModel(1, [1, 1], 0.5)
    with pytest.raises(ValueError, match="weights must have shape"):
        optimal_bias(model, np.ones((2, 2)))
    with pytest.raises(ValueError, match="weights must be finite"):
        optimal_bias(model, [[np.nan, 1]])
    assert optimal_bias(model, np.empty((0, 1, 2))).shape == (0, 2)


@pytest.mark.parametrize("n", [2, 5, 20])
def test_the_law_of_the_sums_is_bounded_from_above(n):
    """Sampled sums exceed no threshold more often than the bound says, which is close."""
    rng = np.random.default_rng(n)
    gram, density = rng.normal(size=(n, n)) * rng.choice([0.3, 1, 3], size=(n, n)), rng.uniform(0.01, 1, size=n)
    x = rng.random((40_000, n)) * (rng.random((40_000, n)) < density)
    low, high = np.minimum(gram, 0).sum(axis=1), np.maximum(gram, 0).sum(axis=1)
    threshold = low + np.linspace(-0.1, 1, 23)[:, None] * (high - low)
    bound, found = _exceeding(gram, density)(threshold), np.mean(x @ gram.T > threshold[:, None], axis=1)
    scatter = 5 * np.sqrt(np.maximum(bound, 1e-4) / 40_000)
    assert np.all(found <= bound + scatter) and np.all(bound <= found + scatter + 0.05)
    assert np.all(bound[0] == 1) and np.all(bound[-1] <= 0.01)


@pytest.mark.parametrize(
    ("density", "scale"), [((0.1, 0.1, 1e-6), 2), ((0.01, 0.01, 0.01), 30), ((0.01, 0.01, 1e-4), 5), ((1e-3, 1e-3, 1e-3), 100)]
)
def test_rare_features_with_large_weights_need_few_points(density, scale):
    """The search ends after a few hundred points although rare events reach far, and no bias of a grid is better."""
    model, weights = ToyModel(1, [1, 1, 1], density), scale * np.array([[1, -1.2, -1.5]])
    gram = weights.T @ weights
    p = model.feature_density
    assert len(_search(model, model.form, weights, gram, p / 2 - gram @ (p / 2))[0]) < 500
    reach = np.abs(gram).sum(axis=1)
    trial = np.concatenate([np.linspace(-reach, reach, 2001), np.linspace(-1, 1, 2001)[:, None] * np.ones(3)])
    losses = evaluate(model, *model.check_parameters(weights, trial), "auto", 0)[0]
    best = evaluate(model, *model.check_parameters(weights, optimal_bias(model, weights)), "auto", 0)[0]
    assert np.all(losses >= best * (1 - 1e-9))
