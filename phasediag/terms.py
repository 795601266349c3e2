"""The expected loss taken apart: by number of active features, and by feature into benefit, interference and bias."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._arguments import Floats
from ._display import Result
from ._loss.evaluation import check_enumeration, evaluate_rows
from .activity import INDEPENDENT
from .loss import expected_loss, is_untied
from .model import ToyModel

# The split by number of active features visits every set of them.
MOST_FEATURES = 12


@dataclass(frozen=True, eq=False, repr=False)
class LossTerms(Result):
    """Parts of the expected loss of one model, or of many over leading axes.

    Attributes
    ----------
    model : ToyModel
    weights, bias : ndarray
        Of untied weights a tuple (decoder, encoder).
    by_active : ndarray of shape (…, n_features + 1), or None
        Part k comes from inputs with exactly k active features; the parts sum to the loss. None for more than 12 features.
    benefit, interference, bias_part : ndarray, shape (…, n_features)
        Parts of each output's loss, with its importance; see `loss_terms`.

    Examples
    --------
    >>> from phasediag import ToyModel, loss_terms
    >>> terms = loss_terms(ToyModel(n_hidden=1, importance=[1.0, 0.5], density=0.1), [[1.0, 0.0]], [0.0, 0.05])
    >>> terms.benefit.round(6)  # what the feature costs that is not stored
    array([0.      , 0.012862])
    """

    model: ToyModel
    weights: Any
    bias: Floats
    by_active: Floats | None
    benefit: Floats
    interference: Floats
    bias_part: Floats

    @property
    def loss(self) -> float | Floats:
        """The expected loss; ValueError of weights of which `expected_loss` has none, as of untied ones of too many features."""
        if self.by_active is None:
            return expected_loss(self.model, self.weights, self.bias)
        total = self.by_active.sum(axis=-1) + self.model.penalty_of(self.weights)
        return total if total.ndim else float(total)


def loss_terms(model: ToyModel, weights: Any, bias: ArrayLike) -> LossTerms:
    """Take the expected loss apart.

    Parameters
    ----------
    model : ToyModel
    weights : array_like, shape (…, n_hidden, n_features)
        Or a tuple (decoder, encoder) of untied weights, as `expected_loss` takes them: WᵀW is decoder encoder below.
    bias : array_like, shape (…, n_features)

    Returns
    -------
    LossTerms

    Raises
    ------
    ValueError
        When an argument lies outside its domain.

    Notes
    -----
    By number of active features: L = Σ_A P(A) L_A over sets A of active features, summed by |A|. For one density p this
    is L = Σ_k p^k (1−p)^(n−k) L_k.

    By feature, linear activation: with G = WᵀW, σ² the variance of a feature and μ its mean, output i's loss is

    - benefit: I_i (1 − G_ii)² σ_i², what the feature itself loses,
    - interference: I_i Σ_{j≠i} G_ij² σ_j²,
    - bias: I_i (μ_i − Σ_j G_ij μ_j − b_i)², the mean residual,

    and the three sum to the loss over all i.

    By feature, ReLU: the parts of the loss that have the same meaning are those with at most one active feature,

    - benefit: P(i alone) I_i E (u − (G_ii u + b_i)⁺)², u uniform on [0, 1],
    - interference: Σ_{j≠i} P(j alone) I_i E ((G_ij u + b_i)⁺)²; a negative G_ij with b_i ≤ 0 costs nothing,
    - bias: P(none) I_i (b_i⁺)²;

    benefit and interference sum to ``by_active[1]``, bias to ``by_active[0]``; likewise for other values and a leaky activation.

    Under a law of activity P(…) is the law's; for the linear activation interference is then all of Σ_jk (δ_ij − G_ij) Cov_jk
    (δ_ik − G_ik) but the benefit. A penalty is part of ``loss`` and of none of these.

    References
    ----------
    Saxe et al. 2013, arXiv 1312.6120 (linear networks). Elhage et al. 2022, "Toy Models of Superposition", section
    "Mathematical understanding". Chen et al. 2023, arXiv 2310.06301, Lemma 3.1 (the one-active part).
    Equations :eq:`by-active`, :eq:`one-own`, :eq:`one-other` and :eq:`linear` of the mathematics page.

    Examples
    --------
    >>> from phasediag import ToyModel, loss_terms
    >>> model = ToyModel(n_hidden=1, importance=[1.0, 1.0], density=0.1)
    >>> terms = loss_terms(model, [[1.0, -1.0]], [0.0, 0.0])
    >>> terms.by_active.round(6)  # an antipodal pair errs only where both features are active
    array([0.      , 0.      , 0.003333])
    """
    untied, (rows, bias, form) = is_untied(model, weights), model.stacked(weights, bias)
    if untied:
        weights = tuple(np.array(part, dtype=np.float64) for part in weights)
    by_active = _by_active(model, rows, bias, form) if model.n_features <= MOST_FEATURES else None
    parts = _linear_parts if model.is_linear else _relu_parts if model.form.is_standard else _parts
    return LossTerms(model, weights if untied else rows, bias, by_active, *parts(model, rows, bias, form))


def _by_active(model, weights, bias, form):
    """Each number of active features' part of the loss, shape (…, n_features + 1): a set's loss is that of densities 0 and 1."""
    n = model.n_features
    active = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
    weights = np.broadcast_to(weights[..., None, :, :], (*weights.shape[:-2], 2**n, *weights.shape[-2:]))
    bias = np.broadcast_to(bias[..., None, :], (*bias.shape[:-1], 2**n, n))
    by_set = _probabilities(model, active) * (_losses_of_sets(model, weights, bias, form, active) @ model.importance)
    count = active.sum(axis=-1)
    return np.stack([by_set[..., count == k].sum(axis=-1) for k in range(n + 1)], axis=-1)


def _probabilities(model, active):
    """The probability of every set of active features, a row of ``active`` (2^n_features, n_features) each."""
    if model.activity is None:
        p = model.feature_density
        return np.prod(np.where(active, p, 1 - p), axis=-1)
    return model.form.patterns(model.control)


def _losses_of_sets(model, weights, bias, form, active):
    """Losses of the outputs (…, n_sets, n_features), without importance, where exactly the features of sets are active.

    Of `ToyModel.stacked` weights (…, n_sets, rows, n_features).
    """
    form = replace(form, activity=INDEPENDENT, penalised=False)
    control = np.empty((len(active), form.n_controls))
    for name, place in form.places.items():
        control[:, place] = model.control[model.form.places[name]] if place.stop > place.start else 0.0
    control[:, form.places["density"]] = active
    return evaluate_rows(weights, bias, form, control, "enumeration", 0)[0]


def _parts(model, weights, bias, form):
    """As `_relu_parts`, whatever the law, values and activation: from the losses with at most one active feature."""
    check_enumeration(model.form)  # before the probabilities of all sets
    n = model.n_features
    active = np.concatenate([np.zeros((1, n)), np.eye(n)])
    weights = np.broadcast_to(weights[..., None, :, :], (*weights.shape[:-2], n + 1, *weights.shape[-2:]))
    bias = np.broadcast_to(bias[..., None, :], (*bias.shape[:-1], n + 1, n))
    probability = model.form.patterns(model.control)[np.concatenate([[0], 1 << np.arange(n)])]
    loss = probability[:, None] * _losses_of_sets(model, weights, bias, form, active) * model.importance
    benefit = np.diagonal(loss[..., 1:, :], axis1=-2, axis2=-1)
    return benefit, np.where(np.eye(n, dtype=bool), 0.0, loss[..., 1:, :]).sum(axis=-2), loss[..., 0, :]


def _relu_parts(model, weights, bias, form):
    """Benefit, interference and bias of every feature, each (…, n_features): where at most one feature is active."""
    inactive, own = 1 - model.feature_density, np.eye(model.n_features)
    alone = model.feature_density * np.prod(np.where(own, 1.0, inactive), axis=-1)
    gram, bias = model.product(weights), bias[..., None]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        kink = np.nan_to_num(np.clip(-bias / gram, 0.0, 1.0))  # where z = gram u + bias changes its sign
    start, end = np.where(gram > 0, kink, 0.0), np.where(gram < 0, kink, (gram > 0) | (bias > 0))  # z > 0 in between
    loss = own * (start**3 + 1 - end**3) / 3
    for node in (-(3**-0.5), 3**-0.5):  # Gauss–Legendre with two nodes is exact for a quadratic
        u = (start + end) / 2 + node * (end - start) / 2
        loss += (end - start) / 2 * (own * u - gram * u - bias) ** 2
    loss *= model.importance[:, None] * alone
    benefit, interference = np.diagonal(loss, axis1=-2, axis2=-1), np.where(own, 0.0, loss).sum(axis=-1)
    return benefit, interference, np.prod(inactive) * model.importance * np.maximum(bias[..., 0], 0.0) ** 2


def _linear_parts(model, weights, bias, form):
    """As `_relu_parts`, of the linear model's whole loss."""
    importance, mean = model.importance, model.feature_mean
    gram = model.product(weights)
    residual = np.eye(model.n_features) - gram
    spread = importance[:, None] * residual**2 * model.feature_variance
    benefit = np.diagonal(spread, axis1=-2, axis2=-1)
    interference = np.where(np.eye(model.n_features, dtype=bool), 0.0, spread).sum(axis=-1)
    if model.activity is not None:
        covariance = model.form.covariance(model.control)
        interference = importance * np.einsum("...ij,...jk,...ik->...i", residual, covariance, residual) - benefit
    return benefit, interference, importance * (residual @ mean - bias) ** 2
