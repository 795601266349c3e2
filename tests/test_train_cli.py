"""The command line's training: what it prints, how it stops, how it goes on."""

import json
import subprocess
import sys

import numpy as np
import pytest

from phasediag import AnticorrelatedSets, Penalty, PhaseDiagram, ToyModel, minimize, train, trained_phase_diagram
from phasediag.phases import classify_many

AXES = ["--importance", "0.1:10:4", "--density", "0.3:1:5"]
GRID = {"importance": np.geomspace(0.1, 10, 4), "density": np.geomspace(0.3, 1, 5)}


def test_train_prints_phases_and_losses(run, tmp_path):
    """A line for each phase and each model, lowest loss first; --output holds the models, --json the numbers."""
    arguments = [
        "train",
        "--n-features",
        3,
        "--n-hidden",
        2,
        "--density",
        0.1,
        "--importance",
        0.5,
        "--n-steps",
        300,
        "--seed",
        4,
    ]
    again = train(ToyModel(2, [1, 1, 0.5], 0.1), n_models=10, n_steps=300, batch_size=1024, seed=4)
    code, out, err = run(*arguments, "--output", tmp_path / "run.npz")
    assert code == 0 and err == f"wrote {tmp_path / 'run.npz'}\n"
    assert "3 → 2 (relu): importance 1, 1, 0.5; density 0.1" in out
    assert [int(line.split()[0]) for line in out.splitlines()[-10:]] == np.argsort(again.loss).tolist()
    with np.load(tmp_path / "run.npz") as file:
        assert np.array_equal(file["weights"], again.weights) and np.array_equal(file["loss"], again.loss)
        assert file["phase"].tolist() == [phase.name for phase in classify_many(again.weights, tolerance=0.1)]
    code, out, _ = run(*arguments, "--json")
    facts = json.loads(out)
    assert code == 0 and facts["loss"] == np.sort(again.loss).tolist() and len(facts["phase"]) == 10
    assert facts["loss_curve"][-1] == facts["loss"]


def test_laws_of_one_model(run, tmp_path):
    """minimize, train and inspect take activity, values, penalty, slope and biased; inspect takes none for the default."""
    law = ["--activity", "anticorrelated:1,2", "--values", "binary", "--penalty", "weights:0.01", "--slope", "0.2", "--no-biased"]
    own = {"activity": AnticorrelatedSets([[0, 1]]), "values": "binary", "penalty": Penalty(0.01), "slope": 0.2, "biased": False}
    model = ToyModel(1, [1, 1], 0.4, "leaky", **own)
    code, out, _ = run("minimize", *law, "--density", "0.4", "--json")
    assert code == 0 and json.loads(out)["minima"][0]["loss"] == minimize(model)[0].loss
    path = tmp_path / "run.npz"
    code, out, _ = run("train", *law, "--density", "0.4", "--n-steps", 20, "--n-models", 3, "--output", path)
    assert code == 0 and "anticorrelated sets 1,2; binary values; penalty γ 0.01, λ 0; slope 0.2; no biases" in out
    with np.load(path) as file:
        assert np.array_equal(file["loss"], train(model, n_models=3, n_steps=20, batch_size=1024, seed=0).loss)
    assert run("inspect", path)[0] == 2  # a leaky output
    assert "; no biases" in run("minimize", "--no-biased", "--density", "0.4")[1]
    code, out, _ = run("minimize", "--no-biased", "--density", "0.4", "--json")
    assert json.loads(out)["minima"][0]["loss"] == minimize(ToyModel(1, [1, 1], 0.4), bias=False)[0].loss
    code, out, err = run("inspect", path, *law, "--index", 0, "--json")
    assert code == 0, err
    facts = json.loads(out)
    with np.load(path) as file:
        assert facts["loss"] == pytest.approx(file["loss"][0], rel=1e-12) and "biases are held at 0" in facts["law"]
    assert run("inspect", path, *law[:-1])[0] == 2  # with biases
    code, _, err = run("train", "--values", "signed", "--n-steps", 20, "--n-models", 3, "--output", path)
    code, out, err = run("inspect", path)
    assert code == 2 and not out and "says: independent features; signed values" in err


def test_what_was_trained_is_written_before_it_is_named(run, tmp_path, monkeypatch):
    """A failure after the training loses no models."""
    monkeypatch.setattr("phasediag.phases.classify_many", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run("train", "--n-features", 3, "--n-hidden", 2, "--n-steps", 20, "--output", tmp_path / "run.npz")
    with np.load(tmp_path / "run.npz") as file:
        assert file["weights"].shape == (10, 2, 3)


@pytest.mark.quick("_commands")
def test_long_tables_are_cut(run):
    """More than twenty models are counted, not listed."""
    code, out, _ = run("train", "--n-models", 23, "--n-steps", 5, "--gradient", "population")
    assert code == 0 and out.endswith("… and 3 more\n")


def test_trained_diagram_reaches_every_option(run, tmp_path):
    """The command's diagram is the function's, bit for bit, and what is printed is about it."""
    options = dict(n_seeds=2, n_steps=30, batch_size=64, learning_rate=0.01, optimizer="adam", schedule="cosine", seed=5)
    flags = [x for name, value in options.items() for x in (f"--{name.replace('_', '-')}", value)]
    path, store = tmp_path / "trained.npz", tmp_path / "store"
    code, out, err = run("diagram", "--theory", "trained", *AXES, *flags, "--independent", "--reduction", "best",
                         "--store", store, "--output", path)  # fmt: skip
    expected = trained_phase_diagram(2, 1, **GRID, **options, independent=True, reduction="best")
    loaded = PhaseDiagram.load(path)
    assert np.array_equal(loaded.trained.weights, expected.trained.weights)
    assert np.array_equal(loaded.interference, expected.interference) and store.is_dir()
    assert "40 models, 2 a cell" in out and "2 → 1, trained models (relu)" in out
    assert code == int(not expected.converged.all()) and "not converged: importance" in err
    code, out, _ = run("diagram", "--theory", "trained", *AXES, *flags, "--json")
    facts = json.loads(out)
    assert facts["options"]["optimizer"] == "adam" and np.shape(facts["seed_loss"]) == (5, 4, 2)
    assert facts["theory"] == "trained" and np.shape(facts["phase"]) == (5, 4)


def test_interrupt_stops_cleanly_and_the_same_command_goes_on(tmp_path, environment, finished_portions, stopped_at_third):
    """SIGINT: exit code 130, one line that says how to go on, finished models kept; then the bits of an unbroken run."""
    store, path = tmp_path / "store", tmp_path / "trained.npz"
    arguments = ["diagram", "--theory", "trained", *AXES, "--n-seeds", "6", "--n-steps", "20000",
                 "--store", str(store), "--output", str(path)]  # fmt: skip

    def command(*program):
        return subprocess.run(
            [sys.executable, *program, *arguments], env=environment, capture_output=True, text=True, timeout=120
        )

    program = "import sys; from phasediag.cli import main; main(sys.argv[1:])"
    stopped = command("-c", stopped_at_third(signal="SIGINT") + program)
    assert stopped.returncode == 130 and stopped.stdout == ""
    assert stopped.stderr == f"phasediag: stopped; the same command goes on from {store}\n"
    assert finished_portions(store) == 3 and not path.exists()
    done = command("-m", "phasediag")
    assert done.returncode in (0, 1) and finished_portions(store) == 30
    expected = trained_phase_diagram(2, 1, **GRID, n_seeds=6, n_steps=20_000)
    assert np.array_equal(PhaseDiagram.load(path).trained.weights, expected.trained.weights)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--n-steps", "0"], "n_steps must be a whole number from 1"),
        (["train", "--optimizer", "lion"], "optimizer must be one of"),
        (["train", "--importance", "1,2,3"], "importance must be one number or 2, got 3"),
        (["train", "--output", "run.pdf"], "output must end in .npz, .csv, .txt, .json, got 'run.pdf'"),
        (["train", "--learning-rate", "1e6", "--optimizer", "sgd", "--n-steps", "99"], "learning_rate must be small enough"),
        (["diagram", "--theory", "trained", "--n-seeds", "0"], "n_seeds must be a whole number ≥ 1, got 0"),
        (["diagram", "--theory", "trained", "--reduction", "mean"], "reduction must be one of"),
        (
            ["diagram", "--theory", "trained", "--checkpoint", "c.npz"],
            'checkpoint is for theory "global" and must not be given for "trained"',
        ),
        (["diagram", "--theory", "trained", "--store", "."], "store must"),
        (["diagram", "--theory", "trained", "--scheduler", "nowhere"], "scheduler must be the address of a running dask"),
        (["boundary", "--theory", "trained"], "theory must be one of"),
    ],
)
def test_misuse_is_one_line_on_stderr(run, tmp_path, monkeypatch, arguments, message):
    """Exit code 2, nothing on stdout, one line on stderr that names argument, domain and value; no file is left."""
    monkeypatch.chdir(tmp_path)
    if "--store" in arguments:
        (tmp_path / "precious").mkdir()
    code, out, err = run(*arguments)
    assert code == 2 and out == ""
    assert err.count("\n") == 1 and err.startswith("phasediag: ") and message in err
    assert [path.name for path in tmp_path.iterdir()] == (["precious"] if "--store" in arguments else [])
