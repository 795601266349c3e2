"""Tables of results: the numbers of the results, a row for each."""

import sys

import numpy as np
import pytest

from phasediag import (
    ToyModel,
    classify,
    inspect_many,
    minimize,
    phase_diagram,
    to_pandas,
    train,
    trained_phase_diagram,
)

MODEL = ToyModel(1, [1.0, 0.9], 0.1)
AXES = {"importance": [0.5, 2.0], "density": [0.3, 0.9, 1.0]}


@pytest.mark.quick
def test_minima():
    """A row for each, with every number of its arrays in a column of its own."""
    minima = minimize(MODEL)
    table = to_pandas(minima)
    assert table["index"].tolist() == list(range(len(minima))) and len(minima) > 1
    for k, one in enumerate(minima):
        assert table[["weights_1_1", "weights_1_2"]].iloc[k].tolist() == one.weights[0].tolist()
        assert table[["bias_1", "bias_2"]].iloc[k].tolist() == one.bias.tolist()
        row = table.iloc[k]
        assert (row.loss, row.phase, row.hits, row.lowest_found) == (one.loss, one.phase.name, one.hits, one.lowest_found)
    assert minima[0].to_pandas().shape == (1, table.shape[1] - 1)


def test_boundaries_and_cells():
    """A row for each point of each curve, and for each cell; the tables of a diagram's curves have the columns of its CSV."""
    diagram = phase_diagram(2, 1, theory="frozen", **AXES)
    boundaries = diagram.boundaries()
    table = to_pandas(boundaries)
    for k, one in enumerate(boundaries):
        own = table[table["index"] == k]
        assert np.array_equal(own[["importance", "density", "latent_loss"]], np.transpose([one.x, one.y, one.latent_loss]))
        assert {*own.order} == {one.order} and {*own.phases} == {" | ".join(one.phases)}
    cells = diagram.to_pandas()
    assert np.array_equal(cells.loss.to_numpy().reshape(3, 2), diagram.loss)
    assert cells.importance.tolist() == [0.5, 2.0] * 3 and cells.phase.tolist() == diagram.phase.ravel().tolist()
    curves = diagram.curves.to_pandas()
    assert ",".join(curves.columns) == diagram.curves.csv().splitlines()[0] and len(curves) == len(diagram.curves.rows())


def test_models():
    """A row for each model of a run, an ensemble and a trained diagram."""
    run = train(MODEL, n_models=3, n_steps=5, seed=0)
    table = run.to_pandas()
    assert table.loss.tolist() == run.loss.tolist() and table.bias_2.tolist() == run.bias[:, 1].tolist()
    assert table.phase.tolist() == [classify(one, tolerance=0.1).name for one in run.weights]
    ensemble = inspect_many(MODEL, run.weights, run.bias, n_starts=1)
    assert ensemble.to_pandas().gap.tolist() == ensemble.gap.tolist() and "importance_2" in ensemble.to_pandas()
    trained = trained_phase_diagram(2, 1, n_seeds=2, n_steps=5, batch_size=16, **AXES).trained
    table = trained.to_pandas()
    assert table.loss.tolist() == trained.loss.ravel().tolist() and table.seed.tolist() == [0, 1] * 6
    assert table.row.tolist() == np.repeat(range(3), 4).tolist() and table.phase.tolist() == trained.phase.ravel().tolist()


def test_what_is_no_result(monkeypatch):
    """Other things are refused, and without pandas the error says what to install."""
    with pytest.raises(ValueError, match="results must be results of phasediag, got 1"):
        to_pandas([1])
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r'pip install "phasediag\[pandas\]"'):
        minimize(MODEL, n_starts=1)[0].to_pandas()
