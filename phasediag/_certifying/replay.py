"""Reading a proof again: every leaf of its tree confirmed in rational arithmetic, by other code than found it."""

from heapq import heappop, heappush
from itertools import chain, combinations
from math import sqrt

import numpy as np

from .neighbourhoods import confirm_convex, confirm_kink
from .proof import CONVEX, free_weights
from .rational import Row, least_on_box, number, root_above
from .search import BINS, GRADIENT, JOINT, LOW_JOINT, LOW_SUM, OPEN, ORDER, REGION, ROW, SLOPE, SUM, TABLE, WAIT

PIECES = 20_000
"""How many pieces of rows are looked at, at most, for a leaf of the row table."""
PARTS = 6
"""How often a leaf is halved, at most, until its parts are confirmed."""


class NotConfirmed(Exception):
    """What of a proof does not hold, in words."""


class Replay:
    """The statements of a proof about a model (n_hidden, importance (n,), density (n,)) that is being confirmed."""

    def __init__(self, n_hidden, importance, density, proof):
        self.rows = Row(n_hidden, importance, density, proof.upper)
        self.free = free_weights(n_hidden, proof.gauge).tolist()
        self.proof = proof
        self.upper, self.lower = number(proof.upper), number(proof.lower)
        self.n, self.nw = len(importance), len(self.free)

    def confirm(self, weights, bias, advance, chosen=None):
        """Raise `NotConfirmed` where a statement fails; weights (n_hidden, n_features) and bias (n_features,) reach upper.

        chosen: a set of the leaves that are confirmed, None for all.
        """
        self._upper(weights, bias)
        if not self.lower and not self.proof.complete and not len(self.proof.ops):  # no loss is below 0: no more is said
            return
        self._root()
        for region in self.proof.regions:
            self._region(region)
        ends = np.full(self.proof.root.shape, [[np.inf], [-np.inf]])
        reached, regions = {signs: ends.copy() for signs in self.proof.hulls}, set()
        for place, (op, low, high) in enumerate(self._leaves()):
            if op >= REGION:
                regions.add(op - REGION)
            if op in (LOW_SUM, LOW_JOINT):
                hull = reached[self._hull_of(low, high)]
                np.minimum(hull[0], low, out=hull[0])
                np.maximum(hull[1], high, out=hull[1])
            if chosen is not None and place not in chosen:
                continue
            if not self._holds(op, low, high) and not self._in_parts(op, low, high, PARTS):
                raise NotConfirmed(f"a leaf is not confirmed: reason {op} in the box from {low} to {high}")
            advance(1)
        if any(np.any(reached[signs] != hull) for signs, hull in self.proof.hulls.items() if self.proof.complete):
            raise NotConfirmed("the minimizers of a phase are not the hull of boxes that may hold a global minimum")
        needed = {k for k, region in enumerate(self.proof.regions) if region.bound <= self.proof.upper}
        if self.proof.complete and not needed <= regions:
            raise NotConfirmed("a region that may hold a global minimum has no box of the tree")

    def _upper(self, weights, bias):
        """The weights and biases reach the upper loss."""
        columns = [[number(x) for x in column] for column in weights.T]
        total = number(0)
        for i in range(self.n):
            g = (*(sum(a * b for a, b in zip(columns[i], other, strict=True)) for other in columns), number(bias[i]))
            total += self.rows.importance[i] * (self.rows.loss(i, g) + self.rows.given_away(g, g))
        if total > self.upper:
            raise NotConfirmed("the weights have a loss above loss_upper")
        if self.lower > self.upper:
            raise NotConfirmed("loss_lower is above loss_upper")

    def _root(self):
        """The root holds every global minimum: norms and biases beyond it are above a row's limit or not stationary."""
        low, high = ([number(x) for x in end] for end in self.proof.root)
        longest = [high[self.free.index([0, c])] for c in range(self.n)]
        for k, (h, c) in enumerate(self.free):
            if high[k] < longest[c] or low[k] > (0 if h == self.proof.gauge.index(c) else -longest[c]):
                raise NotConfirmed("the root is not as wide in every weight of a feature")
        total = sum(longest)
        for i in range(self.n):
            square, p = longest[i] * longest[i], self.rows.density[i]
            limit = min(self.rows.variance[i], self.upper / self.rows.importance[i])
            if square <= 1 or p * (square - 1) * (square - 1) < 3 * limit * (square + 1) * (square + 1):
                raise NotConfirmed("the root does not hold all norms")
            if low[self.nw + i] > -longest[i] * total or high[self.nw + i] < longest[i] * total + p:
                raise NotConfirmed("the root does not hold all biases")

    def _leaves(self):
        """Yield (reason, low, high) of each leaf, and (OPEN, …) of each box that waits; low, high: (nd,) floats."""
        bins, values = [[] for _ in range(BINS)], iter(self.proof.values.tolist())
        bins[0].append((self.proof.root[0], self.proof.root[1]))
        nd, lowest, place = self.nw + self.n, 0, None
        for op in self.proof.ops.tolist():
            if WAIT <= op < WAIT + BINS:
                place = op - WAIT
                continue
            lowest = next((k for k in range(lowest, BINS) if bins[k]), BINS)
            if lowest == BINS:
                raise NotConfirmed("the tree has more nodes than boxes")
            low, high = bins[lowest].pop()
            if op >= 2 * nd:
                yield op, low, high
                continue
            value = next(values, None)
            if value is None or not np.isfinite(value):
                raise NotConfirmed("a split has no place")
            below, above = high.copy(), low.copy()
            below[op // 2] = above[op // 2] = value
            pair = [(above, high), (low, below)]
            bins[lowest if place is None else max(place, lowest)] += pair[::-1] if op % 2 else pair
            place = None
        if any(bins) and self.proof.complete:
            raise NotConfirmed("the tree has boxes without a leaf")
        if next(values, None) is not None:
            raise NotConfirmed("the tree has more places than splits")
        for low, high in chain(*bins):
            yield OPEN, low, high

    def _ranges(self, low, high):
        """The ranges of WᵀW and biases over a box, exact: two lists of n tuples of n + 1 fractions, and the corners."""
        a, b = [number(x) for x in low], [number(x) for x in high]
        zero = a[0] * 0
        least = [[zero] * self.n + [a[self.nw + i]] for i in range(self.n)]
        most = [[zero] * self.n + [b[self.nw + i]] for i in range(self.n)]
        for k, (h, c) in enumerate(self.free):
            for l, (g, d) in enumerate(self.free):
                if h == g:
                    ends = (a[k] * a[l], a[k] * b[l], b[k] * a[l], b[k] * b[l])
                    least[c][d] += zero if k == l and a[k] < 0 < b[k] else min(ends)
                    most[c][d] += max(ends)
        return [tuple(x) for x in least], [tuple(x) for x in most], a, b

    def _holds(self, op, low, high):
        """Whether a leaf is confirmed."""
        if op >= REGION:
            place = op - REGION
            if place >= len(self.proof.regions):
                return False
            region = self.proof.regions[place]
            return number(region.bound) >= self.lower and bool(np.all(low >= region.box[0]) and np.all(high <= region.box[1]))
        if np.any(low >= high):  # a box without an inside lies in the other part of the split that made it
            return True
        least, most, a, b = self._ranges(low, high)
        if SLOPE <= op < SLOPE + self.n:
            return self.rows.slope_sign(op - SLOPE, least[op - SLOPE], most[op - SLOPE]) != 0
        if ROW <= op < ROW + self.n:
            return self.rows.lower(op - ROW, least[op - ROW], most[op - ROW]) > self.rows.variance[op - ROW]
        if op == SUM:
            return self._sum(least, most) > self.upper
        if op == TABLE:
            return self._no_biases(least, most, self.upper)
        if op == ORDER:
            rows = self.rows
            equal = [(i, j) for i, j in combinations(range(self.n), 2) if rows.importance[i] == rows.importance[j]]
            exchanged = (rows.density[i] == rows.density[j] and least[j][j] > most[i][i] for i, j in equal)
            return self.n == 3 and any(exchanged)
        if op == JOINT:
            return self._joint(a, b)[0] > self.upper
        if GRADIENT <= op < GRADIENT + self.nw:
            return op - GRADIENT in self._joint(a, b)[1]
        if op in (LOW_SUM, LOW_JOINT) or (op == OPEN and not self.proof.complete):
            if self._sum(least, most) >= self.lower or self._joint(a, b)[0] >= self.lower:
                return True
            return op == OPEN and self.n == 3 and self._no_biases(least, most, self.lower)
        return False

    def _in_parts(self, op, low, high, times):
        """Whether the parts of a leaf's box, halved so many times, are confirmed: some bounds were found on larger boxes."""
        if not times or op in (TABLE, ORDER) or op >= REGION:
            return False
        place = int(np.argmax(high - low))
        above, below = low.copy(), high.copy()
        above[place] = below[place] = 0.5 * (low[place] + high[place])
        return all(self._holds(op, x, y) or self._in_parts(op, x, y, times - 1) for x, y in ((low, below), (above, high)))

    def _hull_of(self, low, high):
        """The key of the hull in which a box lies that may hold a global minimum: the signs of its products W_i·W_j, −1 for none.

        Where rounding may hide these, the hull of boxes without signs will do: its phases are all that it may hold.
        """
        least, most, _, _ = self._ranges(low, high)
        bits, told = 0, True
        for place, (i, j) in enumerate(combinations(range(self.n), 2)):
            if least[i][j] > 0:
                bits += 1 << place
            elif most[i][j] >= 0:
                told = False
        for signs in (bits if told else -1, -1):
            hull = self.proof.hulls.get(signs)
            if hull is not None and np.all(low >= hull[0]) and np.all(high <= hull[1]):
                return signs
        raise NotConfirmed("a box that may hold a global minimum is in none of the minimizers of its phase")

    def _sum(self, least, most):
        """The bound of the rows together."""
        zero = self.lower * 0
        return sum((w * max(self.rows.lower(i, least[i], most[i]), zero) for i, w in enumerate(self.rows.importance)), start=zero)

    def _no_biases(self, least, most, loss):
        """Whether all biases of a row are excluded, or the rows cost more than a loss, each with its best.

        A row's products and biases are halved where its bound is lowest, of the row whose bound there is the farthest below its
        loss in the middle of that piece.
        """
        pieces = [[] for _ in range(self.n)]
        count = iter(range(PIECES))

        def add(i, low, high):
            """Keep a piece of row i, lowest bound first, unless it is excluded; low and high (n + 1,) are its ends."""
            if not self.rows.slope_sign(i, low, high):
                bound, middle = self.rows.lower_and_middle(i, low, high)
                if bound <= min(self.rows.variance[i], self.upper / self.rows.importance[i]):
                    heappush(pieces[i], (bound, next(count), middle - bound, low, high))

        for i in range(self.n):
            add(i, least[i], most[i])
        root_mean_square = [sqrt(float(p) / 3) for p in self.rows.density] + [1.0]
        try:
            while all(pieces):
                if sum(w * one[0][0] for w, one in zip(self.rows.importance, pieces, strict=True)) > loss:
                    return True
                i = max(range(self.n), key=lambda i: self.rows.importance[i] * pieces[i][0][2])
                *_, low, high = heappop(pieces[i])
                widths = [float(y - x) * scale for x, y, scale in zip(low, high, root_mean_square, strict=True)]
                place = widths.index(max(widths))
                middle = (low[place] + high[place]) / 2
                add(i, low, (*high[:place], middle, *high[place + 1 :]))
                add(i, (*low[:place], middle, *low[place + 1 :]), high)
        except StopIteration:
            return False
        return True

    def _joint(self, a, b):
        """(bound of all rows together, entries of the gradient that cannot vanish, a set) over a box of corners a, b (nd,)."""
        rows, n, nw, free = self.rows, self.n, self.nw, self.free
        nd, zero = nw + n, a[0] * 0
        middle, radius = [(x + y) / 2 for x, y in zip(a, b, strict=True)], [(y - x) / 2 for x, y in zip(a, b, strict=True)]
        weights, spread = ([[zero] * n for _ in range(rows.n_hidden)] for _ in range(2))
        for k, (h, c) in enumerate(free):
            weights[h][c], spread[h][c] = middle[k], radius[k]
        tau = number(min(0.5, max(1e-6, *(float(x) for x in radius[:nw]))))
        matrix, linear, constant = [[zero] * nd for _ in range(nd)], [zero] * nd, zero
        slopes, least, most = [], [], []
        for i in range(n):
            q = [sum(s[i] * s[j] for s in spread) for j in range(n)]
            centre = [sum(w[i] * w[j] for w in weights) for j in range(n)] + [middle[nw + i]]
            move = [
                sum(abs(w[i]) * s[j] + s[i] * abs(w[j]) for w, s in zip(weights, spread, strict=True)) + q[j] for j in range(n)
            ]
            move.append(radius[nw + i])
            near = tuple(x - r for x, r in zip(centre, move, strict=True))
            far = tuple(x + r for x, r in zip(centre, move, strict=True))
            centre, share, margin = tuple(centre), rows.importance[i], rows.given_away(near, far)
            (at, v), (below, v_near), (above, v_far) = (rows.at(g) for g in (centre, near, far))
            gap = 2 * max(v_far[i] + v_near[i] - 2 * v[i], zero) + margin
            across = sum(root_above(max(below[j][j], zero) + rows.slack) * q[j] for j in range(n))
            constant += share * (rows.loss(i, centre) - gap - (1 / tau - 1) * across * across)
            slopes.append([2 * share * (v[j] - at[i][j]) for j in range(n + 1)])
            least.append([2 * share * (v_near[j] - above[i][j] - margin) for j in range(n + 1)])
            most.append([2 * share * (v_far[j] - below[i][j] + margin) for j in range(n + 1)])
            linear[nw + i] += slopes[i][n]
            steps = []
            for k, (h, c) in enumerate(free):
                step = [zero] * (n + 1)
                step[c] += weights[h][i]
                if c == i:
                    step = [x + (weights[h][j] if j < n else zero) for j, x in enumerate(step)]
                steps.append((k, step))
            steps.append((nw + i, [zero] * n + [zero + 1]))
            for k, x in steps:
                image = [sum(below[j][l] * x[l] for l in range(n + 1)) for j in range(n + 1)]
                for l, y in steps:
                    matrix[k][l] += share * (1 - tau) * sum(s * t for s, t in zip(image, y, strict=True))
        apart = set()
        for k, (h, c) in enumerate(free):
            low = high = zero
            for j in range(n):
                linear[k] += weights[h][j] * (slopes[c][j] + slopes[j][c])
                ends = [
                    s * w
                    for s in (least[c][j] + least[j][c], most[c][j] + most[j][c])
                    for w in (weights[h][j] - spread[h][j], weights[h][j] + spread[h][j])
                ]
                low, high = low + min(ends), high + max(ends)
            if low > 0 or high < 0:
                apart.add(k)
            for l, (g, d) in enumerate(free):
                if g == h:
                    matrix[k][l] += (slopes[c][d] + slopes[d][c]) / 2
        return constant + least_on_box(matrix, linear, radius), apart

    def _region(self, region):
        """The statement of a region: its point is inside, its bound, that it holds one minimum at most, or exactly."""
        if not np.all((region.box[0] < region.point) & (region.point < region.box[1])):
            raise NotConfirmed("the minimum is not inside its region")
        reason = (confirm_convex if region.kind == CONVEX else confirm_kink)(self, region)
        if reason:
            raise NotConfirmed(reason)
