"""Tasks done in their order, ahead of their turn in processes that work beside this one.

These are forks of a process that holds the package and no thread: threads of this one, which may hold locks at any moment, are in
none of them, and another one takes no import. Where the system has no such forks all is done here.
"""

import atexit
import os
import pickle
import signal
import socket
import subprocess
import sys
from collections import deque
from contextlib import closing, suppress
from functools import cache
from importlib import import_module
from io import BytesIO
from multiprocessing.connection import Connection, wait

UNWRITTEN = pickle.PicklingError, AttributeError, TypeError
"""What is raised for what cannot be pickled."""

_SOURCE = "import sys; sys.path[:] = {path!r}; from {here} import fork_when_asked; fork_when_asked({place}, {module!r})"


def prepare(module):
    """Let the process that holds a module be there when another is to be forked from it."""
    _parent(module)


def elsewhere(pool, module, name, *given):
    """The future, of a pool of threads, of what a function of a module returns for what is given as it is now.

    It is worked out by another process, in which the module is held, where one is to be had; this one need not import it then.
    The pickle is written here and now, as another thread would come upon objects that change while they are written.
    """
    try:
        return pool.submit(_by_another, module, _written((_called, (module, name, given))))
    except UNWRITTEN:
        return pool.submit(_called, None, module, name, given)


def _by_another(module, asked):
    """What another process answers to a pickled request, or this one to the same where there is none."""
    worker = _worker(module)
    if worker is not None:
        with closing(worker), suppress(EOFError, OSError):
            worker.begin(int(worker.recv_bytes()), _written((_nothing, ())))
            worker.send_bytes(asked)
            return pickle.loads(worker.recv_bytes())
    function, given = pickle.loads(asked)
    return function(None, *given)


def _nothing():
    """What is common where no object is."""


def _called(_, module, name, given):
    """What a function of a module returns."""
    return getattr(import_module(module), name)(*given)


class Workers:
    """Up to ``count`` processes, which end when they are closed; none where one alone would work.

    common: an object that tasks and answers refer to, and that stays the one known here. In the others a function of a module
    makes it of ``given``. A process that is lost, or cannot be asked, is one less: what it was to do is done here.
    """

    def __init__(self, count, common, make, *given):
        self._common, self._idle, self._busy, self._begin = common, [], {}, b""
        try:
            self._begin = _written((make, given)) if count > 1 else b""
        except UNWRITTEN:  # a plane of a function that only this process knows
            return
        if self._begin:
            self._busy = {worker: None for worker in map(_worker, [make.__module__] * count) if worker is not None}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for worker in (*self._idle, *self._busy):
            worker.close()

    def do(self, tasks, alone):
        """Do tasks in their order, and those that follow from them after all others.

        A task has ``is_wanted()``, asked when its turn comes and perhaps before; ``work(told)``, which returns what a process is
        asked, (function of a module, its arguments after the common object), and what it has been told by then; and
        ``done(answer)``, which takes the answer in its turn and returns the tasks that follow. ``alone(task)`` answers here.
        """
        waiting, begun, answers = deque(tasks), set(), {}
        while waiting:
            self._collect(answers, wait_for=0)
            for task in list(waiting) if self._idle else ():
                if self._idle and task not in begun and task.is_wanted():
                    begun.add(task)
                    self._send(self._idle.pop(), task)
            task = waiting[0]
            if task not in answers and task.is_wanted() and any(self._busy.values()):
                self._collect(answers, wait_for=None)
                continue
            waiting.popleft()
            if task.is_wanted():
                waiting.extend(task.done(answers.pop(task) if task in answers else alone(task)))

    def _send(self, worker, task):
        """Let a process that is idle work at a task."""
        try:
            asked, worker.told = task.work(worker.told)
            worker.send_bytes(_written(asked, self._common))
            self._busy[worker] = task
        except (OSError, *UNWRITTEN):
            worker.close()

    def _collect(self, answers, wait_for):
        """Take answers that have come to a dict by their tasks; wait so many seconds for the first of them, None: for ever."""
        for worker in wait(self._busy, wait_for) if self._busy else ():
            task = self._busy.pop(worker)
            try:
                text = worker.recv_bytes()
                if task is None:
                    worker.begin(int(text), self._begin)
                else:
                    answers[task] = _Reading(BytesIO(text), self._common).load()
                self._idle.append(worker)
            except (EOFError, OSError):
                worker.close()


class _Worker(Connection):
    """The connection to a process, which is killed when it is closed. ``told``: how much it has been told of what grows."""

    process, told = None, 0

    def begin(self, number, text):
        """Tell the process of this number how to begin."""
        self.process = os.pidfd_open(number)
        self.send_bytes(text)

    def close(self):
        """Let it end, whatever it is doing."""
        super().close()
        if self.process is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.process, signal.SIGKILL)
            os.close(self.process)
            self.process = None


def _worker(module):
    """A new process that holds a module, to be told how to begin when it has said its number; None where none is to be had."""
    parent = _parent(module)
    if parent is None:
        return None
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            socket.send_fds(parent, [b"f"], [theirs.fileno()])
        except OSError:
            ours.close()
            return None
    return _Worker(ours.detach())


@cache
def _parent(module):
    """The socket by which the process that holds a module is asked for forks; None where there is none to be had."""
    if not hasattr(os, "pidfd_open") or not sys.executable or getattr(sys, "frozen", False):
        return None
    ours, theirs = socket.socketpair()
    source = _SOURCE.format(path=sys.path, here=__name__, place=theirs.fileno(), module=module)
    alone = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
    with theirs:
        try:
            process = subprocess.Popen(
                [sys.executable, "-c", source],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=os.environ | alone,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        except OSError:
            return None
    atexit.register(_end, process, ours)
    return ours


def _end(process, parent):
    """Kill the process that is asked by a socket, and wait for its end."""
    parent.close()
    process.kill()
    process.wait()


def fork_when_asked(place, module):
    """Import a module, then fork a process for every connection that is sent to a socket, until its other end is closed."""
    import_module(module)
    signal.signal(signal.SIGCHLD, lambda *_: _reap())
    asked = socket.socket(fileno=place)
    while True:
        _, connections, _, _ = socket.recv_fds(asked, 1, 1)
        if not connections:
            return
        if not os.fork():
            asked.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _work(Connection(*connections))
        os.close(*connections)


def _reap():
    """Take notice of forks that have ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


def _work(connection):
    """Say the own number, begin as is told, then do what is asked and answer.

    When there is nothing more, or something fails, this process ends.
    """
    try:
        connection.send_bytes(str(os.getpid()).encode())
        make, given = pickle.loads(connection.recv_bytes())
        common = make(*given)
        while True:
            function, given = _Reading(BytesIO(connection.recv_bytes()), common).load()
            connection.send_bytes(_written(function(common, *given), common))
    finally:
        os._exit(0)


def _written(one, common=None):
    """The pickle of something in which the common object is only referred to."""
    text = BytesIO()
    _Writing(text, common).dump(one)
    return text.getvalue()


class _Writing(pickle.Pickler):
    """Writes what refers to a common object."""

    def __init__(self, file, common):
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._common = common

    def persistent_id(self, one):
        """What stands for the common object."""
        return "common" if one is self._common and one is not None else None


class _Reading(pickle.Unpickler):
    """Reads it, the common object in its place."""

    def __init__(self, file, common):
        super().__init__(file)
        self._common = common

    def persistent_load(self, _):
        """The common object."""
        return self._common
