"""Planes of control parameters: the models at their points, coordinates, symmetries, bad input."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasediag import Axis, ControlPlane, CorrelatedSets, Penalty, ToyModel
from phasediag.forms import Form
from phasediag.model import cell_controls

IMPORTANCE, DENSITY = np.geomspace(0.1, 10, 7), np.geomspace(0.01, 1, 5)


def geometric(x, y):
    """Importances 1, 0.9, x of three features in two dimensions, of density y."""
    return ToyModel(2, [1.0, 0.9, x], y)


def planes():
    """One plane of each kind."""
    base = ToyModel(2, [1.0, 1.0, 0.7], [0.2, 0.3, 0.4])
    yield ControlPlane.importance_density(3, 2, importance=IMPORTANCE, density=DENSITY, activation="linear")
    yield ControlPlane(geometric, Axis("extra", [0.5, 2.0]), Axis("density", [0.1, 0.2, 1.0]))
    yield ControlPlane(base, Axis("profile", [0.5, 0.9, 2.0], log=False), Axis("density_of_1_3", [0.1, 0.9]))
    yield ControlPlane(base, Axis("importance_of_1", [0.5, 3.0]))


@pytest.mark.quick
@pytest.mark.parametrize("plane", [*planes()])
def test_control_vectors_are_those_of_the_models(plane):
    """Many points at once, one at a time, and by coordinates: the same numbers and the same structure."""
    x, y = plane.x.values, plane.y.values[:, None]
    many = plane.controls(x, y)
    assert many.shape == (*plane.shape, 6)
    for i, j in np.ndindex(plane.shape):
        model = plane.model(x[j], y[i, 0])
        assert np.array_equal(many[i, j], model.control)
        assert model.form == plane.form == Form(2, 3, model.activation)
        again = plane.at(plane.coordinates(x[j], y[i, 0])).control
        assert np.allclose(again, many[i, j], rtol=1e-14, atol=0)


def test_the_papers_plane_has_the_bits_of_its_cells():
    """Control vectors of the default plane are the importances and densities of the cells, bit by bit."""
    plane = next(planes())
    expected = cell_controls(3, IMPORTANCE, DENSITY[:, None])
    assert np.array_equal(plane.controls(IMPORTANCE, DENSITY[:, None]), expected)
    assert np.array_equal(plane.window.low, np.log([0.1, 0.01])) and np.array_equal(plane.window.high, np.log([10.0, 1.0]))
    assert plane.at(plane.window.high + 1).density == 1.0  # beyond the edge it stays


def test_parameters_are_what_their_names_say():
    """Importance is the extra feature's, a profile is r^i, and numbers choose features, from 1."""
    base = ToyModel(2, [3.0, 4.0, 5.0], 0.5)
    grid = Axis("importance", [0.1]), Axis("density_of_1_3", [0.25])
    model = ControlPlane(base, *grid).model(0.1, 0.25)
    assert model.importance.tolist() == [3.0, 4.0, 0.1] and model.density.tolist() == [0.25, 0.5, 0.25]
    assert ControlPlane(base, Axis("profile", [0.5])).model(0.5, 0).importance.tolist() == [1.0, 0.5, 0.25]
    assert ControlPlane(base, Axis("density", [0.75])).model(0.75, 0).density == 0.75
    assert Axis("density_of_1_3", [0.25]).label == "density of features 1, 3"


def test_features_that_may_be_exchanged_are_so_everywhere():
    """Classes follow from the models: equal importance and density all over the plane, not at one point by chance."""
    assert [plane.classes for plane in planes()] == [((0, 1), (2,)), *[((0,), (1,), (2,))] * 3]
    base = ToyModel(2, [1.0, 1.0, 1.0, 2.0], 0.5)
    assert ControlPlane(base, Axis("density_of_1_2", [0.4, 0.5])).classes == ((0, 1), (2,), (3,))
    assert ControlPlane(base, Axis("importance", [0.5, 1.5])).classes == ((0, 1, 2), (3,))
    assert ControlPlane(base, Axis("importance", [1.0])).classes == ((0, 1, 2), (3,))  # one value of many
    equal = ToyModel(2, [1.0, 1.0, 1.0], 0.5)
    assert ControlPlane(equal, Axis("density", [0.5])).classes == ((0, 1, 2),)


@pytest.mark.parametrize("plane", [*planes()])
def test_planes_pickle(plane):
    """A plane comes back from a pickle with its axes and its models."""
    twin = pickle.loads(pickle.dumps(plane))
    assert (twin.x, twin.y) == (plane.x, plane.y) and hash(twin.x) == hash(plane.x)
    assert twin.at(twin.window.low) == plane.at(plane.window.low) and twin.classes == plane.classes


def test_a_line_is_a_plane_of_one_row():
    """Without y there is one row, which does not extend."""
    plane = ControlPlane(ToyModel(1, [1.0, 1.0], 0.5), Axis("density", DENSITY))
    assert plane.shape == (1, 5) and plane.window.wide.tolist() == [True, False]
    assert not plane.window.outside(plane.coordinates(0.5, 0.0)) and plane.window.outside(plane.coordinates(0.5, 1.0))


def test_planes_with_flags_of_numpy_are_written():
    """An axis keeps a plain bool, which files of diagrams hold."""
    axis = Axis("slope", [0.0, 0.5], np.False_)
    assert axis.log is False
    plane = ControlPlane(ToyModel(1, [1.0, 1.0], 0.5), axis)
    assert ControlPlane.from_arrays(plane.arrays()) == plane


@given(st.floats(1e-6, 1.0), st.booleans())
def test_coordinates_are_undone(value, log):
    """The value at a coordinate of a value is the value, to rounding."""
    axis = Axis("anything", [0.5], log)
    assert axis.value(axis.coordinate(value)) == pytest.approx(value, rel=1e-13)


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: Axis("a b", [1.0]), "name must be a word of letters, digits and underscores, got 'a b'"),
        (lambda: Axis("density", [0.5, 1.7]), r"density must be in \(0, 1\], got 1.7"),
        (lambda: Axis("importance_of_2", [0.0]), "importance_of_2 must be positive and finite, got 0.0"),
        (lambda: Axis("anything", [0.0, 1.0]), "anything must be positive on a logarithmic axis, got 0; see log=False"),
        (lambda: Axis("anything", [1.0, 1.0]), "anything must be strictly increasing"),
        (lambda: Axis("anything", [1.0], log="no"), "log must be True or False, got 'no'"),
        (lambda: ControlPlane(geometric, [1.0], Axis("y", [1.0])), r"x must be an Axis, got \[1.0\]"),
        (
            lambda: ControlPlane(3, Axis("x", [1.0])),
            "model must be a ToyModel, a NeuronModel or a callable that returns one, got 3",
        ),
        (lambda: ControlPlane(ToyModel(1, [1, 1], 1), Axis("x", [1.0])), "named one of \"importance\", .* got 'x'"),
        (lambda: ControlPlane(ToyModel(1, [1, 1], 1), Axis("density_of_3", [1.0])), "features from 1 to 2, got 'density_of_3'"),
        (lambda: ControlPlane(ToyModel(1, [1, 1], 1), Axis("profile_of_1", [1.0])), "got 'profile_of_1'"),
        (lambda: ControlPlane.importance_density(2, 2, importance=[1.0], density=[1.0]), "n_hidden must be less than n_features"),
    ],
)
def test_bad_input(make, words):
    """One sentence names argument, domain and value."""
    with pytest.raises(ValueError, match=words):
        make()


def test_a_stack_of_planes():
    """Each plane is that of a model in which a third parameter has the value; what an axis varies, it varies still."""
    axes = Axis("density", [0.2, 0.8]), Axis("importance", [0.5, 2.0])
    law = CorrelatedSets([[0, 1]])
    cases = {
        "slope": lambda v: ToyModel(1, [1.0, 1.0], 0.5, "leaky", slope=v),
        "weight_penalty": lambda v: ToyModel(1, [1.0, 1.0], 0.5, penalty=Penalty(weights=v)),
        "importance_of_1": lambda v: ToyModel(1, [v, 1.0], 0.5),
    }
    plain = ControlPlane(ToyModel(1, [1.0, 1.0], 0.5), *axes)
    for name, model in cases.items():
        for value, plane in plain.stack(Axis(name, [0.25, 0.5])).items():
            assert np.array_equal(plane.grid, ControlPlane(model(value), *axes).grid)
            assert ControlPlane.from_arrays(plane.arrays()).model(0.2, 2.0) == plane.model(0.2, 2.0)
    with_law = ControlPlane(ToyModel(1, [1.0, 1.0], 0.5, activity=law), *axes)
    for share, plane in with_law.stack(Axis("activity_share", [0.0, 0.3], log=False)).items():
        again = ControlPlane.from_arrays(plane.arrays())
        for density in (0.2, 0.8):
            pair = ControlPlane(with_law.model.base, Axis("density", [density]), Axis("activity_share", [share], log=False))
            one = plane.model(density, 1.0).activity.probabilities
            assert np.array_equal(one, pair.model(density, share).activity.probabilities)
            assert np.array_equal(one, again.model(density, 1.0).activity.probabilities)
    for wrong, message in (
        (1, "z must be an Axis, got 1"),
        (Axis("density", [0.5]), "z must name another parameter than density and importance, got density"),
        (Axis("nonsense", [0.5]), "an axis of a ToyModel must be named one of"),
    ):
        with pytest.raises(ValueError, match=message):
            plain.stack(wrong)
    with pytest.raises(ValueError, match="z needs a plane whose model is a ToyModel"):
        ControlPlane(lambda x, y: ToyModel(1, [1.0, y], x), *axes).stack(Axis("slope", [0.5]))
