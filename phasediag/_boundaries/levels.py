"""Level curves: where a function of the lowest minimum has a value, in the plane and along the boundaries that it is met on."""

from itertools import pairwise
from numbers import Real

import numpy as np

from .._minimizing import newton
from .._minimizing.flat import flatten, parts
from .._minimizing.stationary_points import swapped
from ..boundaries import LevelCurve, LevelPoint
from ..minima import minimum_at
from ..order_parameters import upright
from .branch_points import branch_points
from .competitors import Competitors
from .continuation import distance
from .curves import Coexistence, Curve
from .equilibria import Equilibrium, Solver, far
from .junctions import Junction, first_point, intersection
from .lines import Followed, trail_of
from .neighbours import lower_minimum
from .network import lowest_in, nodes
from .normal_forms import branches
from .tolerances import BESIDE_CHORD, EXITS, MET_WITHIN, MOVED, SAME

_HALVINGS = 10
"""Of the way between neighbours of the grid, before Newton's method takes over."""


class Measure:
    """A function of a Minimum less a value, at equilibria."""

    def __init__(self, function, value):
        self.function, self.value = function, value

    def __call__(self, state):
        """The function at an equilibrium, less the value: a float."""
        found = self.function(minimum_of(state))
        if not isinstance(found, Real):
            raise ValueError(f"function must return a real number, got {found!r:.60}")
        return float(found) - self.value

    def check(self, state):
        """Raise ValueError where the function changes when features that are alike change places at an equilibrium."""
        family, here = state.family, self(state)
        rows = state.x.reshape(family.m + 1, family.n)
        for pair in (pair for members in family.classes for pair in pairwise(members)):
            there = self(family.known(rows[:, swapped(family.n, *pair)].ravel(), state.free, state.u))
            if abs(there - here) > SAME * max(1.0, abs(here)):
                raise ValueError(
                    "function must not change when features that are alike change places, "
                    f"got {here + self.value:g} and {there + self.value:g}"
                )


def minimum_of(state):
    """The Minimum at an equilibrium."""
    family = state.family
    weights, bias = parts(state.x, family.m)
    model, gradient = family.plane.model(*map(float, family.values(state.u))), family.derivatives(state.x, state.u, 1)[1]
    own = newton.feature_losses_of(family.store).copy(), np.max(np.abs(gradient)), state.curvature
    return minimum_at(model, upright(weights), bias.copy(), *own, lowest_found=True)


class Level(Curve):
    """The curve on which a Measure of the lowest minimum vanishes."""

    kind = "level"

    def __init__(self, state, measure):
        super().__init__([state])
        self.measure = measure

    def _solve(self, u):
        """The minimum at u, or None where it has another shape."""
        old = self.states[0]
        state = self.family.stationary(old, u)
        return [state] if state.converged and far(state, old) < MOVED and state.clusters == old.clusters else None

    def value(self, u):
        """The measure of the minimum at u."""
        solved = self.solve(u)
        return np.nan if solved is None else self.measure(solved[0])

    def exists(self, u):
        """Whether it is a minimum at u."""
        solved = self.solve(u)
        return solved is not None and solved[0].stable

    def lower(self, u):
        """The lowest minimum at u when it is lower, or None."""
        return lower_minimum(u, self.solve(u))


def locate(curve, event, points, there, step, tangent):
    """The point in which a level curve meets a boundary; see `continuation.follow`."""
    here, state = points[-1], curve.states[0]
    if isinstance(event, str):
        symmetric = state if state.held else state.family.symmetrized(state, here)
        node = None if symmetric is None else _on(branch_points(symmetric), Level(symmetric, curve.measure), here)
    else:
        for _ in range(4):
            node = _on(Coexistence(state, event), curve.anew(), there)
            event = node and lower_minimum(node.u, node.states[:1])
            if event is None:
                break
    if node is None:
        return None
    away = node.u - here
    return (node, []) if np.linalg.norm(away) < MET_WITHIN * step and away @ tangent > 0 else None


def _on(boundary, level, u):
    """The point near u in which a curve of boundaries meets a level curve, or None."""
    u, precision = intersection(boundary, level, u)
    return None if u is None else Junction("boundary", u, [*level.states, *boundary.states], precision)


class _Line(Followed):
    """A level curve followed to both ends."""

    def result(self, name, value):
        """The curve as a LevelCurve of a function's name and value."""
        x, y = self.curve.family.values(self.points)
        minima = np.array([point.states[0].x for point in self.trail])
        phase = self.trail[len(self.trail) // 2].states[0].phase
        return LevelCurve(phase, name, value, x, y, minima, self.ends, **self.account)


def level_curves(diagram, function, value, name, phase):
    """The level curves of a diagram whose curves have been followed: a list of LevelCurve. ``phase``: the only one, or None."""
    solver, measure, lines = Solver(diagram, diagram.curves.settings), Measure(function, value), []
    solver.competitors = Competitors(solver, diagram)
    for u, curve in _met(solver, diagram, measure):
        state = curve.states[0]
        if phase in (None, state.phase) and not any(line.passes(u, curve.states) for line in lines):
            if not lines:
                measure.check(state)
            line = _Line.through(u, curve, locate)
            if len(line.trail) > 1 or line.is_crossed:
                lines.append(line)
    return [line.result(name, value) for line in lines]


def _met(solver, diagram, measure):
    """Yield (u, curve) where level curves are met: beside boundaries, and between neighbours of the grid."""
    for boundary in diagram.curves.boundaries:
        for node, sides in _along(solver, boundary, measure):
            for state in sides:
                curve = Level(state, measure)
                yield from _leaving(node.u, curve) if np.array_equal(state.u, node.u) else _on_it(curve, curve.onto(state.u))
    u = nodes(solver, diagram)
    shape, x, free = u.shape[:2], flatten(diagram.weights, diagram.bias), solver.all_free
    above = {cell: measure(Equilibrium(solver, x[cell], (free,), free, u[cell])) > 0 for cell in np.ndindex(shape)}
    for i, j in above:
        for other in ((i + 1, j), (i, j + 1)):
            if above.get(other, above[i, j]) != above[i, j]:
                for cell, end in (((i, j), other), (other, (i, j))):
                    state = lowest_in(solver, diagram, u, cell)
                    curve = Level(state, measure)
                    yield from _on_it(curve, _between(curve, state.u, u[end]))


def _between(curve, start, end):
    """The first point of a level curve on the way between two points, where the minimum lasts until there; or None."""
    along, first, last = end - start, 0.0, 1.0
    sign = np.sign(curve.value(start))
    if sign * curve.value(end) > 0:
        return None
    for _ in range(_HALVINGS):
        middle = (first + last) / 2
        first, last = (middle, last) if sign * curve.value(start + middle * along) > 0 else (first, middle)
    u = curve.at(start + first * along, np.array([-along[1], along[0]]) / np.linalg.norm(along))
    return u if u is not None and 0 <= (u - start) @ along <= along @ along else None


def _along(solver, boundary, measure):
    """Yield (Junction, minima on its sides that have the value) for the points of a boundary at which a measure vanishes."""
    trail = trail_of(solver, boundary)
    first = boundary.order == "first"
    for side in (0, 1) if first else (0,):
        values = [measure(point.states[side]) for point in trail]
        for k in np.flatnonzero(np.diff(np.sign(values)) * (np.array(values[1:]) != 0)):
            ends, part = [trail[k].u, trail[k + 1].u], values[k] / (values[k] - values[k + 1])
            pair = max((trail[k].states, trail[k + 1].states), key=lambda pair: far(*pair))  # told apart most easily
            curve = Coexistence(*pair) if first else branch_points(pair[0])
            node = _on(curve, Level(pair[side], measure), ends[0] + part * (ends[1] - ends[0]))
            if node is not None and distance(ends, node.u) < BESIDE_CHORD * np.linalg.norm(ends[1] - ends[0]):
                yield node, node.states[:1] if first else [node.states[0], *_broken(curve, node.u)]


def _broken(curve, u):
    """What branches off from an equilibrium beyond the curve on which it loses its stability, near its point u."""
    slope = curve.slope(u)
    for part in EXITS[:4]:
        beyond = curve.family.stationary(curve.states[0], u - part * curve.family.box.step * slope / np.linalg.norm(slope))
        found = branches(beyond) if beyond.converged else []
        if found:
            return [min(found, key=lambda state: state.loss)]
    return []


def _on_it(curve, u):
    """Yield (u, curve) where u is a point at which a level curve's minimum is lowest; nothing for None."""
    if u is not None and not curve.family.box.outside(u) and curve.event(u) is None:
        curve.move_to(u)
        yield u, curve


def _leaving(u, curve):
    """Yield the point next to u, on a boundary, from which a level curve leaves it: (point, curve), at most one."""
    start = curve.states
    for part in EXITS[:4]:
        for sense in (1.0, -1.0):
            curve.states = start
            met = list(_on_it(curve, first_point(curve, u, part * sense)))
            if met:
                yield from met
                return


def level_points(curves, boundary, function, value):
    """The points of a boundary at which a function of the minimum on either side has a value: a list of LevelPoint."""
    solver, measure = Solver(curves, curves.settings), Measure(function, value)
    found = []
    for node, sides in _along(solver, boundary, measure):
        x, y = map(float, solver.values(node.u))
        minimum = minimum_of(sides[0])
        if not found:
            measure.check(sides[0])
        found.append(LevelPoint(x, y, minimum.phase.name, minimum, solver.axes, node.precision))
    return found
