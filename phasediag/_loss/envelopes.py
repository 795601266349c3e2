"""Sums over the active subsets of bounds |φ| ≤ β, at eight frequencies at once (emitted code)."""

from llvmlite import ir
from numba.core import cgutils

from .._compiling.emission import DOUBLE_LANES, Lanes
from .._compiling.vectors import emitted

# Vectors: the frequencies; then the probability of none active, the sums over the states with at least one,
# two, three active features, and of the states with j active beside those without the largest share: numerator and
# denominator of its square.
OMEGA, NONE, ONE, TWO, THREE, LARGEST, LOWEST = range(7)
ROOM = 7 * DOUBLE_LANES
LEAST = 0.2173  # the largest |sin x/x| where x > π


def _envelope(lanes, x, inverse):
    """Emit the supremum over x' ≥ x of |φ(2ix')| = |sinc x'|, from above."""
    builder = lanes.builder
    v = builder.fmul(x, x)
    seven = lanes.constant(7.0)
    v = builder.select(builder.fcmp_ordered("<", v, seven), v, seven)
    series = lanes.polynomial(v, 1.0, -1 / 6, 1 / 120, -1 / 5040, 1 / 362880)
    least = lanes.constant(LEAST)
    series = builder.select(builder.fcmp_ordered(">", series, least), series, least)
    return builder.select(builder.fcmp_ordered("<", inverse, series), inverse, series)


def _emit(lanes, a, p, n, room):
    """Emit the sums; see `add_envelopes`."""
    builder, fma = lanes.builder, lanes.fma
    number, one = lanes.number, lanes.constant(1.0)

    def vector(k):
        """Vector k of the room."""
        return builder.load(lanes.address(room, k), align=8)

    half = builder.fmul(vector(OMEGA), lanes.constant(0.5))
    inverse_half = builder.fdiv(one, half)
    state = lanes.variable([one] * 2 + [lanes.zero] * 4)
    with cgutils.for_range(builder, n) as loop:
        weight, density = (builder.load(builder.gep(x, [loop.index])) for x in (a, p))
        negative = builder.fcmp_ordered("<", weight, ir.Constant(number, 0.0))
        size = builder.select(negative, builder.fneg(weight), weight)
        x = builder.fmul(half, lanes.splat(size))
        inverse = builder.fmul(inverse_half, lanes.splat(builder.fdiv(ir.Constant(number, 1.0), size)))
        beta = _envelope(lanes, x, inverse)
        p_j, q = lanes.splat(density), lanes.splat(builder.fsub(ir.Constant(number, 1.0), density))
        t = builder.fmul(p_j, beta)
        either = builder.fadd(q, t)
        none, lowest, once, twice, thrice, largest = lanes.get(state)
        # |E x_j e^{sz}| over the states with r more active features is at most ratio · (those with ≥ r active)
        moment = fma(beta, inverse, inverse)
        moment = builder.select(builder.fcmp_ordered("<", moment, one), moment, one)
        moment = builder.fmul(builder.fmul(moment, moment), p_j)
        square = builder.fmul(either, either)
        larger = builder.fcmp_ordered(">", builder.fmul(moment, lowest), builder.fmul(largest, square))
        lanes.set(
            state,
            (
                builder.fmul(none, q),
                builder.select(larger, square, lowest),
                fma(either, once, builder.fmul(t, none)),
                fma(q, twice, builder.fmul(t, once)),
                fma(q, thrice, builder.fmul(t, twice)),
                builder.select(larger, moment, largest),
            ),
        )
    for k, value in zip((NONE, LOWEST, ONE, TWO, THREE, LARGEST), lanes.get(state), strict=True):
        builder.store(value, lanes.address(room, k), align=8)


@emitted()
def add_envelopes(b, a, p, n, room):
    """Fill ``room`` behind the eight frequencies with the sums for n features of weights ``a`` and densities ``p``.

    Its slow twin is `test_envelopes_are_sums_over_active_subsets`.
    """
    _emit(Lanes(b, True), a, p, n, room)
