"""What a search over a grid knows at one moment, and its file.

A step of the search makes a new state from the old one and the two are exchanged at once: whatever interrupts it, the search
stands at the end of a whole step, and goes on to the same bits.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from .._array_files import read_arrays, replace_arrays
from .stationary_points import Settled, invariants, same_minimum

SAVED_BY = "phase_diagram(…, checkpoint=…)"
_ARRAYS = ("grid", "options", "cells", "counts", "x", "numbers", "feature_loss", "frontier", "waiting", "evaluations")


@dataclass(frozen=True, eq=False)
class SearchState:
    """The minima known in each cell and what is still to be done.

    Attributes
    ----------
    cells, keys : dict of (int, int) → tuple
        The minima known in a cell, and their invariants.
    frontier : tuple of ((int, int), int)
        The minima, by cell and number, that have not been carried to the neighbouring cells.
    waiting : tuple of (int, int)
        The cells that have not had their starts.
    evaluations : int
    """

    cells: dict = field(default_factory=dict)
    keys: dict = field(default_factory=dict)
    frontier: tuple = ()
    waiting: tuple = ()
    evaluations: int = 0

    def after(self, found, **changes):
        """The state after a step that ``found`` (cell, Settled, key): the minima that are new are in it and in its frontier."""
        state = replace(self, **changes)
        cells, keys, frontier, evaluations = dict(state.cells), dict(state.keys), list(state.frontier), state.evaluations
        for cell, point, key in found:
            evaluations += point.n_evaluations
            known = zip(cells.get(cell, ()), keys.get(cell, ()), strict=True)
            if not point.is_minimum or any(same_minimum(point, key, *other) for other in known):
                continue
            frontier.append((cell, len(cells.get(cell, ()))))
            cells[cell], keys[cell] = (*cells.get(cell, ()), point), (*keys.get(cell, ()), key)
        return replace(state, cells=cells, keys=keys, frontier=tuple(frontier), evaluations=evaluations)

    def sorted(self, lowest):
        """The state with each cell's minima in order; ``lowest``: (cell, Settled, key) of cells that have none."""
        cells = self.cells | {cell: (point,) for cell, point, _ in lowest}
        keys = self.keys | {cell: (key,) for cell, _, key in lowest}
        order = {cell: sorted(range(len(points)), key=lambda k: points[k].scaled_loss) for cell, points in cells.items()}
        cells = {cell: tuple(points[k] for k in order[cell]) for cell, points in cells.items()}
        keys = {cell: tuple(keys[cell][k] for k in order[cell]) for cell in cells}
        return replace(self, cells=cells, keys=keys, evaluations=self.evaluations + sum(p.n_evaluations for _, p, _ in lowest))

    def save(self, path, grid, options):
        """Write the state of a search over a ``grid`` (numbers) with ``options`` (texts)."""
        flat = [point for points in self.cells.values() for point in points]
        replace_arrays(
            path,
            grid=grid,
            options=np.array(options),
            cells=np.array(list(self.cells), dtype=int).reshape(-1, 2),
            counts=np.array([len(points) for points in self.cells.values()], dtype=int),
            x=np.array([point.x for point in flat]),
            numbers=np.array([point.numbers for point in flat]),
            feature_loss=np.array([point.feature_loss for point in flat]),
            frontier=np.array([(*cell, k) for cell, k in self.frontier], dtype=int).reshape(-1, 3),
            waiting=np.array(self.waiting, dtype=int).reshape(-1, 2),
            evaluations=self.evaluations,
        )

    @staticmethod
    def stored_seed(path):
        """Return the seed of the search that began a file, so that a search without one can go on; None where there is none."""
        if not Path(path).exists():
            return None
        file = read_arrays("checkpoint", path, SAVED_BY, _ARRAYS)
        return int(dict(option.split("=") for option in file["options"].tolist())["seed"])

    @classmethod
    def load(cls, path, grid, options, n_hidden, classes):
        """Read the state of a search over the same grid with the same options, or raise ``ValueError``."""
        file = read_arrays("checkpoint", path, SAVED_BY, _ARRAYS)
        if not np.array_equal(file["grid"], grid):
            raise ValueError(f"checkpoint must come from a search over the same grid, got {str(path)!r}")
        if file["options"].tolist() != list(options):
            raise ValueError(
                f"checkpoint must come from a search with {' and '.join(options)}, "
                f"got {str(path)!r} with {' and '.join(file['options'].tolist())}"
            )
        numbers = zip(file["x"], file["numbers"].tolist(), file["feature_loss"], strict=True)
        points = [
            Settled(x, *three, int(count), bool(dead), bool(flat), losses) for x, (*three, count, dead, flat), losses in numbers
        ]
        ends = np.cumsum(file["counts"])
        cells, keys = {}, {}
        for cell, start, end in zip(map(tuple, file["cells"].tolist()), ends - file["counts"], ends, strict=True):
            cells[cell] = tuple(points[start:end])
            keys[cell] = tuple(invariants(file["x"][start:end], n_hidden, classes))
        frontier = tuple(((i, j), k) for i, j, k in file["frontier"].tolist())
        return cls(cells, keys, frontier, tuple(map(tuple, file["waiting"].tolist())), int(file["evaluations"]))
