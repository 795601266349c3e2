"""The exact frozen boundaries: known equations, and exact checks of the others."""

import pytest
import sympy

from phasediag import configurations, frozen_boundaries
from phasediag.symbolic import DENSITY, IMPORTANCE

SIZES = [(2, 1), (3, 1), (3, 2), (4, 2), (4, 3), (5, 2), (5, 3), (6, 3)]
I, p = IMPORTANCE, DENSITY


def _by_patterns(boundaries):
    return {frozenset(b.patterns): b for b in boundaries}


@pytest.mark.quick("_boundaries")
def test_equations_of_2_to_1():
    """density = 4I/(5I + 2), its mirror image 4/(5 + 2I), importance = 1, and the triple point (1, 4/7)."""
    boundaries, triples = frozen_boundaries(2, 1)
    assert len(boundaries) == 3
    table = _by_patterns(boundaries)
    left = table[frozenset({"W = [1, 0]", "W = [1, −1]"})]
    right = table[frozenset({"W = [0, 1]", "W = [1, −1]"})]
    middle = table[frozenset({"W = [1, 0]", "W = [0, 1]"})]
    triple = sympy.Rational(4, 7)
    assert left.equation.lhs == p and sympy.simplify(left.equation.rhs - 4 * I / (5 * I + 2)) == 0
    assert right.equation.lhs == p and sympy.simplify(right.equation.rhs - 4 / (5 + 2 * I)) == 0
    assert middle.equation == sympy.Eq(I, 1)
    assert (left.importance, left.density) == ((0, 1), (0, triple))
    assert (right.importance, right.density) == ((1, sympy.oo), (0, triple))
    assert (middle.importance, middle.density) == ((1, 1), (triple, 1))
    (point,) = triples
    assert (point.importance, point.density) == (1, triple)
    assert set(point.patterns) == {"W = [1, 0]", "W = [0, 1]", "W = [1, −1]"}


def test_equations_of_3_to_2():
    """The left arm is that of 2→1; for importance above 1 the arm is density = 4/7; the triangle never wins."""
    boundaries, triples = frozen_boundaries(3, 2)
    assert {frozenset(b.patterns): str(b.equation.rhs) for b in boundaries} == {
        frozenset({"W ⊥ [0, 0, 1]", "W ⊥ [0, 1, 1]"}): "4*importance/(5*importance + 2)",
        frozenset({"W ⊥ [1, 0, 0]", "W ⊥ [1, 1, 0]"}): "4/7",
        frozenset({"W ⊥ [0, 0, 1]", "W ⊥ [1, 0, 0]"}): "1",
        frozenset({"W ⊥ [1, 1, 0]", "W ⊥ [0, 1, 1]"}): "1",
    }
    (point,) = triples
    assert (point.importance, point.density, len(point.phases)) == (1, sympy.Rational(4, 7), 4)


def _curve(boundary):
    """(importance, density) of the boundary as expressions in one symbol, and that symbol's range."""
    unknown, value = boundary.equation.lhs, boundary.equation.rhs
    if unknown == p:
        return {I: I, p: value}, I, boundary.importance
    return {I: value, p: p}, p, boundary.density


@pytest.mark.parametrize("shape", SIZES)
def test_losses_are_equal_along_a_boundary_and_nobody_is_lower(shape):
    """Substituted into the two losses the equation makes them identical; at rational points on it no loss is lower."""
    table = {c.name: c.symbolic_loss() for c in configurations(*shape)}
    boundaries, _ = frozen_boundaries(*shape)
    assert boundaries
    for boundary in boundaries:
        curve, parameter, (low, high) = _curve(boundary)
        one, other = (table[name] for name in boundary.phases)
        assert sympy.simplify((one - other).subs(curve, simultaneous=True)) == 0
        for k in range(1, 8):
            t = low + sympy.Rational(k, 8 - k) if high == sympy.oo else low + (high - low) * sympy.Rational(k, 8)
            point = {s: sympy.sympify(e).subs(parameter, t) for s, e in curve.items()}
            lowest = one.subs(point)
            assert all(lowest <= loss.subs(point) for loss in table.values())


@pytest.mark.parametrize("shape", SIZES)
def test_boundaries_end_where_something_meets_them(shape):
    """Just beyond each inner end, on the same curve, some third loss is lower: the boundary is not cut short."""
    table = {c.name: c.symbolic_loss() for c in configurations(*shape)}
    for boundary in frozen_boundaries(*shape)[0]:
        curve, parameter, (low, high) = _curve(boundary)
        for end, sign in ((low, -1), (high, 1)):
            beyond = end + sign * sympy.Rational(1, 1000) if end != sympy.oo else end
            point = {s: sympy.sympify(e).subs(parameter, beyond) for s, e in curve.items()}
            if beyond == sympy.oo or point[I] <= 0 or not 0 < point[p] <= 1:
                continue
            here = table[boundary.phases[0]].subs(point)
            assert min(loss.subs(point) for loss in table.values()) < here


@pytest.mark.parametrize("shape", SIZES)
def test_triple_points_have_equal_exact_losses(shape):
    """At the point, the listed phases and only they have the lowest loss, exactly."""
    table = {c.name: c.symbolic_loss() for c in configurations(*shape)}
    (point,) = frozen_boundaries(*shape)[1]
    values = {name: loss.subs({I: point.importance, p: point.density}) for name, loss in table.items()}
    lowest = min(values.values())
    assert set(point.phases) == {name for name, value in values.items() if value == lowest}
    assert len(point.phases) == len(point.patterns) >= 3


@pytest.mark.parametrize("shape", [(2, 1), (3, 2), (5, 2)])
def test_the_linear_model_has_one_boundary(shape):
    """importance = 1 for every density, and no triple point."""
    boundaries, triples = frozen_boundaries(*shape, activation="linear")
    assert [(b.equation, b.importance, b.density) for b in boundaries] == [(sympy.Eq(I, 1), (1, 1), (0, 1))]
    assert triples == ()


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((2, 2), {}, "n_hidden must be less than n_features"),
        ((9, 2), {}, "n_features must be a whole number from 2 to 8, got 9"),
        ((2, 1), {"activation": "none"}, "activation must be one of"),
    ],
)
def test_bad_arguments_are_named(arguments, options, message):
    """One error that names the argument."""
    with pytest.raises(ValueError, match=message):
        frozen_boundaries(*arguments, **options)
