"""Drawing of an Inspection: the columns of W of the given weights beside those of the minima they are near or miss."""

from textwrap import wrap

from ..inspection import turned
from .columns import draw_columns
from .frames import same_scale
from .page import Figure

MOST_UPRIGHT = 16
"""Of more features the numbers below a matrix of products are turned."""


def inspection_figure(inspection):
    """Compose a figure of the columns of W: as given, at the nearest minimum and, if that is another, at the lowest.

    The minima are rotated towards the given weights.

    Parameters
    ----------
    inspection : Inspection

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from phasediag import ToyModel, inspect
    >>> from phasediag.figures import inspection_figure
    >>> found = inspect(ToyModel(n_hidden=1, importance=[1.0, 0.9], density=0.1), [[0.9, -1.1]], [0.0, 0.0])
    >>> len(inspection_figure(found).axes)  # as given, at the nearest minimum, which is the lowest
    2
    """
    nearest, lowest = inspection.nearest, inspection.minima[0] if inspection.metastable else None
    panels = [("given weights", inspection), ("nearest minimum", nearest)]
    panels += [("global minimum", lowest)] if lowest is not None else []
    titles = []
    for name, one in panels:
        above = f"\n{100 * (one.loss / lowest.loss - 1):.3g} % above the global" if lowest not in (None, one) else ""
        titles.append("\n".join([name, *_packed(one.phase.name), f"loss {one.loss:.8g}{above}"]))
    width = min(max(3.6, 0.24 * inspection.model.n_features), 9.0)
    height = width + 0.24 * max(title.count("\n") + 2 for title in titles)
    figure = Figure(figsize=(width * len(panels), height), layout="constrained")
    for ax, (_, one), title in zip(figure.subplots(1, len(panels)), panels, titles, strict=True):
        draw_columns(turned(one.weights, inspection.weights), ax)
        ax.set_title(title, fontsize="small")
        if inspection.model.n_features > MOST_UPRIGHT:
            ax.tick_params(axis="x", labelrotation=90)
    if inspection.model.n_hidden <= 3:
        same_scale(figure.axes)
    return figure


def _packed(name, width=34):
    """The parts of a phase's name on as few lines, each a str, as their length allows."""
    bound = name.replace(" ", "\0").replace("\0+", " +")  # lines break before a plus alone
    return [line.replace("\0", " ") for line in wrap(bound, width, break_long_words=False, break_on_hyphens=False)]
