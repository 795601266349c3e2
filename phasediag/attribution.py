"""Why trained models differ from the exact theory: where an exact descent from each of them leads."""

from dataclasses import dataclass

import numpy as np

from .minima import SAME_LOSS, settle
from .order_parameters import classify_many
from .theories import TIE_MARK
from .trained_models import MOST_LEFT

AGREES, METASTABLE, NOT_CONVERGED, DEAD, STATISTICAL, UNEXPLAINED = CAUSES = (
    "agrees",
    "metastable",
    "not converged",
    "dead output",
    "statistical",
    "unexplained",
)


@dataclass(frozen=True, eq=False)
class Attribution:
    """Every trained model of a diagram beside the exact minima; grids have axes (density, importance, seed).

    Attributes
    ----------
    cause : ndarray of str
        "agrees": the model has the name of the stable phase, whatever its loss. Of the others, "not converged": the loss is
        more than 1 % above that of the end of an exact descent from its weights. "dead output": an output is 0 for every
        input, so that its bias and weights have no gradient. "metastable": the descent ends in a minimum above the global
        one. "statistical": it ends in the global minimum, and only what little is left of the descent, or the tolerance of
        the names of trained phases, makes the name another. "unexplained": none of these, or a loss below the theory's.
    phase : ndarray of str
        Phase of the trained weights, with the tolerance of trained models.
    basin : ndarray of str
        Phase of the minimum to which an exact descent from the trained weights leads; "" where it leads to none.
    left : ndarray
        How far the loss lies above that of the end of the descent, relative to it.
    excess : ndarray
        How far the loss lies above the global minimum, relative to it.
    barred : ndarray
        How far the end of the descent lies above the global minimum, relative to it: 0 in the global minimum's own basin.
    best : ndarray of int, shape (n_density, n_importance)
        The seed of the lowest loss.
    """

    cause: np.ndarray
    phase: np.ndarray
    basin: np.ndarray
    left: np.ndarray
    excess: np.ndarray
    barred: np.ndarray
    best: np.ndarray

    def of_cells(self, name):
        """Return the grid ``name`` for the best seed of each cell, shape (n_density, n_importance)."""
        return np.take_along_axis(getattr(self, name), self.best[..., None], axis=2)[..., 0]


def attribute(trained, exact):
    """Attribute every model of a trained diagram to a cause.

    Parameters
    ----------
    trained, exact : PhaseDiagram
        On the same grid; "trained" and "global".

    Returns
    -------
    Attribution
    """
    models, shape = trained.trained, trained.trained.loss.shape
    n, m = trained.n_features, trained.n_hidden
    points = np.concatenate([models.weights.reshape(*shape, m * n), models.bias], axis=-1).reshape(-1, (m + 1) * n)
    importance = np.ones((*shape, n))
    importance[..., -1] = trained.importance[:, None]
    importance = importance.reshape(-1, n)
    density = np.broadcast_to(trained.density[:, None, None, None], (*shape, n)).reshape(-1, n)
    ends = settle(points, m, importance, density, relu=trained.activation == "relu", radius=0.1)
    bottom = np.sum(importance * [end.feature_loss for end in ends], axis=1).reshape(shape)
    is_minimum, dead = (np.reshape([getattr(end, name) for end in ends], shape) for name in ("is_minimum", "is_dead"))
    names = [phase.name for phase in classify_many(np.array([end.x[: m * n].reshape(m, n) for end in ends]))]
    left, excess, barred = models.loss / bottom - 1, models.loss / exact.loss[..., None] - 1, bottom / exact.loss[..., None] - 1
    cause = np.select(
        [
            barred < -SAME_LOSS,
            same_phase(models.phase, exact.phase[..., None]),
            left > MOST_LEFT,
            dead,
            ~is_minimum,
            barred > SAME_LOSS,
        ],
        [UNEXPLAINED, AGREES, NOT_CONVERGED, DEAD, UNEXPLAINED, METASTABLE],
        STATISTICAL,
    )
    return Attribution(
        cause=cause.astype(object),
        phase=models.phase,
        basin=np.where(is_minimum, np.array(names, dtype=object).reshape(shape), ""),
        left=left,
        excess=excess,
        barred=barred,
        best=np.argmin(models.loss, axis=-1),
    )


@np.vectorize
def same_phase(phase, theory):
    """Whether a phase is the theory's, or one of several that coexist there."""
    return phase in theory.split(TIE_MARK)
