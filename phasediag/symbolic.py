"""Closed forms of the expected loss, derived exactly by integrating over the active sets."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import product
from math import comb
from typing import Any

import numpy as np
import sympy

from ._arguments import one_of
from .forms import variance
from .model import ACTIVATIONS

IMPORTANCE = sympy.Symbol("importance", positive=True)
DENSITY = sympy.Symbol("density", positive=True)


def symbolic_expected_loss(
    gram: Any,
    bias: Sequence[Any],
    *,
    importance: Sequence[Any] | None = None,
    density: Any = DENSITY,
    activation: str = "relu",
    at: Mapping[Any, Any] | None = None,
) -> sympy.Expr:
    """Derive the expected loss as an exact sympy expression.

    Parameters
    ----------
    gram : sympy matrix or nested lists, shape (n_features, n_features)
        WᵀW: exact numbers or expressions in free parameters.
    bias : sequence of n_features expressions
    importance : sequence of n_features expressions, optional
        Default: 1 for every feature but the extra one, which has the symbol ``importance``.
    density : expression
        Common density of the features; default the symbol ``density``.
    activation : {"relu", "linear"}
    at : dict, optional
        Values of the free parameters at a reference point, needed when the gram matrix or the biases have any whose sign
        matters. The result is valid in the sign chamber of that point: wherever every a·v + b (v a vertex of the cube of
        the active features, a a row of WᵀW) has the sign that it has there.

    Returns
    -------
    sympy expression
        A polynomial in ``density`` and ``importance``, rational in the free parameters; expanded when it has none.

    Raises
    ------
    ValueError
        When the shapes differ, the activation is unknown or the sign of some a·v + b is not known.

    Notes
    -----
    For U uniform on [0, 1]^k and nonzero a,
    E[((a·U + b)⁺)^r] = r!/((r + k)! Π a_j) Σ_{v ∈ {0,1}^k} (−1)^(k − |v|) ((a·v + b)⁺)^(r + k),
    and E[u_i (a·U + b)⁺] is half its derivative with respect to a_i for r = 2. With c = a·v + b and k active features, i
    among them, a vertex adds 2 (−1)^(k − |v|) (c⁺)^(k + 1) ((1 + a_i) c − (k + 2) v_i a_i)/((k + 2)! a_i Π a_j) to
    E (x_i − x'_i)².

    References
    ----------
    Marichal and Mossinghoff 2008, "Slices, slabs, and sections of the unit hypercube".

    Examples
    --------
    >>> from phasediag import symbolic_expected_loss
    >>> symbolic_expected_loss([[1, -1], [-1, 1]], [0, 0])
    density**2*importance/6 + density**2/6
    """
    one_of("activation", activation, ACTIVATIONS)
    gram = sympy.Matrix(gram).applyfunc(sympy.expand)
    n_features = gram.shape[0]
    bias = [sympy.sympify(b) for b in bias]
    importance = [1] * (n_features - 1) + [IMPORTANCE] if importance is None else list(importance)
    if gram.shape[1] != n_features:
        raise ValueError(f"gram must be a square matrix, got shape {gram.shape}")
    for name, values in (("bias", bias), ("importance", importance)):
        if len(values) != n_features:
            raise ValueError(f"{name} must have {n_features} entries, one for each feature, got {len(values)}")
    chamber = tuple((sympy.sympify(name), sympy.nsimplify(value, rational=True)) for name, value in (at or {}).items())
    density = sympy.sympify(density)
    total = sympy.Integer(0)
    for i in range(n_features):
        others = (gram[i, j] for j in range(n_features) if j != i and gram[i, j] != 0)
        loss = _linear_feature_loss if activation == "linear" else _feature_loss
        total += importance[i] * loss(gram[i, i], tuple(sorted(others, key=sympy.default_sort_key)), bias[i], density, chamber)
    return sympy.factor_terms(total) if chamber else sympy.collect(sympy.expand(total), (IMPORTANCE, DENSITY))


def compile_loss(expression: Any, parameters: Sequence[sympy.Symbol]) -> np.ufunc:
    """Compile a closed form to machine code.

    Parameters
    ----------
    expression : sympy expression
        Real arithmetic in the parameters, e.g. from `symbolic_expected_loss` or `ClosedForm.gradient`.
    parameters : sequence of sympy symbols
        Every free symbol of the expression, in the order in which the function takes them; at most 63.

    Returns
    -------
    function
        A numba universal function: takes numbers or arrays that broadcast, and may be called from compiled code.

    Raises
    ------
    ValueError
        When a free symbol of the expression is not among the parameters, or one of them is not a symbol.

    Examples
    --------
    >>> from phasediag import compile_loss, configurations
    >>> form = configurations(2, 1)[2].relaxed_loss()
    >>> loss = compile_loss(form.expression, form.parameters)
    >>> round(float(loss(1.0, 0.5, 1.0, 1.0, -0.1, -0.1)), 12)
    0.104508333333
    """
    from ._compiling.jit import elementwise

    expression, parameters = sympy.sympify(expression), tuple(parameters)
    for parameter in parameters:
        if not isinstance(parameter, sympy.Symbol):
            raise ValueError(f"parameters must be sympy symbols, got {parameter!r}")
    unknown = sorted(symbol.name for symbol in expression.free_symbols.difference(parameters))
    if unknown:
        raise ValueError(f"parameters must contain every free symbol of expression, got none for {', '.join(unknown)}")
    return elementwise(sympy.lambdify(parameters, expression, "math", cse=True), len(parameters))


def simplex_gram(n_features: int, groups: Iterable[tuple[int, ...]], scales: Any) -> sympy.Matrix:
    """Return WᵀW, a sympy matrix, of columns that are ``scales[i]`` times those of regular simplices, one for each group."""
    gram = sympy.zeros(n_features)
    for group in groups:
        for i in group:
            for j in group:  # the cosine of two columns of a simplex is rational, although the columns are not
                gram[i, j] = scales[i] * scales[j] * (1 if i == j else sympy.Rational(-1, len(group) - 1))
    return gram


@lru_cache(maxsize=4096)
def _feature_loss(own, others, bias, density, chamber):
    """E (x_i − (own x_i + others·x + bias)⁺)²: a sum over which features are active, equal weights counted together."""
    total = density / 3
    for weights, ways in _subsets(others):
        probability = ways * density ** len(weights) * (1 - density) ** (len(others) - len(weights))
        inactive = _clipped_moment(weights, bias, 2, chamber)
        gain = inactive - _clipped_moment(weights, bias, 1, chamber) if own == 0 else _own_gain(own, weights, bias, chamber)
        total += probability * ((1 - density) * inactive + density * gain)
    return total if chamber else sympy.expand(total)


def _linear_feature_loss(own, others, bias, density, _):
    """E (x_i − own x_i − others·x − bias)² = mean² + variance."""
    mean = (1 - own - sum(others)) * density / 2 - bias
    return sympy.expand(mean**2 + ((1 - own) ** 2 + sum(a**2 for a in others)) * variance(density))


def _clipped_moment(weights, bias, power, chamber):
    """E[((a·U + b)⁺)^power] for U uniform on the cube and nonzero a."""
    power += len(weights)
    vertices = sum(sign * corner**power for sign, corner in _vertices(weights, bias, chamber))
    return sympy.factorial(power - len(weights)) * vertices / (sympy.factorial(power) * sympy.prod(weights))


def _own_gain(own, others, bias, chamber):
    """E[(z⁺)² − 2 u_i z⁺] for z = own u_i + others·u + bias with own ≠ 0: every vertex once, with its two powers together."""
    power = len(others) + 3
    above, below = _vertices(others, bias + own, chamber), _vertices(others, bias, chamber)  # u_i = 1, u_i = 0
    terms = [sign * corner ** (power - 1) * ((1 + own) * corner - power * own) for sign, corner in above]
    terms += [-sign * (1 + own) * corner**power for sign, corner in below]
    return 2 * sum(terms) / (sympy.factorial(power) * own**2 * sympy.prod(others))


@lru_cache(maxsize=65536)
def _vertices(weights, bias, chamber):
    """(signed number, a·v + b) of the vertices of the cube where a·v + b > 0, equal weights counted together."""
    corners = (((-1) ** (len(weights) - len(chosen)) * ways, bias + sum(chosen)) for chosen, ways in _subsets(weights))
    return tuple(corner for corner in corners if _is_positive(corner[1], chamber))


def _subsets(weights):
    """Yield each different choice among weights, a tuple, with the number of ways to make it."""
    counts = Counter(weights)
    for chosen in product(*(range(count + 1) for count in counts.values())):
        ways = sympy.prod([comb(count, k) for count, k in zip(counts.values(), chosen, strict=True)])
        yield tuple(a for a, k in zip(counts, chosen, strict=True) for _ in range(k)), ways


def _is_positive(corner, chamber):
    """Whether a·v + b > 0 in the chamber of a reference point, pairs of symbol and value."""
    positive = corner.subs(chamber) > 0
    if positive not in (True, False):
        raise ValueError(f"at must give a value to every free parameter, got none that decides the sign of {corner}")
    return bool(positive)
