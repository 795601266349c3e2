"""Values of active features, and the leaky activation: exact losses and derivatives against rational arithmetic."""

from fractions import Fraction
from itertools import pairwise, product

import numpy as np
import pytest
from rational_losses import rational_loss
from scipy.optimize import minimize as optimize

from phasediag import (
    Axis,
    ControlPlane,
    CorrelatedSets,
    PhaseDiagram,
    Pieces,
    ToyModel,
    expected_loss,
    expected_loss_and_gradient,
    expected_loss_hessian,
    inspect,
    minimize,
    monte_carlo_loss,
    phase_diagram,
)
from phasediag._minimizing.landscape import Landscape

MIXED = Pieces(atoms=[(-0.5, 0.25), (1.0, 0.25)], intervals=[(-1.0, 0.5, 0.25), (0.25, 1.5, 0.25)])
JOINT = Pieces(atoms=[(-1.0, 0.25)], intervals=[(0.0, 0.5, 0.25), (0.5, 1.0, 0.5)])
VALUES = {"uniform": "uniform", "binary": "binary", "signed": "signed", "mixed": MIXED, "joint": JOINT}


def a_model(n, values, slope=None, seed=0, **options):
    """A model of n features, and rational weights and biases."""
    generator = np.random.default_rng(seed)
    activation = "relu" if slope is None else "leaky"
    importance, density = generator.uniform(0.5, 1.5, n).round(3), generator.uniform(0.1, 0.9, n).round(3)
    model = ToyModel(n - 1, importance, density, activation, values=VALUES[values], slope=slope, **options)
    return model, (0.7 * generator.normal(size=(n - 1, n))).round(3), (0.3 * generator.normal(size=n)).round(3)


def rational_derivatives(model, weights, bias, direction, step=Fraction(1, 10**8)):
    """The exact loss, and its slope and curvature along a direction by differences in exact arithmetic."""
    m, n = weights.shape
    x = [Fraction(v) for v in [*weights.ravel(), *bias]]

    def at(side):
        moved = [v + side * step * int(d) for v, d in zip(x, direction, strict=True)]
        return rational_loss(model, [moved[k * n : (k + 1) * n] for k in range(m)], moved[m * n :])

    low, here, high = at(-1), at(0), at(1)
    return float(here), float((high - low) / (2 * step)), float((high + low - 2 * here) / step**2)


CASES = [
    *((n, values, slope) for n, values, slope in product((2, 3), ("uniform", "binary", "signed"), (None, 0.25))),
    (2, "mixed", None),
    (2, "mixed", 0.25),
    (2, "joint", None),
    (3, "joint", 0.25),
    (4, "binary", None),
    (4, "signed", 0.25),
    (4, "uniform", 0.25),
]


@pytest.mark.parametrize(("n", "values", "slope"), CASES)
def test_losses_and_derivatives_in_exact_arithmetic(n, values, slope):
    """The loss to 1e-13, its slope and curvature along a random direction to 1e-9."""
    model, weights, bias = a_model(n, values, slope)
    direction = np.random.default_rng(1).integers(-3, 4, size=n * n)
    exact, slope_along, curvature = rational_derivatives(model, weights, bias, direction)
    loss, *gradient = expected_loss_and_gradient(model, weights, bias)
    assert loss == pytest.approx(exact, rel=1e-13)
    assert direction @ np.concatenate([part.ravel() for part in gradient]) == pytest.approx(slope_along, abs=1e-9)
    assert direction @ expected_loss_hessian(model, weights, bias) @ direction == pytest.approx(curvature, abs=1e-9)


@pytest.mark.parametrize("values", ["uniform", "binary", "signed", "joint"])
@pytest.mark.parametrize("slope", [None, 0.4])
def test_second_derivatives_of_more_features(values, slope):
    """Those of five features are differences of the gradient, and the gradient those of the loss."""
    model, weights, bias = a_model(5, values, slope, seed=2)
    generator, step = np.random.default_rng(0), 1e-5
    direction = generator.normal(size=25)

    def along(side):
        by_weights, by_bias = direction[:20].reshape(4, 5), direction[20:]
        return expected_loss_and_gradient(model, weights + side * step * by_weights, bias + side * step * by_bias)

    (low, *below), (high, *above) = along(-1), along(1)
    _, *gradient = expected_loss_and_gradient(model, weights, bias)
    flat = [np.concatenate([part.ravel() for part in parts]) for parts in (below, above, gradient)]
    assert direction @ flat[2] == pytest.approx((high - low) / (2 * step), rel=1e-7)
    assert np.allclose(expected_loss_hessian(model, weights, bias) @ direction, (flat[1] - flat[0]) / (2 * step), atol=1e-6)


@pytest.mark.parametrize(("n", "slope", "distances"), [(2, None, (1e-3, 1e-6, 1e-9)), (2, 0.25, (1e-9,)), (3, None, (1e-9,))])
def test_second_derivatives_do_not_cancel_beside_weights_of_0(n, slope, distances):
    """Of signed values, to 1e-14 in exact arithmetic: the kink adds as much as one over the weights, on either side of 0."""
    model, direction = a_model(n, "signed", slope)[0], np.zeros(n * n, dtype=int)
    direction[n - 1 : n * (n - 1) : n] = 1
    for distance in distances:
        weights, bias = 1.03 * np.eye(n - 1, n), np.zeros(n)
        weights[:, -1] = distance
        curvature = rational_derivatives(model, weights, bias, direction, Fraction(1, 10**40))[2]
        assert direction @ expected_loss_hessian(model, weights, bias) @ direction == pytest.approx(curvature, abs=1e-14)


def test_an_output_has_every_component_in_one_term():
    """Components are summed at once where features are inactive or in the piece that begins at 0: fewer than half as many terms.

    Of one feature beside a correlated pair, which is active or not as a whole.
    """
    model = ToyModel(2, np.ones(3), [0.3, 0.4, 0.4], activity=CorrelatedSets([[1, 2]]), values=JOINT)
    states, parts, by_output = model.form.terms
    weights, row = model.form.weights(model.control), model.form.rows(model.control)
    for own in by_output:
        assert sorted(np.concatenate([parts[t] for t in np.flatnonzero(own)])) == list(range(len(weights)))
    assert row[-3:] == pytest.approx([0.075 / 0.775, 0.1 / 0.7, 0.1 / 0.7], rel=1e-14)
    assert row[-3 - len(states) : -3] == pytest.approx([weights[part].sum() for part in parts], rel=1e-14)
    assert len(ToyModel(2, np.ones(3), 0.5, values=Pieces(intervals=[(0, 0.5, 0.4), (0.5, 1, 0.6)])).form.terms[0]) < 9


@pytest.mark.quick
def test_oracles():
    """Binary antipodal pair: 2 p². Slopes 0 and 1 are the ReLU and the linear model. Pieces spell the named values."""
    for p in (0.1, 1.0):
        assert expected_loss(ToyModel(1, [1, 1], p, values="binary"), [[1.0, -1.0]], [0.0, 0.0]) == pytest.approx(2 * p * p)
    weights, bias = np.array([[0.9, -0.4, 0.3]]), np.array([0.1, -0.2, 0.05])
    for values in VALUES.values():
        base = dict(n_hidden=1, importance=[1.0, 0.5, 0.8], density=[0.3, 0.6, 0.2], values=values)
        for activation, slope in (("relu", 0.0), ("linear", 1.0)):
            leaky = ToyModel(**base, activation="leaky", slope=slope)
            expected = expected_loss(ToyModel(**base, activation=activation), weights, bias)
            assert expected_loss(leaky, weights, bias) == pytest.approx(expected, rel=1e-13)
    split = Pieces(intervals=[(-1.0, 0.0, 0.5), (0.0, 1.0, 0.5)])
    one, other = (ToyModel(1, [1.0, 0.5, 0.8], 0.4, values=values) for values in ("signed", split))
    assert expected_loss(one, weights, bias) == pytest.approx(expected_loss(other, weights, bias), rel=1e-13)


def test_signs_of_signed_values_do_not_matter():
    """A linear model of signed values is even in x: biases of either sign have the same loss."""
    model = ToyModel(1, [1.0, 0.7], 0.4, "linear", values="signed")
    weights = np.array([[0.8, -0.5]])
    one, other = (expected_loss(model, weights, side * np.array([0.2, -0.1])) for side in (1, -1))
    assert one == pytest.approx(other, rel=1e-13)


@pytest.mark.parametrize("values", ["binary", "signed"])
def test_minima_of_other_values(values):
    """Gradients vanish by the public door, no random point is lower; at slope 1 the leaky model's minimum is the linear one's."""
    model = ToyModel(2, [1.0, 0.9, 0.8], 0.3, values=values)
    lowest = minimize(model, n_starts=8)[0]
    _, *gradient = expected_loss_and_gradient(model, lowest.weights, lowest.bias)
    assert max(np.abs(part).max() for part in gradient) < 1e-10
    generator = np.random.default_rng(0)
    weights, bias = generator.normal(size=(2000, 2, 3)), 0.3 * generator.normal(size=(2000, 3))
    assert expected_loss(model, weights, bias).min() >= lowest.loss
    leaky = minimize(ToyModel(1, [1.0, 0.5], 0.3, "leaky", values=values, slope=1.0))[0].loss
    assert leaky == pytest.approx(minimize(ToyModel(1, [1.0, 0.5], 0.3, "linear", values=values))[0].loss, rel=1e-9)


def test_correlated_binary_features():
    """A binary pair that comes together is stored without loss by its sum; features that are always 1 by their biases."""
    assert minimize(ToyModel(1, [1.0, 0.7], 1.0, values="binary"))[0].loss < 1e-25
    model = ToyModel(1, [1.0, 1.0], 0.3, values="binary", activity=CorrelatedSets([[0, 1]]))
    assert expected_loss(model, np.array([[1.0, 1.0]]) / 2**0.5, [0.0, 0.0]) < 1e-30
    assert minimize(model)[0].loss < 1e-25


@pytest.mark.quick
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Pieces(atoms=[(1.0, 0.5)]), "the probabilities of atoms and intervals must sum to 1, got 0.5"),
        (lambda: Pieces(intervals=[(1.0, 0.0, 1.0)]), "intervals must have low < high"),
        (lambda: Pieces(atoms=[(1.0, 2.0), (2.0, -1.0)]), "atoms must have positive probabilities, got -1"),
        (lambda: Pieces(atoms=[(1.0, 0.5, 0.5)]), r"atoms must be a list of \(value, probability\)"),
        (lambda: Pieces(atoms=3), r"atoms must be a list of \(value, probability\), got 3"),
        (lambda: Pieces(atoms=None), r"atoms must be real numbers \(a list of finite \(value, probability\)\), got None"),
        (lambda: Pieces(intervals=[(-1e200, 1e200, 1.0)]), r"intervals must have values smaller than 1e\+30 in size"),
        (lambda: Pieces(atoms=[(0.0, 1.0)]), "atoms and intervals must have a root mean square of at least 1e-30, got 0"),
        (lambda: ToyModel(1, [1, 1], 0.1, "leaky", slope=True), r"slope must be real numbers \(in \[0, 1\]\), got True"),
        (lambda: ToyModel(1, [1, 1], 0.1, values="ternary"), 'values must be one of "uniform", "binary", "signed"'),
    ],
)
def test_bad_values(make, message):
    """Each error names argument, domain and value."""
    with pytest.raises(ValueError, match=message):
        make()


TREATS = "treats features uniform on .*[,;] monte_carlo_loss samples any"


@pytest.mark.parametrize("options", [{"values": "binary"}, {"values": "signed"}, {"activation": "leaky", "slope": 0.3}])
def test_up_to_fourteen_features_are_enumerated_where_there_is_no_other_engine(options):
    """Eleven features of any law have a loss; of fifteen one sentence says which engine there is, and that one answers."""
    for n in (11, 15):
        model, generator = ToyModel(2, np.ones(n), 0.1, **options), np.random.default_rng(n)
        parameters = 0.5 * generator.normal(size=(2, n)), 0.1 * generator.normal(size=n)
        mean, error = monte_carlo_loss(model, *parameters, 20_000, seed=0)
        if n == 11:
            assert abs(expected_loss(model, *parameters) - mean) < 4 * error
        else:
            for function in (expected_loss, expected_loss_and_gradient):
                with pytest.raises(ValueError, match=TREATS):
                    function(model, *parameters)
            with pytest.raises(ValueError, match="got 15 features; the contour integral, without second derivatives, treats"):
                expected_loss_hessian(model, *parameters)


def test_minima_without_biases():
    """Their biases are 0 and the gradient in the weights vanishes; with biases the least loss is at most theirs."""
    for values in ("uniform", "binary"):
        model = ToyModel(1, [1.0, 0.7], 0.2, values=values)
        lowest = minimize(model, bias=False)[0]
        _, by_weights, _ = expected_loss_and_gradient(model, lowest.weights, lowest.bias)
        assert not np.any(lowest.bias) and np.abs(by_weights).max() < 1e-11 and lowest.gradient_norm < 1e-11
        generator = np.random.default_rng(0)
        assert expected_loss(model, generator.normal(size=(2000, 1, 2)), np.zeros((2000, 2))).min() >= lowest.loss
        assert minimize(model)[0].loss <= lowest.loss
    with pytest.raises(ValueError, match="bias must be True or False, got 0"):
        minimize(model, bias=0)


@pytest.mark.parametrize("names", [("importance", "density"), ("interference_penalty", "density"), ("slope", "density")])
def test_planes_without_biases(names, tmp_path):
    """Over any axes, read from a file too, biases stay 0 and the losses are those of single models."""
    base = ToyModel(1, [1.0, 0.7], 0.5, values="binary").without_biases()
    plane = ControlPlane(base, *(Axis(name, [0.2, 0.6], log=False) for name in names))
    phase_diagram(plane=plane, n_starts=8).save(tmp_path / "plane.npz")
    diagram = PhaseDiagram.load(tmp_path / "plane.npz")
    assert not np.any(diagram.bias) and not diagram.plane.form.biased
    for i, j in np.ndindex(diagram.loss.shape):
        alone = minimize(plane.model(diagram.x[j], diagram.y[i]), n_starts=8)
        assert diagram.loss[i, j] == pytest.approx(alone[0].loss, rel=1e-11) and not np.any(alone[0].bias)


def test_no_minimum_of_binary_values_sits_on_a_kink():
    """At z = 0 the slope of the loss falls: a simplex search, which asks for no slope, finds no lower point than the descents."""
    for p in (0.1, 0.5, 0.9):
        model = ToyModel(1, [1.0, 0.8], p, values="binary")
        lowest = minimize(model)[0].loss
        generator = np.random.default_rng(0)
        ends = [
            optimize(
                lambda x, model=model: expected_loss(model, x[:2].reshape(1, 2), x[2:]),
                0.7 * generator.normal(size=4),
                method="Nelder-Mead",
                options={"xatol": 1e-9, "fatol": 1e-13, "maxiter": 4000},
            ).fun
            for _ in range(15)
        ]
        assert lowest * (1 - 1e-9) < min(ends) < 1.1 * lowest
    signs = Pieces(atoms=[(-1.0, 0.5), (1.0, 0.5)])
    assert minimize(ToyModel(1, [1.0, 0.8], 0.2, "linear", values=signs))[0].loss == pytest.approx(0.8 * 0.2, rel=1e-9)


def test_signs_of_columns_are_one_minimum_where_values_are_even():
    """With signed values W_i and −W_i are equivalent: one minimum, one name; an inspected model lies where it is."""
    model = ToyModel(2, [1.0, 1.0, 1.0], 0.3, "leaky", values="signed", slope=0.2)
    minima = minimize(model)
    assert len({round(one.loss, 9) for one in minima}) == len(minima)
    triangle = minima[0]
    assert triangle.phase.name == "extra in triangle"
    flipped = triangle.weights * [1, -1, 1]
    assert expected_loss(model, flipped, triangle.bias) == pytest.approx(triangle.loss, rel=1e-13)
    found = inspect(model, flipped, triangle.bias, n_starts=4)
    assert found.phase.name == "extra in triangle"
    assert found.distance < 1e-9


@pytest.mark.parametrize(("values", "most"), [("binary", 3.0), ("signed", 2.5)])
def test_valleys_are_followed_once(values, most):
    """A valley counts as one minimum in each cell, also where nothing is lost, and is carried on once: evaluations stay few."""
    axes = Axis("importance", np.geomspace(0.1, 10, 12)), Axis("density", np.geomspace(0.01, 1, 12))
    default, other = (
        Landscape.of(ControlPlane(ToyModel(1, [1.0, 1.0], 1.0, values=law), *axes)).explore() for law in ("uniform", values)
    )
    assert other.evaluations < most * default.evaluations
    for points in other.cells.values():
        assert len(points) <= 12
        losses = sorted(point.scaled_loss for point in points if point.is_flat)
        assert all(b - a > 1e-9 * max(a, 1e-6) for a, b in pairwise(losses))


def test_an_output_that_is_always_zero_suits_a_feature_without_mean():
    """Of signed values an output of 0 is the best constant: the feature that is left out has it, and is named so."""
    model = ToyModel(1, [1.0, 0.2], 0.9, values="signed")
    left_out = next(one for one in minimize(model) if one.phase.name == "extra not represented + dedicated")
    assert left_out.loss == pytest.approx(expected_loss(model, [[1.0, 0.0]], [0.0, 0.0]), rel=1e-12) and left_out.tied
    uniform = ToyModel(1, [1.0, 0.2], 0.9)
    assert all(np.all(one.weights.T @ one.weights @ np.ones(2) + one.bias > 0) for one in minimize(uniform))
