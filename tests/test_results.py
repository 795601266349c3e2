"""Results are plain data: what one process computes, others use."""

import csv
import json
import pickle
import subprocess
import sys
import threading
from dataclasses import fields

import numpy as np
import pytest

import phasediag
from phasediag import PhaseDiagram, ToyModel, phase_diagram
from phasediag._boundaries.equilibria import Solver

USES = {
    "ToyModel": "x.reconstruct([[0.2, 0.9]], [[1.0, -1.0]], [0.0, 0.0]).tolist()",
    "Configuration": "float(x.expected_loss(0.7, 0.3)), str(x.symbolic_loss()), x.name",
    "ClosedForm": "str(x.expression.subs({**dict.fromkeys(x.parameters, 1), **x.reference}))",
    "FrozenBoundary": "x.patterns, str(x.equation.rhs.subs(dict.fromkeys(x.equation.free_symbols, 2)))",
    "Minimum": "x.loss, x.phase.name, x.weights.tolist()",
    "Inspection": "x.phase.name, str(x)",
    "TrainingRun": "x.loss.tolist(), x.weights.tolist()",
    "DensitySweep": "x.feature_dimensionality.tolist()",
    "PhaseDiagram": "[[s.phase, s.boundaries, s.importance.tolist()] for s in x.spinodals()], x.loss.tolist()",
    "PhaseBoundary": "x.phases, x.density.tolist(), [s.density.tolist() for s in x.spinodals]",
    "Spinodal": "x.facts()",
    "TriplePoint": "x.facts()",
    "trained PhaseDiagram": "x.trained.loss.tolist(), x.phase.tolist()",
    "Validation": "x.text()",
}
"""What is done with each result: an expression in x whose value is compared."""


@pytest.fixture(scope="module")
def pickled():
    """A small global diagram of 2→1, crossed by one boundary, with its curves but without its spinodals: pickled."""
    diagram = phase_diagram(2, 1, importance=np.geomspace(0.25, 0.35, 3), density=np.geomspace(0.25, 0.45, 4), n_threads=1)
    assert len(diagram.boundaries()) == 1 and not diagram.curves.has_spinodals
    return pickle.dumps(diagram)


@pytest.fixture
def window(pickled):
    """That diagram, for each test anew."""
    return pickle.loads(pickled)


@pytest.fixture
def results(window):
    """One result of each kind, made in this process."""
    model, short = ToyModel(1, [1.0, 0.7], 0.3), {"n_steps": 20, "batch_size": 32, "seed": 1}
    trained = phasediag.trained_phase_diagram(importance=[0.5, 2.0], density=[0.3, 0.9], n_seeds=2, n_threads=1, **short)
    frozen = phase_diagram(theory="frozen", importance=[0.5, 2.0], density=[0.3, 0.9])
    minima = phasediag.minimize(model, n_starts=4, seed=0)
    return {
        "ToyModel": model,
        "Configuration": phasediag.configurations(2, 1)[0],
        "ClosedForm": phasediag.configurations(2, 1)[0].relaxed_loss(),
        "FrozenBoundary": phasediag.frozen_boundaries(2, 1)[0][0],
        "Minimum": minima[0],
        "Inspection": phasediag.inspect(model, minima[0].weights, minima[0].bias, n_starts=4),
        "TrainingRun": phasediag.train(model, n_models=2, **short),
        "DensitySweep": phasediag.sweep_density(1, [1.0, 0.7], [0.5, 0.1], n_models=2, n_threads=1, **short),
        "PhaseDiagram": window,
        "PhaseBoundary": window.boundaries()[0],
        "Spinodal": pickle.loads(pickle.dumps(window)).spinodals()[0],
        "TriplePoint": frozen.triple_points()[0],
        "trained PhaseDiagram": trained,
        "Validation": phasediag.validate_trained(trained, n_samples=200, n_threads=1, curves=False),
    }


def test_results_are_used_in_other_processes(results, environment, tmp_path):
    """Pickled here and used in a new process, in a joblib worker and in a dask worker: the same values, to the bit.

    Spinodals are sought there, from the minima stored along the boundaries.
    """
    import dask
    import joblib

    assert results.keys() == USES.keys()
    before, after = tmp_path / "before.pickle", tmp_path / "after.pickle"
    before.write_bytes(pickle.dumps([(USES[name], result) for name, result in results.items()]))
    assert not results["PhaseDiagram"].curves.has_spinodals
    script = (
        "import pickle, sys; sys.stdout.buffer.write(pickle.dumps([eval(u, {'x': x}) for u, x in pickle.load(sys.stdin.buffer)]))"
    )
    with before.open("rb") as source, after.open("wb") as target:
        subprocess.run([sys.executable, "-c", script], stdin=source, stdout=target, env=environment, check=True)
    tasks = [(use, {"x": results[name]}) for name, use in USES.items()]
    by_joblib = joblib.Parallel(n_jobs=2)(joblib.delayed(eval)(*task) for task in tasks)
    by_dask = dask.compute(*(dask.delayed(eval)(*task) for task in tasks), scheduler="processes", num_workers=1)
    here = [repr(eval(*task)) for task in tasks]
    for elsewhere in (pickle.loads(after.read_bytes()), by_joblib, by_dask):
        assert dict(zip(USES, map(repr, elsewhere), strict=True)) == dict(zip(USES, here, strict=True))


def test_threads_share_a_solver(window):
    """Two threads that ask one solver for stationary points get what each would get alone."""
    solver, boundary = Solver(window), window.boundaries()[0]
    u = np.log([boundary.importance, boundary.density]).T
    states = [[solver.known(boundary.minima[side, k], boundary.free[side, k], u[k]) for k in range(len(u))] for side in (0, 1)]
    alone = [[solver.stationary(state, state.u).loss for state in side] for side in states]
    found, begin = [[], []], threading.Barrier(2)

    def ask(side):
        begin.wait()
        for k in range(1500):
            state = states[side][k % len(u)]
            found[side].append(solver.stationary(state, state.u).loss == alone[side][k % len(u)])

    threads = [threading.Thread(target=ask, args=(side,)) for side in (0, 1)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert all(len(side) == 1500 and all(side) for side in found)


def assert_equal(one, other):
    """Two results of one kind agree in every field, in type and value."""
    assert type(one) is type(other)
    for part in fields(one):
        a, b = getattr(one, part.name), getattr(other, part.name)
        assert type(a) is type(b) and np.array_equal(a, b), part.name


def test_curves_are_saved_with_their_diagram(window, tmp_path, monkeypatch):
    """Boundaries, triple points and spinodals, where computed, come back whole and are not computed again."""
    bare = phase_diagram(theory="frozen", importance=[0.5, 2.0], density=[0.3, 0.9])
    bare.save(tmp_path / "bare.npz")
    assert PhaseDiagram.load(tmp_path / "bare.npz").curves is None
    window.save(tmp_path / "boundaries.npz")
    loaded = PhaseDiagram.load(tmp_path / "boundaries.npz")
    assert not loaded.curves.has_spinodals
    monkeypatch.setattr("phasediag._boundaries.find_boundaries", lambda *_: pytest.fail("computed again"))
    assert len(loaded.spinodals()) == len(window.spinodals()) == 2  # from what was saved

    loaded.save(tmp_path / "spinodals.npz")
    monkeypatch.setattr("phasediag._boundaries.find_spinodals", lambda *_: pytest.fail("computed again"))
    again = PhaseDiagram.load(tmp_path / "spinodals.npz")
    for ask in ("boundaries", "triple_points", "spinodals"):
        for one, *others in zip(*(getattr(diagram, ask)() for diagram in (window, loaded, again)), strict=True):
            for other in others:
                assert_equal(one, other)
    (boundary,) = again.boundaries()
    assert list(boundary.spinodals) == again.spinodals() and {s.boundaries for s in again.spinodals()} == {(0,)}


def test_diagrams_saved_by_earlier_versions_load(tmp_path):
    """What a file lacks because it was written before is what it would be by default."""
    diagram = phase_diagram(theory="frozen", importance=[0.5, 2.0], density=[0.3, 0.9])
    diagram.save(tmp_path / "now.npz")
    with np.load(tmp_path / "now.npz") as file:
        np.savez(tmp_path / "then.npz", **{name: file[name] for name in file.files if name not in ("seed", "minima")})
    then = PhaseDiagram.load(tmp_path / "then.npz")
    assert then.seed is None and then.minima.shape == (0, 0) and np.array_equal(then.loss, diagram.loss)


def test_triple_points_are_saved(tmp_path):
    """With their phases, as they were."""
    diagram = phase_diagram(3, 2, theory="frozen", importance=[0.5, 2.0], density=[0.3, 0.9])
    assert len(diagram.triple_points()) == 1
    diagram.save(tmp_path / "diagram.npz")
    assert PhaseDiagram.load(tmp_path / "diagram.npz").curves.triple_points == tuple(diagram.triple_points())


def test_curves_are_written_by_points(window, tmp_path):
    """A line for each point in CSV, an object for each curve in JSON, with all that is printed of them."""
    window.save_curves(tmp_path / "curves.csv")
    window.save_curves(tmp_path / "curves.json")
    facts = json.loads((tmp_path / "curves.json").read_text(encoding="utf-8"))
    with open(tmp_path / "curves.csv", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    (boundary,), spinodals = window.boundaries(), window.spinodals()
    of_boundary = [row for row in rows if row["kind"] == "boundary"]
    assert [float(row["density"]) for row in of_boundary] == boundary.density.tolist() == facts["boundaries"][0]["density"]
    assert [float(row["latent_loss"]) for row in of_boundary] == boundary.latent_loss.tolist()
    assert (of_boundary[0]["end"], of_boundary[1]["end"], of_boundary[-1]["end"]) == (boundary.ends[0], "", boundary.ends[1])
    assert {row["closed"] for row in rows} == {"False"} and {row["function_of"] for row in rows} == {"importance density"}
    assert facts["boundaries"][0]["spinodals"] == [0, 1] and len(facts["spinodals"]) == len(spinodals) == 2
    for k, limit in enumerate(spinodals):
        points = [row for row in rows if (row["kind"], row["index"]) == ("spinodal", str(k))]
        assert [float(row["importance"]) for row in points] == limit.importance.tolist()
        assert {(row["phases"], row["boundaries"], row["latent_loss"]) for row in points} == {(limit.phase, "0", "")}
    with pytest.raises(ValueError, match=r"path must end in \.csv or \.json, got"):
        window.save_curves(tmp_path / "curves.txt")


def test_curves_say_whether_they_are_functions():
    """A vertical one is a function of density alone, a closed one of nothing; the triple point is a line of the table."""
    diagram = phase_diagram(theory="frozen", importance=[0.5, 2.0], density=[0.3, 0.9])
    vertical = [b for b in diagram.boundaries() if np.ptp(b.importance) < 1e-9]
    assert [b.function_of for b in vertical] == [("density",)] and not vertical[0].closed
    assert diagram.curves.rows()[-1] | {"importance": 1.0, "density": 4 / 7} == diagram.curves.rows()[-1] | {
        "kind": "triple point", "importance": 1.0, "density": 4 / 7, "order": None, "function_of": None,
    }  # fmt: skip
    turn = np.linspace(0, 2 * np.pi, 9)
    turn = np.append(turn[:-1], turn[0])
    circle = phasediag.Spinodal("any", np.exp(np.cos(turn)), np.exp(-2 - np.sin(turn)), np.zeros((10, 4)), ())
    assert circle.closed and circle.function_of == ()


def test_a_row_of_two_cells_far_apart_shows_what_lies_between():
    """A phase that is lowest in neither of two neighbouring cells has its two boundaries in the row itself, and its mirror's."""
    boundaries = phase_diagram(2, 1, importance=[0.5, 2.0], density=[0.9], n_threads=1).boundaries()
    low, middle, high = sorted(boundary.importance[0] for boundary in boundaries)
    assert middle == pytest.approx(1, rel=1e-12)  # between the pair and its mirror image, of one name
    assert {boundary.density[0] for boundary in boundaries} == {0.9}
    for importance in (low, high):
        names = [phasediag.minimize(ToyModel(1, [1, importance * k], 0.9), seed=0)[0].phase.name for k in (1 - 1e-5, 1 + 1e-5)]
        assert len(set(names)) == 2 and "extra in antipodal pair" in names
    assert np.isclose(low * high, 1, rtol=1e-10, atol=0)  # the features change places


def test_a_point_met_twice_is_no_turn():
    """Two points of a curve that are one to rounding, as at a cusp, do not say which coordinate grows."""
    curve = phasediag.Spinodal("one", np.array([1.0, 2.0, 2.0]), np.array([0.5, 0.4, 0.4 * (1 + 5e-11)]), np.zeros((3, 4)), (0,))
    assert curve.function_of == ("importance", "density")


@pytest.mark.parametrize(
    ("theory", "axes", "point"),
    [
        ("global", {"importance": [0.3], "density": [0.2, 0.3, 0.4, 0.5]}, (0.3, 0.375686)),
        ("global", {"importance": [0.2, 0.3, 0.4, 0.5], "density": [0.3757]}, (0.30002, 0.3757)),
        ("relaxed", {"importance": [0.2, 0.3, 0.4, 0.5], "density": [0.3757]}, (0.30002, 0.3757)),
        ("frozen", {"importance": [0.3], "density": [0.2, 0.3, 0.4, 0.5]}, (0.3, 1.2 / 3.5)),
        ("global", {"importance": [0.3], "density": [0.3757]}, None),
    ],
)
def test_one_row_or_column_is_crossed_in_points(theory, axes, point):
    """A window without width or height has a point of each curve that crosses it, and of each spinodal; a cell has none."""
    diagram = phase_diagram(2, 1, theory=theory, n_threads=1, **axes)
    if point is None:
        assert diagram.boundaries() == diagram.triple_points() == diagram.spinodals() == []
        return
    (boundary,) = diagram.boundaries()
    assert boundary.ends == ("edge", "edge") and boundary.importance.shape == boundary.density.shape == (1,)
    importance, density = boundary.importance[0], boundary.density[0]
    assert np.allclose([importance, density], point, rtol=2e-6, atol=0)
    if theory != "frozen":  # a search that knows nothing of curves finds two minima of one loss
        first, second, *_ = phasediag.minimize(ToyModel(1, [1.0, importance], density), n_starts=8, seed=0)
        assert second.loss / first.loss - 1 < 1e-10
    assert [limit.importance.size for limit in diagram.spinodals()] == [1] * (0 if theory == "frozen" else 2)
    for limit in diagram.spinodals():
        for name, axis in axes.items():
            assert axis[0] * (1 - 1e-12) <= getattr(limit, name)[0] <= axis[-1] * (1 + 1e-12)
