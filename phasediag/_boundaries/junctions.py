"""Codimension-two points, solved as equations of their own, and the curves that leave each kind of them."""

from copy import copy
from itertools import combinations, product

import numpy as np
from scipy.linalg import block_diag

from .branch_points import branch_points
from .continuation import Point, distance
from .curves import Coexistence, tangent_of
from .equilibria import Equilibrium, far
from .exchanges import exchange_modes
from .limits import FreeLimit
from .neighbours import lower_minimum, symmetric_neighbours
from .normal_forms import branches
from .singular import Beside, BranchPoints, Coefficient, Rivals
from .tolerances import (
    AHEAD,
    BESIDE_CHORD,
    CLOSE,
    CONVERGED,
    END_EXITS,
    EXIT,
    EXITS,
    FALLING,
    HALF_EXITS,
    HARDLY,
    LEFT,
    LOCATED,
    LOCATED_NEAR,
    LONGEST_STEP,
    NEAR,
    NEXT_TO,
    NONZERO,
    ONE_POINT,
    OVERSHOT,
    PATIENCE,
    QUARTERS,
    REACH,
    SOFT,
    TINY,
    ZERO,
)

_NOTICED = 5
"""What becomes lower along a curve is noticed within so many of its points."""
WAY = 1 - LEFT ** np.arange(1, 11)
"""Parts of the way to an end that cannot be stepped over at which a curve's points are."""
_SHORTER = 6
"""Times that a step towards it is halved where one of them does not exist: more, and it ceases on the way."""

MERGING = "order changes", "critical point"
"""Ends of a boundary at which its two minima become one, so that both spinodals end there."""


class Junction:
    """A codimension-two point u with the equilibria that meet there.

    kind: "triple point" (three minima have one loss, or are about to: one or both of two, or one in two ways, is about to break
    its symmetry), "order changes"
    (tricritical: a limit of stability becomes a Maxwell line) or "critical point" (a cusp: two minima of one phase become one).
    precision: the last step in u of Newton's method.
    """

    def __init__(self, kind, u, states, precision):
        self.kind, self.u, self.states, self.precision = kind, u, states, precision

    def states_of(self, curve):
        """The equilibria of a curve here: one, twice, where its two minima become one."""
        return self.states[:1] * 2 if self.kind in MERGING else curve.solve(self.u)

    def departures(self):
        """Yield (u, curve) for the curves that may leave here, u on the curve near by."""
        if self.kind == "order changes":
            yield from _from_tricritical_point(self.states[0], self.u)
        elif self.kind == "triple point":
            yield from _from_triple_point(self) if len(self.states) > 2 else _from_end_point(self.states, self.u)


def locate(curve, event, points, there, step, tangent):
    """The junction at which a curve has an event up to ``there``, and the points (Point) that lie before it; or None.

    See `continuation.follow`.
    """
    box, here = curve.family.box, points[-1]
    if event in ("lost", "ceases", "merges"):  # the junction lies ahead: what the curve consists of may not exist there
        if event != "merges" and not is_level(step / box.step, LOCATED_NEAR if far(*curve.states) < NEAR else LOCATED):
            return None
        tried = []
        for node in curve.once_here(ceasing, here):
            away = node.u - here
            length = np.linalg.norm(away)
            reach = OVERSHOT * box.step if curve.merges else ONE_POINT  # rounding leads so far beyond
            if length < reach and not box.outside(node.u):
                return node, []
            near = event == "merges" or length < 2 * step + 2 * LOCATED * box.step  # what has merged cannot be followed nearer
            is_new = all(np.linalg.norm(node.u - u) > ONE_POINT for u in tried)
            if is_new and near and length > 0 and away @ tangent > AHEAD * length and not box.outside(node.u):
                tried.append(node.u)
                found = _way_to(node, curve, here)  # another one may lie before it, at which it ends
                if found is not None:
                    return found
        return None
    node = junction(curve, there, event)
    if node is None:
        return None
    length = np.linalg.norm(there - here)
    if distance([here, there], node.u) < BESIDE_CHORD * length:
        return node, []
    late = distance([*points[1 - _NOTICED :], there], node.u) < BESIDE_CHORD * length < np.linalg.norm(points[0] - node.u)
    return (node, []) if late else None


def is_level(part, largest):
    """Whether a step, in parts of a full one, is one of those at which an end is solved for, from the largest on."""
    return any(1 < 2 * part / level <= 2 for level in largest * QUARTERS)


def _way_to(node, curve, here):
    """A junction ahead of a curve, or that before it at which its order changes, and the points (Point) from here to it on the
    curve, which is followed; None where it does not lead."""
    way, trial, away = [], copy(curve), node.u - here
    becomes = all(min(far(state, one) for one in node.states) < CLOSE for state in curve.states)  # or hardly differ
    for part in () if curve.merges else WAY:
        if node.kind == "critical point":
            trial.states = _towards(node.states[0], trial.states)
        on = trial.at(here + part * away, away / np.linalg.norm(away))
        if on is None and way and becomes:
            break
        event = "lost" if on is None else trial.breaks(on)
        if event == "order changes":
            node = junction(trial, on, event)
            return node and (node, way)
        if event not in (None, "merges"):
            return None
        trial.move_to(on)
        way.append(Point(on, trial.states, trial.precision))
    if way and trial.lower(way[-1].u) is not None:
        return None
    curve.states = trial.states
    return node, way


def _towards(cusp, pair):
    """Two minima where their distance from a cusp has fallen to a part of it: theirs falls as the square root."""
    middle, half = (pair[0].x + pair[1].x) / 2, LEFT**0.5 * (pair[0].x - pair[1].x) / 2
    middle = LEFT * middle + (1 - LEFT) * cusp.x
    return [
        Equilibrium(one.family, x, one.frames, one.free, one.u)
        for one, x in zip(pair, (middle + half, middle - half), strict=True)
    ]


def junction(curve, u, against):
    """The junction at which a curve, followed to u, meets what stops it there: a lower minimum, or a change of order."""
    if curve.order == "continuous":
        symmetric = curve.family.stationary(curve.states[0], u)
        node = (
            tricritical(branch_points(symmetric), u)
            if isinstance(against, str)
            else _meeting(symmetric, against, u, REACH * curve.family.box.step)
        )
    else:
        node = _triple(*(curve.solve(u) or curve.states), against, u)
    return node if node and np.linalg.norm(node.u - u) < REACH * curve.family.box.step else None


def ceasing(curve, u):
    """Yield where a curve that is followed to u may end near by: its minima merge, or become more symmetric ones; of a limit of
    stability, where another mode becomes as soft."""
    pair, step, nodes = curve.solve(u) or curve.states, curve.family.box.step, []
    if curve.order == "continuous":
        nodes = _bicriticals(curve, u)
        yield from (node for node in (solve() for solve in nodes) if node and np.linalg.norm(node.u - u) < step)
        return
    if far(*pair) < CLOSE:
        near = 5 * far(*pair)
        bases = [one for one in symmetric_neighbours(pair) if min(far(one, state) for state in pair) < near]
        bases = [one for one in bases if abs(one.curvature) < SOFT]
        nodes = [lambda one=one: tricritical(branch_points(one), u) for one in bases]
        nodes += [node for one in bases for node in _bicriticals(branch_points(one), u)]
        moving = [state for state in pair if np.any(state.free)]
        soft = min(moving, key=lambda state: state.curvature, default=None)
        nodes += [lambda: cusp(FreeLimit(soft), u, 3 * far(*pair))] if soft else []
    if far(*pair) > TINY * 10:
        about = [[one for one in symmetric_neighbours((state,)) if _is_about(one, state)] for state in pair]
        nodes += [lambda both=both: _meeting(*both, u, step) for both in product(*about)]
        for some, other in zip(about, pair[::-1], strict=True):
            nodes += [lambda one=one, other=other: _meeting(one, other, u, step) for one in some]
    yield from (node for node in (solve() for solve in nodes) if node and np.linalg.norm(node.u - u) < step)


def _is_about(one, state):
    """Whether an equilibrium may have become another, more symmetric one, or be about to."""
    return far(one, state) < NEAR and abs(one.curvature) < NEAR


def intersection(one, other, u):
    """The point near u at which two curves meet, with the last step in u; (None, ∞) where it fails.

    By Broyden's method (1965): slopes are taken anew only where steps do not fall fast with those that it keeps up.
    """
    curves, start, size, slopes, stalled = (one, other), u, np.inf, None, max(one.stalled, other.stalled)
    values, sizes = np.array([curve.value(u) for curve in curves]), [np.inf] * PATIENCE
    for _ in range(30):
        if slopes is None:
            slopes = np.array([curve.slope(u) for curve in curves])
        if not np.all(np.isfinite(slopes)) or not np.all(np.isfinite(values)) or abs(np.linalg.det(slopes)) < NONZERO:
            return None, np.inf
        move = -np.linalg.solve(slopes, values)
        move *= min(1.0, LONGEST_STEP / np.linalg.norm(move)) if np.any(move) else 1.0
        before, size = size, np.linalg.norm(move)
        if not size < max(sizes[-PATIENCE], HARDLY):  # it does not converge; below that it may be rounding
            return None, np.inf
        sizes.append(size)
        for _ in range(_SHORTER):
            reached = np.array([curve.value(u + move) for curve in curves])
            if np.all(np.isfinite(reached)):
                break
            move = move / 2
        else:
            return None, np.inf
        u, missed = u + move, reached - values - slopes @ move
        if np.linalg.norm(u - start) > REACH * one.family.box.step:
            return None, np.inf
        others = any([curve.move_to(u) for curve in curves])
        if size < CONVERGED or (size < stalled and size > FALLING * before):
            break
        values = np.array([curve.value(u) for curve in curves]) if others else reached
        slopes = slopes + np.outer(missed, move) / (move @ move) if size < FALLING * before and not others else None
    return (u, float(size)) if size < 10 * stalled else (None, np.inf)


def _triple(one, other, third, u):
    """Three minima of one loss; the third is replaced while there is a lower one.

    It is told apart from that of the others which is nearest: as one it would have its loss all along the curve.
    """
    for _ in range(4):
        curves = Coexistence(one, other), Coexistence(min(one, other, key=lambda state: far(state, third)), third)
        u, precision = intersection(*curves, u)
        if u is None:
            return None
        states = [*curves[0].states, curves[1].states[1]]
        lower = lower_minimum(u, states)
        if lower is None:
            return Junction("triple point", u, states, precision)
        one, other, third = *states[:2], lower
    return None


def _meeting(symmetric, other, start, reach):
    """An equilibrium loses its stability where another minimum has its loss, within reach; a triple point if not continuously."""
    curves = branch_points(symmetric), Coexistence(symmetric, other)
    u, precision = intersection(*curves, start)
    if u is None or np.linalg.norm(u - start) > reach:
        return None
    symmetric, other = curves[1].states
    if far(symmetric, curves[0].states[0]) > HARDLY:  # it is another one that has lost its stability
        return None
    lower = lower_minimum(u, [symmetric, other])
    if lower is not None:
        return _triple(symmetric, other, lower, u)
    return Junction("triple point", u, [symmetric, other], precision)


def tricritical(limit, u):
    """Where a limit of stability, a curve of BranchPoints, becomes first-order; None where no such point is solved near u."""
    limit = limit.anew()
    if isinstance(limit, FreeLimit):
        u = limit.tricritical(u)
        return None if u is None else Junction("order changes", u, limit.solve(u)[:1], limit.precision)
    u, precision = intersection(limit, Coefficient(limit), u)
    return None if u is None else Junction("order changes", u, limit.solve(u)[:1], precision)


def _bicriticals(limit, u):
    """How to solve for where a limit of stability meets those of other modes of its equilibrium near u, or, of modes as soft all
    along it, where they lead as low: functions, as `ceasing` has them. As triple points: what branches off in one coexists with
    what does in the other from there on."""

    def meeting(other):
        """The Junction with one of them, or None."""
        own = limit.anew()
        along = EXIT * own.family.box.step * tangent_of(own.slope(u))
        is_one = all(not abs(other.value(v) - own.value(v)) > ZERO for v in (u + along, u - along))
        place, precision = intersection(own, Rivals(own, other) if is_one else other, u)
        if place is None or (is_one and not own.mode.coefficient(own.solve(place)[0]) > ZERO):  # the order changes
            return None
        return Junction("triple point", place, own.solve(place)[:1], precision)

    return [lambda other=other: meeting(other) for other in limit.others(limit.states[0].u)]


def departed(symmetric, state):
    """How a state is turned next to the symmetric equilibrium from which it has departed, and the way to it, (size,)."""
    left, _, right = np.linalg.svd(symmetric.weights @ state.weights.T)
    turn = block_diag(left @ right, 1.0)
    return turn, (turn @ state.x.reshape(len(turn), -1)).ravel() - symmetric.x


def departure(symmetric, state, direction, u):
    """Where a state becomes the symmetric equilibrium from which it has departed just as it is soft in a direction, or None.

    Both curvatures vanish on the side of the state.
    """
    turn, way = departed(symmetric, state)
    limit = BranchPoints(symmetric, way)
    u, precision = intersection(limit, Beside(limit, (turn @ direction.reshape(len(turn), -1)).ravel()), u)
    return None if u is None else Junction("another limit", u, limit.solve(u), precision)


def cusp(fold, u, reach=NEAR):
    """Where two minima and the saddle between them become one: where a curve of folds turns back near u, or None.

    ``reach``: how far the minimum may lie from the curve's equilibrium.
    """
    before = fold.states[0]
    u = fold.cusp(u)
    if u is None or not far(fold.solve(u)[0], before) < reach:
        return None
    return Junction("critical point", u, fold.solve(u), fold.precision)


def first_point(curve, u, part):
    """A point of a curve so many steps away from u, which lies on it or at its end; None where there is none."""
    tangent = tangent_of(curve.slope(u))
    step = EXIT * part * curve.family.box.step
    there = curve.at(u + step * tangent, tangent) if np.all(np.isfinite(tangent)) else None
    return None if there is None or not EXIT < np.linalg.norm(there - u) / abs(step) < 3 else there


def _exits(curve, u, senses=(1.0, -1.0)):
    """Yield (point, curve) near its end u on the sides on which nothing lies lower, where there is one."""
    for sense in senses:
        for part in EXITS:
            out = curve.anew()
            there = first_point(out, u, part * sense)
            if there is None or out.family.box.outside(there) or not out.exists(there):
                continue
            lower = out.event(there)
            if lower not in (None, "merges"):
                there = None if isinstance(lower, str) else _short_of(out, u, there, lower)
            if there is not None:
                out.move_to(there)
                yield there, out
            break


def _short_of(curve, u, there, lower):
    """The point of a curve halfway from its end u to another junction, where a minimum becomes ``lower`` up to there, or None."""
    node, way = junction(curve, there, lower), there - u
    if node is None or np.linalg.norm(node.u - u) < ONE_POINT or not 0 < (node.u - u) @ way < way @ way:
        return None
    middle = curve.at((node.u + u) / 2, way / np.linalg.norm(way))
    return middle if middle is not None and curve.event(middle) is None else None


def _from_triple_point(node):
    """Each two of the three minima coexist on the side on which the loss of the third one rises more."""
    for (one, other), third in zip(combinations(node.states, 2), node.states[::-1], strict=True):
        curve = Coexistence(one, other)
        yield from _exits(curve, node.u, np.sign([(third.slope - one.slope) @ tangent_of(curve.slope(node.u))]))


def _from_end_point(states, u):
    """The limits of equilibria that are about to break their symmetry, their coexistence, and that of what branches off."""
    family = states[0].family
    limits = [limit for state in states for limit in _limits(state)]
    for limit in limits:
        rises = [other.slope(u) @ tangent_of(limit.slope(u)) for other in limits if len(states) == 1 and other is not limit]
        yield from _exits(limit, u, np.sign(rises) if rises else (1.0, -1.0))  # it goes on where no other mode is softer
    for pair in combinations(states, 2):
        yield from _exits(Coexistence(*pair), u)
    for ahead in _beyond(states, limits, u):
        now = family.stationary_points(states, ahead)
        broken = [branches(state) for state in now]
        if len(states) == 1:
            yield from _pairs(broken[0], ahead)
        elif any(broken):
            for pair in product(*(some or [state] for some, state in zip(broken, now, strict=True))):
                yield from _pairs(pair, ahead)


def _limits(state):
    """The curves on which an equilibrium breaks its symmetry, one for each mode that is soft to rounding; of others none."""
    if not (state.held or exchange_modes(state)) or state.curvature > ZERO:
        return []
    limit = branch_points(state)
    return [limit, *limit.others(state.u)]


def _beyond(states, limits, u):
    """Yield points near one in which equilibria of one loss break their symmetry, where what branches off has one loss too."""
    box = states[0].family.box
    if len(states) == 2:
        curve = Coexistence(*states)
        points = (first_point(curve.anew(), u, part * sense) for part, sense in product(END_EXITS, (1.0, -1.0)))
    else:
        slopes = np.reshape([limit.slope(u) for limit in limits], (-1, 2))
        way = -np.linalg.pinv(slopes).sum(axis=1)  # the curvatures of all modes fall alike
        points = (u + EXIT * part * box.step * way / np.linalg.norm(way) for part in (END_EXITS if np.any(way) else ()))
    yield from (point for point in points if point is not None and not box.outside(point))


def _from_tricritical_point(symmetric, u):
    """On either side the limit of stability, or the coexistence of the equilibrium or of what branches off from it."""
    family, found, limit = symmetric.family, {}, branch_points(symmetric)
    for part in HALF_EXITS:
        for sense in (1.0, -1.0):
            curve = limit.anew()
            ahead = first_point(curve, u, part * sense)
            if found.get(sense) or ahead is None or family.box.outside(ahead):
                continue
            curve.move_to(ahead)
            if curve.coefficient(ahead) > 0:
                if curve.lower(ahead) is None:
                    found[sense] = True
                    yield ahead, curve
                continue
            for departure in _pairs([curve.states[0], *branches(curve.states[0])], ahead):
                found[sense] = True
                yield departure


def _pairs(states, u):
    """Yield (u, curve) for the pairs of equilibria that cross near u with nothing lower, as far as that can be told."""
    for one, other in combinations([state for state in states if not state.is_in_valley], 2):
        if len(states) > 2 and far(one, other) < TINY:
            continue
        curve = Coexistence(one, other)
        v = curve.onto(u)
        if v is None or np.linalg.norm(v - u) > NEXT_TO * curve.family.box.step or not curve.exists(v):
            continue
        curve.move_to(v)
        if curve.lower(v) is None:
            yield v, curve
