"""The minimum of the linear model in closed form: the top features, each in a dimension of its own."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ._arguments import Floats, one_of
from ._display import Result
from .model import ToyModel, check_model


@dataclass(frozen=True, eq=False, repr=False)
class LinearMinimum(Result):
    """The global minimum of the expected loss of a linear model.

    Attributes
    ----------
    model : ToyModel
    features : ndarray of int, shape (n_hidden,)
        Which features are represented, the one whose loss counts most first.
    weights : ndarray, shape (n_hidden, n_features)
        A unit vector for each of them.
    bias : ndarray, shape (n_features,)
        0 on them, the mean p_i/2 on the others.
    loss : float

    Examples
    --------
    >>> from phasediag import ToyModel, linear_minimum
    >>> best = linear_minimum(ToyModel(n_hidden=1, importance=[1.0, 0.5], density=0.1, activation="linear"))
    >>> best.weights, best.bias
    (array([[1., 0.]]), array([0.  , 0.05]))
    """

    model: ToyModel
    features: NDArray[np.intp]
    weights: Floats
    bias: Floats
    loss: float


def linear_minimum(model: ToyModel) -> LinearMinimum:
    """Return the global minimum of a linear model.

    Parameters
    ----------
    model : ToyModel
        With activation "linear".

    Returns
    -------
    LinearMinimum

    Raises
    ------
    ValueError
        When the activation is not "linear".

    Notes
    -----
    The loss is the sum of the n_features − n_hidden smallest I_i σ_i², σ_i² = p_i/3 − p_i²/4 the variance of feature i: with
    one density for all, σ² × the sum of the smallest importances. The model keeps the most important features, at every
    density, and never gains from superposition. Features with equal I_i σ_i² can be exchanged; there, other weights can have
    the same loss.

    Proof. With the best biases L = Σ_ij I_i σ_j² (δ_ij − G_ij)², G = WᵀW symmetric. The coefficients of (i, j) and (j, i)
    have the mean ½(I_i σ_j² + I_j σ_i²) ≥ s_i s_j with s_i² = I_i σ_i², so L ≥ ‖D − √D G √D‖_F², D = diag(s), with equality
    for diagonal G. As √D G √D has rank ≤ n_hidden, Eckart and Young's theorem bounds this from below by the sum of the
    smallest s_i², which the weights above attain.

    References
    ----------
    Elhage et al. 2022, "Toy Models of Superposition", section "Mathematical Understanding". Saxe et al. 2013, arXiv
    1312.6120. Eckart and Young 1936, Psychometrika 1.
    Equation :eq:`linear` of the mathematics page.

    Examples
    --------
    >>> from phasediag import ToyModel, linear_minimum
    >>> best = linear_minimum(ToyModel(n_hidden=1, importance=[1.0, 0.5], density=0.1, activation="linear"))
    >>> best.features, round(best.loss, 9)  # the most important feature; the other's variance times 0.5
    (array([0]), 0.015416667)
    """
    check_model(model)
    model.check_default_law("linear_minimum")
    one_of("model.activation", model.activation, ("linear",))
    p = model.feature_density
    lost = model.importance * model.feature_variance
    features = np.argsort(-lost, kind="stable")[: model.n_hidden]
    weights = np.zeros((model.n_hidden, model.n_features))
    weights[np.arange(model.n_hidden), features] = 1.0
    others = np.ones(model.n_features, dtype=bool)
    others[features] = False
    return LinearMinimum(model, features, weights, bias=np.where(others, p / 2, 0.0), loss=float(lost[others].sum()))
