"""The points of a diagram's grid from which boundary curves are sought, and the corners in which they meet."""

import numpy as np

from ..boundaries import TriplePoint
from .continuation import point

_NUDGE = (0.0123, 0.0071)  # parts of a cell, along importance and density


def nodes(importance, density):
    """The grid's points u, shape (n_density, n_importance, 2)."""
    return np.stack(np.meshgrid(np.log(importance), np.log(density)), axis=-1)


def spacing(box, diagram):
    """The steps of a diagram's grid."""
    return (box.high - box.low) / np.maximum([diagram.importance.size - 1, diagram.density.size - 1], 1)


def beside(u, box, spacing):
    """A point a little inward of u, by parts of ``spacing``: on a boundary a node of the grid itself belongs to no side.

    Along a coordinate that has one value in the whole diagram nothing lies inward.
    """
    return u + box.wide * np.where(u < (box.low + box.high) / 2, 1.0, -1.0) * np.array(_NUDGE) * spacing


class Corners:
    """The triple points met so far, each once."""

    def __init__(self):
        self.found = []  # (u, list of phases)

    def add(self, u, phases):
        """Add a point u, or further phases to one that is known."""
        for known, members in self.found:
            if np.linalg.norm(known - u) < 1e-7:
                members += [phase for phase in phases if phase not in members]
                return
        self.found.append((u, list(dict.fromkeys(phases))))

    def triple_points(self):
        """The results, a list of TriplePoint."""
        return [TriplePoint(*point(u), tuple(members)) for u, members in self.found]
