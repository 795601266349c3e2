"""Tricritical points of two features in one dimension, in closed form and enclosed by rational arithmetic."""

from dataclasses import dataclass
from fractions import Fraction
from math import inf, nextafter

from ._arguments import real_number
from ._display import Result

_STEPS = 100
_STEEPEST = 16
"""More than any slope of the functions below in the bias or the density, both within [0, 1]."""
_NEAR = (Fraction(1, 2), Fraction(3, 5)), (Fraction(4, 5), Fraction(9, 10))


@dataclass(frozen=True, eq=False, repr=False)
class TricriticalPoint(Result):
    """An enclosed point at which the boundary of an unrepresented extra feature turns from first order to continuous.

    Attributes
    ----------
    density : tuple of two float
        Proved: it is between them.
    importance : tuple of two float
        The same of the extra feature's importance; 1 / importance by symmetry is the other's.
    continuous : {"above", "below"}
        At which densities the boundary is continuous.

    Examples
    --------
    >>> from phasediag import tricritical_points
    >>> point = tricritical_points(width=1e-6)[0]
    >>> low, high = point.density
    >>> low < 0.5202478 < high, point.continuous
    (True, 'above')
    """

    density: tuple[float, float]
    importance: tuple[float, float]
    continuous: str


def tricritical_points(width: float = 1e-12) -> tuple[TricriticalPoint, ...]:
    """Enclose the tricritical points of 2→1 at importances of the extra feature below 1.

    Parameters
    ----------
    width : float
        Of the intervals of density, in [1e-15, 0.1].

    Returns
    -------
    tuple of TricriticalPoint

    Raises
    ------
    ValueError
        When an argument is outside its domain.

    Notes
    -----
    Let W = (a, −c), g = ac, a² = 1 + αg, b_1 = βg, b_2 the best. As g → 0 the loss at importances (1, I), less that at g = 0, is

        (ψ(α, β) − Iσ²) g² + (2Iσ²α − (2/3) p E (y − β)₊³) g³ + O(g⁴),

    y a feature, ψ(α, β) = p E (αx − y + β)² + (1 − p) E (β − y)₊², x uniform on [0, 1]: where the first feature is active it is
    off by (αx − y + β) g, unless x is less than that, which is what the cubic term takes back. ψ is least, κ, at α = (3/2)(p/2
    − β) and the root β in [0, 1] of

        p (1 − p) β² + (p/2 + 2 (1 − p)²) β − p²/4 = 0.

    Leaving the feature out ceases to be a minimum at Iσ² = κ. There the least loss at g is B(p) g³ + O(g⁴),

        B = 3κ (p/2 − β) − (p²/6)(1 − β)⁴.

    Where B < 0 the loss has been lower elsewhere before: first order. Where B > 0 the weight grows from 0: continuous, unless
    another minimum is lower. Tricritical is B = 0; the sign of B on both sides is proved by fractions.

    Examples
    --------
    >>> from phasediag import tricritical_points
    >>> [tuple(round(x[0], 7) for x in (point.importance, point.density)) for point in tricritical_points()]
    [(0.5740419, 0.5202477), (0.8964406, 0.8373196)]
    """
    narrow = Fraction(real_number("width", width, "in [1e-15, 0.1]", lambda x: (x >= 1e-15) & (x <= 0.1)))
    points = []
    for low, high in _NEAR:
        first = _sign(low)
        while high - low > narrow:
            middle = (low + high) / 2
            sign = _sign(middle)
            if sign == 0:
                break
            low, high = (middle, high) if sign == first else (low, middle)
        limits = [importance for p in (low, high) for importance in _limit(p)]
        ends = min(limits) - _STEEPEST * (high - low), max(limits) + _STEEPEST * (high - low)
        density, importance = (_outwards(*pair) for pair in ((low, high), ends))
        points.append(TricriticalPoint(density, importance, "above" if first < 0 else "below"))
    return tuple(points)


def _bias(p):
    """The root β at a density, a Fraction, to 2⁻¹⁰⁰ from below."""
    q, low, high = 1 - p, Fraction(0), Fraction(1)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        below = p * q * middle**2 + (p / 2 + 2 * q * q) * middle - p * p / 4 < 0
        low, high = (middle, high) if below else (low, middle)
    return low


def _least(p, beta):
    """κ from β, exactly ψ at the best α."""
    off, q = beta - p / 2, 1 - p
    return p * (off * off / 4 + p / 3 - p * p / 4) + q * (q * beta**2 + p * beta**3 / 3)


def _sign(p):
    """The sign of B at a density, a Fraction; 0 where it is too small to tell."""
    beta = _bias(p)
    value = 3 * _least(p, beta) * (p / 2 - beta) - p * p / 6 * (1 - beta) ** 4
    return 0 if abs(value) <= Fraction(_STEEPEST, 2**_STEPS) else (1 if value > 0 else -1)


def _limit(p):
    """The importance κ/σ² at a density, (least, most)."""
    value, rounding = _least(p, _bias(p)) / (p / 3 - p * p / 4), Fraction(_STEEPEST**2, 2**_STEPS)
    return value - rounding, value + rounding


def _outwards(low, high):
    """Two Fractions as floats around them."""
    return nextafter(float(low), -inf), nextafter(float(high), inf)
