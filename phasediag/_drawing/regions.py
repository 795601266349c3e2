"""Regions of a diagram as images: sharp at its boundary curves, smooth between them."""

import numpy as np

FINENESS = 480
"""Pixels along each axis of the image, about as many as a panel of a figure has."""


def limits(axis, most):
    """First and last value of an axis; around the value of an axis that has but one."""
    low, high = axis[0], axis[-1]
    return (low, high) if low < high else (low / 2, min(2 * high, most))


def whole(diagram):
    """The window that shows all of a diagram: (lowest, highest importance), (lowest, highest density)."""
    return limits(diagram.importance, np.inf), limits(diagram.density, 1.0)


def cell_edges(diagram):
    """Edges of a diagram's cells along importance and density: geometric means of neighbouring values."""
    return tuple(
        np.concatenate([[low], np.sqrt(axis[:-1] * axis[1:]), [high]])
        for axis, (low, high) in zip((diagram.importance, diagram.density), whole(diagram), strict=True)
    )


def nearest(axis, value):
    """The index of the entry of a logarithmic axis that is nearest to a value."""
    return int(np.argmin(np.abs(np.log(axis / value))))


def pixel_edges(window):
    """Edges of the pixels along importance and density, equal steps of their logarithms."""
    return tuple(np.geomspace(*ends, FINENESS + 1) for ends in window)


def curves_of(diagram):
    """The boundaries of a diagram that have been computed; none otherwise."""
    return () if diagram.curves is None else diagram.curves.boundaries


def enclosed(diagram, window):
    """Number, from 1, the regions that the computed boundary curves of a diagram enclose in a window as in `whole`.

    Returns the numbers, of int, and which pixels are those of curves, of bool, both of shape (FINENESS, FINENESS) with axes
    (density, importance); the pixels of the curves themselves get the number of a region beside them. Curves that end within a
    cell's width of another one are taken to meet it: a piece shorter than a cell may have been missed.
    """
    from scipy.ndimage import distance_transform_edt, label

    curve = np.zeros((FINENESS, FINENESS), dtype=bool)
    paths = [np.log([b.importance, b.density]).T for b in curves_of(diagram)]
    ends = np.log(window)
    for path in [*paths, *_bridges(diagram, paths)]:
        place = (path - ends[:, 0]) / (ends[:, 1] - ends[:, 0]) * FINENESS
        along = np.concatenate([[0.0], np.cumsum(np.max(np.abs(np.diff(place, axis=0)), axis=1))])
        dense = np.linspace(0, along[-1], int(4 * along[-1]) + 2)
        column, row = (np.interp(dense, along, x) for x in place.T)
        near = (np.minimum(column, row) > -1) & (np.maximum(column, row) < FINENESS + 1)
        column, row = (np.clip(x[near].astype(int), 0, FINENESS - 1) for x in (column, row))
        curve[row, column] = True
    number, _ = label(~curve)
    if not number.any():
        return np.ones_like(number), np.zeros_like(curve)
    beside = distance_transform_edt(number == 0, return_distances=False, return_indices=True)
    return number[tuple(beside)], curve


def _bridges(diagram, paths):
    """Straight lines from ends within the diagram to the nearest point of another curve, where that is near."""
    reach = 1.5 * max(np.max(np.diff(np.log(axis)), initial=0.0) for axis in (diagram.importance, diagram.density))
    lines = []
    for k, (boundary, path) in enumerate(zip(curves_of(diagram), paths, strict=True)):
        others = np.concatenate([np.empty((0, 2)), *paths[:k], *paths[k + 1 :]])
        for end, kind in zip((path[0], path[-1]), boundary.ends or ("edge", "edge"), strict=True):
            if kind in ("edge", "closed", "critical point") or not len(others):
                continue
            distance = np.linalg.norm(others - end, axis=1)
            if distance.min() < reach:
                lines.append(np.array([end, others[np.argmin(distance)]]))
    return lines


def spread(diagram, window, regions, values, *, smooth):
    """Carry values of the cells to the pixels of a window, without crossing a boundary curve.

    The regions are those of `enclosed`; values, shape (n_density, n_importance), are not used where they are masked. Smooth:
    linear between cells; otherwise a pixel takes the value of the nearest cell of its region. Shape (FINENESS, FINENESS).
    """
    from scipy.ndimage import distance_transform_edt, map_coordinates

    number, curve = regions
    axes = diagram.importance, diagram.density
    middles = [0.5 * (np.log(edges[1:]) + np.log(edges[:-1])) for edges in pixel_edges(window)]
    column, row = (np.interp(x, np.log(axis), np.arange(axis.size)) for x, axis in zip(middles, axes, strict=True))
    place = np.meshgrid(row, column, indexing="ij")
    across, along = (_pixel(x, np.log(axis)) for x, axis in zip(middles, axes, strict=True))
    at = np.ix_(along, across)
    seen = np.logical_and.outer(along >= 0, across >= 0) & ~curve[at]
    home = np.where(seen, number[at], 0)
    usable = ~np.ma.getmaskarray(values)
    data, image = np.ma.getdata(values), np.empty(number.shape, dtype=np.ma.getdata(values).dtype)
    for region in np.unique(number):
        inside = usable & (home == region)
        if not inside.any():
            inside = usable
        closest = distance_transform_edt(~inside, return_distances=False, return_indices=True)
        filled = data[tuple(closest)]
        here = number == region
        image[here] = map_coordinates(filled, [x[here] for x in place], order=1 if smooth else 0, mode="nearest")
    return image


def _pixel(middles, positions):
    """The pixel in which each cell of an axis lies, −1 outside the window."""
    half = 0.5 * (middles[1] - middles[0])
    pixel = np.floor((positions - middles[0] + half) / (2 * half)).astype(int)
    pixel[np.abs(positions - middles[0] + half) < 1e-9] = 0
    pixel[np.abs(positions - middles[-1] - half) < 1e-9] = middles.size - 1
    return np.where((pixel >= 0) & (pixel < middles.size), pixel, -1)
