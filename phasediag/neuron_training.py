"""Training of neurons, and what becomes of the trained models beside the exact minima."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._arguments import Floats, Seed, as_seed, one_of, real_number, stream, thread_count, whole_number
from ._display import Result
from ._neurons.losses import MOST_EXACT
from ._neurons.search import BEYOND, Landscape, entry
from ._neurons.training import train_exactly, train_on_minibatches
from .activity import INDEPENDENT
from .loss import expected_loss, monte_carlo_loss
from .neuron_minima import NeuronMinimum, neuron_minima
from .neuron_phases import NeuronPhase, phase_of
from .neurons import NeuronModel

CAUSES = "agrees", "metastable", "not converged", "dead neuron", "dead output", "growing weights", "unexplained"
STARTS, MINIBATCHES, SAMPLES = range(3)
LEFT, SAME = 0.01, 1e-6
"""A model that far above the end of an exact descent has not converged; losses that near are one minimum's."""


@dataclass(frozen=True, eq=False, repr=False)
class NeuronTraining(Result):
    """Trained models of neurons and what made them; ``train(run.model, **run.options)`` repeats the run.

    Attributes
    ----------
    model : NeuronModel
    options : mapping
        The keyword arguments of `train` that a model of neurons has, the seed drawn for None included.
    encoder, decoder, bias : ndarray, shapes (n_models, n_hidden, n_features), (n_models, n_features, n_hidden), (n_models,
    n_features) loss : ndarray, shape (n_models,)
        Exact expected loss of up to 6 features; of more that of 65 536 samples, which are common to all.
    phases : tuple of NeuronPhase
        As `classify_neurons` names trained weights.

    Examples
    --------
    >>> from phasediag import NeuronModel, train
    >>> run = train(NeuronModel(1, importance=[1.0, 0.7], density=0.9), n_models=2, n_steps=50, batch_size=64)
    >>> run.bias.shape, run.loss.shape
    ((2, 2), (2,))
    """

    model: NeuronModel
    options: Mapping[str, Any]
    encoder: Floats
    decoder: Floats
    bias: Floats

    @property
    def weights(self) -> Any:
        """The weights of all models as `expected_loss` takes them."""
        return self.encoder if self.model.task == "identity" else (self.decoder, self.encoder)

    @cached_property
    def loss(self) -> Floats:
        """The loss of each model."""
        if self.model.n_features <= MOST_EXACT:
            return np.asarray(expected_loss(self.model, self.weights, self.bias))
        return np.asarray(
            monte_carlo_loss(self.model, self.weights, self.bias, 2**16, seed=stream(self.options["seed"], SAMPLES))[0]
        )

    @cached_property
    def phases(self) -> tuple[NeuronPhase, ...]:
        """The phase of each model."""
        pairs = zip(self.encoder, np.swapaxes(self.decoder, 1, 2), strict=True)
        return tuple(phase_of(*pair, self.model.form.is_tied, 0.9) for pair in pairs)

    @property
    def best(self) -> int:
        """The number of the model with the lowest loss."""
        return int(np.argmin(self.loss))


def train_neurons(
    model: NeuronModel,
    *,
    n_models: int = 10,
    n_steps: int = 10_000,
    batch_size: int = 1024,
    learning_rate: float = 1e-3,
    schedule: str = "constant",
    weight_decay: float | None = None,
    gradient: str = "minibatch",
    seed: Seed = None,
    n_threads: int | None = None,
) -> NeuronTraining:
    """Train a NeuronModel by AdamW: ``train`` of such a model.

    Raises
    ------
    ValueError
        When an argument lies outside its domain, the exact gradient is asked for more than 6 features, or models diverge.
    """
    number = as_seed(seed)
    options: dict[str, Any] = {
        "n_models": whole_number("n_models", n_models, 1),
        "n_steps": whole_number("n_steps", n_steps, 1),
        "batch_size": whole_number("batch_size", batch_size, 1),
        "learning_rate": real_number("learning_rate", learning_rate, "positive", lambda x: x > 0),
        "schedule": one_of("schedule", schedule, ("constant", "linear", "cosine")),
        "weight_decay": 0.01
        if weight_decay is None
        else real_number("weight_decay", weight_decay, "at least 0", lambda x: x >= 0),
        "gradient": one_of("gradient", gradient, ("minibatch", "population")),
        "seed": number,
    }
    if model.n_features > MOST_EXACT and (gradient == "population" or model.form.activity != INDEPENDENT):
        raise ValueError(
            f"model must have at most {MOST_EXACT} features for an exact gradient or joint activity, got {model!r:.60}"
        )
    m, n, form = model.n_hidden, model.n_features, model.form
    generator = stream(number, STARTS)
    shape, spread = (n_models, m, n), (2 / (m + n)) ** 0.5  # Xavier's normal law, biases 0
    points = form.flat(generator.normal(size=shape) * spread, generator.normal(size=shape) * spread, np.zeros((n_models, n)))
    when = np.arange(n_steps) / n_steps
    fall = {"constant": np.ones(n_steps), "linear": 1 - when, "cosine": (1 + np.cos(np.pi * when)) / 2}[schedule]
    rates, decay = learning_rate * fall, options["weight_decay"]
    seeds = stream(number, MINIBATCHES).integers(2**31, size=n_models)
    law = np.empty(0) if form.activity == INDEPENDENT else np.cumsum(form.patterns(model.control))

    def run(k):
        """Train one model in place."""
        part = points[k : k + 1]
        if gradient == "population":
            place = Landscape(form, model.control)
            train_exactly(part, place.setting, place.law, entry(), place.work, rates, decay)
        else:
            numbers = np.array(model.importance), np.array(model.feature_density), law
            train_on_minibatches(part, m, n, form.is_tied, *numbers, batch_size, rates, decay, seeds[k : k + 1])

    with ThreadPoolExecutor(thread_count(n_threads)) as pool:
        list(pool.map(run, range(n_models)))
    if not np.isfinite(points).all():
        raise ValueError(f"learning_rate must be small enough for training to converge, got {learning_rate:g}")
    encoder, decoder, bias = form.parts(points)
    return NeuronTraining(model, options, encoder.copy(), np.swapaxes(decoder, 1, 2).copy(), bias.copy())


@dataclass(frozen=True, eq=False, repr=False)
class NeuronValidation(Result):
    """Trained models of neurons beside the exact minima.

    Attributes
    ----------
    minima : tuple of NeuronMinimum
        Lowest first.
    run : NeuronTraining
    cause : ndarray of str, shape (n_models,)
        "agrees": an exact descent from the model ends in the lowest minimum; "metastable": in another stationary point. "not
        converged": the loss is more than 1 % above that of the end. "dead neuron": a neuron is never on; "dead output": an
        output never is. "growing weights": the descent's weights grow without end. "unexplained": a loss below all that the
        theory has.
    excess : ndarray, shape (n_models,)
        How far the loss lies above the lowest minimum's, relative to Σ_i importance_i E x_i².
    barred : ndarray, shape (n_models,)
        The same of the end of the descent.

    Examples
    --------
    >>> from phasediag import NeuronModel, validate_neurons
    >>> report = validate_neurons(NeuronModel(1, [1.0, 0.7], 0.9), n_models=2, n_steps=1500, batch_size=256, learning_rate=0.01)
    >>> report.minima[0].phase.name, sorted(set(report.cause.tolist()))
    ('extra not represented + 1 monosemantic + 1 not represented', ['agrees'])
    """

    minima: tuple[NeuronMinimum, ...]
    run: NeuronTraining
    cause: NDArray[np.object_]
    excess: Floats
    barred: Floats

    @property
    def consistent(self) -> bool:
        """Whether nothing is unexplained."""
        return "unexplained" not in self.cause


def validate_neurons(model: NeuronModel, *, n_starts: int | None = None, seed: Seed = 0, **training: Any) -> NeuronValidation:
    """Train models of neurons and say of each where an exact descent from it leads, beside the exact minima.

    Parameters
    ----------
    model : NeuronModel
        Of up to 4 features.
    n_starts : int, optional
        Of the search for minima.
    seed : None, int or numpy.random.Generator
    training
        Other arguments of `train` of a NeuronModel.

    Returns
    -------
    NeuronValidation

    Raises
    ------
    ValueError
        As in `minimize` and `train`.

    Examples
    --------
    >>> from phasediag import NeuronModel, validate_neurons
    >>> report = validate_neurons(NeuronModel(1, [1.0, 0.7], 0.9), n_models=3, n_steps=1500, batch_size=256, learning_rate=0.01)
    >>> report.consistent
    True
    """
    number = as_seed(seed)
    minima = tuple(neuron_minima(model, n_starts, number))
    run = train_neurons(model, seed=number, **training)
    landscape = Landscape(model.form, model.control)
    points = model.form.flat(run.encoder, np.swapaxes(run.decoder, 1, 2), run.bias)
    ends, numbers = landscape.descend(points)
    lowest = minima[0].loss / landscape.scale if minima else np.inf
    cause = np.empty(len(points), dtype=object)
    for k, (x, end, loss) in enumerate(zip(points, ends, numbers[:, 0], strict=True)):
        never, silent = landscape.dead(x)
        if silent.any():
            cause[k] = "dead output"
        elif never.any():
            cause[k] = "dead neuron"
        elif np.abs(end * ~landscape.vetoes(end)).max() > BEYOND:
            cause[k] = "growing weights"
        elif loss < lowest - SAME:
            cause[k] = "unexplained"
        elif run.loss[k] / landscape.scale > loss * (1 + LEFT) + SAME:
            cause[k] = "not converged"
        else:
            cause[k] = "agrees" if loss <= lowest + SAME else "metastable"
    return NeuronValidation(minima, run, cause, run.loss / landscape.scale - lowest, numbers[:, 0] - lowest)
