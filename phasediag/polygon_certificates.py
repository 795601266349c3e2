"""A proof that regular polygons are the best weights where at most one feature is active: an open problem (MAIS O42)."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import sympy
from mpmath import iv
from scipy.optimize import root

from ._arguments import Floats, whole_number
from ._display import Result

_MARGIN = 1e-12
"""More than the rounding of any bound below: fewer than 200 operations on numbers whose sizes add up to less than 20."""
_AT_ONCE = 100_000
_MOST_BOXES = 50_000_000
_NEAR = {5: 8e-4, 6: 2.5e-4}
"""Half the side of the box about the polygon within which its bound is shown to be convex."""


@dataclass(frozen=True, eq=False, repr=False)
class PolygonCertificate(Result):
    """Whether the regular polygon is proved to be the only best configuration of one-hot inputs; true where it is.

    Attributes
    ----------
    confirmed : bool
    reason : str
        What was not shown, in words; empty where all was.
    n_features : int
    loss : float
        Least loss, Σ_i E (x − x')² with feature i alone active, uniform on [0, 1].
    norm, bias : float
        Of every feature there.
    n_boxes : int
        Boxes in which a bound was taken.

    Examples
    --------
    >>> from phasediag import certify_polygon
    >>> proof = certify_polygon(5)
    >>> proof.confirmed, round(proof.norm, 6), round(proof.bias, 6)
    (True, 1.17046, -0.282297)
    """

    confirmed: bool
    reason: str
    n_features: int
    loss: float
    norm: float
    bias: float
    n_boxes: int

    def __bool__(self) -> bool:
        return self.confirmed


def certify_polygon(n_features: int) -> PolygonCertificate:
    """Prove that of all weights of n → 2 and biases of at most 0, regular polygons alone have the least loss of one-hot inputs.

    Parameters
    ----------
    n_features : int
        5 or 6, equally important. Up to four features are stored without loss. 5 takes a second, 6 half a minute; the same proof
        of the heptagon did not end within minutes. The octagon loses to the heptagon without the eighth feature.

    Returns
    -------
    PolygonCertificate

    Raises
    ------
    ValueError
        When the argument is outside its domain.

    Notes
    -----
    *Statement.* Let L_1(W, b) = Σ_i ∫₀¹ |x e_i − ReLU(WᵀW x e_i + b)|² dx, W of shape (2, n), b ≤ 0. L_1 is least at columns of
    equal length at equal angles with equal biases, and nowhere else. As density → 0 the expected loss is density · L_1 +
    O(density²), and biases above 0 cost more than they gain: so at every density that is small enough the global minima of n → 2
    are regular polygons, unique up to rotations and the order of features (by the proof the polygon is a nondegenerate minimum,
    and by its symmetry it is stationary at every density).

    *Proof.* With a_i = ‖W_i‖², f(a, b) = ∫ (x − (ax + b)₊)² and h(t, b) = ∫ (tx + b)₊² ≥ 0, row i of the loss is
    f(a_i, b_i) + Σ_j h(W_i·W_j, b_i). In the order of their directions, features have angles θ_i between neighbours, Σ θ_i = 2π.
    Dropping all but neighbours, L_1 ≥ Σ_i F(i, i + 1, θ_i), F = ½f + ½f' + h(t, b) + h(t, b'), t = √(aa') cos θ, with equality at
    the polygon. It is enough that F ≥ φ + λ(θ − 2π/n) with equality at the polygon only, φ and λ its value and slope in θ there:
    the sum of the right sides is nφ. A row of more than nφ − L_1*(n − 1), or two of more than nφ − L_1*(n − 2), need not be
    looked at: removing features does not harm the others, and their least loss is known by induction. So lengths are bounded,
    and branch and bound over (‖W‖, b, ‖W'‖, b', θ) does the rest. Bounds: √f is an L²-norm, hence Lipschitz, and h increases in
    t and b; and to second order, h is convex in (t, b), the Hessian of f is at least −(2k/a) (k, 1)(k, 1)ᵀ, k = −b/a. In a small
    box about the polygon, F is convex: its Hessian, enclosed in interval arithmetic, is positive definite. Elsewhere arithmetic
    is double precision with a margin.

    References
    ----------
    Chen et al. 2023, arXiv 2310.06301 (the loss of one-hot inputs and its polygons).

    Examples
    --------
    >>> from phasediag import certify_polygon
    >>> proved = certify_polygon(5)
    >>> proved.confirmed, round(proved.loss, 10), round(proved.norm, 8), round(proved.bias, 8)
    (True, 0.0791281354, 1.17045964, -0.28229728)
    """
    return _certified(whole_number("n_features", n_features, 5, 6))


@cache
def _certified(n: int) -> PolygonCertificate:
    """The certificate of n features, from those of fewer."""
    norm, bias, share, slope = _polygon(n)
    smaller = [_certified(k) for k in range(5, n)]
    least = [0.0, 0.0, *(one.loss for one in smaller)][-2:]
    boxes = sum(one.n_boxes for one in smaller)
    reason = next((one.reason for one in smaller if not one), "")
    if not reason and not _convex(n, norm, bias):
        reason = "the bound is not convex near the polygon"
    if not reason and share + slope * (np.pi / 2 - 2 * np.pi / n) > -_MARGIN:
        reason = "features at more than a right angle are not excluded"
    if not reason:
        count, reason = _bound_elsewhere(n, (norm, bias, share, slope), n * share - least[1] + 1e-9, n * share - least[0] + 1e-9)
        boxes += count
    return PolygonCertificate(not reason, reason, n, n * share, norm, bias, boxes)


def _own(a: Floats, b: Floats) -> tuple[Floats, Floats, Floats]:
    """f(a, b) of arrays, a > 0 and b ≤ 0, and its slopes in a and b."""
    k = np.minimum(-b / a, 1)
    moment, mean = a * (1 - k**3) / 3 + b * (1 - k * k) / 2, a * (1 - k * k) / 2 + b * (1 - k)
    return 1 / 3 - 2 * moment + _other(a, b)[0], 2 * moment - 2 * (1 - k**3) / 3, 2 * mean - (1 - k * k)


def _other(t: Floats, b: Floats) -> tuple[Floats, Floats, Floats]:
    """h(t, b) of arrays, t ≥ 0 and b ≤ 0, and its slopes in t and b."""
    above, t = np.maximum(t + b, 0), np.maximum(t, 1e-300)
    return above**3 / (3 * t), above * above / t * (1 - above / (3 * t)), above * above / t


def _polygon(n: int) -> tuple[float, float, float, float]:
    """Norm and bias of the best regular polygon, φ and λ."""
    cosine, sine = np.cos(2 * np.pi / n), np.sin(2 * np.pi / n)

    def slopes(point):
        a, b = np.array(point[0] ** 2), np.array(point[1])
        (_, own_a, own_b), (_, other_t, other_b) = _own(a, b), _other(a * cosine, b)
        return [own_a + 2 * cosine * other_t, own_b + 2 * other_b]

    norm, bias = root(slopes, [0.42 + 0.15 * n, 1.4 - n / 3], tol=1e-14).x
    a, b = np.array(norm * norm), np.array(bias)
    other, other_t, _ = _other(a * cosine, b)
    return float(norm), float(bias), float(_own(a, b)[0] + 2 * other), float(-2 * a * sine * other_t)


@cache
def _curvature() -> Callable:
    """Six times the ten and five second derivatives of F, of (‖W‖, b, ‖W'‖, b', θ), in interval arithmetic."""
    r, b, s, c, angle = variables = sympy.symbols("r b s c angle")

    def other(t, bias):
        return 2 * (t + bias) ** 3 / t

    def own(a, bias):
        k = -bias / a
        return 2 - 4 * a * (1 - k**3) - 6 * bias * (1 - k**2) + other(a, bias)

    t = r * s * sympy.cos(angle)
    bound = (own(r**2, b) + own(s**2, c)) / 2 + other(t, b) + other(t, c)
    hessian = sympy.hessian(sympy.expand(bound), variables)
    entries = [hessian[j, k] for j in range(5) for k in range(j, 5)]
    return sympy.lambdify(variables, entries, modules=[{"cos": iv.cos, "sin": iv.sin}], cse=True)


def _convex(n: int, norm: float, bias: float) -> bool:
    """Whether F is convex in the box about the polygon: the least eigenvalue at the middle outweighs what the Hessian varies."""
    centre, near = [norm, bias, norm, bias, 2 * np.pi / n], _NEAR[n]
    entries = [iv.mpf(x) for x in _curvature()(*(iv.mpf([x - near, x + near]) for x in centre))]
    middle, width = np.zeros((5, 5)), np.zeros((5, 5))
    for j, k, entry in zip(*np.triu_indices(5), entries, strict=True):
        middle[j, k] = middle[k, j] = float(entry.mid)
        width[j, k] = width[k, j] = float(entry.delta) / 2 + _MARGIN
    return bool(np.linalg.eigvalsh(middle)[0] > np.linalg.norm(width) + 1e-9)


def _halves(low: Floats, high: Floats, along: Floats) -> tuple[Floats, Floats]:
    """Boxes (k, d), cut in two where `along` (k, d) is largest."""
    rows, axis = np.arange(len(low)), np.argmax(along, axis=1)
    middle = (low[rows, axis] + high[rows, axis]) / 2
    below, above = high.copy(), low.copy()
    below[rows, axis] = above[rows, axis] = middle
    return np.vstack([low, above]), np.vstack([below, high])


def _own_bound(low: Floats, high: Floats) -> tuple[Floats, Floats, Floats]:
    """Lower bounds of f over boxes (k, 2) of (‖W‖, b), and by how much a and b may differ from those of their middles."""
    middle = (low + high) / 2
    a, b = np.maximum(middle[:, 0], 1e-9) ** 2, middle[:, 1]
    by_a, by_b = high[:, 0] ** 2 - a, high[:, 1] - b
    root_f = np.sqrt(np.maximum(_own(a, b)[0], 0))
    return np.maximum(root_f - by_a / np.sqrt(3) - by_b - _MARGIN, 0) ** 2, by_a, by_b


def _single_features(row: float) -> tuple[Floats, Floats]:
    """Boxes (k, 2) of (‖W‖, b) outside of which f is above `row`, which is below 1/3.

    f ≥ k³/3 + k²(1 − k)/4 at any a, and f ≥ (a − 1)²(1 − k)³/12: so k, a and −b = ka are bounded.
    """
    k = min(np.roots([1 / 12, 1 / 4, 0, -row]).real.max() + 1e-9, 1.0)
    longest = 1 + np.sqrt(12 * row / (1 - k) ** 3) + 1e-6
    low, high = np.array([[0.0, -longest]]), np.array([[np.sqrt(longest), 0.0]])
    kept = []
    while len(low):
        bound, by_a, by_b = _own_bound(low, high)
        open_ = bound <= row
        low, high, by_a, by_b = low[open_], high[open_], by_a[open_], by_b[open_]
        small = by_a + by_b < 0.1
        kept.append(np.stack([low[small], high[small]]))
        low, high = _halves(low[~small], high[~small], np.stack([by_a, by_b], axis=1)[~small])
    low, high = np.concatenate(kept, axis=1)
    return low, high


def _bound_elsewhere(n: int, polygon: tuple[float, float, float, float], row: float, two: float) -> tuple[int, str]:
    """Show F > φ + λ(θ − 2π/n) outside of the box about the polygon: how many boxes it took, and what was not shown.

    `row` and `two` are what one row and two may lose in a configuration as good as the polygon.
    """
    norm, bias, share, slope = polygon
    centre, near, angle = np.array([norm, bias, norm, bias, 2 * np.pi / n]), _NEAR[n], 2 * np.pi / n
    low, high = _single_features(row)
    first, second = (x.ravel() for x in np.meshgrid(np.arange(len(low)), np.arange(len(low))))
    first, second = first[high[first, 0] >= low[second, 0]], second[high[first, 0] >= low[second, 0]]
    low = np.hstack([low[first], low[second], np.zeros((len(first), 1))])
    high = np.hstack([high[first], high[second], np.full((len(first), 1), np.pi / 2)])
    count = 0
    while len(low):
        count += min(len(low), _AT_ONCE)
        if count > _MOST_BOXES:
            return count, f"{_MOST_BOXES} boxes did not do"
        some_low, some_high, low, high = low[-_AT_ONCE:], high[-_AT_ONCE:], low[:-_AT_ONCE], high[:-_AT_ONCE]
        dead = _excluded(some_low, some_high, share - slope * angle, slope, row, two)
        dead |= np.all((some_low >= centre - near) & (some_high <= centre + near), axis=1)
        more_low, more_high = _halves(some_low[~dead], some_high[~dead], (some_high - some_low)[~dead])
        low, high = np.vstack([low, more_low]), np.vstack([high, more_high])
    return count, ""


def _excluded(low: Floats, high: Floats, start: float, slope: float, row: float, two: float) -> np.ndarray:
    """Which boxes (k, 5) have F > start + slope θ, or rows that lose too much."""
    middle, wide = (low + high) / 2, (high - low) / 2
    r, b, s, c, angle = middle.T
    by_r, by_b, by_s, by_c, by_angle = wide.T
    cosine, sine = np.cos(angle), np.sin(angle)
    own_r, by_a, _ = _own_bound(low[:, :2], high[:, :2])
    own_s, by_e, _ = _own_bound(low[:, 2:4], high[:, 2:4])
    least_t = low[:, 0] * low[:, 2] * np.maximum(np.cos(high[:, 4]), 0)
    other_r, other_s = _other(least_t, low[:, 1])[0], _other(least_t, low[:, 3])[0]
    dead = (
        (own_r + other_r > row) | (own_s + other_s > row) | (own_r + own_s + other_r + other_s > two) | (high[:, 0] < low[:, 2])
    )
    dead |= (own_r + own_s) / 2 + other_r + other_s > start + slope * low[:, 4] + _MARGIN

    (f_r, f_a, f_b), (f_s, f_e, f_c) = _own(r * r, b), _own(s * s, c)
    (h_r, t_r, h_b), (h_s, t_s, h_c) = _other(r * s * cosine, b), _other(r * s * cosine, c)
    t_slope = t_r + t_s
    value = (f_r + f_s) / 2 + h_r + h_s - start - slope * angle
    linear = np.stack([f_a * r + t_slope * s * cosine, f_b / 2 + h_b, f_e * s + t_slope * r * cosine, f_c / 2 + h_c,
                       -t_slope * r * s * sine - slope], axis=1)  # fmt: skip
    bent_a, bent_e = (np.minimum(-low[:, j] / np.maximum(low[:, j - 1] ** 2, 1e-9), 1) for j in (1, 3))
    rest_r = np.abs(f_a) * by_r**2 + bent_a / np.maximum(low[:, 0] ** 2, 1e-9) * (bent_a * by_a + by_b) ** 2
    rest_s = np.abs(f_e) * by_s**2 + bent_e / np.maximum(low[:, 2] ** 2, 1e-9) * (bent_e * by_e + by_c) ** 2
    rest_t = by_r * by_s + (high[:, 0] * by_s + high[:, 2] * by_r) * by_angle + high[:, 0] * high[:, 2] * by_angle**2 / 2
    dead |= value - (np.abs(linear) * wide).sum(axis=1) - (rest_r + rest_s) / 2 - t_slope * rest_t > _MARGIN
    return dead
