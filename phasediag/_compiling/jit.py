"""How every kernel is compiled, kept on disk, and called by others: `jit`, pointers, addresses."""

import hashlib
import os
import re
from functools import cache
from importlib.util import resolve_name

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import caching, cgutils
from numba.core.compiler_lock import global_compiler_lock
from numba.core.errors import TypingError
from numba.extending import intrinsic

from .policy import DOUBLES, INTEGERS, PartPolicy, Policy

if numba.config.DISABLE_JIT:
    raise ImportError("kernels call each other by addresses of machine code: unset NUMBA_DISABLE_JIT")


def jit(function=None, *, inner=False, allocates=None, once=False):
    """Compile a kernel: cached on disk where a cache can be kept, GIL released, IEEE division.

    Kernels take arrays and scalars that the public doors have checked; they validate nothing.
    An ``inner`` kernel is called by other kernels alone (a call from Python would crash): it gets no entry from there, and
    machine code only as part of what calls it, or for its `address`. One that ``allocates`` nothing (by default the inner ones)
    counts no references. Both halve the time to compile. What is called in one place, ``once``, becomes part of its caller, with
    its options, and is not compiled apart (its loops may then no longer become vector instructions: measure).
    """
    allocates = not inner if allocates is None else allocates
    if function is None:
        return lambda decorated: jit(decorated, inner=inner, allocates=allocates, once=once)
    options = dict(nogil=True, error_model="numpy", pipeline_class=PartPolicy if inner else Policy)
    options |= dict(no_cfunc_wrapper=True, no_cpython_wrapper=inner, _nrt=allocates)
    options |= dict(inline="always") if once else {}
    kernel = numba.njit(**options)(function)
    if not inner:
        keep(kernel, function)
    return kernel


def keep(compiled, function):
    """Cache on disk what ``function`` is compiled to, where a cache can be kept, until a text that it is made of changes.

    By itself numba compiles a kernel anew when the kernel's own file has changed; but the functions and numbers that become
    part of it may live in other files. And it keeps what it compiled in the package's own folder, which then outlives
    ``pip uninstall`` and hides an editable install: here the user's cache comes first. Where numba's cache is not as known
    here, it works as numba made it.
    """
    places = getattr(caching.CacheImpl, "_locator_classes", [])
    try:
        caching.CacheImpl._locator_classes = sorted(places, key=lambda place: "InTree" in place.__name__)
        compiled.enable_caching()
    except RuntimeError:  # neither the package directory nor a user cache is writable
        return
    finally:
        caching.CacheImpl._locator_classes = places
    file = getattr(getattr(compiled, "_cache", None), "_cache_file", None)
    if hasattr(file, "_source_stamp"):
        file._source_stamp = _stamp(function.__module__) or file._source_stamp


@cache
def _source(module):
    """Return the text of a module of this package, in a folder or a zip; None where there is none."""
    package, *path = module.split(".")
    try:
        if package != __name__.split(".")[0]:
            return None
        return __loader__.get_data(os.path.join(os.path.dirname(os.path.dirname(__file__)), *path) + ".py").decode()
    except OSError:
        return None


@cache
def _imported(module):
    """Return which modules of this package the text of one imports."""
    found = set()
    for start, names in re.findall(r"^from (\.[\w.]*) import (\([^)]*\)|.*)", _source(module), re.MULTILINE):
        start = resolve_name(start, module.rpartition(".")[0])
        found |= {start} if _source(start) else {f"{start}.{name}" for name in re.findall(r"\w+", names)}
    return {name for name in found if _source(name)}


@cache
def _stamp(module):
    """Return a digest of a module's text and of all that it imports from this package, directly or not; None without texts."""
    known, new = set(), {module} if _source(module) else set()
    while new:
        known |= new
        new = set().union(*map(_imported, new)) - known
    return hashlib.sha256("\0".join(map(_source, sorted(known))).encode()).digest() if known else None


def viewer(kind):
    """Return what kernels call for a value of a pointer's ``kind`` that points to an address."""

    @intrinsic
    def view(typing_context, place):
        """The address as a pointer of this kind."""
        return kind(types.int64), lambda context, builder, signature, values: builder.inttoptr(
            values[0], context.get_value_type(kind)
        )

    return view


doubles, integers = viewer(DOUBLES), viewer(INTEGERS)


def elementwise(function, n_arguments):
    """Compile a scalar function of float64 numbers, made at run time, to a universal function; IEEE division."""
    inner = numba.njit(error_model="numpy", nogil=True)(function)
    names = ", ".join(f"x{i}" for i in range(n_arguments))
    outer = {"inner": inner}
    exec(f"def outer({names}): return inner({names})", outer)  # a ufunc needs a fixed number of arguments
    return numba.vectorize([numba.float64(*[numba.float64] * n_arguments)])(outer["outer"])


def address(function, *arguments):
    """Compile ``function`` for ``arguments`` (examples or their types; nothing is returned), return its address for `call`.

    A compiled function is optimized anew inside every function that calls it by name, whole call trees deep; through its
    address a large kernel is compiled once.
    """
    types_ = tuple(x if isinstance(x, types.Type) else numba.typeof(x) for x in arguments)
    with global_compiler_lock:
        if function._compiler.pipeline_class is PartPolicy:
            function._compiler.pipeline_class = Policy
            function.overloads.clear()
            keep(function, function.py_func)
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
        """Write the call, and leave where it failed."""
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
    if array.layout != "C":
        raise TypingError(f"a pointer reaches the entries of contiguous arrays alone, got {array}")

    def code(context, builder, signature, values):
        """Write where the array's entries begin."""
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
        """Write the zeros, and return where they begin."""
        number = ir.IntType(32)
        made = cgutils.alloca_once(builder, ir.ArrayType(ir.DoubleType(), count.literal_value))
        for i in range(count.literal_value):
            builder.store(ir.DoubleType()(0.0), builder.gep(made, [number(0), number(i)]))
        return builder.gep(made, [number(0), number(0)])

    return DOUBLES(count), code


def addresses(*entries):
    """The addresses of arrays, whole numbers as they are: an int64 array, from which kernels take them by `doubles`."""
    return np.array([x if isinstance(x, int) else x.ctypes.data for x in entries], np.int64)
