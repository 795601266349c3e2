"""Results show themselves: a short repr, their fields as text, a picture in notebooks."""

import re
from base64 import b64encode

import numpy as np
import pytest
from matplotlib import pyplot

import phasediag
from phasediag import (
    ToyModel,
    inspect,
    inspect_many,
    loss_terms,
    minimize,
    phase_diagram,
    sweep_density,
    train,
    trained_phase_diagram,
)
from phasediag._display import Drawn, Result
from phasediag.figures import diagram_figure

pytestmark = pytest.mark.quick
MODEL = ToyModel(1, [1.0, 0.5], 0.3)
AXES = {"importance": np.geomspace(0.2, 5, 12), "density": np.geomspace(0.1, 1, 10)}
PNG = b"\x89PNG\r\n"


@pytest.fixture(scope="module")
def results():
    """One result of every kind that is quickly made, by the name of its class."""
    frozen = phase_diagram(2, 1, theory="frozen", **AXES)
    trained = trained_phase_diagram(2, 1, importance=[0.5, 2.0], density=[0.3, 1.0], n_seeds=2, n_steps=5, batch_size=16)
    found = inspect(MODEL, [[1.0, -0.9]], [0.0, 0.0])
    sweep = sweep_density(1, [1.0, 1.0], [0.3, 1.0], n_models=2, n_steps=5)
    run = train(MODEL, n_models=40, n_steps=5, seed=0)
    ensemble = inspect_many(MODEL, [[[1.0, -0.9]]] * 3, [0.0, 0.0], n_starts=1)
    several = (ensemble, frozen, frozen.boundaries()[0], frozen.triple_points()[0], trained, trained.trained, found, sweep, run)
    return {
        type(one).__name__: one for one in (*several, minimize(MODEL, seed=0)[0], loss_terms(MODEL, [[1.0, -0.9]], [0.0, 0.0]))
    }


def test_reprs_are_a_few_lines(results):
    """No result prints its grids; each names its class and its fields."""
    for name, result in results.items():
        text = repr(result)
        assert text.startswith(f"{name}(") and len(text) < 1500 and "\n" not in text
    many = ToyModel(3, np.linspace(1, 0.1, 500), np.linspace(0.1, 0.2, 500), "leaky", slope=0.5)
    assert repr(many) == (
        "ToyModel(n_hidden=3, importance=<500: 1 … 0.1>, density=<500: 0.1 … 0.2>, activation=leaky, slope=0.5)"
    )
    assert repr(results["Ensemble"]).startswith(
        "Ensemble(models=<3 ToyModel>, weights=[[[1, -0.9]], [[1, -0.9]], [[1, -0.9]]], bias="
    )


def test_texts_have_a_line_for_each_field(results):
    """What a result holds is told by name, scalars to six digits, large arrays by their shape."""
    assert re.search(r"\n  loss +0\.0217424\n", results["Minimum"].text())
    lines = phase_diagram(2, 1, theory="frozen", **AXES).text().splitlines()
    assert "  phase           <10 × 12>" in lines and "  density         <10: 0.1 … 1>" in lines
    assert "  weights           <40 × 1 × 2>" in results["TrainingRun"].text().splitlines()


def test_every_result_shows_itself():
    """The dataclasses that public functions return are results; laws, phases and formulas are short by themselves."""
    plain = {"CorrelatedSets", "AnticorrelatedSets", "ExactlyActive", "ActivityTable", "Pieces", "Penalty"}
    plain |= {"Configuration", "ClosedForm", "Cluster", "Phase", "FrozenBoundary", "FrozenTriplePoint"}
    for name in phasediag.__all__:
        one = getattr(phasediag, name)
        if isinstance(one, type) and name not in plain:
            assert issubclass(one, Result), name


def test_pictures_in_notebooks(results):
    """A figure is a picture of its own; a diagram shows one that computes nothing, above a table of its fields."""
    diagram = phase_diagram(2, 1, theory="frozen", **AXES)
    html = diagram._repr_html_()
    assert diagram.curves is None
    assert b64encode(PNG).decode()[:7] in html and "<th>n_hidden</th><td>1</td>" in html
    assert "<img" not in results["LossTerms"]._repr_html_() and "<th>batch_size</th>" in results["TrainingRun"]._repr_html_()
    for name in ("PhaseDiagram", "Inspection", "DensitySweep", "Minimum", "TrainingRun"):
        assert isinstance(results[name], Drawn) and results[name].plot()._repr_png_().startswith(PNG)
    assert diagram.plot()._repr_png_() == diagram_figure(diagram)._repr_png_()
    assert "<img" in diagram._repr_html_()  # with its curves


def test_show_says_that_there_is_no_window(results, monkeypatch):
    """Without an interactive backend ``show`` warns where there is a screen, as matplotlib's own figures do."""
    pyplot.switch_backend("agg")
    monkeypatch.setenv("DISPLAY", ":0")
    with pytest.warns(UserWarning, match="non-interactive"):
        results["Inspection"].plot().show()
    pyplot.close("all")
