"""Sums over inputs that are points, so many at a time (emitted code): what `points` adds up for one output.

Rows have room for whole vectors, and their lanes are added in one fixed order; nothing is rounded otherwise than one by one.
"""

from numba import types

from .._compiling.emission import Lanes
from .._compiling.vectors import LONG, WORD, emitted

LANES = 4
"""Sums are of so many inputs at a time: rows of them are filled up with zeros."""


class _Rows(Lanes):
    """Emission of arithmetic on vectors of LANES doubles."""

    def __init__(self, builder):
        super().__init__(builder, True, LANES)

    def at(self, row, place):
        """The address of the vector of a row that begins at a place."""
        return self.builder.bitcast(self.builder.gep(row, [place]), self.kind.as_pointer())

    def read(self, row, place):
        """The vector of a row that begins at a place."""
        return self.builder.load(self.at(row, place), align=8)

    def write(self, value, row, place):
        """Store the vector of a row that begins at a place."""
        self.builder.store(value, self.at(row, place), align=8)

    def added(self, variable, value):
        """Add to a variable."""
        self.builder.store(self.builder.fadd(self.builder.load(variable), value), variable)

    def sum(self, value):
        """The sum of the lanes: of each half, then of both."""
        first, second, third, fourth = (self.builder.extract_element(value, WORD(lane)) for lane in range(LANES))
        return self.builder.fadd(self.builder.fadd(first, second), self.builder.fadd(third, fourth))


@emitted()
def pieces(b, i, n, length, bias, own, residual, keep, alpha, row, columns, summed):
    """Losses, slopes and curvatures of output i at every input, from their probabilities and values.

    columns (n, length): values of features; row (n,): that of WᵀW. summed (4, length): slopes and curvatures in z, losses, in
    their place the probabilities at first, and z without the part of feature i. own: row[i]; residual, keep: 1 − row[i] and
    1 − alpha row[i], what is left of x where the output is on, and off.
    """
    lanes = _Rows(b)
    slopes, curvatures, losses, rests = (b.gep(summed, [b.mul(length, LONG(k))]) for k in range(4))
    bias, own, residual, keep, alpha = (lanes.splat(one) for one in (bias, own, residual, keep, alpha))
    targets, one, two = b.gep(columns, [b.mul(i, length)]), lanes.constant(1.0), lanes.constant(2.0)
    (rest,) = b.variables([bias])
    with b.range(b.udiv(length, LONG(LANES))) as block:
        at = b.mul(block, LONG(LANES))
        b.store(bias, rest)
        for start, stop in ((LONG(0), i), (b.add(i, LONG(1)), n)):
            with b.range(stop, start) as j:
                column = lanes.read(b.gep(columns, [b.mul(j, length)]), at)
                lanes.added(rest, b.fmul(lanes.splat(b.load(b.gep(row, [j]))), column))
        others, x, share = b.load(rest), lanes.read(targets, at), lanes.read(losses, at)
        is_on = b.fcmp_ordered(">=", b.fadd(others, b.fmul(own, x)), lanes.zero)
        gain, left = b.select(is_on, one, alpha), b.select(is_on, residual, keep)
        error = b.fsub(b.fmul(x, left), b.fmul(gain, others))
        lanes.write(others, rests, at)
        lanes.write(b.fmul(b.fmul(share, error), error), losses, at)
        lanes.write(b.fmul(b.fmul(b.fmul(lanes.constant(-2.0), share), gain), error), slopes, at)
        lanes.write(b.fmul(b.fmul(b.fmul(two, share), gain), gain), curvatures, at)


@emitted(types.float64)
def total(b, row, length):
    """Return the sum of a row (length,)."""
    lanes = _Rows(b)
    (found,) = b.variables([lanes.zero])
    with b.range(b.udiv(length, LONG(LANES))) as block:
        lanes.added(found, lanes.read(row, b.mul(block, LONG(LANES))))
    return lanes.sum(b.load(found))


@emitted()
def sums(b, weights, factors, columns, count, length, found):
    """Σ weight · factor · value over the inputs goes to ``found`` for each of the first ``count`` columns (…, length).

    LANES columns at a time, so that no sum waits for its last term: found has room for whole vectors. weights, factors (length,).
    """
    lanes, last = _Rows(b), b.sub(count, LONG(1))
    with b.range(b.udiv(b.add(count, LONG(LANES - 1)), LONG(LANES))) as chunk:
        first = b.mul(chunk, LONG(LANES))
        places = [b.add(first, LONG(k)) for k in range(LANES)]
        places = [b.select(b.icmp_signed("<", place, last), place, last) for place in places]
        own, found_here = [b.gep(columns, [b.mul(place, length)]) for place in places], b.gep(found, [first])
        totals = b.variables([lanes.zero] * LANES)
        with b.range(b.udiv(length, LONG(LANES))) as block:
            at = b.mul(block, LONG(LANES))
            product = b.fmul(lanes.read(weights, at), lanes.read(factors, at))
            for total_, column in zip(totals, own, strict=True):
                lanes.added(total_, b.fmul(product, lanes.read(column, at)))
        for k, total_ in enumerate(totals):
            b.store(lanes.sum(b.load(total_)), b.gep(found_here, [LONG(k)]))


@emitted()
def add_row(b, row, other, factor, count):
    """Add a factor times one row (count,) to another, in place."""
    lanes, whole = _Rows(b), b.and_(count, LONG(-LANES))
    with b.range(b.udiv(whole, LONG(LANES))) as block:
        at = b.mul(block, LONG(LANES))
        lanes.write(b.fadd(lanes.read(row, at), b.fmul(lanes.splat(factor), lanes.read(other, at))), row, at)
    with b.range(count, whole) as k:
        b.store(b.fadd(b.load(b.gep(row, [k])), b.fmul(factor, b.load(b.gep(other, [k])))), b.gep(row, [k]))
