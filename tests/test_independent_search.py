"""An independent search for lower minima: that of `independent_search.py`.

The sample that runs with the suite takes a few control points; ``pytest -m campaign`` takes some hundreds.
"""

from types import SimpleNamespace

import numpy as np
import pytest
from independent_search import STARTS, descend_all, distinct, lowest_point

import phasediag._loss.contour_batch as loss_module
from phasediag import ToyModel, expected_loss, minimize, phase_diagram
from phasediag._minimizing.flat import flatten, parts

SIZES = [(2, 1), (3, 2), (4, 2), (4, 3), (5, 2)]
LOWER = 1e-9  # relative
SAME_LOSS = 1e-8  # relative: both searches have found the lowest minimum
NODES = 512


@pytest.fixture(autouse=True)
def few_nodes(monkeypatch):
    """Let the contour integral give up early: few features with small weights are cheaper to enumerate."""
    monkeypatch.setattr(loss_module, "MOST_NODES", NODES)


def control_points(shape, count):
    """Seeded models over the paper's plane, some on its lines importance 1 and density 1, some with features all different."""
    n, m = shape
    generator = np.random.default_rng([n, m, 17])
    for k in range(count):
        importance = np.ones(n)
        importance[-1] = 1.0 if k % 7 == 3 else 10 ** generator.uniform(-1, 1)
        density = 1.0 if k % 11 == 5 else 10 ** generator.uniform(-2, 0)
        if k % 6 == 4:
            importance, density = 10 ** generator.uniform(-0.5, 0.5, size=n), 10 ** generator.uniform(-1.5, 0, size=n)
        yield ToyModel(m, importance, density), generator


def excess(shape, count, n_starts=STARTS):
    """For each control point, how far the loss of minimize lies above the independent one, relative."""
    found = []
    for model, generator in control_points(shape, count):
        found.append(minimize(model)[0].loss / lowest_point(model, n_starts, generator)[0] - 1)
    return np.array(found)


def one_hot_loss(weights, bias):
    """The loss of equal features of which one is active, and its gradients by weights (B, m, n) and biases ≤ 0 (B, n).

    The closed form of Chen et al. 2023, Lemma 3.1.
    """
    gram, b, diagonal = np.swapaxes(weights, 1, 2) @ weights, bias[:, :, None], np.eye(bias.shape[1], dtype=bool)
    seen = ~diagonal & (gram > 0) & (gram > -b)
    c = np.where(seen, gram, 1.0)
    beside = np.where(seen, c + b, 0.0)
    own = gram[:, diagonal]
    stored = (own > 0) & (own > -bias)
    a, t = np.where(stored, own, 1.0), np.where(stored, bias, 0.0)
    alone = np.where(stored, t**3 / a**2 + t**3 / a + (1 - a) ** 2 - 3 * (1 - a) * t + 3 * t**2, 1.0)
    by_gram = 3 * beside**2 / c - beside**3 / c**2
    by_gram[:, diagonal] = np.where(stored, -2 * t**3 / a**3 - t**3 / a**2 - 2 * (1 - a) + 3 * t, 0.0)
    by_bias = np.sum(3 * beside**2 / c, axis=2) + np.where(stored, 3 * t**2 / a**2 + 3 * t**2 / a - 3 * (1 - a) + 6 * t, 0.0)
    loss = np.sum(beside**3 / c, axis=(1, 2)) + np.sum(alone, axis=1)
    return loss / 3, weights @ (by_gram + np.swapaxes(by_gram, 1, 2)) / 3, by_bias / 3


def least_one_hot_loss(n, m, generator):
    """The least one-hot loss of n equal features in m dimensions that limited-memory BFGS reaches from columns of length 1."""

    def objective(x):
        """Losses and gradients at flat weights and roots of minus the biases."""
        weights, root = parts(x, m)
        loss, by_weights, by_bias = one_hot_loss(weights, -(root**2))
        return loss, flatten(by_weights, -2 * root * by_bias)

    weights = generator.normal(size=(STARTS, m, n))
    weights /= np.linalg.norm(weights, axis=1, keepdims=True)
    return np.min(descend_all(objective, flatten(weights, generator.uniform(0.3, 0.9, size=(STARTS, n))))[1])


@pytest.mark.parametrize(("n", "m"), [(3, 1), (4, 2), (5, 2), (6, 2), (7, 2), (6, 3)])
def test_rare_features_have_the_least_one_hot_loss(n, m):
    """As density falls L*/p tends to the least one-hot loss, which another search on its closed form finds no lower."""
    density, least = 1e-6, least_one_hot_loss(n, m, np.random.default_rng([n, m]))
    assert minimize(ToyModel(m, np.ones(n), density))[0].loss / density == pytest.approx(least, abs=20 * n * density)


def test_the_one_hot_loss_is_that_of_rare_features():
    """It is expected_loss / density as density falls, and its gradients are its differences."""
    generator, density, step = np.random.default_rng(0), 1e-7, 1e-6
    weights, bias = generator.normal(size=(20, 2, 5)), -generator.uniform(0, 1, (20, 5))
    loss, *gradients = one_hot_loss(weights, bias)
    assert np.allclose(expected_loss(ToyModel(2, np.ones(5), density), weights, bias) / density, loss, rtol=1e-5)
    for part, gradient in zip((weights, bias), gradients, strict=True):
        for k in np.ndindex(part.shape[1:]):
            kept, ends = part[:, *k].copy(), []
            for moved in (kept + step, kept - step):
                part[:, *k] = moved
                ends.append(one_hot_loss(weights, bias)[0])
            part[:, *k] = kept
            assert np.allclose((ends[0] - ends[1]) / (2 * step), gradient[:, *k], atol=1e-8)


def test_rough_ends_are_told_apart_by_what_they_are():
    """Two different ends with nearly one loss are both kept, mirror images of one of them are not."""
    one, other = np.array([1.0, -1.0, 0.1, 0.1]), np.array([1.0, -0.2, 0.1, 0.2])
    rough = [SimpleNamespace(x=x, fun=f) for x, f in ((one, 1 + 1e-6), (other, 1.0), (one * [-1, -1, 1, 1], 1 + 2e-6))]
    assert [end.fun for end in distinct(rough, 1, 2)] == [1.0, 1 + 1e-6]


@pytest.mark.parametrize("shape", [(2, 1), (3, 2)])
def test_no_other_search_finds_a_lower_loss(shape):
    """At a few control points another optimizer on another engine finds nothing lower, and mostly the same."""
    found = excess(shape, 3, n_starts=20)
    assert np.max(found) < LOWER
    assert np.sum(np.abs(found) < SAME_LOSS) >= 2


@pytest.mark.campaign
@pytest.mark.parametrize("shape", SIZES)
def test_no_other_search_finds_a_lower_loss_anywhere(shape):
    """At sixty control points of each size no independent start finds a loss lower by more than 1e-9 relative."""
    found = excess(shape, 60)
    same = np.sum(np.abs(found) < SAME_LOSS)
    print(f"{shape}: largest excess {found.max():.1e}, the same within {SAME_LOSS} at {same} of {found.size}")
    assert np.max(found) < LOWER
    assert same >= 0.95 * found.size  # a search that finds nothing would say nothing


@pytest.mark.campaign
@pytest.mark.parametrize("decay", [1.0, 0.9, 0.7])
@pytest.mark.parametrize("density", [0.002, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95])
@pytest.mark.parametrize("shape", [(n, m) for n in range(2, 11) for m in range(1, min(n - 1, 5) + 1)])
def test_no_other_search_finds_a_lower_loss_at_any_size(shape, density, decay):
    """With importances decay^i, from three seeds, minimize finds one lowest loss, and no independent start a lower one."""
    n, m = shape
    model = ToyModel(m, decay ** np.arange(n), density)
    found = [minimize(model, seed=seed)[0].loss for seed in range(3)]
    independent = lowest_point(model, STARTS, np.random.default_rng([n, m, 23]))[0]
    assert np.max(found) < min(np.min(found), independent) * (1 + LOWER)


def excess_of_diagram(shape, n_cells, n_random):
    """How far cells of a diagram over the paper's axes lie above the independent search, relative: shape (n_random,)."""
    n, m = shape
    axes = {"importance": np.geomspace(0.1, 10, n_cells), "density": np.geomspace(0.01, 1, n_cells)}
    diagram, generator, found = phase_diagram(n, m, **axes), np.random.default_rng([n, m, 29]), []
    for i, j in generator.integers(n_cells, size=(n_random, 2)):
        model = ToyModel(m, [*[1.0] * (n - 1), diagram.importance[j]], diagram.density[i])
        found.append(diagram.loss[i, j] / lowest_point(model, STARTS, generator)[0] - 1)
    return np.array(found)


@pytest.mark.campaign
@pytest.mark.parametrize("shape", [(6, 2), (6, 3), (7, 2), (8, 2)])
def test_no_cell_of_a_diagram_lies_above_another_search(shape):
    """At sixty random cells of the paper's plane no independent start finds a loss lower than the diagram's."""
    found = excess_of_diagram(shape, 24, 60)
    print(f"{shape}: largest excess {found.max():.1e}, the same within {SAME_LOSS} at {np.sum(np.abs(found) < SAME_LOSS)}")
    assert np.max(found) < LOWER


@pytest.mark.parametrize("shape", [(2, 1), (3, 2)])
def test_cells_of_the_diagram_are_the_global_minima(shape):
    """At random cells the diagram's loss and that of a multistart at the cell alone are the same."""
    n, m = shape
    diagram = phase_diagram(n, m, importance=np.geomspace(0.1, 10, 13), density=np.geomspace(0.01, 1, 13))
    generator = np.random.default_rng(5)
    for i, j in generator.integers(13, size=(12, 2)):
        model = ToyModel(m, [*[1.0] * (n - 1), diagram.importance[j]], diagram.density[i])
        assert diagram.loss[i, j] == pytest.approx(minimize(model, seed=generator)[0].loss, rel=1e-12)
