"""The toy model: control parameters, input law and forward pass."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ._arguments import Floats, Seed, density_array, one_of, positive_array, random_generator, real_array, whole_number
from .forms import Form

ACTIVATIONS = ("relu", "linear")
LARGEST_WEIGHT, LARGEST_BIAS = 1e30, 1e70  # so that no moment of what they make overflows


@dataclass(frozen=True, eq=False)
class ToyModel:
    """A toy model of superposition: x' = activation(WᵀW x + b).

    Each feature is independently active with probability ``density``; an active feature is uniform on [0, 1], an
    inactive one is 0. The loss is E Σ_i importance_i (x_i − x'_i)².

    Parameters
    ----------
    n_hidden : int
        Number of hidden dimensions, 1 ≤ n_hidden < n_features.
    importance : array_like, shape (n_features,)
        Importance of each feature, positive and finite; at least two features.
    density : float or array_like of shape (n_features,)
        Probability that a feature is active (1 − sparsity), in (0, 1].
    activation : {"relu", "linear"}
        Activation of the output layer.

    Attributes
    ----------
    n_features : int
    feature_density : ndarray, shape (n_features,)
        The density of each feature.

    Raises
    ------
    ValueError
        When an argument lies outside its domain.

    References
    ----------
    Elhage et al. 2022, "Toy Models of Superposition", section "Demonstrating Superposition".

    Examples
    --------
    >>> from phasediag import ToyModel
    >>> model = ToyModel(n_hidden=1, importance=[1.0, 0.5], density=0.1)
    >>> model.n_features
    2
    >>> model.reconstruct([1.0, 0.0], weights=[[1.0, -1.0]], bias=[0.0, 0.0])
    array([1., 0.])
    >>> model.sample(3, seed=0).shape
    (3, 2)
    """

    n_hidden: int
    importance: Floats
    density: float | Floats
    activation: str = "relu"

    if TYPE_CHECKING:  # arguments become arrays

        def __init__(self, n_hidden: int, importance: ArrayLike, density: ArrayLike, activation: str = "relu") -> None: ...

    def __post_init__(self) -> None:
        importance = positive_array("importance", self.importance)
        if importance.ndim != 1 or importance.size < 2:
            raise ValueError(f"importance must have shape (n_features,) with n_features ≥ 2, got {importance.shape}")
        n_hidden = whole_number("n_hidden", self.n_hidden, 1)
        if n_hidden >= importance.size:
            raise ValueError(f"n_hidden must be less than n_features ({importance.size}), got {n_hidden}")
        density = density_array("density", self.density)
        if density.ndim and density.shape != importance.shape:
            raise ValueError(f"density must be a scalar or have shape {importance.shape}, got {density.shape}")
        object.__setattr__(self, "n_hidden", n_hidden)
        object.__setattr__(self, "importance", _frozen(importance))
        object.__setattr__(self, "density", _frozen(density) if density.ndim else float(density))
        one_of("activation", self.activation, ACTIVATIONS)

    @property
    def n_features(self) -> int:
        """Number of features."""
        return self.importance.size

    @property
    def feature_density(self) -> Floats:
        """Density of each feature, shape (n_features,)."""
        return np.broadcast_to(np.asarray(self.density), self.importance.shape)

    @property
    def feature_variance(self) -> Floats:
        """Variance of each feature, shape (n_features,)."""
        return variance(self.feature_density)

    @cached_property
    def form(self) -> Form:
        """The structure of the model, hashable: all that its control parameters do not change."""
        return Form(self.n_hidden, self.n_features, self.activation)

    @cached_property
    def control(self) -> Floats:
        """All continuous numbers of the model in one vector: importance, then density of every feature."""
        return _frozen(np.concatenate([self.importance, self.feature_density]))

    @property
    def is_relu(self) -> bool:
        """Whether the output layer rectifies."""
        return self.activation == "relu"

    @property
    def loss_scale(self) -> float:
        """Σ_i importance_i E x_i², the expected loss of x' = 0."""
        return float(self.importance @ self.feature_density / 3)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ToyModel):
            return NotImplemented
        return (
            (self.n_hidden, self.activation) == (other.n_hidden, other.activation)
            and np.array_equal(self.importance, other.importance)
            and np.array_equal(self.feature_density, other.feature_density)
        )

    def __hash__(self) -> int:
        return hash((self.n_hidden, self.activation, self.importance.tobytes(), self.feature_density.tobytes()))

    def check_parameters(self, weights: ArrayLike, bias: ArrayLike) -> tuple[Floats, Floats]:
        """Return (weights, bias) as float64 arrays with one common set of leading axes.

        Parameters
        ----------
        weights : array_like, shape (…, n_hidden, n_features)
        bias : array_like, shape (…, n_features)

        Raises
        ------
        ValueError
            When a trailing shape differs, an entry is not finite or too large (1e30 and 1e70 in size), or the leading axes do
            not broadcast.
        """
        weights = self.check_weights(weights)
        domain = f"finite and smaller than {LARGEST_BIAS:g} in size"
        bias = real_array("bias", bias, domain, lambda x: np.abs(x) < LARGEST_BIAS, shape=(self.n_features,))
        try:
            lead = np.broadcast_shapes(weights.shape[:-2], bias.shape[:-1])
        except ValueError:
            raise ValueError(f"the leading axes of weights {weights.shape} and bias {bias.shape} must broadcast") from None
        return np.broadcast_to(weights, lead + weights.shape[-2:]), np.broadcast_to(bias, lead + bias.shape[-1:])

    def check_weights(self, weights: ArrayLike) -> Floats:
        """Return weights as a float64 array; as `check_parameters`."""
        domain, shape = f"finite and smaller than {LARGEST_WEIGHT:g} in size", (self.n_hidden, self.n_features)
        return real_array("weights", weights, domain, lambda x: np.abs(x) < LARGEST_WEIGHT, shape=shape)

    def reconstruct(self, x: ArrayLike, weights: ArrayLike, bias: ArrayLike) -> Floats:
        """Return the model's output x' for inputs x.

        Parameters
        ----------
        x : array_like, shape (n_samples, n_features) or (n_features,)
        weights : array_like, shape (…, n_hidden, n_features)
        bias : array_like, shape (…, n_features)

        Returns
        -------
        ndarray, shape (…, n_samples, n_features), or (…, n_features) for a single input.
        """
        weights, bias = self.check_parameters(weights, bias)
        x = real_array("x", x, shape=(self.n_features,))
        if x.ndim > 2:
            raise ValueError(f"x must have shape (n_samples, n_features) or (n_features,), got {x.shape}")
        hidden = np.atleast_2d(x) @ np.swapaxes(weights, -1, -2)
        output = hidden @ weights + bias[..., None, :]
        if self.is_relu:
            output = np.maximum(output, 0.0)
        return output[..., 0, :] if x.ndim == 1 else output

    def sample(self, n_samples: int, *, seed: Seed = None) -> Floats:
        """Draw inputs.

        Parameters
        ----------
        n_samples : int
        seed : None, int or numpy.random.Generator

        Returns
        -------
        ndarray, shape (n_samples, n_features), entries in [0, 1).
        """
        shape = (whole_number("n_samples", n_samples, 0), self.n_features)
        generator = random_generator(seed)
        active = generator.random(shape) < self.feature_density
        return np.where(active, generator.random(shape), 0.0)


def variance(density: Any) -> Any:
    """Return E x² − (E x)² of a feature of some density: a number, an array or an expression."""
    return density / 3 - density**2 / 4


def cell_controls(n_features: int, importance: ArrayLike, density: ArrayLike) -> Floats:
    """Return the control vectors of cells of a diagram, shape (…, 2 n_features): importances, then densities.

    ``importance`` and ``density``, which broadcast, are the cells'; the importance is the last feature's, the others have 1.
    """
    controls = np.ones((*np.broadcast(importance, density).shape, 2 * n_features))
    controls[..., n_features - 1] = importance
    controls[..., n_features:] = np.asarray(density)[..., None]
    return controls


def model_of(form: Form, control: Floats) -> ToyModel:
    """Return the ToyModel of a form and a control vector (n_controls,)."""
    density = form.density(control)
    alike = bool(np.all(density == density[0]))
    return ToyModel(form.n_hidden, form.importance(control), density[0] if alike else density, form.activation)


def cell_model(n_features: int, n_hidden: int, importance: float, density: float, activation: str) -> ToyModel:
    """Return the ToyModel of a diagram's cell."""
    return model_of(Form(n_hidden, n_features, activation), cell_controls(n_features, importance, density))


def _frozen(array: Floats) -> Floats:
    """A copy of an array that cannot be written to."""
    array = array.copy()
    array.setflags(write=False)
    return array
