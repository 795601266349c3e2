"""Drawings of results: each function takes a result and an axes, computes no physics, and returns its artists."""

import re
import zlib

import matplotlib.colors
import matplotlib.patches
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from ._arguments import one_of

LOOKS = ("phase", "norm-interference")

_ROLES = {"not represented": "#9a9a9a", "dedicated": "#3f7fc1", "in": "#d1495b"}
_ENDS = {"grey": (0.78, 0.78, 0.78), "blue": (0.20, 0.45, 0.78), "red": (0.83, 0.22, 0.26)}
_SHADES = np.linspace(-0.42, 0.5, 7)
_COEXISTENCE_COLOUR = (0.98, 0.93, 0.62)


def phase_colour(name):
    """Return the RGB colour of a phase, which depends on nothing but its name.

    Grey family: the extra feature is not represented; blue: it has a dedicated dimension; red: it is in superposition.
    Within a family the more features share dimensions, the darker; coexisting phases ("… = …") are pale yellow.

    Parameters
    ----------
    name : str
        A phase's name as ``classify`` gives it.

    Returns
    -------
    tuple of three float
    """
    if " = " in name:
        return _COEXISTENCE_COLOUR
    head, *others = name.removeprefix("extra ").split(" + ")
    family = next(colour for role, colour in _ROLES.items() if head == role or (role == "in" and head.startswith("in ")))
    base = np.array(matplotlib.colors.to_rgb(family))
    if head.startswith("in "):
        shade = {"antipodal pair": 4, "triangle": 1, "tetrahedron": 6, "pentagon": 2, "square": 5}.get(head[3:])
    else:
        shade = 3 if not others else None
    plain = [part for part in others if "dedicated" in part or "not represented" in part]
    if shade is None or (head.startswith("in ") and len(others) > len(plain)):
        shared = len(others) - len(plain)
        dropped = sum(int(re.match(r"\d+|", part).group() or 1) for part in others if "not represented" in part)
        shade = {(0, 0): 4, (1, 0): 1, (0, 1): 5, (1, 1): 2, (2, 0): 0}.get((shared, dropped))
        if shade is None:
            shade = zlib.crc32(name.encode()) % len(_SHADES)
    lift = _SHADES[shade]
    return tuple(base + lift * (1 - base) if lift > 0 else base * (1 + lift))


def norm_interference_colour(norm, interference):
    """Return the paper's two-dimensional colour of a feature.

    Grey at norm 0; at norm 1 from blue (interference 0) to red (interference 1); values above 1 count as 1.

    Parameters
    ----------
    norm, interference : array_like
        Nonnegative.

    Returns
    -------
    ndarray, shape (…, 3)

    References
    ----------
    Elhage et al. 2022, section "Superposition as a Phase Change", legend of the phase diagrams.
    """
    norm = np.clip(np.asarray(norm, dtype=float), 0, 1)[..., None]
    share = np.clip(np.asarray(interference, dtype=float), 0, 1)[..., None]
    grey, blue, red = (np.array(_ENDS[name]) for name in ("grey", "blue", "red"))
    return (1 - norm) * grey + norm * ((1 - share) * blue + share * red)


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
    regions = [ax.pcolormesh(importance, density, colours, shading="nearest", rasterized=True)]
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
    ax.set_xlim(diagram.importance[0], diagram.importance[-1])
    ax.set_ylim(diagram.density[0], diagram.density[-1])
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(LogLocator(base=10))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("relative importance of the extra feature")
    ax.set_ylabel("feature density (1 − sparsity)")
    ax.set_title(f"{diagram.n_features} → {diagram.n_hidden}, {diagram.theory} theory")


def _draw_legend(diagram, ax):
    patterns = _patterns(diagram)
    handles = []
    for name in _in_order_of_role(np.unique(diagram.phase.astype(str))):
        if " = " in name:
            continue
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
    return sorted(names.tolist(), key=lambda name: (rank[name[:9]], name))


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
