"""Every function of models beside every kind of model: what the table of the documentation says, and no other error."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from phasediag import (
    ActivityTable,
    AnticorrelatedSets,
    Axis,
    ControlPlane,
    CorrelatedSets,
    ExactlyActive,
    Penalty,
    PhaseDiagram,
    Pieces,
    ToyModel,
    boundary_sensitivity,
    certify,
    certify_diagram,
    compare,
    depths,
    expected_loss,
    expected_loss_and_gradient,
    expected_loss_hessian,
    expected_loss_with_error,
    expected_loss_without_penalty,
    inspect,
    inspect_many,
    linear_minimum,
    loss_terms,
    minimize,
    monte_carlo_loss,
    optimal_bias,
    phase_diagram,
    train,
    trained_phase_diagram,
    validate,
)

SIGNS = Pieces(atoms=[(-1.0, 0.5), (1.0, 0.5)])
MIXED = Pieces(atoms=[(-1.0, 0.25), (0.5, 0.25)], intervals=[(-0.5, 1.0, 0.5)])
COLUMNS = {
    "joint activity": {
        "correlated": {"activity": CorrelatedSets([[0, 1]])},
        "anticorrelated": {"activity": AnticorrelatedSets([[0, 1]])},
        "exactly": {"activity": ExactlyActive(1)},
        "table": {"activity": ActivityTable(np.array([[0.4, 0.2], [0.3, 0.1]]))},
    },
    "other values": {
        "binary": {"values": "binary"},
        "signed": {"values": "signed"},
        "signs": {"values": SIGNS},
        "mixed": {"values": MIXED},
    },
    "penalty": {"penalty": {"penalty": Penalty(0.01, 0.05)}},
    "leaky ReLU": {"leaky": {"activation": "leaky", "slope": 0.2}},
}
COLUMNS["no biases"] = {
    name: {"biased": False} | law
    for name, law in ({"uniform": {}} | {key: law for kinds in COLUMNS.values() for key, law in kinds.items()}).items()
}
COLUMNS["untied weights"] = {name: law for kinds in list(COLUMNS.values()) for name, law in kinds.items() if "penalty" not in law}
WEIGHTS, BIAS = np.array([[0.9, -0.7]]), np.array([0.1, -0.05])
PAIR = np.array([[0.8], [-0.6]]), WEIGHTS
SHORT = {"n_steps": 5, "batch_size": 8, "seed": 0}


def plane(model):
    return ControlPlane(model, x=Axis("importance", [0.5, 0.8]), y=Axis("density", [0.3, 0.5]))


def diagram(model, **options):
    return phase_diagram(plane=plane(model), n_starts=2, **options)


def sensitivities(model, _):
    lowest, *others = minimize(model, effort="quick")
    if others and others[-1].loss > lowest.loss:
        boundary_sensitivity(lowest, others[-1], coordinate="importance")
    depths([lowest, *others])


def files(model, _, folder):
    found = diagram(model)
    found.save(folder / "diagram.npz")
    read = PhaseDiagram.load(folder / "diagram.npz")
    assert np.array_equal(read.weights, found.weights) and read.plane.form == found.plane.form and read.text() == found.text()


def several(weights):
    return tuple(np.stack([part, part]) for part in weights) if isinstance(weights, tuple) else np.stack([weights, weights])


ROWS: dict[str, list[Callable]] = {
    "`sample`, `reconstruct`, `monte_carlo_loss`": [
        lambda model, weights: model.reconstruct(model.sample(3, seed=0), weights, BIAS),
        lambda model, weights: monte_carlo_loss(model, weights, BIAS, 10, seed=0),
    ],
    "`expected_loss` with its error, `expected_loss_and_gradient`": [
        lambda model, weights: expected_loss(model, weights, BIAS),
        lambda model, weights: expected_loss_with_error(model, weights, BIAS),
        lambda model, weights: expected_loss_without_penalty(model, weights, BIAS),
        lambda model, weights: expected_loss_and_gradient(model, weights, BIAS),
    ],
    "`expected_loss_hessian`, `loss_terms`, `optimal_bias`": [
        lambda model, weights: expected_loss_hessian(model, weights, BIAS),
        lambda model, weights: loss_terms(model, weights, BIAS).text(),
        lambda model, weights: optimal_bias(model, weights),
    ],
    "`inspect`, `inspect_many`": [
        lambda model, weights: inspect(model, weights, model.biased * BIAS, n_starts=1).text(),
        lambda model, weights: inspect_many(model, several(weights), several(model.biased * BIAS), n_starts=1).text(),
    ],
    "`minimize`": [lambda model, _: [minimum.text() for minimum in minimize(model, effort="quick")]],
    "`barrier`, `depths`, sensitivities": [sensitivities],
    "`phase_diagram` and its files": [files],
    "`boundaries`, triple points, `spinodals`": [
        lambda model, _: (found := diagram(model)).boundaries() + found.triple_points() + found.spinodals()
    ],
    "`train`, by minibatches and by the exact gradient": [
        lambda model, _: (run := train(model, n_models=2, **SHORT)).text() + str(run.gradient_norm) + str(run.loss_curve),
        lambda model, _: train(model, n_models=2, n_steps=2, gradient="population", seed=0).loss,
    ],
    "`trained_phase_diagram`, `validate`": [
        lambda model, _: trained_phase_diagram(plane=plane(model), n_seeds=2, **SHORT).text(),
        lambda model, _: validate(plane=plane(model), n_seeds=2, n_samples=100, curves=False, **SHORT).text(),
    ],
    "`compare`": [
        lambda model, weights: compare(
            diagram(model), several(weights), several(model.biased * BIAS), importance=[0.6, 0.7], density=0.4
        ).text()
    ],
    "frozen and relaxed theories": [
        lambda model, _: diagram(model, theory="frozen"),
        lambda model, _: diagram(model, theory="relaxed"),
    ],
    "`certify`, `certify_diagram`, `linear_minimum`": [
        lambda model, _: certify(model),
        lambda model, _: certify_diagram(diagram(model)),
        lambda model, _: linear_minimum(model),
    ],
}
LONG = "`boundaries`, triple points, `spinodals`"
"""The row that the suite holds against a kind of each column alone."""
FIRST = list(zip(COLUMNS, ("correlated", "signed", "penalty", "leaky", "uniform"), strict=False))


def said():
    """The table of the documentation: what it says by row and column, {row: {column: word}}."""
    page = (Path(__file__).parents[1] / "docs" / "choosing.md").read_text()
    lines = page.split("## What takes which models")[1].split("\n\n")[1].splitlines()
    head, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    return {row[0]: dict(zip(head[1:], row[1:], strict=True)) for row in rows}


def hold(row, column, law, folder):
    """Every function of a row takes models of a law, or all refuse them in one sentence, as the table says."""
    model, word = ToyModel(1, [1.0, 0.7], 0.4, **law), said()[row][column]
    weights = PAIR if column == "untied weights" else WEIGHTS
    for function in ROWS[row] if word != "–" else ():
        arguments = (model, weights, folder) if function is files else (model, weights)
        if word == "yes":
            function(*arguments)
        else:
            with pytest.raises(ValueError, match=" must "):
                function(*arguments)


def test_the_table_is_of_these_rows_and_columns():
    """As many as are tried here."""
    table = said()
    assert list(table) == list(ROWS) and all(list(row) == list(COLUMNS) for row in table.values())


@pytest.mark.quick
@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("row", [row for row in ROWS if row != LONG])
def test_functions_take_what_the_table_says(row, column, tmp_path):
    """Each kind of model of a column."""
    for law in COLUMNS[column].values():
        hold(row, column, law, tmp_path)


@pytest.mark.parametrize(("column", "kind"), FIRST)
def test_curves_take_what_the_table_says(column, kind, tmp_path):
    """One kind of each column."""
    hold(LONG, column, COLUMNS[column][kind], tmp_path)


@pytest.mark.campaign
@pytest.mark.parametrize("column", COLUMNS)
def test_curves_of_every_kind(column, tmp_path):
    """All kinds of each column."""
    for law in COLUMNS[column].values():
        hold(LONG, column, law, tmp_path)
