"""The policy of compilation: what it changes about numba changes no result."""

import gc
import operator
from itertools import product

import numpy as np
import pytest
from numba.core.registry import cpu_target

from phasediag._compiling.jit import DOUBLES, NUMBERS, OPERATORS, address, call, jit, offset, pointer, zeros


@pytest.mark.parametrize("name", OPERATORS)
def test_remembered_signatures_are_those_of_numba(name):
    """For every pair of number types, the first rule answers what numba's own rules answer without it."""
    context, function = cpu_target.typing_context, getattr(operator, name)
    context.refresh()
    rules = context.resolve_value_type(function)
    own = [rule for rule in rules.templates if getattr(rule, "metadata", {}).get("target") != "cpu"]
    assert len(own) == len(rules.templates) - 1
    for args in product(sorted(NUMBERS, key=str), repeat=1 if name == "neg" else 2):
        assert context.resolve_function_type(function, args, {}) == type(rules)(own).get_call_type(context, args, {})


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


def test_pointers_reach_the_entries_of_their_array():
    """A kernel called by address changes the entries from the offset on, and new zeros are zero."""
    array = np.arange(6.0)
    assert gc.isenabled()
    added = address(_add_to_both, DOUBLES, 0, 0.0)
    assert gc.isenabled()
    assert _through_pointers(array, added) == (0.0, 16.5, 0.0)
    assert array.tolist() == [0.0, 1.0, 2.5, 3.5, 4.5, 5.0]
