"""Equilibria next to each other: losses above a common base, which are branches of one equilibrium, and what lies lower."""

import numpy as np

from .equilibria import Equilibrium, far, once
from .exchanges import between_exchanged, isotropy, turned
from .normal_forms import branches
from .tolerances import APART, BY_LOSS, CLOSE, EXCESS_LOWER, KICK, LOWER, MOVED, NEAR, ROUNDING, SAME, SIBLING, SOFT, TINY, ZERO

FINE, COARSE = (((1 + nodes) / 2, weights / 2) for nodes, weights in map(np.polynomial.legendre.leggauss, (10, 3)))
"""Gauss's nodes and weights on [0, 1]: for values to rounding, and for slopes, of which three digits are enough."""


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
        if _gap(base, first, second) is not None:
            return first, second, base
    return one, other, None


def _gap(base, first, second):
    """Loss of the second minimum above that of the first by their losses above a base; None where these are not those of the
    losses, as where there are kinks on the way."""
    gap = excess(base, second, first.u) - excess(base, first, first.u)
    return gap if abs(gap - (second.loss - first.loss)) <= LOWER * first.loss else None


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
    for match, image in turned(state, target):
        if match > best[0] + ROUNDING:
            best = match, image
    x = best[1](state.x)
    if np.max(np.abs(x - target.x)) > MOVED or np.max(np.abs(x[~target.free]), initial=0.0) > ZERO:
        return None
    x[~target.free] = 0.0
    return family.stationary(Equilibrium(family, x, target.frames, target.free, state.u), state.u)


def symmetric_neighbours(states):
    """The more symmetric equilibria next to some, each once: themselves where they keep zeros, or features alike that they could
    tell apart, and those from which they have departed. Those that keep most zeros come first: all others are branches of them.
    """
    found = []
    for one in sorted((one for state in states for one in _more_symmetric(state)), key=lambda one: np.sum(one.free)):
        if all(far(one, other) > SAME for other in found):
            found.append(one)
    return found


@once
def _more_symmetric(state):
    """Those next to one."""
    soft = not len(state.family.inputs) and not state.is_steeper(SOFT)
    departed = [state.family.symmetrized(state, state.u), (between_exchanged(state) or (None,))[0] if soft else None]
    own = [state] if state.held or (soft and len(isotropy(state)[1]) > 1) else []
    return [*own, *(one for one in departed if one is not None)]


def lower_minimum(u, states, base=None):
    """The lowest minimum at u when it is lower than all ``states``, or None.

    ``base``: the equilibrium of which the others are branches, solved at u; branches of one are compared accurately.
    """
    lowest = min(state.loss for state in states)
    best = states[0].family.competitors.lowest(u, lowest * (1 - LOWER), states)
    if best is not None:
        return best
    for parent in [base] if base is not None else symmetric_neighbours(states):
        state = min(states, key=lambda state: far(parent, state))
        reach = far(state, parent)
        if reach > CLOSE or SAME < reach < TINY or parent.is_steeper(SOFT / 10):
            continue
        for member in [parent, *branches(parent)]:
            least = max(APART * far(member, parent), SAME)
            if member.stable and all(far(member, one) >= least for one in states) and _is_lower(parent, member, state):
                best = state = member
    return best or _kicked(u, states, lowest * (1 - LOWER))


def _is_lower(parent, one, other):
    """Whether one of two equilibria next to a more symmetric one is lower: by losses above that, as far as these say more."""
    reach = max(far(one, parent), far(other, parent))
    gap = _gap(parent, other, one) if reach <= BY_LOSS and np.max(np.abs(other.x - parent.x)) <= MOVED else None
    return one.loss < other.loss * (1 - LOWER) if gap is None else gap < -EXCESS_LOWER * parent.loss * reach


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
