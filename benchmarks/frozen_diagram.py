"""Time the frozen 3→2 diagram against the public notebook's way: a Python loop over the grid with hand-derived losses.

Run ``python benchmarks/frozen_diagram.py``; both ways run in this process, in turn, on the same grid.
"""

from statistics import median
from time import perf_counter

import numpy as np

from phasediag import phase_diagram

ROUNDS = 7
NAMES = (
    "extra not represented + 2 dedicated",
    "extra dedicated + dedicated + not represented",
    "extra in antipodal pair + dedicated",
    "extra dedicated + antipodal pair",
)


def loop(importance, density):
    """The loss of each of the paper's four patterns, cell by cell, and the name of the least."""
    phases = np.empty((len(density), len(importance)), dtype=object)
    losses = np.empty(phases.shape)
    for row, p in enumerate(density):
        for column, extra in enumerate(importance):
            variance = p / 3 - p**2 / 4
            candidates = [extra * variance, variance, (1 + extra) * p**2 / 6, p**2 / 3]
            best = int(np.argmin(candidates))
            phases[row, column], losses[row, column] = NAMES[best], candidates[best]
    return phases, losses


def main():
    """Compare the two on 100 × 100 cells, then time a million cells."""
    importance, density = np.geomspace(0.1, 10, 100), np.geomspace(0.01, 1, 100)
    phase_diagram(3, 2, theory="frozen")  # derives and compiles the closed forms, once per process
    seconds = {"loop": [], "phasediag": []}
    for _ in range(ROUNDS):
        start = perf_counter()
        phases, losses = loop(importance, density)
        middle = perf_counter()
        diagram = phase_diagram(3, 2, importance=importance, density=density, theory="frozen")
        end = perf_counter()
        seconds["loop"].append(middle - start)
        seconds["phasediag"].append(end - middle)
    assert np.allclose(diagram.loss, losses, rtol=1e-13) and np.array_equal(diagram.phase, phases)
    slow, fast = median(seconds["loop"]), median(seconds["phasediag"])
    print(f"100 × 100: loop {slow:.4f} s, phasediag {fast:.4f} s, ratio {slow / fast:.1f}")

    importance, density = np.geomspace(0.1, 10, 1000), np.geomspace(0.01, 1, 1000)
    start = perf_counter()
    phase_diagram(3, 2, importance=importance, density=density, theory="frozen")
    print(f"1000 × 1000: phasediag {perf_counter() - start:.3f} s")


if __name__ == "__main__":
    main()
