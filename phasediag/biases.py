"""The biases that minimize the expected loss for given weights: one-dimensional problems, solved globally."""

from typing import Any

import numpy as np

from ._arguments import Floats
from ._loss.evaluation import NEGLIGIBLE, TOLERANCES, rows_loosely
from .model import ToyModel, check_model

# No bias has a loss lower than what the search finds by more than this share of it and a thousandth of E x_i² …
GAP = 1e-6
# … unless it hides in an interval of this share of the range, and so many intervals are halved at once.
NARROWEST, HALVED = 2.0**-40, 64
# Cells of the range in which the law of z is bounded, fewer where there are many outputs; and what rounding may do to it.
MOST_CELLS, CELLS_IN_ALL, LAW_ROUNDING = 1024, 2**22, 1e-15
GRID_TOLERANCES = (1e-8, 1e-5, 1e-2)  # for more features than enumeration treats: accuracy enough for the search
POINTS = 129  # at first, where the law is not that of independent features, uniform on [0, 1]
MOST_STEPS = 80
TIE = 1e-14
ROUNDING = 2.0**-51


def optimal_bias(model: ToyModel, weights: Any) -> Floats:
    """Return the biases that minimize the expected loss for given weights.

    Parameters
    ----------
    model : ToyModel
        Whether or not its own biases are held at 0.
    weights : array_like, shape (…, n_hidden, n_features)
        Or a tuple (decoder, encoder) of untied weights, as `expected_loss` takes them: WᵀW is decoder encoder below.

    Returns
    -------
    ndarray, shape (…, n_features)

    Raises
    ------
    ValueError
        When weights lie outside their domain, or the contour integral declines.

    Notes
    -----
    Given the weights, output i's loss depends on b_i alone. For the linear activation the minimum is the mean residual
    b_i = p_i/2 − Σ_j (WᵀW)_ij p_j/2. For ReLU, with z = (WᵀW x)_i + b, the loss has slope 2 E[(z − x_i) 1_{z>0}], which
    grows no faster than 2 P(z > 0). So loss(b) − P b², P the probability at the upper end, is concave on an interval, and
    the losses at its ends bound those within from below. Intervals are halved until none can hold a loss lower than the
    lowest found by more than 1e-6 of it and a thousandth of E x_i². Then every sign change of the slope where the bounds
    leave room for a lower loss is refined to rounding (beyond 10 features to the accuracy of the contour integral's
    slopes), and the lowest minimum wins. Among equally low ones (1e-14 relative) the bias of smallest size is returned. The
    half-line b ≤ −Σ_j (WᵀW)⁺_ij, where the output is off and the loss constant, is never optimal. For other laws, values and
    activations P is bounded by 1 and the search begins at 129 points; with negative values the slope can rise faster, and a lower
    minimum may hide between two of them.

    References
    ----------
    Equation :eq:`bias` of the mathematics page.

    Examples
    --------
    >>> from phasediag import ToyModel, optimal_bias
    >>> model = ToyModel(n_hidden=1, importance=[1.0, 1.0], density=0.1)
    >>> optimal_bias(model, [[1.0, 0.0]]).round(12)  # a feature that is not represented: its mean, density/2
    array([0.  , 0.05])
    """
    check_model(model)
    weights, _, form = model.stacked(weights, np.zeros(model.n_features))
    weights = np.where(np.abs(weights) < NEGLIGIBLE, 0.0, weights)
    gram = model.product(weights)
    mean = model.feature_mean
    linear = mean - gram @ mean
    if model.is_linear:
        return linear
    grid, losses, slope, bound = _search(model, form, weights, gram, linear)
    # slope 0 counts as falling: an output that is off gains by being switched on where its own feature is large
    lowest = losses.min(axis=0)
    rising = (slope[:-1] <= 0) & (slope[1:] > 0) & (bound <= lowest)
    candidates = [(grid[0], losses[0])]
    for rank in range(1, int(rising.sum(axis=0).max(initial=0)) + 1):
        nth = rising & (np.cumsum(rising, axis=0) == rank)
        at = np.argmax(nth, axis=0)[None]
        ends = [np.take_along_axis(x, at + k, 0)[0] for k in (0, 1) for x in (grid, slope)]
        bias, loss = _refine(model, form, weights, *ends)
        candidates.append((bias, np.where(nth.any(axis=0), loss, np.inf)))
    # a point of the search that is lower than every refined minimum, should the slopes have shown none there
    at = np.argmin(losses, axis=0)[None]
    refined = np.min([loss for _, loss in candidates], axis=0)
    candidates.append((np.take_along_axis(grid, at, 0)[0], np.where(lowest < (1 - GAP) * refined, lowest, np.inf)))
    bias, loss = (np.stack(x) for x in zip(*candidates, strict=True))
    tied = loss <= loss.min(axis=0) * (1 + TIE)
    best = np.argmin(np.where(tied, np.abs(bias), np.inf), axis=0)[None]
    return np.take_along_axis(bias, best, 0)[0]


def _loss_and_slope(model, form, weights, bias, tolerances):
    """Losses of the outputs and their slopes for biases (…, *leading axes of weights, n_features)."""
    shape = (*bias.shape[:-1], *weights.shape[-2:])
    all_weights = np.broadcast_to(weights, shape)
    losses, _, slope, _, _ = rows_loosely(all_weights, bias, form, model.control, 1, tolerances)
    return losses, slope / model.importance


def _refine(model, form, weights, low, slope_low, high, slope_high):
    """Zeros of the slopes between ``low`` (slope ≤ 0) and ``high`` (> 0): regula falsi after Illinois, and bisection."""
    slope_low = np.minimum(slope_low, -np.finfo(float).tiny)
    for step in range(MOST_STEPS):
        rise = slope_high - slope_low
        share = np.divide(-slope_low, rise, out=np.full(rise.shape, 0.5), where=rise > 0)
        middle = np.clip(low + (0.5 if step % 3 == 2 else share) * (high - low), low, high)
        losses, slope = _loss_and_slope(model, form, weights, middle, TOLERANCES)
        falls = slope <= 0
        # the end that stays is halved, so that it is the next to move
        slope_low, slope_high = (
            np.where(falls, np.minimum(slope, -np.finfo(float).tiny), slope_low / 2),
            np.where(falls, slope_high / 2, slope),
        )
        low, high = np.where(falls, middle, low), np.where(falls, high, middle)
        if np.all((np.abs(slope) <= ROUNDING * (1 + np.abs(middle))) | (high - low <= ROUNDING * (1 + np.abs(middle)))):
            break
    return middle, losses


def _search(model, form, weights, gram, linear):
    """Biases, rising along the first axis, with losses and slopes: so many that no lower loss can hide between them.

    The last result bounds the losses between every two of them from below. The biases go from the end of the half-line where
    the output is off to past every minimum.
    """
    low, high = _reach(model)
    off, on = -np.maximum(gram * high, gram * low).sum(axis=-1), -np.minimum(gram * high, gram * low).sum(axis=-1)
    last = np.maximum(on, linear) + np.abs(linear) + 1.0  # right of ``on`` the loss is quadratic about ``linear``
    if model.form.is_standard:
        exceeds, bias = _exceeding(gram, model.feature_density), np.stack([off, np.zeros(off.shape), last])
    else:
        slope = np.maximum(model.form.slope(model.control), 1e-9)
        if slope > 1e-9:  # left of ``off`` it is quadratic too
            mean = model.feature_mean
            off = np.minimum(off, mean / slope - gram @ mean) - 1.0
        exceeds, bias = np.ones_like, np.linspace(off, last, POINTS)
    losses, slope = _loss_and_slope(model, form, weights, bias, GRID_TOLERANCES)
    mean_square = model.form.mean_square(model.control)
    while True:
        low, rise, width = losses[:-1], np.diff(losses, axis=0), np.diff(bias, axis=0)
        # between two points the loss is at least low + t rise − bend t (1 − t), 0 ≤ t ≤ 1
        bend = exceeds(-bias[1:]) * width**2
        t = np.clip(0.5 - np.divide(rise, 2 * bend, out=np.zeros(rise.shape), where=bend > 0), 0, 1)
        bound, best = low + t * rise - bend * t * (1 - t), losses.min(axis=0)
        below = (bound < best - GAP * (best + 1e-3 * mean_square)) & (width > NARROWEST * (last - off))
        count = min(int(below.sum(axis=0).max(initial=0)), HALVED)
        if count == 0:
            return bias, losses, slope, bound
        worst = np.argsort(np.where(below, bound, np.inf), axis=0)[:count]
        middle = np.take_along_axis(bias[:-1] + width / 2, worst, axis=0)
        found = middle, *_loss_and_slope(model, form, weights, middle, GRID_TOLERANCES)
        bias, losses, slope = (np.concatenate(pair) for pair in zip((bias, losses, slope), found, strict=True))
        order = np.argsort(bias, axis=0, kind="stable")
        bias, losses, slope = (np.take_along_axis(x, order, axis=0) for x in (bias, losses, slope))


def _reach(model):
    """The least and the greatest value of a feature, 0 among them."""
    lows, widths = np.array(model.form.values).T
    return min(lows.min(), 0.0), max((lows + widths).max(), 0.0)


def _exceeding(gram, density):
    """Bounds from above of the probabilities that the sums Σ_j gram_ij x_j exceed thresholds, as a function of these.

    Every term is rounded up to whole cells: a feature's uniform law to one over the cells that it reaches.
    """
    span = np.abs(gram).sum(axis=-1)
    n_cells = max(64, min(MOST_CELLS, CELLS_IN_ALL // max(span.size, 1)))
    cell = np.where(span > 0, span / n_cells, 1.0)
    reach = np.where(gram > 0, np.ceil(gram / cell[..., None]), np.floor(-gram / cell[..., None])).astype(int)
    law = np.zeros((n_cells + 1, *span.shape))
    law[0] = 1.0  # of the sum in cells, negative terms counted from their lowest value
    place = np.arange(n_cells + 1).reshape(-1, *[1] * span.ndim)
    for j in range(gram.shape[-1]):
        cells = reach[..., j]
        below = np.concatenate([np.zeros_like(law[:1]), np.cumsum(law, axis=0)])  # in less than so many cells
        moved = place - cells
        shifted = np.take_along_axis(below, np.maximum(moved, 0), 0)
        active = (below[:-1] - shifted) / np.maximum(cells, 1)
        inactive = np.where(moved < 0, 0.0, np.take_along_axis(law, np.maximum(moved, 0), 0))
        inactive = np.where(gram[..., j] > 0, law, inactive)
        law = np.where(cells > 0, np.maximum((1 - density[j]) * inactive + density[j] * active, 0.0), law)
        law[-1] += np.maximum(1 - law.sum(axis=0), 0.0)
    above = np.concatenate([np.cumsum(law[::-1], axis=0)[::-1], np.zeros_like(law[:1])])[1:] + LAW_ROUNDING
    lowest = np.where(gram > 0, 0, reach).sum(axis=-1)

    def exceeds(threshold):
        """Bound of P(z > threshold) for every output."""
        cells = np.floor(lowest + threshold / cell)
        found = np.take_along_axis(above, np.clip(cells, 0, n_cells).astype(int), 0)
        return np.where(cells < 0, 1.0, found)

    return exceeds
