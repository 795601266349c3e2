"""Why not all three features in superposition? Once weights and biases may adjust, 3→2 does store them as a triangle.

W ⊥ [1, 1, 1] never wins with frozen weights. When every pattern descends (relaxed theory) it wins around importance 1 at high
density, there it is the minimum over all weights and biases (global theory), and the margin over the paper's patterns is 5.8 %.
"""

import numpy as np
from scipy.optimize import brentq, minimize_scalar

from phasediag import ToyModel, minimize, phase_diagram

TRIANGLE = "extra in triangle"


def gain(importance, density, theory="relaxed"):
    """Relative gain of the triangle over the best of the other patterns; negative where it loses."""
    diagram = phase_diagram(3, 2, importance=[importance], density=[density], theory=theory)
    losses = dict(zip(diagram.candidates, diagram.candidate_loss[:, 0, 0], strict=True))
    triangle = losses.pop(TRIANGLE)
    return 1 - triangle / min(losses.values())


window = {"importance": np.geomspace(0.4, 2.0, 33), "density": np.geomspace(0.4, 1.0, 25)}
for theory in ("frozen", "relaxed", "global"):
    diagram = phase_diagram(3, 2, theory=theory, **window)
    density, importance = (axis[k] for axis, k in zip((diagram.density, diagram.importance), np.nonzero(diagram.phase == TRIANGLE)))
    where = "nowhere"
    if density.size:
        where = f"importance {importance.min():.3f} to {importance.max():.3f}, density {density.min():.3f} to {density.max():.3f}"
    print(f"{theory:8} the triangle is lowest {where} ({density.size} of {diagram.phase.size} cells)")
    assert (density.size == 0) == (theory == "frozen")

tip = brentq(lambda p: gain(1.0, p), 0.4, 0.6, xtol=1e-13)
print(f"at importance 1 from density {tip:.10f} on; there it ties with both antipodal pairs")
assert abs(tip - 0.5218376591) < 1e-9


def reach(density):
    """The highest importance at which the triangle wins."""
    return brentq(lambda importance: gain(importance, density), 1.0, 2.0, xtol=1e-12)


end = minimize_scalar(lambda p: -reach(p), bounds=(0.6, 0.7), method="bounded", options={"xatol": 1e-5})
print(f"it reaches importance {-end.fun:.8f}, at density {end.x:.4f}")

best = minimize_scalar(lambda p: -gain(1.0, p), bounds=(0.55, 0.9), method="bounded", options={"xatol": 1e-6})
sides = [gain(importance, best.x) for importance in (0.999, 1.001)]
print(f"largest gain {100 * -best.fun:.4f} %, at importance 1, density {best.x:.4f}")
lowest = minimize(ToyModel(2, [1.0, 1.0, 1.0], best.x))[0]
print(f"global loss there {lowest.loss:.10f}: {lowest.phase.name}, norms {lowest.feature_norm.round(4)}, bias {lowest.bias.round(4)}")
assert lowest.phase.name == TRIANGLE and np.ptp(lowest.feature_norm) < 1e-9
print(sides,-best.fun)
