"""What commands share: files checked before the work, consoles of few characters, how a stop is told."""

import codecs
import io
import os
import sys
from contextlib import contextmanager
from pathlib import Path

import click

from .._files import check_writable

PICTURES = (".png", ".svg", ".pdf")
PLAIN = {
    "→": "->",
    "−": "-",
    "…": "...",
    "×": "x",
    "·": "*",
    "≤": "<=",
    "≥": ">=",
    "∞": "inf",
    "²": "^2",
    "ᵀ": "^T",
    "±": "+-",
    "‖": "|",
    "Σ": "sum of ",
    "√": "sqrt ",
    "≠": "!=",
}


class Stopped(Exception):
    """The user pressed Ctrl-C; the message says how to go on."""


def write_plainly():
    """Where the encoding of an output has no → or ∞, write -> and inf from now on, instead of failing."""
    codecs.register_error("phasediag", _plain)
    sys.stdout, sys.stderr = (open(os.devnull, "w") if one is None else one for one in (sys.stdout, sys.stderr))  # closed
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="phasediag")


def plainly(text):
    """A text in the characters that standard output has."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, "phasediag").decode(encoding)


def _plain(error):
    """Handle the error of an encoder: other words for the characters that it lacks, and where to go on."""
    return "".join(PLAIN.get(character, "?") for character in error.object[error.start : error.end]), error.end


class PlainHelp:
    """Of commands: help that click, which writes UTF-8 where the console says that it reads ASCII, need not encode."""

    def get_help(self, context):
        """The help in the characters of the console."""
        return plainly(super().get_help(context))


class Command(PlainHelp, click.Command):
    """A command whose help any console can show."""


class Group(PlainHelp, click.Group):
    """A group of commands whose help any console can show."""


@contextmanager
def goes_on_from(path, option=None):
    """Tell a person who presses Ctrl-C how to go on: from the file or folder, or, without one, with the option that names one."""
    try:
        yield
    except KeyboardInterrupt:
        without = f"; with {option} can be gone on with" if option else ""
        raise Stopped(without if path is None else f"; the same command goes on from {path}") from None


def check_file(name, path, endings):
    """Refuse, before any work, a file that has a wrong ending or cannot be written."""
    if Path(path).suffix not in endings:
        raise ValueError(f"{name} must end in {', '.join(endings)}, got {str(path)!r}")
    check_writable(name, Path(path))
