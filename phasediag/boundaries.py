"""Boundary curves between phases and the points at which three meet: the results of ``PhaseDiagram.boundaries``."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np


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

        Each is followed beyond what lies across the boundary, until it ends or leaves the diagram; boundaries of one minimum
        share it. A phase has more than one where it ceases in different ways: at a fold (it meets a saddle) or at the limit of
        its symmetry. Empty on continuous boundaries and where both phases always exist (frozen weights).
        """
        return self.find_spinodals()


@dataclass(frozen=True, eq=False)
class Spinodal:
    """The limit beyond which a phase of a first-order boundary is no longer a minimum.

    Attributes
    ----------
    phase : str
    importance, density : ndarray, shape (n_points,)
        Points along the curve, in the direction of the boundary's; each solves its equation to rounding. It ends at an edge, in a
        point where minima become one or the order changes, where the minimum begins to cease in another way, or where the
        support of an output changes, so that third derivatives jump. Where it could not be followed: points across the
        boundary's own.
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
