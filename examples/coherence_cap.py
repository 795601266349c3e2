"""Under a cap on coherence 3→2 stores two features, from ½ on a triangle, then a Y that opens: MAIS O4, an open problem."""

from itertools import product

import numpy as np
from matplotlib.figure import Figure
from scipy.optimize import minimize as constrained

from phasediag import ToyModel, expected_loss_and_gradient, minimize


def least(model, cap, angles):
    """Least loss with |cos| ≤ cap between the represented features, from columns at `angles`; others add their variances."""
    n = len(angles)
    first, second = np.triu_indices(n, 1)
    kept = ToyModel(2, np.ones(n), model.density)

    def loss(point):
        value, weights, bias = expected_loss_and_gradient(kept, point[: 2 * n].reshape(2, n), point[2 * n :])
        return value, np.concatenate([weights.ravel(), bias])

    def room(point):
        gram = point[: 2 * n].reshape(2, n).T @ point[: 2 * n].reshape(2, n)
        return cap**2 * gram[first, first] * gram[second, second] - gram[first, second] ** 2

    start = np.concatenate([np.cos(angles), np.sin(angles), np.full(n, -0.02)])
    end = constrained(loss, start, jac=True, constraints={"type": "ineq", "fun": room}, options={"maxiter": 300, "ftol": 1e-12})
    feasible = room(end.x).min() > -1e-9 and np.linalg.norm(end.x[: 2 * n].reshape(2, n), axis=0).min() > 0.1
    return end.fun + (model.n_features - n) * model.feature_variance[0] if feasible else np.inf


def profile(n, density, caps):
    """Least loss of n → 2 at each cap: two features at a right angle, without loss, or more from directions on a lattice."""
    model = ToyModel(2, np.ones(n), density)
    starts = [np.cumsum([0.0, *steps]) for k in range(3, n + 1) for steps in product((60.0, 90.0, 144.0), repeat=k - 1)
              if 200 <= sum(steps) <= 320 and steps <= steps[::-1]]  # fmt: skip
    starts += [np.arange(k) * 360.0 / k for k in range(3, n + 1)]
    worst = (n - 2) * model.feature_variance[0]
    values = [min(worst, *(least(model, cap, np.radians(angles)) for angles in starts)) for cap in caps]
    return np.minimum.accumulate(values), model


caps = np.array([0.3, 0.49, 0.5001, 0.6, 0.75, 0.9, 0.97, 1.0])
three, model = profile(3, 0.2, caps)
lowest = {one.phase.name: one.loss for one in minimize(model, n_starts=16)}
print("3→2, density 0.2, least loss under", *(f"{cap:g}: {value:.8f}" for cap, value in zip(caps, three, strict=True)))
assert np.allclose(three[:2], model.feature_variance[0], rtol=1e-9)  # two features are stored without loss, one is not
assert abs(three[2] - lowest["extra in triangle"]) < 1e-6 and np.all(np.diff(three[3:]) < 0)  # the triangle, then Y
assert abs(three[-1] - lowest["extra in antipodal pair + dedicated"]) < 1e-8

five, model = profile(5, 0.05, np.array([0.49, 0.82, 1.0]))
print("5→2, density 0.05, coherence ≤ 0.49, 0.82, 1:", five)
assert abs(five[0] - 3 * model.feature_variance[0]) < 1e-9 and np.ptp(five[1:]) < 1e-8  # the pentagon from |cos 144°| on

figure = Figure(figsize=(5, 3.5), layout="constrained")
ax = figure.subplots()
ax.plot(caps, three, "o-")
ax.set(xlabel="cap on the coherence", ylabel="least loss of 3→2, density 0.2")
figure.savefig("coherence_cap.png")
