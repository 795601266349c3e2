"""Minima of values that are atoms, some below 0: they may sit on kinks of the loss.

At z = 0 the slope of (x_i − f(z))² in z jumps by −2 (1 − slope) x_i. Where x_i < 0 it jumps up, so that a minimum may hold an
output there. Inputs have finitely many values, and the loss is smooth but for these kinks: descents on the loss with its kinks
rounded, less and less, lead near a minimum, and Newton's method on the smooth rest, with the outputs on kinks held at 0, to its
bottom. There the multipliers of these outputs lie between the two slopes of their terms: no one-sided derivative is negative.
"""

from dataclasses import dataclass

import numpy as np

from .flat import flatten, parts
from .stationary_points import Settled, dead_outputs

ROUNDINGS = (0.1, 1e-2, 1e-3)
"""Half the widths over which kinks are rounded, one descent after another; of every other start without the first, which takes
away narrow basins."""
NEAR_KINK = 3 * ROUNDINGS[-1]
"""Outputs this near to 0 after the last descent may be on a kink."""
ON_KINK = 1e-10
"""Outputs this near to 0 at a minimum are on one."""
MOST_STEPS = 40


@dataclass(frozen=True, eq=False)
class Inputs:
    """All values of the input of a model and what its loss needs of them.

    x (n_inputs, n_features); weight (n_inputs, n_features): probability × importance; slope: of the output where it is negative;
    by_weights, by_interference: γ and λ; scale: Σ_i I_i E x_i²; n_hidden.
    """

    x: np.ndarray
    weight: np.ndarray
    slope: float
    by_weights: float
    by_interference: float
    scale: float
    n_hidden: int

    @classmethod
    def of(cls, model):
        """Those of a ToyModel whose values are atoms."""
        form, control = model.form, model.control
        lows = np.array([0.0, 0.0, *(low for low, _ in form.values)])
        if any(width > 0 for _, width in form.values):
            domain = "atoms alone, or none below 0, where minima are searched, which may then sit on kinks"
            raise ValueError(f"values must be {domain}, got {model.values!r:.80}")
        x, which = np.unique(lows[form.components], axis=0, return_inverse=True)
        probability = np.bincount(which.ravel(), form.weights(control), len(x))
        penalty = (model.penalty.weights, model.penalty.interference) if model.penalty else (0.0, 0.0)
        kept = probability > 0
        weight = probability[kept, None] * model.importance
        return cls(x[kept], weight, float(form.slope(control)), *penalty, model.loss_scale, model.n_hidden)

    def outputs(self, point):
        """Outputs before the activation at flat parameters (size,): shape (n_inputs, n_features)."""
        weights, bias = parts(point, self.n_hidden)
        return self.x @ weights.T @ weights + bias

    def rounded(self, point, width):
        """The scaled loss with kinks rounded over |z| < width, and its gradient (size,)."""
        weights, _ = parts(point, self.n_hidden)
        z = self.outputs(point)
        inside = np.clip((z + width) / (2 * width), 0.0, 1.0)
        positive = np.where(z > width, z, width * inside**2)
        error = self.x - self.slope * z - (1 - self.slope) * positive
        by_output = -2 * self.weight * error * (self.slope + (1 - self.slope) * inside)
        penalty, by_penalty = self._penalty(weights)
        gradient = self._gradient(point, by_output)
        gradient[: weights.size] += by_penalty.ravel()
        return (np.sum(self.weight * error**2) + penalty) / self.scale, gradient / self.scale

    def smooth(self, point, held):
        """Gradient (size,) and Hessian (size, size), scaled, of the loss without the terms ``held`` (n_inputs, n_features)."""
        weights, _ = parts(point, self.n_hidden)
        z, weight = self.outputs(point), np.where(held, 0.0, self.weight)
        gain = np.where(z > 0, 1.0, self.slope)
        by_output = -2 * weight * (self.x - gain * z) * gain
        rows = self.jacobian(point, np.ones_like(held))
        hessian = rows.T @ ((2 * weight * gain**2).ravel()[:, None] * rows) + self.curvature(by_output, point.size)
        gradient, count, step = self._gradient(point, by_output), weights.size, 1e-5
        gradient[:count] += self._penalty(weights)[1].ravel()
        if self.by_weights or self.by_interference:  # cubic: central differences of steps 1 and 2 are exact to rounding
            for k in range(count):
                aside = step * np.eye(count)[k].reshape(weights.shape)
                slopes = [self._penalty(weights + side * aside)[1].ravel() for side in (-2, -1, 1, 2)]
                hessian[k, :count] += (slopes[0] - 8 * slopes[1] + 8 * slopes[2] - slopes[3]) / (12 * step)
        return gradient / self.scale, hessian / self.scale

    def jacobian(self, point, held):
        """Gradients of the outputs ``held`` in the parameters, a row for each: shape (n_held, size)."""
        (weights, bias), (inputs, outputs) = parts(point, self.n_hidden), np.nonzero(held)
        x, own = self.x[inputs], np.eye(bias.size)[outputs]
        by_weights = (x @ weights.T)[:, :, None] * own[:, None, :] + weights.T[outputs][:, :, None] * x[:, None, :]
        return flatten(by_weights, own)

    def curvature(self, by_output, size):
        """Σ by_output × second derivatives of the outputs, shape (size, size); by_output (n_inputs, n_features)."""
        pairs = by_output.T @ self.x
        found = np.zeros((size, size))
        count = self.n_hidden * len(pairs)
        found[:count, :count] = np.kron(np.eye(self.n_hidden), pairs + pairs.T)
        return found

    def feature_loss(self, point, importance):
        """Each feature's own loss, shape (n_features,)."""
        z = self.outputs(point)
        return np.sum(self.weight * (self.x - np.where(z > 0, z, self.slope * z)) ** 2, axis=0) / importance

    def _gradient(self, point, by_output):
        """The gradient (size,) that slopes in the outputs (n_inputs, n_features) make."""
        weights, _ = parts(point, self.n_hidden)
        by_weights = (self.x @ weights.T).T @ by_output + (by_output @ weights.T).T @ self.x
        return flatten(by_weights, by_output.sum(axis=0))

    def _penalty(self, weights):
        """The penalty of weights (n_hidden, n_features), and its gradient, of their shape."""
        gram = weights.T @ weights
        apart = gram - np.diag(np.diag(gram))
        value = self.by_weights * np.sum(weights**2) + self.by_interference * np.sum(apart**2)
        return value, 2 * self.by_weights * weights + 4 * self.by_interference * weights @ apart


def kinks_of(inputs, point, near=ON_KINK):
    """Which outputs (n_inputs, n_features) are within ``near`` of a kink that may hold a minimum, at flat parameters (size,)."""
    return (np.abs(inputs.outputs(point)) < near) & (inputs.x < 0)


def kinks_at(model, point):
    """The kinks on which a minimum sits, at flat parameters (size,): a tuple of (output, input) in the order of outputs."""
    inputs = Inputs.of(model)
    places = zip(*np.nonzero(kinks_of(inputs, point).T), strict=True)
    return tuple((int(output), tuple(inputs.x[row].tolist())) for output, row in places)


def settle_on_kinks(model, starts):
    """Descend from starts (n_starts, size) to minima, which may sit on kinks; a list of Settled."""
    from scipy.optimize import minimize  # takes a third of a second, and few models have kinks

    inputs, found = Inputs.of(model), []
    for number, point in enumerate(starts):
        count = 0
        for width in ROUNDINGS[number % 2 :]:
            end = minimize(inputs.rounded, point, (width,), method="BFGS", jac=True, options={"gtol": 1e-6})
            point, count = end.x, count + end.nfev
        found.append(_bottom(model, inputs, point, count))
    return found


def _bottom(model, inputs, point, count):
    """The Settled at the bottom near a point (size,): kinks are let go of whose multipliers lie outside of their two slopes."""
    from scipy.optimize import lsq_linear

    held = kinks_of(inputs, point, NEAR_KINK)
    steepest = -2 * inputs.weight * inputs.x / inputs.scale  # the slopes of a term at z = 0: this, and slope times it
    while True:
        point, multipliers = _newton(inputs, point, held)
        high = steepest[held]
        beyond = np.maximum(multipliers - high, inputs.slope * high - multipliers)
        if not held.any() or beyond.max() <= 1e-9:
            break
        inputs_, outputs = np.nonzero(held)
        worst = np.argmax(beyond)
        held[inputs_[worst], outputs[worst]] = False
    on = kinks_of(inputs, point)
    gradient, hessian = inputs.smooth(point, on)
    rows, high = inputs.jacobian(point, on), steepest[on]
    multipliers = np.zeros(len(rows))
    if len(rows):
        multipliers = lsq_linear(rows.T, -gradient, (inputs.slope * high, high + 1e-300), tol=1e-15).x
        if held.sum() == on.sum():  # independent as a rule: the multipliers are those of the last step, to rounding
            multipliers = np.clip(_newton(inputs, point, on)[1], inputs.slope * high, high)
    weight = np.zeros(on.shape)
    weight[on] = multipliers
    curved = hessian + inputs.curvature(weight, point.size)
    norm = np.max(np.abs(gradient + multipliers @ rows))
    lowest = _lowest_curvature(model, point, curved, rows)
    loss, _ = inputs.rounded(point, 1e-300)
    dead = bool(dead_outputs(point, model.form, model.control))
    own = inputs.feature_loss(point, model.importance)
    weights, bias = parts(point[None], model.n_hidden)
    point = flatten(model.form.upright(model.control[None], weights), bias)[0]
    return Settled(point, float(loss), float(norm), float(lowest), count, dead, bool(abs(lowest) < 1e-9), own)


def _newton(inputs, point, held):
    """The point near a point at which the smooth rest is stationary while the outputs ``held`` are 0, and their multipliers."""
    multipliers = np.zeros(int(held.sum()))
    for _step in range(MOST_STEPS):
        gradient, hessian = inputs.smooth(point, held)
        weight = np.zeros(held.shape)
        weight[held] = multipliers
        rows = inputs.jacobian(point, held)
        system = np.block([[hessian + inputs.curvature(weight, point.size), rows.T], [rows, np.zeros((len(rows),) * 2)]])
        change = np.linalg.lstsq(system, -np.concatenate([gradient, inputs.outputs(point)[held]]), rcond=1e-10)[0]
        step, multipliers = change[: point.size], change[point.size :]
        length = np.linalg.norm(step)
        point = point + step * min(1.0, 0.3 / max(length, 1e-300))
        if length < 1e-15:
            break
    return point, multipliers


def _lowest_curvature(model, point, hessian, rows):
    """The lowest eigenvalue of a Hessian across rotations and the gradients (rows) of outputs on kinks; ∞ where none is left."""
    weights, bias = parts(point, model.n_hidden)
    turns = [np.eye(model.n_hidden)[[a]].T @ weights[[b]] - np.eye(model.n_hidden)[[b]].T @ weights[[a]]
             for a in range(model.n_hidden) for b in range(a)]  # fmt: skip
    across = np.array([*rows, *(flatten(turn, np.zeros_like(bias)) for turn in turns)]).reshape(-1, point.size)
    _, sizes, directions = np.linalg.svd(across, full_matrices=True)
    free = directions[np.sum(sizes > 1e-10 * max(sizes.max(initial=0.0), 1e-300)) :]
    return np.linalg.eigvalsh(free @ hessian @ free.T)[0] if len(free) else np.inf
