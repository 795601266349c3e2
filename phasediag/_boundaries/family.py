"""A model as a family of losses over the plane: the loss of flat parameters at a point u, and its derivatives."""

import numpy as np

from .._minimizing import newton
from ..forms import Form
from ..model import cell_controls
from .continuation import inward_difference, point


class Family:
    """The losses of one model at all points u of the plane, scaled by Σ_i I_i E x_i² unless it is said otherwise."""

    def __init__(self, n_features, n_hidden, activation):
        self.n, self.m, self.activation, self.form = n_features, n_hidden, activation, Form(n_hidden, n_features, activation)
        self.classes = (tuple(range(self.n - 1)), (self.n - 1,))

    @property
    def store(self):
        """The working arrays of the thread that asks."""
        return newton.store(self.form)

    def control(self, u):
        """The control vector at u, shape (n_controls,)."""
        return cell_controls(self.n, *point(u))

    def unscaled(self, loss, u):
        """The loss at u of which this is the scaled one."""
        control = self.control(u)
        return loss * float(self.form.importance(control) @ self.form.density(control)) / 3

    def _evaluate(self, x, u, order):
        """The loss at x; derivatives up to ``order`` are left in the store."""
        return newton.evaluate(x, self.form, self.control(u), order)

    def losses(self, x, u):
        """The loss, not scaled, and the extra feature's own."""
        return self.unscaled(self._evaluate(x, u, 0), u), float(newton.feature_losses_of(self.store)[-1])

    def slope(self, x, extra_loss, u):
        """Gradient in u of the loss, not scaled, of parameters that stay as they are."""
        by_density = inward_difference(lambda v: self.losses(x, v)[0], u, 1e-5, axes=(1,))[1]
        return np.array([point(u)[0] * extra_loss, by_density])

    def gradient(self, x, u):
        """Gradient in the parameters, shape (size,)."""
        self._evaluate(x, u, 1)
        return newton.gradient_of(self.store).copy()

    def hessian(self, x, u):
        """Second derivatives, shape (size, size)."""
        self._evaluate(x, u, 2)
        return newton.hessian_of(self.store).copy()

    def pinned(self, x, u):
        """Gradient, and second derivatives with unit curvature along rotations."""
        hessian = newton.pinned_hessian(x, self.form, self.control(u))
        return newton.gradient_of(self.store).copy(), hessian

    def beside(self, x, direction, step, u):
        """Second derivatives at x on the side of ``direction``, and their derivative along it."""
        return newton.derivatives_beside(x, direction, step, self.form, self.control(u))

    def softest(self, x, u, frame):
        """Lowest one-sided curvature at x along the parameters of a frame, a mask, and its direction."""
        arguments = x, self.form, self.control(u), frame
        if np.any(np.abs(x[self.m * self.n :]) < 1e-9):  # second derivatives jump
            direction = np.empty_like(x)
            return newton.lowest_curvature(*arguments, direction), direction
        return newton.smooth_curvature(*arguments)
