"""Descents of many points at once, mostly along the gradient: second derivatives cost as much as many steps (BFGS)."""

import numpy as np

from .._compiling.jit import jit
from .._loss.evaluation import evaluate_rows
from .flat import flatten, parts
from .stationary_points import MAX_STEPS, NEGLIGIBLE, SAME_LOSS

MOST_ENUMERATED = 6
"""Up to so many features enumeration is faster than the contour integral, and second derivatives cost little."""
LONGEST = 0.5
"""No step is longer."""
SECOND = 16
"""After so many steps, and whenever their number has doubled, second derivatives are taken: BFGS corrects them, but would not
find small ones among large."""
FLATTEST = 1e-4
"""Curvatures count as no smaller than this."""
RACE = 8
"""Points that go on in a race after s = 2, 4, 8, … steps: so many / s for each random start of the search."""


class ExactLoss:
    """The scaled loss of a ToyModel at flat points, as an objective of descents; free (size,): which parameters may move."""

    def __init__(self, model):
        self.model, self.free = model, model.form.free

    def loss_and_gradient(self, x):
        """Losses (B,) and gradients (B, size) at points (B, size); by enumeration where contours decline."""
        model = self.model
        weights, bias = parts(x, model.n_hidden)
        of, by_contour = (model.form, model.control), model.form.is_plain and model.n_features > MOST_ENUMERATED
        method = "contour" if by_contour else "enumeration"
        losses, by_weights, by_bias, *_ = evaluate_rows(weights, bias, *of, method, 1, tolerance=SAME_LOSS, strict=False)
        declined = np.isnan(losses).any(axis=1)
        if declined.any():
            again = evaluate_rows(weights[declined], bias[declined], *of, "enumeration", 1)
            losses[declined], by_weights[declined], by_bias[declined] = again[:3]
        total = losses @ model.importance + model.penalty_of(weights)
        return total / model.loss_scale, flatten(by_weights, by_bias) / model.loss_scale * self.free

    def hessians(self, x):
        """Second derivatives (B, size, size) at points (B, size), the identity of what is fixed."""
        hessian = evaluate_rows(*parts(x, self.model.n_hidden), self.model.form, self.model.control, "enumeration", 2)[3]
        return np.where(self.free[:, None] & self.free, hessian / self.model.loss_scale, np.eye(x.shape[1]))


def descend_roughly(objective, points, watch=lambda: None, apart=None, n_racing=None, max_steps=MAX_STEPS):
    """Where descents from flat points (B, size) have come when one more step would lower the loss by less than `SAME_LOSS`.

    objective: an `ExactLoss` or a `OneHotLoss`. Returns these points, their losses (B,), and evaluations (B,). ``watch`` is
    called before every step. ``n_racing``: the random starts of the search, where only the lowest go on, see `RACE`; of them
    ``apart``, a function of the points, losses and a number, gives positions of at most so many that lie apart, and more. The
    losses of the others are infinite.
    """
    x = np.where(objective.free, points, 0.0)
    size, n_evaluations, given_up = x.shape[1], np.ones(len(x), int), np.zeros(len(x), bool)
    loss, gradient = objective.loss_and_gradient(x)
    inverse = np.repeat(np.eye(size)[None], len(x), axis=0)
    active = np.arange(len(x))
    for step in range(max_steps):
        watch()
        doubled = step > 1 and not step & (step - 1)
        if doubled and n_racing and active.size:
            kept, _ = apart(x[active], loss[active], RACE * n_racing // step)
            given_up[np.delete(active, kept)] = True
            active = active[kept]
        if doubled and step >= SECOND:
            inverse[active] = _inverse(objective.hessians(x[active]))
            n_evaluations[active] += 1
        direction = -np.einsum("bij,bj->bi", inverse[active], gradient[active])
        slope = np.einsum("bi,bi->b", direction, gradient[active])
        going = -slope > 2 * SAME_LOSS * np.maximum(loss[active], NEGLIGIBLE)
        active, direction, slope = active[going], direction[going], slope[going]
        if not active.size:
            break
        with np.errstate(over="ignore"):  # a loss of nothing divided by a density of nothing has a slope of 1e300, and no step
            shorter = np.minimum(1.0, LONGEST / np.linalg.norm(direction, axis=1))
        direction *= shorter[:, None]
        slope = np.einsum("bi,bi->b", direction, gradient[active])
        new, new_loss, new_gradient, count = _line_searches(objective, x[active], loss[active], direction, slope)
        n_evaluations[active] += count
        moved = new_loss < loss[active]
        active, new, new_gradient = active[moved], new[moved], new_gradient[moved]
        s, y = new - x[active], new_gradient - gradient[active]
        x[active], loss[active], gradient[active] = new, new_loss[moved], new_gradient
        curved = np.einsum("bi,bi->b", s, y) > 1e-12
        _update(inverse, active[curved], s[curved], y[curved], is_first=step == 0)
    return x, np.where(given_up, np.inf, loss), n_evaluations


def _inverse(hessian):
    """Inverses of second derivatives (B, size, size), of positive curvatures."""
    curvature, along = np.linalg.eigh(hessian)
    return np.einsum("bik,bk,bjk->bij", along, 1 / np.maximum(np.abs(curvature), FLATTEST), along)


def _line_searches(objective, x, loss, direction, slope):
    """Points (B, size) along directions (B, size) from x with losses enough lower (B,), gradients (B, size), evaluations (B,).

    slope (B,): of the losses (B,) at x. A point that finds none keeps its loss.
    """
    length, waiting, count = np.ones(len(x)), np.arange(len(x)), np.zeros(len(x), int)
    new, new_loss, new_gradient = x.copy(), loss.copy(), np.zeros_like(x)
    for _shortening in range(12):
        trial = x[waiting] + length[waiting, None] * direction[waiting]
        trial_loss, trial_gradient = objective.loss_and_gradient(trial)
        count[waiting] += 1
        good = trial_loss <= loss[waiting] + 1e-4 * length[waiting] * slope[waiting]
        done = waiting[good]
        new[done], new_loss[done], new_gradient[done] = trial[good], trial_loss[good], trial_gradient[good]
        above_tangent = np.maximum(trial_loss - loss[waiting] - length[waiting] * slope[waiting], 1e-300)
        length[waiting] *= np.clip(-slope[waiting] * length[waiting] / (2 * above_tangent), 0.1, 0.5)
        waiting = waiting[~good]
        if not waiting.size:
            break
    return new, new_loss, new_gradient, count


def _update(inverse, rows, s, y, is_first):
    """BFGS's update, in place, of some rows (k,) of inverse second derivatives (B, size, size).

    Steps s (k, size) changed the gradients by y (k, size).
    """
    sy = np.einsum("bi,bi->b", s, y)
    if is_first:  # the scale of the second derivatives
        inverse[rows] *= (sy / np.einsum("bi,bi->b", y, y))[:, None, None]
    hy = np.einsum("bij,bj->bi", inverse[rows], y)
    _add(inverse, rows, (1 + np.einsum("bi,bi->b", y, hy) / sy) / sy, s, hy, sy)


@jit(allocates=False)
def _add(inverse, rows, factor, s, hy, sy):
    """Add factor s sᵀ − (hy sᵀ + s hyᵀ) / sy to rows (k,) of inverse (B, size, size): factor, sy (k,), s, hy (k, size)."""
    size = s.shape[1]
    for k in range(rows.size):
        for i in range(size):
            for j in range(size):
                outer = hy[k, i] * s[k, j] + hy[k, j] * s[k, i]
                inverse[rows[k], i, j] += factor[k] * s[k, i] * s[k, j] - outer / sy[k]
