"""A vector of sixteen float32 lanes as a value inside kernels.

The training kernels keep sixteen models (or sixteen samples) side by side. Leaving that to the compiler's automatic
vectorization is fragile, so the lanes are a type of their own: kernels load, combine and store whole vectors, and LLVM
maps them to one 512-bit register, two 256-bit ones or four 128-bit ones. No operation is reassociated: the same bits on
every run.
"""

import operator

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

LANES = 16
FLOAT, WORD = ir.FloatType(), ir.IntType(32)
FLOATS, WORDS = ir.VectorType(FLOAT, LANES), ir.VectorType(WORD, LANES)


class VectorType(types.Type):
    """Numba's name for sixteen float32 lanes."""

    def __init__(self):
        super().__init__(name=f"float32x{LANES}")


vector = VectorType()


@register_model(VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, FLOATS)


def pointer(context, builder, kind, array, offset=None, to=FLOATS):
    """Emit the address of entry ``offset`` of a one-dimensional array, as a pointer to ``to``."""
    data = context.make_array(kind)(context, builder, array).data
    if offset is not None:
        data = builder.gep(data, [offset])
    return builder.bitcast(data, to.as_pointer())


def splat_ir(builder, value, to=FLOATS):
    """Emit a vector whose lanes all hold the scalar ``value``."""
    one = builder.insert_element(ir.Constant(to, ir.Undefined), value, ir.Constant(WORD, 0))
    return builder.shuffle_vector(one, one, ir.Constant(WORDS, [0] * LANES))


def constant(value, to=FLOATS):
    """Return a vector constant with equal lanes."""
    return ir.Constant(to, [value] * LANES)


def call_ir(builder, name, *args):
    """Emit a call of an LLVM intrinsic on vectors of float32."""
    kind = ir.FunctionType(FLOATS, [arg.type for arg in args])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.v{LANES}f32"), args)


@intrinsic
def load(typing, array, offset):
    """Return the sixteen entries of a float32 array from ``offset`` on."""

    def emit(context, builder, sig, args):
        return builder.load(pointer(context, builder, sig.args[0], *args), align=4)

    return vector(array, types.intp), emit


@intrinsic
def store(typing, array, offset, value):
    """Write a vector to a float32 array from ``offset`` on."""

    def emit(context, builder, sig, args):
        builder.store(args[2], pointer(context, builder, sig.args[0], args[0], args[1]), align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), emit


@intrinsic
def splat(typing, value):
    """Return a vector whose lanes all equal a scalar."""
    return vector(types.float32), lambda context, builder, sig, args: splat_ir(builder, args[0])


@intrinsic
def fma(typing, a, b, c):
    """Return a b + c, rounded once."""
    return vector(vector, vector, vector), lambda context, builder, sig, args: call_ir(builder, "fma", *args)


@intrinsic
def square_root(typing, a):
    """Return the square root of each lane."""
    return vector(vector), lambda context, builder, sig, args: call_ir(builder, "sqrt", *args)


@intrinsic
def total(typing, a):
    """Return the sum of the lanes, in one fixed order."""

    def emit(context, builder, sig, args):
        kind = ir.FunctionType(FLOAT, [FLOAT, FLOATS])
        add = cgutils.get_or_insert_function(builder.module, kind, f"llvm.vector.reduce.fadd.v{LANES}f32")
        return builder.call(add, [FLOAT(0.0), args[0]], fastmath=("reassoc",))

    return types.float32(vector), emit


@intrinsic
def where_positive(typing, a, b):
    """Return ``b`` in the lanes where ``a`` is positive, 0 elsewhere."""

    def emit(context, builder, sig, args):
        return builder.select(builder.fcmp_ordered(">", args[0], constant(0.0)), args[1], constant(0.0))

    return vector(vector, vector), emit


for _operator, _name in ((operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul"), (operator.truediv, "fdiv")):

    @infer_global(_operator)
    class _Typing(ConcreteTemplate):
        cases = [signature(vector, vector, vector)]  # noqa: RUF012

    @lower_builtin(_operator, vector, vector)
    def _lower(context, builder, sig, args, name=_name):
        return getattr(builder, name)(*args)
