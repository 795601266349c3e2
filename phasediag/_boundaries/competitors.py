"""The minima that may be lowest at a point, a pure function of it: those of the lattice's places around it, carried to it.

At each place of the lattice that is asked for there are the minima of the diagram's cells around it, carried to it, and those of
a search of its own, so that what is found does not depend on the diagram's grid. Between the corners of a mesh they are continued
from each to the others. By implicit differentiation a minimum and, by the envelope theorem, its loss are known to second order
where it is solved: one that cannot be lowest is not solved again.
"""

from copy import copy
from itertools import product

import numpy as np

from .equilibria import far
from .tolerances import BENT, FARTHEST, LATTICE, LEAST_BENT, MOVED, NEAR, ROUNDING, SAME, STARTS


class Competitors:
    """The minima of the lattice's places, and those noted between them.

    history: what has been asked for and noted, in that order: places with their minima, and None with each minimum noted.
    """

    def __init__(self, solver, diagram):
        self.solver, self.diagram, self._places, self._meshes, self._stored = solver, diagram, {}, {}, {}
        self._asked, self._noted, self.history = set(), [], []
        box = solver.box
        self._steps = np.maximum(np.ceil((box.high - box.low) / LATTICE - ROUNDING), box.wide).astype(int)
        self._spacing = (box.high - box.low) / np.maximum(self._steps, 1)
        self._rows = solver.points(diagram.x[0], diagram.y)[:, 1]
        self._columns = solver.points(diagram.x, diagram.y[0])[:, 0]

    def after(self, history):
        """Those that have noted what was noted before; what is known of places they have in common."""
        other = copy(self)
        other._asked, other._noted, other.history = set(), [], []
        other.learn(history)
        return other

    def learn(self, history):
        """Take over what others have found."""
        for place, found in history:
            if place is not None:
                self._places.setdefault(place, found)
                self._ask(place)
            elif not self._has_noted(found):
                self._keep(found)

    def _ask(self, place):
        """Remember that a place has been asked for."""
        if place not in self._asked:
            self._asked.add(place)
            self.history.append((place, self._places[place]))

    def _keep(self, state):
        """Remember a minimum between the places."""
        self._noted.append(state)
        self.history.append((None, state))

    def _has_noted(self, state):
        """Whether it has been noted near by."""
        near = (one for one in self._noted if _distance(one.u, state.u) < LATTICE / 8)
        return any(one.shape == state.shape and far(one, state) < NEAR / 4 for one in near)

    def note(self, state):
        """Let a minimum met between the places compete near by."""
        if self._has_noted(state):
            return
        starts = [nearest(track, state.u).ahead(state.u, FARTHEST) for track in self._tracks(self._mesh(state.u))]
        if _unlike([state], self.solver.stationary_points(starts, state.u)):
            self._keep(state)

    def lowest(self, u, bound=np.inf, known=()):
        """The lowest of the minima with losses below ``bound`` at u, or None. ``known``: equilibria at u, not to be met again."""
        u, met, best = np.asarray(u), list(known), None
        noted = [[state] for state in self._noted if _distance(state.u, u) < LATTICE]
        waiting = [(*expected(track, u), nearest(track, u)) for track in [*noted, *self._tracks(self._mesh(u))]]
        waiting.sort(key=lambda one: one[0])
        while True:
            below = np.log(max(bound, np.finfo(float).tiny))  # losses may be 0
            waiting = [one for one in waiting if one[1] < below]
            if not waiting:
                return best and self.solver.exact(best)
            batch = waiting if np.isfinite(bound) else waiting[:1]  # the loss of the first may spare the others
            starts, waiting = [state.ahead(u, FARTHEST) for _, _, state in batch], waiting[len(batch) :]
            for start, new in zip(starts, self.solver.stationary_points(starts, u), strict=True):
                found = self._arrived(start, new, bound, met)
                if found is not None and found.loss < bound and found.stable:
                    best, bound = found, found.loss

    def _arrived(self, start, new, bound, met):
        """The minimum that a competitor has become, ``new`` by Newton's method; None where it is known or too high."""
        if not new.converged or far(new, start) > 2 * MOVED:  # Newton's method leads elsewhere
            return self.solver.descend(start, new.u)
        if new.loss * (1 - LEAST_BENT) >= bound or any(far(new, other) < SAME for other in met):  # a saddle next to it may fall
            return None
        met.append(new)
        if new.stable:
            return new
        return self.solver.fallen(new) if new.held else self.solver.descend(start, new.u)

    def _mesh(self, u):
        """The places (column, row) at the corners of the lattice's mesh around u, a tuple."""
        at = (u - self.solver.box.low) / np.where(self._spacing > 0, self._spacing, 1.0)
        low = np.clip(np.floor(at), 0, np.maximum(self._steps - 1, 0)).astype(int).tolist()
        return (*product(*((k, k + 1) if top else (k,) for k, top in zip(low, self._steps, strict=True))),)

    def _tracks(self, corners):
        """All minima of the places at some corners, each a list of what it is at those to which it is continued."""
        if corners not in self._meshes:
            tracks = []
            for corner in corners:
                met = [one[corner] for one in tracks if corner in one]
                new = [{corner: state} for state in _unlike(self._at(corner), met)]
                for other in (other for other in corners if other != corner):
                    u = self._place(other)
                    starts = [nearest([*one.values()], u).ahead(u, FARTHEST) for one in new]
                    for one, start, found in zip(new, starts, self.solver.stationary_points(starts, u), strict=True):
                        if found.converged and far(found, start) < NEAR and found.shape == start.shape:
                            one[other] = found
                tracks += new
            self._meshes[corners] = [[*one.values()] for one in tracks]
        for corner in corners:
            self._ask(corner)
        return self._meshes[corners]

    def _place(self, place):
        """Where a place (column, row) of the lattice is."""
        return self.solver.box.low + self._spacing * np.array(place)

    def _at(self, place):
        """The minima at a place (column, row) of the lattice."""
        if place not in self._places:
            u = self._place(place)
            carried = list(self._in_cells(u))
            found = [self.solver.fallen(new) for new in self.solver.stationary_points(carried, u)]
            lost = [old for old, new in zip(carried, found, strict=True) if not (new.converged and far(new, old) < 2 * MOVED)]
            found += [self.solver.descend(state, u) for state in lost]
            found = [self.solver.exact(state) for state in _unlike([*found, *self.solver.search(u, STARTS)])]
            self._places[place] = [state for state in _unlike(found) if state.stable]
        return self._places[place]

    def neighbours(self):
        """Yield the lowest minima of neighbouring places inside the window that have been asked for; ties are left out."""
        inner = {place for place in self._asked if all(0 < k < top for k, top in zip(place, self._steps, strict=True))}
        for place in sorted(inner):
            for other in ((place[0] + 1, place[1]), (place[0], place[1] + 1)):
                if other in inner:
                    pair = [self._lowest_at(one) for one in (place, other)]
                    if all(pair):
                        yield pair

    def _lowest_at(self, place):
        """The lowest minimum at a place, None where several tie."""
        states = sorted(self._places[place], key=lambda state: state.loss)
        tie = len(states) > 1 and states[1].loss < states[0].loss * (1 + SAME)
        return None if tie or not states else states[0]

    def _in_cells(self, u):
        """The minima stored in the diagram's cells around u."""
        windows = []
        for values, x in zip((self._rows, self._columns), u[::-1], strict=True):
            above = int(np.searchsorted(values, x - ROUNDING))
            windows.append(range(max(above - 1, 0), min(above + 1, values.size)))
        for i, j in product(*windows):
            flat = i * self._columns.size + j
            if flat not in self._stored:
                first, last = np.searchsorted(self.diagram.minima_cell, [flat, flat + 1])
                at = np.array([self._columns[j], self._rows[i]])
                self._stored[flat] = [self.stored(k, at) for k in range(first, last)]
            yield from self._stored[flat]

    def stored(self, k, u):
        """The k-th minimum stored in the diagram, in its cell at u."""
        solver = self.solver
        frame = solver.all_free if solver.patterns is None else solver.patterns[k % len(solver.patterns)]
        return solver.recognized(self.diagram.minima[k], frame, u)


def _unlike(states, known=()):
    """Of equilibria at one point those that are none of the ``known`` ones there, each once."""
    keys, kept = [state.keys for state in known], []
    for state in states:
        if state.converged and not (keys and np.abs(state.key - np.array(keys)).max(axis=-1).min() < SAME * 100):
            keys.append(state.keys)
            kept.append(state)
    return kept


def nearest(states, u):
    """That of some equilibria which is nearest to u."""
    return min(states, key=lambda state: _distance(state.u, u))


def expected(track, u):
    """The logarithm of the loss at u of a minimum known at other points, by the nearest; and the least it may be, by any of them.

    To second order in the distance; it may differ from that by a part of this order.
    """
    values = []
    for state in track:
        way, (value, slope) = u - state.u, state.tangent
        values.append((_distance(state.u, u), value + slope @ way, way @ state.bending @ way / 2))
    _, value, bent = min(values)
    return value + bent, min(value + bent - BENT * abs(bent) for _, value, bent in values) - LEAST_BENT


def _distance(one, other):
    """The larger of the distances along the two axes."""
    return float(np.max(np.abs(one - other)))
