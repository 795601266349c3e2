"""Reading and replacing .npz files of plain arrays: what cannot be read is refused by the argument's name."""

from pathlib import Path
from zipfile import BadZipFile
from zlib import error as BadStream

import numpy as np

from ._arguments import check_path
from ._files import replacing


def npz_path(name, path):
    """Return the path of an .npz file, or raise ``ValueError``."""
    check_path(name, path)
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


def replace_arrays(path, **arrays):
    """Write a file of arrays by `replacing`."""
    with replacing(path) as partial:
        np.savez(partial, **arrays)
