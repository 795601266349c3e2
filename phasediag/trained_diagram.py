"""Phase diagrams of trained models, by the paper's protocol."""

import os
from concurrent.futures import Executor
from contextlib import closing

import numpy as np
from numpy.typing import ArrayLike

from ._arguments import Seed, check_memory, one_of, thread_count, whole_number
from ._cuda.device import as_device
from ._cuda.streams import VERSION
from ._progress import progress_bar
from ._training.chunks import check_trainable
from ._training.portions import divide, trained_portions
from ._training.store import Store, stored_seed
from .diagram import PhaseDiagram, plane_of
from .neuron_minima import check_searchable
from .neuron_training import check_usual, stacked, train_neuron_cells
from .neurons import NeuronForm
from .planes import ControlPlane
from .trained_models import REDUCTIONS, TRAINED, diagram_fields, evaluate_cells
from .training import check_convergent, check_importance, common_options


def trained_phase_diagram(
    n_features: int = 2,
    n_hidden: int = 1,
    *,
    importance: ArrayLike | None = None,
    density: ArrayLike | None = None,
    activation: str = "relu",
    plane: ControlPlane | None = None,
    n_seeds: int = 10,
    n_steps: int = 10_000,
    batch_size: int = 1024,
    learning_rate: float = 1e-3,
    optimizer: str = "adamw",
    schedule: str = "constant",
    weight_decay: float | None = None,
    independent: bool = False,
    reduction: str = "paper",
    seed: Seed = 0,
    n_threads: int | None = None,
    device: str = "cpu",
    executor: Executor | None = None,
    store: str | os.PathLike[str] | None = None,
    progress: bool = False,
) -> PhaseDiagram:
    """Train models over a grid, by default of importance and density, and name the phases they end in.

    Parameters
    ----------
    n_features : int
        2 or more.
    n_hidden : int
        From 1 to n_features − 1.
    importance : array_like, optional
        Axis of relative importances of the extra feature, increasing and positive; default the paper's, 0.1 … 10.
    density : array_like, optional
        Axis of densities, increasing, in (0, 1]; default the paper's, 0.01 … 1.
    activation : {"relu", "linear"}
    plane : ControlPlane, optional
        Any other two parameters as axes, instead of ``n_features`` to ``density`` and ``activation``: of any law of up to 8
        features, of independent features or sets of more; of a `NeuronModel` of up to 4, each of which has minibatches of its
        own, with the optimizer "adamw" on processors, and weights as in `phase_diagram`.
    n_seeds : int
        Models trained in each cell, from different starting points and on different minibatches.
    n_steps, batch_size, learning_rate, optimizer, schedule, weight_decay, n_threads, device, progress
        Of each training, as in `train`; there are no threads where there is an executor.
    independent : bool
        Whether every model has its own minibatches. If not, the models of one row of the grid (one density) and one replicate
        see the same ones; the models of one cell never do.
    reduction : {"paper", "best"}
        What the diagram's ``feature_norm``, ``interference`` and ``coexisting`` show. "paper": the model with the highest
        loss of each cell is discarded, norms and interferences of the others are averaged (never their weights, which are
        equal only up to rotations). "best": the model with the lowest loss alone. Either way ``loss``, ``weights``, ``bias``,
        ``phase`` and ``extra`` are those of the model with the lowest loss, and ``trained`` has all of them.
    seed : None, int or numpy.random.Generator
        Decides starting points and minibatches; None draws one, or takes that of the store. The same seed gives the same
        bits for any executor, number of threads and interruption; a cell's models do not depend on the rest of the grid, nor
        the first ones on their number.
    executor : concurrent.futures.Executor, optional
        Where to train instead: threads, processes, or a cluster by ``distributed.Client(…).get_executor()``.
    store : path, optional
        Folder of a zarr store that receives finished models as they come (needs ``phasediag[store]``). The same call goes on
        where an interrupted or killed one stopped. ``xarray.open_zarr(store, consolidated=False)`` reads it at any time.

    Returns
    -------
    PhaseDiagram
        With theory "trained". ``candidates`` are the phases that any model ended in and ``candidate_loss`` is the lowest
        exact loss of each in each cell, NaN where no seed ended in it; ``coexisting`` are the phases of the models
        kept, lowest loss first. ``converged`` tells whether the lowest loss lies at most 1 % above the bottom of its basin
        (see ``TrainedModels.excess``). It has no boundaries.

    Raises
    ------
    ValueError
        When an argument lies outside its domain, memory does not suffice, the store belongs to another run, or models
        diverge.

    Notes
    -----
    The paper trains ten models a cell, discards the one with the highest loss and averages the rest. It does not publish
    the optimizer, learning rate, steps, batch size and starting points of that figure. The defaults are its notebook's
    (AdamW, constant learning rate 1e-3, 10 000 steps of 1024 samples) and Xavier's normal law for one model, variance
    2/(n_hidden + n_features); the notebook's own variance depends on how many models are trained at once.

    Many models end in metastable minima, true to the protocol: over the paper's axes 21 % of the seeds of 2→1 and 40 % of
    those of 3→2 end in another phase than the best of their cell, at importance 1 about half of them (in 2→1 those that
    start with both weights of one sign, whatever the scale of the starting points). Discarding one of ten does not remove
    them, so that they speckle the paper's reduction, and with it the look "norm-interference" of ``draw_phase_diagram``. Its look
    "phase" shows the best of each cell's seeds by exact loss, the reduction "best" the norms and interferences of the
    same models, and ``trained.metastable_fraction`` how many went astray.

    Public replications of the figure disagree with the paper, and with each other, because some give both features one
    mask of activity, average over such minima, turn the axis of densities upside down or take cosines for positive and
    negative alike. Here features are active independently, what is averaged is stated above, density 1 is on top when
    drawn, and antipodal pairs (negative cosine) and aligned pairs (positive) are different phases.

    Phases are those of `classify` with a tolerance of 0.1: norms and cosines of trained weights below that count as zero.

    References
    ----------
    Elhage et al. 2022, "Toy Models of Superposition", section "Superposition as a Phase Change", and its notebook.

    Examples
    --------
    >>> from phasediag import trained_phase_diagram
    >>> trained = trained_phase_diagram(importance=[0.5, 2.0], density=[0.1, 0.9], n_seeds=2, n_steps=2000, learning_rate=0.01)
    >>> trained.extra
    array([['superposition', 'superposition'],
           ['not_represented', 'dedicated']], dtype=object)
    """
    plane = plane_of(n_features, n_hidden, importance, density, activation, plane)
    neurons = isinstance(plane.form, NeuronForm)
    if neurons:
        given = {"optimizer": optimizer, "independent": independent, "device": device, "executor": executor, "store": store}
        check_usual(given)
        check_searchable(plane.form)
    else:
        check_trainable(plane.form)
    device = as_device(device, plane.form)
    n_features, n_hidden, (rows, columns) = plane.form.n_features, plane.form.n_hidden, plane.shape
    one_of("reduction", reduction, REDUCTIONS)
    if executor is not None and not hasattr(executor, "submit"):
        raise ValueError(f"executor must be a concurrent.futures.Executor, got {executor!r:.60}")
    if executor is not None and device != "cpu":
        raise ValueError(f"executor must be None with device {device!r}, got {executor!r:.60}")
    n_seeds, n_threads = whole_number("n_seeds", n_seeds, 1), thread_count(n_threads)
    seed = stored_seed(store) if seed is None else seed
    options = common_options(n_steps, batch_size, learning_rate, optimizer, schedule, weight_decay, independent, seed)
    check_memory(n_features, n_hidden, rows * columns * n_seeds, n_steps, 2, "n_seeds")
    check_importance(plane.form.importance(plane.grid))
    if neurons:
        with progress_bar(rows * columns * n_seeds, progress, "model", "training") as advance:
            points = train_neuron_cells(plane, n_seeds, options, n_threads, advance)
        weights, bias = stacked(plane.form, points)
        models = evaluate_cells(
            plane, weights, bias, reduction, {"n_seeds": n_seeds, "reduction": reduction, **options}, n_threads
        )
        return PhaseDiagram(plane, TRAINED, **diagram_fields(models))
    portions = divide(plane, n_seeds, options, 1 if device == "cuda" else n_threads)
    shape = (rows, n_seeds, columns, n_hidden, n_features)
    facts = {"n_features": n_features, "n_hidden": n_hidden, "activation": plane.form.activation, "n_seeds": n_seeds, **options}
    if not plane.is_importance_density:
        facts["controls"] = plane.grid.tolist()
    if not plane.is_plain:
        facts["form"] = plane.form.facts()
    if device == "cuda":
        facts["phasediag"] = f"{device} {VERSION}"
    kept = None if store is None else Store(store, plane.dimensions("weights", "bias"), shape, facts)
    trained = _train(plane, portions, shape, kept, n_threads, executor, device, progress)
    weights, bias = (np.ascontiguousarray(x.swapaxes(1, 2)) for x in trained)
    options = {"n_seeds": n_seeds, "reduction": reduction, **options, "device": device}
    models = evaluate_cells(plane, weights, bias, reduction, options, n_threads)
    return PhaseDiagram(plane, TRAINED, **diagram_fields(models))


def _train(plane, portions, shape, store, n_threads, executor, device, progress):
    """Train the portions that the store does not hold yet; return weights and biases with axes as in ``shape``."""
    if store is None:
        weights, bias = np.full(shape, np.nan, np.float32), np.full((*shape[:3], shape[4]), np.nan, np.float32)
        done = np.zeros(shape[:3], dtype=bool)
    else:
        weights, bias, done = store.finished()
    missing = [portion for portion in portions if not done[portion.place].all()]
    bar = progress_bar(done.size, progress, "model", "training", done=int(done.sum()))
    with bar as advance, closing(_work(missing, n_threads, executor, device, advance)) as work:
        for k, (own_weights, own_bias) in work:
            portion, place = missing[k], missing[k].place
            where = f" at {plane.y.name} {portion.y:g}, {plane.x.name} {portion.x[0]:g} to {portion.x[-1]:g}"
            check_convergent(portion.options, own_weights, own_bias, where)
            if device == "cpu":  # a GPU trains many together and tells on its way
                advance(int(np.count_nonzero(~done[place])))
            weights[place], bias[place] = own_weights, own_bias
            if store is not None:
                store.write(portion, own_weights, own_bias)
    return weights, bias


def _work(portions, n_threads, executor, device, advance):
    """Return the generator of (i, (weights, bias)) of portions as they are trained."""
    if device == "cpu":
        return trained_portions(portions, n_threads, executor)
    from ._cuda.trainer import train_portions

    return train_portions(portions, advance)
