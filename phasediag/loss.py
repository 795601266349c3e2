"""The exact expected loss of any weights and biases, and its derivatives."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ._arguments import one_of, whole_number
from ._contour import contour_loss_gradient
from ._enumeration import enumeration, workspaces
from ._lanes import few_features, lane_space

METHODS = ("auto", "enumeration", "contour")
# Enumeration keeps up to 2^(n−1) pieces per output: the most features it treats, and the most that "auto" gives to it.
MOST_ENUMERATED = 14
MOST_ENUMERATED_BY_DEFAULT = 10
# Error of the contour integral, relative to each output's E x_i² + Var z_i + max(E z_i, 0)², of loss and slopes.
CONTOUR_TOLERANCE, CONTOUR_SLOPE_TOLERANCE, CONTOUR_NODES = 1e-12, 1e-10, 2**16
SAMPLES_AT_ONCE = 65536


def expected_loss(model, weights, bias, method="auto"):
    """Return the expected loss E Σ_i importance_i (x_i − x'_i)².

    Parameters
    ----------
    model : ToyModel
    weights : array_like, shape (…, n_hidden, n_features)
    bias : array_like, shape (…, n_features)
    method : {"auto", "enumeration", "contour"}
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
    "auto" is enumeration for up to 10 features and the contour integral for more. The linear activation has a closed
    form, whatever the method.

    "enumeration" averages over one feature after another, exactly: every step is a positive average, so the relative
    error of the loss stays near rounding for weights of any size. Its cost about doubles with every feature.

    "contour" evaluates a contour integral of the moment generating function in O(n² × nodes). Its error is at most 1e-12
    of E x_i² + Var z_i + max(E z_i, 0)² for each output (1e-10 of its scale for the gradient); where that would take
    too many nodes, which happens when an output rests on a few tiny weights, it raises ValueError.
    """
    weights, bias = model.check_parameters(weights, bias)
    total = (evaluate(model, weights, bias, method, 0)[0] * model.importance).sum(axis=-1)
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

    Raises
    ------
    ValueError
        As in `expected_loss`.

    Notes
    -----
    The loss is differentiable except where an output's weights all vanish and its bias is 0; there the derivative is
    the one for a rising bias.
    """
    weights, bias = model.check_parameters(weights, bias)
    losses, weights_gradient, bias_gradient, _ = evaluate(model, weights, bias, method, 1)
    total = (losses * model.importance).sum(axis=-1)
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

    Raises
    ------
    ValueError
        As in `expected_loss`.

    Notes
    -----
    Second derivatives jump where a kink of the activation is hit with positive probability (z = 0 while nothing is
    active, or weights 0); there they are the limit from one side.
    """
    weights, bias = model.check_parameters(weights, bias)
    return evaluate(model, weights, bias, "enumeration", 2)[3]


def monte_carlo_loss(model, weights, bias, n_samples, *, seed=None):
    """Return an estimate of the expected loss from samples, and its standard error.

    Parameters
    ----------
    model, weights, bias
        As in `expected_loss`; all leading axes share the samples.
    n_samples : int
        At least 2.
    seed : None, int or numpy.random.Generator

    Returns
    -------
    mean, standard_error : float, or ndarray over the leading axes

    Raises
    ------
    ValueError
        When an argument lies outside its domain.
    """
    weights, bias = model.check_parameters(weights, bias)
    n_samples, generator = whole_number("n_samples", n_samples, 2), np.random.default_rng(seed)
    mean, scatter = np.zeros(bias.shape[:-1]), np.zeros(bias.shape[:-1])
    for start in range(0, n_samples, SAMPLES_AT_ONCE):
        x = model.sample(min(SAMPLES_AT_ONCE, n_samples - start), seed=generator)
        loss = (x - model.reconstruct(x, weights, bias)) ** 2 @ model.importance
        # Chan's update of mean and sum of squared deviations
        shift, end = loss.mean(axis=-1) - mean, start + len(x)
        scatter += loss.var(axis=-1) * len(x) + shift**2 * (start * len(x) / end)
        mean += shift * (len(x) / end)
    error = np.sqrt(scatter / (n_samples - 1) / n_samples)
    return (mean, error) if mean.ndim else (float(mean), float(error))


def evaluate(model, weights, bias, method, order, density=None):
    """Return losses per feature (without importance), weights' and bias' gradient and Hessian of the expected loss.

    ``weights`` and ``bias`` come from `ToyModel.check_parameters`; ``order`` is 0, 1 or 2: how many derivatives are
    wanted, the others are None. ``density``, shape (…, n_features), replaces the model's; here 0 is allowed.
    """
    one_of("method", method, METHODS)
    n, m, lead = model.n_features, model.n_hidden, bias.shape[:-1]
    relu = model.activation == "relu"
    by_contour = relu and (method == "contour" or (method == "auto" and n > MOST_ENUMERATED_BY_DEFAULT))
    if relu and not by_contour and n > MOST_ENUMERATED:
        raise ValueError(f"enumeration treats up to {MOST_ENUMERATED} features, got {n} features")
    batch, size = int(np.prod(lead)), m * n + n
    densities = model.feature_density if density is None else density
    # copies: one layout, writable, so that the kernel is compiled once
    inputs = (
        np.array(weights, order="C").reshape(batch, m, n),
        np.array(bias, order="C").reshape(batch, n),
        np.array(np.broadcast_to(model.importance, (batch, n)), order="C"),
        np.array(np.broadcast_to(densities, bias.shape), order="C").reshape(batch, n),
    )
    outputs = (
        np.empty((batch, n)),
        np.empty((batch if order > 0 else 0, m, n)),
        np.empty((batch if order > 0 else 0, n)),
        np.empty((batch if order > 1 else 0, size, size)),
    )

    def run(part):
        if by_contour:
            _integrate(*(x[part] for x in inputs), order, *(x[part] for x in outputs[:3]))
            return
        if relu and n <= 3 and order < 2:
            few_features(*(x[part] for x in inputs), order, *(x[part] for x in outputs[:3]), *lane_space(m, n))
            return
        enumeration(*(x[part] for x in inputs), relu, order, *(x[part] for x in outputs), *workspaces(m, n, order, relu))

    # every model is computed by itself: the result does not depend on the number of threads
    n_threads = min(os.cpu_count() or 1, batch * 4 ** min(n, 8) // 2**16)
    if n_threads < 2:
        run(slice(None))
    else:
        step = -(-batch // (4 * n_threads))
        with ThreadPoolExecutor(n_threads) as pool:
            list(pool.map(run, (slice(start, start + step) for start in range(0, batch, step))))
    shapes = bias.shape, weights.shape, bias.shape, (*lead, size, size)
    return tuple(
        x.reshape(shape) if wanted <= order else None for x, shape, wanted in zip(outputs, shapes, (0, 1, 1, 2), strict=True)
    )


def _integrate(weights, bias, importance, density, order, losses, weights_gradient, bias_gradient):
    if order == 0:
        weights_gradient, bias_gradient = np.empty(weights.shape), np.empty(bias.shape)
    contour_loss_gradient(
        weights, bias, importance, density, CONTOUR_TOLERANCE, CONTOUR_SLOPE_TOLERANCE if order else np.inf, CONTOUR_NODES,
        losses, weights_gradient, bias_gradient, np.empty(len(bias)),
    )  # fmt: skip
    if np.isnan(losses).any():
        raise ValueError(
            f"method must be one that meets its tolerance; the contour integral needs more than {CONTOUR_NODES} nodes "
            "for these weights"
        )
