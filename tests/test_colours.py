"""Colours: phases drawn together can be told apart, by any eye, and say where the extra feature is."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phasediag import configurations, frozen_boundaries
from phasediag.colours import norm_interference_colour, phase_colour, phase_colours
from phasediag.phases import SHAPES

SIZES = [(2, 1), (3, 1), (3, 2), (4, 2), (4, 3), (5, 2), (5, 3), (6, 3)]

# What remains of linear RGB for protanopes and deuteranopes (Machado, Oliveira and Fernandes 2009, severity 1).
PROTANOPIA = np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]])
DEUTERANOPIA = np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]])
LUMINANCE = np.tile([0.2126, 0.7152, 0.0722], (3, 1))


def _linear(colour):
    colour = np.asarray(colour)
    return np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)


def _cielab(linear):
    """CIE 1976 L*a*b* (D65) of linear RGB."""
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ np.clip(linear, 0, 1)
    f = xyz / [0.9505, 1.0, 1.089]
    f = np.where(f > (6 / 29) ** 3, np.cbrt(f), f / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def _difference(one, other, seen_by=None):
    seen_by = np.eye(3) if seen_by is None else seen_by
    return np.linalg.norm(_cielab(seen_by @ _linear(one)) - _cielab(seen_by @ _linear(other)))


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize(
    "seen_by", [None, PROTANOPIA, DEUTERANOPIA, LUMINANCE], ids=["all", "protanopia", "deuteranopia", "grey"]
)
def test_winning_phases_can_be_told_apart(shape, seen_by):
    """CIELAB difference ≥ 3 within a family of the extra feature's roles and ≥ 4 between them, for any eye and in grey."""
    names = sorted(set().union(*(b.phases for b in frozen_boundaries(*shape)[0])))
    for one, other in combinations(names, 2):
        same_role = one.split()[1] == other.split()[1]
        assert _difference(phase_colour(one), phase_colour(other), seen_by) > (3 if same_role else 4), (one, other)


@pytest.mark.parametrize("shape", SIZES)
def test_winning_phases_keep_their_own_colours(shape):
    """None of a frozen diagram has to give way: its colours are those of the names alone."""
    names = set().union(*(b.phases for b in frozen_boundaries(*shape)[0]))
    assert phase_colours(names) == {name: phase_colour(name) for name in names}


@pytest.mark.parametrize("n_features", range(2, 9))
def test_all_candidates_have_different_colours(n_features):
    """No two of the patterns that could compete share a colour, although each colour knows only its own name."""
    for n_hidden in range(1, n_features):
        colours = [phase_colour(c.name) for c in configurations(n_features, n_hidden)]
        assert all(0 <= value <= 1 for colour in colours for value in colour)
        assert min(_difference(one, other) for one, other in combinations(colours, 2)) > 0.5


@pytest.mark.quick
def test_lightness_tells_the_role():
    """Every phase without the extra feature is lighter than every one that dedicates a dimension, and so on."""
    lightness = {"not_represented": [], "dedicated": [], "superposition": []}
    for n_features in range(2, 8):
        for n_hidden in range(1, n_features):
            for c in configurations(n_features, n_hidden):
                lightness[c.phase.extra].append(_cielab(_linear(phase_colour(c.name)))[0])
    assert min(lightness["not_represented"]) > max(lightness["dedicated"]) + 1
    assert min(lightness["dedicated"]) > max(lightness["superposition"]) + 1


@pytest.mark.parametrize(
    "name",
    ["extra in pentagon", "extra in 5 features in 3 dimensions + 2 4 features in 2 dimensions", "extra in aligned pair", "other"],
)
def test_any_name_has_a_colour(name):
    """Shapes that only trained or relaxed weights take have a colour of their own, red in kind."""
    colour = phase_colour(name)
    assert colour[0] > colour[1] and colour != phase_colour("extra in antipodal pair")


@pytest.mark.quick
def test_corners_of_the_colour_map():
    """Norm 0 is grey whatever the interference; norm 1 runs from blue to red; larger values saturate."""
    grey, also_grey, blue, red = norm_interference_colour([0, 0, 1, 1], [0, 1, 0, 1])
    assert grey[0] == grey[1] == grey[2] and np.array_equal(grey, also_grey)
    assert blue[2] > blue[1] > blue[0] and red[0] > 3 * max(red[1:])
    assert np.array_equal(norm_interference_colour(1.3, 4.0), red)
    assert np.allclose(norm_interference_colour(1, 0.5), (blue + red) / 2)


# Of the lowest minima of 2→1 … 8→3 at importances from 0.1 to 10 and densities from 0.002 to 1, and of some that are metastable.
FOUND = """extra not represented + 2 antipodal pairs + not represented, extra not represented + 5 features in 2 dimensions
extra not represented + pentagon, extra not represented + triangle + 2 not represented, extra not represented + hexagon
extra not represented + tetrahedron, extra not represented + square pyramid + not represented
extra dedicated + 3 features in 1 dimension + 2 not represented, extra dedicated + 5 features in 1 dimension
extra dedicated + antipodal pair + 3 not represented, extra dedicated + 2 antipodal pairs, extra dedicated + triangle
extra in 6 features in 2 dimensions, extra in hexagon, extra in 5 features in 2 dimensions, extra in pentagon
extra in 4 features in 2 dimensions + not represented, extra in antipodal pair + 4 features in 1 dimension
extra in antipodal pair + antipodal pair + 2 not represented, extra in pentagon + not represented, extra in heptagon
extra in triangle + 3 not represented, extra in square pyramid, extra in edge-capped tetrahedron, extra in capped octahedron
extra in square antiprism, extra in 8 features in 3 dimensions, extra in 3-3 duopyramid, extra in octahedral pyramid"""
FOUND = FOUND.replace("\n", ", ").split(", ")
EYES = [None, PROTANOPIA, DEUTERANOPIA]


def _least(colours):
    """The least CIELAB difference of two of these colours to any of the three eyes."""
    pairs = combinations(dict.fromkeys(colours), 2)
    return min((_difference(*pair, eye) for pair in pairs for eye in EYES), default=np.inf)


def test_phases_of_minima_drawn_together_differ_to_any_eye():
    """Alone, "hexagon" and "6 features in 2 dimensions" have one colour; together, among all these, none have."""
    assert phase_colour("extra in hexagon") == phase_colour("extra in 6 features in 2 dimensions")
    assert _least(phase_colours(["extra in hexagon", "extra in 6 features in 2 dimensions"]).values()) > 4
    assert len(set(phase_colours(FOUND).values())) == len(FOUND) and _least(phase_colours(FOUND).values()) > 2.5


CLUSTERS = [*SHAPES, "antipodal pair", "triangle", "tetrahedron", "4-simplex", "aligned pair", "dedicated", "not represented"]
CLUSTERS += [f"{size} features in {dimension} dimensions" for size in range(4, 12) for dimension in range(2, 5)]
HEADS = ["extra not represented", "extra dedicated", *(f"extra in {cluster}" for cluster in CLUSTERS[:-2])]
NAMES = st.tuples(st.sampled_from(HEADS), st.sets(st.sampled_from(CLUSTERS), max_size=3)).map(
    lambda parts: " + ".join([parts[0], *sorted(parts[1])])
)


@given(st.sets(NAMES, max_size=8))
@settings(deadline=None, max_examples=60)
def test_any_eight_phases_differ_to_any_eye(names):
    """Names decide, not their order."""
    colours = phase_colours(sorted(names))
    assert colours == phase_colours(sorted(names, reverse=True)) and colours.keys() == names
    assert len(set(colours.values())) == len(names) and _least(colours.values()) > 3.5
    assert all(0 <= value <= 1 for colour in colours.values() for value in colour)


@given(st.sets(NAMES, min_size=2, max_size=30))
@settings(deadline=None, max_examples=30)
def test_any_thirty_phases_have_thirty_colours(names):
    """Where there are more than a role has room for, they are as far apart as they can be, and lightness still tells the role."""
    colours = phase_colours(names)
    assert _least(colours.values()) > 1
    lightness = {name: _cielab(_linear(colour))[0] for name, colour in colours.items()}
    roles = [[v for name, v in lightness.items() if _role(name) == k] for k in range(3)]
    for darker, lighter in combinations(roles, 2):
        assert not darker or not lighter or max(darker) < min(lighter)


def _role(name):
    """0 where the extra feature is in superposition, 1 where it is dedicated, 2 where it is not represented."""
    return 2 if name.startswith("extra not") else int(name.startswith("extra dedicated"))


def test_phases_that_coexist_have_the_first_ones_colour():
    """Ties are cells of a boundary; their names count as their first phase's."""
    colours = phase_colours(["extra in hexagon = extra in pentagon", "extra in hexagon"])
    assert len(set(colours.values())) == 1 and phase_colours([]) == {}
