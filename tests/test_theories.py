"""The three theories over a grid: their order, zeros, symmetry, connected phases, and searches that were interrupted."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from phasediag import ControlPlane, PhaseDiagram, ToyModel, configurations, expected_loss, minimize, phase_diagram
from phasediag._minimizing import landscape, stationary_points
from phasediag._minimizing.landscape import Landscape
from phasediag._minimizing.search_state import SearchState
from phasediag.forms import Form
from phasediag.model import cell_controls
from phasediag.theories import global_grid, landscape_fields

SQUARE = 17
AXES = {size: (np.geomspace(0.1, 10, size), np.geomspace(0.01, 1, size)) for size in (9, 13, 17, 24, 32, 48)}


def paper_plane(n_features, n_hidden, importance, density):
    """The plane of importance and density."""
    return ControlPlane.importance_density(n_features, n_hidden, importance=importance, density=density)


@cache
def diagram(shape, theory, size=SQUARE, activation="relu"):
    """A diagram over the paper's axes with fewer steps."""
    importance, density = AXES[size]
    return phase_diagram(*shape, importance=importance, density=density, theory=theory, activation=activation)


@pytest.mark.parametrize(("shape", "size"), [((2, 1), 17), ((3, 2), 17), ((4, 2), 9)])
def test_global_is_below_relaxed_is_below_frozen(shape, size):
    """Cell by cell: what may move more ends no higher."""
    frozen, relaxed, lowest = (diagram(shape, theory, size).loss for theory in ("frozen", "relaxed", "global"))
    assert np.all(relaxed <= frozen * (1 + 1e-13)) and np.all(lowest <= relaxed * (1 + 1e-13))
    assert np.any(relaxed < 0.99 * frozen)
    if shape == (4, 2):  # no single pattern frees everything
        assert np.any(lowest < relaxed * (1 - 1e-6))


def test_the_pair_of_2_to_1_reaches_every_minimum():
    """Its pattern frees all weights and biases: its loss is the global one in every cell, also where the pair's own minimum
    has given way to another, as descents from random weights of a pair confirm."""
    importance, density = np.geomspace(0.3, 3, 21), np.geomspace(0.3, 0.99, 13)
    relaxed, lowest = (phase_diagram(importance=importance, density=density, theory=theory) for theory in ("relaxed", "global"))
    pair = relaxed.candidate_loss[relaxed.candidates.index("extra in antipodal pair")]
    assert np.allclose(pair, lowest.loss, rtol=1e-9, atol=0) and np.all(relaxed.converged)
    assert np.allclose(relaxed.loss, lowest.loss, rtol=1e-9, atol=0)
    assert relaxed.phase.tolist() == lowest.phase.tolist()
    generator, size = np.random.default_rng(0), 24
    for i, j in ((6, 2), (6, 18), (9, 3), (3, 7), (11, 12)):
        weights, bias = np.abs(generator.normal(size=(size, 2))) * [1, -1], 0.2 * generator.normal(size=(size, 2))
        controls = np.tile(cell_controls(2, importance[j], density[i]), (size, 1))
        ends = stationary_points.settle(np.concatenate([weights, bias], axis=1), Form(1, 2), controls)
        below = min(point.scaled_loss for point in ends if point.is_minimum) * (1 + importance[j]) * density[i] / 3
        assert pair[i, j] == pytest.approx(below, rel=1e-12)


def test_a_pair_whose_own_minimum_is_not_the_lowest():
    """2→1 at importance 0.3777, density 0.4466: a descent from the frozen pair ends 4.7 % above the lowest of its pattern."""
    relaxed = phase_diagram(importance=[0.3777], density=[0.4466], theory="relaxed")
    pair = relaxed.candidate_loss[relaxed.candidates.index("extra in antipodal pair"), 0, 0]
    assert pair == pytest.approx(minimize(ToyModel(1, [1.0, 0.3777], 0.4466))[0].loss, rel=1e-12)
    frozen = np.array([[1.0, -1.0, 0.0, 0.0]])
    end = stationary_points.settle(frozen, Form(1, 2), cell_controls(2, 0.3777, 0.4466)[None], radius=0.1)[0]
    assert end.is_minimum and end.scaled_loss * 1.3777 * 0.4466 / 3 > 1.04 * pair


@pytest.mark.parametrize(("shape", "size"), [((2, 1), 17), ((3, 2), 17), ((4, 2), 9)])
@pytest.mark.parametrize("theory", ["relaxed", "global"])
def test_losses_belong_to_the_weights(shape, size, theory):
    """Each cell's loss is the expected loss of its weights and biases, and the lowest of its candidates'."""
    result = diagram(shape, theory, size)
    for (i, j), loss in np.ndenumerate(result.loss):
        model = ToyModel(shape[1], [*[1.0] * (shape[0] - 1), result.importance[j]], result.density[i])
        assert loss == pytest.approx(expected_loss(model, result.weights[i, j], result.bias[i, j]), rel=1e-13)
    assert np.allclose(np.nanmin(result.candidate_loss, axis=0), result.loss, rtol=1e-13, atol=0)
    assert np.all(result.converged)


@pytest.mark.parametrize(("shape", "size"), [((2, 1), 17), ((3, 2), 17), ((4, 2), 9)])
def test_relaxed_weights_keep_the_zeros_of_a_pattern(shape, size):
    """Dropped columns are exactly 0 and clusters share no row of weights, as in some configuration of the cell's phase."""
    patterns = [np.abs(c.weights.T) @ np.abs(c.weights) > 0 for c in configurations(*shape)]
    for weights in diagram(shape, "relaxed", size).weights.reshape(-1, *shape[::-1]):
        overlap = np.abs(weights.T) @ np.abs(weights)
        assert any(np.all(overlap[~pattern] == 0) for pattern in patterns)


def test_swapping_the_two_features_of_2_to_1():
    """L*(1/I) = L*(I)/I on the diagram, and the phases with the roles exchanged."""
    swap = {
        "extra not represented + dedicated": "extra dedicated + not represented",
        "extra dedicated + not represented": "extra not represented + dedicated",
    }
    for theory in ("relaxed", "global"):
        result = diagram((2, 1), theory)
        assert np.allclose(result.loss[:, ::-1], result.loss / result.importance, rtol=1e-13, atol=0)
        for row in result.phase:
            for one, other in zip(row, row[::-1], strict=True):
                parts = {swap.get(name, name) for name in one.split(" = ")}
                assert parts == set(other.split(" = "))


@pytest.mark.parametrize(("shape", "size"), [((2, 1), 48), ((3, 2), 32)])
def test_no_cell_stands_alone(shape, size):
    """Every cell shares its phase with a neighbour: narrow phases are resolved, none is speckle."""
    phase = diagram(shape, "global", size).phase
    padded = np.pad(phase, 1, constant_values="")
    around = [padded[1:-1, :-2], padded[1:-1, 2:], padded[:-2, 1:-1], padded[2:, 1:-1]]
    assert np.all(np.any([phase == other for other in around], axis=0))


def test_phases_of_2_to_1():
    """The frozen three phases, and no other, at importances other than 1 and densities below 1."""
    assert set(diagram((2, 1), "global", 48).phase.ravel()) == {
        "extra not represented + dedicated",
        "extra in antipodal pair",
        "extra dedicated + not represented",
    }


def test_phases_of_3_to_2():
    """With free weights the triangle takes its place; two pairs that share no boundary in the frozen theory remain."""
    names = {name for cell in diagram((3, 2), "global", 32).phase[:-1].ravel() for name in cell.split(" = ")}
    assert names == {
        "extra not represented + 2 dedicated",
        "extra in antipodal pair + dedicated",
        "extra dedicated + antipodal pair",
        "extra in triangle",
    }
    assert "extra in triangle" not in diagram((3, 2), "frozen", 32).phase


@pytest.mark.parametrize("shape", [(2, 1), (3, 2)])
def test_the_stable_phase_comes_first_among_the_coexisting(shape):
    """Each cell names all phases with a minimum there, the lowest first."""
    result = diagram(shape, "global")
    for cell, names in np.ndenumerate(result.coexisting):
        assert set(result.phase[cell].split(" = ")) == set(names[: result.phase[cell].count(" = ") + 1])
        present = np.flatnonzero(np.isfinite(result.candidate_loss[(slice(None), *cell)]))
        assert {result.candidates[k] for k in present} == set(names)
        losses = [result.candidate_loss[(result.candidates.index(name), *cell)] for name in names]
        assert np.all(np.diff(losses) >= -1e-11 * losses[0])


@pytest.mark.parametrize("shape", [(2, 1), (3, 2), (4, 2)])
def test_metastable_minima_are_those_of_a_multistart(shape):
    """In random cells below density 1 a multistart at the cell alone finds no minimum that the diagram lacks."""
    result = diagram(shape, "global", 17 if shape != (4, 2) else 9)
    generator = np.random.default_rng(2)
    for _ in range(8):
        i, j = generator.integers(result.density.size - 1), generator.integers(result.importance.size)
        model = ToyModel(shape[1], [*[1.0] * (shape[0] - 1), result.importance[j]], result.density[i])
        found = minimize(model, n_starts=24)
        flat = result.minima[result.minima_cell == i * result.importance.size + j]
        weights = flat[:, : shape[0] * shape[1]].reshape(-1, *shape[::-1])
        losses = expected_loss(model, weights, flat[:, shape[0] * shape[1] :])
        for minimum in found:
            assert np.min(np.abs(losses / minimum.loss - 1)) < 1e-11
        assert result.loss[i, j] == pytest.approx(found[0].loss, rel=1e-12)


def _fields(grids):
    return {name: value for name, value in grids.items() if isinstance(value, np.ndarray)}


def assert_same_bits(one, other):
    """Every array of two sets of fields is the same."""
    assert one.keys() == other.keys()
    for name, value in _fields(one).items():
        if value.dtype == object:
            assert value.ravel().tolist() == other[name].ravel().tolist(), name
        else:
            assert np.array_equal(value, other[name], equal_nan=True), name


@pytest.mark.parametrize("shape", [(2, 1), (3, 2)])
@pytest.mark.parametrize("stop_after", [0, 1, 2, 4])
def test_an_interrupted_search_goes_on_to_the_same_bits(tmp_path, shape, stop_after):
    """Ctrl-C writes the checkpoint; the same call then ends with the result of an uninterrupted search."""
    arguments = (paper_plane(*shape, *AXES[13]),)
    whole = global_grid(*arguments, n_starts=4)
    path, calls = tmp_path / "search.npz", []

    def interrupt(_):
        calls.append(None)
        if len(calls) > stop_after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        global_grid(*arguments, n_starts=4, progress=interrupt, checkpoint=path)
    assert path.exists() == (stop_after > 0) and list(tmp_path.iterdir()) == [path] * (stop_after > 0)
    assert_same_bits(whole, global_grid(*arguments, n_starts=4, checkpoint=path))
    assert_same_bits(whole, global_grid(*arguments, n_starts=4, checkpoint=path))  # and once more from the finished search


def test_descents_that_an_interrupt_cuts_short_are_made_again(tmp_path, monkeypatch):
    """Wherever in a step Ctrl-C comes, in a multistart, an early or a late wave, the resumed search ends with the same bits."""
    arguments, settle, calls = (paper_plane(3, 2, *AXES[17]),), landscape.descend_cells, []

    def counted(*arguments, **options):
        calls.append(options["radius"])
        if len(calls) == stop:
            raise KeyboardInterrupt
        return settle(*arguments, **options)

    monkeypatch.setattr(landscape, "descend_cells", counted)
    stop = 0
    whole = _searched(arguments, n_starts=4, n_threads=1)
    n_calls, first_wave = len(calls), calls.index(0.25) + 1
    stops = {2, first_wave, first_wave + 1, n_calls} | set(range(first_wave, n_calls, 1 + (n_calls - first_wave) // 5))
    for stop in sorted(stops):
        path = tmp_path / f"{stop}.npz"
        calls.clear()
        with pytest.raises(KeyboardInterrupt):
            _searched(arguments, n_starts=4, n_threads=1, checkpoint=path)
        calls.clear()
        calls.extend([None] * n_calls)  # no stop any more
        resumed = _searched(arguments, n_starts=4, n_threads=1, checkpoint=path)
        assert_same_bits(landscape_fields(whole), landscape_fields(resumed))
        assert resumed.evaluations == whole.evaluations


def _searched(arguments, **search):
    return Landscape.of(*arguments).explore(**search)


def test_a_search_killed_between_saves_goes_on_from_the_last(tmp_path, monkeypatch):
    """Every file that a search writes on its way leads to the same bits, and is replaced as a whole."""
    arguments, kept = (paper_plane(2, 1, *AXES[17]),), []
    whole = global_grid(*arguments, n_starts=4)
    save = SearchState.save

    def keep(self, path, *identity):
        save(self, path, *identity)
        kept.append(tmp_path / f"{len(kept)}.npz")
        save(self, kept[-1], *identity)

    monkeypatch.setattr(landscape, "SAVED_EVERY", -1.0)
    monkeypatch.setattr(SearchState, "save", keep)
    global_grid(*arguments, n_starts=4, checkpoint=tmp_path / "search.npz")
    monkeypatch.undo()
    assert len(kept) > 5
    for path in kept[:-1]:
        assert_same_bits(whole, global_grid(*arguments, n_starts=4, checkpoint=path))


def test_a_checkpoint_of_another_search_is_refused(tmp_path):
    """A checkpoint goes on with its own grid, number of starts and seed only."""
    path, axes = tmp_path / "search.npz", (np.array([0.5, 1.0]), np.array([0.1, 0.2]))
    global_grid(paper_plane(2, 1, *axes), n_starts=1, checkpoint=path)
    global_grid(paper_plane(2, 1, *axes), n_starts=1, seed=0, checkpoint=path)
    with pytest.raises(ValueError, match="checkpoint must come from a search over the same grid"):
        global_grid(paper_plane(2, 1, np.array([0.5, 1.1]), axes[1]), n_starts=1, checkpoint=path)
    for other in ({"n_starts": 2}, {"n_starts": 1, "seed": 2**70}):
        wanted = f"n_starts={other['n_starts']} and seed={other.get('seed', 0)}"
        with pytest.raises(
            ValueError, match=f"checkpoint must come from a search with {wanted}, got .* with n_starts=1 and seed=0"
        ):
            global_grid(paper_plane(2, 1, *axes), checkpoint=path, **other)


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04garbage", "cut", "spoilt", "foreign", "pickled", "one array"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, content):
    """An empty, foreign, cut or spoilt file is refused as a checkpoint and as a diagram, by one error that names the argument."""
    path = tmp_path / "a.npz"
    axes = {"importance": [0.5, 1.0], "density": [0.1, 0.2]}
    phase_diagram(**axes, n_starts=1, checkpoint=path)
    whole = bytearray(path.read_bytes())
    if content == "cut":
        content = bytes(whole[: len(whole) // 2])
    elif content == "spoilt":
        whole[len(whole) // 2] ^= 255
        content = bytes(whole)
    elif content == "foreign":
        np.savez(path, something=1.0)
    elif content == "pickled":
        np.savez(path, grid=np.array([{}], dtype=object))
    elif content == "one array":
        np.save(tmp_path / "a.npy", np.ones(3))
        content = (tmp_path / "a.npy").read_bytes()
    if isinstance(content, bytes):
        path.write_bytes(content)
    with pytest.raises(ValueError, match="checkpoint must name a file written by phase_diagram"):
        phase_diagram(**axes, n_starts=1, checkpoint=path)
    with pytest.raises(ValueError, match=r"path must name a file written by PhaseDiagram\.save"):
        PhaseDiagram.load(path)


def test_a_checkpoint_that_cannot_be_used_is_refused_before_any_work(tmp_path, monkeypatch):
    """A wrong ending, a folder that is not there and a theory without a search."""
    monkeypatch.setattr(landscape, "descend_cells", None)
    axes = {"importance": [1.0], "density": [0.5]}
    with pytest.raises(ValueError, match=r'checkpoint must end in "\.npz"'):
        phase_diagram(**axes, checkpoint=tmp_path / "search.txt")
    with pytest.raises(
        ValueError, match=r"checkpoint must be a file that can be written, got '.*' \(No such file or directory\)"
    ):
        phase_diagram(**axes, checkpoint=tmp_path / "missing" / "search.npz")
    for theory in ("frozen", "relaxed"):
        with pytest.raises(ValueError, match=f"checkpoint must not be given for the {theory} theory, got"):
            phase_diagram(**axes, theory=theory, checkpoint=tmp_path / "search.npz")
    assert not list(tmp_path.iterdir())


def test_the_number_of_threads_does_not_change_a_bit():
    """One thread and two end with the same diagram."""
    importance, density = AXES[13]
    one, two = (global_grid(paper_plane(3, 2, importance, density), n_starts=4, n_threads=k) for k in (1, 2))
    assert_same_bits(one, two)


def test_equal_seeds_give_equal_searches():
    """Two searches of one seed know the same minima; those of another seed have the same lowest losses."""
    importance, density = AXES[13]
    one, same, other = (global_grid(paper_plane(2, 1, importance, density), seed=seed) for seed in (1, 1, 2))
    assert_same_bits(one, same)
    assert np.allclose(one["loss"], other["loss"], rtol=1e-12, atol=0)


def test_a_cell_without_a_minimum_does_not_kill_the_grid(monkeypatch):
    """Where the search fails, the other cells are there and the cell says that it has not converged."""
    descend_cells, settle = landscape.descend_cells, landscape.settle_model

    def lost(controls):
        return (controls[:, 1] == 0.5) & (controls[:, 2] == 0.1)

    def lose_a_cell(known, form, classes, controls, heads, first, starts, **options):
        numbers, feature_loss, keys, new = descend_cells(known, form, classes, controls, heads, first, starts, **options)
        return numbers, feature_loss, keys, new & ~np.repeat(lost(controls), np.diff(first))

    def lose_it_again(model, points):  # the last resort
        assert lost(model.control[None])
        return [replace(point, curvature=-1.0) for point in settle(model, points, max_steps=1)]

    monkeypatch.setattr(landscape, "descend_cells", lose_a_cell)
    monkeypatch.setattr(landscape, "settle_model", lose_it_again)
    result = phase_diagram(importance=[0.2, 0.5, 1.5], density=[0.1, 0.5, 0.9])
    assert not result.converged[0, 1] and np.sum(~result.converged) == 1
    assert np.all(np.isfinite(result.loss))


def test_saved_diagrams_come_back_with_their_minima(tmp_path):
    """Minima, their cells and metastable phases survive, so that the boundaries are the same."""
    importance, density = np.geomspace(0.1, 0.3, 3), np.geomspace(0.1, 0.5, 3)  # one boundary
    result = phase_diagram(importance=importance, density=density)
    result.save(tmp_path / "diagram.npz")
    loaded = PhaseDiagram.load(tmp_path / "diagram.npz")
    assert np.array_equal(loaded.minima, result.minima) and np.array_equal(loaded.minima_cell, result.minima_cell)
    assert loaded.coexisting.tolist() == result.coexisting.tolist()
    assert loaded.triple_points() == result.triple_points()
    assert result.boundaries()
    for one, other in zip(loaded.boundaries(), result.boundaries(), strict=True):
        assert one.phases == other.phases and one.order == other.order and one.ends == other.ends
        for name in ("importance", "density", "latent_loss", "feature_norm"):
            assert np.array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize("shape", [(2, 1), (4, 2)])
@pytest.mark.parametrize("theory", ["relaxed", "global"])
def test_linear_models_never_gain_from_superposition(shape, theory):
    """All theories of the linear model have the loss σ² × the smallest importances."""
    result = diagram(shape, theory, 9, "linear")
    variance = (result.density / 3 - result.density**2 / 4)[:, None]
    dropped = shape[0] - shape[1]
    expected = variance * np.where(result.importance < 1, dropped - 1 + result.importance, dropped)
    assert np.allclose(result.loss, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("theory", ["frozen", "relaxed", "global"])
def test_the_linear_model_ties_at_equal_importances(theory):
    """Every direction has the same loss there: the cells name what ties, and their weights are the same from row to row."""
    result = phase_diagram(2, 1, importance=[0.5, 1.0, 2.0], density=[0.1, 0.5, 1.0], theory=theory, activation="linear")
    kept, dropped = "extra dedicated + not represented", "extra not represented + dedicated"
    assert set(result.phase[:, 0]) == {dropped} and set(result.phase[:, 2]) == {kept}
    assert set(result.phase[:, 1]) == {f"{dropped} = {kept}"} and set(result.extra[:, 1]) == {"coexistence"}
    assert set(result.coexisting[:, 1]) == {(dropped, kept)} and np.ptp(result.weights[:, 1], axis=0).max() < 1e-12
