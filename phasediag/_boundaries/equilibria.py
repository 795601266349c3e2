"""Equilibria: stationary points at a point of the plane, followed as such whether or not they are minima."""

from functools import cached_property, wraps

import numpy as np

from .._minimizing import newton
from .._minimizing.kinks import kinks_at
from .._minimizing.starts import configuration_starts, random_starts
from .._minimizing.stationary_points import GRADIENT_TOLERANCE, NEGLIGIBLE, dead_outputs, distinct, settle
from ..boundaries import DEFAULT_SETTINGS
from ..candidates import configurations
from ..model import model_of
from ..phases import phase_name
from .blocks import blocks, clusters_of, separated
from .family import Family, across_flat
from .frames import frames_around
from .tolerances import ABOVE, BEYOND_LINK, CLOSE, DESCENT, FLAT, HARDLY, KINK, LEAVING, MOVED, NONZERO, STABLE, ZERO

SEED = 0
"""Of the random starts of a search: the same at every point."""

_STATE = "family", "x", "frames", "free", "u", "converged", "loss"
"""Attributes of an equilibrium: the rest is computed from them when it is asked for."""


def once(function):
    """A function of an equilibrium whose answer is kept with it."""

    def kept(state):
        """The answer for an `Equilibrium`, computed the first time alone."""
        name = function.__name__
        if name not in state.__dict__:
            state.__dict__[name] = function(state)
        return state.__dict__[name]

    return wraps(function)(kept)


class Equilibrium:
    """A stationary point of a family at some u.

    x: flat parameters. frames: masks of those that the theory lets move, together; in the relaxed theory every pattern around
    the point is a frame of its own. free: the mask of those that do move; the others of the frames are zeros that its symmetry
    (isotropy) keeps stationary, so that it stays exactly symmetric even where it is unstable. converged: whether it is
    stationary.
    """

    def __init__(self, family, x, frames, free, u, converged=True):
        self.family, self.x, self.frames, self.free, self.u, self.converged = family, x, frames, free, u, converged

    def __getstate__(self):
        """What is pickled: not what can be computed from it to the last bit."""
        return {name: one for name, one in self.__dict__.items() if name in _STATE}

    @property
    def held(self):
        """Whether zeros are kept that could move."""
        return any(np.any(frame & ~self.free) for frame in self.frames)

    @property
    def frame(self):
        """The first of the frames: the one in force where only one can be."""
        return self.frames[0]

    @cached_property
    def moving(self):
        """Positions of the weights that are kept at 0 but could move in the frame in force."""
        return np.flatnonzero((self.frame & ~self.free)[: self.family.m * self.family.n])

    @cached_property
    def responding(self):
        """The mask of what responds where those move: the parameters that move, and biases that are kept at 0."""
        return np.append(self.free[: self.family.m * self.family.n], self.frame[self.family.m * self.family.n :])

    @cached_property
    def resting(self):
        """Positions of these."""
        return np.flatnonzero(self.responding)

    @cached_property
    def order(self):
        """Positions of both, those that respond first."""
        return np.append(self.resting, self.moving)

    @property
    def views(self):
        """The equilibrium with each of its frames in force."""
        return [self] if len(self.frames) == 1 else [self.within(frame) for frame in self.frames]

    def within(self, frame):
        """The equilibrium with one of its frames in force."""
        others = (other for other in self.frames if other is not frame)
        return self if frame is self.frame else Equilibrium(self.family, self.x, (frame, *others), self.free, self.u)

    def rise(self, step):
        """How far biases that are kept go with a step (…, size) of weights for their outputs to be on, where no other feature is
        active, whatever their own ones are: shape (…, size), 0 for all others and those that fall.

        With less bias the loss is higher by a part of the step's square, as on a stair, with more by a part of its cube.
        """
        size, kept = self.family.m * self.family.n, np.flatnonzero(self.responding & ~self.free)
        squares = np.sum(step[..., :size].reshape(*step.shape[:-1], self.family.m, -1) ** 2, axis=-2)
        far = np.zeros_like(step)
        far[..., kept] = np.where(step[..., kept] >= 0.0, (1 + ABOVE) * squares[..., kept - size] * self.family.reach, 0.0)
        return far

    def on(self, step):
        """A step (…, size) with biases that are kept, unless they fall, as far up as `rise` says."""
        far = self.rise(step) if np.any(self.responding & ~self.free) else 0.0
        return np.where(far > 0.0, np.maximum(step, far), step) if np.any(far) else step

    def aside(self, step, frame=None):
        """A point aside, all parameters of a frame free: where to begin from."""
        frame = self.frame if frame is None else frame
        return Equilibrium(self.family, self.x + step, (frame,), frame, self.u)

    def among(self, step):
        """A point aside, its zeros kept: where to begin from."""
        return Equilibrium(self.family, self.x + step, self.frames, self.free, self.u)

    @property
    def weights(self):
        """Shape (n_hidden, n_features)."""
        return self.x[: self.family.m * self.family.n].reshape(self.family.m, self.family.n)

    @cached_property
    def key(self):
        """Its invariants, shape (n_invariants,)."""
        return self.keys[0]

    @cached_property
    def keys(self):
        """Those of all its copies under the family's symmetries, shape (n_copies, n_invariants)."""
        return self.family.invariants(self.family.copies(self.x))

    @cached_property
    def kinks(self):
        """The kinks of the loss that hold it, as `kinks_at` tells them."""
        return kinks_at(self.family.form, self.family.control(self.u), self.x)

    @cached_property
    def clusters(self):
        """The features of each cluster, as far as rounding can tell."""
        return clusters_of(self.weights, ZERO)

    @cached_property
    def _unlike(self):
        """How far exchanges of features are from leaving it as it is; points of a valley are one."""
        return self.family.unlike(self.x) if not len(self.family.inputs) else np.empty(0)

    def keeps_symmetry_of(self, old):
        """Whether it is no more or less symmetric than an equilibrium that it may have become: as far as it can be told."""
        return self.clusters == old.clusters and not np.sum(self._unlike < ZERO) > np.sum(old._unlike < HARDLY)

    @cached_property
    def shape(self):
        """The places of the features in each cluster, all sorted."""
        places = self.family.places
        return sorted(sorted(places[i] for i in members) for members in self.clusters)

    @cached_property
    def phase(self):
        """The name of its phase."""
        return phase_name(self.weights, sets=self.family.form.activity.together)

    @cached_property
    def loss(self):
        """The expected loss."""
        return self.family.loss(self.x, self.u)

    @cached_property
    def slope(self):
        """Gradient of its loss in u, shape (2,): by the envelope theorem the parameters stay as they are."""
        return self.family.by_control(lambda points: self.family.losses(self.x, points), self.u)

    @cached_property
    def _expansion(self):
        """See below: logarithm of its loss, gradient of that and its second derivatives, and derivatives of the parameters."""
        free = np.flatnonzero(self.free)
        value, slope, bending, mixed = self.family.around(self.x, self.u)
        (loss,), _, (hessian,) = self.family.derivatives(self.x[None], self.u, pinned=True)
        response = np.zeros((self.x.size, 2))
        response[free] = -across_flat(hessian[free[:, None], free], mixed[:, free].T)
        return value, slope, bending + mixed @ response / max(loss, NEGLIGIBLE), response

    @property
    def tangent(self):
        """Logarithm of its loss, and the gradient of that in u, shape (2,)."""
        return self._expansion[:2]

    @property
    def bending(self):
        """Second derivatives in u of the logarithm of its loss, shape (2, 2)."""
        return self._expansion[2]

    @property
    def response(self):
        """Derivatives of its parameters in u, shape (size, 2)."""
        return self._expansion[3]

    def ahead(self, u, farthest=np.inf):
        """What it is at u along its response to u, its parameters moved no farther than so much."""
        move = self.response @ (u - self.u)
        move *= min(1.0, farthest / max(np.max(np.abs(move)), NONZERO))
        return Equilibrium(self.family, self.x + move, self.frames, self.free, u)

    @cached_property
    def _softest(self):
        """Lowest one-sided curvature within any frame, its direction, and the frame."""
        found = ((*self.family.softest(self.x, self.u, frame), frame) for frame in self.frames)
        return min(found, key=lambda one: one[0])

    @cached_property
    def _least(self):
        """What no one-sided curvature within the frames is below."""
        lengths, bias = np.linalg.norm(self.weights, axis=0), self.x[self.family.m * self.family.n :]
        if self.family.form.is_kinked or np.any((lengths < KINK) & (np.abs(bias) < KINK)):  # what comes on may fit better
            return self.curvature
        return min(self.family.least_curvature(self.x, self.u, frame) for frame in self.frames)

    @property
    def softest(self):
        """The direction of the lowest one-sided curvature within the frames, shape (size,), and its frame."""
        return self._softest[1:]

    @property
    def curvature(self):
        """Lowest one-sided curvature within the frames."""
        return self._softest[0]

    @property
    def is_in_valley(self):
        """Whether the loss is flat along what moves: beside its u it is no longer at rest, where inputs are not certain."""
        hessian = self.family.derivatives(self.x[None], self.u, pinned=True)[2][0][self.free][:, self.free]
        return not len(self.family.inputs) and bool(np.any(np.abs(np.linalg.eigvalsh(hessian)) < FLAT))

    def is_steeper(self, level):
        """Whether no one-sided curvature within the frames is at most a level."""
        known = "_softest" in self.__dict__
        return (not known and self._least > level) or self.curvature > level

    @cached_property
    def stable(self):
        """Whether it is a minimum, perhaps at the limit of its stability."""
        if not self.converged or dead_outputs(self.x, self.family.form, self.family.control(self.u)):
            return False
        return self.is_steeper(STABLE)


def far(one, other):
    """How far two equilibria are apart: the largest difference of their invariants, of the copies that are nearest."""
    return float(np.abs(one.key - other.keys).max(axis=-1).min())


class Solver(Family):
    """Solves for equilibria of one model and theory anywhere in the plane; never part of a result.

    diagram: PhaseDiagram or Curves, of which the plane and the theory are taken. competitors: the minima that may be
    lower than those asked for, of a solver that compares.
    """

    def __init__(self, diagram, settings=DEFAULT_SETTINGS):
        super().__init__(diagram.plane, settings)
        self.competitors = None
        self.all_free = self.form.free
        self.patterns = None  # the relaxed theory stores one minimum for each configuration in every cell
        if diagram.theory == "relaxed":
            self.table = configurations(self.n, self.m, activation=self.form.activation)
            self.patterns = [self._pattern(c) for c in self.table]

    def stationary(self, state, u):
        """The stationary point next to an equilibrium at u, whatever its kind."""
        return self.stationary_points([state], u)[0]

    def stationary_points(self, states, u):
        """The stationary points next to some equilibria at u, whatever their kinds, in the same order."""
        if not states:
            return []
        x, free = np.array([state.x for state in states]), np.array([state.free for state in states])
        numbers = newton.approach(x, self.form, self.control(u), free)
        found = []
        for state, row, (left, loss, _) in zip(states, x, numbers.tolist(), strict=True):
            new = Equilibrium(self, row, state.frames, state.free, u, converged=left <= GRADIENT_TOLERANCE)  # not where NaN
            new.loss = self.unscaled(loss, u)
            found.append(new)
        return found

    def settled(self, state, new, u):
        """``new``, the stationary point next to an equilibrium at u, unless it is another's; then where a descent leads."""
        if new.converged and far(new, state) < MOVED and (state.held or new.stable):
            return new
        return self.descend(state, u)

    def solve(self, state, u):
        """The stationary point that an equilibrium becomes at u: by Newton's method, by descent where that leads elsewhere."""
        return self.settled(state, self.stationary(state, u), u)

    def fallen(self, new):
        """The minimum to which a stationary point falls that symmetry keeps, but unstable; any other stays."""
        if new.stable or not new.held or not new.converged:
            return new
        direction, frame = new.softest
        return self.descend(new.aside(new.on(LEAVING * direction), frame), new.u)

    def descend(self, state, u, radius=DESCENT):
        """The minimum to which a descent from an equilibrium leads at u."""
        return self.descents([state.x], state.frames, state.free, u, radius)[0]

    def descents(self, points, frames, free, u, radius):
        """The ends of descents from flat parameters within the parameters ``free``."""
        control = np.repeat(self.control(u)[None], len(points), axis=0)
        settled = settle(np.array(points), self.form, control, free=free, radius=radius)
        return [Equilibrium(self, one.x, frames, free, u, converged=one.gradient_norm <= GRADIENT_TOLERANCE) for one in settled]

    def search(self, u, n_starts):
        """The minima found at u from starts of their own."""
        model = model_of(self.form, self.control(u))
        random = random_starts(self.m, np.repeat(model.feature_mean[None], n_starts, axis=0), np.random.default_rng(SEED))
        starts = np.array([*configuration_starts(model), *random])
        found, known = [], set()
        for frame in [self.all_free] if self.patterns is None else self.patterns:
            if frame.tobytes() not in known:
                known.add(frame.tobytes())
                settled = settle(starts * frame, self.form, np.repeat(self.control(u)[None], len(starts), axis=0), free=frame)
                found += [self.recognized(one.x, frame, u) for one in distinct(settled, self.m, self.classes)]
        return found

    def exact(self, state):
        """The same stationary point with all zeros that symmetry keeps, if it has reached more of them than it was kept at."""
        found = self.recognized(state.x, state.frame, state.u, free=state.free)
        return state if np.array_equal(found.free, state.free) else found

    def recognized(self, x, frame, u, tolerance=ZERO, free=None):
        """The equilibrium of parameters x at u, with the zeros that its clusters imply made exact and kept.

        Clusters are orthogonal: each gets rows of its own. Features, rows and products of different clusters below
        ``tolerance`` count as zero, and biases of features without weights and mean. ``free``: the parameters that are not zero
        for certain, default the frame.
        """
        size, free = self.m * self.n, frame if free is None else free
        weights, free = x[:size].reshape(self.m, self.n).copy(), free[:size].reshape(self.m, self.n).copy()
        for rows, columns in blocks(free):
            block = weights[np.ix_(rows, columns)]
            turned, zeros = separated(block, tolerance)
            weights[np.ix_(rows, columns)] = turned
            free[np.ix_(rows, columns)] &= ~zeros
        bias, mean = x[size:], self.form.mean(self.control(u))
        kept = ~free.any(axis=0) & (np.abs(bias) < tolerance) & (mean == 0.0)  # on the kink of an output that nothing moves
        free = np.append(free.ravel(), frame[size:] & ~kept)
        return self.known(np.append(weights.ravel(), np.where(kept, 0.0, bias)), free, u, frame)

    def known(self, x, free, u, frame=None):
        """The equilibrium of parameters x at u, of which those ``free`` are: as a boundary keeps it."""
        if self.patterns is None:
            return Equilibrium(self, x, (self.all_free if frame is None else frame,), free, u)
        return Equilibrium(self, x, frames_around(free[: self.m * self.n].reshape(self.m, self.n), self.table), free, u)

    def symmetrized(self, state, u):
        """The more symmetric stationary point from which an equilibrium has hardly departed, or None."""
        weights = state.weights
        norms = np.linalg.norm(weights, axis=0)
        cosines = np.abs(weights.T @ weights) / np.maximum(np.outer(norms, norms), NONZERO)
        links = np.append(norms, cosines[np.triu_indices(self.n, 1)])
        for link in np.sort(links[(links > ZERO) & (links < CLOSE)]):
            guess = self.recognized(state.x, state.frame, u, tolerance=BEYOND_LINK * link)
            if np.sum(guess.free) < np.sum(state.free):
                found = self.stationary(guess, u)
                if found.converged and far(found, state) < MOVED:
                    return found
        return None

    def _pattern(self, configuration):
        """The parameters that the relaxed theory frees: the block of each cluster, and the biases."""
        free, row = np.zeros((self.m, self.n), dtype=bool), 0
        for group in sorted(configuration.groups):
            rows = max(len(group) - 1, 1)
            free[row : row + rows, list(group)] = True
            row += rows
        return np.concatenate([free.ravel(), np.ones(self.n, dtype=bool)])
