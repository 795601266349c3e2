"""Closed forms with free scales and biases against enumeration, which shares no formula with them, and its gradient."""

import numpy as np
import pytest
import sympy

from phasediag import (
    ToyModel,
    compile_loss,
    configurations,
    expected_loss,
    expected_loss_and_gradient,
)
from phasediag.symbolic import DENSITY, IMPORTANCE

ALL_UP_TO_4 = [
    pytest.param(c, id=f"{n}-{m} {activation} {c.pattern}")
    for activation in ("relu", "linear")
    for n, m in ((2, 1), (3, 2), (4, 2), (4, 3))
    for c in configurations(n, m, activation=activation)
]
SMALL_RELU = [c for c in ALL_UP_TO_4 if c.values[0].activation == "relu" and c.values[0].n_features < 4]


def random_point(form, rng, spread=0.5):
    """Scales and biases around the reference point."""
    nudged = {s.name: float(v) + spread * rng.uniform(-1, 1) for s, v in form.reference.items()}
    return {name: abs(value) if name.startswith("scale") else value for name, value in nudged.items()}


def points_inside(form, rng, count, spread=0.5):
    """Random points of the chamber: closer to the reference where far ones fall outside."""
    found = []
    while len(found) < count:
        values = random_point(form, rng, spread)
        if form.holds(values):
            found.append(values)
        else:
            spread = max(0.9 * spread, 0.02)
    return found


def by_enumeration(form, values, importance, density):
    """The loss and its gradient in (scales, biases), by the engine and the chain rule."""
    c = form.configuration
    weights, bias = form.weights_and_bias(values)
    model = ToyModel(c.n_hidden, [1.0] * (c.n_features - 1) + [importance], density, c.activation)
    loss, in_weights, in_bias = expected_loss_and_gradient(model, weights, bias, method="enumeration")
    in_scale = (in_weights * c.weights).sum(axis=0)
    kinds = {"scale": in_scale, "bias": in_bias}
    slopes = [kinds[kind][int(i) - 1] for kind, i in (symbol.name.split("_") for symbol in form.reference)]
    return loss, np.array(slopes)


@pytest.mark.parametrize("configuration", ALL_UP_TO_4)
def test_closed_form_is_the_loss_everywhere_in_its_chamber(configuration):
    """At random points of the default chamber, importances and densities it equals enumeration to 1e-12."""
    form, rng = configuration.relaxed_loss(), np.random.default_rng(1)
    loss = form.compile()
    for values in points_inside(form, rng, 20):
        importance, density = rng.uniform(0.2, 5), 10 ** rng.uniform(-2, 0)
        expected, _ = by_enumeration(form, values, importance, density)
        assert loss(importance, density, *values.values()) == pytest.approx(expected, rel=1e-12, abs=1e-13)


@pytest.mark.parametrize("configuration", SMALL_RELU)
def test_closed_form_holds_in_other_chambers(configuration):
    """Derived at random reference points it equals enumeration there and beside them."""
    rng = np.random.default_rng(2)
    start = configuration.relaxed_loss()
    for _ in range(5):
        at = random_point(start, rng, 0.9)
        form = configuration.relaxed_loss(at=at)
        assert form.reference == {s: sympy.nsimplify(at[s.name], rational=True) for s in form.reference}
        loss = sympy.lambdify(form.parameters, form.expression, "math", cse=True)
        for values in points_inside(form, rng, 4, 0.1):
            expected, _ = by_enumeration(form, values, 0.7, 0.3)
            assert loss(0.7, 0.3, *values.values()) == pytest.approx(expected, rel=1e-11, abs=1e-12)


@pytest.mark.parametrize(("n", "m", "which"), [(2, 1, 2), (3, 2, 1), (3, 2, 4), (4, 2, 4), (4, 3, 2), (4, 3, 5)])
def test_its_derivatives_are_the_gradient(n, m, which):
    """sympy's derivatives equal the gradient of the engine; the one in importance is the extra feature's own loss."""
    form, rng = configurations(n, m)[which].relaxed_loss(), np.random.default_rng(3)
    gradient = sympy.lambdify(form.parameters, form.gradient(), "math", cse=True)
    for values in points_inside(form, rng, 5):
        importance, density = rng.uniform(0.2, 5), rng.uniform(0.05, 1)
        found = np.array(gradient(importance, density, *values.values()))
        loss, expected = by_enumeration(form, values, importance, density)
        np.testing.assert_allclose(found[2:], expected, rtol=0, atol=1e-12 * max(1, importance))
        more, _ = by_enumeration(form, values, importance + 1, density)
        assert found[0] == pytest.approx(more - loss, rel=1e-10, abs=1e-13)


@pytest.mark.parametrize("configuration", ALL_UP_TO_4)
def test_the_frozen_loss_is_its_value_on_the_wall(configuration):
    """With scale 1 and the frozen biases, where the chamber ends, it is the frozen closed form exactly."""
    form = configuration.relaxed_loss()
    dropped = {f"bias_{i + 1}" for i in configuration.dropped}
    frozen = {s: 1 if s.is_positive else DENSITY / 2 if s.name in dropped else 0 for s in form.reference}
    assert sympy.expand(form.expression.subs(frozen) - configuration.symbolic_loss()) == 0
    assert form.holds({s: value.subs(DENSITY, 0.3) if s.name in dropped else value for s, value in frozen.items()})


def test_conditions_are_those_that_holds_checks():
    """The listed inequalities and `holds` agree at random points in and out of the chamber, one by one or as arrays."""
    form, rng = configurations(3, 2)[4].relaxed_loss(), np.random.default_rng(4)
    points = [random_point(form, rng, 0.12) for _ in range(100)]
    listed = [all(c.subs({s: values[s.name] for s in form.reference}) for c in form.conditions) for values in points]
    assert [form.holds(values) for values in points] == listed and 5 < sum(listed) < 95
    assert form.holds({name: np.array([p[name] for p in points]) for name in points[0]}).tolist() == listed
    linear = configurations(2, 1, activation="linear")[2].relaxed_loss()
    assert linear.conditions == () and linear.holds({"scale_1": 9, "scale_2": 1, "bias_1": 5, "bias_2": [-3, 4]}).all()


@pytest.mark.quick
def test_outside_its_chamber_it_is_another_function():
    """Beyond a wall the form is no longer the loss: what `holds` says matters."""
    form = configurations(2, 1)[2].relaxed_loss()
    values = {"scale_1": 1.0, "scale_2": 1.0, "bias_1": 0.3, "bias_2": -0.1}
    expected, _ = by_enumeration(form, values, 1.0, 0.5)
    assert not form.holds(values)
    assert abs(form.compile()(1.0, 0.5, *values.values()) - expected) > 1e-3


def test_weights_of_arrays_have_leading_axes():
    """Values broadcast; the loss over the axes is that of each point."""
    form = configurations(3, 2)[4].relaxed_loss()
    values = {s.name: float(v) for s, v in form.reference.items()} | {"scale_2": np.array([0.95, 1.0, 1.02])}
    weights, bias = form.weights_and_bias(values)
    assert weights.shape == (3, 2, 3) and bias.shape == (3, 3)
    found = form.compile()(2.0, np.array([[0.1], [1.0]]), *values.values())
    assert found.shape == (2, 3)
    for row, density in zip(found, (0.1, 1.0), strict=True):
        np.testing.assert_allclose(row, expected_loss(ToyModel(2, [1, 1, 2], density), weights, bias), rtol=1e-12)


def test_latex_of_a_dedicated_feature():
    """The simplest form as a reader would write it, and no bare names in a larger one."""
    tex = configurations(2, 1)[2].relaxed_loss().latex()
    assert r"\ell_{1}^{2}" in tex and "b_{2}" in tex and "I" in tex
    assert not any(word in tex for word in ("scale", "bias", "density", "importance"))


def test_compiled_functions_run_in_compiled_code():
    """`compile_loss` takes any expression of its parameters and the result can be called from a kernel."""
    import numba

    x, y = sympy.symbols("x y")
    f = compile_loss((x + 1) ** 2 / y, (x, y))

    @numba.njit
    def total(n):
        s = 0.0
        for i in range(n):
            s += f(float(i), 2.0)
        return s

    assert total(3) == (1 + 4 + 9) / 2
    with np.errstate(divide="ignore"):
        assert f(1.0, 0.0) == np.inf
    assert compile_loss(3, (x,))(0.0) == 3


def test_bad_arguments_are_named():
    """Unknown parameters, walls, negative scales, missing values and big clusters are refused in a sentence."""
    pair = configurations(2, 1)[2]
    with pytest.raises(ValueError, match="at must have keys among scale_1, scale_2, bias_1, bias_2, got scale_3"):
        pair.relaxed_loss(at={"scale_3": 1})
    with pytest.raises(ValueError, match=r"inside a sign chamber, got a point on the wall bias_1 = 0"):
        pair.relaxed_loss(at={"bias_1": 0})
    with pytest.raises(ValueError, match=r"at\[scale_1\] must be positive and finite, got -1"):
        pair.relaxed_loss(at={"scale_1": -1})
    with pytest.raises(ValueError, match=r"at\[bias_2\] must be finite, got nan"):
        pair.relaxed_loss(at={"bias_2": np.nan})
    with pytest.raises(ValueError, match="at must be a dict"):
        pair.relaxed_loss(at=[1, 1])
    form = pair.relaxed_loss(at={sympy.Symbol("bias_2", real=True): sympy.Rational(-1, 3)})
    with pytest.raises(ValueError, match="values must give every scale and bias, got none for scale_2, bias_2"):
        form.holds({"scale_1": 1, "bias_1": 0})
    with pytest.raises(ValueError, match="scale_1 must be positive and finite, got 0"):
        form.weights_and_bias({"scale_1": 0, "scale_2": 1, "bias_1": 0, "bias_2": 0})
    with pytest.raises(ValueError, match="relaxed_loss treats clusters of up to 6 features, got one of 8"):
        configurations(8, 7)[-1].relaxed_loss()
    with pytest.raises(ValueError, match="parameters must contain every free symbol of expression, got none for density"):
        compile_loss(DENSITY * IMPORTANCE, [IMPORTANCE])
    with pytest.raises(ValueError, match="parameters must be sympy symbols, got 'density'"):
        compile_loss(DENSITY, ["density"])
