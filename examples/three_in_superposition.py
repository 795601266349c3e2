"""Why not all three in superposition? At importance 1 they are: proved for every global minimum from density 0.5219 up."""

from phasediag import certify_superposition

proved = certify_superposition([1.0, 1.0, 1.0], (0.5219, 0.9))
print(f"density 0.5219 to 0.9: {proved.proved}, compared at {len(proved.density)} densities")
assert proved

# at one density: by how much, and how far every global minimum is from leaving a feature out, or by itself
proved = certify_superposition([1.0, 1.0, 1.0], 0.6)
(upper, _), (split, _) = proved.loss_upper[0], proved.loss_split
print(f"density 0.6: loss ≤ {upper:.6f}, ≥ {split:.6f} unless all three are in superposition; norms ≥ {proved.separation:.4f}")
assert proved.margin > 0.03

# below the transition at 0.5218377 the antipodal pair beside a dedicated feature has less
assert not certify_superposition([1.0, 1.0, 1.0], 0.5218)
