"""Tests of exact losses by sampling: z-scores over a grid, and whether all of them together are those of right values."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import stats

from ._arguments import Floats
from ._display import Result
from .candidates import configurations
from .loss import expected_loss
from .values import pieces_of

MOST_POINTS = 24
"""Rows and columns of a diagram at which losses are sampled."""

LEAST_SAMPLES = 50
"""Of every set of active features, whatever their number."""

SCATTER_SAMPLES = 4000
"""For each standard error: those of a thousand comparisons then add less to Σ z² than its own scatter."""

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


def closed_form_test(diagram, n_samples, generator):
    """Test the closed form of every frozen configuration at every cell of a diagram."""
    table = configurations(diagram.n_features, diagram.n_hidden, activation=diagram.activation)
    rows = [
        (i, p, float(one.expected_loss(i, p)), *sampled_loss(model, one.weights, one.bias(p), n_samples, generator))
        for i, p, model, _ in _points(diagram)
        for one in table
    ]
    return SamplingTest("closed forms of the frozen configurations", *np.array(rows).T)


def lowest_test(diagram, name, n_samples, generator):
    """Test the exact loss at the weights of lowest loss of every cell of a diagram."""
    rows = []
    for x, y, model, cell in _points(diagram):
        found = model.form.unstacked(diagram.weights[cell]), diagram.bias[cell]
        rows.append((x, y, expected_loss(model, *found), *sampled_loss(model, *found, n_samples, generator)))
    return SamplingTest(name, *np.array(rows).T)


def sampled_loss(model, weights, bias, n_samples, generator):
    """Return mean and standard error of the loss over about ``n_samples`` samples, as many for each set of active features.

    With rare features most plain samples are 0 and a few carry the loss; so every sample counts, and the mean is close to normal
    at any density. The scatter that the error is made of is that of other samples: in the same ones means and scatters of skew
    losses rise together, so that right losses would have z-scores of mean −skewness / (2 √n), which add up over a grid.
    """
    n, share = model.n_features, model.form.patterns(model.control)
    active = (np.arange(1, 2**n)[:, None] >> np.arange(n)) % 2 == 1

    def losses(count):
        """Losses of about so many samples, those of a set of active features in each row."""
        x = active[:, None] * pieces_of(model.values).drawn((len(active), max(count // len(active), LEAST_SAMPLES), n), generator)
        output = model.reconstruct(x.reshape(-1, n), weights, bias).reshape(x.shape)
        return (model.target(x) - output) ** 2 @ model.importance

    loss, others = losses(n_samples), losses(SCATTER_SAMPLES)
    at_rest = model.reconstruct(np.zeros(n), weights, bias) ** 2 @ model.importance
    error = share[1:] * others.std(axis=1, ddof=1) / np.sqrt(loss.shape[1])
    mean = share[0] * at_rest + share[1:] @ loss.mean(axis=1) + model.penalty_of(weights)
    return mean, max(np.sqrt(error @ error), ROUNDING * model.loss_scale)


def _points(diagram):
    """Yield x, y, model and cell of at most 24 × 24 cells, evenly spread."""
    rows, columns = (np.unique(np.linspace(0, n - 1, min(n, MOST_POINTS)).round().astype(int)) for n in diagram.loss.shape)
    for i in rows:
        for k in columns:
            x, y = diagram.x[k], diagram.y[i]
            yield x, y, diagram.plane.model(x, y), (i, k)
