"""Demonstrating superposition: a linear model keeps the top features at every density, a ReLU model stores more of sparse ones.

The paper's models, 20 features of importance 0.7^i in 5 dimensions. With ``--full FILE`` at all of the paper's densities and
also 80 features of importance 0.9^i in 20 dimensions, as a figure: ``python examples/demonstration.py --full
docs/demonstration.png`` (two minutes of processor time).
"""

import sys

import numpy as np

from phasediag import ToyModel, linear_minimum, sweep_density
from phasediag.figures import demonstration_figure
from phasediag.sweep import PAPER_DENSITIES


def main(full=None):
    densities = PAPER_DENSITIES if full else (1.0, 0.1, 0.003)
    large = [(20, 0.9 ** np.arange(80), "relu")] if full else []
    sweeps = []
    for n_hidden, importance, activation in [(5, 0.7 ** np.arange(20), a) for a in ("linear", "relu")] + large:
        sizes = {"n_models": 16 if n_hidden == 5 else 8, "n_steps": 20_000 if full else 6_000}
        sweep = sweep_density(n_hidden, importance, densities, activation=activation, seed=0, **sizes)
        sweeps.append(sweep)
        for k, density in enumerate(densities):
            stored = np.flatnonzero(sweep.represented[k])
            best_linear = linear_minimum(ToyModel(n_hidden, importance, density, "linear")).loss
            ratio = sweep.loss[k] / best_linear
            print(
                f"{importance.size} → {n_hidden}, {activation:6}, density {density:5}: {stored.size:2} features stored, "
                f"loss {ratio:.5f} × the linear minimum"
            )
            if activation == "linear" or density == 1:
                assert np.array_equal(stored, np.arange(n_hidden)) and 1 - 1e-6 < ratio < 1.001
            else:
                assert stored.size > n_hidden and ratio < 0.9 and sweep.interference[k, stored].max() > 0.9
        if activation == "relu":
            assert np.all(np.diff(sweep.represented.sum(axis=1)) > 0)  # the sparser, the more
    if full:
        demonstration_figure(sweeps).savefig(full, dpi=100)


if __name__ == "__main__":
    main(sys.argv[2] if sys.argv[1:2] == ["--full"] else None)
