"""Order parameters against their definitions, symmetries, and phases of named geometry."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phasediag import (
    classify,
    configurations,
    dimensions_per_feature,
    feature_dimensionality,
    feature_norm,
    interference,
    superposition,
)
from phasediag.phases import classify_many


def _polygon(size, start=0.0):
    angle = start + 2 * np.pi * np.arange(size) / size
    return np.array([np.cos(angle), np.sin(angle)])


def _blocks(*blocks):
    weights = np.zeros((sum(len(b) for b in blocks), sum(b.shape[1] for b in blocks)))
    row = column = 0
    for b in blocks:
        weights[row : row + b.shape[0], column : column + b.shape[1]] = b
        row, column = row + b.shape[0], column + b.shape[1]
    return weights


PAIR = np.array([[1.0, -1.0]])
TETRAHEDRON = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]).T / np.sqrt(3)
_HEIGHT = 0.55
ANTIPRISM = np.hstack(
    [
        np.vstack([np.sqrt(1 - _HEIGHT**2) * _polygon(4), np.full(4, _HEIGHT)]),
        np.vstack([np.sqrt(1 - _HEIGHT**2) * _polygon(4, np.pi / 4), np.full(4, -_HEIGHT)]),
    ]
)


def _rotation(size, seed):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(size, size)))[0]


@pytest.mark.quick
def test_order_parameters_are_their_definitions_written_out():
    """Norm, interference, dimensionality and dimensions per feature, entry by entry, over leading axes."""
    weights = np.random.default_rng(0).normal(size=(2, 3, 2, 4))
    norm, shared = feature_norm(weights), interference(weights)
    dimensionality, ratio = feature_dimensionality(weights), dimensions_per_feature(weights)
    assert norm.shape == shared.shape == dimensionality.shape == (2, 3, 4) and ratio.shape == (2, 3)
    for lead in np.ndindex(2, 3):
        w = weights[lead].T.tolist()
        dot = [[sum(a * b for a, b in zip(x, y, strict=True)) for y in w] for x in w]
        for i in range(4):
            assert norm[lead][i] == pytest.approx(dot[i][i] ** 0.5, rel=1e-14)
            others = sum(dot[i][j] ** 2 for j in range(4) if j != i) / dot[i][i]
            assert shared[lead][i] == pytest.approx(others, rel=1e-13)
            assert dimensionality[lead][i] == pytest.approx(dot[i][i] ** 2 / sum(d**2 for d in dot[i]), rel=1e-13)
        assert ratio[lead] == pytest.approx(2 / sum(dot[i][i] for i in range(4)), rel=1e-14)


matrices = st.tuples(st.integers(1, 4), st.integers(1, 6)).flatmap(
    lambda shape: st.lists(st.floats(-3, 3), min_size=shape[0] * shape[1], max_size=shape[0] * shape[1]).map(
        lambda values: np.reshape(values, shape)
    )
)


@given(matrices, st.integers(0, 2**31), st.permutations(range(6)))
def test_order_parameters_do_not_see_rotations_signs_and_order(weights, seed, order):
    """W → RW and W → −W change nothing; permuting the features permutes the values; D lies in [0, 1]."""
    order = [i for i in order if i < weights.shape[1]]
    rotated = _rotation(len(weights), seed) @ weights
    for function in (feature_norm, interference, feature_dimensionality):
        value = function(weights)
        # Directions of weights as small as rounding are not determined: compare where the norm is not tiny.
        visible = np.linalg.norm(weights, axis=0) > 1e-9
        assert np.allclose(function(rotated)[visible], value[visible], rtol=1e-9, atol=1e-9)
        assert np.array_equal(function(-weights), value)
        assert np.allclose(function(weights[:, order]), value[order], rtol=1e-12, atol=1e-12)
    assert np.all((feature_dimensionality(weights) >= 0) & (feature_dimensionality(weights) <= 1))


@given(st.lists(st.lists(st.integers(-3, 3), min_size=5, max_size=5), min_size=1, max_size=4))
def test_dimensionalities_never_exceed_the_rank(weights):
    """Σ D_i ≤ rank(W): features share the dimensions there are."""
    assert feature_dimensionality(weights).sum() <= np.linalg.matrix_rank(weights) + 1e-12


@pytest.mark.quick
def test_dimensionality_of_the_papers_geometries():
    """The sticky fractions 1, 3/4, 2/3, 1/2, 2/5 and 3/8."""
    for weights, fraction in [
        (np.eye(3), 1),
        (TETRAHEDRON, 3 / 4),
        (_polygon(3), 2 / 3),
        (PAIR, 1 / 2),
        (_polygon(4), 1 / 2),
        (_polygon(5), 2 / 5),
    ]:
        assert np.allclose(feature_dimensionality(weights), fraction, rtol=1e-14)
    assert feature_dimensionality(ANTIPRISM).mean() == pytest.approx(3 / 8, abs=0.01)


GEOMETRY = {
    "extra in antipodal pair": PAIR,
    "extra in antipodal pair + antipodal pair": _polygon(4),
    "extra in triangle": _polygon(3),
    "extra in square": np.hstack([_polygon(2), _polygon(2, np.radians(80))]),
    "extra in 4 features in 2 dimensions": np.hstack([_polygon(2), _polygon(2, np.radians(60))]),
    "extra in pentagon": _polygon(5),
    "extra in hexagon": _polygon(6),
    "extra in tetrahedron": TETRAHEDRON,
    "extra in antipodal pair + 2 antipodal pairs": np.hstack([np.eye(3), -np.eye(3)]),
    "extra in square antiprism": ANTIPRISM,
    "extra in 8 features in 3 dimensions": np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 0.9])).reshape(3, 8) + 0.1,
    "extra in 5 features in 2 dimensions": np.array([np.cos(a := np.radians([0, 10, 130, 140, 250])), np.sin(a)]),
    "extra in aligned pair": np.array([[1.0, 0.7]]),
    "extra in 3 features in 1 dimension": np.array([[1.0, -0.5, 0.7]]),
    "extra in 3 features in 2 dimensions": np.array([[1.0, 0.0, 0.7], [0.0, 1.0, 0.7]]),
    "extra in triangle + pentagon": _blocks(_polygon(5), _polygon(3)),
    "extra dedicated + 2 triangles": _blocks(_polygon(3), _polygon(3), np.eye(1)),
    "extra not represented + triangle + 2 dedicated": np.hstack([_blocks(_polygon(3), np.eye(2)), np.zeros((4, 1))]),
    "extra dedicated + 2 not represented": np.array([[0.0, 0.0, 0.4]]),
    "extra not represented + 2 not represented": np.zeros((1, 3)),
    "extra in 4-simplex + 4-simplex": None,
    "extra dedicated + 2 4-simplices": None,
}
_SIMPLEX = configurations(5, 4)[-1].weights
GEOMETRY["extra in 4-simplex + 4-simplex"] = _blocks(_SIMPLEX, _SIMPLEX)
GEOMETRY["extra dedicated + 2 4-simplices"] = _blocks(_SIMPLEX, _SIMPLEX, np.eye(1))


@pytest.mark.parametrize("name", GEOMETRY)
@pytest.mark.parametrize("seed", range(3))
def test_named_geometry_keeps_its_name_under_the_symmetries(name, seed):
    """Rotations, a common sign, scales below 2 and exchanges of ordinary features leave the phase alone."""
    rng = np.random.default_rng(seed)
    weights = GEOMETRY[name]
    order = [*rng.permutation(weights.shape[1] - 1), weights.shape[1] - 1]
    changed = _rotation(len(weights), seed) @ weights[:, order] * rng.uniform(0.5, 2) * rng.choice([-1, 1])
    assert classify(weights).name == name == str(classify(weights))
    assert classify(changed) == classify(weights)


@given(st.integers(0, 28), st.integers(0, 2**31), st.floats(0.1, 10))
@settings(deadline=None)
def test_phases_of_candidates_are_invariant(which, seed, scale):
    """Every candidate of 5→3 and 6→4 keeps its phase when rotated, scaled and permuted among ordinary features."""
    table = (*configurations(5, 3), *configurations(6, 4))
    configuration = table[which % len(table)]
    order = [*np.random.default_rng(seed).permutation(configuration.n_features - 1), configuration.n_features - 1]
    rotated = scale * _rotation(configuration.n_hidden, seed) @ configuration.weights[:, order]
    assert classify(rotated) == configuration.phase


@pytest.mark.parametrize("height", [0.45, 0.5, 1 / np.sqrt(3), 0.65])
def test_a_square_antiprism_is_known_at_any_height_and_a_cube_is_not_one(height):
    """Two squares, one turned by 45°, also where their second moments are isotropic; not one turned by 0° or 20°."""
    for turn, name in ((45, "square antiprism"), (38, "square antiprism"), (0, "8 features"), (20, "8 features")):
        squares = [
            np.vstack([np.sqrt(1 - height**2) * _polygon(4, angle), np.full(4, side * height)])
            for angle, side in ((0.3, 1), (0.3 + np.radians(turn), -1))
        ]
        weights = _rotation(3, turn) @ np.hstack(squares)
        (cluster,) = classify(weights + 1e-6 * np.random.default_rng(turn).normal(size=weights.shape)).clusters
        assert cluster.name.startswith(name)


@pytest.mark.quick
def test_clusters_tell_which_features_they_hold():
    """Sizes, ranks and members; the extra feature's cluster comes first although it is the smaller."""
    weights = _blocks(_polygon(3), PAIR)[:, [0, 3, 1, 2, 4]]
    phase = classify(weights)
    assert [(c.name, c.size, c.dimension, c.features) for c in phase.clusters] == [
        ("antipodal pair", 2, 1, (1, 4)),
        ("triangle", 3, 2, (0, 2, 3)),
    ]
    assert phase.extra == "superposition"
    assert classify(np.eye(2)).extra == "dedicated" and classify([[1.0, 0.0]]).extra == "not_represented"


@pytest.mark.parametrize(
    ("weights", "tolerance"),
    [
        ([[1.0, -1.0, 0.7], [0.0, 0.0, 0.7]], 1e-3),
        ([[1.0, -1.0, 0.15], [0.0, 0.0, 1.0]], 0.1),
        ([[1.0, 0.15, -1.0], [0.0, 1.0, 0.0]], 0.1),
    ],
)
def test_a_triangle_has_the_origin_inside(weights, tolerance):
    """Columns of a closed half-plane, two of them opposite, are none; bent apart beyond the tolerance they are one."""
    assert classify(weights, tolerance=tolerance).name == "extra in 3 features in 2 dimensions"
    assert classify_many(np.array([weights]), tolerance=tolerance)[0] == classify(weights, tolerance=tolerance)
    bent = np.array(weights)
    bent[1, np.abs(bent[0]) == 1] -= 2 * tolerance
    assert classify(bent, tolerance=tolerance).name == "extra in triangle"
    bent[1, np.abs(bent[0]) == 1] += 4 * tolerance
    assert classify(bent, tolerance=tolerance).name == "extra in 3 features in 2 dimensions"


def test_a_simplex_has_the_origin_inside():
    """A tetrahedron with one vertex moved into the plane of a triangle around the origin is none."""
    flat = np.array([[1.0, -0.5, -0.5, 0.4], [0.0, 0.8, -0.8, 0.0], [0.0, 0.0, 0.0, 0.9]])
    assert classify(flat).name == "extra in 4 features in 3 dimensions"
    flat[2, :3] = -0.1
    assert classify(flat).name == "extra in tetrahedron"


@pytest.mark.parametrize("scale", [1e160, 1e200, 1e308])
def test_huge_weights_keep_their_phase(scale):
    """No square overflows: norms and phases are those of weights of any other size."""
    for name in ("extra in antipodal pair", "extra in triangle", "extra in tetrahedron"):
        weights = GEOMETRY[name] * scale
        assert classify(weights).name == name == classify_many(weights[None])[0].name
        assert np.allclose(feature_norm(weights) / scale, feature_norm(GEOMETRY[name]), rtol=1e-14)


def test_features_below_the_tolerance_are_not_represented():
    """The phase changes at norm = tolerance and at |cosine| = tolerance, and nowhere near by."""
    for factor, extra in ((0.9, "not_represented"), (1.1, "dedicated")):
        assert classify(np.diag([1.0, factor * 1e-3])).extra == extra
        assert classify(np.diag([1.0, factor * 0.05]), tolerance=0.05).extra == extra
    for cosine, extra in ((0.9e-3, "dedicated"), (1.1e-3, "superposition")):
        assert classify([[1.0, -cosine], [0.0, 1.0]]).extra == extra


@pytest.mark.parametrize("scale", [0.0, 5e-324, 1e-200, 1e-160])
def test_vanishing_weights_give_finite_order_parameters(scale):
    """At and near the origin nothing overflows, divides by zero or warns."""
    weights = np.array([[1.0, -1.0], [0.0, 0.0]]) * scale
    assert np.all(feature_norm(weights) <= 2e-160) and np.all(interference(weights) <= 1e-300)
    dimensionality = feature_dimensionality(weights)
    assert np.all((dimensionality >= 0) & (dimensionality <= 1))
    assert classify(weights).name == "extra not represented + not represented"
    assert dimensions_per_feature(np.zeros((3, 2, 2))).tolist() == [np.inf] * 3


@pytest.mark.parametrize("tolerance", [0, 1, -0.1, np.nan, np.inf, "a"])
def test_tolerance_outside_its_domain_is_named(tolerance):
    """The tolerance lies strictly between 0 and 1."""
    with pytest.raises(ValueError, match="tolerance must be"):
        classify(np.eye(2), tolerance=tolerance)


@pytest.mark.quick
@pytest.mark.parametrize("function", [feature_norm, interference, feature_dimensionality, dimensions_per_feature, classify])
@pytest.mark.parametrize("weights", [[1.0, 2.0], [[np.nan, 1.0]], [[np.inf, 1.0]], [["a", "b"]], [[1j, 0]]])
def test_bad_weights_are_named(function, weights):
    """Vectors, NaN, infinities, text and complex numbers are refused."""
    with pytest.raises(ValueError, match="weights must"):
        function(weights)


def test_classify_takes_one_matrix():
    """A stack of matrices and one without features are refused with their shapes."""
    for shape in ((3, 1, 2), (2, 0)):
        with pytest.raises(
            ValueError, match=rf"weights must have shape \(n_hidden, n_features\) .*, got {re.escape(str(shape))}"
        ):
            classify(np.ones(shape))


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ([[1, 0]], False),
        ([[1, -1]], True),
        ([[0, 0]], False),
        ([[1, 1e-9]], False),
        ([[1, 1e-3]], True),
        ([[1, 0, 0], [0, 1, 0]], False),
        ([[1, 0, 0], [0, 1, -1]], True),
        ([[1, -0.5, -0.5], [0, 3**0.5 / 2, -(3**0.5) / 2]], True),
        ([[1, -1, 0], [0, 0, 0]], True),
        ([[1e-200, -1e-200]], True),
        ([[1e200, 0]], False),
    ],
)
def test_known_weights(weights, expected):
    """Dedicated features are not in superposition; pairs, triangles and collinear features are."""
    assert superposition(weights) is expected


@given(st.integers(0, 2**32 - 1), st.floats(1e-6, 1e6))
def test_rotation_and_scale_do_not_matter(seed, scale):
    """The answer depends on directions only, and works over leading axes."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(5, 3, 4)) * (rng.random((5, 1, 4)) < 0.7)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    expected = (np.abs(weights).sum(axis=-2) > 0).sum(axis=-1) > 3
    assert np.array_equal(superposition(weights), expected)
    assert np.array_equal(superposition(scale * rotation @ weights), expected)


def test_bad_input_is_named():
    """Shape, finiteness and tolerance are checked."""
    with pytest.raises(ValueError, match="weights must have shape"):
        superposition([1, 2])
    with pytest.raises(ValueError, match="weights must be finite"):
        superposition([[np.inf, 1]])
    with pytest.raises(ValueError, match=r"tolerance must be in \(0, 1\), got 2"):
        superposition([[1, 1]], tolerance=2)
