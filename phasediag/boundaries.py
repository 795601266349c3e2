"""Boundary curves between phases: found where neighbouring cells differ, solved to rounding, followed by continuation."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from . import _continuation
from ._continuation import Box, crossing, follow, inward_difference, point
from .candidates import configurations

_TIE = 1e-12
_NUDGE = (0.0123, 0.0071)  # parts of a cell, along importance and density


@dataclass(frozen=True, eq=False)
class PhaseBoundary:
    """A curve in the plane of control parameters across which the lowest minimum changes.

    Attributes
    ----------
    phases : tuple of two str
        The phases on its two sides. They can have one name: where two minima of the same phase cross.
    importance, density : ndarray, shape (n_points,)
        Points along the curve in order; each solves its equation to rounding.
    order : {"first", "continuous"}
        "first": two minima with the same loss. "continuous": one minimum turns into the other, where the lowest one-sided
        curvature of the more symmetric one (a weight or an interference is 0 in it) vanishes.
    latent_loss : ndarray, shape (n_points,)
        Jump of ∂L*/∂importance, the extra feature's own loss, across the boundary; 0 on continuous ones, and on first-order
        ones at which the extra feature fares alike on both sides (there ∂L*/∂density jumps).
    feature_norm : ndarray, shape (2, n_points)
        The extra feature's norm on the two sides.
    ends : tuple of two str
        How the curve ends at its first and last point: "edge" of the diagram, "triple point", "critical point" (two minima
        of one phase become one), "order changes" (a first-order boundary becomes continuous, at a tricritical point),
        "closed", or "unresolved" (it could not be followed farther, nor a junction be solved there).
    """

    phases: tuple
    importance: np.ndarray
    density: np.ndarray
    order: str
    latent_loss: np.ndarray
    feature_norm: np.ndarray
    ends: tuple
    find_spinodals: Callable = field(default=tuple, repr=False)

    @cached_property
    def spinodals(self):
        """Where either phase of a first-order boundary ceases to be a minimum, a tuple of Spinodal; sought when first asked for.

        Empty on continuous boundaries and where both phases always exist (frozen weights).
        """
        return self.find_spinodals()


@dataclass(frozen=True, eq=False)
class Spinodal:
    """The limit beyond which a phase of a first-order boundary is no longer a minimum.

    Attributes
    ----------
    phase : str
    importance, density : ndarray, shape (n_points,)
        In the order of the boundary's points.
    """

    phase: str
    importance: np.ndarray
    density: np.ndarray


@dataclass(frozen=True)
class TriplePoint:
    """A point at which three (or more) minima have the same lowest loss.

    Attributes
    ----------
    importance, density : float
    phases : tuple of str
        The phases of the minima, each once: fewer than three where minima of one phase meet, or where one of two minima is just
        turning into the other phase.
    """

    importance: float
    density: float
    phases: tuple


def find_boundaries(diagram):
    """Find the boundaries and triple points of a phase diagram.

    Parameters
    ----------
    diagram : PhaseDiagram

    Returns
    -------
    (list of PhaseBoundary, list of TriplePoint)

    Notes
    -----
    Of a relaxed diagram: between the lowest minima within the patterns of the configurations, followed wherever they exist.
    """
    if diagram.theory == "frozen" or diagram.activation == "linear":  # whose lowest minima are frozen configurations
        return _frozen_boundaries(diagram)
    from .solved_boundaries import solved_boundaries

    return solved_boundaries(diagram)


class Corners:
    """The triple points met so far, each once."""

    def __init__(self):
        self.found = []  # (u, list of phases)

    def add(self, u, phases):
        for known, members in self.found:
            if np.linalg.norm(known - u) < 1e-7:
                members += [phase for phase in phases if phase not in members]
                return
        self.found.append((u, list(dict.fromkeys(phases))))

    def triple_points(self):
        return [TriplePoint(*point(u), tuple(members)) for u, members in self.found]


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

    def rival(self, u):
        losses = self.losses(u)
        lowest = int(np.argmin(losses))
        return lowest if losses[lowest] < min(losses[self.a], losses[self.b]) * (1 - _TIE) else None

    def corner(self, rival):
        return lambda u: self.difference(u, self.a, rival)

    def lowest_phases(self, u):
        losses = self.losses(u)
        return [self.table[k].name for k in np.flatnonzero(losses <= np.min(losses) * (1 + 1e-10))]


def _frozen_boundaries(diagram):
    table = configurations(diagram.n_features, diagram.n_hidden, activation=diagram.activation)
    box, corners, curves = Box(diagram.importance, diagram.density), Corners(), []

    def cross(start, a, end, b):
        """Follow the boundary that separates configuration a, lowest at ``start``, from b, lowest at ``end``."""
        if any({a, b} == {c.a, c.b} and _continuation.passes(points, start, end) for c, points, _ in curves):
            return
        curve = _FrozenPair(table, a, b)
        found = crossing(curve.value, start, end)
        if found is None or any(
            {a, b} == {c.a, c.b} and _continuation.distance(points, found) < 0.2 * box.step for c, points, _ in curves
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
        if len(points) > 1:
            curves.append((curve, points, tuple(ends)))

    sheets = np.array([c.expected_loss(diagram.importance, diagram.density[:, None]) for c in table])
    lowest, losses = np.argmin(sheets, axis=0), _FrozenPair(table, 0, 0).losses
    u = nodes(diagram.importance, diagram.density)
    for cell in zip(*np.nonzero(np.sum(sheets <= np.min(sheets, axis=0) * (1 + _TIE), axis=0) > 1), strict=True):
        u[cell] = beside(u[cell], box, diagram)
        lowest[cell] = np.argmin(losses(u[cell]))
    for down, right in ((0, 1), (1, 0)):
        one = lowest[: lowest.shape[0] - down, : lowest.shape[1] - right]
        other = lowest[down:, right:]
        for i, j in np.argwhere(one != other):
            cross(u[i, j], int(one[i, j]), u[i + down, j + right], int(other[i, j]))
    return [_frozen_result(*curve) for curve in curves], corners.triple_points()


def nodes(importance, density):
    """The grid's points u, shape (n_density, n_importance, 2)."""
    return np.stack(np.meshgrid(np.log(importance), np.log(density)), axis=-1)


def beside(u, box, diagram):
    """A point a little inward of a node on which phases tie: on a boundary the node itself belongs to no side."""
    spacing = (box.high - box.low) / np.maximum([diagram.importance.size - 1, diagram.density.size - 1], 1)
    return u + np.where(u < (box.low + box.high) / 2, 1.0, -1.0) * np.array(_NUDGE) * spacing


def _frozen_result(curve, points, ends):
    importance, density = np.exp(points[:, 0]), np.minimum(np.exp(points[:, 1]), 1.0)
    pair = [curve.table[k] for k in (curve.a, curve.b)]
    latent = np.abs(pair[0].extra_loss(density) - pair[1].extra_loss(density))
    norms = np.array([[np.linalg.norm(c.weights[:, -1])] * len(points) for c in pair])
    return PhaseBoundary(tuple(c.name for c in pair), importance, density, "first", latent, norms, ends)
