"""What the person at a terminal sees: choices in any case, plain words on old consoles, that kernels are being compiled."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import click
import pytest

from phasediag import model, phase_diagram, trained_models, training
from phasediag._commands.diagram import boundary, diagram
from phasediag._commands.model import train
from phasediag._commands.options import Axis, Word
from phasediag._compiling import listeners
from phasediag._progress import COMPILING, _line, each, progress_bar, say
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


@pytest.mark.quick("_commands")
@pytest.mark.parametrize(
    ("before", "after", "code", "words"),
    [
        ("", ">&-", 0, ""),
        ("", "2>&-", 0, "2 → 1, frozen theory"),
        ("", ">/dev/full", 2, "phasediag: No space left on device\n"),
        ("NUMBA_DISABLE_JIT=1", "", 0, "2 → 1, frozen theory"),
        ("PYTHONIOENCODING=ascii MPLBACKEND=module://none HOME=/proc/none", "", 0, "2 -> 1, frozen theory"),
    ],
)
def test_unusual_shells(environment, before, after, code, words):
    """Closed streams, a full disk, a terminal without Unicode, no home: the answer, or a line that says what is wrong."""
    line = f"{before} {sys.executable} -m phasediag boundary --theory frozen {after}"
    done = subprocess.run(line, shell=True, env=environment, capture_output=True, text=True)
    assert done.returncode == code and (done.stdout + done.stderr).startswith(words)


@pytest.mark.quick("_commands")
@pytest.mark.parametrize("command", ["", "inspect", "diagram"])
def test_help_is_ascii_where_the_console_is(environment, command):
    """click would write UTF-8 there."""
    own = environment | {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    line = f"{sys.executable} -m phasediag {command} --help"
    done = subprocess.run(line, shell=True, env=own, capture_output=True, check=True)
    assert done.stdout.isascii() and b"Usage: " in done.stdout and b"?" not in done.stdout and done.stderr == b""


@pytest.mark.quick("_commands")
def test_help_waits_for_nothing_heavy(environment):
    """NumPy, numba and matplotlib are imported by commands that need them."""
    script = "import sys, phasediag.cli; sys.exit(bool({'numpy', 'numba', 'matplotlib'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], env=environment).returncode == 0


class _Clock:
    """A clock for the line of a terminal, and no thread: the line is written when the test says so."""

    def __init__(self, monkeypatch):
        self.now = 100.0
        monkeypatch.setattr("phasediag._progress.monotonic", lambda: self.now)
        monkeypatch.setattr("phasediag._progress.Thread", lambda **_: self)

    def start(self):
        """Instead of a thread's."""


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test moves."""
    return _Clock(monkeypatch)


@pytest.mark.quick("_commands")
def test_stages_say_how_far_they_have_come(clock):
    """Share, count, time and, from the second unit on, what is left; at the end that it is not yet over."""
    with progress_bar(100, True, "cell", "minima", done=20) as advance:
        clock.now += 5
        assert words() == "minima [####................] 20 %, 20 of 100 cells, 0:05"
        advance(0)
        advance(20)
        clock.now += 10
        advance(20)
        assert words() == "minima [############........] 60 %, 60 of 100 cells, 0:15, about 0:20 left"
        advance(40)
        assert words() == "minima [####################] 100 %, 100 of 100 cells, 0:15, finishing"
        with progress_bar(None, False, "curve", "boundaries") as followed:
            clock.now += 3600
            assert words() == "minima 100 of 100: boundaries 1:00:00"
            followed(1)
            assert words().endswith("boundaries 1 curve, 1:00:00")
    assert list(each([3, 4], False, "model", "density")) == [3, 4]


@pytest.mark.quick
def test_time_of_compiling_is_told_and_not_counted(clock):
    """While kernels are compiled the line says so, and how long in all; the time left is that of the work."""
    with progress_bar(4, True, "cell", "minima") as advance:
        advance(1)
        clock.now += 10
        for spent in (70, 20):
            [listener(True) for listener in listeners]
            clock.now += spent
            assert words().endswith(f"{COMPILING} {'1:10' if spent == 70 else '1:30'}")
            [listener(False) for listener in listeners]
            assert COMPILING not in words()
        advance(1)
        assert words() == "minima [##########..........] 50 %, 2 of 4 cells, 1:40, about 0:20 left"
    [listener(True) for listener in listeners]
    assert not _line.bars


@pytest.mark.quick
def test_a_line_is_written_over_and_erased(clock, capsys):
    """A shorter line covers the longer one before it; what is said stands above it; at the end nothing is left."""
    with progress_bar(None, True, "", "a long work"):
        for text in ("a long work 0:01", "short", ""):
            _line.write(text)
        say("wrote a file")
    assert capsys.readouterr() == ("", f"\ra long work 0:01\rshort{11 * ' '}\r     \rwrote a file\n")
    with progress_bar(100, False, "cell", "minima") as advance:
        advance(30)
        assert not _line.bars
    assert capsys.readouterr() == ("", "")


def words():
    """What the line would say."""
    return _line.text()


@pytest.mark.quick
def test_nobody_is_told_without_a_terminal(run):
    """In a pipe a command says nothing of its work."""
    assert run("minimize")[2] == "" and not _line.bars


def _on_a_terminal(arguments, environment, *program, columns=100):
    """What a command of its own process writes to a pseudo-terminal; one of 0 columns does not know how many it has."""
    own, other = pty.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, *(program or ("-m", "phasediag")), *arguments], env=environment, stdout=other, stderr=other
    )
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


EAGER = "import phasediag._progress as p, phasediag.cli as c; p.SILENCE = p.EVERY = 0.001; c.main()"
"""A command that tells of what takes a millisecond."""


def test_the_first_run_says_that_it_compiles(tmp_path, environment):
    """On a terminal, however fast it compiles; no estimate is made of the time that it takes; the next run is silent about it."""
    environment = {**environment, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = ["train", "--n-steps", "20000", "--n-models", "3"]
    first, second = (_on_a_terminal(command, environment, "-c", EAGER, columns=0) for _ in range(2))
    told = [line.rstrip() for line in re.split(r"[\r\n]+", first) if COMPILING in line]
    assert told and all(re.fullmatch(rf"(train|train: .*): {re.escape(COMPILING)} \d:\d\d", line) for line in told), told
    assert COMPILING not in second
    assert first.splitlines()[-3:] == second.splitlines()[-3:]


def test_one_line_tells_of_cells_curves_and_spinodals(environment, tmp_path):
    """Each stage in turn; the picture is there before the curves are followed; no line is longer than the terminal."""
    window = ["--importance", "0.25:0.35:3", "--density", "0.25:0.45:4", "--output", str(tmp_path / "fig.png")]
    seen = _on_a_terminal(["diagram", *window], environment, "-c", EAGER)
    stages = "diagram: minima [", "(cells; curves are being followed)", "diagram: boundaries", "spinodals [", "fig.png\r\n"
    assert sorted(map(seen.index, stages)) == list(map(seen.index, stages))
    assert max(len(line) for line in re.split(r"[\r\n]+", seen) if line.startswith("diagram")) <= 99
    assert seen.count("wrote") == 2 and "12 of 12 cells" in seen
