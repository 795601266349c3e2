"""Whether weights hold features in superposition."""

import numpy as np

from ._arguments import real_array, real_number

# A feature is represented when its norm is above this share of the largest norm; the same share of the largest singular
# value of the represented unit directions decides their rank.
REPRESENTED = 1e-6


def superposition(weights, *, tolerance=REPRESENTED):
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
    """
    weights = real_array("weights", weights)
    if weights.ndim < 2:
        raise ValueError(f"weights must have shape (…, n_hidden, n_features), got {weights.shape}")
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
