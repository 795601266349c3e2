"""Phases: names depend on norms and products of the features alone, and tell the shapes of minima apart."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phasediag import ToyModel, classify, configurations, minimize
from phasediag.phases import SHAPES, _corners, _references, classify_many, distinct_phases, phase_of

SIMPLICES = {"triangle": 3, "tetrahedron": 4, "4-simplex": 5, "5-simplex": 6}


def _directions(name):
    """Unit columns in as many dimensions as they span; tegum products lean, so that their parts are one cluster."""
    if name in SIMPLICES:
        return configurations(SIMPLICES[name], SIMPLICES[name] - 1)[-1].weights
    basis, size, _ = np.linalg.svd(SHAPES[name])
    columns = basis[:, size > 1e-9].T @ SHAPES[name]
    unit = columns / np.linalg.norm(columns, axis=0)
    parts = classify(unit).clusters
    for part in parts[1:]:
        axis = unit[:, parts[0].features[0]]
        unit[:, part.features] += 0.15 * np.outer(axis, np.sign(unit[:, part.features[0]] @ unit[:, part.features] + 1e-9))
    return unit / np.linalg.norm(unit, axis=0)


def _rotation(size, rng):
    """A random orthogonal matrix, with reflections."""
    basis, upper = np.linalg.qr(rng.normal(size=(size, size)))
    return basis * np.sign(np.diag(upper))


def _noise(shape, rng):
    """A random matrix of spectral norm 1."""
    noise = rng.normal(size=shape)
    return noise / np.linalg.norm(noise, 2)


def _in_plane(*degrees):
    return np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])


@given(st.sampled_from([*SHAPES, *SIMPLICES]), st.integers(1, 12), st.integers(0, 2**32), st.sampled_from([0.0, 0.4]))
@settings(deadline=None, max_examples=300)
def test_a_cluster_has_one_name_in_any_orientation_order_and_number_of_dimensions(name, n_hidden, seed, noise):
    """Rotated, reflected, permuted, embedded, with other norms, and with noise below what the tolerance can turn into a link."""
    rng = np.random.default_rng(seed)
    columns = _directions(name)
    n_hidden = max(n_hidden, len(columns))
    weights = (_rotation(n_hidden, rng)[:, : len(columns)] @ columns)[:, rng.permutation(columns.shape[1])]
    weights += 1e-3 * noise * _noise(weights.shape, rng)
    weights *= 10 ** rng.uniform(-0.5, 0.5, columns.shape[1])
    phase = classify(weights)
    assert phase.name == phase.text() == f"extra in {name}"
    assert [(cluster.size, cluster.dimension) for cluster in phase.clusters] == [columns.shape[::-1]]
    assert classify_many([weights, weights]) == [phase, phase]


@given(st.sampled_from([name for name in SHAPES if len(classify(SHAPES[name]).clusters) == 1]), st.integers(0, 2**32))
@settings(deadline=None)
def test_trained_shapes_keep_their_names(name, seed):
    """At the tolerance of trained models noise may be a hundred times larger."""
    rng = np.random.default_rng(seed)
    columns = _directions(name)
    weights = _rotation(12, rng)[:, : len(columns)] @ columns
    weights += 0.04 * _noise(weights.shape, rng)
    assert classify(weights, tolerance=0.1).name == f"extra in {name}"


@given(st.integers(1, 12), st.integers(1, 24), st.integers(0, 2**32), st.sampled_from([1e-3, 0.1, 0.5]))
@settings(deadline=None)
def test_any_weights_have_a_name_that_rotations_keep(n_hidden, n_features, seed, tolerance):
    """Random weights, of a random rank: never an error."""
    rng = np.random.default_rng(seed)
    rank = rng.integers(1, n_hidden + 1)
    weights = rng.normal(size=(n_hidden, rank)) @ rng.normal(size=(rank, n_features))
    phase = classify(weights, tolerance=tolerance)
    turned = classify(_rotation(n_hidden, rng) @ weights, tolerance=tolerance)
    assert (turned.name, turned.text()) == (phase.name, phase.text())
    assert classify_many(weights[None], tolerance=tolerance)[0] == phase


ENTRIES = [0.0, 0.0, 1.0, -1.0, 0.7, -0.5, 2e-4, 3e-3, 0.06, -0.2]


@given(st.integers(1, 4), st.integers(1, 6), st.data(), st.sampled_from([1e-3, 0.1]))
@settings(deadline=None, max_examples=200)
def test_many_are_named_as_each_alone(n_hidden, n_features, data, tolerance):
    """Weights of few values, whose norms and products are often equal, zero or near a tolerance."""
    size = n_hidden * n_features
    matrix = np.reshape(data.draw(st.lists(st.sampled_from(ENTRIES), min_size=size, max_size=size)), (n_hidden, n_features))
    scaled = matrix * np.linspace(0.9, 1.3, n_features)
    stack = np.array([matrix, scaled, matrix])
    expected = [classify(weights, tolerance=tolerance) for weights in stack]
    found = classify_many(stack, tolerance=tolerance)
    assert found == expected
    for one, other in zip(found, expected, strict=True):
        assert one.text() == other.text()
        assert [cluster.features for cluster in one.clusters] == [cluster.features for cluster in other.clusters]


@given(st.integers(2, 3), st.sampled_from([0.1, 0.01]), st.data())
@settings(deadline=None, max_examples=200)
def test_many_are_named_as_each_alone_where_directions_are_nearly_collinear(n_hidden, tolerance, data):
    """Between collinear and not lie a few tolerances; two antipodal columns have been called aligned there."""
    angles = data.draw(st.lists(st.floats(-3, 3), min_size=2, max_size=5))
    turned = np.pi * np.array(data.draw(st.lists(st.integers(0, 1), min_size=len(angles), max_size=len(angles))))
    columns = np.zeros((n_hidden, len(angles)))
    columns[:2] = np.cos(turned + tolerance * np.array(angles)), np.sin(turned + tolerance * np.array(angles))
    assert classify_many(columns[None], tolerance=tolerance)[0] == classify(columns, tolerance=tolerance)


@pytest.mark.parametrize("angle", [6, 11, 12, 30])
def test_two_columns(angle):
    """Two columns 11° apart are one direction to a tolerance of 0.1, 12° apart they are two."""
    for turn, one in ((0, "aligned pair"), (180, "antipodal pair")):
        weights = _in_plane(0, turn + angle)
        name = one if angle < 11.4 else "2 features in 2 dimensions"
        for phase in (classify(weights, tolerance=0.1), *classify_many([weights, weights], tolerance=0.1)):
            assert phase.name == f"extra in {name}"


@pytest.mark.parametrize("n_hidden", [4, 5, 8])
def test_eight_features_in_three_of_more_dimensions(n_hidden):
    """These raised a TypeError from five dimensions up, and the antiprism's name depended on its rotation in four."""
    antiprism, cube = SHAPES["square antiprism"], np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 0.9])).reshape(3, 8) + 0.1
    for seed in range(20):
        basis = _rotation(n_hidden, np.random.default_rng(seed))[:, :3]
        assert classify(basis @ antiprism).name == "extra in square antiprism"
        assert classify(basis @ cube).name == "extra in 8 features in 3 dimensions"


LOWEST = [
    (5, 3, 0.65, "square pyramid"),
    (5, 3, 0.95, "edge-capped tetrahedron"),
    (6, 3, 0.95, "edge-bicapped tetrahedron"),
    (6, 4, 0.8, "3-3 duopyramid"),
    (7, 3, 0.01, "capped octahedron"),
    (7, 3, 0.95, "edge-tricapped tetrahedron"),
]


@pytest.mark.parametrize(("n_features", "n_hidden", "density", "name"), LOWEST)
def test_shapes_of_exact_minima_have_names(n_features, n_hidden, density, name):
    """The lowest minima of equal features at these densities."""
    lowest = minimize(ToyModel(n_hidden, np.ones(n_features), density), n_starts=16)[0]
    assert lowest.phase.name == f"extra in {name}"


@pytest.mark.parametrize(
    ("weights", "shape"),
    [
        (_in_plane(0, 5, 72, 144, 216, 288), "pentagon 2:1:1:1:1, angles 5° 67° 72° 77° 139° 144° 149°"),
        (_in_plane(0, 0, 0, 127, -127), "triangle 3:1:1, angles 0° 106° 127°"),
        (_in_plane(0, 63, -63, 180), "angles 63° 117° 126° 180°"),
        (_in_plane(*range(0, 100, 7)), "angles 7° to 98°"),
        (np.array([[1.0, -0.5, 0.7]]), "antipodal pair 2:1, angles 0° 180°"),
        (_in_plane(*137.5 * np.arange(40)), "angles 5° to 178°"),  # most of them fit somewhere
    ],
)
def test_plain_clusters_are_described_by_their_angles(weights, shape):
    """A name such as "6 features in 2 dimensions" stands for many shapes; its text tells which."""
    phase = classify(weights)
    assert phase.clusters[0].shape == shape and phase.text() == f"{phase.name} ({shape})"
    assert phase.name.startswith(f"extra in {weights.shape[1]} features in")


@given(st.integers(4, 6), st.integers(0, 2**32), st.sampled_from(["pentagon", "triangle"]))
@settings(deadline=None, max_examples=30)
def test_corners_are_found_where_any_choice_of_them_fits(size, seed, name):
    """Against all choices in turn: directions near the corners of a polygon, some of them shared."""
    rng = np.random.default_rng(seed)
    reference = next(reference for own, reference in _references(2) if own == name)
    step = 360 / len(reference)
    columns = _in_plane(*step * rng.integers(0, len(reference), size) + rng.normal(0, 12, size))
    products = columns.T @ columns

    choices = np.array(list(product(range(len(reference)), repeat=size)))
    near = np.abs(products - np.array(reference)[choices[:, :, None], choices[:, None]]) <= 0.27
    fit = near.all((1, 2)) & (np.diff(np.sort(choices), axis=1).astype(bool).sum(1) == len(reference) - 1)
    found = _corners(products, reference)
    assert found in choices[fit].tolist() if found else not fit.any()


def test_text_of_several_clusters():
    """Shapes of plain clusters follow in order, each once; named clusters have no more to tell."""
    kite = classify(_in_plane(0, 63, -63, 180)).clusters[0]
    pair = classify(np.array([[1.0, -1.0]])).clusters[0]
    assert phase_of([pair, kite, kite], 11).text() == (
        "extra not represented + antipodal pair + 2 4 features in 2 dimensions (angles 63° 117° 126° 180°)"
    )


def test_names_say_what_became_of_sets():
    """Of features that come together: one direction, side by side, at right angles, opposite, or one left out."""
    turn = np.radians([0, 30, 180, 200, 270, 270])
    pentagon = np.array([np.cos(turn), np.sin(turn)])
    name = classify(pentagon, sets=((0, 1), (2, 3), (4, 5))).name
    assert name == classify(pentagon).name + " (1 × collapsed to its sum, 2 × partners adjacent)"
    for weights, state in {
        ((1.0, 0.7), (0.0, 0.0)): "collapsed to its sum",
        ((1.0, 0.7), (0.0, 0.1)): "partners adjacent",
        ((1.0, 0.0), (0.0, 0.7)): "partners orthogonal",
        ((1.0, -0.5), (0.0, 0.3)): "partners opposite",
        ((1.0, 0.0), (0.0, 0.0)): "not whole",
    }.items():
        matrix = np.append(weights, np.zeros((2, 1)), axis=1)
        assert classify(matrix, sets=((0, 1), (2,))).name == f"{classify(matrix).name} ({state})"
    mixed = np.array([[1.0, 0.9, -1.0], [0.0, 0.1, 0.0]])
    assert classify(mixed, sets=((0, 1, 2),)).name.endswith(" (partners mixed)") and classify(mixed, sets=((0,),)) == classify(
        mixed
    )


@pytest.mark.parametrize("tolerance", [1e-3, 0.1, 1e-6])
@pytest.mark.parametrize("shape", [(2, 1), (3, 2), (4, 3), (5, 2), (12, 3)])
def test_phases_of_many_are_those_of_each(shape, tolerance):
    """Weights that share a signature share a phase: names and clusters are those that each has by itself."""
    n, m = shape
    generator = np.random.default_rng(n)
    weights = generator.normal(size=(400, m, n)) * 10 ** generator.uniform(-4, 1, size=(400, 1, n))
    for k in range(400):
        i, j = generator.permutation(n)[:2]
        if k % 4 == 1:
            weights[k, :, i] = generator.choice([-1.0, 0.0, 1.0]) * generator.uniform(0.5, 2) * weights[k, :, j]
        elif k % 4 == 2:
            weights[k] = np.eye(m)[:, generator.integers(m, size=n)] * generator.choice([-1, 0, 1], size=n)
        elif k % 4 == 3:
            near = np.eye(m)[:, generator.integers(m, size=n)] * generator.choice([-1, 1], size=n)
            weights[k] = near + 10 ** generator.uniform(-5, -1) * generator.normal(size=(m, n))
    phases, which = distinct_phases(weights, tolerance=tolerance)
    for found, one in zip(which, weights, strict=True):
        alone = classify(one, tolerance=tolerance)
        assert phases[found] == alone
        assert [c.features for c in phases[found].clusters] == [c.features for c in alone.clusters]
    assert np.array_equal(which[np.unique(which, return_index=True)[1]], np.arange(len(phases)))
    described = [phase.text() for phase in classify_many(weights[::5], tolerance=tolerance)]  # with the angles of each
    assert described == [classify(one, tolerance=tolerance).text() for one in weights[::5]]
    if tolerance < 1e-3 or n > 2:
        return
    assert len(phases) < 40
