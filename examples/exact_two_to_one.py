"""Near importance 1 and high density, exact 2→1 stores two features as an antipodal pair of unequal lengths.

The frozen picture has a triple point at (1, 4/7). Over all weights and biases, at importance 1 the pair of equal lengths loses
at density 0.7064036927 to a pair of unequal ones; which of the two features is the longer jumps across importance 1 (a
first-order line up to density 1), and at density 1 aligned and antipodal pairs tie.
"""

import numpy as np
from scipy.optimize import brentq

from phasediag import ToyModel, minimize


def minima(importance, density):
    return minimize(ToyModel(1, [1.0, importance], density), n_starts=8)


def pair(density, *, equal):
    """The lowest antipodal pair with lengths that are equal or not, at importance 1."""
    pairs = [m for m in minima(1.0, density) if m.phase.name == "extra in antipodal pair"]
    return next(m for m in pairs if (np.ptp(m.feature_norm) < 1e-6) == equal)


triple = brentq(lambda p: pair(p, equal=True).loss - pair(p, equal=False).loss, 0.704, 0.709, xtol=1e-13)
one, other = pair(triple, equal=True), pair(triple, equal=False)
print(f"importance 1, density {triple:.10f}: loss {one.loss:.10f}")
print("    equal lengths  ", one.feature_norm.round(5), "unequal", np.sort(other.feature_norm).round(5))
assert abs(triple - 0.7064036927) < 1e-9 and min(one.curvature, other.curvature) > 0.005  # two minima cross

for density in (0.75, 0.85, 0.95):
    below, above = minima(1 - 1e-6, density)[0], minima(1 + 1e-6, density)[0]
    jump = below.feature_loss[-1] - above.feature_loss[-1]
    print(f"density {density}: length of the extra feature {below.feature_norm[-1]:.5f} | {above.feature_norm[-1]:.5f}")
    print(f"    across importance 1, latent loss {jump:.6f}")
    assert jump > 0.05 and 0 < below.feature_norm[-1] < 0.6 < above.feature_norm[-1]

full = minima(1.0, 1.0)
tied = {m.phase.name for m in full if m.is_global}
print(f"density 1: loss {full[0].loss:.10f} for", " and ".join(sorted(tied)))
assert tied == {"extra in antipodal pair", "extra in aligned pair"} and np.ptp([m.loss for m in full if m.is_global]) < 1e-12
