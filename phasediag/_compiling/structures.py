"""Structures: the numbers and arrays that a kernel works with, under names, at one address.

A kernel takes the address of a structure instead of arrays, each of which is seven values to numba, and reads ``run.n_models``.
"""

import numpy as np
from numba import from_dtype

from .jit import viewer


def layout(names, *floats):
    """Return (dtype, view) of a structure: int64 numbers, or addresses, and float32 numbers under names.

    Inside a kernel ``view(address)`` gives what has these names as attributes.
    """
    dtype = np.dtype([(name, np.int64) for name in names.split()] + [(name, np.float32) for name in floats])
    return dtype, viewer(from_dtype(dtype))


class Structure:
    """A structure filled with numbers, arrays and other structures, whose addresses it holds; they are its attributes.

    Numbers that kernels have written since are read as they are now.
    """

    def __init__(self, dtype, **entries):
        """Fill in entries by name; the others are 0. Arrays are contiguous."""
        numbers = dict.fromkeys(dtype.names, 0) | {name: _number(entry) for name, entry in entries.items()}
        self._entries, self._record = entries, np.array([tuple(numbers.values())], dtype)
        self.address = self._record.ctypes.data

    def like(self, **entries):
        """Return a structure that has some entries of its own, and the others in common with this one."""
        other = object.__new__(Structure)
        other._entries, other._record = self._entries | entries, self._record.copy()
        other.address, own = other._record.ctypes.data, other._record[0]
        for name, entry in entries.items():
            own[name] = _number(entry)
        return other

    def __getattr__(self, name):
        """Return the array or structure as it was given, or the number that stands there."""
        if name in self._entries and not isinstance(self._entries[name], int | np.integer):
            return self._entries[name]
        return self._record[name][0]


def _number(entry):
    """What stands in a structure for an entry: the number itself, or where an array or another structure begins."""
    return entry.__array_interface__["data"][0] if isinstance(entry, np.ndarray) else getattr(entry, "address", entry)
