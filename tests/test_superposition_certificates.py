"""That all three features are in superposition: what is proved at a density and over an interval, and claims that are refused."""

from dataclasses import replace

import numpy as np
import pytest

from phasediag import Certificate, CertificateCheck, ToyModel, certify_superposition, expected_loss, minimize
from phasediag import superposition_certificates as room

EQUAL = [1.0, 1.0, 1.0]


@pytest.fixture(scope="module")
def interval():
    """The proof for all densities from 0.58 to 0.62."""
    return certify_superposition(EQUAL, (0.58, 0.62))


def test_the_triangle_at_density_three_fifths():
    """The question of the seed notes at (1, 0.6): proved, and the minimum that is found is as far from a split as is said."""
    proved = certify_superposition(EQUAL, 0.6)
    lowest = minimize(ToyModel(2, EQUAL, 0.6), n_starts=1)[0]
    assert proved and 0.03 < proved.margin < 1 - lowest.loss / proved.loss_split[0] + 1e-9
    assert lowest.loss <= proved.loss_upper.min() and lowest.phase.name == "extra in triangle"
    assert 0.001 < proved.separation <= min(lowest.feature_norm.min(), np.sqrt(lowest.interference.min()))


def test_no_split_weights_have_less(interval):
    """Descents over weights with a feature left out or by itself, at densities between: none is below what is proved."""
    rng = np.random.default_rng(0)
    for p in rng.uniform(0.58, 0.62, 4):
        at = np.searchsorted(interval.density, p) - 1
        pair = minimize(ToyModel(1, [1.0, 1.0], p))[0]
        weights = np.zeros((2, 3))
        weights[0, 0], weights[1, 1:] = 1.0, pair.weights[0]
        split = expected_loss(ToyModel(2, EQUAL, p), weights, [0.0, *pair.bias])
        assert split == pytest.approx(pair.loss, rel=1e-9)
        reached = expected_loss(ToyModel(2, EQUAL, p), interval.weights[at], interval.bias[at])
        assert reached <= (1 - interval.margin) * split
        random = rng.normal(size=(2000, 2, 3))
        random[:, :, 0] = 0.0
        random[1000:, 1, 1:], random[1000:, :, 0] = 0.0, [0.0, 1.0]
        losses = expected_loss(ToyModel(2, EQUAL, p), random, rng.normal(size=(2000, 3)) * 0.2)
        assert losses.min() > interval.loss_split[at : at + 2].min() * (1 - 0.02)


def _violations(shares, tolerance=1e-12):
    """How many of 40 000 laws between two densities are not between those chords, and the largest slack."""
    rng, wrong = np.random.default_rng(1), 0
    for k in range(2000):
        a, b = np.sort(rng.uniform(0.02, 0.98, 2)) if k % 2 else (rng.uniform(0.3, 0.999), 1.0)
        b = a + (b - a) * rng.choice([1.0, 0.1, 0.01]) if k % 2 else b
        fewer, more = shares(a, b)
        t = rng.random(20)
        p = (1 - t) * a + t * b
        losses = rng.exponential(size=(2, 3)) * (rng.random((2, 3)) > 0.3)  # by number of active features
        for n, factor, sign in ((2, fewer, 1), (3, more, -1)):
            ends = np.array([[q**j * (1 - q) ** (n - j) for j in range(n + 1)] for q in (a, b, *p)])
            loss = ends @ np.append(losses[0], losses[1, 0])[: n + 1]
            low = loss[:2] if b < 1 or n == 3 else np.full(2, loss[:2].min())
            chord = factor * ((1 - t) * low[0] + t * low[1])
            wrong += np.count_nonzero(sign * (loss[2:] - chord) < -tolerance * loss[2:])
    return wrong


def test_between_two_densities():
    """Chords bound losses between densities, 80 000 of them; chords that are not moved do not."""
    assert _violations(room._shares) == 0
    assert _violations(lambda a, b: (1.0, 1.0)) > 1000


@pytest.mark.quick
def test_what_is_not_proved():
    """Below the transition, at other importances, and with too few densities: said in words."""
    for importance, density, words in [
        (EQUAL, 0.5218, "density 0.5218 is not proved to be below that of a split"),
        (EQUAL, (0.4, 0.6), "density 0.4 is not"),
        ([1.0, 1.0, 0.3], 0.6, "not proved"),
    ]:
        proved = certify_superposition(importance, density)
        assert not proved and words in proved.reason and not proved.check()
    assert "3 densities do not do" in certify_superposition(EQUAL, (0.53, 0.9), max_densities=3).reason


def test_it_is_confirmed_from_its_certificates(interval, monkeypatch):
    """Losses in rational arithmetic; each pair's certificate is asked; what says more than they do is refused."""
    asked = []
    monkeypatch.setattr(Certificate, "check", lambda self: asked.append(self) or CertificateCheck(True, "", 10, 10, "none"))
    checked = interval.check()
    assert checked and len(asked) == len(interval.density) and checked.n_leaves == 10 * len(asked)
    wrong = {
        "margin": replace(interval, margin=interval.margin * 1.01),
        "separation": replace(interval, separation=1.0),
        "split": replace(interval, loss_split=interval.loss_split * 1.001),
        "upper": replace(interval, loss_upper=interval.loss_upper * (1 - 1e-9)),
        "weights": replace(interval, weights=interval.weights * 1.001),
        "density": replace(interval, density=interval.density + 1e-3),
        "importance": replace(interval, importance=interval.importance * 1.1),
    }
    for name, one in wrong.items():
        assert not one.check(), name
    monkeypatch.setattr(Certificate, "check", lambda self: CertificateCheck(False, "no", 10, 10, "none"))
    assert interval.check().reason == "no"


@pytest.mark.campaign
def test_the_whole_interval():
    """From 0.5219 to 1; and the proof at 0.6 again in rational arithmetic."""
    assert certify_superposition(EQUAL, (0.5219, 1.0))
    assert certify_superposition(EQUAL, 0.6).check()


@pytest.mark.parametrize(
    ("importance", "density", "words"),
    [
        ([1.0, 1.0], 0.6, "importance must have 3 entries"),
        ([1.0, 1.0, -1.0], 0.6, "importance must be positive"),
        (EQUAL, 1.2, "density must be in"),
        (EQUAL, [0.1, 0.2, 0.3], "density must be a number or the two ends"),
    ],
)
def test_arguments(importance, density, words):
    """One sentence says what is taken."""
    with pytest.raises(ValueError, match=words):
        certify_superposition(importance, density)
    with pytest.raises(ValueError, match="max_densities must be"):
        certify_superposition(EQUAL, 0.6, max_densities=1)
