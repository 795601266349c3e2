"""How far a diagram of trained models agrees with one of a theory: phases by cell, distance of the boundaries."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import minimum_filter

from ._arguments import Floats
from ._display import Result
from .attribution import same_phase
from .diagram import PhaseDiagram


@dataclass(frozen=True, eq=False, repr=False)
class Agreement(Result):
    """The phases of trained models beside those of a theory, on one grid.

    Attributes
    ----------
    theory : PhaseDiagram
    trained : PhaseDiagram
    agrees : ndarray of bool, shape (n_y, n_x)
        Whether the phase of the lowest trained loss is the theory's (one of them where several coexist).
    away : ndarray of bool, shape (n_y, n_x)
        Cells away from the theory's boundaries by one cell: all eight neighbours have the theory's phase of the cell.
    curves : bool
        Whether the theory's boundaries were followed as curves.
    distances : ndarray, shape (n_pieces,)
        Distance of each piece of the trained boundary from the theory's curves, in decades (along linear axes in
        their own unit). A piece lies midway, in coordinates, between neighbouring cells whose trained phases differ. Empty when
        either diagram has one phase only, and without curves.

    Examples
    --------
    >>> from phasediag import validate
    >>> report = validate(
    ...     importance=[0.5], density=[0.1], n_seeds=2, n_steps=2000, learning_rate=0.01, n_samples=1000, curves=False
    ... )
    >>> float(report.agreements["global"].share)
    1.0
    """

    theory: PhaseDiagram
    trained: PhaseDiagram
    agrees: NDArray[np.bool_]
    away: NDArray[np.bool_]
    curves: bool
    distances: Floats

    @property
    def share(self) -> float:
        """Part of all cells that agree."""
        return float(self.agrees.mean())

    @property
    def share_away(self) -> float:
        """Part of the cells away from boundaries that agree; NaN when there is none."""
        return float(self.agrees[self.away].mean()) if self.away.any() else float("nan")


def agreement(trained: PhaseDiagram, theory: PhaseDiagram, *, curves: bool = True) -> Agreement:
    """Compare a trained diagram with a theory's on the same grid; return an Agreement."""
    _, phase = np.unique(theory.phase.astype(str), return_inverse=True)
    phase = phase.reshape(theory.phase.shape)
    away = (minimum_filter(phase, 3, mode="nearest") == phase) & (minimum_filter(-phase, 3, mode="nearest") == -phase)
    pieces, curves = _between_cells(trained), curves and theory.follows_boundaries
    lines = [_place(theory, b.x, b.y) for b in theory.boundaries() if b.phases[0] != b.phases[1]] if curves else []
    far = np.min([_distance(pieces, line) for line in lines], axis=0) if lines and len(pieces) else np.empty(0)
    return Agreement(theory, trained, same_phase(trained.phase, theory.phase), away, curves, far)


def _between_cells(diagram):
    """Midpoints (`_place`) between neighbouring cells of different phase, shape (n, 2)."""
    places = _place(diagram, *np.meshgrid(diagram.x, diagram.y))
    across, along = diagram.phase[:, 1:] != diagram.phase[:, :-1], diagram.phase[1:] != diagram.phase[:-1]
    return np.concatenate([((places[:, 1:] + places[:, :-1]) / 2)[across], ((places[1:] + places[:-1]) / 2)[along]])


def _place(diagram, x, y):
    """Points (…, 2) of a diagram's plane, in decades along logarithmic axes."""
    axes = (diagram.plane.x, x), (diagram.plane.y, y)
    return np.stack([np.log10(value) if axis.log else value for axis, value in axes], axis=-1)


def _distance(points, curve):
    """Distance of each point, shape (n, 2), from the polyline through the rows of ``curve``, one row is a point."""
    step = np.diff(curve, axis=0, append=curve[-1:])
    offset = points[:, None] - curve
    length = np.maximum((step**2).sum(axis=1), np.finfo(float).tiny)
    along = np.clip((offset * step).sum(axis=2) / length, 0, 1)
    return np.sqrt(((offset - along[..., None] * step) ** 2).sum(axis=2)).min(axis=1)
