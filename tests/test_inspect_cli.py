"""The command "inspect": what it prints, what --json holds, how it refuses."""

import json

import click
import numpy as np
import pytest

from phasediag import ToyModel, expected_loss, inspect, optimal_bias
from phasediag._commands.profiles import Profile

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
    assert f'{path}: weights "W" (3, 2), bias "b" (3,); axes are "features hidden"' in lines[0] and "3 → 2 (relu)" in lines[1]
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
    assert [m["loss"] for m in facts["minima"]] == [m.loss for m in found.minima] and facts["model"]["density"] == [0.2] * 3


def test_metastable_and_unfinished_weights_are_called_so(run, tmp_path):
    """The verdict names the global minimum that was missed; weights far from any minimum have not converged."""
    np.savez(tmp_path / "w.npz", W=[[1.0, -1.0, 0.0], [0.0, 0.0, 1.0]], b=np.zeros(3))
    code, out, _ = run("inspect", tmp_path / "w.npz", "--density", 0.1, "--importance", 0.5)
    assert code == 0 and "METASTABLE: that bottom is 33" in out and "global minimum: extra in antipodal pair + dedicated" in out
    np.savez(tmp_path / "w.npz", W=[[0.5, -0.3, 0.0], [0.0, 0.4, 0.3]], b=np.zeros(3))
    code, out, _ = run("inspect", tmp_path / "w.npz", *POINT)
    assert code == 0 and "NOT CONVERGED: " in out and "(a converged model lies at most 1 % above it)" in out
    np.savez(tmp_path / "w.npz", W=[[1.0, 0.0]], b=[0, -1])
    code, out, _ = run("inspect", tmp_path / "w.npz", "--density", 0.3)
    assert code == 0 and out.count("DEAD OUTPUTS: extra;") == 1 and "no minimum: the descent ends " in out
    assert "METASTABLE" not in out and "verdict   ON A PLATEAU: " in out and "converged" not in out


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


def test_verdicts_say_what_they_hold_for(run, path, tmp_path):
    """The law of the inputs, the convention of a reported loss, and a missing bias stand where the verdict is."""
    law = "independent features, each active with probability (density) 0.2 and then uniform on [0, 1]"
    code, out, _ = run("inspect", path, *POINT, "--their-loss", f"{expected().loss / 3:.4g}")
    assert code == 0 and f"for {law}" in out and " is the mean over features, with importance: " in out and "NO BIAS" not in out
    code, out, _ = run("inspect", path, *POINT, "--their-loss", 5, "--json")
    facts = json.loads(out)
    assert code == 0 and facts["law"] == law and "matches no usual convention" in facts["told"][0]
    np.save(tmp_path / "W.npy", WEIGHTS)
    assert "NO BIAS in the file" in run("inspect", tmp_path / "W.npy", *POINT)[1]
    assert "NO BIAS in the file" not in run("inspect", tmp_path / "W.npy", *POINT, "--bias", "zero")[1]


def test_ensembles_are_a_table(run, tmp_path):
    """All models at once, with the density of each by list, by formula, or from the file; importance by a formula."""
    np.savez(tmp_path / "e.npz", W=[WEIGHTS] * 4, b=[BIAS] * 4)
    np.savez(tmp_path / "f.npz", W=[WEIGHTS] * 4, b=[BIAS] * 4, density=[0.1, 0.2, 0.3, 0.4], importance=0.9 ** np.arange(3))
    options = "--n-starts", 4, "--json"
    code, out, err = run("inspect", tmp_path / "e.npz", "--density", "0.1,0.2,0.3,0.4", "--importance", "0.9**i", *options)
    facts = json.loads(out)
    assert code == 0 and err == "" and [row["density"][0] for row in facts["models"]] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    alone = inspect(ToyModel(2, 0.9 ** np.arange(3), 0.3), WEIGHTS, BIAS, n_starts=4)
    assert facts["models"][2]["loss"] == pytest.approx(alone.loss, rel=1e-12) and facts["models"][2]["phase"] == alone.phase.name
    by_formula = run("inspect", tmp_path / "e.npz", "--density", "(i+1)/10", "--importance", "1,0.9,0.81", *options)[1]
    for other in (json.loads(by_formula), json.loads(run("inspect", tmp_path / "f.npz", *options)[1])):
        assert [row["loss"] for row in other["models"]] == pytest.approx([row["loss"] for row in facts["models"]], rel=1e-12)
    code, out, _ = run("inspect", tmp_path / "f.npz", "--n-starts", 4)
    assert code == 0 and "    4  models; " in out and "density) 0.1 to 0.4 and then uniform" in out
    assert json.loads(run("inspect", tmp_path / "f.npz", *options, "--index", 1)[1])["model"]["density"] == pytest.approx(
        [0.2] * 3
    )


def test_untied_weights_have_their_own_loss_and_verdict(run, tmp_path):
    """The 2→1 file of the issue, tied in another basis, loses .0033 and not .5533; others are compared with tied minima."""
    np.savez(tmp_path / "u.npz", W=[[2.0, -2.0]], W_out=[[0.5], [-0.5]], b=np.zeros(2))
    arguments = "inspect", tmp_path / "u.npz", "--density", 0.1, "--importance", 1
    code, out, _ = run(*arguments)
    assert code == 0 and "judged as the tied model" in out and "loss      0.00333333333333 " in out and "converged: " in out
    assert json.loads(run(*arguments, "--tied", "--json")[1])["loss"] == pytest.approx(0.5533, abs=5e-5)
    encoder, decoder = np.array([[1.0, -0.9]]), np.array([[0.9], [-1.2]])
    np.savez(tmp_path / "u.npz", W=encoder, W_out=decoder, b=np.zeros(2))
    found = inspect(ToyModel(1, [1, 1], 0.1), (decoder, encoder), np.zeros(2))
    code, out, _ = run(*arguments)
    assert code == 0 and f"loss      {found.loss:.12g} " in out and "NO GLOBAL MINIMUM: tied weights are among" in out
    assert "how low they can be is not known" in out and "phase  " not in out
    facts = json.loads(run(*arguments, "--json")[1])
    assert facts["loss"] == found.loss and facts["gap"] == found.gap > 0 and facts["decoder"] == decoder.tolist()
    code, out, err = run(*arguments, "--output", tmp_path / "w.png")
    assert code == 2 and out == "" and "output must" in err
    np.savez(tmp_path / "v.npz", W=encoder, W_out=decoder)
    best = json.loads(run("inspect", tmp_path / "v.npz", *arguments[2:], "--bias", "optimal", "--json")[1])
    assert best["bias"] == optimal_bias(ToyModel(1, [1, 1], 0.1), (decoder, encoder)).tolist() and best["loss"] < found.loss
    np.savez(tmp_path / "u.npz", W=[encoder] * 3, W_out=[decoder] * 3, b=np.zeros((3, 2)))
    code, out, _ = run(*arguments)
    assert code == 0 and "    3  models with untied weights; 0 below the lowest minimum" in out and "not stationary" in out
    many = json.loads(run(*arguments, "--json")[1])["models"]
    assert [one["loss"] for one in many] == pytest.approx([found.loss] * 3, rel=1e-14) and many[2]["gap"] == pytest.approx(
        found.gap
    )
    code, out, err = run(*arguments, "--depth")
    assert code == 2 and out == "" and "depth must be of one model" in err
    assert json.loads(run(*arguments, "--index", 1, "--json")[1])["loss"] == found.loss


def test_a_decoder_without_a_name_is_told_by_its_fit(run, tmp_path):
    """W, Z, b: Z decodes where the pair makes far better models than tied weights, whichever way round the file has them."""
    generator = np.random.default_rng(1)
    turn = generator.normal(size=(2, 2)) * 3 + 4 * np.eye(2)
    decoder = WEIGHTS.T @ np.linalg.inv(turn) + 0.01 * generator.normal(size=(3, 2))
    for z in (decoder, decoder.T):
        np.savez(tmp_path / "z.npz", W=turn @ WEIGHTS, Z=z, b=BIAS)
        code, out, _ = run("inspect", tmp_path / "z.npz", *POINT, "--json")
        facts = json.loads(out)
        assert code == 0 and "fits trained models far better" in facts["source"] and facts["unused"] == []
        assert facts["loss"] == pytest.approx(expected_loss(MODEL, (decoder, turn @ WEIGHTS), BIAS), rel=1e-12)
    np.savez(tmp_path / "z.npz", W=WEIGHTS, Z=generator.normal(size=(3, 2)), b=BIAS)
    assert "--decoder-name names an untied decoder" in run("inspect", tmp_path / "z.npz", *POINT)[1]


@pytest.mark.quick
def test_the_report_and_the_depth(run, path):
    """What the command prints is the result's own text; the depth is that of Inspection.depth."""
    code, out, _ = run("inspect", path, *POINT)
    own, (source, *rest) = expected().text(), out.splitlines()
    assert code == 0 and own.splitlines() == rest and source.startswith(str(path))
    code, out, _ = run("inspect", path, *POINT, "--depth")
    assert code == 0 and "depth: without end; there is no lower minimum to go to" in out


def test_the_depth_of_a_metastable_state(run, tmp_path):
    """The triangle of 3→2 at importance 1 and density 0.05 is 1.6e-4 of its loss deep."""
    angles = 2 * np.pi * np.arange(3) / 3
    np.savez(tmp_path / "t.npz", W=[np.cos(angles), np.sin(angles)], b=np.full(3, -0.01))
    code, out, _ = run("inspect", tmp_path / "t.npz", "--density", 0.05, "--importance", 1, "--n-starts", 8, "--depth")
    assert code == 0 and "METASTABLE" in out and "0.0164 % of that bottom's loss; the lowest of 2 passes" in out


def test_files_that_may_be_untied_have_no_verdict(run, tmp_path):
    """What is not read is named; exit code 1; --tied insists."""
    np.savez(tmp_path / "u.npz", W=WEIGHTS, Z=2 * WEIGHTS.T, b=BIAS)
    code, out, _ = run("inspect", tmp_path / "u.npz", *POINT)
    assert code == 1 and "verdict   withheld: Z is not read" in out and "loss" not in out and expected().phase.name in out
    code, out, _ = run("inspect", tmp_path / "u.npz", *POINT, "--json")
    assert code == 1 and json.loads(out)["doubt"].startswith("Z is not read") and "loss" not in json.loads(out)
    assert "converged: " in run("inspect", tmp_path / "u.npz", *POINT, "--tied")[1]


@pytest.mark.parametrize(
    ("formula", "values"),
    [
        ("0.9**i", [1, 0.9, 0.81, 0.729]),
        ("20**(-i/(n-1))", 20.0 ** (-np.arange(4) / 3)),
        ("-2**2 + i*(1 - .5) / 2", -4 + np.arange(4) / 4),
        ("2**-1**2 + 0*i", [0.5] * 4),
        ("2**3**2/512 + 0*n", [1] * 4),
        ("1e-1*(i + 1)", [0.1, 0.2, 0.3, 0.4]),
    ],
)
def test_formulas_are_arithmetic(formula, values):
    """The rules of precedence that Python has."""
    assert np.allclose(Profile().convert(formula, None, None)(4), values, rtol=1e-15)
    assert np.allclose([eval(formula, {"i": i, "n": 4}) for i in range(4)], values, rtol=1e-15)
    assert Profile().convert("2**-1**2", None, None) == [0.5]  # one number is one number


@pytest.mark.parametrize("text", ["", "i+", "(i", "i)", "j", "2 3", "i**", "__import__('os')", "exp(i)", "1,,2", "i,1"])
def test_what_is_no_formula_is_refused(text):
    """Nothing but numbers, i, n, operators and parentheses."""
    with pytest.raises(click.UsageError, match="neither a number, a list"):
        Profile().convert(text, None, None)


@pytest.mark.parametrize("ending", [".png", ".svg"])
def test_pictures_are_written(run, path, tmp_path, ending):
    """--output draws; the message goes to stderr."""
    picture = tmp_path / f"columns{ending}"
    code, _, err = run("inspect", path, *POINT, "--output", picture)
    assert code == 0 and err == f"wrote {picture}\n" and picture.stat().st_size > 5_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["w.npz"], "density must be given (--density): the file holds none"),
        (["w.npz", "--density", "0.1+"], "'0.1+' is neither a number, a list like 1,1,0.5 nor a formula in i and n like 0.9**i"),
        (["w.npz", "--density", "0.1", "--their-loss", "-1"], "their_loss must be positive and finite, got -1.0"),
        (["ens.npz", "--density", "0.1,0.2"], "density must be one number, 4 for the models or 3 for the features, got 2"),
        (["ens.npz", "--density", "0.1", "--output", "w.png"], "output must be of one model: index must choose one of (4,)"),
        (["ens.npz", "--density", "0.1", "--layout", "x"], "layout must be the order of the axes in words"),
        (["nowhere.npz", "--density", "0.1"], "weights must be in a file that can be read, got 'nowhere.npz' (No such file"),
        (["w.npz", "--density", "2"], "density must be in (0, 1], got 2.0"),
        (["w.npz", "--density", "inf"], "density must be in (0, 1], got inf"),
        (["w.npz", "--density", "0.1", "--importance", "1,2"], "importance must be one number or 3, got 2"),
        (["w.npz", "--density", "0.1", "--index", "1"], "index must not be given"),
        (["w.npz", "--density", "0.1", "--index", "x"], "'x' is neither a whole number nor a list"),
        (["w.npz", "--density", "0.1", "--tolerance", "1"], "tolerance must be in (0, 1), got 1.0"),
        (["w.npz", "--density", "0.1", "--output", "w.npz"], "output must end in"),
        (["w.npz", "--density", "0.1", "--bias", "b.txt"], "bias must be in a file that can be read, got 'b.txt' (No such file"),
        (["square.npz", "--density", "0.1"], "n_hidden must be less than n_features (3, the bias says), got 3"),
        (["wide.npz", "--density", "0.1"], "n_hidden must be less than n_features (2, the bias says), got 5"),
        (["nan.npz", "--density", "0.1"], "weights must be finite and smaller than 1e+30 in size, got nan"),
        (["cut.npz", "--density", "0.1"], "weights must be in a file that can be read, got 'cut.npz'"),
    ],
)
def test_misuse_is_one_line_on_stderr(run, path, tmp_path, monkeypatch, arguments, message):
    """Exit code 2, nothing on stdout, one line on stderr that names argument, domain and value."""
    monkeypatch.chdir(tmp_path)
    np.savez("ens.npz", W=[WEIGHTS] * 4, b=[BIAS] * 4)
    np.savez("square.npz", W=np.eye(3), b=np.zeros(3))
    np.savez("wide.npz", W=np.ones((5, 2)), b=np.zeros(2))  # more hidden dimensions than features
    np.savez("nan.npz", W=np.full((2, 3), np.nan), b=np.zeros(3))
    (tmp_path / "cut.npz").write_bytes(path.read_bytes()[:200])
    code, out, err = run("inspect", *arguments)
    assert code == 2 and out == "" and err.count("\n") == 1 and err.startswith("phasediag: ") and message in err
