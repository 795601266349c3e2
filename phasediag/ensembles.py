"""Many models trained elsewhere at once: what each of them is, and where it lies among the minima of its own expected loss."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._arguments import Floats, Seed, random_generator, real_array, real_number, whole_number
from ._display import Result
from ._inspection_report import Reported, ensemble_lines, untied_ensemble_lines
from ._loss.evaluation import evaluate_loosely
from ._minimizing.basin import descend
from ._minimizing.flat import flatten, parts
from ._minimizing.search import EFFORTS, search, settle_model, tied_minima
from ._minimizing.stationary_points import NEGLIGIBLE, SAME_LOSS, distinct, losses_of
from ._progress import progress_bar
from .inspection import RADIUS, as_tied
from .loss import is_untied, untied_losses
from .minima import MOST_ENUMERATED, minimize
from .model import ToyModel
from .phases import TRAINED_TOLERANCE, classify_many
from .trained_models import MOST_LEFT, SETTLED


@dataclass(frozen=True, eq=False, repr=False)
class Ensemble(Reported, Result):
    """Many models' parameters, what they do, and where they lie among the minima of their expected losses.

    Attributes
    ----------
    models : tuple of ToyModel, length n_models
        Importance and density for which each is judged.
    weights : ndarray, shape (n_models, n_hidden, n_features)
    bias : ndarray, shape (n_models, n_features)
    tolerance : float
        Norms and cosines below it count as zero in ``phase``.
    loss : ndarray, shape (n_models,)
        Exact expected loss.
    feature_loss : ndarray, shape (n_models, n_features)
        Each feature's own loss E (x_i − x'_i)², without its importance.
    phase : ndarray of str, shape (n_models,)
    bottom : ndarray, shape (n_models,)
        Loss where an exact descent from the model ends.
    bottom_phase : ndarray of str, shape (n_models,)
        Its phase, with the tolerance of exact minima; "" where the descent ends in no minimum.
    bottom_gradient : ndarray, shape (n_models,)
        Largest entry there of the gradient of loss / Σ_i I_i E x_i².
    lowest : ndarray, shape (n_models,)
        Loss of the lowest minimum found for the model's importance and density; NaN for more than 10 features.
    lowest_phase : ndarray of str, shape (n_models,)
        Its phase, or those of all minima as low (to a relative 1e-9) joined by " = "; "" where there is none.

    Examples
    --------
    >>> from phasediag import ToyModel, inspect_many
    >>> model = ToyModel(n_hidden=1, importance=[1.0, 0.9], density=0.1)
    >>> table = inspect_many(model, [[[0.9, -1.1]], [[1.0, 0.0]]], [[0.0, 0.0], [0.0, 0.05]])
    >>> table.metastable, table.gap.round(3)
    (array([False, False]), array([0.002, 0.025]))
    """

    models: tuple
    weights: np.ndarray
    bias: np.ndarray
    tolerance: float
    loss: np.ndarray
    feature_loss: np.ndarray
    phase: np.ndarray
    bottom: np.ndarray
    bottom_phase: np.ndarray
    bottom_gradient: np.ndarray
    lowest: np.ndarray
    lowest_phase: np.ndarray

    @property
    def excess(self) -> Floats:
        """How far each loss lies above that at the end of the descent, relative to the latter."""
        least = NEGLIGIBLE * np.array([model.loss_scale for model in self.models])
        return np.maximum(np.maximum(self.loss, least) / np.maximum(self.bottom, least) - 1, 0.0)

    @property
    def converged(self) -> NDArray[np.bool_]:
        """Whether the excess is at most 1 %, of a descent that came to an end."""
        return (self.excess <= MOST_LEFT) & (self.bottom_gradient <= SETTLED)

    @property
    def gap(self) -> Floats:
        """By how much each loss exceeds that of the lowest minimum; NaN where it is not known."""
        return np.maximum(self.loss - self.lowest, 0.0)

    @property
    def metastable(self) -> NDArray[np.bool_]:
        """Whether the descent ends above the lowest minimum; False where that is not known."""
        return self.bottom > self.lowest * (1 + SAME_LOSS)

    def facts(self) -> list[dict[str, object]]:
        """Return plain lists and numbers, one dict for each model; what is unknown is None."""
        rows = []
        for k, model in enumerate(self.models):
            known = bool(np.isfinite(self.lowest[k]))
            rows.append(
                {
                    "importance": model.importance.tolist(),
                    "density": model.feature_density.tolist(),
                    "loss": float(self.loss[k]),
                    "phase": str(self.phase[k]),
                    "excess": float(self.excess[k]),
                    "converged": bool(self.converged[k]),
                    "nearest_phase": str(self.bottom_phase[k]) or None,
                    "nearest_loss": float(self.bottom[k]),
                    "lowest_loss": float(self.lowest[k]) if known else None,
                    "lowest_phase": str(self.lowest_phase[k]) or None,
                    "gap": float(self.gap[k]) if known else None,
                    "metastable": bool(self.metastable[k]) if known else None,
                }
            )
        return rows

    def _records(self):
        """A row for each model."""
        return self.facts()

    _lines = staticmethod(ensemble_lines)


@dataclass(frozen=True, eq=False, repr=False)
class UntiedEnsemble(Reported, Result):
    """The parameters of many models with untied weights, x' = activation(decoder encoder x + b), and what they do.

    Attributes
    ----------
    models : tuple of ToyModel, length n_models
        Importance and density for which each is judged.
    decoder : ndarray, shape (n_models, n_features, n_hidden)
    encoder : ndarray, shape (n_models, n_hidden, n_features)
    bias : ndarray, shape (n_models, n_features)
    loss : ndarray, shape (n_models,)
        Exact expected loss.
    feature_loss : ndarray, shape (n_models, n_features)
        Each feature's own loss E (x_i − x'_i)², without its importance.
    gradient_norm : ndarray, shape (n_models,)
        Largest entry of the gradient of loss / Σ_i I_i E x_i² by decoder, encoder and bias.
    asymmetry : ndarray, shape (n_models,)
        Largest entry of P − Pᵀ relative to that of P = decoder encoder: 0 for tied weights in any basis of the hidden space.
    lowest : ndarray, shape (n_models,)
        Loss of the lowest minimum found of the tied model; NaN for more than 10 features.
    lowest_phase : ndarray of str, shape (n_models,)
        Its phase; "" where there is none.

    Examples
    --------
    >>> from phasediag import ToyModel, inspect_many
    >>> model = ToyModel(n_hidden=1, importance=[1.0, 0.9], density=0.1)
    >>> decoders, encoders = [[[1.0], [-1.0]], [[1.0], [0.0]]], [[[0.9, -0.8]], [[1.0, 0.0]]]
    >>> table = inspect_many(model, (decoders, encoders), [[0.0, 0.0], [0.0, 0.05]])
    >>> table.loss.round(6), table.asymmetry.round(3)
    (array([0.004773, 0.02775 ]), array([0.111, 0.   ]))
    """

    models: tuple
    decoder: np.ndarray
    encoder: np.ndarray
    bias: np.ndarray
    loss: np.ndarray
    feature_loss: np.ndarray
    gradient_norm: np.ndarray
    asymmetry: np.ndarray
    lowest: np.ndarray
    lowest_phase: np.ndarray

    @property
    def gap(self) -> Floats:
        """Each loss less that of the lowest tied minimum, negative where untied weights do better; NaN where it is not known."""
        return self.loss - self.lowest

    def facts(self) -> list[dict[str, object]]:
        """Return plain lists and numbers, one dict for each model; what is unknown is None."""
        return [
            {
                "importance": model.importance.tolist(),
                "density": model.feature_density.tolist(),
                "loss": float(self.loss[k]),
                "gradient_norm": float(self.gradient_norm[k]),
                "asymmetry": float(self.asymmetry[k]),
                "lowest_loss": float(self.lowest[k]) if self.lowest_phase[k] else None,
                "lowest_phase": self.lowest_phase[k] or None,
                "gap": float(self.gap[k]) if self.lowest_phase[k] else None,
            }
            for k, model in enumerate(self.models)
        ]

    def _records(self):
        """A row for each model."""
        return self.facts()

    _lines = staticmethod(untied_ensemble_lines)


def inspect_many(
    models: ToyModel | Sequence[ToyModel],
    weights: Any,
    bias: ArrayLike,
    *,
    tolerance: float = TRAINED_TOLERANCE,
    n_starts: int = 32,
    seed: Seed = 0,
    progress: bool = False,
) -> Ensemble | UntiedEnsemble:
    """Tell what many models' weights and biases are, as `inspect` does for one.

    Parameters
    ----------
    models : ToyModel or sequence of ToyModel
        Importance and density for which they are judged: those of all, or one for each.
    weights : array_like, shape (n_models, n_hidden, n_features), or a tuple of two
        A tuple is (decoder, encoder) of untied weights; the decoder has shape (n_models, n_features, n_hidden).
    bias : array_like, shape (n_models, n_features) or (n_features,)
    tolerance : float
        In (0, 1): norms and cosines below it count as zero when the phase is named.
    n_starts : int
        Random starts of the search for the lowest minimum, which models of equal importance and density share.
    seed : None, int or numpy.random.Generator
        Of those searches.
    progress : bool
        Show a progress bar on standard error.

    Returns
    -------
    Ensemble, or UntiedEnsemble
        The latter for untied weights, unless all of them are tied ones in another basis of the hidden space; see `inspect`.

    Raises
    ------
    ValueError
        When an argument is outside its domain.

    Examples
    --------
    >>> from phasediag import ToyModel, inspect_many
    >>> model = ToyModel(n_hidden=1, importance=[1.0, 0.9], density=0.1)
    >>> table = inspect_many(model, [[[0.9, -1.1]], [[1.0, 0.0]]], [[0.0, 0.0], [0.0, 0.05]])
    >>> table.phase
    array(['extra in antipodal pair', 'extra not represented + dedicated'],
          dtype=object)
    """
    n_starts = whole_number("n_starts", n_starts, 1)
    tolerance = real_number("tolerance", tolerance, "in (0, 1)", lambda x: (x > 0) & (x < 1))
    one = isinstance(models, ToyModel)
    models = (models,) if isinstance(models, ToyModel) else tuple(models)
    if not models or not all(isinstance(model, ToyModel) for model in models):
        raise ValueError(f"models must be a ToyModel or one for each model, got {models!r:.60}")
    decoder = None
    if is_untied(models[0], weights):
        decoder, weights = (real_array("weights", part) for part in weights)
        if decoder.ndim != 3 or decoder.shape != np.swapaxes(weights, -1, -2).shape:
            shapes = f"{decoder.shape} and {weights.shape}"
            raise ValueError(f"weights must have shapes (n_models, n_features, n_hidden) and its transpose, got {shapes}")
        tied = [as_tied(*pair) for pair in zip(decoder, weights, strict=True)]
        if all(one is not None for one in tied):
            decoder, weights = None, np.array(tied)
    weights, bias = models[0].check_parameters(weights, bias)
    if weights.ndim != 3 or not len(weights):
        raise ValueError(f"weights must have shape (n_models, n_hidden, n_features), got {weights.shape}")
    models = models * len(weights) if one else models
    if len(models) != len(weights) or {(m.n_features, m.n_hidden) for m in models} != {(weights.shape[2], weights.shape[1])}:
        raise ValueError(f"models must be one for each of the {len(weights)} weights and of their sizes, got {len(models)}")
    for model, own in zip(models, bias, strict=True):
        model.check_active()
        model.check_held("bias", own)
    if decoder is not None:
        return _untied(models, decoder, weights, bias, n_starts, seed, progress)
    found = {name: np.empty(len(weights)) for name in ("loss", "bottom", "bottom_gradient", "lowest")}
    found |= {name: np.empty(len(weights), dtype=object) for name in ("phase", "bottom_phase", "lowest_phase")}
    found["feature_loss"] = np.empty(bias.shape)
    found["phase"][:] = [phase.name for phase in classify_many(weights, tolerance=tolerance)]
    groups = _groups(models)
    with progress_bar(len(weights), progress, "model", "inspecting") as advance:
        for model, members in groups.items():
            found["feature_loss"][members] = evaluate_loosely(model, weights[members], bias[members], 0)[0]
            found["loss"][members] = found["feature_loss"][members] @ model.importance + model.penalty_of(weights[members])
            search = _among_minima if model.n_features <= MOST_ENUMERATED else _alone
            ends = search(model, weights[members], bias[members], n_starts, random_generator(seed), advance)
            for name, values in ends.items():
                found[name][members] = values
    return Ensemble(models=models, weights=weights, bias=bias, tolerance=tolerance, **found)


def _groups(models):
    """The numbers of the models that are one, a dict of list of int."""
    groups = {}
    for k, model in enumerate(models):
        groups.setdefault(model, []).append(k)
    return groups


def _untied(models, decoder, encoder, bias, n_starts, seed, progress):
    """The UntiedEnsemble of decoders (n, n_features, n_hidden), encoders (n, n_hidden, n_features) and biases (n, n_features)."""
    product = decoder @ encoder
    size = np.max(np.abs(product), axis=(1, 2))
    found = {name: np.full(len(models), np.nan) for name in ("loss", "gradient_norm", "lowest")}
    found["feature_loss"], found["lowest_phase"] = np.empty(bias.shape), np.full(len(models), "", dtype=object)
    found["asymmetry"] = np.max(np.abs(product - np.swapaxes(product, 1, 2)), axis=(1, 2)) / np.where(size > 0, size, 1.0)
    with progress_bar(len(models), progress, "model", "inspecting") as advance:
        for model, members in _groups(models).items():
            losses, _, gradient, by_bias = untied_losses(model, (decoder[members], encoder[members]), bias[members], 1)
            found["feature_loss"][members], found["loss"][members] = losses, losses @ model.importance
            slopes = [np.abs(part).reshape(len(members), -1).max(axis=1) for part in (*gradient, model.biased * by_bias)]
            found["gradient_norm"][members] = np.max(slopes, axis=0) / model.loss_scale
            minima = minimize(model, n_starts=n_starts, seed=seed)[:1] if model.n_features <= MOST_ENUMERATED else []
            for lowest in minima:
                found["lowest"][members], found["lowest_phase"][members] = lowest.loss, lowest.phase.name
            advance(len(members))
    return UntiedEnsemble(models=models, decoder=decoder, encoder=encoder, bias=bias, **found)


def _among_minima(model, weights, bias, n_starts, generator, advance):
    """Where descents from models (n, n_hidden, n_features) of one kind end, and the lowest minimum found: fields of Ensemble.

    ``advance`` is called with the number of models that are done.
    """
    own = settle_model(model, flatten(weights, bias), radius=RADIUS)
    points = [*search(model, n_starts, EFFORTS["normal"][1], generator).distinct_ends, *own]
    minima = distinct(points, model.n_hidden, model.classes)
    names = _names(model, own)
    lowest = [point for point in minima if point.scaled_loss <= minima[0].scaled_loss * (1 + SAME_LOSS)]
    tied = [one for point in lowest for one in tied_minima(model, point)]
    advance(len(weights))
    return {
        "bottom": losses_of(own, model.form, model.control[None]),
        "bottom_gradient": [point.gradient_norm for point in own],
        "bottom_phase": [name if point.is_minimum else "" for name, point in zip(names, own, strict=True)],
        "lowest": losses_of(minima[:1], model.form, model.control[None])[0] if minima else np.nan,
        "lowest_phase": " = ".join(dict.fromkeys(_names(model, tied))) if minima else "",
    }


def _names(model, points):
    """The phases of settled points, with the tolerance of exact minima: a list of str."""
    if not points:
        return []
    weights, _ = parts(np.array([point.x for point in points]), model.n_hidden)
    return [phase.name for phase in classify_many(weights)]


def _alone(model, weights, bias, n_starts, generator, advance):
    """As `_among_minima`, of many features: the lowest minimum is not searched for."""
    ends = []
    for one in zip(weights, bias, strict=True):
        ends.append(descend(model, *one))
        advance(1)
    own_weights, own_bias = (np.array(part) for part in zip(*ends, strict=True))
    losses, *gradient, _, _ = evaluate_loosely(model, own_weights, own_bias, 1)
    return {
        "bottom": losses @ model.importance + model.penalty_of(own_weights),
        "bottom_gradient": np.abs(flatten(*gradient) * model.form.free).max(axis=-1) / model.loss_scale,
        "bottom_phase": [phase.name for phase in classify_many(own_weights)],
        "lowest": np.nan,
        "lowest_phase": "",
    }
