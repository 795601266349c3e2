"""Directions in which equal features may point: spherical codes, and their unions on orthogonal subspaces (tegum products)."""

from functools import cache

import numpy as np

STEEP = 12.0
"""Points of a code repel each other by exp(STEEP × cosine)."""
TRIES, STEPS = 6, 400
"""Random starts of a code, of which the best counts, and the steps of each."""


@cache
def code(n_points, n_dimensions):
    """Unit columns, shape (n_dimensions, n_points), that keep apart: a point, a pair, a simplex, a polygon, a spherical code."""
    if n_points <= n_dimensions:
        return np.eye(n_dimensions)[:, :n_points]
    if n_dimensions == 1:
        return 1.0 - 2.0 * (np.arange(n_points)[None] % 2)
    if n_dimensions == 2:
        angle = 2 * np.pi * np.arange(n_points) / n_points
        return np.array([np.cos(angle), np.sin(angle)])
    generator = np.random.default_rng([n_points, n_dimensions])
    tries = spread(generator.normal(size=(TRIES, n_dimensions, n_points)), STEPS)
    return tries[np.argmin(np.sum(np.exp(STEEP * np.swapaxes(tries, 1, 2) @ tries), axis=(1, 2)))]


def spread(directions, n_steps):
    """Move columns (…, n_dimensions, n_points) apart on the sphere: each step a tenth of the way against the nearest others."""
    unit = directions / np.linalg.norm(directions, axis=-2, keepdims=True)
    for step in range(n_steps):
        weight = np.exp(STEEP * (np.swapaxes(unit, -1, -2) @ unit - 1)) * (1 - np.eye(unit.shape[-1]))
        push = unit @ weight
        length = np.linalg.norm(push, axis=-2, keepdims=True)
        unit = unit - 0.1 * (1 - step / n_steps) * push / np.maximum(length, 1e-3)
        unit = unit / np.linalg.norm(unit, axis=-2, keepdims=True)
    return unit


@cache
def unions(n_points, n_dimensions):
    """The ways to share dimensions among at most ``n_points``: tuples of (points, dimensions), the least crowded first.

    A block has one point in one dimension or more points than dimensions; all dimensions are used.
    """
    blocks = [(1, 1), *((k, d) for d in range(1, n_dimensions + 1) for k in range(d + 1, (2 if d == 1 else n_points) + 1))]
    blocks.sort(key=lambda block: (block[0] / block[1], block))

    def extend(first, points, dimensions):
        """Yield the blocks from ``first`` on that hold so many points in so many dimensions, in tuples."""
        if dimensions == 0:
            yield ()
        for k in range(first, len(blocks)):
            if blocks[k][0] <= points and blocks[k][1] <= dimensions:
                for rest in extend(k, points - blocks[k][0], dimensions - blocks[k][1]):
                    yield (blocks[k], *rest)

    return tuple(extend(0, n_points, n_dimensions))
