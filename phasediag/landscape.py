"""All local minima over a grid of control parameters: multistart at coarse points, then every branch followed cell by cell.

A wave carries each newly found minimum to the neighbouring cells as a warm start; what it becomes there is a new minimum of
that cell, one already known, or none (the branch has ended at its spinodal and the descent leads to another minimum, which
is then carried on in turn). The waves end when no cell learns anything new.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .minima import starting_points
from .model import cell_model
from .stationary_points import Settled, invariants, same_minimum, settle

COARSE_SPACING = 8
"""Multistart is done at every so many cells of each axis (and at its ends)."""

_KNOWN = 0.05  # a warm start this near (in invariants) to a minimum already known in the cell is not tried
_CHUNK = 32  # starts in one call of the kernel; the result does not depend on it
_NEIGHBOURS = ((0, 1), (0, -1), (1, 0), (-1, 0))


@dataclass(eq=False)
class Landscape:
    """The minima of each cell of a grid.

    Attributes
    ----------
    n_features, n_hidden : int
    importance, density : ndarray
        The axes; only the extra (last) feature has another importance than 1.
    activation : str
    cells : dict of (int, int) → list of Settled
        The minima known in cell (density index, importance index), lowest first once the search is over.
    evaluations : int
        How often loss, gradient and Hessian were computed together.
    """

    n_features: int
    n_hidden: int
    importance: np.ndarray
    density: np.ndarray
    activation: str = "relu"
    cells: dict = field(default_factory=dict)
    evaluations: int = 0
    _keys: dict = field(default_factory=dict)
    _frontier: list = field(default_factory=list)
    _coarse: list = field(default_factory=list)

    @property
    def classes(self):
        """The features that can be exchanged: all but the extra one."""
        return (tuple(range(self.n_features - 1)), (self.n_features - 1,))

    def control(self, cells):
        """Importance and density of every feature at the cells, two arrays of shape (n_cells, n_features)."""
        rows, columns = np.array(cells).T
        importance = np.ones((len(cells), self.n_features))
        importance[:, -1] = self.importance[columns]
        return importance, np.repeat(self.density[rows][:, None], self.n_features, axis=1)

    def explore(self, *, n_starts=24, seed=0, n_threads=2, progress=None, checkpoint=None):
        """Search until no cell learns of a new minimum.

        Parameters
        ----------
        n_starts : int
            Random starts at each coarse point.
        seed : int
        n_threads : int
            The result does not depend on it.
        progress : callable, optional
            Called with the number of cells that newly have a minimum.
        checkpoint : path, optional
            An .npz file that receives the state every half minute and when the search is interrupted, and from which a
            search over the same grid goes on.
        """
        from time import monotonic

        if checkpoint is not None and Path(checkpoint).exists():
            self._restore(checkpoint)
        elif not self.cells:
            self._coarse = self._coarse_cells()
        if progress:
            progress(len(self.cells))
        saved = monotonic()
        with ThreadPoolExecutor(n_threads) as pool:
            try:
                while self._coarse or self._frontier:
                    before = len(self.cells)
                    if self._coarse:
                        self._multistart(self._coarse[:8], n_starts, seed, pool)
                        self._coarse = self._coarse[8:]
                    else:
                        self._wave(pool)
                    if progress:
                        progress(len(self.cells) - before)
                    if checkpoint is not None and monotonic() - saved > 30:
                        self._save(checkpoint)
                        saved = monotonic()
            except KeyboardInterrupt:
                if checkpoint is not None:
                    self._save(checkpoint)
                raise
        for cell in np.ndindex(self.density.size, self.importance.size):
            if not self.cells.get(cell):
                self._keep_lowest(cell)
        for cell, points in self.cells.items():
            order = sorted(range(len(points)), key=lambda k: points[k].scaled_loss)
            self.cells[cell] = [points[k] for k in order]
            self._keys[cell] = [self._keys[cell][k] for k in order]
        if checkpoint is not None:
            self._save(checkpoint)
        return self

    def _coarse_cells(self):
        rows, columns = (
            np.unique(np.linspace(0, size - 1, max(2, -(-size // COARSE_SPACING) + 1)).round().astype(int))
            for size in (self.density.size, self.importance.size)
        )
        return [(int(i), int(j)) for i in rows for j in columns]

    def _model(self, cell):
        i, j = cell
        return cell_model(self.n_features, self.n_hidden, self.importance[j], self.density[i], self.activation)

    def _multistart(self, cells, n_starts, seed, pool):
        tasks = []
        for i, j in cells:
            model = self._model((i, j))
            generator = np.random.default_rng([seed, i, j])
            tasks += [((i, j), x) for x in starting_points(model, n_starts, generator)]
        self._learn(tasks, pool, radius=0.5)

    def _wave(self, pool):
        """Carry every minimum of the frontier to the neighbours that do not know it."""
        tasks, proposed = [], {}
        for (i, j), k in self._frontier:
            key, x = self._keys[i, j][k], self.cells[i, j][k].x
            for down, right in _NEIGHBOURS:
                cell = (i + down, j + right)
                if not (0 <= cell[0] < self.density.size and 0 <= cell[1] < self.importance.size):
                    continue
                known = self._keys.get(cell, []) + proposed.setdefault(cell, [])
                if known and np.min(np.max(np.abs(np.array(known) - key), axis=1)) < _KNOWN:
                    continue
                proposed[cell].append(key)
                tasks.append((cell, x))
        self._frontier = []
        self._learn(tasks, pool, radius=0.25)

    def _learn(self, tasks, pool, radius):
        """Descend from each (cell, x) and add what is new to the cell and to the frontier."""
        chunks = [tasks[k : k + _CHUNK] for k in range(0, len(tasks), _CHUNK)]

        def solve(chunk):
            importance, density = self.control([cell for cell, _ in chunk])
            relu = self.activation == "relu"
            return settle(np.array([x for _, x in chunk]), self.n_hidden, importance, density, relu=relu, radius=radius)

        for chunk, settled in zip(chunks, pool.map(solve, chunks), strict=True):
            keys = invariants(np.array([point.x for point in settled]), self.n_hidden, self.classes)
            for (cell, _), point, key in zip(chunk, settled, keys, strict=True):
                self.evaluations += point.n_evaluations
                if point.is_minimum:
                    self._add(cell, point, key)

    def _keep_lowest(self, cell):
        """Give a cell in which no descent has converged the lowest point that the configurations lead to; it says so."""
        starts = starting_points(self._model(cell), 1, np.random.default_rng([0, *cell]))
        controls = self.control([cell] * len(starts))
        settled = settle(starts, self.n_hidden, *controls, relu=self.activation == "relu")
        self.evaluations += sum(point.n_evaluations for point in settled)
        lowest = min(settled, key=lambda point: point.scaled_loss if np.isfinite(point.scaled_loss) else np.inf)
        self.cells[cell] = [lowest]
        self._keys[cell] = [invariants(lowest.x, self.n_hidden, self.classes)]

    def _add(self, cell, point, key):
        points, keys = self.cells.setdefault(cell, []), self._keys.setdefault(cell, [])
        flat = self.activation == "linear"
        if any(same_minimum(point, key, *other, flat=flat) for other in zip(points, keys, strict=True)):
            return
        points.append(point)
        keys.append(key)
        self._frontier.append((cell, len(points) - 1))

    def _save(self, path):
        cells = list(self.cells)
        flat = [point for cell in cells for point in self.cells[cell]]
        frontier = [(*cell, k) for cell, k in self._frontier]
        temporary = Path(path).with_suffix(".partial.npz")
        np.savez(
            temporary,
            grid=np.concatenate([[self.n_features, self.n_hidden, self.activation == "relu"], self.importance, self.density]),
            cells=np.array(cells).reshape(-1, 2),
            counts=np.array([len(self.cells[cell]) for cell in cells], dtype=int),
            x=np.array([point.x for point in flat]),
            numbers=np.array([point.numbers for point in flat]),
            feature_loss=np.array([point.feature_loss for point in flat]),
            frontier=np.array(frontier, dtype=int).reshape(-1, 3),
            coarse=np.array(self._coarse, dtype=int).reshape(-1, 2),
            evaluations=self.evaluations,
        )
        temporary.replace(path)

    def _restore(self, path):
        with np.load(path, allow_pickle=False) as file:
            grid = np.concatenate([[self.n_features, self.n_hidden, self.activation == "relu"], self.importance, self.density])
            if "grid" not in file or not np.array_equal(file["grid"], grid):
                raise ValueError(f"checkpoint must come from a search over the same grid, got {str(path)!r}")
            numbers = zip(file["x"], file["numbers"].tolist(), file["feature_loss"], strict=True)
            points = [Settled(x, *four, int(count), bool(dead), losses) for x, (*four, count, dead), losses in numbers]
            ends = np.cumsum(file["counts"])
            for cell, start, end in zip(file["cells"].tolist(), ends - file["counts"], ends, strict=True):
                self.cells[tuple(cell)] = points[start:end]
                self._keys[tuple(cell)] = list(
                    invariants(np.array([p.x for p in points[start:end]]), self.n_hidden, self.classes)
                )
            self._frontier = [((i, j), k) for i, j, k in file["frontier"].tolist()]
            self._coarse = [tuple(cell) for cell in file["coarse"].tolist()]
            self.evaluations = int(file["evaluations"])
