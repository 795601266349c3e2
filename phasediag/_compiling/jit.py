"""The one policy under which every kernel is compiled."""

import gc
import operator
from contextlib import contextmanager

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import AbstractTemplate, infer_global
from numba.extending import intrinsic

# What a kernel compiled for them indexes for a tenth of what indexing an array costs numba and LLVM at compile time.
DOUBLES, INTEGERS = types.CPointer(types.float64), types.CPointer(types.int64)

# Numba asks up to a dozen rules for arrays, strings and dates what a product of two numbers is, three times for each one in a
# kernel. Its answers for numbers are remembered, and asked for first: a tenth of the time to compile.
NUMBERS = {types.float64, types.int64}
OPERATORS = "add sub mul truediv iadd isub imul itruediv lt le gt ge eq ne neg".split()


def _remember(function):
    """Register a rule that repeats what numba's other rules answered first."""
    known = {}

    @infer_global(function)
    class _Known(AbstractTemplate):
        metadata = {"target": "cpu"}  # noqa: RUF012  what is of the processor goes before what is general

        def generic(self, args, kws):
            if kws or not NUMBERS.issuperset(args):
                return None
            if args not in known:
                known[args] = None  # when it asks the others, this rule is asked too
                known[args] = self.context.resolve_function_type(function, args, kws)
            return known[args]


for _name in OPERATORS:
    _remember(getattr(operator, _name))


def jit(function=None, *, fastmath=False, inner=False, allocates=None, once=False):
    """Compile a kernel: cached on disk where a cache can be kept, GIL released, IEEE division.

    Kernels take arrays and scalars that the public doors have checked; they validate nothing.
    An ``inner`` kernel is called by other kernels alone (a call from Python would crash): it gets no entry from there. One
    that ``allocates`` nothing (by default the inner ones) counts no references. Both halve the time to compile. What is
    called in one place, ``once``, becomes part of its caller, with its options, and is not compiled apart (its loops may then
    no longer become vector instructions: measure).
    """
    allocates = not inner if allocates is None else allocates
    if function is None:
        return lambda decorated: jit(decorated, fastmath=fastmath, inner=inner, allocates=allocates, once=once)
    options = dict(nogil=True, error_model="numpy", fastmath=fastmath)
    options |= dict(no_cfunc_wrapper=True, no_cpython_wrapper=inner, _nrt=allocates)
    options |= dict(inline="always") if once else {}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # neither the package directory nor a user cache is writable
        return numba.njit(**options)(function)


def elementwise(function, n_arguments):
    """Compile a scalar function of float64 numbers, made at run time, to a universal function; IEEE division."""
    inner = numba.njit(error_model="numpy", nogil=True)(function)
    names = ", ".join(f"x{i}" for i in range(n_arguments))
    outer = {"inner": inner}
    exec(f"def outer({names}): return inner({names})", outer)  # a ufunc needs a fixed number of arguments
    return numba.vectorize([numba.float64(*[numba.float64] * n_arguments)])(outer["outer"])


@contextmanager
def _no_collection():
    """Put off the search for garbage: numba makes millions of objects and keeps them, a fifth of its time went to the search."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def address(function, *arguments):
    """Compile ``function`` for ``arguments`` (examples or their types; nothing is returned), return its address for `call`.

    A compiled function is optimized anew inside every function that calls it by name, whole call trees deep; through its
    address a large kernel is compiled once.
    """
    types_ = tuple(x if isinstance(x, types.Type) else numba.typeof(x) for x in arguments)
    with _no_collection():
        function.compile(types_)
    compiled = function.overloads[types_]
    return compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)


@intrinsic
def call(typing_context, function_address, arguments):
    """Inside a kernel: call the function at an address from `address` with a tuple of arguments.

    Their types must be those of `address` (nothing checks it): contiguous arrays, whole numbers where those were whole.
    """
    argument_types = tuple(types.unliteral(argument) for argument in arguments)

    def code(context, builder, signature, values):
        function_type = context.call_conv.get_function_type(types.none, argument_types)
        pointer = builder.inttoptr(values[0], function_type.as_pointer())
        unpacked = [builder.extract_value(values[1], i) for i in range(len(argument_types))]
        status, _ = context.call_conv.call_function(builder, pointer, types.none, argument_types, unpacked)
        with cgutils.if_unlikely(builder, status.is_error):
            context.call_conv.return_status_propagate(builder, status)
        return context.get_dummy_value()

    return types.none(types.int64, types.Tuple(argument_types)), code


@intrinsic
def pointer(typing_context, array):
    """Inside a kernel: a C pointer to the first entry of a contiguous array."""

    def code(context, builder, signature, values):
        return context.make_array(signature.args[0])(context, builder, values[0]).data

    return types.CPointer(array.dtype)(array), code


@intrinsic
def offset(typing_context, start, count):
    """Inside a kernel: a C pointer some entries further on."""
    return start(start, types.int64), lambda context, builder, signature, values: builder.gep(values[0], [values[1]])


@intrinsic(prefer_literal=True)
def zeros(typing_context, count):
    """Inside a kernel: a C pointer to as many zeros, which live in registers where the indices are constants."""

    def code(context, builder, signature, values):
        number = ir.IntType(32)
        made = cgutils.alloca_once(builder, ir.ArrayType(ir.DoubleType(), count.literal_value))
        for i in range(count.literal_value):
            builder.store(ir.DoubleType()(0.0), builder.gep(made, [number(0), number(i)]))
        return builder.gep(made, [number(0), number(0)])

    return DOUBLES(count), code
