"""Formats that are not read: what each is called, how it is told, and the two lines of Python that convert it."""

from codecs import getincrementaldecoder

READABLE = ".npz", ".npy", ".safetensors", ".pt", ".pth", ".ckpt", ".bin"
"""How the names of files that are read end, of PyTorch's too."""
SAVE = 'numpy.savez("weights.npz", weights=W, bias=b)'
BEGINNING = 65536
"""Bytes of a file from which its format is told."""


def _two(what, first, second=SAVE):
    """A format and the words that lead to two lines of Python."""
    return f"{what}; which these two lines convert:\n    {first}\n    {second}"


def _saved(what):
    """A format of which only what wrote it knows where its arrays are."""
    return f"{what}: in the program that wrote it, {SAVE} writes one that is read"


def _tensors(items):
    """The line that saves tensors of PyTorch."""
    return f'numpy.savez("weights.npz", **{{k: v.detach().float().cpu().numpy() for k, v in {items}.items()}})'


def _tree(what, first):
    """The words for a nested dict of arrays."""
    return _two(what, first, 'numpy.savez("weights.npz", **flax.traverse_util.flatten_dict(tree, sep="/"))')


def _zarr(what, opened):
    """The words for a Zarr group."""
    found = f'import zarr, numpy; found = dict(zarr.open({opened}, mode="r").members(max_depth=None))'
    return _two(what, found, 'numpy.savez("weights.npz", **{k: v[...] for k, v in found.items() if hasattr(v, "shape")})')


PYTORCH = _two(
    'a file of PyTorch, to be read after pip install "phasediag[torch]", or one',
    'import torch, numpy; found = torch.load(PATH, map_location="cpu", weights_only=True)',
    _tensors("found"),
).replace("one; which", "one which")
PYTORCH_OBJECTS = (
    "a file of PyTorch that holds more than tensors, and could run any program; where it was written, "
    'torch.save(model.state_dict(), "weights.pt") writes one that is read'
)
_PICKLE, _COMPRESSED_PICKLE = (
    _two(
        f"a pickle{kind}, which can run any program and is never read",
        f"import numpy, {load}  # {other}only where you trust who wrote it",
    )
    for kind, load, other in (
        ("", "pathlib, pickle; found = pickle.loads(pathlib.Path(PATH).read_bytes())", "or joblib.load(PATH); "),
        (" in a stream of zlib, as joblib writes", "joblib; found = joblib.load(PATH)", ""),
    )
)
_HDF5 = _two(
    "an HDF5 file",
    "import h5py, numpy; arrays = {}; h5py.File(PATH).visititems(lambda k, v: hasattr(v, 'shape') and arrays.update({k: v[()]}))",
    'numpy.savez("weights.npz", **arrays)  # Keras numbers its arrays: vars/0 is a kernel, vars/1 its bias',
)
_ONNX = _two(
    "an ONNX model",
    "import onnx, numpy; model = onnx.load(PATH)",
    'numpy.savez("weights.npz", **{t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer})',
)
_MSGPACK = _tree(
    "a msgpack file, as Flax writes", "import flax, numpy; tree = flax.serialization.msgpack_restore(open(PATH, 'rb').read())"
)
_MATLAB = _two("a MATLAB file", "import scipy.io, numpy; found = scipy.io.loadmat(PATH)", SAVE.replace("=W", '=found["W"]'))
_EXPORTED = _two(
    "a program that PyTorch exported", "import torch, numpy; model = torch.export.load(PATH)", _tensors("model.state_dict")
)
_GGUF = _two(
    "a GGUF file",
    "import gguf, numpy; found = {t.name: t.data for t in gguf.GGUFReader(PATH).tensors}",
    'numpy.savez("weights.npz", **found)',
)
_NETCDF = _two(
    "a NetCDF file",
    "import scipy.io, numpy; found = scipy.io.netcdf_file(PATH, mmap=False).variables",
    'numpy.savez("weights.npz", **{k: v[...].astype(float) for k, v in found.items()})',
)
_SPARSE = _two("a sparse matrix of SciPy", "import numpy, scipy.sparse; W = scipy.sparse.load_npz(PATH).toarray()")
_LITE = _two(
    "a TensorFlow Lite model",
    "import numpy, tensorflow; model = tensorflow.lite.Interpreter(PATH); model.allocate_tensors()",
    'numpy.savez("weights.npz", **{d["name"]: model.get_tensor(d["index"]) for d in model.get_tensor_details()})',
)
TENSORFLOW = _two(
    "a checkpoint of TensorFlow",
    "import numpy, tensorflow; found = tensorflow.train.load_checkpoint(PATH)",
    'numpy.savez("weights.npz", **{k: found.get_tensor(k) for k in found.get_variable_to_shape_map()})',
)
_ZIPPED_ZARR = _zarr("a Zarr group in a zip file", 'zarr.storage.ZipStore(PATH, mode="r")')
_BY_BEGINNING = (
    (b"\x89HDF\r\n\x1a\n", _HDF5),
    (b"MATLAB 7.3", _HDF5),
    (b"MATLAB", _MATLAB),
    *((b"\x80" + bytes([protocol]), _PICKLE) for protocol in range(2, 6)),
    *((begins, _PICKLE) for begins in (b"(dp", b"(lp", b"}q", b"]q", b"ccopy", b"cnumpy")),  # of protocols 0 and 1
    *((b"x" + bytes([level]), _COMPRESSED_PICKLE) for level in (0x01, 0x5E, 0x9C, 0xDA)),
    (b"\x04\x22\x4d\x18", "a file compressed by LZ4: unpack it first (unlz4)"),
    (b"HDF5-based Julia", _HDF5),
    (b"SQLite format 3", _saved("an SQLite database")),
    (b"Obj\x01", _saved("an Avro file")),
    (b"SIMPLE  =", _two("a FITS file", "import numpy; from astropy.io import fits; W = fits.getdata(PATH)")),
    (
        b"\xff\xff\xff\xff",
        _two("a stream of Arrow", "import numpy, pyarrow; W = pyarrow.ipc.open_stream(PATH).read_pandas().to_numpy()"),
    ),
    (b"\x1f\x8b", "a file compressed by gzip: unpack it first (gunzip)"),
    (b"\x28\xb5\x2f\xfd", "a file compressed by zstd: unpack it first (unzstd)"),
    (b"BZh", "a file compressed by bzip2: unpack it first (bunzip2)"),
    (b"\xfd7zXZ", "a file compressed by xz: unpack it first (unxz)"),
    (b"PK", "a zip file without arrays"),
    (b"GGUF", _GGUF),
    (b"CDF", _NETCDF),
    (b"version https://git-lfs", "a pointer of Git LFS in place of the file: git lfs pull fetches it"),
    (b"PAR1", _two("a Parquet file", "import pandas, numpy; W = pandas.read_parquet(PATH).to_numpy()")),
    (b"ARROW1", _two("a Feather file", "import pandas, numpy; W = pandas.read_feather(PATH).to_numpy()")),
)
_BY_ENDING = {".onnx": _ONNX, ".msgpack": _MSGPACK, ".mat": _MATLAB, ".pkl": _PICKLE, ".pickle": _PICKLE, ".joblib": _PICKLE}
IN_ZIP = {
    "model.weights.h5": _two(
        "a Keras model",
        "import keras, numpy; model = keras.saving.load_model(PATH, compile=False)",
        'numpy.savez("weights.npz", **{w.path: w.numpy() for w in model.weights})',
    ),
    "archive_format": _EXPORTED,
    "model.json": _EXPORTED,
    "constants.pkl": _two(
        "a TorchScript program",
        'import torch, numpy; model = torch.jit.load(PATH, map_location="cpu")',
        _tensors("model.state_dict()"),
    ),
    "format.npy": _SPARSE,
    "workbook.xml": _two("an Excel file", "import numpy, pandas; W = pandas.read_excel(PATH, header=None).to_numpy()"),
    "zarr.json": _ZIPPED_ZARR,
    ".zarray": _ZIPPED_ZARR,
}
"""Names of files in a zip, each with the format that has them."""
_IN_FOLDER = {
    ".zarray": _two("a Zarr array", 'import zarr, numpy; W = zarr.open(PATH, mode="r")[...]'),
    **dict.fromkeys(("zarr.json", ".zgroup"), _zarr("a Zarr group", "PATH")),
    **dict.fromkeys(
        ("_CHECKPOINT_METADATA", "manifest.ocdbt"),
        _tree(
            "a checkpoint of Orbax",
            "import flax, numpy, os, orbax.checkpoint as o; tree = o.StandardCheckpointer().restore(os.path.abspath(PATH))",
        ),
    ),
    "saved_model.pb": _two(
        "a model of TensorFlow",
        "import tensorflow, numpy; model = tensorflow.saved_model.load(PATH)",
        'numpy.savez("weights.npz", **{v.name: v.numpy() for v in model.variables})',
    ),
}


def of_folder(names):
    """What a folder that holds these names is; None where it is not known."""
    readable = sorted(name for name in names if name.endswith(READABLE))
    inside = f"a folder: name one of its files, {', '.join(readable[:4])}" if readable else None
    return next((words for name, words in _IN_FOLDER.items() if name in names), inside)


def of_file(head, ending):
    """What a file that begins and whose name ends so is, in words."""
    for begins, words in _BY_BEGINNING:
        if head.startswith(begins):
            return words
    if ending in _BY_ENDING and head:
        return _BY_ENDING[ending]
    if ending == ".index" or ending.startswith(".data-"):
        return TENSORFLOW.replace("PATH", 'PATH.rpartition(".")[0]')
    if head[4:8] == b"TFL3":
        return _LITE
    if head[:1] == b"\x08" and head[2:3] in (b"\x12", b"\x3a"):  # its version, then its producer's name or its graph
        return _ONNX
    if b"\x81" <= head[:1] <= b"\x8f" and b"\xa0" <= head[1:2] <= b"\xbf":  # a small map whose first key is a short text
        return _MSGPACK
    if not head:
        return "an empty file"
    if head[257:262] == b"ustar":
        return "a tar archive: unpack it first (tar xf)"
    try:
        text = getincrementaldecoder("utf-8-sig")().decode(head)
    except UnicodeDecodeError:
        text = "\0"
    if not all(letter.isprintable() or letter in "\t\r\n" for letter in text):
        return _saved("a file of an unknown format")
    if text.lstrip()[:1] == "<":
        return "a page of HTML or XML, as a failed download leaves: fetch the file itself"
    if text.lstrip()[:1] == "{" and '"weight_map"' in text:
        return "the index of a model in several files: name one of those that it lists"
    if text.lstrip()[:1] == "{":
        return _two(
            "a JSON file",
            "import json, numpy, pathlib; found = json.loads(pathlib.Path(PATH).read_bytes())",
            SAVE.replace("=W", '=found["W"]'),
        )
    if text.lstrip()[:1] == "[":
        return _two("a JSON file", "import json, numpy, pathlib; W = json.loads(pathlib.Path(PATH).read_bytes())")
    comma = next((f", delimiter='{mark}'" for mark in ";," if mark in text), "")
    return _two(
        "a text file", f"import numpy; W = numpy.loadtxt(PATH{comma}, encoding='utf-8-sig')  # skiprows=1 if it has a header"
    )
