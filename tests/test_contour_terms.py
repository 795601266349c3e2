"""The terms of the contour at single nodes, in both precisions, against the sums over active subsets that they stand for."""

import itertools

import numba
import numpy as np
import pytest

from phasediag._compiling.emission import DOUBLE_LANES, SINGLE_LANES
from phasediag._compiling.jit import call, pointer
from phasediag._loss import contour_table as entry
from phasediag._loss.contour import OutputLosses
from phasediag._loss.envelopes import NONE, OMEGA, ONE, ROOM, THREE, TWO, add_envelopes
from phasediag._loss.nodes import ROW, SLOPE, SUMS, VECTOR, VECTORS


@numba.njit
def run(table, first, double, period, few, weight, p_i, n):
    """Add the terms of one vector of nodes."""
    start, unit = pointer(table), 2 * np.pi / period
    call(table[entry.START], (first, not double, True, unit, few, weight, n, start))
    rows = table[entry.ROWS] if double else table[entry.NARROW_ROWS]
    call(table[entry.NODES] if double else table[entry.NARROW_NODES], (first, 1.0 / unit, few, True, p_i, n, rows))


def output(a_i, p_i, a, p, b):
    """An output with these weights and densities."""
    made = OutputLosses(1, a.size)
    for place, values in ((entry.WEIGHTS, a), (entry.DENSITIES, p)):
        made.array(place, a.size)[:] = values
    for place, value in ((entry.A_I, a_i), (entry.P_I, p_i), (entry.BIAS, b)):
        made.numbers[place] = value
    return made


def rows_of(made, n, double=True):
    """The rows of n features, two more and the sums of an output, as vectors; shape (n + 2, VECTORS, lanes) and (SUMS, lanes)."""
    lanes, size = (DOUBLE_LANES, (n + 2) * ROW) if double else (SINGLE_LANES, (n + 2) * ROW)
    whole = made.array(entry.ROWS if double else entry.NARROW_ROWS, (size + SUMS * VECTOR) // 8)
    vectors = whole.view(np.float64 if double else np.float32).reshape(-1, lanes)
    return vectors[: (n + 2) * VECTORS].reshape(n + 2, VECTORS, lanes), vectors[(n + 2) * VECTORS :]


def terms(a_i, p_i, a, p, b, period, first, lanes, few):
    """Sums over one vector of nodes: loss, slope in b, slope in a_i, slopes in a_j; complex."""
    n, double = a.size, lanes == DOUBLE_LANES
    made = output(a_i, p_i, a, p, b)
    run(made.table, float(first), double, period, few, 2 / period * (np.prod(1 - p) if few else 1.0), p_i, n)
    rows, sums = rows_of(made, n, double)
    parts = np.array([*sums.reshape(3, 2, lanes), *rows[:n, SLOPE : SLOPE + 2]], dtype=float).sum(axis=2)
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
    ("first", "lanes", "allowed"),
    [(1, DOUBLE_LANES, 1e-12), (41, DOUBLE_LANES, 1e-12), (17, SINGLE_LANES, 2e-6), (41, SINGLE_LANES, 2e-6)],
)
def test_terms_are_sums_over_active_subsets(first, lanes, allowed, few):
    """One vector of nodes adds the transforms of the states with at least three active features, or of all states."""
    a, p, b = np.array([0.7, -0.31, 1e-3, 0.05]), np.array([0.1, 0.02, 0.3, 0.6]), -0.1
    wanted = expected(0.9, 0.2, a, p, b, 3.0, range(first, first + lanes), few)
    found = terms(0.9, 0.2, a, p, b, 3.0, first, lanes, few)
    unit = np.abs(expected(0.9, 0.2, a, p, b, 3.0, [first], False))
    assert np.all(np.abs(found - wanted) <= allowed * unit)


@numba.njit
def envelopes(a, p, room):
    """Fill the sums behind the frequencies."""
    add_envelopes(pointer(a), pointer(p), a.size, pointer(room))


def test_envelopes_are_sums_over_active_subsets():
    """The sums of the bounds of |φ| are those over the subsets of active features, with bounds from above and not far above."""
    a, p = np.array([0.7, -0.31, 0.05, 1.4]), np.array([0.1, 0.02, 0.3, 0.6])
    room = np.zeros(ROOM).reshape(-1, DOUBLE_LANES)
    room[OMEGA] = np.geomspace(0.3, 300, DOUBLE_LANES)
    envelopes(a, p, room.reshape(-1))
    for omega, *sums in zip(*room[[OMEGA, NONE, ONE, TWO, THREE]], strict=True):
        x = np.abs(a) * omega / 2
        beta = [np.max(np.abs(np.sinc(np.linspace(y, y + 4, 4001) / np.pi))) for y in x]
        wanted = np.zeros(4)
        for active in itertools.product((0, 1), repeat=a.size):
            chance = np.prod([q * top if on else 1 - q for q, top, on in zip(p, beta, active, strict=True)])
            wanted[: min(sum(active), 3) + 1] += chance
        wanted[0] = np.prod(1 - p)
        assert np.all(sums >= wanted * (1 - 1e-12)) and np.all(sums <= 2 * wanted)


def test_phases_go_on_from_vector_to_vector():
    """A vector of nodes begun afresh has the phases that the one before left behind."""
    a, p, p_i, unit = np.array([0.7, -0.31, 1e-3, 0.05]), np.array([0.1, 0.02, 0.3, 0.6]), 0.2, 1.7
    made = output(0.9, p_i, a, p, -0.1)
    phases = []
    for first in (33.0, 41.0, 33.0):
        run(made.table, first, True, 2 * np.pi / unit, True, 1.0, p_i, 4)
        phases.append(rows_of(made, 4)[0][:, :2].copy())
    went_on, fresh, again = phases
    assert np.array_equal(again, went_on)
    turned = np.exp(8j * unit * np.array([*a, 0.9, -0.1]))[:, None] * (went_on[:, 0] + 1j * went_on[:, 1])
    assert np.all(np.abs(turned - fresh[:, 0] - 1j * fresh[:, 1]) <= 1e-14 * np.abs(turned))
