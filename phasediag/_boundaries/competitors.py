"""The minima that may be lowest at a point: those of the places of a lattice around it, carried to it.

At each place of the lattice that is asked for there are the minima of the diagram's cells near it and of places known before,
carried to it, and those of a search of its own, so that what is found does not depend on the diagram's grid; minima met between
them are noted. By the envelope theorem the slope of a minimum's loss is known where it has been solved: one whose loss, continued
along it, stays above that of the lowest minimum by more than it can bend is not solved again.
"""

from itertools import product

import numpy as np

from .equilibria import far
from .tolerances import APART, BEND, FAR_ABOVE, LATTICE, MOVED, NEAR, SAME, STARTS

_CELLS = 2
"""Minima of so many rows and columns of cells on each side of a place are carried to it."""


class Competitors:
    """The minima of the lattice's places, and those noted between them."""

    def __init__(self, solver, diagram):
        self.solver, self.diagram, self._places, self._around, self._noted = solver, diagram, {}, {}, []
        box = solver.box
        self._steps = np.maximum(np.ceil((box.high - box.low) / LATTICE - 1e-9), box.wide).astype(int)
        self._spacing = (box.high - box.low) / np.maximum(self._steps, 1)
        u = solver.points(diagram.x[0], diagram.y)[:, 1], solver.points(diagram.x, diagram.y[0])[:, 0]
        self._rows, self._columns = u
        self._stored = {}

    def note(self, state):
        """Let a minimum met between the places compete near by."""
        near = (track.origin for track in self._noted if _distance(track.origin.u, state.u) < LATTICE / 8)
        if not any(one.shape == state.shape and far(one, state) < NEAR / 4 for one in near):
            self._noted.append(_Track(state))
            self._around.clear()

    def lowest(self, u, bound=np.inf, known=()):
        """The lowest of the minima with losses below ``bound`` at u, or None. ``known``: equilibria at u, not to be met again."""
        waiting, best, met = list(self._near(u)), None, list(known)
        while True:
            below = np.log(max(bound, np.finfo(float).tiny))  # losses may be 0
            batch = sorted((track for track in waiting if track.least(u) < below), key=lambda track: track.continued(u))
            if not batch:
                return best and self.solver.exact(best)
            batch = batch if np.isfinite(bound) else batch[:1]  # the loss of the first may spare the others
            for track, new in zip(batch, self.solver.stationary_points([track.start(u) for track in batch], u), strict=True):
                waiting.remove(track)
                found = self._arrived(track, new, bound, met)
                if found is not None and found.loss < bound and found.stable:
                    best, bound = found, found.loss

    def _arrived(self, track, new, bound, met):
        """The minimum that a competitor has become, ``new`` by Newton's method; None where it is known or too high."""
        before, u = track.origin, new.u
        moved = far(new, track.start(u)) if new.converged else np.inf
        if moved > NEAR + _distance(track.start(u).u, u) or new.shape != before.shape:
            new = self._fallen_from(track, u)
            if not new.converged:
                return None
        else:
            track.last = new
            if track.stable and new.loss > bound:
                return None
        if new.loss > FAR_ABOVE * bound or any(far(new, other) < SAME for other in met):
            return None
        met.append(new)
        track.stable = new.stable
        if new.stable:
            return new
        return self.solver.fallen(new) if new.held else self.solver.descend(before, u)

    def _fallen_from(self, track, u):
        """Where a descent from a minimum leads that does not exist at u: what one near by has led to, carried on."""
        if track.fell is not None and _distance(track.fell.u, u) < _distance(track.origin.u, u) / 2:
            new = self.solver.stationary(track.fell, u)
            if new.converged and new.shape == track.fell.shape and far(new, track.fell) < APART:
                return new
        track.fell = self.solver.descend(track.origin, u)
        return track.fell

    def _near(self, u):
        """The tracks of all minima that may be lowest near u: of the corners of the lattice's mesh around it, and noted ones."""
        at = (np.asarray(u) - self.solver.box.low) / np.where(self._spacing > 0, self._spacing, 1.0)
        corners = [
            sorted({int(np.clip(f(x), 0, top)) for f in (np.floor, np.ceil)}) for x, top in zip(at, self._steps, strict=True)
        ]
        mesh = tuple(map(tuple, corners))
        if mesh not in self._around:
            places = sorted(product(*corners), key=lambda place: float(np.sum((np.array(place) - at) ** 2)))
            tracks = [track for place in places for track in self._at(place)]
            middle = self.solver.box.low + self._spacing * np.mean([np.array(place) for place in places], axis=0)
            noted = [track for track in self._noted if _distance(track.origin.u, middle) < LATTICE]
            self._around[mesh] = [*noted, *_unlike(tracks)]
        return self._around[mesh]

    def _at(self, place):
        """Tracks of the minima at a place (column, row) of the lattice."""
        if place not in self._places:
            u = self.solver.box.low + self._spacing * np.array(place)
            known = [
                track
                for step in product((-1, 0, 1), repeat=2)
                for track in self._places.get((place[0] + step[0], place[1] + step[1]), ())
            ]
            carried = _unlike([*self._in_cells(u), *known])
            found = [self.solver.fallen(new) for new in self.solver.stationary_points([track.origin for track in carried], u)]
            starts = [
                track.origin
                for track, new in zip(carried, found, strict=True)
                if not (new.converged and far(new, track.origin) < 2 * MOVED)
            ]
            found += [self.solver.descend(state, u) for state in starts]
            tracks = []
            for state in [*map(self.solver.exact, found), *self.solver.search(u, STARTS)]:
                if state.stable and not any(far(state, track.origin) < SAME * 100 for track in tracks):
                    tracks.append(_Track(state))
            self._places[place] = tracks
        return self._places[place]

    def neighbours(self):
        """Yield the lowest minima of neighbouring places inside the window that have been asked for; ties are left out."""
        inner = {place for place in self._places if all(0 < k < top for k, top in zip(place, self._steps, strict=True))}
        for place in sorted(inner):
            for other in ((place[0] + 1, place[1]), (place[0], place[1] + 1)):
                if other in inner:
                    pair = [self._lowest_at(one) for one in (place, other)]
                    if all(pair):
                        yield pair

    def _lowest_at(self, place):
        """The lowest minimum at a place, None where several tie."""
        states = sorted((track.origin for track in self._places[place]), key=lambda state: state.loss)
        tie = len(states) > 1 and states[1].loss < states[0].loss * (1 + SAME)
        return None if tie or not states else states[0]

    def _in_cells(self, u):
        """Tracks of the minima stored in the diagram's cells around u."""
        windows = []
        for values, x in zip((self._rows, self._columns), u[::-1], strict=True):
            above = int(np.searchsorted(values, x - 1e-12))
            windows.append(range(max(above - _CELLS, 0), min(above + _CELLS, values.size)))
        cells = sorted(product(*windows), key=lambda cell: abs(self._rows[cell[0]] - u[1]) + abs(self._columns[cell[1]] - u[0]))
        for i, j in cells:
            flat = i * self._columns.size + j
            if flat not in self._stored:
                first, last = np.searchsorted(self.diagram.minima_cell, [flat, flat + 1])
                at = np.array([self._columns[j], self._rows[i]])
                self._stored[flat] = [_Track(self.stored(k, at)) for k in range(first, last)]
            yield from self._stored[flat]

    def stored(self, k, u):
        """The k-th minimum stored in the diagram, in its cell at u."""
        solver = self.solver
        frame = solver.all_free if solver.patterns is None else solver.patterns[k % len(solver.patterns)]
        return solver.recognized(self.diagram.minima[k], frame, u)


def _unlike(tracks):
    """Of minima alike at different places those of the first; those of one place differ, so that each is like one at most."""
    places = {}
    for track in tracks:
        places.setdefault(track.origin.u.tobytes(), []).append(track)
    kept = []
    for members in places.values():
        taken, left = set(), set(range(len(members)))
        for k, l in _alike(members, kept):
            if k in left and l not in taken:
                taken.add(l)
                left.discard(k)
        kept += [members[k] for k in sorted(left)]
    return kept


def _alike(members, kept):
    """Pairs (k, l) of the k-th and the l-th of two lists of tracks whose minima may be one that moved, the nearest first."""
    shapes, found = {}, []
    for l, track in enumerate(kept):
        shapes.setdefault(str(track.origin.shape), []).append(l)
    keys = {shape: np.array([kept[l].origin.keys for l in some]) for shape, some in shapes.items()}
    for k, track in enumerate(members):
        shape = str(track.origin.shape)
        if shape in shapes:
            apart = np.abs(track.origin.key - keys[shape]).max(axis=-1).min(axis=-1)
            found += [(float(apart[at]), k, shapes[shape][at]) for at in np.flatnonzero(apart < APART)]
    return [pair[1:] for pair in sorted(found)]


class _Track:
    """A minimum where it is stored, and where it was solved last: the nearer one is where it is solved from.

    stable: whether it was a minimum there. fell: what a descent from it led to where it does not exist.
    """

    def __init__(self, origin):
        self.origin = self.last = origin
        self.fell, self.stable = None, True

    def start(self, u):
        """The nearer one of where it is stored and where it was solved last."""
        return self.last if _distance(self.last.u, u) < _distance(self.origin.u, u) else self.origin

    def continued(self, u):
        """Logarithm of its loss, continued to u along its slope."""
        start = self.start(u)
        value, slope = start.tangent
        return value + slope @ (u - start.u)

    def least(self, u):
        """The logarithm of its loss is not lower than this at u; nor is, for what may be a saddle, what it is sought for."""
        value = self.continued(u) - bend(self.start(u), u)
        return value if self.stable else value - np.log(FAR_ABOVE)


def bend(state, u):
    """How far the logarithm of a minimum's loss may fall below its tangent between where it is and u.

    Its second derivative in the logarithms of importances and densities is bounded from below by about that of the variance
    p E v² (1 − r), which a feature that is not represented costs, r = p (E v)² / E v²: by −r/(1 − r)², −12 for uniform values at
    p = 1, and by −1 elsewhere; along other axes by its slope squared or so. The whole is taken instead of the half, and a
    little for its divergence where a minimum ceases.
    """
    share = min(max(state.constant_share, state.family.constant_share(u)), 1 - 1e-9)
    length = float(np.linalg.norm(u - state.u))
    change = float(state.tangent[1] @ np.where(state.family.log, 0.0, u - state.u))
    return (1 + share / (1 - share) ** 2) * length**2 + change**2 + BEND * length


def _distance(one, other):
    """The larger of the distances along the two axes."""
    return float(np.max(np.abs(one - other)))
