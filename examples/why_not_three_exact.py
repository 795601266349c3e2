"""Why not all three features in superposition? Once weights and biases may adjust, 3→2 does store them as a triangle.

W ⊥ [1, 1, 1] never wins with frozen weights. With the lowest minimum of every pattern (relaxed theory) it wins around
importance 1 at high density, as over all weights and biases (global theory). The paper's patterns then lose by up to 5.9 %.
"""

import numpy as np
from scipy.optimize import brentq, minimize_scalar

from phasediag import ToyModel, minimize, phase_diagram

TRIANGLE = "extra in triangle"


def gain(importance, density):
    """Relative gain of the triangle's pattern over the best of the others, all of them relaxed; 0 where it falls to one."""
    diagram = phase_diagram(3, 2, importance=[importance], density=[density], theory="relaxed")
    losses = dict(zip(diagram.candidates, diagram.candidate_loss[:, 0, 0], strict=True))
    triangle = losses.pop(TRIANGLE)
    return 1 - triangle / min(losses.values())


window = {"importance": np.geomspace(0.4, 2.0, 17), "density": np.geomspace(0.4, 1.0, 13)}
for theory in ("frozen", "relaxed", "global"):
    diagram = phase_diagram(3, 2, theory=theory, **window)
    won = diagram.importance[np.any(diagram.phase == TRIANGLE, axis=0)]
    print(f"{theory}: the triangle is lowest at importance", f"{won[0]:.3f} to {won[-1]:.3f}" if won.size else "none")
    assert (won.size == 0) == (theory == "frozen")


def lead(density):
    """How far the triangle, metastable or not, lies below the lowest of the other minima at importance 1."""
    found = minimize(ToyModel(2, [1.0, 1.0, 1.0], density), n_starts=8)
    triangle = next(minimum.loss for minimum in found if minimum.phase.name == TRIANGLE)
    return min(minimum.loss for minimum in found if minimum.phase.name != TRIANGLE) - triangle


tip = brentq(lead, 0.5, 0.55, xtol=1e-13)  # where it ties with both antipodal pairs
print(f"at importance 1 from density {tip:.10f} on")
assert abs(tip - 0.5218376591) < 1e-9


def best_density(importance):
    return minimize_scalar(lambda p: -gain(importance, p), bounds=(0.55, 0.9), method="bounded", options={"xatol": 1e-4})


end = phase_diagram(3, 2, importance=np.linspace(1.4455, 1.4465, 11), density=[0.659])
farthest = end.importance[end.phase[0] == TRIANGLE].max()
print(f"it reaches importance {farthest:.4f}, at density 0.659")
assert abs(farthest - 1.4459) < 1e-6

best = minimize_scalar(lambda x: best_density(x).fun, bounds=(0.8, 1.25), method="bounded", options={"xatol": 1e-6})
density = best_density(best.x).x
print(f"largest gain {-100 * best.fun:.4f} %, at importance {best.x:.6f}, density {density:.4f}")
assert abs(best.x - 1) < 1e-5 and abs(-best.fun - 0.05929) < 1e-5

lowest = minimize(ToyModel(2, [1.0, 1.0, 1.0], density))[0]
print(f"global loss there {lowest.loss:.10f}: {lowest.phase}, norms {lowest.feature_norm.round(4)}")
assert lowest.phase.name == TRIANGLE and np.ptp(lowest.feature_norm) < 1e-9
