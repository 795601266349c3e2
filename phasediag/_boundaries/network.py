"""Boundaries of the relaxed and global theories: curves on which solved minima coexist, or one turns into another.

Minima are carried along as warm starts, never looked up: at every point the two that compete are solved again. A curve is
followed from wherever it is met first to the junctions at its ends; from there, the other curves that meet in them.
"""

import numpy as np

from .._progress import progress_bar
from .contenders import Contenders
from .curves import located
from .equilibria import Solver
from .followed import SAME_JUNCTION, Trace
from .grid import Corners
from .meshes import Meshes
from .stability import branches
from .states import far

RING = 0.25
"""What else leaves a junction is sought on a circle of this many full steps around it,"""
DIRECTIONS = 16
"""between so many points,"""
RING_JUMP = 0.05
"""whose lowest minima differ in their phase or by more than this in their invariants."""

MOST_CURVES = 200
"""No more curves than this are followed."""


def solved_boundaries(diagram, progress=False):
    """Find the boundaries and triple points of a relaxed or global diagram: (list of PhaseBoundary, list of TriplePoint)."""
    with progress_bar(None, progress, "curve", "boundaries") as followed:
        solver = Solver(diagram)
        solver.contenders = Contenders(solver, diagram)
        network = _Network(solver, followed)
        Meshes(network, diagram).search()
        network.close()
    corners = Corners()
    for node in network.junctions:
        if node.kind == "triple point":
            corners.add(node.u, [state.phase for state in [*node.states, *_turned(node)]])
    return [trace.boundary() for trace in network.traces], corners.triple_points()


class _Network:
    """The curves followed so far and the junctions in which they meet; ``followed`` is called for each curve."""

    def __init__(self, solver, followed):
        self.solver, self.followed, self.traces, self.junctions = solver, followed, [], []

    def cross(self, a, b, depth=0):
        """Follow the boundaries met on the way from the minimum a, lowest where it was solved, to b."""
        if self.tells(a, b):
            return
        for u, curve in located(a, b):
            if not curve.exists(u):
                continue
            between = curve.rival(u)
            if between is None:
                if curve.tells_apart(u):  # else a continuous curve lies there
                    self.visit(u, curve)
            elif not isinstance(between, str) and depth < 6:
                self.cross(a, between, depth + 1)
                self.cross(between, b, depth + 1)

    def tells(self, a, b):
        """Whether a known curve lies between two minima, each lowest where it was solved, and nothing else."""
        return any(trace.separates(a, b) for trace in self.traces)

    def visit(self, u, curve):
        """Follow a curve from its point u, and the curves that leave the junctions at its ends, unless they are known."""
        waiting = [(u, curve)]
        while waiting and len(self.traces) < MOST_CURVES:
            u, curve = waiting.pop(0)
            if any(trace.passes(u, curve.solve(u) or curve.states) for trace in self.traces):
                continue
            trace = Trace(u, curve, self.junctions)
            if not (trace.is_crossed or trace.extends):
                continue
            self.followed(1)
            for node in self._keep(trace):
                waiting.extend(node.departures())

    def _keep(self, trace):
        """Keep a curve, with the junctions at its ends; those that are new."""
        self.traces.append(trace)
        new = [node for node in trace.junctions if all(_apart(node, known) for known in self.junctions)]
        self.junctions += new
        for state in (state for node in new for state in node.states if state.stable):
            self.solver.contenders.note(state)
        return new

    def close(self):
        """Follow what else leaves the junctions, and end curves that stopped short of a junction known by now in it.

        Curves on which something lies lower that was not known when they were followed give way to what does.
        """
        for node in self.junctions:  # grows meanwhile
            for a, b in _around(node, self.solver):
                self.cross(a, b)
        for trace in list(self.traces):
            contested, good = trace.contested()
            if contested:
                self.traces.remove(trace)
                for u, curve in good:
                    self.visit(u, curve)
                for a, b in contested:
                    self.cross(a, b)
        for trace in self.traces:
            trace.end_at(self.junctions)


def _apart(node, other):
    """Whether two junctions are not one."""
    return np.linalg.norm(node.u - other.u) > SAME_JUNCTION


def _around(node, solver):
    """Yield the lowest minima of neighbouring points on a circle around a junction between which it may change."""
    angles = 2 * np.pi * (np.arange(DIRECTIONS) + 0.123) / DIRECTIONS
    ring = [node.u + RING * solver.box.step * np.array([np.cos(angle), np.sin(angle)]) for angle in angles]
    states = [solver.contenders.lowest(u) if not solver.box.outside(u) else None for u in ring]
    for a, b in zip(states, [*states[1:], states[0]], strict=True):
        if a is not None and b is not None and (a.phase != b.phase or far(a, b) > RING_JUMP):
            yield a, b


def _turned(node):
    """The phase that a symmetric state is about to turn into where a continuous boundary ends."""
    return branches(node.states[0]) if len(node.states) == 2 else []
