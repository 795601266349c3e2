"""A vector of eight float64 lanes as a value inside kernels: side by side, eight nodes of a contour.

As in `_vectors`, and for the same reasons, the lanes are a type of their own and no operation is
reassociated; a·b + c is one rounding where the machine can.
"""

import operator

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

from ._vectors import WORD, pointer

LANES = 8
DOUBLE = ir.DoubleType()
DOUBLES = ir.VectorType(DOUBLE, LANES)


class DoublesType(types.Type):
    """Numba's name for eight float64 lanes."""

    def __init__(self):
        super().__init__(name=f"float64x{LANES}")


doubles = DoublesType()


@register_model(DoublesType)
class _DoublesModel(models.PrimitiveModel):
    """How numba holds the lanes: as an LLVM vector."""

    def __init__(self, manager, kind):
        super().__init__(manager, kind, DOUBLES)


def _lanes_at(context, builder, kind, array, offset):
    """Emit the address of the vector that begins at an entry."""
    address = pointer(context, builder, kind, array, offset, to=DOUBLE)
    return builder.bitcast(address, DOUBLES.as_pointer())


@intrinsic
def load(typing, array, offset):
    """Return the eight entries of a one-dimensional float64 array from ``offset`` on."""

    def emit(context, builder, sig, args):
        return builder.load(_lanes_at(context, builder, sig.args[0], *args), align=8)

    return doubles(array, types.intp), emit


@intrinsic
def store(typing, array, offset, value):
    """Write a vector to a one-dimensional float64 array from ``offset`` on."""

    def emit(context, builder, sig, args):
        builder.store(args[2], _lanes_at(context, builder, sig.args[0], *args[:2]), align=8)
        return context.get_dummy_value()

    return types.void(array, types.intp, doubles), emit


def _splat(builder, value):
    """Emit a vector whose lanes all equal a scalar."""
    one = builder.insert_element(ir.Constant(DOUBLES, ir.Undefined), value, WORD(0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(WORD, LANES), [0] * LANES))


@intrinsic
def splat(typing, value):
    """Return a vector whose lanes all equal a scalar."""
    return doubles(types.float64), lambda context, builder, sig, args: _splat(builder, args[0])


def _fma(builder, a, b, c):
    """Emit a b + c, rounded once."""
    kind = ir.FunctionType(DOUBLES, [DOUBLES] * 3)
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{LANES}f64"), [a, b, c])


@intrinsic
def fma(typing, a, b, c):
    """Return a b + c, rounded once."""
    return doubles(doubles, doubles, doubles), lambda context, builder, sig, args: _fma(builder, *args)


def _complex_fma(builder, a_re, a_im, b_re, b_im, c_re, c_im):
    """Emit real and imaginary parts of a b + c."""
    re = _fma(builder, builder.fneg(a_im), b_im, _fma(builder, a_re, b_re, c_re))
    im = _fma(builder, a_im, b_re, _fma(builder, a_re, b_im, c_im))
    return re, im


@intrinsic
def complex_fma(typing, a_re, a_im, b_re, b_im, c_re, c_im):
    """Return real and imaginary parts of a b + c."""

    def emit(context, builder, sig, args):
        return cgutils.pack_array(builder, _complex_fma(builder, *args))

    return types.UniTuple(doubles, 2)(*[doubles] * 6), emit


@intrinsic
def complex_product(typing, a_re, a_im, b_re, b_im):
    """Return real and imaginary parts of a b."""

    def emit(context, builder, sig, args):
        a_re, a_im, b_re, b_im = args
        re = _fma(builder, a_re, b_re, builder.fneg(builder.fmul(a_im, b_im)))
        return cgutils.pack_array(builder, (re, _fma(builder, a_re, b_im, builder.fmul(a_im, b_re))))

    return types.UniTuple(doubles, 2)(*[doubles] * 4), emit


@intrinsic
def polynomial(typing, x, *coefficients):
    """Return c₀ + c₁x + c₂x² + … of scalar coefficients."""

    def emit(context, builder, sig, args):
        coefficients = [_splat(builder, value) for value in cgutils.unpack_tuple(builder, args[1])]
        value = coefficients.pop()
        for coefficient in reversed(coefficients):
            value = _fma(builder, value, args[0], coefficient)
        return value

    return doubles(doubles, types.StarArgTuple(coefficients)), emit


@intrinsic
def total(typing, a):
    """Return the sum of the lanes, in one fixed order."""

    def emit(context, builder, sig, args):
        kind = ir.FunctionType(DOUBLE, [DOUBLE, DOUBLES])
        add = cgutils.get_or_insert_function(builder.module, kind, f"llvm.vector.reduce.fadd.v{LANES}f64")
        return builder.call(add, [DOUBLE(0.0), args[0]], fastmath=("reassoc",))

    return types.float64(doubles), emit


for _operator, _name in ((operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul"), (operator.truediv, "fdiv")):

    @infer_global(_operator)
    class _Typing(ConcreteTemplate):
        cases = [signature(doubles, doubles, doubles)]  # noqa: RUF012

    @lower_builtin(_operator, doubles, doubles)
    def _lower(context, builder, sig, args, name=_name):
        return getattr(builder, name)(*args, flags=("contract",))


@infer_global(operator.neg)
class _Negation(ConcreteTemplate):
    cases = [signature(doubles, doubles)]  # noqa: RUF012


@lower_builtin(operator.neg, doubles)
def _negate(context, builder, sig, args):
    return builder.fneg(args[0])
