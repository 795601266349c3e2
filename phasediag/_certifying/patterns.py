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


def clusters_of(free, n_features, region):
    """The clusters that the one minimum in a Region has, or each that it may hold; None where that is not proved.

    free (nw, 2): row and column of each weight. A list of (name, number of features, dimension, features), as `Cluster` has them.
    """
    free = [(int(h), int(c)) for h, c in free]
    point = region.point[: len(free)].tolist()
    ends = {
        place: (Fraction(low), Fraction(high)) if at else NOTHING
        for place, at, low, high in zip(free, point, *region.box[:, : len(free)].tolist(), strict=True)
    }
    columns = [[ends.get((h, i), NOTHING) for h in range(1 + max(h for h, _ in free))] for i in range(n_features)]
    joined, products = {i: {i} for i in range(n_features)}, {}
    for i, j in combinations(range(n_features), 2):
        products[i, j] = _sum(_times(a, b) for a, b in zip(columns[i], columns[j], strict=True))
        if products[i, j] != NOTHING:
            if not _sign(products[i, j]):
                return None
            joined[i] = joined[j] = joined[i] | joined[j]
            for k in joined[i]:
                joined[k] = joined[i]
    dropped = {i for i, column in enumerate(columns) if all(x == NOTHING for x in column)}
    if any(i not in dropped and not any(map(_sign, column)) for i, column in enumerate(columns)):
        return None
    for (h, c), at in zip(free, point, strict=True):
        if not at and (not region.unique or any(ends.get((h, j), NOTHING) != NOTHING for j in joined[c])):
            return None
    members = sorted({tuple(sorted(one)) for i, one in joined.items() if i not in dropped})
    clusters = [_cluster(one, columns, products) for one in members]
    return None if None in clusters else clusters


def _cluster(members, columns, products):
    """(name, size, dimension, members) of features joined; None where it is not told on which sides of each other they are.

    columns: the ranges of each feature's weights; products: those of W_i·W_j by (i, j).
    """
    size, lines = len(members), list(combinations(members, 2))
    if size == 1:
        return "dedicated", 1, 1, members
    areas = [NOTHING if len(columns[i]) == 1 else _area(columns[i], columns[j]) for i, j in lines]
    if all(area == NOTHING for area in areas):
        pair = "aligned pair" if _sign(products[lines[0]]) > 0 else "antipodal pair"
        return (pair if size == 2 else f"{size} features in 1 dimension"), size, 1, members
    sides = [_sign(area) for area in areas]
    if not all(sides):
        return None
    inside = size == 3 and sides[0] == sides[2] == -sides[1]  # areas (i, j), (i, k), (j, k): the origin is in the triangle
    return ("triangle" if inside else f"{size} features in 2 dimensions"), size, 2, members


def _area(first, second):
    """The range of the determinant of two columns of two ranges each."""
    (a, b), (c, d) = first, second
    return _sum([_times(a, d), _times((-b[1], -b[0]), c)])


def _sign(ends):
    """1 or −1 where a range (least, most) has that sign, 0 where it has none."""
    return (ends[0] > 0) - (ends[1] < 0)


def _times(a, b):
    """The range of a product of two numbers in ranges (least, most)."""
    ends = [x * y for x in a for y in b]
    return min(ends), max(ends)


def _sum(ranges):
    """The range of a sum of numbers in ranges (least, most)."""
    ranges = list(ranges)
    return sum((x for x, _ in ranges), start=NOTHING[0]), sum((y for _, y in ranges), start=NOTHING[0])
