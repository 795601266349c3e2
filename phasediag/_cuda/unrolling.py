"""Kernels written once for all sizes: loops over known ranges are unrolled, small arrays become local variables.

Compilers keep variables in registers, but an array only if they unroll every loop that indexes it. In a function for
`specialised`

- ``for i in unrolled(values)`` is repeated for each value,
- ``if known(condition)`` is decided beforehand,
- ``a = registers()`` declares an array, all of whose indices must be known: ``a[1, 0]`` becomes the variable ``a_1_0``,
- ``a = room((size, begin), row)`` declares an array of float32 in memory that a block shares, or the entries of ``row`` from
  ``begin`` on, unless that is None,

where values, conditions and indices are expressions of the constants, which are the function's keyword-only arguments, of
unrolled loops' variables and of builtins.
"""

import ast
import inspect
import itertools
import linecache
import textwrap

from numba import config, cuda

ALIGNMENT = (
    "" if config.ENABLE_CUDASIM else ", 16"
)  # of shared memory, in bytes, so that compilers may read four numbers of it at once
REGISTERS = 65536  # of a multiprocessor
_numbers = itertools.count()


def unrolled(values):
    """Repeat a loop's body for each of ``values``, in functions for `specialised`."""
    return values


def known(condition):
    """Decide a condition of constants, in functions for `specialised`."""
    return condition


def registers():
    """Declare an array of local variables, in functions for `specialised`."""
    return {}


def room(place, row=None):
    """Declare an array in shared memory, or in ``row``, in functions for `specialised`."""
    return row[place[1] :][: place[0]]


def specialised(function, **constants):
    """Return ``function`` with its unrolled loops, known conditions and register arrays written out for these constants."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    tree = ast.fix_missing_locations(_Unroller(constants, function.__globals__).visit(tree))
    source = ast.unparse(tree)
    name = f"<{function.__name__} {next(_numbers)}>"
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    namespace = dict(function.__globals__)
    exec(compile(source, name, "exec"), namespace)
    return namespace[function.__name__]


def compiled(function, n_warps):
    """Return the kernel, with as many registers that a multiprocessor has them for ``n_warps`` warps."""
    if config.ENABLE_CUDASIM:
        return cuda.jit(function)
    return cuda.jit(max_registers=min(255, REGISTERS // (32 * n_warps) // 8 * 8))(function)


class _Unroller(ast.NodeTransformer):
    """Rewrites a function's tree; ``known`` maps the names of constants to their values, ``around`` those of its module."""

    def __init__(self, constants, around):
        """Begin with the constants of the function."""
        self.known, self.around, self.arrays = dict(constants), around, set()

    def value(self, node):
        """Return the value of an expression of constants."""
        return eval(compile(ast.Expression(node), "<constant>", "eval"), self.around | self.known)

    def block(self, statements):
        """Return the list of statements that these become."""
        found = []
        for statement in statements:
            new = self.visit(ast.parse(ast.unparse(statement)).body[0])  # a fresh copy: bodies are used several times
            found += new if isinstance(new, list) else [] if new is None else [new]
        return found

    def visit_FunctionDef(self, node):
        """Rewrite the body; the constants are no arguments any more."""
        node.args.kwonlyargs, node.args.kw_defaults = [], []
        node.body = self.block(node.body)
        return node

    def visit_For(self, node):
        """Repeat an unrolled loop's body; rewrite another's."""
        if not _calls(node.iter, "unrolled"):
            node.iter, node.body = self.visit(node.iter), self.block(node.body)
            return node
        found, around = [], self.known
        for value in self.value(node.iter.args[0]):
            self.known = around | {node.target.id: value}
            found += self.block(node.body)
        self.known = around
        return found

    def visit_If(self, node):
        """Decide a known condition; rewrite both branches of another."""
        if _calls(node.test, "known"):
            return self.block(node.body if self.value(node.test.args[0]) else node.orelse)
        node.test, node.body, node.orelse = self.visit(node.test), self.block(node.body), self.block(node.orelse)
        return node

    def visit_IfExp(self, node):
        """Decide a known condition; rewrite another."""
        if _calls(node.test, "known"):
            return self.visit(node.body if self.value(node.test.args[0]) else node.orelse)
        return self.generic_visit(node)

    def visit_Assign(self, node):
        """Drop declarations of arrays; rewrite others."""
        if _calls(node.value, "registers"):
            self.arrays.update(target.id for target in node.targets)
            return None
        return self.generic_visit(node)

    def visit_Subscript(self, node):
        """Turn an entry of an array of registers into a variable."""
        if isinstance(node.value, ast.Name) and node.value.id in self.arrays:
            index = self.value(node.slice)
            index = index if isinstance(index, tuple) else (index,)
            return ast.Name("_".join([node.value.id, *map(str, index)]), node.ctx)
        return self.generic_visit(node)

    def visit_Call(self, node):
        """Place an array; rewrite other calls."""
        if not _calls(node, "room"):
            return self.generic_visit(node)
        size, begin = self.value(node.args[0])
        if begin is None:
            return ast.parse(f"cuda.shared.array({size}, np.float32{ALIGNMENT})", mode="eval").body
        return ast.parse(f"{ast.unparse(self.visit(node.args[1]))}[{begin}:{begin + size}]", mode="eval").body

    def visit_Name(self, node):
        """Put constants in."""
        if isinstance(node.ctx, ast.Load) and node.id in self.known:
            return ast.Constant(self.known[node.id])
        return node


def _calls(node, name):
    """Whether an expression calls the function of this name."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
