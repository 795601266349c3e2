"""Frames of the relaxed theory: the patterns of configurations that a state lies in, as masks of its own parameters.

A state of a narrow pattern, say with a feature that is not represented, lies in every wider one too, and is a minimum of the
theory only when it is one in each.
"""

import numpy as np

from .blocks import blocks


def frames_around(free, table):
    """The widest patterns around the weights that are ``free`` (n_hidden, n_features): a tuple of masks of all parameters.

    ``table``: the configurations. Ordinary features can be exchanged, and rows: a pattern is fitted to the clusters of the
    free weights. Features without weights are alike, so one choice of them stands for all.
    """
    n = free.shape[1]
    parts, masks = list(blocks(free)), {}
    for configuration in table:
        groups = [_Room(group, n - 1) for group in configuration.groups]
        for chosen in _assignments(parts, groups, n - 1):
            mask = _fitted(parts, chosen, groups, free.shape)
            masks[mask.tobytes()] = mask
    masks = masks.values()
    widest = [mask for mask in masks if not any(np.all(other >= mask) and np.any(other > mask) for other in masks)]
    return tuple(np.append(mask.ravel(), np.ones(n, dtype=bool)) for mask in widest)


class _Room:
    """What a group of a configuration has room for: so many ordinary features, the extra one or not, so many rows."""

    def __init__(self, group, extra):
        self.with_extra = extra in group
        self.ordinary, self.rows = len(group) - self.with_extra, max(len(group) - 1, 1)

    def holds(self, parts, extra):
        """Whether parts, (rows, columns) each, fit in together."""
        columns = [column for _, members in parts for column in members]
        n_ordinary = sum(column != extra for column in columns)
        fits = n_ordinary <= self.ordinary and sum(len(rows) for rows, _ in parts) <= self.rows
        return fits and (self.with_extra or extra not in columns)


def _assignments(parts, groups, extra):
    """Yield the ways to put the parts into groups: the group of each part."""
    chosen = [()]
    for _ in parts:
        chosen = [
            (*before, k)
            for before in chosen
            for k, room in enumerate(groups)
            if room.holds([part for part, at in zip(parts, (*before, k), strict=False) if at == k], extra)
        ]
    yield from chosen


def _fitted(parts, chosen, groups, shape):
    """The mask of a configuration whose groups hold the parts as chosen, filled up with features and rows left over."""
    mask, extra = np.zeros(shape, dtype=bool), shape[1] - 1
    used_rows, used = ({k for part in parts for k in part[side]} for side in (0, 1))
    spare_rows = [row for row in range(shape[0]) if row not in used_rows]
    spare = [feature for feature in range(extra) if feature not in used]
    for k, room in enumerate(groups):
        inside = [part for part, at in zip(parts, chosen, strict=True) if at == k]
        rows, columns = (sorted(index for part in inside for index in part[side]) for side in (0, 1))
        while len(rows) < room.rows:
            rows.append(spare_rows.pop(0))
        while sum(column != extra for column in columns) < room.ordinary:
            columns.append(spare.pop(0))
        if room.with_extra and extra not in columns:
            columns.append(extra)
        mask[np.ix_(rows, columns)] = True
    return mask
