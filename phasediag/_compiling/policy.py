"""The one policy under which every kernel is compiled: what of numba and LLVM is left out, and what is said more briefly.

What the policy changes about numba holds while a kernel of this package is compiled, and then alone: other code in the process
is compiled as ever. Meanwhile the process looks for no cyclic garbage; nothing else of it is touched.
"""

import gc
import operator

from numba import types
from numba.core import cgutils, codegen, ir, typed_passes, untyped_passes
from numba.core.compiler import CompilerBase
from numba.core.compiler_machinery import FunctionPass, PassManager, register_pass
from numba.core.imputils import RefType, iternext_impl
from numba.core.typing.templates import AbstractTemplate, infer_global
from numba.extending import intrinsic, lower_builtin, models, register_model

from . import listeners

# What a kernel compiled for them indexes for a tenth of what indexing an array costs numba and LLVM at compile time.
DOUBLES, INTEGERS = types.CPointer(types.float64), types.CPointer(types.int64)

# Numba asks up to a dozen rules for arrays, strings and dates what a product of two numbers is, three times for each one in a
# kernel. Its answers for numbers and pointers are remembered, and asked for first: a tenth of the time to compile.
KINDS = {types.float64, types.int64, types.boolean, DOUBLES, INTEGERS}
OPERATORS = [
    getattr(operator, name)
    for name in "add sub mul truediv iadd isub imul itruediv lt le gt ge eq ne neg getitem setitem".split()
]


class Counter(types.SimpleIteratorType):
    """Numba's name for the whole numbers from one to another."""

    def __init__(self):
        """One type for all."""
        super().__init__("Counter", types.int64)


COUNTER = Counter()


@register_model(Counter)
class _CounterModel(models.StructModel):
    """Where the next number stands, and the first number that is not counted."""

    def __init__(self, manager, kind):
        """Two members."""
        super().__init__(manager, kind, [("place", types.EphemeralPointer(types.int64)), ("stop", types.int64)])


def _counter(context, builder, start, stop):
    """Write a counter of the numbers from ``start`` on, below ``stop``."""
    made = cgutils.create_struct_proxy(COUNTER)(context, builder)
    made.place, made.stop = cgutils.alloca_once_value(builder, start), stop
    return made._getvalue()


@intrinsic
def _count(typing_context, stop):
    """``range(stop)``."""
    return COUNTER(types.int64), lambda context, builder, signature, values: _counter(
        context, builder, context.get_constant(types.int64, 0), values[0]
    )


@intrinsic
def _count_from(typing_context, start, stop):
    """``range(start, stop)``."""
    return COUNTER(types.int64, types.int64), lambda context, builder, signature, values: _counter(context, builder, *values)


@lower_builtin("iternext", Counter)
@iternext_impl(RefType.UNTRACKED)
def _next(context, builder, signature, values, result):
    """Write the step to the next number."""
    counter = cgutils.create_struct_proxy(COUNTER)(context, builder, values[0])
    number = builder.load(counter.place)
    valid = builder.icmp_signed("<", number, counter.stop)
    result.set_valid(valid)
    result.yield_(number)
    builder.store(builder.add(number, number.type(1)), counter.place)


@register_pass(mutates_CFG=False, analysis_only=False)
class Counting(FunctionPass):
    """Whole numbers are counted by `Counter`: numba's own range works out how many there are, in eight blocks for each loop."""

    _name = "counting"

    def __init__(self):
        """Nothing to prepare; numba asks for it."""
        super().__init__()

    def run_pass(self, state):
        """Exchange the callee of each call of ``range`` without a step."""
        for block in state.func_ir.blocks.values():
            ranges = {}
            for assign in block.find_insts(ir.Assign):
                value = assign.value
                if isinstance(value, ir.Global) and value.value is range:
                    ranges[assign.target.name] = value
                elif isinstance(value, ir.Expr) and value.op == "call" and value.func.name in ranges and len(value.args) < 3:
                    called = ranges[value.func.name]
                    called.name, called.value = ("_count", _count) if len(value.args) == 1 else ("_count_from", _count_from)
        return True


class Library(codegen.JITCodeLibrary):
    """What LLVM makes of a kernel: it simplifies the whole at once, where numba has it simplify each function before that too."""

    def _optimize_functions(self, module):
        """Leave the functions of a module as they are written."""
        module.data_layout = self._codegen._data_layout


@register_pass(mutates_CFG=True, analysis_only=False)
class Lowering(typed_passes.NativeLowering):
    """Numba's, into a `Library`."""

    _name = "lowering"

    def run_pass(self, state):
        """Write the kernel for LLVM."""
        state.library = Library(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.enable_object_caching()
        return super().run_pass(state)


# Numba's passes over the text of a kernel. Those left out serve closures, array expressions, arguments None, lists and loops over
# unlike things: kernels have none, and with the next two a quarter of the time to compile went to them.
PASSES = (
    untyped_passes.TranslateByteCode,
    untyped_passes.FixupArgs,
    untyped_passes.GenericRewrites,
    untyped_passes.InlineInlinables,
    Counting,
    untyped_passes.ReconstructSSA,
    typed_passes.NopythonTypeInference,
    typed_passes.PreLowerStripPhis,
    typed_passes.NoPythonSupportedFeatureValidation,
    typed_passes.IRLegalization,
    typed_passes.AnnotateTypes,
    Lowering,
    typed_passes.NoPythonBackend,
)
# Needed only where a variable changes its type: numba tries without them first.
RETYPING = {untyped_passes.ReconstructSSA, typed_passes.PreLowerStripPhis}
# Needed only where references are counted: it writes where the life of each variable ends.
COUNTING_REFERENCES = {typed_passes.IRLegalization}


class Policy(CompilerBase):
    """Numba's compiler, for the kernels of this package."""

    working = False  # numba compiles under one lock, so that what is asked meanwhile is asked for our kernels

    def define_pipelines(self):
        """The passes over a kernel; numba goes on to the next list where one fails."""
        managers, idle = [], set() if self.state.flags.nrt else COUNTING_REFERENCES
        for left_out in (RETYPING | idle, idle):
            managers.append(PassManager("kernels"))
            for one in PASSES:
                if one not in left_out:
                    managers[-1].add_pass(one, one.__name__)
            managers[-1].finalize()
        return managers

    def compile_extra(self, func):
        """Compile; numba makes millions of objects and keeps them, a fifth of its time went to the search for garbage."""
        outer, collecting, Policy.working = Policy.working, gc.isenabled(), True
        gc.disable()
        told = () if outer else tuple(listeners)
        try:
            for listener in told:
                listener(True)
            return super().compile_extra(func)._replace(typing_error=None)  # of the list that failed, if one did
        finally:
            for listener in told:
                listener(False)
            Policy.working = outer
            if collecting:
                gc.enable()


def _remember(function):
    """Register a rule that repeats to our kernels what numba's other rules answered first."""
    known = {}

    @infer_global(function)
    class _Known(AbstractTemplate):
        metadata = {"target": "cpu"}  # noqa: RUF012  what is of the processor goes before what is general

        def generic(self, args, kws):
            """The signature of the operator for these types, None for others to answer."""
            if not Policy.working or kws or not KINDS.issuperset(args):
                return None
            if args not in known:
                known[args] = None  # when it asks the others, this rule is asked too
                known[args] = self.context.resolve_function_type(function, args, kws)
            return known[args]


for _function in (*OPERATORS, bool):
    _remember(_function)
