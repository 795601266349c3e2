"""Checks of arguments at the public doors: every error names the argument, its domain and the value."""

import os
from collections.abc import Callable, Iterable
from math import ceil
from numbers import Integral
from os import fspath
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._reading.numbers import as_array

Floats: TypeAlias = NDArray[np.float64]
Seed: TypeAlias = int | np.integer | np.random.Generator | None


def real_array(
    name: str,
    value: ArrayLike,
    domain: str = "finite",
    inside: Callable[[Floats], NDArray[np.bool_]] | None = None,
    shape: tuple[int, ...] | None = None,
) -> Floats:
    """Return ``value`` as a float64 array, or raise ``ValueError``.

    Parameters
    ----------
    name : str
        The argument's name as the caller wrote it.
    value : array_like
        Or an array of another package; see `as_array`.
    domain : str
        The allowed values in words, for the message.
    inside : callable, optional
        Maps an array to an array of bool: which entries are allowed. Entries must be finite in any case.
    shape : tuple, optional
        Shape that the trailing axes must have.
    """
    try:
        array = as_array(value)
        if array.dtype.kind == "c" or (array.dtype.kind == "b" and not array.ndim):
            raise TypeError("complex" if array.dtype.kind == "c" else "a truth value")
        array = array.astype(np.float64, copy=False)
    except TypeError as reason:
        why = f" ({reason})" if hasattr(value, "shape") else ""
        raise ValueError(f"{name} must be real numbers ({domain}), got {_short(value)}{why}") from None
    if shape is not None and array.shape[array.ndim - len(shape) :] != tuple(shape):
        expected = ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "")
        raise ValueError(f"{name} must have shape (…, {expected.rstrip(',')}), got {array.shape}")
    allowed = np.isfinite(array)
    if inside is not None:
        with np.errstate(invalid="ignore"):
            allowed &= inside(array)
    if not np.all(allowed):
        raise ValueError(f"{name} must be {domain}, got {_short(array[~allowed].flat[0])}")
    return array


def real_matrix(name: str, value: ArrayLike, shape: str = "(n_hidden, n_features)") -> Floats:
    """Return ``value`` as one float64 matrix, or raise ``ValueError``; ``shape`` says in words what its axes are."""
    matrix = real_array(name, value)
    if matrix.ndim != 2:
        raise ValueError(f"{name} must have shape {shape}, got {matrix.shape}")
    return matrix


def real_number(
    name: str, value: ArrayLike, domain: str = "finite", inside: Callable[[Floats], NDArray[np.bool_]] | None = None
) -> float:
    """Return ``value`` as a float, or raise ``ValueError``; as `real_array`, but a single number."""
    array = real_array(name, value, domain, inside)
    if array.ndim:
        raise ValueError(f"{name} must be one number ({domain}), got {_short(value)}")
    return float(array)


def as_seed(seed: Seed) -> int:
    """Return the whole number for a seed: itself, the next one that a Generator draws, or fresh entropy for None."""
    if seed is None:
        return np.random.SeedSequence().entropy
    if isinstance(seed, np.random.Generator):
        return int(seed.integers(2**63))
    if isinstance(seed, bool | np.bool_) or not isinstance(seed, Integral) or seed < 0:
        raise ValueError(f"seed must be None, a whole number ≥ 0 or a numpy Generator, got {_short(seed)}")
    return int(seed)


def random_generator(seed: Seed) -> np.random.Generator:
    """Return the numpy Generator that ``seed``, as in `as_seed`, stands for."""
    return seed if isinstance(seed, np.random.Generator) else np.random.default_rng(as_seed(seed))


def stream(seed: int, *branch: int) -> np.random.Generator:
    """Return the numpy Generator of one branch (a purpose, a cell: whole numbers ≥ 0) of what a whole number decides."""
    return np.random.default_rng([seed, *branch])


def density_array(name: str, value: ArrayLike) -> Floats:
    """Return densities as a float64 array; each must lie in (0, 1]."""
    return real_array(name, value, "in (0, 1]", lambda p: (p > 0) & (p <= 1))


def positive_array(name: str, value: ArrayLike) -> Floats:
    """Return positive finite numbers as a float64 array."""
    return real_array(name, value, "positive and finite", lambda x: x > 0)


def grid_axis(name: str, value: ArrayLike, check: Callable[[str, ArrayLike], Floats]) -> Floats:
    """Return a strictly increasing one-dimensional grid axis whose entries pass ``check``."""
    axis = check(name, value)
    if axis.ndim != 1 or axis.size == 0:
        raise ValueError(f"{name} must be a one-dimensional grid axis with at least one value, got shape {axis.shape}")
    falls = np.flatnonzero(np.diff(axis) <= 0)
    if falls.size:
        before, after = axis[falls[0] :][:2].tolist()
        raise ValueError(f"{name} must be strictly increasing, got {after} after {before}")
    return axis


def whole_number(name: str, value: Any, least: int, most: int | None = None) -> int:
    """Return ``value`` as an int within [least, most], or raise ``ValueError``."""
    domain = f"a whole number ≥ {least}" if most is None else f"a whole number from {least} to {most}"
    if isinstance(value, bool | np.bool_) or not isinstance(value, Integral):
        raise ValueError(f"{name} must be {domain}, got {_short(value)}")
    if value < least or (most is not None and value > most):
        raise ValueError(f"{name} must be {domain}, got {value}")
    return int(value)


def check_path(name, value, others=""):
    """Refuse what names no file; ``others`` says what else may be given."""
    try:
        fits = isinstance(fspath(value), str)
    except TypeError:
        fits = False
    if not fits:
        raise ValueError(f"{name} must be the path of a file{others}, got {value!r:.60}")


def as_flag(name, value):
    """Return a bool."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def one_of(name: str, value: str, choices: Iterable[str]) -> str:
    """Return ``value`` when it is among ``choices``, or raise ``ValueError``."""
    if not isinstance(value, str) or value not in choices:
        listed = ", ".join(f'"{choice}"' for choice in choices)
        raise ValueError(f"{name} must be one of {listed}, got {_short(value)}")
    return value


def sizes(n_features: Any, n_hidden: Any, most_features: int | None = None) -> tuple[int, int]:
    """Return (n_features, n_hidden) as ints with 1 ≤ n_hidden < n_features, or raise ``ValueError``."""
    n_features = whole_number("n_features", n_features, 2, most_features)
    n_hidden = whole_number("n_hidden", n_hidden, 1)
    if n_hidden >= n_features:
        raise ValueError(f"n_hidden must be less than n_features ({n_features}), got {n_hidden}")
    return n_features, n_hidden


def check_memory(n_features, n_hidden, n_models, n_steps, n_recorded, name="n_models"):
    """Raise ValueError when the parameters, one model's WᵀW and the scalars of all steps would not fit the machine's memory."""
    needed = 8 * n_models * (n_hidden + 1) * n_features * (2 * n_recorded + 8) + 8 * n_features**2 + 200 * n_steps
    try:
        available = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not a POSIX system: let the allocation itself fail
        return
    if needed > available:
        raise ValueError(
            f"n_features, {name} and n_steps must fit in memory: {n_models} models of {n_features} features and "
            f"{n_steps} steps need {needed / 2**30:.1f} GiB of {available / 2**30:.1f} GiB"
        )


def thread_count(n_threads):
    """Return a number of threads as an int: for None, one for each processor that the process may use."""
    return usable_processors() if n_threads is None else whole_number("n_threads", n_threads, 1)


def usable_processors(root="/"):
    """Return how many processors the process may use: its affinity, and the share that its cgroups give it, rounded up.

    ``root`` is the folder in which ``proc`` and ``sys`` are looked for.
    """
    if hasattr(os, "process_cpu_count"):  # from Python 3.13 on; heeds the affinity, and who overrides it
        allowed = os.process_cpu_count()
    else:
        allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min([allowed or 1, *map(ceil, _cgroup_shares(Path(root)))]))


def _cgroup_shares(root):
    """Yield the limits, in processors, of the process's control groups of either version and of those around them."""
    try:
        groups = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:  # not Linux
        return
    for _, controllers, path in (line.split(":", 2) for line in groups):
        if controllers and "cpu" not in controllers.split(","):
            continue
        mounted = root / "sys/fs/cgroup" / controllers
        group = mounted / path.lstrip("/")
        for folder in (group, *group.parents):
            if not folder.is_relative_to(mounted):
                break
            try:
                if controllers:
                    quota, period = ((folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
                else:
                    quota, period = (folder / "cpu.max").read_text().split()
            except (OSError, ValueError):  # no limit at this height, or a group that is not seen from inside of a container
                continue
            if quota.strip() not in ("max", "-1"):
                yield int(quota) / int(period)


def _short(value):
    """What a message shows of a value, on one line."""
    text = " ".join(repr(value.item() if isinstance(value, np.generic) else value).split())
    return text if len(text) <= 60 else text[:57] + "..."
