"""Local minima of the exact expected loss over all weights and biases, at one point of control parameters."""

from dataclasses import dataclass
from functools import lru_cache

from ._arguments import Floats, Seed, random_generator, whole_number
from ._minimizing.flat import parts
from ._minimizing.search import equal_classes, settled_minima, tied_minima, valley_dimension
from ._minimizing.stationary_points import CURVATURE_TOLERANCE, GRADIENT_TOLERANCE, SAME_LOSS, distinct
from .candidates import MOST_FEATURES, Configuration, configurations
from .model import ToyModel
from .order_parameters import order_parameters, upright
from .phases import Phase, classify

MOST_ENUMERATED = 10


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
    valley : int
        Dimension of the valley of equal loss, rotations apart, of which this is one point; 0 for a minimum of its own. (The
        linear model keeps any n_hidden-dimensional subspace of features of equal importance × variance.)
    tied : tuple of str
        The phases of the frozen configurations in that valley, of which the first is shown; where there is none, this phase.
    """

    weights: Floats
    bias: Floats
    loss: float
    phase: Phase
    configuration: Configuration | None
    gradient_norm: float
    curvature: float
    feature_loss: Floats
    feature_norm: Floats
    interference: Floats
    feature_dimensionality: Floats
    is_global: bool
    valley: int = 0
    tied: tuple = ()

    @property
    def converged(self) -> bool:
        """Whether the gradient has rounding size and no curvature is negative."""
        return self.gradient_norm <= GRADIENT_TOLERANCE and self.curvature >= -CURVATURE_TOLERANCE


def minimize(model: ToyModel, *, n_starts: int = 32, seed: Seed = 0) -> list[Minimum]:
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

    Examples
    --------
    >>> from phasediag import ToyModel, minimize
    >>> lowest, *others = minimize(ToyModel(n_hidden=1, importance=[1.0, 0.9], density=0.1))
    >>> lowest.phase.name, round(lowest.loss, 9)
    ('extra in antipodal pair', 0.003153375)
    >>> all(other.loss > lowest.loss and other.curvature > 0 for other in others)
    True
    """
    if not isinstance(model, ToyModel):
        raise ValueError(f"model must be a ToyModel, got {model!r:.60}")
    if model.n_features > MOST_ENUMERATED:
        raise ValueError(f"model must have at most {MOST_ENUMERATED} features, got {model.n_features}")
    n_starts = whole_number("n_starts", n_starts, 1)
    settled = settled_minima(model, n_starts, random_generator(seed))
    found = distinct(settled, model.n_hidden, equal_classes(model))
    return [as_minimum(model, tied_minima(model, point)[0], is_lowest(point, found)) for point in found]


def is_lowest(point, found):
    """Whether a Settled point is as low as the first of the distinct minima found."""
    return not found or point.scaled_loss <= found[0].scaled_loss * (1 + SAME_LOSS)


def as_minimum(model, point, is_global):
    """Return the Minimum at a Settled point."""
    weights, bias = parts(point.x, model.n_hidden)
    tied = tied_minima(model, point) if point.is_flat else []
    return minimum_at(
        model,
        upright(weights),
        bias.copy(),
        point.feature_loss,
        point.gradient_norm,
        point.curvature,
        is_global,
        valley=valley_dimension(model, point) if tied else 0,
        tied=tuple(dict.fromkeys(classify(parts(one.x, model.n_hidden)[0]).name for one in tied)),
    )


def minimum_at(model, weights, bias, feature_loss, gradient_norm, curvature, is_global, valley=0, tied=()):
    """Return the Minimum at upright weights (n_hidden, n_features) and bias (n_features,)."""
    phase = classify(weights)
    norm, interference, dimensionality = order_parameters(weights)
    return Minimum(
        weights=weights,
        bias=bias,
        loss=float(model.importance @ feature_loss),
        phase=phase,
        configuration=_by_name(model.n_features, model.n_hidden).get(phase.name),
        gradient_norm=float(gradient_norm),
        curvature=float(curvature),
        feature_loss=feature_loss,
        feature_norm=norm,
        interference=interference,
        feature_dimensionality=dimensionality,
        is_global=bool(is_global),
        valley=valley,
        tied=tied,
    )


@lru_cache(maxsize=64)
def _by_name(n_features, n_hidden):
    """The frozen configurations by the names of their phases."""
    if n_features > MOST_FEATURES:
        return {}
    return {c.name: c for c in configurations(n_features, n_hidden)}
