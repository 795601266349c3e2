"""Equilibria next to each other: losses above a common base, which are branches of one equilibrium, and what lies lower."""

from functools import partial

import numpy as np

from .equilibria import Equilibrium, far
from .normal_forms import branches, once
from .tolerances import APART, CLOSE, EXCESS_LOWER, HARDLY, KICK, LOWER, MOVED, NEAR, ROUNDING, SAME, SIBLING, SOFT, TINY, ZERO

FINE, COARSE = (((1 + nodes) / 2, weights / 2) for nodes, weights in map(np.polynomial.legendre.leggauss, (10, 3)))
"""Gauss's nodes and weights on [0, 1]: for values to rounding, and for slopes, of which three digits are enough."""

_ALIKE = 5
"""Times that features are made alike until rounding alone tells them apart: errors fall with their square."""


def excess(base, state, u, rule=FINE):
    """Loss of ``state`` above that of ``base``, parameters nearby, at u (…, 2): accurate relative to their distance squared.

    The gradient at the base and the second derivatives on the way from it, integrated by a ``rule``: nodes and weights.
    """
    family, step, (nodes, weights) = base.family, state.x - base.x, rule
    u = np.asarray(u)
    if np.max(np.abs(step)) < ROUNDING:
        return np.zeros(u.shape[:-1])
    hessians = family.derivatives(base.x + nodes[:, None] * step, u[..., None, :])[2]
    slopes = family.derivatives(base.x, u, 1)[1] @ step
    return ((step @ hessians @ step) @ (weights * (1 - nodes)) + slopes) * family.scales(u)


def siblings(one, other):
    """Two minima near each other as branches of one equilibrium: (one, other, base), the last None when they are not.

    The base is the more symmetric equilibrium from which either has departed (it may be one of them), else the first of them;
    parameters of both are near its own, and no kink on the way from it is of any account: the losses above it are those of the
    losses.
    """
    for first, second, base in _with_bases(one, other) if far(one, other) <= CLOSE / 2 else ():
        gap = excess(base, second, one.u) - excess(base, first, one.u)
        if abs(gap - (other.loss - one.loss)) <= LOWER * one.loss:
            return first, second, base
    return one, other, None


def _with_bases(one, other):
    """Yield two minima near each other as they are next to equilibria that may be their base: (one, other, base)."""
    apart = far(one, other)
    for base in symmetric_neighbours((one, other)):
        members = [base, *branches(base)]
        nearest = [min(members, key=lambda member: far(member, state)) for state in (one, other)]
        if nearest[0] is not nearest[1] and all(
            far(member, state) < SIBLING * apart + SAME for member, state in zip(nearest, (one, other), strict=True)
        ):
            yield *nearest, base
    turned = aligned(other, one)
    if turned is not None:
        yield one, turned, one


def aligned(state, target):
    """An equilibrium with its features exchanged and its rows turned so that its parameters are near another's, or None."""
    family, best = state.family, (-np.inf, None)
    for match, image in _turned(state, target):
        if match > best[0] + ROUNDING:
            best = match, image
    x = best[1](state.x)
    if np.max(np.abs(x - target.x)) > MOVED or np.max(np.abs(x[~target.free]), initial=0.0) > ZERO:
        return None
    x[~target.free] = 0.0
    return family.stationary(Equilibrium(family, x, target.frames, target.free, state.u), state.u)


def _turned(state, target):
    """Yield how alike an equilibrium is to another, products of weights and of biases, summed, as its features are exchanged and
    its rows turned towards the other's; and the map that does so, of flat parameters (…, size)."""
    family, goal = state.family, target.x[state.weights.size :]
    for signs in family.signs:
        weights, bias = state.weights * signs, state.x[state.weights.size :]
        for order in family.orders:
            left, values, right = np.linalg.svd(target.weights @ weights[:, order].T)
            yield np.sum(values) + bias[order] @ goal, partial(_image, left @ right, signs, order)


def _image(turn, signs, order, x):
    """Flat parameters (…, size) with features exchanged, of these signs, and rows turned."""
    rows = x.reshape(*x.shape[:-1], len(turn) + 1, -1)
    weights = turn @ (rows[..., :-1, :] * signs)[..., order]
    return np.concatenate([weights, rows[..., -1:, :][..., order]], axis=-2).reshape(x.shape)


@once
def isotropy(state):
    """An equilibrium, features that it hardly tells apart made alike, and the exchanges that leave it as it is: maps of the
    parameters that move, (k, n_free, n_free), the first of them nothing."""
    free = np.flatnonzero(state.free)
    for _ in range(_ALIKE):
        images = [image for _, image in _turned(state, state) if np.max(np.abs(image(state.x) - state.x)) < HARDLY]
        x = np.where(state.free, np.mean([image(state.x) for image in images], axis=0), 0.0)
        moved = np.max(np.abs(x - state.x))
        state = state if len(images) == 1 else Equilibrium(state.family, x, state.frames, state.free, state.u)
        if moved < ROUNDING:
            break
    maps = [image(np.eye(state.x.size))[free].T for image in images]
    return state, np.array([one[free] for one in maps if np.max(np.abs(one[~state.free]), initial=0.0) < ZERO])


def between_exchanged(state):
    """The equilibrium in the middle of what one becomes as features are exchanged, and the way from it, (size,): or None.

    Of the exchanges that make another point those up to twice as far as the nearest count: the middle they leave as it is.
    """
    images = np.array([image(state.x) for _, image in _turned(state, state)])
    images = images[np.max(np.abs(images[:, ~state.free]), axis=1, initial=0.0) < ZERO]
    apart = np.max(np.abs(images - state.x), axis=1)
    nearest = np.min(apart[apart > ZERO], initial=MOVED)
    if nearest == MOVED:
        return None
    near = images[apart < 2 * nearest]
    middle = Equilibrium(state.family, np.where(state.free, near.mean(axis=0), 0.0), state.frames, state.free, state.u)
    found = state.family.stationary(middle, state.u)
    return (found, state.x - images[apart == nearest][0]) if found.converged and far(found, state) < MOVED else None


def symmetric_neighbours(states):
    """The more symmetric equilibria next to some: themselves where they keep zeros, and those from which they have departed."""
    return [state for state in states if state.held] + [near for near in map(_more_symmetric, states) if near is not None]


@once
def _more_symmetric(state):
    """The more symmetric equilibrium from which one has departed, or None."""
    return state.family.symmetrized(state, state.u)


def lower_minimum(u, states, base=None):
    """The lowest minimum at u when it is lower than all ``states``, or None.

    ``base``: the equilibrium of which the others are branches, solved at u; branches of one are compared accurately.
    """
    family = states[0].family
    lowest = min(state.loss for state in states)
    best = family.competitors.lowest(u, lowest * (1 - LOWER), states)
    if best is not None:
        return best
    for parent in [base] if base is not None else symmetric_neighbours(states):
        if min(far(parent, state) for state in states) > CLOSE or parent.is_steeper(SOFT / 10):
            continue
        reach = max(far(state, parent) for state in states)
        if 0 < reach < TINY:
            continue
        close = reach < CLOSE and all(np.max(np.abs(state.x - parent.x)) < MOVED for state in states)
        own = min(excess(parent, state, u) for state in states) if close else lowest - parent.loss
        for member in [parent, *branches(parent)]:
            apart = far(member, parent)
            if any(far(member, state) < max(APART * apart, SAME) for state in states) or not member.stable:
                continue
            lower = excess(parent, member, u) if close else member.loss - parent.loss
            if lower < own - (EXCESS_LOWER * parent.loss * max(apart, reach) if close else LOWER * lowest):
                best, own = member, lower
    return best or _kicked(u, states, lowest * (1 - LOWER))


def _kicked(u, states, bound):
    """The lowest minimum below a bound to which descents lead from soft states, kicked along their softest mode."""
    found = []
    for state in states:
        if not state.is_steeper(NEAR):
            for kick in (KICK, -KICK):
                new = state.family.descend(state.aside(kick * state.softest[0], state.softest[1]), u)
                if new.converged and new.loss < bound and new.stable:
                    found.append(state.family.exact(new))
    return min(found, key=lambda state: state.loss, default=None)
