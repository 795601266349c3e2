"""The paper's 10→5 in a privileged basis: one polysemantic neuron at density 0.5, five where sparse.

Importances 0.75^i, the best of trained models at each density; stacked bars of each neuron's weights. At density 0.5 the neuron
of the fifth feature reads the sixth with an eighth of its weight; the other four serve one feature each.
"""

import sys

import numpy as np
from matplotlib.figure import Figure

from phasediag import NeuronModel, train
from phasediag.figures import draw_neurons

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
assert counts[0] == 1 and counts[-1] == 5 and counts == sorted(counts)

figure = Figure(figsize=(12, 4.5), layout="constrained")
axes = figure.subplots(1, len(best) + 1)
for ax, density, (_phase, weights) in zip(axes, densities, best, strict=False):
    draw_neurons(weights, ax)
    ax.set(title=f"density {density:.2g}", ylabel="")
axes[0].set_ylabel("weights, stacked")
axes[-1].plot(densities, counts, ".-")
axes[-1].set(xscale="log", xlabel="density", title="polysemantic", ylabel="neurons", ylim=(-0.2, 5.2))
axes[-1].invert_xaxis()  # sparse on the right
axes[-1].set_xticks(densities, [f"{density:.2g}" for density in densities], minor=False)
axes[-1].minorticks_off()
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
figure.savefig("privileged_basis.png")
