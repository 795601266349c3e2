"""The package as a whole: its names, and what importing it costs."""

import ast
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import phasediag
from phasediag import figures

HEAVY = ("sympy", "matplotlib", "numba", "scipy", "xarray", "bokeh", "pandas", "IPython")


def _loaded_after(statement):
    """Which heavy libraries a fresh interpreter has loaded after a statement."""
    probe = f"import sys\n{statement}\nprint(*sorted({set(HEAVY)!r} & set(sys.modules)), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    return done.stderr.split()


@pytest.mark.quick
@pytest.mark.parametrize("name", phasediag.__all__)
def test_every_public_name_is_there_and_documented(name):
    """Each name of __all__ can be imported, is listed by dir() and explains itself, with an example that the tests execute."""
    assert ">>> " in getattr(phasediag, name).__doc__
    assert name in dir(phasediag)


@pytest.mark.parametrize("name", figures.__all__)
def test_every_drawing_has_an_example(name):
    """Each drawing of `phasediag.figures` explains itself, with an example that the tests execute."""
    assert f"{name}(" in getattr(figures, name).__doc__.partition(">>> ")[2]


def test_no_public_name_is_a_submodule():
    """A loaded submodule would replace a public function of the same name."""
    modules = {module.name for module in pkgutil.iter_modules(phasediag.__path__)}
    assert modules and not modules & set(phasediag.__all__)
    for module in pkgutil.walk_packages(phasediag.__path__, "phasediag."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    assert all(callable(getattr(phasediag, name)) for name in phasediag.__all__)


def test_the_tour_shows_every_name_to_readers_and_type_checkers():
    """``help(phasediag)`` lists the public names with a line each, and a type checker finds them where they are loaded from."""
    listed = re.findall(r"^    (\w+) {2,}\S", phasediag.__doc__, re.MULTILINE)
    assert sorted(listed) == sorted(phasediag.__all__)
    stub = ast.parse(Path(phasediag.__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    lines = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    names = {name.asname: f".{node.module}" for node in lines for name in node.names if node.level == 1}
    assert names == phasediag._HOME and len(names) == len(lines)
    assert all(name.name == name.asname for node in lines for name in node.names)


@pytest.mark.quick
def test_names_stay_in_their_modules():
    """A public name is the very object of the module it lives in."""
    from phasediag import candidates, diagram

    assert phasediag.phase_diagram is diagram.phase_diagram
    assert phasediag.configurations is candidates.configurations


@pytest.mark.quick
def test_unknown_names_are_refused():
    """A misspelt name is an AttributeError that tells it, as in any module."""
    with pytest.raises(AttributeError, match="module 'phasediag' has no attribute 'phase_diagramm'"):
        _ = phasediag.phase_diagramm


def test_import_loads_no_heavy_library():
    """``import phasediag`` and the model alone cost no more than numpy."""
    assert _loaded_after("import phasediag") == []
    assert _loaded_after("from phasediag import ToyModel") == []


def test_help_loads_no_heavy_library():
    """``phasediag --help`` and each command's help answer without sympy, matplotlib, numba, scipy or xarray."""
    for arguments in (
        ["--help"],
        ["paper", "--help"],
        ["diagram", "-h"],
        ["boundary", "-h"],
        ["explore", "-h"],
        ["train", "-h"],
        ["inspect", "-h"],
        ["--version"],
    ):
        run = f"from phasediag.cli import main\ntry: main({arguments!r})\nexcept SystemExit as end: assert not end.code"
        assert _loaded_after(run) == []


def test_figures_do_not_touch_the_users_matplotlib():
    """Drawing neither loads pyplot nor picks a backend."""
    run = "import phasediag.figures\nassert 'matplotlib.pyplot' not in sys.modules"
    assert "matplotlib" in _loaded_after(run)


def test_every_room_has_a_quick_test():
    """``pytest -m quick`` enters each private room: some test is marked with its name."""
    rooms = {module.name for module in pkgutil.iter_modules(phasediag.__path__) if module.ispkg}
    texts = [path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py")]
    assert rooms == {name for text in texts for name in re.findall(r'mark\.quick\("(\w+)"\)', text)}


def _functions(one):
    """What a public name lets a user call: the function itself, or the public methods and properties of a class."""
    if inspect.isfunction(one):
        return [one]
    found = []
    for value in [value for name, value in vars(one).items() if not name.startswith("_")]:
        inner = [getattr(value, name) for name in ("fget", "func", "__func__") if hasattr(value, name)]
        found += [function for function in (inner or [value]) if inspect.isfunction(function)]
    return found


@pytest.mark.quick
@pytest.mark.parametrize("name", phasediag.__all__)
def test_every_public_name_has_hints(name):
    """Each argument and what is returned, of functions, methods and properties."""
    for function in _functions(getattr(phasediag, name)):
        signature = inspect.signature(function)
        parameters = [one for one in signature.parameters.values() if one.name not in ("self", "cls")]
        missing = [one.name for one in parameters if one.annotation is inspect.Parameter.empty]
        assert not missing and signature.return_annotation is not inspect.Signature.empty, (function.__qualname__, missing)
