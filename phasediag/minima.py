"""Local minima of the exact expected loss over all weights and biases, at one point of control parameters."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ._arguments import random_generator, real_array, whole_number
from ._minimizing import newton
from ._minimizing.stationary_points import CURVATURE_TOLERANCE, GRADIENT_TOLERANCE, SAME_LOSS, distinct, settle
from .candidates import MOST_FEATURES, Configuration, configurations
from .model import ToyModel
from .order_parameters import feature_dimensionality, feature_norm, interference
from .phases import Phase, classify

MOST_ENUMERATED = 10
ROUNDING = 1e-13
"""Weights of a minimum below this are exact zeros that rounding has touched."""
PARALLEL = 1e-7
"""A column departs from the span of others by more than this part of its length, or it lies in it."""


@dataclass(frozen=True, eq=False)
class Minimum:
    """A local minimum of the expected loss.

    Attributes
    ----------
    weights : ndarray, shape (n_hidden, n_features)
        Rotated so that the first represented feature lies along the first axis, the next in the plane of two, and so on.
    bias : ndarray, shape (n_features,)
    loss : float
        Expected loss.
    phase : Phase
    configuration : Configuration or None
        The frozen configuration of the same phase, when there is one.
    gradient_norm : float
        Largest entry of the gradient of loss / Σ_i I_i E x_i².
    curvature : float
        Lowest one-sided second derivative of loss / Σ_i I_i E x_i² along a unit direction of (weights, bias) that is not a
        rotation; at a kink of the gradient it depends on the side, and the lowest side counts.
    feature_loss : ndarray, shape (n_features,)
        Each feature's own loss E (x_i − x'_i)², without its importance.
    feature_norm, interference, feature_dimensionality : ndarray, shape (n_features,)
    is_global : bool
        Whether no lower minimum was found; more than one can be the lowest.
    """

    weights: np.ndarray
    bias: np.ndarray
    loss: float
    phase: Phase
    configuration: Configuration | None
    gradient_norm: float
    curvature: float
    feature_loss: np.ndarray
    feature_norm: np.ndarray
    interference: np.ndarray
    feature_dimensionality: np.ndarray
    is_global: bool

    @property
    def converged(self):
        """Whether the gradient has rounding size and no curvature is negative."""
        return self.gradient_norm <= GRADIENT_TOLERANCE and self.curvature >= -CURVATURE_TOLERANCE


def minimize(model, *, n_starts=32, seed=0):
    """Find the local minima of the expected loss over all weights and biases.

    Parameters
    ----------
    model : ToyModel
        With at most 10 features.
    n_starts : int
        Number of random starts, at least 1, beside the structured ones: the frozen configurations and perturbations of them.
    seed : None, int or numpy.random.Generator

    Returns
    -------
    list of Minimum
        The distinct minima found, lowest first. Minima that differ by a rotation of the hidden space or a permutation of
        features of equal importance and density are one.

    Raises
    ------
    ValueError
        When an argument is outside its domain.

    Notes
    -----
    BFGS (scipy) on loss / Σ_i I_i E x_i² with the exact gradient leads to a basin; a trust-region Newton method on the
    exact second derivatives polishes to a gradient of rounding size and leaves saddles downhill. Points at which an output
    is 0 for every input are not minima (raising its bias lowers the loss after a plateau) and are dropped.
    """
    if not isinstance(model, ToyModel):
        raise ValueError(f"model must be a ToyModel, got {model!r:.60}")
    if model.n_features > MOST_ENUMERATED:
        raise ValueError(f"model must have at most {MOST_ENUMERATED} features, got {model.n_features}")
    n_starts = whole_number("n_starts", n_starts, 1)
    starts = starting_points(model, n_starts, random_generator(seed))
    store = newton.store(model.n_hidden, model.n_features)
    points = np.array([_descend_with_scipy(model, start, store) for start in starts])
    control = np.broadcast_to(model.importance, (len(points), model.n_features))
    density = np.broadcast_to(model.feature_density, control.shape)
    relu = model.activation == "relu"
    settled = settle(points, model.n_hidden, control, density, relu=relu)
    found = distinct(settled, model.n_hidden, equal_classes(model), flat=not relu)
    lowest = found[0].scaled_loss if found else np.inf
    return [as_minimum(model, point, point.scaled_loss <= lowest * (1 + SAME_LOSS)) for point in found]


def starting_points(model, n_starts, generator):
    """Return flat starts, shape (n, size): frozen configurations, perturbations of them, and random weights."""
    m, n, density = model.n_hidden, model.n_features, model.feature_density
    starts = []
    for weights in _configuration_weights(model, generator):
        bias = np.where(np.any(weights != 0, axis=0), 0.0, density / 2)
        starts.append(np.concatenate([weights.ravel(), bias]))
        for size in (0.03, 0.3):
            starts.append(starts[-1] + size * generator.normal(size=m * n + n) * np.repeat([1.0, 0.3], [m * n, n]))
    starts += [random_starts(m, density[None], generator)[0] for _ in range(n_starts)]
    return np.array(starts)


def random_starts(n_hidden, density, generator):
    """Return random flat starts at models with these densities, shape (n_starts, n_features), a row for each."""
    n_starts, n_features = density.shape
    weights = generator.normal(size=(n_starts, n_hidden, n_features))
    weights = weights * generator.uniform(0.3, 1.3, size=(n_starts, 1, 1)) / np.sqrt(n_hidden)
    mean = density[:, :, None] / 2
    residual = (mean - (np.swapaxes(weights, 1, 2) @ weights) @ mean)[:, :, 0]
    bias = residual * generator.uniform(size=density.shape)
    return np.concatenate([weights.reshape(n_starts, -1), bias], axis=1)


def _configuration_weights(model, generator):
    """The frozen weights; with features permuted as well unless all but the last are alike."""
    if model.n_features > MOST_FEATURES:
        return
    alike = len(set(zip(model.importance[:-1], model.feature_density[:-1], strict=True))) == 1
    by_importance = np.argsort(-model.importance, kind="stable")
    for configuration in configurations(model.n_features, model.n_hidden):
        yield configuration.weights
        if alike:
            continue
        permuted = np.empty_like(configuration.weights)
        permuted[:, by_importance] = configuration.weights[:, ::-1]
        yield permuted
        yield configuration.weights[:, generator.permutation(model.n_features)]


def _descend_with_scipy(model, start, store):
    from scipy.optimize import minimize as scipy_minimize

    def scaled(x):
        loss = newton.evaluate(x, model.n_hidden, model.importance, model.feature_density, model.activation == "relu", 1, store)
        return loss, newton.gradient_of(store).copy()

    return scipy_minimize(scaled, start, jac=True, method="BFGS", options={"gtol": 1e-6, "maxiter": 500}).x


def equal_classes(model):
    """The features that can be exchanged: those of equal importance and density, a tuple of tuples of int."""
    keys = list(zip(model.importance, model.feature_density, strict=True))
    return tuple(tuple(i for i, key in enumerate(keys) if key == one) for one in dict.fromkeys(keys))


def as_minimum(model, point, is_global):
    """Return the Minimum at a settled point."""
    m, n = model.n_hidden, model.n_features
    weights = upright(point.x[: m * n].reshape(m, n))
    phase = classify(weights)
    return Minimum(
        weights=weights,
        bias=point.x[m * n :].copy(),
        loss=float(model.importance @ point.feature_loss),
        phase=phase,
        configuration=_by_name(n, m).get(phase.name),
        gradient_norm=float(point.gradient_norm),
        curvature=float(point.curvature),
        feature_loss=point.feature_loss,
        feature_norm=feature_norm(weights),
        interference=interference(weights),
        feature_dimensionality=feature_dimensionality(weights),
        is_global=bool(is_global),
    )


@lru_cache(maxsize=64)
def _by_name(n_features, n_hidden):
    if n_features > MOST_FEATURES:
        return {}
    return {c.name: c for c in configurations(n_features, n_hidden)}


def upright(weights):
    """Rotate (or reflect) the hidden space: the first represented feature along the first axis, the next in the plane of two, …

    Features, and components left of rotations, below rounding become exact zeros: of a stationary point they are.
    """
    weights = np.asarray(weights, dtype=float)
    represented = np.linalg.norm(weights, axis=0) > ROUNDING
    leading = _independent(weights[:, represented])  # a column along earlier ones has no direction of its own left but rounding
    basis, _ = np.linalg.qr(leading, mode="complete")
    upper = basis.T @ weights
    upper[np.abs(upper) <= ROUNDING] = 0.0
    leading = upper[np.arange(len(upper)), np.argmax(upper != 0, axis=1)]
    return real_array("weights", upper * np.where(leading < 0, -1.0, 1.0)[:, None] + 0.0)


def _independent(columns):
    """The columns that do not lie in the span of those before them."""
    kept = columns[:, :0]
    for column in columns.T:
        across = column - kept @ np.linalg.lstsq(kept, column, rcond=None)[0]
        if np.linalg.norm(across) > PARALLEL * np.linalg.norm(column):
            kept = np.column_stack([kept, column])
    return kept
