"""A vector of sixteen float32 lanes as a value inside kernels, and the emission of code on such vectors.

The training kernels keep sixteen models (or samples, or features) side by side. Leaving that to the compiler's automatic
vectorization is fragile, so the lanes are a type of their own: kernels load, combine and store whole vectors, and LLVM
maps them to one 512-bit register, two 256-bit ones or four 128-bit ones. No operation is reassociated: the same bits on
every run.
"""

import operator
from contextlib import contextmanager
from functools import cached_property, update_wrapper
from inspect import Signature

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.ccallback import CFunc
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

from .jit import keep, viewer
from .policy import Policy

LANES = 16
NUMBER, VECTOR = 4, 4 * LANES  # bytes of a float32 or a word, and of sixteen
FLOAT, WORD, LONG = ir.FloatType(), ir.IntType(32), ir.IntType(64)
FLOATS, WORDS, FLAGS = (ir.VectorType(kind, LANES) for kind in (FLOAT, WORD, ir.IntType(1)))
floats, words = viewer(types.CPointer(types.float32)), viewer(types.CPointer(types.uint32))


def aligned(size, dtype=np.float32):
    """Return a zero array that starts on a cache line, as whole vectors should."""
    n_bytes = size * np.dtype(dtype).itemsize
    raw = np.zeros(n_bytes + 64, np.uint8)
    start = -raw.__array_interface__["data"][0] % 64
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


class Builder(ir.IRBuilder):
    """What emits the code of kernels: LLVM's builder, with vectors of sixteen numbers or words, and loops.

    Addresses are pointers to single entries; offsets count entries and are known numbers or values of 64 bits.
    """

    def __init__(self, context, builder):
        """Go on where numba's own builder stands."""
        super().__init__(builder.block)
        self.context = context

    def at(self, address, *offsets):
        """Emit an address some entries further on."""
        for offset in offsets:
            address = self.gep(address, [LONG(offset) if isinstance(offset, int) else offset])
        return address

    def entry(self, address, *offsets):
        """Emit the load of one entry."""
        return self.load(self.at(address, *offsets))

    def row(self, address, *offsets):
        """Emit the load of the vector that begins at an address."""
        address = self.at(address, *offsets)
        return self.load(self.bitcast(address, ir.VectorType(address.type.pointee, LANES).as_pointer()), align=4)

    def put(self, value, address, *offsets):
        """Emit the store of a vector to the address where it begins."""
        self.store(value, self.bitcast(self.at(address, *offsets), value.type.as_pointer()), align=4)

    def splat(self, value, count=LANES):
        """Emit a vector whose lanes all hold a scalar."""
        one = self.insert_element(ir.Constant(ir.VectorType(value.type, count), ir.Undefined), value, WORD(0))
        return self.shuffle_vector(one, one, constant(0, ir.VectorType(WORD, count)))

    def spread(self, address, *offsets):
        """Emit a vector whose lanes all hold the entry at an address."""
        return self.splat(self.entry(address, *offsets))

    def apply(self, name, *vectors, to=None):
        """Emit a call of an LLVM intrinsic on vectors, by default one that returns a vector."""
        kind, given = vectors[0].type, ir.FunctionType(to or vectors[0].type, [one.type for one in vectors])
        name = f"llvm.{name}.v{kind.count}{kind.element.intrinsic_name}"
        return self.call(cgutils.get_or_insert_function(self.module, given, name), vectors)

    def fma(self, a, b, c):
        """Emit a b + c, rounded once."""
        return self.apply("fma", a, b, c)

    def total(self, value):
        """Emit the sum of the lanes, in one fixed order."""
        kind, number = value.type, value.type.element
        name = f"llvm.vector.reduce.fadd.v{kind.count}{number.intrinsic_name}"
        add = cgutils.get_or_insert_function(self.module, ir.FunctionType(number, [number, kind]), name)
        return self.call(add, [number(0.0), value], fastmath=("reassoc",))

    def where(self, a, relation, b, then=None, otherwise=None):
        """Emit ``then`` in the lanes where a relation of real vectors holds, else ``otherwise``: by default a and b."""
        return self.select(self.fcmp_ordered(relation, a, b), then or a, otherwise or b)

    def lookup(self, table, places):
        """Emit the vector whose lanes hold those lanes of ``table`` that a vector of words names."""
        features = self.context.codegen().magic_tuple()[2].split(",")  # of the processor
        if "+avx512f" in features:
            kind = ir.FunctionType(FLOATS, [FLOATS, WORDS])
            permute = cgutils.get_or_insert_function(self.module, kind, "llvm.x86.avx512.permvar.sf.512")
            return self.call(permute, [table, places])
        if "+avx2" in features:  # halves of the table, for halves of the lanes
            half, half_words = ir.VectorType(FLOAT, LANES // 2), ir.VectorType(WORD, LANES // 2)
            kind = ir.FunctionType(half, [half, half_words])
            permute = cgutils.get_or_insert_function(self.module, kind, "llvm.x86.avx2.permps")
            low, high = (ir.Constant(half_words, list(range(start, start + LANES // 2))) for start in (0, LANES // 2))
            found = []
            for lanes in (low, high):
                index = self.shuffle_vector(places, places, lanes)
                pair = [self.call(permute, [self.shuffle_vector(table, table, part), index]) for part in (low, high)]
                upper = self.icmp_signed(">=", index, ir.Constant(half_words, [LANES // 2] * (LANES // 2)))
                found.append(self.select(upper, pair[1], pair[0]))
            return self.shuffle_vector(*found, ir.Constant(WORDS, list(range(LANES))))
        found = ir.Constant(FLOATS, ir.Undefined)
        for lane in range(LANES):
            value = self.extract_element(table, self.extract_element(places, WORD(lane)))
            found = self.insert_element(found, value, WORD(lane))
        return found

    def variables(self, values):
        """Emit variables that start with the given vectors; the compiler keeps them in registers."""
        made = [cgutils.alloca_once(self, value.type) for value in values]
        for variable, value in zip(made, values, strict=True):
            self.store(value, variable)
        return made

    @contextmanager
    def held(self, *rows):
        """Give variables that start with the vectors at rows of addresses and are written back there in the end."""
        made = [self.variables([self.row(place) for place in row]) for row in rows]
        yield made
        for own, row in zip(made, rows, strict=True):
            for variable, place in zip(own, row, strict=True):
                self.put(self.load(variable), place)

    @contextmanager
    def range(self, stop, start=None):
        """Emit a loop over whole numbers, which it gives."""
        with cgutils.for_range(self, stop, start) as loop:
            yield loop.index

    def choose(self, value, cases, emit):
        """Emit ``emit(case)`` for whichever case ``value`` equals."""
        done = self.append_basic_block("done")
        choice = self.switch(value, done)
        for case in cases:
            block = self.append_basic_block("case")
            choice.add_case(value.type(case), block)
            self.position_at_end(block)
            emit(case)
            self.branch(done)
        self.position_at_end(done)


def constant(value, to=FLOATS):
    """Return a number as a constant, by default of a vector type: then with equal lanes."""
    return ir.Constant(to, [value] * to.count if isinstance(to, ir.VectorType) else value)


def emitted(result=types.void, known=0):
    """Make what kernels call of a function that emits its code, and returns the value of type ``result`` if there is one.

    The function takes a `Builder`, the values of the first ``known`` arguments, which kernels give as constants, and LLVM's
    values of the others.
    """

    def decorate(function):
        """The intrinsic whose code a function writes."""

        def typed(typing, *kinds):
            """The type of what it returns, and what writes its code."""

            def emit(context, builder, sig, args):
                """Write the code where a kernel calls it."""
                own = Builder(context, builder)
                value = function(own, *(kind.literal_value for kind in sig.args[:known]), *args[known:])
                builder.position_at_end(own.block)
                return context.get_dummy_value() if value is None else value

            return result(*kinds), emit

        typed.__signature__ = Signature.from_callable(function)
        return intrinsic(prefer_literal=known > 0)(update_wrapper(typed, function))

    return decorate


# What kernels call.


@emitted(vector)
def load(b, array, offset):
    """Return the sixteen entries from ``offset`` on, by a C pointer."""
    return b.row(array, offset)


@emitted()
def store(b, array, offset, value):
    """Write a vector to the sixteen entries from ``offset`` on, by a C pointer."""
    b.put(value, array, offset)


@emitted()
def clear(b, array, n_numbers):
    """Write zeros to entries of 32 bits from a C pointer on, a multiple of sixteen."""
    with b.range(b.lshr(n_numbers, LONG(4))) as v:
        b.put(constant(0.0), array, b.mul(v, LONG(LANES)))


@emitted()
def scale(b, array, n_numbers, factor):
    """Multiply numbers from a C pointer on, a multiple of sixteen, by a float32."""
    factor = b.splat(factor)
    with b.range(b.lshr(n_numbers, LONG(4))) as v:
        place = b.mul(v, LONG(LANES))
        b.put(b.fmul(b.row(array, place), factor), array, place)


@emitted(vector)
def splat(b, value):
    """Return a vector whose lanes all equal a float32."""
    return b.splat(value)


@emitted(vector)
def fma(b, x, y, z):
    """Return x y + z, rounded once."""
    return b.fma(x, y, z)


@emitted(vector)
def where_positive(b, x, y):
    """Return ``y`` in the lanes where ``x`` is positive, 0 elsewhere."""
    return b.where(x, ">", constant(0.0), y)


@emitted(types.float32)
def total(b, x):
    """Return the sum of the lanes, in one fixed order."""
    return b.total(x)


for _operator, _name in ((operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul"), (operator.truediv, "fdiv")):

    @infer_global(_operator)
    class _Typing(ConcreteTemplate):
        """What an operator makes of two vectors."""

        cases = [signature(vector, vector, vector)]  # noqa: RUF012

    @lower_builtin(_operator, vector, vector)
    def _lower(context, builder, sig, args, name=_name):
        """Emit the instruction of an operator on two vectors."""
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
def invoke(typing, routine, *args):
    """Call a compiled `routine` at an address; pointers are passed as addresses.

    With seven arrays that is a tenth of the time of a `jit.call`, which passes their shapes as well.
    """

    def emit(context, builder, sig, values):
        """Write the code where a kernel calls it."""
        items = cgutils.unpack_tuple(builder, values[1])
        kind = ir.FunctionType(ir.VoidType(), [item.type for item in items])
        builder.call(builder.inttoptr(values[0], kind.as_pointer()), items)
        return context.get_dummy_value()

    return types.void(routine, types.StarArgTuple(args)), emit
