"""Loss evaluations to the lowest minimum, evaluations in all and CPU seconds of minimize; another checkout beside this one.

OPENBLAS_NUM_THREADS=1 python benchmarks/least_loss.py [checkout]

One evaluation is one call for the loss of one point, with or without derivatives. "To the lowest" counts those of descents in the
order in which they are made, until the first that ends within 1e-6 of the lowest loss of any build; "–"
where none does.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median

MODELS = [(3, 2, 0.3, 1.0), (6, 3, 0.01, 1.0), (6, 3, 0.2, 0.9), (8, 3, 0.01, 1.0), (8, 3, 0.3, 0.9), (10, 2, 0.01, 1.0)]
SEEDS = 9

WORKER = """
import importlib, json, sys, time
import numpy as np
from phasediag import ToyModel, minimize
n, m, density, decay, seed = json.loads(sys.argv[1])
model, log = ToyModel(m, decay ** np.arange(n), density), []

def counted(module, name, count):
    plain = getattr(module, name)
    def call(*args, **options):
        result = plain(*args, **options)
        log.extend(count(result, *args))
        return result
    setattr(module, name, call)

try:
    search = importlib.import_module("phasediag._minimizing.search")
    search.processors = lambda: 1
    new = hasattr(search, "search")
except ModuleNotFoundError:
    new = False
ends = lambda found, *_: [(one.n_evaluations, len(one.x), one.scaled_loss) for one in found]
minimize(model, n_starts=1, seed=0)
start = time.process_time()
minimize(model, seed=seed)
seconds = time.process_time() - start
if new:
    counted(search, "settle", ends)
    counted(search, "descend_roughly", lambda found, *_: [(int(c), len(x), loss) for x, loss, c in zip(*found)])
    counted(importlib.import_module("phasediag._minimizing.conditions"), "_losses", lambda losses, *_: [(len(losses), 0, np.inf)])
    minimize(model, seed=seed)
else:
    minima = importlib.import_module("phasediag.minima")
    newton, plain, calls = minima.newton, minima.newton.evaluate, [0]
    def evaluate(*args):
        calls[0] += 1
        return plain(*args)
    newton.evaluate = evaluate
    descents = minima._descend_with_scipy
    counts = []
    def descend(*args):
        calls[0] = 0
        x = descents(*args)
        counts.append(calls[0])
        return x
    minima._descend_with_scipy = descend
    counted(minima, "settle", ends)
    minimize(model, seed=seed)
    log = [(count + more, size, loss) for count, (more, size, loss) in zip(counts, log)]
print(json.dumps([seconds, [one for one in log if np.isfinite(one[0])]]))
"""


def measure(checkout, model, seed):
    """CPU seconds, and (evaluations, size, scaled loss or infinity) of each descent, of one build."""
    environment = {**os.environ, "PYTHONPATH": str(checkout), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", WORKER, json.dumps([*model, seed])]
    done = subprocess.run(command, env=environment, cwd=checkout, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.replace("Infinity", "1e999").splitlines()[-1])


def to_lowest(log, size, lowest):
    """Evaluations until the first descent of a model of this size that ends at the lowest loss, or None."""
    total = 0
    for count, its_size, loss in log:
        total += count
        if its_size == size and loss <= lowest * (1 + 1e-6):
            return total
    return None


def main():
    """Print a line for each model and build: medians over the seeds."""
    builds = [Path(__file__).resolve().parents[1], *(Path(path).resolve() for path in sys.argv[1:])]
    print(f"{'model':<22} {'build':<14} {'to the lowest':>14} {'in all':>8} {'CPU s':>7}")
    for n, m, density, decay in MODELS:
        size = (m + 1) * n
        runs = [[measure(build, (n, m, density, decay), seed) for seed in range(SEEDS)] for build in builds]
        lowest = min(loss for build in runs for _, log in build for _, its_size, loss in log if its_size == size)
        for build, found in zip(builds, runs, strict=True):
            firsts = [to_lowest(log, size, lowest) for _, log in found]
            first = f"{median(firsts):.0f}" if None not in firsts else "–"
            total = median(sum(count for count, *_ in log) for _, log in found)
            seconds = median(seconds for seconds, _ in found)
            name = f"{n} → {m}, {density}, {decay}^i"
            print(f"{name:<22} {build.name:<14} {first:>14} {total:>8.0f} {seconds:>7.2f}", flush=True)


if __name__ == "__main__":
    main()
