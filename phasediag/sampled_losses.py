"""Tests of exact losses by sampling: z-scores over a grid, and whether all of them together are those of right values."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numba import float64, uint64
from scipy import stats

from ._arguments import Floats, thread_count
from ._compiling.jit import jit
from ._display import Result
from ._training.streams import mixed
from .candidates import configurations
from .neurons import NeuronForm

MOST_POINTS = 24
"""Rows and columns of a diagram at which losses are sampled."""

LEAST_SAMPLES = 50
"""Of every set of active features, whatever their number."""

SCATTER_SAMPLES = 4000
"""For each standard error: those of a thousand comparisons then add less to Σ z² than its own scatter."""

PARTS_PER_THREAD = 4

ROUNDING = 1e-12
"""Relative to Σ_i importance_i E x_i², the least standard error: samples of binary values do not scatter at all."""

LEAST_P_VALUE = 1e-3
"""Exact and sampled losses contradict each other when right values would look as bad as they do with less probability."""


@dataclass(frozen=True, eq=False, repr=False)
class SamplingTest(Result):
    """Exact expected losses beside means over independent samples; one entry for each comparison.

    Attributes
    ----------
    name : str
        What was compared.
    x, y : ndarray, shape (n_comparisons,)
        Where: importance and density, or what the axes of another plane are.
    exact, sampled, standard_error : ndarray, shape (n_comparisons,)

    Examples
    --------
    >>> from phasediag import validate
    >>> report = validate(
    ...     importance=[0.5], density=[0.1], n_seeds=2, n_steps=2000, learning_rate=0.01, n_samples=1000, curves=False
    ... )
    >>> for test in report.tests:
    ...     print(test.name, test.exact.shape)
    closed forms of the frozen configurations (3,)
    minima over all weights and biases (1,)
    trained models, on held-out samples (1,)
    """

    name: str
    x: Floats
    y: Floats
    exact: Floats
    sampled: Floats
    standard_error: Floats

    @cached_property
    def z_scores(self) -> Floats:
        """(sampled − exact) / standard error, shape (n_comparisons,)."""
        return (self.sampled - self.exact) / self.standard_error

    @property
    def p_values(self) -> dict[str, float]:
        """Probability that right values look as bad, by three statistics of the z-scores, as a mapping.

        "scatter": Σ z² against χ²; "bias": the mean against a normal law; "largest": max |z|, corrected for their number (Šidák).
        """
        z = self.z_scores
        least = 2 * stats.norm.sf(np.abs(z).max())
        return {
            "scatter": float(stats.chi2.sf(z @ z, z.size)),
            "bias": float(2 * stats.norm.sf(abs(z.mean()) * np.sqrt(z.size))),
            "largest": float(-np.expm1(z.size * np.log1p(-least))) if least < 1 else 1.0,
        }


def overall_p_value(tests: Iterable[SamplingTest]) -> float:
    """Return the p-value of all statistics of all tests together: the smallest times their number (Bonferroni), at most 1."""
    values = [p for test in tests for p in test.p_values.values()]
    return min(1.0, len(values) * min(values))


def closed_form_test(diagram, n_samples, generator, n_threads=None):
    """Test the closed form of every frozen configuration at every cell of a diagram."""
    table = configurations(diagram.n_features, diagram.n_hidden, activation=diagram.activation)
    x, y, controls, _ = _points(diagram)
    exact, bias = (
        np.stack(rows, axis=1) for rows in zip(*((one.expected_loss(x, y), one.bias(y)) for one in table), strict=True)
    )
    weights = np.broadcast_to([one.weights for one in table], (len(x), len(table), diagram.n_hidden, diagram.n_features))
    x, y, controls = (np.repeat(values, len(table), axis=0) for values in (x, y, controls))
    weights, bias = (values.reshape(-1, *values.shape[2:]) for values in (weights, bias))
    sampled = sampled_losses(diagram.plane.form, controls, weights, bias, n_samples, generator, n_threads)
    return SamplingTest("closed forms of the frozen configurations", x, y, exact.ravel(), *sampled)


def lowest_test(diagram, name, n_samples, generator, n_threads=None):
    """Test the losses of a diagram at its weights and biases."""
    x, y, controls, cells = _points(diagram)
    found = diagram.weights[cells], diagram.bias[cells]
    sampled = sampled_losses(diagram.plane.form, controls, *found, n_samples, generator, n_threads)
    return SamplingTest(name, x, y, diagram.loss[cells], *sampled)


def sampled_losses(form, controls, weights, bias, n_samples, generator, n_threads=None):
    """Return means and standard errors of losses over about ``n_samples`` samples, as many for each set of active features.

    ``controls`` (n_models, n_controls), ``weights`` (n_models, rows, n_features) as diagrams hold them, ``bias`` (n_models,
    n_features); each model has samples of its own, whatever the number of threads.

    With rare features most plain samples are 0 and a few carry the loss; so every sample counts, and the mean is close to normal
    at any density. The scatter that the error is made of is that of other samples: in the same ones means and scatters of skew
    losses rise together, so that right losses would have z-scores of mean −skewness / (2 √n), which add up over a grid.
    """
    n, n_models, share = form.n_features, len(controls), form.patterns(controls)
    neurons = isinstance(form, NeuronForm)
    encoder, decoder = weights[:, : form.n_hidden], weights[:, -form.n_hidden :]
    count, others = (max(size // (2**n - 1), LEAST_SAMPLES) for size in (n_samples, SCATTER_SAMPLES))
    lows, widths = np.array(form.values, dtype=np.float64).T.copy()
    limits = np.cumsum(np.broadcast_to(form.value_probabilities(controls), (n_models, lows.size)), axis=1)
    slopes = np.full(n_models, form.slope(controls))
    seeds = generator.integers(2**64, size=n_models, dtype=np.uint64)
    means, deviations = np.empty((2, n_models, 2**n))
    rows = tuple(np.ascontiguousarray(x, np.float64) for x in (encoder, decoder, bias, form.importance(controls), limits))

    def sample(part):
        """Fill in the rows of a slice."""
        _sample(
            *(x[part] for x in (*rows, slopes, seeds, means, deviations)), lows, widths, 0.0 if neurons else 1.0,
            -1.0 if neurons and not form.is_tied else 1.0, count, others,
        )  # fmt: skip

    n_threads = thread_count(n_threads)
    size = -(-n_models // (PARTS_PER_THREAD * n_threads))
    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(sample, (slice(start, start + size) for start in range(0, n_models, size))))
    mean = (share * means).sum(axis=1) + form.penalty(controls, encoder)
    errors = share * deviations / np.sqrt(count)
    return mean, np.maximum(np.sqrt((errors**2).sum(axis=1)), ROUNDING * form.loss_scale(controls))


@jit(inner=True)
def _uniform(state):
    """A number of [0, 1) from a word of 64 bits, by the finalizer of SplitMix64."""
    return float64(mixed(state) >> uint64(11)) * 2.0**-53


@jit
def _sample(
    encoder, decoder, bias, importance, limits, slopes, seeds, means, deviations, lows, widths, hidden_slope, side, count, others
):
    """Mean and standard deviation of the loss for each set of active features, means and deviations (n_models, 2^n).

    Means are those of ``count`` samples, deviations those of ``others`` more. Negative numbers get a factor: hidden ones
    hidden_slope, outputs slopes (n_models,), inputs in the target ``side``. Values lie lows + widths u (n_pieces,), the piece
    chosen by limits (n_models, n_pieces).

    References
    ----------
    Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators".
    """
    n_models, m, n = encoder.shape
    step, last = uint64(0x9E3779B97F4A7C15), lows.size - 1
    x, hidden = np.empty(n), np.empty(m)
    for model in range(n_models):
        state = seeds[model]
        for active in range(1 << n):
            in_mean, in_all = (count, count + others) if active else (1, 1)
            total = centre = first = square = 0.0
            for sample in range(in_all):
                for k in range(m):
                    hidden[k] = 0.0
                for j in range(n):
                    x[j] = 0.0
                    if active >> j & 1:
                        piece = 0
                        if last:
                            state += step
                            chosen = _uniform(state)
                            while piece < last and chosen >= limits[model, piece]:
                                piece += 1
                        state += step
                        x[j] = lows[piece] + widths[piece] * _uniform(state)
                        for k in range(m):
                            hidden[k] += encoder[model, k, j] * x[j]
                for k in range(m):
                    if hidden[k] < 0:
                        hidden[k] *= hidden_slope
                loss = 0.0
                for i in range(n):
                    output = bias[model, i]
                    for k in range(m):
                        output += decoder[model, k, i] * hidden[k]
                    if output < 0:
                        output *= slopes[model]
                    error = (side * x[i] if x[i] < 0 else x[i]) - output
                    loss += importance[model, i] * error * error
                if sample < in_mean:
                    total += loss
                    centre = total / in_mean
                else:
                    first += loss - centre
                    square += (loss - centre) * (loss - centre)
            means[model, active] = centre
            deviations[model, active] = np.sqrt(max(square - first * first / others, 0.0) / (others - 1)) if active else 0.0


def _points(diagram):
    """At most 24 × 24 cells, evenly spread: x and y (n_cells,), controls (n_cells, n_controls) and the cells, two arrays."""
    rows, columns = (np.unique(np.linspace(0, n - 1, min(n, MOST_POINTS)).round().astype(int)) for n in diagram.loss.shape)
    cells = tuple(one.ravel() for one in np.meshgrid(rows, columns, indexing="ij"))
    return diagram.x[cells[1]], diagram.y[cells[0]], diagram.plane.grid[cells], cells
