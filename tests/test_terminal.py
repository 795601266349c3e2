"""What the person at a terminal sees: choices in any case, plain words on old consoles, that kernels are being compiled."""

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time

import click
import pytest
from tqdm import tqdm

from phasediag import model, phase_diagram, trained_models, training
from phasediag._commands.diagram import boundary, diagram
from phasediag._commands.model import train
from phasediag._commands.options import Axis, Word
from phasediag._commands.terminal import COMPILING, ERASE, CompilingNotice, say_while_compiling
from phasediag._compiling import listeners
from phasediag._progress import progress_bar
from phasediag._training import optimizers
from phasediag.colours import LOOKS

WINDOW = ["--importance", "0.5:2:3", "--density", "0.5:1:3"]


def _choices(command, name):
    """The words that an option takes."""
    return {param.name: param.type for param in command.params}[name].choices


def test_choices_are_those_of_the_package():
    """The words that the help shows are those that the functions take."""
    assert set(_choices(diagram, "look")) == set(LOOKS)
    assert set(_choices(diagram, "activation")) == set(_choices(train, "activation")) == set(model.ACTIVATIONS)
    assert set(_choices(train, "optimizer")) == set(optimizers.OPTIMIZERS)
    assert set(_choices(train, "schedule")) == set(optimizers.SCHEDULES)
    assert set(_choices(train, "gradient")) == set(training.GRADIENTS)
    assert set(_choices(diagram, "reduction")) == set(trained_models.REDUCTIONS)
    assert set(_choices(diagram, "theory")) == {*_choices(boundary, "theory"), "trained"}


@pytest.mark.quick
def test_help_shows_the_choices(run):
    """The choices stand where TEXT stood, and axes say that their steps are logarithmic."""
    code, out, _ = run("diagram", "--help")
    assert code == 0 and "--theory [global|relaxed|frozen|trained]" in out and "--optimizer [adamw|adam|sgd]" in out
    assert "LOW:HIGH:COUNT in equal logarithmic steps" in re.sub(r"\s+", " ", out)
    code, out, _ = run("boundary", "--help")
    assert code == 0 and "--theory [global|relaxed|frozen]" in out and "trained" not in out


@pytest.mark.quick
def test_words_are_known_in_any_case(run):
    """``--theory Frozen --activation ReLU`` and ``--optimizer Adam`` are what they are in lower case; exact is global."""
    assert run("diagram", "--theory", "Frozen", "--activation", "ReLU", *WINDOW) == run("diagram", "--theory", "frozen", *WINDOW)
    word, option = Word("global", "frozen", exact="global"), click.Option(["--theory"])
    assert [word.convert(value, option, None) for value in ("exact", "EXACT", "Global")] == 3 * ["global"]


def test_exact_is_global(run, monkeypatch):
    """The README's word for the global theory asks for the same diagram."""
    frozen, asked = phase_diagram(importance=[0.5, 1.0], density=[0.5, 1.0], theory="frozen"), []
    monkeypatch.setattr("phasediag.diagram.phase_diagram", lambda *sizes, theory, **options: asked.append(theory) or frozen)
    assert run("diagram", "--theory", "exact") == run("diagram") and asked == ["global", "global"]


@pytest.mark.quick
def test_axes():
    """LOW:HIGH:COUNT is logarithmic; one point may be written as one."""
    axis = Axis()
    assert axis.convert("0.1:10:5", None, None) == pytest.approx([10 ** (k / 2) for k in range(-2, 3)])
    assert axis.convert("0.5:0.5:1", None, None).tolist() == axis.convert("0.5", None, None).tolist() == [0.5]


@pytest.mark.quick
def test_consoles_without_unicode(run, environment):
    """Where the encoding lacks →, − and ∞, as cp1252 does, the same text comes out in other characters."""
    arguments, own = ["boundary", "--theory", "frozen"], {**environment, "PYTHONIOENCODING": "cp1252"}
    done = subprocess.run([sys.executable, "-m", "phasediag", *arguments], env=own, capture_output=True, check=True)
    code, out, _ = run(*arguments)
    assert code == 0 and "2 → 1, frozen theory" in out and b"2 -> 1, frozen theory" in done.stdout
    plain = out.replace("→", "->").replace("−", "-").replace("∞", "inf")
    assert done.stdout.decode("cp1252").replace("\r\n", "\n") == plain and done.stderr == b""


class _Clock:
    """A clock for `CompilingNotice` that stands still unless it is moved."""

    def __init__(self, monkeypatch):
        self.now, self.timers = 100.0, []
        monkeypatch.setattr("phasediag._commands.terminal.time.monotonic", lambda: self.now)
        monkeypatch.setattr("phasediag._commands.terminal.threading.Timer", self.timer)

    def timer(self, seconds, function):
        """Keep a timer: when it would ring, and what for."""
        clock = self

        class Timer:
            def start(self):
                clock.timers.append((clock.now + seconds, function))

            def cancel(self):
                clock.timers.clear()

        return Timer()

    def pass_(self, seconds):
        """Let time pass and due timers ring."""
        self.now += seconds
        due = [function for when, function in self.timers if when <= self.now]
        self.timers = [timer for timer in self.timers if timer[0] > self.now]
        for function in due:
            function()


@pytest.mark.quick("_commands")
def test_compiling_is_said_after_a_second_of_it(monkeypatch):
    """Not before; kernels add up; the words are erased with the kernel."""
    clock, stream = _Clock(monkeypatch), io.StringIO()
    notice = CompilingNotice(stream)
    for took, written in ((0.6, ""), (0.3, ""), (0.5, f"{ERASE}{COMPILING}{ERASE}")):
        notice(True)
        clock.pass_(took)
        clock.pass_(0)
        notice(False)
        assert stream.getvalue() == written
        clock.pass_(7)
    clock.pass_(100)
    assert stream.getvalue().count(COMPILING) == 1


@pytest.mark.quick
def test_bars_open_with_the_first_unit(capsys):
    """What comes before the first unit counts for no unit: the time left is that of the work; short work has no bar."""
    with progress_bar(100, True, "cell", "minima", done=20) as advance:
        time.sleep(0.3)
        advance(0)
        assert not tqdm._instances
        advance(30)
        (bar,) = tqdm._instances
        assert bar.n == bar.initial == 50 and bar.format_dict["elapsed"] < 0.3
        advance(50)
        assert bar.n == 100
    with progress_bar(100, False, "cell", "minima") as advance:
        advance(30)
        assert not tqdm._instances
    assert capsys.readouterr() == ("", "")


@pytest.mark.quick
def test_nobody_is_told_without_a_terminal(run):
    """In a pipe nothing listens to the compiler."""
    say_while_compiling()
    assert listeners == []


def _on_a_terminal(arguments, environment):
    """What a command of its own process writes to a pseudo-terminal of 100 columns."""
    own, other = pty.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    process = subprocess.Popen([sys.executable, "-m", "phasediag", *arguments], env=environment, stdout=other, stderr=other)
    os.close(other)
    written = b""
    while True:
        try:
            part = os.read(own, 4096)
        except OSError:  # the last writer has gone
            break
        if not part:
            break
        written += part
    os.close(own)
    assert process.wait() == 0
    return written.decode()


def test_the_first_run_says_that_it_compiles(tmp_path, environment):
    """On a terminal; no estimate is made of the time that it took; the next run has nothing to say."""
    environment = {**environment, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = ["train", "--n-steps", "20000", "--n-models", "3"]
    first, second = (_on_a_terminal(command, environment) for _ in range(2))
    assert COMPILING in first and first.count(ERASE) == 2 * first.count(COMPILING)
    assert not re.search(r"\d:\d\d:\d\d", first) and COMPILING not in second
    assert first.splitlines()[-3:] == second.splitlines()[-3:]
