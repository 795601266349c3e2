"""Spinodals: where either minimum of a first-order boundary ceases to exist."""

import numpy as np

from ._continuation import crossing
from .boundaries import Spinodal
from .boundary_curves import MERGED
from .equilibria import far
from .stationary_points import invariants

NEARLY_ONE = 0.02
"""Where the two minima differ by less, next to the end of a boundary, its spinodals cannot be told from it and are left out."""

POINTS = 25
"""Points of a boundary from which its spinodals are sought."""


def find_spinodals(solver, curve, trail):
    return tuple(_spinodal(solver, curve, trail, side) for side in (0, 1))


def _spinodal(solver, curve, trail, side):
    """Where the minimum on one side of a first-order boundary ends, sought across the boundary from some of its points."""
    found = []
    for k in np.unique(np.linspace(0, len(trail) - 1, min(len(trail), POINTS)).round().astype(int)):
        u, pair = trail[k]
        if far(*pair) < NEARLY_ONE:
            continue
        curve.states = list(pair)
        slope = curve.slope(u)
        if not np.all(np.isfinite(slope)) or not np.any(slope):
            continue
        across = slope / np.linalg.norm(slope) * (1.0 if side == 0 else -1.0)  # where the other one is lower
        end = _limit(solver, u, across, pair[side], pair[1 - side])
        if end is not None:
            found.append(end)
    found = np.array(found).reshape(-1, 2)
    return Spinodal(curve.phases[side], np.exp(found[:, 0]), np.minimum(np.exp(found[:, 1]), 1.0))


def _limit(solver, u, across, own, other):
    """The point at which the minimum ``own`` ceases on the way from u, or None when it lasts to the edge of the diagram."""

    def carried(state, rest, v):
        """What own and the other minimum become at v; None for own where it has ceased."""
        new = solver.solve(state, v)
        moved = far(new, state)
        alive = new.stable and moved < 0.25 and new.phase == state.phase
        if alive and moved > 0.01:  # it may have fallen into the other one
            beside = solver.solve(rest, v)
            alive = not beside.stable or far(new, beside) > MERGED
            rest = beside if beside.stable else rest
        return (new if alive else None), rest

    # where the two are near each other, so are their spinodals
    here, step = u, solver.box.step * float(np.clip(2 * far(own, other), 0.02, 2.0))
    while True:
        there = here + step * across
        if solver.box.outside(there):
            return None
        new, beside = carried(own, other, there)
        if new is None:
            break
        here, own, other = there, new, beside
    # a phase that symmetry keeps stationary ends where its curvature vanishes
    for reach in (1.0, 2.0, 5.0):  # a little beyond where it was lost: the descent leaves it when it is almost flat
        exact = crossing(lambda v: solver.stationary(own, v, own.free)[1], here, here + reach * (there - here))
        if exact is not None:
            x, _ = solver.stationary(own, exact, own.free)
            if np.max(np.abs(invariants(x, solver.m, solver.classes) - own.key)) < 0.1:
                return exact
    for _ in range(36):  # otherwise it meets a saddle
        middle = (here + there) / 2
        new, beside = carried(own, other, middle)
        if new is None:
            there = middle
        else:
            here, own, other = middle, new, beside
    return here
