"""Phases: what a weight matrix does with its features, named by the clusters that interference ties together."""

from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._arguments import real_array
from .order_parameters import directions_of, weight_matrices

TOLERANCE = 1e-3
"""Norms and cosines below this count as zero when a phase is named."""

TRAINED_TOLERANCE = 0.1
"""Norms and cosines below this count as zero when the phase of trained weights is named: they carry noise."""

STATES = (
    "not whole",
    "collapsed to its sum",
    "partners adjacent",
    "partners orthogonal",
    "partners opposite",
    "partners mixed",
)
"""What can become of a set of features; the first that holds counts."""

_BENT = 0.27
"""Products of a shape's directions may differ from its reference's by this.

Importances from 0.1 to 10 bend the pentagons and hexagons of least loss, 5→2 and 6→2, by up to 0.22, and the uneven norms of
equal features bend bipyramids by up to 0.24; minima of another kind are 0.41 and more away.
"""
_NEAR, _MOST_RANKS = 2**20, 2**62
"""Whole numbers nearer than the first are sorted as they are, several columns at once while there are no more ranks."""
_SAME_ANGLE, _MOST_ANGLES = 2.0, 8  # degrees within which angles are one, and how many are listed, in a description


def _ring(size, turn=0.0):
    """Unit columns evenly around a circle, shape (2, size)."""
    angle = turn + 2 * np.pi * np.arange(size) / size
    return np.array([np.cos(angle), np.sin(angle)])


def _layers(*layers):
    """Unit columns at heights along an axis, a (height, directions around the axis) for each: shape (1 + rows, columns)."""
    return np.hstack([np.vstack([np.full(len(base.T), h), np.sqrt(1 - h**2) * base]) for h, base in layers])


_POINT, _RING, _TURNED = _ring(1), {size: _ring(size) for size in range(2, 11)}, _ring(2, np.pi / 2)
_PAIR, _TRIANGLE = _layers((1, _POINT), (-1, _POINT)), _layers((0, _RING[3]))
_TETRAHEDRON = np.array([[1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]]) / 3**0.5  # axes through the middles of edges
_OCTAHEDRON = np.hstack([np.eye(3), -np.eye(3)])
_POLYGONS = "square", "pentagon", "hexagon", "heptagon", "octagon", "nonagon", "decagon"
SHAPES = {
    **{name: _RING[4 + k] for k, name in enumerate(_POLYGONS)},
    "octahedron": _OCTAHEDRON,
    "triangular bipyramid": _layers((1, _POINT), (0, _RING[3]), (-1, _POINT)),
    "pentagonal bipyramid": _layers((1, _POINT), (0, _RING[5]), (-1, _POINT)),
    "square pyramid": _layers((1, _POINT), (-0.386, _RING[4])),
    "capped octahedron": _layers((1, _POINT), (0.210, _RING[3]), (-0.669, _ring(3, np.pi))),
    "square antiprism": _layers((0.55, _RING[4]), (-0.55, _ring(4, np.pi / 4))),
    "tricapped trigonal prism": _layers((0, _RING[3]), (0.729, _ring(3, np.pi)), (-0.729, _ring(3, np.pi))),
    "edge-capped tetrahedron": np.hstack([_TETRAHEDRON, np.eye(3)[:, :1]]),
    "3-3 duopyramid": _layers((-0.574, _PAIR), (0.460, _layers((-0.236, _RING[2]), (0.236, _TURNED)))),
    "tetrahedral bipyramid": _layers((1, _PAIR[:, :1]), (0, _TETRAHEDRON), (-1, _PAIR[:, :1])),
    "octahedral pyramid": _layers((1, _PAIR[:, :1]), (-0.336, _OCTAHEDRON)),
    "face-capped 4-simplex": _layers((1, _PAIR[:, :1]), (0.408, _TRIANGLE), (-0.612, _PAIR)),
    "edge-bicapped tetrahedron": np.hstack([_TETRAHEDRON, np.eye(3)[:, :2]]),
    "edge-tricapped tetrahedron": np.hstack([_TETRAHEDRON, np.eye(3)]),
}
"""Shapes with names beside the simplices: directions, as columns, of which rotations and permutations do not matter.

Where proportions are free they are near those of the lowest minima of equal features: square and octahedral pyramid of 5→3 and
7→4 at density 0.65, capped octahedron, square antiprism and tricapped trigonal prism of 7→3, 8→3 and 9→3 at 0.01, 3-3 duopyramid
of 6→4 at 0.8.
"""


@dataclass(frozen=True)
class Cluster:
    """Features tied to each other by interference: a component of the interference graph.

    Attributes
    ----------
    name : str
        "dedicated", "antipodal pair", "triangle", … or a plain "k features in r dimensions".
    size : int
        Number of features.
    dimension : int
        Rank of their directions.
    features : tuple of int
        Which features; not part of the comparison, since features of equal importance can be exchanged.
    products : ndarray or None, shape (size, size)
        Of a plain cluster, whose name does not tell its shape: the products of its directions; not part of the comparison.

    Examples
    --------
    >>> from phasediag import classify
    >>> for cluster in classify([[1.0, -1.0, 0.0], [0.0, 0.0, 1.0]]).clusters:
    ...     print(cluster.name, cluster.features, cluster.dimension)
    dedicated (2,) 1
    antipodal pair (0, 1) 1
    """

    name: str
    size: int
    dimension: int
    features: tuple = field(compare=False)
    products: np.ndarray | None = field(default=None, compare=False, repr=False)

    @property
    def shape(self) -> str:
        """The name; for a plain cluster the angles between its directions and the shape whose corners they share, if any.

        Angles in degrees, those within 2° of each other as one, more than eight as a range; "pentagon 2:1:1:1:1" are six
        features along the corners of a pentagon, two of them along one.
        """
        if self.products is None:
            return self.name
        angles = np.degrees(np.arccos(np.sort(np.clip(self.products[np.triu_indices(self.size, 1)], -1, 1))[::-1]))
        runs = [run.mean() for run in np.split(angles, np.flatnonzero(np.diff(angles) > _SAME_ANGLE) + 1)]
        many = f"{angles[0]:.0f}° to {angles[-1]:.0f}°"
        words = "angles " + (many if len(runs) > _MOST_ANGLES else " ".join(f"{angle:.0f}°" for angle in runs))
        for name, reference in _references(self.dimension):
            corners = _corners(self.products, reference) if len(reference) < self.size else None
            if corners:
                shares = sorted((corners.count(corner) for corner in set(corners)), reverse=True)
                return f"{name} {':'.join(map(str, shares))}, {words}"
        return words


@dataclass(frozen=True)
class Phase:
    """What a weight matrix does: where the extra (last) feature is, and how the others share the dimensions.

    Attributes
    ----------
    name : str
        Stable and human-readable, e.g. "extra in antipodal pair + dedicated".
    extra : {"not_represented", "dedicated", "superposition"}
    clusters : tuple of Cluster
        The extra feature's cluster first (when it is represented), then the larger ones first.

    Examples
    --------
    >>> from phasediag import classify
    >>> phase = classify([[1.0, -1.0, 0.0], [0.0, 0.0, 1.0]])
    >>> phase.name, phase.extra
    ('extra dedicated + antipodal pair', 'dedicated')
    """

    name: str
    extra: str
    clusters: tuple

    def __str__(self):
        return self.name

    def text(self) -> str:
        """Return the name, with the angles of those clusters that it does not tell the shape of."""
        shapes = dict.fromkeys(cluster.shape for cluster in self.clusters if cluster.products is not None)
        return f"{self.name} ({'; '.join(shapes)})" if shapes else self.name


def classify(weights: ArrayLike, *, tolerance: float = TOLERANCE, sets: tuple[tuple[int, ...], ...] = ()) -> Phase:
    """Name the phase of a weight matrix by its interference graph.

    Nodes are the represented features (‖W_i‖ above ``tolerance``), edges join features whose directions have a cosine
    above ``tolerance`` in size; each connected component is a cluster of k features in r dimensions.

    Parameters
    ----------
    weights : array_like, shape (n_hidden, n_features)
        The last feature is the extra one.
    tolerance : float
        In (0, 1). Exact minima need no more than the default; trained models carry noise of a few per cent.
    sets : tuple of tuple of int
        Features that belong together, from 0, as of `CorrelatedSets`: the name then says what became of each set.

    Returns
    -------
    Phase

    Raises
    ------
    ValueError
        When weights are not one finite matrix or ``tolerance`` is outside its domain.

    Notes
    -----
    A square is two orthogonal antipodal pairs and an octahedron is three (tegum products): they are reported as such. A
    simplex is k features in k − 1 dimensions with the origin inside, however deformed: the coefficients of Σ c_i Ŵ_i = 0 are
    above ``tolerance`` × the largest. Other clusters have the name of the shape in ``SHAPES`` whose products Ŵ_i·Ŵ_j theirs
    are, each to within 0.27, or a plain name; `Phase.text` describes those. Nothing but norms and products counts, so that
    neither rotations nor dimensions added change a name.

    A set is "collapsed to its sum" when all its features have one direction, has "partners adjacent" when all their cosines
    are positive, "orthogonal" when all are 0, "opposite" when all are negative, and is "mixed" or "not whole" (a feature is not
    represented) otherwise.

    References
    ----------
    Elhage et al. 2022, section "The Geometry of Superposition", on tegum products.

    Examples
    --------
    >>> from phasediag import classify
    >>> phase = classify([[1.0, 0.0, 0.0], [0.0, 1.0, -1.0]])
    >>> phase.name, phase.extra
    ('extra in antipodal pair + dedicated', 'superposition')
    """
    weights = weight_matrices(weights)
    if weights.ndim != 2 or not weights.shape[1]:
        raise ValueError(f"weights must have shape (n_hidden, n_features) with at least one feature, got {weights.shape}")
    tolerance = float(real_array("tolerance", tolerance, "in (0, 1)", lambda x: (x > 0) & (x < 1)))
    return phase_of_matrix(weights, tolerance, sets)


def classify_many(weights: ArrayLike, *, tolerance: float = TOLERANCE, sets: tuple[tuple[int, ...], ...] = ()) -> list[Phase]:
    """Name the phase of each weight matrix of a stack; see `classify`.

    Parameters
    ----------
    weights : array_like, shape (n_models, n_hidden, n_features)
    tolerance : float
        In (0, 1).
    sets : tuple of tuple of int

    Returns
    -------
    list of Phase

    Raises
    ------
    ValueError
        When weights are one matrix or ``tolerance`` is outside its domain.

    Examples
    --------
    >>> from phasediag import classify_many
    >>> [phase.name for phase in classify_many([[[1.0, -1.0]], [[1.0, 0.0]], [[0.0, 1.0]]])]
    ['extra in antipodal pair', 'extra not represented + dedicated', 'extra dedicated + not represented']
    """
    phases, which = distinct_phases(weights, tolerance=tolerance, sets=sets)
    matrices = weight_matrices(weights)
    tolerance, found = float(tolerance), []
    for matrix, k in zip(matrices.reshape(-1, *matrices.shape[-2:]), which.tolist(), strict=True):
        own = any(cluster.products is not None for cluster in phases[k].clusters)
        found.append(phase_of_matrix(matrix, tolerance, sets) if own else phases[k])
    return found


def distinct_phases(
    weights: ArrayLike, *, tolerance: float = TOLERANCE, sets: tuple[tuple[int, ...], ...] = ()
) -> tuple[list[Phase], NDArray[np.intp]]:
    """Name the phases of a stack of weights as `classify_many` does; return phases, and of each matrix which of them it has.

    Phases come in the order in which they appear; some may be equal. Of equal ones the products of plain clusters may be another
    matrix's.
    """
    weights = weight_matrices(weights)
    if weights.ndim == 2:
        raise ValueError(f"weights must have shape (n_models, n_hidden, n_features), got {weights.shape}")
    tolerance = float(real_array("tolerance", tolerance, "in (0, 1)", lambda x: (x > 0) & (x < 1)))
    matrices = weights.reshape(-1, *weights.shape[-2:])
    from ._signatures import signatures  # kernels: only where many weights are named

    found, tell = signatures(matrices, tolerance)
    alone, states = np.flatnonzero(~tell), states_of_sets(matrices, tolerance, sets)
    words = np.zeros((len(matrices), -(-found.shape[1] // 8) + 1 + states.shape[1]), np.int64)
    words.view(np.int8)[:, : found.shape[1]] = found
    words[:, -1 - states.shape[1] : -1] = states
    words[alone, -1] = alone + 1
    first, which = distinct_rows(words)
    order = np.argsort(first)
    rank = np.empty(len(order), int)
    rank[order] = np.arange(len(order))
    phases = [phase_of_matrix(matrix, tolerance, sets) for matrix in matrices[first[order]]]
    return phases, rank[which]


def in_order(places, names):
    """Names of candidates in each cell, a tuple each, in the order of their places (n_candidates, …), −1 where there is none."""
    order = np.argsort(places, axis=0, kind="stable")
    sequences, which = sequences_of(np.where(np.take_along_axis(places, order, axis=0) < 0, -1, order))
    return spread_objects([tuple(names[k] for k in sequence) for sequence in sequences], which)


def spread_objects(objects, which):
    """An array of the objects that ``which`` (whole numbers) says, of its shape."""
    table = np.empty(len(objects), dtype=object)
    for k, one in enumerate(objects):
        table[k] = one
    return table[which]


def sequences_of(numbers):
    """The distinct columns of whole numbers (n, …), lists without the −1 in them, and which of them each cell (…) has."""
    rows = numbers.reshape(len(numbers), -1).T
    first, which = distinct_rows(rows)
    return [[k for k in row if k >= 0] for row in rows[first].tolist()], which.reshape(numbers.shape[1:])


def distinct_rows(rows):
    """Where the distinct rows of numbers (n_rows, n_columns) first are, in their order, and which of them each row is.

    Column by column, as sorting numbers takes a small part of the time of sorting rows; columns of few whole numbers together.
    """
    which, count = np.zeros(len(rows), int), 1
    for column in rows.T:
        own, n_own = _ranked(column)
        if count * n_own > _MOST_RANKS:
            which = np.unique(which, return_inverse=True)[1]
            count = int(which.max()) + 1
        which, count = which * n_own + own, count * n_own
    which = np.unique(which, return_inverse=True)[1]
    first = np.full(which.max(initial=-1) + 1, len(rows))
    np.minimum.at(first, which, np.arange(len(rows)))
    return first, which


def _ranked(column):
    """Whole numbers ≥ 0 that order numbers (n,) as they are, and what they are less than: the numbers themselves if near."""
    if len(column) and column.dtype.kind == "i":
        low, high = int(column.min()), int(column.max())
        if high - low < _NEAR:
            return column - low, high - low + 1
    own = np.unique(column, return_inverse=True)[1]
    return own, int(own.max(initial=0)) + 1


def phase_name(weights, tolerance=TOLERANCE, sets=()):
    """Name the phase of one matrix of floats, as `classify` does, without its checks."""
    return phase_of_matrix(weights, tolerance, sets).name


def states_of_sets(weights, tolerance, sets):
    """What became of the sets (tuples of features) of more than one feature, numbers in `STATES`: shape (n_models, n_sets).

    weights: (n_models, n_hidden, n_features).
    """
    sets = [list(members) for members in sets if len(members) > 1]
    states = np.zeros((len(weights), len(sets)), int)
    if not sets:
        return states
    directions = directions_of(weights)
    missing = np.sum(directions * weights, axis=1) <= tolerance
    for k, members in enumerate(sets):
        first, second = np.triu_indices(len(members), 1)
        own = directions[:, :, members]
        cosines = (np.swapaxes(own, 1, 2) @ own)[:, first, second]
        holds = missing[:, members].any(axis=1, keepdims=True), cosines > 1 - tolerance, cosines > tolerance
        holds = *holds, np.abs(cosines) <= tolerance, cosines < -tolerance, np.full_like(cosines, True, dtype=bool)
        states[:, k] = np.argmax([one.all(axis=1) for one in holds], axis=0)
    return states


def phase_of_matrix(weights, tolerance, sets):
    """The Phase of one finite matrix (n_hidden, n_features), whose name says what became of the sets of several features."""
    phase, states = _phase(weights, tolerance), states_of_sets(weights[None], tolerance, sets)[0].tolist()
    if not states:
        return phase
    counts = sorted((STATES[k], states.count(k)) for k in set(states))
    words = ", ".join(state if count == len(states) == 1 else f"{count} × {state}" for state, count in counts)
    return replace(phase, name=f"{phase.name} ({words})")


def _phase(weights, tolerance):
    """The Phase of one finite matrix (n_hidden, n_features)."""
    directions = directions_of(weights)
    waiting = np.flatnonzero(np.sum(directions * weights, axis=0) > tolerance).tolist()
    products = directions.T @ directions
    linked = (np.abs(products) > tolerance).tolist()
    clusters = []
    while waiting:
        members = waiting[:1]
        for i in members:  # grows
            row = linked[i]
            members += [j for j in waiting if row[j] and j not in members]
        waiting = [j for j in waiting if j not in members]
        clusters.append(_cluster(directions, products, tuple(sorted(members)), tolerance))
    return phase_in_order(clusters, weights.shape[1])


def phase_in_order(clusters, n_features):
    """The Phase of a list of clusters in any order: the extra feature's comes first, then the largest."""
    extra = n_features - 1
    clusters = sorted(
        clusters, key=lambda cluster: (extra not in cluster.features, -cluster.size, cluster.dimension, cluster.name)
    )
    return phase_of(clusters, n_features)


def phase_of(clusters, n_features):
    """Return the Phase made of ``clusters`` (the extra feature's first) among ``n_features`` features."""
    clusters = tuple(clusters)
    extra = n_features - 1
    others = list(clusters)
    if not clusters or extra not in clusters[0].features:
        role, head = "not_represented", "extra not represented"
    else:
        others = others[1:]
        role = "dedicated" if clusters[0].size == 1 else "superposition"
        head = "extra dedicated" if role == "dedicated" else f"extra in {clusters[0].name}"
    names = [cluster.name for cluster in others]
    dropped = n_features - sum(cluster.size for cluster in clusters) - (role == "not_represented")
    parts = [head]
    for name in sorted(set(names), key=names.index):
        parts.append(_counted(names.count(name), name))
    if dropped:
        parts.append(_counted(dropped, "not represented"))
    return Phase(" + ".join(parts), role, clusters)


def name_among_equals(phase, n_features):
    """Return a phase's name where no feature is special: its clusters, the largest first, and how many are not represented."""
    clusters = sorted(phase.clusters, key=lambda cluster: (-cluster.size, cluster.dimension, cluster.name))
    names = [cluster.name for cluster in clusters]
    parts = [_counted(names.count(name), name) for name in dict.fromkeys(names)]
    dropped = n_features - sum(cluster.size for cluster in clusters)
    return " + ".join([*parts, *([_counted(dropped, "not represented")] if dropped else [])])


def simplex_name(size):
    """Return the name of a regular simplex of ``size`` features in ``size`` − 1 dimensions (1: dedicated)."""
    return {1: "dedicated", 2: "antipodal pair", 3: "triangle", 4: "tetrahedron"}.get(size, f"{size - 1}-simplex")


def _counted(count, name):
    """The name with its count, in the plural where English has one."""
    if count == 1:
        return name
    if name[-1] == "d" or "in " in name:
        return f"{count} {name}"
    return f"{count} {name.removesuffix('ex')}ices" if name.endswith("simplex") else f"{count} {name}s"


def _cluster(directions, products, members, tolerance):
    """The Cluster of these members; directions: (n_hidden, n_features), products: (n_features, n_features)."""
    size = len(members)
    if size == 1:
        return Cluster("dedicated", 1, 1, members)
    _, singular, relations = np.linalg.svd(directions[:, members])
    singular, relation = singular.tolist(), relations[-1].tolist()
    dimension = sum(value > tolerance * singular[0] for value in singular)
    if size == dimension + 1:
        least, most = min(relation), max(relation)
        if least > tolerance * most > 0 or most < tolerance * least < 0:  # 0 lies inside, so that every corner opposes the others
            return Cluster(simplex_name(size), size, dimension, members)
        if size == 2:
            return Cluster("aligned pair", size, dimension, members)
    products = products[np.ix_(members, members)]
    for name, reference in _references(dimension):
        if len(reference) == size > dimension + 1 and _corners(products, reference):
            return Cluster(name, size, dimension, members)
    return Cluster(f"{size} features in {dimension} dimension{'s' if dimension > 1 else ''}", size, dimension, members, products)


@lru_cache
def _references(dimension):
    """The shapes of so many dimensions, the simplex included, most corners first: a list of (name, products as rows)."""
    found = []
    simplex = np.eye(dimension + 1) - 1 / (dimension + 1)
    for name, columns in {**SHAPES, simplex_name(dimension + 1): simplex}.items():
        unit = directions_of(columns)
        if np.linalg.matrix_rank(unit) == dimension:
            found.append((name, (unit.T @ unit).tolist()))
    return sorted(found, key=lambda one: -len(one[1]))


def _corners(products, reference):
    """Which corner of a reference each direction takes so that all products fit and every corner is taken, or None.

    Products of both as rows. The direction with the fewest corners left is placed next, and leaves to the others those
    that fit: generic directions in few dimensions, of which most fit somewhere, else take years one after another.
    """
    every = range(len(reference))
    near = np.abs(np.asarray(products)[:, :, None, None] - np.asarray(reference)) <= _BENT
    fitting = (near @ (1 << np.arange(len(reference)))).tolist()  # [i][j][corner of i]: the corners that fit j, as bits

    def placed(left, corners):
        """``corners`` completed; left: of each direction the corners it may take, as bits, and None where it has been placed."""
        waiting = [(bits.bit_count(), i) for i, bits in enumerate(left) if bits is not None]
        missing = set(every).difference(corners)
        if len(missing) > len(waiting) or any(all(bits is None or not bits >> k & 1 for bits in left) for k in missing):
            return None
        if not waiting:
            return corners
        _, i = min(waiting)
        for corner in every:
            if left[i] >> corner & 1:
                now = [bits if bits is None else bits & fitting[i][j][corner] for j, bits in enumerate(left)]
                now[i] = None
                if 0 not in now and (found := placed(now, [*corners[:i], corner, *corners[i + 1 :]])):
                    return found
        return None

    return placed([(1 << len(reference)) - 1] * len(products), [None] * len(products))
