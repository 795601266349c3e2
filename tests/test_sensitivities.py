"""Sensitivities against points that are solved again with a parameter moved."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import brentq, root

from phasediag import (
    Axis,
    ControlPlane,
    Penalty,
    ToyModel,
    boundary_sensitivity,
    expected_loss_and_gradient,
    expected_loss_hessian,
    fold_sensitivity,
    minimize,
    phase_diagram,
    triple_point_sensitivity,
)
from phasediag._minimizing.flat import flatten, parts
from phasediag._minimizing.search import settle_model

MOVE = 1e-5


def model_at(importance, density, move):
    """2→1 at a point, its parameters moved by (4,)."""
    return ToyModel(1, np.array([1.0, importance]) + move[:2], np.full(2, density) + move[2:])


def loss(model, start):
    """The loss at the end of a descent from flat parameters."""
    (end,) = settle_model(model, start[None], radius=0.05)
    return end.scaled_loss * model.loss_scale


def flat(minimum):
    """A minimum's flat parameters."""
    return flatten(minimum.weights, minimum.bias)


def minima_at(model, starts):
    """The Minimum at the end of a descent from each of some flat parameters."""
    template = minimize(model)[0]
    ends = [parts(one.x, 1) for one in settle_model(model, np.array(starts), radius=0.05)]
    return [replace(template, weights=weights, bias=bias) for weights, bias in ends]


def differences(solve):
    """Derivatives of a solved point (n,) in the four parameters, by central differences: shape (n, 4)."""
    moves = MOVE * np.eye(4)
    return np.transpose([(np.atleast_1d(solve(move)) - np.atleast_1d(solve(-move))) / (2 * MOVE) for move in moves])


@pytest.mark.quick
def test_boundary_moves_as_it_does_when_solved_again():
    """Dropped and strong pair at importance 0.5: the density of the boundary, for each importance and each density."""
    starts = [flat(one) for one in minimize(ToyModel(1, [1.0, 0.5], 0.48))]

    def solve(move):
        return brentq(lambda p: np.diff([loss(model_at(0.5, p, move), x) for x in starts])[0], 0.475, 0.505, xtol=1e-15)

    density = solve(np.zeros(4))
    minima = minima_at(model_at(0.5, density, np.zeros(4)), starts)
    assert np.abs(minima[0].weights - minima[1].weights).max() > 0.5
    found = boundary_sensitivity(*minima)
    assert found.parameters == ("importance[0]", "importance[1]", "density[0]", "density[1]")
    assert np.allclose(found.derivatives, differences(solve), rtol=1e-6)
    assert found.derivatives[0, :2] @ [1.0, 0.5] == pytest.approx(0, abs=1e-9)  # only the ratio of importances counts


def test_triple_point_moves_as_it_does_when_solved_again():
    """Three pairs at equal importances: both coordinates."""
    starts = [np.array([0.95, -0.6, 0.18, 0.37]), np.array([0.6, -0.95, 0.37, 0.18]), np.array([0.84, -0.84, 0.26, 0.26])]

    def solve(move):
        def gaps(u):
            losses = [loss(model_at(*u, move), x) for x in starts]
            return [losses[1] - losses[0], losses[2] - losses[0]]

        return root(gaps, [1.0, 0.7064036926732], tol=1e-14).x

    importance, density = solve(np.zeros(4))
    assert (importance, density) == pytest.approx((1.0, 0.7064036926732), abs=1e-9)
    minima = minima_at(model_at(importance, density, np.zeros(4)), starts)
    assert np.allclose(triple_point_sensitivity(*minima).derivatives, differences(solve), rtol=1e-5, atol=1e-6)


def test_fold_moves_as_it_does_when_solved_again():
    """The strong pair ceases at a fold: its density at importance 0.5."""

    def equations(z, move):
        model, x, d = model_at(0.5, z[8], move), z[:4], z[4:8]
        gradient = np.concatenate([part.ravel() for part in expected_loss_and_gradient(model, *parts(x, 1))[1:]])
        return np.concatenate([gradient, expected_loss_hessian(model, *parts(x, 1)) @ d, [d @ d - 1]])

    density, x = 0.48, flat(minimize(ToyModel(1, [1.0, 0.5], 0.48))[0])
    while True:
        (end,) = settle_model(model_at(0.5, density + 1e-3, np.zeros(4)), x[None], radius=0.01)
        if abs(end.x[1]) < 0.1:
            break
        density, x = density + 1e-3, end.x
    soft = np.linalg.eigh(expected_loss_hessian(model_at(0.5, density, np.zeros(4)), *parts(x, 1)))[1][:, 0]
    start = root(equations, np.concatenate([x, soft, [density]]), args=(np.zeros(4),), tol=1e-14).x
    solved = differences(lambda move: root(equations, start, args=(move,), tol=1e-14).x[8])
    found = fold_sensitivity(model_at(0.5, start[8], np.zeros(4)), *parts(start[:4], 1))
    assert np.allclose(found.derivatives, solved, rtol=1e-5, atol=1e-7)


def test_minima_must_be_of_one_model():
    """Minima of two models, and other coordinates, are refused."""
    (one, *_), (other, *_) = (minimize(ToyModel(1, [1.0, 0.5], p)) for p in (0.4, 0.5))
    with pytest.raises(ValueError, match="of one model"):
        boundary_sensitivity(one, other)
    with pytest.raises(ValueError, match="coordinate"):
        boundary_sensitivity(one, one, coordinate="sparsity")


def test_every_law_has_sensitivities():
    """A penalty moves a boundary as the penalty itself says: its derivatives are Σ‖W_i‖² and Σ_{i≠j} (W_i·W_j)²."""
    model = ToyModel(1, [1.0, 0.56], 0.51, penalty=Penalty(weights=1e-4, interference=1e-4))
    one, other, *_ = minimize(model)
    found = boundary_sensitivity(one, other, coordinate="importance")
    by_name = dict(zip(found.parameters, found.derivatives[0], strict=True))
    last = other.feature_loss[1] - one.feature_loss[1]
    products = [weights.T @ weights for weights in (one.weights, other.weights)]
    weights = np.trace(products[1]) - np.trace(products[0])
    interference = 2 * (products[1][0, 1] ** 2 - products[0][0, 1] ** 2)
    assert by_name["penalty[0]"] == pytest.approx(-weights / last, rel=1e-6)
    assert by_name["penalty[1]"] == pytest.approx(-interference / last, rel=1e-6)


def test_other_coordinates_move_as_they_do_when_solved_again():
    """The slope at which the antipodal pair dies, solved again by following it along lines with parameters moved."""
    line = Axis("slope", np.linspace(0.6, 0.9, 4), log=False)

    def solve(move):
        base = ToyModel(1, np.array([1.0, 0.5]) + move[:2], np.full(2, 0.1) + move[2:], "leaky", slope=0.0)
        (boundary,) = phase_diagram(plane=ControlPlane(base, line)).boundaries()
        return boundary.x[0]

    (boundary,) = phase_diagram(plane=ControlPlane(ToyModel(1, [1.0, 0.5], 0.1), line)).boundaries()
    model = ToyModel(1, [1.0, 0.5], 0.1, "leaky", slope=float(boundary.x[0]))
    template = minimize(model)[0]
    sides = [replace(template, weights=w, bias=b) for w, b in (parts(x, 1) for x in boundary.minima[:, 0])]
    found = boundary_sensitivity(*sides, coordinate="slope")
    assert found.coordinates == ("slope",) and found.parameters[-1] == "slope[0]"
    assert np.allclose(found.derivatives[:, :4], differences(solve), rtol=1e-6)
    assert found.derivatives[0, 4] == pytest.approx(-1)  # the slope's own: what it would have to make up for
    with pytest.raises(ValueError, match="coordinate must be one of importance, density, slope, or like density_of_2, got"):
        boundary_sensitivity(*sides, coordinate="weight_penalty")
