"""Polygons are proved to be the best weights of one-hot inputs; bounds are below what they bound, false claims are not proved."""

import mpmath
import numpy as np
import pytest

from phasediag import ExactlyActive, ToyModel, certify_polygon, expected_loss, minimize, polygon_certificates


def polygon_weights(n, norm):
    """Columns (2, n) at equal angles."""
    angle = 2 * np.pi * np.arange(n) / n
    return norm * np.stack([np.cos(angle), np.sin(angle)])


@pytest.mark.quick("polygon_certificates.py")
def test_the_pentagon_is_proved():
    """The loss is that of the weights, under the law of one active feature, and no search finds less."""
    proved = certify_polygon(5)
    model = ToyModel(2, np.ones(5), 1.0, activity=ExactlyActive(1))
    assert proved and not proved.reason
    assert 5 * expected_loss(model, polygon_weights(5, proved.norm), np.full(5, proved.bias)) == pytest.approx(
        proved.loss, rel=1e-14
    )
    lowest = minimize(model, n_starts=32)[0]
    assert 5 * lowest.loss == pytest.approx(proved.loss, rel=1e-12)
    assert np.linalg.norm(lowest.weights, axis=0) == pytest.approx(np.full(5, proved.norm), abs=1e-7)


@pytest.mark.campaign
def test_the_hexagon_is_proved():
    """So is the one of six, whose proof rests on that of five."""
    proved = certify_polygon(6)
    assert proved and proved.loss == pytest.approx(0.289154256189, abs=1e-12) and proved.n_boxes > certify_polygon(5).n_boxes


def integral(a, b, t):
    """∫₀¹ (t x − (a x + b)₊)² dx to 30 digits."""
    kink = min(max(-b / a, 0), 1) if a else 0
    return mpmath.quad(lambda x: (t * x - max(a * x + b, 0)) ** 2, [0, kink, 1])


@pytest.mark.parametrize(("mine", "target"), [(polygon_certificates._own, 1), (polygon_certificates._other, 0)])
def test_parts_of_the_loss_are_the_integrals(mine, target):
    """f and h and their slopes against quadrature and its differences."""
    rng = np.random.default_rng(0)
    step = mpmath.mpf("1e-8")
    for a, b in zip(rng.uniform(0.2, 3, 20), -rng.uniform(0, 1.5, 20), strict=True):
        value, by_a, by_b = (float(x) for x in mine(np.array(a), np.array(b)))
        with mpmath.workdps(30):
            assert value == pytest.approx(float(integral(a, b, target)), abs=1e-14)
            difference = (integral(a + step, b, target) - integral(a - step, b, target)) / (2 * step)
            assert by_a == pytest.approx(float(difference), abs=1e-12)
            difference = (integral(a, b + step, target) - integral(a, b - step, target)) / (2 * step)
            assert by_b == pytest.approx(float(difference), abs=1e-12)


def bound(points):
    """F at points (k, 5)."""
    r, b, s, c, angle = points.T
    t = r * s * np.cos(angle)
    own, other = polygon_certificates._own, polygon_certificates._other
    return (own(r * r, b)[0] + own(s * s, c)[0]) / 2 + other(t, b)[0] + other(t, c)[0]


def test_no_box_is_excluded_that_holds_a_counterexample():
    """In 10⁵ random boxes of all sizes, those excluded have no point below the line among corners, middles and random points."""
    rng = np.random.default_rng(1)
    count, n = 100_000, 5
    norm, bias, share, slope = polygon_certificates._polygon(n)
    centre = np.array([norm, bias, norm, bias, 2 * np.pi / n])
    middle = centre + rng.normal(size=(count, 5)) * 10.0 ** rng.uniform(-3, 0, (count, 1))
    wide = 10.0 ** rng.uniform(-4, -0.5, (count, 1)) * rng.uniform(size=(count, 5))
    floor, ceiling = np.array([0.05, -3, 0.05, -3, 0]), np.array([2, 0, 2, 0, np.pi / 2])
    low, high = np.clip(middle - wide, floor, ceiling), np.clip(middle + wide, floor, ceiling)
    start = share - slope * 2 * np.pi / n + 0.003  # a claim that is false in a neighbourhood
    dead = polygon_certificates._excluded(low, high, start, slope, np.inf, np.inf)
    dead &= high[:, 0] >= low[:, 2]  # those in the other order are the images of others
    assert 20_000 < dead.sum() < 90_000
    low, high = low[dead], high[dead]
    for share_of_box in (0.0, 0.5, 1.0, *rng.uniform(size=(20, len(low), 5))):
        points = low + (high - low) * share_of_box
        assert (bound(points) > start + slope * points[:, 4] - 1e-13).all()


@pytest.mark.parametrize("wrong", ["share", "bound"])
def test_false_claims_are_not_proved(monkeypatch, wrong):
    """A loss said to be 1e-6 more than it is, and bounds that understate interference: neither proves it."""
    monkeypatch.setattr(polygon_certificates, "_MOST_BOXES", 1_000_000)
    norm, bias, share, slope = polygon_certificates._polygon(5)
    if wrong == "share":
        share += 1e-6
    else:
        right = polygon_certificates._other
        monkeypatch.setattr(polygon_certificates, "_other", lambda t, b: tuple(0.999 * x for x in right(t, b)))
    count, reason = polygon_certificates._bound_elsewhere(5, (norm, bias, share, slope), 0.08, 0.08)
    assert reason == "1000000 boxes did not do" and count > 1_000_000


def test_the_neighbourhood_must_be_small(monkeypatch):
    """In a box ten times as large convexity cannot be shown, and the certificate says so."""
    monkeypatch.setattr(polygon_certificates, "_NEAR", {5: 8e-3})
    norm, bias, _, _ = polygon_certificates._polygon(5)
    assert not polygon_certificates._convex(5, norm, bias)
    proved = polygon_certificates._certified.__wrapped__(5)
    assert not proved and proved.reason == "the bound is not convex near the polygon"


@pytest.mark.parametrize("n_features", [4, 7, 8, 5.0, True])
def test_other_polygons_are_refused(n_features):
    """The domain is said, with the value."""
    with pytest.raises(ValueError, match="n_features must be a whole number from 5 to 6, got"):
        certify_polygon(n_features)
