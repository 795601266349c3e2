"""Time of the exact loss and its derivatives.

    python benchmarks/expected_loss.py                     by enumeration, per model on one core, by size and order
    python benchmarks/expected_loss.py --output growth.png loss and gradient by both engines from 2 to 100 features
    python benchmarks/expected_loss.py --pytorch           loss and gradient as a fraction of one SGD step of PyTorch

Weights are random, of the size that minima have. The first table is the best of several rounds, the plot the median over
models. Against PyTorch both run alternately in one process with all threads; a step is one of the paper's notebook
protocol (see training.py) with batches of 1024 at PyTorch's best number of instances, and the figure is the ratio of the
medians of the times per model.

The accuracy of enumeration is not measured here: pytest -m campaign tests/test_moments.py compares ten thousand random
and adversarial cases with exact arithmetic.
"""

import argparse
import statistics
import time

import numpy as np

from phasediag import ToyModel, expected_loss_and_gradient
from phasediag._loss.enumeration import enumeration, workspaces
from phasediag.forms import Form

SIZES = [(2, 1), (3, 2), (4, 2), (5, 2), (6, 3), (7, 3), (8, 4), (9, 4), (10, 5), (11, 5), (12, 6)]
AGAINST = [(2, 1), (3, 2), (5, 2), (20, 5), (80, 20)]
GROWTH = [2, 3, 4, 5, 6, 8, 10, 12, 14, 20, 30, 40, 60, 80, 100]
DENSITIES = (1.0, 0.3, 0.05)
SECONDS_PER_ROUND = 0.1
ROUNDS = 5


def nanoseconds(n, m, order, density, rng):
    """Time of one evaluation with ``order`` derivatives."""
    batch, best = 1, np.inf
    while True:
        weights = rng.normal(size=(batch, m, n)) / np.sqrt(m)
        bias, form = rng.normal(size=(batch, n)) * 0.1 - 0.05, Form(m, n)
        controls = np.tile(np.repeat([1.0, density], n), (batch, 1))
        outputs = np.empty((batch, n)), np.empty((batch, m, n)), np.empty((batch, n)), np.empty((batch, form.size, form.size))
        table, _kept = workspaces(form, order)
        arguments = weights, bias, controls, order, *outputs, table
        enumeration(*arguments)
        start = time.perf_counter()
        enumeration(*arguments)
        elapsed = time.perf_counter() - start
        if elapsed > SECONDS_PER_ROUND / 2 or batch >= 2**16:
            break
        batch *= 4
    for _ in range(ROUNDS):
        start = time.perf_counter()
        enumeration(*arguments)
        best = min(best, time.perf_counter() - start)
    return best / batch * 1e9


def by_order():
    """Print the table of enumeration."""
    print(f"{'n, m':>8} {'loss':>12} {'+ gradient':>12} {'+ Hessian':>12}   ns per model, one core")
    for n, m in SIZES:
        orders = (0, 1, 2) if n <= 8 else (0, 1)
        times = [nanoseconds(n, m, order, 0.3, np.random.default_rng(0)) for order in orders]
        print(f"{f'{n}, {m}':>8} " + " ".join(f"{t:>12,.0f}" for t in times))


def random_parameters(n_models, n, m):
    """Weights and biases of the size that minima have."""
    rng = np.random.default_rng(n)
    return rng.normal(size=(n_models, m, n)) / np.sqrt(m), 0.1 * rng.normal(size=(n_models, n)) - 0.05


def contour_seconds(n, m, density, n_models=7):
    """Median over models of the best time of loss and gradient of one."""
    model, times = ToyModel(m, np.ones(n), density), []
    for weights, bias in zip(*random_parameters(n_models, n, m), strict=True):
        best = np.inf
        for _ in range(3):
            start = time.perf_counter()
            expected_loss_and_gradient(model, weights, bias, method="contour")
            best = min(best, time.perf_counter() - start)
        times.append(best)
    return statistics.median(times)


def growth(path):
    """Print and draw the cost of loss and gradient against the number of features, one core."""
    from matplotlib.figure import Figure

    axes = (figure := Figure(figsize=(6.4, 4.4), layout="constrained")).add_subplot()
    sizes = [n for n in GROWTH if n <= 14]
    lines = {"enumeration": (sizes, [nanoseconds(n, max(n // 4, 1), 1, 0.3, np.random.default_rng(n)) / 1e9 for n in sizes])}
    sizes = [n for n in GROWTH if n > 2]
    for density in DENSITIES:
        times = [contour_seconds(n, max(n // 4, 1), density) for n in sizes]
        lines[f"contour, density {density:g}"] = sizes, times
    for (name, (sizes, times)), style in zip(lines.items(), ("k-o", "C0-s", "C1-^", "C2-v"), strict=True):
        axes.loglog(sizes, times, style, label=name, markersize=4)
        print(f"{name:>22}: " + ", ".join(f"{n}: {t * 1e3:.3g} ms" for n, t in zip(sizes, times, strict=True)))
    axes.set_xlabel("number of features (hidden dimensions: a quarter)")
    axes.set_ylabel("loss and gradient of one model, one core (s)")
    axes.set_xticks(ticks := (2, 5, 10, 20, 50, 100), [str(n) for n in ticks])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=150)


def against_pytorch(rounds, seconds):
    """Print the time of loss and gradient per model in steps of PyTorch."""
    import torch
    from training import BATCH, THREADS, pytorch, start, timed

    def torch_step(model, n_instances, seconds):
        weights, bias = start(model, n_instances, 0)
        pytorch(model, weights, bias, 2)
        n_steps = max(3, int(seconds * timed(lambda: pytorch(model, weights, bias, 5), 5, time.perf_counter)))
        return 1 / timed(lambda: pytorch(model, weights, bias, n_steps), n_steps * n_instances, time.perf_counter)

    torch.set_num_threads(THREADS)
    print(f"{THREADS} threads; medians of {rounds} rounds; batches of {BATCH}")
    print(f"{'n, m':>7} {'density':>8} {'instances':>10} {'SGD step':>12} {'exact':>12} {'ratio':>7}   µs per model")
    for n, m in AGAINST:
        for density in DENSITIES:
            model = ToyModel(m, np.ones(n), density)
            counts = [k for k in (4, 16, 64, 256) if k * n <= 1300]
            best = min(counts, key=lambda k: torch_step(model, k, 0.3))
            n_models = 8 * THREADS if n > 10 else 2**18 // 4 ** min(n, 5)
            parameters = random_parameters(n_models, n, m)
            expected_loss_and_gradient(model, *parameters)
            theirs, ours = [], []
            for _ in range(rounds):
                theirs.append(torch_step(model, best, seconds))
                time.sleep(0.3)  # PyTorch's threads spin for a while before they sleep
                calls, begin = 0, time.perf_counter()
                while time.perf_counter() - begin < seconds:
                    expected_loss_and_gradient(model, *parameters)
                    calls += 1
                ours.append((time.perf_counter() - begin) / (calls * n_models))
            step, exact = statistics.median(theirs), statistics.median(ours)
            print(
                f"{f'{n}, {m}':>7} {density:>8} {best:>10} {step * 1e6:>12.4g} {exact * 1e6:>12.4g} {exact / step:>7.3g}",
                flush=True,
            )


def main():
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", help="file for the plot of the growth with the number of features")
    parser.add_argument("--pytorch", action="store_true", help="compare with PyTorch, which must be installed")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5, help="duration of one measurement")
    options = parser.parse_args()
    if options.output:
        growth(options.output)
    if options.pytorch:
        against_pytorch(options.rounds, options.seconds)
    if not (options.output or options.pytorch):
        by_order()


if __name__ == "__main__":
    main()
