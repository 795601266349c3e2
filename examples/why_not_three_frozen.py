"""With frozen weights, three features in two dimensions never do best as a triangle (W ⊥ [1, 1, 1], which the paper omits).

For every importance and density one of the two antipodal pairs, W ⊥ [0, 1, 1] or W ⊥ [1, 1, 0], has the lower loss.
"""

import sympy

from phasediag import configurations
from phasediag.symbolic import DENSITY as p
from phasediag.symbolic import IMPORTANCE as I

loss = {c.pattern: c.symbolic_loss() for c in configurations(3, 2)}
triangle = loss["W ⊥ [1, 1, 1]"]
extra_in_pair, extra_dedicated = loss["W ⊥ [0, 1, 1]"], loss["W ⊥ [1, 1, 0]"]

# Where importance ≤ 1 the first pair is the better one, elsewhere the second; each margin is linear in importance.
below = sympy.factor(triangle - extra_in_pair)
above = sympy.factor(triangle - extra_dedicated)
print("importance ≤ 1: triangle − pair with the extra feature =", below)
print("importance ≥ 1: triangle − pair without it             =", above)

share_below = sympy.expand(24 * below / p**2)
share_above = sympy.expand(24 * above / p**2)
assert share_below == sympy.expand((2 + I) * (3 + p) - 4 * (1 + I))
assert share_below.subs(I, 0) == 2 + 2 * p and share_below.subs(I, 1) == 1 + 3 * p  # positive at both ends
assert share_above.subs(I, 1) == 1 + 3 * p and sympy.diff(share_above, I) == 3 + p  # positive and growing

closest = sympy.simplify((triangle / extra_in_pair).subs(I, 1))
print("closest, at importance 1: loss of the triangle / loss of the pair =", closest, "→ 9/8 as density → 0")
assert sympy.limit(closest, p, 0) == sympy.Rational(9, 8)
