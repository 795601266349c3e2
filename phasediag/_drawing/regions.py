"""Regions of a diagram as images: sharp at its boundary curves, smooth between them."""

import numpy as np

FINENESS = 480
"""Pixels along each axis of the image, about as many as a panel of a figure has."""


def limits(axis):
    """First and last value of an Axis; around the value of one that has but one."""
    low, high = axis.values[[0, -1]]
    if low == high:
        low, high = axis.value(axis.coordinate(low) + np.log([0.5, 2]))
    return low, high


def whole(diagram):
    """The window that shows all of a diagram: (lowest, highest x), (lowest, highest y)."""
    return limits(diagram.plane.x), limits(diagram.plane.y)


def cell_edges(diagram):
    """Edges of a diagram's cells along x and y: in the middle between the coordinates of neighbouring values."""
    edges = []
    for axis, (low, high) in zip((diagram.plane.x, diagram.plane.y), whole(diagram), strict=True):
        places = axis.coordinate(axis.values)
        edges.append(np.concatenate([[low], axis.value((places[:-1] + places[1:]) / 2), [high]]))
    return tuple(edges)


def nearest(axis, value):
    """The index of the value of an Axis that is nearest to a value."""
    return int(np.argmin(np.abs(axis.coordinate(axis.values) - axis.coordinate(value))))


def pixel_edges(plane, window):
    """Edges of the pixels along x and y, equal steps of their coordinates."""
    axes = zip((plane.x, plane.y), window, strict=True)
    return tuple(axis.value(np.linspace(*axis.coordinate(np.array(ends)), FINENESS + 1)) for axis, ends in axes)


def curves_of(diagram):
    """The boundaries of a diagram that have been computed; none otherwise."""
    return () if diagram.curves is None else diagram.curves.boundaries


def enclosed(diagram, window):
    """Number, from 1, the regions that the computed boundary curves of a diagram enclose in a window as in `whole`.

    Returns the numbers, of int, and which pixels are those of curves, of bool, both of shape (FINENESS, FINENESS) with axes
    (y, x); the pixels of the curves themselves get the number of a region beside them. Curves that end within a
    cell's width of another one are taken to meet it: a piece shorter than a cell may have been missed.
    """
    from scipy.ndimage import distance_transform_edt, label

    curve = np.zeros((FINENESS, FINENESS), dtype=bool)
    plane = diagram.plane
    paths = [plane.coordinates(b.x, b.y) for b in curves_of(diagram)]
    ends = plane.coordinates(*np.array(window)).T
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
    axes = diagram.plane.x, diagram.plane.y
    reach = 1.5 * max(np.max(np.diff(axis.coordinate(axis.values)), initial=0.0) for axis in axes)
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

    The regions are those of `enclosed`; values, shape (n_y, n_x), are not used where they are masked. Smooth:
    linear between cells; otherwise a pixel takes the value of the nearest cell of its region. Shape (FINENESS, FINENESS).
    """
    from scipy.ndimage import distance_transform_edt, map_coordinates

    number, curve = regions
    axes = diagram.plane.x, diagram.plane.y
    places = [axis.coordinate(axis.values) for axis in axes]
    edges = [axis.coordinate(some) for axis, some in zip(axes, pixel_edges(diagram.plane, window), strict=True)]
    middles = [0.5 * (some[1:] + some[:-1]) for some in edges]
    column, row = (np.interp(x, place, np.arange(place.size)) for x, place in zip(middles, places, strict=True))
    place = np.meshgrid(row, column, indexing="ij")
    across, along = (_pixel(x, place) for x, place in zip(middles, places, strict=True))
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
