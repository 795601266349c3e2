"""Computing |x| of three features with six neurons: training finds the exact solution, one neuron for either sign of a feature.

The paper's basic case, 3→6. A pair reads x and −x and writes both with the same sign: |x| = x⁺ + (−x)⁺.
"""

from matplotlib.figure import Figure

from phasediag import NeuronModel, minimize, train
from phasediag.figures import draw_neurons

model = NeuronModel(6, [1.0, 0.8, 0.64], 0.5, task="absolute")
run = train(model, n_models=4, n_steps=3000, batch_size=128, learning_rate=1e-2, weight_decay=0.0, schedule="linear", seed=0)
phase = run.phases[run.best]
print(f"{phase.name}, loss {run.loss[run.best]:.1e} of {model.loss_scale:.2f} with no output")
assert phase.neurons == ("monosemantic",) * 6 and phase.features == ("computed",) * 3
assert minimize(NeuronModel(2, [1.0], 0.5, task="absolute"), n_starts=8)[0].loss < 1e-15  # a pair is exact

figure = Figure(figsize=(6, 3.5), layout="constrained")
ax = figure.subplots()
draw_neurons((run.decoder[run.best], run.encoder[run.best]), ax)
ax.set_title("left bars: what a neuron reads; hatched: what it writes")
ax.legend(ncols=3, loc="lower center", bbox_to_anchor=(0.5, -0.35), frameon=False)
figure.savefig("absolute_value_pairs.png")
