"""Local minima of the exact expected loss over all weights and biases, at one point of control parameters."""

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, overload

import numpy as np

from ._arguments import Floats, Seed, as_flag, one_of, random_generator, whole_number
from ._display import Drawn
from ._minimizing.flat import parts
from ._minimizing.kinks import kinks_at
from ._minimizing.search import EFFORTS, exchanged, search, tied_minima, valley_dimension
from ._minimizing.stationary_points import CURVATURE_TOLERANCE, GRADIENT_TOLERANCE, SAME_LOSS
from .candidates import MOST_FEATURES, Configuration, configurations
from .model import ToyModel, check_model
from .neuron_minima import NeuronMinimum, neuron_minima
from .neurons import NeuronModel
from .order_parameters import order_parameters, upright
from .phases import Phase, classify

MOST_ENUMERATED = 10


@dataclass(frozen=True, eq=False, repr=False)
class Minimum(Drawn):
    """A local minimum of the expected loss.

    Attributes
    ----------
    weights : ndarray, shape (n_hidden, n_features)
        Rotated so that the first represented feature lies along the first axis, the next in the plane of two, and so on.
    bias : ndarray, shape (n_features,)
    loss : float
        Expected loss, with the penalty where the model has one.
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
    lowest_found : bool
        Whether no lower minimum was found; more than one can be the lowest. It is no proof, see ``unseen``. An older name is
        ``is_global``.
    hits : int
        How many descents of the search ended here; 0 where none was made.
    unseen : float
        Estimate (Good–Turing) of the probability that one more random start would end in a minimum that none has led to: the
        share of random starts that led to a minimum of their own. NaN where there was no search.
    valley : int
        Dimension of the valley of equal loss, rotations apart, of which this is one point; 0 for a minimum of its own. (The
        linear model keeps any n_hidden-dimensional subspace of features of equal importance × variance.)
    tied : tuple of str
        The phases of the frozen configurations in that valley, of which the first is shown; where there is none, this phase.
    expected_loss_without_penalty : float
        ``loss`` without the model's penalty.
    kinks : tuple of (int, tuple of float)
        The kinks of the loss on which it sits, of values that are atoms: an output that is held at 0, and the input at which.
        There the loss has no gradient, and rises on either side; ``gradient_norm`` is what is left of it along the kinks, and
        ``curvature`` that across them. Empty where the loss is smooth.
    model : ToyModel or None
        The model of which it is a minimum; None where it was not made by this package.

    Examples
    --------
    >>> from phasediag import ToyModel, minimize
    >>> lowest = minimize(ToyModel(n_hidden=1, importance=[1.0, 0.9], density=0.1))[0]
    >>> lowest.phase.name, lowest.lowest_found, lowest.converged
    ('extra in antipodal pair', True, True)
    >>> lowest.feature_norm.round(4)
    array([1.0066, 1.0049])
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
    lowest_found: bool
    hits: int = 0
    unseen: float = np.nan
    valley: int = 0
    tied: tuple[str, ...] = ()
    expected_loss_without_penalty: float = np.nan
    model: ToyModel | None = field(default=None, repr=False)
    kinks: tuple[tuple[int, tuple[float, ...]], ...] = ()
    _figure = "minima_figure"

    def plot(self) -> Any:
        """Return the figure of this minimum's columns of W, which notebooks show; ``savefig`` writes it.

        Returns
        -------
        matplotlib.figure.Figure
        """
        return self._drawing([self])

    @property
    def is_global(self) -> bool:
        """The older name of ``lowest_found``."""
        return self.lowest_found

    @property
    def converged(self) -> bool:
        """Whether the gradient has rounding size and no curvature is negative."""
        return self.gradient_norm <= GRADIENT_TOLERANCE and self.curvature >= -CURVATURE_TOLERANCE


@overload
def minimize(
    model: ToyModel, *, n_starts: int | None = ..., effort: str = ..., seed: Seed = ..., bias: bool = ...
) -> list[Minimum]: ...


@overload
def minimize(
    model: NeuronModel, *, n_starts: int | None = ..., effort: str = ..., seed: Seed = ..., bias: bool = ...
) -> list[NeuronMinimum]: ...


def minimize(
    model: ToyModel | NeuronModel, *, n_starts: int | None = None, effort: str = "normal", seed: Seed = 0, bias: bool = True
) -> list[Minimum] | list[NeuronMinimum]:
    """Find the local minima of the expected loss over all weights and biases.

    Parameters
    ----------
    model : ToyModel or NeuronModel
        With at most 10 features; of neurons 4, and 24 features times neurons: these have no ``effort``, but 60 random starts by
        default.
    n_starts : int, optional
        The budget: number of random starts, at least 1, to which half as many at the best lengths of their number of features
        are added, and moves of a round. By default that of the effort: 8, 32 or 96.
    effort : {"quick", "normal", "thorough"}
        How many rounds of moves in turn may find nothing lower before the search ends: 0, 2 or 4. Moves: features change places,
        leave, enter, turn, join others or are mirrored.
    seed : None, int or numpy.random.Generator
    bias : bool
        False holds biases at 0, as those of a model without biases always are.

    Returns
    -------
    list of Minimum, or of NeuronMinimum
        The distinct minima found, lowest first. Minima that differ by a rotation of the hidden space or a permutation of
        features of equal importance and density are one.

    Raises
    ------
    ValueError
        When an argument is outside its domain.

    Notes
    -----
    Descents begin at frozen configurations, at unions of polygons and spherical codes on orthogonal subspaces with every number
    of features left out, each at its best lengths and biases, at random weights, and where no lowest minimum may lie above: at
    the lowest minima with one feature, or one dimension, less, and, where less than one feature is active on average, at the
    point of least loss when one is (a closed form); then at moves of the lowest minima found. A trust-region Newton method
    on the exact second derivatives of loss / Σ_i I_i E x_i² leads to a gradient of rounding size and leaves saddles downhill;
    for 7 to 10 features, and from moves, BFGS with few second derivatives comes first, and the lowest ends go on.
    Points at which an output is 0 for every input are not minima (raising its bias lowers the loss after a plateau) and are
    dropped.

    Values with atoms, such as binary ones, make kinks in the loss: at z = 0 the slope of (x_i − x'_i)² in z jumps by
    −2 (1 − slope) x_i. Where x_i > 0 it jumps down, so that no minimum is there. Where x_i < 0 it jumps up, and minima may sit on
    kinks: descents then go over the loss with its kinks rounded, less and less, and end where the rest is stationary with the
    outputs on kinks held at 0, each with a multiplier between the slopes of its term on either side, so that no one-sided
    derivative is negative. Of a mixture with intervals these are the kinks at inputs whose values are all atoms, or lie in
    intervals of features alone to which the output's is orthogonal. Without biases the loss has a kink where W_i = 0, whatever
    the values are, and rises with ‖W_i‖ in all directions where E x_i is far enough below 0: such columns are held at 0.

    That a minimum is the lowest found is no proof that none is lower. ``unseen`` says how far the search is from having seen
    every basin that random starts lead to.

    References
    ----------
    Good 1953, "The population frequencies of species and the estimation of population parameters" (``unseen``; after Turing).

    Examples
    --------
    >>> from phasediag import ToyModel, minimize
    >>> lowest, *others = minimize(ToyModel(n_hidden=1, importance=[1.0, 0.9], density=0.1))
    >>> lowest.phase.name, round(lowest.loss, 9)
    ('extra in antipodal pair', 0.003153375)
    >>> all(other.loss > lowest.loss and other.curvature > 0 for other in others)
    True
    """
    if isinstance(model, NeuronModel):
        if not bias:
            raise ValueError("bias must be True for a NeuronModel, got False")
        if effort != "normal":
            raise ValueError(f'effort must be the default, "normal", for a NeuronModel, got {effort!r:.60}')
        return neuron_minima(model, n_starts, seed)
    check_model(model)
    if model.n_features > MOST_ENUMERATED:
        raise ValueError(f"model must have at most {MOST_ENUMERATED} features, got {model.n_features}")
    model.check_active()
    model = model if as_flag("bias", bias) else model.without_biases()
    starts, rounds = EFFORTS[one_of("effort", effort, tuple(EFFORTS))]
    n_starts = starts if n_starts is None else whole_number("n_starts", n_starts, 1)
    found = search(model, n_starts, rounds, random_generator(seed))
    return as_minima(model, found, [tied_minima(model, point)[0] for point in found.minima(model)])


def as_minima(model, found, points):
    """Return the Minimum at each of the distinct minima of a `Search`, a list of Settled, lowest first."""
    hits = found.hits(model, points)
    unseen = found.unseen(hits)
    minima = [as_minimum(model, point, is_lowest(point, points)) for point in points]
    return [replace(minimum, hits=int(count), unseen=unseen) for minimum, count in zip(minima, hits[:, 0], strict=True)]


def is_lowest(point, found):
    """Whether a Settled point is as low as the first of the distinct minima found."""
    return not found or point.scaled_loss <= found[0].scaled_loss * (1 + SAME_LOSS)


def as_minimum(model, point, lowest_found):
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
        lowest_found,
        valley=valley_dimension(model, point) if tied else 0,
        kinks=kinks_at(model.form, model.control, point.x),
        tied=tuple(dict.fromkeys(classify(parts(x, model.n_hidden)[0]).name for one in tied for x in exchanged(model, one.x))),
    )


def minimum_at(model, weights, bias, feature_loss, gradient_norm, curvature, lowest_found, valley=0, tied=(), kinks=()):
    """Return the Minimum at upright weights (n_hidden, n_features) and bias (n_features,)."""
    phase = classify(weights, sets=model.form.activity.together)
    norm, interference, dimensionality = order_parameters(weights)
    return Minimum(
        weights=weights,
        bias=bias,
        loss=float(model.importance @ feature_loss + model.penalty_of(weights)),
        expected_loss_without_penalty=float(model.importance @ feature_loss),
        phase=phase,
        configuration=_by_name(model.n_features, model.n_hidden, model.activation == "linear").get(phase.name),
        gradient_norm=float(gradient_norm),
        curvature=float(curvature),
        feature_loss=feature_loss,
        feature_norm=norm,
        interference=interference,
        feature_dimensionality=dimensionality,
        lowest_found=bool(lowest_found),
        valley=valley,
        tied=tied,
        kinks=kinks,
        model=model,
    )


@lru_cache(maxsize=64)
def _by_name(n_features, n_hidden, linear):
    """The frozen configurations, of linear models or of the others, by the names of their phases."""
    if n_features > MOST_FEATURES:
        return {}
    return {c.name: c for c in configurations(n_features, n_hidden, activation="linear" if linear else "relu")}


def common_model(*minima):
    """Return the ToyModel of some Minimum, which must be the same for all."""
    for one in minima:
        if not isinstance(one, Minimum) or one.model is None or one.model != minima[0].model:
            raise ValueError(f"minima must be of one model, as minimize returns them, got {one!r:.60}")
    return minima[0].model
