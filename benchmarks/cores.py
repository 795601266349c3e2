"""What a machine with many cores gains: the serial share of diagrams, training and reports, and the speed that follows.

    python benchmarks/cores.py                         sizes that end within minutes
    python benchmarks/cores.py --full                  those of the paper
    python benchmarks/cores.py --against FOLDER        and another checkout, in turns, with ratios
    python benchmarks/cores.py --only "3→2"            works whose names hold these words

Processor seconds, which other work on the machine hardly changes: of the whole process and those that it starts, and of what
threads of a pool spend in kernels without the interpreter's lock, and these processes. The rest is serial, wherever it runs. By
Amdahl's law 16 cores take serial + parallel / 16 seconds: "16 cores" is one core's time over that; of curves at most, for some
begin where others end. On a machine with more than two cores that number is measured as well, in seconds by the clock.
Evaluations are calls of the kernel for each cell of a diagram.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CORES = 16
PAPER = {"importance": (0.1, 10.0), "density": (0.01, 1.0)}


def works(full):
    """What is measured: by name a function of the package, its options, and columns and rows (whole rows train together)."""
    steps = {"n_steps": 10_000}
    return {
        "trained 2→1": ("trained_phase_diagram", {"n_features": 2, "n_hidden": 1} | steps, (100, 100 if full else 6)),
        "trained 3→2": ("trained_phase_diagram", {"n_features": 3, "n_hidden": 2} | steps, (100, 100 if full else 4)),
        "diagram 2→1": ("phase_diagram", {"n_features": 2, "n_hidden": 1}, (128, 128)),
        "diagram 3→2": ("phase_diagram", {"n_features": 3, "n_hidden": 2}, (64, 64)),
        "diagram 5→2": ("phase_diagram", {"n_features": 5, "n_hidden": 2}, (48, 48) if full else (12, 12)),
        "validate 2→1": ("validate", {"n_features": 2, "n_hidden": 1} | steps, (32, 32) if full else (32, 8)),
        "validate 2→1, cells": (
            "validate",
            {"n_features": 2, "n_hidden": 1, "curves": False} | steps,
            (32, 32) if full else (32, 8),
        ),
        "paper": ("paper", {} if full else {"quick": True}, None),
    }


def call(function, options, size):
    """Run one of the works on a grid of size (columns, rows)."""
    import numpy as np

    import phasediag

    if function == "paper":
        from click.testing import CliRunner

        from phasediag.cli import commands as command

        with tempfile.TemporaryDirectory() as folder:
            result = CliRunner().invoke(command, ["paper", "--output", folder, *(["--quick"] if options.get("quick") else [])])
        if result.exit_code not in (0, 1):
            raise result.exception
        return
    axes = {name: np.geomspace(*ends, count) for (name, ends), count in zip(PAPER.items(), size, strict=True)}
    getattr(phasediag, function)(**axes, **options)


def measure(name, function, options, size):
    """Run one of the works once, after a small one that compiles; return its numbers."""
    import phasediag._minimizing.landscape as landscape

    small = {"n_steps": 50, "n_seeds": 2} if "n_steps" in options else {}
    if function == "paper":
        for n in (2, 3):
            call("validate", {"n_features": n, "n_hidden": n - 1, "n_steps": 50, "n_seeds": 2}, (5, 5))
    else:
        call(function, options | small, (5, 5))
    searched, explore = [], landscape.Landscape.explore

    def counted(self, **search):
        searched.append(self)
        return explore(self, **search)

    landscape.Landscape.explore = counted
    parallel = watch()
    cpu, clock, before = time.process_time(), time.perf_counter(), beside()
    call(function, options, size)
    cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
    before = beside() - before
    cpu, parallel[0] = cpu + before, parallel[0] + before
    cells = sum(len(one.cells) for one in searched)
    return {
        "cpu": cpu,
        "clock": clock,
        "parallel": parallel[0],
        "evaluations": sum(one.evaluations for one in searched) / max(cells, 1),
    }


def beside():
    """Return the processor seconds of the processes that this one has started, with those of theirs that have ended."""
    time.sleep(0.3)  # until the end of others has been noticed
    ticks = 0
    for place in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended
            numbers = place.read_text().rpartition(")")[2].split()
            ticks += sum(map(int, numbers[11:15])) if int(numbers[1]) == os.getpid() else 0
    return ticks / os.sysconf("SC_CLK_TCK")


def watch():
    """Count the processor seconds that threads of pools spend in kernels, from now on; return them, in a list."""
    from numba.core.dispatcher import Dispatcher

    from phasediag._compiling import vectors

    seconds, lock, clock = [0.0], threading.Lock(), time.thread_time

    class Timed:
        """A kernel, timed; all else that it has is its own."""

        def __init__(self, kernel):
            self.kernel = kernel

        def __getattr__(self, name):
            return getattr(self.kernel, name)

        def __call__(self, *arguments):
            if threading.current_thread() is threading.main_thread():
                return self.kernel(*arguments)
            start = clock()
            try:
                return self.kernel(*arguments)
            finally:
                with lock:
                    seconds[0] += clock() - start

    for module in [module for name, module in sys.modules.items() if name.startswith("phasediag.")]:
        for name, kernel in list(vars(module).items()):
            if isinstance(kernel, Dispatcher) and kernel.signatures and not kernel.targetoptions.get("no_cpython_wrapper"):
                setattr(module, name, Timed(kernel))
    if hasattr(vectors, "Routine"):  # checkouts of before have kernels alone
        run = vectors.Routine.__call__
        vectors.Routine.__call__ = lambda routine, *numbers: Timed(partial(run, routine))(*numbers)
    return seconds


def worker(checkout, work, threads):
    """Measure in a process of its own, with a checkout of the package; return the numbers."""
    environment = dict(os.environ, PYTHONPATH=str(checkout), OPENBLAS_NUM_THREADS="1", PYTHONIOENCODING="utf-8")
    command = [sys.executable, __file__, "--worker", json.dumps([work, threads])]
    with tempfile.TemporaryDirectory() as folder:
        printed = subprocess.run(command, stdout=subprocess.PIPE, env=environment, cwd=folder, check=True).stdout
    return json.loads(printed.decode().splitlines()[-1])


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--full", action="store_true", help="the paper's grids")
    parser.add_argument("--against", type=Path, metavar="FOLDER", help="another checkout, run in turns")
    parser.add_argument("--only", default="", help="words of the works' names")
    parser.add_argument("--rounds", type=int, default=1, help="rounds, of which the lowest times count [default: 1]")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work, threads = json.loads(options.worker)
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
        print(json.dumps(measure(*work)))
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    checkouts = [ROOT] + ([options.against.resolve()] if options.against else [])
    heads = ["cpu s", "serial s", "share", f"{CORES} cores", "evaluations"] + ([f"measured, {cores}"] if cores > 2 else [])
    print(f"{'':<22}{'':<12}" + "".join(f"{head:>13}" for head in heads) + ("    cpu, second / first" if options.against else ""))
    for name, (function, given, size) in works(options.full).items():
        if options.only not in name:
            continue
        work, found = (name, function, given, size), [[] for _ in checkouts]
        for _ in range(options.rounds):
            for own, checkout in zip(found, checkouts, strict=True):
                own.append(worker(checkout, work, min(cores, 2)))
        for k, own in enumerate(found):
            best = min(own, key=lambda one: one["cpu"])
            serial = best["cpu"] - best["parallel"]
            speed = best["cpu"] / (serial + best["parallel"] / CORES)
            row = [f"{best['cpu']:.2f}", f"{serial:.2f}", f"{serial / best['cpu']:.1%}", f"{speed:.1f} ×"]
            row.append(f"{best['evaluations']:.1f}" if best["evaluations"] else "")
            if cores > 2:
                row.append(f"{worker(checkouts[k], work, 1)['clock'] / worker(checkouts[k], work, cores)['clock']:.1f} ×")
            grid = f"{size[0]} × {size[1]}" if size else ""
            more = f"{best['cpu'] / min(one['cpu'] for one in found[0]):>12.2f}" if k else ""
            print(
                f"{name if k == 0 else '  ' + checkouts[k].name:<22}{grid:<12}" + "".join(f"{x:>13}" for x in row) + more,
                flush=True,
            )


if __name__ == "__main__":
    main()
