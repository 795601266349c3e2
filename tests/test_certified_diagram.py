"""Diagrams and boundaries whose phases are proved."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from scipy import optimize
from sympy import oo

from phasediag import (
    ToyModel,
    certify,
    certify_boundary,
    certify_diagram,
    certify_frozen,
    expected_loss,
    frozen_certificates,
    minimize,
    phase_diagram,
    tricritical_points,
)
from phasediag._certifying.proof import prove_between
from phasediag._certifying.regions import kink_bracket
from phasediag.certificates import certificate
from phasediag.certified_diagram import _enclosed, _way
from phasediag.symbolic import IMPORTANCE
from phasediag.tricritical import _bias, _least, _limit

PAIR, DROPPED = "extra in antipodal pair", "extra not represented + dedicated"


@pytest.mark.quick
def test_every_cell_of_a_diagram():
    """The proved phases are those of the search; losses agree to the tolerance."""
    diagram = phase_diagram(2, 1, importance=np.geomspace(0.1, 10, 7), density=np.geomspace(0.01, 0.9, 6))
    proved = certify_diagram(diagram)
    assert proved.certified.all() and proved.phase_certified.all()
    assert np.array_equal(proved.phase, diagram.phase.astype(str))
    assert np.all((proved.loss_lower <= diagram.loss) & (diagram.loss <= proved.loss_upper))
    assert np.all(proved.loss_lower >= (1 - 1e-6) * proved.loss_upper)


def test_a_weight_that_is_zero_to_rounding():
    """A dedicated extra feature whose other weight is ±1e-16 has both of its images in the proof."""
    model = ToyModel(1, [1.0, 1.5], 0.76)
    for tiny in (-1e-16, 0.0, 1e-16):
        known = [(np.array([[tiny, 1.0]]), np.array([0.38, 0.0]))]
        assert certificate(model, known, 1e-6, 100_000, lambda n: None).phase_certified


def test_other_theories_and_models_are_refused():
    """Frozen diagrams have a loss that is not the least."""
    with pytest.raises(ValueError, match="diagram must be a PhaseDiagram of the global theory"):
        certify_diagram(phase_diagram(2, 1, importance=[0.5, 1.0], density=[0.2, 0.4], theory="frozen"))
    with pytest.raises(ValueError, match="ReLU to be certified"):
        certify_diagram(phase_diagram(2, 1, importance=[0.5, 1.0], density=[0.2, 0.4], activation="linear"))


def test_a_boundary_is_enclosed():
    """About a point of the boundary of the unrepresented extra feature, of first order; elsewhere, and from afar, none."""
    density = np.array([0.37573, 0.1, 0.534297])  # the last between two antipodal pairs: the next name is far away
    enclosed = certify_boundary([0.3, 0.5, 0.6223], density, within=(0.37, 0.38))
    assert enclosed.phase_low == (PAIR, "", "") and enclosed.phase_high == (DROPPED, "", "")
    low, high = enclosed.density_low, enclosed.density_high
    assert np.all(np.isnan([low, high, enclosed.density_from, enclosed.density_to]) == [False, True, True])
    assert low[0] <= density[0] <= high[0] < low[0] * (1 + 1e-3)
    assert (enclosed.density_from[0], enclosed.density_to[0]) == (0.37, 0.38)


def test_a_continuous_boundary_is_enclosed():
    """Beside it steps would be too short: the interval is widened until they are not."""
    found = certify_boundary(0.7, [0.63134], width=0.01, within=(0.6, 0.69))
    assert (found.phase_low[0], found.phase_high[0]) == (PAIR, DROPPED)
    assert (found.density_from[0], found.density_to[0]) == (0.6, 0.69)
    assert 0.62 < found.density_low[0] < 0.63134 < found.density_high[0] < 0.68


def test_phases_are_proved_on_the_way_to_the_next_boundary():
    """From 0.01 to 1 but for an interval about the boundary; at densities between, drawn at random, each proof says the same."""
    found = certify_boundary([1 / 0.3], [0.37573], width=0.01)
    assert (found.density_from[0], found.density_to[0]) == (0.01, 1.0)
    low, high, rng = found.density_low[0], found.density_high[0], np.random.default_rng(2)
    for p in (0.01, 1.0, *rng.uniform(0.01, low, 8), *rng.uniform(high, 1.0, 8)):
        proved = certify(ToyModel(1, [1.0, 1 / 0.3], p))
        assert proved.phase_certified and proved.phases == (PAIR if p < 0.37 else "extra dedicated + not represented",)


@pytest.mark.campaign
def test_phases_at_all_densities():
    """At 40 importances: every density from 0.01 to 1 outside of one narrow interval; searches between say the same."""
    rng, extras = np.random.default_rng(0), np.geomspace(0.1, 10, 40)

    def name(extra, p):
        return minimize(ToyModel(1, [1.0, extra], p), n_starts=1, effort="quick")[0].phase.name

    ends = np.tile([[0.05], [0.999]], 40)
    for _ in range(40):
        middle = ends.mean(axis=0)
        pairs = [name(extra, p) == PAIR for extra, p in zip(extras, middle, strict=True)]
        ends = np.where([pairs, np.logical_not(pairs)], middle, ends)
    found = certify_boundary(extras, ends.mean(axis=0))
    assert np.all(found.density_from == 0.01) and np.all(found.density_to == 1.0)
    assert np.all(found.density_high / found.density_low - 1 < 0.04)
    for extra, low, high, *names in zip(
        extras, found.density_low, found.density_high, found.phase_low, found.phase_high, strict=True
    ):
        for p, phase in [*((p, names[0]) for p in rng.uniform(0.01, low, 5)), *((p, names[1]) for p in rng.uniform(high, 1, 5))]:
            assert name(extra, p) == phase


def test_no_wrong_phase_is_proved_over_densities():
    """Over a boundary, on its other side, and up to where the two are equally low: not proved, of either."""
    importance = np.array([1.0, 0.5])

    def boxes(low, high, left_out):
        lowest = [one for one in minimize(ToyModel(1, importance, 0.5 * (low + high))) if one.phase.name == PAIR]
        known = (lowest[0].weights, lowest[0].bias) if lowest else ([[1.0, -0.7]], [0.0, 0.1])
        return prove_between(importance, low, high, known, left_out, 5_000)

    assert boxes(0.4, 0.45, -1) < 5_000 and boxes(0.9, 1.0, 1) < 5_000
    wrong = [
        (0.3, 0.49, -1),
        (0.5, 0.6, -1),
        (0.3, 0.4, 1),
        (0.48, 0.5, 1),
        (0.3, 0.48, 0),
        (0.9, 1.0, 0),
        (0.48, 0.484588001, -1),
    ]
    assert all(boxes(*one) == np.inf for one in wrong)


def test_where_a_phase_ends_the_way_ends():
    """From either side before the boundary; a phase that is not known has no way."""
    first, last = _way(0.5, 0.46, 0.55, PAIR, 0.02)
    assert first == 0.46 and 0.47 < last < 0.484589
    first, last = _way(0.5, 0.53, 0.4, DROPPED, 0.04)
    assert first == 0.53 and 0.484588 < last < 0.52
    assert _way(0.5, 0.3, 0.4, "another", 0.1) == (0.3, 0.3) == _way(0.5, 0.3, 0.3, PAIR, 0.1)


def test_an_interval_holds_the_density_asked_for():
    """Windows grow where a phase is not proved, and shrink again towards a change: that of another density is not returned."""
    for at, found in ((0.5, (True, True)), (0.5004, (True, True)), (0.52, (False, False))):
        for unproved, expected in zip((0.0, 0.01), found, strict=True):

            def phase(q, at=at, unproved=unproved):
                return None if 0 < abs(q / 0.5 - 1) < unproved else ("low" if q < at else "high")

            low, high, *names = _enclosed(phase, 0.5, 1e-2)
            assert (
                (low <= 0.5 <= high and names == ["low", "high"])
                if expected
                else (np.isnan([low, high]).all() and not any(names))
            )


@pytest.mark.parametrize("importance, density", [([], []), ([0.5, 0.6], [0.1, 0.2, 0.3]), ([[0.5]], [0.3]), (0.5, [])])
def test_points_of_a_boundary_have_one_shape(importance, density):
    """One sentence names both."""
    with pytest.raises(ValueError, match=r"^importance and density must have one shape, of at least one point, got "):
        certify_boundary(importance, density)


def test_leaving_out_is_optimal_below_an_importance():
    """What the proof of one importance says of lower ones: the least loss over importance never rises."""
    ratios = [certify(ToyModel(1, [1.0, extra], 0.38)).loss_upper / extra for extra in (0.1, 0.2, 0.3, 0.34, 0.5)]
    assert np.all(np.diff(ratios) <= 1e-9)


def test_the_triple_point_is_enclosed():
    """At importance 1 the pair of equal norms ceases to be the lowest between densities 0.7063 and 0.7065: both proved."""

    def only_minima(density):
        """The ranges of both norms, (2, 2), ends along the columns, in each box that holds one stationary point."""
        proved = certify(ToyModel(1, [1.0, 1.0], density))
        assert proved.phases == (PAIR,) and proved.status == "certified"
        return [np.sort(np.abs(box.weights[:, 0].T)) for box in proved.minimizers if box.unique]

    even, uneven = only_minima(0.7063), only_minima(0.7065)
    assert len(even) == 1 and even[0].max(axis=0)[0] <= even[0].min(axis=0)[1]
    assert len(uneven) == 2 and all(box.max(axis=0)[0] > box.min(axis=0)[1] for box in uneven)


@pytest.mark.quick
def test_tricritical_points_are_enclosed():
    """In closed form; beside them the extra feature is left out up to where that ceases to be a minimum, or gives way before."""
    first, second = tricritical_points()
    assert (first.continuous, second.continuous) == ("above", "below")
    assert first.density[1] - first.density[0] < 2e-12 and first.importance[1] - first.importance[0] < 1e-10
    for p, share, phase in [(0.51, 0.002, PAIR), (0.53, 0.002, DROPPED), (0.82, 0.004, DROPPED), (0.9, 0.0003, PAIR)]:
        extra = float(_limit(Fraction(p))[0]) * (1 - share)
        proved = certify(ToyModel(1, [1.0, extra], p))
        assert proved.phase_certified and proved.phases == (phase,)
        assert kink_bracket(1.0, 1e-13, p, p, 0.0, 1.0, extra) > 0  # it still is a minimum
        assert kink_bracket(1.0, 1e-13, p, p, 0.0, 1.0, extra / (1 - share) * (1 + 1e-8)) < 0


def test_the_loss_is_certified_at_tricritical_points():
    """To 1e-6 at them, where no minimum is shown to be the only one; the phase at 1e-5 above in importance and 5e-4 below."""
    for point in tricritical_points():
        extra, p = np.mean(point.importance), np.mean(point.density)
        proved = [certify(ToyModel(1, [1.0, extra * (1 + share)], p)) for share in (0.0, 1e-5, -5e-4)]
        assert all(one.status == "certified" for one in proved) and not proved[0].phase_certified
        assert [one.phases for one in proved if one.phase_certified] == [(PAIR,), (DROPPED,)]


def test_the_cubic_term_is_the_losses():
    """At the limit of stability, the least loss at a small weight of the extra feature is B g³ to leading order."""
    for p in (0.45, 0.6, 0.9):
        exact = Fraction(p)
        beta, extra = float(_bias(exact)), float(_limit(exact)[0])
        cubic = 3 * float(_least(exact, _bias(exact))) * (p / 2 - beta) - p * p / 6 * (1 - beta) ** 4
        g, model = 2e-3, ToyModel(1, [1.0, extra], p)

        def excess(parameters, g=g, p=p, model=model):
            a = np.sqrt(1 + parameters[0] * g)
            rest = p / 2 * (1 - (g / a) ** 2 + g)
            return (
                expected_loss(model, [[a, -g / a]], [parameters[1] * g, rest]) - expected_loss(model, [[1, 0]], [0, p / 2])
            ) / g**3

        found = least_near(excess, [1.5 * (p / 2 - beta), beta])
        assert found == pytest.approx(cubic, abs=0.1 * abs(cubic) + 2e-4)


def least_near(function, start):
    """The least value of a function of two numbers near a start."""
    return optimize.minimize(function, start, method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-9}).fun


@pytest.mark.parametrize(("n_features", "n_hidden"), [pytest.param(2, 1, marks=pytest.mark.quick), (3, 2), (4, 2)])
def test_frozen_boundaries_are_proved(n_features, n_hidden):
    """All of them and no other, by rational arithmetic."""
    assert certify_frozen(n_features, n_hidden)


def test_a_missing_or_wrong_frozen_boundary_is_found(monkeypatch):
    """One left out, one with another equation: not confirmed."""
    boundaries, points = frozen_certificates.frozen_boundaries(3, 2)
    moved = replace(boundaries[0], equation=boundaries[0].equation.subs(IMPORTANCE, 2 * IMPORTANCE))
    for wrong in (boundaries[1:], (moved, *boundaries[1:]), (*boundaries, replace(moved, importance=(0, oo)))):
        monkeypatch.setattr(frozen_certificates, "frozen_boundaries", lambda n, m, wrong=wrong: (wrong, points))
        assert not certify_frozen(3, 2).confirmed
