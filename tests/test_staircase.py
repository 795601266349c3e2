"""Imports point down only, lazy ones included."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import phasediag

# From the top down; a room may use those that come after it.
FLOORS = """
__main__ cli _commands
figures _drawing
validation _validation_report agreement attribution sampled_losses
trained_diagram diagram _boundaries theories boundaries
inspection sweep trained_models training _training
minima _minimizing
frozen_equations candidates closed_forms symbolic
terms loss biases linear_theory _loss
sphere phases order_parameters model colours
_compiling _weight_files _array_files _progress _arguments
"""


def test_imports_point_down():
    """No module imports from a room above its own, nor itself by way of others; every room has its place."""
    floor = {room: k for k, room in enumerate(FLOORS.split())}
    root, imported = Path(phasediag.__file__).parent, {}
    for path in root.rglob("*.py"):
        module = path.relative_to(root).with_suffix("").parts
        package = module[:-1]
        if module == ("__init__",):
            continue
        found = imported.setdefault(module[:-1] if module[-1] == "__init__" else module, set())
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level:
                start = (*package[: len(package) + 1 - node.level], *(node.module.split(".") if node.module else ()))
                names = [(*start, alias.name) for alias in node.names]
                found |= {name if root.joinpath(*name).with_suffix(".py").exists() else start for name in names} - {()}
    assert {module[0] for module in imported} == set(floor)
    assert not [(a, b) for a, found in imported.items() for b in found if floor[b[0]] < floor[a[0]]]
    tuple(TopologicalSorter(imported).static_order())  # CycleError names a cycle
