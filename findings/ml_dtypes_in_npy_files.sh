#!/bin/sh
# ml_dtypes 0.6.0 with NumPy 2.4.6: numpy.save writes bfloat16 and float8 arrays without an error, and numpy.load does not give
# them back.
#
# Seen: a bfloat16 array is loaded as raw bytes of type void (|V2), float8_e4m3fn as |V1, the same as fifteen other types of one
# byte (int4, float8_e3m4, …), so that the file does not tell which it was; float8_e5m2 is written as '<f1', which numpy.load
# refuses with "descr is not a valid dtype descriptor". float16 is not affected.
# Why a guess goes wrong: nothing is said when the file is written, the arrays work in every other way as NumPy arrays, and
# numpy.load of JAX's bfloat16 weights fails later, in arithmetic on void. Two bytes can only be bfloat16:
# loaded.view(ml_dtypes.bfloat16) is right. One byte cannot be told: save W.astype("float32").
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy==2.4.6 ml_dtypes==0.6.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import io

import ml_dtypes
import numpy as np

print("ml_dtypes", ml_dtypes.__version__, "numpy", np.__version__)
values = np.array([1.0, -0.5, 0.25])


def saved(kind):
    file = io.BytesIO()
    np.save(file, values.astype(kind))
    header = file.getvalue()[10:].split(b",")[0].decode()
    file.seek(0)
    try:
        loaded = np.load(file)
        print(f"{np.dtype(kind).name}: header {header}, loaded as {loaded.dtype}")
        return loaded
    except ValueError as error:
        print(f"{np.dtype(kind).name}: header {header}, {error}")
        return str(error)


loaded = saved(ml_dtypes.bfloat16)
assert loaded.dtype == np.dtype("V2") and loaded.view(ml_dtypes.bfloat16).astype(float).tolist() == values.tolist()
kinds = ["float8_e4m3fn", "float8_e4m3", "float8_e3m4", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e4m3b11fnuz", "int4", "uint4"]
assert all(saved(getattr(ml_dtypes, kind)).dtype == np.dtype("V1") for kind in kinds), "types of one byte are told apart now"
assert "not a valid dtype descriptor: '<f1'" in saved(ml_dtypes.float8_e5m2), "float8_e5m2 can be loaded now"
assert saved(np.float16).tolist() == values.tolist()
PYTHON
