"""Lowest losses that no weights have: in sparse 4→2 of a privileged basis a weight falls without end and forbids an output.

Left, the lowest loss of weights of finite size and the infimum; right, what the two neurons at the infimum read and write.
"""

from matplotlib.figure import Figure

from phasediag import NeuronModel, minimize
from phasediag.figures import draw_neurons

densities, finite, infima = [0.025, 0.05, 0.1], [], []
for density in densities:
    model = NeuronModel(2, [1.0, 1.0, 1.0, 0.42], density)
    minima = minimize(model)
    finite.append(min(one.loss for one in minima if one.is_attained) / model.loss_scale)
    infima.append(minima[0].loss / model.loss_scale)
    print(f"density {density:g}: finite {finite[-1]:.4f}, infimum {infima[-1]:.4f}; {minima[0].phase.name}")
    if density == densities[0]:
        forbids = minima[0]
assert abs(infima[0] - 0.13876) < 1e-5 and infima[0] < 0.85 * finite[0] and not forbids.is_attained
assert abs(infima[1] - 0.18092) < 1e-5 and infima[1] < finite[1] and infima[2] == finite[2]

figure = Figure(figsize=(9, 4), layout="constrained")
left, right = figure.subplots(1, 2)
left.plot(densities, finite, "o-", label="lowest minimum of finite weights")
left.plot(densities, infima, "s--", label="infimum: one weight falls without end")
left.set(xscale="log", xlabel="density", ylabel="loss, that of no output being 1", title="4→2, last importance 0.42")
left.set_xticks(densities, [f"{density:g}" for density in densities])
left.minorticks_off()
left.legend()
draw_neurons(forbids.encoder, right)
right.set_title(f"density {densities[0]:g}: the bar marked −∞ has no end")
figure.legend(*right.get_legend_handles_labels(), loc="outside lower right", ncols=4)
figure.savefig("neurons_at_infinity.png")
