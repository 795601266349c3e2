"""Calls as users write them, with one argument that is not what it must be: one ValueError names argument, domain and value."""

import numpy as np
import pytest

import phasediag
from phasediag import PhaseDiagram, ToyModel, phase_diagram
from phasediag.figures import diagram_figure, draw_columns, minima_figure

NAMES = {name: getattr(phasediag, name) for name in phasediag.__all__}
NAMES |= {"np": np, "W": np.array([[1.0, -1.0]]), "b": np.zeros(2), "m": ToyModel(1, [1.0, 0.5], 0.3)}
NAMES |= {"diagram_figure": diagram_figure, "minima_figure": minima_figure, "draw_columns": draw_columns}

REFUSED = [
    ("ToyModel(2,[1,1],.5)", "n_hidden must be less than n_features (2), got 2"),
    ("ToyModel(1,[1,1],50)", "density must be in (0, 1], got 50.0"),
    ('ToyModel(1,[1,1],"0.5")', "density must be real numbers (in (0, 1]), got '0.5'"),
    ("ToyModel(1,[1,1],None)", "density must be real numbers (in (0, 1]), got None"),
    ("ToyModel(1,[1,-1],.5)", "importance must be positive and finite, got -1.0"),
    ("ToyModel(1,[[1,1]],.5)", "importance must have shape (n_features,) with n_features ≥ 2, got (1,"),
    ("ToyModel(1.0,[1,1],.5)", "n_hidden must be a whole number ≥ 1, got 1.0"),
    ("ToyModel(True,[1,1],.5)", "n_hidden must be a whole number ≥ 1, got True"),
    ("ToyModel(1,[1,1],[.5,.5,.5])", "density must be a scalar or have shape (2,), got (3,)"),
    ('ToyModel(1,"abc",.5)', "importance must be real numbers (positive and finite), got 'abc'"),
    ("ToyModel(1,[1,np.nan],.5)", "importance must be positive and finite, got nan"),
    ("ToyModel(1,[],.5)", "importance must have shape (n_features,) with n_features ≥ 2, got (0,)"),
    ("expected_loss(m,W.T,b)", "weights must have shape (…, 1, 2), got (2, 1)"),
    ("expected_loss(m,W,b[:1])", "bias must have shape (…, 2), got (1,)"),
    ("expected_loss(m,W*1e200,b)", "weights must be finite and smaller than 1e+30 in size, got 1e+200"),
    ("expected_loss(m,W*np.nan,b)", "weights must be finite and smaller than 1e+30 in size, got nan"),
    ("expected_loss(m,W+0j,b)", "weights must be real numbers (finite and smaller than 1e+30 in size),"),
    ('expected_loss(m,"W",b)', "weights must be real numbers (finite and smaller than 1e+30 in size),"),
    ('expected_loss(m,W,b,method="exact")', 'method must be one of "auto", "enumeration", "contour", got \'exact\''),
    ("minimize(m,n_starts=0)", "n_starts must be a whole number ≥ 1, got 0"),
    ("minimize(m,n_starts=3.5)", "n_starts must be a whole number ≥ 1, got 3.5"),
    ('minimize(m,seed="a")', "seed must be None, a whole number ≥ 0 or a numpy Generator, got 'a'"),
    ('minimize("m")', "model must be a ToyModel, got 'm'"),
    ("phase_diagram(3,3)", "n_hidden must be less than n_features (3), got 3"),
    ("phase_diagram(2,1,importance=[2,1])", "importance must be strictly increasing, got 1.0 after 2.0"),
    ("phase_diagram(2,1,importance=np.linspace(0,1,4),density=[.5])", "importance must be positive and finite, got 0.0"),
    ("phase_diagram(2,1,density=[[.5,.6]])", "density must be a one-dimensional grid axis with at least one value, g"),
    ('phase_diagram(2,1,theory="trained")', 'theory must be one of "frozen", "relaxed", "global", got \'trained\''),
    ('phase_diagram("2",1)', "n_features must be a whole number ≥ 2, got '2'"),
    (
        'phase_diagram(2,1,importance=1,density=.5,theory="frozen")',
        "importance must be a one-dimensional grid axis with at least one value",
    ),
    (
        'phase_diagram(importance=[1,2],density=[.5,.6],theory="frozen",checkpoint="x.npz")',
        "checkpoint must not be given for the frozen theory, got 'x.npz'",
    ),
    ('phase_diagram(importance=[1,2],density=[.5,.6],checkpoint="x.zip")', "checkpoint must end in \".npz\", got 'x.zip'"),
    ("train(m,n_models=0)", "n_models must be a whole number ≥ 1, got 0"),
    ('train(m,n_steps=10,optimizer="Adam")', 'optimizer must be one of "adamw", "adam", "sgd", got \'Adam\''),
    ("classify(W[0])", "weights must have shape (…, n_hidden, n_features), got (2,)"),
    ("classify([W,W])", "weights must have shape (n_hidden, n_features) with at least one featu"),
    ("classify(W,tolerance=-1)", "tolerance must be in (0, 1), got -1.0"),
    ("inspect(m,W,b[None])", "weights and bias must be those of one model, got leading axes (1,)"),
    ("inspect_many([m,m],W[None],b[None])", "models must be one for each of the 1 weights and of their sizes, got 2"),
    ("validate_trained(d)", "trained must be a PhaseDiagram of theory \"trained\", got 'frozen'"),
    ('PhaseDiagram.load("nope.txt")', "path must end in \".npz\", got 'nope.txt'"),
    ('d.save("x")', "path must end in \".npz\", got 'x'"),
    ('d.save_curves("x.xlsx")', "path must end in .csv or .json, got 'x.xlsx'"),
    ('diagram_figure(d,look="x")', 'look must be one of "phase", "norm-interference", got \'x\''),
    ("draw_columns(W*np.inf,None)", "weights must be finite, got inf"),
    ("configurations(9,2)", "n_features must be a whole number from 2 to 8, got 9"),
    ("configurations(2,2)", "n_hidden must be less than n_features (2), got 2"),
    ("monte_carlo_loss(m,W,b,n_samples=-1)", "n_samples must be a whole number from 2 to 1000000000, got -1"),
    ("monte_carlo_loss(m,W,b,n_samples=10**13)", "n_samples must be a whole number from 2 to 1000000000, got 10000000000000"),
    ("optimal_bias(m,W[:, :1])", "weights must have shape (…, 1, 2), got (1, 1)"),
    ("sweep_density(1,[1,1],.5)", "density must have shape (n_density,) with n_density ≥ 1, got ()"),
    ("thomson(0,2)", "n_points must be a whole number ≥ 2, got 0"),
    ("linear_minimum(m)", "model.activation must be one of \"linear\", got 'relu'"),
    ('superposition("x")', "weights must be real numbers (finite), got 'x'"),
    ('Axis("a b",[1,2])', "name must be a word of letters, digits and underscores, got 'a b'"),
    ('Axis("density",[2,1])', "density must be in (0, 1], got 2.0"),
    ("expected_loss(W, b, m)", "model must be a ToyModel, got array"),
    ("expected_loss_and_gradient(W, b, m)", "model must be a ToyModel, got array"),
    ("loss_terms(W, b, m)", "model must be a ToyModel, got array"),
    ("optimal_bias(W, m)", "model must be a ToyModel, got array"),
    ("train(d)", "model must be a ToyModel, got PhaseDiagram"),
    ("minima_figure([])", "minima must be at least one, got none"),
    ('ToyModel(1, [1, 1], 0.5, "gelu")', "activation must be one of"),
    ("phase_diagram(plane=m)", "plane must be a ControlPlane"),
    ('ControlPlane(m, x=Axis("nonsense", [1, 2]))', "an axis of a ToyModel must be named one of"),
    ("minimize(m, seed=np.random.RandomState(1))", "seed must be None, a whole number"),
    ('ControlPlane(m, x=Axis("importance", [1, 2]), y=Axis("importance", [1, 2]))', "y must name another parameter than x"),
    ('ControlPlane(ToyModel(1, [1, 1], 0.5, "linear"), x=Axis("slope", [0, 1], log=False))', "activation must be"),
    ('train(m, gradient="population", independent=True)', "independent must be False with gradient"),
    ("d.save(None)", "path must be the path of a file, got None"),
    ("d.save_curves(3)", "path must be the path of a file, got 3"),
    ("PhaseDiagram.load(None)", "path must be the path of a file, got None"),
    ("explore(d, 3)", "path must be the path of a file, got 3"),
    ('explore(m, "e.html")', "diagram must be a PhaseDiagram, several or a mapping to them, got ToyModel"),
    ('ControlPlane(lambda x, y: 3, x=Axis("density", [0.1, 0.2])).form', "model must return a ToyModel or a NeuronModel, got 3"),
    ("inspect(m, (W, W.T), b)", "weights must be decoder and encoder of shapes (2, 1) and (1, 2), got (1, 2) and (2, 1)"),
    ("compare(d, W[None], b[None], importance=1, density=0.5)", 'diagram must be a PhaseDiagram of theory "global"'),
    ("diagram_of_models([W] * 4, b, importance=[1, 1, 2, 2], density=[0.1, 0.2, 0.1, 0.1])", "importance and density must form"),
    ("barrier(m, W)", "minima must be of one model, as minimize returns them, got ToyModel"),
    ("atlas(2, 1).loss_at([0.1, 2])", "density must be in (0, 1], got 2.0"),
    ("classify_many(W)", "weights must have shape (n_models, n_hidden, n_features), got (1, 2)"),
    ("Pieces(intervals=((1, 0, 1.0),))", "intervals must have low < high"),
    ("ActivityTable(np.ones((2, 2)))", "probabilities must sum to 1, got 4"),
    (
        'ControlPlane(m, x=Axis("density_of_1", [0.1, 0.2]), y=Axis("density", [0.1, 0.2]))',
        "x must name a parameter that y leaves",
    ),
    (
        'ControlPlane(m, x=Axis("importance", [1, 2]), y=Axis("profile", [1, 2]))',
        "x must name a parameter that y leaves as it is",
    ),
    ("expected_loss_without_penalty(NeuronModel(1, [1, 1], 0.5), W, b)", "model must be a ToyModel, got NeuronModel"),
    ("validate_neurons(m)", "model must be a NeuronModel, got ToyModel"),
    ('read_weights("nope.npz")', "weights must be in a file that can be read"),
]


@pytest.fixture(scope="module")
def names():
    """What the calls may name."""
    return NAMES | {"d": phase_diagram(theory="frozen", importance=[0.5, 1.5], density=[0.3, 0.9])}


@pytest.mark.quick
@pytest.mark.parametrize(("call", "words"), REFUSED, ids=[call for call, _ in REFUSED])
def test_refused(names, call, words):
    """Before any work."""
    with pytest.raises(ValueError) as error:
        eval(call, names)
    assert str(error.value).startswith(words)


def test_exact_is_global():
    """Both words ask for the same diagram, which calls itself global."""
    exact = phase_diagram(theory="exact", importance=[0.5], density=[0.5])
    assert exact.theory == "global" and exact.loss == phase_diagram(importance=[0.5], density=[0.5]).loss


def test_a_file_that_cannot_be_written_is_named(tmp_path, names):
    """By the name that was given, not by that of the file beside it."""
    path = tmp_path / "missing" / "d.npz"
    for save in (names["d"].save, lambda path: names["d"].save_curves(path.with_suffix(".csv"))):
        with pytest.raises(FileNotFoundError) as error:
            save(path)
        assert error.value.filename in (str(path), str(path.with_suffix(".csv")))
    names["d"].save(tmp_path / "d.npz")
    assert [one.name for one in tmp_path.iterdir()] == ["d.npz"] and PhaseDiagram.load(tmp_path / "d.npz").theory == "frozen"
