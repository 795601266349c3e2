"""Weights and biases from files that other programs wrote: what is read, and what it rests on."""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np

from ._arguments import as_flag, check_path, whole_number
from ._display import Result
from ._reading import roles
from ._reading.containers import contents, unreadable
from ._reading.layouts import before_transposition, find_layout, parse_layout, scrambled_pair, told_as_decoder

BIASES = ("zero", "optimal")
ACTIVATIONS = {"relu": "relu", "leaky": "leaky", "linear": "linear", "identity": "linear", "none": "linear"}
MOST_LISTED = 20
SAME_WEIGHTS = 1e-5
"""Two arrays are one transposed when no entry differs by more than this part of the largest."""


@dataclass(frozen=True, eq=False, repr=False)
class WeightFile(Result):
    """The parameters of one model or of many, and how they were found.

    Attributes
    ----------
    weights : ndarray, shape (…, n_hidden, n_features)
        Axes of length 1 before the last two are dropped.
    bias : ndarray of shape (…, n_features), or None
        None when the file holds none.
    layout : str
        The order of the axes as stored; see `read_weights`.
    unused : tuple of str
        Arrays of the file that have not been read.
    source : str
        Where everything comes from and what was done to it, in words.
    importance, density : ndarray of shape (…, n_features), or None
        Those that the file holds.
    activation : {"relu", "leaky", "linear"} or None
        What the file says.
    decoder : ndarray of shape (…, n_features, n_hidden), or None
        Of untied weights, x' = activation(decoder weights x + bias); ``weights`` is the encoder.
    doubt : str or None
        Why the arrays may be another model's than a tied one with a bias on its outputs, so that no verdict can rest on them.
    law : str or None
        What the file says of the law of inputs and of penalties, where it is another than the default one.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> from phasediag import read_weights
    >>> path = os.path.join(tempfile.mkdtemp(), "mine.npz")
    >>> np.savez(path, W=[[1.0, -0.9]], b=[0.0, 0.01], epochs=[3])
    >>> mine = read_weights(path)
    >>> mine.layout, mine.unused
    ('hidden features', ('epochs',))
    """

    weights: np.ndarray
    bias: np.ndarray | None
    layout: str
    unused: tuple
    source: str
    importance: np.ndarray | None
    density: np.ndarray | None
    activation: str | None
    decoder: np.ndarray | None
    doubt: str | None
    law: str | None = None


def read_weights(
    path: str | PathLike[str],
    *,
    weights_name: str | None = None,
    decoder_name: str | None = None,
    bias_name: str | None = None,
    bias: str | None = None,
    layout: str | None = None,
    index: int | Sequence[int] | None = None,
    tied: bool = False,
) -> WeightFile:
    """Read the weights and biases of one model or of many.

    Parameters
    ----------
    path : path-like
        .npz, .npy, .safetensors or, where PyTorch is installed, a file of ``torch.save``; told by content, not by ending.
    weights_name, bias_name : str, optional
        Names of the arrays. By default those with a word of their kind in the name ("W", "encoder.weight", "params/kernel",
        "b_final", "decoder_bias", …), where there is one.
    decoder_name : str, optional
        Name of the decoder of untied weights. By default the one other array of the shape of the weights or of their transpose
        whose name says so: by a word ("W_out", "decoder.weight", "unembed"), or by the next number and the transposed shape
        ("linear1.weight", "linear2.weight"), or, of the only other array, when it makes far better models than tied weights do
        and no worse ones than with the two exchanged. An array that is the transpose of the weights makes them tied.
    bias : str, optional
        A file that holds the bias alone; or "zero" or "optimal": the file's bias is not read. What the latter mean is the
        caller's business.
    layout : str, optional
        The order of the axes of the stored weights, e.g. "instances hidden features" or "features hidden instances"; without
        "hidden", one hidden dimension whose axis is not stored. By default what the shapes of all arrays leave; where they
        leave several, the one by which models reconstruct better than a constant does.
    index : int or sequence of int, optional
        Which of several models, one number for each axis of them. By default all.
    tied : bool
        Take the weights as those of a tied model though the file holds other arrays that may be its decoder.

    Returns
    -------
    WeightFile

    Raises
    ------
    ValueError
        When a file cannot be read, does not hold what is asked for, or can be read in several ways; then the error lists them
        and names the option that picks one.

    Notes
    -----
    A toy model has fewer hidden dimensions than features, so that a matrix alone tells which axis is which. Of arrays with
    an axis of models, that axis is the first or the last.

    Pickles are never read; files of PyTorch are by ``torch.load(weights_only=True)``, which runs no code.

    ``safetensors.numpy.save_file`` of safetensors 0.8.0 stores the memory of an array that is not contiguous, W.T for one,
    under the shape of the array, without a word. Where what is stored, read in the order before the transposition, fits a
    trained model better (by its loss, and by how near its biases are to the best ones), that is an error; the layout
    "untransposed hidden features" reads it. Where it fits about as well, ``source`` says so.
    ``save_file({"W": numpy.ascontiguousarray(W.T)}, path)`` writes what is meant.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> from phasediag import read_weights
    >>> path = os.path.join(tempfile.mkdtemp(), "mine.npz")
    >>> np.savez(path, W=[[1.0, -0.9]], b=[0.0, 0.01], density=0.1)
    >>> mine = read_weights(path)
    >>> mine.weights, mine.bias, mine.density
    (array([[ 1. , -0.9]]), array([0.  , 0.01]), array([0.1, 0.1]))
    """
    tied, index = as_flag("tied", tied), None if index is None else _whole_numbers(index)
    check_path("path", path)
    if bias is not None:
        check_path("bias", bias, ', "zero" or "optimal"')
        if bias_name is not None:
            raise ValueError(f"bias_name must not be given beside bias ({bias!r}), got {bias_name!r}")
    held = contents("weights", path)
    arrays, remarks = held.arrays, held.remarks
    kinds = roles.roles(arrays)
    weights_name, bias_name = _names(arrays, kinds, weights_name, bias_name, bias, path)
    weights, scale = roles.real("weights", weights_name, arrays, path)
    said = [f"{path}: weights" + (f' "{weights_name}"' if weights_name else "") + f" {weights.shape}"]
    found_bias, other_scale = None, None
    if bias is not None and bias not in BIASES:
        if Path(bias).exists() and Path(bias).samefile(path):
            raise ValueError(f"bias must be in another file than the weights, got {bias!r}")
        found_bias = _single_array(bias)
        said.append(f"bias {bias} {found_bias.shape}")
    elif bias_name is not None:
        found_bias, other_scale = roles.real("bias", bias_name, arrays, path)
        said.append(f'bias "{bias_name}" {found_bias.shape}')
    controls = _controls(arrays, kinds)
    activation = _activation(remarks, path)
    if layout is None:
        others = [values for values, _ in controls.values()]
        rest = [name for name in arrays if name not in (weights_name, bias_name)]

        def partner(read):
            """The decoder of untied weights that are read so, as `find_layout` asks for it."""
            _, others = _other_weights(read, weights, arrays, kinds, rest)
            named = [] if tied else _decoders(read, weights, weights_name, arrays, others, decoder_name)
            return next(_turned(arrays[named[0]], read)) if len(named) == 1 else None

        linear = activation == "linear"
        read, why = find_layout(weights, found_bias, others, path, held.format == "safetensors", linear, partner)
    else:
        read, why = parse_layout(layout, weights.shape), f'axes are "{layout}", as said'
    placed = {what: read.per_model(values) for what, (values, _) in controls.items()}
    if "density" in controls and controls["density"][0].shape == read.lead == (read.n_features,):
        placed["density"] = None  # of models or of features: nothing tells
    placed = {what: values for what, values in placed.items() if values is not None}
    used = {weights_name, bias_name, scale, other_scale, *(controls[what][1] for what in placed)}
    unused = tuple(name for name in arrays if name not in used)
    same, others = _other_weights(read, weights, arrays, kinds, unused)
    if decoder_name is not None and (tied or decoder_name not in [*others, *same]):
        raise ValueError(
            f"decoder_name must be an array of the shape of the weights {weights.shape} or of their transpose, of untied weights "
            f"alone, got {decoder_name!r} with the arrays {_listed(arrays)}"
        )
    pairs = [] if tied else _decoders(read, weights, weights_name, arrays, others, decoder_name)
    decoder, fits, by_fit = None, found_bias is None or read.per_feature(found_bias) is not None, ""
    if not pairs and len(others) == 1 and not tied and fits and not read.untransposed:
        found = list(_turned(arrays[others[0]], read)) if arrays[others[0]].dtype.kind == "f" else []
        words = told_as_decoder(read, weights, found_bias, activation == "linear", found[0]) if len(found) == 1 else None
        pairs, by_fit = (others, f", {words}") if words else (pairs, "")
    if len(pairs) == 1 and others == pairs and fits and not read.untransposed:
        (decoder_name,) = pairs
        stored, other_scale = roles.real("decoder", decoder_name, arrays, path)
        (decoder,) = _turned(stored, read)
        before = _turned(np.swapaxes(stored.reshape(before_transposition(stored.shape)), -1, -2), read)
        linear = activation == "linear"
        if held.format == "safetensors" and scrambled_pair(read, weights, found_bias, linear, decoder, *before):
            raise ValueError(
                f'weights and "{decoder_name}" must be stored as they are meant: in {str(path)!r} a transposed NumPy array seems '
                "to be stored in its old order under its new shape, as safetensors 0.8.0 does; save numpy.ascontiguousarray of it"
            )
        unused, others = tuple(name for name in unused if name not in (decoder_name, other_scale)), []
    notes = [why] if why else []
    if decoder is not None:
        notes.append(
            f'untied: decoder "{decoder_name}" {stored.shape}, hidden dimensions taken as linear and without a bias{by_fit}'
        )
    notes += [f'"{name}" is the transpose of the weights: tied' for name in same]
    unused = tuple(name for name in unused if name not in same)
    parameters = [name for name in unused if kinds[name] != "training" and np.ndim(arrays[name])]
    if parameters:
        notes.append("not read: " + ", ".join(parameters))
    notes += [f'{what} "{controls[what][1]}"' for what in placed]
    if activation:
        notes.append(f"activation {activation}, the file says")
    parts = {
        "importance": None,
        "density": None,
        "weights": read.weights(weights),
        "bias": None if found_bias is None else read.per_feature(found_bias),
        **placed,
        "decoder": None if decoder is None else np.swapaxes(decoder, -1, -2),
    }
    if parts["bias"] is None and found_bias is not None:
        raise ValueError(
            f'bias must have a number for each feature where weights {weights.shape} are "{layout}", got {found_bias.shape}'
        )
    parts, chosen = _chosen(parts, read.lead, index)
    return WeightFile(
        **parts,
        layout=str(read),
        unused=unused,
        source="; ".join([", ".join(said), *notes, *chosen]),
        activation=activation,
        doubt=None if tied or not others else _doubt(others),
        law=next((value for name, value in remarks.items() if "law" in roles.words(name) and isinstance(value, str)), None),
    )


def _whole_numbers(index):
    """The numbers of an index, a tuple of int."""
    return tuple(whole_number("index", one, 0) for one in (index if np.iterable(index) else (index,)))


def _single_array(path):
    """The numbers of a file that holds one array."""
    arrays = contents("bias", path).arrays
    if len(arrays) != 1:
        raise ValueError(f"bias must be in a file of one array, got {str(path)!r} with {len(arrays)} ({', '.join(arrays)})")
    (name,) = arrays
    return roles.real("bias", _sound("bias", name, arrays, path), arrays, path)[0]


def _names(arrays, kinds, weights_name, bias_name, bias, path):
    """(name of the weights, name of the bias or None): those that are asked for, or the ones whose names say so."""
    missing, chosen = [], []
    halves = [name for name in arrays if "parametrizations" in roles.words(name)]
    if halves and weights_name is None:
        raise ValueError(
            f"weights must be stored whole, got {', '.join(halves)}, of which PyTorch makes them: "
            'torch.nn.utils.parametrize.remove_parametrizations(module, "weight") before they are saved'
        )
    for what, name in (("weights", weights_name), ("bias", bias_name)):
        if name is not None and name not in arrays:
            if list(arrays) == [""]:
                raise ValueError(
                    f"{what}_name must not be given for {str(path)!r}, which holds one array without a name, got {name!r}"
                )
            raise ValueError(f"{what}_name must be one of the arrays of {str(path)!r} ({_listed(arrays)}), got {name!r}")
    if bias_name is not None and bias_name == weights_name:
        raise ValueError(f"bias_name must be another array than the weights, got {bias_name!r}")
    if weights_name is None:
        there = [name for name, kind in kinds.items() if kind == "weights" and name != bias_name]
        weights_name = first_layer = roles.first_layer(there) if there else None
        if list(arrays) == [""]:
            weights_name = first_layer = ""
        if first_layer is None:
            for name in list(arrays)[:1]:
                _sound("weights", name, arrays, path)
            missing.append(("weights_name", f"may be {', '.join(there)}" if there else ""))
    if bias_name is None and bias is None:
        there = [name for name, kind in kinds.items() if kind == "bias" and name != weights_name]
        if weights_name is not None and len(there) > 1:
            _sound("weights", weights_name, arrays, path)
            there = _output_biases(arrays, there, max(arrays[weights_name].shape, default=0)) or there
        rest = [name for name, kind in kinds.items() if not kind and name != weights_name and np.ndim(arrays[name]) > 0]
        if len(there) > 1:
            missing.append(("bias_name", f"may be {', '.join(there)}"))
        elif not there and rest:
            missing.append(("bias_name", 'or bias "zero" or "optimal"'))
        bias_name = there[0] if len(there) == 1 else None
    if missing:
        names = " and ".join(f"{name} ({why})" if why else name for name, why in missing)
        raise ValueError(f"{names} must be given: the arrays of {str(path)!r} are {_listed(arrays)}")
    for what, name in (("weights", weights_name), ("bias", bias_name)):
        chosen.append(name if name is None else _sound(what, name, arrays, path))
    return tuple(chosen)


def _listed(arrays):
    """The names of arrays, those that may be weights or biases first; of very many the first."""
    names = sorted(arrays, key=lambda name: np.ndim(arrays[name]) == 0)
    return ", ".join([*names[:MOST_LISTED], *["…"] * (len(names) > MOST_LISTED)]) or "none"


def _output_biases(arrays, names, n_features):
    """Of several biases those with a number for each feature, and of these the decoder's where their names tell."""
    fitting = [name for name in names if np.ndim(arrays[name]) and n_features in arrays[name].shape]
    decoders = [name for name in fitting if roles.DECODER & set(roles.words(name))]
    return decoders if len(decoders) == 1 else fitting


def _sound(what, name, arrays, path):
    """The name of an array that could be read."""
    if isinstance(arrays[name], Exception):
        raise ValueError(unreadable(what, path, arrays[name]))
    return name


def _controls(arrays, kinds):
    """The file's importance and density, each with its name; of several or unreadable ones none."""
    found = {}
    for kind in ("importance", "density", "sparsity"):
        names = [name for name, own in kinds.items() if own == kind and not isinstance(arrays[name], Exception)]
        what = "importance" if kind == "importance" else "density"
        if len(names) == 1 and what not in found and arrays[names[0]].dtype.kind in "fiu":
            values = arrays[names[0]].astype(np.float64)
            found[what] = (1 - values if kind == "sparsity" else values), names[0]
    return found


def _activation(remarks, path):
    """What the file's remarks say of the activation, or None."""
    for name, value in remarks.items():
        if "activation" in roles.words(name) and isinstance(value, str):
            word = value.partition("(")[0].rpartition(".")[2].lower()  # of "nn.ReLU()" too
            if word not in ACTIVATIONS:
                raise ValueError(f'activation must be "relu", "leaky" or "linear", got {value!r} in {str(path)!r}')
            return ACTIVATIONS[word]
    return None


def _other_weights(read, weights, arrays, kinds, unused):
    """(unused arrays that are the weights once more, those that may make the model another one), two lists of names."""
    own, same, others = read.weights(weights), [], []
    for name in unused:
        array = arrays[name]
        if isinstance(array, Exception) or kinds[name] == "training":
            continue
        shaped = array.ndim >= 2 and sorted(array.shape) == sorted(weights.shape)
        if shaped and array.dtype.kind in "fiu" and any(_equal(own, turned) for turned in _turned(array, read)):
            same.append(name)
        elif shaped or kinds[name] in ("weights", "scale") or (kinds[name] == "bias" and np.any(array)):
            others.append(name)
    return same, others


def _doubt(others):
    """Why no verdict can rest on a file that holds other arrays, by their names."""
    are = "are" if len(others) > 1 else "is"
    return f"{', '.join(others)} {are} not read and may make this another model than a tied one with a bias on its outputs alone"


def _decoders(read, weights, weights_name, arrays, others, asked):
    """The names of the other arrays that are decoders of the weights: the one that is asked for, or those whose names say so."""
    found, own = [], roles.words(weights_name)
    for name in others:
        array = arrays[name]
        if array.dtype.kind not in "fiu" or array.ndim < 2 or len(list(_turned(array, read))) != 1:
            continue
        words = roles.words(name)
        by_word = roles.DECODER & set(words) and not roles.DECODER & set(own)
        chained = array.shape != weights.shape and roles.role(name) == "weights" and roles.follows(words, own)
        if name == asked or (asked is None and (by_word or chained)):
            found.append(name)
    return found


def _turned(array, read):
    """The array read as the weights are, and as their transpose."""
    if array.ndim != len(read.shape) or array.ndim < 2:
        return
    for shaped in (array, np.swapaxes(array, -1, -2)) if read.instances_first else (array, np.swapaxes(array, 0, 1)):
        if shaped.shape == read.shape:
            yield read.weights(shaped)


def _equal(one, other):
    """Whether two arrays agree to rounding."""
    return bool(np.max(np.abs(one - other)) <= SAME_WEIGHTS * np.max(np.abs(one), initial=0.0))


def _chosen(parts, lead, index):
    """The parts of one model, or of all without axes of length 1, and what was chosen in words."""
    if index is None:
        kept = tuple(size for size in lead if size != 1)
        return {name: x if x is None else x.reshape(*kept, *x.shape[len(lead) :]) for name, x in parts.items()}, []
    got = ",".join(map(str, index))
    if not lead:
        raise ValueError(f"index must not be given for the weights of one model, of shape {parts['weights'].shape}, got {got}")
    if len(index) != len(lead) or not all(0 <= k < size for k, size in zip(index, lead, strict=True)):
        allowed = ",".join(f"0…{size - 1}" for size in lead)
        raise ValueError(f"index must be in {allowed} for weights of shape {parts['weights'].shape}, got {got}")
    return {name: x if x is None else x[tuple(index)] for name, x in parts.items()}, [f"model {got}"]
