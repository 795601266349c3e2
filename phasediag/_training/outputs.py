"""The activations of outputs, by number, and the errors that they pass back."""

from .._compiling.vectors import constant

ACTIVATIONS = LINEAR, RELU, LEAKY = range(3)


def emit_leaky(b, slope, error, y=None):
    """Emit what a leaky output passes back of a vector of errors e = o − x, with y = −x, or 0 for None: e where o > 0.

    Elsewhere the error is slope o − x and the derivative slope, together slope (y + slope (e − y)).
    """
    y = constant(0.0) if y is None else y
    leak = b.fmul(slope, b.fma(slope, b.fsub(error, y), y))
    return b.where(error, ">", y, error, leak)
