"""Phases of neurons over a plane, and where they change along the lines of its grid."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ._arguments import Floats
from ._display import Result
from ._neurons.curves import CLOSE, LOWER
from ._neurons.grid import Grid
from ._neurons.network import BETWEEN, TOGETHER, Network, chains
from ._neurons.search import TOLD
from ._neurons.transitions import EXACT, NAMED, NARROW, WIDTH, Segment, lowest_along, narrowed
from .boundaries import TriplePoint, column_names
from .neuron_phases import UNBOUNDED, phases_of
from .neuron_training import stacked
from .planes import ControlPlane
from .theories import TIE_MARK, fields_of_minima

BESIDE = 1e-4
"""Of a segment: over so much, on both sides of a boundary, losses of fixed weights say which of two minima is the lower one."""
KEPT = "phases", "order", "x", "y", "loss", "jump", "minima", "line", "ends"
"""What files hold of a curve."""
ROW = "order", "phases", "phase_1", "phase_2", "point", "loss_1", "loss_2", "end", *KEPT, "spinodals"
"""Names in tables and JSON of boundaries beside those of the axes."""


def neuron_grid(plane, seed, n_starts, n_threads, progress):
    """Fields of a PhaseDiagram of neurons; its weights are the encoder, and of untied weights the transposed decoder below."""
    form = plane.form
    grid = Grid(form, plane.grid).explore(n_starts, seed, n_threads, progress)
    cells = [cell for cell in np.ndindex(grid.shape) for _ in grid.minima[cell]]
    where = np.array([np.ravel_multi_index(cell, grid.shape) for cell in cells])
    points = [point for cell in np.ndindex(grid.shape) for point in grid.minima[cell]]
    x = np.array([point.x for point in points])
    weights, bias = stacked(form, x)
    phases = phases_of(*form.parts(x)[:2], form.is_tied)
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
        Parameters of both minima, encoder, transposed decoder of "absolute", and bias, in the order of ``phases``; of a
        continuous one that in which a weight has vanished, and the other where it has just left 0.
    line : ndarray, shape (n_points, 2, 2)
        Coordinates of the two places between which each lies: neighbouring points of the grid, or what `refined` took.
    plane : ControlPlane
    ends : tuple of two str
        Why the curve ends at its first and last point: "edge" of the diagram, "triple point" (there it meets curves between
        other phases), "order changes" (it goes on as a curve of the other order), "no minimum" (beyond, weights grow without
        end), "closed", or "unresolved" (it was lost on its way within a cell of the grid). From its points on the grid's
        lines a curve is followed by steps of about 0.1 in coordinates, which are points of it, to the next and to where it ends,
        and at each of them minima are searched for anew: triple points are those at
        which two of the curves cross, to 1e-10 of a cell, or another weight comes to vanish with that of a continuous curve; the
        order changes where the place of a continuous curve does not change with the weight that vanishes, to 1e-7.

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
    ends: tuple[str, str]

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
        found = np.where((self.jump > 0)[:, None, None], np.nan, here)  # where the order changes both end
        for k in np.flatnonzero(self.jump > 0):
            (start, end), pair, place = self.line[k], self.minima[k], here[k, 0]
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

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each point, a list of dict: what the curve holds but for its minima, None where it has nothing.

        order, phase_1, phase_2, point, the values along the axes by their names, loss_1, loss_2, jump, spinodal_1 and
        spinodal_2 by the axes' names, and end (why the curve ends there).
        """
        names = column_names((self.plane.x.name, self.plane.y.name), *ROW)
        ends = [""] * len(self.x)
        ends[-1], ends[0] = self.ends[1], " | ".join(dict.fromkeys(self.ends)) if len(ends) == 1 else self.ends[0]
        rows = []
        for k, end in enumerate(ends):
            row = {"order": self.order, "phase_1": self.phases[0], "phase_2": self.phases[1], "point": k}
            row |= dict(zip(names, (float(self.x[k]), float(self.y[k])), strict=True))
            row |= {"loss_1": float(self.loss[k, 0]), "loss_2": float(self.loss[k, 1]), "jump": float(self.jump[k])}
            for side, place in enumerate(self.spinodals[k].tolist(), start=1):
                known = not np.isnan(place[0])  # NaN where the minimum lasts
                row |= {f"spinodal_{side}_{name}": x if known else None for name, x in zip(names, place, strict=True)}
            rows.append(row | {"end": end})
        return rows

    def facts(self) -> dict[str, Any]:
        """Return the curve as plain lists, numbers and strings, for JSON; values along the axes have their names."""
        names = column_names((self.plane.x.name, self.plane.y.name), *ROW)
        facts = {"phases": [*self.phases], "order": self.order, "ends": [*self.ends]}
        facts |= dict(zip(names, (self.x.tolist(), self.y.tolist()), strict=True))
        facts |= {name: getattr(self, name).tolist() for name in ("loss", "jump", "spinodals", "minima", "line")}
        return facts

    def _records(self):
        """A row for each point."""
        return self.rows()

    def refined(self) -> "NeuronBoundary":
        """Return the curve with a point more between any two neighbours, as exact as these, on the line that halves their chord.

        A point is left out where the curve does not cross that line within half a chord of its middle.
        """
        u, line = self.plane.coordinates(self.x, self.y), self.line
        known = list(zip(zip(self.x, self.y, strict=True), self.loss, self.jump, self.minima, line, strict=True))
        rows = known[:1]
        for k in range(1, len(u)):
            chord, middle = u[k] - u[k - 1], (u[k - 1] + u[k]) / 2
            across = np.array([-chord[1], chord[0]]) / 2
            segment = Segment(self.plane, middle - across, middle + across)
            lowest = lowest_along(segment, [*self.minima[k - 1], *self.minima[k]])
            low, high = narrowed(segment, lowest, (0.0, *lowest(0.0)), (1.0, *lowest(1.0)), WIDTH)
            if {low[1], high[1]} == set(self.phases):
                *_, (key, place, *point) = crossing(segment, lowest, low, high)
                rows += [(self.plane.values(place), *point)] if key[1] == self.order else []
            rows.append(known[k])
        return _curve(self.plane, self.phases, self.order, rows, self.ends)


def triple_points(boundaries: Sequence[NeuronBoundary]) -> list[TriplePoint]:
    """Return the points in which curves of neurons meet, a list of TriplePoint: the phases are those of all that end there.

    Where the order of two curves changes in one point and three phases meet that is one of them. The precision of each is how
    far apart the ends of these curves are, in coordinates.
    """
    ends = [
        (one.plane.coordinates(one.x[k], one.y[k]), one, end)
        for one in boundaries
        for k, end in zip((0, -1), one.ends, strict=True)
        if end in ("triple point", "order changes")
    ]
    found: list[TriplePoint] = []
    while ends:
        plane, place = ends[0][1].plane, ends[0][0]
        distances = [float(np.abs(u - place).max()) for u, *_ in ends]
        own = [end for end, distance in zip(ends, distances, strict=True) if distance < TOGETHER]
        precision = max(distance for distance in distances if distance < TOGETHER)
        ends = [end for end, distance in zip(ends, distances, strict=True) if not distance < TOGETHER]
        x, y = map(float, plane.values(place))
        phases = tuple(sorted({name for _, one, _ in own for name in one.phases}))
        if len(phases) > 2 or any(end == "triple point" for *_, end in own):
            found.append(TriplePoint(x, y, phases, (plane.x.name, plane.y.name), precision))
    return found


def boundary_arrays(boundaries: Sequence[NeuronBoundary]) -> dict[str, Any]:
    """Return curves of neurons as plain arrays by name, for a file; what is known of spinodals too."""
    arrays: dict[str, Any] = {"n_crossings": np.array(len(boundaries))}
    for k, one in enumerate(boundaries):
        arrays |= {f"crossings_{k}_{name}": np.asarray(getattr(one, name)) for name in KEPT}
        if "spinodals" in one.__dict__:
            arrays[f"crossings_{k}_spinodals"] = one.spinodals
    return arrays


def boundaries_from(arrays: Mapping[str, Any], plane: ControlPlane) -> tuple[NeuronBoundary, ...] | None:
    """Return the curves that ``boundary_arrays`` told of; None where there are none."""
    if "n_crossings" not in arrays:
        return None
    found = []
    for k in range(int(arrays["n_crossings"])):
        values = {name: arrays[f"crossings_{k}_{name}"] for name in KEPT}
        values |= {name: tuple(values[name].tolist()) for name in ("phases", "ends")} | {"order": values["order"].item()}
        found.append(NeuronBoundary(plane=plane, **values))
        if f"crossings_{k}_spinodals" in arrays:
            found[-1].__dict__["spinodals"] = arrays[f"crossings_{k}_spinodals"]
    return tuple(found)


def _curve(plane, phases, order, rows, ends):
    """The NeuronBoundary of points (values, losses, jump, pair, line) that ends so at both ends."""
    values, loss, jump, minima, line = (np.array(column) for column in zip(*rows, strict=True))
    return NeuronBoundary(phases, order, *values.T.copy(), loss, jump, minima, line, plane, ends)


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
        rows = crossings_between(segment, starts, lowest, (0.0, *lowest(0.0)), (1.0, *lowest(1.0)))
        return [one for k, one in enumerate(rows) if one[0][0][0] != one[0][0][1] and not any(same(one, row) for row in rows[:k])]

    def same(one, other):
        """Whether two crossings of an edge are one: where weights vanish together they are told from 0 one after the other."""
        return one[0] == other[0] and np.abs(one[1] - other[1]).max() < TOGETHER

    with ThreadPoolExecutor(n_threads) as pool:
        found, lines = [], (plane.x.coordinate(plane.x.values), plane.y.coordinate(plane.y.values))
        for edge, some in zip(edges, pool.map(crossings, edges), strict=True):
            for one in ((edge_at(lines, edge, row[1]), *row) for row in some):
                found += [] if any(one[0] == other[0] and same(one[1:], other[1:]) for other in found) else [one]
        curves = []
        for key in sorted({one[1] for one in found}):
            own = [one for one in found if one[1] == key]
            curves += [(key, [own[k][2:] for k in chain]) for chain in chains([one[0] for one in own], [one[2] for one in own])]
        network = Network(plane, minima, curves).parted(pool.map)
        network.follow_all(pool.map)
    network.complete()
    return [_curve(plane, *key, [(plane.values(u), *row) for u, *row in rows], ends) for key, rows, ends in network.joined()]


def edge_at(lines, edge, u):
    """The edge of a line of the grid on which a crossing u (2,) lies that has been found on an edge of it, ((row, column), …).

    Where weights are told from 0 only aside, it may lie on the next one. lines: coordinates of columns and of rows.
    """
    (i, j), along = edge[0], 0 if edge[0][0] == edge[1][0] else 1
    line, k = lines[along], (j, i)[along]
    if not line[k] <= u[along] <= line[k + 1]:
        k = int(np.clip(np.searchsorted(line, u[along]) - 1, 0, len(line) - 2))
    return ((i, k), (i, k + 1)) if along == 0 else ((k, j), (k + 1, j))


def crossings_between(segment, starts, lowest, low, high):
    """The crossings on a Segment between two points of it, as ``crossing`` returns them; points and ``lowest`` as in `narrowed`.

    Where one is found minima are searched for anew, and become ``starts`` of ``lowest``: what is lower there than both of its
    minima is a point between. So nothing that such a search knows is lower at any of them at last.
    """
    if low[1] == high[1]:
        return []
    before, after = narrowed(segment, lowest, low, high, WIDTH)
    if UNBOUNDED in (before[1], after[1]):
        return crossings_between(segment, starts, lowest, after, high)
    t, reach, pair, row = crossing(segment, lowest, before, after)
    landscape = segment.landscape(t)
    starts.extend(one.x for one in landscape.settle(landscape.starts(np.random.default_rng(0), BETWEEN), polish=False))
    middle = (t, *lowest(t))
    lower = landscape.losses([middle[2]])[0] < row[2].min() * (1 - LOWER)
    if lower and low[0] + NARROW < t < high[0] - NARROW:
        parts = (low, middle), (middle, high)
        return [one for part in parts for one in crossings_between(segment, starts, lowest, *part)]
    # what lies between may be as narrow as it likes; next to where a weight has left 0 rounding tells what is lowest
    below, above = ((u, *(lowest(u, x) if u != t else (segment.name(x), x, landscape))) for u, x in zip(reach, pair, strict=True))
    parts = [[before, below]] if before[0] + EXACT < below[0] < after[0] and below[1] != before[1] else []
    parts += [[above, high]] if before[0] + EXACT < above[0] < high[0] else [[after, high]]
    found = [one for part in parts for one in crossings_between(segment, starts, lowest, *part)]
    return [row, *(one for one in found if one[0] != row[0] or np.abs(one[1] - row[1]).max() > TOGETHER)]


def crossing(segment, lowest, low, high):
    """Where on a Segment phases change between two neighbouring points of it, as `narrowed` returns them.

    The place t, where next to it what is lowest is told, (before, beyond), the minima (2, size) there, and a row:
    (key, u, losses, jump, pair, line).
    """
    order, jump = "continuous", 0.0
    while True:
        landscape, width = segment.landscape(low[0]), high[0] - low[0]
        pair = np.array([low[2], landscape.like(low[2], high[2])])
        near = landscape.distance(*pair, exchange=False) < CLOSE
        found = segment.vanishing(pair, low[0], (low[0], high[0])) if near else None
        if near and found is None:  # so near to where weights vanish these do not tell it
            places = max(low[0] - WIDTH, 0.0), min(high[0] + WIDTH, 1.0)
            beside = [lowest(t, x)[1] for t, x in zip(places, pair, strict=True)]
            found = segment.vanishing(beside, low[0], (low[0], high[0]))
        aside = np.inf if found is None else max(low[0] - found.t, found.t - high[0])
        tie = None if aside <= NARROW and found.turn > 0 else _tie(segment, pair, found, low[0], high[0])
        known = tie is not None or aside <= width  # next to where weights vanish losses do not tell which is lower
        renamed = None if known else segment.renamed(pair, (low[0] + high[0]) / 2)
        if known or renamed is not None or width < NAMED:
            break
        low, high = narrowed(segment, lowest, low, high, width / 8)
    if tie is not None:
        t, pair, losses = tie
        order, jump, reach = "first", segment.landscape(t).distance(*pair, exchange=False), (t, t)
    elif renamed is not None:
        (t, pair, losses), reach = renamed, (renamed[0], renamed[0])
    elif found is not None:
        found = segment.grown(found)
        t, turn = found.t, 1 if found.near > found.t else -1
        pair, reach = np.array([found.x, found.small.shown])[::turn], (t, segment.told(found))[::turn]
        losses = np.repeat(segment.landscape(t).losses([found.x]), 2)
    else:
        t = (low[0] + high[0]) / 2
        losses, reach = np.repeat(segment.follow(pair, t)[1].min(), 2), (t, t)
    names = [segment.name(x) for x in pair]
    turn = 1 if names == sorted(names) else -1
    line = np.array([segment.start, segment.end])
    return t, reach, pair, ((tuple(sorted(names)), order), segment.place(t), losses[::turn], jump, pair[::turn], line)


def _tie(segment, pair, onset, low, high):
    """Where on a Segment, near low to high, two minima (2, size) have one loss, or those without and with the weight of an Onset.

    The place, both, the one that is lower before first, and their losses (2,); None where they have not.
    """
    t = segment.equal(pair, low, high)
    found = (t, *segment.follow(pair, t)[:2]) if t is not None else None if onset is None else segment.tied(onset)
    if found is None or any(segment.landscape(found[0]).curvature(x)[0] < -TOLD for x in found[1]):
        return None
    t, pair, losses = found
    return t, pair[:: 1 if segment.gains(pair, t - NARROW, t + NARROW) else -1], losses
