"""Phases: what a weight matrix does with its features, named by the clusters that interference ties together."""

from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike

from ._arguments import real_array
from .order_parameters import directions_of, feature_norm, weight_matrices

TOLERANCE = 1e-3
"""Norms and cosines below this count as zero when a phase is named."""

_POLYGONS = {5: "pentagon", 6: "hexagon", 7: "heptagon", 8: "octagon"}
_SQUARE_TOLERANCE = 1 / 6
"""Gaps between the directions of a square may differ by this part of a right angle, 15°."""
_POLYGON_TOLERANCE = 0.6
"""Those of other polygons, deformed by unequal importances, by this part of the regular gap."""
_HEIGHT_TOLERANCE = 0.2


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
    """

    name: str
    size: int
    dimension: int
    features: tuple = field(compare=False)


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
    """

    name: str
    extra: str
    clusters: tuple

    def __str__(self):
        return self.name


def classify(weights: ArrayLike, *, tolerance: float = TOLERANCE) -> Phase:
    """Name the phase of a weight matrix by its interference graph.

    Nodes are the represented features (‖W_i‖ above ``tolerance``), edges join features whose directions have a cosine
    above ``tolerance`` in size; each connected component is a cluster of k features in r dimensions.

    Parameters
    ----------
    weights : array_like, shape (n_hidden, n_features)
        The last feature is the extra one.
    tolerance : float
        In (0, 1). Exact minima need no more than the default; trained models carry noise of a few per cent.

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
    above ``tolerance`` × the largest. Of other clusters only those are named whose angles are those of the polygon or square
    antiprism, up to a tolerance, and the others described plainly.

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
    n_features = weights.shape[1]
    directions = directions_of(weights)
    represented = np.flatnonzero(feature_norm(weights) > tolerance)
    linked = np.abs(directions.T @ directions) > tolerance
    clusters = []
    waiting = set(represented.tolist())
    while waiting:
        members, frontier = set(), {min(waiting)}
        while frontier:
            members |= frontier
            frontier = {j for i in frontier for j in waiting if linked[i, j]} - members
        waiting -= members
        clusters.append(_cluster(directions, tuple(sorted(members)), tolerance))
    extra = n_features - 1
    clusters.sort(key=lambda cluster: (extra not in cluster.features, -cluster.size, cluster.dimension, cluster.name))
    return phase_of(clusters, n_features)


def classify_many(weights, *, tolerance=TOLERANCE):
    """Name the phase of each weight matrix of a stack; see `classify`.

    Parameters
    ----------
    weights : ndarray, shape (n_models, n_hidden, n_features)
    tolerance : float

    Returns
    -------
    list of Phase
    """
    return [_phase(matrix, tolerance) for matrix in weight_matrices(weights)]


def phase_name(weights):
    """Name the phase of one matrix of floats, as `classify` does, without its checks."""
    return _phase(weights, TOLERANCE).name


_SQUARES = 1e100  # squares of larger weights overflow
_SETTLED = {}  # the phase of each pattern met so far, None where the pattern does not settle it


def _phase(weights, tolerance):
    """Classify by pattern: which norms and cosines vanish, their signs, which pairs are collinear, and the rank.

    That settles the phase where at most one cluster has more than two features and that one has only negative cosines and
    one dimension less than features (then its directions surround the origin).
    """
    if np.abs(weights).max(initial=0.0) > _SQUARES:
        return classify(weights, tolerance=tolerance)
    gram = weights.T @ weights
    norm = np.sqrt(gram.diagonal())
    represented = norm > tolerance
    directions = weights[:, represented] / norm[represented]
    cosine = directions.T @ directions
    pattern = np.where(np.abs(cosine) > tolerance, np.sign(cosine), 0.0) + 2 * (np.abs(cosine) > 1 - tolerance**2 / 2)
    rank = 1
    if weights.shape[0] > 1 and directions.size:
        singular = np.linalg.svd(directions, compute_uv=False)
        rank = int(np.sum(singular > tolerance * singular[0]))
    key = (weights.shape, tolerance, represented.tobytes(), pattern.tobytes(), rank)
    if key not in _SETTLED:
        phase = classify(weights, tolerance=tolerance)
        _SETTLED[key] = phase if _settled_by_pattern(phase, pattern, represented) else None
    return _SETTLED[key] or classify(weights, tolerance=tolerance)


def _settled_by_pattern(phase, pattern, represented):
    large = [cluster for cluster in phase.clusters if cluster.size > 2]
    if not large:
        return True
    place = np.cumsum(represented) - 1  # of each feature among the represented ones
    members = place[list(large[0].features)]
    between = pattern[np.ix_(members, members)][~np.eye(large[0].size, dtype=bool)]
    return len(large) == 1 and large[0].size == large[0].dimension + 1 and bool(np.all(between == -1))


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


def simplex_name(size):
    """Return the name of a regular simplex of ``size`` features in ``size`` − 1 dimensions (1: dedicated)."""
    return {1: "dedicated", 2: "antipodal pair", 3: "triangle", 4: "tetrahedron"}.get(size, f"{size - 1}-simplex")


def _counted(count, name):
    if count == 1:
        return name
    if name[-1] == "d" or "in " in name:
        return f"{count} {name}"
    return f"{count} {name.removesuffix('ex')}ices" if name.endswith("simplex") else f"{count} {name}s"


def _cluster(directions, members, tolerance):
    columns = directions[:, members]
    singular = np.linalg.svd(columns, compute_uv=False)
    dimension = int(np.sum(singular > tolerance * singular[0]))
    return Cluster(_shape(columns, dimension, tolerance), len(members), dimension, members)


def _shape(directions, dimension, tolerance):
    size = directions.shape[1]
    if size == 1:
        return "dedicated"
    if size == dimension + 1:
        if _surrounds_origin(directions, tolerance):
            return simplex_name(size)
        return "aligned pair" if size == 2 else _plain(size, dimension)
    if dimension == 2 and size == 4:
        return "square" if _is_polygon(directions, _SQUARE_TOLERANCE) else _plain(size, 2)
    if dimension == 2 and size in _POLYGONS and _is_polygon(directions, _POLYGON_TOLERANCE):
        return _POLYGONS[size]
    if (size, dimension) == (8, 3) and _is_antiprism(directions):
        return "square antiprism"
    return _plain(size, dimension)


def _plain(size, dimension):
    return f"{size} features in {dimension} dimension{'s' if dimension > 1 else ''}"


def _surrounds_origin(directions, tolerance):
    """Whether 0 lies inside the simplex of the directions, not on its boundary, so that every one opposes the others.

    Their one linear relation then has positive coefficients.
    """
    relation = np.linalg.svd(directions)[2][-1]
    relation = relation * np.sign(relation.sum())
    return bool(relation.min() > tolerance * relation.max() > 0)


def _is_polygon(directions, tolerance):
    """Whether the gaps between neighbouring directions of a plane are equal up to this part of a gap."""
    gap = 2 * np.pi / directions.shape[1]
    basis = np.linalg.svd(directions)[0][:, :2]
    return bool(np.all(np.abs(_gaps(basis.T @ directions) - gap) < tolerance * gap))


def _gaps(directions):
    """Angles between neighbouring directions of a plane."""
    angles = np.sort(np.arctan2(*directions))
    return np.diff(np.append(angles, angles[0] + 2 * np.pi))


def _is_antiprism(directions):
    """Whether eight directions are two parallel squares, one turned by 45° against the other.

    Four of them then add up to a vector along the axis: along it they stand on one side, the others on the other, all at one
    height; around it the two fours alternate.
    """
    for chosen in combinations(range(8), 4):
        axis = np.sum(directions[:, chosen], axis=1)
        if np.linalg.norm(axis) < 1.0:
            continue
        axis = axis / np.linalg.norm(axis)
        height = axis @ directions
        upper = height > 0
        if tuple(np.flatnonzero(upper)) != chosen or np.ptp(np.abs(height)) > _HEIGHT_TOLERANCE:
            continue
        around = np.linalg.svd(axis[None])[2][1:] @ directions
        order = np.argsort(np.arctan2(*around))
        alternate = np.all(upper[order] != np.roll(upper[order], 1))
        if alternate and np.all(np.abs(_gaps(around) - np.pi / 4) < _SQUARE_TOLERANCE * np.pi / 2):
            return True
    return False
