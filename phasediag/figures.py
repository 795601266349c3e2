"""Drawings of results: each function takes a result and an axes, computes no physics, and returns its artists."""

import matplotlib.patches
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from ._arguments import one_of
from .colours import LOOKS, norm_interference_colour, phase_colour


def draw_phase_diagram(diagram, ax, *, look="phase"):
    """Draw a phase diagram on logarithmic axes, density 1 on top, its boundaries as curves.

    Parameters
    ----------
    diagram : PhaseDiagram
    ax : matplotlib.axes.Axes
    look : {"phase", "norm-interference"}
        "phase": one colour for each phase, named in the legend; "norm-interference": the paper's two-dimensional colour of
        the extra feature (see ``draw_colour_key``).

    Returns
    -------
    dict
        Artists: "regions" (QuadMesh and contour sets), "boundaries" (lines), "triple_points" (line), "legend" (or None).

    Raises
    ------
    ValueError
        When ``look`` is unknown.
    """
    one_of("look", look, LOOKS)
    regions = _draw_regions(diagram, ax, look)
    lines = []
    for boundary in diagram.boundaries():
        lines += ax.plot(boundary.importance, boundary.density, color="black", linewidth=1.4, solid_capstyle="round")
    corners = diagram.triple_points()
    points = ax.plot([p.importance for p in corners], [p.density for p in corners], "o", color="black", markersize=4.5, zorder=3)
    _paper_axes(diagram, ax)
    legend = _draw_legend(diagram, ax) if look == "phase" else None
    return {"regions": regions, "boundaries": lines, "triple_points": points, "legend": legend}


def draw_colour_key(ax):
    """Draw the key of the "norm-interference" look.

    Parameters
    ----------
    ax : matplotlib.axes.Axes

    Returns
    -------
    matplotlib.image.AxesImage
    """
    norm, share = np.meshgrid(np.linspace(0, 1, 65), np.linspace(0, 1, 65), indexing="ij")
    image = ax.imshow(norm_interference_colour(norm, share), origin="lower", extent=(0, 1, 0, 1), aspect="equal")
    ax.set_xticks([0, 1], ["0", "≥ 1"])
    ax.set_yticks([0, 1], ["0", "≥ 1"])
    ax.set_xlabel("interference\n$\\Sigma_{j\\neq i}(\\hat{W}_i\\cdot W_j)^2$", fontsize="small")
    ax.set_ylabel("norm $\\|W_i\\|$", fontsize="small")
    ax.set_title("extra feature", fontsize="small")
    return image


def draw_configuration(configuration, ax):
    """Draw the weight matrix of a configuration as the paper does: a grid of small squares, with its pattern as title.

    Parameters
    ----------
    configuration : Configuration
    ax : matplotlib.axes.Axes

    Returns
    -------
    matplotlib.image.AxesImage
    """
    image = ax.imshow(configuration.weights, cmap="RdBu", vmin=-1, vmax=1)
    ax.set_xticks(range(configuration.n_features), [*map(str, range(1, configuration.n_features)), "extra"])
    ax.set_yticks([])
    ax.set_title(configuration.pattern, fontsize="small")
    return image


def _draw_regions(diagram, ax, look):
    """Fill cells, then each phase's region up to where its margin over the others vanishes, so that no pixel edge shows."""
    importance, density = diagram.importance, diagram.density
    if look == "phase":
        names, which = np.unique(diagram.phase.astype(str), return_inverse=True)
        colours = np.array([phase_colour(name) for name in names])[which.reshape(diagram.phase.shape)]
    else:
        colours = norm_interference_colour(diagram.feature_norm, diagram.interference)
    edges = _edges(importance, np.inf), _edges(density, 1.0)
    regions = [ax.pcolormesh(*edges, colours, shading="flat", rasterized=True)]
    if min(importance.size, density.size) < 2 or len(diagram.candidates) < 2:
        return regions
    for k, name in enumerate(diagram.candidates):
        inside = diagram.phase == name
        if not inside.any():
            continue
        rival = np.min(np.delete(diagram.candidate_loss, k, axis=0), axis=0)
        margin = (rival - diagram.candidate_loss[k]) / diagram.loss
        colour = colours[inside][0]  # the same all over a region of frozen weights
        if margin.max() > 0:
            regions.append(ax.contourf(importance, density, margin, levels=[0, margin.max()], colors=[colour]))
    return regions


def _paper_axes(diagram, ax):
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlim(*_limits(diagram.importance, np.inf))
    ax.set_ylim(*_limits(diagram.density, 1.0))
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(LogLocator(base=10))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("relative importance of the extra feature")
    ax.set_ylabel("feature density (1 − sparsity)")
    ax.set_title(f"{diagram.n_features} → {diagram.n_hidden}, {diagram.theory} theory")


def _limits(axis, most):
    """First and last value of an axis; around the value of an axis that has but one."""
    low, high = axis[0], axis[-1]
    return (low, high) if low < high else (low / 2, min(2 * high, most))


def _edges(axis, most):
    """Edges of the cells around the values of a logarithmic axis; the first and last cells end at the limits."""
    low, high = _limits(axis, most)
    return np.concatenate([[low], np.sqrt(axis[:-1] * axis[1:]), [high]])


def _draw_legend(diagram, ax):
    patterns = _patterns(diagram)
    handles = []
    for name in _in_order_of_role({name.split(" = ")[0] for name in np.unique(diagram.phase.astype(str)).tolist()}):
        pattern = patterns.get(name)
        label = name if pattern is None else f"{pattern}\n{name}"
        handles.append(matplotlib.patches.Patch(facecolor=phase_colour(name), edgecolor="black", linewidth=0.6, label=label))
    return ax.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(1.02, 1.0), fontsize="small", frameon=False, borderaxespad=0
    )


def _patterns(diagram):
    from .candidates import MOST_FEATURES, configurations

    if diagram.n_features > MOST_FEATURES:
        return {}
    return {c.name: c.pattern for c in configurations(diagram.n_features, diagram.n_hidden)}


def _in_order_of_role(names):
    rank = {"extra not": 0, "extra ded": 1, "extra in ": 2}
    return sorted(names, key=lambda name: (rank[name[:9]], name))


def diagram_figure(diagram, *, look="phase"):
    """Compose a figure of one phase diagram with its legend or colour key.

    Parameters
    ----------
    diagram : PhaseDiagram
    look : {"phase", "norm-interference"}

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = Figure(figsize=(8.6, 4.6) if look == "phase" else (7.2, 4.6), layout="constrained")
    if look == "phase":
        draw_phase_diagram(diagram, figure.subplots(), look=look)
        return figure
    panel, key = figure.subplots(1, 2, width_ratios=(3, 1))
    draw_phase_diagram(diagram, panel, look=look)
    draw_colour_key(key)
    return figure


def paper_figure(diagrams):
    """Compose the paper's theoretical figure: for each model its diagram by phase and by norm and interference.

    Parameters
    ----------
    diagrams : sequence of PhaseDiagram

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = Figure(figsize=(14.5, 4.4 * len(diagrams)), layout="constrained")
    panels = figure.subplots(len(diagrams), 3, width_ratios=(3, 3, 1.1), squeeze=False)
    for (phases, colours, key), diagram in zip(panels, diagrams, strict=True):
        draw_phase_diagram(diagram, phases, look="phase")
        draw_phase_diagram(diagram, colours, look="norm-interference")
        draw_colour_key(key)
    return figure
