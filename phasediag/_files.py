"""Files that are whole at every moment."""

import os
from contextlib import contextmanager
from pathlib import Path


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
    except OSError as error:
        if error.filename not in (str(partial), partial):
            raise
        raise type(error)(error.errno, error.strerror, str(path)) from None  # by the name that the user knows
    finally:
        partial.unlink(missing_ok=True)


def _partial(path):
    """Where the file at a path is written before it takes its place."""
    path = Path(path).resolve()
    return path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
