"""Following a curve by pseudo-arclength (Keller 1977): predictor along the tangent, corrector across it, events in between.

A curve is followed through its places, vectors whose last two coordinates are the point u of the plane.
"""

from copy import copy
from typing import Any, NamedTuple

import numpy as np

from .equilibria import far
from .tolerances import FEWEST, FIRST, GROWS, KINK, LEAST_ADVANCE, NEAR, NONZERO, ONE_BRANCH, ROUNDING, TURN

_OFTEN, _RARELY = 4, 8
"""What is lower is asked of the last of so many points at first, then, and where it has been met, of every so many."""


class Point(NamedTuple):
    """A point u of a curve with the equilibria there, and the last step of Newton's method in u that led to it."""

    u: np.ndarray
    states: Any
    precision: float


class _Try(NamedTuple):
    """A place ``there`` that has been reached: the curve at the one before, the step, and how many were known."""

    curve: Any
    there: np.ndarray
    tangent: np.ndarray
    step: float
    known: int


class Way(NamedTuple):
    """One way along a curve: the points after the start, and its end.

    end: "edge", "closed", the kind of the codimension-two point ``node`` in which it ends, or the event that has not been
    located; bracket: the last point on the curve and the first one beyond its end, both the end itself where that is solved for;
    why: what has kept a curve that could not be ended from going on.
    """

    trail: list
    end: str
    bracket: tuple
    node: object = None
    why: str = ""

    @property
    def is_open(self):
        """Whether it could not be ended."""
        return bool(self.why)


def follow(curve, start, sense, locate=None):
    """Follow a curve from a point on it.

    Parameters
    ----------
    curve : Curve
    start : ndarray, shape (2,)
    sense : +1.0 or -1.0
        The direction.
    locate : callable, optional
        locate(curve, event, places, there, step, tangent) solves for the codimension-two point at which the curve, followed
        through ``places``, has an event up to ``there`` (None where it cannot be followed so far): (node, points (Point) on the
        way to it that have not been accepted), or None where there is none so near. An event that is not located is bracketed.

    Returns
    -------
    Way
    """
    box, settings = curve.family.box, curve.family.settings
    shortest = settings.shortest * box.step
    first, start = Point(start, curve.states, curve.precision), curve.place(start)
    trail, places, tangent, step = [], [start], sense * curve.tangent(start), FIRST * box.step
    curve.set_out(first.u, tangent)
    tries, rarely = [], _OFTEN  # since it was last asked what is lower, which is asked again after so many
    while len(trail) < settings.most_points:
        here = places[-1]
        there, on_edge = _advance(curve, here, tangent, step, box)
        event, closes = None if on_edge else "lost", False
        if there is not None:
            u, chord = there[-2:], (there - here) / np.linalg.norm(there - here)
            turned = 2 * (chord @ tangent) * chord - tangent  # exact on a circle
            if step > FEWEST * box.step and (turned @ tangent < TURN or curve.bends(u)):
                step /= 2
                continue
            turned = turned if turned @ tangent > TURN else chord  # beyond a corner
            event = curve.breaks(u)
            if event is None and not on_edge and curve.kinks(curve.solve(u)) != curve.kinks(curve.states):
                there = _kink_met(curve, here, there)
            closes = len(places) > 3 and np.linalg.norm(there - start) < step and tangent @ (start - there) > 0
            closes = closes and event is None and _are_alike(curve.solve(u), first.states)
            if event in (None, "merges"):
                tries.append(_Try(copy(curve), there, tangent, step, len(places)))
        if event is not None or on_edge or closes or len(tries) >= rarely:
            overtaken, lower = _overtaken(tries)
            tries, rarely = [], min(2 * rarely, _RARELY)
            if overtaken is not None:
                curve, there, tangent, step, known = overtaken
                places, trail, event, rarely = places[:known], trail[: known - 1], lower, 1
        last = places[-1][-2:]
        if event is None:
            if there is None:
                return Way(trail, "edge", (last, last))
            if closes:
                return Way([*trail, first], "closed", (first.u, first.u))
            u = there[-2:]
            curve.move_to(u)
            places.append(there)
            trail.append(Point(u, curve.states, curve.precision))
            if on_edge:
                return Way(trail, "edge", (u, u))
            tangent, step = turned, min(GROWS * step, box.step)
            continue
        found = locate(curve, event, places, there, step, tangent) if locate is not None else None
        if found is not None:
            node, way = found
            while len(trail) and (places[-1][-2:] - node.u) @ (places[-1] - places[-2])[-2:] > 0:  # noticed late
                places.pop()
                trail.pop()
            trail = [*trail, *way]
            states = trail[-1].states if trail else curve.states
            end = Point(node.u, node.states_of(curve) or states, node.precision)
            return Way([*trail, end], node.kind, (node.u, node.u), node)
        step /= 2
        if step < shortest and box.ties(last):
            return Way(trail, "edge", (last, last))
        if step < shortest:
            beyond = (there if there is not None else places[-1] + step * tangent)[-2:]
            event = event if isinstance(event, str) else "overtaken"
            return Way(trail, event, (last, beyond), why=f"{_WORDS[event]} within {np.linalg.norm(beyond - last):.1e} of its end")
    why = f"it has {settings.most_points} points on this side, as many as the settings allow"
    return Way(trail, "long", (places[-1][-2:], (places[-1] + step * tangent)[-2:]), why=why)


def _are_alike(states, others):
    """Whether equilibria are others, one by one: a curve may come by its own start with minima that have changed places."""
    return all(far(one, other) < NEAR for one, other in zip(states, others, strict=True))


def _kink_met(curve, here, there):
    """The first point on the way from here to there at which other kinks hold the equilibria of a curve, to 1e-9."""
    low, high, way = 0.0, 1.0, there - here
    length = np.linalg.norm(way)
    while (high - low) * length > KINK:
        middle = (low + high) / 2
        on = curve.at(here + middle * way, way / length)
        if on is None or curve.breaks(on[-2:]) is not None:
            break
        if curve.kinks(curve.solve(on[-2:])) == curve.kinks(curve.states):
            low = middle
        else:
            high, there = middle, on
    on = curve.at(there, way / length)
    return there if on is None else on


def _overtaken(tries):
    """The first of some tries in order at which a minimum is lower, and that minimum, from the last one on; (None, None)."""
    found, first, last, k = (None, None), 0, len(tries) - 1, len(tries) - 1
    while first <= last:
        lower = tries[k].curve.lower(tries[k].there[-2:])
        if lower is not None:
            found, last = (tries[k], lower), k - 1
        elif found[0] is None:
            break
        else:
            first = k + 1
        k = (first + last) // 2
    return found


_WORDS = {
    "lost": "no point that solves its equations is found",
    "turns": "it turns back, and no point in which it does is solved for",
    "ceases": "one of its minima ceases, and no point in which it would is solved for",
    "merges": "its minima cannot be told apart, and no point in which they would be one is solved for",
    "order changes": "its order changes, and no tricritical point is solved for",
    "overtaken": "another minimum becomes lower, and no triple point is solved for",
}
"""Of an event that could not be located, for people."""


def _advance(curve, here, tangent, step, box):
    """The next place of a curve about a step away and whether it is on the edge: where the curve leaves the window it ends.

    (None, False) where it is not found; (None, True) where the curve leaves at once.
    """
    room, axis = box.room(here[-2:], tangent[-2:])
    if room < ROUNDING:
        return None, True
    there = curve.at(here + step * tangent, tangent) if room > step else None
    on_edge = room <= step or (there is not None and box.outside(there[-2:]))
    if on_edge:
        if there is not None:
            tangent = (there - here) / np.linalg.norm(there - here)
            room, axis = box.room(here[-2:], tangent[-2:])
        guess, normal = here + room * tangent, np.zeros(here.size)
        guess[axis - 2], normal[axis - 2] = (box.high if tangent[axis - 2] > 0 else box.low)[axis], 1.0
        there = curve.at(guess, normal)
    if there is None or box.outside(there[-2:]) or not (on_edge or LEAST_ADVANCE * step < np.linalg.norm(there - here)):
        return None, False
    return (there, on_edge) if np.linalg.norm(there - here) < 2 * step else (None, False)


def distance(points, target):
    """Distance from a point to a polyline."""
    points = np.asarray(points)
    if len(points) == 1:
        return np.linalg.norm(points[0] - target)
    starts, along = points[:-1], np.diff(points, axis=0)
    t = np.sum((target - starts) * along, axis=1) / np.maximum(np.sum(along**2, axis=1), NONZERO)
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
    inside = [(t > -ONE_BRANCH) & (t < 1 + ONE_BRANCH) for t in (on_segment, on_polyline)]
    return bool(np.any(inside[0] & inside[1]))
