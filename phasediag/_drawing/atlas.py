"""The atlas: density across, a row for each n → m, a piece for each phase."""

from collections import Counter
from itertools import pairwise
from textwrap import wrap

from matplotlib import colormaps
from matplotlib.colors import Normalize
from matplotlib.lines import Line2D

from .frames import legend_below, patch
from .page import Figure

_LETTER = 0.0056
"""Of a name, as a share of the width."""
_LINES = 3
"""So many lines of names fit into a row."""
_STYLES = {"first": ("-", "first order: two minima cross"), "continuous": ("--", "continuous: one becomes the other")}


def draw_atlas(rows, ax):
    """Draw rows of the atlas: linear in the density; solid edges where two minima cross, dashed where one turns into another.

    Colours are the number of represented features per dimension; names stand where there is room, with numbers where neighbours
    are different minima of one name.

    Parameters
    ----------
    rows : sequence of Atlas
    ax : matplotlib.axes.Axes

    Returns
    -------
    dict
        Artists: "phases" (rectangles), "transitions" (lines), "names" (texts).

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from phasediag import atlas
    >>> from phasediag.figures import draw_atlas
    >>> len(draw_atlas([atlas(3, 2)], Figure().subplots())["phases"])
    2
    """
    phases, transitions, names = [], [], []
    for y, row in enumerate(rows):
        alike = Counter()
        beside = {one.name for one, other in pairwise(row.phases) if one.name == other.name}
        for phase in row.phases:
            width = phase.high - phase.low
            dropped = sum(norm < 1e-3 for norm in (phase.weights**2).sum(axis=0) ** 0.5)
            colour = _colour((row.n_features - dropped) / row.n_hidden)
            phases += ax.barh(y, width, left=phase.low, height=0.9, color=colour)
            alike[phase.name] += 1
            number = str(alike[phase.name]) if phase.name in beside else ""
            text = _fitting(phase.name + f" ({number})" * bool(number), number, width)
            if text:
                names.append(ax.text(0.5 * (phase.low + phase.high), y, text, ha="center", va="center", size=6))
        for one in row.transitions:
            transitions += ax.plot([one.density] * 2, [y - 0.45, y + 0.45], _STYLES[one.order][0], color="black", linewidth=1)
    ax.set(yticks=range(len(rows)), yticklabels=[f"{row.n_features} → {row.n_hidden}" for row in rows], xlabel="density")
    ax.set(xlim=(0, 1), ylim=(len(rows) - 0.5, -0.5))
    return {"phases": phases, "transitions": transitions, "names": names}


def _colour(per_dimension):
    """The colour of so many represented features per dimension: pale for one, darker up to four and more."""
    return colormaps["YlGnBu"](0.05 + 0.5 * Normalize(1.0, 4.0, clip=True)(per_dimension))


def _fitting(name, number, width):
    """A phase's name, over as many lines as its piece needs; its number alone, or nothing, where that has no room."""
    for text in (name, number):
        lines = wrap(text, max(int(width / _LETTER), 1), break_long_words=False, break_on_hyphens=False)
        if len(lines) <= _LINES and max(map(len, lines), default=0) * _LETTER <= width:
            return "\n".join(lines)
    return ""


def atlas_figure(rows):
    """Compose the figure of an Atlas, or of several, one row each.

    Parameters
    ----------
    rows : Atlas or sequence of Atlas

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from phasediag import atlas
    >>> from phasediag.figures import atlas_figure
    >>> len(atlas_figure([atlas(3, 2), atlas(4, 2)]).axes)
    1
    """
    rows = [*rows] if isinstance(rows, list | tuple) else [rows]
    figure = Figure(figsize=(10, 1.9 + 0.42 * len(rows)), layout="constrained")
    draw_atlas(rows, figure.subplots())
    handles = [
        patch(_colour(k), f"{k}{' or more' * (k == 4)} represented feature{'s' * (k > 1)} per dimension") for k in (1, 2, 3, 4)
    ]
    orders = {one.order for row in rows for one in row.transitions}
    handles += [
        Line2D([], [], color="black", linestyle=style, label=text) for order, (style, text) in _STYLES.items() if order in orders
    ]
    beside = any(one.name == other.name for row in rows for one, other in pairwise(row.phases))
    handles += [Line2D([], [], linestyle="", label="1, 2, …: different minima of one name")] * beside
    legend_below(figure, handles, 3)
    return figure
