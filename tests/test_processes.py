"""Tasks in processes: done in their order whatever the processes do, and here where they cannot be done there."""

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from phasediag._processes import Workers, elsewhere


class Common:
    """What tasks refer to: where it was made."""

    def __init__(self, name):
        self.process, self.name = os.getpid(), name


def counted(common, number, seconds):
    """A number that took so long, and the process in which it was worked out; a negative one ends that."""
    if number < 0 and "made" in common.name:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(seconds)
    return common, number, os.getpid()


class Task:
    """The task of counting a number down, of which even ones are wanted no more when 4 has been seen."""

    def __init__(self, seen, number, seconds=0.0):
        self.seen, self.given = seen, (number, seconds)

    def is_wanted(self):
        return self.given[0] % 2 or 4 not in self.seen

    def work(self, told):
        return (counted, self.given), told + 1

    def done(self, answer):
        common, number, process = answer
        self.seen[number] = common, process
        return [Task(self.seen, number - 1)] if number > 3 else []


def done(count, numbers, given="made", seconds=0.0):
    """Which numbers have been counted in which order by so many processes, and by which; the common object."""
    common, seen = Common("here"), {}
    with Workers(count, common, Common, given) as workers:
        for _ in range(50 if count > 1 and isinstance(given, str) else 0):  # until the processes have begun
            time.sleep(0.1)
            workers._collect({}, 0)
            if len(workers._idle) == count:
                break
        workers.do([Task(seen, number, seconds) for number in numbers], lambda task: counted(common, *task.given))
    return list(seen), {process for _, process in seen.values()}, {one for one, _ in seen.values()} == {common}


@pytest.mark.quick
def test_tasks_are_done_in_their_order_by_any_number_of_processes():
    """Those that follow come after all others; which is wanted depends on those before it alone; answers refer to one object."""
    alone, together = done(1, [5, 7, 1, 6, 2]), done(3, [5, 7, 1, 6, 2], seconds=0.02)
    assert alone[0] == together[0] == [5, 7, 1, 6, 2, 4, 3]
    assert alone[1] == {os.getpid()} and os.getpid() not in together[1]
    assert alone[2] and together[2]


def test_what_processes_cannot_do_is_done_here():
    """Where one ends without an answer, and where nobody can be told how to begin."""
    lost, untold = done(2, [1, -1, 3]), done(2, [1, 3], given=threading.Lock())
    assert lost[0] == [1, -1, 3] and os.getpid() in lost[1]
    assert untold == ([1, 3], {os.getpid()}, True)


def test_processes_end_when_they_are_closed():
    """Also those that are busy: an interrupt leaves none behind."""
    common, seen = Common("here"), {}

    class Interrupted(Task):
        """One that is interrupted when the other is being worked at."""

        def done(self, answer):
            raise KeyboardInterrupt

    workers = Workers(2, common, Common, "made")
    with pytest.raises(KeyboardInterrupt), workers:
        while len(workers._idle) < 2:
            workers._collect({}, None)
        processes = [os.dup(worker.process) for worker in workers._idle]
        workers.do([Interrupted(seen, 1), Task(seen, 3, 60.0)], None)
    for process in processes:
        with pytest.raises(ProcessLookupError):
            for _ in range(100):
                signal.pidfd_send_signal(process, 0)
                time.sleep(0.1)
        os.close(process)


def test_a_function_is_worked_out_elsewhere_or_here():
    """In a process that holds its module, which need not be imported here; where it fails, it fails here as well."""
    with ThreadPoolExecutor() as pool:
        assert elsewhere(pool, "os", "getpid").result() != os.getpid()
        with pytest.raises(ValueError, match="domain"):
            elsewhere(pool, "math", "sqrt", -1.0).result()
        assert elsewhere(pool, __name__, "kept", lock := threading.Lock()).result() is lock


@pytest.mark.parametrize("where", ["another process", "this one"])
def test_what_is_given_may_change_at_once(where, monkeypatch):
    """What is worked out elsewhere is that of what was given, whatever becomes of it before a thread gets to it."""
    if where == "this one":
        monkeypatch.setattr("phasediag._processes._worker", lambda _: None)
    begin = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(begin.wait)
        length = elsewhere(pool, "builtins", "len", given := {1: 1})
        given[2] = 2
        begin.set()
        assert length.result() == 1


def kept(one):
    """What cannot be sent anywhere."""
    return one
