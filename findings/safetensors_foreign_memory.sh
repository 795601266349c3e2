#!/bin/sh
# safetensors 0.8.0: save_file(…) of a broadcast or reversed NumPy array writes memory that is not the array's into the file.
#
# Seen: shown is the first two of ten private numbers, broadcast to (3, 2); the file holds the first six. A reversed view, [::-1],
# starts at its last element in memory, so that what lies behind it is stored: of an array that is whole in its buffer, whatever
# the process keeps there (NaN, 1e22, text). Nothing is said, shapes and types are right, and the files are made to be shared.
# Why a guess goes wrong: numpy.save and numpy.savez store the same views correctly; one bias or mask for all models of an ensemble
# is usually spread by numpy.broadcast_to, and what then stands in the file looks like numbers. numpy.ascontiguousarray(…) of every
# array before save_file is stored as it is.
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
private = np.arange(10, dtype=np.float32)
arrays = {
    "broadcast": np.broadcast_to(private[:2], (3, 2)),
    "reversed": private[:5][::-1],
    "copied": np.ascontiguousarray(np.broadcast_to(private[:2], (3, 2))),
}
save_file(arrays, "w.safetensors")
back = load_file("w.safetensors")
for name, meant in arrays.items():
    print(f"{name}: saved {meant.tolist()}, loaded {back[name].tolist()}")
assert back["broadcast"].tolist() == private[:6].reshape(3, 2).tolist(), "a broadcast array is stored otherwise now"
assert back["reversed"].tolist() == private[4:9].tolist(), "a reversed array is stored otherwise now"
assert back["copied"].tolist() == arrays["copied"].tolist()
PYTHON
