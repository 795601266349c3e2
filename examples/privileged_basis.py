"""The paper's 10→5 in a privileged basis: five monosemantic neurons at density 0.5, five polysemantic ones where sparse.

Importances 0.75^i, the best of trained models at each density; stacked bars of each neuron's weights.
"""

import sys

import numpy as np
from matplotlib.figure import Figure

from phasediag import NeuronModel, train

FULL = "--full" in sys.argv
N_MODELS, N_STEPS, BATCH = (20, 10_000, 512) if FULL else (3, 2000, 256)
densities = np.geomspace(0.5, 0.02, 9 if FULL else 4)
importance = 0.75 ** np.arange(10)

best = []
for density in densities:
    model = NeuronModel(5, importance, density)
    run = train(
        model,
        n_models=N_MODELS,
        n_steps=N_STEPS,
        batch_size=BATCH,
        learning_rate=1e-2,
        weight_decay=0.0,
        seed=0,
        schedule="linear",
    )
    phase, weights = run.phases[run.best], run.encoder[run.best]
    best.append((phase, weights))
    print(
        f"density {density:5.3f}: {phase.n_monosemantic} monosemantic, {phase.n_polysemantic} polysemantic, {phase.n_dead} dead"
    )

counts = [phase.n_polysemantic for phase, _ in best]
assert counts[0] == 0 and counts[-1] == 5

figure = Figure(figsize=(11, 4), layout="constrained")
axes = figure.subplots(1, len(best) + 1)
for ax, density, (_phase, weights) in zip(axes, densities, best, strict=False):
    bottom = np.zeros(5)
    for i in range(10):
        height = np.abs(weights[:, i])
        ax.bar(range(5), height, bottom=bottom, color=f"C{i}", hatch=["", "///"][int((weights[:, i] < -0.1).any())])
        bottom += height
    ax.set(title=f"density {density:.2g}", xlabel="neuron")
axes[0].set_ylabel("|weights|, one colour a feature")
axes[-1].semilogx(1 / densities, counts, ".-")
axes[-1].set(xlabel="1/density", ylabel="polysemantic neurons", ylim=(-0.2, 5.2))
axes[-1].minorticks_off()
figure.savefig("privileged_basis.png")
