"""Five equal features in two dimensions: pentagon when sparse, then two antipodal pairs, then a triangle, as density grows.

The two pairs leave one feature out, the triangle two. Each change is first order: two minima cross, at the densities solved here.
"""

from scipy.optimize import brentq

from phasediag import ToyModel, minimize

PENTAGON = "extra in pentagon"
PAIRS = "extra not represented + 2 antipodal pairs"
TRIANGLE = "extra not represented + triangle + not represented"


def lowest(density, phase=None):
    """The lowest minimum, or the lowest one of a phase."""
    minima = minimize(ToyModel(2, [1.0] * 5, density), n_starts=12)
    return next(m for m in minima if phase in (None, m.phase.name))


def crossing(one, other, low, high):
    return brentq(lambda p: lowest(p, one).loss - lowest(p, other).loss, low, high, xtol=1e-12)


for density, phase in ((0.01, PENTAGON), (0.1, PENTAGON), (0.2, PENTAGON), (0.3, PAIRS), (0.5, PAIRS), (0.7, TRIANGLE), (0.9, TRIANGLE)):
    found = lowest(density)
    print(f"density {density:4}: {found.phase.name}, norms {found.feature_norm.round(3)}")
    assert found.phase.name == phase

for one, other, low, high in ((PENTAGON, PAIRS, 0.2, 0.3), (PAIRS, TRIANGLE, 0.6, 0.7)):
    density = crossing(one, other, low, high)
    sides = [lowest(density, phase) for phase in (one, other)]
    print(f"{one} | {other} at density {density:.9f}")
    print(f"    loss {sides[0].loss:.10f}, curvatures {sides[0].curvature:.4f} and {sides[1].curvature:.4f}: both are minima")
    assert min(side.curvature for side in sides) > 1e-4
