"""The antipodal pair dies before the ReLU has become the identity, unless both features matter alike: 2→1 along the slope.

A leaky ReLU of slope α is the ReLU at 0 and the linear model at 1, which never gains from superposition.
"""

import numpy as np
from matplotlib.figure import Figure
from scipy.optimize import brentq

from phasediag import Axis, ControlPlane, ToyModel, minimize, phase_diagram
from phasediag.figures import draw_phase_diagram

PAIR, DROPPED = "extra in antipodal pair", "extra not represented + dedicated"
base = ToyModel(1, [1.0, 0.5], 0.1, "leaky", slope=0.0)
plane = ControlPlane(base, Axis("slope", np.linspace(0, 1, 21), log=False), Axis("density", np.geomspace(0.02, 1, 16)))
diagram = phase_diagram(plane=plane)
print("importance 0.5:", ", ".join(sorted(set(diagram.phase[:, :-1].ravel()))))
assert diagram.phase[0, 0] == PAIR and np.all(diagram.phase[:, -1] == DROPPED)
for row in diagram.phase:  # at each density the pair ends once, for good
    pairs = np.flatnonzero(row == PAIR)
    assert pairs.size == 0 or pairs[-1] == pairs.size - 1


def left(slope, importance, density):
    """How far the lowest minimum lies below the loss of a dropped extra feature, relative to it."""
    model = ToyModel(1, [1.0, importance], density, "leaky", slope=slope)
    return 1 - minimize(model, n_starts=4)[0].loss / (importance * model.feature_variance[1]) - 1e-9


for density in (0.05, 0.1, 0.2):
    ends = {x: brentq(left, 0.0, 0.9999, args=(x, density), xtol=1e-6) for x in (0.3, 0.5, 0.7)}
    print(f"density {density:g}: the pair dies at slope", ", ".join(f"{end:.4f} (importance {x:g})" for x, end in ends.items()))
    assert 0 < ends[0.3] < ends[0.5] < ends[0.7] < 1

alike = [minimize(ToyModel(1, [1.0, 1.0], 0.1, "leaky", slope=slope), n_starts=8)[0] for slope in (0.5, 0.9, 0.99)]
print("equal features keep it:", ", ".join(one.phase.name for one in alike))
assert all(one.phase.name == PAIR for one in alike)

figure = Figure(figsize=(8, 4), layout="constrained")
draw_phase_diagram(diagram, ax := figure.subplots(), curves=False)
ax.set_title("2→1, importance 0.5")
figure.savefig("leaky_slope.png")
