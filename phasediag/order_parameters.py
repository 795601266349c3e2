"""Order parameters of trained or solved weights."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._arguments import Floats, real_array, real_number

ROUNDING = 1e-13
"""Weights of a minimum below this are exact zeros that rounding has touched."""
PARALLEL = 1e-7
"""A column departs from the span of others by more than this part of its length, or it lies in it."""
REPRESENTED = 1e-6
"""Part of the largest norm above which a feature is represented, or of the largest singular value above which a direction is."""


def feature_norm(weights: ArrayLike) -> Floats:
    """Return the norm ‖W_i‖ of every feature's direction.

    Parameters
    ----------
    weights : array_like, shape (…, n_hidden, n_features)

    Returns
    -------
    ndarray, shape (…, n_features)

    References
    ----------
    Equation :eq:`parameters` of the mathematics page.

    Examples
    --------
    >>> from phasediag import feature_norm
    >>> feature_norm([[3.0, 0.0], [4.0, 1.0]])
    array([5., 1.])
    """
    scaled, power = _scaled(weight_matrices(weights))
    return np.ldexp(np.linalg.norm(scaled, axis=-2), power[..., 0, :])


def interference(weights: ArrayLike) -> Floats:
    """Return Σ_{j≠i} (Ŵ_i·W_j)² for every feature i; 0 where W_i = 0.

    Parameters
    ----------
    weights : array_like, shape (…, n_hidden, n_features)

    Returns
    -------
    ndarray, shape (…, n_features)

    References
    ----------
    Elhage et al. 2022, section "Superposition as a Phase Change" (the horizontal axis of the colour map).
    Equation :eq:`parameters` of the mathematics page.

    Examples
    --------
    >>> from phasediag import interference
    >>> interference([[1.0, -1.0, 0.0], [0.0, 0.0, 1.0]])  # an antipodal pair and a feature by itself
    array([1., 1., 0.])
    """
    weights = weight_matrices(weights)
    overlap = np.swapaxes(directions_of(weights), -1, -2) @ weights
    diagonal = np.eye(weights.shape[-1], dtype=bool)
    return np.sum(np.where(diagonal, 0.0, overlap) ** 2, axis=-1)


def feature_dimensionality(weights: ArrayLike) -> Floats:
    """Return D_i = ‖W_i‖² / Σ_j (Ŵ_i·W_j)², the fraction of a dimension that feature i has; 0 where W_i = 0.

    Parameters
    ----------
    weights : array_like, shape (…, n_hidden, n_features)

    Returns
    -------
    ndarray, shape (…, n_features), in [0, 1]

    References
    ----------
    Elhage et al. 2022, section "The Geometry of Superposition".
    Equation :eq:`parameters` of the mathematics page.

    Examples
    --------
    >>> from phasediag import feature_dimensionality
    >>> feature_dimensionality([[1.0, -1.0, 0.0], [0.0, 0.0, 1.0]])  # a pair shares one dimension
    array([0.5, 0.5, 1. ])
    """
    return order_parameters(weights)[2]


def dimensions_per_feature(weights: ArrayLike) -> float | Floats:
    """Return n_hidden / ‖W‖_F², the hidden dimensions per represented feature; infinite where W = 0.

    Parameters
    ----------
    weights : array_like, shape (…, n_hidden, n_features)

    References
    ----------
    Elhage et al. 2022, section "The Geometry of Superposition".
    Equation :eq:`parameters` of the mathematics page.

    Examples
    --------
    >>> from phasediag import dimensions_per_feature
    >>> float(dimensions_per_feature([[1.0, -1.0]]))  # two features in one dimension
    0.5
    """
    weights = weight_matrices(weights)
    with np.errstate(divide="ignore"):
        return weights.shape[-2] / np.sum(weights**2, axis=(-2, -1))


def superposition(weights: ArrayLike, *, tolerance: float = REPRESENTED) -> bool | NDArray[np.bool_]:
    """Return whether more features are represented than there are dimensions for them.

    Parameters
    ----------
    weights : array_like, shape (…, n_hidden, n_features)
    tolerance : float
        In (0, 1). Feature i is represented when ‖W_i‖ > tolerance × max_j ‖W_j‖; a direction counts when its singular
        value, for the represented columns scaled to unit norm, exceeds tolerance × the largest.

    Returns
    -------
    bool, or ndarray of bool over the leading axes.

    Raises
    ------
    ValueError
        When weights are not finite or have fewer than two axes, or the tolerance lies outside its domain.

    Notes
    -----
    True exactly when WᵀW restricted to the represented features is singular.

    References
    ----------
    Elhage et al. 2022, "Toy Models of Superposition", section "Demonstrating Superposition".

    Examples
    --------
    >>> from phasediag import superposition
    >>> superposition([[1.0, -1.0]]), superposition([[1.0, 0.0]])
    (True, False)
    """
    weights = weight_matrices(weights)
    tolerance = real_number("tolerance", tolerance, "in (0, 1)", lambda x: (x > 0) & (x < 1))
    # scaled so that no square overflows or vanishes
    scale = np.abs(weights).max(axis=(-1, -2), keepdims=True, initial=0.0)
    scaled = weights / np.where(scale > 0, scale, 1.0)
    norm = np.linalg.norm(scaled, axis=-2)
    represented = norm > tolerance * norm.max(axis=-1, keepdims=True, initial=0.0)
    unit = np.where(represented[..., None, :], scaled / np.where(represented, norm, 1.0)[..., None, :], 0.0)
    values = np.linalg.svd(unit, compute_uv=False)
    rank = (values > tolerance * values.max(axis=-1, keepdims=True, initial=0.0)).sum(axis=-1)
    result = represented.sum(axis=-1) > rank
    return result if result.ndim else bool(result)


def order_parameters(weights: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Return norm, interference and dimensionality, each (…, n_features), of weights (…, n_hidden, n_features)."""
    weights = weight_matrices(weights)
    squared_norm, from_others = np.sum(weights**2, axis=-2), interference(weights)
    shared = squared_norm + from_others
    dimensionality = np.divide(squared_norm, shared, out=np.zeros_like(shared), where=shared > 0)
    return feature_norm(weights), from_others, dimensionality


def upright(weights: ArrayLike) -> Floats:
    """Rotate (or reflect) the hidden space: the first represented feature along the first axis, the next in the plane of two, …

    Features, and components left of rotations, below rounding become exact zeros: of a stationary point they are.
    """
    weights = np.asarray(weights, dtype=float)
    represented = np.linalg.norm(weights, axis=0) > ROUNDING
    leading = _independent(weights[:, represented])  # a column along earlier ones has no direction of its own left but rounding
    basis, _ = np.linalg.qr(leading, mode="complete")
    upper = basis.T @ weights
    upper[np.abs(upper) <= ROUNDING] = 0.0
    leading = upper[np.arange(len(upper)), np.argmax(upper != 0, axis=1)]
    return real_array("weights", upper * np.where(leading < 0, -1.0, 1.0)[:, None] + 0.0)


def _independent(columns):
    """The columns, shape (n_hidden, n_kept), that do not lie in the span of those before them."""
    kept = columns[:, :0]
    for column in columns.T:
        across = column - kept @ np.linalg.lstsq(kept, column, rcond=None)[0]
        if np.linalg.norm(across) > PARALLEL * np.linalg.norm(column):
            kept = np.column_stack([kept, column])
    return kept


def weight_matrices(weights: ArrayLike) -> Floats:
    """Weights as a float64 array of shape (…, n_hidden, n_features), or a ValueError that names them."""
    weights = real_array("weights", weights)
    if weights.ndim < 2:
        raise ValueError(f"weights must have shape (…, n_hidden, n_features), got {weights.shape}")
    return weights


def directions_of(weights: Floats) -> Floats:
    """Unit columns of weights (…, n_hidden, n_features); columns of 0 stay 0."""
    scaled, _ = _scaled(weights)
    norm = np.linalg.norm(scaled, axis=-2, keepdims=True)
    return np.divide(scaled, norm, out=np.zeros_like(scaled), where=norm > 0)


def _scaled(weights):
    """Columns divided by powers of two, so that no square overflows or vanishes and nothing is rounded, and the exponents."""
    power = np.frexp(np.abs(weights).max(axis=-2, keepdims=True, initial=0.0))[1]
    return np.ldexp(weights, -power), power
