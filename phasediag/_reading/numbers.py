"""Arrays of numbers from raw bytes and from the arrays of other packages."""

import numpy as np

WIDTH = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E5M2": 1, "F8_E4M3": 1}
WIDTH |= {f"{sign}{8 * width}": width for sign in "IU" for width in (1, 2, 4, 8)}
"""Bytes of a number of each type that is read, by the names that safetensors gives them."""

TRACED = ("Tracer", "ArrayBox", "FakeTensor")
"""Words in the names of types of JAX, autograd and PyTorch that stand for numbers to come; some give others by a protocol."""


def decode(raw, kind):
    """Return numbers of a type of `WIDTH`, little-endian, as a one-dimensional array of a type that NumPy has."""
    if kind == "BF16":  # the upper half of a single-precision number
        return (np.frombuffer(raw, "<u2").astype(np.uint32) << 16).view(np.float32)
    if kind == "F8_E5M2":  # the upper half of a half-precision number
        return (np.frombuffer(raw, "u1").astype(np.uint16) << 8).view(np.float16)
    if kind == "F8_E4M3":  # its exponent, of bias 7 and not 15, and its fraction placed in a half-precision number
        bits = np.frombuffer(raw, "u1").astype(np.uint16)
        magnitude = bits & 0x7F
        values = ((bits & 0x80) << 8 | magnitude << 7).view(np.float16).astype(np.float32) * 2.0**8
        return np.where(magnitude == 0x7F, np.float32(np.nan), values)
    return np.frombuffer(raw, f"<{kind[0].lower()}{WIDTH[kind]}")


def as_array(value):
    """Return what any package calls an array as a NumPy array: by ``__array__``, ``.numpy()``, ``__dlpack__`` or ``.tolist()``.

    Gradients that a tensor carries, and the device that it lies on, are left behind. Numbers of types that NumPy lacks (bfloat16
    and smaller) come as floats that NumPy has.

    Raises
    ------
    TypeError
        With a reason, when none of these gives numbers.
    """
    if isinstance(value, int | float) or (type(value) is np.ndarray and value.dtype.kind in "biufc"):
        return np.asarray(value)
    if any(traced in kind.__name__ for kind in type(value).__mro__ for traced in TRACED):
        raise TypeError("a traced value has no numbers yet: call this outside of jit, grad, vmap and compile")
    if np.ma.is_masked(value):
        raise TypeError("a masked array has entries without a number: fill them first")
    reason = None
    for convert in (_by_array, _by_numpy, np.from_dlpack, _by_list, _by_parts):
        try:
            array = convert(_here(value))
        except Exception as error:  # every package raises its own
            reason = reason or error
            continue
        if array.dtype.kind in "biufc":
            return array
        if array.dtype.kind == "V" and array.dtype.names is None and array.dtype.type is not np.void:  # of ml_dtypes
            return array.astype(np.float32)
        reason = reason or TypeError(f"its type is {array.dtype}")
    raise TypeError(str(reason).split("\n")[0])


def _here(value):
    """A tensor in this machine's memory without what its gradient needs; anything else as it is."""
    for name in ("detach", "cpu"):
        value = getattr(value, name)() if callable(getattr(value, name, None)) else value
    return value


def _by_array(value):
    """What NumPy makes of it; objects that are numbers (fractions, of any precision) as floats."""
    array = np.asarray(value)
    if array.dtype.kind != "O":
        return array
    if any(one is None for one in array.flat):  # NumPy would make it nan
        raise TypeError("None is no number")
    return array.astype(np.float64)


def _by_numpy(value):
    """By its method ``numpy``, as tensors have."""
    return np.asarray(value.numpy())


def _by_list(value):
    """By its method ``tolist``, as arrays of other packages have."""
    return np.asarray(value.tolist())


def _by_parts(value):
    """A list or tuple of arrays, each converted by itself."""
    if not isinstance(value, list | tuple):
        raise TypeError(f"it is a {type(value).__name__}")
    return np.array([as_array(part) for part in value])
