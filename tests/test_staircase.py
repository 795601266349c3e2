"""Imports point down only, lazy ones included, along the list of rooms in CONTRIBUTING.md."""

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

import phasediag


def test_imports_point_down():
    """No module imports from a room above its own, nor itself by way of others; every room has its place."""
    text = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    listed = text[text.index("## The staircase") : text.index("## Rules")]
    rooms = [room for floor in re.findall(r"^ ?\d+ (\w[\w ]*)$", listed, re.MULTILINE) for room in floor.split()]
    floor = {room: k for k, room in enumerate(rooms)}
    root, imported = Path(phasediag.__file__).parent, {}
    for path in root.rglob("*.py"):
        module = path.relative_to(root).with_suffix("").parts
        package = module[:-1]
        if module == ("__init__",):
            continue
        found = imported.setdefault(module[:-1] if module[-1] == "__init__" else module, set())
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level:
                start = (*package[: len(package) + 1 - node.level], *(node.module.split(".") if node.module else ()))
                names = [(*start, alias.name) for alias in node.names]
                found |= {name if root.joinpath(*name).with_suffix(".py").exists() else start for name in names} - {()}
    assert {module[0] for module in imported} == set(floor)
    assert not [(a, b) for a, found in imported.items() for b in found if floor[b[0]] < floor[a[0]]]
    tuple(TopologicalSorter(imported).static_order())  # CycleError names a cycle


def test_private_functions_say_what_they_hold():
    """Every function of the private rooms, inner ones too, has a docstring; special methods need none."""
    for file in sorted(Path(phasediag.__file__).parent.glob("_*/*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("__"):
                assert ast.get_docstring(node), f"{file.name}:{node.lineno} {node.name}"
