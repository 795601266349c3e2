"""How far a diagram of trained models agrees with one of a theory: phases by cell, distance of the boundaries."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.ndimage import minimum_filter

from .attribution import same_phase
from .diagram import PhaseDiagram


@dataclass(frozen=True, eq=False)
class Agreement:
    """The phases of trained models beside those of a theory, on one grid.

    Attributes
    ----------
    theory : PhaseDiagram
    trained : PhaseDiagram
    agrees : ndarray of bool, shape (n_density, n_importance)
        Whether the phase of the lowest trained loss is the theory's (one of them where several coexist).
    away : ndarray of bool, shape (n_density, n_importance)
        Cells away from the theory's boundaries by one cell: all eight neighbours have the theory's phase of the cell.
    curves : bool
        Whether the theory's boundaries are to be followed as curves.
    """

    theory: PhaseDiagram
    trained: PhaseDiagram
    agrees: np.ndarray
    away: np.ndarray
    curves: bool

    @property
    def share(self):
        """Part of all cells that agree."""
        return float(self.agrees.mean())

    @property
    def share_away(self):
        """Part of the cells away from boundaries that agree; NaN when there is none."""
        return float(self.agrees[self.away].mean()) if self.away.any() else float("nan")

    @cached_property
    def distances(self):
        """Distance of each piece of the trained boundary from the theory's curves, in decades, shape (n_pieces,).

        A piece lies midway, in the logarithms of importance and density, between neighbouring cells whose trained phases differ.
        Empty when either diagram has one phase only, and without curves.
        """
        if not self.curves:
            return np.empty(0)
        pieces = _between_cells(self.trained)
        curves = [np.log10([b.importance, b.density]).T for b in self.theory.boundaries() if b.phases[0] != b.phases[1]]
        if not len(pieces) or not curves:
            return np.empty(0)
        return np.min([_distance(pieces, curve) for curve in curves], axis=0)


def agreement(trained, theory, *, curves=True):
    """Compare a trained diagram with a theory's on the same grid; return an Agreement."""
    _, phase = np.unique(theory.phase.astype(str), return_inverse=True)
    phase = phase.reshape(theory.phase.shape)
    away = (minimum_filter(phase, 3, mode="nearest") == phase) & (minimum_filter(-phase, 3, mode="nearest") == -phase)
    return Agreement(theory, trained, same_phase(trained.phase, theory.phase), away, curves)


def _between_cells(diagram):
    """Midpoints (log10 importance, log10 density) between neighbouring cells of different phase, shape (n, 2)."""
    places = np.stack(np.meshgrid(np.log10(diagram.importance), np.log10(diagram.density)), axis=-1)
    across, along = diagram.phase[:, 1:] != diagram.phase[:, :-1], diagram.phase[1:] != diagram.phase[:-1]
    return np.concatenate([((places[:, 1:] + places[:, :-1]) / 2)[across], ((places[1:] + places[:-1]) / 2)[along]])


def _distance(points, curve):
    """Distance of each point, shape (n, 2), from the polyline through the rows of ``curve``."""
    start, step = curve[:-1], np.diff(curve, axis=0)
    offset = points[:, None] - start
    length = np.maximum((step**2).sum(axis=1), np.finfo(float).tiny)
    along = np.clip((offset * step).sum(axis=2) / length, 0, 1)
    return np.sqrt(((offset - along[..., None] * step) ** 2).sum(axis=2)).min(axis=1)
