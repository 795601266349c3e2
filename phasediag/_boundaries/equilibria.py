"""Minima carried from point to point: the solver behind the boundaries of the relaxed and global theories."""

import numpy as np

from .._minimizing import newton
from .._minimizing.starts import starting_points
from .._minimizing.stationary_points import GRADIENT_TOLERANCE, distinct, settle
from ..candidates import configurations
from ..model import cell_model
from .blocks import blocks, separated
from .continuation import Box, point
from .family import Family
from .frames import frames_around
from .states import MOVED, NO_LINK, State, far

SEED = 0
"""Of the random starts of a search: the same at every point."""

FAR_OUT = 30.0
"""Nothing is solved where the logarithm of importance or density is larger than this in size."""


class Solver(Family):
    """Solves for minima of one model and theory anywhere in the plane; never part of a result.

    diagram: PhaseDiagram or Curves, of which the model, the theory and the window are taken. contenders: the minima that may be
    lower than those asked for, of a solver that compares.
    """

    def __init__(self, diagram):
        super().__init__(diagram.n_features, diagram.n_hidden, diagram.activation)
        self.contenders = None
        self.box = Box(diagram.importance, diagram.density)
        self.all_free = np.ones((self.m + 1) * self.n, dtype=bool)
        self.patterns = None  # the relaxed theory stores one minimum for each configuration in every cell
        if diagram.theory == "relaxed":
            self.table = configurations(self.n, self.m, activation=diagram.activation)
            self.patterns = [self._pattern(c) for c in self.table]

    def solve(self, state, u):
        """The stationary point that a state becomes at u: by Newton's method, by descent where that leads elsewhere."""
        return self.settled(state, self.stationary(state, u), u)

    def settled(self, state, new, u):
        """``new``, the stationary point next to a state at u, unless it is another's; then where a descent leads."""
        if new.converged and far(new, state) < MOVED and (state.held or new.stable):
            return new
        return self.descend(state, u) if np.all(np.abs(u) < FAR_OUT) else new

    def fallen(self, new, u):
        """The minimum to which a stationary point falls that symmetry keeps, but unstable; any other stays."""
        if new.stable or not new.held or not new.converged:
            return new
        released = State(self, new.x + 1e-3 * new.softest[1], (new.softest_frame,), new.softest_frame, u)
        return self.descend(released, u)

    def stationary(self, state, u):
        """The stationary point next to a state at u, whatever its kind."""
        return self.stationary_points([state], u)[0]

    def stationary_points(self, states, u):
        """The stationary points next to some states at u, whatever their kinds, in the same order."""
        if not states or not np.all(np.abs(u) < FAR_OUT):
            return [State(self, state.x, state.frames, state.free, u, converged=False) for state in states]
        x, free = np.array([state.x for state in states]), np.array([state.free for state in states])
        numbers = newton.approach(x, self.form, self.control(u), free)
        scale, found = self.unscaled(1.0, u), []
        for state, row, (left, loss, extra_loss) in zip(states, x, numbers.tolist(), strict=True):
            new = State(self, row, state.frames, state.free, u, converged=left <= GRADIENT_TOLERANCE)  # not where it is NaN
            new.losses = loss * scale, extra_loss
            found.append(new)
        return found

    def descend(self, state, u, radius=0.25):
        """The minimum to which a descent from a state leads at u."""
        (settled,) = settle(state.x[None], self.form, self.control(u)[None], free=state.free, radius=radius)
        return State(self, settled.x, state.frames, state.free, u, converged=settled.gradient_norm <= GRADIENT_TOLERANCE)

    def search(self, u, n_starts):
        """The minima found at u from starts of their own, lowest first."""
        model = cell_model(self.n, self.m, *point(u), self.activation)
        starts, _ = starting_points(model, n_starts, np.random.default_rng(SEED))
        found, known = [], set()
        for frame in [self.all_free] if self.patterns is None else self.patterns:
            if frame.tobytes() not in known:
                known.add(frame.tobytes())
                settled = settle(starts * frame, self.form, np.repeat(self.control(u)[None], len(starts), axis=0), free=frame)
                found += [self.recognized(one.x, frame, u) for one in distinct(settled, self.m, self.classes)]
        return sorted(found, key=lambda state: state.loss)

    def exact(self, state):
        """The same stationary point with all zeros that symmetry keeps, if it has reached more of them than it was kept at."""
        found = self.recognized(state.x, state.frame, state.u, free=state.free)
        return state if np.array_equal(found.free, state.free) else found

    def recognized(self, x, frame, u, tolerance=NO_LINK, free=None):
        """The state of parameters x at u, with the zeros that its clusters imply made exact and kept.

        Clusters are orthogonal: each gets rows of its own. Features, rows and products of different clusters below
        ``tolerance`` count as zero. ``free``: the parameters that are not zero for certain, default the frame.
        """
        size, free = self.m * self.n, frame if free is None else free
        weights, free = x[:size].reshape(self.m, self.n).copy(), free[:size].reshape(self.m, self.n).copy()
        for rows, columns in blocks(free):
            block = weights[np.ix_(rows, columns)]
            turned, zeros = separated(block, tolerance)
            weights[np.ix_(rows, columns)] = turned
            free[np.ix_(rows, columns)] &= ~zeros
        free = np.append(free.ravel(), frame[size:])
        frames = (frame,) if self.patterns is None else self._frames(free)
        return State(self, np.append(weights.ravel(), x[size:]), frames, free, u)

    def known(self, x, free, u):
        """The state of parameters x at u, of which those ``free`` are: as a boundary keeps it."""
        return State(self, x, (self.all_free,) if self.patterns is None else self._frames(free), free, u)

    def _frames(self, free):
        """The relaxed theory's patterns around parameters of which those ``free`` are."""
        return frames_around(free[: self.m * self.n].reshape(self.m, self.n), self.table)

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
