#!/bin/sh
# equinox 0.13.8: tree_serialise_leaves writes every leaf of a model as a .npy array, one after the other, into one file, and
# numpy.load of that file gives the first one alone, without a word.
#
# Seen: a linear layer 5 -> 2 is saved; numpy.load returns its weights, shape (2, 5), and nothing of the bias, and reports no bytes
# left over. Called again on the same open file it returns the bias. The names of the leaves are nowhere in the file.
# Why a guess goes wrong: the file begins as any .npy file does (and equinox saves under any name, .npy included), so that a
# reader takes it for one array and a model without a bias.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy==2.4.6 jax==0.9.0 jaxlib==0.9.0 equinox==0.13.8
cd "$folder"
venv/bin/python - <<'PYTHON'
import equinox
import jax
import numpy as np

print("equinox", equinox.__version__, "jax", jax.__version__, "numpy", np.__version__)
layer = equinox.nn.Linear(5, 2, key=jax.random.key(0))
equinox.tree_serialise_leaves("layer.npy", layer)
alone = np.load("layer.npy")
print("numpy.load of the path:", alone.shape)
assert alone.shape == (2, 5) and np.array_equal(alone, layer.weight)
with open("layer.npy", "rb") as file:
    shapes = [np.load(file).shape, np.load(file).shape]
    print("numpy.load twice of the open file:", shapes)
    assert shapes == [(2, 5), (2,)] and file.read() == b"", "another layout of the file"
PYTHON
