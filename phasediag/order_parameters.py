"""Order parameters of trained or solved weights."""

import numpy as np

from ._arguments import real_array


def feature_norm(weights):
    """Return the norm ‖W_i‖ of every feature's direction.

    Parameters
    ----------
    weights : array_like, shape (…, n_hidden, n_features)

    Returns
    -------
    ndarray, shape (…, n_features)
    """
    scaled, power = _scaled(weight_matrices(weights))
    return np.ldexp(np.linalg.norm(scaled, axis=-2), power[..., 0, :])


def interference(weights):
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
    """
    weights = weight_matrices(weights)
    directions = directions_of(weights)
    overlap = np.swapaxes(directions, -1, -2) @ weights
    diagonal = np.eye(weights.shape[-1], dtype=bool)
    return np.sum(np.where(diagonal, 0.0, overlap) ** 2, axis=-1)


def feature_dimensionality(weights):
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
    """
    weights = weight_matrices(weights)
    squared_norm = np.sum(weights**2, axis=-2)
    shared = squared_norm + interference(weights)
    return np.divide(squared_norm, shared, out=np.zeros_like(shared), where=shared > 0)


def dimensions_per_feature(weights):
    """Return n_hidden / ‖W‖_F², the hidden dimensions per represented feature; infinite where W = 0.

    Parameters
    ----------
    weights : array_like, shape (…, n_hidden, n_features)

    References
    ----------
    Elhage et al. 2022, section "The Geometry of Superposition".
    """
    weights = weight_matrices(weights)
    with np.errstate(divide="ignore"):
        return weights.shape[-2] / np.sum(weights**2, axis=(-2, -1))


def weight_matrices(weights):
    weights = real_array("weights", weights)
    if weights.ndim < 2:
        raise ValueError(f"weights must have shape (…, n_hidden, n_features), got {weights.shape}")
    return weights


def directions_of(weights):
    scaled, _ = _scaled(weights)
    norm = np.linalg.norm(scaled, axis=-2, keepdims=True)
    return np.divide(scaled, norm, out=np.zeros_like(scaled), where=norm > 0)


def _scaled(weights):
    """Columns divided by powers of two, so that no square overflows or vanishes and nothing is rounded, and the exponents."""
    power = np.frexp(np.abs(weights).max(axis=-2, keepdims=True, initial=0.0))[1]
    return np.ldexp(weights, -power), power
