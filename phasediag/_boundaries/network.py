"""Boundaries of the relaxed and global theories: curves on which solved minima coexist, or one turns into another.

Minima are carried along as warm starts, never looked up: at every point the two that compete are solved again. A curve is
followed from wherever it is met first to the codimension-two points at its ends; from there, the other curves that meet in them.
"""

from collections import deque

import numpy as np

from .._minimizing.flat import flatten
from .._minimizing.stationary_points import SAME_POINT
from .._progress import progress_bar
from ..boundaries import PhaseBoundary, TriplePoint
from ..theories import TIE_MARK, TIE_TOLERANCE
from .competitors import Competitors
from .continuation import distance, passes
from .curves import Coexistence
from .equilibria import Equilibrium, Solver, far
from .junctions import locate
from .lines import Line
from .normal_forms import branches
from .singular import BranchPoints
from .tolerances import BESIDE, BEYOND, JUMP, LOWER, NEAR, ON_CURVE, ONE_BRANCH, ONE_POINT, SAME

_MET = "the lowest minima on both sides of it are known, but no curve between them is solved for"
"""Of a boundary that has been met, but not followed."""
_DEEPEST = 40
"""Halvings of the way between two minima until what lies between them is found."""
_MOST = 200
"""Parts of such a way that are looked at, of laws of certain values: each boundary that no curve accounts for takes about 50."""


def solved_boundaries(diagram, settings, progress=False):
    """Find the boundaries and triple points of a relaxed or global diagram: (list of PhaseBoundary, list of TriplePoint)."""
    with progress_bar(None, progress, "curve", "boundaries") as followed:
        network = Network(diagram, settings, followed)
        for pair in pairs(network.solver, diagram):
            network.cross(*pair)
        for pair in list(network.solver.competitors.neighbours()):
            network.cross(*pair)
    return network.results()


def resumed_boundaries(diagram, settings, progress=False):
    """Follow the curves of a diagram on that could not be ended, and what leaves the points in which they end: as above."""
    with progress_bar(None, progress, "curve", "boundaries") as followed:
        network, curves = Network(diagram, settings, followed), diagram.curves
        network.missed = [boundary for boundary in curves.boundaries if _MET in boundary.reasons]
        lines = [Line.known(network.solver, boundary) for boundary in curves.boundaries if _MET not in boundary.reasons]
        network.points = list(curves.triple_points)
        network.lines = [line for line in lines if not line.is_open]
        for line in (line for line in lines if line.is_open):  # of one curve there may be several pieces
            u, states, _ = line.trail[len(line.trail) // 2]
            if not any(other.passes(u, states) for other in network.lines):
                line.go_on(locate)
                network.lines.append(line)
                network.depart(line)
    return network.results()


def triple_points(family, lines, names, known=()):
    """The triple points in which lines end, each once, with the phases that ``names`` gives for what meets in them.

    ``known``: TriplePoint that have been found before.
    """
    found = {}
    for node in (node for line in lines for node in line.nodes if node.kind == "triple point"):
        if any(np.linalg.norm(family.points(point.x, point.y) - node.u) < ONE_POINT for point in known):
            continue
        phases = next((phases for other, phases in found.items() if np.linalg.norm(other.u - node.u) < ONE_POINT), None)
        if phases is None:
            phases = found.setdefault(node, [])
        phases.extend(name for state in node.states for name in names(state))
    return [*known, *(_triple_point(family, node, phases) for node, phases in found.items())]


def _triple_point(family, node, phases):
    """The TriplePoint of a junction."""
    x, y = map(float, family.values(node.u))
    return TriplePoint(x, y, tuple(dict.fromkeys(phases)), family.axes, node.precision)


class Network:
    """The lines followed so far and the codimension-two points in which they meet; ``followed`` is called for each line.

    points: triple points that were known before; missed: boundaries that were met but not followed.
    """

    def __init__(self, diagram, settings, followed=lambda _: None):
        self.solver, self.followed, self.lines, self.nodes, self.points = Solver(diagram, settings), followed, [], [], []
        self.missed, self._way, self._parts = [], None, 0  # the way between two minima, and how many parts of it were looked at
        self.solver.competitors = Competitors(self.solver, diagram)

    def results(self):
        """The lines as PhaseBoundary, and the triple points: two lists."""

        def names(state):
            """The phase of an equilibrium, and of those that it is about to turn into."""
            turning = state.held and abs(state.curvature) < SAME * 100
            return [state.phase, *(branch.phase for branch in (branches(state) if turning else []))]

        points = triple_points(self.solver, self.lines, names, self.points)
        return [*(line.boundary() for line in self.lines), *self.missed], points

    def cross(self, a, b, depth=0):
        """Follow the boundaries met on the way from the minimum a, lowest where it was solved, to b."""
        length = np.linalg.norm(b.u - a.u)
        related = _related(a, b)
        if not depth:
            self._way, self._parts = (a.u, b.u), 0
        self._parts += 1
        if related and far(a, b) < JUMP:
            return
        endless = self._parts > _MOST and len(self.solver.inputs)
        if depth > _DEEPEST or length < ONE_POINT or endless:
            self.miss(a, b)
            return
        if any(line.separates(a, b) for line in self.lines):
            return
        middle, (curve, u) = (a.u + b.u) / 2, (None, None) if related else _between(a, b)
        if curve is not None:
            event = curve.event(u)
            if event is None:
                self.visit(u, curve)
                if curve.order == "continuous":  # what else lies on the way begins beyond it
                    beyond = [self.solver.competitors.lowest(u + BEYOND * (end.u - u)) for end in (a, b)]
                    self.cross(a, beyond[0], depth + 1)
                    self.cross(beyond[1], b, depth + 1)
                return
            if event == "merges":
                return
            middle = middle if isinstance(event, str) else u
        lowest = self.solver.competitors.lowest(middle)
        if lowest is not None:
            if not related:
                self.solver.competitors.note(lowest)
            self.cross(a, lowest, depth + 1)
            self.cross(lowest, b, depth + 1)

    def miss(self, a, b):
        """Remember a boundary between the minima a and b, lowest side by side, that no curve accounts for.

        Of laws of certain values alone: of others rounding may tell apart what ties at the edge.
        """
        if not len(self.solver.inputs) or (a.shape == b.shape and far(a, b) < JUMP):
            return
        near = ON_CURVE * self.solver.box.step
        accounted = any(distance(line.points, a.u) < near for line in self.lines)
        carried = zip(self.solver.stationary_points([a], b.u) + self.solver.stationary_points([b], a.u), (b, a), strict=True)
        if any(new.stable and new.loss < own.loss * (1 - LOWER) for new, own in carried):  # the lowest has been lost on its way
            accounted = accounted or any(passes(line.points, *self._way) for line in self.lines)
        if not accounted:
            self.missed.append(_met(a, b))

    def visit(self, u, curve):
        """Follow a curve from its point u, and the curves that leave the points at its ends, unless they are known."""
        waiting = deque([(u, curve)])
        while waiting:
            u, curve = waiting.popleft()
            if any(line.passes(u, curve.solve(u) or curve.states) for line in self.lines):
                continue
            line = Line.through(u, curve, locate)
            if not (line.extends or line.is_crossed):
                continue
            self.followed(1)
            self.lines.append(line)
            waiting.extend(self._departures(line))

    def depart(self, line):
        """Follow the curves that leave the points at the ends of a line."""
        for u, curve in self._departures(line):
            self.visit(u, curve)

    def _departures(self, line):
        """Yield (u, curve) for those that leave the points at the ends of a line, where they are new."""
        for node in line.nodes:
            if all(np.linalg.norm(node.u - known.u) > ONE_POINT for known in self.nodes):
                self.nodes.append(node)
                for state in node.states:
                    if state.stable and node.kind != "critical point":
                        self.solver.competitors.note(state)
                yield from node.departures()


def _met(a, b):
    """The point between two minima, lowest side by side, as a PhaseBoundary that could not be followed."""
    family, bracket = a.family, np.array([a.u, b.u])
    norms = np.array([[np.linalg.norm(state.weights[:, -1])] for state in (a, b)])
    minima, free = (np.array([[getattr(state, name)] for state in (a, b)]) for name in ("x", "free"))
    return PhaseBoundary(
        (a.phase, b.phase),
        *family.values(bracket.mean(axis=0)[None]),
        "first" if far(a, b) >= JUMP else "continuous",
        np.abs(np.diff([[family.rate(state.x, state.u)] for state in (a, b)], axis=0)[0]),
        norms,
        ("unresolved", "unresolved"),
        minima,
        free,
        precision=np.array([np.linalg.norm(a.u - b.u)]),
        brackets=np.stack(family.values(np.array([bracket, bracket])), axis=-1),
        reasons=(_MET, _MET),
        axes=family.axes,
    )


def _related(a, b):
    """Whether two lowest minima may be one: each becomes the other between their places, as far as single steps can tell."""
    if far(a, b) < NEAR:
        return a.phase == b.phase
    ways = ((a, b), (b, a))
    return a.shape == b.shape and all(far(a.family.stationary(one, other.u), other) < ONE_BRANCH for one, other in ways)


def _between(a, b):
    """The curve that separates the minimum a, lowest where it was solved, from b, and its point on the way; (None, None)."""
    along = b.u - a.u
    if not np.any(along):
        return None, None
    normal = np.array([-along[1], along[0]]) / np.linalg.norm(along)
    for state in (a, b):
        if state.held and state.curvature < NEAR:
            curve = BranchPoints(state)
            if len(state.family.inputs) and curve.value(a.u) * curve.value(b.u) > 0:  # a valley is flat everywhere
                continue
            u = curve.at(state.u, normal)
            if u is not None and 0 <= (u - a.u) @ along <= along @ along:
                curve.move_to(u)
                if curve.exists(u):
                    return curve, u
    solver, middle = a.family, (a.u + b.u) / 2
    one, other = solver.stationary_points([a, b], middle)
    if (
        not all(new.converged and new.stable and far(new, old) < 2 * JUMP for new, old in ((one, a), (other, b)))
        or far(one, other) < ONE_BRANCH
    ):
        return None, None
    curve = Coexistence(one, other)
    u = curve.at(middle, normal)
    if u is None or not -ONE_BRANCH <= (u - a.u) @ along / (along @ along) <= 1 + ONE_BRANCH:
        return None, None
    curve.move_to(u)
    return (curve, u) if curve.exists(u) else (None, None)


def pairs(solver, diagram):
    """Yield the lowest minima of neighbouring cells, where they differ, and of points between cells that lie far apart."""
    u = nodes(solver, diagram)
    shape, lowest = u.shape[:2], {}
    x = flatten(diagram.weights, diagram.bias)
    copies = np.array([solver.copies(row) for row in x.reshape(-1, x.shape[-1])])
    keys = solver.invariants(copies).reshape(*shape, copies.shape[1], -1)

    def at(cell):
        """The lowest minimum of a cell, solved once."""
        if cell not in lowest:
            lowest[cell] = lowest_in(solver, diagram, u, cell)
        return lowest[cell]

    for i, j in np.ndindex(shape):
        for other in ((i + 1, j), (i, j + 1)):
            if other[0] < shape[0] and other[1] < shape[1]:
                one = i, j
                moved = np.min(np.max(np.abs(keys[one][0] - keys[other]), axis=-1))
                if diagram.phase[one] != diagram.phase[other] or moved >= NEAR:
                    yield at(one), at(other)


def nodes(family, diagram):
    """The grid's points u, shape (n_y, n_x, 2)."""
    return family.points(diagram.x, diagram.y[:, None])


def beside(u, diagram, box):
    """A point a little inward of u, by parts of the grid's spacing: on a boundary a node of the grid itself belongs to no side.

    Along a coordinate that has one value in the whole diagram nothing lies inward.
    """
    spacing = (box.high - box.low) / np.maximum([diagram.x.size - 1, diagram.y.size - 1], 1)
    return u + np.where(u < (box.low + box.high) / 2, 1.0, -1.0) * np.array(BESIDE) * spacing


def lowest_in(solver, diagram, u, cell):
    """The minimum with the lowest loss in a cell: at the node, or beside it where several tie.

    At density 1 what is answered to inputs that do not occur there is free: minima of certain values always tie.
    """
    box, x = solver.box, flatten(diagram.weights[cell], diagram.bias[cell])
    first, last = np.searchsorted(diagram.minima_cell, np.ravel_multi_index(cell, u.shape[:2]) + np.arange(2))
    minima = diagram.minima[first:last]
    losses = np.array([solver.loss(one, u[cell]) for one in minima])
    lowest, free = minima[losses <= diagram.loss[cell] * (1 + TIE_TOLERANCE)], solver.all_free
    tied = [Equilibrium(solver, one, (free,), free, u[cell]) for one in lowest]
    free_answers = len(solver.inputs) and box.ties(u[cell])
    if free_answers or TIE_MARK in diagram.phase[cell] or any(far(tied[0], other) > SAME_POINT for other in tied[1:]):
        return solver.competitors.lowest(beside(u[cell], diagram, box))
    frame = solver.all_free
    if solver.patterns is not None:
        frame = solver.patterns[int(np.argmin(diagram.candidate_loss[(slice(None), *cell)]))]
    return solver.recognized(x, frame, u[cell])
