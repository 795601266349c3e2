"""The plots of a page, made with Bokeh: empty, filled by the page's script, which finds their sources by name."""

from typing import Any

_TICK = "return String(Number(tick.toPrecision(4)))"
_INK, _PAPER = "black", "white"
_WHOLE: Any = "annotation"
"""The level of markers, which are whole at the edge of a plot."""
_LETTERS: dict[str, Any] = {
    "text_align": "center",
    "text_baseline": "middle",
    "text_font_size": "15px",
    "text_font_style": "bold",
    "text_color": _INK,
    "background_fill_color": _PAPER,
    "background_fill_alpha": 0.85,
    "border_radius": 3,
    "padding": 2,
}


def plots(plane, windows):
    """Return the JSON items of the plots of a page by their names: "map", and the cuts "cut-x" and "cut-y".

    windows : (lowest, highest) along x and along y.
    """
    from bokeh.embed import json_item

    figures = {"map": _map(plane, windows), "cut-x": _cut(plane.x, windows[0]), "cut-y": _cut(plane.y, windows[1])}
    return {name: json_item(figure, f"plot-{name}") for name, figure in figures.items()}


def script():
    """The text of Bokeh's own script, without widgets and the rest."""
    from bokeh.resources import Resources

    return "\n".join(Resources(mode="inline", components=["bokeh"], log_level="warn").js_raw)


def _figure(x, window, **settings):
    """An empty figure along an axis that fills its place on the page."""
    from bokeh.models import CustomJSTickFormatter, FixedTicker, Range1d
    from bokeh.plotting import figure

    kinds = {"x_axis_type": "log" if x.log else "linear", "x_range": Range1d(*window, bounds=tuple(window))}
    room: dict[str, Any] = {"toolbar_location": None, "sizing_mode": "stretch_both", "min_border_right": 16, "min_border_top": 10}
    plot = figure(**{"tools": "", **room, **kinds, **settings})
    plot.xaxis.axis_label = x.label
    for axis in (*plot.xaxis, *plot.yaxis):
        axis.formatter, axis.ticker = CustomJSTickFormatter(code=_TICK), FixedTicker(ticks=[])
        axis.axis_label_text_font_style, axis.axis_label_text_font_size = "normal", "14px"
        axis.major_label_text_font_size, axis.axis_label_text_color, axis.major_label_text_color = "13px", _INK, _INK
    plot.border_fill_color = plot.background_fill_color = _PAPER
    return plot


def _source(name, *columns, **filled):
    """An empty table that the page's script fills."""
    from bokeh.models import ColumnDataSource

    return ColumnDataSource(name=name, data={**{column: [] for column in columns}, **filled})


def _map(plane, windows):
    """The plot of the phases over a plane, its curves and points."""
    import numpy as np
    from bokeh.core.properties import value
    from bokeh.models import PanTool, Range1d

    (left, right), (low, high) = windows
    pan: Any = PanTool()
    kinds = {"y_axis_type": "log" if plane.y.log else "linear", "y_range": Range1d(low, high, bounds=(low, high))}
    plot = _figure(plane.x, windows[0], tools=[pan], name="map", **kinds)
    plot.yaxis.axis_label = plane.y.label
    plot.grid.visible = False
    blank = {"image": [np.zeros((1, 1), dtype=np.uint32)], "x": [left], "y": [low], "dw": [right - left], "dh": [high - low]}
    plot.image_rgba(source=_source("image", **blank))
    lines = {"xs": "xs", "ys": "ys"}
    plot.multi_line(**lines, source=_source("spinodals", "xs", "ys"), line_color=_PAPER, line_width=4)
    plot.multi_line(**lines, source=_source("spinodal-dots", "xs", "ys"), line_color=_INK, line_width=2, line_dash=value([2, 4]))
    plot.multi_line(**lines, source=_source("border", "xs", "ys"), line_color=_INK, line_width=1)
    for order, dash in (("first", "solid"), ("continuous", value([8, 4]))):
        plot.multi_line(**lines, source=_source(order, "xs", "ys"), line_color=_INK, line_width=2, line_dash=dash)
    plot.scatter("x", "y", source=_source("differs", "x", "y"), marker="x", size=6, line_color=_PAPER, line_width=3)
    plot.scatter("x", "y", source=_source("differs-ink", "x", "y"), marker="x", size=6, line_color=_INK, line_width=1.2)
    looks = {
        "triple point": ("circle", _INK, 8),
        "order changes": ("diamond", _PAPER, 12),
        "critical point": ("circle", _PAPER, 8),
    }
    looks |= {"first crossing": ("circle", _INK, 5), "continuous crossing": ("circle", _PAPER, 5)}
    for kind, (marker, fill, size) in looks.items():
        source = _source(kind, "x", "y")
        plot.scatter(
            "x", "y", source=source, marker=marker, size=size, fill_color=fill, line_color=_INK, line_width=1.5, level=_WHOLE
        )
    cross = _source("chosen", "xs", "ys")
    plot.multi_line(**lines, source=cross, line_color=_PAPER, line_width=3.5, line_alpha=0.8)
    plot.multi_line(**lines, source=cross, line_color=_INK, line_width=1.2)
    plot.text("x", "y", "text", source=_source("labels", "x", "y", "text"), **_LETTERS)
    spot = {"marker": "circle", "size": 13, "fill_color": None, "level": _WHOLE}
    plot.scatter("x", "y", source=_source("spot", "x", "y"), line_color=_PAPER, line_width=5, **spot)
    plot.scatter("x", "y", source=_source("spot-ink", "x", "y"), line_color=_INK, line_width=2, **spot)
    return plot


def _cut(axis, window):
    """The plot of all losses along an axis."""
    from bokeh.core.properties import value
    from bokeh.models import Range1d

    plot = _figure(axis, window, y_range=Range1d(0, 1))
    for name, width in (("lowest", 6.0), ("metastable", 2.5)):
        source = _source(name, "xs", "ys", "colour", "dash")
        plot.multi_line("xs", "ys", source=source, line_color="black", line_width=width + 1.5)
        plot.multi_line("xs", "ys", source=source, line_color="colour", line_width=width, line_dash="dash")
    dots = {"marker": "circle", "size": 7, "line_color": _INK, "level": _WHOLE}
    plot.scatter("x", "y", source=_source("dots", "x", "y", "colour"), fill_color="colour", **dots)
    plot.scatter("x", "y", source=_source("ends", "x", "y"), fill_color=_PAPER, **dots)
    plot.text("x", "y", "text", source=_source("letters", "x", "y", "text"), **_LETTERS)
    plot.multi_line("xs", "ys", source=_source("here", "xs", "ys"), line_color=_INK, line_dash=value([4, 4]))
    return plot
