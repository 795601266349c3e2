"""Normal forms where an equilibrium loses its stability: its soft modes, their one-sided cubics and quartics, and what branches.

Second derivatives jump where a bias is 0, so that a mode has a curvature, a cubic and a quartic of its own in each direction.
"""

from copy import copy
from itertools import combinations

import numpy as np

from .._minimizing.newton import EXTRAPOLATION, PROBE
from .equilibria import Equilibrium, far, once
from .exchanges import exchange_modes, isotropy
from .family import across_flat
from .tolerances import (
    ALIKE,
    ALONG,
    AMPLITUDES,
    APART,
    DESCENDING,
    FALLING,
    HARDLY,
    LEAST_BRANCH,
    LOST,
    MOVED,
    QUARTIC_STEP,
    ROUNDING,
    SAME,
    SOFT,
    TURNED,
    ZERO,
)


def _breaking(state, direction):
    """The part of a direction that breaks the symmetry: along zeros that are kept but could move; all, if among alike ones."""
    breaking = np.zeros_like(direction)
    breaking[state.moving] = direction[state.moving]
    return breaking if np.any(breaking) else direction


def softest_breaking(state, direction=None):
    """Lowest one-sided curvature of the directions that break the symmetry, and its direction (size,).

    The zeros that move have unit length, the rest of the direction is their response: so that equally soft directions have
    one curvature. ``direction``: where to begin; default the softest of all. NaN where the symmetry does not break.
    """
    moving = state.moving
    if not moving.size:
        return np.nan, np.zeros_like(state.x)
    if direction is None or np.linalg.norm(direction[moving]) < ALIKE:
        direction = state.family.softest(state.x, state.u, state.frame)[1]
    if np.linalg.norm(direction[moving]) > ALIKE:
        return _settled(state, direction)
    direction = np.zeros_like(state.x)  # it lies along what moves: from the softest of the others, either way
    direction[moving] = _reduced(state, state.family.derivatives(state.x, state.u, pinned=True)[2])[2][:, 0]
    return min((_settled(state, sense * direction) for sense in (1.0, -1.0)), key=lambda found: found[0])


def _settled(state, direction):
    """Lowest curvature and direction (size,) of those that break the symmetry, found in turn from a direction: each the softest
    by the second derivatives on the side of the one before."""
    moving, best = state.moving, (np.inf, direction)
    direction, known = direction / np.linalg.norm(direction[moving]), False  # whether what rests has responded
    for _ in range(12):
        hessian = state.family.derivatives(state.x + PROBE * direction, state.u, pinned=True)[2]
        response, values, vectors = _reduced(state, hessian)
        lowest = vectors[:, values <= values[0] + ALIKE]
        unit = lowest @ (lowest.T @ direction[moving])
        if np.linalg.norm(unit) < TURNED:
            unit = lowest[:, 0]
        new = np.zeros_like(state.x)
        new[moving] = unit = unit / np.linalg.norm(unit)
        new[state.resting] = response @ unit
        rests = np.abs(new - direction).max() < SAME
        if known or rests:
            best = min(best, (float(direction @ hessian @ direction), direction), key=lambda found: found[0])
        if rests:
            break
        direction, known = new, True
    return best


def _reduced(state, hessian):
    """Of second derivatives (size, size) beside an equilibrium: how what moves responds to zeros that break its symmetry,
    (n_free, n_moving), and the spectrum that these have with that response."""
    order, n_resting = state.order, state.resting.size
    hessian = hessian[order[:, None], order]
    mixed = hessian[:n_resting, n_resting:]
    response = -across_flat(hessian[:n_resting, :n_resting], mixed)
    reduced = hessian[n_resting:, n_resting:] + mixed.T @ response
    return response, *np.linalg.eigh((reduced + reduced.T) / 2)


def _rise(state, direction):
    """`Equilibrium.rise` of a direction in which the biases of features that enter stay at 0; else 0 as well."""
    return np.where(direction == 0.0, state.rise(direction), 0.0)


def _on_stair(state, direction, grows):
    """As `mode_along`, of a direction whose kept biases grow as `Equilibrium.rise` says: the limit of rays with ever less."""
    on, rays, numbers = grows > 0.0, [], []
    for part in QUARTIC_STEP * np.arange(1, len(EXTRAPOLATION) + 1):
        ray = np.where(on, part, direction)
        for _ in range(30):
            second, third = state.family.beside(state.x, ray, state.u)
            if _respond(state, ray, second, on) < ZERO:
                break
        rays.append(ray)
        numbers.append((ray @ second @ ray, ray @ third @ ray))
    value, slope = np.array(EXTRAPOLATION).T
    curvature, cubic = value @ numbers
    return float(curvature), float(cubic + 3 * (slope @ numbers)[0] / QUARTIC_STEP * grows.max()), np.where(on, 0.0, value @ rays)


def mode_along(state, direction):
    """Curvature, cubic and direction (size,) of a mode: zeros that move, as in a direction, with the response of the others.

    That is about the one in the direction. Of values that are certain the loss is pieced together of polynomials, and equilibria
    lie on the borders of the pieces: the numbers are those of small amplitudes.
    """
    if len(state.family.inputs):
        return _limit_of_amplitudes(state, _breaking(state, direction))
    if np.any(grows := _rise(state, direction)):
        return _on_stair(state, direction, grows)
    family, direction, change = state.family, direction.copy(), np.inf
    for _ in range(30):
        second, third = family.beside(state.x, direction, state.u)
        before, change = change, _respond(state, direction, second)
        if change < ROUNDING or FALLING * before < change < ZERO:  # rounding is all that is left
            break
    return float(direction @ second @ direction), float(direction @ third @ direction), direction


def _respond(state, direction, second, stays=None):
    """Let the parameters that rest respond to those that move in a direction, by second derivatives; by how much they change.

    ``stays``: the mask of those that do not.
    """
    resting, moving = state.resting, state.moving
    if stays is not None:
        resting, moving = np.flatnonzero(state.responding & ~stays), np.append(moving, np.flatnonzero(stays))
    rest = second[resting]
    response = -across_flat(rest[:, resting], rest[:, moving] @ direction[moving])
    change = np.abs(response - direction[resting]).max(initial=0.0)
    direction[resting] = response
    return change


def _responding(state, enter):
    """Curvature and direction (size,) of a mode: ``enter``, along zeros that move, with the response of the others."""
    if len(state.family.inputs):
        return _limit_of_amplitudes(state, enter)[::2]
    direction = enter.copy()
    for _ in range(30):
        second = state.family.derivatives((state.x + PROBE * direction)[None], state.u)[2][0]
        if _respond(state, direction, second) < ZERO:
            break
    return float(direction @ second @ direction), direction


def _limit_of_amplitudes(state, enter):
    """As `mode_along`, from κa²/2 + ca³/6 + …, the losses at amplitudes; infinite where what responds has gone elsewhere.

    Of losses, for where several kinks hold it the slope is not known.
    """
    found = list(_responses(state, enter))[::-2][:5]
    amplitudes, points, losses = (np.array(one) for one in zip(*found, strict=True))
    powers = amplitudes[:, None] ** np.arange(len(found))
    curvature, cubic = np.linalg.solve(powers, losses / amplitudes**2)[:2]
    start = np.linalg.solve(powers, points)[0]  # of the valley's points that from which it goes
    if abs(losses[0]) > amplitudes[0] * state.family.scaled_loss(state.x, state.u):
        return np.inf, np.inf, enter
    return float(2 * curvature), float(6 * cubic), (points[0] - start) / amplitudes[0]


def _responses(state, enter):
    """Yield ever smaller amplitudes of a mode ``enter``, the flat parameters where the others respond, and how much higher the
    scaled loss is there; until these are found no longer."""
    family, moving, found = state.family, state.moving, []
    least = family.scaled_loss(state.x, state.u)
    for amplitude in DESCENDING:
        some = found[-5:]
        weights = np.linalg.solve(np.vander([one[0] for one in some], increasing=True).T, amplitude ** np.arange(len(some)))
        x = weights @ [one[1] for one in some] if some else state.x.copy()
        x[moving] = amplitude * enter[moving]
        end = family.stationary(Equilibrium(family, x, state.frames, state.responding, state.u), state.u)
        if len(some) < 3 or not end.converged or np.max(np.abs(end.x - x)) > amplitude:
            end = family.descents([x], state.frames, state.responding, state.u, amplitude / 10)[0]
        loss = family.scaled_loss(end.x, state.u) - least
        if len(some) == 5 and loss > family.scaled_loss(x, state.u) - least + LOST * amplitude**2:
            return
        found.append((amplitude, end.x, loss))
        yield found[-1]


@once
def soft_modes(state):
    """Modes in which an equilibrium may break its symmetry: a list of (curvature, direction).

    A feature that is not represented may enter against any one of the others, or against several together: at the limit of
    stability they are equally soft. So may clusters turn against each other.
    """
    entering = entering_modes(state)
    curvature, softest = softest_breaking(state)
    if np.isfinite(curvature) and curvature < min((found[0] for found in entering), default=np.inf) - ALIKE:
        directions = [softest, *_linking_directions(state, curvature, softest)] if curvature < SOFT else [softest]
        return [*entering, *(_responding(state, _breaking(state, direction)) for direction in directions)]
    return entering


@once
def entering_modes(state):
    """Those of them in which a feature without weights enters: a list of (curvature, direction).

    Where its bias is kept at 0 it comes in with one that grows as the weights do, or on a stair: see `Equilibrium.rise`.
    """
    entering, stepped = list(entering_directions(state)), not len(state.family.inputs)
    steps = [(enter, grows) for enter in entering if stepped and np.any(grows := _rise(state, enter))]
    return [_responding(state, enter) for enter in entering] + [_on_stair(state, *one)[::2] for one in steps]


def entering_directions(state):
    """Unit directions in which a feature without weights enters against one or more others, of those alike one.

    Of values that are certain along them, too: the search for the softest knows no small amplitudes.
    """
    family, moving, senses = state.family, state.frame & ~state.free, (1.0, -1.0) if len(state.family.inputs) else (1.0,)
    norms, seen = np.linalg.norm(state.weights, axis=0), set()
    others = np.flatnonzero(norms > SAME)
    products = np.round(state.weights.T @ state.weights, 6)
    marks = np.round(np.column_stack([state.x[family.m * family.n :], norms**2]), 6)
    for i in np.flatnonzero(norms <= SAME).tolist():
        for chosen in (list(some) for size in range(1, len(others) + 1) for some in combinations(others.tolist(), size)):
            alike = sorted((family.places[k], *marks[k].tolist()) for k in chosen)
            look = family.places[i], tuple(alike), tuple(np.sort(products[np.ix_(chosen, chosen)].ravel()).tolist())
            if look in seen:
                continue
            seen.add(look)
            enter = np.zeros((family.m + 1, family.n))
            enter[: family.m, i] = -np.sum(state.weights[:, chosen] / norms[chosen], axis=1)
            enter = np.where(moving, enter.ravel(), 0.0)
            if np.linalg.norm(enter) > ALIKE:
                yield from (sense * enter / np.linalg.norm(enter) for sense in senses)


def _alone(state, softest):
    """Yield a direction with its part along one feature without weights alone, where there are others: as soft each, all mix."""
    lone = np.flatnonzero(np.linalg.norm(state.weights, axis=0) <= SAME)
    parts = softest.reshape(state.family.m + 1, -1)
    for i in lone if len(lone) > 1 else ():
        k = max(
            (k for k in lone if state.family.places[k] == state.family.places[i]), key=lambda k: np.linalg.norm(parts[:-1, k])
        )
        alone = np.zeros_like(parts)
        alone[:-1, i] = parts[:-1, k]
        yield _breaking(state, alone.ravel())


def _linking_directions(state, lowest, softest):
    """Other directions as soft as the softest, in which some features of different clusters turn against each other."""
    seen, single = [_look_along(state, softest)], []

    def unlike(direction):
        """Whether a direction looks like none before; it is then one of those."""
        look = _look_along(state, direction)
        if any(np.max(np.abs(look - other)) < ALIKE for other in seen):
            return False
        seen.append(look)
        return True

    for start in [*_alone(state, softest), *_links(state)]:
        curvature, direction = softest_breaking(state, start)
        if curvature < lowest + ZERO:
            single.append(direction)
            if unlike(direction):
                yield direction
    for size in range(2, len(single) + 1):
        for chosen in combinations(single, size):
            curvature, direction = softest_breaking(state, np.sum(chosen, axis=0))
            if curvature < lowest + ZERO and unlike(direction):
                yield direction


def _links(state):
    """Directions in which two features of different clusters turn against each other."""
    family, norms = state.family, np.linalg.norm(state.weights, axis=0)
    for i, j in combinations([i for members in state.clusters for i in members], 2):
        together = any(i in members and j in members for members in state.clusters)
        turn = np.zeros((family.m + 1, family.n))
        turn[: family.m, i] = -state.weights[:, j] / norms[j]
        turn[: family.m, j] = -state.weights[:, i] / norms[i]
        turn = _breaking(state, turn.ravel())
        if not together and np.linalg.norm(turn) > ALIKE:
            yield turn


def _look_along(state, direction):
    """The invariants of a point in a direction: the same for directions that exchanging features turns into each other."""
    return state.aside(ALONG * direction).key


class Mode:
    """The mode in which an equilibrium breaks its symmetry first, or that in a direction, followed from point to point.

    A feature that enters against others keeps its direction; any other turns with the equilibrium, into what is most like it:
    where two of them are soft it is not taken for the other one.
    """

    def __init__(self, state, direction=None):
        self._known, self.two_sided = {}, False
        if direction is None:
            _, self.direction, self.two_sided = _deciding_mode(state)
        else:
            self.direction = direction / np.linalg.norm(direction[state.moving])  # what rests tells on which side it is
        self.on_stair = self.direction is not None and bool(np.any(_rise(state, self.direction)))
        self.enters = self.direction is not None and any(
            np.allclose(enter, _breaking(state, self.direction)) for enter in entering_directions(state)
        )
        if direction is not None:
            self.two_sided = _is_two_sided(state, *self._along(state))

    def curvature(self, state):
        """Second derivative along the mode at an equilibrium."""
        return self._along(state)[0]

    def coefficient(self, state):
        """What becomes negative where the order changes: the cubic or, where symmetry makes it 0, the quartic."""
        return quartic(state, self._along(state)[2]) if self.two_sided else self._along(state)[1]

    def is_led(self, state):
        """Whether at an equilibrium another mode, as soft to rounding, has a lower cubic: what branches off lies along that."""
        curvature, cubic, _ = self._along(state)
        if self.two_sided or not order_coefficient(state) < cubic - ZERO:
            return False
        alike = [way for other, way in soft_modes(state) if abs(other - curvature) < SAME]
        return any(mode_along(state, way)[1] < cubic - ZERO for way in alike)

    def others(self, state):
        """Directions of other modes of an equilibrium that are about as soft, the softest first: its opposite may be one."""
        _, _, own = self._along(state)
        if own is None:  # its symmetry does not break
            return []
        _, values, vectors = _reduced(state, state.family.derivatives(state.x + PROBE * own, state.u, pinned=True)[2])
        across = np.zeros((np.sum(values < SOFT), own.size))
        across[:, state.moving] = vectors[:, values < SOFT].T
        modes = [*soft_modes(state), *(_responding(state, sense * way) for way in across for sense in (1.0, -1.0))]
        found, looks = [], [_look_along(state, own)]
        for _, way in sorted((mode for mode in modes if mode[0] < SOFT), key=lambda mode: mode[0]):
            look = _look_along(state, way)
            if all(np.max(np.abs(look - other)) > ALIKE for other in looks):
                found.append(way)
                looks.append(look)
        return found

    @property
    def even(self):
        """The same, its cubic of no account: that does not vanish by symmetry, but folds reach it where the quartic does."""
        other = copy(self)
        other.two_sided = True
        return other

    def at(self, state):
        """The mode at another equilibrium."""
        moved = copy(self)
        moved._known, moved.direction = {}, self._along(state)[2]
        return moved

    def beside(self, state, other):
        """Second derivative along another direction, (size,), with the response of what rests, on the side of the mode."""
        second, other = state.family.beside(state.x, self._along(state)[2], state.u)[0], other.copy()
        _respond(state, other, second)
        return float(other @ second @ other)

    def turned(self, state, direction, hessian):
        """Its direction (size,) at an equilibrium like ``state`` with these second derivatives beside it, about ``direction``."""
        if self.on_stair:
            return direction
        response, values, vectors = _reduced(state, hessian)
        enter = direction[state.moving]
        if not self.enters:
            parts = enter @ vectors  # aside from the equilibrium modes that are alike there mix: what the mode tells apart counts
            away = values - parts**2 @ values / (parts @ parts)
            enter = vectors @ np.where(np.abs(away) < np.linalg.norm(away * parts) + ALIKE, parts, 0.0)
            enter /= np.linalg.norm(enter)
        turned = np.zeros_like(direction)
        turned[state.moving], turned[state.resting] = enter, response @ enter
        return turned

    def _turned_to(self, state):
        """Its direction at an equilibrium, for second derivatives beside it may depend on the direction."""
        direction = self.direction
        for _ in range(12):
            before, hessian = direction, state.family.derivatives(state.x + PROBE * direction, state.u, pinned=True)[2]
            direction = self.turned(state, direction, hessian)
            if self.enters or np.max(np.abs(direction - before)) < SAME:
                break
        return direction

    def _along(self, state):
        """Curvature, cubic and direction at an equilibrium; NaN where there is none."""
        if self.direction is None:
            return np.nan, np.nan, None
        if state not in self._known:
            self._known[state] = mode_along(state, self._turned_to(state))
        return self._known[state]


def order_coefficient(state):
    """What decides the order, which changes where it becomes negative: NaN where no symmetry breaks.

    It is the lowest cubic among the modes that are equally soft. Of a mode that is as soft as its opposite, cubics are opposite;
    where they are 0 by symmetry, the quartic counts.
    """
    cubic, direction, two_sided = _deciding_mode(state)
    return quartic(state, direction) if two_sided else cubic


@once
def _deciding_mode(state):
    """The lowest cubic among the modes that are equally soft, its direction, and whether it is as soft as its opposite, both
    without a cubic; NaN, None and False where there is none."""
    modes = [mode for mode in soft_modes(state) if np.isfinite(mode[0])]
    if not modes:
        return np.nan, None, False
    lowest = min(curvature for curvature, _ in modes)
    own = [mode_along(state, direction) for curvature, direction in modes if curvature < lowest + ZERO]
    curvature, cubic, direction = min(own, key=lambda found: found[1])
    two_sided = _is_two_sided(state, curvature, cubic, direction)
    if two_sided and len(own) > 1:
        direction = min((found[2] for found in own), key=lambda way: quartic(state, way))
    return cubic, direction, two_sided


def _is_two_sided(state, curvature, cubic, direction):
    """Whether a mode is as soft as its opposite, both without a cubic."""
    return abs(cubic) < ZERO and abs(curvature - _responding(state, _breaking(state, -direction))[0]) < ZERO


def quartic(state, direction):
    """Fourth derivative of the loss along a two-sided soft mode, the other parameters at their best.

    These respond with the square of the amplitude, no further: one of them may be about as soft, at amplitudes of its own. From
    what is odd of the slopes on that way at five amplitudes either way, a κ + a³ q/6 + a⁵ s/120 + ….
    """
    amplitudes, free = QUARTIC_STEP * np.arange(1, 6), np.flatnonzero(state.frame)
    away, across = amplitudes[:, None], _across(state, direction)
    ways = np.array([direction, np.where(state.responding & ~state.free, direction, -direction)])[:, None]  # of kinks one is on
    at_rest, squared = (np.linalg.inv(amplitudes[:, None] ** powers)[0] for powers in (np.arange(5), np.arange(2, 7)))
    bent = np.zeros((2, 1, state.x.size))
    for _ in range(12):
        points = state.x + away * ways + away**2 / 2 * bent
        _, gradients, hessians = state.family.derivatives(points, state.u, pinned=True)
        left = 2 * squared @ gradients[..., free] @ across  # of the gradient, in the square of the amplitude
        inner = across.T @ np.einsum("k,skij->sij", at_rest, hessians[..., free[:, None], free]) @ across
        move = -np.array([across_flat(*one) for one in zip(inner, left, strict=True)]) @ across.T
        if np.max(np.abs(move), initial=0.0) < HARDLY:
            break
        bent[:, 0, free] += move
    slopes = np.sum((ways + away * bent) * gradients, axis=-1)
    return float(6 * np.linalg.solve(amplitudes[:, None] ** np.arange(1, 10, 2), slopes.mean(axis=0))[1])


def _across(state, direction):
    """Directions of a frame across those that are as soft as a mode: orthonormal, (n_frame, k); what is as soft has no best."""
    grows = _rise(state, direction)
    soft = np.vstack([_as_soft(state, direction), np.diag(grows)[grows > 0.0]])[:, np.flatnonzero(state.frame)]
    return np.linalg.svd(soft)[2][len(soft) :].T


def _reduced_slopes(state, direction, amplitudes):
    """Derivatives of the loss in amplitudes (k,) of a mode to which the other parameters respond, by one Newton step."""
    frame, across = np.flatnonzero(state.frame), _across(state, direction)
    mode, grows = _breaking(state, direction)[frame], _rise(state, direction)
    _, gradients, hessians = state.family.derivatives(state.x + state.on(np.outer(amplitudes, direction)), state.u, pinned=True)
    along = gradients @ grows * (2 * amplitudes)
    gradients, hessians = gradients[:, frame], hessians[:, frame[:, None], frame]
    inner = zip(across.T @ hessians @ across, gradients @ across, strict=True)
    responses = -np.array([across_flat(*one) for one in inner]) @ across.T
    return (gradients @ mode + along + np.einsum("i,kij,kj->k", mode, hessians, responses)) / (mode @ mode)


def _as_soft(state, direction):
    """The directions (k, size) that break the symmetry and are as soft as one, without response: orthonormal, or it alone."""
    hessian = state.family.derivatives(state.x + state.on(PROBE * direction), state.u, pinned=True)[2]
    if np.any(direction[state.moving]):
        moving, (_, values, vectors) = state.moving, _reduced(state, hessian)
    else:
        moving = np.flatnonzero(state.free)
        values, vectors = np.linalg.eigh(hessian[moving[:, None], moving])
    alike = np.abs(values - values[np.argmax(np.abs(direction[moving] @ vectors))]) < ALIKE
    soft = np.zeros((1 if np.sum(alike) < 2 else np.sum(alike), state.x.size))
    soft[:, moving] = direction[moving] if len(soft) == 1 else vectors[:, alike].T
    return soft


def _turnings(state, direction):
    """Yield amplitudes of a mode from which a minimum of the reduced loss may be reached; from beyond it Newton's method is safe.

    Its slope in parts of the amplitude changes sign there, or is least, where it may do so twice between two amplitudes.
    """
    slopes = _reduced_slopes(state, direction, AMPLITUDES) / AMPLITUDES
    for k in range(len(slopes) - 1):
        (one, left), (other, right) = zip(AMPLITUDES[k : k + 2], slopes[k : k + 2], strict=True)
        if left < 0 <= right:
            yield from (one * (other / one) ** (left / (left - right)), other)
        elif 0 < k and 0 <= left < min(slopes[k - 1], right):
            yield other
    if slopes[-1] < 0:
        yield AMPLITUDES[-1]


def _starts(state, direction):
    """Yield steps, (size,), along a mode to where a minimum of the reduced loss may be reached."""
    if not len(state.family.inputs):
        for amplitude in _turnings(state, direction):
            step = state.on(amplitude * direction)
            if np.any(_rise(state, direction)):  # on the stair a bias finds its place by descent
                step = state.family.descend(state.aside(step), state.u, amplitude**2).x - state.x
            yield step
        return
    points, losses = zip(*(found[1:] for found in _responses(state, _breaking(state, direction))), strict=True)
    for k, loss in enumerate(losses):
        if loss < 0 and loss <= min(losses[max(k - 1, 0) : k + 2]):
            yield points[k] - state.x


@once
def branches(state):
    """The minima next to an equilibrium in which its symmetry is broken: zeros are gone, or fewer features are alike."""
    family, found = state.family, []
    across = [(view, way) for view in state.views for curvature, way in soft_modes(view) if curvature <= SOFT]
    among = [way for curvature, way in exchange_modes(state) if curvature <= SOFT]
    starts = [[view.aside(step) for step in _starts(view, mode_along(view, way)[2])] for view, way in across]
    starts += [[state.among(step) for step in _starts(state, way)] for way in among]
    for near in (near for some in starts for near in family.stationary_points(some, state.u)):
        if not near.converged or not LEAST_BRANCH < far(near, state) < MOVED or _known(near, found, state):
            continue
        near = family.stationary(family.recognized(near.x, near.frame, state.u), state.u)
        breaks = np.sum(near.free) > np.sum(state.free) or len(isotropy(near)[1]) < len(isotropy(state)[1])
        if near.converged and breaks and not _known(near, found, state) and near.stable:
            found.append(near)
    return found


def _known(near, found, state):
    """Whether an equilibrium near a state is one of those found."""
    return any(far(near, other) < APART * far(other, state) for other in found)
