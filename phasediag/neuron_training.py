"""Training of neurons by stochastic gradient descent: of models of one kind, and in the cells of a plane."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ._arguments import Floats, Seed, as_seed, one_of, real_number, stream, thread_count, whole_number
from ._display import Result
from ._neurons.losses import MOST_EXACT
from ._neurons.search import Landscape
from ._neurons.training import train_exactly, train_on_minibatches
from ._progress import progress_bar
from .activity import INDEPENDENT
from .loss import expected_loss, monte_carlo_loss
from .neuron_phases import TRAINED_SHARE, NeuronPhase, phase_at
from .neurons import NeuronModel
from .order_parameters import feature_norm, interference
from .planes import ControlPlane

STARTS, MINIBATCHES, SAMPLES = range(3)


@dataclass(frozen=True, eq=False, repr=False)
class NeuronTraining(Result):
    """Trained models of neurons and what made them; ``train(run.model, **run.options)`` repeats the run.

    Attributes
    ----------
    model : NeuronModel
    options : mapping
        The keyword arguments of `train` that a model of neurons has, the seed drawn for None included.
    encoder, decoder, bias : ndarray
        Of shapes (n_models, n_hidden, n_features), (n_models, n_features, n_hidden) and (n_models, n_features).
    loss : ndarray, shape (n_models,)
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
        form, control = self.model.form, self.model.control
        return tuple(phase_at(form, control, x, TRAINED_SHARE) for x in self.parameters)

    @property
    def parameters(self) -> Floats:
        """Flat parameters of each model, shape (n_models, size): what reads, for "absolute" what writes, and biases."""
        return self.model.form.flat(self.encoder, np.swapaxes(self.decoder, 1, 2), self.bias)

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
    progress: bool = False,
) -> NeuronTraining:
    """Train a NeuronModel by AdamW: ``train`` of such a model.

    Raises
    ------
    ValueError
        When an argument lies outside its domain, the exact gradient is asked for more than 6 features, or models diverge.
    """
    options: dict[str, Any] = {"n_models": whole_number("n_models", n_models, 1)}
    options |= _checked(n_steps, batch_size, learning_rate, schedule, weight_decay, seed)
    options["gradient"] = one_of("gradient", gradient, ("minibatch", "population"))
    if model.n_features > MOST_EXACT and (gradient == "population" or model.form.activity != INDEPENDENT):
        raise ValueError(
            f"model must have at most {MOST_EXACT} features for an exact gradient or joint activity, got {model!r:.60}"
        )
    m, n, form = model.n_hidden, model.n_features, model.form
    generator = stream(options["seed"], STARTS)
    shape, spread = (n_models, m, n), _spread(form)
    points = form.flat(generator.normal(size=shape) * spread, generator.normal(size=shape) * spread, np.zeros((n_models, n)))
    seeds = stream(options["seed"], MINIBATCHES).integers(2**31, size=n_models)

    def run(some: Floats, own: Any) -> None:
        """Train some models in place, by their own seeds."""
        _train(form, model.control, some, own, options=options)
        advance(len(some))

    with ThreadPoolExecutor(thread_count(n_threads)) as pool, progress_bar(n_models, progress, "model", "training") as advance:
        list(pool.map(run, np.split(points, n_models), np.split(seeds, n_models)))
    _check_convergent(points, options)
    encoder, decoder, bias = form.parts(points)
    return NeuronTraining(model, options, encoder.copy(), np.swapaxes(decoder, 1, 2).copy(), bias.copy())


def train_neuron_cells(
    plane: ControlPlane, n_seeds: int, options: Mapping[str, Any], n_threads: int, progress: Callable[[int], None]
) -> Floats:
    """Train models in every cell of a plane on minibatches: parameters (n_y, n_x, n_seeds, size).

    Each begins from, and is trained on, what the seed, the values of x and y and its number decide. ``progress`` is called with
    numbers of models.
    """
    form: Any = plane.form
    rows, columns = plane.shape
    points = np.empty((rows, columns, n_seeds, form.size))
    n, shape = form.n_features, (form.n_hidden, form.n_features)

    def run(place: tuple[int, ...]) -> None:
        """Train one model in place."""
        row, column, k = place
        where = np.array([plane.y.values[row], plane.x.values[column]]).view(np.uint32).tolist()
        generator = stream(options["seed"], *where, k)
        matrices = (generator.normal(size=shape) * _spread(form) for _ in range(2))
        points[place] = form.flat(*matrices, np.zeros(n))
        _train(form, plane.grid[row, column], points[row, column, k : k + 1], generator.integers(2**31, size=1), options=options)
        progress(1)

    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(run, np.ndindex(points.shape[:3])))
    _check_convergent(points, options)
    return points


def stacked(form: Any, points: Floats) -> tuple[Floats, Floats]:
    """Return the weights (…, rows, n_features) as diagrams have them, and the biases, of flat parameters (…, size)."""
    encoder, decoder, bias = form.parts(points)
    return (encoder if form.is_tied else np.concatenate([encoder, decoder], axis=-2)), bias


def check_usual(given: Mapping[str, Any]) -> None:
    """Raise ValueError where one of some arguments of training, by name, is not the default that neurons are trained with."""
    usual = {"optimizer": "adamw", "independent": False, "device": "cpu"}
    for name, value in given.items():
        default = usual.get(name)
        if value is not default and not (isinstance(value, str | bool) and value == default):
            raise ValueError(f"{name} must be the default, {default!r}, for neurons, got {value!r:.60}")


def measured_neurons(plane: ControlPlane, weights: Floats, bias: Floats) -> dict[str, Any]:
    """Return loss, phase and order parameters of models over a plane: fields of TrainedModels by name.

    weights (n_y, n_x, n_seeds, rows, n_features), those that write below those that read where they differ; bias (…, n_features).
    """
    form: Any = plane.form
    grid = bias.shape[:3]
    points = np.concatenate([weights.reshape(*grid, -1), bias], axis=-1)
    loss, norm, phases = np.empty(grid), np.empty(grid), np.empty(grid, dtype=object)
    for row, column in np.ndindex(plane.shape):
        control = plane.grid[row, column]
        landscape = Landscape(form, control)
        for k, x in enumerate(points[row, column]):
            scaled, gradient = landscape.gradient(x)
            loss[row, column, k], norm[row, column, k] = scaled * landscape.scale, np.linalg.norm(gradient) * landscape.scale
            phases[row, column, k] = phase_at(form, control, x, TRAINED_SHARE)
    return {
        "loss": loss,
        "gradient_norm": norm,
        "feature_norm": feature_norm(weights)[..., -1],
        "interference": interference(weights)[..., -1],
        "phase": np.vectorize(lambda phase: phase.name, otypes=[object])(phases),
        "extra": np.vectorize(lambda phase: phase.extra, otypes=[object])(phases),
    }


def _checked(n_steps, batch_size, learning_rate, schedule, weight_decay, seed):
    """The checked options of a training, with the default weight decay and a seed drawn for None."""
    decay = 0.01 if weight_decay is None else weight_decay
    return {
        "n_steps": whole_number("n_steps", n_steps, 1),
        "batch_size": whole_number("batch_size", batch_size, 1),
        "learning_rate": real_number("learning_rate", learning_rate, "positive", lambda x: x > 0),
        "schedule": one_of("schedule", schedule, ("constant", "linear", "cosine")),
        "weight_decay": real_number("weight_decay", decay, "at least 0", lambda x: x >= 0),
        "seed": as_seed(seed),
    }


def _spread(form):
    """The standard deviation of starting weights: Xavier's normal law."""
    return (2 / (form.n_hidden + form.n_features)) ** 0.5


def _train(form, control, points, seeds, *, options):
    """Train models (n_models, size) in place, by their seeds (n_models,), at a control vector (n_controls,)."""
    n_steps, decay = options["n_steps"], options["weight_decay"]
    when = np.arange(n_steps) / n_steps
    fall = {"constant": np.ones(n_steps), "linear": 1 - when, "cosine": (1 + np.cos(np.pi * when)) / 2}[options["schedule"]]
    rates = options["learning_rate"] * fall
    if options.get("gradient") == "population":
        setting, law, _, *kernel = Landscape(form, control).problem
        train_exactly(points, setting, law, *kernel, rates, decay)
        return
    law = np.empty(0) if form.activity == INDEPENDENT else np.cumsum(form.patterns(control))
    numbers = np.array(form.importance(control)), np.array(form.density(control)), law
    sizes = form.n_hidden, form.n_features, form.is_tied
    train_on_minibatches(points, *sizes, *numbers, options["batch_size"], rates, decay, seeds)


def _check_convergent(points, options):
    """Raise ValueError where parameters (…, size) are not finite."""
    if not np.isfinite(points).all():
        raise ValueError(f"learning_rate must be small enough for training to converge, got {options['learning_rate']:g}")
