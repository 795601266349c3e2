"""Files of weights: every accepted form gives the same numbers, everything else is refused in one line."""

import json
import pickle
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phasediag._weight_files import read_weights

pytestmark = pytest.mark.quick

WEIGHTS = np.array([[1.0, -0.5, 0.25], [0.0, 2.0, -1.5]])  # every entry exact in all types
BIAS = np.array([0.5, -0.25, 0.0])


def safetensors_bytes(**tensors):
    """The format by its specification: length of the header, header, data; a value is (type, shape, bytes)."""
    header, data = {}, b""
    for name, (kind, shape, values) in tensors.items():
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def bfloat16(array):
    """The upper halves of single-precision numbers."""
    return (np.asarray(array, "<f4").view("<u4") >> 16).astype("<u2").tobytes()


@pytest.mark.parametrize("kind", ["float16", "float32", "float64", ">f8", "longdouble"])
@pytest.mark.parametrize("names", [("weights", "bias"), ("W", "b"), ("W", "b_final")])
def test_npz_of_any_float_and_any_usual_name(tmp_path, kind, names):
    """Types and names that PyTorch users and the paper's notebook write are read without options."""
    path = tmp_path / "w.npz"
    np.savez(path, **{names[0]: WEIGHTS.astype(kind), names[1]: BIAS.astype(kind)}, loss=3.0)
    found = read_weights(path)
    assert np.array_equal(found.weights, WEIGHTS) and np.array_equal(found.bias, BIAS)
    assert found.weights.dtype == np.float64 and f'"{names[0]}" (2, 3)' in found.source and str(path) in found.source


@pytest.mark.parametrize("kind", ["F64", "F32", "F16", "BF16"])
def test_safetensors_of_any_float(tmp_path, kind):
    """Bytes written after the format's specification come back as numbers, those of bfloat16 as well."""
    encode = bfloat16 if kind == "BF16" else lambda x: x.astype({"F64": "<f8", "F32": "<f4", "F16": "<f2"}[kind]).tobytes()
    path = tmp_path / "w.safetensors"
    tensors = {"layer.W": (kind, [3, 2], encode(np.ascontiguousarray(WEIGHTS.T))), "layer.b": (kind, [3], encode(BIAS))}
    path.write_bytes(safetensors_bytes(**tensors))
    found = read_weights(path, weights_name="layer.W", bias_name="layer.b")
    assert np.array_equal(found.weights, WEIGHTS) and np.array_equal(found.bias, BIAS) and "transposed" in found.source


def test_the_package_writes_what_is_read(tmp_path):
    """A file written by safetensors itself is read; its suffix may have capitals."""
    from safetensors.numpy import save_file

    save_file({"W": WEIGHTS.astype(np.float32), "b": BIAS.astype(np.float32)}, tmp_path / "w.SafeTensors")
    found = read_weights(tmp_path / "w.SafeTensors")
    assert np.array_equal(found.weights, WEIGHTS) and np.array_equal(found.bias, BIAS)


def test_npy_holds_weights_alone(tmp_path):
    """The bias is left open, or comes from a .npy file of its own."""
    np.save(tmp_path / "W.npy", WEIGHTS)
    np.save(tmp_path / "b.npy", BIAS)
    assert read_weights(tmp_path / "W.npy").bias is None
    assert read_weights(tmp_path / "W.npy", bias="zero").bias is None
    found = read_weights(tmp_path / "W.npy", bias=str(tmp_path / "b.npy"))
    assert np.array_equal(found.bias, BIAS) and "b.npy" in found.source


def test_one_of_several_models_is_chosen(tmp_path):
    """With the notebook's axes (instance, feature, hidden), or two leading axes; a leading axis of one needs no index."""
    rng, path = np.random.default_rng(0), tmp_path / "w.npz"
    weights, bias = rng.normal(size=(4, 5, 3, 2)), rng.normal(size=(4, 5, 3))
    np.savez(path, W=weights[0], b_final=bias[0])
    found = read_weights(path, index=(3,))
    assert np.array_equal(found.weights, weights[0, 3].T) and np.array_equal(found.bias, bias[0, 3])
    assert "model 3" in found.source
    np.savez(path, W=weights, b_final=bias)
    found = read_weights(path, index=(2, 4))
    assert np.array_equal(found.weights, weights[2, 4].T) and np.array_equal(found.bias, bias[2, 4])
    np.savez(path, W=weights[:1, 0], b_final=bias[:1, 0])
    found = read_weights(path)
    assert np.array_equal(found.weights, weights[0, 0].T) and np.array_equal(found.bias, bias[0, 0])
    np.savez(path, W=weights[0], b_final=bias[0, 0])  # one bias for all
    assert np.array_equal(read_weights(path, index=(1,)).bias, bias[0, 0])


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        (dict(X=WEIGHTS, c=BIAS), {}, r"weights_name must be given: .* has none of weights, W, weight; its arrays: X, c"),
        (dict(W=WEIGHTS, c=BIAS), {}, r"bias_name must be given \(or bias .*its arrays: W, c"),
        (dict(W=WEIGHTS, weight=WEIGHTS, b=BIAS), {}, "weights_name must be given: .* has several of W, weight"),
        (dict(W=WEIGHTS, b=BIAS), dict(weights_name="V"), r"weights_name must be one of the arrays of .* \(W, b\), got 'V'"),
        (dict(W=WEIGHTS, b=BIAS), dict(bias_name="V"), r"bias_name must be one of the arrays of .* \(W, b\), got 'V'"),
        (dict(W=WEIGHTS, b=BIAS), dict(bias="none"), 'bias must be "zero", "optimal" or a .npy file, got \'none\''),
        (dict(W=WEIGHTS, b=BIAS), dict(index=(0,)), r"index must not be given .* of shape \(2, 3\), got 0"),
        (dict(W=np.ones((4, 2, 3)), b=BIAS), {}, r"index must choose one of the models \(0…3\): weights have shape \(4, 2, 3\)"),
        (dict(W=np.ones((4, 2, 3)), b=BIAS), dict(index=(4,)), "index must be in 0…3 .* got 4"),
        (dict(W=np.ones((4, 2, 3)), b=BIAS), dict(index=(-1,)), "index must be in 0…3 .* got -1"),
        (dict(W=np.ones((4, 2, 3)), b=BIAS), dict(index=(1, 2)), "index must be in 0…3 .* got 1,2"),
        (dict(W=np.ones((4, 2, 3)), b=np.ones((5, 3))), dict(index=(1,)), r"bias must have shape \(4, 3\) beside \(4, 2, 3\)"),
        (dict(W=np.ones(3), b=BIAS), {}, r"weights must have shape \(n_hidden, n_features\), got \(3,\)"),
        (dict(W=WEIGHTS + 0j, b=BIAS), {}, "weights must be an array of real numbers, got one of type complex128"),
        (dict(W=WEIGHTS, b=np.array(["x"] * 3)), {}, "bias must be an array of real numbers, got one of type <U1"),
        (dict(W=WEIGHTS.astype(object), b=BIAS), {}, "weights must be in a file that can be read.*[Oo]bject array"),
        (dict(W=np.ones((0, 2, 3)), b=BIAS), {}, "index must choose one"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path, arrays, options, message):
    """One error that names the argument and what the file holds."""
    np.savez(tmp_path / "w.npz", **arrays)
    with pytest.raises(ValueError, match=message) as error:
        read_weights(tmp_path / "w.npz", **options)
    assert "\n" not in str(error.value)


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


@pytest.mark.parametrize("name", ["w.npy", "w.npz", "w.safetensors", "w.pt", "w.pkl", "w"])
def test_pickles_are_never_loaded(tmp_path, name):
    """Whatever the file is called."""
    (tmp_path / name).write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ValueError, match="weights must be"):
        read_weights(tmp_path / name)
    array = np.empty(1, dtype=object)
    array[0] = Trap()
    np.savez(tmp_path / "w.npz", W=array, b=BIAS)
    with pytest.raises(ValueError, match="weights must be in a file that can be read"):
        read_weights(tmp_path / "w.npz")


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
    with pytest.raises(ValueError, match="must be") as error:
        read_weights(path)
    assert "\n" not in str(error.value)
    damaged = bytearray(whole)
    damaged[cut] = data.draw(st.integers(0, 255))
    path.write_bytes(damaged)
    try:
        assert isinstance(read_weights(path).weights, np.ndarray)
    except ValueError as refusal:
        assert "\n" not in str(refusal)


def test_other_tensor_types_are_refused(tmp_path):
    """Eight-bit floats are named, not guessed at."""
    (tmp_path / "w.safetensors").write_bytes(safetensors_bytes(W=("F8_E4M3", [2, 3], bytes(6))))
    with pytest.raises(ValueError, match="its type is F8_E4M3, not one of F64, F32"):
        read_weights(tmp_path / "w.safetensors")


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    """Without the package safetensors the error says how to get it."""
    (tmp_path / "w.safetensors").write_bytes(safetensors_bytes(W=("F64", [2, 3], WEIGHTS.tobytes())))
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(ValueError, match=r'pip install "phasediag\[safetensors\]"'):
        read_weights(tmp_path / "w.safetensors")
