"""Stationary points at a point of the plane, followed as such whether or not they are minima."""

from functools import cached_property

import numpy as np

from .._minimizing.stationary_points import has_dead_output, invariants
from ..phases import phase_name
from .blocks import clusters_of

NO_LINK = 1e-7
"""Norms and cosines below this are exact zeros that rounding has touched."""

STABLE = -1e-10
"""Lowest curvature of a minimum at the limit of its stability."""

MOVED = 0.3
"""A stationary point that has gone farther (in invariants) between neighbouring points is taken for another."""


class State:
    """A stationary point at some u, followed as such whether or not it is a minimum.

    x: flat parameters. frames: those that the theory lets move, together; in the relaxed theory every pattern around the
    point is a frame of its own. free: those that do move; the others of the frames are zeros that symmetry keeps stationary,
    so that the point stays exactly symmetric even where it is unstable. converged: whether it is stationary.
    """

    def __init__(self, solver, x, frames, free, u, converged=True):
        self.solver, self.x, self.frames, self.free, self.u, self.converged = solver, x, frames, free, u, converged

    @property
    def held(self):
        """Whether zeros are kept that could move."""
        return any(np.any(frame & ~self.free) for frame in self.frames)

    @property
    def frame(self):
        """The first of the frames: the one in force where only one can be."""
        return self.frames[0]

    @property
    def views(self):
        """The state with each of its frames in force."""
        return [self] if len(self.frames) == 1 else [self.within(frame) for frame in self.frames]

    def within(self, frame):
        """The state with one of its frames in force."""
        others = (other for other in self.frames if other is not frame)
        return self if frame is self.frame else State(self.solver, self.x, (frame, *others), self.free, self.u)

    @property
    def weights(self):
        """Shape (n_hidden, n_features)."""
        return self.x[: self.solver.m * self.solver.n].reshape(self.solver.m, self.solver.n)

    @cached_property
    def key(self):
        """Its invariants, shape (n_invariants,)."""
        return invariants(self.x, self.solver.m, self.solver.classes)

    @cached_property
    def clusters(self):
        """The features of each cluster, as far as rounding can tell."""
        return clusters_of(self.weights, NO_LINK)

    @property
    def shape(self):
        """Sizes of the clusters, that with the extra feature first."""
        extra = self.solver.n - 1
        return sorted((extra not in members, len(members)) for members in self.clusters)

    @cached_property
    def phase(self):
        """The name of its phase."""
        return phase_name(self.weights)

    @cached_property
    def losses(self):
        """The loss, and the extra feature's own."""
        return self.solver.losses(self.x, self.u)

    @property
    def loss(self):
        """The expected loss."""
        return self.losses[0]

    @cached_property
    def tangent(self):
        """Logarithm of the loss, and its slope in u."""
        return np.log(self.loss), self.slope_at(self.u) / self.loss

    @property
    def extra_loss(self):
        """The extra feature's own loss."""
        return self.losses[1]

    @cached_property
    def _softest(self):
        """Lowest one-sided curvature within any frame, its direction, and the frame."""
        found = ((*self.solver.softest(self.x, self.u, frame), frame) for frame in self.frames)
        return min(found, key=lambda one: one[0])

    def slope_at(self, u):
        """Gradient of the minimum's loss in u: by the envelope theorem the parameters stay as they are."""
        return self.solver.slope(self.x, self.extra_loss, u)

    @property
    def softest(self):
        """Lowest one-sided curvature within the frames, and its direction."""
        return self._softest[:2]

    @property
    def softest_frame(self):
        """The frame in which it is softest."""
        return self._softest[2]

    @property
    def curvature(self):
        """Lowest one-sided curvature within the frames."""
        return self.softest[0]

    @cached_property
    def stable(self):
        """Whether it is a minimum, perhaps at the limit of its stability."""
        if not self.converged or (self.solver.form.is_relu and has_dead_output(self.x, self.solver.m)):
            return False
        return self.curvature > STABLE


def far(one, other):
    """How far two states are apart: the largest difference of their invariants."""
    return float(np.max(np.abs(one.key - other.key)))
