"""A model over its plane as a two-parameter gradient system: the loss of flat parameters x at a point u, and its derivatives."""

import numpy as np

from .._minimizing import newton
from ..forms import Form
from ..model import cell_controls
from .tolerances import CONTROL_STEP, KINK, SHORT_WINDOW, STEPS_ACROSS


class Box:
    """The window of a diagram in u = (log importance, log density), and the length of a full step in it.

    ``wide``: along which axes it extends, one of them only in a diagram of one row or column, which curves cross in a point.
    """

    def __init__(self, importance, density):
        self.low = np.log([importance[0], density[0]])
        self.high = np.log([importance[-1], density[-1]])
        self.wide = self.high > self.low
        self.step = max(float(np.max(self.high - self.low)) / STEPS_ACROSS, SHORT_WINDOW)

    def outside(self, u):
        """Whether u lies outside, by more than rounding."""
        return bool(np.any(u < self.low - 1e-13) or np.any(u > self.high + 1e-13))

    def room(self, u, direction):
        """How far it is from u to the edge along a unit vector, and the axis of that edge."""
        with np.errstate(divide="ignore", invalid="ignore"):
            room = np.where(direction > 0, self.high - u, self.low - u) / direction
        room[direction == 0] = np.inf
        return float(np.min(room)), int(np.argmin(room))


class Family:
    """The losses of one model at all points u of the plane, scaled by Σ_i I_i E x_i² unless it is said otherwise."""

    def __init__(self, diagram):
        self.n, self.m, self.activation = diagram.n_features, diagram.n_hidden, diagram.activation
        self.form, self.size = Form(self.m, self.n, self.activation), (self.m + 1) * self.n
        self.classes = (tuple(range(self.n - 1)), (self.n - 1,))
        self.box = Box(diagram.importance, diagram.density)
        self._at, self._control, self._scale = None, None, None

    @property
    def store(self):
        """The working arrays of the thread that asks."""
        return newton.store(self.form)

    def coordinates(self, u):
        """Importance and density at u, shape (..., 2) each; density stops at 1."""
        u = np.asarray(u)
        return np.exp(u[..., 0]), np.minimum(np.exp(u[..., 1]), 1.0)

    def control(self, u):
        """The control vector at u, shape (n_controls,)."""
        key = float(u[0]), float(u[1])
        if key != self._at:
            control = cell_controls(self.n, *self.coordinates(u))
            scale = float(self.form.importance(control) @ self.form.density(control)) / 3
            self._at, self._control, self._scale = key, control, scale
        return self._control

    def unscaled(self, loss, u):
        """The loss at u of which this is the scaled one."""
        self.control(u)
        return loss * self._scale

    def scaled_loss(self, x, u, order=0):
        """The scaled loss at x; derivatives up to ``order`` are left in the store."""
        return newton.evaluate(x, self.form, self.control(u), order)

    def loss(self, x, u):
        """The loss, not scaled."""
        return self.unscaled(self.scaled_loss(x, u), u)

    def gradient(self, x, u):
        """Gradient in the parameters, shape (size,)."""
        self.scaled_loss(x, u, 1)
        return newton.gradient_of(self.store).copy()

    def hessian(self, x, u):
        """Second derivatives, shape (size, size)."""
        self.scaled_loss(x, u, 2)
        return newton.hessian_of(self.store).copy()

    def pinned(self, x, u):
        """Gradient, and second derivatives with unit curvature along rotations."""
        hessian = newton.pinned_hessian(x, self.form, self.control(u))
        return newton.gradient_of(self.store).copy(), hessian

    def beside(self, x, direction, step, u):
        """Second derivatives at x on the side of ``direction``, and their derivative along it, both (size, size)."""
        return newton.derivatives_beside(x, direction, step, self.form, self.control(u))

    def softest(self, x, u, frame):
        """Lowest one-sided curvature at x along the parameters of a frame, a mask, and its direction."""
        arguments = x, self.form, self.control(u), frame
        if np.any(np.abs(x[self.m * self.n :]) < KINK):  # second derivatives jump
            direction = np.empty_like(x)
            return newton.lowest_curvature(*arguments, direction), direction
        return newton.smooth_curvature(*arguments)

    def along(self, value, u, direction, step=CONTROL_STEP):
        """Derivative of value(u), an array, along a unit vector in u, by a difference within the window."""
        ahead, behind = (sense * min(step, max(self.box.room(u, sense * direction)[0], 0.0)) for sense in (1.0, -1.0))
        if ahead - behind < step / 2:
            ahead, behind = step, -step
        return (value(u + ahead * direction) - value(u + behind * direction)) / (ahead - behind)

    def by_control(self, value, u, step=CONTROL_STEP):
        """Gradient in u of value(u), an array of any shape (...), by differences within the window: shape (2, ...)."""
        slopes = []
        for axis in (0, 1):
            forward, backward = np.array(u, dtype=float), np.array(u, dtype=float)
            forward[axis] = u[axis] + step if u[axis] + step <= self.box.high[axis] or u[axis] > self.box.high[axis] else u[axis]
            backward[axis] = u[axis] - step if u[axis] - step >= self.box.low[axis] or u[axis] < self.box.low[axis] else u[axis]
            length = forward[axis] - backward[axis]
            slopes.append((value(forward) - value(backward)) / length if length > 0 else 0.0 * value(u))
        return np.array(slopes)
