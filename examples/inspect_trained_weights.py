"""Three trained models told apart: one at the global minimum, one in a metastable minimum, one not converged.

The weights may come from anywhere; from a file, ``phasediag inspect weights.npz --density 0.1 --importance 0.5`` says the same.
"""

import numpy as np

from phasediag import ToyModel, inspect, train

model = ToyModel(n_hidden=2, importance=[1, 1, 0.5], density=0.1)
run = train(model, n_models=6, n_steps=10_000, batch_size=1024, seed=0)
found = [inspect(model, weights, bias) for weights, bias in zip(run.weights, run.bias, strict=True)]
stuck = next(one for one in found if one.metastable)
best = min(found, key=lambda one: one.loss)
early = run.recorded_steps.tolist().index(np.max(run.recorded_steps[run.recorded_steps < 300]))
unfinished = inspect(model, run.recorded_weights[early, 0], run.recorded_bias[early, 0])

for name, one in (("best", best), ("stuck", stuck), (f"after {run.recorded_steps[early]} steps", unfinished)):
    print(f"{name}: {one.phase.name}")
    print(f"    loss {one.loss:.10f} ± {one.loss_error:.0e}, {one.excess:.3%} above its basin, gap {one.gap:.2e}")
    print(f"    nearest minimum at distance {one.distance:.4f}, lowest curvature {one.nearest.curvature:.3f}")
    print(f"    converged: {one.converged}, metastable: {one.metastable}")
assert best.converged and not best.metastable and stuck.converged and not unfinished.converged
assert stuck.nearest.curvature > 0.1  # a minimum of its own, which no small step leaves

# Its loss arises when both features of the pair are active; the third, in its own dimension, is then inactive or not.
both_active = stuck.terms.by_active[2] / stuck.loss
print(f"{both_active:.1%} of the stuck model's loss comes from inputs with exactly two active features")
assert abs(both_active - (1 - model.density)) < 0.01
