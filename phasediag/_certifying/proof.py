"""A proof that no loss of a model is lower than a number: what it needs to be read again, and how it is found."""

from dataclasses import dataclass
from itertools import combinations, permutations, product

import numpy as np

from ..forms import variance
from ..loss import expected_loss_with_error
from ..model import ToyModel
from .bounds import support
from .moments import UNIT
from .regions import convex_region, kink_bracket, widest_axis
from .rows import row_table
from .search import BINS, BOXES, DONE, FULL, OPS, SLOPE, TOP, UNPROVED, UNUSED, VALUES, WAIT, search

CONVEX, KINK = range(2)
"""Kinds of region: a strictly convex neighbourhood; that of an unrepresented feature beside a dedicated one."""
AT_ONCE = 20_000
"""Boxes between two looks at whether to stop."""
PATIENCE = 60_000
"""Boxes split on for their phase alone, at most: files of two features then have less than 1 MB."""
_LARGEST, _TRIES = 0.6, 40
_SHARE = 0.01
"""What every place of a convex region has of the curvature at its minimum, at least."""
_FLAT = 1e-12
"""A curvature this small beside the largest one is not told from 0."""
_NEAR = 1e-3
"""By how much a minimum that was found may miss the exact one, where it is the least sharp."""
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

    @property
    def is_around_its_point(self):
        """Whether the box is finite and the minimum inside."""
        low, high = self.box
        return bool(np.all(np.isfinite(self.box) & (low < self.point) & (self.point < high)))


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


def corners(low, high):
    """All densities of features that are at either end of their interval, (2ⁿ, n); low, high (n,)."""
    return np.array(list(product(*zip(low, high, strict=True))))


def bulge(density):
    """By how much variances of features are above a chord between densities (k, n), at most: they are concave."""
    return float(np.max(density[-1] - density[0])) ** 2 / 16 * (1 + 1e-14)


def levels(importance, density, upper):
    """Limits of the loss of each row in a global minimum, in units of E x², (n,): its feature's variance, and the whole.

    density (k, n) and upper (k,): at one density, or at the corners of intervals, for all within.
    """
    shares = variance(density) + bulge(density), upper[:, None] / importance
    return np.min([np.max(3 * (one * (1 + 16 * UNIT)) / density, axis=0) for one in shares], axis=0)


def _loss_above(importance, density, weights, bias):
    """The loss at weights (1, 2) and bias (2,), rounded up; importance, density (2,)."""
    loss, error = expected_loss_with_error(ToyModel(1, importance, density), weights, bias)
    return float(np.nextafter(loss + error, np.inf)) * (1 + 16 * UNIT)


def root_box(n_hidden, gauge, importance, density, upper):
    """A box (2, nd) that holds, up to rotations, every global minimum; infinite where the density is too small to tell.

    density (k, n), upper (k,): as in `levels`. A row has at least the loss p ((g − 1)/(g + 1))²/3 of its feature alone with g =
    ‖W_i‖² ≥ 1 and the best bias.
    """
    free = free_weights(n_hidden, gauge)
    share = np.sqrt(levels(importance, density, upper)) * (1 + 1e-14)
    with np.errstate(divide="ignore"):
        longest = np.sqrt(np.where(share < 1, (1 + share) / np.maximum(1 - share, 0), np.inf)) * (1 + 1e-12)
    columns = free[:, 1]
    low = np.where(free[:, 0] == np.argsort(gauge)[columns], 0.0, -longest[columns])
    total = longest * longest.sum() * (1 + 1e-12)
    return np.array([np.concatenate([low, -total]), np.concatenate([longest[columns], total + density[-1]])])


def regions_around(n_hidden, gauge, importance, density, minima):
    """The Regions of known minima, (weights (n_hidden, n_features), bias (n_features,)) each, and of their images.

    Images: those by exchanges of equal features and by reflections, up to rotations.
    """
    free, found = free_weights(n_hidden, gauge), []
    for weights, bias in minima:
        for point in _images(gauge, free, importance, density, weights, bias):
            if any(np.allclose(point, other.point, rtol=0, atol=1e-7) for other in found):
                continue
            region = _region(free, importance, density, point)
            if region and not _in_other_order(free, importance, density, region):
                overlaps = any(np.all((region.box[0] < o.box[1]) & (o.box[0] < region.box[1])) for o in found)
                found += [] if overlaps else [region]
    return tuple(found)


def is_told_of(gauge, importance, density, proof, weights, bias):
    """Whether a proof has an image of a minimum, weights (n_hidden, n) and bias (n,), where global minima may be, or next to it.

    What is stationary and has no more than the loss reached is excluded by no statement that holds.
    """
    boxes = [*(one.box for one in proof.regions if one.bound <= proof.upper), *proof.hulls.values()]
    points = _images(gauge, free_weights(len(weights), gauge), importance, density, weights, bias)
    return any(np.all((low - _NEAR <= point) & (point <= high + _NEAR)) for point in points for low, high in boxes)


def _images(gauge, free, importance, density, weights, bias):
    """Yield what exchanges of equal features and rotations make of weights (n_hidden, n), bias (n,): points (nd,)."""
    for order in exchanges(importance, density):
        for columns in _gauged(np.asarray(weights)[:, order], list(gauge)):
            yield np.concatenate([columns[free[:, 0], free[:, 1]], np.asarray(bias)[order]])


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
        return kink_region(importance, density[None], np.sign(point[1 - other]), other)
    gradient, curvature = np.zeros(nw + n), np.zeros((nw + n, nw + n))
    loss = support(point, int(free[:, 0].max()) + 1, free, importance, density, gradient)
    widest_axis(point, np.zeros(nw + n), free, importance, density, curvature)
    values, vectors = np.linalg.eigh(curvature)
    if not values[0] > _FLAT * values[-1]:
        return None
    least = _SHARE * values[0]
    extent = np.sqrt((vectors**2 / values).sum(axis=1))  # of the set of losses below some level
    weights = np.abs(point[:nw])
    radius = extent / extent.max() * _LARGEST * np.minimum(1.0, weights[weights > 0].min())
    if not convex_region(point, least, free, importance, density, radius):
        return None
    box = np.array([point - radius, point + radius])
    slope = np.linalg.norm(gradient) * (1 + 1e-12)
    bound = max(loss - slope**2 / (4 * least) * (1 + 1e-12), 0.0)
    region = Region(CONVEX, box, point, bound, bool(slope < 0.9 * least * radius.min()))
    return region if region.is_around_its_point else None


def kink_region(importance, density, sign, other):
    """The Region around W_own = sign, W_other = 0, as large as its proof allows; None where there is none.

    density (k, 2): of both features, or the corners of an interval, for all within.
    """
    own = 1 - other
    given = bulge(density)

    def holds(eta):
        """Whether the proof holds in the region of this size."""
        return all(
            kink_bracket(1 - eta / 3, eta, p[own], p[other], given, importance[own], importance[other]) > 0 for p in density
        )

    if not holds(1e-6):
        return None
    low, high = 1e-6, 0.999
    for _ in range(_TRIES):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if holds(middle) else (low, middle)
    third, p = low / 3, density[0, other]
    step = third / 2.2
    reach = min(third, p / 4) / (1 + step) * (1 - 1e-9)
    point, radius = np.zeros(4), np.zeros(4)
    point[own], point[2 + other] = sign, density[:, other].mean() / 2
    radius[own], radius[other], radius[2 + own] = step, reach, third * (1 - 1e-9)
    radius[2 + other] = point[2 + other] - reach * (1 + step) * (1 + 1e-9)
    bound = importance[other] * variance(density[:, other]).min() * (1 - 16 * UNIT)
    return Region(KINK, np.array([point - radius, point + radius]), point, bound, True)


def _table(importance, density, upper, root):
    """The row table of three features of one density, density (1, 3); empty where there is none."""
    if density.shape != (1, 3) or np.ptp(density) > 0 or not np.all(np.isfinite(root)):
        return np.zeros(0), np.zeros(0), np.zeros((1, 3, 0, 0, 0)), np.zeros((1, 3, 0, 0))
    level = float((np.minimum(variance(density), upper / importance) * (1 + 16 * UNIT)).max())
    return row_table(float(density[0, 0]), level * (1 + 16 * UNIT), float((root[1, : len(root[0]) - 3] ** 2).max()))


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
    most = PATIENCE if len(regions) or len(importance) == 2 else 0
    enclosed = any(region.bound <= upper for region in regions)  # then what is beside the region can be excluded
    patience = np.array([most // 2 if enclosed else 0, most])
    tree = _Tree(n_hidden, gauge, importance, density[None], np.array([upper]), regions)
    try:
        tree.grow(upper * (1 - tolerance), wanted, patience, max_boxes, advance)
    except KeyboardInterrupt:
        pass
    return tree.proof()


def prove_between(importance, low, high, known, left_out, max_boxes):
    """Prove that at all densities from low to high every global minimum of two features in one dimension is in a phase.

    Return how many boxes it took, inf where max_boxes do not do. importance (2,). The phase: that in which the feature
    ``left_out`` is not represented, or, where it is −1, antipodal pairs; then known are the weights (1, 2) and bias (2,) of one.
    """
    density = corners([low] * 2, [high] * 2)
    if left_out >= 0:
        regions = [region for region in [kink_region(importance, density, 1.0, left_out)] if region]
        upper = importance[left_out] * (variance(density[:, left_out]) + bulge(density)) * (1 + 16 * UNIT)
    else:
        regions, upper = [], np.array([_loss_above(importance, one, *known) for one in density])
    tree = _Tree(1, (1, 0) if left_out == 0 else (0, 1), importance, density, upper, regions, left_out)
    patience, enough = np.array([0, max_boxes]), max_boxes if left_out < 0 or regions else 0
    tree.grow(-np.inf, 0 if left_out < 0 else -1, patience, enough, lambda count: None)
    proof = tree.proof()
    return proof.n_boxes if proof.complete and set(proof.hulls) <= ({0} if left_out < 0 else set()) else np.inf


class _Tree:
    """A tree of boxes as it grows: the arrays of `search`; density (k, n) and a loss reached at each, upper (k,).

    Several densities are the corners of an interval of one density of all features. As averages over each feature are linear in
    its density, those at p = (1 − t) low + t high are Σ_k B_k(t) c_k, with B_k ≥ 0 Bernstein's polynomials and c_k the mean over
    the corners with k features at the high end: what holds for each c_k holds throughout.
    """

    def __init__(self, n_hidden, gauge, importance, density, upper, regions, left_out=-1):
        n, self.gauge, self.regions = len(importance), gauge, tuple(regions)
        if not all(region.is_around_its_point for region in regions):
            raise ValueError(f"regions must be finite boxes about their minima, got {regions!r:.300}")
        self.root, self.complete = root_box(n_hidden, gauge, importance, density, upper), False
        free, nd = free_weights(n_hidden, gauge), self.root.shape[1]
        group = (density > density[0]).sum(axis=1)
        limits = (variance(density) + bulge(density)) * (1 + 16 * UNIT)
        limits, self.upper = (np.array([one[group == g].mean(axis=0) for g in np.unique(group)]) for one in (limits, upper))
        self.model = n_hidden, free, importance, density, group, limits, self.upper, left_out
        self.boxes, self.bounds, self.after = np.zeros((1024, 2, nd)), np.zeros(1024), np.full(1024, -1)
        self.boxes[0], self.heads, self.state = self.root, np.full(BINS, -1), np.zeros(8, np.int64)
        self.ops, self.values, self.least = np.zeros(32768, np.uint8), np.zeros(16384), np.array([np.inf])
        self.state[TOP], self.state[UNUSED], self.heads[0] = 1, -1, 0
        self.hulls = np.empty((2 ** (n * (n - 1) // 2) + 1, 2, nd))
        self.hulls[:, 0], self.hulls[:, 1] = np.inf, -np.inf

    def grow(self, target, wanted, patience, max_boxes, advance):
        """Grow the tree until no box waits or max_boxes have been seen; the arguments are those of `search` and `prove`."""
        _, _, importance, density, *_ = self.model
        if not np.all(np.isfinite(self.root)):
            return
        table = _table(importance, density, self.upper[0], self.root)
        places, state = np.array([region.box for region in self.regions]).reshape(-1, *self.root.shape), self.state
        while state[BOXES] < max_boxes and not self.complete:
            seen = state[BOXES]
            end = search(
                *self.model, target, wanted, patience, min(max_boxes, seen + AT_ONCE), places, *table, self.boxes, self.bounds,
                self.after, self.heads, self.ops, self.values, self.hulls, self.least, state,
            )  # fmt: skip
            advance(int(state[BOXES] - seen))
            if end == FULL:
                grown = map(_doubled, (self.boxes, self.bounds, self.after, self.ops, self.values))
                self.boxes, self.bounds, self.after, self.ops, self.values = grown
            elif end == DONE:
                if state[UNPROVED]:
                    return
                self.complete = True

    def proof(self):
        """What is proved by now."""
        state, hulls = self.state, self.hulls
        reached = min(self.upper[0], self.least[0], *self.bounds[: state[TOP]], *(region.bound for region in self.regions))
        signs = {int(k) if k < len(hulls) - 1 else -1: hulls[k] for k in np.flatnonzero(hulls[:, 0, 0] < np.inf)}
        root = self.root if np.all(np.isfinite(self.root)) else np.zeros_like(self.root)
        ops, values = self.ops[: state[OPS]].copy(), self.values[: state[VALUES]].copy()
        return Proof(self.gauge, root, ops, values, self.regions, float(self.upper[0]), float(reached), signs, self.complete)
