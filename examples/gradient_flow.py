"""From small random weights gradient flow of 2→1 finds the antipodal pair less than half of the time: an open problem (MAIS O50).

No sampling: the exact flow from biases of 0 ends where its first direction says, and the share of directions is a number.
"""

import numpy as np
from matplotlib.figure import Figure
from scipy.integrate import solve_ivp

from phasediag import ToyModel, expected_loss_and_gradient, minimize


def is_pair(model, radius, angle):
    """Whether the flow from weights radius · (cos, sin) ends in the antipodal pair: weights of opposite sign, both present."""

    def downhill(_, point):
        _, weights, bias = expected_loss_and_gradient(model, point[None, :2], point[2:])
        return -np.concatenate([weights[0], bias])

    start = [radius * np.cos(angle), radius * np.sin(angle), 0.0, 0.0]
    end = solve_ivp(downhill, (0, 60 / model.density), start, method="LSODA", rtol=1e-4, atol=1e-7).y[:2, -1]
    return end[0] * end[1] < -0.01


def probability(density, radius):
    """Share of directions from which equal features end as a pair: by symmetry the first below an angle in [−45°, 45°]."""
    model = ToyModel(n_hidden=1, importance=[1.0, 1.0], density=density)
    low, high = -np.pi / 4, np.pi / 4
    while high - low > 2e-3:
        middle = (low + high) / 2
        low, high = (middle, high) if is_pair(model, radius, middle) else (low, middle)
    return 0.5 + low / (np.pi / 2)


densities = (0.02, 0.1, 0.3, 0.5, 0.9)
small = [probability(p, 0.01) for p in densities]
for p, share in zip(densities, small, strict=True):
    lowest = minimize(ToyModel(n_hidden=1, importance=[1.0, 1.0], density=p), n_starts=8)[0]
    print(f"density {p:g}: {share:.4f} of small starts end as a pair, which is the global minimum's phase: {lowest.phase.name}")
assert np.all(np.diff(small) < 0) and 0.499 < small[0] < 0.5 and 0.35 < small[-1] < 0.37
assert abs(probability(0.5, 0.001) - small[3]) < 2e-3  # the limit of small weights is reached

# N(0, 1): the angle depends on the radius, whose density is r exp(−r²/2); Gauss–Laguerre in r²/2
nodes, weights = np.polynomial.laguerre.laggauss(3)
wide = sum(w * probability(0.5, np.sqrt(2 * x)) for x, w in zip(nodes, weights, strict=True))
rng = np.random.default_rng(0)
model = ToyModel(n_hidden=1, importance=[1.0, 1.0], density=0.5)
sampled = np.mean([is_pair(model, np.hypot(*w), np.arctan2(w[1], w[0])) for w in rng.normal(size=(40, 2))])
print(f"density 0.5, weights of N(0, 1): {wide:.3f}; 40 flows: {sampled:.3f}")
assert abs(sampled - wide) < 4 * np.sqrt(wide * (1 - wide) / 40) and wide > small[3]

figure = Figure(figsize=(5, 3.5), layout="constrained")
ax = figure.subplots()
ax.plot(densities, small, "o-")
ax.set(xlabel="density", ylabel="share that ends as an antipodal pair", ylim=(0.3, 0.52))
figure.savefig("gradient_flow.png")
