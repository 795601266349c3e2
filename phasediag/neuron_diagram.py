"""Phases of neurons over a plane, and where they change along the lines of its grid."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from ._arguments import Floats
from ._display import Result
from ._neurons.grid import Grid
from ._neurons.transitions import WIDTH, Segment
from .neuron_phases import UNBOUNDED, phase_of
from .neuron_training import stacked
from .planes import ControlPlane
from .theories import TIE_MARK, fields_of_minima

NAMED = 1e-7
"""Where no weight vanishes, to this part of an edge of the grid."""
BETWEEN = 20
"""Starts of the search for phases that lie between the ends of an edge."""
BESIDE = 1e-4
"""Of a segment: over so much, on both sides of a boundary, losses of fixed weights say which of two minima is the lower one."""
MOST_CROSSINGS = 4
"""On one edge of the grid."""


def neuron_grid(plane, seed, n_starts, n_threads, progress):
    """Fields of a PhaseDiagram of neurons; its weights are the encoder, and of untied weights the transposed decoder below."""
    form = plane.form
    grid = Grid(form, plane.grid).explore(n_starts, seed, n_threads, progress)
    cells = [cell for cell in np.ndindex(grid.shape) for _ in grid.minima[cell]]
    where = np.array([np.ravel_multi_index(cell, grid.shape) for cell in cells])
    points = [point for cell in np.ndindex(grid.shape) for point in grid.minima[cell]]
    x = np.array([point.x for point in points])
    weights, bias = stacked(form, x)
    phases = [phase_of(*form.parts(point)[:2], form.is_tied) for point in x]
    losses = np.array([point.scaled_loss * grid.landscapes[cell].scale for cell, point in zip(cells, points, strict=True)])
    converged = np.array([point.is_minimum for point in points])
    return fields_of_minima(grid.shape, where, x, weights, bias, losses, phases, np.arange(len(phases)), converged)


@dataclass(frozen=True, eq=False, repr=False)
class NeuronBoundary(Result):
    """A curve on which the lowest minimum of neurons changes from one phase to another, by its points on the grid's lines.

    Attributes
    ----------
    phases : tuple of two str
        In alphabetical order.
    order : {"first", "continuous"}
        "first" where the two minima differ, both exist on both sides and their losses cross: the weights jump. "continuous"
        where one turns into the other.
    x, y : ndarray, shape (n_points,)
        Values of the plane's two parameters where it crosses a line of the grid, in order along the curve: one of first order
        where both losses are equal; a continuous one where the one-sided derivative of the loss by the weight that vanishes
        does (or the second derivative, where the first is 0), to 1e-10 of a step of the grid. Where
        names change with no weight that vanishes, a share of squared weights passes the bound of `classify_neurons`, to 1e-7 of
        a step.
    loss : ndarray, shape (n_points, 2)
        Of both phases' minima there, in the order of ``phases``: equal to rounding.
    jump : ndarray, shape (n_points,)
        The largest change of a weight or bias across it, in the best order of neurons; 0 at a continuous one.
    minima : ndarray, shape (n_points, 2, size)
        Parameters of both minima, encoder, transposed decoder of "absolute", and bias, in the order of ``phases``; of those on
        both sides of a continuous one, up to 0.001 of a step from it.
    line : ndarray, shape (n_points, 2, 2)
        Coordinates of the two places between which each lies: neighbouring points of the grid, or what `refined` took.
    plane : ControlPlane

    Examples
    --------
    >>> from phasediag import Axis, ControlPlane, NeuronModel, phase_diagram
    >>> base = NeuronModel(1, importance=[1.0, 0.5], density=0.5)
    >>> plane = ControlPlane(base, x=Axis("importance", [0.2, 0.9]), y=Axis("density", [0.5]))
    >>> (boundary,) = phase_diagram(plane=plane).boundaries()
    >>> boundary.phases
    ('extra in polysemantic (2) + 1 polysemantic (2)', 'extra not represented + 1 monosemantic + 1 not represented')
    >>> boundary.order
    'continuous'
    """

    phases: tuple[str, str]
    order: str
    x: Floats
    y: Floats
    loss: Floats
    jump: Floats
    minima: Floats
    line: Floats
    plane: ControlPlane

    @cached_property
    def spinodals(self) -> Floats:
        """Where the minimum of each phase ends that is metastable beyond the boundary, shape (n_points, 2, 2): values of x and y.

        Along the line of the grid, to 1e-10 of its step where the minimum meets a saddle, or a reading weight vanishes or
        leaves 0; to 1e-6 where it ends otherwise, or its name changes. NaN where it lasts to the end of the plane. A continuous
        boundary is itself where both end.
        """
        here = np.stack([self.x, self.y], axis=-1)[:, None] * np.ones((1, 2, 1))
        if self.order == "continuous":
            return np.array(here)
        corners = self.plane.coordinates(self.plane.x.values[[0, -1]], self.plane.y.values[[0, -1]])
        found = np.full(here.shape, np.nan)
        for k, ((start, end), pair, place) in enumerate(zip(self.line, self.minima, here[:, 0], strict=True)):
            segment, moves = Segment(self.plane, start, end), np.abs(end - start) > 1e-12
            shares = np.sort(((corners - start) / np.where(moves, end - start, 1.0))[:, moves], axis=0)
            first, last = shares[0].max(), shares[1].min()  # where it enters and leaves the plane
            along = int(np.argmax(np.abs(end - start)))
            t = (self.plane.coordinates(*place) - start)[along] / (end - start)[along]
            for phase, x in enumerate(pair):
                rises = segment.gains((x, pair[1 - phase]), max(t - BESIDE, first), min(t + BESIDE, last))
                step = 0.25 if rises else -0.25  # it is metastable where its loss is the higher one
                ends = segment.end_of(x, t, step, last if step > 0 else first)
                found[k, phase] = self.plane.values(segment.place(ends))
        return found

    def _records(self):
        """A row for each point."""
        own = {"phases": " | ".join(self.phases), "order": self.order}
        rows = zip(self.x, self.y, self.loss, self.jump, strict=True)
        return [own | dict(zip(("point", "x", "y", "loss", "jump"), (k, *row), strict=True)) for k, row in enumerate(rows)]

    def refined(self) -> "NeuronBoundary":
        """Return the curve with a point more between any two neighbours, as exact as these, on the line that halves their chord.

        A point is left out where the curve does not cross that line within half a chord of its middle.
        """
        u, line = self.plane.coordinates(self.x, self.y), self.line
        rows = [(u[0], self.loss[0], self.jump[0], self.minima[0], line[0])]
        for k in range(1, len(u)):
            chord, middle = u[k] - u[k - 1], (u[k - 1] + u[k]) / 2
            across = np.array([-chord[1], chord[0]]) / 2
            segment = Segment(self.plane, middle - across, middle + across)
            lowest = lowest_along(segment, [*self.minima[k - 1], *self.minima[k]])
            low, high = narrowed(lowest, (0.0, *lowest(0.0)), (1.0, *lowest(1.0)), WIDTH)
            if {low[1], high[1]} == set(self.phases):
                key, *point = crossing(segment, lowest, low, high)
                rows += [point] if key[1] == self.order else []
            rows.append((u[k], self.loss[k], self.jump[k], self.minima[k], line[k]))
        return _curve(self.plane, self.phases, self.order, rows)


def _curve(plane, phases, order, rows):
    """The NeuronBoundary of points (u, losses, jump, pair, line)."""
    u, loss, jump, minima, line = (np.array(column) for column in zip(*rows, strict=True))
    x, y = plane.values(u)
    return NeuronBoundary(phases, order, x, y, loss, jump, minima, line, plane)


def lowest_along(segment, starts):
    """Return a function of a share t of a Segment: the name of what is lowest there, its parameters (size,), and the landscape.

    starts: a list of parameters (size,) from which minima are sought; it may grow.
    """

    def lowest(t):
        landscape = segment.landscape(t)
        points = landscape.settle(np.array(starts), polish=False)
        x = min(points, key=lambda one: one.scaled_loss).x if points else landscape.unbounded.x
        return segment.name(x), x, landscape

    return lowest


def vanishing(segment, pair, near):
    """The Held on a Segment near a share of it at which a weight of one of two minima (2, size) vanishes; None without."""
    zeros = [np.sum(segment.form.parts(x)[0] == 0) for x in pair]
    found = (segment.onset(pair[k], near) for k in np.argsort(zeros, kind="stable"))
    return next((end for end in found if end is not None), None)


def neuron_boundaries(diagram, n_threads):
    """Return a list of NeuronBoundary of a diagram of neurons, by pairs of phases, order and place."""
    plane, (rows, columns) = diagram.plane, diagram.phase.shape
    minima = [[] for _ in range(diagram.phase.size)]
    for cell, x in zip(diagram.minima_cell.tolist(), diagram.minima, strict=True):
        minima[cell].append(x)
    edges = [((i, j), (i, j + 1)) for i in range(rows) for j in range(columns - 1)]
    edges += [((i, j), (i + 1, j)) for i in range(rows - 1) for j in range(columns)]
    edges = [(a, b) for a, b in edges if not set(diagram.phase[a].split(TIE_MARK)) & set(diagram.phase[b].split(TIE_MARK))]
    edges = [edge for edge in edges if UNBOUNDED not in [diagram.phase[cell] for cell in edge]]

    def place(cell):
        """Coordinates u (2,) of a cell."""
        return plane.coordinates(diagram.x[cell[1]], diagram.y[cell[0]])

    def crossings(edge):
        """The crossings on an edge, as ``crossing`` returns them."""
        segment = Segment(plane, *(place(cell) for cell in edge))
        starts = [x for cell in edge for x in minima[np.ravel_multi_index(cell, diagram.phase.shape)]]

        lowest = lowest_along(segment, starts)
        found = walk(lowest)
        if len(found) > 1:  # phases between, of which the ends of the edge know nothing
            for _, _, x, landscape in (side for one in found for side in one):
                more = landscape.settle(landscape.starts(np.random.default_rng(0), BETWEEN), polish=False)
                starts.extend([x, *(one.x for one in more)])
            found = walk(lowest)
        return [crossing(segment, lowest, *one) for one in found if UNBOUNDED not in (one[0][1], one[1][1])]

    def walk(lowest):
        """The crossings from 0 to 1: pairs (t, name, parameters, landscape) of what is lowest just before and behind."""
        found, low, end = [], (0.0, *lowest(0.0)), (1.0, *lowest(1.0))
        while low[1] != end[1] and len(found) < MOST_CROSSINGS:
            low, high = narrowed(lowest, low, end, WIDTH)
            found.append((low, high))
            low = high
        return found

    with ThreadPoolExecutor(n_threads) as pool:
        found = [(edge, *one) for edge, some in zip(edges, pool.map(crossings, edges), strict=True) for one in some]
    curves = []
    for key in sorted({one[1] for one in found}):
        own = [one for one in found if one[1] == key]
        for chain in chains([one[0] for one in own], np.array([one[2] for one in own])):
            curves.append(_curve(plane, *key, [own[k][2:] for k in chain]))
    return curves


def narrowed(lowest, low, high, width):
    """The two ends (t, name, parameters, landscape) of what is left of a step from low to high where the lowest name changes."""
    while high[0] - low[0] > width:
        t = (low[0] + high[0]) / 2
        middle = (t, *lowest(t))
        low, high = (middle, high) if middle[1] == low[1] else (low, middle)
    return low, high


def crossing(segment, lowest, low, high):
    """One (key, u, losses, jump, pair, line) on a Segment between two neighbouring points of it, as `narrowed` returns them."""
    names, pair = (low[1], high[1]), np.array([low[2], high[2]])
    t, order = segment.equal(pair, low[0], high[0]), "first"
    if t is None:
        order = "continuous"
        end = vanishing(segment, pair, low[0])
        if end is not None:
            t = end.t
        else:
            low, high = narrowed(lowest, low, high, NAMED)
            t, pair = (low[0] + high[0]) / 2, np.array([low[2], high[2]])
    followed, losses, jump = segment.follow(pair, t)
    if order == "continuous":
        jump, losses = 0.0, np.full(2, losses.min())
    else:
        pair = followed
    turn = 1 if names == tuple(sorted(names)) else -1
    line = np.array([segment.start, segment.end])
    return (tuple(sorted(names)), order), segment.place(t), losses[::turn], jump, pair[::turn], line


def chains(edges, places):
    """Join crossings of edges ((cell, cell), …) at places (n, 2) to curves: lists of numbers, from end to end.

    Two crossings of the edges of one square of the grid are neighbours, the closest first.
    """
    squares = {}
    for k, (a, b) in enumerate(edges):
        across = (1, 0) if a[0] == b[0] else (0, 1)
        for corner in (a, (a[0] - across[0], a[1] - across[1])):
            squares.setdefault(corner, []).append(k)
    beside = [[] for _ in edges]
    for members in squares.values():
        pairs = sorted((np.linalg.norm(places[k] - places[l]), k, l) for k, l in combinations(members, 2))
        joined = set()
        for _, k, l in pairs:
            if not {k, l} & joined:
                joined |= {k, l}
                beside[k].append(l)
                beside[l].append(k)
    curves, seen = [], set()
    for start in sorted(range(len(edges)), key=lambda k: len(beside[k])):  # ends first; what is left is closed
        chain, at = [], start
        while at is not None and at not in seen:
            seen.add(at)
            chain.append(at)
            at = next((k for k in beside[at] if k not in seen), None)
        if chain:
            curves.append(chain)
    return sorted(curves, key=min)
