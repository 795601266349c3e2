"""Five equal features in two dimensions: pentagon, two antipodal pairs, triangle and an uneven pentagon, as density grows.

The two pairs leave one feature out, the triangle two. The first two changes are first order: two minima cross, at the
densities solved here. Near density 1 all five return, three short and two long, by a tiny margin.
"""

from scipy.optimize import brentq

from phasediag import ToyModel, minimize

PENTAGON, PAIRS, TRIANGLE = ("pentagon",), ("antipodal pair", "antipodal pair"), ("triangle",)
UNEVEN = ("5 features in 2 dimensions",)


def shape(minimum):
    """The names of its clusters; which of the equal features they hold does not matter."""
    return tuple(cluster.name for cluster in minimum.phase.clusters)


def lowest(density, clusters=None):
    """The lowest minimum, or the lowest one of a shape."""
    minima = minimize(ToyModel(2, [1.0] * 5, density), n_starts=16)
    return next(m for m in minima if clusters in (None, shape(m)))


expected = {
    0.01: PENTAGON,
    0.1: PENTAGON,
    0.2: PENTAGON,
    0.3: PAIRS,
    0.5: PAIRS,
    0.63: PAIRS,
    0.66: TRIANGLE,
    0.9: TRIANGLE,
    0.95: UNEVEN,
}
for density, clusters in expected.items():
    found = lowest(density)
    print(f"density {density:4}: {', '.join(shape(found))}; norms {found.feature_norm.round(3)}")
    assert shape(found) == clusters

for one, other, low, high, known in (
    (PENTAGON, PAIRS, 0.2245, 0.2253, 0.2248754494),
    (PAIRS, TRIANGLE, 0.644, 0.6446, 0.6442403645),
):
    density = brentq(lambda p: lowest(p, one).loss - lowest(p, other).loss, low, high, xtol=1e-11)  # noqa: B023
    sides = [lowest(density, clusters) for clusters in (one, other)]
    print(f"{', '.join(one)} | {', '.join(other)} at density {density:.10f}, loss {sides[0].loss:.10f}")
    print(f"    curvatures {sides[0].curvature:.4f} and {sides[1].curvature:.4f}: both are minima there")
    assert abs(density - known) < 1e-9 and min(side.curvature for side in sides) > 1e-3
