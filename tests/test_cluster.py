"""Training on a dask cluster: a real scheduler and two worker processes on the loopback interface."""

import json
import subprocess
import sys
import threading

import numpy as np
import pytest

from phasediag import trained_phase_diagram
from phasediag._training.cluster import cluster_executor

SMALL = dict(importance=np.geomspace(0.1, 10, 4), density=np.geomspace(0.3, 1, 5), n_seeds=6, seed=3)


@pytest.fixture
def cluster(tmp_path, environment, wait_for):
    """Address of a scheduler, and its two worker processes; all end with the test, or by themselves a minute later."""
    file, processes = tmp_path / "scheduler.json", []
    environment = {**environment, "PYTHONWARNINGS": "ignore", "NUMBA_NUM_THREADS": "1"}

    def start(kind, *options):
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *options]
        processes.append(subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, cwd=tmp_path))
        return processes[-1]

    def written():
        try:
            return bool(json.loads(file.read_text()))
        except (OSError, ValueError):
            return False

    try:
        scheduler = start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file),
                          "--idle-timeout", "60s")  # fmt: skip
        wait_for(written, scheduler)
        for _ in range(2):
            start("worker", "--scheduler-file", str(file), "--host", "127.0.0.1", "--nthreads", "1", "--no-nanny",
                  "--no-dashboard", "--death-timeout", "60")  # fmt: skip
        yield json.loads(file.read_text())["address"], processes[1:]
    finally:
        for process in reversed(processes):
            process.kill()
            process.wait()


def test_a_cluster_gives_the_same_bits_even_when_a_worker_dies(cluster, tmp_path, wait_for, finished_portions):
    """Two workers train; one is killed in the middle; the diagram is the one of this process."""
    address, workers = cluster
    options = {**SMALL, "n_steps": 8000}
    with cluster_executor(address, timeout=60) as executor:
        wait_for(lambda: len(executor._client.scheduler_info()["workers"]) == 2, workers[0])
        found = {}
        store = tmp_path / "store"
        training = threading.Thread(
            target=lambda: found.update(diagram=trained_phase_diagram(2, 1, **options, executor=executor, store=store))
        )
        training.start()
        wait_for(lambda: finished_portions(store) >= 4, workers[0])
        workers[0].kill()
        assert finished_portions(store) < 30  # it died before the work was done
        training.join(120)
    assert not training.is_alive() and workers[0].wait() < 0 and workers[1].poll() is None
    here = trained_phase_diagram(2, 1, **options)
    assert np.array_equal(found["diagram"].trained.weights, here.trained.weights)
    assert np.array_equal(found["diagram"].trained.bias, here.trained.bias)


def test_the_command_line_trains_on_a_cluster(cluster, run):
    """--scheduler tcp://… changes nothing in what is printed."""
    arguments = ["diagram", "--theory", "trained", "--importance", "0.1:10:4", "--density", "0.3:1:2", "--n-seeds", 2,
                 "--n-steps", 20, "--json"]  # fmt: skip
    address, _ = cluster
    assert run(*arguments, "--scheduler", address)[:2] == run(*arguments)[:2]


def test_a_cluster_needs_distributed(monkeypatch):
    """Without the package, the message says what to install."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ValueError, match=r'install "phasediag\[cluster\]"'), cluster_executor("tcp://127.0.0.1:1"):
        pass


def test_a_scheduler_that_does_not_answer_is_named():
    """A closed port is one error with the address."""
    with (
        pytest.raises(ValueError, match="scheduler must be the address of a running dask scheduler, got 'tcp://127"),
        cluster_executor("tcp://127.0.0.1:1", timeout=0.3),
    ):
        pass
