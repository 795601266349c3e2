"""The policy of compilation: what it changes about numba changes no result."""

import gc
import math
import operator
import os
import shutil
import signal
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from numba import njit, types
from numba.core.errors import TypingError
from numba.core.registry import cpu_target
from numba.extending import intrinsic

import phasediag
from phasediag._compiling.jit import address, call, jit, offset, pointer, zeros
from phasediag._compiling.policy import DOUBLES, EXCHANGED, KINDS, OPERATORS, THEIRS, exchanged

# A kernel, a routine, and what becomes part of both: a function of another file, a number of a third.
SOURCES = {
    "_loss/number.py": "NUMBER = 3",
    "_loss/added.py": """
from .._compiling.jit import jit
from . import number
THIS = number.NUMBER
@jit(inner=True)
def add(x):
    return x + THIS
""",
    "_training/kernel.py": """
from .._compiling.jit import jit
from .._compiling.vectors import routine
from .._loss.added import (
    add,
)
@jit
def kernel(x):
    return add(x)
@routine("i")
def twice(x):
    x[0] = add(add(x[0]))
""",
}
RUN = """
import ctypes
from phasediag._training.kernel import kernel, twice
x = ctypes.c_int64(1)
twice(ctypes.byref(x))
print(kernel(1), x.value, sum(kernel.stats.cache_hits.values()), twice.compiled.cache_hits)
"""


@pytest.fixture(params=["a folder", "a zip"])
def installed(request, tmp_path):
    """Install a copy of the package with a kernel of its own; returns a function that edits a file of it and runs the kernel."""
    shutil.copytree(Path(phasediag.__file__).parent, tmp_path / "phasediag", ignore=shutil.ignore_patterns("__pycache__"))
    path = tmp_path if request.param == "a folder" else tmp_path / "phasediag.zip"

    def call(name=None, old="", new=""):
        """Return what the kernel and the routine give for 1, and how often either was found in the cache."""
        if name is not None:
            file = tmp_path / "phasediag" / name
            file.write_text(file.read_text().replace(old, new))
        if path is not tmp_path:
            shutil.make_archive(path.with_suffix(""), "zip", tmp_path, "phasediag")
        caches = {name: str(tmp_path / "cache") for name in ("XDG_CACHE_HOME", "HOME", "LOCALAPPDATA")}
        own = {**os.environ, **caches, "PYTHONPATH": str(path), "PYTHONDONTWRITEBYTECODE": "1"}
        own.pop("NUMBA_CACHE_DIR", None)
        done = subprocess.run(
            [sys.executable, "-c", RUN], env=own, cwd=tmp_path / "cache", text=True, stdout=subprocess.PIPE, check=True
        )
        return tuple(map(int, done.stdout.split()))

    (tmp_path / "cache").mkdir()
    for name, text in SOURCES.items():
        (tmp_path / "phasediag" / name).write_text(text)
    return call


def test_what_becomes_part_of_a_kernel_is_compiled_anew_when_it_is_edited(installed, tmp_path):
    """What a kernel gives follows an edited function or number of another file at once; unedited, it comes from the cache.

    That is the user's: a folder of compiled code left in the package would outlive it and hide an editable install of it.
    """
    assert installed() == (4, 7, 0, 0)
    assert installed() == (4, 7, 1, 1)
    assert installed("_loss/number.py", "3", "6") == (7, 13, 0, 0)
    assert installed("_loss/added.py", "x + THIS", "x + 2 * THIS") == (13, 25, 0, 0)
    assert installed("_loss/polynomial.py", "", " ") == (13, 25, 1, 1)  # what is no part of it
    assert list((tmp_path / "cache").rglob("*.nbi")) and not list((tmp_path / "phasediag").rglob("*.nb?"))


def test_others_are_compiled_without_the_policy():
    """Garbage is not looked for, and numba's rules are exchanged, while a kernel of this package is compiled and then alone."""
    theirs = [getattr(owner, name) for owner, name, _ in EXCHANGED]
    seen = []

    @intrinsic
    def look(typing_context, x):
        now = [getattr(owner, name) for owner, name, _ in EXCHANGED]
        seen.append((gc.isenabled(), [one is other for one, other in zip(now, theirs, strict=True)]))
        return x(x), lambda context, builder, signature, values: values[0]

    assert jit(lambda x: look(x))(1.0) == njit(lambda x: look(x))(1) == 1
    assert gc.isenabled() and seen == [(False, [False] * len(theirs)), (True, [True] * len(theirs))]
    with pytest.raises(TypingError, match="No match"):
        jit(lambda x: min(x, 1j))(1.0)
    assert [getattr(owner, name) for owner, name, _ in EXCHANGED] == theirs


def test_ctrl_c_waits_until_a_kernel_is_compiled():
    """An interruption while a kernel is compiled is raised afterwards, and the kernel can be used."""

    @intrinsic
    def press(typing_context, x):
        signal.raise_signal(signal.SIGINT)
        compiled.append(len(compiled))
        return x(x), lambda context, builder, signature, values: values[0]

    compiled, kernel = [], jit(lambda x: press(x))
    found = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            kernel(1.0)
        assert compiled and signal.getsignal(signal.SIGINT) is signal.default_int_handler and gc.isenabled()
    finally:
        signal.signal(signal.SIGINT, found)
    jit(lambda x: x + 1.0)(1.0)  # numba goes on


def test_what_others_have_exchanged_stays(monkeypatch):
    """Kernels within a user's function within a kernel, and numba's rules as another program has changed them, are left so."""
    owner, name, ours = EXCHANGED[0]
    monkeypatch.setattr(owner, name, lambda *arguments: theirs(*arguments))
    theirs, changed, seen = THEIRS[0], getattr(owner, name), []

    def looking(call):
        """A function that asks numba for types before and after it calls another."""

        def asked(typing_context, x):
            seen.append(getattr(owner, name))
            return x(x), lambda context, builder, signature, values: values[0]

        first, last = intrinsic(asked), intrinsic(asked)
        return lambda x: last(call(first(x)))

    users = njit(looking(jit(looking(jit(lambda x: x)))))
    assert jit(looking(users))(1.0) == 1
    assert getattr(owner, name) is changed and seen == [ours, theirs, ours, ours, theirs, ours]


def _answer(ask, *arguments):
    """What numba answers; None where it has no rule."""
    try:
        return ask(*arguments)
    except TypingError:
        return None


@pytest.mark.parametrize("function", [*OPERATORS, bool, math.sqrt, abs], ids=lambda function: function.__name__)
def test_remembered_signatures_are_those_of_numba(function):
    """For all types of numbers, pointers, arrays and indices, asked for once or twice, the answers are numba's own rules'."""
    context = cpu_target.typing_context
    context.refresh()
    kinds = sorted(KINDS, key=str)
    if function in (operator.getitem, operator.setitem):
        kinds += [types.Array(types.float64, 1, "C"), types.Array(types.int64, 2, "A", readonly=True)]
        kinds += [types.UniTuple(types.int64, n) for n in (1, 2)]
    unary = {operator.neg, bool, math.sqrt, abs}
    for args in product(kinds, repeat=1 if function in unary else 3 if function is operator.setitem else 2):
        expected = _answer(context.resolve_function_type, function, args, {})
        with exchanged():
            assert [_answer(context.resolve_function_type, function, args, {}) for _ in range(2)] == [expected] * 2


def _least_and_greatest(x, y, k):
    """What kernels make of Python's functions of numbers, of one type and of two."""
    return min(x, y), max(x, y), min(x, k), max(k, y), min(k, 3), max(k, 3), int(x), int(k), int(x < y)


def test_kernels_choose_as_python_does():
    """The lesser and the greater of two numbers, and whole numbers, are those of Python, signs of zero and NaN included."""
    kernel = jit(_least_and_greatest)
    for x, y, k in product((0.0, -0.0, 1.5, -2.7, 1e18), (0.0, -0.0, 1.5, math.nan, -math.inf), (-4, 0, 5)):
        assert [*map(repr, map(float, kernel(x, y, k)))] == [*map(repr, map(float, _least_and_greatest(x, y, k)))]


def _changing(count):
    """A number that becomes a float within a loop, a name that is a whole number and then a float, and a pair's entries."""
    total, pair = 0, (1, 2.5)
    for i in range(count):
        total = total + 0.5 * i
        step = i
        step = step * pair[1]
        total += step + pair[0]
    return total


def test_variables_may_change_their_types():
    """What follows from types that change later is derived anew."""
    assert jit(_changing)(7) == _changing(7)


def _counted(start, stop, found):
    """Write down what loops count: plain, nested, left early, changed inside, over one range twice; and the last number."""
    at = i = 0
    for i in range(stop):
        for j in range(i, stop):
            found[at] = 10 * i + j
            at += 1
        i += 7
    for i in range(start, stop):
        if i > 2:
            found[at] = i
            break
        found[at + 1] = i
        at += 2
    for k in range(stop, start, -2):
        found[at] = k
        at += 1
    named = range(start, min(stop, start + 3))
    for i in named:
        for j in named:
            found[at] += i + 10 * j
    return i, at, len(named)


@pytest.mark.parametrize("start, stop", [(0, 0), (0, 1), (-3, 5), (2, 6), (4, -4)])
def test_kernels_count_as_python_does(start, stop):
    """A loop of a kernel, compiled with our own counter, does what it does in Python."""
    found, expected = np.zeros((2, 64))
    assert jit(_counted)(start, stop, found) == _counted(start, stop, expected)
    assert np.array_equal(found, expected)


@jit(inner=True)
def _add_to_both(start, count, by):
    for i in range(count):
        start[i] += by


@jit
def _through_pointers(array, added):
    sums = zeros(3)
    start = pointer(array)
    call(added, (offset(start, 2), 3, 0.5))
    for i in range(array.size):
        sums[1] += start[i]
    return sums[0], sums[1], sums[2]


@pytest.mark.quick("_compiling")
def test_pointers_reach_the_entries_of_their_array():
    """A kernel called by address changes the entries from the offset on, and new zeros are zero."""
    array = np.arange(6.0)
    assert gc.isenabled()
    added = address(_add_to_both, DOUBLES, 0, 0.0)
    assert gc.isenabled()
    assert _through_pointers(array, added) == (0.0, 16.5, 0.0)
    assert array.tolist() == [0.0, 1.0, 2.5, 3.5, 4.5, 5.0]
