"""The command line: what it prints, what it writes, how it refuses."""

import inspect
import json
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

import phasediag.diagram
from phasediag import CorrelatedSets, Penalty, PhaseDiagram, ToyModel, frozen_boundaries, phase_diagram
from phasediag import minimize as minima_of

SIGNATURES = {".png": b"\x89PNG", ".pdf": b"%PDF", ".svg": b"<?xml"}


def _process(*arguments, **options):
    return subprocess.run([sys.executable, "-m", "phasediag", *arguments], capture_output=True, text=True, **options)


def test_diagram_prints_phases_and_boundaries(run):
    """The table names each phase with its share, each boundary with its ends and the triple point."""
    code, out, err = run("diagram", "--theory", "frozen")
    assert code == 0 and err == ""
    diagram = phase_diagram(theory="frozen")
    for name in set(diagram.phase.ravel()):
        share = 100 * np.mean(diagram.phase == name)
        assert any(line.startswith(f"  {name}  ") and f"{share:5.1f} %" in line for line in out.splitlines())
    assert out.count("first-order boundary") == 3
    assert "3 phases meet at importance 1, density 0.571428571429" in out


def test_json_holds_the_whole_diagram(run):
    """--json parses to the numbers that Python gives."""
    code, out, err = run(
        *("diagram", "--theory", "frozen", "--n-features", 3, "--n-hidden", 2),
        *("--importance", "0.5,1,2", "--density", "0.1:1:4", "--json"),
    )
    assert code == 0 and err == ""
    facts = json.loads(out)
    diagram = phase_diagram(3, 2, importance=[0.5, 1, 2], density=np.geomspace(0.1, 1, 4), theory="frozen")
    assert facts["phase"] == diagram.phase.tolist() and facts["loss"] == diagram.loss.tolist()
    assert facts["importance"] == [0.5, 1, 2] and facts["density"] == diagram.density.tolist()
    assert facts["extra"] == diagram.extra.tolist() and facts["theory"] == "frozen"
    assert [b["phases"] for b in facts["boundaries"]] == [list(b.phases) for b in diagram.boundaries()]
    assert facts["triple_points"][0]["density"] == pytest.approx(4 / 7, abs=1e-10)


@pytest.mark.parametrize("ending", [".png", ".svg", ".pdf"])
def test_pictures_are_written(run, tmp_path, ending):
    """The ending decides the format; the message goes to stderr, the table to stdout."""
    path = tmp_path / f"fig{ending}"
    code, out, err = run("diagram", "--importance", "0.1:10:20", "--density", "0.01:1:20", "--theory", "frozen", "--output", path)
    assert code == 0 and "wrote" in err and "wrote" not in out
    assert path.read_bytes().startswith(SIGNATURES[ending])


def test_data_is_written(run, tmp_path):
    """.npz holds a diagram that loads."""
    path = tmp_path / "diagram.npz"
    code, _, _ = run("diagram", "--theory", "frozen", "--n-features", 4, "--n-hidden", 3, "--output", path)
    assert code == 0
    loaded = PhaseDiagram.load(path)
    assert np.array_equal(loaded.loss, phase_diagram(4, 3, theory="frozen").loss)


@pytest.mark.quick("_commands")
def test_boundary_prints_the_exact_equations(run):
    """Text, LaTeX and JSON of 2→1: density = 4I/(5I + 2) and (1, 4/7)."""
    code, out, err = run("boundary", "--theory", "frozen")
    assert code == 0 and err == ""
    assert "density = 4·importance/(5·importance + 2)" in out
    assert "3 phases meet at importance = 1, density = 4/7" in out
    code, out, _ = run("boundary", "--theory", "frozen", "--latex")
    assert code == 0 and r"density = \frac{4 importance}{5 importance + 2}" in out and r"\frac{4}{7}" in out
    code, out, _ = run("boundary", "--theory", "frozen", "--n-features", 4, "--n-hidden", 2, "--json")
    facts = json.loads(out)
    boundaries, triples = frozen_boundaries(4, 2)
    assert [tuple(b["phases"]) for b in facts["boundaries"]] == [b.phases for b in boundaries]
    assert len(facts["triple_points"]) == len(triples) and facts["triple_points"][0]["density"] == "4/7"


@pytest.mark.quick("_commands")
def test_linear_model_on_the_command_line(run):
    """--activation linear reaches the computation."""
    code, out, _ = run("boundary", "--theory", "frozen", "--activation", "linear")
    assert code == 0 and "importance = 1" in out and "antipodal" not in out


SMALL_PAPER = {"count": 12, "n_seeds": 6, "n_steps": 3000}


def test_paper_writes_its_figures(run, tmp_path, monkeypatch):
    """`phasediag paper` makes the folder, draws every figure, writes the report and prints the agreement."""
    monkeypatch.setattr("phasediag._commands.paper.QUICK", SMALL_PAPER)
    monkeypatch.setattr("phasediag._commands.paper.MODELS", ((2, 1),))
    folder = tmp_path / "new" / "folder"
    code, out, err = run("paper", "--quick", "--output", folder)
    assert code == 0 and err.count("wrote") == 4
    for name in ("frozen.png", "paper.png", "paper-colours.png"):
        assert (folder / name).read_bytes().startswith(SIGNATURES[".png"])
    for words in ("2 → 1, frozen theory", "with the exact one in 9", "total time"):
        assert words in out
    report = (folder / "report.txt").read_text(encoding="utf-8")
    assert "12 × 12 cells" in report and "no contradiction" in report


def test_paper_goes_on_with_its_models(run, tmp_path, monkeypatch):
    """--keep-models stores the trained models, and a second run trains nothing; the figures are those of the test above."""
    monkeypatch.setattr("phasediag._commands.pictures.write", lambda path, *_: path.touch())
    monkeypatch.setattr("phasediag._commands.paper.QUICK", SMALL_PAPER | {"count": 3, "n_steps": 10})
    monkeypatch.setattr("phasediag._commands.paper.MODELS", ((2, 1),))
    options = ("paper", "--quick", "--keep-models", "--seed", 1, "--n-threads", 1, "--json", "--output", tmp_path)
    assert json.loads(run(*options)[1])["settings"]["seed"] == 1
    report = (tmp_path / "report.txt").read_text(encoding="utf-8")
    monkeypatch.setattr("phasediag._training.portions.train_portions", lambda portions: pytest.fail("trained again"))
    run(*options)
    assert (tmp_path / "report.txt").read_text(encoding="utf-8") == report


WINDOW = ("--importance", "0.5:2:9", "--density", "0.5:1:9", "--n-starts", 8, "--seed", 3)
NARROW = ("--importance", "0.25:0.35:3", "--density", "0.25:0.45:4")  # with one boundary


@pytest.fixture(scope="module")
def known_diagrams():
    """The diagrams of `once`."""
    return {}


@pytest.fixture
def once(known_diagrams, monkeypatch):
    """Compute diagrams of equal arguments once for all that print, draw or save them; threads and bars are no arguments."""
    computed, names = phasediag.diagram.phase_diagram, inspect.signature(phase_diagram)

    def remembered(*arguments, **options):
        given = names.bind(*arguments, **options)
        given.apply_defaults()
        key = str({name: np.asarray(x).tolist() for name, x in given.arguments.items() if name not in ("n_threads", "progress")})
        if key not in known_diagrams:
            known_diagrams[key] = computed(*arguments, **options)
        return known_diagrams[key]

    monkeypatch.setattr("phasediag.diagram.phase_diagram", remembered)
    return remembered


def test_global_theory_is_the_default(run, once, tmp_path):
    """`phasediag diagram` prints and draws what Python's default theory gives, and saves it losslessly."""
    path, data = tmp_path / "fig.png", tmp_path / "data.npz"
    code, out, _ = run("diagram", *WINDOW, "--n-threads", 1, "--no-spinodals", "--output", path)
    assert code == 0 and "global theory" in out and path.read_bytes().startswith(SIGNATURES[".png"])
    axes = {"importance": np.geomspace(0.5, 2, 9), "density": np.geomspace(0.5, 1, 9)}
    diagram = once(**axes, n_starts=8, seed=3)
    assert out.count("boundary") == len(diagram.boundaries()) and "continuous boundary" in out
    run("diagram", *WINDOW, "--no-curves", "--output", data)
    assert np.array_equal(PhaseDiagram.load(data).loss, diagram.loss)


def test_cells_alone_follow_no_curves(run, tmp_path, monkeypatch):
    """`diagram --no-curves` follows nothing, as text, JSON, picture and data; one run writes several files."""
    monkeypatch.setattr(PhaseDiagram, "boundaries", lambda *_, **__: pytest.fail("curves were followed"))
    files = [tmp_path / "cells.npz", tmp_path / "cells.png"]
    code, out, err = run("diagram", *NARROW, "--no-curves", "--output", files[0], "--output", files[1])
    assert code == 0 and "of the cells" in out and "boundary" not in out
    assert all(f"wrote {path}" in err for path in files) and files[1].read_bytes().startswith(SIGNATURES[".png"])
    assert PhaseDiagram.load(files[0]).curves is None
    assert "boundaries" not in json.loads(run("diagram", *NARROW, "--no-curves", "--json")[1])


def test_solved_boundaries_are_printed(run, once):
    """Text and JSON of the global theory: order, ends, latent loss, spinodals, the triple point to ten digits."""
    code, out, _ = run("boundary", *WINDOW)
    assert code == 0 and "first-order boundary" in out and "continuous boundary" in out
    assert "1.0000000000" in out and "0.7064036927" in out
    assert "spinodal of extra in antipodal pair: importance" in out and "latent loss 0" in out and "order changes" in out
    code, out, _ = run("boundary", *WINDOW, "--json")
    facts = json.loads(out)
    assert code == 0 and {b["order"] for b in facts["boundaries"]} == {"first", "continuous"}
    for b in facts["boundaries"]:
        assert len(b["importance"]) == len(b["density"]) == len(b["latent_loss"]) and len(b["ends"]) == 2
        assert (b["order"] == "first") == bool(b["spinodals"])
    assert any(abs(t["density"] - 0.7064036926732175) < 1e-8 for t in facts["triple_points"])
    assert {k for b in facts["boundaries"] for k in b["spinodals"]} == set(range(len(facts["spinodals"])))


def test_curves_go_to_files(run, tmp_path):
    """`boundary --output` writes what it computed, as a table or as data; `diagram --json` tells the spinodals too."""
    path = tmp_path / "curves.csv"
    code, _, err = run("boundary", *NARROW, "--output", path)
    assert code == 0 and f"wrote {path}" in err
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("kind,index,phases,order,point,importance,density,latent_loss,end,closed,function_of")
    assert {line.split(",")[0] for line in lines[1:]} == {"boundary", "spinodal"}
    assert "spinodals" not in json.loads(run("diagram", *NARROW, "--no-spinodals", "--json")[1])
    facts = json.loads(run("diagram", *NARROW, "--json")[1])
    assert len(facts["spinodals"]) == 2 and len(facts["phase"]) == 4
    assert sum(len(c["importance"]) for kind in ("boundaries", "spinodals") for c in facts[kind]) == len(lines) - 1
    code, _, err = run("boundary", "--theory", "frozen", "--output", path)
    assert code == 2 and "output must be .txt or .json for the frozen theory" in err


def test_relaxed_theory_has_boundaries(run):
    """--theory relaxed is solved and printed too."""
    code, out, _ = run("diagram", "--theory", "relaxed", *NARROW, "--no-spinodals")
    assert code == 0 and "relaxed theory" in out and "first-order boundary" in out


def test_minima_are_printed_and_drawn(run, tmp_path):
    """The triangle of 3→2 at (1, 0.6) with its loss, norms and biases, in the table, in JSON and as a picture."""
    point = ("minimize", "--n-features", 3, "--n-hidden", 2, "--importance", 1, "--density", 0.6)
    path = tmp_path / "columns.svg"
    code, out, err = run(*point, "--output", path)
    assert code == 0 and "wrote" in err and path.read_bytes().startswith(SIGNATURES[".svg"])
    assert "1. extra in triangle" in out and "loss 0.0939793067898 (lowest found)" in out and "metastable" in out
    assert out.count("0.92146") >= 3 and out.count("0.24715") == 3
    code, out, _ = run(*point, "--json")
    facts = json.loads(out)
    minima = facts["minima"]
    assert facts["model"]["n_hidden"] == 2 and facts["settings"]["effort"] == "normal" and facts["phasediag"]
    assert code == 0 and minima[0]["phase"] == "extra in triangle" and minima[0]["is_global"] and minima[0]["converged"]
    assert [m["loss"] for m in minima] == sorted(m["loss"] for m in minima) and len(minima) > 1
    assert np.linalg.norm(minima[0]["weights"], axis=0) == pytest.approx(minima[0]["feature_norm"], rel=1e-12)


def test_minimize_takes_unequal_features(run):
    """Lists of importances and densities give the minima of that model."""
    code, out, _ = run("minimize", "--importance", "1,0.7", "--density", "0.2,0.4", "--json")
    expected = minima_of(ToyModel(1, [1.0, 0.7], [0.2, 0.4]))
    assert code == 0 and [m["loss"] for m in json.loads(out)["minima"]] == pytest.approx([m.loss for m in expected], rel=1e-12)


@pytest.mark.parametrize(
    ("options", "message"), [((), "; with --checkpoint"), (("--checkpoint", "a.npz"), "; the same command goes on from a.npz")]
)
def test_stopping_says_how_to_go_on(run, tmp_path, monkeypatch, options, message):
    """Ctrl-C during the search: exit code 130 and one line with what to do."""

    def interrupted(*arguments, **others):
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("phasediag.diagram.phase_diagram", interrupted)
    code, out, err = run("diagram", *options)
    assert code == 130 and out == "" and err.startswith("phasediag: stopped") and message in err and err.count("\n") == 1


def test_a_stopped_search_goes_on(run, tmp_path, monkeypatch):
    """Interrupted after a wave and called again with its checkpoint, the search gives the uninterrupted result."""
    from phasediag._minimizing.landscape import Landscape

    waves, wave = [], Landscape._wave

    def stopping(self):
        waves.append(1)
        if len(waves) == 2:
            raise KeyboardInterrupt
        return wave(self)

    search = ("diagram", *WINDOW, "--no-curves", "--checkpoint", tmp_path / "state.npz", "--json")
    monkeypatch.setattr(Landscape, "_wave", stopping)
    code, _, err = run(*search)
    assert code == 130 and "goes on from" in err and (tmp_path / "state.npz").exists()
    code, out, _ = run(*search)
    axes = {"importance": np.geomspace(0.5, 2, 9), "density": np.geomspace(0.5, 1, 9)}
    expected = phase_diagram(**axes, n_starts=8, seed=3)
    assert code == 0 and json.loads(out)["phase"] == expected.phase.tolist()
    assert np.allclose(json.loads(out)["loss"], expected.loss, rtol=1e-12)


def test_unconverged_cells_are_an_exit_code(run, monkeypatch):
    """Exit code 1, the results on stdout all the same, and on stderr how many cells."""
    result = phase_diagram(importance=[0.5, 1.0], density=[0.1, 0.2], theory="frozen")
    result.converged[0, 1] = False
    monkeypatch.setattr("phasediag.diagram.phase_diagram", lambda *arguments, **options: result)
    code, out, err = run("diagram")
    assert code == 1 and "extra in antipodal pair" in out
    assert err == "phasediag: 1 of 4 cells has not converged: importance 1, density 0.1\n"


BAD = [
    (["diagram", "--density", "0.5,1.5"], "density must be in (0, 1], got 1.5"),
    (["diagram", "--density", "0,0.5"], "density must be in (0, 1], got 0.0"),
    (["diagram", "--density", "nan"], "density must be in (0, 1], got nan"),
    (["diagram", "--density", "0.1:2:5"], "density must be in (0, 1], got"),
    (["diagram", "--density", "1,0.5"], "density must be strictly increasing"),
    (["diagram", "--density", "a:b:c"], "'a:b:c' is neither LOW:HIGH:COUNT"),
    (["diagram", "--density", "0.1:1"], "'0.1:1' is neither LOW:HIGH:COUNT"),
    (["diagram", "--importance", "0,1"], "importance must be positive and finite, got 0.0"),
    (["diagram", "--importance=-1,1"], "importance must be positive and finite, got -1.0"),
    (["diagram", "--importance", "inf"], "importance must be positive and finite, got inf"),
    (["diagram", "--importance", "0.1:inf:5"], "is neither LOW:HIGH:COUNT"),
    (["diagram", "--importance", ""], "is neither LOW:HIGH:COUNT"),
    (["diagram", "--n-hidden", "2"], "n_hidden must be less than n_features (2), got 2"),
    (["diagram", "--n-hidden", "0"], "n_hidden must be a whole number ≥ 1, got 0"),
    (["diagram", "--n-features", "9"], "n_features must be a whole number from 2 to 8, got 9"),
    (["diagram", "--n-features", "two"], "'two' is not a valid integer"),
    (["diagram", "--theory", "exakt"], 'theory must be one of "global", "relaxed", "frozen", "trained", got \'exakt\''),
    (["diagram", "--density", "0.1:1:1"], "'0.1:1:1' is neither LOW:HIGH:COUNT with 0 < LOW < HIGH and COUNT from 2"),
    (["diagram", "--density", "0.5:0.5:2"], "(or LOW = HIGH and COUNT 1)"),
    (["diagram", "--theory", "frozen", "--n-seeds", "4"], 'n_seeds is for theory "trained" and must not be given for "frozen"'),
    (["diagram", "--independent"], 'independent is for theory "trained" and must not be given for "global"'),
    (["diagram", "--theory", "frozen", "--n-starts", "3"], 'n_starts is for theory "global" or "relaxed"'),
    (["diagram", "--n-threads", "2", "--theory", "Frozen"], 'n_threads is for theory "global" or "relaxed" or "trained"'),
    (["diagram", "--theory", "relaxed", "--checkpoint", "c.npz"], 'checkpoint is for theory "global"'),
    (["diagram", "--activation", "gelu"], 'activation must be one of "relu", "linear", got \'gelu\''),
    (["diagram", "--look", "pretty"], 'look must be one of "phase", "norm-interference", got \'pretty\''),
    (["diagram", "--look", "pretty", "--output", "fig.png"], "look must be one of"),
    (["diagram", "--output", "fig.bmp"], "output must end in .png, .svg, .pdf, .npz, .csv, .txt, .json, got 'fig.bmp'"),
    (["diagram", "--output", "fig"], "output must end in .png, .svg, .pdf, .npz, .csv, .txt, .json, got 'fig'"),
    (["boundary", "--theory", "exakt"], 'theory must be one of "global", "relaxed", "frozen", got \'exakt\''),
    (["boundary", "--theory", "frozen", "--seed", "1"], 'seed is for theory "global" or "relaxed" or "trained"'),
    (["boundary", "--latex"], "theory must be \"frozen\" for LaTeX equations, got 'global'"),
    (["boundary", "--theory", "frozen", "--density", "0.1,1"], "density must not be given for the frozen theory"),
    (["diagram", "--n-starts", "0"], "n_starts must be a whole number ≥ 1, got 0"),
    (["diagram", "--seed=-1"], "seed must be None, a whole number ≥ 0 or a numpy Generator, got -1"),
    (["diagram", "--n-threads", "0"], "n_threads must be a whole number ≥ 1, got 0"),
    (["diagram", "--checkpoint", "state.txt"], "checkpoint must end in .npz, got 'state.txt'"),
    (["diagram", "--checkpoint", "missing/state.npz"], "checkpoint must be a file that can be written"),
    (["minimize", "--density", "1.5"], "density must be in (0, 1], got 1.5"),
    (["minimize", "--density", "high"], "'high' is neither a number, a list like 1,1,0.5 nor a formula"),
    (["minimize", "--importance", "0"], "importance must be positive and finite, got 0.0"),
    (["minimize", "--importance", "1,1,1"], "importance must be one number or 2, got 3"),
    (["minimize", "--n-hidden", "2"], "n_hidden must be less than n_features (2), got 2"),
    (["minimize", "--n-features", "11"], "model must have at most 10 features, got 11"),
    (["minimize", "--n-starts", "0"], "n_starts must be a whole number ≥ 1, got 0"),
    (["minimize", "--seed=-3"], "seed must be None, a whole number ≥ 0 or a numpy Generator, got -3"),
    (["minimize", "--activation", "gelu"], "activation must be one of"),
    (["minimize", "--output", "fig.npz"], "output must end in .png, .svg, .pdf, .csv, .txt, .json, got 'fig.npz'"),
    (["boundary", "--n-hidden", "5"], "n_hidden must be less than n_features (2), got 5"),
    (["boundary", "--activation", ""], "activation must be one of"),
    (["nonsense"], "No such command 'nonsense'"),
    (["diagram", "--nonsense"], "No such option"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[" ".join(a) for a, _ in BAD])
def test_misuse_is_one_line_on_stderr(run, tmp_path, monkeypatch, arguments, message):
    """Exit code 2, nothing on stdout, one line on stderr that names argument, domain and value; no file is left."""
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*arguments)
    assert code == 2 and out == ""
    assert err.count("\n") == 1 and err.startswith("phasediag: ") and message in err
    assert list(tmp_path.iterdir()) == []


def test_unwritable_output_is_reported_before_the_work(run, tmp_path, monkeypatch):
    """A missing folder, a folder in the place of a file and a file in the place of a folder: no diagram is computed."""

    def never(*arguments, **options):
        raise AssertionError("the work began")

    monkeypatch.setattr("phasediag.diagram.phase_diagram", never)
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.png").mkdir()
    for arguments in (
        ["diagram", "--output", tmp_path / "missing" / "fig.png"],
        ["diagram", "--output", tmp_path / "missing" / "fig.npz"],
        ["diagram", "--output", tmp_path / "folder.png"],
        ["paper", "--output", tmp_path / "file"],
        ["paper", "--output", tmp_path / "file" / "below"],
    ):
        code, out, err = run(*arguments)
        assert code == 2 and out == "" and err.count("\n") == 1 and "output must be a" in err


def test_existing_pictures_survive_a_refused_run(run, tmp_path):
    """The check for a writable file neither truncates nor removes what is there."""
    path = tmp_path / "fig.png"
    path.write_bytes(b"precious")
    assert run("diagram", "--density", "2", "--output", path)[0] == 2
    assert path.read_bytes() == b"precious"


def test_help_teaches(run):
    """The overview explains the model and starts the reader; each command has examples or says what it writes."""
    code, out, _ = run("--help")
    assert code == 0 and 'Start with "phasediag paper"' in out and "Exit status" in out
    assert "..." not in out.split("Commands:")[1]  # no summary is cut
    assert run() == (0, out, "")
    for command in ("diagram", "boundary", "minimize", "paper"):
        code, text, _ = run(command, "--help")
        assert code == 0 and command in out and "--output" in text + "--output"
    code, out, _ = run("--version")
    assert code == 0 and out == f"phasediag, version {phasediag.__version__}\n"


def test_as_a_process(tmp_path):
    """`python -m phasediag`: exit codes, streams and files as a shell sees them."""
    done = _process("diagram", "--theory", "frozen", "--output", "fig.png", cwd=tmp_path, env=_environment())
    assert done.returncode == 0 and "wrote fig.png" in done.stderr and "extra in antipodal pair" in done.stdout
    assert (tmp_path / "fig.png").stat().st_size > 10_000
    done = _process("diagram", "--density", "7", cwd=tmp_path, env=_environment())
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "phasediag: density must be in (0, 1], got 7.0\n"


def test_a_closed_pipe_is_no_crash():
    """`phasediag boundary | head -1` ends without a traceback."""
    reader = subprocess.Popen(
        [sys.executable, "-m", "phasediag", "diagram", "--theory", "frozen", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=_environment(),
    )
    reader.stdout.readline()
    reader.stdout.close()
    message = reader.stderr.read()
    reader.stderr.close()
    reader.wait()
    assert b"Traceback" not in message


def _environment():
    """This environment with the package under test first on the path."""
    root = os.path.dirname(os.path.dirname(phasediag.__file__))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))}


def test_curves_are_kept_with_the_search(run, tmp_path, monkeypatch):
    """The same command with its checkpoint follows nothing again and says the same; a pickled diagram leaves the file alone."""
    window = (*NARROW, "--checkpoint", tmp_path / "state.npz")
    first = run("diagram", *window, "--json")
    monkeypatch.setattr("phasediag._boundaries.find_boundaries", lambda *_: pytest.fail("followed again"))
    monkeypatch.setattr("phasediag._boundaries.find_spinodals", lambda *_: pytest.fail("sought again"))
    assert run("diagram", *window, "--json") == first and json.loads(first[1])["spinodals"]
    grid = {"importance": np.geomspace(0.25, 0.35, 3), "density": np.geomspace(0.25, 0.45, 4)}
    diagram = phase_diagram(**grid, checkpoint=tmp_path / "state.npz")
    assert diagram.curves.has_spinodals and "_checkpoint" not in pickle.loads(pickle.dumps(diagram)).__dict__


def test_a_plane_by_its_axes(run, tmp_path):
    """--x and --y make a plane of any two parameters, with their names in what is printed and drawn; --x alone a line."""
    small = "--n-starts", 4, "--no-curves"
    figure = tmp_path / "plane.png"
    axes = "--x", "profile:0.5:1:3", "--y", "density_of_1_3:0.1:0.9:2", "--density", "0.3"
    code, out, _ = run("diagram", "--n-features", 3, "--n-hidden", 2, *axes, *small, "--json", "--output", figure)
    facts = json.loads(out)
    assert code == 0 and facts["profile"] == [0.5, 0.75, 1.0] and facts["density_of_1_3"] == pytest.approx([0.1, 0.9])
    lowest = minima_of(ToyModel(2, [1.0, 0.75, 0.5625], [0.9, 0.3, 0.9]))[0]
    assert facts["loss"][1][1] == pytest.approx(lowest.loss, rel=1e-12) and figure.stat().st_size > 10_000
    code, out, _ = run("diagram", "--x", "density:0.1:1:4", *small)
    assert code == 0 and "density 0.1 to 1" in out
    for wrong in ("density", "density:2:1:3", "profile:0:1:3:log", "density:a:b:c", "density:0.1:1:3:4"):
        code, _, err = run("diagram", "--x", wrong, *small)
        assert code == 2 and "is neither NAME:LOW:HIGH:COUNT, like density:0.01:1:40" in " ".join(err.split()), wrong
    code, _, err = run("diagram", "--x", "colour:0.1,1", *small)
    assert code == 2 and 'an axis of a ToyModel must be named one of "importance", "density"' in " ".join(err.split())
    code, _, err = run("diagram", "--y", "density:0.1:1:3", *small)
    assert code == 2 and "y must be given with x, got y density alone" in err


def test_laws_of_the_input_and_of_the_loss(run):
    """--activity, --values, --penalty, --slope and --no-biased make the models of a diagram; wrong ones get one sentence."""
    small = "--n-starts", 4, "--no-curves", "--json"
    laws = "--activity", "correlated:1,2", "--values", "binary", "--penalty", "weights:0.01,interference:0.1", "--slope", "0.1"
    code, out, _ = run("diagram", "--importance", "0.5", "--density", "0.3", *laws, *small)
    law = {"activity": CorrelatedSets([[0, 1]]), "values": "binary", "penalty": Penalty(0.01, 0.1), "slope": 0.1}
    lowest = minima_of(ToyModel(1, [1.0, 0.5], 0.3, "leaky", **law))[0]
    assert code == 0 and json.loads(out)["loss"][0][0] == pytest.approx(lowest.loss, rel=1e-10)
    code, out, _ = run("diagram", "--x", "slope:0:1:3", "--y", "interference:0.001:0.01:2", *small)
    facts = json.loads(out)
    assert code == 0 and facts["slope"] == [0, 0.5, 1] and facts["interference_penalty"] == pytest.approx([0.001, 0.01])
    code, out, _ = run("diagram", "--x", "share:0:1:3", "--activity", "anticorrelated:1,2", "--density", "0.4", *small)
    assert code == 0 and json.loads(out)["loss"][0][2] < 1e-20
    code, out, _ = run("diagram", "--importance", "0.5", "--density", "0.3", "--no-biased", *small)
    held = minima_of(ToyModel(1, [1.0, 0.5], 0.3, biased=False))[0]
    assert code == 0 and json.loads(out)["loss"][0][0] == pytest.approx(held.loss, rel=1e-10)
    code, _, err = run("diagram", "--task", "identity", "--no-biased", *small)
    assert code == 2 and "biased must not be given with task, got False" in err
    for option, wrong in {"--activity": "friends:1,2", "--penalty": "weights:-1", "--values": "ternary", "--slope": 2}.items():
        code, _, err = run("diagram", option, wrong, *small)
        assert code == 2 and str(wrong) in err
