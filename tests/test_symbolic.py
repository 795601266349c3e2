"""Closed forms against exact integration of piecewise polynomials in rational arithmetic, and against quadrature."""

from fractions import Fraction
from itertools import pairwise

import mpmath
import pytest
import sympy

from phasediag import configurations, symbolic_expected_loss
from phasediag.symbolic import DENSITY, IMPORTANCE


class Piecewise:
    """A continuous piecewise polynomial with rational knots and coefficients, on the whole line."""

    def __init__(self, knots, pieces):
        length = max(map(len, pieces))
        self.knots, self.pieces = knots, [_padded(piece, length) for piece in pieces]

    @classmethod
    def clipped_power(cls, power):
        """t ↦ (t⁺)^power."""
        return cls([Fraction(0)], [[Fraction(0)], [Fraction(0)] * power + [Fraction(1)]])

    def piece(self, t):
        """Coefficients in force just above t."""
        return self.pieces[sum(knot <= t for knot in self.knots)]

    def __call__(self, t):
        return sum(c * t**k for k, c in enumerate(self.piece(t)))

    def antiderivative(self):
        """The antiderivative that is continuous at every knot."""
        pieces = [_antiderivative(piece) for piece in self.pieces]
        for k, knot in enumerate(self.knots):
            pieces[k + 1][0] += _value(pieces[k], knot) - _value(pieces[k + 1], knot)
        return Piecewise(self.knots, pieces)

    def averaged(self, a):
        """t ↦ ∫₀¹ f(t + a u) du = (F(t + a) − F(t))/a."""
        whole = self.antiderivative()
        knots = sorted({*self.knots, *(knot - a for knot in self.knots)})
        probes = [knots[0] - 1, *((low + high) / 2 for low, high in pairwise(knots)), knots[-1] + 1]
        pieces = []
        for t in probes:
            ahead, here = _shifted(whole.piece(t + a), a), whole.piece(t)
            pieces.append([(x - y) / a for x, y in zip(ahead, here, strict=True)])
        return Piecewise(knots, pieces)

    def mixed(self, a, density):
        """t ↦ E f(t + a x) for x a feature that is active with probability ``density``."""
        if a == 0:
            return self
        active = self.averaged(a)
        probes = [active.knots[0] - 1, *((low + high) / 2 for low, high in pairwise(active.knots)), active.knots[-1] + 1]
        pieces = []
        for t, piece in zip(probes, active.pieces, strict=True):
            idle = _padded(self.piece(t), len(piece))
            pieces.append([density * x + (1 - density) * y for x, y in zip(piece, idle, strict=True)])
        return Piecewise(active.knots, pieces)

    def moment(self, own, bias, power):
        """∫₀¹ u^power f(bias + own u) du, piece by piece."""
        cuts = {Fraction(0), Fraction(1)}
        if own:
            cuts |= {u for u in ((knot - bias) / own for knot in self.knots) if 0 < u < 1}
        total = Fraction(0)
        for low, high in pairwise(sorted(cuts)):
            piece = self.piece(bias + own * (low + high) / 2)
            in_u = [c * own**k for k, c in enumerate(_shifted(piece, bias))]
            whole = _antiderivative([Fraction(0)] * power + in_u)
            total += _value(whole, high) - _value(whole, low)
        return total


def _value(piece, t):
    return sum(c * t**k for k, c in enumerate(piece))


def _antiderivative(piece):
    return [Fraction(0), *(c / (k + 1) for k, c in enumerate(piece))]


def _padded(piece, length):
    return [*piece, *[Fraction(0)] * (length - len(piece))]


def _shifted(piece, a):
    """Coefficients of t ↦ piece(t + a), by Horner's rule."""
    result = [Fraction(0)]
    for c in reversed(piece):
        result = [x + y for x, y in zip([a * r for r in result] + [Fraction(0)], [Fraction(0), *result], strict=True)]
        result[0] += c
    return _padded(result[: len(piece)], len(piece))


def exact_loss(gram, bias, importance, density):
    """E Σ_i I_i (x_i − (Σ_j G_ij x_j + b_i)⁺)² by repeated exact averaging of t⁺ and (t⁺)²."""
    total = Fraction(0)
    for i, row in enumerate(gram):
        first, second = Piecewise.clipped_power(1), Piecewise.clipped_power(2)
        for j, a in enumerate(row):
            if j != i:
                first, second = first.mixed(a, density), second.mixed(a, density)
        active = Fraction(1, 3) - 2 * first.moment(row[i], bias[i], 1) + second.moment(row[i], bias[i], 0)
        total += importance[i] * (density * active + (1 - density) * second(bias[i]))
    return total


def exact_linear_loss(gram, bias, importance, density):
    """The same without the ReLU, from E x_j = p/2, E x_j² = p/3 and E x_j x_k = p²/4, term by term."""
    n_features = len(gram)
    total = Fraction(0)
    for i in range(n_features):
        residual = [(i == j) - gram[i][j] for j in range(n_features)]
        mean = sum(residual) * density / 2
        second = sum(
            residual[j] * residual[k] * (density / 3 if j == k else density**2 / 4)
            for j in range(n_features)
            for k in range(n_features)
        )
        total += importance[i] * (second - 2 * bias[i] * mean + bias[i] ** 2)
    return total


def _gram(configuration):
    n_features = configuration.n_features
    gram = [[Fraction(0)] * n_features for _ in range(n_features)]
    for group in configuration.groups:
        for i in group:
            for j in group:
                gram[i][j] = Fraction(1) if i == j else Fraction(-1, len(group) - 1)
    return gram


ALL_UP_TO_4 = [
    pytest.param(c, id=f"{n}-{m} {activation} {c.name}")
    for n in (2, 3, 4)
    for m in range(1, n)
    for activation in ("relu", "linear")
    for c in configurations(n, m, activation=activation)
]


@pytest.mark.parametrize("configuration", ALL_UP_TO_4)
def test_symbolic_loss_is_the_exact_integral(configuration):
    """Every closed form up to four features equals exact rational integration at more points than its degree."""
    loss = configuration.symbolic_loss()
    assert loss.free_symbols <= {IMPORTANCE, DENSITY}
    polynomial = sympy.Poly(loss, IMPORTANCE, DENSITY)
    points = 2 * configuration.n_features + 2
    assert polynomial.degree(IMPORTANCE) <= 1 and polynomial.degree(DENSITY) < points
    exact = exact_loss if configuration.activation == "relu" else exact_linear_loss
    gram, dropped = _gram(configuration), configuration.dropped
    for k in range(1, points + 1):
        density = Fraction(k, points)
        bias = [density / 2 if i in dropped else Fraction(0) for i in range(configuration.n_features)]
        for extra in (Fraction(3, 7), Fraction(5, 2)):
            importance = [Fraction(1)] * (configuration.n_features - 1) + [extra]
            value = loss.subs({IMPORTANCE: sympy.Rational(extra), DENSITY: sympy.Rational(density)})
            assert value == sympy.Rational(exact(gram, bias, importance, density))


@pytest.mark.quick
def test_oracle_reproduces_a_hand_integral():
    """The oracle itself: an antipodal pair errs only where both are active, by the smaller: E min(x, y)² = 1/6."""
    one = Fraction(1)
    for density in (Fraction(1, 3), one):
        loss = exact_loss([[one, -one], [-one, one]], [Fraction(0)] * 2, [one, one], density)
        assert loss == density**2 / 3


def _scaled_pair():
    first, second, one, other = sympy.symbols("first second one other", real=True)
    return (first, second, one, other), [[first**2, first * second], [first * second, second**2]]


@pytest.mark.parametrize(
    "values",
    [
        ("1.1", "-0.9", "-0.1", "0.05"),
        ("0.8", "-1.3", "0.2", "-0.3"),
        ("0.7", "0.6", "-0.2", "-0.25"),
        ("1.2", "-0.4", "-2", "0.1"),
    ],
)
def test_free_scales_and_biases_agree_with_quadrature(values):
    """The closed form of a chamber equals 30-digit quadrature split at every kink, at its reference point and beside it."""
    symbols, gram = _scaled_pair()
    at = {symbol: sympy.Rational(value) for symbol, value in zip(symbols, values, strict=True)}
    loss = symbolic_expected_loss(gram, symbols[2:], at=at)
    with mpmath.workdps(40):
        for nudge in ("0", "0.001"):
            here = {symbol: value + sympy.Rational(nudge) for symbol, value in at.items()}
            for density in ("0.05", "0.6", "1"):
                exact = loss.subs(here | {DENSITY: sympy.Rational(density), IMPORTANCE: sympy.Rational(7, 10)})
                scales = [mpmath.mpf(here[s].p) / here[s].q for s in symbols]
                reference = _quadrature(scales[:2], scales[2:], (1, mpmath.mpf("0.7")), mpmath.mpf(density))
                assert abs(mpmath.mpf(exact.p) / exact.q - reference) < mpmath.mpf(10) ** -30


def _quadrature(weights, biases, importance, density):
    """The 2→1 loss by Gauss–Legendre quadrature between kinks."""
    total = mpmath.mpf(0)
    for i, j in ((0, 1), (1, 0)):
        own, other, bias = weights[i] ** 2, weights[i] * weights[j], biases[i]

        def error(x, y, own=own, other=other, bias=bias):
            return (x - max(own * x + other * y + bias, 0)) ** 2

        def over_x(y, own=own, other=other, bias=bias, error=error):
            kink = -(other * y + bias) / own
            return mpmath.quad(lambda x: error(x, y), _split([kink]), method="gauss-legendre")

        kinks = [-bias / other, -(bias + own) / other]
        idle = 1 - density
        total += importance[i] * (
            idle**2 * error(0, 0)
            + density * idle * over_x(0)
            + density * idle * mpmath.quad(lambda y, error=error: error(0, y), _split(kinks), method="gauss-legendre")
            + density**2 * mpmath.quad(over_x, _split(kinks), method="gauss-legendre")
        )
    return total


def _split(kinks):
    return [0, *sorted(kink for kink in kinks if 0 < kink < 1), 1]


def test_free_parameters_of_three_features_agree_with_exact_integration():
    """A triangle with free length and bias equals the rational oracle at points of the same chamber."""
    length, bias = sympy.symbols("length bias", real=True)
    gram = [[length**2 * (1 if i == j else sympy.Rational(-1, 2)) for j in range(3)] for i in range(3)]
    loss = symbolic_expected_loss(gram, [bias] * 3, at={length: 1.2, bias: -0.1})
    for l, b in ((Fraction(6, 5), Fraction(-1, 10)), (Fraction(5, 4), Fraction(-2, 25)), (Fraction(1), Fraction(-1, 7))):
        exact_gram = [[l**2 * (1 if i == j else Fraction(-1, 2)) for j in range(3)] for i in range(3)]
        for density in (Fraction(1, 9), Fraction(2, 3)):
            value = loss.subs(
                {
                    length: sympy.Rational(l),
                    bias: sympy.Rational(b),
                    IMPORTANCE: sympy.Rational(1, 3),
                    DENSITY: sympy.Rational(density),
                }
            )
            assert value == sympy.Rational(exact_loss(exact_gram, [b] * 3, [1, 1, Fraction(1, 3)], density))


def test_importance_and_density_may_be_given():
    """Numbers in place of the symbols give the value of the general expression."""
    gram, bias = [[1, -1], [-1, 1]], [0, 0]
    general = symbolic_expected_loss(gram, bias)
    given = symbolic_expected_loss(gram, bias, importance=[2, 5], density=sympy.Rational(1, 3))
    assert given == (7 * DENSITY**2 / 6).subs(DENSITY, sympy.Rational(1, 3))
    assert general == sympy.expand((1 + IMPORTANCE) * DENSITY**2 / 6)


def test_bad_arguments_are_named():
    """Wrong shapes, an unknown activation and an undecided sign are refused with the argument's name."""
    scale = sympy.Symbol("scale", real=True)
    with pytest.raises(ValueError, match=r"gram must be a square matrix, got shape \(1, 2\)"):
        symbolic_expected_loss([[1, 0]], [0])
    with pytest.raises(ValueError, match="bias must have 2 entries, one for each feature, got 1"):
        symbolic_expected_loss([[1, 0], [0, 1]], [0])
    with pytest.raises(ValueError, match="importance must have 2 entries"):
        symbolic_expected_loss([[1, 0], [0, 1]], [0, 0], importance=[1])
    with pytest.raises(ValueError, match="at must give a value to every free parameter"):
        symbolic_expected_loss([[1, 0], [0, 1]], [scale, 0])
    with pytest.raises(ValueError, match='activation must be one of "relu", "linear"'):
        symbolic_expected_loss([[1, 0], [0, 1]], [0, 0], activation="gelu")
