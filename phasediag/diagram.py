"""Phase diagrams: which phase has the lowest loss over a plane of control parameters."""

import json
import os
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ._arguments import Floats, Seed, as_seed, check_path, one_of, sizes, thread_count, whole_number
from ._array_files import npz_path, read_arrays, replace_arrays
from ._display import Drawn
from ._files import replacing
from ._minimizing.search_state import SAVED_BY, SearchState
from ._progress import progress_bar
from .boundaries import DEFAULT_SETTINGS, CurveSettings, LevelCurve, PhaseBoundary, Spinodal, TriplePoint
from .candidates import MOST_FEATURES
from .curves import Curves
from .minima import Minimum
from .neuron_diagram import NeuronBoundary, boundaries_from, boundary_arrays, neuron_boundaries, neuron_grid, triple_points
from .neuron_minima import check_searchable
from .neurons import NeuronForm
from .planes import ControlPlane, Tabulated
from .theories import TIE_MARK, frozen_grid, global_grid, relaxed_cells, relaxed_grid
from .trained_models import GRIDS, TRAINED, TrainedModels

if TYPE_CHECKING:
    import xarray

THEORIES = ("frozen", "relaxed", "global")
MOST_IMPORTANCE = 1e9
"""Beyond this importance, or below its inverse, the lesser features are lost in the rounding of the loss that is minimized."""


@dataclass(frozen=True, eq=False, repr=False)
class PhaseDiagram(Drawn):
    """The phases of a toy model over a grid of control parameters.

    Grids have axes (y, x): (density, importance) unless the diagram was made over another plane.

    Attributes
    ----------
    plane : ControlPlane
        The two axes, and the model at each of their points.
    theory : str
    candidates : tuple of str
        The competing phases, first axis of ``candidate_loss``.
    candidate_loss : ndarray, shape (n_candidates, n_y, n_x)
    phase : ndarray of str, shape (n_y, n_x)
        Name of the phase with the lowest loss; where several have it, their names joined by " = ".
    extra : ndarray of str, shape (n_y, n_x)
        "not_represented", "dedicated" or "superposition"; "coexistence" where tied phases differ in it.
    coexisting : ndarray of tuple, shape (n_y, n_x)
        Names of phases, lowest first. Global theory: all that have a local minimum in the cell, the stable one first and
        then the metastable ones. Frozen and relaxed: those that share the lowest loss, more than one only on a boundary.
    loss : ndarray, shape (n_y, n_x)
        The lowest expected loss.
    weights : ndarray, shape (n_y, n_x, n_hidden, n_features)
        Weights that have it (of one of the phases where several do).
    bias : ndarray, shape (n_y, n_x, n_features)
    feature_norm, interference : ndarray, shape (n_y, n_x)
        Order parameters of the extra feature.
    converged : ndarray of bool, shape (n_y, n_x)
        Whether gradient and curvature show a minimum at the lowest loss found; always true for closed forms.
    minima : ndarray, shape (n_minima, (n_hidden + 1) n_features)
        Global theory: every minimum found in every cell, weights row by row, then biases; relaxed theory: the lowest minimum
        of every configuration's pattern in every cell; frozen theory: empty.
    minima_cell : ndarray of int, shape (n_minima,)
        The flat index of the cell of each.
    trained : TrainedModels or None
        The models behind a trained diagram.
    seed : int or None
        What the starts of a relaxed or global diagram were drawn from (drawn itself where ``phase_diagram`` was given none).

    Examples
    --------
    >>> from phasediag import phase_diagram
    >>> diagram = phase_diagram(importance=[0.5, 1.0, 2.0], density=[0.1, 0.5, 0.9], theory="frozen")
    >>> diagram.phase[0]
    array(['extra in antipodal pair', 'extra in antipodal pair',
           'extra in antipodal pair'], dtype=object)
    >>> (point,) = diagram.triple_points()
    >>> round(point.importance, 6), round(point.density, 6)
    (1.0, 0.571429)
    >>> diagram.to_xarray().sizes["density"]
    3
    """

    plane: ControlPlane
    theory: str
    candidates: tuple
    candidate_loss: np.ndarray
    phase: np.ndarray
    extra: np.ndarray
    coexisting: np.ndarray
    loss: np.ndarray
    weights: np.ndarray
    bias: np.ndarray
    feature_norm: np.ndarray
    interference: np.ndarray
    converged: np.ndarray
    minima: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    minima_cell: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=int))
    trained: TrainedModels | None = None
    seed: int | None = None
    _figure = "diagram_figure"

    @property
    def n_features(self) -> int:
        """Number of features."""
        return self.plane.form.n_features

    @property
    def n_hidden(self) -> int:
        """Number of hidden dimensions."""
        return self.plane.form.n_hidden

    @property
    def activation(self) -> str:
        """Activation of the models."""
        return self.plane.form.activation

    @property
    def x(self) -> Floats:
        """The values along the plane's first axis, shape (n_x,)."""
        return self.plane.x.values

    @property
    def y(self) -> Floats:
        """The values along the plane's second axis, shape (n_y,)."""
        return self.plane.y.values

    @property
    def importance(self) -> Floats:
        """Relative importance of the extra (last) feature, shape (n_x,).

        Raises
        ------
        ValueError
            When the plane is another than importance × density.
        """
        return self.plane.axes_named("importance", "density")[0]

    @property
    def density(self) -> Floats:
        """Density of the features, shape (n_y,); raises as ``importance`` does."""
        return self.plane.axes_named("importance", "density")[1]

    def _rows(self):
        """The sizes and axes of the plane, then the other fields."""
        return self.plane._rows() + [row for row in super()._rows() if row[0] != "plane"]

    def cells(self) -> list[dict[str, Any]]:
        """Return the cells, row by row, a list of dict: the values of the two axes, phase, extra, loss, order parameters."""
        names = ("phase", "extra", "loss", "feature_norm", "interference", "converged")
        places = zip((self.plane.x.name, self.plane.y.name), np.meshgrid(self.x, self.y), strict=True)
        columns = {name: values.ravel().tolist() for name, values in places}
        columns |= {name: getattr(self, name).ravel().tolist() for name in names}
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def _records(self):
        """A row for each cell."""
        return self.cells()

    @property
    def has_boundaries(self) -> bool:
        """Whether ``boundaries`` can be found: of theories whose models are known at all points, and have biases."""
        return self.theory != TRAINED and not isinstance(self.plane.model, Tabulated)

    @property
    def follows_boundaries(self) -> bool:
        """Whether they are curves that can be followed: those of toy models."""
        return self.has_boundaries and not isinstance(self.plane.form, NeuronForm)

    @property
    def crossings(self) -> tuple[NeuronBoundary, ...]:
        """The boundaries of neurons that have been computed so far."""
        return self.__dict__.get("_crossings", ())

    def _shown(self):
        """What a notebook shows: with the curves that have been computed."""
        known = self.curves is not None
        return self._drawing(self, curves=known, spinodals=known and self.curves.has_spinodals)

    def boundaries(
        self, *, settings: CurveSettings | None = None, n_threads: int | None = None, progress: bool = False
    ) -> list[PhaseBoundary]:
        """Return the curves between the phases, a list of PhaseBoundary; computed once, kept by ``save`` and by pickling.

        Found where neighbouring cells differ, solved for equal losses (not read off cells) and followed by continuation
        until they leave the diagram or meet a third phase; each point solves the equation to rounding. Of neurons a list of
        `NeuronBoundary`: curves by their points on the lines of the grid.

        Parameters
        ----------
        settings : CurveSettings, optional
            How curves are followed. With others than before those that could not be ended, see ``PhaseBoundary.status``, are
            followed on, and what leaves the points in which they end; the others stay.
        n_threads : int, optional
            How many curves are followed side by side, on Linux, in processes of their own; default one for each processor that
            this process may use. The result does not depend on it.
        progress : bool
            Show on standard error how many curves have been followed: of four features and more they take a minute or more.

        Raises
        ------
        ValueError
            For a trained diagram, which has cells only; for a plane of models without biases, or known at the points of its grid
            alone.

        Notes
        -----
        Of any plane, whatever its axes and the law of its models, the curves are between minima of any kind. Those on kinks
        (values with atoms below 0) move along with the inputs that hold them, and a curve takes longer there.
        """
        if isinstance(self.plane.form, NeuronForm):
            if "_crossings" not in self.__dict__:
                if not self.has_boundaries:
                    raise ValueError(f"boundaries of neurons need a theory and models between the points, got {self.theory!r}")
                self.__dict__["_crossings"] = tuple(neuron_boundaries(self, thread_count(n_threads)))
            return list(self.__dict__["_crossings"])
        return list(self._computed_curves(settings, n_threads, progress).boundaries)

    def triple_points(self) -> list[TriplePoint]:
        """Return the points where three phases have the same lowest loss, a list of TriplePoint; see ``boundaries``."""
        if isinstance(self.plane.form, NeuronForm):
            self.boundaries()
            return triple_points(self.crossings)
        return list(self._computed_curves().triple_points)

    def spinodals(
        self, *, settings: CurveSettings | None = None, n_threads: int | None = None, progress: bool = False
    ) -> list[Spinodal]:
        """Return the limits beyond which phases of first-order boundaries are no minima, a list of Spinodal; computed once.

        Each limit is there once, with the boundaries that it belongs to; see ``boundaries``, which are computed first.
        """
        with progress_bar(None, progress, "", "curves"):
            curves = self._computed_curves(settings, n_threads)
            known = curves.has_spinodals
            if not known:
                self._check_followed()
            spinodals = list(curves.spinodals)
        if not known:
            self._store_curves()
        return spinodals

    def level_curves(
        self, function: Callable[[Minimum], float], value: float = 0.0, *, name: str | None = None, phase: str | None = None
    ) -> list[LevelCurve]:
        """Return the curves along which a function of the lowest minimum has a value, a list of LevelCurve.

        They begin and end on boundaries (which are computed first, see ``boundaries``) or at the edge, and are followed like
        these. One that is closed, meets no boundary and passes between neighbours of the grid is not seen. The curves are kept
        with the others: ``save``, ``save_curves`` and ``plot`` have them.

        Parameters
        ----------
        function : callable
            Of a Minimum (``weights``, ``bias``, ``feature_norm``, ``interference``, …), a real number that is continuous
            where the minimum is, and the same when features that are alike change places.
        value : float
        name : str, optional
            What the curves are kept and drawn under; default the function's own.
        phase : str, optional
            The only phase whose minima count; default all.

        Raises
        ------
        ValueError
            When an argument is outside its domain, or the minima of the theory do not adjust.

        Examples
        --------
        The extra feature of two in one dimension grows from 0 beyond a continuous boundary; its norm becomes 0.1 nearby:

        >>> import numpy as np
        >>> from phasediag import phase_diagram
        >>> diagram = phase_diagram(importance=np.geomspace(0.6, 0.8, 4), density=np.geomspace(0.6, 0.7, 4))
        >>> (curve,) = diagram.level_curves(lambda minimum: minimum.feature_norm[1], 0.1, name="norm")
        >>> curve.phase, curve.ends
        ('extra in antipodal pair', ('edge', 'edge'))
        """
        from ._boundaries import find_level_curves

        if phase is not None:
            one_of("phase", phase, sorted({one for names in self.coexisting.ravel() for one in names} | {*self.phase.ravel()}))
        curves = self._computed_curves()
        name = getattr(function, "__name__", "function") if name is None else name
        levels = find_level_curves(self, function, value, name, phase)
        curves.keep(levels)
        self._store_curves()
        return levels

    @property
    def curves(self) -> Curves | None:
        """The curves that have been computed so far, as Curves; None where there are none."""
        return self.__dict__.get("_curves")

    def _computed_curves(self, settings=None, n_threads=None, progress=False):
        """The diagram's Curves, computed where there are none, followed on where settings are others."""
        from ._boundaries import find_boundaries

        if self.theory == TRAINED:
            raise ValueError(f'boundaries need a theory, one of {", ".join(THEORIES)}, got a "{TRAINED}" diagram')
        known = self.curves
        if known is None or (settings not in (None, known.settings)):
            self._check_followed()
            settings = DEFAULT_SETTINGS if settings is None else settings
            self.__dict__["_curves"] = Curves.of(self, *find_boundaries(self, settings, n_threads, progress), settings)
            self.curves.keep(() if known is None else known.levels)
            self._store_curves()
        return self.curves

    def _take_boundaries(self, other):
        """Take the boundaries of a diagram of the same plane and, under another name, the same theory; none are followed here."""
        known = other._computed_curves()
        self.__dict__["_curves"] = Curves.of(self, map(replace, known.boundaries), known.triple_points, known.settings)

    def _check_followed(self):
        """Raise ValueError where curves cannot be followed."""
        if not self.follows_boundaries:
            if isinstance(self.plane.form, NeuronForm):
                raise ValueError(
                    "spinodals() and save_curves take toy models, got a plane of neurons, each of whose boundaries() has both"
                )
            raise ValueError("boundaries need the models between the points of the grid, which are those of a function: give it")

    def _store_curves(self):
        """Add the curves to the checkpoint of the search, if there is one."""
        path = self.__dict__.get("_checkpoint")
        if path is not None:
            replace_arrays(path, **read_arrays("checkpoint", path, SAVED_BY, ()) | self.curves.arrays())

    def __getstate__(self):
        """What is pickled: all but the file of the search, which is this process's."""
        return {name: value for name, value in self.__dict__.items() if name != "_checkpoint"}

    def save_curves(self, path: str | os.PathLike[str]) -> None:
        """Write boundaries, spinodals and triple points by points; they are computed first where they have not been.

        Parameters
        ----------
        path : path
            A .csv file gets a line for each point, with the columns of ``Curves.rows``; a .json file an object for each curve.

        Raises
        ------
        ValueError
            When the file's ending is neither .csv nor .json, or the diagram is a trained one.
        """
        check_path("path", path)
        path = Path(path)
        if path.suffix not in (".csv", ".json"):
            raise ValueError(f"path must end in .csv or .json, got {str(path)!r}")
        curves = self._computed_curves()
        self.spinodals()
        with replacing(path) as partial, open(partial, "w", encoding="utf-8", newline="") as stream:
            stream.write(json.dumps(curves.facts(), indent=1, ensure_ascii=False) if path.suffix == ".json" else curves.csv())

    def to_xarray(self) -> "xarray.Dataset":
        """Return the diagram as an ``xarray.Dataset`` with labelled axes: the plane's, candidate, hidden, feature."""
        import xarray

        axes = self.plane.dimensions(*(f.name for f in fields(self)))
        grid = tuple(axes)
        coexisting = np.array(
            [[[name in names for names in row] for row in self.coexisting] for name in self.candidates], dtype=bool
        )
        cells = {} if self.trained is None else self._trained_variables(grid)
        return xarray.Dataset(
            {
                **cells,
                "phase": (grid, self.phase.astype(str)),
                "extra": (grid, self.extra.astype(str)),
                "loss": (grid, self.loss),
                "weights": ((*grid, "hidden", "feature"), self.weights),
                "bias": ((*grid, "feature"), self.bias),
                "feature_norm": (grid, self.feature_norm),
                "interference": (grid, self.interference),
                "converged": (grid, self.converged),
                "candidate_loss": (("candidate", *grid), self.candidate_loss),
                "coexisting": (("candidate", *grid), coexisting),
            },
            coords={**axes, "candidate": list(self.candidates)},
            attrs={name: getattr(self, name) for name in ("n_features", "n_hidden", "activation", "theory")},
        )

    def _trained_variables(self, plane):
        """Variables of the dataset with an axis of seeds, beside those of the plane (names)."""
        grid, models = (*plane, "seed"), self.trained
        axes = {"weights": (*grid, "hidden", "feature"), "bias": (*grid, "feature")}
        variables = {f"seed_{name}": (axes.get(name, grid), getattr(models, name)) for name in GRIDS}
        for name in ("phase", "extra"):
            variables[f"seed_{name}"] = grid, getattr(models, name).astype(str)
        return variables | {"excess": (grid[:2], models.excess), "metastable_fraction": (grid[:2], models.metastable_fraction)}

    def explore(self) -> Any:
        """Return the page of `explore`, which a notebook shows within its cell."""
        return import_module(f"{__package__}.explorer").explore(self)  # pages stand above diagrams

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the diagram, with the curves computed so far, to an .npz file of plain arrays for ``PhaseDiagram.load``.

        Raises
        ------
        ValueError
            When the file's ending is not .npz.
        """
        arrays: dict[str, Any] = {
            f.name: np.asarray(getattr(self, f.name)) for f in fields(self) if f.name not in ("plane", "coexisting", "trained")
        }
        arrays |= self.plane.arrays()
        arrays["seed"] = str(self.seed)  # may be longer than numpy's integers
        arrays["phase"], arrays["extra"] = self.phase.astype(str), self.extra.astype(str)
        joined = [TIE_MARK.join(names) for names in self.coexisting.ravel()]
        arrays["coexisting"] = np.array(joined).reshape(self.coexisting.shape)
        if self.trained is not None:
            arrays |= self.trained.arrays()
        if self.curves is not None:
            arrays |= self.curves.arrays()
        if "_crossings" in self.__dict__:
            arrays |= boundary_arrays(self.crossings)
        with replacing(npz_path("path", path)) as partial:
            np.savez_compressed(partial, **arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "PhaseDiagram":
        """Read a diagram written by ``save``; what it saved of its curves is not computed again.

        A plane whose model was a function comes back with the models at the points of the grid alone.

        Raises
        ------
        ValueError
            When the file's ending is not .npz, it cannot be read or it does not hold a diagram.
        """
        needed = [f.name for f in fields(cls) if f.default is MISSING and f.default_factory is MISSING]  # others may be newer
        needed.remove("plane")
        arrays = read_arrays("path", npz_path("path", path), "PhaseDiagram.save", needed)
        values: dict[str, Any] = {f.name: arrays[f.name] for f in fields(cls) if f.name in arrays}
        values["plane"], values["theory"] = ControlPlane.from_arrays(arrays), values["theory"].item()
        if values["theory"] == TRAINED:
            values["trained"] = TrainedModels.from_arrays(arrays)
        if "seed" in values:
            values["seed"] = None if values["seed"] == "None" else int(values["seed"].item())
        values["candidates"] = tuple(values["candidates"].tolist())
        values["phase"], values["extra"] = values["phase"].astype(object), values["extra"].astype(object)
        coexisting = np.empty(values["loss"].size, dtype=object)
        coexisting[:] = [tuple(text.split(TIE_MARK)) for text in values["coexisting"].ravel()]
        values["coexisting"] = coexisting.reshape(values["loss"].shape)
        diagram = cls(**values)
        diagram.__dict__["_curves"] = Curves.from_arrays(arrays, diagram)
        crossings = boundaries_from(arrays, diagram.plane)
        if crossings is not None:
            diagram.__dict__["_crossings"] = crossings
        return diagram


def plane_of(n_features, n_hidden, importance, density, activation, plane):
    """The plane of a diagram: the one that is given, or importance × density, by default along the paper's axes.

    The paper's: importance 0.1 … 10, density 0.01 … 1, 100 logarithmic steps each.
    """
    if plane is None:
        return ControlPlane.importance_density(
            *sizes(n_features, n_hidden),
            importance=np.geomspace(0.1, 10.0, 100) if importance is None else importance,
            density=np.geomspace(0.01, 1.0, 100) if density is None else density,
            activation=activation,
        )
    if not isinstance(plane, ControlPlane):
        raise ValueError(f"plane must be a ControlPlane, got {plane!r:.60}")
    given = {"n_features": n_features != 2, "n_hidden": n_hidden != 1, "activation": activation != "relu"}
    given |= {"importance": importance is not None, "density": density is not None}
    if any(given.values()):
        names = ", ".join(name for name in given if given[name])
        raise ValueError(f"plane says what the models are: {names} must not be given with it")
    return plane


def phase_diagram(
    n_features: int = 2,
    n_hidden: int = 1,
    *,
    importance: ArrayLike | None = None,
    density: ArrayLike | None = None,
    theory: str = "global",
    activation: str = "relu",
    plane: ControlPlane | None = None,
    n_starts: int = 24,
    seed: Seed = 0,
    n_threads: int | None = None,
    progress: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
) -> PhaseDiagram:
    """Compute a phase diagram.

    Parameters
    ----------
    n_features : int
        From 2 to 8.
    n_hidden : int
        From 1 to n_features − 1.
    importance : array_like, optional
        Axis of relative importances of the extra feature, increasing and positive; default the paper's, 0.1 … 10. For the
        relaxed and global theories from 1e-9 to 1e9: beyond, the lesser features are lost in rounding.
    density : array_like, optional
        Axis of densities, increasing, in (0, 1]; default the paper's, 0.01 … 1.
    theory : {"frozen", "relaxed", "global"}
        "frozen": the configurations with unit weights compete by their closed-form losses. "relaxed": of each configuration's
        pattern (scales, angles and biases free, zeros kept) the lowest minimum competes; a pattern can hold those of narrower
        ones, and for n_hidden = n_features − 1 the simplex of all features frees everything. "global": all local minima over
        all weights and biases; "exact" is another word for it. For each cell, global ≤ relaxed ≤ frozen.
    activation : {"relu", "linear"}
    plane : ControlPlane, optional
        Any other two parameters as axes, instead of ``n_features`` to ``density`` and ``activation``. The frozen and relaxed
        theories are those of importance × density. Of a `NeuronModel` of up to 4 features the theory is global, and ``weights``
        of the diagram are W, or W₁ with W₂ᵀ below.
    n_starts : int
        Relaxed and global theory: random starts at each coarse point of the grid, beside the configurations.
    seed : None, int or numpy.random.Generator
        Relaxed and global theory: seed of those starts; None draws one, or takes that of the checkpoint.
    n_threads : int, optional
        The result does not depend on it. If None, one for each processor that the process may use.
    progress : bool
        Show a progress bar on standard error.
    checkpoint : path, optional
        Global theory: an .npz file that receives the state of the search every half minute and when it is interrupted
        (Ctrl-C), and from which the same call goes on; both give the same result as an uninterrupted search. Curves of the
        diagram are added to it when they have been followed, and not followed again. A file of another grid, ``n_starts`` or
        ``seed`` is refused.

    Returns
    -------
    PhaseDiagram

    Raises
    ------
    ValueError
        When an argument is outside its domain, or ``checkpoint`` is given for another theory, cannot be written, or is not a
        file of the same search.

    Notes
    -----
    The minima are those of a search: many starts at every eighth cell of each axis, few in the others, every branch followed
    from cell to cell. No search is a proof. In 295 random cells of 3→2, 4→2, 4→3 and 5→2, 80 to 150 more random starts found no
    lower loss, and one of 699 minima that the diagram lacked, metastable at thirty times the lowest loss. What is missed exists
    in a pocket of few cells or is reached from few starts: a larger ``n_starts`` makes it rarer.

    References
    ----------
    Elhage et al. 2022, section "Superposition as a Phase Change".
    Equation :eq:`order` of the mathematics page.

    Examples
    --------
    >>> from phasediag import phase_diagram
    >>> diagram = phase_diagram(importance=[0.5, 2.0], density=[0.1, 0.9])
    >>> diagram.extra  # rows: densities
    array([['superposition', 'superposition'],
           ['not_represented', 'dedicated']], dtype=object)
    """
    theory = one_of("theory", "global" if theory == "exact" else theory, THEORIES)
    plane = plane_of(n_features, n_hidden, importance, density, activation, plane)
    if isinstance(plane.form, NeuronForm):
        if theory != "global":
            raise ValueError(f'a diagram of neurons must have theory "global", got {theory!r}')
        if checkpoint is not None:
            raise ValueError(f"checkpoint must not be given for neurons, got {checkpoint!r:.60}")
        check_searchable(plane.form)
        seed, n_threads = as_seed(seed), thread_count(n_threads)
        with progress_bar(plane.grid[..., 0].size, progress, "cell", "minima") as advance:
            grids = neuron_grid(plane, seed, whole_number("n_starts", n_starts, 1), n_threads, advance)
        return PhaseDiagram(plane, theory, seed=seed, **grids)
    sizes(plane.form.n_features, plane.form.n_hidden, MOST_FEATURES)
    if theory != "global" and not plane.is_importance_density:
        domain = "over importance × density of independent features, uniform where active"
        raise ValueError(f'theory must be "global" unless the plane is {domain}, got {theory!r}')
    search = {
        "n_starts": whole_number("n_starts", n_starts, 1),
        "n_threads": thread_count(n_threads),
    }
    importances = plane.form.importance(plane.grid)
    beyond = importances[(importances > MOST_IMPORTANCE) | (importances < 1 / MOST_IMPORTANCE)]
    if theory != "frozen" and beyond.size:
        domain = f"from {1 / MOST_IMPORTANCE:g} to {MOST_IMPORTANCE:g}"
        raise ValueError(f"importance must be {domain} for the {theory} theory, got {beyond[0]:g}")
    stored: dict[str, Any] = {}
    if checkpoint is not None:
        if theory != "global":
            raise ValueError(f"checkpoint must not be given for the {theory} theory, got {str(checkpoint)!r}")
        search["checkpoint"] = npz_path("checkpoint", checkpoint)
        seed = SearchState.stored_seed(search["checkpoint"]) if seed is None else seed
        if search["checkpoint"].exists():
            stored = read_arrays("checkpoint", search["checkpoint"], SAVED_BY, ())
    seed = as_seed(seed)
    if theory == "frozen":
        seed, grids = None, frozen_grid(plane)
    else:
        total = plane.grid[..., 0].size if theory == "global" else relaxed_cells(plane)
        with progress_bar(total, progress, "cell", "minima") as advance:
            grids = (global_grid if theory == "global" else relaxed_grid)(plane, seed=seed, progress=advance, **search)
    diagram = PhaseDiagram(plane, theory, seed=seed, **grids)
    if checkpoint is not None:
        diagram.__dict__.update(_checkpoint=search["checkpoint"], _curves=Curves.from_arrays(stored, diagram))
        if diagram.curves is not None:
            diagram._store_curves()  # the search has written its file anew
    return diagram
