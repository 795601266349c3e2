"""Level curves: a function of the lowest minimum followed in the plane and along boundaries, against minima solved afresh."""

import json

import numpy as np
import pytest
from scipy.optimize import brentq

from phasediag import LevelPoint, PhaseDiagram, ToyModel, minimize, phase_diagram
from phasediag.figures import diagram_figure

DROPPED, PAIR = "extra not represented + dedicated", "extra in antipodal pair"
WINDOW = {"importance": (0.5, 0.8), "density": (0.48, 0.7)}


def over(window, size):
    """A grid over a window, so many values along each axis."""
    return {name: np.geomspace(*ends, size) for name, ends in window.items()}


def extra_norm(minimum):
    """How far the extra feature is represented."""
    return minimum.feature_norm[-1]


def extra_interference(minimum):
    """What the others put on the extra feature."""
    return minimum.interference[-1]


def extra_bias(minimum):
    """The bias of the extra feature."""
    return minimum.bias[-1]


def coherence(minimum):
    """The largest |cosine| between two columns of W."""
    unit = minimum.weights / np.maximum(minimum.feature_norm, 1e-300)
    return np.max(np.abs(np.triu(unit.T @ unit, 1)))


LEVELS = [(extra_norm, 0.1), (extra_interference, 0.99), (extra_bias, 0.3)]


@pytest.fixture(scope="module")
def diagram():
    """2→1 with its boundaries and three level curves' functions."""
    diagram = phase_diagram(**over(WINDOW, 6))
    for function, value in LEVELS:
        diagram.level_curves(function, value)
    return diagram


def curves_of(diagram, function):
    """The level curves of a function that a diagram has."""
    return [curve for curve in diagram.curves.levels if curve.function == function.__name__]


def solved_afresh(function, value, shape, importance, density):
    """The density next to a point at which the function of the lowest of fresh minima has the value."""

    def difference(p):
        model = ToyModel(shape[1], [*[1.0] * (shape[0] - 1), importance], p)
        return function(minimize(model, n_starts=8, effort="quick")[0]) - value

    return brentq(difference, density * (1 - 1e-3), min(density * (1 + 1e-3), 1.0), xtol=1e-13)


@pytest.mark.parametrize(("function", "value"), LEVELS)
def test_level_curves_are_where_fresh_minima_have_the_value(diagram, function, value):
    """Bisection of `minimize` along a line of densities through points of each curve, its middle and both sides, to 1e-9."""
    found = curves_of(diagram, function)
    assert found
    for curve in found:
        assert curve.status == "whole" and curve.kind == "level" and curve.value == value
        assert np.all(curve.precision < 1e-9)
        for k in np.unique(np.linspace(0, curve.x.size - 1, 5).astype(int)[1:-1]):
            if abs(np.log(curve.y[k + 1] / curve.y[k - 1])) < 1e-9:
                continue  # along a line of one density
            p = solved_afresh(function, value, (2, 1), curve.x[k], curve.y[k])
            assert p == pytest.approx(curve.y[k], rel=1e-9)


@pytest.mark.quick("_boundaries")
def test_the_bias_of_a_dropped_feature_is_half_the_density():
    """It is p/2 exactly: a horizontal line from edge to edge where no other phase is lower."""
    diagram = phase_diagram(importance=[0.1, 0.15, 0.2], density=[0.5, 0.7, 0.9])
    (curve,) = diagram.level_curves(extra_bias, 0.3)
    assert curve.phase == DROPPED and curve.ends == ("edge", "edge") and np.max(np.abs(curve.y - 0.6)) < 1e-12
    assert sorted(curve.x[[0, -1]]) == pytest.approx([0.1, 0.2], abs=1e-12)


def test_a_level_curve_beside_a_boundary_is_met_on_a_coarse_grid():
    """Of norms that grow from 0 beyond a continuous boundary: one and the same pair of neighbours encloses both curves."""
    diagram = phase_diagram(importance=[0.6, 0.8], density=[0.6, 0.7])
    (curve,) = diagram.level_curves(extra_norm, 0.1)
    assert curve.ends == ("edge", "edge") and curve.phase == PAIR
    k = curve.x.size // 2
    assert solved_afresh(extra_norm, 0.1, (2, 1), curve.x[k], curve.y[k]) == pytest.approx(curve.y[k], rel=1e-9)


def test_level_curves_end_where_boundaries_have_the_value(diagram):
    """Every end on a boundary is one of the points found along the boundaries, and the other way round; there is no other end."""
    for function, value in LEVELS:
        points = [point for b in diagram.boundaries() for point in b.level_points(function, value)]
        assert all(isinstance(point, LevelPoint) and abs(function(point.minimum) - value) < 1e-9 for point in points)
        ends = []
        for curve in curves_of(diagram, function):
            assert set(curve.ends) <= {"boundary", "edge"}
            ends += [(curve.x[k], curve.y[k]) for k in (0, -1) if curve.ends[k] == "boundary"]
        assert ends and all(min(abs(x - p.x) + abs(y - p.y) for p in points) < 1e-8 for x, y in ends)
        assert all(min(abs(x - p.x) + abs(y - p.y) for x, y in ends) < 1e-8 for p in points)


def test_two_minima_cross_where_a_level_curve_ends_on_a_first_order_boundary(diagram):
    """Fresh minima there: the lowest two have one loss, one of them the value."""
    for boundary in (b for b in diagram.boundaries() if b.order == "first"):
        for point in boundary.level_points(extra_norm, 0.1):
            found = minimize(ToyModel(1, [1.0, point.x * (1 + 1e-13)], point.y))
            assert found[1].loss / found[0].loss - 1 < 1e-10
            assert min(abs(extra_norm(one) - 0.1) for one in found[:2]) < 1e-7


def test_level_curves_do_not_depend_on_the_grid(diagram):
    """The same ends on another grid, to 1e-8."""
    other = phase_diagram(**over(WINDOW, 9))
    for function, value in LEVELS:
        found = [sorted((x.x[k], x.y[k], x.ends[k]) for k in (0, -1)) for x in other.level_curves(function, value)]
        known = [sorted((x.x[k], x.y[k], x.ends[k]) for k in (0, -1)) for x in curves_of(diagram, function)]
        assert len(found) == len(known)
        for one, two in zip(sorted(found), sorted(known), strict=True):
            assert [end[2] for end in one] == [end[2] for end in two]
            assert np.allclose([end[:2] for end in one], [end[:2] for end in two], rtol=0, atol=1e-8)


def test_the_coherence_of_triangles_is_followed():
    """Of 3→2, in the one phase that is asked for: solved afresh."""
    diagram = phase_diagram(3, 2, **over({"importance": (0.61, 0.66), "density": (0.53, 0.58)}, 4))
    found = diagram.level_curves(coherence, 0.7005, name="coherence", phase="extra in triangle")
    assert found and all(curve.phase == "extra in triangle" and curve.status == "whole" for curve in found)
    for curve in found:
        k = curve.x.size // 2
        assert solved_afresh(coherence, 0.7005, (3, 2), curve.x[k], curve.y[k]) == pytest.approx(curve.y[k], rel=1e-9)


def test_level_curves_are_kept_written_and_drawn(diagram, tmp_path):
    """With the diagram, as points and as facts; in a figure a line each, named in the legend."""
    diagram.save(tmp_path / "levels.npz")
    loaded = PhaseDiagram.load(tmp_path / "levels.npz")
    assert len(loaded.curves.levels) == len(diagram.curves.levels) >= 4
    for one, other in zip(loaded.curves.levels, diagram.curves.levels, strict=True):
        assert (one.phase, one.function, one.value, one.ends) == (other.phase, other.function, other.value, other.ends)
        assert np.array_equal(one.minima, other.minima) and np.array_equal(one.x, other.x)
    facts = json.loads(json.dumps(loaded.curves.facts()))["levels"][0]
    assert {"phases", "function", "value", "ends", "importance", "density", "precision"} <= set(facts)
    rows = [row for row in loaded.curves.rows() if row["kind"] == "level"]
    assert len(rows) == sum(curve.x.size for curve in loaded.curves.levels)
    assert rows[0]["function"] == "extra_norm" and rows[0]["value"] == 0.1 and rows[0]["end"]
    again = diagram.level_curves(extra_norm, 0.1)  # replaces the earlier ones
    assert len(diagram.curves.levels) == len(loaded.curves.levels) and again[0].x.size
    figure = diagram_figure(diagram, spinodals=False)
    words = [text.get_text() for legend in (*figure.legends, figure.axes[0].get_legend()) if legend for text in legend.texts]
    assert {"extra_norm = 0.1", "extra_interference = 0.99", "extra_bias = 0.3"} <= set(words)


def test_level_curves_refuse_what_makes_no_curve(diagram):
    """One sentence each names the argument."""
    with pytest.raises(ValueError, match=r"function must be callable with a Minimum, got 0\.1"):
        diagram.level_curves(0.1)
    with pytest.raises(ValueError, match="value must"):
        diagram.level_curves(extra_norm, np.nan)
    with pytest.raises(ValueError, match=r"phase must be .* got 'triangle'"):
        diagram.level_curves(extra_norm, 0.1, phase="triangle")
    with pytest.raises(ValueError, match="function must return a real number, got array"):
        diagram.level_curves(lambda minimum: minimum.feature_norm, 0.1)
    with pytest.raises(ValueError, match="level curves need minima that adjust"):
        phase_diagram(**over(WINDOW, 3), theory="frozen").level_curves(extra_norm, 0.1)
    with pytest.raises(ValueError, match="function must not change when features that are alike change places, got"):
        phase_diagram(3, 2, importance=[0.5, 0.6], density=[0.2, 0.4]).level_curves(lambda minimum: minimum.bias[1], 0.01)
