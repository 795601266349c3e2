"""Correlated features lie side by side where they are rare, and collapse to their sum where they are not: 6→2, three pairs.

The paper's experiment. A pair that collapses has both columns at (a + b)/√2 of one direction: it takes the place of one feature.
"""

import numpy as np
from matplotlib.figure import Figure
from scipy.optimize import brentq

from phasediag import Axis, ControlPlane, CorrelatedSets, ToyModel, minimize, phase_diagram
from phasediag.figures import draw_columns

PAIRS = [[0, 1], [2, 3], [4, 5]]
base = ToyModel(2, np.ones(6), 1.0, activity=CorrelatedSets(PAIRS))


def collapsed(weights):
    """How many pairs have one direction for both features."""
    directions = weights / np.maximum(np.linalg.norm(weights, axis=0), 1e-12)
    return sum(directions[:, i] @ directions[:, j] > 1 - 1e-6 for i, j in PAIRS)


line = ControlPlane(base, Axis("density", np.geomspace(0.02, 0.6, 13)))
diagram = phase_diagram(plane=line)
counts = np.array([collapsed(weights) for weights in diagram.weights[0]])
for count in range(4):
    shown = diagram.x[counts == count]
    if shown.size:
        print(f"density {shown[0]:.3f} to {shown[-1]:.3f}: {diagram.phase[0, counts == count][0]}")
assert all(("collapsed" in name) == (count > 0) for name, count in zip(diagram.phase[0], counts, strict=True))
assert counts[0] == 0 and counts[-1] == 3 and {0, 1, 2, 3} >= set(counts.tolist()) >= {0, 1, 3}

single = minimize(ToyModel(1, [1.0, 1.0], 0.3, activity=CorrelatedSets([[0, 1]])))[0]
print(f"2→1, one pair: W = {single.weights[0].round(6)}, loss {single.loss:.9f} = density/12")
assert np.allclose(np.abs(single.weights), 0.5**0.5, atol=1e-6) and abs(single.loss - 0.3 / 12) < 1e-12


def lead(density):
    """How far the lowest minimum with all pairs side by side lies above the lowest with one that has collapsed."""
    found = minimize(line.model(density, 0.0), n_starts=12)
    return np.subtract(*(min(m.loss for m in found if collapsed(m.weights) == count) for count in (0, 1)))


tip = brentq(lead, 0.05, 0.09, xtol=1e-5)
print(f"the first pair collapses at density {tip:.5f}: a first-order transition")
assert counts[diagram.x < tip].max() == 0 and counts[diagram.x > tip].min() >= 1

figure = Figure(figsize=(9, 3), layout="constrained")
for ax, k in zip(figure.subplots(1, 4), (0, 5, 8, 12), strict=True):
    draw_columns(diagram.weights[0, k], ax)
    ax.set_title(f"density {diagram.x[k]:.2f}\n{counts[k]} collapsed", fontsize="small")
figure.savefig("correlated_pairs.png")
