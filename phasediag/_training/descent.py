"""Descent along the exact gradient, with the optimizers' formulas in plain numpy and double precision."""

import numpy as np

from .._loss.evaluation import TOLERANCES, evaluate_loosely
from .optimizers import step_scalars

DIVERGED = 1e8  # no minimum has weights or biases of this size
# Of more than 10 features. Where one fades out the contour integral may decline the first.
ACCURACY = TOLERANCES[1:]


def take_step(adam, scalars, gradient, parameters, first, second):
    """Return parameters and moments after one step; the scalars are those of `step_scalars`."""
    size, scale, shrink, coupled, keep_first, keep_second, epsilon = scalars
    gradient = gradient + coupled * parameters
    if adam:
        first = keep_first * first + (1 - keep_first) * gradient
        second = keep_second * second + (1 - keep_second) * gradient**2
        gradient = first / (scale * np.sqrt(second) + epsilon)
    return shrink * parameters - size * gradient, first, second


def descend(model, chunk, stopped=lambda: False, advanced=lambda count: None):
    """Train a chunk of models of one ToyModel on the population's gradient; as `Chunk.train`, in double precision."""
    (n_models, m, n), adam = chunk.weights.shape, chunk.optimizer != "sgd"
    parameters = np.concatenate([chunk.weights, chunk.bias[:, None]], axis=1).astype(np.float64)
    first, second = np.zeros_like(parameters), np.zeros_like(parameters)
    moves = np.arange(m + 1)[:, None] < m + chunk.biased
    rates = (chunk.optimizer, chunk.schedule, chunk.learning_rate, chunk.weight_decay, chunk.n_steps)
    records = {}
    for step, scalars in enumerate(step_scalars(*rates), start=1):
        if stopped():
            return None
        if not np.all(np.abs(parameters) < DIVERGED):
            break  # the caller says so
        weights, bias = parameters[:, :m], parameters[:, m]
        _, weights_gradient, bias_gradient, _, _ = evaluate_loosely(model, weights, bias, 1, ACCURACY)
        gradient = np.concatenate([weights_gradient, bias_gradient[:, None]], axis=1) * moves / n
        advanced(n_models)
        parameters, first, second = take_step(adam, scalars, gradient, parameters, first, second)
        if step in chunk.recorded:
            records[step] = parameters
    recorded = np.array([records.get(step, np.full((n_models, m + 1, n), np.nan)) for step in chunk.recorded])
    return recorded[:, :, :m], recorded[:, :, m]
