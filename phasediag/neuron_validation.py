"""Where exact descents from trained models of neurons lead, and what becomes of these models beside the exact minima."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ._arguments import Floats, Seed, as_seed, thread_count
from ._display import Result
from ._neurons.search import DEAD_NEURON, DEAD_OUTPUT, GROWS, NO_MINIMUM, End, Landscape
from .neuron_minima import NeuronMinimum, neuron_minima
from .neuron_training import NeuronTraining, train_neurons
from .neurons import NeuronForm, NeuronModel

CAUSES = "agrees", "metastable", "not converged", DEAD_NEURON, DEAD_OUTPUT, GROWS, "unexplained"
LEFT, SAME = 0.01, 1e-6
"""A model that far above the end of an exact descent has not converged; losses that near are one minimum's."""


def ends_of(form: NeuronForm, controls: Floats, points: Floats, n_threads: int) -> Sequence[End]:
    """Return the End of a descent from each of some points (n_points, size), with controls (n_points, n_controls)."""

    def end(control: Floats, point: Floats) -> End:
        """Of one, in a landscape of its own."""
        return Landscape(form, control).end(point)

    with ThreadPoolExecutor(n_threads) as pool:
        return list(pool.map(end, controls, points))


@dataclass(frozen=True, eq=False, repr=False)
class NeuronValidation(Result):
    """Trained models of neurons beside the exact minima.

    Attributes
    ----------
    minima : tuple of NeuronMinimum
        Lowest first.
    run : NeuronTraining
    cause : ndarray of str, shape (n_models,)
        "agrees": an exact descent from the model ends in the lowest minimum; "metastable": in another. "not converged": the loss
        is more than 1 % above that of the end. "dead neuron": in the end a neuron is never on; "dead output": an output never
        is. "growing weights": the descent's weights grow without end. "unexplained": a loss below all that the theory has, or
        an end that is no minimum.
    excess : ndarray, shape (n_models,)
        How far the loss lies above the lowest minimum's, relative to Σ_i importance_i E x_i².
    barred : ndarray, shape (n_models,)
        The same of the end of the descent.

    Examples
    --------
    >>> from phasediag import NeuronModel, validate_neurons
    >>> report = validate_neurons(NeuronModel(1, [1.0, 0.7], 0.9), n_models=2, n_steps=1500, batch_size=256, learning_rate=0.01)
    >>> report.minima[0].phase.name, sorted(set(report.cause.tolist()))
    ('extra not represented + 1 monosemantic + 1 not represented', ['agrees'])
    """

    minima: tuple[NeuronMinimum, ...]
    run: NeuronTraining
    cause: NDArray[np.object_]
    excess: Floats
    barred: Floats

    @property
    def consistent(self) -> bool:
        """Whether nothing is unexplained."""
        return "unexplained" not in self.cause


def validate_neurons(
    model: NeuronModel,
    *,
    n_models: int = 10,
    n_steps: int = 10_000,
    batch_size: int = 1024,
    learning_rate: float = 1e-3,
    schedule: str = "constant",
    weight_decay: float | None = None,
    gradient: str = "minibatch",
    n_starts: int | None = None,
    seed: Seed = 0,
    n_threads: int | None = None,
) -> NeuronValidation:
    """Train models of neurons and say of each where an exact descent from it leads, beside the exact minima.

    Parameters
    ----------
    model : NeuronModel
        Of up to 4 features.
    n_models, n_steps, batch_size, learning_rate, schedule, weight_decay, gradient
        As in `train`.
    n_starts : int, optional
        Of the search for minima.
    seed : None, int or numpy.random.Generator
    n_threads : int, optional
        By default one for each processor that the process may use.

    Returns
    -------
    NeuronValidation

    Raises
    ------
    ValueError
        As in `minimize` and `train`.

    Examples
    --------
    >>> from phasediag import NeuronModel, validate_neurons
    >>> report = validate_neurons(NeuronModel(1, [1.0, 0.7], 0.9), n_models=3, n_steps=1500, batch_size=256, learning_rate=0.01)
    >>> report.consistent
    True
    """
    if not isinstance(model, NeuronModel):
        raise ValueError(f"model must be a NeuronModel, got {model!r:.60}")
    number = as_seed(seed)
    minima = tuple(neuron_minima(model, n_starts, number))
    run = train_neurons(
        model,
        n_models=n_models,
        n_steps=n_steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        schedule=schedule,
        weight_decay=weight_decay,
        gradient=gradient,
        seed=number,
        n_threads=n_threads,
    )
    scale, points = model.loss_scale, run.parameters
    ends = ends_of(model.form, np.broadcast_to(model.control, (len(points), model.control.size)), points, thread_count(n_threads))
    losses, loss = run.loss / scale, np.array([end.scaled_loss for end in ends])
    lowest = next((one.loss / scale for one in minima if not one.is_unbounded), np.inf)
    failure = np.array([end.failure for end in ends], dtype=object)
    cause = np.select(
        [
            (failure != GROWS) & (loss < lowest - SAME),
            losses > loss * (1 + LEFT) + SAME,
            failure == GROWS,
            loss <= lowest + SAME,
            failure == NO_MINIMUM,
            failure != "",
        ],
        ["unexplained", "not converged", GROWS, "agrees", "unexplained", failure],
        "metastable",
    )
    return NeuronValidation(minima, run, cause, losses - lowest, loss - lowest)
