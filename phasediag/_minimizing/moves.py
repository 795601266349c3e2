"""Moves from minima to where lower ones may be: features that change places, leave, enter, turn, join or mirror others."""

from itertools import combinations

import numpy as np

from .flat import flatten, parts

TURNS = 4
"""Random directions tried for each feature that turns or enters."""
SHORT = 0.2
"""Share of another's length at which a feature comes to lie along it: least ones do so where most have no room."""
SHAKEN = 0.3
"""Standard deviation of what is added to the weights by a shake; a third of it is added to the biases."""


def moves(model, x, generator):
    """All moves of one feature or of a pair from a minimum, flat parameters x (size,): shape (n_moves, size).

    Two features change places; a feature leaves, enters or turns to random directions, joins another in its place, comes to lie
    along it as a short column, is mirrored in another's direction or across it.
    """
    weights, bias = parts(x, model.n_hidden)
    norm, mean = np.linalg.norm(weights, axis=0), model.feature_mean
    inside = norm > 1e-6
    length, lowest = (norm[inside].mean(), bias[inside].min()) if inside.any() else (1.0, 0.0)  # of what enters
    found = []

    def add(which, columns, biases):
        """Note a copy of x (size,) in which some features have other columns and biases."""
        found.append(x.copy())
        new_weights, new_bias = parts(found[-1], model.n_hidden)
        new_weights[:, which], new_bias[which] = columns, biases

    for i, j in combinations(range(model.n_features), 2):
        if inside[i] or inside[j]:
            add([i, j], weights[:, [j, i]], np.where(inside[[j, i]], bias[[j, i]], mean[[i, j]]))
    directions = generator.normal(size=(model.n_features, TURNS, model.n_hidden))
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    for i in range(model.n_features):
        if inside[i]:
            add(i, 0.0, mean[i])
        for direction in directions[i]:
            add(i, (norm[i] if inside[i] else length) * direction, bias[i] if inside[i] else lowest)
        for j in np.flatnonzero(inside):
            if j != i:
                add(i, weights[:, j], bias[j])
                add(i, SHORT * weights[:, j], mean[i])
                mirrored = 2 * (weights[:, j] @ weights[:, i]) / norm[j] ** 2 * weights[:, j] - weights[:, i]
                add(i, mirrored, bias[i])
                add(i, -mirrored, bias[i])
    return np.array(found)


def shaken(model, x, count, generator):
    """A minimum, flat parameters (size,), after random changes of all parameters: shape (count, size)."""
    m, n = model.n_hidden, model.n_features
    weights, bias = generator.normal(size=(count, m, n)), generator.normal(size=(count, n)) / 3
    return x + SHAKEN * flatten(weights, bias)
