"""Training on a GPU against its peers, in one run of at most six minutes: rates, the paper's protocol, exact losses, equality.

    python benchmarks/gpu.py                    everything
    python benchmarks/gpu.py --only rates       or protocol, equality
    python benchmarks/gpu.py --peers none       ours alone; else pytorch, graph, jax

A sample is one input seen by one model, all-zero inputs included; batches of 1024, AdamW with learning rate 1e-3. Ours on the GPU
are in rows of 128 models that share minibatches, as a diagram's are, and are measured first, with the kind of kernel. PyTorch and
JAX train all instances in one batched einsum, as the paper's notebook does, in single precision (JAX's product "highest": its
default there is TF32), with the number of instances at which they are fastest. "graph" is PyTorch compiled, forward, backward and
optimizer captured in one CUDA graph. What is not installed is left out. Kernels are compiled before the clock starts; seconds of
that are printed. Without a GPU one line says what is missing; NUMBA_ENABLE_CUDASIM=1 takes numba's simulator, for tiny sizes:

    python benchmarks/gpu.py --peers none --seconds 1e-3 --n-models 2 --batch-size 4 --n-steps 2 --n-cells 2 --equal-models 2 \\
        --equal-steps 2
"""

import argparse
import os
import time
from functools import partial

import numba
import numpy as np
from scipy.stats import ks_2samp

from phasediag import ToyModel, train, trained_phase_diagram
from phasediag._cuda import engines, trainer
from phasediag._cuda.device import as_device
from phasediag._cuda.kinds import KINDS
from phasediag._training.chunks import CHUNK_OPTIONS, Chunk, law_of
from phasediag._training.portions import divide
from phasediag.diagram import plane_of
from phasediag.trained_models import evaluate_cells
from phasediag.training import common_options

SIZES = [(2, 1), (3, 2), (5, 2), (20, 5), (80, 20), (400, 30)]
DENSITIES = [1.0, 0.1, 0.01]
ROW = 128  # models that share minibatches
MODELS = {"few": 1024, "some": 768, "some_sparse": 768, "sparse": 48, "many": 48}  # a multiprocessor, of which an H200 has 132
EQUALITY = [(2, 1, 1.0), (2, 1, 0.1), (3, 2, 0.5), (3, 2, 0.05), (5, 2, 0.3), (5, 2, 0.03), (10, 4, 0.5), (10, 4, 0.03)]
SHARED = [(12, 3, 0.5), (12, 3, 0.03)]  # of which a row's models share minibatches: a replicate each
BATCH = 1024
THREADS = len(os.sched_getaffinity(0))
BEGIN = time.perf_counter()
INSTANCES = {
    2: (4096, 32768),
    3: (4096, 32768),
    5: (4096, 16384),
    20: (1024, 4096),
    80: (256, 1024),
    400: (64, 256),
}  # that peers train at once
SCANNED = 10  # steps of one call of JAX
LONG = 1_000_000  # more steps than any measurement takes
PAST, LAST = 270.0, 330.0  # seconds after which no other peer is begun, and no other measurement at all


def say(*words):
    """Print, with the seconds since the beginning."""
    print(f"[{time.perf_counter() - BEGIN:5.0f} s]", *words, flush=True)


def starts(n, m, n_models, seed=0):
    """Return starting weights, single precision."""
    weights = np.random.default_rng(seed).normal(size=(n_models, m, n)) * np.sqrt(2 / (m + n))
    return weights.astype(np.float32)


def timed(advance, work, seconds):
    """Return ``work`` a second of ``advance(n_steps)``, of as many steps as last so long, once all is compiled."""
    advance(1)
    n_steps, elapsed = 1, 0.0
    while elapsed < seconds:
        n_steps = 2 * n_steps if elapsed < seconds / 8 else int(n_steps * 1.1 * seconds / elapsed) + 1
        begin = time.perf_counter()
        advance(n_steps)
        elapsed = time.perf_counter() - begin
    return n_steps * work / elapsed


def pytorch(n, m, density, n_models, graph):
    """Return a function that takes steps of PyTorch, eager or captured."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    weight = torch.nn.Parameter(torch.tensor(starts(n, m, n_models).transpose(0, 2, 1).copy(), device=device))
    bias = torch.nn.Parameter(torch.zeros((n_models, n), device=device))
    optimizer = torch.optim.AdamW([weight, bias], lr=1e-3, capturable=graph)

    def loss_of(weight, bias):
        """The loss of a fresh minibatch, summed over instances."""
        feature = torch.rand((BATCH, n_models, n), device=device)
        batch = torch.where(torch.rand((BATCH, n_models, n), device=device) <= density, feature, 0.0)
        hidden = torch.einsum("bif,ifh->bih", batch, weight)
        output = torch.relu(torch.einsum("bih,ifh->bif", hidden, weight) + bias)
        return ((batch - output) ** 2).mean(dim=(0, 2)).sum()

    compiled = torch.compile(loss_of) if graph else loss_of

    def step():
        """Move the parameters."""
        optimizer.zero_grad(set_to_none=not graph)
        compiled(weight, bias).backward()
        optimizer.step()

    if graph:
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                step()
        torch.cuda.current_stream().wait_stream(side)
        captured = torch.cuda.CUDAGraph()
        with torch.cuda.graph(captured):
            step()

    def advance(n_steps):
        """Take steps and wait for them."""
        for _ in range(n_steps):
            captured.replay() if graph else step()
        if device == "cuda":
            torch.cuda.synchronize()

    return advance


def jax(n, m, density, n_models):
    """Return a function that takes SCANNED steps of JAX, in one compiled scan."""
    import jax
    import jax.numpy as jnp

    def loss_of(parameters, key):
        """The loss of a fresh minibatch, summed over instances."""
        weight, bias = parameters
        value, mask = (jax.random.uniform(k, (BATCH, n_models, n)) for k in jax.random.split(key))
        batch = jnp.where(mask <= density, value, 0.0)
        hidden = jnp.einsum("bif,ihf->bih", batch, weight, precision="highest")
        output = jax.nn.relu(jnp.einsum("bih,ihf->bif", hidden, weight, precision="highest") + bias)
        return ((batch - output) ** 2).mean(axis=(0, 2)).sum()

    def step(state, key):
        """AdamW, written out."""
        parameters, first, second, t = state
        gradient, t = jax.grad(loss_of)(parameters, key), t + 1
        first = jax.tree.map(lambda a, g: 0.9 * a + 0.1 * g, first, gradient)
        second = jax.tree.map(lambda a, g: 0.999 * a + 0.001 * g * g, second, gradient)
        rate, scale = 1e-3 / (1 - 0.9**t), 1 / jnp.sqrt(1 - 0.999**t)
        parameters = jax.tree.map(
            lambda p, a, b: (1 - 1e-5) * p - rate * a / (scale * jnp.sqrt(b) + 1e-8), parameters, first, second
        )
        return (parameters, first, second, t), None

    scan = jax.jit(lambda state, key: jax.lax.scan(step, state, jax.random.split(key, SCANNED))[0])
    parameters = jnp.asarray(starts(n, m, n_models)), jnp.zeros((n_models, n), jnp.float32)
    zeros = jax.tree.map(jnp.zeros_like, parameters)
    state, key = (parameters, zeros, zeros, jnp.float32(0)), jax.random.key(0)
    state = jax.block_until_ready(scan(state, key))

    def advance(n_steps):
        """Take SCANNED times as many steps, and wait for them."""
        nonlocal state, key
        for _ in range(n_steps):
            key, own = jax.random.split(key)
            state = scan(state, own)
        jax.block_until_ready(state)

    return advance


def ours(n, m, density, n_models):
    """Return the kind of the kernel and a function that takes steps on the GPU; ``n_models`` None: as many as suit it."""
    model = ToyModel(m, np.ones(n), density)
    options = common_options(LONG, BATCH, 1e-3, "adamw", "constant", None, False, 0)

    def row(number, count):
        """Models that share minibatches."""
        return Chunk(
            **law_of(model.form, np.broadcast_to(model.control, (count, model.form.n_controls))),
            weights=starts(n, m, count), bias=np.zeros((count, n), np.float32), keys=np.array([[1, number]], np.uint64),
            recorded=(1,), **{name: options[name] for name in (*CHUNK_OPTIONS, "independent")},
        )  # fmt: skip

    kind = engines.kind_of(row(0, 1))
    n_models = n_models or 132 * MODELS[kind]
    models, done = engines.engine(row(0, 1))([row(k, min(ROW, n_models - k)) for k in range(0, n_models, ROW)]), 0

    def advance(n_steps):
        """Take steps and wait for them."""
        nonlocal done
        models.advance(done, done + n_steps)
        trainer.cuda.synchronize()
        done += n_steps

    advance(1)
    return kind, n_models, advance


def on_cpu(n, m, density, n_models):
    """Return a function that takes steps on all processors."""
    model = ToyModel(m, np.ones(n), density)
    return lambda n_steps: train(model, n_models=n_models, n_steps=n_steps, batch_size=BATCH, seed=0)


PEERS = {"pytorch": partial(pytorch, graph=False), "graph": partial(pytorch, graph=True), "jax": jax}


def best_of_peer(peer, n, m, seconds):
    """Return the best rate of a peer at density 0.1 (which it does not depend on), NaN where it cannot be had."""
    rate = np.nan
    for count in INSTANCES[n]:
        if time.perf_counter() - BEGIN > PAST:
            break
        try:
            advance = PEERS[peer](n, m, 0.1, count)
            rate = np.fmax(rate, timed(advance, count * BATCH * (SCANNED if peer == "jax" else 1), seconds))
        except Exception as error:  # it is not there, or does not fit: the others go on
            say(f"{peer} {n}, {m}, {count} instances: {type(error).__name__}: {str(error)[:200]}")
    return rate


def rates(sizes, peers, seconds, n_models):
    """Print billions of samples per second, ours by size and density, and peers' by size."""
    print(f"{'n, m':>7} {'density':>8} {'16 cores' if THREADS == 16 else 'cores':>11} {'GPU':>11}", flush=True)
    for n, m in sizes:
        for density in DENSITIES:
            if time.perf_counter() - BEGIN > LAST:
                return
            begin = time.perf_counter()
            kind, on_gpu, advance = ours(n, m, density, n_models)
            compiled = time.perf_counter() - begin
            gpu = timed(advance, on_gpu * BATCH, seconds)
            count = n_models or 64 * THREADS * (8 if n < 10 else 1)
            cpu = timed(on_cpu(n, m, density, count), count * BATCH, seconds)
            line = f"{f'{n}, {m}':>7} {density:>8} {cpu / 1e9:>11.3f} {gpu / 1e9:>11.3f}"
            print(f"{line}   {kind}, {on_gpu} models, ready after {compiled:.1f} s", flush=True)
    for n, m in sizes:
        theirs = [best_of_peer(peer, n, m, seconds) for peer in peers]
        if peers:
            print(f"{f'{n}, {m}':>7} " + ", ".join(f"{peer} {rate / 1e9:.3f}" for peer, rate in zip(peers, theirs, strict=True)))


def protocol(n_steps, n_cells):
    """Train the paper's diagrams on the GPU, 10 seeds a cell; print the stages' seconds, exact losses and phases."""
    for n, m in SIZES[:2]:
        axes = np.geomspace(0.1, 10, n_cells), np.geomspace(0.01, 1, n_cells)
        plane, stages = plane_of(n, m, *axes, "relu", None), [time.perf_counter()]
        options = common_options(n_steps, BATCH, 1e-3, "adamw", "constant", None, False, 0)
        portions = divide(plane, 10, options, 1)
        chunks = [portion.chunk() for portion in portions]
        stages.append(time.perf_counter())
        weights = np.empty((n_cells, 10, n_cells, m, n), np.float32)
        bias = np.empty((n_cells, 10, n_cells, n), np.float32)
        for i, (own_weights, own_bias) in trainer.train_chunks(chunks):
            weights[portions[i].place], bias[portions[i].place] = own_weights[-1], own_bias[-1]
        stages.append(time.perf_counter())
        weights, bias = (np.ascontiguousarray(x.swapaxes(1, 2)) for x in (weights, bias))
        models = evaluate_cells(plane, weights, bias, "paper", {}, THREADS)
        stages.append(time.perf_counter())
        names, counts = np.unique(models.phase.astype(str), return_counts=True)
        say(
            f"{n}, {m}: {models.loss.size} models, {n_steps} steps: starting points {stages[1] - stages[0]:.2f} s, "
            f"training {stages[2] - stages[1]:.2f} s, exact losses and phases {stages[3] - stages[2]:.2f} s"
        )
        low, middle, high = np.quantile(models.excess, [0.1, 0.5, 0.9])
        say(f"mean loss {models.loss.mean():.6g}; best of ten above its basin's bottom: {low:.1e}, {middle:.1e}, {high:.1e}")
        say(", ".join(f"{names[i]}: {counts[i] / models.loss.size:.1%}" for i in np.argsort(-counts)[:6]))


def equality(n_models, n_steps):
    """Compare final exact losses from the same starting points: two-sample Kolmogorov–Smirnov tests of GPU and CPU."""
    for n, m, density in EQUALITY:
        model = ToyModel(m, 0.8 ** np.arange(n), density)
        losses = [
            train(
                model, n_models=n_models, n_steps=n_steps, batch_size=BATCH, seed=seed, independent=True, device=device,
                initial_weights=starts(n, m, n_models, n),
            ).loss
            for seed, device in enumerate(("cuda", "cpu"), start=1)
        ]  # fmt: skip
        compare(n, m, density, *losses)
    for n, m, density in SHARED:
        axes = {"importance": [0.8], "density": [density]}
        options = {"n_seeds": n_models, "n_steps": n_steps, "batch_size": BATCH, "seed": 1}
        compare(
            n,
            m,
            density,
            *(trained_phase_diagram(n, m, **axes, **options, device=x).trained.loss.ravel() for x in ("cuda", "cpu")),
        )


def compare(n, m, density, on_gpu, on_cpu):
    """Print how final losses of models on the GPU and on processors differ, in the order of their starting points."""
    difference = on_gpu - on_cpu
    say(
        f"{n}, {m} at {density}: p = {ks_2samp(on_gpu, on_cpu, method='asymp').pvalue:.3f}, means {on_gpu.mean():.6g} (GPU) and "
        f"{on_cpu.mean():.6g}, {difference.mean() / difference.std() * np.sqrt(difference.size):+.1f} standard errors, "
        f"correlation {np.corrcoef(on_gpu, on_cpu)[0, 1]:.4f}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("rates", "protocol", "equality"), action="append", help="a part, or several")
    parser.add_argument("--peers", nargs="*", choices=[*PEERS, "none"], default=list(PEERS))
    parser.add_argument("--seconds", type=float, default=0.3, help="least length of one measurement")
    parser.add_argument("--sizes", type=int, default=len(SIZES), help="how many sizes")
    parser.add_argument("--n-models", type=int, help="models in the rates")
    parser.add_argument("--kind", choices=KINDS, help="of the kernels in the rates, not the one that suits each (_cuda/kinds.py)")
    parser.add_argument("--batch-size", type=int, default=BATCH)
    parser.add_argument("--n-steps", type=int, default=10_000, help="of the protocol")
    parser.add_argument("--n-cells", type=int, default=100, help="of the protocol, along each axis")
    parser.add_argument("--equal-models", type=int, default=256)
    parser.add_argument("--equal-steps", type=int, default=3000)
    chosen = parser.parse_args()
    BATCH = chosen.batch_size
    if chosen.kind:
        engines.kind_of = lambda chunk: chosen.kind
    parts = chosen.only or ("rates", "equality", "protocol")
    try:
        as_device("cuda", ToyModel(1, [1, 1], 0.5).form)
    except ValueError as error:
        parser.exit(1, f"{error}\n")
    name = "numba's simulator" if numba.config.ENABLE_CUDASIM else trainer.cuda.get_current_device().name
    say(f"{name}; {THREADS} threads; numba {numba.__version__}, NumPy {np.__version__}")
    if "protocol" in parts:
        protocol(chosen.n_steps, chosen.n_cells)
    if "equality" in parts:
        equality(chosen.equal_models, chosen.equal_steps)
    if "rates" in parts:
        rates(SIZES[: chosen.sizes], [peer for peer in chosen.peers if peer != "none"], chosen.seconds, chosen.n_models)
