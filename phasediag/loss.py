"""The exact expected loss of any weights and biases, and its derivatives."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._arguments import Floats, Seed, random_generator, whole_number
from ._loss.evaluation import TOLERANCE, evaluate, evaluate_rows
from .model import ToyModel, check_model
from .neuron_losses import MOST_SAMPLES, SAMPLES_AT_ONCE, neuron_loss, sampled_neuron_loss
from .neurons import NeuronModel


def expected_loss(
    model: ToyModel | NeuronModel, weights: Any, bias: ArrayLike, method: str = "auto", *, tolerance: float = TOLERANCE
) -> float | Floats:
    """Return the expected loss E Σ_i importance_i (x_i − x'_i)².

    Parameters
    ----------
    model : ToyModel or NeuronModel
    weights : array_like, shape (…, n_hidden, n_features), or a tuple of two
        Smaller than 1e30 in size; beyond, moments could overflow. A tuple is (decoder, encoder) of untied weights, shapes
        (…, n_features, n_hidden) and (…, n_hidden, n_features): x' = activation(decoder encoder x + b), by enumeration.
    bias : array_like, shape (…, n_features)
        Smaller than 1e70 in size.
    method : {"auto", "enumeration", "contour"}
        Engine; see Notes.
    tolerance : float
        In [1e-13, 1): the error allowed in the loss, relative to the loss or, where that is smaller, to
        Σ_i importance_i E x_i² = Σ_i importance_i density_i/3, which is the loss of x' = 0.

    Returns
    -------
    float, or ndarray over the leading axes.

    Raises
    ------
    ValueError
        When an argument lies outside its domain, enumeration is asked for more than 14 features, or the contour integral
        cannot meet the tolerance: a number that is returned meets it.

    Notes
    -----
    "enumeration" averages over one feature after another, exactly: every step is a positive average, so the relative
    error of the loss stays below 1e-13 for weights of any size. Its cost about doubles with every feature.

    "contour" evaluates a contour integral of the moment generating function by the trapezoidal rule, in
    O(n_features² × nodes); the states with at most two active features are closed forms. It takes as many nodes as the
    tolerance needs, up to 65 536 for an output: some tens where many features are active, hundreds at low density, thousands
    where weights are of very different sizes. Where those do not do, which happens when an output rests on three or more
    tiny weights, it declines.

    "auto" is enumeration for up to 10 features, about where their costs for loss and gradient cross, and the contour
    integral for more; up to 14 features enumeration answers where the contour integral declines.

    The linear activation has a closed form, whatever the method.

    A law of activity other than independence, and values other than uniform ones on [0, 1], are mixtures of components in each of
    which features are independent: enumeration sums over them, 2 or k + 1 for each set of k features, 2 for each binary or signed
    feature, up to 65 536 in all. The contour integral treats features uniform on [0, 1] and the ReLU: independent ones and
    sets, of any number of features.

    The loss of a model with a penalty contains it; see `expected_loss_without_penalty`.

    A `NeuronModel` of up to 6 features takes its own weights, and neither method nor tolerance: the cube of active features is
    cut into simplices on which its error is affine, and the sum over them has errors of rounding. Beyond, see
    `expected_loss_bounds`.

    References
    ----------
    Elhage et al. 2022, "Toy Models of Superposition", section "Demonstrating Superposition" (the loss).
    Equations :eq:`loss`, :eq:`cube` and :eq:`contour` of the mathematics page.

    Examples
    --------
    >>> from phasediag import ToyModel, expected_loss
    >>> pair = ToyModel(n_hidden=1, importance=[1.0, 1.0], density=0.1)
    >>> round(expected_loss(pair, [[1.0, -1.0]], [0.0, 0.0]), 12)  # density²/3: only two active features disturb each other
    0.003333333333
    """
    return expected_loss_with_error(model, weights, bias, method, tolerance=tolerance)[0]


def expected_loss_with_error(
    model: ToyModel | NeuronModel, weights: Any, bias: ArrayLike, method: str = "auto", *, tolerance: float = TOLERANCE
) -> tuple[float | Floats, float | Floats]:
    """Return the expected loss and a bound or cautious estimate of its absolute error.

    Parameters
    ----------
    model, weights, bias, method, tolerance
        As in `expected_loss`.

    Returns
    -------
    loss, error : float, or ndarray over the leading axes

    Raises
    ------
    ValueError
        As in `expected_loss`.

    Notes
    -----
    By enumeration the error is 1e-13 of the loss. By the contour integral it is a bound on what lies outside the period,
    plus either a bound on the terms left out of the sum or 1¼ times what they are estimated to be from the settling of the
    sum, plus rounding.

    Examples
    --------
    >>> from phasediag import ToyModel, expected_loss_with_error
    >>> model = ToyModel(n_hidden=1, importance=[1.0, 0.5], density=0.1)
    >>> loss, error = expected_loss_with_error(model, [[1.0, -1.0]], [0.0, 0.0])
    >>> round(loss, 12), error < 1e-15
    (0.0025, True)
    """
    if isinstance(model, NeuronModel):
        return neuron_loss(model, weights, bias, 0)[:2]
    if is_untied(model, weights):
        losses, error, *_ = untied_losses(model, weights, bias, 0, method, tolerance)
        loss = (losses * model.importance).sum(axis=-1)
        return (loss, error) if loss.ndim else (float(loss), float(error))
    weights, bias = model.check_parameters(weights, bias)
    losses, _, _, _, error = evaluate(model, weights, bias, method, 0, tolerance=tolerance)
    total = (losses * model.importance).sum(axis=-1) + model.penalty_of(weights)
    return (total, error) if total.ndim else (float(total), float(error))


def expected_loss_and_gradient(
    model: ToyModel | NeuronModel, weights: Any, bias: ArrayLike, method: str = "auto", *, tolerance: float = TOLERANCE
) -> tuple[float | Floats, Floats, Floats]:
    """Return the expected loss and its gradient.

    Parameters
    ----------
    model, weights, bias, method, tolerance
        As in `expected_loss`. By the contour integral the slope of output i's loss in (WᵀW)_ij is computed to
        100 × tolerance relative to √(E x_j² scale_i), that in b_i to 100 × tolerance relative to √scale_i, with
        scale_i = E x_i² + Var z_i + max(E z_i, 0)², z = WᵀW x + b.

    Returns
    -------
    loss : float, or ndarray over the leading axes
    weights_gradient : ndarray, shape (…, n_hidden, n_features); for untied weights a tuple, as given
    bias_gradient : ndarray, shape (…, n_features)

    Raises
    ------
    ValueError
        As in `expected_loss`.

    Notes
    -----
    The loss is differentiable except where an output's weights all vanish and its bias is 0; there the derivative is
    the one for a rising bias.

    References
    ----------
    Equation :eq:`parts` of the mathematics page.

    Examples
    --------
    >>> from phasediag import ToyModel, expected_loss_and_gradient
    >>> pair = ToyModel(n_hidden=1, importance=[1.0, 1.0], density=0.1)
    >>> loss, in_weights, in_bias = expected_loss_and_gradient(pair, [[1.0, -1.0]], [0.0, 0.0])
    >>> in_weights.shape, in_bias.shape
    ((1, 2), (2,))
    >>> in_bias.round(12)
    array([-0.00333333, -0.00333333])
    """
    if isinstance(model, NeuronModel):
        loss, _, *gradient = neuron_loss(model, weights, bias, 1)
        return loss, *gradient
    if is_untied(model, weights):
        losses, _, gradient, bias_gradient = untied_losses(model, weights, bias, 1, method, tolerance)
        loss = (losses * model.importance).sum(axis=-1)
        return loss if loss.ndim else float(loss), gradient, bias_gradient
    weights, bias = model.check_parameters(weights, bias)
    losses, weights_gradient, bias_gradient, _, _ = evaluate(model, weights, bias, method, 1, tolerance=tolerance)
    total = (losses * model.importance).sum(axis=-1) + model.penalty_of(weights)
    return total if total.ndim else float(total), weights_gradient, bias_gradient


def is_untied(model: ToyModel, weights: Any) -> bool:
    """Whether weights are a tuple (decoder, encoder)."""
    check_model(model)
    return model.is_untied(weights)


def untied_losses(
    model: ToyModel, weights: Any, bias: ArrayLike, order: int, method: str = "auto", tolerance: float = TOLERANCE
) -> tuple[Any, ...]:
    """Return what weights (decoder, encoder) lose by feature (…, n_features), the error of the loss (…), and its gradient.

    For order 1 that is a tuple of those by the two, and that by the bias; for order 0 both are None.
    """
    losses, gradient, by_bias, _, error = _stacked_rows(model, weights, bias, order, method, tolerance)
    if order == 0:
        return losses, error, None, None
    m = model.n_hidden
    return losses, error, (np.swapaxes(gradient[..., :m, :], -1, -2), gradient[..., m:, :]), by_bias


def _stacked_rows(model, weights, bias, order, method="enumeration", tolerance=TOLERANCE):
    """What `evaluate_rows` returns of `ToyModel.stacked` weights."""
    rows, bias, form = model.stacked(weights, bias)
    return evaluate_rows(rows, bias, form, model.control, method, order, tolerance=tolerance)


def expected_loss_without_penalty(
    model: ToyModel, weights: ArrayLike, bias: ArrayLike, method: str = "auto", *, tolerance: float = TOLERANCE
) -> float | Floats:
    """Return the expected loss of a model as if it had no penalty.

    Parameters
    ----------
    model, weights, bias, method, tolerance
        As in `expected_loss`.

    Returns
    -------
    float, or ndarray over the leading axes.

    Raises
    ------
    ValueError
        As in `expected_loss`.

    Examples
    --------
    >>> from phasediag import Penalty, ToyModel, expected_loss, expected_loss_without_penalty
    >>> pair = ToyModel(n_hidden=1, importance=[1.0, 1.0], density=0.1, penalty=Penalty(weights=0.25))
    >>> arguments = pair, [[1.0, -1.0]], [0.0, 0.0]
    >>> round(expected_loss(*arguments) - expected_loss_without_penalty(*arguments), 12)
    0.5
    """
    check_model(model)
    return expected_loss(replace(model, penalty=None), weights, bias, method, tolerance=tolerance)


def expected_loss_hessian(model: ToyModel, weights: Any, bias: ArrayLike) -> Floats:
    """Return the second derivatives of the expected loss in (weights row by row, then biases).

    Parameters
    ----------
    model, weights, bias
        As in `expected_loss`.

    Returns
    -------
    ndarray, shape (…, n_parameters, n_parameters), n_parameters = n_hidden n_features + n_features.
        Of untied weights n_parameters = 2 n_hidden n_features + n_features: the decoder row by row, the encoder, the biases.

    Raises
    ------
    ValueError
        As in `expected_loss`.

    Notes
    -----
    Second derivatives jump where a kink of the activation is hit with positive probability (z = 0 while nothing is
    active, or weights 0); there they are the limit from one side.

    Examples
    --------
    >>> from phasediag import ToyModel, expected_loss_hessian
    >>> model = ToyModel(n_hidden=1, importance=[1.0, 1.0], density=1.0)
    >>> expected_loss_hessian(model, [[1.0, 0.0]], [0.0, 0.5]).round(6)
    array([[2.666667, 1.      , 2.      , 0.      ],
           [1.      , 1.      , 1.      , 1.      ],
           [2.      , 1.      , 2.      , 0.      ],
           [0.      , 1.      , 0.      , 2.      ]])
    """
    untied, hessian = is_untied(model, weights), _stacked_rows(model, weights, bias, 2)[3]
    if not untied:
        return hessian
    order = np.arange(hessian.shape[-1])
    decoder = order[: model.n_hidden * model.n_features]
    decoder[:] = decoder.reshape(model.n_hidden, -1).T.ravel()
    return hessian[..., order[:, None], order]


def monte_carlo_loss(
    model: ToyModel | NeuronModel, weights: Any, bias: ArrayLike, n_samples: int, *, seed: Seed = None
) -> tuple[float | Floats, float | Floats]:
    """Return an estimate of the expected loss from samples, and its standard error.

    Parameters
    ----------
    model, weights, bias
        As in `expected_loss`; all leading axes share the samples.
    n_samples : int
        From 2 to 10⁹.
    seed : None, int or numpy.random.Generator

    Returns
    -------
    mean, standard_error : float, or ndarray over the leading axes
        ``mean`` scatters about the expected loss with about this standard deviation.

    Raises
    ------
    ValueError
        When an argument lies outside its domain.

    Notes
    -----
    A check of the exact loss, not a substitute: at low density few samples carry most of the loss, and the standard error
    is itself an estimate.

    Examples
    --------
    >>> from phasediag import ToyModel, expected_loss, monte_carlo_loss
    >>> model, pair = ToyModel(n_hidden=1, importance=[1.0, 1.0], density=0.3), ([[1.0, -1.0]], [0.0, 0.0])
    >>> loss, error = monte_carlo_loss(model, *pair, 10_000, seed=0)
    >>> abs(loss - expected_loss(model, *pair)) < 4 * error
    True
    """
    if isinstance(model, NeuronModel):
        return sampled_neuron_loss(model, weights, bias, n_samples, seed)
    untied = is_untied(model, weights)
    if untied and model.penalty is not None:
        raise ValueError(f"penalty must be None for untied weights, whose layers decay each by itself, got {model.penalty!r}")
    decoder, weights, bias = model.check_layers(weights, bias)
    n_samples, generator = whole_number("n_samples", n_samples, 2, MOST_SAMPLES), random_generator(seed)
    mean, scatter = np.zeros(bias.shape[:-1]), np.zeros(bias.shape[:-1])
    for start in range(0, n_samples, SAMPLES_AT_ONCE):
        x = model.sample(min(SAMPLES_AT_ONCE, n_samples - start), seed=generator)
        end = start + len(x)
        for at in np.ndindex(mean.shape):  # one by one: memory for the samples of many would not be bounded
            one = (decoder[at].T, weights[at]) if untied else weights[at]
            loss = (x - model.reconstruct(x, one, bias[at])) ** 2 @ model.importance
            # Chan's update of mean and sum of squared deviations
            shift = loss.mean() - mean[at]
            scatter[at] += loss.var() * len(x) + shift**2 * (start * len(x) / end)
            mean[at] += shift * (len(x) / end)
    error = np.sqrt(scatter / (n_samples - 1) / n_samples)
    mean += model.penalty_of(weights)
    return (mean, error) if mean.ndim else (float(mean), float(error))
