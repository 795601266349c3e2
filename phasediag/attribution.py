"""Why trained models differ from the exact theory: where an exact descent from each of them leads."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._arguments import Floats, thread_count
from ._display import Result
from ._minimizing.flat import flatten, parts
from ._minimizing.stationary_points import SAME_LOSS, above, losses_of, settle
from ._neurons.search import DEAD_NEURON, GROWS, NO_MINIMUM
from .neuron_phases import TRAINED_SHARE, phase_at
from .neuron_validation import ends_of
from .neurons import NeuronForm
from .phases import distinct_phases
from .theories import TIE_MARK
from .trained_models import MOST_LEFT, named_models

CAUSES = "agrees", "metastable", "not converged", "dead output", "tolerance", "statistical", "unexplained"
AGREES, METASTABLE, NOT_CONVERGED, DEAD, TOLERANCE, STATISTICAL, UNEXPLAINED = CAUSES
NEURON_CAUSES = *CAUSES[:-1], DEAD_NEURON, GROWS, UNEXPLAINED


@dataclass(frozen=True, eq=False, repr=False)
class Attribution(Result):
    """Every trained model of a diagram beside the exact minima; grids have axes (y, x, seed) of the plane.

    Attributes
    ----------
    cause : ndarray of str
        "agrees": the model has the name of the stable phase, whatever its loss. Of the others, "not converged": the loss is
        more than 1 % above that of the end of an exact descent from its weights. "dead output": an output is 0 for every
        input, so that its bias and weights have no gradient. "metastable": the descent ends in a minimum above the global
        one. "tolerance": it ends in the global minimum, which has the model's name too where small weights are not counted, as
        in the names of trained phases. "statistical": it ends there, and only what little is left of the descent makes the
        name another. "unexplained": none of these, or a loss below the theory's. Of
        neurons also "dead neuron": one is never on at the end of the descent, and "growing weights": they grow without end,
        perhaps to a loss below that of all minima.
    phase : ndarray of str
        Phase of the trained weights, with the tolerance of trained models.
    basin : ndarray of str
        Phase of the minimum to which an exact descent from the trained weights leads; "" where it leads to none,
        and, like the two NaN below, where a model that agrees and is not the best of its cell was not followed.
    left : ndarray
        How far the loss lies above that of the end of the descent, relative to it.
    excess : ndarray
        How far the loss lies above the global minimum, relative to it.
    barred : ndarray
        How far the end of the descent lies above the global minimum, relative to it: 0 in the global minimum's own basin.
    best : ndarray of int, shape (n_y, n_x)
        The seed of the lowest loss.

    Examples
    --------
    >>> from phasediag import validate
    >>> report = validate(
    ...     importance=[0.5], density=[0.1], n_seeds=2, n_steps=2000, learning_rate=0.01, n_samples=1000, curves=False
    ... )
    >>> report.attribution.cause
    array([[['agrees', 'agrees']]], dtype=object)
    """

    cause: NDArray[np.object_]
    phase: NDArray[np.object_]
    basin: NDArray[np.object_]
    left: Floats
    excess: Floats
    barred: Floats
    best: NDArray[np.intp]
    of_neurons: bool = False

    @property
    def causes(self) -> tuple[str, ...]:
        """The causes that there can be."""
        return NEURON_CAUSES if self.of_neurons else CAUSES

    def of_cells(self, name: str) -> NDArray[Any]:
        """Return the grid ``name`` for the best seed of each cell, shape (n_y, n_x)."""
        return np.take_along_axis(getattr(self, name), self.best[..., None], axis=2)[..., 0]


def attribute(trained, exact, *, n_threads=None):
    """Attribute every model of a trained diagram to a cause, beside the global diagram on its grid; return an Attribution.

    The number of threads, by default one for each processor that the process may use, does not change it.
    """
    models, shape, form = trained.trained, trained.trained.loss.shape, trained.plane.form
    of_neurons = isinstance(form, NeuronForm)
    lowest = exact.loss[..., None]
    best = np.argmin(models.loss, axis=-1)
    agrees = same_phase(models.phase, exact.phase[..., None])
    examined = ~agrees
    np.put_along_axis(examined, best[..., None], True, axis=-1)
    rows, columns, _ = where = np.nonzero(examined)
    points = flatten(models.weights, models.bias)[where]
    ends = (_ends_of_neurons if of_neurons else _ends)(trained.plane, trained.plane.grid[rows, columns], points, n_threads)
    bottom, basin, cause = np.full(shape, np.nan), np.full(shape, "", dtype=object), np.full(shape, AGREES, dtype=object)
    bottom[where], basin[where], failure, points = ends
    at = trained.plane.grid[:, :, None]
    pairs = (models.loss, bottom), (bottom, lowest), (models.loss, lowest)
    left, barred, excess = (above(loss, other, form, at) for loss, other in pairs)
    failure = np.where((failure == DEAD_NEURON) & (barred[where] <= SAME_LOSS), "", failure)  # it is missed by nothing
    found = np.select(
        [agrees[where], left[where] > MOST_LEFT, failure != "", barred[where] > SAME_LOSS],
        [AGREES, NOT_CONVERGED, failure, METASTABLE],
        STATISTICAL,
    )
    own = np.flatnonzero(found == STATISTICAL)
    if own.size:
        loosely = _named_as_models(trained.plane, trained.plane.grid[rows[own], columns[own]], points[own])
        found[own[loosely == models.phase[where][own]]] = TOLERANCE
    cause[where] = found
    cause[((excess < -SAME_LOSS) | (barred < -SAME_LOSS)) & (cause != GROWS)] = UNEXPLAINED
    return Attribution(cause, models.phase, basin, left, excess, barred, best, of_neurons)


def _ends(plane, controls, points, n_threads):
    """Where descents from points (n, size) end: losses (n,), phases, "" where there is no minimum, and then why; the ends."""
    form = plane.form
    ends = settle(points, form, controls, radius=0.1, n_threads=thread_count(n_threads))
    is_minimum, dead = (np.array([getattr(end, name) for end in ends]) for name in ("is_minimum", "is_dead"))
    points = np.array([end.x for end in ends])
    phases, which = distinct_phases(parts(points, form.n_hidden)[0], sets=plane.together)
    names = np.array([phase.name for phase in phases], dtype=object)[which]
    failure = np.select([dead, ~is_minimum], [DEAD, UNEXPLAINED], "")
    return losses_of(ends, form, controls), np.where(is_minimum, names, ""), failure, points


def _ends_of_neurons(plane, controls, points, n_threads):
    """The same of neurons."""
    form = plane.form
    ends = ends_of(form, controls, points, thread_count(n_threads))
    failure = np.array([UNEXPLAINED if end.failure == NO_MINIMUM else end.failure for end in ends], dtype=object)
    names = [phase_at(form, control, end.x).name for control, end in zip(controls, ends, strict=True)]
    losses = form.loss_scale(controls) * [end.scaled_loss for end in ends]
    return losses, np.where(failure == "", names, ""), failure, np.array([end.x for end in ends])


def _named_as_models(plane, controls, points):
    """The names (n,) of points (n, size), with the tolerance of trained models."""
    if isinstance(plane.form, NeuronForm):
        found = [phase_at(plane.form, *one, TRAINED_SHARE) for one in zip(controls, points, strict=True)]
        return np.array([phase.name for phase in found], dtype=object)
    _, phases, which = named_models(plane, controls, parts(points, plane.form.n_hidden)[0])
    return np.array([phase.name for phase in phases], dtype=object)[which]


@np.vectorize
@lru_cache(maxsize=4096)
def same_phase(phase, theory):
    """Whether a phase is the theory's, or one of several that coexist there."""
    return phase in theory.split(TIE_MARK)
