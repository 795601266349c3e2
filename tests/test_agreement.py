"""Agreement: cells away from boundaries, and the distance of trained boundaries from the theory's curves."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest

from phasediag import phase_diagram
from phasediag.agreement import _distance, agreement
from phasediag.theories import TIE_MARK

pytestmark = pytest.mark.quick

AXES = {"importance": np.geomspace(0.1, 10, 24), "density": np.geomspace(0.05, 1, 20)}


@pytest.fixture(scope="module")
def frozen():
    return phase_diagram(3, 2, theory="frozen", **AXES)


def with_phases(diagram, phase):
    return dataclasses.replace(diagram, phase=phase)


def test_a_theory_agrees_with_itself(frozen):
    """All cells agree, and cell edges lie within half a cell's diagonal of the curves that they follow."""
    one = agreement(frozen, frozen)
    cell = [np.log10(axis[1] / axis[0]) for axis in AXES.values()]
    assert one.share == one.share_away == 1.0
    assert one.distances.size > 20 and one.distances.max() <= np.hypot(*cell) / 2


def test_cells_away_from_boundaries(frozen):
    """By hand: a cell is away when none of its neighbours, diagonal ones included, has another phase."""
    away = agreement(frozen, frozen).away
    rows, columns = frozen.phase.shape
    for i, k in np.ndindex(rows, columns):
        around = frozen.phase[max(i - 1, 0) : i + 2, max(k - 1, 0) : k + 2]
        assert away[i, k] == np.all(around == frozen.phase[i, k])


def test_differing_cells_are_counted(frozen):
    """Three cells renamed, one of them beside a boundary."""
    phase, away = frozen.phase.copy(), agreement(frozen, frozen).away
    for cell in [*np.argwhere(away)[:2], np.argwhere(~away)[0]]:
        phase[tuple(cell)] = "extra in nothing"
    one = agreement(with_phases(frozen, phase), frozen)
    assert one.share == 1 - 3 / phase.size and one.share_away == 1 - 2 / away.sum()


def test_coexisting_phases_all_agree():
    """Where the theory has two phases of one loss, a trained model may have either."""
    axes = {"importance": np.array([0.5, 1.0, 2.0]), "density": np.array([0.8])}
    frozen = phase_diagram(2, 1, theory="frozen", **axes)
    names = frozen.phase[0, 1].split(TIE_MARK)
    assert len(names) == 2
    for name in names:
        phase = frozen.phase.copy()
        phase[0, 1] = name
        assert agreement(with_phases(frozen, phase), frozen).agrees.all()


def test_distances_in_a_single_row():
    """A curve that crosses a row is one point: distances are those of two places on the row's axis."""
    row = phase_diagram(2, 1, theory="frozen", importance=np.array([0.3, 0.7, 1.5, 4.0]), density=np.array([0.8]))
    places = np.sort([boundary.importance[0] for boundary in row.boundaries()])
    middles = np.sqrt(row.importance[1:] * row.importance[:-1])[row.phase[0, 1:] != row.phase[0, :-1]]
    expected = [np.abs(np.log10(places / middle)).min() for middle in middles]
    assert len(expected) == 1
    np.testing.assert_allclose(agreement(row, row).distances, expected, rtol=1e-12)


def test_one_phase_has_no_boundary(frozen):
    """No pieces, no distances."""
    alone = with_phases(frozen, np.full_like(frozen.phase, "extra in triangle"))
    assert agreement(alone, frozen).distances.size == 0


def test_distance_from_a_polyline():
    """Against a fine sampling of the polyline."""
    generator = np.random.default_rng(0)
    curve, points = generator.normal(size=(7, 2)), generator.normal(size=(30, 2))
    steps = np.linspace(0, 1, 20_001)[:, None]
    fine = np.concatenate([a + steps * (b - a) for a, b in pairwise(curve)])
    expected = np.linalg.norm(points[:, None] - fine, axis=2).min(axis=1)
    assert np.allclose(_distance(points, curve), expected, atol=1e-6)


def test_shifted_boundaries_are_measured():
    """A trained boundary one tenth of a decade off the theory's vertical line is that far from it."""
    axes = {"importance": np.geomspace(0.1, 10, 41), "density": np.array([0.8, 0.9])}
    frozen = phase_diagram(2, 1, theory="frozen", **axes)
    left, right = frozen.phase[0, 0], frozen.phase[0, -1]
    trained = with_phases(frozen, np.where(axes["importance"] < 1.3, left, right)[None].repeat(2, axis=0).astype(object))
    assert np.allclose(agreement(trained, frozen).distances, 0.125, atol=1e-9)
