"""Minima on kinks: values that are atoms, some below 0."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy.optimize import lsq_linear
from scipy.optimize import minimize as optimize

from phasediag import (
    AnticorrelatedSets,
    Axis,
    ControlPlane,
    CorrelatedSets,
    Penalty,
    Pieces,
    ToyModel,
    expected_loss,
    minimize,
    phase_diagram,
    validate,
)
from phasediag._minimizing import newton, slopes
from phasediag._minimizing.flat import flatten
from phasediag._minimizing.stationary_points import settle

SIGNS, SKEW = Pieces(atoms=[(-1, 0.5), (1, 0.5)]), Pieces(atoms=[(-0.7, 0.4), (1, 0.6)])
MIXED = Pieces(atoms=[(-1, 0.5)], intervals=[(0, 1, 0.5)])
MODELS = {
    "signs": ToyModel(1, [1.0, 0.8], 0.5, values=SIGNS),
    "skew": ToyModel(2, [1.0, 0.8, 0.6], 0.4, values=SKEW),
    "leaky": ToyModel(1, [1.0, 0.7], 0.6, "leaky", slope=0.3, values=SKEW, penalty=Penalty(0.01, 0.02)),
}
MIXTURES = MODELS | {
    "mixed": ToyModel(1, [1.0, 0.8], 0.5, values=MIXED),
    "dense": ToyModel(1, [1.0, 0.8], 1.0, values=MIXED),
    "dedicated": ToyModel(2, [1.0, 1.0, 0.7], 0.3, values=MIXED),
}


ATOMS = Pieces(atoms=[(-1, 0.3), (0.5, 0.3), (1, 0.4)])
FALLING = {
    "jumps down": ToyModel(1, [1, 1], 0.4947, values=SIGNS),
    "jumps that meet": ToyModel(2, [1, 1.837, 1.927], 0.8152, values=ATOMS).without_biases(),
    "an output that comes on": ToyModel(1, [1, 1.666, 0.591], 0.2134, activity=AnticorrelatedSets([[0, 1]]), values="signed"),
    "off at any bias": ToyModel(1, [1, 1.581, 1], 0.7868, values=SIGNS),
    "a cone": ToyModel(2, [1, 1.075, 0.587], 0.0875, activity=CorrelatedSets([[0, 1]]), values=SIGNS),
    "the end of a valley": ToyModel(1, [1, 0.7], 0.4, values="binary"),
    "an output that comes on in part": ToyModel(1, [1, 1], 0.1532, activity=CorrelatedSets([[0, 1]]), values="signed"),
    "weights come out of 0": ToyModel(1, [1, 0.3], 0.1, values=SIGNS).without_biases(),
    "binary": ToyModel(1, [1, 1], 0.2146, values="binary").without_biases(),
    "multipliers that are not at rest": ToyModel(1, [1, 1.057, 1.196], 0.8814, values=ATOMS).without_biases(),
    "kinks that fall together at an edge": ToyModel(1, [1, 0.604], 0.6021, values=SIGNS),
}


def lowest_beside(model, point, distance, generator):
    """The least loss at a distance from a flat point, in random directions of few or many parameters, then near the best."""
    free, losses, best, spread = model.form.free, [], np.zeros((1, point.size)), 1.0
    for _round in range(20):
        shape = (300 // len(best), len(best), point.size)
        directions = best + spread * generator.normal(size=shape) * free * (
            generator.random(shape) < generator.random((*shape[:2], 1))
        )
        directions = directions.reshape(-1, point.size) + 1e-9 * free
        directions /= np.linalg.norm(directions, axis=1)[:, None]
        losses.append(loss_at(model, point + distance * directions))
        best, spread = directions[np.argsort(losses[-1])[:10]], 0.75 * spread
    return np.min(losses)


def loss_at(model, points):
    """The exact losses of flat points (n_points, size)."""
    points = np.atleast_2d(points)
    count = model.n_hidden * model.n_features
    return expected_loss(model, points[:, :count].reshape(-1, model.n_hidden, model.n_features), points[:, count:])


def terms_of(model, point):
    """Of each input of certain values and output: z, x_i, probability × importance, slopes of the loss in z on both sides of 0.

    And the gradients of z in the parameters, shape (n_inputs, n_features, size), by differences of a quadratic function.
    """
    atoms = dict(model.values.atoms) | {0.0: None}
    inputs = np.array(list(product(atoms, repeat=model.n_features)))
    p = np.where(inputs == 0, 1 - model.feature_density, 0.0)
    for value, share in model.values.atoms:
        p = np.where(inputs == value, model.feature_density * share, p)

    def outputs(x):
        """z of all inputs, shape (n_inputs, n_features)."""
        weights = x[: -model.n_features].reshape(model.n_hidden, -1)
        return inputs @ weights.T @ weights + x[-model.n_features :]

    slope, z = 1.0 if model.activation == "linear" else model.slope or 0.0, outputs(point)
    weight, step = p.prod(axis=1)[:, None] * model.importance, 1e-3 * np.eye(point.size)
    sides = [-2 * weight * gain * (inputs - gain * z) for gain in (slope, 1.0)]
    rows = np.array([(outputs(point + one) - outputs(point - one)) / 2e-3 for one in step])
    return z, inputs, sides, np.moveaxis(rows, 0, -1)


@pytest.mark.parametrize("name", MODELS)
def test_multipliers_balance_the_slopes(name):
    """On kinks some slopes between those of both sides leave no gradient: by bounded least squares over all inputs."""
    model = MODELS[name]
    for one in minimize(model, n_starts=8, effort="quick", seed=0):
        point = flatten(one.weights, one.bias)
        z, x, (low, high), rows = terms_of(model, point)
        on = (np.abs(z) < 1e-9) & (x < 0)
        assert np.sum(on) == len(one.kinks)
        rest = np.einsum("ki,kip->p", np.where(on, 0.0, np.where(z >= 0, high, low)), rows)
        if model.penalty:
            rest += flatten(model.form.penalty_gradient(model.control, one.weights), np.zeros(model.n_features))
        if on.any():
            found = lsq_linear(rows[on].T, -rest, (low[on], high[on] + 1e-300), tol=1e-15)
            rest = rest + rows[on].T @ found.x
        assert np.abs(rest).max() < 1e-9 * model.loss_scale, one.phase.name


@pytest.mark.parametrize("name", MIXTURES)
def test_no_direction_leads_down(name):
    """One-sided differences in 2 000 directions do not fall, and across a kink rise at first order on both sides."""
    model, generator, seen = MIXTURES[name], np.random.default_rng(1), 0
    for one in minimize(model, n_starts=8, effort="quick", seed=0):
        point = flatten(one.weights, one.bias)
        directions = generator.normal(size=(2000, point.size))
        directions /= np.linalg.norm(directions, axis=1)[:, None]
        for step in (1e-4, 1e-3):
            assert np.all(loss_at(model, point + step * directions) >= one.loss - 1e-12), one.phase.name
        assert one.converged and one.loss == pytest.approx(loss_at(model, point)[0], rel=1e-13)
        for output, x in one.kinks:
            assert x[output] < 0 and abs((one.weights.T @ one.weights @ x + one.bias)[output]) < 1e-9
            for side in (1, -1):
                rise = (loss_at(model, point + side * 1e-6 * np.eye(point.size)[output - model.n_features])[0] - one.loss) / 1e-6
                assert rise > 1e-4
            seen += 1
    assert seen > 0 or name == "leaky"


@pytest.mark.parametrize("name", FALLING)
def test_no_minimum_falls_along_narrow_ways(name):
    """No loss beside a minimum is lower, along the ways down at first and second order that are found by going on from the best.

    Of each of these models some that were listed fell: on kinks that jump down, or where an output comes on in a cone.
    """
    model, generator = FALLING[name], np.random.default_rng(1)
    for one in minimize(model, effort="quick"):
        point = flatten(one.weights, one.bias)
        for distance in (1e-4, 1e-5):
            assert lowest_beside(model, point, distance, generator) >= one.loss * (1 - 1e-13), (one.phase.name, one.bias)


@pytest.mark.parametrize("name", list(MIXTURES)[:-1])
def test_a_search_without_slopes_finds_nothing_lower(name):
    """Nelder and Mead's simplex from random starts ends above the lowest minimum, and near it."""
    model, generator = MIXTURES[name], np.random.default_rng(2)
    lowest = minimize(model, n_starts=12, effort="quick", seed=0)[0].loss
    options, starts = {"xatol": 1e-9, "fatol": 1e-13, "maxiter": 2000}, 0.8 * generator.normal(size=(4, model.form.size))
    ends = [optimize(lambda x: loss_at(model, x)[0], start, method="Nelder-Mead", options=options) for start in starts]
    assert lowest * (1 - 1e-9) < min(end.fun for end in ends) < 1.1 * lowest


@pytest.mark.parametrize("importance", [0.1, 10.0])
def test_kinks_that_fall_together_cancel(importance):
    """Signs of one size: where a feature is not represented jumps up and down of its output meet, and descents end there.

    (Multipliers of the jumps up alone went to and fro: five starts of six ended nowhere after 400 steps.)
    """
    model = ToyModel(1, [1.0, importance], 0.12, activity=CorrelatedSets([[0, 1]]), values=SIGNS)
    starts = np.random.default_rng(3).normal(size=(24, model.form.size))
    ends = settle(starts, model.form, np.repeat(model.control[None], 24, axis=0))
    assert all(end.is_minimum for end in ends)
    assert sum(end.n_evaluations for end in ends) < 24 * 60
    lost = {round(end.scaled_loss, 12) for end in ends if np.abs(end.x[:2]).min() < 1e-9}
    halves = {(0.5 + importance) / (1 + importance), (1 + 0.5 * importance) / (1 + importance)}  # an output is never below 0
    assert lost and lost <= {round(half, 12) for half in halves}


@pytest.mark.parametrize("feature", range(3))
def test_pairs_on_kinks_beside_a_dedicated_feature_are_found(feature):
    """A pair of the model without a feature and a dimension, and the feature by itself, which loses 1 where it is −1.

    Its product with the pair is 0, so that kinks at its values in an interval fall together. All such minima were missed.
    """
    model, others = MIXTURES["dedicated"], np.delete(np.arange(3), feature)
    pair = minimize(ToyModel(1, model.importance[others], 0.3, values=MIXED), n_starts=8, effort="quick")
    (pair,) = [one for one in pair if one.kinks and one.phase.extra == "superposition" and np.prod(one.weights) < 0]
    loss = pair.loss + model.importance[feature] * 0.3 * 0.5
    found = [one for one in minimize(model) if abs(one.loss - loss) < 1e-12]
    assert found and len(found[0].kinks) == 2 * len(pair.kinks)  # with the feature's atom, and without it
    gram = found[0].weights.T @ found[0].weights
    assert np.sort(np.abs(gram[np.triu_indices(3, 1)]))[1] < 1e-12


def test_a_mixture_s_lowest_minimum_sits_beside_a_dedicated_feature():
    """Two atoms and an interval: no direction leads down. Another minimum, .5 % above it, was the lowest found without it."""
    values = Pieces(atoms=[(-1, 0.25), (0.5, 0.25)], intervals=[(-0.5, 1, 0.5)])
    model = ToyModel(2, [1.0, 0.9, 0.8], 0.6, values=values)
    lowest = minimize(model)[0]
    assert lowest.loss < 0.5073 and len(lowest.kinks) == 3  # 0.5097 without
    directions = np.random.default_rng(0).normal(size=(4000, 9)) / 3
    point = flatten(lowest.weights, lowest.bias)
    for step in (1e-5, 1e-4, 1e-3, 1e-2):
        assert np.all(loss_at(model, point + step * directions) >= lowest.loss - 1e-14)


def test_kinks_that_fall_together_for_uncertain_values():
    """Newton's method comes to rest at a minimum where products are 0, so that the kinks of all uncertain values fall together.

    Its steps leave products that are 0 but for rounding, and go to such from others: none of these starts had come to rest.
    """
    model = ToyModel(2, [1.0, 1.0, 0.34145], 0.01848, values=MIXED)
    starts = [
        [0.06147, 1.01697, 0.05024, 0.99811, -0.06263, -0.00309, 0.0, -0.0258, 0.00253],
        [0.06147, 1.0182, 0.05395, 0.99811, -0.0627, -0.00332, 0.0, -0.02766, 0.00292],
        [-0.0075, 1.08859, 0.30383, 1.09827, -0.14569, 0.26772, -0.16052, -0.16052, 0.0011],
    ]
    directions = 1e-4 * np.random.default_rng(0).normal(size=(2000, 9))
    for one in settle(np.array(starts), model.form, np.repeat(model.control[None], 3, axis=0), radius=0.25):
        assert one.is_minimum and one.scaled_loss == pytest.approx(0.7862849157009, rel=1e-12)
        weights = one.x[:6].reshape(2, 3)
        assert np.sort(np.abs(weights.T @ weights)[np.triu_indices(3, 1)])[1] < 1e-13
        assert np.all(loss_at(model, one.x + directions) > model.loss_scale * one.scaled_loss)


def test_products_that_become_0_are_held_there():
    """From anywhere descents come to rest where kinks of uncertain values fall together: of these 25 starts 6 had not."""
    model = ToyModel(2, [1.0, 1.0, 0.3], 0.05, values=MIXED)
    starts = np.random.default_rng(5).normal(scale=0.7, size=(25, 9))
    ends = settle(starts, model.form, np.repeat(model.control[None], 25, axis=0))
    assert all(one.is_minimum for one in ends)
    assert np.mean([one.n_evaluations for one in ends]) < 60  # 76 where weights that are held were pulled out of 0


def test_cells_of_diagrams_have_minima_on_kinks():
    """Over a plane no multistart finds less, minima on kinks included; the diagram is saved and loaded."""
    plane = ControlPlane(MODELS["signs"], Axis("importance", [0.5, 1.5]), Axis("density", [0.2, 0.8]))
    diagram = phase_diagram(plane=plane, n_starts=6)
    for i, j in np.ndindex(2, 2):
        lowest = minimize(plane.model(diagram.x[j], diagram.y[i]), n_starts=8, effort="quick", seed=1)[0]
        assert diagram.loss[i, j] == pytest.approx(lowest.loss, rel=1e-10)
    assert diagram.converged.all()


def test_boundaries_of_minima_on_kinks():
    """Along a line four pairs of minima exchange, most on kinks: equal losses to rounding, for a search of its own too."""
    line = ControlPlane(ToyModel(1, [1.0, 0.8], 0.5, values=SKEW), Axis("density", np.linspace(0.1, 0.9, 5)))
    boundaries = sorted(phase_diagram(plane=line, n_starts=6).boundaries(), key=lambda one: one.x[0])
    for boundary, on_kinks in zip(boundaries, ([0, 0], [1, 1], [1, 2], [2, 2]), strict=True):
        lowest, other = minimize(line.model(boundary.x[0], 0.0), n_starts=16, effort="quick", seed=1)[:2]
        assert boundary.status == "whole"
        assert other.loss == pytest.approx(lowest.loss, rel=1e-13)
        assert sorted(len(one.kinks) for one in (lowest, other)) == on_kinks


@pytest.mark.parametrize(
    ("values", "square", "below"),  # E x² of an active feature, and what of it values below 0 have
    [
        (Pieces(intervals=[(-1, 0.5, 1)]), 1 / 4, 2 / 9),
        (Pieces(atoms=[(-1, 0.5)], intervals=[(-0.5, 0.5, 0.5)]), 1 / 2 + 1 / 24, 1 / 2 + 1 / 48),
    ],
)
def test_columns_are_held_at_0_without_biases(values, square, below):
    """One feature is dedicated, the other not represented, and the loss rises with its column on both sides.

    Of the interval no minimum was found, and of the mixture one that lies higher.
    """
    model = ToyModel(1, [1.0, 0.3], 0.5, values=values).without_biases()
    plane = ControlPlane(model, Axis("importance", np.geomspace(0.2, 3, 4)), Axis("density", [0.1, 0.9]))
    diagram = phase_diagram(plane=plane, n_starts=8)
    for i, j in np.ndindex(2, 4):
        expected = diagram.y[i] * min(below + diagram.x[j] * square, square + diagram.x[j] * below)
        assert diagram.loss[i, j] == pytest.approx(expected, rel=1e-13)
    lowest, generator = minimize(model, effort="quick")[0], np.random.default_rng(1)
    assert lowest.loss == pytest.approx(0.5 * (below + 0.3 * square), rel=1e-13) and lowest.converged
    point = flatten(lowest.weights, lowest.bias)
    assert np.array_equal(np.abs(point), [1.0, 0.0, 0.0, 0.0])
    for side in (1e-6, -1e-6):
        assert loss_at(model, point + side * np.eye(4)[1])[0] - lowest.loss > 1e-3 * abs(side)
    assert lowest_beside(model, point, 1e-4, generator) >= lowest.loss


def test_no_column_is_held_where_a_dimension_is_left():
    """Without any weights no slope tells, but the loss falls at second order: no minimum is there, of one dimension or two."""
    values = Pieces(intervals=[(-1, 0.5, 1)])
    for model in (ToyModel(1, [1.0, 0.3], 0.5, values=values), ToyModel(2, [1.0, 1.0, 0.3], 0.5, values=values)):
        model = model.without_biases()
        start = np.zeros((1, model.form.size))
        start[0, : model.n_hidden - 1] = 1.0
        (end,) = settle(start, model.form, model.control[None])
        weights = end.x[: -model.n_features].reshape(model.n_hidden, -1)
        assert not end.is_minimum or np.linalg.matrix_rank(weights) == model.n_hidden


def test_trained_models_are_explained():
    """Trained models of signed binary values end near minima, some on kinks: none is left unexplained, samples agree."""
    plane = ControlPlane(MODELS["signs"], Axis("importance", [0.5, 1.5]), Axis("density", [0.2, 0.8]))
    report = validate(plane=plane, n_seeds=4, n_steps=1500, seed=0, curves=False)
    assert "no contradiction" in report.text()
    assert "unexplained                                    0" in report.text()


def test_kinks_of_parallel_columns_are_one():
    """Where h = 0 without biases one output jumps up and another down: a minimum is where more of it is up, and none where less.

    Newton's method had come to rest at neither, and boundaries of such minima were lost.
    """
    model = ToyModel(1, [1.0, 0.98], 0.68129, values=SKEW).without_biases()
    points = np.array([[0.8192, 0.57344, 0.0, 0.0], [0.57344, 0.8192, 0.0, 0.0]])
    left = newton.approach(points, model.form, model.control, np.repeat(model.form.free[None], 2, axis=0))[:, 0]
    assert left[0] < 1e-11 and left[1] > 1e-4 and abs(points[0] @ [-0.7, 1.0, 0.0, 0.0]) < 1e-12
    directions = np.random.default_rng(0).normal(size=(2000, 4)) * model.form.free
    for step in (1e-5, 1e-3):
        assert np.all(loss_at(model, points[0] + step * directions) > loss_at(model, points[:1]))
    beside = np.array([0.57344, 0.57344 / 0.7, 0.0, 0.0])
    assert np.min(loss_at(model, beside + 1e-5 * directions)) < loss_at(model, beside) - 1e-8


def test_descents_do_not_depend_on_their_neighbours():
    """What a start leads to is the same to the last bit whatever was descended from before it."""
    model, generator = MODELS["skew"], np.random.default_rng(5)
    starts = generator.normal(size=(12, model.form.size))
    together = settle(starts, model.form, np.repeat(model.control[None], 12, axis=0))
    for k in (11, 3):
        (alone,) = settle(starts[k : k + 1], model.form, model.control[None])
        assert np.array_equal(alone.x, together[k].x) and alone.numbers == together[k].numbers


@pytest.mark.parametrize("name", ["signs", "skew", "leaky"])
def test_minima_on_kinks_are_followed_in_a_few_evaluations(name):
    """From a minimum at one density to that at another near it, where rounds of multipliers took 22 to 28 evaluations."""
    model = MODELS[name]
    near = replace(model, density=1.02 * model.density)
    on_kinks = [one for one in minimize(model, seed=0) if one.kinks]
    points = np.array([flatten(one.weights, one.bias) for one in on_kinks])
    settled = settle(points, near.form, np.repeat(near.control[None], len(points), axis=0), radius=0.25)
    followed = [one for one in settled if one.is_minimum]
    assert len(followed) >= len(settled) / 2
    assert np.median([one.n_evaluations for one in followed]) <= 16


def test_a_descent_that_comes_back_leaves_from_farther():
    """Beside a saddle on kinks the loss may rise first: the same way was tried six times, with 543 evaluations, for nothing."""
    model = ToyModel(1, [1.0, 1.4], 0.02, "leaky", slope=0.3, values=SIGNS)
    (end,) = settle(np.array([[0.0, -1.3, 0.0, 0.0]]), model.form, model.control[None])
    assert end.is_minimum and end.n_evaluations < 300


def test_multipliers_that_go_to_and_fro_are_left():
    """Rounds that change nothing are not repeated: 255 evaluations, most of them of the same points, were too many."""
    model = ToyModel(2, [1.0, 1.0, 0.136], 0.16, values=MIXED)
    start = [1.05, 0.31, -0.08, -0.09, -0.02, -1.0, -0.12, 0.01, 0.0]
    (end,) = settle(np.array([start]), model.form, model.control[None])
    assert end.n_evaluations < 200


def test_kinks_of_what_is_not_represented_cancel_at_once(monkeypatch):
    """Those of even values cancel, and take no time; of others the jumps down are more, and ways down are looked for."""
    asked, found = [], slopes._kinks

    def counted(*arguments):
        """The kinks, counted."""
        asked.append(found(*arguments))
        return asked[-1]

    monkeypatch.setattr(slopes, "_kinks", counted)
    x = np.array([[1.0, 0.0, 0.0, 0.0]])  # beside a represented feature one that is not
    for values, n_asked in ((SIGNS, 0), (SKEW, 1)):
        asked.clear()
        model = replace(MODELS["signs"], values=values)
        slopes.ways_down(x, model.form, model.control[None])
        assert len(asked) == n_asked


def test_a_pair_of_directions_falls_whichever_way_it_is_turned():
    """Two dedicated signs leave their valley as the third comes on, by second order, in a cell that curves down in itself."""
    model = ToyModel(2, [1.0, 1.0, 0.1], 0.01, values=SIGNS)
    for angle in np.linspace(0.0, 3.1, 30):
        x, way = np.zeros(9), np.zeros(9)
        x[[0, 1, 3, 4]] = np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)
        assert newton.lowest_curvature(x, model.form, model.control, model.form.free, way) < -0.03
        before, after = (expected_loss(model, at[:6].reshape(2, 3), at[6:]) for at in (x, x + 1e-3 * way))
        assert after < before


@pytest.mark.parametrize("length", [1e-3, 1e-2, 1e-1])
def test_a_feature_that_has_just_split_off_is_followed(length):
    """Its bias is the square of its weights, on a kink, in a narrow valley from which rounded kinks led back: none was listed."""
    model = ToyModel(2, [1.0, 1.0, 0.1], 0.02993577, "leaky", slope=0.3, values=SIGNS)
    start = np.array([1.1157, 0.0, length, 0.0, 1.1157, 0.0, -0.0625, -0.0625, 4 * length**2])
    (end,) = settle(start[None], model.form, model.control[None])
    assert end.is_minimum and abs(end.x[8] - np.sum(end.x[[2, 5]] ** 2)) < 1e-12
    alone = np.array([end.x[0], 0.0, 0.0, 0.0, end.x[4], 0.0, *end.x[6:8], 0.0])
    split = alone + np.outer(np.linspace(0, 0.01, 201), np.eye(9)[2])
    split[:, 8] = split[:, 2] ** 2
    losses = loss_at(model, split)
    own = end.scaled_loss * model.loss_scale
    assert own < losses.min() + 1e-12 < losses[0] and losses.min() - own < 0.05 * (losses[0] - own)
    assert abs(split[losses.argmin(), 2] - np.linalg.norm(end.x[[2, 5]])) < 1e-4
