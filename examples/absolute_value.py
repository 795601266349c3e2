"""Computing |x|: 3→6 has a neuron for either sign of each feature; in 100→40 all neurons are polysemantic.

The paper's two cases. 100→40, importances 0.8^i: every neuron serves several features, and many inhibit with negative weights.
A short training computes most of its features for one sign alone.
"""

import sys

import numpy as np
from matplotlib.figure import Figure

from phasediag import NeuronModel, expected_loss_bounds, minimize, train

FULL = "--full" in sys.argv
few = NeuronModel(6, [1.0, 0.8, 0.64], 0.5, task="absolute")
run = train(few, n_models=4, n_steps=3000, batch_size=128, learning_rate=1e-2, weight_decay=0.0, schedule="linear", seed=0)
phase = run.phases[run.best]
print(f"3→6: {phase.name}, loss {run.loss[run.best]:.1e} of {few.loss_scale:.2f}")
assert phase.neurons == ("monosemantic",) * 6 and phase.features == ("computed",) * 3
assert minimize(NeuronModel(2, [1.0], 0.5, task="absolute"), n_starts=8)[0].loss < 1e-15  # a pair is exact

many = NeuronModel(40, 0.8 ** np.arange(100), 0.05, task="absolute")
options = dict(n_steps=20_000, batch_size=512) if FULL else dict(n_steps=1500, batch_size=128)
run = train(many, n_models=1, learning_rate=1e-2, weight_decay=0.0, schedule="linear", seed=0, **options)
phase, weights = run.phases[0], (run.decoder[0], run.encoder[0])
lower, upper = expected_loss_bounds(many, weights, run.bias[0], most_active=1)
print(f"100→40: {phase.n_monosemantic} monosemantic, {phase.n_polysemantic} polysemantic; {phase.motifs}; loss {run.loss[0]:.4f}")
print(f"the loss lies between {lower:.4f} and {upper:.4f}")
assert phase.n_polysemantic == 40 and "inhibition" in phase.motifs and run.loss[0] < 0.8 * many.loss_scale
assert lower < run.loss[0] < upper

figure = Figure(figsize=(10, 4), layout="constrained")
for ax, (encoder, decoder) in zip(figure.subplots(1, 2), [(run.encoder[0], run.decoder[0].T)] * 2, strict=True):
    image = encoder if ax is figure.axes[0] else decoder
    order = np.argsort(np.argmax(np.abs(encoder), axis=1))
    ax.imshow(image[order][:, :30], cmap="RdBu", vmin=-1.5, vmax=1.5, aspect="auto")
    ax.set(xlabel="feature", ylabel="neuron", title="reads" if image is encoder else "writes")
figure.savefig("absolute_value.png")
