"""The terms of the contour at single nodes, in both precisions, against the sums over active subsets that they stand for."""

import itertools

import numba
import numpy as np
import pytest

from phasediag._compiling.emission import DOUBLES, SINGLES
from phasediag._compiling.jit import call
from phasediag._loss.contour import START, _kernels
from phasediag._loss.nodes import SLOPE
from phasediag._loss.rows import NARROW_ROW, ROW


@numba.njit
def run(kernels, first, lanes, arguments, period, few, weight, p_i, n, work, narrow, sums, narrow_sums):
    """Add the terms of one vector of nodes."""
    unit = 2 * np.pi / period
    call(kernels[0], (first, lanes, True, unit, few, weight, *arguments, work, narrow))
    if lanes == DOUBLES:
        call(kernels[1], (first, 1.0 / unit, few, True, p_i, n, work, sums))
    else:
        call(kernels[2], (first, 1.0 / unit, few, True, p_i, n, narrow, narrow_sums))


def terms(a_i, p_i, a, p, b, period, first, lanes, few):
    """Sums over one vector of nodes: loss, slope in b, slope in a_i, slopes in a_j; complex."""
    n = a.size
    work, narrow = np.zeros((n + 2) * ROW), np.zeros((n + 2) * NARROW_ROW, np.float32)
    sums, narrow_sums = np.zeros(6 * DOUBLES), np.zeros(6 * SINGLES, np.float32)
    weight = 2 / period * (np.prod(1 - p) if few else 1.0)
    arguments, space = (a_i, p_i, b, a, p), (work, narrow, sums, narrow_sums)
    run(_kernels()[START:], float(first), lanes, arguments, period, few, weight, p_i, n, *space)
    rows, row, common = (work, ROW, sums) if lanes == DOUBLES else (narrow, NARROW_ROW, narrow_sums)
    slopes = [rows[j * row + SLOPE * lanes :][: 2 * lanes] for j in range(n)]
    parts = np.array([*common.reshape(3, 2 * lanes), *slopes], dtype=float).reshape(-1, 2, lanes).sum(axis=2)
    return parts[:, 0] + 1j * parts[:, 1]


def moments(w):
    """E e^{wu}, E u e^{wu} and E u² e^{wu} over a uniform u: by parts, or by quadrature where that would lose digits."""
    if abs(w) > 30:
        whole = (np.exp(w) - 1) / w
        return [whole, (np.exp(w) - whole) / w, (np.exp(w) - 2 * (np.exp(w) - whole) / w) / w]
    u, weight = np.polynomial.legendre.leggauss(60)
    u, weight = (u + 1) / 2, weight / 2
    return [np.sum(weight * u**r * np.exp(w * u)) for r in range(3)]


def expected(a_i, p_i, a, p, b, period, nodes, few):
    """The same from the definition: E e^{sz} (2/s³ − 2x_i/s²) and its slopes over the active subsets that count."""
    n, total = a.size, np.zeros(a.size + 3, complex)
    for k in nodes:
        s = 2j * np.pi * k / period
        own, *others = [moments(s * x) for x in (a_i, *a)]
        for active in itertools.product((0, 1), repeat=n + 1):
            if few and sum(active) < 3:
                continue
            chance = np.prod([q if on else 1 - q for q, on in zip((p_i, *p), active, strict=True)])
            rest = np.prod([m[0] for m, on in zip(others, active[1:], strict=True) if on])
            common = 2 / period * chance * np.exp(s * b)
            squared = [2 * m / s**2 - 2 * x / s for m, x in itertools.pairwise(own)] if active[0] else [2 / s**2, 0]
            total[0] += common * rest * squared[0] / s
            total[1] += common * rest * squared[0]
            total[2] += common * rest * squared[1]
            for j in range(n):
                if active[1 + j]:
                    total[3 + j] += common * rest / others[j][0] * others[j][1] * squared[0]
    return total


@pytest.mark.parametrize("few", [True, False])
@pytest.mark.parametrize(
    ("first", "lanes", "allowed"), [(1, DOUBLES, 1e-12), (41, DOUBLES, 1e-12), (17, SINGLES, 2e-6), (41, SINGLES, 2e-6)]
)
def test_terms_are_sums_over_active_subsets(first, lanes, allowed, few):
    """One vector of nodes adds the transforms of the states with at least three active features, or of all states."""
    a, p, b = np.array([0.7, -0.31, 1e-3, 0.05]), np.array([0.1, 0.02, 0.3, 0.6]), -0.1
    wanted = expected(0.9, 0.2, a, p, b, 3.0, range(first, first + lanes), few)
    found = terms(0.9, 0.2, a, p, b, 3.0, first, lanes, few)
    unit = np.abs(expected(0.9, 0.2, a, p, b, 3.0, [first], False))
    assert np.all(np.abs(found - wanted) <= allowed * unit)


def test_phases_go_on_from_vector_to_vector():
    """A vector of nodes begun afresh has the phases that the one before left behind."""
    kernels, unit, p_i = _kernels()[START:], 1.7, 0.2
    a, p = np.array([0.7, -0.31, 1e-3, 0.05]), np.array([0.1, 0.02, 0.3, 0.6])
    work, narrow, sums, nothing = np.zeros(6 * ROW), np.zeros(1, np.float32), np.zeros(6 * DOUBLES), np.zeros(1, np.float32)
    arguments, period = (0.9, p_i, -0.1, a, p), 2 * np.pi / unit
    run(kernels, 33.0, DOUBLES, arguments, period, True, 1.0, p_i, 4, work, narrow, sums, nothing)
    went_on = work.reshape(6, ROW)[:, : 2 * DOUBLES].copy()
    run(kernels, 41.0, DOUBLES, arguments, period, True, 1.0, p_i, 4, work, narrow, np.zeros_like(sums), nothing)
    fresh = work.reshape(6, ROW)[:, : 2 * DOUBLES].copy()
    run(kernels, 33.0, DOUBLES, arguments, period, True, 1.0, p_i, 4, work, narrow, np.zeros_like(sums), nothing)
    assert np.allclose(work.reshape(6, ROW)[:, : 2 * DOUBLES], went_on, rtol=0, atol=0)
    step = np.exp(8j * unit * np.array([*a, 0.9, -0.1]))[:, None]
    turned = step * (went_on[:, :DOUBLES] + 1j * went_on[:, DOUBLES:])
    size = np.abs(turned)
    assert np.all(np.abs(turned - fresh[:, :DOUBLES] - 1j * fresh[:, DOUBLES:]) <= 1e-14 * size)
