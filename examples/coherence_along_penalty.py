"""A growing penalty on interference first raises the coherence of 5→2, 0.809 to 1, then ends it: MAIS O44, an open problem."""

import numpy as np
from matplotlib.figure import Figure

from phasediag import Penalty, ToyModel, minimize

DENSITY = 0.05


def minima(penalty, density=DENSITY):
    """Distinct minima of five equal features in two dimensions, lowest first."""
    return minimize(ToyModel(2, np.ones(5), density, penalty=Penalty(interference=penalty)), n_starts=8)


def coherence(weights):
    """Largest |cos| between two features that are represented."""
    columns = weights[:, np.linalg.norm(weights, axis=0) > 1e-6]
    columns = columns / np.linalg.norm(columns, axis=0)
    products = np.abs(columns.T @ columns) - np.eye(columns.shape[1])
    return products.max()


def change(low, high):
    """The penalty between two at which the coherence changes, by halving."""
    before, after = (coherence(minima(x)[0].weights) for x in (low, high))
    assert abs(after - before) > 0.1
    while high - low > 2e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if abs(coherence(minima(middle)[0].weights) - before) < 0.1 else (low, middle)
    return low


penalties = np.geomspace(1e-4, 0.1, 10)
along = [coherence(minima(x)[0].weights) for x in penalties]
for x, value in zip(penalties, along, strict=True):
    print(f"λ = {x:.5f}: coherence {value:.6f}")

first, second = change(0.0025, 0.0026), change(0.0146, 0.0148)
print(f"pentagon | two pairs at λ = {first:.5f}, two pairs | two dedicated at λ = {second:.5f}")
assert np.allclose(along, np.select([penalties < first, penalties < second], [abs(np.cos(0.8 * np.pi)), 1.0]), atol=1e-7)

# pairs end where 2→1 ends them, each alone in its dimension
models = [ToyModel(1, [1.0, 1.0], DENSITY, penalty=Penalty(interference=second + x)) for x in (-4e-6, 4e-6)]
alone = [minimize(model, n_starts=16)[0] for model in models]
assert ["pair" in one.phase.name for one in alone] == [True, False]

figure = Figure(figsize=(5, 3.5), layout="constrained")
ax = figure.subplots()
ax.step(penalties, along, where="mid")
ax.set(xscale="log", xlabel="interference penalty λ", ylabel="coherence of the least minimum")
figure.savefig("coherence_along_penalty.png")
