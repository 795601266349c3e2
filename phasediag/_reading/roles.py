"""Which array of a file is what, by the words of its name; numbers of a type that needs a scale."""

import re

import numpy as np

DECODER = {"out", "output", "dec", "decoder", "decode", "unembed", "unembedding", "final", "up", "reconstruct"}
ZERO_POINT = {"zero", "zeropoint", "zp"}
NO_NAME = {"arr"}
"""What numpy.savez calls arrays that are given none."""
MARKS = {
    "training": set(
        "optimizer optimizers optim opt exp avg momentum grad gradient gradients scheduler lr loss losses history step steps "
        "epoch epochs seed rng phase dropout drop".split()
    ),
    "scale": {"scale", "scales"} | ZERO_POINT,
    "bias": {"b", "bias", "biases"},
    "importance": {"importance", "importances"},
    "density": {"density", "densities", "probability", "probabilities", "prob", "probs"},
    "sparsity": {"sparsity", "sparsities"},
    "weights": set("w weight weights kernel kernels encoder decoder enc dec embed embedding unembed".split()),
}
"""The words that tell what an array is, in the order in which they count."""
BY_HAND = 10
"""Whole numbers up to this may have been typed as weights."""


def words(name):
    """The words and numbers of a name, in small letters: "encoder.W_1t" has "encoder", "w", "1", "t"."""
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+", name)]


def roles(arrays):
    """What each of several arrays is by its name, a dict of str: see `role`.

    Of arrays without a name, a list's entries, those with the most axes are the weights, two at least, and the others biases.
    """
    found = {name: role(name) for name in arrays}
    bare = [name for name in arrays if all(word.isdigit() or word in NO_NAME for word in words(name))]
    most = max((np.ndim(arrays[name]) for name in bare), default=0)
    found |= {name: "weights" if np.ndim(arrays[name]) == most > 1 else "bias" for name in bare if np.ndim(arrays[name])}
    return found


def role(name):
    """One of "weights", "bias", "importance", "density", "sparsity", "scale", "training", or "" of an array with this name."""
    found = set(words(name))
    for what, marks in MARKS.items():
        if found & marks:
            return what
    return ""


def first_layer(names):
    """The one of several arrays of weights that encodes: it has no decoder's word, or the lowest number; None where two may."""

    def place(name):
        """Where a name stands: decoders last, then by its numbers."""
        found = words(name)
        return bool(DECODER & set(found)), [int(word) for word in found if word.isdigit()]

    ordered = sorted(names, key=place)
    return ordered[0] if len(ordered) == 1 or place(ordered[0]) < place(ordered[1]) else None


def follows(later, earlier):
    """Whether two lists of words, of names of layers, differ by a number alone that is higher by one: no layer lies between."""
    if len(later) != len(earlier):
        return False
    pairs = [(one, other) for one, other in zip(later, earlier, strict=True) if one != other]
    return len(pairs) == 1 and all(word.isdigit() for word in pairs[0]) and int(pairs[0][0]) == int(pairs[0][1]) + 1


def real(what, name, arrays, path):
    """(the array of this name as floats, the name of the scale they were multiplied by or None).

    Integers need a scale where they are quantized numbers: short ones, and those of a bias, unless all are −1, 0 or 1, others
    where some are too large to have been typed by hand.
    """
    array = arrays[name]
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{what} must be an array of real numbers, got one of type {array.dtype}")
    if not array.ndim or not array.size:
        raise ValueError(f"{what} must have an axis and a number at least, got an array of shape {array.shape}")
    values = array.astype(np.float64)
    typed = 1 if what == "bias" or array.dtype.itemsize < 4 else BY_HAND
    if array.dtype.kind == "f" or np.all(np.abs(values) <= typed):
        return values, None
    near = [other for other in arrays if other != name and role(other) == "scale"]
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
