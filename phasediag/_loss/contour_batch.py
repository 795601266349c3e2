"""The contour engine on a batch of models: a tolerance for the whole loss becomes tolerances of the outputs."""

import numpy as np

from ..forms import variance
from .contour import OutputLosses, gradients

MOST_NODES = 2**16
SLOPES = 100.0  # the slopes, whose series converge slowly, may err by so many times the tolerance, of their own scale
# At first no output is asked for less than this share of the tolerance, although the loss may be small beside the outputs.
LEAST_SHARE = 0.02
MOST_ROUNDS = 3  # a rough loss says too little of what is allowed


def integrate(weights, bias, importance, density, order, tolerance, losses, weights_gradient, bias_gradient, error):
    """Fill losses of the outputs, gradient and error of the whole loss; return which models cannot meet the tolerance.

    The tolerance is relative to max(Σ_i importance_i E x_i², loss). weights and weights_gradient (B, m, n), bias, importance,
    density, losses and bias_gradient (B, n), error (B,): a bound or cautious estimate. Losses that cannot meet it may be NaN,
    their errors infinite. Order 0 leaves the gradients alone.
    """
    gram = np.swapaxes(weights, 1, 2) @ weights
    mean = bias + (gram @ (density / 2)[..., None])[..., 0]
    spread = (gram**2 @ variance(density)[..., None])[..., 0]
    nothing = np.sum(importance * density, axis=1) / 3  # the loss of x' = 0
    # the unit of the kernel's tolerance: what it bounds the terms by
    scale = nothing + np.sum(importance * (spread + np.maximum(mean, 0) ** 2), axis=1)
    share = np.maximum(nothing / scale, LEAST_SHARE)
    slope_tolerance = SLOPES * tolerance if order else np.inf
    outputs, rows, asked = OutputLosses(*weights.shape[1:]), np.arange(len(bias)), tolerance * share
    slopes = np.empty((len(bias), *gram.shape[1:])), np.empty(bias.shape)
    for _ in range(MOST_ROUNDS):
        found = outputs.evaluate(weights[rows], bias[rows], density[rows], asked[rows], slope_tolerance, MOST_NODES)
        losses[rows], slopes[1][rows], errors, slopes[0][rows] = found
        error[rows] = [its_importance @ its_errors for its_importance, its_errors in zip(importance[rows], errors, strict=True)]
        loss = np.array([one @ other for one, other in zip(importance, losses, strict=True)])
        allowed = tolerance * np.maximum(nothing, loss - error)
        needed = 0.8 * allowed / scale
        again = ~((error <= allowed) | (error == np.inf) | (needed >= asked))
        rows, asked = np.flatnonzero(again), needed
        if not rows.size:
            break
    if order:
        weights_gradient[:], bias_gradient[:] = gradients(weights, importance, *slopes)
    return ~(error <= allowed)
