"""Command lines as users type them: each is answered, or refused in one line that says what is wrong."""

import json
import shlex
from itertools import pairwise

import numpy as np
import pytest

REFUSED = {
    "diagram --x density": "'density' is neither NAME:LOW:HIGH:COUNT",
    "diagram --x density:1:0.1:4": "'density:1:0.1:4' is neither NAME:LOW:HIGH:COUNT",
    "diagram --x nonsense:0.5:2:4": "an axis of a ToyModel must be named one of",
    "diagram --y density:0.3:1:3": "y must be given with x, got y density alone",
    "diagram --theory frozen --x density:0.3:1:3": 'theory must be "global" unless the plane is',
    "diagram --n-features 3 --n-hidden 2 --x density_of_3:0.1:1:4 --importance 1,0.9": "importance must be one number or 3",
    "diagram --x density:0:1:4": "density must be in (0, 1], got 0.0",
    "explore --theories nonsense": "theories must be one of",
    "explore --z density:0.1,0.2 --theories global": "z must name another parameter than importance and density, got density",
    "boundary --theory frozen --x density:0.3:1:3": "x must not be given for the frozen theory",
    "help": "No such command 'help'.",
    "digram": "No such command 'digram'. Did you mean 'diagram'?",
    "minimise": "No such command 'minimise'. Did you mean 'minimize'?",
    "Diagram": "No such command 'Diagram'. Did you mean 'diagram'?",
    "minimize 3 2": "Got unexpected extra arguments (3 2)",
    "minimize -n 3": "No such option '-n'.",
    "minimize --n_features 3": "No such option '--n_features'. Did you mean",
    "minimize --features 3": "No such option '--features'.",
    "minimize --n-features 3.0": "'3.0' is not a valid integer.",
    "minimize --n-features 1e1": "'1e1' is not a valid integer.",
    "minimize --n-features -3": "n_features must be a whole number from 2",
    "minimize --n-features 1": "n_features must be a whole number from 2",
    "minimize --n-hidden -1": "n_hidden must be a whole number ≥ 1, got -1",
    "minimize --n-features 11 --n-hidden 2": "model must have at most 10 features, got 11",
    "minimize --n-features 5 --n-hidden 5": "n_hidden must be less than n_features (5), got 5",
    "minimize --density 50%": "'50%' is neither a number, a list like 1,1,0.5 nor a formula",
    "minimize --density 0,5": "density must be in (0, 1], got 0.0",
    "minimize --density 0": "density must be in (0, 1], got 0.0",
    "minimize --density 1.0000001": "density must be in (0, 1], got 1.0000001",
    "minimize --density -0.5": "density must be in (0, 1], got -0.5",
    "minimize --density nan": "density must be in (0, 1], got nan",
    "minimize --density inf": "density must be in (0, 1], got inf",
    "minimize --density 0.5:1:3": "'0.5:1:3' is neither a number, a list like 1,1,0.5 nor a formula",
    "minimize --density [0.5]": "'[0.5]' is neither a number, a list like 1,1,0.5 nor a formula",
    'minimize --density ""': "'' is neither a number, a list like 1,1,0.5 nor a formula",
    "minimize --density 0.1,0.2,0.3": "density must be a scalar or have shape (2,), got (3,)",
    "minimize --sparsity 0.5": "No such option '--sparsity'. (Did you mean",
    "minimize --importance 1e400": "importance must be positive and finite, got inf",
    "minimize --importance 1,0": "importance must be positive and finite, got 0.0",
    "minimize --importance 2x": "'2x' is neither a number, a list like 1,1,0.5 nor a formula",
    "minimize --effort high": "effort must be one of",
    "minimize --n-starts 1.5": "'1.5' is not a valid integer.",
    "minimize --n-starts 0": "n_starts must be a whole number ≥ 1, got 0",
    "minimize --n-starts -1": "n_starts must be a whole number ≥ 1, got -1",
    "minimize --seed abc": "'abc' is not a valid integer.",
    "minimize --seed -1": "seed must be None, a whole number ≥ 0 or a numpy Generator, got -1",
    "minimize --activation GELU": "activation must be one of",
    "minimize --output x": "output must end in",
    "minimize --output x.jpg": "output must end in",
    "minimize --output x.PNG": "output must end in",
    "minimize --output .png": "output must end in",
    "minimize --output missing/x.png": "output must be a file that can be written, got 'missing/x.png' (N",
    "minimize --output /tmp": "output must end in",
    "minimize --output -": "output must end in",
    "minimize extra": "Got unexpected extra argument (extra)",
    "minimize --importance": "Option '--importance' requires an argument.",
    "minimize --no-curves": "No such option '--no-curves'. Did you mean",
    "diagram --theory frozen --importance 0.1:10": "is neither LOW:HIGH:COUNT",
    "diagram --theory frozen --importance 10:0.1:5": "is neither LOW:HIGH:COUNT",
    "diagram --theory frozen --importance 0.1:10:0": "is neither LOW:HIGH:COUNT",
    "diagram --theory frozen --importance 0.1:10:2.5": "is neither LOW:HIGH:COUNT",
    "diagram --theory frozen --importance 0.1:10:-3": "is neither LOW:HIGH:COUNT",
    "diagram --theory frozen --importance 0:10:5": "is neither LOW:HIGH:COUNT",
    "diagram --theory frozen --importance 0.1-10": "is neither LOW:HIGH:COUNT",
    "diagram --theory frozen --importance 0.1..10": "is neither LOW:HIGH:COUNT",
    "diagram --theory frozen --importance 1,0.5": "importance must be strictly increasing, got array([1. , 0.5])",
    "diagram --theory frozen --importance 1,1": "importance must be strictly increasing, got array([1., 1.])",
    "diagram --theory frozen --importance 0.1:10:1000000": "is neither LOW:HIGH:COUNT",
    "diagram --theory frozen --importance 0.1:10:20:4": "is neither LOW:HIGH:COUNT",
    "diagram --theory frozen --density 1:0.01:50": "is neither LOW:HIGH:COUNT",
    "diagram --theory frozen --density 0.1:2:5": "density must be in (0, 1], got 2.0",
    "diagram --theory frozen --density 0": "density must be in (0, 1], got 0.0",
    "diagram --theory frozen --n-features 9": "n_features must be a whole number from 2 to 8, got 9",
    "diagram --theory frozen --store s.zarr": 'store is for theory "trained" and must not be given for "frozen", got',
    "diagram --theory frozen --seed 1": 'seed is for theory "global" or "relaxed" or "trained" and must not be',
    "diagram --theory froze": "theory must be one of",
    'diagram --theory ""': "theory must be one of",
    "diagram --theory": "Option '--theory' requires an argument.",
    "diagram --theory global,frozen": "theory must be one of",
    "diagram --theory trained --n-steps -5": "n_steps must be a whole number from 1 to 1099511627776, got -5",
    "diagram --theory trained --batch-size 0": "batch_size must be a whole number from 1 to 1073741824, got 0",
    "diagram --theory trained --batch-size 99999999999": "batch_size must be a whole number from 1 to 1073741824, got 9999999999",
    "diagram --theory trained --learning-rate 0": "learning_rate must be positive and finite, got 0.0",
    "diagram --theory trained --learning-rate nan": "learning_rate must be positive and finite, got nan",
    "diagram --theory trained --learning-rate 1e9 --importance 1 --density 1 --n-steps 9": "learning_rate must be small",
    "diagram --theory trained --weight-decay -1": "weight_decay must be finite and ≥ 0, got -1.0",
    "diagram --theory trained --optimizer rmsprop": 'optimizer must be one of "adamw", "adam", "sgd", got \'rmsprop\'',
    "diagram --theory trained --schedule cos": "schedule must be one of",
    "diagram --theory trained --scheduler localhost": "scheduler must be the address of a running dask scheduler, tcp://HOST:",
    "diagram --theory trained --n-seeds 1000000000": "n_features, n_seeds and n_steps must fit in memory",
    "diagram --theory trained --n-features 1000000": "n_features, n_seeds and n_steps must fit in memory",
    "diagram --theory trained --n-steps 1000000000000": "n_features, n_seeds and n_steps must fit in memory",
    "diagram --n-threads 0": "n_threads must be a whole number ≥ 1, got 0",
    "diagram --n-threads auto": "'auto' is not a valid integer.",
    "diagram --importance 1e-10,1 --density 0.5": "importance must be from 1e-09 to 1e+09 for the global theory, got 1e-1",
    "diagram --importance 0.5,2 --density 0.9,1 --look colours": "look must be one of",
    "boundary --theory frozen --importance 0.1:1:4": "importance must not be given for the frozen theory, whose equations ho",
    "boundary --theory frozen --output eq.csv": "output must be .txt or .json for the frozen theory, whose boundaries a",
    "boundary --theory trained": "theory must be one of",
    "boundary --latex": "theory must be \"frozen\" for LaTeX equations, got 'global'",
    "boundary --output x.png": "output must end in",
    "train --n-models 0": "n_models must be a whole number ≥ 1, got 0",
    "train --n-models 1.5": "'1.5' is not a valid integer.",
    "train --n-steps 5 --n-models 2 --output t.png": "output must end in",
    "train --n-steps 5 --n-models 2 --gradient full": "gradient must be one of",
    "train --n-steps 5 --learning-rate 1e30 --optimizer sgd": "learning_rate must be small enough for training to converge; wi",
    "train --n-steps 5 --n-models 2 --importance 1e20": "importance must be at most 1e+15 for training, got 1e+20",
    "train --n-steps 5 --n-models 2 --importance 1e300": "importance must be at most 1e+15 for training, got 1e+300",
    "train --n-features 100000 --n-hidden 50000 --n-models 10": "n_features, n_models and n_steps must fit in memory",
    "train --n-features 2 --n-hidden 1 --n-models 100000000000": "n_features, n_models and n_steps must fit in memory",
    "train --n-steps 5 --n-models 2 --batch-size 1e3": "'1e3' is not a valid integer.",
    "train --theory frozen": "No such option '--theory'.",
    "atlas --n-features 5": "n_features and n_hidden must be given together, got 5 and None",
    "atlas --n-features 11 --n-hidden 2": "n_features must be a whole number from 2 to 10, got 11",
    "atlas --anew": "anew must be given with n_features and n_hidden",
    "inspect": "Missing argument 'FILE'.",
    "inspect nope.npz": "weights must be in a file that can be read, got 'nope.npz' (No such fi",
    "inspect .": "weights must be in a file that can be read, got '.' (Is a directory)",
    "inspect /dev/null": "weights must be in a file that is read (.npz, .npy, .safetensors, .pt)",
    "validate --output v.csv": "output must end in",
    "validate --n-samples 1": "n_samples must be a whole number ≥ 100, got 1",
    "validate --n-samples 1e4": "'1e4' is not a valid integer.",
    "validate --n-features 9 --n-hidden 2": "n_features must be a whole number from 2 to 8, got 9",
    "validate --theory frozen": "No such option '--theory'. Did you mean",
    "paper --seed x": "'x' is not a valid integer.",
    "paper --n-features 3": "No such option '--n-features'. Did you mean",
    "paper extra": "Got unexpected extra argument (extra)",
    "minimize --importance 0.9^i": "'0.9^i' is neither a number, a list like 1,1,0.5 nor a formula in i and n",
    "minimize --n-features 100000000000000000000": "n_features must be a whole number from 2 to 1000000",
    "diagram --theory frozen --density 0.01:1:100000 --importance 0.1:10:100000": "this needs more memory than there is",
    'paper --output ""': "output must be a folder that can be made, got ''",
    "paper --output /proc/paper": "output must be a folder that can be made",
    "minimize --importance __import__('os')": "is neither a number, a list",
    "minimize --output /proc/x.png": "output must be a file that can be written",
    "diagram --checkpoint broken.npz --importance 1 --density 0.5": "checkpoint must name a file written by phase_diagram",
    "inspect broken.npz": "weights must be in a file that can be read",
    "inspect empty.npz": "got 'empty.npz', an empty file",
    "inspect text.npz": "got 'text.npz', a text file",
    "inspect pair.npz": "density must be given (--density): the file holds none",
    "inspect pair.npz --density 10%": "'10%' is neither a number, a list like 1,1,0.5 nor a formula in i and n",
    "inspect pair.npz --density 0.1 --importance 1/0": "importance must be positive and finite, got inf",
    "inspect pair.npz --density 0.1 --index 3": "index must",
    "inspect pair.npz --density 0.1 --their-loss 0": "their_loss must be positive and finite, got 0.0",
    "inspect pair.npz --density 0.1 --tolerance 2": "tolerance must be in (0, 1), got 2.0",
    "inspect pair.npz --density 0.1 --weights-name nope": "weights_name must be one of",
    "inspect pair.npz --density 0.1 --layout xyz": "layout must",
    "inspect pair.npz pair.npz": "Got unexpected extra argument (pair.npz)",
    "inspect https://example.com/x.npz": "weights must be in a file that can be read",
    "minimize --output taken.png": "output must be a file that can be written, got 'taken.png' (Is a directory)",
    "paper --output text.npz": "output must be a folder that can be made, got 'text.npz' (File exists)",
    "diagram --theory frozen --checkpoint c.npz": 'checkpoint is for theory "global" and must not be given for "frozen"',
}
"""What the line on standard error says."""

ANSWERED = {
    "diagram --x density:0.4:1:3:linear --no-curves --output x.csv --output x.png": "2 → 1, global theory (relu): density",
    "diagram --n-features 3 --n-hidden 2 --x profile:0.5:1:2 --no-curves": "3 → 2, global theory (relu): profile 0.5 to 1",
    "--version": "phasediag, version",
    "-h": "Usage: phasediag",
    "": "Usage: phasediag",
    "diagram -h": "Usage: phasediag diagram",
    "--help diagram": "Usage: phasediag [OPTIONS]",
    "minimize --n-features=3 --n-hidden=2 --n-starts 4": "3 → 2 (relu): importance 1, 1, 1; density 0.5",
    "minimize --density .5": "2 → 1 (relu): importance 1, 1; density 0.5\n",
    "minimize --density 5e-1": "2 → 1 (relu): importance 1, 1; density 0.5\n",
    "minimize --density 1/2": "2 → 1 (relu): importance 1, 1; density 0.5\n",
    "minimize --importance 1/2": "2 → 1 (relu): importance 1, 0.5; density 0.5\n",
    "minimize --density '0.5, 0.4'": "2 → 1 (relu): importance 1, 1; density 0.5, 0.4\n",
    "minimize --n-features 3 --n-hidden 2 --importance 0.9**i --density 0.05*(i+1) --n-starts 4": "3 → 2 (relu): importance 1,",
    "minimize --density 1": "2 → 1",
    "atlas --n-features 3 --n-hidden 2 --anew --output row.png --output row.csv --output row.json": "3 → 2, equal features",
    "minimize --density 1e-300": "2 → 1",
    "minimize --importance 1e300": "2 → 1",
    "minimize --importance 1e-12": "2 → 1",
    "minimize --effort QUICK": "2 → 1",
    "minimize --seed 99999999999999999999999": "2 → 1",
    "minimize --activation Linear": "2 → 1 (linear)",
    "minimize --": "2 → 1",
    "minimize --json --json": "{",
    "minimize --output 'spaces in name.png'": "2 → 1",
    "minimize --output ünï.svg --output a.csv --output a.json --output a.txt": "2 → 1",
    "minimize --output a.csv --output a.csv": "2 → 1",
    "diagram --theory frozen --importance 1:1:1": "2 → 1, frozen",
    "diagram --theory frozen --importance 1 --output cells.csv": "2 → 1, frozen",
    "diagram --theory FROZEN --no-curves --importance 0.5:2:4 --density 0.1:1:4": "2 → 1, frozen",
    "diagram --theory exact --importance 0.5,1 --density 0.5,1 --no-curves": "2 → 1, global",
    "diagram --n-threads 100000 --importance 1 --density 0.5,0.6": "2 → 1, global",
    "diagram --importance 1e-9,1e9 --density 1e-6,1 --no-curves": "2 → 1, global",
    "diagram --activation linear --importance 0.5,2 --density 0.1,1": "2 → 1, global theory (linear)",
    "boundary --theory frozen --latex --json": "{",
    "boundary --theory frozen --output eq.txt --output eq.json": "2 → 1, frozen",
    "boundary --importance 1 --density 0.5 --output none.csv": "2 → 1, global",
    "train --n-models 2 --n-steps 5 --density 0.1,0.2": "2 → 1 (relu): importance 1, 1; density 0.1, 0.2\n",
    "train --n-steps 5 --n-models 2 --gradient Population": "2 → 1",
    "train --n-steps 5 --n-models 2 --n-features 4 --n-hidden 2 --importance 0.9**i": "4 → 2 (relu): importance 1, 0.9, 0.81, ",
    "train --n-steps 5 --n-models 2 --output run.npz --output run.csv --json": "{",
    "train --independent --n-steps 5 --n-models 2": "2 → 1",
    "inspect pair.npz --density 0.1": "pair.npz: weights",
    "inspect pair.npz --density 1/10 --output p.csv --output p.png": "pair.npz: weights",
    "inspect pair.npz --density 0.1 --their-loss 0.05": "pair.npz: weights",
    "inspect pair.npz --density 0.1*(i+1) --json": "{",
    "validate --importance 1 --density 0.5 --n-seeds 2 --n-steps 20 --no-curves --n-samples 200": "2 → 1",
    "validate --importance 0.5,2 --density 0.5 --n-seeds 2 --n-steps 20 --no-curves --json --output v.txt": "{",
}
"""How the text on standard output begins."""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the files that users have, the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.npz").touch()
    (tmp_path / "text.npz").write_text("hello")
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04broken")
    (tmp_path / "taken.png").mkdir()
    np.savez(tmp_path / "pair.npz", W=[[1.0, -0.9]], b=[0.0, 0.01])
    return tmp_path


@pytest.mark.quick("_commands")
@pytest.mark.parametrize(("line", "words"), REFUSED.items(), ids=list(REFUSED))
def test_refused(run, folder, line, words):
    """Exit code 2, nothing on standard output, one sentence, no file."""
    before = sorted(folder.iterdir())
    code, out, err = run(*shlex.split(line))
    assert (code, out) == (2, "") and err.startswith("phasediag: ") and words in err and "Traceback" not in err
    assert err.count("\n") == 1 or "text.npz" in line  # with the lines that convert the file
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize(("line", "words"), ANSWERED.items(), ids=list(ANSWERED))
def test_answered(run, folder, line, words):
    """Exit code 0, the text, the files that were asked for and no others, each whole; data are written last."""
    before, arguments = set(folder.iterdir()), shlex.split(line)
    code, out, err = run(*arguments)
    files = [folder / after for option, after in pairwise(arguments) if option == "--output"]
    assert code == 0 and out.startswith(words) and set(folder.iterdir()) - before == set(files)
    assert err == "".join(f"wrote {path.name}\n" for path in sorted(files, key=lambda path: path.suffix == ".npz"))
    assert all(path.stat().st_size > 0 for path in files)
    texts = [path.read_text(encoding="utf-8") for path in files if path.suffix == ".json"]
    for facts in map(json.loads, [*texts, *[out] * (words == "{")]):
        assert facts["phasediag"] and facts["command"] == arguments[0] and facts["settings"]
        assert facts["rows" if arguments[0] == "atlas" else "model"]
