"""Drawings of trained models of one kind."""

import numpy as np

from ..colours import phase_colours
from ..phases import TRAINED_TOLERANCE, classify_many
from .frames import BESIDE


def draw_run(run, ax):
    """Draw the losses of the models of a run by rank, in the colours of their phases.

    Parameters
    ----------
    run : TrainingRun
    ax : matplotlib.axes.Axes

    Returns
    -------
    dict
        Artists: "losses" (a collection of dots for each phase, by its name) and "legend".

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from phasediag import ToyModel, train
    >>> from phasediag.figures import draw_run
    >>> run = train(ToyModel(n_hidden=1, importance=[1.0, 0.9], density=0.1), n_models=4, n_steps=50, seed=0)
    >>> sorted(draw_run(run, Figure().subplots()))
    ['legend', 'losses']
    """
    order = np.argsort(run.loss, kind="stable")
    phases = classify_many(run.weights[order], tolerance=TRAINED_TOLERANCE, sets=run.model.form.activity.together)
    names, dots = np.array([phase.name for phase in phases]), {}
    for name, colour in phase_colours(dict.fromkeys(names.tolist())).items():
        ranks = np.flatnonzero(names == name)
        style = {"color": [colour], "edgecolor": "black", "linewidth": 0.5, "s": 22, "label": f"{name} ({ranks.size})"}
        dots[name] = ax.scatter(ranks + 1, run.loss[order][ranks], **style)
    ax.set(xlabel="rank", ylabel="exact loss")
    return {"losses": dots, "legend": ax.legend(**BESIDE)}
