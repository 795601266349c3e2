"""What the kernels need of a model: its form, the same over a whole plane, and beside it the vector of its control parameters."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ._arguments import Floats


@dataclass(frozen=True)
class Form:
    """The structure of a model: all of it that no control parameter changes.

    A control vector (n_controls,), or many of them over leading axes, holds all continuous numbers of a model: the importance
    of every feature, then the density of every feature.

    Parameters
    ----------
    n_hidden, n_features : int
    activation : {"relu", "linear"}
    """

    n_hidden: int
    n_features: int
    activation: str = "relu"

    @cached_property
    def size(self) -> int:
        """Number of parameters: weights, then biases."""
        return (self.n_hidden + 1) * self.n_features

    @cached_property
    def n_controls(self) -> int:
        """Length of a control vector."""
        return 2 * self.n_features

    @cached_property
    def is_relu(self) -> bool:
        """Whether the output layer rectifies."""
        return self.activation == "relu"

    def importance(self, control: Floats) -> Floats:
        """The importances in control vectors (…, n_controls), shape (…, n_features)."""
        return control[..., : self.n_features]

    def density(self, control: Floats) -> Floats:
        """The densities in control vectors (…, n_controls), shape (…, n_features)."""
        return control[..., self.n_features : 2 * self.n_features]

    def loss_scale(self, control: Floats) -> Any:
        """Σ_i importance_i E x_i², the expected loss of x' = 0, shape (…)."""
        return (self.importance(control)[..., None, :] @ self.density(control)[..., None])[..., 0, 0] / 3
