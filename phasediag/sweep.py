"""Trained models along a line of densities: what is stored as features become sparse."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._arguments import Floats, Seed, as_seed, density_array
from ._display import Drawn
from ._progress import each
from .loss import expected_loss
from .model import ToyModel
from .order_parameters import dimensions_per_feature, feature_dimensionality, feature_norm, interference
from .trained_models import TRAINED_TOLERANCE
from .training import train

PAPER_DENSITIES = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
"""Of the figure in "Demonstrating Superposition"."""

LOSS_TOLERANCE = 1e-6
"""Relative error allowed in the losses that decide which model is best: much less than what models differ by."""


@dataclass(frozen=True, eq=False, repr=False)
class DensitySweep(Drawn):
    """The best trained model at each density; ``sweep_density(n_hidden, importance, density, **options)`` repeats it.

    Attributes
    ----------
    n_hidden : int
    importance : ndarray, shape (n_features,)
    density : ndarray, shape (n_density,)
    options : mapping
        The keyword arguments of `sweep_density`, the seed drawn for None included.
    weights : ndarray, shape (n_density, n_hidden, n_features)
        Of the model with the lowest loss at each density.
    bias : ndarray, shape (n_density, n_features)
    losses : ndarray, shape (n_density, n_models)
        Exact expected loss of every model, to a relative 1e-6.
    loss : ndarray, shape (n_density,)
        The lowest of them.
    feature_norm, interference, feature_dimensionality : ndarray, shape (n_density, n_features)
        Of the best models.
    represented : ndarray of bool, shape (n_density, n_features)
        Whether ‖W_i‖ > 0.1: trained weights are never exactly 0.
    dimensions_per_feature : ndarray, shape (n_density,)
        n_hidden / ‖W‖_F² of the best models.

    Examples
    --------
    >>> from phasediag import sweep_density
    >>> sweep = sweep_density(1, [1.0, 1.0], [1.0, 0.05], n_models=2, n_steps=1000, seed=0)
    >>> sweep.weights.shape, sweep.feature_norm.shape
    ((2, 1, 2), (2, 2))
    """

    n_hidden: int
    importance: Floats
    density: Floats
    options: Mapping[str, Any]
    weights: Floats
    bias: Floats
    losses: Floats
    _figure = "geometry_figure"

    @property
    def loss(self) -> Floats:
        """The lowest exact loss at each density, shape (n_density,)."""
        return self.losses.min(axis=1)

    @property
    def feature_norm(self) -> Floats:
        """Norms of the best models' columns, shape (n_density, n_features)."""
        return feature_norm(self.weights)

    @property
    def represented(self) -> NDArray[np.bool_]:
        """Which features the best models represent, shape (n_density, n_features)."""
        return self.feature_norm > TRAINED_TOLERANCE

    @property
    def interference(self) -> Floats:
        """Interferences of the best models' features, shape (n_density, n_features)."""
        return interference(self.weights)

    @property
    def feature_dimensionality(self) -> Floats:
        """Dimensionalities of the best models' features, shape (n_density, n_features)."""
        return feature_dimensionality(self.weights)

    @property
    def dimensions_per_feature(self) -> float | Floats:
        """n_hidden / ‖W‖_F² of the best models, shape (n_density,)."""
        return dimensions_per_feature(self.weights)


def sweep_density(
    n_hidden: int,
    importance: ArrayLike,
    density: ArrayLike = PAPER_DENSITIES,
    *,
    activation: str = "relu",
    n_models: int = 8,
    n_steps: int = 20_000,
    batch_size: int = 1024,
    learning_rate: float = 3e-3,
    seed: Seed = None,
    n_threads: int | None = None,
    progress: bool = False,
) -> DensitySweep:
    """Train models at each of some densities, the same for all features, and keep the best one of each.

    Parameters
    ----------
    n_hidden : int
    importance : array_like, shape (n_features,)
    density : array_like, shape (n_density,)
        In (0, 1], in any order; by default those of the paper.
    activation : {"relu", "linear"}
    n_models, n_steps, batch_size, n_threads, progress
        At each density, as in `train`.
    learning_rate : float
        Of the first step: it falls to 0 over the run (cosine), so that the noise of minibatches does not hide the geometry.
    seed : None, int or numpy.random.Generator
        The same at each density: the models start from the same points.

    Returns
    -------
    DensitySweep

    Raises
    ------
    ValueError
        When an argument lies outside its domain, memory does not suffice, or models diverge.

    Notes
    -----
    Minibatches and Adam without weight decay. Biases start at the mean of a feature, density/2: from 0, as in the paper's
    notebook, many outputs of a large dense model are 0 for every input from the first step on and never come back (61 of the
    400 at density 1, n_hidden = 30). The best model is the one with the lowest exact expected loss.

    References
    ----------
    Elhage et al. 2022, "Toy Models of Superposition", sections "Demonstrating Superposition" (n = 20, m = 5, importance
    0.7^i; n = 80, m = 20, importance 0.9^i) and "The Geometry of Superposition" (n = 400, m = 30, equal importance).

    Examples
    --------
    >>> from phasediag import sweep_density
    >>> sweep = sweep_density(1, [1.0, 1.0], [1.0, 0.05], n_models=2, n_steps=1000, seed=0)
    >>> sweep.represented
    array([[ True,  True],
           [ True,  True]])
    """
    density = density_array("density", density)
    if density.ndim != 1 or density.size == 0:
        raise ValueError(f"density must have shape (n_density,) with n_density ≥ 1, got {density.shape}")
    models = [ToyModel(n_hidden, importance, p, activation) for p in density]
    options: dict[str, Any] = {
        "n_models": n_models,
        "n_steps": n_steps,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "seed": as_seed(seed),
    }
    weights, bias, losses = [], [], []
    for model in each(models, progress, "model", "density"):
        start = model.feature_density / 2
        run = train(model, optimizer="adam", schedule="cosine", initial_bias=start, n_threads=n_threads, **options)
        losses.append(expected_loss(model, run.weights, run.bias, tolerance=LOSS_TOLERANCE))
        best = int(np.argmin(losses[-1]))
        weights.append(run.weights[best])
        bias.append(run.bias[best])
    return DensitySweep(
        n_hidden=models[0].n_hidden,
        importance=models[0].importance,
        density=density,
        options={"activation": activation, **options},
        weights=np.array(weights),
        bias=np.array(bias),
        losses=np.array(losses),
    )
