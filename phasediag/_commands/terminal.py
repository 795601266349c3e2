"""What commands share: files checked before the work, words to the person at the terminal, how a stop is told."""

import codecs
import io
import os
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import click

from .._compiling import listeners

PICTURES = (".png", ".svg", ".pdf")
PLAIN = {"→": "->", "−": "-", "…": "...", "×": "x", "·": "*", "≤": "<=", "≥": ">=", "∞": "inf", "²": "^2", "ᵀ": "^T"}
COMPILING, ERASE = "compiling (first run only) …", "\r\033[K"


class Stopped(Exception):
    """The user pressed Ctrl-C; the message says how to go on."""


def say_on_terminal(message):
    """Write a line to standard error if a person reads it."""
    if sys.stderr.isatty():
        click.echo(message, err=True)


def say_while_compiling():
    """Tell the person at the terminal, if there is one, when kernels are being compiled."""
    listeners[:] = [CompilingNotice(sys.stderr)] if sys.stderr.isatty() else []


def write_plainly():
    """Where the encoding of an output has no → or ∞, write -> and inf from now on, instead of failing."""
    codecs.register_error("phasediag", _plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="phasediag")


def _plain(error):
    """Handle the error of an encoder: other words for the characters that it lacks, and where to go on."""
    return "".join(PLAIN.get(character, "?") for character in error.object[error.start : error.end]), error.end


class CompilingNotice:
    """Says on a terminal that kernels are being compiled, as soon as that has taken a second."""

    def __init__(self, stream):
        self.stream, self.lock = stream, threading.Lock()
        self.spent, self.began, self.timer, self.said = 0.0, None, None, False

    def __call__(self, begins):
        """Be told that compilation begins or ends."""
        if begins:
            self.began, self.timer = time.monotonic(), threading.Timer(max(0.0, 1.0 - self.spent), self._say)
            self.timer.daemon = True
            self.timer.start()
            return
        with self.lock:
            self.timer.cancel()
            self.spent, self.began = self.spent + time.monotonic() - self.began, None
        if self.said:
            self.stream.write(ERASE)
            self.stream.flush()
            self.said = False

    def _say(self):
        """Say it, unless compilation has just ended; called by the timer's thread."""
        with self.lock:
            if self.began is not None:
                self.stream.write(f"{ERASE}{COMPILING}")
                self.stream.flush()
                self.said = True


@contextmanager
def goes_on_from(path, option=None):
    """Tell a person who presses Ctrl-C how to go on: from the file or folder, or, without one, with the option that names one."""
    try:
        yield
    except KeyboardInterrupt:
        without = f"; with {option} can be gone on with" if option else ""
        raise Stopped(without if path is None else f"; the same command goes on from {path}") from None


def wrote(path):
    """Say that a file has been written."""
    click.echo(f"wrote {path}", err=True)


def save_figure(figure, path, dpi=160):
    """Write a picture and say so."""
    figure.savefig(path, dpi=dpi)
    wrote(path)


def check_file(name, path, endings):
    """Refuse, before any work, a file that has a wrong ending or cannot be written."""
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
