"""Boundaries of the relaxed and global theories: curves on which solved minima cross, or one turns into another.

Minima are carried along as warm starts, never looked up: at every point the two that compete are solved again. A curve is
followed from wherever it is met first to the junctions at its ends; from there, the other curves that meet in them.
"""

from copy import copy

import numpy as np
from tqdm import tqdm

from .._minimizing.flat import flatten
from .._minimizing.stationary_points import SAME_POINT, invariants
from ..boundaries import PhaseBoundary
from ..theories import TIE_MARK, TIE_TOLERANCE
from . import continuation
from .contenders import Contenders
from .continuation import follow
from .curves import Crossing, Softening, located
from .equilibria import Solver
from .grid import Corners, beside, nodes, spacing
from .junctions import Junction, junction, junction_ahead, junction_between
from .stability import TINY, offspring, rival
from .states import MOVED, far

JUMP = 0.15
"""Lowest minima of neighbouring cells whose invariants differ by less are taken for one that moved, if their phase agrees."""

FINE = 0.1
"""Minima are compared at points no farther apart (in the logarithms of importance and density) than about this."""

SAME_JUNCTION = 1e-7
"""Junctions nearer to each other than this are one."""

NEAR = 0.05
"""Minima of one shape on curves through one point are the same when their invariants differ by less."""

RING = 0.25
"""What else leaves a junction is sought on a circle of this many full steps around it,"""
DIRECTIONS = 16
"""between so many points,"""
RING_JUMP = 0.05
"""whose lowest minima differ in their phase or by more than this in their invariants."""

HOLLOW = 1e-4
"""A curve along which its two minima never differ by as much separates nothing: rounding has put it beside a softening one."""

LOOKED_AT = 3
"""Whether what a curve separates is the lowest is looked at again in so many of its points,"""
ASIDE = 1e-3
"""this part of a full step beside it."""

MOST_CURVES = 200
"""No more curves than this are followed."""


def solved_boundaries(diagram, progress=False):
    """Find the boundaries and triple points of a relaxed or global diagram: (list of PhaseBoundary, list of TriplePoint)."""
    with tqdm(disable=not progress, delay=1, unit="curve", desc="boundaries") as bar:
        solver = Solver(diagram)
        solver.contenders = Contenders(solver, diagram)
        network = _Network(solver, bar.update)
        _Meshes(network, diagram).search()
        network.close()
    corners = Corners()
    for node in network.junctions:
        if node.kind == "triple point":
            corners.add(node.u, [state.phase for state in [*node.states, *_turned(node)]])
    return [trace.boundary() for trace in network.traces], corners.triple_points()


class _Network:
    """The curves followed so far and the junctions in which they meet; ``followed`` is called for each curve."""

    def __init__(self, solver, followed):
        self.solver, self.followed, self.traces, self.junctions = solver, followed, [], []

    def cross(self, a, b, depth=0):
        """Follow the boundaries met on the way from the minimum a, lowest where it was solved, to b."""
        if self.tells(a, b):
            return
        for u, curve in located(a, b):
            if not curve.exists(u):
                continue
            between = curve.rival(u)
            if between is None:
                if curve.tells_apart(u):  # else a continuous curve lies there
                    self.visit(u, curve)
            elif not isinstance(between, str) and depth < 6:
                self.cross(a, between, depth + 1)
                self.cross(between, b, depth + 1)

    def tells(self, a, b):
        """Whether a known curve lies between two minima, each lowest where it was solved, and nothing else."""
        return any(trace.separates(a, b) for trace in self.traces)

    def visit(self, u, curve):
        """Follow a curve from its point u, and the curves that leave the junctions at its ends, unless they are known."""
        waiting = [(u, curve)]
        while waiting and len(self.traces) < MOST_CURVES:
            u, curve = waiting.pop(0)
            if any(trace.passes(u, curve.solve(u) or curve.states) for trace in self.traces):
                continue
            trace = _Trace(u, curve, self.junctions)
            if trace.hollow or not (trace.is_crossed or trace.extends):
                continue
            self.followed()
            for node in self._keep(trace):
                waiting.extend(node.departures())

    def _keep(self, trace):
        """Keep a curve, with the junctions at its ends; those that are new."""
        self.traces.append(trace)
        new = [node for node in trace.junctions if all(_apart(node, known) for known in self.junctions)]
        self.junctions += new
        for state in (state for node in new for state in node.states if state.stable):
            self.solver.contenders.note(state)
        return new

    def close(self):
        """Follow what else leaves the junctions, and end curves that stopped short of a junction known by now in it.

        Curves on which something lies lower that was not known when they were followed give way to what does.
        """
        for node in self.junctions:  # grows meanwhile
            for a, b in _around(node, self.solver):
                self.cross(a, b)
        for trace in list(self.traces):
            contested, good = trace.contested()
            if contested:
                self.traces.remove(trace)
                for u, curve in good:
                    self.visit(u, curve)
                for a, b in contested:
                    self.cross(a, b)
        for trace in self.traces:
            trace.end_at(self.junctions)
        for trace in list(self.traces):
            again = trace.followed_again(self.junctions)
            if again is not None:
                self.traces.remove(trace)
                self._keep(again)


def _apart(node, other):
    return np.linalg.norm(node.u - other.u) > SAME_JUNCTION


def _around(node, solver):
    """Yield the lowest minima of neighbouring points on a circle around a junction between which it may change."""
    angles = 2 * np.pi * (np.arange(DIRECTIONS) + 0.123) / DIRECTIONS
    ring = [node.u + RING * solver.box.step * np.array([np.cos(angle), np.sin(angle)]) for angle in angles]
    states = [solver.contenders.lowest(u) if not solver.box.outside(u) else None for u in ring]
    for a, b in zip(states, [*states[1:], states[0]], strict=True):
        if a is not None and b is not None and (a.phase != b.phase or far(a, b) > RING_JUMP):
            yield a, b


def _turned(node):
    """The phase that a symmetric state is about to turn into where a continuous boundary ends."""
    return offspring(node.states[0]) if len(node.states) == 2 else []


class _Trace:
    """A boundary curve followed to both ends.

    trail: points u with the two states there; ends: why it ends at its first and last point; junctions: where it does.
    """

    def __init__(self, u, curve, known):
        self.curve, self.junctions, self.ends = curve, [], []
        curve.move_to(u)
        self.trail = [(u, curve.states)]
        for sense in (1.0, -1.0):
            way = copy(curve)
            way.trail = []
            more, reason, against = follow(way, u, way.solver.box, sense, junction_between, junction_ahead)
            trail = way.trail
            if reason in ("corner", "end"):
                last = more[-1] if more else u
                node = against if isinstance(against, Junction) else _end(way, last, against, known)
                reason = node.kind if node else "unresolved"
                if node:
                    self.junctions.append(node)
                    trail = [*trail, (node.u, way.solve(node.u) or (trail[-1][1] if trail else self.trail[0][1]))]
            elif len(more) > len(trail):  # the last point lies on an edge
                trail = [*trail, (more[-1], way.solve(more[-1]) or way.states)]
            self.trail = [*self.trail, *trail] if sense > 0 else [*trail[::-1], *self.trail]
            self.ends = [*self.ends, reason] if sense > 0 else [reason, *self.ends]
            if reason == "closed":
                self.ends = ["closed", "closed"]
                break

    def contested(self):
        """Where something lies lower than its two minima, on it or on either side, and where nothing does.

        Looked at in some places: a list of pairs of the lowest minima on the two sides, and one of (u, curve).
        """
        pairs, good = [], []
        if self.curve.order == "continuous" or self.ends[0] == "closed":
            return pairs, good
        inner = self.trail[1:-1] or self.trail
        for k in np.unique(np.linspace(0, len(inner) - 1, LOOKED_AT).round().astype(int)):
            u, states = inner[k]
            curve = Crossing(*(state.solver.stationary(state, u) for state in states))
            slope = curve.slope(u)
            if far(*states) < NEAR or not np.all(np.isfinite(slope)) or not np.any(slope) or not curve.exists(u):
                continue
            aside = ASIDE * curve.solver.box.step * slope / np.linalg.norm(slope)
            known = [curve.solver.stationary_points(curve.states, there) for there in (u - aside, u + aside)]
            if any(curve.solver.box.outside(there) for there in (u - aside, u + aside)) or not all(
                state.stable and far(state, own) < MOVED for both in known for state, own in zip(both, curve.states, strict=True)
            ):
                continue
            lowest = [
                rival(there, both) or min(both, key=lambda state: state.loss)
                for there, both in zip((u - aside, u + aside), known, strict=True)
            ]
            if all(any(far(state, own) < 1e-9 for own in both) for state, both in zip(lowest, known, strict=True)):
                good.append((u, curve))
            else:
                pairs.append(tuple(lowest))
        return pairs, good

    def followed_again(self, known):
        """The curve followed from its middle, if more of its ends can be solved from there; otherwise None."""
        if "unresolved" not in self.ends:
            return None
        u, states = self.trail[len(self.trail) // 2]
        curve = Softening(states[0]) if self.curve.order == "continuous" else Crossing(*states)
        again = _Trace(u, curve, known)
        again.end_at(known)
        return again if again.ends.count("unresolved") < self.ends.count("unresolved") else None

    def end_at(self, known):
        """End in a known junction where it stopped just short of it."""
        for side in (0, -1):
            if self.ends[side] == "unresolved":
                u, states = self.trail[side]
                node = _at_junction(known, u, states, self.curve.solver.box)
                if node is not None:
                    self.ends[side], self.trail[side] = node.kind, (node.u, states)

    @property
    def points(self):
        return np.array([u for u, _ in self.trail])

    @property
    def extends(self):
        """Whether it leads anywhere: not where it returns to its first point without being closed, nor along density 1.

        Its minima are then not told apart; at density 1, x and 1 − x have one law: aligned and antipodal directions tie all
        along this edge.
        """
        points = self.points
        returns = np.linalg.norm(points[0] - points[-1]) < SAME_JUNCTION and self.ends[0] != "closed"
        return not returns and bool(np.any(np.abs(points[:, 1]) >= 1e-6))

    @property
    def is_crossed(self):
        """Whether it is the point in which a diagram of one row or column crosses a curve."""
        return len(self.trail) == 1 and not np.all(self.curve.solver.box.wide)

    @property
    def hollow(self):
        """Whether its two minima are nowhere told apart: rounding has put it beside a softening curve."""
        least = TINY if "unresolved" in self.ends else HOLLOW  # what else is of their family has not been told apart either
        return self.curve.order == "first" and all(far(*pair) < least for _, pair in self.trail)

    def passes(self, u, pair):
        """Whether the curve passes through u with the same two minima."""
        if continuation.distance(self.points, u) > 0.1 * self.curve.solver.box.step:
            return False
        nearest = self._nearest(u)
        solved = [self.curve.solver.solve(state, u) for state in nearest]
        solved = [new if new.clusters == old.clusters else old for new, old in zip(solved, nearest, strict=True)]
        return any(
            all(a.shape == b.shape and far(a, b) < NEAR for a, b in zip(pair, known, strict=True))
            for one in (nearest, solved)
            for known in (one, one[::-1])
        )

    def separates(self, a, b):
        """Whether the curve crosses the way from a to b, and the minima on its sides become a and b there."""
        if not continuation.passes(self.points, a.u, b.u):
            return False
        near = self._nearest((a.u + b.u) / 2)
        solve = self.curve.solver.solve
        for one, other in (near, near[::-1]):
            if far(solve(one, a.u), a) < 1e-6 and far(solve(other, b.u), b) < 1e-6:
                return True
        return False

    def _nearest(self, u):
        return self.trail[int(np.argmin(np.linalg.norm(self.points - u, axis=1)))][1]

    def boundary(self):
        """The curve as a PhaseBoundary."""
        curve, points, pairs = self.curve, self.points, [pair for _, pair in self.trail]
        norms = np.array([[np.linalg.norm(state.weights[:, -1]) for state in pair] for pair in pairs]).T
        importance, density = np.exp(points[:, 0]), np.minimum(np.exp(points[:, 1]), 1.0)
        minima, free = (np.array([[getattr(pair[k], name) for pair in pairs] for k in (0, 1)]) for name in ("x", "free"))
        if curve.order == "continuous":
            phases = self._turning_into()
            latent = np.zeros(len(points))
        else:
            widest = max(pairs, key=lambda pair: far(*pair))
            phases = tuple(state.phase for state in widest)
            latent = np.array([abs(one.extra_loss - other.extra_loss) for one, other in pairs])
        return PhaseBoundary(phases, importance, density, curve.order, latent, norms, tuple(self.ends), minima, free)

    def _turning_into(self):
        """Names of the symmetric phase and of the one that it turns into, beyond the middle of a softening curve."""
        u, (state, _) = self.trail[len(self.trail) // 2]
        solver, slope = self.curve.solver, Softening(state).slope(u)
        for reach in (0.3, 0.1, 1.0):
            beyond = solver.stationary(state, u - reach * solver.box.step * slope / np.linalg.norm(slope))
            if not beyond.converged:
                continue
            turned = min(offspring(beyond), key=lambda s: s.loss, default=None)
            if turned is not None and turned.phase != state.phase:
                return state.phase, turned.phase
        return state.phase, state.phase


def _end(curve, u, against, known):
    """The junction at which a curve ends that stops at u: the nearer one of the one solved for and a known one; or None."""
    found = junction(curve, u, against), _at_junction(known, u, curve.states, curve.solver.box)
    return min((node for node in found if node), key=lambda node: np.linalg.norm(node.u - u), default=None)


def _at_junction(known, u, states, box):
    """The known junction at which a curve stops that cannot be solved up to it: one of its minima meets others there."""
    for node in known:
        if np.linalg.norm(node.u - u) < 1e-3 * box.step and any(
            a.shape == b.shape and far(a, b) < NEAR for a in states for b in node.states
        ):
            return node
    return None


class _Meshes:
    """The meshes of the diagram's grid, in which curves are sought between points whose lowest minima differ.

    Curves are followed from between neighbouring cells. Where the grid's steps are long, points between them are looked at as
    well, in the meshes whose corners differ in more than the curves known by then tell: so that what is found does not
    depend on the grid.
    """

    def __init__(self, network, diagram):
        self.network, self.solver, self.diagram, self.lowest = network, network.solver, diagram, {}
        self.u = nodes(diagram.importance, diagram.density)
        self.shape = self.u.shape[:2]
        x = flatten(diagram.weights, diagram.bias)
        self.keys = invariants(x, self.solver.m, self.solver.classes)

    def search(self):
        """Follow the curves."""
        meshes = [self._corners(i, j) for i, j in np.ndindex(max(self.shape[0] - 1, 1), max(self.shape[1] - 1, 1))]
        meshes = [corners for corners in meshes if any(self._changes(corners[0], corner) for corner in corners[1:])]
        for finely in (False, True):
            for corners in meshes:
                sides = [(corners[k], corners[l]) for k, l in ((0, 1), (0, 2), (1, 3), (2, 3)) if corners[k] != corners[l]]
                if not finely:
                    self._compare(sides)
                elif not all(self.network.tells(a, b) for a, b in self._pairs(sides)):
                    self._compare(self._inside(corners))

    def _corners(self, i, j):
        far_end = min(i + 1, self.shape[0] - 1), min(j + 1, self.shape[1] - 1)
        return [(i, j), (i, far_end[1]), (far_end[0], j), far_end]

    def _changes(self, one, other):
        """Whether the lowest minima of two cells differ."""
        phase = self.diagram.phase
        return phase[one] != phase[other] or np.max(np.abs(self.keys[one] - self.keys[other])) >= JUMP

    def _compare(self, places):
        for a, b in self._pairs(places):
            self.network.cross(a, b)

    def _pairs(self, places):
        """Yield the lowest minima at pairs of places where they differ."""
        for one, other in places:
            a, b = self._lowest_at(*one), self._lowest_at(*other)
            if a.phase != b.phase or far(a, b) >= JUMP:
                yield a, b

    def _inside(self, corners):
        """Neighbouring points of a mesh no farther apart than about ``FINE``: pairs of (row, column)."""
        (i, j), far_end = corners[0], corners[-1]
        down, right = np.ceil(np.abs(self.u[far_end] - self.u[i, j])[::-1] / FINE).astype(int)
        rows = np.linspace(i, far_end[0], max(down, 1) + 1) if self.shape[0] > 1 else [0]
        columns = np.linspace(j, far_end[1], max(right, 1) + 1) if self.shape[1] > 1 else [0]
        for r, c in np.ndindex(len(rows), len(columns)):
            for row, column in ((r + 1, c), (r, c + 1)):
                if row < len(rows) and column < len(columns):
                    yield (rows[r], columns[c]), (rows[row], columns[column])

    def _lowest_at(self, row, column):
        """The lowest minimum at a cell, or at a point between cells given by fractions of their indices."""
        row, column = float(row), float(column)
        if (row, column) not in self.lowest:
            if row.is_integer() and column.is_integer():
                found = self._lowest_in((int(row), int(column)))
            else:
                found = self.solver.contenders.lowest(self._between(row, column))
                self.solver.contenders.note(found)
            self.lowest[row, column] = found
        return self.lowest[row, column]

    def _lowest_in(self, cell):
        """The minimum with the lowest loss in a cell: at the node, or beside it where several tie."""
        solver, diagram = self.solver, self.diagram
        if self._ties(cell):
            return solver.contenders.lowest(beside(self.u[cell], solver.box, spacing(solver.box, diagram)))
        x = flatten(diagram.weights[cell], diagram.bias[cell])
        frame = solver.all_free
        if solver.patterns is not None:
            frame = solver.patterns[int(np.argmin(diagram.candidate_loss[(slice(None), *cell)]))]
        return solver.recognized(x, frame, self.u[cell])

    def _ties(self, cell):
        """Whether several minima have the lowest loss in a cell: by name, or within one phase."""
        if TIE_MARK in self.diagram.phase[cell]:
            return True
        flat = np.ravel_multi_index(cell, self.shape)
        first, last = np.searchsorted(self.diagram.minima_cell, [flat, flat + 1])
        minima = self.diagram.minima[first:last]
        losses = np.array([self.solver.loss_at(x, self.u[cell]) for x in minima])
        keys = invariants(minima[losses <= self.diagram.loss[cell] * (1 + TIE_TOLERANCE)], self.solver.m, self.solver.classes)
        return len(keys) > 0 and np.max(np.ptp(keys, axis=0)) > SAME_POINT

    def _between(self, row, column):
        """The point at fractions of the cells' indices, a little aside: curves may pass through any of a grid's points."""
        diagram, box = self.diagram, self.solver.box
        axes = [np.log(axis) for axis in (diagram.importance, diagram.density)]
        u = np.array([np.interp(at, np.arange(axis.size), axis) for at, axis in zip((column, row), axes, strict=True)])
        return beside(u, box, FINE)
