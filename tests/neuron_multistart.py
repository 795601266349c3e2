"""An independent search for minima of neurons: L-BFGS-B in a box on a loss by samples, then on the exact one; kept in a store.

``python tests/neuron_multistart.py FILE`` runs what a file of lines of JSON lacks, and prints the table of docs/neurons.md.
"""

import json
import os
import sys
from itertools import product
from pathlib import Path

import numpy as np
from scipy.optimize import minimize as scipy_minimize

from phasediag import NeuronModel, expected_loss_and_gradient, minimize

CASES = [
    (1, 1, "absolute"),
    (1, 2, "absolute"),
    (2, 1, "identity"),
    (2, 2, "absolute"),
    (2, 3, "absolute"),
    (3, 2, "identity"),
    (2, 4, "absolute"),
    (4, 2, "identity"),
    (3, 4, "absolute"),
]
"""Features, neurons and tasks, the cheapest first."""


def lower(model, lowest, n_starts, seed, bound=20.0):
    """By how much (relative) a search finds a lower loss, and how many of its starts end within 1e-4 of the lowest minimum.

    The samples are a quadrature: a fixed lattice of inputs for every set of active features. What leaves the box is no minimum.
    """
    rng, form, best, hits = np.random.default_rng(seed), model.form, np.inf, 0
    box = [(-bound, bound)] * form.size

    def exact(x):
        """The exact loss and gradient at flat parameters."""
        loss, weights, bias = expected_loss_and_gradient(model, model.as_weights(*form.parts(x)[:2]), form.parts(x)[2])
        if form.is_tied:
            return loss, np.concatenate([weights.ravel(), bias])
        return loss, np.concatenate([weights[1].ravel(), weights[0].T.ravel(), bias])

    points, shares = _lattice(model)
    target = model.target(points)

    def rough(x):
        """The same of the samples."""
        encoder, decoder, bias = form.parts(x)
        before = points @ encoder.T
        hidden = np.maximum(before, 0)
        output = hidden @ decoder + bias
        error = np.maximum(output, 0) - target
        back = 2 * shares[:, None] * model.importance * error * (output > 0)
        to_encoder, to_decoder = ((back @ decoder.T) * (before > 0)).T @ points, hidden.T @ back
        gradient = [(to_encoder + to_decoder).ravel()] if form.is_tied else [to_encoder.ravel(), to_decoder.ravel()]
        return shares @ (error**2 @ model.importance), np.concatenate([*gradient, back.sum(axis=0)])

    for _ in range(n_starts):
        start = rng.normal(size=form.size) * np.where(rng.random(form.size) < 0.3, 0.1, 1.0) * rng.uniform(0.3, 1.2)
        start[-form.n_features :] = 0.05  # outputs are on
        x = scipy_minimize(rough, start, jac=True, method="L-BFGS-B", bounds=box).x
        if rough(x)[0] < 1.3 * lowest.loss + 1e-4 * model.loss_scale:
            x = scipy_minimize(exact, x, jac=True, method="L-BFGS-B", bounds=box, options={"maxiter": 300}).x
            if np.abs(x).max() < 0.9 * bound:
                loss = exact(x)[0]
                best, hits = min(best, loss), hits + (loss <= lowest.loss * (1 + 1e-4) + 1e-8 * model.loss_scale)
    return (1 - best / lowest.loss if lowest.loss > 1e-12 else 0.0), hits


def _lattice(model, n_points=60):
    """Inputs (n, n_features) and their shares: midpoints for every set of active features, weighted by its probability."""
    sets, shares, grid = [np.zeros((1, model.n_features))], [], (np.arange(n_points) + 0.5) / n_points
    shares = [np.prod(1 - model.feature_density) * np.ones(1)]
    signs = (1,) if model.task == "identity" else (1, -1)
    for active in product((False, True), repeat=model.n_features):
        k, active = sum(active), np.array(active)
        if k:
            steps = [(grid * (0.618034 if a == 0 else 1) * (1 if a == 0 else 7 * a**2 + 4) * n_points) % 1 for a in range(k)]
            steps[0] = grid
            for sign in product(signs, repeat=k):
                x = np.zeros((n_points, model.n_features))
                x[:, active] = np.stack(steps, axis=1) * sign
                sets.append(x)
                p = np.where(active, model.feature_density, 1 - model.feature_density).prod()
                shares.append(np.full(n_points, p / n_points / len(signs) ** k))
    return np.concatenate(sets), np.concatenate(shares)


def entry(n, m, task, point):
    """One control point of a case, of importances .1 … 10 of the extra feature and densities .01 … 1: 500 starts."""
    rng = np.random.default_rng([5, n, m, point])
    importance, density = 10 ** rng.uniform(-1, 1), 10 ** rng.uniform(-2, 0)
    model = NeuronModel(m, np.r_[np.ones(n - 1), importance], density, task=task)
    lowest = minimize(model)[0]
    excess, hits = lower(model, lowest, 500, seed=point)
    facts = {"n": n, "m": m, "task": task, "point": point, "importance": importance, "density": density}
    return facts | {"loss": lowest.loss, "phase": lowest.phase.name, "lower": excess, "hits": hits}


def stored(path):
    """The entries of a store by case and point; none where there is no file."""
    lines = Path(path).read_text(encoding="utf-8").splitlines() if path and Path(path).exists() else []
    return {(one["n"], one["m"], one["task"], one["point"]): one for one in map(json.loads, lines)}


def kept_entry(n, m, task, point):
    """The entry of the store that $PHASEDIAG_CAMPAIGN names, computed and added where it is missing."""
    path = os.environ.get("PHASEDIAG_CAMPAIGN")
    found = stored(path).get((n, m, task, point))
    if found is None:
        found = entry(n, m, task, point)
        if path:
            with open(path, "a", encoding="utf-8") as file:
                file.write(json.dumps(found) + "\n")
    return found


def table(entries):
    """The lines of a table of entries by case."""
    yield "| model | points | independent search lower (> 1e-7) | largest excess | of 500 starts in the lowest, median (least) |"
    yield "| --- | --- | --- | --- | --- |"
    for case in CASES:
        own = [one for key, one in entries.items() if key[:3] == case]
        if own:
            excess, hits = [one["lower"] for one in own], [one["hits"] for one in own]
            figures = f"{sum(x > 1e-7 for x in excess)} | {max(excess):.1e} | {np.median(hits):.0f} ({min(hits)})"
            yield f"| {case[0]}→{case[1]} {case[2]} | {len(own)} of 40 | {figures} |"


if __name__ == "__main__":
    os.environ["PHASEDIAG_CAMPAIGN"] = sys.argv[1]
    for case, point in product(CASES, range(40)):
        kept_entry(*case, point)
    print("\n".join(table(stored(sys.argv[1]))))
