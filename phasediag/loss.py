"""The exact expected loss of any weights and biases, and its derivatives."""

import numpy as np

from ._arguments import one_of
from ._enumeration import enumeration, workspaces

METHODS = ("auto", "enumeration")
# Enumeration keeps up to 2^(n−1) pieces per output; past this number of features it takes minutes.
MOST_ENUMERATED = 14


def expected_loss(model, weights, bias, method="auto"):
    """Return the expected loss E Σ_i importance_i (x_i − x'_i)².

    Parameters
    ----------
    model : ToyModel
    weights : array_like, shape (…, n_hidden, n_features)
    bias : array_like, shape (…, n_features)
    method : {"auto", "enumeration"}
        Engine; see Notes.

    Returns
    -------
    float, or ndarray over the leading axes.

    Raises
    ------
    ValueError
        When an argument lies outside its domain, or the method cannot answer for so many features.

    Notes
    -----
    "enumeration" averages over one feature after another, exactly: every step is a positive average, so the relative
    error of the loss stays near rounding for weights of any size. Its cost doubles with every feature.
    """
    weights, bias = model.check_parameters(weights, bias)
    losses, _, _, _ = _evaluate(model, weights, bias, method, 0)
    total = losses @ model.importance
    return total if total.ndim else float(total)


def expected_loss_and_gradient(model, weights, bias, method="auto"):
    """Return the expected loss and its gradient.

    Parameters
    ----------
    model, weights, bias, method
        As in `expected_loss`.

    Returns
    -------
    loss : float, or ndarray over the leading axes
    weights_gradient : ndarray, shape (…, n_hidden, n_features)
    bias_gradient : ndarray, shape (…, n_features)

    Notes
    -----
    The loss is differentiable except where an output's weights all vanish and its bias is 0; there the derivative is the
    one for a rising bias.
    """
    weights, bias = model.check_parameters(weights, bias)
    losses, weights_gradient, bias_gradient, _ = _evaluate(model, weights, bias, method, 1)
    total = losses @ model.importance
    return total if total.ndim else float(total), weights_gradient, bias_gradient


def expected_loss_hessian(model, weights, bias):
    """Return the second derivatives of the expected loss in (weights row by row, then biases).

    Parameters
    ----------
    model, weights, bias
        As in `expected_loss`.

    Returns
    -------
    ndarray, shape (…, n_parameters, n_parameters), n_parameters = n_hidden n_features + n_features.

    Notes
    -----
    Second derivatives jump where a knot of the loss meets the bias (for instance at weights 0); there they are the limit
    from one side.
    """
    weights, bias = model.check_parameters(weights, bias)
    return _evaluate(model, weights, bias, "enumeration", 2)[3]


def _evaluate(model, weights, bias, method, order):
    """Losses per feature, gradient and Hessian with the leading axes of weights and bias."""
    one_of("method", method, METHODS)
    n, m, lead = model.n_features, model.n_hidden, bias.shape[:-1]
    relu = model.activation == "relu"
    if relu and n > MOST_ENUMERATED:
        raise ValueError(f"method must be able to treat {n} features; enumeration treats up to {MOST_ENUMERATED}")
    batch = int(np.prod(lead))
    size = m * n + n
    flat_weights = np.ascontiguousarray(weights).reshape(batch, m, n)
    flat_bias = np.ascontiguousarray(bias).reshape(batch, n)
    importance = np.broadcast_to(model.importance, (batch, n))
    density = np.broadcast_to(model.feature_density, (batch, n))
    losses, weights_gradient, bias_gradient = np.empty((batch, n)), np.empty((batch, m, n)), np.empty((batch, n))
    hessian = np.empty((batch if order == 2 else 0, size, size))
    work, scratch = workspaces(m, n, order, relu)
    enumeration(
        flat_weights, flat_bias, importance, density, relu, order, losses, weights_gradient, bias_gradient, hessian,
        work, scratch,
    )  # fmt: skip
    return (
        losses.reshape(bias.shape),
        weights_gradient.reshape(weights.shape),
        bias_gradient.reshape(bias.shape),
        hessian.reshape((*lead, size, size)) if order == 2 else None,
    )
