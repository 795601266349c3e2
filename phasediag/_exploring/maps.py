"""What a page knows of one diagram: its phases as an image and by cells, all minima, curves."""

import numpy as np

from .._drawing.regions import curves_of, enclosed, phase_image, whole
from .._loss.evaluation import rows_loosely
from .._minimizing.flat import flatten, parts
from .._neurons.losses import evaluate
from ..candidates import configurations
from ..neuron_phases import phases_of
from ..neurons import NeuronForm
from ..phases import classify_many

MOST_MINIMA = 24
"""Of a cell's minima so many are kept, the lowest."""


def minima_of(diagram):
    """All minima of a diagram (of a frozen one: its patterns; of a trained one: its models), cell by cell, lowest first.

    Returns the flat index of the cell of each, shape (n,), parameters (n, (n_rows + 1) n_features), losses (n,) and names of
    phases (n,); weights have a row for each hidden dimension, or two for each neuron that writes otherwise than it reads.
    """
    size, shape = diagram.loss.size, diagram.loss.shape
    if diagram.trained is not None:
        models = diagram.trained
        x = flatten(models.weights.astype(np.float64), models.bias.astype(np.float64))
        cell = np.repeat(np.arange(size), x.shape[2])
        x, loss, phase = x.reshape(cell.size, -1), models.loss.ravel(), models.phase.ravel()
    elif diagram.theory == "frozen":
        table = {c.name: c for c in configurations(diagram.n_features, diagram.n_hidden)}
        kept = [table[name] for name in diagram.candidates]
        x = np.array([flatten(np.broadcast_to(c.weights, (shape[0], *c.weights.shape)), c.bias(diagram.y)) for c in kept])
        cell = np.tile(np.arange(size), len(kept))
        x = np.repeat(x, shape[1], axis=1).reshape(cell.size, -1)
        loss, phase = diagram.candidate_loss.ravel(), np.repeat([c.phase.name for c in kept], size)
    elif isinstance(diagram.plane.form, NeuronForm):
        x, cell, form = diagram.minima, diagram.minima_cell, diagram.plane.form
        control, models = diagram.plane.grid.reshape(size, -1)[cell], list(zip(*form.parts(x), strict=True))
        losses = [evaluate(form, one, *model, 0)[0] for one, model in zip(control, models, strict=True)]
        loss = np.sum(form.importance(control) * losses, axis=1)
        phase = [phase.name for phase in phases_of(*form.parts(x)[:2], form.is_tied)]
    else:
        x, cell, form = diagram.minima, diagram.minima_cell, diagram.plane.form
        controls, (weights, bias) = diagram.plane.grid.reshape(size, -1)[cell], parts(x, diagram.n_hidden)
        loss = np.sum(form.importance(controls) * rows_loosely(weights, bias, form, controls, 0)[0], axis=1)
        loss = loss + form.penalty(controls, weights)
        phase = [phase.name for phase in classify_many(weights, sets=form.activity.together)]
    order = np.lexsort((loss, cell))
    rank = np.arange(cell.size) - np.searchsorted(cell[order], cell[order])
    order = order[rank < MOST_MINIMA]
    return cell[order], x[order], loss[order], np.array(phase, dtype=object)[order]


def map_of(diagram, minima, number):
    """Return what is said of a diagram (a dict for JSON) and its arrays, by name.

    minima : what `minima_of` returned.
    number : dict, from the names of phases to their places in the page's list; names joined where phases tie get places too.
    """
    cell, x, loss, phase = minima
    points, point = np.unique(x, axis=0, return_inverse=True)  # patterns and clusters are the same in many cells
    cells = np.array([number.setdefault(name, len(number)) for name in diagram.phase.ravel().tolist()], dtype=np.int16)
    window = whole(diagram)
    arrays = {
        "image": phase_image(diagram, window, enclosed(diagram, window), number).astype(np.int16),
        "phase": cells.reshape(diagram.phase.shape),
        "loss": diagram.loss,
        "converged": diagram.converged.astype(np.uint8),
        "start": np.searchsorted(cell, np.arange(diagram.loss.size + 1)).astype(np.uint32),
        "point": point.reshape(-1).astype(np.uint32),
        "points": points,
        "minimum_loss": loss,
        "minimum_phase": np.array([number[name] for name in phase.tolist()], dtype=np.int16),
    }
    curves, arrays["curves"] = _curves(diagram)
    text = diagram.curves.csv() if diagram.curves is not None else ""
    facts = {
        "theory": diagram.theory,
        "x": diagram.x.tolist(),
        "y": diagram.y.tolist(),
        "window": np.array(window).tolist(),
        "curves_of": curves,
        "points_met": _points(diagram),
        "settings": [*diagram.plane._rows(), ("theory", diagram.theory), *_settings(diagram)],
    }
    return facts, arrays | {"csv": np.frombuffer(text.encode(), dtype=np.uint8)}


def _settings(diagram):
    """What a diagram says of how it was made, a list of (str, str): the options of a training, or the seed of a search."""
    options = {"seed": diagram.seed} if diagram.trained is None else diagram.trained.options
    return [(name, str(value)) for name, value in options.items() if value is not None]


def _curves(diagram):
    """What is said of each curve (dict: kind, order, phases, ends, from and to: its rows), and all points, shape (n, 2)."""
    limits = diagram.curves.spinodals if diagram.curves is not None and diagram.curves.has_spinodals else ()
    facts, rows, at = [], [np.empty((0, 2))], 0
    for curve in (*curves_of(diagram), *limits):
        boundary = hasattr(curve, "order")
        words = {"order": curve.order, "phases": [*curve.phases], "ends": [*curve.ends]} if boundary else {"phase": curve.phase}
        facts.append({"kind": "boundary" if boundary else "spinodal", **words, "from": at, "to": at + curve.x.size})
        rows.append(np.column_stack([curve.x, curve.y]))
        at += curve.x.size
    return facts, np.concatenate(rows)


def _points(diagram):
    """The points at which boundaries meet or change, or those that neurons have: dicts with kind, x, y and phases, each once."""
    found = {
        (f"{b.order} crossing", float(x), float(y)): b.phases for b in diagram.crossings for x, y in zip(b.x, b.y, strict=True)
    }
    for boundary in curves_of(diagram):
        for k, end in zip((0, -1), boundary.ends, strict=False):
            if end in ("order changes", "critical point"):
                found[(end, float(boundary.x[k]), float(boundary.y[k]))] = boundary.phases
    for point in () if diagram.curves is None else diagram.curves.triple_points:
        found["triple point", float(point.x), float(point.y)] = point.phases
    return [{"kind": kind, "x": x, "y": y, "phases": [*phases]} for (kind, x, y), phases in found.items()]
