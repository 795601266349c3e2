"""Minima carried from point to point: the solver behind the boundaries of the relaxed and global theories."""

from functools import cached_property
from itertools import product

import numpy as np

from . import _newton
from ._blocks import blocks, separated
from ._continuation import Box, inward_difference, point
from ._frames import frames_around
from .boundaries import beside, nodes
from .candidates import configurations
from .states import NO_LINK, State
from .stationary_points import GRADIENT_TOLERANCE, invariants, settle
from .theories import TIE_MARK, TIE_TOLERANCE

WINDOW = 2
"""Minima stored in this many rows and columns of cells on each side may be lowest at a point."""

NOTED = 0.2
"""So are minima met between the cells at points no farther away than this."""

FAR_OUT = 30.0
"""Nothing is solved where the logarithm of importance or density is larger than this in size."""

MOVED = 0.3
"""A minimum that has gone farther (in invariants) between neighbouring points is taken for another."""


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
        self.noted = []  # minima met between the cells
        self._contenders = {}
        self.keys = invariants(diagram.minima, self.m, self.classes)
        self.patterns = None  # the relaxed theory stores one minimum for each configuration in every cell
        if diagram.theory == "relaxed":
            self.table = configurations(self.n, self.m, activation=diagram.activation)
            self.patterns = [self._pattern(c) for c in self.table]

    def control(self, u):
        importance, density = point(u)
        return np.array([*[1.0] * (self.n - 1), importance]), np.full(self.n, density)

    def solve(self, state, u):
        """The stationary point that a state becomes at u: by Newton's method, by descent where that leads elsewhere."""
        if not np.all(np.abs(u) < FAR_OUT):
            return self._failed(state, u)
        new = self.stationary(state, u)
        if new.converged and np.max(np.abs(new.key - state.key)) < MOVED and (state.held or new.stable):
            return new
        return self.descend(state, u)

    def minimum(self, state, u):
        """The minimum that a state becomes at u; where symmetry keeps it stationary but unstable, it falls to a lower one."""
        new = self.solve(state, u)
        if new.stable or not new.held or not new.converged:
            return new
        released = State(self, new.x + 1e-3 * new.softest[1], (new.softest_frame,), new.softest_frame, u)
        fallen = self.descend(released, u)
        return self.recognized(fallen.x, new.frame, u) if fallen.converged else fallen

    def stationary(self, state, u):
        """The stationary point next to a state at u, whatever its kind."""
        if not np.all(np.abs(u) < FAR_OUT):
            return self._failed(state, u)
        x = state.x.copy()
        importance, density = self.control(u)
        left = _newton.approach(x, self.m, importance, density, self.relu, state.free, self.store)
        new = State(self, x, state.frames, state.free, u)
        new.converged = bool(left <= GRADIENT_TOLERANCE)  # not where it is NaN
        return new

    def descend(self, state, u, radius=0.25):
        """The minimum to which a descent from a state leads at u."""
        importance, density = self.control(u)
        settled = settle(state.x[None], self.m, importance[None], density[None], relu=self.relu, free=state.free, radius=radius)[
            0
        ]
        new = State(self, settled.x, state.frames, state.free, u)
        new.converged = settled.gradient_norm <= GRADIENT_TOLERANCE
        return new

    def _failed(self, state, u):
        new = State(self, state.x, state.frames, state.free, u)
        new.converged = False
        return new

    def loss_at(self, x, u):
        """The loss of fixed parameters."""
        importance, density = self.control(u)
        scaled = _newton.evaluate(x, self.m, importance, density, self.relu, 0, self.store)
        return scaled * float(importance @ density) / 3

    def loss_slope(self, state, u):
        """Gradient of the minimum's loss in u: by the envelope theorem the parameters stay as they are."""
        by_density = inward_difference(lambda v: self.loss_at(state.x, v), u, 1e-5, axes=(1,))[1]
        return np.array([point(u)[0] * state.extra_loss, by_density])

    def lowest(self, cell):
        """The minimum with the lowest loss in a cell: at the node, or beside it where several tie."""
        diagram = self.diagram
        if self._ties(cell):
            return self.lowest_near(beside(self.u[cell], self.box, diagram))
        x = np.concatenate([diagram.weights[cell].ravel(), diagram.bias[cell]])
        frame = self.all_free
        if diagram.theory == "relaxed":
            frame = self.patterns[int(np.argmin(diagram.candidate_loss[(slice(None), *cell)]))]
        return self.recognized(x, frame, self.u[cell])

    def lowest_near(self, u):
        """The lowest of the minima that those stored near u become there."""
        found = [state for state in (self.minimum(start, u) for start in self.contenders(u)) if state.stable]
        return min(found, key=lambda state: state.loss)

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
        place = (*windows, *np.round(u / NOTED * 4).astype(int).tolist(), len(self.noted))
        if place not in self._contenders:
            self._contenders = {place: self._contenders_near(u, windows)}  # those of the last place
        return self._contenders[place]

    def _contenders_near(self, u, windows):
        starts, keys = [], np.empty((0, self.keys.shape[1]))
        for i, j in sorted(product(*windows), key=lambda cell: np.sum((self.u[cell] - u) ** 2)):
            flat = i * self.u.shape[1] + j
            for k in range(*np.searchsorted(self.diagram.minima_cell, [flat, flat + 1])):
                if not len(keys) or np.min(np.max(np.abs(keys - self.keys[k]), axis=1)) > 0.1:
                    keys = np.vstack([keys, self.keys[k]])
                    starts.append(self._stored(k, self.u[i, j]))
        for state in self.noted:
            if max(abs(state.u[0] - u[0]), abs(state.u[1] - u[1])) < NOTED:
                if np.min(np.max(np.abs(keys - state.key), axis=1)) > 0.1:
                    keys = np.vstack([keys, state.key])
                    starts.append(state)
        return starts

    def _stored(self, k, u):
        """The k-th stored minimum, solved in the cell at u."""
        if k not in self._recognized:
            frame = self.all_free if self.patterns is None else self.patterns[k % len(self.patterns)]
            self._recognized[k] = self.recognized(self.diagram.minima[k], frame, u)
        return self._recognized[k]

    @cached_property
    def _recognized(self):
        return {}

    def recognized(self, x, frame, u, tolerance=NO_LINK):
        """The state of parameters x at u, with the zeros that its clusters imply made exact and kept.

        Clusters are orthogonal: each gets rows of its own. Features, rows and products of different clusters below
        ``tolerance`` count as zero.
        """
        size = self.m * self.n
        weights, free = x[:size].reshape(self.m, self.n).copy(), frame[:size].reshape(self.m, self.n).copy()
        for rows, columns in blocks(free):
            block = weights[np.ix_(rows, columns)]
            turned, zeros = separated(block, tolerance)
            weights[np.ix_(rows, columns)] = turned
            free[np.ix_(rows, columns)] &= ~zeros
        frames = (frame,) if self.patterns is None else frames_around(free, self.table)
        return State(self, np.append(weights.ravel(), x[size:]), frames, np.append(free.ravel(), frame[size:]), u)

    def symmetrized(self, state, u):
        """The more symmetric stationary point from which a state has hardly departed, or None."""
        weights = state.weights
        norms = np.linalg.norm(weights, axis=0)
        cosines = np.abs(weights.T @ weights) / np.maximum(np.outer(norms, norms), 1e-300)
        links = np.append(norms, cosines[np.triu_indices(self.n, 1)])
        for link in np.sort(links[(links > NO_LINK) & (links < 0.2)]):
            guess = self.recognized(state.x, state.frame, u, tolerance=1.5 * link)
            if np.sum(guess.free) < np.sum(state.free):
                found = self.stationary(guess, u)
                if found.converged and np.max(np.abs(found.key - state.key)) < MOVED:
                    return found
        return None

    def _pattern(self, configuration):
        """The parameters that the relaxed theory frees: the block of each cluster, and the biases."""
        free, row = np.zeros((self.m, self.n), dtype=bool), 0
        for group in sorted(configuration.groups):
            rows = max(len(group) - 1, 1)
            free[row : row + rows, list(group)] = True
            row += rows
        return np.concatenate([free.ravel(), np.ones(self.n, dtype=bool)])
