"""The curves of a diagram that have been computed: kept with it, saved with it, and written by points."""

import csv
from dataclasses import dataclass, fields
from functools import cached_property
from io import StringIO

import numpy as np

from ._display import Result
from .boundaries import DEFAULT_SETTINGS, FACTS, CurveSettings, LevelCurve, PhaseBoundary, Spinodal, TriplePoint, column_names
from .planes import ControlPlane

BEFORE = "kind", "index", "phases", "order", "point"
AFTER = "latent_loss", "end", "closed", "function_of", "boundaries", "function", "value"
"""Columns of a table of curves by points before and after the values along the axes."""
MEMBERS = ("boundary", "boundaries"), ("spinodal", "spinodals"), ("level", "levels"), ("triple point", "triple_points")
"""What tables and JSON call one and all."""


@dataclass(frozen=True, eq=False, repr=False)
class Curves(Result):
    """The curves and points of a diagram that have been computed: plain data, which the diagram keeps and saves.

    Attributes
    ----------
    plane, theory
        Those of the diagram.
    boundaries : tuple of PhaseBoundary
    triple_points : tuple of TriplePoint
    settings : CurveSettings
        With which they were followed, and spinodals are.
    """

    plane: ControlPlane
    theory: str
    boundaries: tuple
    triple_points: tuple
    settings: CurveSettings = DEFAULT_SETTINGS

    def __post_init__(self):
        for boundary in self.boundaries:
            boundary.__dict__["curves"] = self

    @classmethod
    def of(cls, diagram, boundaries, triple_points, settings=DEFAULT_SETTINGS):
        """Those of a PhaseDiagram."""
        return cls(diagram.plane, diagram.theory, tuple(boundaries), tuple(triple_points), settings)

    @cached_property
    def spinodals(self):
        """The limits of the minima on both sides of first-order boundaries, each once; sought when first asked for."""
        from ._boundaries import find_spinodals

        return tuple(find_spinodals(self))

    def level_points(self, boundary, function, value):
        """Where a function of the minima of one of the boundaries has a value: a tuple of LevelPoint."""
        from ._boundaries import find_level_points

        return tuple(find_level_points(self, boundary, function, value))

    @property
    def has_spinodals(self):
        """Whether the spinodals have been sought."""
        return "spinodals" in self.__dict__

    @property
    def levels(self):
        """The level curves that have been computed: a tuple of LevelCurve."""
        return self.__dict__.get("_levels", ())

    def keep(self, levels):
        """Add a list of LevelCurve of one function and value; those of the same name, value and phases are replaced."""
        new = {(one.function, one.value, one.phase) for one in levels}
        old = (one for one in self.levels if (one.function, one.value, one.phase) not in new)
        self.__dict__["_levels"] = (*old, *levels)

    def facts(self):
        """What has been computed as plain lists, numbers and strings, for JSON: boundaries with their spinodals' positions."""
        facts = {"boundaries": [b.facts() for b in self.boundaries], "triple_points": [t.facts() for t in self.triple_points]}
        if self.has_spinodals:
            facts["spinodals"] = [limit.facts() for limit in self.spinodals]
            for k, boundary in enumerate(facts["boundaries"]):
                boundary["spinodals"] = [i for i, limit in enumerate(self.spinodals) if k in limit.boundaries]
        if self.levels:
            facts["levels"] = [one.facts() for one in self.levels]
        return facts

    @property
    def _places(self):
        """The names of the axes in tables."""
        return column_names((self.plane.x.name, self.plane.y.name), *FACTS)

    @property
    def columns(self):
        """The columns of `rows`."""
        return *BEFORE, *self._places, *AFTER

    def rows(self):
        """All points that have been computed, curve by curve: a list of dict, their keys the columns of a table.

        kind ("boundary", "spinodal", "level", "triple point"), index (position among its kind), phases (joined by " | "), order,
        point (position along the curve), the values along the axes by their names, latent_loss, end (why the curve ends there),
        closed, function_of and boundaries (those that a spinodal belongs to), both joined by blanks, function and value of a
        level curve; None where a column has no meaning.
        """
        rows, facts, vary = [], self.facts(), (*self._places, "latent_loss")
        for kind, name in MEMBERS:
            for index, one in enumerate(facts.get(name, ())):
                head = dict.fromkeys(self.columns) | {"kind": kind, "index": index, "phases": " | ".join(one["phases"])}
                head |= {name: one[name] for name in ("order", "closed", "function", "value") if name in one}
                head |= {name: " ".join(map(str, one[name])) for name in ("function_of", "boundaries") if name in one}
                columns = {name: np.atleast_1d(one[name]).tolist() for name in vary if name in one}
                for k in range(len(columns[vary[0]])):
                    rows.append(head | {"point": k} | {name: column[k] for name, column in columns.items()})
                if "ends" in one:
                    rows[-1]["end"], rows[-len(columns[vary[0]])]["end"] = one["ends"][::-1]
        return rows

    def _records(self):
        """The rows of all points."""
        return self.rows()

    def csv(self):
        """The same table as text, lines ending as CSV's do."""
        text = StringIO(newline="")
        writer = csv.DictWriter(text, self.columns)
        writer.writeheader()
        writer.writerows(self.rows())
        return text.getvalue()

    def arrays(self):
        """All curves and points as plain arrays by name, for a file."""
        members = {"boundary": self.boundaries, "triple_point": self.triple_points}
        members |= ({"spinodal": self.spinodals} if self.has_spinodals else {}) | ({"level": self.levels} if self.levels else {})
        arrays = {f"n_{kind}": np.array(len(some)) for kind, some in members.items()}
        arrays["curve_settings"] = np.array([*vars(self.settings).values()], dtype=float)
        for kind, some in members.items():
            for k, one in enumerate(some):
                arrays |= {f"{kind}_{k}_{part.name}": np.asarray(getattr(one, part.name)) for part in fields(one)}
        return arrays

    @classmethod
    def from_arrays(cls, arrays, diagram):
        """The curves of a diagram from what ``arrays`` returned; None where there are none."""
        if "n_boundary" not in arrays:
            return None

        axes = diagram.plane.x.name, diagram.plane.y.name
        earlier = {"x": "importance", "y": "density"}

        def members(kind, result):
            plain = {tuple: lambda value: tuple(value.tolist()), str: np.ndarray.item, float: np.ndarray.item}
            for k in range(int(arrays[f"n_{kind}"])):
                values = {"axes": axes}
                for part in fields(result):
                    names = (f"{kind}_{k}_{name}" for name in (part.name, earlier.get(part.name)))
                    name = next((name for name in names if name in arrays), None)
                    if name is not None:
                        values[part.name] = plain.get(part.type, np.asarray)(arrays[name])
                yield result(**values)

        settings = DEFAULT_SETTINGS
        if "curve_settings" in arrays:
            steps_across, shortest, most_points = arrays["curve_settings"].tolist()
            settings = CurveSettings(int(steps_across), shortest, int(most_points))
        curves = cls.of(diagram, members("boundary", PhaseBoundary), members("triple_point", TriplePoint), settings)
        if "n_spinodal" in arrays:
            curves.__dict__["spinodals"] = tuple(members("spinodal", Spinodal))
        if "n_level" in arrays:
            curves.keep([*members("level", LevelCurve)])
        return curves
