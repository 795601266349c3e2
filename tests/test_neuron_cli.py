"""Neurons on the command line: one command gets minima, the exact diagram, trained models and the reasons of differences."""

import csv
import json

import numpy as np
import pytest

from phasediag import NeuronModel, minimize

GRID = ("--task", "identity", "--importance", "1:10:3", "--density", "0.05,1")


@pytest.mark.quick
def test_minimize(run, tmp_path):
    """The minima of the function, as text, JSON, a table and a picture; of one feature too."""
    arguments = ("minimize", "--task", "absolute", "--n-hidden", 2, "--importance", 0.7, "--density", 0.1, "--n-starts", 20)
    picture, rows = tmp_path / "minima.png", tmp_path / "minima.csv"
    code, out, _ = run(*arguments, "--json", "--output", picture, "--output", rows)
    found, facts = minimize(NeuronModel(2, [1.0, 0.7], 0.1, task="absolute"), n_starts=20), json.loads(out)
    assert code == 0 and [one["loss"] for one in facts["minima"]] == [one.loss for one in found]
    assert facts["model"]["task"] == "absolute" and picture.stat().st_size > 10_000
    assert len(rows.read_text().splitlines()) == 1 + len(found)
    code, out, _ = run("minimize", "--task", "absolute", "--n-features", 1, "--n-hidden", 2, "--n-starts", 8)
    assert code == 0 and "extra dedicated + 2 monosemantic" in out and "reads extra" in out and "computed" in out


def test_diagram_and_boundary(run, tmp_path):
    """Cells, then where phases change and how, in words and files; the same from "boundary"."""
    files = [tmp_path / f"neurons.{ending}" for ending in ("png", "json", "npz")]
    code, out, _ = run("diagram", *GRID, *(word for path in files for word in ("--output", path)))
    assert code == 0 and "1 polysemantic (2)" in out and "continuous boundary" in out and "first-order boundary" in out
    assert all(path.exists() for path in files)
    facts = json.loads(files[1].read_text())
    assert {one["order"] for one in facts["boundaries"]} == {"first", "continuous"} and facts["model"]["task"] == "identity"
    table = tmp_path / "boundary.csv"
    code, out, _ = run("boundary", *GRID, "--output", table)
    places = sorted(
        float(row["importance"]) for row in csv.DictReader(table.read_text().splitlines()) if row["order"] == "continuous"
    )
    assert (
        code == 0
        and "largest change" in out
        and "  spinodal of extra in polysemantic" in out
        and "order changes" in out
        and places[-1] == pytest.approx(2.8637843, rel=1e-7)
    )


def test_train_and_validate(run, tmp_path):
    """Trained models with their phases; and beside the exact minima a cause for every difference."""
    short = ("--n-steps", 2000, "--batch-size", 128, "--learning-rate", 0.01, "--weight-decay", 0, "--schedule", "linear")
    path = tmp_path / "models.npz"
    code, out, _ = run("train", "--task", "identity", "--density", 0.1, "--n-models", 3, *short, "--output", path)
    assert code == 0 and "poly" in out and "neurons, identity" in out
    with np.load(path) as arrays:
        assert arrays["encoder"].shape == (3, 1, 2) and arrays["task"] == "identity"
    grid = ("--importance", "0.3,0.7", "--density", "0.1,0.9", "--n-seeds", 2, "--n-samples", 1000)
    code, out, _ = run("validate", "--task", "identity", *grid, *short, "--output", tmp_path / "report.png")
    assert code == 0 and "Why models differ from the global theory" in out and "dead neuron" in out
    code, out, _ = run("diagram", "--task", "identity", "--theory", "trained", *grid[:6], *short)
    assert "trained models (neurons, identity)" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("minimize", "--certify"), "certify must not be given with task, got True"),
        (("minimize", "--effort", "quick"), "effort must not be given with task, got 'quick'"),
        (("minimize", "--n-features", 5), "n_features must be a whole number from 1 to 4, got 5"),
        (
            ("diagram", "--n-hidden", 13),
            "n_hidden must be a whole number from 1 to 12 for minima of neurons with 2 features, got 13",
        ),
        (("diagram", "--values", "binary"), "values must not be given with task, got 'binary'"),
        (("diagram", "--penalty", "weights:0.1"), "penalty must not be given with task"),
        (("diagram", "--n-features", 0), "n_features must be a whole number ≥ 1"),
        (("diagram", "--theory", "frozen"), 'a diagram of neurons must have theory "global"'),
        (("boundary", "--theory", "frozen"), "task must not be given for the frozen theory"),
        (("train", "--optimizer", "sgd"), "optimizer must be the default, 'adamw', for neurons, got 'sgd'"),
    ],
)
def test_what_neurons_do_not_have_is_refused(run, arguments, message):
    """One line that names the option."""
    code, _, err = run(*arguments, "--task", "identity")
    assert code == 2 and message in err
