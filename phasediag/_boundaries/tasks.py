"""The tasks of which a network is made: functions of the solver and of what was known when each was set, done in any process."""

import numpy as np

from .branch_points import branch_points
from .curves import Coexistence
from .equilibria import far
from .exchanges import exchange_modes
from .junctions import locate
from .lines import Line
from .tolerances import BEYOND, FLAT, JUMP, LOWER, NEAR, ONE_BRANCH, ONE_POINT, ZERO

_DEEPEST = 40
"""Halvings of the way between two minima until what lies between them is found."""
_MOST = 200
"""Parts of such a way that are looked at, of laws of certain values: each boundary that no curve accounts for takes about 50."""


class Task:
    """What is found by a function of the solver and ``given``, and of the competitors that are known when the task is set."""

    def __init__(self, network, function, *given):
        self.network, self.asked = network, (len(network.solver.competitors.history), function, given)

    def work(self, told):
        """What a process is asked that has been told so many entries of the history, and how many it knows then."""
        n_known = self.asked[0]
        new = self.network.solver.competitors.history[told:n_known]
        return (found_by, (new, *self.asked)), max(told, n_known)

    def done(self, answer):
        """Take what has been found, and the competitors that were on the way; return the tasks that follow."""
        found, news = answer
        self.network.solver.competitors.learn(news)
        return self.followed_by(found)


class Crossing(Task):
    """The task of meeting the boundaries between pairs of minima, which is not wanted where known lines separate them all."""

    def __init__(self, network, pairs):
        super().__init__(network, _crossings, pairs)
        self._pairs, self._n_asked = pairs, len(network.lines)

    def is_wanted(self):
        """See `Workers.do`."""
        network = self.network
        self._pairs = [pair for pair in self._pairs if not network.separates(*pair, self._n_asked)]
        self._n_asked = len(network.lines)
        return bool(self._pairs)

    def followed_by(self, met):
        """What is met is to be followed, or missed."""
        starts, missed = met
        self.network.doubtful += missed
        return [Following(self.network, *start) for start in starts]


class Following(Task):
    """The task of following a curve from its point u, which is not wanted where a line that is known passes through it."""

    def __init__(self, network, u, curve):
        super().__init__(network, _line, u, curve)
        self._n_asked, self._is_known = 0, False

    def is_wanted(self):
        """See `Workers.do`."""
        (u, curve), lines = self.asked[-1], self.network.lines
        if not self._is_known and self._n_asked < len(lines):
            states = curve.solve(u) or curve.states
            self._is_known = any(line.passes(u, states) for line in lines[self._n_asked :])
            self._n_asked = len(lines)
        return not self._is_known

    def followed_by(self, line):
        """A line that leads anywhere is kept, and the points at its ends are new or not."""
        if not (line.extends or line.is_crossed):
            return []
        self.network.followed(1)
        return self.network.keep(line)


class Leaving(Task):
    """The task of finding the curves that leave a codimension-two point, which is a new one."""

    def __init__(self, network, node):
        super().__init__(network, _departures, node)

    def is_wanted(self):
        """See `Workers.do`."""
        return True

    def followed_by(self, starts):
        """They are to be followed."""
        return [Following(self.network, *start) for start in starts]


def found_by(solver, new, n_known, function, given):
    """What a function of the solver finds that knows the first entries of a history alone, and what it adds to that.

    ``new``: entries that this process has not been told.
    """
    known = solver.competitors
    known.history += new
    solver.competitors = own = known.after(known.history[:n_known])
    before = len(own.history)
    try:
        return function(solver, *given), own.history[before:]
    finally:
        solver.competitors = known


def _crossings(_, pairs):
    """The boundaries met between pairs of minima: lists of (u, curve), and of (way, a, b) where none is found between a and b."""
    starts, missed = [], []
    for pair in pairs:
        _Way(starts, missed, *pair).cross(*pair)
    return starts, missed


def _line(_, u, curve):
    """The Line of a curve through its point u."""
    return Line.through(u, curve, locate)


def _departures(solver, node):
    """The curves that leave a codimension-two point: a list of (u, curve). Its minima are noted."""
    for state in node.states:
        if state.stable and node.kind != "critical point":
            solver.competitors.note(state)
    return list(node.departures())


class _Way:
    """The way between two minima, each lowest where it was solved, and what is met on it: lists of (u, curve), and missed."""

    def __init__(self, starts, missed, a, b):
        self.solver, self.starts, self.missed, self.ends, self.n_parts = a.family, starts, missed, (a.u, b.u), 0

    def cross(self, a, b, depth=0):
        """Meet the boundaries on the part of it from the minimum a to b."""
        length, related, competitors = np.linalg.norm(b.u - a.u), _related(a, b), self.solver.competitors
        self.n_parts += 1
        if (related and far(a, b) < JUMP) or _in_one_valley(a, b):
            return
        endless = self.n_parts > _MOST and len(self.solver.inputs)
        if depth > _DEEPEST or length < ONE_POINT or endless:
            self.missed.append((self.ends, a, b))
            return
        middle, (curve, u) = (a.u + b.u) / 2, (None, None) if related else _between(a, b)
        if curve is not None:
            event = curve.event(u)
            if event is None:
                self.starts.append((u, curve))
                if curve.order == "continuous":  # what else lies on the way begins beyond it
                    beyond = [competitors.lowest(u + BEYOND * (end.u - u)) for end in (a, b)]
                    for part in ((a, beyond[0]), (beyond[1], b)):
                        if None not in part:
                            self.cross(*part, depth + 1)
                return
            if event == "merges":
                return
            middle = middle if isinstance(event, str) else u
        lowest = competitors.lowest(middle)
        if lowest is not None:
            if not related:
                competitors.note(lowest)
            self.cross(a, lowest, depth + 1)
            self.cross(lowest, b, depth + 1)


def _related(a, b):
    """Whether two lowest minima may be one: each becomes the other between their places, as far as its response to u can tell.

    Steps of Newton's method lead from one of two that are about to merge to the other.
    """
    apart = far(a, b)
    if a.shape != b.shape or (apart < NEAR and a.phase != b.phase):
        return False
    return apart < ONE_BRANCH or all(far(one.ahead(other.u), other) < apart / 2 for one, other in ((a, b), (b, a)))


def _in_one_valley(a, b):
    """Whether two lowest minima are points of one valley of equal loss, which lead as low at any place."""
    if not all(abs(one.curvature) < FLAT for one in (a, b)):
        return False
    here = a.family.stationary(a, b.u)
    return here.converged and abs(here.loss - b.loss) <= LOWER * b.loss


def _between(a, b):
    """The curve that separates the minimum a, lowest where it was solved, from b, and its point on the way; (None, None)."""
    along = b.u - a.u
    if not np.any(along):
        return None, None
    normal = np.array([-along[1], along[0]]) / np.linalg.norm(along)
    solver, middle = a.family, (a.u + b.u) / 2
    for state, other in ((a, b), (b, a)):
        if state.curvature < NEAR and (state.held or exchange_modes(state)):
            curve = branch_points(state)
            if len(state.family.inputs) and curve.value(a.u) * curve.value(b.u) > 0:  # a valley is flat everywhere
                continue
            u = curve.at(state.u, normal)
            if u is not None and 0 <= (u - a.u) @ along <= along @ along:
                curve.move_to(u)
                branches_off = curve.exists(u) and abs(curve.coefficient(u)) > ZERO  # in a valley nothing does
                if branches_off and not _is_below(solver.stationary(other, u), curve.states[0]):
                    return curve, u
    one, other = solver.stationary_points([a, b], middle)
    if (
        not all(new.converged and (new.held or new.stable) and far(new, old) < 2 * JUMP for new, old in ((one, a), (other, b)))
        or far(one, other) < ONE_BRANCH
    ):
        return None, None
    curve = Coexistence(one, other)
    u = curve.at(middle, normal)
    if u is None or not -ONE_BRANCH <= (u - a.u) @ along / (along @ along) <= 1 + ONE_BRANCH:
        return None, None
    curve.move_to(u)
    return (curve, u) if curve.exists(u) else (None, None)


def _is_below(other, state):
    """Whether another equilibrium, far away, is lower than one: where that ceases nothing continuous separates the two."""
    return other.converged and far(state, other) > NEAR and other.loss < state.loss * (1 - LOWER)
