"""Curves followed in floating point against the exact equations of the frozen theory."""

import ast
from functools import cache
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
import sympy

import phasediag
from phasediag import configurations, frozen_boundaries, phase_diagram
from phasediag.symbolic import DENSITY, IMPORTANCE

SIZES = [(2, 1), (3, 2), (4, 2), (4, 3), (5, 2), (5, 3), (6, 3)]

PAPER_IMPORTANCE, PAPER_DENSITY = np.geomspace(0.1, 10, 100), np.geomspace(0.01, 1, 100)
GRIDS = {
    "the paper's": (PAPER_IMPORTANCE, PAPER_DENSITY),
    "importance 1 on a grid line": (
        np.concatenate([np.geomspace(0.1, 0.9, 7), [1.0], np.geomspace(1.2, 10, 6)]),
        PAPER_DENSITY[::7],
    ),
    "triple point on a grid node": (np.array([0.1, 0.5, 1.0, 2.0, 10.0]), np.array([0.01, 0.1, 4 / 7, 0.8, 1.0])),
    "coarse": (np.array([0.1, 0.9, 3.0, 10.0]), np.array([0.01, 0.2, 0.6, 1.0])),
    "corners only": (np.array([0.2, 5.0]), np.array([0.02, 0.9])),
    "one side": (np.geomspace(1.5, 40, 12), np.geomspace(0.03, 1, 15)),
    "shut at the triple point": (np.linspace(0.25, 1, 7), np.linspace(4 / 7, 1, 5)),
}


@cache
def _diagram(shape, grid="the paper's"):
    return phase_diagram(*shape, importance=GRIDS[grid][0], density=GRIDS[grid][1], theory="frozen")


def _inside(importance, density, axes):
    """Which points lie in the rectangle of the axes."""
    near = 1e-12
    return all(
        axis[0] * (1 - near) <= value <= axis[-1] * (1 + near) for axis, value in zip(axes, (importance, density), strict=True)
    )


def _samples(boundary, count=400):
    """Points along an exact boundary, (count, 2) in (importance, density)."""
    low, high = (
        np.array([float(min(x, sympy.Integer(10**4))) for x in (r[k] for r in (boundary.importance, boundary.density))])
        for k in (0, 1)
    )
    floor = np.maximum(low, 1e-4)
    grid = np.geomspace(floor, high, count)
    left, right = boundary.equation.lhs, boundary.equation.rhs
    if not right.free_symbols:
        column = 0 if left == IMPORTANCE else 1
        grid[:, column] = float(right)
        return grid
    (argument,) = right.free_symbols
    source = 0 if argument == IMPORTANCE else 1
    grid[:, 1 - source] = sympy.lambdify(argument, right)(grid[:, source])
    return grid


def _distance(point, polyline):
    """Distance from a point to a polyline, in logarithms."""
    point, polyline = np.log(point), np.log(polyline)
    start, along = polyline[:-1], np.diff(polyline, axis=0)
    t = np.clip(np.sum((point - start) * along, axis=1) / np.sum(along**2, axis=1), 0, 1)
    return np.min(np.linalg.norm(start + t[:, None] * along - point, axis=1))


@pytest.mark.parametrize(("shape", "grid"), list(product(SIZES, GRIDS)))
def test_curves_are_the_exact_ones_and_no_others(shape, grid):
    """Every curve solves its exact equation to 1e-10 and covers it; each exact curve in the diagram is found once."""
    axes = GRIDS[grid]
    diagram = _diagram(shape, grid)
    exact, triples = frozen_boundaries(*shape)
    expected = {}
    for boundary in exact:
        points = [point for point in _samples(boundary) if _inside(*point, axes)]
        if len(points) > 1 and _runs_inside(points, axes):
            expected[frozenset(boundary.phases)] = (boundary, points)
    assert len(exact) == len({frozenset(b.phases) for b in exact})
    found = diagram.boundaries()
    assert len(found) == len({frozenset(b.phases) for b in found})
    assert {frozenset(b.phases) for b in found} == expected.keys()
    corners = np.array([[float(t.importance), float(t.density)] for t in triples])
    for curve in found:
        boundary, points = expected[frozenset(curve.phases)]
        equation = sympy.lambdify((IMPORTANCE, DENSITY), boundary.equation.lhs - boundary.equation.rhs)
        assert np.max(np.abs(equation(curve.importance, curve.density))) < 1e-10
        polyline = np.column_stack([curve.importance, curve.density])
        assert max(_distance(point, polyline) for point in points) < 2e-3
        assert all(_inside(*point, axes) for point in polyline)
        for end in polyline[[0, -1]]:
            at_corner = len(corners) and np.min(np.max(np.abs(corners - end), axis=1)) < 1e-10
            at_edge = any(
                abs(value / edge - 1) < 1e-12 for value, axis in zip(end, axes, strict=True) for edge in (axis[0], axis[-1])
            )
            assert at_corner or at_edge


def _runs_inside(points, axes):
    """Whether a curve runs through the inside of the diagram and not only along its edge."""
    middle = points[len(points) // 2]  # a boundary along the very edge separates nothing in the diagram
    return all(axis[0] * (1 + 1e-9) < value < axis[-1] * (1 - 1e-9) for axis, value in zip(axes, middle, strict=True))


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("grid", ["the paper's", "importance 1 on a grid line", "coarse", "corners only"])
def test_triple_points_are_the_exact_ones(shape, grid):
    """(1, 4/7) to 1e-10, with every phase that meets there, once."""
    diagram = _diagram(shape, grid)
    (exact,) = frozen_boundaries(*shape)[1]
    (found,) = diagram.triple_points()
    assert abs(found.importance - float(exact.importance)) < 1e-10
    assert abs(found.density - float(exact.density)) < 1e-10
    assert sorted(found.phases) == sorted(exact.phases)


@pytest.mark.parametrize("shape", SIZES)
def test_points_solve_the_equality_of_losses_and_nothing_lies_lower(shape):
    """At every point the two losses agree to 1e-14 relative and are the lowest; the latent loss is their slopes' jump."""
    table = {c.name: c for c in configurations(*shape)}
    for curve in _diagram(shape).boundaries():
        one, other = (table[name] for name in curve.phases)
        first, second = (c.expected_loss(curve.importance, curve.density) for c in (one, other))
        assert np.max(np.abs(first - second) / first) < 1e-14
        lowest = np.min([c.expected_loss(curve.importance, curve.density) for c in table.values()], axis=0)
        assert np.all(first <= lowest * (1 + 1e-12))
        step = 1e-3
        slopes = [
            c.expected_loss(curve.importance + step, curve.density) - c.expected_loss(curve.importance - step, curve.density)
            for c in (one, other)
        ]
        assert np.allclose(curve.latent_loss, np.abs(slopes[0] - slopes[1]) / (2 * step), rtol=1e-9, atol=1e-12)
        assert curve.order == "first" and curve.spinodals == ()


def test_latent_loss_of_2_to_1_is_known():
    """Across not represented | antipodal the extra feature's loss jumps by σ² − p²/6."""
    (curve,) = [
        b
        for b in _diagram((2, 1)).boundaries()
        if set(b.phases) == {"extra not represented + dedicated", "extra in antipodal pair"}
    ]
    p = curve.density
    assert np.allclose(curve.latent_loss, p / 3 - p**2 / 4 - p**2 / 6, rtol=1e-10, atol=0)


@pytest.mark.parametrize("shape", SIZES)
def test_curves_are_followed_in_order_and_densely(shape):
    """Neighbouring points are close in logarithms and no curve turns back: it can be drawn as it stands."""
    for curve in _diagram(shape).boundaries():
        points = np.log(np.column_stack([curve.importance, curve.density]))
        steps = np.diff(points, axis=0)
        assert np.all(np.linalg.norm(steps, axis=1) < 0.1)
        assert np.all(np.linalg.norm(steps, axis=1) > 1e-13)
        assert np.all(np.sum(steps[1:] * steps[:-1], axis=1) > 0)


def test_linear_boundary_stands_at_importance_one():
    """Without the ReLU the only boundary is importance = 1, from edge to edge, and nothing meets."""
    axes = {"importance": np.geomspace(0.1, 10, 8), "density": np.geomspace(0.01, 1, 7)}
    for shape, theory in [((2, 1), "frozen"), ((4, 2), "frozen"), ((5, 4), "frozen"), ((2, 1), "global"), ((4, 2), "relaxed")]:
        diagram = phase_diagram(*shape, activation="linear", theory=theory, **axes)
        (curve,) = diagram.boundaries()
        assert np.allclose(curve.importance, 1, rtol=1e-13)
        assert sorted([curve.density[0], curve.density[-1]]) == pytest.approx([0.01, 1.0], rel=1e-12)
        assert diagram.triple_points() == []


@pytest.mark.quick("_boundaries")
def test_tolerances_stand_in_one_table_with_a_reason_each():
    """Other modules of the room have no number with a point besides 0, ½, 1 and 2; each of the table is explained and used."""
    room = Path(phasediag.__file__).parent / "_boundaries"
    trees = {path.stem: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(room.glob("*.py"))}
    table, used = trees.pop("tolerances").body, set()
    for name, tree in trees.items():
        constants = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, float)]
        assert {node.value for node in constants} <= {0.0, 0.5, 1.0, 2.0}, name
        used |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for one, reason in pairwise(table[2:]):
        if isinstance(one, ast.Assign):
            names = {node.id for node in ast.walk(one.targets[0]) if isinstance(node, ast.Name)}
            assert names <= used, names - used
            assert isinstance(reason, ast.Expr) and isinstance(reason.value.value, str), names
