"""Clusters of features in a matrix of weights, and rows of their own for each."""

import numpy as np

from .tolerances import NONZERO


def blocks(free):
    """Rows and columns of the blocks of free weights; no two blocks share a row."""
    waiting = [k for k in range(len(free)) if np.any(free[k])]
    while waiting:
        columns = np.flatnonzero(free[waiting[0]])
        rows = [k for k in waiting if np.array_equal(free[k], free[waiting[0]])]
        waiting = [k for k in waiting if k not in rows]
        yield rows, columns


def separated(block, tolerance):
    """Turn a block of weights so that orthogonal clusters share no row: (weights, which of them are zero)."""
    clusters = clusters_of(block, tolerance)
    whole = len(clusters) == 1 and len(clusters[0]) == block.shape[1]
    bases = [] if whole else [np.linalg.svd(block[:, members]) for members in clusters]
    noise = tolerance * np.sqrt([len(members) for members in clusters])  # of singular values, where each column has as much
    ranks = [max(int(np.sum(values > least)), 1) for (_, values, _), least in zip(bases, noise, strict=False)]
    if whole or sum(ranks) > len(block):
        return block, np.zeros(block.shape, dtype=bool)
    turned, zeros, left = np.zeros_like(block), np.ones(block.shape, dtype=bool), list(range(len(block)))
    for members, (basis, _, _), rank in zip(clusters, bases, ranks, strict=True):
        own = basis[:, :rank]
        rows = sorted(left, key=lambda k: -np.sum(own[k] ** 2))[:rank]  # turn as little as possible
        left = [k for k in left if k not in rows]
        one, _, other = np.linalg.svd(own[rows].T)
        turned[np.ix_(rows, members)] = (own @ one @ other).T @ block[:, members]
        zeros[np.ix_(rows, members)] = False
    return turned, zeros


def clusters_of(weights, tolerance):
    """Features joined by cosines above ``tolerance``, those of norms above it: a sorted list of sorted lists."""
    norms = np.sqrt((weights**2).sum(axis=0))
    unit = weights / np.maximum(norms, NONZERO)
    linked, clusters = (np.abs(unit.T @ unit) > tolerance).tolist(), []
    waiting = [i for i, norm in enumerate(norms.tolist()) if norm > tolerance]
    while waiting:
        members = [waiting.pop(0)]
        for i in members:
            joined = [j for j in waiting if linked[i][j]]
            members += joined
            waiting = [j for j in waiting if j not in joined]
        clusters.append(sorted(members))
    return clusters
