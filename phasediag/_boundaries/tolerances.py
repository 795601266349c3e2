"""All tolerances of boundary curves, with a reason each.

Lengths are in the plane's coordinates u, in parts of a full step where it is said; distances between equilibria are the largest
difference of their invariants (norms², products, biases), which are of order 1.
"""

# Derivatives by differences: truncation against rounding of values known to 1e-16.
CONTROL_STEP = 1e-5
"""Of u; slopes of losses, from both sides where the window allows it."""
EXPANSION_STEP = 1e-3
"""Of u, for second derivatives of losses between nine points."""
RATE_STEP = 1e-3
"""Of the value along an axis, between the six points of a derivative that is exact for polynomials of degree five."""
THIRD_STEP = 1e-6
"""Of parameters, for third derivatives where they jump: short, for the other side begins at the next kink."""
CUBIC_STEP = 1e-3
"""Of parameters, for third derivatives that are smooth: four points, exact to fourth degree."""
SIDE_STEP = 2e-4
"""Of parameters, from which one-sided second and third derivatives are extrapolated: four points, exact to third degree."""
SHORT_ROOM = 1e-5
"""Of parameters, the same where the next kink is nearer than those points: no nearer, or rounding would tell."""
QUARTIC_STEP = 3e-3
"""Amplitudes of a mode from whose slopes, κa + qa³/6 + sa⁵/120, the quartic is taken are this and its multiples."""

# What counts as zero.
ZERO = 1e-7
"""Norms and cosines of exact zeros that rounding has touched; third derivatives that symmetry makes 0; equal curvatures."""
ALIKE = 1e-6
"""Curvatures of modes that symmetry makes equal differ by less."""
KINK = 1e-9
"""Biases at which second derivatives jump."""
FLAT = 1e-9
"""Curvatures below this are those of rotations and of valleys of equal loss: minima that are about to merge have larger ones."""
LEAST_PIVOT = 1e-6
"""Of a system that elimination solves, in parts of the largest; others may be flat somewhere."""
NEGATIVE = -1e-8
"""Curvatures below this are negative on a curve on which one is 0 to rounding."""
STABLE = -1e-10
"""Lowest curvature of a minimum at the limit of its stability."""
LOWER = 1e-13
"""A lower minimum has a loss lower by this part: losses have rounding errors of 1e-15."""
SAME = 1e-9
"""Equilibria that differ by less are one: both are solved to 1e-11 or better."""
CONVERGED, STALLED = 3e-15, 1e-10
"""Newton's steps in u when a point is solved: below the first, or below the second and no longer falling."""

# What counts as near.
MOVED = 0.3
"""An equilibrium that has gone farther between neighbouring points is taken for another."""
NEAR = 0.05
"""Equilibria of one shape on curves through one point are the same when they differ by less; so are symmetric neighbours."""
CLOSE = 0.2
"""An equilibrium farther from a more symmetric one has not just branched off from it, nor is it about to merge with another."""
TINY = 3e-4
"""Equilibria nearer to each other cannot be told apart by their losses, which differ by the fourth power of it at a merger."""
SOFT = 1e-2
"""Curvatures below this may belong to a bifurcation nearby; the others are of order 0.1 to 1."""
JUMP = 0.15
"""Lowest minima of neighbouring places that differ by less are one that moved, if their phase agrees."""
ONE_POINT = 1e-7
"""Codimension-two points of one kind nearer to each other than this are one: the nearest two that differ are 3e-6 apart."""

TYING = 1e-4
"""Coordinates so near to the greatest that they can have that losses cannot tell minima apart which tie there."""

# Steps along curves.
SHORT_WINDOW = 4e-3
"""No full step is shorter, at which scale curves are straight to rounding."""
SHORTEST = 1e-4
"""Part of a full step to which the end of a minimum, and the exits of a junction, are sought."""
TURN = 0.98
"""Cosine of the angle by which a curve may turn in a step."""
FEWEST = 1e-3
"""Part of a full step below which a curve may turn by more: there it has a corner."""
BESIDE_CHORD = 0.2
"""A point between two others of a curve lies no farther from their chord, in parts of its length."""
BESIDE = 0.0123, 0.0071
"""Parts of a spacing by which a place is moved inwards off a point where minima tie, different along the two axes."""

# Competing minima.
LATTICE = 0.2
"""Spacing of the points at which competing minima are sought: minima of 2→1 to 6→2 exist over longer ways, or branch off."""
STARTS = 10
"""Random starts at each of them, besides the minima of places around."""
BENT, LEAST_BENT = 0.5, 1e-3
"""By what the logarithm of a loss may differ from its expansion to second order: a part of that order, and at least so much."""

FARTHEST = 0.1
"""Of parameters, to which the response of a minimum to u is followed: it diverges where a curvature vanishes."""

# Spinodals.
PLACES = 16
"""Of a boundary, by equal parts of its length, across which the ends of its minima are sought where none that is known lies."""
