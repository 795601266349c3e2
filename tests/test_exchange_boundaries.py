"""Boundaries on which a minimum begins to tell features apart that are alike: continuous ones, and what ends on them."""

from types import SimpleNamespace

import numpy as np
import pytest

from phasediag import ControlPlane, ToyModel, expected_loss, expected_loss_hessian
from phasediag._boundaries.continuation import follow
from phasediag._boundaries.curves import Coexistence
from phasediag._boundaries.equilibria import Solver
from phasediag._boundaries.exchanges import isotropy
from phasediag._boundaries.junctions import locate
from phasediag._boundaries.neighbours import excess, lower_minimum

NODE = 1.01520455011, 0.62562306477
"""Of 5→3: there the square pyramid begins to tell two pairs apart, and a triangle with a pair has its loss."""
PYRAMID = [[0.7863, -0.3487, 0.2188, 0.2188, -0.6460], [-0.3487, 0.7863, 0.2188, 0.2188, -0.6460], [0, 0, 0.8026, -0.8026, 0]]
PAIR = [[0, 0, 0.4411, 0.4411, -0.9200], [-0.8330, 0.8330, 0, 0, 0], [0, 0, 0.7885, -0.7885, 0]]
BIASES = [0.2344, 0.2344, 0.2344, 0.2344, 0.3642], [0.2509, 0.2509, 0.2733, 0.2733, 0.2568]


def solver_of(n_hidden, importance, density):
    """The solver of five features in a window, which knows of no other minimum."""
    axes = {"importance": np.geomspace(*importance, 2), "density": np.geomspace(*density, 2)}
    solver = Solver(SimpleNamespace(plane=ControlPlane.importance_density(5, n_hidden, **axes), theory="global"))
    solver.competitors = SimpleNamespace(lowest=lambda *_: None)
    return solver


def model_at(solver, u):
    """The model at a point."""
    importance, density = map(float, solver.values(u))
    return ToyModel(solver.m, [1.0] * 4 + [importance], density)


def solved(solver, weights, bias, at):
    """The stationary point next to rounded weights and biases, at an importance and a density."""
    u = solver.points(*at)
    return solver.stationary(solver.recognized(np.append(np.ravel(weights), bias), solver.all_free, u), u)


@pytest.fixture(scope="module")
def way():
    """The boundary of the pyramid, followed to where its minimum ceases."""
    solver = solver_of(3, (1.005, 1.03), (0.6245, 0.6275))
    at = 1.0165, 0.625633
    pair = solved(solver, PAIR, BIASES[1], at)

    def lowest(u, bound, _):
        """The pair where it is lower."""
        found = solver.stationary(pair, u)
        return found if found.loss < bound else None

    solver.competitors.lowest = lowest
    curve = Coexistence(solved(solver, PYRAMID, BIASES[0], at), pair)
    u = curve.onto(solver.points(*at))
    curve.move_to(u)
    sense = -np.sign(curve.tangent(u)[0])
    return follow(curve, u, sense, locate)


def test_a_boundary_ends_where_its_minimum_tells_alike_features_apart(way):
    """Of 5→3: by an independent loss the pyramid is flat there in one direction, which reverses as two pairs change places."""
    node = way.node
    assert way.end == "triple point" and node.states[0].family.values(node.u) == pytest.approx(NODE, abs=1e-9)
    state, other = node.states
    model = model_at(state.family, node.u)
    hessian = expected_loss_hessian(model, state.weights, state.x[15:]) / model.loss_scale
    spins = np.array([np.cross(axis, state.weights.T).T for axis in np.eye(3)]).reshape(3, 15)
    values, directions = np.linalg.eigh(hessian + np.pad(spins.T @ spins, (0, 5)))
    assert abs(values[0]) < 1e-10 < 1e-3 < values[1]
    bias = directions[15:, 0]
    assert bias == pytest.approx(bias[0] * np.array([1, 1, -1, -1, 0]), abs=1e-7) and abs(bias[0]) > 0.01
    losses = [expected_loss(model, one.weights, one.x[15:]) for one in (state, other)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-14)


def test_a_continuous_boundary_leaves_where_features_are_told_apart(way):
    """On it the pyramid is flat; beyond it the pyramid that has told two pairs apart is lower, and has a boundary of its own,
    which does not go on as that of the other."""
    starts = list(way.node.departures())
    (continuous,) = (one for one in starts if one[1].order == "continuous")
    own = next(one for one in starts if one[1].order == "first" and all(len(isotropy(s)[1]) == 4 for s in one[1].states))
    u, curve = continuous
    model, state = model_at(curve.family, u), curve.solve(u)[0]
    spins = np.array([np.cross(axis, state.weights.T).T for axis in np.eye(3)]).reshape(3, 15)
    hessian = expected_loss_hessian(model, state.weights, state.x[15:]) / model.loss_scale + np.pad(spins.T @ spins, (0, 5))
    assert abs(np.linalg.eigvalsh(hessian)[0]) < 1e-10 and curve.kind == "exchange breaking"
    u, curve = own
    apart = min(curve.states, key=lambda state: state.curvature)
    alike, model = curve.family.stationary(way.node.states[0], u), model_at(curve.family, u)
    losses = [expected_loss(model, one.weights, one.x[15:]) for one in (alike, apart)]
    assert len(isotropy(alike)[1]) == 8 and losses[1] < losses[0] * (1 - 1e-12)
    back = follow(curve, u, np.copysign(1.0, curve.tangent(u) @ (way.node.u - u)), locate)
    assert back.end == "triple point" and back.node.u == pytest.approx(way.node.u, abs=1e-9)


def test_a_minimum_that_tells_alike_features_apart_is_known_to_be_lower():
    """Of 5→2: where a minimum with three features alike has just ceased; by losses, too, it is lower by a part of 1.6e-10."""
    solver = solver_of(2, (1.09, 1.095), (0.834, 0.84))
    weights = [[0.28912, 0.28912, -0.88800, 0.28912, -0.08135], [0.06163, 0.06163, 0.15865, 0.06163, -0.99425]]
    alike = solved(solver, weights, [0.44812, 0.44812, 0.41451, 0.44812, 0.13916], (1.092864, 0.837093))
    lower = lower_minimum(alike.u, [alike])
    model = model_at(solver, alike.u)
    one, other = (expected_loss(model, state.weights, state.x[10:]) for state in (alike, lower))
    assert alike.curvature < -1e-6 and [len(isotropy(state)[1]) for state in (alike, lower)] == [6, 2]
    assert 1 - other / one == pytest.approx(1.64e-10, rel=1e-2) and lower.stable
    assert excess(alike, lower, alike.u) == pytest.approx(other - one, rel=1e-4)
