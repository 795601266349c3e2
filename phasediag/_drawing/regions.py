"""Regions of a diagram as images: sharp at its boundary curves, smooth between them."""

from collections import Counter

import numpy as np

from ..theories import TIE_MARK

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


def names_of(diagrams):
    """The names of all phases that are lowest in a cell of some diagrams or on a side of their curves, a set."""
    cells = {name for diagram in diagrams for joined in np.unique(diagram.phase.astype(str)) for name in joined.split(TIE_MARK)}
    return cells | {name for diagram in diagrams for boundary in curves_of(diagram) for name in boundary.phases}


def enclosed(diagram, window):
    """Number, from 1, the regions that the computed boundary curves of a diagram enclose in a window as in `whole`.

    Returns the numbers, of int, and which pixels are those of curves, of bool, both of shape (FINENESS, FINENESS) with axes
    (y, x); the pixels of the curves themselves get the number of a region beside them. Curves that end within a
    cell's width of another one are taken to meet it: a piece shorter than a cell may have been missed.
    """
    from scipy.ndimage import distance_transform_edt, label

    curve = np.zeros((FINENESS, FINENESS), dtype=bool)
    for row, column, _ in _traces(diagram, window):
        curve[row, column] = True
    number, _ = label(~curve)
    if not number.any():
        return np.ones_like(number), np.zeros_like(curve)
    beside = distance_transform_edt(number == 0, return_distances=False, return_indices=True)
    return number[tuple(beside)], curve


def _traces(diagram, window):
    """Of each boundary the rows and columns of places along it in a window, four a pixel, and which of its points (a float) each
    is: beyond the first and the last one where it is carried on to another curve."""
    plane = diagram.plane
    ends, traces = plane.coordinates(*np.array(window)).T, []
    for path, first in _carried_on(diagram, [plane.coordinates(b.x, b.y) for b in curves_of(diagram)]):
        place = (path - ends[:, 0]) / (ends[:, 1] - ends[:, 0]) * FINENESS
        along = np.concatenate([[0.0], np.cumsum(np.max(np.abs(np.diff(place, axis=0)), axis=1))])
        dense = np.linspace(0, along[-1], int(4 * along[-1]) + 2)
        column, row = (np.interp(dense, along, x) for x in place.T)
        near = (np.minimum(column, row) > -1) & (np.maximum(column, row) < FINENESS + 1)
        column, row = (np.clip(x[near].astype(int), 0, FINENESS - 1) for x in (column, row))
        traces.append((row, column, np.interp(dense[near], along, first + np.arange(len(path)))))
    return traces


def _carried_on(diagram, paths):
    """The paths of boundaries, (n_points, 2) each, carried on from ends within the diagram to the nearest point of another one
    where that is near; with each the number of its first point: -1 where one was put before that of the boundary."""
    axes = diagram.plane.x, diagram.plane.y
    reach = 1.5 * max(np.max(np.diff(axis.coordinate(axis.values)), initial=0.0) for axis in axes)
    for k, (boundary, path) in enumerate(zip(curves_of(diagram), paths, strict=True)):
        others = np.concatenate([np.empty((0, 2)), *paths[:k], *paths[k + 1 :]])
        more = []
        for end, kind in zip((path[0], path[-1]), boundary.ends or ("edge", "edge"), strict=True):
            distance = np.linalg.norm(others - end, axis=1)
            meets = kind not in ("edge", "closed", "critical point") and np.min(distance, initial=np.inf) < reach
            more.append(others[[np.argmin(distance)]] if meets else np.empty((0, 2)))
        yield np.concatenate([more[0], path, more[1]]), -len(more[0])


def phase_image(diagram, window, regions, number):
    """The number of the phase at each pixel, shape (FINENESS, FINENESS), for `spread`'s arguments.

    number : dict, from the names of phases, alone and joined, to their numbers.
    """
    names = diagram.phase.ravel().tolist()
    cells = np.array([number[name] for name in names]).reshape(diagram.phase.shape)
    tied = np.array([TIE_MARK in name for name in names]).reshape(cells.shape)  # such a cell lies on a boundary
    sides = [[number[name] for name in boundary.phases] for boundary in curves_of(diagram)]
    return spread(diagram, window, regions, np.ma.array(cells, mask=tied & ~tied.all()), sides, smooth=False)


def spread(diagram, window, regions, values, sides, *, smooth):
    """Carry values of the cells to the pixels of a window, without crossing a boundary curve.

    The regions are those of `enclosed`; values, shape (n_y, n_x), are not used where they are masked. Smooth:
    linear between cells; otherwise a pixel takes the value of the nearest cell of its region. A region without such cells takes
    what its curves say: sides holds for each boundary the value on its two sides, or values, shape (2, n_points). Shape
    (FINENESS, FINENESS).
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
    home = np.where(seen & ~np.ma.getmaskarray(values), number[at], 0)
    data, image = np.ma.getdata(values), np.empty(number.shape, dtype=np.ma.getdata(values).dtype)
    told = _told(diagram, window, number, home)
    for region in np.unique(number):
        here = number == region
        if told.get(region):
            said, known = np.empty_like(image), np.zeros(image.shape, dtype=bool)
            for k, side, (row, column, point) in told[region]:
                along_curve = np.broadcast_to(sides[k][side], curves_of(diagram)[k].x.shape)
                said[row, column], known[row, column] = np.interp(point, np.arange(along_curve.size), along_curve), True
            closest = distance_transform_edt(~known, return_distances=False, return_indices=True)
            image[here] = said[tuple(closest)][here]
        else:
            inside = ~np.ma.getmaskarray(values) if region in told else home == region
            closest = distance_transform_edt(~inside, return_distances=False, return_indices=True)
            image[here] = map_coordinates(data[tuple(closest)], [x[here] for x in place], order=int(smooth), mode="nearest")
    return image


def _told(diagram, window, number, home):
    """What curves say of the regions that are no cell's home, a dict: number and side of each boundary with its phase, its trace.

    That is the phase which the longest curves around it have on a side; where these have two, the one that is less beyond them.
    number : as of `enclosed`; home : the region of each cell, 0 for cells that have none, (n_y, n_x).
    """
    from scipy.ndimage import binary_dilation

    bare, told = np.setdiff1d(number, home), {}
    phases = {region: Counter(diagram.phase[home == region].tolist()).most_common(1)[0][0] for region in np.unique(home)}
    traces = _traces(diagram, window) if bare.size else []
    for region in bare:
        here = number == region
        near = binary_dilation(here, np.ones((3, 3)), 2)
        beyond, length = Counter(phases.get(other) for other in number[near & ~here].tolist()), Counter()
        for boundary, trace in zip(curves_of(diagram), traces, strict=True):
            length.update(dict.fromkeys(boundary.phases, int(near[trace[:2]].sum())))
        own = max(length, key=lambda name: (length[name], -beyond[name]), default=None)
        told[region] = [
            (k, boundary.phases.index(own), trace)
            for k, (boundary, trace) in enumerate(zip(curves_of(diagram), traces, strict=True))
            if own in boundary.phases and near[trace[:2]].any()
        ]
    return told


def _pixel(middles, positions):
    """The pixel in which each cell of an axis lies, −1 outside the window."""
    half = 0.5 * (middles[1] - middles[0])
    pixel = np.floor((positions - middles[0] + half) / (2 * half)).astype(int)
    pixel[np.abs(positions - middles[0] + half) < 1e-9] = 0
    pixel[np.abs(positions - middles[-1] - half) < 1e-9] = middles.size - 1
    return np.where((pixel >= 0) & (pixel < middles.size), pixel, -1)
