"""Numbers as a formula of their place: "0.9**i" for i = 0, 1, … of n."""

import operator
import re

import click

_TOKEN = re.compile(r"\s*(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|\*\*|[in+\-*/()])")


class Profile(click.ParamType):
    """A number, a comma-separated list, or a formula in i (the place from 0) and n (how many): + - * / ** and parentheses."""

    name = "numbers"

    def convert(self, value, param, context):
        """Return a list of floats, or a function of n that returns an array of n numbers."""
        try:
            return [float(part) for part in value.split(",")]
        except ValueError:
            pass
        try:
            formula = _parsed(value)
            formula.__name__ = value
            first = formula(3)
        except (ValueError, ArithmeticError):
            self.fail(f"{value!r} is neither a number, a list like 1,1,0.5 nor a formula in i and n like 0.9**i", param, context)
        return formula if re.search("[in]", value) else [float(first[0])]


def importance_of(wish, n_features):
    """The importances of all features, of which a single number is the extra one's."""
    given = wish(n_features) if callable(wish) else wish
    if len(given) not in (1, n_features):
        raise ValueError(f"importance must be one number or {n_features}, got {len(given)}")
    return given if len(given) == n_features else [*[1.0] * (n_features - 1), *given]


def density_of(wish, n_features):
    """The density of all features, or the list of theirs."""
    given = wish(n_features) if callable(wish) else wish
    return given[0] if len(given) == 1 else given


def _parsed(text):
    """The function of n that a formula stands for, by recursive descent; ``ValueError`` where it is none."""
    tokens, place = [], 0
    while text[place:].strip():
        match = _TOKEN.match(text, place)
        if match is None:
            raise ValueError(text)
        tokens.append(match[1])
        place = match.end()
    tokens.append("")
    tree, rest = _sum(tokens)
    if rest != [""]:
        raise ValueError(text)

    def values(n):
        """The formula's values for n features, shape (n,)."""
        import numpy as np

        with np.errstate(all="ignore"):
            return np.broadcast_to(tree(np.arange(n, dtype=float), float(n)), n).copy()

    return values


def _sum(tokens):
    """Terms with + or − between them: (function of i and n, tokens left), like the other rules."""
    return _chain(tokens, _product, {"+": operator.add, "-": operator.sub})


def _product(tokens):
    """Factors with * or / between them."""
    return _chain(tokens, _signed, {"*": operator.mul, "/": operator.truediv})


def _chain(tokens, part, operators):
    """Parts joined by operators of one rank, from the left."""
    left, tokens = part(tokens)
    while tokens[0] in operators:
        right, rest = part(tokens[1:])
        left, tokens = _joined(operators[tokens[0]], left, right), rest
    return left, tokens


def _signed(tokens):
    """A power with signs before it: −2**2 is −4."""
    if tokens[0] in ("+", "-"):
        inner, rest = _signed(tokens[1:])
        return (inner if tokens[0] == "+" else lambda i, n: operator.neg(inner(i, n))), rest
    base, rest = _atom(tokens)
    if rest[0] == "**":
        exponent, rest = _signed(rest[1:])
        return _joined(operator.pow, base, exponent), rest
    return base, rest


def _atom(tokens):
    """A number, i, n, or a sum in parentheses."""
    first, rest = tokens[0], tokens[1:]
    if first == "(":
        inner, rest = _sum(rest)
        if rest[0] != ")":
            raise ValueError("a parenthesis is not closed")
        return inner, rest[1:]
    if first == "i":
        return lambda i, n: i, rest
    if first == "n":
        return lambda i, n: n + 0 * i, rest
    number = float(first)
    return lambda i, n: number + 0 * i, rest


def _joined(apply, left, right):
    """The function that applies an operator to two functions."""
    return lambda i, n: apply(left(i, n), right(i, n))
