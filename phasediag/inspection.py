"""What given weights and biases are: their exact loss, phase and order parameters, and the minima they are near or miss."""

from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike

from ._arguments import Floats, Seed, random_generator, real_array, real_number, whole_number
from ._display import Drawn, Result
from ._inspection_report import Reported, inspection_lines, untied_lines
from ._loss.evaluation import evaluate_loosely
from ._minimizing.basin import descend
from ._minimizing.flat import flatten
from ._minimizing.search import EFFORTS, search, settle_model
from ._minimizing.stationary_points import SAME_LOSS, above
from ._progress import progress_bar
from .barriers import Barrier, depths
from .loss import is_untied, untied_losses
from .minima import MOST_ENUMERATED, Minimum, as_minima, as_minimum, is_lowest, minimize, minimum_at
from .model import ToyModel, check_model
from .order_parameters import order_parameters, upright
from .phases import TRAINED_TOLERANCE, Phase, classify
from .terms import LossTerms, loss_terms
from .trained_models import MOST_LEFT, SETTLED
from .values import pieces_of

RADIUS = 0.1
"""The descent to the nearest minimum begins with steps no longer than this."""

SAME_PRODUCT = 1e-5
"""decoder encoder is WᵀW when it is symmetric and has no negative eigenvalue, to this part of its largest entry."""


@dataclass(frozen=True, eq=False, repr=False)
class Inspection(Reported, Drawn):
    """One model's parameters, what they do, and where they lie among the minima of the expected loss.

    Attributes
    ----------
    model : ToyModel
    weights : ndarray, shape (n_hidden, n_features)
    bias : ndarray, shape (n_features,)
    tolerance : float
        Norms and cosines below it count as zero in ``phase``.
    loss : float
        Exact expected loss.
    loss_error : float
        Bound or cautious estimate of its absolute error.
    feature_loss : ndarray, shape (n_features,)
        Each feature's own loss E (x_i − x'_i)², without its importance.
    gradient_norm : float
        Largest entry of the gradient of loss / Σ_i I_i E x_i² by all that may move.
    terms : LossTerms
        The loss taken apart by feature and by number of active features; see `loss_terms`.
    phase : Phase
    feature_norm, interference, feature_dimensionality : ndarray, shape (n_features,)
    dead_outputs : tuple of int
        Features (from 0) whose output is 0 for every input, so that no gradient reaches them.
    nearest : Minimum
        Where an exact descent from here ends; its phase is named with the tolerance of exact minima. It is no minimum when
        the descent ends on a `plateau` or does not come to an end within its steps (large gradient_norm).
    distance : float
        √(‖R W* − W‖² + ‖b* − b‖²) to the nearest minimum (W*, b*), with the rotation or reflection R that makes it least.
    minima : tuple of Minimum or None
        All minima found, lowest first, the nearest among them; None for more than 10 features.

    Examples
    --------
    >>> from phasediag import ToyModel, inspect
    >>> found = inspect(ToyModel(n_hidden=1, importance=[1.0, 0.9], density=0.1), [[0.9, -1.1]], [0.0, 0.0])
    >>> found.converged, found.metastable, round(found.excess, 3)
    (False, False, 0.724)
    """

    model: ToyModel
    weights: Floats
    bias: Floats
    tolerance: float
    loss: float
    loss_error: float
    feature_loss: Floats
    gradient_norm: float
    terms: LossTerms
    phase: Phase
    feature_norm: Floats
    interference: Floats
    feature_dimensionality: Floats
    dead_outputs: tuple[int, ...]
    nearest: Minimum
    distance: float
    minima: tuple[Minimum, ...] | None
    _figure = "inspection_figure"

    @property
    def excess(self) -> float:
        """How far the loss lies above that of the nearest minimum, relative to the latter."""
        return max(float(above(self.loss, self.nearest.loss, self.model.form, self.model.control)), 0.0)

    @property
    def converged(self) -> bool:
        """Whether the excess is at most 1 %, of a descent that came to an end."""
        return self.excess <= MOST_LEFT and self.nearest.gradient_norm <= SETTLED

    @property
    def plateau(self) -> tuple[int, ...]:
        """The features whose output is 0 for every input where the descent ends, a tuple of int: empty at a minimum."""
        return dead_outputs(self.model, self.nearest.weights, self.nearest.bias)

    @property
    def gap(self) -> float | None:
        """By how much the loss exceeds that of the lowest minimum; None where minima are not searched for or not found."""
        return max(self.loss - self.minima[0].loss, 0.0) if self.minima else None

    @property
    def metastable(self) -> bool | None:
        """Whether the descent ends above the lowest minimum: in a metastable one, unless it ends in none (see ``nearest``).

        None where minima are not searched for or not found.
        """
        return self.nearest.loss > self.minima[0].loss * (1 + SAME_LOSS) if self.minima else None

    def depth(self) -> Barrier | None:
        """Return the lowest pass found from the nearest minimum to a lower one; its ``height`` is how deep that minimum is.

        None where the nearest is the lowest, is no minimum, or minima are not searched for; see `barrier`.
        """
        if not self.metastable or self.plateau or not self.nearest.converged:
            return None
        lower = [one for one in self.minima or () if one.loss < self.nearest.loss * (1 - SAME_LOSS)]
        return depths([self.nearest, *lower])[0]

    _lines = staticmethod(inspection_lines)


@dataclass(frozen=True, eq=False, repr=False)
class UntiedInspection(Reported, Result):
    """The parameters of one model with untied weights, x' = activation(decoder encoder x + b), and what they do.

    Attributes
    ----------
    model : ToyModel
    decoder : ndarray, shape (n_features, n_hidden)
    encoder : ndarray, shape (n_hidden, n_features)
    bias : ndarray, shape (n_features,)
    loss, loss_error : float
        Exact expected loss, and a bound on its absolute error.
    feature_loss : ndarray, shape (n_features,)
        Each feature's own loss E (x_i − x'_i)², without its importance.
    gradient_norm : float
        Largest entry of the gradient of loss / Σ_i I_i E x_i² by decoder, encoder and bias.
    asymmetry : float
        Largest entry of P − Pᵀ relative to that of P = decoder encoder: 0 for tied weights in any basis of the hidden space.
    dead_outputs : tuple of int
        Features (from 0) whose output is 0 for every input, so that no gradient reaches them.
    minima : tuple of Minimum or None
        Those found of the tied model, lowest first; None for more than 10 features.

    Examples
    --------
    >>> from phasediag import ToyModel, inspect
    >>> model = ToyModel(n_hidden=1, importance=[1.0, 0.9], density=0.1)
    >>> found = inspect(model, ([[1.0], [-1.0]], [[0.9, -0.8]]), [0.0, 0.0])  # decoder, encoder
    >>> type(found).__name__, round(found.loss, 9), round(found.asymmetry, 3)
    ('UntiedInspection', 0.00477251, 0.111)
    """

    model: ToyModel
    decoder: Floats
    encoder: Floats
    bias: Floats
    loss: float
    loss_error: float
    feature_loss: Floats
    gradient_norm: float
    asymmetry: float
    dead_outputs: tuple[int, ...]
    minima: tuple[Minimum, ...] | None

    @property
    def gap(self) -> float | None:
        """The loss less that of the lowest tied minimum found, negative where untied weights do better; None without minima.

        Tied weights are among the untied ones: where it is positive, these are no global minimum. Where it is negative, how
        much lower untied weights can come is not known.
        """
        return self.loss - self.minima[0].loss if self.minima else None

    _lines = staticmethod(untied_lines)


@overload
def inspect(
    model: ToyModel,
    weights: tuple[ArrayLike, ArrayLike],
    bias: ArrayLike,
    *,
    tolerance: float = ...,
    n_starts: int = ...,
    seed: Seed = ...,
    progress: bool = ...,
) -> Inspection | UntiedInspection: ...


@overload
def inspect(
    model: ToyModel,
    weights: ArrayLike,
    bias: ArrayLike,
    *,
    tolerance: float = ...,
    n_starts: int = ...,
    seed: Seed = ...,
    progress: bool = ...,
) -> Inspection: ...


def inspect(
    model: ToyModel,
    weights: Any,
    bias: ArrayLike,
    *,
    tolerance: float = TRAINED_TOLERANCE,
    n_starts: int = 32,
    seed: Seed = 0,
    progress: bool = False,
) -> Inspection | UntiedInspection:
    """Tell what one model's weights and biases are, wherever they come from.

    Parameters
    ----------
    model : ToyModel
        Importance and density for which they are judged.
    weights : array_like, shape (n_hidden, n_features), or a tuple of two
        A tuple is (decoder, encoder) of untied weights, shapes (n_features, n_hidden) and (n_hidden, n_features).
    bias : array_like, shape (n_features,)
    tolerance : float
        In (0, 1): norms and cosines below it count as zero when the phase is named; trained weights carry noise.
    n_starts : int
        Random starts of the search for the global minimum, as in `minimize`.
    seed : None, int or numpy.random.Generator
        Of that search.
    progress : bool
        Show a progress bar on standard error.

    Returns
    -------
    Inspection, or UntiedInspection
        The latter for untied weights, unless decoder encoder = WᵀW for some W, as where decoder = Wᵀ A⁻¹ and encoder = A W: then
        the Inspection of the tied W, turned as near to the encoder as it gets.

    Raises
    ------
    ValueError
        When an argument is outside its domain, or the contour integral cannot even give the loss to one part in a thousand.

    Notes
    -----
    The nearest minimum is where an exact descent ends: for up to 10 features a trust-region Newton method with short steps,
    to a gradient of rounding size. The global minimum is the lowest of the minima that `minimize` finds and the nearest one.

    For more than 10 features the descent is L-BFGS along the gradient of the contour integral. The nearest minimum is then
    less exact (its ``gradient_norm`` tells how exact), its ``curvature`` is unknown (NaN, so that it never counts as converged
    itself), and the global minimum is not searched for.

    Examples
    --------
    >>> from phasediag import ToyModel, inspect
    >>> model = ToyModel(n_hidden=1, importance=[1.0, 0.9], density=0.1)
    >>> found = inspect(model, [[0.9, -1.1]], [0.0, 0.0])
    >>> found.phase.name, found.nearest.is_global
    ('extra in antipodal pair', True)
    """
    check_model(model)
    n_starts, seed = whole_number("n_starts", n_starts, 1), random_generator(seed)
    tolerance = real_number("tolerance", tolerance, "in (0, 1)", lambda x: (x > 0) & (x < 1))
    model.check_active()
    if is_untied(model, weights):
        decoder, encoder = (real_array("weights", part) for part in weights)
        losses, error, gradient, bias_gradient = untied_losses(model, (decoder, encoder), bias, 1)
        if losses.ndim != 1:
            raise ValueError(f"weights and bias must be those of one model, got leading axes {losses.shape[:-1]}")
        model.check_held("bias", real_array("bias", bias))
        tied = as_tied(decoder, encoder)
        if tied is None:
            product, bias = decoder @ encoder, real_array("bias", bias)
            few = model.n_features <= MOST_ENUMERATED
            return UntiedInspection(
                model=model,
                decoder=decoder,
                encoder=encoder,
                bias=bias,
                loss=float(model.importance @ losses),
                loss_error=float(error),
                feature_loss=losses,
                gradient_norm=_largest([*gradient, model.biased * bias_gradient]) / model.loss_scale,
                asymmetry=float(np.max(np.abs(product - product.T)) / np.max(np.abs(product))),
                dead_outputs=_dead(model, product, bias),
                minima=tuple(minimize(model, n_starts=n_starts, seed=seed)) if few else None,
            )
        weights = tied
    weights, bias = model.check_parameters(weights, bias)
    model.check_held("bias", bias)
    if weights.ndim != 2:
        raise ValueError(f"weights and bias must be those of one model, got leading axes {weights.shape[:-2]}")
    losses, *gradient, _, error = evaluate_loosely(model, weights, bias, 1)
    few = model.n_features <= MOST_ENUMERATED
    (upright,) = model.form.upright(model.control[None], weights[None])
    with progress_bar(None, progress, "step", "searching for minima" if few else "descending") as advance:
        nearest, minima = (_among_minima if few else _alone)(model, upright, bias, n_starts, seed, lambda: advance(1))
    norm, interference, dimensionality = order_parameters(weights)
    return Inspection(
        model=model,
        weights=weights,
        bias=bias,
        tolerance=tolerance,
        loss=float(model.importance @ losses + model.penalty_of(weights)),
        loss_error=float(error),
        feature_loss=losses,
        gradient_norm=_largest(gradient[: 1 + model.biased]) / model.loss_scale,
        terms=loss_terms(model, weights, bias),
        phase=classify(upright, tolerance=tolerance),
        feature_norm=norm,
        interference=interference,
        feature_dimensionality=dimensionality,
        dead_outputs=dead_outputs(model, weights, bias),
        nearest=nearest,
        distance=float(np.hypot(np.linalg.norm(turned(nearest.weights, upright) - upright), np.linalg.norm(nearest.bias - bias))),
        minima=minima,
    )


def dead_outputs(model: ToyModel, weights: Floats, bias: Floats) -> tuple[int, ...]:
    """Return the features whose output is 0 for every input and stays so under small changes, a tuple of int.

    Where weights and bias of an output are all 0, a rising bias switches it on at once.
    """
    return _dead(model, weights.T @ weights, bias)


def _dead(model, product, bias):
    """The outputs activation(product x + bias), product of shape (n, n), that are 0 for every input: a tuple of int."""
    if model.activation == "linear" or model.slope:
        return ()
    pieces = pieces_of(model.values)
    least, most = min(pieces.lows.min(), 0.0), max((pieces.lows + pieces.widths).max(), 0.0)
    highest = np.sum(np.maximum(product * least, product * most), axis=1) + bias
    return tuple(np.flatnonzero((highest <= 0) & (bias < 0)).tolist())


def as_tied(decoder: Floats, encoder: Floats) -> Floats | None:
    """Return W, shape (n_hidden, n_features), with WᵀW = decoder encoder, turned as near to the encoder as it gets, or None.

    Models know their weights by this product alone; it is WᵀW where it is symmetric without a negative eigenvalue.
    """
    product = decoder @ encoder
    smallest = SAME_PRODUCT * np.max(np.abs(product))
    values, vectors = np.linalg.eigh((product + product.T) / 2)
    if np.max(np.abs(product - product.T)) > smallest or values[0] < -smallest:
        return None
    m = len(encoder)
    return turned(np.sqrt(np.maximum(values[-m:], 0.0))[:, None] * vectors[:, -m:].T, encoder)


def turned(weights: Floats, towards: Floats) -> Floats:
    """Return weights after the rotation or reflection of the hidden space that brings them nearest to others.

    References
    ----------
    Schönemann 1966, "A generalized solution of the orthogonal Procrustes problem".
    """
    left, _, right = np.linalg.svd(towards @ weights.T)
    return left @ right @ weights


def _among_minima(model, weights, bias, n_starts, seed, watch):
    """The Minimum at the bottom of the basin, by Newton's method, and all minima, it among them unless it is a plateau."""
    own = settle_model(model, flatten(weights, bias)[None], radius=RADIUS)[0]
    found = search(model, n_starts, EFFORTS["normal"][1], seed, watch)
    points = found.minima(model, first=own)
    minima = as_minima(model, found, points)
    nearest = [minimum for point, minimum in zip(points, minima, strict=True) if point is own]
    return nearest[0] if nearest else as_minimum(model, own, is_lowest(own, points)), tuple(minima)


def _alone(model, weights, bias, n_starts, seed, watch):
    """The Minimum of unknown curvature at the bottom of the basin of many features, and None: others are not searched for."""
    weights, bias = descend(model, weights, bias, watch)
    weights = upright(weights)
    losses, *gradient, _, _ = evaluate_loosely(model, weights, bias, 1)
    steepest = _largest(gradient[: 1 + model.biased]) / model.loss_scale
    return minimum_at(model, weights, bias, losses, steepest, np.nan, False), None


def _largest(gradient):
    """The largest entry, in size, of a sequence of arrays."""
    return float(max(np.abs(part).max() for part in gradient))
