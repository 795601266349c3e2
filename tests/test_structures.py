"""Structures: kernels and Python see the same numbers and arrays under the same names."""

import numpy as np

from phasediag._compiling.jit import integers
from phasediag._compiling.structures import Structure, layout
from phasediag._compiling.vectors import floats, routine, words

INNER, inner_at = layout("count bits")
OUTER, outer_at = layout("n inner values counts total", "factor")


@routine("n")
def weigh(place):
    """Scale the values, add up the counts, and write to a structure inside of the structure."""
    outer = outer_at(place)
    inner, values, counts = inner_at(outer.inner), floats(outer.values), integers(outer.counts)
    total = 0
    for i in range(outer.n):
        values[i] *= outer.factor
        total += counts[i]
    outer.total, inner.count = total, words(inner.bits)[1]


def test_kernels_read_and_write_by_name():
    """Arrays are changed in place, numbers written by a kernel are read back, names not given are 0."""
    inner = Structure(INNER, bits=np.array([1, 2**32 - 1], np.uint32))
    values, counts = np.array([1.0, 2.0, 3.0], np.float32), np.array([5, 6, -3])
    outer = Structure(OUTER, n=3, inner=inner, values=values, counts=counts, factor=np.float32(0.1))
    assert outer.total == 0 and outer.inner is inner and outer.values is values and outer.factor == np.float32(0.1)
    weigh(outer.address)
    assert outer.total == 8 and outer.inner.count == 2**32 - 1 and outer.n == 3
    assert np.array_equal(values, np.array([1, 2, 3], np.float32) * np.float32(0.1))
