"""Boundaries of the frozen theory: where two configurations that do not adjust have the same loss."""

import numpy as np

from ..boundaries import PhaseBoundary
from ..candidates import configurations
from . import continuation
from .continuation import Box, crossing, point
from .curves import Curve
from .followed import Followed
from .grid import Corners, beside, nodes, spacing

_TIE = 1e-12


class _FrozenPair(Curve):
    """The curve on which the configurations a and b of a table have the same loss; their states never change."""

    def __init__(self, table, box, a, b):
        self.table, self.box, self.a, self.b, self.states, self.trail = table, box, a, b, (a, b), []

    def solve(self, u):
        """The two configurations, by their positions in the table."""
        return self.states

    def exists(self, u):
        """Frozen weights exist everywhere."""
        return True

    def losses(self, u):
        """The losses of all configurations, shape (n_configurations,)."""
        importance, density = point(u)
        return np.array([c.expected_loss(importance, density) for c in self.table])

    def value(self, u):
        """The difference of the two losses, relative to them."""
        return self.corner(self.b)(u)

    def rival(self, u):
        """The configuration that is lowest at u, or None where one of the two is."""
        losses = self.losses(u)
        lowest = int(np.argmin(losses))
        return lowest if losses[lowest] < min(losses[self.a], losses[self.b]) * (1 - _TIE) else None

    def corner(self, against):
        """The difference of the losses of configuration a and another one, relative to them, as a function of u."""

        def difference(u):
            importance, density = point(u)
            one, other = (self.table[k].expected_loss(importance, density) for k in (self.a, against))
            return (one - other) / (one + other)

        return difference

    def lowest_phases(self, u):
        """The names of the configurations that share the lowest loss at u."""
        losses = self.losses(u)
        return [self.table[k].name for k in np.flatnonzero(losses <= np.min(losses) * (1 + 1e-10))]


class _FrozenTrace(Followed):
    """A frozen boundary followed to both ends; corners: the triple points, to which those in which it ends are added."""

    def __init__(self, u, curve, corners):
        self.corners = corners
        super().__init__(u, curve, curve.box)
        far_enough = np.append(True, np.linalg.norm(np.diff(self.points, axis=0), axis=1) > 1e-9)
        self.trail = [node for node, is_kept in zip(self.trail, far_enough, strict=True) if is_kept]

    def _ended(self, way, points, reason, against):
        """As any curve, or in a triple point."""
        trail, reason = super()._ended(way, points, reason, against)
        if reason == "corner" and len(points) > 1:
            self.corners.add(points[-1], way.lowest_phases(points[-1]))
        return trail, "triple point" if reason == "corner" else reason

    def boundary(self):
        """The curve as a PhaseBoundary."""
        u, pair = self.points, [self.curve.table[k] for k in self.curve.states]
        importance, density = np.exp(u[:, 0]), np.minimum(np.exp(u[:, 1]), 1.0)
        latent = np.abs(pair[0].extra_loss(density) - pair[1].extra_loss(density))
        norms = np.array([[np.linalg.norm(c.weights[:, -1])] * len(u) for c in pair])
        minima = np.array([[np.append(c.weights.ravel(), c.bias(p)) for p in density] for c in pair])
        free = np.zeros(minima.shape, dtype=bool)
        phases = tuple(c.name for c in pair)
        return PhaseBoundary(phases, importance, density, "first", latent, norms, tuple(self.ends), minima, free)


def frozen_boundaries(diagram):
    """Find the boundaries and triple points of a frozen diagram: (list of PhaseBoundary, list of TriplePoint)."""
    table = configurations(diagram.n_features, diagram.n_hidden, activation=diagram.activation)
    box, corners, traces = Box(diagram.importance, diagram.density), Corners(), []

    def cross(start, a, end, b):
        """Follow the boundary that separates configuration a, lowest at ``start``, from b, lowest at ``end``."""
        known = [trace.points for trace in traces if {a, b} == {*trace.curve.states}]
        if any(continuation.passes(points, start, end) for points in known):
            return
        curve = _FrozenPair(table, box, a, b)
        found = crossing(curve.value, start, end)
        if found is None or any(continuation.distance(points, found) < 0.2 * box.step for points in known):
            return
        between = curve.rival(found)
        if between is not None and np.linalg.norm(end - start) > 1e-9:
            cross(start, a, found, between)
            cross(found, between, end, b)
            return
        trace = _FrozenTrace(found, curve, corners)
        if len(trace.trail) > 1 or not np.all(box.wide):
            traces.append(trace)

    sheets = np.array([c.expected_loss(diagram.importance, diagram.density[:, None]) for c in table])
    lowest, losses = np.argmin(sheets, axis=0), _FrozenPair(table, box, 0, 0).losses
    u = nodes(diagram.importance, diagram.density)
    for cell in zip(*np.nonzero(np.sum(sheets <= np.min(sheets, axis=0) * (1 + _TIE), axis=0) > 1), strict=True):
        u[cell] = beside(u[cell], box, spacing(box, diagram))
        lowest[cell] = np.argmin(losses(u[cell]))
    for down, right in ((0, 1), (1, 0)):
        one = lowest[: lowest.shape[0] - down, : lowest.shape[1] - right]
        other = lowest[down:, right:]
        for i, j in np.argwhere(one != other):
            cross(u[i, j], int(one[i, j]), u[i + down, j + right], int(other[i, j]))
    return [trace.boundary() for trace in traces], corners.triple_points()
