"""The geometry of superposition: as equal features become sparse, their dimensionality sticks at 1/2, antipodal pairs.

Features per dimension, m/‖W‖_F², and feature dimensionalities D_i of trained models. Here 60 features in 6 dimensions;
``python examples/geometry.py --full docs/geometry.png`` trains the paper's 400 in 30 (7 minutes of processor time) and draws.
"""

import sys

import numpy as np

from phasediag import sweep_density
from phasediag.figures import geometry_figure


def main(full=None):
    if full:
        n_features, n_hidden, sizes = 400, 30, {"n_models": 1, "n_steps": 10_000}
        density = 1 / np.concatenate([np.geomspace(1, 6, 19), np.geomspace(7, 100, 10)])
    else:
        n_features, n_hidden, sizes = 60, 6, {"n_models": 2, "n_steps": 4_000}
        density = 1 / np.array([1, 1.5, 2, 2.5, 3, 3.5, 5, 10, 50])
    sweep = sweep_density(n_hidden, np.ones(n_features), density, seed=0, progress=bool(full), **sizes)
    print("1/density  m/|W|²  represented  lowest, median, highest D of norms above 1/2")
    in_pairs = []
    for k, sparse in enumerate(1 / density):
        large = sweep.feature_dimensionality[k, sweep.feature_norm[k] > 0.5]
        shown = np.quantile(large, [0, 0.5, 1]).round(3) if large.size else "none"
        print(f"{sparse:9.3g} {sweep.dimensions_per_feature[k]:7.3f} {sweep.represented[k].sum():12} {shown}")
        in_pairs.append(large.size and np.mean(np.abs(large - 0.5) < 0.01) > 0.9)
    used = sweep.dimensions_per_feature
    assert abs(used[0] - 1) < 0.01 and np.all(np.diff(used) < 0)  # as many features as dimensions, then ever more
    plateau = 1 / density[np.array(in_pairs, dtype=bool)]
    print(f"antipodal pairs from 1/density {plateau.min():.3g} to {plateau.max():.3g}")
    assert plateau.min() < 2.6 and plateau.max() > 2.9 and np.all(np.diff(np.flatnonzero(in_pairs)) == 1)
    assert np.all(used[1 / density > 4.9] < 0.4)  # beyond: pentagons and antiprisms, then no regular shapes
    if full:
        geometry_figure(sweep).savefig(full, dpi=110)


if __name__ == "__main__":
    main(sys.argv[2] if sys.argv[1:2] == ["--full"] else None)
