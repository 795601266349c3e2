"""The bottom of a basin for more features than enumeration treats: descent along the gradient of the contour integral.

Where a feature is not represented its column goes to 0, and the contour integral declines outputs that rest on tiny weights. So
small columns are set to 0, and held there, when that lowers the loss.
"""

import numpy as np

from .._loss.evaluation import evaluate
from .flat import flatten, parts

ALONG = 1e-6  # tolerance of the loss on the way
SMALL = 0.1  # columns shorter than this may be set to 0
FIRST_STEP = 0.1  # length of the first step, which L-BFGS takes as its unit
MOST_ROUNDS = 4
# Until a step gains less than a ten-millionth of the loss of x' = 0, when less than a thousandth of the loss is left to gain.
# Much closer, the products of orthogonal features become as tiny as small columns do.
OPTIONS = {"maxiter": 2000, "maxfun": 3000, "maxcor": 30, "ftol": 1e-7, "gtol": 1e-8}


def descend(model, weights, bias, watch=lambda: None):
    """Return weights (n_hidden, n_features) and bias (n_features,) at the bottom of the basin of others.

    ``watch`` is called after every evaluation.
    """
    weights, bias = weights.copy(), model.biased * bias
    for _round in range(MOST_ROUNDS):
        shortened = _shorten(model, weights, bias)
        weights, bias, finished = _run(model, weights, bias, watch)
        if finished and not shortened:
            break
    return weights, bias


def _loss(model, weights, bias):
    """The loss and its error, two floats."""
    losses, _, _, _, error = evaluate(model, weights, bias, "auto", 0, tolerance=ALONG, strict=False)
    return model.importance @ losses + model.penalty_of(weights), error


def _shorten(model, weights, bias):
    """Set small columns to 0 in place, the shortest first, where that lowers the loss; return whether any was."""
    norm = np.linalg.norm(weights, axis=0)
    lowest, _ = _loss(model, weights, bias)
    shortened = False
    for i in sorted(np.flatnonzero((norm > 0) & (norm < SMALL)), key=norm.__getitem__):
        kept = weights[:, i].copy()
        weights[:, i] = 0.0
        loss, _ = _loss(model, weights, bias)
        if loss < lowest or np.isnan(lowest):
            lowest, shortened = loss, True
        else:
            weights[:, i] = kept
    return shortened


class _Declined(Exception):
    """The contour integral does not answer at a point of the descent."""


def _run(model, weights, bias, watch):
    """Descend by L-BFGS: (weights, bias, whether it came to an end); columns that are 0 stay so."""
    from scipy.optimize import minimize as scipy_minimize

    free = flatten(np.broadcast_to(np.any(weights != 0, axis=0), weights.shape), np.full(bias.size, model.biased))
    start, scale = flatten(weights, bias), model.loss_scale
    best = [np.inf, start]

    def scaled(steps):
        """The loss and its gradient, flat, after steps (n_free,) in units of the first one."""
        x = start.copy()
        x[free] += FIRST_STEP * steps
        watch()
        weights, bias = parts(x, model.n_hidden)
        losses, *gradient, _, _ = evaluate(model, weights, bias, "auto", 1, tolerance=ALONG, strict=False)
        loss = (model.importance @ losses + model.penalty_of(weights)) / scale
        if np.isnan(loss):
            raise _Declined
        if loss < best[0]:
            best[:] = loss, x
        return loss, flatten(*gradient)[free] * FIRST_STEP / scale

    try:
        scipy_minimize(scaled, np.zeros(free.sum()), jac=True, method="L-BFGS-B", options=OPTIONS)
        finished = True
    except _Declined:
        finished = False
    return *parts(best[1], model.n_hidden), finished
