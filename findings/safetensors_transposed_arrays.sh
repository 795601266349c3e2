#!/bin/sh
# safetensors 0.8.0: save_file(…) of a NumPy array that is not contiguous stores other numbers, without a word.
#
# Seen: W has shape (2, 3). save_file({"W": W.T}) followed by load_file gives an array of the right shape (3, 2) whose entries are
# those of W read row after row, [[0, 1], [2, 3], [4, 5]] and not [[0, 3], [1, 4], [2, 5]]; an array with a stride,
# W[:, ::2], comes back with its first entries in place of every second. The PyTorch side of the same package refuses such tensors.
# Why a guess goes wrong: shape, type and range are right, numpy.save and numpy.savez store the same view correctly, and weights
# kept as (features, hidden) are usually transposed on the way into a file. numpy.ascontiguousarray(W.T) is stored as it is.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy==2.4.6 safetensors==0.8.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import numpy as np
import safetensors
from safetensors.numpy import load_file, save_file

print("safetensors", safetensors.__version__, "numpy", np.__version__)
W = np.arange(6, dtype=np.float32).reshape(2, 3)
save_file({"transposed": W.T, "strided": W[:, ::2], "copied": np.ascontiguousarray(W.T)}, "w.safetensors")
back = load_file("w.safetensors")
for name, meant in (("transposed", W.T), ("strided", W[:, ::2]), ("copied", W.T)):
    print(f"{name}: saved {meant.tolist()}, loaded {back[name].tolist()}")
assert back["transposed"].tolist() == W.reshape(3, 2).tolist() != W.T.tolist(), "a transposed array is stored otherwise now"
assert back["strided"].tolist() == [[0, 1], [2, 3]] != W[:, ::2].tolist(), "a strided array is stored otherwise now"
assert back["copied"].tolist() == W.T.tolist()
np.savez("w.npz", W=W.T)
assert np.load("w.npz")["W"].tolist() == W.T.tolist()
PYTHON
