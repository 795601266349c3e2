"""Every example runs, prints something and asserts what it prints; every benchmark runs."""

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted(ROOT.glob("examples/*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_holds_its_claim(path, tmp_path, monkeypatch, capsys):
    """The script ends without an error and its own assertions hold; it is short and says its claim first."""
    source = path.read_text(encoding="utf-8")
    if re.search(r"^import torch$", source, re.MULTILINE):
        pytest.importorskip("torch", reason="trains with PyTorch, which only the extra benchmark installs")
    monkeypatch.chdir(tmp_path)  # some leave files
    assert source.startswith('"""') and "assert " in source and len(source.splitlines()) < 60
    runpy.run_path(str(path), run_name="__main__")
    assert capsys.readouterr().out


def test_there_are_examples():
    """The folder was found."""
    assert len(EXAMPLES) >= 6


def test_readme_programs_run_as_written(tmp_path, monkeypatch, capsys):
    """The README's Python blocks draw figures, write curves, print the triple point, the known equation and an exact loss."""
    monkeypatch.chdir(tmp_path)
    programs = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    for program in programs:
        exec(compile(program, "README.md", "exec"), {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["3to2.csv", "3to2.svg", "frozen.png", "report.png"]
    out = capsys.readouterr().out
    assert "0.5714285714" in out and "4*importance/(5*importance + 2)" in out
    assert re.search(r"loss = \d+\.\d{12} ± \de-1[1-9]\n", out) and r"\ell_{1}" in out


def test_readme_shows_figures_that_are_there():
    """The pictures that the README links are in the repository, and small."""
    names = re.findall(r"!\[.*?\]\((.*?)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(names) == 8
    for name in names:
        assert 10_000 < (ROOT / name).stat().st_size < 250_000


def test_frozen_benchmark_compares_equals():
    """The loop that the benchmark times gives the phases and losses of the package."""
    import numpy as np

    from phasediag import phase_diagram

    loop = runpy.run_path(str(ROOT / "benchmarks" / "frozen_diagram.py"))["loop"]
    importance, density = np.geomspace(0.1, 10, 12), np.geomspace(0.01, 1, 9)
    phases, losses = loop(importance, density)
    diagram = phase_diagram(3, 2, importance=importance, density=density, theory="frozen")
    assert np.array_equal(phases, diagram.phase) and np.allclose(losses, diagram.loss, rtol=1e-14, atol=0)
