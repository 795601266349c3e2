"""Points on a sphere: known minima, exact gradients, congruence."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phasediag import congruent, thomson
from phasediag.sphere import ENERGIES, energy_and_gradient, settle

# L. Glasser and A. G. Every 1992, J. Phys. A 25: the Thomson problem in three dimensions.
COULOMB = {2: 0.5, 3: 1.732050808, 4: 3.674234614, 5: 6.474691495, 6: 9.985281374, 8: 19.675287861, 12: 49.165253058}


def regular(n):
    """The n-gon."""
    turn = 2 * np.pi * np.arange(n) / n
    return np.array([np.cos(turn), np.sin(turn)])


def simplex(m):
    """m + 1 points in m dimensions with equal products."""
    return np.linalg.qr(np.vstack([np.ones(m + 1), np.eye(m, m + 1)]).T)[0][:, 1:].T


def energy_of(points, energy):
    """The energy by a plain double loop over pairs."""
    total, n = 0.0, points.shape[1]
    for i in range(n):
        for j in range(n):
            if i == j:
                continue
            product = sum(points[k, i] * points[k, j] for k in range(len(points)))
            if energy == "coulomb":
                total += 0.5 / np.sqrt(sum((points[k, i] - points[k, j]) ** 2 for k in range(len(points))))
            else:
                total += product**2 if energy == "linear" or product > 0 else 0.0
    return total


def random_rotation(rng, m):
    return np.linalg.qr(rng.normal(size=(m, m)))[0]


@pytest.mark.parametrize("n", COULOMB)
def test_coulomb_energies_are_those_known(n):
    """The lowest energies of electrons on a sphere, to the digits of the literature."""
    lowest = thomson(n, 3, energy="coulomb", n_starts=6)[0]
    assert lowest.energy == pytest.approx(COULOMB[n], abs=6e-10) and lowest.is_rigid


@pytest.mark.parametrize(("n", "m"), [(2, 3), (3, 3), (3, 2), (4, 2), (5, 2), (5, 3), (6, 3), (7, 3), (10, 4), (12, 5)])
def test_lowest_linear_energy_is_that_of_a_tight_frame(n, m):
    """max(0, n²/m − n), and the points of n ≥ m are a tight frame, Σ w wᵀ = n/m (Benedetto and Fickus)."""
    (lowest,) = thomson(n, m, energy="linear", n_starts=6)
    assert lowest.energy == pytest.approx(max(0.0, n**2 / m - n), abs=1e-10)
    if n >= m:
        np.testing.assert_allclose(lowest.points @ lowest.points.T, n / m * np.eye(m), atol=1e-6)
    assert lowest.is_rigid == (n <= m)


@pytest.mark.parametrize(("n", "m"), [(2, 2), (3, 2), (4, 2), (5, 3), (6, 3), (8, 4)])
def test_relu_energy_vanishes_up_to_twice_the_dimension(n, m):
    """Energy 0 for n ≤ 2m; only the cross-polytope, n = 2m, is rigid."""
    lowest = thomson(n, m, n_starts=8)[0]
    assert lowest.energy < 1e-20 and lowest.is_rigid == (n == 2 * m)
    if lowest.is_rigid:
        assert congruent(lowest.points, np.hstack([np.eye(m), -np.eye(m)]))


@pytest.mark.parametrize(("n", "m"), [(5, 2), (7, 2), (7, 3), (9, 4)])
def test_relu_energy_is_positive_beyond(n, m):
    """More than 2m vectors in m dimensions have a positive product."""
    assert thomson(n, m, n_starts=4)[0].energy > 0.1


@pytest.mark.quick
def test_polygons():
    """Five and six points on a circle are regular polygons for both energies that are rigid."""
    for n in (5, 6):
        for energy in ("relu", "coulomb"):
            lowest = thomson(n, 2, energy=energy, n_starts=4)[0]
            assert congruent(lowest.points, regular(n))
            assert lowest.energy == pytest.approx(energy_of(regular(n), energy), rel=1e-12)


@pytest.mark.quick
def test_tetrahedron_is_the_coulomb_minimum():
    """Four electrons sit at the corners of a regular tetrahedron, which the ReLU energy does not single out."""
    assert congruent(thomson(4, 3, energy="coulomb", n_starts=4)[0].points, simplex(3))
    assert energy_of(simplex(3), "relu") == 0 and not thomson(4, 3, n_starts=4)[0].is_rigid


def test_higher_minima_are_listed():
    """Seven points on a circle have two rigid ReLU minima; the regular heptagon is the higher one."""
    first, second = thomson(7, 2, n_starts=32)
    assert first.energy < second.energy and first.is_rigid and second.is_rigid
    assert congruent(second.points, regular(7)) and not congruent(first.points, regular(7))
    assert first.n_found + second.n_found == 32 and min(first.n_found, second.n_found) > 0


@pytest.mark.parametrize("energy", ENERGIES)
def test_minima_are_stationary_and_no_saddles(energy):
    """The gradient vanishes, and no random displacement by 1e-4 lowers the energy by more than rounding."""
    rng = np.random.default_rng(0)
    for configuration in thomson(8, 3, energy=energy, n_starts=4):
        assert configuration.gradient_norm < 1e-6
        np.testing.assert_allclose(np.linalg.norm(configuration.points, axis=0), 1, rtol=1e-14)
        near = configuration.points + 1e-4 * rng.normal(size=(200, 3, 8))
        assert min(energy_and_gradient(x, energy)[0] for x in near) > configuration.energy - 1e-11


def test_saddles_are_left():
    """Four electrons that start on one great circle end as a tetrahedron, although no force leads off the circle."""
    square = np.vstack([regular(4), np.zeros(4)])
    assert np.abs(energy_and_gradient(square, "coulomb")[1]).max() < 1e-14
    assert congruent(settle(square, "coulomb", np.random.default_rng(0)), simplex(3))


@pytest.mark.parametrize("energy", ENERGIES)
@given(seed=st.integers(0, 2**32), n=st.integers(2, 7), m=st.integers(2, 4))
@settings(max_examples=30, deadline=None)
def test_energy_and_gradient_by_a_second_route(energy, seed, n, m):
    """The double loop gives the same energy, central differences the same gradient; lengths do not count."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(m, n))
    unit = points / np.linalg.norm(points, axis=0)
    value, gradient = energy_and_gradient(points, energy)
    assert value == pytest.approx(energy_of(unit, energy), rel=1e-12, abs=1e-14)
    direction = rng.normal(size=points.shape)
    direction /= np.linalg.norm(direction) / np.linalg.norm(points, axis=0).min()
    step = 1e-5
    slope = (
        energy_and_gradient(points + step * direction, energy)[0] - energy_and_gradient(points - step * direction, energy)[0]
    ) / (2 * step)
    # second derivatives of the ReLU energy jump, those of the Coulomb energy are large for close points
    scale = 1 + value**3 if energy == "coulomb" else 1 + value
    assert slope == pytest.approx(np.sum(gradient * direction), rel=1e-6, abs=1e-4 * step * scale + 1e-8 * scale)
    np.testing.assert_allclose(np.sum(gradient * points, axis=0), 0, atol=1e-11 * (1 + value**2))


@settings(deadline=None)
@given(seed=st.integers(0, 2**32), n=st.integers(2, 9), m=st.integers(2, 4))
def test_congruence_knows_rotations_orders_and_lengths(seed, n, m):
    """Rotated or reflected, permuted and rescaled points are congruent, also in more dimensions; one moved point is not."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(m, n))
    other = random_rotation(rng, m) @ points[:, rng.permutation(n)] * rng.uniform(0.5, 2, size=n)
    assert congruent(points, other) and congruent(other, points)
    assert congruent(points, np.vstack([other, np.zeros(n)]))
    turn = 0.1 * np.array([[0.0, -1.0], [1.0, 0.0]])
    other[:2, 0] += turn @ other[:2, 0]
    products = np.sort((lambda u: u.T @ u)(points / np.linalg.norm(points, axis=0)), axis=None)
    moved = np.sort((lambda u: u.T @ u)(other / np.linalg.norm(other, axis=0)), axis=None)
    assert congruent(points, other) == (np.abs(products - moved).max() <= 1e-4)


def test_congruence_is_more_than_equal_products():
    """Two sets with the same products of pairs, but not between the same ones, are told apart."""
    strong, weak = [(0, 1), (1, 2), (2, 3)], [(0, 1), (0, 2), (0, 3)]  # a path and a star
    sets = []
    for edges in (strong, weak):
        gram = np.eye(4)
        for i, j in edges:
            gram[i, j] = gram[j, i] = 0.4
        sets.append(np.linalg.cholesky(gram).T)
    assert not congruent(*sets)
    # and where even the sorted rows agree: a hexagon of neighbours against two triangles
    grams = [np.eye(6), np.eye(6)]
    for i in range(6):
        for gram, j in zip(grams, ((i + 1) % 6, 3 * (i // 3) + (i + 1) % 3), strict=True):
            gram[i, j] = gram[j, i] = 0.3
    assert not congruent(*(np.linalg.cholesky(gram).T for gram in grams))


def test_different_numbers_are_not_congruent():
    """Sets of different size never are."""
    assert not congruent(regular(5), regular(6))


def test_seed_decides_the_bits():
    """The same seed gives the same configurations, another one other points of the continuum."""
    one, same, other = (thomson(4, 2, energy="linear", n_starts=2, seed=seed)[0].points for seed in (1, 1, 2))
    assert np.array_equal(one, same) and not np.array_equal(one, other)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_points": 1}, "n_points must be a whole number ≥ 2, got 1"),
        ({"n_dimensions": 1}, "n_dimensions must be a whole number ≥ 2, got 1"),
        ({"energy": "gravity"}, 'energy must be one of "linear", "relu", "coulomb", got \'gravity\''),
        ({"n_starts": 0}, "n_starts must be a whole number ≥ 1, got 0"),
        ({"seed": -1}, "seed must be"),
    ],
)
def test_bad_arguments_are_named(change, message):
    """Errors name argument, domain and value."""
    with pytest.raises(ValueError, match=message):
        thomson(**{"n_points": 4, "n_dimensions": 2, **change})


def test_bad_directions_are_named():
    """A column of zeros has no direction, a vector is not a set of them, and a tolerance is positive."""
    with pytest.raises(ValueError, match="other must have no column of zeros, got one at 1"):
        congruent(np.eye(2), [[1.0, 0.0], [0.0, 0.0]])
    with pytest.raises(ValueError, match="one must have shape"):
        congruent([1.0, 2.0], np.eye(2))
    with pytest.raises(ValueError, match="tolerance must be positive, got 0"):
        congruent(np.eye(2), np.eye(2), tolerance=0)
