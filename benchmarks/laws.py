"""Time of global diagrams under other laws of activity and values, other outputs and penalties, in units of the default's.

OPENBLAS_NUM_THREADS=1 python benchmarks/laws.py [n_features n_hidden size [law …]]

CPU seconds of the search in one thread over size² cells of importance × density (of laws without a density, over two importances;
"slope": over slope × density), the default before and after each law; how often the loss was computed; how many minima a cell
has, and what one costs in units of the default's: the ratio is that times how many times as many they are.
"""

import sys
from time import process_time

import numpy as np

from phasediag import (
    AnticorrelatedSets,
    Axis,
    ControlPlane,
    CorrelatedSets,
    ExactlyActive,
    Penalty,
    Pieces,
    ToyModel,
)
from phasediag._minimizing.landscape import Landscape

SIGNS = Pieces(atoms=[(-1, 0.5), (1, 0.5)])
SETS = {"correlated": CorrelatedSets([[0, 1]]), "anticorrelated": AnticorrelatedSets([[0, 1]]), "two": ExactlyActive(2)}
VALUES = {
    "": "uniform",
    "binary": "binary",
    "signed": "signed",
    "signs": SIGNS,
    "skew": Pieces(atoms=[(-0.7, 0.4), (1, 0.6)]),
    "mixed": Pieces(atoms=[(-1, 0.5)], intervals=[(0, 1, 0.5)]),
    "pieces": Pieces(atoms=[(1, 0.3)], intervals=[(0, 0.5, 0.7)]),
}
LAWS = {name or "default": {"values": values} for name, values in VALUES.items()}
for values in ("", "binary", "signed", "signs"):
    LAWS |= {f"{name} {values}".strip(): {"activity": law, "values": VALUES[values]} for name, law in SETS.items()}
    LAWS[f"leaky {values}".strip()] = {"activation": "leaky", "slope": 0.3, "values": VALUES[values]}
LAWS |= {"penalty": {"penalty": Penalty(0.01, 0.01)}, "slope signs": {"activation": "leaky", "slope": 0.3, "values": SIGNS}}


def plane(n, m, size, law):
    """The plane of a law, of size² cells."""
    model = ToyModel(m, np.ones(n), 0.5, **LAWS[law])
    importance, density = np.geomspace(0.1, 10, size), Axis("density", np.geomspace(0.01, 1, size))
    if law.startswith("slope"):
        return ControlPlane(model, Axis("slope", np.linspace(0, 1, size), log=False), density)
    return ControlPlane(
        model, Axis("importance", importance), Axis("importance_of_1", importance) if law.startswith("two") else density
    )


def search(n, m, size, law):
    """CPU seconds, evaluations and minima of a search."""
    landscape, start = Landscape.of(plane(n, m, size, law)), process_time()
    landscape.explore()
    return process_time() - start, landscape.evaluations, sum(map(len, landscape.cells.values()))


def main():
    """Print the table."""
    n, m, size = map(int, sys.argv[1:4] or (2, 1, 64))
    search(n, m, 3, "default")  # compiles
    before, _, own = search(n, m, size, "default")
    print(
        f"{n}→{m}, {size}² cells; the default {before:.3f} s, {own / size**2:.2f} minima a cell, {1e6 * before / own:.0f} µs each"
    )
    print(f"{'law':24} {'seconds':>8} {'ratio':>6} {'evaluations':>12} {'minima a cell':>14} {'time of one':>12}")
    for law in " ".join(sys.argv[4:]).split(",") if sys.argv[4:] else LAWS:
        search(n, m, 3, law)
        seconds, evaluations, minima = search(n, m, size, law)
        after = search(n, m, size, "default")[0]
        ratio = 2 * seconds / (before + after)
        print(
            f"{law:24} {seconds:8.3f} {ratio:6.2f} {evaluations:12d} {minima / size**2:14.2f} {ratio * own / minima:12.2f}",
            flush=True,
        )
        before = after


if __name__ == "__main__":
    main()
