"""In notebooks: the tutorials run as they stand, results are shown, and work says how far it has come."""

import subprocess
import sys
from ast import literal_eval
from pathlib import Path

import nbformat
import pytest

TUTORIALS = sorted((Path(__file__).parents[1] / "docs" / "tutorials").glob("*.ipynb"))


def executed(path, folder):
    """A notebook as a kernel leaves it that runs in a folder, in a process of its own."""
    done = folder / f"executed-{path.name}"
    launch = "from nbclient.cli import main; main()"
    options = [str(path), f"--output={done}", "--timeout=600"]
    ran = subprocess.run([sys.executable, "-c", launch, *options], cwd=folder, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return nbformat.read(done, as_version=4)


def outputs(notebook, kind):
    """What the cells show of a kind, such as text/html."""
    data = [one["data"] for cell in notebook.cells if cell.cell_type == "code" for one in cell.outputs if "data" in one]
    return [one[kind] for one in data if kind in one]


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_tutorials_run_as_they_stand(path, tmp_path):
    """Each cell runs, its claims hold, pictures and tables are shown; no warning, and no bar stays; the file has no outputs."""
    plain = nbformat.read(path, as_version=4)
    assert not any(cell.get("outputs") for cell in plain.cells) and "assert" in path.read_text(encoding="utf-8")
    copy = tmp_path / path.name
    copy.write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    notebook = executed(copy, tmp_path)
    html = outputs(notebook, "text/html")
    assert sum("<img" in one for one in html) >= 2 and sum("dataframe" in one for one in html) >= 2
    assert not any("<progress" in one for one in html)
    errors = [one["text"] for cell in notebook.cells for one in cell.get("outputs", ()) if one.get("name") == "stderr"]
    assert errors == []


def test_there_are_tutorials():
    """The folder was found; the explorer is shown in one."""
    assert [path.stem for path in TUTORIALS] == ["judge_weights", "your_first_diagram"]
    assert "explore(" in TUTORIALS[1].read_text(encoding="utf-8")


def test_bars(tmp_path):
    """Work in a cell shows a bar beneath it, which grows, and leaves nothing but what the cell shows."""
    code = """
from time import sleep
from phasediag import _progress
_progress.SILENCE = _progress.EVERY = 0.05
import IPython.display
seen, show = [], IPython.display.DisplayHandle.update
IPython.display.DisplayHandle.update = lambda self, data, **options: (seen.append(data), show(self, data, **options))[1]
with _progress.progress_bar(4, True, "cell", "minima") as advance:
    for k in range(4):
        sleep(0.2)
        advance(1)
seen"""
    cell = nbformat.v4.new_code_cell(code)
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "bars.ipynb")
    notebook = executed(tmp_path / "bars.ipynb", tmp_path)
    (shown,) = [one for one in notebook.cells[0].outputs if one.output_type == "display_data"]
    assert shown["data"]["text/plain"] == ""
    (result,) = [one for one in notebook.cells[0].outputs if one.output_type == "execute_result"]
    seen = literal_eval(result["data"]["text/plain"])
    assert seen[-1] == {"text/plain": "", "text/html": ""}
    shares = [float(one["text/html"].split('value="')[1].split('"')[0]) for one in seen[:-1]]
    assert shares == sorted(shares) and shares[-1] >= 0.75 and "minima [" in seen[0]["text/plain"]
