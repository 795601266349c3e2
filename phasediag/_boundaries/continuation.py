"""Following a curve by pseudo-arclength (Keller 1977): predictor along the tangent, corrector across it, events in between."""

from typing import NamedTuple

import numpy as np

from .curves import tangent_of
from .tolerances import FEWEST, MOST_POINTS, SHORTEST, TURN

_FIRST = 0.1
"""Part of a full step with which a curve begins: short ones have points enough to be drawn."""


_CREEPING, _MOST_CREEPING = 0.02, 300
"""A curve that needs so many steps in succession that are shorter than this part of a full one is not followed farther."""


class Way(NamedTuple):
    """One way along a curve. trail: its points u after the start with the equilibria there, a list of (u, equilibria).

    end: why it ends: "edge", "closed", the kind of the codimension-two point ``node`` in which it does, or "unresolved"; bracket:
    the last point on the curve and the first one that is not, where an event has not been located.
    """

    trail: list
    end: str
    node: object = None
    bracket: tuple = ()


def follow(curve, start, sense, locate=None):
    """Follow a curve from a point on it.

    Parameters
    ----------
    curve : Curve
    start : ndarray, shape (2,)
    sense : +1.0 or -1.0
        The direction.
    locate : callable, optional
        locate(curve, event, points, there) solves for the codimension-two point at which the curve, followed through ``points``,
        has an event up to ``there`` (None where it cannot be followed so far): (node, points (u, equilibria) on the way to it
        that have not been accepted), or None where there is none so near. An event that is not located is bracketed.

    Returns
    -------
    Way
    """
    box = curve.family.box
    creeping = 0
    trail, points, tangent, step = [], [start], sense * tangent_of(curve.slope(start)), _FIRST * box.step
    while len(trail) < MOST_POINTS:
        here = points[-1]
        there, on_edge = _advance(curve, here, tangent, step, box)
        if there is None and on_edge:
            return Way(trail, "edge")
        event = "lost"
        if there is not None:
            chord = (there - here) / np.linalg.norm(there - here)
            turned = 2 * (chord @ tangent) * chord - tangent  # exact on a circle
            if turned @ tangent < TURN and step > FEWEST * box.step:
                step /= 2
                continue
            event = curve.event(there)
        if event is None:
            if len(points) > 3 and np.linalg.norm(there - start) < step and tangent @ (start - there) > 0:
                return Way([*trail, (start, curve.states)], "closed")
            curve.move_to(there)
            points.append(there)
            trail.append((there, curve.states))
            if on_edge:
                return Way(trail, "edge")
            creeping = creeping + 1 if step < _CREEPING * box.step else 0
            if creeping == _MOST_CREEPING:
                return Way(trail, "unresolved", None, (here, there))
            tangent, step = turned, min(1.5 * step, box.step)
            continue
        found = locate(curve, event, points, there, step, tangent) if locate is not None else None
        if found is not None:
            node, way = found
            while len(trail) and (points[-1] - node.u) @ tangent > 0:  # noticed late
                points.pop()
                trail.pop()
            trail = [*trail, *way]
            last = trail[-1][1] if trail else curve.states
            return Way([*trail, (node.u, node.states_of(curve) or last)], node.kind, node)
        step /= 2
        if step < SHORTEST * box.step:
            return Way(trail, "unresolved", None, (here, there if there is not None else here + step * tangent))
    return Way(trail, "unresolved", None, (points[-1], points[-1]))


def _advance(curve, here, tangent, step, box):
    """The next point of a curve about a step away and whether it is on the edge: where the curve leaves the window it ends.

    (None, False) where it is not found; (None, True) where the curve leaves at once.
    """
    room, axis = box.room(here, tangent)
    if room < 1e-13:
        return None, True
    there = curve.at(here + step * tangent, tangent) if room > step else None
    on_edge = room <= step or (there is not None and box.outside(there))
    if on_edge:
        if there is not None:
            tangent = (there - here) / np.linalg.norm(there - here)
            room, axis = box.room(here, tangent)
        guess, normal = here + room * tangent, np.zeros(2)
        guess[axis], normal[axis] = (box.high if tangent[axis] > 0 else box.low)[axis], 1.0
        there = curve.at(guess, normal)
    if there is None or box.outside(there) or not (on_edge or 0.2 * step < np.linalg.norm(there - here)):
        return None, False
    return (there, on_edge) if np.linalg.norm(there - here) < 2 * step else (None, False)


def distance(points, target):
    """Distance from a point to a polyline."""
    points = np.asarray(points)
    if len(points) == 1:
        return np.linalg.norm(points[0] - target)
    starts, along = points[:-1], np.diff(points, axis=0)
    t = np.sum((target - starts) * along, axis=1) / np.maximum(np.sum(along**2, axis=1), 1e-300)
    nearest = starts + np.clip(t, 0, 1)[:, None] * along
    return np.min(np.linalg.norm(nearest - target, axis=1))


def passes(points, start, end):
    """Whether a polyline crosses the segment from start to end."""
    points = np.asarray(points)
    if len(points) < 2:
        return False
    along, step = end - start, np.diff(points, axis=0)
    offset = points[:-1] - start
    turn = along[0] * step[:, 1] - along[1] * step[:, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        on_segment = (offset[:, 0] * step[:, 1] - offset[:, 1] * step[:, 0]) / turn
        on_polyline = (offset[:, 0] * along[1] - offset[:, 1] * along[0]) / turn
    slack = 1e-6
    inside = [(t > -slack) & (t < 1 + slack) for t in (on_segment, on_polyline)]
    return bool(np.any(inside[0] & inside[1]))
