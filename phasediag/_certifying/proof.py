"""A proof that no loss of a model is lower than a number: what it needs to be read again, and how it is found."""

from dataclasses import dataclass
from itertools import combinations, permutations, product

import numpy as np

from ..forms import variance
from .bounds import support
from .moments import UNIT
from .regions import convex_region, kink_bracket, widest_axis
from .rows import row_table
from .search import BINS, BOXES, DONE, FULL, OPS, SLOPE, TOP, UNPROVED, UNUSED, VALUES, WAIT, search

CONVEX, KINK = range(2)
"""Kinds of region: a strictly convex neighbourhood; that of an unrepresented feature beside a dedicated one."""
AT_ONCE = 20_000
"""Boxes between two looks at whether to stop."""
PATIENCE = 100_000
"""Boxes split on for their phase alone, at most."""
_LARGEST, _TRIES = 0.6, 40
_SHARE = 0.01
"""What every place of a convex region has of the curvature at its minimum, at least."""
_NONE = 1e-6
"""A weight this small is taken for 0: a region is then proved to hold its minimum at 0."""


@dataclass(frozen=True, eq=False)
class Region:
    """A box with its own proof: kind, box (2, nd), the minimum in it (nd,), least loss (≥ 0), whether at one point."""

    kind: int
    box: np.ndarray
    point: np.ndarray
    bound: float
    unique: bool


@dataclass(frozen=True, eq=False)
class Proof:
    """A tree of boxes that covers all parameters.

    gauge: the order of features in which W is upper triangular; root (2, nd), empty where the density is too small to bound it;
    ops (uint8) and values (float): the tree, see `search`; regions: a tuple of Region; upper: a loss that is reached; lower: no
    loss is lower; hulls: for each phase of low leaves, products W_i·W_j > 0 as bits (−1: not told), their hull (2, nd); complete:
    whether no box was left.
    """

    gauge: tuple
    root: np.ndarray
    ops: np.ndarray
    values: np.ndarray
    regions: tuple
    upper: float
    lower: float
    hulls: dict
    complete: bool

    @property
    def n_boxes(self):
        """How many boxes were looked at: those that were halved, and leaves but for ends that were cut off."""
        halved = np.count_nonzero((self.ops >= WAIT) & (self.ops < SLOPE))
        return int(np.count_nonzero(self.ops >= SLOPE) - np.count_nonzero(self.ops < WAIT) + 2 * halved)


def free_weights(n_hidden, gauge):
    """Row and column of the weights that rotations leave free, shape (nw, 2): W is upper triangular in that order of features."""
    return np.array([(h, c) for c, place in enumerate(np.argsort(gauge)) for h in range(min(place + 1, n_hidden))])


def gauge_of(importance, density, minima):
    """The order of features that fixes rotations, a tuple: those first that are represented in the most of the lowest minima.

    importance, density (n,); minima: (weights (n_hidden, n), bias (n,)) each, lowest first, or what exchanges of equal features
    make of them with the longer ones first. A minimum whose first feature is not represented would leave a rotation free.
    """
    norms = np.array([np.linalg.norm(weights, axis=0) for weights, _bias in minima])
    for i in range(len(importance)):
        equal = (importance == importance[i]) & (density == density[i])
        norms[:, equal] = -np.sort(-norms[:, equal], axis=1)
    lowest = np.logical_and.accumulate(norms > _NONE, axis=0).sum(axis=0)
    return tuple(np.argsort(-lowest, kind="stable").tolist())


def exchanges(importance, density):
    """The orders of features that leave importances and densities, each (n,), as they are: a list of lists, their own first."""
    orders = map(list, permutations(range(len(importance))))
    return [
        order for order in orders if np.array_equal(importance[order], importance) and np.array_equal(density[order], density)
    ]


def levels(importance, density, upper):
    """Limits of the loss of each row in a global minimum, (n,): the variance of its feature, and what is left of the whole."""
    most = variance(density)
    return most, np.minimum(most, upper / importance) * (1 + 16 * UNIT)


def root_box(n_hidden, gauge, importance, density, upper):
    """A box (2, nd) that holds, up to rotations, every global minimum; infinite where the density is too small to tell.

    A row has at least the loss p ((g − 1)/(g + 1))²/3 of its feature alone with g = ‖W_i‖² ≥ 1 and the best bias.
    """
    free = free_weights(n_hidden, gauge)
    share = np.sqrt(3 * levels(importance, density, upper)[1] / density) * (1 + 1e-14)
    with np.errstate(divide="ignore"):
        longest = np.sqrt(np.where(share < 1, (1 + share) / np.maximum(1 - share, 0), np.inf)) * (1 + 1e-12)
    columns = free[:, 1]
    low = np.where(free[:, 0] == np.argsort(gauge)[columns], 0.0, -longest[columns])
    total = longest * longest.sum() * (1 + 1e-12)
    return np.array([np.concatenate([low, -total]), np.concatenate([longest[columns], total + density])])


def regions_around(n_hidden, gauge, importance, density, minima):
    """The Regions of known minima, (weights (n_hidden, n_features), bias (n_features,)) each, and of their images.

    Images: those by exchanges of equal features and by reflections, up to rotations.
    """
    free, found = free_weights(n_hidden, gauge), []
    for weights, bias in minima:
        for order in exchanges(importance, density):
            for columns in _gauged(np.asarray(weights)[:, order], list(gauge)):
                point = np.concatenate([columns[free[:, 0], free[:, 1]], bias[order]])
                if any(np.allclose(point, other.point, rtol=0, atol=1e-7) for other in found):
                    continue
                region = _region(free, importance, density, point)
                if region and not _in_other_order(free, importance, density, region):
                    overlaps = any(np.all((region.box[0] < o.box[1]) & (o.box[0] < region.box[1])) for o in found)
                    found += [] if overlaps else [region]
    return tuple(found)


def _gauged(weights, gauge):
    """Yield what rotations make of weights (n_hidden, n_features): upper triangular in the order of gauge, diagonal ≥ 0."""
    n_hidden = len(weights)
    rotation, _ = np.linalg.qr(weights[:, gauge[:n_hidden]])
    turned = rotation.T @ weights
    turned[np.abs(turned) < _NONE] = 0.0
    for signs in product((1.0, -1.0), repeat=n_hidden):
        columns = turned * np.array(signs)[:, None]
        ordered = columns[:, gauge]
        if not np.any(np.tril(ordered, -1)) and np.all(np.diagonal(ordered) >= 0):
            yield columns


def _in_other_order(free, importance, density, region):
    """Whether in a whole region a feature is longer than an equal one before it: of three features such boxes fall away."""
    n = len(importance)
    squares = np.sort(region.box[:, : len(free)] ** 2, axis=0)
    squares[0, np.all(region.box[:, : len(free)].T * [1, -1] < 0, axis=1)] = 0.0
    norms = np.array([[end[free[:, 1] == i].sum() for i in range(n)] for end in squares])
    equal = [(i, j) for i, j in combinations(range(n), 2) if importance[i] == importance[j] and density[i] == density[j]]
    return n > 2 and any(norms[0, j] > norms[1, i] for i, j in equal)


def _region(free, importance, density, point):
    """The Region around a minimum (nd,), None where there is no proof."""
    nw, n = len(free), len(importance)
    other = int(np.argmin(np.abs(point[:nw])))
    if n == 2 and point[other] == 0:
        return _kink(importance, density, np.sign(point[1 - other]), other)
    gradient, curvature = np.zeros(nw + n), np.zeros((nw + n, nw + n))
    loss = support(point, int(free[:, 0].max()) + 1, free, importance, density, gradient)
    widest_axis(point, np.zeros(nw + n), free, importance, density, curvature)
    lowest = np.linalg.eigvalsh(curvature)[0]
    if lowest <= 0:
        return None
    least = _SHARE * lowest
    extent = np.sqrt(np.diagonal(np.linalg.inv(curvature)))  # of the set of losses below some level
    weights = np.abs(point[:nw])
    radius = extent / extent.max() * _LARGEST * np.minimum(1.0, weights[weights > 0].min())
    if not convex_region(point, least, free, importance, density, radius):
        return None
    box = np.array([point - radius, point + radius])
    slope = np.linalg.norm(gradient) * (1 + 1e-12)
    bound = max(loss - slope**2 / (4 * least) * (1 + 1e-12), 0.0)
    return Region(CONVEX, box, point, bound, bool(slope < 0.9 * least * radius.min()))


def _kink(importance, density, sign, other):
    """The Region around W_own = sign, W_other = 0, as large as its proof allows; None where there is none."""
    own = 1 - other
    p = density[[own, other]]

    def holds(eta):
        """Whether the proof holds in the region of this size."""
        third = eta / 3
        return kink_bracket(1 - third, 0.0, eta, p[0], p[1], importance[own], importance[other]) > 0

    if not holds(1e-6):
        return None
    low, high = 1e-6, 0.999
    for _ in range(_TRIES):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if holds(middle) else (low, middle)
    third = low / 3
    step = third / 2.2
    reach = min(third, p[1] / 4) / (1 + step) * (1 - 1e-9)
    point, radius = np.zeros(4), np.zeros(4)
    point[own], point[2 + other] = sign, p[1] / 2
    radius[own], radius[other], radius[2 + own] = step, reach, third * (1 - 1e-9)
    radius[2 + other] = p[1] / 2 - reach * (1 + step) * (1 + 1e-9)
    variance = p[1] / 3 - p[1] ** 2 / 4
    return Region(KINK, np.array([point - radius, point + radius]), point, importance[other] * variance * (1 - 16 * UNIT), True)


def _table(importance, density, upper, root):
    """The row table of three features of one density, empty where there is none."""
    if len(density) != 3 or np.ptp(density) > 0 or not np.all(np.isfinite(root)):
        return np.zeros(0), np.zeros(0), np.zeros((1, 3, 0, 0, 0)), np.zeros((1, 3, 0, 0))
    level = float(levels(importance, density, upper)[1].max())
    return row_table(float(density[0]), level * (1 + 16 * UNIT), float((root[1, : len(root[0]) - 3] ** 2).max()))


def _doubled(array):
    """An array (2k, …) that begins with an array (k, …); the rest takes no memory before it is written to."""
    longer = np.empty((2 * len(array), *array.shape[1:]), array.dtype)
    longer[: len(array)] = array
    return longer


def prove(n_hidden, gauge, importance, density, upper, tolerance, wanted, regions, max_boxes, advance):
    """Return the Proof that the loss is at least (1 − tolerance) × upper, as far as it goes.

    gauge: see `gauge_of`; importance, density (n,); upper: a loss that is reached; wanted: signs of the products W_i·W_j where it
    is, as bits, −1 for none; regions: a tuple of Region; advance: told how many more boxes have been seen. Interrupted from the
    keyboard, the proof is what there is.
    """
    n, free = len(importance), free_weights(n_hidden, gauge)
    nd = len(free) + n
    root = root_box(n_hidden, gauge, importance, density, upper)
    boxes, bounds, after, heads = np.zeros((1024, 2, nd)), np.zeros(1024), np.full(1024, -1), np.full(BINS, -1)
    boxes[0] = root
    ops, values = np.zeros(32768, np.uint8), np.zeros(16384)
    hulls = np.empty((2 ** (n * (n - 1) // 2) + 1, 2, nd))
    hulls[:, 0], hulls[:, 1] = np.inf, -np.inf
    least, state = np.array([np.inf]), np.zeros(8, np.int64)
    bounded = bool(np.all(np.isfinite(root)))
    state[TOP], state[UNUSED], heads[0] = 1, -1, 0
    limits = levels(importance, density, upper)[0] * (1 + 16 * UNIT)
    places = np.array([region.box for region in regions]).reshape(-1, 2, nd)
    target, complete, patience = upper * (1 - tolerance), False, PATIENCE if len(regions) or n == 2 else 0
    try:
        table = _table(importance, density, upper, root)
        while bounded and state[BOXES] < max_boxes:
            seen = state[BOXES]
            end = search(
                n_hidden, free, importance, density, limits, upper, target, wanted, patience, min(max_boxes, seen + AT_ONCE),
                places, *table, boxes, bounds, after, heads, ops, values, hulls, least, state,
            )  # fmt: skip
            advance(int(state[BOXES] - seen))
            if end == FULL:
                boxes, bounds, after, ops, values = map(_doubled, (boxes, bounds, after, ops, values))
            elif end == DONE:
                complete = bool(state[UNPROVED] == 0)
                break
    except KeyboardInterrupt:
        pass
    reached = min([upper, least[0], *bounds[: state[TOP]], *(region.bound for region in regions)])
    signs = {int(k) if k < len(hulls) - 1 else -1: hulls[k] for k in np.flatnonzero(hulls[:, 0, 0] < np.inf)}
    if not bounded:
        root = np.zeros_like(root)
    return Proof(
        gauge,
        root,
        ops[: state[OPS]].copy(),
        values[: state[VALUES]].copy(),
        tuple(regions),
        upper,
        float(reached),
        signs,
        complete,
    )
