"""The contour engine: every number against exact vertex sums, mpmath, Monte Carlo or differences."""

import itertools
import math
from concurrent.futures import ThreadPoolExecutor

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phasediag import ToyModel
from phasediag._loss import contour_table as entry
from phasediag._loss.contour import OutputLosses, gradients

TOLERANCE, SLOPE_TOLERANCE = 1e-12, 1e-10


def evaluated(weights, bias, density, tolerance=TOLERANCE, slope_tolerance=SLOPE_TOLERANCE, max_nodes=1 << 16):
    """Losses, slopes in b, errors and slopes in G of one model, each with a leading axis, and nodes."""
    outputs = OutputLosses(*weights.shape)
    model = (np.array(part, dtype=float)[None] for part in (weights, bias, np.broadcast_to(density, np.shape(bias))))
    found = outputs.evaluate(*model, np.array([tolerance]), slope_tolerance, max_nodes)
    return *found, outputs.array(entry.MODEL_NODES, np.size(bias))


def rows(*model, **options):
    """Losses, slopes in G, slopes in b, errors and nodes of one model."""
    (loss,), (slope_b,), (error,), (slope,), nodes = evaluated(*model, **options)
    return loss, slope, slope_b, error, nodes


def whole(weights, bias, importance, density, **options):
    """Whole loss, its gradient in weights and bias, and its error."""
    loss, slope_b, error, slope, _ = evaluated(weights, bias, density, **options)
    slopes = (part[0] for part in gradients(weights[None], importance[None], slope, slope_b))
    return loss[0] @ importance, *slopes, error[0] @ importance


def gram_row(weights, i):
    """Row i of WᵀW with the kernel's own roundings: a kink that sits exactly at a corner stays there."""
    return [float(sum(column[k] * weights[k, i] for k in range(len(weights)))) for column in weights.T]


def scale_of(i, a, b, p):
    """The unit of the tolerance, E x_i² + Var z + max(E z, 0)²."""
    mean = b + a @ p / 2
    return p[i] / 3 + a**2 @ (p / 3 - p**2 / 4) + max(mean, 0) ** 2


def exact_loss(i, a, b, p):
    """E (x_i − z⁺)² by the vertex formula over all active subsets; arguments and arithmetic of mpmath."""
    live = [j for j in range(len(a)) if a[j] != 0]
    total = p[i] / 3
    for active in itertools.product((0, 1), repeat=len(live)):
        chosen = [j for j, on in zip(live, active, strict=True) if on]
        weight = mp.fprod(p[j] if on else 1 - p[j] for j, on in zip(live, active, strict=True))
        if weight == 0:
            continue
        k = len(chosen)
        first = second = cross = mp.mpf(0)
        for vertex in itertools.product((0, 1), repeat=k):
            z = b + mp.fsum(a[j] for j, v in zip(chosen, vertex, strict=True) if v)
            if z > 0:
                sign = (-1) ** (k - sum(vertex))
                second += sign * z ** (k + 2)
                first += sign * z ** (k + 1)
                if i in chosen and vertex[chosen.index(i)]:
                    cross += sign * z ** (k + 1)
        product = mp.fprod(a[j] for j in chosen) * mp.factorial(k + 1)
        second *= mp.mpf(2) / ((k + 2) * product)
        if i in chosen:
            total += weight * (second - 2 * (cross / product - second / (2 * a[i])))
        else:
            total += weight * (second - (p[i] * first / product if a[i] == 0 else 0))
    return total


def exact_slopes(i, a, b, p):
    """Slopes of that loss in a and in b, by central differences far below the digits kept."""
    step = mp.mpf(10) ** (-mp.mp.dps // 4)

    def moved(j, sign):
        return exact_loss(i, [x + sign * step * (k == j) for k, x in enumerate(a)], b, p)

    slope = [(moved(j, 1) - moved(j, -1)) / (2 * step) for j in range(len(a))]
    return slope, (exact_loss(i, a, b + step, p) - exact_loss(i, a, b - step, p)) / (2 * step)


def check_row(weights, bias, density, i, result, slopes):
    """Compare one row to the exact one: False when it declined, else True; asserts that declared errors hold."""
    loss, slope, slope_b, error, _ = result
    if np.isnan(loss[i]):
        assert error[i] == np.inf and np.isnan(slope_b[i])
        return False
    p = np.broadcast_to(np.asarray(density, dtype=float), bias.shape)
    a = gram_row(weights, i)
    scale = scale_of(i, np.array(a), bias[i], p)
    exact = ([mp.mpf(x) for x in a], mp.mpf(bias[i]), [mp.mpf(x) for x in p])
    assert abs(exact_loss(i, *exact) - mp.mpf(loss[i])) <= error[i] <= 2e-12 * scale
    if slopes:
        wanted, wanted_b = exact_slopes(i, *exact)
        miss = [float(abs(x - mp.mpf(y)) / mp.sqrt(q / 3)) for x, y, q in zip(wanted, slope[i], p, strict=True)]
        assert max(*miss, float(abs(wanted_b - mp.mpf(slope_b[i])))) <= SLOPE_TOLERANCE * np.sqrt(scale)
    return True


@pytest.mark.parametrize("density", [1.0, 0.4, 0.05, 1e-3, 1e-6])
@pytest.mark.parametrize("n, m, shift", [(3, 1, 0.0), (4, 2, 0.3), (5, 3, 3.0)])
def test_generic_weights_match_the_vertex_sums(n, m, shift, density):
    """Generic weights are answered, with loss and slopes within the tolerance of 80-digit arithmetic."""
    rng = np.random.default_rng(n)
    weights, bias = rng.normal(size=(m, n)), shift * rng.normal(size=n)
    result = rows(weights, bias, density)
    with mp.workdps(80):
        for i in range(n):
            assert check_row(weights, bias, density, i, result, slopes=n < 5 or i == 0)


def adversarial(seed):
    """Weights over many decades, equal, opposite, zero; kinks at corners; unequal densities."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(3, 6))
    m = int(rng.integers(1, n))
    weights = rng.normal(size=(m, n))
    kind = seed % 5
    if kind == 0:
        weights *= 10 ** rng.uniform(-9, 3, size=n)
    elif kind == 1:
        weights[:, rng.integers(n)] *= 10 ** rng.uniform(-12, 0)
    elif kind == 2:
        weights *= 10 ** rng.uniform(-12, 3)
    elif kind == 3:
        weights = np.round(2 * weights) / 2
    else:
        weights = rng.choice([-1, 0, 1.0, 1e-3], size=(m, n))
    bias = rng.choice([0, 0.5, -0.5, -1, 1, 0.25], size=n) if kind > 2 else rng.normal(size=n) * rng.choice([0, 0.1, 1])
    if rng.random() < 0.2:
        bias = np.array([-gram_row(weights, i)[rng.integers(n)] for i in range(n)])
    density = 10 ** rng.uniform(-6, 0, size=n) if rng.random() < 0.2 else rng.choice([1, 0.5, 0.1, 1e-2, 1e-6])
    return weights, bias, density


def test_adversarial_weights_are_answered_within_the_declared_error_or_declined():
    """The declared error is never below the true one, and at least four rows in five are answered."""
    answered = []
    with mp.workdps(220):
        for seed in range(100):
            weights, bias, density = adversarial(seed)
            result = rows(weights, bias, density)
            # at b = 0 = a_i an atom of z sits on the kink, where the loss has no one slope
            slopes = seed % 5 < 3 and seed % 3 == 0
            answered += [check_row(weights, bias, density, i, result, slopes) for i in range(bias.size)]
    assert np.mean(answered) > 0.8


@pytest.mark.quick("_loss")
def test_too_few_nodes_decline():
    """With fewer nodes than the tolerance needs the loss is NaN and its error infinite; with enough it is not."""
    weights, bias = np.random.default_rng(1).normal(size=(2, 6)), np.full(6, 0.1)
    loss, slope, slope_b, error, nodes = rows(weights, bias, 0.3, max_nodes=64)
    short = np.isnan(loss)
    assert short.any() and np.all(np.isinf(error) == short) and np.all(np.isnan(slope_b) == short)
    assert np.all(np.isnan(slope[np.diag_indices(6)]) == short) and np.all(nodes <= 64)
    assert np.isnan(whole(weights, bias, np.ones(6), 0.3, max_nodes=64)[0])
    assert np.all(np.isfinite(rows(weights, bias, 0.3)[0]))


def mp_contour_loss(i, a, b, p, nodes):
    """E (x_i − z⁺)² on the line Re s = c > 0, nothing taken out, in mpmath: z ranges within one period 2π/h."""
    a, b, p = [mp.mpf(x) for x in a], mp.mpf(b), [mp.mpf(x) for x in p]
    period = 2 * (abs(b) + mp.fsum(abs(x) for x in a))
    c = 40 / period  # an alias of order m ≥ 1 keeps e^{−40m} of a quadratic in z: removed by its own closed form
    low_moments = [mp.mpf(1), b + mp.fsum(x * q for x, q in zip(a, p, strict=True)) / 2]
    variance = mp.fsum(x * x * (q / 3 - q * q / 4) for x, q in zip(a, p, strict=True))
    second = variance + low_moments[1] ** 2
    x_mean = p[i] / 2
    x_z = x_mean * low_moments[1] + a[i] * (p[i] / 3 - p[i] ** 2 / 4)
    alias = mp.nsum(
        lambda m: (
            mp.exp(-40 * m) * (second + 2 * low_moments[1] * m * period + (m * period) ** 2 - 2 * (x_z + x_mean * m * period))
        ),
        [1, 6],
    )
    total = mp.mpf(0)
    for k in range(nodes):
        s = mp.mpc(c, 2 * mp.pi * k / period)
        product = mp.exp(s * b)
        for j, (x, q) in enumerate(zip(a, p, strict=True)):
            w = s * x
            e = mp.exp(w)
            phi = (e - 1) / w
            if j == i:
                own, own_slope = 1 - q + q * phi, q * (e - phi) / w
            else:
                product *= 1 - q + q * phi
        term = product * (2 * own / s**3 - 2 * own_slope / s**2)
        total += term.real * (1 if k == 0 else 2)
    return p[i] / 3 + total / period - alias


@pytest.mark.parametrize("n, m, density, nodes", [(20, 5, 1.0, 200), (80, 20, 1.0, 300), (80, 20, 0.5, 400)])
def test_many_features_match_a_plain_contour_in_higher_precision(n, m, density, nodes):
    """Dense models of 20 and 80 features agree with 30-digit sums on another contour with nothing taken out."""
    rng = np.random.default_rng(n)
    weights, bias = rng.normal(size=(m, n)) / np.sqrt(m), 0.2 * rng.normal(size=n)
    loss, _, _, error, _ = rows(weights, bias, density)
    with mp.workdps(30):
        for i in (0, n // 2):
            exact = mp_contour_loss(i, gram_row(weights, i), bias[i], [density] * n, nodes)
            assert abs(exact - mp.mpf(loss[i])) <= error[i] + 1e-14


def plain_contour(i, a, b, p, n_nodes):
    """Loss of output i, its slopes in a and in b: the series at the head of `contour` over all states, in plain numpy."""
    period = 1.1 * max(b + np.maximum(a, 0).sum(), -b - np.minimum(a, 0).sum())

    def transforms(s):
        """E w e^{sz} for w = 1, x_j and for these times x_i; shape (2, n + 1, s.size)."""
        w = s * a[:, None]
        first = (np.exp(w) - 1) / w
        second = (np.exp(w) - first) / w
        none = 1 - p[:, None] + p[:, None] * first
        one, two = p[:, None] * second / none, p[i] * (np.exp(w[i]) - 2 * second[i]) / w[i] / none[i]
        plain = np.exp(s * b) * np.prod(none, axis=0) * np.concatenate([np.ones((1, s.size)), one])
        own = one[i] * plain
        own[1 + i] = two * plain[0]
        return np.array([plain, own])

    circle = np.exp(2j * np.pi * np.arange(64) / 64)  # on which Cauchy's formula gives E w z^k
    z0, z1, z2, z3 = (math.factorial(k) * np.mean(transforms(circle) * circle**-k, axis=-1).real for k in range(4))
    s = 2j * np.pi * np.arange(1, n_nodes + 1) / period
    one, two, three = (2 / period * np.sum(transforms(s) / s**k, axis=-1).real for k in (1, 2, 3))
    square = z3 / (3 * period) + z2 / 2 + period * z1 / 6 + 2 * three
    positive, step = z2 / (2 * period) + z1 / 2 + period * z0 / 12 + two, z1 / period + z0 / 2 + one
    slope_b, *slope = 2 * (positive[0] - step[1])
    return p[i] / 3 + square[0, 0] - 2 * positive[1, 0], slope, slope_b


@pytest.mark.parametrize("n, m", [(12, 4), (20, 5), (40, 10)])
def test_losses_and_slopes_of_dense_models_match_the_plain_contour(n, m):
    """The kernels and their slow twin, which takes nothing out and sums all nodes in double precision, agree."""
    rng = np.random.default_rng(n)
    weights, bias, p = rng.normal(size=(m, n)) / np.sqrt(m), 0.2 * rng.normal(size=n), rng.uniform(0.85, 1, size=n)
    loss, slope, slope_b, error, _ = rows(weights, bias, p)
    for i in range(0, n, 5):
        a = np.array(gram_row(weights, i))
        wanted, wanted_slope, wanted_slope_b = plain_contour(i, a, bias[i], p, 4000)
        unit = SLOPE_TOLERANCE * np.sqrt(scale_of(i, a, bias[i], p))
        assert abs(loss[i] - wanted) <= error[i] + 1e-13 and abs(slope_b[i] - wanted_slope_b) <= unit
        assert np.all(np.abs(slope[i] - wanted_slope) <= unit * np.sqrt(p / 3))


@pytest.mark.parametrize("n, m, density", [(20, 5, 0.1), (80, 20, 0.05), (100, 25, 0.3)])
def test_losses_and_gradient_lie_within_monte_carlo_errors(n, m, density):
    """Sampled losses and sampled gradients scatter around the exact ones with their own standard errors."""
    rng = np.random.default_rng(n)
    weights, bias = rng.normal(size=(m, n)) / np.sqrt(m), 0.1 * rng.normal(size=n)
    importance = rng.uniform(0.5, 2, size=n)
    model = ToyModel(n_hidden=m, importance=importance, density=density)
    x = model.sample(20_000, seed=5)
    out = model.reconstruct(x, weights, bias)
    loss, _, slope_b, _, _ = rows(weights, bias, density)
    squares = (x - out) ** 2
    assert np.max(np.abs(squares.mean(0) - loss) / squares.std(0) * np.sqrt(len(x))) < 4.5
    pulls = 2 * (out - x) * (out > 0)
    assert np.max(np.abs(pulls.mean(0) - slope_b) / pulls.std(0) * np.sqrt(len(x))) < 4.5
    total, slope, bias_slope, _ = whole(weights, bias, importance, density)
    assert total == pytest.approx(importance @ loss, rel=1e-14)
    assert np.allclose(bias_slope, importance * slope_b, rtol=1e-14, atol=0)
    weighted = importance * pulls
    sampled = (weights @ weighted.T) @ x + (weights @ x.T) @ weighted
    spread = 0.0
    for k in range(m):
        one = (weights[k] @ weighted.T)[:, None] * x + (weights[k] @ x.T)[:, None] * weighted
        spread = max(spread, np.max(np.abs(one.mean(0) - slope[k]) / one.std(0)) * np.sqrt(len(x)))
    assert spread < 5 and np.allclose(sampled / len(x), slope, atol=0.2)


@pytest.mark.parametrize("n, m, density", [(7, 3, 0.3), (24, 6, 0.1), (40, 10, 1.0)])
def test_gradient_is_the_derivative_of_the_loss(n, m, density):
    """Fourth-order differences of the loss along random directions agree with the gradient."""
    rng = np.random.default_rng(n)
    weights, bias = rng.normal(size=(m, n)) / np.sqrt(m), 0.2 * rng.normal(size=n)
    importance = rng.uniform(0.5, 2, size=n)
    _, slope, slope_b, _ = whole(weights, bias, importance, density)
    direction, shift = rng.normal(size=weights.shape), rng.normal(size=n)
    size = np.sqrt(np.sum(direction**2) + np.sum(shift**2))

    def along(t):
        moved = weights + t * direction / size, bias + t * shift / size
        return whole(*moved, importance, density, slope_tolerance=np.inf, tolerance=1e-13)[0]

    h = 1e-3
    difference = (8 * (along(h) - along(-h)) - (along(2 * h) - along(-2 * h))) / (12 * h)
    assert difference == pytest.approx((np.sum(slope * direction) + slope_b @ shift) / size, abs=2e-9 * n)


def test_threads_and_tolerances_do_not_change_the_numbers():
    """Two threads at once get the same bits; losses without slopes agree to the tolerance."""
    rng = np.random.default_rng(3)
    weights, bias = rng.normal(size=(5, 20)) / 2, 0.1 * rng.normal(size=20)
    together = rows(weights, bias, 0.2)
    with ThreadPoolExecutor(2) as pool:
        for one in pool.map(lambda _: rows(weights, bias, 0.2), range(4)):
            assert all(np.array_equal(a, b) for a, b in zip(together, one, strict=True))
    alone = rows(weights, bias, 0.2, slope_tolerance=np.inf)
    assert np.all(np.abs(alone[0] - together[0]) <= alone[3] + together[3]) and alone[4].sum() < together[4].sum()


@pytest.mark.parametrize("n, m, density", [(20, 5, 0.3), (20, 5, 0.05), (80, 20, 0.1), (80, 20, 0.02)])
def test_sparse_models_take_some_hundreds_of_nodes(n, m, density):
    """The median over outputs stays below 1200 nodes, and more of them change losses and slopes by no more than allowed."""
    rng = np.random.default_rng(n)
    weights, bias = rng.normal(size=(m, n)) / np.sqrt(m), 0.1 * rng.normal(size=n) - 0.05
    loss, slope, slope_b, error, nodes = (x[:12] for x in rows(weights, bias, density))
    assert np.median(nodes) < 1200
    finer = rows(weights, bias, density, tolerance=1e-13, slope_tolerance=5e-12)
    fine, fine_slope, fine_slope_b, fine_error, fine_nodes = (x[:12] for x in finer)
    assert np.all(fine_nodes > nodes)
    gram, p = weights.T @ weights, np.full(n, density)
    unit = SLOPE_TOLERANCE * np.sqrt([scale_of(i, gram[i], bias[i], p) for i in range(12)])
    assert np.all(np.abs(loss - fine) <= error) and np.all(np.abs(slope_b - fine_slope_b) <= unit)
    assert np.all(np.abs(slope - fine_slope) <= unit[:, None] * np.sqrt(p / 3))
    assert np.all(fine_error < error)


@pytest.mark.parametrize("kind", ["generic", "kinks", "equal", "small and equal", "jitter"])
@pytest.mark.parametrize("density", [0.3, 0.05, 0.005])
def test_many_features_end_their_sums_within_the_tolerance(kind, density):
    """Where the many phases of many features shorten the sums, ten times finer ones differ by no more than was declared."""
    rng = np.random.default_rng([len(kind), int(1e4 * density)])
    for n, m in ((14, 4), (24, 6), (40, 8)):
        weights, bias = rng.normal(size=(m, n)) / np.sqrt(m), 0.1 * rng.normal(size=n)
        if kind == "kinks":
            bias = -np.array([row[rng.choice(n, 2, replace=False)].sum() for row in weights.T @ weights])
        elif kind != "generic":
            weights[:, 5:] = weights[:, 5:6] * np.sign(rng.normal(size=n - 5))
            weights[:, :5] *= 0.1 if kind == "small and equal" else 1.0
            weights *= 1 + (0.05 if kind == "jitter" else 0.0) * rng.normal(size=n)
        p = np.full(n, density)
        loss, slope, slope_b, error, nodes = (x[:8] for x in rows(weights, bias, p))
        fine = rows(weights, bias, p, tolerance=1e-13, slope_tolerance=1e-12, max_nodes=1 << 18)
        fine_loss, fine_slope, fine_slope_b, fine_error, fine_nodes = (x[:8] for x in fine)
        answered = np.isfinite(fine_loss)
        assert answered.sum() >= 4 and np.all(fine_nodes >= nodes)
        gram = np.array([gram_row(weights, i) for i in range(8)])
        unit = SLOPE_TOLERANCE * np.sqrt([scale_of(i, gram[i], bias[i], p) for i in range(8)])
        assert np.all((np.abs(loss - fine_loss) <= error + fine_error)[answered])
        assert np.all((np.abs(slope_b - fine_slope_b) <= unit)[answered])
        assert np.all((np.abs(slope - fine_slope) <= unit[:, None] * np.sqrt(p / 3))[answered])


def test_outputs_that_are_never_or_always_active_need_no_nodes():
    """A bias beyond the reach of z gives E x² or the linear loss in closed form; a zero column only its bias."""
    rng = np.random.default_rng(4)
    weights, p = rng.normal(size=(3, 30)) / 3, np.full(30, 0.3)
    weights[:, 5] = 0.0
    for bias in (np.full(30, -50.0), np.full(30, 50.0)):
        loss, slope, slope_b, _, nodes = rows(weights, bias, p)
        assert np.all(nodes == 0)
        gram = weights.T @ weights
        mean = bias + gram @ p / 2
        rest = (gram - np.eye(30)) ** 2 @ (p / 3 - p**2 / 4) + (mean - p / 2) ** 2
        assert np.allclose(loss, rest if bias[0] > 0 else p / 3, rtol=1e-13)
        assert np.allclose(slope_b, 2 * (mean - p / 2) if bias[0] > 0 else 0, rtol=1e-13)
        if bias[0] < 0:
            assert np.all(slope == 0)
    bias = np.full(30, 0.2)
    loss, slope, slope_b, _, _ = rows(weights, bias, p)
    assert loss[5] == pytest.approx(0.3 / 3 - 0.2 * 0.3 + 0.2**2, rel=1e-14)
    assert slope_b[5] == pytest.approx(2 * (0.2 - 0.15), rel=1e-13)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(4, 9), st.floats(-3, 0))
def test_rotations_and_permutations_leave_the_loss_alone(seed, n, decade):
    """L(RW, b) = L(W, b), gradients rotate along, and features may be renamed."""
    rng = np.random.default_rng(seed)
    m = int(rng.integers(1, n - 1))
    weights, bias, importance = rng.normal(size=(m, n)), 0.3 * rng.normal(size=n), rng.uniform(0.5, 2, size=n)
    loss, slope, slope_b, error = whole(weights, bias, importance, 10**decade)
    rotation = np.linalg.qr(rng.normal(size=(m, m)))[0]
    order = rng.permutation(n)
    turned = whole(rotation @ weights[:, order], bias[order], importance[order], 10**decade)
    if np.isnan(loss) or np.isnan(turned[0]):
        return
    assert abs(turned[0] - loss) <= error + turned[3]
    allowed = 20 * n * SLOPE_TOLERANCE * np.sqrt(1 + np.sum(weights**2)) ** 3
    assert np.allclose(turned[1], (rotation @ slope)[:, order], rtol=0, atol=allowed)
    assert np.allclose(turned[2], slope_b[order], rtol=0, atol=allowed)
