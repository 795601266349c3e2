"""Boundaries of the frozen theory: where two configurations that do not adjust have the same loss."""

import numpy as np

from ..boundaries import DEFAULT_SETTINGS, PhaseBoundary
from ..candidates import configurations
from .continuation import distance, passes
from .curves import Curve
from .family import Family
from .junctions import Junction, intersection
from .lines import Followed
from .network import beside, nodes, triple_points
from .tolerances import BESIDE_CHORD, CONVERGED, ON_CURVE, ROUNDING, SAME, STALLED


class _FrozenPair(Curve):
    """The curve on which the configurations a and b of a table have the same loss; their states never change."""

    def __init__(self, family, table, a, b):
        self.family, self.table, self.states, self.precision = family, table, (a, b), CONVERGED

    def solve(self, u):
        """The two configurations, by their positions in the table."""
        return self.states

    def move_to(self, u):
        """See Curve: nothing changes."""
        return False

    def losses(self, u):
        """The losses of all configurations, shape (n_configurations,)."""
        importance, density = map(float, self.family.values(u))
        return np.array([c.expected_loss(importance, density) for c in self.table])

    def value(self, u):
        """The difference of the two losses, relative to them."""
        importance, density = map(float, self.family.values(u))
        one, other = (self.table[k].expected_loss(importance, density) for k in self.states)
        return (one - other) / (one + other)

    def lower(self, u):
        """The configuration that is lowest at u, or None where one of the two is."""
        losses = self.losses(u)
        lowest = int(np.argmin(losses))
        return lowest if losses[lowest] < min(losses[list(self.states)]) * (1 - ROUNDING) else None

    def locate(self, curve, event, points, there, step, tangent):
        """The triple point at which another configuration becomes lowest; see `continuation.follow`."""
        if isinstance(event, str):
            return None
        u, precision = intersection(curve, _FrozenPair(self.family, self.table, self.states[0], event), there)
        if u is None or distance([points[-1], there], u) > BESIDE_CHORD * np.linalg.norm(there - points[-1]):
            return None
        losses = self.losses(u)
        lowest = np.flatnonzero(losses <= np.min(losses) * (1 + STALLED))
        return (Junction("triple point", u, lowest, precision), []) if {*self.states} <= {*lowest.tolist()} else None


class _FrozenLine(Followed):
    """A frozen boundary followed to both ends."""

    def boundary(self):
        """The curve as a PhaseBoundary."""
        u, pair = self.points, [self.curve.table[k] for k in self.curve.states]
        importance, density = self.curve.family.values(u)
        latent = np.abs(pair[0].extra_loss(density) - pair[1].extra_loss(density))
        norms = np.array([[np.linalg.norm(c.weights[:, -1])] * len(u) for c in pair])
        minima = np.array([[np.append(c.weights.ravel(), c.bias(p)) for p in density] for c in pair])
        free = np.zeros(minima.shape, dtype=bool)
        names = tuple(c.name for c in pair)
        return PhaseBoundary(names, importance, density, "first", latent, norms, self.ends, minima, free, **self.account)


def frozen_boundaries(diagram):
    """Find the boundaries and triple points of a frozen diagram: (list of PhaseBoundary, list of TriplePoint)."""
    table = configurations(diagram.n_features, diagram.n_hidden, activation=diagram.activation)
    family, lines = Family(diagram.plane, DEFAULT_SETTINGS), []

    def cross(start, a, end, b):
        """Follow the boundary that separates configuration a, lowest at ``start``, from b, lowest at ``end``."""
        known = [line.points for line in lines if {a, b} == {*line.curve.states}]
        if any(passes(points, start, end) for points in known):
            return
        curve = _FrozenPair(family, table, a, b)
        found = curve.between(start, end)
        if found is None or any(distance(points, found) < ON_CURVE * family.box.step for points in known):
            return
        lower = curve.event(found)
        if lower is not None and np.linalg.norm(end - start) > SAME:
            cross(start, a, found, lower)
            cross(found, lower, end, b)
            return
        line = _FrozenLine.through(found, curve, curve.locate)
        if len(line.trail) > 1 or line.is_crossed:
            lines.append(line)

    sheets = np.array([c.expected_loss(diagram.importance, diagram.density[:, None]) for c in table])
    lowest, u = np.argmin(sheets, axis=0), nodes(family, diagram)
    for cell in zip(*np.nonzero(np.sum(sheets <= np.min(sheets, axis=0) * (1 + ROUNDING), axis=0) > 1), strict=True):
        u[cell] = beside(u[cell], diagram, family.box)
        lowest[cell] = np.argmin(_FrozenPair(family, table, 0, 0).losses(u[cell]))
    for down, right in ((0, 1), (1, 0)):
        one = lowest[: lowest.shape[0] - down, : lowest.shape[1] - right]
        other = lowest[down:, right:]
        for i, j in np.argwhere(one != other):
            cross(u[i, j], int(one[i, j]), u[i + down, j + right], int(other[i, j]))
    return [line.boundary() for line in lines], triple_points(family, lines, lambda k: [table[k].name])
