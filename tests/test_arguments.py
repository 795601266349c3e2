"""Arguments that many doors take: one form, one error."""

import re

import numpy as np
import pytest

import phasediag as pd
from phasediag import ToyModel, phase_diagram
from phasediag._minimizing import landscape
from phasediag.diagram import PhaseDiagram

MODEL = ToyModel(1, [1.0, 1.0], 0.5)
SMALL = dict(importance=[0.5, 1.5], density=[0.3], n_starts=1)
DOORS = {
    "sample": lambda seed: MODEL.sample(3, seed=seed),
    "monte_carlo_loss": lambda seed: pd.monte_carlo_loss(MODEL, np.eye(2)[:1], np.zeros(2), n_samples=9, seed=seed),
    "minimize": lambda seed: pd.minimize(MODEL, n_starts=1, seed=seed),
    "inspect": lambda seed: pd.inspect(MODEL, np.eye(2)[:1], np.zeros(2), n_starts=1, seed=seed),
    "thomson": lambda seed: pd.thomson(2, 2, n_starts=1, seed=seed),
    "phase_diagram": lambda seed: phase_diagram(**SMALL, seed=seed),
    "train": lambda seed: pd.train(MODEL, n_models=1, n_steps=1, batch_size=1, seed=seed),
    "sweep_density": lambda seed: pd.sweep_density(1, [1.0, 1.0], [0.5], n_models=1, n_steps=1, batch_size=1, seed=seed),
    "trained_phase_diagram": lambda seed: pd.trained_phase_diagram(
        importance=[1.0], density=[0.5], n_seeds=2, n_steps=1, batch_size=1, seed=seed
    ),
    "validate": lambda seed: pd.validate(importance=[1.0], density=[0.5], n_seeds=2, n_steps=1, batch_size=1, seed=seed),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("seed", [-1, "abc", 1.5, True, [1, 2]])
def test_a_bad_seed_is_named_alike_at_every_door(door, seed):
    """What is no seed is refused in the same words wherever a seed is taken."""
    words = f"seed must be None, a whole number ≥ 0 or a numpy Generator, got {seed!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(words)}$"):
        DOORS[door](seed)


@pytest.mark.parametrize("door", [door for door in DOORS if door != "validate"])
def test_every_door_takes_every_form_of_a_seed(door):
    """None, whole numbers of Python and numpy, and Generators; the whole numbers mean the same."""
    one, same = DOORS[door](5), DOORS[door](np.int64(5))
    for name in ("weights", "loss"):
        if hasattr(one, name):
            assert np.array_equal(getattr(one, name), getattr(same, name))
    DOORS[door](None)
    DOORS[door](np.random.default_rng(5))


def test_a_drawn_seed_is_remembered(tmp_path):
    """The diagram, its file and the checkpoint know the seed that was drawn for None: a search without a seed goes on."""
    path = tmp_path / "search.npz"
    found = phase_diagram(**SMALL, seed=None, checkpoint=path)
    assert found.seed > 2**32 and found.seed != phase_diagram(**SMALL, seed=None).seed
    found.save(tmp_path / "diagram.npz")
    assert PhaseDiagram.load(tmp_path / "diagram.npz").seed == found.seed
    for seed in (None, found.seed):
        again = phase_diagram(**SMALL, seed=seed, checkpoint=path)
        assert again.seed == found.seed and np.array_equal(again.minima, found.minima)
    assert phase_diagram(**SMALL, seed=7).seed == 7
    assert phase_diagram(**SMALL, seed=np.random.default_rng(1)).seed == np.random.default_rng(1).integers(2**63)
    closed = phase_diagram(importance=[1.0], density=[0.5], theory="frozen")
    closed.save(tmp_path / "diagram.npz")
    assert closed.seed is None and PhaseDiagram.load(tmp_path / "diagram.npz").seed is None


def test_a_search_without_a_seed_goes_on_where_it_stopped(tmp_path, monkeypatch):
    """Stopped on its way, it ends with the bits of a search that was not."""
    path, settle, calls = tmp_path / "search.npz", landscape.descend_cells, []

    def stop(*arguments, **options):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return settle(*arguments, **options)

    monkeypatch.setattr(landscape, "descend_cells", stop)
    with pytest.raises(KeyboardInterrupt):
        phase_diagram(**SMALL, seed=None, n_threads=1, checkpoint=path)
    monkeypatch.undo()
    found = phase_diagram(**SMALL, seed=None, checkpoint=path)
    assert np.array_equal(found.minima, phase_diagram(**SMALL, seed=found.seed).minima)
