"""What a file holds, told by its first bytes and not by its name: arrays, and remarks beside them.

.npy (one array or several, one after the other), .npz, .safetensors and, where PyTorch is installed, its files. Pickles are
never read; of every other format the error says what it is and shows the lines that convert it.
"""

import json
import math
from ast import literal_eval
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import numpy as np

from . import foreign
from .numbers import WIDTH, as_array, decode

ENDINGS = ".npz, .npy, .safetensors, .pt"
MOST_HEADER = 100_000_000
"""Bytes of the header of a safetensors file at most, as its own package allows."""
ODD_TYPES = {"V2": "BF16", "f1": "F8_E5M2"}
"""Types of ml_dtypes, as NumPy writes their names without their meaning, of which only one has that name."""
_NPY = b"\x93NUMPY"
_TORCH_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."


@dataclass(frozen=True)
class Contents:
    """What a file holds.

    Attributes
    ----------
    arrays : dict of str to ndarray or Exception
        By name: "" for the one array of a .npy file, "0", "1", … for several. An array that cannot be read is its error.
    remarks : dict of str to str
        Metadata, and what else stands beside the arrays as text.
    format : str
        "npy", "npz", "safetensors" or "torch".
    """

    arrays: dict
    remarks: dict
    format: str


class _Foreign(Exception):
    """A file of a format that is not read: what it is in words, with the lines that convert it."""


def contents(what, path):
    """Return the Contents of a file; where there are none, a ``ValueError`` that begins with ``what``."""
    path = Path(path)
    try:
        if path.is_dir() and (words := foreign.of_folder([one.name for one in path.iterdir()])):
            raise _Foreign(words)
        if not path.exists() and Path(f"{path}.index").exists():
            raise _Foreign(foreign.TENSORFLOW)
        with open(path, "rb") as file:
            head = file.read(foreign.BEGINNING)
        found = _format(path, head)(path)
        if not found.arrays:
            raise ValueError("it holds no arrays")
        return found
    except _Foreign as found:
        words = str(found).replace("PATH", repr(str(path)))
        raise ValueError(f"{what} must be in a file that is read ({ENDINGS}), got {str(path)!r}, {words}") from None
    except Exception as error:  # a damaged file makes the parsers raise anything, a tokenizer's errors among them
        raise ValueError(unreadable(what, path, error)) from None


def unreadable(what, path, error):
    """The words for a file, or an array in it, that cannot be read."""
    reason = getattr(error, "strerror", None) or str(error).split("\n")[0] or type(error).__name__
    return f"{what} must be in a file that can be read, got {str(path)!r} ({reason})"


def _format(path, head):
    """The function that reads a file that begins so; `_Foreign` for what others write."""
    if head.startswith(_NPY) or (head.startswith(b"{") and b"\n" + _NPY in head):
        return _read_npy
    if head.startswith(b"PK\x03\x04"):
        return _zip_format(path)
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= MOST_HEADER:
        return _read_safetensors
    if head.startswith(_TORCH_LEGACY):
        return _read_torch
    raise _Foreign(foreign.of_file(head, path.suffix.lower()))


def _zip_format(path):
    """The reader of a zip, by the names in it; `_Foreign` for what others write."""
    try:
        names = _names(ZipFile(path))
    except Exception:  # cut short
        return _read_npz
    ends = {name.rpartition("/")[2] for name in names}
    for name, words in foreign.IN_ZIP.items():
        if name in ends:
            raise _Foreign(words)
    if "data.pkl" in ends:
        return _read_torch
    if not any(name.endswith(".npy") for name in names):
        raise _Foreign(f"a zip file without arrays, of {', '.join(names[:4])} …; unpack it first")
    return _read_npz


def _names(file):
    """The names in a ZipFile, without what macOS adds to each file of a folder."""
    return [name for name in file.namelist() if not name.rpartition("/")[2].startswith("._")]


def _read_npy(path):
    """All arrays of a .npy file: one without a name, or several by number; and what a line of JSON before them says."""
    with open(path, "rb") as file:
        said = {} if file.peek(1)[:1] == _NPY[:1] else json.loads(file.readline())
        size, arrays = path.stat().st_size, []
        while file.tell() < size:
            arrays.append(_npy_array(file))
    names = [""] if len(arrays) == 1 else map(str, range(len(arrays)))
    arrays = dict(zip(names, arrays, strict=True))
    return Contents(*_divided(arrays | dict(_leaves(said, ""))), "npy")


def _npy_array(file):
    """The next array of a file of .npy arrays; also of types that NumPy itself writes but does not know."""
    start = file.tell()
    major, _ = np.lib.format.read_magic(file)
    size = int.from_bytes(file.read(2 if major == 1 else 4), "little")
    header = literal_eval(file.read(min(size, 10_000)).decode("latin1"))
    kind = str(header["descr"]).lstrip("<>|=")
    if kind in ODD_TYPES:
        kind, shape = ODD_TYPES[kind], header["shape"]
        return decode(file.read(math.prod(shape) * WIDTH[kind]), kind).reshape(
            shape, order="F" if header["fortran_order"] else "C"
        )
    if "O" in kind:
        raise ValueError(
            "Python objects are in a pickle, which is never read: save arrays by numpy.savez(path, weights=W, bias=b)"
        )
    if kind == "V1":
        raise ValueError('numbers of one byte whose type NumPy did not write; save W.astype("float32")')
    file.seek(start)
    return np.lib.format.read_array(file, allow_pickle=False)


def _read_npz(path):
    """All arrays of an .npz file by name, and its remarks."""
    with ZipFile(path) as file:
        names = [name for name in _names(file) if name.endswith(".npy")]
        arrays = {name.removesuffix(".npy"): _attempt(lambda name: _npy_array(BytesIO(file.read(name))), name) for name in names}
    return Contents(*_divided(arrays), "npz")


def _read_safetensors(path):
    """All tensors of a safetensors file by name, and its metadata."""
    raw = path.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    if size > min(MOST_HEADER, len(raw) - 8):
        raise ValueError("its header is longer than the file")
    header, data = json.loads(raw[8 : 8 + size]), raw[8 + size :]
    remarks = header.pop("__metadata__", None) or {}  # MLX writes null
    arrays = {name: _attempt(lambda entry: _tensor(entry, data), entry) for name, entry in header.items()}
    return Contents(arrays, remarks, "safetensors")


def _tensor(entry, data):
    """One tensor of a safetensors file, from its entry in the header."""
    kind, shape, (start, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
    if kind not in WIDTH:
        raise ValueError(f"its type is {kind}, not one of {', '.join(WIDTH)}")
    if not 0 <= start <= end <= len(data) or end - start != WIDTH[kind] * math.prod(shape):
        raise ValueError(f"its {end - start} bytes of {len(data)} are not those of shape {shape} and type {kind}")
    return decode(data[start:end], kind).reshape(shape)


def _read_torch(path):
    """All tensors of a PyTorch file by name, read without unpickling anything else."""
    try:
        import torch
    except ModuleNotFoundError:
        raise _Foreign(foreign.PYTORCH) from None
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        if "weights_only" not in str(error) and "Weights only" not in str(error):
            raise
        raise _Foreign(foreign.PYTORCH_OBJECTS) from None
    return Contents(*_divided(dict(_leaves(found, ""))), "torch")


def _leaves(tree, name):
    """Yield (name, array, text or number) of every leaf of nested mappings and sequences."""
    if isinstance(tree, dict):
        parts = tree.items()
    elif isinstance(tree, list | tuple):
        parts = enumerate(tree)
    else:
        if isinstance(tree, str | int | float):
            yield name, np.asarray(tree)
        elif hasattr(tree, "shape"):
            yield name, _attempt(as_array, tree)
        return
    for key, part in parts:
        yield from _leaves(part, f"{name}.{key}" if name else str(key))


def _divided(arrays):
    """(arrays, remarks): single texts are remarks, the fields of a structured array so many arrays."""
    for name, array in [(name, array) for name, array in arrays.items() if getattr(array, "dtype", None) and array.dtype.names]:
        fields = {f"{name}.{field}" if name else field: array[field] for field in array.dtype.names}
        arrays = {other: value for other, value in arrays.items() if other != name} | fields
    remarks = {k: v.item() for k, v in arrays.items() if not isinstance(v, Exception) and v.size == 1 and v.dtype.kind == "U"}
    return {name: value for name, value in arrays.items() if name not in remarks}, remarks


def _attempt(read, key):
    """What `read` makes of a key, or the exception that it raises, which counts only if that array is asked for."""
    try:
        return read(key)
    except Exception as error:
        return error
