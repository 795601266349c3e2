"""An atlas of equal features: which phase is the least minimum at every density, and where it changes."""

import json
from dataclasses import dataclass, field
from functools import lru_cache, partial
from importlib.resources import files
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import __version__
from ._arguments import Floats, real_number, sizes
from ._display import Drawn, Result
from ._minimizing.along_density import AlongDensity
from ._minimizing.flat import parts
from ._progress import progress_bar
from .model import cell_model
from .order_parameters import upright
from .phases import classify, name_among_equals

MOST_FEATURES = 10
SEARCHES = 9
"""Full searches for minima at so many densities of a row, at least; their minima are carried to all others."""

_STEP, _MOST = 0.25, 1 - 1e-6  # a minimum is followed in such steps of log(p / (1 − p)), p up to this
_LIMIT = 1e-18  # below this density losses are the limit's power of it to rounding


@dataclass(frozen=True, eq=False, repr=False)
class AtlasPhase(Result):
    """A phase that is the least minimum over an interval of density.

    Attributes
    ----------
    name : str
        Its clusters, the largest first, and how many features are not represented.
    shape : str
        The same with the angles of clusters that have no name.
    low, high : float
        The interval; that of the first phase begins at 0, that of the last ends at 1.
    density : float
        A density within it, to which what follows belongs.
    loss : float
    weights : ndarray, shape (n_hidden, n_features)
    bias : ndarray, shape (n_features,)
    runner_up : str
        The phase of the second-lowest minimum found there; empty where there is none.
    gap : float
        How far that lies above, relative to the loss; NaN where there is none.

    Examples
    --------
    >>> from phasediag import atlas
    >>> for phase in atlas(3, 2).phases:
    ...     print(phase.name, phase.low, phase.high)
    antipodal pair + dedicated 0.0 0.5218376590714253
    triangle 0.5218376590714253 1.0
    """

    name: str
    shape: str
    low: float
    high: float
    density: float
    loss: float
    weights: Floats
    bias: Floats
    runner_up: str
    gap: float


@dataclass(frozen=True, eq=False, repr=False)
class AtlasTransition(Result):
    """A density at which the least minimum changes.

    Attributes
    ----------
    density : float
        Solved to 10 digits.
    order : {"first", "continuous"}
        "first": two minima have the same loss. "continuous": one minimum turns into the other, where a curvature vanishes.
    phases : tuple of two str
        Below and above.
    loss : float
    feature_norm, bias : ndarray, shape (2, n_features)
        Below and above (one of them where more tie to rounding); of a continuous transition those of minima 0.02 % beside it.

    Examples
    --------
    >>> from phasediag import atlas
    >>> (transition,) = atlas(3, 2).transitions
    >>> round(transition.density, 10), transition.order, transition.phases
    (0.5218376591, 'first', ('antipodal pair + dedicated', 'triangle'))
    """

    density: float
    order: str
    phases: tuple[str, str]
    loss: float
    feature_norm: Floats
    bias: Floats


@dataclass(frozen=True, eq=False, repr=False)
class Atlas(Drawn):
    """The least minima of equal features along the density, a row of the atlas.

    Attributes
    ----------
    n_features, n_hidden : int
    phases : tuple of AtlasPhase
        By density.
    transitions : tuple of AtlasTransition
        Between them.
    limit_exponent : int
        The power of the density with which the least loss goes to 0: 1 where features cannot be told apart even one at a time,
        2 where only two active at once are confused.
    limit_coefficient : float
        What loss / density**limit_exponent goes to.
    version : str
        The version of this package that computed it.

    Examples
    --------
    >>> from phasediag import atlas
    >>> row = atlas(3, 2)
    >>> row.phase_at(0.3), row.phase_at(0.8), round(row.loss_at(0.3), 9)
    ('antipodal pair + dedicated', 'triangle', 0.029310355)
    """

    n_features: int
    n_hidden: int
    phases: tuple[AtlasPhase, ...]
    transitions: tuple[AtlasTransition, ...]
    limit_exponent: int
    limit_coefficient: float
    version: str = field(default=__version__)
    _figure = "atlas_figure"

    def phase_at(self, density: float) -> str:
        """Return the name of the least phase at a density in (0, 1]; at a transition that of the phase below.

        Raises
        ------
        ValueError
            When the density is outside (0, 1].
        """
        return self._interval(density).name

    def loss_at(self, density: float) -> float:
        """Return the least loss at a density in (0, 1]: the phase's minimum is followed there and descends to the bottom.

        Raises
        ------
        ValueError
            When the density is outside (0, 1].
        """
        own, reached = self._interval(density), max(float(density), _LIMIT)
        x = np.concatenate([own.weights.ravel(), own.bias])
        along = AlongDensity(self.n_features, self.n_hidden, 0, (own.density,))
        return _loss(along, follow(along, x, own.density, reached), reached) * (density / reached) ** self.limit_exponent

    def _interval(self, density):
        """The AtlasPhase at a density."""
        density = real_number("density", density, "in (0, 1]", lambda value: (value > 0) & (value <= 1))
        return next(one for one in self.phases if density <= one.high)

    def facts(self) -> dict[str, Any]:
        """The row as plain lists, numbers and strings, for JSON."""
        own = {name: getattr(self, name) for name in ("n_features", "n_hidden", "limit_exponent", "limit_coefficient", "version")}
        return own | {name: [_plain(one) for one in getattr(self, name)] for name in ("phases", "transitions")}

    def text(self) -> str:
        """Return the row as lines: the phases with their intervals and runners-up, the transitions between them."""
        limit = f"loss → {self.limit_coefficient:.6g} density{'²' if self.limit_exponent == 2 else ''} as density → 0"
        lines = [f"{self.n_features} → {self.n_hidden}, equal features: {limit}"]
        for k, phase in enumerate(self.phases):
            runner = f"; next {phase.runner_up}, {100 * phase.gap:.3g} % above" if phase.runner_up else ""
            lines.append(f"  {phase.shape}: loss {phase.loss:.9g} at {phase.density:.4g}{runner}")
            if k < len(self.transitions):
                one = self.transitions[k]
                lines.append(f"-- {one.density:.10f} {one.order}")
                for where, norm, bias in zip(("below", "above"), one.feature_norm, one.bias, strict=True):
                    longest = np.argsort(-norm.round(9), kind="stable")
                    numbers = (" ".join(f"{value:.4f}" for value in values[longest]) for values in (norm, bias))
                    lines.append("     {}: norms {}, biases {}".format(where, *numbers))
        return "\n".join(lines)

    def _records(self):
        """A row for each phase, with the transition above it."""
        sizes_ = {"n_features": self.n_features, "n_hidden": self.n_hidden}
        orders = [one.order for one in self.transitions] + [None]
        return [
            sizes_
            | {name: getattr(one, name) for name in ("low", "high", "name", "shape", "density", "loss", "runner_up", "gap")}
            | {"order_above": order}
            for one, order in zip(self.phases, orders, strict=True)
        ]


def atlas(n_features: int, n_hidden: int, *, shipped: bool = True, progress: bool = False) -> Atlas:
    """Say which phase of equal features is the least minimum at every density.

    Parameters
    ----------
    n_features : int
        2 to 10. Rows that are shipped are read; others are computed, which takes seconds for up to 5 features and minutes
        beyond.
    n_hidden : int
        1 to n_features − 1.
    shipped : bool
        False computes the row anew.
    progress : bool
        Show on standard error how far it has come.

    Returns
    -------
    Atlas

    Raises
    ------
    ValueError
        When an argument is outside its domain.

    Notes
    -----
    `minimize`'s search at nine densities or more; the eight lowest minima of each are carried to 52 densities (from 1e-4 to
    0.9995), up and down until no loss falls. Between neighbouring densities whose lowest minima are two, both are followed to the
    density at which their losses agree (first order), unless one turns into the other: then the zero of the lowest one-sided
    curvature is extrapolated from minima on the smoother side. Where a third minimum is lower at a transition found, by what is
    known or by a search there, its density is added and the search between goes on. Where the losses of two phases differ slowly,
    rounding leaves 3e-11 of a transition's density. A phase that is least only between two neighbouring densities, and that no
    minimum there leads to, is not found; nor are changes of symmetry that leave the name of the phase as it is. At density 1 the
    law is symmetric under x → 1 − x, so that weights of either sign tie there: the last phase is the one just below.

    Examples
    --------
    >>> from phasediag import atlas
    >>> row = atlas(3, 2)
    >>> [phase.name for phase in row.phases]
    ['antipodal pair + dedicated', 'triangle']
    >>> [(round(one.density, 10), one.order) for one in row.transitions]
    [(0.5218376591, 'first')]
    """
    n_features, n_hidden = sizes(n_features, n_hidden, MOST_FEATURES)
    known = _shipped().get((n_features, n_hidden)) if shipped else None
    return _row(known) if known else _computed(n_features, n_hidden, progress)


def shipped_rows() -> list[tuple[int, int]]:
    """Return the sizes of the rows that are shipped, a list of (n_features, n_hidden)."""
    return sorted(_shipped())


@lru_cache(maxsize=1)
def _shipped():
    """The facts of the rows that are shipped, by (n_features, n_hidden)."""
    text = files(__package__).joinpath("data", "atlas.json").read_text(encoding="utf-8")
    return {(row["n_features"], row["n_hidden"]): row for row in json.loads(text)["rows"]}


def _row(facts):
    """The Atlas of such facts."""
    kinds = {"phases": AtlasPhase, "transitions": AtlasTransition}
    own = {name: tuple(_result(kind, one) for one in facts[name]) for name, kind in kinds.items()}
    return Atlas(**facts | own)


def _result(kind, facts):
    """A result of a kind from its facts."""
    values = {name: tuple(one) if name == "phases" else one for name, one in facts.items()}
    arrays = {name: np.array(one, dtype=float) for name, one in values.items() if isinstance(one, list)}
    return kind(**values | arrays | ({"gap": np.nan} if facts.get("gap", 0.0) is None else {}))


def _plain(result):
    """The fields of a result as plain lists, numbers and strings; parameters to 12 digits, NaN as None."""
    facts = {}
    for name, value in vars(result).items():
        value = np.round(value, 12).tolist() if isinstance(value, np.ndarray) else value
        value = list(value) if isinstance(value, tuple) else value
        facts[name] = None if isinstance(value, float) and np.isnan(value) else value
    return facts


def _computed(n_features, n_hidden, progress):
    """Compute a row."""
    along = AlongDensity(n_features, n_hidden, 0)
    named = partial(_name, n_features, n_hidden)
    with progress_bar(None, progress, "", "densities") as advance:
        along.explore(len(along.densities) // SEARCHES + 1, "normal", lambda: advance(1))
        crossings = along.crossings(named)
    edges = [0.0, *(one.density for one in crossings), 1.0]
    phases = tuple(_phase(along, low, high, named) for low, high in pairwise(edges))
    exponent, coefficient = _limit(along)
    transitions = tuple(_transition(along, one, sides) for one, sides in zip(crossings, pairwise(phases), strict=True))
    return Atlas(n_features, n_hidden, phases, transitions, exponent, coefficient)


def _name(n_features, n_hidden, x):
    """The name of a flat point."""
    return name_among_equals(classify(parts(x, n_hidden)[0]), n_features)


def _loss(along, point, density):
    """The loss of a Settled at a density."""
    return float(point.scaled_loss * cell_model(*along.sizes, 1.0, density, "relu").loss_scale)


def _phase(along, low, high, named):
    """The AtlasPhase of an interval: at the density of a cell nearest to its middle, or in its middle."""
    density = 0.5 * (low + high)
    near = int(np.argmin(np.abs(np.array(along.densities) - density)))
    if abs(along.densities[near] - density) < 0.3 * (high - low):
        density, points = along.densities[near], along.cells[near]
    else:
        beside = [point for cell in along.cells[max(near - 1, 0) : near + 2] for point in cell]
        points = along.lowest_of(along.at(beside, density))
    first, *others = points
    weights, bias = parts(first.x, along.sizes[1])
    name, phase = named(first.x), classify(weights)
    shape = name
    for cluster in phase.clusters:
        if cluster.shape != cluster.name:
            shape = shape.replace(cluster.name, f"{cluster.name} ({cluster.shape})", 1)
    runner = others[0] if others else None
    gap = runner.scaled_loss / first.scaled_loss - 1 if runner else np.nan
    loss, next_name = _loss(along, first, density), named(runner.x) if runner else ""
    return AtlasPhase(name, shape, low, high, float(density), loss, upright(weights), bias.copy(), next_name, float(gap))


def _transition(along, crossing, phases):
    """The AtlasTransition of a Crossing between two AtlasPhase."""
    names = phases[0].name, phases[1].name
    sides = [parts(point.x, along.sizes[1]) for point in (crossing.below, crossing.above)]
    norms: NDArray[Any] = np.array([np.linalg.norm(weights, axis=0) for weights, _ in sides])
    loss = _loss(along, crossing.below, crossing.density)
    return AtlasTransition(crossing.density, crossing.order, names, loss, norms, np.array([bias for _, bias in sides]))


def _limit(along):
    """The exponent and the coefficient with which the least loss goes to 0: from a density, its half and its quarter."""
    density, point, ratios = along.densities[0], along.cells[0][0], []
    for part in (1.0, 0.5, 0.25):
        point = along.at([point], part * density)[0]
        ratios.append(_loss(along, point, part * density) / (part * density))
    exponent = 2 if ratios[2] < 0.3 * ratios[0] else 1
    values = [ratio / (part * density) ** (exponent - 1) for ratio, part in zip(ratios, (1.0, 0.5, 0.25), strict=True)]
    once = [2 * values[1] - values[0], 2 * values[2] - values[1]]
    return exponent, float((4 * once[1] - once[0]) / 3)


def follow(along, x, start, end):
    """The minimum at a density to which one at another, flat, leads in small steps: a Settled."""
    ends = np.log([start, end]) - np.log1p(-np.minimum([start, end], _MOST))
    steps = np.linspace(*ends, int(np.abs(np.diff(ends))[0] / _STEP) + 2)
    point = along.settled(x, start)
    for density in [*(1 / (1 + np.exp(-steps[1:-1]))), end]:
        point = along.at([point], density)[0]
    return point
