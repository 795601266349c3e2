"""Phases of neurons over a plane, and where they change along the lines of its grid."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.optimize import brentq

from ._arguments import Floats
from ._display import Result
from ._neurons.grid import Grid
from ._neurons.search import SMALL, Landscape
from .neuron_phases import UNBOUNDED, phase_of
from .neuron_training import stacked
from .theories import TIE_MARK, fields_of_minima

WIDTH = 1e-7
"""Crossings are bisected to this part of an edge of the grid."""
WIDEST = 0.02
"""So near, in edges, two minima cross whose names change there by a first-order transition."""
BETWEEN = 20
"""Starts of the search for phases that lie between the ends of an edge."""
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
        where both losses are equal, a continuous one to 1e-7 of a step of the grid from where the phases' names change (weights
        below 1e-3 of a neuron's largest are not told from 0).
    loss : ndarray, shape (n_points, 2)
        Of both phases' minima there, in the order of ``phases``: equal to rounding.
    jump : ndarray, shape (n_points,)
        The largest change of a weight or bias across it, in the best order of neurons; at a continuous one of the size that the
        bisection leaves, below 0.001.

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


def neuron_boundaries(diagram, n_threads):
    """Return a list of NeuronBoundary of a diagram of neurons, by pairs of phases, order and place."""
    plane, form, (rows, columns) = diagram.plane, diagram.plane.form, diagram.phase.shape
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
        if len(found) > 1:  # phases between, of which the ends of the edge know nothing
            for _, _, point, landscape in (side for one in found for side in one):
                more = landscape.settle(landscape.starts(np.random.default_rng(0), BETWEEN), polish=False)
                starts.extend(one.x for one in (point, *more))
            found = walk(lowest)
        return [crossing(*ends, *one) for one in found]

    def walk(lowest):
        """The crossings from 0 to 1: pairs (t, name, Point, landscape) of what is lowest just before and behind."""
        found, low, end = [], (0.0, *lowest(0.0)), (1.0, *lowest(1.0))
        while low[1] != end[1] and len(found) < MOST_CROSSINGS:
            high = end
            while high[0] - low[0] > WIDTH:
                t = (low[0] + high[0]) / 2
                middle = (t, *lowest(t))
                low, high = (middle, high) if middle[1] == low[1] else (low, middle)
            found.append((low, high))
            low = high
        return found

    def crossing(start, end, low, high):
        """One (key, u, losses, jump) on the edge from start to end, u (2,), between two neighbouring points of it."""

        pair = np.array([low[2].x, high[2].x])

        def follow(t):
            """The losses of the minima that both points lead to at a share t of the edge, (2,), and how far apart these are."""
            landscape = Landscape(form, plane.at((1 - t) * start + t * end).control)
            points, numbers = landscape.descend(pair)
            return numbers[:, 0] * landscape.scale, landscape.distance(*points, exchange=False)

        ends, order = np.array([low[0], high[0]]), "continuous"
        middle, span = ends.mean(), high[0] - low[0]
        while span < WIDEST:
            sides = [follow(t) for t in ends]
            if min(far for _, far in sides) <= SMALL:  # one has become the other
                break
            if np.subtract(*sides[0][0]) <= 0 <= np.subtract(*sides[1][0]):
                order, middle = "first", brentq(lambda t: np.subtract(*follow(t)[0]), *ends, xtol=1e-15)
                break
            span *= 4  # the name changed a little aside, where one of both was not found
            ends = np.clip([middle - span, middle + span], 0, 1)
        losses, jump = follow(middle)
        names = low[1], high[1]
        key = tuple(sorted(names)), order
        return key, (1 - middle) * start + middle * end, losses if names == key[0] else losses[::-1], jump

    with ThreadPoolExecutor(n_threads) as pool:
        found = [(edge, *one) for edge, some in zip(edges, pool.map(crossings, edges), strict=True) for one in some]
    curves = []
    for key in sorted({one[1] for one in found}):
        own = [one for one in found if one[1] == key]
        for chain in chains([one[0] for one in own], np.array([one[2] for one in own])):
            u, losses, jump = (np.array([own[k][part] for k in chain]) for part in (2, 3, 4))
            curves.append(NeuronBoundary(*key, *np.array([plane.values(one) for one in u]).T, losses, jump))
    return curves


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
