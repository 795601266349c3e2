"""The atlas: density across, a row for each n → m, a piece for each phase."""

from matplotlib import colormaps
from matplotlib.colors import Normalize

from .page import Figure

_SHORT = {
    "not represented": "out",
    "antipodal": "",
    "features in": "in",
    "dimensions": "d",
    "dimension": "d",
    "dedicated": "single",
}
_NARROWEST = 0.055  # pieces that are narrower, as a share of the width, have no name
_LETTER = 0.0052  # of a name, as a share of the width


def draw_atlas(rows, ax):
    """Draw rows of the atlas: linear in the density; solid edges where two minima cross, dashed where one turns into another.

    Colours are the number of represented features per dimension, names stand where there is room.

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
    scale, colours = Normalize(1.0, 4.0, clip=True), colormaps["YlGnBu"]
    phases, transitions, names = [], [], []
    for y, row in enumerate(rows):
        for phase in row.phases:
            dropped = sum(norm < 1e-3 for norm in (phase.weights**2).sum(axis=0) ** 0.5)
            shade = scale((row.n_features - dropped) / row.n_hidden)
            phases += ax.barh(y, phase.high - phase.low, left=phase.low, height=0.9, color=colours(0.1 + 0.8 * shade))
            if phase.high - phase.low > _NARROWEST:
                text = _fitting(phase.name, phase.high - phase.low)
                place = 0.5 * (phase.low + phase.high), y
                names.append(ax.text(*place, text, ha="center", va="center", size=6, color="white" if shade > 0.5 else "black"))
        for one in row.transitions:
            style = "-" if one.order == "first" else "--"
            transitions += ax.plot([one.density] * 2, [y - 0.45, y + 0.45], style, color="black", linewidth=1)
    ax.set(yticks=range(len(rows)), yticklabels=[f"{row.n_features} → {row.n_hidden}" for row in rows], xlabel="density")
    ax.set(xlim=(0, 1), ylim=(len(rows) - 0.5, -0.5))
    return {"phases": phases, "transitions": transitions, "names": names}


def _fitting(name, width):
    """A phase's name in short, over as many lines as its piece needs."""
    for word, short in _SHORT.items():
        name = name.replace(word, short)
    name = " ".join(name.split())
    if len(name) * _LETTER < width:
        return name
    lines = name.replace(" + ", "\n+ ")
    return lines if max(map(len, lines.split("\n"))) * _LETTER < width and lines.count("\n") < 3 else "…"


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
    figure = Figure(figsize=(10, 1.2 + 0.42 * len(rows)), layout="constrained")
    draw_atlas(rows, figure.subplots())
    return figure
