"""Curves followed to both ends: their points, what is said of them, and boundaries as results."""

import numpy as np

from ..boundaries import PhaseBoundary
from .branch_points import branch_points
from .continuation import Point, Way, distance, follow, passes
from .curves import Coexistence
from .equilibria import far
from .junctions import MERGING
from .normal_forms import branches
from .tolerances import BEYOND_LIMIT, NEAR, ON_CURVE, ONE_BRANCH, ONE_POINT, TYING


class Followed:
    """A curve followed from one of its points to both ends.

    trail: its points, in order, a list of Point; ways: to its first and its last point; curve: at any of them.
    """

    def __init__(self, curve, trail, ways):
        self.curve, self.trail, self.ways = curve, trail, ways

    @classmethod
    def through(cls, u, curve, locate=None):
        """The curve through its point u, followed both ways."""
        curve.move_to(u)
        ahead = follow(curve.anew(), u, 1.0, locate)
        back = ahead if ahead.end == "closed" else follow(curve.anew(), u, -1.0, locate)
        here = Point(u, curve.states, curve.precision)
        return cls(curve, [*([] if back is ahead else back.trail[::-1]), here, *ahead.trail], [back, ahead])

    def go_on(self, locate):
        """Follow the curve on where it could not be ended."""
        for k, way in enumerate(self.ways):
            if way.is_open:
                u, states, _ = self.trail[-k]
                curve = self.curve.anew()
                curve.states = states
                outward = u - self.trail[1 - 3 * k].u if len(self.trail) > 1 else np.diff(way.bracket, axis=0)[0]
                sense = np.copysign(1.0, curve.tangent(curve.place(u))[-2:] @ outward)
                self.ways[k] = way = follow(curve, u, sense, locate)
                self.trail = [*self.trail, *way.trail] if k else [*way.trail[::-1], *self.trail]

    @property
    def is_open(self):
        """Whether it could not be ended."""
        return any(way.is_open for way in self.ways)

    @property
    def ends(self):
        """Why it ends at its first and last point."""
        return tuple("unresolved" if way.is_open else way.end for way in self.ways)

    @property
    def account(self):
        """What is said of how a curve was solved: precision, brackets and reasons, fields of a result."""
        family, brackets = self.curve.family, np.array([way.bracket for way in self.ways])
        return {
            "precision": np.array([point.precision for point in self.trail]),
            "brackets": np.stack(family.values(brackets), axis=-1),
            "reasons": tuple(way.why for way in self.ways),
            "axes": family.axes,
        }

    @property
    def nodes(self):
        """The codimension-two points in which it ends."""
        return [way.node for way in self.ways if way.node is not None]

    @property
    def points(self):
        """Its points, shape (n_points, 2)."""
        return np.array([point.u for point in self.trail])

    def nearest(self, u):
        """The equilibria at its point that is nearest to u, of those where they have not become one."""
        first, last = (end in MERGING for end in self.ends)
        trail = self.trail[first : len(self.trail) - last] or self.trail
        return trail[int(np.argmin(np.linalg.norm([point.u - u for point in trail], axis=1)))].states

    def passes(self, u, states):
        """Whether it passes through u, of the same equilibrium."""
        if distance(self.points, u) > ON_CURVE * self.curve.family.box.step:
            return False
        own = self.nearest(u)[0]
        return own.shape == states[0].shape and far(own, states[0]) < NEAR

    @property
    def is_crossed(self):
        """Whether it is the point in which a diagram of one row or column crosses a curve."""
        return len(self.trail) == 1 and not np.all(self.curve.family.box.wide)


def trail_of(solver, boundary):
    """The points of a PhaseBoundary with the two minima at each, a list of Point."""
    u = solver.points(boundary.x, boundary.y)
    sides = zip(boundary.minima, boundary.free, strict=True)
    one, other = ([solver.known(*state) for state in zip(x, free, u, strict=True)] for x, free in sides)
    return [Point(*point) for point in zip(u, zip(one, other, strict=True), boundary.precision, strict=True)]


class Line(Followed):
    """A boundary followed to both ends."""

    @classmethod
    def known(cls, solver, boundary):
        """That of a PhaseBoundary."""
        trail = trail_of(solver, boundary)
        pair = trail[len(trail) // 2].states
        curve = Coexistence(*pair) if boundary.order == "first" else branch_points(pair[0])
        brackets = solver.points(*np.moveaxis(boundary.brackets, -1, 0))
        ways = [Way([], *one) for one in zip(boundary.ends, brackets, (None, None), boundary.reasons, strict=True)]
        return cls(curve, trail, ways)

    @property
    def extends(self):
        """Whether it leads anywhere: not where it returns to its first point without being closed, nor along the greatest value.

        Its minima are then not told apart; at density 1, x and 1 − x have one law: aligned and antipodal directions tie all
        along this edge.
        """
        points = self.points
        returns = np.linalg.norm(points[0] - points[-1]) < ONE_POINT and self.ends[0] != "closed"
        return not returns and not np.any(np.all(np.abs(points - self.curve.family.box.most) < TYING, axis=0))

    def passes(self, u, pair):
        """Whether the curve passes through u with the same two minima."""
        family = self.curve.family
        if distance(self.points, u) > ON_CURVE * family.box.step or self._ends_before(u):
            return False
        nearest = self.nearest(u)
        solved = [family.solve(state, u) for state in nearest]
        solved = [new if new.clusters == old.clusters else old for new, old in zip(solved, nearest, strict=True)]
        return any(
            all(a.shape == b.shape and far(a, b) < NEAR for a, b in zip(pair, known, strict=True))
            for one in (nearest, solved)
            for known in (one, one[::-1])
        )

    def _ends_before(self, u):
        """Whether u lies near a codimension-two point in which the curve ends, but beyond it."""
        points = self.points
        k = int(np.argmin(np.linalg.norm(points - u, axis=1)))
        if len(points) == 1 or 0 < k < len(points) - 1 or self.ways[0 if k == 0 else 1].node is None:
            return False
        last = points[k] - points[1 if k == 0 else -2]
        return (u - points[k]) @ last > ONE_POINT * np.linalg.norm(last)

    def separates(self, a, b):
        """Whether the curve crosses the way from a to b, and the minima on its sides become a and b there."""
        if not passes(self.points, a.u, b.u):
            return False
        near, solve = self.nearest((a.u + b.u) / 2), self.curve.family.solve
        for one, other in (near, near[::-1]):
            if far(solve(one, a.u), a) < ONE_BRANCH and far(solve(other, b.u), b) < ONE_BRANCH:
                return True
        return False

    def boundary(self):
        """The curve as a PhaseBoundary."""
        curve, points, both = self.curve, self.points, [point.states for point in self.trail]
        norms = np.array([[np.linalg.norm(state.weights[:, -1]) for state in pair] for pair in both]).T
        x, y = curve.family.values(points)
        minima, free = (np.array([[getattr(pair[k], name) for pair in both] for k in (0, 1)]) for name in ("x", "free"))
        if curve.order == "continuous":
            phases = self._turning_into()
            latent = np.zeros(len(points))
        else:
            widest = max(both, key=lambda pair: far(*pair))
            phases = tuple(state.phase for state in widest)
            one, other = curve.family.rate(minima, points)
            latent = np.abs(one - other)
        return PhaseBoundary(phases, x, y, curve.order, latent, norms, self.ends, minima, free, **self.account)

    def _turning_into(self):
        """Names of the symmetric phase and of the one that it turns into, beyond the middle of a limit of stability."""
        u, (state, _), _ = self.trail[len(self.trail) // 2]
        family, slope = self.curve.family, branch_points(state).slope(u)
        for reach in BEYOND_LIMIT:
            beyond = family.stationary(state, u - reach * family.box.step * slope / np.linalg.norm(slope))
            if not beyond.converged:
                continue
            turned = min(branches(beyond), key=lambda s: s.loss, default=None)
            if turned is not None and turned.phase != state.phase:
                return state.phase, turned.phase
        return state.phase, state.phase
