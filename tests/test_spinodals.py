"""Spinodals: on each of their points a minimum ends that exists just before it."""

import numpy as np
import pytest

from phasediag import ToyModel, minimize, phase_diagram

NEAR = 1e-4
"""Minima are sought at importances that differ from a spinodal's by this part."""


@pytest.fixture(scope="module")
def two_to_one():
    """The global 2→1 diagram around the triple points at importance 1 and 1.77."""
    return phase_diagram(2, 1, importance=np.geomspace(0.9, 2.2, 9), density=np.geomspace(0.4, 1.0, 12))


def count(phase, importance, density):
    """The number of minima of a phase at a point, found from random starts."""
    minima = minimize(ToyModel(1, [1.0, importance], density), n_starts=8)
    return sum(minimum.phase.name == phase for minimum in minima)


def test_one_minimum_ends_on_every_spinodal(two_to_one):
    """On one side of each point there is one minimum more of the spinodal's phase, as a search without any path tells."""
    checked = 0
    for boundary in two_to_one.boundaries():
        for spinodal in boundary.spinodals:
            for x, p in list(zip(spinodal.importance, spinodal.density, strict=True))[1:-1:5]:
                sides = [count(spinodal.phase, x * (1 + side * NEAR), p) for side in (-1, 1)]
                assert abs(sides[0] - sides[1]) == 1, (spinodal.phase, x, p)
                checked += 1
    assert checked > 20
