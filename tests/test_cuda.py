"""Training on a GPU: its kernels on numba's simulator, and what is said without a GPU."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chisquare, kstest

from phasediag import Pieces, ToyModel, train, trained_phase_diagram
from phasediag._cuda import streams
from phasediag._cuda.unrolling import known, registers, specialised, unrolled
from phasediag._training.pattern_law import independent_patterns

MODEL = ToyModel(1, np.ones(2), 0.3)


@pytest.mark.parametrize("chosen", [pytest.param("quick", marks=pytest.mark.quick("_cuda")), "not quick"])
def test_kernels_on_the_simulator(chosen):
    """The tests of `simulated_cuda.py` pass in a process whose numba simulates a GPU."""
    folder = Path(__file__).parent
    environment = os.environ | {"NUMBA_ENABLE_CUDASIM": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    options = ["-q", "-x", "-m", chosen, "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *options, str(folder / "simulated_cuda.py")]
    done = subprocess.run(command, cwd=folder.parent, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_without_a_gpu_one_error_says_what_is_missing(monkeypatch):
    """Either the GPU with its package, or the driver where the package is there."""
    monkeypatch.setattr("numba.cuda.is_available", lambda: False)
    monkeypatch.setattr("phasediag._cuda.device.find_spec", lambda name: None)
    with pytest.raises(ValueError, match='device "cuda" needs a GPU of NVIDIA and the package numba-cuda: install "phasediag'):
        train(MODEL, n_models=1, n_steps=1, device="cuda")
    monkeypatch.setattr("phasediag._cuda.device.find_spec", lambda name: name)
    with pytest.raises(ValueError, match='device "cuda" needs a GPU of NVIDIA and its driver, got none'):
        trained_phase_diagram(importance=[1.0], density=[0.5], device="cuda")


def test_devices_are_named():
    """Another device, and the exact gradient on a GPU, are refused."""
    with pytest.raises(ValueError, match="device"):
        train(MODEL, n_models=1, n_steps=1, device="tpu")
    with pytest.raises(ValueError, match='device must be "cpu" with gradient "population"'):
        train(MODEL, n_models=1, n_steps=1, gradient="population", device="cuda")
    assert train(MODEL, n_models=1, n_steps=1).options["device"] == "cpu"


def _template(x, *, n, double):
    """Sum of x to the powers 0 … n − 1, or twice that."""
    power = registers()
    power[0] = 1
    for i in unrolled(range(1, n)):
        power[i] = power[i - 1] * x
    total = 0
    for i in unrolled(range(n)):
        total += power[i]
    for i in range(2):
        total += i
    if known(double):
        total *= 2
    return total


def test_templates_are_written_out():
    """Unrolled loops, known conditions and registers do what they say; other loops with the same variable stay."""
    assert specialised(_template, n=4, double=False)(3) == 1 + 3 + 9 + 27 + 1
    assert specialised(_template, n=2, double=True)(3) == 2 * (1 + 3 + 1)


def seen(model, *, n_steps, **options):
    """A run that shows the minibatches of two models trained on a GPU, without one."""
    run = train(model, n_models=2, n_steps=1, **{"seed": 5} | options)
    return replace(run, options={**run.options, "n_steps": n_steps, "device": "cuda"})


@pytest.mark.parametrize("independent", [False, True])
def test_the_law_of_few_features(independent):
    """Patterns have their probabilities and values are uniform, those of one active feature and of several."""
    density = np.array([0.2, 0.5, 0.4])
    run = seen(ToyModel(1, np.ones(3), density), n_steps=60, batch_size=100, independent=independent)
    x = np.concatenate([run.minibatch(step) for step in range(60)])
    found = np.bincount((x > 0) @ [1, 2, 4], minlength=8)
    assert chisquare(found, independent_patterns(density) * len(x)).pvalue > 1e-3
    single = (x > 0).sum(axis=1) == 1
    for values in (x[single], x[~single]):
        assert kstest(values[values > 0], "uniform").pvalue > 1e-3


@pytest.mark.parametrize("independent", [False, True])
def test_the_law_of_many_features(independent):
    """Features are active independently with their densities, and uniform where active: lists of them, or all of them."""
    density = np.linspace(0.02, 0.6, 9)
    run = seen(ToyModel(1, np.ones(9), density), n_steps=40, batch_size=100, independent=independent, seed=6)
    x = np.concatenate([run.minibatch(step) for step in range(40)])
    active, errors = (x > 0).mean(axis=0), np.sqrt(density * (1 - density) / len(x))
    assert np.all(np.abs(active - density) < 4 * errors)
    joint, expected = (x > 0).T.astype(float) @ (x > 0) / len(x), np.outer(density, density)
    off = ~np.eye(9, dtype=bool)
    assert np.all(np.abs(joint - expected)[off] < 4.5 * np.sqrt(expected * (1 - expected) / len(x))[off])
    assert kstest(x[x > 0], "uniform").pvalue > 1e-3


def test_streams_of_seeds_steps_and_models_are_independent():
    """Words of two streams are uncorrelated, and a step of one is never found in another."""
    model = ToyModel(1, np.ones(2), 1.0)
    runs = [seen(model, n_steps=20, batch_size=200, seed=seed, independent=True) for seed in (0, 1)]
    of_streams = [np.concatenate([run.minibatch(step, k) for step in range(20)]) for run in runs for k in (0, 1)]
    of_streams.append(np.concatenate([runs[0].minibatch(step) for step in [*range(1, 20), 0]]))
    correlation = np.corrcoef([x.ravel() for x in of_streams])[~np.eye(5, dtype=bool)]
    assert np.abs(correlation).max() < 4.5 / np.sqrt(8000)
    assert np.unique(np.concatenate([x.ravel() for x in of_streams[:4]])).size > 4 * 8000 * 0.99


def test_philox():
    """The words of Random123's known answers for Philox4x32-10."""
    ones = 0xFFFFFFFF
    assert [int(w) for w in streams.philox(0, 0, 0, 0, 0, 0)] == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    assert [int(w) for w in streams.philox(*[ones] * 6)] == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]
    pi = streams.philox(0xA4093822, 0x299F31D0, 0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344)
    assert [int(w) for w in pi] == [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1]


def test_alias_tables_hold_their_laws():
    """Over all places and fractions the tables give the probabilities they were made of."""
    probability = independent_patterns([0.3, 0.05, 0.6])
    laws = streams.laws_of([probability], [None], 50)
    place, count = laws.places[0, streams.PRESENT], laws.places[0, streams.N_PRESENT]
    entries, found = slice(place, place + count), np.zeros(8)
    np.add.at(found, laws.own[entries], laws.cut[entries] / 2.0**32 / count)
    np.add.at(found, laws.other[entries], (1 - laws.cut[entries] / 2.0**32) / count)
    assert found[1:] == pytest.approx(probability[1:] / probability[1:].sum(), abs=1e-8)


@pytest.mark.parametrize(("n", "independent"), [(3, False), (9, False), (9, True)])
def test_values_of_any_law(n, independent):
    """Atoms have their probabilities, intervals are uniform, whether a feature is active alone, first or later."""
    values = Pieces(atoms=((-0.5, 0.3), (1.0, 0.2)), intervals=((0.2, 0.8, 0.5),))
    run = seen(ToyModel(1, np.ones(n), 0.4, values=values), n_steps=40, batch_size=100, independent=independent)
    x = np.concatenate([run.minibatch(step) for step in range(40)])
    for several in (False, True):
        active = x[((x != 0).sum(axis=1) > 1) == several]
        active = active[active != 0]
        found = [np.sum(np.isclose(active, -0.5)), np.sum(np.isclose(active, 1.0))]
        inside = active[(active > -0.49) & (active < 0.99)]
        assert chisquare([*found, inside.size], np.array([0.3, 0.2, 0.5]) * active.size).pvalue > 1e-3
        assert kstest((inside - 0.2) / 0.6, "uniform").pvalue > 1e-3
