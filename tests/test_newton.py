"""Newton descent and one-sided curvature against finite differences of the public loss."""

from dataclasses import replace

import numpy as np
import pytest

from phasediag import ToyModel, configurations, expected_loss, expected_loss_and_gradient, expected_loss_hessian, minimize
from phasediag._compiling.jit import DOUBLES, INTEGERS, address, jit, offset, pointer
from phasediag._minimizing import newton
from phasediag._minimizing.eigenvectors import eigenvalues, eigenvectors, from_eigenvectors, room, to_eigenvectors
from phasediag._minimizing.flat import flatten
from phasediag._minimizing.one_hot import OneHotLoss
from phasediag._minimizing.stationary_points import bottoms, losses_of, settle
from phasediag._minimizing.trust_region import EVALUATE, EVALUATIONS, INTEGER_WORK, evaluate_scaled
from phasediag.forms import Form

COUNT = INTEGER_WORK + 1


def flat(minimum):
    """Weights row by row, then biases."""
    return np.concatenate([minimum.weights.ravel(), minimum.bias])


def scaled_gradient(model, x):
    """Gradient of loss / Σ_i I_i E x_i² at flat parameters, shape (…, size)."""
    m, n = model.n_hidden, model.n_features
    weights, bias = x[..., : m * n].reshape(*x.shape[:-1], m, n), x[..., m * n :]
    _, by_weights, by_bias = expected_loss_and_gradient(model, weights, bias)
    return np.concatenate([by_weights.reshape(*x.shape[:-1], -1), by_bias], axis=-1) / (
        model.importance @ model.feature_density / 3
    )


def rotations(weights):
    """Orthonormal directions in (weights, bias) along which the hidden space turns."""
    m, n = weights.shape
    generators = []
    for k in range(m):
        for l in range(k):
            turn = np.zeros((m, n))
            turn[k], turn[l] = weights[l], -weights[k]
            generators.append(np.concatenate([turn.ravel(), np.zeros(n)]))
    return np.linalg.qr(np.array(generators).T)[0] if generators else np.zeros(((m + 1) * n, 0))


def one_sided_curvatures(model, minimum, directions, step=1e-6):
    """Slope of the gradient along each direction, rotations projected out."""
    x, turn = flat(minimum), rotations(minimum.weights)
    directions = directions - directions @ turn @ turn.T
    directions = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    change = scaled_gradient(model, x + step * directions) - scaled_gradient(model, x)
    return np.sum(change * directions, axis=1) / step


def lowest_by_search(model, minimum, generator):
    """The lowest one-sided curvature that random directions and a random walk from the best of them find."""
    size = minimum.weights.size + minimum.bias.size
    sparse = generator.random((1500, size)) < generator.choice([0.2, 0.5, 1.0], size=(1500, 1))
    directions = generator.normal(size=(1500, size)) * (sparse + 1e-6)
    curvatures = one_sided_curvatures(model, minimum, directions)
    lowest, best, reach = curvatures.min(), directions[np.argmin(curvatures)], 0.3
    for _ in range(80):
        moved = best / np.linalg.norm(best) + reach * generator.normal(size=(30, size)) * (generator.random((30, size)) < 0.5)
        curvatures = one_sided_curvatures(model, minimum, moved)
        if curvatures.min() < lowest:
            lowest, best = curvatures.min(), moved[np.argmin(curvatures)]
        else:
            reach *= 0.9
    return lowest


CASES = [
    ((2, 1), 0.3, 0.75),
    ((2, 1), 0.3, 0.9),
    ((2, 1), 2.5, 0.2),
    ((3, 2), 2.5, 0.5),
    ((3, 2), 0.3, 0.9),
    ((3, 2), 1.0, 0.6),
    ((4, 2), 1.0, 0.1),
    ((4, 3), 1.0, 0.05),
    ((4, 3), 0.3, 0.75),
    ((5, 2), 2.5, 0.5),
]


@pytest.mark.parametrize(("shape", "importance", "density"), CASES)
def test_no_direction_curves_less_than_reported(shape, importance, density):
    """Second differences along thousands of directions, at kinked points too, stay above the reported curvature."""
    n, m = shape
    model, generator = ToyModel(m, [*[1.0] * (n - 1), importance], density), np.random.default_rng(3)
    for minimum in minimize(model, n_starts=8):
        assert lowest_by_search(model, minimum, generator) > minimum.curvature - 1e-5


@pytest.mark.parametrize(("shape", "importance", "density"), CASES[:6])
def test_some_direction_curves_as_little_as_reported(shape, importance, density):
    """Second differences along the direction found equal the reported curvature, which is therefore not too low."""
    n, m = shape
    model = ToyModel(m, [*[1.0] * (n - 1), importance], density)
    free = np.ones((m + 1) * n, dtype=bool)
    for minimum in minimize(model, n_starts=8):
        direction = np.empty((m + 1) * n)
        curvature = newton.lowest_curvature(flat(minimum), model.form, model.control, free, direction)
        assert np.linalg.norm(direction) == pytest.approx(1.0, rel=1e-12)
        assert one_sided_curvatures(model, minimum, direction[None])[0] == pytest.approx(curvature, abs=1e-5)
        assert curvature == pytest.approx(minimum.curvature, rel=1e-6, abs=1e-9)


def test_curvature_at_a_clear_minimum_is_cheap():
    """Where features are dedicated and even the least of all second derivatives is positive, a few of these are enough."""
    model, found = ToyModel(5, [1.0] * 6, 0.2), next(one for one in configurations(6, 5) if "pair" in one.name)
    x, here, direction = flatten(found.weights, found.bias(0.2)), newton.store(model.form), np.empty(36)
    here.numbers[EVALUATIONS] = 0
    curvature = newton.lowest_curvature(x, model.form, model.control, model.form.free, direction)
    x[30:] -= 1e-9 * (x[30:] == 0.0)  # outputs of dedicated features are off where the features are
    least, _ = newton.smooth_curvature(x, model.form, model.control, model.form.free)
    assert 0 < least <= curvature
    assert here.numbers[EVALUATIONS] < 60  # 185 where every start is followed


@pytest.mark.quick("_minimizing")
def test_curvature_away_from_kinks_is_the_lowest_eigenvalue():
    """Where no bias is 0, central differences of the gradient give the Hessian and its eigenvalues without rotations."""
    model = ToyModel(2, [1.0, 1.0, 1.0], 0.6)
    triangle = minimize(model, n_starts=8)[0]
    x, size, step = flat(triangle), 9, 1e-5
    differences = scaled_gradient(model, x + step * np.eye(size)) - scaled_gradient(model, x - step * np.eye(size))
    hessian = differences / (2 * step)
    across = np.linalg.svd(rotations(triangle.weights).T)[2][1:]
    lowest = np.linalg.eigvalsh(across @ (hessian + hessian.T) / 2 @ across.T)[0]
    assert triangle.curvature == pytest.approx(lowest, rel=1e-6)
    exact = expected_loss_hessian(model, triangle.weights, triangle.bias) / (3 * 0.6 / 3)
    assert np.allclose(hessian, exact, atol=1e-8)


@pytest.mark.parametrize("shape", [(2, 1), (3, 2), (5, 3)])
def test_descent_never_raises_the_loss_and_ends_flat(shape):
    """From random starts the loss falls, and the gradient by the public door vanishes at the end."""
    n, m = shape
    generator = np.random.default_rng(1)
    model = ToyModel(m, 10 ** generator.uniform(-0.5, 0.5, n), generator.uniform(0.1, 1, n))
    starts = generator.normal(size=(10, (m + 1) * n)) * 0.5
    kept = starts.copy()
    for start, end in zip(starts, settle(starts, model.form, np.tile(model.control, (10, 1))), strict=True):
        before = expected_loss(model, start[: m * n].reshape(m, n), start[m * n :])
        after = expected_loss(model, end.x[: m * n].reshape(m, n), end.x[m * n :])
        assert after <= before
        assert after == pytest.approx(model.importance @ end.feature_loss, rel=1e-13)
        assert after == pytest.approx(end.scaled_loss * (model.importance @ model.feature_density) / 3, rel=1e-13)
        if end.is_minimum:
            assert np.max(np.abs(scaled_gradient(model, end.x))) < 1e-11
    assert np.array_equal(starts, kept)


def test_a_saddle_is_left_downhill():
    """From W = 0, where the gradient is exactly 0, the descent goes on to one of the minima."""
    model = ToyModel(1, [1.0, 0.7], 0.3)
    x = np.array([[0.0, 0.0, 0.15, 0.15]])
    assert np.max(np.abs(scaled_gradient(model, x))) < 1e-15
    end = settle(x, model.form, model.control[None])[0]
    losses = [minimum.loss / (1.7 * 0.1) for minimum in minimize(model)]
    assert end.is_minimum and np.min(np.abs(np.array(losses) / end.scaled_loss - 1)) < 1e-12


@pytest.mark.quick("_minimizing")
def test_parameters_that_are_not_free_stay():
    """Fixed entries keep their bits; the gradient in the free ones vanishes."""
    model = ToyModel(2, [1.0, 1.0, 2.0], 0.4)
    x = np.random.default_rng(1).normal(size=(1, 9)) * 0.7
    free = np.array([True, False, True, True, True, False, True, True, True])
    end = settle(x, model.form, model.control[None], free=free)[0]
    assert np.array_equal(end.x[~free], x[0, ~free]) and not np.array_equal(end.x[free], x[0, free])
    assert np.max(np.abs(scaled_gradient(model, end.x)[free])) < 1e-11
    assert np.max(np.abs(scaled_gradient(model, end.x)[~free])) > 1e-3


@pytest.mark.parametrize("shape", [(3, 2), (4, 2), (5, 2), (6, 3)])
def test_derivatives_are_the_same_whatever_their_highest_order(shape):
    """Loss and gradient from a store for second derivatives do not depend on how many are asked for."""
    n, m = shape
    model, x = ToyModel(m, np.linspace(1.0, 0.5, n), 0.4), np.random.default_rng(n).normal(size=(m + 1) * n) * 0.6
    scale = model.importance @ model.feature_density / 3
    loss, *gradient = expected_loss_and_gradient(model, x[: m * n].reshape(m, n), x[m * n :])
    expected = np.concatenate([part.ravel() for part in gradient]) / scale
    store = newton.store(model.form)
    for order in (0, 1, 2):
        value = newton.evaluate(x, model.form, model.control, order)
        assert value == pytest.approx(loss / scale, rel=1e-13)
        if order > 0:
            assert np.allclose(newton.gradient_of(store), expected, rtol=0, atol=1e-13)


@jit(inner=True)
def counting(x, order, table):
    """The kernel, with a count of its own behind the table."""
    table[COUNT] += 1
    evaluate_scaled(x, order, table)


@pytest.mark.parametrize("values", ["uniform", "binary"])
def test_derivatives_of_many_are_those_of_each(values):
    """Losses, gradients and second derivatives at many points of many models, to the last bit; pinned ones too."""
    models = [ToyModel(2, [1.0, 1.0, importance], 0.3, values=values) for importance in (0.4, 0.7, 2.0)]
    points, form = np.random.default_rng(1).normal(0.0, 0.7, (3, 9)), models[0].form
    controls = np.array([model.control for model in models])
    pinned = newton.derivatives(points, form, controls, 2, pinned=True)[2]
    for k, found in enumerate(zip(*newton.derivatives(points, form, controls, 2), strict=True)):
        loss = newton.evaluate(points[k], form, controls[k], 2)
        store = newton.store(form)
        assert found[0] == loss
        assert np.array_equal(found[1], newton.gradient_of(store)) and np.array_equal(found[2], store.hessian)
        assert np.array_equal(pinned[k], newton.pinned_hessian(points[k], form, controls[k]))
    assert np.array_equal(newton.derivatives(points, form, controls, 0)[0], newton.derivatives(points, form, controls, 2)[0])


def test_every_evaluation_is_counted(monkeypatch):
    """Descents report each call of the kernel: the first and the last, those of steps and those of curvatures at a kink."""
    n, m, size = 3, 2, 12
    form = Form(m, n)
    store = newton._new_store(form)
    store = replace(store, table=np.append(store.table, 0))
    monkeypatch.setattr(newton, "store", lambda _: store)
    x, controls = np.random.default_rng(3).normal(size=(size, form.size)), np.tile([1.0, 1.0, 0.4, 0.7, 0.7, 0.7], (size, 1))
    store.table[EVALUATE] = address(counting, DOUBLES, 0, INTEGERS)
    x[0] = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.35]  # a minimum with kinks
    free, result = np.ones(x.shape[1], dtype=bool), np.empty((size, 5 + n))
    called = []
    for row in range(size):
        before = store.table[COUNT]
        one = slice(row, row + 1)
        newton.settle(x[one], form, controls[one], free, 400, 0.5, 1e-15, result[one])
        called.append(store.table[COUNT] - before)
    assert result[:, 3].tolist() == called and called[0] > 8 and min(called) >= 3
    end = settle(x[1:], form, controls[1:])  # from where they ended: no step, but a look at the curvature
    assert all(point.n_evaluations >= 3 for point in end)


@pytest.mark.parametrize("activation", ["relu", "linear"])
def test_bottoms_are_the_losses_that_descents_settle_at(activation):
    """Where no curvature is asked for, ends are the same bits: from random starts, saddles, kinks and minima."""
    model = ToyModel(2, [1.0, 1.0, 0.4], 0.15, activation=activation)
    rng = np.random.default_rng(0)
    starts = [rng.normal(size=(60, 9)), np.zeros((1, 9)), [flat(minimum) for minimum in minimize(model, seed=0)]]
    starts.append([np.append(c.weights, np.where(c.weights.any(axis=0), 0, 0.075)) for c in configurations(3, 2)])
    starts = np.concatenate(starts)
    controls = np.tile(model.control, (len(starts), 1))
    expected = losses_of(settle(starts, model.form, controls, radius=0.1), model.form, controls)
    assert np.array_equal(bottoms(starts, model.form, controls, radius=0.1, n_threads=2), expected)


def test_what_no_weights_may_be_reaches_no_kernel():
    """Steps at density 1e-300 are as long as 1e280; the kernel of losses wrote beyond its arrays there, and the process ended."""
    form, control = (model := ToyModel(1, [1.0, 0.5, 0.25, 0.1], 1e-300)).form, model.control
    for large in (1e30, 1e280, np.inf, np.nan):
        x = np.array([-large, 0.1, 0.2, 0.3, large, 0.1, -large, 0.2])
        assert newton.evaluate(x, form, control, 2) == np.inf and np.isnan(newton.gradient_of(newton.store(form))).all()
    assert minimize(ToyModel(2, model.importance, 1e-300), n_starts=4, effort="quick")


@pytest.mark.parametrize("density", [1e-9, 1e-12, 1e-15])
def test_minima_of_very_rare_features_are_those_of_the_limit(density):
    """3→1 has the same three minima at any small density, the lowest at the closed form of one active feature.

    Biases are as small as the density there, and count as 0 only where they are smaller still (below 1e-9 none were found).
    """
    limit = minimize(ToyModel(1, [1.0, 1.0, 1.0], 1e-6))
    found = minimize(ToyModel(1, [1.0, 1.0, 1.0], density))
    assert [one.phase.clusters for one in found] == [one.phase.clusters for one in limit]
    assert [one.loss / density for one in found] == pytest.approx([one.loss / 1e-6 for one in limit], rel=3e-6)
    closed = OneHotLoss(1, np.ones(3), np.ones(3))
    least, _ = closed.loss_and_gradient(flatten(found[0].weights, np.sqrt(np.maximum(-found[0].bias, 0.0)))[None])
    assert found[0].loss / density == pytest.approx(least[0] * closed.scale, rel=1e-9)


@jit(allocates=False)
def decompose(matrices, values, vectors, work):
    """`eigenvectors` of each of the matrices (B, size, size)."""
    size = matrices.shape[1]
    for k in range(matrices.shape[0]):
        at = k * size * size
        eigenvectors(
            offset(pointer(matrices), at), size, offset(pointer(values), k * size), offset(pointer(vectors), at), pointer(work)
        )


@jit(allocates=False)
def multiply(matrices, x, values, work):
    """Each of the matrices (B, size, size) times a row of x (B, size), in place, by way of eigenvectors that are not formed."""
    size = matrices.shape[1]
    for k in range(matrices.shape[0]):
        own = offset(pointer(x), k * size)
        n_rotations = eigenvalues(offset(pointer(matrices), k * size * size), size, pointer(values), pointer(work))
        to_eigenvectors(own, size, pointer(work), n_rotations)
        for i in range(size):
            own[i] *= values[i]
        from_eigenvectors(own, size, pointer(work), n_rotations)


@pytest.mark.parametrize("size", [1, 2, 4, 9])
def test_products_by_way_of_eigenvectors(size):
    """Parts along eigenvectors times eigenvalues, put together again: the product with the matrix."""
    rng = np.random.default_rng(size)
    square, x = rng.normal(size=(100, size, size)), rng.normal(size=(100, size))
    matrices, product = square + square.swapaxes(1, 2), x.copy()
    multiply(matrices, product, np.empty(size), np.empty(room(size)))
    assert np.allclose(product, np.einsum("bij,bj->bi", matrices, x), atol=1e-13, rtol=0)


@pytest.mark.parametrize("size", [1, 2, 4, 6, 9, 12])
def test_eigenvectors_are_those_of_lapack(size):
    """To rounding, of matrices at random, of low rank, of scales far apart, of whole numbers, zero: and lowest first."""
    rng = np.random.default_rng(size)
    square = rng.normal(size=(400, size, size)) * 10.0 ** rng.uniform(-8, 8, size=(400, 1, 1))
    square[::5] = np.einsum("bi,bj->bij", square[::5, 0], square[::5, 0])
    square[1::5] *= 10.0 ** rng.uniform(-30, 4, size=(80, size))[:, :, None]
    square[2::5], square[3] = rng.integers(-2, 3, size=(80, size, size)), 0.0
    matrices = square + square.swapaxes(1, 2)
    values, vectors = np.empty((400, size)), np.empty((400, size, size))
    decompose(matrices, values, vectors, np.empty(room(size)))
    scale = np.abs(matrices).max(axis=(1, 2), keepdims=True) * size + 1e-300
    assert np.all(np.abs(values - np.linalg.eigvalsh(matrices)) <= 1e-14 * scale[:, 0])
    assert np.all(np.diff(values, axis=1) >= 0)
    again = np.einsum("bk,bki,bkj->bij", values, vectors, vectors)
    assert np.all(np.abs(again - matrices) <= 1e-14 * scale)
    assert np.allclose(vectors @ vectors.swapaxes(1, 2), np.eye(size), atol=1e-13, rtol=0)
