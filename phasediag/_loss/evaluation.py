"""Which engine computes the expected loss, on how many threads, and to which tolerance."""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np

from .._arguments import one_of, real_number, usable_processors
from ..forms import MOST_COMPONENTS
from . import sets
from .contour_batch import MOST_NODES, integrate
from .enumeration import enumeration, table_of

METHODS = ("auto", "enumeration", "contour")
# Enumeration keeps up to 2^(n−1) pieces per output: the most features it treats, and the most that "auto" gives to it.
MOST_ENUMERATED = 14
MOST_ENUMERATED_BY_DEFAULT = 10
# Relative error of the loss by enumeration, never exceeded by ten thousand adversarial cases in exact arithmetic.
ENUMERATION_ERROR = 1e-13
TOLERANCE = 1e-12
# Worse ones, for callers that rather have a less exact loss than none.
TOLERANCES = (TOLERANCE, 1e-9, 1e-6, 1e-3)
# Weights this small count as 0, which no double can tell in the loss: their products lose their digits before they vanish.
NEGLIGIBLE = 1e-100
# Numbers of components' weights that are held at a time.
MOST_NUMBERS = 2**22
CONTOUR_TREATS = (
    "treats features uniform on [0, 1], with the ReLU and tied weights: independent ones, and sets of which two have at most "
    f"{sets.MOST_ACTIVE} features active"
)
OTHERS_TREAT = f"enumeration treats any law of up to {MOST_ENUMERATED} features, monte_carlo_loss samples any"
# Asked once: reading the limits of the process takes as long as many a loss.
processors = cache(usable_processors)


@cache
def _threads():
    """The threads that evaluate slices of batches, started once: starting them takes as long as many a batch."""
    return ThreadPoolExecutor(processors())


os.register_at_fork(after_in_child=_threads.cache_clear)


def evaluate(model, weights, bias, method, order, **accuracy):
    """As `evaluate_rows`, of parameters from `ToyModel.check_parameters`."""
    return evaluate_rows(weights, bias, model.form, model.control, method, order, **accuracy)


def evaluate_rows(weights, bias, form, control, method, order, *, tolerance=TOLERANCE, strict=True):
    """Return losses per feature (without importance), weights' and bias' gradient, Hessian and error of the expected loss.

    ``weights`` (…, n_hidden, n_features) and ``bias`` (…, n_features) have the same leading axes, to which the control vectors
    (…, n_controls) of the form broadcast; a density may be 0. ``order`` is 0, 1 or 2: how many derivatives are wanted, the
    others are None. Unless ``strict``, models that cannot meet the tolerance are left with a larger error, or NaN losses,
    instead of an exception.
    """
    one_of("method", method, METHODS)
    lowest = ENUMERATION_ERROR
    tolerance = real_number("tolerance", tolerance, f"in [{lowest:g}, 1)", lambda x: (x >= lowest) & (x < 1))
    m, n, lead = *weights.shape[-2:], bias.shape[:-1]
    treated = form.is_standard or sets.treats(form)
    by_contour = method == "contour" or (method == "auto" and treated and n > MOST_ENUMERATED_BY_DEFAULT)
    by_contour = by_contour and not form.is_linear
    if not by_contour:
        check_enumeration(form)
    elif not treated:
        raise ValueError(f"method must be one that treats the model's law: the contour integral {CONTOUR_TREATS}; {OTHERS_TREAT}")
    batch, size = int(np.prod(lead)), (m + 1) * n
    # copies: one layout, writable, so that the kernel is compiled once
    inputs = (
        np.where(np.abs(weights) < NEGLIGIBLE, 0.0, np.ascontiguousarray(weights)).reshape(batch, m, n),
        np.array(bias, order="C").reshape(batch, n),
        np.array(np.broadcast_to(control, (*lead, form.n_controls)), order="C").reshape(batch, form.n_controls),
    )
    outputs = (
        np.empty((batch, n)),
        np.empty((batch if order > 0 else 0, m, n)),
        np.empty((batch if order > 0 else 0, n)),
        np.empty((batch if order > 1 else 0, size, size)),
    )
    error, declined = np.zeros(batch), np.zeros(batch, dtype=bool)
    importance = form.importance(inputs[2])

    def enumerate_(part):
        """Fill outputs and error of the models of a slice by enumeration."""
        table = table_of(form, order, untied=m != form.n_hidden)
        rows = np.ascontiguousarray(form.rows(inputs[2][part]))
        enumeration(*(x[part] for x in inputs[:2]), rows, order, *(x[part] for x in outputs), table)
        error[part] = ENUMERATION_ERROR * (outputs[0][part] * importance[part]).sum(axis=1)

    def run(part):
        """Fill outputs and error of the models of a slice."""
        if not by_contour:
            enumerate_(part)
            return
        arguments = order, tolerance, *(x[part] for x in outputs[:3]), error[part]
        if form.is_standard:
            controls = (np.ascontiguousarray(x[part]) for x in (importance, form.density(inputs[2])))
            declined[part] = integrate(*(x[part] for x in inputs[:2]), *controls, *arguments)
        else:
            declined[part] = sets.integrate(*(x[part] for x in inputs[:2]), form, inputs[2][part], *arguments)
        if order:
            outputs[1][part] += form.penalty_gradient(inputs[2][part], inputs[0][part])
        if method == "auto" and n <= MOST_ENUMERATED:
            for k in np.flatnonzero(declined[part]) + (part.start or 0):
                enumerate_(slice(k, k + 1))
                declined[k] = False

    # every model is computed by itself: the result does not depend on the number of threads
    n_threads = batch * 4 ** min(n, 8) // 2**16
    n_threads = min(n_threads, processors()) if n_threads > 1 else 1
    step = -(-batch // (4 * n_threads)) if n_threads > 1 else batch
    step = max(min(step, MOST_NUMBERS // (n * n if by_contour else int(form.n_components))), 1)
    if step >= batch:
        run(slice(None))
    else:
        list(_threads().map(run, (slice(start, start + step) for start in range(0, batch, step))))
    if strict and declined.any():
        raise ValueError(
            f"tolerance must be one that the contour integral can meet with {MOST_NODES} nodes for these weights, got "
            f"{tolerance:g}" + (' (method "enumeration" needs none)' if n <= MOST_ENUMERATED else "")
        )
    shapes = bias.shape, weights.shape, bias.shape, (*lead, size, size)
    orders = zip(outputs, shapes, (0, 1, 1, 2), strict=True)
    return *(x.reshape(shape) if wanted <= order else None for x, shape, wanted in orders), error.reshape(lead)


def check_enumeration(form):
    """Raise ValueError where a form has too many features, or components, for enumeration."""
    if not form.is_linear and form.n_features > MOST_ENUMERATED:
        raise ValueError(
            f"enumeration treats up to {MOST_ENUMERATED} features, got {form.n_features} features; the contour integral, without "
            f"second derivatives, {CONTOUR_TREATS}; monte_carlo_loss samples any law"
        )
    if form.n_components > MOST_COMPONENTS:
        raise ValueError(
            f"enumeration treats laws with up to {MOST_COMPONENTS} components, got {form.n_components:.0f}; the contour integral "
            f"{CONTOUR_TREATS}; monte_carlo_loss samples any law"
        )


def evaluate_loosely(model, weights, bias, order, tolerances=TOLERANCES):
    """As `rows_loosely`, of one model's parameters."""
    return rows_loosely(weights, bias, model.form, model.control, order, tolerances)


def rows_loosely(weights, bias, form, control, order, tolerances=TOLERANCES):
    """As `evaluate_rows`, every model to the first of the tolerances that the contour integral can meet for it.

    Raises
    ------
    ValueError
        When it cannot meet the last one.
    """
    rows = weights, bias, np.broadcast_to(control, (*bias.shape[:-1], form.n_controls))
    results = evaluate_rows(*rows[:2], form, rows[2], "auto", order, tolerance=tolerances[0], strict=False)
    for tolerance in tolerances[1:]:
        declined = np.isnan(results[0]).any(axis=-1)
        if not declined.any():
            break
        weights, bias, control = (x[declined] for x in rows)
        again = evaluate_rows(weights, bias, form, control, "auto", order, tolerance=tolerance, strict=False)
        for result, better in zip(results, again, strict=True):
            if result is not None:
                result[declined] = better
    if np.isnan(results[0]).any():
        raise ValueError(f"weights must let the contour integral meet a tolerance of {tolerances[-1]:g}, got some that do not")
    return results


def loosely_expected_loss(model, weights, bias):
    """The expected loss as an ndarray over the leading axes, each to the first of `TOLERANCES` that can be met."""
    weights, bias = model.check_parameters(weights, bias)
    return evaluate_loosely(model, weights, bias, 0)[0] @ model.importance + model.penalty_of(weights)
