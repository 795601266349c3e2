"""What the documentation states is executed: programs as written, command lines at small sizes, every option of every command."""

import re
import runpy
import shlex
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from test_command_lines import ANSWERED
from test_weight_files import by_safetensors

import phasediag
from phasediag import ExactlyActive, ToyModel, certify, expected_loss, figures, trained_phase_diagram
from phasediag.cli import commands

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in PAGES}

SMALL = {
    "diagram": "--importance 0.5,2 --density 0.5 --no-curves",
    "diagram --checkpoint": "--n-features 3 --importance 0.5,2 --density 0.5 --no-curves",
    "diagram --x": "--no-curves",
    "diagram --theory trained": "--importance 0.5,2 --density 0.5 --n-seeds 2 --n-steps 5",
    "diagram --theory frozen": "--n-features 4",
    "boundary": "--importance 0.5 --density 0.45,0.52",
    "boundary --theory frozen": "--n-features 3",
    "explore": "--importance 0.5,2 --density 0.5 --theories frozen --no-curves",
    "explore --x": "--no-curves",
    "explore --task": "--importance 0.5,2 --density 0.5 --no-curves",
    "explore --z": "--importance 0.5,2 --density 0.5 --no-curves",
    "minimize --n-features": "--n-features 4 --n-hidden 2 --n-starts 4",
    "train": "--n-models 2 --n-steps 5",
    "inspect": "--n-starts 4",
    "validate": "--importance 0.5,2 --density 0.5 --n-seeds 2 --n-steps 20 --no-curves --n-samples 200",
    "validate --x": "--n-seeds 2 --n-steps 20 --no-curves --n-samples 200",
}
"""What is added to a documented command line: of an option that is given twice the last counts. The longest key decides."""

AXES, LAW = "--x importance:0.5 --y density:0.45,0.52", "--activity correlated:1,2 --penalty weights:0.01 --slope 0.1 --biased"
SEARCH = "--n-starts 4 --seed 1 --n-threads 1"
TRAINING = "--batch-size 32 --learning-rate 0.01 --optimizer adam --schedule cosine --weight-decay 0.001 --device cpu --n-steps 5"
OPTIONS = [
    f"diagram {LAW} --values binary --importance 0.5 --density 0.45,0.52 {SEARCH} --checkpoint c.npz --no-curves",
    "diagram --importance 0.5 --density 0.45,0.52 --curves --spinodals",
    "diagram --importance 0.5 --density 0.45,0.52 --no-spinodals --no-biased",
    "boundary --importance 0.5 --density 0.45,0.52 --no-biased",
    "explore --importance 0.5 --density 0.45 --no-curves --no-biased",
    "train --n-models 2 --n-steps 5 --no-biased",
    f"inspect pair.npz --density 0.1 {LAW} --values binary --n-starts 4",
    "inspect W.npy --density 0.1 --no-biased --n-starts 4",
    f"diagram --theory trained --importance 0.5 --density 0.5 {TRAINING} --n-seeds 2 --independent --reduction best",
    f"boundary --activation relu {AXES} {LAW} --values uniform {SEARCH} --checkpoint c.npz",
    "boundary --task identity --importance 0.2,0.9 --density 0.5",
    "boundary --task identity --importance 0.5,0.6 --density 0.5",
    f"explore --activation relu {AXES} {LAW} --values signed {SEARCH} --checkpoint c.npz --curves --json",
    "minimize --barriers",
    f"minimize {LAW} --values binary --n-starts 4",
    "atlas --json",
    "certify --n-features 2 --n-hidden 1 --density 1 --importance 0.1 --tolerance 0.1 --max-boxes 9999 --json",
    f"train --activation relu {LAW} --values signed {TRAINING} --seed 1 --n-threads 1 --n-models 2",
    "inspect pair.npz --density 0.1 --activation relu --depth --tolerance 0.1 --seed 1 --n-starts 4",
    "inspect untied.npz --density 0.1 --decoder-name Z --n-starts 4",
    "inspect untied.npz --density 0.1 --tied --n-starts 4",
    f"validate --activation relu {AXES} {LAW} {TRAINING} --n-threads 1 --n-seeds 2 --independent --n-samples 200 --curves",
    "validate --importance 0.5 --density 0.5 --n-seeds 2 --n-steps 20 --no-curves --n-samples 200 --seed 1 --no-biased",
]
"""Lines with the options that no documented line and none of `ANSWERED` has."""

ELSEWHERE = {("diagram", "--scheduler"): "test_cluster.py"}
ELSEWHERE |= {("paper", f"--{name}"): "test_cli.py" for name in ("quick", "keep-models", "seed", "n-threads", "json", "output")}
"""Options that another test executes; figures of `paper` take seconds at any size."""


@pytest.mark.quick
def test_docstrings_cite_equations_that_are_there():
    """Every equation that a docstring cites is one of the mathematics page, each of which has a name of its own."""
    labels = re.findall(r"^\$\$ \(([\w-]+)\)$", TEXTS["mathematics.md"], re.MULTILINE)
    sources = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "phasediag").rglob("*.py"))]
    cited = {label for source in sources for label in re.findall(r":eq:`([^`]+)`", source)}
    assert len(labels) == len({*labels}) and len(cited) > 15 and cited <= {*labels}


def documented():
    """The command lines of all pages and of the examples below each command's help, without their first word."""
    found = [line for text in TEXTS.values() for line in re.findall(r"`phasediag ([^`]+ [^`]+)`", text)]
    found += [line for text in TEXTS.values() for line in re.findall(r"^(?:\.venv/bin/)?phasediag (.*)$", text, re.MULTILINE)]
    for command in (commands, *commands.commands.values()):
        found += re.findall(r"^ *phasediag (.*?)(?:  \(.*\))?$", command.epilog or "", re.MULTILINE)
    return sorted({" ".join(line.split()) for line in found})


def small(line):
    """A documented line with what makes it small, two values on each axis."""
    kinds = [kind for kind in SMALL if all(f" {part} " in f" {line} " for part in re.findall(r"--\S+(?: [a-z]\S*)?|^\S+", kind))]
    line = re.sub(r"(:[\d.e-]+:[\d.e-]+):\d+", r"\1:2", line)
    return f"{line} {SMALL[max(kinds, key=len)]}" if kinds else line


def options(line):
    """The options of a line that runs a command: {(command, option)}."""
    name, *rest = shlex.split(line) or [""]
    return {(name, word.split("=")[0]) for word in rest if word.startswith("--")}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with the files that documented lines name."""
    folder = tmp_path_factory.mktemp("files")
    pair, bias = np.array([[1.0, -0.9]]), np.array([0.0, 0.01])
    for name in ("weights.npz", "pair.npz", "mine.npz"):
        np.savez(folder / name, W=pair, b=bias)
    np.savez(folder / "untied.npz", W=pair, Z=[[1.0], [-0.8]], b=bias)
    np.savez(folder / "runs.npz", W=np.repeat(pair.T[..., None], 4, axis=2), b=np.repeat(bias[:, None], 4, axis=1))
    np.save(folder / "W.npy", pair)
    np.save(folder / "b.npy", bias)
    (folder / "model.pt").write_bytes((folder / "pair.npz").read_bytes())
    by_safetensors(**{"encoder.W": pair, "decoder.b": bias})(folder / "model.safetensors")
    trained_phase_diagram(importance=[0.5, 2.0], density=[0.5, 0.6], n_seeds=2, n_steps=5).save(folder / "trained.npz")
    certify(ToyModel(1, [1.0, 0.1], 1.0), tolerance=0.1).save(folder / "proof.npz")
    return folder


@pytest.mark.parametrize("line", sorted({small(line) for line in documented() if line[:5] != "paper"} | {*OPTIONS}))
def test_command_line(run, files, tmp_path, monkeypatch, line):
    """A documented line is answered, at a small size, and writes the files that it names."""
    folder = shutil.copytree(files, tmp_path / "here")
    monkeypatch.chdir(folder)
    arguments = shlex.split(line)
    code, out, err = run(*arguments)
    few_steps = arguments[0] in ("validate", "train") or "trained" in arguments
    assert out and code in ((0, 1) if few_steps else (0,)), err  # 1: they have not converged
    assert all((folder / after).exists() for option, after in pairwise(arguments) if option == "--output")


def test_every_option_of_every_command_is_executed():
    """By a documented line, by `ANSWERED`, by `OPTIONS`, or by the test named in `ELSEWHERE`."""
    executed = set().union(*map(options, [*map(small, documented()), *OPTIONS, *ANSWERED])) - set(ELSEWHERE)
    offered = {
        (name, option)
        for name, command in commands.commands.items()
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
        if option.startswith("--")
    }
    assert offered - executed == set(ELSEWHERE)
    for (_, option), name in ELSEWHERE.items():
        assert f'"{option}"' in (ROOT / "tests" / name).read_text(encoding="utf-8")


PROGRAMS = {name: re.findall(r"```python\n(.*?)```", text, re.DOTALL) for name, text in TEXTS.items()}


@pytest.mark.parametrize("page", [name for name, programs in PROGRAMS.items() if programs])
def test_programs_of_a_page_run_as_written(page, tmp_path, monkeypatch, capsys):
    """One after the other; what comments say that they print, they print."""
    monkeypatch.chdir(tmp_path)
    names = {}
    for program in PROGRAMS[page]:
        exec(compile(program, page, "exec"), names)
    out = capsys.readouterr().out
    if page == "tour.md":
        assert sorted(path.name for path in tmp_path.iterdir()) == ["3to2.csv", "3to2.svg", "frozen.png", "report.png"]
        assert "0.5714285714" in out and "4*importance/(5*importance + 2)" in out
        assert re.search(r"loss = \d+\.\d{12} ± \de-1[1-9]\n", out) and r"\ell_{1}" in out
    if page in ("README.md", "reading.md"):
        assert "0.48458793" in out and "first" in out and "0.505313" in out


def test_formulas_of_the_mathematics():
    """One active feature with biases of at most 0, and the linear model with its best bias: as the page states them."""
    rng = np.random.default_rng(0)
    weights, bias, importance = 0.7 * rng.normal(size=(2, 4)), -rng.uniform(0, 0.05, 4), np.array([1.0, 0.7, 0.5, 0.3])
    gram = weights.T @ weights
    assert np.all(bias > -np.diag(gram)) and np.any(gram < 0)
    own = bias**3 / np.diag(gram) ** 2 + bias**3 / np.diag(gram) + (1 - np.diag(gram)) ** 2
    own += -3 * (1 - np.diag(gram)) * bias + 3 * bias**2
    other = np.where((gram > 0) & (bias[:, None] >= -gram), (gram + bias[:, None]) ** 3 / gram, 0.0)
    expected = importance @ (own + (other - np.diag(np.diag(other))).sum(axis=1)) / 3
    one_active = ToyModel(2, importance, 1.0, activity=ExactlyActive(1))
    assert expected_loss(one_active, weights, bias) == pytest.approx(expected / 4, rel=1e-13)
    p, off = 0.3, gram - np.diag(np.diag(gram))
    expected = (p / 3 - p**2 / 4) * importance @ ((1 - np.diag(gram)) ** 2 + (off**2).sum(axis=1))
    linear = ToyModel(2, importance, p, activation="linear")
    assert expected_loss(linear, weights, p / 2 * (1 - gram.sum(axis=1))) == pytest.approx(expected, rel=1e-13)


def test_functions_and_attributes_that_pages_name_are_there():
    """`name(…)` is a public function or a figure's, `Class.name` an attribute."""
    known = {name: getattr(phasediag, name) for name in phasediag.__all__} | vars(figures)
    for text in TEXTS.values():
        for root, attribute, call in re.findall(
            r"`([A-Za-z]\w*)(?:\.(\w+))?(\(?)[^`]*`", re.sub(r"```.*?```", "", text, flags=re.DOTALL)
        ):
            if attribute and root[0].isupper():
                assert hasattr(known[root], attribute) or attribute in known[root].__dataclass_fields__, (root, attribute)
            elif call and not attribute:
                assert root in known or root == "save_file", root


def test_pages_show_pictures_that_are_there():
    """They are in the repository, and small."""
    for page, text in TEXTS.items():
        for name in re.findall(r"!\[.*?\]\((.*?)\)", text):
            assert 10_000 < ((ROOT if page == "README.md" else DOCS) / name).stat().st_size < 250_000


def test_the_site_has_every_name_command_and_example(tmp_path):
    """The pages that are made list each public name once, each command with its options, each example with its program."""
    pages = runpy.run_path(str(DOCS / "pages.py"))
    assert sorted(name for names in pages["stages"]().values() for name in names) == sorted(phasediag.__all__)
    pages["write"](tmp_path)
    texts = {str(path.relative_to(tmp_path / "generated")): path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.rst")}
    assert all(f"   {name}\n" in texts["api.rst"] for name in phasediag.__all__)
    assert all(f"Usage: phasediag {name} " in texts["commands.rst"] for name in commands.commands)
    lists = {"api.rst", "commands.rst", "examples.rst"}
    assert {f"examples/{path.stem}.rst" for path in ROOT.glob("examples/*.py")} | lists == set(texts)


def test_links_between_pages_lead_somewhere():
    """Those of the README; Sphinx checks the others."""
    links = re.findall(r"\]\((?!http)([^)#]+)\)", TEXTS["README.md"])
    assert len(links) > 10 and all((ROOT / link).exists() for link in links)
