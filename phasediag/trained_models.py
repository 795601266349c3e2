"""The trained models behind a diagram, and what the paper's protocol makes of them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._arguments import Floats, one_of
from ._display import Result
from ._loss.evaluation import rows_loosely
from ._minimizing.flat import flatten
from ._minimizing.search import named_first, orders_of_extra
from ._minimizing.stationary_points import above, bottoms
from .model import model_of
from .neuron_training import measured_neurons
from .neuron_validation import ends_of
from .neurons import NeuronForm
from .order_parameters import feature_norm, interference
from .phases import TRAINED_TOLERANCE, distinct_phases, in_order

TRAINED = "trained"
"""The ``theory`` of a diagram of trained models."""

SETTLED = 1e-3
"""A descent has come to an end when no entry of the gradient of loss / Σ_i I_i E x_i² exceeds this."""

MOST_LEFT = 0.01
"""A trained model has converged when it lies at most this far above the bottom of its basin, relative to its loss there."""

MOST_SETTLED = 8
"""Features up to which the bottom of the basin is solved for."""

REDUCTIONS = ("paper", "best")
GRIDS = ("weights", "bias", "loss", "gradient_norm", "feature_norm", "interference", "phase", "extra", "kept")


@dataclass(frozen=True, eq=False, repr=False)
class TrainedModels(Result):
    """Every model that was trained for a diagram; grids have axes (y, x, seed) of the plane.

    Attributes
    ----------
    options : mapping
        The keyword arguments of ``trained_phase_diagram`` that decide the numbers, the seed drawn for None included.
    weights : ndarray of float32, shape (n_y, n_x, n_seeds, n_hidden, n_features)
    bias : ndarray of float32, shape (n_y, n_x, n_seeds, n_features)
    loss : ndarray, shape (n_y, n_x, n_seeds)
        Exact expected loss.
    gradient_norm : ndarray, shape (n_y, n_x, n_seeds)
        Euclidean norm of the exact gradient of the expected loss by all that moves.
    feature_norm, interference : ndarray, shape (n_y, n_x, n_seeds)
        Of the extra feature.
    phase, extra : ndarray of str, shape (n_y, n_x, n_seeds)
        By `classify` with a tolerance of 0.1.
    kept : ndarray of bool, shape (n_y, n_x, n_seeds)
        Which models the reduction keeps: all but the one with the highest loss ("paper"), or that with the lowest ("best").
    excess : ndarray, shape (n_y, n_x)
        How far the lowest loss of a cell lies above the bottom of its basin, relative to the bottom: the loss at the local
        minimum to which an exact descent leads from there. For more than 8 features, an estimate from the gradient g:
        |g|²/(2 density × loss), as if every curvature were the density.

    Examples
    --------
    >>> from phasediag import trained_phase_diagram
    >>> trained = trained_phase_diagram(importance=[0.5, 2.0], density=[0.1], n_seeds=3, n_steps=50)
    >>> models = trained.trained
    >>> models.weights.shape, models.loss.shape  # densities, importances, seeds, …
    ((1, 2, 3, 1, 2), (1, 2, 3))
    """

    options: Mapping[str, Any]
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    loss: Floats
    gradient_norm: Floats
    feature_norm: Floats
    interference: Floats
    phase: NDArray[np.object_]
    extra: NDArray[np.object_]
    kept: NDArray[np.bool_]
    excess: Floats

    @property
    def metastable_fraction(self) -> Floats:
        """Share of the seeds of each cell that ended in another phase than the one of the lowest loss there."""
        best = np.argmin(self.loss, axis=-1)[..., None]
        return np.mean(self.phase != np.take_along_axis(self.phase, best, axis=-1), axis=-1)

    def _records(self):
        """A row for each model: the row, column and seed of the grid, and what is known of the model."""
        places = np.ndindex(self.loss.shape)
        names = [name for name in GRIDS if name not in ("weights", "bias")]
        columns = [getattr(self, name) for name in names]
        return [
            dict(zip(("row", "column", "seed"), place, strict=True))
            | {name: column[place] for name, column in zip(names, columns, strict=True)}
            for place in places
        ]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what `from_arrays` reads: arrays of numbers and of text by name."""
        arrays = {f"trained_{f.name}": getattr(self, f.name) for f in fields(self) if f.name != "options"}
        arrays["trained_phase"], arrays["trained_extra"] = self.phase.astype(str), self.extra.astype(str)
        return arrays | {"trained_options": np.array(json.dumps(dict(self.options)))}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "TrainedModels":
        """Return the models whose `arrays` are in a mapping."""
        values: dict[str, Any] = {f.name: arrays[f"trained_{f.name}"] for f in fields(cls)}
        values["options"] = json.loads(values["options"].item())
        values["phase"], values["extra"] = values["phase"].astype(object), values["extra"].astype(object)
        return cls(**values)


def evaluate_cells(plane, weights, bias, reduction, options, n_threads=1):
    """Return the TrainedModels over a plane with these parameters, shapes (n_y, n_x, n_seeds, …)."""
    one_of("reduction", reduction, REDUCTIONS)
    of_neurons = isinstance(plane.form, NeuronForm)
    measured = measured_neurons(plane, weights, bias) if of_neurons else _measured(plane, weights, bias)
    loss = measured["loss"]
    best = np.argmin(loss, axis=-1)[..., None]
    kept = np.zeros(loss.shape, dtype=bool)
    if reduction == "best" or loss.shape[2] == 1:
        np.put_along_axis(kept, best, True, axis=-1)
    else:
        kept[:] = True
        np.put_along_axis(kept, np.argmax(loss, axis=-1)[..., None], False, axis=-1)
    lowest = (of_seed(x, best) for x in (weights, bias, loss, measured["gradient_norm"]))
    excess = _excess(plane.form, plane.grid, *lowest, n_threads)
    return TrainedModels(options=options, weights=weights, bias=bias, kept=kept, excess=excess, **measured)


def _measured(plane, weights, bias):
    """Loss, phase and order parameters of models, shapes (n_y, n_x, n_seeds, …): fields of TrainedModels by name."""
    grid = weights.shape[:3]
    flat = weights.reshape(-1, *weights.shape[3:]).astype(np.float64)
    form, controls = plane.form, plane.grid
    flat, phases, which = named_models(plane, np.repeat(controls.reshape(-1, form.n_controls), grid[2], axis=0), flat)
    names, extras = (np.array([getattr(phase, name) for phase in phases], dtype=object) for name in ("name", "extra"))
    rows = model_of(form, controls[0, 0]).check_parameters(weights, bias)
    losses, *gradient, _, _ = rows_loosely(*rows, form, controls[:, :, None], 1)
    gradient = gradient[: 1 + form.biased]
    return {
        "loss": (losses @ form.importance(controls)[..., None])[..., 0] + form.penalty(controls[:, :, None], rows[0]),
        "gradient_norm": np.sqrt(sum((part**2).reshape(*grid, -1).sum(axis=-1) for part in gradient)),
        "feature_norm": feature_norm(flat)[:, -1].reshape(grid),
        "interference": interference(flat)[:, -1].reshape(grid),
        "phase": names[which].reshape(grid),
        "extra": extras[which].reshape(grid),
    }


def named_models(plane, controls, weights):
    """Weights (n_models, n_hidden, n_features) as models' are named, their phases, and of each which: as `distinct_phases`."""
    weights = plane.form.upright(controls, weights)
    if len(orders_of_extra(plane.classes, plane.form.n_features)) > 1:
        weights = np.take_along_axis(weights, named_first(weights, plane.classes, TRAINED_TOLERANCE)[:, None], axis=2)
    return weights, *distinct_phases(weights, tolerance=TRAINED_TOLERANCE, sets=plane.together)


def diagram_fields(models):
    """Return the fields of a PhaseDiagram that shows trained models."""
    best = np.argmin(models.loss, axis=-1)[..., None]
    names = tuple(dict.fromkeys(models.phase.flat))
    row = {name: k for k, name in enumerate(names)}
    named = np.fromiter(map(row.__getitem__, models.phase.flat), int, models.phase.size).reshape(models.phase.shape)
    ended = named == np.arange(len(names)).reshape(-1, 1, 1, 1)
    lowest = np.where(ended, models.loss, np.inf).min(axis=-1)
    rank = np.argsort(np.argsort(models.loss, axis=-1, kind="stable"), axis=-1)
    place = np.where(ended & models.kept, rank, rank.shape[-1]).min(axis=-1)  # of the first kept model of each phase, by loss
    return {
        "candidates": names,
        "candidate_loss": np.where(np.isfinite(lowest), lowest, np.nan),
        "phase": of_seed(models.phase, best),
        "extra": of_seed(models.extra, best),
        "coexisting": in_order(np.where(place == rank.shape[-1], -1, place), names),
        "loss": of_seed(models.loss, best),
        "weights": of_seed(models.weights, best).astype(np.float64),
        "bias": of_seed(models.bias, best).astype(np.float64),
        "feature_norm": np.mean(models.feature_norm, axis=-1, where=models.kept),
        "interference": np.mean(models.interference, axis=-1, where=models.kept),
        "converged": models.excess <= MOST_LEFT,
        "trained": models,
    }


def of_seed(values, which):
    """Return the values of one seed of each cell; ``which`` has shape (n_y, n_x, 1)."""
    return np.take_along_axis(values, which.reshape(which.shape + (1,) * (values.ndim - 3)), axis=2)[:, :, 0]


def _excess(form, controls, weights, bias, loss, gradient_norm, n_threads):
    """Return how far the losses of single models of all cells lie above the bottoms of their basins.

    controls (n_y, n_x, n_controls), the others (n_y, n_x, …).
    """
    if form.n_features > MOST_SETTLED:
        return gradient_norm**2 / (2 * form.density(controls)[..., 0] * loss)
    controls, start = (x.reshape(loss.size, -1) for x in (controls, flatten(weights, bias).astype(np.float64)))
    if isinstance(form, NeuronForm):
        bottom = form.loss_scale(controls) * [end.scaled_loss for end in ends_of(form, controls, start, n_threads)]
    else:
        bottom = bottoms(start, form, controls, radius=0.1, n_threads=n_threads)
    return np.maximum(above(loss, bottom.reshape(loss.shape), form, controls.reshape(*loss.shape, -1)), 0)
