"""The search for the minima of one model: descents from many starts, then from moves of the lowest minima found."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations

import numpy as np

from .._loss.evaluation import evaluate_rows, processors
from ..phases import TOLERANCE, distinct_phases
from . import newton
from .conditions import lower_points
from .flat import flatten, parts
from .moves import moves, shaken
from .one_hot import least_one_hot
from .orders import reordered, with_equal_importances
from .rough import MOST_ENUMERATED, RACE, SECOND, ExactLoss, descend_roughly
from .starts import frozen_starts, scaled_gradient, starting_points
from .stationary_points import (
    CURVATURE_TOLERANCE,
    GRADIENT_TOLERANCE,
    MAX_STEPS,
    MOST_REACH,
    NEGLIGIBLE,
    SAME_LOSS,
    distinct,
    invariants,
    same_minimum,
    settle,
    swapped,
)

EFFORTS = {"quick": (8, 0), "normal": (32, 2), "thorough": (96, 4)}
"""Random starts, and rounds of moves in turn that may find nothing lower before the search ends."""

MOST_POLISHED = 24
"""Rough descents from starts that end apart go on to the bottom: so many of the lowest."""
PARENTS = 4
"""Moves start from the lowest minimum; once they have found nothing lower, from so many of the lowest. As many of the lowest
rough descents from them go on to the bottom, and one random start in so many is a shake of the lowest in each round."""


@dataclass(frozen=True, eq=False)
class Search:
    """What a search has found.

    settled: list of Settled, one for each descent (rough ends that were taken for one: the same object). random: which of the
    first of them began at random starts, which are independent draws, an array of bool.
    """

    settled: list
    random: np.ndarray

    @property
    def distinct_ends(self):
        """The ends as they are, none twice, a list of Settled."""
        return list({id(one): one for one in self.settled}.values())

    def minima(self, model, first=None):
        """The distinct minima, lowest first, a list of Settled; ``first`` as in `distinct`."""
        return distinct(self.distinct_ends, model.n_hidden, model.classes, first=first)

    def hits(self, model, minima):
        """How many descents, and how many of those from random starts, ended in each minimum: shape (n_minima, 2)."""
        classes, hits, known = model.classes, np.zeros((len(minima), 2), int), {}
        keys = [invariants(point.x, model.n_hidden, classes) for point in minima]
        for number, end in enumerate(self.settled):
            if id(end) not in known:
                key = invariants(end.x, model.n_hidden, classes) if end.is_minimum else None
                where = (k for k, one in enumerate(minima) if end.is_minimum and same_minimum(end, key, one, keys[k]))
                known[id(end)] = next(where, None)
            if known[id(end)] is not None:
                hits[known[id(end)]] += 1, number < self.random.size and self.random[number]
        return hits

    def unseen(self, hits):
        """The probability that one more random start ends where none has ended: the share of minima hit once.

        References
        ----------
        Good 1953, "The population frequencies of species and the estimation of population parameters" (after Turing).
        """
        return float(np.sum(hits[:, 1] == 1) / max(hits[:, 1].sum(), 1))


def search(model, n_starts, rounds, generator, watch=lambda: None):
    """Search for the minima of a model: a `Search`.

    Random starts, structured ones, the minima of the models with a feature or a dimension less and of the limit of rare
    features; then rounds of moves from the lowest minima, until ``rounds`` of them in turn have found nothing lower. Where a
    necessary condition fails, the point that shows it is where the search goes on.
    ``watch`` is called again and again on the way.
    """
    starts, random = starting_points(model, n_starts, generator)

    def bounded():
        """Points above which no global minimum may lie, and what they settle to, lists."""
        bounds = _bounds(model) if rounds else []
        return bounds, descend(model, np.array(bounds), PARENTS) if bounds else []

    with ThreadPoolExecutor(1) as beside:
        bounding = beside.submit(bounded)
        settled = descend(model, starts, MOST_POLISHED if rounds else PARENTS, watch)
        bounds, below = bounding.result()
    settled += below
    tried, answered, ordered, expanded = set(), set(), set(), set()
    waiting, equal = rounds, with_equal_importances(model)
    while True:
        minima = Search(settled, random).minima(model)
        missed = _untried(model, lower_points(model, minima, bounds), answered)
        if len(missed):
            settled += settle_model(model, missed, watch)
            waiting = rounds
            continue
        if not waiting or not minima or not np.any(minima[0].x[: -model.n_features]):
            return Search(settled, random)
        far = shaken(model, minima[0].x, n_starts // PARENTS, generator)
        parents = minima[: 1 if waiting == rounds else PARENTS]
        near = [moves(model, point.x, generator) for point in parents]
        if not (model.form.is_kinked or np.array_equal(equal.importance, model.importance)):
            unequal = _untried(model, np.array([point.x for point in parents]), ordered)
            codes = np.array([code.x for code in settle_model(equal, unequal, watch)]).reshape(-1, model.form.size)
            near += [reordered(model, x, n_starts // PARENTS, generator) for x in _untried(equal, codes, expanded)]
        points = _untried(model, np.concatenate([far, *near]), tried)
        found = descend_apart(model, points, PARENTS, watch, minima, n_starts)
        lower = min((one.scaled_loss for one in found if one.is_minimum), default=np.inf)
        waiting = rounds if lower < minima[0].scaled_loss * (1 - SAME_LOSS) else waiting - 1
        settled += found


def _untried(model, points, tried):
    """Those of flat points (n_points, size) that have not been tried; they are remembered.

    Points are one whose invariants have the same first digits: they differ by rotations and what exchanges equal features.
    """
    keys = [key.tobytes() for key in np.round(invariants(points, model.n_hidden, model.classes), 6) + 0.0]
    new = [k for k, key in enumerate(keys) if key not in tried and not tried.add(key)]
    return points[new]


def _bounds(model):
    """Points above which no global minimum may lie, as starts, a list: of models with a feature or a dimension less, of a limit.

    The feature left out is that of least importance × variance. Where densities are equal no other makes a lower start: at a
    global minimum no feature's own loss exceeds its variance, so one of more importance that is left out had better change
    places with it. The limit is that of rare features, where on average less than one is active.
    """
    m, n, starts = model.n_hidden, model.n_features, []
    if m < n - 1 and not model.activity:
        kept = np.sort(np.argsort(-model.importance * model.feature_variance, kind="stable")[:-1])
        for part, its_bias in _lowest(replace(model, importance=model.importance[kept], density=model.feature_density[kept])):
            weights, bias = np.zeros((m, n)), model.feature_mean.copy()
            weights[:, kept], bias[kept] = part, its_bias
            starts.append(flatten(weights, bias))
    if m > 1:
        for part, bias in _lowest(replace(model, n_hidden=m - 1)):
            starts.append(flatten(np.concatenate([part, np.zeros((1, n))]), bias))
    if model.form.is_plain and model.form.biased and model.feature_density.sum() < 1:
        starts.append(least_one_hot(model))
    return starts


def _lowest(model):
    """Weights and bias of the lowest minimum that a quick search finds, in a list; an empty one where it finds none."""
    found = search(model, *EFFORTS["quick"], np.random.default_rng(model.n_features)).minima(model)[:1]
    return [parts(point.x, model.n_hidden) for point in found]


def descend(model, points, most, watch=lambda: None):
    """Where descents from flat points (n_points, size) end: a list of Settled, in the same order."""
    if model.n_features <= MOST_ENUMERATED or model.form.is_kinked:
        return settle_model(model, points, watch)
    return descend_apart(model, points, most, watch, ())


def descend_apart(model, points, most, watch, known, n_racing=None):
    """As `descend`, roughly at first: of ends that lie apart, ``most`` of the lowest go on to the bottom.

    Ends near one of the ``known`` minima, Settled, are that one. ``n_racing``: the number of random starts that says how many
    go on in a race; by default all do.
    """
    classes, centres = model.classes, [invariants(one.x, model.n_hidden, model.classes) for one in known]

    def apart(x, losses, most):
        """Positions of the lowest that are near no other and no centre, at most ``most``; and which of these each is near."""
        keys, kept, which = invariants(x, model.n_hidden, classes), [], np.full(len(x), -1)
        places = np.array([*centres, *np.empty((len(x), keys.shape[1]))])
        for k in np.argsort(losses, kind="stable"):
            n_places = len(centres) + len(kept)
            near = np.flatnonzero(np.abs(places[:n_places] - keys[k]).max(axis=1) < MOST_REACH)
            if near.size:
                which[k] = near[0]
            elif losses[k] < np.inf and len(kept) < most:
                places[n_places], which[k] = keys[k], n_places
                kept.append(k)
        return kept, which

    max_steps = MAX_STEPS
    if (
        n_racing and model.n_features <= MOST_ENUMERATED
    ):  # second derivatives cost little, and lead on from where they would be taken
        max_steps, most = SECOND, RACE * n_racing // SECOND // 2
    ends, losses, counts = descend_roughly(ExactLoss(model), points, watch, apart, n_racing, max_steps)
    kept, which = apart(ends, losses, most)
    polished = list(known)
    for one in settle_model(model, ends[kept], watch, radius=0.1):
        polished.append(replace(one, n_evaluations=one.n_evaluations + int(counts[which == len(polished)].sum())))
    polished.append(replace(polished[-1], gradient_norm=np.inf))  # of those that are too high no more is known
    return [polished[k] for k in which]


def settle_model(model, points, watch=lambda: None, **limits):
    """As `settle`, of points (n_points, size) that share one model, over threads where they are worth it."""

    def part(rows):
        """What some rows (n_rows, size) of the points settle to."""
        watch()
        return settle(rows, model.form, np.broadcast_to(model.control, (len(rows), model.control.size)), **limits)

    n_threads = min(len(points), processors()) if model.n_features >= 6 else 1
    if n_threads <= 1:
        return part(points)
    with ThreadPoolExecutor(n_threads) as pool:
        return [one for ends in pool.map(part, np.array_split(points, min(len(points), 4 * n_threads))) for one in ends]


def tied_minima(model, point):
    """The frozen configurations in the valley of a minimum, Settled, in the order of their table; or the point where none is."""
    if not point.is_flat:
        return [point]
    _, x, norms, feature_loss = tied_points(model.form, model.control[None], np.array([point.scaled_loss]))
    found = [
        replace(point, x=one, gradient_norm=float(norm), feature_loss=own)
        for one, norm, own in zip(x, norms, feature_loss, strict=True)
    ]
    return found or [point]


def tied_points(form, controls, losses):
    """The frozen configurations in valleys of models of a form: those that are minima and have the loss of their valley.

    Which point of a valley of equal loss a descent reaches says nothing; the configurations in it have names and exact zeros.

    Parameters
    ----------
    form : Form
    controls : ndarray, shape (n_valleys, n_controls)
    losses : ndarray, shape (n_valleys,)
        Scaled.

    Returns
    -------
    valley : ndarray of int, shape (n_tied,)
        In which each configuration is, in order.
    x : ndarray, shape (n_tied, size)
    gradient_norm : ndarray, shape (n_tied,)
    feature_loss : ndarray, shape (n_tied, n_features)
    """
    valley, x = [np.empty(0, int)], [np.empty((0, form.size))]
    for rows, starts, scaled in () if form.is_kinked else frozen_starts(form, controls):
        if form.penalised:
            starts, scaled = _shortened(form, controls[rows], starts)
        near = np.abs(scaled - losses[rows, None]) <= SAME_LOSS * np.maximum(losses[rows, None], NEGLIGIBLE)
        which, start = np.nonzero(near)
        valley.append(rows[which])
        x.append(starts[which, start])
    valley, x = np.concatenate(valley), np.concatenate(x)
    order = np.argsort(valley, kind="stable")
    valley, x = valley[order], x[order]
    norms = np.abs(scaled_gradient(x, form, controls[valley])).max(axis=1, initial=0.0)
    still = norms <= GRADIENT_TOLERANCE
    for k in np.flatnonzero(still):  # at the edge of a valley the loss may fall
        curvature = newton.lowest_curvature(x[k], form, controls[valley[k]], form.free, np.empty(form.size))
        still[k] = curvature >= -CURVATURE_TOLERANCE
    valley, x, norms = (part[still] for part in (valley, x, norms))
    weights, bias = parts(x, form.n_hidden)
    weights = form.upright(controls[valley], weights)
    return valley, flatten(weights, bias), norms, evaluate_rows(weights, bias, form, controls[valley], "enumeration", 0)[0]


def _shortened(form, controls, starts):
    """Starts (n_models, n_starts, size) as long as a penalty lets them be, their zeros kept, and their scaled losses."""
    moved, scaled = np.empty(starts.shape), np.empty(starts.shape[:2])
    for k in range(starts.shape[1]):
        free = form.free & np.append(starts[0, k, : -form.n_features] != 0.0, np.ones(form.n_features, bool))
        ends = settle(starts[:, k], form, controls, free=free)
        moved[:, k], scaled[:, k] = [one.x for one in ends], [one.scaled_loss for one in ends]
    return moved, scaled


def valley_dimension(model, point):
    """The number of directions, rotations apart, along which the second derivatives at a minimum vanish to rounding."""
    hessian = newton.pinned_hessian(point.x, model.form, model.control)
    return int(np.sum(np.linalg.eigvalsh(hessian) < GRADIENT_TOLERANCE))


def exchanged(model, x):
    """Flat parameters x, then x with the extra feature in the place of each that is equal to it: (n_equal, size)."""
    weights, bias = parts(x, model.n_hidden)
    return np.array([flatten(weights[:, order], bias[order]) for order in orders_of_extra(model.classes, model.n_features)])


@lru_cache(maxsize=256)
def orders_of_extra(classes, n_features):
    """Orders that exchange the last feature with itself, then with each that is equal to it: (n_equal, n_features)."""
    swaps = [swapped(n_features, *pair) for members in classes for pair in combinations(members[::-1], 2)]
    orders = {n_features - 1: list(range(n_features))}  # by the feature that comes last
    for order in (growing := list(orders.values())):
        for swap in swaps:
            moved = [order[i] for i in swap]
            if moved[-1] not in orders:
                orders[moved[-1]] = moved
                growing.append(moved)
    return np.array(list(orders.values()))


def named_first(weights, classes, tolerance=TOLERANCE):
    """The orders of equal features in which phases have the first of their names: weights (n_models, n_hidden, n_features).

    Shape (n_models, n_features).
    """
    orders, names = orders_of_extra(classes, weights.shape[-1]), []
    for order in orders:
        phases, which = distinct_phases(weights[..., order], tolerance=tolerance)
        names.append(np.array([phase.name for phase in phases])[which])
    _, rank = np.unique(names, return_inverse=True)
    return orders[np.argmin(rank.reshape(len(orders), -1), axis=0)]
