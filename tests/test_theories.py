"""The three theories over a grid: their order, zeros, symmetry, connected phases, and searches that were interrupted."""

from functools import cache

import numpy as np
import pytest

from phasediag import PhaseDiagram, ToyModel, configurations, expected_loss, landscape, minimize, phase_diagram
from phasediag.landscape import Landscape
from phasediag.theories import global_grid

SQUARE = 17
AXES = {size: (np.geomspace(0.1, 10, size), np.geomspace(0.01, 1, size)) for size in (9, 13, 17, 24, 32, 48)}


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
    assert shape != (4, 2) or np.any(lowest < relaxed * (1 - 1e-6))


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
@pytest.mark.parametrize("stop_after", [1, 2, 4])
def test_an_interrupted_search_goes_on_to_the_same_bits(tmp_path, shape, stop_after):
    """Ctrl-C writes the checkpoint; the same call then ends with the result of an uninterrupted search."""
    importance, density = AXES[13]
    arguments = (*shape, importance, density, "relu")
    whole = global_grid(*arguments, n_starts=4)
    path, calls = tmp_path / "search.npz", []

    def interrupt(_):
        calls.append(None)
        if len(calls) > stop_after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        global_grid(*arguments, n_starts=4, progress=interrupt, checkpoint=path)
    assert path.exists() and list(tmp_path.iterdir()) == [path]
    assert_same_bits(whole, global_grid(*arguments, n_starts=4, checkpoint=path))
    assert_same_bits(whole, global_grid(*arguments, n_starts=4, checkpoint=path))  # and once more from the finished search


def test_a_checkpoint_of_another_grid_is_refused(tmp_path):
    """A checkpoint goes on with its own grid only."""
    path = tmp_path / "search.npz"
    global_grid(2, 1, np.array([0.5, 1.0]), np.array([0.1, 0.2]), "relu", n_starts=1, checkpoint=path)
    with pytest.raises(ValueError, match="checkpoint must come from a search over the same grid"):
        global_grid(2, 1, np.array([0.5, 1.1]), np.array([0.1, 0.2]), "relu", n_starts=1, checkpoint=path)
    with pytest.raises(ValueError, match=r'checkpoint must end in "\.npz"'):
        phase_diagram(importance=[1.0], density=[0.5], checkpoint=tmp_path / "search.txt")


def test_the_number_of_threads_does_not_change_a_bit():
    """One thread and two end with the same diagram."""
    importance, density = AXES[13]
    one, two = (global_grid(3, 2, importance, density, "relu", n_starts=4, n_threads=k) for k in (1, 2))
    assert_same_bits(one, two)


def test_equal_seeds_give_equal_searches():
    """Two searches of one seed know the same minima; those of another seed have the same lowest losses."""
    importance, density = AXES[13]
    one, same, other = (global_grid(2, 1, importance, density, "relu", seed=seed) for seed in (1, 1, 2))
    assert_same_bits(one, same)
    assert np.allclose(one["loss"], other["loss"], rtol=1e-12, atol=0)


def test_a_cell_without_a_minimum_does_not_kill_the_grid(monkeypatch):
    """Where the search fails, the other cells are there and the cell says that it has not converged."""
    add, settle = Landscape._add, landscape.settle

    def lose_a_cell(self, cell, point, key):
        if cell != (0, 1):
            add(self, cell, point, key)

    def stop_early(*arguments, **options):
        return settle(*arguments, **options, **({"max_steps": 1} if "radius" not in options else {}))

    monkeypatch.setattr(Landscape, "_add", lose_a_cell)
    monkeypatch.setattr(landscape, "settle", stop_early)
    result = phase_diagram(importance=[0.2, 0.5, 1.5], density=[0.1, 0.5, 0.9])
    assert not result.converged[0, 1] and np.sum(~result.converged) == 1
    others = ~((np.arange(3)[:, None] == 0) & (np.arange(3) == 1))
    assert np.all(np.isfinite(result.loss[others]))


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
