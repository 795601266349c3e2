"""The frozen 2→1 boundary is density = 4·importance/(5·importance + 2) and ends in the triple point (1, 4/7)."""

import numpy as np
import sympy

from phasediag import frozen_boundaries, phase_diagram

boundaries, (triple,) = frozen_boundaries(2, 1)
(exact,) = [b for b in boundaries if b.patterns == ("W = [1, 0]", "W = [1, −1]")]
print("exact:  ", exact.equation.lhs, "=", exact.equation.rhs)
print("        ", "ends at importance", triple.importance, "density", triple.density)
assert (triple.importance, triple.density) == (1, sympy.Rational(4, 7))

(curve,) = [b for b in phase_diagram(2, 1, theory="frozen").boundaries() if b.phases == exact.phases]
error = np.max(np.abs(curve.density - 4 * curve.importance / (5 * curve.importance + 2)))
print(f"followed: {curve.importance.size} points, at most {error:.1e} from it")
assert error < 1e-14
