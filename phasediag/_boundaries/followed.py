"""Curves followed to both ends, and boundaries among them: which minima they separate, and where they end."""

import numpy as np

from ..boundaries import PhaseBoundary
from . import continuation
from .continuation import follow
from .curves import Coexistence, StabilityLimit
from .junctions import Junction, junction, junction_ahead, junction_between
from .stability import branches, rival
from .states import MOVED, far

SAME_JUNCTION = 1e-7
"""Junctions nearer to each other than this are one."""

NEAR = 0.05
"""Minima of one shape on curves through one point are the same when their invariants differ by less."""

LOOKED_AT = 3
"""Whether what a curve separates is the lowest is looked at again in so many of its points,"""
ASIDE = 1e-3
"""this part of a full step beside it."""


class Followed:
    """A curve followed from one of its points to both ends.

    trail: points u with the states there, in order; ends: why it ends at its first and last point.
    """

    def __init__(self, u, curve, box, **options):
        curve.move_to(u)
        self.curve, self.trail, self.ends = curve, [(u, curve.states)], []
        for sense in (1.0, -1.0):
            way = curve.anew()
            points, reason, against = follow(way, u, box, sense, **options)
            trail, reason = self._ended(way, [u, *points], reason, against)
            self.trail = [*self.trail, *trail] if sense > 0 else [*trail[::-1], *self.trail]
            self.ends = [*self.ends, reason] if sense > 0 else [reason, *self.ends]
            if reason == "closed":
                self.ends = ["closed", "closed"]
                break

    def _ended(self, way, points, reason, against):
        """The trail of one way, completed where its last point is an end that has not been accepted, and why it ends."""
        is_whole = len(points) == len(way.trail) + 1
        return (way.trail if is_whole else [*way.trail, (points[-1], way.solve(points[-1]) or way.states)]), reason

    @property
    def points(self):
        """Its points, shape (n_points, 2)."""
        return np.array([u for u, _ in self.trail])

    def nearest(self, u):
        """The states at its point that is nearest to u."""
        return self.trail[int(np.argmin(np.linalg.norm(self.points - u, axis=1)))][1]


class Trace(Followed):
    """A boundary followed to both ends; junctions: those in which it ends. ``known``: those known before."""

    def __init__(self, u, curve, known):
        self.junctions, self.known = [], known
        super().__init__(u, curve, curve.solver.box, between=junction_between, ahead=junction_ahead)

    def _ended(self, way, points, reason, against):
        """As any curve, or in a junction."""
        if reason not in ("corner", "end"):
            return super()._ended(way, points, reason, against)
        node = against if isinstance(against, Junction) else _end(way, points[-1], against, self.known)
        if node is None:
            return way.trail, "unresolved"
        self.junctions.append(node)
        last = way.trail[-1] if way.trail else self.trail[0]
        return [*way.trail, (node.u, way.solve(node.u) or last[1])], node.kind

    def contested(self):
        """Where something lies lower than its two minima, on it or on either side, and where nothing does.

        Looked at in some places: a list of pairs of the lowest minima on the two sides, and one of (u, curve).
        """
        pairs, good = [], []
        if self.curve.order == "continuous" or self.ends[0] == "closed":
            return pairs, good
        inner = self.trail[1:-1] or self.trail
        for k in np.unique(np.linspace(0, len(inner) - 1, LOOKED_AT).round().astype(int)):
            u, states = inner[k]
            curve = Coexistence(*(state.solver.stationary(state, u) for state in states))
            slope = curve.slope(u)
            if far(*states) < NEAR or not np.all(np.isfinite(slope)) or not np.any(slope) or not curve.exists(u):
                continue
            aside = ASIDE * curve.solver.box.step * slope / np.linalg.norm(slope)
            known = [curve.solver.stationary_points(curve.states, there) for there in (u - aside, u + aside)]
            if any(curve.solver.box.outside(there) for there in (u - aside, u + aside)) or not all(
                state.stable and far(state, own) < MOVED for both in known for state, own in zip(both, curve.states, strict=True)
            ):
                continue
            lowest = [
                rival(there, both) or min(both, key=lambda state: state.loss)
                for there, both in zip((u - aside, u + aside), known, strict=True)
            ]
            if all(any(far(state, own) < 1e-9 for own in both) for state, both in zip(lowest, known, strict=True)):
                good.append((u, curve))
            else:
                pairs.append(tuple(lowest))
        return pairs, good

    def end_at(self, known):
        """End in a known junction where it stopped just short of it."""
        for side in (0, -1):
            if self.ends[side] == "unresolved":
                u, states = self.trail[side]
                node = _at_junction(known, u, states, self.curve.solver.box)
                if node is not None:
                    self.ends[side], self.trail[side] = node.kind, (node.u, states)

    @property
    def extends(self):
        """Whether it leads anywhere: not where it returns to its first point without being closed, nor along density 1.

        Its minima are then not told apart; at density 1, x and 1 − x have one law: aligned and antipodal directions tie all
        along this edge.
        """
        points = self.points
        returns = np.linalg.norm(points[0] - points[-1]) < SAME_JUNCTION and self.ends[0] != "closed"
        return not returns and bool(np.any(np.abs(points[:, 1]) >= 1e-6))

    @property
    def is_crossed(self):
        """Whether it is the point in which a diagram of one row or column crosses a curve."""
        return len(self.trail) == 1 and not np.all(self.curve.solver.box.wide)

    def passes(self, u, pair):
        """Whether the curve passes through u with the same two minima."""
        if continuation.distance(self.points, u) > 0.1 * self.curve.solver.box.step:
            return False
        nearest = self.nearest(u)
        solved = [self.curve.solver.solve(state, u) for state in nearest]
        solved = [new if new.clusters == old.clusters else old for new, old in zip(solved, nearest, strict=True)]
        return any(
            all(a.shape == b.shape and far(a, b) < NEAR for a, b in zip(pair, known, strict=True))
            for one in (nearest, solved)
            for known in (one, one[::-1])
        )

    def separates(self, a, b):
        """Whether the curve crosses the way from a to b, and the minima on its sides become a and b there."""
        if not continuation.passes(self.points, a.u, b.u):
            return False
        near = self.nearest((a.u + b.u) / 2)
        solve = self.curve.solver.solve
        for one, other in (near, near[::-1]):
            if far(solve(one, a.u), a) < 1e-6 and far(solve(other, b.u), b) < 1e-6:
                return True
        return False

    def boundary(self):
        """The curve as a PhaseBoundary."""
        curve, points, pairs = self.curve, self.points, [pair for _, pair in self.trail]
        norms = np.array([[np.linalg.norm(state.weights[:, -1]) for state in pair] for pair in pairs]).T
        importance, density = np.exp(points[:, 0]), np.minimum(np.exp(points[:, 1]), 1.0)
        minima, free = (np.array([[getattr(pair[k], name) for pair in pairs] for k in (0, 1)]) for name in ("x", "free"))
        if curve.order == "continuous":
            phases = self._turning_into()
            latent = np.zeros(len(points))
        else:
            widest = max(pairs, key=lambda pair: far(*pair))
            phases = tuple(state.phase for state in widest)
            latent = np.array([abs(one.extra_loss - other.extra_loss) for one, other in pairs])
        return PhaseBoundary(phases, importance, density, curve.order, latent, norms, tuple(self.ends), minima, free)

    def _turning_into(self):
        """Names of the symmetric phase and of the one that it turns into, beyond the middle of a softening curve."""
        u, (state, _) = self.trail[len(self.trail) // 2]
        solver, slope = self.curve.solver, StabilityLimit(state).slope(u)
        for reach in (0.3, 0.1, 1.0):
            beyond = solver.stationary(state, u - reach * solver.box.step * slope / np.linalg.norm(slope))
            if not beyond.converged:
                continue
            turned = min(branches(beyond), key=lambda s: s.loss, default=None)
            if turned is not None and turned.phase != state.phase:
                return state.phase, turned.phase
        return state.phase, state.phase


def _end(curve, u, against, known):
    """The junction at which a curve ends that stops at u: the nearer one of the one solved for and a known one; or None."""
    found = junction(curve, u, against), _at_junction(known, u, curve.states, curve.solver.box)
    return min((node for node in found if node), key=lambda node: np.linalg.norm(node.u - u), default=None)


def _at_junction(known, u, states, box):
    """The known junction at which a curve stops that cannot be solved up to it: one of its minima meets others there."""
    for node in known:
        if np.linalg.norm(node.u - u) < 1e-3 * box.step and any(
            a.shape == b.shape and far(a, b) < NEAR for a in states for b in node.states
        ):
            return node
    return None
