"""Training on a dask cluster."""

from contextlib import contextmanager

RETRIES = 3
"""How often a portion is tried again after an error; portions of workers that died are rescheduled anyway."""


@contextmanager
def cluster_executor(address, *, timeout=10):
    """Give an executor that trains on the workers of a dask scheduler, at an address such as "tcp://127.0.0.1:8786".

    Raises ValueError when distributed is not installed or no scheduler answers within ``timeout`` seconds.
    """
    try:
        from distributed import Client
    except ImportError:
        raise ValueError('scheduler needs the package distributed: install "phasediag[cluster]"') from None
    if not isinstance(address, str) or "://" not in address:
        raise ValueError(f"scheduler must be the address of a running dask scheduler, tcp://HOST:PORT, got {address!r}")
    try:
        client = Client(address, timeout=timeout, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(f"scheduler must be the address of a running dask scheduler, got {address!r} ({error})") from None
    with client:
        yield client.get_executor(pure=False, retries=RETRIES)
