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
from .continuation import Point, Way, distance, follow, passes
from .curves import Coexistence, tangent_of
from .equilibria import Equilibrium, Solver, far
from .junctions import locate
from .normal_forms import branches
from .singular import BranchPoints
from .tolerances import BESIDE, JUMP, LOWER, NEAR, ONE_POINT, SAME, TYING

_SAME_BRANCH = 1e-6
"""A minimum that becomes another one, up to rounding where it is soft, is the same."""
_BEYOND = 0.02
"""Part of the way from a continuous boundary to what lies beyond it at which that is looked for."""
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

    def miss(self, a, b):
        """Remember a boundary between the minima a and b, lowest side by side, that no curve accounts for.

        Of laws of certain values alone: of others rounding may tell apart what ties at the edge.
        """
        if not len(self.solver.inputs) or (a.shape == b.shape and far(a, b) < JUMP):
            return
        near = 0.1 * self.solver.box.step
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


class Followed:
    """A curve followed from one of its points to both ends.

    trail: its points, in order, a list of Point; ways: to its first and its last point; curve: at any of them.
    """

    def __init__(self, curve, trail, ways):
        self.curve, self.trail, self.ways = curve, trail, ways

    @classmethod
    def through(cls, u, curve, locate=None):
        """The curve through its point u, followed both ways."""
        curve.move_to(u)
        ahead = follow(curve.anew(), u, 1.0, locate)
        back = ahead if ahead.end == "closed" else follow(curve.anew(), u, -1.0, locate)
        here = Point(u, curve.states, curve.precision)
        return cls(curve, [*([] if back is ahead else back.trail[::-1]), here, *ahead.trail], [back, ahead])

    def go_on(self, locate):
        """Follow the curve on where it could not be ended."""
        for k, way in enumerate(self.ways):
            if way.is_open:
                u, states, _ = self.trail[-k]
                curve = self.curve.anew()
                curve.states = states
                outward = u - self.trail[1 - 3 * k].u if len(self.trail) > 1 else np.diff(way.bracket, axis=0)[0]
                sense = np.copysign(1.0, tangent_of(curve.slope(u)) @ outward)
                self.ways[k] = way = follow(curve, u, sense, locate)
                self.trail = [*self.trail, *way.trail] if k else [*way.trail[::-1], *self.trail]

    @property
    def is_open(self):
        """Whether it could not be ended."""
        return any(way.is_open for way in self.ways)

    @property
    def ends(self):
        """Why it ends at its first and last point."""
        return tuple("unresolved" if way.is_open else way.end for way in self.ways)

    @property
    def account(self):
        """What is said of how a curve was solved: precision, brackets and reasons, fields of a result."""
        family, brackets = self.curve.family, np.array([way.bracket for way in self.ways])
        return {
            "precision": np.array([point.precision for point in self.trail]),
            "brackets": np.stack(family.values(brackets), axis=-1),
            "reasons": tuple(way.why for way in self.ways),
            "axes": family.axes,
        }

    @property
    def nodes(self):
        """The codimension-two points in which it ends."""
        return [way.node for way in self.ways if way.node is not None]

    @property
    def points(self):
        """Its points, shape (n_points, 2)."""
        return np.array([point.u for point in self.trail])

    def nearest(self, u):
        """The equilibria at its point that is nearest to u."""
        return self.trail[int(np.argmin(np.linalg.norm(self.points - u, axis=1)))].states

    def passes(self, u, states):
        """Whether it passes through u, of the same equilibrium."""
        own = self.nearest(u)[0]
        near = distance(self.points, u) <= 0.1 * self.curve.family.box.step
        return near and own.shape == states[0].shape and far(own, states[0]) < NEAR

    @property
    def is_crossed(self):
        """Whether it is the point in which a diagram of one row or column crosses a curve."""
        return len(self.trail) == 1 and not np.all(self.curve.family.box.wide)


def trail_of(solver, boundary):
    """The points of a PhaseBoundary with the two minima at each, a list of Point."""
    u = solver.points(boundary.x, boundary.y)
    sides = zip(boundary.minima, boundary.free, strict=True)
    one, other = ([solver.known(*state) for state in zip(x, free, u, strict=True)] for x, free in sides)
    return [Point(*point) for point in zip(u, zip(one, other, strict=True), boundary.precision, strict=True)]


class Line(Followed):
    """A boundary followed to both ends."""

    @classmethod
    def known(cls, solver, boundary):
        """That of a PhaseBoundary."""
        trail = trail_of(solver, boundary)
        pair = trail[len(trail) // 2].states
        curve = Coexistence(*pair) if boundary.order == "first" else BranchPoints(pair[0])
        brackets = solver.points(*np.moveaxis(boundary.brackets, -1, 0))
        ways = [Way([], *one) for one in zip(boundary.ends, brackets, (None, None), boundary.reasons, strict=True)]
        return cls(curve, trail, ways)

    @property
    def extends(self):
        """Whether it leads anywhere: not where it returns to its first point without being closed, nor along the greatest value.

        Its minima are then not told apart; at density 1, x and 1 − x have one law: aligned and antipodal directions tie all
        along this edge.
        """
        points = self.points
        returns = np.linalg.norm(points[0] - points[-1]) < ONE_POINT and self.ends[0] != "closed"
        return not returns and not np.any(np.all(np.abs(points - self.curve.family.box.most) < TYING, axis=0))

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
        curve, points, both = self.curve, self.points, [point.states for point in self.trail]
        norms = np.array([[np.linalg.norm(state.weights[:, -1]) for state in pair] for pair in both]).T
        x, y = curve.family.values(points)
        minima, free = (np.array([[getattr(pair[k], name) for pair in both] for k in (0, 1)]) for name in ("x", "free"))
        if curve.order == "continuous":
            phases = self._turning_into()
            latent = np.zeros(len(points))
        else:
            widest = max(both, key=lambda pair: far(*pair))
            phases = tuple(state.phase for state in widest)
            one, other = curve.family.rate(minima, points)
            latent = np.abs(one - other)
        return PhaseBoundary(phases, x, y, curve.order, latent, norms, self.ends, minima, free, **self.account)

    def _turning_into(self):
        """Names of the symmetric phase and of the one that it turns into, beyond the middle of a limit of stability."""
        u, (state, _), _ = self.trail[len(self.trail) // 2]
        family, slope = self.curve.family, BranchPoints(state).slope(u)
        for reach in (0.3, 0.1, 1.0):
            beyond = family.stationary(state, u - reach * family.box.step * slope / np.linalg.norm(slope))
            if not beyond.converged:
                continue
            turned = min(branches(beyond), key=lambda s: s.loss, default=None)
            if turned is not None and turned.phase != state.phase:
                return state.phase, turned.phase
        return state.phase, state.phase
