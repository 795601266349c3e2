"""Drawings of neurons: stacked bars of what each reads and writes."""

import numpy as np
from matplotlib.patches import Patch

from .._arguments import real_array
from ..neuron_phases import BEYOND
from .page import Figure

_SIDES = ("reads", ""), ("writes", "///")  # and the hatch of their bars, where they are two


def draw_neurons(weights, ax):
    """Draw the weights of each neuron as stacked bars, a colour for each feature: positive ones upwards, negative downwards.

    Parameters
    ----------
    weights : array_like of shape (n_hidden, n_features), or a tuple (decoder, encoder)
        As `NeuronModel` takes them. Of a tuple the left bar of a neuron is what it reads, the hatched right one what it writes.
        Bars of weights that fall without end have the mark "−∞".
    ax : matplotlib.axes.Axes

    Returns
    -------
    list of matplotlib.container.BarContainer
        One for each feature, two where neurons write other weights than they read.

    Raises
    ------
    ValueError
        When weights are not one finite matrix, or two.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from phasediag.figures import draw_neurons
    >>> polysemantic = draw_neurons([[1.0, 0.5]], Figure().subplots())
    >>> [float(bars[0].get_height()) for bars in polysemantic]
    [1.0, 0.5]
    """
    untied = isinstance(weights, tuple)
    matrices = (
        [real_array("encoder", weights[1]), real_array("decoder", weights[0]).T] if untied else [real_array("weights", weights)]
    )
    if any(one.ndim != 2 or one.shape != matrices[0].shape for one in matrices):
        raise ValueError(f"weights must be one matrix (n_hidden, n_features), or two, got {[one.shape for one in matrices]}")
    bars, width = [], 0.8 / len(matrices)
    for k, matrix in enumerate(matrices):
        matrix = np.clip(matrix, -BEYOND, BEYOND)  # where a veto ends, below the axes
        place = np.arange(len(matrix)) + (k - (len(matrices) - 1) / 2) * width
        up, down = np.zeros(len(matrix)), np.zeros(len(matrix))
        for i, column in enumerate(matrix.T):
            colour, hatch = f"C{i % 10}", "///" if k else ("..." if i >= 10 else "")
            label = f"feature {i + 1}" if k == 0 and i < 10 else None
            bars.append(
                ax.bar(
                    place,
                    column,
                    width,
                    np.where(column > 0, up, down),
                    color=colour,
                    hatch=hatch,
                    label=label,
                    edgecolor="white",
                )
            )
            up, down = up + np.maximum(column, 0), down + np.minimum(column, 0)
    highest = max(1.0, float(max(np.where(one > 0, one, 0).sum(axis=1).max() for one in matrices)))
    lowest = min(max(-np.where(one < 0, np.clip(one, -BEYOND, 0), 0).sum(axis=1).min() for one in matrices), highest)
    ax.set(xticks=range(len(matrices[0])), xticklabels=range(1, len(matrices[0]) + 1), xlabel="neuron")
    ax.set(ylabel="reads, writes" if untied else "weights", ylim=(-1.1 * lowest - 0.05, 1.1 * highest))
    ax.axhline(0, color="black", linewidth=0.8)
    for neuron in np.flatnonzero(np.any(matrices[0] < -BEYOND, axis=1) & (not untied)):
        ax.text(neuron, 0.01, "−∞", transform=ax.get_xaxis_transform(), ha="center", va="bottom", backgroundcolor="white")
    return bars


def neurons_figure(minima):
    """Compose a figure of what the neurons of each minimum read, and write where that differs, lowest minimum first.

    Parameters
    ----------
    minima : sequence of NeuronMinimum

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        When there are none.

    Examples
    --------
    >>> from phasediag import NeuronModel, minimize
    >>> from phasediag.figures import neurons_figure
    >>> minima = minimize(NeuronModel(1, importance=[1.0, 0.7], density=0.9), n_starts=8)
    >>> len(neurons_figure(minima).axes) == len(minima)
    True
    """
    if not minima:
        raise ValueError("minima must be at least one, got none")
    rows, columns = -(-len(minima) // 4), min(len(minima), 4)
    figure = Figure(figsize=(3.4 * columns, 3.8 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax, minimum in zip(panels, minima, strict=False):
        draw_neurons(minimum.weights, ax)
        name = minimum.phase.name.replace(" + ", "\n+ ")
        ax.set_title(f"{name}\nloss {minimum.loss:.8g}", fontsize="small")
    handles, labels = panels[0].get_legend_handles_labels()
    labels[-1:] = [f"{label} (extra)" for label in labels[-1:]]
    if isinstance(minima[0].weights, tuple):
        handles += [Patch(facecolor="lightgrey", edgecolor="white", hatch=hatch) for _, hatch in _SIDES]
        labels += [word for word, _ in _SIDES]
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 3 * columns), fontsize="small")
    for ax in panels[len(minima) :]:
        ax.set_axis_off()
    return figure
