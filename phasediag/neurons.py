"""Models whose hidden layer computes: x' = ReLU(Wᵀ ReLU(W x) + b), and y' = ReLU(W₂ ReLU(W₁ x) + b) for y = |x|."""

from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ._arguments import Floats, Seed, density_array, one_of, positive_array, random_generator, real_array, whole_number
from ._display import Result
from .activity import INDEPENDENT, TABLE, ActivityTable, check_activity
from .activity import Independent as Activity
from .forms import UNIFORM, Classes, Form
from .model import LARGEST_BIAS, LARGEST_WEIGHT

TASKS = ("identity", "absolute")
SIGNED = ((-1.0, 2.0),)


@dataclass(frozen=True)
class NeuronForm(Form):
    """The structure of a `NeuronModel`; parameters are W (n_hidden, n_features), or W₁ and W₂ᵀ, row by row, then biases."""

    task: str = "identity"

    @property
    def is_tied(self) -> bool:
        """Whether one matrix both reads and writes."""
        return self.task == "identity"

    @property
    def is_plain(self) -> bool:
        """Never: it is no `ToyModel`."""
        return False

    @property
    def size(self) -> int:
        """Number of parameters."""
        return ((1 if self.is_tied else 2) * self.n_hidden + 1) * self.n_features

    @property
    def most_hidden(self) -> int | None:
        """Any number of neurons makes sense."""
        return None

    def parts(self, x: Floats) -> tuple[Floats, Floats, Floats]:
        """Encoder and transposed decoder, both (…, n_hidden, n_features), and bias (…, n_features) of parameters (…, size)."""
        m, n = self.n_hidden, self.n_features
        encoder = x[..., : m * n].reshape(*x.shape[:-1], m, n)
        decoder = encoder if self.is_tied else x[..., m * n : 2 * m * n].reshape(*x.shape[:-1], m, n)
        return encoder, decoder, x[..., self.size - n :]

    def flat(self, encoder: Floats, decoder: Floats, bias: Floats) -> Floats:
        """The parameters (…, size) of what `parts` returns."""
        matrices = [encoder] if self.is_tied else [encoder, decoder]
        return np.concatenate(
            [*(one.reshape(*one.shape[:-2], self.n_hidden * self.n_features) for one in matrices), bias], axis=-1
        )

    def model(self, control: Floats) -> "NeuronModel":
        """Return the NeuronModel of a control vector (n_controls,)."""
        density, activity = self.density(control), self.activity
        if activity == TABLE:
            activity = ActivityTable(control[self.places["activity"]].reshape((2,) * self.n_features))
        return NeuronModel(
            self.n_hidden,
            self.importance(control),
            density[0] if np.all(density == density[0]) else density,
            task=self.task,
            activity=None if activity == INDEPENDENT else activity,
        )


@dataclass(frozen=True, eq=False, repr=False)
class NeuronModel(Result):
    """A model with a hidden layer of ReLU neurons without biases.

    Task "identity", the privileged basis: x' = ReLU(Wᵀ h + b), h = ReLU(W x), for features uniform on [0, 1] where they are
    active.
    Task "absolute", computation: y' = ReLU(W₂ h + b), h = ReLU(W₁ x), for the target y = |x| and features uniform on [−1, 1]. The
    loss is E Σ_i importance_i (y_i − y'_i)².

    Parameters
    ----------
    n_hidden : int
        Number of neurons, at least 1; there may be more than features.
    importance : array_like, shape (n_features,)
        Importance of each feature, positive and finite; at least one feature.
    density : float or array_like of shape (n_features,)
        Probability that a feature is active, in (0, 1].
    task : {"identity", "absolute"}
    activity : CorrelatedSets, AnticorrelatedSets, ExactlyActive or ActivityTable, optional
        Which features are active together; by default each by itself.

    Raises
    ------
    ValueError
        When an argument lies outside its domain.

    Notes
    -----
    Weights are an array (…, n_hidden, n_features) for "identity", and a tuple (W₂, W₁) of shapes (…, n_features, n_hidden) and
    (…, n_hidden, n_features) for "absolute", the decoder first, as untied weights are everywhere.

    References
    ----------
    Elhage et al. 2022, sections "Superposition in a Privileged Basis" and "Computation in Superposition".

    Examples
    --------
    >>> from phasediag import NeuronModel, expected_loss
    >>> model = NeuronModel(2, importance=[1.0], density=0.3, task="absolute")
    >>> float(expected_loss(model, ([[1.0, 1.0]], [[1.0], [-1.0]]), [0.0]))  # |x| = x⁺ + (−x)⁺
    0.0
    """

    n_hidden: int
    importance: Floats
    density: float | Floats
    _: KW_ONLY
    task: str = "identity"
    activity: Activity | None = None

    if TYPE_CHECKING:  # arguments become arrays

        def __init__(
            self,
            n_hidden: int,
            importance: ArrayLike,
            density: ArrayLike,
            *,
            task: str = "identity",
            activity: Activity | None = None,
        ) -> None: ...

    def __post_init__(self) -> None:
        importance = positive_array("importance", self.importance)
        if importance.ndim != 1 or importance.size < 1:
            raise ValueError(f"importance must have shape (n_features,) with n_features ≥ 1, got {importance.shape}")
        density = density_array("density", self.density)
        if density.ndim and density.shape != importance.shape:
            raise ValueError(f"density must be a scalar or have shape {importance.shape}, got {density.shape}")
        object.__setattr__(self, "n_hidden", whole_number("n_hidden", self.n_hidden, 1))
        object.__setattr__(self, "importance", np.array(importance))
        object.__setattr__(self, "density", np.array(density) if density.ndim else float(density))
        self.importance.setflags(write=False)
        one_of("task", self.task, TASKS)
        check_activity(self.activity, importance.size, self.feature_density)

    @cached_property
    def form(self) -> NeuronForm:
        """The structure of the model, hashable: all that its control parameters do not change."""
        return NeuronForm(
            self.n_hidden,
            self.n_features,
            activity=(self.activity or INDEPENDENT).structure(),
            values=UNIFORM if self.task == "identity" else SIGNED,
            task=self.task,
        )

    @cached_property
    def control(self) -> Floats:
        """All continuous numbers of the model in one vector: importance, density of every feature, those of the activity."""
        numbers = (self.activity or INDEPENDENT).numbers()
        control = np.concatenate([self.importance, self.feature_density, np.asarray(numbers, dtype=np.float64).ravel()])
        control.setflags(write=False)
        return control

    @property
    def n_features(self) -> int:
        """Number of features."""
        return self.importance.size

    @property
    def feature_density(self) -> Floats:
        """Density of each feature, or of its set, shape (n_features,)."""
        return np.broadcast_to(np.asarray(self.density), self.importance.shape)

    @property
    def loss_scale(self) -> float:
        """Σ_i importance_i E x_i², the expected loss of the output 0."""
        return float(self.form.loss_scale(self.control))

    @property
    def classes(self) -> Classes:
        """The features that can be exchanged, and the sets of them: see `Form.classes`."""
        return self.form.classes(self.control[None])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, NeuronModel):
            return NotImplemented
        return self.form == other.form and np.array_equal(self.control, other.control)

    def __hash__(self) -> int:
        return hash((self.form, self.control.tobytes()))

    def check_parameters(self, weights: Any, bias: ArrayLike) -> tuple[Floats, Floats, Floats]:
        """Return encoder and transposed decoder, both (…, n_hidden, n_features), and bias (…, n_features), broadcast together.

        Raises
        ------
        ValueError
            When weights are not as the task has them, a shape differs, or an entry is not finite or too large (1e30 and 1e70).
        """
        domain = f"finite and smaller than {LARGEST_WEIGHT:g} in size"
        shape = (self.n_hidden, self.n_features)
        if self.task == "identity":
            encoder = real_array("weights", weights, domain, lambda x: np.abs(x) < LARGEST_WEIGHT, shape=shape)
            decoder = encoder
        else:
            if not isinstance(weights, tuple | list) or len(weights) != 2:
                raise ValueError(f'weights must be a tuple (decoder, encoder) for task "absolute", got {weights!r:.60}')
            decoder = real_array("decoder", weights[0], domain, lambda x: np.abs(x) < LARGEST_WEIGHT, shape=shape[::-1])
            encoder = real_array("encoder", weights[1], domain, lambda x: np.abs(x) < LARGEST_WEIGHT, shape=shape)
            decoder = np.swapaxes(decoder, -1, -2)
        domain = f"finite and smaller than {LARGEST_BIAS:g} in size"
        bias = real_array("bias", bias, domain, lambda x: np.abs(x) < LARGEST_BIAS, shape=(self.n_features,))
        try:
            lead = np.broadcast_shapes(encoder.shape[:-2], decoder.shape[:-2], bias.shape[:-1])
        except ValueError:
            raise ValueError(f"the leading axes of weights and bias {bias.shape} must broadcast") from None
        encoder, decoder = (np.broadcast_to(one, lead + shape) for one in (encoder, decoder))
        return encoder, decoder, np.broadcast_to(bias, lead + bias.shape[-1:])

    def as_weights(self, encoder: Floats, decoder: Floats) -> Any:
        """Return what `check_parameters` takes as weights."""
        return encoder if self.task == "identity" else (np.swapaxes(decoder, -1, -2), encoder)

    def target(self, x: ArrayLike) -> Floats:
        """Return what the output ought to be for inputs x (…, n_features): x or |x|."""
        x = real_array("x", x, shape=(self.n_features,))
        return x if self.task == "identity" else np.abs(x)

    def reconstruct(self, x: ArrayLike, weights: Any, bias: ArrayLike) -> Floats:
        """Return the output for inputs x.

        Parameters
        ----------
        x : array_like, shape (n_samples, n_features) or (n_features,)
        weights, bias
            As in `check_parameters`.

        Returns
        -------
        ndarray, shape (…, n_samples, n_features), or (…, n_features) for a single input.
        """
        encoder, decoder, bias = self.check_parameters(weights, bias)
        x = real_array("x", x, shape=(self.n_features,))
        if x.ndim > 2:
            raise ValueError(f"x must have shape (n_samples, n_features) or (n_features,), got {x.shape}")
        hidden = np.maximum(np.atleast_2d(x) @ np.swapaxes(encoder, -1, -2), 0.0)
        output = np.maximum(hidden @ decoder + bias[..., None, :], 0.0)
        return output[..., 0, :] if x.ndim == 1 else output

    def sample(self, n_samples: int, *, seed: Seed = None) -> Floats:
        """Draw inputs.

        Parameters
        ----------
        n_samples : int
        seed : None, int or numpy.random.Generator

        Returns
        -------
        ndarray, shape (n_samples, n_features)
        """
        shape, generator = (whole_number("n_samples", n_samples, 0), self.n_features), random_generator(seed)
        numbers = self.control[self.form.places["activity"]]
        active = self.form.activity.active(generator.random(shape), self.feature_density, numbers)
        values = generator.random(shape)
        return np.where(active, values if self.task == "identity" else 2 * values - 1, 0.0)
