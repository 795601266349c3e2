"""Drawings of results.

Each ``draw_*`` function takes a result and an axes, draws what the result has and returns the artists: it computes nothing. Of
the functions that compose whole figures, those of diagrams first compute the curves that they show.
"""

import numpy as np

from ._drawing.atlas import atlas_figure, draw_atlas
from ._drawing.columns import draw_columns, draw_columns_on_diagram
from ._drawing.diagram import STYLES, draw_boundaries, draw_colour_key, draw_phase_diagram, phase_handles, style_handles
from ._drawing.frames import draw_matrix, feature_names, legend_below, same_scale
from ._drawing.inspection import inspection_figure
from ._drawing.neurons import draw_neurons, neurons_figure
from ._drawing.page import Figure
from ._drawing.regions import whole
from ._drawing.runs import draw_run
from ._drawing.sheets import draw_loss_sheets
from ._drawing.sphere import draw_directions, draw_products, thomson_figure
from ._drawing.sweep import demonstration_figure, draw_feature_norms, draw_geometry, draw_gram, geometry_figure
from ._drawing.terms import draw_loss_terms, loss_terms_figure
from ._drawing.validation import agreement_figure, draw_causes, draw_excess_loss, draw_panels, draw_z_scores, validation_figure

__all__ = [
    "agreement_figure",
    "atlas_figure",
    "comparison_figure",
    "demonstration_figure",
    "diagram_figure",
    "draw_atlas",
    "draw_boundaries",
    "draw_causes",
    "draw_colour_key",
    "draw_columns",
    "draw_columns_on_diagram",
    "draw_configuration",
    "draw_directions",
    "draw_excess_loss",
    "draw_feature_norms",
    "draw_geometry",
    "draw_gram",
    "draw_loss_sheets",
    "draw_loss_terms",
    "draw_neurons",
    "draw_panels",
    "draw_phase_diagram",
    "draw_products",
    "draw_run",
    "draw_z_scores",
    "geometry_figure",
    "inspection_figure",
    "loss_terms_figure",
    "minima_figure",
    "neurons_figure",
    "paper_figure",
    "run_figure",
    "thomson_figure",
    "validation_figure",
]


def draw_configuration(configuration, ax):
    """Draw the weight matrix of a configuration as the paper does: a grid of small squares, with its pattern as title.

    Parameters
    ----------
    configuration : Configuration
    ax : matplotlib.axes.Axes

    Returns
    -------
    matplotlib.image.AxesImage

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from phasediag import configurations
    >>> from phasediag.figures import draw_configuration
    >>> image = draw_configuration(configurations(2, 1)[0], Figure().subplots())
    >>> image.get_array().shape
    (1, 2)
    """
    image = draw_matrix(configuration.weights, ax)
    ax.set(xticks=range(configuration.n_features), xticklabels=feature_names(configuration.n_features), yticks=[])
    ax.set_title(configuration.pattern, fontsize="small")
    return image


def diagram_figure(diagram, *, look="phase", curves=True, spinodals=True):
    """Compose a figure of one phase diagram with its legend or colour key, and the curves of a theory's diagram.

    Parameters
    ----------
    diagram : PhaseDiagram
        Its boundaries, and its spinodals if they are to be drawn, are computed unless it has them.
    look : {"phase", "norm-interference"}
    curves : bool
        Without them the diagram is drawn cell by cell, and nothing is computed.
    spinodals : bool

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from phasediag import phase_diagram
    >>> from phasediag.figures import diagram_figure
    >>> diagram = phase_diagram(importance=[0.5, 2.0], density=[0.1, 0.9], theory="frozen")
    >>> len(diagram_figure(diagram, curves=False).axes)
    1
    """
    if curves:
        _compute_curves([diagram], spinodals=spinodals)
    if look == "phase":
        height = 2.2 + 0.36 * len(phase_handles([diagram])) + 0.2 * len(STYLES)
        figure = Figure(figsize=(8.9, max(4.6, height)), layout="constrained")
        draw_phase_diagram(diagram, figure.subplots(), look=look, curves=curves, spinodals=spinodals)
        return figure
    figure = Figure(figsize=(7.2, 5.4), layout="constrained")
    panel, key = figure.subplots(1, 2, width_ratios=(3, 1))
    artists = draw_phase_diagram(diagram, panel, look=look, curves=curves, spinodals=spinodals)
    draw_colour_key(key)
    legend_below(figure, style_handles([artists]), 2)
    return figure


def paper_figure(diagrams):
    """Compose the paper's theoretical figure: for each model its diagram by phase and by norm and interference.

    Parameters
    ----------
    diagrams : sequence of PhaseDiagram

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from phasediag import phase_diagram
    >>> from phasediag.figures import paper_figure
    >>> diagram = phase_diagram(importance=[0.5, 2.0], density=[0.1, 0.9], theory="frozen")
    >>> len(paper_figure([diagram]).axes)  # phases, norm and interference, the key of colours
    3
    """
    _compute_curves(diagrams)
    figure = Figure(figsize=(14.5, 4.4 * len(diagrams)), layout="constrained")
    panels = figure.subplots(len(diagrams), 3, width_ratios=(3, 3, 1.1), squeeze=False)
    for (phases, colours, key), diagram in zip(panels, diagrams, strict=True):
        draw_phase_diagram(diagram, phases, look="phase")
        draw_phase_diagram(diagram, colours, look="norm-interference")
        draw_colour_key(key)
    return figure


def comparison_figure(rows):
    """Compose a figure that sets the frozen and the global diagram of each model side by side.

    The global one also close up, around the points where its boundaries meet, with the columns of W, and coloured by norm
    and interference.

    Parameters
    ----------
    rows : sequence of (PhaseDiagram, PhaseDiagram)
        The frozen and the global diagram of each model.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from phasediag import phase_diagram
    >>> from phasediag.figures import comparison_figure
    >>> axes = {"importance": [0.5, 2.0], "density": [0.1, 0.9]}
    >>> frozen, exact = (phase_diagram(theory=theory, **axes) for theory in ("frozen", "relaxed"))
    >>> len(comparison_figure([(frozen, exact)]).axes)
    5
    """
    _compute_curves([diagram for row in rows for diagram in row])
    figure = Figure(figsize=(17.5, 5.6 * len(rows)), layout="constrained")
    parts = np.ravel(figure.subfigures(len(rows), 1, squeeze=False))
    for part, (simple, exact) in zip(parts, rows, strict=True):
        *panels, key = part.subplots(1, 5, width_ratios=(3, 3, 3, 3, 1))
        drawings = [
            draw_phase_diagram(simple, panels[0], legend=False, beside=[exact]),
            draw_phase_diagram(exact, panels[1], legend=False, beside=[simple]),
            draw_phase_diagram(exact, panels[2], legend=False, beside=[simple], window=_close_up(exact)),
        ]
        panels[2].set_title(f"{exact.n_features} → {exact.n_hidden}, close-up with columns of W")
        draw_columns_on_diagram(exact, panels[2])
        draw_phase_diagram(exact, panels[3], look="norm-interference", spinodals=False)
        draw_colour_key(key)
        legend_below(part, [*phase_handles([simple, exact]), *style_handles(drawings)], 5)
    return figure


def _compute_curves(diagrams, *, spinodals=True):
    """Let diagrams have the curves that a figure shows: those of theories have them."""
    for diagram in diagrams:
        if diagram.follows_boundaries:
            diagram.spinodals() if spinodals else diagram.boundaries()


def _close_up(diagram):
    """The window around the points where boundaries meet or change, with some room; the whole diagram when there are none."""
    plane = diagram.plane
    points = [(p.x, p.y) for p in diagram.triple_points()]
    for b in diagram.boundaries():
        points += [(b.x[k], b.y[k]) for k, end in zip((0, -1), b.ends, strict=False) if end != "edge"]
    if not points:
        return whole(diagram)
    points = plane.coordinates(*np.transpose(points))
    low, high = points.min(axis=0), points.max(axis=0)
    room = 0.3 * np.maximum(high - low, 0.2)
    window = np.array(plane.values(np.array([low - room, high + room])))
    limits = np.array(whole(diagram))
    return tuple(map(tuple, np.column_stack([np.maximum(window[:, 0], limits[:, 0]), np.minimum(window[:, 1], limits[:, 1])])))


def minima_figure(minima):
    """Compose a figure of the columns of W of each minimum, lowest first, titled with its phase and how far above it lies.

    Parameters
    ----------
    minima : sequence of Minimum

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        When there are none.

    Examples
    --------
    >>> from phasediag import ToyModel, minimize
    >>> from phasediag.figures import minima_figure
    >>> minima = minimize(ToyModel(n_hidden=1, importance=[1.0, 0.9], density=0.1))
    >>> len(minima_figure(minima).axes) == len(minima)
    True
    """
    if not minima:
        raise ValueError("minima must be at least one, got none")
    titles = []
    for minimum in minima:
        above = minimum.loss / minima[0].loss - 1
        where = "lowest" if minimum.is_global else "metastable" + (f", {100 * above:.3g} % above" if above > 0 else "")
        name = minimum.phase.name.replace(" + ", "\n+ ")
        titles.append(f"{name}\nloss {minimum.loss:.8g}\n{where}")
    columns = min(len(minima), 4)
    rows = -(-len(minima) // columns)
    lines = max(title.count("\n") + 1 for title in titles)
    figure = Figure(figsize=(3.2 * columns, (3.2 + 0.15 * lines) * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax, minimum, title in zip(panels, minima, titles, strict=False):
        draw_columns(minimum.weights, ax)
        ax.set_anchor("N")  # the layout makes room for a title above a panel only where the panel begins at the top
        ax.set_title(title, fontsize="small")
    if len(minima[0].weights) <= 3:
        same_scale(panels[: len(minima)])
    for ax in panels[len(minima) :]:
        ax.set_axis_off()
    return figure


def run_figure(run):
    """Compose a figure of trained models of one kind: all losses by rank and phase, and the columns of W of the lowest.

    Parameters
    ----------
    run : TrainingRun

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from phasediag import ToyModel, train
    >>> from phasediag.figures import run_figure
    >>> run = train(ToyModel(n_hidden=1, importance=[1.0, 0.9], density=0.1), n_models=4, n_steps=50, seed=0)
    >>> len(run_figure(run).axes)
    2
    """
    figure = Figure(figsize=(9.0, 3.6), layout="constrained")
    losses, columns = figure.subplots(1, 2, width_ratios=(2, 1))
    draw_run(run, losses)
    draw_columns(run.weights[int(np.argmin(run.loss))], columns)
    columns.set_title("the lowest", fontsize="small")
    return figure
