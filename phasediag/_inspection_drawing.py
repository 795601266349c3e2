"""Drawing of an Inspection: the columns of W of the given weights beside those of the minima they are near or miss."""

from matplotlib.figure import Figure

from ._columns import draw_columns
from .inspection import turned


def inspection_figure(inspection):
    """Compose a figure of the columns of W: as given, at the nearest minimum and, if that is another, at the lowest.

    The minima are rotated towards the given weights.

    Parameters
    ----------
    inspection : Inspection

    Returns
    -------
    matplotlib.figure.Figure
    """
    nearest, lowest = inspection.nearest, inspection.minima[0] if inspection.metastable else None
    panels = [("given weights", inspection), ("nearest minimum", nearest)]
    panels += [("global minimum", lowest)] if lowest is not None else []
    figure = Figure(figsize=(3.6 * len(panels), 4.2), layout="constrained")
    for ax, (name, one) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        draw_columns(turned(one.weights, inspection.weights), ax)
        lines = [name, *one.phase.name.split(" + ")]
        lines[1:] = _packed(lines[1:])
        above = f", {100 * (one.loss / lowest.loss - 1):.3g} % above" if lowest is not None and one is not lowest else ""
        ax.set_title("\n".join([*lines, f"loss {one.loss:.8g}{above}"]), fontsize="small")
    return figure


def _packed(parts, width=34):
    """Parts of a phase's name on as few lines as their length allows."""
    lines = [parts[0]]
    for part in parts[1:]:
        if len(lines[-1]) + len(part) + 3 <= width:
            lines[-1] += f" + {part}"
        else:
            lines.append(f"+ {part}")
    return lines
