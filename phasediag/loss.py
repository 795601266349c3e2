"""The exact expected loss of any weights and biases, and its derivatives."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ._arguments import one_of, random_generator, real_number, whole_number
from ._contour_batch import MOST_NODES, integrate
from ._enumeration import enumeration, workspaces
from ._lanes import few_features, lane_space

METHODS = ("auto", "enumeration", "contour")
# Enumeration keeps up to 2^(n−1) pieces per output: the most features it treats, and the most that "auto" gives to it.
MOST_ENUMERATED = 14
MOST_ENUMERATED_BY_DEFAULT = 10
# Relative error of the loss by enumeration, never exceeded by ten thousand adversarial cases in exact arithmetic.
ENUMERATION_ERROR = 1e-13
TOLERANCE = 1e-12
# Weights this small count as 0, which no double can tell in the loss: their products lose their digits before they vanish.
NEGLIGIBLE = 1e-100
SAMPLES_AT_ONCE = 65536


def expected_loss(model, weights, bias, method="auto", *, tolerance=TOLERANCE):
    """Return the expected loss E Σ_i importance_i (x_i − x'_i)².

    Parameters
    ----------
    model : ToyModel
    weights : array_like, shape (…, n_hidden, n_features)
    bias : array_like, shape (…, n_features)
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

    References
    ----------
    Elhage et al. 2022, "Toy Models of Superposition", section "Demonstrating Superposition" (the loss).
    """
    return expected_loss_with_error(model, weights, bias, method, tolerance=tolerance)[0]


def expected_loss_with_error(model, weights, bias, method="auto", *, tolerance=TOLERANCE):
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
    """
    weights, bias = model.check_parameters(weights, bias)
    losses, _, _, _, error = evaluate(model, weights, bias, method, 0, tolerance=tolerance)
    total = (losses * model.importance).sum(axis=-1)
    return (total, error) if total.ndim else (float(total), float(error))


def expected_loss_and_gradient(model, weights, bias, method="auto", *, tolerance=TOLERANCE):
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
    losses, weights_gradient, bias_gradient, _, _ = evaluate(model, weights, bias, method, 1, tolerance=tolerance)
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
        ``mean`` scatters about the expected loss with about this standard deviation.

    Raises
    ------
    ValueError
        When an argument lies outside its domain.

    Notes
    -----
    A check of the exact loss, not a substitute: at low density few samples carry most of the loss, and the standard error
    is itself an estimate.
    """
    weights, bias = model.check_parameters(weights, bias)
    n_samples, generator = whole_number("n_samples", n_samples, 2), random_generator(seed)
    mean, scatter = np.zeros(bias.shape[:-1]), np.zeros(bias.shape[:-1])
    for start in range(0, n_samples, SAMPLES_AT_ONCE):
        x = model.sample(min(SAMPLES_AT_ONCE, n_samples - start), seed=generator)
        end = start + len(x)
        for at in np.ndindex(mean.shape):  # one by one: memory for the samples of many would not be bounded
            loss = (x - model.reconstruct(x, weights[at], bias[at])) ** 2 @ model.importance
            # Chan's update of mean and sum of squared deviations
            shift = loss.mean() - mean[at]
            scatter[at] += loss.var() * len(x) + shift**2 * (start * len(x) / end)
            mean[at] += shift * (len(x) / end)
    error = np.sqrt(scatter / (n_samples - 1) / n_samples)
    return (mean, error) if mean.ndim else (float(mean), float(error))


def evaluate(model, weights, bias, method, order, *, density=None, tolerance=TOLERANCE, strict=True):
    """Return losses per feature (without importance), weights' and bias' gradient, Hessian and error of the expected loss.

    ``weights`` and ``bias`` come from `ToyModel.check_parameters`; ``order`` is 0, 1 or 2: how many derivatives are
    wanted, the others are None. ``density``, shape (…, n_features), replaces the model's; here 0 is allowed. Unless
    ``strict``, models that cannot meet the tolerance are left with a larger error, or NaN losses, instead of an exception.
    """
    one_of("method", method, METHODS)
    lowest = ENUMERATION_ERROR
    tolerance = real_number("tolerance", tolerance, f"in [{lowest:g}, 1)", lambda x: (x >= lowest) & (x < 1))
    n, m, lead = model.n_features, model.n_hidden, bias.shape[:-1]
    relu = model.activation == "relu"
    by_contour = relu and (method == "contour" or (method == "auto" and n > MOST_ENUMERATED_BY_DEFAULT))
    if relu and not by_contour and n > MOST_ENUMERATED:
        raise ValueError(f"enumeration treats up to {MOST_ENUMERATED} features, got {n} features")
    batch, size = int(np.prod(lead)), m * n + n
    densities = model.feature_density if density is None else density
    # copies: one layout, writable, so that the kernel is compiled once
    inputs = (
        np.where(np.abs(weights) < NEGLIGIBLE, 0.0, weights).reshape(batch, m, n),
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
    error, declined = np.zeros(batch), np.zeros(batch, dtype=bool)

    def enumerate_(part):
        if relu and n <= 3 and order < 2:
            few_features(*(x[part] for x in inputs), order, *(x[part] for x in outputs[:3]), *lane_space(m, n))
        else:
            arguments = *(x[part] for x in inputs), relu, order, *(x[part] for x in outputs), *workspaces(m, n, order, relu)
            enumeration(*arguments)
        error[part] = ENUMERATION_ERROR * (outputs[0][part] * inputs[2][part]).sum(axis=1)

    def run(part):
        if not by_contour:
            enumerate_(part)
            return
        arguments = *(x[part] for x in inputs), order, tolerance, *(x[part] for x in outputs[:3]), error[part]
        declined[part] = integrate(*arguments)
        if method == "auto" and n <= MOST_ENUMERATED:
            for k in np.flatnonzero(declined[part]) + (part.start or 0):
                enumerate_(slice(k, k + 1))
                declined[k] = False

    # every model is computed by itself: the result does not depend on the number of threads
    n_threads = min(os.cpu_count() or 1, batch * 4 ** min(n, 8) // 2**16)
    if n_threads < 2:
        run(slice(None))
    else:
        step = -(-batch // (4 * n_threads))
        with ThreadPoolExecutor(n_threads) as pool:
            list(pool.map(run, (slice(start, start + step) for start in range(0, batch, step))))
    if strict and declined.any():
        raise ValueError(
            f"tolerance must be one that the contour integral can meet with {MOST_NODES} nodes for these weights, got "
            f"{tolerance:g}" + (' (method "enumeration" needs none)' if n <= MOST_ENUMERATED else "")
        )
    shapes = bias.shape, weights.shape, bias.shape, (*lead, size, size)
    orders = zip(outputs, shapes, (0, 1, 1, 2), strict=True)
    return *(x.reshape(shape) if wanted <= order else None for x, shape, wanted in orders), error.reshape(lead)
