"""The loss of many features in sets, by a Fourier series of the moment generating function.

A set, or a feature in none, is a unit: absent with probability 1 − p, else a product of φ(s a_j) where its features come
together, their mean where they exclude each other; φ(w) = (e^w − 1)/w. The states with at most two units present are enumerated;
on the rest M(s) = E e^{sz} falls at least as k⁻³, and with s = 2πik/T, T ≥ |z|,

    (z⁺)² = z³/3T + z²/2 + Tz/6 + (2/T) Re Σ_{k>0} 2 e^{sz}/s³,    z⁺ = z²/2T + z/2 + T/12 + (2/T) Re Σ_{k>0} e^{sz}/s².
"""

from itertools import combinations, product

import numpy as np

from ..activity import CorrelatedSets

FIRST_NODES, MOST_NODES = 2**8, 2**17
MOST_ACTIVE = 13
"""Features that two units may have active together: they are enumerated."""


def units_of(form):
    """The units of a law with sets: for each the choices of features that are active together, equally likely, (…) of tuples."""
    sets = form.activity.sets
    named = {i for members in sets for i in members}
    together = isinstance(form.activity, CorrelatedSets)
    units = [[tuple(members)] if together else [(i,) for i in members] for members in sets]
    return units + [[(i,)] for i in range(form.n_features) if i not in named]


def treats(form):
    """Whether the series treats models of a form: sets, values uniform on [0, 1], the ReLU and tied weights.

    No two units may have more features active together than are enumerated.
    """
    if not (hasattr(form.activity, "sets") and form.is_simple and form.is_relu):
        return False
    return sum(sorted(len(unit[0]) for unit in units_of(form))[-2:]) <= MOST_ACTIVE


def losses_of_sets(weights, bias, form, control, tolerance, few_losses):
    """Losses of the outputs of one model, without importance, and their errors, both (n,).

    weights (m, n), bias (n,), control (n_controls,). few_losses(weights, bias, density) gives the losses of many small models of
    independent features, the last of which is the output's own. The error is what a doubling of the nodes changed.
    """
    units, density, n = units_of(form), form.density(control), form.n_features
    present = np.array([density[unit[0][0]] for unit in units])
    gram = weights.T @ weights
    losses = _enumerated(weights, bias, units, present, few_losses)
    errors = np.zeros(n)
    for i in range(n):
        reach = max(bias[i] + np.maximum(gram[i], 0).sum(), -bias[i] + np.maximum(-gram[i], 0).sum(), 1e-300)
        period, n_nodes = 1.1 * reach, FIRST_NODES
        total, start, change = _polynomial(gram[i], bias[i], i, units, present, period), 1, np.inf
        while change > tolerance * max(density[i] / 3, 1e-300) and n_nodes <= MOST_NODES:
            s = 2j * np.pi * np.arange(start, n_nodes + 1) / period
            whole, own = _generating(s, gram[i], i, units, present)
            terms = np.exp(s * bias[i]) * (2 * whole / s**3 - 2 * own / s**2)
            change = abs(2 / period * terms.real.sum())
            total += 2 / period * terms.real.sum()
            start, n_nodes = n_nodes + 1, 2 * n_nodes
        losses[i] += total
        errors[i] = change
    return losses, errors


def _enumerated(weights, bias, units, present, few_losses):
    """Losses (n,) of the states with at most two units present, and E x_i² of all the others."""
    n = bias.size
    second, groups = np.zeros(n), {}
    absent = np.prod(1 - present)

    def probability(chosen):
        """That exactly these units are present."""
        return np.prod([present[u] if u in chosen else 1 - present[u] for u in range(present.size)])

    losses = absent * np.maximum(bias, 0) ** 2
    for count in (1, 2):
        for chosen in combinations(range(present.size), count):
            chance = probability(chosen)
            choices = list(product(*(units[u] for u in chosen)))
            for choice in choices:
                active = [i for part in choice for i in part]
                groups.setdefault(len(active), []).append((active, chance / len(choices)))
    for states in groups.values():
        for own in (True, False):
            rows = [(a, i, p) for a, p in states for i in (a if own else sorted(set(range(n)) - set(a)))]
            if not rows:
                continue
            columns = np.array([[*[j for j in a if j != i], i] for a, i, _ in rows])
            density_here = np.ones(columns.shape)
            if not own:
                density_here[:, -1] = 0.0
            found = few_losses(np.swapaxes(weights.T[columns], 1, 2), bias[columns], density_here)
            outputs, chances = np.array([i for _, i, _ in rows]), np.array([p for *_, p in rows])
            np.add.at(losses, outputs, chances * found)
            if own:
                np.add.at(second, outputs, chances / 3)
    whole = np.zeros(n)
    for unit, p in zip(units, present, strict=True):
        for choice in unit:
            whole[list(choice)] += p / len(unit) / 3
    return losses + whole - second


def _phi(w):
    """φ(w) = (e^w − 1)/w and φ′(w), of complex w."""
    small = np.abs(w) < 1e-2
    safe = np.where(small, 1.0, w)
    e = np.exp(safe)
    value, slope = (e - 1) / safe, (e * (safe - 1) + 1) / safe**2
    series = 1 + w / 2 * (1 + w / 3 * (1 + w / 4 * (1 + w / 5 * (1 + w / 6))))
    by_w = 1 / 2 + w / 3 * (1 + w * 3 / 8 * (1 + w * 4 / 15 * (1 + w * 5 / 24 * (1 + w * 6 / 35))))
    return np.where(small, series, value), np.where(small, by_w, slope)


def _factors(s, row, i, units):
    """Each unit's factor where it is present, (n_units, n_nodes), and, of the unit of feature i, E x_i e^{…} in its place."""
    factors, own = [], None
    for k, unit in enumerate(units):
        parts = [np.prod([_phi(s * row[j])[0] for j in choice], axis=0) for choice in unit]
        factors.append(np.mean(parts, axis=0))
        for choice in unit:
            if i in choice:
                rest = [_phi(s * row[j])[0] for j in choice if j != i]
                own = k, _phi(s * row[i])[1] * np.prod(rest, axis=0) / len(unit)
    return factors, own


def _at_least_three(factors, present):
    """The sum over states with at least three units present of probability × factors, shape (n_nodes,)."""
    state = [np.ones_like(factors[0])] + [np.zeros_like(factors[0]) for _ in range(3)]  # none, one, two, more
    for factor, p in zip(factors, present, strict=True):
        here = p * factor
        more = state[3] * (1 - p) + (state[3] + state[2]) * here
        state = [state[0] * (1 - p), state[1] * (1 - p) + state[0] * here, state[2] * (1 - p) + state[1] * here, more]
    return state[3]


def _generating(s, row, i, units, present):
    """E e^{sy} and E x_i e^{sy} where at least three units are present, y = Σ_j a_j x_j: both (n_nodes,)."""
    factors, (k, own) = _factors(s, row, i, units)
    whole = _at_least_three(factors, present)
    factors[k], present = own, present.copy()
    others = _two_or_more([f for u, f in enumerate(factors) if u != k], np.delete(present, k))
    return whole, present[k] * own * others


def _two_or_more(factors, present):
    """As `_at_least_three`, of at least two."""
    none, one, more = np.ones_like(factors[0]), np.zeros_like(factors[0]), np.zeros_like(factors[0])
    for factor, p in zip(factors, present, strict=True):
        here = p * factor
        none, one, more = none * (1 - p), one * (1 - p) + none * here, more * (1 - p) + (more + one) * here
    return more


def _polynomial(row, b, i, units, present, period):
    """The parts of E (z⁺)² − 2 E x_i z⁺ that are polynomials in z, where at least three units are present: moments by a circle.

    M(s) is entire, so its first derivatives at 0 are means over a circle of radius r of M(s)/s^k: to rounding with 64 nodes.
    """
    radius = 1.0 / max(np.abs(row).sum() + abs(b), 1e-300)
    s = radius * np.exp(2j * np.pi * np.arange(64) / 64)
    whole, own = (part * np.exp(s * b) for part in _generating(s, row, i, units, present))
    z0, z1, z2, z3 = ((whole / s**k).mean().real * factor for k, factor in enumerate((1, 1, 2, 6)))
    x0, x1, x2 = ((own / s**k).mean().real * factor for k, factor in enumerate((1, 1, 2)))
    del z0
    return z3 / (3 * period) + z2 / 2 + period * z1 / 6 - 2 * (x2 / (2 * period) + x1 / 2 + period * x0 / 12)
