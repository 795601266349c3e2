"""Time of global diagrams, kernel evaluations per cell, growth with grid and features, and a multistart in every cell.

OPENBLAS_NUM_THREADS=1 python benchmarks/global_diagram.py [quick]

The peer solves every cell by itself: scipy's BFGS on the same exact loss and gradient from the same number of starts. Both
alternate on one small grid in one process; the figure is the ratio of medians.
"""

import sys
from statistics import median
from time import perf_counter

import numpy as np
from scipy.optimize import minimize as scipy_minimize

from phasediag import ControlPlane, ToyModel, expected_loss_and_gradient
from phasediag._minimizing.landscape import Landscape
from phasediag._minimizing.starts import starting_points

SHAPES = [
    (2, 1, 32),
    (2, 1, 64),
    (2, 1, 128),
    (3, 2, 32),
    (3, 2, 64),
    (3, 2, 128),
    (4, 2, 24),
    (4, 3, 24),
    (5, 2, 24),
    (5, 2, 48),
]
PEER_SIZE = 9
ROUNDS = 3


def axes(size):
    """The paper's axes with ``size`` steps."""
    return np.geomspace(0.1, 10, size), np.geomspace(0.01, 1, size)


def explore(n, m, size):
    """Search a grid; return the landscape and the seconds."""
    importance, density = axes(size)
    plane = ControlPlane.importance_density(n, m, importance=importance, density=density)
    landscape, start = Landscape.of(plane), perf_counter()
    landscape.explore()
    return landscape, perf_counter() - start


def multistart(n, m, size, n_starts=24):
    """The lowest loss of each cell by itself; return losses and seconds."""
    importance, density = axes(size)
    losses, start = np.empty((size, size)), perf_counter()
    for i, j in np.ndindex(size, size):
        model = ToyModel(m, [*[1.0] * (n - 1), importance[j]], density[i])
        scale = model.importance.sum() * density[i] / 3

        def scaled(x, model=model, scale=scale):
            loss, by_weights, by_bias = expected_loss_and_gradient(model, x[: m * n].reshape(m, n), x[m * n :])
            return loss / scale, np.concatenate([by_weights.ravel(), by_bias]) / scale

        starts = starting_points(model, n_starts, np.random.default_rng([0, i, j]))
        ends = [scipy_minimize(scaled, x, jac=True, method="BFGS", options={"gtol": 1e-9}) for x in starts]
        losses[i, j] = min(end.fun for end in ends)
    return losses, perf_counter() - start


def main():
    """Print the tables."""
    quick = "quick" in sys.argv[1:]
    print(f"{'n, m':>6} {'grid':>6} {'seconds':>9} {'evaluations / cell':>19} {'minima / cell':>14}")
    for n, m, size in SHAPES:
        if quick and size > 32:
            continue
        explore(n, m, 3)  # compiles
        landscape, seconds = explore(n, m, size)
        per_cell = landscape.evaluations / size**2
        minima = sum(map(len, landscape.cells.values())) / size**2
        print(f"{f'{n}, {m}':>6} {f'{size}²':>6} {seconds:>9.2f} {per_cell:>19.1f} {minima:>14.2f}", flush=True)
    for n, m in ((2, 1), (3, 2)):
        seconds = {"peer": [], "phasediag": []}
        for _ in range(1 if quick else ROUNDS):
            losses, slow = multistart(n, m, PEER_SIZE)
            landscape, fast = explore(n, m, PEER_SIZE)
            seconds["peer"].append(slow)
            seconds["phasediag"].append(fast)
        own = np.array([[landscape.cells[i, j][0].scaled_loss for j in range(PEER_SIZE)] for i in range(PEER_SIZE)])
        assert np.all(own <= losses * (1 + 1e-9))
        slow, fast = median(seconds["peer"]), median(seconds["phasediag"])
        print(f"{n}, {m}, {PEER_SIZE}²: multistart in every cell {slow:.2f} s, phasediag {fast:.2f} s, ratio {slow / fast:.1f}")


if __name__ == "__main__":
    main()
