"""PyTorch's SGD, Adam and AdamW, written out: the scalars of every step, and one step of sixteen parameters."""

import numpy as np
from numba import float32

from ._jit import jit
from ._vectors import fma, load, splat, square_root, store

OPTIMIZERS = ("adamw", "adam", "sgd")
SCHEDULES = ("constant", "linear", "cosine")
BETAS, EPSILON = (0.9, 0.999), 1e-8


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
    scalars = np.zeros((n_steps, 7))
    scalars[:, 0] = rate if optimizer == "sgd" else rate / (1 - BETAS[0] ** t)
    scalars[:, 1] = 1 / np.sqrt(1 - BETAS[1] ** t)
    scalars[:, 2] = 1 - rate * weight_decay if optimizer == "adamw" else 1.0
    scalars[:, 3] = 0.0 if optimizer == "adamw" else weight_decay
    scalars[:, 4:6] = BETAS
    scalars[:, 6] = EPSILON
    return scalars


@jit
def move(adam, scalars, gradient, at, parameters, first, second):
    """Move the sixteen parameters from ``at`` on along their gradient; scalars as in `step_scalars`, float32."""
    old = load(parameters, at)
    gradient = fma(splat(scalars[3]), old, gradient)
    if adam:
        mean = load(first, at)
        mean = fma(splat(float32(1.0) - scalars[4]), gradient - mean, mean)
        square = splat(scalars[5]) * load(second, at)
        square = fma(splat(float32(1.0) - scalars[5]) * gradient, gradient, square)
        store(first, at, mean)
        store(second, at, square)
        gradient = mean / fma(square_root(square), splat(scalars[1]), splat(scalars[6]))
    store(parameters, at, fma(splat(-scalars[0]), gradient, splat(scalars[2]) * old))
