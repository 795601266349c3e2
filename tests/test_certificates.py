"""Certificates: bounds that hold, proofs that are found, and false claims that are not believed."""

import json
import pickle
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phasediag import Certificate, ToyModel, certify, expected_loss, expected_loss_and_gradient, expected_loss_hessian, minimize
from phasediag import certificates as room
from phasediag._certifying import neighbourhoods
from phasediag._certifying import proof as proof_room
from phasediag._certifying.bounds import MARGIN, joint_bound, row_bound, support
from phasediag._certifying.moments import ROUNDING, moments
from phasediag._certifying.patterns import patterns_of, zeros_of
from phasediag._certifying.proof import (
    Proof,
    Region,
    bulge,
    corners,
    free_weights,
    gauge_of,
    levels,
    prove,
    regions_around,
    root_box,
)
from phasediag._certifying.rational import BITS, Row, least_on_box, number
from phasediag._certifying.regions import _SAFETY, _curvature, _wall, convex_region, kink_bracket
from phasediag._certifying.replay import NotConfirmed, Replay
from phasediag._certifying.rows import look_up, row_table
from phasediag._certifying.search import OPEN, ORDER, REGION, TABLE
from phasediag._compiling.jit import jit
from phasediag.forms import variance
from phasediag.phases import Cluster, phase_in_order, phase_name

PAIR, DROPPED, DEDICATED = "extra in antipodal pair", "extra not represented + dedicated", "extra dedicated + not represented"


def cell(importance, density):
    """The model of two features in one dimension at a point of the paper's plane."""
    return ToyModel(1, [1.0, importance], density)


@jit
def _moments_at(points, density, found):
    """M at points (k, n + 1): found (k, n + 1, n + 1)."""
    work = np.zeros((10, 12))
    for k in range(points.shape[0]):
        moments(points[k], density, found[k], work)


@jit
def _rows_at(lows, highs, i, density, bounds, signs):
    """The bounds of row i and the signs of its slope over boxes (k, n + 1)."""
    n = density.shape[0]
    store, work = np.zeros((12, n + 1, n + 1)), np.zeros((10, 12))
    for k in range(lows.shape[0]):
        bounds[k], signs[k] = row_bound(i, lows[k], highs[k], density, store, work)


@jit
def _joints_at(lows, highs, n_hidden, free, importance, density, bounds, entries, given):
    """The bounds of all rows together over boxes (k, nd), what they give away, entries of the gradient that cannot vanish."""
    n, nd = density.shape[0], lows.shape[1]
    store, work, big = np.zeros((12, n + 1, n + 1)), np.zeros((10, 12)), np.zeros((7, nd, nd))
    slopes, gaps = np.zeros((2, n, n + 1)), np.zeros(n)
    for k in range(lows.shape[0]):
        value = joint_bound(lows[k], highs[k], n_hidden, free, importance, density, store, big, slopes, gaps, work)
        bounds[k], entries[k] = value
        given[k] = gaps.sum()


def boxes_and_points(rng, centres, widths, n_points):
    """Boxes (k, d) about centres (k, d), and points in each, half of them corners: lows, highs, points (k, n_points, d)."""
    lows, highs = centres - widths, centres + widths
    share = rng.random((len(centres), n_points, centres.shape[1]))
    share[:, ::2] = share[:, ::2] > 0.5
    return lows, highs, np.clip(lows[:, None] + share * (highs - lows)[:, None], lows[:, None], highs[:, None])


def draws(seed, n_features, count):
    """Random densities (n,), centres of weights and biases (count, nd) and widths (count, nd), over many orders of magnitude."""
    rng = np.random.default_rng(seed)
    nd = len(free_weights(n_features - 1, range(n_features))) + n_features
    density = rng.uniform(0.01, 1, n_features) if seed % 3 else np.full(n_features, rng.choice([1.0, 0.5, 0.03]))
    centres = rng.normal(size=(count, nd)) * rng.choice([0.1, 1.0, 3.0], (count, 1))
    widths = 10 ** rng.uniform(-8, 0.3, (count, 1)) * rng.uniform(0, 1, (count, nd))
    if seed % 4 == 0:  # at kinks
        centres = np.round(centres)
    return rng, density, centres, widths


@pytest.mark.quick("_certifying")
def test_the_smallest_certificate():
    """A pair of features: certified, one minimum, the loss enclosed to the tolerance."""
    proved = certify(cell(0.5, 0.05))
    assert (proved.status, proved.phases, proved.phase_certified) == ("certified", (PAIR,), True)
    assert proved.loss_lower <= proved.loss_upper and proved.relative_gap <= 1e-6
    (box,) = proved.minimizers
    assert box.unique and np.all(box.weights[0] <= proved.weights) and np.all(proved.weights <= box.weights[1])
    assert pickle.loads(pickle.dumps(proved)).text() == proved.text()


@pytest.mark.parametrize("n_features", [2, 3])
def test_moments_are_exact_to_their_declared_error(n_features):
    """The kernel against whole numbers, at random, integer, tiny and huge weights: well below the error that is given away."""
    rng, largest = np.random.default_rng(n_features), 0.0
    for round_ in range(60 if n_features == 2 else 12):
        density = rng.uniform(0, 1, n_features) if round_ % 2 else np.full(n_features, rng.choice([1.0, 0.5, 1e-3]))
        points = rng.normal(size=(8, n_features + 1)) * 10.0 ** rng.integers(-3, 2, (8, n_features + 1))
        points[0], points[1] = np.round(points[0]), np.round(2 * points[1]) / 2
        points[2, :2] = points[2, 1] * np.array([1 + 1e-15, 1.0])
        points[3, 0] = 0.0
        points[4] *= 1e-300 if round_ % 3 else 1e150
        points[5, 0] *= 1e-12
        found = np.zeros((8, n_features + 1, n_features + 1))
        _moments_at(points, density, found)
        exact = Row(n_features - 1, np.ones(n_features), density)
        for k, point in enumerate(points):
            reference, _ = exact.at(tuple(number(x) for x in point))
            error = np.abs(found[k] - np.array([[float(x) for x in row] for row in reference]))
            share = np.sqrt(np.append(density, 1.0))
            largest = max(largest, (error / share[:, None] / share).max())
    assert largest < ROUNDING[n_features] / 4


def test_whole_numbers_integrate_a_triangle():
    """Moments of x + y > 1 on the unit square, by hand."""
    rows = Row(1, [1.0, 1.0], [1.0, 1.0])
    found, _ = rows.at((number(1), number(1), number(-1)))
    by_hand = [["1/4", "5/24", "1/3"], ["5/24", "1/4", "1/3"], ["1/3", "1/3", "1/2"]]
    for row, line in zip(found, by_hand, strict=True):
        for value, wanted in zip(row, line, strict=True):
            assert abs(Fraction(str(value)) - Fraction(wanted)) < Fraction(100, 1 << BITS)


def row_losses(i, points, density):
    """L_i and half its slope in b at points (…, n + 1) of g~, by the kernel of moments."""
    flat = np.ascontiguousarray(points.reshape(-1, points.shape[-1]))
    found = np.zeros((len(flat), flat.shape[1], flat.shape[1]))
    _moments_at(flat, density, found)
    v = np.einsum("kij,kj->ki", found, flat)
    loss = density[i] / 3 - 2 * v[:, i] + (v * flat).sum(axis=1)
    return loss.reshape(points.shape[:-1]), (v[:, -1] - found[:, i, -1]).reshape(points.shape[:-1])


@pytest.mark.parametrize("n_features", [2, 3])
def test_bounds_of_rows_hold(n_features):
    """More than 100 000 evaluations of the bounds of a row and of its slope, none violated."""
    evaluated, closed = 0, 0
    for seed in range(16):
        rng, density, _, _ = draws(seed, n_features, 1)
        centres = rng.normal(size=(800, n_features + 1)) * rng.choice([0.1, 1.0, 3.0], (800, 1))
        widths = 10 ** rng.uniform(-8, 0.3, (800, 1)) * rng.uniform(0, 1, (800, n_features + 1))
        lows, highs, points = boxes_and_points(rng, np.round(centres) if seed % 4 == 0 else centres, widths, 8)
        bounds, signs = np.zeros(800), np.zeros(800)
        i = seed % n_features
        _rows_at(lows, highs, i, density, bounds, signs)
        loss, slope = row_losses(i, points, density)
        size = 1 + np.abs(points).sum(axis=2)
        assert np.all(loss >= bounds[:, None] - ROUNDING[n_features] * size**2)
        assert np.all(slope * signs[:, None] >= 0)
        evaluated += loss.size
        closed += np.count_nonzero(signs) + np.count_nonzero(bounds > 0.01 * density[i])
    assert evaluated > 100_000 and closed > 5_000


def test_bounds_at_corners_hold_at_all_densities_between():
    """Means of the bounds of a row over corners, weighted by Bernstein's polynomials, are below its loss, 100 000 of them.

    The slope has the sign that it has at all corners; bounds at the two ends alone, on a chord, are not below.
    """
    evaluated = caught = signed = 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        low, high = np.sort(rng.uniform(0.01, 1, 2)) if seed else (0.2, 1.0)
        centres = rng.normal(size=(800, 3)) * rng.choice([0.1, 1.0, 3.0], (800, 1))
        lows, highs, points = boxes_and_points(rng, centres, 10 ** rng.uniform(-8, 0.3, (800, 1)) * rng.random((800, 3)), 4)
        bounds, signs = np.zeros((4, 800)), np.zeros((4, 800))
        for k, density in enumerate(corners([low] * 2, [high] * 2)):
            _rows_at(lows, highs, seed % 2, density, bounds[k], signs[k])
        for t in (0.0, 0.1, 0.5, 0.8, 1.0):
            p = (1 - t) * low + t * high
            loss, slope = row_losses(seed % 2, points, np.full(2, p))
            mean = (1 - t) ** 2 * bounds[0] + t * (1 - t) * (bounds[1] + bounds[2]) + t * t * bounds[3]
            size = 1 + np.abs(points).sum(axis=2)
            assert np.all(loss >= mean[:, None] - ROUNDING[2] * size**2)
            same = np.abs(signs.sum(axis=0)) == 4
            assert np.all((slope * signs[0][:, None])[same] >= 0)
            caught += np.count_nonzero(loss < ((1 - t) * bounds[0] + t * bounds[3])[:, None] - 1e-9)
            evaluated, signed = evaluated + loss.size, signed + np.count_nonzero(same)
    assert evaluated > 100_000 and caught > 100 and signed > 5_000


def test_a_kink_over_an_interval_of_densities():
    """What has a positive bracket at all corners, with the variance's bulge, has one within; without the bulge it may not."""
    rng, held = np.random.default_rng(4), 0
    for _ in range(400):
        low, high, extra = *np.sort(rng.uniform(0.05, 1, 2)), 10 ** rng.uniform(-1, 0)
        at = corners([low] * 2, [high] * 2)
        arguments = rng.uniform(0.8, 1), rng.uniform(0.01, 0.3)
        if all(kink_bracket(*arguments, *p, bulge(at), 1.0, extra) > 0 for p in at):
            held += 1
            p = rng.uniform(low, high)
            assert kink_bracket(*arguments, p, p, 0.0, 1.0, extra) > 0
    assert held > 50
    assert bulge(at) >= -1e-16 + max(
        variance(p) - variance(low) - (p - low) / (high - low) * (variance(high) - variance(low))
        for p in np.linspace(low, high, 9)
    )


def joints(seed, n_features, count=400, n_points=10):
    """Bounds of all rows together and losses in their boxes: bounds (count,), given away (count,), entries, losses, gradients."""
    rng, density, centres, widths = draws(seed, n_features, count)
    free, importance = free_weights(n_features - 1, range(n_features)), rng.uniform(0.1, 3, n_features)
    lows, highs, points = boxes_and_points(rng, centres, widths, n_points)
    bounds, entries, given_away = np.zeros(count), np.zeros(count, np.int64), np.zeros(count)
    _joints_at(lows, highs, n_features - 1, free, importance, density, bounds, entries, given_away)
    weights = np.zeros((*points.shape[:2], n_features - 1, n_features))
    weights[..., free[:, 0], free[:, 1]] = points[..., : len(free)]
    model = ToyModel(n_features - 1, importance, density)
    loss, gradient, _ = expected_loss_and_gradient(model, weights, points[..., len(free) :])
    return bounds, given_away, entries, loss, gradient[..., free[:, 0], free[:, 1]]


@pytest.mark.parametrize(
    ("n_features", "seeds"), [(2, range(20)), (3, range(4)), pytest.param(3, range(80), marks=pytest.mark.campaign)]
)
def test_bounds_of_all_rows_hold(n_features, seeds):
    """The quadratic minorant and the signs of the gradient against the exact loss, 100 000 evaluations: no violation."""
    evaluated = signs = 0
    nd = len(free_weights(n_features - 1, range(n_features))) + n_features
    for seed in seeds:
        bounds, _, entries, loss, gradient = joints(seed, n_features, *([900, 24] if n_features == 2 else [200, 40]))
        whole = entries < 0
        assert np.all(loss[whole] >= bounds[whole, None] - 1e-12 * np.abs(loss[whole]))
        for k in np.flatnonzero(entries >= 0):
            one = gradient[k, :, entries[k] % nd]
            assert np.all(one > 0 if entries[k] < nd else one < 0)
            signs += one.size
        evaluated += loss[whole].size
    assert evaluated >= (4_000 if len(seeds) == 4 else 100_000) and signs >= (4_000 if len(seeds) == 4 else 100_000)


def test_a_broken_bound_is_caught():
    """Without what the concave part gives away the same test fails: it can."""
    violations = 0
    for seed in range(6):
        bounds, given_away, entries, loss, _ = joints(seed, 2)
        whole = entries < 0
        violations += np.count_nonzero(loss[whole] < (bounds + given_away)[whole, None] - 1e-12 * np.abs(loss[whole]))
    assert violations > 50


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_least_of_a_quadratic_on_a_box(seed):
    """The exact bound of a quadratic, definite or not, is below its values and meets the least where that is known."""
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(3, 3))
    matrix, linear, radius = matrix + matrix.T + rng.choice([0, 6]) * np.eye(3), rng.normal(size=3), rng.uniform(0.1, 1, 3)
    exact = [[number(x) for x in row] for row in matrix]
    bound = least_on_box(exact, [number(x) for x in linear], [number(x) for x in radius])
    points = np.vstack([rng.uniform(-1, 1, (300, 3)), np.array(np.meshgrid(*[[-1, 1]] * 3)).reshape(3, -1).T]) * radius
    values = points @ linear + np.einsum("ki,ij,kj->k", points, matrix, points)
    for k in np.argsort(values)[:3]:
        at = [number(x) for x in points[k]]
        quadratic = sum(at[i] * exact[i][j] * at[j] for i in range(3) for j in range(3))
        assert bound <= quadratic + sum(number(linear[i]) * at[i] for i in range(3))
    if np.linalg.eigvalsh(matrix)[0] > 0:
        assert float(bound) > values.min() - 0.3 * np.abs(matrix).max()


def test_the_edges_of_the_float_range():
    """Bounds of boxes that are huge, tiny or nearly empty hold, and a model at the edge is certified or not, never wrongly."""
    density = np.array([0.3, 0.7])
    scales = np.array([1e-300, 1e-160, 1e-20, 1e20, 1e60])
    for scale in scales:
        rng = np.random.default_rng(7)
        lows, highs, points = boxes_and_points(
            rng, rng.normal(size=(200, 3)) * scale, np.abs(rng.normal(size=(200, 3))) * scale, 6
        )
        bounds, signs = np.zeros(200), np.zeros(200)
        _rows_at(lows, highs, 0, density, bounds, signs)
        loss, slope = row_losses(0, points, density)
        assert np.all(loss * (1 + 1e-9) + 1e-12 * scale**2 >= bounds[:, None])
        assert np.all(slope * signs[:, None] >= 0)
    for importance, p in [(1e-200, 0.5), (1e200, 0.5), (1.0, 1e-9), (1.0, 1e-300), (1e-300, 1.0)]:
        model = cell(importance, p)
        proved = certify(model, max_boxes=5_000)
        assert proved.loss_lower <= min(expected_loss(model, [[1.0, 0.0]], [0.0, p / 2]), minimize(model, n_starts=1)[0].loss)
        assert proved.check(sample=20)


@pytest.mark.parametrize(
    ("importance", "density", "phase"),
    [
        (0.3, 0.2, PAIR),
        (0.3, 0.38, DROPPED),
        (1 / 0.3, 0.38, DEDICATED),
        (1.0, 0.5, PAIR),
        (1.0, 0.9, PAIR),
        (0.55, 0.5, PAIR),
        (0.7, 0.7, DROPPED),
        (0.1, 0.01, PAIR),
        (10.0, 0.01, PAIR),
    ],
)
def test_phases_are_certified(importance, density, phase):
    """Named points of the paper's plane, beside boundaries and at importance 1."""
    proved = certify(cell(importance, density))
    assert (proved.status, proved.phases, proved.phase_certified) == ("certified", (phase,), True)
    assert proved.loss_upper == pytest.approx(minimize(cell(importance, density))[0].loss, rel=1e-12)


def test_ties_list_both_phases():
    """Where all is active and of one importance a pair may be antipodal or aligned: no phase is proved, the loss is."""
    proved = certify(cell(1.0, 1.0))
    assert proved.status == "certified" and not proved.phase_certified
    assert set(proved.phases) == {PAIR, "extra in aligned pair"}


@pytest.mark.parametrize("importance, density", [(0.5740419, 0.5202477), (0.8964406083529727, 0.8373204174540791)])
def test_no_phase_is_left_out_at_a_tricritical_point(importance, density):
    """Beside a continuous transition the phases are all that the boxes may hold, the lowest minimum's among them."""
    proved = certify(cell(importance, density))
    assert proved.status == "certified" and not proved.phase_certified and None in {one.phase for one in proved.minimizers}
    assert {DROPPED, PAIR, minimize(proved.model)[0].phase.name} <= set(proved.phases)


@pytest.mark.parametrize("importance, density", [(0.5740419, 0.5202477), (0.8964406083529727, 0.837319580134499)])
def test_phases_beside_a_tricritical_point(importance, density):
    """How near to it they are proved, as the documentation says: on the side of the pair nearer than on the other."""
    for distance, phase in ((-1e-5, PAIR), (7e-4, DROPPED)):
        proved = certify(cell(importance, density * (1 + distance)))
        assert proved.phase_certified and proved.phases == (phase,)


def test_the_status_is_that_of_the_gap():
    """A search that is stopped while it looks for phases has proved the loss to the tolerance, and says so; no phase is."""
    stopped = certify(cell(1.0, 0.5), tolerance=0.03, max_boxes=6_000)
    assert stopped.n_boxes == 6_000 and stopped.relative_gap <= stopped.tolerance
    assert stopped.status == "certified" and not stopped.phase_certified and not stopped.phases and not stopped.minimizers
    assert stopped.check(sample=20)
    assert not replace(stopped, status="not proved").check(sample=1)


@pytest.mark.parametrize("n_features", [2, 3])
def test_all_that_a_box_may_hold_is_told(n_features):
    """The phase of weights in a box is among its patterns, whatever vanishes, and alone there where the box is small."""
    rng, free, told, several = np.random.default_rng(3), free_weights(n_features - 1, range(n_features)), 0, 0
    for _ in range(150):
        centre = rng.normal(size=len(free)) * (rng.random(len(free)) < 0.6)
        box = centre + rng.choice([1e-9, 0.1, 1.0]) * rng.random(len(free)) * np.array([[-1.0], [1.0]])
        names = {
            phase_in_order([Cluster(*one) for one in clusters], n_features).name
            for clusters in patterns_of(free, n_features, box)
        }
        for _ in range(4):
            point = box[0] + rng.random(len(free)) * (box[1] - box[0])
            point[(box[0] < 0) & (box[1] > 0) & (rng.random(len(free)) < 0.5)] = 0.0
            weights = np.zeros((n_features - 1, n_features))
            weights[free[:, 0], free[:, 1]] = point
            assert phase_name(weights, 1e-12) in names
        told, several = told + (len(names) == 1), several + (len(names) > 1)
    assert told > 5 and several > 50
    pair = patterns_of(free_weights(1, (0, 1)), 2, np.array([[0.99, -0.01], [1.01, 0.01]]), signs=0)
    assert [[name for name, *_ in clusters] for clusters in pair] == [["antipodal pair"]]


def test_random_points_are_certified():
    """Random points of the paper's plane, loss and phase."""
    rng = np.random.default_rng(5)
    for importance, density in zip(10 ** rng.uniform(-1, 1, 30), 10 ** rng.uniform(-2, 0, 30), strict=True):
        proved = certify(cell(importance, density))
        assert proved.phase_certified and proved.relative_gap <= 1e-6


@pytest.mark.campaign
def test_a_thousand_random_points():
    """The same for a thousand, tolerance 1e-9 for each tenth."""
    rng = np.random.default_rng(1)
    for k, (importance, density) in enumerate(zip(10 ** rng.uniform(-1, 1, 1000), 10 ** rng.uniform(-2, 0, 1000), strict=True)):
        proved = certify(cell(importance, density), tolerance=1e-6 if k % 10 else 1e-9)
        assert proved.phase_certified and all(one.unique for one in proved.minimizers)


def test_unequal_densities():
    """Features of different densities: the loss is certified, whoever is dropped."""
    for density in ([0.1, 0.9], [0.6, 0.2]):
        model = ToyModel(1, [1.0, 0.7], density)
        assert certify(model).status == "certified"


@pytest.mark.parametrize("excess", [1e-5, 1e-6, 1e-7, 1e-8, 1e-9])
@pytest.mark.parametrize("with_regions", [False, True])
def test_a_loss_claimed_too_high_is_not_proved(excess, with_regions):
    """What is proved from a loss raised by so little stays below the true one."""
    for importance, density in [(0.3, 0.2), (0.3, 0.38)]:
        model = cell(importance, density)
        known = minimize(model)
        regions = [(one.weights, one.bias) for one in known] if with_regions else []
        around = regions_around(1, (0, 1), model.importance.copy(), model.feature_density.copy(), regions)
        upper = known[0].loss * (1 + excess)
        proof = prove(
            1,
            (0, 1),
            model.importance.copy(),
            model.feature_density.copy(),
            upper,
            excess / 10,
            0,
            around,
            20_000,
            lambda n: None,
        )
        assert proof.lower <= known[0].loss
        assert 1 - proof.lower / upper > excess / 10


def test_a_metastable_minimum_is_not_proved():
    """The second minimum given as the lowest: never certified."""
    for importance, density in [(0.3, 0.38), (1.0, 0.9), (0.55, 0.5)]:
        model = cell(importance, density)
        lowest, second, *_ = minimize(model)
        for minima in ([second], [second, lowest]):
            proved = room.certificate(model, [(one.weights, one.bias) for one in minima], 1e-6, 20_000, lambda n: None)
            assert proved.status == "not proved" and not proved.phase_certified and proved.loss_lower <= lowest.loss


@pytest.fixture(scope="module")
def small():
    """A certificate of few leaves."""
    return certify(cell(0.3, 0.02))


def test_a_certificate_is_confirmed_in_rational_arithmetic(small, tmp_path):
    """Saved, loaded and checked; the file says what it proves."""
    small.save(tmp_path / "proof.npz")
    again = Certificate.load(tmp_path / "proof.npz")
    checked = again.check()
    assert checked and checked.confirmed and not checked.reason and checked.n_leaves > 100
    assert again.text() == small.text()
    assert (tmp_path / "proof.npz").stat().st_size < 2**20
    with np.load(tmp_path / "proof.npz") as file:
        assert "loss_lower" in str(file["theorem"]) and str(file["version"])


def test_a_dropped_feature_is_confirmed():
    """The neighbourhood of a kink, by fractions too."""
    proved = certify(cell(0.1, 0.3))
    assert proved.phases == (DROPPED,) and proved.minimizers[0].unique
    assert proved.check()


def _tampered(certificate):
    """Certificates whose tree, regions, losses or phases say more than was proved, by what was done."""
    proof = certificate.proof
    region = proof.regions[0]
    wide = np.array([region.box[0] - 0.5, region.box[1] + 0.5])
    middle = proof.root.copy()
    middle[1, 0] = 0.9
    first = int(np.flatnonzero(proof.ops >= 64)[0])
    ops = proof.ops.copy()
    ops[first] = 101
    short = proof.ops[: len(proof.ops) // 2]
    values = proof.values.copy()
    values[0] = proof.root[1, proof.ops[1] // 2] - 1e-9  # the first byte says where both parts wait
    moved = proof.regions[0].point + 0.3
    bins, waits = proof.ops.copy(), np.flatnonzero((proof.ops >= 16) & (proof.ops < 64))
    bins[waits[len(waits) // 2]] = 16
    return {
        "lower": replace(proof, lower=proof.upper * (1 - 1e-13)),
        "upper": replace(proof, upper=proof.upper * (1 - 1e-9), lower=proof.lower * (1 - 1e-9)),
        "bound": replace(proof, regions=(replace(region, bound=proof.upper * 1.01),)),
        "wide": replace(proof, regions=(replace(region, box=wide),)),
        "point": replace(proof, regions=(replace(region, point=moved),)),
        "root": replace(proof, root=middle),
        "leaf": replace(proof, ops=ops),
        "bins": replace(proof, ops=bins),
        "gauge": replace(proof, gauge=(1, 0)),
        "short": replace(proof, ops=short),
        "values": replace(proof, values=values),
        "none": replace(proof, ops=np.array([104], np.uint8), values=np.zeros(0)),
        "one region": replace(proof, ops=np.array([128], np.uint8), values=np.zeros(0)),
        "no region": replace(proof, regions=()),
        "more places": replace(proof, values=np.append(values, 0.1)),
    }


@pytest.mark.parametrize(
    "place, value", [(0, 1e-12), (0, -1.0), (0, 1 + 1e-12), (1, 1e-12), (1, 0.3), (2, 1e-9), (3, 0.4), (3, 9.0)]
)
def test_the_point_of_a_kink_is_where_its_proof_has_it(place, value, tmp_path):
    """A file whose dropped feature is said to have a minimum elsewhere, or that of another phase, is not confirmed."""
    honest = certify(cell(0.067, 0.996))
    assert honest.phases == (DROPPED,) and honest.check()
    honest.save(tmp_path / "proof.npz")
    arrays = dict(np.load(tmp_path / "proof.npz"))
    arrays["region_point"][0, place] = value
    np.savez(tmp_path / "forged.npz", **arrays)
    forged = Certificate.load(tmp_path / "forged.npz")
    assert not forged.check()
    assert DROPPED in forged.phases


def test_a_kink_is_known_for_two_features_alone(three):
    """A region of three features that says to be a dropped one beside a dedicated one is not confirmed."""
    region = three.proof.regions[0]
    point = np.array([1.0, 0.0, 0.0, 0.05, 0.0, 0.0, 0.0, 0.0])
    false = replace(region, kind=1, point=point, box=np.array([point - 1e-3, point + 1e-3]), bound=0.0)
    with pytest.raises(NotConfirmed, match="no feature is left out"):
        Replay(2, three.model.importance, three.model.feature_density, three.proof)._region(false)


@pytest.mark.parametrize("signs", [-1, 1])
@pytest.mark.parametrize("radius", [0.0, 0.01])
def test_a_hull_that_no_box_is_in_is_not_confirmed(small, signs, radius):
    """Minimizers of another phase that no search has found, a point or a box, are not confirmed, nor a region without a box."""
    point = small.proof.regions[0].point
    hull = np.array([point - radius, point + radius])
    region = replace(small.proof.regions[0], box=np.array([point - 1e-3, point + 1e-3]), bound=0.0, unique=False)
    for more in ({"hulls": {signs: hull}}, {"regions": (*small.proof.regions, region)}):
        forged = replace(small.proof, **more)
        made = room.as_certificate(small.model, small.weights, small.bias, small.tolerance, forged)
        assert not made.check(sample=1)


def test_a_second_hull_of_the_same_boxes_is_not_confirmed():
    """Low boxes of one sign said once more to have none: the aligned pair that this adds was never a minimizer."""
    model = cell(0.5, 0.02)
    lowest = minimize(model)[0]
    upper = lowest.loss * (1 + 1e-12)
    proof = prove(1, (0, 1), model.importance.copy(), model.feature_density.copy(), upper, 0.1, 0, (), 100_000, lambda n: None)
    assert room.as_certificate(model, lowest.weights, lowest.bias, 0.1, proof).check(sample=1)
    for signs in (-1, 1):
        twice = replace(proof, hulls={**proof.hulls, signs: proof.hulls[0]})
        assert not room.as_certificate(model, lowest.weights, lowest.bias, 0.1, twice).check(sample=1)


@pytest.mark.parametrize("end, value", [((1, 1), 5.0), ((0, 1), -3.0), ((0, 0), -1e-9), ((1, 3), 1e-6)])
def test_hulls_are_those_of_their_boxes(end, value):
    """Minimizers that are wider than the boxes in them are not confirmed, and keep the phase of their signs."""
    model = cell(0.5, 0.02)
    lowest = minimize(model)[0]
    upper = lowest.loss * (1 + 1e-12)
    proof = prove(1, (0, 1), model.importance.copy(), model.feature_density.copy(), upper, 1e-2, 0, (), 100_000, lambda n: None)
    hull = proof.hulls[0].copy()
    hull[end] += value
    forged = room.as_certificate(model, lowest.weights, lowest.bias, 1e-2, replace(proof, hulls={0: hull}))
    assert forged.phases == (PAIR,) and not forged.check()


def test_a_tampered_certificate_is_not_confirmed(small):
    """Each part of a proof changed in turn, and words that the proof does not say."""
    for name, proof in _tampered(small).items():
        made = room.as_certificate(small.model, small.weights, small.bias, small.tolerance, proof)
        assert not made.check(), name
    assert not replace(small, phases=(DROPPED,)).check()
    assert not replace(small, loss_lower=small.loss_upper).check()
    assert not replace(small, arithmetic="exact").check()
    assert not any(replace(small, tolerance=value).check() for value in (2.0, np.nan, 1e-11))
    assert not replace(small, minimizers=(replace(small.minimizers[0], unique=False),)).check()
    other = room.as_certificate(cell(0.12, 0.02), small.weights, small.bias, small.tolerance, small.proof)
    assert not other.check()


def test_a_wrong_phase_is_not_confirmed():
    """A tree with low leaves whose phase is claimed to be another."""
    model = cell(0.5, 0.02)
    importance, density = model.importance.copy(), model.feature_density.copy()
    lowest = minimize(model)[0]
    upper = lowest.loss * (1 + 1e-12)
    proof = prove(1, (0, 1), importance, density, upper, 1e-2, 0, (), 100_000, lambda n: None)
    assert proof.complete and set(proof.hulls) == {0}
    right = room.as_certificate(model, lowest.weights, lowest.bias, 1e-2, proof)
    assert right.phases == (PAIR,) and right.check()
    wrong = room.as_certificate(model, lowest.weights, lowest.bias, 1e-2, replace(proof, hulls={1: proof.hulls[0]}))
    assert not wrong.check()
    assert not room.as_certificate(model, lowest.weights, lowest.bias, 1e-2, replace(proof, hulls={})).check()


def test_files_that_are_no_certificates(tmp_path):
    """Other files, and certificates with a part of another shape, are refused by name."""
    np.savez(tmp_path / "other.npz", a=1)
    with pytest.raises(ValueError, match="path must name a file"):
        Certificate.load(tmp_path / "other.npz")
    certify(cell(0.5, 0.02)).save(tmp_path / "proof.npz")
    arrays = dict(np.load(tmp_path / "proof.npz"))
    other = {
        "format": 1,
        "root": np.zeros(3),
        "importance": [1.0],
        "region_box": np.zeros(2),
        "gauge": [1, 1],
        "version": "later",
    }
    changed = {
        "n_boxes": arrays["n_boxes"] + 1,
        "theorem": f"{arrays['theorem']} In each.",
        "complete": "False",
        "n_hidden": 1.7,
        "density": np.full(3, 0.02),
        "region_unique": np.full(len(arrays["region_unique"]), 0.5),
        "hull_signs": np.array([0, 0]),
        "hulls": np.zeros((1, 2, 4)),
        "root": arrays["root"][::-1].T,
    }
    other |= changed | {name: arrays[name].astype(kind) for name, kind in (("gauge", float), ("ops", int), ("complete", int))}
    for name, value in other.items():
        np.savez(tmp_path / "broken.npz", **{**arrays, name: value})
        with pytest.raises(ValueError, match="path must name a file"):
            Certificate.load(tmp_path / "broken.npz")
            pytest.fail(name)


BROKEN = [
    *((name, value) for name in ("loss_lower", "loss_upper") for value in (np.nan, np.inf, -np.inf, -1.0)),
    *(("loss_upper", value) for value in (0.0, "1")),
    *(("tolerance", value) for value in (np.nan, -1.0, 1e-30, 1.0)),
    *((name, value) for name in ("root", "values", "region_box", "region_point", "hulls") for value in (np.nan, np.inf)),
    *(("region_bound", value) for value in (np.nan, np.inf, -1.0)),
    ("region_kind", 2),
    ("n_boxes", -3),
]


def test_numbers_that_no_certificate_has(small, tmp_path):
    """NaN, infinities and numbers outside their domain are refused when the file is read, by the name of the field."""
    small.save(tmp_path / "proof.npz")
    arrays = dict(np.load(tmp_path / "proof.npz"))
    arrays["hull_signs"], arrays["hulls"] = np.array([0]), small.proof.root[None]
    for name, value in BROKEN:
        broken = np.where(np.arange(arrays[name].size).reshape(arrays[name].shape) == 0, value, arrays[name])
        np.savez(tmp_path / "broken.npz", **{**arrays, name: broken})
        with pytest.raises(ValueError, match=f"^path must name a file written by .*broken.npz, whose {name} is not "):
            Certificate.load(tmp_path / "broken.npz")
            pytest.fail(f"{name} {value}")


def test_a_matrix_that_is_not_definite_is_refused():
    """Indefinite, singular, and where there is none."""
    for matrix in ([[1, 0], [0, -1]], [[1, 1], [1, 1]], [[0, 0], [0, 0]]):
        exact = [[number(x) for x in row] for row in matrix]
        for wanted in (-2.0, 0.0):
            assert neighbourhoods._definite(exact, [[number(0)] * 2] * 2, wanted) is None


def test_no_bound_is_below_zero():
    """Where rounding is more than the loss nothing is proved, and the loss is still not below 0; the proof says so again."""
    proved = certify(cell(0.5, 1e-8), max_boxes=1_000)
    assert proved.status == "not proved" and proved.loss_lower == 0 and proved.relative_gap == 1
    assert proved.check()


def test_stopping_keeps_the_bound_so_far():
    """A limit of boxes, or Ctrl-C: not proved, with a bound that holds, is confirmed and rises with the boxes that were seen."""
    model = cell(1.0, 0.5)
    whole = certify(model)
    bounds = []
    for max_boxes in (1_000, 2_000, 4_000):
        few = certify(model, max_boxes=max_boxes)
        assert few.status == "not proved" and few.n_boxes == max_boxes and not few.minimizers and not few.phases
        bounds.append(few.loss_lower / few.loss_upper)
    assert bounds == sorted(bounds) and bounds[0] > 0.25 and bounds[1] > 0.5 and 0.9 < bounds[2] < 1
    assert few.check(sample=60)
    assert not replace(few, proof=replace(few.proof, lower=whole.loss_lower), loss_lower=whole.loss_lower).check()
    stopped = certify(cell(0.1, 0.02), max_boxes=30)
    assert stopped.status == "not proved" and stopped.check()
    assert certify(model, max_boxes=whole.n_boxes).status == "certified"


def test_an_interrupted_search_says_what_it_has_proved(monkeypatch):
    """Ctrl-C after some boxes, before the first, and between: what waits then is all that is not proved."""
    model = ToyModel(2, [1.0, 1.0, 1.0], 0.6)
    monkeypatch.setattr(proof_room, "AT_ONCE", 500)
    gaps = []
    for portions in (0, 100, 200):
        seen = []

        def interrupt(count, portions=portions, seen=seen):
            seen.append(count)
            if len(seen) > portions:
                raise KeyboardInterrupt

        known = [(one.weights, one.bias) for one in minimize(model, n_starts=1, effort="quick")]
        stopped = room.certificate(model, known, 1e-6, 10**6, interrupt)
        assert stopped.status == "not proved" and stopped.n_boxes == sum(seen) > 0
        gaps.append(stopped.relative_gap)
    assert gaps[0] >= gaps[1] >= gaps[2] and gaps[2] < 0.75


def test_three_features_say_how_far_the_proof_comes():
    """3→2 stopped early is bounded from below, and boxes that wait are confirmed, the row table's bound too."""
    stopped = certify(ToyModel(2, [1.0, 1.0, 0.5], 0.2), max_boxes=40_000)
    assert stopped.status == "not proved" and 0.3 * stopped.loss_upper < stopped.loss_lower < stopped.loss_upper
    replay = Replay(2, stopped.model.importance, stopped.model.feature_density, stopped.proof)
    for leaf in leaves_of(replay, {OPEN: 5}):
        assert replay._holds(*leaf)


def test_a_feature_that_is_left_out_fixes_no_rotation():
    """Rotations are fixed by features that the lowest minima represent: one that is left out has regions, whichever it is."""
    for importance in ([1.0, 1.0, 0.1], [0.1, 1.0, 1.0], [1.0, 0.1, 1.0]):
        model, density = ToyModel(2, importance, 0.3), np.full(3, 0.3)
        known = [(one.weights, one.bias) for one in minimize(model, n_starts=1, effort="quick")]
        gauge = gauge_of(model.importance, density, known[:1])
        assert gauge[-1] == importance.index(0.1)
        first = regions_around(2, gauge, model.importance.copy(), density, known[:1])
        assert first and all(len(patterns_in(one, free_weights(2, gauge), 3)) == 1 for one in first)
        root = root_box(2, gauge, model.importance, density[None], np.array([known_loss(model, known[0])]))
        turned = np.zeros((2, 3))
        free = free_weights(2, gauge)
        turned[free[:, 0], free[:, 1]] = first[0].point[: len(free)]
        assert turned.T @ turned == pytest.approx(known[0][0].T @ known[0][0], abs=1e-6)
        assert np.all(root[0] <= first[0].point) and np.all(first[0].point <= root[1])


@jit
def _looked_up(own, other, cells, pairs, lows, highs, i, found):
    """What the row table says of row i over boxes of weights (k, 3): found (k, 3)."""
    for k in range(lows.shape[0]):
        look_up(own, other, cells, pairs, lows[k], highs[k], i, found[k])


@pytest.mark.parametrize(
    ("density", "count"), [(0.05, 2_500), (0.3, 2_500), pytest.param(0.15, 13_000, marks=pytest.mark.campaign)]
)
def test_the_row_table_holds(density, count):
    """No row has a lower loss than the table says, nor its best bias elsewhere: 8 rows a box, best of 101 biases and refined."""
    variance = density / 3 - density**2 / 4
    level = 0.4 * variance
    own, other, cells, pairs = row_table(density, level, 4.0)
    rng, i = np.random.default_rng(2), 1
    centres = rng.normal(size=(count, 3)) * rng.choice([0.1, 0.5, 1.0], (count, 1))
    centres[:, i] = np.abs(1 + 0.3 * rng.normal(size=count))
    lows, highs, points = boxes_and_points(rng, np.clip(centres, -3, 3), 10 ** rng.uniform(-4, -0.3, (count, 3)), 8)
    lows[:, i], points[:, :, i] = np.maximum(lows[:, i], 0), np.maximum(points[:, :, i], 0)
    found = np.zeros((count, 3))
    _looked_up(own, other, cells, pairs, lows, highs, i, found)
    least, most = -np.maximum(points, 0).sum(axis=2), density / 2 - np.minimum(points, 0).sum(axis=2)
    best = np.full(points.shape[:2], np.inf)
    for _ in range(3):
        biases = least[..., None] + np.linspace(0, 1, 34) * (most - least)[..., None]
        whole = np.concatenate([np.broadcast_to(points[:, :, None], (*biases.shape, 3)), biases[..., None]], axis=3)
        losses = row_losses(i, whole, np.full(3, density))[0]
        place = losses.argmin(axis=2)
        best = np.minimum(best, losses.min(axis=2))
        step = (most - least) / 33
        at = np.take_along_axis(biases, place[..., None], axis=2)[..., 0]
        least, most = at - step, at + step
    low_enough = best <= level
    assert np.all(best[low_enough] >= np.broadcast_to(found[:, :1], best.shape)[low_enough] - 1e-13)
    assert np.all(at[low_enough] >= (found[:, 1:2] - 2 * step)[low_enough])
    assert np.all(at[low_enough] <= (found[:, 2:] + 2 * step)[low_enough])
    assert np.count_nonzero(low_enough) > 2000 and np.count_nonzero(found[:, 0] > level) > 100
    high = np.where(np.isfinite(found[:, :1]), 1.2 * found[:, :1] + 1e-4 * variance, np.inf)
    assert np.count_nonzero(best[low_enough] < np.broadcast_to(high, best.shape)[low_enough]) > 20  # a broken table is caught


def leaves_of(replay, counts):
    """The first leaves of a proof that have each of those reasons, so many: (reason, low, high)."""
    left, found = dict(counts), []
    for leaf in replay._leaves():
        if left.get(leaf[0]):
            left[leaf[0]] -= 1
            found.append(leaf)
            if not any(left.values()):
                break
    return found


@pytest.fixture(scope="module")
def three():
    """The certificate of a model of three features, a pair of equal ones beside a dedicated one of importance 3."""
    return certify(ToyModel(2, [1.0, 1.0, 3.0], 0.1))


def test_three_features_are_certified(three, monkeypatch):
    """3→2 to 1e-6, its phase too; leaves of each new kind are confirmed in rational arithmetic, and others are not."""
    assert three.status == "certified" and three.relative_gap <= 1e-6
    assert three.phase_certified and three.phases == ("extra dedicated + antipodal pair",)
    assert all(one.unique for one in three.minimizers)
    lowest, free = minimize(three.model, n_starts=1)[0].loss, free_weights(2, range(3))
    assert three.loss_lower <= lowest * (1 + 1e-14) and three.loss_upper == pytest.approx(lowest, rel=1e-12)
    replay = Replay(2, three.model.importance, three.model.feature_density, three.proof)
    for leaf in leaves_of(replay, {ORDER: 20, TABLE: 2, REGION: 1}):
        assert replay._holds(*leaf)
    box = three.minimizers[0]
    low, high = (np.concatenate([w[free[:, 0], free[:, 1]], b]) for w, b in zip(box.weights, box.bias, strict=True))
    monkeypatch.setattr("phasediag._certifying.replay.PIECES", 50)
    assert not replay._holds(TABLE, low, high) and not replay._holds(ORDER, low, high)


def test_false_claims_about_three_features(three):
    """A loss raised by little, or the second minimum given as the lowest with its region, is not proved, nor its phase."""
    model, (lowest, second) = three.model, minimize(three.model, n_starts=1, effort="quick")[:2]
    importance, density = model.importance.copy(), model.feature_density.copy()
    around = regions_around(2, (0, 1, 2), importance, density, [(second.weights, second.bias)])
    assert around and lowest.loss == pytest.approx(three.loss_upper, rel=1e-12)
    for upper, gap, regions in ((lowest.loss * (1 + 1e-6), 1e-7, ()), (second.loss * (1 + 1e-12), 0.1, around)):
        proof = prove(2, (0, 1, 2), importance, density, upper, gap, -1, regions, 30_000, lambda n: None)
        assert not proof.complete or 1 - proof.lower / upper > gap
        assert proof.lower <= lowest.loss
        made = room.as_certificate(model, second.weights, second.bias, gap, proof)
        assert made.status == "not proved" and not made.phase_certified


@pytest.mark.campaign
def test_points_of_low_density_are_certified():
    """3→2 to 1e-6 with its phase at (0.5, 0.2) and 20 random points of density up to 0.3; leaves in rational arithmetic."""
    rng = np.random.default_rng(19)
    points = zip(10 ** rng.uniform(-1, 1, 20), 10 ** rng.uniform(-2, np.log10(0.3), 20), strict=True)
    for importance, density in [(0.5, 0.2), *points]:
        proved = certify(ToyModel(2, [1.0, 1.0, importance], density))
        assert proved.phase_certified and proved.relative_gap <= 1e-6 and proved.check(sample=30)


@pytest.mark.parametrize(
    "extra, density",
    [(0.656, 0.0123), (0.792, 0.396), (0.974, 0.0126), (1.192, 0.7616), (0.9708, 0.6248), (5.609, 0.01906), (2.3258, 0.4509)],
)
def test_the_minimum_is_proved_to_be_the_only_one(extra, density):
    """Soft minima and minima beside a kink too: regions are shown to be convex in parts, and nothing is left beside them."""
    minimizers = certify(cell(extra, density)).minimizers
    assert minimizers and all(one.unique for one in minimizers)


@jit
def _walls_at(i, lows, highs, density, found):
    """The bounds of Q of row i over boxes (k, n + 1): found (k, 2, n + 1, n + 1)."""
    lines, work = np.zeros((2, 3, 3)), np.zeros((20, 16))
    for k in range(lows.shape[0]):
        _wall(i, lows[k], highs[k], density, found[k], lines, work)


@jit
def _curvatures_at(centres, radii, free, importance, density, found, holds):
    """Middles and half-widths of half the second derivative over boxes (k, nd): found (k, 2, nd, nd), where there are any."""
    n, nd = density.shape[0], centres.shape[1]
    spans, lines, work = np.zeros((3, n, n + 1)), np.zeros((4, n + 1, n + 1)), np.zeros((20, 16))
    store, big = np.zeros((12, n + 1, n + 1)), np.zeros((3, nd, nd))
    for k in range(centres.shape[0]):
        holds[k] = _curvature(
            centres[k], radii[k], free, importance, density, found[k, 0], found[k, 1], big, store, spans, lines, work
        )


def walls(seed, n_features, count, n_points):
    """Bounds of Q over boxes of g~ with a positive own weight, and Q at points in them: (count, 2, …), (count, n_points, …)."""
    rng, density, _, _ = draws(seed, n_features, 1)
    i, d = seed % n_features, n_features + 1
    centres = rng.normal(size=(count, d))
    centres = np.round(centres) if seed % 4 == 0 else centres
    centres[:, i] = 0.3 + np.abs(centres[:, i])
    widths = 10 ** rng.uniform(-8, 0, (count, 1)) * rng.uniform(0, 1, (count, d))
    widths[:, i] = np.minimum(widths[:, i], 0.9 * centres[:, i])
    lows, highs, points = boxes_and_points(rng, centres, widths, n_points)
    found, exact = np.zeros((count, 2, d, d)), np.zeros((count * n_points, 2, d, d))
    _walls_at(i, lows, highs, density, found)
    flat = points.reshape(-1, d)
    _walls_at(i, flat, flat, density, exact)
    return found, exact.mean(axis=1).reshape(count, n_points, d, d), exact[:, 1] - exact[:, 0]


@pytest.mark.parametrize("n_features", [2, 3])
def test_bounds_of_walls_hold(n_features):
    """What the moving border z = 0 takes from the curvature: 100 000 entries within their bounds; shrunk bounds are caught."""
    evaluated, caught = 0, 0
    for seed in range(8):
        found, exact, spread = walls(seed, n_features, 300, 8)
        assert spread.max() < 1e-9
        assert np.all((exact >= found[:, :1] - 1e-11) & (exact <= found[:, 1:] + 1e-11))
        middle, half = found.mean(axis=1)[:, None], 0.45 * (found[:, 1:] - found[:, :1])
        caught += np.count_nonzero(np.abs(exact - middle) > half + 1e-9)
        evaluated += exact.size
    assert evaluated > 100_000 and caught > 1_000


@pytest.mark.parametrize("n_features", [2, 3])
def test_walls_are_those_of_fractions_and_of_a_difference(n_features):
    """Over boxes the kernel's bounds are those of whole numbers; at points they are the derivative of E x_i 1{z > 0} x~."""
    rng = np.random.default_rng(n_features)
    for k in range(12 if n_features == 2 else 4):
        density, i = rng.uniform(0.1, 1, n_features), k % n_features
        centre = rng.normal(size=n_features + 1)
        centre[i] = 0.3 + abs(centre[i])
        low, high = centre - 0.1 * rng.random(n_features + 1), centre + 0.1 * rng.random(n_features + 1)
        found = np.zeros((1, 2, n_features + 1, n_features + 1))
        _walls_at(i, low[None], high[None], density, found)
        whole = neighbourhoods._wall(*([number(x) for x in end] for end in (low, high)), i, [number(x) for x in density])
        for (x, y), (least, most) in whole.items():
            lost = np.array([float(least) - found[0, 0, x, y], found[0, 1, x, y] - float(most)])
            assert np.all(np.abs(lost * [high[i], low[i]] / density[i] / _SAFETY - 1.5) < 1)
        _walls_at(i, centre[None], centre[None], density, found)
        step, ends = 1e-6, np.zeros((2, n_features + 1, n_features + 1))
        for j in range(n_features + 1):
            moved = centre + step * np.array([[1], [-1]]) * np.eye(n_features + 1)[j]
            _moments_at(moved, density, ends)
            assert (ends[0, i] - ends[1, i]) / (2 * step) == pytest.approx(found[0, 0, j], abs=2e-5)


@pytest.mark.parametrize(
    ("n_features", "seeds"), [(2, range(1, 11)), (3, range(1, 7)), pytest.param(3, range(1, 131), marks=pytest.mark.campaign)]
)
def test_bounds_of_curvature_hold(n_features, seeds):
    """Middle less the row sums of half-widths is below half the exact second derivative; without the half-widths it is not."""
    evaluated, caught, free = 0, 0, free_weights(n_features - 1, range(n_features))
    place = [h * n_features + c for h, c in free] + [len(set(free[:, 0])) * n_features + i for i in range(n_features)]
    for seed in seeds:
        rng, density, centres, widths = draws(seed, n_features, 250)
        importance = rng.uniform(0.1, 3, n_features)
        _, _, points = boxes_and_points(rng, centres, widths, 40 if n_features == 2 else 8)
        found, holds = np.zeros((250, 2, *[centres.shape[1]] * 2)), np.zeros(250, bool)
        _curvatures_at(centres, widths, free, importance, density, found, holds)
        found, points = found[holds], points[holds]
        weights = np.zeros((*points.shape[:2], n_features - 1, n_features))
        weights[..., free[:, 0], free[:, 1]] = points[..., : len(free)]
        hessian = expected_loss_hessian(ToyModel(n_features - 1, importance, density), weights, points[..., len(free) :]) / 2
        hessian = hessian[..., place, :][..., place]
        lower = found[:, 0] - np.eye(found.shape[2]) * found[:, 1].sum(axis=2)[:, None]
        size = 1 + np.abs(hessian).sum(axis=(2, 3))
        assert np.all(np.linalg.eigvalsh(hessian - lower[:, None])[..., 0] > -1e-9 * size)
        caught += np.count_nonzero(np.linalg.eigvalsh(hessian - found[:, None, 0])[..., 0] < -1e-6 * size)
        evaluated += len(found) * points.shape[1]
    assert evaluated > {6: 5_000, 10: 50_000, 130: 100_000}[len(seeds)]
    assert caught > 200


def region_points(region, n_hidden, n_features, count, seed=3):
    """Random points of a region: weights (count, n_hidden, n_features), biases (count, n_features)."""
    free = free_weights(n_hidden, range(n_features))
    rng = np.random.default_rng(seed)
    points = region.box[0] + rng.random((count, region.box.shape[1])) * (region.box[1] - region.box[0])
    weights = np.zeros((count, n_hidden, n_features))
    weights[:, free[:, 0], free[:, 1]] = points[:, : len(free)]
    return weights, points[:, len(free) :]


def test_regions_are_what_they_say():
    """In a convex region second derivatives are positive; nowhere in a region is a loss below its bound."""
    for model in (cell(0.3, 0.2), cell(0.3, 0.38), cell(0.7, 0.7), *(ToyModel(2, [1.0, 1.0, i], p) for i, p in THREE)):
        m, n = model.n_hidden, model.n_features
        known = [(one.weights, one.bias) for one in minimize(model, n_starts=1, effort="quick")]
        regions = regions_around(m, range(n), model.importance.copy(), model.feature_density.copy(), known)
        assert regions
        place = [h * n + c for h, c in free_weights(m, range(n))] + [m * n + i for i in range(n)]
        for region in regions:
            weights, bias = region_points(region, m, n, 500)
            assert expected_loss(model, weights, bias).min() >= region.bound
            assert len(patterns_in(region, free_weights(m, range(n)), n)) == 1
            if region.kind == 0:
                hessian = expected_loss_hessian(model, weights, bias)[:, place][:, :, place]
                assert np.linalg.eigvalsh(hessian).min() > 0


def test_a_region_is_a_finite_box_about_its_minimum(monkeypatch):
    """A minimum whose curvature is not told from 0 has no region; NaN is never convex, never in a region, and refused."""
    model = ToyModel(2, [1.0, 0.1, 1.0], 0.1)
    importance, density = model.importance.copy(), model.feature_density.copy()
    known = [(one.weights, one.bias) for one in minimize(model, n_starts=1, effort="quick")]
    gauge = gauge_of(importance, density, known)
    regions = regions_around(2, gauge, importance, density, known)
    assert regions and all(one.is_around_its_point for one in regions)
    free = free_weights(2, gauge)
    for value in (np.inf, np.nan):
        assert not convex_region(regions[0].point, 1e-9, free, importance, density, np.full(8, value))
        false = replace(regions[0], box=np.full((2, 8), value) * [[-1.0], [1.0]])
        upper = known_loss(model, known[0])
        with pytest.raises(ValueError, match="regions must be finite boxes about their minima"):
            prove(2, gauge, importance, density, upper, 1e-6, -1, (*regions, false), 1_000, lambda n: None)
    monkeypatch.setattr(Region, "is_around_its_point", True)
    few = prove(2, gauge, importance, density, upper, 1e-6, -1, (*regions, false), 1_000, lambda n: None)
    assert not few.complete and not np.any(few.ops == REGION + len(regions))


def test_a_proof_that_excludes_a_known_minimum_is_refused(monkeypatch):
    """A bound too high for the region of the minimum, as a fault would make it, is an error and no certificate."""
    monkeypatch.setattr(room, "regions_around", lambda *given: tuple(replace(x, bound=1.0) for x in regions_around(*given)))
    with pytest.raises(RuntimeError, match="the proof excludes the minimum that is known"):
        certify(cell(0.5, 0.05))


def test_the_bracket_of_a_kink_holds():
    """Around a feature left out the loss is at least what the bracket says, 100 000 evaluations; a raised bracket is caught."""
    rng, evaluated, caught = np.random.default_rng(8), 0, 0
    for _ in range(250):
        extra, density, eta = 10 ** rng.uniform(-1, 0.5), rng.uniform(0.05, 1, 2), 10 ** rng.uniform(-3, -0.3)
        third = eta / 3
        least, unit = 1 - third, extra * (density[1] / 3 - density[1] ** 2 / 4)
        bracket = kink_bracket(least, eta, *density, 0.0, 1.0, extra)
        own = np.sqrt(rng.uniform(least, 1 + third, 400)) * rng.choice([-1, 1], 400)
        reach = min(third, density[1] / 4) / np.sqrt(1 + third)
        weights = np.column_stack([own, rng.uniform(-reach, reach, 400)])
        cross = np.abs(weights.prod(axis=1))
        bias = np.column_stack([rng.uniform(-third, third, 400), rng.uniform(cross, density[1], 400)])
        # the best biases are where the bracket is met
        bias[::2, 1] = np.maximum(
            cross, 0.5 * density[1] * (1 - weights[:, 1] ** 2 - weights.prod(axis=1) * density[0] / density[1])
        )[::2]
        loss = expected_loss(ToyModel(1, [1.0, extra], density), weights[:, None], bias)
        bound = unit * (1 + weights[:, 1] ** 2 * bracket)
        assert np.all(loss >= bound - 1e-13)
        caught += np.count_nonzero(loss < bound + unit * weights[:, 1] ** 2 * 0.5 * (1 + abs(bracket)) - 1e-13)
        evaluated += len(loss)
    assert evaluated == 100_000 and caught > 50


THREE = (0.5, 0.2), (1.0, 0.2), (0.1, 0.3), (1.0, 0.6), (1.959, 0.1814)
"""Importances of the extra feature and densities of 3→2: pairs beside a dedicated feature, a feature left out, the triangle."""


def test_what_a_region_of_three_features_claims(three, monkeypatch):
    """A region made wider, raised, moved or said to hold another minimum is not confirmed in rational arithmetic."""
    replay = Replay(2, three.model.importance, three.model.feature_density, three.proof)
    region = three.proof.regions[-1]
    replay._region(region)
    middle, radius = region.point, region.box[1] - region.point
    monkeypatch.setattr(neighbourhoods, "MOST_PARTS", 2)
    wrong = {
        "wide": replace(region, box=np.array([middle - 30 * radius, middle + 30 * radius])),
        "bound": replace(region, bound=region.bound * (1 + 1e-9)),
        "point": replace(region, point=middle + 0.1 * radius),
        "empty": replace(region, box=np.array([middle + 0.1 * radius, middle + radius]), point=middle + 0.5 * radius),
    }
    for name, one in wrong.items():
        with pytest.raises(NotConfirmed):
            replay._region(one)
            pytest.fail(name)


def patterns_in(region, free, n_features):
    """The patterns that a region may hold."""
    return patterns_of(free, n_features, region.box, zeros_of(free, n_features, region))


def test_phases_of_a_region():
    """A phase is told where norms, products and sides are those of the minimum throughout, and zeros follow from uniqueness."""
    free = free_weights(2, range(3))

    def told(weights, unique=True, radius=0.1):
        point = np.concatenate([np.array(weights)[free[:, 0], free[:, 1]], np.zeros(3)])
        return len(patterns_in(Region(0, np.array([point - radius, point + radius]), point, 0.0, unique), free, 3)) == 1

    pair, triangle = [[1.0, 0.0, 0.0], [0.0, 1.0, -1.0]], [[1.0, -0.5, -0.5], [0.0, 0.9, -0.9]]
    assert told(pair) and told(triangle) and told([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]) and told(triangle, unique=False)
    assert told([[1.0, -1.0, 0.0], [0.0, 0.0, -1.0]]) and told([[1.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    assert not told(pair, unique=False)  # the weights are near 0, not shown to be
    assert not told(triangle, radius=0.5) and not told([[1.0, 0.0, 0.0], [0.0, 0.05, -1.0]])
    assert not told([[1.0, 0.05, 0.0], [0.0, 1.0, -1.0]])  # nearly orthogonal
    assert not told([[1.0, -1.0, -1.0], [0.0, 0.05, 0.5]])  # nearly on one line
    assert told([[1.0, 0.0, -0.5], [0.0, 1.0, -0.9]])  # joined by the third, whatever their product
    assert told([[1.0, 0.3, -0.5], [0.0, 1.0, -0.9]], radius=0.03)  # origin inside or not: one of the two throughout


def test_equal_features_tie():
    """At three equal features a pair beside a dedicated one is a tie of two phases, by exchanges alone; both are listed."""
    model = ToyModel(2, [1.0, 1.0, 1.0], 0.2)
    known = [(one.weights, one.bias) for one in minimize(model, n_starts=1, effort="quick")]
    regions = regions_around(2, (0, 1, 2), model.importance.copy(), model.feature_density.copy(), known)
    proof = Proof(
        (0, 1, 2), np.zeros((2, 8)), np.zeros(0, np.uint8), np.zeros(0), regions, known_loss(model, known[0]), 0.0, {}, True
    )
    made = room.as_certificate(model, *known[0], 1.0, proof)
    assert set(made.phases) == {"extra in antipodal pair + dedicated", "extra dedicated + antipodal pair"}
    assert not made.phase_certified and all(one.phase for one in made.minimizers)


def known_loss(model, parameters):
    """The loss at weights and bias, and a little more."""
    return float(expected_loss(model, *parameters)) * (1 + 1e-9)


def test_the_root_holds_what_rows_allow():
    """Beyond the norm of the root one feature alone costs a row its limit, whatever its bias."""
    importance, density = np.array([1.0, 0.4]), np.full(2, 0.3)
    upper = minimize(cell(0.4, 0.3))[0].loss
    at = density[None], np.array([upper])
    root, limits = root_box(1, (0, 1), importance, *at), levels(importance, *at) * density / 3
    for i in range(2):
        g = np.zeros((4000, 3))
        g[:, i], g[:, 2] = root[1, i] ** 2, np.linspace(-2 * root[1, i] ** 2, 1, 4000)
        assert row_losses(i, g, density)[0].min() >= limits[i]


def test_support_is_the_loss_and_its_gradient():
    """The bound at a point is the loss less what rounding may be; sizes of the gradient are not below the true ones."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        point, importance, density, found = rng.normal(size=4), rng.uniform(0.1, 2, 2), rng.uniform(0.1, 1, 2), np.zeros(4)
        bound = support(point, 1, free_weights(1, range(2)), importance, density, found)
        loss, *gradient = expected_loss_and_gradient(ToyModel(1, importance, density), point[None, :2], point[2:])
        exact = np.abs(np.concatenate([gradient[0].ravel(), gradient[1]]))
        size = (1 + np.abs(point).sum()) ** 3
        assert (
            loss - 20 * MARGIN[2] * size <= bound <= loss
            and np.all(exact <= found)
            and np.all(found <= exact + 1e3 * MARGIN[2] * size)
        )


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("model", "model must be a ToyModel"),
        (ToyModel(2, [1.0] * 4, 0.1), "2 or 3 features to be certified, got 4"),
        (ToyModel(1, [1.0, 1.0], 0.1, "linear"), "ReLU to be certified"),
    ],
)
def test_models_that_are_not_certified(model, words):
    """One sentence says what is."""
    with pytest.raises(ValueError, match=words):
        certify(model)
    with pytest.raises(ValueError, match="tolerance must be in"):
        certify(cell(1.0, 0.5), tolerance=0.0)
    with pytest.raises(ValueError, match="max_boxes must be a whole number"):
        certify(cell(1.0, 0.5), max_boxes=0)


def test_the_command(run, tmp_path):
    """``certify`` writes a proof, reads and checks it; ``minimize --certify`` proves its minimum; 1 where nothing is proved."""
    point = ("--importance", 0.1, "--density", 0.02)
    code, out, _ = run("certify", *point, "--output", tmp_path / "proof.npz")
    assert code == 0 and "every global minimum: extra in antipodal pair" in out and "exactly one" in out
    code, out, _ = run("certify", "--load", tmp_path / "proof.npz", "--check", "--json")
    facts = json.loads(out)
    assert code == 0 and facts["confirmed"] and facts["phases"] == [PAIR] and facts["model"]["density"] == [0.02, 0.02]
    code, out, _ = run("certify", *point, "--max-boxes", 50)
    assert code == 1 and "not proved" in out
    code, out, _ = run("minimize", *point, "--certify", "--json")
    assert code == 0 and json.loads(out)["certificate"]["status"] == "certified"
    code, _, err = run("minimize", "--n-features", 4, "--n-hidden", 2, "--certify")
    assert code == 2 and "2 or 3 features to be certified, got 4" in err
