"""Four equal features in three dimensions form a tetrahedron from density 0.4954713590 up to 1, an antipodal pair when sparser.

At density 1, where x and 1 − x have one law, the tetrahedron ties with mirror images of it.
"""

from scipy.optimize import brentq

from phasediag import ToyModel, minimize

TETRAHEDRON = "extra in tetrahedron"
PAIR = "extra in antipodal pair + 2 dedicated"


def minima(density):
    return minimize(ToyModel(3, [1.0] * 4, density), n_starts=12)


def loss(density, phase):
    return next(m.loss for m in minima(density) if m.phase.name == phase)


start = brentq(lambda p: loss(p, TETRAHEDRON) - loss(p, PAIR), 0.45, 0.52, xtol=1e-13)
print(f"{PAIR} | {TETRAHEDRON} at density {start:.10f}")

for density in (0.01, 0.1, 0.3, start - 0.01, start + 0.01, 0.6, 0.8, 0.95, 0.99):
    found = minima(density)
    expected = TETRAHEDRON if density > start else PAIR
    gap = min(m.loss for m in found if m.phase.name != expected) / found[0].loss - 1
    print(f"density {density:.4f}: {found[0].phase.name}, {100 * gap:.4f} % below the next phase")
    assert found[0].phase.name == expected and gap > 0

tied = [m.phase.name for m in minima(1.0) if m.is_global]
print("density 1:", ", ".join(sorted(set(tied))), "have the same loss")
assert abs(start - 0.4954713590) < 1e-9 and TETRAHEDRON in tied and len(set(tied)) > 1
