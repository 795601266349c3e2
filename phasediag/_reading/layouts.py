"""Which axis of an array of weights is what: the readings that all arrays of a file allow, and the one that makes sense.

A layout is the order of the stored axes, "instances hidden features" for the einsum of most notebooks. An array without the
word "hidden" has one hidden dimension that is not stored. With "untransposed" before it the numbers lie in memory in the order
that the axes have before the last two were exchanged (see `read_weights`).
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr

HIDDEN, FEATURES, INSTANCES, UNTRANSPOSED = "hidden", "features", "instances", "untransposed"
MOST_PER_DIMENSION = 20
"""Without a bias, a matrix of more features than this for each hidden dimension may as well be many models of one dimension."""
SAMPLES, DENSITIES, MODELS = 256, 12, 16
"""Of inputs at each density, of densities, and of an ensemble's models, by which a reading's misfit is told."""
UNTRAINED = 30.0
"""How often the part of a loss that better biases would save counts as a misfit: trained biases save nothing more."""
MUCH_BETTER = 2.0
"""Of several readings the one whose misfit is lower than the others' by this factor is what was meant."""
BETTER = 1.3
"""A reading of the memory of a transpose whose misfit is lower by this factor is asked about."""


@dataclass(frozen=True)
class Layout:
    """One reading of the axes of an array of weights."""

    axes: tuple
    shape: tuple
    untransposed: bool = False

    def __str__(self):
        """The axes in order, as the option takes them."""
        return " ".join([UNTRANSPOSED] * self.untransposed + list(self.axes))

    @property
    def lead(self):
        """Numbers of models along the instances' axes."""
        return tuple(size for size, axis in zip(self.shape, self.axes, strict=True) if axis == INSTANCES)

    @property
    def n_hidden(self):
        """The length of the hidden axis; 1 where there is none."""
        return self.shape[self.axes.index(HIDDEN)] if HIDDEN in self.axes else 1

    @property
    def n_features(self):
        """The length of the axis of features."""
        return self.shape[self.axes.index(FEATURES)]

    @property
    def instances_first(self):
        """Whether the last axis is one of a model, not of instances."""
        return self.axes[-1] != INSTANCES

    def told(self):
        """The layout and what it makes of the array, in words."""
        count = int(np.prod(self.lead))
        models, plural = f"{count} models" if self.lead and count != 1 else "one model", "s" * (self.n_hidden > 1)
        return f'"{self!s}" ({models} of {self.n_features} features in {self.n_hidden} hidden dimension{plural})'

    def weights(self, array):
        """Return the array as weights of shape (*lead, n_hidden, n_features)."""
        if self.untransposed:
            array = array.reshape(self.shape)
        if HIDDEN not in self.axes:
            array = np.expand_dims(array, 0)
        axes = self.axes if HIDDEN in self.axes else (HIDDEN, *self.axes)
        order = [k for k, axis in enumerate(axes) if axis == INSTANCES] + [axes.index(HIDDEN), axes.index(FEATURES)]
        return array.transpose(order)

    def per_feature(self, array):
        """Return an array as one number for each feature of each model, shape (*lead, n_features); None where it is none."""
        whole = (*self.lead, self.n_features)
        stored = whole if self.instances_first else (self.n_features, *self.lead)
        if _squeezed(array.shape) == _squeezed(stored):
            array = array.reshape(stored)
            return array if self.instances_first else np.moveaxis(array, 0, -1)
        if _squeezed(array.shape) == (self.n_features,):
            return np.broadcast_to(array.reshape(-1), whole)
        return None

    def per_model(self, array):
        """As `per_feature`, but numbers that all features of a model share are spread over them as well."""
        whole = (*self.lead, self.n_features)
        found = self.per_feature(array) if array.shape != self.lead or self.lead == (self.n_features,) else None
        if found is None and _squeezed(array.shape) in (_squeezed(self.lead), ()):
            found = np.broadcast_to(array.reshape(*self.lead, 1) if array.size > 1 else array.reshape(-1), whole)
        return found


def parse_layout(text, shape):
    """Return the Layout that a user names for an array of this shape, or raise ``ValueError``."""
    words = tuple(str(text).replace(",", " ").split())
    untransposed, axes = words[:1] == (UNTRANSPOSED,), words[words[:1] == (UNTRANSPOSED,) :]
    lead = sum(axis == INSTANCES for axis in axes)
    right = set(axes) <= {HIDDEN, FEATURES, INSTANCES} and axes.count(FEATURES) == 1 and axes.count(HIDDEN) <= 1
    if not right or (HIDDEN not in axes and lead != len(axes) - 1):
        raise ValueError(
            'layout must be the order of the axes in words: "features", with or without "hidden", and "instances" for every '
            f"axis of models, got {text!r}"
        )
    if len(axes) != len(shape):
        raise ValueError(f"layout must name the {len(shape)} axes of weights of shape {shape}, got {text!r}")
    found = Layout(axes, before_transposition(shape) if untransposed else tuple(shape), untransposed)
    _check_sizes(found)
    return found


def find_layout(weights, bias, others, path, scrambled, linear, partner):
    """Return (Layout, words on what decided it) for an array of weights.

    Parameters
    ----------
    weights : ndarray
        As stored.
    bias : ndarray or None
    others : list of ndarray
        Importances and densities of the file.
    scrambled : bool
        Whether the file's writer may have stored a transposed array's memory under its transposed shape.
    linear : bool
        Whether the activation is the identity.
    partner : callable
        Of a Layout, the file's decoder of untied weights, transposed: shape (*lead, n_hidden, n_features); None without one.

    Raises
    ------
    ValueError
        When no reading fits, several do, or only the scrambled one makes sense; it names the option that picks one.
    """
    fitting = _fitting(weights, bias, others)
    if not fitting:
        raise ValueError(_why_none(weights, bias, path))
    fitting = [layout for layout in fitting if partner(layout) is not None] or fitting
    asked = scrambled or len(fitting) > 1
    misfits = [_misfit(layout, weights, bias, linear, partner(layout)) for layout in fitting] if asked else [np.inf]
    best = int(np.argmin(misfits))
    sensible = np.isfinite(misfits) & (np.array(misfits) <= MUCH_BETTER * misfits[best])
    unsure = bias is None and weights.ndim == 2  # one wide matrix, or many models of one dimension
    if len(fitting) > 1 and (sensible.sum() != 1 or unsure):
        *some, last = (layout.told() for layout in fitting)
        shapes = f"weights {weights.shape} " + ("without a bias" if bias is None else f"with a bias {bias.shape}")
        raise ValueError(f"layout must be given: in {str(path)!r} {shapes} can be read as {', '.join(some)} or {last}")
    found = fitting[best]
    words = [f'axes are "{found}"'] if found.axes != (HIDDEN, FEATURES) else []
    if len(fitting) > 1:
        words.append("which fits a trained model best")
    elif bias is None and weights.ndim == 2:
        flat = [layout for layout in _flat_readings(weights.shape) if layout.n_features == found.n_hidden]
        words += [f"other layouts: {layout.told()}" for layout in flat]
    if scrambled and np.isinf(misfits[best]):
        words.append("no density makes it better than a constant: safetensors 0.8.0 scrambles what is not contiguous")
    tied = _misfit(found, weights, bias, linear) if scrambled else np.inf  # for the memory of pairs see `scrambled_pair`
    for before, misfit in _scrambled(weights, bias, linear) if scrambled else ():
        if misfit * BETTER < tied:
            raise ValueError(
                f'layout must be given: {str(path)!r} fits a trained model better as "{before}" than as "{found}": a transposed '
                "NumPy array's memory seems to be stored under its transposed shape, as safetensors 0.8.0 does"
            )
        if np.isfinite(misfit) and (bias is None or misfit <= tied * MUCH_BETTER):
            words.append(f'"{before}" may fit as well: where safetensors 0.8.0 wrote a transposed array, it is that')
    return found, ", ".join(words)


def _fitting(weights, bias, others):
    """The layouts that the shapes of all arrays allow."""
    found = [layout for layout in _readings(weights.shape) if layout.n_hidden < layout.n_features]
    flat = _flat_readings(weights.shape)
    if bias is None:
        crowded = found and all(layout.n_features > MOST_PER_DIMENSION * layout.n_hidden for layout in found)
        found += flat if weights.ndim == 1 or (weights.ndim == 2 and crowded) else []
    else:
        alike = weights.ndim > 1 and _squeezed(bias.shape) == _squeezed(weights.shape)
        found += [layout for layout in flat if weights.ndim == 1 or (alike and layout.n_features <= MOST_PER_DIMENSION)]
        found = [layout for layout in found if layout.per_feature(bias) is not None]
        whole = [layout for layout in found if _squeezed(bias.shape) == _squeezed((*layout.lead, layout.n_features))]
        whole += [layout for layout in found if _squeezed(bias.shape) == _squeezed((layout.n_features, *layout.lead))]
        found = whole or found
    told = [layout for layout in found if all(layout.per_model(other) is not None for other in others)]
    kept = {}  # layouts that differ by axes of length 1 alone are one
    for layout in told or found:
        kept.setdefault((_squeezed(layout.lead), layout.n_hidden, layout.n_features, layout.weights(weights).tobytes()), layout)
    return list(kept.values())


def _scrambled(weights, bias, linear):
    """Yield each layout of the memory of an array whose last two axes had been exchanged, with its misfit."""
    before = before_transposition(weights.shape)
    for axes in dict.fromkeys(layout.axes for layout in _readings(before)):
        layout = Layout(axes, before, True)
        if 1 < layout.n_hidden < layout.n_features and (bias is None or layout.per_feature(bias) is not None):
            yield layout, _misfit(layout, weights, bias, linear)


def _readings(shape):
    """Every order of the axes with instances before or after the others."""
    n_lead = len(shape) - 2
    if n_lead < 0:
        return []
    pairs = ((HIDDEN, FEATURES), (FEATURES, HIDDEN))
    orders = [(*[INSTANCES] * n_lead, *pair) for pair in pairs]
    if n_lead:
        orders += [(*pair, *[INSTANCES] * n_lead) for pair in pairs]
    return [Layout(order, tuple(shape)) for order in orders]


def _flat_readings(shape):
    """Orders of the axes where one hidden dimension is not stored."""
    n_lead = len(shape) - 1
    orders = dict.fromkeys([(*[INSTANCES] * n_lead, FEATURES), (FEATURES, *[INSTANCES] * n_lead)])
    return [Layout(order, tuple(shape)) for order in orders if shape[order.index(FEATURES)] > 1]


def scrambled_pair(layout, weights, bias, linear, decoder, before):
    """Whether untied models fit trained ones better where the memory of encoder, decoder or both is that of a transpose.

    The decoder as stored and as it would be then have shape (*lead, n_hidden, n_features), transposed.
    """
    readings = [layout]
    if len(layout.axes) > 1:
        readings.append(Layout(before_transposition(layout.axes), before_transposition(layout.shape), True))
    misfits = [_misfit(reading, weights, bias, linear, one) for reading in readings for one in (decoder, before)]
    return min(misfits) * BETTER < misfits[0]


def told_as_decoder(layout, weights, bias, linear, other):
    """In words why another array, transposed: (*lead, n_hidden, n_features), is the decoder of the weights; None where it is not.

    As a pair they fit trained models much better than either does as tied weights, and not worse than with parts exchanged.
    """
    encoder, bias = layout.weights(weights), None if bias is None else layout.per_feature(bias)
    orders = (encoder, other), (other, encoder), (encoder, encoder), (other, other)
    pair, exchanged, *tied = (_misfit_of(*order, bias, linear) for order in orders)
    if not (pair * MUCH_BETTER < min(tied) and pair <= exchanged * BETTER):
        return None
    doubt = "" if pair * BETTER < exchanged else " (the two exchanged fit about as well)"
    return f"which fits trained models far better than tied weights do{doubt}"


def _misfit(layout, weights, bias, linear, decoder=None):
    """As `_misfit_of`, of weights and a bias or None as stored; the decoder as it gets it, None where weights are tied."""
    encoder = layout.weights(weights)
    decoder = encoder if decoder is None else decoder
    return _misfit_of(encoder, decoder, None if bias is None else layout.per_feature(bias), linear)


@np.errstate(all="ignore")  # damaged files hold numbers of any size
def _misfit_of(weights, decoder, bias, linear):
    """How far models read so are from trained ones: the median over at most `MODELS` of the least over densities.

    Weights and decoders, transposed, have shape (…, n_hidden, n_features), biases (…, n_features); without them they are 0.

    At one density it is the loss, and many times the part of it that biases better than those of the file would save (which
    importances have no part in), relative to the best constant's loss. Infinite where no density makes the models better than
    a constant. Biases that are all 0 have not been trained.
    """
    weights, decoder = (one.reshape(-1, *one.shape[-2:])[:MODELS].astype(float) for one in (weights, decoder))
    n, generator = weights.shape[-1], np.random.default_rng(0)
    bias = np.zeros((1, n)) if bias is None else bias.reshape(-1, n)[:MODELS].astype(float)
    misfits = []
    for density in np.geomspace(min(0.01, 1 / n), 1, DENSITIES):
        inputs, probability = _inputs(n, density, generator)
        outputs = np.swapaxes(decoder, 1, 2) @ (weights @ inputs.T) + bias[..., None]
        alive = np.ones_like(outputs) if linear else (outputs > 0).astype(float)
        error = outputs * alive - inputs.T
        loss = np.sum(error**2 @ probability, axis=1)
        slope, curvature = (error * alive) @ probability, alive @ probability
        saved = np.sum(np.where(curvature > 0, slope**2 / curvature, 0.0), axis=1)
        constant = n * (density / 3 - density**2 / 4)
        misfit = loss + UNTRAINED * saved if bias.any() else loss
        misfits.append(np.where(loss < constant, misfit, np.inf) / constant)
    return np.median(np.min(misfits, axis=0))


def _inputs(n, density, generator):
    """(`SAMPLES` inputs with an active feature, and the one without, of shape (SAMPLES + 1, n); their probabilities)."""
    values, places = generator.uniform(size=(2, SAMPLES, n))
    counts, none = bdtr(np.arange(n + 1.0), n, density), (1 - density) ** n
    active = np.searchsorted(counts, none + (1 - none) * (np.arange(SAMPLES) + 0.5) / SAMPLES)
    inputs = values * (np.argsort(np.argsort(places, axis=1), axis=1) < np.maximum(active, 1)[:, None])
    return np.append(inputs, np.zeros((1, n)), axis=0), np.append(np.full(SAMPLES, (1 - none) / SAMPLES), none)


def _why_none(weights, bias, path):
    """Why no reading fits, in words."""
    where = f"in {str(path)!r} weights have shape {weights.shape}" + ("" if bias is None else f", the bias {bias.shape}")
    by_bias = [] if bias is None else [layout for layout in _readings(weights.shape) if layout.per_feature(bias) is not None]
    for layout in by_bias:
        advice = ""
        if weights.ndim == 2 and weights.shape[1] == layout.n_features > 1:
            advice = f' (layout "instances features" reads {weights.shape[0]} models of one hidden dimension)'
        return (
            f"n_hidden must be less than n_features ({layout.n_features}, the bias says), got {layout.n_hidden}: {where}{advice}"
        )
    if bias is None:
        square = len(set(weights.shape[-2:])) == 1
        return f"n_hidden must be less than n_features{', got a square matrix' if square else ''}: {where}"
    return f"bias must have a number for each feature (and for each model, or for all): {where}"


def _check_sizes(layout):
    """Refuse a layout with as many hidden dimensions as features."""
    if not layout.n_hidden < layout.n_features:
        raise ValueError(
            f'n_hidden must be less than n_features ({layout.n_features}), got {layout.n_hidden}: axes read as "{layout}"'
        )


def before_transposition(shape):
    """The shape of which this one has the last two axes exchanged."""
    return (*shape[:-2], shape[-1], shape[-2])


def _squeezed(shape):
    """A shape without its axes of length 1."""
    return tuple(size for size in shape if size != 1)
