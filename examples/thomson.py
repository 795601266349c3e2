"""The generalised Thomson problem gives the toy model's minima where they are as symmetric as can be, and not beyond.

Least interference behind a ReLU, Σ max(0, w_i·w_j)², against the exact minimum for equal features of density 0.01. Below twice
as many points as dimensions, that energy is 0 on a continuum, and the model's own preference for pairs decides. Beyond, the
minimum has negative biases, which let small positive products go free as well: it has a smaller largest product, a step towards
the packing of points, so that its proportions, or for 7→3 its shape, differ. ``--full FILE`` takes larger sizes too and draws.
"""

import sys

import numpy as np

from phasediag import ToyModel, congruent, minimize, thomson
from phasediag.figures import thomson_figure

ENERGIES = {"linear": "linear energy", "relu": "ReLU energy", "coulomb": "Coulomb energy"}

# features, dimensions: shape of the exact minimum, and which energies have it as their lowest configuration
EXPECTED = {
    (3, 2): ("antipodal pair + dedicated", "none"),  # the triangle is a minimum 13 % above
    (4, 2): ("antipodal pair + antipodal pair", "relu, coulomb"),
    (5, 2): ("pentagon", "relu, coulomb"),
    (6, 2): ("hexagon", "relu, coulomb"),
    (4, 3): ("antipodal pair + 2 dedicated", "none"),
    (6, 3): ("antipodal pair + 2 antipodal pairs", "relu, coulomb"),
    (7, 3): ("capped octahedron", "none"),  # pentagon + antipodal pair is a minimum 27 % above
    (8, 3): ("square antiprism", "none"),
}
LARGER = {(9, 3): ("tricapped trigonal prism", "none"), (10, 4): ("10 features in 4 dimensions", "relu")}


def largest_product(points):
    unit = points / np.linalg.norm(points, axis=0)
    return (unit.T @ unit)[np.triu_indices(unit.shape[1], 1)].max()


def main(full=None):
    rows = {}
    for (n, m), (shape, coincide) in (EXPECTED | LARGER if full else EXPECTED).items():
        minima = minimize(ToyModel(m, np.ones(n), 0.01), n_starts=8 * m)
        lowest = {energy: thomson(n, m, energy=energy, n_starts=8)[0] for energy in ENERGIES}
        same = [e for e, c in lowest.items() if c.is_rigid and congruent(minima[0].weights, c.points)]
        products = largest_product(minima[0].weights), largest_product(lowest["relu"].points)
        found = minima[0].phase.name.removeprefix("extra in ")
        print(f"{n:2} → {m}: {found:35} the same as {', '.join(same) or 'none':14} ", end="")
        print("largest product {:+.4f}, of the ReLU energy's {:+.4f}".format(*products))
        assert (found, ", ".join(same) or "none") == (shape, coincide)
        assert lowest["relu"].is_rigid == (n >= 2 * m) and not lowest["linear"].is_rigid
        if n > 2 * m:  # where nothing is free of interference
            assert products[0] < products[1] + 1e-6
            assert minima[0].bias.max() < 0
        rows[f"{n} → {m}"] = {"minimum of the toy model": minima[0].weights} | {ENERGIES[e]: c for e, c in lowest.items()}
    if full:
        chosen = {size: rows[size] for size in ("3 → 2", "5 → 2", "7 → 3", "8 → 3")}
        thomson_figure(chosen).savefig(full, dpi=80)


if __name__ == "__main__":
    main(sys.argv[2] if sys.argv[1:2] == ["--full"] else None)
