"""What curves say of themselves: kind, status, precision and brackets; curves that were not ended are followed on."""

import numpy as np
import pytest

from phasediag import CurveSettings, PhaseDiagram, phase_diagram

AXES = {"importance": np.geomspace(0.5, 0.8, 4), "density": np.geomspace(0.45, 0.6, 4)}

SOLVED = "edge", "closed", "triple point", "critical point", "order changes"


@pytest.fixture(scope="module")
def whole():
    """2→1 around its triple points, with all curves."""
    diagram = phase_diagram(**AXES)
    diagram.spinodals()
    return diagram


def ends(diagram):
    """Phases, order and both ends of every boundary, sorted."""
    found = []
    for b in diagram.boundaries():
        points = sorted((name, round(b.x[k], 7), round(b.y[k], 7)) for k, name in zip((0, -1), b.ends, strict=True))
        found.append((sorted(b.phases), b.order, points))
    return sorted(found)


def test_curves_say_how_they_were_solved(whole):
    """Every point to 1e-9, every end in a bracket: a point where it is solved for, short where it is not."""
    for curve in (*whole.boundaries(), *whole.spinodals()):
        assert curve.kind in ("coexistence", "symmetry breaking", "fold", "exchange breaking")
        assert curve.precision.shape == curve.x.shape and np.all(curve.precision < 1e-9)
        assert curve.brackets.shape == (2, 2, 2)
        for k, (bracket, why) in enumerate(zip(curve.brackets, curve.reasons, strict=True)):
            end = [curve.x[-k], curve.y[-k]]
            assert np.allclose(bracket[0], end, rtol=0, atol=1e-12)
            assert np.ptp(bracket, axis=0).max() == (pytest.approx(0, abs=1e-5) if why else 0)
            assert curve.ends[k] in (("unresolved", "another limit") if why else ("another limit", *SOLVED))
    assert {curve.status for curve in whole.boundaries()} == {"whole"}
    assert {curve.kind for curve in whole.boundaries()} == {"coexistence", "symmetry breaking"}
    assert {"fold", "symmetry breaking"} <= {curve.kind for curve in whole.spinodals()}
    assert all(0 < point.precision < 1e-12 for point in whole.triple_points())
    facts = whole.boundaries()[0].facts()
    assert {"kind", "status", "precision", "brackets", "reasons"} <= set(facts)


def test_curves_that_were_not_ended_are_followed_on(whole, tmp_path):
    """With few points allowed curves end unresolved and say why; from a file, with other settings, they are the whole ones."""
    few = CurveSettings(most_points=8)
    diagram = phase_diagram(**AXES)
    short = diagram.boundaries(settings=few)
    open_ones = [b for b in short if b.status == "unresolved"]
    assert open_ones and ends(diagram) != ends(whole)
    for boundary in open_ones:
        k = boundary.ends.index("unresolved")
        assert boundary.reasons[k] == "it has 8 points on this side, as many as the settings allow"
    diagram.save(tmp_path / "few.npz")
    loaded = PhaseDiagram.load(tmp_path / "few.npz")
    assert loaded.curves.settings == few
    assert [b.reasons for b in loaded.boundaries()] == [b.reasons for b in short]
    loaded.boundaries(settings=CurveSettings())
    assert ends(loaded) == ends(whole)
    known, found = ([(point.x, point.y) for point in one.triple_points()] for one in (whole, loaded))
    assert np.allclose(sorted(found), sorted(known), rtol=0, atol=1e-9)
    assert loaded.curves.settings == CurveSettings()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("steps_across", 0, "steps_across must be a whole number ≥ 1, got 0"),
        ("most_points", 0, "most_points must be a whole number ≥ 1, got 0"),
        ("shortest", 0.5, r"shortest must be in \(0, 0.1\], got 0.5"),
    ],
)
def test_settings_have_domains(name, value, words):
    """One sentence names argument, domain and value."""
    with pytest.raises(ValueError, match=words):
        CurveSettings(**{name: value})
