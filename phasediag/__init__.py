"""phasediag: an exact phase-diagram solver for superposition.

A tour, stage by stage; every name is loaded when it is first used.
"""

from importlib import import_module

_HOME = {
    # the model and its exact expected loss
    "ToyModel": "model",
}

__all__ = list(_HOME)


def __getattr__(name):
    if name not in _HOME:
        raise AttributeError(f"module 'phasediag' has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__})
