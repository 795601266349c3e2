"""Emission of arithmetic on vectors, real or complex, for the kernels of the contour engine.

Left to numba's front end, every operation takes its time to compile, and vectors stay in registers only by luck.
"""

from llvmlite import ir

from .vectors import LONG

DOUBLE_LANES, SINGLE_LANES = 8, 16


class Lanes:
    """Emission of arithmetic on vectors of one kind of numbers, by a `Builder`; complex numbers are pairs."""

    def __init__(self, builder, double, count=None):
        self.builder, self.number = builder, ir.DoubleType() if double else ir.FloatType()
        self.count = count or (DOUBLE_LANES if double else SINGLE_LANES)
        self.kind = ir.VectorType(self.number, self.count)
        self.zero = self.constant(0.0)

    def constant(self, value):
        """A vector with equal lanes that is known when the code is emitted."""
        return ir.Constant(self.kind, [value] * self.count)

    def splat(self, value):
        """A vector with equal lanes from a number of either size."""
        if value.type != self.number:
            value = self.builder.fptrunc(value, self.number)
        return self.builder.splat(value, self.count)

    def fma(self, a, b, c):
        """a b + c of real vectors, rounded once."""
        return self.builder.fma(a, b, c)

    def mul(self, a, b):
        """The product of real vectors."""
        return self.builder.fmul(a, b)

    def add(self, a, b):
        """The sum of two complex numbers."""
        return tuple(self.builder.fadd(x, y) for x, y in zip(a, b, strict=True))

    def neg(self, a):
        """The negative of a complex number."""
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

    def clip(self, x):
        """The nearest number in [0, 1]."""
        return self.builder.where(self.builder.where(x, ">", self.zero), "<", self.constant(1.0))

    def total(self, value):
        """The sum of the lanes as a double, in one fixed order."""
        found = self.builder.total(value)
        return found if self.number == ir.DoubleType() else self.builder.fpext(found, ir.DoubleType())

    def polynomial(self, x, *coefficients):
        """The polynomial in a real vector, constant coefficient first, by Horner's rule."""
        value = self.constant(coefficients[-1])
        for coefficient in reversed(coefficients[:-1]):
            value = self.fma(value, x, self.constant(coefficient))
        return value

    # memory: rows of vectors and numbers

    def pointer(self, address):
        """A pointer to numbers of this kind at an address."""
        return self.builder.inttoptr(address, self.number.as_pointer())

    def address(self, base, vector):
        """The address of a vector of a row."""
        place = self.builder.gep(base, [LONG(vector * self.count)])
        return self.builder.bitcast(place, self.kind.as_pointer())

    def load(self, base, vector):
        """A complex vector, or two vectors, of a row."""
        return tuple(self.builder.load(self.address(base, vector + part), align=8) for part in (0, 1))

    def store(self, base, vector, value):
        """Write a complex vector, or two vectors, to a row."""
        for part in (0, 1):
            self.builder.store(value[part], self.address(base, vector + part), align=8)

    def variable(self, value):
        """A complex variable, which the compiler keeps in registers."""
        return self.builder.variables(value)

    def get(self, variable):
        """The value of a variable."""
        return tuple(self.builder.load(part) for part in variable)

    def set(self, variable, value):
        """Give a variable a new value."""
        for part, entry in zip(value, variable, strict=True):
            self.builder.store(part, entry)
