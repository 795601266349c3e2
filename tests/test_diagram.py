"""Phase diagrams: topology, ties, symmetries, round trips and bad input."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasediag import (
    Axis,
    ControlPlane,
    PhaseDiagram,
    ToyModel,
    classify,
    configurations,
    feature_norm,
    interference,
    minimize,
    phase_diagram,
)

ODD = np.concatenate([np.geomspace(0.1, 0.9, 6), [1.0], np.geomspace(1.1, 10, 6)])
DENSITY = np.geomspace(0.01, 1, 9)


def _corners(diagram):
    """Phases at (least, most importance) × (least, most density)."""
    return {(x, p): diagram.phase[p, x] for x in (0, -1) for p in (0, -1)}


@pytest.mark.quick
def test_topology_of_2_to_1():
    """Three phases: not represented and dedicated side by side at density 1, superposition below."""
    diagram = phase_diagram(theory="frozen")
    assert diagram.importance.size == diagram.density.size == 100
    assert (diagram.importance[0], diagram.importance[-1], diagram.density[0], diagram.density[-1]) == (0.1, 10, 0.01, 1)
    assert set(diagram.phase.ravel()) == {
        "extra not represented + dedicated",
        "extra dedicated + not represented",
        "extra in antipodal pair",
    }
    assert set(diagram.extra.ravel()) == {"not_represented", "dedicated", "superposition"}
    assert _corners(diagram) == {
        (0, 0): "extra in antipodal pair",
        (-1, 0): "extra in antipodal pair",
        (0, -1): "extra not represented + dedicated",
        (-1, -1): "extra dedicated + not represented",
    }


def test_topology_of_3_to_2():
    """Four phases; the triangle, which the paper leaves out, is not among them."""
    diagram = phase_diagram(3, 2, theory="frozen")
    assert set(diagram.phase.ravel()) == {
        "extra not represented + 2 dedicated",
        "extra dedicated + antipodal pair",
        "extra dedicated + dedicated + not represented",
        "extra in antipodal pair + dedicated",
    }
    assert "extra in triangle" in diagram.candidates
    assert _corners(diagram) == {
        (0, 0): "extra in antipodal pair + dedicated",
        (-1, 0): "extra dedicated + antipodal pair",
        (0, -1): "extra not represented + 2 dedicated",
        (-1, -1): "extra dedicated + dedicated + not represented",
    }


@pytest.mark.parametrize("shape", [(2, 1), (3, 2)])
def test_regions_are_connected(shape):
    """Every phase of the two models of the paper fills one connected region of the grid."""
    from scipy.ndimage import label

    diagram = phase_diagram(*shape, theory="frozen")
    for name in set(diagram.phase.ravel()):
        assert label(diagram.phase == name)[1] == 1


@pytest.mark.parametrize("shape", [(2, 1), (3, 2), (5, 2), (6, 3), (8, 5)])
@pytest.mark.parametrize("activation", ["relu", "linear"])
def test_every_cell_is_the_brute_force_minimum(shape, activation):
    """Cell by cell: all candidates' losses one at a time, their minimum, its phase, weights, bias and order parameters."""
    diagram = phase_diagram(*shape, importance=ODD, density=DENSITY, activation=activation, theory="frozen")
    table = configurations(*shape, activation=activation)
    assert diagram.candidates == tuple(c.name for c in table)
    assert diagram.candidate_loss.shape == (len(table), DENSITY.size, ODD.size)
    assert np.all(diagram.loss <= diagram.candidate_loss) and np.all(diagram.converged)
    for (p, x), name in np.ndenumerate(diagram.phase):
        losses = [c.expected_loss(ODD[x], DENSITY[p]) for c in table]
        assert np.allclose(diagram.candidate_loss[:, p, x], losses, rtol=1e-14, atol=0)
        assert diagram.loss[p, x] == pytest.approx(min(losses), rel=1e-14)
        names = tuple(c.name for c, loss in zip(table, losses, strict=True) if loss <= min(losses) * (1 + 1e-12))
        assert diagram.coexisting[p, x] == names and name == " = ".join(names)
        extras = {c.phase.extra for c in table if c.name in names}
        assert diagram.extra[p, x] == (extras.pop() if len(extras) == 1 else "coexistence")
        chosen = classify(diagram.weights[p, x])
        assert chosen.name in names
        c = next(c for c in table if c.name == chosen.name)
        assert np.array_equal(diagram.bias[p, x], c.bias(DENSITY[p]))
        assert diagram.feature_norm[p, x] == feature_norm(c.weights)[-1]
        assert diagram.interference[p, x] == interference(c.weights)[-1]


def test_ties_at_importance_one_are_coexistence():
    """With equal importances the extra feature is like any other: its places coexist, whatever the order of candidates."""
    diagram = phase_diagram(importance=ODD, density=DENSITY, theory="frozen")
    one = np.flatnonzero(ODD == 1)[0]
    high = DENSITY > 4 / 7
    assert set(diagram.phase[high, one]) == {"extra not represented + dedicated = extra dedicated + not represented"}
    assert set(diagram.extra[high, one]) == {"coexistence"}
    assert set(diagram.phase[~high, one]) == {"extra in antipodal pair"}
    tied = np.array([[len(names) > 1 for names in row] for row in diagram.coexisting])
    assert tied.sum() == high.sum() and np.all(tied[high, one])

    diagram = phase_diagram(3, 2, importance=ODD, density=DENSITY, theory="frozen")
    assert set(diagram.coexisting[~high, one]) == {("extra dedicated + antipodal pair", "extra in antipodal pair + dedicated")}
    assert set(diagram.extra[:, one]) == {"coexistence"}


def test_all_phases_coexist_at_the_triple_point():
    """At importance 1 and density 4/7 every phase of the diagram has the same loss."""
    for shape, members in (((2, 1), 3), ((3, 2), 4), ((5, 2), 7), ((6, 3), 9)):
        diagram = phase_diagram(*shape, importance=[1.0], density=[4 / 7], theory="frozen")
        assert len(diagram.coexisting[0, 0]) == members and diagram.extra[0, 0] == "coexistence"


def test_swapping_the_two_features_of_2_to_1():
    """L(1/I, p) = L(I, p)/I, with the roles of the features exchanged."""
    importance = np.geomspace(0.1, 10, 41)
    diagram = phase_diagram(importance=importance, density=DENSITY, theory="frozen")
    mirrored = phase_diagram(importance=1 / importance[::-1], density=DENSITY, theory="frozen")
    assert np.allclose(mirrored.loss[:, ::-1], diagram.loss / importance, rtol=1e-14, atol=0)
    swap = {"not_represented": "dedicated", "dedicated": "not_represented"}
    off_centre = np.abs(np.log(importance)) > 1e-9
    swapped = np.vectorize(lambda name: swap.get(name, name))(diagram.extra)
    assert np.array_equal(mirrored.extra[:, ::-1][:, off_centre], swapped[:, off_centre])


def test_linear_model_never_gains_from_superposition():
    """Without the ReLU the least important features are dropped; the loss is σ² × the smallest importances."""
    for n_features, n_hidden in ((2, 1), (4, 2), (6, 5)):
        diagram = phase_diagram(n_features, n_hidden, importance=ODD, density=DENSITY, activation="linear", theory="frozen")
        variance = (DENSITY / 3 - DENSITY**2 / 4)[:, None]
        dropped = n_features - n_hidden
        expected = variance * np.where(ODD < 1, dropped - 1 + ODD, dropped)
        assert np.allclose(diagram.loss, expected, rtol=1e-13, atol=0)
        assert "superposition" not in diagram.extra
    assert [set(diagram.extra[:, ODD < 1].ravel()), set(diagram.extra[:, ODD > 1].ravel())] == [
        {"not_represented"},
        {"dedicated"},
    ]


def test_saved_diagrams_come_back_whole(tmp_path):
    """Every field, its type and its order survive a round trip; so do the boundaries."""
    diagram = phase_diagram(4, 2, importance=ODD, density=DENSITY, theory="frozen")
    path = tmp_path / "diagram.npz"
    diagram.save(path)
    loaded = PhaseDiagram.load(path)
    for field in fields(PhaseDiagram):
        saved, back = getattr(diagram, field.name), getattr(loaded, field.name)
        assert type(saved) is type(back), field.name
        if isinstance(saved, np.ndarray):
            assert saved.dtype == back.dtype and saved.shape == back.shape, field.name
            assert np.array_equal(saved, back), field.name
        else:
            assert saved == back, field.name
    assert [b.phases for b in loaded.boundaries()] == [b.phases for b in diagram.boundaries()]
    assert loaded.triple_points() == diagram.triple_points()
    arrays = [f.name for f in fields(PhaseDiagram) if isinstance(getattr(diagram, f.name), np.ndarray)]
    for k, one in enumerate(arrays):  # the comparison above can fail: no two fields hold the same values
        for other in arrays[k + 1 :]:
            assert not np.array_equal(getattr(diagram, one), getattr(diagram, other)), (one, other)


@pytest.mark.quick
def test_files_that_hold_no_diagram_are_named(tmp_path):
    """A wrong ending and a file without the fields are refused."""
    diagram = phase_diagram(importance=[1.0], density=[1.0], theory="frozen")
    with pytest.raises(ValueError, match=r'path must end in "\.npz", got'):
        diagram.save(tmp_path / "diagram.txt")
    with pytest.raises(ValueError, match=r'path must end in "\.npz", got'):
        PhaseDiagram.load(tmp_path / "diagram.zip")
    np.savez(tmp_path / "other.npz", n_features=2)
    with pytest.raises(ValueError, match=r"path must name a file written by PhaseDiagram\.save"):
        PhaseDiagram.load(tmp_path / "other.npz")


def test_xarray_labels_every_axis():
    """Values found by label equal values found by position; ties are marked for each candidate."""
    diagram = phase_diagram(3, 2, importance=ODD, density=DENSITY, theory="frozen")
    data = diagram.to_xarray()
    assert data.attrs == {"n_features": 3, "n_hidden": 2, "activation": "relu", "theory": "frozen"}
    cell = data.sel(importance=ODD[2], density=DENSITY[5])
    for name in ("phase", "extra", "loss", "feature_norm", "interference", "converged"):
        assert cell[name].item() == getattr(diagram, name)[5, 2]
    assert np.array_equal(cell["weights"].transpose("hidden", "feature"), diagram.weights[5, 2])
    assert np.array_equal(cell["bias"], diagram.bias[5, 2])
    for k, name in enumerate(diagram.candidates):
        assert cell["candidate_loss"].sel(candidate=name).item() == diagram.candidate_loss[k, 5, 2]
    tied = data["coexisting"].sel(importance=1.0, density=DENSITY[0])
    assert {str(n) for n in tied.candidate[tied.values].values} == set(diagram.coexisting[0, 6])


@pytest.mark.quick
def test_one_cell_is_a_diagram():
    """Axes with one value work and have no boundaries."""
    diagram = phase_diagram(importance=[0.5], density=[0.1], theory="frozen")
    assert diagram.phase.shape == (1, 1) and diagram.boundaries() == [] and diagram.triple_points() == []


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_axis_values_outside_their_domains_are_named(value):
    """Any number is either inside its domain or refused by name."""
    if not 0 < value <= 1:
        with pytest.raises(ValueError, match=r"density must be in \(0, 1\], got"):
            phase_diagram(density=[value], theory="frozen")
    if not 0 < value < np.inf:
        with pytest.raises(ValueError, match="importance must be positive and finite, got"):
            phase_diagram(importance=[value], theory="frozen")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(density=[0.5, 1.5]), r"density must be in \(0, 1\], got 1.5"),
        (dict(density=[0.0, 0.5]), r"density must be in \(0, 1\], got 0.0"),
        (dict(density=0.5), r"density must be a one-dimensional grid axis with at least one value, got shape \(\)"),
        (dict(density=[]), r"density must be a one-dimensional grid axis"),
        (dict(density=[[0.5]]), r"density must be a one-dimensional grid axis .*got shape \(1, 1\)"),
        (dict(density=[0.5, 0.5]), "density must be strictly increasing"),
        (dict(importance=[2.0, 1.0]), "importance must be strictly increasing"),
        (dict(importance=[-1.0, 1.0]), "importance must be positive and finite, got -1.0"),
        (dict(importance=[1.0, np.nan]), "importance must be positive and finite, got nan"),
        (
            dict(importance=[1.0, 1e150], theory="global"),
            r"importance must be from 1e-09 to 1e\+09 for the global theory, got 1e\+150",
        ),
        (dict(importance=[1e-10], theory="relaxed"), "importance must be from 1e-09 to .* for the relaxed theory, got 1e-10"),
        (dict(importance=[1.0, np.inf]), "importance must be positive and finite, got inf"),
        (dict(importance="abc"), "importance must be real numbers"),
        (dict(importance=[1j]), "importance must be real numbers"),
        (dict(n_hidden=2), r"n_hidden must be less than n_features \(2\), got 2"),
        (dict(n_features=9), "n_features must be a whole number from 2 to 8, got 9"),
        (dict(theory="local"), "theory must be one of .*frozen.*, got 'local'"),
        (dict(theory=None), "theory must be one of"),
        (dict(activation="tanh"), 'activation must be one of "relu", "linear", got \'tanh\''),
    ],
)
def test_bad_arguments_are_named(change, message):
    """One error that names the argument, its domain and the value."""
    with pytest.raises(ValueError, match=message):
        phase_diagram(**{"theory": "frozen", **change})


def unequal(x, y):
    """A pair of features of importances 1 and x, the second of density y, the first of density 0.2."""
    return ToyModel(1, [1.0, x], [0.2, y])


@pytest.mark.parametrize("log", [True, False])
def test_a_diagram_over_any_plane_has_the_minima_of_its_models(log, tmp_path):
    """Each cell has the lowest minimum of the plane's model there; axes have their names in tables and files."""
    plane = ControlPlane(unequal, Axis("worth", [0.5, 1.0, 2.0], log), Axis("chance", [0.1, 0.3], log))
    diagram = phase_diagram(plane=plane, n_starts=8)
    assert diagram.loss.shape == plane.shape == (2, 3) and diagram.converged.all()
    for i, j in np.ndindex(plane.shape):
        lowest = minimize(unequal(diagram.x[j], diagram.y[i]), n_starts=16)[0]
        assert diagram.loss[i, j] == pytest.approx(lowest.loss, rel=1e-12)
    data = diagram.to_xarray()
    assert data["loss"].dims == ("chance", "worth") and data["worth"].values.tolist() == [0.5, 1.0, 2.0]
    with pytest.raises(ValueError, match="importance and density must be the axes, which are worth and chance here: see x and y"):
        _ = diagram.importance
    diagram.save(tmp_path / "plane.npz")
    loaded = PhaseDiagram.load(tmp_path / "plane.npz")
    assert (loaded.plane.x, loaded.plane.y) == (plane.x, plane.y) and np.array_equal(loaded.loss, diagram.loss)
    assert loaded.plane.model(2.0, 0.3) == unequal(2.0, 0.3)  # at the points of the grid, as in a file of numbers
    with pytest.raises(ValueError, match=r"known at the points of its grid alone, got \(2, 0.25\)"):
        loaded.plane.model(2.0, 0.25)


def test_a_line_of_densities_is_a_row_of_the_paper_s_plane():
    """Losses along a line through equal features are those of the column of importance 1, whichever axis it lies on."""
    density = np.geomspace(0.1, 1, 5)
    line = phase_diagram(plane=ControlPlane(ToyModel(2, [1.0, 1.0, 1.0], 0.5), Axis("density", density)))
    column = phase_diagram(3, 2, importance=[1.0], density=density)
    assert line.loss.shape == (1, 5) and np.allclose(line.loss[0], column.loss[:, 0], rtol=1e-12, atol=0)
    assert line.x is line.plane.x.values and line.y.tolist() == [0.0]


@pytest.mark.parametrize(
    "options, words",
    [
        ({"theory": "frozen"}, 'theory must be "global" unless the plane is over importance × density'),
        ({"theory": "relaxed"}, "got 'relaxed'"),
        ({"n_features": 3, "density": [0.5]}, "plane says what the models are: n_features, density must not be given with it"),
        ({"plane": "density"}, "plane must be a ControlPlane, got 'density'"),
    ],
)
def test_bad_planes(options, words):
    """What does not fit a plane is one sentence."""
    plane = ControlPlane(unequal, Axis("worth", [0.5]), Axis("chance", [0.1]))
    with pytest.raises(ValueError, match=words):
        phase_diagram(**{"plane": plane} | options)


def test_models_of_different_structure_are_no_plane():
    """A plane whose models differ in more than numbers is refused."""
    plane = ControlPlane(
        lambda x, y: ToyModel(1, [1.0, x], y, "relu" if x < 1 else "linear"), Axis("x", [0.5, 2]), Axis("y", [0.5])
    )
    with pytest.raises(ValueError, match="model must have the same structure everywhere"):
        phase_diagram(plane=plane)
