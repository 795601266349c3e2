"""The answer as a picture: where 3→2 stores all three features as a triangle, and its loss below that of two pairs.

Draws the exact phases around importance 1 with the columns of W, and the losses of all minima along importance 1; with a file
name as argument the figure is written there.
"""

import sys

import numpy as np
from matplotlib.figure import Figure

from phasediag import phase_diagram
from phasediag.figures import draw_columns_on_diagram, draw_loss_sheets, draw_phase_diagram

TRIANGLE = "extra in triangle"

plane = phase_diagram(3, 2, importance=np.geomspace(0.4, 2.5, 28), density=np.geomspace(0.35, 1.0, 26))
cut = phase_diagram(3, 2, importance=[1.0], density=np.geomspace(0.45, 1.0, 81))

stable = cut.density[[TRIANGLE in name for name in cut.phase[:, 0]]]
print(f"at importance 1 the triangle is the lowest minimum from density {stable[0]:.3f} to {stable[-1]:.3f}")
assert 0.5218 < stable[0] < 0.53
cells = np.array([[name == TRIANGLE for name in row] for row in plane.phase])
print(f"it is lowest in {cells.sum()} of {cells.size} cells around importance 1")
assert cells.any() and not any(TRIANGLE in name for name in plane.phase[plane.density < 0.5].ravel())

figure = Figure(figsize=(12, 5.2), layout="constrained")
left, right = figure.subplots(1, 2)
to_file = len(sys.argv) == 2 and sys.argv[1].endswith(".png")
if to_file:
    plane.boundaries()  # follows them; then they are drawn as curves
draw_phase_diagram(plane, left, spinodals=False, legend=False)
draw_columns_on_diagram(plane, left)
left.set_title("3 → 2, exact: the lowest minimum and its columns of W")
draw_loss_sheets(cut, right)
right.set_title("losses of all minima at importance 1")
if to_file:
    figure.savefig(sys.argv[1], dpi=100)
