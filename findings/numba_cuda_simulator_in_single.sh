#!/bin/sh
# numba-cuda 0.30.4 with NumPy 2.2.6: the simulator multiplies a float32 element by a Python number in float32, the compiled
# kernel in float64.
#
# Seen: w[i] - 0.1 * g[i] on float32 arrays is cvt.f64.f32, fma.rn.f64, cvt.rn.f32.f64 in the PTX for an H100 (no fma.rn.f32),
# and the simulator's results are those of float32 arithmetic, to the bit: 85 of 1 000 elements differ from
# what the PTX computes. With numpy.float32(0.1) in place of 0.1 the PTX is fma.rn.f32.
# Why a guess goes wrong: since NumPy 2 a Python number takes the type of its partner, so that a step checked on the simulator
# against a float32 twin agrees exactly; numba types the same literal as float64. The kernel then has other bits than its twin
# and runs at the rate of doubles, which consumer GPUs have at 1/64 of single's. No GPU is needed to see it: libNVVM compiles.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "numba-cuda[cu13]==0.30.4" numpy==2.2.6
cd "$folder"
cat > kernels.py <<'PYTHON'
import numpy as np
from numba import cuda

TENTH = np.float32(0.1)


def plain(w, g):
    i = cuda.grid(1)
    if i < w.size:
        w[i] = w[i] - 0.1 * g[i]


def typed(w, g):
    i = cuda.grid(1)
    if i < w.size:
        w[i] = w[i] - TENTH * g[i]
PYTHON
NUMBA_ENABLE_CUDASIM=1 venv/bin/python - <<'PYTHON'
import numpy as np
from kernels import TENTH, plain
from numba import cuda

rng = np.random.default_rng(0)
w, g = rng.random((2, 1000), dtype=np.float32)
simulated = w.copy()
cuda.jit(plain)[10, 100](simulated, g)
single = w - TENTH * g
double = (w.astype(float) - 0.1 * g.astype(float)).astype(np.float32)
print("the simulator: of 1 000 elements", (simulated != single).sum(), "differ from float32,", (simulated != double).sum(), "from float64")
assert (simulated == single).all() and (simulated != double).sum() > 10, "the simulator computes in float64 now"
PYTHON
venv/bin/python - <<'PYTHON'
import numba_cuda
import numpy as np
from kernels import plain, typed
from numba import cuda, float32

print("numba-cuda", numba_cuda.__version__, "numpy", np.__version__)
for kernel in (plain, typed):
    ptx, _ = cuda.compile_ptx(kernel, (float32[:], float32[:]), cc=(9, 0))
    found = [line.split()[0] for line in ptx.splitlines() if line.strip().startswith(("fma.", "mul.f", "cvt.f64.f", "cvt.rn.f32"))]
    print(kernel.__name__, found)
    doubles = any(".f64" in word for word in found)
    assert found and doubles == (kernel is plain), "a literal is typed otherwise now"
PYTHON
