"""The report of a validation, as text and as plain facts."""

import numpy as np

from ._minimizing.stationary_points import SAME_LOSS
from .attribution import AGREES, UNEXPLAINED
from .sampled_losses import LEAST_P_VALUE

MOST_LISTED = 15
COMPARED = ("exact", "sampled", "standard_error", "z_scores")
"""What the report lists of the comparisons of each test."""


def text_of(validation):
    """The report as one page of text."""
    lines = [*_head(validation), "", *_losses(validation), "", *_phases(validation), "", *_causes(validation)]
    return "\n".join(line.rstrip() for line in lines)


def facts_of(validation):
    """The report as plain lists and numbers."""
    attribution, trained = validation.attribution, validation.trained
    excess, best = attribution.of_cells("excess"), attribution.of_cells("cause")
    return {
        "model": trained.plane.form.size_facts() | trained.plane.law,
        **_places(trained, trained.x.tolist(), trained.y.tolist()),
        "training": dict(trained.trained.options),
        "consistent": validation.consistent,
        "sampling": {
            "p_value": validation.p_value,
            "tests": [
                {"name": test.name, "p_values": test.p_values}
                | _places(trained, test.x.tolist(), test.y.tolist())
                | {name: getattr(test, name).tolist() for name in COMPARED}
                for test in validation.tests
            ],
        },
        "agreement": {
            theory: {
                "all_cells": one.share,
                "away_from_boundaries": one.share_away,
                "cells_away": int(one.away.sum()),
                "boundary_distance": _quantiles(one.distances, (0.5, 0.9)),
            }
            for theory, one in validation.agreements.items()
        },
        "excess_loss": {
            "cells": _quantiles(excess, (0.5, 0.9, 1)),
            "models": _quantiles(attribution.excess, (0.5, 0.9, 1)),
            "lowest": _lowest(attribution),
        },
        "causes": {
            cause: {"cells": int((best == cause).sum()), "models": int((attribution.cause == cause).sum())}
            for cause in attribution.causes
        },
        "disagreements": list(disagreements(validation)),
    }


def disagreements(validation):
    """Yield the facts of every cell whose best model has another phase than the global theory."""
    trained, attribution, exact = validation.trained, validation.attribution, validation.agreements["global"]
    grids = {name: attribution.of_cells(name) for name in ("cause", "phase", "basin", "left", "excess", "barred")}
    for i, k in np.argwhere((grids["cause"] != AGREES) | ~exact.agrees):
        yield {
            **_places(trained, float(trained.x[k]), float(trained.y[i])),
            "away_from_boundaries": bool(exact.away[i, k]),
            "theory": exact.theory.phase[i, k],
            "trained": grids["phase"][i, k],
            "cause": grids["cause"][i, k],
            "minimum": grids["basin"][i, k],
            "above_its_basin": float(grids["left"][i, k]),
            "above_global": float(grids["excess"][i, k]),
            "minimum_above_global": float(grids["barred"][i, k]),
        }


def _places(diagram, x, y):
    """What x and y are, by the names of the diagram's axes."""
    return {diagram.plane.x.name: x, diagram.plane.y.name: y}


def _head(validation):
    """What was trained, and its law."""
    trained = validation.trained
    axes = (f"{axis.name} {axis.values[0]:g} to {axis.values[-1]:g}" for axis in (trained.plane.x, trained.plane.y))
    options = trained.trained.options
    how = "trained elsewhere"
    if "n_steps" in options:
        how = (
            f"{options['n_steps']} steps of {options['batch_size']} samples, {options['optimizer']} with learning rate "
            f"{options['learning_rate']:g} ({options['schedule']}), seed {options['seed']}"
        )
    return [
        f"{trained.n_features} → {trained.n_hidden} ({trained.plane.form.kind}): "
        f"{trained.y.size} × {trained.x.size} cells, {', '.join(axes)}",
        "; ".join(trained.plane.law.values()),
        f"{options['n_seeds']} models a cell, {how}",
    ]


def _losses(validation):
    """The table of the tests by samples."""
    width = max(len(test.name) for test in validation.tests)
    yield f"{'Exact losses against samples':<{width}}  number   rms z   mean z  max |z|   p: scatter    bias  largest"
    for test in validation.tests:
        z = test.z_scores
        yield (
            f"{test.name:<{width}}  {z.size:6d}  {np.sqrt(np.mean(z**2)):6.3f}  {z.mean():+7.3f}  {np.abs(z).max():7.2f}   "
            + "  ".join(f"{p:{room}.3f}" for p, room in zip(test.p_values.values(), (10, 6, 7), strict=True))
        )
    verdict = "no contradiction" if validation.p_value >= LEAST_P_VALUE else "THE SAMPLES CONTRADICT THE EXACT LOSSES"
    yield f"all together: p = {validation.p_value:.3g}, {verdict}"


def _phases(validation):
    """The table of agreement, and how far losses lie above the global minimum."""
    trained = validation.trained
    cell = max(_spacing(trained.plane.x), _spacing(trained.plane.y))
    yield "Trained phases (best model of each cell) against the theories"
    yield f"{'theory':<8}  {'all cells':>10}  {'away from boundaries':>22}  {'distance of the boundary, in cells':>34}"
    for theory, one in validation.agreements.items():
        quantiles = [x / cell for x in _quantiles(one.distances, (0.5, 0.9))]
        distances = "median {:.2f}, 90 % within {:.2f}".format(*quantiles) if quantiles else "none"
        away = f"{100 * one.share_away:.2f} % of {one.away.sum()}" if one.away.any() else "no cell"
        yield f"{theory:<8}  {100 * one.share:8.2f} %  {away:>22}  {distances:>34}"
    excess = 100 * np.quantile(validation.attribution.of_cells("excess"), (0.5, 0.9, 1))
    yield "loss above the global minimum: median {:.2g} %, 90 % of the cells within {:.2g} %, largest {:.3g} %".format(*excess)
    lowest = _lowest(validation.attribution)
    yield (
        "no model, and no minimum that one descends to, lies below the global minimum"
        if lowest > -SAME_LOSS
        else f"A MODEL OR ITS MINIMUM LIES BELOW THE GLOBAL MINIMUM, by {-lowest:.2g} of it"
    )


def _causes(validation):
    """The table of causes, and the cells away from boundaries that differ."""
    attribution, away = validation.attribution, validation.agreements["global"].away
    best = attribution.of_cells("cause")
    yield f"{'Why models differ from the global theory':<42}  {'cells':>6}  {'of these away':>13}  {'models':>7}"
    for cause in attribution.causes:
        counts = (best == cause).sum(), (away & (best == cause)).sum(), (attribution.cause == cause).sum()
        yield f"  {cause:<40}  {counts[0]:6d}  {counts[1]:13d}  {counts[2]:7d}"
    rows = [row for row in disagreements(validation) if row["away_from_boundaries"] or row["cause"] == UNEXPLAINED]
    if not rows:
        yield "no cell away from boundaries differs"
        return
    yield "cells away from boundaries that differ:"
    names = validation.trained.plane.x.name, validation.trained.plane.y.name
    for row in rows[:MOST_LISTED]:
        place = ", ".join(f"{name} {row[name]:.4g}" for name in names)
        yield f"  {place}: {row['trained']}, not {row['theory']}"
        yield "    " + _reason(row)
    if len(rows) > MOST_LISTED:
        yield f"  … and {len(rows) - MOST_LISTED} more"


def _reason(row):
    """The cause of one of the `disagreements` in words."""
    minimum, above = row["minimum"] or "no minimum", row["minimum_above_global"]
    place = f"{minimum}, {100 * above:.3g} % above the global one" if above > SAME_LOSS else f"the global one, {minimum}"
    return {
        "metastable": f"metastable: in the minimum {place}",
        "not converged": f"not converged: {100 * row['above_its_basin']:.3g} % above the minimum it descends to, {place}",
        "dead output": "dead output: one is 0 for every input",
        "dead neuron": f"dead neuron: one is 0 for every input, {100 * above:.3g} % above the global minimum",
        "growing weights": "growing weights: a descent from there goes on without end",
        "tolerance": "tolerance: in the basin of the global minimum, which has this name where small weights are not counted",
        "statistical": f"statistical: {100 * row['above_its_basin']:.2g} % above the global minimum, in its basin",
    }.get(row["cause"], f"UNEXPLAINED: loss {100 * row['above_global']:.3g} % above the global minimum")


def _lowest(attribution):
    """How far the lowest model, or end of a descent from one, lies above the global minimum, relative to it."""
    return min(float(attribution.excess.min()), float(np.nanmin(attribution.barred)))


def _spacing(axis):
    """Decades, on linear axes what they count, between neighbouring cells of an Axis; NaN for one."""
    places = np.log10(axis.values) if axis.log else axis.values
    return float(np.mean(np.diff(places))) if places.size > 1 else float("nan")


def _quantiles(values, levels):
    """A list of float, empty where there are no values."""
    return [float(x) for x in np.quantile(values, levels)] if values.size else []
