"""An antipodal pair stores two features that are never active together without any loss, at every density.

Independent features pay for being active together, correlated ones do nothing else: the least loss of 2→1 along the density.
"""

import numpy as np
from matplotlib.figure import Figure

from phasediag import AnticorrelatedSets, Axis, ControlPlane, CorrelatedSets, ToyModel, expected_loss, phase_diagram

LAWS = {"anticorrelated": AnticorrelatedSets([[0, 1]]), "independent": None, "correlated": CorrelatedSets([[0, 1]])}
PAIR = [[1.0, -1.0]], [0.0, 0.0]
LOWEST = 1e-6  # of the axis
density = np.geomspace(0.02, 1, 40)
k = np.searchsorted(density, 0.3)

figure = Figure(figsize=(7, 4.5), layout="constrained")
ax = figure.subplots()
least = {}
for name, activity in LAWS.items():
    line = ControlPlane(ToyModel(1, [1.0, 1.0], 1.0, activity=activity), Axis("density", density))
    diagram = phase_diagram(plane=line)
    least[name] = diagram.loss[0]
    if np.all(np.abs(least[name]) < 1e-25):  # on the edge: a logarithmic axis has no 0
        ax.axhline(LOWEST, linewidth=6, color="C2", label=f"{name}: {diagram.phase[0, 0]}")
        ax.annotate(f"{name}: 0 at every density", (0.02, LOWEST), (0, 8), textcoords="offset points")
    else:
        ax.plot(density, least[name], label=f"{name}: {diagram.phase[0, 0]}")
    model = line.model(density[k], 0.0)
    print(f"{name}: at density {density[k]:.2f} features are active with correlation {model.activity_correlation[0, 1]:+.3f},")
    print(f"    W = (1, −1) has loss {expected_loss(model, *PAIR):.6g}, the least loss is {least[name][k]:.6g}")

assert all(expected_loss(ToyModel(1, [1.0, 1.0], p, activity=LAWS["anticorrelated"]), *PAIR) == 0 for p in density)
assert np.all(np.abs(least["anticorrelated"]) < 1e-25)
sparse = density < 0.3
assert np.allclose(least["correlated"][sparse], density[sparse] / 12, rtol=1e-9)  # collapsed: one direction for their sum
assert np.all(least["independent"] > 1e-4)

ax.set(xscale="log", yscale="log", ylim=(LOWEST, 0.2), xlabel="density", ylabel="least loss")
ax.set_title("two equal features in one dimension")
ax.legend(title="where sparse", frameon=False, loc="lower right", bbox_to_anchor=(1, 0.1))
figure.savefig("anticorrelated_pair.png")
