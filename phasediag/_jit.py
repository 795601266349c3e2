"""The one policy under which every kernel is compiled."""

import numba


def jit(function=None, *, fastmath=False):
    """Compile a kernel: cached on disk where a cache can be kept, GIL released, IEEE division.

    Kernels take arrays and scalars that the public doors have checked; they validate nothing.
    """
    if function is None:
        return lambda inner: jit(inner, fastmath=fastmath)
    options = dict(nogil=True, error_model="numpy", fastmath=fastmath)
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # neither the package directory nor a user cache is writable
        return numba.njit(**options)(function)
