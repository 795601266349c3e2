"""Drawings of the columns of W: the directions in which features are stored."""

import numpy as np

from .._arguments import real_array, real_matrix
from ..colours import EXTRA_COLOUR, ORDINARY_COLOUR
from .frames import draw_matrix, feature_names, square, without_axes
from .labels import draw_labels
from .regions import FINENESS, enclosed, nearest, pixel_edges

_VIEW = np.array([[-0.78, 0.62, 0.0], [-0.25, -0.32, 0.91]])  # rows: what points right and up, seen from one fixed place
_ABSENT = 1e-3  # norms below this are drawn as dots


def draw_columns(weights, ax, *, labels=True):
    """Draw the columns of a weight matrix as arrows from the origin, the extra feature's in a colour of its own.

    Two hidden dimensions are drawn as they are, beside the unit circle; three as seen from a fixed place, beside the unit
    sphere. In one dimension each feature has a line of its own, since they would cover each other. With more than three, no
    drawing shows the angles: the matrix of products W_i·W_j is shown. A feature that is not represented is an open dot.

    Parameters
    ----------
    weights : array_like, shape (n_hidden, n_features)
        The last feature is the extra one.
    ax : matplotlib.axes.Axes
    labels : bool
        Write the features' numbers at the tips.

    Returns
    -------
    list of matplotlib artists
        One for each feature: arrow (Annotation) or dot (Line2D); for more than three dimensions one image.

    Raises
    ------
    ValueError
        When weights are not one finite matrix.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from phasediag.figures import draw_columns
    >>> antipodal = draw_columns([[1.0, -1.0]], Figure().subplots())
    >>> len(antipodal)
    2
    """
    weights = real_matrix("weights", weights)
    n_hidden, n_features = weights.shape
    names = feature_names(n_features)
    ax.set_aspect("equal")
    if n_hidden > 3:
        return [_draw_products(weights, ax, names)]
    without_axes(ax)
    ax.patch.set_visible(False)
    absent = np.linalg.norm(weights, axis=0) < _ABSENT
    reach = max(1.0, np.linalg.norm(weights, axis=0).max())
    edge = reach * ((1.35 if labels else 1.1) + (0.4 if n_hidden > 1 and absent.any() else 0.0))
    square(ax, edge)
    origins, tips = _draw_lines(weights, ax, reach) if n_hidden == 1 else _draw_circle(weights, ax, reach, absent, edge)
    colours = [*[ORDINARY_COLOUR] * (n_features - 1), EXTRA_COLOUR]
    artists = []
    for i, colour in enumerate(colours):
        if absent[i]:
            artists += ax.plot(*origins[i], "o", markersize=4.5, markerfacecolor="white", markeredgecolor=colour, zorder=3)
        else:
            style = {"arrowstyle": "-|>", "color": colour, "linewidth": 1.6, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 9}
            artists.append(ax.annotate("", tips[i], origins[i], arrowprops=style, zorder=3))
    if labels:
        _name_unit(ax, tips, absent, n_hidden)
        draw_labels(ax, names, origins, np.where(absent[:, None], origins, tips), colours)
    return artists


def draw_columns_on_diagram(diagram, ax, *, points=None, size=0.13):
    """Draw the columns of the lowest minimum at points of a diagram, each in a small round panel on top of it.

    Parameters
    ----------
    diagram : PhaseDiagram
        Already drawn on ``ax``.
    ax : matplotlib.axes.Axes
    points : sequence of (x, y), optional
        The nearest cells are taken. Default: one point in every region that is wide enough, as far from its boundary
        curves as possible.
    size : float
        Width of a panel as a share of the width of ``ax``.

    Returns
    -------
    list of matplotlib.axes.Axes
        One inset for each point.

    Raises
    ------
    ValueError
        When a point is not two numbers.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from phasediag import phase_diagram
    >>> from phasediag.figures import draw_columns_on_diagram, draw_phase_diagram
    >>> ax, diagram = Figure().subplots(), phase_diagram(importance=[0.5, 2.0], density=[0.1, 0.9], theory="frozen")
    >>> artists = draw_phase_diagram(diagram, ax)
    >>> len(draw_columns_on_diagram(diagram, ax, points=[(0.5, 0.1)]))
    1
    """
    from matplotlib.patches import Circle

    panels = []
    for x, y in _middles(diagram, ax, size) if points is None else _points(points):
        row, column = nearest(diagram.plane.y, y), nearest(diagram.plane.x, x)
        place = (diagram.x[column], diagram.y[row])
        left, bottom = ax.transAxes.inverted().transform(ax.transData.transform(place)) - size / 2
        panel = ax.inset_axes([left, bottom, size, size], zorder=5)
        draw_columns(diagram.weights[row, column], panel, labels=False)
        radius = panel.get_xlim()[1]
        panel.add_patch(
            Circle((0, 0), radius, facecolor="white", edgecolor="black", linewidth=0.6, alpha=0.9, zorder=-1, clip_on=False)
        )
        panels.append(panel)
    return panels


def _points(points):
    """Points of the plane as an array of shape (n_points, 2)."""
    points = real_array("points", points)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"points must have shape (n_points, 2), got {points.shape}")
    return points


def _draw_lines(weights, ax, reach):
    """Ticks at −1, 0 and 1, and a line for each feature from the top down: (origins, tips), each (n_features, 2)."""
    n_features = weights.shape[1]
    height = np.linspace(0.25, -0.25, n_features) * n_features / 2 * reach
    edge = height[0] + 0.2 * reach
    for x in (-1, 0, 1):
        ax.plot([x, x], [-edge, edge], color="0.7", linewidth=0.8, linestyle=":" if x else "-", zorder=0)
    return np.column_stack([np.zeros(n_features), height]), np.column_stack([weights[0], height])


def _draw_circle(weights, ax, reach, absent, edge):
    """The unit circle, and a row below it for features that are not represented: (origins, tips), each (n_features, 2)."""
    n_features = weights.shape[1]
    turn = np.linspace(0, 2 * np.pi, 181)
    ax.plot(np.cos(turn), np.sin(turn), color="0.7", linewidth=0.8, linestyle=":", zorder=0)
    tips = weights.T if len(weights) == 2 else (_VIEW @ weights).T
    origins = np.zeros((n_features, 2))
    count = np.count_nonzero(absent)
    origins[absent, 0] = (np.arange(count) - (count - 1) / 2) * min(0.3, 2.4 / max(count, 1)) * reach
    origins[absent, 1] = 0.4 * reach - edge
    return origins, tips


def _name_unit(ax, tips, absent, n_hidden):
    """Say what the dotted lines are: the numbers of the ticks, or length 1 of the circle, where no arrow (tips) points."""
    style = {"color": "0.45", "fontsize": "x-small", "ha": "center", "va": "center"}
    if n_hidden == 1:
        for x, name in zip((-1, 0, 1), ("−1", "0", "1"), strict=True):
            ax.annotate(name, (x, tips[-1, 1]), (0, -14), textcoords="offset points", **style)
        return
    angles = np.sort(np.append(np.arctan2(*tips[~absent].T[::-1]), -np.pi / 2 if absent.any() else []))
    gaps = np.diff(np.append(angles, angles[:1] + 2 * np.pi)) if angles.size else np.zeros(0)
    widest = angles[np.argmax(gaps)] + gaps.max() / 2 if angles.size else np.pi / 2
    place = 1.0 * np.array([np.cos(widest), np.sin(widest)])
    ax.annotate("length 1", place, 9 * place * (2.2, 1), textcoords="offset points", **style)


def _draw_products(weights, ax, names):
    """Draw the products of the columns as an image."""
    image = draw_matrix(weights.T @ weights, ax)
    ax.set_xlabel("$W_i\\cdot W_j$: red −1, white 0, blue 1", fontsize="x-small")
    ax.set_xticks(range(len(names)), names, fontsize="x-small")
    ax.set_yticks(range(len(names)), names, fontsize="x-small")
    for ticks in (ax.get_xticklabels(), ax.get_yticklabels()):
        ticks[-1].set_color(EXTRA_COLOUR)
    return image


def _middles(diagram, ax, size):
    """For each region the cell that is farthest from its boundary and from the edges of the diagram, where a panel fits."""
    from scipy.ndimage import distance_transform_edt

    window = tuple(sorted(ax.get_xlim())), tuple(sorted(ax.get_ylim()))
    number, _ = enclosed(diagram, window)
    x, y = pixel_edges(diagram.plane, window)
    found = []
    for region in np.unique(number):
        depth = distance_transform_edt(np.pad(number == region, 1))[1:-1, 1:-1]
        row, column = np.unravel_index(np.argmax(depth), depth.shape)
        if depth[row, column] > 0.6 * size * FINENESS:
            found.append((x[column], y[row]))
    return found
