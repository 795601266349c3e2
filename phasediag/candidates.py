"""The candidate configurations of the frozen theory: patterns of weights that compete."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ._arguments import Floats, density_array, one_of, positive_array, sizes
from .model import ACTIVATIONS
from .phases import Cluster, Phase, phase_of, simplex_name

if TYPE_CHECKING:
    import sympy

    from .closed_forms import ClosedForm

MOST_FEATURES = 8


@dataclass(frozen=True)
class Configuration:
    """A pattern of weights: some features dropped, the others in dedicated dimensions, antipodal pairs and simplices.

    Represented features have unit columns and bias 0; a feature that is not represented has a zero column and its mean
    density/2 as bias. The clusters occupy orthogonal subspaces: k features take k − 1 dimensions (a dedicated one takes 1).

    Attributes
    ----------
    n_features, n_hidden : int
    groups : tuple of tuple of int
        The features of each cluster, the extra feature's cluster first.
    activation : {"relu", "linear"}
    name : str
        The name of its phase, e.g. "extra in antipodal pair + dedicated".
    pattern : str
        The weights in brief, e.g. "W ⊥ [0, 1, 1]".
    phase : Phase
    weights : ndarray, shape (n_hidden, n_features)

    References
    ----------
    Elhage et al. 2022, section "Superposition as a Phase Change" (the "toy model of the toy model").
    Equation :eq:`frozen` of the mathematics page.

    Examples
    --------
    >>> from phasediag import configurations
    >>> pair = configurations(2, 1)[2]
    >>> pair.name, pair.weights.tolist()
    ('extra in antipodal pair', [[1.0, -1.0]])
    >>> pair.symbolic_loss()
    density**2*importance/6 + density**2/6
    """

    n_features: int
    n_hidden: int
    groups: tuple[tuple[int, ...], ...]
    activation: str = "relu"

    @property
    def dropped(self) -> tuple[int, ...]:
        """The features that are not represented, a tuple of int."""
        return tuple(sorted(set(range(self.n_features)).difference(*self.groups)))

    @cached_property
    def phase(self) -> Phase:
        """The Phase that these weights have."""
        clusters = [Cluster(simplex_name(len(g)), len(g), max(len(g) - 1, 1), g) for g in self.groups]
        return phase_of(clusters, self.n_features)

    @property
    def name(self) -> str:
        """The phase's name."""
        return self.phase.name

    @property
    def pattern(self) -> str:
        """The weights in brief: the matrix itself for one dimension, W ⊥ 1_S for n_hidden = n_features − 1."""
        if self.n_hidden == 1:
            return "W = [" + ", ".join(f"{w:.0f}".replace("-", "−") for w in self.weights[0]) + "]"
        if self.n_hidden == self.n_features - 1:
            shared = set(self.dropped).union(*(g for g in self.groups if len(g) > 1))
            return "W ⊥ [" + ", ".join(str(int(i in shared)) for i in range(self.n_features)) + "]"
        braces = ["{" + ", ".join(str(i + 1) for i in g) + "}" for g in sorted(self.groups)]
        return "W: " + " ".join(braces)

    @cached_property
    def weights(self) -> Floats:
        """Unit columns in orthogonal blocks, shape (n_hidden, n_features)."""
        weights = np.zeros((self.n_hidden, self.n_features))
        row = 0
        for group in sorted(self.groups):
            block = _simplex(len(group))
            weights[row : row + len(block), group] = block
            row += len(block)
        weights.setflags(write=False)
        return weights

    def bias(self, density: ArrayLike) -> Floats:
        """Return the biases: 0 where represented, the mean density/2 where not.

        Parameters
        ----------
        density : array_like
            In (0, 1].

        Returns
        -------
        ndarray, shape density.shape + (n_features,)
        """
        density = density_array("density", density)
        bias = np.zeros((*density.shape, self.n_features))
        bias[..., list(self.dropped)] = density[..., None] / 2
        return bias

    def symbolic_loss(self) -> "sympy.Expr":
        """Return the expected loss as a sympy expression in ``importance`` and ``density``.

        Derived by exact integration over the active sets; ``importance`` is the extra feature's, the others have 1.
        """
        return _symbolic_loss(self)

    def relaxed_loss(self, *, at: "Mapping[str | sympy.Symbol, Any] | None" = None) -> "ClosedForm":
        """Derive the expected loss with free scales and biases, in closed form.

        Parameters
        ----------
        at : dict, optional
            Name or symbol → number for some of the scales ``scale_i`` (positive) and biases ``bias_i``, i from 1: the
            reference point whose sign chamber the form is for. What is left out has its default: scale 1, bias −1/16
            where represented, 1/4 where not; with that the chamber is the one beside the frozen weights where every
            represented feature's output is off unless the feature is active.

        Returns
        -------
        ClosedForm

        Raises
        ------
        ValueError
            When a key or value is outside its domain, the point lies on a wall between chambers, or a cluster has
            more than 6 features.

        Examples
        --------
        >>> from phasediag import configurations
        >>> form = configurations(2, 1)[0].relaxed_loss()
        >>> form.parameters
        (importance, density, scale_1, bias_1, bias_2)
        >>> form.holds({"scale_1": 1.1, "bias_1": -0.1, "bias_2": 0.2})
        True
        """
        from .closed_forms import relaxed_form

        return relaxed_form(self, at)

    def expected_loss(self, importance: ArrayLike, density: ArrayLike) -> float | Floats:
        """Return the expected loss, evaluated from its closed form.

        Parameters
        ----------
        importance : array_like
            Relative importance of the extra feature, positive; broadcasts against ``density``.
        density : array_like
            In (0, 1].

        Returns
        -------
        float or ndarray of the common shape

        Raises
        ------
        ValueError
            When an argument is outside its domain or the shapes do not broadcast.
        """
        importance = positive_array("importance", importance)
        density = density_array("density", density)
        try:
            np.broadcast_shapes(importance.shape, density.shape)
        except ValueError:
            raise ValueError(
                f"importance {importance.shape} and density {density.shape} must have shapes that broadcast"
            ) from None
        ordinary, extra = _coefficients(self)
        loss = ordinary(density) + importance * extra(density)
        return float(loss) if loss.ndim == 0 else loss

    def extra_loss(self, density: ArrayLike) -> float | Floats:
        """Return the extra feature's own loss, which is ∂(expected loss)/∂importance."""
        return _coefficients(self)[1](density_array("density", density))


def configurations(n_features: int, n_hidden: int, *, activation: str = "relu") -> tuple[Configuration, ...]:
    """Enumerate the candidate configurations of n_features in n_hidden dimensions.

    Every way to drop features and to group the rest into dedicated dimensions, antipodal pairs and simplices that fill
    n_hidden dimensions. All features but the last have equal importance, so patterns that differ only by exchanging them
    are listed once. For n_hidden = n_features − 1 these are the patterns W ⊥ 1_S.

    Parameters
    ----------
    n_features : int
        From 2 to 8.
    n_hidden : int
        From 1 to n_features − 1.
    activation : {"relu", "linear"}
        The model whose loss the configurations give.

    Returns
    -------
    tuple of Configuration
        First those that drop the extra feature, then those that dedicate a dimension to it, then superposition.

    Raises
    ------
    ValueError
        When an argument is outside its domain.

    Examples
    --------
    >>> from phasediag import configurations
    >>> for configuration in configurations(2, 1):
    ...     print(configuration.pattern, configuration.name, sep=": ")
    W = [1, 0]: extra not represented + dedicated
    W = [0, 1]: extra dedicated + not represented
    W = [1, −1]: extra in antipodal pair
    >>> configurations(2, 1)[2].symbolic_loss()
    density**2*importance/6 + density**2/6
    """
    return _configurations(*sizes(n_features, n_hidden, MOST_FEATURES), one_of("activation", activation, ACTIVATIONS))


@lru_cache(maxsize=64)
def _configurations(n_features, n_hidden, activation):
    """The table of `configurations`."""
    table = []
    shared = n_features - n_hidden  # every dropped feature and every simplex saves one dimension
    for extra_size in range(n_features + 1):  # 0: not represented
        ordinary = n_features - max(extra_size, 1)
        saved = shared - (extra_size != 1)
        for dropped in range(min(saved, ordinary) + 1):
            for simplex_sizes in _simplex_sizes(saved - dropped, ordinary - dropped):
                groups = _arrange(n_features, extra_size, dropped, simplex_sizes)
                table.append(Configuration(n_features, n_hidden, groups, activation))
    return tuple(table)


def _simplex_sizes(count, features, largest=None):
    """Yield the non-increasing tuples of ``count`` simplex sizes ≥ 2 that use at most ``features`` features."""
    if count == 0:
        yield ()
        return
    for size in range(min(features, largest or features), 1, -1):
        for rest in _simplex_sizes(count - 1, features - size, size):
            yield (size, *rest)


def _arrange(n_features, extra_size, dropped, simplex_sizes):
    """Lay the ordinary features out from the left: dropped, simplices, dedicated, then the extra feature's cluster."""
    start, groups = dropped, []
    for size in simplex_sizes:
        groups.append(tuple(range(start, start + size)))
        start += size
    end = n_features - max(extra_size, 1)
    groups += [(i,) for i in range(start, end)]
    extra = [tuple(range(end, n_features))] if extra_size else []
    return (*extra, *groups)


def _simplex(size):
    """Return the unit columns of a regular simplex, shape (max(size − 1, 1), size); any two have cosine −1/(size − 1)."""
    if size == 1:
        return np.ones((1, 1))
    columns = np.zeros((size - 1, size))
    for row in range(size - 1):
        remaining = size - row
        # What the earlier rows left of this unit column goes into the diagonal; the later columns share its opposite.
        columns[row, row] = np.sqrt(1.0 - columns[:row, row] @ columns[:row, row])
        columns[row, row + 1 :] = -columns[row, row] / (remaining - 1)
    return columns


@lru_cache(maxsize=1024)
def _symbolic_loss(configuration):
    """The sympy expression of `Configuration.symbolic_loss`."""
    from .symbolic import DENSITY, simplex_gram, symbolic_expected_loss

    gram = simplex_gram(configuration.n_features, configuration.groups, [1] * configuration.n_features)
    bias = [DENSITY / 2 if i in configuration.dropped else 0 for i in range(configuration.n_features)]
    return symbolic_expected_loss(gram, bias, activation=configuration.activation)


@lru_cache(maxsize=1024)
def _coefficients(configuration):
    """The closed form's coefficients of importance⁰ and importance¹, the losses of the ordinary features and of the extra one.

    They are polynomials of numpy in density.
    """
    import sympy

    from .symbolic import DENSITY, IMPORTANCE

    polynomial = sympy.Poly(configuration.symbolic_loss(), IMPORTANCE)
    parts = (sympy.Poly(polynomial.coeff_monomial(IMPORTANCE**power), DENSITY) for power in (0, 1))
    return tuple(np.polynomial.Polynomial([float(c) for c in reversed(part.all_coeffs())]) for part in parts)
