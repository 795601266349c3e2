"""The line of a terminal that says what is being done, how far it has come, and when kernels are being compiled."""

import os
import sys
from contextlib import contextmanager
from html import escape
from threading import Event, Lock, RLock, Thread
from time import monotonic

from ._compiling import listeners

SILENCE, EVERY = 1.0, 0.25
"""Work is not told of that ends within so many seconds; the line is written again after so many."""
BLOCKS, MOST_COUNTED, WIDTH = 20, 1_000_000, 100
"""The length of a bar; of more units the share alone is told; the columns of a terminal that does not say how many it has."""
COMPILING = "compiling (first run only)"


class _Bar:
    """A stage of the work: how many of its units are done, of how many, and what time compiling took meanwhile."""

    def __init__(self, what, total, unit, done):
        self.what, self.total, self.unit, self.done = what, total, unit, done
        self.began, self.first, self.lost, self.lock = monotonic(), None, 0.0, Lock()

    def advance(self, count):
        """Be told, by any thread, that more units are done; time counts for them from the first on."""
        with self.lock:
            self.done += count
            if self.first is None and count:
                self.first = monotonic() - self.lost, self.done

    def share(self):
        """The part that is done, or None where no number says."""
        return min(self.done / self.total, 1.0) if self.total else None

    def brief(self):
        """The stage in few words, before those of a stage within it."""
        return f"{self.what} {min(self.done + 1, self.total)} of {self.total}: " if self.total else f"{self.what}: "

    def words(self):
        """The stage in words: how far it has come and, where that can be told, how long it will take."""
        now, parts = monotonic(), []
        part = self.share()
        if part is not None:
            parts = [f"[{'#' * int(BLOCKS * part):.<{BLOCKS}}] {int(100 * part)} %"]
        if self.unit and self.done and (self.total or 0) < MOST_COUNTED:
            of = f" of {self.total}" if self.total else ""
            several = "" if (self.total or self.done) == 1 else "es" if self.unit.endswith("x") else "s"
            parts.append(f"{self.done}{of} {self.unit}{several}")
        parts.append(_clock(now - self.began))
        if self.total and self.done >= self.total:
            parts.append("finishing")
        elif self.total and self.first and self.first[1] < self.done:
            pace = (now - self.lost - self.first[0]) / (self.done - self.first[1])
            parts.append(f"about {_clock(pace * (self.total - self.done))} left")
        return f"{self.what} {', '.join(parts)}"


class _Cell:
    """Where a notebook shows the line, beneath the cell that runs: as a bar of its own, of which nothing stays."""

    def __init__(self, display):
        self.display, self.handle = display, None

    @classmethod
    def here(cls):
        """That of the notebook in which this process is a kernel; None where it is none, or its errors go elsewhere."""
        shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
        if getattr(shell, "kernel", None) is None:
            return None
        return cls(sys.modules["IPython"].display.display)

    def write(self, text, share):
        """Show a text and, of the whole, the share that is done, or neither."""
        bar = "" if share is None else f'<progress max="1" value="{share:.4f}"></progress> '
        shown = {"text/plain": text, "text/html": f"<div>{bar}{escape(text)}</div>" if text else ""}
        if self.handle is None:
            self.handle = self.display(shown, raw=True, display_id=True)
        else:
            self.handle.update(shown, raw=True)


class _Line:
    """The one line of this process: what the innermost of the stages that have begun says, written by a thread of its own."""

    def __init__(self):
        self.bars, self.lock, self.written, self.ended, self.cell = [], RLock(), "", None, None
        listeners.append(self.compiles)

    @contextmanager
    def stage(self, bar):
        """Tell of a stage while it lasts; the first of them opens the line and closes it."""
        with self.lock:
            self.bars.append(bar)
            if len(self.bars) == 1:
                self.ended = Event()
                Thread(target=self._tell, args=(self.ended,), daemon=True).start()
        try:
            yield bar.advance
        finally:
            with self.lock:
                self.bars.remove(bar)
                if not self.bars:
                    self.ended.set()
                    self.write("")

    def compiles(self, begins):
        """Be told that a kernel begins to be compiled, or is done: that time is not the stages', and is told of all kernels."""
        with self.lock:
            if begins and self.bars:
                kernel = _Bar(COMPILING, None, "", 0)
                kernel.lost = self.bars[0].lost
                kernel.began -= kernel.lost
                self.bars.append(kernel)
            elif not begins:
                kernel = next((bar for bar in reversed(self.bars) if bar.what == COMPILING), None)
                if kernel:
                    self.bars.remove(kernel)
                    for bar in self.bars:
                        bar.lost += monotonic() - kernel.began - kernel.lost

    def text(self):
        """What the line says: the stages that have begun, and of the innermost how far it has come."""
        *around, innermost = self.bars
        return "".join(bar.brief() for bar in around) + innermost.words()

    def _tell(self, ended):
        """Write the line again and again until the last stage has ended."""
        pause = SILENCE
        while not ended.wait(pause):
            with self.lock:
                if not ended.is_set():
                    self.write(self.text())
            pause = EVERY

    def write(self, text):
        """Replace the line by another, or by nothing."""
        if self.cell is None and text and text != self.written:
            self.cell = _Cell.here()
        if self.cell:
            self.cell.write(text, self.bars[-1].share() if self.bars else None)
            self.written, self.cell = text, self.cell if text else None
            return
        try:
            columns = os.get_terminal_size(sys.stderr.fileno()).columns or WIDTH
        except (OSError, ValueError, AttributeError):  # no terminal: a notebook, or a file
            columns = WIDTH
        text = text[: columns - 1]
        if text != self.written:
            sys.stderr.write(f"\r{text:<{len(self.written)}}" + ("" if text else "\r"))
            sys.stderr.flush()
        self.written = text


_line = _Line()


@contextmanager
def progress_bar(total, shown, unit, what, *, done=0):
    """Give a function that is told, by any thread, how many more units are done, of ``total`` (or None) with ``done`` before.

    It is shown on standard error if ``shown``, and within work that is. Where no number says more, the line tells ``what`` is
    being done and since when. The time left is judged from the first unit on, without what compiling took.
    """
    if shown or _line.bars:
        with _line.stage(_Bar(what, total, unit, done)) as advance:
            yield advance
    else:
        yield lambda count: None


def say(text):
    """Write a text to standard error, above what is told of the work."""
    with _line.lock:
        _line.write("")
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def each(things, shown, unit, what):
    """Yield things from a list, with a `progress_bar` of how many are done."""
    with progress_bar(len(things), shown, unit, what) as advance:
        for one in things:
            yield one
            advance(1)


def _clock(seconds):
    """Seconds as 0:05, 12:05 or 1:12:05."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
