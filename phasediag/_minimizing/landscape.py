"""The local minima over a grid of control parameters: many starts, then every branch followed cell by cell.

Coarse points have many starts, every other cell a few, for pockets that no coarse point lies in. A wave carries each newly
found minimum to the neighbouring cells as a warm start; what it becomes there is a new minimum of that cell, one already
known, or none (the branch has ended at its spinodal and the descent leads to another minimum, which is then carried on in
turn). The waves end when no cell learns anything new.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic

import numpy as np

from .._arguments import stream
from .._files import check_writable
from ..forms import Form
from ..model import model_of
from .flat import flatten, parts
from .search import named_first, orders_of_extra, tied_minima
from .search_state import SearchState
from .starts import random_starts, starting_points
from .stationary_points import invariants, settle

COARSE_SPACING = 8
"""There are many starts at every so many cells of each axis (and at its ends)."""
FEWER = 24
"""Other cells have fewer random starts by this factor."""

_KNOWN = 0.025  # a warm start this near (in invariants) to a minimum already known in the cell is not tried: two can be near
_COARSE_AT_ONCE = 8  # coarse cells between two looks at the clock
_FEW_AT_ONCE = 512  # starts in the others between two such looks
SAVED_EVERY = 30.0
"""Seconds between two saves of a search that has a checkpoint."""

_CHUNK = 32  # starts in one call of the kernel; the result does not depend on it
_NEIGHBOURS = ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1))  # narrow pockets lie aslant


@dataclass(eq=False)
class Landscape:
    """The minima of each cell of a grid.

    Attributes
    ----------
    form : Form
    controls : ndarray, shape (n_rows, n_columns, n_controls)
        The control parameters of each cell.
    classes : tuple of tuple
        The features, or tuples of them, that can be exchanged in every cell.
    cells : dict of (int, int) → tuple of Settled
        The minima known in cell (row, column), lowest first once the search is over.
    evaluations : int
        How often a kernel computed the loss, all but once in a descent together with gradient and Hessian.
    """

    form: Form
    controls: np.ndarray
    classes: tuple
    _state: SearchState = field(default_factory=SearchState)

    @classmethod
    def of(cls, plane):
        """The landscape over a ControlPlane, not searched yet."""
        return cls(plane.form, plane.grid, plane.classes)

    @property
    def cells(self):
        """The minima by cell, a dict."""
        return self._state.cells

    @property
    def evaluations(self):
        """How often a kernel computed the loss so far."""
        return self._state.evaluations

    @property
    def shape(self):
        """Numbers of rows and columns."""
        return self.controls.shape[:2]

    def control(self, cells):
        """The control vectors of cells, shape (n_cells, n_controls)."""
        rows, columns = np.array(cells).T
        return self.controls[rows, columns]

    def explore(self, *, n_starts=24, seed=0, n_threads=1, progress=None, checkpoint=None):
        """Search until no cell learns of a new minimum.

        Parameters
        ----------
        n_starts : int
            Random starts at each coarse point; at every other cell a twenty-fourth of them (rounded up).
        seed : int
        n_threads : int
            The result does not depend on it.
        progress : callable, optional
            Called with the number of cells that newly have a minimum.
        checkpoint : path, optional
            An .npz file that receives the state every half minute and when the search is interrupted, and from which a
            search over the same grid goes on.
        """
        if checkpoint is not None:
            check_writable("checkpoint", checkpoint)
        grid = np.concatenate([np.frombuffer(repr(self.form).encode(), np.uint8), self.controls.ravel()])
        identity = grid, (f"n_starts={n_starts}", f"seed={seed}")
        if checkpoint is not None and Path(checkpoint).exists():
            self._state = SearchState.load(checkpoint, *identity, self.form.n_hidden, self.classes)
        elif not self.cells:
            self._state = SearchState(waiting=self._order())
        if progress:
            progress(len(self.cells))
        saved = monotonic()
        with ThreadPoolExecutor(n_threads) as pool:
            try:
                while self._state.waiting or self._state.frontier:
                    before = len(self.cells)
                    self._state = self._multistart(n_starts, seed, pool) if self._state.waiting else self._wave(pool)
                    if progress:
                        progress(len(self.cells) - before)
                    if checkpoint is not None and monotonic() - saved > SAVED_EVERY:
                        self._state.save(checkpoint, *identity)
                        saved = monotonic()
                empty = [cell for cell in np.ndindex(self.shape) if cell not in self.cells]
                self._state = self._state.sorted([self._lowest(cell) for cell in empty])
            finally:
                if checkpoint is not None:
                    self._state.save(checkpoint, *identity)
        return self

    def minima(self, cell):
        """The minima of a cell, a list of Settled; in place of one of a valley the configurations that tie in it."""
        points = self.cells[cell]
        found = [one for point in points for one in (tied_minima(self.model(cell), point) if point.is_flat else [point])]
        return found if len(orders_of_extra(self.classes, self.form.n_features)) == 1 else [self._named(one) for one in found]

    def _named(self, point):
        """A Settled with the equal features exchanged so that, of the names of its phase, it has the first: a stable one."""
        weights, bias = parts(point.x, self.form.n_hidden)
        order = named_first(weights, self.classes)
        return replace(point, x=flatten(weights[:, order], bias[order]), feature_loss=point.feature_loss[order])

    def _coarse_cells(self):
        """The cells that have many starts, a tuple of (row, column)."""
        rows, columns = (
            np.unique(np.linspace(0, size - 1, max(2, -(-size // COARSE_SPACING) + 1)).round().astype(int)) for size in self.shape
        )
        return tuple((int(i), int(j)) for i in rows for j in columns)

    def model(self, cell):
        """The ToyModel of a cell (row, column)."""
        return model_of(self.form, self.controls[cell])

    def _order(self):
        """All cells in the order of their multistarts, the coarse ones first."""
        coarse = self._coarse_cells()
        return (*coarse, *sorted(set(np.ndindex(self.shape)) - set(coarse)))

    def _multistart(self, n_starts, seed, pool):
        """The state after descents from many starts in the next coarse cells or, after these, from few in the next cells."""
        waiting, few = self._state.waiting, -(-n_starts // FEWER)
        now = [cell for cell in waiting[:_COARSE_AT_ONCE] if cell in set(self._coarse_cells())]
        if now:
            generators = [stream(seed, *cell) for cell in now]
            starts = [starting_points(self.model(cell), n_starts, one)[0] for cell, one in zip(now, generators, strict=True)]
        else:
            now = waiting[: max(_FEW_AT_ONCE // few, 1)]
            mean = np.repeat(self.form.mean(self.control(now)), few, axis=0)
            starts = random_starts(self.form.n_hidden, mean, stream(seed, *now[0])).reshape(len(now), few, -1)
        found = self._settled([(cell, x) for cell, some in zip(now, starts, strict=True) for x in some], pool, radius=0.5)
        return self._state.after(found, waiting=waiting[len(now) :])

    def _wave(self, pool):
        """The state after every minimum of the frontier was carried to the neighbours that do not know it."""
        tasks, known = [], {}
        for (i, j), k in self._state.frontier:
            key, x = self._state.keys[i, j][k].tolist(), self.cells[i, j][k].x
            for down, right in _NEIGHBOURS:
                cell = (i + down, j + right)
                if not (0 <= cell[0] < self.shape[0] and 0 <= cell[1] < self.shape[1]):
                    continue
                if cell not in known:  # and what is on its way there
                    known[cell] = [other.tolist() for other in self._state.keys.get(cell, ())]
                if not any(_near(key, other) for other in known[cell]):
                    known[cell].append(key)
                    tasks.append((cell, x))
        found = self._settled(tasks, pool, radius=0.25)
        return self._state.after(found, frontier=())

    def _settled(self, tasks, pool, radius):
        """Descend from each (cell, x): a list of (cell, Settled, invariants), all of them or, on an interrupt, none."""
        chunks = [tasks[k : k + _CHUNK] for k in range(0, len(tasks), _CHUNK)]

        def solve(chunk):
            cells = [cell for cell, _ in chunk]
            points = settle(np.array([x for _, x in chunk]), self.form, self.control(cells), radius=radius)
            keys = invariants(np.array([p.x for p in points]), self.form.n_hidden, self.classes)
            return zip(cells, points, keys, strict=True)

        return [one for chunk in pool.map(solve, chunks) for one in chunk]

    def _lowest(self, cell):
        """Of a cell in which no descent has converged, the lowest point that the configurations lead to; it says so."""
        starts, _ = starting_points(self.model(cell), 1, stream(0, *cell))
        settled = settle(starts, self.form, self.control([cell] * len(starts)))
        lowest = min(settled, key=lambda point: point.scaled_loss if np.isfinite(point.scaled_loss) else np.inf)
        return cell, lowest, invariants(lowest.x, self.form.n_hidden, self.classes)


def _near(key, other):
    """Whether two lists of invariants differ by less than what makes a warm start worth a try."""
    return all(abs(a - b) < _KNOWN for a, b in zip(key, other, strict=True))
