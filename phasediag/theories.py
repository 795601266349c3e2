"""The three theories over a grid: which phases compete in each cell, and which has the lowest loss."""

from functools import cache

import numpy as np

from ._minimizing.flat import flatten, parts
from ._minimizing.landscape import Landscape
from ._minimizing.stationary_points import losses_of
from .candidates import configurations
from .model import variance
from .order_parameters import feature_norm, interference
from .phases import classify_many
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
    winner, fields = _lowest(losses, _column([c.phase for c in table]))
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
    phases = _column(classify_many(weights.reshape(-1, n_hidden, n_features))).reshape(shape)
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
        "minima": np.moveaxis(flatten(weights, bias), 0, 2).reshape(-1, (n_hidden + 1) * n_features),
        "minima_cell": np.repeat(np.arange(winner.size), len(table)),
    }


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
    cells = list(np.ndindex(shape))
    points = [landscape.minima(cell)[0] for cell in cells]
    weights, bias = parts(np.array([point.x for point in points]).reshape(*shape, -1), landscape.form.n_hidden)
    losses = losses_of(points, landscape.form, landscape.control(cells)).reshape(shape)
    return losses, weights, bias, _converged(points).reshape(shape)


def _converged(points):
    """Whether each point (Settled) is a minimum, shape (n_points,)."""
    return np.array([point.is_minimum for point in points])


def global_grid(plane, **search):
    """Fields of the global diagram: all minima over all weights and biases compete; ``search`` as in Landscape.explore."""
    return landscape_fields(Landscape.of(plane).explore(**search))


def landscape_fields(landscape):
    """Turn the minima of each cell into the fields of a PhaseDiagram."""
    shape = landscape.shape
    cells = [(cell, point) for cell in np.ndindex(shape) for point in landscape.minima(cell)]
    where, points = np.array([np.ravel_multi_index(cell, shape) for cell, _ in cells]), [point for _, point in cells]
    losses = losses_of(points, landscape.form, landscape.control([cell for cell, _ in cells]))
    x = np.array([point.x for point in points])
    weights, bias = parts(x, landscape.form.n_hidden)
    phases = classify_many(weights, sets=landscape.form.activity.together)
    candidates = {phase.name: phase for phase in phases}
    row = {name: k for k, name in enumerate(candidates)}
    table, coexisting, lowest = np.full((len(row), *shape), np.nan), np.empty(shape, dtype=object), np.empty(shape, dtype=int)
    for here in np.split(np.arange(len(points)), np.flatnonzero(np.diff(where)) + 1):
        cell = cells[here[0]][0]
        by_loss = here[np.argsort(losses[here], kind="stable")]
        coexisting[cell] = tuple(dict.fromkeys(phases[k].name for k in by_loss))
        for k in by_loss[::-1]:
            table[row[phases[k].name], *cell] = losses[k]
        lowest[cell] = here[np.argmax(losses[here] <= losses[by_loss[0]] * (1 + TIE_TOLERANCE))]
    _, fields = _lowest(table, _column(list(candidates.values())))
    return fields | {
        "candidates": tuple(candidates),
        "candidate_loss": table,
        "coexisting": coexisting,
        "weights": weights[lowest],
        "bias": bias[lowest],
        "feature_norm": feature_norm(weights[lowest])[..., -1],
        "interference": interference(weights[lowest])[..., -1],
        "converged": _converged(points)[lowest],
        "minima": x,
        "minima_cell": where,
    }


def _lowest(losses, phases):
    """The first of the lowest candidates of each cell, and the fields loss, phase, extra and coexisting.

    losses: (n_candidates, n_density, n_importance), NaN where there is no such candidate; phases: an array of Phase that
    broadcasts to that shape.
    """
    loss = np.nanmin(losses, axis=0)
    tied = losses <= loss * (1 + TIE_TOLERANCE)
    phases = np.broadcast_to(phases, losses.shape)
    phase, extra, coexisting = (np.empty(loss.shape, dtype=object) for _ in range(3))
    for cell in np.ndindex(loss.shape):
        members = phases[(tied[(slice(None), *cell)], *cell)]
        names, roles = tuple(dict.fromkeys(p.name for p in members)), {p.extra for p in members}
        phase[cell], coexisting[cell] = TIE_MARK.join(names), names
        extra[cell] = roles.pop() if len(roles) == 1 else COEXISTENCE
    return np.argmax(tied, axis=0), {"loss": loss, "phase": phase, "extra": extra, "coexisting": coexisting}


def _column(phases):
    """Phases as an array of shape (n_phases, 1, 1)."""
    column = np.empty((len(phases), 1, 1), dtype=object)
    column[:, 0, 0] = phases
    return column
