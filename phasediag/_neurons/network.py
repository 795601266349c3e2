"""The curves of a diagram of neurons: crossings of the grid's lines joined, followed from open ends, and joined again."""

from dataclasses import replace
from itertools import combinations
from typing import NamedTuple

import numpy as np

from .._arguments import Floats
from .curves import MEETS, SHORTEST, STEP, Place, across, names, tangent
from .exits import beyond_order_change, exits, lowest_at, numbers_of
from .following import Follower
from .transitions import Segment
from .vanishing import curve_of

TOGETHER = 1e-6
"""Ends of curves that are nearer than this, in coordinates, are one place; and crossings of an edge are one."""
BETWEEN = 20
"""Starts of the search for minima at every place of a curve."""
LATTICE = 0.2
"""Of coordinates: about so large are the cells by which curves are followed, a whole number of them along each axis of the
window: what is found does not depend on the diagram's grid."""


class Way(NamedTuple):
    """What has been met along a curve from a row: rows, the end or the number of the goal that is next, what was lower.

    way (2,): in which direction it began, in cells; turned: whether what grows is no minimum there; parted: as of a Follower.
    """

    rows: list
    end: str | int
    met: list
    way: Floats
    turned: bool
    parted: tuple = ()


class Network:
    """The curves of a diagram: (key, rows), of phases and order, and of (u, losses, jump, pair, line); followed from open ends.

    minima: a list of parameters (size,) for each cell of the grid, row by row.
    """

    def __init__(self, plane, minima, curves):
        self.plane, self.minima, self.curves = plane, minima, curves
        self.u = plane.x.coordinate(plane.x.values), plane.y.coordinate(plane.y.values)
        self.corners = np.array([[one[0] for one in self.u], [one[-1] for one in self.u]])
        wide = self.corners[1] - self.corners[0]
        self.cell = np.where(wide > 0, wide / np.maximum(np.round(wide / LATTICE), 1), LATTICE)
        self.ends = [["closed", "closed"] if self._closed(rows) else ["edge", "edge"] for _, rows in curves]
        self.ways = {}  # the Way beyond each end (curve, side) that has been followed

    @staticmethod
    def _closed(rows):
        """Whether the last of rows is the first."""
        return len(rows) > 1 and rows[0] is rows[-1]

    def _inside(self, row):
        """The direction (2,) into the window where a row lies on its border, on a line of the grid that is part of it; or 0."""
        low, high = np.all(row[4] == self.corners[:, None], axis=1)
        return low.astype(float) - high

    def _on_border(self, row):
        """Whether a row lies on the border of the window, on a line of the grid that is part of it."""
        return bool(np.any(self._inside(row)))

    def parted(self, each=map):
        """Follow curves from row to row, and part them where none leads to the next; ``each``: a map. Returns the Network."""
        steps = [(k, i) for k, (_, rows) in enumerate(self.curves) for i in range(len(rows) - 1)]
        ways = dict(zip(steps, each(lambda step: self._way(*step), steps), strict=True))
        pieces = []
        for k, (key, rows) in enumerate(self.curves):
            own, piece = [], [rows[0]]
            for i, row in enumerate(rows[1:]):
                if ways[k, i].end == 0:
                    piece += [*ways[k, i].rows, row]
                else:
                    own.append((key, piece))
                    piece = [row]
            if own and self._closed(rows):
                own[0] = key, piece + own[0][1][1:]
            else:
                own.append((key, piece))
            pieces += own
        return Network(self.plane, self.minima, pieces)

    def _way(self, k, i):
        """The Way of a curve from its row i to the next, the only goal."""
        (_, order), rows = self.curves[k]
        (u, losses, _, pair, line), goal = rows[i], rows[i + 1][0]
        chord, curve = (goal - u) / self.cell, curve_of(self.plane, self.cell, u, pair, order)
        place = curve.begun(Place(u, pair, losses, np.nan, line))
        if place is None:
            return Way([], "unresolved", [], chord, False)
        return self._followed(curve, place, chord / (np.linalg.norm(chord) or 1.0), goal[None])

    def open_ends(self):
        """The ends (curve, side) of curves that do not lie on the border; of a single point on it the second does not."""
        found = []
        for k, (_, rows) in enumerate(self.curves):
            if self._closed(rows) or not np.all(self.corners[1] > self.corners[0]):
                continue
            found += [(k, side) for side in (0, -1) if not self._on_border(rows[side]) or (len(rows) == 1 and side)]
        return found

    def follow_all(self, each=map):
        """Follow all open ends; ``each``: a map."""
        goals = self.open_ends()
        list(each(lambda end: self.follow(end, goals), goals))

    def lower(self, u, points, bound):
        """The lowest below a loss that a search at u (2,) finds from minima of the cell around it, from points and from others.

        x (size,), loss, and whether it is finite; None where nothing is lower.
        """
        landscape = Segment(self.plane, u, u).landscape(0.0)
        known, starts = np.array([*self._beside(u), *points]), landscape.starts(np.random.default_rng(0), BETWEEN)
        loose = np.concatenate([known != 0, np.zeros(starts.shape, dtype=bool)])
        found = landscape.lowest(np.concatenate([known, starts]), bound / landscape.scale, loose)
        best = found or landscape.unbounded
        if landscape.unbounded.scaled_loss < best.scaled_loss:
            best = landscape.unbounded
        loss = best.scaled_loss * landscape.scale
        return (best.x, loss, best is found) if loss < bound else None

    def _followed(self, curve, place, way, goals):
        """The Way of a curve from a Place in a direction (2,), in cells, to goals (n, 2)."""
        follower = Follower(self.plane, self.corners, self.lower)
        places, end, last = follower.follow(curve.moved(place), place, way, goals)
        rows = [self._row(one, curve.order) for one in (*places, *(() if last is None or last is place else (last,)))]
        return Way(rows, end, follower.met, way, bool(place.turn < 0), follower.parted)

    def follow(self, end, goals):
        """Follow an open end (curve, side) to where the curve ends, or to one of goals, a list of open ends."""
        k, side = end
        key, rows = self.curves[k]
        u, _, _, pair, line = rows[side]
        curve, along = curve_of(self.plane, self.cell, u, pair, key[1]), (line[1] - line[0]) / self.cell
        found = tangent(curve, u, along / np.linalg.norm(along))
        if found is None:
            self.ends[k][side] = "unresolved"
            return
        place, way = found
        if len(rows) > 1:
            outward = -self._inward(end)
        elif (k, -1 - side) in self.ways:
            outward = -self.ways[k, -1 - side].way
        else:  # from a border inwards, otherwise to both sides
            outward = self._inside(rows[0]) if self._on_border(rows[0]) else way * (1 if side == 0 else -1)
        goals = [other for other in goals if other[0] != k and self.curves[other[0]][0] == key]
        places = np.array([self.curves[j][1][other][0] for j, other in goals]).reshape(-1, 2)
        self._end(end, self._followed(curve, place, way if way @ outward >= 0 else -way, places), goals)

    def _end(self, end, way, goals=()):
        """Keep the Way that has been followed from an end (curve, side)."""
        self.ways[end], (k, side) = way, end
        self.ends[k][side] = goals[way.end] if isinstance(way.end, int) else way.end

    def _beyond(self, end):
        """The rows beyond an end (curve, side)."""
        return self.ways[end].rows if end in self.ways else []

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
                elif kind == "triple point" and (parted := self._parted(u)):
                    for curve, place in parted:
                        self._part(curve, place, (k, side))
                elif kind == "triple point":
                    known = next((some for v, *some in done if _one((u,), (v,), TOGETHER)), None)
                    orders = ("first", "continuous") if known is None else ("continuous",)
                    if known is None:
                        known = self._meeting(u), {}
                        done.append((u, *known))
                    for order in orders:  # by those of first order, and by what has come later, is known which weights leave 0
                        for exit in self._unknown(u, *known):
                            if exit.order == order:
                                self._begin(exit, u, kind)
            k += 1

    def _go_on(self, end, u):
        """Begin the curve of the other order where that of an end (curve, side) changes at u (2,), unless it is known."""
        orders = {self.curves[k][0][1] for k, _ in self._ends_at(u, "order changes")}
        if len(orders) == 1:
            found = beyond_order_change(self.plane, self.cell, u, self.outermost(end)[3], *orders, -self._inward(end))
            if found is not None:
                self._begin(found, u, "order changes")

    def _meeting(self, u):
        """The minima (n, size) that meet in a triple point u (2,)."""
        ends = self._ends_at(u, "triple point")
        known = [x for end in ends for x in self.outermost(end)[3]]
        known += [x for end in ends if end in self.ways for x in self.ways[end].met]
        starts = Segment(self.plane, u, u).landscape(0.0).starts(np.random.default_rng(0), BETWEEN)
        return lowest_at(self.plane, self.cell, u, [*self._beside(u), *known, *starts])

    def _ends_at(self, u, kind):
        """The ends (curve, side) of a kind at a point u (2,)."""
        ends = [(k, side) for k in range(len(self.curves)) for side in (0, -1) if self.ends[k][side] == kind]
        return [end for end in ends if _one(self.outermost(end), (u,), TOGETHER)]

    def _unknown(self, u, minima, known):
        """The Exits of a triple point u (2,) at which minima (n, size) meet that are none of the curves that end there.

        known: as of `exits`.
        """
        ends = self._ends_at(u, "triple point")
        rows = [self.rows_to(end)[-2:] for end in ends]
        left = exits(self.plane, self.cell, u, minima, [x for some in rows for row in some for x in row[3]], known)
        for end, some in zip(ends, rows, strict=True):
            own, way = numbers_of(self.plane, self.cell, u, minima, some[-1][3]), self._inward(end)
            own = self.curves[end[0]][0][1], own
            ahead = [exit.way @ way if (exit.order, exit.pair) == own else -1.0 for exit in left]
            if ahead and max(ahead) > 0:
                del left[int(np.argmax(ahead))]
        return left

    def _begin(self, exit, u, kind):
        """Follow an Exit of a point u (2,) of a kind, unless phases do not change there, or something is lower."""
        places = self._leaving(exit, u)
        if places:
            self._begin_at(places, exit.order, kind)

    def _parted(self, u):
        """The curves that leave a Parting at u (2,), each with a Place; none where it is another triple point."""
        ends = [end for end in self._ends_at(u, "triple point") if end in self.ways]
        return next((self.ways[end].parted for end in ends if self.ways[end].parted), ())

    def _part(self, curve, place, end):
        """Follow a curve of a Parting, where an end (curve, side) lies, from a Place of it, where it is stable and not known."""
        u, way, begun = self.outermost(end)[0], self._inward(end), [place]
        if _one((place.u,), (u,), TOGETHER):  # it passes the point
            begun = [curve.onward(place, sign * way, SHORTEST) for sign in (-1, 1)]
        for there in begun:
            if there is None or there.turn < 0:
                continue
            ahead, phases = (there.u - u) / self.cell, tuple(sorted(names(self.plane, there)))
            ends = [one for one in self._ends_at(u, "triple point") if self.curves[one[0]][0][0] == phases]
            if not any(self._inward(one) @ ahead > 0 for one in ends):
                self._begin_at([there._replace(u=u), there], curve.order, "triple point")

    def _begin_at(self, places, order, kind):
        """Follow a curve of an order from a point of a kind, the first of its Places, unless phases do not change there."""
        phases = sorted(names(self.plane, places[-1]))
        if phases[0] == phases[1]:
            return
        k = len(self.curves)
        self.curves.append(((tuple(phases), order), [self._row(one, order) for one in places]))
        self.ends.append([kind, "unresolved"])
        self.follow((k, -1), [end for end in self.open_ends() if end[0] != k and self.ends[end[0]][end[1]] == "unresolved"])
        end = self.ends[k][1]
        if isinstance(end, tuple):
            self.ends[end[0]][end[1]] = k, -1
        elif end == "unresolved" and not self._beyond((k, -1)):  # what cannot be followed a step is no curve
            del self.curves[k], self.ends[k], self.ways[k, -1]

    def rows_to(self, end):
        """The rows of a curve to its end (curve, side)."""
        k, side = end
        return [*self.curves[k][1][:: 1 if side else -1], *self._beyond(end)]

    def _inward(self, end):
        """The direction (2,), in cells, in which a curve leaves an end (curve, side), told from another place than the end's."""
        *rows, last = self.rows_to(end)
        way = next((row[0] - last[0] for row in rows[::-1] if not _one(row, last, TOGETHER)), np.zeros(2)) / self.cell
        return way / (np.linalg.norm(way) or 1.0)

    def _leaving(self, exit, u):
        """The Places at a point u (2,) and beside it with which an Exit begins; none where it is no curve of what is lowest."""
        follower, step = Follower(self.plane, self.corners, self.lower), STEP
        landscape = Segment(self.plane, u, u).landscape(0.0)
        while step >= SHORTEST:
            found = self._ahead(exit, u, step, follower)
            here, middle = (found and found[0].on(u + at * exit.way * self.cell, across(exit.way)) for at in (0.0, step / 2))
            if middle is None or follower.below(middle) is not None:
                step /= 2
                continue
            if here is not None and np.abs((here.u - u) / self.cell).max() < MEETS:
                return [here, found[1]]
            if here is None and self._reaches(*found, exit, u, step):
                pair = np.array(exit.minima)
                return [found[1]._replace(u=u, pair=pair, losses=landscape.losses(pair)), found[1]]
            step /= 2
        return []

    def _reaches(self, curve, place, exit, u, step):
        """Whether a curve leads from a step along an Exit back to u (2,), where its minima end, and becomes those of the Exit.

        They are extrapolated from the last places on halves of the way.
        """
        phases, pairs = names(self.plane, place), [place.pair]
        while step >= SHORTEST:
            step /= 2
            there = u + step * exit.way * self.cell
            place = curve.on(there, across(exit.way))
            ahead = place is not None and np.linalg.norm((place.u - there) / self.cell) < step / 2
            if not ahead or names(self.plane, place) != phases:
                break
            curve = curve.moved(place)
            pairs.append(place.pair)
        if len(pairs) < 3:
            return False
        pair = (pairs[-3] - 6 * pairs[-2] + 8 * pairs[-1]) / 3
        landscape = Segment(self.plane, u, u).landscape(0.0)
        return all(landscape.same(x, other) for x, other in zip(pair, exit.minima, strict=True))

    def _ahead(self, exit, u, step, follower):
        """The curve and its Place so many cells from u (2,) along an Exit, below which nothing is; or None.

        What is lower than one side is what this is there: where a weight has just left 0 descents may not notice.
        """
        for _ in range(2):
            found = exit.begun(self.plane, self.cell, u, step)
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
        landscape = Segment(self.plane, place.u, place.u).landscape(0.0)
        jump = 0.0 if order == "continuous" else landscape.distance(*place.pair, exchange=False)
        phases = names(self.plane, place)
        turn = 1 if phases == sorted(phases) else -1
        return place.u, place.losses[::turn], jump, place.sides[::turn], place.line

    def _beside(self, u):
        """The minima, a list of (size,), of the cell of the grid around u (2,)."""
        column, row = (int(np.clip(np.searchsorted(line, x) - 1, 0, len(line) - 2)) for line, x in zip(self.u, u, strict=True))
        return [x for i in (row, row + 1) for j in (column, column + 1) for x in self.minima[i * len(self.u[0]) + j]]

    def _joined_to(self, end):
        """The end (curve, side) at which what an end has been followed to begins, or None: of a point either."""
        found = self.ends[end[0]][end[1]]
        if not isinstance(found, tuple):
            return None
        other = found[0], -1 - found[1]
        return other if self.ends[other[0]][other[1]] == end else found

    def _own(self, k):
        """The rows of a curve but for those that lie beyond where the order changes: their jump was not told from none."""
        rows = self.curves[k][1]
        first, last = (len(rows) > 1 and (k, side) in self.ways and self.ways[k, side].turned for side in (0, -1))
        return rows[first : len(rows) - last]

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
                own = self._own(one)
                own = own[:: 1 if side == 0 else -1]
                ends = ends or [self.ends[one][side]]
                rows += [*(() if followed else self._beyond(at)[::-1]), *own, *self._beyond(other)]
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
