"""Superposition: more represented features than dimensions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasediag import superposition


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
