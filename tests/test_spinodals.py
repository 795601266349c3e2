"""Spinodals: on each of their points a minimum ends that exists just before it."""

from types import SimpleNamespace

import numpy as np
import pytest

from phasediag import ToyModel, expected_loss_and_gradient, expected_loss_hessian, minimize, phase_diagram
from phasediag._boundaries.continuation import follow
from phasediag._boundaries.equilibria import Solver
from phasediag._boundaries.junctions import departed
from phasediag._boundaries.limits import FreeLimit, StabilityLimit
from phasediag._boundaries.normal_forms import order_coefficient, softest_breaking
from phasediag._boundaries.spinodals import Limit, Limits, Places, _ceases, _changed, _ends_of, trail_of
from phasediag._boundaries.tolerances import PLACES

NEAR = 2e-5
"""Minima are sought this far beside a spinodal, in the logarithms of importance and density."""
FAR = 5e-3
"""Only where no spinodal of the diagram has an end, or another passes, that is as near as this."""


@pytest.fixture(scope="module")
def two_to_one():
    """The global 2→1 diagram around the triple points at importance 1 and 1.77."""
    return phase_diagram(2, 1, importance=np.geomspace(0.9, 2.2, 9), density=np.geomspace(0.4, 1.0, 12))


@pytest.fixture(scope="module")
def spinodals(two_to_one):
    """The spinodals of the diagram, each once: (points in the logarithms, minima)."""
    found = {}
    for boundary in two_to_one.boundaries():
        for spinodal in boundary.spinodals:
            points = np.log([spinodal.importance, spinodal.density]).T
            found[np.round(points[len(points) // 2], 6).tobytes()] = points, spinodal.minima
    return list(found.values())


def nearest(u, minimum):
    """How far from that of a spinodal the nearest minimum lies at a point, of those found from random starts."""
    (importance, density), own = np.exp(u), np.append(np.outer(minimum[:2], minimum[:2]), minimum[2:])
    found = minimize(ToyModel(1, [1.0, importance], density), n_starts=16)
    return min(np.max(np.abs(np.append(one.weights.T @ one.weights, one.bias) - own)) for one in found)


def test_one_minimum_ends_on_every_spinodal(spinodals):
    """Its minimum is next to each point on one side alone, as a search without any path tells."""
    checked = 0
    for k, (points, minima) in enumerate(spinodals):
        others = np.concatenate([other for l, (other, _) in enumerate(spinodals) if l != k] + [points[[0, -1]]])
        for i in range(1, len(points) - 1, 20):
            if np.min(np.linalg.norm(others - points[i], axis=1)) < FAR:
                continue
            along = points[i + 1] - points[i - 1]
            across = NEAR * np.array([-along[1], along[0]]) / np.linalg.norm(along)
            there, gone = sorted(nearest(points[i] + sense * across, minima[i]) for sense in (1, -1))
            assert there < 3 * NEAR**0.5 and gone > 1.5 * there, points[i]
            checked += 1
    assert checked > 15


def test_two_folds_meet_where_an_output_begins_to_be_clipped():
    """Of 2→1: in one point, to 1e-8. There the weak pair is flat, downhill both ways, and output 2 is 0 where x is [1, 0]."""
    diagram = phase_diagram(importance=np.geomspace(0.15, 0.65, 5), density=np.geomspace(0.15, 0.56, 5))
    folds = [one for one in diagram.spinodals() if one.kind == "fold" and "another limit" in one.ends]
    assert len(folds) == 2 and all(one.status == "whole" and not any(one.reasons) for one in folds)
    ends = [-one.ends.index("another limit") for one in folds]
    places = np.array([(one.importance[k], one.density[k]) for one, k in zip(folds, ends, strict=True)])
    assert np.ptp(places, axis=0).max() < 1e-8
    x, model = folds[0].minima[ends[0]], ToyModel(1, [1.0, places[0, 0]], places[0, 1])
    assert abs(x[0] * x[1] + x[3]) < 1e-9

    def hessian(y):
        """Second derivatives of the scaled loss at flat parameters."""
        return expected_loss_hessian(model, y[None, :2], y[2:]) / model.loss_scale

    values, vectors = np.linalg.eigh(hessian(x))
    assert abs(values[0]) < 1e-8 and values[1] > 1
    assert all(vectors[:, 0] @ hessian(x + step * vectors[:, 0]) @ vectors[:, 0] < -1e-6 for step in (1e-4, -1e-4))


def test_a_triangle_ceases_where_its_two_ordinary_features_tell_each_other_apart():
    """Of 3→2: one limit from edge to edge; on it the loss, by differences of its gradient, is flat in one more direction."""
    found = phase_diagram(3, 2, importance=np.geomspace(0.72, 0.9, 4), density=np.geomspace(0.5, 0.56, 4))
    (limit,) = (spinodal for spinodal in found.spinodals() if spinodal.phase == "extra in triangle")
    assert limit.density[0] == pytest.approx(0.5, rel=1e-14) and limit.importance[-1] == pytest.approx(0.72, rel=1e-14)
    assert limit.importance.size > 30
    for k in (10, 25, 40):
        model = ToyModel(2, [1.0, 1.0, limit.importance[k]], limit.density[k])

        def gradient(x, model=model):
            _, by_weights, by_bias = expected_loss_and_gradient(model, x[:6].reshape(2, 3), x[6:])
            return np.concatenate([by_weights.ravel(), by_bias])

        x = limit.minima[k]
        second = np.array([(gradient(x + step) - gradient(x - step)) / 2e-5 for step in 1e-5 * np.eye(9)])
        curvatures, directions = np.linalg.eigh((second + second.T) / 2)
        assert np.max(np.abs(curvatures[:2])) < 1e-7 < 1e-4 < curvatures[2]  # along the rotation, too
        norms = [np.linalg.norm((x + 1e-3 * directions @ way)[:6].reshape(2, 3)[:, :2], axis=0) for way in np.eye(9)[:2]]
        assert np.ptp(np.linalg.norm(x[:6].reshape(2, 3)[:, :2], axis=0)) < 1e-6 < 1e-5 < max(np.ptp(norm) for norm in norms)


@pytest.fixture(scope="module")
def where_limits_meet():
    """The global 3→2 diagram where limits of the antipodal pair and of the triangle meet, by two and two."""
    return phase_diagram(3, 2, importance=np.geomspace(1.25, 1.45, 4), density=np.geomspace(0.69, 0.73, 4))


def test_limits_of_one_minimum_end_in_one_point(where_limits_meet):
    """To 1e-8, on whatever curve it is reached: one more curvature vanishes there; and no limit of the window is left open."""
    found = where_limits_meet.spinodals()
    assert all(one.status == "whole" and not any(one.reasons) for one in found)
    ends = [(one.kind, np.log([one.x[k], one.y[k]])) for one in found for k in (0, -1) if one.ends[k] == "another limit"]
    pairs = [
        {kind, other}
        for i, (kind, place) in enumerate(ends)
        for other, there in ends[i + 1 :]
        if np.max(np.abs(place - there)) < 1e-8
    ]
    assert len(ends) == 6 and sorted(map(sorted, pairs)) == [
        ["exchange breaking", "fold"],
        ["exchange breaking", "symmetry breaking"],
        ["fold", "symmetry breaking"],
    ]


def test_the_softest_breaking_is_found_where_something_else_is_softer(where_limits_meet):
    """At the end of the pair's exchange limit two curvatures are 0; no start leads lower across its symmetry."""
    limit = next(one for one in where_limits_meet.spinodals() if one.kind == "exchange breaking" and "pair" in one.phase)
    solver, end = Solver(where_limits_meet.curves), -limit.ends.index("another limit")
    state, at_end = (
        solver.recognized(limit.minima[k], solver.all_free, solver.points(limit.x[k], limit.y[k]))
        for k in (1 if end == 0 else -2, end)
    )
    assert at_end.held and abs(softest_breaking(at_end)[0]) < 1e-7
    assert state.held and np.linalg.norm(state.softest[0][state.moving]) < 1e-3  # softer along what moves
    curvature, direction = softest_breaking(state)
    assert np.linalg.norm(direction[state.moving]) == pytest.approx(1.0, abs=1e-12)
    starts = np.random.default_rng(0).normal(size=(20, direction.size))
    assert curvature < min(softest_breaking(state, start)[0] for start in starts) + 1e-7


def test_a_fold_does_not_turn_back_before_its_third_derivative_jumps():
    """Of the triangle of 3→2: it has one sign up to a kink 6e-5 ahead, and the other one beyond, by differences beside that."""
    axes = {"importance": np.geomspace(1.0, 1.2, 2), "density": np.geomspace(0.5, 0.6, 2)}
    solver = Solver(phase_diagram(3, 2, **axes))
    weights = [0.8580043, -0.6212256, -0.5518837, -0.2941608, 0.6608939, -0.8547812, 0.2221016, 0.2221016, 0.0778979]
    u = solver.points(1.113526022819, 0.558139121593)
    curve = FreeLimit(solver.recognized(np.array(weights), solver.all_free, u))
    curve.move_to(curve.at(u, np.array([1.0, 0.0])))
    place = curve.at_support(curve.states[0].u)
    turned = curve.anew().cusp(curve.states[0].u)
    assert turned is None or np.linalg.norm(turned - u) > 100 * np.linalg.norm(place - u)
    assert curve.turning(place) == "another limit"
    x, (importance, density) = curve.solve(place)[0].x, solver.values(place)
    model, way = ToyModel(2, [1.0, 1.0, importance], density), np.zeros(9)
    way[curve.free] = curve._found[0]
    second = [
        way @ expected_loss_hessian(model, y[:6].reshape(2, 3), y[6:]) @ way for y in x + 2e-5 * np.arange(-2, 3)[:, None] * way
    ]
    below, above = second[1] - second[0], second[4] - second[3]
    assert below * above < 0 and max(second[0], second[4]) < second[2] + 1e-8  # downhill both ways


def test_a_minimum_ceases_ahead_and_not_behind():
    """Of 4→3: a triangle between two boundaries begins to tell two features apart on one side, on the other one lets in another.

    On both its limit was that of one side. Where it tells them apart a second derivative vanishes, besides that of a rotation.
    """
    solver = solver_of(4, 3, np.geomspace(0.1, 10, 2), np.geomspace(0.01, 1, 2))
    u, way, small = solver.points(0.9205745063634, 0.8696397284427), np.array([-0.830663740884, 0.556774415343]), -0.000238536726
    weights = [[0, 0, -1, 0], [1.0008839128165, small, 0, -0.0219028619204], [small, 1.0008839128165, 0, -0.0219028619204]]
    x = np.append(weights, [0.0084559552896, 0.0084559552896, 0, 0.4534625590503])
    own, kinds = solver.stationary(solver.recognized(x, solver.all_free, u), u), []
    for direction in (way, -way):
        point, curve = _ceases(u, direction, own, 0.0219)
        kinds.append(curve.kind)
        assert 0 < (point - u) @ direction < 1e-3
        if direction is way:
            (importance, density), x = solver.values(point), curve.solve(point)[0].x
            second = expected_loss_hessian(ToyModel(3, [1, 1, 1, importance], density), x[:12].reshape(3, 4), x[12:])
            lowest = np.linalg.eigvalsh(second[np.ix_(own.free, own.free)])[:3]
            assert np.all(np.abs(lowest[:2]) < 1e-12) and lowest[2] > 1e-7
    assert kinds == ["exchange breaking", "symmetry breaking"]


def test_where_a_fold_turns_back_does_not_depend_on_the_way_to_it():
    """Of 5→2: its cubic is that at each point itself, not at a guess of it; at the end third derivatives along it vanish."""
    solver = solver_of(5, 2, np.geomspace(1.05, 1.1, 2), np.geomspace(0.85, 0.9, 2))
    weights = [[-0.83481093, 0.24283991, 0.22969764, 0.24283991, 0.40440863]]
    weights += [[-0.34839058, 0.11622947, 0.14826189, 0.11622947, -0.91576227]]
    bias, u = [0.40547674, 0.45808627, 0.47228955, 0.45808627, 0.03260776], solver.points(1.073440968815531, 0.8864949101688038)
    curve = FreeLimit(solver.recognized(np.append(weights, bias), solver.all_free, u))
    curve.move_to(curve.at(u, np.array([1.0, 0.0]))[-2:])
    here, ends = curve.place(curve.states[0].u), []
    tangent = curve.tangent(here)
    tangent *= np.copysign(1.0, tangent[-1])  # towards density 1
    for step in (4e-4, 8e-4, 1.6e-3):
        ends.append(curve.changes(here, curve.at(here + step * tangent, tangent), "turns"))
        assert ends[-1] == pytest.approx(ends[0], abs=1e-12)
    (importance, density), x, way = solver.values(ends[-1]), curve.solve(ends[-1])[0].x, np.zeros(15)
    model, way[curve.free] = ToyModel(2, [1, 1, 1, 1, importance], density), curve.null_at(ends[-1])
    beside = x + 1e-3 * np.arange(-1, 2)[:, None] * way
    second = [way @ expected_loss_hessian(model, y[:10].reshape(2, 5), y[10:]) @ way for y in beside]
    assert abs(second[1]) < 1e-12 and second[2] == pytest.approx(second[0], rel=1e-2) and second[0] > 1e-8


@pytest.mark.campaign
def test_no_minimum_on_a_limit_is_a_more_symmetric_one():
    """Of 4→2 where a feature is about to leave its pair: its weights are 0 or longer than rounding makes them."""
    axes = {"importance": np.geomspace(1.3, 1.45, 3), "density": np.geomspace(0.6, 0.7, 3)}
    spinodals = phase_diagram(4, 2, **axes).spinodals()
    assert spinodals
    for spinodal in spinodals:
        lengths = np.linalg.norm(spinodal.minima[:, :8].reshape(-1, 2, 4), axis=1)
        assert np.all((lengths < 1e-14) | (lengths > 1e-5))


def solver_of(n_features, n_hidden, importance, density):
    """The solver of minima in a window; of a frozen diagram, for its cells do not count."""
    return Solver(phase_diagram(n_features, n_hidden, importance=importance, density=density, theory="frozen"))


def followed(axes, weights, bias, at, kind):
    """The limit of one kind of a minimum near some parameters at a point, in a window whose boundaries do not count."""
    solver = Solver(phase_diagram(len(bias), len(weights), theory="frozen", **axes))  # of which the window counts
    u = solver.points(*at)
    state = solver.recognized(np.concatenate([np.ravel(weights), bias]), solver.all_free, u)
    curve = kind(solver.stationary(state, u) if kind is StabilityLimit else state)
    place = curve.at(u, np.array([1.0, 0.0]))
    curve.move_to(place)
    return Limit.through(place, curve, Limits(solver, SimpleNamespace(boundaries=[])).locate).spinodal("", ())


def end_of(limit, why):
    """The minimum at the end of a limit that is called so, its model of 4→2, and the function of its gradient."""
    assert limit.status == "whole" and not any(limit.reasons)
    k = -limit.ends.index(why)
    model = ToyModel(2, [1.0, 1.0, 1.0, limit.importance[k]], limit.density[k])

    def gradient(x):
        """That of the loss, scaled, in flat parameters."""
        _, by_weights, by_bias = expected_loss_and_gradient(model, x[:8].reshape(2, 4), x[8:])
        return np.concatenate([by_weights.ravel(), by_bias]) / model.loss_scale

    return limit.minima[k], model, gradient


def test_a_limit_ends_where_a_feature_leaves_its_pair():
    """Of two pairs of 4→2: just as the weight of one feature vanishes the other pair begins to turn towards its row.

    The second derivatives beside, by differences of the gradient, are flat in both directions.
    """
    axes = {"importance": np.geomspace(1.335, 1.345, 2), "density": np.geomspace(0.6735, 0.676, 2)}
    weights, bias = [[0, 0, -0.00064, 1.0], [0.778, -0.778, 0, 0]], [0.3062, 0.3062, 0.3375, 0.0001]
    x, _, gradient = end_of(followed(axes, weights, bias, (1.33979, 0.67451), StabilityLimit), "another limit")
    assert x[2] == 0 and abs(x[11]) < 1e-12  # the feature has no weight
    beside = x + 1e-5 * np.array([0, 0, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0.2])
    moving, rest = [0, 1, 2], [3, 4, 5, 8, 9, 10, 11]  # the row of the one feature, and what both pairs leave free
    for _ in range(6):
        second = np.array([(gradient(beside + step) - gradient(beside - step)) / 2e-7 for step in 1e-7 * np.eye(12)])
        mixed = np.linalg.solve(second[np.ix_(rest, rest)], second[np.ix_(rest, moving)])
        beside[rest] -= np.linalg.solve(second[np.ix_(rest, rest)], gradient(beside)[rest])
    reduced = second[np.ix_(moving, moving)] - second[np.ix_(moving, rest)] @ mixed
    assert np.all(np.abs(np.linalg.eigvalsh(reduced)[:2]) < 1e-5)


def test_a_fold_ends_where_features_are_alike_again():
    """Of 4→2: folds of minima that tell two features apart end where the quartic vanishes along which these are alike.

    There the slope of the loss, the other parameters at their best, grows as the fifth power of the amplitude.
    """
    axes = {"importance": np.geomspace(0.9998, 1.0002, 2), "density": np.geomspace(0.918, 0.9183, 2)}
    weights = [[-0.4161351, -0.4146906, 0.0063722, 0.8299207], [0.7185862, -0.7194511, -0.004099, 0.000851]]
    bias = [0.4572974, 0.4545782, 0.4590373, 0.4528254]
    x, model, gradient = end_of(followed(axes, weights, bias, (0.9999519861, 0.9181220144), FreeLimit), "order changes")
    first, second = x.reshape(3, 4)[:, :2].T
    assert first[2] == pytest.approx(second[2], rel=1e-10)
    assert np.linalg.norm(first[:2]) == pytest.approx(np.linalg.norm(second[:2]), rel=1e-10)
    hessian = expected_loss_hessian(model, x[:8].reshape(2, 4), x[8:]) / model.loss_scale
    turn = np.append(np.array([[0, -1], [1, 0]]) @ x[:8].reshape(2, 4), np.zeros((1, 4)))
    values, vectors = np.linalg.eigh(hessian + np.outer(turn, turn))
    assert abs(values[0]) < 1e-9 < 1e-6 < values[1]
    along, across = vectors[:, 0], vectors[:, 1:]

    def slope(amplitude):
        y = x + amplitude * along
        for _ in range(20):
            hessian = expected_loss_hessian(model, y[:8].reshape(2, 4), y[8:]) / model.loss_scale + np.outer(turn, turn)
            y = y - across @ np.linalg.solve(across.T @ hessian @ across, across.T @ gradient(y))
        return gradient(y) @ along

    assert slope(2e-3) / slope(1e-3) == pytest.approx(32, rel=0.2)  # 2 if it were the first power, 8 if the third


def test_a_fold_ends_where_three_features_leave_the_row_of_a_fourth_at_once():
    """Of the tetrahedron of 4→3: their parts along that row are alike, as a vector √3 times as long as each.

    There the slope of the loss in these parts, the other parameters at their best, grows as the cube.
    """
    axes = {"importance": np.geomspace(0.9, 0.93, 2), "density": np.geomspace(0.414, 0.422, 2)}
    triangle = np.array([[-1, 0.5, 0.5, 0], [0, -(0.75**0.5), 0.75**0.5, 0]])
    weights = [[-0.00809157] * 3 + [1.00218743], *(1.01304295 * triangle)]
    limit = followed(axes, weights, [0.09531584] * 3 + [0.00214784], (0.92551802, 0.4206169), FreeLimit)
    assert limit.status == "whole" and sorted(limit.ends) == ["edge", "order changes"]
    end = -limit.ends.index("order changes")
    x, model = limit.minima[end], ToyModel(3, [1.0, 1.0, 1.0, limit.x[end]], limit.y[end])
    forms = np.zeros((5, 4, 4))  # the parts; norms, and biases, of the three features and of the fourth
    forms[0, 0, :3], forms[1, 1:3], forms[2, 0, 3], forms[3, 3, :3], forms[4, 3, 3] = -1, triangle, 1, 1, 1

    def gradient(y):
        """That of the scaled loss in the five numbers."""
        full = np.tensordot(y, forms, 1)
        _, by_weights, by_bias = expected_loss_and_gradient(model, full[:3], full[3])
        return np.tensordot(forms, np.vstack([by_weights, by_bias]), 2) / model.loss_scale

    def slope(part):
        y = np.array([part, np.linalg.norm(x[[0, 4, 8]]), np.linalg.norm(x[[3, 7, 11]]), x[12], part / 4])
        for _ in range(8):
            second = np.array([(gradient(y + step) - gradient(y - step)) / 2e-6 for step in 1e-6 * np.eye(5)])
            y[1:] -= np.linalg.solve(second[1:, 1:], gradient(y)[1:])
        return gradient(y)[0]

    assert slope(2e-3) / slope(1e-3) == pytest.approx(8, rel=0.01)


def test_a_mode_stays_itself_where_another_is_as_soft():
    """Of 4→3: the pair may turn to the row of either dedicated feature, a step along the limit to that where it did before.

    There the least second derivative beside, the other parameters at their best, is 0: of mixtures it was -1e-5.
    """
    solver = Solver(phase_diagram(4, 3, importance=np.geomspace(0.97, 1, 2), density=np.geomspace(0.94, 1, 2)))
    weights = [[0, 0, -1, 0], [0.986311462, 0, 0, -0.196349359], [0, 1, 0, 0]]
    u = solver.points(0.9787273169, 0.9608304732)
    x = np.append(weights, [0.104132965, 0, 0, 0.554931749])
    state = solver.stationary(solver.recognized(x, solver.all_free, u), u)
    curve, way = StabilityLimit(state), np.array([0.44, 0.9]) / np.hypot(0.44, 0.9)
    curve.move_to(curve.at(u, np.array([1.0, 0.0])))
    for step in (0.01, 0.0125, 0.015, 0.0175):
        trial = curve.anew()
        place = trial.at(u + step * way, way)
        trial.move_to(place)
        (importance, density), state = solver.values(place), trial.states[0]
        x, model = state.x + 1e-9 * trial.mode.direction, ToyModel(3, [1.0, 1.0, 1.0, importance], density)
        hessian = expected_loss_hessian(model, x[:12].reshape(3, 4), x[12:]) / model.loss_scale
        free, moving = state.resting, state.moving
        mixed = hessian[np.ix_(free, moving)]
        reduced = hessian[np.ix_(moving, moving)] - mixed.T @ np.linalg.solve(hessian[np.ix_(free, free)], mixed)
        along = trial.mode.direction[moving]
        assert abs(along @ reduced @ along) < 1e-7


def test_a_limit_ends_in_the_first_of_two_points():
    """Of the triangle of 3→2: where a fold meets its limit of exchange, 9e-4 before that meets the limit of a pair.

    Flat there is one more direction than the rotation and that in which two features tell each other apart.
    """
    axes = {"importance": np.geomspace(0.3, 3, 2), "density": np.geomspace(0.5, 1.0, 2)}
    weights, bias = [[-0.209353, 0.0369347, 0.9937833], [0.7250664, -0.7537811, 0.165505]], [0.367463, 0.367463, 0.0498203]
    limit = followed(axes, weights, bias, (1.3710356, 0.7169538), FreeLimit)
    assert limit.ends == ("another limit", "edge") and limit.x[0] == pytest.approx(1.39330232, abs=1e-8)
    x, model = limit.minima[0], ToyModel(2, [1.0, 1.0, limit.x[0]], limit.y[0])
    hessian = expected_loss_hessian(model, x[:6].reshape(2, 3), x[6:]) / model.loss_scale
    assert np.sum(np.abs(np.linalg.eigvalsh(hessian)) < 1e-7) == 3


def test_a_fold_ends_on_the_side_on_which_its_minimum_departs():
    """Of 3→2: the triangle's, on that of a dedicated feature beside a pair, which may turn to either one of that.

    On its side two second derivatives vanish besides that of the rotation, on the other one it has long been unstable.
    """
    solver, point = solver_of(3, 2, [1.2, 1.4], [0.65, 0.75]), (1.29923703, 0.702247375063)
    weights = [-0.015836821, 0.025581197, 0.999594201, 0.555419062, -0.896674923, 0.028512783]
    x, u = np.array([*weights, 0.414948412, 0.216655892, -0.000004635]), solver.points(*point)
    triangle = solver.stationary(solver.recognized(x, solver.all_free, u), u)
    end = next(end for end in _ends_of(FreeLimit(triangle), u) if end is not None)
    assert end.kind == "another limit" and np.linalg.norm(end.u - u) < 1e-5
    (importance, density), (state, *_) = solver.values(end.u), end.states
    model, way = ToyModel(2, [1.0, 1.0, importance], density), 1e-2 * departed(state, triangle)[1]
    own, other = (
        np.linalg.eigvalsh(expected_loss_hessian(model, y[:6].reshape(2, 3), y[6:])) for y in (state.x + way, state.x - way)
    )
    assert np.all(np.abs(own[:3]) < 1e-7) and own[3] > 0.1 and other[0] < -1e-3


def test_the_order_of_a_limit_changes_where_the_cubic_of_its_own_mode_vanishes():
    """Of a pair beside two dedicated features as beside one: sums of both modes are as soft, with other zeros by 4e-7."""
    ends = []
    for n in (3, 4):
        solver, weights, u = solver_of(n, n - 1, [0.1, 10], [0.01, 1]), np.zeros((n, n)), np.log([4.97991745, 0.28635057])
        weights[range(n - 2), range(n - 2)] = 1.0
        weights[n - 2, n - 2 :], weights[n - 1, n - 2 :] = (0.73614674, -1.03857899), (0.08639311, 0.00784231)
        limit = StabilityLimit(solver.stationary(solver.recognized(weights.ravel(), solver.all_free, u), u))
        limit.move_to(limit.at(u, np.array([1.0, 0.0])))
        here = limit.place(limit.states[0].u)
        way = limit.tangent(here) * -np.sign(limit.tangent(here)[-2])
        ends.append(_changed(limit, here, limit.at(here + 0.24 * way, way), "order changes").u)
    assert ends[0] == pytest.approx(ends[1], abs=2e-8)


def test_a_fold_ends_where_the_quartic_vanishes_beside_a_small_cubic():
    """Of 4→2: of the mode of a feature that is not represented; the cubic of 8e-7 leads folds on, ever nearer to the limit.

    Odd parts of the losses at amplitudes either way, from 0.003 to 0.03, the others at their best, say that the quartic is 0.
    """
    solver = solver_of(4, 2, [0.98, 1.0], [0.99, 1.0])
    weights = [-0.88408825, 0.341264175, 0.342051877, 0.002358859, 0.091193081, -0.573886864, 0.820322331, -0.003966775]
    u, bias = solver.points(0.9912079351, 0.9960409977), [0.393569741, 0.627006796, 0.393569741, 0.498912748]
    fold = FreeLimit(solver.recognized(np.array([*weights, *bias]), solver.all_free, u))
    end = next(end for end in _ends_of(fold, u) if end is not None)
    assert end.kind == "order changes" and np.linalg.norm(end.u - u) < 1e-5
    state, u = end.states[0], end.u
    amplitudes, x, free = np.geomspace(0.003, 0.03, 4), state.x, np.r_[0:3, 4:7, 8:12]
    along = np.zeros(12)
    along[[3, 7]] = -x[[1, 5]] / np.linalg.norm(x[[1, 5]])

    def slope(amplitude):
        """Of the loss in the amplitude, per amplitude, where the other parameters are best."""
        y = x + amplitude * along
        for _ in range(8):
            _, (gradient,), (hessian,) = solver.derivatives(y[None], u, pinned=True)
            y[free] -= np.linalg.solve(hessian[np.ix_(free, free)], gradient[free])
        return solver.derivatives(y, u, 1)[1] @ along / amplitude

    powers = amplitudes[:, None] ** [0, 2, 4, 6]
    even = [slope(amplitude) + slope(-amplitude) for amplitude in amplitudes]
    _, quartic, sixth, _ = np.linalg.solve(powers, np.array(even) / 2)
    assert abs(quartic) < 1e-3 * abs(sixth) * amplitudes[-1] ** 2


def test_the_quartic_of_a_mode_is_that_of_small_amplitudes():
    """Of 4→2 where another curvature is 3e-4: by differences of second derivatives along the mode."""
    at, x = (0.725782837, 0.535324431), [0.7937866, 0.4264382, 0, -0.7417177, -0.6161555, 0.9098875, 0, -0.178546]
    solver = solver_of(4, 2, [0.7, 0.8], [0.5, 0.6])
    u, x = solver.points(*at), np.array([*x, 0.119601, 0.119601, 0.2676622, 0.3119027])
    state = solver.stationary(solver.recognized(x, solver.all_free, u), u)
    model, mode, step = ToyModel(2, [1.0, 1.0, 1.0, at[0]], at[1]), StabilityLimit(state).mode.direction, 1e-3

    def hessian(y):
        """Second derivatives of the scaled loss at flat parameters."""
        return expected_loss_hessian(model, y[:8].reshape(2, 4), y[8:]) / model.loss_scale

    along = np.array([hessian(state.x + k * step * mode) @ mode for k in range(-2, 3)])
    third, fourth = (np.array(weights) @ along / 12 for weights in ([1, -8, 0, 8, -1], [-1, 16, -30, 16, -1]))
    values, vectors = np.linalg.eigh(hessian(state.x))
    parts = vectors[:, values > 1e-6].T @ third / step
    assert 1e-4 < values[values > 1e-6][0] < 1e-3
    quartic = fourth @ mode / step**2 - 3 * parts @ (parts / values[values > 1e-6])
    assert order_coefficient(state) == pytest.approx(quartic, rel=1e-4)


def test_a_fold_goes_along_a_limit_to_the_edge():
    """Of 4→2 near density 1, where the extra feature's weights fall to 4e-5, so that curvatures are 1e-11: to 1e-9 of the limit.

    At the end the triangle of the others is flat along both directions of that feature, and along the rotation.
    """
    solver = solver_of(4, 2, [0.99, 1.0], [0.99, 1.0])
    weights = [-0.7915599109439224, 0.2034633419036504, 0.5880965696404823, 3.8036008894701375e-05]
    weights += [-0.22206809734333743, 0.7965450409578476, -0.5744769434447861, 1.067080836896654e-05]
    bias = [0.4956319689149949, 0.495607753968388, 0.49560775396839046, 0.49705415116525903]
    u = solver.points(0.9955049397862247, 0.9941083038814407)
    fold, limits = (
        FreeLimit(solver.known(np.array(weights + bias), solver.all_free, u)),
        Limits(solver, SimpleNamespace(boundaries=[])),
    )
    ways = [follow(fold.anew(), u, sense, limits.locate) for sense in (1.0, -1.0)]
    way = max(ways, key=lambda one: one.trail[-1].u[1])
    (importance, density), x = solver.values(way.trail[-1].u), way.trail[-1].states[0].x
    assert way.end == "edge" and density == 1 and importance == pytest.approx(0.99542151311, abs=1e-9)
    model = ToyModel(2, [1.0, 1.0, 1.0, float(importance)], 1.0)
    values = np.linalg.eigvalsh(expected_loss_hessian(model, x[:8].reshape(2, 4), x[8:]) / model.loss_scale)
    assert not np.any(x[[3, 7]]) and np.sum(np.abs(values) < 1e-9) == 3


def test_of_equally_soft_modes_the_one_with_the_lowest_quartic_decides():
    """Of 5→2: two features may enter across a triangle's axis, one alone or both; which mixture is found first does not matter.

    By the losses' even part at amplitudes of one feature, the other one left out and the rest at its best.
    """
    solver = solver_of(5, 2, [0.8, 0.9], [0.6, 0.7])
    u, x, state = solver.points(0.854812280797, 0.654857056394), np.zeros(15), None
    x[[0, 3, 4, 5, 8, 9, 10, 11, 12, 13, 14]] = [
        0.6429996274,
        0.5393446441,
        -0.6961869401,
        -0.7196349057,
        0.8002688755,
        -0.047478825,
        0.1960473027,
        0.3274285282,
        0.3274285282,
        0.1960473027,
        0.4166273165,
    ]
    state = solver.stationary(solver.recognized(x, solver.all_free, u), u)
    axis, soft = state.weights[:, -1] / np.linalg.norm(state.weights[:, -1]), np.zeros((2, 15))
    soft[[0, 0, 1, 1], [1, 6, 2, 7]] = [-axis[1], axis[0]] * 2
    amplitudes, across = np.geomspace(0.003, 0.02, 4), np.linalg.svd(soft)[2][2:].T

    def slope(amplitude):
        """Of the loss in the amplitude, per amplitude, where the other parameters are best."""
        y = state.x + amplitude * soft[0]
        for _ in range(8):
            _, (gradient,), (hessian,) = solver.derivatives(y[None], u, pinned=True)
            y = y - across @ np.linalg.solve(across.T @ hessian @ across, across.T @ gradient)
        return solver.derivatives(y, u, 1)[1] @ soft[0] / amplitude

    slopes = [(slope(amplitude) + slope(-amplitude)) / 2 for amplitude in amplitudes]
    quartic = 6 * np.linalg.solve(amplitudes[:, None] ** [0, 2, 4, 6], slopes)[1]
    assert order_coefficient(state) == pytest.approx(quartic, rel=1e-3)


def test_a_fold_ends_where_a_triangle_lets_a_feature_go():
    """Of 4→3: a feature of its own row has cosines of 1e-5 with a triangle's; three of them count as √3 in a singular value."""
    x = [[-1.08636382e-5] * 3 + [1.000003], [-1.01463430, 0.507317147, 0.507317147, 0], [0, -0.878699075, 0.878699075, 0]]
    solver = solver_of(4, 3, [0.9, 1.0], [0.4, 0.5])
    u = solver.points(0.906632207, 0.416058926)
    state = solver.recognized(np.append(np.ravel(x), [0.0904421410] * 3 + [2.77641483e-6]), solver.all_free, u)
    symmetric = solver.symmetrized(state, u)
    assert state.clusters == [[0, 1, 2, 3]] and symmetric.clusters == [[0, 1, 2], [3]]
    end = next(end for end in _ends_of(FreeLimit(state), u) if end is not None)
    assert end.kind == "order changes" and np.hypot(*(np.array(solver.values(end.u)) - [0.90660962, 0.41605354])) < 1e-7


def test_a_limit_of_two_features_ends_where_it_becomes_one_of_three():
    """Of 5→2: where the cubic of the twofold mode vanishes too. From two places, in which the modes differ, to 1e-9."""
    solver, ends = solver_of(5, 2, [1.0, 1.2], [0.8, 0.9]), []
    for at, row, other, bias in (
        (
            (1.0927454292, 0.8363277060),
            [0.027876222, -0.120085313, -0.124729591, 0.988908664],
            [0.901522092, -0.270096577, -0.27016058, -0.128349308],
            [0.414784671, 0.44645863, 0.447714619, 0.143024607],
        ),
        (
            (1.0927766107, 0.8360013755),
            [0.027550393, -0.117541775, -0.126498217, 0.988850992],
            [0.901513303, -0.270109797, -0.270239427, -0.128390575],
            [0.414783948, 0.445503457, 0.447919409, 0.142503784],
        ),
    ):
        u, x = solver.points(*at), np.array([row, other, bias])[:, [0, 1, 2, 2, 3]].ravel()
        limit = FreeLimit(solver.recognized(x, solver.all_free, u))
        ends.append(next(end for end in _ends_of(limit, u) if end is not None))
    assert [end.kind for end in ends] == ["order changes"] * 2 and np.linalg.norm(ends[0].u - ends[1].u) < 1e-9
    x, (importance, density) = ends[0].states[0].x, solver.values(ends[0].u)
    model, rows = ToyModel(2, [1.0, 1.0, 1.0, 1.0, importance], density), x.reshape(3, 5)
    assert np.ptp(rows[:, 1:4], axis=1).max() < 1e-12

    def hessian(y):
        """Second derivatives of the scaled loss at flat parameters, unit curvature along the rotation."""
        turn = np.append(np.array([[0, -1], [1, 0]]) @ x[:10].reshape(2, 5), np.zeros((1, 5)))
        return expected_loss_hessian(model, y[:10].reshape(2, 5), y[10:]) / model.loss_scale + np.outer(turn, turn)

    values, vectors = np.linalg.eigh(hessian(x))
    assert np.all(np.abs(values[:2]) < 1e-11) and values[2] > 1e-3
    for angle in (0.1, 1.3):
        way = vectors[:, :2] @ [np.cos(angle), np.sin(angle)]
        third = way @ (hessian(x + 1e-3 * way) - hessian(x - 1e-3 * way)) @ way / 2e-3
        assert abs(third) < 1e-4 * abs(way @ (hessian(x + 1e-3 * way) + hessian(x - 1e-3 * way) - 2 * hessian(x)) @ way / 1e-6)


def test_three_features_that_are_alike_tell_each_other_apart():
    """Of 4→3: their mode is twofold and has a cubic, by 1e-7 of their amplitudes; it is followed to the edge, all three alike.

    Its curvature is that of the gradient's differences along any exchange of two.
    """
    axes = {"importance": np.geomspace(0.565, 0.573, 2), "density": np.geomspace(0.51, 0.52, 2)}
    ordinary, extra = np.eye(3) * 1.00016 - 6e-7 * np.eye(3)[[1, 0, 2]], [-1.263471e-3, -1.263338e-3, -1.263285e-3]
    bias = [1.140459e-4, 1.140340e-4, 1.140358e-4, 0.2597648]
    limit = followed(axes, np.column_stack([ordinary, extra]), bias, (0.5709274742, 0.5175700336), FreeLimit)
    assert limit.kind == "exchange breaking" and limit.ends == ("edge", "edge") and limit.status == "whole"
    for k in (0, limit.x.size // 2, -1):
        model, x = ToyModel(3, [1.0, 1.0, 1.0, limit.x[k]], limit.y[k]), limit.minima[k]
        products = x[:12].reshape(3, 4).T @ x[:12].reshape(3, 4)
        assert np.ptp(products[3, :3]) < 1e-13 and np.ptp(x[12:15]) < 1e-13
        hessian = expected_loss_hessian(model, x[:12].reshape(3, 4), x[12:]) / model.loss_scale
        turn = [np.append((one @ x[:12].reshape(3, 4)).ravel(), np.zeros(4)) for one in np.eye(9).reshape(9, 3, 3)]
        turns = np.array([turn[1] - turn[3], turn[2] - turn[6], turn[5] - turn[7]])
        assert np.sum(np.abs(np.linalg.eigvalsh(hessian + turns.T @ turns)) < 1e-12) == 2


def test_a_limit_goes_on_where_its_point_in_the_plane_turns_back():
    """Of 5→2: a limit of exchange turns near (1.000065, .991628), density and importance one after the other, while its minimum
    moves on by as much on either side; on all of it the gradient vanishes, and a curvature by an independent loss.
    """
    axes = {"importance": np.geomspace(0.999, 1.002, 2), "density": np.geomspace(0.97, 0.995, 2)}
    weights = [[0.13030, -0.39584, -0.39584, 0.13030, 0.81660], [0.13911, 0.69807, -0.69807, -0.13911, 0]]
    at = (1.0000746888, 0.9916020783)
    limit = followed(axes, weights, [0.47736, 0.55046, 0.55046, 0.47736, 0.37867], at, FreeLimit)
    assert limit.kind == "exchange breaking" and limit.status == "whole" and limit.ends == ("edge", "edge")
    k = int(np.argmax(limit.density))
    assert 5 < k < limit.x.size - 5 and limit.density[k] == pytest.approx(0.9916, abs=1e-4)
    assert min(np.max(np.abs(limit.minima[k] - limit.minima[end])) for end in (0, -1)) > 0.02
    for x, importance, density in zip(limit.minima[::5], limit.importance[::5], limit.density[::5], strict=True):
        model = ToyModel(2, [1.0] * 4 + [importance], density)
        _, by_weights, by_bias = expected_loss_and_gradient(model, x[:10].reshape(2, 5), x[10:])
        hessian = expected_loss_hessian(model, x[:10].reshape(2, 5), x[10:]) / model.loss_scale
        turn = np.append(np.array([[0, -1], [1, 0]]) @ x[:10].reshape(2, 5), np.zeros((1, 5)))
        assert np.max(np.abs(np.append(by_weights, by_bias))) < 1e-12
        assert abs(np.linalg.eigvalsh(hessian + np.outer(turn, turn))[0]) < 1e-11


def test_a_fold_and_a_limit_of_exchange_end_in_one_point():
    """Of the triangle of 3→2: to 1e-9, although what is as soft along two directions is determined to 1e-6 by either."""
    diagram = phase_diagram(3, 2, importance=np.geomspace(0.935, 0.95, 2), density=np.geomspace(0.895, 0.91, 2))
    limits = [limit for limit in diagram.spinodals() if "another limit" in limit.ends]
    assert sorted(limit.kind for limit in limits) == ["exchange breaking", "fold"]
    ends = [-limit.ends.index("another limit") for limit in limits]
    one, other = ([limit.importance[k], limit.density[k]] for limit, k in zip(limits, ends, strict=True))
    assert one == pytest.approx(other, rel=1e-9)


PLANE = {"importance": np.geomspace(0.1, 10.0, 2), "density": np.geomspace(0.01, 1.0, 2)}


def lowest_curvatures(limit, k):
    """Of 5→3 those at a point of a limit, by an independent loss; rotations count 1."""
    weights, bias = limit.minima[k][:15].reshape(3, 5), limit.minima[k][15:]
    model = ToyModel(3, [1.0] * 4 + [limit.importance[k]], limit.density[k])
    spins = np.array([np.cross(axis, weights.T).T.ravel() for axis in np.eye(3)])
    spins = np.linalg.svd(np.pad(spins, ((0, 0), (0, 5))), full_matrices=False)[2]
    return np.linalg.eigvalsh(expected_loss_hessian(model, weights, bias) / model.loss_scale + spins.T @ spins)


def test_a_limit_ends_where_another_makes_its_equations_singular():
    """Of 5→3: where a feature comes in beside a tetrahedron, either way of two, features alike are told apart, in either."""
    weights = [[0.990932, -0.356462, 0, -0.41116, -0.170684], [0.061223, 0.944914, 0, -0.55624, -0.343872]]
    weights += [[-0.24811, -0.165304, 0, -0.754186, 0.89244]]
    bias = [0.106237, 0.106237, 0.21674, 0.106237, 0.176142]
    limit = followed(PLANE, weights, bias, (0.8441593526833159, 0.4334799064592336), StabilityLimit)
    assert limit.ends == ("another limit", "another limit") and limit.status == "whole"
    k = -int(limit.density[-1] < limit.density[0])
    assert [limit.importance[k], limit.density[k]] == pytest.approx([0.84396377, 0.43319851], abs=1e-8)
    values = lowest_curvatures(limit, k)
    assert np.max(np.abs(values[:4])) < 1e-8 < 1e-4 < values[4]


def test_a_limit_of_exchange_goes_along_that_of_a_feature_to_the_edge():
    """Of 5→3: at density 1 the feature beside a tetrahedron is gone, which comes in as soft in all directions."""
    weights = [[-0.878984, 0.294513, 0.292486, 0.292635, -0.019977], [-0.00066, -0.828174, 0.415872, 0.413884, -0.028404]]
    weights += [[-0.001154, -0.002423, -0.71612, 0.718109, 0.048911]]
    bias = [0.461078, 0.461078, 0.493214, 0.461078, 0.471407]
    limit = followed(PLANE, weights, bias, (0.9984371384509265, 0.946106888650795), FreeLimit)
    assert limit.kind == "exchange breaking" and sorted(limit.ends) == ["another limit", "edge"] and limit.status == "whole"
    k = -limit.ends.index("edge")
    assert limit.density[k] == pytest.approx(1.0, abs=1e-12) and np.max(np.abs(limit.minima[k][:15].reshape(3, 5)[:, 4])) < 1e-3
    values = lowest_curvatures(limit, k)
    assert np.max(np.abs(values[:3])) < 1e-8 < 1e-4 < values[3]


def test_a_limit_ends_where_a_mode_apart_from_its_own_is_as_soft():
    """Of 4→2: three features in a row turn towards that of a fourth, two of them alike or one of these two more than the other.

    Curvatures depend on the direction, so that both are modes, each the softest by second derivatives on its own side.
    """
    axes = {"importance": np.geomspace(1.046, 1.052, 2), "density": np.geomspace(0.915, 0.925, 2)}
    weights = [[0.30843758, -0.91381111, 0.30843758, 0], [0, 0, 0, 1]]
    limit = followed(axes, weights, [0.51003061, 0.33601146, 0.51003061, 0], (1.0470, 0.9225), StabilityLimit)
    x, model, _ = end_of(limit, "another limit")
    assert [model.importance[3], model.density] == pytest.approx([1.04896986677, 0.91948680004], abs=1e-9)
    moving = [3, *range(4, 7)]
    resting = [k for k in range(12) if k not in moving]
    for enter in ([0.008, -0.634, -0.442, -0.634], [0.0077, -0.781, -0.43, -0.453]):
        direction = np.zeros(12)
        direction[moving], direction[11] = enter, 0.75
        for _ in range(8):
            there = x + 1e-9 * direction
            hessian = expected_loss_hessian(model, there[:8].reshape(2, 4), there[8:]) / model.loss_scale
            response = -np.linalg.pinv(hessian[np.ix_(resting, resting)], 1e-9) @ hessian[np.ix_(resting, moving)]
            reduced = hessian[np.ix_(moving, moving)] + hessian[np.ix_(moving, resting)] @ response
            values, vectors = np.linalg.eigh((reduced + reduced.T) / 2)
            k = np.argmax(np.abs(direction[moving] @ vectors))
            way = vectors[:, k] * np.sign(vectors[:, k] @ direction[moving])
            direction[moving], direction[resting] = way, response @ way
        assert abs(values[k]) < 1e-9 and np.max(np.abs(way - enter / np.linalg.norm(enter))) < 2e-3


def test_a_limit_ends_where_what_moves_is_as_soft():
    """Of 4→2: where a feature comes in beside a triangle, two of whose features then tell each other apart; to 1e-9."""
    axes = {"importance": np.geomspace(1.05, 1.09, 2), "density": np.geomspace(0.83, 0.87, 2)}
    weights = [[0, 0.019321429, 0.502148947, -0.89571831], [0, 0.772890673, -0.587860311, -0.317822624]]
    bias, at = [0.425812407, 0.467173505, 0.467173505, 0.255301646], (1.070091425331093, 0.8516248147975289)
    limit = followed(axes, weights, bias, at, StabilityLimit)
    x, model, _ = end_of(limit, "another limit")
    assert [model.importance[3], model.density] == pytest.approx([1.07877918738, 0.84594555957], abs=1e-9)
    hessian = expected_loss_hessian(model, x[:8].reshape(2, 4), x[8:]) / model.loss_scale
    assert np.sum(np.abs(np.linalg.eigvalsh(hessian)) < 1e-8) >= 3  # with the rotation


def test_where_limits_are_sought_does_not_depend_on_the_points_of_a_boundary(two_to_one):
    """At equal parts of its length, two minima of one loss there: also where every other point is left out, and backwards."""
    boundary = max(two_to_one.boundaries(), key=lambda one: one.x.size)
    trail = trail_of(Solver(two_to_one.curves), boundary)
    every, fewer, backwards = Places(trail), Places([*trail[:-1:2], trail[-1]]), Places(trail[::-1])
    for k in range(0, PLACES, 2):
        u, pair = every[k]
        assert pair[0].loss == pytest.approx(pair[1].loss, rel=1e-13)
        assert max(np.max(np.abs(u - other[0])) for other in (fewer[k], backwards[PLACES - 1 - k])) < 1e-5
