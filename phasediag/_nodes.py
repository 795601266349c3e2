"""The terms of the contour at one vector of nodes, for the loss of one output and its slopes (emitted code).

The nodes are the lanes of vectors, eight of float64 or sixteen of float32, which stay in registers over all features.

With t_j = ρ_j φ(iωa_j), φ(w) = (e^w − 1)/w, the sums over the states with at least one, two, three active features are a
ladder: A₁ += t_j (1 + A₁), A₂ += t_j A₁, A₃ += t_j A₂ (each with what was). Its steps lose no digits where few are active.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ._jit import jit
from ._vectors import LONG, WORD

BYTES = 64
# Workspace: one row per feature. Vectors: w e^{iy} at the next nodes, w = ρ/a; t = ρ φ(iy), less an offset; g = ρ φ'(iy); the
# product of the factors 1 + t over the features before; the sum of the slope. Then numbers: w, ρ, 1/a, the offset, the angle
# from node to node and the phase from block to block.
PHASE, T, G, ALL, SLOPE = range(0, 10, 2)  # vectors; imaginary parts follow
H = ALL  # ρ φ''(iy) of the output's own feature
VECTORS = 11
WEIGHT, RATIO, INVERSE, OFFSET, ANGLE, STEP_RE, STEP_IM = range(7)
DOUBLES, SINGLES = 8, 16  # lanes
LOSS, SLOPE_B, SLOPE_I = range(0, 6, 2)  # vectors of the sums


class _Lanes:
    """Emission of arithmetic on vectors of one kind of numbers; complex numbers are pairs."""

    def __init__(self, builder, double):
        self.builder, self.number = builder, ir.DoubleType() if double else ir.FloatType()
        self.count = DOUBLES if double else SINGLES
        self.kind = ir.VectorType(self.number, self.count)
        self.suffix = f"v{self.count}f{64 if double else 32}"
        self.zero = self.constant(0.0)

    def constant(self, value):
        return ir.Constant(self.kind, [value] * self.count)

    def splat(self, value):
        """A vector with equal lanes from a number of either size."""
        if value.type != self.number:
            value = self.builder.fptrunc(value, self.number)
        one = self.builder.insert_element(ir.Constant(self.kind, ir.Undefined), value, WORD(0))
        return self.builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(WORD, self.count), [0] * self.count))

    def fma(self, a, b, c):
        kind = ir.FunctionType(self.kind, [self.kind] * 3)
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.fma.{self.suffix}"), [a, b, c])

    def mul(self, a, b):
        return self.builder.fmul(a, b)

    def add(self, a, b):
        """The sum of two complex numbers."""
        return tuple(self.builder.fadd(x, y) for x, y in zip(a, b, strict=True))

    def neg(self, a):
        return tuple(self.builder.fneg(x) for x in a)

    def scale(self, a, by):
        """A complex number times a real one."""
        return tuple(self.builder.fmul(x, by) for x in a)

    def product(self, a, b, plus=None):
        """a b, or a b + ``plus``."""
        c = plus or (None, None)
        re = self.fma(a[0], b[0], c[0]) if plus else self.mul(a[0], b[0])
        im = self.fma(a[0], b[1], c[1]) if plus else self.mul(a[0], b[1])
        return self.fma(self.builder.fneg(a[1]), b[1], re), self.fma(a[1], b[0], im)

    def polynomial(self, x, *coefficients):
        value = self.constant(coefficients[-1])
        for coefficient in reversed(coefficients[:-1]):
            value = self.fma(value, x, self.constant(coefficient))
        return value

    # memory: rows of vectors and numbers

    def address(self, base, vector):
        """The address of a vector of a row."""
        place = self.builder.gep(base, [LONG(vector * self.count)])
        return self.builder.bitcast(place, self.kind.as_pointer())

    def load(self, base, vector):
        """A complex vector of a row."""
        return tuple(self.builder.load(self.address(base, vector + part), align=8) for part in (0, 1))

    def store(self, base, vector, value):
        for part in (0, 1):
            self.builder.store(value[part], self.address(base, vector + part), align=8)

    def number_at(self, base, name):
        """A number of a row."""
        return self.builder.load(self.builder.gep(base, [LONG((VECTORS - 1) * self.count + name)]))

    def spread(self, base, name):
        return self.splat(self.number_at(base, name))

    def variable(self, value):
        """A complex variable, which the compiler keeps in registers."""
        made = tuple(cgutils.alloca_once(self.builder, self.kind) for _ in value)
        self.set(made, value)
        return made

    def get(self, variable):
        return tuple(self.builder.load(part) for part in variable)

    def set(self, variable, value):
        for part, entry in zip(value, variable, strict=True):
            self.builder.store(part, entry)


def _next_phase(lanes, row):
    """Emit the phase of these nodes, times the weight; store the one of the next."""
    phase = lanes.load(row, PHASE)
    step = lanes.spread(row, STEP_RE), lanes.spread(row, STEP_IM)
    lanes.store(row, PHASE, lanes.product(phase, step))
    return phase


def _transform(lanes, row, nodes, inverse, last, own=False):
    """Emit t; store g and, for the output's ``own`` feature, h.

    φ(iy) = (e^{iy} − 1)/iy, φ' = (e^{iy} − φ)/iy, φ'' = (e^{iy} − 2φ')/iy; for |y| < 1 from the moments 0, 1, 2 of e^{iyu} over
    a uniform u.
    """
    builder = lanes.builder
    phase = _next_phase(lanes, row)
    angle = lanes.number_at(row, ANGLE)
    reach = builder.fmul(angle, last)
    one = ir.Constant(reach.type, 1.0)
    small = builder.and_(builder.fcmp_ordered("<", reach, one), builder.fcmp_ordered(">", reach, builder.fneg(one)))
    ratio, t = lanes.spread(row, RATIO), lanes.variable((lanes.zero, lanes.zero))
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
            lanes.store(row, G, lanes.product(turn, (lanes.mul(half, sinc), slope)))
            if own:
                even = lanes.polynomial(
                    v, 1 / 3, -1 / 10, 1 / 168, -1 / 6480, 1 / 443520, -1 / 47174400, 1 / 7185024000
                )
                square = lanes.mul(lanes.constant(0.25), builder.fadd(sinc, even))
                lanes.store(row, H, lanes.product(turn, (square, slope)))
        with otherwise:
            c, s = lanes.scale(phase, inverse)
            weight = lanes.mul(lanes.spread(row, WEIGHT), inverse)
            h = lanes.mul(lanes.spread(row, INVERSE), inverse)
            im = builder.fsub(weight, c)
            g = lanes.fma(builder.fneg(im), h, s), lanes.fma(s, h, builder.fneg(c))
            lanes.set(t, (s, im))
            lanes.store(row, G, g)
            if own:  # ρ e^{iy} = ρ + iy t
                h = builder.fneg(h)
                double = lanes.scale(g, lanes.constant(2.0))
                rest = builder.fsub(ratio, double[0])
                lanes.store(row, H, (lanes.fma(double[1], h, s), lanes.fma(rest, h, im)))
    return lanes.get(t)


def _emit_terms(lanes, first, unit, few, slopes, p_i, n, work, sums):
    """Emit the terms; see `add_nodes`."""
    builder = lanes.builder
    one = lanes.constant(1.0)
    nodes = builder.fadd(lanes.splat(first), ir.Constant(lanes.kind, [float(m) for m in range(lanes.count)]))
    inverse = builder.fdiv(lanes.splat(unit), nodes)  # 1/ω
    last = builder.fadd(first, ir.Constant(first.type, float(lanes.count)))
    if last.type != lanes.number:
        last = builder.fptrunc(last, lanes.number)
    row_size = LONG(VECTORS * lanes.count)

    def row_at(j):
        return builder.gep(work, [builder.mul(j, row_size)])

    end = builder.sub(n, LONG(1))
    zero = lanes.zero, lanes.zero
    only, once, twice, thrice = (lanes.variable(zero) for _ in range(4))
    with cgutils.for_range(builder, n) as loop:
        row = row_at(loop.index)
        t = _transform(lanes, row, nodes, inverse, last)
        with builder.if_then(builder.icmp_signed("<", loop.index, end)):
            lanes.set(only, lanes.add(lanes.get(only), t))
        t = builder.fsub(t[0], lanes.spread(row, OFFSET)), t[1]
        a1, a2 = lanes.get(once), lanes.get(twice)
        every = builder.fadd(a1[0], one), a1[1]
        lanes.store(row, T, t)
        lanes.store(row, ALL, every)
        lanes.set(thrice, lanes.product(t, a2, lanes.get(thrice)))
        lanes.set(twice, lanes.product(t, a1, a2))
        lanes.set(once, lanes.product(t, every, a1))
    a1 = lanes.get(once)
    with builder.if_then(builder.not_(few)):
        for variable in (twice, thrice):
            lanes.set(variable, (builder.fadd(a1[0], one), a1[1]))
    two, three = lanes.get(twice), lanes.get(thrice)
    own = row_at(n)
    f, g, h = _transform(lanes, own, nodes, inverse, last, own=True), lanes.load(own, G), lanes.load(own, H)
    # at s = iω, with i inactive 2q/s², active 2f/s² − 2g/s and for a_i 2g/s² − 2h/s, each times e^{sb}
    turn = lanes.scale(_next_phase(lanes, row_at(builder.add(n, LONG(1)))), lanes.mul(lanes.constant(2.0), inverse))
    idle = lanes.scale(turn, lanes.mul(lanes.splat(builder.fsub(p_i, ir.Constant(p_i.type, 1.0))), inverse))

    def over(x, y):  # i y/ω − x/ω², less a factor 1/ω
        return builder.fneg(lanes.fma(x[0], inverse, y[1])), lanes.fma(builder.fneg(x[1]), inverse, y[0])

    active = lanes.product(turn, over(f, g))
    slope_b = lanes.product(idle, three, lanes.product(active, two))
    loss = lanes.scale((slope_b[1], builder.fneg(slope_b[0])), inverse)
    slope_i = lanes.product(lanes.product(turn, over(g, h)), two)
    for place, value in ((LOSS, loss), (SLOPE_B, slope_b), (SLOPE_I, slope_i)):
        lanes.store(sums, place, lanes.add(lanes.load(sums, place), value))
    with builder.if_then(slopes):
        # over all states but j's of the other features, without those with none and, i inactive, with one active
        after = lanes.variable(lanes.add(active, idle))
        none, single = lanes.variable(zero), lanes.variable(zero)
        with builder.if_then(few):
            lanes.set(none, lanes.neg(lanes.product(idle, lanes.get(only), lanes.get(after))))
        with cgutils.for_range(builder, n) as loop:
            row = row_at(builder.sub(end, loop.index))
            t, v = lanes.load(row, T), lanes.get(after)
            rest = lanes.product(lanes.load(row, ALL), v, lanes.get(none))
            rest = lanes.product(t, lanes.get(single), rest)
            lanes.store(row, SLOPE, lanes.product(rest, lanes.load(row, G), lanes.load(row, SLOPE)))
            lanes.set(after, lanes.product(t, v, v))
            with builder.if_then(builder.and_(few, builder.icmp_signed("==", loop.index, LONG(0))), likely=False):
                lanes.set(single, idle)
                lanes.set(none, lanes.add(lanes.get(none), lanes.neg(lanes.product(idle, t))))


@intrinsic
def _terms(typing, first, unit, few, slopes, p_i, n, work, sums):
    def emit(context, builder, sig, args):
        *numbers, n, work, sums = args
        lanes = _Lanes(builder, sig.args[6].dtype == types.float64)
        work, sums = (context.make_array(sig.args[k])(context, builder, args[k]).data for k in (6, 7))
        _emit_terms(lanes, *numbers, n, work, sums)
        return context.get_dummy_value()

    return types.void(first, unit, few, slopes, p_i, n, work, sums), emit


@intrinsic
def take(typing, array, at):
    """Return real and imaginary part of a complex sum, lanes added up in one fixed order, and set the sum to zero."""

    def emit(context, builder, sig, args):
        lanes = _Lanes(builder, sig.args[0].dtype == types.float64)
        base = builder.gep(context.make_array(sig.args[0])(context, builder, args[0]).data, [args[1]])
        wide = ir.VectorType(ir.DoubleType(), lanes.count)
        kind = ir.FunctionType(ir.DoubleType(), [ir.DoubleType(), wide])
        add = cgutils.get_or_insert_function(builder.module, kind, f"llvm.vector.reduce.fadd.v{lanes.count}f64")
        parts = [part if part.type == wide else builder.fpext(part, wide) for part in lanes.load(base, 0)]
        lanes.store(base, 0, (lanes.zero, lanes.zero))
        sums = [builder.call(add, [ir.Constant(ir.DoubleType(), 0.0), part], fastmath=("reassoc",)) for part in parts]
        return cgutils.pack_array(builder, sums)

    return types.UniTuple(types.float64, 2)(array, types.intp), emit


@jit(inner=True)
def add_nodes(first, unit, few, slopes, p_i, n, work, sums):
    """Add the terms of the nodes from ``first`` on to the sums, lane by lane; 1/ω = ``unit``/k at node k.

    Where states with few active features are taken out (``few``), all products are relative to the probability that none is.
    """
    _terms(first, unit, few, slopes, p_i, n, work, sums)
