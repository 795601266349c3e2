"""Features that are always 1 when active share a direction from density 1/2 on; uniform ones hardly ever do: 2→1.

At importance 1 the antipodal and the aligned pair tie at density 1/2; in 3→2 the triangle ties there with three features that
lie askew. Uniform values have no such ties.
"""

import numpy as np
from matplotlib.figure import Figure

from phasediag import Axis, ControlPlane, ToyModel, minimize, phase_diagram
from phasediag.figures import draw_phase_diagram

ANTIPODAL, ALIGNED = "extra in antipodal pair", "extra in aligned pair"
importance, density = np.geomspace(0.3, 3, 21), np.linspace(0.1, 0.9, 17)

figure = Figure(figsize=(13, 4), layout="constrained")
won = {}
for ax, values in zip(figure.subplots(1, 2), ("uniform", "binary"), strict=True):
    base = ToyModel(1, [1.0, 1.0], 0.5, values=values)
    plane = ControlPlane(base, Axis("importance", importance), Axis("density", density, log=False))
    diagram = phase_diagram(plane=plane)
    draw_phase_diagram(diagram, ax, curves=False)
    ax.set_title(f"2→1, {values} values")
    won[values] = diagram.phase[:, 10]  # importance 1
    print(f"{values}: aligned in {100 * np.mean(np.char.find(diagram.phase.astype(str), ALIGNED) >= 0):.0f} % of the cells")
figure.savefig("binary_values.png")

assert np.all(won["binary"][density < 0.49] == ANTIPODAL) and np.all(won["binary"][density > 0.51] == ALIGNED)
assert np.all(won["uniform"] == ANTIPODAL)

for n, m in ((2, 1), (3, 2)):
    first, second = minimize(ToyModel(m, np.ones(n), 0.5, values="binary"))[:2]
    print(f"{n}→{m} at density 1/2: {first.phase} = {second.phase}, loss {first.loss:.12f}")
    assert abs(first.loss / second.loss - 1) < 1e-10 and first.phase.name != second.phase.name
    lowest, next_one = minimize(ToyModel(m, np.ones(n), 0.5))[:2]
    print(f"    with uniform values: {lowest.phase}, {100 * (next_one.loss / lowest.loss - 1):.3g} % below the next")
    assert next_one.loss / lowest.loss > 1.01
