"""Boundaries of the frozen theory: where two configurations that do not adjust have the same loss."""

import numpy as np

from ..boundaries import PhaseBoundary
from ..candidates import configurations
from . import continuation
from .continuation import Box, crossing, follow, inward_difference, point
from .grid import Corners, beside, nodes, spacing

_TIE = 1e-12


class _FrozenPair:
    """The curve on which two frozen configurations have the same loss."""

    def __init__(self, table, a, b):
        self.table, self.a, self.b = table, a, b

    def losses(self, u):
        importance, density = point(u)
        return np.array([c.expected_loss(importance, density) for c in self.table])

    def difference(self, u, a, b):
        importance, density = point(u)
        one, other = (self.table[k].expected_loss(importance, density) for k in (a, b))
        return (one - other) / (one + other)

    def value(self, u):
        return self.difference(u, self.a, self.b)

    def slope(self, u):
        return inward_difference(self.value, u, 1e-5)

    def exists(self, u):
        return True

    def accept(self, u):
        """Frozen weights do not change."""

    def tells_apart(self, u):
        """Frozen weights are as far apart as they are."""
        return True

    def rival(self, u):
        losses = self.losses(u)
        lowest = int(np.argmin(losses))
        return lowest if losses[lowest] < min(losses[self.a], losses[self.b]) * (1 - _TIE) else None

    def corner(self, rival):
        return lambda u: self.difference(u, self.a, rival)

    def lowest_phases(self, u):
        losses = self.losses(u)
        return [self.table[k].name for k in np.flatnonzero(losses <= np.min(losses) * (1 + 1e-10))]


def frozen_boundaries(diagram):
    """Find the boundaries and triple points of a frozen diagram: (list of PhaseBoundary, list of TriplePoint)."""
    table = configurations(diagram.n_features, diagram.n_hidden, activation=diagram.activation)
    box, corners, curves = Box(diagram.importance, diagram.density), Corners(), []

    def cross(start, a, end, b):
        """Follow the boundary that separates configuration a, lowest at ``start``, from b, lowest at ``end``."""
        if any({a, b} == {c.a, c.b} and continuation.passes(points, start, end) for c, points, _ in curves):
            return
        curve = _FrozenPair(table, a, b)
        found = crossing(curve.value, start, end)
        if found is None or any(
            {a, b} == {c.a, c.b} and continuation.distance(points, found) < 0.2 * box.step for c, points, _ in curves
        ):
            return
        between = curve.rival(found)
        if between is not None and np.linalg.norm(end - start) > 1e-9:
            cross(start, a, found, between)
            cross(found, between, end, b)
            return
        points, ends = [found], []
        for sense in (1.0, -1.0):
            more, reason, _ = follow(curve, found, box, sense)
            points = [*points, *more] if sense > 0 else [*more[::-1], *points]
            if reason == "corner" and more:
                corners.add(more[-1], curve.lowest_phases(more[-1]))
            name = "triple point" if reason == "corner" else reason
            ends = [*ends, name] if sense > 0 else [name, *ends]
            if reason == "closed":
                ends = ["closed", "closed"]
                break
        points = np.array(points)
        points = points[np.append(True, np.linalg.norm(np.diff(points, axis=0), axis=1) > 1e-9)]
        if len(points) > 1 or not np.all(box.wide):
            curves.append((curve, points, tuple(ends)))

    sheets = np.array([c.expected_loss(diagram.importance, diagram.density[:, None]) for c in table])
    lowest, losses = np.argmin(sheets, axis=0), _FrozenPair(table, 0, 0).losses
    u = nodes(diagram.importance, diagram.density)
    for cell in zip(*np.nonzero(np.sum(sheets <= np.min(sheets, axis=0) * (1 + _TIE), axis=0) > 1), strict=True):
        u[cell] = beside(u[cell], box, spacing(box, diagram))
        lowest[cell] = np.argmin(losses(u[cell]))
    for down, right in ((0, 1), (1, 0)):
        one = lowest[: lowest.shape[0] - down, : lowest.shape[1] - right]
        other = lowest[down:, right:]
        for i, j in np.argwhere(one != other):
            cross(u[i, j], int(one[i, j]), u[i + down, j + right], int(other[i, j]))
    return [_frozen_result(*curve) for curve in curves], corners.triple_points()


def _frozen_result(curve, points, ends):
    importance, density = np.exp(points[:, 0]), np.minimum(np.exp(points[:, 1]), 1.0)
    pair = [curve.table[k] for k in (curve.a, curve.b)]
    latent = np.abs(pair[0].extra_loss(density) - pair[1].extra_loss(density))
    norms = np.array([[np.linalg.norm(c.weights[:, -1])] * len(points) for c in pair])
    minima = np.array([[np.append(c.weights.ravel(), c.bias(p)) for p in density] for c in pair])
    free = np.zeros(minima.shape, dtype=bool)
    return PhaseBoundary(tuple(c.name for c in pair), importance, density, "first", latent, norms, ends, minima, free)
