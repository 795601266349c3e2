"""A vector of sixteen float32 lanes as a value inside kernels, and the emission of code on such vectors.

The training kernels keep sixteen models (or samples, or features) side by side. Leaving that to the compiler's automatic
vectorization is fragile, so the lanes are a type of their own: kernels load, combine and store whole vectors, and LLVM
maps them to one 512-bit register, two 256-bit ones or four 128-bit ones. No operation is reassociated: the same bits on
every run.
"""

import operator
from contextlib import contextmanager
from functools import cached_property

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.ccallback import CFunc
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

from .jit import Policy, keep

LANES = 16
NUMBER, VECTOR = 4, 4 * LANES  # bytes of a float32 or a word, and of sixteen
FLOAT, WORD, LONG = ir.FloatType(), ir.IntType(32), ir.IntType(64)
FLOATS, WORDS, FLAGS = (ir.VectorType(kind, LANES) for kind in (FLOAT, WORD, ir.IntType(1)))


def aligned(size, dtype=np.float32):
    """Return a zero array that starts on a cache line, as whole vectors should."""
    n_bytes = size * np.dtype(dtype).itemsize
    raw = np.zeros(n_bytes + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + n_bytes].view(dtype)


class VectorType(types.Type):
    """Numba's name for sixteen float32 lanes."""

    def __init__(self):
        super().__init__(name=f"float32x{LANES}")


vector = VectorType()


@register_model(VectorType)
class _VectorModel(models.PrimitiveModel):
    """How numba holds the lanes: as an LLVM vector."""

    def __init__(self, manager, kind):
        super().__init__(manager, kind, FLOATS)


# Emission: what the bodies of intrinsics are written with.


def pointer(context, builder, kind, array, offset=None, to=FLOAT):
    """Emit the address of entry ``offset`` of a one-dimensional array or C pointer, as a pointer to ``to``."""
    data = array if isinstance(kind, types.CPointer) else context.make_array(kind)(context, builder, array).data
    if offset is not None:
        data = builder.gep(data, [offset])
    return builder.bitcast(data, to.as_pointer())


def at(builder, address, *offsets):
    """Emit an address some entries further on."""
    for offset in offsets:
        address = builder.gep(address, [offset])
    return address


def load_ir(builder, address):
    """Emit the load of a vector from the address of its first lane."""
    return builder.load(builder.bitcast(address, FLOATS.as_pointer()), align=4)


def store_ir(builder, value, address):
    """Emit the store of a vector to the address of its first lane."""
    builder.store(value, builder.bitcast(address, FLOATS.as_pointer()), align=4)


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


def call_words_ir(builder, name, words, to=WORDS):
    """Emit a call of an LLVM intrinsic on a vector of words."""
    kind = ir.FunctionType(to, [WORDS])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.v{LANES}i32"), [words])


def lookup_ir(context, builder, table, places):
    """Emit the vector whose lanes hold those lanes of ``table`` that a vector of words names."""
    features = context.codegen().magic_tuple()[2].split(",")
    if "+avx512f" in features:
        kind = ir.FunctionType(FLOATS, [FLOATS, WORDS])
        permute = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.avx512.permvar.sf.512")
        return builder.call(permute, [table, places])
    if "+avx2" in features:  # halves of the table, for halves of the lanes
        half, half_words = ir.VectorType(FLOAT, LANES // 2), ir.VectorType(WORD, LANES // 2)
        permute = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(half, [half, half_words]), "llvm.x86.avx2.permps"
        )
        low, high = (ir.Constant(half_words, list(range(start, start + LANES // 2))) for start in (0, LANES // 2))
        found = []
        for lanes in (low, high):
            index = builder.shuffle_vector(places, places, lanes)
            pair = [builder.call(permute, [builder.shuffle_vector(table, table, part), index]) for part in (low, high)]
            upper = builder.icmp_signed(">=", index, ir.Constant(half_words, [LANES // 2] * (LANES // 2)))
            found.append(builder.select(upper, pair[1], pair[0]))
        return builder.shuffle_vector(*found, ir.Constant(WORDS, list(range(LANES))))
    found = ir.Constant(FLOATS, ir.Undefined)
    for lane in range(LANES):
        value = builder.extract_element(table, builder.extract_element(places, WORD(lane)))
        found = builder.insert_element(found, value, WORD(lane))
    return found


def variables(builder, values):
    """Emit variables that start with the given vectors; the compiler keeps them in registers."""
    made = [cgutils.alloca_once(builder, value.type) for value in values]
    for variable, value in zip(made, values, strict=True):
        builder.store(value, variable)
    return made


@contextmanager
def held(builder, *rows, to=FLOATS):
    """Give variables that start with the vectors at rows of addresses and are written back there in the end."""
    rows = [[builder.bitcast(place, to.as_pointer()) for place in row] for row in rows]
    made = [variables(builder, [builder.load(place, align=4) for place in row]) for row in rows]
    yield made
    for own, row in zip(made, rows, strict=True):
        for variable, place in zip(own, row, strict=True):
            builder.store(builder.load(variable), place, align=4)


def switch(builder, value, cases, emit):
    """Emit ``emit(case)`` for whichever case ``value`` equals."""
    done = builder.append_basic_block("done")
    choice = builder.switch(value, done)
    for case in cases:
        block = builder.append_basic_block("case")
        choice.add_case(value.type(case), block)
        builder.position_at_end(block)
        emit(case)
        builder.branch(done)
    builder.position_at_end(done)


# Intrinsics: what kernels call.


@intrinsic
def load(typing, array, offset):
    """Return the sixteen entries of a float32 array from ``offset`` on."""

    def emit(context, builder, sig, args):
        return load_ir(builder, pointer(context, builder, sig.args[0], *args))

    return vector(array, types.intp), emit


@intrinsic
def store(typing, array, offset, value):
    """Write a vector to a float32 array from ``offset`` on."""

    def emit(context, builder, sig, args):
        store_ir(builder, args[2], pointer(context, builder, sig.args[0], args[0], args[1]))
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
def where_positive(typing, a, b):
    """Return ``b`` in the lanes where ``a`` is positive, 0 elsewhere."""

    def emit(context, builder, sig, args):
        return builder.select(builder.fcmp_ordered(">", args[0], constant(0.0)), args[1], constant(0.0))

    return vector(vector, vector), emit


@intrinsic
def total(typing, a):
    """Return the sum of the lanes, in one fixed order."""

    def emit(context, builder, sig, args):
        kind = ir.FunctionType(FLOAT, [FLOAT, FLOATS])
        add = cgutils.get_or_insert_function(builder.module, kind, f"llvm.vector.reduce.fadd.v{LANES}f32")
        return builder.call(add, [FLOAT(0.0), args[0]], fastmath=("reassoc",))

    return types.float32(vector), emit


for _operator, _name in ((operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul"), (operator.truediv, "fdiv")):

    @infer_global(_operator)
    class _Typing(ConcreteTemplate):
        cases = [signature(vector, vector, vector)]  # noqa: RUF012

    @lower_builtin(_operator, vector, vector)
    def _lower(context, builder, sig, args, name=_name):
        return getattr(builder, name)(*args)


class Routine:
    """A function compiled by itself when it is first asked for its ``address``, or called; see `routine`."""

    def __init__(self, function, kinds):
        """Take a function and the kinds of its arguments."""
        self.function, self.kinds = function, kinds

    @cached_property
    def compiled(self):
        """The compiled function, cached on disk."""
        usual = {"f": types.CPointer(types.float32), "i": types.CPointer(types.int64), "n": types.int64, "s": types.float32}
        signature = tuple(usual[kind] for kind in self.kinds), types.void
        made = CFunc(self.function, signature, locals={}, options={"error_model": "numpy"}, pipeline_class=Policy)
        keep(made, self.function)
        made.compile()
        return made

    @property
    def address(self):
        """What `invoke` takes."""
        return self.compiled.address

    def __call__(self, *numbers):
        """Call the routine from Python, without the interpreter's lock."""
        self.compiled.ctypes(*numbers)


def routine(kinds):
    """Compile a function by itself, for arguments of the given kinds, to be called by `invoke`.

    Kinds are "f" and "i" for pointers to float32 and int64, "n" for an int64 and "s" for a float32. Routines take no part in
    numba's reference counting and are compiled once, whoever calls them.
    """
    return lambda function: Routine(function, kinds)


@intrinsic
def floats(typing, place):
    """Return a C pointer to the float32 numbers at an address."""
    kind = types.CPointer(types.float32)
    return kind(types.int64), lambda context, builder, sig, args: builder.inttoptr(args[0], context.get_value_type(kind))


@intrinsic
def words(typing, place):
    """Return a C pointer to the uint32 numbers at an address."""
    kind = types.CPointer(types.uint32)
    return kind(types.int64), lambda context, builder, sig, args: builder.inttoptr(args[0], context.get_value_type(kind))


@intrinsic
def invoke(typing, routine, *args):
    """Call a compiled `routine` at an address; pointers are passed as addresses.

    With seven arrays that is a tenth of the time of a `jit.call`, which passes their shapes as well.
    """

    def emit(context, builder, sig, values):
        items = cgutils.unpack_tuple(builder, values[1])
        kind = ir.FunctionType(ir.VoidType(), [item.type for item in items])
        builder.call(builder.inttoptr(values[0], kind.as_pointer()), items)
        return context.get_dummy_value()

    return types.void(routine, types.StarArgTuple(args)), emit
