"""Spinodals: the singular curves on which the minima on both sides of first-order boundaries cease, whatever lies lower.

Met on the way across a boundary, followed to both ends, and shared by the boundaries of one minimum.
"""

from itertools import pairwise

import numpy as np
from scipy.interpolate import CubicSpline

from .._progress import each
from ..boundaries import Spinodal
from .continuation import Point, distance, follow
from .curves import Coexistence, tangent_of
from .equilibria import Solver, far
from .exchanges import between_exchanged
from .junctions import MERGING, WAY, Junction, departed, departure, intersection, is_level, tricritical
from .limits import FreeLimit, StabilityLimit
from .lines import Followed, trail_of
from .tolerances import (
    BESIDE_CHORD,
    CLOSE,
    GROWS,
    LATE,
    NEARLY_ONE,
    NEGATIVE,
    PLACES,
    REACHED,
    RESOLUTION,
    ROUGHLY_AHEAD,
    SHORTEST,
    WITHIN,
)

_NEAREST = 0.5**6
"""Part of the way along a boundary to one of its places in which no step is shorter."""
_ENDS = {"ceases": "another limit", "order changes": "order changes"}
"""How a limit ends where a test changes its sign, by the word for it."""


def spinodals(curves):
    """The limits of the minima on both sides of the first-order boundaries of ``curves``, each once: a list of Spinodal."""
    solver = Solver(curves, curves.settings)
    limits = Limits(solver, curves)
    found = []  # of each limit: itself, the phase, the boundaries
    for index, boundary in each(list(enumerate(curves.boundaries)), False, "boundary curve", "spinodals"):
        if boundary.order != "first":
            continue
        trail = trail_of(solver, boundary)
        heading = trail[-1].u - trail[0].u
        places = Places(trail)
        for side in (0, 1):
            for limit in limits.of_side(places, side):
                known = next((one for one in found if one[:2] == (limit, boundary.phases[side])), None)
                if known is None:
                    if (limit.points[-1] - limit.points[0]) @ heading < 0:
                        limit.turn()
                    found.append((limit, boundary.phases[side], [index]))
                elif index not in known[-1]:
                    known[-1].append(index)
    return [limit.spinodal(phase, indices) for limit, phase, indices in found]


class End(Junction):
    """A codimension-two point in which a limit ends; states: the minimum there, as far as it is known."""

    def states_of(self, curve):
        """See Junction."""
        return self.states or curve.solve(self.u)


class Limit(Followed):
    """The limit of one minimum, followed to both ends from a point on it."""

    def turn(self):
        """Let it run the other way."""
        self.trail.reverse()
        self.ways.reverse()

    def spinodal(self, phase, boundaries):
        """The limit as a Spinodal of a phase."""
        x, y = self.curve.family.values(self.points)
        minima = np.array([point.states[0].x for point in self.trail])
        return Spinodal(phase, x, y, minima, tuple(boundaries), self.curve.kind, self.ends, **self.account)


class Limits:
    """The limits that have been followed; ``merging``: the points in which minima become one on the boundaries."""

    def __init__(self, solver, curves):
        self.solver, self.known = solver, []
        ends = ((b, k) for b in curves.boundaries for k in (0, -1) if b.ends[k] in MERGING)
        self.merging = [(b.ends[k], solver.points(b.x[k], b.y[k]), float(b.precision[k])) for b, k in ends]

    def of_side(self, places, side):
        """The limits of the minimum on one side of a first-order boundary, met across its places: between two of these where
        different ones are."""
        found = {k: self._across(places[k], side) for k in range(0, PLACES, PLACES // 4)}

        def between(low, high):
            """Look at the place in the middle of two, and on either side of it."""
            middle = (low + high) // 2
            if middle > low and found[low] is not found[high]:
                found[middle] = self._across(places[middle], side)
                between(low, middle)
                between(middle, high)

        for low, high in pairwise(sorted(found)):
            between(low, high)
        return list(dict.fromkeys(limit for _, limit in sorted(found.items()) if limit is not None))

    def _across(self, place, side):
        """The limit met across a place of a boundary on one side, or None."""
        across = None if place is None else _across(*place, side)
        return None if across is None else self._met(place[0], *across, far(*place[1]))

    def _met(self, u, own, direction, apart):
        """The limit met on the way from a point of a boundary, None where the minimum lasts or no equation is solved."""
        met = _ceases(u, direction, own, apart)
        if met is None:
            return None
        point, curve = met
        known = [limit for limit in self.known if limit.curve.kind == curve.kind and limit.passes(point, curve.states)]
        if known:
            return min(known, key=lambda limit: distance(limit.points, point))
        limit = Limit.through(point, curve, self.locate)
        if len(limit.trail) > 1 or limit.is_crossed:
            self.known.append(limit)
            return limit
        return None

    def locate(self, curve, event, places, there, step, tangent):
        """The point in which the minimum ceases in another way too, or becomes one with another; see `continuation.follow`.

        The latter lies just ahead where a limit is lost.
        """
        box, here, onward = curve.family.box, places[-1][-2:], tangent[-2:] / np.linalg.norm(tangent[-2:])
        if event != "lost":
            node = _changed(curve, places[-1], there, event)
            if node is not None or event != "turns":
                return node and (node, [])
        if step > REACHED / 2 * box.step:
            return None

        def ahead(kind, place, precision, states=()):
            """The End at a point, None where that does not lie next to where the limit is lost."""
            away = np.linalg.norm(place - here)
            late = away < min(LATE * box.step, np.linalg.norm(places[0][-2:] - here))
            near = away < REACHED * box.step and (place - here) @ onward > ROUGHLY_AHEAD * away
            told = not (box.outside(place) or box.ties(place))
            return End(kind, place, states, precision) if (near or late) and told else None

        known = sorted(self.merging, key=lambda one: np.linalg.norm(one[1] - here))
        found = next(filter(None, (ahead(*one) for one in known)), None)
        if found is None and is_level(step / box.step, REACHED / 16):
            nodes = (node and ahead(node.kind, node.u, node.precision, node.states) for node in curve.once_here(_ends_of, here))
            found = min(filter(None, nodes), key=lambda node: np.linalg.norm(node.u - here), default=None)
            if found is None:
                return self._along_limit(curve, here, onward)
        return None if found is None else _reached(curve, here, found)

    def _along_limit(self, curve, here, tangent):
        """The End, and points on the way, of a fold that cannot be told from the limit that it goes along, or None.

        That is of the equilibrium from which its minimum has hardly departed: beside it curvatures fall below rounding.
        """
        symmetric = curve.family.symmetrized(curve.states[0], here)
        if isinstance(curve, StabilityLimit) or symmetric is None or not symmetric.held:
            return None
        limit = StabilityLimit(symmetric)
        u = limit.at(here, tangent) if abs(symmetric.curvature) < -NEGATIVE else None
        if u is None:
            return None
        limit.move_to(u)
        way = follow(limit, u, np.copysign(1.0, tangent_of(limit.slope(u)) @ tangent), self.locate)
        if way.is_open or not way.trail:
            return None
        *between, (place, states, precision) = way.trail
        return End(way.end, place, states, precision), between


def _changed(curve, here, there, event):
    """The End of a limit between two of its places, where a test changes its sign; or None."""
    u = curve.changes(here, there, event)
    if event == "ceases":
        return _meets_another(curve, here[-2:], there[-2:], u)
    if u is None:
        return None
    if event == "turns":
        return _turned(curve, u)
    own = curve.anew()  # its own mode: of others as soft there the zero is that of rounding
    own.move_to(u)
    solved = tricritical(own, u)
    near = solved is not None and distance([here[-2:], there[-2:]], solved.u) < BESIDE_CHORD * np.linalg.norm(there - here)
    return solved if near else End(_ENDS[event], u, curve.solve(u), curve.precision)


def _meets_another(curve, here, there, u):
    """The End of a limit between two of its points, at u if that is known, where it meets another limit of its equilibrium; or
    None: next to it the equations of one may be singular where those of both are not."""
    own, is_known = curve.anew(), u is not None
    u = u if is_known else there
    own.states = curve.solve(u)
    node = None if own.states is None else _both(own, curve.other(own.states[0]), u=u)
    if node is not None and distance([here, there], node.u) < BESIDE_CHORD * np.linalg.norm(there - here):
        return node
    return End(_ENDS["ceases"], u, curve.solve(u), curve.precision) if is_known else None


def _turned(fold, u):
    """The End of a fold where its cubic changes its sign, None where that has one sign on either side.

    Where features are alike again it goes over into its own image, on the limit on which these tell each other apart.
    """
    alike = FreeLimit(fold.solve(u)[0], fold.null_at(u))
    if alike.is_fold:
        kind = fold.turning(u)
        return None if kind is None else End(kind, u, fold.solve(u), fold.precision)
    place = alike.tricritical(u)
    return None if place is None else End("order changes", place, alike.solve(place), alike.precision)


def _reached(curve, here, node):
    """The End of a limit that leads to a node, unless a test changes its sign before, and points (Point) on the way to it."""
    way, trial, away = [], curve.anew(), node.u - here
    for part in WAY:
        before, on = trial.states[0].u, trial.at(here + part * away, away / np.linalg.norm(away))
        event = "lost" if on is None else trial.breaks(on)
        if event in ("lost", "turns"):
            break
        if np.linalg.norm(node.u - on) > np.linalg.norm(node.u - before):  # it leads elsewhere
            return None
        if event is not None:
            node = _changed(trial, trial.place(before), trial.place(on), event)
            return node and (node, way)
        trial.move_to(on)
        way.append(Point(on, trial.states, trial.precision))
    return node, way


def _ends_of(curve, u):
    """Yield the codimension-two points near u in which a limit may end, Junctions, and None where there is none."""
    symmetric = curve.family.symmetrized(curve.states[0], u)
    if isinstance(curve, StabilityLimit):  # its equilibrium meets a saddle, or is about to become a more symmetric one
        yield _both(FreeLimit(curve.states[0]), curve.anew(), u=u)
        yield None if symmetric is None else departure(symmetric, curve.states[0], curve.mode.direction, u)
        return
    exchanged = between_exchanged(curve.states[0])
    if symmetric is None and exchanged is not None:  # a feature leaves as two others become alike
        symmetric = curve.family.exact(exchanged[0])
    if symmetric is not None and symmetric.held:
        limit = StabilityLimit(symmetric, departed(symmetric, curve.states[0])[1])  # on its side: its opposite is another mode
        yield tricritical(limit, u)
        if not limit.mode.two_sided:  # a cubic so small that folds go on beside it from where the quartic vanishes
            limit.mode = limit.mode.even
            yield tricritical(limit, u)
        yield _both(FreeLimit(symmetric), limit, u=u)
    if exchanged is not None:
        limit = FreeLimit(exchanged[0], exchanged[1][curve.free])
        place = limit.tricritical(u)
        yield None if place is None else End("order changes", place, limit.solve(place), limit.precision)
    place = curve.at_support(u)
    kind = None if place is None else curve.turning(place)
    yield None if kind is None else End(kind, place, curve.solve(place), curve.precision)


def _both(*limits, u):
    """The point near u in which two limits of one equilibrium meet; or None.

    The first of the equations are those of a limit along parameters that move, if one is, but of no fold, if the other is none.
    """
    one, other = sorted(limits, key=lambda one: (not isinstance(one, FreeLimit), one.kind == "fold"))
    u, precision = (one.meets(other, u), one.precision) if isinstance(one, FreeLimit) else intersection(one, other, u)
    return None if u is None else End("another limit", u, one.solve(u), precision)


class Places:
    """Points at equal parts of a boundary's length, with both minima there: the same whatever points the boundary is given by.

    By their numbers; solved for when they are asked for, None where one is not found.
    """

    def __init__(self, trail):
        self._trail, self._found, points = trail, {}, np.array([point.u for point in trail])
        self._lengths = np.cumsum(np.append(0.0, np.linalg.norm(np.diff(points, axis=0), axis=1)))
        new = np.append(True, np.diff(self._lengths) > 0)
        self._along = CubicSpline(self._lengths[new], points[new]) if np.sum(new) > 1 else None

    def __getitem__(self, k):
        if k not in self._found:
            self._found[k] = self._at(k)
        return self._found[k]

    def _at(self, k):
        """The k-th of them; of a single point there is one, in the middle."""
        if self._along is None:
            return self._trail[0][:2] if k == PLACES // 2 else None
        length = (k + 0.5) / PLACES * self._lengths[-1]
        curve = Coexistence(*self._trail[int(np.argmin(np.abs(self._lengths - length)))].states)
        return _reached_on(curve, self._along(length), self._along(length, 1))


def _reached_on(curve, place, way):
    """The point of a first-order boundary next to a place across a way, with both minima, from where the curve is; or None."""
    start, done, part = curve.states[0].u, 0.0, 1.0
    while part > _NEAREST:
        on = curve.at(start + (done + part) * (place - start), way / np.linalg.norm(way))
        if on is None:
            part /= 2
            continue
        curve.move_to(on)
        done, part = done + part, 1.0 - done - part
    u = curve.states[0].u
    return (u, curve.states) if done == 1.0 and curve.exists(u) else None


def _across(u, pair, side):
    """The minimum on one side at a point of the boundary, and the direction in which the other one is lower; or None."""
    if far(*pair) < NEARLY_ONE:
        return None
    family, (one, other) = pair[0].family, pair
    slope = (one.slope - other.slope) * family.box.wide  # a diagram of one row or column is not left
    length = np.linalg.norm(slope)
    return (pair[side], slope / length * (1.0 if side == 0 else -1.0)) if length > 0 else None  # one is lower where it is < 0


def _ceases(u, direction, own, apart):
    """The point at which the minimum ``own`` ceases on the way from u, with the curve of such points; None where it lasts."""
    family, here, failures = own.family, u, 0
    step, longest, normal = family.box.step * min(1.0, 5 * apart**2), 2 * family.box.step, np.array([direction[1], -direction[0]])
    while step > RESOLUTION:
        room, _ = family.box.room(here, direction)
        if room < RESOLUTION:
            return None
        step = min(step, room)
        there = here + step * direction
        new = family.stationary(own, there)
        if new.converged and new.stable and new.clusters == own.clusters and far(new, own) < min(CLOSE, apart / 2):
            here, own, step = there, new, min(GROWS * step, longest)
            continue
        failures += 1
        if failures % 2 == 1 or step < SHORTEST * family.box.step:
            met = _limit_of(own, here, normal, 4 * step)
            if met is not None:
                return met
        step, longest = step / 2, max(step / 2, SHORTEST * family.box.step)
    return None


def _limit_of(own, here, normal, reach):
    """The point ahead within reach on the line across ``normal`` where a minimum at ``here`` ceases, with its curve; or None."""
    own, ahead = own.family.exact(own), np.array([-normal[1], normal[0]])
    for curve in _limits_about(own, here):
        point = curve.at(here, normal)
        if (
            point is not None
            and -RESOLUTION < (point - here) @ ahead < reach
            and not own.family.box.outside(point)
            and curve.event(point) is None
        ):
            curve.move_to(point)
            return point, curve
    return None


def _limits_about(own, here):
    """Yield the limits on which a minimum at ``here`` may cease, that in its softest direction first."""
    kinds = [FreeLimit, *([StabilityLimit] if own.held else [])]
    yield from (kind(own) for kind in kinds[:: 1 if np.linalg.norm(own.softest[0][own.free]) > WITHIN else -1])
    symmetric = own.family.symmetrized(own, here)
    if symmetric is not None and symmetric.held:
        limit = StabilityLimit(symmetric)
        if limit.is_continuous:
            yield limit
