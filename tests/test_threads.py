"""How many threads work where the caller does not say: one for each processor that the process may use."""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import pytest

from phasediag import ToyModel, expected_loss, phase_diagram, sweep_density, train, trained_phase_diagram
from phasediag._arguments import thread_count, usable_processors
from phasediag._boundaries import network
from phasediag._loss import evaluation
from phasediag.attribution import attribute

AXES = {"importance": [0.5, 2.0], "density": [0.3, 1.0]}


@pytest.fixture
def three_processors(monkeypatch):
    """Let the process run on three processors, whatever the machine has."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {1, 4, 6}, raising=False)
    monkeypatch.setattr(os, "process_cpu_count", lambda: 3, raising=False)
    monkeypatch.setattr("phasediag._loss.evaluation.processors", usable_processors)  # which a process asks for once
    monkeypatch.setattr(network, "usable_processors", usable_processors)  # see `one_processor_for_each_worker`


@pytest.fixture
def pools(monkeypatch):
    """The sizes of the pools of threads that are made."""
    made, start = [], ThreadPoolExecutor.__init__

    def counted(pool, max_workers=None, *arguments, **options):
        made.append(max_workers)
        start(pool, max_workers, *arguments, **options)

    monkeypatch.setattr(ThreadPoolExecutor, "__init__", counted)
    return made


def _trained(**options):
    return trained_phase_diagram(2, 1, **AXES, n_seeds=2, n_steps=5, batch_size=16, **options)


def test_every_door_uses_the_processors_that_the_process_may_use(three_processors, pools, monkeypatch):
    """Training, searches, sweeps, attributions and large batches of losses alike."""
    monkeypatch.setattr("phasediag._arguments._cgroup_shares", lambda root: ())
    monkeypatch.setattr(evaluation, "_threads", cache(evaluation._threads.__wrapped__))
    exact, trained = phase_diagram(2, 1, **AXES), _trained()
    doors = (
        lambda: train(ToyModel(1, [1, 1], 0.5), n_models=48, n_steps=5, batch_size=16),
        _trained,
        lambda: phase_diagram(2, 1, **AXES),
        lambda: attribute(trained, exact),
        lambda: sweep_density(1, [1, 1], [0.5], n_models=2, n_steps=5, batch_size=16),
        lambda: expected_loss(ToyModel(1, np.ones(8), 0.5), np.ones((4, 1, 8)), np.zeros((4, 8))),
    )
    for door in doors:
        pools.clear()
        evaluation._threads.cache_clear()  # which are started once
        door()
        assert pools and set(pools) == {3}


def test_boundaries_are_followed_in_as_many_processes(three_processors, monkeypatch):
    """As there are processors, or fewer if the caller says so: also behind spinodals."""
    monkeypatch.setattr("phasediag._arguments._cgroup_shares", lambda root: ())
    asked, workers = [], network.Workers
    monkeypatch.setattr(network, "Workers", lambda count, *common: asked.append(count) or workers(1, *common))
    phase_diagram(2, 1, **AXES).boundaries()
    phase_diagram(2, 1, **AXES).boundaries(n_threads=10**6)
    phase_diagram(2, 1, **AXES).spinodals(n_threads=2)
    assert asked == [3, 3, 2]


def test_bits_do_not_depend_on_the_processors(three_processors):
    """A diagram trained on all processors is the one trained on one of them."""
    one, all_ = _trained(n_threads=1).trained, _trained().trained
    assert np.array_equal(one.weights, all_.weights) and np.array_equal(one.loss, all_.loss)


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("0::/", {}, 3),
        ("0::/", {"cpu.max": "max 100000\n"}, 3),
        ("0::/a/b", {"a/b/cpu.max": "150000 100000\n", "a/cpu.max": "max 100000\n"}, 2),
        ("0::/a/b", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "50000 100000\n"}, 1),
        ("0::/elsewhere", {"cpu.max": "200000 100000\n"}, 2),
        ("0::/", {"cpu.max": "900000 100000\n"}, 3),
        ("5:cpu,cpuacct:/c\n1:name=systemd:/c", {"cpu,cpuacct/c/cpu.cfs_quota_us": "200000\n",
                                                 "cpu,cpuacct/c/cpu.cfs_period_us": "100000\n"}, 2),
        ("5:cpu:/c\n0::/", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        ("3:cpuset:/", {"cpuset/cpu.max": "100000 100000"}, 3),
        (None, {}, 3),
    ],
)  # fmt: skip
def test_limits_of_control_groups_are_heeded(three_processors, tmp_path, groups, files, expected):
    """The tightest of affinity and quotas of either version, of the own group and of those around it; a part counts as one."""
    if groups is not None:
        (tmp_path / "proc/self").mkdir(parents=True)
        (tmp_path / "proc/self/cgroup").write_text(groups + "\n")
    for name, text in files.items():
        path = tmp_path / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert usable_processors(tmp_path) == expected


def test_a_number_given_is_kept():
    """Only None asks for the default; what is no number of threads is refused."""
    assert thread_count(7) == 7 and thread_count(None) == usable_processors() >= 1
    with pytest.raises(ValueError, match="n_threads must be a whole number ≥ 1, got 0"):
        thread_count(0)
