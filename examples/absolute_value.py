"""Computing |x| of 100 features with 40 neurons: pairs for the most important where dense, polysemantic neurons where sparse.

The paper's 100→40, importances 0.8^i: at density 0.5 most neurons are monosemantic; at 0.05 every neuron serves several features,
and many inhibit with negative weights.
"""

import sys

import numpy as np
from matplotlib.figure import Figure

from phasediag import NeuronModel, classify_neurons, expected_loss_bounds, train

FULL = "--full" in sys.argv
steps = dict(n_steps=20_000, batch_size=512) if FULL else dict(n_steps=1500, batch_size=128)
figure = Figure(figsize=(9, 7), layout="constrained")
for density, row in zip((0.5, 0.05), figure.subplots(2, 2), strict=True):
    many = NeuronModel(40, 0.8 ** np.arange(100), density, task="absolute")
    run = train(many, n_models=1, learning_rate=1e-2, weight_decay=0.0, schedule="linear", seed=0, **steps)
    decoder, encoder = weights = run.decoder[0], run.encoder[0]
    phase = classify_neurons((decoder[:40], encoder[:, :40]))  # of the others importances are below 2e-4
    kinds = f"{phase.n_monosemantic} monosemantic, {phase.n_polysemantic} polysemantic neurons"
    print(f"100→40, density {density:g}: {kinds}, {phase.features.count('computed')} features computed; {phase.motifs}")
    print(f"loss {run.loss[0] / many.loss_scale:.3f} of that of no output")
    assert {"inhibition", "asymmetric superposition"} == set(phase.motifs)
    order = np.argsort(np.argmax(np.abs(encoder), axis=1), kind="stable")  # of neurons, by the feature that each reads most
    for ax, matrix, verb in zip(row, (encoder, decoder.T), ("reads", "writes"), strict=True):
        image = ax.imshow(matrix[order][:, :30], cmap="RdBu", vmin=-1.5, vmax=1.5, aspect="auto")
        ax.set(xlabel="feature, by importance", ylabel="neuron", title=f"density {density:g}: what each neuron {verb}")
    if density == 0.5:  # pairs of neurons for the most important features
        assert phase.n_monosemantic >= 20 and phase.features.count("computed") >= 12 and run.loss[0] < 0.05 * many.loss_scale
lower, upper = expected_loss_bounds(many, weights, run.bias[0], most_active=1)
print(f"the last loss lies between {lower / many.loss_scale:.3f} and {upper / many.loss_scale:.3f}")
assert phase.n_polysemantic == 40 and lower < run.loss[0] < min(upper, 0.8 * many.loss_scale)

figure.colorbar(image, ax=figure.axes, label="weight")
figure.savefig("absolute_value.png")
