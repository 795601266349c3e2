"""The bottom of a basin for more features than enumeration treats: descent along the gradient of the contour integral.

Where a feature is not represented its column goes to 0, and the contour integral declines outputs that rest on tiny weights. So
small columns are set to 0, and held there, when that lowers the loss.
"""

import numpy as np

from .._loss.evaluation import evaluate, evaluate_loosely
from ..minima import Minimum, upright
from ..order_parameters import feature_dimensionality, feature_norm, interference
from ..phases import classify

ALONG = 1e-6  # tolerance of the loss on the way
SMALL = 0.1  # columns shorter than this may be set to 0
FIRST_STEP = 0.1  # length of the first step, which L-BFGS takes as its unit
MOST_ROUNDS = 4
# No closer: there products of orthogonal features become as tiny as small columns do.
OPTIONS = {"maxiter": 2000, "maxfun": 3000, "maxcor": 30, "ftol": 1e-8, "gtol": 1e-8}


def loss_scale(model):
    """Return Σ_i I_i E x_i², the loss of x' = 0."""
    return float(model.importance @ model.feature_density / 3)


def largest(gradient):
    """Return the largest entry, in size, of a sequence of arrays."""
    return float(max(np.abs(part).max() for part in gradient))


def descend(model, weights, bias):
    """Return the bottom of the basin as a Minimum of unknown curvature (NaN)."""
    scale, weights, bias = loss_scale(model), weights.copy(), bias.copy()
    for _round in range(MOST_ROUNDS):
        shortened = _shorten(model, weights, bias)
        weights, bias, finished = _run(model, weights, bias, scale)
        if finished and not shortened:
            break
    weights = upright(weights)
    losses, *gradient, _, _ = evaluate_loosely(model, weights, bias, 1)
    return Minimum(
        weights=weights,
        bias=bias,
        loss=float(model.importance @ losses),
        phase=classify(weights),
        configuration=None,
        gradient_norm=largest(gradient) / scale,
        curvature=np.nan,
        feature_loss=losses,
        feature_norm=feature_norm(weights),
        interference=interference(weights),
        feature_dimensionality=feature_dimensionality(weights),
        is_global=False,
    )


def _loss(model, weights, bias):
    losses, _, _, _, error = evaluate(model, weights, bias, "auto", 0, tolerance=ALONG, strict=False)
    return model.importance @ losses, error


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


def _run(model, weights, bias, scale):
    """Descend by L-BFGS: (weights, bias, whether it came to an end); columns that are 0 stay so."""
    from scipy.optimize import minimize as scipy_minimize

    free = np.concatenate([np.repeat(np.any(weights != 0, axis=0)[None], len(weights), axis=0).ravel(), np.ones(bias.size, bool)])
    start = np.concatenate([weights.ravel(), bias])
    best = [np.inf, start]

    def scaled(steps):
        x = start.copy()
        x[free] += FIRST_STEP * steps
        parameters = x[: weights.size].reshape(weights.shape), x[weights.size :]
        losses, *gradient, _, _ = evaluate(model, *parameters, "auto", 1, tolerance=ALONG, strict=False)
        loss = model.importance @ losses / scale
        if np.isnan(loss):
            raise _Declined
        if loss < best[0]:
            best[:] = loss, x
        return loss, np.concatenate([part.ravel() for part in gradient])[free] * FIRST_STEP / scale

    try:
        scipy_minimize(scaled, np.zeros(free.sum()), jac=True, method="L-BFGS-B", options=OPTIONS)
        finished = True
    except _Declined:
        finished = False
    return best[1][: weights.size].reshape(weights.shape).copy(), best[1][weights.size :].copy(), finished
