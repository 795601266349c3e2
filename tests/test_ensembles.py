"""Many models at once: every number is what inspect says of the model alone."""

from contextlib import nullcontext

import numpy as np
import pytest

from phasediag import ToyModel, classify_many, inspect, inspect_many, train
from phasediag._commands.loss_conventions import loss_conventions, told

MODELS = [ToyModel(2, [1, 1, 0.5], density) for density in (0.1, 0.1, 0.3, 0.1)]


@pytest.fixture(scope="module")
def weights():
    """Four trained models and their biases."""
    run = train(MODELS[0], n_models=4, n_steps=2_000, batch_size=512, seed=0)
    return run.weights, run.bias


@pytest.fixture(scope="module")
def ensemble(weights):
    return inspect_many(MODELS, *weights, n_starts=8)


def test_each_model_is_what_it_is_alone(weights, ensemble):
    """Loss, phases, excess, gap and verdicts of every model by inspect."""
    for k, (model, own, bias) in enumerate(zip(MODELS, *weights, strict=True)):
        alone = inspect(model, own, bias, n_starts=8)
        assert ensemble.loss[k] == pytest.approx(alone.loss, rel=1e-13) and ensemble.phase[k] == alone.phase.name
        assert np.allclose(ensemble.feature_loss[k], alone.feature_loss, rtol=1e-12)
        assert ensemble.bottom[k] == pytest.approx(alone.nearest.loss, rel=1e-12)
        assert ensemble.bottom_phase[k] == alone.nearest.phase.name and ensemble.converged[k] == alone.converged
        assert ensemble.excess[k] == pytest.approx(alone.excess, rel=1e-6) and ensemble.metastable[k] == alone.metastable
        assert ensemble.lowest[k] == pytest.approx(alone.minima[0].loss, rel=1e-12)
        assert ensemble.gap[k] == pytest.approx(alone.gap, rel=1e-6)
        assert alone.minima[0].phase.name in ensemble.lowest_phase[k]


def test_the_table_and_the_facts(ensemble):
    """A line for each model, one for each phase; the facts are the arrays."""
    lines, facts = ensemble.text().splitlines(), ensemble.facts()
    assert [line.split()[0] for line in lines[4:8]] == ["0", "1", "2", "3"] and "0.3" in lines[6]
    assert lines[0] == "3 → 2 (relu)" and lines[-1].startswith("all of it for independent features")
    assert lines[-3].startswith("    4  models; ")
    assert [row["loss"] for row in facts] == ensemble.loss.tolist() and [row["density"][0] for row in facts] == [
        0.1,
        0.1,
        0.3,
        0.1,
    ]
    assert [row["metastable"] for row in facts] == ensemble.metastable.tolist()


def test_many_features_have_no_lowest_minimum(monkeypatch):
    """Their descents are those of inspect; what is not searched for is unknown."""
    weights = np.zeros((2, 6, 12))
    weights[:, np.arange(12) // 2, np.arange(12)] = np.tile([1.0, -1.0], 6)
    model = ToyModel(6, np.ones(12), 0.3)
    said = []
    monkeypatch.setattr("phasediag.ensembles.progress_bar", lambda *_: nullcontext(said.append))
    found, alone = inspect_many(model, weights, np.zeros(12)), inspect(model, weights[0], np.zeros(12))
    assert said == [1, 1]  # each model is a step, not all of one law
    assert np.allclose(found.bottom, alone.nearest.loss, rtol=1e-10) and found.phase[0] == alone.phase.name
    assert np.isnan(found.lowest).all() and not found.metastable.any() and found.facts()[0]["metastable"] is None
    assert "unknown" in found.text()


@pytest.mark.parametrize(
    ("models", "weights", "message"),
    [
        ([], np.ones((2, 1, 2)), "models must be a ToyModel or one for each model"),
        ([MODELS[0]], np.ones((2, 2, 3)), "models must be one for each of the 2 weights"),
        (MODELS[0], np.ones((2, 3)), r"weights must have shape \(n_models, n_hidden, n_features\), got \(2, 3\)"),
        (
            [MODELS[0], ToyModel(1, [1, 1, 1], 0.1)],
            np.ones((2, 2, 3)),
            "models must be one for each of the 2 weights and of their",
        ),
    ],
)
def test_misuse_is_refused(models, weights, message):
    """The argument and what it must be."""
    with pytest.raises(ValueError, match=message):
        inspect_many(models, weights, np.zeros(weights.shape[-1]))


def test_conventions_of_a_reported_loss():
    """Every reduction by its own formula; a reported number names its own, a far one none."""
    models, losses = [ToyModel(1, [1, 0.5], 0.2)], np.array([[0.04, 0.02]])
    found = loss_conventions(models, losses)
    assert found["sum over features, with importance"] == pytest.approx(0.05)
    assert found["mean over features, without importance"] == pytest.approx(0.03)
    assert found["half the sum over features, without importance"] == pytest.approx(0.03)
    assert told(found, 0.0502)[0] == "their loss 0.0502 is the sum over features, with importance: 0.05 here"
    assert len(told(found, 0.03)) == 2 and "matches no usual convention to 5 %" in told(found, 1.0)[0]
    several = loss_conventions([ToyModel(1, [1, 1], 0.2)] * 3, np.repeat(losses, 3, axis=0))
    assert several["mean over features, sum over models"] == pytest.approx(0.09)
    assert several["sum over features, mean over models"] == pytest.approx(0.06)


def test_phases_of_a_stack_are_asked_for_a_stack():
    """One matrix, and a tolerance outside (0, 1), are refused."""
    assert [phase.name for phase in classify_many([[[1.0, -1.0]], [[1.0, 1.0]]])] == [
        "extra in antipodal pair",
        "extra in aligned pair",
    ]
    with pytest.raises(ValueError, match=r"weights must have shape \(n_models, n_hidden, n_features\), got \(1, 2\)"):
        classify_many([[1.0, -1.0]])
    with pytest.raises(ValueError, match=r"tolerance must be in \(0, 1\), got 2.0"):
        classify_many([[[1.0, -1.0]]], tolerance=2)
