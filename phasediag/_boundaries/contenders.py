"""The minima that may be lowest at a point: those stored near it, carried along from where they were solved last.

Stored are those of the diagram's cells, those met between the cells, and those of a lattice of points of its own, searched
when something near them is asked for: so that what is found does not depend on the diagram's grid.

By the envelope theorem the slope of a minimum's loss is known where it has been solved. A contender whose loss, continued
along it, stays above that of the lowest minimum by more than it can bend is not solved again.
"""

from itertools import product

import numpy as np

from .._minimizing.stationary_points import invariants
from .continuation import point
from .grid import nodes
from .states import MOVED, far

WINDOW = 2
"""Minima stored in this many rows and columns of cells on each side may be lowest at a point."""

NOTED = 0.2
"""So are minima met between the cells at points no farther away than this."""

LATTICE = 0.2
"""Spacing of the lattice, in the logarithms of importance and density."""

STARTS = 16
"""Random starts at each of its points, beside the configurations and perturbations of them."""

APART = 0.1
"""Minima stored at different places near a point whose invariants differ by less are taken for one, and the nearest is tried."""

AGAIN = 0.1
"""A minimum carried this far away from a point is solved from where it is stored, when that is nearer; where it does not exist, a
descent from it is not made twice at points nearer to each other."""

FAR_ABOVE = 1.1
"""A stationary point of a loss higher by this factor is no rival; nor, if it is a saddle, what lies below: that is another's."""

SAME = 1e-9
"""Stationary points whose invariants differ by less are one."""


class Contenders:
    """The minima stored in the cells of a diagram and those noted between them, with what they have become."""

    def __init__(self, solver, diagram):
        self.solver, self.diagram, self._noted, self._stored, self._searched = solver, diagram, {}, {}, set()
        self._count = 0
        self._u = nodes(diagram.importance, diagram.density)
        self._keys = invariants(diagram.minima, solver.m, solver.classes)
        self._logs = np.log(diagram.density), np.log(diagram.importance)
        self._place, self._tracks, self._cells = None, [], {}

    def stored(self, k):
        """The k-th minimum stored in the diagram, in its cell."""
        solver, diagram = self.solver, self.diagram
        frame = solver.all_free if solver.patterns is None else solver.patterns[k % len(solver.patterns)]
        return solver.recognized(diagram.minima[k], frame, self._u.reshape(-1, 2)[diagram.minima_cell[k]])

    def note(self, state):
        """Let a minimum met between the cells contend near by."""
        self._noted.setdefault(tuple(state.u.tolist()), []).append(_Track(state))
        self._count += 1

    def lowest(self, u, bound=np.inf, known=()):
        """The lowest of the minima with losses below ``bound`` at u, or None. ``known``: states at u, not to be met again."""
        waiting, best, met = list(self._near(u)), None, list(known)
        for track in waiting:
            track.renew(u)
        while True:
            batch = sorted((track for track in waiting if track.least(u) < np.log(bound)), key=lambda track: track.continued(u))
            if not batch:
                return best and self.solver.exact(best)
            batch = batch if np.isfinite(bound) else batch[:1]  # the loss of the first may spare the others
            for track, new in zip(batch, self.solver.stationary_points([track.state for track in batch], u), strict=True):
                waiting.remove(track)
                if new.converged and far(new, track.state) < MOVED:
                    found = self._arrived(track, new, u, bound, met)
                elif not track.began:
                    track.begin()
                    waiting.append(track)
                    continue
                elif track.left is not None and _distance(track.left, u) < AGAIN:
                    continue
                else:
                    found, track.left = self.solver.descend(track.state, u), u
                if found is not None and found.loss < bound and found.stable:
                    best, bound = found, found.loss

    def _arrived(self, track, new, u, bound, met):
        """The minimum that a contender has become, None where it is known or too high."""
        if any(far(new, other) < SAME for other in met):  # either it has ceased, or it is the same that is stored elsewhere
            track.begin()
            return None
        before = track.state
        met.append(new)
        track.move_to(new)
        if new.loss > FAR_ABOVE * bound:
            return None
        track.stable = new.stable
        if new.stable:
            return new
        return self.solver.fallen(new, u) if new.held else self.solver.descend(before, u)

    def _near(self, u):
        """The tracks of all minima that may be lowest near u."""
        self._search_around(u)
        windows = []
        for logs, x in zip(self._logs, u[::-1], strict=True):
            above = int(np.searchsorted(logs, x))
            windows.append((max(above - WINDOW, 0), min(above + WINDOW, logs.size)))
        place = (*windows, *np.round(u / NOTED * 4).astype(int).tolist(), self._count)
        if place != self._place:
            tracks, keys = self._in_cells(*windows)
            self._place, self._tracks = place, [*tracks, *self._between(u, keys)]
        return self._tracks

    def _search_around(self, u):
        """Note the minima of the points of the lattice around u that have not been searched."""
        below, above = (bound(np.minimum(u / LATTICE, (np.inf, 0.0))).astype(int).tolist() for bound in (np.floor, np.ceil))
        for at in product(*({low, high} for low, high in zip(below, above, strict=True))):
            if at not in self._searched:
                self._searched.add(at)
                for state in self.solver.search(LATTICE * np.array(at), STARTS):
                    self.note(state)

    def _in_cells(self, rows, columns):
        """Tracks of the minima stored in some cells, and their invariants: of those alike the one nearest to the middle."""
        if (rows, columns) in self._cells:
            return self._cells[rows, columns]
        tracks, keys = [], np.empty((0, self._keys.shape[1]))
        cells = list(product(range(*rows), range(*columns)))
        middle = np.mean([self._u[cell] for cell in cells], axis=0)
        for i, j in sorted(cells, key=lambda cell: np.sum((self._u[cell] - middle) ** 2)):
            flat = i * self._u.shape[1] + j
            place = np.arange(*np.searchsorted(self.diagram.minima_cell, [flat, flat + 1]))
            new = place[_unlike(self._keys[place], keys)]
            keys = np.concatenate([keys, self._keys[new]])
            for k in new:
                if k not in self._stored:
                    self._stored[k] = _Track(self.stored(k))
                tracks.append(self._stored[k])
        self._cells[rows, columns] = tracks, keys
        return tracks, keys

    def _between(self, u, keys):
        """Tracks of the minima noted near u that are unlike those with these invariants and those noted elsewhere."""
        if not self._noted:
            return []
        places, tracks = list(self._noted), []
        for k in np.flatnonzero(np.max(np.abs(np.array(places) - u), axis=1) < NOTED):
            members = self._noted[places[k]]
            own = np.array([track.origin.key for track in members])
            new = _unlike(own, keys)
            keys = np.concatenate([keys, own[new]])
            tracks += [members[k] for k in new]
        return tracks


def _unlike(own, keys):
    """Which of the minima of one place, with invariants ``own``, are not among those of other places with invariants ``keys``.

    They differ from each other, so that each of the others can be but one of them.
    """
    if not len(own) or not len(keys):
        return np.arange(len(own))
    apart = np.max(np.abs(own[:, None] - keys[None]), axis=2)
    left = set(range(len(own)))
    while np.min(apart) < APART:
        one, other = np.unravel_index(np.argmin(apart), apart.shape)
        apart[one], apart[:, other] = np.inf, np.inf
        left.discard(int(one))
    return np.array(sorted(left), dtype=int)


class _Track:
    """A stored minimum carried from point to point, as long as it is told apart.

    stable: whether it was found to be a minimum. left: where it does not exist and a descent from it was made.
    """

    def __init__(self, origin):
        self.origin, self.left = origin, None
        self.begin()

    def begin(self):
        """Go back to where it is stored."""
        self.move_to(self.origin)

    @property
    def began(self):
        """Whether it is where it is stored."""
        return self.state is self.origin

    def move_to(self, state):
        """Carry it to a state, not yet known to be a minimum."""
        self.state, self.stable = state, False

    def renew(self, u):
        """Begin anew where it has been carried farther away from u than it is stored."""
        if _distance(self.state.u, u) > max(AGAIN, _distance(self.origin.u, u)):
            self.begin()

    def continued(self, u):
        """Logarithm of its loss, continued to u along its slope."""
        value, slope = self.state.tangent
        return value + slope @ (np.minimum(u, (np.inf, 0.0)) - np.minimum(self.state.u, (np.inf, 0.0)))

    def least(self, u):
        """The logarithm of its loss is not lower than this at u; nor is, for what may be a saddle, what it is sought for."""
        value = self.continued(u) - _bend(self.state.u, u)
        return value if self.stable else value - np.log(FAR_ABOVE)


def _bend(one, other):
    """How far the logarithm of a minimum's loss may fall below its tangent between two points.

    Its second derivative in (log importance, log density) is bounded from below by about that of the variance σ², which a
    feature that is not represented costs, −(p/12)/(1/3 − p/4)² or −12 at p = 1, by −1 elsewhere; the whole is taken instead
    of the half, and a little for its divergence where a minimum ceases.
    """
    density = max(point(one)[1], point(other)[1])
    length = float(np.linalg.norm(other - one))
    return (1 + density / 12 / (1 / 3 - density / 4) ** 2) * length**2 + 0.05 * length


def _distance(one, other):
    """The larger of the distances along the two axes."""
    return float(np.max(np.abs(one - other)))
