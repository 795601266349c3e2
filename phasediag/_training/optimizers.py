"""PyTorch's SGD, Adam and AdamW, written out: the scalars of every step, and one step of many parameters."""

from functools import cache

import numpy as np

from .._compiling.vectors import LANES, LONG, NUMBER, constant, emitted, routine

OPTIMIZERS = ("adamw", "adam", "sgd")
SCHEDULES = ("constant", "linear", "cosine")
BETAS, EPSILON = (0.9, 0.999), 1e-8
N_SCALARS = 7
STEP = N_SCALARS * NUMBER  # bytes of the scalars of a step


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


def emit_move(b, adam, scalars, slope, *places):
    """Emit one step of a vector of parameters along their gradient: they and their two moments lie at three addresses.

    ``scalars`` are vectors of those of `step_scalars`; for SGD ``adam`` is False and the moments stay as they are.
    """
    old, mean, square = (b.row(place) for place in places)
    size, scale, shrink, coupled, keep_first, keep_second, epsilon = scalars
    slope = b.fma(coupled, old, slope)
    if adam:
        new_first, new_second = (b.fsub(constant(1.0), keep) for keep in (keep_first, keep_second))
        mean = b.fma(new_first, b.fsub(slope, mean), mean)
        square = b.fma(b.fmul(new_second, slope), slope, b.fmul(keep_second, square))
        slope = b.fdiv(mean, b.fma(b.apply("sqrt", square), scale, epsilon))
    moved = b.fsub(b.fmul(shrink, old), b.fmul(size, slope))
    for value, place in list(zip((moved, mean, square), places, strict=True))[: 3 if adam else 1]:
        b.put(value, place)


def emit_scalars(b, scalars):
    """Emit vectors of the scalars of a step from their address."""
    return [b.spread(scalars, i) for i in range(N_SCALARS)]


@emitted(known=1)
def _move(b, adam, scalars, gradient, parameters, first, second, n_vectors):
    """Move vectors of parameters, one after another."""
    scalars = emit_scalars(b, scalars)
    with b.range(n_vectors) as v:
        slope, *places = (b.at(array, b.mul(v, LONG(LANES))) for array in (gradient, parameters, first, second))
        emit_move(b, adam, scalars, b.row(slope), *places)


@cache
def mover(adam):
    """Return the routine that moves ``n_vectors`` vectors of parameters along their gradient, by Adam or by SGD."""

    def move(scalars, gradient, parameters, first, second, n_vectors):
        """Move the parameters of one number of vectors."""
        _move(adam, scalars, gradient, parameters, first, second, n_vectors)

    return routine("fffffn")(move)
