"""Training against PyTorch: the paper's notebook protocol and phasediag's, alternately in one process.

    python benchmarks/training.py              samples per second, ratio, fraction of the FMA peak
    python benchmarks/training.py --equality   distribution of final losses from the same starting points
    python benchmarks/training.py --start      seconds until a new process has trained models and knows their losses
    python benchmarks/training.py --against FOLDER   our speeds beside those of another checkout, without PyTorch
    python benchmarks/training.py --bounds     what the processor allows models of many features, and how near to it they are

A sample is one input seen by one model, all-zero inputs included. PyTorch runs eagerly, all instances in one batched
einsum, AdamW with learning rate 1e-3 and batches of 1024, with the number of instances at which it is fastest.

Ours of few features are whole runs of 10 000 steps, as the paper's: kernels that sort samples into cells take longer per step
early in training, when fewer outputs are settled, than later; so do those that count on moments of dense minibatches, for which
--against runs all sizes whole. All other steps, PyTorch's too, cost the same throughout.
With --cpu speeds are samples per second of processor time on one thread each, for a machine that has other work.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from numba import njit
from scipy.stats import ks_2samp

from phasediag import ToyModel, expected_loss, train
from phasediag._compiling.jit import pointer
from phasediag._compiling.vectors import aligned, fma, load, store
from phasediag._training.sgd_batched import block_width
from phasediag._training.streams import STATE, fill_words

SIZES = [(2, 1), (3, 2), (5, 2), (20, 5), (80, 20)]
DENSITIES = [1.0, 0.1, 0.01]
EQUALITY = [(2, 1, 1.0), (2, 1, 0.1), (3, 2, 0.5), (3, 2, 0.05), (5, 2, 0.3), (5, 2, 0.03), (10, 4, 0.5), (10, 4, 0.03)]
BATCH = 1024
WHOLE = 10_000  # steps of a run of few features
GROUP = 16  # models that PyTorch trains at once for their losses: the batches of all would not fit the cache
THREADS = os.cpu_count()


def pytorch(model, weights, bias, n_steps):
    """Train instances as the paper's notebook does; return (weights, bias)."""
    import torch

    n_instances, _, n = weights.shape
    weight = torch.nn.Parameter(torch.tensor(weights.transpose(0, 2, 1).copy()))
    offset = torch.nn.Parameter(torch.tensor(bias))
    importance = torch.tensor(model.importance, dtype=torch.float32)
    density = torch.tensor(model.feature_density, dtype=torch.float32)
    optimizer = torch.optim.AdamW([weight, offset], lr=1e-3)
    for _ in range(n_steps):
        optimizer.zero_grad(set_to_none=True)
        feature = torch.rand((BATCH, n_instances, n))
        batch = torch.where(torch.rand((BATCH, n_instances, n)) <= density, feature, torch.zeros(()))
        hidden = torch.einsum("bif,ifh->bih", batch, weight)
        output = torch.relu(torch.einsum("bih,ifh->bif", hidden, weight) + offset)
        loss = (importance * (batch.abs() - output) ** 2).mean(dim=(0, 2)).sum()
        loss.backward()
        optimizer.step()
    return weight.detach().numpy().transpose(0, 2, 1).astype(float), offset.detach().numpy().astype(float)


SHORT_RUN = """
import numpy as np
from phasediag import ToyModel, train
train(ToyModel({m}, np.ones({n}), 0.5), n_models=32, n_steps=10, batch_size=1024, seed=0).loss
"""


def starts():
    """Print how long the first and the later processes take, with an empty cache of compiled kernels at first."""
    print(f"{'n, m':>7} {'cold (s)':>9} {'warm (s)':>9}")
    for n, m in SIZES:
        with tempfile.TemporaryDirectory() as cache:
            seconds = []
            for _ in range(4):
                begin = time.perf_counter()
                environment = os.environ | {"NUMBA_CACHE_DIR": cache}
                subprocess.run([sys.executable, "-c", SHORT_RUN.format(n=n, m=m)], env=environment, check=True)
                seconds.append(time.perf_counter() - begin)
        print(f"{f'{n}, {m}':>7} {seconds[0]:>9.1f} {min(seconds[1:]):>9.2f}", flush=True)


def start(model, n_models, seed):
    """Return starting points, single precision."""
    n, m = model.n_features, model.n_hidden
    weights = np.random.default_rng(seed).normal(size=(n_models, m, n)) * np.sqrt(2 / (m + n))
    return weights.astype(np.float32), np.zeros((n_models, n), np.float32)


@njit(nogil=True)
def _fused(array, n):
    a = pointer(array)
    x, y = load(a, 0), load(a, 16)
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = s8 = s9 = x
    for _ in range(n):
        s0, s1, s2, s3, s4 = fma(s0, x, y), fma(s1, x, y), fma(s2, x, y), fma(s3, x, y), fma(s4, x, y)
        s5, s6, s7, s8, s9 = fma(s5, x, y), fma(s6, x, y), fma(s7, x, y), fma(s8, x, y), fma(s9, x, y)
    store(a, 0, s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7 + s8 + s9)


def peak():
    """Return the fused multiply-adds per second of all processors together, in floating-point operations."""
    n = 2_000_000

    def once(_):
        _fused(np.full(32, 0.5, np.float32), n)

    once(0)
    best = 0.0
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in range(5):
            begin = time.perf_counter()
            list(pool.map(once, range(THREADS)))
            best = max(best, THREADS * n * 10 * 32 / (time.perf_counter() - begin))
    return best


ROWS = 80  # of five vectors each: 26 kB, a block of a matrix that stays in the first cache


@njit(nogil=True)
def _fed(array, n):
    """Five sums of products of vectors in the cache with a number that stands there as well."""
    a = pointer(array)
    s0 = s1 = s2 = s3 = s4 = load(a, 0)
    for _ in range(n):
        for row in range(ROWS):
            x, i = load(a, row), row * 80
            s0, s1, s2 = fma(load(a, i), x, s0), fma(load(a, i + 16), x, s1), fma(load(a, i + 32), x, s2)
            s3, s4 = fma(load(a, i + 48), x, s3), fma(load(a, i + 64), x, s4)
    store(a, 0, s0 + s1 + s2 + s3 + s4)


@njit(nogil=True)
def _added(array, n):
    """Products added to vectors in the cache."""
    a = pointer(array)
    e0, e1, e2, e3, e4 = load(a, 0), load(a, 16), load(a, 32), load(a, 48), load(a, 64)
    for _ in range(n):
        for row in range(ROWS):
            x, i = load(a, row), row * 80
            store(a, i, fma(e0, x, load(a, i)))
            store(a, i + 16, fma(e1, x, load(a, i + 16)))
            store(a, i + 32, fma(e2, x, load(a, i + 32)))
            store(a, i + 48, fma(e3, x, load(a, i + 48)))
            store(a, i + 64, fma(e4, x, load(a, i + 64)))


@njit(nogil=True)
def _streamed(array, n):
    """Sums of all vectors of an array."""
    a = pointer(array)
    s0 = s1 = s2 = s3 = load(a, 0)
    for _ in range(n):
        for i in range(0, array.size, 64):
            s0, s1, s2, s3 = s0 + load(a, i), s1 + load(a, i + 16), s2 + load(a, i + 32), s3 + load(a, i + 48)
    store(a, 0, s0 + s1 + s2 + s3)


@njit(nogil=True)
def _drawn(state, array, n):
    """Words of the generator."""
    for _ in range(n):
        fill_words(pointer(state), pointer(array), array.size // 16)


def machine():
    """Return vectors of sixteen per nanosecond of one processor: by what is done with them, a dict."""
    small, large, words = aligned(ROWS * 80 + 16), aligned(2**18), aligned(2**12, np.uint32)
    state = aligned(STATE, np.uint32)
    state[:] = np.arange(1, STATE + 1)
    works = {
        "fused": (lambda n: _fused(small, 40 * n), 400),
        "fed": (lambda n: _fed(small, n), 5 * ROWS),
        "added": (lambda n: _added(small, n), 5 * ROWS),
        "second cache": (lambda n: _streamed(large, max(n // 40, 1)), large.size / 16 / 40),
        "generator": (lambda n: _drawn(state, words, n), words.size / 16),
    }
    rates = {}
    for name, (work, vectors) in works.items():
        work(40)
        seconds = []
        for _ in range(5):
            small[:] = 1e-3
            begin = time.process_time()
            work(4000)
            seconds.append(time.process_time() - begin)
        rates[name] = 4000 * vectors / min(seconds) / 1e9
    return rates


def bounds(sizes, n_steps):
    """Print what a sample costs at least, by what the engines count, and what it costs: nanoseconds of one processor."""
    rates = machine()
    print("vectors of 16 numbers per nanosecond: " + ", ".join(f"{name} {rate:.2f}" for name, rate in rates.items()))
    heads = ("products", 9), ("at peak", 8), ("as fed", 8), ("drawing", 8), ("bound", 7), ("seen", 7), ("share", 6)
    print("   n, m  density" + "".join(f" {head:>{width}}" for head, width in heads))
    for n, m in sizes:
        for density in DENSITIES if n > 8 else ():
            n_models, active = 32 if n < 50 else 16, n * density
            if density == 1:  # by second moments: two products a sample, three of matrices a step
                width, samples = -(-n // 16) * 16, 2 * m * n / 16
                rest = 3 * width * n * m / 16 / BATCH
                fed, words = (samples + rest) / rates["fused"], n + active / 2
            else:  # by lists, sixteen models at once: forms and sums of a sample's active features
                block = block_width(n, 16)
                width = -(-n // block) * block
                samples, rest = 2 * width * active / 16, 2 * width * n * m / 16 / BATCH
                fed = samples / 2 / rates["fed"] + samples / 2 / rates["added"] + rest / rates["fused"]
                words = (n if density > 0.02 else 2 * active) + active
            drawing = words / 16 / rates["generator"] / n_models
            seen = own_time(n, m, density, n_models, n_steps)
            peak = (samples + rest) / rates["fused"]
            least = fed + drawing
            print(
                f"{f'{n}, {m}':>7} {density:>8} {samples + rest:>9.1f} {peak:>8.2f} {fed:>8.2f} {drawing:>8.2f} {least:>7.2f}"
                f" {seen:>7.2f} {least / seen:>6.0%}",
                flush=True,
            )


def own_time(n, m, density, n_models, n_steps, independent=False):
    """Return the nanoseconds of processor time per sample of a run, less those of one step."""
    model = ToyModel(m, np.ones(n), density)

    def seconds(n_steps):
        begin = time.process_time()
        train(model, n_models=n_models, n_steps=n_steps, batch_size=BATCH, seed=0, independent=independent, n_threads=1)
        return time.process_time() - begin

    seconds(1)
    return (seconds(n_steps) - seconds(1)) / (n_models * (n_steps - 1) * BATCH) * 1e9


def operations(n, m, density):
    """Return the floating-point operations per sample that the formulas of the engines need."""
    return min(4 * n * n * density, 10 * m * n)


def timed(function, work, clock, seconds=0.0):
    """Return ``work`` per second of a call, or of as many as last ``seconds``."""
    begin, n_calls = clock(), 0
    while n_calls == 0 or clock() - begin < seconds:
        function()
        n_calls += 1
    return n_calls * work / (clock() - begin)


def speed(rounds, seconds, cpu, sizes):
    """Print the table of speeds."""
    import torch

    n_threads, clock = (1, time.process_time) if cpu else (THREADS, time.perf_counter)
    torch.set_num_threads(n_threads)
    limit = peak() * n_threads / THREADS
    print(
        f"{n_threads} threads, {'processor' if cpu else 'wall-clock'} time, FMA peak {limit / 1e9:.0f} GFLOP/s; medians of "
        f"{rounds} rounds, million samples per second"
    )
    print(f"{'n, m':>7} {'density':>8} {'PyTorch':>9} {'shared':>10} {'ratio':>7} {'peak':>5} {'independent':>12} {'ratio':>7}")
    for n, m in sizes:
        for density in DENSITIES:
            model = ToyModel(m, np.ones(n), density)
            torch_speed = partial(_torch_speed, model, clock=clock)
            best = max((4, 16, 64, 256), key=lambda k: torch_speed(k, 0.3) if k * n <= 1300 else 0.0)
            n_models = (512 if n < 10 else 128 if n < 50 else 32) * n_threads // THREADS

            def ours(independent, n_steps, model=model, n_models=n_models):
                train(
                    model, n_models=n_models, n_steps=n_steps, batch_size=BATCH, seed=0, independent=independent,
                    n_threads=n_threads,
                )  # fmt: skip

            steps = {}
            for independent in (False, True):
                ours(independent, 20)
                lasting = max(20, int(seconds * timed(partial(ours, independent, 100), 100, clock)))
                steps[independent] = WHOLE if n < 10 else lasting
            results = {"pytorch": [], False: [], True: []}
            for _ in range(rounds):
                results["pytorch"].append(torch_speed(best, seconds))
                time.sleep(0.3)  # PyTorch's threads spin for a while before they sleep
                for kind in (False, True):
                    work = n_models * steps[kind] * BATCH
                    results[kind].append(timed(partial(ours, kind, steps[kind]), work, clock, seconds))
            theirs, shared, alone = (statistics.median(results[kind]) for kind in ("pytorch", False, True))
            fraction = shared * operations(n, m, density) / limit
            print(
                f"{f'{n}, {m}':>7} {density:>8} {theirs / 1e6:>9.2f} {shared / 1e6:>10.1f} {shared / theirs:>7.0f}"
                f" {fraction:>5.0%} {alone / 1e6:>12.1f} {alone / theirs:>7.0f}",
                flush=True,
            )


def _torch_speed(model, n_instances, seconds, clock):
    weights, bias = start(model, n_instances, 0)
    pytorch(model, weights, bias, 2)
    n_steps = max(3, int(seconds * timed(lambda: pytorch(model, weights, bias, 5), 5, clock)))
    return timed(lambda: pytorch(model, weights, bias, n_steps), n_steps * n_instances * BATCH, clock)


def against(folder, rounds, sizes):
    """Print nanoseconds of one core for a sample, of this checkout and another, medians of whole runs in turns."""
    print(f"{'':>16}{'shared minibatches':>30}{'independent':>30}")
    print(f"{'n, m':>7} {'density':>8}" + f"{'ours':>10}{'theirs':>10}{'ratio':>10}" * 2)
    for n, m in sizes:
        for density in DENSITIES:
            print(f"{f'{n}, {m}':>7} {density:>8}", end="")
            for independent in (False, True):
                found = [[], []]
                for _ in range(rounds):
                    for own, checkout in zip(found, (os.path.dirname(os.path.dirname(__file__)), folder), strict=True):
                        environment = os.environ | {"PYTHONPATH": os.path.abspath(checkout)}
                        command = [sys.executable, __file__, "--worker", json.dumps([n, m, density, independent])]
                        own.append(float(subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True).stdout))
                ours, theirs = map(statistics.median, found)
                print(f"{ours:>10.3f}{theirs:>10.3f}{theirs / ours:>10.2f}", end="", flush=True)
            print()


def whole_run(n, m, density, independent):
    """Print the nanoseconds of processor time per sample of whole runs of some seconds, less those of one step."""
    print(own_time(n, m, density, 256 if n < 10 else 32 if n < 50 else 16, WHOLE, independent))


def equality(n_models, n_steps):
    """Compare final losses from the same starting points: two-sample Kolmogorov–Smirnov tests.

    Our models are trained twice: at once on minibatches of their own, and on the path that shares minibatches, each in a run
    with another seed.
    """
    import torch

    torch.set_num_threads(THREADS)
    print(
        f"{n_models} models, {n_steps} steps: p of the two-sample test, mean losses, difference in standard errors, correlation"
    )
    for n, m, density in EQUALITY:
        model = ToyModel(m, 0.8 ** np.arange(n), density)
        weights, bias = start(model, n_models, n)
        groups = (slice(i, i + GROUP) for i in range(0, n_models, GROUP))
        trained = [pytorch(model, weights[place], bias[place], n_steps) for place in groups]
        theirs = np.concatenate([expected_loss(model, *one) for one in trained])

        def ours(seed, place, independent, model=model, weights=weights, bias=bias):
            return train(
                model, n_models=len(weights[place]), n_steps=n_steps, batch_size=BATCH, seed=seed, independent=independent,
                initial_weights=weights[place], initial_bias=bias[place],
            ).loss  # fmt: skip

        alone = ours(1, slice(None), True)
        shared = np.array([ours(2 + i, [i] * 4, False)[0] for i in range(n_models)])  # fewer than 4 would not share
        for name, losses in (("independent", alone), ("shared", shared)):
            p = ks_2samp(losses, theirs, method="asymp").pvalue
            difference = losses - theirs  # the starting points are the same
            print(
                f"{n}, {m} at {density}, {name}: p = {p:.3f}, {losses.mean():.6g} and "
                f"{theirs.mean():.6g}, {difference.mean() / difference.std() * np.sqrt(n_models):+.1f}, "
                f"{np.corrcoef(losses, theirs)[0, 1]:.4f}",
                flush=True,
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--equality", action="store_true", help="compare distributions of losses instead of speeds")
    parser.add_argument("--start", action="store_true", help="measure cold and warm starts instead of speeds")
    parser.add_argument("--bounds", action="store_true", help="what the processor allows models of many features")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5, help="least length of one measurement")
    parser.add_argument("--cpu", action="store_true", help="processor time on one thread each instead of wall-clock time")
    parser.add_argument("--n-features", type=int, choices=[n for n, _ in SIZES], help="speed of one size only")
    parser.add_argument("--models", type=int, default=256)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--against", metavar="FOLDER", help="another checkout, whose speeds are compared with ours")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    sizes = [size for size in SIZES if chosen.n_features in (None, size[0])]
    if chosen.worker:
        whole_run(*json.loads(chosen.worker))
    elif chosen.against:
        against(chosen.against, chosen.rounds, sizes)
    elif chosen.bounds:
        bounds(sizes, chosen.steps)
    elif chosen.equality:
        equality(chosen.models, chosen.steps)
    elif chosen.start:
        starts()
    else:
        speed(chosen.rounds, chosen.seconds, chosen.cpu, sizes)
