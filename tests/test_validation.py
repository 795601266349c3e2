"""Validation: the whole comparison on small grids, its report as text, facts and figure."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.figure import Figure

from phasediag import (
    ActivityTable,
    AnticorrelatedSets,
    Axis,
    ControlPlane,
    CorrelatedSets,
    ExactlyActive,
    Penalty,
    Pieces,
    ToyModel,
    Validation,
    classify_many,
    phase_diagram,
    train,
    trained_phase_diagram,
    validate,
    validate_trained,
)
from phasediag._commands.answers import as_json
from phasediag._commands.printing import cells_text, run_text
from phasediag._drawing.validation import _shares
from phasediag.attribution import AGREES, UNEXPLAINED
from phasediag.figures import agreement_figure, draw_causes, draw_excess_loss, draw_z_scores, validation_figure

AXES = {"importance": np.geomspace(0.1, 10, 9), "density": np.geomspace(0.02, 1, 9)}
TRAINING = {"n_seeds": 4, "n_steps": 1500, "learning_rate": 3e-3, "seed": 3}


@pytest.fixture(scope="module")
def small():
    return validate(2, 1, **AXES, **TRAINING, n_samples=3000, curves=False)


def test_every_part_is_there(small):
    """The three theories on the trained grid, three tests of losses, and nothing unexplained."""
    assert isinstance(small, Validation) and small.consistent and small.p_value > 0.01
    assert list(small.agreements) == ["frozen", "relaxed", "global"] and len(small.tests) == 3
    for theory, one in small.agreements.items():
        assert one.theory.theory == theory and np.array_equal(one.theory.importance, AXES["importance"])
        assert one.trained is small.trained
    assert small.agreements["global"].share_away >= 0.97 and small.agreements["global"].share > small.agreements["frozen"].share
    assert np.all((small.attribution.of_cells("cause") == AGREES) == small.agreements["global"].agrees)


def test_distances_of_boundaries():
    """With the curves followed, trained boundaries lie within two cells of those of all theories, and figures draw these.

    The relaxed theory has those of the global one, as it would by itself: here it frees everything.
    """
    axes = {"importance": np.geomspace(0.2, 0.8, 6), "density": np.geomspace(0.1, 0.9, 6)}
    report = validate(2, 1, **axes, **TRAINING, n_samples=300)
    for one in report.facts()["agreement"].values():
        median, most = np.array(one["boundary_distance"]) / np.log10(4) * 5
        assert 0 < median <= most < 3
    assert "90 % within" in report.text() and isinstance(validation_figure(report), Figure)
    taken, own = report.agreements["relaxed"].theory.boundaries(), phase_diagram(theory="relaxed", **axes).boundaries()
    for one, other in zip(taken, own, strict=True):
        assert (one.phases, one.order, one.ends) == (other.phases, other.order, other.ends)
        assert np.allclose([one.x[[0, -1]], one.y[[0, -1]]], [other.x[[0, -1]], other.y[[0, -1]]], rtol=1e-9)
        assert one.curves is report.agreements["relaxed"].theory.curves


def test_the_same_seed_gives_the_same_report(small):
    """Whatever the number of threads, and whether trained before."""
    trained = trained_phase_diagram(2, 1, **AXES, **TRAINING, n_threads=1)
    assert validate_trained(trained, n_samples=3000, n_threads=1, curves=False).facts() == small.facts()


@pytest.mark.quick
def test_the_report_is_one_page(small):
    """Text: every theory, test and cause named, no line too long."""
    lines = small.text().splitlines()
    assert len(lines) < 60 and max(map(len, lines)) <= 130
    for words in ("frozen", "relaxed", "global", "metastable", "not converged", "statistical", "unexplained", "no contradiction"):
        assert any(words in line for line in lines)


@pytest.mark.quick
def test_the_facts_are_json(small):
    """Facts survive JSON, and say what the arrays say."""
    facts = json.loads(as_json(small.facts()))
    assert facts["agreement"]["global"]["all_cells"] == small.agreements["global"].share
    assert sum(count["cells"] for count in facts["causes"].values()) == 81
    assert sum(count["models"] for count in facts["causes"].values()) == 4 * 81
    assert len(facts["disagreements"]) == 81 - facts["causes"]["agrees"]["cells"]
    for test in facts["sampling"]["tests"]:
        z = (np.array(test["sampled"]) - test["exact"]) / test["standard_error"]
        assert np.allclose(z, test["z_scores"], rtol=1e-12)


def test_models_that_were_hardly_trained_are_not_converged():
    """After ten steps nothing agrees by right: every differing cell has a cause, most are not converged."""
    report = validate(
        3, 2, importance=[0.3, 0.9, 2.0], density=[0.1, 0.6], n_seeds=2, n_steps=10, n_samples=200, seed=0, curves=False
    )
    causes = report.attribution.cause.ravel().tolist()
    assert causes.count("not converged") > len(causes) / 2 and "unexplained" not in causes
    assert "not converged" in report.text()


def test_linear_models_are_validated_too():
    """Linear models agree with the linear theory: dedicated or not represented."""
    report = validate(2, 1, **AXES, **TRAINING, activation="linear", n_samples=1000, curves=False)
    assert report.consistent and report.agreements["global"].share_away == 1.0


def test_figures_show_the_report(small):
    """Every cell's cause and loss, every score; the headline figure has three panels a model."""
    figure = Figure()
    ax = figure.subplots()
    assert draw_causes(small, ax)["cells"].get_array().shape[:2] == (9, 9)
    excess = draw_excess_loss(small, Figure().subplots())["cells"].get_array()
    assert np.allclose(excess, np.clip(small.attribution.of_cells("excess"), 1e-6, 1))
    scores = draw_z_scores(small, Figure().subplots())["scores"]
    assert [line.get_ydata().size for line in scores] == [test.z_scores.size for test in small.tests]
    for look, panels in (("phase", 3), ("norm-interference", 4)):
        drawn = agreement_figure([small], look=look)
        axes = drawn.get_axes()
        assert len(axes) == panels and f"{100 * small.agreements['global'].share:.1f} %" in axes[1].get_title()
        assert all(ax.get_ylim()[0] < ax.get_ylim()[1] == 1.0 for ax in axes[:3])
    assert len(validation_figure(small).get_axes()) == 7


@pytest.mark.quick
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_samples": 10}, "n_samples must be a whole number from 100 to 10000000, got 10"),
        ({"n_features": 9}, "n_features must be a whole number from 2 to 8, got 9"),
        ({"n_hidden": 2}, "n_hidden must be less than n_features"),
        ({"density": [0.0, 1.0]}, "density must be in"),
        ({"n_seeds": 0}, "n_seeds must be a whole number ≥ 1, got 0"),
    ],
)
def test_bad_input_is_refused(options, message):
    """Before any training, naming argument, domain and value."""
    with pytest.raises(ValueError, match=message):
        validate(**options)


def test_only_trained_diagrams_are_validated():
    """A theory's diagram is not a trained one."""
    with pytest.raises(ValueError, match="trained must be a PhaseDiagram of theory \"trained\", got 'frozen'"):
        validate_trained(phase_diagram(2, 1, theory="frozen", **AXES))
    with pytest.raises(ValueError, match="trained must be a PhaseDiagram"):
        validate_trained(None)


def test_validate_on_the_command_line(run, tmp_path, monkeypatch):
    """Text on the terminal; the report as text, JSON and picture; bad endings refused before the work."""
    reports = {}

    def once(**options):
        key = str(sorted(options.items()))
        reports[key] = reports.get(key) or validate(**options)
        return reports[key]

    monkeypatch.setattr("phasediag.validation.validate", once)
    options = ("validate", "--importance", "0.1:10:9", "--density", "0.02:1:9", "--n-seeds", 4, "--n-steps", 1500)
    options = (*options, "--learning-rate", 0.003, "--seed", 3, "--n-samples", 3000, "--no-curves")
    code, out, err = run(*options, "--output", tmp_path / "report.txt")
    assert code == 0 and (tmp_path / "report.txt").read_text(encoding="utf-8") == out and "wrote" in err
    code, out, _ = run(*options, "--json", "--output", tmp_path / "report.json")
    assert code == 0 and json.loads(out) == json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    code, _, _ = run(*options, "--output", tmp_path / "report.png")
    assert code == 0 and (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")
    assert len(reports) == 1
    code, _, err = run("validate", "--output", tmp_path / "report.doc")
    assert code == 2 and "output must end in" in err


PLANES = {
    "binary": (
        ToyModel(1, [1.0, 1.0], 0.3, values="binary"),
        Axis("importance", AXES["importance"]),
        Axis("density", AXES["density"]),
    ),
    "penalties": (
        ToyModel(1, [1.0, 0.9], 0.3),
        Axis("weight_penalty", np.geomspace(1e-4, 0.1, 5)),
        Axis("interference_penalty", [0.01, 0.1]),
    ),
    "slope": (ToyModel(1, [1.0, 1.0], 0.3), Axis("slope", np.linspace(0, 1, 5), log=False), Axis("importance", [0.3, 1.0, 3.0])),
    "share": (
        ToyModel(1, [1.0, 1.0], 0.3, activity=AnticorrelatedSets([[0, 1]]), values="signed"),
        Axis("activity_share", [0.0, 0.5, 1.0], log=False),
        Axis("density", [0.1, 0.5]),
    ),
    "sets": (
        ToyModel(2, np.ones(4), 0.3, activity=CorrelatedSets([[0, 1], [2, 3]])),
        Axis("density", np.geomspace(0.05, 1, 4)),
        Axis("density_of_3_4", [0.1, 0.5]),
    ),
}


LAWS = {
    "binary": "independent features; binary values",
    "penalties": "independent features; uniform values",
    "slope": "independent features; uniform values",
    "share": "from independent features to anticorrelated sets 1,2; signed values",
    "sets": "correlated sets 1,2; 3,4; uniform values",
}
"""What the heads of reports say of them, without what axes vary."""


@pytest.mark.parametrize("name", PLANES)
def test_any_law_over_any_plane(name):
    """Samples do not contradict the losses, every best model has a cause; the report has a figure and facts."""
    base, x, y = PLANES[name]
    options = dict(n_seeds=4, n_steps=800, learning_rate=5e-3, n_samples=2000, seed=3, curves=False)
    report = validate(plane=ControlPlane(base, x=x, y=y), **options)
    assert report.consistent and list(report.agreements) == ["global"] and len(report.tests) == 2
    agreeing = report.attribution.of_cells("cause") != UNEXPLAINED
    assert agreeing.all() and np.mean(report.attribution.of_cells("excess") < 0.05) > 0.6
    assert isinstance(validation_figure(report), Figure) and json.loads(as_json(report.facts()))["consistent"]
    head = report.text().splitlines()
    assert x.name in head[0] and y.name in head[0] and head[1] == LAWS[name]
    assert "; ".join(list(report.facts()["model"].values())[3:]) == LAWS[name]


def test_laws_in_words():
    """Every kind of law, values, penalty and slope has words, which reports, diagrams and runs begin with."""
    laws = {
        "exactly 1 active": {"activity": ExactlyActive(1)},
        "a table of activity": {"activity": ActivityTable([[0.5, 0.25], [0.25, 0.0]])},
        "values: atoms (-1.0, 0.5); intervals (0.0, 1.0, 0.5)": {"values": Pieces([(-1, 0.5)], [(0, 1, 0.5)])},
        "signed values; penalty γ 0.1, λ 0.2; slope 0.3": {
            "values": "signed",
            "penalty": Penalty(0.1, 0.2),
            "activation": "leaky",
            "slope": 0.3,
        },
    }
    for words, options in laws.items():
        model = ToyModel(1, [1.0, 1.0], 0.5, **options)
        assert words in "; ".join(model.law().values())
        run = train(model, n_models=1, n_steps=1)
        assert words in run_text(run, classify_many(run.weights))
    assert list(model.law("slope", "weight_penalty").values())[2:] == ["penalty λ 0.2"]
    diagram = phase_diagram(plane=ControlPlane(model, Axis("density", [0.5])), n_starts=1)
    assert words in cells_text(diagram)


def test_the_command_validates_planes(run, tmp_path):
    """Values without axes, and any two axes."""
    few = ("--n-seeds", 2, "--n-steps", 100, "--learning-rate", 0.03, "--n-samples", 200, "--no-curves", "--json")
    code, out, _ = run("validate", "--values", "binary", "--importance", "0.3,3", "--density", "0.1,0.9", *few)
    assert code == 0 and json.loads(out)["importance"] == [0.3, 3.0]
    code, out, _ = run("validate", "--x", "share:0:1:3", "--activity", "anticorrelated:1,2", "--density", "0.2", *few)
    assert code == 0 and json.loads(out)["activity_share"] == [0.0, 0.5, 1.0]


def test_a_title_says_that_no_cell_lies_away_from_boundaries():
    """It was "nan % of those"."""
    away = _shares(SimpleNamespace(share=0.5, share_away=np.nan, away=np.zeros((2, 2), dtype=bool)))
    assert away == "50.0 % of the cells\n(no cell lies away from its boundaries)"
