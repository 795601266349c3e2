"""Drawings of the parts of a loss."""

import numpy as np

from .frames import legend_below
from .page import Figure

PARTS = {
    "benefit": ("benefit: what the feature itself loses", "#0072B2", None),
    "interference": ("interference: from the other features", "#E69F00", "//"),
    "bias_part": ("bias", "0.35", None),
    "several": ("several features active", "0.8", ".."),
}


def draw_loss_terms(terms, ax):
    """Draw each feature's benefit, interference and bias parts as stacked bars, and for ReLU what is left of the loss.

    Parameters
    ----------
    terms : LossTerms
        Of one model. For ReLU the parts of a feature are those with at most one active feature, so that one bar more shows
        the rest: inputs with several active features.
    ax : matplotlib.axes.Axes

    Returns
    -------
    dict
        A BarContainer for each of "benefit", "interference", "bias_part" and, for ReLU, "several".

    Raises
    ------
    ValueError
        When the terms are those of more than one model.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from phasediag import ToyModel, loss_terms
    >>> from phasediag.figures import draw_loss_terms
    >>> terms = loss_terms(ToyModel(n_hidden=1, importance=[1.0, 0.5], density=0.1), [[1.0, 0.0]], [0.0, 0.05])
    >>> list(draw_loss_terms(terms, Figure().subplots()))
    ['benefit', 'interference', 'bias_part', 'several']
    """
    if terms.benefit.ndim != 1:
        raise ValueError(f"terms must be those of one model, got leading axes {terms.benefit.shape[:-1]}")
    n = terms.benefit.size
    at, artists, height = np.arange(n), {}, np.zeros(n)
    for name in ("benefit", "interference", "bias_part"):
        label, colour, hatch = PARTS[name]
        value = getattr(terms, name)
        artists[name] = ax.bar(at, value, bottom=height, color=colour, hatch=hatch, edgecolor="white", linewidth=0, label=label)
        height = height + value
    names = [str(i + 1) for i in at]
    if terms.model.is_relu:
        label, colour, hatch = PARTS["several"]
        rest = terms.by_active[2:].sum()
        artists["several"] = ax.bar([n + 0.5], rest, color=colour, hatch=hatch, edgecolor="0.4", linewidth=0.6, label=label)
        at, names = [*at, n + 0.5], [*names, "all"]
    ax.set_xticks(at, names)
    ax.set_xlim(-0.7, n + 1.2)
    ax.use_sticky_edges = False  # the empty bars on top of others must not cut the margin off
    ax.autoscale(axis="y")
    ax.set_ylim(bottom=0)
    ax.set(xlabel="feature", ylabel="part of the loss")
    return artists


def loss_terms_figure(panels):
    """Compose a figure of the parts of several losses side by side, on one scale.

    Parameters
    ----------
    panels : mapping of str to LossTerms
        Title and terms of each panel; the loss is written below the title.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from phasediag import ToyModel, loss_terms
    >>> from phasediag.figures import loss_terms_figure
    >>> model = ToyModel(n_hidden=1, importance=[1.0, 0.5], density=0.1)
    >>> panels = {"pair": loss_terms(model, [[1.0, -1.0]], [0.0, 0.0]), "alone": loss_terms(model, [[1.0, 0.0]], [0.0, 0.05])}
    >>> len(loss_terms_figure(panels).axes)
    2
    """
    figure = Figure(figsize=(3.9 * len(panels), 4.0), layout="constrained")
    handles = {}
    row = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for ax, (title, terms) in zip(row, panels.items(), strict=True):
        handles |= draw_loss_terms(terms, ax)
        ax.set_title(f"{title}\nloss {terms.loss:.4g}", fontsize="medium")
        ax.label_outer()
    handles = [handles[name] for name in PARTS if name in handles]
    legend_below(figure, handles, min(len(handles), 2 * len(panels) - 2) or 1)
    return figure
