"""Files of weights: a corpus of what people save, each read right or refused with the sentence that gets past it."""

import json
import pickle
import sys
import zipfile
import zlib
from io import BytesIO
from types import SimpleNamespace

import joblib
import numpy as np
import pytest
import scipy.io
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from phasediag import ToyModel, expected_loss, read_weights, train
from phasediag._reading.layouts import find_layout

pytestmark = pytest.mark.quick

WEIGHTS = np.array([[1.0, -0.5, 0.25], [0.0, 2.0, -1.5]])  # every entry exact in all types
BIAS = np.array([0.5, -0.25, 0.0])


def pentagons(n_models, seed=0):
    """Models 5→2 that reconstruct one active feature: weights (n_models, 2, 5) and biases (n_models, 5)."""
    rng = np.random.default_rng(seed)
    angles = rng.uniform(0, 7, size=(n_models, 1)) + 2 * np.pi * np.arange(5) / 5
    return np.stack([np.cos(angles), np.sin(angles)], axis=1), rng.uniform(-0.2, -0.1, size=(n_models, 5))


TEN, TEN_BIAS = pentagons(10)
EIGHT, EIGHT_BIAS = pentagons(8)
PENTAGON, ITS_BIAS = TEN[0], TEN_BIAS[0]


def npz(**arrays):
    """A writer of a .npz file."""
    content = BytesIO()
    np.savez(content, **arrays)
    return raw(content.getvalue())


def positional(*arrays):
    """A writer of a .npz file of arrays without names."""
    content = BytesIO()
    np.savez(content, *arrays)
    return raw(content.getvalue())


def raw(content):
    """A writer of these bytes."""
    return lambda path: path.write_bytes(content)


def safetensors_bytes(metadata=None, **tensors):
    """The format by its specification: length of the header, header, data; a value is (type, shape, bytes)."""
    header, data = {"__metadata__": metadata} if metadata else {}, b""
    for name, value in tensors.items():
        if value is None:
            header[name] = None
            continue
        kind, shape, values = value
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def by_safetensors(**tensors):
    """A writer of what the package safetensors itself makes of these arrays."""
    from safetensors.numpy import save

    return raw(save({name: value.astype(np.float32, order="K", copy=False) for name, value in tensors.items()}))


def bfloat16(array):
    """The upper halves of single-precision numbers."""
    return (np.asarray(array, "<f4").view("<u4") >> 16).astype("<u2").tobytes()


def float8(array, exponents):
    """Eight-bit floats with so many bits of exponent, by searching all of them for each number."""
    fractions = 7 - exponents
    bits = np.arange(128)
    exponent, fraction = bits >> fractions, (bits & (2**fractions - 1)) / 2**fractions
    least = 2 - 2 ** (exponents - 1)
    values = np.where(exponent == 0, fraction * 2.0**least, (1 + fraction) * 2.0 ** (exponent + least - 1))
    own = [int(np.flatnonzero(values == abs(x))[0]) + 128 * int(x < 0) for x in np.ravel(array)]
    return bytes(own)


def npy(descr, values, shape, fortran=False):
    """A .npy file with this type in its header."""
    header = repr({"descr": descr, "fortran_order": fortran, "shape": shape}).encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + values


def in_zip(**members):
    """A zip file of these contents; "/" is written "__"."""

    def write(path):
        with zipfile.ZipFile(path, "w") as file:
            for name, content in members.items():
                file.writestr(name.replace("__", "/"), content)

    return write


def plain(array):
    """The bytes of one .npy array."""
    return npy("<f4", np.asarray(array, "<f4").tobytes(), np.shape(array))


def by_numpy(array):
    """A writer of what numpy.save writes."""
    file = BytesIO()
    np.save(file, array)
    return raw(file.getvalue())


def by_zarr(path):
    """A folder that zarr writes."""
    import zarr

    zarr.save(path, W=PENTAGON, b=ITS_BIAS)


def by_scipy(write):
    """A writer by a function of scipy.io that takes a path and arrays."""
    return lambda path: write(path, {"W": PENTAGON, "b": ITS_BIAS[None]})


def netcdf(path, arrays):
    """The classic format, by scipy."""
    with scipy.io.netcdf_file(path, "w") as file:
        for name, array in arrays.items():
            axes = [f"{name}{k}" for k in range(array.ndim)]
            [file.createDimension(axis, size) for axis, size in zip(axes, array.shape, strict=True)]
            file.createVariable(name, "d", axes)[:] = array


def folder(*names):
    """A writer of a folder with empty files of these names."""

    def write(path):
        path.mkdir()
        [(path / name).touch() for name in names]

    return write


READ_RIGHT = {  # name: (writer, options, weights, bias, words in the source)
    "npz": (npz(W=PENTAGON, b=ITS_BIAS), {}, PENTAGON, ITS_BIAS, '"W" (2, 5)'),
    "npz transposed": (npz(weights=PENTAGON.T, bias=ITS_BIAS), {}, PENTAGON, ITS_BIAS, 'axes are "features hidden"'),
    "npz named .pt": (npz(W=PENTAGON, b=ITS_BIAS), {}, PENTAGON, ITS_BIAS, ""),
    "middle axis of the bias": (npz(W=TEN.swapaxes(1, 2), b=TEN_BIAS[:, None]), {}, TEN, TEN_BIAS, "instances features hidden"),
    "bias row for all": (npz(W=TEN, b=TEN_BIAS[:1]), {}, TEN, TEN_BIAS[[0] * 10], "instances hidden features"),
    "bias column for all": (npz(W=TEN, b=TEN_BIAS[:1].T), {}, TEN, TEN_BIAS[[0] * 10], ""),
    "instances last": (
        npz(W=EIGHT.transpose(2, 1, 0), b=EIGHT_BIAS.T),
        {},
        EIGHT,
        EIGHT_BIAS,
        '"features hidden instances", which fits a trained model best',
    ),
    "instances first, same shapes": (
        npz(W=EIGHT, b=EIGHT_BIAS),
        {},
        EIGHT,
        EIGHT_BIAS,
        '"instances hidden features", which fits',
    ),
    "layout given": (
        npz(W=np.arange(80.0).reshape(5, 2, 8), b=np.zeros((5, 8))),
        dict(layout="features hidden instances"),
        np.arange(80.0).reshape(5, 2, 8).transpose(2, 1, 0),
        np.zeros((8, 5)),
        "as said",
    ),
    "one hidden dimension not stored": (
        npz(W=np.arange(2000.0).reshape(1000, 2), b=np.zeros((1000, 2))),
        {},
        np.arange(2000.0).reshape(1000, 1, 2),
        np.zeros((1000, 2)),
        '"instances features"',
    ),
    "the same by layout": (
        npz(W=np.arange(2000.0).reshape(1000, 2)),
        dict(layout="instances features"),
        np.arange(2000.0).reshape(1000, 1, 2),
        None,
        "as said",
    ),
    "one vector": (npz(W=[1.0, -1.0], b=[0.0, 0.1]), {}, [[1.0, -1.0]], [0.0, 0.1], '"features"'),
    "leading axis of one": (npz(W=TEN[:1], b=TEN_BIAS[:1]), {}, PENTAGON, ITS_BIAS, ""),
    "w, b": (npz(w=PENTAGON, b=ITS_BIAS), {}, PENTAGON, ITS_BIAS, '"w"'),
    "w_1t": (npz(w_1t=PENTAGON.T, b_1=ITS_BIAS), {}, PENTAGON, ITS_BIAS, ""),
    "encoder.weight": (npz(**{"encoder.weight": PENTAGON, "decoder_bias": ITS_BIAS}), {}, PENTAGON, ITS_BIAS, "decoder_bias"),
    "params/W": (npz(**{"params/W": PENTAGON, "params/b": ITS_BIAS}), {}, PENTAGON, ITS_BIAS, ""),
    "layers.0.weight": (npz(**{"layers.0.weight": PENTAGON, "layers.0.bias": ITS_BIAS}), {}, PENTAGON, ITS_BIAS, ""),
    "model.W, model.b_final": (npz(**{"model.W": PENTAGON, "model.b_final": ITS_BIAS}), {}, PENTAGON, ITS_BIAS, ""),
    "params/Dense_0/kernel": (npz(**{"Dense_0/kernel": PENTAGON, "Dense_0/bias": ITS_BIAS}), {}, PENTAGON, ITS_BIAS, ""),
    "tied decoder": (npz(W=PENTAGON, W_out=PENTAGON.T, b=ITS_BIAS), {}, PENTAGON, ITS_BIAS, '"W_out" is the transpose'),
    "state of the training": (npz(W=PENTAGON, b=ITS_BIAS, loss=np.ones(9), step=3), {}, PENTAGON, ITS_BIAS, ""),
    "other axes": (
        npz(W=TEN.reshape(5, 2, 2, 5), b=TEN_BIAS.reshape(5, 2, 5)),
        dict(index=(1, 0)),
        TEN[2],
        TEN_BIAS[2],
        "model 1,0",
    ),
    "npy": (raw(plain(PENTAGON)), {}, np.float32(PENTAGON), None, ""),
    "npy in Fortran's order": (raw(npy("<f8", WEIGHTS.tobytes("F"), (2, 3), True)), {}, WEIGHTS, None, ""),
    "several npy arrays": (
        raw(plain(WEIGHTS) + plain(BIAS) + npy("<i8", bytes(8), ())),
        {},
        WEIGHTS,
        BIAS,
        '"0" (2, 3), bias "1"',
    ),
    "equinox, its settings in a line of JSON": (
        raw(b'{"activation": "relu", "d": [5, 2]}\n' + plain(PENTAGON) + plain(ITS_BIAS)),
        {},
        np.float32(PENTAGON),
        np.float32(ITS_BIAS),
        "activation relu, the file says",
    ),
    "equinox, settings of many lines' length": (
        raw(json.dumps({f"key{k}": k for k in range(3000)}).encode() + b"\n" + plain(WEIGHTS) + plain(BIAS)),
        {},
        WEIGHTS,
        BIAS,
        "",
    ),
    "equinox, many models": (raw(plain(TEN) + plain(TEN_BIAS)), {}, np.float32(TEN), np.float32(TEN_BIAS), 'bias "1" (10, 5)'),
    "arrays that savez was given without names": (positional(PENTAGON, ITS_BIAS), {}, PENTAGON, ITS_BIAS, 'bias "arr_1"'),
    "hidden biases of 0": (npz(W1=PENTAGON, b1=np.zeros(2), b_dec=ITS_BIAS), {}, PENTAGON, ITS_BIAS, 'bias "b_dec"'),
    "npy of bfloat16": (raw(npy("<V2", bfloat16(WEIGHTS), (2, 3))), {}, WEIGHTS, None, ""),
    "npy of bfloat16, Fortran": (raw(npy("<V2", bfloat16(WEIGHTS.T), (2, 3), True)), {}, WEIGHTS, None, ""),
    "npy of float8_e5m2": (raw(npy("<f1", float8(WEIGHTS, 5), (2, 3))), {}, WEIGHTS, None, ""),
    "npz of bfloat16": (in_zip(**{"W.npy": npy("<V2", bfloat16(WEIGHTS), (2, 3)), "b.npy": plain(BIAS)}), {}, WEIGHTS, BIAS, ""),
    "safetensors": (by_safetensors(W=PENTAGON, b=ITS_BIAS), {}, np.float32(PENTAGON), np.float32(ITS_BIAS), ""),
    "MLX, whose metadata are null": (
        raw(safetensors_bytes(__metadata__=None, W=("F64", [2, 3], WEIGHTS.tobytes()), b=("F64", [3], BIAS.tobytes()))),
        {},
        WEIGHTS,
        BIAS,
        "",
    ),
    "safetensors, every second column": (
        by_safetensors(W=np.repeat(3 * PENTAGON, 2, axis=1).astype("f4")[:, ::2], b=ITS_BIAS),
        {},
        np.repeat(3 * PENTAGON, 2, axis=1).astype("f4").ravel()[:10].reshape(2, 5),
        np.float32(ITS_BIAS),
        "no density makes it better than a constant: safetensors 0.8.0 scrambles what is not contiguous",
    ),
    "safetensors named .pt": (by_safetensors(W=PENTAGON, b=ITS_BIAS), {}, np.float32(PENTAGON), np.float32(ITS_BIAS), ""),
    "safetensors, transposed by a copy": (
        by_safetensors(W=PENTAGON.T.copy(), b=ITS_BIAS),
        {},
        np.float32(PENTAGON),
        np.float32(ITS_BIAS),
        '"features hidden"',
    ),
    "safetensors, memory of the transpose, by layout": (
        by_safetensors(W=PENTAGON.T, b=ITS_BIAS),
        dict(layout="untransposed hidden features"),
        np.float32(PENTAGON),
        np.float32(ITS_BIAS),
        "as said",
    ),
    "F8_E4M3": (
        raw(safetensors_bytes(W=("F8_E4M3", [2, 3], float8(WEIGHTS, 4)), b=("F32", [3], np.float32(BIAS).tobytes()))),
        {},
        WEIGHTS,
        BIAS,
        "",
    ),
    "int8 with a scale": (
        npz(W=np.int8([[100, -50, 25], [0, 127, -1]]), W_scale=np.float64(0.01), b=BIAS),
        {},
        [[1.0, -0.5, 0.25], [0.0, 1.27, -0.01]],
        BIAS,
        "",
    ),
    "fields of a structured array": (
        by_numpy(np.array([(PENTAGON, ITS_BIAS)], dtype=[("W", "f8", (2, 5)), ("b", "f8", 5)])),
        {},
        PENTAGON,
        ITS_BIAS,
        '"W" (1, 2, 5)',
    ),
    "zipped on macOS": (
        in_zip(**{"W.npy": plain(WEIGHTS), "b.npy": plain(BIAS), "__MACOSX": b"", "._W.npy": b"\0\5\x16\7"}),
        {},
        WEIGHTS,
        BIAS,
        '"W" (2, 3)',
    ),
    "activation in PyTorch's words": (
        npz(W=WEIGHTS, b=BIAS, activation=["nn.ReLU()"]),
        {},
        WEIGHTS,
        BIAS,
        "activation relu, the file says",
    ),
    "whole numbers typed by hand": (
        npz(W=[[1, -2, 0], [0, 0, 1]], b=np.zeros(3, int)),
        {},
        [[1, -2, 0], [0, 0, 1]],
        np.zeros(3),
        "",
    ),
}

REFUSED = {  # name: (writer, options, words)
    "instances first or last": (
        npz(W=np.full((5, 2, 8), 3.0), b=np.zeros((5, 8))),
        {},
        '"instances hidden features" (5 models of 8 features in 2 hidden dimensions) or "features hidden instances" (8 m',
    ),
    "many models or many features": (
        npz(W=np.ones((1000, 2))),
        {},
        'layout must be given: in {path} weights (1000, 2) without a bias can be read as "features hidden" (one',
    ),
    "more hidden than features": (
        npz(W=np.ones((8, 6)), b=np.zeros(6)),
        {},
        "n_hidden must be less than n_features (6, the bias says), got 8",
    ),
    "one bias, many models": (npz(W=np.ones((1000, 2)), b=np.zeros(2)), {}, 'layout "instances features" reads 1000 models'),
    "square": (npz(W=np.eye(3)), {}, "n_hidden must be less than n_features, got a square matrix"),
    "hidden bias": (npz(**{"linear.weight": PENTAGON, "linear.bias": np.zeros(2)}), {}, "(2, the bias says), got 5"),
    "no weights": (npz(X=PENTAGON, c=ITS_BIAS), {}, 'weights_name and bias_name (or bias "zero" or "optimal") must be given'),
    "a vector without a name": (npz(W=PENTAGON, c=ITS_BIAS), {}, 'bias_name (or bias "zero" or "optimal") must be given'),
    "two weights": (npz(W=PENTAGON, weight=PENTAGON, b=ITS_BIAS), {}, "weights_name (may be W, weight) must be given"),
    "int8": (npz(W=np.int8([[100, -50, 25], [0, 127, -1]]), b=BIAS), {}, "quantized, without one scale alone"),
    "int8 in safetensors": (
        raw(safetensors_bytes(W=("I8", [2, 3], bytes([100, 200, 3, 4, 5, 6])), b=("F32", [3], bytes(12)))),
        {},
        'got "W" of type int8, quantized',
    ),
    "int8 with a zero point": (
        npz(W=np.int8([[100, -50, 25], [0, 127, -1]]), W_scale=0.1, W_zero_point=np.int8(3), b=BIAS),
        {},
        "quantized, without one scale alone",
    ),
    "memory of a transpose": (
        by_safetensors(W=PENTAGON.T, b=ITS_BIAS),
        {},
        'fits a trained model better as "untransposed hidden features" than as "feat',
    ),
    "memory of ten transposes": (
        by_safetensors(W=TEN.swapaxes(1, 2), b=TEN_BIAS),
        {},
        'better as "untransposed instances hidden features"',
    ),
    "float8 without its type": (raw(npy("<V1", bytes(6), (2, 3))), {}, 'save W.astype("float32")'),
    "gelu": (
        raw(safetensors_bytes({"activation": "gelu"}, W=("F32", [1, 2], bytes(8)))),
        {},
        'activation must be "relu", "leaky" or "linear", got \'gelu\'',
    ),
    "HDF5": (raw(b"\x89HDF\r\n\x1a\n" + bytes(40)), {}, "an HDF5 file; which these two lines convert:\n    import h5py, numpy"),
    "Keras": (in_zip(**{"metadata.json": "{}", "model.weights.h5": "x"}), {}, "a Keras model; which these two lines convert:"),
    "ONNX": (raw(b"\x08\x0e\x12\x07pytorch:u\n\x11"), {}, "an ONNX model; which these two lines convert:"),
    "msgpack": (
        raw(b"\x81\xa6params\x82\xa1W\xc76\x01\x93"),
        {},
        "a msgpack file, as Flax writes; which these two lines convert:",
    ),
    "PyTorch's export": (
        in_zip(m__archive_format="pt2", **{"m__models__model.json": "{}"}),
        {},
        "a program that PyTorch exported; which",
    ),
    "TorchScript": (
        in_zip(**{"m__data.pkl": "x", "m__constants.pkl": "x"}),
        {},
        "a TorchScript program; which these two lines convert",
    ),
    "PyTorch without PyTorch": (
        in_zip(**{"archive__data.pkl": "x"}),
        {},
        'after pip install "phasediag[torch]", or one which these two lines',
    ),
    "pickle": (raw(pickle.dumps({"W": [1.0]})), {}, "a pickle, which can run any program and is never read"),
    "MATLAB": (raw(b"MATLAB 5.0 MAT-file" + bytes(200)), {}, "a MATLAB file; which these two lines convert"),
    "gzip": (raw(b"\x1f\x8b\x08\x00"), {}, "a file compressed by gzip: unpack it first"),
    "Git LFS": (raw(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"), {}, "git lfs pull fetches it"),
    "a web page": (raw(b"<!DOCTYPE html><html>"), {}, "a page of HTML or XML"),
    "text": (raw(b"1.0,2.0\n3.0,4.0\n"), {}, "a text file; which these two lines convert"),
    "empty": (raw(b""), {}, "an empty file"),
    "noise": (raw(bytes(range(250, 100, -1))), {}, "a file of an unknown format"),
    "another zip": (in_zip(**{"readme.txt": "x"}), {}, "a zip file without arrays"),
    "complex": (npz(W=WEIGHTS + 0j, b=BIAS), {}, "weights must be an array of real numbers, got one of type complex128"),
    "text as bias": (npz(W=WEIGHTS, b=np.array(["x"] * 3)), {}, "bias must be an array of real numbers, got one of type <U1"),
    "objects": (npz(W=WEIGHTS.astype(object), b=BIAS), {}, "Python objects are in a pickle, which is never read: save arrays by"),
    "a dict of arrays": (positional({"W": WEIGHTS}), {}, "Python objects are in a pickle, which is never read: save arrays by"),
    "no model": (
        npz(W=np.ones((0, 5)), b=BIAS),
        {},
        "weights must have an axis and a number at least, got an array of shape (0, 5)",
    ),
    "a number": (npz(W=3.0), {}, "weights must have an axis and a number at least, got an array of shape ()"),
    "an array in a file of very many": (
        npz(**{f"a{k}": 1.0 for k in range(40)}, X=WEIGHTS),
        {},
        "are X, a0, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15, a16, a17, a18, …",
    ),
    "MATLAB 7.3": (raw(b"MATLAB 7.3 MAT-file" + bytes(600)), {}, "an HDF5 file; which these two lines convert"),
    "ONNX without its ending": (raw(b"\x08\x0a\x3a\x75\x0a\x11"), {}, "an ONNX model; which these two lines convert:"),
    "tar": (raw(b"w.npy" + bytes(252) + b"ustar" + bytes(300)), {}, "a tar archive: unpack it first"),
    "a zip file of nothing": (npz(), {}, "a zip file without arrays"),
    "Zarr in a zip": (
        in_zip(**{"zarr.json": "{}", "W__zarr.json": "{}"}),
        {},
        "a Zarr group in a zip file; which these two lines",
    ),
    "Zarr's array": (folder(".zarray", "0.0"), {}, "a Zarr array; which these two lines convert:"),
    "Orbax": (folder("_CHECKPOINT_METADATA", "d"), {}, "a checkpoint of Orbax; which these two lines convert:"),
    "TensorFlow": (folder("saved_model.pb", "variables"), {}, "a model of TensorFlow; which these two lines convert:"),
    "another folder": (folder("W"), {}, "weights must be in a file that can be read, got {path} (Is a directory)"),
    "a folder of Hugging Face": (
        folder("model.safetensors", "config.json"),
        {},
        "a folder: name one of its files, model.safetensors",
    ),
    "no tensors": (raw(safetensors_bytes()), {}, "(it holds no arrays)"),
    "parts of weights": (
        npz(**{f"parametrizations.weight.original{k}": part for k, part in enumerate((np.ones((2, 1)), PENTAGON))}),
        {},
        "weights must be stored whole, got parametrizations.weight.original0, parametrizations.weight.original1",
    ),
    "a pickle of protocol 0": (raw(pickle.dumps({"W": [1.0]}, 0)), {}, "a pickle, which can run any program and is never read"),
    "a pickle of protocol 1": (raw(pickle.dumps({"W": [1.0]}, 1)), {}, "a pickle, which can run any program and is never read"),
    "joblib, compressed": (raw(zlib.compress(b"W")), {}, "a pickle in a stream of zlib, as joblib writes, which can run any"),
    "LZ4": (raw(b"\x04\x22\x4d\x18" + bytes(20)), {}, "a file compressed by LZ4: unpack it first"),
    "TensorFlow Lite": (raw(b"\x1c\0\0\0TFL3" + bytes(40)), {}, "a TensorFlow Lite model; which these two lines convert:"),
    "SQLite": (raw(b"SQLite format 3\0"), {}, "an SQLite database: in the program that wrote it, numpy.savez"),
    "Avro": (raw(b"Obj\x01\x04"), {}, "an Avro file: in the program that wrote it, numpy.savez"),
    "FITS": (raw(b"SIMPLE  =                    T"), {}, "a FITS file; which these two lines convert:"),
    "Julia": (raw(b"HDF5-based Julia Data Format" + bytes(600)), {}, "an HDF5 file; which these two lines convert:"),
    "Excel": (
        in_zip(**{"[Content_Types].xml": "x", "xl__workbook.xml": "x"}),
        {},
        "an Excel file; which these two lines convert:",
    ),
    "a stream of Arrow": (raw(b"\xff\xff\xff\xff\x10\x01"), {}, "a stream of Arrow; which these two lines convert:"),
    "BSON": (raw(b"<\0\0\0\x04W\0" + bytes(53)), {}, "a file of an unknown format: in the program that wrote it, numpy.savez"),
    "index of shards": (
        raw(b'{"weight_map": {"W": "model-1.safetensors"}}'),
        {},
        "the index of a model in several files: name one",
    ),
    "semicolons": (raw(b"1,5;2\n3;4\n"), {}, "numpy.loadtxt({path}, delimiter=';'"),
    "bias of another number": (npz(W=np.ones((4, 2, 3)), b=np.ones((5, 3))), {}, "bias must have a number for each feature"),
    "unknown name": (
        npz(W=WEIGHTS, b=BIAS),
        dict(weights_name="V"),
        "weights_name must be one of the arrays of {path} (W, b), got 'V'",
    ),
    "unknown name of the bias": (
        npz(W=WEIGHTS, b=BIAS),
        dict(bias_name="V"),
        "bias_name must be one of the arrays of {path} (W, b), got 'V'",
    ),
    "one name for both": (
        npz(W=WEIGHTS, b=BIAS),
        dict(weights_name="W", bias_name="W"),
        "bias_name must be another array than the weights, got 'W'",
    ),
    "name in a file without": (raw(plain(WEIGHTS)), dict(weights_name="V"), "weights_name must not be given for {path}"),
    "index of one model": (npz(W=WEIGHTS, b=BIAS), dict(index=(0,)), "index must not be given"),
    "index too high": (npz(W=TEN, b=TEN_BIAS), dict(index=(10,)), "index must be in 0…9 for weights"),
    "negative index": (npz(W=TEN, b=TEN_BIAS), dict(index=(-1,)), "index must be a whole number ≥ 0, got -1"),
    "index of two axes": (npz(W=TEN, b=TEN_BIAS), dict(index=(1, 2)), "index must be in 0…9 for weights"),
    "layout of other words": (
        npz(W=TEN, b=TEN_BIAS),
        dict(layout="batch in out"),
        "layout must be the order of the axes in words",
    ),
    "layout of other axes": (
        npz(W=TEN, b=TEN_BIAS),
        dict(layout="hidden features"),
        "layout must name the 3 axes of weights of shape (10, 2, 5)",
    ),
    "layout of wrong sizes": (
        npz(W=PENTAGON, b=ITS_BIAS),
        dict(layout="features hidden"),
        "n_hidden must be less than n_features (2), got 5",
    ),
    "bias of no file": (
        npz(W=WEIGHTS, b=BIAS),
        dict(bias="none"),
        "bias must be in a file that can be read, got 'none' (No such file",
    ),
}

DECODER = (PENTAGON * [1.0, 0.9, 1.1, 1.0, 0.8]).T + 0.05
UNTIED = {  # files of PENTAGON, DECODER and ITS_BIAS: (arrays, options)
    "W_out": (dict(W=PENTAGON, W_out=DECODER, b=ITS_BIAS), {}),
    "W_in, W_out": (dict(W_in=PENTAGON, W_out=DECODER, b=ITS_BIAS), {}),
    "stored one like the other": (dict(W_in=PENTAGON.T, W_out=DECODER, b=ITS_BIAS), {}),
    "W_enc, W_dec": (dict(W_dec=DECODER.T, W_enc=PENTAGON.T, b_enc=np.zeros(2), b_dec=ITS_BIAS), {}),
    "linear1, linear2": ({"linear1.weight": PENTAGON, "linear2.weight": DECODER, "linear2.bias": ITS_BIAS}, {}),
    "hidden_layers.0": ({"hidden_layers.0.weight": PENTAGON, "output.weight": DECODER, "output.bias": ITS_BIAS}, {}),
    "W, Z, b": (dict(W=PENTAGON, Z=DECODER, b=ITS_BIAS), dict(decoder_name="Z")),
    "layers.0, layers.2": (
        {"layers.0.weight": PENTAGON, "layers.2.weight": DECODER, "layers.2.bias": ITS_BIAS},
        dict(decoder_name="layers.2.weight"),
    ),
    "one of many": (dict(W=TEN, W_out=np.stack([DECODER] * 10), b=TEN_BIAS), dict(index=0)),
    "one of many, instances last": (
        dict(W=EIGHT.transpose(2, 1, 0), W_out=np.stack([DECODER] * 8, axis=-1), b=EIGHT_BIAS.T),
        dict(index=0, layout="features hidden instances"),
    ),
}

WITHHELD = {  # arrays that may make it another model: (arrays, the ones that are named)
    "W and two decoders": (dict(W=PENTAGON, W_out=DECODER, W_dec=2 * DECODER, b=ITS_BIAS), "W_out, W_dec"),
    "W1, W2 of two models": (dict(W1=PENTAGON, W2=DECODER.T, b=ITS_BIAS), "W2"),
    "linear1, linear2": (
        {"linear1.weight": PENTAGON, "linear1.bias": np.ones(2), "linear2.weight": 2 * PENTAGON.T, "linear2.bias": ITS_BIAS},
        "linear1.bias, linear2.weight",
    ),
    "layers.0, layers.2": (
        {"layers.0.weight": PENTAGON, "layers.2.weight": 2 * PENTAGON.T, "layers.2.bias": ITS_BIAS},
        "layers.2.weight",
    ),
    "W, Z, b": (dict(W=PENTAGON, Z=2 * PENTAGON.T, b=ITS_BIAS), "Z"),
    "W_enc, W_dec, b_enc, b_dec": (dict(W_enc=PENTAGON.T, W_dec=2 * PENTAGON, b_enc=np.ones(2), b_dec=ITS_BIAS), "W_dec, b_enc"),
    "a scale that is not used": (dict(W=PENTAGON, b=ITS_BIAS, scale=np.ones(5)), "scale"),
}


@pytest.mark.quick("_reading")
@pytest.mark.parametrize("name", READ_RIGHT)
def test_what_is_read_is_what_was_meant(tmp_path, name):
    """Weights, bias and words; nothing is in doubt."""
    write, options, weights, bias, words = READ_RIGHT[name]
    path = tmp_path / ("w.pt" if ".pt" in name else "weights")
    write(path)
    found = read_weights(path, **options)
    assert np.array_equal(found.weights, weights) and found.weights.dtype == np.float64
    assert found.bias is None if bias is None else np.allclose(found.bias, bias, rtol=1e-15, atol=0)
    assert words in found.source and found.doubt is None and str(path) in found.source


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_read_says_why(tmp_path, monkeypatch, name):
    """The sentence that gets past it."""
    write, options, words = REFUSED[name]
    monkeypatch.setitem(sys.modules, "torch", None)
    path = tmp_path / ("m.onnx" if name == "ONNX" else "weights")
    write(path)
    with pytest.raises(ValueError) as error:
        read_weights(path, **options)
    assert words.replace("{path}", repr(str(path))) in str(error.value)


@pytest.mark.parametrize("name", WITHHELD)
def test_arrays_that_may_make_it_another_model_are_named(tmp_path, name):
    """The encoder is what is read; the doubt goes away when the user insists."""
    arrays, others = WITHHELD[name]
    np.savez(tmp_path / "w.npz", **arrays)
    found = read_weights(tmp_path / "w.npz")
    assert np.array_equal(found.weights, PENTAGON) and np.array_equal(found.bias, ITS_BIAS)
    assert sorted(found.unused) == sorted(others.split(", ")) and f"not read: {', '.join(found.unused)}" in found.source
    assert found.doubt.startswith(", ".join(found.unused)) and "another model than a tied one" in found.doubt
    assert read_weights(tmp_path / "w.npz", tied=True).doubt is None


@pytest.mark.parametrize("name", UNTIED)
def test_untied_weights_are_a_pair(tmp_path, name):
    """Encoder, decoder and bias; its loss is that of samples, within four standard errors; tied=True reads the encoder."""
    arrays, options = UNTIED[name]
    np.savez(tmp_path / "w.npz", **arrays)
    found = read_weights(tmp_path / "w.npz", **options)
    bias = EIGHT_BIAS[0] if "last" in name else ITS_BIAS
    encoder = EIGHT[0] if "last" in name else PENTAGON
    assert np.array_equal(found.weights, encoder) and np.array_equal(found.decoder, DECODER)
    assert np.array_equal(found.bias, bias) and found.doubt is None and "untied: decoder" in found.source
    model = ToyModel(2, np.ones(5), 0.2)
    x = model.sample(100_000, seed=3)
    lost = np.sum((x - np.maximum(x @ encoder.T @ DECODER.T + bias, 0.0)) ** 2, axis=1)
    exact = expected_loss(model, (found.decoder, found.weights), found.bias)
    assert abs(lost.mean() - exact) < 4 * lost.std() / np.sqrt(len(lost))
    options = {name: value for name, value in options.items() if name != "decoder_name"}
    assert read_weights(tmp_path / "w.npz", tied=True, **options).decoder is None


def test_the_memory_of_a_transposed_decoder_is_told(tmp_path):
    """What safetensors 0.8.0 makes of an encoder or a decoder that is not contiguous is refused; copies are read."""
    copied, kept = np.ascontiguousarray, np.asfortranarray
    for encoder, decoder in ((PENTAGON, DECODER), (PENTAGON, DECODER.T), (PENTAGON.T, DECODER), (PENTAGON.T, DECODER.T)):
        by_safetensors(W=copied(encoder), W_out=copied(decoder), b=ITS_BIAS)(tmp_path / "w")
        assert np.allclose(read_weights(tmp_path / "w").decoder, DECODER, rtol=1e-6)
        for first, second in ((copied, kept), (kept, copied), (kept, kept)):
            by_safetensors(W=first(encoder), W_out=second(decoder), b=ITS_BIAS)(tmp_path / "w")
            with pytest.raises(ValueError, match=r"must be stored as they are meant|fits a trained model better"):
                read_weights(tmp_path / "w")
            if first is not second:
                with pytest.raises(ValueError, match='weights and "W_out" must be stored as they are meant'):
                    read_weights(tmp_path / "w", layout="hidden features" if len(encoder) == 2 else "features hidden")


def test_the_decoder_that_is_asked_for(tmp_path):
    """One that is no decoder, or beside tied=True, is refused by name."""
    np.savez(tmp_path / "w.npz", W=PENTAGON, Z=DECODER, b=ITS_BIAS)
    for options in (dict(decoder_name="b"), dict(decoder_name="V"), dict(decoder_name="Z", tied=True)):
        with pytest.raises(ValueError, match="decoder_name must be an array of the shape of the weights"):
            read_weights(tmp_path / "w.npz", **options)


CONVERTED = {  # name: (writer, what it is)
    "Zarr": (by_zarr, "a Zarr group"),
    "MATLAB 5": (by_scipy(lambda path, arrays: scipy.io.savemat(path, arrays, appendmat=False)), "a MATLAB file"),
    "w.mat": (by_scipy(lambda path, arrays: scipy.io.savemat(path, arrays, format="4")), "a MATLAB file"),
    "NetCDF": (by_scipy(netcdf), "a NetCDF file"),
    "JSON": (lambda path: path.write_text(json.dumps({"W": PENTAGON.tolist()})), "a JSON file"),
    "list in JSON": (lambda path: path.write_text(repr(PENTAGON.tolist())), "a JSON file"),
    "sparse.npz": (by_scipy(lambda path, arrays: scipy.sparse.save_npz(path, scipy.sparse.csr_matrix(arrays["W"]))), "a sparse "),
    "pickle": (lambda path: path.write_bytes(pickle.dumps({"W": PENTAGON, "b": ITS_BIAS}, 0)), "a pickle, which can run any "),
    "joblib": (
        lambda path: joblib.dump({"W": PENTAGON, "b": ITS_BIAS}, path, compress=3),
        "a pickle in a stream of zlib, as joblib writes, which",
    ),
    "semicolons": (lambda path: np.savetxt(path, PENTAGON, delimiter=";"), "a text file"),
    "text": (lambda path: np.savetxt(path, PENTAGON), "a text file"),
    "text of a spreadsheet": (lambda path: np.savetxt(path, PENTAGON, delimiter=",", encoding="utf-8-sig"), "a text file"),
}


@pytest.mark.parametrize("name", CONVERTED)
def test_the_lines_that_convert_do(tmp_path, monkeypatch, name):
    """Run as they stand, with a bias where they leave one open, they make a file that is read right."""
    write, words = CONVERTED[name]
    monkeypatch.chdir(tmp_path)
    write(tmp_path / name)
    with pytest.raises(ValueError, match=f"got '{name}', {words}.*; which these two lines convert:") as error:
        read_weights(name)
    _, *lines = str(error.value).replace('found["b"]', "b").split("\n")
    code = "\n".join(map(str.strip, lines))
    exec(code.replace("weights=W, bias=b", "**found") if words.startswith("a pickle") else code, {"b": ITS_BIAS})
    found = read_weights("weights.npz")
    assert np.allclose(found.weights, PENTAGON, rtol=1e-15) and np.allclose(found.bias, ITS_BIAS, rtol=1e-15)


@pytest.mark.parametrize("density", [0.02, 0.4, 0.9])
@pytest.mark.parametrize(("n_features", "n_hidden", "n_models"), [(5, 2, 8), (8, 3, 5), (6, 2, 6), (4, 2, 5)])
def test_trained_models_tell_their_axes(n_features, n_hidden, n_models, density):
    """Of arrays whose shapes allow two readings or more, hardly trained models are always read as they were stored."""
    model = ToyModel(n_hidden, 0.8 ** np.arange(n_features), density)
    run = train(model, n_models=n_models, n_steps=100, batch_size=256, learning_rate=0.01, seed=n_features)
    weights, bias = run.weights, run.bias
    for stored, its_bias, axes in (
        (weights, bias, "instances hidden features"),
        (weights.transpose(2, 1, 0), bias.T, "features hidden instances"),
        (weights.swapaxes(1, 2), bias, "instances features hidden"),
    ):
        assert str(find_layout(stored, its_bias, [], "w", False, False, lambda read: None)[0]) == axes


def test_noise_does_not_tell_its_axes():
    """Weights that no reading makes better than a constant are asked about, never read one way."""
    generator = np.random.default_rng(0)
    for _ in range(20):
        arrays = generator.normal(size=(5, 2, 8)), generator.normal(size=(5, 8)) / 10
        with pytest.raises(ValueError, match="layout must be given"):
            find_layout(*arrays, [], "w", False, False, lambda read: None)


def test_the_corpus_is_large():
    """At least forty files."""
    assert len(READ_RIGHT) + len(REFUSED) + len(WITHHELD) + len(UNTIED) >= 90


@pytest.mark.parametrize("kind", ["float16", "float32", "float64", ">f8", "longdouble"])
@pytest.mark.parametrize("names", [("weights", "bias"), ("W", "b"), ("W", "b_final")])
def test_npz_of_any_float_and_any_usual_name(tmp_path, kind, names):
    """Types and names that PyTorch users and the paper's notebook write are read without options."""
    path = tmp_path / "w.npz"
    np.savez(path, **{names[0]: WEIGHTS.astype(kind), names[1]: BIAS.astype(kind)}, loss=3.0)
    found = read_weights(path)
    assert np.array_equal(found.weights, WEIGHTS) and np.array_equal(found.bias, BIAS)
    assert found.weights.dtype == np.float64 and f'"{names[0]}" (2, 3)' in found.source and found.unused == ("loss",)


@pytest.mark.parametrize("kind", ["F64", "F32", "F16", "BF16"])
def test_safetensors_of_any_float(tmp_path, kind):
    """Bytes written after the format's specification come back as numbers, those of bfloat16 as well."""
    encode = bfloat16 if kind == "BF16" else lambda x: x.astype({"F64": "<f8", "F32": "<f4", "F16": "<f2"}[kind]).tobytes()
    path = tmp_path / "w.safetensors"
    tensors = {"layer.W": (kind, [3, 2], encode(np.ascontiguousarray(WEIGHTS.T))), "layer.b": (kind, [3], encode(BIAS))}
    path.write_bytes(safetensors_bytes({"activation": "Identity"}, **tensors))
    found = read_weights(path)
    assert np.array_equal(found.weights, WEIGHTS) and np.array_equal(found.bias, BIAS) and found.layout == "features hidden"
    assert found.activation == "linear"


@pytest.mark.parametrize(("kind", "exponents"), [("F8_E4M3", 4), ("F8_E5M2", 5)])
def test_every_eight_bit_float(tmp_path, kind, exponents):
    """All finite ones against the formula (1 + fraction) 2^(exponent − bias); what is not finite stays so."""
    path, codes = tmp_path / "w.safetensors", np.arange(256, dtype=np.uint8)
    path.write_bytes(safetensors_bytes(W=(kind, [2, 128], codes.tobytes())))
    values = read_weights(path, layout="hidden features").weights
    finite = np.isfinite(values[0])
    assert finite.sum() == (127 if exponents == 4 else 124) and np.array_equal(values[1], -values[0], equal_nan=True)
    assert float8(values[0][finite], exponents) == codes[:128][finite].tobytes()


def test_importance_and_density_of_the_file(tmp_path):
    """Arrays of each model and each feature in the shapes that notebooks broadcast; sparsity is 1 − density."""
    importance, density = 0.9 ** np.arange(5), np.geomspace(0.1, 1, 10)
    for arrays in (
        dict(importance=importance[None], feature_probability=density[:, None]),
        dict(importance=importance, density=density),
        dict(importance=np.tile(importance, (10, 1)), sparsity=1 - density),
        dict(importance=importance[None, None], density=density[:, None, None]),
    ):
        np.savez(tmp_path / "w.npz", W=TEN, b=TEN_BIAS, **arrays)
        found = read_weights(tmp_path / "w.npz")
        assert np.array_equal(found.importance, np.tile(importance, (10, 1))) and found.unused == () and found.doubt is None
        assert np.allclose(found.density, density[:, None], rtol=1e-14) and found.density.shape == (10, 5)
        one = read_weights(tmp_path / "w.npz", index=(3,))
        assert one.importance.shape == (5,) and np.allclose(one.density, density[3], rtol=1e-14)


class Tensor:
    """A stand-in for a tensor of PyTorch: without __array__ where it needs a gradient or has a type that NumPy lacks."""

    def __init__(self, values, grad=False, dtype="float32"):
        self.values, self.grad, self.dtype, self.shape = np.asarray(values, dtype=np.float32), grad, dtype, np.shape(values)

    def detach(self):
        return Tensor(self.values, False, self.dtype)

    def cpu(self):
        return self

    def numpy(self):
        if self.grad:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad.")
        if self.dtype == "bfloat16":
            raise TypeError("Got unsupported ScalarType BFloat16")
        return self.values

    def __array__(self, dtype=None, copy=None):
        return self.numpy().astype(dtype or np.float32)

    def tolist(self):
        return self.values.tolist()


@pytest.fixture
def torch(monkeypatch):
    """A stand-in for PyTorch whose ``load`` gives what the test puts into it, or raises it."""
    module = SimpleNamespace()

    def load(path, map_location, weights_only):
        assert map_location == "cpu" and weights_only is True
        if isinstance(module.found, Exception):
            raise module.found
        return module.found

    module.load = load
    monkeypatch.setitem(sys.modules, "torch", module)
    return module


@pytest.mark.parametrize("ending", [".pt", ".pth", ".ckpt", ".pkl"])
@pytest.mark.parametrize("legacy", [False, True])
def test_files_of_pytorch(tmp_path, torch, ending, legacy):
    """State dicts, checkpoints with the state of an optimizer, lists and single tensors, however the file is called."""
    path = tmp_path / f"w{ending}"
    (raw(b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.") if legacy else in_zip(**{"archive__data.pkl": "x"}))(path)
    weights, bias = Tensor(WEIGHTS.T, grad=True), Tensor(BIAS, dtype="bfloat16")
    state = {"model.W": weights, "model.b": bias}
    optimizer = {"state": {0: {"step": 3.0, "exp_avg": weights}}, "param_groups": [{"lr": 0.1, "params": [0]}]}
    settings = {"activation": "relu", "n_hidden": 2}
    for torch.found, name in (
        (state, '"model.W"'),
        (
            {"state_dict": state, "epoch": 3, "optimizer_states": [optimizer], "hyper_parameters": settings},
            '"state_dict.model.W"',
        ),
        ({"model": {"W": weights, "b": bias}, "optimizer": optimizer}, '"model.W"'),
        ([weights, bias], '"0"'),
    ):
        found = read_weights(path)
        assert np.array_equal(found.weights, WEIGHTS) and np.array_equal(found.bias, BIAS) and found.doubt is None
        assert name in found.source and "optimizer" not in found.source
    torch.found = weights
    assert np.array_equal(read_weights(path).weights, WEIGHTS) and read_weights(path).bias is None
    torch.found = pickle.UnpicklingError("Weights only load failed. ...")
    with pytest.raises(ValueError, match=r"holds more than tensors, .* torch.save\(model.state_dict\(\)"):
        read_weights(path)
    torch.found = RuntimeError("PytorchStreamReader failed reading zip archive\nmore")
    with pytest.raises(ValueError, match=r"can be read, got .*\(PytorchStreamReader failed reading zip archive\)$"):
        read_weights(path)


def test_npy_holds_weights_alone(tmp_path):
    """The bias is left open, or comes from a file of its own."""
    np.save(tmp_path / "W.npy", WEIGHTS)
    np.save(tmp_path / "b.npy", BIAS)
    assert read_weights(tmp_path / "W.npy").bias is None
    assert read_weights(tmp_path / "W.npy", bias="zero").bias is None
    found = read_weights(tmp_path / "W.npy", bias=str(tmp_path / "b.npy"))
    assert np.array_equal(found.bias, BIAS) and "b.npy" in found.source
    np.savez(tmp_path / "two.npz", b=BIAS, c=BIAS)
    with pytest.raises(ValueError, match=r"bias must be in a file of one array, got .* with 2 \(b, c\)"):
        read_weights(tmp_path / "W.npy", bias=str(tmp_path / "two.npz"))


def test_unusable_arrays_beside_the_weights_do_not_matter(tmp_path):
    """Object arrays are never unpickled, and refused only when they are asked for."""
    np.savez(tmp_path / "w.npz", W=WEIGHTS, b=BIAS, history=np.array([{}, None]))
    assert np.array_equal(read_weights(tmp_path / "w.npz").weights, WEIGHTS)
    with pytest.raises(ValueError, match="bias must be in a file that can be read"):
        read_weights(tmp_path / "w.npz", bias_name="history")


class Trap:
    """What a hostile pickle would do when it is loaded."""

    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", ["w.npy", "w.npz", "w.safetensors", "w.pt", "w.pkl", "w"])
def test_pickles_are_never_loaded(tmp_path, name, protocol):
    """Whatever the file is called."""
    (tmp_path / name).write_bytes(pickle.dumps(Trap(), protocol))
    with pytest.raises(ValueError, match="is never read"):
        read_weights(tmp_path / name)
    array = np.empty(1, dtype=object)
    array[0] = Trap()
    np.savez(tmp_path / "w.npz", W=array, b=BIAS)
    with pytest.raises(ValueError, match="weights must be in a file that can be read"):
        read_weights(tmp_path / "w.npz")


def test_arguments_of_other_kinds(tmp_path):
    """An index may be one number; paths are paths; a bias has one source; the file shows itself in a line."""
    path = tmp_path / "w.npz"
    np.savez(path, W=TEN, b=TEN_BIAS)
    assert np.array_equal(read_weights(path, index=3).weights, read_weights(str(path), index=np.array([3])).weights)
    assert (
        repr(read_weights(path, index=3)).startswith("WeightFile(weights=<2 × 5>, bias=[")
        and "source" in read_weights(path).text()
    )
    for options, message in (
        (dict(index=1.5), "index must be a whole number ≥ 0, got 1.5"),
        (dict(index=("a",)), "index must be a whole number ≥ 0, got 'a'"),
        (dict(bias=TEN_BIAS), 'bias must be the path of a file, "zero" or "optimal", got array'),
        (dict(bias="zero", bias_name="b"), r"bias_name must not be given beside bias \('zero'\), got 'b'"),
    ):
        with pytest.raises(ValueError, match=message):
            read_weights(path, **options)
    for wrong in (3, None, b"w.npz"):
        with pytest.raises(ValueError, match="path must be the path of a file, got"):
            read_weights(wrong)


def test_the_weights_are_no_bias(tmp_path):
    """A bias from the file of the weights is refused, and a checkpoint of TensorFlow known by the name that has no file."""
    np.save(tmp_path / "W.npy", PENTAGON)
    with pytest.raises(ValueError, match="bias must be in another file than the weights"):
        read_weights(tmp_path / "W.npy", bias=str(tmp_path / "W.npy"))
    (tmp_path / "m.ckpt.index").write_bytes(b"\0\0\6")
    for name in ("m.ckpt", "m.ckpt.index"):
        with pytest.raises(ValueError, match="a checkpoint of TensorFlow; which these two lines convert"):
            read_weights(tmp_path / name)


def test_files_that_are_not_there(tmp_path):
    """A missing file and a folder are named with the system's reason."""
    with pytest.raises(ValueError, match=r"w.npz' \(No such file or directory\)"):
        read_weights(tmp_path / "w.npz")
    (tmp_path / "folder.npy").mkdir()
    with pytest.raises(ValueError, match=r"folder.npy' \(Is a directory\)"):
        read_weights(tmp_path / "folder.npy")


@pytest.mark.parametrize("ending", [".npz", ".npy", ".safetensors"])
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_damaged_files_are_refused_or_read(tmp_path_factory, ending, data):
    """A file cut short is refused; one with a byte changed is refused or gives an array: nothing else comes out."""
    path = tmp_path_factory.getbasetemp() / f"damaged{ending}"
    if ending == ".npz":
        np.savez_compressed(path, W=WEIGHTS, b=BIAS)
    elif ending == ".npy":
        np.save(path, WEIGHTS)
    else:
        path.write_bytes(safetensors_bytes(W=("F64", [2, 3], WEIGHTS.tobytes()), b=("F64", [3], BIAS.tobytes())))
    whole = path.read_bytes()
    cut = data.draw(st.integers(0, len(whole) - 1))
    path.write_bytes(whole[:cut])
    with pytest.raises(ValueError, match="must be"):
        read_weights(path)
    damaged = bytearray(whole)
    damaged[cut] = data.draw(st.integers(0, 255))
    path.write_bytes(damaged)
    try:
        assert isinstance(read_weights(path).weights, np.ndarray)
    except ValueError as refusal:
        assert " must " in str(refusal)
