"""Minibatches sorted into cells: where samples lie, how many, and what the kernels make of cells without looking at them."""

import subprocess
import sys
from itertools import combinations_with_replacement

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from scipy import stats

from phasediag import ToyModel, expected_loss_and_gradient
from phasediag._compiling.jit import pointer
from phasediag._compiling.vectors import emitted, load, store, vector
from phasediag._training.cells import LANES, MOST_ACTIVE, MOST_LEVELS, ROUND, geometry, n_levels, n_moments
from phasediag._training.patterns import Patterns


def draw(trainer, step=0, block=0):
    """Return one block's patterns that are sorted: (k, samples of each cell, moments of each cell, lower corners, widths)."""
    trainer.draw(step, block)
    drawn, found = trainer.block, []
    for row in drawn.patterns[: drawn.n_sorted]:
        k, n_cells, count, moments = (
            row["n_active"],
            row["n_cells"],
            drawn.counts[row["pattern"]],
            drawn.moments[row["moments"] :],
        )
        samples = list(trainer.cells_of(row))
        if k == 1:
            table = moments[: 6 * LANES].reshape(6, LANES)
        else:
            listed = drawn.cells[row["cells"] :][: 2 * n_cells].reshape(-1, 2)
            raw = [drawn.values[start:][: rounds * ROUND * k * LANES : LANES].reshape(-1, k) for rounds, start in listed]
            assert all(len(x) - len(s) < ROUND and np.isnan(x[len(s) :]).all() for x, s in zip(raw, samples, strict=True))
            groups = moments[: -(-n_cells // LANES) * n_moments(k) * LANES].reshape(-1, n_moments(k), LANES)
            table = groups.transpose(1, 0, 2).reshape(n_moments(k), -1)[:, :n_cells]
        levels = drawn.levels[k, count]
        start, corners, _ = geometry()
        at, size = start[k, levels, 0], 2**levels
        width, lower = corners[at : at + k], corners[at + k : at + k + k * size].reshape(size, k)
        assert sum(map(len, samples)) == count and len(samples) == size
        found.append((k, [-s.astype(float) for s in samples], table, lower, width))
    return found


CASES = [(2, [1.0, 0.3], 1024), (3, 1.0, 1000), (3, 0.5, 4000), (4, 1.0, 4096), (5, 1.0, 1024), (5, [1, 1, 0.1, 0.9, 1], 9000)]


@pytest.mark.parametrize(("n", "density", "batch_size"), CASES)
def test_samples_lie_in_their_cells_and_moments_are_theirs(n, density, batch_size, make_chunk):
    """Every sample lies in its cell, and a cell's moments are those of its samples in double precision."""
    trainer = Patterns(make_chunk(n, 1, density, batch_size))
    seen = set()
    for k, cells, table, lower, width in draw(trainer):
        seen.add(k)
        for x, corner in zip(cells, lower, strict=True):
            assert np.all((x >= corner) & (x < corner + width))
        pairs = list(combinations_with_replacement(range(k), 2))
        exact = np.array([[len(x), *-x.sum(axis=0), *((x[:, a] * x[:, b]).sum() for a, b in pairs)] for x in cells]).T
        if k == 1:  # sums over the cells below and over those above
            below = np.cumsum(exact, axis=1) - exact
            above = exact.sum(axis=1, keepdims=True) - below - exact
            exact = np.concatenate([below, above])
            assert np.all(table[:3, 0] == 0) and np.all(table[3:, -1] == 0)
        assert np.allclose(table, exact, rtol=2e-6, atol=1e-6)
    assert seen


def test_numbers_of_samples_in_cells_are_multinomial(make_chunk):
    """Over many steps the cells of a pattern hold as many samples, with as much scatter, as equal chances give them."""
    n_steps = 400
    for n, batch_size, n_cells in ((2, 1024, 32), (1 + 1, 5000, 64)):
        trainer = Patterns(make_chunk(n, 1, 1.0, batch_size))
        counts = np.array([[len(x) for x in draw(trainer, step)[0][1]] for step in range(n_steps)])
        size = trainer.sizes[0]
        assert counts.shape[1] == n_cells and np.all(counts.sum(axis=1) == size)
        expected = size / n_cells
        chi_square = ((counts.sum(axis=0) - n_steps * expected) ** 2 / (n_steps * expected)).sum()
        assert 1e-4 < stats.chi2.sf(chi_square, n_cells - 1) < 1 - 1e-4
        each = ((counts - expected) ** 2 / expected).sum(axis=1)  # one χ² of every step
        assert stats.kstest(each, stats.chi2(n_cells - 1).cdf).pvalue > 1e-4
        first = counts[:, : n_cells // 2].sum(axis=1)  # the very first halving
        assert abs(first.mean() - size / 2) < 4 * np.sqrt(size / 4 / n_steps)
        assert first.var() / (size / 4) == pytest.approx(1, abs=5 * np.sqrt(2 / n_steps))


def test_cells_fill_the_cube():
    """Whatever the number of halvings, cells are disjoint boxes of equal volume that together have volume 1."""
    start, corners, lattice = geometry()
    for k in range(1, MOST_ACTIVE + 1):
        for levels in range(MOST_LEVELS + 1):
            at, whole = start[k, levels]
            width, lower = corners[at : at + k], corners[at + k : at + k + k * 2**levels].reshape(-1, k)
            assert np.prod(width) == 2.0**-levels and len(np.unique(lower, axis=0)) == 2**levels
            assert np.all(lower % width == 0) and lower.min() == 0 and np.all(lower.max(axis=0) == 1 - width)
            padded = lattice[whole : whole + k * max(LANES, 2**levels)].reshape(k, -1)
            assert np.array_equal(padded[:, : 2**levels], lower.T * 2**24)


def test_cells_are_used_where_they_pay():
    """Patterns of few samples or many active features are not sorted; more samples are never sorted into fewer cells."""
    levels = n_levels(8, 4096)
    assert np.all(levels[0] == -1) and np.all(levels[MOST_ACTIVE + 1 :] == -1) and np.all(levels[:, :10] == -1)
    assert np.all(np.diff(levels, axis=1) >= 0) and levels.max() == MOST_LEVELS
    assert np.all(levels[1:6, 1024] == [4, 5, 5, 5, 5])
    assert n_levels(2, 5).shape == (3, 6) and np.all(n_levels(2, 5) == -1)


def parameters(rng, n_models, n, m, kinds):
    """Return weights and biases of models whose outputs are active everywhere, nowhere or in part, or exactly 0."""
    weights, bias = rng.normal(size=(n_models, m, n)) / np.sqrt(m), rng.normal(size=(n_models, n)) / 5
    for i in range(n_models):
        kind = kinds[i % len(kinds)]
        bias[i] += {"on": 9, "off": -9}.get(kind, 0)
        if kind == "trained":  # the first features dedicated, biases close to 0
            weights[i], bias[i] = np.eye(m, n), bias[i] / 100
        if kind == "still":
            weights[i] = bias[i] = 0
        if kind == "large":
            weights[i] *= 100
        if kind == "flat":
            weights[i] *= 1e-6
    return weights.astype(np.float32), bias.astype(np.float32)


KINDS = ("any", "on", "off", "trained", "still", "large", "flat")


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    size=st.sampled_from([(2, 1), (3, 2), (4, 2), (6, 3)]),
    density=st.sampled_from([1.0, 0.7, 0.25, 0.06]),
    batch_size=st.sampled_from([37, 1024, 4099]),
    kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=5),
    relu=st.booleans(),
    seed=st.integers(0, 99),
)
def test_sorted_samples_give_the_gradient_of_the_minibatch(
    size, density, batch_size, kinds, relu, seed, make_chunk, reference_gradient
):
    """A step of sixteen unlike models, decided cell by cell, is the double-precision gradient of the same samples."""
    n, m = size
    w, b = parameters(np.random.default_rng(seed), 16, n, m, kinds)
    chunk = make_chunk(n, m, density, batch_size, n_models=16, seed=seed, weights=w, bias=b, relu=relu)
    trainer = Patterns(chunk)
    trainer.advance(0, 1)
    after, x = trainer.current(), Patterns(chunk).minibatch(0, 0)
    for i in range(16):
        before = [w[i].astype(float), b[i].astype(float)]
        expected = reference_gradient(x, chunk.importance[i], *before, relu)
        output = x @ before[0].T @ before[0] + before[1]
        scale = 1 + np.abs(before[0]).max()
        close = np.abs(output) < 1e-6 * scale**2  # either side of the kink is right there, and each sample adds this much
        kink = (close * (np.abs(output - x) + 1e-9)).sum() * 2 * chunk.importance.max() / x.size * scale if relu else 0.0
        error = chunk.importance[i] * (output - x)
        terms = np.abs(error).sum() * 2 / x.size * scale  # the size of what is added up, whatever cancels in the sum
        for gradient, start, end in zip(expected, before, (after[0][i], after[1][i]), strict=True):
            bound = 2e-6 * terms + 2.0**-23 * (np.abs(start).max() + np.abs(gradient).max()) + kink
            assert np.abs(start - end - gradient).max() <= bound


@pytest.mark.parametrize(("n", "m", "density"), [(2, 1, 1.0), (3, 2, [0.1, 0.5, 1.0]), (5, 2, 1.0)])
def test_the_mean_gradient_of_sorted_minibatches_is_the_exact_one(n, m, density, make_chunk):
    """Over many steps the mean gradient lies within five standard errors of the population's, for models of every kind."""
    n_steps, n_models = 500, 16
    w, b = parameters(np.random.default_rng(3), n_models, n, m, ("any", "trained", "on"))
    chunk = make_chunk(n, m, density, 1024, n_models=n_models, weights=w, bias=b, n_steps=n_steps)
    trainer = Patterns(chunk)
    start, moved = trainer.parameters.copy(), []
    for step in range(n_steps):
        trainer.parameters[:] = start
        trainer.advance(step, step + 1)
        moved.append([np.concatenate([part.reshape(n_models, -1) for part in trainer.current()], axis=1)])
    before = np.concatenate([w.reshape(n_models, -1), b], axis=1).astype(float)
    gradient = before - np.concatenate(moved).astype(float)
    for i in range(n_models):
        _, *exact = expected_loss_and_gradient(ToyModel(m, chunk.importance[i], density), w[i], b[i])
        exact = np.concatenate([part.ravel() for part in exact]) / n
        rounding = 2.0**-24 * np.abs(before[i]).max()
        error = (gradient[:, i].mean(axis=0) - exact) / (gradient[:, i].std(axis=0) / np.sqrt(n_steps) + rounding)
        assert np.abs(error).max() < 5


@emitted(vector)
def _lookup(b, table, places):
    return b.lookup(table, b.row(places))


@njit
def _look_up(table, places, out):
    store(pointer(out), 0, _lookup(load(pointer(table), 0), pointer(places)))


def test_lanes_are_looked_up():
    """A vector is permuted as numpy indexes."""
    rng = np.random.default_rng(0)
    for places in (np.arange(16), np.zeros(16), rng.integers(0, 16, 16), np.arange(16)[::-1]):
        table, out = rng.normal(size=16).astype(np.float32), np.zeros(16, np.float32)
        _look_up(table, places.astype(np.int32), out)
        assert np.array_equal(out, table[places.astype(int)])


@pytest.mark.parametrize("features", ["", pytest.param("+avx,+avx2,+fma", marks=pytest.mark.campaign)])
def test_other_processors_give_the_same_bits(features, tmp_path, environment):
    """Machines without wide vectors, fused multiply-adds or permutations train to the same bits, few features and many."""
    run = (
        "import numpy as np; from phasediag import ToyModel, train\n"
        "for model in ToyModel(1, [1, 0.8], 0.4), ToyModel(4, np.ones(9), 0.1):\n"
        "    run = train(model, n_models=4, n_steps=9, batch_size=600, seed=0, n_threads=1)\n"
        "    print(run.weights.tobytes().hex(), run.bias.tobytes().hex())"
    )
    poor = {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": features, "NUMBA_CACHE_DIR": str(tmp_path)}
    bits = [
        subprocess.run(
            [sys.executable, "-c", run], capture_output=True, text=True, check=True, env={**environment, **extra}
        ).stdout
        for extra in ({}, poor)
    ]
    assert bits[0] == bits[1] and len(bits[0]) > 50
