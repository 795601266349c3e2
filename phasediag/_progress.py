"""The bar that shows how far a long work has come."""

from contextlib import contextmanager
from threading import Lock


@contextmanager
def progress_bar(total, shown, unit, what, *, done=0):
    """Give a function that is told, by any thread, how many more units are done, of ``total`` (or None) with ``done`` before.

    The bar opens with the first of them, so that the time left is not judged by what compiling and setting up took, and is not
    drawn for work that ends within a second.
    """
    if not shown:
        yield lambda count: None
        return
    from tqdm import tqdm  # not imported for work without a bar: it takes longer than much of it

    lock, bars = Lock(), []

    def advance(count):
        with lock:
            if bars:
                bars[0].update(count)
            elif count:
                scaled = (total or 0) >= 100_000
                bars.append(tqdm(total=total, initial=done + count, unit=unit, unit_scale=scaled, desc=what, delay=1))

    try:
        yield advance
    finally:
        for bar in bars:
            bar.close()
