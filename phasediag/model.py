"""The toy model: control parameters, input law and forward pass."""

from dataclasses import KW_ONLY, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ._arguments import (
    Floats,
    Seed,
    as_flag,
    density_array,
    one_of,
    positive_array,
    random_generator,
    real_array,
    real_number,
    whole_number,
)
from ._display import Result
from .activity import INDEPENDENT, check_activity
from .activity import Independent as Activity
from .forms import UNIFORM, Classes, Form
from .values import Pieces, pieces_of

ACTIVATIONS = ("relu", "linear")  # those that need no slope, which formulas treat
LARGEST_WEIGHT, LARGEST_BIAS = 1e30, 1e70  # so that no moment of what they make overflows


@dataclass(frozen=True)
class Penalty:
    """What a loss has added: γ Σ_i ‖W_i‖² + λ Σ_{i≠j} (W_i·W_j)².

    Parameters
    ----------
    weights : float
        γ ≥ 0: weight decay of the population's descent.
    interference : float
        λ ≥ 0.

    Raises
    ------
    ValueError
        When one is negative.

    References
    ----------
    Equation :eq:`penalty` of the mathematics page.

    Examples
    --------
    >>> from phasediag import Penalty, ToyModel, expected_loss, expected_loss_without_penalty
    >>> penalty = Penalty(weights=0.01, interference=0.1)
    >>> model = ToyModel(n_hidden=1, importance=[1.0, 1.0], density=0.1, penalty=penalty)
    >>> pair = [[1.0, -1.0]], [0.0, 0.0]
    >>> round(expected_loss(model, *pair) - expected_loss_without_penalty(model, *pair), 12)  # 0.01 · 2 + 0.1 · 2
    0.22
    """

    weights: float = 0.0
    interference: float = 0.0

    def __post_init__(self) -> None:
        for name in ("weights", "interference"):
            object.__setattr__(self, name, real_number(name, getattr(self, name), "at least 0", lambda x: x >= 0))


class FeatureModel(Result):
    """What every model has: features with importances and densities, a structure, its continuous numbers and a law of inputs."""

    n_hidden: int
    importance: Floats
    density: float | Floats
    activity: Activity | None
    penalty: Penalty | None = None
    slope: float | None = None

    @property
    def form(self) -> Form:
        """The structure of the model, hashable: all that its control parameters do not change."""
        raise NotImplementedError

    @property
    def pieces(self) -> Pieces:
        """The law of a feature's value where it is active."""
        raise NotImplementedError

    def _set_features(self, least: int) -> None:
        """Check n_hidden, importance and density of at least so many features, and keep them as they cannot be written to."""
        importance = positive_array("importance", self.importance)
        if importance.ndim != 1 or importance.size < least:
            raise ValueError(f"importance must have shape (n_features,) with n_features ≥ {least}, got {importance.shape}")
        density = density_array("density", self.density)
        if density.ndim and density.shape != importance.shape:
            raise ValueError(f"density must be a scalar or have shape {importance.shape}, got {density.shape}")
        object.__setattr__(self, "n_hidden", whole_number("n_hidden", self.n_hidden, 1))
        object.__setattr__(self, "importance", _frozen(importance))
        object.__setattr__(self, "density", _frozen(density) if density.ndim else float(density))
        check_activity(self.activity, importance.size, self.feature_density)

    def _law(self) -> dict[str, Any]:
        """The structure of the law of inputs, as a `Form` has it."""
        values = tuple(zip(self.pieces.lows.tolist(), self.pieces.widths.tolist(), strict=True))
        return {"activity": (self.activity or INDEPENDENT).structure(), "values": values}

    @cached_property
    def control(self) -> Floats:
        """All continuous numbers of the model in one vector: importance, then density of every feature; see `Form`."""
        numbers: dict[str, Any] = {
            "importance": self.importance,
            "density": self.feature_density,
            "activity": (self.activity or INDEPENDENT).numbers(),
            "values": self.pieces.probabilities,
            "penalty": self.penalty and (self.penalty.weights, self.penalty.interference),
            "slope": self.slope,
        }
        control = np.empty(self.form.n_controls)
        for name, place in self.form.places.items():
            if place.stop > place.start:
                control[place] = numbers[name]
        return _frozen(control)

    def law(self, *varied: str) -> dict[str, str]:
        """Return in words what law inputs have, and penalty, slope and missing biases where there are such.

        Parameters
        ----------
        *varied : str
            Names of axes, whose numbers are left out.

        Returns
        -------
        dict of str
            Of "activity" and "values", perhaps of "penalty", "slope" and "biases".
        """
        return {"activity": (self.activity or INDEPENDENT).text(), "values": self.pieces.text()}

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
        """Σ_i importance_i E x_i², the expected loss of x' = 0."""
        return float(self.form.loss_scale(self.control))

    @property
    def classes(self) -> Classes:
        """The features that can be exchanged, and the sets of them: see `Form.classes`."""
        return self.form.classes(self.control[None])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FeatureModel):
            return NotImplemented
        return self.form == other.form and np.array_equal(self.control, other.control)

    def __hash__(self) -> int:
        return hash((self.form, self.control.tobytes()))

    def _inputs(self, x: ArrayLike) -> Floats:
        """Inputs (n_samples, n_features) or (n_features,), checked."""
        x = real_array("x", x, shape=(self.n_features,))
        if x.ndim > 2:
            raise ValueError(f"x must have shape (n_samples, n_features) or (n_features,), got {x.shape}")
        return x

    def _matrix(self, name: str, matrix: ArrayLike, transposed: bool = False) -> Floats:
        """Weights (…, n_hidden, n_features) of some name, or (…, n_features, n_hidden) where ``transposed``, checked."""
        domain = f"finite and smaller than {LARGEST_WEIGHT:g} in size"
        shape = (self.n_features, self.n_hidden) if transposed else (self.n_hidden, self.n_features)
        return real_array(name, matrix, domain, lambda x: np.abs(x) < LARGEST_WEIGHT, shape=shape)

    def _beside(self, bias: ArrayLike, *matrices: Floats) -> list[Floats]:
        """Weights (…, n_hidden, n_features) and then the bias (…, n_features), checked, with one common set of leading axes."""
        domain = f"finite and smaller than {LARGEST_BIAS:g} in size"
        bias = real_array("bias", bias, domain, lambda x: np.abs(x) < LARGEST_BIAS, shape=(self.n_features,))
        try:
            lead = np.broadcast_shapes(bias.shape[:-1], *(one.shape[:-2] for one in matrices))
        except ValueError:
            shapes = " and ".join(str(one.shape) for one in matrices)
            raise ValueError(f"the leading axes of weights {shapes} and bias {bias.shape} must broadcast") from None
        return [np.broadcast_to(one, lead + one.shape[-2:]) for one in matrices] + [np.broadcast_to(bias, lead + bias.shape[-1:])]

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
        shape = (whole_number("n_samples", n_samples, 0), self.n_features)
        generator = random_generator(seed)
        numbers = self.control[self.form.places["activity"]]
        active = self.form.activity.active(generator.random(shape), self.feature_density, numbers)
        return np.where(active, self.pieces.drawn(shape, generator), 0.0)


@dataclass(frozen=True, eq=False, repr=False)
class ToyModel(FeatureModel):
    """A toy model of superposition: x' = activation(WᵀW x + b).

    By default each feature is independently active with probability ``density``; an active feature is uniform on [0, 1], an
    inactive one is 0. The loss is E Σ_i importance_i (x_i − x'_i)², with a penalty added where there is one.

    Parameters
    ----------
    n_hidden : int
        Number of hidden dimensions, 1 ≤ n_hidden < n_features.
    importance : array_like, shape (n_features,)
        Importance of each feature, positive and finite; at least two features.
    density : float or array_like of shape (n_features,)
        Probability that a feature is active (1 − sparsity), in (0, 1]; that a set is present, equal within a set, where the
        activity has sets.
    activation : {"relu", "linear", "leaky"}
        Activation of the output layer.
    activity : CorrelatedSets, AnticorrelatedSets, ExactlyActive or ActivityTable, optional
        Which features are active together; by default each by itself.
    values : {"uniform", "binary", "signed"} or Pieces
        What an active feature is: uniform on [0, 1], 1, uniform on [−1, 1], or any mixture of atoms and intervals.
    penalty : Penalty, optional
    slope : float, optional
        Of activation "leaky", and of that alone: the slope for negative arguments, in [0, 1].
    biased : bool
        Whether biases may move where minima are searched and models are trained; False holds them at 0. Losses are those of any
        biases that are given.

    Attributes
    ----------
    n_features : int
    feature_density : ndarray, shape (n_features,)
        The density of each feature, or of its set.
    marginal_density, feature_mean, feature_variance : ndarray, shape (n_features,)
        The probability that each feature is active, E x_i and Var x_i.
    activity_correlation : ndarray, shape (n_features, n_features)
        Correlations between which features are active.

    Raises
    ------
    ValueError
        When an argument lies outside its domain.

    References
    ----------
    Elhage et al. 2022, "Toy Models of Superposition", section "Demonstrating Superposition".
    Equations :eq:`model` and :eq:`leaky` of the mathematics page.

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
    _: KW_ONLY
    activity: Activity | None = None
    values: str | Pieces = "uniform"
    penalty: Penalty | None = None
    slope: float | None = None
    biased: bool = True

    if TYPE_CHECKING:  # arguments become arrays

        def __init__(
            self,
            n_hidden: int,
            importance: ArrayLike,
            density: ArrayLike,
            activation: str = "relu",
            *,
            activity: Activity | None = None,
            values: str | Pieces = "uniform",
            penalty: Penalty | None = None,
            slope: float | None = None,
            biased: bool = True,
        ) -> None: ...

    def __post_init__(self) -> None:
        self._set_features(2)
        if self.n_hidden >= self.n_features:
            raise ValueError(f"n_hidden must be less than n_features ({self.n_features}), got {self.n_hidden}")
        one_of("activation", self.activation, (*ACTIVATIONS, "leaky"))
        pieces_of(self.values)
        if self.penalty is not None and not isinstance(self.penalty, Penalty):
            raise ValueError(f"penalty must be None or a Penalty, got {self.penalty!r:.60}")
        if (self.activation == "leaky") != (self.slope is not None):
            raise ValueError(f'slope must be given with activation "leaky" and with no other, got {self.slope!r:.60}')
        if self.slope is not None:
            slope = real_number("slope", self.slope, "in [0, 1]", lambda x: (x >= 0) & (x <= 1))
            object.__setattr__(self, "slope", slope)
        as_flag("biased", self.biased)

    def law(self, *varied: str) -> dict[str, str]:
        words, penalty = super().law(*varied), self.penalty or Penalty()
        numbers = {"weight_penalty": f"γ {penalty.weights:g}", "interference_penalty": f"λ {penalty.interference:g}"}
        fixed = [number for name, number in numbers.items() if name not in varied]
        if self.penalty and fixed:
            words["penalty"] = f"penalty {', '.join(fixed)}"
        if self.slope is not None and "slope" not in varied:
            words["slope"] = f"slope {self.slope:g}"
        if not self.biased:
            words["biases"] = "no biases"
        return words

    @property
    def pieces(self) -> Pieces:
        """The law of a feature's value where it is active."""
        return pieces_of(self.values)

    @cached_property
    def form(self) -> Form:
        """The structure of the model, hashable: all that its control parameters do not change."""
        sizes, law, penalised = (self.n_hidden, self.n_features), self._law(), self.penalty is not None
        return Form(*sizes, self.activation, **law, penalised=penalised, biased=self.biased)

    @property
    def is_relu(self) -> bool:
        """Whether the output layer is a ReLU."""
        return self.form.is_relu

    @property
    def is_linear(self) -> bool:
        """Whether the output layer is the identity."""
        return self.form.is_linear

    @property
    def marginal_density(self) -> Floats:
        """Probability that each feature is active, shape (n_features,)."""
        return self.form.marginal_density(self.control)

    @property
    def activity_correlation(self) -> Floats:
        """Correlations between which features are active, shape (n_features, n_features); 0 beside a feature that always is."""
        joint = self.form.pairs(self.control)
        p = np.diagonal(joint)
        deviation = np.sqrt(p * (1 - p))
        scale = np.outer(deviation, deviation)
        correlation = np.divide(joint - np.outer(p, p), scale, out=np.zeros_like(joint), where=scale > 0)
        np.fill_diagonal(correlation, 1.0)
        return correlation

    @property
    def feature_mean(self) -> Floats:
        """E x_i, shape (n_features,)."""
        return self.form.mean(self.control)

    @property
    def feature_variance(self) -> Floats:
        """Variance of each feature, shape (n_features,)."""
        return self.form.variance(self.control)

    def without_biases(self) -> "ToyModel":
        """Return the model with its biases held at 0, as by ``minimize(model, bias=False)``."""
        return replace(self, biased=False)

    def check_held(self, name: str, bias: Floats) -> None:
        """Raise ValueError where biases (…, n_features) of some name are not 0 though the model has none."""
        if not self.biased and np.any(bias):
            raise ValueError(f"{name} must be 0 in a model without biases, got {bias[bias != 0][0]:g}")

    def check_active(self) -> None:
        """Raise ValueError where no feature is ever active, so that all weights lose the same."""
        if self.loss_scale == 0:
            raise ValueError(f"activity must let a feature be active where minima are searched, got {self.activity!r:.60}")

    def check_default_law(self, what: str) -> None:
        """Raise ValueError unless features are independent and uniform on [0, 1], with biases, no penalty, no leaky output."""
        if not self.form.is_default:
            domain = 'independent features, uniform on [0, 1], biases, no penalty and activation "relu" or "linear"'
            raise ValueError(f"model must have {domain} for {what}, got {self!r:.200}")

    def target(self, x: Floats) -> Floats:
        """Return what the output ought to be for inputs x (…, n_features): x."""
        return x

    def penalty_of(self, weights: Floats) -> Any:
        """The penalty of weights (…, n_hidden, n_features), shape (…); 0 where the model has none."""
        return self.form.penalty(self.control, weights)

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
        weights, bias = self._beside(bias, self.check_weights(weights))
        return weights, bias

    def check_weights(self, weights: ArrayLike) -> Floats:
        """Return weights as a float64 array; as `check_parameters`."""
        if self.is_untied(weights):
            takers = "exact losses with their derivatives and terms, optimal_bias, monte_carlo_loss, reconstruct and inspect"
            raise ValueError(f"weights must be tied here, got a tuple (decoder, encoder): {takers} take untied ones")
        return self._matrix("weights", weights)

    def is_untied(self, weights: Any) -> bool:
        """Whether weights are a tuple (decoder, encoder)."""
        if not isinstance(weights, tuple) or len(weights) != 2 or np.ndim(weights[0]) < 2:
            return False
        decoder, encoder = (np.shape(part)[-2:] for part in weights)
        n, m = self.n_features, self.n_hidden
        if decoder != (n, m) and decoder != encoder:
            raise ValueError(f"weights must be decoder and encoder of shapes {(n, m)} and {(m, n)}, got {decoder} and {encoder}")
        return decoder == (n, m)

    def check_layers(self, weights: Any, bias: ArrayLike) -> tuple[Floats, Floats, Floats]:
        """Return the decoder's transpose, the encoder and the bias of tied or untied weights with common leading axes."""
        if not self.is_untied(weights):
            weights, bias = self.check_parameters(weights, bias)
            return weights, weights, bias
        decoder, encoder = np.swapaxes(real_array("decoder", weights[0]), -1, -2), self.check_weights(weights[1])
        decoder, encoder, bias = self._beside(bias, self.check_weights(decoder), encoder)
        return decoder, encoder, bias

    def stacked(self, weights: Any, bias: ArrayLike) -> tuple[Floats, Floats, Form]:
        """Return tied or untied weights as kernels take them, the bias, with common leading axes, and the form of such models.

        Shape (…, n_hidden, n_features), or (…, 2 n_hidden, n_features) of untied ones, where the decoder's transpose comes first.
        """
        if not self.is_untied(weights):
            return *self.check_parameters(weights, bias), self.form
        if self.penalty is not None:
            raise ValueError(f"penalty must be None for untied weights, whose layers decay each by itself, got {self.penalty!r}")
        *layers, bias = self.check_layers(weights, bias)
        return np.concatenate(layers, axis=-2), bias, replace(self.form, expanded=True)

    def product(self, rows: Floats) -> Floats:
        """Return WᵀW, or decoder encoder, of `stacked` weights, shape (…, n_features, n_features)."""
        return np.swapaxes(rows[..., : self.n_hidden, :], -1, -2) @ rows[..., -self.n_hidden :, :]

    def reconstruct(self, x: ArrayLike, weights: Any, bias: ArrayLike) -> Floats:
        """Return the model's output x' for inputs x.

        Parameters
        ----------
        x : array_like, shape (n_samples, n_features) or (n_features,)
        weights : array_like, shape (…, n_hidden, n_features)
            Or a tuple (decoder, encoder) of untied weights, the decoder of shape (…, n_features, n_hidden).
        bias : array_like, shape (…, n_features)

        Returns
        -------
        ndarray, shape (…, n_samples, n_features), or (…, n_features) for a single input.
        """
        decoder, weights, bias = self.check_layers(weights, bias)
        x = self._inputs(x)
        hidden = np.atleast_2d(x) @ np.swapaxes(weights, -1, -2)
        output = hidden @ decoder + bias[..., None, :]
        if self.activation != "linear":
            output = np.maximum(output, 0.0) if self.slope is None else np.where(output > 0, output, self.slope * output)
        return output[..., 0, :] if x.ndim == 1 else output


def check_model(model: Any) -> None:
    """Raise ValueError unless this is a ToyModel, as where weights are given first."""
    if not isinstance(model, ToyModel):
        raise ValueError(f"model must be a ToyModel, got {model!r:.60}")


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
    density, part = form.density(control), {name: control[place] for name, place in form.places.items()}
    alike = bool(np.all(density == density[0]))
    probabilities = part["values"].tolist() if len(form.values) > 1 else [1.0]
    values = list(zip(form.values, probabilities, strict=True))
    return ToyModel(
        form.n_hidden,
        form.importance(control),
        density[0] if alike else density,
        form.activation,
        activity=None if form.activity == INDEPENDENT else form.activity.with_numbers(part["activity"], form.n_features),
        values="uniform"
        if form.values == UNIFORM
        else Pieces(
            atoms=[(low, p) for (low, width), p in values if width == 0],
            intervals=[(low, low + width, p) for (low, width), p in values if width > 0],
        ),
        penalty=Penalty(*part["penalty"]) if form.penalised else None,
        slope=part["slope"][0] if form.activation == "leaky" else None,
        biased=form.biased,
    )


def cell_model(n_features: int, n_hidden: int, importance: float, density: float, activation: str) -> ToyModel:
    """Return the ToyModel of a diagram's cell."""
    return model_of(Form(n_hidden, n_features, activation), cell_controls(n_features, importance, density))


def _frozen(array: Floats) -> Floats:
    """A copy of an array that cannot be written to."""
    array = array.copy()
    array.setflags(write=False)
    return array
