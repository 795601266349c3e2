#!/bin/sh
# PyTorch 2.13.0: a FakeTensor, which has a shape and no numbers, gives numbers through __dlpack__: memory that nobody has written.
#
# Seen: under FakeTensorMode torch.ones(2, 5) refuses .numpy(), numpy.asarray and .tolist() with an error, but numpy.from_dlpack of
# it returns an array of shape (2, 5) that is not of ones, once with a warning that this "will error in PyTorch 2.5", eight releases ago.
# Why a guess goes wrong: readers of arrays try one protocol after the other, and DLPack is the last that still answers; a loss
# computed while torch.export or torch.compile traces is then finite and made of chance.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy==2.4.6 torch==2.13.0
cd "$folder"
venv/bin/python -W ignore - <<'PYTHON'
import numpy as np
import torch
from torch._subclasses import FakeTensorMode

print("torch", torch.__version__, "numpy", np.__version__)
with FakeTensorMode():
    fake = torch.ones(2, 5)
for how, read in (("numpy.asarray", np.asarray), (".numpy()", lambda x: x.numpy()), (".tolist()", lambda x: x.tolist())):
    try:
        raise SystemExit(f"{how} gives {read(fake)}")
    except Exception as error:
        print(f"{how}: {type(error).__name__}")
got = np.from_dlpack(fake)
print("numpy.from_dlpack:", got.tolist())
assert got.shape == (2, 5) and not np.array_equal(got, np.ones((2, 5))), "a FakeTensor has its numbers"
PYTHON
