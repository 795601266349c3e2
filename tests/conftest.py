"""Fixtures of tests that run other processes and watch them train, and of tests of the training kernels."""

import os
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the command does, and before numpy: the threads of small matrices wait

import numpy as np
import pytest

import phasediag
from phasediag._training.chunks import Chunk
from phasediag._training.outputs import LINEAR, RELU
from phasediag._training.streams import stream_key
from phasediag.cli import main


@pytest.fixture(scope="session", autouse=True)
def one_processor_for_each_worker():
    """Curves are followed in the process of the test where pytest's workers keep the others busy: a fork loads all kernels anew.

    That their bits are the same in any number of processes is shown by tests of their own.
    """
    with pytest.MonkeyPatch.context() as patch:
        if "PYTEST_XDIST_WORKER" in os.environ:
            patch.setattr("phasediag._boundaries.network.usable_processors", lambda: 1)
        yield


@pytest.fixture
def run(capsys):
    """Run the command in this process; returns (exit code, stdout, stderr)."""

    def call(*arguments):
        with pytest.raises(SystemExit) as end:
            main([str(a) for a in arguments])
        captured = capsys.readouterr()
        return end.value.code, captured.out, captured.err

    return call


@pytest.fixture(scope="session")
def environment():
    """This environment with the package under test first on the path."""
    root = str(Path(phasediag.__file__).parent.parent)
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))}


@pytest.fixture(scope="session")
def wait_for():
    """Wait until ``ready()``, while a process runs and not for ever."""

    def wait(ready, process, seconds=120):
        until = time.monotonic() + seconds
        while not ready():
            assert time.monotonic() < until and process.poll() is None
            time.sleep(0.002)

    return wait


@pytest.fixture(scope="session")
def finished_portions():
    """How many portions a store on disk holds; its files appear under their names when they are whole."""
    return lambda store: sum(1 for path in Path(store, "bias", "c").rglob("*") if path.is_file() and path.name == "0")


@pytest.fixture(scope="session")
def stopped_at_third():
    """The program of a process that gets a signal, named, just when the third portion is on disk, however fast the machine."""
    return """
import itertools, os, signal, threading
from phasediag._training.store import Store

numbers, write, one_by_one = itertools.count(1), Store.write, threading.Lock()
signal.signal(signal.SIGINT, signal.default_int_handler)  # some shells start what runs in the background without

def stopped(*arguments):
    with one_by_one:
        number = next(numbers)
        if number <= 3:
            write(*arguments)
        if number == 3:
            os.kill(os.getpid(), signal.{signal})

Store.write = stopped
""".format


@pytest.fixture(scope="session")
def make_chunk():
    """Make chunks of models for the training kernels."""

    def call(n, m, density, batch_size, n_models=3, seed=0, **changes):
        """Return a chunk of models with random parameters; one SGD step of length 1 by default."""
        rng = np.random.default_rng(seed)
        independent = changes.pop("independent", False)
        if not changes.pop("relu", True):
            changes["activation"] = LINEAR
        settings = dict(
            importance=rng.uniform(0.5, 1.5, (n_models, n)),
            density=np.broadcast_to(np.asarray(density, float), n),
            activation=RELU,
            weights=rng.normal(size=(n_models, m, n)).astype(np.float32) / np.sqrt(m),
            bias=rng.normal(size=(n_models, n)).astype(np.float32) / 10,
            independent=independent,
            keys=np.array([stream_key(seed, i) for i in range(n_models if independent else 1)]),
            batch_size=batch_size,
            optimizer="sgd",
            schedule="constant",
            learning_rate=1.0,
            weight_decay=0.0,
            n_steps=1,
            recorded=(1,),
        )
        return Chunk(**{**settings, **changes})

    return call


@pytest.fixture(scope="session")
def reference_gradient():
    """The plain reference of the training kernels."""

    def call(x, importance, weights, bias, relu):
        """Return the gradient of the loss averaged over batch and features, from the model's definition."""
        hidden = x @ weights.T
        output = hidden @ weights + bias
        error = importance * ((np.maximum(output, 0) if relu else output) - x)
        if relu:
            error = error * (output > 0)
        error = 2 * error / x.size
        return hidden.T @ error + (weights @ error.T) @ x, error.sum(axis=0)

    return call
