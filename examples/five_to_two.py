"""Five equal features in two dimensions: pentagon, two antipodal pairs, triangle and uneven fives, as density grows.

The two pairs leave one feature out, the triangle two. Near density 0.9182 the triangle takes them in again with short columns,
one before the other; from 0.9207 up three short and two long win, by a tiny margin. At the densities solved here two minima
cross (first order).
"""

from functools import cache

import numpy as np
from scipy.optimize import brentq

from phasediag import ToyModel, minimize

PENTAGON, PAIRS, TRIANGLE = ("pentagon",), ("antipodal pair", "antipodal pair"), ("triangle",)
FOUR, FIVE = ("4 features in 2 dimensions",), ("5 features in 2 dimensions",)


def shape(minimum):
    """The names of its clusters; which of the equal features they hold does not matter."""
    return tuple(cluster.name for cluster in minimum.phase.clusters)


@cache
def minima_at(density):
    """All minima, found once for both sides of a crossing."""
    return minimize(ToyModel(2, [1.0] * 5, density), n_starts=16)


def lowest(density, kind=None):
    """The lowest minimum, or the lowest one of a kind: a shape, or the number of features longer than half."""
    return next(
        m for m in minima_at(density) if kind in (None, shape(m)) or (shape(m) == FIVE and kind == np.sum(m.feature_norm > 0.5))
    )


expected = {0.01: PENTAGON, 0.1: PENTAGON, 0.2: PENTAGON, 0.3: PAIRS, 0.5: PAIRS, 0.63: PAIRS, 0.66: TRIANGLE, 0.9: TRIANGLE}
expected |= {0.91815: TRIANGLE, 0.9182: FOUR, 0.9183: 3, 0.92: 3, 0.922: 2, 0.95: 2, 0.99: 2}  # of five: how many are long
for density, kind in expected.items():
    found = lowest(density)
    print(f"density {density:7}: {', '.join(shape(found))}; norms {found.feature_norm.round(3)}")
    assert shape(found) == kind or (shape(found) == FIVE and np.sum(found.feature_norm > 0.5) == kind)

for one, other, low, high, known, near in (
    (PENTAGON, PAIRS, 0.2245, 0.2253, 0.2248754494, 1e-9),
    (PAIRS, TRIANGLE, 0.644, 0.6446, 0.6442403645, 1e-9),
    (3, 2, 0.92, 0.921, 0.9207202799, 1e-8),
):
    density = brentq(lambda p: lowest(p, one).loss - lowest(p, other).loss, low, high, xtol=1e-11)  # noqa: B023
    sides = [lowest(density, kind) for kind in (one, other)]
    print(f"{' | '.join(', '.join(shape(side)) for side in sides)} at density {density:.10f}, loss {sides[0].loss:.10f}")
    print(f"    curvatures {sides[0].curvature:.6f} and {sides[1].curvature:.6f}: both are minima there")
    assert abs(density - known) < near and min(side.curvature for side in sides) > 1e-5
