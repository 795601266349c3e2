"""The loss of a two-layer ReLU network on a fixed lattice of inputs (numba kernel): what a search looks at first."""

import numpy as np

from .._compiling.jit import jit

POINTS = 24
"""Inputs of a set of active features and their signs, in all orders of their values."""
SECOND, THIRD, FOURTH = 0.7548776662466927, 0.5698402909980532, 0.8191725133961645
"""Steps of the lattice's other coordinates, powers of the root of x³ + x² = 1."""


@jit
def add_samples(encoder, decoder, bias, sets, sizes, weights, signed, orders, counts, importance, order, losses, gradients, room):
    """Add what `add_sets` adds, but for errors of a few percent: means over a lattice in place of integrals."""
    m, n = encoder.shape
    hidden, back, target = np.empty(m), np.empty(m), np.zeros(n)
    read, flip, values = room[3], room[4], room[5]
    for s in range(len(sizes)):
        k = sizes[s]
        if weights[s] == 0.0:
            continue
        n_signs, n_points = 1 << k if signed else 1, max(1, POINTS // counts[k])
        share = weights[s] / n_signs / (n_points * counts[k])
        for sign in range(n_signs):
            for a in range(k):
                flip[a] = -1.0 if (sign >> a) & 1 else 1.0
                for r in range(m):
                    read[r, a] = encoder[r, sets[s, a]] * flip[a]
            for point in range(n_points * counts[k]):
                base, turn = point // counts[k], point % counts[k]
                for a in range(k):
                    step = SECOND if a == 1 else THIRD if a == 2 else FOURTH
                    value = (base + 0.5) / n_points if a == 0 else (base * step + 0.5) % 1.0
                    at = orders[k, turn, a]
                    values[at] = target[sets[s, at]] = value
                for r in range(m):
                    total = 0.0
                    for a in range(k):
                        total += read[r, a] * values[a]
                    hidden[r], back[r] = max(total, 0.0), 0.0
                for i in range(n):
                    z = bias[i]
                    for r in range(m):
                        z += decoder[r, i] * hidden[r]
                    error = target[i] - max(z, 0.0)
                    losses[i] += share * error * error
                    if z > 0.0:
                        slope = -2.0 * share * importance[i] * error
                        gradients[2 * m, i] += slope
                        for r in range(m):
                            gradients[m + r, i] += slope * hidden[r]
                            back[r] += slope * decoder[r, i]
                for r in range(m):
                    if hidden[r] > 0.0:
                        for a in range(k):
                            gradients[r, sets[s, a]] += back[r] * values[a] * flip[a]
            for a in range(k):
                target[sets[s, a]] = 0.0
