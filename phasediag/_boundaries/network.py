"""Boundaries of the relaxed and global theories: curves on which solved minima coexist, or one turns into another.

Minima are carried along as warm starts, never looked up: at every point the two that compete are solved again. A curve is
followed from wherever it is met first to the codimension-two points at its ends; from there, the other curves that meet in them.
"""

from collections import deque

import numpy as np

from .._minimizing.flat import flatten
from .._minimizing.stationary_points import SAME_POINT, invariants
from .._progress import progress_bar
from ..boundaries import PhaseBoundary, TriplePoint
from ..theories import TIE_MARK, TIE_TOLERANCE
from .competitors import Competitors
from .continuation import distance, follow, passes
from .curves import BranchPoints, Coexistence
from .equilibria import Equilibrium, Solver, far
from .junctions import locate
from .normal_forms import branches
from .tolerances import BESIDE, JUMP, NEAR, ONE_POINT, SAME

_SAME_BRANCH = 1e-6
"""A minimum that becomes another one, up to rounding where it is soft, is the same."""
_BEYOND = 0.02
"""Part of the way from a continuous boundary to what lies beyond it at which that is looked for."""
_TYING = 1e-4
"""Coordinates so near to the greatest that minima which tie there cannot be told apart by their losses."""
_DEEPEST = 40
"""Halvings of the way between two minima until what lies between them is found."""


def solved_boundaries(diagram, progress=False):
    """Find the boundaries and triple points of a relaxed or global diagram: (list of PhaseBoundary, list of TriplePoint)."""
    with progress_bar(None, progress, "curve", "boundaries") as followed:
        solver = Solver(diagram)
        solver.competitors = Competitors(solver, diagram)
        network = Network(solver, followed)
        for pair in pairs(solver, diagram):
            network.cross(*pair)
        for pair in list(solver.competitors.neighbours()):
            network.cross(*pair)

    def names(state):
        """The phase of an equilibrium, and of those that it is about to turn into."""
        turning = state.held and abs(state.curvature) < SAME * 100
        return [state.phase, *(branch.phase for branch in (branches(state) if turning else []))]

    return [line.boundary() for line in network.lines], triple_points(solver, network.lines, names)


def triple_points(family, lines, names):
    """The triple points in which lines end, each once, with the phases that ``names`` gives for what meets in them."""
    found = {}
    for node in (node for line in lines for node in line.nodes if node.kind == "triple point"):
        known = next((phases for u, phases in found.values() if np.linalg.norm(u - node.u) < ONE_POINT), None)
        if known is None:
            known = found.setdefault(node, (node.u, []))[1]
        known.extend(name for state in node.states for name in names(state))
    return [TriplePoint(*map(float, family.values(u)), tuple(dict.fromkeys(phases)), family.axes) for u, phases in found.values()]


class Network:
    """The lines followed so far and the codimension-two points in which they meet; ``followed`` is called for each line."""

    def __init__(self, solver, followed=lambda _: None):
        self.solver, self.followed, self.lines, self.nodes = solver, followed, [], []

    def cross(self, a, b, depth=0):
        """Follow the boundaries met on the way from the minimum a, lowest where it was solved, to b."""
        length = np.linalg.norm(b.u - a.u)
        related = _related(a, b)
        if (related and far(a, b) < JUMP) or depth > _DEEPEST or length < ONE_POINT:
            return
        if any(line.separates(a, b) for line in self.lines):
            return
        middle, (curve, u) = (a.u + b.u) / 2, (None, None) if related else _between(a, b)
        if curve is not None:
            event = curve.event(u)
            if event is None:
                self.visit(u, curve)
                if curve.order == "continuous":  # what else lies on the way begins beyond it
                    beyond = [self.solver.competitors.lowest(u + _BEYOND * (end.u - u)) for end in (a, b)]
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

    def visit(self, u, curve):
        """Follow a curve from its point u, and the curves that leave the points at its ends, unless they are known."""
        waiting = deque([(u, curve)])
        while waiting:
            u, curve = waiting.popleft()
            if any(line.passes(u, curve.solve(u) or curve.states) for line in self.lines):
                continue
            line = Line(u, curve, locate)
            if not (line.extends or line.is_crossed):
                continue
            self.followed(1)
            self.lines.append(line)
            for node in line.nodes:
                if all(np.linalg.norm(node.u - known.u) > ONE_POINT for known in self.nodes):
                    self.nodes.append(node)
                    for state in node.states:
                        if state.stable and node.kind != "critical point":
                            self.solver.competitors.note(state)
                    waiting.extend(node.departures())


def _related(a, b):
    """Whether two lowest minima may be one: each becomes the other between their places, as far as single steps can tell."""
    if far(a, b) < NEAR:
        return a.phase == b.phase
    ways = ((a, b), (b, a))
    return a.shape == b.shape and all(far(a.family.stationary(one, other.u), other) < _SAME_BRANCH for one, other in ways)


def _between(a, b):
    """The curve that separates the minimum a, lowest where it was solved, from b, and its point on the way; (None, None)."""
    along = b.u - a.u
    if not np.any(along):
        return None, None
    normal = np.array([-along[1], along[0]]) / np.linalg.norm(along)
    for state in (a, b):
        if state.held and state.curvature < NEAR:
            curve = BranchPoints(state)
            u = curve.at(state.u, normal)
            if u is not None and 0 <= (u - a.u) @ along <= along @ along:
                curve.move_to(u)
                if curve.exists(u):
                    return curve, u
    solver, middle = a.family, (a.u + b.u) / 2
    one, other = solver.stationary_points([a, b], middle)
    if (
        not all(new.converged and new.stable and far(new, old) < 2 * JUMP for new, old in ((one, a), (other, b)))
        or far(one, other) < 1e-6
    ):
        return None, None
    curve = Coexistence(one, other)
    u = curve.at(middle, normal)
    if u is None or not -1e-6 <= (u - a.u) @ along / (along @ along) <= 1 + 1e-6:
        return None, None
    curve.move_to(u)
    return (curve, u) if curve.exists(u) else (None, None)


def pairs(solver, diagram):
    """Yield the lowest minima of neighbouring cells, where they differ, and of points between cells that lie far apart."""
    u = nodes(solver, diagram)
    shape, lowest = u.shape[:2], {}
    x = flatten(diagram.weights, diagram.bias)
    copies = np.array([solver.copies(row) for row in x.reshape(-1, x.shape[-1])])
    keys = invariants(copies, solver.m, solver.classes).reshape(*shape, copies.shape[1], -1)

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
    """The minimum with the lowest loss in a cell: at the node, or beside it where several tie."""
    box, x = solver.box, flatten(diagram.weights[cell], diagram.bias[cell])
    first, last = np.searchsorted(diagram.minima_cell, np.ravel_multi_index(cell, u.shape[:2]) + np.arange(2))
    minima = diagram.minima[first:last]
    losses = np.array([solver.loss(one, u[cell]) for one in minima])
    lowest, free = minima[losses <= diagram.loss[cell] * (1 + TIE_TOLERANCE)], solver.all_free
    tied = [Equilibrium(solver, one, (free,), free, u[cell]) for one in lowest]
    if TIE_MARK in diagram.phase[cell] or any(far(tied[0], other) > SAME_POINT for other in tied[1:]):
        return solver.competitors.lowest(beside(u[cell], diagram, box))
    frame = solver.all_free
    if solver.patterns is not None:
        frame = solver.patterns[int(np.argmin(diagram.candidate_loss[(slice(None), *cell)]))]
    return solver.recognized(x, frame, u[cell])


class Followed:
    """A curve followed from one of its points to both ends.

    trail: points u with the equilibria there, in order; ways: to its first and its last point.
    """

    def __init__(self, u, curve, locate=None):
        curve.move_to(u)
        self.curve = curve
        ahead = follow(curve.anew(), u, 1.0, locate)
        back = ahead if ahead.end == "closed" else follow(curve.anew(), u, -1.0, locate)
        self.trail = [*([] if back is ahead else back.trail[::-1]), (u, curve.states), *ahead.trail]
        self.ways = back, ahead

    @property
    def ends(self):
        """Why it ends at its first and last point."""
        return tuple(way.end for way in self.ways)

    @property
    def nodes(self):
        """The codimension-two points in which it ends."""
        return [way.node for way in self.ways if way.node is not None]

    @property
    def points(self):
        """Its points, shape (n_points, 2)."""
        return np.array([u for u, _ in self.trail])

    def nearest(self, u):
        """The equilibria at its point that is nearest to u."""
        return self.trail[int(np.argmin(np.linalg.norm(self.points - u, axis=1)))][1]

    @property
    def is_crossed(self):
        """Whether it is the point in which a diagram of one row or column crosses a curve."""
        return len(self.trail) == 1 and not np.all(self.curve.family.box.wide)


class Line(Followed):
    """A boundary followed to both ends."""

    @property
    def extends(self):
        """Whether it leads anywhere: not where it returns to its first point without being closed, nor along the greatest value.

        Its minima are then not told apart; at density 1, x and 1 − x have one law: aligned and antipodal directions tie all
        along this edge.
        """
        points = self.points
        returns = np.linalg.norm(points[0] - points[-1]) < ONE_POINT and self.ends[0] != "closed"
        return not returns and not np.any(np.all(np.abs(points - self.curve.family.box.most) < _TYING, axis=0))

    def passes(self, u, pair):
        """Whether the curve passes through u with the same two minima."""
        family = self.curve.family
        if distance(self.points, u) > 0.1 * family.box.step:
            return False
        nearest = self.nearest(u)
        solved = [family.solve(state, u) for state in nearest]
        solved = [new if new.clusters == old.clusters else old for new, old in zip(solved, nearest, strict=True)]
        return any(
            all(a.shape == b.shape and far(a, b) < NEAR for a, b in zip(pair, known, strict=True))
            for one in (nearest, solved)
            for known in (one, one[::-1])
        )

    def separates(self, a, b):
        """Whether the curve crosses the way from a to b, and the minima on its sides become a and b there."""
        if not passes(self.points, a.u, b.u):
            return False
        near, solve = self.nearest((a.u + b.u) / 2), self.curve.family.solve
        for one, other in (near, near[::-1]):
            if far(solve(one, a.u), a) < 1e-6 and far(solve(other, b.u), b) < 1e-6:
                return True
        return False

    def boundary(self):
        """The curve as a PhaseBoundary."""
        curve, points, both = self.curve, self.points, [pair for _, pair in self.trail]
        norms = np.array([[np.linalg.norm(state.weights[:, -1]) for state in pair] for pair in both]).T
        x, y = curve.family.values(points)
        minima, free = (np.array([[getattr(pair[k], name) for pair in both] for k in (0, 1)]) for name in ("x", "free"))
        if curve.order == "continuous":
            phases = self._turning_into()
            latent = np.zeros(len(points))
        else:
            widest = max(both, key=lambda pair: far(*pair))
            phases = tuple(state.phase for state in widest)
            rates = np.array([[curve.family.rate(state.x, u) for state in pair] for u, pair in self.trail])
            latent = np.abs(rates[:, 0] - rates[:, 1])
        return PhaseBoundary(phases, x, y, curve.order, latent, norms, self.ends, minima, free, curve.family.axes)

    def _turning_into(self):
        """Names of the symmetric phase and of the one that it turns into, beyond the middle of a limit of stability."""
        u, (state, _) = self.trail[len(self.trail) // 2]
        family, slope = self.curve.family, BranchPoints(state).slope(u)
        for reach in (0.3, 0.1, 1.0):
            beyond = family.stationary(state, u - reach * family.box.step * slope / np.linalg.norm(slope))
            if not beyond.converged:
                continue
            turned = min(branches(beyond), key=lambda s: s.loss, default=None)
            if turned is not None and turned.phase != state.phase:
                return state.phase, turned.phase
        return state.phase, state.phase
