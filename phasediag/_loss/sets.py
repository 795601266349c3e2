"""The loss of many features in sets, and its gradient, by Fourier series of the moment generating function.

A set, or a feature in none, is a unit: absent with probability 1 − p, else a product of φ(s a_j) where its features come
together, their mean where they exclude each other; φ(w) = (e^w − 1)/w. It is *here* when features that move z are active. The
states with at most two units here are enumerated; on the rest M(s) = E e^{sz} falls at least as k⁻³; with s = 2πik/T, T ≥ |z|,

    (z⁺)² = z³/3T + z²/2 + Tz/6 + (2/T) Re Σ_{k>0} 2 e^{sz}/s³,    z⁺ = z²/2T + z/2 + T/12 + (2/T) Re Σ_{k>0} e^{sz}/s².

Slopes in b and in a_j are these differentiated: E x_j e^{sz} and E x_i x_j e^{sz} put φ′ and φ″ in the place of one φ or two.
"""

from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import combinations, product
from math import factorial

import numpy as np

from ..activity import AnticorrelatedSets, CorrelatedSets
from ..forms import Form
from .contour import NEGLIGIBLE, ORTHOGONAL
from .contour_batch import SLOPES
from .enumeration import enumeration, table_of

FIRST_NODES, MOST_NODES = 2**8, 2**17
AT_ONCE = 2**11
"""Nodes, or states, that are held at a time."""
MOST_ACTIVE = 13
"""Features that two units may have active together: they are enumerated."""


@cache
def units_of(form):
    """The units of a law with sets: for each the choices of features that are active together, equally likely, tuples."""
    sets = form.activity.sets
    named = {i for members in sets for i in members}
    together = isinstance(form.activity, CorrelatedSets)
    units = [(tuple(members),) if together else tuple((i,) for i in members) for members in sets]
    return (*units, *(((i,),) for i in range(form.n_features) if i not in named))


def treats(form):
    """Whether the series treats models of a form: sets, values uniform on [0, 1], the ReLU and tied weights.

    No two units may have more features active together than are enumerated.
    """
    if not (isinstance(form.activity, CorrelatedSets | AnticorrelatedSets) and form.is_simple and form.is_relu):
        return False
    return sum(sorted(len(unit[0]) for unit in units_of(form))[-2:]) <= MOST_ACTIVE


def integrate(weights, bias, form, controls, order, tolerance, losses, weights_gradient, bias_gradient, error):
    """As `contour_batch.integrate`, of a form with sets and controls (B, n_controls)."""
    declined = np.zeros(len(bias), dtype=bool)
    for k, control in enumerate(controls):
        importance, mean, square = form.importance(control), form.mean(control), form.mean_square(control)
        joint = form.covariance(control) + mean[:, None] * mean  # E x_i x_j
        length, gram, b = np.linalg.norm(weights[k], axis=0), weights[k].T @ weights[k], bias[k]
        rounding = np.abs(gram) <= np.maximum(ORTHOGONAL * length[:, None] * length, NEGLIGIBLE)
        lost = (np.abs(gram) * rounding) @ np.sqrt(square)
        gram[rounding] = 0.0
        scale = np.einsum("ij,jk,ik->i", gram, joint, gram) + square + 2 * np.abs(b * (gram @ mean)) + b**2
        slopes = np.zeros((len(mean), len(mean) + 1))
        errors, worst = 2 * np.sqrt(scale) * lost, 0.0
        for i, row in enumerate(gram):
            if not row.any():  # z = b, if that is 0 about to be switched on by a rising bias
                level, on = max(b[i], 0.0), b[i] >= 0.0
                losses[k, i] = square[i] - 2 * mean[i] * level + level**2
                slopes[i] = 2 * level * np.append(1.0, mean) - 2 * on * np.append(mean[i], joint[i])
                continue
            output = _Output.of(i, row, b[i], form, control)
            units = scale[i] ** 0.5 * np.append(1.0, square**0.5)  # of the slopes' errors
            numbers, changed = output.numbers(order, tolerance, np.append(square[i], units))
            losses[k, i], errors[i] = square[i] + numbers[0], errors[i] + changed[0]
            if order:
                slopes[i], worst = numbers[1:], max(worst, np.max(changed[1:] / units))
                slopes[i, 1:] += output.apart * mean * slopes[i, 0]
        error[k] = importance @ errors
        declined[k] = not (error[k] <= tolerance * max(importance @ square, importance @ losses[k] - error[k]))
        if order:
            declined[k] |= not worst <= SLOPES * tolerance
            in_gram = importance[:, None] * slopes[:, 1:]
            weights_gradient[k], bias_gradient[k] = weights[k] @ (in_gram + in_gram.T), slopes[:, 0] * importance
    return declined


@dataclass(frozen=True, eq=False)
class _Output:
    """Output i, z = Σ_j a_j x_j + b, of one model.

    row (n,): a_j; units: of those that can be here the choices of features in which they are; present, absent (n_units,): the
    probabilities that they are here and not. beside: of features that are active only while their unit is not here, and move
    nothing, their unit and E x_j, by j. apart (n,): which features are in units that are never here, and independent of z.
    """

    i: int
    row: np.ndarray
    b: float
    units: tuple
    present: np.ndarray
    absent: np.ndarray
    beside: dict
    apart: np.ndarray

    @classmethod
    def of(cls, i, row, b, form, control):
        """That of a form, where the row is not 0."""
        density, units, present, beside, apart = form.density(control), [], [], {}, np.zeros(row.size, bool)
        for unit in units_of(form):
            here = tuple(choice for choice in unit if row[list(choice)].any())
            if not here:
                apart[[j for choice in unit for j in choice]] = True
                continue
            p = density[unit[0][0]]
            beside |= {j: (len(units), p / len(unit) / 2) for choice in unit if choice not in here for j in choice}
            units.append(here)
            present.append(p * len(here) / len(unit))
        present = np.array(present)
        return cls(i, row, b, tuple(units), present, 1 - present, beside, apart)

    @property
    def home(self):
        """The unit that feature i is in."""
        return next(u for u, unit in enumerate(self.units) if any(self.i in choice for choice in unit))

    def numbers(self, order, tolerance, scales):
        """E (z⁺)² − 2 E x_i z⁺ and, for order 1, its slopes in b and in a_j; and what the last nodes changed: (1,) or (n + 2,).

        Nodes are doubled until no change exceeds the tolerance × ``scales`` (n + 2,).
        """
        highest, lowest = self.b + np.maximum(self.row, 0.0).sum(), self.b + np.minimum(self.row, 0.0).sum()
        total = self._enumerated(order)
        changed, start, n_nodes = np.zeros_like(total), 1, FIRST_NODES
        if highest <= 0.0 or len(self.units) < 3:
            return total, changed
        period = 1.1 * max(highest, -lowest)
        total, changed = total + self._polynomial(period, order), np.full_like(total, np.inf)
        while np.any(changed > tolerance * scales[: total.size]) and n_nodes <= MOST_NODES:
            changed = np.zeros_like(total)
            for first in range(start, n_nodes + 1, AT_ONCE):
                s = 2j * np.pi / period * np.arange(first, min(first + AT_ONCE, n_nodes + 1))
                changed += 2 / period * self._terms(s, order).real.sum(axis=1)
            total, changed, start, n_nodes = total + changed, np.abs(changed), n_nodes + 1, 2 * n_nodes
        return total, changed

    def _enumerated(self, order):
        """The part of the states with at most two units here, (1,) or (n + 2,)."""
        total, on = np.zeros(1 if order == 0 else self.row.size + 2), max(self.b, 0.0)
        nothing = np.prod(self.absent)
        total[0] = nothing * on**2
        by_bias, slopes = [2 * nothing * on], total[2:]  # of states, to be shared out to features that are active beside them
        masks = [np.zeros((1, len(self.units)), dtype=bool)]
        for active, mask, n_choices in _states(self.units):
            chance = np.where(mask, self.present, self.absent).prod(axis=1) / n_choices
            own = active == self.i
            for inside in (True, False):
                states = np.flatnonzero(own.any(axis=1) == inside)
                for some in np.split(states, range(AT_ONCE, states.size, AT_ONCE)):
                    features = active[some]
                    if inside:  # the last is the output's own
                        features = np.sort(np.where(own[some], -1, features), axis=1)[:, 1:]
                    features = np.append(features, np.full((some.size, 1), self.i), axis=1)
                    found, by_row, slope = _last_outputs(self.row[features], self.b, inside, order)
                    total[0] += chance[some] @ (found - inside / 3)
                    if order:
                        kept = features if inside else features[:, :-1]
                        np.add.at(slopes, kept, chance[some][:, None] * by_row[:, : kept.shape[1]])
                        by_bias.append(chance[some] * slope)
                        masks.append(mask[some])
        if order:
            by_bias, masks = np.hstack(by_bias), np.concatenate(masks)
            total[1] = by_bias.sum()
            for j, (unit, mean) in self.beside.items():
                slopes[j] = by_bias[~masks[:, unit]].sum() * mean / self.absent[unit]
        return total

    def _expectations(self, s, order):
        """E e^{sy} and E x_i e^{sy}; for order 1, below them, E x_j e^{sy} and E x_i x_j e^{sy} for all j.

        y = z − b where at least three units are here: two arrays, (1 or 1 + n, n_nodes), of s (n_nodes,).
        """
        i, home, moments = self.i, self.home, _moments(self.row[:, None] * s, 1 + order)
        factors = np.array([p * _factor(unit, moments) for unit, p in zip(self.units, self.present, strict=True)])
        own, (several, many) = self.present[home] * _factor(self.units[home], moments, i), _others(factors, self.absent, (2, 3))
        one, both = (np.zeros((1 + order * self.row.size, s.size), complex) for _ in range(2))
        one[0], both[0] = _passed(factors, self.absent)[-1][3], own * several[home]
        if not order:
            return one, both
        away = np.arange(len(self.units)) != home
        rest = np.zeros((2, *factors.shape), complex)  # of the states of the units besides home and each one
        rest[:, away] = _others(factors[away], self.absent[away], (1, 2))
        for u, unit in enumerate(self.units):
            for j in (j for choice in unit for j in choice):
                one[1 + j] = self.present[u] * _factor(unit, moments, j) * several[u]
                if u == home:
                    both[1 + j] = self.present[u] * _factor(unit, moments, i, j) * several[u]
                else:
                    both[1 + j] = own * self.present[u] * _factor(unit, moments, j) * rest[0, u]
        for j, (u, mean) in self.beside.items():
            one[1 + j], both[1 + j] = mean * many[u], mean * own * rest[1, u]
        return one, both

    def _terms(self, s, order):
        """The terms of the series at nodes s (n_nodes,): (1 or n + 2, n_nodes)."""
        one, both = (part * np.exp(s * self.b) for part in self._expectations(s, order))
        loss = 2 * one[:1] / s**3 - 2 * both[:1] / s**2
        return np.concatenate([loss, 2 * one / s**2 - 2 * both / s]) if order else loss

    def _polynomial(self, period, order):
        """The parts that are polynomials in z, (1,) or (n + 2,): moments by a circle.

        M(s) is entire, so its first derivatives at 0 are means over a circle of radius r of M(s)/s^k: to rounding with 64 nodes.
        """
        s = np.exp(2j * np.pi * np.arange(64) / 64) / (np.abs(self.row).sum() + abs(self.b))
        one, both = (part * np.exp(s * self.b) for part in self._expectations(s, order))
        z, x = ([(part / s**k).mean(axis=1).real * factorial(k) for k in range(4)] for part in (one, both))
        loss = (z[3] / (3 * period) + z[2] / 2 + period * z[1] / 6 - (x[2] / period + x[1] + period * x[0] / 6))[:1]
        slopes = z[2] / period + z[1] + period * z[0] / 6 - 2 * x[1] / period - x[0]
        return np.concatenate([loss, slopes]) if order else loss


@lru_cache(maxsize=128)
def _states(units):
    """The states with one or two units here, by how many features are active: a list of three arrays.

    These features (n_states, k), which units are here (n_states, n_units), and of how many choices each is one (n_states,).
    """
    groups = {}
    for count in (1, 2):
        for chosen in combinations(range(len(units)), count):
            choices = list(product(*(units[u] for u in chosen)))
            for choice in choices:
                active = [j for part in choice for j in part]
                groups.setdefault(len(active), []).append((active, np.isin(np.arange(len(units)), chosen), len(choices)))
    return [tuple(map(np.array, zip(*states, strict=True))) for states in groups.values()]


def _last_outputs(rows, b, inside, order):
    """Losses (B,) of an output z = Σ_j rows_j x_j + b for several rows (B, k), and their slopes in the rows (B, k) and in b (B,).

    All features are active; the last is the output's own, and inactive unless ``inside``.
    """
    count, k = rows.shape
    table = table_of(Form(1, k), order, untied=True)
    pair, biases, controls = np.zeros((count, 2, k)), np.zeros((count, k)), np.ones((count, 2 * k))
    pair[:, 0, -1], pair[:, 1], biases[:, -1], controls[:, -1] = 1.0, rows, b, float(inside)
    losses, by_weights, by_bias = np.empty((count, k)), np.empty((count, 2, k)), np.empty((count, k))
    enumeration(pair, biases, controls, order, losses, by_weights, by_bias, np.empty((0, 1, 1)), table)
    return losses[:, -1], by_weights[:, 1], by_bias[:, -1]


def _moments(w, most):
    """E u^r e^{wu} of u uniform on [0, 1], r = 0 … most: shape (most + 1, *w.shape), w complex."""
    found, e, small = np.empty((most + 1, *w.shape), complex), np.exp(w), np.abs(w) < 1.0
    safe, near = np.where(small, 1.0, w), w[small]
    for r in range(most + 1):
        found[r] = (e - (r * found[r - 1] if r else 1.0)) / safe
    for r in range(most + 1):
        total = np.zeros_like(near)
        for k in range(20, -1, -1):
            total = total * near + 1 / (factorial(k) * (k + r + 1))
        found[r][small] = total
    return found


def _factor(choices, moments, *features):
    """E Π x_j e^{…} over ``features``, which may repeat, where one of the choices is active; `_moments` (3, n, n_nodes)."""
    total = np.zeros_like(moments[0, 0])
    for choice in choices:
        if all(j in choice for j in features):
            total += np.prod([moments[features.count(j), j] for j in choice], axis=0)
    return total / len(choices)


def _passed(factors, absent):
    """Sums over the states of the units before each, and of all, with none, one, two and more of them here.

    factors (n_units, n_nodes): probability × factor; absent (n_units,): a list of n_units + 1 lists of four (n_nodes,).
    """
    states = [[np.ones_like(factors[0]), *np.zeros((3, *factors[0].shape), complex)]]
    for here, away in zip(factors, absent, strict=True):
        none, one, two, more = states[-1]
        states.append([none * away, one * away + none * here, two * away + one * here, more * (away + here) + two * here])
    return states


def _others(factors, absent, counts):
    """For each unit the sums over the states of the others with so many, or more, of them here: (2, n_units, n_nodes)."""
    before, after = _passed(factors, absent)[:-1], _passed(factors[::-1], absent[::-1])[-2::-1]
    found = np.zeros((len(counts), *factors.shape), complex)
    for u, (some, others) in enumerate(zip(before, after, strict=True)):
        for k in range(4):
            for row, count in enumerate(counts):
                found[row, u] += some[k] * sum(others[max(count - k, 0) :])
    return found
