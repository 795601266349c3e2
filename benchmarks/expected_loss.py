"""Time of the exact loss, gradient and Hessian per model on one core, and its growth with the number of features.

python benchmarks/expected_loss.py

Each figure is the best of several rounds over random weights of the size that minima have.
"""

import time

import numpy as np

from phasediag._enumeration import enumeration, workspaces
from phasediag._lanes import few_features, lane_space

SIZES = [(2, 1), (3, 2), (4, 2), (5, 2), (6, 3), (7, 3), (8, 4), (9, 4), (10, 5), (11, 5), (12, 6)]
SECONDS_PER_ROUND = 0.1
ROUNDS = 5


def nanoseconds(n, m, order, density, rng):
    """Time of one evaluation with ``order`` derivatives."""
    batch, best = 1, np.inf
    while True:
        weights = rng.normal(size=(batch, m, n)) / np.sqrt(m)
        bias, ones = rng.normal(size=(batch, n)) * 0.1 - 0.05, np.ones((batch, n))
        size = m * n + n
        outputs = np.empty((batch, n)), np.empty((batch, m, n)), np.empty((batch, n)), np.empty((batch, size, size))
        arguments = weights, bias, ones, density * ones, True, order, *outputs, *workspaces(m, n, order)
        kernel = enumeration
        if n <= 3 and order < 2:
            kernel, arguments = few_features, (weights, bias, ones, density * ones, order, *outputs[:3], *lane_space(m, n))
        kernel(*arguments)
        start = time.perf_counter()
        kernel(*arguments)
        elapsed = time.perf_counter() - start
        if elapsed > SECONDS_PER_ROUND / 2 or batch >= 2**16:
            break
        batch *= 4
    for _ in range(ROUNDS):
        start = time.perf_counter()
        kernel(*arguments)
        best = min(best, time.perf_counter() - start)
    return best / batch * 1e9


def main():
    """Print the table."""
    print(f"{'n, m':>8} {'loss':>12} {'+ gradient':>12} {'+ Hessian':>12}   ns per model, one core")
    for n, m in SIZES:
        orders = (0, 1, 2) if n <= 8 else (0, 1)
        times = [nanoseconds(n, m, order, 0.3, np.random.default_rng(0)) for order in orders]
        print(f"{f'{n}, {m}':>8} " + " ".join(f"{t:>12,.0f}" for t in times))


if __name__ == "__main__":
    main()
