"""Spinodals: where either minimum of a first-order boundary ceases to exist."""

import numpy as np

from ..boundaries import Spinodal
from .continuation import crossing
from .curves import Crossing, Softening
from .states import far

NEARLY_ONE = 1e-3
"""Where the two minima differ by less, next to the end of a boundary, its spinodals cannot be told from it."""

POINTS = 25
"""Points of a boundary from which its spinodals are sought."""

RESOLUTION = 1e-12
"""An end is where a minimum cannot be carried on even by a step as short as this."""

MERGING = ("order changes", "critical point")
"""Ends of a boundary at which its two minima become one, so that both spinodals end there."""


def find_spinodals(trail, ends):
    """Both spinodals of a first-order boundary: trail, its points with the two minima there; ends, why it ends."""
    return tuple(_spinodal(trail, ends, side) for side in (0, 1))


def _spinodal(trail, ends, side):
    """Where the minimum on one side of a first-order boundary ends, sought across the boundary from some of its points."""
    found, last = [], len(trail) - 1
    for k in np.unique(np.linspace(0, last, min(len(trail), POINTS)).round().astype(int)):
        u, pair = trail[k]
        if (k == 0 and ends[0] in MERGING) or (k == last and ends[-1] in MERGING):
            found.append(u)
        elif k not in (0, last) or far(*pair) > 0.05:
            end = _across(u, pair, side)
            if end is not None:
                found.append(end)
    found = np.array(found).reshape(-1, 2)
    widest = max((pair for _, pair in trail), key=lambda pair: far(*pair))
    return Spinodal(widest[side].phase, np.exp(found[:, 0]), np.minimum(np.exp(found[:, 1]), 1.0))


def _across(u, pair, side):
    """The limit of one minimum on the way from a point of the boundary to where the other one is lower."""
    if far(*pair) < NEARLY_ONE:
        return None
    curve = Crossing(*(pair[0].solver.stationary(state, u) for state in pair))
    slope = curve.slope(u)
    if not np.all(np.isfinite(slope)) or not np.any(slope):
        return None
    # where one minimum is lower value(u) is negative
    return _limit(u, slope / np.linalg.norm(slope) * (1.0 if side == 0 else -1.0), curve.states[side], far(*pair))


def _limit(u, across, own, apart):
    """The point at which the minimum ``own`` ceases on the way from u, or None when it lasts to the edge of the diagram."""
    solver = own.solver

    def carried(state, v):
        """What the minimum becomes at v, None where it has ceased."""
        new = solver.stationary(state, v)
        alive = new.converged and new.stable and new.clusters == state.clusters
        return new if alive and far(new, state) < min(0.25, 0.5 * apart) else None

    # where the two are near each other, so are their spinodals
    here, step, longest = u, solver.box.step * min(1.0, 5 * apart**2), 2 * solver.box.step
    failed = False
    while step > RESOLUTION:
        room = _room(solver.box, here, across)
        if room < RESOLUTION:
            return None
        step = min(step, room)
        there = here + step * across
        new = carried(own, there)
        if new is not None:
            before, here, own = own, there, new
            step = min(1.5 * step, longest, _remaining(before, own, step) if failed else np.inf)
            continue
        exact = _softens(own, here, there) if own.held else None
        if exact is not None:
            return exact
        # it may only have been too far away: come nearer and try again
        failed, step, longest = True, step / 2, step / 2
    return here


def _remaining(before, own, step):
    """Most of the way left to a fold, where the square of the curvature falls linearly to 0; infinite where it does not fall."""
    fall = before.curvature**2 - own.curvature**2
    return 0.8 * step * own.curvature**2 / fall if fall > 0 else np.inf


def _room(box, here, across):
    """How far it is to the edge of the diagram."""
    room = np.where(across > 0, box.high - here, here - box.low)
    return float(np.min(room[across != 0] / np.abs(across[across != 0])))


def _softens(own, here, there):
    """Where a symmetric state loses its stability between here and there, or a little beyond."""
    soft = Softening(own)
    for reach in (1.0, 4.0):
        exact = crossing(soft.value, here, here + reach * (there - here))
        if exact is not None:
            return exact
    return None
