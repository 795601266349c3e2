"""What a search over a grid knows at one moment, and its file.

A step of the search makes a new state from the old one and the two are exchanged at once: whatever interrupts it, the search
stands at the end of a whole step, and goes on to the same bits.
"""

from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from .._array_files import read_arrays, replace_arrays
from .stationary_points import Settled

SAVED_BY = "phase_diagram(…, checkpoint=…)"


@dataclass(frozen=True, eq=False)
class SearchState:
    """The minima known and what is still to be done.

    Attributes
    ----------
    where : ndarray of int, shape (n_minima,)
        The cell of each minimum, row by row.
    x : ndarray, shape (n_minima, size)
    numbers : ndarray, shape (n_minima, 6)
        `Settled.numbers`.
    feature_loss : ndarray, shape (n_minima, n_features)
    keys : ndarray, shape (n_minima, n_invariants)
    frontier : int
        Minima from this number on have not been carried to the neighbouring cells.
    checked : int
        So many minima have been compared with the others of cells that differ in importances alone.
    started : int
        So many cells, in the order of multistarts, have had their starts.
    evaluations : int
    """

    where: np.ndarray
    x: np.ndarray
    numbers: np.ndarray
    feature_loss: np.ndarray
    keys: np.ndarray
    frontier: int = 0
    checked: int = 0
    started: int = 0
    evaluations: int = 0

    @classmethod
    def empty(cls, form):
        """The state of a search over models of a form before its first step."""
        n = form.n_features
        return cls(np.empty(0, int), *(np.empty((0, count)) for count in (form.size, 6, n, n * (n + 3) // 2)))

    def after(self, rooms, where, x, numbers, feature_loss, keys, evaluations, **changes):
        """The state after a step that found these minima, arrays as those of the state, with so many evaluations.

        rooms: the `Rooms` of the search, in which arrays grow.
        """
        found = {"where": where, "x": x, "numbers": numbers, "feature_loss": feature_loss, "keys": keys}
        grown = {name: rooms.grown(name, getattr(self, name), more) for name, more in found.items()}
        return replace(self, **grown, **changes, evaluations=self.evaluations + int(evaluations))

    def sorted(self):
        """The state with minima in the order of their cells, and each cell's lowest first."""
        order = np.lexsort((self.numbers[:, 0], self.where))
        names = "where", "x", "numbers", "feature_loss", "keys"
        return replace(self, frontier=len(order), checked=len(order), **{name: getattr(self, name)[order] for name in names})

    @cached_property
    def _cells(self):
        """The minima by their cells' numbers, a dict of tuples of Settled."""
        found = {}
        for k, cell in enumerate(self.where.tolist()):
            found[cell] = (*found.get(cell, ()), self.settled(k))
        return found

    def cells_of(self, shape):
        """The minima by cells (row, column) of a grid, a dict of tuples of Settled."""
        return {divmod(cell, shape[1]): points for cell, points in self._cells.items()}

    def settled(self, k):
        """Minimum number k as a Settled."""
        loss, norm, curvature, count, dead, flat = self.numbers[k].tolist()
        return Settled(self.x[k], loss, norm, curvature, int(count), bool(dead), bool(flat), self.feature_loss[k])

    def save(self, path, grid, options):
        """Write the state of a search over a ``grid`` (numbers) with ``options`` (texts)."""
        replace_arrays(path, grid=grid, options=np.array(options), **{one.name: getattr(self, one.name) for one in fields(self)})

    @staticmethod
    def stored_seed(path):
        """Return the seed of the search that began a file, so that a search without one can go on; None where there is none."""
        if not Path(path).exists():
            return None
        return int(dict(option.split("=") for option in _read(path)["options"].tolist())["seed"])

    @classmethod
    def load(cls, path, grid, options):
        """Read the state of a search over the same grid with the same options, or raise ``ValueError``."""
        file = _read(path)
        if not np.array_equal(file["grid"], grid):
            raise ValueError(f"checkpoint must come from a search over the same grid, got {str(path)!r}")
        if file["options"].tolist() != list(options):
            raise ValueError(
                f"checkpoint must come from a search with {' and '.join(options)}, "
                f"got {str(path)!r} with {' and '.join(file['options'].tolist())}"
            )
        return cls(**{one.name: file[one.name] if one.type is np.ndarray else int(file[one.name]) for one in fields(cls)})


class Rooms:
    """Arrays with room at their ends, by name: a step that finds little costs little, however much is known.

    What a step has appended counts once a state refers to it: of a step that was interrupted it is overwritten by the next.
    """

    def __init__(self):
        self._rooms = {}

    def grown(self, name, known, more):
        """An array (n_known, …) with more rows at its end; in place if it was grown here."""
        room, count = self._rooms.get(name), len(known) + len(more)
        if room is None or known.base is not room or count > len(room):
            self._rooms[name] = room = np.empty((2 * count, *known.shape[1:]), known.dtype)
            room[: len(known)] = known
        room[len(known) : count] = more
        return room[:count]


def _read(path):
    """The arrays of a file, by name."""
    return read_arrays("checkpoint", path, SAVED_BY, ("grid", "options", *(one.name for one in fields(SearchState))))
