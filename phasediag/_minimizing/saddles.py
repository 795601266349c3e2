"""Passes: saddle points of the exact loss with one negative curvature, and the minima to which both sides of them fall.

Parameters are flat: weights row by row, then biases; losses are divided by Σ_i I_i E x_i².
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from . import newton
from .flat import flatten, parts
from .search import settle_model
from .stationary_points import GRADIENT_TOLERANCE, SAME_POINT, Settled, dead_outputs, invariants, same_minimum

LONGEST_STEP = 0.1
"""Of a climb and of a string."""
MOST_STEPS, PATIENCE = 200, 10
"""Of a climb; steps without a smaller gradient after which its longest step is halved."""
IMAGES, SWEEPS = 21, 12
"""Points of a string between two minima, and how often they move."""
AWAY = 0.25
"""Climbs from a minimum begin this far from it."""
ASIDE = 1e-3
"""Descents from a saddle begin this far from it."""
COPIES, TURNS = 4, 24
"""Nearest copies of a minimum to which strings are drawn, and the random turns from which copies are sought."""
SAME_WAY = 1 - 1e-6
"""Cosine from which two directions are one."""
MOST_MINIMA = 12
"""Climbs begin at no more minima than this."""


@dataclass(frozen=True, eq=False)
class Saddle:
    """A stationary point x of index one, as `sides` counts, and what lies on its two sides.

    scaled_loss, gradient_norm: as of `Settled`; curvature: the less negative of those on the two sides; ends: positions of two
    minima; falls: where the descents end, (2, size).
    """

    x: np.ndarray
    scaled_loss: float
    gradient_norm: float
    curvature: float
    index: int
    ends: tuple
    falls: np.ndarray


def climb(model, x, direction):
    """Follow a direction (size,) uphill, all others downhill, from x to a stationary point: (x, largest gradient entry)."""
    x, mode, longest, best, waited = x.copy(), direction, LONGEST_STEP, np.inf, 0
    kept = x
    for step in range(MOST_STEPS):
        hessian = newton.pinned_hessian(x, model.form, model.control)
        gradient = newton.gradient_of(newton.store(model.form)).copy()
        if not np.all(np.isfinite(hessian)):
            break
        largest = np.max(np.abs(gradient))
        waited = 0 if largest < 0.9 * best else waited + 1
        if largest < best:
            best, kept = largest, x
        if largest < 1e-16 or (best < 1e-14 and waited):
            break
        if waited > PATIENCE:
            longest, waited = longest / 2, 0
        values, vectors = np.linalg.eigh(hessian)
        uphill = np.argmax(np.abs(vectors.T @ mode)) if step < PATIENCE else 0
        slope = vectors.T @ gradient
        moves = -slope / np.maximum(np.abs(values), 1e-9)
        moves[uphill] *= -1
        mode = vectors[:, uphill]
        x = x + vectors @ moves * min(1.0, longest / np.linalg.norm(moves))
    return kept, best


def _axes(form, hessian):
    """The spectrum of second derivatives (size, size) in the parameters that may move: values (n_free,), rows (n_free, size)."""
    values, vectors = np.linalg.eigh(hessian[np.ix_(form.free, form.free)])
    axes = np.zeros((values.size, form.size))
    axes[:, form.free] = vectors.T
    return values, axes


def sides(model, x):
    """The index of a stationary point, the curvatures along its separate ways down, and their directions (n_ways, size).

    Without kinks the index is the number of negative curvatures, the ways are both along the lowest. Where second derivatives
    jump, d·H(x + εd)d is negative on a cone of directions d: where that has separate parts, each is a way down and the index is
    1, as it is of a smooth point whose cone has two parts; where it is connected, 2 stands for what is more than 1. Without
    biases first derivatives jump as well where a feature has no weights: the slope at x + εd, divided by ε, is the curvature.
    """
    bent = not model.form.biased and bool(dead_outputs(x, model.form, model.control))

    def hessian(direction):
        """The second derivative (size, size) a small step from x along a direction (size,)."""
        found = newton.pinned_hessian(x + newton.PROBE * direction, model.form, model.control)
        if bent and np.any(direction):
            slope = newton.gradient_of(newton.store(model.form)) @ direction / newton.PROBE
            found += (slope - direction @ found @ direction) * np.outer(direction, direction)
        return found

    values, axes = _axes(model.form, hessian(0.0))
    if np.all(np.abs(x[-model.n_features :]) > newton.PROBE):
        down = np.array([axes[0], -axes[0]])
        return int(np.sum(values < 0)), np.repeat(values[0], 2), down
    ways = []
    units = np.eye(x.size)[model.form.free]
    for way in np.concatenate([axes, -axes, units, -units]):
        for _ in range(SWEEPS):
            lowest = np.linalg.eigh(hessian(way))[1][:, 0]
            before, way = way, lowest * np.copysign(1.0, lowest @ way)
            if np.max(np.abs(way - before)) < newton.PROBE:
                break
        curvature = way @ hessian(way) @ way
        if curvature < 0 and not any(way @ other > SAME_WAY for _, other in ways):
            ways.append((float(curvature), way))
    parts_of_cone = []
    for curvature, way in sorted(ways, key=lambda one: one[0]):
        if not any(_joined(hessian, way, other, model.form.free) for _, other in parts_of_cone):
            parts_of_cone.append((curvature, way))
    index = min(len(ways), 2) if len(parts_of_cone) < 2 else 1
    return index, np.array([c for c, _ in parts_of_cone]), np.array([way for _, way in parts_of_cone]).reshape(-1, x.size)


def _joined(hessian, one, other, free):
    """Whether a path of directions of negative curvature is found from one to another; ``hessian`` is that on a side.

    free (size,): along which parameters paths may lead.
    """
    across = np.zeros((max(np.sum(free) - 2, 0), free.size))
    across[:, free] = np.linalg.svd(np.array([one, other])[:, free])[2][2:]
    for bend in [0 * one, *across, *-across]:
        path = one + np.linspace(0, 1, IMAGES)[:, None] * (other - one)
        path += np.sin(np.linspace(0, np.pi, IMAGES))[:, None] * bend
        if np.min(np.linalg.norm(path, axis=1)) < SAME_POINT:
            continue
        for _ in range(SWEEPS):
            path = _even(path / np.linalg.norm(path, axis=1)[:, None], IMAGES)
            if not any(d @ hessian(d / np.linalg.norm(d)) @ d >= 0 for d in path):
                return all(d @ hessian(d / np.linalg.norm(d)) @ d < 0 for d in _even(path, 8 * IMAGES))
            for k in range(1, IMAGES - 1):
                values, vectors = np.linalg.eigh(hessian(path[k]))
                path[k] = vectors @ (vectors.T @ path[k] / (1 + (values - values[0]) / max(values[-1] - values[0], 1e-300)))
    return False


def moved(x, turn, order):
    """Flat parameters (…, size) with the hidden space turned (n_hidden, n_hidden) and features in another order (n_features,)."""
    weights, bias = parts(x, len(turn))
    return flatten(turn @ weights[..., order], bias[..., order])


def motions(model, x, towards, generator):
    """Rotations or reflections and exchanges of equal features that bring x near to ``towards``, the nearest first.

    A list of (turn, order), see `moved`, that lead to different copies of x. Exchanges and turns are improved in turn
    (assignment; Schönemann 1966), from random turns.
    """
    from scipy.optimize import linear_sum_assignment

    (weights, bias), (target, target_bias), found = parts(x, model.n_hidden), parts(towards, model.n_hidden), []
    for _ in range(TURNS):
        turn, order = np.linalg.qr(generator.normal(size=(model.n_hidden, model.n_hidden)))[0], np.arange(bias.size)
        turn = turn * generator.choice([-1.0, 1.0])
        for _ in range(TURNS):
            before, order = order, np.arange(bias.size)
            for members in map(np.array, model.classes):  # of features, or of sets that are exchanged as wholes, one to a row
                members, size = members.reshape(len(members), -1), len(members)
                near, own = (one.T[of].reshape(size, -1) for one, of in ((target, members), (turn @ weights, order[members])))
                apart = np.sum((near[:, None] - own[None]) ** 2, axis=-1)
                apart += np.sum((target_bias[members][:, None] - bias[order[members]][None]) ** 2, axis=-1)
                order[members] = order[members[linear_sum_assignment(apart)[1]]]
            if np.array_equal(order, before):
                break
            if model.n_hidden > 1:  # of one dimension both signs count, whichever is nearer
                left, _, right = np.linalg.svd(target @ weights[:, order].T)
                turn = left @ right
        found.append((turn, order))
    found.sort(key=lambda motion: np.linalg.norm(moved(x, *motion) - towards))
    kept = []
    for motion in found:
        if all(np.max(np.abs(moved(x, *motion) - moved(x, *other))) > SAME_POINT for other in kept):
            kept.append(motion)
    return kept[:COPIES]


def string(model, start, end):
    """Points (IMAGES, size) between two minima that have moved across the line through them towards a path of least loss.

    References
    ----------
    E, Ren, Vanden-Eijnden 2007, "Simplified and improved string method for computing the minimum energy paths".
    """
    points = start + np.linspace(0, 1, IMAGES)[:, None] * (end - start)
    for _ in range(SWEEPS):
        tangents = np.gradient(points, axis=0)
        for k in range(1, IMAGES - 1):
            values, vectors = np.linalg.eigh(newton.pinned_hessian(points[k], model.form, model.control))
            gradient = newton.gradient_of(newton.store(model.form))
            tangent = tangents[k] / max(np.linalg.norm(tangents[k]), 1e-300)
            across = gradient - tangent * (tangent @ gradient)
            move = -vectors @ ((vectors.T @ across) / np.maximum(np.abs(values), 0.1))
            move -= tangent * (tangent @ move)
            points[k] += move * min(1.0, LONGEST_STEP / max(np.linalg.norm(move), 1e-300))
        points = _even(points, IMAGES)
    return points


def _even(points, count):
    """So many points at equal distances along the line through others (n_points, size)."""
    lengths = np.append(0.0, np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1)))
    return np.transpose([np.interp(np.linspace(0, lengths[-1], count), lengths, column) for column in points.T])


class Passes:
    """The minima of a model that are known, and the saddles between them that have been found.

    minima: list of Settled; saddles: list of Saddle; n_climbs: how many climbs were made.
    """

    def __init__(self, model, minima):
        self.model, self.classes = model, model.classes
        self.minima, self.saddles, self.n_climbs, self._explored = [], [], 0, 0
        self._keys, self._tops = [], []
        self._generator = np.random.default_rng(0)
        for one in minima:
            self.position(one)

    def position(self, settled: Settled):
        """The position of a minimum among those known, to which it is added; None where it is none."""
        if not settled.is_minimum:
            return None
        key = invariants(settled.x, self.model.n_hidden, self.classes)
        for k, other in enumerate(self.minima):
            if same_minimum(settled, key, other, self._keys[k]):
                return k
        self.minima.append(settled)
        self._keys.append(key)
        return len(self.minima) - 1

    def climb(self, x, direction):
        """Climb from x along a direction; keep the saddle that is reached if it is a new one of index one."""
        self.n_climbs += 1
        self._keep(*climb(self.model, x, direction))

    def _cross(self, x):
        """Where first derivatives jump, as without biases where a feature has no weights, climbs come to no end.

        Keep the saddles next to x (size,) in which one feature has none: stationary in all others.
        """
        form, n = self.model.form, self.model.n_features
        if form.biased or not form.is_relu:
            return
        other = np.tile(~np.eye(n, dtype=bool), self.model.n_hidden + 1)  # than the weights and bias of each
        points = x * other
        for point, (largest, _, _) in zip(
            points, newton.approach(points, form, self.model.control, other & form.free), strict=True
        ):
            self.n_climbs += 1
            self._keep(point, largest)

    def _keep(self, x, largest):
        """Keep a point x (size,) with that largest gradient entry, if it is a new saddle of index one."""
        if largest > GRADIENT_TOLERANCE or (self.model.biased and dead_outputs(x, self.model.form, self.model.control)):
            return
        key = invariants(x, self.model.n_hidden, self.classes)
        if any(np.max(np.abs(key - other)) < SAME_POINT for other in self._tops):
            return
        self._tops.append(key)
        index, curvatures, down = sides(self.model, x)
        if index > 1:  # a pass lies beside it
            values, axes = _axes(self.model.form, newton.pinned_hessian(x, self.model.form, self.model.control))
            ways = axes[: index + 1 if np.min(np.abs(values)) > newton.LEVEL else 0]  # of a valley of such there are endless ones
            for k, way in enumerate(ways):
                for sign in (1, -1):
                    self.climb(x + sign * AWAY * way, ways[int(k == 0)])
        if index != 1:
            return
        loss = newton.evaluate(x, self.model.form, self.model.control, 0)
        falls = settle_model(self.model, x + ASIDE * down, radius=ASIDE)
        ends = [self.position(one) for one in falls]
        for i, j in combinations(range(len(ends)), 2):
            if None not in (ends[i], ends[j]) and loss > max(falls[i].scaled_loss, falls[j].scaled_loss):
                numbers = float(loss), float(largest), float(max(curvatures[[i, j]])), index
                self.saddles.append(Saddle(x, *numbers, (ends[i], ends[j]), np.array([falls[i].x, falls[j].x])))

    def draw(self, one, other):
        """Climb from the tops of strings between two minima, to the nearest copies of the second."""
        start = self.minima[one].x
        for motion in motions(self.model, self.minima[other].x, start, self._generator):
            points = string(self.model, start, moved(self.minima[other].x, *motion))
            losses = np.array([newton.evaluate(x, self.model.form, self.model.control, 0) for x in points])
            for k in range(1, IMAGES - 1):
                if losses[k] >= max(losses[k - 1], losses[k + 1]):
                    self.climb(points[k], points[k + 1] - points[k - 1])
                    self._cross(points[k])

    def explore(self):
        """Climb from the minima from which no climb has begun, both ways along every direction of curvature; new ones too."""
        while self._explored < min(len(self.minima), MOST_MINIMA):
            x = self.minima[self._explored].x
            self._explored += 1
            self._cross(x)
            for direction in _axes(self.model.form, newton.pinned_hessian(x, self.model.form, self.model.control))[1]:
                for sign in (1, -1):
                    self.climb(x + sign * AWAY * direction, sign * direction)

    def search(self, wanted):
        """Find passes between all the minima ``wanted``, positions, until there is a path from each to the first."""
        for one, other in ((one, other) for k, one in enumerate(wanted) for other in wanted[:k]):
            self.draw(one, other)
        self.explore()
        tried = set()
        while True:
            reached = {wanted[0]}
            for _ in self.minima:
                reached |= {k for saddle in self.saddles for k in saddle.ends if set(saddle.ends) & reached}
            pairs = [(k, other) for k in sorted(reached) for other in range(len(self.minima)) if other not in reached]
            left = [pair for pair in pairs if pair not in tried]
            if set(wanted) <= reached or not left:
                return
            self.draw(*left[0])
            self.explore()
            tried.add(left[0])

    def path(self, one, targets):
        """The saddles of the path from a minimum to the nearest of others, positions, whose highest is lowest; or None.

        A list of (position from, Saddle, position to), along the minimum spanning tree (Kruskal).
        """
        group, tree = list(range(len(self.minima))), []
        for saddle in sorted(self.saddles, key=lambda saddle: saddle.scaled_loss):
            a, b = saddle.ends
            if group[a] != group[b]:
                tree.append(saddle)
                group = [group[a] if k == group[b] else k for k in group]
                if any(group[one] == group[target] for target in targets):
                    break
        ways = {one: []}
        waiting = [one]
        while waiting:
            here = waiting.pop(0)
            for saddle in tree:
                for a, b in (saddle.ends, saddle.ends[::-1]):
                    if a == here and b not in ways:
                        ways[b] = [*ways[here], (a, saddle, b)]
                        waiting.append(b)
        found = [ways[target] for target in targets if target in ways]
        return min(found, key=len) if found else None


def chained(model, start, steps):
    """Flat parameters along a path: minimum, saddle, minimum, …, each turned and exchanged to lie next to the one before.

    start: (size,); steps: as `Passes.path` returns them. Shape (2 n_steps + 1, size).
    """
    points, generator = [start], np.random.default_rng(0)
    for one, saddle, _ in steps:
        way = saddle.falls if saddle.ends[0] == one else saddle.falls[::-1]
        nearest = motions(model, way[0], points[-1], generator)[0]
        points += [moved(saddle.x, *nearest), moved(way[1], *nearest)]
    return np.array(points)
