"""Minima carried from point to point: the solver behind the boundaries of the relaxed and global theories."""

from itertools import product

import numpy as np

from . import _newton
from ._continuation import Box, inward_difference, point
from .boundaries import beside, nodes
from .candidates import configurations
from .phases import phase_name
from .stationary_points import invariants, settle
from .theories import TIE_MARK, TIE_TOLERANCE

LOWER = 1e-10
"""A rival must have a loss lower by this relative amount."""

WINDOW = 2
"""Minima stored in this many rows and columns of cells on each side may be lowest at a point."""

FAR_OUT = 30.0
"""Nothing is solved where the logarithm of importance or density is larger than this in size."""


class State:
    """A minimum at some u: flat parameters, which of them are free, and what was solved."""

    def __init__(self, x, free, phase, loss=np.nan, extra_loss=np.nan, key=None, stable=True):
        self.x, self.free, self.phase = x, free, phase
        self.loss, self.extra_loss, self.key, self.stable = loss, extra_loss, key, stable


class Solver:
    """Solves for minima of one diagram's model anywhere in the plane."""

    def __init__(self, diagram):
        self.diagram = diagram
        self.n, self.m = diagram.n_features, diagram.n_hidden
        self.relu = diagram.activation == "relu"
        self.classes = (tuple(range(self.n - 1)), (self.n - 1,))
        self.store = _newton.store(self.m, self.n)
        self.box = Box(diagram.importance, diagram.density)
        self.all_free = np.ones((self.m + 1) * self.n, dtype=bool)
        self.u = nodes(diagram.importance, diagram.density)
        self.keys = invariants(diagram.minima, self.m, self.classes)
        self.patterns = None  # the relaxed theory stores one minimum for each configuration in every cell
        if diagram.theory == "relaxed":
            table = configurations(self.n, self.m, activation=diagram.activation)
            self.patterns = [self._pattern(c) for c in table]

    def control(self, u):
        importance, density = point(u)
        return np.array([*[1.0] * (self.n - 1), importance]), np.full(self.n, density)

    def solve(self, state, u):
        """The minimum that ``state`` becomes at u; unstable when u is far out."""
        if not np.all(np.abs(u) < FAR_OUT):
            return State(state.x, state.free, state.phase, key=state.key, stable=False)
        importance, density = self.control(u)
        settled = settle(state.x[None], self.m, importance[None], density[None], relu=self.relu, free=state.free, radius=0.25)[0]
        return State(
            settled.x,
            state.free,
            phase_name(settled.x[: self.m * self.n].reshape(self.m, self.n)),
            float(importance @ settled.feature_loss),
            settled.feature_loss[-1],
            invariants(settled.x, self.m, self.classes),
            settled.is_minimum,
        )

    def stationary(self, state, u, free):
        """The stationary point that ``state`` becomes at u even where it is a saddle, and its lowest curvature there."""
        x, direction = state.x.copy(), np.empty_like(state.x)
        if not np.all(np.abs(u) < FAR_OUT):
            return x, np.nan
        importance, density = self.control(u)
        _newton.approach(x, self.m, importance, density, self.relu, free, self.store)
        curvature = _newton.lowest_curvature(x, self.m, importance, density, self.relu, free, self.store, direction)
        return x, curvature

    def loss_at(self, x, u):
        """The loss of fixed parameters."""
        importance, density = self.control(u)
        scaled = _newton.evaluate(x, self.m, importance, density, self.relu, 0, self.store)
        return scaled * float(importance @ density) / 3

    def loss_slope(self, state, u):
        """Gradient of the minimum's loss in u: by the envelope theorem the parameters stay as they are."""
        return inward_difference(lambda v: self.loss_at(state.x, v), u, 1e-5)

    def lowest(self, cell):
        """A point in a cell and the minimum with the lowest loss there: at the node, or beside it where several tie."""
        diagram = self.diagram
        if self._ties(cell):
            u = beside(self.u[cell], self.box, diagram)
            found = [state for state in (self.solve(start, u) for start in self.contenders(u)) if state.stable]
            return u, min(found, key=lambda state: state.loss)
        x = np.concatenate([diagram.weights[cell].ravel(), diagram.bias[cell]])
        free = self.all_free
        if diagram.theory == "relaxed":
            free = self.patterns[int(np.argmin(diagram.candidate_loss[(slice(None), *cell)]))]
        return self.u[cell], self.solve(State(x, free, ""), self.u[cell])

    def _ties(self, cell):
        """Whether several minima have the lowest loss in a cell: by name, or within one phase."""
        if TIE_MARK in self.diagram.phase[cell]:
            return True
        flat = np.ravel_multi_index(cell, self.u.shape[:2])
        first, last = np.searchsorted(self.diagram.minima_cell, [flat, flat + 1])
        losses = [self.loss_at(x, self.u[cell]) for x in self.diagram.minima[first:last]]
        return np.sum(np.array(losses) <= self.diagram.loss[cell] * (1 + TIE_TOLERANCE)) > 1

    def contenders(self, u):
        """Starts for all minima that may be lowest near u."""
        windows = []
        for axis, x in ((self.diagram.density, u[1]), (self.diagram.importance, u[0])):
            above = int(np.searchsorted(np.log(axis), x))
            windows.append(range(max(above - WINDOW, 0), min(above + WINDOW, axis.size)))
        starts, keys = [], np.empty((0, self.keys.shape[1]))
        for i, j in sorted(product(*windows), key=lambda cell: np.sum((self.u[cell] - u) ** 2)):
            flat = i * self.u.shape[1] + j
            for k in range(*np.searchsorted(self.diagram.minima_cell, [flat, flat + 1])):
                if not len(keys) or np.min(np.max(np.abs(keys - self.keys[k]), axis=1)) > 0.1:
                    keys = np.vstack([keys, self.keys[k]])
                    starts.append(State(self.diagram.minima[k], self._free(k), "", key=self.keys[k]))
        return starts

    def _free(self, k):
        """Which parameters of the k-th stored minimum may move: all, or those of its pattern."""
        return self.all_free if self.patterns is None else self.patterns[k % len(self.patterns)]

    def rival(self, u, states):
        """The lowest minimum at u when it is lower than all ``states`` and none of them."""
        best, bound = None, min(state.loss for state in states) * (1 - LOWER)
        for start in self.contenders(u):
            if start.key is not None and any(far(start, state) < 0.05 for state in states):
                continue
            found = self.solve(start, u)
            if found.stable and found.loss < bound and all(far(found, s) > 0.02 for s in states):
                best, bound = found, found.loss
        return best

    def _pattern(self, configuration):
        """The parameters that the relaxed theory frees: the block of each cluster, and the biases."""
        free, row = np.zeros((self.m, self.n), dtype=bool), 0
        for group in sorted(configuration.groups):
            rows = max(len(group) - 1, 1)
            free[row : row + rows, list(group)] = True
            row += rows
        return np.concatenate([free.ravel(), np.ones(self.n, dtype=bool)])


def far(one, other):
    return float(np.max(np.abs(one.key - other.key)))


def links(solver, state):
    """How many norms and products are not 0: the fewer, the more symmetric."""
    weights = state.x[: solver.m * solver.n].reshape(solver.m, solver.n)
    return int(np.sum(np.abs(weights.T @ weights) > 1e-12))
