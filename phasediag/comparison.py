"""Models trained elsewhere beside a phase diagram: which of them are in its phases, and why the others are not."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ._arguments import Floats, density_array, one_of, positive_array, real_number
from ._display import Result
from ._loss.evaluation import rows_loosely
from ._minimizing.flat import flatten, parts
from ._minimizing.stationary_points import SAME_LOSS, above, losses_of, settle
from .attribution import AGREES, DEAD, METASTABLE, NOT_CONVERGED, STATISTICAL, TOLERANCE, UNEXPLAINED
from .diagram import PhaseDiagram
from .inspection import RADIUS
from .model import cell_model
from .phases import classify_many
from .planes import ControlPlane
from .theories import TIE_MARK
from .trained_models import MOST_LEFT, REDUCTIONS, TRAINED, TRAINED_TOLERANCE, diagram_fields, evaluate_cells

TIE = "tie"
CAUSES = (AGREES, TIE, METASTABLE, NOT_CONVERGED, DEAD, TOLERANCE, STATISTICAL, UNEXPLAINED)
NEIGHBOURS = 4
"""Cells of the diagram around a model whose minima are followed to the model's own importance and density."""


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Result):
    """Models beside a diagram of the global theory; arrays have shape (n_models,).

    Attributes
    ----------
    diagram : PhaseDiagram
    importance, density : ndarray
        The extra feature's importance, and the density, of each model.
    loss : ndarray
        Exact expected loss of each model.
    lowest : ndarray
        Loss of the lowest minimum for the model's importance and density to which a minimum of the cells around it, or any of the
        models there, descends.
    phase : ndarray of str
        The model's, with the tolerance of trained models.
    theory : ndarray of str
        The lowest minimum's; several that are as low are joined by " = ".
    cause : ndarray of str
        "agrees": the model has the theory's phase, the only one. "tie": it has one of several that are as low. Of the others,
        "metastable": an exact descent from the model ends in a minimum above the lowest. "not converged": its loss is more than
        1 % above that of the end of the descent. "dead output": an output is 0 for every input. "tolerance": the descent
        ends in the lowest minimum, which has the model's phase too with the model's tolerance. "statistical": it ends there.
        "unexplained": none of these.

    Examples
    --------
    >>> from phasediag import compare, phase_diagram
    >>> diagram = phase_diagram(importance=[0.5, 2.0], density=[0.1, 0.9])
    >>> weights, bias = [[[1.0, -0.9]], [[1.0, 0.0]]], [[0.0, 0.0], [0.0, 0.45]]  # two models
    >>> found = compare(diagram, weights, bias, importance=[0.5, 0.5], density=[0.1, 0.9])
    >>> {cause: n for cause, n in found.counts().items() if n}
    {'agrees': 2}
    """

    diagram: PhaseDiagram
    importance: np.ndarray
    density: np.ndarray
    loss: np.ndarray
    lowest: np.ndarray
    phase: np.ndarray
    theory: np.ndarray
    cause: np.ndarray

    @property
    def share(self) -> float:
        """Part of the models whose phase is the theory's, or one of those that are as low."""
        return float(np.isin(self.cause, (AGREES, TIE)).mean())

    @property
    def excess(self) -> Floats:
        """How far each loss lies above the lowest minimum's, relative to it."""
        plane = self.diagram.plane
        return above(self.loss, self.lowest, plane.form, plane.controls(self.importance, self.density))

    def counts(self) -> dict[str, int]:
        """Return how many models have each cause, a dict."""
        return {cause: int((self.cause == cause).sum()) for cause in CAUSES}

    def text(self) -> str:
        """Return the comparison in a few lines."""
        n, counts = len(self.cause), self.counts()
        beside = f"{n} models beside {self.diagram.n_features}→{self.diagram.n_hidden}"
        lines = [f"{beside}: {100 * self.share:.2f} % in the theory's phase"]
        lines += [f"  {cause:<14}{counts[cause]:6d}" for cause in CAUSES if counts[cause]]
        middle, most = 100 * np.quantile(self.excess, (0.5, 0.9))
        return "\n".join([*lines, f"loss above the lowest minimum: median {middle:.2g} %, 90 % within {most:.2g} %"])


def compare(
    diagram: PhaseDiagram,
    weights: ArrayLike,
    bias: ArrayLike,
    *,
    importance: ArrayLike,
    density: ArrayLike,
    tolerance: float = TRAINED_TOLERANCE,
) -> Comparison:
    """Hold models trained elsewhere against a diagram of the global theory.

    Parameters
    ----------
    diagram : PhaseDiagram
        Of theory "global", with at most 8 features.
    weights : array_like, shape (n_models, n_hidden, n_features)
    bias : array_like, shape (n_models, n_features) or (n_features,)
    importance, density : array_like, shape (n_models,) or one number
        The extra feature's importance (the others have 1), and the density, for which each model was trained; within the
        diagram's axes, not necessarily on them.
    tolerance : float
        In (0, 1): norms and cosines below it count as zero when the phases of the models are named.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        When an argument is outside its domain.

    Notes
    -----
    At a model's own importance and density the theory is the lowest end of exact descents from the minima of the four cells
    around it and from all models trained there, so that ties and the phases between cells are told exactly.

    Examples
    --------
    >>> from phasediag import compare, phase_diagram
    >>> diagram = phase_diagram(importance=[0.5, 2.0], density=[0.1, 0.9])
    >>> weights, bias = [[[1.0, -0.9]], [[1.0, 0.0]]], [[0.0, 0.0], [0.0, 0.45]]  # two models
    >>> found = compare(diagram, weights, bias, importance=[0.5, 0.5], density=[0.1, 0.9])
    >>> found.share, found.cause
    (1.0, array(['agrees', 'agrees'], dtype=object))
    """
    if not isinstance(diagram, PhaseDiagram) or diagram.theory != "global":
        raise ValueError(f'diagram must be a PhaseDiagram of theory "global", got {getattr(diagram, "theory", diagram)!r:.60}')
    tolerance = real_number("tolerance", tolerance, "in (0, 1)", lambda x: (x > 0) & (x < 1))
    matrices, biases, importances, densities = _checked(diagram.n_hidden, diagram.n_features, weights, bias, importance, density)
    for name, values in (("importance", importances), ("density", densities)):
        axis = getattr(diagram, name)
        outside = (values < axis[0] * (1 - SAME_LOSS)) | (values > axis[-1] * (1 + SAME_LOSS))
        if outside.any():
            raise ValueError(f"{name} must be within the diagram's axis, {axis[0]:g} to {axis[-1]:g}, got {values[outside][0]:g}")
    diagram.plane.model(importances[0], densities[0]).check_held("bias", biases)
    pairs, own = np.unique(np.stack([importances, densities]), axis=1, return_inverse=True)
    own = own.ravel()
    starts = np.concatenate([_minima_around(diagram, *pairs), flatten(matrices, biases)])
    place = np.concatenate([np.tile(np.arange(pairs.shape[1]), NEIGHBOURS), own])
    form, controls, sets = diagram.plane.form, diagram.plane.controls(*pairs)[place], diagram.plane.together
    ends = settle(starts, form, controls, radius=RADIUS)
    losses = losses_of(ends, form, controls)
    minimum, dead = (np.array([getattr(end, name) for end in ends]) for name in ("is_minimum", "is_dead"))
    bottoms = parts(np.array([end.x for end in ends]), diagram.n_hidden)[0]
    names = [phase.name for phase in classify_many(bottoms, sets=sets)]
    lowest = np.full(pairs.shape[1], np.inf)
    np.minimum.at(lowest, place, np.where(minimum, losses, np.inf))
    stable: list[dict[str, None]] = [{} for _ in lowest]  # names of the minima as low as the lowest, in the order of the starts
    for k in np.flatnonzero(minimum & (losses <= lowest[place] * (1 + SAME_LOSS))):
        stable[place[k]][names[k]] = None
    mine, lowest = slice(len(starts) - len(own), None), lowest[own]
    phase, loosely = (
        np.array([phase.name for phase in classify_many(one, tolerance=tolerance, sets=sets)], dtype=object)
        for one in (matrices, bottoms[mine])
    )
    loss = np.sum(form.importance(controls[mine]) * rows_loosely(matrices, biases, form, controls[mine], 0)[0], axis=1)
    loss += form.penalty(controls[mine], matrices)
    agrees = np.array([one in stable[k] for one, k in zip(phase, own, strict=True)])
    cause = np.select(
        [
            loss < lowest * (1 - SAME_LOSS),
            agrees & np.array([len(stable[k]) > 1 for k in own]),
            agrees,
            loss > losses[mine] * (1 + MOST_LEFT),
            dead[mine],
            ~minimum[mine],
            losses[mine] > lowest * (1 + SAME_LOSS),
            phase == loosely,
        ],
        [UNEXPLAINED, TIE, AGREES, NOT_CONVERGED, DEAD, UNEXPLAINED, METASTABLE, TOLERANCE],
        STATISTICAL,
    )
    theory = np.array([TIE_MARK.join(stable[k]) for k in own], dtype=object)
    return Comparison(diagram, importances, densities, loss, lowest, phase, theory, cause.astype(object))


def _minima_around(diagram, importance, density):
    """The stable minima of the cells around points (n,): flat, shape (NEIGHBOURS n, size), corner by corner."""
    corners = []
    for axis, values in ((diagram.density, density), (diagram.importance, importance)):
        above = np.clip(np.searchsorted(axis, values), min(1, axis.size - 1), axis.size - 1)
        corners.append((np.maximum(above - 1, 0), above))
    cells = [(row, column) for row in corners[0] for column in corners[1]]
    return np.concatenate([flatten(diagram.weights[cell], diagram.bias[cell]) for cell in cells])


def diagram_of_models(
    weights: ArrayLike,
    bias: ArrayLike,
    *,
    importance: ArrayLike,
    density: ArrayLike,
    activation: str = "relu",
    reduction: str = "best",
) -> PhaseDiagram:
    """Make a diagram of models trained elsewhere over a grid, as `trained_phase_diagram` makes of those it trains.

    It draws, and `validate_trained` holds it against every theory.

    Parameters
    ----------
    weights : array_like, shape (n_models, n_hidden, n_features)
    bias : array_like, shape (n_models, n_features) or (n_features,)
    importance, density : array_like, shape (n_models,)
        The extra feature's importance (the others have 1), and the density, for which each model was trained; together a full
        grid with equally many models at every point, in any order.
    activation : {"relu", "linear"}
    reduction : {"best", "paper"}
        As in `trained_phase_diagram`.

    Returns
    -------
    PhaseDiagram
        With theory "trained".

    Raises
    ------
    ValueError
        When an argument is outside its domain or the models form no grid.

    Examples
    --------
    >>> import numpy as np
    >>> from phasediag import diagram_of_models
    >>> weights, bias = np.array([[[1.0, -1.0]], [[1.0, 0.0]]]), np.zeros((2, 2))  # two models, in any order
    >>> diagram_of_models(weights, bias, importance=[0.5, 2.0], density=[0.1, 0.1]).phase
    array([['extra in antipodal pair', 'extra not represented + dedicated']],
          dtype=object)
    """
    one_of("reduction", reduction, REDUCTIONS)
    shape = np.shape(weights)
    if len(shape) != 3:
        raise ValueError(f"weights must have shape (n_models, n_hidden, n_features), got {shape}")
    _, m, n = shape
    matrices, biases, importances, densities = _checked(m, n, weights, bias, importance, density)
    axes = [np.unique(x, return_inverse=True) for x in (densities, importances)]
    sizes = [axis.size for axis, _ in axes]
    cell = axes[0][1].ravel() * sizes[1] + axes[1][1].ravel()
    counts = np.bincount(cell, minlength=sizes[0] * sizes[1])
    if np.ptp(counts):
        raise ValueError(
            f"importance and density must form a full grid with equally many models at every point, got {counts.min()} to "
            f"{counts.max()} models at the points of {sizes[1]} importances and {sizes[0]} densities"
        )
    order = np.argsort(cell, kind="stable").reshape(*sizes, -1)
    options = {"n_seeds": int(counts[0]), "reduction": reduction, "seed": 0}
    plane = ControlPlane.importance_density(n, m, importance=axes[1][0], density=axes[0][0], activation=activation)
    models = evaluate_cells(plane, matrices[order], biases[order], reduction, options)
    return PhaseDiagram(plane, TRAINED, **diagram_fields(models))


def _checked(n_hidden, n_features, weights, bias, importance, density):
    """Weights (n, n_hidden, n_features), biases (n, n_features), importances and densities (n,), or ``ValueError``."""
    weights, bias = cell_model(n_features, n_hidden, 1.0, 1.0, "relu").check_parameters(weights, bias)
    if weights.ndim != 3 or not len(weights):
        raise ValueError(f"weights must have shape (n_models, {n_hidden}, {n_features}), got {weights.shape}")
    controls = []
    for name, value, check in (("importance", importance, positive_array), ("density", density, density_array)):
        value = check(name, value)
        if value.shape not in ((), (len(weights),)):
            raise ValueError(f"{name} must be one number or one for each of the {len(weights)} models, got shape {value.shape}")
        controls.append(np.array(np.broadcast_to(value, len(weights))))
    return weights, bias, *controls
