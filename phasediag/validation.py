"""Theory against training: closed forms against samples, trained phases against every theory, a cause for every difference."""

import os
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._arguments import Seed, stream, whole_number
from ._boundaries import expect_boundaries
from ._display import Drawn
from ._progress import progress_bar
from ._validation_report import facts_of, text_of
from .agreement import Agreement, agreement
from .attribution import UNEXPLAINED, Attribution, attribute
from .diagram import THEORIES, PhaseDiagram, phase_diagram
from .planes import ControlPlane
from .sampled_losses import LEAST_P_VALUE, SamplingTest, closed_form_test, lowest_test, overall_p_value
from .theories import relaxes_all
from .trained_diagram import trained_phase_diagram
from .trained_models import TRAINED

SAMPLES = 1  # what a seed is used for, beside the training itself
MOST_SAMPLES = 10**7  # they are in memory at once


@dataclass(frozen=True, eq=False, repr=False)
class Validation(Drawn):
    """What `validate` found.

    Attributes
    ----------
    trained : PhaseDiagram
        The diagram of the trained models.
    tests : tuple of SamplingTest
        Exact losses against samples: closed forms of the frozen configurations, the exact minima, and the best trained models.
    agreements : dict of str to Agreement
        For each theory, "frozen", "relaxed" and "global" (this alone on other planes than importance × density), its diagram and
        how the trained phases agree with it.
    attribution : Attribution
        The cause of every model's difference from the global theory.

    Examples
    --------
    >>> from phasediag import validate
    >>> report = validate(
    ...     importance=[0.5], density=[0.1], n_seeds=2, n_steps=2000, learning_rate=0.01, n_samples=1000, curves=False
    ... )
    >>> report.consistent, list(report.agreements)
    (True, ['frozen', 'relaxed', 'global'])
    """

    trained: PhaseDiagram
    tests: tuple[SamplingTest, ...]
    agreements: dict[str, Agreement]
    attribution: Attribution
    _figure = "validation_figure"

    @cached_property
    def p_value(self) -> float:
        """Probability that right losses would look as bad against the samples, over all tests."""
        return overall_p_value(self.tests)

    @property
    def consistent(self) -> bool:
        """Whether the samples do not contradict the exact losses and no best model of a cell is unexplained."""
        return self.p_value >= LEAST_P_VALUE and UNEXPLAINED not in self.attribution.of_cells("cause")

    def text(self) -> str:
        """Return the report as one page of text."""
        return text_of(self)

    def facts(self) -> dict[str, Any]:
        """Return the report as plain lists and numbers, for JSON; every disagreeing cell is listed."""
        return facts_of(self)


def validate(
    n_features: int = 2,
    n_hidden: int = 1,
    *,
    importance: ArrayLike | None = None,
    density: ArrayLike | None = None,
    activation: str = "relu",
    plane: ControlPlane | None = None,
    n_seeds: int = 10,
    n_steps: int = 10_000,
    batch_size: int = 1024,
    learning_rate: float = 1e-3,
    optimizer: str = "adamw",
    schedule: str = "constant",
    weight_decay: float | None = None,
    independent: bool = False,
    device: str = "cpu",
    n_samples: int = 20_000,
    seed: Seed = 0,
    n_threads: int | None = None,
    store: str | os.PathLike[str] | None = None,
    curves: bool = True,
    progress: bool = False,
) -> Validation:
    """Train models over a grid and hold them, and samples of inputs, against the frozen, the relaxed and the global theory.

    Parameters
    ----------
    n_features : int
        From 2 to 8.
    n_hidden : int
        From 1 to n_features − 1.
    importance, density : array_like, optional
        Axes of the grid as in `phase_diagram`; default 32 logarithmic steps over the paper's ranges.
    activation : {"relu", "linear"}
    plane : ControlPlane, optional
        As in `trained_phase_diagram`; then with the global theory alone.
    n_seeds, n_steps, batch_size, learning_rate, optimizer, schedule, weight_decay, independent, device, seed, n_threads, store
        Of the training, as in `trained_phase_diagram`.
    n_samples : int
        Samples in the mean of each comparison of an exact loss, as many for each set of active features (at least 50 for each);
        the standard error is made of 4000 others. From 100 to 10 million.
    curves : bool
        Follow the boundaries of the relaxed and global theories, for their distance from the trained ones and for drawings:
        the longest part on small grids. For n_hidden = n_features − 1 the two are one and followed once. Without, drawings show
        cells.
    progress : bool
        Show progress bars on standard error.

    Returns
    -------
    Validation

    Raises
    ------
    ValueError
        When an argument is outside its domain.

    Notes
    -----
    Losses are compared at up to 24 × 24 cells of the grid, each by samples of its own. Trained phases are those of the best
    model of each cell by exact loss; ``attribution`` has all of them.

    References
    ----------
    Elhage et al. 2022, section "Superposition as a Phase Change", which sets the frozen theory beside trained models.

    Examples
    --------
    >>> from phasediag import validate
    >>> few = dict(n_seeds=2, n_steps=300, batch_size=64, learning_rate=0.01, n_samples=500, curves=False)
    >>> report = validate(importance=[0.5, 2.0], density=[0.1, 0.9], **few)
    >>> report.consistent, report.agreements["global"].share
    (True, 1.0)
    """
    n_samples = whole_number("n_samples", n_samples, 100, MOST_SAMPLES)
    if curves:
        expect_boundaries(n_threads)
    trained = trained_phase_diagram(
        whole_number("n_features", n_features, 2, 8),
        n_hidden,
        importance=np.geomspace(0.1, 10, 32) if importance is None and plane is None else importance,
        density=np.geomspace(0.01, 1, 32) if density is None and plane is None else density,
        activation=activation,
        plane=plane,
        n_seeds=n_seeds,
        n_steps=n_steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        optimizer=optimizer,
        schedule=schedule,
        weight_decay=weight_decay,
        independent=independent,
        device=device,
        seed=seed,
        n_threads=n_threads,
        store=store,
        progress=progress,
    )
    return validate_trained(trained, n_samples=n_samples, n_threads=n_threads, curves=curves, progress=progress)


def validate_trained(
    trained: PhaseDiagram,
    *,
    n_samples: int = 20_000,
    n_threads: int | None = None,
    curves: bool = True,
    progress: bool = False,
) -> Validation:
    """Hold a diagram of trained models against the theories, as `validate` does after training it.

    Parameters
    ----------
    trained : PhaseDiagram
        From `trained_phase_diagram`, with at most 8 features.
    n_samples, n_threads, curves, progress
        As in `validate`.

    Returns
    -------
    Validation

    Raises
    ------
    ValueError
        When an argument is outside its domain.

    Examples
    --------
    >>> from phasediag import trained_phase_diagram, validate_trained
    >>> trained = trained_phase_diagram(importance=[0.5, 2.0], density=[0.1], n_seeds=2, n_steps=2000, learning_rate=0.01)
    >>> report = validate_trained(trained, n_samples=1000, curves=False)
    >>> report.consistent
    True
    """
    if not isinstance(trained, PhaseDiagram) or trained.trained is None:
        raise ValueError(f'trained must be a PhaseDiagram of theory "{TRAINED}", got {getattr(trained, "theory", trained)!r:.60}')
    n_samples = whole_number("n_samples", n_samples, 100, MOST_SAMPLES)
    theories = THEORIES if trained.plane.is_importance_density else ("global",)
    diagrams = {
        theory: phase_diagram(plane=trained.plane, theory=theory, n_threads=n_threads, progress=progress) for theory in theories
    }
    exact = diagrams["global"]
    agreements = {}
    with progress_bar(None, progress, "", "sampling losses"):
        generator = stream(trained.trained.options["seed"], SAMPLES)
        closed = [closed_form_test(exact, n_samples, generator, n_threads)] if "frozen" in diagrams else []
        tests = (
            *closed,
            lowest_test(exact, "minima over all weights and biases", n_samples, generator, n_threads),
            lowest_test(trained, "trained models, on held-out samples", n_samples, generator, n_threads),
        )
    with progress_bar(None, progress, "", "finding causes"):
        attribution = attribute(trained, exact, n_threads=n_threads)
    with progress_bar(None, progress, "", "following boundaries"):
        for theory in ("global", "relaxed") if curves and exact.follows_boundaries else ():
            if theory == "relaxed" and theory in diagrams and relaxes_all(trained.plane.form):
                diagrams[theory]._take_boundaries(exact)
            elif theory in diagrams:
                diagrams[theory].boundaries(n_threads=n_threads)
    for theory, diagram in diagrams.items():
        with progress_bar(None, progress, "", f"comparing with the {theory} theory"):
            agreements[theory] = agreement(trained, diagram, curves=curves or theory == "frozen")
    return Validation(trained, tests, agreements, attribution)
