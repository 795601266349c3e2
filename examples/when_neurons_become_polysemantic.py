"""Is the change from mono- to polysemantic of first order or continuous? 2→1 in a privileged basis: continuous but where dense.

The second weight of the neuron grows from 0 as a feature becomes rarer or more equal; near density 1 it jumps.
"""

import numpy as np
from matplotlib.figure import Figure

from phasediag import Axis, ControlPlane, NeuronModel, minimize, phase_diagram
from phasediag.figures import draw_phase_diagram

base = NeuronModel(1, [1.0, 1.0], 0.5)
plane = ControlPlane(
    base, x=Axis("importance", np.geomspace(0.1, 10, 18)), y=Axis("density", [0.05, 0.1, 0.2, 0.4, 0.6, 0.75, 0.85, 0.92, 1.0])
)
diagram = phase_diagram(plane=plane)
assert {name.split(" + ")[1] for name in diagram.phase.ravel()} == {"1 monosemantic", "1 polysemantic (2)"}

orders = {"first": [], "continuous": []}
for boundary in diagram.boundaries():
    orders[boundary.order] += zip(boundary.x, boundary.y, boundary.jump, strict=True)
dense = min(y for _, y, _ in orders["first"])
for order, points in orders.items():
    print(f"{order}: {len(points)} crossings, densities {min(p[1] for p in points):.3f} to {max(p[1] for p in points):.3f}")
assert dense > 0.7 and all(jump > 0.02 for *_, jump in orders["first"])
assert min(y for _, y, _ in orders["continuous"]) < 0.06

importances, density = np.linspace(0.36, 0.44, 9), 0.1
weights = [np.abs(minimize(NeuronModel(1, [1.0, i], density), n_starts=10)[0].weights).min() for i in importances]
onset = importances[np.flatnonzero(np.array(weights) > 1e-6)[0]]
print(f"density {density:g}: the second weight is 0 up to importance {onset:.3f} and grows from there: {np.round(weights, 3)}")
assert weights[0] < 1e-6 and weights[-1] > 0.09 and np.all(np.diff(weights) > -1e-6)

figure = Figure(figsize=(9, 4), layout="constrained")
left, right = figure.subplots(1, 2)
draw_phase_diagram(diagram, left, curves=False)
for order, marker in (("first", "o"), ("continuous", ".")):
    left.plot(*np.transpose(orders[order])[:2], marker, color="black", ms=4, label=order)
left.legend(title="order", loc="lower left")
right.plot(importances, weights, ".-")
right.set(xlabel="importance of the second feature", ylabel="its weight", title=f"density {density:g}")
figure.savefig("polysemantic.png")
