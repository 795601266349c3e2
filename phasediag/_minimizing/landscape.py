"""The local minima over a grid of control parameters: many starts, then every branch followed cell by cell.

Coarse points have many starts. A wave carries each newly found minimum to the neighbouring cells as a warm start; what it becomes
there is a new minimum of that cell, one already known, or none (the branch has ended at its spinodal and the descent leads to
another minimum, which is then carried on in turn). Every other cell has a few starts, for pockets that no coarse point lies in,
and what they find is carried on as well. The search ends when no cell learns anything new.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from time import monotonic

import numpy as np

from .._arguments import stream
from .._files import check_writable
from ..forms import Form
from ..model import model_of
from ..phases import distinct_rows
from .cell_descents import carry, descend_cells, extend_lists
from .flat import flatten, parts
from .search import named_first, orders_of_extra, settle_model, tied_points
from .search_state import Rooms, SearchState
from .slopes import ways_down
from .starts import random_starts, starting_points, starting_points_of
from .stationary_points import CURVATURE_TOLERANCE, GRADIENT_TOLERANCE, MOST_FALLS, SAME_LOSS, dead_outputs, invariants

COARSE_SPACING = 8
"""There are many starts at every so many cells of each axis (and at its ends)."""
FEWER = 24
"""Other cells have fewer random starts by this factor."""

_FEW_AT_ONCE = 512  # starts in cells that are not coarse and share a stream of random numbers
_PARTS_AT_ONCE = 16  # parts of starts between two looks at the clock, if a stream or a coarse cell has no more
SAVED_EVERY = 30.0
"""Seconds between two saves of a search that has a checkpoint."""

_APART = 64  # importances between two at which the lowest minima rule others out
_LOSSES_AT_ONCE = 2**20  # of minima in cells that differ in importances alone

VALLEY = 1e6
"""What the marks of valleys are counted from: invariants are smaller."""
_PART = 16384  # starts × 4^n_features in one call of the kernel, or the starts of one cell; the result does not depend on it


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
    _state: SearchState

    @classmethod
    def of(cls, plane):
        """The landscape over a ControlPlane, not searched yet."""
        return cls(plane.form, plane.grid, plane.classes, SearchState.empty(plane.form))

    @property
    def cells(self):
        """The minima by cell, a dict."""
        return self._state.cells_of(self.shape)

    @property
    def evaluations(self):
        """How often a kernel computed the loss so far."""
        return self._state.evaluations

    @property
    def shape(self):
        """Numbers of rows and columns."""
        return self.controls.shape[:2]

    @cached_property
    def rows(self):
        """The control vectors of all cells, row by row, shape (n_cells, n_controls)."""
        return self.controls.reshape(-1, self.form.n_controls)

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
            self._state = SearchState.load(checkpoint, *identity)
        self._begin()
        reached = self._reached()
        if progress:
            progress(reached)
        saved = monotonic()
        with ThreadPoolExecutor(n_threads) as pool:
            try:
                while (step := self._next(n_starts, seed)) is not None:
                    self._state = self._after(*step, pool)
                    before, reached = reached, self._reached()
                    if progress:
                        progress(reached - before)
                    if checkpoint is not None and monotonic() - saved > SAVED_EVERY:
                        self._state.save(checkpoint, *identity)
                        saved = monotonic()
                for cell in sorted(set(range(len(self.rows))) - set(self._state.where.tolist())):
                    self._state = self._state.after(self._rooms, **self._lowest(cell))
                self._state = self._state.sorted()
                self._begin()
            finally:
                if checkpoint is not None:
                    self._state.save(checkpoint, *identity)
        return self

    def _begin(self):
        """What is kept beside the state from step to step: arrays with room, lists of cells and marks of minima, none so far."""
        self._rooms, self._marked = Rooms(), self._state.keys[:0]
        self._listed = np.full(len(self.rows), -1), np.empty(0, np.int64)

    def _reached(self):
        """In how many cells a minimum is known."""
        return np.count_nonzero(np.bincount(self._state.where))

    def model(self, cell):
        """The ToyModel of a cell (row, column)."""
        return model_of(self.form, self.controls[cell])

    def found(self):
        """The minima of all cells, in order, in place of one of a valley the configurations that tie in it.

        Equal features are exchanged so that, of the names of its phase, a minimum has the first: a stable one.

        Returns
        -------
        where : ndarray of int, shape (n_minima,)
        x : ndarray, shape (n_minima, size)
        feature_loss : ndarray, shape (n_minima, n_features)
        is_minimum : ndarray of bool, shape (n_minima,)
            False where no descent in a cell has converged.
        """
        state = self._state
        flat = np.flatnonzero(state.numbers[:, 5])
        valley, x, norms, feature_loss = tied_points(self.form, self.rows[state.where[flat]], state.numbers[flat, 0])
        tied, numbers = flat[valley], state.numbers[flat[valley]]
        numbers[:, 1] = norms
        kept = np.flatnonzero(np.bincount(tied, minlength=len(state.where)) == 0)
        order = np.argsort(np.concatenate([kept, tied]), kind="stable")
        where, x, feature_loss, numbers = (
            np.concatenate([getattr(state, name)[kept], more])[order]
            for name, more in (("where", state.where[tied]), ("x", x), ("feature_loss", feature_loss), ("numbers", numbers))
        )
        is_minimum = (numbers[:, 1] <= GRADIENT_TOLERANCE) & (numbers[:, 2] >= -CURVATURE_TOLERANCE) & (numbers[:, 4] == 0.0)
        if len(orders_of_extra(self.classes, self.form.n_features)) > 1:
            weights, bias = parts(x, self.form.n_hidden)
            order = named_first(weights, self.classes)
            weights, bias = np.take_along_axis(weights, order[:, None], axis=2), np.take_along_axis(bias, order, axis=1)
            x, feature_loss = flatten(weights, bias), np.take_along_axis(feature_loss, order, axis=1)
        return where, x, feature_loss, is_minimum

    def _coarse_cells(self):
        """The cells that have many starts, a tuple of (row, column)."""
        rows, columns = (
            np.unique(np.linspace(0, size - 1, max(2, -(-size // COARSE_SPACING) + 1)).round().astype(int)) for size in self.shape
        )
        return tuple((int(i), int(j)) for i in rows for j in columns)

    @cached_property
    def _order(self):
        """The numbers of all cells in the order of their multistarts, the coarse ones first, and how many these are."""
        coarse = [i * self.shape[1] + j for i, j in self._coarse_cells()]
        return np.array([*coarse, *sorted(set(range(len(self.rows))) - set(coarse))]), len(coarse)

    def _next(self, n_starts, seed):
        """What `_after` takes for the next step, None when all is done.

        The coarse cells' starts, what comes of them, the other cells' starts, what comes of them, what the envelope shows missed.
        """
        state, (order, n_coarse) = self._state, self._order
        if state.started < n_coarse:
            return self._many_starts(order[state.started : n_coarse], n_starts, seed)
        if n_coarse < state.started < len(order) or (state.frontier == len(state.where) and state.started < len(order)):
            few = -(-n_starts // FEWER)
            return self._few_starts(order[state.started :], few, seed)
        if state.frontier < len(state.where):
            return self._wave()
        return self._missed() if state.checked < len(state.where) else None

    def _many_starts(self, waiting, n_starts, seed):
        """Starts in the next of the coarse cells (numbers) that wait for them."""
        now = waiting[: _PARTS_AT_ONCE * max(self._part // n_starts, 1)]
        generators = [stream(seed, *divmod(cell, self.shape[1])) for cell in now.tolist()]
        starts = [one for one, _ in starting_points_of(self.form, self.rows[now], n_starts, generators)]
        changes = {"started": self._state.started + len(now)}
        return now, np.cumsum([0, *map(len, starts)]), np.concatenate(starts), 0.5, changes

    @property
    def _part(self):
        """How many starts are worth a call of the kernel."""
        return max(_PART // 4**self.form.n_features, 1)

    def _few_starts(self, waiting, few, seed):
        """``few`` starts in each of the next cells (numbers) that wait for them."""
        size, n_streams = max(_FEW_AT_ONCE // few, 1), max(_PARTS_AT_ONCE * self._part // _FEW_AT_ONCE, 1)
        now, starts = waiting[: n_streams * size], []
        for k in range(0, len(now), size):
            mean = np.repeat(self.form.mean(self.rows[now[k : k + size]]), few, axis=0)
            generator = stream(seed, *divmod(int(now[k]), self.shape[1]))
            starts.append(random_starts(self.form.n_hidden, mean, generator))
        return now, np.arange(len(now) + 1) * few, np.concatenate(starts), 0.5, {"started": self._state.started + len(now)}

    def _wave(self):
        """Every minimum of the frontier as a start in the neighbours that do not know it."""
        state = self._state
        cells, sources = carry(
            state.frontier, self.shape, state.where, self._marks(), state.numbers[:, 0].copy(), *self._lists(state)
        )
        order = np.argsort(cells, kind="stable")
        first = np.flatnonzero(np.diff(cells[order], prepend=-1))
        return cells[order[first]], np.append(first, len(order)), state.x[sources[order]], 0.25, {"frontier": len(state.where)}

    def _missed(self):
        """Starts in cells that lie above the envelope of those that differ in importances alone: the lowest minimum of these."""
        state, cells, sources = self._state, [], []
        _, group = distinct_rows(self.rows[:, self.form.n_features :])
        weights, count = parts(state.x, self.form.n_hidden)[0], group.max() + 1
        penalty = np.broadcast_to(self.form.penalty(self.rows[state.where], weights), len(state.x))
        terms = np.column_stack([state.feature_loss, penalty])
        factors = np.column_stack([self.form.importance(self.rows), np.ones(len(self.rows))])
        own = np.full(len(group), np.inf)
        np.minimum.at(own, state.where, np.sum(factors[state.where] * terms, axis=1))
        for here, found in zip(_places(group, count), _places(group[state.where], count), strict=True):
            found = found[_rivals(terms[found], factors[here])]
            at_once = max(_LOSSES_AT_ONCE // max(len(found), 1), 1)
            for some in (here[k : k + at_once] for k in range(0, len(here), at_once)):
                losses = factors[some] @ terms[found].T
                above = np.flatnonzero(losses.min(axis=1, initial=np.inf) < own[some] * (1 - SAME_LOSS))
                cells += some[above].tolist()
                sources += found[losses[above].argmin(axis=1)].tolist() if above.size else []
        order = np.argsort(cells, kind="stable").astype(int)
        starts = state.x[np.array(sources, int)[order]]
        return np.array(cells, int)[order], np.arange(len(cells) + 1), starts, 0.25, {"checked": len(state.where)}

    def _lists(self, state):
        """Lists of the minima in each cell: see `listed`."""
        heads, links = self._listed
        new = np.empty(len(state.where) - len(links), np.int64)
        links = self._rooms.grown("links", links, new)
        extend_lists(state.where, len(links) - len(new), heads, links)
        self._listed = heads, links
        return heads, links

    def _marks(self):
        """What tells minima of neighbouring cells apart, shape (n_minima, n_invariants): their invariants.

        Those of the points of a valley differ; all have the features' own losses in common, which come in their place, relative
        to E x_i², and far from any invariants.
        """
        state, marks, n = self._state, self._marked, self.form.n_features
        new = slice(len(marks), None)
        more = state.keys[new].copy()
        inside = np.flatnonzero(state.numbers[new, 5])
        own = state.feature_loss[new][inside] / self.form.mean_square(self.rows[state.where[new][inside]])
        for members in (list(members) for members in self.classes if np.ndim(members) == 1):
            own[:, members] = np.sort(own[:, members], axis=1)
        more[inside] = VALLEY
        more[inside, :n] += own
        self._marked = self._rooms.grown("marks", marks, more)
        return self._marked

    def _after(self, cells, first, starts, radius, changes, pool):
        """The state after descents from starts (n_starts, size) in cells (numbers), of each from ``first`` on.

        Those that have ended on a kink that the loss falls from go on beside it.
        """
        state = self._state
        for _ in range(1 + MOST_FALLS):
            state, cells, first, starts = self._descended(state, cells, first, starts, radius, changes, pool)
            if not len(cells):
                break
        return state

    def _descended(self, state, cells, first, starts, radius, changes, pool):
        """The state after descents, and where they have to go on: cells, ``first`` and starts."""
        controls = self.rows[cells]
        heads, links = self._lists(state)
        known, heads = (links, state.numbers, state.keys), heads[cells]
        bounds = np.append(np.flatnonzero(np.diff(first[:-1] // self._part, prepend=-1)), len(cells))

        def part(start, stop):
            """Descents in cells ``start`` to ``stop`` − 1 of those."""
            own = slice(first[start], first[stop])
            of_cells = controls[start:stop], heads[start:stop], first[start : stop + 1] - first[start]
            return descend_cells(known, self.form, self.classes, *of_cells, starts[own], radius=radius)

        parts_ = list(pool.map(part, bounds[:-1], bounds[1:]))
        if not parts_:
            return replace(state, **changes), cells, first, starts
        numbers, feature_loss, keys, new = map(np.concatenate, zip(*parts_, strict=True))
        where = np.repeat(cells, np.diff(first))
        new = np.flatnonzero(new)
        new = new[~dead_outputs(starts[new], self.form, self.rows[where[new]])]
        fallen, lower = ways_down(starts[new], self.form, self.rows[where[new]])
        new, left = np.delete(new, fallen), where[new[fallen]]
        found = (one[new] for one in (where, starts, numbers, feature_loss, keys))
        begins = np.flatnonzero(np.diff(left, prepend=-1))
        goes_on = left[begins], np.append(begins, len(left)), lower
        return state.after(self._rooms, *found, numbers[:, 3].sum(), **changes), *goes_on

    def _lowest(self, cell):
        """Of a cell (number) in which no descent has converged, the lowest point that the configurations lead to, for `after`."""
        place = divmod(cell, self.shape[1])
        starts, _ = starting_points(self.model(place), 1, stream(0, *place))
        settled = settle_model(self.model(place), starts)
        lowest = min(settled, key=lambda point: point.scaled_loss if np.isfinite(point.scaled_loss) else np.inf)
        found = {"x": lowest.x, "numbers": np.array(lowest.numbers), "feature_loss": lowest.feature_loss}
        found["keys"] = invariants(lowest.x, self.form.n_hidden, self.classes)
        return {name: row[None] for name, row in found.items()} | {"where": [cell], "evaluations": lowest.n_evaluations}


def _places(group, count):
    """Where each of ``count`` groups' numbers stand in ``group`` (n,), in their order: a list of arrays."""
    return np.split(np.argsort(group, kind="stable"), np.cumsum(np.bincount(group, minlength=count))[:-1])


def _rivals(terms, factors):
    """Positions of those points, in order, that may be the lowest for some factors.

    Left out is what one of the points that are lowest for every so many of the factors (n, n_terms) is below in all terms
    (n_points, n_terms).
    """
    kept = np.ones(len(terms), dtype=bool)
    for one in np.unique(np.argmin(factors[::_APART] @ terms.T, axis=1)) if len(terms) else ():
        kept &= np.any(terms < terms[one] * (1 - SAME_LOSS), axis=1)
        kept[one] = True
    return np.flatnonzero(kept)
