"""The one policy under which every kernel is compiled: what of numba and LLVM is left out, and what is said more briefly.

What the policy changes about numba holds while a kernel of this package is compiled, and then alone: other code in the process
is compiled as ever. Meanwhile the process looks for no cyclic garbage, and Ctrl-C waits; nothing else of it is touched.
"""

import gc
import operator
import signal
import threading
from contextlib import contextmanager, nullcontext

from numba import types
from numba.core import cgutils, codegen, cpu, ir, lowering, postproc, typed_passes, typeinfer, typing, untyped_passes
from numba.core.compiler import Compiler, CompilerBase
from numba.core.compiler_machinery import FunctionPass, PassManager, register_pass
from numba.core.errors import new_error_context
from numba.core.imputils import RefType, iternext_impl
from numba.core.rewrites import static_getitem
from numba.extending import intrinsic, lower_builtin, models, register_model

from . import listeners

# What a kernel compiled for them indexes for a tenth of what indexing an array costs numba and LLVM at compile time.
DOUBLES, INTEGERS = types.CPointer(types.float64), types.CPointer(types.int64)

# Types for which numba's answers are remembered, see `_resolved`.
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


def _chosen(name, predicate):
    """Return ``min`` or ``max`` of two numbers as an intrinsic, which returns what Python's does, of NaN and of ±0 too."""

    def choose(typing_context, x, y):
        """The second number where it compares so with the first, else the first."""
        kind = typing_context.unify_types(types.unliteral(x), types.unliteral(y))
        compare = "fcmp_ordered" if isinstance(kind, types.Float) else "icmp_signed"
        if kind is None or (compare == "icmp_signed" and not getattr(kind, "signed", False)):
            return None

        def code(context, builder, signature, values):
            """Write a comparison and a choice."""
            first, second = values
            return builder.select(getattr(builder, compare)(predicate, second, first), second, first)

        return kind(kind, kind), code

    choose.__name__ = name
    return intrinsic(choose)


@intrinsic
def _whole(typing_context, x):
    """``int(x)`` of a number that is no integer of another size."""
    if not isinstance(x, types.Float | types.Boolean) and types.unliteral(x) != types.int64:
        return None
    return types.int64(types.unliteral(x)), lambda context, builder, signature, values: context.cast(
        builder, values[0], signature.args[0], types.int64
    )


# What numba would compile as functions of their own, or at length, by what kernels call and by the number of arguments.
SHORTER = {
    range: {1: _count, 2: _count_from},
    min: {2: _chosen("_least", "<")},
    max: {2: _chosen("_greatest", ">")},
    int: {1: _whole},
}


@register_pass(mutates_CFG=False, analysis_only=False)
class Rewriting(FunctionPass):
    """Calls of a few of Python's functions are exchanged for calls of `SHORTER` ones, and constant indices made known.

    A range is exchanged where a loop runs over it and nothing else can: under a name it may be counted again.
    """

    _name = "rewriting"

    def __init__(self):
        """Nothing to prepare; numba asks for it."""
        super().__init__()

    def run_pass(self, state):
        """Rewrite the blocks of a kernel."""
        blocks = state.func_ir.blocks
        for rewrite in (static_getitem.RewriteConstGetitems(state), static_getitem.RewriteConstSetitems(state)):
            for key, block in list(blocks.items()):
                if rewrite.match(state.func_ir, block, None, None):
                    blocks[key] = rewrite.apply()
        for block in blocks.values():
            known, looped = {}, {expr.value.name for expr in block.find_exprs("getiter") if expr.value.is_temp}
            for assign in block.find_insts(ir.Assign):
                value = assign.value
                if isinstance(value, ir.Global) and isinstance(value.value, type | type(min)) and value.value in SHORTER:
                    known[assign.target.name] = value
                elif isinstance(value, ir.Expr) and value.op == "call" and value.func.name in known:
                    called = known[value.func.name]
                    shorter = SHORTER.get(called.value, {}).get(len(value.args))
                    if shorter and (called.value is not range or assign.target.name in looped):
                        called.name, called.value = shorter.__name__, shorter
        return True


class Network(typeinfer.ConstraintNetwork):
    """What is known of the types of a kernel's variables; what follows from types that have not changed is not asked again."""

    def propagate(self, inferer):
        """Derive types once more; return the errors."""
        errors, seen, variables = [], self.__dict__.setdefault("seen", {}), inferer.typevars
        with inferer.warnings.catch_warnings():
            for constraint in self.constraints:
                given = None
                if isinstance(constraint, typeinfer.CallConstraint) and not (constraint.kws or constraint.vararg):
                    given = [variables[argument.name].type for argument in constraint.args]
                    if not isinstance(constraint, typeinfer.IntrinsicCallConstraint):
                        given.append(variables[constraint.func].type)
                    if seen.get(constraint) == given and None not in given:
                        continue
                try:
                    constraint(inferer)
                    seen[constraint] = given
                except typeinfer.ForceLiteralArg as error:
                    errors.append(error)
                except typeinfer.TypingError as error:
                    errors.append(
                        typeinfer.utils.chain_exception(
                            typeinfer.TypingError(str(error), loc=constraint.loc, highlighting=False), error
                        )
                    )
        return errors


class Library(codegen.JITCodeLibrary):
    """What LLVM makes of a kernel: it simplifies the whole once.

    Numba has it simplify each function and then the whole, twice, at last as thoroughly as LLVM can: twice the time to compile,
    and kernels no faster. Loops that gain by vector instructions are written in them (`vectors`, `emission`).
    """

    def _optimize_functions(self, module):
        """Leave the functions of a module as they are written."""
        module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self):
        """Simplify the whole."""
        made = self._codegen._module_pass_manager(opt=1, loop_vectorize=False)
        manager, *builder = made if isinstance(made, tuple) else [made]  # numba before 0.62 has no builder
        manager.run(self._final_module, *builder)


class Part(Library):
    """What LLVM reads of a kernel that others call by name: it is simplified, and becomes machine code, within those alone."""

    codegen = property(lambda self: self, doc="Whom numba tells where a kernel's environment lies.")

    def set_env(self, name, environment):
        """Have no place for it."""

    def _optimize_final_module(self):
        """Leave it as it is written."""

    def _finalize_final_module(self):
        """Make no machine code."""
        self._finalized = True

    def get_pointer_to_function(self, name):
        """Where machine code begins: nowhere."""
        return 0


class Writer(lowering.Lower):
    """Numba's writer of what LLVM reads, in fewer words: for kernels that are not debugged."""

    def _find_singly_assigned_variable(self):
        """Find the variables that are assigned once and used in that block alone: they need no place in memory."""
        home, spread = {}, set(lowering.must_use_alloca(self.blocks))
        for offset, block in self.blocks.items():
            assigned = set()
            for one in block.body:
                target = one.target.name if isinstance(one, ir.Assign) else None
                for variable in _used(one):
                    if variable not in assigned:
                        spread.add(variable)
                if target is not None:
                    if target in home:
                        spread.add(target)
                    home[target] = offset
                    assigned.add(target)
        self._singly_assigned_vars, self._blk_local_varmap = set(home) - spread, {}

    def lower_block(self, block):
        """Write a block."""
        self.pre_block(block)
        with new_error_context("lowering of the block at {loc}", loc=block.loc):
            for one in block.body:
                self.loc = one.loc
                if isinstance(one, ir.Assign):
                    value, name = self.lower_assign(self.typeof(one.target.name), one), one.target.name
                    self.storevar(value, name, argidx=one.value.index + 1 if isinstance(one.value, ir.Arg) else None)
                else:
                    self.lower_inst(one)
        self.post_block(block)

    def storevar(self, value, name, argidx=None):
        """Write what gives a variable its value; without references to count, the value before is of no interest."""
        if self.context.enable_nrt:
            super().storevar(value, name, argidx)
        elif name in self._singly_assigned_vars:
            self._blk_local_varmap[name] = value
        else:
            self._alloca_var(name, self.typeof(name))
            self.builder.store(value, self.varmap[name])


def _used(one):
    """Yield the names of the variables that a statement uses."""
    if isinstance(one, ir.Assign):
        one = one.value
        if isinstance(one, ir.Var):
            yield one.name
    if isinstance(one, ir.Inst):
        yield from (variable.name for variable in one.list_vars())


@register_pass(mutates_CFG=True, analysis_only=False)
class Lowering(typed_passes.NativeLowering):
    """Numba's, into a `Library`."""

    _name = "lowering"

    def run_pass(self, state):
        """Write the kernel for LLVM."""
        state.library = state.pipeline.library(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.enable_object_caching()
        return super().run_pass(state)

    @property
    def lowering_class(self):
        """Who writes it."""
        return Writer


# Numba's passes over the text of a kernel. Those left out serve closures, generators, array expressions, arguments None, lists
# and loops over unlike things: kernels have none, and with the next two a quarter of the time to compile went to them.
PASSES = (
    untyped_passes.TranslateByteCode,
    untyped_passes.FixupArgs,
    untyped_passes.InlineInlinables,
    Rewriting,
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
    """Numba's compiler, for the kernels of this package that have machine code of their own."""

    working = False  # numba compiles under one lock, so that what is asked meanwhile is asked for our kernels
    library = Library

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
            with nullcontext() if outer else uninterrupted(), exchanged():
                return super().compile_extra(func)._replace(typing_error=None)  # of the list that failed, if one did
        finally:
            for listener in told:
                listener(False)
            Policy.working = outer
            if collecting:
                gc.enable()


class PartPolicy(Policy):
    """Numba's compiler, for those that are parts of others."""

    library = Part


_ask, _tidy, _known = types.Function.get_call_type, postproc.PostProcessor.run, {}


def _resolved(function, context, args, kws):
    """Return the signature of a function for types of arguments.

    Numba asks up to two dozen rules for arrays, strings and dates what a product of two numbers is, or an entry of an array,
    three times for each one in a kernel. Its answers for numbers and pointers, and for entries, are remembered here.
    """
    plain, rest = args, args
    if function.typing_key in OPERATORS:
        plain = rest = tuple(map(types.unliteral, args))
    if function.typing_key in (operator.getitem, operator.setitem) and isinstance(plain[0], types.Array):
        place = plain[1]
        rest = (*(place if isinstance(place, types.BaseTuple) else [place]), *plain[2:])
    if kws or not KINDS.issuperset(rest):
        return _ask(function, context, args, kws)
    key = function.typing_key, plain
    if key not in _known:
        signature = _ask(function, context, plain, kws)
        _known[key] = signature, function._impl_keys[signature.args]
    signature, function._impl_keys[signature.args] = _known[key]
    return signature


def _tidied(processor, emit_dels=False, extend_lifetimes=False):
    """Bring a kernel's blocks into numba's order; the lives of variables are found where references are counted alone."""
    if emit_dels or processor.func_ir.is_generator:
        _tidy(processor, emit_dels, extend_lifetimes)
    else:
        processor.func_ir.blocks = postproc.transforms.canonicalize_cfg(processor.func_ir.blocks)
        processor.func_ir.generator_info = None


def _unchanged(compiler, function):
    """Compile one of numba's own functions that a kernel calls, with what is numba's."""
    with exchanged(THEIRS):
        return CompilerBase.compile_extra(compiler, function)


# What of numba is exchanged while a kernel is compiled. When its compilation begins, numba's
# contexts know all that is installed; what is made later, they are asked for.
EXCHANGED = (
    (types.Function, "get_call_type", _resolved),
    (postproc.PostProcessor, "run", _tidied),
    (typeinfer, "ConstraintNetwork", Network),
    (cpu.CPUContext, "load_additional_registries", lambda context: context.install_registry(next(iter(context._registries)))),
    (typing.Context, "load_additional_registries", lambda context: None),
    (Compiler, "compile_extra", _unchanged),
)
THEIRS = [getattr(owner, name) for owner, name, _ in EXCHANGED]
OURS = [ours for _, _, ours in EXCHANGED]


@contextmanager
def exchanged(made=OURS):
    """Exchange what is `EXCHANGED` for ours, or for what was numba's at first; then put back what was there."""
    found = [getattr(owner, name) for owner, name, _ in EXCHANGED]
    try:
        for (owner, name, _), one in zip(EXCHANGED, made, strict=True):
            setattr(owner, name, one)
        yield
    finally:
        for (owner, name, _), one in zip(EXCHANGED, found, strict=True):
            setattr(owner, name, one)


@contextmanager
def uninterrupted():
    """Put off Ctrl-C, for less than a second or two: numba, left half-way, does not go on, and LLVM loses what it is told."""
    found, pressed = signal.getsignal(signal.SIGINT), []
    if threading.current_thread() is not threading.main_thread() or found is None:  # none comes here, or not to Python
        yield
        return
    signal.signal(signal.SIGINT, lambda *given: pressed.append(given))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, found)
        if pressed:
            signal.raise_signal(signal.SIGINT)
