"""All tolerances of boundary curves, with a reason each.

Lengths are in the plane's coordinates u, in parts of a full step where it is said; distances between equilibria are the largest
difference of their invariants (norms², products, biases), which are of order 1.
"""

import numpy as np

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
NONZERO = 1e-300
"""What is divided by is no smaller: the quotient is then of no importance."""
ROUNDING = 1e-12
"""What sums of numbers of order 1 are uncertain by at most."""
ZERO = 1e-7
"""Norms and cosines of exact zeros that rounding has touched; third derivatives that symmetry makes 0; equal curvatures."""
ALIKE = 1e-6
"""Curvatures of modes that symmetry makes equal, and invariants along them, differ by less; shorter parts of directions are 0."""
KINK = 1e-9
"""Biases at which second derivatives jump."""
ABOVE = 1e-6
"""Outputs that are to be on lie beyond their kinks by this part: second derivatives are not those of what lies below."""
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
EXCESS_LOWER = 1e-14
"""The same of losses above a common base, in parts of the distance from it: their errors fall with it."""
SAME = 1e-9
"""Equilibria that differ by less are one: both are solved to 1e-11 or better."""
CONVERGED, STALLED = 3e-15, 1e-10
"""Newton's steps in u when a point is solved: below the first, or below the second and no longer falling."""
FALLING = 0.3
"""Newton's steps that are not shorter than those before by this factor are rounding, once they are short; derivatives by
differences are taken anew."""
PATIENCE = 4
"""Steps of Newton's method after which one must be shorter than before them."""
LONGEST_MOVE = 0.5
"""Of parameters, which are of order 1, in a step of Newton's method: it leads elsewhere."""
LONGEST_STEP = 0.2
"""Of u, towards the point at which two curves meet."""
HARDLY = 1e-5
"""Newton's steps below this change no derivatives; where an equilibrium is flat, norms and cosines below it are 0: they are not
determined well."""
HARDLY_MOVED = 5e-3
"""Minima that differ by less, in parameters, have not gone elsewhere."""

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
APART = 1e-3
"""Branches of one equilibrium that differ by less, in parts of their distance from it, are one."""
SIBLING = 1e-2
"""Minima that differ by less from branches of one equilibrium, in parts of their distance, are these."""
LEAST_BRANCH = 3e-10
"""What is nearer to an equilibrium is no branch of it: two that merge differ by the square root of what they are solved to."""
NEARLY_ONE = 1e-3
"""Where two minima differ by less, next to the end of a boundary, its spinodals cannot be told from it."""
NEARER = 0.1
"""Two minima are still two unless their distance has fallen to this part of what it was."""
BY_BASE, BY_LOSS = 0.05, 0.1
"""Two minima nearer than the first are compared by their excess above a common base, farther than the second by their losses."""
BEYOND_LINK = 1.5
"""A more symmetric equilibrium lies where norms and cosines are 0 that are below this multiple of the one that is to vanish."""
ONE_BRANCH = 1e-6
"""A minimum that becomes another one, up to rounding where it is soft, is the same; so are places, in parts of a way."""
JUMP = 0.15
"""Lowest minima of neighbouring places that differ by less are one that moved, if their phase agrees."""
ONE_POINT = 1e-7
"""Codimension-two points of one kind nearer to each other than this are one: the nearest two that differ are 3e-6 apart."""

TYING = 1e-4
"""Coordinates so near to the greatest that they can have that losses cannot tell minima apart which tie there."""

# Steps along curves.
FIRST, GROWS = 0.1, 1.5
"""Part of a full step with which a curve begins, for short ones to have points enough to be drawn, and by which it grows."""
LEAST_ADVANCE = 0.2
"""A point of a curve is no nearer than this part of the step to it, in the plane, and no farther than its inverse."""
SPREAD = 0.1
"""Part of the way between the last two points that a third one is to lie behind them, for a parabola through the three."""
ELSEWHERE = 0.5
"""Part of the way to where a minimum lies ahead by which it may lie elsewhere: that is 1/4 on the whole way to a merger."""
ON_CURVE = 0.1
"""Part of a full step beside a curve at which a point lies on it, if its equilibria agree."""
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

# Ends of curves, lengths in parts of a full step.
REACH = 4.0
"""A point at which a curve ends is farther from where its event was noticed only if it is another's."""
QUARTERS = np.array([0.25**k for k in range(6)])
"""An end that cannot be stepped over is solved for when steps are down to a length, and each quarter of it,"""
LOCATED, LOCATED_NEAR = 0.1, 0.3
"""which is this, for minima near each other the second one."""
LEFT = 0.45
"""Of the way to such an end, at each of the points on it."""
BLIND = 3e-3
"""Minima nearer to each other are about to merge: no other point lies so near to a merger that the losses tell."""
OVERSHOT = 1e-2
"""Minima that merge may be followed so far beyond that point: rounding tells them apart there."""
AHEAD, ROUGHLY_AHEAD = 0.9, 0.7
"""Cosine of the angle between a curve and the way to its end: of two minima, and of a limit, which may bend."""
EXIT, EXITS = 0.3, (1.0, 0.1, 0.01, 1e-3, 1e-4, 1e-5)
"""Where a curve that leaves a point is met, and parts of that: curves may be short, or lie in a narrow wedge."""
END_EXITS = 0.2, 0.02
"""The same where a limit of stability ends on a first-order curve, from which it leaves by tangents."""
HALF_EXITS = 0.5, 0.05, 0.005
"""The same at a tricritical point, where a wedge opens with the square of the distance and rounding fills the tip of it."""
NEXT_TO = 0.5
"""A curve that leaves a point is met no farther from where it is looked for."""
BEYOND_LIMIT = 0.3, 0.1, 1.0
"""Beyond a limit of stability, where the phase that it turns into is named."""
BEYOND = 0.02
"""Part of the way from a continuous boundary to what lies beyond it at which that is looked for."""
MET_WITHIN = 2.5
"""A boundary on which a level curve ends lies within so many of its steps."""

# Along soft modes and descents.
AMPLITUDES = np.geomspace(1e-5, 0.2, 10)
"""Of a soft mode, between which what branches off is sought."""
DESCENDING = 0.2 * 0.8 ** np.arange(17)
"""The same where the loss is pieced together: so near each other that outputs held by kinks stay on them."""
LOST = 1e-2
"""Descents that end higher than they began, by this part of the amplitude squared, have left kinks too near each other."""
ALONG = 1e-2
"""Directions are told apart by the invariants so far along them."""
TURNED = 0.1
"""Part of a direction that is to lie among the softest for these to be what it has turned into."""
KICK = 0.2
"""Length of a kick along a soft direction, beyond which another minimum may lie."""
LEAVING, DESCENT = 1e-3, 0.25
"""Length of the step by which a saddle is left, and of the first steps of descents, which are to end near by."""

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
RESOLUTION = 1e-9
"""Length to which the end of a minimum is bracketed where no equation for it is solved."""
WITHIN = 0.99
"""Length of the part of a softest direction among the parameters that move where a minimum ceases along them."""
REACHED = 0.2
"""Part of a full step within which the point where minima become one lies ahead of where their limit is lost."""
LATE = 0.05
"""Part of a full step by which a limit may be followed beyond that point."""
PLACES = 17
"""Of a boundary, by equal parts of its length, across which the ends of its minima are sought; every fourth first."""
