"""Descents of many points at once, mostly along the gradient: second derivatives cost as much as many steps (BFGS in numpy)."""

import numpy as np

from .._loss.evaluation import evaluate_rows
from .flat import flatten, parts

MOST_ENUMERATED = 6
"""Up to so many features enumeration is faster than the contour integral."""
TOLERANCE = 1e-9
"""Of the loss by contour integration."""
LONGEST = 0.5
"""No step is longer."""
SECOND = 12, 24, 48, 96
"""Numbers of steps after which second derivatives are taken: BFGS corrects them, but would not find small ones among large."""
FLATTEST = 1e-4
"""Curvatures count as no smaller than this."""
SMALL = 1e-6
"""A descent ends where no entry of the scaled gradient exceeds this."""
MOST_STEPS = 300
ENOUGH = 1e-12
"""A step of less decrease than this part of the loss is the last."""


def loss_and_gradient(model, x):
    """Scaled losses (B,) and gradients (B, size) of flat parameters (B, size); by enumeration where contours decline."""
    weights, bias = parts(x, model.n_hidden)
    of, by_contour = (model.form, model.control), model.form.is_plain and model.n_features > MOST_ENUMERATED
    method = "contour" if by_contour else "enumeration"
    losses, by_weights, by_bias, *_ = evaluate_rows(weights, bias, *of, method, 1, tolerance=TOLERANCE, strict=False)
    declined = np.isnan(losses).any(axis=1)
    if declined.any():
        again = evaluate_rows(weights[declined], bias[declined], *of, "enumeration", 1)
        losses[declined], by_weights[declined], by_bias[declined] = again[:3]
    total = losses @ model.importance + model.penalty_of(weights)
    return total / model.loss_scale, flatten(by_weights, by_bias) / model.loss_scale * model.form.free


def inverse_hessians(model, x):
    """Inverse second derivatives (B, size, size) of the scaled loss at flat parameters (B, size), of positive curvatures."""
    weights, bias = parts(x, model.n_hidden)
    hessian = evaluate_rows(weights, bias, model.form, model.control, "enumeration", 2)[3] / model.loss_scale
    both = model.form.free[:, None] & model.form.free
    curvature, along = np.linalg.eigh(np.where(both, hessian, np.eye(x.shape[1])))
    return np.einsum("bik,bk,bjk->bij", along, 1 / np.maximum(np.abs(curvature), FLATTEST), along)


def descend_roughly(model, points, watch, heats, max_steps):
    """Where descents from flat points (B, size) have come when no gradient entry exceeds `SMALL`.

    Returns these points, their scaled losses (B,), and evaluations (B,). ``watch`` is called before every step. ``heats``: by
    numbers of steps, functions of the points and losses of those that have not ended, which say what goes on, positions; the
    losses of the others are infinite.
    """
    x = np.where(model.form.free, points, 0.0)
    size, n_evaluations, given_up = x.shape[1], np.ones(len(x), int), np.zeros(len(x), bool)
    loss, gradient = loss_and_gradient(model, x)
    inverse = np.repeat(np.eye(size)[None], len(x), axis=0)
    active = np.flatnonzero(np.abs(gradient).max(axis=1) > SMALL)
    for step in range(max_steps):
        watch()
        if step in heats:
            kept = heats[step](x[active], loss[active])
            given_up[np.delete(active, kept)] = True
            active = active[kept]
        if not active.size:
            break
        if step in SECOND:
            inverse[active] = inverse_hessians(model, x[active])
            n_evaluations[active] += 1
        direction = -np.einsum("bij,bj->bi", inverse[active], gradient[active])
        slope = np.einsum("bi,bi->b", direction, gradient[active])
        direction[slope >= 0] = -gradient[active][slope >= 0]
        with np.errstate(
            over="ignore"
        ):  # a slope of 1e300, where a loss of nothing is divided by a density of nothing, has no step
            direction *= np.minimum(1.0, LONGEST / np.linalg.norm(direction, axis=1))[:, None]
        slope = np.einsum("bi,bi->b", direction, gradient[active])
        length, waiting = np.ones(active.size), np.arange(active.size)
        new, new_loss, new_gradient = x[active].copy(), loss[active].copy(), gradient[active].copy()
        for _halving in range(12):
            trial = x[active[waiting]] + length[waiting, None] * direction[waiting]
            trial_loss, trial_gradient = loss_and_gradient(model, trial)
            n_evaluations[active[waiting]] += 1
            good = trial_loss <= loss[active[waiting]] + 1e-4 * length[waiting] * slope[waiting]
            done = waiting[good]
            new[done], new_loss[done], new_gradient[done] = trial[good], trial_loss[good], trial_gradient[good]
            rise = np.maximum(trial_loss - loss[active[waiting]] - length[waiting] * slope[waiting], 1e-300)
            shorter = np.clip(-slope[waiting] * length[waiting] / (2 * rise), 0.1, 0.5)
            length[waiting] *= shorter
            waiting = waiting[~good]
            if not waiting.size:
                break
        s, y = new - x[active], new_gradient - gradient[active]
        gained = loss[active] - new_loss
        x[active], loss[active], gradient[active] = new, new_loss, new_gradient
        sy = np.einsum("bi,bi->b", s, y)
        curved = sy > 1e-12
        rows, s, y, sy = active[curved], s[curved], y[curved], sy[curved]
        if step == 0 and rows.size:  # the scale of the second derivatives
            inverse[rows] *= (sy / np.einsum("bi,bi->b", y, y))[:, None, None]
        hy = np.einsum("bij,bj->bi", inverse[rows], y)
        factor = (1 + np.einsum("bi,bi->b", y, hy) / sy) / sy
        outer = hy[:, :, None] * s[:, None]
        inverse[rows] += (
            factor[:, None, None] * s[:, :, None] * s[:, None] - (outer + np.swapaxes(outer, 1, 2)) / sy[:, None, None]
        )
        going = (np.abs(gradient[active]).max(axis=1) > SMALL) & (gained > ENOUGH * loss[active])
        active = active[going]
    return x, np.where(given_up, np.inf, loss), n_evaluations
