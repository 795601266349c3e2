"""Drawings of loss sheets: how the minima lie above each other along a cut through a diagram."""

import numpy as np

from .._arguments import positive_array
from .._minimizing.flat import parts
from .._minimizing.stationary_points import invariants
from ..colours import phase_colours
from ..loss import expected_loss
from ..model import cell_model
from ..phases import classify_many
from .frames import BESIDE, DENSITY, IMPORTANCE, plain_ticks
from .regions import nearest

_SAME_SHEET = 0.25  # minima of neighbouring cells whose invariants differ by less can be one that moved


def draw_loss_sheets(diagram, ax, *, importance=None, density=None):
    """Draw the loss of every minimum relative to the lowest one, along a cut through a relaxed or global diagram.

    Thick where a minimum is the lowest, thin where it is metastable; an open circle where it ceases to be a minimum within
    the cut. A sheet changes its colour where its phase changes (a continuous boundary); sheets cross at first-order ones.

    Parameters
    ----------
    diagram : PhaseDiagram
        Of the relaxed or global theory. A cut of its own is a diagram with one importance or one density.
    ax : matplotlib.axes.Axes
    importance, density : float, optional
        Where to cut: one of the two, the nearest grid line is taken; not needed where that axis has one value.

    Returns
    -------
    dict
        Artists: "sheets" (lines), "ends" (a line of markers), "legend".

    Raises
    ------
    ValueError
        When the diagram is frozen, or not exactly one of importance and density is given or has one value.
    """
    if diagram.theory == "frozen":
        raise ValueError(f'diagram must be of the "relaxed" or "global" theory, got "{diagram.theory}"')
    axis, fixed, cells = _cut(diagram, importance, density)
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
                    axis[places[piece]], 100 * excess[piece], color=colours[name], linewidth=width, zorder=2 + is_stable
                )
                artists += line
                if is_stable or name not in named:
                    named[name] = line[0]
        ends += [(axis[places[k]], 100 * excess[k]) for k in (0, -1) if 0 < places[k] < axis.size - 1]
    dots = ax.plot(*np.reshape(ends, (-1, 2)).T, "o", color="black", markerfacecolor="white", markersize=4, zorder=4)
    ax.set_xscale("log")
    plain_ticks(ax.xaxis, axis[0], axis[-1])
    ax.set(xlabel=DENSITY if fixed.startswith("imp") else IMPORTANCE, ylabel="loss above the lowest (%)")
    ax.set_title(f"{diagram.n_features} → {diagram.n_hidden}, {fixed}")
    ax.margins(x=0)
    title = {"title": "thick: lowest, thin: metastable\n○: ceases to be a minimum", "title_fontsize": "small"}
    legend = ax.legend(named.values(), named.keys(), alignment="left", **title, **BESIDE)
    return {"sheets": artists, "ends": dots, "legend": legend}


def _cut(diagram, importance, density):
    """The axis along the cut, the fixed parameter in words, and the flat indices of the cells."""
    importance = diagram.importance[0] if importance is None and diagram.importance.size == 1 and density is None else importance
    density = diagram.density[0] if density is None and diagram.density.size == 1 and importance is None else density
    if (importance is None) == (density is None):
        raise ValueError(f"exactly one of importance and density must be given, got {importance} and {density}")
    flat = np.arange(diagram.loss.size).reshape(diagram.loss.shape)
    if density is None:
        column = nearest(diagram.importance, positive_array("importance", importance))
        return diagram.density, f"importance {diagram.importance[column]:.4g}", flat[:, column]
    row = nearest(diagram.density, positive_array("density", density))
    return diagram.importance, f"density {diagram.density[row]:.4g}", flat[row]


def _sheets(diagram, cells):
    """Join the minima of neighbouring cells: a list of (positions along the cut, relative excess loss, phases)."""
    m, n = diagram.n_hidden, diagram.n_features
    growing, done = [], []
    for position, cell in enumerate(cells):
        row, column = np.unravel_index(cell, diagram.loss.shape)
        x = diagram.minima[diagram.minima_cell == cell]
        weights, bias = parts(x, m)
        model = cell_model(n, m, diagram.importance[column], diagram.density[row], diagram.activation)
        excess = expected_loss(model, weights, bias) / diagram.loss[row, column] - 1
        keys = invariants(x, m, (tuple(range(n - 1)), (n - 1,)))
        names = [phase.name for phase in classify_many(weights)]
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
