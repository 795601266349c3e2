"""The meshes of a diagram's grid, in which boundaries are sought."""

import numpy as np

from .._minimizing.flat import flatten
from .._minimizing.stationary_points import SAME_POINT, invariants
from ..theories import TIE_MARK, TIE_TOLERANCE
from .grid import beside, nodes, spacing
from .states import far

JUMP = 0.15
"""Lowest minima of neighbouring cells whose invariants differ by less are taken for one that moved, if their phase agrees."""

FINE = 0.1
"""Minima are compared at points no farther apart (in the logarithms of importance and density) than about this."""


class Meshes:
    """The meshes of the diagram's grid, in which curves are sought between points whose lowest minima differ.

    Curves are followed from between neighbouring cells. Where the grid's steps are long, points between them are looked at as
    well, in the meshes whose corners differ in more than the curves known by then tell: so that what is found does not
    depend on the grid.
    """

    def __init__(self, network, diagram):
        self.network, self.solver, self.diagram, self.lowest = network, network.solver, diagram, {}
        self.u = nodes(diagram.importance, diagram.density)
        self.shape = self.u.shape[:2]
        x = flatten(diagram.weights, diagram.bias)
        self.keys = invariants(x, self.solver.m, self.solver.classes)

    def search(self):
        """Follow the curves."""
        meshes = [self._corners(i, j) for i, j in np.ndindex(max(self.shape[0] - 1, 1), max(self.shape[1] - 1, 1))]
        meshes = [corners for corners in meshes if any(self._changes(corners[0], corner) for corner in corners[1:])]
        for finely in (False, True):
            for corners in meshes:
                sides = [(corners[k], corners[l]) for k, l in ((0, 1), (0, 2), (1, 3), (2, 3)) if corners[k] != corners[l]]
                if not finely:
                    self._compare(sides)
                elif not all(self.network.tells(a, b) for a, b in self._pairs(sides)):
                    self._compare(self._inside(corners))

    def _corners(self, i, j):
        """The four corners (row, column) of a mesh, of which some are one in a diagram of one row or column."""
        far_end = min(i + 1, self.shape[0] - 1), min(j + 1, self.shape[1] - 1)
        return [(i, j), (i, far_end[1]), (far_end[0], j), far_end]

    def _changes(self, one, other):
        """Whether the lowest minima of two cells differ."""
        phase = self.diagram.phase
        return phase[one] != phase[other] or np.max(np.abs(self.keys[one] - self.keys[other])) >= JUMP

    def _compare(self, places):
        """Follow the curves between pairs of places."""
        for a, b in self._pairs(places):
            self.network.cross(a, b)

    def _pairs(self, places):
        """Yield the lowest minima at pairs of places where they differ."""
        for one, other in places:
            a, b = self._lowest_at(*one), self._lowest_at(*other)
            if a.phase != b.phase or far(a, b) >= JUMP:
                yield a, b

    def _inside(self, corners):
        """Neighbouring points of a mesh no farther apart than about ``FINE``: pairs of (row, column)."""
        (i, j), far_end = corners[0], corners[-1]
        down, right = np.ceil(np.abs(self.u[far_end] - self.u[i, j])[::-1] / FINE).astype(int)
        rows = np.linspace(i, far_end[0], max(down, 1) + 1) if self.shape[0] > 1 else [0]
        columns = np.linspace(j, far_end[1], max(right, 1) + 1) if self.shape[1] > 1 else [0]
        for r, c in np.ndindex(len(rows), len(columns)):
            for row, column in ((r + 1, c), (r, c + 1)):
                if row < len(rows) and column < len(columns):
                    yield (rows[r], columns[c]), (rows[row], columns[column])

    def _lowest_at(self, row, column):
        """The lowest minimum at a cell, or at a point between cells given by fractions of their indices."""
        row, column = float(row), float(column)
        if (row, column) not in self.lowest:
            if row.is_integer() and column.is_integer():
                found = self._lowest_in((int(row), int(column)))
            else:
                found = self.solver.contenders.lowest(self._between(row, column))
                self.solver.contenders.note(found)
            self.lowest[row, column] = found
        return self.lowest[row, column]

    def _lowest_in(self, cell):
        """The minimum with the lowest loss in a cell: at the node, or beside it where several tie."""
        solver, diagram = self.solver, self.diagram
        if self._ties(cell):
            return solver.contenders.lowest(beside(self.u[cell], solver.box, spacing(solver.box, diagram)))
        x = flatten(diagram.weights[cell], diagram.bias[cell])
        frame = solver.all_free
        if solver.patterns is not None:
            frame = solver.patterns[int(np.argmin(diagram.candidate_loss[(slice(None), *cell)]))]
        return solver.recognized(x, frame, self.u[cell])

    def _ties(self, cell):
        """Whether several minima have the lowest loss in a cell: by name, or within one phase."""
        if TIE_MARK in self.diagram.phase[cell]:
            return True
        flat = np.ravel_multi_index(cell, self.shape)
        first, last = np.searchsorted(self.diagram.minima_cell, [flat, flat + 1])
        minima = self.diagram.minima[first:last]
        losses = np.array([self.solver.losses(x, self.u[cell])[0] for x in minima])
        keys = invariants(minima[losses <= self.diagram.loss[cell] * (1 + TIE_TOLERANCE)], self.solver.m, self.solver.classes)
        return len(keys) > 0 and np.max(np.ptp(keys, axis=0)) > SAME_POINT

    def _between(self, row, column):
        """The point at fractions of the cells' indices, a little aside: curves may pass through any of a grid's points."""
        diagram, box = self.diagram, self.solver.box
        axes = [np.log(axis) for axis in (diagram.importance, diagram.density)]
        u = np.array([np.interp(at, np.arange(axis.size), axis) for at, axis in zip((column, row), axes, strict=True)])
        return beside(u, box, FINE)
