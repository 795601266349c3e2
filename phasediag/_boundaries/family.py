"""A model over its plane as a two-parameter gradient system: the loss of flat parameters x at a point u, and its derivatives."""

from functools import cached_property
from itertools import combinations, pairwise, product

import numpy as np
from scipy.linalg.lapack import dgesv

from .._minimizing import newton
from .._minimizing.flat import parts
from .._minimizing.stationary_points import NEGLIGIBLE, invariants, swapped
from ..planes import Varied, Window
from .tolerances import (
    CONTROL_STEP,
    EXPANSION_STEP,
    FLAT,
    KINK,
    LEAST_PIVOT,
    RATE_STEP,
    ROUNDING,
    SHORT_ROOM,
    SHORT_WINDOW,
    SIDE_STEP,
    TYING,
)

_KEPT = 256
"""Points whose control vectors are kept: differences in u and Newton's steps ask for the same few again and again."""


class Box(Window):
    """The window of a plane in the room's coordinates u, and the length of a full step in it.

    ``wide``: along which axes it extends, one of them only in a diagram of one row or column, which curves cross in a point.
    ``most``: the greatest coordinates that the parameters can have.
    """

    def __init__(self, low, high, most, steps_across):
        super().__init__(low, high)
        self._ends = (*zip(self.low.tolist(), self.high.tolist(), strict=True),)
        self.most, self.step = most, max(float(np.max(self.high - self.low)) / steps_across, SHORT_WINDOW)

    def room(self, u, direction):
        """How far it is from u to the edge along a unit vector, and the axis of that edge."""
        with np.errstate(divide="ignore", invalid="ignore"):
            room = np.where(direction > 0, self.high - u, self.low - u) / direction
        room[direction == 0] = np.inf
        return float(np.min(room)), int(np.argmin(room))

    def both_sides(self, axis, at, step):
        """The coordinates along an axis a step ahead of one and behind it, itself where they would leave the window with it."""
        low, high = self._ends[axis]
        return (at + step if at + step <= high or at > high else at, at - step if at - step >= low or at < low else at)

    def ties(self, u):
        """Whether losses cannot tell what ties at the greatest value of a coordinate from what is lowest at u."""
        return bool(np.any(np.abs(u - self.most) < TYING))


class Family:
    """The losses of one model at all points u of its plane, scaled by Σ_i I_i E x_i² unless it is said otherwise.

    u are the plane's coordinates, those along axes that are not logarithmic in parts of their largest value: all are of order 1.
    """

    def __init__(self, plane, settings):
        self.settings, self.plane, self.form, self.classes = settings, plane, plane.form, plane.classes
        self.n, self.m, self.size = self.form.n_features, self.form.n_hidden, self.form.size
        axes = plane.x, plane.y
        self.axes, self._most = (plane.x.name, plane.y.name), np.array([axis.most for axis in axes])
        log = [axis.log for axis in axes]
        self._log = all(log) or np.array(log)  # where to take the exponential, as numpy is told
        self._units = np.array([1.0 if axis.log else np.max(np.abs(axis.values)) or 1.0 for axis in axes])
        most = [axis.coordinate(most) for axis, most in zip(axes, self._most, strict=True)] / self._units
        self.box = Box(plane.window.low / self._units, plane.window.high / self._units, most, settings.steps_across)
        self._kept = {}

    @property
    def store(self):
        """The working arrays of the thread that asks."""
        return newton.store(self.form)

    def values(self, u):
        """The values along both axes at points u (..., 2), shape (...) each, at most the greatest that they can have."""
        found = np.asarray(u) * self._units
        np.exp(found, out=found, where=self._log)
        np.minimum(found, self._most, out=found)
        return found[..., 0], found[..., 1]

    def points(self, x, y):
        """The points u of values along both axes, which broadcast: shape (..., 2)."""
        return self.plane.coordinates(x, y) / self._units

    @cached_property
    def places(self):
        """For each feature the first of those that can take its place, alone or in a set: a list."""
        places = list(range(self.n))
        for one, other in (pair for members in self.classes for pair in pairwise(members)):
            for i, j in zip(np.atleast_1d(one).tolist(), np.atleast_1d(other).tolist(), strict=True):
                low, high = sorted((places[i], places[j]))
                places = [low if place == high else place for place in places]
        return places

    @cached_property
    def orders(self):
        """All orders of the features that leave every model as it is, a list of lists."""
        swaps = [swapped(self.n, *pair) for members in self.classes for pair in combinations(members, 2)]
        orders, waiting = {tuple(range(self.n)): None}, [tuple(range(self.n))]
        for order in waiting:
            for swap in swaps:
                new = tuple(order[i] for i in swap)
                if new not in orders:
                    orders[new] = None
                    waiting.append(new)
        return [list(order) for order in sorted(orders)]

    @cached_property
    def signs(self):
        """Signs of the columns of W that leave every loss as it is, shape (n_signs, n_features); all 1 come first."""
        even = self.form.is_even(self.control((self.box.low + self.box.high) / 2))
        return np.array([(1, *rest) for rest in product((1, -1), repeat=self.n - 1)] if even else np.ones((1, self.n)))

    @cached_property
    def _turns(self):
        """The same of flat parameters, shape (n_signs, size)."""
        turns = np.ones((len(self.signs), self.m + 1, self.n))
        turns[:, : self.m] = self.signs[:, None]
        return turns.reshape(-1, self.size)

    def copies(self, x):
        """Flat parameters (size,) with the columns of W with all signs: shape (n_signs, size)."""
        return self._turns * x

    @cached_property
    def inputs(self):
        """Of a law in which every value is certain the inputs that there are, shape (n_inputs, n_features); of any other none."""
        lows, widths = self.form.ranges
        states = self.form.components
        return (
            np.unique(lows[states], axis=0) if not self.form.is_linear and not np.any(widths[states]) else np.empty((0, self.n))
        )

    @cached_property
    def _alike(self):
        """Positions of the answers (input, output) that exchanging features turns into each other: a list of arrays."""
        place = {tuple(row): k for k, row in enumerate(self.inputs.tolist())}
        images = [[place[tuple(row[order])] * self.n + np.array(order) for row in self.inputs] for order in self.orders]
        first = np.min(np.reshape(images, (len(images), -1)), axis=0)
        return [np.flatnonzero(first == k) for k in np.unique(first)]

    def invariants(self, x):
        """Numbers that tell equilibria apart, but not those that are one by symmetry: of flat parameters (…, size).

        Where every value is certain these are the answers to all inputs: points of a valley of equal loss have them in common.
        Elsewhere there are no valleys, and they are those of the weights.
        """
        if not len(self.inputs):
            return invariants(x, self.m, self.classes)
        weights, bias = parts(x, self.m)
        outputs = self.inputs @ (np.swapaxes(weights, -1, -2) @ weights) + bias[..., None, :]
        answers = (np.maximum(outputs, 0.0) if self.form.activation == "relu" else outputs).reshape(*x.shape[:-1], -1)
        return np.concatenate([np.sort(answers[..., some], axis=-1) for some in self._alike], axis=-1)

    def unlike(self, x):
        """How far orders of the features, and signs, are from leaving parameters x (size,) as they are, but for a rotation of the
        rows: the largest difference of products or biases, shape (n_signs, n_orders)."""
        weights, bias = parts(x, self.m)
        products, orders = weights.T @ weights, np.array(self.orders)
        images = (self.signs[:, :, None] * self.signs[:, None] * products)[:, orders[:, :, None], orders[:, None]]
        return np.maximum(np.max(np.abs(images - products), axis=(-2, -1)), np.max(np.abs(bias[orders] - bias), axis=-1))

    def _at(self, u):
        """Control vectors (…, n_controls) and scales of losses (…) at points u (…, 2); those of the last asked for are kept."""
        u = np.asarray(u, dtype=float)
        key = u.shape, u.tobytes()
        found = self._kept.get(key)
        if found is None:
            if len(self._kept) >= _KEPT:
                self._kept = {}
            self._kept[key] = found = self._found_at(u)
        return found

    def control(self, u):
        """The control vector at u, shape (n_controls,)."""
        return self._at(u)[0]

    def _found_at(self, u):
        """The same, computed; a plane whose model is a function has no more than its window."""
        inside = u if isinstance(self.plane.model, Varied) else np.clip(u, self.box.low, self.box.high)
        controls = self.plane.controls(*self.values(inside))
        return controls, self.form.loss_scale(controls)

    def scales(self, u):
        """What losses at points u (…, 2) are divided by: shape (…)."""
        return self._at(u)[1]

    def unscaled(self, loss, u):
        """The loss at u of which this is the scaled one."""
        return loss * self._at(u)[1]

    def derivatives(self, x, u, order=2, *, pinned=False):
        """Scaled losses (…) at flat parameters x (…, size) and points u (…, 2) that broadcast, gradients (…, size) and second
        derivatives (…, size, size), up to an order; ``pinned``: second derivatives with unit curvature along rotations."""
        x, u = np.asarray(x, dtype=float), np.asarray(u, dtype=float)
        lead, controls = x.shape[:-1], self._at(u)[0]
        if u.ndim > 1:
            lead = np.broadcast(x[..., 0], u[..., 0]).shape
            points, controls = np.empty((*lead, x.shape[-1])), np.empty((*lead, self.form.n_controls))
            points[...], controls[...], x = x, self._at(u)[0], points
        points, controls = x.reshape(-1, x.shape[-1]), controls.reshape(-1, controls.shape[-1])
        found = newton.derivatives(points, self.form, controls, order, pinned=pinned)
        return found if len(lead) == 1 else tuple(one.reshape((*lead, *one.shape[1:])) for one in found)

    def losses(self, x, u):
        """The losses, not scaled, at flat parameters x (…, size) and points u (…, 2) that broadcast: shape (…)."""
        return self.derivatives(x, u, 0)[0] * self._at(u)[1]

    def around(self, x, u):
        """The logarithm of the loss of parameters x (size,) at u, its gradient (2,) and second derivatives (2, 2) in u, and the
        derivatives in u of the scaled loss's gradient, (2, size); 0 along an axis without extent."""
        step, signs = EXPANSION_STEP * self.box.wide, np.arange(-1.0, 2.0)
        middle, per = np.clip(u, self.box.low + step, self.box.high - step), self.box.wide / EXPANSION_STEP
        points = middle + step * np.stack(np.meshgrid(signs, signs, indexing="ij"), axis=-1)
        losses, gradients, _ = self.derivatives(x, points, 1)
        logs = np.log(np.maximum(losses, NEGLIGIBLE) * self.scales(points))
        (low, here, high), (left, _, right) = logs[:, 1], logs[1]
        slope, mixed = per / 2 * (high - low, right - left), gradients[[2, 1], [1, 2]] - gradients[[0, 1], [1, 0]]
        cross = per[0] * per[1] / 4 * (logs[2, 2] - logs[2, 0] - logs[0, 2] + logs[0, 0])
        bending = np.array([[per[0] ** 2 * (high - 2 * here + low), cross], [cross, per[1] ** 2 * (right - 2 * here + left)]])
        way = u - middle
        return here + (slope + bending @ way / 2) @ way, slope + bending @ way, bending, per[:, None] / 2 * mixed

    def rate(self, x, u):
        """Derivatives (…) of the loss of parameters x (…, size) with respect to the value along the first axis, at u (…, 2).

        That of the polynomial through six points: losses are polynomials of low degree in all parameters.
        """
        (value, y), axis = self.values(u), self.plane.x
        low, high = (-np.inf, axis.most) if isinstance(self.plane.model, Varied) else axis.values[[0, -1]]
        step = np.minimum(RATE_STEP * np.maximum(np.abs(value), np.max(np.abs(axis.values)) / 10), (high - low) / 5)[..., None]
        if high == low:  # a column of models that are known along the other axis alone
            return np.full(value.shape, np.nan)
        value = value[..., None]
        steps = np.arange(6) - 5 / 2 + np.clip(0.0, (low - value) / step + 5 / 2, (high - value) / step - 5 / 2)
        losses = self.losses(x[..., None, :], self.points(value + steps * step, y[..., None]))
        return np.linalg.solve(steps[..., None] ** np.arange(6), losses[..., None])[..., 1, 0] / step[..., 0]

    def scaled_loss(self, x, u):
        """The scaled loss at x (size,) and u."""
        return newton.evaluate(x, self.form, self.control(u), 0)

    def loss(self, x, u):
        """The loss, not scaled."""
        return self.unscaled(self.scaled_loss(x, u), u)

    @cached_property
    def _corners(self):
        """Corners of the components' inputs, each once, shape (n_corners, n_features)."""
        (lows, widths), states = self.form.ranges, self.form.components
        chosen = np.array([*product((0.0, 1.0), repeat=self.n)])[:, None]
        return np.unique((lows[states] + chosen * widths[states]).reshape(-1, self.n), axis=0)

    @cached_property
    def reach(self):
        """The largest value of a feature without its sign."""
        return float(np.abs(self._corners).max())

    def supports(self, x):
        """The functions whose signs tell where outputs are not 0, W_i · Σ_j W_j v_j + b_i of all outputs i and corners v: values
        (n_functions,) at parameters x (size,), and gradients (n_functions, size). Third derivatives jump where one is 0."""
        weights, corners = x[: -self.n].reshape(self.m, self.n), self._corners
        sums, own = corners @ weights.T, np.arange(self.n)  # (n_corners, m)
        slopes = np.zeros((len(corners), self.n, self.m + 1, self.n))
        slopes[:, :, :-1] = np.einsum("ki,sj->sikj", weights, corners)
        slopes[:, own, :-1, own] += sums
        slopes[:, own, -1, own] = 1.0
        return (sums @ weights + x[-self.n :]).ravel(), slopes.reshape(-1, x.size)

    def room_beside(self, x, direction):
        """How far it is from x along a direction (size,) to the next kink of the second derivatives."""
        (weights, bias), (by_weights, by_bias), corners = parts(x, self.m), parts(direction, self.m), self._corners
        sums = corners @ weights.T
        values = sums @ weights + bias
        slopes = sums @ by_weights + corners @ by_weights.T @ weights + by_bias
        ahead = (np.abs(values) > KINK) & (values * slopes < 0) & (np.abs(slopes) > ROUNDING)  # what hardly moves is far
        return float(np.min(-values[ahead] / slopes[ahead], initial=np.inf))

    def beside(self, x, direction, u):
        """Second derivatives at x on the side of ``direction``, and their derivative along it, both (size, size).

        From points as far aside as SIDE_STEP allows, and the next kink.
        """
        step = min(SIDE_STEP, max(self.room_beside(x, direction), SHORT_ROOM) / (len(newton.EXTRAPOLATION) + 1))
        return newton.derivatives_beside(x, direction, step, self.form, self.control(u))

    def least_curvature(self, x, u, frame):
        """What no one-sided curvature at x along the parameters of a frame is below: where all outputs at kinks are off."""
        moved, bias = x.copy(), x[self.m * self.n :]
        moved[self.m * self.n :] = np.where(np.abs(bias) < KINK, bias - newton.PROBE, bias)
        return newton.smooth_curvature(moved, self.form, self.control(u), frame)[0]

    def softest(self, x, u, frame):
        """Lowest one-sided curvature at x along the parameters of a frame, a mask, and its direction."""
        arguments = x, self.form, self.control(u), frame
        if np.any(np.abs(x[self.m * self.n :]) < KINK):  # second derivatives jump
            direction = np.empty_like(x)
            return newton.lowest_curvature(*arguments, direction), direction
        return newton.smooth_curvature(*arguments)

    def sides(self, u, direction, step=CONTROL_STEP):
        """The two points (2, 2) within the window between which a difference along a unit vector is taken, and their distance."""
        ahead, behind = (sense * min(step, max(self.box.room(u, sense * direction)[0], 0.0)) for sense in (1.0, -1.0))
        if ahead - behind < step / 2:
            ahead, behind = step, -step
        return u + np.outer((ahead, behind), direction), ahead - behind

    def by_control(self, value, u, step=CONTROL_STEP):
        """Gradient in u of a function by differences within the window: shape (2, ...), 0 along an axis without extent.

        value(points): those at points (4, 2), an array (4, ...).
        """
        x, y = u.tolist()
        (right, left), (up, down) = (self.box.both_sides(k, at, step) for k, at in enumerate((x, y)))
        values = np.asarray(value(np.array([[right, y], [x, up], [left, y], [x, down]])))
        slopes = values[:2] - values[2:]
        slopes[0] /= right - left or np.inf
        slopes[1] /= up - down or np.inf
        return slopes


def across_flat(matrix, right):
    """The solution of a symmetric system for right sides (n, …), nothing of it along what is flat: rotations and valleys."""
    if not matrix.size:
        return np.zeros_like(right)
    factors, _, solution, singular = dgesv(matrix, right)
    pivots = [abs(pivot) for pivot in factors.diagonal().tolist()]
    if not singular and min(pivots) > LEAST_PIVOT * max(pivots):
        return solution.reshape(right.shape)
    values, vectors = np.linalg.eigh(matrix)
    steep = np.abs(values) > FLAT
    return vectors[:, steep] @ (vectors[:, steep].T @ right / values[steep].reshape(-1, *(1,) * (right.ndim - 1)))
