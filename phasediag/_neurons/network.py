"""The curves of a diagram of neurons: crossings of the grid's lines joined, followed from open ends, and joined again."""

from itertools import combinations

import numpy as np

from .curves import Follower, apart, curve_of, tangent
from .transitions import Segment


class Network:
    """The curves of a diagram: (key, rows), of phases and order, and of (u, losses, jump, pair, line); followed from open ends.

    minima: a list of parameters (size,) for each cell of the grid, row by row.
    """

    def __init__(self, plane, minima, curves):
        self.plane, self.minima, self.curves = plane, minima, curves
        self.u = plane.x.coordinate(plane.x.values), plane.y.coordinate(plane.y.values)
        self.corners = np.array([[one[0] for one in self.u], [one[-1] for one in self.u]])
        self.ends = [["closed", "closed"] if self._closed(rows) else ["edge", "edge"] for _, rows in curves]
        self.followed = {}  # rows beyond each end (curve, side)
        self.beyond = set()  # ends (curve, side) whose row lies beyond where the order changes: its jump was not told from none

    @staticmethod
    def _closed(rows):
        """Whether the last of rows is the first."""
        return len(rows) > 1 and rows[0] is rows[-1]

    def _on_border(self, row):
        """Whether a row lies on the border of the window, on a line of the grid that is part of it."""
        return bool(np.any(np.all(row[4] == self.corners[:, None], axis=1)))

    def open_ends(self):
        """The ends (curve, side) of curves that do not lie on the border; of a single point on it the second does not."""
        found = []
        for k, (_, rows) in enumerate(self.curves):
            if self._closed(rows) or not np.all(self.corners[1] > self.corners[0]):
                continue
            found += [(k, side) for side in (0, -1) if not self._on_border(rows[side]) or (len(rows) == 1 and side)]
        return found

    def cell_at(self, u):
        """The cell of the grid around coordinates u (2,): the numbers of its lower lines, and its size (2,)."""
        at = [int(np.clip(np.searchsorted(line, x) - 1, 0, len(line) - 2)) for line, x in zip(self.u, u, strict=True)]
        return at, np.array([line[k + 1] - line[k] for line, k in zip(self.u, at, strict=True)])

    def lowest(self, u, more):
        """The lowest of what minima of the cell around u (2,) and more points lead to: x (size,), loss, and if it is finite."""
        (column, row), _ = self.cell_at(u)
        starts = [x for i in (row, row + 1) for j in (column, column + 1) for x in self.minima[i * len(self.u[0]) + j]]
        landscape = Segment(self.plane, u, u).landscape(0.0)
        found = landscape.lowest(np.array([*starts, *more]))
        best = landscape.unbounded if found is None else min(found, landscape.unbounded, key=lambda one: one.scaled_loss)
        return best.x, best.scaled_loss * landscape.scale, best is not landscape.unbounded

    def follow(self, end):
        """Follow an open end (curve, side) to where the curve ends."""
        k, side = end
        (phases, order), rows = self.curves[k]
        u, _, _, pair, line = rows[side]
        _, cell = self.cell_at(u)
        curve, along = curve_of(self.plane, cell, u, pair, order), (line[1] - line[0]) / cell
        found = tangent(curve, u, along / np.linalg.norm(along))
        if found is None:
            self.ends[k][side] = "unresolved"
            return
        place, way = found
        if len(rows) > 1:
            outward = (u - rows[1 if side == 0 else -2][0]) / cell
        else:  # from a border inwards, otherwise to both sides
            middle = (self.corners.mean(axis=0) - u) / cell
            outward = middle if self._on_border(rows[0]) else way * (1 if side == 0 else -1)
        way = way if way @ outward >= 0 else -way
        goals = [(j, other) for j, other in self.open_ends() if j != k and self.curves[j][0] == (phases, order)]
        places, kind, last = Follower(self.plane, self.corners, self.lowest).follow(
            curve, place, way, np.array([self.curves[j][1][other][0] for j, other in goals]).reshape(-1, 2)
        )
        self.ends[k][side] = goals[kind] if isinstance(kind, int) else kind
        if len(rows) > 1 and place.turn < 0:
            self.beyond.add(end)
        self.followed[end] = [
            (one.u, one.losses, 0.0 if order == "continuous" else apart(self.plane, one), one.pair, one.line)
            for one in (*places, *(() if last is None or last is place else (last,)))
        ]

    def joined(self):
        """Curves joined that have been followed to each other: a list of (key, rows, ends)."""
        found, seen = [], set()
        for k in range(len(self.curves)):
            at = k, 0
            while isinstance(self.ends[at[0]][at[1]], tuple) and self.ends[at[0]][at[1]][0] not in seen | {k}:
                other, side = self.ends[at[0]][at[1]]
                at = other, -1 - side
            rows, ends = [], []
            while at is not None and at[0] not in seen:  # from one end of what is joined to the other
                (one, side), other = at, (at[0], -1 - at[1])
                seen.add(one)
                own = self.curves[one][1][(one, 0) in self.beyond : len(self.curves[one][1]) - ((one, -1) in self.beyond)]
                own = own[:: 1 if side == 0 else -1]
                ends = ends or [self.ends[one][side]]
                rows += [*self.followed.get(at, ())[::-1], *own, *self.followed.get(other, ())]
                last = self.ends[one][other[1]]
                at = last if isinstance(last, tuple) else None
            if rows:
                rows = [row for row, after in zip(rows, [*rows[1:], None], strict=True) if after is None or not _one(row, after)]
                ends = tuple("closed" if isinstance(end, tuple) else end for end in (*ends, last))
                found.append((self.curves[k][0], rows, ends))
        return found


def _one(row, other):
    """Whether two rows are one place."""
    return np.abs(row[0] - other[0]).max() < 1e-9


def chains(edges, places):
    """Join crossings of edges ((cell, cell), …) at places (n, 2) to curves: lists of numbers, from end to end.

    Two crossings of the edges of one square of the grid are neighbours, the closest first.
    """
    squares = {}
    for k, (a, b) in enumerate(edges):
        across = (1, 0) if a[0] == b[0] else (0, 1)
        for corner in (a, (a[0] - across[0], a[1] - across[1])):
            squares.setdefault(corner, []).append(k)
    beside = [[] for _ in edges]
    for members in squares.values():
        pairs = sorted((np.linalg.norm(places[k] - places[l]), k, l) for k, l in combinations(members, 2))
        joined = set()
        for _, k, l in pairs:
            if not {k, l} & joined:
                joined |= {k, l}
                beside[k].append(l)
                beside[l].append(k)
    curves, seen = [], set()
    for start in sorted(range(len(edges)), key=lambda k: len(beside[k])):  # ends first; what is left is closed
        chain, at = [], start
        while at is not None and at not in seen:
            seen.add(at)
            chain.append(at)
            at = next((k for k in beside[at] if k not in seen), None)
        if chain:
            curves.append(chain + chain[:1] * (len(chain) > 2 and chain[-1] in beside[start]))
    return sorted(curves, key=min)
