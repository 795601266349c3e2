"""Computing |x|: 3→6 has a neuron for either sign of a feature; 100→40 pairs of them where dense, polysemantic ones where sparse.

The paper's two cases. 100→40, importances 0.8^i: at density 0.5 most neurons are monosemantic, pairs compute the most important
features; at 0.05 every neuron serves several, and many inhibit with negative weights.
"""

import sys

import numpy as np
from matplotlib.figure import Figure

from phasediag import NeuronModel, classify_neurons, expected_loss_bounds, minimize, train

FULL = "--full" in sys.argv
few = NeuronModel(6, [1.0, 0.8, 0.64], 0.5, task="absolute")
run = train(few, n_models=4, n_steps=3000, batch_size=128, learning_rate=1e-2, weight_decay=0.0, schedule="linear", seed=0)
phase = run.phases[run.best]
print(f"3→6: {phase.name}, loss {run.loss[run.best]:.1e} of {few.loss_scale:.2f}")
assert phase.neurons == ("monosemantic",) * 6 and phase.features == ("computed",) * 3
assert minimize(NeuronModel(2, [1.0], 0.5, task="absolute"), n_starts=8)[0].loss < 1e-15  # a pair is exact

steps = dict(n_steps=20_000, batch_size=512) if FULL else dict(n_steps=2500, batch_size=128)
for density in (0.5, 0.05):  # the last one is drawn
    many = NeuronModel(40, 0.8 ** np.arange(100), density, task="absolute")
    run = train(many, n_models=1, learning_rate=1e-2, weight_decay=0.0, schedule="linear", seed=0, **steps)
    decoder, encoder = weights = run.decoder[0], run.encoder[0]
    phase = classify_neurons((decoder[:40], encoder[:, :40]))  # of the others importances are below 2e-4
    kinds = f"{phase.n_monosemantic} monosemantic, {phase.n_polysemantic} polysemantic neurons"
    print(f"100→40, density {density:g}: {kinds}, {phase.features.count('computed')} features computed; {phase.motifs}")
    print(f"loss {run.loss[0] / many.loss_scale:.3f} of that of no output")
    assert {"inhibition", "asymmetric superposition"} == set(phase.motifs)
    if density == 0.5:  # pairs of neurons for the most important features
        assert phase.n_monosemantic >= 20 and phase.features.count("computed") >= 12 and run.loss[0] < 0.05 * many.loss_scale
lower, upper = expected_loss_bounds(many, weights, run.bias[0], most_active=1)
print(f"the last loss lies between {lower / many.loss_scale:.3f} and {upper / many.loss_scale:.3f}")
assert phase.n_polysemantic == 40 and lower < run.loss[0] < min(upper, 0.8 * many.loss_scale)

figure = Figure(figsize=(10, 4), layout="constrained")
for ax, (encoder, decoder) in zip(figure.subplots(1, 2), [(run.encoder[0], run.decoder[0].T)] * 2, strict=True):
    image = encoder if ax is figure.axes[0] else decoder
    order = np.argsort(np.argmax(np.abs(encoder), axis=1))
    ax.imshow(image[order][:, :30], cmap="RdBu", vmin=-1.5, vmax=1.5, aspect="auto")
    ax.set(xlabel="feature", ylabel="neuron", title="reads" if image is encoder else "writes")
figure.savefig("absolute_value.png")
