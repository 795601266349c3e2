"""Boundaries of relaxed and global diagrams: topology, losses solved afresh on them, exact stability limits, symmetry."""

from functools import cache
from itertools import permutations
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.optimize import brentq

from phasediag import (
    ControlPlane,
    CurveSettings,
    ToyModel,
    classify,
    configurations,
    expected_loss,
    expected_loss_and_gradient,
    minimize,
    optimal_bias,
    phase_diagram,
)
from phasediag._boundaries import competitors
from phasediag._boundaries.branch_points import branch_points
from phasediag._boundaries.competitors import Competitors
from phasediag._boundaries.continuation import follow
from phasediag._boundaries.curves import Coexistence, Curve, tangent_of
from phasediag._boundaries.equilibria import Solver, far
from phasediag._boundaries.family import Box
from phasediag._boundaries.frames import frames_around
from phasediag._boundaries.junctions import Junction, _bicriticals, _meeting, _triple, locate
from phasediag._boundaries.neighbours import siblings
from phasediag._boundaries.normal_forms import branches
from phasediag._minimizing.flat import flatten
from phasediag._minimizing.stationary_points import settle
from phasediag._processes import Workers
from phasediag.forms import Form
from phasediag.model import cell_controls

DROPPED, PAIR, ALONE = "extra not represented + dedicated", "extra in antipodal pair", "extra dedicated + not represented"
WEAK_STRONG = (0.5641313653477, 0.5117380321176)  # dropped, weak pair and strong pair
TRICRITICAL = (0.5740419074, 0.5202477368), (0.8964406083, 0.8373195801)
CENTRE = 0.7064036926732  # density of the triple point of three pairs at importance 1


def stability_limit(density):
    """The importance from which W = [1, 0], b = [0, p/2] is no minimum of 2→1.

    To second order output 2, never clipped, gives −I σ² w² for a weight w of the extra feature. Output 1 gives
    κ w²: while feature 1 is active (probability p) its residual 2αU + β + w x₂ costs σ² + (β − p/2)²/4 at the best α (U uniform,
    w = −1), while it is not (probability q) the clipped (β − x₂)⁺ costs qβ² + pβ³/3. κ is the minimum over β, and I = κ/σ².
    """
    p, q = density, 1 - density
    variance, half = p / 3 - p * p / 4, p / 2 + 2 * q * q
    bias = p * p / 2 / (half + np.sqrt(half * half + p**3 * q))
    return (p * variance + p * (bias - p / 2) ** 2 / 4 + q * (q * bias**2 + p * bias**3 / 3)) / variance


@cache
def diagram(theory="global", shape=(2, 1)):
    """A small diagram over the paper's axes; its boundaries are computed once."""
    return phase_diagram(*shape, importance=np.geomspace(0.1, 10, 25), density=np.geomspace(0.01, 1, 25), theory=theory)


def model_at(importance, density, shape=(2, 1)):
    """The model at a point of the plane."""
    return ToyModel(shape[1], [*[1.0] * (shape[0] - 1), importance], min(density, 1.0))


def near(one, other, tolerance):
    """Whether two points of the plane agree."""
    return bool(np.all(np.abs(np.array(one) - np.array(other)) < tolerance))


def ends(boundary):
    """First and last point with the reason of each, in a fixed order."""
    points = [(boundary.importance[k], boundary.density[k], name) for k, name in zip((0, -1), boundary.ends, strict=True)]
    return sorted(points)


def curves(phases, order):
    """The boundaries of 2→1 between two phases, of one order, from left to right."""
    found = [b for b in diagram().boundaries() if set(b.phases) == set(phases) and b.order == order]
    return sorted(found, key=lambda b: min(b.importance))


# Every boundary of 2→1 with importance up to 1: phases, order, and its two ends; the others are their mirror images.
EDGE = (0.1, 0.1812474468), (0.9888464823, 1.0)  # where the curves leave the paper's plane
CURVES_2_TO_1 = [
    (DROPPED, PAIR, "first", EDGE[0], "edge", WEAK_STRONG, "triple point"),
    (DROPPED, PAIR, "first", WEAK_STRONG, "triple point", TRICRITICAL[0], "order changes"),
    (DROPPED, PAIR, "continuous", TRICRITICAL[0], "order changes", TRICRITICAL[1], "order changes"),
    (DROPPED, PAIR, "first", TRICRITICAL[1], "order changes", EDGE[1], "edge"),
    (PAIR, PAIR, "first", WEAK_STRONG, "triple point", (1.0, CENTRE), "triple point"),
]
GRIDS = {
    "8²": (np.geomspace(0.1, 10, 8), np.geomspace(0.01, 1, 8)),
    "16²": (np.geomspace(0.1, 10, 16), np.geomspace(0.01, 1, 16)),
    "23×31": (np.geomspace(0.1, 10, 31), np.geomspace(0.01, 1, 23)),
    "48²": (np.geomspace(0.1, 10, 48), np.geomspace(0.01, 1, 48)),
    "through special points": (
        np.array([0.1, 0.3, WEAK_STRONG[0], TRICRITICAL[0][0], 0.8, TRICRITICAL[1][0], 1.0, 1.3, 1 / WEAK_STRONG[0], 4.0, 10.0]),
        np.array([0.01, 0.1, 0.3, WEAK_STRONG[1], TRICRITICAL[0][1], 0.6, CENTRE, TRICRITICAL[1][1], 0.95, 1.0]),
    ),
}


def expected_curves():
    """The table above with the mirror images, and the line of equal importances."""
    mirrored = {DROPPED: ALONE, PAIR: PAIR}
    for one, other, order, first, why_first, last, why_last in CURVES_2_TO_1:
        yield {one, other}, order, ((*first, why_first), (*last, why_last))
        ends = (1 / first[0], first[1], why_first), (1 / last[0], last[1], why_last)
        yield {mirrored[one], mirrored[other]}, order, tuple(sorted(ends))
    yield {PAIR}, "first", ((1.0, CENTRE, "triple point"), (1.0, 1.0, "edge"))


def same_curve(boundary, phases, order, expected):
    """Whether a boundary has these phases, this order and these ends, to 1e-8."""
    points = [(boundary.importance[k], boundary.density[k], why) for k, why in zip((0, -1), boundary.ends, strict=True)]
    return (set(boundary.phases), boundary.order) == (set(phases), order) and any(
        all(why == reason and near((x, p), end, 1e-8) for (x, p, why), (*end, reason) in zip(points, ends, strict=True))
        for ends in (expected, expected[::-1])
    )


LONG = [pytest.param(name, marks=pytest.mark.campaign) for name in ("8²", "16²", "23×31", "48²")]


@pytest.mark.parametrize("grid", ["25²", "through special points", *LONG])
def test_topology_of_2_to_1_does_not_depend_on_the_grid(grid):
    """Eleven curves with the same ends to 1e-8 whatever the grid, nothing twice and nothing else."""
    found = diagram() if grid == "25²" else phase_diagram(**dict(zip(("importance", "density"), GRIDS[grid], strict=True)))
    expected = list(expected_curves())
    assert len(found.boundaries()) == len(expected) == 11
    for curve in expected:
        assert sum(same_curve(boundary, *curve) for boundary in found.boundaries()) == 1, curve
    points = sorted((point.importance, point.density) for point in found.triple_points())
    assert np.allclose(points, [WEAK_STRONG, (1.0, CENTRE), (1 / WEAK_STRONG[0], WEAK_STRONG[1])], rtol=0, atol=1e-8)


OUT, IN, AWAY, TRIANGLE = (
    "extra not represented + 2 dedicated",
    "extra in antipodal pair + dedicated",
    "extra dedicated + antipodal pair",
    "extra in triangle",
)
WEAK_TRIANGLE = (0.5641507479, 0.5117459168)  # weak and strong pair, weak triangle: 2e-5 away from the point of 2→1
STRONG = (0.6050968936, 0.5277200054)
UPPER = (0.9437165330, 0.9044132006)
AWAY_TURNS = (1.1521911269, 0.8017974039)
CURVES_3_TO_2 = [
    (OUT, IN, "first", EDGE[0], "edge", WEAK_STRONG, "triple point"),
    (OUT, IN, "first", WEAK_STRONG, "triple point", TRICRITICAL[0], "order changes"),
    (IN, IN, "first", WEAK_STRONG, "triple point", WEAK_TRIANGLE, "triple point"),
    (IN, TRIANGLE, "first", WEAK_TRIANGLE, "triple point", TRICRITICAL[0], "order changes"),
    (IN, TRIANGLE, "first", WEAK_TRIANGLE, "triple point", STRONG, "triple point"),
    (IN, TRIANGLE, "first", STRONG, "triple point", (1.0, 0.5218376591), "triple point"),
    (OUT, TRIANGLE, "continuous", TRICRITICAL[0], "order changes", TRICRITICAL[1], "order changes"),
    (OUT, IN, "first", TRICRITICAL[1], "order changes", UPPER, "triple point"),
    (IN, TRIANGLE, "first", TRICRITICAL[1], "order changes", UPPER, "triple point"),
    (OUT, TRIANGLE, "first", UPPER, "triple point", (0.9882733804, 1.0), "edge"),
    (TRIANGLE, TRIANGLE, "first", STRONG, "triple point", (0.8893322824, 0.7170958288), "critical point"),
    (TRIANGLE, TRIANGLE, "first", (0.9171465648, 0.7464054332), "critical point", (0.9998479932, 1.0), "edge"),
    (TRIANGLE, TRIANGLE, "first", (1.0003172595, 1.0), "edge", (1.2059999815, 0.7512612028), "triple point"),
    (AWAY, IN, "first", (1.0, 0.01), "edge", (1.0, 0.5218376591), "triple point"),
    (AWAY, TRIANGLE, "first", (1.0, 0.5218376591), "triple point", (1.4040607483, CENTRE), "triple point"),
    (AWAY, AWAY, "first", (1.4040607483, CENTRE), "triple point", (10.0, CENTRE), "edge"),
    (AWAY, TRIANGLE, "first", (1.2059999815, 0.7512612028), "triple point", (1.4040607483, CENTRE), "triple point"),
    (AWAY, TRIANGLE, "continuous", AWAY_TURNS, "order changes", (1.2059999815, 0.7512612028), "triple point"),
    (AWAY, TRIANGLE, "first", (1.0159459787, 1.0), "edge", AWAY_TURNS, "order changes"),
]


def long(*case):
    """A case that only a campaign tries."""
    return pytest.param(*case, marks=pytest.mark.campaign)


def assert_each_once(curves, found):
    """Each of the curves, written as above, is found once, with the same ends to 1e-8."""
    for one, other, order, first, why_first, last, why_last in curves:
        ends = (*first, why_first), (*last, why_last)
        assert sum(same_curve(boundary, {one, other}, order, ends) for boundary in found) == 1, (one, other, ends)


def assert_corners(curves, found, count):
    """The triple points are those in which the curves end, so many."""
    corners = {curve[k] for curve in curves for k in (3, 5) if curve[k + 1] == "triple point"}
    points = [(point.importance, point.density) for point in found]
    assert len(points) == len(corners) == count
    assert all(any(near(corner, point, 1e-8) for point in points) for corner in corners)


@pytest.mark.parametrize(
    ("theory", "size"),
    [("global", 8), long("relaxed", 25), *(long(theory, size) for theory in ("global", "relaxed") for size in (12, 16, 31, 48))],
)
def test_topology_of_3_to_2_does_not_depend_on_the_grid(theory, size):
    """Nineteen curves with the same ends to 1e-8, nothing twice and nothing else; seven triple points.

    The relaxed theory has the same ones: the pattern of the triangle frees everything.
    """
    axes = {"importance": np.geomspace(0.1, 10, size), "density": np.geomspace(0.01, 1, size)}
    found = phase_diagram(3, 2, theory=theory, **axes)
    assert len(found.boundaries()) == len(CURVES_3_TO_2)
    assert_each_once(CURVES_3_TO_2, found.boundaries())
    assert_corners(CURVES_3_TO_2, found.triple_points(), 7)


THREE = "extra dedicated + 3 features in 1 dimension"
AWAY_PAIR = "extra dedicated + antipodal pair + not represented"
FOUR = "extra in 4 features in 2 dimensions"
PAIRS = "extra in antipodal pair + antipodal pair"
IN_TRIANGLE = "extra in triangle + not represented"
OUT_PAIR = "extra not represented + antipodal pair + dedicated"
OUT_TRIANGLE = "extra not represented + triangle"
CURVES_4_TO_2 = [
    (OUT_PAIR, OUT_TRIANGLE, "first", (0.1, 0.5218376591), "edge", (0.5758905853, 0.5218376591), "triple point"),
    (OUT_PAIR, PAIRS, "first", (0.1, 0.1812474466), "edge", (0.5641313653, 0.5117380321), "triple point"),
    (OUT_PAIR, PAIRS, "first", (0.5641313653, 0.5117380321), "triple point", (0.5740419075, 0.5202477368), "order changes"),
    (PAIRS, PAIRS, "first", (0.5641313653, 0.5117380321), "triple point", (0.5899994611, 0.522026113), "triple point"),
    (OUT_PAIR, PAIRS, "continuous", (0.5740419075, 0.5202477368), "order changes", (0.5758905853, 0.5218376591), "triple point"),
    (OUT_PAIR, OUT_TRIANGLE, "first", (0.5758905853, 0.5218376591), "triple point", (0.5899994611, 0.522026113), "triple point"),
    (OUT_TRIANGLE, PAIRS, "first", (0.5899994611, 0.522026113), "triple point", (1.0, 0.6442403645), "triple point"),
    (FOUR, OUT_TRIANGLE, "first", (0.9927648666, 1.0), "edge", (0.996760554, 0.9575109428), "triple point"),
    (FOUR, FOUR, "first", (0.996760554, 0.9575109428), "triple point", (1.0, 0.932459644), "triple point"),
    (FOUR, OUT_TRIANGLE, "first", (0.996760554, 0.9575109428), "triple point", (1.0, 0.918198924), "triple point"),
    (FOUR, FOUR, "first", (1.0, 0.918198924), "triple point", (1.0, 0.932459644), "triple point"),
    (FOUR, FOUR, "first", (1.0, 0.932459644), "triple point", (1.0, 1.0), "edge"),
    (FOUR, FOUR, "first", (1.0, 0.932459644), "triple point", (1.0079548543, 0.9077301424), "triple point"),
    (IN_TRIANGLE, OUT_TRIANGLE, "first", (1.0, 0.6442403645), "triple point", (1.0, 0.918198924), "triple point"),
    (IN_TRIANGLE, PAIRS, "first", (1.0, 0.6442403645), "triple point", (1.1867821912, 0.6131245959), "triple point"),
    (FOUR, IN_TRIANGLE, "continuous", (1.00010037, 0.9181671236), "order changes", (1.0079548543, 0.9077301424), "triple point"),
    (FOUR, IN_TRIANGLE, "first", (1.0079548543, 0.9077301424), "triple point", (1.091085646, 0.8106534083), "triple point"),
    (THREE, FOUR, "first", (1.0173253638, 1.0), "edge", (1.078404165, 0.8804478134), "triple point"),
    (THREE, FOUR, "first", (1.078404165, 0.8804478134), "triple point", (1.1306174235, 0.8201209793), "order changes"),
    (FOUR, FOUR, "first", (1.078404165, 0.8804478134), "triple point", (1.091085646, 0.8106534083), "triple point"),
    (FOUR, IN_TRIANGLE, "first", (1.091085646, 0.8106534083), "triple point", (1.2196477596, 0.7417810549), "triple point"),
    (THREE, FOUR, "continuous", (1.1306174236, 0.8201209792), "order changes", (1.2196477596, 0.7417810549), "triple point"),
    (IN_TRIANGLE, PAIRS, "first", (1.1867821912, 0.6131245959), "triple point", (1.4219854767, 0.634188804), "triple point"),
    (PAIRS, PAIRS, "first", (1.1867821912, 0.6131245959), "triple point", (1.7726367677, 0.5117380321), "triple point"),
    (
        THREE,
        IN_TRIANGLE,
        "first",
        (1.2196477596, 0.7417810549),
        "triple point",
        (1.3398440626, 0.7124462795),
        "triple point",
    ),
    (AWAY_PAIR, THREE, "first", (1.3398440626, 0.7124462795), "triple point", (10.0, 0.7124462795), "edge"),
    (AWAY_PAIR, IN_TRIANGLE, "first", (1.3398440626, 0.7124462795), "triple point", (1.4040607483, 0.7064036927), "triple point"),
    (AWAY_PAIR, AWAY_PAIR, "first", (1.4040607483, 0.7064036927), "triple point", (10.0, 0.7064036927), "edge"),
    (AWAY_PAIR, IN_TRIANGLE, "first", (1.4040607483, 0.7064036927), "triple point", (1.4219854767, 0.634188804), "triple point"),
    (AWAY_PAIR, PAIRS, "continuous", (1.4219854767, 0.634188804), "triple point", (1.7420330937, 0.5202477368), "order changes"),
    (AWAY_PAIR, PAIRS, "first", (1.7420330939, 0.5202477368), "order changes", (1.7726367677, 0.5117380321), "triple point"),
    (AWAY_PAIR, PAIRS, "first", (1.7726367677, 0.5117380321), "triple point", (10.0, 0.1812474466), "edge"),
]


@pytest.mark.parametrize("size", [long(8), long(12), long(24)])
def test_topology_of_4_to_2_does_not_depend_on_the_grid(size):
    """Thirty-three curves with the same ends to 1e-8; one, 3e-5 long, ends where two junctions lie 3e-6 apart."""
    found = phase_diagram(4, 2, importance=np.geomspace(0.1, 10, size), density=np.geomspace(0.01, 1, size)).boundaries()
    assert len(found) == len(CURVES_4_TO_2) + 1 and not any("unresolved" in boundary.ends for boundary in found)
    assert_each_once(CURVES_4_TO_2, found)
    (short,) = (b for b in found if b.order == "first" and near((b.importance[0], b.density[0]), (1.0001, 0.91817), 1e-5))
    assert set(short.phases) == {IN_TRIANGLE, FOUR} and near((short.importance[-1], short.density[-1]), (1.0, 0.918198924), 1e-8)
    wide = [b for b in found if b.order == "first" and np.max(b.latent_loss) > 5e-3]
    for boundary in wide[:: 1 if size == 12 else 4]:  # a search that knows nothing of the curves finds both minima
        (k,) = pick(1, boundary)
        fresh = minimize(model_at(boundary.importance[k] * (1 + 1e-13), boundary.density[k], (4, 2)))
        assert abs(fresh[1].loss / fresh[0].loss - 1) < 1e-10


def test_a_minimum_does_not_become_another_between_two_points():
    """Of 4→2, with steps so long that one of four features turns into the next: the triple point on the way is not missed."""
    point = 1.078404165, 0.8804478134
    diagram = phase_diagram(4, 2, importance=np.geomspace(1.05, 1.1, 3), density=np.geomspace(0.85, 0.915, 3))
    found = diagram.boundaries(settings=CurveSettings(steps_across=5))
    assert len(found) == 3 and all(set(boundary.ends) == {"edge", "triple point"} for boundary in found)
    (met,) = diagram.triple_points()
    assert near((met.importance, met.density), point, 1e-8)


def test_a_minimum_does_not_become_another_on_the_first_step_of_a_curve():
    """Of 4→2 beside that point: the first step leads where many short ones lead."""
    plane = ControlPlane.importance_density(4, 2, importance=np.geomspace(0.1, 10, 2), density=np.geomspace(0.1, 1, 2))
    solver = Solver(SimpleNamespace(plane=plane, theory="global"))
    u = solver.points(1.0790046149, 0.8796340149)
    rows = [
        [0.044444051, -0.125946362, 0.044444051, 0.990406005, 0.318534391, -0.902668575, 0.318534391, -0.138188076],
        [0.000456916, -0.145934839, 0.033206947, 0.991671898, 0.325550667, -0.899554493, 0.320097269, -0.137872084],
    ]
    biases = [0.477751087, 0.325019845, 0.477751087, 0], [0.495736215, 0.333961222, 0.48212963, 0.031428955]
    points = [np.append(*parts) for parts in zip(rows, biases, strict=True)]
    states = [solver.stationary(solver.recognized(x, solver.all_free, u), u) for x in points]
    curve = Coexistence(*states)
    tangent = -tangent_of(curve.slope(u))
    curve.set_out(u, tangent)
    there = curve.at(u + 0.05 * solver.box.step * tangent, tangent)
    for part in np.linspace(0, 1, 11)[1:]:
        states = solver.stationary_points(states, u + part * (there - u))
    assert all(far(one, other) < 1e-8 for one, other in zip(curve.solve(there), states, strict=True))


IN_SIMPLEX = "extra in tetrahedron"
OUT_3, IN_PAIR, IN_TRI = (
    "extra not represented + 3 dedicated",
    "extra in antipodal pair + 2 dedicated",
    "extra in triangle + dedicated",
)
AWAY_2, AWAY_TRIANGLE = "extra dedicated + antipodal pair + dedicated", "extra dedicated + triangle"
WEAK_SIMPLEX = (0.5641686647, 0.5117532049)  # strong pair, weak triangle, weak tetrahedron: 2e-5 from WEAK_TRIANGLE
SIMPLEX = (0.5960563734, 0.5242600878)
NEAR_TRICRITICAL = [  # the extra feature comes in against one, two or three others at nearly the same importance
    (OUT_3, IN_PAIR, "first", WEAK_STRONG, "triple point", TRICRITICAL[0], "order changes"),
    (IN_PAIR, IN_PAIR, "first", WEAK_STRONG, "triple point", WEAK_TRIANGLE, "triple point"),
    (IN_PAIR, IN_TRI, "first", WEAK_TRIANGLE, "triple point", TRICRITICAL[0], "order changes"),
    (IN_PAIR, IN_TRI, "first", WEAK_TRIANGLE, "triple point", WEAK_SIMPLEX, "triple point"),
    (IN_TRI, IN_SIMPLEX, "first", WEAK_SIMPLEX, "triple point", TRICRITICAL[0], "order changes"),
]
CURVES_4_TO_3 = [
    *NEAR_TRICRITICAL,
    (OUT_3, IN_PAIR, "first", EDGE[0], "edge", WEAK_STRONG, "triple point"),
    (IN_PAIR, IN_SIMPLEX, "first", WEAK_SIMPLEX, "triple point", SIMPLEX, "triple point"),
    (IN_PAIR, IN_SIMPLEX, "first", SIMPLEX, "triple point", (1.0, 0.4954713590), "triple point"),
    (IN_SIMPLEX, IN_SIMPLEX, "first", SIMPLEX, "triple point", (0.7994546305, 0.6680542616), "critical point"),
    (OUT_3, IN_SIMPLEX, "continuous", TRICRITICAL[0], "order changes", TRICRITICAL[1], "order changes"),
    (OUT_3, IN_PAIR, "first", TRICRITICAL[1], "order changes", (0.9436923045, 0.9043741332), "triple point"),
    (IN_PAIR, IN_TRI, "first", TRICRITICAL[1], "order changes", (0.9436456274, 0.9042987105), "triple point"),
    (IN_TRI, IN_SIMPLEX, "first", TRICRITICAL[1], "order changes", (0.9436456274, 0.9042987105), "triple point"),
    (IN_PAIR, IN_SIMPLEX, "first", (0.9436456274, 0.9042987105), "triple point", (0.9436923045, 0.9043741332), "triple point"),
    (OUT_3, IN_SIMPLEX, "first", (0.9436923045, 0.9043741332), "triple point", (0.9875369493, 1.0), "edge"),
    (IN_SIMPLEX, IN_SIMPLEX, "first", (0.9902596012, 1.0), "edge", (0.9181557770, 0.7924618811), "critical point"),
    (IN_PAIR, AWAY_2, "first", (1.0, 0.01), "edge", (1.0, 0.4954713590), "triple point"),
    (AWAY_2, IN_SIMPLEX, "first", (1.0, 0.4954713590), "triple point", (1.2177465888, 0.5218376591), "triple point"),
    (AWAY_TRIANGLE, IN_SIMPLEX, "first", (1.2177465888, 0.5218376591), "triple point", (1.0323849942, 1.0), "edge"),
    (AWAY_TRIANGLE, AWAY_2, "first", (1.2177465888, 0.5218376591), "triple point", (10.0, 0.5218376591), "edge"),
]


@pytest.mark.campaign
@pytest.mark.parametrize("size", [10, 16])
def test_topology_of_4_to_3_does_not_depend_on_the_grid(size):
    """Twenty curves with the same ends to 1e-8, and eight triple points."""
    found = phase_diagram(4, 3, importance=np.geomspace(0.1, 10, size), density=np.geomspace(0.01, 1, size))
    assert len(found.boundaries()) == len(CURVES_4_TO_3)
    assert_each_once(CURVES_4_TO_3, found.boundaries())
    assert_corners(CURVES_4_TO_3, found.triple_points(), 8)


@pytest.mark.campaign
def test_the_simplex_comes_in_by_steps_near_the_tricritical_point():
    """Of 4→3: the phases between, slivers 2e-5 wide, are found; each curve that ends within the close-up is there once."""
    found = phase_diagram(4, 3, importance=np.geomspace(0.561, 0.5745, 4), density=np.geomspace(0.51, 0.5205, 4)).boundaries()
    assert not any("unresolved" in boundary.ends for boundary in found)
    assert_each_once(NEAR_TRICRITICAL, found)
    assert max(boundary.importance.size for boundary in found) < 60  # of minima about to merge, too, steps are not shortened


@pytest.mark.quick("_boundaries")
def test_every_pattern_around_a_state_is_a_frame_of_it():
    """Of 4→2, with the configurations' groups written out by hand; a frame contains what is free and no frame another."""
    table = configurations(4, 2)
    pair_and_dedicated = np.array([[1, 1, 0, 0], [0, 0, 1, 0]], dtype=bool)
    frames = [frame[:8].reshape(2, 4) for frame in frames_around(pair_and_dedicated, table)]
    expected = [[[1, 1, 1, 0], [1, 1, 1, 0]], [[1, 1, 0, 0], [0, 0, 1, 1]]]
    assert sorted(frame.astype(int).tolist() for frame in frames) == sorted(expected)
    for shape in [(2, 1), (3, 2), (4, 3)]:  # as many dimensions as a simplex has
        (frame,) = frames_around(np.eye(shape[1], shape[0], dtype=bool), configurations(*shape))
        assert np.all(frame)


def _solver(diagram):
    """A solver of its own with the minima of a diagram."""
    solver = Solver(diagram)
    solver.competitors = Competitors(solver, diagram)
    return solver


@pytest.mark.parametrize("shape", [(2, 1), (3, 2)])
def test_no_competitor_is_left_out_that_could_be_lowest(shape, monkeypatch):
    """At random points the lowest minimum is the same when every competitor is solved, whatever its slope says."""
    solver = _solver(diagram(shape=shape))
    start, generator = np.log([0.7, 0.6]), np.random.default_rng(0)
    points = start + np.cumsum(generator.normal(0, 0.05, (60, 2)), axis=0)
    points = np.clip(points, solver.box.low, solver.box.high)
    carried = [solver.competitors.lowest(u) for u in points]
    monkeypatch.setattr(competitors, "expected", lambda track, u: (0.0, -np.inf))
    for u, state in zip(points, carried, strict=True):
        afresh = Competitors(solver, solver.competitors.diagram).lowest(u)
        assert state.loss == pytest.approx(afresh.loss, rel=1e-13) and state.phase == afresh.phase


def test_the_lowest_minimum_does_not_depend_on_what_was_asked_before():
    """Asked in order and backwards, bit by bit: so a curve is a function of its start, whatever others have been followed."""
    solver = _solver(diagram())
    points = np.log([0.6, 0.5]) + np.cumsum(np.random.default_rng(2).normal(0, 0.03, (40, 2)), axis=0)
    backwards = Competitors(solver, solver.competitors.diagram)
    found = {k: backwards.lowest(points[k]).x for k in reversed(range(len(points)))}
    assert all(np.array_equal(solver.competitors.lowest(u).x, found[k]) for k, u in enumerate(points))


def test_a_minimum_loss_bends_no_more_than_competitors_allow():
    """The loss of a dropped feature, exactly σ², and those of the other minima of 3→2, solved afresh, are as expected."""
    solver = _solver(diagram())
    half = solver.known(np.array([1.0, 0.0, 0.0, 0.2]), solver.all_free, np.log([0.5, 0.4]))
    assert half.response[3] == pytest.approx([0.0, 0.2], rel=1e-5, abs=1e-10)  # of b = p/2
    for p in np.linspace(0.05, 1.0, 40):
        state = solver.known(np.array([1.0, 0.0, 0.0, p / 2]), solver.all_free, np.log([1.0, p]))
        for back in (0.01, 0.03, 0.1):
            other = np.log([1.0, p * np.exp(-back)])
            loss, there = (d / 3 - d * d / 4 for d in (p, p * np.exp(-back)))
            assert state.loss == pytest.approx(loss, rel=1e-12)
            value, least = competitors.expected([state], other)
            assert abs(np.log(there) - value) < value - least
    solver, generator = _solver(diagram(shape=(3, 2))), np.random.default_rng(1)
    for k in generator.choice(len(solver.competitors.diagram.minima), 60, replace=False):
        found = solver.competitors.diagram
        i, j = np.unravel_index(found.minima_cell[k], found.phase.shape)
        state = solver.competitors.stored(int(k), np.log([found.importance[j], found.density[i]]))
        if not state.stable:
            continue
        here, u = state, state.u
        step = generator.normal(size=2)
        for _ in range(10):
            u = np.minimum(u + 0.01 * step / np.linalg.norm(step), [np.inf, 0.0])
            new = solver.stationary(here, u)
            if not new.converged or far(new, here) > 0.05 or not new.stable:
                break
            here = new
            assert np.log(here.loss) > competitors.expected([state], u)[1]


def test_no_place_alone_says_that_a_minimum_is_higher():
    """2→1 at 0.56392 and 0.51156: from one of two corners the lowest minimum's loss is expected 2e-4 too high."""
    found = phase_diagram(importance=[0.157968897501188, 0.858540216437194], density=[0.443988536510361, 0.985444423038280])
    solver, u = _solver(found), np.log([0.56391888, 0.51155583])
    dropped = solver.stationary(solver.known(np.array([1.0, 0.0, 0.0, 0.2558]), solver.all_free, u), u)
    lowest = solver.competitors.lowest(u, dropped.loss, [dropped])
    assert lowest.loss == pytest.approx(minimize(ToyModel(1, [1.0, 0.56391888], 0.51155583))[0].loss, rel=1e-12)


@pytest.mark.parametrize(("shape", "u"), [((2, 1), (-0.0507696, -0.1191372)), ((3, 2), (0.1277937, -0.2034412))])
def test_a_soft_minimum_that_newtons_method_loses_still_competes(shape, u):
    """It is lower than a bound above it: of 2→1 Newton's method does not lead there, of 3→2 to a saddle next to it."""
    known, u = _solver(diagram(shape=shape)).competitors, np.array(u)
    lowest = known.lowest(u)
    below = known.lowest(u, lowest.loss * (1 + 1e-6))
    model = ToyModel(shape[1], [*[1.0] * (shape[0] - 1), np.exp(u[0])], np.exp(u[1]))
    assert below.loss == pytest.approx(minimize(model)[0].loss, rel=1e-12)


def test_curves_are_the_same_bits_for_any_number_of_processes(monkeypatch):
    """About a triple point and a tricritical one: all followed by two other processes, and all here."""
    axes = {"importance": np.geomspace(0.54, 0.6, 5), "density": np.geomspace(0.48, 0.56, 5)}
    alone, do = phase_diagram(2, 1, **axes), Workers.do

    def do_there(workers, tasks, _):
        """Wait for the processes first, and do nothing here."""
        while len(workers._idle) < 2:
            workers._collect({}, None)
        do(workers, tasks, lambda task: pytest.fail("done here"))

    alone.boundaries(n_threads=1)
    monkeypatch.setattr(Workers, "do", do_there)
    monkeypatch.setattr("phasediag._boundaries.network.usable_processors", lambda: 2)
    together = phase_diagram(2, 1, **axes)
    together.boundaries(n_threads=2)
    assert len(alone.curves.boundaries) == 4
    one, other = (found.curves.arrays() for found in (alone, together))
    assert one.keys() == other.keys() and all(one[name].tobytes() == other[name].tobytes() for name in one)


def test_triple_points_of_2_to_1():
    """Dropped feature, weak and strong pair meet at one point and its mirror image; three pairs at importance 1."""
    points = sorted((point.importance, point.density) for point in diagram().triple_points())
    expected = [WEAK_STRONG, (1.0, CENTRE), (1 / WEAK_STRONG[0], WEAK_STRONG[1])]
    assert len(points) == 3 and np.allclose(points, expected, rtol=1e-8, atol=0)


@pytest.mark.parametrize(
    ("shape", "target"),
    [((2, 1), WEAK_STRONG), ((2, 1), (1.0, CENTRE)), ((3, 2), STRONG), ((3, 2), UPPER), ((3, 2), (1.4040607483, CENTRE))],
)
def test_three_minima_share_the_lowest_loss_at_a_triple_point(shape, target):
    """A fresh multistart there finds three different minima of one loss."""
    importance = target[0] * (1 + 1e-13)  # at exactly 1, mirrored minima would count as one
    found = [minimum for minimum in minimize(model_at(importance, target[1], shape), n_starts=100) if minimum.is_global]
    grams = [np.append((m.weights.T @ m.weights).ravel(), m.bias) for m in found]
    assert found[2].loss / found[0].loss - 1 < 1e-10
    assert min(np.max(np.abs(a - b)) for i, a in enumerate(grams) for b in grams[:i]) > 1e-3


def test_the_continuous_boundary_is_the_exact_stability_limit():
    """On it the closed-form limit of W = [1, 0] holds to 1e-8, and on its mirror image that of W = [0, 1]."""
    (left,), (right,) = curves((DROPPED, PAIR), "continuous"), curves((ALONE, PAIR), "continuous")
    assert np.max(np.abs(left.importance - stability_limit(left.density))) < 1e-8
    assert np.max(np.abs(1 / right.importance - stability_limit(right.density))) < 1e-8
    for boundary in (left, right):
        assert boundary.ends == ("order changes", "order changes") and np.all(boundary.latent_loss == 0)


def test_the_order_changes_at_the_tricritical_points():
    """Continuous and first-order curve end at one point, in which the two minima are the exact one of a dropped feature."""
    (line,) = curves((DROPPED, PAIR), "continuous")
    for (x, p, name), target in zip(ends(line), TRICRITICAL, strict=True):
        assert near((x, p), target, 1e-8) and name == "order changes"
    upper = curves((DROPPED, PAIR), "first")[-1]
    (x, p, name), (_, top, edge) = ends(upper)
    assert near((x, p), TRICRITICAL[1], 1e-8) and name == "order changes" and top == 1 and edge == "edge"
    for minimum in upper.minima[:, 0]:  # both are the one that merges there, not those of the point before
        assert np.allclose(np.abs(minimum), [1, 0, 0, p / 2], rtol=0, atol=1e-8)


@pytest.mark.parametrize("point", TRICRITICAL)
def test_curves_leave_a_tricritical_point_for_the_edges_of_a_window_of_a_thousandth(point):
    """Its corners are so near that minima of the first-order curve are nowhere told apart by their losses."""
    window = (value * np.exp([-5e-4, 0, 5e-4]) for value in point)
    boundaries = phase_diagram(2, 1, **dict(zip(("importance", "density"), window, strict=True))).boundaries()
    assert sorted(one.order for one in boundaries) == ["continuous", "first"]
    assert all(sorted(one.ends) == ["edge", "order changes"] for one in boundaries)


def test_minima_that_part_are_followed_to_an_edge_next_to_the_last_point():
    """Of 3→2, by a tricritical point: how far they are apart changes by no more than rounding in a step of 1e-5 to the edge."""
    window = {"importance": [1.1516151754797, 1.1527673666548], "density": [0.801396605314615, 0.802198402751832]}
    solver = Solver(SimpleNamespace(plane=ControlPlane.importance_density(3, 2, **window), theory="global"))
    solver.competitors = SimpleNamespace(lowest=lambda *_: None)
    one = [0, 0, 1, 0.929942423101, -0.443717856089, 0, 0.205771266322, 0.487631048006, 0]
    other = [-7.482267031e-05, -1.5120608027e-04, 1.00001170054, 0.929942418408, -0.443717864747, -2.48793929e-06]
    other += [0.205802205011, 0.487691239684, 7.55382055e-05]
    u = solver.points(1.1517954796450787, 0.8021919684739774)
    one = solver.stationary(solver.recognized(np.array(one), solver.all_free, u), u)
    curve = Coexistence(one, solver.stationary(solver.known(np.array(other), solver.all_free, u), u))
    way = follow(curve, u, np.sign(curve.tangent(u)[1]), locate)
    assert way.end == "edge" and solver.values(way.trail[-1].u)[1] == pytest.approx(window["density"][1], rel=1e-13)


def test_the_curvature_of_a_dropped_feature_vanishes_on_its_limit():
    """By differences of the gradient at W = [1, 0]: stable on one side, unstable on the other, 1e-6 away."""
    for density in (0.55, 0.7, 0.8):
        for factor, stable in ((1 - 1e-6, True), (1 + 1e-6, False)):
            model = model_at(factor * stability_limit(density), density)
            x, scale = np.array([1.0, 0.0, 0.0, density / 2]), model.importance.sum() * density / 3

            def gradient(x, model=model, scale=scale):
                _, by_weights, by_bias = expected_loss_and_gradient(model, x[None, :2], x[2:])
                return np.concatenate([by_weights.ravel(), by_bias]) / scale

            d, lowest = np.array([0.1, -0.9, 0.1, 0.5]), np.inf
            for _ in range(60):  # the lowest eigenvector of the second derivatives on this side, again and again
                step = 1e-5
                rows = [gradient(x + step * d + 1e-7 * e) - gradient(x + step * d - 1e-7 * e) for e in np.eye(4)]
                hessian = np.array(rows) / 2e-7
                vectors = np.linalg.eigh((hessian + hessian.T) / 2)[1]
                new = vectors[:, 0] * np.sign(vectors[:, 0] @ d)
                done, d = np.max(np.abs(new - d)) < 1e-9, new
                if done:
                    break
            lowest = (gradient(x + 1e-8 * d) - gradient(x)) @ d / 1e-8
            assert (lowest > 0) == stable, (density, factor, lowest)


def pick(count, boundary):
    """Some inner points of a boundary, spread over its length: at its ends minima can be too near to be told apart."""
    steps = np.linalg.norm(np.diff(np.log([boundary.importance, boundary.density]), axis=1), axis=0)
    parts = np.linspace(0.1, 0.9, count) if count > 1 else [0.5]
    at = np.searchsorted(np.cumsum(steps), np.sum(steps) * np.array(parts)) + 1
    return np.unique(at.clip(1, len(steps) - 1))


@pytest.mark.parametrize("index", range(11))
def test_the_lowest_minima_cross_on_first_order_boundaries(index):
    """Solved afresh, the two lowest minima have one loss to 1e-10, the phases named, and the latent loss reported."""
    boundaries = diagram().boundaries()
    boundary = boundaries[index]
    if boundary.order != "first":
        assert np.all(boundary.latent_loss == 0)
        return
    for k in pick(3, boundary):
        importance = boundary.importance[k] * (1 + 1e-13)  # at exactly 1, mirrored minima would count as one
        found = minimize(model_at(importance, boundary.density[k]))
        found = [m for m in found if m.phase.name in boundary.phases][:2]
        assert abs(found[1].loss / found[0].loss - 1) < 1e-10
        latent = abs(found[0].feature_loss[-1] - found[1].feature_loss[-1])
        if boundary.latent_loss[k] > 1e-4:
            assert {m.phase.name for m in found} == set(boundary.phases)
            assert latent == pytest.approx(boundary.latent_loss[k], rel=1e-6) and latent > 0


def lowest_loss(importance, density):
    """L* at a point."""
    return minimize(model_at(importance, density), n_starts=12)[0].loss


def test_latent_loss_is_the_jump_of_the_slope_of_the_lowest_loss():
    """One-sided differences of L* in importance on the two sides of the boundary."""
    boundary = curves((DROPPED, PAIR), "first")[0]
    for k in pick(3, boundary):
        x, p, h = boundary.importance[k], boundary.density[k], 1e-4 * boundary.importance[k]
        left = (3 * lowest_loss(x, p) - 4 * lowest_loss(x - h, p) + lowest_loss(x - 2 * h, p)) / (2 * h)
        right = (-3 * lowest_loss(x, p) + 4 * lowest_loss(x + h, p) - lowest_loss(x + 2 * h, p)) / (2 * h)
        assert left - right == pytest.approx(boundary.latent_loss[k], rel=1e-5)


def test_the_slope_of_a_boundary_is_that_of_clapeyron():
    """dp/dI = −Δ(∂L/∂I)/Δ(∂L/∂p), the derivatives at fixed weights."""
    boundary = curves((DROPPED, PAIR), "first")[0]
    for k in pick(4, boundary):
        x, p, h = boundary.importance[k], boundary.density[k], 1e-5
        one, other = minimize(model_at(x, p))[:2]
        by_density = [
            (expected_loss(model_at(x, p + h), m.weights, m.bias) - expected_loss(model_at(x, p - h), m.weights, m.bias))
            / (2 * h)
            for m in (one, other)
        ]
        slope = -(one.feature_loss[-1] - other.feature_loss[-1]) / (by_density[0] - by_density[1])

        def difference(density, x=x, states=(one, other)):
            start = np.array([np.append(m.weights.ravel(), m.bias) for m in states])
            a, b = settle(start, Form(1, 2), np.tile([1.0, x, density, density], (2, 1)), radius=0.05)
            return a.scaled_loss - b.scaled_loss

        across = [brentq(difference, 0.99 * p, 1.01 * p, args=(x * (1 + s),), xtol=1e-15) for s in (1e-4, -1e-4)]
        assert (across[0] - across[1]) / (2e-4 * x) == pytest.approx(slope, rel=1e-5)
        assert brentq(difference, 0.99 * p, 1.01 * p, xtol=1e-15) == pytest.approx(p, abs=1e-10)


def _survives(phase, gram, importance, density, start):
    end = settle(start[None], Form(1, 2), cell_controls(2, importance, min(density, 1.0))[None], radius=0.02)[0]
    weights = end.x[None, :2]
    same = np.max(np.abs(weights.T @ weights - gram)) < 0.1
    return end.is_minimum and same and classify(weights).name == phase


def test_the_spinodal_of_a_dropped_feature_is_its_exact_limit():
    """Wherever the boundary is first-order, the dropped phase ends on the same closed-form curve."""
    count = 0
    for boundary in curves((DROPPED, PAIR), "first"):
        for spinodal in boundary.spinodals:
            if spinodal.phase == DROPPED:
                assert np.max(np.abs(spinodal.importance - stability_limit(spinodal.density))) < 1e-8
                count += spinodal.importance.size
    assert count > 30


def test_a_dropped_feature_stays_before_its_spinodal_and_goes_beyond():
    """Descents from the dropped phase itself, nudged: before the limit they return, beyond it they do not."""
    for density in (0.2, 0.4, 0.6, 0.8):
        limit = stability_limit(density)
        start = np.array([1.0, -1e-6, 1e-7, density / 2])
        gram = np.diag([1.0, 0.0])
        assert _survives(DROPPED, gram, limit * (1 - 1e-4), density, start)
        assert not _survives(DROPPED, gram, limit * (1 + 1e-2), density, start)


def test_curves_of_2_to_1_are_their_own_mirror_images():
    """Every point (I, p) of a curve between one pair of phases lies, as (1/I, p), on the curve of the swapped pair."""
    checked = 0
    for boundary in curves((DROPPED, PAIR), "first"):
        for k in pick(4, boundary):
            x, p = 1 / boundary.importance[k], boundary.density[k]
            one, other = minimize(model_at(x, p))[:2]
            assert other.loss / one.loss - 1 < 1e-9
            checked += 1
    assert checked >= 10
    left, right = (curves((a, PAIR), "first")[k] for a, k in ((DROPPED, 0), (ALONE, -1)))
    assert near(ends(left)[0][:2], (0.1, ends(right)[1][1]), 1e-10)
    assert near(ends(left)[1][:2], (1 / ends(right)[0][0], ends(right)[0][1]), 1e-8)


def test_equal_importances_separate_the_two_strong_pairs():
    """From the triple point to density 1, the boundary between mirror images is the line importance 1, exactly."""
    line = [b for b in curves((PAIR,), "first") if np.ptp(b.importance) < 1e-6]
    assert len(line) == 1 and np.max(np.abs(line[0].importance - 1)) < 1e-10
    assert np.min(line[0].density) == pytest.approx(CENTRE, abs=1e-8) and np.max(line[0].density) == 1
    assert set(line[0].ends) == {"triple point", "edge"}


def test_spinodals_reach_the_tricritical_points():
    """Where a first-order boundary becomes continuous, both of its spinodals end, the dropped phase's along its exact limit."""
    upper = curves((DROPPED, PAIR), "first")[-1]
    assert len(upper.spinodals) == 2
    for spinodal in upper.spinodals:
        k = int(np.argmin(spinodal.density))
        assert near((spinodal.importance[k], spinodal.density[k]), TRICRITICAL[1], 1e-8)
        beyond = np.sign(spinodal.importance - stability_limit(spinodal.density))
        assert spinodal.phase == DROPPED or np.all(beyond[np.arange(beyond.size) != k] < 0)


def test_relaxed_boundaries_of_2_to_1_are_those_of_the_global_theory():
    """The pattern of the antipodal pair frees everything: the relaxed minima, and their boundaries, are the global ones."""
    found = diagram("relaxed").boundaries()
    expected = list(expected_curves())
    assert len(found) == len(expected)
    for curve in expected:
        assert sum(same_curve(boundary, *curve) for boundary in found) == 1, curve


def test_losses_are_equal_on_relaxed_boundaries_within_their_patterns():
    """In 4→2 two relaxed minima of one loss, neither free to leave its pattern: solved afresh from both sides."""
    found = phase_diagram(
        4, 2, importance=np.geomspace(0.3, 3, 6), density=np.geomspace(0.05, 0.4, 5), theory="relaxed"
    ).boundaries()
    assert found
    for boundary in found:
        assert boundary.importance.size > 1 and boundary.order in ("first", "continuous")
        if boundary.order == "first":
            k = boundary.importance.size // 2
            model = model_at(boundary.importance[k], boundary.density[k], (4, 2))
            losses = [
                relaxed_loss(model, name) for name in set(boundary.phases) if name in {c.name for c in configurations(4, 2)}
            ]
            assert max(losses) == pytest.approx(min(losses), rel=1e-9)


def relaxed_loss(model, name):
    """The loss of the configuration ``name`` within its own pattern."""
    one = phase_diagram(
        model.n_features, model.n_hidden, importance=[model.importance[-1]], density=[model.density], theory="relaxed"
    )
    return one.candidate_loss[one.candidates.index(name), 0, 0]


# A point in the plane, the model, and what is within one per cent of it: curves, triple points, tricritical ends.
CLOSE_UPS = [
    (WEAK_STRONG, (2, 1), 3, [WEAK_STRONG], 0),
    ((1.0, CENTRE), (2, 1), 3, [(1.0, CENTRE)], 0),
    (WEAK_STRONG, (3, 2), 5, [WEAK_STRONG, WEAK_TRIANGLE], 0),
    (STRONG, (3, 2), 3, [STRONG], 0),
    (UPPER, (3, 2), 3, [UPPER], 0),
    ((1.2059999815, 0.7512612028), (3, 2), 3, [(1.2059999815, 0.7512612028)], 0),
    (TRICRITICAL[0], (2, 1), 2, [], 2),
    (TRICRITICAL[1], (2, 1), 2, [], 2),
]


@pytest.mark.parametrize(("point", "shape", "n_curves", "triple_points", "n_tricritical"), CLOSE_UPS)
def test_close_ups_show_what_the_whole_plane_shows(point, shape, n_curves, triple_points, n_tricritical):
    """However small the window: the curves that cross it, ending in the same points, and nothing made of rounding."""
    around = np.linspace(0.994, 1.006, 4) if n_tricritical else np.linspace(0.99, 1.01, 5)
    found = phase_diagram(*shape, importance=point[0] * around, density=point[1] * around)
    curves = found.boundaries()
    assert len(curves) == n_curves and all(b.importance.size < 60 for b in curves)
    places = sorted((place.importance, place.density) for place in found.triple_points())
    assert np.shape(places) == np.shape(triple_points) and np.allclose(places, triple_points, rtol=0, atol=1e-8)
    ends = [(b.importance[k], b.density[k]) for b in curves for k in (0, -1) if b.ends[k] == "order changes"]
    assert len(ends) == n_tricritical and all(near(end, point, 1e-8) for end in ends)
    assert {why for b in curves for why in b.ends} <= {"edge", "triple point", "order changes"}


def test_three_minima_meet_in_a_triple_point():
    """Of 3→2, sought from where the weak triangle is about to become the strong one: not two that are one and a third.

    Their losses, found by a search without any path, are one at the point.
    """
    diagram = phase_diagram(3, 2, importance=np.geomspace(0.1, 10, 2), density=np.geomspace(0.1, 1, 2))
    solver, u = Solver(diagram), np.log([0.5881975, 0.5230868])
    solver.competitors = Competitors(solver, diagram)
    seeds = [
        [0, -1.0148808, 0.7537814, 1, 0, 0, 0, 0.0804143, 0.2196617],
        [-0.0939415, -0.999663, 0.4296047, 1.0138975, -0.1936155, -0.3222344, 0.0687252, 0.0687252, 0.3596785],
        [0.7129273, 0.7106138, -0.1367041, 0.7155814, -0.7178789, 0.0002206, 0.0115218, 0.0115218, 0.3075532],
    ]
    states = [solver.stationary(solver.recognized(np.array(x, dtype=float), solver.all_free, u), u) for x in seeds]
    node = _triple(*states, u)
    found = minimize(ToyModel(2, [1, 1, np.exp(node.u[0])], np.exp(node.u[1])), n_starts=40, seed=0)
    assert np.exp(node.u) == pytest.approx([0.6050968936, 0.5277200054], abs=1e-9)
    assert [one.loss for one in found[1:3]] == pytest.approx([found[0].loss] * 2, rel=1e-12)


def test_a_minimum_is_not_lower_than_itself_turned():
    """Of 5→3: where a triangle in two turned rows is next to both minima, a continuous boundary ends in a triple point yet."""
    plane = ControlPlane.importance_density(5, 3, importance=np.geomspace(0.1, 10, 2), density=np.geomspace(0.1, 1, 2))
    solver, at = Solver(SimpleNamespace(plane=plane, theory="global")), (1.1917699, 0.7693312)
    solver.competitors = SimpleNamespace(lowest=lambda *_: None)
    u, model = solver.points(*at), ToyModel(3, [1, 1, 1, 1, at[0]], at[1])
    weights = [
        [[0, 0, 0, 0, 1], [0.859686, -0.429843, -0.429843, 0, 0], [0, 0.74451, -0.74451, 0, 0]],
        [
            [0.4191, 0.38232, -0.77545, 0, -0.41019],
            [0.44151, -0.16332, -0.33137, 0, 0.83982],
            [-0.60736, 0.75275, -0.16833, 0, 0.36237],
        ],
    ]
    points = [np.append(np.ravel(w), optimal_bias(model, np.array(w))) for w in weights]
    symmetric, other = (solver.stationary(solver.recognized(x, solver.all_free, u, 1e-4), u) for x in points)
    node = _meeting(symmetric, other, u, 1.0)
    assert np.exp(node.u) == pytest.approx([1.1917735, 0.7693284], abs=1e-7)
    assert node.states[0].loss == pytest.approx(node.states[1].loss, rel=1e-14)
    assert abs(node.states[0].curvature) < 1e-9


def test_an_end_is_found_where_rounding_has_led_beyond_it():
    """Of 3→2: the triple point in which one of two minima becomes more symmetric, 1e-9 ahead on the curve and behind."""
    plane = ControlPlane.importance_density(3, 2, importance=np.geomspace(0.1, 10, 2), density=np.geomspace(0.1, 1, 2))
    solver, at = Solver(SimpleNamespace(plane=plane, theory="global")), (1.2059999815, 0.7512612028)
    solver.competitors, u = SimpleNamespace(lowest=lambda *_: None), solver.points(*at)
    minima = minimize(ToyModel(2, [1, 1, at[0]], at[1]), n_starts=10, seed=0)[:2]
    states = [solver.recognized(flatten(one.weights, one.bias), solver.all_free, u) for one in minima]
    states = sorted(states, key=lambda one: not one.held)
    end = _meeting(*states, u, 1.0).u
    curve = Coexistence(*states)
    tangent = tangent_of(curve.slope(end))
    for way in (tangent, -tangent):
        curve.move_to(curve.at(end + 1e-9 * way, way))
        node, between = locate(curve, "ceases", [curve.states[0].u], None, 0.08 * solver.box.step, way)
        assert not between and node.u == pytest.approx(end, abs=1e-12)


def test_losses_above_a_base_are_those_of_the_losses():
    """Of 5→3: a pair and a tetrahedron branch off from one equilibrium, but losses integrated from it err by 4e-7, for kinks."""
    plane = ControlPlane.importance_density(5, 3, importance=np.geomspace(0.1, 10, 2), density=np.geomspace(0.1, 1, 2))
    solver = Solver(SimpleNamespace(plane=plane, theory="global"))
    u = solver.points(1.1932541984, 0.7513260272)
    both = [
        [-0.0737007] * 3 + [0, 1.0052894, 0.8641667, -0.4320833, -0.4320833, 0, 0, 0, 0.7483903, -0.7483903, 0, 0],
        [0, 0, 0, -0.1095435, 1.0054862, 0.8643498, -0.4321749, -0.4321749, 0, 0, 0, 0.7485489, -0.7485489, 0, 0],
    ]
    biases = [0.3780641] * 3 + [0.375663, 0.0727854], [0.3563882] * 3 + [0.4125324, 0.0311178]
    points = [np.append(*parts) for parts in zip(both, biases, strict=True)]
    states = [solver.stationary(solver.recognized(x, solver.all_free, u), u) for x in points]
    curve = Coexistence(*states)
    one, other = curve.states
    assert curve._difference(curve._solve(u), u) == pytest.approx(one.loss - other.loss, abs=1e-13 * one.loss)
    assert 0.02 < far(one, other) < 0.1


def test_losses_are_compared_above_the_most_symmetric_equilibrium():
    """Of 4→3: a triangle and a tetrahedron next to their tricritical point, either a branch of the other, are both of one without
    the feature; above the tetrahedron rounding told them apart, and their boundary was left open at (0.57039, 0.51711)."""
    plane = ControlPlane.importance_density(4, 3, importance=np.geomspace(0.1, 10, 2), density=np.geomspace(0.1, 1, 2))
    solver, at = Solver(SimpleNamespace(plane=plane, theory="global")), (0.5642128311443, 0.5117912358979)
    weights, u = np.eye(3, 4), solver.points(*at)
    x = np.append(weights, optimal_bias(ToyModel(3, [1, 1, 1, at[0]], at[1]), weights))
    symmetric = solver.stationary(solver.recognized(x, solver.all_free, u), u)
    minima = branches(symmetric)
    assert len(minima) == 3
    for pair in permutations(minima, 2):
        assert far(siblings(*pair)[2], symmetric) < 1e-12


def test_limits_of_modes_that_are_as_soft_everywhere_do_not_meet_in_a_point():
    """Of 4→3: a pair whose feature turns to either of two others or to both, one limit: rounding let these cross, and a boundary
    of 12 × 12 ended there, at (0.5672829, 0.5144398)."""
    plane = ControlPlane.importance_density(4, 3, importance=np.geomspace(0.1, 10, 2), density=np.geomspace(0.01, 1, 2))
    solver = Solver(SimpleNamespace(plane=plane, theory="global"))
    u, x = np.array([-0.5690385560783437, -0.6667102080754125]), np.zeros(16)
    x[[0, 3, 5, 10, 12, 15]] = 1.0006258951893683, -0.004976441728024006, 1, 1, 0.0004377001900674209, 0.2579692643118268
    limit = branch_points(solver.stationary(solver.recognized(x, solver.all_free, u), u))
    assert limit.others(u)
    assert not any(meeting() for meeting in _bicriticals(limit, u))


def test_minima_that_are_about_to_merge_are_two():
    """Of 3→2 next to a critical point at (0.889332, 0.717096): two triangles 0.006 apart, of one loss."""
    line = phase_diagram(3, 2, importance=np.linspace(0.8889, 0.8891, 4), density=[0.7168])
    (boundary,) = line.boundaries()
    model, losses = ToyModel(2, [1, 1, boundary.x[0]], 0.7168), []
    for x in boundary.minima[:, 0]:
        loss, *slopes = expected_loss_and_gradient(model, x[:6].reshape(2, 3), x[6:])
        assert max(np.abs(slope).max() for slope in slopes) < 1e-13
        losses.append(loss)
    assert losses[0] == pytest.approx(losses[1], rel=1e-15) and boundary.order == "first"
    assert 1e-3 < np.max(np.abs(boundary.minima[0] - boundary.minima[1])) < 1e-2


class Circle(Curve):
    """A circle about the origin on which the equilibrium at an angle has one invariant, a function of the angle turned so far."""

    def __init__(self, invariant):
        self.invariant = invariant
        window = Box([-1.0, -1.0], [1.0, 1.0], [2.0, 2.0], steps_across=16)
        model = SimpleNamespace(box=window, settings=CurveSettings(most_points=200), form=SimpleNamespace(is_kinked=False))
        model.by_control = lambda value, u: 2 * u
        super().__init__([SimpleNamespace(family=model, turned=0.0)])
        self.states = self._solve(np.array([0.3, 0.0]))

    def value(self, u):
        return u @ u - 0.09

    def _solve(self, u):
        angle = np.arctan2(u[1], u[0])
        angle += 2 * np.pi * np.round((self.states[0].turned - angle) / (2 * np.pi))
        key = np.array([self.invariant(angle)])
        return [SimpleNamespace(family=self.family, u=u, turned=angle, key=key, keys=key[None])]


def test_a_curve_is_closed_where_its_minima_are_those_of_its_start():
    """Once around a circle it is, of minima that are the same again; of others it goes on: it was closed with these."""
    start = np.array([0.3, 0.0])
    once = follow(Circle(np.sin), start, 1.0)
    assert once.end == "closed" and np.array_equal(once.trail[-1].u, start) and once.trail[-1].states[0].turned == 0.0
    assert follow(Circle(np.abs), start, 1.0).end == "long"


class Cusp(Circle):
    """The curve (t², t³), followed in the space of (t, t², t³) from below, whose event is noticed late, beyond t = 0.3."""

    def place(self, u):
        t = np.cbrt(u[1])
        return np.array([t, t**2, t**3])

    def tangent(self, place):
        return np.array([1, 2 * place[0], 3 * place[0] ** 2]) / np.linalg.norm([1, 2 * place[0], 3 * place[0] ** 2])

    def at(self, guess, normal):
        t = brentq(lambda t: normal @ (self.place(np.array([t**2, t**3])) - guess), guess[0] - 0.2, guess[0] + 0.2)
        return self.place(np.array([t**2, t**3]))

    def _solve(self, u):
        key = np.cbrt(u[1:])
        return [SimpleNamespace(family=self.family, u=u, turned=0.0, key=key, keys=key[None])]

    def breaks(self, u):
        return "turns" if np.cbrt(u[1]) > 0.3 else None


def test_points_before_an_end_that_is_noticed_late_are_kept():
    """They lie ahead of the end in the plane, where the curve turns back in it; those beyond the end are left out."""
    node = Junction("critical point", np.zeros(2), Circle(np.sin).states, 0.0)
    way = follow(Cusp(np.sin), np.array([0.49, -0.343]), 1.0, lambda *_: (node, []))
    points = np.array([point.u for point in way.trail])
    assert way.end == "critical point" and len(points) > 10 and np.all(np.diff(points[:, 0]) < 0)
    assert np.max(np.linalg.norm(np.diff(points, axis=0), axis=1)) < 0.2


def test_a_curve_ends_in_the_first_of_two_points_ahead():
    """Of 5→2: behind that in which a feature leaves its row lies another one, to which the curve does not lead."""
    plane = ControlPlane.importance_density(5, 2, importance=np.geomspace(0.1, 10, 2), density=np.geomspace(0.01, 1, 2))
    solver = Solver(SimpleNamespace(plane=plane, theory="global"))
    solver.competitors = SimpleNamespace(lowest=lambda *_: None)
    one = [
        0.3581177,
        0,
        -0.902094,
        0.3581177,
        0,
        0,
        0.0443931,
        0,
        0,
        -1.0031781,
        0.404117,
        0.3950251,
        0.2991143,
        0.404117,
        0.0121571,
    ]
    other = [0.0100965, -0.0032496, -0.0079434, -0.0032496, 1.0002939, 0.9000547, -0.2940673, -0.2939659, -0.2940673, -0.0125293]
    other += [0.3571519, 0.3807286, 0.3824996, 0.3807286, 0.0012311]
    u = solver.points(1.2016107749, 0.7577957625)
    pair = [solver.recognized(np.array(x), solver.all_free, u, 1e-6) for x in (one, other)]
    curve = Coexistence(*(solver.stationary(state, u) for state in pair))
    start = curve.onto(u)
    curve.move_to(start)
    way = follow(curve, start, np.sign(curve.tangent(start)[0]), locate)
    assert way.end == "triple point" and np.exp(way.node.u) == pytest.approx([1.20199654, 0.75769642], abs=1e-8)
    model = ToyModel(2, [1, 1, 1, 1, np.exp(way.node.u[0])], np.exp(way.node.u[1]))
    losses = [expected_loss(model, state.weights, state.x[10:]) for state in way.node.states]
    assert losses[1:] == pytest.approx(losses[:1] * (len(losses) - 1), rel=1e-13)


def test_a_continuous_curve_ends_where_its_order_changes_before_another_mode_is_as_soft():
    """Of 4→2: 1e-4 before that. Up to the end nothing is lower than the dropped feature, halfway beyond what branches off is."""
    plane = ControlPlane.importance_density(4, 2, importance=np.geomspace(0.98, 1.02, 2), density=np.geomspace(0.89, 0.94, 2))
    solver = Solver(SimpleNamespace(plane=plane, theory="global"))
    solver.competitors = SimpleNamespace(lowest=lambda *_: None)
    weights = [-0.28797644, -0.50014007, 0.0, 0.83872348, 0.76990982, -0.65234306, 0.0, -0.12511602]
    x, u = np.array([*weights, 0.46221779, 0.46221779, 0.4570513, 0.43246618]), solver.points(1.0031821614, 0.9141026068)
    curve = branch_points(solver.stationary(solver.recognized(x, solver.all_free, u), u))
    curve.move_to(curve.at(u, np.array([1.0, 0.0])))
    start = curve.states[0].u
    way = follow(curve.anew(), start, -np.sign(curve.tangent(start)[0]), locate)
    assert way.end == "order changes" and np.exp(way.node.u) == pytest.approx([1.0001003700, 0.9181671236], abs=1e-8)
    both = np.log([1.0, 0.9182914849])  # where another mode is as soft
    for place, is_lowest in ((way.trail[-2].u, True), ((way.node.u + both) / 2, False)):
        place = curve.at(place, np.array([1.0, 0.0]))
        lowest = minimize(model_at(*np.exp(place), (4, 2)), n_starts=16)[0].loss
        assert (lowest > curve.solve(place)[0].loss * (1 - 1e-13)) == is_lowest
