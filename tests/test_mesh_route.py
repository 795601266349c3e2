"""An independent route to the curves between phases: marching squares on a mesh that is refined where curves meet.

Every vertex has its minima by fresh descents, every edge is solved to rounding for points at which the lowest minimum changes; a
cell around which the changes do not cancel in pairs holds a point where curves meet or end, and is divided. Nothing of what
follows curves is used. A network that lies within one cell of the coarsest mesh and crosses none of its edges would not be seen.
"""

from collections import namedtuple
from itertools import combinations

import numpy as np
import pytest
from scipy.optimize import brentq, root

from phasediag import ToyModel, classify, expected_loss_hessian, minimize, phase_diagram
from phasediag._minimizing.flat import flatten, parts
from phasediag._minimizing.search import settle_model
from phasediag._minimizing.stationary_points import invariants
from phasediag.order_parameters import upright

SAME = 1e-5  # of invariants: two descents have ended in one minimum
SMALLEST = 1e-3  # cells (in logarithms) are divided no farther
ACROSS = 1e-3  # half the length of edges across a curve that is looked at
TOUCHING = 1e-4  # the same, at the limit of a symmetry, where descents come to rest early
NO_LENGTH = 1e-9
ALIKE = 0.3  # of the distance across a curve: two crossings of it differ by less along it
KICKS = -0.2, -0.03, 0.03, 0.2  # along what symmetry keeps at 0
BEYOND = 0.5, 0.1, 0.02  # parts of the way from the limit of a symmetry at which what it turns into is looked at,
TURNED = 0.1  # until that is so near to the symmetric point
BLURRED = 1e-2  # so near to where the order of a curve changes rounding does not tell the order
SPLIT = 0.485  # where cells and edges are divided: not in the middle, where symmetric curves lie
SIDE = 1e-5  # one-sided curvatures are extrapolated from this far aside
AGREE = 1e-8  # of the logarithms of importance and density

Minimum = namedtuple("Minimum", "x loss key phase")
Vertex = namedtuple("Vertex", "u minima")  # the lowest first
Crossing = namedtuple("Crossing", "u one other order")  # from the minimum ``one`` to ``other``, along the edge


def distance(one, other):
    """How far two minima are apart, in invariants."""
    return np.max(np.abs(one.key - other.key))


def names(crossing):
    """What a boundary says of a crossing: the phases, in one order, and the order of the transition."""
    return (*sorted((crossing.one.phase, crossing.other.phase)), crossing.order)


def are_inverse(one, other):
    """Whether two crossings met around a cell enter and leave through one curve."""
    if (one.order, one.one.phase, one.other.phase) != (other.order, other.other.phase, other.one.phase):
        return False
    if one.one.phase != one.other.phase:
        return True
    crosswise = distance(one.one, other.other) + distance(one.other, other.one)
    return crosswise < ALIKE * (distance(one.one, other.one) + distance(one.other, other.other))


def left_over(around):
    """What is left of the crossings around a cell when neighbours that are inverse cancel, again and again."""
    left = list(around)
    for k in range(len(left)):
        if len(left) > 1 and are_inverse(left[k], left[k - 1]):
            return left_over([c for at, c in enumerate(left) if at not in (k, k - 1 if k else len(left) - 1)])
    return left


def reversed_path(crossings):
    """The crossings in the other direction."""
    return [Crossing(c.u, c.other, c.one, c.order) for c in crossings[::-1]]


class Mesh:
    """A mesh over a window of the plane of log importance and log density: cells, crossings of their edges, junctions."""

    def __init__(self, n_features, n_hidden, importance, density, n_cells):
        self.n, self.m = n_features, n_hidden
        self.classes = tuple(range(self.n - 1)), (self.n - 1,)
        self.axes = [np.linspace(*np.log(ends), n_cells + 1) for ends in (importance, density)]
        self.edges, self.leaves = {}, []
        vertices = self._searched()
        size = range(n_cells)
        for i in size:
            for j in size:
                self._divide([vertices[i, j], vertices[i + 1, j], vertices[i + 1, j + 1], vertices[i, j + 1]])

    def model(self, u):
        """The model at a point."""
        return ToyModel(self.m, [*[1.0] * (self.n - 1), np.exp(u[0])], min(np.exp(u[1]), 1.0))

    def minima(self, points, u, **limits):
        """The distinct minima, lowest first, at which descents from flat points end."""
        ends, found = settle_model(self.model(u), np.array(points), radius=0.1, **limits), []
        for end in [end for end in ends if end.is_minimum or limits] or ends[:1]:
            x = flatten(upright(parts(end.x, self.m)[0]), parts(end.x, self.m)[1])
            new = Minimum(x, end.scaled_loss, invariants(x, self.m, self.classes), classify(parts(x, self.m)[0]).name)
            if not any(distance(new, other) < SAME for other in found):
                found.append(new)
        return sorted(found, key=lambda one: one.loss)

    def carried(self, minimum, u):
        """The minimum to which a descent from another leads at u."""
        return self.minima([minimum.x], u)[0]

    def vertex(self, u, *near, kicked=None, searched=False):
        """A vertex with the minima to which those of vertices near by lead, those next to a symmetric point, and of a search."""
        starts = [one.x for vertex in near for one in vertex.minima]
        for k in [] if kicked is None else np.flatnonzero(np.abs(kicked.x[: -self.n]) < SAME):
            starts += [kicked.x + kick * np.eye(kicked.x.size)[k] for kick in KICKS]
        if searched:
            found = minimize(self.model(u), effort="quick", seed=0)
            starts += [flatten(one.weights, one.bias) for one in found]
        return Vertex(np.array(u), self.minima(starts, u))

    def _searched(self):
        """The vertices of the coarsest mesh by their indices: a search at each, and the minima of all neighbours."""
        shape, vertices = [axis.size for axis in self.axes], {}
        for i, j in np.ndindex(*shape):
            u = np.array([self.axes[0][i], self.axes[1][j]])
            vertices[i, j] = self.vertex(u, searched=True)
        waiting = list(vertices)
        while waiting:
            i, j = waiting.pop()
            for at in ((i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)):
                if at in vertices:
                    learned = self.vertex(vertices[at].u, vertices[at], vertices[i, j])
                    if len(learned.minima) > len(vertices[at].minima):
                        waiting.append(at)
                    vertices[at] = learned
        return vertices

    def _divide(self, corners):
        """Solve the edges of a cell; divide it when the crossings around it do not cancel."""
        around = []
        for one, other in zip(corners, corners[1:] + corners[:1], strict=True):
            around += self.edge(one, other)
        size = np.max(np.abs(corners[2].u - corners[0].u))
        if not left_over(around) or size < SMALLEST:
            self.leaves.append((corners, around))
            return
        sides = list(zip(corners, corners[1:] + corners[:1], strict=True))
        cut = corners[0].u + SPLIT * (corners[2].u - corners[0].u)
        middles = [self.vertex(np.where(p.u == q.u, p.u, cut), p, q) for p, q in sides]
        centre = self.vertex(cut, *corners)
        for k in range(4):
            self._divide([corners[k], middles[k], centre, middles[k - 1]])

    def edge(self, p, q):
        """The crossings of an edge from p to q, solved once."""
        there, back = (tuple(p.u), tuple(q.u)), (tuple(q.u), tuple(p.u))
        if back in self.edges:
            return reversed_path(self.edges[back])
        if there not in self.edges:
            self.edges[there] = self.crossings(p, q)
        return self.edges[there]

    def crossings(self, p, q):
        """The points from p to q at which the lowest minimum changes, in order: a list of Crossing."""
        a, b = p.minima[0], q.minima[0]
        ahead, back = self.carried(a, q.u), self.carried(b, p.u)
        length = np.max(np.abs(q.u - p.u))
        if length < NO_LENGTH:
            return []  # a crossing that is missed leaves a cell around which the others do not cancel
        if distance(ahead, b) < SAME and distance(back, a) < SAME:
            if a.phase != b.phase:
                if np.sum(np.abs(a.x) > SAME) < np.sum(np.abs(b.x) > SAME):
                    return self._breaking(p, q)
                return reversed_path(self._breaking(q, p))
            middle = self.vertex(p.u + SPLIT * (q.u - p.u), p, q).minima[0]
            if distance(a, b) < SAME or max(distance(a, middle), distance(middle, b)) < 0.9 * distance(a, b):
                return []  # no jump hides in it
        goes_on = distance(self.carried(ahead, p.u), a) < SAME and distance(ahead, b) > SAME
        comes_from = distance(self.carried(back, q.u), b) < SAME and distance(back, a) > SAME

        def difference(t):
            u = p.u + t * (q.u - p.u)
            return self.carried(a, u).loss - self.carried(b, u).loss

        if not (goes_on and comes_from and difference(0) < 0 < difference(1)):
            middle = self.vertex(p.u + SPLIT * (q.u - p.u), p, q)
            return self.crossings(p, middle) + self.crossings(middle, q)

        u = p.u + brentq(difference, 0, 1, xtol=1e-15) * (q.u - p.u)
        a, b, here = self.carried(a, u), self.carried(b, u), self.vertex(u, p, q, searched=True)
        if here.minima[0].loss < a.loss * (1 - 1e-12):
            return self.crossings(p, here) + self.crossings(here, q)
        found = [Crossing(u, a, b, "first")]  # what is carried may have changed its phase on the way
        if a.phase != p.minima[0].phase:
            found = self.crossings(p, Vertex(u, [a, *here.minima])) + found
        return found if b.phase == q.minima[0].phase else found + self.crossings(Vertex(u, [b, *here.minima]), q)

    def _breaking(self, p, q):
        """The crossings of an edge along which the lowest minimum, symmetric at p, has lost a symmetry before q."""
        symmetric = p.minima[0]

        def between(t):
            return p.u + t * (q.u - p.u)

        def softness(t):
            return self.softest(self.held(symmetric, between(t)), between(t))

        last = 1.0 if softness(1.0) > 0 else brentq(softness, 0, 1, xtol=1e-15)
        end = self.vertex(between(last), p, q) if last < 1 else q
        broken, limit = end.minima[0], self.held(symmetric, end.u)
        if distance(broken, limit) < TOUCHING or broken.loss > limit.loss * (1 - 1e-12):
            for part in BEYOND:  # another curve may lie between the limit and what is farther away
                at = between(last + part * (1 - last))
                beyond = self.vertex(at, q, kicked=self.held(symmetric, at), searched=True)
                if distance(beyond.minima[0], limit) < TURNED:
                    break
            if distance(beyond.minima[0], limit) < TOUCHING:
                return [Crossing(end.u, symmetric, q.minima[0], "continuous")]
            return [Crossing(end.u, symmetric, beyond.minima[0], "continuous"), *self.crossings(beyond, q)]
        first = 0.0
        while last - first > 1e-12:  # another minimum is lower before the symmetric one ceases
            middle = (first + last) / 2
            lower = self.carried(broken, between(middle)).loss < self.held(symmetric, between(middle)).loss * (1 - 1e-14)
            first, last = (first, middle) if lower else (middle, last)
        here = self.vertex(between(last), p, q, kicked=limit, searched=True)
        broken, symmetric = self.carried(broken, here.u), self.held(symmetric, here.u)
        if here.minima[0].loss < symmetric.loss * (1 - 1e-12):
            return self.crossings(p, here) + self.crossings(here, q)
        return [Crossing(here.u, symmetric, broken, "first"), *self.crossings(Vertex(here.u, [broken, *here.minima]), q)]

    def held(self, symmetric, u):
        """The stationary point at u that keeps the zeros of a symmetric one."""
        return self.minima([symmetric.x], u, free=np.append(np.abs(symmetric.x[: -self.n]) > SAME, np.ones(self.n, bool)))[0]

    def softest(self, symmetric, u):
        """The lowest one-sided curvature of a stationary point along directions that break its symmetry."""
        model, x = self.model(u), symmetric.x

        def hessian(y):
            """With unit curvature along the rotations of x."""
            weights, bias = parts(x, self.m)
            second = expected_loss_hessian(model, *parts(y, self.m)) / model.loss_scale
            for k in range(self.m):
                for l in range(k):
                    turn = np.zeros((self.m, self.n))
                    turn[k], turn[l] = weights[l], -weights[k]
                    r = flatten(turn, 0 * bias)
                    second += np.outer(r, r) / max(r @ r, 1e-300)
            return second

        lowest = np.inf
        for k in np.flatnonzero(np.abs(x[: -self.n]) < SAME):
            for sign in (1.0, -1.0):
                d = sign * np.eye(x.size)[k]
                for _ in range(8):
                    last, vectors = d, np.linalg.eigh(hessian(x + SIDE * d))[1]
                    d = vectors[:, 0] * np.copysign(1.0, vectors[:, 0] @ d)
                    if np.max(np.abs(d - last)) < 1e-4:
                        break
                lowest = min(lowest, 2 * d @ hessian(x + SIDE * d) @ d - d @ hessian(x + 2 * SIDE * d) @ d)
        return lowest

    def junctions(self):
        """The smallest cells around which crossings are left over: a list of (corners, crossings left over)."""
        left = ((corners, left_over(around)) for corners, around in self.leaves)
        return [(corners, crossings) for corners, crossings in left if crossings]

    def at(self, u):
        """The corners of the smallest cell around u."""
        low_high = [(np.min(corners, axis=0), np.max(corners, axis=0)) for corners in ([v.u for v in c] for c, _ in self.leaves)]
        inside = [k for k, (low, high) in enumerate(low_high) if np.all((low - AGREE <= u) & (u <= high + AGREE))]
        return self.leaves[inside[0]][0] if inside else None

    def meeting(self, corners):
        """The points next to a cell at which three of the minima at its corners have one loss, and none a lower one."""
        sides = []
        for one in [minimum for vertex in corners for minimum in vertex.minima]:
            if not any(distance(one, other) < 0.01 for other in sides):
                sides.append(one)
        for three in combinations(sides, 3):

            def differences(v, three=three):
                first, *others = (self.carried(one, v).loss for one in three)
                return [other / first - 1 for other in others]

            found = root(differences, corners[0].u, tol=1e-13)
            if np.max(np.abs(found.x - corners[0].u)) < 2 * SMALLEST and np.max(np.abs(found.fun)) < 1e-12:
                there = [self.carried(one, found.x) for one in three]
                if min(distance(one, other) for one, other in combinations(there, 2)) < 1e-3:
                    continue  # two have become one
                if there[0].loss < self.vertex(found.x, *corners).minima[0].loss * (1 + 1e-12):
                    yield found.x


def along(boundary):
    """The points of a boundary in the plane of logarithms, (n_points, 2)."""
    return np.log(np.transpose([boundary.importance, boundary.density]))


def off(u, points):
    """How far u is from a line through points, in parts of the length of its nearest piece."""
    start, step = points[:-1], np.diff(points, axis=0)
    part = np.clip(np.sum((u - start) * step, axis=1) / np.maximum(np.sum(step**2, axis=1), 1e-300), 0, 1)
    apart = np.linalg.norm(start + part[:, None] * step - u, axis=1)
    return np.min(apart / (np.linalg.norm(step, axis=1) + AGREE))


def check(mesh, diagram, n_points):
    """Assert that mesh and diagram have the same curves, junctions and triple points; return how many were compared."""
    boundaries = diagram.boundaries()
    kinds = [((*sorted(boundary.phases), boundary.order), along(boundary)) for boundary in boundaries]
    crossings = [c for found in mesh.edges.values() for c in found]
    changes = [
        points[k] for b, (_, points) in zip(boundaries, kinds, strict=True) for k in (0, -1) if b.ends[k] == "order changes"
    ]

    def is_blurred(u):
        return any(np.max(np.abs(u - change)) < BLURRED for change in changes)

    crossings = [c for c in crossings if not is_blurred(c.u)]
    for c in crossings:  # no other curve is met
        assert min((off(c.u, points) for kind, points in kinds if kind == names(c)), default=np.inf) < 0.1, (
            names(c),
            np.exp(c.u),
        )
    compared = 0
    for kind, points in kinds:  # every curve is met where it is said to be
        for k in np.unique(np.linspace(0, len(points) - 1, n_points + 2).astype(int)[1:-1]):
            u, corners = points[k], mesh.at(points[k])
            if corners is None or not 0 < k < len(points) - 1 or is_blurred(u):
                continue
            step = points[k + 1] - points[k - 1]
            aside = ACROSS * np.array([-step[1], step[0]]) / np.linalg.norm(step)
            if (u + np.abs(aside))[1] >= 0:
                continue
            met = mesh.crossings(mesh.vertex(u - aside, *corners), mesh.vertex(u + aside, *corners))
            assert sum(names(c) == kind and np.max(np.abs(c.u - u)) < AGREE for c in met) == 1, (kind, np.exp(u), met)
            compared += 1
    cells, ends = mesh.junctions(), []
    for boundary, (_, points) in zip(boundaries, kinds, strict=True):
        for k in (0, -1):
            if boundary.ends[k] != "edge" and mesh.at(points[k]) is not None:
                ends.append((points[k], BLURRED if boundary.ends[k] == "order changes" else 2 * SMALLEST))
    for corners, left in cells:  # every point at which curves meet is one of a diagram's, and the other way round
        assert any(np.max(np.abs(u - corners[0].u)) < reach for u, reach in ends), ([*map(names, left)], np.exp(corners[0].u))
    for u, reach in ends:
        assert any(np.max(np.abs(u - corners[0].u)) < reach for corners, _ in cells), np.exp(u)
    triple = np.log([(point.importance, point.density) for point in diagram.triple_points()])
    met = [point for corners, _ in cells for point in mesh.meeting(corners)]
    met = [point for point in met if not is_blurred(point)]
    for point in met:
        assert np.min(np.max(np.abs(triple - point), axis=1)) < AGREE
    return len(crossings), compared, len(cells), len(met)


def compared(shape, importance, density, n_cells):
    """Mesh and diagram of a size over a window, compared: see `check`."""
    axes = {"importance": np.geomspace(*importance, 16), "density": np.geomspace(*density, 16)}
    return check(Mesh(*shape, importance, density, n_cells), phase_diagram(*shape, **axes), 4)


CLOSE_UPS = [
    ((2, 1), (0.5, 0.75), (0.48, 0.6), 3, (40, 12, 2, 0)),  # the dropped feature, weak and strong pair; the order changes
    ((2, 1), (0.93, 1.08), (0.66, 0.76), 2, (40, 10, 1, 1)),  # three pairs
    ((3, 2), (0.585, 0.625), (0.51, 0.545), 2, (35, 14, 1, 1)),  # pair and two triangles
]
WHOLE = [
    ((2, 1), (0.4, 2.5), (0.3, 0.95), 5, (50, 20, 7, 2)),
    ((3, 2), (0.6, 0.75), (0.5, 0.65), 3, (40, 12, 1, 1)),  # dropped and triangle, pair and two triangles: one is continuous
    ((2, 1), (0.1, 10), (0.01, 0.95), 11, (50, 20, 7, 2)),  # at density 1 signs do not matter: minima of different phases tie
]


@pytest.mark.parametrize(
    ("shape", "importance", "density", "n_cells", "least"),
    [*CLOSE_UPS, *(pytest.param(*case, marks=pytest.mark.campaign) for case in WHOLE)],
)
def test_curves_are_those_of_the_mesh(shape, importance, density, n_cells, least):
    """All curves and no others cross the edges of the mesh, each where it is said to, to 1e-8; they meet in the same points."""
    assert np.all(np.array(compared(shape, importance, density, n_cells)) >= least)
