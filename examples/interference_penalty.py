"""A penalty λ Σ (W_i·W_j)² ends the antipodal pair of 2→1: λ_c(importance, density), an open problem's surface (MAIS O51).

λ_c is highest at equal features and at a density between: rare features are not worth a penalty, dense ones not a pair.
"""

import numpy as np
from matplotlib.figure import Figure

from phasediag import Axis, ControlPlane, Penalty, ToyModel, minimize, phase_diagram
from phasediag.figures import draw_phase_diagram

PAIR = "extra in antipodal pair"


def gain(penalty, importance, density):
    """How far the lowest antipodal pair lies below what is lost without the lesser feature."""
    model = ToyModel(1, [1.0, importance], density, penalty=Penalty(interference=penalty))
    losses = [minimum.loss for minimum in minimize(model, n_starts=4) if minimum.phase.name == PAIR]
    return min(importance, 1.0) * model.feature_variance[1] - min(losses, default=np.inf)


def critical(importance, density):
    """λ_c: where the pair ceases to be the lowest, by halving between what it survives and what it does not."""
    low, high = 0.0, 0.1
    while high - low > 1e-7:
        middle = (low + high) / 2
        low, high = (middle, high) if gain(middle, importance, density) > 1e-12 else (low, middle)
    return low


surface = {(x, p): critical(x, p) for x in (0.3, 0.5, 1.0) for p in (0.05, 0.2, 0.4)}
for (x, p), value in surface.items():
    print(f"importance {x:g}, density {p:g}: λ_c = {value:.6f}")
assert all(surface[0.3, p] < surface[0.5, p] < surface[1.0, p] for p in (0.05, 0.2, 0.4))
assert surface[1.0, 0.05] < surface[1.0, 0.2] and surface[0.3, 0.4] < surface[0.3, 0.2]

plane = ControlPlane(ToyModel(1, [1.0, 0.5], 0.5), Axis("density", np.geomspace(0.02, 1, 17)),
                     Axis("interference_penalty", np.linspace(0, 0.03, 16), log=False))  # fmt: skip
diagram = phase_diagram(plane=plane)
for column, p in enumerate(diagram.x):  # the pair is lowest below λ_c, and nowhere above
    pairs = np.flatnonzero(diagram.phase[:, column] == PAIR)
    assert pairs.size == 0 or pairs[-1] == pairs.size - 1
    if pairs.size and column % 4 == 2:
        assert diagram.y[pairs[-1]] <= critical(0.5, p) < diagram.y[pairs[-1] + 1]

figure = Figure(figsize=(8, 4), layout="constrained")
draw_phase_diagram(diagram, ax := figure.subplots(), curves=False)
ax.set_title("2→1, importance 0.5")
figure.savefig("interference_penalty.png")
