"""The curves of a diagram of neurons: crossings of the grid's lines joined, followed from open ends, and joined again."""

from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np

from .curves import MEETS, SHORTEST, STEP, Follower, across, apart, curve_of, names, tangent
from .exits import beyond_order_change, exits, lowest_at, numbers_of
from .transitions import Segment

TOGETHER = 1e-6
"""Ends of curves that are nearer than this, in coordinates, are one place; and crossings of an edge are one."""
BETWEEN = 20
"""Starts of the search for minima where phases change on an edge of the grid, and where curves meet."""


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
        self.met = {}  # parameters (list of (size,)) of what was lower beside an end (curve, side)
        self.beyond = set()  # ends (curve, side) whose row lies beyond where the order changes: its jump was not told from none

    @staticmethod
    def _closed(rows):
        """Whether the last of rows is the first."""
        return len(rows) > 1 and rows[0] is rows[-1]

    def _on_border(self, row):
        """Whether a row lies on the border of the window, on a line of the grid that is part of it."""
        return bool(np.any(np.all(row[4] == self.corners[:, None], axis=1)))

    def parted(self, each=map):
        """The curves, in pieces where between two rows no curve of theirs passes or something is lower there; ``each``: a map."""
        steps = [(k, i) for k, (_, rows) in enumerate(self.curves) for i in range(len(rows) - 1)]
        cut = {step for step, leads in zip(steps, each(lambda step: self._leads(*step), steps), strict=True) if not leads}
        found = []
        for k, (key, rows) in enumerate(self.curves):
            after = [i + 1 for i in range(len(rows) - 1) if (k, i) in cut]
            pieces = [rows[i:j] for i, j in pairwise([0, *after, len(rows)])]
            if after and self._closed(rows):
                pieces = [pieces[-1] + pieces[0][1:], *pieces[1:-1]]
            found += [(key, piece) for piece in pieces]
        return found

    def _leads(self, k, i):
        """Whether a curve leads from its row i to the next: it passes half way, and nothing is lower there."""
        (_, order), rows = self.curves[k]
        u, way = (rows[i][0] + rows[i + 1][0]) / 2, rows[i + 1][0] - rows[i][0]
        _, cell = self.cell_at(u)
        if np.abs(way / cell).max() < SHORTEST:
            return True
        follower = Follower(self.plane, self.corners, self.lowest)
        for row in rows[i : i + 2]:
            place = curve_of(self.plane, cell, row[0], row[3], order).on(u, across(way / cell))
            if place is not None and follower.below(place) is None:
                return True
        return False

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
        landscape = Segment(self.plane, u, u).landscape(0.0)
        found = landscape.lowest(np.array([*self._beside(u), *more]))
        best = landscape.unbounded if found is None else min(found, landscape.unbounded, key=lambda one: one.scaled_loss)
        return best.x, best.scaled_loss * landscape.scale, best is not landscape.unbounded

    def follow(self, end, goals=None):
        """Follow an open end (curve, side) to where the curve ends, or to one of goals, a list of open ends; None: to any."""
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
        goals = self.open_ends() if goals is None else goals
        goals = [(j, other) for j, other in goals if j != k and self.curves[j][0] == (phases, order)]
        follower = Follower(self.plane, self.corners, self.lowest)
        places, kind, last = follower.follow(
            curve, place, way, np.array([self.curves[j][1][other][0] for j, other in goals]).reshape(-1, 2)
        )
        self.met[end] = follower.met
        self.ends[k][side] = goals[kind] if isinstance(kind, int) else kind
        if len(rows) > 1 and place.turn < 0:
            self.beyond.add(end)
        self.followed[end] = [self._row(one, order) for one in (*places, *(() if last is None or last is place else (last,)))]

    def outermost(self, end):
        """The outermost row of an end (curve, side)."""
        return self.rows_to(end)[-1]

    def complete(self):
        """Begin the curves that leave the points in which others end and are not among these, and follow them, to the last."""
        done, k = [], 0
        while k < len(self.curves):
            for side in (0, -1):
                u, kind = self.outermost((k, side))[0], self.ends[k][side]
                if kind == "order changes":
                    self._go_on((k, side), u)
                elif kind == "triple point":
                    minima = next((some for v, some in done if _one((u,), (v,), TOGETHER)), None)
                    orders = ("first", "continuous") if minima is None else ("continuous",)
                    if minima is None:
                        minima = self._meeting(u)
                        done.append((u, minima))
                    for (
                        order
                    ) in orders:  # of those of first order, and of one that has come later, is known which weights leave 0
                        for exit in self._unknown(u, minima):
                            if exit.order == order:
                                self._begin(exit, u, kind)
            k += 1

    def _go_on(self, end, u):
        """Begin the curve of the other order where that of an end (curve, side) changes at u (2,), unless it is known."""
        _, cell = self.cell_at(u)
        orders = {self.curves[k][0][1] for k, _ in self._ends_at(u, "order changes")}
        if len(orders) == 1:
            found = beyond_order_change(self.plane, cell, u, self.outermost(end)[3], *orders, -self._inward(end, cell))
            if found is not None:
                self._begin(found, u, "order changes")

    def _meeting(self, u):
        """The minima (n, size) that meet in a triple point u (2,)."""
        _, cell = self.cell_at(u)
        known = [x for end in self._ends_at(u, "triple point") for x in (*self.outermost(end)[3], *self.met.get(end, ()))]
        starts = Segment(self.plane, u, u).landscape(0.0).starts(np.random.default_rng(0), BETWEEN)
        return lowest_at(self.plane, cell, u, [*self._beside(u), *known, *starts])

    def _ends_at(self, u, kind):
        """The ends (curve, side) of a kind at a point u (2,)."""
        ends = [(k, side) for k in range(len(self.curves)) for side in (0, -1) if self.ends[k][side] == kind]
        return [end for end in ends if _one(self.outermost(end), (u,), TOGETHER)]

    def _unknown(self, u, minima):
        """The Exits of a triple point u (2,) at which minima (n, size) meet that are none of the curves that end there."""
        _, cell = self.cell_at(u)
        ends = self._ends_at(u, "triple point")
        rows = [self.rows_to(end)[-2:] for end in ends]
        left = exits(self.plane, cell, u, minima, [x for some in rows for row in some for x in row[3]])
        for end, some in zip(ends, rows, strict=True):
            own, way = numbers_of(self.plane, cell, u, minima, some[-1][3]), self._inward(end, cell)
            own = self.curves[end[0]][0][1], own
            ahead = [exit.way @ way if (exit.order, exit.pair) == own else -1.0 for exit in left]
            if ahead and max(ahead) > 0:
                del left[int(np.argmax(ahead))]
        return left

    def _begin(self, exit, u, kind):
        """Follow an Exit of a point u (2,) of a kind, unless phases do not change there, or something is lower."""
        _, cell = self.cell_at(u)
        places = self._leaving(exit, cell, u)
        phases = sorted(names(self.plane, places[-1], exit.order)) if places else [""] * 2
        if phases[0] == phases[1]:
            return
        k = len(self.curves)
        self.curves.append(((tuple(phases), exit.order), [self._row(one, exit.order) for one in places]))
        self.ends.append([kind, "unresolved"])
        self.follow((k, -1), [end for end in self.open_ends() if end[0] != k and self.ends[end[0]][end[1]] == "unresolved"])
        end = self.ends[k][1]
        if isinstance(end, tuple):
            self.ends[end[0]][end[1]] = k, -1
        elif end == "unresolved" and not self.followed[k, -1]:  # what cannot be followed a step is no curve
            del self.curves[k], self.ends[k]

    def rows_to(self, end):
        """The rows of a curve to its end (curve, side)."""
        k, side = end
        return [*self.curves[k][1][:: 1 if side else -1], *self.followed.get(end, ())]

    def _inward(self, end, cell):
        """The direction (2,), in cells, in which a curve leaves an end (curve, side)."""
        rows = self.rows_to(end)
        way = (rows[-2][0] - rows[-1][0]) / cell if len(rows) > 1 else np.zeros(2)
        return way / (np.linalg.norm(way) or 1.0)

    def _leaving(self, exit, cell, u):
        """The Places at a point u (2,) and beside it with which an Exit begins; none where it is no curve of what is lowest."""
        follower, step = Follower(self.plane, self.corners, self.lowest), STEP
        landscape = Segment(self.plane, u, u).landscape(0.0)
        while step >= SHORTEST:
            found = self._ahead(exit, cell, u, step, follower)
            here, middle = (found and found[0].on(u + at * exit.way * cell, across(exit.way)) for at in (0.0, step / 2))
            if middle is None or follower.below(middle) is not None:
                step /= 2
                continue
            if here is not None and np.abs((here.u - u) / cell).max() < MEETS:
                return [here, found[1]]
            if here is None and self._reaches(*found, exit, cell, u, step):
                loss = [landscape.gradient(x)[0] * landscape.scale for x in exit.minima]
                return [found[1]._replace(u=u, pair=np.array(exit.minima), losses=np.array(loss)), found[1]]
            step /= 2
        return []

    def _reaches(self, curve, place, exit, cell, u, step):
        """Whether a curve leads from a step along an Exit back to u (2,), where its minima end, and becomes those of the Exit.

        They are extrapolated from the last places on halves of the way.
        """
        phases, pairs = names(self.plane, place, curve.order), [place.pair]
        while step >= SHORTEST:
            step /= 2
            there = u + step * exit.way * cell
            place = curve.on(there, across(exit.way))
            ahead = place is not None and np.linalg.norm((place.u - there) / cell) < step / 2
            if not ahead or names(self.plane, place, curve.order) != phases:
                break
            curve = curve.moved(place)
            pairs.append(place.pair)
        if len(pairs) < 3:
            return False
        pair = (pairs[-3] - 6 * pairs[-2] + 8 * pairs[-1]) / 3
        landscape = Segment(self.plane, u, u).landscape(0.0)
        return all(landscape.same(x, other) for x, other in zip(pair, exit.minima, strict=True))

    def _ahead(self, exit, cell, u, step, follower):
        """The curve and its Place so many cells from u (2,) along an Exit, below which nothing is; or None.

        What is lower than one side is what this is there: where a weight has just left 0 descents may not notice.
        """
        for _ in range(2):
            found = exit.begun(self.plane, cell, u, step)
            if found is None or follower.outside(found[1].u):
                return None
            lower = follower.below(found[1])
            if lower is None:
                return found
            if exit.order == "continuous":
                return None
            landscape = Segment(self.plane, found[1].u, found[1].u).landscape(0.0)
            near = int(np.argmin([landscape.distance(x, lower[0], exchange=False) for x in found[1].pair]))
            sides = tuple(lower[0][None] if k == near else x[None] for k, x in enumerate(found[1].pair))
            exit = replace(exit, sides=sides, small=None)
        return None

    def _row(self, place, order):
        """The row of a Place of a curve of an order, its minima in the order of their names."""
        jump = 0.0 if order == "continuous" else apart(self.plane, place)
        pair = place.pair if place.grown is None else np.array([place.pair[0], place.grown])
        phases = names(self.plane, place, order)
        turn = 1 if phases == sorted(phases) else -1
        return place.u, place.losses[::turn], jump, pair[::turn], place.line

    def _beside(self, u):
        """The minima, a list of (size,), of the cell around u (2,)."""
        (column, row), _ = self.cell_at(u)
        return [x for i in (row, row + 1) for j in (column, column + 1) for x in self.minima[i * len(self.u[0]) + j]]

    def _joined_to(self, end):
        """The end (curve, side) at which what an end has been followed to begins, or None: of a point either."""
        found = self.ends[end[0]][end[1]]
        if not isinstance(found, tuple):
            return None
        other = found[0], -1 - found[1]
        return other if self.ends[other[0]][other[1]] == end else found

    def joined(self):
        """Curves joined that have been followed to each other: a list of (key, rows, ends)."""
        found, seen = [], set()
        for k in range(len(self.curves)):
            at = k, 0
            while (other := self._joined_to(at)) is not None and other[0] not in seen | {k}:
                at = other[0], -1 - other[1]
            rows, ends, followed = [], [], False
            while at is not None and at[0] not in seen:  # from one end of what is joined to the other
                (one, side), other = at, (at[0], -1 - at[1])
                seen.add(one)
                own = self.curves[one][1][(one, 0) in self.beyond : len(self.curves[one][1]) - ((one, -1) in self.beyond)]
                own = own[:: 1 if side == 0 else -1]
                ends = ends or [self.ends[one][side]]
                rows += [*(() if followed else self.followed.get(at, ())[::-1]), *own, *self.followed.get(other, ())]
                last, at = self.ends[one][other[1]], self._joined_to(other)
                followed = at is not None and self.ends[at[0]][at[1]] == other  # each to the other: once is enough
            if rows:
                rows = [row for row, after in zip(rows, [*rows[1:], None], strict=True) if after is None or not _one(row, after)]
                ends = tuple("closed" if isinstance(end, tuple) else end for end in (*ends, last))
                found.append((self.curves[k][0], rows, ends))
        return found


def _one(row, other, within=1e-9):
    """Whether two rows are one place."""
    return np.abs(row[0] - other[0]).max() < within


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
