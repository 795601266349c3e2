"""Boundary curves between phases, where phases end, and the points at which three meet: plain data, as a diagram keeps it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ._arguments import real_number, whole_number
from ._display import Result

if TYPE_CHECKING:
    from .barriers import Barrier
    from .minima import Minimum

FACTS = (
    *("kind", "index", "phases", "order", "point", "latent_loss", "ends", "end", "closed", "function_of"),
    *("boundaries", "spinodals", "status", "precision", "brackets", "reasons", "function", "value"),
)
"""What tables and JSON say of curves besides the values along the axes."""
_STRAIGHT = 1e-10
"""Along a curve a coordinate that changes by less (relative) between two points does not vary."""


DEFAULT_AXES = "importance", "density"
UNRESOLVED = "unresolved"


@dataclass(frozen=True, repr=False)
class CurveSettings(Result):
    """How curves are followed.

    Parameters
    ----------
    steps_across : int
        At least 1: a full step is the longer side of the window, in coordinates, divided by it.
    shortest : float
        In (0, 0.1]: the part of a full step to which an event that is not solved for is bracketed.
    most_points : int
        At least 1: of a curve, on each side of the point at which it is met.

    Raises
    ------
    ValueError
        When an argument is outside its domain.

    Examples
    --------
    >>> from phasediag import CurveSettings, phase_diagram
    >>> diagram = phase_diagram(importance=[0.5], density=[0.45, 0.52])
    >>> len(diagram.boundaries(settings=CurveSettings(most_points=200)))
    1
    """

    steps_across: int = 128
    shortest: float = 1e-4
    most_points: int = 1500

    def __post_init__(self) -> None:
        whole_number("steps_across", self.steps_across, 1)
        whole_number("most_points", self.most_points, 1)
        real_number("shortest", self.shortest, "in (0, 0.1]", lambda x: (x > 0) & (x <= 0.1))


DEFAULT_SETTINGS = CurveSettings()


def column_names(axes: tuple[str, str], *taken: str) -> tuple[str, ...]:
    """Return the names of both axes in tables, which end in "_axis" where something else has the name."""
    return tuple(name + "_axis" * (name in taken) for name in axes)


class _Placed(Result):
    """What curves and points of a plane share: values along its axes, of these names."""

    axes: tuple[str, str]
    x: Any
    y: Any

    def _named(self, name):
        """The values along the axis of a name; ValueError where the plane has none."""
        if name not in self.axes:
            raise ValueError(f"{name} must be an axis, got axes {self.axes[0]} and {self.axes[1]}: see x and y")
        return (self.x, self.y)[self.axes.index(name)]

    @property
    def importance(self) -> Any:
        """The values along the axis "importance"; raises ValueError where the plane has none."""
        return self._named("importance")

    @property
    def density(self) -> Any:
        """The values along the axis "density"; raises ValueError where the plane has none."""
        return self._named("density")

    def _rows(self):
        """The fields, with the values along the axes by their own names."""
        names = dict(zip(("x", "y"), self.axes, strict=True))
        return [(names.get(name, name), value) for name, value in super()._rows()]


class _Curve(_Placed):
    """What boundaries and spinodals share: points along a curve, in order, and how they were solved."""

    ends: tuple[str, ...]
    reasons: tuple[str, ...]

    @property
    def status(self) -> str:
        """Whether both ends are known, "whole", or one could not be reached, "unresolved"; see ``reasons``."""
        return UNRESOLVED if UNRESOLVED in self.ends else "whole"

    @property
    def closed(self) -> bool:
        """Whether the curve returns to its first point."""
        first, last = np.array([self.x, self.y])[:, [0, -1]].T
        return bool(self.x.size > 1 and np.array_equal(first, last))

    @property
    def function_of(self) -> tuple[str, ...]:
        """The coordinates that grow or fall all along the curve, so that the other is a function of them: a tuple of names.

        A vertical curve is a function of its y, ("density",) alone; a curve that turns back in both, and a closed one, of ().
        """
        values = np.array([self.x, self.y])
        sizes = np.maximum(np.abs(values[:, 1:]), np.abs(values[:, :-1]))
        steps = np.diff(values) / np.where(sizes > 0, sizes, 1.0)
        moves = np.abs(steps).max(axis=0) > _STRAIGHT  # rather than two points that are one to rounding
        return tuple(
            name
            for name, step in zip(self.axes, steps[:, moves], strict=True)
            if np.all(step > _STRAIGHT) or np.all(step < -_STRAIGHT)
        )

    def facts(self) -> dict:
        """The curve as plain lists, numbers and strings, for JSON; values along the axes have their names."""
        facts = {"closed": self.closed, "function_of": [*self.function_of]}
        facts |= {name: getattr(self, name) for name in ("kind", "status")} | {"reasons": [*self.reasons]}
        facts |= {name: getattr(self, name).tolist() for name in ("precision", "brackets")}
        names = column_names(self.axes, *FACTS)
        return facts | dict(zip(names, (self.x.tolist(), self.y.tolist()), strict=True))

    def _records(self):
        """A row for each point: what varies along the curve, and what does not in words."""
        rows, facts = [{"point": k} for k in range(self.x.size)], self.facts()
        for name, one in facts.items():
            along = isinstance(one, list) and len(one) == len(rows) and isinstance(one[0], float)
            words = " | ".join(map(str, one)) if isinstance(one, list) else one
            for k, row in enumerate(rows):
                row[name] = one[k] if along else words
        return rows


@dataclass(frozen=True, eq=False, repr=False)
class PhaseBoundary(_Curve):
    """A curve in the plane of control parameters across which the lowest minimum changes.

    Attributes
    ----------
    phases : tuple of two str
        The phases on its two sides. They can have one name: where two minima of the same phase cross.
    x, y : ndarray, shape (n_points,)
        Points along the curve in order; each solves its equation to rounding. One point in a diagram of one row or column,
        which a curve crosses. Curves may be vertical, turn back or be closed: see ``closed`` and ``function_of``. Over the
        plane of importance and density they are also called so.
    order : {"first", "continuous"}
        "first": two minima with the same loss. "continuous": one minimum turns into the other, where the lowest one-sided
        curvature of the more symmetric one (a weight or an interference is 0 in it) vanishes.
    latent_loss : ndarray, shape (n_points,)
        Jump of ∂L*/∂x across the boundary: over importance and density that of the extra feature's own loss. 0 on continuous
        ones, and on first-order ones at which ∂L*/∂y alone jumps.
    feature_norm : ndarray, shape (2, n_points)
        The extra feature's norm on the two sides.
    ends : tuple of two str
        How the curve ends at its first and last point: "edge" of the diagram, "triple point", "critical point" (two minima
        of one phase become one), "order changes" (a first-order boundary becomes continuous, at a tricritical point),
        "closed", or "unresolved" (it could not be followed farther, nor a junction be solved there).
    minima : ndarray, shape (2, n_points, (n_hidden + 1) n_features)
        The minima on the two sides at each point, weights row by row, then biases. On a continuous boundary both are the more
        symmetric one.
    free : ndarray of bool, shape (2, n_points, (n_hidden + 1) n_features)
        Which of these parameters are free: the others are zeros that symmetry or the relaxed theory's pattern keeps.
    axes : tuple of two str
        The names of the plane's axes.
    precision : ndarray, shape (n_points,)
        The last step of Newton's method that led to each point, in the plane's coordinates: logarithms, or parts of the
        largest value along axes that are not logarithmic.
    brackets : ndarray, shape (2, 2, 2)
        For each end the last point known to lie on the curve and the first known to lie beyond its end, (x, y) each: one point
        where the end has been solved for.
    reasons : tuple of two str
        For each end what kept the curve from being followed on; "" where it is known.

    References
    ----------
    Equation :eq:`latent` of the mathematics page.

    Examples
    --------
    >>> from phasediag import phase_diagram
    >>> (boundary,) = phase_diagram(importance=[0.5], density=[0.45, 0.52]).boundaries()
    >>> boundary.order, boundary.phases
    ('first', ('extra in antipodal pair', 'extra not represented + dedicated'))
    >>> boundary.y.round(9)  # the density at which two minima have the same loss
    array([0.48458793])
    """

    phases: tuple
    x: np.ndarray
    y: np.ndarray
    order: str
    latent_loss: np.ndarray
    feature_norm: np.ndarray
    ends: tuple
    minima: np.ndarray = field(repr=False)
    free: np.ndarray = field(repr=False)
    axes: tuple = field(default=DEFAULT_AXES, repr=False)
    precision: np.ndarray = field(default_factory=lambda: np.empty(0), repr=False)
    brackets: np.ndarray = field(default_factory=lambda: np.empty((0, 2, 2)), repr=False)
    reasons: tuple = field(default=(), repr=False)

    @property
    def kind(self) -> str:
        """What is solved for: "coexistence" of two minima, or the point of "symmetry breaking" of one."""
        return {"first": "coexistence", "continuous": "symmetry breaking"}[self.order]

    @property
    def spinodals(self) -> "tuple[Spinodal, ...]":
        """Where either phase ceases to be a minimum: those of ``PhaseDiagram.spinodals`` that belong to this boundary.

        A tuple of Spinodal; those of the whole diagram are sought when first asked for. Empty on continuous boundaries and where
        both phases always exist (frozen weights).
        """
        curves: Any = self.__dict__.get("curves")
        if curves is None:  # a boundary made by hand
            return ()
        return tuple(limit for limit in curves.spinodals if any(curves.boundaries[k] is self for k in limit.boundaries))

    def barriers(self, n_points: int = 8) -> "tuple[Barrier | None, ...]":
        """Find the pass between the two minima at points along a first-order boundary.

        Parameters
        ----------
        n_points : int
            At least 1; at equal steps along the points of the curve, its ends, where minima may be becoming one, left out.

        Returns
        -------
        tuple of Barrier or None
            From the first phase's minimum to the second's, see `barrier`; the model of each says where it lies. None where the
            minima are one to rounding (where the order changes) or no path was found.

        Raises
        ------
        ValueError
            When n_points is less than 1, or the boundary is continuous: its minima are one.
        """
        from .barriers import barrier_at

        whole_number("n_points", n_points, 1)
        if self.order != "first":
            raise ValueError("barriers need a first-order boundary, got a continuous one")
        plane = self.__dict__["curves"].plane
        at = np.unique(np.linspace(0, self.x.size - 1, n_points + 2).round().astype(int)[1:-1])
        return tuple(barrier_at(plane.model(float(self.x[k]), float(self.y[k])), self.minima[:, k]) for k in at)

    def level_points(self, function: "Callable[[Minimum], float]", value: float = 0.0) -> "tuple[LevelPoint, ...]":
        """Find the points at which a function of the minimum on either side has a value; there `LevelCurve` end.

        Parameters
        ----------
        function : callable
            Of a Minimum; see ``PhaseDiagram.level_curves``.
        value : float

        Returns
        -------
        tuple of LevelPoint
            First those of the first phase's minimum along the curve, then those of the second's; of a continuous boundary, where
            both are one, each once.

        Raises
        ------
        ValueError
            When an argument is outside its domain, or the boundary is no curve of a diagram whose minima adjust.
        """
        curves: Any = self.__dict__.get("curves")
        if curves is None:
            raise ValueError("level_points need a boundary of a diagram, got one made by hand")
        return curves.level_points(self, function, value)

    def facts(self) -> dict:
        """The curve as plain lists, numbers and strings, for JSON."""
        facts = {"phases": [*self.phases], "order": self.order, "ends": [*self.ends], "latent_loss": self.latent_loss.tolist()}
        return facts | super().facts()


@dataclass(frozen=True, eq=False, repr=False)
class Spinodal(_Curve):
    """The limit beyond which a phase of a first-order boundary is no longer a minimum.

    Followed beyond what lies across the boundary, until it ends or leaves the diagram; boundaries of one minimum share it, and
    where one phase loses its symmetry and becomes another, both cease on one curve: a Spinodal for each. A
    phase has more than one where it ceases in different ways: at a fold (it meets a saddle) or at the limit of its symmetry.

    Attributes
    ----------
    phase : str
    x, y : ndarray, shape (n_points,)
        Points along the curve, in the direction of the first boundary's; each solves its equation to rounding. It ends at an
        edge, in a point where minima become one or the order changes, where the minimum begins to cease in another way, or
        where the support of an output changes, so that third derivatives jump. Where it could not be followed: points across
        the boundary's own.
    minima : ndarray, shape (n_points, (n_hidden + 1) n_features)
        The minimum that ceases at each point, weights row by row, then biases.
    boundaries : tuple of int
        The boundaries across which it lies, as positions in ``PhaseDiagram.boundaries()``.
    kind : str
        How the minimum ceases: "fold", "symmetry breaking", or "exchange breaking" (of equal features).
    ends : tuple of two str
        As those of a PhaseBoundary, and "another limit": the minimum begins to cease in another way. So it does where two folds
        meet in one point, as two saddles close in on the minimum between them; elsewhere ``reasons`` say how near that is.
    axes, precision, brackets, reasons
        As those of a PhaseBoundary.

    References
    ----------
    Equation :eq:`spinodal` of the mathematics page.

    Examples
    --------
    >>> from phasediag import phase_diagram
    >>> for limit in phase_diagram(importance=[0.5], density=[0.45, 0.52]).spinodals():
    ...     print(limit.phase, limit.y.round(6))
    extra in antipodal pair [0.505313]
    extra not represented + dedicated [0.456872]
    """

    phase: str
    x: np.ndarray
    y: np.ndarray
    minima: np.ndarray = field(repr=False)
    boundaries: tuple
    kind: str = ""
    ends: tuple = ()
    axes: tuple = field(default=DEFAULT_AXES, repr=False)
    precision: np.ndarray = field(default_factory=lambda: np.empty(0), repr=False)
    brackets: np.ndarray = field(default_factory=lambda: np.empty((0, 2, 2)), repr=False)
    reasons: tuple = field(default=(), repr=False)

    def facts(self) -> dict:
        """The curve as plain lists, numbers and strings, for JSON."""
        return {"phases": [self.phase], "boundaries": [*self.boundaries], "ends": [*self.ends]} | super().facts()


@dataclass(frozen=True, repr=False)
class TriplePoint(_Placed):
    """A point at which three (or more) minima have the same lowest loss.

    Attributes
    ----------
    x, y : float
        Over the plane of importance and density they are also called so.
    phases : tuple of str
        The phases of the minima, each once: fewer than three where minima of one phase meet, or where one of two minima is just
        turning into the other phase.
    axes : tuple of two str
        The names of the plane's axes.
    precision : float
        The last step of Newton's method, in coordinates as those of a PhaseBoundary.

    Examples
    --------
    >>> from phasediag import phase_diagram
    >>> (point,) = phase_diagram(importance=[0.5, 1.0, 2.0], density=[0.1, 0.5, 0.9], theory="frozen").triple_points()
    >>> point.phases
    ('extra not represented + dedicated', 'extra dedicated + not represented', 'extra in antipodal pair')
    >>> round(point.importance, 9), round(point.density, 9)  # 4/7
    (1.0, 0.571428571)
    """

    x: float
    y: float
    phases: tuple
    axes: tuple = field(default=DEFAULT_AXES, repr=False)
    precision: float = 0.0

    def facts(self) -> dict:
        """The point as plain lists, numbers and strings, for JSON."""
        names = column_names(self.axes, *FACTS)
        return {"phases": [*self.phases], "precision": self.precision, **dict(zip(names, (self.x, self.y), strict=True))}


@dataclass(frozen=True, eq=False, repr=False)
class LevelCurve(_Curve):
    """A curve along which a function of the lowest minimum has one value; see ``PhaseDiagram.level_curves``.

    Attributes
    ----------
    phase : str
        Of the minimum, in the middle of the curve.
    function : str
        The function's name.
    value : float
    x, y : ndarray, shape (n_points,)
        Points along the curve in order; each solves its equation to rounding.
    minima : ndarray, shape (n_points, (n_hidden + 1) n_features)
        The lowest minimum at each point, weights row by row, then biases.
    ends : tuple of two str
        "boundary" (it meets one: see ``PhaseBoundary.level_points``), "edge", "closed" or "unresolved".
    axes, precision, brackets, reasons
        As those of a PhaseBoundary.

    Examples
    --------
    The bias of a feature that is not represented is half its density:

    >>> from phasediag import phase_diagram
    >>> diagram = phase_diagram(importance=[0.1, 0.2], density=[0.5, 0.9])
    >>> (curve,) = diagram.level_curves(lambda minimum: minimum.bias[1], 0.3, name="bias")
    >>> curve.ends, [round(float(density), 12) for density in curve.density[[0, -1]]]
    (('edge', 'edge'), [0.6, 0.6])
    """

    phase: str
    function: str
    value: float
    x: np.ndarray
    y: np.ndarray
    minima: np.ndarray = field(repr=False)
    ends: tuple = ()
    axes: tuple = field(default=DEFAULT_AXES, repr=False)
    precision: np.ndarray = field(default_factory=lambda: np.empty(0), repr=False)
    brackets: np.ndarray = field(default_factory=lambda: np.empty((0, 2, 2)), repr=False)
    reasons: tuple = field(default=(), repr=False)
    kind = "level"

    def facts(self) -> dict:
        """The curve as plain lists, numbers and strings, for JSON."""
        facts = {"phases": [self.phase], "function": self.function, "value": self.value, "ends": [*self.ends]}
        return facts | super().facts()


@dataclass(frozen=True, repr=False)
class LevelPoint(_Placed):
    """A point of a boundary at which a function of the minimum on one side has a value.

    Attributes
    ----------
    x, y : float
        Over the plane of importance and density they are also called so.
    phase : str
        Of the minimum.
    minimum : Minimum
    axes : tuple of two str
        The names of the plane's axes.
    precision : float
        The last step of Newton's method, in coordinates as those of a PhaseBoundary.

    Examples
    --------
    >>> from phasediag import phase_diagram
    >>> diagram = phase_diagram(importance=[0.6, 0.7], density=[0.59, 0.61])
    >>> points = [point for one in diagram.boundaries() for point in one.level_points(lambda minimum: minimum.bias[1], 0.3)]
    >>> [(round(point.importance, 9), round(point.density, 9)) for point in points]
    [(0.665398849, 0.6)]
    """

    x: float
    y: float
    phase: str
    minimum: "Minimum"
    axes: tuple = field(default=DEFAULT_AXES, repr=False)
    precision: float = 0.0
