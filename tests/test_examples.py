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


def test_frozen_benchmark_compares_equals():
    """The loop that the benchmark times gives the phases and losses of the package."""
    import numpy as np

    from phasediag import phase_diagram

    loop = runpy.run_path(str(ROOT / "benchmarks" / "frozen_diagram.py"))["loop"]
    importance, density = np.geomspace(0.1, 10, 12), np.geomspace(0.01, 1, 9)
    phases, losses = loop(importance, density)
    diagram = phase_diagram(3, 2, importance=importance, density=density, theory="frozen")
    assert np.array_equal(phases, diagram.phase) and np.allclose(losses, diagram.loss, rtol=1e-14, atol=0)
