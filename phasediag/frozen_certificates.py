"""Proofs about the frozen theory, whose losses are polynomials: exact, by rational arithmetic alone."""

from dataclasses import dataclass
from itertools import combinations, pairwise

import sympy

from ._arguments import sizes
from ._display import Result
from .candidates import MOST_FEATURES, configurations
from .frozen_equations import frozen_boundaries
from .symbolic import DENSITY, IMPORTANCE


@dataclass(frozen=True, eq=False, repr=False)
class FrozenCertificate(Result):
    """Whether the boundaries of a frozen diagram are proved to be all and right; true where they are.

    Attributes
    ----------
    confirmed : bool
    reason : str
        What is not, in words; empty where all is.
    n_losses : int
        Configurations with a loss of their own.
    samples : tuple of sympy.Rational
        Densities at which the lowest configurations over all importances were found exactly, one in each interval of (0, 1)
        within which they cannot change.
    n_boundaries : int

    Examples
    --------
    >>> from phasediag import certify_frozen
    >>> proof = certify_frozen(2, 1)
    >>> proof.confirmed, proof.n_boundaries
    (True, 3)
    """

    confirmed: bool
    reason: str
    n_losses: int
    samples: tuple[sympy.Rational, ...]
    n_boundaries: int

    def __bool__(self) -> bool:
        return self.confirmed


def certify_frozen(n_features: int, n_hidden: int) -> FrozenCertificate:
    """Prove that `frozen_boundaries` has every boundary of the frozen diagram, and no other.

    Parameters
    ----------
    n_features : int
        From 2 to 8; proofs for more than 4 take long.
    n_hidden : int
        From 1 to n_features − 1.

    Returns
    -------
    FrozenCertificate

    Raises
    ------
    ValueError
        When an argument is outside its domain.

    Notes
    -----
    The loss of a configuration is A(p) + I B(p), a line in the importance I with polynomials of the density p. Which lines are
    the lowest, and in what order, can only change at densities at which two slopes, two intercepts or three crossings agree:
    roots of polynomials with rational coefficients, which are isolated exactly. Between them one rational density stands for
    all.

    Examples
    --------
    >>> from phasediag import certify_frozen
    >>> proved = certify_frozen(2, 1)
    >>> proved.confirmed, proved.n_losses, proved.n_boundaries
    (True, 3, 3)
    """
    n_features, n_hidden = sizes(n_features, n_hidden, MOST_FEATURES)
    names: dict[sympy.Expr, list[str]] = {}
    for one in configurations(n_features, n_hidden):
        names.setdefault(sympy.expand(one.symbolic_loss()), []).append(one.name)
    lines = [(loss.subs(IMPORTANCE, 0), sympy.expand(loss.coeff(IMPORTANCE, 1))) for loss in names]
    boundaries, _ = frozen_boundaries(n_features, n_hidden)
    samples = _samples(lines)
    reason = next(filter(None, (_wrong_at(p, lines, list(names.values()), boundaries) for p in samples)), "")
    return FrozenCertificate(not reason, reason, len(lines), samples, len(boundaries))


def _samples(lines):
    """A rational density in each interval of (0, 1) in which the order of lines (A, B) cannot change."""
    critical = set()
    for (a, b), (c, d) in combinations(lines, 2):
        critical |= {sympy.expand(a - c), sympy.expand(b - d)}
    for (a, b), (c, d), (e, f) in combinations(lines, 3):
        critical.add(sympy.expand((a - c) * (d - f) - (c - e) * (b - d)))
    factors = {factor for one in critical if one.has(DENSITY) for factor, _ in sympy.factor_list(one, DENSITY)[1]}
    whole = sympy.Poly(sympy.prod(factors), DENSITY) if factors else None
    roots = [place for place, _ in whole.intervals(inf=0, sup=1)] if whole else []
    ends = [(sympy.Integer(0),) * 2, *roots, (sympy.Integer(1),) * 2]
    return tuple((high + low) / 2 for (_, high), (low, _) in pairwise(ends) if high < low)


def _wrong_at(p, lines, names, boundaries):
    """What the boundaries have wrong at a density, in words; empty where nothing."""
    exact = [tuple(sympy.Rational(sympy.sympify(x).subs(DENSITY, p)) for x in line) for line in lines]
    here, crossings = sympy.Integer(0), []
    lowest = min(range(len(exact)), key=lambda k: exact[k])
    while True:
        a, b = exact[lowest]
        after = [((c - a) / (b - d), d, k) for k, (c, d) in enumerate(exact) if d < b and (c - a) / (b - d) >= here]
        if not after:
            break
        here, _, other = min(after)
        crossings.append((here, {frozenset((x, y)) for x in names[lowest] for y in names[other]}))
        lowest = other
    found = []
    for one in boundaries:
        low, high = one.density
        if low < p < high:
            solutions = sympy.solve(one.equation.subs(DENSITY, p), IMPORTANCE)
            found += [(x, frozenset(one.phases)) for x in solutions if one.importance[0] <= x <= one.importance[1]]
    for importance, pairs in crossings:
        if not any(x == importance and phases in pairs for x, phases in found):
            return f"no boundary at importance {importance}, density {p}"
    if len(found) > len(crossings):
        return f"{len(found)} boundaries at density {p}, where there are {len(crossings)}"
    return ""
