"""Losses of a NeuronModel: exact for few features, between bounds for many, and by samples."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ._arguments import Floats, Seed, random_generator, whole_number
from ._neurons.losses import MOST_EXACT, evaluate, tails
from .activity import INDEPENDENT
from .neurons import NeuronModel

if TYPE_CHECKING:
    import sympy

ROUNDING = 1e-13
SAMPLES_AT_ONCE = 65536
MOST_SAMPLES = 10**9  # half a minute for two features, and four digits of the loss


def neuron_loss(model: NeuronModel, weights: Any, bias: ArrayLike, order: int) -> tuple[Any, Any, Floats | None, Floats | None]:
    """Return the expected loss, its error (rounding), and for order 1 its gradient by weights, as they are given, and bias.

    Raises
    ------
    ValueError
        When an argument lies outside its domain or the model has more than 6 features; see `expected_loss_bounds`.
    """
    if model.n_features > MOST_EXACT:
        raise ValueError(
            f"model must have at most {MOST_EXACT} features for an exact loss of neurons, got {model.n_features}; "
            "see expected_loss_bounds and monte_carlo_loss"
        )
    encoder, decoder, bias = model.check_parameters(weights, bias)
    losses, gradient = evaluate(model.form, model.control, encoder, decoder, bias, order)
    loss = losses @ model.importance
    loss = loss if loss.ndim else float(loss)
    if order == 0:
        return loss, ROUNDING * loss, None, None
    m = model.n_hidden
    by_encoder, by_decoder, by_bias = gradient[..., :m, :], gradient[..., m : 2 * m, :], gradient[..., 2 * m, :]
    if model.task == "identity":
        return loss, ROUNDING * loss, by_encoder + by_decoder, by_bias
    return loss, ROUNDING * loss, model.as_weights(by_encoder, by_decoder), by_bias


def expected_loss_bounds(model: NeuronModel, weights: Any, bias: ArrayLike, *, most_active: int = 2) -> tuple[float, float]:
    """Return numbers between which the expected loss of neurons lies, for any number of independent features.

    Parameters
    ----------
    model : NeuronModel
        With independent features.
    weights, bias
        Of one model, as in `NeuronModel.check_parameters`.
    most_active : int
        From 0 to 6: what is lost while at most so many features are active is computed exactly.

    Returns
    -------
    lower, upper : float
        The exact part, and the exact part with a bound on the rest.

    Raises
    ------
    ValueError
        When an argument lies outside its domain.

    Notes
    -----
    For the rest, (y − y'⁺)² ≤ y² + (b⁺ + Σ_a B_a |x_a|)² with B = W₂⁺ (±W₁)⁺, whose mean over the states with more active
    features follows from the distribution of their number. Where features are sparse the rest is small; where they are dense
    the bounds are wide, and `monte_carlo_loss` says more.

    Examples
    --------
    >>> import numpy as np
    >>> from phasediag import NeuronModel, expected_loss_bounds
    >>> model = NeuronModel(40, 0.8 ** np.arange(100), 0.001, task="absolute")
    >>> lower, upper = expected_loss_bounds(model, (np.zeros((100, 40)), np.zeros((40, 100))), np.zeros(100))
    >>> lower <= model.loss_scale <= upper
    True
    """
    if not isinstance(model, NeuronModel) or model.form.activity != INDEPENDENT:
        raise ValueError(f"model must be a NeuronModel of independent features, got {model!r:.60}")
    encoder, decoder, bias = model.check_parameters(weights, bias)
    if bias.ndim > 1:
        raise ValueError(f"bias must be that of one model, shape ({model.n_features},), got {bias.shape}")
    most = min(whole_number("most_active", most_active, 0, MOST_EXACT), model.n_features)
    losses, _ = evaluate(model.form, model.control, encoder, decoder, bias, 0, most)
    lower = float(losses @ model.importance)
    never, one, two = tails(model.feature_density, most)
    signs = (1.0,) if model.task == "identity" else (1.0, -1.0)
    reach = np.array([np.maximum(decoder, 0).T @ np.maximum(sign * encoder, 0) for sign in signs])  # (n_signs, n, n)
    mean, square, above = reach.mean(axis=0), (reach**2).mean(axis=0), np.maximum(bias, 0)
    apart = two - np.diag(np.diagonal(two))
    output = above**2 * never + above * (mean @ one) + square @ one / 3 + np.einsum("ia,ib,ab->i", mean, mean, apart) / 4
    return lower, (lower + float(model.importance @ (one / 3 + output))) * (1 + ROUNDING)


def sampled_neuron_loss(model: NeuronModel, weights: Any, bias: ArrayLike, n_samples: int, seed: Seed) -> tuple[Any, Any]:
    """Return the mean loss of samples, and its standard error, over the leading axes of weights; as `monte_carlo_loss`."""
    encoder, decoder, bias = model.check_parameters(weights, bias)
    n_samples, generator = whole_number("n_samples", n_samples, 2, MOST_SAMPLES), random_generator(seed)
    first, second = np.zeros(bias.shape[:-1]), np.zeros(bias.shape[:-1])
    for start in range(0, n_samples, SAMPLES_AT_ONCE):
        x = model.sample(min(SAMPLES_AT_ONCE, n_samples - start), seed=generator)
        target = model.target(x)
        for at in np.ndindex(first.shape):
            output = model.reconstruct(x, model.as_weights(encoder[at], decoder[at]), bias[at])
            loss = (target - output) ** 2 @ model.importance
            first[at] += loss.sum()
            second[at] += (loss * loss).sum()
    mean = first / n_samples
    error = np.sqrt(np.maximum(second / n_samples - mean**2, 0) / (n_samples - 1))
    return (mean, error) if mean.ndim else (float(mean), float(error))


def one_active_loss() -> "sympy.Expr":
    """Return the loss of an output while one feature is active, as a formula, derived by integration.

    Returns
    -------
    sympy.Expr
        ∫₀¹ (t u − (c u + b)⁺)² du in ``target`` t (1 for the feature's own output, 0 for others), ``slope`` c and ``bias`` b,
        piece by piece. c = Σ_r (W₂)_jr (±W₁)⁺_ri for the output j when feature i is active with this sign.

    Examples
    --------
    >>> from phasediag import one_active_loss
    >>> formula = one_active_loss()
    >>> formula.subs({"target": 1, "slope": 1, "bias": 0})
    0
    >>> formula.subs({"target": 0, "slope": 2, "bias": -1})
    1/6
    """
    import sympy

    t, c, b, u = sympy.symbols("target slope bias u")
    on, off = (sympy.expand(sympy.integrate(sympy.expand(e**2), u)) for e in (t * u - c * u - b, t * u))

    def between(formula, low, high):
        return formula.subs(u, high) - formula.subs(u, low)

    zero, all_on, all_off = -b / c, between(on, 0, 1), between(off, 0, 1)
    rising = sympy.factor(between(off, 0, zero) + between(on, zero, 1))
    falling = sympy.factor(between(on, 0, zero) + between(off, zero, 1))
    chambers = ((all_on, (b >= 0) & (b + c >= 0)), (all_off, (b <= 0) & (b + c <= 0)), (rising, b < 0), (falling, True))
    return sympy.Piecewise(*chambers)
