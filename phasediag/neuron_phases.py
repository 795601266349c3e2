"""What neurons do: how many features each serves, which features are computed, and the phase that they make together."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._arguments import Floats, real_array, real_number
from ._display import Result
from .model import LARGEST_WEIGHT
from .neurons import NeuronForm

NEGLIGIBLE = 1e-3
"""Neurons are dead when the product of their reading and writing weights is below its square."""
TRAINED_SHARE = 0.99
"""Of trained weights: see `classify_neurons`."""
NOUGHT = 1e-7
"""What is below that part of its neuron's largest is 0 to rounding where a minimum, or a weight that vanishes, is solved for."""
EXACT = 1 - NOUGHT**2
"""Of the squared weights of a minimum: all that is not 0 to rounding counts."""
_WRITES, _INHIBITS = 0.9, 0.02
"""Shares of squared writing weights beyond this, and negative ones below this part of the largest, do not count."""
BEYOND = 20.0
"""Weights of tied neurons below minus this fall without end: vetoes. Of other neurons what reads and what writes grows without
end where both are longer, scaled to one length."""
UNBOUNDED = "no minimum: weights grow without end"
_UNEVEN = 1.1
"""Two weights of an asymmetric neuron differ by this factor at least."""


@dataclass(frozen=True, eq=False, repr=False)
class NeuronPhase(Result):
    """What the neurons of a model do.

    Attributes
    ----------
    name : str
        Stable and the same for weights that differ by the scale or order of neurons: where the extra (last) feature is, and
        whether it is partly computed; then how many neurons of each kind there are, then how many of all features are partly
        computed or not represented. "no minimum: weights grow without end" where neurons of separate matrices read and write by
        more than 20, scaled alike.
    extra : {"not_represented", "dedicated", "superposition"}
        The extra feature's neurons serve it alone, or others too.
    neurons : tuple of str
        Of each neuron "monosemantic", "polysemantic" or "dead". Neurons of separate matrices that read one direction share what
        they write, however it is split between them.
    n_served : tuple of int
        How many features each serves: those that it reads, the fewest that hold the share of its squared reading weights, and
        those that it writes.
    features : tuple of str
        Of each feature "computed", "partly computed" (of |x|: for one sign alone) or "not represented".
    monosemanticity : float
        M, the least share, over neurons that are not dead, of its squared reading weights that one feature holds; NaN where all
        are dead.
    motifs : tuple of str
        "veto" where a tied weight is beyond −20, which shuts its neuron off whenever the feature is active; "inhibition" where
        a neuron writes with a negative weight, "asymmetric superposition" where one reads a feature strongly and writes it
        weakly, and the other way round for another.

    Examples
    --------
    >>> from phasediag import classify_neurons
    >>> phase = classify_neurons([[1.0, 0.0, 0.05], [0.0, 1.0, -0.8]])
    >>> phase.neurons, phase.n_monosemantic
    (('monosemantic', 'polysemantic'), 1)
    """

    name: str
    extra: str
    neurons: tuple[str, ...]
    n_served: tuple[int, ...]
    features: tuple[str, ...]
    monosemanticity: float
    motifs: tuple[str, ...]

    @property
    def n_monosemantic(self) -> int:
        """How many neurons are monosemantic."""
        return self.neurons.count("monosemantic")

    @property
    def n_polysemantic(self) -> int:
        """How many neurons are polysemantic."""
        return self.neurons.count("polysemantic")

    @property
    def n_dead(self) -> int:
        """How many neurons are dead."""
        return self.neurons.count("dead")


def classify_neurons(weights: Any, *, share: ArrayLike = TRAINED_SHARE) -> NeuronPhase:
    """Name what the neurons of a model do.

    Parameters
    ----------
    weights : array_like of shape (n_hidden, n_features), or a tuple (decoder, encoder)
        Of the privileged basis, or of shapes (n_features, n_hidden) and (n_hidden, n_features) of a model that computes |x|;
        smaller than 1e30 in size.
    share : float
        In (0.5, 1): a neuron is monosemantic when one feature holds as much of its squared reading weights, and the same one as
        much of its squared writing weights (at most 0.9). Trained weights need some tolerance; minima, at which reading weights
        are exactly 0, are named by all that is not 0.

    Returns
    -------
    NeuronPhase

    Raises
    ------
    ValueError
        When an argument lies outside its domain.

    References
    ----------
    Elhage et al. 2022, sections "Superposition in a Privileged Basis" and "Computation in Superposition".

    Examples
    --------
    >>> from phasediag import classify_neurons
    >>> classify_neurons([[1.0, 0.0, 0.05], [0.0, 1.0, -0.8]]).neurons
    ('monosemantic', 'polysemantic')
    >>> classify_neurons(([[1.0, 1.0]], [[1.0], [-1.0]])).name  # |x| = x⁺ + (−x)⁺
    'extra dedicated + 2 monosemantic'
    """
    share = real_number("share", share, "in (0.5, 1)", lambda x: (x > 0.5) & (x < 1))
    tied = not isinstance(weights, tuple)
    if not tied and len(weights) != 2:
        raise ValueError(f"weights must be an array or a tuple (decoder, encoder), got a tuple of {len(weights)}")
    name = "weights" if tied else "encoder"
    encoder = _matrix(name, weights if tied else weights[1])
    if encoder.ndim != 2 or 0 in encoder.shape:
        raise ValueError(f"{name} must have shape (n_hidden, n_features), at least 1 each, got shape {encoder.shape}")
    decoder = encoder if tied else np.swapaxes(_matrix("decoder", weights[0], encoder.shape[::-1]), -1, -2)
    return phase_of(encoder, decoder, tied, share)


def _matrix(name, matrix, shape=None):
    """A matrix of some name and shape, of weights of which no product of four overflows."""
    domain = f"finite and smaller than {LARGEST_WEIGHT:g} in size"
    return real_array(name, matrix, domain, lambda x: np.abs(x) < LARGEST_WEIGHT, shape)


def named_first(form: NeuronForm, control: Floats, x: Floats, share: float = EXACT) -> tuple[NeuronPhase, Floats]:
    """Return the phase of flat parameters (size,) at a control vector (n_controls,), and the parameters that it names.

    Where other features are equal to the extra one, it changes places with that whose name comes first.
    """
    n = form.n_features
    equal = next((members for members in form.classes(control[None]) if n - 1 in members), ())
    copies = []
    for other in (n - 1, *(i for i in equal if i != n - 1)):
        order = np.arange(n)
        order[[other, n - 1]] = n - 1, other
        encoder, decoder, bias = (part[..., order] for part in form.parts(x))
        copies.append((phase_of(encoder, decoder, form.is_tied, share), form.flat(encoder, decoder, bias)))
    return min(copies, key=lambda copy: copy[0].name)


def phase_of(encoder: Floats, decoder: Floats, tied: bool, share: float = EXACT) -> NeuronPhase:
    """Return the phase of an encoder and a transposed decoder, both (n_hidden, n_features)."""
    grows = bool(np.any(_size(encoder, decoder) > BEYOND**2)) and not tied
    decoder = decoder if tied else _together(encoder, decoder, share)
    dead = _size(encoder, decoder) < NEGLIGIBLE**2
    if tied:
        dead |= np.all(encoder <= NEGLIGIBLE, axis=1)  # never on
    vetoes = np.logical_and(tied, encoder < -BEYOND)
    others = np.where(vetoes, 0.0, np.abs(encoder)).max(axis=1, keepdims=True)
    encoder = np.where(vetoes, -others, encoder)
    decoder = np.where(vetoes, -others, decoder)
    reads, held = _largest(encoder, share)
    serves = (reads | _largest(decoder, min(share, _WRITES))[0]) & ~dead[:, None]
    count = serves.sum(axis=1)
    signs = (1,) if tied else (1, -1)
    response = np.array([np.sum(np.where(serves, decoder, 0.0) * np.maximum(sign * encoder, 0), axis=0) for sign in signs]) > 0
    features = tuple(
        "computed" if all(sides) else "partly computed" if any(sides) else "not represented" for sides in response.T.tolist()
    )
    kinds = tuple("dead" if k == 0 else "monosemantic" if k == 1 else "polysemantic" for k in count.tolist())
    inhibits = np.any(serves & (decoder < 0), axis=1)
    negative = (decoder < -_INHIBITS * np.abs(decoder).max(axis=1, keepdims=True)) & ~dead[:, None]
    asymmetric = np.array([not tied and _asymmetric(*row) for row in zip(encoder, decoder, serves, strict=True)], dtype=bool)
    words = [
        kind
        + f" ({k})" * (k > 1)
        + " inhibiting" * bool(one and not veto)
        + " vetoing" * bool(veto)
        + " asymmetric" * bool(other)
        for kind, k, one, veto, other in zip(
            kinds, count.tolist(), inhibits, np.any(vetoes, axis=1).tolist(), asymmetric, strict=True
        )
    ]
    own = serves[:, -1]
    extra = "not_represented" if features[-1] == "not represented" else "superposition" if np.any(count[own] > 1) else "dedicated"
    head = max((word for word, one, k in zip(words, own, count, strict=True) if one and k > 1), default="")
    tail = [word for word in features if word != "computed"]
    parts = [f"{part.count(word)} {word}" for part in (words, tail) for word in sorted(set(part))]
    places = {"not_represented": "not represented", "dedicated": "dedicated", "superposition": f"in {head}"}
    half = ", partly computed" * (features[-1] == "partly computed")
    motifs = (
        ("inhibition",) * bool(np.any(negative))
        + ("asymmetric superposition",) * bool(asymmetric.any())
        + ("veto",) * bool(vetoes.any())
    )
    return NeuronPhase(
        name=UNBOUNDED if grows else " + ".join([f"extra {places[extra]}{half}", *parts]),
        extra=extra,
        neurons=kinds,
        n_served=tuple(count.tolist()),
        features=features,
        monosemanticity=float(held[~dead].min()) if np.any(~dead) else np.nan,
        motifs=motifs,
    )


def _size(encoder, decoder):
    """The squared length (n_hidden,) that what reads and what writes would both have, scaled alike."""
    return np.sqrt((encoder**2).sum(axis=1) * (decoder**2).sum(axis=1))


def _together(encoder, decoder, share):
    """What each neuron writes, (n_hidden, n_features), together with those that read what it reads.

    Of these nothing tells who writes how much.
    """
    length = np.linalg.norm(encoder, axis=1, keepdims=True)
    reads = encoder / np.maximum(length, 1e-300)
    alike = reads @ reads.T >= min(share, 1 - NOUGHT) ** 0.5
    return np.where(length > 0, (alike * length.T) @ decoder / np.maximum(length, 1e-300), decoder)


def _largest(weights, share):
    """The fewest weights (n_hidden, n_features) that hold the share of each neuron's squares; the largest one's (n_hidden,)."""
    squares = weights**2
    order = np.argsort(-squares, axis=1, kind="stable")
    sums = np.cumsum(np.take_along_axis(squares, order, axis=1), axis=1)
    held = sums / np.maximum(sums[:, -1:], 1e-300)
    chosen = np.zeros(weights.shape, dtype=bool)
    np.put_along_axis(
        chosen, order, np.arange(weights.shape[1]) < 1 + np.sum(held[:, :-1] < share, axis=1, keepdims=True), axis=1
    )
    return chosen, held[:, 0]


def _asymmetric(read, write, serves):
    """Whether a neuron, (n_features,) each, reads one feature strongly and writes it weakly, and another the other way round."""
    at = np.flatnonzero(serves & (read != 0) & (write > 0))
    if at.size < 2:
        return False
    ratio = np.abs(read[at] / write[at])
    strong, weak = at[np.argmax(ratio)], at[np.argmin(ratio)]
    return bool(abs(read[strong]) > _UNEVEN * abs(read[weak]) and write[weak] > _UNEVEN * write[strong])
