"""Fixtures of tests that run other processes and watch them train."""

import os
import time
from pathlib import Path

import pytest

import phasediag
from phasediag.cli import main


@pytest.fixture
def run(capsys):
    """Run the command in this process; returns (exit code, stdout, stderr)."""

    def call(*arguments):
        with pytest.raises(SystemExit) as end:
            main([str(a) for a in arguments])
        captured = capsys.readouterr()
        return end.value.code, captured.out, captured.err

    return call


@pytest.fixture(scope="session")
def environment():
    """This environment with the package under test first on the path."""
    root = str(Path(phasediag.__file__).parent.parent)
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))}


@pytest.fixture(scope="session")
def wait_for():
    """Wait until ``ready()``, while a process runs and not for ever."""

    def wait(ready, process, seconds=120):
        until = time.monotonic() + seconds
        while not ready():
            assert time.monotonic() < until and process.poll() is None
            time.sleep(0.002)

    return wait


@pytest.fixture(scope="session")
def finished_portions():
    """How many portions a store on disk holds; its files appear under their names when they are whole."""
    return lambda store: sum(1 for path in Path(store, "bias", "c").rglob("*") if path.is_file() and path.name == "0")
