"""Local minima of the exact expected loss of neurons at one point of control parameters."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ._arguments import Floats, Seed, as_seed, stream, whole_number
from ._display import Result
from ._neurons.search import Landscape
from .forms import Form
from .neuron_phases import UNBOUNDED, NeuronPhase, phase_of
from .neurons import NeuronModel

MOST_FEATURES, MOST_WEIGHTS = 4, 24
"""With more, features or features times neurons, a search takes too long: a minute for 4→6, 12 seconds for 3→6."""


@dataclass(frozen=True, eq=False, repr=False)
class NeuronMinimum(Result):
    """A local minimum of the expected loss of neurons, or what descents reach whose weights grow without end.

    Attributes
    ----------
    encoder, decoder : ndarray, shapes (n_hidden, n_features) and (n_features, n_hidden)
        Of task "identity" the decoder is the encoder transposed. Of "absolute" the largest reading weight of a neuron is 1 in
        size. A weight of −1e28 stands for one that falls without end, a veto, and one of 1e-14 for one that falls to 0 beside it.
    bias : ndarray, shape (n_features,)
    loss : float
        Of weights that grow without end the lowest that descents have reached: their infimum is no higher.
    phase : NeuronPhase
    gradient_norm : float
        Largest entry of the gradient of loss / Σ_i I_i E x_i² by the parameters that are not held on a kink or a veto.
    curvature : float
        Lowest one-sided second derivative found of loss / Σ_i I_i E x_i² along a unit direction that is not a scale of a
        neuron; on a kink the slope to its side is in it, over 1e-5. Of weights that grow without end −∞, and ∞ the gradient.
    feature_loss : ndarray, shape (n_features,)
    lowest_found : bool
        Whether no lower one was found, and two descents of the search at least have ended here. It is no proof, see ``unseen``.
    unbounded_loss : float
        The lowest loss met by descents of the search whose weights were growing without end; infinite where there were none.
        Below ``loss`` it says that minima are not the infimum.
    hits : int
        How many descents of the search, each from another start, ended here.
    unseen : float
        Estimate (Good–Turing) of the probability that one more start would end where none has: the share of descents that ended
        where no other did.
    is_unbounded : bool
        Whether there is no lowest minimum: weights grow without end. Then it is the first of the list.
    is_attained : bool
        Whether weights of finite size have this loss. With a veto they only come near it: it is their infimum nearby; and where
        they grow without end they come below it.

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
    hits: int
    unseen: float
    model: NeuronModel | None = field(default=None, repr=False)

    @property
    def is_attained(self) -> bool:
        """Whether no weight is a veto, which stands for a limit, and none grows without end."""
        return "veto" not in self.phase.motifs and not self.is_unbounded

    @property
    def is_unbounded(self) -> bool:
        """Whether weights grow without end."""
        return self.phase.name == UNBOUNDED

    @property
    def weights(self) -> Any:
        """The weights as the model takes them: the encoder, or (decoder, encoder)."""
        return self.encoder if self.model is None or self.model.task == "identity" else (self.decoder, self.encoder)


def check_searchable(form: Form) -> None:
    """Raise ValueError where a search for minima would take too long."""
    n_features = whole_number("n_features", form.n_features, 1, MOST_FEATURES)
    most = MOST_WEIGHTS // n_features
    if form.n_hidden > most:
        domain = f"a whole number from 1 to {most} for minima of neurons with {n_features} features"
        raise ValueError(f"n_hidden must be {domain}, got {form.n_hidden}")


def neuron_minima(model: NeuronModel, n_starts: int | None, seed: Seed) -> list[NeuronMinimum]:
    """Return the distinct minima of a NeuronModel, lowest first: those of ``minimize``; by default from 60 random starts.

    Where descents whose weights grow without end reach less than all of them, what the lowest of these reaches is the first.

    Raises
    ------
    ValueError
        When the model has more than 4 features, or more than 24 features times neurons.
    """
    check_searchable(model.form)
    n_starts = 60 if n_starts is None else whole_number("n_starts", n_starts, 1)
    landscape = Landscape(model.form, model.control)
    points = landscape.settle(landscape.starts(stream(as_seed(seed)), n_starts))
    hits = [sum(landscape.known([point], *end) for end in landscape.ends) for point in points]
    found = sorted(zip(points, hits, strict=True), key=lambda one: one[0].scaled_loss)
    lowest = found[0][0].scaled_loss if found else np.inf
    if landscape.infimum(lowest) < lowest:
        found.insert(0, (landscape.unbounded, landscape.n_grown))
    unseen = sum(count == 1 for _, count in found) / max(len(landscape.ends) + landscape.n_grown, 1)
    return [_minimum(model, landscape, point, k == 0, count, unseen) for k, (point, count) in enumerate(found)]


def _minimum(model, landscape, point, lowest, hits, unseen):
    """The NeuronMinimum at a Point of the landscape of a model at which so many descents ended."""
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
        lowest_found=lowest and hits > 1,
        unbounded_loss=float(landscape.unbounded.scaled_loss * landscape.scale),
        hits=hits,
        unseen=unseen,
        model=model,
    )
