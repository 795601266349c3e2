"""Models whose hidden layer computes: x' = ReLU(Wᵀ ReLU(W x) + b), and y' = ReLU(W₂ ReLU(W₁ x) + b) for y = |x|."""

from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ._arguments import Floats, one_of, real_array
from .activity import INDEPENDENT, TABLE, ActivityTable
from .activity import Independent as Activity
from .forms import Form
from .model import FeatureModel
from .values import VALUES, Pieces

TASKS = ("identity", "absolute")


@dataclass(frozen=True)
class NeuronForm(Form):
    """The structure of a `NeuronModel`; parameters are W (n_hidden, n_features), or W₁ and W₂ᵀ, row by row, then biases."""

    task: str = "identity"

    @property
    def is_tied(self) -> bool:
        """Whether one matrix both reads and writes."""
        return self.task == "identity"

    @property
    def is_default(self) -> bool:
        """Never: it is no `ToyModel`."""
        return False

    @property
    def kind(self) -> str:
        """What the models are, in words."""
        return f"neurons, {self.task}"

    def size_facts(self) -> dict[str, Any]:
        """What tells the models of diagrams apart, by name."""
        return super().size_facts() | {"task": self.task}

    @property
    def size(self) -> int:
        """Number of parameters."""
        return ((1 if self.is_tied else 2) * self.n_hidden + 1) * self.n_features

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
class NeuronModel(FeatureModel):
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
    Of the laws of `ToyModel` neurons have densities by feature and every activity; values follow from the task, since the exact
    loss integrates over cubes, and penalties and leaky outputs, for which there is no exact loss of neurons, are refused.

    Weights are an array (…, n_hidden, n_features) for "identity", and a tuple (W₂, W₁) of shapes (…, n_features, n_hidden) and
    (…, n_hidden, n_features) for "absolute", the decoder first, as untied weights are everywhere.

    References
    ----------
    Elhage et al. 2022, sections "Superposition in a Privileged Basis" and "Computation in Superposition".
    Equation :eq:`neurons` of the mathematics page.

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
        one_of("task", self.task, TASKS)
        self._set_features(1)

    @cached_property
    def form(self) -> NeuronForm:
        """The structure of the model, hashable: all that its control parameters do not change."""
        return NeuronForm(self.n_hidden, self.n_features, **self._law(), task=self.task)

    @property
    def pieces(self) -> Pieces:
        """The law of a feature's value where it is active: uniform on [0, 1], or on [−1, 1]."""
        return VALUES["uniform" if self.task == "identity" else "signed"]

    def check_parameters(self, weights: Any, bias: ArrayLike) -> tuple[Floats, Floats, Floats]:
        """Return encoder and transposed decoder, both (…, n_hidden, n_features), and bias (…, n_features), broadcast together.

        Raises
        ------
        ValueError
            When weights are not as the task has them, a shape differs, or an entry is not finite or too large (1e30 and 1e70).
        """
        if self.task == "identity":
            encoder = decoder = self._matrix("weights", weights)
        else:
            if not isinstance(weights, tuple | list) or len(weights) != 2:
                raise ValueError(f'weights must be a tuple (decoder, encoder) for task "absolute", got {weights!r:.60}')
            decoder = np.swapaxes(self._matrix("decoder", weights[0], transposed=True), -1, -2)
            encoder = self._matrix("encoder", weights[1])
        encoder, decoder, bias = self._beside(bias, encoder, decoder)
        return encoder, decoder, bias

    @property
    def values(self) -> str:
        """What active features are, by the task: "uniform" on [0, 1], or "signed"."""
        return "uniform" if self.task == "identity" else "signed"

    def penalty_of(self, weights: Any) -> float:
        """Return 0: there is no penalty."""
        return 0.0

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
        x = self._inputs(x)
        hidden = np.maximum(np.atleast_2d(x) @ np.swapaxes(encoder, -1, -2), 0.0)
        output = np.maximum(hidden @ decoder + bias[..., None, :], 0.0)
        return output[..., 0, :] if x.ndim == 1 else output
