"""Laws of which features are active together: sets that come together or exclude each other, exactly k, any table."""

from dataclasses import dataclass
from itertools import combinations, product
from math import comb
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._arguments import Floats, real_array, whole_number

OFF, FREE, ON = range(3)
"""What a feature is in a component of a law: inactive, active with its own density independently of the others, active."""


class Independent:
    """Every feature is active by itself, with its density: the law of a model whose activity is None.

    The methods of a law, a mixture of components in each of which features are independent, take densities (…, n_features) and
    the law's own numbers (…, n_numbers), its place in control vectors.
    """

    sets: tuple[tuple[int, ...], ...] = ()
    """Sets of features that the law treats as wholes."""

    @property
    def together(self) -> tuple[tuple[int, ...], ...]:
        """The sets of features that come together, which names of phases tell of."""
        return ()

    def exchanges(self, one: tuple[int, ...], other: tuple[int, ...], numbers: Floats) -> bool:
        """Whether the law stays the same when two of its sets, of equal densities, change places feature by feature."""
        return len(one) == len(other)

    def text(self) -> str:
        """Return the law in words, features numbered from 1."""
        return "independent features"

    def n_numbers(self, n_features: int) -> int:
        """How many numbers of its own the law has."""
        return 0

    def numbers(self) -> Floats:
        """The law's own numbers, shape (n_numbers,)."""
        return np.empty(0)

    def structure(self) -> "Independent":
        """What of the law is the same at all points of a plane, hashable: the law without its numbers."""
        return self

    def with_numbers(self, numbers: Floats, n_features: int) -> "Independent":
        """The law of this structure that has these numbers of its own, (n_numbers,)."""
        return self

    def check(self, n_features: int, density: Floats) -> None:
        """Raise ValueError unless the law fits so many features of these densities (n_features,)."""

    def n_components(self, n_features: int) -> int:
        """Number of components."""
        return 1

    def components(self, n_features: int) -> NDArray[np.int64]:
        """What each feature is in each component, shape (n_components, n_features)."""
        return np.full((1, n_features), FREE)

    def weights(self, density: Floats, numbers: Floats) -> Floats:
        """Probabilities of the components, shape (…, n_components)."""
        return np.ones((*density.shape[:-1], 1))

    def pairs(self, density: Floats, numbers: Floats) -> Floats:
        """Probabilities that two features are both active, on the diagonal that one is: shape (…, n_features, n_features)."""
        joint = density[..., :, None] * density[..., None, :]
        return np.where(np.eye(density.shape[-1], dtype=bool), density[..., None], joint)

    def active(self, uniform: Floats, density: Floats, numbers: Floats) -> NDArray[np.bool_]:
        """Which features are active, from numbers uniform on [0, 1): shapes (n_samples, n_features), densities (n_features,)."""
        return uniform < density

    def gates(self, density: Floats) -> Floats | None:
        """How uniform numbers on [0, 1), one for each feature, decide which are active, for densities (n_features,).

        Rows of shape (3, n_features): whose number decides of a feature, from where and up to where it is active. None for a law
        that numbers of single features do not decide.
        """
        return np.stack([np.arange(density.size), np.zeros(density.size), density])

    def roles(self, n_features: int, numbers: Floats) -> list[Any]:
        """A mark for each feature: those of equal marks, importance and density can be exchanged."""
        return [None] * n_features

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash((type(self).__name__, *self.__dict__.values()))


class _Sets(Independent):
    """Disjoint sets of features, each present with its density; features in no set are independent."""

    def _checked(self) -> None:
        """Make the sets tuples of int, or raise ValueError."""
        sets = _disjoint(self.sets)
        if not sets:
            raise ValueError(f"sets must be at least one set, each of at least one feature, got {self.sets!r:.60}")
        object.__setattr__(self, "sets", sets)

    def check(self, n_features: int, density: Floats) -> None:
        _check_features(self.sets, n_features)
        for members in self.sets:
            if np.any(density[list(members)] != density[members[0]]):
                raise ValueError(
                    f"density must be equal within a set, got {density[list(members)].tolist()} for features {list(members)}"
                )

    def text(self) -> str:
        kind = type(self).__name__.removesuffix("Sets").lower()
        return f"{kind} sets " + "; ".join(",".join(str(i + 1) for i in members) for members in self.sets)

    def _choices(self, members: tuple[int, ...]) -> list[tuple[int, ...]]:
        """The features of a set that are active together, one choice after another; none is the first."""
        raise NotImplementedError

    def n_components(self, n_features: int) -> int:
        return int(np.prod([float(len(self._choices(members))) for members in self.sets]))

    def components(self, n_features: int) -> NDArray[np.int64]:
        choices = list(product(*(self._choices(members) for members in self.sets)))
        states = np.full((len(choices), n_features), FREE)
        states[:, [i for members in self.sets for i in members]] = OFF
        for row, chosen in zip(states, choices, strict=True):
            row[[i for members in chosen for i in members]] = ON
        return states

    def weights(self, density: Floats, numbers: Floats) -> Floats:
        weights = np.ones((*density.shape[:-1], 1))
        for members in self.sets:
            p, count = density[..., members[0], None], len(self._choices(members)) - 1
            each = np.concatenate([1 - p, *[p / count] * count], axis=-1)
            pairs = weights[..., :, None] * each[..., None, :]
            weights = pairs.reshape(*density.shape[:-1], pairs.shape[-2] * pairs.shape[-1])
        return weights

    def roles(self, n_features: int, numbers: Floats) -> list[Any]:
        roles: list[Any] = [None] * n_features
        for k, members in enumerate(self.sets):
            for i in members:
                roles[i] = k
        return roles


@dataclass(frozen=True, eq=False)
class CorrelatedSets(_Sets):
    """Sets of features that are active together: one draw, with the density of the set, decides for all its features.

    Parameters
    ----------
    sets : sequence of sequences of int
        Disjoint sets of features, numbered from 0; features in none are independent. The density must be equal within a set: it
        is the probability that the set is present, which is that of each of its features. Values stay independent.

    Raises
    ------
    ValueError
        When sets overlap or are empty.

    References
    ----------
    Elhage et al. 2022, "Toy Models of Superposition", section "Correlated Features".
    Equation :eq:`sets` of the mathematics page.

    Examples
    --------
    >>> from phasediag import CorrelatedSets, ToyModel
    >>> pair = ToyModel(n_hidden=1, importance=[1.0, 1.0], density=0.25, activity=CorrelatedSets([[0, 1]]))
    >>> pair.activity_correlation
    array([[1., 1.],
           [1., 1.]])
    """

    sets: tuple[tuple[int, ...], ...]

    if TYPE_CHECKING:

        def __init__(self, sets: Any) -> None: ...

    def __post_init__(self) -> None:
        self._checked()

    @property
    def together(self) -> tuple[tuple[int, ...], ...]:
        """The sets."""
        return self.sets

    def _choices(self, members: tuple[int, ...]) -> list[tuple[int, ...]]:
        return [(), members]

    def pairs(self, density: Floats, numbers: Floats) -> Floats:
        joint = super().pairs(density, numbers)
        for members in map(list, self.sets):
            joint[..., np.array(members)[:, None], members] = density[..., members[0], None, None]
        return joint

    def active(self, uniform: Floats, density: Floats, numbers: Floats) -> NDArray[np.bool_]:
        active = uniform < density
        for members in map(list, self.sets):
            active[:, members] = active[:, members[:1]]
        return active

    def gates(self, density: Floats) -> Floats:
        gates = np.stack([np.arange(density.size), np.zeros(density.size), density])
        for members in map(list, self.sets):
            gates[0, members] = members[0]
        return gates


@dataclass(frozen=True, eq=False)
class AnticorrelatedSets(_Sets):
    """Sets of features of which at most one is active: with the density p of the set exactly one, each with probability p/k.

    Parameters
    ----------
    sets : sequence of sequences of int
        Disjoint sets of features, numbered from 0; features in none are independent. The density must be equal within a set: it
        is the probability that the set is present. Each of its k features is active with probability density/k.

    Raises
    ------
    ValueError
        When sets overlap or are empty.

    References
    ----------
    Elhage et al. 2022, "Toy Models of Superposition", section "Correlated Features".
    Equation :eq:`sets` of the mathematics page.

    Examples
    --------
    >>> from phasediag import AnticorrelatedSets, ToyModel, expected_loss
    >>> pair = ToyModel(n_hidden=1, importance=[1.0, 1.0], density=0.5, activity=AnticorrelatedSets([[0, 1]]))
    >>> pair.marginal_density
    array([0.25, 0.25])
    >>> expected_loss(pair, [[1.0, -1.0]], [0.0, 0.0])  # never both: an antipodal pair stores them without loss
    0.0
    """

    sets: tuple[tuple[int, ...], ...]

    if TYPE_CHECKING:

        def __init__(self, sets: Any) -> None: ...

    def __post_init__(self) -> None:
        self._checked()

    def _choices(self, members: tuple[int, ...]) -> list[tuple[int, ...]]:
        return [(), *((i,) for i in members)]

    def pairs(self, density: Floats, numbers: Floats) -> Floats:
        marginal = density.copy()
        for members in self.sets:
            marginal[..., list(members)] /= len(members)
        joint = super().pairs(marginal, numbers)
        for members in self.sets:
            for i, j in product(members, members):
                if i != j:
                    joint[..., i, j] = 0.0
        return joint

    def active(self, uniform: Floats, density: Floats, numbers: Floats) -> NDArray[np.bool_]:
        active = uniform < density
        for members in map(list, self.sets):
            first, p = uniform[:, members[0]], density[members[0]]
            which = np.minimum((first / p * len(members)).astype(int), len(members) - 1)
            active[:, members] = (first < p)[:, None] & (which[:, None] == np.arange(len(members)))
        return active

    def gates(self, density: Floats) -> Floats:
        gates = np.stack([np.arange(density.size), np.zeros(density.size), density])
        for members in map(list, self.sets):
            share, which = density[members[0]] / len(members), np.arange(len(members))
            gates[:, members] = np.stack([np.full_like(which, members[0]), share * which, share * (which + 1)])
        return gates


@dataclass(frozen=True, eq=False)
class ExactlyActive(Independent):
    """Exactly k features are active, every set of k with the same probability; the density of the model is not used.

    Parameters
    ----------
    k : int
        From 1 to the number of features.

    Raises
    ------
    ValueError
        When k is not a positive whole number.

    Examples
    --------
    >>> from phasediag import ExactlyActive, ToyModel, expected_loss
    >>> one_hot = ToyModel(n_hidden=1, importance=[1.0, 1.0], density=1.0, activity=ExactlyActive(1))
    >>> expected_loss(one_hot, [[1.0, -1.0]], [0.0, 0.0])
    0.0
    """

    k: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "k", whole_number("k", self.k, 1))

    def check(self, n_features: int, density: Floats) -> None:
        if self.k > n_features:
            raise ValueError(f"k must be a whole number from 1 to {n_features}, got {self.k}")

    def text(self) -> str:
        return f"exactly {self.k} active"

    def n_components(self, n_features: int) -> int:
        return comb(n_features, self.k)

    def components(self, n_features: int) -> NDArray[np.int64]:
        states = np.full((self.n_components(n_features), n_features), OFF)
        for row, chosen in zip(states, combinations(range(n_features), self.k), strict=True):
            row[list(chosen)] = ON
        return states

    def weights(self, density: Floats, numbers: Floats) -> Floats:
        count = self.n_components(density.shape[-1])
        return np.full((*density.shape[:-1], count), 1 / count)

    def pairs(self, density: Floats, numbers: Floats) -> Floats:
        n, k = density.shape[-1], self.k
        joint = np.where(np.eye(n, dtype=bool), k / n, k * (k - 1) / (n * (n - 1)))
        return np.broadcast_to(joint, (*density.shape[:-1], n, n)).copy()

    def active(self, uniform: Floats, density: Floats, numbers: Floats) -> NDArray[np.bool_]:
        return np.argsort(np.argsort(uniform, axis=1), axis=1) < self.k

    def gates(self, density: Floats) -> None:
        return None


class _Table(Independent):
    """Any law over sets of active features, whose numbers are the probabilities of all sets, those of an `ActivityTable`."""

    def __init__(self, sets: Any = ()) -> None:
        """Remember sets of features that belong together."""
        self.sets = tuple(tuple(members) for members in sets)

    @property
    def together(self) -> tuple[tuple[int, ...], ...]:
        """The sets."""
        return self.sets

    def exchanges(self, one: tuple[int, ...], other: tuple[int, ...], numbers: Floats) -> bool:
        table = numbers.reshape((2,) * (numbers.size.bit_length() - 1))
        axes = np.arange(table.ndim)
        axes[[*one, *other]] = axes[[*other, *one]]
        return len(one) == len(other) and _same_tables(table, table.transpose(axes))

    def with_numbers(self, numbers: Floats, n_features: int) -> "ActivityTable":
        return ActivityTable(numbers.reshape((2,) * n_features), self.sets)

    def text(self) -> str:
        return "a table of activity"

    def n_numbers(self, n_features: int) -> int:
        return 2**n_features

    def n_components(self, n_features: int) -> int:
        return 2**n_features

    def components(self, n_features: int) -> NDArray[np.int64]:
        return np.where(_patterns(n_features), ON, OFF)

    def weights(self, density: Floats, numbers: Floats) -> Floats:
        return numbers

    def pairs(self, density: Floats, numbers: Floats) -> Floats:
        active = _patterns(density.shape[-1]).astype(float)
        return np.einsum("...c,ci,cj->...ij", numbers, active, active)

    def active(self, uniform: Floats, density: Floats, numbers: Floats) -> NDArray[np.bool_]:
        which = np.searchsorted(np.cumsum(numbers)[:-1], uniform[:, 0], side="right")
        return _patterns(density.shape[-1])[which]

    def gates(self, density: Floats) -> None:
        return None

    def roles(self, n_features: int, numbers: Floats) -> list[Any]:
        table, roles = numbers.reshape((2,) * n_features), list(range(n_features))
        for i, j in combinations(range(n_features), 2):
            if roles[j] == j and _same_tables(table, np.swapaxes(table, i, j)):
                roles[j] = roles[i]
        return roles


@dataclass(frozen=True, eq=False)
class ActivityTable(_Table):
    """A law given by the probability of every set of active features; the density of the model is not used.

    Parameters
    ----------
    probabilities : array_like, shape (2,) * n_features
        Entry [s_1, …, s_n], s_i = 1 where feature i is active. Not negative, with the sum 1; at most 14 features.
    sets : sequence of sequences of int, optional
        Disjoint sets of features that belong together, numbered from 0: names of phases say what becomes of each.

    Raises
    ------
    ValueError
        When the shape is another, a probability is negative or they do not sum to 1 (to 1e-12), or sets overlap.

    References
    ----------
    Equation :eq:`laws` of the mathematics page.

    Examples
    --------
    >>> from phasediag import ActivityTable, ToyModel
    >>> table = ActivityTable([[0.5, 0.125], [0.25, 0.125]])  # none, the second; the first, both
    >>> ToyModel(n_hidden=1, importance=[1.0, 1.0], density=1.0, activity=table).marginal_density
    array([0.375, 0.25 ])
    """

    probabilities: Floats
    sets: tuple[tuple[int, ...], ...] = ()

    if TYPE_CHECKING:

        def __init__(self, probabilities: ArrayLike, sets: Any = ()) -> None: ...

    def __post_init__(self) -> None:
        table = real_array("probabilities", self.probabilities, "at least 0", lambda p: p >= 0).copy()
        if not 2 <= table.ndim <= 14 or table.shape != (2,) * table.ndim:
            raise ValueError(f"probabilities must have shape (2,) * n_features with 2 to 14 features, got {table.shape}")
        if abs(table.sum() - 1) > 1e-12:
            raise ValueError(f"probabilities must sum to 1, got {table.sum():.15g}")
        table.setflags(write=False)
        object.__setattr__(self, "probabilities", table)
        object.__setattr__(self, "sets", _disjoint(self.sets))

    def check(self, n_features: int, density: Floats) -> None:
        if self.probabilities.ndim != n_features:
            raise ValueError(f"probabilities must have shape (2,) * {n_features}, got {self.probabilities.shape}")
        _check_features(self.sets, n_features)

    def numbers(self) -> Floats:
        return self.probabilities.ravel()

    def structure(self) -> Independent:
        return _Table(self.sets)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ActivityTable):
            return NotImplemented
        return np.array_equal(self.probabilities, other.probabilities) and self.sets == other.sets

    def __hash__(self) -> int:
        return hash((self.probabilities.tobytes(), self.sets))


def _disjoint(given):
    """Sets of features as tuples of int; ValueError where they overlap or are none."""
    try:
        sets = tuple(tuple(whole_number("a member of sets", i, 0) for i in members) for members in given)
    except TypeError:
        raise ValueError(f"sets must be a list of lists of features, got {given!r:.60}") from None
    if not all(sets):
        raise ValueError(f"sets must be at least one set, each of at least one feature, got {given!r:.60}")
    named = [i for members in sets for i in members]
    twice = [i for k, i in enumerate(named) if i in named[:k]]
    if twice:
        raise ValueError(f"sets must not overlap, got feature {twice[0]} twice")
    return sets


def _check_features(sets, n_features):
    """Raise ValueError where a set names a feature that is none of so many."""
    for i in (i for members in sets for i in members):
        if i >= n_features:
            raise ValueError(f"sets must name features from 0 to {n_features - 1}, got {i}")


def _same_tables(one, other):
    """Whether probabilities are equal to rounding: those of a mixture are sums of products in different orders."""
    return np.allclose(one, other, rtol=1e-14, atol=0)


def _patterns(n_features):
    """All sets of active features in the order of a table's entries: bool, shape (2^n_features, n_features)."""
    return (np.arange(2**n_features)[:, None] >> np.arange(n_features)[::-1]) & 1 == 1


INDEPENDENT, TABLE = Independent(), _Table()
KINDS = {type(law).__name__: type(law) for law in (INDEPENDENT, TABLE)} | {
    kind.__name__: kind for kind in (CorrelatedSets, AnticorrelatedSets, ExactlyActive)
}
"""What laws without their numbers are of, by name."""


def check_activity(activity: Independent | None, n_features: int, density: Floats) -> None:
    """Raise ``ValueError`` where a model of these features' densities, shape (n_features,), cannot have this law of activity."""
    if activity is None:
        return
    if not isinstance(activity, Independent):
        names = "CorrelatedSets, AnticorrelatedSets, ExactlyActive, ActivityTable"
        raise ValueError(f"activity must be None or one of {names}, got {activity!r:.60}")
    activity.check(n_features, density)
