"""Phases of neurons over a plane, and where they change along the lines of its grid."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ._arguments import Floats
from ._display import Result
from ._neurons.grid import Grid
from ._neurons.search import Landscape
from .neuron_phases import phase_of
from .neuron_training import stacked
from .theories import TIE_MARK, fields_of_minima

WIDTH = 1e-7
"""Crossings are bisected to this part of an edge of the grid."""
JUMP = 0.02
"""A larger change of a weight across a crossing is a jump."""
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
    """Where the lowest minimum of neurons changes from one phase to another, along the lines of a diagram's grid.

    Attributes
    ----------
    phases : tuple of two str
        In alphabetical order.
    order : {"first", "continuous"}
        "first" where the two minima differ: the weights jump, and both exist on both sides. "continuous" where one turns into
        the other.
    x, y : ndarray, shape (n_points,)
        Values of the plane's two parameters at each crossing, by bisection to 1e-7 of a step of the grid.
    jump : ndarray, shape (n_points,)
        The largest change of a weight or bias across it, in the best order of neurons; at a continuous one of the size that the
        bisection leaves, below 0.02.

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
    jump: Floats


def neuron_boundaries(diagram, n_threads):
    """Return a list of NeuronBoundary of a diagram of neurons, one for each pair of phases and order."""
    plane, form, (rows, columns) = diagram.plane, diagram.plane.form, diagram.phase.shape
    minima = [[] for _ in range(diagram.phase.size)]
    for cell, x in zip(diagram.minima_cell.tolist(), diagram.minima, strict=True):
        minima[cell].append(x)
    edges = [((i, j), (i, j + 1)) for i in range(rows) for j in range(columns - 1)]
    edges += [((i, j), (i + 1, j)) for i in range(rows - 1) for j in range(columns)]
    edges = [(a, b) for a, b in edges if not set(diagram.phase[a].split(TIE_MARK)) & set(diagram.phase[b].split(TIE_MARK))]

    def place(cell):
        """Coordinates u (2,) of a cell."""
        return plane.coordinates(diagram.x[cell[1]], diagram.y[cell[0]])

    def crossings(edge):
        """The crossings on an edge: (phases, u, jump) each."""
        ends = [place(cell) for cell in edge]
        starts = [x for cell in edge for x in minima[np.ravel_multi_index(cell, diagram.phase.shape)]]

        def lowest(t):
            """The name of the lowest phase at a share t of the edge, its point, and the landscape."""
            landscape = Landscape(form, plane.at((1 - t) * ends[0] + t * ends[1]).control)
            points = landscape.settle(np.array(starts), polish=False)
            point = min(points, key=lambda one: one.scaled_loss) if points else landscape.unbounded
            encoder, decoder, _ = form.parts(point.x)
            return phase_of(encoder, decoder, form.is_tied).name, point, landscape

        found = walk(lowest)
        if len(found) > 1:  # phases between: their minima are known now
            starts.extend(x for one in found for x in one[3:])
            found = walk(lowest)
        at = [((1 - t) * ends[0] + t * ends[1], phases, jump) for t, phases, jump, *_ in found]
        return [(phases, u, jump) for u, phases, jump in at]

    def walk(lowest):
        """The crossings from 0 to 1: (t, phases, jump, the points on both sides) each."""
        found, low, end = [], (0.0, *lowest(0.0)), (1.0, *lowest(1.0))
        while low[1] != end[1] and len(found) < MOST_CROSSINGS:
            high = end
            while high[0] - low[0] > WIDTH:
                t = (low[0] + high[0]) / 2
                middle = (t, *lowest(t))
                low, high = (middle, high) if middle[1] == low[1] else (low, middle)
            jump = low[3].distance(low[2].x, high[2].x, exchange=False)
            found.append(((low[0] + high[0]) / 2, (low[1], high[1]), jump, low[2].x, high[2].x))
            low = high
        return found

    with ThreadPoolExecutor(n_threads) as pool:
        found = [one for some in pool.map(crossings, edges) for one in some]
    groups = {}
    for phases, u, jump in found:
        key = tuple(sorted(phases)), "first" if jump > JUMP else "continuous"
        groups.setdefault(key, []).append((*plane.values(u), jump))
    return [NeuronBoundary(phases, order, *np.array(points).T) for (phases, order), points in sorted(groups.items())]
