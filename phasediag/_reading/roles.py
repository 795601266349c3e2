"""Which array of a file is what, by the words of its name; numbers of a type that needs a scale."""

import re

import numpy as np

WEIGHTS = {"w", "weight", "weights", "kernel", "kernels", "encoder", "decoder", "enc", "dec", "embed", "embedding", "unembed"}
BIAS = {"b", "bias", "biases"}
DECODER = {"out", "output", "dec", "decoder", "decode", "unembed", "unembedding", "final", "up", "reconstruct"}
IMPORTANCE = {"importance", "importances"}
DENSITY = {"density", "densities", "probability", "probabilities", "prob", "probs"}
SPARSITY = {"sparsity", "sparsities"}
SCALE = {"scale", "scales"}
ZERO_POINT = {"zero", "zeropoint", "zp"}
TRAINING = set(
    "optimizer optimizers optim opt exp avg momentum grad gradient gradients scheduler lr loss losses history step steps epoch "
    "epochs seed rng phase dropout drop".split()
)
BY_HAND = 10
"""Whole numbers up to this may have been typed as weights."""


def words(name):
    """The words and numbers of a name, in small letters: "encoder.W_1t" has "encoder", "w", "1", "t"."""
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+", name)]


def role(name, array):
    """One of "weights", "bias", "importance", "density", "sparsity", "scale", "training", or "" of an array with this name."""
    found = set(words(name))
    for what, marks in (("training", TRAINING), ("scale", SCALE | ZERO_POINT), ("bias", BIAS)):
        if found & marks:
            return what
    for what, marks in (("importance", IMPORTANCE), ("density", DENSITY), ("sparsity", SPARSITY)):
        if found & marks:
            return what
    if found & WEIGHTS:
        return "weights"
    if not found - {word for word in found if word.isdigit()}:  # without a name: a list's entries
        return ("", "bias", "weights")[min(np.ndim(array), 2)]
    return ""


def first_layer(names):
    """The one of several arrays of weights that encodes: it has no decoder's word, or the lowest number; None where two may."""

    def place(name):
        found = words(name)
        return bool(DECODER & set(found)), [int(word) for word in found if word.isdigit()]

    ordered = sorted(names, key=place)
    return ordered[0] if len(ordered) == 1 or place(ordered[0]) < place(ordered[1]) else None


def real(what, name, arrays, path):
    """(the array of this name as floats, the name of the scale they were multiplied by or None).

    Integers need a scale where they are quantized numbers: short ones, and those of a bias, unless all are −1, 0 or 1, others
    where some are too large to have been typed by hand.
    """
    array = arrays[name]
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{what} must be an array of real numbers, got one of type {array.dtype}")
    values = array.astype(np.float64)
    typed = 1 if what == "bias" or array.dtype.itemsize < 4 else BY_HAND
    if array.dtype.kind == "f" or np.all(np.abs(values) <= typed):
        return values, None
    near = [other for other in arrays if other != name and role(other, arrays[other]) == "scale"]
    own = [other for other in near if set(words(name)) <= set(words(other))] or near
    if len(own) != 1 or set(words(own[0])) & ZERO_POINT:
        raise ValueError(
            f'{what} must be numbers or have a scale, got "{name}" of type {array.dtype}, quantized, without one scale alone in '
            f"{str(path)!r}: save the model before it is quantized"
        )
    scale = np.asarray(arrays[own[0]], dtype=np.float64)
    if scale.size == 1:
        return values * scale.item(), own[0]
    if scale.ndim != values.ndim or any(s not in (1, size) for s, size in zip(scale.shape, values.shape, strict=True)):
        raise ValueError(f'{what} must have a scale of one number or of their own axes, got "{own[0]}" of shape {scale.shape}')
    return values * scale, own[0]
