"""Reading files of plain arrays and replacing files: what cannot be read or written is refused by the argument's name."""

import os
from contextlib import contextmanager
from pathlib import Path
from zipfile import BadZipFile
from zlib import error as BadStream

import numpy as np


def npz_path(name, path):
    """Return the path of an .npz file, or raise ``ValueError``."""
    path = Path(path)
    if path.suffix != ".npz":
        raise ValueError(f'{name} must end in ".npz", got {str(path)!r}')
    return path


def read_arrays(name, path, writer, needed):
    """Return all arrays of a file by name; ``ValueError`` where it cannot be read or lacks one that is ``needed``."""
    try:
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    except FileNotFoundError:
        raise
    except (OSError, EOFError, ValueError, TypeError, BadZipFile, BadStream):
        raise ValueError(f"{name} must name a file written by {writer}, got {path}, which cannot be read") from None
    missing = [key for key in needed if key not in arrays]
    if missing:
        raise ValueError(f"{name} must name a file written by {writer}, got {path} without {missing[0]}")
    return arrays


def check_writable(name, path):
    """Refuse, before any work, a path that `replacing` will not be able to write to."""
    existed, partial = os.path.lexists(path), _partial(path)
    try:
        open(path, "ab").close()  # refuses folders, and files that may not be changed
        partial.touch()
    except OSError as error:
        raise ValueError(f"{name} must be a file that can be written, got {str(path)!r} ({error.strerror})") from None
    finally:
        for made in [partial, *([] if existed else [path])]:
            if os.path.isfile(made):
                os.unlink(made)


@contextmanager
def replacing(path):
    """Give a path beside another, whose place it takes when it has been written: the file is whole at every moment.

    Whatever stops the writing leaves the old file, and several processes may write the same one.
    """
    partial = _partial(path)
    try:
        yield partial
        partial.replace(Path(path).resolve())
    finally:
        partial.unlink(missing_ok=True)


def replace_arrays(path, **arrays):
    """Write a file of arrays by `replacing`."""
    with replacing(path) as partial:
        np.savez(partial, **arrays)


def _partial(path):
    """Where the file at a path is written before it takes its place."""
    path = Path(path).resolve()
    return path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
