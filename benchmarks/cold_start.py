"""What the first run costs: compiling every kernel, room by room, and the time to the first result of each command.

    python benchmarks/cold_start.py                    this checkout
    python benchmarks/cold_start.py --against FOLDER   and another one, in turns, with ratios
    python benchmarks/cold_start.py --kernels          and each kernel
    python benchmarks/cold_start.py --no-commands      compilation alone

The first table asks for what the package could do when its kernels were first counted (commit 7f7ac86), so that its sum may be
compared with that build; the second for what came later, each with the kernels that nothing before it had needed.

Each cold process begins with an empty kernel cache, each warm one with the cache that the cold one left. Times are processor
seconds (user and system), the lowest of ``--rounds``, so that other work on the machine counts little; only the time to the
first line of output, in brackets, is by the clock. A kernel's time is from numba's question to its cache until it has written
the compiled code there, less that of the kernels that it asked for meanwhile. Kernels that nothing here compiles are named.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = {
    "--help": ["--help"],
    "boundary, frozen": ["boundary", "--theory", "frozen"],
    "diagram, frozen": ["diagram", "--theory", "frozen", "--output", "frozen.png"],
    "minimize 3→2": ["minimize", "--n-features", "3", "--n-hidden", "2"],
    "train 2→1": ["train", "--n-steps", "1000"],
    "inspect 3→2": ["inspect", "weights.npz", "--density", "0.1"],
    "diagram 2→1, 8 × 8": ["diagram", "--importance", "0.5:2:8", "--density", "0.1:1:8"],
    "validate 2→1, 4 × 4": "validate --importance 0.5:2:4 --density 0.1:1:4 --n-seeds 4 --n-steps 1000 --no-curves".split(),
}


def compile_everything():
    """Ask for a result of every kind, so that every kernel is compiled; return seconds by kernel, of those that came `LATER`
    apart, and kernels left out."""
    seconds, running = Counter(), []
    began = time.process_time()
    _watch(seconds, running)
    import numpy as np

    from phasediag import (
        ToyModel,
        expected_loss,
        expected_loss_and_gradient,
        expected_loss_hessian,
        minimize,
        phase_diagram,
        train,
    )

    rng = np.random.default_rng(0)
    for n, m in ((2, 1), (3, 2), (5, 2), (12, 3), (24, 4)):
        for activation in ("relu", "linear"):
            for density in (0.5, 0.02):
                model = ToyModel(m, 0.9 ** np.arange(n), density, activation)
                weights, bias = rng.normal(size=(m, n)) / m**0.5, 0.1 * rng.normal(size=n)
                expected_loss(model, weights, bias)
                expected_loss_and_gradient(model, weights, bias)
                if n <= 5:
                    expected_loss_hessian(model, weights, bias)
                    expected_loss(model, weights, bias, method="enumeration")
                if activation == "relu":
                    expected_loss(model, weights, bias, method="contour")
    minimize(ToyModel(2, np.ones(3), 0.5), n_starts=4, seed=0)
    phase_diagram(2, 1, importance=[0.4, 0.8], density=[0.3, 0.5]).boundaries()
    phase_diagram(2, 1, importance=[0.4, 0.8], density=[0.3, 0.5], theory="relaxed").boundaries()
    short = dict(n_steps=3, batch_size=64, seed=0, n_threads=1)
    for independent in (False, True):
        train(ToyModel(2, np.ones(5), 0.5), n_models=3, independent=independent, **short)
    for n, density, n_models, independent in (
        (40, 0.02, 8, False),
        (40, 1.0, 8, False),
        (40, 1.0, 1, False),
        (40, 0.01, 1, False),
        (40, 0.01, 2, True),
        (40, 1.0, 2, True),
    ):
        train(ToyModel(5, np.ones(n), density), n_models=n_models, independent=independent, **short)
    train(ToyModel(2, np.ones(3), 0.5), n_models=2, gradient="population", n_steps=3, seed=0)
    train(ToyModel(2, np.ones(3), 0.5), n_models=2, optimizer="sgd", **short)
    kernels, total, later = dict(seconds), time.process_time() - began, {}
    for name, ask in LATER.items():
        seconds.clear()
        try:
            ask()
        except ImportError:  # a checkout of before
            continue
        later[name] = dict(seconds)
    return dict(kernels=kernels, later=later, left_out=_left_out(), total=total)


def _ask_for_other_values():
    """Losses and minima of signed and of certain values, of several laws, and on kinks."""
    from phasediag import Pieces, ToyModel, expected_loss_and_gradient, expected_loss_hessian, minimize

    for values in ("signed", "binary", Pieces(atoms=((1.0, 0.3), (-0.5, 0.2)), intervals=((0.0, 1.0, 0.5),))):
        for n in (3, 5):
            model = ToyModel(2, [1.0] * n, 0.3, values=values)
            expected_loss_and_gradient(model, [[0.5] * n] * 2, [0.1] * n)
            expected_loss_hessian(model, [[0.5] * n] * 2, [0.1] * n)
        minimize(ToyModel(1, [1.0, 0.5], 0.3, values=values), n_starts=4, seed=0)


def _ask_for_neurons():
    """Minima of neurons, tied and untied, and neurons trained in both ways."""
    from phasediag import NeuronModel, minimize, train

    for model in (NeuronModel(1, [1.0, 0.7], 0.5), NeuronModel(3, [1.0, 0.7], 0.5, task="absolute")):
        minimize(model, n_starts=4, seed=0)
        for gradient in ("minibatch", "population"):
            train(model, n_models=1, n_steps=2, batch_size=4, gradient=gradient, seed=0, n_threads=1)


def _ask_for_certificates():
    """Proofs for two features, one with a feature that is dropped, and the beginning of one for three."""
    from phasediag import ToyModel, certify

    certify(ToyModel(1, [1.0, 0.6], 0.5))
    certify(ToyModel(1, [1.0, 0.2], 1.0))
    certify(ToyModel(2, [1.0, 1.0, 1.0], 0.9), max_boxes=10)


LATER = {"other values": _ask_for_other_values, "neurons": _ask_for_neurons, "certificates": _ask_for_certificates}


def _watch(seconds, running):
    """Count the seconds between a question to numba's cache that finds nothing and the entry that is written at last."""
    from numba.core.caching import Cache

    load, save = Cache.load_overload, Cache.save_overload

    def loaded(cache, signature, context):
        found = load(cache, signature, context)
        if found is None:
            running.append([time.thread_time(), 0.0])
        return found

    def saved(cache, signature, result):
        save(cache, signature, result)
        start, inner = running.pop()
        spent = time.thread_time() - start
        if running:
            running[-1][1] += spent
        seconds[f"{cache._py_func.__module__}.{cache._py_func.__qualname__}"] += spent - inner

    Cache.load_overload, Cache.save_overload = loaded, saved


def _left_out():
    """Kernels of the package that are not compiled in this process; those that become part of their callers do not count."""
    from numba.core.dispatcher import Dispatcher

    names = set()
    for name in [name for name in sys.modules if name.startswith("phasediag.")]:
        for kernel in vars(sys.modules[name]).values():
            if isinstance(kernel, Dispatcher) and kernel.targetoptions.get("inline") != "always" and not kernel.signatures:
                names.add(f"{kernel.py_func.__module__}.{kernel.__name__}")
    return sorted(names)


def run(checkout, cache, arguments, folder):
    """Run Python in a process of its own; return what it printed, its processor seconds, and seconds to the first line."""
    environment = dict(os.environ, PYTHONPATH=str(checkout), NUMBA_CACHE_DIR=str(cache), PYTHONIOENCODING="utf-8")
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, cwd=folder, env=environment)
    first = process.stdout.readline()
    waited = time.perf_counter() - start
    printed = (first + process.stdout.read()).decode()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):
        raise SystemExit(f"{arguments} ended with {process.returncode} in {checkout}")
    return printed, usage.ru_utime + usage.ru_stime, waited


def measure(checkout, folder, commands):
    """Run everything once in a checkout; return the compilation, and two times of each command, cold and warm."""
    with tempfile.TemporaryDirectory() as cache:
        worker = [__file__, "--worker"]
        compiled = json.loads(run(checkout, cache, worker, folder)[0])
        compiled["warm"] = json.loads(run(checkout, cache, worker, folder)[0])["total"]
    times = {}
    for name, arguments in commands.items():
        with tempfile.TemporaryDirectory() as cache:
            times[name] = [run(checkout, cache, ["-m", "phasediag", *arguments], folder)[1:] for _ in range(2)]
    return compiled, times


def rooms(kernels):
    """Seconds by room, of {kernel: seconds}; what is not in a private room is "other"."""
    total = Counter()
    for kernel, seconds in kernels.items():
        room = kernel.split(".")[1]
        total[room if room.startswith("_") else "other"] += seconds
    return total


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--against", type=Path, metavar="FOLDER", help="another checkout, run in turns")
    parser.add_argument("--rounds", type=int, default=2, help="rounds, of which the lowest times count [default: 2]")
    parser.add_argument("--kernels", action="store_true", help="print each kernel")
    parser.add_argument("--no-commands", action="store_true", help="compilation alone")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(compile_everything()))
        return
    checkouts = [ROOT] + ([options.against.resolve()] if options.against else [])
    import numpy as np

    commands = {} if options.no_commands else COMMANDS
    with tempfile.TemporaryDirectory() as folder:
        angles = 2 * np.pi / 3 * np.arange(3)
        np.savez(Path(folder, "weights.npz"), weights=[np.cos(angles), np.sin(angles)], bias=[-0.1] * 3)
        found = [[measure(checkout, folder, commands) for checkout in checkouts] for _ in range(options.rounds)]
    best = []  # of each checkout, the lowest of all rounds
    for runs in zip(*found, strict=True):
        compiled = min((compiled for compiled, _ in runs), key=lambda one: sum(one["kernels"].values()))
        pairs = {name: np.min([times[name] for _, times in runs], axis=0) for name in commands}
        best.append((compiled, pairs))
    columns = [str(checkout) for checkout in checkouts] + (["ratio"] if options.against else [])

    def row(name, values, more=""):
        ratio = f"{values[1] / values[0]:10.2f}" if len(values) > 1 and values[0] > 0 else ""
        print(f"{name:<34}" + "".join(f"{value:10.2f}" for value in values) + ratio + more)

    print("columns: " + ", ".join(columns) + (" = second / first" if options.against else ""))
    print("\nprocessor seconds of compilation")
    by_room = [rooms(compiled["kernels"]) for compiled, _ in best]
    for room in sorted(set().union(*by_room)):
        row(room, [one[room] for one in by_room])
    row("everything of 7f7ac86", [sum(one.values()) for one in by_room])
    row("  as cold less warm process", [compiled["total"] - compiled["warm"] for compiled, _ in best])
    row("  kernels", [len(compiled["kernels"]) for compiled, _ in best])
    print("\nand what came later")
    later = [{name: sum(own.values()) for name, own in compiled["later"].items()} for compiled, _ in best]
    for name in LATER:
        row(name, [one.get(name, 0.0) for one in later])
    row("with these", [sum(then.values()) + sum(one.values()) for then, one in zip(by_room, later, strict=True)])
    for checkout, (compiled, _) in zip(checkouts, best, strict=True):
        if compiled["left_out"]:
            print(f"not compiled in {checkout}: {', '.join(compiled['left_out'])}")
    if options.kernels:
        print("\neach kernel")
        by_kernel = [sum(map(Counter, (compiled["kernels"], *compiled["later"].values())), Counter()) for compiled, _ in best]
        for kernel in sorted(set().union(*by_kernel), key=lambda kernel: -max(one[kernel] for one in by_kernel)):
            row(kernel.removeprefix("phasediag."), [one[kernel] for one in by_kernel])
    if commands:
        print("\nprocessor seconds of commands [seconds to the first line]")
        for name in commands:
            for k, state in enumerate(("cold", "warm")):
                own = [pairs[name][k] for _, pairs in best]
                row(f"{name}, {state}", [cpu for cpu, _ in own], "   [" + ", ".join(f"{first:.1f}" for _, first in own) + "]")


if __name__ == "__main__":
    main()
