"""What the weights of all global minima in a region have in common: which features are represented, joined, and on which side.

A region in which the loss is convex holds one stationary point. Where weights of the minimum found are 0, let B be the weights
of the region with the same zeros. On B the restricted loss has a stationary point, as its gradient at the minimum found is no
larger than that of the whole loss. There ∂L/∂b = 0, and a weight W_hc that is 0 on B has ∂L/∂W_hc = Σ_j W_hj (S_cj + S_jc), S =
∂L/∂G. Where every j with W_hj ≠ 0 is in another cluster than c, z_c does not depend on x_j nor z_j on x_c, so that S_cj = E x_j
∂L/∂b_c = 0 and S_jc = E x_c ∂L/∂b_j = 0: the stationary point on B is one of the whole loss, hence the one in the region, and it
has the zeros. Norms, products and, of three features in a plane, the sides on which they are of each other, are then those of
all of B.

Of any box all is enumerated that it may hold: features whose weights can all be 0, the signs that products can have, and those
of the sides. A phase is proved where one is left.
"""

from fractions import Fraction
from itertools import combinations, product

NOTHING = Fraction(0), Fraction(0)


def patterns_of(free, n_features, box, zeros=(), signs=-1):
    """The clusters of every pattern that minima in a box (2, nd) may have, a list of lists of (name, size, dimension, features).

    free (nw, 2): row and column of each weight; zeros: indices of weights that are 0; signs: those of all products W_i·W_j, i <
    j, as bits (1: positive), −1 where they are not known but from the box.
    """
    columns, pairs = _columns(free, n_features, box, zeros), list(combinations(range(n_features), 2))
    kept = [_represented(column, signs >= 0) for column in columns]
    products = [
        _signs(_product(columns[i], columns[j])) if signs < 0 else {1 if signs >> k & 1 else -1} for k, (i, j) in enumerate(pairs)
    ]
    found = {}
    for choice in product(*kept):
        members = [i for i in range(n_features) if choice[i]]
        told = [one if choice[i] and choice[j] else {0} for (i, j), one in zip(pairs, products, strict=True)]
        for chosen in product(*told):
            sign = dict(zip(pairs, chosen, strict=True))
            for clusters in product(*(_clusters(one, columns, sign) for one in _joined(members, sign))):
                if sum(dimension for _, _, dimension, _ in clusters) <= len(columns[0]):  # they are orthogonal
                    found[clusters] = list(clusters)
    return list(found.values())


def zeros_of(free, n_features, region):
    """Indices of the weights that are proved to be 0 in the one minimum in a Region: those of its point, or none."""
    zeros = [k for k in range(len(free)) if not region.point[k]]
    columns = _columns(free, n_features, region.box, zeros)
    met = {(i, j): _product(columns[i], columns[j]) != NOTHING for i, j in combinations(range(n_features), 2)}
    for members in _joined(range(n_features), met):
        for k in zeros:
            h, c = free[k]
            if c in members and (not region.unique or any(columns[j][h] != NOTHING for j in members)):
                return []
    return zeros


def _columns(free, n_features, box, zeros):
    """The ranges of each feature's weights, (least, most) by row, over a box (2, nd); 0 where they are among the zeros."""
    columns = [[NOTHING] * (1 + max(int(h) for h, _ in free)) for _ in range(n_features)]
    for k, (h, c) in enumerate(free):
        if k not in zeros:
            columns[c][h] = Fraction(float(box[0, k])), Fraction(float(box[1, k]))
    return columns


def _represented(column, always):
    """Whether a feature with weights in ranges may be represented, and may not be: a list of one or both; ``always``: it is."""
    some, none = any(x != NOTHING for x in column), all(0 in _signs(x) for x in column) and not always
    return [True] * some + [False] * none


def _joined(members, linked):
    """The connected components of features, tuples in order; linked: by pair, whether they are joined."""
    left, found = list(members), []
    while left:
        one = [left.pop(0)]
        for i in one:  # grows
            one += [j for j in left if linked[min(i, j), max(i, j)]]
            left = [j for j in left if j not in one]
        found.append(tuple(sorted(one)))
    return found


def _clusters(members, columns, sign):
    """What features that are joined may be, a list of (name, size, dimension, features); sign: that of each product."""
    size, lines = len(members), list(combinations(members, 2))
    if size == 1:
        return [("dedicated", 1, 1, members)]
    areas = [{0} if len(columns[i]) == 1 else _signs(_area(columns[i], columns[j])) for i, j in lines]
    found = {}
    for sides in product(*areas):
        if not any(sides):
            pair = "aligned pair" if sign[lines[0]] > 0 else "antipodal pair"
            found[pair if size == 2 else f"{size} features in 1 dimension", 1] = None
        else:
            # areas (i, j), (i, k), (j, k): whether the origin is in the triangle
            inside = size == 3 and sides[0] == sides[2] == -sides[1]
            found["triangle" if inside else f"{size} features in 2 dimensions", 2] = None
    return [(name, size, dimension, members) for name, dimension in found]


def _product(first, second):
    """The range of the product of two columns of ranges."""
    return _sum(_times(a, b) for a, b in zip(first, second, strict=True))


def _area(first, second):
    """The range of the determinant of two columns of two ranges each."""
    (a, b), (c, d) = first, second
    return _sum([_times(a, d), _times((-b[1], -b[0]), c)])


def _signs(ends):
    """The signs that numbers in a range (least, most) can have, a set of −1, 0 and 1."""
    low, high = ends
    return {sign for sign, has in ((-1, low < 0), (0, low <= 0 <= high), (1, high > 0)) if has}


def _times(a, b):
    """The range of a product of two numbers in ranges (least, most)."""
    ends = [x * y for x in a for y in b]
    return min(ends), max(ends)


def _sum(ranges):
    """The range of a sum of numbers in ranges (least, most)."""
    ranges = list(ranges)
    return sum((x for x, _ in ranges), start=NOTHING[0]), sum((y for _, y in ranges), start=NOTHING[0])
