"""Models whose biases are held at 0: what is a minimum, and where two are equally low, by routes of its own for each claim."""

from heapq import heappop, heappush

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.optimize import minimize as descend

from phasediag import (
    AnticorrelatedSets,
    Axis,
    ControlPlane,
    Penalty,
    ToyModel,
    barrier,
    boundary_sensitivity,
    depths,
    expected_loss,
    expected_loss_hessian,
    fold_sensitivity,
    inspect,
    inspect_many,
    minimize,
    optimal_bias,
    phase_diagram,
)

PAIR = "extra in antipodal pair", "extra in aligned pair"


def model(importance=0.6, density=0.4, **law):
    return ToyModel(1, [1.0, importance], density, biased=False, **law)


def loss(toy, weights):
    """Of weights (…, n_hidden, n_features) without biases."""
    return expected_loss(toy, weights, np.zeros((*np.shape(weights)[:-2], toy.n_features)))


def lowest(toy, sign):
    """The least loss of two features whose product has a sign, by a simplex search of the weights alone."""
    start = [1.0, 1.0] if sign < 0 else [1.0, toy.importance[1] / 3] if toy.importance[1] < 1 else [0.3, 1.0]
    options = {"xatol": 1e-8, "fatol": 1e-13, "maxiter": 4000}
    return descend(lambda w: loss(toy, [[abs(w[0]), sign * abs(w[1])]]), start, method="Nelder-Mead", options=options).fun


@pytest.mark.quick
@pytest.mark.parametrize(("importance", "density"), [(0.1, 0.3), (0.3, 0.6), (1.0, 1.0), (6.0, 0.6), (0.3, 0.05)])
def test_no_point_beside_a_minimum_is_lower(importance, density):
    """Where a feature has no weights the loss falls from the first along another's: such points are no minima."""
    toy = model(importance, density)
    minima = minimize(toy)
    aside = np.random.default_rng(0).normal(size=(2000, 1, 2))
    for minimum in minima:
        assert not np.any(minimum.bias)
        for step in (1e-2, 1e-3, 1e-4):
            assert loss(toy, minimum.weights + step * aside).min() >= minimum.loss * (1 - 1e-13)
    found = {minimum.phase.name: minimum.loss for minimum in minima}
    assert set(found) <= set(PAIR)
    assert minima[0].loss == pytest.approx(min(lowest(toy, sign) for sign in (1, -1)), rel=1e-9)


def test_features_that_exclude_each_other_may_be_left_out():
    """Three in one dimension that are never active together: no product with what is stored lowers the loss of the third."""
    toy = ToyModel(1, [1.0, 1.0, 0.1], 1.0, activity=AnticorrelatedSets([[0, 1, 2]]), biased=False)
    least = min(
        descend(lambda w: loss(toy, [w]), start, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-14}).fun
        for start in np.random.default_rng(0).normal(size=(4, 3))
    )
    assert minimize(toy)[0].loss == pytest.approx(least, rel=1e-7) == pytest.approx(0.1 / 9, rel=1e-7)


@pytest.mark.parametrize(
    "law", [{}, {"values": "binary"}, {"activation": "leaky", "slope": 0.2}], ids=["relu", "binary", "leaky"]
)
def test_boundaries_are_where_bisection_finds_them(law):
    """Where the curve is, the least losses of both signs of the product cross along the density."""
    plane = ControlPlane(
        model(**law), x=Axis("importance", np.geomspace(0.3, 2, 5)), y=Axis("density", np.geomspace(0.1, 0.9, 5))
    )
    diagram = phase_diagram(plane=plane, n_starts=8)
    (boundary,) = (one for one in diagram.boundaries() if set(one.phases) == set(PAIR) and one.x.min() < 0.5 < one.x.max())
    assert boundary.order == "first" and not np.any(boundary.minima[..., 2:])
    assert boundary.ends in (("edge", "edge"), ("edge", "triple point"), ("triple point", "edge"))
    at = np.argmin(np.abs(boundary.x - 0.5))

    def difference(p):
        toy = model(boundary.x[at], p, **law)
        return lowest(toy, 1) - lowest(toy, -1)

    ends = boundary.y[at] - 0.01, boundary.y[at] + 0.01
    assert brentq(difference, *ends, xtol=1e-6) == pytest.approx(boundary.y[at], abs=1e-5)


def test_curves_of_three_features_end():
    """Junctions, folds and changes of order of 3→2 are solved for; at triple points three minima are equally low."""
    base = ToyModel(2, [1.0, 1.0, 1.0], 0.5, biased=False)
    plane = ControlPlane(base, x=Axis("importance", np.geomspace(0.5, 2, 4)), y=Axis("density", np.geomspace(0.3, 0.8, 4)))
    diagram = phase_diagram(plane=plane, n_starts=8)
    assert {end for boundary in diagram.boundaries() for end in boundary.ends} <= {"edge", "triple point", "order changes"}
    for point in diagram.triple_points():
        three = minimize(plane.model(point.x, point.y))[:3]
        assert np.ptp([one.loss for one in three[:2]]) < 1e-9 * three[0].loss
    for limit in diagram.spinodals():
        for u, minimum in zip(np.stack([limit.x, limit.y], 1)[1:-1:9], limit.minima[1:-1:9], strict=True):
            hessian = expected_loss_hessian(plane.model(*u), minimum[:6].reshape(2, 3), minimum[6:])[:6, :6]
            assert np.sort(np.abs(np.linalg.eigvalsh(hessian)))[1] < 1e-5 or limit.kind != "fold"  # beside the rotation


@pytest.mark.parametrize(("importance", "density"), [(0.6, 0.4), (0.3, 0.05), (0.2, 0.25)])
def test_the_pass_is_the_lowest_of_a_grid(importance, density):
    """A flood from one minimum of 2→1 reaches the other over the loss of the pass; the path has no biases."""
    toy = model(importance, density)
    one, other = minimize(toy)[:2]
    found = barrier(other, one)
    assert not np.any(found.path[:, 2:]) and found.index == 1 and found.heights[0] > 0
    axis = np.linspace(-1.6, 1.6, 161)  # 0 among them
    losses = loss(toy, np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1)[:, :, None])
    place = lambda w: tuple(np.abs(axis[:, None] - w).argmin(axis=0).tolist())  # noqa: E731
    ends, start = {place(sign * one.weights[0]) for sign in (1, -1)}, place(other.weights[0])
    level, waiting = {start: losses[start]}, [(losses[start], start)]
    while waiting[0][1] not in ends:
        height, (i, j) = heappop(waiting)
        for near in ((i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)):
            if max(near) < len(axis) and min(near) >= 0 and near not in level:
                level[near] = max(height, losses[near])
                heappush(waiting, (level[near], near))
    assert found.loss == pytest.approx(waiting[0][0], rel=2e-3) and found.loss <= waiting[0][0] * (1 + 1e-12)


def test_depths_of_valleys_end():
    """Signed values, two features stored and the third turned by what costs nothing: climbs about a valley are not endless."""
    toy = ToyModel(2, [1.0, 1.0, 1.0], 0.2, biased=False, values="signed")
    assert depths(minimize(toy, effort="quick")) == [None]
    way = depths(minimize(ToyModel(2, [1.0, 1.0, 0.4], 0.1, biased=False), effort="quick"))
    assert way[0] is None and all(one.height > 0 and not np.any(one.bias) for one in way[1:])


def test_sensitivities_are_slopes_of_solved_points():
    """Of a boundary: differences of the points that simplex searches of the weights alone find beside."""
    law = {"penalty": Penalty(weights=0.01)}

    def crossing(importance, gamma):
        def difference(p):
            toy = model(importance, p, penalty=Penalty(weights=gamma))
            return lowest(toy, 1) - lowest(toy, -1)

        return brentq(difference, 0.4, 0.6, xtol=1e-8)

    density = crossing(0.6, 0.01)
    found = boundary_sensitivity(*minimize(model(0.6, density, **law))[:2])
    own = dict(zip(found.parameters, found.derivatives[0], strict=True))
    by_importance = (crossing(0.61, 0.01) - crossing(0.59, 0.01)) / 0.02
    by_gamma = (crossing(0.6, 0.012) - crossing(0.6, 0.008)) / 0.004
    assert own["importance[1]"] == pytest.approx(by_importance, rel=1e-3)
    assert own["penalty[0]"] == pytest.approx(by_gamma, rel=1e-3)


def test_folds_move_as_their_sensitivity_says():
    """The density at which the antipodal pair ceases to be a minimum, solved for at two importances beside."""
    axes = Axis("importance", [0.4, 0.5, 0.6], log=False), Axis("density", np.geomspace(0.5, 1, 4))
    diagram = phase_diagram(plane=ControlPlane(model(), *axes), n_starts=8)
    (limit,) = (one for one in diagram.spinodals() if one.kind == "fold" and one.phase == PAIR[0])
    order = np.argsort(limit.x)
    x, y, minima = limit.x[order], limit.y[order], limit.minima[order]
    at = int(np.argmin(np.abs(x - 0.5)))
    found = fold_sensitivity(model(x[at], y[at]), minima[at, None, :2], minima[at, 2:])
    slope = np.polyfit(x[at - 2 : at + 3] - x[at], y[at - 2 : at + 3], 3)[-2]
    assert found.derivatives[0, 1] == pytest.approx(slope, rel=1e-3)


@pytest.mark.parametrize(
    ("law", "densities"),
    [
        ({"penalty": Penalty(0.02)}, [0.02, 0.05]),
        ({"penalty": Penalty(0.02, 0.02), "values": "signed"}, [0.05, 0.07]),
        ({"penalty": Penalty(0.01, 0.01)}, [0.01, 0.1]),
    ],
)
def test_a_curve_may_lie_beside_no_weights(law, densities):
    """Under a penalty W = 0 is a minimum in which nothing moves: beside each curve simplex searches find what is lowest."""
    plane = ControlPlane(model(**law), x=Axis("importance", [0.5, 0.9, 2.0]), y=Axis("density", densities))
    found = phase_diagram(plane=plane, n_starts=4).boundaries()
    given_up = "extra not represented + not represented"
    assert any(given_up in one.phases for one in found)
    options = {"xatol": 1e-9, "fatol": 1e-15, "maxiter": 4000}
    for one in (one for one in found if given_up in one.phases):
        at = len(one.x) // 2
        for step in (0.995, 1.005):
            toy = plane.model(one.x[at], one.y[at] * step)
            ends = [descend(lambda w: loss(toy, [w]), w, method="Nelder-Mead", options=options) for w in np.eye(2) * 0.3]  # noqa: B023
            stores = min(end.fun for end in ends) < loss(toy, np.zeros((1, 2))) * (1 - 1e-9)
            assert stores == (step > 1)


def test_minima_along_level_curves_have_converged():
    """Slopes along biases that are held at 0 are none of a minimum's: all were told as if they had not come to rest."""
    diagram = phase_diagram(plane=ControlPlane(model(), Axis("importance", [0.5, 0.7]), Axis("density", [0.2, 0.3])), n_starts=4)
    asked = []
    diagram.level_curves(lambda one: asked.append(one.converged) or one.feature_norm[1], 0.95)
    assert asked and all(asked)


@pytest.mark.parametrize("importances", [[0.7, 1.5], [0.5, 2.0]])
def test_a_boundary_runs_along_a_valley(importances):
    """Signed values, leaky outputs: at importance 1 either feature or any mixture of both is stored, and beside it one of them.

    From a density of 0.7 down no curve was found, or one on which something was said to branch off.
    """
    law = {"activation": "leaky", "slope": 0.3, "values": "signed"}
    axes = Axis("importance", importances), Axis("density", [0.05, 0.3, 0.9])
    diagram = phase_diagram(plane=ControlPlane(model(**law), *axes), n_starts=4)
    (one,) = diagram.boundaries()
    assert one.ends == ("edge", "edge") and np.allclose(one.x, 1.0, rtol=1e-9) and np.ptp(one.y) > 0.84
    options = {"xatol": 1e-9, "fatol": 1e-15}
    for toy in (model(1.0, y, **law) for y in one.y[:: len(one.y) // 3]):
        ways = np.array([[[1.0, 0.0]], [[0.0, 1.0]], [[0.8, -0.8]]])
        least = [descend(lambda r: loss(toy, r * way), [0.9], method="Nelder-Mead", options=options).fun for way in ways]  # noqa: B023
        assert least == pytest.approx([least[0]] * 3, rel=1e-10)


def test_biases_that_are_held_are_not_given():
    """What is judged by the minima of a model without biases has none; the best biases may be asked for all the same."""
    toy, pair = model(), [[1.0, -1.0]]
    for weights in (pair, ([[1.0], [-1.0]], [[1.0, -0.5]])):
        with pytest.raises(ValueError, match=r"bias must be 0 in a model without biases, got 0\.1"):
            inspect(toy, weights, [0.1, 0.2])
    with pytest.raises(ValueError, match=r"bias must be 0 in a model without biases, got 0\.1"):
        inspect_many(toy, [pair], [[0.1, 0.2]])
    assert np.array_equal(optimal_bias(toy, pair), optimal_bias(ToyModel(1, toy.importance, toy.density), pair))
