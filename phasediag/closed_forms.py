"""Closed forms of the loss of a configuration whose scales and biases are free, as functions that run at any point."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import sympy
from numpy.typing import ArrayLike, NDArray

from ._arguments import Floats, positive_array, real_array, real_number
from .symbolic import DENSITY, IMPORTANCE, compile_loss, simplex_gram, symbolic_expected_loss

# The derivation takes about five times as long with every feature of the largest cluster: 1 s for four.
MOST_IN_A_CLUSTER = 6
# The default reference point: unit columns, as frozen, and biases off the walls b = 0 of the frozen point.
REPRESENTED_BIAS, DROPPED_BIAS = sympy.Rational(-1, 16), sympy.Rational(1, 4)
ROUNDING = 1e-15  # of a corner, by which a point on a wall may appear outside; the loss and its slopes are continuous there
Values: TypeAlias = Mapping[str | sympy.Symbol, ArrayLike]
LATEX_NAMES = {"importance": "I", "density": "p", "scale": r"\ell", "bias": "b"}


@dataclass(frozen=True, eq=False)
class ClosedForm:
    """The expected loss of a configuration with free scales and biases, exact in one sign chamber.

    Column i of the weights is ``scale_i`` times the configuration's unit column (features count from 1; those that are
    not represented have no scale), and the biases are ``bias_1`` … ``bias_n``. The chamber is the set of scales and biases
    where every a·v + b_i, a a row of WᵀW and v a set of features of the same cluster, has the sign that it has at the
    reference point; its walls are included. For the linear activation the form holds everywhere.

    Made by `Configuration.relaxed_loss`.

    Attributes
    ----------
    configuration : Configuration
    parameters : tuple of sympy symbols
        ``importance`` and ``density``, then the scales, then the biases: the order in which `compile` takes them.
    reference : dict
        Symbol → exact value of each scale and bias at the reference point.
    expression : sympy expression
        Polynomial in importance and density, rational in scales and biases.

    Notes
    -----
    Evaluated in floating point the form loses digits where scales are small: like ε/Π scale_j².

    Examples
    --------
    >>> from phasediag import configurations
    >>> form = configurations(2, 1)[0].relaxed_loss()
    >>> form.parameters
    (importance, density, scale_1, bias_1, bias_2)
    >>> round(float(form.compile()(0.5, 0.1, 1.0, 0.0, 0.05)), 9)  # importance, density, then scale and biases
    0.015416667
    """

    configuration: Any
    parameters: tuple[sympy.Symbol, ...]
    reference: dict[sympy.Symbol, sympy.Rational]
    expression: sympy.Expr = field(repr=False)

    def gradient(self) -> tuple[sympy.Expr, ...]:
        """Return the derivatives of the expression, a tuple in the order of ``parameters``."""
        return tuple(sympy.diff(self.expression, parameter) for parameter in self.parameters)

    def latex(self) -> str:
        """Return the expression as LaTeX: I is the importance, p the density, ℓ_i the scales and b_i the biases."""
        names = {}
        for symbol in self.parameters:
            word, _, index = symbol.name.partition("_")
            names[symbol] = LATEX_NAMES[word] + (f"_{{{index}}}" if index else "")
        return sympy.latex(self.expression, symbol_names=names)

    def compile(self) -> np.ufunc:
        """Return the form as a numba function of ``parameters``; see `compile_loss`."""
        return compile_loss(self.expression, self.parameters)

    @cached_property
    def conditions(self) -> tuple[sympy.Rel, ...]:
        """The inequalities that make the chamber, a tuple of sympy relations without duplicates; empty when linear."""
        return tuple(dict.fromkeys(corner >= 0 if sign > 0 else corner <= 0 for corner, sign in self._corners))

    @cached_property
    def _corners(self):
        """Every corner with its sign at the reference point, pairs; none when linear."""
        if self.configuration.activation == "linear":
            return ()
        return tuple((corner, _sign(corner, self.reference)) for corner in _corners(self.configuration))

    @cached_property
    def _signed_corners(self):
        """A function of scales and biases: every corner times its sign, not negative in the chamber."""
        return sympy.lambdify(tuple(self.reference), [sign * corner for corner, sign in self._corners], "numpy")

    def holds(self, values: Values) -> bool | NDArray[np.bool_]:
        """Return whether scales and biases lie in the chamber, walls included.

        Parameters
        ----------
        values : dict
            Name or symbol → number or array for every scale and bias; they broadcast. Importance and density may be
            there too and do not matter.

        Returns
        -------
        bool, or ndarray of bool

        Raises
        ------
        ValueError
            When a parameter is missing or unknown, or a value lies outside its domain.
        """
        arrays = self._checked(values)
        inside = np.ones(np.broadcast_shapes(*(value.shape for value in arrays)), dtype=bool)
        slack = ROUNDING * (1 + max(np.max(np.abs(value), initial=0.0) for value in arrays)) ** 2
        for corner in self._signed_corners(*arrays) if self._corners else ():
            inside = inside & (corner >= -slack)
        return inside if inside.ndim else bool(inside)

    def weights_and_bias(self, values: Values) -> tuple[Floats, Floats]:
        """Return the weights and biases that these scales and biases stand for.

        Parameters
        ----------
        values : dict
            As for `holds`.

        Returns
        -------
        weights : ndarray, shape (…, n_hidden, n_features)
        bias : ndarray, shape (…, n_features)

        Raises
        ------
        ValueError
            As for `holds`.
        """
        arrays = dict(zip(map(str, self.reference), np.broadcast_arrays(*self._checked(values)), strict=True))
        bias = np.stack([arrays[f"bias_{i + 1}"] for i in range(self.configuration.n_features)], axis=-1)
        scale = np.zeros_like(bias)
        for i in sorted(set(range(scale.shape[-1])).difference(self.configuration.dropped)):
            scale[..., i] = arrays[f"scale_{i + 1}"]
        return scale[..., None, :] * self.configuration.weights, bias

    def _checked(self, values):
        """Arrays of all scales and biases, in order, from a dict by name or symbol."""
        values = _by_symbol("values", values, self.parameters)
        missing = [symbol.name for symbol in self.reference if symbol not in values]
        if missing:
            raise ValueError(f"values must give every scale and bias, got none for {', '.join(missing)}")
        checks = {symbol: positive_array if symbol.is_positive else real_array for symbol in self.reference}
        return [check(symbol.name, values[symbol]) for symbol, check in checks.items()]


def relaxed_form(configuration: Any, at: Mapping[str | sympy.Symbol, Any] | None = None) -> ClosedForm:
    """Derive the `ClosedForm` of a configuration; the door is `Configuration.relaxed_loss`."""
    largest = max(map(len, configuration.groups))
    if largest > MOST_IN_A_CLUSTER:
        raise ValueError(f"relaxed_loss treats clusters of up to {MOST_IN_A_CLUSTER} features, got one of {largest}")
    scales, biases = _symbols(configuration)
    reference = dict.fromkeys(scales.values(), sympy.Integer(1))
    for i, symbol in enumerate(biases):
        reference[symbol] = DROPPED_BIAS if i in configuration.dropped else REPRESENTED_BIAS
    for symbol, value in _by_symbol("at", at or {}, reference).items():
        value = value if isinstance(value, sympy.Basic) else real_number(f"at[{symbol.name}]", value)
        reference[symbol] = sympy.nsimplify(value, rational=True)
        if not (reference[symbol].is_Rational and (reference[symbol] > 0 or not symbol.is_positive)):
            domain = "positive and finite" if symbol.is_positive else "finite"
            raise ValueError(f"at[{symbol.name}] must be {domain}, got {value}")
    if configuration.activation == "relu":
        for corner in _corners(configuration):
            if _sign(corner, reference) == 0:
                raise ValueError(f"at must lie inside a sign chamber, got a point on the wall {corner} = 0")
    expression = symbolic_expected_loss(_gram(configuration), biases, activation=configuration.activation, at=reference)
    return ClosedForm(configuration, (IMPORTANCE, DENSITY, *reference), reference, expression)


def _symbols(configuration):
    """The scales, a dict feature → symbol, and the list of biases."""
    represented = sorted(set(range(configuration.n_features)).difference(configuration.dropped))
    scales = {i: sympy.Symbol(f"scale_{i + 1}", positive=True) for i in represented}
    return scales, [sympy.Symbol(f"bias_{i + 1}", real=True) for i in range(configuration.n_features)]


def _gram(configuration):
    """WᵀW of the configuration with free scales, a sympy matrix."""
    return simplex_gram(configuration.n_features, configuration.groups, _symbols(configuration)[0])


def _corners(configuration):
    """Every a·v + b_i: where one of them vanishes, the form changes."""
    gram, (_, biases) = _gram(configuration), _symbols(configuration)
    for i, bias in enumerate(biases):
        sums = [bias]
        for a in gram.row(i):
            sums += [corner + a for corner in sums] if a != 0 else []
        yield from sums


def _sign(corner, reference):
    """−1, 0 or 1."""
    return int(sympy.sign(corner.subs(reference)))


def _by_symbol(name, values, parameters):
    """``values`` with symbols for keys, which may be given by name."""
    symbols = {symbol.name: symbol for symbol in parameters}
    if not isinstance(values, dict):
        raise ValueError(f"{name} must be a dict from parameters to numbers, got {values!r}")
    unknown = [str(key) for key in values if str(key) not in symbols]
    if unknown:
        raise ValueError(f"{name} must have keys among {', '.join(symbols)}, got {', '.join(unknown)}")
    return {symbols[str(key)]: value for key, value in values.items()}
