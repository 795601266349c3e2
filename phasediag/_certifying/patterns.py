"""What the weights of all global minima in a region have in common: which features are represented, joined, and on which side.

A region in which the loss is convex holds one stationary point. Where weights of the minimum found are 0, let B be the weights
of the region with the same zeros. On B the restricted loss has a stationary point, as its gradient at the minimum found is no
larger than that of the whole loss. There ∂L/∂b = 0, and a weight W_hc that is 0 on B has ∂L/∂W_hc = Σ_j W_hj (S_cj + S_jc), S =
∂L/∂G. Where every j with W_hj ≠ 0 is in another cluster than c, z_c does not depend on x_j nor z_j on x_c, so that S_cj = E x_j
∂L/∂b_c = 0 and S_jc = E x_c ∂L/∂b_j = 0: the stationary point on B is one of the whole loss, hence the one in the region, and it
has the zeros. Norms, products and, of three features in a plane, the sides on which they are of each other, are then those of
all of B.
"""

from fractions import Fraction
from itertools import combinations

NOTHING = Fraction(0), Fraction(0)


def pattern_holds(free, n_features, region):
    """Whether the one minimum in a Region, or each that it may hold, has the clusters of the region's point.

    free (nw, 2): row and column of each weight.
    """
    free = [(int(h), int(c)) for h, c in free]
    point = region.point[: len(free)].tolist()
    ends = {
        place: (Fraction(low), Fraction(high)) if at else NOTHING
        for place, at, low, high in zip(free, point, *region.box[:, : len(free)].tolist(), strict=True)
    }
    rows = range(1 + max(h for h, _ in free))

    def column(i):
        """The ranges of the weights of a feature."""
        return [ends.get((h, i), NOTHING) for h in rows]

    joined = {i: {i} for i in range(n_features)}
    for i, j in combinations(range(n_features), 2):
        product = _sum(_times(a, b) for a, b in zip(column(i), column(j), strict=True))
        if product != NOTHING:
            if product[0] <= 0 <= product[1]:
                return False
            joined[i] = joined[j] = joined[i] | joined[j]
            for k in joined[i]:
                joined[k] = joined[i]
    for i in range(n_features):
        if any(x != NOTHING for x in column(i)) and not any(x > 0 or y < 0 for x, y in column(i)):
            return False
    for (h, c), at in zip(free, point, strict=True):
        if not at and (not region.unique or any(ends.get((h, j), NOTHING) != NOTHING for j in joined[c])):
            return False
    for i, j in combinations(range(n_features), 2):
        if len(rows) == 2 and len(joined[i]) == 3:
            (a, b), (c, d) = column(i), column(j)
            low, high = _sum([_times(a, d), _times((-b[1], -b[0]), c)])
            if low <= 0 <= high:
                return False
    return True


def _times(a, b):
    """The range of a product of two numbers in ranges (least, most)."""
    ends = [x * y for x in a for y in b]
    return min(ends), max(ends)


def _sum(ranges):
    """The range of a sum of numbers in ranges (least, most)."""
    ranges = list(ranges)
    return sum((x for x, _ in ranges), start=NOTHING[0]), sum((y for _, y in ranges), start=NOTHING[0])
