"""Is the change from mono- to polysemantic of first order or continuous? 2→1 in a privileged basis: continuous but where dense.

The second weight of the neuron grows from 0 as features become rarer or more equal; above density 0.878675 it jumps, by a step
that vanishes there.
"""

import numpy as np
from matplotlib.figure import Figure

from phasediag import Axis, ControlPlane, NeuronModel, minimize, phase_diagram
from phasediag.figures import draw_phase_diagram

densities = [0.05, 0.08, 0.12, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.87, 0.88, 0.885, 0.9, 0.93, 0.96, 1.0]
plane = ControlPlane(
    NeuronModel(1, [1.0, 1.0], 0.5), x=Axis("importance", np.geomspace(0.1, 10, 12)), y=Axis("density", densities, log=False)
)
diagram = phase_diagram(plane=plane)
assert {name.split(" + ")[1] for name in diagram.phase.ravel()} == {"1 monosemantic", "1 polysemantic (2)"}

orders, turns = {"first": [], "continuous": []}, []
for curve in diagram.boundaries():
    assert np.ptp(curve.loss, axis=1).max() < 1e-8  # both phases' minima have one loss
    if "1 polysemantic (2)" in " ".join(curve.phases):
        orders[curve.order] += zip(curve.y, curve.jump, strict=True)
        turns += [curve.y[k] for k, end in zip((0, -1), curve.ends, strict=True) if end == "order changes"]
for order, points in orders.items():
    print(f"{order}: densities {min(points)[0]:.3f} to {max(points)[0]:.3f}, jumps up to {max(jump for _, jump in points):.2g}")
assert min(orders["continuous"])[0] == 0.05 and 0.86 < max(orders["continuous"])[0] < 0.8788
assert 0.8786 < min(orders["first"])[0] < 0.91 and max(orders["first"])[0] == 1.0
print(f"the order changes at density {np.mean(turns):.6f}")
assert len(turns) == 4 and np.allclose(turns, 0.878675, atol=1e-6)  # both curves of both features end there
(lowest, small), (second, larger) = sorted(
    {round(y, 6): jump for y, jump in orders["first"] if np.isclose(y, densities).any()}.items()
)[:2]
assert abs(lowest - small * (second - lowest) / (larger - small) - turns[0]) < 1e-4  # jumps fall to 0 in proportion

importances, density = np.linspace(0.36, 0.44, 9), 0.1
weights = [np.abs(minimize(NeuronModel(1, [1.0, i], density), n_starts=10)[0].weights).min() for i in importances]
line = ControlPlane(NeuronModel(1, [1.0, 1.0], 0.5), x=Axis("importance", importances), y=Axis("density", [density]))
(onset,) = phase_diagram(plane=line, n_starts=10).boundaries()[0].x
print(f"density {density:g}: the second weight is 0 up to importance {onset:.6f}; from 0.36 on: {np.round(weights, 3)}")
assert np.all((np.array(weights) > 1e-6) == (importances > onset)) and weights[-1] > 0.09 and np.all(np.diff(weights) > -1e-6)

figure = Figure(figsize=(9, 5), layout="constrained")
left, right = figure.subplots(1, 2)
legend = draw_phase_diagram(diagram, left)["legend"]
legend.remove()
figure.legend(handles=legend.legend_handles, loc="outside lower center", ncols=2)
right.plot(importances, weights, ".-")
right.axvline(onset, color="black", linestyle=":")
right.text(onset - 0.002, 0.05, "monosemantic", ha="right")
right.text(onset + 0.002, 0.09, "polysemantic", va="top")
right.set(
    xlabel="importance of the second feature", ylabel="the neuron's weight for it", title=f"density {density:g}: continuous"
)
figure.savefig("polysemantic.png")
