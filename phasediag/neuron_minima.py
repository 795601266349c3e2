"""Local minima of the exact expected loss of neurons at one point of control parameters."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ._arguments import Floats, Seed, as_seed, stream, whole_number
from ._display import Result
from ._neurons.search import Landscape
from .neuron_phases import NeuronPhase, phase_of
from .neurons import NeuronModel

MOST_FEATURES = 4
"""With more, an evaluation of the loss takes too long for a search."""


@dataclass(frozen=True, eq=False, repr=False)
class NeuronMinimum(Result):
    """A local minimum of the expected loss of neurons.

    Attributes
    ----------
    encoder, decoder : ndarray, shapes (n_hidden, n_features) and (n_features, n_hidden)
        Of task "identity" the decoder is the encoder transposed. Of "absolute" the largest reading weight of a neuron is 1 in
        size. A weight of −1e28 stands for one that falls without end, a veto, and one of 1e-14 for one that falls to 0 beside it.
    bias : ndarray, shape (n_features,)
    loss : float
    phase : NeuronPhase
    gradient_norm : float
        Largest entry of the gradient of loss / Σ_i I_i E x_i² by the parameters that are not held on a kink or a veto.
    curvature : float
        Lowest one-sided second derivative found of loss / Σ_i I_i E x_i² along a unit direction that is not a scale of a
        neuron; on a kink the slope to its side is in it, over 1e-5.
    feature_loss : ndarray, shape (n_features,)
    lowest_found : bool
        Whether no lower minimum was found.
    unbounded_loss : float
        The lowest loss met by descents of the search whose weights were growing without end; infinite where there were none.
        Below ``loss`` it says that minima are not the infimum.
    is_attained : bool
        Whether weights of finite size have this loss. With a veto they only come near it: it is their infimum nearby.

    Examples
    --------
    >>> from phasediag import NeuronModel, minimize
    >>> lowest = minimize(NeuronModel(1, importance=[1.0, 0.7], density=0.9), n_starts=8)[0]
    >>> lowest.phase.name, round(lowest.loss, 6)
    ('extra not represented + 1 monosemantic + 1 not represented', 0.06825)
    """

    encoder: Floats
    decoder: Floats
    bias: Floats
    loss: float
    phase: NeuronPhase
    gradient_norm: float
    curvature: float
    feature_loss: Floats
    lowest_found: bool
    unbounded_loss: float
    model: NeuronModel | None = field(default=None, repr=False)

    @property
    def is_attained(self) -> bool:
        """Whether no weight is a veto, which stands for a limit."""
        return "veto" not in self.phase.motifs

    @property
    def weights(self) -> Any:
        """The weights as the model takes them: the encoder, or (decoder, encoder)."""
        return self.encoder if self.model is None or self.model.task == "identity" else (self.decoder, self.encoder)


def neuron_minima(model: NeuronModel, n_starts: int | None, seed: Seed) -> list[NeuronMinimum]:
    """Return the distinct minima of a NeuronModel, lowest first: those of ``minimize``; by default from 60 random starts.

    Raises
    ------
    ValueError
        When the model has more than 4 features.
    """
    if model.n_features > MOST_FEATURES:
        raise ValueError(f"model must have at most {MOST_FEATURES} features for minima of neurons, got {model.n_features}")
    n_starts = 60 if n_starts is None else whole_number("n_starts", n_starts, 1)
    landscape = Landscape(model.form, model.control)
    points = landscape.settle(landscape.starts(stream(as_seed(seed)), n_starts))
    points.sort(key=lambda point: point.scaled_loss)
    if points:
        landscape.infimum(points[0].scaled_loss)
    return [_minimum(model, landscape, point, point is points[0]) for point in points]


def _minimum(model, landscape, point, lowest):
    """The NeuronMinimum at a Point of the landscape of a model."""
    encoder, decoder, bias = model.form.parts(point.x)
    if model.task == "absolute":
        largest = np.abs(encoder).max(axis=1, keepdims=True)
        largest = np.where(largest > 0, largest, 1.0)
        encoder, decoder = encoder / largest, decoder * largest
    losses = landscape.feature_loss(point.x)
    return NeuronMinimum(
        encoder=encoder.copy(),
        decoder=decoder.T.copy(),
        bias=bias.copy(),
        loss=float(model.importance @ losses),
        phase=phase_of(encoder, decoder, model.form.is_tied),
        gradient_norm=point.gradient_norm,
        curvature=point.curvature,
        feature_loss=losses,
        lowest_found=lowest,
        unbounded_loss=landscape.unbounded.scaled_loss * landscape.scale,
        model=model,
    )
