"""Drawings of directions: points where they are, edges of the convex hull, hidden ones pale."""

from itertools import product

import numpy as np
import pytest
from matplotlib.figure import Figure

from phasediag import thomson
from phasediag._drawing.sphere import turned
from phasediag.figures import draw_directions, draw_products, thomson_figure

CUBE = np.array(list(product([-1.0, 1.0], repeat=3))).T
TURN = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]


def edges_and_points(points):
    """Number of edges, of visible edges and of visible points in the drawing."""
    artists = draw_directions(points, Figure().subplots())
    widths = artists["edges"].get_linewidths()
    faces = artists["points"].get_facecolors()
    return len(artists["edges"].get_segments()), int(np.sum(np.array(widths) > 1)), int(np.sum(faces[:, 0] < 1))


@pytest.mark.quick("_drawing")
def test_circle_is_drawn_as_it_is():
    """Points at their directions whatever their lengths, each with its radius; columns of zeros are left out."""
    artists = draw_directions([[2.0, 0.0, -0.6, 0.0], [0.0, 0.0, 0.8, -0.1]], Figure().subplots())
    np.testing.assert_allclose(artists["points"].get_offsets(), [[1, 0], [-0.6, 0.8], [0, -1]], atol=1e-15)
    assert [segment[0].tolist() for segment in artists["edges"].get_segments()] == [[0, 0]] * 3


@pytest.mark.parametrize("rotation", [np.eye(3), TURN])
def test_polyhedra_have_their_edges(rotation):
    """A cube shows 9 of 12 edges and 7 of 8 corners from anywhere; an octahedron has 12 edges, a tetrahedron 6."""
    assert edges_and_points(rotation @ CUBE) == (12, 9, 7)
    octahedron, tetrahedron = np.hstack([np.eye(3), -np.eye(3)]), CUBE[:, [0, 3, 5, 6]]
    assert edges_and_points(rotation @ octahedron)[0] == 12 and edges_and_points(rotation @ tetrahedron)[0] == 6
    antiprism = thomson(8, 3, energy="coulomb", n_starts=2)[0].points
    assert edges_and_points(rotation @ antiprism)[0] == 16


def test_points_in_a_plane_have_no_hull():
    """A triangle on the sphere is drawn without edges; points keep their distances in projection or shrink."""
    turn = 2 * np.pi / 3 * np.arange(3)
    triangle = np.array([np.cos(turn), np.sin(turn), np.zeros(3)])
    artists = draw_directions(triangle, Figure().subplots())
    assert not artists["edges"].get_segments()
    assert np.linalg.norm(artists["points"].get_offsets(), axis=1).max() <= 1 + 1e-12


@pytest.mark.parametrize("seed", range(5))
def test_congruent_points_are_turned_onto_each_other(seed):
    """A rotation, reflection or new order is undone."""
    rng = np.random.default_rng(seed)
    points = thomson(7, 3, energy="coulomb", n_starts=1)[0].points
    other = np.linalg.qr(rng.normal(size=(3, 3)))[0] @ points[:, rng.permutation(7)]
    np.testing.assert_allclose(turned(other, points), points, atol=1e-6)


def test_products_are_sorted():
    """All pairs, largest first, lengths divided out."""
    (line,) = draw_products({"three": np.array([[1.0, 0.0, -3.0], [0.0, 2.0, 0.0]])}, Figure().subplots())
    assert line.get_xdata().tolist() == [1, 2, 3] and line.get_ydata().tolist() == [0, 0, -1]


def test_figure_says_where_there_is_a_continuum():
    """Beside the weights, configurations that are not rigid are marked; the rows keep their titles."""
    free, rigid = thomson(3, 2, n_starts=4)[0], thomson(3, 2, energy="coulomb", n_starts=4)[0]
    figure = thomson_figure({"3 → 2": {"weights": free.points, "ReLU": free, "Coulomb": rigid}, "alone": {"weights": np.eye(2)}})
    assert [ax.axison for ax in figure.axes] == [True] * 5 + [False] * 2 + [True]
    assert [ax.get_xlabel() for ax in figure.axes] == ["", "one of a continuum", "", "", "", "", "", "pair"]
    assert figure.axes[0].get_ylabel() == "3 → 2" and figure.axes[4].get_ylabel() == "alone"
    assert [ax.get_title() for ax in figure.axes[:4]] == ["weights", "ReLU", "Coulomb", ""]


def test_other_dimensions_are_refused():
    """Neither a line nor four dimensions can be drawn."""
    for m in (1, 4):
        with pytest.raises(ValueError, match=r"weights must have shape \(2, n_features\) or \(3, n_features\)"):
            draw_directions(np.ones((m, 5)), Figure().subplots())
