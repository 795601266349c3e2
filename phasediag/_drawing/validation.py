"""Drawings of a validation: where trained models differ from the theory and why, their loss, the scores of samples."""

import numpy as np
from matplotlib.colors import LogNorm

from ..colours import CAUSE_COLOURS
from .diagram import draw_boundaries, draw_colour_key, draw_phase_diagram, phase_handles, style_handles
from .frames import legend_below, patch, plane_axes, square
from .page import Figure
from .regions import cell_edges, whole

LEAST_EXCESS = 1e-6
_SHORT_NAMES = ("closed forms", "minima", "trained models")


def draw_causes(validation, ax):
    """Draw the cause of every cell's difference from the global theory, with the theory's boundaries.

    Parameters
    ----------
    validation : Validation
    ax : matplotlib.axes.Axes

    Returns
    -------
    dict
        Artists: "cells" (QuadMesh), "legend", and those of ``draw_boundaries``.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from phasediag import validate
    >>> from phasediag.figures import draw_causes
    >>> report = validate(importance=[0.5, 2.0], density=[0.5], n_seeds=2, n_steps=20, n_samples=200, curves=False)
    >>> sorted(draw_causes(report, Figure().subplots()))
    ['cells', 'legend']
    """
    exact, causes = validation.agreements["global"].theory, validation.attribution.of_cells("cause")
    colours = np.array([CAUSE_COLOURS[cause] for cause in causes.ravel()]).reshape(*causes.shape, 3)
    artists = {"cells": ax.pcolormesh(*cell_edges(exact), colours, rasterized=True)} | _exact_boundaries(validation, ax)
    plane_axes(ax, exact.plane, whole(exact), "why the trained phase differs")
    found = {cause: np.count_nonzero(causes == cause) for cause in validation.attribution.causes}
    handles = [patch(CAUSE_COLOURS[cause], f"{cause} ({count})") for cause, count in found.items() if count]
    artists["legend"] = ax.legend(handles=handles, fontsize="small", loc="lower left", title="best model (cells)")
    return artists


def draw_excess_loss(validation, ax):
    """Draw how far the best trained model of each cell lies above the exact global minimum, relative to it.

    Parameters
    ----------
    validation : Validation
    ax : matplotlib.axes.Axes

    Returns
    -------
    dict
        Artists: "cells" (QuadMesh), for a colour bar, and those of ``draw_boundaries``.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from phasediag import validate
    >>> from phasediag.figures import draw_excess_loss
    >>> report = validate(importance=[0.5, 2.0], density=[0.5], n_seeds=2, n_steps=20, n_samples=200, curves=False)
    >>> sorted(draw_excess_loss(report, Figure().subplots()))
    ['cells']
    """
    exact = validation.agreements["global"].theory
    excess = np.clip(validation.attribution.of_cells("excess"), LEAST_EXCESS, 1)
    mesh = ax.pcolormesh(*cell_edges(exact), excess, norm=LogNorm(LEAST_EXCESS, 1), cmap="cividis", rasterized=True)
    artists = {"cells": mesh} | _exact_boundaries(validation, ax)
    plane_axes(ax, exact.plane, whole(exact), "trained loss above the global minimum")
    return artists


def draw_z_scores(validation, ax):
    """Draw the sorted z-scores of sampled losses against those of a normal law: on the diagonal where exact losses are right.

    Parameters
    ----------
    validation : Validation
    ax : matplotlib.axes.Axes

    Returns
    -------
    dict
        Artists: "scores" (a line of points for each test), "diagonal", "legend".

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from phasediag import validate
    >>> from phasediag.figures import draw_z_scores
    >>> report = validate(importance=[0.5, 2.0], density=[0.5], n_seeds=2, n_steps=20, n_samples=200, curves=False)
    >>> sorted(draw_z_scores(report, Figure().subplots()))
    ['diagonal', 'legend', 'scores']
    """
    from scipy.stats import norm

    artists = {"scores": []}
    names = _SHORT_NAMES[-len(validation.tests) :]
    for test, name, marker in zip(validation.tests, names, "os^", strict=False):
        z = np.sort(test.z_scores)
        expected = norm.ppf((np.arange(z.size) + 0.5) / z.size)
        artists["scores"] += ax.plot(expected, z, marker, markersize=2.5, label=f"{name} ({z.size})")
    end = max(abs(x) for x in (*ax.get_xlim(), *ax.get_ylim()))
    artists["diagonal"] = ax.plot([-end, end], [-end, end], color="black", linewidth=0.8, zorder=1)[0]
    square(ax, end)
    ax.set(xlabel="z expected of a normal law", ylabel="z = (sampled − exact loss) / standard error")
    ax.set_title(f"exact losses against samples: p = {validation.p_value:.2g}")
    artists["legend"] = ax.legend(fontsize="small", loc="upper left", markerscale=2)
    return artists


def validation_figure(validation):
    """Compose the report of a validation as one page.

    Parameters
    ----------
    validation : Validation

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from phasediag import validate
    >>> from phasediag.figures import validation_figure
    >>> report = validate(importance=[0.5, 2.0], density=[0.5], n_seeds=2, n_steps=20, n_samples=200, curves=False)
    >>> len(validation_figure(report).axes)
    7
    """
    figure = Figure(figsize=(15, 10.5), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(1.15, 1))
    draw_panels(validation, above, look="phase")
    causes, loss, scores = below.subplots(1, 3)
    draw_causes(validation, causes)
    draw_excess = draw_excess_loss(validation, loss)
    below.colorbar(draw_excess["cells"], ax=loss, label="relative to the minimum", extend="both")
    draw_z_scores(validation, scores)
    return figure


def agreement_figure(validations, *, look="phase"):
    """Compose the headline figure: for each model the frozen, the exact and the trained diagram side by side.

    Titles say in how many cells trained models agree with each theory.

    Parameters
    ----------
    validations : sequence of Validation
    look : {"phase", "norm-interference"}
        The second is the paper's; its trained panel shows the paper's averages over the models kept.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from phasediag import validate
    >>> from phasediag.figures import agreement_figure
    >>> report = validate(importance=[0.5, 2.0], density=[0.5], n_seeds=2, n_steps=20, n_samples=200, curves=False)
    >>> len(agreement_figure([report]).axes)
    3
    """
    figure = Figure(figsize=(14.5, 6.1 * len(validations)), layout="constrained")
    parts = np.ravel(figure.subfigures(len(validations), 1, squeeze=False))
    for part, validation in zip(parts, validations, strict=True):
        draw_panels(validation, part, look=look)
    return figure


def draw_panels(validation, figure, *, look):
    """Draw the frozen, the exact and the trained diagram side by side, titled with the trained phases' agreement.

    Parameters
    ----------
    validation : Validation
    figure : matplotlib.figure.Figure or SubFigure
    look : {"phase", "norm-interference"}

    Returns
    -------
    dict
        Artists of ``draw_phase_diagram`` by "frozen", "global" and "trained".

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from phasediag import validate
    >>> from phasediag.figures import draw_panels
    >>> report = validate(importance=[0.5, 2.0], density=[0.5], n_seeds=2, n_steps=20, n_samples=200, curves=False)
    >>> list(draw_panels(report, Figure(), look="phase"))
    ['frozen', 'global', 'trained']
    """
    agreements, exact = validation.agreements, validation.agreements["global"]
    diagrams = {name: agreements[name].theory for name in ("frozen", "global") if name in agreements}
    diagrams["trained"] = validation.trained
    artists = {}
    by_phase = look == "phase"
    widths = [3] * len(diagrams) + [1] * (not by_phase)
    *panels, last = figure.subplots(1, len(widths), width_ratios=widths)
    for ax, (name, diagram) in zip([*panels, last], diagrams.items(), strict=False):
        curves = exact.curves or name == "frozen"
        options = {"curves": curves, "spinodals": False, "legend": False, "beside": diagrams.values()}
        artists[name] = draw_phase_diagram(diagram, ax, look=look, **options)
        model = f"{diagram.n_features} → {diagram.n_hidden}"
        if name in agreements:
            what = {"frozen": "frozen weights", "global": "exact: all weights and biases"}[name]
            title = f"{model}, {what}\ntrained models agree in {_shares(agreements[name])}"
        else:
            title = f"{model}, trained models" + "\nwith the exact boundaries" * exact.curves
        ax.set_title(title, fontsize="medium")
    artists["trained"] |= _exact_boundaries(validation, ax, look=look)
    if not by_phase:
        draw_colour_key(last)
    phases = phase_handles(list(diagrams.values())) if by_phase else []
    legend_below(figure, [*phases, *style_handles(artists.values())], 3)
    return artists


def _exact_boundaries(validation, ax, **options):
    """Draw the global theory's boundaries if they were followed; return the artists."""
    exact = validation.agreements["global"]
    return draw_boundaries(exact.theory, ax, **options) if exact.curves else {}


def _shares(one):
    """How much of the cells agrees, in words."""
    away = f"{100 * one.share_away:.1f} % of those" if one.away.any() else "no cell lies"
    return f"{100 * one.share:.1f} % of the cells\n({away} away from its boundaries)"
