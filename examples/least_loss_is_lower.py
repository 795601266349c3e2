"""The least loss with one nonzero weight a column is not min{(n − m) v, m p²/3 + (n − 2m) v}: 2→1 has less, proved."""

import numpy as np
import sympy

from phasediag import ToyModel, certify, symbolic_expected_loss

half, square, bias = sympy.Rational(1, 2), sympy.Rational(47, 50), sympy.Rational(1, 10)


def conjectured(p):
    """The conjecture for two features in one dimension, where every column has one weight; v = p/3 − p²/4 is the variance."""
    return min(p / 3 - p**2 / 4, p**2 / 3)


# an antipodal pair of square norms 47/50 with biases 1/10, at density 1/2, in exact rational arithmetic
loss = symbolic_expected_loss([[square, -square], [-square, square]], [bias, bias], importance=[1, 1], density=half)
print(f"exact: {loss} = {float(loss):.9f}, conjectured {float(conjectured(half)):.9f}")
assert loss == sympy.Rational(47524309, 622938000) < conjectured(half)

# what is true instead, enclosed: no weights do better than loss_lower, some reach loss_upper
for p in np.linspace(0.1, 1.0, 10):
    proved = certify(ToyModel(n_hidden=1, importance=[1.0, 1.0], density=p))
    share = proved.loss_upper / conjectured(p)
    print(f"density {p:.1f}: {proved.loss_lower:.9f} … {proved.loss_upper:.9f}, {share:.4f} of the conjecture")
    assert proved.status == "certified" and share < 1
