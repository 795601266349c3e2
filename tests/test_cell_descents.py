"""Descents cell by cell: what is new in a cell, its invariants, and which minima are carried to which neighbours."""

import numpy as np
import pytest

from phasediag import ToyModel
from phasediag._minimizing.cell_descents import NEAR, carry, descend_cells, extend_lists
from phasediag._minimizing.stationary_points import dead_outputs, distinct, invariants, settle


def lists_of(where, n_cells):
    """What is in each cell, listed in two goes of which the second repeats the end of the first: heads, links."""
    heads, links = np.full(n_cells, -1), np.empty(len(where), np.int64)
    extend_lists(where[: len(where) // 2 + 1], 0, heads, links)
    extend_lists(where, len(where) // 2, heads, links)
    return heads, links


def nothing_known(n):
    """What is known of n features before anything is."""
    return np.empty(0, np.int64), np.empty((0, 6)), np.empty((0, n * (n + 3) // 2))


@pytest.mark.quick("_minimizing")
@pytest.mark.parametrize(
    "model",
    [
        ToyModel(2, [1, 1, 0.6], 0.4),
        ToyModel(2, [1, 1, 1, 0.7], 0.3),
        ToyModel(1, [1, 0.8], 0.4, "linear"),
        ToyModel(2, [1, 1, 0.6], 0.4, "linear", values="signed"),
    ],
    ids=["3→2", "4→2", "linear", "signed"],
)
def test_the_new_ends_of_a_cell_are_its_distinct_minima(model):
    """Two cells of one model: what descents one by one settle into, none twice, whatever is known in the other cell."""
    form, classes, size = model.form, model.classes, model.form.size
    starts = np.random.default_rng(1).normal(size=(40, size))
    controls = np.array([model.control, model.control])
    settled = settle(starts, form, np.repeat(controls[:1], 40, axis=0))
    expected = distinct(settled, form.n_hidden, classes)
    heads, first = np.array([-1, -1]), np.array([0, 40, 80])
    x = np.concatenate([starts, starts[::-1]])
    numbers, losses, keys, new = descend_cells(
        nothing_known(form.n_features), form, classes, controls, heads, first, x, radius=0.5
    )
    for cell in (slice(0, 40), slice(40, 80)):
        own = np.flatnonzero(new[cell] & ~dead_outputs(x[cell], form, model.control)) + cell.start
        order = own[np.argsort(numbers[own, 0])]
        assert np.allclose(numbers[order, 0], [one.scaled_loss for one in expected], rtol=1e-13, atol=0)
        assert np.allclose(losses[own] @ model.importance / model.loss_scale, numbers[own, 0], rtol=1e-13, atol=0)
        assert np.allclose(keys[own], invariants(x[own], form.n_hidden, classes), rtol=0, atol=1e-14)
    # and once more, from what the first cell knows: nothing is new there, all is in the other
    known = np.flatnonzero(new[:40])
    heads, links = lists_of(np.zeros(len(known), np.int64), 2)
    again = descend_cells(
        (links, numbers[known], keys[known]), form, classes, controls, heads, first, np.concatenate([starts, starts]), radius=0.5
    )
    assert not again[3][:40].any() and again[3][40:].sum() == len(known)
    assert again[0][:40, 3].sum() < again[0][40:, 3].sum()


def test_minima_are_carried_to_neighbours_that_know_none_near_them():
    """Against a search of all pairs: tasks in the order of minima and neighbours, none near what is known or on its way.

    Unless a higher one of its cell is nearer to that: of 3→2 with binary values a pair was missed beside one that is alike.
    """
    generator = np.random.default_rng(0)
    shape, n_minima, frontier = (5, 7), 90, 40
    where = generator.integers(35, size=n_minima)
    keys = np.round(generator.uniform(0, 6 * NEAR, size=(n_minima, 2)) / NEAR) * NEAR * 0.6
    losses = generator.uniform(size=n_minima)
    known = {cell: [key for c, key in zip(where.tolist(), keys, strict=True) if c == cell] for cell in range(35)}
    expected = []

    def becomes(k, other):
        """Whether minimum k is near keys, and nearer than those that are higher in its cell."""
        apart = np.max(np.abs(keys - other), axis=1)
        return apart[k] < NEAR and not np.any((apart < apart[k]) & (losses > losses[k]) & (where == where[k]))

    for k in range(frontier, n_minima):
        i, j = divmod(int(where[k]), 7)
        for down, right in ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1)):
            if 0 <= i + down < 5 and 0 <= j + right < 7:
                cell = 7 * (i + down) + j + right
                if not any(becomes(k, other) for other in known[cell]):
                    known[cell].append(keys[k])
                    expected.append((cell, k))
    cells, sources = carry(frontier, shape, where, keys, losses, *lists_of(where, shape[0] * shape[1]))
    assert len(expected) > 20 and list(zip(cells.tolist(), sources.tolist(), strict=True)) == expected
