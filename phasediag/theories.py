"""The three theories over a grid: which phases compete in each cell, and which has the lowest loss."""

from functools import cache

import numpy as np

from ._minimizing.flat import flatten, losses_at, parts
from ._minimizing.landscape import Landscape
from .candidates import configurations
from .forms import variance
from .order_parameters import feature_norm, interference
from .phases import distinct_phases, in_order, sequences_of, spread_objects
from .planes import ControlPlane

TIE_TOLERANCE = 1e-12
"""Phases whose losses agree to this relative accuracy coexist."""

COEXISTENCE = "coexistence"
"""The ``extra`` of a cell in which phases with different places of the extra feature coexist."""

TIE_MARK = " = "


def frozen_grid(plane):
    """Fields of the frozen diagram: configurations with unit weights compete by their closed-form losses."""
    table, importance, density = _table(plane), plane.x.values, plane.y.values
    losses = np.empty((len(table), density.size, importance.size))
    for k, configuration in enumerate(table):
        losses[k] = configuration.expected_loss(importance, density[:, None])
    winner, fields = _lowest(losses, [c.phase for c in table], np.arange(len(table))[:, None, None])
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


def relaxed_grid(plane, **search):
    """Fields of the relaxed diagram: the lowest minima within the patterns of the configurations compete.

    Clusters are orthogonal, so each is a small model of its own, all of whose weights and biases are free: its lowest minimum is
    that of a search as for the global theory. Only the extra feature's depends on importance. ``search`` as in Landscape.explore.
    """
    table, importance, density = _table(plane), plane.x.values, plane.y.values
    n_features, n_hidden, shape = plane.form.n_features, plane.form.n_hidden, (len(table), *plane.shape)
    losses, converged = np.zeros(shape), np.ones(shape, dtype=bool)
    weights, bias = np.zeros((*shape, n_hidden, n_features)), np.zeros((*shape, n_features))

    @cache
    def cluster(size, with_extra):
        """Lowest minima of a cluster on the grid (or its density axis): loss, weights, bias, converged."""
        importances = importance if with_extra else np.ones(1)
        if size == 1:
            lead = density.size, importances.size
            return np.zeros(lead), np.ones((*lead, 1, 1)), np.zeros((*lead, 1)), np.ones(lead, dtype=bool)
        own = {"importance": importances, "density": density, "activation": plane.form.activation}
        return _lowest_minima(Landscape.of(ControlPlane.importance_density(size, size - 1, **own)).explore(**search))

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
    phases, which = distinct_phases(weights.reshape(-1, n_hidden, n_features))
    winner, fields = _lowest(losses, phases, which.reshape(shape))
    at = (winner, *np.indices(winner.shape))
    return fields | {
        "candidates": tuple(c.name for c in table),
        "candidate_loss": losses,
        "weights": weights[at],
        "bias": bias[at],
        "feature_norm": feature_norm(weights[at])[..., -1],
        "interference": interference(weights[at])[..., -1],
        "converged": converged[at],
        "minima": np.moveaxis(flatten(weights, bias), 0, 2).reshape(-1, (n_hidden + 1) * n_features),
        "minima_cell": np.repeat(np.arange(winner.size), len(table)),
    }


def relaxes_all(form):
    """Whether the relaxed theory is the global one: its widest pattern, the simplex of all features, frees everything."""
    return form.n_hidden == form.n_features - 1 and not form.is_linear


def relaxed_cells(plane):
    """How many cells the searches behind a relaxed diagram have, those of all its clusters together."""
    extra, rows = plane.form.n_features - 1, len(plane.y)
    clusters = {(len(group), extra in group) for c in _table(plane) for group in c.groups if len(group) > 1}
    return sum(rows * (len(plane.x) if with_extra else 1) for _, with_extra in clusters)


def _table(plane):
    """The configurations that compete over a plane of importance and density."""
    return configurations(plane.form.n_features, plane.form.n_hidden, activation=plane.form.activation)


def _lowest_minima(landscape):
    """Loss, weights, bias and whether it has converged of the lowest minimum of each cell of a landscape."""
    shape = landscape.shape
    where, x, feature_loss, is_minimum = landscape.found()
    first = np.flatnonzero(np.diff(where, prepend=-1))
    weights, bias = parts(x[first].reshape(*shape, -1), landscape.form.n_hidden)
    losses = losses_at(x[first], feature_loss[first], landscape.form, landscape.rows)
    return losses.reshape(shape), weights, bias, is_minimum[first].reshape(shape)


def global_grid(plane, **search):
    """Fields of the global diagram: all minima over all weights and biases compete; ``search`` as in Landscape.explore."""
    return landscape_fields(Landscape.of(plane).explore(**search))


def landscape_fields(landscape):
    """Turn the minima of each cell into the fields of a PhaseDiagram."""
    where, x, feature_loss, is_minimum = landscape.found()
    losses = losses_at(x, feature_loss, landscape.form, landscape.rows[where])
    weights, bias = parts(x, landscape.form.n_hidden)
    phases, named = distinct_phases(weights, sets=landscape.form.activity.together)
    return fields_of_minima(landscape.shape, where, x, weights, bias, losses, phases, named, is_minimum)


def fields_of_minima(shape, where, x, weights, bias, losses, phases, named, is_minimum):
    """The fields of a PhaseDiagram from all minima of its cells.

    Of each minimum, in the order of cells: where (n,), the number of its cell; x (n, size), weights (n, rows, n_features), bias
    (n, n_features), losses (n,), its place named (n,) in a list of phases, and whether it is one, is_minimum (n,).
    """
    candidates = {phase.name: phase for phase in phases}
    row = {name: k for k, name in enumerate(candidates)}
    named = np.array([row[phase.name] for phase in phases])[named]
    table = np.full((len(row), int(np.prod(shape))), np.inf)
    np.minimum.at(table, (named, where), losses)
    lowest = table.min(axis=0)
    tied = np.flatnonzero(losses <= lowest[where] * (1 + TIE_TOLERANCE))
    first = tied[np.flatnonzero(np.diff(where[tied], prepend=-1))].reshape(shape)
    table[np.isinf(table)] = np.nan
    table = table.reshape(-1, *shape)
    place, rank = np.full(table.shape, len(where)), np.empty(len(where), int)
    rank[np.lexsort((losses, where))] = np.arange(len(where))
    np.minimum.at(place.reshape(len(row), -1), (named, where), rank)
    _, fields = _lowest(table, list(candidates.values()), np.arange(len(row))[:, None, None])
    return fields | {
        "candidates": tuple(candidates),
        "candidate_loss": table,
        "coexisting": in_order(np.where(np.isnan(table), -1, place), list(candidates)),
        "weights": weights[first],
        "bias": bias[first],
        "feature_norm": feature_norm(weights[first])[..., -1],
        "interference": interference(weights[first])[..., -1],
        "converged": is_minimum[first],
        "minima": x,
        "minima_cell": where,
    }


def _lowest(losses, phases, which):
    """The first of the lowest candidates of each cell, and the fields loss, phase, extra and coexisting.

    losses: (n_candidates, n_density, n_importance), NaN where there is no such candidate; phases: a list of Phase, ``which`` of
    them each candidate is, an array that broadcasts to the shape of losses.
    """
    loss = np.nanmin(losses, axis=0)
    tied = losses <= loss * (1 + TIE_TOLERANCE)
    sequences, which = sequences_of(np.where(tied, which, -1))
    names = [tuple(dict.fromkeys(phases[k].name for k in sequence)) for sequence in sequences]
    roles = [{phases[k].extra for k in sequence} for sequence in sequences]
    fields = {
        "phase": [TIE_MARK.join(members) for members in names],
        "extra": [role.pop() if len(role) == 1 else COEXISTENCE for role in roles],
        "coexisting": names,
    }
    return np.argmax(tied, axis=0), {"loss": loss} | {name: spread_objects(one, which) for name, one in fields.items()}
