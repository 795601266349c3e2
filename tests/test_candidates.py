"""The table of candidates: complete, free of duplicates, geometrically what it says, with the right losses."""

from itertools import pairwise

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from phasediag import Configuration, ToyModel, classify, configurations
from phasediag.symbolic import DENSITY, IMPORTANCE

pytestmark = pytest.mark.quick

SIZES = [(n, m) for n in range(2, 7) for m in range(1, n)]


def _partitions(items):
    """Every set partition of a list."""
    if not items:
        yield []
        return
    first, rest = items[0], items[1:]
    for partition in _partitions(rest):
        yield [[first], *partition]
        for k in range(len(partition)):
            yield [*partition[:k], [first, *partition[k]], *partition[k + 1 :]]


def _kind(n_features, groups):
    """What remains of a grouping when the features of equal importance are exchanged."""
    extra = n_features - 1
    own = next((len(g) for g in groups if extra in g), 0)
    return own, tuple(sorted(len(g) for g in groups if extra not in g))


@pytest.mark.parametrize(("n_features", "n_hidden"), SIZES)
def test_table_is_every_grouping_that_fills_the_dimensions_once(n_features, n_hidden):
    """The table equals brute force over all subsets and set partitions, modulo exchanges of equal features."""
    expected = set()
    for kept in range(2**n_features):
        features = [i for i in range(n_features) if kept >> i & 1]
        for groups in _partitions(features):
            if sum(max(len(g) - 1, 1) for g in groups) == n_hidden:
                expected.add(_kind(n_features, groups))
    found = [_kind(n_features, c.groups) for c in configurations(n_features, n_hidden)]
    assert len(found) == len(set(found)) and set(found) == expected


@pytest.mark.parametrize("n_features", range(2, 9))
def test_one_direction_left_out_gives_the_patterns_orthogonal_to_a_set(n_features):
    """For n_hidden = n_features − 1, W annihilates 1_S, with one candidate for each kind of set S."""
    table = configurations(n_features, n_features - 1)
    kinds = set()
    for c in table:
        shared = set(c.dropped).union(*(g for g in c.groups if len(g) > 1))
        kinds.add((n_features - 1 in shared, len(shared)))
        assert np.allclose(c.weights @ np.isin(np.arange(n_features), list(shared)), 0, atol=1e-15)
        # a basis of everything orthogonal to 1_S: W has full rank
        assert np.linalg.matrix_rank(c.weights) == n_features - 1
    sizes = {(True, k) for k in range(1, n_features + 1)} | {(False, k) for k in range(1, n_features)}
    assert kinds == sizes and len(table) == len(sizes)


@pytest.mark.parametrize(("n_features", "n_hidden"), [*SIZES, (8, 3), (8, 7)])
def test_weights_are_unit_columns_of_simplices_in_orthogonal_blocks(n_features, n_hidden):
    """The Gram matrix is 1 on the diagonal, −1/(k − 1) within a cluster of k and 0 elsewhere; dropped columns are 0."""
    for c in configurations(n_features, n_hidden):
        expected = np.zeros((n_features, n_features))
        for group in c.groups:
            expected[np.ix_(group, group)] = -1 / max(len(group) - 1, 1)
            expected[group, group] = 1
        assert c.weights.shape == (n_hidden, n_features)
        assert np.allclose(c.weights.T @ c.weights, expected, rtol=0, atol=5e-16)
        assert np.linalg.matrix_rank(c.weights) == n_hidden
        assert not c.weights.flags.writeable


@pytest.mark.parametrize(("n_features", "n_hidden"), [*SIZES, (7, 3), (8, 5)])
def test_name_is_the_phase_of_the_weights(n_features, n_hidden):
    """Names are unique, and the classifier finds the same phase in the numbers."""
    table = configurations(n_features, n_hidden)
    assert len({c.name for c in table}) == len({c.pattern for c in table}) == len(table)
    for c in table:
        assert classify(c.weights) == c.phase and c.phase.name == c.name
    assert [c.phase.extra for c in table] == sorted(
        (c.phase.extra for c in table), key=("not_represented", "dedicated", "superposition").index
    )


def test_patterns_are_written_as_in_the_paper():
    """2→1 shows the matrix, 3→2 the direction that is left out, smaller n_hidden the groups."""
    assert [c.pattern for c in configurations(2, 1)] == ["W = [1, 0]", "W = [0, 1]", "W = [1, −1]"]
    assert {c.pattern for c in configurations(3, 2)} == {
        f"W ⊥ [{s}]" for s in ("0, 0, 1", "1, 0, 0", "0, 1, 1", "1, 1, 0", "1, 1, 1")
    }
    assert "W: {2, 3} {4, 5}" in {c.pattern for c in configurations(5, 2)}


@pytest.mark.parametrize(("n_features", "n_hidden"), SIZES)
@pytest.mark.parametrize("activation", ["relu", "linear"])
def test_losses_agree_with_monte_carlo(n_features, n_hidden, activation):
    """The closed form lies within four standard errors of the loss of sampled inputs, for every candidate."""
    extra, density = 0.7, 0.45
    model = ToyModel(n_hidden, [1.0] * (n_features - 1) + [extra], density, activation)
    x = model.sample(20_000, seed=n_features * 10 + n_hidden)
    for c in configurations(n_features, n_hidden, activation=activation):
        losses = (x - model.reconstruct(x, c.weights, c.bias(density))) ** 2 @ model.importance
        standard_error = losses.std() / np.sqrt(len(losses))
        assert abs(losses.mean() - c.expected_loss(extra, density)) < 4 * standard_error


def test_known_losses_of_the_small_models():
    """The table of THEORY §3, which includes the pattern that the paper leaves out, to rounding."""
    p = np.linspace(0.01, 1, 34)
    variance = p / 3 - p**2 / 4
    for extra in (0.2, 1.0, 6.0):
        known = {
            "W = [1, 0]": extra * variance,
            "W = [0, 1]": variance,
            "W = [1, −1]": (1 + extra) * p**2 / 6,
            "W ⊥ [0, 0, 1]": extra * variance,
            "W ⊥ [1, 0, 0]": variance,
            "W ⊥ [0, 1, 1]": (1 + extra) * p**2 / 6,
            "W ⊥ [1, 1, 0]": p**2 / 3,
            "W ⊥ [1, 1, 1]": (2 + extra) * (p**2 / 8 + p**3 / 24),
        }
        table = {c.pattern: c for c in (*configurations(2, 1), *configurations(3, 2))}
        assert table.keys() == known.keys()
        for pattern, c in table.items():
            assert np.allclose(c.expected_loss(extra, p), known[pattern], rtol=1e-14, atol=0)


def test_linear_model_loses_the_variance_of_what_it_drops_and_of_all_interference():
    """Without the ReLU and with bias 0: σ²(Σ(1 − G_ii)² + Σ G_ij²) and the squared mean error, by matrix algebra."""
    for n_features, n_hidden in SIZES:
        for c in configurations(n_features, n_hidden, activation="linear"):
            for extra, p in ((0.3, 0.2), (4.0, 1.0)):
                residual = np.eye(n_features) - c.weights.T @ c.weights
                mean_error = residual.sum(axis=1) * p / 2 - c.bias(p)
                loss = mean_error**2 + (p / 3 - p**2 / 4) * (residual**2).sum(axis=1)
                importance = np.array([1.0] * (n_features - 1) + [extra])
                assert c.expected_loss(extra, p) == pytest.approx(importance @ loss, rel=1e-13)


@pytest.mark.parametrize("configuration", [*configurations(4, 2), *configurations(5, 4)], ids=lambda c: c.name)
def test_extra_loss_is_the_slope_in_importance(configuration):
    """∂loss/∂importance from the symbolic form, and from a finite difference that is exact for a linear function."""
    density = np.array([0.05, 0.5, 1.0])
    slope = configuration.expected_loss(3.0, density) - configuration.expected_loss(2.0, density)
    assert np.allclose(configuration.extra_loss(density), slope, rtol=1e-12, atol=1e-15)
    derivative = sympy.diff(configuration.symbolic_loss(), IMPORTANCE)
    exact = [float(derivative.subs(DENSITY, sympy.Rational(p))) for p in ("1/20", "1/2", "1")]
    assert np.allclose(configuration.extra_loss(density), exact, rtol=1e-13, atol=1e-16)


def test_losses_broadcast_and_scalars_give_floats():
    """importance along columns and density along rows make a grid, entry by entry the scalar values."""
    c = configurations(3, 2)[-1]
    importance, density = np.array([0.5, 1.0, 2.0, 3.0]), np.array([0.1, 0.4, 1.0])
    grid = c.expected_loss(importance, density[:, None])
    assert grid.shape == (3, 4) and type(c.expected_loss(1.0, 0.5)) is float
    for i, p in enumerate(density):
        assert [c.expected_loss(x, p) for x in importance] == grid[i].tolist()
    assert c.bias(density[:, None]).shape == (3, 1, 3)


def test_biases_are_the_mean_where_not_represented():
    """density/2 on dropped features and 0 on the others."""
    c = next(c for c in configurations(4, 2) if c.dropped == (0, 3))
    assert c.bias(0.3).tolist() == [0.15, 0, 0, 0.15]
    assert np.array_equal(c.bias([0.2, 1.0]), [[0.1, 0, 0, 0.1], [0.5, 0, 0, 0.5]])


def test_dropped_bias_is_the_best_constant():
    """No other bias of a dropped feature has a lower loss: the sampled loss is stationary at density/2."""
    density = 0.6
    model = ToyModel(1, [1, 1], density)
    x = model.sample(100_000, seed=5)[:, 1]
    losses = [np.mean((x - b) ** 2) for b in (density / 2 - 0.02, density / 2, density / 2 + 0.02)]
    assert losses[1] < losses[0] and losses[1] < losses[2]


def test_configurations_are_values():
    """Equal groupings are equal and hash alike; the activation tells them apart."""
    one, two = configurations(3, 2)[0], Configuration(3, 2, configurations(3, 2)[0].groups)
    assert one == two and hash(one) == hash(two) and one is not two
    assert one != configurations(3, 2, activation="linear")[0]
    assert all(a != b for a, b in pairwise(configurations(5, 3)))


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_importance_and_density_outside_their_domains_are_named(value):
    """Whatever the number: inside the domain a finite loss, outside it an error that names the argument."""
    c = configurations(3, 2)[3]
    if 0 < value < np.inf and value < 1e300:
        assert np.isfinite(c.expected_loss(value, 0.5))
    elif not 0 < value < np.inf:
        with pytest.raises(ValueError, match=r"importance must be positive and finite, got"):
            c.expected_loss(value, 0.5)
    if 0 < value <= 1:
        assert c.expected_loss(1.0, value) >= 0
    else:
        for function in (lambda p: c.expected_loss(1.0, p), c.extra_loss, c.bias):
            with pytest.raises(ValueError, match=r"density must be in \(0, 1\], got"):
                function(value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((9, 2), "n_features must be a whole number from 2 to 8, got 9"),
        ((1, 1), "n_features must be a whole number from 2 to 8, got 1"),
        ((3, 3), r"n_hidden must be less than n_features \(3\), got 3"),
        ((3, 0), "n_hidden must be a whole number ≥ 1, got 0"),
        ((3.0, 2), "n_features must be a whole number from 2 to 8, got 3.0"),
        ((3, True), "n_hidden must be a whole number ≥ 1, got True"),
        (("3", 2), "n_features must be a whole number from 2 to 8, got '3'"),
    ],
)
def test_bad_sizes_are_named(arguments, message):
    """Sizes outside their domain are refused with name, domain and value."""
    with pytest.raises(ValueError, match=message):
        configurations(*arguments)


def test_unknown_activation_and_shapes_that_do_not_broadcast_are_named():
    """One error that names the argument."""
    with pytest.raises(ValueError, match='activation must be one of "relu", "linear", got None'):
        configurations(3, 2, activation=None)
    with pytest.raises(ValueError, match=r"importance \(3,\) and density \(2,\) must have shapes that broadcast"):
        configurations(3, 2)[0].expected_loss(np.ones(3), np.ones(2))
