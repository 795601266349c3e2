"""Proofs that in every global minimum of three features in two dimensions all three are in superposition."""

from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import ArrayLike

from ._arguments import Floats, density_array, positive_array, whole_number
from ._certifying.rational import Row, arithmetic, number
from ._display import Result
from ._progress import progress_bar
from .certificates import MOST_BOXES, Certificate, CertificateCheck, certificate
from .loss import expected_loss_with_error
from .minima import minimize
from .model import ToyModel

MOST_DENSITIES = 1_000
_SAFETY = 1e-12
"""Relative: what the few operations on losses here may round away."""
_LOOSEST, _TIGHTEST = 0.1, 1e-9
"""Gaps of the certificates of pairs: a quarter of what there is to prove, within these."""


@dataclass(frozen=True, eq=False, repr=False)
class SuperpositionCertificate(Result):
    """Whether all three features are proved to be in superposition in every global minimum; true where they are.

    Attributes
    ----------
    proved : bool
    reason : str
        What was not shown, in words; empty where all was.
    importance : ndarray, shape (3,)
    density : ndarray, shape (n_densities,)
        Increasing: where losses were compared. What is proved holds at every density from the first to the last.
    loss_split : ndarray, shape (n_densities,)
        Proved: no weights with a feature that is not represented, or orthogonal to all others, have a lower loss there.
    weights : ndarray, shape (n_densities − 1, 2, 3)
        Weights for each interval between two of the densities, and
    bias : ndarray, shape (n_densities − 1, 3)
    loss_upper : ndarray, shape (n_densities − 1, 2)
        their losses at its ends, rounded up.
    margin : float
        By how much, relative to ``loss_split``, the loss is lower than it at every density, at least.
    separation : float
        Proved: in every global minimum the norm of each feature, and the root of its interference, is at least this.
    certificates : tuple of tuple of Certificate
        Of the pairs of features in one dimension at each density, equal ones once, which ``loss_split`` rests on.

    Examples
    --------
    >>> from phasediag import certify_superposition
    >>> proof = certify_superposition([1.0, 1.0, 1.0], 0.6)
    >>> proof.proved, round(proof.margin, 3)
    (True, 0.05)
    """

    proved: bool
    reason: str
    importance: Floats
    density: Floats
    loss_split: Floats
    weights: Floats
    bias: Floats
    loss_upper: Floats
    margin: float
    separation: float
    certificates: tuple[tuple[Certificate, ...], ...]

    def __bool__(self) -> bool:
        return self.proved

    def check(self, *, progress: bool = False) -> CertificateCheck:
        """Confirm the proof in rational arithmetic: the losses that are reached, and every certificate; see `Certificate.check`.

        Parameters
        ----------
        progress : bool
            Show a bar of the certificates.

        Returns
        -------
        CertificateCheck
            True where all is confirmed.
        """
        reason, n_leaves = "" if self.proved else f"nothing was proved: {self.reason}", 0
        with progress_bar(sum(map(len, self.certificates)), progress, "certificate", "check") as advance:
            for cell, (low, high) in enumerate(pairwise(range(len(self.density)))):
                for end, place in enumerate((low, high)):
                    if not reason and not self._reached(cell, end, self.density[place]):
                        reason = "the weights have a loss above loss_upper"
            for place, found in enumerate(self.certificates):
                for one, pair in zip(found, _pairs(self.importance), strict=True):
                    same = one.model == ToyModel(1, pair, self.density[place])
                    if not reason and not (same and one.loss_lower >= self.loss_split[place]):
                        reason = "loss_split is not what the certificates say"
                    if not reason:
                        checked = one.check()
                        reason, n_leaves = checked.reason, n_leaves + checked.n_leaves
                    advance(1)
        if not reason:
            margin, separation = _gained(self.importance, self.density, self.loss_split, self.loss_upper)
            if not 0 < self.margin <= margin or self.separation > separation:
                reason = "the losses do not say that much"
        return CertificateCheck(not reason, reason, n_leaves, n_leaves, arithmetic())

    def _reached(self, cell, end, density):
        """Whether the weights of an interval reach its upper loss at one of its ends, exactly."""
        rows = Row(2, self.importance, np.full(3, density), self.loss_upper[cell, end])
        columns = [[number(x) for x in column] for column in self.weights[cell].T]
        total = number(0)
        for i in range(3):
            g = (*(sum(x * y for x, y in zip(columns[i], one, strict=True)) for one in columns), number(self.bias[cell, i]))
            total += rows.importance[i] * (rows.loss(i, g) + rows.given_away(g, g))
        return total <= number(self.loss_upper[cell, end])


def certify_superposition(
    importance: ArrayLike, density: ArrayLike, *, max_densities: int = MOST_DENSITIES, progress: bool = False
) -> SuperpositionCertificate:
    """Prove that all three features are in superposition in every global minimum of 3→2, at a density or at all of an interval.

    Parameters
    ----------
    importance : array_like, shape (3,)
    density : float or (float, float)
        In (0, 1]: of all features; or the ends of an interval, for each density of which it is to be proved.
    max_densities : int
        At how many densities losses are compared, at most.
    progress : bool
        Show a bar of the densities.

    Returns
    -------
    SuperpositionCertificate

    Raises
    ------
    ValueError
        When an argument is outside its domain.

    Notes
    -----
    "In superposition": represented, and not orthogonal to all of the others, so that the three are one cluster. Weights that are
    not so have a feature k with W_k = 0, or with W_k ≠ 0 orthogonal to the others. In the first case row k costs at least its
    variance, in the second the two others, i and j, are collinear and their rows are those of a model of two features in one
    dimension. In both the loss is at least the least loss of 2→1 for one of the pairs, as that is no more than the variance of
    either feature. A certificate for each pair bounds it from below, and weights of 3→2 that are in superposition have less.

    Between two densities a < b: the probability of each set of active features at (1 − t) a + t b is at least (1 − t) times that
    at a plus t times that at b, less a share (b − a)²/4 / min(a², (1 − b)²), so that the least loss is; and at most that plus a
    share of the same form, so that the loss of weights is. Where b = 1 shares are of first order in 1 − a.

    How far weights must be from any that are not in superposition follows from √L being a norm: putting W_k = 0, or
    taking from the others what they have along W_k, changes z by at most δ = √(least loss of the pairs) − √(loss reached).

    References
    ----------
    Equation :eq:`split` of the mathematics page.

    Examples
    --------
    >>> from phasediag import certify_superposition
    >>> proof = certify_superposition([1.0, 1.0, 1.0], (0.55, 0.7))
    >>> proof.proved, proof.margin > 0.01
    (True, True)
    """
    importance = positive_array("importance", importance)
    if importance.shape != (3,):
        raise ValueError(f"importance must have 3 entries, got shape {importance.shape}")
    ends = np.unique(density_array("density", density))
    if np.shape(density) not in ((), (2,)):
        raise ValueError(f"density must be a number or the two ends of an interval, got shape {np.shape(density)}")
    max_densities = whole_number("max_densities", max_densities, 2)
    nodes, cells, reason = {}, [], ""
    with progress_bar(None, progress, "density", "certify") as advance:

        def node(p):
            """The lowest minimum at a density and the certificates of its pairs; None where they do not tell it from a split."""
            if p not in nodes:
                nodes[p] = _at(importance, p)
                advance(1)
            return nodes[p]

        waiting = [(ends[0], ends[-1])]
        while waiting and not reason:
            a, b = waiting.pop()
            if len(nodes) + 2 > max_densities:
                reason = f"{max_densities} densities do not do"
            elif node(a)[1] is None or node(b)[1] is None:
                at = a if node(a)[1] is None else b
                reason = f"the lowest loss found at density {at:.9g} is not proved to be below that of a split"
            else:
                cell = max((_cell(importance, a, b, nodes, one) for one in {a, b}), key=lambda x: x[0])
                if cell[0] > 0:
                    cells.append((a, b, *cell[1:]))
                else:
                    middle = 0.5 * (a + b)
                    waiting += [(middle, b), (a, middle)]
    if not reason:
        place = np.array([cells[0][0], *(b for _, b, *_ in cells)])
        split = np.array([min(one.loss_lower for one in nodes[p][1]) for p in place])
        weights, bias, upper = (np.array([cell[k] for cell in cells]) for k in (2, 3, 4))
        margin, separation = _gained(importance, place, split, upper)
        return SuperpositionCertificate(
            True, "", importance, place, split, weights, bias, upper, margin, separation, tuple(nodes[p][1] for p in place)
        )
    none = np.zeros(0)
    return SuperpositionCertificate(
        False, reason, importance, ends, none, np.zeros((0, 2, 3)), np.zeros((0, 3)), np.zeros((0, 2)), 0.0, 0.0, ()
    )


def _pairs(importance):
    """The importances of the pairs of features, different ones in order."""
    return sorted({tuple(sorted(pair)) for pair in combinations(importance.tolist(), 2)})


def _at(importance, p):
    """The lowest minimum of 3→2 at a density as (weights, bias), and a Certificate of each pair, or None where one is too low."""
    lowest = minimize(ToyModel(2, importance, p), n_starts=1, effort="quick")[0]
    found = []
    for pair in _pairs(importance):
        model = ToyModel(1, pair, p)
        minima = minimize(model, n_starts=1, effort="quick")
        gap = float(np.clip(0.25 * (1 - lowest.loss / minima[0].loss), _TIGHTEST, _LOOSEST))
        found.append(certificate(model, [(one.weights, one.bias) for one in minima], gap, MOST_BOXES, lambda count: None))
        if found[-1].loss_lower <= lowest.loss:
            return (lowest.weights, lowest.bias), None
    return (lowest.weights, lowest.bias), tuple(found)


def _cell(importance, a, b, nodes, origin):
    """(margin, weights, bias, losses at a and b (2,)) of the interval from a to b with the minimum at ``origin``."""
    weights, bias = nodes[origin][0]
    losses = [expected_loss_with_error(ToyModel(2, importance, p), weights, bias) for p in (a, b)]
    upper = np.array([np.nextafter(loss + error, np.inf) for loss, error in losses])
    split = np.array([min(one.loss_lower for one in nodes[p][1]) for p in (a, b)])
    return _gained(importance, np.array([a, b]), split, upper[None])[0], weights, bias, upper


def _gained(importance, density, split, upper):
    """(margin, separation) of intervals between densities (k,), split losses at them (k,), upper losses (k − 1, 2)."""
    margin = separation = np.inf
    for (a, b), lower, above in zip(pairwise(density), pairwise(split), upper, strict=True):
        fewer, more = _shares(a, b)
        if b == 1:
            lower = (min(lower),) * 2
        lower, above = fewer * np.array(lower) * (1 - _SAFETY), more * np.array(above) * (1 + _SAFETY)
        margin = min(margin, float((1 - above / lower).min()))
        share = np.sqrt(np.minimum(3 * above.max() / (importance * a), 1 - 0.75 * a))
        longest = np.sqrt((1 + share) / (1 - share)).max()
        delta = (lower - above).min() / (np.sqrt(lower.max()) + np.sqrt(above.max()))
        separation = min(separation, float(delta / (longest * np.sqrt(11 * importance.max() * b / 3)) * (1 - 1e-9)))
    return margin, separation


def _shares(a, b):
    """What chords between losses at densities a and b, and the lower one where b = 1, are multiplied by: (at least, at most)."""
    if a == b:
        return 1.0, 1.0
    if b == 1:  # at p = (1 − t) a + t: (1 − t)² of the law at a and p² − (1 − t)² a² of that at 1; P(p) ≤ (1 − t) P(a) / a²
        return 1 - (1 - a) / 2, 1 / (a * a)
    bend = 0.25 * (b - a) ** 2
    # p^k (1 − p)^(3 − k) is convex for k = 0 and 3; its second derivative is 6 p − 4 for k = 1, 2 − 6 p for k = 2
    bent = max(0.0, 4 - 6 * a), max(0.0, 6 * b - 2)
    least = min(a * (1 - a) ** 2, b * (1 - b) ** 2), min(a * a * (1 - a), b * b * (1 - b))
    return 1 / (1 + bend / min(a * a, (1 - b) ** 2)), 1 + 0.5 * bend * max(x / y for x, y in zip(bent, least, strict=True))
