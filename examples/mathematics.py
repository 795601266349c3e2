"""Why only the ReLU model superposes: linear interference costs more than it saves, negative interference behind a ReLU nothing.

With ``--full FILE`` the parts of the losses as a figure: ``python examples/mathematics.py --full docs/mathematics.png``.
"""

import sys

import numpy as np

from phasediag import ToyModel, expected_loss, linear_minimum, loss_terms, minimize, optimal_bias
from phasediag.figures import loss_terms_figure

DENSITY, IMPORTANCE = 0.05, 0.8 ** np.arange(5)
VARIANCE = DENSITY / 3 - DENSITY**2 / 4


def models(n_hidden, importance):
    return (ToyModel(n_hidden, importance, DENSITY, activation) for activation in ("linear", "relu"))


# The linear model keeps the two most important features and loses all of the variance of the others.
linear, relu = models(2, IMPORTANCE)
top = linear_minimum(linear)
print(f"linear minimum: loss {top.loss:.15f}, variance × smallest importances {VARIANCE * IMPORTANCE[2:].sum():.15f}")
assert np.isclose(top.loss, VARIANCE * IMPORTANCE[2:].sum(), rtol=1e-14)
assert np.isclose(top.loss, expected_loss(linear, top.weights, top.bias), rtol=1e-14)
assert np.isclose(top.loss, minimize(linear, n_starts=4)[0].loss, rtol=1e-12)
terms = loss_terms(linear, top.weights, top.bias)
assert np.allclose(terms.benefit, VARIANCE * IMPORTANCE * [0, 0, 1, 1, 1]) and not terms.interference.any()

# An antipodal pair: linear interference costs what a feature is worth; behind a ReLU a lone active feature costs nothing.
pair, nothing = [[1.0, -1.0]], [0.0, 0.0]
small_linear, small_relu = models(1, np.ones(2))
as_linear = loss_terms(small_linear, pair, optimal_bias(small_linear, pair))
as_relu = loss_terms(small_relu, pair, nothing)
print(f"antipodal pair, interference: linear {as_linear.interference.sum():.6f}, ReLU {as_relu.interference.sum():.6f}")
print(f"antipodal pair, ReLU, by number of active features: {as_relu.by_active}")
assert np.allclose(as_linear.interference, VARIANCE) and as_linear.loss > linear_minimum(small_linear).loss
assert not as_relu.by_active[:2].any() and np.isclose(as_relu.loss, DENSITY**2 / 3, rtol=1e-13)

# The minimum of the ReLU model stores all five features; without the ReLU the same weights would be the worse choice.
best = minimize(relu, n_starts=4)[0]
panels = {
    "minimum of the linear model": terms,
    "weights of the ReLU minimum, no ReLU": loss_terms(linear, best.weights, optimal_bias(linear, best.weights)),
    "minimum of the ReLU model": loss_terms(relu, best.weights, best.bias),
}
for title, part in panels.items():
    print(f"{title}: loss {part.loss:.6f}, benefit {part.benefit.sum():.6f}, interference {part.interference.sum():.6f}")
losses = [part.loss for part in panels.values()]
assert np.all(best.feature_norm > 1) and losses[2] < 0.25 * losses[0] < 0.05 * losses[1]
if sys.argv[1:2] == ["--full"]:
    loss_terms_figure(panels).savefig(sys.argv[2], dpi=110)
