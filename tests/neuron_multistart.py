"""An independent search for minima of neurons: least squares on a quadrature of inputs, from many starts; kept in a store.

``python tests/neuron_multistart.py FILE [CASE …]`` runs what a file of lines of JSON lacks, and prints a table.
Nothing is shared with the search of the library: other starts, the loss of a fixed set of inputs, Levenberg's and Marquardt's
steps on its errors; then the lowest ends of different losses go on by L-BFGS-B on the exact loss, with weights up to 1000. Where
weights grow without end what is known is the loss that descents of the library met.
"""

import json
import os
import sys
from itertools import product
from pathlib import Path

import numpy as np
from scipy.optimize import minimize as scipy_minimize

from phasediag import NeuronModel, expected_loss, expected_loss_and_gradient, minimize

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
BOUND, FAR = 20.0, 1e3
"""Weights in the quadrature and in the end: where they grow without end the loss comes near its infimum."""
NODES = (16, 24, 24, 24)
"""Inputs of a sign pattern of 1, 2, 3, 4 active features."""
TOGETHER = 10
"""Starts that take their steps together."""


class Quadrature:
    """Errors of the outputs of many parameters at fixed inputs, in single precision, and what a step of least squares needs."""

    def __init__(self, model):
        self.form = form = model.form
        m, n = form.n_hidden, form.n_features
        points, shares = inputs(model)
        target, roots = model.target(points), np.sqrt(shares[:, None] * model.importance)
        self.points, self.target, self.roots = (one.astype(np.float32) for one in (points, target, roots))
        writes = [np.arange(m) * n + i + (0 if form.is_tied else m * n) for i in range(n)]
        self.columns = [np.unique(np.r_[np.arange(m * n), writes[i], form.size - n + i]) for i in range(n)]
        self.writes = [np.searchsorted(*pair) for pair in zip(self.columns, writes, strict=True)]

    def __call__(self, x):
        """Loss (n_runs,), half its gradient (…, size), and JᵀJ (…, size, size) of the errors at parameters x (n_runs, size)."""
        form, (m, n) = self.form, (self.form.n_hidden, self.form.n_features)
        encoder, decoder, bias = form.parts(x.astype(np.float32))
        before = self.points @ np.swapaxes(encoder, 1, 2)
        hidden = np.maximum(before, 0)
        output = hidden @ decoder + bias[:, None]
        error = (np.maximum(output, 0) - self.target) * self.roots
        reads = ((before > 0)[..., None] * self.points[:, None]).reshape(*before.shape[:2], m * n)
        slope, curved = np.zeros(x.shape), np.zeros((*x.shape, form.size))
        for i, (columns, writes) in enumerate(zip(self.columns, self.writes, strict=True)):
            rows = np.zeros((*before.shape[:2], len(columns)), dtype=np.float32)
            np.multiply(reads, np.repeat(decoder[:, None, :, i], n, axis=2), out=rows[..., : m * n])
            rows[..., writes] += hidden
            rows[..., -1] = 1
            rows *= (self.roots[:, i] * (output[..., i] > 0))[..., None]
            slope[:, columns] += (error[:, None, :, i] @ rows)[:, 0]
            curved[:, columns[:, None], columns] += np.swapaxes(rows, 1, 2) @ rows
        return (error.astype(np.float64) ** 2).sum(axis=(1, 2)), slope, curved

    def descend(self, x, n_steps):
        """Parameters (n_runs, size) after steps whose damping follows their success, and their losses (n_runs,)."""
        x, damping = x.copy(), np.full(len(x), 1e-2)
        loss, slope, curved = self(x)
        for _ in range(n_steps):
            diagonal = np.einsum("kii->ki", curved)
            damped = curved + (damping[:, None] * (diagonal + 1e-6 * diagonal.max(axis=1, keepdims=True)) + 1e-15)[
                :, :, None
            ] * np.eye(x.shape[1])
            trial = np.clip(x - np.linalg.solve(damped, slope[..., None])[..., 0], -BOUND, BOUND)
            after, slope_after, curved_after = self(trial)
            better = after < loss
            x[better], loss[better] = trial[better], after[better]
            slope[better], curved[better] = slope_after[better], curved_after[better]
            damping = np.clip(np.where(better, damping / 3, damping * 4), 1e-9, 1e6)
        return x, loss


def inputs(model):
    """Inputs (n_points, n_features) and their shares: lattices for every set of active features and their signs."""
    n, density = model.n_features, model.feature_density
    signs = (1,) if model.task == "identity" else (1, -1)
    steps = np.array([0.5, 0.7548776662466927, 0.5698402909980532, 0.8191725133961645])  # the roots of x³ = x + 1 and the like
    points, shares = [np.zeros((1, n))], [np.array([np.prod(1 - density)])]
    for active in map(np.array, product((False, True), repeat=n)):
        k = active.sum()
        if k == 0:
            continue
        size = NODES[k - 1]
        lattice = (np.arange(size)[:, None] * steps[:k] + 0.5) % 1
        lattice[:, 0] = (np.arange(size) + 0.5) / size
        for sign in product(signs, repeat=k):
            points.append(np.zeros((size, n)))
            points[-1][:, active] = lattice * sign
            shares.append(np.full(size, np.where(active, density, 1 - density).prod() / size / len(signs) ** k))
    return np.concatenate(points), np.concatenate(shares)


def lower(model, known, n_starts, seed, n_polished=16):
    """By how much (relative) a search finds a loss below the known one, and how many of its starts end within 1e-4 of that."""
    rng, form, scale = np.random.default_rng(seed), model.form, model.loss_scale
    starts = rng.normal(size=(n_starts, form.size)) * np.where(rng.random((n_starts, form.size)) < 0.3, 0.1, 1.0)
    starts *= rng.uniform(0.3, 1.2, size=(n_starts, 1))
    starts[:, -form.n_features :] = 0.05  # outputs are on
    quadrature = Quadrature(model)
    ends = np.concatenate([quadrature.descend(starts[a : a + TOGETHER], 40)[0] for a in range(0, n_starts, TOGETHER)])
    losses = expected_loss(model, model.as_weights(*form.parts(ends)[:2]), form.parts(ends)[2])

    def exact(x):
        """The exact loss and gradient at flat parameters, over the loss of no output."""
        loss, weights, bias = expected_loss_and_gradient(model, model.as_weights(*form.parts(x)[:2]), form.parts(x)[2])
        rows = [weights.ravel()] if form.is_tied else [weights[1].ravel(), weights[0].T.ravel()]
        return loss / scale, np.concatenate([*rows, bias]) / scale

    def polished(x):
        """The loss to which L-BFGS-B leads from x (size,)."""
        options = {"maxiter": 400, "ftol": 1e-15, "gtol": 1e-10}
        found = scipy_minimize(exact, x, jac=True, method="L-BFGS-B", bounds=[(-FAR, FAR)] * form.size, options=options)
        return found.fun * scale

    best, hits, seen = np.inf, 0, []
    for at in np.argsort(losses, kind="stable"):
        near = [k for k, (rough, _) in enumerate(seen) if abs(rough - losses[at]) <= 1e-5 * losses[at] + 1e-9 * scale]
        if near:  # one end of each loss goes on
            hits += seen[near[0]][1]
            continue
        if len(seen) == n_polished:
            break
        loss = polished(ends[at])
        best = min(best, loss)
        seen.append((losses[at], loss <= known * (1 + 1e-4) + 1e-8 * scale))
        hits += seen[-1][1]
    return max((known - best) / max(known, 1e-9 * scale), -1.0), int(hits)


def entry(n, m, task, point, n_starts=500):
    """One control point of a case, of importances .1 … 10 of the extra feature and densities .01 … 1: 500 starts."""
    rng = np.random.default_rng([5, n, m, point])
    importance, density = 10 ** rng.uniform(-1, 1), 10 ** rng.uniform(-2, 0)
    model = NeuronModel(m, np.r_[np.ones(n - 1), importance], density, task=task)
    every = minimize(model)
    found = [one for one in every if not one.is_unbounded]
    loss, phase = (found[0].loss, found[0].phase.name) if found else (model.loss_scale, "none")
    unbounded = every[0].unbounded_loss
    known = min(loss, unbounded)
    excess, hits = lower(model, known, n_starts, seed=point)
    facts = {"n": n, "m": m, "task": task, "point": point, "importance": importance, "density": density}
    ends = {"unbounded": unbounded / model.loss_scale, "scale": model.loss_scale}
    return facts | {"loss": loss, "phase": phase, "lower": excess, "hits": hits} | ends


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
    names = sys.argv[2:] or [f"{n}→{m}" for n, m, _ in CASES]
    for case, point in product(CASES, range(40)):
        if f"{case[0]}→{case[1]}" in names:
            kept_entry(*case, point)
    print("\n".join(table(stored(sys.argv[1]))))
