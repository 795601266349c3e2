"""PyTorch's SGD, Adam and AdamW, written out: the scalars of every step, and one step of many parameters."""

from functools import cache

import numpy as np
from numba import float32

from ._vectors import LANES, fma, load, routine, splat, square_root, store

OPTIMIZERS = ("adamw", "adam", "sgd")
SCHEDULES = ("constant", "linear", "cosine")
BETAS, EPSILON = (0.9, 0.999), 1e-8
N_SCALARS = 7


def step_scalars(optimizer, schedule, learning_rate, weight_decay, n_steps):
    """Return the scalars of every step, shape (n_steps, 7).

    With g the gradient, t = 1, 2, … the step and η_t its learning rate, Adam keeps
    μ ← β₁ μ + (1 − β₁) g and ν ← β₂ ν + (1 − β₂) g² and moves a parameter θ to

        shrink θ − size μ / (scale √ν + ε),    size = η_t / (1 − β₁ᵗ),    scale = 1/√(1 − β₂ᵗ).

    AdamW has shrink = 1 − η_t λ; Adam and SGD have shrink = 1 and add coupled θ = λ θ to g; SGD moves by η_t g.
    Schedules multiply the learning rate of step t by 1, 1 − (t − 1)/n_steps or ½ (1 + cos(π (t − 1)/n_steps)).

    References
    ----------
    Kingma & Ba 2015, "Adam"; Loshchilov & Hutter 2019, "Decoupled weight decay regularization".
    """
    done = np.arange(n_steps) / n_steps
    factor = {"constant": np.ones(n_steps), "linear": 1 - done, "cosine": 0.5 * (1 + np.cos(np.pi * done))}[schedule]
    rate, t = learning_rate * factor, np.arange(1, n_steps + 1)
    scalars = np.zeros((n_steps, N_SCALARS))
    scalars[:, 0] = rate if optimizer == "sgd" else rate / (1 - BETAS[0] ** t)
    scalars[:, 1] = 1 / np.sqrt(1 - BETAS[1] ** t)
    scalars[:, 2] = 1 - rate * weight_decay if optimizer == "adamw" else 1.0
    scalars[:, 3] = 0.0 if optimizer == "adamw" else weight_decay
    scalars[:, 4:6] = BETAS
    scalars[:, 6] = EPSILON
    return scalars


@cache
def mover():
    """Return the routine that moves ``n_vectors`` vectors of parameters along their gradient.

    The scalars are those of `step_scalars`; for SGD ``adam`` is 0 and the moments stay as they are.
    """

    def move(adam, scalars, gradient, parameters, first, second, n_vectors):
        size, scale, shrink, coupled = splat(-scalars[0]), splat(scalars[1]), splat(scalars[2]), splat(scalars[3])
        keep_first, keep_second, epsilon = scalars[4], scalars[5], splat(scalars[6])
        new_first, new_second = splat(float32(1.0) - keep_first), splat(float32(1.0) - keep_second)
        keep = splat(keep_second)
        for at in range(0, n_vectors * LANES, LANES):
            old = load(parameters, at)
            slope = fma(coupled, old, load(gradient, at))
            if adam:
                mean = load(first, at)
                mean = fma(new_first, slope - mean, mean)
                square = fma(new_second * slope, slope, keep * load(second, at))
                store(first, at, mean)
                store(second, at, square)
                slope = mean / fma(square_root(square), scale, epsilon)
            store(parameters, at, fma(size, slope, shrink * old))

    return routine(move, "n", *"fffff", "n")
