"""The generalised Thomson problem: points on a sphere with the least interference, or the least electrostatic energy."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ._arguments import Floats, Seed, one_of, random_generator, real_matrix, real_number, whole_number
from ._display import Result
from .order_parameters import upright

ENERGIES = ("linear", "relu", "coulomb")

SAME_ENERGY = 1e-8
"""Difference of energies, relative to the larger of 1 and them, up to which two minima have the same energy."""
SAME_PRODUCTS = 1e-4
"""Difference of the products of unit vectors up to which two configurations are congruent."""
NUDGE = 1e-3
"""Each minimum is descended to once more from this far away: saddles are left that way."""


@dataclass(frozen=True, eq=False, repr=False)
class SphereConfiguration(Result):
    """A local minimum of an energy of points on a sphere.

    Attributes
    ----------
    points : ndarray, shape (n_dimensions, n_points)
        Unit vectors, as columns, like those of a weight matrix.
    energy : float
    gradient_norm : float
        Largest entry of the gradient along the sphere.
    n_found : int
        From how many starts an energy like this was reached.
    is_rigid : bool
        Whether all of these were congruent. If not, configurations of this energy form a continuum (with rare
        exceptions), of which ``points`` is one.

    Examples
    --------
    >>> from phasediag import thomson
    >>> lowest = thomson(3, 2, n_starts=4)[0]
    >>> lowest.points.shape, lowest.is_rigid
    ((2, 3), False)
    """

    points: Floats
    energy: float
    gradient_norm: float
    n_found: int
    is_rigid: bool


def thomson(
    n_points: int, n_dimensions: int, *, energy: str = "relu", n_starts: int = 32, seed: Seed = 0
) -> list[SphereConfiguration]:
    """Find the local minima of an energy of points on the unit sphere.

    Parameters
    ----------
    n_points : int
        At least 2.
    n_dimensions : int
        At least 2; the sphere is that of unit vectors with this many entries.
    energy : {"linear", "relu", "coulomb"}
        "linear": Σ_{i≠j} (w_i·w_j)², the interference of the linear model (the frame potential less n_points);
        "relu": Σ_{i≠j} max(0, w_i·w_j)², where negative interference is free;
        "coulomb": Σ_{i<j} 1/|w_i − w_j|, the classic problem.
    n_starts : int
        Number of random starts.
    seed : None, int or numpy.random.Generator

    Returns
    -------
    list of SphereConfiguration
        One for each energy found, lowest first. More starts find more of the higher ones.

    Raises
    ------
    ValueError
        When an argument lies outside its domain.

    Notes
    -----
    BFGS (scipy) on the points before they are scaled to the sphere, with the exact gradient.

    For n points in m dimensions the lowest "linear" energy is max(0, n²/m − n), that of an orthonormal set or a tight frame,
    of which there is a continuum. The lowest "relu" energy is 0 up to n = 2m, the most vectors without a positive product;
    for n < 2m such sets form a continuum too.

    References
    ----------
    Elhage et al. 2022, "Toy Models of Superposition", section "The Geometry of Superposition". Benedetto and Fickus 2003,
    "Finite normalized tight frames". Thomson 1904.

    Examples
    --------
    >>> from phasediag import thomson
    >>> lowest = thomson(3, 2, energy="coulomb", n_starts=4)[0]
    >>> (lowest.points.T @ lowest.points).round(6)
    array([[ 1. , -0.5, -0.5],
           [-0.5,  1. , -0.5],
           [-0.5, -0.5,  1. ]])
    """
    n_points = whole_number("n_points", n_points, 2)
    n_dimensions = whole_number("n_dimensions", n_dimensions, 2)
    one_of("energy", energy, ENERGIES)
    n_starts = whole_number("n_starts", n_starts, 1)
    generator = random_generator(seed)
    found = []
    for _ in range(n_starts):
        points = settle(generator.normal(size=(n_dimensions, n_points)), energy, generator)
        value, gradient = energy_and_gradient(points, energy)
        found.append((value, np.abs(gradient).max(), points))
    found.sort(key=lambda one: one[0])
    levels: list[list[tuple[float, float, Floats]]] = []
    for one in found:
        if not levels or one[0] - levels[-1][-1][0] > SAME_ENERGY * max(1.0, one[0]):
            levels.append([])
        levels[-1].append(one)
    return [_configuration(level) for level in levels]


def congruent(one: ArrayLike, other: ArrayLike, *, tolerance: float = SAME_PRODUCTS) -> bool:
    """Return whether two sets of directions are the same up to rotations, reflections and the order of their columns.

    Parameters
    ----------
    one, other : array_like, shape (n_dimensions, n_points)
        Columns that are not zero; their norms do not count. The numbers of dimensions may differ.
    tolerance : float
        Difference of products of unit vectors that still counts as none, positive.

    Returns
    -------
    bool

    Raises
    ------
    ValueError
        When an argument lies outside its domain.

    Notes
    -----
    Two sets are congruent exactly when an order of the columns makes their Gram matrices equal; the orders are searched with
    backtracking.

    Examples
    --------
    >>> from phasediag import congruent
    >>> axes = [[1.0, 0.0], [0.0, 1.0]]
    >>> congruent(axes, [[0.6, -0.8], [0.8, 0.6]]), congruent(axes, [[1.0, -1.0], [0.0, 0.0]])
    (True, False)
    """
    tolerance = real_number("tolerance", tolerance, "positive", lambda x: x > 0)
    first, second = (_gram(name, value) for name, value in (("one", one), ("other", other)))
    if first.shape != second.shape:
        return False
    # sorted rows: what a column's partners can be, and a quick answer in most cases
    rows = [np.sort(gram, axis=1) for gram in (first, second)]
    alike = np.abs(rows[0][:, None] - rows[1]).max(axis=-1) <= tolerance
    order: list[int] = []

    def extend():
        """Whether the order begun can be completed."""
        i = len(order)
        if i == len(first):
            return True
        for j in np.flatnonzero(alike[i]):
            if j not in order and np.all(np.abs(first[i, :i] - second[j, order]) <= tolerance):
                order.append(j)
                if extend():
                    return True
                order.pop()
        return False

    return extend()


def energy_and_gradient(points: Floats, energy: str) -> tuple[float, Floats]:
    """Return one of the ``ENERGIES`` of the columns of ``points``, scaled to unit length, and its gradient in ``points``.

    Both are of shape (n_dimensions, n_points).
    """
    norm = np.linalg.norm(points, axis=0)
    unit = points / norm
    product = unit.T @ unit
    np.fill_diagonal(product, 0.0)
    if energy == "coulomb":
        # over i < j, so half of the sum over i ≠ j; the differences themselves keep the digits of close points
        distance = np.linalg.norm(unit[:, :, None] - unit[:, None, :], axis=0)
        np.fill_diagonal(distance, np.inf)
        value, slope = 0.5 * np.sum(1 / distance), 0.5 / distance**3
    else:
        overlap = product if energy == "linear" else np.maximum(product, 0.0)
        value, slope = np.sum(overlap**2), 2 * overlap
    along = 2 * unit @ slope  # each product depends on two points
    along -= unit * np.sum(unit * along, axis=0)
    return float(value), along / norm


def settle(start: Floats, energy: str, generator: np.random.Generator) -> Floats:
    """Return the local minimum to which a descent from ``start`` leads, as unit vectors; a saddle is left once reached."""
    points = _descend(start, energy)
    return _descend(points + NUDGE * generator.normal(size=points.shape), energy)


def _descend(start, energy):
    """Where a BFGS descent ends, unit vectors as columns."""
    from scipy.optimize import minimize

    def flat(x):
        """Energy and gradient, shape (size,), of flat points."""
        value, gradient = energy_and_gradient(x.reshape(start.shape), energy)
        return value, gradient.ravel()

    points = minimize(flat, start.ravel(), jac=True, method="BFGS", options={"gtol": 1e-10, "maxiter": 2000}).x
    points = points.reshape(start.shape)
    return points / np.linalg.norm(points, axis=0)


def _configuration(level):
    """The SphereConfiguration of all minima of one energy: (energy, gradient_norm, points) of each."""
    value, gradient_norm, points = level[0]
    is_rigid = all(congruent(points, other) for _, _, other in level[1:])
    return SphereConfiguration(upright(points), value, float(gradient_norm), len(level), is_rigid)


def _gram(name, value):
    """Products of the columns scaled to unit length, shape (n_points, n_points)."""
    directions = real_matrix(name, value, "(n_dimensions, n_points)")
    norm = np.linalg.norm(directions, axis=0)
    if np.any(norm == 0):
        raise ValueError(f"{name} must have no column of zeros, got one at {int(np.argmin(norm))}")
    unit = directions / norm
    return unit.T @ unit
