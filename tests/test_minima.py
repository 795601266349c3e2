"""Local minima: stationary, distinct, symmetric, and equal to known closed forms."""

from dataclasses import fields

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st

from phasediag import (
    Minimum,
    Penalty,
    Pieces,
    ToyModel,
    classify,
    configurations,
    expected_loss,
    expected_loss_and_gradient,
    feature_dimensionality,
    feature_norm,
    interference,
    minimize,
)
from phasediag._minimizing.rough import _update
from phasediag._minimizing.stationary_points import settle
from phasediag.forms import Form
from phasediag.order_parameters import upright

SIZES = [(2, 1), (3, 2), (4, 2), (4, 3), (5, 2)]


def random_model(seed, shape, alike=True):
    """A seeded model of n features in m dimensions."""
    n, m = shape
    generator = np.random.default_rng([seed, n, m])
    if alike:
        return ToyModel(m, [*[1.0] * (n - 1), 10 ** generator.uniform(-1, 1)], 10 ** generator.uniform(-2, 0))
    return ToyModel(m, 10 ** generator.uniform(-0.5, 0.5, n), 10 ** generator.uniform(-1.5, 0, n))


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("alike", [True, False])
def test_minima_are_stationary_by_finite_differences(shape, alike):
    """Differences of the public loss along every parameter vanish, and no small random step lowers it."""
    model = random_model(1, shape, alike)
    n, m = shape
    scale, generator, step = model.importance @ model.feature_density / 3, np.random.default_rng(0), 1e-4
    for minimum in minimize(model, n_starts=8):
        x = np.concatenate([minimum.weights.ravel(), minimum.bias])
        moved = np.concatenate([x + step * np.eye(x.size), x - step * np.eye(x.size)])
        loss = expected_loss(model, moved[:, : m * n].reshape(-1, m, n), moved[:, m * n :]) / scale
        # the differences' own error: at a kink the two sides curve differently; elsewhere the third derivative counts
        assert np.max(np.abs(loss[: x.size] - loss[x.size :])) / (2 * step) < 150 * step
        _, by_weights, by_bias = expected_loss_and_gradient(model, minimum.weights, minimum.bias)
        gradient = np.concatenate([by_weights.ravel(), by_bias]) / scale
        assert np.max(np.abs(gradient)) < 1e-11 and minimum.gradient_norm <= 1e-11 and minimum.converged
        nearby = x + 3e-3 * generator.normal(size=(200, x.size))
        losses = expected_loss(model, nearby[:, : m * n].reshape(-1, m, n), nearby[:, m * n :])
        assert np.min(losses) >= minimum.loss * (1 - 1e-13)


@pytest.mark.parametrize("shape", SIZES)
def test_every_field_keeps_its_promise(shape):
    """Losses, order parameters, phase, order and the global mark are those that the weights and biases give."""
    model = random_model(2, shape)
    found = minimize(model)
    assert found and all(isinstance(minimum, Minimum) for minimum in found)
    losses = [minimum.loss for minimum in found]
    assert found[0].is_global and np.all(np.diff(losses) >= -1e-11 * losses[0])
    for minimum in found:
        assert {f.name for f in fields(minimum)} >= {"weights", "bias", "loss", "phase", "configuration", "curvature"}
        assert minimum.weights.shape == (model.n_hidden, model.n_features) and minimum.bias.shape == (model.n_features,)
        assert minimum.loss == pytest.approx(expected_loss(model, minimum.weights, minimum.bias), rel=1e-13)
        by_contour = expected_loss(model, minimum.weights, minimum.bias, method="contour")
        assert by_contour == pytest.approx(minimum.loss, rel=1e-9)
        assert minimum.loss == pytest.approx(model.importance @ minimum.feature_loss, rel=1e-13)
        assert minimum.phase == classify(minimum.weights)
        assert minimum.configuration is None or minimum.configuration.name == minimum.phase.name
        assert np.array_equal(minimum.feature_norm, feature_norm(minimum.weights))
        assert np.array_equal(minimum.interference, interference(minimum.weights))
        assert np.array_equal(minimum.feature_dimensionality, feature_dimensionality(minimum.weights))
        assert minimum.lowest_found == minimum.is_global == (minimum.loss <= losses[0] * (1 + 1e-9))
        assert np.allclose(np.tril(minimum.weights, -1), 0, atol=1e-12)  # upright


@pytest.mark.parametrize("shape", SIZES)
def test_minima_are_distinct(shape):
    """No two of them have the same loss and the same norms, biases and products, feature by feature or exchanged."""
    found = minimize(random_model(3, shape))
    keys = []
    for minimum in found:
        gram = minimum.weights.T @ minimum.weights
        n = len(gram)
        pairs = np.sort(gram[:-1, :-1][np.triu_indices(n - 1, 1)])
        keys.append(np.concatenate([[minimum.loss], np.sort(np.diag(gram)[:-1]), gram[-1:, -1], np.sort(gram[-1, :-1]), pairs]))
    for i, one in enumerate(keys):
        for other in keys[:i]:
            assert np.max(np.abs(one - other)) > 1e-6


def test_a_soft_minimum_is_found_once():
    """2→1 at importance 1e9 and density 1e-12: rounding leaves the first weight undetermined beyond four digits, and that is no
    reason to report the antipodal pair thirteen times."""
    found = minimize(ToyModel(1, [1.0, 1e9], 1e-12))
    assert [minimum.phase.name for minimum in found] == ["extra in antipodal pair"]
    assert found[0].loss == pytest.approx((1 + 1e9) * 1e-24 / 6, rel=1e-3, abs=0)  # the frozen pair's (1 + I) p²/6


def test_orthogonal_pairs_stand_upright_in_rows_of_their_own():
    """However the hidden space of two antipodal pairs and a dedicated feature is turned, each cluster gets one row."""
    generator, weights = np.random.default_rng(1), np.zeros((3, 5))
    weights[0, :2], weights[1, 2:4], weights[2, 4] = (1.0, -1.1), (0.9, -1.2), 1.0
    for _ in range(20):
        turned = np.linalg.qr(generator.normal(size=(3, 3)))[0] @ weights
        assert np.array_equal(upright(turned) != 0, weights != 0)
        assert np.allclose(upright(turned), weights, atol=1e-14)


@pytest.mark.parametrize("shape", [*SIZES, (5, 3)])
def test_clusters_share_no_row_of_weights(shape):
    """Weights of dropped features and products between clusters are exact zeros, entry by entry."""
    for minimum in minimize(random_model(8, shape), n_starts=8):
        weights = np.abs(minimum.weights)
        cluster = np.full(shape[0], -1)
        for k, members in enumerate(minimum.phase.clusters):
            cluster[list(members.features)] = k
        apart = (cluster[:, None] != cluster) | (cluster < 0)
        assert np.all((weights.T @ weights)[apart] == 0)


def test_equal_seeds_give_equal_results():
    """Bit by bit; and another seed finds the same lowest loss."""
    model = random_model(4, (4, 2))
    one, other = minimize(model, seed=7), minimize(model, seed=np.random.default_rng(7))
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert np.array_equal(a.weights, b.weights) and np.array_equal(a.bias, b.bias) and a.loss == b.loss
    assert minimize(model, seed=8)[0].loss == pytest.approx(one[0].loss, rel=1e-12)


@pytest.mark.parametrize("shape", [(2, 1), (3, 2), (4, 2)])
def test_permuted_features_have_permuted_minima(shape):
    """A model with its features in another order has the same losses and the minima permuted."""
    model = random_model(5, shape, alike=False)
    order = np.roll(np.arange(shape[0]), 1)
    permuted = ToyModel(shape[1], model.importance[order], model.feature_density[order])
    one, other = minimize(model)[0], minimize(permuted)[0]
    assert other.loss == pytest.approx(one.loss, rel=1e-13)
    gram, turned = one.weights.T @ one.weights, other.weights.T @ other.weights
    assert np.allclose(turned, gram[np.ix_(order, order)], atol=1e-9) and np.allclose(other.bias, one.bias[order], atol=1e-9)


@given(st.floats(-1, 1), st.floats(-2, 0))
@settings(max_examples=15, deadline=None)
def test_swapping_the_two_features_of_2_to_1(log_importance, log_density):
    """L*(1/I, p) = L*(I, p)/I."""
    importance, density = 10**log_importance, 10**log_density
    one = minimize(ToyModel(1, [1, importance], density), n_starts=16)[0].loss
    other = minimize(ToyModel(1, [1, 1 / importance], density), n_starts=16)[0].loss
    assert other == pytest.approx(one / importance, rel=1e-13)


@given(st.floats(0.01, 100), st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_a_common_factor_of_the_importances_scales_the_loss(factor, seed):
    """L* is of degree one in the importances and its weights do not change."""
    model = random_model(seed, (2, 1))
    one = minimize(model, n_starts=8)
    other = minimize(ToyModel(1, factor * model.importance, model.density), n_starts=8)
    assert other[0].loss == pytest.approx(factor * one[0].loss, rel=1e-12)
    assert other[0].phase == one[0].phase


@pytest.mark.parametrize("shape", [(2, 1), (3, 2), (4, 2), (5, 2), (6, 3)])
def test_the_linear_model_drops_the_least_important_features(shape):
    """Its lowest loss is Σ I_i σ_i² over the n − m features where that is least; each valley is reported once."""
    n, m = shape
    generator = np.random.default_rng(n)
    importance, density = 10 ** generator.uniform(-1, 1, n), generator.uniform(0.05, 1)
    found = minimize(ToyModel(m, importance, density, "linear"))
    variance = density / 3 - density**2 / 4
    assert found[0].loss == pytest.approx(variance * np.sum(np.sort(importance)[: n - m]), rel=1e-12)
    assert found[0].configuration in configurations(n, m, activation="linear")
    equal = minimize(ToyModel(m, np.ones(n), density, "linear"))
    assert len(equal) == 1 and equal[0].loss == pytest.approx(variance * (n - m), rel=1e-12)


@pytest.mark.parametrize(
    ("n", "m", "tied"),
    [
        (2, 1, ("extra not represented + dedicated", "extra dedicated + not represented")),
        (4, 2, ("extra not represented + 2 dedicated + not represented", "extra dedicated + dedicated + 2 not represented")),
        (5, 2, ("extra not represented + 2 dedicated + 2 not represented", "extra dedicated + dedicated + 3 not represented")),
        (5, 3, ("extra not represented + 3 dedicated + not represented", "extra dedicated + 2 dedicated + 2 not represented")),
    ],
)
def test_a_continuum_of_minima_is_named_by_the_configurations_in_it(n, m, tied):
    """The linear model keeps any m-dimensional subspace of equal features: m (n − m) dimensions, and a tie of what it drops."""
    model = ToyModel(m, np.ones(n), 0.3, "linear")
    (valley,) = minimize(model, n_starts=4)
    assert valley.tied == tied and valley.phase.name == tied[0] and valley.valley == m * (n - m) and valley.converged
    assert np.array_equal(np.sort(valley.weights, axis=None)[::-1], np.repeat([1.0, 0.0], [m, m * (n - 1)]))
    rows = np.linalg.qr(np.random.default_rng(0).normal(size=(n, m)))[0].T
    anywhere = expected_loss(model, rows, 0.15 * (1 - (rows.T @ rows).sum(axis=1)))
    assert anywhere == pytest.approx(valley.loss, rel=1e-13)


def test_ties_are_of_equal_features_alone():
    """Features of other importance take no part in a valley, and isolated minima have none."""
    (valley,) = minimize(ToyModel(1, [1.0, 0.5, 1.0], 0.3, "linear"), n_starts=4)
    expected = {"extra dedicated + 2 not represented", "extra not represented + dedicated + not represented"}
    assert valley.valley == 1 and set(valley.tied) == expected
    for model in (ToyModel(1, [1.0, 0.5, 0.2], 0.3, "linear"), ToyModel(2, np.ones(5), 0.05), ToyModel(2, np.ones(3), 0.6)):
        assert all(minimum.valley == 0 and minimum.tied == () for minimum in minimize(model, n_starts=4))


def test_the_extra_feature_ties_beside_one_that_is_always_stored():
    """[3, 1, 1, 1, 1] in two dimensions: the first is stored, and any direction of the other four, the extra one among them."""
    (valley,) = minimize(ToyModel(2, [3.0, 1.0, 1.0, 1.0, 1.0], 0.5, "linear"), n_starts=4)
    assert valley.valley == 3
    assert valley.tied == (
        "extra not represented + 2 dedicated + 2 not represented",
        "extra dedicated + dedicated + 3 not represented",
    )


@pytest.mark.parametrize(("less", "dimension", "n_tied"), [(1e-4, 2, 1), (1e-6, 2, 1), (0.0, 4, 2)])
def test_a_feature_that_is_nearly_equal_takes_no_part_in_a_valley(less, dimension, n_tied):
    """Three equal features in two dimensions: a plane of directions; with a fourth of them, four dimensions."""
    (valley,) = minimize(ToyModel(2, [1.0, 1.0, 1.0, 1.0 - less], 0.5, "linear"), n_starts=4)
    assert valley.valley == dimension and len(valley.tied) == n_tied


@pytest.mark.parametrize(("n", "norm", "bias"), [(4, 1.0, 0.0), (5, 1.17046, -0.28230), (6, 1.32053, -0.61814)])
def test_polygons_of_rare_features_have_chens_norm_and_bias(n, norm, bias):
    """As density falls the regular polygons approach those of the one-hot loss (Chen et al. 2023), linearly in density."""
    gaps = []
    for density in (1e-4, 1e-5):
        found = minimize(ToyModel(2, np.ones(n), density), n_starts=24)
        name = "extra in antipodal pair + antipodal pair" if n == 4 else {5: "extra in pentagon", 6: "extra in hexagon"}[n]
        polygon = next(minimum for minimum in found if minimum.phase.name == name)
        assert np.ptp(polygon.feature_norm) < 1e-9 and np.ptp(polygon.bias) < 1e-9
        gaps.append(max(abs(polygon.feature_norm[0] - norm), abs(polygon.bias[0] - bias)))
    assert gaps[0] < 6e-4 and gaps[1] < 6e-5 + 6e-6  # the published digits are rounded


@pytest.mark.parametrize(
    ("n", "m", "density", "phase", "loss"),
    [
        (7, 2, 0.01, "heptagon", 0.0065509141),
        (8, 2, 0.01, "heptagon", 0.0098592475),
        (7, 3, 0.01, "capped octahedron", 0.0008150063),
    ],
)
def test_rare_features_of_many_share_few_dimensions(n, m, density, phase, loss):
    """Columns that start far too short fall into phases with fewer features: these are the lowest that any search has found."""
    lowest = minimize(ToyModel(m, np.ones(n), density))[0]
    assert phase in lowest.phase.name and lowest.loss == pytest.approx(loss, abs=1e-10)
    if m == 2:
        represented = lowest.feature_norm > 0
        assert np.ptp(lowest.feature_norm[represented]) < 1e-8 and np.sum(represented) == 7
        variance = density / 3 - density**2 / 4
        assert lowest.loss <= (minimize(ToyModel(2, np.ones(7), density))[0].loss + (n - 7) * variance) * (1 + 1e-12)


def test_features_of_unequal_importance_find_their_places():
    """Sixty hexagons have different losses: whatever the random starts, moves of two features lead to the lowest."""
    model = ToyModel(2, 0.9 ** np.arange(6), 0.01)
    losses = [minimize(model, n_starts=n_starts, seed=seed)[0].loss for seed, n_starts in enumerate((32, 32, 16))]
    assert np.ptp(losses) < 1e-12 * losses[0]
    assert losses[0] == pytest.approx(0.0025715776, abs=1e-10)


LONG = [pytest.param((6, 3), 0.02, marks=pytest.mark.campaign)]


@pytest.mark.parametrize(("shape", "density"), [((4, 2), 0.05), ((5, 2), 0.02), ((5, 3), 0.3), ((6, 2), 0.2), *LONG])
def test_the_least_loss_meets_the_necessary_conditions(shape, density):
    """No feature is worth more than its variance, no dimension harms, and the least loss is concave in an importance."""
    n, m = shape
    importance = 0.8 ** np.arange(n)

    def least(m, importance):
        return minimize(ToyModel(m, importance, density), n_starts=8)[0].loss

    loss, variance = least(m, importance), density / 3 - density**2 / 4
    assert loss <= least(m - 1, importance) * (1 + 1e-12)
    for i in range(n) if m < n - 1 else ():
        assert loss <= (least(m, np.delete(importance, i)) + importance[i] * variance) * (1 + 1e-12)
    low, high = (least(m, np.append(importance[:-1], factor * importance[-1])) for factor in (0.7, 1.3))
    assert low <= loss <= high and loss >= (low + high) / 2 * (1 - 1e-12)


def test_hits_are_counted_and_the_unseen_estimated():
    """Where few basins are, all are seen many times; where sixty hexagons are, most random starts see one of their own."""
    few, many = minimize(ToyModel(2, np.ones(3), 0.3)), minimize(ToyModel(2, 0.9 ** np.arange(6), 0.01))
    assert few[0].unseen == 0 and few[0].hits > 20 and all(minimum.hits > 0 for minimum in [*few, *many])
    assert many[0].unseen > 0.5 and all(minimum.unseen == many[0].unseen for minimum in many)


@pytest.mark.parametrize(
    ("n", "density", "decay", "seed", "loss"), [(9, 0.01, 0.7, 3, 0.00191650714483), (10, 0.95, 1.0, 1, 0.727605764997)]
)
def test_minima_that_were_missed_from_some_seeds(n, density, decay, seed, loss):
    """Short columns beside a pentagon's; and the lowest of two dozen minima within 1e-5 of each other."""
    found = minimize(ToyModel(2, decay ** np.arange(n), density), seed=seed)
    assert found[0].loss == pytest.approx(loss, rel=1e-11)


def test_effort_bounds_the_search():
    """A thorough search finds no less than a quick one, with more descents."""
    model = ToyModel(2, np.ones(5), 0.05)
    quick, thorough = (minimize(model, effort=effort) for effort in ("quick", "thorough"))
    assert thorough[0].loss <= quick[0].loss * (1 + 1e-12)
    assert sum(minimum.hits for minimum in thorough) > 4 * sum(minimum.hits for minimum in quick)


def test_a_dropped_feature_has_its_variance_as_loss():
    """At density 0.9 and importance 0.2 the lowest minimum of 2→1 is W = [1, 0], b = [0, p/2], loss I σ², exactly."""
    found = minimize(ToyModel(1, [1.0, 0.2], 0.9))[0]
    assert found.phase.extra == "not_represented" and found.loss == pytest.approx(0.2 * (0.3 - 0.81 / 4), rel=1e-14)
    assert np.allclose(found.weights, [[1, 0]], atol=1e-12) and np.allclose(found.bias, [0, 0.45], atol=1e-12)


@pytest.mark.parametrize("shape", SIZES)
def test_outputs_that_are_always_zero_are_no_minima(shape):
    """A plateau on which an output is 0 for every input is not reported."""
    for minimum in minimize(random_model(6, shape), n_starts=64):
        gram = minimum.weights.T @ minimum.weights
        assert np.all(np.maximum(gram, 0).sum(axis=1) + minimum.bias > 0)


@pytest.mark.quick("_minimizing")
def test_triangle_wins_in_3_to_2():
    """With free weights all three features in superposition have the lowest loss at importance 1, density 0.6."""
    found = minimize(ToyModel(2, [1.0, 1.0, 1.0], 0.6))
    assert found[0].phase.name == "extra in triangle" and found[0].configuration.name == "extra in triangle"
    assert found[0].loss == pytest.approx(0.09397930679, rel=1e-9)


def test_importances_beyond_rounding_do_not_raise():
    """With an importance of 1e150 second derivatives overflow on the way; what is returned is finite."""
    for minimum in minimize(ToyModel(2, [1.0, 1.0, 1.0, 1.0, 1e150], 0.5), n_starts=4):
        assert np.isfinite(minimum.loss)


def test_a_descent_that_fails_leaves_the_others_alone():
    """Of several descents in one call those from numbers end where they end alone; the one from NaN has not converged."""
    starts = np.random.default_rng(0).normal(size=(5, 9))
    form, controls = Form(2, 3), np.tile([1.0, 1.0, 0.4, 0.3, 0.3, 0.3], (5, 1))
    alone = settle(starts, form, controls)
    starts[2, 0] = np.nan
    for k, (one, other) in enumerate(zip(settle(starts, form, controls), alone, strict=True)):
        assert not one.is_minimum if k == 2 else np.array_equal(one.x, other.x) and one.numbers == other.numbers


@pytest.mark.quick
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(model="model"), "model must be a ToyModel, got 'model'"),
        (dict(model=ToyModel(1, np.ones(11), 0.5)), "model must have at most 10 features, got 11"),
        (dict(n_starts=0), "n_starts must be a whole number ≥ 1, got 0"),
        (dict(n_starts=2.5), "n_starts must be a whole number ≥ 1, got 2.5"),
        (dict(effort="great"), 'effort must be one of "quick", "normal", "thorough", got \'great\''),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    """One error that names the argument, its domain and the value."""
    with pytest.raises(ValueError, match=message):
        minimize(**{"model": ToyModel(1, [1, 1], 0.5), **arguments})


@pytest.mark.parametrize("seed", [-1, "abc", 1.5])
def test_a_bad_seed_is_named(seed):
    """A seed that makes no generator is refused by name."""
    with pytest.raises(ValueError, match="seed must be"):
        minimize(ToyModel(1, [1, 1], 0.5), seed=seed)


@pytest.mark.parametrize("noise", [0.0, 1e-17, 1e-16, -3e-17])
def test_pairs_leave_the_axes_to_other_features(noise):
    """Turned upright, an antipodal pair and a dedicated feature keep to axes of their own, whatever the rounding."""
    weights = np.array([[1.0, -1.0 + noise, noise, 0.0], [noise, 2 * noise, 0.6, -0.8], [-noise, noise, 0.8, 0.6]])
    expected = np.array([[1.0, -1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
    assert np.allclose(upright(weights), expected, rtol=0, atol=1e-15)
    assert np.array_equal(upright(weights) == 0, expected == 0)


def test_updates_of_rough_descents_meet_the_secant_equation():
    """After a step s that changed the gradient by y, the inverse second derivatives take y to s; other rows are left alone."""
    generator = np.random.default_rng(0)
    roots, s, y = generator.normal(size=(3, 5, 5)), *generator.normal(size=(2, 2, 5))
    inverse, rows = roots @ np.swapaxes(roots, 1, 2), np.array([2, 0])
    y *= np.sign(np.einsum("bi,bi->b", s, y))[:, None]
    before = inverse.copy()
    _update(inverse, rows, s, y, is_first=False)
    assert np.allclose(np.einsum("bij,bj->bi", inverse[rows], y), s, rtol=1e-9)
    assert np.allclose(inverse, np.swapaxes(inverse, 1, 2)) and np.array_equal(inverse[1], before[1])
    assert np.linalg.eigvalsh(inverse).min() > 0


def test_moves_begin_where_no_feature_is_represented():
    """A penalty that no weight is worth: both features are dropped, and lose their variances."""
    (lowest,) = minimize(ToyModel(1, [1, 1], 0.1, penalty=Penalty(0.1)))
    assert not lowest.weights.any() and lowest.loss == pytest.approx(2 * (0.1 / 3 - 0.05**2), rel=1e-14)


def test_places_are_exchanged_where_no_output_is_on():
    """Values mostly below 0: with equal importances a minimum of outputs that are always 0 has no second derivatives at all."""
    model = ToyModel(1, [1, 0.3], 0.5, values=Pieces(intervals=[(-1, 0.5, 1)]))
    starts = np.random.default_rng(0).normal(size=(8, 4))
    found = [scipy.optimize.minimize(lambda x: expected_loss(model, x[None, :2], x[2:]), x, method="BFGS") for x in starts]
    assert minimize(model)[0].loss == pytest.approx(min(one.fun for one in found), rel=1e-8)
