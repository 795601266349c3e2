"""Drawings of models trained along a line of densities: what they store, and the geometry of it."""

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from .._arguments import real_array, real_matrix
from ..order_parameters import feature_norm, interference
from .frames import SMALL, draw_matrix, plain_ticks, without_axes
from .page import Figure

PLATEAUS = {
    "1 dedicated": 1,
    "3/4 tetrahedron": 3 / 4,
    "2/3 triangle": 2 / 3,
    "1/2 antipodal pair": 1 / 2,
    "2/5 pentagon": 2 / 5,
    "3/8 square antiprism": 3 / 8,
}
"""Dimensions per feature of regular clusters, as in the paper."""

_INTERFERENCE = ScalarMappable(Normalize(0, 1, clip=True), "viridis")


def draw_gram(weights, bias, ax):
    """Draw WᵀW as the paper does, and the biases as a column on its right: red for −1, white for 0, blue for 1.

    Parameters
    ----------
    weights : array_like, shape (n_hidden, n_features)
    bias : array_like, shape (n_features,)
    ax : matplotlib.axes.Axes

    Returns
    -------
    matplotlib.image.AxesImage

    Raises
    ------
    ValueError
        When the shapes do not fit or an entry is not finite.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from phasediag.figures import draw_gram
    >>> draw_gram([[1.0, -1.0]], [0.0, 0.0], Figure().subplots()).get_array().shape  # and a column between, one for the biases
    (2, 4)
    """
    weights = real_matrix("weights", weights)
    n = weights.shape[1]
    bias = real_array("bias", bias, shape=(n,))
    width = max(1, round(n / 20))
    gap = np.full((n, width), np.nan)
    both = np.hstack([weights.T @ weights, gap, np.repeat(bias.reshape(n, 1), width, axis=1)])
    image = draw_matrix(both, ax, interpolation="nearest")
    without_axes(ax)
    ax.set_xticks([(n - 1) / 2, n + 1.5 * width - 0.5], ["$W^TW$", "$b$"], fontsize="small")
    ax.tick_params(length=0)
    return image


def draw_feature_norms(weights, ax):
    """Draw ‖W_i‖ as horizontal bars, feature 1 on top, coloured by interference Σ_{j≠i} (Ŵ_i·W_j)² from 0 to ≥ 1.

    Parameters
    ----------
    weights : array_like, shape (n_hidden, n_features)
    ax : matplotlib.axes.Axes

    Returns
    -------
    matplotlib.container.BarContainer

    Raises
    ------
    ValueError
        When weights are not one finite matrix.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from phasediag.figures import draw_feature_norms
    >>> bars = draw_feature_norms([[1.0, -0.5]], Figure().subplots())
    >>> [float(bar.get_width()) for bar in bars]
    [1.0, 0.5]
    """
    weights = real_matrix("weights", weights)
    n = weights.shape[1]
    colours = _INTERFERENCE.to_rgba(interference(weights))
    bars = ax.barh(range(n), feature_norm(weights), height=1, color=colours, edgecolor="white", linewidth=0.6 if n <= 40 else 0)
    ax.axvline(1, color="0.5", linewidth=0.7, linestyle=":", zorder=0)
    ax.set(xlim=(0, 1.35), ylim=(n - 0.5, -0.5), xticks=[0, 1], yticks=[])
    ax.tick_params(labelsize="small", length=2)
    ax.spines[["top", "right"]].set_visible(False)
    return bars


def demonstration_figure(sweeps):
    """Compose the paper's figure of what models store: for each sweep a row of WᵀW and b, and below it the norms.

    Parameters
    ----------
    sweeps : sequence of DensitySweep
        With the same number of densities.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from phasediag import sweep_density
    >>> from phasediag.figures import demonstration_figure
    >>> sweep = sweep_density(1, [1.0, 1.0], [1.0, 0.05], n_models=2, n_steps=50, seed=0)
    >>> len(demonstration_figure([sweep]).axes)
    6
    """
    columns = len(sweeps[0].density)
    figure = Figure(figsize=(1.55 * columns + 1.2, 3.4 * len(sweeps) + 0.3), layout="constrained")
    parts = np.ravel(figure.subfigures(len(sweeps), 1, squeeze=False))
    for part, sweep in zip(parts, sweeps, strict=True):
        activation = {"relu": "ReLU", "linear": "linear"}[sweep.options["activation"]]
        part.suptitle(f"{sweep.importance.size} → {sweep.n_hidden}, {activation} model", fontsize="medium", fontweight="bold")
        above, below = part.subplots(2, columns, squeeze=False, height_ratios=(1, 0.85))
        for k, density in enumerate(sweep.density):
            draw_gram(sweep.weights[k], sweep.bias[k], above[k])
            draw_feature_norms(sweep.weights[k], below[k])
            above[k].set_title(f"density {density:g}", fontsize="small")
            below[k].set_xlabel("$\\|W_i\\|$", fontsize="small")
        below[0].set_ylabel("feature", fontsize="small")
        bar = part.colorbar(_INTERFERENCE, ax=below, aspect=10, pad=0.01)
        bar.set_ticks([0, 1], labels=["0", "≥ 1"])
        bar.set_label("interference", fontsize="small")
        products = part.colorbar(above[0].images[0], ax=above, aspect=10, pad=0.01)
        products.set_ticks([-1, 0, 1])
        products.set_label("entries of $W^TW$ and $b$", fontsize="small")
    return figure


def draw_geometry(sweep, ax):
    """Draw m/‖W‖_F² and the feature dimensionalities against 1/density, with the plateaus of regular clusters.

    Parameters
    ----------
    sweep : DensitySweep
    ax : matplotlib.axes.Axes

    Returns
    -------
    dict
        Artists: "dimensions_per_feature" (Line2D); "feature_dimensionality" (PathCollection, a dot for each represented
        feature, by increasing dimensionality around its density, its area proportional to ‖W_i‖²); "plateaus" (lines).

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from phasediag import sweep_density
    >>> from phasediag.figures import draw_geometry
    >>> sweep = sweep_density(1, [1.0, 1.0], [1.0, 0.05], n_models=2, n_steps=50, seed=0)
    >>> sorted(draw_geometry(sweep, Figure().subplots()))
    ['dimensions_per_feature', 'feature_dimensionality', 'plateaus']
    """
    order = np.argsort(-sweep.density)
    sparse = 1 / sweep.density[order]
    steps = np.diff(np.log(sparse))
    steps = np.concatenate([steps[:1], steps, steps[-1:]]) if steps.size else np.array([0.2, 0.2])
    spread = 0.35 * np.minimum(steps[:-1], steps[1:])
    place, dimensionality, area = [], [], []
    for x, width, k in zip(sparse, spread, order, strict=True):
        of_k = sweep.feature_dimensionality[k]
        shown = np.argsort(of_k)[sweep.represented[k][np.argsort(of_k)]]
        place.append(x * np.exp(np.linspace(-width, width, shown.size)))
        dimensionality.append(of_k[shown])
        area.append(sweep.feature_norm[k, shown] ** 2)
    dots = {"color": "#0072B2", "alpha": 0.5, "linewidths": 0, "zorder": 2}
    dots["label"] = "dimensionality $D_i$ of each feature (area: $\\|W_i\\|^2$)"
    line = {"color": "#D55E00", "linewidth": 1.6, "marker": "o", "markersize": 3.5, "zorder": 3}
    line["label"] = "dimensions per feature $m/\\|W\\|_F^2$"
    place, dimensionality, area = map(np.concatenate, (place, dimensionality, area))
    artists = {
        "plateaus": [ax.axhline(y, color="0.6", linewidth=0.8, linestyle="--", zorder=0) for y in PLATEAUS.values()],
        "feature_dimensionality": ax.scatter(place, dimensionality, s=7 * area, **dots),
        "dimensions_per_feature": ax.plot(sparse, sweep.dimensions_per_feature[order], **line)[0],
    }
    ends = sparse[0] * np.exp(-2 * spread[0]), sparse[-1] * np.exp(2 * spread[-1])
    ax.set(xscale="log", xlim=ends, ylim=(0, 1.08))
    plain_ticks(ax.xaxis, ends[0], min(ends[1], 30 * ends[0]))
    for text, y in PLATEAUS.items():
        place = {"xytext": (4, -1 if y == 3 / 8 else 0), "textcoords": "offset points"}
        below = "top" if y == 3 / 8 else "center"
        ax.annotate(text, (1, y), xycoords=("axes fraction", "data"), ha="left", va=below, fontsize="small", **place)
    ax.set(xlabel="1/density (dense on the left, sparse on the right)", ylabel="dimensions")
    ax.set_title(f"{sweep.importance.size} → {sweep.n_hidden}, trained models", loc="left")
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, **SMALL)
    return artists


def geometry_figure(sweep):
    """Compose the paper's figure of the geometry of superposition.

    Parameters
    ----------
    sweep : DensitySweep

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from phasediag import sweep_density
    >>> from phasediag.figures import geometry_figure
    >>> sweep = sweep_density(1, [1.0, 1.0], [1.0, 0.05], n_models=2, n_steps=50, seed=0)
    >>> len(geometry_figure(sweep).axes)
    1
    """
    figure = Figure(figsize=(10, 5.4), layout="constrained")
    draw_geometry(sweep, figure.subplots())
    return figure
