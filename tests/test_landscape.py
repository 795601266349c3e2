"""The search over a grid: every cell reached, nothing twice, and narrow pockets found between coarse points."""

import numpy as np
import pytest

from phasediag import ControlPlane, minimize
from phasediag._minimizing import landscape as landscape_module
from phasediag._minimizing.landscape import Landscape
from phasediag._minimizing.stationary_points import invariants


def landscape_over(n_features, n_hidden, importance, density):
    """A landscape over importance and density, not searched yet."""
    return Landscape.of(ControlPlane.importance_density(n_features, n_hidden, importance=importance, density=density))


def explored(shape, size=17, **search):
    """A searched landscape over the paper's axes."""
    return landscape_over(*shape, np.geomspace(0.1, 10, size), np.geomspace(0.01, 1, size)).explore(**search)


@pytest.mark.parametrize("shape", [(2, 1), (3, 2), (4, 3)])
def test_every_cell_has_distinct_minima_lowest_first(shape):
    """No cell is empty; its minima are sorted, converged and different."""
    landscape = explored(shape, 9, n_starts=8)
    assert set(landscape.cells) == set(np.ndindex(9, 9)) and landscape.evaluations > 81
    for points in landscape.cells.values():
        losses = np.array([point.scaled_loss for point in points])
        assert np.all(np.diff(losses) >= 0) and all(point.is_minimum for point in points)
        keys = invariants(np.array([point.x for point in points]), shape[1], landscape.classes)
        for k in range(1, len(points)):
            same = np.max(np.abs(keys[:k] - keys[k]), axis=1) < 1e-6
            assert not np.any(same & (np.abs(losses[:k] / losses[k] - 1) < 1e-9))


def test_one_start_finds_what_many_find():
    """Waves carry the configurations' minima everywhere: the lowest losses hardly depend on the random starts."""
    few, many = explored((2, 1), n_starts=1), explored((2, 1), n_starts=48, seed=5)
    for cell, points in many.cells.items():
        assert few.cells[cell][0].scaled_loss == pytest.approx(points[0].scaled_loss, rel=1e-12)


def test_cells_between_coarse_points_know_what_a_multistart_finds():
    """In cells far from every coarse point the lowest minimum of a multistart is there."""
    landscape, generator = explored((3, 2), 25), np.random.default_rng(0)
    coarse = {tuple(cell) for cell in landscape._coarse_cells()}
    for _ in range(12):
        i, j = (int(k) for k in generator.integers(24, size=2))
        if (i, j) in coarse:
            continue
        model = landscape.model((i, j))
        lowest = minimize(model)[0].loss / (model.importance.sum() * model.density / 3)
        assert landscape.cells[i, j][0].scaled_loss == pytest.approx(lowest, rel=1e-12)


def test_pockets_of_few_cells_are_found():
    """Metastable minima of 3→2 that exist in a strip one cell wide, aslant and away from every coarse point, are known there."""
    landscape = explored((3, 2), 40)
    for i, j in ((37, 20), (35, 22), (33, 23)):
        model = landscape.model((i, j))
        losses = np.array([point.scaled_loss for point in landscape.cells[i, j]])
        found = np.array([minimum.loss for minimum in minimize(model, n_starts=48)]) / (
            model.importance.sum() * model.density / 3
        )
        assert len(found) > 2 and np.all(np.min(np.abs(losses[:, None] / found - 1), axis=0) < 1e-11)


def test_two_minima_near_each_other_are_both_known():
    """Near a tricritical point of 3→2 the triangle and the pair that it grows from differ little, and the lower one is there."""
    landscape = landscape_over(3, 2, np.linspace(1.43, 1.46, 31), np.array([0.659])).explore()
    found = minimize(landscape.model((0, 16)))
    known = landscape.cells[0, 16]
    assert len(known) == len(found) == 3
    for point, minimum in zip(known, found, strict=True):
        assert point.scaled_loss * 3.446 * 0.659 / 3 == pytest.approx(minimum.loss, rel=1e-12)


def test_progress_counts_every_cell_once():
    """The numbers handed to the callback add up to the number of cells."""
    calls = []
    explored((2, 1), 9, n_starts=2, progress=calls.append)
    assert sum(calls) == 81 and min(calls) >= 0


@pytest.mark.quick("_minimizing")
def test_axes_of_one_value():
    """A grid of one cell, one row and one column are searched as well."""
    for rows, columns in ((1, 1), (1, 5), (5, 1)):
        landscape = landscape_over(2, 1, np.geomspace(0.5, 2, columns), np.geomspace(0.1, 0.5, rows)).explore(n_starts=2)
        assert set(landscape.cells) == set(np.ndindex(rows, columns))


@pytest.mark.parametrize(("shape", "broken"), [((3, 2), False), ((5, 2), False), ((3, 2), True), ((4, 2), True)])
def test_no_cell_lies_above_the_envelope_of_its_row(shape, broken, monkeypatch):
    """At fixed parameters the loss is linear in importance: no minimum of a row is lower, elsewhere in it, than what is there.

    A search that carries nothing to the neighbours, with few starts, misses that, and goes on.
    """
    if broken:
        monkeypatch.setattr(landscape_module, "carry", lambda *_: (np.empty(0, int), np.empty(0, int)))
    landscape = explored(shape, 9, n_starts=1 if broken else 24)
    for i in range(9):
        losses = np.array([point.feature_loss for j in range(9) for point in landscape.cells[i, j]])
        for j in range(9):
            importance = landscape.model((i, j)).importance
            assert importance @ landscape.cells[i, j][0].feature_loss <= np.min(losses @ importance) * (1 + 1e-12)
