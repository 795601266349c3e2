"""Drawings of directions on a circle or sphere, and of the products between them."""

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.patches import Circle

from .._arguments import real_array
from .frames import legend_below, square, without_axes
from .page import Figure

# Rows: to the right, up, towards the eye.
_VIEW = np.linalg.svd([[-0.78, 0.62, 0.0], [-0.25, -0.32, 0.91], [0.57, 0.71, 0.40]])
_VIEW = _VIEW[0] @ _VIEW[2]
_MARKS = (("#000000", "o", 6.5), ("#D55E00", "x", 5.5), ("#0072B2", "+", 7.0), ("#009E73", "^", 3.5))


def draw_directions(weights, ax, *, colour="#0072B2"):
    """Draw the directions of the columns of a matrix as points on the unit circle or sphere.

    On a circle with their radii; on a sphere with the edges of their convex hull, hidden points and edges pale.

    Parameters
    ----------
    weights : array_like, shape (2 or 3, n_features)
        Columns of zeros are left out.
    ax : matplotlib.axes.Axes
    colour : colour of matplotlib

    Returns
    -------
    dict
        "points" (PathCollection) and "edges" (LineCollection).

    Raises
    ------
    ValueError
        When weights are not one finite matrix with two or three rows.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from phasediag.figures import draw_directions
    >>> square = [[1.0, 0.0, -1.0, 0.0], [0.0, 1.0, 0.0, -1.0]]
    >>> len(draw_directions(square, Figure().subplots())["points"].get_offsets())
    4
    """
    weights = real_array("weights", weights)
    if weights.ndim != 2 or len(weights) not in (2, 3):
        raise ValueError(f"weights must have shape (2, n_features) or (3, n_features), got {weights.shape}")
    norm = np.linalg.norm(weights, axis=0)
    unit = weights[:, norm > 0] / norm[norm > 0]
    place = (unit if len(unit) == 2 else (_VIEW @ unit)[:2]).T
    if len(unit) == 2:
        in_front = np.ones(len(place), dtype=bool)
        edges = [((0, 0), point, True) for point in place]
    else:
        in_front, pairs = _hull(unit)
        edges = [(place[i], place[j], visible) for i, j, visible in pairs]
    looks = [("0.25", 1.3) if visible else ("0.78", 0.8) for *_, visible in edges]
    style = {"colors": [look[0] for look in looks], "linewidths": [look[1] for look in looks], "capstyle": "round"}
    edges = LineCollection([(start, end) for start, end, _ in edges], zorder=1, **style)
    ax.add_patch(Circle((0, 0), 1, fill=False, edgecolor="0.6", linewidth=0.8, linestyle=":"))
    ax.add_collection(edges)
    faces = np.where(in_front, colour, "white")
    points = ax.scatter(*place.T, s=42, c=faces, edgecolors=colour, linewidths=1.2, zorder=2)
    square(ax, 1.15)
    without_axes(ax)
    return {"points": points, "edges": edges}


def draw_products(configurations, ax):
    """Draw the products of all pairs of unit vectors, largest first: what congruent configurations have in common.

    Parameters
    ----------
    configurations : mapping of str to array_like of shape (n_dimensions, n_points)
        At most four, by label; columns without zeros.
    ax : matplotlib.axes.Axes

    Returns
    -------
    list of matplotlib.lines.Line2D

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from phasediag.figures import draw_products
    >>> square = [[1.0, 0.0, -1.0, 0.0], [0.0, 1.0, 0.0, -1.0]]
    >>> (line,) = draw_products({"square": square}, Figure().subplots())
    >>> sorted(line.get_ydata().tolist())
    [-1.0, -1.0, 0.0, 0.0, 0.0, 0.0]
    """
    lines = []
    ax.axhline(0, color="0.6", linewidth=0.8)
    for (label, points), (colour, marker, size) in zip(configurations.items(), _MARKS, strict=False):
        unit = points / np.linalg.norm(points, axis=0)
        products = np.sort((unit.T @ unit)[np.triu_indices(unit.shape[1], 1)])[::-1]
        style = {"color": colour, "marker": marker, "markersize": size, "linestyle": ""}
        fill = {"markerfacecolor": "none"} if marker in "o^" else {}
        lines += ax.plot(np.arange(1, products.size + 1), products, label=label, markeredgewidth=1.1, **style, **fill)
    ax.set_xlabel("pair", fontsize="small")
    ax.set_ylabel("product of directions", fontsize="small")
    ax.set(ylim=(-1.08, 1.08), yticks=[-1, -0.5, 0, 0.5, 1])
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.tick_params(labelsize="small")
    return lines


def thomson_figure(rows):
    """Compose a figure of configurations side by side, turned so that they look alike, with the products of their pairs.

    Parameters
    ----------
    rows : mapping of str to mapping of str to SphereConfiguration or array_like of shape (n_dimensions, n_points)
        For each row's title, the same one to four labels and configurations in 2 or 3 dimensions; that a configuration is
        not rigid is written below it.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from phasediag.figures import thomson_figure
    >>> square = [[1.0, 0.0, -1.0, 0.0], [0.0, 1.0, 0.0, -1.0]]
    >>> len(thomson_figure({"four points": {"square": square}}).axes)  # and the products
    2
    """
    columns = max(map(len, rows.values()))
    figure = Figure(figsize=(2.1 * columns + 3.4, 2.1 * len(rows) + 0.7), layout="constrained")
    panels = figure.subplots(len(rows), columns + 1, squeeze=False, width_ratios=[1] * columns + [1.35])
    for i, (title, row) in enumerate(rows.items()):
        points = {label: getattr(one, "points", one) for label, one in row.items()}
        drawn = [_axis_up(next(iter(points.values())))]
        for ax, (label, one), (colour, _, _) in zip(panels[i], row.items(), _MARKS, strict=False):
            # like the most similar of those before it
            views = [turned(points[label], other) for other in drawn]
            drawn.append(max(zip(views, drawn, strict=True), key=lambda pair: round(np.sum(pair[0] * pair[1]), 6))[0])
            draw_directions(drawn[-1], ax, colour=colour)
            if not getattr(one, "is_rigid", True):
                ax.set_xlabel("one of a continuum", fontsize="x-small", labelpad=1)
            if i == 0:
                ax.set_title(label, fontsize="small")
        panels[i, 0].set_ylabel(title)
        for ax in panels[i, len(row) : -1]:
            ax.set_axis_off()
        lines = draw_products(points, panels[i, -1])
        if i < len(rows) - 1:
            panels[i, -1].set_xlabel("")
    legend_below(figure, lines, columns)
    return figure


def turned(points, to, n_trials=200):
    """Return points rotated or reflected, and reordered, to lie near the points of ``to``: the best of many trials.

    Parameters
    ----------
    points, to : array_like, shape (n_dimensions, n_points)
    n_trials : int
    """
    from scipy.optimize import linear_sum_assignment

    points, target = (np.asarray(x) / np.linalg.norm(x, axis=0) for x in (points, to))
    generator = np.random.default_rng(0)
    best, closest = points, -np.inf
    for _ in range(n_trials):
        rotation = np.linalg.qr(generator.normal(size=(len(points), len(points))))[0]
        for _ in range(10):
            order = linear_sum_assignment(-target.T @ rotation @ points)[1]
            left, _, right = np.linalg.svd(target @ points[:, order].T)
            rotation = left @ right
        moved = rotation @ points[:, order]
        if np.sum(target * moved) > closest + 1e-9:
            best, closest = moved, np.sum(target * moved)
    return best


def _axis_up(points):
    """Return unit points turned so that the direction along which their spread differs most from that of others is the last."""
    unit = points / np.linalg.norm(points, axis=0)
    spread, axes = np.linalg.eigh(unit @ unit.T)
    upright = np.argsort(np.abs(spread - np.median(spread)))
    return axes[:, upright].T @ unit


def _hull(unit):
    """Which points are on the visible side of their convex hull, and its edges as (point, point, visible).

    Without edges when the points lie in a plane.
    """
    from scipy.spatial import ConvexHull, QhullError

    in_front = np.zeros(unit.shape[1], dtype=bool)
    try:
        hull = ConvexHull(unit.T)
    except QhullError:
        return _VIEW[2] @ unit > -1e-9, []
    normals = hull.equations[:, :3]
    facing = normals @ _VIEW[2] > 0
    in_front[np.unique(hull.simplices[facing])] = True
    edges = []
    for i, (face, others) in enumerate(zip(hull.simplices, hull.neighbors, strict=True)):
        for corner, other in enumerate(others):
            flat = normals[i] @ normals[other] > 1 - 1e-6
            if i < other and not flat:
                edges.append((*np.delete(face, corner).tolist(), bool(facing[i] or facing[other])))
    return in_front, edges
