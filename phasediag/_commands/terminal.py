"""What commands share: files checked before the work, words to the person at the terminal, how a stop is told."""

import os
import sys
from pathlib import Path

import click

PICTURES = (".png", ".svg", ".pdf")


class Stopped(Exception):
    """The user pressed Ctrl-C; the message says how to go on."""


def say_on_terminal(message):
    if sys.stderr.isatty():
        click.echo(message, err=True)


def check_file(name, path, endings):
    """Refuse, before any work, a file that has a wrong ending or cannot be written."""
    if path is None:
        return
    path = Path(path)
    if path.suffix not in endings:
        raise ValueError(f"{name} must end in {', '.join(endings)}, got {str(path)!r}")
    existed = path.exists()
    try:
        with open(path, "ab"):
            pass
    except OSError as error:
        raise ValueError(f"{name} must be a file that can be written, got {str(path)!r} ({error.strerror})") from None
    if not existed:
        os.unlink(path)
