"""Stationary points of the exact expected loss in flat form: settling into them, and telling whether two are one.

Parameters are flat: weights row by row, then biases; losses are divided by Σ_i I_i E x_i².
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from . import newton
from .columns import LIT
from .flat import losses_at, parts
from .slopes import ways_down

SAME_LOSS = 1e-9
"""Relative difference of losses up to which two minima can be the same."""
SAME_POINT = 1e-5
"""Difference of invariants (norms², biases, products) up to which two minima can be the same."""
MOST_REACH = 1e-2
"""Where rounding leaves more than this undetermined, two minima count as two."""

MAX_STEPS = 400
"""Of a descent."""

NEGLIGIBLE = 1e-6
"""Losses below this part of Σ_i I_i E x_i² count as so much where their ratio is asked for: a loss can be 0."""

OFF_PRODUCT = 1e-12
"""Products W_i·W_j that are no larger are those of weights that are 0 but for rounding."""

MOST_FALLS = 3
"""Times that a descent goes on from beside a kink that the loss falls from."""

AT_ONCE = 256
"""Descents that a thread takes at a time."""

GRADIENT_TOLERANCE = 1e-11
"""A minimum has converged when no entry of the gradient of loss / Σ_i I_i E x_i² exceeds this."""
CURVATURE_TOLERANCE = 1e-6
"""One-sided curvatures of that scaled loss down to minus this still count as a minimum."""


@dataclass(frozen=True, eq=False)
class Settled:
    """A stationary point in flat form: what the solvers hand to each other.

    x holds the weights row by row, then the biases; losses are divided by Σ_i I_i E x_i², feature_loss is not. n_evaluations
    counts every call of the kernel: of each step, for the curvature at the end and, of the loss alone, the last. is_dead: an
    output is 0 for every input. is_flat: the point is one of a valley of equal loss that no rotation makes.
    """

    x: np.ndarray
    scaled_loss: float
    gradient_norm: float
    curvature: float
    n_evaluations: int
    is_dead: bool
    is_flat: bool
    feature_loss: np.ndarray

    @property
    def is_minimum(self):
        """Whether the gradient has rounding size, no curvature is negative and no output is 0 for every input."""
        return self.gradient_norm <= GRADIENT_TOLERANCE and self.curvature >= -CURVATURE_TOLERANCE and not self.is_dead

    @property
    def numbers(self):
        """The six numbers between x and feature_loss."""
        return self.scaled_loss, self.gradient_norm, self.curvature, self.n_evaluations, self.is_dead, self.is_flat


def settle(points, form, controls, *, free=None, max_steps=MAX_STEPS, radius=0.5, n_threads=1):
    """Descend from every row of ``points`` and return the list of Settled, in the same order.

    Each descent is computed by itself: the number of threads does not change it.

    Parameters
    ----------
    points : ndarray, shape (n_points, size)
        Weights row by row, then biases; not changed.
    form : Form
    controls : ndarray, shape (n_points, n_controls)
    free : ndarray of bool, optional
        Which parameters may move; default all, or all weights where biases are held at 0.
    """
    free, result = form.free if free is None else free, np.empty((len(points), 5 + form.n_features))

    def descend(x, controls, result):
        """Settle some of the points, in place."""
        newton.settle(x, form, controls, free, max_steps, radius, 1e-15, result)

    x = _ends(descend, points, form, controls, n_threads, result)
    for _ in range(0 if form.biased else form.n_features):  # where weights are 0 the loss has a kink that no curvature tells of
        rows, lit = _lit(x, form, controls, free)
        if rows.size:
            left = np.empty((rows.size, result.shape[1]))
            x[rows], result[rows] = _ends(descend, lit, form, controls[rows], n_threads, left), left
    rows = np.flatnonzero(result[:, 1] <= GRADIENT_TOLERANCE)
    for _ in range(MOST_FALLS):
        fallen, lower = ways_down(x[rows], form, controls[rows])
        rows = rows[fallen]
        if not rows.size:
            break
        left = np.empty((rows.size, result.shape[1]))
        x[rows], evaluations = _ends(descend, lower, form, controls[rows], n_threads, left), result[rows, 3]
        result[rows], result[rows, 3] = left, left[:, 3] + evaluations
    result[rows, 2] = -np.inf  # of those that it still falls from
    weights, _ = parts(x, form.n_hidden)
    weights[...] = form.upright(controls, weights)
    dead = dead_outputs(x, form, controls)
    return [Settled(row, *r[:3], int(r[3]), bool(d), bool(r[4]), r[5:]) for row, r, d in zip(x, result, dead, strict=True)]


def bottoms(points, form, controls, *, max_steps=400, radius=0.5, n_threads=1):
    """As `settle`, but return the losses alone, not scaled and with any penalty: shape (n_points,)."""
    losses = np.empty((len(points), form.n_features))

    def descend(x, controls, losses):
        """Descend from some of the points, in place."""
        newton.sink(x, form, controls, max_steps, radius, 1e-15, losses)

    return losses_at(_ends(descend, points, form, controls, n_threads, losses), losses, form, controls)


def _ends(descend, points, form, controls, n_threads, result):
    """Points (n_points, size) after ``descend(x, controls, result)``, portion by portion, rows of ``result`` filled as well."""
    x = np.array(points, dtype=np.float64, ndmin=2)
    if not form.biased:
        x[:, form.size - form.n_features :] = 0.0
    portions = [slice(k, k + AT_ONCE) for k in range(0, len(x), AT_ONCE)]
    if n_threads > 1:
        with ThreadPoolExecutor(n_threads) as pool:
            list(pool.map(lambda rows: descend(x[rows], controls[rows], result[rows]), portions))
    else:
        for rows in portions:
            descend(x[rows], controls[rows], result[rows])
    return x


def above(loss, other, form, controls):
    """How far losses lie above others, relative to these: arrays that broadcast, controls (…, n_controls)."""
    least = NEGLIGIBLE * form.loss_scale(controls)
    return np.maximum(loss, least) / np.maximum(other, least) - 1


def losses_of(points, form, controls):
    """The losses, not scaled and with any penalty, of points (Settled) at controls (n_points, n_controls): shape (n_points,)."""
    x, feature_loss = np.array([point.x for point in points]), np.array([point.feature_loss for point in points])
    return losses_at(x, feature_loss, form, controls)


def invariants(x, n_hidden, classes):
    """Return numbers that rotations, and permutations within each class of features, leave as they are.

    Sorted norms², biases and products W_i·W_j within and between classes; continuous in x.

    Parameters
    ----------
    x : ndarray, shape (…, (n_hidden + 1) n_features)
    n_hidden : int
    classes : tuple of tuple
        Features, or tuples of them, that may be exchanged: see `Form.classes`.

    Returns
    -------
    ndarray, shape (…, n_invariants)
    """
    weights, bias = parts(x, n_hidden)
    products, (rows, kept) = np.swapaxes(weights, -1, -2) @ weights, orbits(bias.shape[-1], classes)
    products = products.reshape(*bias.shape[:-1], bias.shape[-1] ** 2)
    padded = np.concatenate([products, bias, np.full((*bias.shape[:-1], 1), np.inf)], axis=-1)[..., rows]
    padded.sort(axis=-1)
    return padded[..., kept]


@lru_cache(maxsize=256)
def orbits(n, classes):
    """Index sets into (WᵀW flattened, biases) whose entries permutations within the classes exchange.

    As rows of one array, filled up with the index of an added infinite entry, and the mask of the others.
    """
    pairs = [(i, j) for i in range(n) for j in range(i, n)]
    orbit = {entry: [entry] for entry in [*(i * n + j for i, j in pairs), *range(n * n, n * n + n)]}
    for swap in _neighbour_swaps(n, classes):
        images = [(i * n + j, min(swap[i], swap[j]) * n + max(swap[i], swap[j])) for i, j in pairs]
        for entry, image in [*images, *((n * n + i, n * n + swap[i]) for i in range(n))]:
            if orbit[entry] is not orbit[image]:
                orbit[entry] += orbit[image]
                for other in orbit[image]:
                    orbit[other] = orbit[entry]
    lists = list({id(one): one for one in orbit.values()}.values())
    longest = max(map(len, lists))
    rows = np.array([orbit + [n * n + n] * (longest - len(orbit)) for orbit in lists])
    return rows, rows < n * n + n


def swapped(n, one, other):
    """The order in which two features, or two tuples of them, of 0 … n − 1 have changed places, a list."""
    order = list(range(n))
    for i, j in zip(np.atleast_1d(one), np.atleast_1d(other), strict=True):
        order[i], order[j] = int(j), int(i)
    return order


def _neighbour_swaps(n, classes):
    """Orders that exchange neighbours in a class, which together make all exchanges, a list of lists."""
    return [swapped(n, one, other) for members in classes for one, other in pairwise(members)]


def distinct(settled, n_hidden, classes, *, first=None):
    """Return the distinct minima among settled points, lowest first, as a list of Settled.

    ``first``: a point that is kept, if it is a minimum, instead of those that are the same.
    """
    minima = [one for one in ([] if first is None else [first]) + sorted(settled, key=_rounded_loss) if one.is_minimum]
    if not minima:
        return []
    keys, kept = invariants(np.array([point.x for point in minima]), n_hidden, classes), []
    for k, point in enumerate(minima):
        if not any(same_minimum(point, keys[k], minima[other], keys[other]) for other in kept):
            kept.append(k)
    return sorted((minima[k] for k in kept), key=_rounded_loss)


def _rounded_loss(point):
    """The loss by which settled points are ordered: without the digits that differ within one minimum."""
    return float(f"{point.scaled_loss:.11e}")


def same_minimum(point, key, other, other_key):
    """Whether two settled points with these invariants are one minimum; a valley of equal loss counts as one.

    Where the lowest curvature is small, as for very unequal importances or very small densities, the gradients that rounding
    has left allow points, and losses, farther from those of the minimum.
    """
    steep, soft = point.gradient_norm + other.gradient_norm, max(min(point.curvature, other.curvature), 0.0)
    reach = min(key.size * steep / soft, MOST_REACH) if soft > 0.0 else 0.0
    if abs(point.scaled_loss - other.scaled_loss) > SAME_LOSS * max(point.scaled_loss, NEGLIGIBLE) + steep * reach:
        return False
    return (point.is_flat and other.is_flat) or bool(np.abs(key - other_key).max() <= SAME_POINT + reach)


def dead_outputs(x, form, controls):
    """Whether some output that had better not be is 0 for every input, of flat parameters (…, size): shape (…).

    One of a feature with E x_i > 0, which a positive bias serves better. Where biases are held at 0 the output is 0 because
    W_i is, or is coming to be from the side where its products are negative; with weights along those of a feature that is
    active beside it the loss falls from the first. controls (…, n_controls).
    """
    if form.is_default:
        return form.is_relu & has_dead_output(x, form.n_hidden)
    return np.any(_dead(x, form, controls), axis=-1)


def _dead(x, form, controls):
    """Which outputs they are, shape (…, n_features)."""
    weights, bias = parts(x, form.n_hidden)
    if not form.is_relu:
        return np.zeros(bias.shape, dtype=bool)
    gram, highest = np.swapaxes(weights, -1, -2) @ weights, np.full(bias.shape, -np.inf)
    lows, widths = form.ranges
    for states in form.components:
        low, high = lows[states], lows[states] + widths[states]
        highest = np.maximum(highest, np.maximum(gram * low, gram * high).sum(axis=-1) + bias)
    dead = (highest <= (0.0 if form.biased else OFF_PRODUCT)) & (form.mean(controls) > 0.0)
    return dead if form.biased else dead & np.any(_beside(weights, form, controls) > 0.0, axis=-1)


def _beside(weights, form, controls):
    """Norms of those features j that are stored and may be active beside feature i, else 0: shape (…, i, j)."""
    norms = np.sqrt(np.sum(weights**2, axis=-2))
    return np.where(form.pairs(controls) > 0.0, np.where(norms**2 > OFF_PRODUCT, norms, 0.0)[..., None, :], 0.0)


def _lit(x, form, controls, free):
    """Rows of flat parameters (n_points, size) with dead outputs whose weights may move, and these points with them lit.

    Those weights lie along the longest of a feature that is active beside theirs, where the loss falls from the first.
    """
    dead = _dead(x, form, controls) & np.any(free[: -form.n_features].reshape(form.n_hidden, -1), axis=0)
    rows = np.flatnonzero(np.any(dead, axis=-1))
    lit = x[rows]
    weights, _ = parts(lit, form.n_hidden)
    for point, own, norms in zip(weights, dead[rows], _beside(weights, form, controls[rows]), strict=True):
        for i in np.flatnonzero(own):
            j = np.argmax(norms[i])
            point[:, i] = LIT * point[:, j] / norms[i, j]
    return rows, lit


def has_dead_output(x, n_hidden):
    """Whether some output is 0 for every input, of flat parameters (…, size): shape (…)."""
    return np.any(highest_output(*parts(x, n_hidden)) <= 0.0, axis=-1)


def highest_output(weights, bias):
    """What positive products and the bias add up to, the most that WᵀW x + b reaches: shape (…, n_features)."""
    gram = np.swapaxes(weights, -1, -2) @ weights
    return np.sum(np.maximum(gram, 0.0), axis=-1) + bias
