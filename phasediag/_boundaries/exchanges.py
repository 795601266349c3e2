"""Features that are alike: what an equilibrium becomes as they are exchanged, and modes that begin to tell them apart."""

from functools import partial

import numpy as np

from .equilibria import Equilibrium, far, once
from .tolerances import ALIKE, ALONG, HARDLY, MOVED, ROUNDING, SAME, ZERO

_ALIKE = 5
"""Times that features are made alike until rounding alone tells them apart: errors fall with their square."""


def turned(state, target):
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
        images = [image for _, image in turned(state, state) if np.max(np.abs(image(state.x) - state.x)) < HARDLY]
        x = np.where(state.free, np.mean([image(state.x) for image in images], axis=0), 0.0)
        moved = np.max(np.abs(x - state.x))
        state = state if len(images) == 1 else Equilibrium(state.family, x, state.frames, state.free, state.u)
        if moved < ROUNDING:
            break
    maps = [image(np.eye(state.x.size))[free].T for image in images]
    return state, np.array([one[free] for one in maps if np.max(np.abs(one[~state.free]), initial=0.0) < ZERO])


@once
def between_exchanged(state):
    """The equilibrium in the middle of what one becomes as features are exchanged, and the way from it, (size,): or None.

    Of the exchanges that make another point those up to twice as far as the nearest count: the middle they leave as it is.
    """
    images = np.array([image(state.x) for _, image in turned(state, state)])
    images = images[np.max(np.abs(images[:, ~state.free]), axis=1, initial=0.0) < ZERO]
    apart = np.max(np.abs(images - state.x), axis=1)
    nearest = np.min(apart[apart > ZERO], initial=MOVED)
    if nearest == MOVED:
        return None
    near = images[apart < 2 * nearest]
    middle = Equilibrium(state.family, np.where(state.free, near.mean(axis=0), 0.0), state.frames, state.free, state.u)
    found = state.family.stationary(middle, state.u)
    return (found, state.x - images[apart == nearest][0]) if found.converged and far(found, state) < MOVED else None


def kinds(maps):
    """Projections (n_free, n_free) on the directions that leave alike what is so, and on those that each of the exchanges of an
    isotropy, ``maps``, that is its own inverse reverses: a list."""
    alike = np.mean(maps, axis=0)
    swaps = [(maps[0] - one) / 2 for one in maps[1:] if np.max(np.abs(one @ one - maps[0])) < ALIKE]
    return [alike, *(swaps or ([maps[0] - alike] if len(maps) > 1 else []))]


def lowest_within(own, hessian):
    """The lowest curvature within what a projection leaves, how much higher the next one is, and its direction; ∞ of none."""
    basis = np.linalg.eigh(own)
    basis = basis[1][:, basis[0] > 0.5]
    if not basis.size:
        return np.inf, 0.0, None
    values, vectors = np.linalg.eigh(basis.T @ hessian @ basis)
    return values[0], np.append(values, np.inf)[1] - values[0], basis @ vectors[:, 0]


def free_modes(maps, hessian):
    """Of second derivatives (n_free, n_free) the softest mode of each of an isotropy's `kinds`: a list of (projection, lowest
    curvature, how much higher the next one is, direction)."""
    return [(own, *lowest_within(own, hessian)) for own in kinds(maps)]


def softest(modes):
    """Of some of these the softest, of equally soft ones that which mixes with no other."""
    least = min(curvature for _, curvature, _, _ in modes)
    return max((one for one in modes if one[1] <= least + SAME), key=lambda one: one[2])


@once
def exchange_modes(state):
    """The softest modes in which an equilibrium begins to tell features apart that are alike: a list of (curvature, direction).

    As soft as a direction that an exchange reverses are those that others turn it into, and sums in which these keep alike what
    they exchange.
    """
    state, maps = isotropy(state)
    if len(maps) == 1 or len(state.family.inputs) or not np.any(state.free):  # in losses in pieces second derivatives say nothing
        return []
    free, found, seen = np.flatnonzero(state.free), [], []
    hessian = state.family.derivatives(state.x, state.u, pinned=True)[2][free[:, None], free]
    _, curvature, _, way = softest(free_modes(maps, hessian)[1:])
    if way is None:  # none of them moves
        return []
    for part in (way, *(sense * (way + one @ way) for one in maps[1:] for sense in (1, -1))):
        length, direction = np.linalg.norm(part), np.zeros_like(state.x)
        if length > ALIKE:
            direction[free] = part / length
            look = state.aside(ALONG * direction).key
            if not any(np.max(np.abs(look - other)) < ALIKE for other in seen):
                seen.append(look)
                found.append((curvature, direction))
    return found
