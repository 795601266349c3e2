"""Exact boundaries of the frozen theory, as equations between importance and density."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
import sympy

from ._arguments import one_of, sizes
from .candidates import MOST_FEATURES, configurations
from .model import ACTIVATIONS
from .symbolic import DENSITY, IMPORTANCE

_SEARCH_IMPORTANCE = np.geomspace(1e-3, 1e3, 240)
_SEARCH_DENSITY = np.linspace(1 / 240, 1.0, 240)


@dataclass(frozen=True)
class FrozenBoundary:
    """An exact boundary between two frozen configurations.

    Attributes
    ----------
    phases : tuple of two str
    patterns : tuple of two str
    equation : sympy.Eq
        ``density`` as a function of ``importance`` where that is rational, otherwise ``importance`` as one of ``density``.
    importance, density : tuple of two sympy numbers
        The ranges that the boundary covers (0 and oo: without limit).

    Examples
    --------
    >>> from phasediag import frozen_boundaries
    >>> boundary = frozen_boundaries(2, 1)[0][1]
    >>> boundary.equation
    Eq(density, 4*importance/(5*importance + 2))
    >>> boundary.phases
    ('extra not represented + dedicated', 'extra in antipodal pair')
    """

    phases: tuple[str, str]
    patterns: tuple[str, str]
    equation: sympy.Eq
    importance: tuple[sympy.Expr, sympy.Expr]
    density: tuple[sympy.Expr, sympy.Expr]


@dataclass(frozen=True)
class FrozenTriplePoint:
    """An exact point at which three or more frozen configurations have the lowest loss.

    Attributes
    ----------
    importance, density : sympy number
    phases, patterns : tuple of str

    Examples
    --------
    >>> from phasediag import frozen_boundaries
    >>> (point,) = frozen_boundaries(2, 1)[1]
    >>> point.importance, point.density, len(point.phases)
    (1, 4/7, 3)
    """

    importance: sympy.Expr
    density: sympy.Expr
    phases: tuple[str, ...]
    patterns: tuple[str, ...]


def frozen_boundaries(
    n_features: int, n_hidden: int, *, activation: str = "relu"
) -> tuple[tuple[FrozenBoundary, ...], tuple[FrozenTriplePoint, ...]]:
    """Solve for every boundary of the frozen phase diagram.

    Parameters
    ----------
    n_features : int
        From 2 to 8.
    n_hidden : int
        From 1 to n_features − 1.
    activation : {"relu", "linear"}

    Returns
    -------
    (tuple of FrozenBoundary, tuple of FrozenTriplePoint)
        All of them for importance in (0, ∞) and density in (0, 1].

    Raises
    ------
    ValueError
        When an argument is outside its domain.

    Notes
    -----
    Which pairs of configurations touch is read off a grid of the whole plane; their curves, and where each begins and
    ends, are then exact: the difference of two losses is linear in importance and polynomial in density.

    References
    ----------
    Equation :eq:`frozen` of the mathematics page.

    Examples
    --------
    >>> from phasediag import frozen_boundaries
    >>> boundaries, (point,) = frozen_boundaries(2, 1)
    >>> for boundary in boundaries:
    ...     print(boundary.equation)
    Eq(importance, 1)
    Eq(density, 4*importance/(5*importance + 2))
    Eq(density, 4/(2*importance + 5))
    >>> point.importance, point.density
    (1, 4/7)
    """
    n_features, n_hidden = sizes(n_features, n_hidden, MOST_FEATURES)
    return _solve(n_features, n_hidden, one_of("activation", activation, ACTIVATIONS))


@lru_cache(maxsize=32)
def _solve(n_features, n_hidden, activation):
    """The boundaries and triple points of `frozen_boundaries`."""
    table = configurations(n_features, n_hidden, activation=activation)
    losses = [sympy.expand(c.symbolic_loss()) for c in table]
    boundaries, points = [], {}
    for a, b in _touching_pairs(table):
        difference = sympy.expand(losses[a] - losses[b])
        for factor, _ in sympy.factor_list(difference)[1]:
            for equation, ends in _segments(factor, a, losses):
                ranges = (tuple(sorted(values)) for values in zip(*ends, strict=True))
                boundaries.append(FrozenBoundary(*_names([table[a], table[b]]), equation, *ranges))
                points |= {end: None for end in ends if 0 < end[0] < sympy.oo and 0 < end[1] < 1}
    triples = []
    for importance, density in points:
        exact = [sympy.nsimplify(sympy.simplify(loss.subs({IMPORTANCE: importance, DENSITY: density}))) for loss in losses]
        lowest = min(exact, key=float)
        members = [c for c, loss in zip(table, exact, strict=True) if abs(float(loss - lowest)) < 1e-14]
        triples.append(FrozenTriplePoint(importance, density, *_names(members)))
    return tuple(boundaries), tuple(triples)


def _names(members):
    """The phases and the patterns of configurations, two tuples of str."""
    return tuple(c.name for c in members), tuple(c.pattern for c in members)


def _touching_pairs(table):
    """Pairs of configurations that win in neighbouring cells of a grid over the whole plane."""
    losses = np.stack([c.expected_loss(_SEARCH_IMPORTANCE, _SEARCH_DENSITY[:, None]) for c in table])
    winner = np.argmin(losses, axis=0)
    pairs = set()
    for one, other in ((winner[:, :-1], winner[:, 1:]), (winner[:-1], winner[1:])):
        differ = one != other
        pairs |= {tuple(sorted(pair)) for pair in zip(one[differ].tolist(), other[differ].tolist(), strict=True)}
    return sorted(pairs)


def _segments(factor, a, losses):
    """Yield (equation, end points) of the parts of factor = 0 on which configuration a has the lowest loss."""
    if not factor.has(IMPORTANCE):
        for density in sympy.real_roots(sympy.Poly(factor, DENSITY)):
            if 0 < density <= 1:
                curve = (IMPORTANCE, density)
                yield from ((sympy.Eq(DENSITY, density), ends) for ends in _lowest_parts(curve, IMPORTANCE, sympy.oo, a, losses))
        return
    importance = sympy.factor(sympy.solve(factor, IMPORTANCE)[0])  # the factor is linear in importance
    equation = sympy.Eq(IMPORTANCE, importance)
    if sympy.degree(factor, DENSITY) == 1:
        equation = sympy.Eq(DENSITY, sympy.factor(sympy.solve(factor, DENSITY)[0]))
    yield from ((equation, ends) for ends in _lowest_parts((importance, DENSITY), DENSITY, 1, a, losses))


def _lowest_parts(curve, parameter, end, a, losses):
    """Yield the end points of the parts of a curve on which losses[a] is the lowest and importance is positive.

    The curve is (importance, density) as expressions in ``parameter``, which runs over (0, end].
    """
    on_curve = {IMPORTANCE: curve[0], DENSITY: curve[1]}
    along = [sympy.numer(sympy.together((loss - losses[a]).subs(on_curve, simultaneous=True))) for loss in losses]
    cuts = {sympy.Integer(0), sympy.sympify(end)}
    for expression in (*along, *sympy.fraction(sympy.together(curve[0]))):
        expression = sympy.expand(expression)
        if expression.has(parameter):
            cuts |= {r for r in sympy.real_roots(sympy.Poly(expression, parameter)) if 0 < r < end}
    cuts = sorted(cuts)
    for low, high in pairwise(cuts):
        middle = low + 1 if high == sympy.oo else (low + high) / 2
        importance, density = (float(sympy.sympify(c).subs(parameter, middle)) for c in curve)
        if not (0 < importance < np.inf and 0 < density <= 1):
            continue
        values = [float(loss.subs({IMPORTANCE: importance, DENSITY: density})) for loss in losses]
        if values[a] <= min(values) + 1e-12 * abs(values[a]):
            yield tuple(tuple(sympy.limit(c, parameter, x, "-" if x == high else "+") for c in curve) for x in (low, high))
