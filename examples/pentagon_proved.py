"""The regular pentagon is the only best configuration of 5→2 where one feature is active: proved, an open problem (MAIS O42)."""

import numpy as np

from phasediag import ToyModel, certify_polygon, minimize

proved = certify_polygon(5)
print(f"L_1 of 5→2: {proved.loss:.12f}, norm {proved.norm:.8f}, bias {proved.bias:.8f}: proved in {proved.n_boxes} boxes")
assert proved

# so it is at every density that is small enough; how far, a search says (O40, O47): the pentagon is the lowest found up to 0.2248
for density in (0.001, 0.01, 0.1, 0.2248, 0.2249):
    lowest = minimize(ToyModel(2, np.ones(5), density), n_starts=16)[0]
    norms = np.linalg.norm(lowest.weights, axis=0)
    print(f"density {density:g}: {lowest.phase.name}, loss / density {lowest.loss / density:.9f}, norms up to {norms.max():.6f}")
    regular = "pentagon" in lowest.phase.name and np.ptp(norms) < 1e-7
    assert regular == (density < 0.22485)
    if density == 0.001:
        assert abs(lowest.loss / density - proved.loss) < 1e-2 and abs(norms[0] - proved.norm) < 1e-2
