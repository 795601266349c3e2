"""In which order the features of unequal importance lie best in the places of one geometry.

Features of one density may change places, and n of them do so in n! ways whose losses lie closer together than descents can tell
before they end. But the loss is linear in the importances: from the second derivatives of each output's loss at the minimum of
equal importances, the loss of any order follows by one Newton step, without a further evaluation.
"""

from dataclasses import replace
from itertools import combinations

import numpy as np

from .._loss.evaluation import evaluate_rows
from .flat import flatten, parts
from .rough import LONGEST


def with_equal_importances(model):
    """The model in which features that differ in importance alone share their mean importance."""
    importance = model.importance.copy()
    for members in exchangeable(model):
        importance[members] = importance[members].mean()
    return replace(model, importance=importance)


def exchangeable(model):
    """Features that differ in importance at most, a list of lists."""
    return [list(members) for members in replace(model, importance=np.ones(model.n_features)).classes]


def reordered(model, x, count, generator):
    """At most ``count`` flat points (k, size) with the features in other places of a minimum x of equal importances.

    They are those of lowest loss after a Newton step among what exchanges of pairs lead to from ``count`` random orders.
    """
    expansion = Expansion(model, x)
    orders = _low_orders(model, expansion, count, generator)
    losses, steps = expansion.relaxed(model.importance[orders])
    kept = _lowest_distinct(losses, count)
    found = np.empty((len(kept), x.size))
    weights, bias = parts(found, model.n_hidden)
    for row, (its_weights, its_bias) in enumerate(zip(*parts(x + steps[kept], model.n_hidden), strict=True)):
        weights[row][:, orders[kept[row]]], bias[row][orders[kept[row]]] = its_weights, its_bias
    return found


class Expansion:
    """The scaled losses of the places at a minimum of equal importances, to second order.

    losses (n,), gradients (n, size) and hessians (n, size, size) of each output; gradient (size,) and hessian (size, size) of
    what has no importance: penalties, and rotations, along which nothing changes.
    """

    def __init__(self, model, x):
        n, m, free = model.n_features, model.n_hidden, model.form.free
        weights, bias = parts(np.repeat(x[None], n + 1, axis=0), m)
        controls = np.repeat(model.control[None], n + 1, axis=0)
        controls[:, :n] = 1.0 + np.eye(n + 1, n, -1)
        losses, by_weights, by_bias, hessians, _ = evaluate_rows(weights, bias, model.form, controls, "enumeration", 2)
        scale = model.loss_scale
        gradients = flatten(by_weights, by_bias) / scale * free
        hessians = np.where(free[:, None] & free, hessians / scale, 0.0)
        losses /= scale
        self.losses, self.gradients, self.hessians = losses[0], gradients[1:] - gradients[0], hessians[1:] - hessians[0]
        self.gradient = gradients[0] - self.gradients.sum(axis=0)
        tiny = 1e-9 * (np.trace(hessians[0]) or 1.0)  # dead outputs and dimensions have directions without any curvature
        self.hessian = hessians[0] - self.hessians.sum(axis=0) + np.diag(1.0 - free) + tiny * np.eye(x.size)
        for i, j in combinations(range(m), 2):
            turned = np.zeros((m, n))
            turned[[i, j]] = weights[0][[j, i]] * [[1.0], [-1.0]]
            along = flatten(turned, np.zeros(n))
            self.hessian += np.outer(along, along)

    def relaxed(self, importance):
        """Scaled losses (B,) for importances (B, n) of the places after a Newton step; its steps (B, size), none if too long."""
        gradient = self.gradient + importance @ self.gradients
        hessian = self.hessian + np.tensordot(importance, self.hessians, 1)
        steps = -np.linalg.solve(hessian, gradient[..., None])[..., 0]
        gains = -np.einsum("bi,bi->b", gradient, steps) / 2
        steps[(gains < 0) | (np.linalg.norm(steps, axis=1) > LONGEST)] = 0.0
        return importance @ self.losses - np.where(steps.any(axis=1), gains, 0.0), steps


def _low_orders(model, expansion, count, generator):
    """Orders (k, n), the feature in each place: where no exchange of a pair lowers the relaxed loss, and one exchange from there.

    Descents begin at the order as it is and at ``count`` − 1 random ones, if any.
    """
    classes = exchangeable(model)
    orders = np.repeat(np.arange(model.n_features)[None], max(count, 1), axis=0)
    for members in classes:
        orders[1:, members] = generator.permuted(orders[1:, members], axis=1)
    i, j = np.array([pair for members in classes for pair in combinations(members, 2)]).T
    pair, near = np.arange(len(i)), {}
    for order in orders:
        while order.tobytes() not in near:
            found = np.repeat(order[None], len(i) + 1, axis=0)
            found[pair + 1, i], found[pair + 1, j] = order[j], order[i]
            near[order.tobytes()] = found
            losses, _ = expansion.relaxed(model.importance[found])
            order = found[np.argmin(losses)]
    return np.concatenate(list(near.values()))


def _lowest_distinct(losses, count):
    """Positions of the ``count`` lowest of losses (B,) of which none is another's but for rounding, lowest first."""
    order = np.argsort(losses, kind="stable")
    new = np.diff(losses[order], prepend=-np.inf) > 1e-9 * np.abs(losses[order])
    return order[new][:count]
