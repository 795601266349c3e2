"""Training of neurons by AdamW, on minibatches or along the exact gradient (numba kernels)."""

import numpy as np

from .._compiling.jit import jit
from .descent import evaluate_flat

FIRST, SECOND, SMALL = 0.9, 0.999, 1e-8


@jit
def step_adam(x, gradient, mean, square, step, rate, decay):
    """One step of AdamW (PyTorch's formulas) on x (size,); mean and square (size,) are its moments, step counts from 1."""
    for i in range(len(x)):
        mean[i] = FIRST * mean[i] + (1.0 - FIRST) * gradient[i]
        square[i] = SECOND * square[i] + (1.0 - SECOND) * gradient[i] ** 2
        first, second = mean[i] / (1.0 - FIRST**step), square[i] / (1.0 - SECOND**step)
        x[i] -= rate * (decay * x[i] + first / (second**0.5 + SMALL))


@jit
def train_on_minibatches(points, m, n, tied, importance, density, law, batch, rates, decay, seeds):
    """Train models (n_models, size) in place, each on minibatches of its own, as its seed has them.

    importance, density: (n,); law: cumulated probabilities of sets of active features, (2^n,), or empty where they are
    independent. rates: (n_steps,). The loss of a minibatch is Σ_i importance_i (y_i − y'_i)² / n, averaged.
    """
    size = points.shape[1]
    mean, square, gradient = np.zeros(size), np.zeros(size), np.zeros(size)
    active, values, hidden, back = np.empty(n, np.int64), np.empty(n), np.empty(m), np.empty(m)
    target = np.zeros(n)
    shift = 0 if tied else m * n
    last = size - n
    for one in range(len(points)):
        np.random.seed(seeds[one])  # noqa: NPY002
        x = points[one]
        for i in range(size):
            mean[i] = square[i] = 0.0
        for step in range(len(rates)):
            for i in range(size):
                gradient[i] = 0.0
            for _sample in range(batch):
                k = pattern = 0
                if len(law):
                    u = np.random.random()  # noqa: NPY002
                    while pattern < len(law) - 1 and law[pattern] <= u:
                        pattern += 1
                for i in range(n):
                    if (pattern >> i) & 1 if len(law) else np.random.random() < density[i]:  # noqa: NPY002
                        u = np.random.random()  # noqa: NPY002
                        active[k], values[k] = i, u if tied else 2.0 * u - 1.0
                        target[i] = abs(values[k])
                        k += 1
                for r in range(m):
                    total = 0.0
                    for a in range(k):
                        total += x[r * n + active[a]] * values[a]
                    hidden[r], back[r] = max(total, 0.0), 0.0
                for i in range(n):
                    z = x[last + i]
                    for r in range(m):
                        z += x[shift + r * n + i] * hidden[r]
                    if z > 0.0:
                        slope = 2.0 * importance[i] * (z - target[i])
                        gradient[last + i] += slope
                        for r in range(m):
                            gradient[shift + r * n + i] += slope * hidden[r]
                            back[r] += slope * x[shift + r * n + i]
                for r in range(m):
                    if hidden[r] > 0.0:
                        for a in range(k):
                            gradient[r * n + active[a]] += back[r] * values[a]
                for a in range(k):
                    target[active[a]] = 0.0
            for i in range(size):
                gradient[i] /= n * batch
            step_adam(x, gradient, mean, square, step + 1, rates[step], decay)


@jit
def train_exactly(points, form, law, entries, work, rates, decay):
    """Train models (n_models, size) in place along the exact gradient of the loss over n; arguments as in `evaluate_flat`."""
    size = points.shape[1]
    mean, square, gradient = np.zeros(size), np.zeros(size), np.zeros(size)
    for one in range(len(points)):
        for i in range(size):
            mean[i] = square[i] = 0.0
        for step in range(len(rates)):
            evaluate_flat(points[one], form, law, 1.0 * form[1], entries, work, gradient)
            step_adam(points[one], gradient, mean, square, step + 1, rates[step], decay)
