"""Barriers: passes against floods and other strings, gradients and curvatures by differences, and what training visits."""

import json
import pickle
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from phasediag import (
    ToyModel,
    barrier,
    depths,
    expected_loss,
    expected_loss_and_gradient,
    inspect,
    minimize,
    phase_diagram,
    train,
)
from phasediag._minimizing.flat import parts

COARSE, FINE = 0.02, 0.01
"""Steps of the grid of a flood."""


def two_to_one(importance, density):
    """The model 2→1."""
    return ToyModel(1, [1.0, importance], density)


@cache
def minima_of(n_hidden, importance, density):
    """The minima of n_hidden + 1 features, of which the last has another importance."""
    return minimize(ToyModel(n_hidden, [*[1.0] * n_hidden, importance], density))


def lowest_over_biases(model, weights):
    """The loss of 2→1 over weights (n, 2), each bias at its best: bisection of the slope, which is increasing in a bias."""
    low, high = -2.0 * np.ones_like(weights), 2.0 * np.ones_like(weights)
    for _ in range(30):
        middle = (low + high) / 2
        rising = expected_loss_and_gradient(model, weights[:, None], middle)[2] > 0
        low, high = np.where(rising, low, middle), np.where(rising, middle, high)
    return expected_loss(model, weights[:, None], (low + high) / 2)


def flood(model, start, end, step):
    """The level at which water rising over a grid of (w1, w2) joins two points: points enter by height and unite."""
    axis = np.arange(-1.2, 1.2 + step / 2, step)
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1)
    losses = lowest_over_biases(model, grid.reshape(-1, 2))
    size, parent = axis.size, np.full(losses.size, -1)
    near = [int(np.argmin(np.sum((grid.reshape(-1, 2) - w) ** 2, axis=1))) for w in (start, end)]

    def top(k):
        while parent[k] != k:
            parent[k] = k = parent[parent[k]]
        return k

    for k in np.argsort(losses):
        parent[k] = k
        for down, right in ((i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)):
            i, j = divmod(k, size)
            if 0 <= i + down < size and 0 <= j + right < size and parent[k + down * size + right] >= 0:
                parent[top(k + down * size + right)] = top(k)
        if all(parent[one] >= 0 for one in near) and top(near[0]) == top(near[1]):
            return losses[k]
    raise AssertionError("never joined")


@pytest.mark.parametrize(("importance", "density"), [(0.56, 0.51), (0.9, 0.1)])
def test_pass_of_2_to_1_is_that_of_a_flood(importance, density):
    """Rising water joins the minima, or copies of the opposite sign, where the barrier says: to second order in the step."""
    lowest, other, *_ = minima_of(1, importance, density)
    model, found = two_to_one(importance, density), barrier(other, lowest)
    errors = []
    for step in (COARSE, FINE):
        levels = [flood(model, other.weights[0], sign * lowest.weights[0], step) for sign in (1, -1)]
        errors.append(abs(min(levels) - found.loss))
    assert errors[0] < 0.08 * found.height and errors[1] < 0.02 * found.height


def finite_hessian(model, weights, bias, step=1e-5):
    """Central differences of the exact gradient, shape (size, size)."""
    x = np.concatenate([weights.ravel(), bias])

    def gradient(y):
        return np.concatenate([part.ravel() for part in expected_loss_and_gradient(model, *parts(y, model.n_hidden))[1:]])

    return np.array([(gradient(x + step * e) - gradient(x - step * e)) / (2 * step) for e in np.eye(x.size)])


@pytest.mark.parametrize(("n_hidden", "importance", "density"), [(1, 0.56, 0.51), (2, 0.6, 0.52)])
def test_pass_is_a_saddle_of_index_one(n_hidden, importance, density):
    """The public gradient vanishes to rounding; its differences have one negative eigenvalue, and one 0 for each rotation."""
    found = depths(minima_of(n_hidden, importance, density))
    for one in (one for one in found if one is not None):
        model = one.model
        gradient = expected_loss_and_gradient(model, one.weights, one.bias)[1:]
        assert max(np.max(np.abs(part)) for part in gradient) < 1e-14 * model.loss_scale
        values = np.linalg.eigvalsh(finite_hessian(model, one.weights, one.bias)) / model.loss_scale
        rotations = n_hidden * (n_hidden - 1) // 2
        assert one.index == np.sum(values < -1e-6) == 1
        assert np.sum(np.abs(values) < 1e-6) == rotations
        assert values[0] == pytest.approx(one.curvature, rel=1e-4)
        assert one.height > 0 and np.all(one.path_loss[::2].max() < one.loss)


def test_pass_of_3_to_2_is_that_of_another_optimizer():
    """A nudged elastic band by plain gradient descent is nowhere lower than the pass, and its top comes to it."""
    _, middle, high = minima_of(2, 0.6, 0.52)
    found = barrier(high, middle)
    assert found.is_direct
    model, images = found.model, np.linspace(0, 1, 41)[:, None]
    points = found.path[0] + images * (found.path[-1] - found.path[0])
    for _ in range(1500):
        _, *gradient = expected_loss_and_gradient(model, *parts(points, 2))
        force = -np.concatenate([gradient[0].reshape(len(points), -1), gradient[1]], axis=1) / model.loss_scale
        tangent = np.gradient(points, axis=0)
        tangent /= np.linalg.norm(tangent, axis=1)[:, None]
        spring = np.linalg.norm(points[2:] - points[1:-1], axis=1) - np.linalg.norm(points[1:-1] - points[:-2], axis=1)
        force -= np.sum(force * tangent, axis=1)[:, None] * tangent
        force[1:-1] += spring[:, None] * tangent[1:-1]
        points[1:-1] += 0.15 * force[1:-1]
    ends = 0, 40  # of positions along the band, which is a path: its highest point
    for _ in range(3):
        at = np.linspace(*ends, 2001)
        losses = expected_loss(model, *parts(np.transpose([np.interp(at, np.arange(41), column) for column in points.T]), 2))
        ends, top = (max(at[np.argmax(losses)] - 0.05, 0), min(at[np.argmax(losses)] + 0.05, 40)), losses.max()
    assert -1e-12 < top / found.loss - 1 < 0.02 * found.height / found.loss


def test_pass_where_second_derivatives_jump():
    """A feature that passes through 0, from one sign to the other: both ways down by differences, all other directions up."""
    lowest, other = minima_of(1, 2.0, 0.2)
    found = barrier(other, lowest)
    assert np.min(np.abs(found.weights)) < 1e-12 and found.index == 1 and found.gradient_norm < 1e-12
    model, x = found.model, np.concatenate([found.weights.ravel(), found.bias])
    aside = 1e-3 * np.random.default_rng(0).normal(size=(20000, 4))
    entering = int(np.argmin(np.abs(found.weights[0])))
    higher = expected_loss(model, *parts(x + aside, 1)) > found.loss
    for sign in (1, -1):  # the lower points lie on both sides
        assert not np.all(higher[sign * aside[:, entering] > 0])
    aside[:, entering] = 0.0  # and none between
    assert np.all(expected_loss(model, *parts(x + aside, 1)) > found.loss)


def test_state_that_no_training_visits_is_shallow():
    """3→2, equal features, density 0.05: the triangle is a minimum, in a basin about p/2 wide; no trained model ends in it."""
    lowest, triangle = minima_of(2, 1.0, 0.05)
    out, back = barrier(triangle, lowest), barrier(lowest, triangle)
    assert out.loss == pytest.approx(back.loss, rel=1e-12) and np.allclose(out.heights, back.heights[::-1], rtol=1e-9)
    assert out.height < 1e-3 * triangle.loss and back.height > 0.1 * lowest.loss
    assert np.linalg.norm(out.path[1] - out.path[0]) < 0.1  # the edge of its basin; the lowest minimum lies ten times as far
    assert np.linalg.norm(out.path[2] - out.path[0]) > 0.7
    run = train(out.model, n_models=200, n_steps=4000, batch_size=256, learning_rate=3e-3, seed=0)
    assert np.all(run.loss < 0.95 * triangle.loss)


def test_chain_goes_over_intermediate_minima():
    """Where no pass leads down directly, the path names the minima between; each height is that of the highest pass."""
    lowest, _, high = minima_of(1, 0.9, 0.1)
    found = barrier(high, lowest)
    assert not found.is_direct and len(found.phases) == 3 and found.loss == found.path_loss.max()
    losses = [expected_loss(found.model, *parts(x, 1)) for x in found.path]
    assert np.allclose(losses, found.path_loss, rtol=1e-13)


@pytest.mark.quick
def test_copies_of_a_minimum_have_one_barrier():
    """Rotations and exchanged equal features change nothing; results pickle and show themselves."""
    lowest, other = minima_of(2, 1.0, 0.6)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(2, 2)))[0]
    copy = replace(lowest, weights=turn @ lowest.weights[:, [2, 0, 1]], bias=lowest.bias[[2, 0, 1]])
    one, same = barrier(other, lowest), barrier(other, copy)
    assert np.allclose(one.heights, same.heights, rtol=1e-9)
    again = pickle.loads(pickle.dumps(one))
    assert repr(again) == repr(one) and "heights" in again.text() and again.model == one.model


def test_minima_must_be_two_of_one_model():
    """One minimum twice, minima of two models, and what is no minimum are refused."""
    lowest, other = minima_of(1, 0.56, 0.51)
    with pytest.raises(ValueError, match="different minima"):
        barrier(lowest, lowest)
    with pytest.raises(ValueError, match="of one model"):
        barrier(lowest, minima_of(1, 0.9, 0.1)[0])
    with pytest.raises(ValueError, match="of one model"):
        barrier(lowest, 3)
    with pytest.raises(ValueError, match="must be those of their model"):
        barrier(lowest, replace(other, bias=other.bias + 0.1))
    assert depths([]) == [] and depths([lowest, other])[0] is None


def test_barriers_along_a_boundary():
    """On a first-order boundary both heights are one; a continuous one has none."""
    diagram = phase_diagram(2, 1, importance=np.geomspace(0.4, 0.7, 6), density=np.geomspace(0.4, 0.6, 6))
    for boundary in diagram.boundaries():
        if boundary.order == "continuous":
            with pytest.raises(ValueError, match="first-order"):
                boundary.barriers(2)
        elif np.max(boundary.latent_loss) > 1e-2:
            for found in boundary.barriers(3):
                assert found.height > 1e-6 and np.ptp(found.heights) < 1e-12 and found.index == 1


def test_depth_of_what_an_inspected_model_is_in():
    """Weights near the triangle at density 0.05 are in a shallow state; those of the lowest minimum in none to leave."""
    lowest, triangle = minima_of(2, 1.0, 0.05)
    found = inspect(triangle.model, triangle.weights + 1e-3, triangle.bias)
    assert found.metastable and found.depth().height == pytest.approx(barrier(triangle, lowest).height, rel=1e-6)
    assert inspect(lowest.model, lowest.weights, lowest.bias).depth() is None


def test_minimize_prints_barriers(run):
    """The command tells how deep the metastable minimum is, in words and as JSON."""
    options = "minimize", "--importance", 0.56, "--density", 0.51, "--barriers"
    code, out, _ = run(*options)
    assert code == 0 and "0.000912121 deep" in out and "passes found" in out
    code, out, _ = run(*options, "--json")
    first, second = json.loads(out)["minima"]
    assert first["barrier"] is None and second["barrier"]["index"] == 1
