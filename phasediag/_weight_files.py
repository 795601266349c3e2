"""Weights and biases from files that other programs wrote: .npz, .npy and .safetensors; pickles are never read."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

WEIGHTS_NAMES = ("weights", "W", "weight")
BIAS_NAMES = ("bias", "b", "b_final", "biases")
BIASES = ("zero", "optimal")

_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1"}


@dataclass(frozen=True, eq=False)
class WeightFile:
    """One model's parameters and how they were found.

    Attributes
    ----------
    weights : ndarray, shape (n_hidden, n_features)
    bias : ndarray of shape (n_features,), or None
        None when the file holds none.
    source : str
        Where they come from and what was done to them, in words.
    """

    weights: np.ndarray
    bias: np.ndarray | None
    source: str


def read_weights(path, *, weights_name=None, bias_name=None, bias=None, index=None):
    """Read the weights and the bias of one model.

    Parameters
    ----------
    path : path-like
        .npz, .npy (weights alone) or .safetensors.
    weights_name, bias_name : str, optional
        Names of the arrays; by default "weights", "W" or "weight", and "bias", "b", "b_final" or "biases".
    bias : str, optional
        A .npy file that holds the bias; or "zero" or "optimal": the file's bias is not read. What the latter mean is the
        caller's business.
    index : sequence of int, optional
        Which of several models, one number for each leading axis.

    Returns
    -------
    WeightFile
        A matrix with more rows than columns is transposed: a toy model has fewer hidden dimensions than features.

    Raises
    ------
    ValueError
        When a file cannot be read or does not hold what is asked for.
    """
    arrays = _arrays("weights", path)
    name, weights = _named("weights", arrays, weights_name, WEIGHTS_NAMES, path)
    said = [f"{path}: weights" + (f' "{name}"' if name else "") + f" {weights.shape}"]
    found = None
    if bias is not None and bias not in BIASES:
        if Path(bias).suffix.lower() != ".npy":
            raise ValueError(f'bias must be "zero", "optimal" or a .npy file, got {str(bias)!r}')
        found = _arrays("bias", bias)[""]
        said.append(f"bias {bias} {found.shape}")
    elif bias is None and (bias_name is not None or len(arrays) > 1):
        found_name, found = _named("bias", arrays, bias_name, BIAS_NAMES, path)
        said.append(f'bias "{found_name}" {found.shape}')
    weights, bias = _real("weights", weights), None if found is None else _real("bias", found)
    weights, bias, chosen = _one_model(weights, bias, index)
    if weights.shape[0] > weights.shape[1]:
        weights = weights.T
        chosen.append("transposed to (n_hidden, n_features)")
    return WeightFile(weights, bias, "; ".join([", ".join(said), *chosen]))


def _arrays(what, path):
    """The arrays of a file by name (that of a .npy file is called ""); in place of one that cannot be read, the error."""
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in READ_BY:
        raise ValueError(
            f"{what} must be a file that ends in {', '.join(READ_BY)}, got {str(path)!r} (pickles are never read; "
            "numpy.savez(path, weights=W, bias=b) writes a file that is)"
        )
    try:
        return READ_BY[ending](path)
    except Exception as error:  # a damaged file makes the parsers raise anything, a tokenizer's errors among them
        raise ValueError(_unreadable(what, path, error)) from None


def _read_npy(path):
    with open(path, "rb") as file:
        return {"": np.lib.format.read_array(file, allow_pickle=False)}


def _read_npz(path):
    with open(path, "rb") as file:
        arrays = np.lib.npyio.NpzFile(file, allow_pickle=False)
        return {name: _attempt(arrays.__getitem__, name) for name in arrays.files}


def _read_safetensors(path):
    try:
        from safetensors import SafetensorError, deserialize
    except ModuleNotFoundError:
        raise ValueError('reading it needs the package safetensors: pip install "phasediag[safetensors]"') from None
    try:
        tensors = deserialize(path.read_bytes())
    except SafetensorError as error:
        raise ValueError(str(error)) from None
    return {name: _attempt(_tensor, tensor) for name, tensor in tensors}


READ_BY = {".npz": _read_npz, ".npy": _read_npy, ".safetensors": _read_safetensors}


def _tensor(tensor):
    if tensor["dtype"] not in _DTYPES:
        raise ValueError(f"its type is {tensor['dtype']}, not one of {', '.join(_DTYPES)}")
    values = np.frombuffer(tensor["data"], _DTYPES[tensor["dtype"]])
    if tensor["dtype"] == "BF16":  # the upper half of a single-precision number
        values = (values.astype(np.uint32) << 16).view(np.float32)
    return values.reshape(tensor["shape"])


def _attempt(read, key):
    try:
        return np.asarray(read(key))
    except Exception as error:
        return error


def _unreadable(what, path, error):
    reason = getattr(error, "strerror", None) or str(error).split("\n")[0] or type(error).__name__
    return f"{what} must be in a file that can be read, got {str(path)!r} ({reason})"


def _named(what, arrays, name, usual, path):
    """The (name, array) that is asked for, or the one that has a usual name."""
    option = f"{what}_name"
    held = ", ".join(arrays) or "none"
    if "" in arrays:
        if name is not None:
            raise ValueError(f"{option} must not be given for {str(path)!r}, which holds one array without a name, got {name!r}")
        name = ""
    elif name is None:
        there = [known for known in usual if known in arrays]
        if len(there) != 1:
            some = f"several of {', '.join(there)}" if there else f"none of {', '.join(usual)}"
            hint = "" if what == "weights" else ' (or bias "zero" or "optimal")'
            raise ValueError(f"{option} must be given{hint}: {str(path)!r} has {some}; its arrays: {held}")
        name = there[0]
    elif name not in arrays:
        raise ValueError(f"{option} must be one of the arrays of {str(path)!r} ({held}), got {name!r}")
    if isinstance(arrays[name], Exception):
        raise ValueError(_unreadable(what, path, arrays[name]))
    return name, arrays[name]


def _real(what, array):
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{what} must be an array of real numbers, got one of type {array.dtype}")
    return array.astype(np.float64)


def _one_model(weights, bias, index):
    """One model's (weights, bias, what was chosen in words); axes of length 1 before the matrix need no index."""
    if weights.ndim < 2:
        raise ValueError(f"weights must have shape (n_hidden, n_features), got {weights.shape}")
    lead, chosen = weights.shape[:-2], []
    allowed = ",".join(f"0…{size - 1}" for size in lead)
    if index is None:
        if any(size != 1 for size in lead):
            raise ValueError(f"index must choose one of the models ({allowed}): weights have shape {weights.shape}")
        index = (0,) * len(lead)
    else:
        got = ",".join(map(str, index))
        if not lead:
            raise ValueError(f"index must not be given for the weights of one model, of shape {weights.shape}, got {got}")
        if len(index) != len(lead) or not all(0 <= k < size for k, size in zip(index, lead, strict=True)):
            raise ValueError(f"index must be in {allowed} for weights of shape {weights.shape}, got {got}")
        chosen = [f"model {got}"]
    if bias is not None and bias.ndim > 1:
        if bias.shape[:-1] != lead:
            raise ValueError(f"bias must have shape {(*lead, max(weights.shape[-2:]))} beside {weights.shape}, got {bias.shape}")
        bias = bias[tuple(index)]
    return weights[tuple(index)], bias, chosen
