"""The command "inspect": what it prints, what --json holds, how it refuses."""

import json

import numpy as np
import pytest

from phasediag import ToyModel, inspect, optimal_bias

WEIGHTS, BIAS = np.array([[1.0, 0.003, -0.002], [0.002, 1.02, -0.99]]), np.array([0.0, 0.005, 0.01])
POINT = ("--density", 0.2, "--importance", 0.5, "--n-starts", 8)
MODEL = ToyModel(2, [1, 1, 0.5], 0.2)


@pytest.fixture
def path(tmp_path):
    """The file of one model as PyTorch users write it: single precision, features first."""
    np.savez(tmp_path / "w.npz", W=WEIGHTS.T.astype(np.float32), b=BIAS.astype(np.float32))
    return tmp_path / "w.npz"


def expected(bias=BIAS):
    return inspect(MODEL, WEIGHTS.astype(np.float32), np.asarray(bias, np.float32), n_starts=8)


def test_what_a_person_reads(run, path):
    """Loss, phase, verdict, a row for each feature in both tables, the nearest minimum and the marked list of minima."""
    code, out, err = run("inspect", path, *POINT)
    found, lines = expected(), out.splitlines()
    assert code == 0 and err == ""
    assert f'{path}: weights "W" (3, 2), bias "b" (3,); transposed' in lines[0] and "3 → 2 (relu)" in lines[1]
    assert f"phase     {found.phase.name}  (" in out and f"loss      {found.loss:.12g} ± " in out
    assert f"converged: {100 * found.excess:.3g} % above the bottom" in out and "that bottom is the global minimum" in out
    assert out.count("\nextra ") == 2
    rows = [line.split() for line in lines if line.startswith("extra ") or line.startswith("sum ")]
    assert float(rows[0][1]) == pytest.approx(found.feature_norm[2], abs=1e-5)
    assert float(rows[-1][1]) == 100.0
    shares = [100 * part.sum() / found.loss for part in (found.terms.benefit, found.terms.interference, found.terms.bias_part)]
    assert [float(x) for x in rows[-1][2:5]] == pytest.approx(shares, abs=0.006)
    assert f"at distance {found.distance:.3g}" in out and f"lowest curvature {found.nearest.curvature:.4g}" in out
    assert out.count("<- nearest") == 1 and f"{len(found.minima)} local minim" in out


def test_json_is_the_inspection(run, path):
    """Every number that Python gives, and null for nothing."""
    code, out, err = run("inspect", path, *POINT, "--json")
    facts, found = json.loads(out), expected()
    assert code == 0 and err == ""
    for name in ("loss", "loss_error", "gradient_norm", "excess", "converged", "metastable", "gap", "distance", "tolerance"):
        assert facts[name] == getattr(found, name)
    for name in ("weights", "bias", "feature_loss", "feature_norm", "interference", "feature_dimensionality"):
        assert facts[name] == getattr(found, name).tolist()
    for name in ("by_active", "benefit", "interference", "bias_part"):
        assert facts["terms"][name] == getattr(found.terms, name).tolist()
    assert facts["phase"] == found.phase.name and facts["nearest"]["loss"] == found.nearest.loss
    assert [m["loss"] for m in facts["minima"]] == [m.loss for m in found.minima] and facts["density"] == [0.2] * 3


def test_metastable_and_unfinished_weights_are_called_so(run, tmp_path):
    """The verdict names the global minimum that was missed; weights far from any minimum have not converged."""
    np.savez(tmp_path / "w.npz", W=[[1.0, -1.0, 0.0], [0.0, 0.0, 1.0]], b=np.zeros(3))
    code, out, _ = run("inspect", tmp_path / "w.npz", "--density", 0.1, "--importance", 0.5)
    assert code == 0 and "METASTABLE: that bottom is 33" in out and "global minimum: extra in antipodal pair + dedicated" in out
    np.savez(tmp_path / "w.npz", W=[[0.5, -0.3, 0.0], [0.0, 0.4, 0.3]], b=np.zeros(3))
    code, out, _ = run("inspect", tmp_path / "w.npz", *POINT)
    assert code == 0 and "NOT CONVERGED: " in out
    np.savez(tmp_path / "w.npz", W=[[1.0, 0.0]], b=[0, -1])
    code, out, _ = run("inspect", tmp_path / "w.npz", "--density", 0.3)
    assert code == 0 and out.count("DEAD OUTPUTS: extra;") == 1 and "no minimum: the descent ends " in out
    assert "METASTABLE" not in out


def test_the_bias_is_the_files_zero_or_the_best(run, tmp_path):
    """The first line says which; --json holds it."""
    np.save(tmp_path / "W.npy", WEIGHTS)
    for wish, bias, words in (
        ([], np.zeros(3), "; bias zero (none in the file)"),
        (["--bias", "zero"], np.zeros(3), "; bias zero"),
        (["--bias", "optimal"], optimal_bias(MODEL, WEIGHTS), "; bias the best for these weights"),
    ):
        code, out, _ = run("inspect", tmp_path / "W.npy", *POINT, *wish, "--json")
        facts = json.loads(out)
        assert code == 0 and facts["source"].endswith(words) and facts["bias"] == bias.tolist()


def test_many_features_say_what_is_not_known(run, tmp_path):
    """Beyond the search for minima the rest is printed, long tables are cut, and JSON stays valid."""
    weights = np.zeros((11, 22))
    weights[np.arange(22) // 2, np.arange(22)] = np.tile([1.0, -1.0], 11)
    np.savez(tmp_path / "w.npz", W=weights, b=np.zeros(22))
    code, out, _ = run("inspect", tmp_path / "w.npz", "--density", 0.5)
    assert code == 0 and "is not known: that is searched for up to 10 features" in out and "importance 1 each" in out
    assert out.count("… and 2 more") == 2 and "lowest curvature unknown" in out and "local minim" not in out
    code, out, _ = run("inspect", tmp_path / "w.npz", "--density", 0.5, "--json")
    facts = json.loads(out, parse_constant=pytest.fail)
    assert facts["minima"] is None and facts["metastable"] is None and facts["nearest"]["curvature"] is None


@pytest.mark.parametrize("ending", [".png", ".svg"])
def test_pictures_are_written(run, path, tmp_path, ending):
    """--output draws; the message goes to stderr."""
    picture = tmp_path / f"columns{ending}"
    code, _, err = run("inspect", path, *POINT, "--output", picture)
    assert code == 0 and err == f"wrote {picture}\n" and picture.stat().st_size > 5_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["w.npz"], "Missing option '--density'"),
        (["nowhere.npz", "--density", "0.1"], "weights must be in a file that can be read, got 'nowhere.npz' (No such file"),
        (["w.pt", "--density", "0.1"], "weights must be a file that ends in .npz, .npy, .safetensors, got 'w.pt' (pickles"),
        (["w.npz", "--density", "2"], "density must be in (0, 1], got 2.0"),
        (["w.npz", "--density", "0.1", "--importance", "1,2"], "importance must be one number or 3, got 2"),
        (["w.npz", "--density", "0.1", "--index", "1"], "index must not be given"),
        (["w.npz", "--density", "0.1", "--index", "x"], "'x' is neither a whole number nor a list"),
        (["w.npz", "--density", "0.1", "--weights-name", "b"], "weights must have shape (n_hidden, n_features), got (3,)"),
        (["w.npz", "--density", "0.1", "--tolerance", "1"], "tolerance must be in (0, 1), got 1.0"),
        (["w.npz", "--density", "0.1", "--output", "w.txt"], "output must end in"),
        (["w.npz", "--density", "0.1", "--bias", "b.txt"], 'bias must be "zero", "optimal" or a .npy file'),
        (["square.npz", "--density", "0.1"], "n_hidden must be less than n_features (3), got 3"),
        (["wide.npz", "--density", "0.1"], "bias must have shape (…, 5), got (2,)"),
        (["nan.npz", "--density", "0.1"], "weights must be finite and smaller than 1e+30 in size, got nan"),
        (["cut.npz", "--density", "0.1"], "weights must be in a file that can be read, got 'cut.npz'"),
    ],
)
def test_misuse_is_one_line_on_stderr(run, path, tmp_path, monkeypatch, arguments, message):
    """Exit code 2, nothing on stdout, one line on stderr that names argument, domain and value."""
    monkeypatch.chdir(tmp_path)
    np.savez("square.npz", W=np.eye(3), b=np.zeros(3))
    np.savez("wide.npz", W=np.ones((5, 2)), b=np.zeros(2))  # more hidden dimensions than features
    np.savez("nan.npz", W=np.full((2, 3), np.nan), b=np.zeros(3))
    (tmp_path / "cut.npz").write_bytes(path.read_bytes()[:200])
    code, out, err = run("inspect", *arguments)
    assert code == 2 and out == "" and err.count("\n") == 1 and err.startswith("phasediag: ") and message in err
