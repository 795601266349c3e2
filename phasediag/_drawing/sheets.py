"""Drawings of loss sheets: how the minima lie above each other along a cut through a diagram."""

import numpy as np

from .._arguments import real_number
from .._minimizing.flat import parts
from .._minimizing.stationary_points import invariants
from ..colours import phase_colours
from ..loss import expected_loss
from ..phases import classify_many
from .frames import BESIDE, show_axis
from .regions import limits, nearest

_SAME_SHEET = 0.25  # minima of neighbouring cells whose invariants differ by less can be one that moved


def draw_loss_sheets(diagram, ax, *, importance=None, density=None, x=None, y=None):
    """Draw the loss of every minimum relative to the lowest one, along a cut through a relaxed or global diagram.

    Thick where a minimum is the lowest, thin where it is metastable; an open circle where it ceases to be a minimum within
    the cut. A sheet changes its colour where its phase changes (a continuous boundary); sheets cross at first-order ones.

    Parameters
    ----------
    diagram : PhaseDiagram
        Of the relaxed or global theory. A cut of its own is a diagram of one row or column.
    ax : matplotlib.axes.Axes
    importance, density : float, optional
        Where to cut: one of the two, the nearest grid line is taken; not needed where that axis has one value.
    x, y : float, optional
        The same over any plane.

    Returns
    -------
    dict
        Artists: "sheets" (lines), "ends" (a line of markers), "legend".

    Raises
    ------
    ValueError
        When the diagram is frozen, or not exactly one of the two is given or has one value.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from phasediag import phase_diagram
    >>> from phasediag.figures import draw_loss_sheets
    >>> diagram = phase_diagram(importance=[0.5, 2.0], density=[0.1])
    >>> sorted(draw_loss_sheets(diagram, Figure().subplots()))
    ['ends', 'legend', 'sheets']
    """
    if diagram.theory == "frozen":
        raise ValueError(f'diagram must be of the "relaxed" or "global" theory, got "{diagram.theory}"')
    if importance is not None or density is not None:
        diagram.plane.axes_named("importance", "density")
        x, y = importance if x is None else x, density if y is None else y
    axis, fixed, cells = _cut(diagram, x, y)
    sheets = _sheets(diagram, cells)
    colours = phase_colours({name for _, _, phases in sheets for name in phases})
    artists, ends, named = [], [], {}
    for places, excess, phases in sheets:
        for name, part in _runs(phases):
            stable = excess[part] <= 1e-10
            for is_stable, piece in _runs(stable.tolist()):
                first, end = part.start + piece.start, part.start + piece.stop
                piece = slice(first, end) if is_stable else slice(max(first - 1, 0), end + 1)  # thin lines reach the thick ones
                width = 3.2 if is_stable else 1.2
                line = ax.plot(
                    axis.values[places[piece]], 100 * excess[piece], color=colours[name], linewidth=width, zorder=2 + is_stable
                )
                artists += line
                if is_stable or name not in named:
                    named[name] = line[0]
        ends += [(axis.values[places[k]], 100 * excess[k]) for k in (0, -1) if 0 < places[k] < len(axis) - 1]
    dots = ax.plot(*np.reshape(ends, (-1, 2)).T, "o", color="black", markerfacecolor="white", markersize=4, zorder=4)
    show_axis(ax, "x", axis, *limits(axis))
    ax.set(ylabel="loss above the lowest (%)", title=f"{diagram.n_features} → {diagram.n_hidden}, {fixed}")
    title = {"title": "thick: lowest, thin: metastable\n○: ceases to be a minimum", "title_fontsize": "small"}
    legend = ax.legend(named.values(), named.keys(), alignment="left", **title, **BESIDE)
    return {"sheets": artists, "ends": dots, "legend": legend}


def _cut(diagram, x, y):
    """The Axis along the cut, the fixed parameter in words, and the flat indices of the cells."""
    plane, flat = diagram.plane, np.arange(diagram.loss.size).reshape(diagram.loss.shape)
    if x is None and y is None:
        x, y = (axis.values[0] if len(axis) == 1 else None for axis in (plane.x, plane.y))
    if (x is None) == (y is None):
        raise ValueError(f"exactly one of {plane.x.name} and {plane.y.name} must be given, got {x} and {y}")
    axis, value, cells = (plane.x, x, flat.T) if y is None else (plane.y, y, flat)
    domain = "positive and finite" if axis.log else "finite"
    line = nearest(axis, real_number(axis.name, value, domain, lambda value: value > (0 if axis.log else -np.inf)))
    return plane.y if y is None else plane.x, f"{axis.name} {axis.values[line]:.4g}", cells[line]


def _sheets(diagram, cells):
    """Join the minima of neighbouring cells: a list of (positions along the cut, relative excess loss, phases)."""
    m = diagram.n_hidden
    growing, done = [], []
    for position, cell in enumerate(cells):
        row, column = np.unravel_index(cell, diagram.loss.shape)
        x = diagram.minima[diagram.minima_cell == cell]
        weights, bias = parts(x, m)
        model = diagram.plane.model(diagram.x[column], diagram.y[row])
        excess = expected_loss(model, weights, bias) / diagram.loss[row, column] - 1
        keys = invariants(x, m, diagram.plane.classes)
        names = [phase.name for phase in classify_many(weights, sets=diagram.plane.form.activity.together)]
        waiting = list(growing)
        growing = []
        distance = np.array([[np.max(np.abs(key - sheet[3])) for key in keys] for sheet in waiting]).reshape(-1, len(keys))
        taken = {}
        while distance.size and distance.min() < _SAME_SHEET:  # nearest pairs first
            one, other = np.unravel_index(np.argmin(distance), distance.shape)
            taken[other] = waiting[one]
            distance[one], distance[:, other] = np.inf, np.inf
        for k, key in enumerate(keys):
            places, losses, phases, _ = taken.get(k, ([], [], [], None))
            growing.append(([*places, position], [*losses, excess[k]], [*phases, names[k]], key))
        kept = [id(sheet) for sheet in taken.values()]
        done += [sheet for sheet in waiting if id(sheet) not in kept]
    return [(np.array(places), np.array(losses), phases) for places, losses, phases, _ in done + growing]


def _runs(values):
    """Yield (value, slice) for each run of equal entries."""
    start = 0
    for k in range(1, len(values) + 1):
        if k == len(values) or values[k] != values[start]:
            yield values[start], slice(start, k)
            start = k
