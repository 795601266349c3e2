"""Ensembles of trained models."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._arguments import Floats, Seed, as_flag, as_seed, check_memory, one_of, real_array, real_number, thread_count, whole_number
from ._cuda.device import as_device
from ._cuda.minibatches import minibatch
from ._display import Drawn, short
from ._loss.evaluation import evaluate_loosely, loosely_expected_loss
from ._progress import progress_bar
from ._training.chunks import CHUNK_OPTIONS, FEWEST_BATCHED, Chunk, check_trainable, engine, law_of, run_chunks, split
from ._training.descent import descend
from ._training.optimizers import OPTIMIZERS, SCHEDULES
from ._training.streams import MINIBATCHES, STARTS, spread_of_starts, stream_key
from .model import ToyModel, check_model
from .neuron_training import NeuronTraining, check_usual, train_neurons
from .neurons import NeuronModel
from .phases import TRAINED_TOLERANCE, classify_many

GRADIENTS = ("minibatch", "population")
WEIGHT_DECAY = {"adamw": 0.01, "adam": 0.0, "sgd": 0.0}  # PyTorch's defaults
N_RECORDED = 17
# Single precision holds the squared gradients up to here.
LARGEST_START, LARGEST_IMPORTANCE = 1e6, 1e15


@dataclass(frozen=True, eq=False, repr=False)
class TrainingRun(Drawn):
    """Trained models and what made them; ``train(run.model, **run.options)`` repeats the run bit for bit.

    Attributes
    ----------
    model : ToyModel or NeuronModel
        Of neurons each model has minibatches of its own, in double precision, and AdamW trains it.
    options : mapping
        The keyword arguments of `train`, the seed drawn for None included.
    weights : ndarray, shape (n_models, n_hidden, n_features)
    bias : ndarray, shape (n_models, n_features)
    recorded_steps : ndarray of int, shape (n_recorded,)
        Numbers of steps after which the parameters were recorded: 0, then in geometric progression to the last step.
    recorded_weights : ndarray, shape (n_recorded, n_models, n_hidden, n_features)
    recorded_bias : ndarray, shape (n_recorded, n_models, n_features)
    loss : ndarray, shape (n_models,)
        Exact expected loss of each model. Of more than 10 features to a relative 1e-12, or the best of 1e-9, 1e-6 and 1e-3 that
        the contour integral can meet where features fade out.
    loss_curve : ndarray, shape (n_recorded, n_models)
        Exact expected loss at the recorded steps.
    gradient_norm : ndarray, shape (n_models,)
        Euclidean norm of the exact gradient of the expected loss by all that moves: 0 at a stationary point.
    gap : ndarray, shape (n_models,)
        By how much each loss exceeds the lowest one of the run.

    Examples
    --------
    >>> from phasediag import ToyModel, train
    >>> run = train(ToyModel(n_hidden=1, importance=[1.0, 0.9], density=0.1), n_models=4, n_steps=50, batch_size=64, seed=0)
    >>> run.loss.shape, bool((run.loss > 0).all())
    ((4,), True)
    """

    model: ToyModel
    options: Mapping[str, Any]
    weights: Floats
    bias: Floats
    recorded_steps: NDArray[np.int64]
    recorded_weights: NDArray[np.floating]
    recorded_bias: NDArray[np.floating]
    _figure = "run_figure"

    @cached_property
    def loss(self) -> Floats:
        """Exact expected loss of each model."""
        return loosely_expected_loss(self.model, self.weights, self.bias)

    @cached_property
    def loss_curve(self) -> Floats:
        """Exact expected loss at the recorded steps."""
        return loosely_expected_loss(self.model, self.recorded_weights, self.recorded_bias)

    @cached_property
    def gradient_norm(self) -> Floats:
        """Euclidean norm of the exact gradient of the expected loss."""
        _, weights_gradient, bias_gradient, _, _ = evaluate_loosely(self.model, self.weights, self.bias, 1)
        return np.sqrt((weights_gradient**2).sum(axis=(-2, -1)) + self.model.biased * (bias_gradient**2).sum(axis=-1))

    @property
    def gap(self) -> Floats:
        """By how much each loss exceeds the lowest one of the run."""
        return self.loss - self.loss.min()

    def _rows(self):
        """The model, each option, and the other fields."""
        model = [(name, short(getattr(self.model, name))) for name in ("n_hidden", "activation", "importance", "density")]
        options = [(name, short(value)) for name, value in self.options.items()]
        return model + options + [row for row in super()._rows() if row[0] not in ("model", "options")]

    def _records(self):
        """A row for each model."""
        phases = classify_many(self.weights, tolerance=TRAINED_TOLERANCE, sets=self.model.form.activity.together)
        columns = {"loss": self.loss, "gap": self.gap, "gradient_norm": self.gradient_norm, "phase": phases}
        columns |= {"weights": self.weights, "bias": self.bias}
        return [{name: column[k] for name, column in columns.items()} for k in range(len(self.weights))]

    def minibatch(self, step: int, index: int = 0) -> NDArray[np.float32]:
        """Return the samples that model ``index`` saw in a step (0 is the first), in no particular order.

        Returns
        -------
        ndarray, shape (batch_size, n_features)

        Raises
        ------
        ValueError
            When the run has no such step or model, or used the population's gradient.
        """
        step = whole_number("step", step, 0, self.options["n_steps"] - 1)
        index = whole_number("index", index, 0, self.options["n_models"] - 1)
        if self.options["gradient"] == "population":
            raise ValueError('minibatch needs a run with gradient "minibatch", got "population"')
        chunk = _chunk(self.model, self.options, self.recorded_weights[0], self.recorded_bias[0], (0,))
        chunk = chunk.part(index, index + 1)
        if self.options["device"] == "cuda":
            return minibatch(chunk, step)
        return engine(chunk)(chunk).minibatch(step, 0)


@overload
def train(
    model: ToyModel,
    *,
    n_models: int = ...,
    n_steps: int = ...,
    batch_size: int = ...,
    learning_rate: float = ...,
    optimizer: str = ...,
    schedule: str = ...,
    weight_decay: float | None = ...,
    gradient: str = ...,
    independent: bool = ...,
    seed: Seed = ...,
    initial_weights: ArrayLike | None = ...,
    initial_bias: ArrayLike | None = ...,
    n_threads: int | None = ...,
    progress: bool = ...,
) -> TrainingRun: ...


@overload
def train(
    model: NeuronModel,
    *,
    n_models: int = ...,
    n_steps: int = ...,
    batch_size: int = ...,
    learning_rate: float = ...,
    optimizer: str = ...,
    schedule: str = ...,
    weight_decay: float | None = ...,
    gradient: str = ...,
    independent: bool = ...,
    seed: Seed = ...,
    initial_weights: ArrayLike | None = ...,
    initial_bias: ArrayLike | None = ...,
    n_threads: int | None = ...,
    progress: bool = ...,
) -> NeuronTraining: ...


def train(
    model: ToyModel | NeuronModel,
    *,
    n_models: int = 10,
    n_steps: int = 10_000,
    batch_size: int = 1024,
    learning_rate: float = 1e-3,
    optimizer: str = "adamw",
    schedule: str = "constant",
    weight_decay: float | None = None,
    gradient: str = "minibatch",
    independent: bool = False,
    seed: Seed = None,
    initial_weights: ArrayLike | None = None,
    initial_bias: ArrayLike | None = None,
    n_threads: int | None = None,
    device: str = "cpu",
    progress: bool = False,
) -> TrainingRun | NeuronTraining:
    """Train models of one kind from different starting points.

    Parameters
    ----------
    model : ToyModel
        Of any law of activity of up to 8 features; of independent features or sets of more. Where it has no biases, these stay
        at 0.
    n_models, n_steps : int
    batch_size : int
        Samples of a minibatch, those without an active feature included. The population's gradient needs none.
    learning_rate : float
        Of the loss Σ_i importance_i (x_i − x'_i)² / n_features, averaged over the minibatch, as in the paper's notebook.
    optimizer : {"adamw", "adam", "sgd"}
        PyTorch's formulas with its default betas (0.9, 0.999) and epsilon 1e-8; SGD without momentum.
    schedule : {"constant", "linear", "cosine"}
        The learning rate stays, or falls to 0 over the run.
    weight_decay : float, optional
        PyTorch's default if None: 0.01 for AdamW (decoupled), else 0.
    gradient : {"minibatch", "population"}
        Of fresh minibatches, or of the exact expected loss (no noise; double precision). Of more than 10 features the latter
        comes from the contour integral with a tolerance of 1e-9, or a looser one where features fade out.
    independent : bool
        Whether every model has its own minibatches. If not, all models of the run see the same ones: they differ by
        their starting points alone, and the noise of their losses is common to all. Independent models take longer.
    seed : None, int or numpy.random.Generator
        Decides starting points and minibatches; the same seed gives the same bits for any number of threads.
    initial_weights : array_like, shape (n_hidden, n_features) or (n_models, n_hidden, n_features), optional
        At most 1e6 in size, as ``initial_bias``. Xavier's normal law if None: variance 2/(n_hidden + n_features).
    initial_bias : array_like, shape (n_features,) or (n_models, n_features), optional
        0 if None, and in models without biases.
    n_threads : int, optional
        If None, one for each processor that the process may use.
    device : {"cpu", "cuda"}
        Whether a GPU of NVIDIA trains (needs ``phasediag[cuda]``): all that the CPU does, but sets of more than 8 features and
        more than 64 hidden dimensions. Its minibatches are others than the CPU's, of the same law; the starting points
        are the same.
    progress : bool
        Show a progress bar with the time left on standard error.

    Returns
    -------
    TrainingRun, or NeuronTraining of a NeuronModel

    Raises
    ------
    ValueError
        When an argument lies outside its domain, an importance exceeds 1e15 (single precision), memory does not suffice,
        models diverge, or there is no GPU for "cuda".

    Notes
    -----
    Minibatches train in single precision, as PyTorch does. Those of a step are a function of the seed, the step and, if
    ``independent``, the model's place in the run; `TrainingRun.minibatch` shows them. (A run of fewer than four models with more
    than eight features may draw others than a larger one.) Shared minibatches make models with one starting point equal, so that
    two-sample tests and standard errors across models need ``independent``.

    References
    ----------
    Elhage et al. 2022, "Toy Models of Superposition", and its notebook.

    Examples
    --------
    >>> from phasediag import ToyModel, train
    >>> model = ToyModel(n_hidden=1, importance=[1.0, 0.9], density=0.1)
    >>> run = train(model, n_models=4, n_steps=200, batch_size=64, learning_rate=0.01, seed=0)
    >>> run.weights.shape, run.bias.shape
    ((4, 1, 2), (4, 2))
    """
    if isinstance(model, NeuronModel):
        given = {"optimizer": optimizer, "independent": independent, "device": device}
        given |= {"initial_weights": initial_weights, "initial_bias": initial_bias}
        check_usual(given)
        common: dict[str, Any] = dict(
            n_models=n_models, n_steps=n_steps, batch_size=batch_size, learning_rate=learning_rate, seed=seed
        )
        return train_neurons(
            model,
            **common,
            schedule=schedule,
            weight_decay=weight_decay,
            gradient=gradient,
            n_threads=n_threads,
            progress=progress,
        )
    check_model(model)
    if gradient != "population":
        check_trainable(model.form)
    options: dict[str, Any] = dict(
        n_models=whole_number("n_models", n_models, 1),
        gradient=one_of("gradient", gradient, GRADIENTS),
        initial_weights=initial_weights,
        initial_bias=initial_bias,
    )
    options |= common_options(n_steps, batch_size, learning_rate, optimizer, schedule, weight_decay, independent, seed)
    if gradient == "population" and device != "cpu":
        raise ValueError(f'device must be "cpu" with gradient "population", got {device!r:.60}')
    if gradient == "population" and options["independent"]:
        raise ValueError('independent must be False with gradient "population", which has no minibatches, got True')
    options["device"] = as_device(device, model.form)
    n_threads = thread_count(n_threads)
    recorded = tuple(sorted({round(s) for s in np.geomspace(1, n_steps, N_RECORDED - 1)}))
    check_memory(model.n_features, model.n_hidden, options["n_models"], n_steps, len(recorded) + 1)
    check_importance(model.importance)
    weights, bias = starting_points(model, options)
    for name in ("initial_weights", "initial_bias"):  # the caller may change his arrays
        options[name] = None if options[name] is None else np.array(options[name])
    chunk = _chunk(model, options, weights, bias, recorded)
    task = partial(descend, model) if gradient == "population" else Chunk.train
    with progress_bar(options["n_models"] * n_steps, progress, "step", "training") as advanced:
        if device == "cuda":
            from ._cuda.trainer import train_chunks

            results = [trained for _, trained in train_chunks([chunk], advanced)]
        else:
            results = run_chunks(partial(task, advanced=advanced), split(chunk, n_threads), n_threads)
    recorded_weights, recorded_bias = (
        np.concatenate([first[None], np.concatenate(later, axis=1)])
        for first, later in zip((weights, bias), zip(*results, strict=True), strict=True)
    )
    check_convergent(options, recorded_weights[-1], recorded_bias[-1])
    return TrainingRun(
        model=model,
        options=options,
        weights=recorded_weights[-1].astype(np.float64),
        bias=recorded_bias[-1].astype(np.float64),
        recorded_steps=np.array([0, *recorded]),
        recorded_weights=recorded_weights,
        recorded_bias=recorded_bias,
    )


def common_options(n_steps, batch_size, learning_rate, optimizer, schedule, weight_decay, independent, seed):
    """Return the checked options of any training on minibatches, with the default weight decay and a seed drawn for None."""
    optimizer = one_of("optimizer", optimizer, OPTIMIZERS)
    weight_decay = WEIGHT_DECAY[optimizer] if weight_decay is None else weight_decay
    return {
        "n_steps": whole_number("n_steps", n_steps, 1, 2**40),
        "batch_size": whole_number("batch_size", batch_size, 1, 2**30),
        "learning_rate": real_number("learning_rate", learning_rate, "positive and finite", lambda x: x > 0),
        "optimizer": optimizer,
        "schedule": one_of("schedule", schedule, SCHEDULES),
        "weight_decay": real_number("weight_decay", weight_decay, "finite and ≥ 0", lambda x: x >= 0),
        "independent": as_flag("independent", independent),
        "seed": as_seed(seed),
    }


def starting_points(model, options):
    """Return (weights, bias) before the first step: those of the options, or Xavier's normal law and 0.

    Single precision, unless the population's gradient is followed.
    """
    shape = (options["n_models"], model.n_hidden, model.n_features)
    weights, bias = options["initial_weights"], options["initial_bias"]
    if weights is None:
        generator = np.random.default_rng(np.random.SeedSequence(options["seed"], spawn_key=(STARTS,)))
        weights = generator.normal(size=shape) * spread_of_starts(*shape[1:])
    bias = np.zeros(shape[2]) if bias is None else bias
    dtype = np.float64 if options["gradient"] == "population" else np.float32
    bias = _models("initial_bias", bias, shape[::2]).astype(dtype)
    model.check_held("initial_bias", bias)
    return _models("initial_weights", weights, shape).astype(dtype), bias


def check_importance(importance):
    """Raise ValueError when single precision does not hold the gradients that such importances make."""
    real_array("importance", importance, f"at most {LARGEST_IMPORTANCE:g} for training", lambda x: x <= LARGEST_IMPORTANCE)


def check_convergent(options, weights, bias, where=""):
    """Raise ValueError when the parameters of some models are no longer finite."""
    finite = np.isfinite(weights).all(axis=(-2, -1)) & np.isfinite(bias).all(axis=-1)
    if not finite.all():
        decay = options["weight_decay"]
        raise ValueError(
            f"learning_rate must be small enough for training to converge; with {options['learning_rate']:g}"
            + (f" and weight_decay {decay:g}" if decay else "")
            + f", {np.count_nonzero(~finite)} of {finite.size} models diverged{where}"
        )


def _chunk(model, options, weights, bias, recorded):
    """Return all the models of a run as one chunk."""
    n_models, independent = options["n_models"], options["independent"]
    keys = np.array([stream_key(options["seed"], MINIBATCHES, 0, i) for i in range(n_models if independent else 1)])
    return Chunk(
        **law_of(model.form, np.broadcast_to(model.control, (n_models, model.form.n_controls))),
        weights=weights,
        bias=bias,
        independent=independent,
        keys=keys,
        recorded=recorded,
        few=n_models < FEWEST_BATCHED,
        **{name: options[name] for name in CHUNK_OPTIONS},
    )


def _models(name, value, shape):
    """Return parameters of every model, from those of one or of all."""
    domain = f"finite and at most {LARGEST_START:g} in size"
    array = real_array(name, value, domain, lambda x: np.abs(x) <= LARGEST_START, shape=shape[1:])
    if array.ndim > len(shape) or (array.ndim == len(shape) and array.shape[0] != shape[0]):
        raise ValueError(f"{name} must have shape {shape[1:]} or {shape}, got {array.shape}")
    return np.broadcast_to(array, shape)
