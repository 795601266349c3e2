"""The three theories over a grid: which phases compete in each cell, and which has the lowest loss."""

from functools import cache

import numpy as np

from ._minimizing.landscape import Landscape
from .candidates import configurations
from .model import variance
from .order_parameters import feature_norm, interference
from .phases import classify_many

TIE_TOLERANCE = 1e-12
"""Phases whose losses agree to this relative accuracy coexist."""

COEXISTENCE = "coexistence"
"""The ``extra`` of a cell in which phases with different places of the extra feature coexist."""

TIE_MARK = " = "


def frozen_grid(n_features, n_hidden, importance, density, activation):
    """Fields of the frozen diagram: configurations with unit weights compete by their closed-form losses."""
    table = configurations(n_features, n_hidden, activation=activation)
    losses = np.empty((len(table), density.size, importance.size))
    for k, configuration in enumerate(table):
        losses[k] = configuration.expected_loss(importance, density[:, None])
    winner, fields = _lowest(losses, [c.phase for c in table])
    weights = np.stack([c.weights for c in table])
    biases = np.stack([c.bias(density) for c in table])
    return fields | {
        "candidates": tuple(c.name for c in table),
        "candidate_loss": losses,
        "weights": weights[winner],
        "bias": biases[winner, np.arange(density.size)[:, None]],
        "feature_norm": feature_norm(weights)[winner, -1],
        "interference": interference(weights)[winner, -1],
        "converged": np.ones(winner.shape, dtype=bool),
    }


def relaxed_grid(n_features, n_hidden, importance, density, activation, **search):
    """Fields of the relaxed diagram: the lowest minima within the patterns of the configurations compete.

    Clusters are orthogonal, so each is a small model of its own, all of whose weights and biases are free: its lowest minimum is
    that of a search as for the global theory. Only the extra feature's depends on importance. ``search`` as in Landscape.explore.
    """
    table = configurations(n_features, n_hidden, activation=activation)
    shape = (len(table), density.size, importance.size)
    losses, converged = np.zeros(shape), np.ones(shape, dtype=bool)
    weights, bias = np.zeros((*shape, n_hidden, n_features)), np.zeros((*shape, n_features))

    @cache
    def cluster(size, with_extra):
        """Lowest minima of a cluster on the grid (or its density axis): loss, weights, bias, converged."""
        importances = importance if with_extra else np.ones(1)
        if size == 1:
            lead = density.size, importances.size
            return np.zeros(lead), np.ones((*lead, 1, 1)), np.zeros((*lead, 1)), np.ones(lead, dtype=bool)
        landscape = Landscape(size, size - 1, importances, density, activation)
        return _lowest_minima(landscape.explore(**search))

    for k, configuration in enumerate(table):
        row = 0
        for group in sorted(configuration.groups):
            loss, block, block_bias, done = cluster(len(group), n_features - 1 in group)
            rows = slice(row, row + block.shape[-2])
            losses[k] += loss
            converged[k] &= done
            weights[k][..., rows, group] = block
            bias[k][..., group] = block_bias
            row = rows.stop
        for i in configuration.dropped:
            bias[k][..., i] = density[:, None] / 2
            losses[k] += variance(density)[:, None] * (importance if i == n_features - 1 else 1.0)
    phases = classify_many(weights.reshape(-1, n_hidden, n_features))
    phases = np.array([*phases, None], dtype=object)[:-1].reshape(shape)
    winner, fields = _lowest(losses, phases)
    at = (winner, *np.indices(winner.shape))
    return fields | {
        "candidates": tuple(c.name for c in table),
        "candidate_loss": losses,
        "weights": weights[at],
        "bias": bias[at],
        "feature_norm": feature_norm(weights[at])[..., -1],
        "interference": interference(weights[at])[..., -1],
        "converged": converged[at],
        "minima": np.moveaxis(np.concatenate([weights.reshape(*shape, -1), bias], axis=-1), 0, 2).reshape(
            -1, (n_hidden + 1) * n_features
        ),
        "minima_cell": np.repeat(np.arange(winner.size), len(table)),
    }


def relaxed_cells(n_features, n_hidden, importance, density, activation):
    """How many cells the searches behind a relaxed diagram have, those of all its clusters together."""
    table = configurations(n_features, n_hidden, activation=activation)
    clusters = {(len(group), n_features - 1 in group) for c in table for group in c.groups if len(group) > 1}
    return sum(density.size * (importance.size if with_extra else 1) for _, with_extra in clusters)


def _lowest_minima(landscape):
    """Loss, weights, bias and whether it has converged of the lowest minimum of each cell of a landscape."""
    shape, m, n = (landscape.density.size, landscape.importance.size), landscape.n_hidden, landscape.n_features
    cells = list(np.ndindex(shape))
    points = [landscape.cells[cell][0] for cell in cells]
    x = np.array([point.x for point in points])
    loss = np.sum(landscape.control(cells)[0] * np.array([point.feature_loss for point in points]), axis=1)
    done = np.array([point.is_minimum for point in points])
    return loss.reshape(shape), x[:, : m * n].reshape(*shape, m, n), x[:, m * n :].reshape(*shape, n), done.reshape(shape)


def global_grid(n_features, n_hidden, importance, density, activation, **search):
    """Fields of the global diagram: all minima over all weights and biases compete; ``search`` as in Landscape.explore."""
    landscape = Landscape(n_features, n_hidden, importance, density, activation)
    landscape.explore(**search)
    return landscape_fields(landscape)


def landscape_fields(landscape):
    """Turn the minima of each cell into the fields of a PhaseDiagram."""
    n, m = landscape.n_features, landscape.n_hidden
    shape = (landscape.density.size, landscape.importance.size)
    cells = list(np.ndindex(shape))
    counts = [len(landscape.cells[cell]) for cell in cells]
    points = [point for cell in cells for point in landscape.cells[cell]]
    where = np.repeat(np.arange(len(cells)), counts)
    x = np.array([point.x for point in points])
    weights, bias = x[:, : m * n].reshape(-1, m, n), x[:, m * n :]
    losses = np.sum(landscape.control([cells[k] for k in where])[0] * np.array([point.feature_loss for point in points]), axis=1)
    phases = classify_many(weights)
    names = tuple(dict.fromkeys(phase.name for phase in phases))
    table = np.full((len(names), len(cells)), np.nan)
    objects = {}
    for k, (cell, phase) in enumerate(zip(where, phases, strict=True)):
        row = names.index(phase.name)
        table[row, cell] = np.fmin(table[row, cell], losses[k])
        objects[phase.name] = phase
    table = table.reshape(len(names), *shape)
    _, fields = _lowest(table, [objects[name] for name in names])
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    lowest = np.array([start + np.argmin(losses[start : start + count]) for start, count in zip(first, counts, strict=True)])
    coexisting = np.empty(len(cells), dtype=object)
    for cell, (start, count) in enumerate(zip(first, counts, strict=True)):
        by_loss = start + np.argsort(losses[start : start + count], kind="stable")
        coexisting[cell] = tuple(dict.fromkeys(phases[k].name for k in by_loss))
    return fields | {
        "candidates": names,
        "candidate_loss": table,
        "coexisting": coexisting.reshape(shape),
        "weights": weights[lowest].reshape(*shape, m, n),
        "bias": bias[lowest].reshape(*shape, n),
        "feature_norm": feature_norm(weights[lowest])[:, -1].reshape(shape),
        "interference": interference(weights[lowest])[:, -1].reshape(shape),
        "converged": np.array([points[k].is_minimum for k in lowest]).reshape(shape),
        "minima": x,
        "minima_cell": where,
    }


def _lowest(losses, phases):
    """The index of the lowest candidate of each cell and the fields loss, phase, extra and coexisting.

    ``phases``: a Phase for each candidate, or an array of them of the shape of ``losses``.
    """
    loss = np.nanmin(losses, axis=0)
    winner = np.nanargmin(losses, axis=0)
    each = isinstance(phases, np.ndarray)
    if each:
        own = np.take_along_axis(phases, winner[None], axis=0)[0]
        lookup = {phase: (phase.name, phase.extra, (phase.name,)) for phase in set(own.ravel().tolist())}
        phase, extra, coexisting = (_objects([lookup[p][k] for p in own.ravel()]).reshape(own.shape) for k in range(3))
    else:
        phase = _objects([p.name for p in phases])[winner]
        extra = _objects([p.extra for p in phases])[winner]
        coexisting = _objects([(p.name,) for p in phases])[winner]
    tied = losses <= loss * (1 + TIE_TOLERANCE)
    for cell in zip(*np.nonzero(tied.sum(axis=0) > 1), strict=True):
        which = np.flatnonzero(tied[(slice(None), *cell)])
        members = [phases[(k, *cell)] if each else phases[k] for k in which]
        names = tuple(dict.fromkeys(member.name for member in members))
        coexisting[cell], phase[cell] = names, TIE_MARK.join(names)
        roles = {member.extra for member in members}
        extra[cell] = roles.pop() if len(roles) == 1 else COEXISTENCE
    return winner, {"loss": loss, "phase": phase, "extra": extra, "coexisting": coexisting}


def _objects(values):
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array
