"""What the kernels need of a model: its form, the same over a whole plane, and beside it the vector of its control parameters."""

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._arguments import Floats
from .activity import FREE, INDEPENDENT, KINDS, OFF, Independent

Classes = tuple[tuple[int | tuple[int, ...], ...], ...]
"""Features that can be exchanged, class by class; or tuples of them that can, as wholes."""

UNIFORM = ((0.0, 1.0),)
"""Where values uniform on [0, 1] begin, and how wide they are."""

MOST_COMPONENTS = 2**16

SAME_PRODUCTS = 1e-9
"""Sums of products of columns closer than this, relative to the norms, are one."""


def variance(density: Any) -> Any:
    """Return E x² − (E x)² of a feature of some density: a number, an array or an expression."""
    return density / 3 - density**2 / 4


@dataclass(frozen=True)
class Form:
    """The structure of a model: all of it that no control parameter changes.

    A control vector (n_controls,), or many of them over leading axes, holds all continuous numbers of a model: the importance
    of every feature, then the density of every feature; then, where there are such, the numbers of the law of activity, the
    probabilities of the pieces of values, γ and λ of a penalty, and the slope of a leaky output.

    Parameters
    ----------
    n_hidden, n_features : int
    activation : {"relu", "linear", "leaky"}
    activity : Independent
        The law of which features are active together, without its numbers.
    values : tuple of (low, width)
        The pieces of an active feature's value, width 0 for an atom.
    penalised : bool
        Whether the loss has a penalty.
    expanded : bool
        Whether every feature is to be active or inactive in a component, as untied weights need it.
    biased : bool
        Whether biases may move; they are held at 0 otherwise.
    """

    n_hidden: int
    n_features: int
    activation: str = "relu"
    activity: Independent = INDEPENDENT
    values: tuple[tuple[float, float], ...] = UNIFORM
    penalised: bool = False
    expanded: bool = False
    biased: bool = True

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        """Asked for at every look-up of working arrays."""
        law = self.activity, self.values, self.penalised
        return hash((self.n_hidden, self.n_features, self.activation, *law, self.expanded, self.biased))

    def __getstate__(self) -> dict[str, Any]:
        """The fields alone: hashes of words differ between processes."""
        return {name: self.__dict__[name] for name in self.__dataclass_fields__}

    def facts(self) -> dict[str, Any]:
        """What `from_facts` reads, of numbers, words and lists alone."""
        facts = {name: getattr(self, name) for name in self.__dataclass_fields__}
        kind = type(self.activity).__name__
        return facts | {"activity": {"kind": kind, **vars(self.activity)}, "values": [list(piece) for piece in self.values]}

    @classmethod
    def from_facts(cls, facts: dict[str, Any]) -> "Form":
        """Return the form of these `facts`; those that are missing are the default's."""
        facts = dict(facts)
        if "activity" in facts:
            law = dict(facts["activity"])
            facts["activity"] = KINDS[law.pop("kind")](**law)
        if "values" in facts:
            facts["values"] = tuple((float(low), float(width)) for low, width in facts["values"])
        return cls(**facts)

    @cached_property
    def size(self) -> int:
        """Number of parameters: weights, then biases."""
        return (self.n_hidden + 1) * self.n_features

    @cached_property
    def free(self) -> NDArray[np.bool_]:
        """Which parameters may move, shape (size,)."""
        return np.arange(self.size) < self.size - (0 if self.biased else self.n_features)

    @cached_property
    def places(self) -> dict[str, slice]:
        """Where in a control vector the numbers of each kind are."""
        n = self.n_features
        counts = {
            "importance": n,
            "density": n,
            "activity": self.activity.n_numbers(n),
            "values": len(self.values) if len(self.values) > 1 else 0,
            "penalty": 2 * self.penalised,
            "slope": int(self.activation == "leaky"),
        }
        ends = np.cumsum([*counts.values()]).tolist()
        return {name: slice(end - count, end) for (name, count), end in zip(counts.items(), ends, strict=True)}

    @cached_property
    def n_controls(self) -> int:
        """Length of a control vector."""
        return self.places["slope"].stop

    @property
    def is_relu(self) -> bool:
        """Whether the output layer is a ReLU."""
        return self.activation == "relu"

    @property
    def is_linear(self) -> bool:
        """Whether the output layer is the identity."""
        return self.activation == "linear"

    @cached_property
    def is_plain(self) -> bool:
        """Whether features are independent and uniform on [0, 1], without penalty, and the activation is not leaky."""
        return self.is_standard and not self.penalised

    @cached_property
    def is_default(self) -> bool:
        """Whether it is plain and biases may move."""
        return self.is_plain and self.biased

    @cached_property
    def is_standard(self) -> bool:
        """Whether it is plain but for a penalty."""
        return self.activity == INDEPENDENT and self.is_simple

    @cached_property
    def is_simple(self) -> bool:
        """Whether values are uniform on [0, 1], the activation not leaky and weights tied."""
        return self.is_whole and self.activation != "leaky"

    @property
    def is_whole(self) -> bool:
        """Whether a feature can be active with its density in a component of the law."""
        return self.values == UNIFORM and not self.expanded

    @cached_property
    def is_kinked(self) -> bool:
        """Whether minima may sit on kinks of the loss: where there are atoms below 0.

        At z = 0 the slope of (x − f(z))² jumps by −2 (1 − slope) x: down for an atom x > 0, so that no minimum is there, up for
        x < 0.
        """
        return not self.is_linear and any(width == 0 and low < 0 for low, width in self.values)

    @cached_property
    def has_held_columns(self) -> bool:
        """Whether minima may hold columns of weights at 0: without biases, where a feature's mean may be below 0."""
        return not (self.biased or self.is_linear) and any(low < 0 for low, _ in self.values)

    def importance(self, control: Floats) -> Floats:
        """The importances in control vectors (…, n_controls), shape (…, n_features)."""
        return control[..., : self.n_features]

    def density(self, control: Floats) -> Floats:
        """The densities in control vectors (…, n_controls), shape (…, n_features)."""
        return control[..., self.n_features : 2 * self.n_features]

    def classes(self, controls: Floats) -> Classes:
        """The features that can be exchanged wherever one of these control vectors (n_vectors, n_controls) holds.

        Those of equal importance, density and place in the law of activity; every feature is in one class. After them the sets of
        the law that can be exchanged as wholes, each a tuple of its features, if there are such.
        """
        numbers = controls[:, self.places["activity"]]
        roles = zip(*(self.activity.roles(self.n_features, one) for one in numbers), strict=True)
        columns = np.concatenate([self.importance(controls), self.density(controls)]).T.tolist()
        keys = [(tuple(column), role) for column, role in zip(columns, roles, strict=True)]
        single = tuple(tuple(i for i, key in enumerate(keys) if key == one) for one in dict.fromkeys(keys))
        sets = [tuple(sorted(members, key=lambda i: columns[i])) for members in self.activity.sets]
        whole: list[list[tuple[int, ...]]] = []
        for one in sets:

            def alike(other, one=one):
                """Whether two sets can be exchanged, feature by feature."""
                same = [columns[i] for i in one] == [columns[i] for i in other]
                return same and all(self.activity.exchanges(one, other, own) for own in numbers)

            kin = next((group for group in whole if alike(group[0])), None)
            whole.append([one]) if kin is None else kin.append(one)
        return single + tuple(tuple(group) for group in whole if len(group) > 1)

    @property
    def kind(self) -> str:
        """What the models are, in words."""
        return self.activation

    def size_facts(self) -> dict[str, Any]:
        """What tells the models of diagrams apart, by name."""
        return {"n_features": self.n_features, "n_hidden": self.n_hidden, "activation": self.activation}

    def slope(self, control: Floats) -> Any:
        """The slope of the activation where its argument is negative, shape (…)."""
        return control[..., self.places["slope"].start] if self.activation == "leaky" else float(self.is_linear)

    def value_probabilities(self, control: Floats) -> Floats:
        """The probabilities of the pieces of values, shape (…, n_pieces)."""
        return control[..., self.places["values"]] if len(self.values) > 1 else np.ones((*control.shape[:-1], 1))

    @cached_property
    def _pieces(self) -> tuple[Floats, Floats]:
        """Mean and mean square of a value in each piece, both (n_pieces,)."""
        low, width = np.array(self.values).T
        return low + width / 2, low * low + low * width + width * width / 3

    def value_moments(self, control: Floats) -> tuple[Any, Any]:
        """Mean and mean square of an active feature's value, both of shape (…)."""
        if self.values == UNIFORM:
            return 0.5, 1 / 3
        first, second = self._pieces
        probability = self.value_probabilities(control)
        return probability @ first, probability @ second

    @cached_property
    def _mirrored(self) -> list[int] | None:
        """Of each piece of values v the place of that of −v; None where one has none."""
        places = {piece: k for k, piece in enumerate(self.values)}
        found = [places.get((-low - width, width)) for low, width in self.values]
        return None if None in found else [k for k in found if k is not None]

    def is_even(self, controls: Floats) -> NDArray[np.bool_]:
        """Whether values v and −v are equally likely, of control vectors (…, n_controls): shape (…)."""
        if self._mirrored is None:
            return np.zeros(controls.shape[:-1], dtype=bool)
        probability = self.value_probabilities(controls)
        return np.all(probability == probability[..., self._mirrored], axis=-1)

    def upright(self, controls: Floats, weights: Floats) -> Floats:
        """Weights (n_models, n_hidden, n_features) with the signs of columns that stand for all that are equivalent.

        Where values v and −v are equally likely, the loss of W does not depend on the signs of its columns: those with the least
        Σ_{i<j} W_i·W_j stand for all. Elsewhere the weights stay as they are. ``controls``: (n_models, n_controls).
        """
        even = self.is_even(controls)
        if not np.any(even):
            return weights
        signs = np.array([(1, *rest) for rest in product((1, -1), repeat=self.n_features - 1)])
        hidden = signs[:, None, :] * weights[:, None]  # (n_models, n_signs, n_hidden, n_features)
        square = np.sum(hidden.sum(axis=-1) ** 2, axis=-1)  # Σ_i ‖W_i‖² + 2 Σ_{i<j} W_i·W_j
        least = square <= square.min(axis=-1, keepdims=True) + SAME_PRODUCTS * np.sum(weights**2, axis=(-1, -2))[:, None]
        return np.where(even[..., None, None], signs[np.argmax(least, axis=-1)][:, None, :] * weights, weights)

    def pairs(self, control: Floats) -> Floats:
        """Probabilities that two features are both active, on the diagonal that one is: shape (…, n_features, n_features)."""
        return self.activity.pairs(self.density(control), control[..., self.places["activity"]])

    def marginal_density(self, control: Floats) -> Floats:
        """The probability that each feature is active, shape (…, n_features)."""
        if self.activity == INDEPENDENT:
            return self.density(control)
        return np.diagonal(self.pairs(control), axis1=-2, axis2=-1)

    def mean(self, control: Floats) -> Floats:
        """E x_i, shape (…, n_features)."""
        if self.values == UNIFORM:
            return self.marginal_density(control) / 2
        return self.marginal_density(control) * np.asarray(self.value_moments(control)[0])[..., None]

    def mean_square(self, control: Floats) -> Floats:
        """E x_i², shape (…, n_features)."""
        if self.values == UNIFORM:
            return self.marginal_density(control) / 3
        return self.marginal_density(control) * np.asarray(self.value_moments(control)[1])[..., None]

    def variance(self, control: Floats) -> Floats:
        """E x_i² − (E x_i)², shape (…, n_features)."""
        if self.values == UNIFORM:
            return variance(self.marginal_density(control))
        return self.mean_square(control) - self.mean(control) ** 2

    def covariance(self, control: Floats) -> Floats:
        """Covariances of the features, shape (…, n_features, n_features)."""
        first, second = (np.asarray(moment)[..., None, None] for moment in self.value_moments(control))
        joint = self.pairs(control)
        own = np.eye(self.n_features, dtype=bool)
        density = np.diagonal(joint, axis1=-2, axis2=-1)
        apart = density[..., :, None] * density[..., None, :]
        return np.where(own, joint * second, joint * first**2) - apart * first**2

    def loss_scale(self, control: Floats) -> Any:
        """Σ_i importance_i E x_i², the expected loss of x' = 0, shape (…)."""
        third, square = (3, self.marginal_density(control)) if self.values == UNIFORM else (1, self.mean_square(control))
        return (self.importance(control)[..., None, :] @ square[..., None])[..., 0, 0] / third

    def penalty(self, control: Floats, weights: Floats) -> Any:
        """γ Σ‖W_i‖² + λ Σ_{i≠j} (W_i·W_j)² of weights (…, n_hidden, n_features), shape (…); 0 where there is none."""
        if not self.penalised:
            return 0.0
        by_weights, by_interference = np.moveaxis(control[..., self.places["penalty"]], -1, 0)
        gram = np.swapaxes(weights, -1, -2) @ weights
        square = np.diagonal(gram, axis1=-2, axis2=-1)
        interference = np.sum(np.where(np.eye(self.n_features, dtype=bool), 0.0, gram) ** 2, axis=(-1, -2))
        return by_weights * square.sum(axis=-1) + by_interference * interference

    def penalty_gradient(self, control: Floats, weights: Floats) -> Any:
        """The gradient of the `penalty` in the weights, of their shape; 0 where there is none."""
        if not self.penalised:
            return 0.0
        by_weights, by_interference = np.moveaxis(control[..., self.places["penalty"]], -1, 0)[..., None, None]
        gram = np.swapaxes(weights, -1, -2) @ weights
        apart = np.where(np.eye(self.n_features, dtype=bool), 0.0, gram)
        return 2 * by_weights * weights + 4 * by_interference * weights @ apart

    @cached_property
    def n_components(self) -> float:
        """How many components `components` has."""
        count = float(self.activity.n_components(self.n_features))
        if self.is_whole or count > MOST_COMPONENTS:
            return count
        states, pieces = self.activity.components(self.n_features), len(self.values)
        factors = np.select([states == OFF, states == FREE], [1.0, 1.0 + pieces], pieces)
        return float(np.prod(factors, axis=1).sum())

    @cached_property
    def components(self) -> NDArray[np.int64]:
        """What every feature is in every component of the law, shape (n_components, n_features).

        The law is a mixture of components in which features are independent: 0, inactive; 1, active with its density, and
        uniform on [0, 1]; 2 + k, active, with a value in piece k.
        """
        return self._expanded[0]

    @cached_property
    def ranges(self) -> tuple[Floats, Floats]:
        """Where a feature's values begin and how wide they are, by what it is in a component, shape (2 + n_pieces,) each."""
        lows, widths = np.array([(0.0, 0.0), (0.0, 1.0), *self.values]).T
        return lows, widths

    @cached_property
    def _expanded(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """`components`; of which component of the law of activity each is part, and the factors of its weight.

        Factor 0 is 1, 1 + k the probability of piece k, 1 + n_pieces that of being inactive, 2 + n_pieces + k that of being
        active with a value in piece k: shape (n_components, n_features).
        """
        states, pieces = self.activity.components(self.n_features), len(self.values)
        if self.is_whole:
            return states, np.arange(len(states)), np.zeros_like(states)
        on = [(2 + k, 1 + k) for k in range(pieces)]
        free = [(0, 1 + pieces), *((2 + k, 2 + pieces + k) for k in range(pieces))]
        rows, origin = [], []
        for k, row in enumerate(states):
            for chosen in product(*(([(0, 0)], free, on)[state] for state in row)):
                rows.append(chosen)
                origin.append(k)
        table = np.array(rows)
        return np.ascontiguousarray(table[..., 0]), np.array(origin), np.ascontiguousarray(table[..., 1])

    @cached_property
    def terms(self) -> tuple[NDArray[np.int64], list[NDArray[np.int64]], NDArray[np.bool_]]:
        """What the loss of each output is summed over: the components, some of them at once.

        Those that differ in features which are inactive or have a value in the piece that begins at 0 are one term: there such a
        feature is 2 + n_pieces, active with the probability of that piece among the two. Not where the output's own feature is an
        atom: one of the others, which has to be active, then smooths the kink of the activation.

        Returns
        -------
        states : ndarray of int, shape (n_terms, n_features)
            What every feature is in every term.
        parts : list of ndarray of int
            The components of each term.
        by_output : ndarray of bool, shape (n_features, n_terms)
            Which terms each output has.
        """
        places, states = np.arange(len(self.components)), self.components
        if self.joint is None:
            return states, list(places[:, None]), np.ones((self.n_features, len(states)), dtype=bool)
        (_, origin, _), widths, some = self._expanded, self.ranges[1], 2 + len(self.values)
        may_join = (self.activity.components(self.n_features)[origin] == FREE) & ((states == 0) | (states == 2 + self.joint))
        joined = [tuple(row) for row in np.where(may_join, some, states).tolist()]
        parts: dict[Any, set[int]] = {}
        outputs: dict[Any, set[int]] = {}
        for i in range(self.n_features):
            for k, row in enumerate(map(tuple, states.tolist())):
                is_atom = row[i] != 0 and widths[row[i]] == 0.0
                key = (k, row) if is_atom else (int(origin[k]), joined[k])
                parts.setdefault((is_atom, key), set()).add(k)
                outputs.setdefault((is_atom, key), set()).add(i)
        by_output = np.array([[i in own for own in outputs.values()] for i in range(self.n_features)])
        return np.array([row for _, (_, row) in parts]), [np.array(sorted(own)) for own in parts.values()], by_output

    @cached_property
    def joint(self) -> int | None:
        """The piece of values that begins at 0, which inactive features join; None where there is none or they may not."""
        found = [k for k, (low, width) in enumerate(self.values) if low == 0.0 < width]
        return None if self.is_whole or self.expanded or not found else found[0]

    def weights(self, control: Floats) -> Floats:
        """The probabilities of the components, shape (…, n_components)."""
        density = self.density(control)
        weights = self.activity.weights(density, control[..., self.places["activity"]])
        if self.is_whole:
            return weights
        _, origin, factors = self._expanded
        values = np.broadcast_to(self.value_probabilities(control)[..., None, :], (*density.shape, len(self.values)))
        p = density[..., None]
        table = np.concatenate([np.ones_like(p), values, 1 - p, p * values], axis=-1)
        weights = weights[..., origin]
        for j in range(self.n_features):
            weights = weights * table[..., j, factors[:, j]]
        return weights

    def patterns(self, control: Floats) -> Floats:
        """The probability of every set of active features, shape (…, 2^n_features): bit i of its number says whether i is."""
        law = replace(self, values=UNIFORM, activation="relu", penalised=False, expanded=True)
        probability = np.zeros((*control.shape[:-1], 2**self.n_features))
        number = (law.components > 0) @ (1 << np.arange(self.n_features))
        for place, weight in zip(number, np.moveaxis(law.weights(control[..., : law.n_controls]), -1, 0), strict=True):
            probability[..., place] += weight
        return probability

    def rows(self, controls: Floats) -> Floats:
        """Control vectors (…, n_controls) as the kernels of enumeration take them, shape (…, n_row).

        Importances, densities; unless the form is plain also Σ_i importance_i E x_i², the slope, γ, λ, 1 where values v and −v
        are equally likely and 0 elsewhere, and the probabilities of the components; where these are summed in other terms, the
        probabilities of those, and of the features that are active with some probability there.
        """
        if self.is_plain:
            return controls
        lead = controls.shape[:-1]
        numbers = np.zeros((*lead, 5))
        numbers[..., 0], numbers[..., 1] = self.loss_scale(controls), self.slope(controls)
        if self.penalised:
            numbers[..., 2:4] = controls[..., self.places["penalty"]]
        numbers[..., 4] = self.is_even(controls)
        weights, joint, more = self.weights(controls), self.joint, []
        if joint is not None:
            _, parts, _ = self.terms
            firsts = np.cumsum([0, *map(len, parts[:-1])])
            density = self.density(controls)
            active = density * self.value_probabilities(controls)[..., joint, None]
            either = 1 - density + active
            more = [
                np.add.reduceat(weights[..., np.concatenate(parts)], firsts, axis=-1),
                np.divide(active, either, out=np.zeros_like(active), where=either > 0.0),
            ]
        return np.concatenate([controls[..., : 2 * self.n_features], numbers, weights, *more], axis=-1)
