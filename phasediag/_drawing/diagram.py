"""Drawing of a phase diagram: regions, boundary curves, spinodals, special points and what names them."""

import numpy as np
from matplotlib.lines import Line2D

from .._arguments import one_of
from .._minimizing.flat import parts
from ..colours import LOOKS, norm_interference_colour, phase_colour, phase_colours
from ..order_parameters import interference
from ..theories import TIE_MARK
from ..trained_models import TRAINED
from .frames import BESIDE, patch, plane_axes
from .regions import cell_edges, curves_of, enclosed, phase_image, pixel_edges, spread, whole

_POINT = {"linestyle": "", "marker": "o", "markersize": 3.8}
STYLES = {
    "first": {"linestyle": "-", "linewidth": 1.4, "label": "first order: two minima cross"},
    "continuous": {"linestyle": (0, (4, 1.6)), "linewidth": 1.4, "label": "continuous: one becomes the other"},
    "spinodal": {"linestyle": (0, (1, 2)), "linewidth": 1.1, "label": "spinodal: a phase (its colour) ends"},
    "triple point": _POINT | {"label": "triple point"},
    "order changes": _POINT | {"marker": "D", "markerfacecolor": "white", "label": "the order changes"},
    "critical point": _POINT | {"markerfacecolor": "white", "label": "critical point: two minima of a phase merge"},
}
LEVEL = {"color": "black", "linestyle": (0, (6, 1.5, 1, 1.5)), "linewidth": 1.0}
_CURVES = ("boundaries", "spinodals", "levels", "triple_points", "order_changes", "critical_points")


def draw_phase_diagram(diagram, ax, *, look="phase", curves=True, spinodals=True, legend=True, window=None, beside=()):
    """Draw a phase diagram on the axes of its plane, its boundaries as curves where they have been computed.

    Nothing is computed: call ``diagram.boundaries()``, and ``diagram.spinodals()`` for those, before; ``diagram_figure`` does.
    Boundaries are solid where two minima cross (they can be two minima of one phase) and dashed where one minimum turns into
    the other. Trained diagrams have none: they are drawn cell by cell, in the look "phase" that of the seed with the lowest
    exact loss, in the look "norm-interference" what their reduction keeps.

    Parameters
    ----------
    diagram : PhaseDiagram
    ax : matplotlib.axes.Axes
    look : {"phase", "norm-interference"}
        "phase": one colour for each phase, named in the legend; "norm-interference": the paper's two-dimensional colour of
        the extra feature (see ``draw_colour_key``).
    curves : bool
        Draw the curves that the diagram has; otherwise, and where it has none (trained ones have none), it is drawn cell by cell.
    spinodals : bool
        Draw dotted (in the look "phase" on the phase's colour) how far each phase is a minimum beyond its boundary, where the
        diagram has its spinodals.
    legend : bool
        Name the phases and the kinds of lines and points beside the diagram; only in the look "phase".
    window : ((float, float), (float, float)), optional
        Lowest and highest x, lowest and highest y to show; default the whole diagram.
    beside : sequence of PhaseDiagram
        Others in the same figure: no two phases of all of them share a colour.

    Returns
    -------
    dict
        Artists: "regions" (QuadMesh), "boundaries" (a line each), "spinodals" (lines), "levels" (a line each), "triple_points",
        "order_changes", "critical_points" (a line each), "legend" (or None).

    Raises
    ------
    ValueError
        When ``look`` is unknown.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from phasediag import phase_diagram
    >>> from phasediag.figures import draw_phase_diagram
    >>> diagram = phase_diagram(importance=[0.5, 2.0], density=[0.1, 0.9], theory="frozen")
    >>> artists = draw_phase_diagram(diagram, Figure().subplots())
    >>> sorted(artists)[:4], artists["boundaries"]  # none was computed
    (['boundaries', 'critical_points', 'legend', 'levels'], [])
    """
    one_of("look", look, LOOKS)
    window = whole(diagram) if window is None else window
    trained = diagram.theory == TRAINED
    wanted, curves = curves, curves and diagram.curves is not None
    artists = {"regions": (_draw_regions if curves else _draw_cells)(diagram, ax, look, window, _colours([diagram, *beside]))}
    options = {"look": look, "spinodals": spinodals, "beside": beside}
    artists |= draw_boundaries(diagram, ax, **options) if curves else {name: [] for name in _CURVES}
    artists["boundaries"] += _draw_crossings(diagram, ax) if wanted else []
    title = f"{diagram.n_features} → {diagram.n_hidden}, {diagram.theory} {'models' if trained else 'theory'}"
    plane_axes(ax, diagram.plane, window, title)
    artists["legend"] = None
    if legend and look == "phase":
        handles = [*phase_handles([diagram]), *style_handles([artists])]
        artists["legend"] = ax.legend(handles=handles, **BESIDE)
    return artists


def draw_boundaries(diagram, ax, *, look="phase", spinodals=False, beside=()):
    """Draw the boundary curves of a diagram and the points where they meet or change, over anything with its axes.

    Parameters
    ----------
    diagram : PhaseDiagram
        What it has of curves is drawn: ``diagram.boundaries()`` and ``diagram.spinodals()`` compute them.
    ax : matplotlib.axes.Axes
    look : {"phase", "norm-interference"}
        Spinodals are dotted on the colours of phases, or on white.
    spinodals : bool
        Draw them too, where the diagram has them.
    beside : sequence of PhaseDiagram
        Others in the same figure, see ``draw_phase_diagram``.

    Returns
    -------
    dict
        Artists: "boundaries" (a line each), "spinodals" (lines), "levels" (a line each), "triple_points", "order_changes",
        "critical_points" (a line each).

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from phasediag import phase_diagram
    >>> from phasediag.figures import draw_boundaries
    >>> diagram = phase_diagram(importance=[0.5, 2.0], density=[0.1, 0.9], theory="frozen")
    >>> len(diagram.boundaries()) > 0
    True
    >>> len(draw_boundaries(diagram, Figure().subplots())["boundaries"]) == len(diagram.boundaries())
    True
    """
    artists, colours = {"boundaries": [], "spinodals": [], "levels": []}, _colours([diagram, *beside])
    ends, curves = {"order changes": [], "critical point": []}, diagram.curves
    for boundary in curves_of(diagram):
        place = boundary.x, boundary.y
        options = {"color": "black", "zorder": 2.2, **STYLES[boundary.order]}
        if boundary.x.size == 1:  # where a curve crosses a diagram of one row or column
            artists["boundaries"].append(
                (ax.axvline if diagram.y.size == 1 else ax.axhline)(place[diagram.y.size > 1][0], **options)
            )
            continue
        artists["boundaries"] += ax.plot(*place, solid_capstyle="round", **options)
        for k, end in zip((0, -1), boundary.ends, strict=False):
            if end in ends:
                ends[end].append((place[0][k], place[1][k]))
    for spinodal in curves.spinodals if spinodals and curves is not None and curves.has_spinodals else ():
        artists["spinodals"] += _draw_spinodal(spinodal, ax, look, colours)
    for level in () if curves is None else curves.levels:
        artists["levels"] += ax.plot(level.x, level.y, zorder=2.1, label=f"{level.function} = {level.value:g}", **LEVEL)
    ends["triple point"] = [(p.x, p.y) for p in (() if curves is None else curves.triple_points)]
    for kind, points in ends.items():
        points = np.reshape(points, (-1, 2))
        options = {"color": "black", "zorder": 3, **STYLES[kind]}
        artists[kind.replace(" ", "_") + "s" * (kind[-1] == "t")] = ax.plot(*points.T, **options)
    return artists


def _draw_crossings(diagram, ax):
    """Draw where phases of neurons change: curves by their points on the lines of the grid, filled where of first order."""
    lines = []
    for boundary in diagram.crossings:
        style = STYLES[boundary.order] | {"linewidth": 1.0, "markersize": 3, "color": "black", "zorder": 2.2}
        face = "black" if boundary.order == "first" else "white"
        lines += ax.plot(boundary.x, boundary.y, marker="o", markerfacecolor=face, **style)
    return lines


def draw_colour_key(ax):
    """Draw the key of the "norm-interference" look.

    Parameters
    ----------
    ax : matplotlib.axes.Axes

    Returns
    -------
    matplotlib.image.AxesImage

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from phasediag.figures import draw_colour_key
    >>> draw_colour_key(Figure().subplots()).get_array().shape
    (65, 65, 3)
    """
    norm, share = np.meshgrid(np.linspace(0, 1, 65), np.linspace(0, 1, 65), indexing="ij")
    image = ax.imshow(norm_interference_colour(norm, share), origin="lower", extent=(0, 1, 0, 1), aspect="equal")
    ax.set(xticks=[0, 1], xticklabels=["0", "≥ 1"], yticks=[0, 1], yticklabels=["0", "≥ 1"])
    ax.set_xlabel("interference\n$\\Sigma_{j\\neq i}(\\hat{W}_i\\cdot W_j)^2$", fontsize="small")
    ax.set_ylabel("norm $\\|W_i\\|$", fontsize="small")
    ax.set_title("extra feature", fontsize="small")
    return image


def _draw_regions(diagram, ax, look, window, colours):
    """Fill the regions that the boundary curves enclose: by phase, or by order parameters that vary within them."""
    regions, curves = enclosed(diagram, window), curves_of(diagram)
    if look == "phase":
        number = {name: k for k, name in enumerate(colours)}
        filled = np.array([*colours.values()])[phase_image(diagram, window, regions, number)]
    else:
        sides = [interference(parts(boundary.minima, diagram.n_hidden)[0])[..., -1] for boundary in curves]
        fields = (diagram.feature_norm, [boundary.feature_norm for boundary in curves]), (diagram.interference, sides)
        filled = norm_interference_colour(*(spread(diagram, window, regions, *field, smooth=True) for field in fields))
    return ax.pcolormesh(*pixel_edges(diagram.plane, window), filled, shading="flat", rasterized=True)


def _draw_cells(diagram, ax, look, _window, colours):
    """Fill every cell of a diagram."""
    if look == "phase":
        names, which = np.unique(diagram.phase.astype(str), return_inverse=True)
        filled = np.array([colours[name] for name in names])[which.reshape(diagram.phase.shape)]
    else:
        filled = norm_interference_colour(diagram.feature_norm, diagram.interference)
    return ax.pcolormesh(*cell_edges(diagram), filled, shading="flat", rasterized=True)


def _colours(diagrams):
    """The colours of all phases that are lowest somewhere, in cells or beside curves, a dict by name, joined and alone."""
    names = {name for diagram in diagrams for name in np.unique(diagram.phase.astype(str)).tolist()}
    names |= {name for diagram in diagrams for boundary in curves_of(diagram) for name in boundary.phases}
    return phase_colours(names | {name.split(TIE_MARK)[0] for name in names})


def _draw_spinodal(spinodal, ax, look, colours):
    """Draw a spinodal as black dots on a line in the colour of its phase, which may be that of the ground."""
    if spinodal.x.size < 2:
        return []
    place = spinodal.x, spinodal.y
    style = STYLES["spinodal"] | {"label": None}
    colour = "white" if look != "phase" else colours.get(spinodal.phase) or phase_colour(spinodal.phase)
    under = ax.plot(*place, color=colour, linewidth=3.0, solid_capstyle="butt", zorder=2.0)
    return under + ax.plot(*place, color="black", zorder=2.1, **style)


def style_handles(drawings):
    """A handle for each kind of line and point among the artists of ``draw_phase_diagram``."""
    found, levels = set(), {}
    for artists in drawings:
        found |= {line.get_label() for line in artists["boundaries"]}
        found |= {STYLES["spinodal"]["label"]} if artists["spinodals"] else set()
        points = artists["triple_points"] + artists["order_changes"] + artists["critical_points"]
        found |= {line.get_label() for line in points if line.get_xdata().size}
        levels |= {line.get_label(): line for line in artists["levels"]}
    crossings = {line.get_label(): line for artists in drawings for line in artists["boundaries"] if line.get_marker() == "o"}
    styles = {style["label"]: style for style in STYLES.values() if style["label"] in found}
    styles = {
        name: style | ({"marker": "o", "ms": 3, "mfc": crossings[name].get_mfc()} if name in crossings else {})
        for name, style in styles.items()
    }
    handles = [Line2D([], [], color="black", **style) for style in styles.values()]
    return handles + [Line2D([], [], label=label, **LEVEL) for label in levels]


def phase_handles(diagrams):
    """A patch for each phase that is lowest somewhere, with its pattern where the frozen theory has one."""
    from ..candidates import MOST_FEATURES, configurations

    n_features, n_hidden = diagrams[0].n_features, diagrams[0].n_hidden
    frozen = configurations(n_features, n_hidden) if n_hidden < n_features <= MOST_FEATURES else ()
    patterns = {c.name: f"{c.pattern}\n" for c in frozen}
    colours, roles = _colours(diagrams), ("extra not", "extra ded", "extra in ")  # what becomes of the extra feature
    names = {name.split(TIE_MARK)[0] for name in colours}
    in_order = sorted(names, key=lambda name: (roles.index(name[:9]), name))
    return [patch(colours[name], patterns.get(name, "") + name) for name in in_order]
