"""Another search for the lowest minimum: another optimizer, another engine, ten times the starts."""

from types import SimpleNamespace

import numpy as np
from scipy.optimize import minimize as scipy_minimize

from phasediag import expected_loss
from phasediag._loss.evaluation import evaluate_rows
from phasediag._minimizing.flat import flatten, parts

STARTS = 320  # ten times the random starts of minimize
POLISHED = 6
SAME_END = 1e-2  # rough ends whose products W_i·W_j and biases differ by less are one
ACCURACY = 1e-11
STEPS, MEMORY, LONGEST = 60, 10, 1.0  # of the rough descents: steps, pairs remembered, the longest step
PROMISING, MORE_STEPS = 48, 180  # so many of the lowest ends go on for so many steps: until those of one minimum look alike
NEWTON_STEPS, APART = 4, 1e-4  # at the bottom: steps, and how far apart the gradients are whose differences are the Hessian


def _objective(model, method):
    """Scaled losses (…) and gradients of flat points; by enumeration where the contour integral needs more than NODES nodes."""
    form, control = model.form, model.control

    def rows(x, method):
        weights, bias = parts(x, model.n_hidden)
        found = evaluate_rows(weights, bias, form, control, method, 1, tolerance=ACCURACY, strict=False)
        return (found[0] @ model.importance) / model.loss_scale, flatten(*found[1:3]) / model.loss_scale

    def evaluate(x):
        losses, gradients = rows(x, method)
        declined = np.isnan(losses)  # an output rests on a few small weights
        if declined.any():
            losses, gradients = np.array(losses), np.array(gradients)
            losses[declined], gradients[declined] = rows(x[declined], "enumeration")
        return losses, gradients

    return evaluate


def descend_all(objective, x, steps=STEPS):
    """The points (B, size), and losses (B,), that limited-memory BFGS reaches from x (B, size) in so many steps.

    One that finds nothing lower twice in turn has arrived.
    """
    loss, gradient = objective(x)
    failures = np.zeros(len(x), dtype=int)
    pairs = []  # of the last steps and changes of the gradient, with the inverse of their products, 0 where it is no curvature
    for _step in range(steps):
        direction, found = -gradient, []
        for s, y, rho in reversed(pairs):
            found.append(rho * np.sum(s * direction, axis=1))
            direction = direction - found[-1][:, None] * y
        if pairs:
            s, y, rho = pairs[-1]
            direction = direction * np.where(rho > 0, 1 / np.maximum(rho * np.sum(y**2, axis=1), 1e-300), 1.0)[:, None]
        for (s, y, rho), alpha in zip(pairs, reversed(found), strict=True):
            direction = direction + (alpha - rho * np.sum(y * direction, axis=1))[:, None] * s
        uphill = np.sum(direction * gradient, axis=1) >= 0
        direction[uphill] = -gradient[uphill]
        direction /= np.maximum(np.linalg.norm(direction, axis=1) / LONGEST, 1)[:, None]
        slope, length = np.sum(direction * gradient, axis=1), np.ones(len(x))
        new, new_loss, new_gradient = x.copy(), loss.copy(), gradient.copy()
        waiting = np.flatnonzero(failures < 2)
        length[failures >= 2] = 0
        failures[waiting] += 1
        while waiting.size and length.max() > 1e-4:
            trial = x[waiting] + length[waiting, None] * direction[waiting]
            its_loss, its_gradient = objective(trial)
            good = its_loss <= loss[waiting] + 1e-4 * length[waiting] * slope[waiting]
            done = waiting[good]
            new[done], new_loss[done], new_gradient[done] = trial[good], its_loss[good], its_gradient[good]
            waiting = waiting[~good]
            length[waiting] /= 3
            length[done] = failures[done] = 0
        s, y = new - x, new_gradient - gradient
        product = np.sum(s * y, axis=1)
        pairs = [*pairs[1 - MEMORY :], (s, y, np.where(product > 1e-14, 1 / np.maximum(product, 1e-14), 0.0))]
        x, loss, gradient = new, new_loss, new_gradient
    return x, loss


def _look(x, m, n):
    """Lengths, angles and biases in order of size: what rotations and permutations of the features leave as it is."""
    weights = x[: m * n].reshape(m, n)
    products = (weights.T @ weights)[np.triu_indices(n)]
    return np.concatenate([np.sort(products), np.sort(x[m * n :])])


def lowest_point(model, n_starts, generator):
    """The lowest expected loss that limited-memory BFGS reaches from random starts, weights (m, n) and biases (n,) there.

    All descend roughly at once on the engine that is faster here; the lowest distinct ends go on to the bottom on the contour
    integral (scipy's L-BFGS-B).
    """
    m, n = model.n_hidden, model.n_features
    fast, exact = _objective(model, "enumeration" if n < 7 else "contour"), _objective(model, "contour")
    # columns of very different lengths, biases of both signs, of any size: not the starts that minimize draws
    weights = generator.normal(size=(n_starts, m, n)) * generator.uniform(0, 1.5, size=(n_starts, 1, n))
    ends, losses = descend_all(
        fast, flatten(weights, generator.normal(size=(n_starts, n)) * generator.uniform(0, 0.3, size=(n_starts, 1)))
    )
    ends, losses = descend_all(fast, awake(model, ends[np.argsort(losses)[:PROMISING]]), MORE_STEPS)
    rough = [SimpleNamespace(x=x, fun=loss) for x, loss in zip(ends, losses, strict=True)]
    found = []
    for end in distinct(rough, m, n)[:POLISHED]:
        options = {"maxiter": 1000, "ftol": 1e-15, "gtol": 1e-9, "maxcor": 30}
        one = scipy_minimize(lambda x: [y[0] for y in exact(x[None])], end.x, jac=True, method="L-BFGS-B", options=options)
        found.append((float(expected_loss(model, *parts(one.x, m))), *parts(one.x, m)))
    loss, *point = min(found, key=lambda point: point[0])
    lowest = parts(stationary(lambda x: exact(x)[1], flatten(*point)), m)
    there = float(expected_loss(model, *lowest))
    return (there, *lowest) if there < loss * (1 + ACCURACY) else (loss, *point)


def awake(model, x):
    """Points (B, size) with the biases of outputs that are never on, where no slope leads on, at their features' means."""
    weights, bias = parts(x, model.n_hidden)
    highest = bias + np.maximum(np.swapaxes(weights, -1, -2) @ weights, 0).sum(axis=-1)
    return flatten(weights, np.where(highest <= 0, model.feature_mean, bias))


def bottom(model, x):
    """The minimum (size,) to which limited-memory BFGS and Newton steps lead from a point x (size,) near it."""
    exact = _objective(model, "contour")
    return stationary(lambda x: exact(x)[1], descend_all(exact, x[None])[0][0])


def stationary(gradient, x):
    """The point (size,) where Newton steps from x lead: a slope tells a column that is 0 from one of 0.002, losses do not."""
    steps = APART * np.eye(x.size)
    for _step in range(NEWTON_STEPS):
        hessian = (gradient(x + steps) - gradient(x - steps)) / (2 * APART)
        x = x - np.linalg.lstsq(hessian, gradient(x[None])[0], rcond=1e-8)[0]  # rotations cost nothing
    return x


def distinct(rough, m, n):
    """Rough ends, the lowest first, each look once."""
    kept, looks = [], []
    for end in sorted(rough, key=lambda end: end.fun):
        look = _look(end.x, m, n)
        if not any(np.max(np.abs(look - other)) < SAME_END for other in looks):
            kept.append(end)
            looks.append(look)
    return kept
