"""All minima of neurons over a grid of control parameters: starts at coarse points, branches carried to their neighbours."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from .._arguments import stream
from .search import Landscape

COARSE = 6
"""Every so many cells along each axis there are all starts; in the others a sixteenth, which are lowest ends of many guesses."""
MORE = 4
"""In a cell where nothing has led to a minimum, so many times the starts."""


class Grid:
    """The minima in each cell of a grid; controls (n_rows, n_columns, n_controls)."""

    def __init__(self, form, controls):
        self.shape = controls.shape[:2]
        self.landscapes = {cell: Landscape(form, controls[cell]) for cell in np.ndindex(self.shape)}
        self.minima = {cell: [] for cell in self.landscapes}

    def explore(self, n_starts, seed, n_threads, progress):
        """Find the minima; returns the grid. ``progress`` is called with numbers of cells."""

        def begin(cell):
            """New minima of a cell from random starts."""
            coarse = all(i % COARSE == min(COARSE // 2, size - 1) or size == 1 for i, size in zip(cell, self.shape, strict=True))
            landscape = self.landscapes[cell]
            starts = landscape.starts(stream(seed, *cell), n_starts if coarse else min(n_starts, max(4, n_starts // 16)))
            return cell, landscape.settle(starts, polish=False)

        def carry(task):
            """The minima of a cell, with those that neighbours' (points) lead to."""
            cell, points = task
            return cell, self.landscapes[cell].settle(np.array(points), self.minima[cell], polish=False)

        with ThreadPoolExecutor(n_threads) as pool:
            new = {}
            for cell, found in pool.map(begin, self.landscapes):
                self.minima[cell] = found
                if found:
                    new[cell] = found
                progress(1)
            while new:
                tasks = {}
                for (i, j), found in new.items():
                    for cell in ((i - 1, j), (i + 1, j), (i, j - 1), (i, j + 1)):
                        if cell in self.landscapes:
                            tasks.setdefault(cell, []).extend(point.x for point in found)
                new = {}
                for cell, found in pool.map(carry, sorted(tasks.items())):
                    if len(found) > len(self.minima[cell]):
                        new[cell] = found[len(self.minima[cell]) :]
                        self.minima[cell] = found
        for cell, found in self.minima.items():
            if not found:
                landscape = self.landscapes[cell]
                found += landscape.settle(landscape.starts(stream(seed, *cell, 1), MORE * n_starts), polish=False)
            found.sort(key=lambda point: point.scaled_loss)
            # where weights grow without end stands the lowest such end, which is no minimum
            grown = self.landscapes[cell].unbounded
            if not found or grown.scaled_loss < found[0].scaled_loss:
                found.insert(0, grown)
        return self
