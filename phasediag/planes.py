"""Planes of control parameters: two axes, and the toy model at each of their points."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._arguments import Floats, as_flag, density_array, grid_axis, one_of, positive_array, real_array, sizes
from ._display import Result
from .activity import (
    FREE,
    INDEPENDENT,
    ON,
    TABLE,
    ActivityTable,
    AnticorrelatedSets,
    CorrelatedSets,
    ExactlyActive,
    Independent,
)
from .forms import Classes, Form
from .model import ACTIVATIONS, Penalty, ToyModel, model_of
from .neurons import NeuronForm, NeuronModel

_OF = "_of_"  # of some features alone: density_of_2_3, numbered from 1


class Parameter(NamedTuple):
    """What can vary: how its values are checked, the words for it, the greatest value, whether some features can have it, and
    whether models of neurons do."""

    check: Callable[[str, ArrayLike], Floats]
    label: str
    most: float
    by_feature: bool
    of_neurons: bool = True


def _not_negative(name: str, value: ArrayLike) -> Floats:
    """Return numbers that are at least 0 as a float64 array."""
    return real_array(name, value, "at least 0", lambda x: x >= 0)


def _share(name: str, value: ArrayLike) -> Floats:
    """Return numbers from 0 to 1 as a float64 array."""
    return real_array(name, value, "in [0, 1]", lambda x: (x >= 0) & (x <= 1))


PARAMETERS = {
    "importance": Parameter(positive_array, "relative importance of the extra feature", np.inf, True),
    "density": Parameter(density_array, "feature density (1 − sparsity)", 1.0, True),
    "profile": Parameter(positive_array, "ratio of successive importances", np.inf, False),
    "weight_penalty": Parameter(_not_negative, "penalty γ on weights", np.inf, False, False),
    "interference_penalty": Parameter(_not_negative, "penalty λ on interference", np.inf, False, False),
    "slope": Parameter(_share, "slope of the leaky ReLU", 1.0, False, False),
    "activity_share": Parameter(_share, "share of the law of joint activity", 1.0, False),
    "line": Parameter(real_array, "", np.inf, False),
}
"""What a ControlPlane can vary of a model, by name; "line" is nothing."""

_GENERIC = (0.381966, 0.723607), (0.854102, 0.276393), (0.145898, 0.618034)
"""Values of two parameters at which nothing is equal by chance."""


@dataclass(frozen=True, eq=False, repr=False)
class Axis(Result):
    """One axis of a plane of control parameters.

    Parameters
    ----------
    name : str
        Of the parameter: what tables, files and figures call it.
    values : array_like, shape (n_values,)
        The grid along it, strictly increasing; one value makes a plane of one row or column.
    log : bool
        Whether the coordinate along it is the logarithm (values must then be positive) or the value itself.

    Raises
    ------
    ValueError
        When an argument is outside its domain.

    Examples
    --------
    >>> from phasediag import Axis
    >>> float(Axis("slope", [0.0, 0.5, 1.0], log=False).coordinate(0.5))
    0.5
    """

    name: str
    values: Floats
    log: bool = True

    if TYPE_CHECKING:  # arguments become arrays

        def __init__(self, name: str, values: ArrayLike, log: bool = True) -> None: ...

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.isidentifier():
            raise ValueError(f"name must be a word of letters, digits and underscores, got {self.name!r:.60}")
        object.__setattr__(self, "log", bool(as_flag("log", self.log)))
        values = grid_axis(self.name, self.values, real_array if self._parameter is None else self._parameter.check)
        if self.log and values[0] <= 0:
            raise ValueError(f"{self.name} must be positive on a logarithmic axis, got {values[0]:g}; see log=False")
        values = values.copy()
        values.setflags(write=False)
        object.__setattr__(self, "values", values)

    @property
    def most(self) -> float:
        """The greatest value that the parameter can have."""
        return np.inf if self._parameter is None else self._parameter.most

    @property
    def _parameter(self):
        """The Parameter that it is named after, or None."""
        return PARAMETERS.get(self.name.partition(_OF)[0])

    @property
    def label(self) -> str:
        """What figures write along it."""
        head, _, features = self.name.partition(_OF)
        words = f"{head} of feature{'s' * ('_' in features)} {features.replace('_', ', ')}" if features else head
        return PARAMETERS[self.name].label if self.name in PARAMETERS else words.replace("_", " ")

    def coordinate(self, value: ArrayLike) -> Any:
        """Return the coordinate of values: the logarithm on a logarithmic axis."""
        return np.log(value) if self.log else np.asarray(value, dtype=np.float64)[()]

    def value(self, coordinate: ArrayLike) -> Any:
        """Return the values at coordinates, at most the greatest that the parameter can have."""
        return np.minimum(np.exp(coordinate) if self.log else coordinate, self.most)

    def __len__(self) -> int:
        return self.values.size

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Axis):
            return NotImplemented
        return (self.name, self.log) == (other.name, other.log) and np.array_equal(self.values, other.values)

    def __hash__(self) -> int:
        return hash((self.name, self.log, self.values.tobytes()))


class Window:
    """The rectangle of a plane in coordinates u.

    Attributes
    ----------
    low, high : ndarray, shape (2,)
    wide : ndarray of bool, shape (2,)
        Along which axes it extends: one of them only in a plane of one row or column.
    """

    def __init__(self, low: ArrayLike, high: ArrayLike) -> None:
        self.low, self.high = np.array(low, dtype=np.float64), np.array(high, dtype=np.float64)
        self.wide = self.high > self.low

    def outside(self, u: ArrayLike) -> bool:
        """Return whether u lies outside, by more than rounding."""
        u = np.asarray(u)
        return bool(np.any(u < self.low - 1e-13) or np.any(u > self.high + 1e-13))


@dataclass(frozen=True)
class Varied:
    """A model of which parameters in `PARAMETERS` vary, by their names; called with their values it is a ToyModel.

    base: a model that has all that varies; law: where the share of a law of joint activity varies, this law, or where it has a
    value off the axes, then with this share.
    """

    base: ToyModel | NeuronModel
    names: tuple[str, str]
    law: Independent | None = None
    share: float | None = None

    @classmethod
    def of(cls, model, names):
        """That of a ToyModel, which gets what the names need: a penalty, a slope, a table of activity."""
        if names[0] == names[1]:
            raise ValueError(f"y must name another parameter than x, got {names[1]!r} twice")
        for name in names:
            _features(name, model.n_features, type(model).__name__)
        if "slope" in names and model.activation == "linear":
            raise ValueError('activation must be "relu" or "leaky" for an axis slope, got \'linear\'')
        law = None
        if any(name.endswith("_penalty") for name in names) and model.penalty is None:
            model = replace(model, penalty=Penalty())
        if "slope" in names and model.activation != "leaky":
            model = replace(model, activation="leaky", slope=0.0)
        if "activity_share" in names:
            if model.activity is None:
                raise ValueError("activity must be a law of joint activity for an axis activity_share, got None")
            law, table = model.activity, tabulated(INDEPENDENT, model.feature_density)
            model = replace(model, activity=ActivityTable(table.reshape((2,) * model.n_features), law.together))
        varied = cls(model, names, law)
        first, second = (varied._entries.get(name, ()) for name in names)
        if len(first) and set(first) <= set(second):
            raise ValueError(f"x must name a parameter that y leaves as it is, got {names[0]!r} beside {names[1]!r}")
        return varied

    def at(self, name, value):
        """The same two parameters of the model in which a third one has a value."""
        if name in self.names:
            raise ValueError(f"z must name another parameter than {' and '.join(self.names)}, got {name}")
        third = Varied.of(self.base, (name, "line"))
        if name == "activity_share":
            return replace(self, base=third.base, law=third.law, share=value)
        return replace(self, base=third(value, 0.0))

    def __call__(self, x: float, y: float) -> ToyModel:
        """Return the model with these values of the two parameters."""
        return _model(self.base.form, self.controls(x, y))

    @cached_property
    def _entries(self):
        """Positions in control vectors of what each name but "activity_share" varies, arrays by name."""
        form, positions = self.base.form, np.arange(self.base.form.n_controls)
        names = [name for name in self.names if name != "activity_share"]
        return {name: positions[_place(name, form)][_features(name, form.n_features)] for name in names}

    def controls(self, x, y):
        """Control vectors at points, which broadcast: shape (…, n_controls)."""
        form = self.base.form
        controls = np.empty((*np.broadcast(x, y).shape, form.n_controls))
        controls[...] = self.base.control
        values = [np.asarray(value, dtype=np.float64)[..., None] for value in (x, y)]
        for name, value in zip(self.names, values, strict=True):
            if name != "activity_share":
                controls[..., self._entries[name]] = value ** np.arange(form.n_features) if name == "profile" else value
        for name, share in zip((*self.names, "activity_share"), (*values, self.share), strict=True):
            if name == "activity_share" and share is not None:
                density = form.density(controls)
                tables = (tabulated(law, density) for law in (INDEPENDENT, self.law))
                controls[..., form.places["activity"]] = sum(w * t for w, t in zip((1 - share, share), tables, strict=True))
        return controls


def tabulated(law, density):
    """The probabilities of all sets of active features under a law, for densities (…, n_features): shape (…, 2^n_features)."""
    n = density.shape[-1]
    patterns, states = TABLE.components(n) == ON, law.components(n)
    weights = np.broadcast_to(law.weights(density, law.numbers()), (*density.shape[:-1], len(states)))
    table = np.zeros((*density.shape[:-1], 2**n))
    for component, state in enumerate(states):
        p = np.where(state == FREE, density, state == ON)[..., None, :]
        table += weights[..., component, None] * np.where(patterns, p, 1 - p).prod(axis=-1)
    return table


def _place(name, form):
    """Where in control vectors the numbers of a parameter are, a slice."""
    penalty = form.places["penalty"].start
    places = {"weight_penalty": slice(penalty, penalty + 1), "interference_penalty": slice(penalty + 1, penalty + 2)}
    head = "importance" if name == "profile" else name.partition(_OF)[0]
    return (places | form.places | {"line": slice(0)})[head]


def control_direction(argument, model, name):
    """The derivative of a model's control vector with respect to a parameter that an axis can name, shape (n_controls,).

    ``argument``: what to call the name in a ValueError: where the model has no such parameter, or no number of its own for it.
    """
    form, direction = model.form, np.zeros(model.form.n_controls)
    names = ["importance", "density", *("weight_penalty", "interference_penalty") * form.penalised]
    names += ["slope"] * (form.activation == "leaky")
    if name.partition(_OF)[0] not in names:
        raise ValueError(f"{argument} must be one of {', '.join(names)}, or like density_of_2, got {name!r}")
    direction[np.arange(form.n_controls)[_place(name, form)][_features(name, form.n_features)]] = 1.0
    return direction


@dataclass(frozen=True, eq=False)
class Tabulated:
    """The models at the points of a grid alone, as a file holds those of a function; controls (n_y, n_x, n_controls)."""

    form: Form
    x: Floats
    y: Floats
    table: Floats

    def __call__(self, x: float, y: float) -> ToyModel:
        """Return the model at a point of the grid."""
        row, column = (np.flatnonzero(axis == value) for axis, value in ((self.y, y), (self.x, x)))
        if not row.size or not column.size:
            raise ValueError(f"the models of this plane are known at the points of its grid alone, got ({x:g}, {y:g})")
        return _model(self.form, self.table[row[0], column[0]])


def _features(name, n_features, kind="ToyModel"):
    """The features whose parameter an axis varies, as an index; ValueError where it names none of such models."""
    head, of, features = name.partition(_OF)
    own = [one for one, known in PARAMETERS.items() if known.of_neurons or kind == "ToyModel"]
    known = PARAMETERS[head] if head in own else None
    if known is not None and not of:
        return {"importance": slice(-1, None), "line": slice(0)}.get(head, slice(None))
    numbers = [int(word) for word in features.split("_") if word.isdecimal()]
    if known is None or not known.by_feature or not numbers or not all(1 <= k <= n_features for k in numbers):
        listed = ", ".join(f'"{one}"' for one in own if one != "line")
        form = f'"density_of_2_3" with features from 1 to {n_features}'
        raise ValueError(f"an axis of a {kind} must be named one of {listed}, or like {form}, got {name!r}")
    return [k - 1 for k in numbers]


@dataclass(frozen=True, repr=False)
class ControlPlane(Result):
    """A plane of control parameters: two axes, and the model at each of their points.

    Parameters
    ----------
    model : callable or ToyModel
        ``model(x, y)`` is the ToyModel at a point, of one structure everywhere. Of a ToyModel those parameters vary that the
        axes name, see Notes.
    x, y : Axis
        Without ``y`` it is a line: a plane of one row.

    Raises
    ------
    ValueError
        When ``model`` is neither, or is a ToyModel and an axis names none of its parameters.

    Notes
    -----
    Parameters that axes can name: "importance" (of the last, the extra feature), "density" (of all features), "profile" (r in
    importances 1, r, r², …); "importance_of_1_2", "density_of_3", …: of these features alone, numbered from 1;
    "weight_penalty" and "interference_penalty", γ and λ of a `Penalty`; "slope" of the leaky ReLU, from 0, the ReLU, to 1, the
    linear model; "activity_share", s in the law (1 − s) independent + s (the model's activity), both at the model's densities.

    Points have coordinates u = (coordinate along x, coordinate along y), logarithms on logarithmic axes. A plane pickles when
    its model does: a function must be one of a module.

    Examples
    --------
    >>> from phasediag import Axis, ControlPlane, ToyModel
    >>> base = ToyModel(n_hidden=1, importance=[1.0, 1.0], density=0.1)
    >>> plane = ControlPlane(base, x=Axis("importance", [0.5, 2.0]), y=Axis("density_of_2", [0.1, 0.9]))
    >>> plane.model(0.5, 0.9).density
    array([0.1, 0.9])
    """

    model: Callable[[float, float], ToyModel]
    x: Axis
    y: Axis = Axis("line", [0.0], log=False)

    if TYPE_CHECKING:  # a ToyModel becomes callable

        def __init__(self, model: Callable[[float, float], ToyModel] | ToyModel, x: Axis, y: Axis = ...) -> None: ...

    def __post_init__(self) -> None:
        for name in ("x", "y"):
            if not isinstance(getattr(self, name), Axis):
                raise ValueError(f"{name} must be an Axis, got {getattr(self, name)!r:.60}")
        if isinstance(self.model, ToyModel | NeuronModel):
            object.__setattr__(self, "model", Varied.of(self.model, (self.x.name, self.y.name)))
        elif not callable(self.model):
            raise ValueError(f"model must be a ToyModel, a NeuronModel or a callable that returns one, got {self.model!r:.60}")

    def _rows(self):
        """The sizes of the models, and the axes."""
        sizes = [(name, str(getattr(self.form, name))) for name in ("n_features", "n_hidden", "activation")]
        return sizes + [(axis.name, dict(axis._rows())["values"]) for axis in (self.x, self.y)]

    @classmethod
    def importance_density(
        cls, n_features: int, n_hidden: int, *, importance: ArrayLike, density: ArrayLike, activation: str = "relu"
    ) -> "ControlPlane":
        """Return the paper's plane: the importance of the extra feature, the others having 1, and the density of all.

        Parameters
        ----------
        n_features, n_hidden : int
        importance : array_like
            Increasing and positive.
        density : array_like
            Increasing, in (0, 1].
        activation : {"relu", "linear"}
        """
        n_features, n_hidden = sizes(n_features, n_hidden)
        base = ToyModel(n_hidden, np.ones(n_features), 1.0, one_of("activation", activation, ACTIVATIONS))
        return cls(base, Axis("importance", importance), Axis("density", density))

    @property
    def shape(self) -> tuple[int, int]:
        """How many values y and x have: the shape of a diagram's grids."""
        return len(self.y), len(self.x)

    @cached_property
    def form(self) -> Form:
        """The structure of all models."""
        first = self.model(self.x.values[0], self.y.values[0])
        if not isinstance(first, ToyModel | NeuronModel):
            raise ValueError(f"model must return a ToyModel or a NeuronModel, got {first!r:.60}")
        return first.form

    @cached_property
    def grid(self) -> Floats:
        """The control vectors at all points of the grid, shape (n_y, n_x, n_controls)."""
        return self.controls(self.x.values, self.y.values[:, None])

    @property
    def is_importance_density(self) -> bool:
        """Whether it is the paper's plane: the importance of the extra feature, the others having 1, and the density of all."""
        if (self.x.name, self.y.name) != ("importance", "density") or not isinstance(self.model, Varied):
            return False
        return bool(np.all(self.model.base.importance[:-1] == 1)) and self.is_plain

    @property
    def together(self) -> tuple[tuple[int, ...], ...]:
        """The sets of features that belong together, which names of phases tell of."""
        return self.form.activity.together

    @property
    def law(self) -> dict[str, str]:
        """The law of all models in words: activity, values and, where there are such, what penalty and slope no axis varies."""
        words, shared = (
            self.model(self.x.values[0], self.y.values[0]).law(self.x.name, self.y.name),
            getattr(self.model, "law", None),
        )
        return words if shared is None else words | {"activity": f"from independent features to {shared.text()}"}

    @property
    def is_biased(self) -> bool:
        """Whether biases may move; those of models without biases are held at 0."""
        return isinstance(self.form, NeuronForm) or self.form.biased

    @property
    def is_plain(self) -> bool:
        """Whether features are independent, uniform on [0, 1] where active, outputs biased, and nothing is added to the loss."""
        return self.form.is_default

    def dimensions(self, *taken: str) -> dict[str, Floats]:
        """Return the values of y and x by their names, which end in "_axis" where something else has the name."""
        return {axis.name + "_axis" * (axis.name in taken): axis.values for axis in (self.y, self.x)}

    def axes_named(self, x: str, y: str) -> tuple[Floats, Floats]:
        """Return the values along both axes, which must have these names, or raise ``ValueError``."""
        if (self.x.name, self.y.name) != (x, y):
            raise ValueError(f"{x} and {y} must be the axes, which are {self.x.name} and {self.y.name} here: see x and y")
        return self.x.values, self.y.values

    def stack(self, z: Axis) -> "dict[float, ControlPlane]":
        """Return the planes in which a third parameter has the values of an axis, by these values.

        Diagrams over them are the slices of a slider of `explore`.

        Parameters
        ----------
        z : Axis
            Named as those of the plane, after another parameter of its ToyModel.

        Raises
        ------
        ValueError
            When z is no Axis, names no other parameter, or the plane's model is a function.

        Examples
        --------
        >>> from phasediag import Axis, ControlPlane
        >>> plane = ControlPlane.importance_density(2, 1, importance=[0.5, 2.0], density=[0.1, 0.9])
        >>> {slope: one.model(0.5, 0.1).slope for slope, one in plane.stack(Axis("slope", [0.0, 0.5], log=False)).items()}
        {0.0: 0.0, 0.5: 0.5}
        """
        if not isinstance(z, Axis):
            raise ValueError(f"z must be an Axis, got {z!r:.60}")
        if not isinstance(self.model, Varied):
            raise ValueError("z needs a plane whose model is a ToyModel, got one whose model is a function")
        return {value: ControlPlane(self.model.at(z.name, value), self.x, self.y) for value in z.values.tolist()}

    @cached_property
    def window(self) -> Window:
        """The rectangle between the first and last values, in coordinates u."""
        ends = [axis.coordinate(axis.values[[0, -1]]) for axis in (self.x, self.y)]
        return Window(*np.transpose(ends))

    def coordinates(self, x: ArrayLike, y: ArrayLike) -> Floats:
        """Return coordinates u of values that broadcast: shape (…, 2)."""
        return np.stack(np.broadcast_arrays(self.x.coordinate(x), self.y.coordinate(y)), axis=-1)

    def values(self, u: ArrayLike) -> tuple[Any, Any]:
        """Return the values of x and of y at coordinates u, shape (…, 2)."""
        u = np.asarray(u, dtype=np.float64)
        return self.x.value(u[..., 0]), self.y.value(u[..., 1])

    def at(self, u: ArrayLike) -> ToyModel:
        """Return the model at coordinates u, shape (2,)."""
        return self.model(*map(float, self.values(u)))

    def controls(self, x: ArrayLike, y: ArrayLike) -> Floats:
        """Return the control vectors of the models at values of x and y that broadcast: shape (…, size)."""
        if isinstance(self.model, Varied):
            return self.model.controls(x, y)
        x, y = np.broadcast_arrays(x, y)
        models = [self.model(*point) for point in zip(x.ravel().tolist(), y.ravel().tolist(), strict=True)]
        other = next((model for model in models if getattr(model, "form", None) != self.form), None)
        if other is not None:
            whole = "sizes, activation, law of features, with or without a penalty"
            raise ValueError(f"model must have the same structure everywhere ({whole}), got {models[0]!r:.60} and {other!r:.60}")
        return np.array([model.control for model in models]).reshape(*x.shape, self.form.n_controls)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what `from_arrays` reads: arrays of numbers and of text by name."""
        facts: dict[str, Any] = {"form": self.form.facts()}
        arrays = {}
        for key, axis in (("x", self.x), ("y", self.y)):
            facts[key], arrays[f"plane_{key}"] = {"name": axis.name, "log": axis.log}, axis.values
        if isinstance(self.model, Varied):
            arrays["plane_base"], facts["law"] = self.model.base.control, self.model.law and _law_facts(self.model.law)
            facts["share"] = self.model.share
        else:
            arrays["plane_grid"] = self.grid
        return arrays | {"plane": np.array(json.dumps(facts))}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "ControlPlane":
        """Return the plane whose `arrays` are in a mapping; of earlier files, of importance × density."""
        if "plane" not in arrays:
            n_features, n_hidden, activation = (arrays[name].item() for name in ("n_features", "n_hidden", "activation"))
            axes = {name: arrays[name] for name in ("importance", "density")}
            return cls.importance_density(n_features, n_hidden, activation=activation, **axes)
        facts = json.loads(arrays["plane"].item())
        form = (NeuronForm if "task" in facts["form"] else Form).from_facts(facts["form"])
        x, y = (Axis(facts[key]["name"], arrays[f"plane_{key}"], facts[key]["log"]) for key in ("x", "y"))
        if "plane_base" in arrays:
            law = facts["law"] and _law_of(*facts["law"])
            return cls(Varied(_model(form, arrays["plane_base"]), (x.name, y.name), law, facts.get("share")), x, y)
        return cls(Tabulated(form, x.values, y.values, arrays["plane_grid"]), x, y)

    @cached_property
    def classes(self) -> Classes:
        """The features, and sets of them, that may be exchanged at every point of the plane; see `Form.classes`."""
        controls = self.model.controls(*np.transpose(_GENERIC)) if isinstance(self.model, Varied) else self.grid
        return self.form.classes(controls.reshape(-1, self.form.n_controls))


def _model(form, control):
    """The model of a form and a control vector (n_controls,)."""
    return form.model(control) if isinstance(form, NeuronForm) else model_of(form, control)


_LAWS = {law.__name__: law for law in (CorrelatedSets, AnticorrelatedSets, ExactlyActive, ActivityTable)}


def _law_facts(law):
    """The name of a law's class and what it holds, as plain lists."""
    held = {name: getattr(law, name) for name in getattr(law, "__dataclass_fields__", ())}
    plain = {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in held.items()}
    return [type(law).__name__, plain]


def _law_of(name, held):
    """The law of `_law_facts`."""
    return _LAWS[name](**held)
