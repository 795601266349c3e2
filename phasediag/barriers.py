"""Barriers between minima: the lowest pass found between two of them over all weights and biases."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ._arguments import Floats
from ._display import Result
from ._minimizing import newton
from ._minimizing.flat import flatten, parts
from ._minimizing.saddles import Passes, chained
from ._minimizing.search import settle_model
from ._minimizing.stationary_points import GRADIENT_TOLERANCE
from .minima import Minimum, common_model
from .model import ToyModel
from .phases import phase_name

NEAR = 1e-3
"""A minimum that is given lies no farther, in any parameter, from where a descent from it ends."""


@dataclass(frozen=True, eq=False, repr=False)
class Barrier(Result):
    """The lowest pass found on the way from one minimum to another.

    Attributes
    ----------
    phases : tuple of str
        Those of the minima on the path: of the first, of those between, of the last.
    heights : ndarray, shape (2,)
        By how much the pass lies above the first and the last minimum.
    loss : float
        Expected loss at the pass.
    weights : ndarray, shape (n_hidden, n_features)
        Of the pass: a saddle point, the highest on the path.
    bias : ndarray, shape (n_features,)
    index : int
        The number of negative curvatures at the pass, rotations apart: 1. Where second derivatives jump (a bias is 0) the
        directions in which the loss falls are counted: 1 where they have separate parts, a way down each. So it is on the kinks
        of models without biases (a feature has no weights), where the loss falls or rises by its one-sided slopes.
    gradient_norm : float
        Largest entry of the gradient of loss / Σ_i I_i E x_i² there. On a kink it is that of one side: it may be 0 where a
        one-sided derivative is not.
    curvature : float
        Its lowest second derivative; where that jumps, the less negative of those on the two ways down.
    path : ndarray, shape (n_path, (n_hidden + 1) n_features)
        Minimum, saddle, minimum, …, saddle, minimum: weights row by row, then biases, each turned, and equal features
        exchanged, to lie next to the one before. Exact descents from both sides of each saddle lead to its neighbours.
    path_loss : ndarray, shape (n_path,)
        Expected losses along the path.
    n_passes, n_climbs : int
        What the claim rests on: the different passes between any minima that so many climbs have found.
    model : ToyModel

    Examples
    --------
    >>> from phasediag import ToyModel, barrier, minimize
    >>> lowest, second, *_ = minimize(ToyModel(n_hidden=1, importance=[1.0, 0.9], density=0.1))
    >>> way = barrier(second, lowest)
    >>> way.phases, [float(f"{height:.4g}") for height in way.heights]
    (('extra in aligned pair', 'extra in antipodal pair'), [0.0008437, 0.0246])
    """

    phases: tuple[str, ...]
    heights: Floats
    loss: float
    weights: Floats
    bias: Floats
    index: int
    gradient_norm: float
    curvature: float
    path: Floats
    path_loss: Floats
    n_passes: int
    n_climbs: int
    model: ToyModel = field(repr=False)

    @property
    def height(self) -> float:
        """By how much the pass lies above the first minimum."""
        return float(self.heights[0])

    @property
    def is_direct(self) -> bool:
        """Whether no other minimum lies on the path."""
        return len(self.path) == 3


def barrier(a: Minimum, b: Minimum) -> Barrier:
    """Find the lowest pass between two minima of one model.

    Parameters
    ----------
    a, b : Minimum
        Two different minima that `minimize` has found for one model.

    Returns
    -------
    Barrier
        From ``a`` to ``b``; the path may lead through other minima. Copies of a minimum that differ by a rotation or reflection
        of the hidden space, or by exchanging equal features, are one: the path ends at whichever copy is reached most easily.

    Raises
    ------
    ValueError
        When the minima have no or not the same model, or are the same minimum.
    RuntimeError
        When no path between them is found.

    Notes
    -----
    Strings of points between the nearest copies of the minima move towards paths of least loss; from their tops, and from
    every minimum along every direction of curvature, climbs follow one direction uphill and all others downhill, by Newton's
    method on the exact second derivatives, to a gradient of rounding size. Of the points reached those with exactly one
    negative curvature are passes; exact descents from both sides tell which minima they join. The pass returned is the highest
    on the path of the minimum spanning tree. That it is the lowest found is no proof that none is lower.

    Features are at most 10, as for `minimize`; of five it takes seconds, and with each more several times as long.

    References
    ----------
    Cerjan and Miller 1981, "On finding transition states" (the climbs); E, Ren, Vanden-Eijnden 2007, "Simplified and improved
    string method for computing the minimum energy paths in barrier-crossing events".

    Examples
    --------
    >>> from phasediag import ToyModel, barrier, minimize
    >>> lowest, other = minimize(ToyModel(n_hidden=1, importance=[1.0, 0.56], density=0.51))
    >>> passed = barrier(other, lowest)
    >>> passed.index, passed.phases
    (1, ('extra not represented + dedicated', 'extra in antipodal pair'))
    >>> round(passed.height, 9)
    0.000912121
    """
    model = common_model(a, b)
    passes, (start, end) = _passes(model, [a, b])
    for one, position in ((a, start), (b, end)):
        if position is None:
            raise ValueError(f"a and b must be minima, got one of a valley out of which the loss falls, {one!r:.60}")
    if start == end:
        raise ValueError("a and b must be different minima, got one minimum (or one valley) twice")
    passes.search([start, end])
    found = _barrier(passes, start, [end])
    if found is None:
        raise RuntimeError(f"no path from {a.phase.name} to {b.phase.name} was found by {passes.n_climbs} climbs")
    return found


def depths(minima: Sequence[Minimum]) -> list[Barrier | None]:
    """Find the lowest pass from each minimum of a model to any lower one.

    Parameters
    ----------
    minima : sequence of Minimum
        Of one model, as `minimize` returns them.

    Returns
    -------
    list of Barrier or None
        For each minimum; its ``height`` is how deep that minimum is. None for the lowest, where no path was found, and of valleys
        of equal loss out of which the loss falls.

    Raises
    ------
    ValueError
        When the minima have no or not the same model.

    Examples
    --------
    >>> from phasediag import ToyModel, depths, minimize
    >>> lowest, higher, *_ = depths(minimize(ToyModel(n_hidden=1, importance=[1.0, 0.9], density=0.1)))
    >>> lowest is None, higher.phases[0], higher.height > 0
    (True, 'extra in aligned pair', True)
    """
    if not minima:
        return []
    passes, positions = _passes(common_model(*minima), minima)
    if wanted := [k for k in dict.fromkeys(positions) if k is not None]:
        passes.search(wanted)
    losses = [one.scaled_loss for one in passes.minima]
    lower = [[] if k is None else [j for j, loss in enumerate(losses) if loss < losses[k]] for k in positions]
    return [_barrier(passes, *one) for one in zip(positions, lower, strict=True)]


def barrier_at(model, points):
    """The Barrier from one to the other of two minima of a model, flat parameters (2, size).

    None where they are one to rounding, or no path is found.
    """
    passes = Passes(model, [])
    start, end = (passes.position(one) for one in settle_model(model, points, radius=NEAR))
    if start == end or None in (start, end):
        return None
    passes.search([start, end])
    return _barrier(passes, start, [end])


def _passes(model, minima):
    """The `Passes` of a model with some Minimum known, and the positions of these in it; None where a valley leads down."""
    points = np.array([flatten(one.weights, one.bias) for one in minima])
    settled, passes = settle_model(model, points, radius=NEAR), Passes(model, [])
    positions = [passes.position(one) for one in settled]
    for k, (minimum, x, one) in enumerate(zip(minima, points, settled, strict=True)):
        if positions[k] is None or np.max(np.abs(one.x - x)) > NEAR:
            slopes = newton.derivatives(x[None], model.form, model.control[None], 1)[1][0, model.form.free]
            if np.max(np.abs(slopes)) > GRADIENT_TOLERANCE:
                raise ValueError(f"minima must be those of their model, got {minimum!r:.60}")
            positions[k] = positions[k] if one.is_flat else None
    return passes, positions


def _barrier(passes, start, targets):
    """The Barrier from a minimum to the first of some others, positions; None where no path was found."""
    model, steps = passes.model, passes.path(start, targets) if targets else None
    if steps is None:
        return None
    scale, losses = model.loss_scale, [passes.minima[start].scaled_loss]
    for _, saddle, end in steps:
        losses += [saddle.scaled_loss, passes.minima[end].scaled_loss]
    losses, path = scale * np.array(losses), chained(model, passes.minima[start].x, steps)
    top = 2 * int(np.argmax(losses[1::2])) + 1
    weights, bias = parts(path[top], model.n_hidden)
    saddle = steps[top // 2][1]
    return Barrier(
        phases=tuple(phase_name(parts(x, model.n_hidden)[0]) for x in path[::2]),
        heights=losses[top] - losses[[0, -1]],
        loss=float(losses[top]),
        weights=weights.copy(),
        bias=bias.copy(),
        index=saddle.index,
        gradient_norm=saddle.gradient_norm,
        curvature=saddle.curvature,
        path=path,
        path_loss=losses,
        n_passes=len(passes.saddles),
        n_climbs=passes.n_climbs,
        model=model,
    )
