"""Boundaries of the relaxed and global theories: curves on which solved minima coexist, or one turns into another.

Minima are carried along as warm starts, never looked up: at every point the two that compete are solved again. A curve is
followed from wherever it is met first to the codimension-two points at its ends; from there, the other curves that meet in them.
"""

from contextlib import contextmanager

import numpy as np

from .._arguments import usable_processors
from .._minimizing.flat import flatten
from .._minimizing.stationary_points import SAME_POINT
from .._processes import Workers
from .._progress import progress_bar
from ..boundaries import PhaseBoundary, TriplePoint
from ..theories import TIE_MARK, TIE_TOLERANCE
from .competitors import Competitors
from .continuation import distance, passes
from .equilibria import Equilibrium, Solver, far
from .junctions import locate
from .lines import Line
from .normal_forms import branches
from .tasks import Crossing, Leaving, found_by
from .tolerances import BESIDE, JUMP, LOWER, NEAR, ON_CURVE, ONE_BRANCH, ONE_POINT, SAME

_MET = "the lowest minima on both sides of it are known, but no curve between them is solved for"
"""Of a boundary that has been met, but not followed."""
_TOGETHER = 16
"""Pairs of minima that one task looks at: neighbours have competitors in common."""


@contextmanager
def _network(diagram, settings, n_threads, progress):
    """Yield the `Network` of a diagram, with processes and a line that tells of curves that have been followed."""
    solver = _solver(diagram, settings)
    with (
        progress_bar(None, progress, "curve", "boundaries") as followed,
        Workers(min(n_threads, usable_processors()), solver, _solver, diagram, settings) as workers,
    ):
        yield Network(solver, workers, followed)


def solved_boundaries(diagram, *settings):
    """Find the boundaries and triple points of a relaxed or global diagram: (list of PhaseBoundary, list of TriplePoint)."""
    with _network(diagram, *settings) as network:
        pairs, first = list(neighbours(network.solver, diagram)), {}
        for pair in pairs:
            first.setdefault(frozenset(state.phase for state in pair), pair)
        network.cross(first.values(), 1)
        network.cross(pairs)
        network.cross(network.solver.competitors.neighbours())
        return network.results()


def resumed_boundaries(diagram, *settings):
    """Follow the curves of a diagram on that could not be ended, and what leaves the points in which they end: as above."""
    with _network(diagram, *settings) as network:
        curves = diagram.curves
        network.missed = [boundary for boundary in curves.boundaries if _MET in boundary.reasons]
        lines = [Line.known(network.solver, boundary) for boundary in curves.boundaries if _MET not in boundary.reasons]
        network.points = list(curves.triple_points)
        network.lines = [line for line in lines if not line.is_open]
        for line in (line for line in lines if line.is_open):  # of one curve there may be several pieces
            u, states, _ = line.trail[len(line.trail) // 2]
            if not any(other.passes(u, states) for other in network.lines):
                line.go_on(locate)
                network.do(network.keep(line))
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

    points: triple points that were known before; missed: boundaries that were met but not followed; doubtful: ways on which one
    may have been missed, with the minima (way, a, b) between which that is.

    Lines are followed from where they are met in the order of that, each by itself, by ``workers`` where there are some: with the
    competitors that were known when it was met. What is found does not depend on the number of processes.
    """

    def __init__(self, solver, workers, followed=lambda _: None):
        self.solver, self.followed, self.lines, self.nodes, self.points = solver, followed, [], [], []
        self.missed, self.doubtful, self._workers = [], [], workers

    def results(self):
        """The lines as PhaseBoundary, and the triple points: two lists."""

        def names(state):
            """The phase of an equilibrium, and of those that it is about to turn into."""
            turning = abs(state.curvature) < SAME * 100
            return [state.phase, *(branch.phase for branch in (branches(state) if turning else []))]

        points = triple_points(self.solver, self.lines, names, self.points)
        return [*(line.boundary() for line in self.lines), *self.missed], points

    def cross(self, pairs, together=_TOGETHER):
        """Follow the boundaries between minima (a, b), lowest side by side, which so many at once are looked at for."""
        pairs = [pair for pair in pairs if not self.separates(*pair)]
        self.do([Crossing(self, pairs[k : k + together]) for k in range(0, len(pairs), together)])
        for one in self.doubtful:
            self.miss(*one)
        self.doubtful = []

    def do(self, tasks):
        """Do tasks, and what follows from them."""
        self._workers.do(tasks, lambda task: found_by(self.solver, [], *task.asked))

    def separates(self, a, b, start=0):
        """Whether one of the lines from a number on separates two minima."""
        return any(line.separates(a, b) for line in self.lines[start:])

    def miss(self, way, a, b):
        """Remember a boundary between the minima a and b, lowest side by side on a way, that no curve accounts for.

        Of laws of certain values alone: of others rounding may tell apart what ties at the edge.
        """
        if not len(self.solver.inputs) or (a.shape == b.shape and far(a, b) < JUMP) or self.separates(a, b):
            return
        near = ON_CURVE * self.solver.box.step
        accounted = any(distance(line.points, a.u) < near for line in self.lines)
        carried = zip(self.solver.stationary_points([a], b.u) + self.solver.stationary_points([b], a.u), (b, a), strict=True)
        if any(new.stable and new.loss < own.loss * (1 - LOWER) for new, own in carried):  # the lowest has been lost on its way
            accounted = accounted or any(passes(line.points, *way) for line in self.lines)
        if not accounted:
            self.missed.append(_met(a, b))

    def keep(self, line):
        """Keep a line; return the tasks of finding the curves that leave the points at its ends, where these are new."""
        self.lines.append(line)
        known = len(self.nodes)
        for node in line.nodes:
            met = [state for other in self.nodes if np.linalg.norm(node.u - other.u) < ONE_POINT for state in other.states]
            if any(all(far(state, other) > NEAR for other in met) for state in node.states):  # more than three may tie in a point
                self.nodes.append(node)
        return [Leaving(self, node) for node in self.nodes[known:]]


def _solver(diagram, settings):
    """The solver of a diagram, which compares, and has done nothing yet."""
    solver = Solver(diagram, settings)
    solver.competitors = Competitors(solver, diagram)
    return solver


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


def neighbours(solver, diagram):
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
                if diagram.phase[i, j] != diagram.phase[other] or _jumps(keys, (i, j), other):
                    yield at((i, j)), at(other)


def _jumps(keys, one, other):
    """Whether what lies lowest in a cell may have become another minimum in the next: it moves unlike from either to the next.

    keys: invariants of all copies, shape (n_rows, n_columns, n_copies, n_invariants).
    """

    def step(start, end):
        """From one to the nearest copy of the other, None beyond the grid."""
        if min(end) < 0 or end[0] >= keys.shape[0] or end[1] >= keys.shape[1]:
            return None
        steps = keys[end] - start
        return steps[np.argmin(np.max(np.abs(steps), axis=-1))]

    row, column = other[0] - one[0], other[1] - one[1]
    here = keys[one][0]
    own = step(here, other)
    if np.max(np.abs(own)) < ONE_BRANCH:
        return False
    ahead, behind = step(here + own, (other[0] + row, other[1] + column)), step(here, (one[0] - row, one[1] - column))
    alike = [sign * move for sign, move in ((1, ahead), (-1, behind)) if move is not None]
    return not any(np.max(np.abs(own - move)) < np.max(np.abs(own)) / 2 for move in alike)


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
