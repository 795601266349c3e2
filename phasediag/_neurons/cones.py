"""The lowest curvature of the loss of neurons at a point, on every side of the kinks that it lies on.

Where the gradient vanishes the loss changes by s²/2 Q(d) along a step s d, Q of degree 2. It is one quadratic form where all is
smooth. Where an output is 0 on an event of positive probability, its bias being 0, it is another on each side; and so it is where
reading weights are 0 that no output which is on can tell: a neuron that comes to read two features more sums them where the sum
is positive, and writes what it has come to read. Whether Q is negative anywhere, in however narrow a cone, is asked of its minima
on the unit sphere: Newton's method on it, from the softest directions of each side of these outputs, and from every corner of
these weights of each neuron.

Towards a side of a kink on which the loss rises at first order nothing moves.
"""

from itertools import product

import numpy as np

STEP, DIFFERENCE = 1e-5, 1e-8
"""So far from the point the loss is asked for, and its second derivatives there by so small differences."""
MOST_STEPS, SHORTEST = 60, 1e-4
"""Of Newton's method, and the part of a step that is still tried; it ends where one lowers the curvature by less than that."""


class Cone:
    """The directions from a point x (size,) of a Landscape along which its loss changes at second order alone.

    Their coordinates (n,) by ``basis`` (n, size) are those of what is smooth, without the gauge, then the weights that leave 0,
    which stay between ``low`` and ``high`` (n,). level: curvatures down to minus this are none.
    """

    def __init__(self, landscape, x, level):
        self.landscape, self.x, self.level = landscape, x, level
        self.second = hessian = landscape.hessian(x)
        gauge, free, unit = landscape.gauge(x), ~landscape.held(x), np.eye(x.size)
        values, vectors = np.linalg.eigh(np.diag(free * 1.0) - free * (gauge.T @ gauge) * free[:, None])
        smooth = vectors[:, values > 0.5].T
        self.slope, steep = landscape.gradient(x)[1], 2 * STEP * np.linalg.eigvalsh(hessian)[-1]
        kinks = np.flatnonzero(~free & ~landscape.vetoes(x))
        level_sides = [
            [s for s in (-1, 1) if s * x[k] >= 0 and s * landscape.slope(x + s * STEP * unit[k])[k] <= steep] for k in kinks
        ]  # weights that forbid another feature, just above 0, do not fall
        self.sides = [sides for sides in level_sides if sides]
        self.leaving = [k for k, sides in zip(kinks, level_sides, strict=True) if sides]
        self.basis = np.concatenate([smooth, unit[self.leaving]])
        smooth = np.full(len(smooth), np.inf)
        self.low = np.append(-smooth, [-np.inf if -1 in sides else 0.0 for sides in self.sides])
        self.high = np.append(smooth, [np.inf if 1 in sides else 0.0 for sides in self.sides])

    def lowest(self):
        """The lowest curvature that is found, and its unit direction (size,); the first that is below none."""
        biases = self.x[-self.landscape.form.n_features :]
        if not self.leaving and np.abs(biases).min() >= STEP and len(self.basis):  # no kink is level: one quadratic form
            values, vectors = np.linalg.eigh(self.basis @ self.second @ self.basis.T)
            return float(values[0]), vectors[:, 0] @ self.basis
        best = np.inf, np.zeros(len(self.basis))
        for start in self.starts():
            best = min(best, self.sink(start), key=lambda one: one[0])
            if best[0] < -self.level:
                break
        return best[0], best[1] @ self.basis

    def starts(self):
        """Coordinates (n,) at which to begin, one after the other."""
        n_smooth = len(self.basis) - len(self.sides)
        moves = np.arange(len(self.basis)) < n_smooth
        level = self.basis[:n_smooth, -self.landscape.form.n_features :].T[
            np.abs(self.x[-self.landscape.form.n_features :]) < STEP
        ]
        for corner in product((1.0, -1.0), repeat=len(level)):  # of outputs that are 0 on some events, which are on or off there
            aside = np.append(np.array(corner) @ level, np.zeros(len(self.sides)))
            if len(level):
                yield aside
            values, vectors = np.linalg.eigh(self.hessian(aside, moves))
            for k in range(max(2, int(np.sum(values < -self.level)))):
                softest = np.append(vectors[:, k], np.zeros(len(self.sides)))
                yield from (softest, -softest)
        neurons = np.array([k // self.landscape.form.n_features for k in self.leaving])
        for neuron in np.unique(neurons):  # where weights of several neurons leave 0 they only add up
            choices = [[0, *sides] if r == neuron else [0] for r, sides in zip(neurons, self.sides, strict=True)]
            for corner in product(*choices):
                if any(corner):
                    yield np.append(-level.sum(axis=0) / 2, corner)

    def along(self, c):
        """The curvature along coordinates c (n,) of unit length, and half its derivatives (n,) by these."""
        change = self.basis @ (self.landscape.slope(self.x + STEP * c @ self.basis) - self.slope) / STEP
        return float(c @ change), change

    def inside(self, c):
        """Coordinates (n,) within the cone, of unit length."""
        c = np.clip(c, self.low, self.high)
        return c / max(np.linalg.norm(c), 1e-300)

    def hessian(self, c, moves):
        """Second derivatives beside coordinates c (n,), between those that move (n,)."""
        place, signs = self.x + STEP * c @ self.basis, np.where(c < 0, -1.0, 1.0)
        here = self.landscape.slope(place)
        steps = (DIFFERENCE * signs[:, None] * self.basis)[moves]
        rows = np.array([self.landscape.slope(place + step) - here for step in steps]) @ self.basis[moves].T
        rows /= DIFFERENCE * signs[moves][:, None]
        return (rows + rows.T) / 2

    def sink(self, c):
        """The curvature to which Newton's method leads from coordinates c (n,), and where.

        Where it curves down on the sphere it is followed down, as far as its size tells.
        """
        c = self.inside(c)
        value, change = self.along(c)
        for _ in range(MOST_STEPS):
            slope = change - value * c
            moves = ~(((c <= self.low) & (slope > 0)) | ((c >= self.high) & (slope < 0)))
            across = np.eye(moves.sum()) - np.outer(c[moves], c[moves])
            own = across @ self.hessian(c, moves) @ across - value * across
            values, vectors = np.linalg.eigh(own)
            step = np.zeros(c.size)
            step[moves] = -vectors @ ((vectors.T @ slope[moves]) / np.maximum(np.abs(values), self.level))
            step /= max(np.linalg.norm(step), 1.0)
            share = 1.0
            while share > SHORTEST:
                trial = self.inside(c + share * step)
                lower, after = self.along(trial)
                if lower < value:
                    break
                share /= 2
            else:
                break
            gain, c, value, change = value - lower, trial, lower, after
            if gain < max(SHORTEST * abs(value), self.level / 10):
                break
        return value, c
