"""The terms of the contour at one vector of nodes, for the loss of one output and its slopes (emitted code).

The nodes are the lanes of vectors, eight of float64 or sixteen of float32, which stay in registers over all features.

With t_j = ρ_j φ(iωa_j), φ(w) = (e^w − 1)/w, the sums over the states with at least one, two, three active features are a
ladder: A₁ += t_j (1 + A₁), A₂ += t_j A₁, A₃ += t_j A₂ (each with what was). Its steps lose no digits where few are active.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils

from .._compiling.emission import Lanes
from .._compiling.jit import jit
from .._compiling.vectors import LONG, emitted
from .contour_table import LOSS, SLOPE_B, SLOPE_I

# Rows, one per feature, and behind them those of the output's own feature and of its bias. Vectors: w e^{iy} at the next nodes,
# w = ρ/a; t = ρ φ(iy), less an offset; iω g, where
# g = ρ φ'(iy); the product of the factors 1 + t over the features before; the sum of the slope. Then numbers: w, ρ, 1/a, the
# offset, the angle from node to node and the phase from block to block.
PHASE, T, G, ALL, SLOPE = range(0, 10, 2)  # vectors; imaginary parts follow
H = ALL  # ρ φ''(iy) of the output's own feature
VECTORS = 11
VECTOR = 64  # bytes, of either precision
ROW = VECTORS * VECTOR
WEIGHT, RATIO, INVERSE, OFFSET, ANGLE, STEP_RE, STEP_IM = range(7)
SUMS = 6  # vectors of the sums: complex, of the loss and its slopes in b and in a_i


def _number(lanes, row, name):
    """Emit a number of a row."""
    return lanes.builder.load(lanes.builder.gep(row, [LONG((VECTORS - 1) * lanes.count + name)]))


def _spread(lanes, row, name):
    """Emit a number of a row as a vector."""
    return lanes.splat(_number(lanes, row, name))


def _next_phase(lanes, row):
    """Emit the phase of these nodes, times the weight; store the one of the next."""
    phase = lanes.load(row, PHASE)
    step = _spread(lanes, row, STEP_RE), _spread(lanes, row, STEP_IM)
    lanes.store(row, PHASE, lanes.product(phase, step))
    return phase


def _over(lanes, x, inverse):
    """Emit x/iω."""
    return lanes.mul(x[1], inverse), lanes.mul(lanes.builder.fneg(x[0]), inverse)


def _transform(lanes, row, nodes, omega, inverse, last, own=False):
    """Emit t; store iω g or, for the output's ``own`` feature, g and h.

    φ(iy) = (e^{iy} − 1)/iy, φ' = (e^{iy} − φ)/iy, φ'' = (e^{iy} − 2φ')/iy; for |y| < 1 from the moments 0, 1, 2 of e^{iyu} over
    a uniform u.
    """
    builder = lanes.builder
    phase = _next_phase(lanes, row)
    angle = _number(lanes, row, ANGLE)
    reach = builder.fmul(angle, last)
    one = ir.Constant(reach.type, 1.0)
    small = builder.and_(builder.fcmp_ordered("<", reach, one), builder.fcmp_ordered(">", reach, builder.fneg(one)))
    ratio, t = _spread(lanes, row, RATIO), lanes.variable((lanes.zero, lanes.zero))
    with builder.if_else(small, likely=False) as (then, otherwise):
        with then:
            x = lanes.mul(lanes.splat(builder.fmul(angle, ir.Constant(angle.type, 0.5))), nodes)
            v = lanes.mul(x, x)
            # E cos xV = sinc x, E (V/x) sin xV = j₁(x)/x and E V² cos xV over V = 2u − 1; then e^{iyu} = e^{ix} e^{ixV}
            sinc = lanes.polynomial(v, 1.0, -1 / 6, 1 / 120, -1 / 5040, 1 / 362880, -1 / 39916800, 1 / 6227020800)
            j1 = lanes.polynomial(v, 1 / 3, -1 / 30, 1 / 840, -1 / 45360, 1 / 3991680, -1 / 518918400, 1 / 93405312000)
            half = lanes.constant(0.5)
            turn = lanes.scale((builder.fsub(sinc, lanes.mul(v, j1)), lanes.mul(x, sinc)), ratio)  # ρ e^{ix}
            slope = lanes.mul(half, lanes.mul(x, j1))
            lanes.set(t, lanes.scale(turn, sinc))
            g = lanes.product(turn, (lanes.mul(half, sinc), slope))
            lanes.store(row, G, g if own else lanes.scale((builder.fneg(g[1]), g[0]), omega))
            if own:
                even = lanes.polynomial(v, 1 / 3, -1 / 10, 1 / 168, -1 / 6480, 1 / 443520, -1 / 47174400, 1 / 7185024000)
                square = lanes.mul(lanes.constant(0.25), builder.fadd(sinc, even))
                lanes.store(row, H, lanes.product(turn, (square, slope)))
        with otherwise:
            c, s = phase
            re, im = lanes.mul(s, inverse), lanes.mul(builder.fsub(_spread(lanes, row, WEIGHT), c), inverse)
            own_inverse = _spread(lanes, row, INVERSE)
            g = lanes.fma(builder.fneg(re), own_inverse, c), lanes.fma(builder.fneg(im), own_inverse, s)
            lanes.set(t, (re, im))
            if own:  # ρ e^{iy} = ρ + iy t
                g = _over(lanes, g, inverse)
                h = builder.fneg(lanes.mul(own_inverse, inverse))
                double = lanes.scale(g, lanes.constant(2.0))
                rest = builder.fsub(ratio, double[0])
                lanes.store(row, H, (lanes.fma(double[1], h, re), lanes.fma(rest, h, im)))
            lanes.store(row, G, g)
    return lanes.get(t)


class _Block:
    """Emission of what all terms of one vector of nodes share: frequencies, rows and the sums of the loss."""

    def __init__(self, lanes, first, unit, n, rows):
        builder = self.builder = lanes.builder
        self.lanes, self.n, self.rows = lanes, n, rows
        self.nodes = builder.fadd(lanes.splat(first), ir.Constant(lanes.kind, [float(m) for m in range(lanes.count)]))
        self.inverse = builder.fdiv(lanes.splat(unit), self.nodes)  # 1/ω
        self.omega = builder.fdiv(self.nodes, lanes.splat(unit))
        last = builder.fadd(first, ir.Constant(first.type, float(lanes.count)))
        self.last = last if last.type == lanes.number else builder.fptrunc(last, lanes.number)

    def row(self, j):
        """Emit the address of a row."""
        return self.builder.gep(self.rows, [self.builder.mul(j, LONG(VECTORS * self.lanes.count))])

    def transform(self, row, own=False):
        """Emit t; see `_transform`."""
        return _transform(self.lanes, row, self.nodes, self.omega, self.inverse, self.last, own)

    def over(self, x):
        """Emit x/iω."""
        return _over(self.lanes, x, self.inverse)

    def climb(self, t, once, twice, thrice):
        """Emit one step of the ladder of sums; return 1 + A₁ of before."""
        lanes, builder = self.lanes, self.builder
        one = lanes.constant(1.0)
        a1, a2 = lanes.get(once), lanes.get(twice)
        lanes.set(thrice, lanes.product(t, a2, lanes.get(thrice)))
        lanes.set(twice, lanes.product(t, a1, a2))
        # t (1 + a1) + a1: every sum waits for the one before, not for 1 + a1
        grown = builder.fadd(t[0], one)
        re, im = lanes.fma(grown, a1[0], t[0]), lanes.fma(grown, a1[1], t[1])
        lanes.set(once, (lanes.fma(builder.fneg(t[1]), a1[1], re), lanes.fma(t[1], a1[0], im)))
        return builder.fadd(a1[0], one), a1[1]

    def add_sums(self, p_i, two, three, sums):
        """Emit the additions to the sums of loss, slope in b and in a_i; return the factors of i active and inactive, over iω."""
        lanes, builder, inverse, n = self.lanes, self.builder, self.inverse, self.n
        own = self.row(n)
        f, g, h = self.transform(own, own=True), lanes.load(own, G), lanes.load(own, H)
        # at s = iω, with i inactive 2q/s², active 2f/s² − 2g/s and for a_i 2g/s² − 2h/s, each times e^{sb}
        turn = lanes.scale(_next_phase(lanes, self.row(builder.add(n, LONG(1)))), lanes.mul(lanes.constant(2.0), inverse))
        idle = lanes.scale(turn, lanes.mul(lanes.splat(builder.fsub(p_i, ir.Constant(p_i.type, 1.0))), inverse))

        def over(x, y):
            """i y/ω − x/ω², less a factor 1/ω."""
            return builder.fneg(lanes.fma(x[0], inverse, y[1])), lanes.fma(builder.fneg(x[1]), inverse, y[0])

        active = lanes.product(turn, over(f, g))
        slope_b = lanes.product(idle, three, lanes.product(active, two))
        loss = lanes.scale((slope_b[1], builder.fneg(slope_b[0])), inverse)
        slope_i = lanes.product(lanes.product(turn, over(g, h)), two)
        for place, value in ((LOSS, loss), (SLOPE_B, slope_b), (SLOPE_I, slope_i)):
            lanes.store(sums, 2 * place, lanes.add(lanes.load(sums, 2 * place), value))
        return self.over(active), self.over(idle)  # the factor that iω g has too much


def _add_slope(lanes, row, rest, g):
    """Emit the addition to the sum of the slope in a_j."""
    lanes.store(row, SLOPE, lanes.product(rest, g, lanes.load(row, SLOPE)))


def _emit_terms(lanes, first, unit, few, slopes, p_i, n, rows):
    """Emit the terms; see `add_nodes`."""
    builder = lanes.builder
    one = lanes.constant(1.0)
    block = _Block(lanes, first, unit, n, rows)
    sums = block.row(builder.add(n, LONG(2)))
    end = builder.sub(n, LONG(1))
    zero = lanes.zero, lanes.zero
    only, once, twice, thrice = (lanes.variable(zero) for _ in range(4))
    with cgutils.for_range(builder, n) as loop:
        row = block.row(loop.index)
        t = block.transform(row)
        with builder.if_then(builder.icmp_signed("<", loop.index, end)):
            lanes.set(only, lanes.add(lanes.get(only), t))
        t = builder.fsub(t[0], _spread(lanes, row, OFFSET)), t[1]
        lanes.store(row, T, t)
        lanes.store(row, ALL, block.climb(t, once, twice, thrice))
    a1 = lanes.get(once)
    with builder.if_then(builder.not_(few)):
        for variable in (twice, thrice):
            lanes.set(variable, (builder.fadd(a1[0], one), a1[1]))
    active, idle = block.add_sums(p_i, lanes.get(twice), lanes.get(thrice), sums)
    with builder.if_then(slopes):
        # over all states but j's of the other features, without those with none and, i inactive, with one active
        after = lanes.variable(lanes.add(active, idle))
        none, single = lanes.variable(zero), lanes.variable(zero)
        with builder.if_then(few):
            lanes.set(none, lanes.neg(lanes.product(idle, lanes.get(only), lanes.get(after))))
        with cgutils.for_range(builder, n) as loop:
            row = block.row(builder.sub(end, loop.index))
            t, v = lanes.load(row, T), lanes.get(after)
            rest = lanes.product(lanes.load(row, ALL), v, lanes.get(none))
            _add_slope(lanes, row, lanes.product(t, lanes.get(single), rest), lanes.load(row, G))
            lanes.set(after, lanes.product(t, v, v))
            with builder.if_then(builder.and_(few, builder.icmp_signed("==", loop.index, LONG(0))), likely=False):
                lanes.set(single, idle)
                lanes.set(none, lanes.add(lanes.get(none), lanes.neg(lanes.product(idle, t))))


@emitted(known=1)
def _add_terms(builder, double, first, unit, few, slopes, p_i, n, rows):
    """As `add_nodes`, in double or in single precision."""
    lanes = Lanes(builder, double)
    _emit_terms(lanes, first, unit, few, slopes, p_i, n, lanes.pointer(rows))


@emitted(types.UniTuple(types.float64, 2), known=1)
def take(builder, double, address):
    """Return real and imaginary part of a complex sum, lanes added up in one fixed order, and set the sum to zero."""
    lanes = Lanes(builder, double)
    base = lanes.pointer(address)
    sums = [lanes.total(part) for part in lanes.load(base, 0)]
    lanes.store(base, 0, (lanes.zero, lanes.zero))
    return cgutils.pack_array(builder, sums)


@jit(inner=True)
def add_nodes(first, unit, few, slopes, p_i, n, rows):
    """Add the terms of the nodes from ``first`` on to the sums, lane by lane; 1/ω = ``unit``/k at node k.

    ``rows``: the address of the rows of the n features, that of the output's own feature, active with probability p_i, that of
    its bias and the sums. Where states with few active features are taken out (``few``), all products are relative to the
    probability that none is. Its slow twin is `expected` in `test_contour_terms`.
    """
    _add_terms(True, first, unit, few, slopes, p_i, n, rows)


@jit(inner=True)
def add_narrow_nodes(first, unit, few, slopes, p_i, n, rows):
    """As `add_nodes`, in single precision, for twice as many nodes."""
    _add_terms(False, first, unit, few, slopes, p_i, n, rows)
