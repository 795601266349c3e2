"""Phase diagrams: which phase has the lowest loss over the plane of importance and density."""

from dataclasses import dataclass, fields
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from ._arguments import density_array, grid_axis, one_of, positive_array, sizes
from .candidates import MOST_FEATURES, configurations
from .model import ACTIVATIONS
from .order_parameters import feature_norm, interference

THEORIES = ("frozen",)

TIE_TOLERANCE = 1e-12
"""Phases whose losses agree to this relative accuracy coexist."""

COEXISTENCE = "coexistence"
"""The ``extra`` of a cell in which phases with different places of the extra feature coexist."""


@dataclass(frozen=True, eq=False)
class PhaseDiagram:
    """The phases of a toy model over a grid of control parameters.

    Grids have axes (density, importance).

    Attributes
    ----------
    n_features, n_hidden : int
    activation : {"relu", "linear"}
    theory : str
    importance : ndarray, shape (n_importance,)
        Relative importance of the extra (last) feature.
    density : ndarray, shape (n_density,)
    candidates : tuple of str
        The competing phases, first axis of ``candidate_loss``.
    candidate_loss : ndarray, shape (n_candidates, n_density, n_importance)
    phase : ndarray of str, shape (n_density, n_importance)
        Name of the phase with the lowest loss; where several have it, their names joined by " = ".
    extra : ndarray of str, shape (n_density, n_importance)
        "not_represented", "dedicated" or "superposition"; "coexistence" where tied phases differ in it.
    coexisting : ndarray of tuple, shape (n_density, n_importance)
        The names of the phases that exist at the lowest loss: more than one on a boundary.
    loss : ndarray, shape (n_density, n_importance)
        The lowest expected loss.
    weights : ndarray, shape (n_density, n_importance, n_hidden, n_features)
        Weights that have it (of one of the phases where several do).
    bias : ndarray, shape (n_density, n_importance, n_features)
    feature_norm, interference : ndarray, shape (n_density, n_importance)
        Order parameters of the extra feature.
    converged : ndarray of bool, shape (n_density, n_importance)
        Always true where the loss is a closed form.
    """

    n_features: int
    n_hidden: int
    activation: str
    theory: str
    importance: np.ndarray
    density: np.ndarray
    candidates: tuple
    candidate_loss: np.ndarray
    phase: np.ndarray
    extra: np.ndarray
    coexisting: np.ndarray
    loss: np.ndarray
    weights: np.ndarray
    bias: np.ndarray
    feature_norm: np.ndarray
    interference: np.ndarray
    converged: np.ndarray

    def boundaries(self):
        """Return the curves between the phases, a list of PhaseBoundary.

        Found where neighbouring cells differ, solved for equal losses (not read off cells) and followed by continuation
        until they leave the diagram or meet a third phase; each point solves the equation to rounding.
        """
        return list(self._curves[0])

    def triple_points(self):
        """Return the points where three phases have the same lowest loss, a list of TriplePoint."""
        return list(self._curves[1])

    @cached_property
    def _curves(self):
        from .boundaries import find_boundaries

        lowest = np.argmin(self.candidate_loss, axis=0)
        tied = np.sum(self.candidate_loss <= self.loss * (1 + TIE_TOLERANCE), axis=0) > 1
        return find_boundaries(self._sheets(), self.importance, self.density, lowest, tied)

    def _sheets(self):
        from .boundaries import Sheet

        table = configurations(self.n_features, self.n_hidden, activation=self.activation)
        return [Sheet(c.name, c.expected_loss, partial(_extra_loss, c)) for c in table]

    def to_xarray(self):
        """Return the diagram as an ``xarray.Dataset`` with labelled axes density, importance, candidate, hidden, feature."""
        import xarray

        grid = ("density", "importance")
        coexisting = np.array(
            [[[name in names for names in row] for row in self.coexisting] for name in self.candidates], dtype=bool
        )
        return xarray.Dataset(
            {
                "phase": (grid, self.phase.astype(str)),
                "extra": (grid, self.extra.astype(str)),
                "loss": (grid, self.loss),
                "weights": ((*grid, "hidden", "feature"), self.weights),
                "bias": ((*grid, "feature"), self.bias),
                "feature_norm": (grid, self.feature_norm),
                "interference": (grid, self.interference),
                "converged": (grid, self.converged),
                "candidate_loss": (("candidate", *grid), self.candidate_loss),
                "coexisting": (("candidate", *grid), coexisting),
            },
            coords={"density": self.density, "importance": self.importance, "candidate": list(self.candidates)},
            attrs={name: getattr(self, name) for name in ("n_features", "n_hidden", "activation", "theory")},
        )

    def save(self, path):
        """Write the diagram to an .npz file of plain arrays, which ``PhaseDiagram.load`` reads back.

        Raises
        ------
        ValueError
            When the file's ending is not .npz.
        """
        arrays = {f.name: np.asarray(getattr(self, f.name)) for f in fields(self) if f.name != "coexisting"}
        arrays["phase"], arrays["extra"] = self.phase.astype(str), self.extra.astype(str)
        joined = [_TIE_MARK.join(names) for names in self.coexisting.ravel()]
        arrays["coexisting"] = np.array(joined).reshape(self.coexisting.shape)
        np.savez_compressed(_npz(path), **arrays)

    @classmethod
    def load(cls, path):
        """Read a diagram written by ``save``.

        Raises
        ------
        ValueError
            When the file's ending is not .npz or it does not hold a diagram.
        """
        with np.load(_npz(path), allow_pickle=False) as file:
            missing = [f.name for f in fields(cls) if f.name not in file]
            if missing:
                raise ValueError(f"path must name a file written by PhaseDiagram.save, got {path} without {missing[0]}")
            values = {f.name: file[f.name] for f in fields(cls)}
        values.update({name: values[name].item() for name in ("n_features", "n_hidden", "activation", "theory")})
        values["candidates"] = tuple(values["candidates"].tolist())
        values["phase"], values["extra"] = values["phase"].astype(object), values["extra"].astype(object)
        values["coexisting"] = _tuples([text.split(_TIE_MARK) for text in values["coexisting"].ravel()], values["loss"].shape)
        return cls(**values)


_TIE_MARK = " = "


def default_axes():
    """Return the paper's axes (importance 0.1 … 10, density 0.01 … 1), 100 logarithmic steps each."""
    density = np.geomspace(0.01, 1.0, 100)
    return np.geomspace(0.1, 10.0, 100), density


def phase_diagram(n_features=2, n_hidden=1, *, importance=None, density=None, theory="frozen", activation="relu"):
    """Compute a phase diagram.

    Parameters
    ----------
    n_features : int
        From 2 to 8.
    n_hidden : int
        From 1 to n_features − 1.
    importance : array_like, optional
        Axis of relative importances of the extra feature, increasing and positive; default the paper's, 0.1 … 10.
    density : array_like, optional
        Axis of densities, increasing, in (0, 1]; default the paper's, 0.01 … 1.
    theory : {"frozen"}
        "frozen": the configurations with unit weights compete by their closed-form losses.
    activation : {"relu", "linear"}

    Returns
    -------
    PhaseDiagram

    Raises
    ------
    ValueError
        When an argument is outside its domain.

    References
    ----------
    Elhage et al. 2022, section "Superposition as a Phase Change".
    """
    n_features, n_hidden = sizes(n_features, n_hidden, MOST_FEATURES)
    one_of("theory", theory, THEORIES)
    one_of("activation", activation, ACTIVATIONS)
    paper_importance, paper_density = default_axes()
    importance = paper_importance if importance is None else grid_axis("importance", importance, positive_array)
    density = paper_density if density is None else grid_axis("density", density, density_array)
    return _frozen_diagram(n_features, n_hidden, importance, density, activation)


def _frozen_diagram(n_features, n_hidden, importance, density, activation):
    table = configurations(n_features, n_hidden, activation=activation)
    losses = np.empty((len(table), density.size, importance.size))
    for k, configuration in enumerate(table):
        losses[k] = configuration.expected_loss(importance, density[:, None])
    winner = np.argmin(losses, axis=0)
    loss = np.take_along_axis(losses, winner[None], axis=0)[0]
    phase = _objects([c.name for c in table])[winner]
    extra = _objects([c.phase.extra for c in table])[winner]
    coexisting = _objects([(c.name,) for c in table])[winner]
    tied = losses <= loss * (1 + TIE_TOLERANCE)
    for cell in zip(*np.nonzero(tied.sum(axis=0) > 1), strict=True):
        members = [c.phase for c, is_tied in zip(table, tied[(slice(None), *cell)], strict=True) if is_tied]
        coexisting[cell] = tuple(member.name for member in members)
        phase[cell] = _TIE_MARK.join(coexisting[cell])
        if len({member.extra for member in members}) > 1:
            extra[cell] = COEXISTENCE
    weights = np.stack([c.weights for c in table])
    biases = np.stack([c.bias(density) for c in table])
    return PhaseDiagram(
        n_features=n_features,
        n_hidden=n_hidden,
        activation=activation,
        theory="frozen",
        importance=importance,
        density=density,
        candidates=tuple(c.name for c in table),
        candidate_loss=losses,
        phase=phase,
        extra=extra,
        coexisting=coexisting,
        loss=loss,
        weights=weights[winner],
        bias=biases[winner, np.arange(density.size)[:, None]],
        feature_norm=feature_norm(weights)[winner, -1],
        interference=interference(weights)[winner, -1],
        converged=np.ones(winner.shape, dtype=bool),
    )


def _objects(values):
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _tuples(values, shape):
    array = np.empty(len(values), dtype=object)
    array[:] = [tuple(value) for value in values]
    return array.reshape(shape)


def _extra_loss(configuration, importance, density):
    """The configuration's ∂loss/∂importance, which does not depend on importance when the weights are frozen."""
    return float(configuration.extra_loss(density))


def _npz(path):
    path = Path(path)
    if path.suffix != ".npz":
        raise ValueError(f'path must end in ".npz", got {str(path)!r}')
    return path
