"""Boundaries over other planes and laws than importance × density, against bisection between minima that are searched afresh."""

import csv
import json
import time

import numpy as np
import pytest
from click.testing import CliRunner
from matplotlib.figure import Figure
from scipy.optimize import brentq

from phasediag import (
    AnticorrelatedSets,
    Axis,
    ControlPlane,
    CorrelatedSets,
    ExactlyActive,
    Penalty,
    PhaseDiagram,
    Pieces,
    ToyModel,
    expected_loss,
    minimize,
    phase_diagram,
)
from phasediag._boundaries.branch_points import branch_points
from phasediag._boundaries.equilibria import Solver
from phasediag.cli import commands
from phasediag.figures import draw_phase_diagram

DROPPED, PAIR, ALONE = "extra not represented + dedicated", "extra in antipodal pair", "extra dedicated + not represented"
ALIGNED = "extra in aligned pair"
SLOPE = Axis("slope", np.linspace(0, 1, 11), log=False)
WEIGHTS = Axis("weight_penalty", np.linspace(0, 0.05, 7), log=False)
INTERFERENCE = Axis("interference_penalty", np.linspace(0, 0.1, 11), log=False)


def over(*axes, **model):
    """The diagram of 2→1, unless it is said otherwise, over some axes."""
    options = {"n_hidden": 1, "importance": [1.0, 1.0], "density": 0.2} | model
    return phase_diagram(plane=ControlPlane(ToyModel(**options), *axes))


def lowest(model, phase):
    """The least loss of a minimum of a phase, among those of a search of its own."""
    return min((one.loss for one in minimize(model, n_starts=24, seed=3) if one.phase.name == phase), default=np.inf)


def bisected(plane, y, low, high, phases):
    """Where the least losses of two phases are equal along x."""

    def lead(x):
        return np.subtract(*(lowest(plane.model(x, y), phase) for phase in phases))

    return brentq(lead, low, high, xtol=1e-12)


def assert_equal_losses(diagram, boundary, most=5):
    """The boundary's two minima have one loss, and no fresh search finds less, at some of its points."""
    for k in np.unique(np.linspace(0, boundary.x.size - 1, most + 2).round().astype(int)[1:-1]):
        model = diagram.plane.model(float(boundary.x[k]), float(boundary.y[k]))
        flat = boundary.minima[:, k].reshape(2, model.n_hidden + 1, model.n_features)
        losses = expected_loss(model, flat[:, :-1], flat[:, -1])
        assert losses[0] == pytest.approx(losses[1], rel=1e-11)
        assert minimize(model, n_starts=24, seed=5)[0].loss == pytest.approx(losses[0], rel=1e-11)


@pytest.mark.quick("_boundaries")
@pytest.mark.parametrize(("importance", "slope"), [(0.3, 0.5775), (0.5, 0.7454), (0.7, 0.8654)])
def test_the_antipodal_pair_dies_along_the_slope(importance, slope):
    """One transition along a line, where bisection finds it; both minima cease beyond it, on their own sides."""
    diagram = over(SLOPE, importance=[1.0, importance], density=0.1)
    (boundary,) = diagram.boundaries()
    assert (boundary.phases, boundary.order, boundary.x.size) == ((PAIR, DROPPED), "first", 1)
    assert boundary.x[0] == pytest.approx(slope, abs=6e-5)
    assert boundary.x[0] == pytest.approx(bisected(diagram.plane, 0.0, slope - 0.01, slope + 0.01, (DROPPED, PAIR)), abs=1e-10)
    ends = {one.phase: float(one.x[0]) for one in diagram.spinodals()}
    assert ends[DROPPED] < boundary.x[0] < ends[PAIR]
    assert not diagram.triple_points()


def test_interference_ends_the_pair_of_equal_features():
    """λ_c(1, 0.2): first the pair loses its symmetry, in a first-order transition, then it ends."""
    diagram = over(INTERFERENCE)
    broken, ended = sorted(diagram.boundaries(), key=lambda one: one.x[0])
    assert broken.phases == (PAIR, PAIR) and set(ended.phases) == {PAIR, *ended.phases} and len(set(ended.phases)) == 2
    assert ended.x[0] == pytest.approx(0.037554, abs=5e-7)

    def asymmetry(penalty):
        weights = minimize(diagram.plane.model(penalty, 0.0), n_starts=24)[0].weights
        return abs(np.ptp(np.abs(weights)))

    before, after = broken.x[0] - 1e-7, broken.x[0] + 1e-7
    assert asymmetry(before) < 1e-6 and 0.05 < asymmetry(after) < 0.5
    assert_equal_losses(diagram, ended, most=1)


def test_weight_decay_moves_the_boundaries_of_2_to_1():
    """Over importance × γ: two boundaries from the edge γ = 0, each point where bisection finds it."""
    diagram = over(Axis("importance", np.geomspace(0.1, 10, 9)), WEIGHTS, density=0.3)
    left, right = sorted(diagram.boundaries(), key=lambda one: one.x.min())
    assert (set(left.phases), set(right.phases)) == ({DROPPED, PAIR}, {PAIR, ALONE})
    for boundary, phases in ((left, (DROPPED, PAIR)), (right, (PAIR, ALONE))):
        assert boundary.order == "first" and boundary.ends == ("edge", "edge")
        assert_equal_losses(diagram, boundary)
        k = boundary.x.size // 2
        x, y = float(boundary.x[k]), float(boundary.y[k])
        assert x == pytest.approx(bisected(diagram.plane, y, 0.97 * x, 1.03 * x, phases), rel=1e-9)
    plain = phase_diagram(importance=np.geomspace(0.1, 10, 9), density=[0.3])  # the same without γ
    assert sorted(one.x[0] for one in plain.boundaries()) == pytest.approx(
        sorted(one.x[np.argmin(one.y)] for one in (left, right)), rel=1e-9
    )
    assert left.latent_loss[0] == pytest.approx(next(b for b in plain.boundaries() if DROPPED in b.phases).latent_loss[0])


def test_jump_of_the_slope_along_any_first_axis():
    """latent_loss is the jump of ∂L*/∂x: of the least losses of both phases, by differences, along γ."""
    diagram = over(WEIGHTS, importance=[1.0, 0.4], density=0.3)
    (boundary,) = diagram.boundaries()
    x, step = float(boundary.x[0]), 1e-5
    models = [diagram.plane.model(x + sign * step, 0.0) for sign in (1, -1)]
    slopes = [(lowest(models[0], phase) - lowest(models[1], phase)) / (2 * step) for phase in boundary.phases]
    assert boundary.latent_loss[0] == pytest.approx(abs(slopes[0] - slopes[1]), rel=1e-5)


def test_binary_values_have_their_curves():
    """2→1 with binary values: three weak and strong pairs meet; every point ties, and no search finds less."""
    axes = Axis("importance", np.geomspace(0.5, 0.6, 4)), Axis("density", np.linspace(0.29, 0.34, 4), log=False)
    diagram = over(*axes, values="binary")
    assert len(diagram.boundaries()) == 3 and {one.phases for one in diagram.boundaries()} == {(PAIR, PAIR)}
    (point,) = diagram.triple_points()
    assert (point.importance, point.density) == pytest.approx((0.5462223895, 0.3167607282), abs=1e-8)
    for boundary in diagram.boundaries():
        assert sorted(boundary.ends) == ["edge", "triple point"]
        assert_equal_losses(diagram, boundary, most=3)


def test_a_feature_without_mean_comes_in_with_its_bias():
    """Two signed features, always active: where one begins to be represented is known in closed form, to 1e-12.

    At weights ε and bias βε its part of the loss is ε² ((1 + β)³/6 − (1 + β)/3), that of the other ε²/6. Its bias is 0 up to
    there, any below it as good, and rounding told on which side of the kink it was: no such curve was followed.
    """
    axes = Axis("importance", [0.8, 1.0]), Axis("importance_of_1", [0.9, 1.1])
    ratio = 0.75 * 1.5**0.5
    expected = {("continuous", DROPPED): 1 / ratio, ("continuous", ALONE): ratio, ("first", PAIR): 1.0}
    found = over(*axes, activity=ExactlyActive(2), values="signed").boundaries()
    assert {one.order for one in found} == {"first", "continuous"} and len(found) == 3
    for one in found:
        assert one.ends == ("edge", "edge")
        assert np.allclose(one.y / one.x, expected[one.order, one.phases[0]], rtol=1e-12)


def test_a_feature_without_mean_comes_in_on_a_stair():
    """Two signed features: where one begins to be represented is known in closed form, to 1e-11; no such curve was found.

    With weights ε its bias grows as ε², so that its output is on where the other feature is inactive; the other's bias is βε.
    """
    axes = Axis("importance", [0.355, 0.372]), Axis("density", [0.49, 0.51])
    (one,) = over(*axes, values="signed").boundaries()
    assert one.order == "continuous" and one.phases == (DROPPED, PAIR) and one.ends == ("edge", "edge")
    p, q = one.y, 1 - one.y
    b = (np.sqrt((1 + 4 * q) ** 2 - 16 * q**2) - 1 - 4 * q) / (4 * q)
    cost, gain = p * (b**2 / 8 + p / 6) + p * q * (1 + b) ** 3 / 6, p**2 / 3 - p / 6 + 2 / 3 * p * q
    assert np.allclose(one.x, cost / gain, rtol=1e-11)


def inner_ends(boundaries):
    """Where boundaries end inside the window, and with what: points (n, 2), and words."""
    found = [(float(one.x[at]), float(one.y[at]), one.ends[at]) for one in boundaries for at in (0, -1) if one.ends[at] != "edge"]
    return np.array([place for *place, _ in found]), [word for *_, word in found]


def test_where_a_feature_comes_in_on_a_stair_or_beside_it_two_pairs_begin_to_coexist():
    """Signed features: where both modes of one that is not represented are soft is known in closed form; curves ended open.

    Beside the stair of the test above its bias falls by 1 − s in parts of its weights, s² = 2p/3, and it gains 2p²s/9.
    """
    found = over(Axis("importance", [0.945, 0.958]), Axis("density", [0.97, 0.98]), values="signed").boundaries()
    p = brentq(lambda p: 0.5 - p / 3 - 2 / 9 * p * np.sqrt(2 * p / 3), 0.9, 1, xtol=1e-15)
    b = (np.sqrt((5 - 4 * p) ** 2 - 16 * (1 - p) ** 2) - 5 + 4 * p) / (4 * (1 - p))
    cost, gain = p * (b**2 / 8 + p / 6) + p * (1 - p) * (1 + b) ** 3 / 6, 2 / 9 * p**2 * np.sqrt(2 * p / 3)
    places, words = inner_ends(found)
    assert places == pytest.approx(np.array([[cost / gain, p]] * 3), rel=1e-9) and words == ["triple point"] * 3
    assert sorted(one.order for one in found if "triple point" in one.ends) == ["continuous", "continuous", "first"]


def test_losses_of_pairs_are_told_apart_across_kinks():
    """Three pairs of signed features have one loss: above a base beyond kinks one that is higher was taken for lower."""
    found = over(Axis("importance", [0.958, 0.963]), Axis("density", [0.968, 0.972]), values="signed").boundaries()
    (place, *others), words = inner_ends(found)
    assert len(found) == 3 and words == ["triple point"] * 3 and np.allclose(others, place, rtol=1e-9)
    losses = [one.loss for one in minimize(ToyModel(1, [1.0, place[0]], place[1], values="signed"), n_starts=60)[:3]]
    assert losses == pytest.approx(losses[:1] * 3, rel=1e-12)


def test_aligned_and_antipodal_pairs_begin_where_both_are_as_soft():
    """Leaky outputs of binary values: at density 1/2, for 1 − x has the law of x, and importance 1/2 + α²/(1 + α²), by hand."""
    axes, law = (Axis("importance", [0.57, 0.59]), Axis("density", [0.49, 0.51])), {"activation": "leaky", "slope": 0.3}
    found = over(*axes, values="binary", **law).boundaries()
    places, words = inner_ends(found)
    assert places == pytest.approx(np.array([[0.5 + 0.09 / 1.09, 0.5]] * 3), rel=1e-9) and words == ["triple point"] * 3
    assert sorted(one.order for one in found) == ["continuous", "continuous", "first"]


def test_two_features_come_in_where_either_is_worth_its_weights():
    """Nothing is represented up to where 2 I var(x) is the price γ of a square of weights, by hand: of both at importance 1."""
    axes = Axis("importance", [0.95, 1.05]), Axis("density", [0.0145, 0.0158])
    found = over(*axes, penalty=Penalty(0.01, 0.01)).boundaries()
    places, words = inner_ends(found)
    p = (2 - np.sqrt(4 - 36 * 0.005)) / 3
    assert places == pytest.approx(np.array([[1.0, p]] * 3), rel=1e-7) and words == ["triple point"] * 3
    assert sorted(one.order for one in found) == ["continuous", "continuous", "first"]


def test_features_come_in_beside_a_valley_of_their_mixtures():
    """Signed features without biases, by hand: either is worth its weight from I p/3 = γ on, and where they are equal so is any
    mixture of the two, γ r² + p/3 (2 − r² + r⁴/2): their boundary is that of the features alone. Two ends were open."""
    axes = Axis("importance", [0.95, 1.05]), Axis("density", [0.057, 0.064])
    found = over(*axes, values="signed", penalty=Penalty(0.02), biased=False).boundaries()
    places, words = inner_ends(found)
    assert places == pytest.approx(np.array([[1.0, 0.06]] * 3), rel=1e-9) and words == ["triple point"] * 3
    assert [set(one.phases) for one in found if one.order == "first"] == [{DROPPED, ALONE}]


def test_equal_features_under_a_price_of_weights_are_tied():
    """Of linear outputs, and of signed features without biases, any direction of W serves alike: one name all over, which ends
    where a weight is not worth its price, by hand. Names were those of rounding, and boundaries of these were sought for ever."""
    nothing = "extra not represented + not represented"
    linear, signed = {"activation": "linear"}, {"values": "signed", "biased": False}
    for law, worth in ((signed, lambda p: p / 3), (linear, lambda p: 2 * p / 3 - p**2 / 2)):
        diagram = over(Axis("weight_penalty", [0.01, 0.05]), Axis("density", [0.04, 0.1]), penalty=Penalty(0.01), **law)
        for name, y, x in zip(diagram.phase.ravel(), np.repeat(diagram.y, 2), np.tile(diagram.x, 2), strict=True):
            assert set(name.split(" = ")) == ({nothing} if x > worth(y) else {ALONE, PAIR})
    (boundary,) = diagram.boundaries()
    assert boundary.x == pytest.approx(worth(boundary.y), rel=1e-9) and boundary.ends == ("edge", "edge")


def test_where_no_symmetry_breaks_no_other_mode_is_soft():
    """Two binary values that are always 1: curves next to density 1 ended in a TypeError."""
    solver = Solver(over(Axis("importance", [0.9, 1.1]), Axis("density", [0.9, 1.0]), values="binary"))
    place = solver.points(1.01587376, 1.0)
    state = solver.stationary(solver.recognized(np.array([0, -1, 1, 0.0]), solver.all_free, place), place)
    assert state.held and branch_points(state).others(place) == []


def test_two_minima_become_one_on_the_kink_between_them():
    """Leaky outputs of signed values: a fresh search finds two pairs as far before the end of their boundary as one beyond it."""
    axes, law = (Axis("importance", [0.94, 0.98]), Axis("density", [0.44, 0.47])), {"activation": "leaky", "slope": 0.3}
    diagram = over(*axes, values="signed", **law)
    (end,) = (one for one in diagram.boundaries() if "critical point" in one.ends)
    points = np.stack([end.x, end.y], axis=1)[:: 1 if end.ends[0] == "critical point" else -1]
    at = np.flatnonzero(np.linalg.norm(points - points[0], axis=1) > 1e-3)[0]
    for place, count in ((points[at], 2), (2 * points[0] - points[at], 1)):
        near = [one for one in minimize(diagram.plane.model(*place), n_starts=40) if abs(one.weights[0, 0]) > 1]
        assert len([one for one in near if one.phase.name == PAIR]) == count


def test_equal_features_stop_telling_which_is_stored_in_one_point():
    """Leaky outputs of signed values: two pairs of one loss become the features alone where these begin to coexist."""
    axes, law = (Axis("importance", [0.99, 1.01]), Axis("density", [0.74, 0.77])), {"activation": "leaky", "slope": 0.3}
    diagram = over(*axes, values="signed", **law)
    found = diagram.boundaries()
    (place, *others), words = inner_ends(found)
    assert len(found) == 4 and words == ["triple point"] * 4 and np.allclose(others, place, rtol=1e-9)
    for away in (-3e-5, 3e-5):  # alone it was told as a minimum also below, where it is unstable on the stair
        smallest = [np.min(np.abs(one.weights)) for one in minimize(diagram.plane.model(1.0, place[1] + away), n_starts=24)]
        assert smallest[0] < 1e-9 if away > 0 else min(smallest) > 1e-6


def test_a_valley_of_binary_values_loses_its_stability_where_importance_is_density():
    """Its edge, W = (1, 0) and b = (0, p), curves by 2p(1 − p)(p − I)a² in 2's weight a of either sign, by hand; at density 1/2,
    for 1 − x has the law of x, both lead as low: below it an antipodal pair, above it an aligned one. Two ends were open."""
    axes = Axis("importance", [0.47, 0.54]), Axis("density", [0.48, 0.53])
    found = over(*axes, values="binary").boundaries()
    places, words = inner_ends(found)
    assert places == pytest.approx(np.full((3, 2), 0.5), rel=3e-8) and words == ["triple point"] * 3
    beyond = {one.phases: one for one in found}
    assert set(beyond) == {(DROPPED, PAIR), (DROPPED, ALIGNED), (PAIR, ALIGNED)}
    for name, sense in ((PAIR, -1), (ALIGNED, 1)):
        limit = beyond[DROPPED, name]
        assert limit.order == "continuous" and np.all(sense * (limit.y - 0.5) > -1e-7)
        assert limit.x == pytest.approx(limit.y, rel=1e-8)


def test_a_boundary_goes_on_where_its_minima_meet_a_kink():
    """Signed binary values at equal importances: from density 0.1717 on output 2 of the pair is held at 0 for x = (0, −1)."""
    values = Pieces(atoms=((-1.0, 0.5), (1.0, 0.5)))
    axes = Axis("importance", np.geomspace(0.95, 1 / 0.95, 4)), Axis("density", np.geomspace(0.1705, 0.173, 3))
    diagram = over(*axes, values=values)
    (boundary,) = diagram.boundaries()
    assert boundary.ends == ("edge", "edge") and boundary.x == pytest.approx(1, abs=1e-9)
    held = []
    for minimum in boundary.minima[0]:
        weights, bias = minimum.reshape(2, 2)
        held.append(min(abs(weights[1] * -weights + bias)) < 1e-9)
    event = float(min(boundary.y[held]))  # itself a point of the curve
    for density, kinks in ((event * (1 - 1e-6), 0), (event * (1 + 1e-6), 1)):
        assert len(minimize(diagram.plane.model(1.0, density), n_starts=24, seed=5)[0].kinks) == kinks
    assert_equal_losses(diagram, boundary, most=3)


@pytest.mark.parametrize(
    ("values", "count"),
    [("signed", 1), pytest.param(Pieces(atoms=[(-1, 0.5), (1, 0.5)]), 4, marks=pytest.mark.campaign)],
    ids=["signed", "signs"],
)
def test_boundaries_of_three_signed_features(values, count):
    """Where second derivatives grow without end beside an equilibrium its modes are told all the same: curves are whole."""
    axes = Axis("importance", [0.5, 1.0]), Axis("density", [0.1, 0.2])
    model = ToyModel(2, [1.0, 0.9, 0.81], 0.1, values=values)
    boundaries = phase_diagram(plane=ControlPlane(model, *axes), n_starts=2).boundaries()
    assert len(boundaries) == count and all(one.status == "whole" for one in boundaries)
    found = next(one for one in boundaries if one.phases == ("extra in triangle", "extra in antipodal pair + dedicated"))
    middle = len(found.x) // 2
    lowest, other = minimize(ControlPlane(model, *axes).model(found.x[middle], found.y[middle]), n_starts=16, seed=1)[:2]
    assert other.loss == pytest.approx(lowest.loss, rel=1e-11)
    assert {lowest.phase.name, other.phase.name} == set(found.phases)


@pytest.mark.campaign
@pytest.mark.parametrize("values", ["binary", Pieces(atoms=((-1.0, 0.5), (1.0, 0.5)))], ids=["binary", "signed"])
def test_curves_of_certain_values_end_and_say_how(values):
    """Over the paper's plane within 60 CPU s: an end that is not solved for says why, and none is passed over."""
    axes = Axis("importance", np.geomspace(0.1, 10, 8)), Axis("density", np.geomspace(0.01, 1, 8))
    start = time.process_time()
    diagram = over(*axes, values=values)
    boundaries = diagram.boundaries()
    assert time.process_time() - start < 60
    assert boundaries
    for boundary in boundaries:
        assert [bool(why) for why in boundary.reasons] == [end == "unresolved" for end in boundary.ends]
    for boundary in boundaries:
        if boundary.order == "first" and boundary.x.size > 1:
            assert_equal_losses(diagram, boundary, most=2)


@pytest.mark.parametrize("law", [CorrelatedSets([[0, 1]]), AnticorrelatedSets([[0, 2]])], ids=["correlated", "anticorrelated"])
def test_laws_of_joint_activity_have_their_curves(law):
    """3→2 over importance × the share of the law: boundaries tie, whatever minima a search finds."""
    axes = Axis("importance", np.geomspace(0.3, 3, 6)), Axis("activity_share", np.linspace(0.1, 1, 6), log=False)
    diagram = over(*axes, n_hidden=2, importance=np.ones(3), activity=law)
    assert diagram.boundaries() and not any("unresolved" in one.ends for one in diagram.boundaries())
    for boundary in diagram.boundaries():
        assert_equal_losses(diagram, boundary, most=3)


def test_the_first_of_three_correlated_pairs_collapses():
    """6→2: whole pairs that stand for each other are one minimum; the first collapses at density 0.07133."""
    line = Axis("density", np.geomspace(0.06, 0.1, 3))
    diagram = over(line, n_hidden=2, importance=np.ones(6), density=1.0, activity=CorrelatedSets([[0, 1], [2, 3], [4, 5]]))
    (boundary,) = diagram.boundaries()
    assert boundary.density[0] == pytest.approx(0.07133, abs=5e-6)
    assert "hexagon (3 × partners adjacent)" in boundary.phases[0] and "1 × collapsed" in boundary.phases[1]


def test_densities_of_two_features_mirror_each_other():
    """Over density × density of the second, importances 1: the plane's mirror image in its diagonal has the same curves."""
    grid = np.geomspace(0.6, 1, 5)
    found = over(Axis("density_of_1", grid), Axis("density_of_2", grid))
    ends = [np.round((b.x[k], b.y[k]), 12).tolist() for b in found.boundaries() for k in (0, -1)]  # in the same order
    assert np.allclose(sorted(ends), sorted(end[::-1] for end in ends), rtol=0, atol=1e-8)
    (point,) = found.triple_points()
    assert (point.x, point.y) == pytest.approx((0.7064036926732,) * 2, abs=1e-9)
    assert any("critical point" in b.ends for b in found.boundaries())


def test_curves_of_a_plane_carry_the_names_of_its_axes(tmp_path):
    """Tables, JSON, files, text and figures; importance and density are no names where the axes are others."""
    diagram = over(WEIGHTS, INTERFERENCE, importance=[1.0, 0.4], density=0.3)
    (boundary, *_), spinodals = diagram.boundaries(), diagram.spinodals()
    assert boundary.axes == ("weight_penalty", "interference_penalty") and spinodals
    with pytest.raises(ValueError, match="importance must be an axis, got axes weight_penalty and interference_penalty"):
        _ = boundary.importance
    assert "weight_penalty" in boundary.text() and set(boundary.function_of) <= set(boundary.axes)
    diagram.save_curves(tmp_path / "curves.csv")
    diagram.save_curves(tmp_path / "curves.json")
    with open(tmp_path / "curves.csv", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [float(row["weight_penalty"]) for row in rows if row["kind"] == "boundary" and row["index"] == "0"] == list(boundary.x)
    facts = json.loads((tmp_path / "curves.json").read_text())
    assert facts["boundaries"][0]["interference_penalty"] == list(boundary.y)
    diagram.save(tmp_path / "diagram.npz")
    loaded = PhaseDiagram.load(tmp_path / "diagram.npz")
    assert loaded.curves.facts() == diagram.curves.facts() and loaded.boundaries()[0].axes == boundary.axes
    artists = draw_phase_diagram(diagram, Figure().subplots())
    assert len(artists["boundaries"]) == len(diagram.boundaries()) and artists["spinodals"]
    (barrier,) = boundary.barriers(1)
    assert barrier.model.penalty in [Penalty(*point) for point in zip(boundary.x, boundary.y, strict=True)]
    assert barrier.heights == pytest.approx([barrier.height] * 2, rel=1e-6) and barrier.height > 0


def two_to_one(x, y):
    """A plane as a function: importance, and a density that grows along y."""
    return ToyModel(1, [1.0, x], 0.2 * y)


def test_planes_that_are_functions(tmp_path):
    """The same curves where the models are those of a function; a file knows them at the points of its grid alone."""
    grid, rows = np.geomspace(0.2, 0.6, 5), np.array([1.0, 1.5, 2.0])
    diagram = phase_diagram(plane=ControlPlane(two_to_one, Axis("ratio", grid), Axis("factor", rows)))
    (boundary,) = diagram.boundaries()
    (plain,) = phase_diagram(importance=grid, density=0.2 * rows).boundaries()
    ends = [sorted((one.x[k], scale * one.y[k]) for k in (0, -1)) for one, scale in ((boundary, 0.2), (plain, 1.0))]
    assert np.allclose(*ends, rtol=0, atol=1e-10)
    diagram.save(tmp_path / "with.npz")
    assert PhaseDiagram.load(tmp_path / "with.npz").boundaries()[0].axes == ("ratio", "factor")
    phase_diagram(plane=diagram.plane).save(tmp_path / "without.npz")
    for name, curves in (("without", "boundaries"), ("without", "spinodals"), ("with", "spinodals")):
        with pytest.raises(ValueError, match="boundaries need the models between the points of the grid"):
            getattr(PhaseDiagram.load(tmp_path / f"{name}.npz"), curves)()


def test_the_command_line_prints_curves_of_any_plane():
    """diagram and boundary --x --y: the transition along a slope, with its axis' name, in text and JSON."""
    options = ["--x", "slope:0:1:11:linear", "--importance", "0.5", "--density", "0.1"]
    for command in ("diagram", "boundary"):
        shown = CliRunner().invoke(commands, [command, *options])
        assert shown.exit_code == 0 and "slope" in shown.output and "0.74542563" in shown.output, shown.output
    facts = json.loads(CliRunner().invoke(commands, ["boundary", *options, "--json"]).output)
    assert facts["boundaries"][0]["slope"] == pytest.approx([0.7454256310248627], abs=1e-10)
