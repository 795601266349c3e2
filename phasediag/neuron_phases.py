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
        a neuron writes with a negative weight that counts or is 2 % of its largest; "asymmetric superposition" where one reads
        a feature strongly and writes it weakly, and the other way round for another.

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


def named_first(form: NeuronForm, control: Floats, x: Floats, share: float = EXACT) -> Floats:
    """Return flat parameters x (size,) at a control vector (n_controls,) as they are named.

    Where other features are equal to the extra one, it changes places with that whose name comes first.
    """
    n = form.n_features
    equal = next((members for members in form.classes(control[None]) if n - 1 in members), ())
    copies = [x]
    for other in equal:
        if other != n - 1:
            order = np.arange(n)
            order[[other, n - 1]] = n - 1, other
            copies.append(form.flat(*(part[..., order] for part in form.parts(x))))
    if len(copies) == 1:
        return x
    encoder, decoder, _ = form.parts(np.array(copies))
    return min(zip(phases_of(encoder, decoder, form.is_tied, share), copies, strict=True), key=lambda copy: copy[0].name)[1]


def phase_at(form: NeuronForm, control: Floats, x: Floats, share: float = EXACT) -> NeuronPhase:
    """Return the phase of flat parameters x (size,) at a control vector (n_controls,), equal features as they are named."""
    encoder, decoder, _ = form.parts(named_first(form, control, x, share))
    return phase_of(encoder, decoder, form.is_tied, share)


def phase_of(encoder: Floats, decoder: Floats, tied: bool, share: float = EXACT) -> NeuronPhase:
    """Return the phase of an encoder and a transposed decoder, both (n_hidden, n_features)."""
    return phases_of(encoder[None], decoder[None], tied, share)[0]


def phases_of(encoder: Floats, decoder: Floats, tied: bool, share: float = EXACT) -> list[NeuronPhase]:
    """Return the phases (n,) of encoders and transposed decoders, both (n, n_hidden, n_features)."""
    grows = np.any(_size(encoder, decoder) > BEYOND**2, axis=-1) & (not tied)
    decoder = decoder if tied else _together(encoder, decoder, share)
    dead = _size(encoder, decoder) < NEGLIGIBLE**2
    if tied:
        dead |= np.all(encoder <= NEGLIGIBLE, axis=-1)  # never on
    vetoes = np.logical_and(tied, encoder < -BEYOND)
    others = np.where(vetoes, 0.0, np.abs(encoder)).max(axis=-1, keepdims=True)
    encoder = np.where(vetoes, -others, encoder)
    decoder = np.where(vetoes, -others, decoder)
    reads, held = _largest(encoder, share)
    serves = (reads | _largest(decoder, min(share, _WRITES))[0]) & ~dead[..., None]
    most = np.abs(decoder).max(axis=-1, keepdims=True)
    writes, signs = np.where(serves & (np.abs(decoder) > NOUGHT * most), decoder, 0.0), (1,) if tied else (1, -1)
    response = np.stack([np.sum(writes * np.maximum(sign * encoder, 0), axis=-2) for sign in signs], axis=-1) > 0
    inhibits = np.any(writes < 0, axis=-1)
    negative = (writes < 0) | ((decoder < -_INHIBITS * most) & ~dead[..., None])
    asymmetric = np.zeros(dead.shape, dtype=bool) if tied else _asymmetric(encoder, decoder, serves)
    shares = np.where(dead, np.inf, held).min(axis=-1)
    told = (
        grows,
        dead,
        vetoes.any(axis=-1),
        serves,
        response.sum(axis=-1),
        inhibits,
        negative.any(axis=(-1, -2)),
        asymmetric,
        shares,
    )
    return [_phase(len(signs), *one) for one in zip(*(part.tolist() for part in told), strict=True)]


def _phase(n_signs, grows, dead, vetoes, serves, computed, inhibits, negative, asymmetric, share):
    """The NeuronPhase of a model of which lists say so much, by neurons, features, or neurons and features."""
    count = [sum(row) for row in serves]
    features = tuple("computed" if k == n_signs else "partly computed" if k else "not represented" for k in computed)
    kinds = tuple("dead" if k == 0 else "monosemantic" if k == 1 else "polysemantic" for k in count)
    words = [
        kind + f" ({k})" * (k > 1) + " inhibiting" * (inhibiting and not veto) + " vetoing" * veto + " asymmetric" * uneven
        for kind, k, inhibiting, veto, uneven in zip(kinds, count, inhibits, vetoes, asymmetric, strict=True)
    ]
    own = [(word, k) for word, k, row in zip(words, count, serves, strict=True) if row[-1]]
    shared = [word for word, k in own if k > 1]
    extra = "not_represented" if features[-1] == "not represented" else "superposition" if shared else "dedicated"
    tail = [word for word in features if word != "computed"]
    parts = [f"{part.count(word)} {word}" for part in (words, tail) for word in sorted(set(part))]
    places = {"not_represented": "not represented", "dedicated": "dedicated", "superposition": f"in {max(shared, default='')}"}
    half = ", partly computed" * (features[-1] == "partly computed")
    motifs = ("inhibition",) * negative + ("asymmetric superposition",) * any(asymmetric) + ("veto",) * any(vetoes)
    return NeuronPhase(
        name=UNBOUNDED if grows else " + ".join([f"extra {places[extra]}{half}", *parts]),
        extra=extra,
        neurons=kinds,
        n_served=tuple(count),
        features=features,
        monosemanticity=np.nan if all(dead) else share,
        motifs=motifs,
    )


def _size(encoder, decoder):
    """The squared length (…, n_hidden) that what reads and what writes would both have, scaled alike."""
    return np.sqrt((encoder**2).sum(axis=-1) * (decoder**2).sum(axis=-1))


def _together(encoder, decoder, share):
    """What each neuron writes, (…, n_hidden, n_features), together with those that read what it reads.

    Of these nothing tells who writes how much.
    """
    length = np.linalg.norm(encoder, axis=-1, keepdims=True)
    reads = encoder / np.maximum(length, 1e-300)
    alike = reads @ np.swapaxes(reads, -1, -2) >= min(share, 1 - NOUGHT) ** 0.5
    summed = (alike * np.swapaxes(length, -1, -2)) @ decoder
    return np.where(length > 0, summed / np.maximum(length, 1e-300), decoder)


def _largest(weights, share):
    """Which weights (…, n_hidden, n_features), as few as may be, hold the share of each neuron's squares; the largest one's."""
    squares = weights**2
    order = np.argsort(-squares, axis=-1, kind="stable")
    sums = np.cumsum(np.take_along_axis(squares, order, axis=-1), axis=-1)
    held = sums / np.maximum(sums[..., -1:], 1e-300)
    kept = np.arange(weights.shape[-1]) < 1 + np.sum(held[..., :-1] < share, axis=-1, keepdims=True)
    chosen = np.zeros(weights.shape, dtype=bool)
    np.put_along_axis(chosen, order, kept, axis=-1)
    return chosen, held[..., 0]


def _asymmetric(read, write, serves):
    """Whether neurons, (…, n_features) each, read one feature strongly and write it weakly, and another the other way round."""
    does = serves & (read != 0) & (write > 0)
    read = np.abs(read)
    more, less = read[..., :, None] > _UNEVEN * read[..., None, :], _UNEVEN * write[..., :, None] < write[..., None, :]
    return np.any(more & less & does[..., :, None] & does[..., None, :], axis=(-1, -2))
