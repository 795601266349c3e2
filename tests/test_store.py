"""The store of a long training: readable at any time, and a killed run goes on with the same bits."""

import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import xarray
import zarr

from phasediag import trained_phase_diagram
from phasediag._training.store import Store

IMPORTANCE, DENSITY = np.geomspace(0.1, 10, 4), np.geomspace(0.3, 1, 5)
OPTIONS = dict(n_seeds=6, n_steps=40, batch_size=64, seed=3)
SMALL = dict(importance=IMPORTANCE, density=DENSITY, **OPTIONS)

RUN = """
import numpy as np
from phasediag import trained_phase_diagram

axes = dict(importance=np.geomspace(0.1, 10, 4), density=np.geomspace(0.3, 1, 5))
trained_phase_diagram(2, 1, **axes, n_seeds=6, n_steps=20_000, seed=3, store={path!r})
"""
"""A run of thirty portions."""


def same(one, two):
    return np.array_equal(one.trained.weights, two.trained.weights) and np.array_equal(one.trained.bias, two.trained.bias)


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A store that holds a whole diagram, and the diagram."""
    path = tmp_path_factory.mktemp("whole") / "store.zarr"
    return path, trained_phase_diagram(2, 1, **SMALL, store=path)


def test_a_store_changes_no_bit(filled):
    """With a store, without one, and from a full store: the same diagram."""
    path, diagram = filled
    assert same(diagram, trained_phase_diagram(2, 1, **SMALL))
    again = trained_phase_diagram(2, 1, **SMALL, store=path, reduction="best")
    assert same(diagram, again) and not np.array_equal(diagram.interference, again.interference)


def test_xarray_reads_the_store(filled):
    """Axes carry their names and values; attributes say what the models are."""
    path, diagram = filled
    with xarray.open_zarr(path, consolidated=False) as data:
        cell = data.sel(density=DENSITY[1], importance=IMPORTANCE[2])
        assert np.array_equal(cell["weights"].transpose("replicate", "hidden", "feature"), diagram.trained.weights[1, 2])
        assert np.array_equal(cell["bias"].transpose("replicate", "feature"), diagram.trained.bias[1, 2])
        assert OPTIONS.items() <= data.attrs.items()
        assert data.attrs["optimizer"] == "adamw" and data.attrs["n_hidden"] == 1


def test_only_what_is_missing_is_trained(filled, monkeypatch):
    """From a store with holes, the holes alone are filled, with the bits they had."""
    from phasediag._training import portions

    path, diagram = filled
    group = zarr.open_group(path, mode="r+")
    group["bias"][2, 1] = np.nan
    group["weights"][4, 5] = np.nan
    group["bias"][4, 5] = np.nan
    begun = []

    def noted(run, stopped):
        begun.extend((portion.row, portion.replicate) for portion in run)
        return train_portions(run, stopped)

    train_portions = portions.train_portions
    monkeypatch.setattr(portions, "train_portions", noted)
    assert same(diagram, trained_phase_diagram(2, 1, **SMALL, store=path))
    assert sorted(begun) == [(2, 1), (4, 5)]


def test_a_killed_run_goes_on_with_the_same_bits(tmp_path, environment, finished_portions, stopped_at_third):
    """SIGKILL in the middle, then the same call: models finished before are kept, the end is that of an unbroken run."""
    path = tmp_path / "store.zarr"
    killed = subprocess.run(
        [sys.executable, "-c", stopped_at_third(signal="SIGKILL") + RUN.format(path=str(path))], env=environment, timeout=120
    )
    assert killed.returncode == -signal.SIGKILL and finished_portions(path) == 3
    options = dict(importance=IMPORTANCE, density=DENSITY, n_seeds=6, n_steps=20_000, seed=3)
    before = zarr.open_group(path, mode="r")["bias"][...]
    done = ~np.isnan(before).any(axis=-1)
    assert done.sum() == 3 * 4
    resumed = trained_phase_diagram(2, 1, **options, store=path)
    assert np.array_equal(resumed.trained.bias.swapaxes(1, 2)[done], before[done])
    assert same(resumed, trained_phase_diagram(2, 1, **options))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(seed=4), "store must belong to a run with seed 4, got one with 3"),
        (dict(n_steps=41), "store must belong to a run with n_steps 41, got one with 40"),
        (dict(n_seeds=7), "store must belong to a run with n_seeds 7, got one with 6"),
        (dict(learning_rate=2e-3), "store must belong to a run with learning_rate 0.002, got one with 0.001"),
        (dict(independent=True), "store must belong to a run with independent True, got one with False"),
        (dict(importance=IMPORTANCE[1:]), "store must belong to a run with the same importance, got another grid"),
        (dict(density=DENSITY / 2), "store must belong to a run with the same density, got another grid"),
        (dict(n_features=3), "store must belong to a run with n_features 3, got one with 2"),
    ],
)
def test_stores_of_other_runs_are_refused(filled, change, message):
    """Any difference that decides numbers is named, and the store stays as it is."""
    path, diagram = filled
    with pytest.raises(ValueError, match=message):
        trained_phase_diagram(**{**SMALL, **change}, store=path)
    assert same(diagram, trained_phase_diagram(2, 1, **SMALL, store=path))


@pytest.mark.quick("_training")
def test_two_runs_that_begin_one_store_at_once_share_it(tmp_path, monkeypatch):
    """What another process has made between the look and the making is opened."""
    expected, create = trained_phase_diagram(2, 1, **SMALL), Store._create

    def late(self, *arguments):
        monkeypatch.setattr(Store, "_create", create)
        trained_phase_diagram(2, 1, **SMALL, store=tmp_path / "store")
        return create(self, *arguments)

    monkeypatch.setattr(Store, "_create", late)
    found = trained_phase_diagram(2, 1, **SMALL, store=tmp_path / "store")
    assert np.array_equal(found.trained.weights, expected.trained.weights)
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_other_folders_are_refused(tmp_path):
    """Folders and files that are no store, and places where none can be made, are left alone."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "precious").write_text("data")
    (tmp_path / "file").write_text("data")
    zarr.open_group(tmp_path / "group", mode="w")
    for name in ("other", "file", "group"):
        with pytest.raises(ValueError, match="store must be a new folder or one that a run began, got"):
            trained_phase_diagram(2, 1, **SMALL, store=tmp_path / name)
    with pytest.raises(ValueError, match="store must be a folder that can be made, got"):
        trained_phase_diagram(2, 1, **SMALL, store=tmp_path / "file" / "below")
    assert (tmp_path / "other" / "precious").read_text() == (tmp_path / "file").read_text() == "data"


def test_a_store_needs_zarr(monkeypatch, tmp_path):
    """Without the package, the message says what to install."""
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(ValueError, match=r'install "phasediag\[store\]"'):
        Store(tmp_path / "new", {"density": DENSITY, "importance": IMPORTANCE}, (5, 6, 4, 1, 2), {})


def test_other_folders_nearby_are_left_alone(tmp_path):
    """A store touches its own folder only, and leaves nothing else behind."""
    neighbours = [tmp_path / name for name in ("runs.new", "runs.partial", "runs.zarr")]
    for neighbour in neighbours:
        neighbour.mkdir()
        (neighbour / "kept").write_text("precious")
    trained_phase_diagram(2, 1, **SMALL, store=tmp_path / "runs")
    assert all((neighbour / "kept").read_text() == "precious" for neighbour in neighbours)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs", "runs.new", "runs.partial", "runs.zarr"]


@pytest.mark.parametrize(
    ("path", "message"), [(".", "a folder of its own, got '.'"), ("", "a folder of"), (3, "path of a folder")]
)
def test_a_store_is_a_folder_with_a_name(path, message):
    """What is no path, or a path without a name, is refused in a sentence."""
    with pytest.raises(ValueError, match=f"store must be .*{message}"):
        trained_phase_diagram(2, 1, **SMALL, store=path)


def test_damaged_stores_are_named(tmp_path):
    """A missing array and a file cut short are told from a store that can be gone on with."""
    trained_phase_diagram(2, 1, **SMALL, store=tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    shutil.rmtree(tmp_path / "one" / "bias")
    chunk = next(path for path in (tmp_path / "two" / "bias").rglob("*") if path.is_file() and path.name != "zarr.json")
    chunk.write_bytes(b"cut")
    for name in ("one", "two"):
        with pytest.raises(ValueError, match=f"store must hold the models of a run, got a damaged one, .*{name}"):
            trained_phase_diagram(2, 1, **SMALL, store=tmp_path / name)


def test_a_run_without_a_seed_goes_on_with_the_store_s(tmp_path):
    """The seed drawn for None is the store's: the same call ends with the same bits."""
    options = {**SMALL, "seed": None}
    first, again = (trained_phase_diagram(2, 1, **options, store=tmp_path / "store") for _ in range(2))
    assert same(first, again) and not same(first, trained_phase_diagram(2, 1, **options))
